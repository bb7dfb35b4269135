"""The networks that PyTorch and Perilune exchange; networks.lua has the same."""

import json
import struct

import torch
from torch import nn

DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
          torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.classifier = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.rnn = nn.LSTM(8, 8, num_layers=2)
        self.decoder = nn.Linear(8, 20)

    def forward(self, x):
        return self.decoder(self.rnn(self.embedding(x))[0])


class Others(nn.Module):
    """One of each of the other layers, and a weight with two names."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.LayerNorm([3, 4])
        self.instance = nn.InstanceNorm2d(3, affine=True)
        self.rnn = nn.GRU(12, 4, num_layers=2)
        self.plain = nn.GRU(4, 4, bias=False)
        self.batch = nn.BatchNorm1d(4, affine=False)
        self.cells = nn.ModuleList([nn.LSTMCell(4, 4), nn.LSTMCell(4, 4)])
        self.encoder = nn.Linear(4, 4, bias=False)
        self.decoder = nn.Linear(4, 4)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        y = self.instance(self.up(x))  # [n, 3, 4, 4]
        y = self.norm(y.transpose(1, 2)).flatten(2)  # [n, 4, 12]: steps, batch, features
        y = self.plain(self.rnn(y)[0])[0]
        y = self.batch(y[-1])
        for cell in self.cells:
            y = cell(y)[0]
        return self.decoder(self.encoder(y).tanh())


def numbers(*size):
    """Some numbers that floats hold exactly."""
    n = torch.Size(size).numel()
    return ((torch.arange(n) * 5 % 7 - 3) / 4).reshape(size)


def words(*size):
    n = torch.Size(size).numel()
    return (torch.arange(n) * 7 % 20).reshape(size)


NETWORKS = {"lenet": (LeNet, numbers(3, 1, 12, 12)), "words": (Words, words(5, 2)),
            "others": (Others, numbers(3, 2, 2, 2))}


def write(path, tensors):
    """A safetensors file, as the package of that name writes it."""
    header, data = {}, b""
    for name, t in tensors.items():
        raw = bytes(t.contiguous().reshape(-1).view(torch.uint8).tolist())
        header[name] = {"dtype": DTYPES[t.dtype], "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read(path):
    with open(path, "rb") as file:
        text = file.read(struct.unpack("<Q", file.read(8))[0])
        data = bytearray(file.read())
    kinds = {name: dtype for dtype, name in DTYPES.items()}
    tensors = {}
    for name, entry in json.loads(text).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = torch.frombuffer(data, dtype=torch.uint8, count=end - begin, offset=begin)
            tensors[name] = flat.clone().view(kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors
