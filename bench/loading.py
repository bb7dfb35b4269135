#!/usr/bin/env python3
"""Reading a folder of pictures with PyTorch's ImageFolder and DataLoader.

usage: loading.py make FOLDER KIND N   writes N files (png or jpg) of Fashion-MNIST's images
       loading.py read FOLDER WORKERS  prints files per second, from the folder to the last batch
"""

import gzip
import os
import sys
import time


def idx(name, offset):
    folder = os.environ.get("PERILUNE_DATA", "data")
    with gzip.open(os.path.join(folder, "fashion-mnist", name), "rb") as f:
        return f.read()[offset:]


def make(folder, kind, n):
    from PIL import Image

    images, labels = idx("train-images-idx3-ubyte.gz", 16), idx("train-labels-idx1-ubyte.gz", 8)
    for i in range(n):
        place = os.path.join(folder, str(labels[i]))
        os.makedirs(place, exist_ok=True)
        pixels = images[784 * i:784 * (i + 1)]
        Image.frombytes("L", (28, 28), pixels).save(os.path.join(place, f"{i}.{kind}"))


def read(folder, workers):
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    began, n = time.time(), 0
    files = datasets.ImageFolder(folder, transforms.ToTensor())
    for x, y in torch.utils.data.DataLoader(files, 64, shuffle=True, num_workers=workers):
        n += len(y)
    print(f"{n / (time.time() - began):.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"] and len(sys.argv) == 5:
        make(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1:2] == ["read"] and len(sys.argv) == 4:
        read(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(__doc__)
