"""Expected values of what pl.image does, from torchvision, PyTorch and Pillow, as a Lua file that
test_transforms.lua and test_jpeg.lua read:

    python3 tests/oracle_images.py > tests/lua/oracle_images.lua

Made with torchvision 0.29, PyTorch 2.15 and Pillow 13. A case of `steps` has the name of a function of
pl.image, its arguments as Lua text, and what comes of `x`, real [1,3,6,7] with two decimals. `jpegs`
are files, in hexadecimal, and their upright pixels, as Pillow reads them.
"""
import io
import warnings

import numpy as np
import PIL
import torch
import torch.nn.functional as F
import torchvision
import torchvision.transforms.functional as V
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode

warnings.simplefilter("ignore")
torch.manual_seed(1)
x = (torch.rand(1, 3, 6, 7) * 100).round() / 100
cases = []


def add(name, arguments, y):
    cases.append((name, arguments, y))


def numbers(t):
    return ",".join("%.6g" % (v + 0.0) for v in t.reshape(-1).tolist())


def lua(size):
    return "{%s}" % ", ".join(map(str, size))


#
# Sizes
#

for mode in ("bilinear", "bicubic"):
    for antialias in (True, False):
        for size in ((3, 4), (9, 5), (1, 1), (6, 16)):
            y = F.interpolate(x, size=size, mode=mode, antialias=antialias, align_corners=False)
            add("resize", '%s, {mode = "%s", antialias = %s}' % (lua(size), mode, str(antialias).lower()), y)
for mode in ("area", "nearest"):
    for size in ((3, 4), (9, 5)):
        add("resize", '%s, {mode = "%s"}' % (lua(size), mode), F.interpolate(x, size=size, mode=mode))
add("resize", "4", V.resize(x, 4, antialias=True))
add("center_crop", "{3, 4}", V.center_crop(x, [3, 4]))
add("crop", "2, 3, 4, 5", V.crop(x, 1, 2, 4, 5))
for mode in ("constant", "edge", "reflect"):
    for padding in ([2], [1, 3], [1, 2, 3, 0]):
        add("pad", '%s, {mode = "%s"}' % (lua(padding), mode), V.pad(x, padding, padding_mode=mode))
add("pad", "1, {fill = 0.5}", V.pad(x, [1], fill=0.5))
add("flip", '"horizontal"', V.hflip(x))
add("flip", '"vertical"', V.vflip(x))

#
# Places
#

for mode in ("bilinear", "nearest"):
    how = getattr(InterpolationMode, mode.upper())
    for angle in (25, -100):
        add("rotate", '%s, {mode = "%s"}' % (angle, mode), V.rotate(x, angle, interpolation=how))
    add("affine", '{angle = 20, translate = {2, -1}, scale = 1.3, shear = {10, -5}, mode = "%s"}' % mode,
        V.affine(x, 20, [2, -1], 1.3, [10, -5], interpolation=how))
add("blur", "3", V.gaussian_blur(x, [3, 3]))
add("blur", "{3, 5}, {sigma = {1.4, 0.7}}", V.gaussian_blur(x, [5, 3], [0.7, 1.4]))
add("erase", "2, 3, 3, 2, {value = 0.25}", V.erase(x, 1, 2, 3, 2, torch.tensor(0.25)))

#
# Colours
#

add("to_gray", "", V.rgb_to_grayscale(x))
add("to_gray", "3", V.rgb_to_grayscale(x, 3))
add("normalise", "{0.5, 0.4, 0.3}, {0.2, 0.25, 0.5}", V.normalize(x, [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]))
for name in ("brightness", "contrast", "saturation", "hue"):
    for factor in (-0.3, 0.5) if name == "hue" else (0, 0.4, 1.7):
        add("jitter", "{%s = {%s, %s}}" % (name, factor, factor),
            getattr(V, "adjust_" + name)(x, factor))

#
# JPEG
#

jpegs = []


def drawn(h, w):
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([x * 255 // (w - 1), y * 255 // (h - 1), (x + y) * 255 // (h + w - 2)], -1).astype(np.uint8)


def jpeg(name, image, **options):
    f = io.BytesIO()
    image.save(f, "JPEG", quality=70, **options)
    back = ImageOps.exif_transpose(Image.open(io.BytesIO(f.getvalue())))
    if back.mode == "CMYK":
        back = back.convert("RGB")
    pixels = np.asarray(back)
    jpegs.append('{name = "%s", size = %s, sum = %d, corners = {%s},\n  bytes = "%s"}' % (
        name, lua(pixels.shape), int(pixels.astype(np.int64).sum()),
        ", ".join(str(int(v)) for p in (pixels[0, 0], pixels[0, -1], pixels[-1, 0], pixels[-1, -1])
                  for v in np.atleast_1d(p)), f.getvalue().hex()))


def exif(orientation):
    data = Image.Exif()
    data[0x112] = orientation
    return data


colour = Image.fromarray(drawn(10, 13))
jpeg("baseline", colour)
jpeg("progressive", colour, progressive=True)
jpeg("444", colour, subsampling=0)
jpeg("restarts", colour, restart_marker_blocks=1)
jpeg("gray", colour.convert("L"))
jpeg("cmyk", colour.convert("CMYK"))
for orientation in range(1, 9):
    jpeg("exif %d" % orientation, Image.fromarray(drawn(5, 9)), exif=exif(orientation))

print("-- Written by tests/oracle_images.py with torchvision %s, PyTorch %s, Pillow %s; do not edit." %
      (torchvision.__version__.split("+")[0], torch.__version__.split("+")[0], PIL.__version__))
print("return {x = {%s}, size = {1, 3, 6, 7}, steps = {" % numbers(x))
for name, arguments, y in cases:
    print("{name = \"%s\", arguments = [[%s]], size = %s, %s}," % (name, arguments, lua(y.shape), numbers(y)))
print("}, jpegs = {")
print(",\n".join(jpegs))
print("}}")
