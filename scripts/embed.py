#!/usr/bin/env python3
"""Compiles the Lua library in: writes one C file with the text of every lua/**/*.lua.

usage: embed.py OUTPUT.c FOLDER FILE.lua...

FILEs lie below FOLDER (the source tree's lua/). The table that the output defines is
declared in src/host/module.h. Tracebacks name the chunks perilune/nn.lua and so on.
"""

import os
import sys

HEAD = '/* Written by scripts/embed.py; do not edit. */\n#include "module.h"\n\n'


def module_name(path):
    """perilune/nn.lua and perilune/nn/init.lua are both the module perilune.nn."""
    name = path[: -len(".lua")]
    return name.removesuffix("/init").replace("/", ".")


def byte_array(name, data):
    rows = (data[i : i + 24] for i in range(0, len(data), 24))
    body = ",\n".join("  " + ",".join(map(str, row)) for row in rows)
    return f"static const unsigned char {name}[] = {{\n{body or '  0'}}};\n"


def embed(folder, files):
    paths = sorted((os.path.relpath(f, folder).replace(os.sep, "/") for f in files), key=module_name)
    arrays, rows = [], []
    for i, path in enumerate(paths):
        with open(os.path.join(folder, path), "rb") as f:
            data = f.read()
        arrays.append(byte_array(f"text_{i}", data))
        rows.append(
            f'  {{"{module_name(path)}", "@{path}", (const char *)text_{i}, {len(data)}}},\n'
        )
    table = "const pl_embedded pl_embedded_lua[] = {\n" + "".join(rows) + "  {0, 0, 0, 0}};\n"
    return HEAD + "\n".join(arrays) + "\n" + table


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    output, folder, *files = sys.argv[1:]
    with open(output, "w", encoding="ascii") as f:
        f.write(embed(folder, files))


if __name__ == "__main__":
    main()
