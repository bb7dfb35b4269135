#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets again: tests/fuzz/seeds.py (needs NumPy and Pillow).

corpus/npy and corpus/npz are what NumPy writes; tests/lua/test_numpy.lua reads them too and knows
their values: VALUES, or what the name says.
"""

import gzip
import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np
from numpy.lib import format as npy
from PIL import Image

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
VALUES = [[0, 1, 2], [100, 4, 5]]
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


class Stream(io.BytesIO):
    """A file in which nobody can go back: sizes stand behind the members of an archive."""

    def seekable(self):
        return False

    def tell(self):
        raise OSError

    def seek(self, *_):
        raise OSError


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as f:
        f.write(data)


def array(x, version=(1, 0)):
    f = io.BytesIO()
    npy.write_array(f, np.asanyarray(x), version=version, allow_pickle=True)
    return f.getvalue()


def arrays():
    for dtype in DTYPES:
        for order, name in (("<", "little"), (">", "big")):
            x = np.array(VALUES).astype(np.dtype(order + dtype))
            if name == "little" or x.itemsize > 1:
                write("npy", f"{dtype}-{name}.npy", array(x))
    write("npy", "bool.npy", array(np.array([True, False])))
    write("npy", "fortran.npy", array(np.asfortranarray(np.array(VALUES, "f4"))))
    write("npy", "fortran-i8.npy", array(np.asfortranarray(np.array([[1, 2], [1 << 40, 3]]))))
    write("npy", "version2.npy", array(np.array(VALUES, "f4"), (2, 0)))
    write("npy", "version3.npy", array(np.array(VALUES, "i4"), (3, 0)))
    write("npy", "scalar.npy", array(np.float32(1.5)))
    write("npy", "vector.npy", array(np.arange(5, dtype="i4")))
    write("npy", "empty.npy", array(np.zeros((0, 3), "f4")))
    write("npy", "deep.npy", array(np.zeros((1,) * 9, "f4")))
    write("npy", "complex.npy", array(np.zeros(2, "c8")))
    write("npy", "text.npy", array(np.array(["ab"])))
    write("npy", "date.npy", array(np.array(["2020-01-01"], "M8[D]")))
    write("npy", "objects.npy", array(np.array([None], object)))
    write("npy", "structured.npy", array(np.zeros(1, [("a", "f4"), ("b", "i4")])))


def archive(write_it, **named):
    f = io.BytesIO()
    write_it(f, **named)
    return f.getvalue()


def archives():
    x, y = np.array(VALUES, "f4"), np.arange(3)
    write("npz", "stored.npz", archive(np.savez, x=x, y=y))
    write("npz", "deflated.npz", archive(np.savez_compressed, x=x, y=y, z=np.zeros(3000, "u1")))
    write("npz", "none.npz", archive(np.savez))
    write("npz", "objects.npz", archive(np.savez, x=x, o=np.array([None], object)))
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w") as z:
        z.writestr("x.npy", array(x))
        z.writestr("b.npy", array(x), zipfile.ZIP_BZIP2)
        z.writestr("notes.txt", "none")
        z.comment = b"with a comment"
    write("npz", "others.npz", f.getvalue())
    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as z:
        with z.open("x.npy", "w", force_zip64=True) as member:
            member.write(array(x))
    write("npz", "described.npz", stream.getvalue())


def safetensors():
    header, data = {}, b""
    for dtype, width in (("F32", 4), ("F64", 8), ("F16", 2), ("BF16", 2), ("I64", 8), ("I32", 4),
                         ("I16", 2), ("I8", 1), ("U8", 1), ("U32", 4), ("BOOL", 1)):
        header[dtype.lower()] = {"dtype": dtype, "shape": [2],
                                 "data_offsets": [len(data), len(data) + 2 * width]}
        data += bytes(2 * width)
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header).encode()
    write("safetensors", "dtypes.safetensors", struct.pack("<Q", len(text)) + text + data)
    text = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    write("safetensors", "one.safetensors", struct.pack("<Q", len(text)) + text + bytes(4))


def images():
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    for name, kind, channels in (("grey", 0, 1), ("colour", 2, 3), ("alpha", 6, 4)):
        pixels = zlib.compress(b"".join(b"\0" + bytes(range(4 * channels)) for _ in range(3)))
        header = struct.pack(">IIBBBBB", 4, 3, 8, kind, 0, 0, 0)
        write("png", name + ".png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
              + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    plain = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + bytes(range(6))
    write("idx", "uint8.idx", plain)
    write("idx", "int32.idx", struct.pack(">BBBBIi", 0, 0, 12, 1, 2, 5) + bytes(4))
    write("idx", "uint8.idx.gz", gzip.compress(plain, mtime=0))


def photographs():
    """As Pillow writes them, progressive and not, with EXIF data, grey, in four inks."""
    image = Image.fromarray(np.arange(17 * 9 * 3, dtype=np.uint8).reshape(9, 17, 3))
    turned = Image.Exif()
    turned[0x112] = 6
    for name, picture, options in (("baseline", image, {"subsampling": 2}), ("progressive", image, {"progressive": True}),
                                   ("444", image, {"subsampling": 0}), ("turned", image, {"exif": turned}),
                                   ("restarts", image, {"restart_marker_blocks": 1}),
                                   ("grey", image.convert("L"), {}), ("ink", image.convert("CMYK"), {})):
        f = io.BytesIO()
        picture.save(f, "JPEG", quality=30, optimize=True, **options)
        write("jpeg", name + ".jpg", f.getvalue())


def tables():
    for name, text in {
        "plain.csv": "a,b\n1,2.5\n3,-4e-3\n",
        "crlf.csv": "id,city,price\r\n1,Bonn,10\r\n2,\"Köln, am Rhein\",\r\n3,NA,30\r\n",
        "quotes.csv": "a,b\n\"one \"\"two\"\"\",\"x\ny\"\n\"\",3\n",
        "late.csv": "a\n1\n2\nx\n1\n\n007\n",
        "mark.csv": "\ufeffa;b\n1;2\n",
        "numbers.csv": "x,y\n 1 ,inf\n-0,1e22\n.5,123456789012345678901234567890\n5.,1e-400\n",
        "mac.csv": "a,b\r1,2\r3,4",
        "short.csv": "a,b\n1\n",
        "open.csv": "a,b\n\"1,2\n",
        "semicolons.csv": "1;2\n3;4\n",
    }.items():
        write("csv", name, text.encode())
    packed = [gzip.compress(part, mtime=0) for part in (b"a,b\n1,2\n", b"3,4\n" * 300)]
    write("csv_gz", "one.csv.gz", packed[0])
    write("csv_gz", "two.csv.gz", b"".join(packed))
    write("csv_gz", "damaged.csv.gz", packed[1] + b"x")


def main():
    arrays()
    archives()
    safetensors()
    images()
    photographs()
    tables()


if __name__ == "__main__":
    main()
