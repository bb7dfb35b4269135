#!/usr/bin/env python3
"""What libperilune.so shows: the functions of the headers, each with a version, and nothing else.

usage: symbols.py BUILD   lists each that is missing, or too much
"""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DECLARED = re.compile(r"^PL_API\b[^;]*?\b(pl_\w+)\(", re.M)
RENAMED = re.compile(r"^#define (pl_\w+) +(\1_double)$", re.M)
LUA = re.compile(r"lua(L|open)?_")  # where it is linked in


def declared(doubles):
    texts = []
    for path in glob.glob(os.path.join(ROOT, "include", "*.h")):
        with open(path, encoding="utf-8") as f:
            texts.append(f.read())
    text = "\n".join(texts)
    renamed = dict(RENAMED.findall(text)) if doubles else {}
    return {renamed.get(name, name) for name in DECLARED.findall(text)}


def shown(library):
    """The version of each name."""
    nm = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
    names = (line.split()[-1].partition("@") for line in nm.stdout.splitlines())
    return {name: version.lstrip("@") for name, _, version in names if not name.startswith("PERILUNE_")}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = shown(os.path.join(sys.argv[1], "libperilune.so"))
    wanted = declared("pl_data_double" in found)
    wrong = [f"{name} is shown, and stands in no header"
             for name in found.keys() - wanted if not LUA.match(name)]
    wrong += [f"{name} stands in a header, and is not shown" for name in wanted - found.keys()]
    wrong += [f"{name} has no version" for name, version in found.items() if not version.startswith("PERILUNE_")]
    if wrong or not wanted:
        sys.exit("\n".join(sorted(wrong)))


if __name__ == "__main__":
    main()
