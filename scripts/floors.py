#!/usr/bin/env python3
"""The floors of src/: which may know which.

usage: floors.py STAMP           fails on an include that looks up; else writes STAMP, once
       floors.py --symbols BUILD fails on a symbol that a floor's library wants from above

The build runs the first before it compiles anything, the tests run the second.
"""

import glob
import os
import re
import subprocess
import sys

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)

# From the lowest to the highest: a floor, and the floors that it may know beside itself.
BELOW = {
    "base": [],
    "kernels": ["base"],
    "tensor": ["base"],
    "autograd": ["tensor", "base"],
    "ops": ["autograd", "kernels", "tensor", "base"],
    "optim": ["ops", "autograd", "kernels", "tensor", "base"],
    "io": ["tensor", "base"],
    "image": ["io", "tensor", "base"],
    "canvas": ["io", "tensor", "base"],
    "learn": ["ops", "tensor", "base"],
}
BELOW["bind"] = list(BELOW)
BELOW["host"] = ["bind"]


def floor_of(path):
    """The floor of a file below src/, or None."""
    relative = os.path.relpath(os.path.realpath(path), os.path.realpath(SOURCE))
    return None if relative.startswith("..") else relative.split(os.sep)[0]


def resolve(path, name):
    for folder in (os.path.dirname(path), SOURCE):
        if os.path.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    return None


def includes(path):
    """(line, name, floor) of each include of a floor's file."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for m in INCLUDE.finditer(text):
        target = resolve(path, m[1])
        if target and floor_of(target):
            yield text.count("\n", 0, m.start()) + 1, m[1], floor_of(target)


def check_includes():
    wrong = []
    for path in sorted(glob.glob(os.path.join(SOURCE, "**", "*.[chd]*"), recursive=True)):
        floor = floor_of(path)
        if not os.path.isfile(path) or os.path.dirname(path) == SOURCE:
            continue
        if floor not in BELOW:
            wrong.append(f"{path}: '{floor}' is no floor; scripts/floors.py lists them")
            continue
        for line, name, target in includes(path):
            if target != floor and target not in BELOW[floor]:
                wrong.append(f"{os.path.relpath(path)}:{line}: {floor} includes {name}: it may know "
                             f"{', '.join(BELOW[floor]) or 'no other floor'}")
    return wrong


def nm(library):
    """The symbols that a library defines, and those that it wants."""
    out = subprocess.run(["nm", "-P", library], capture_output=True, text=True, check=True).stdout
    defined, wanted = set(), set()
    for line in out.splitlines():
        words = line.split()
        if len(words) >= 2 and len(words[1]) == 1:
            (wanted if words[1] == "U" else defined).add(words[0])
    return defined, wanted - defined


def libraries(build):
    floors = {f: [os.path.join(build, f"libfloor_{f}.a")] for f in BELOW}
    floors["kernels"] += glob.glob(os.path.join(build, "libkernels_*.a"))
    return {f: [p for p in paths if os.path.exists(p)] for f, paths in floors.items()}


def check_symbols(build):
    defined, wanted, wrong = {}, {}, []
    for floor, paths in libraries(build).items():
        pairs = [nm(p) for p in paths]
        defined[floor] = set().union(*(d for d, _ in pairs))
        wanted[floor] = set().union(*(w for _, w in pairs)) - defined[floor]
    if not defined["ops"]:
        return [f"{build} has no libfloor_ops.a"]
    for floor, symbols in wanted.items():
        for other in BELOW:
            if other != floor and other not in BELOW[floor]:
                wrong += [f"{floor} wants {s} of {other}" for s in symbols & defined.get(other, set())]
    return sorted(wrong)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--symbols":
        wrong = check_symbols(sys.argv[2])
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        wrong = check_includes()
    else:
        sys.exit(__doc__)
    if wrong:
        sys.exit("\n".join(wrong))
    if len(sys.argv) == 2 and not os.path.exists(sys.argv[1]):
        with open(sys.argv[1], "w", encoding="ascii") as f:
            f.write("/* Written by scripts/floors.py: every include looks down. */\n")


if __name__ == "__main__":
    main()
