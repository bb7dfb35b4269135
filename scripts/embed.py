#!/usr/bin/env python3
"""Compiles the Lua library in: prints one C file with the text of every lua/**/*.lua.

usage: embed.py FOLDER

FOLDER is the source tree's lua/. Each build runs this, to look for new files; Meson, which captures
the output, leaves a file alone that says the same. The table that it defines is declared in
src/host/module.h. Tracebacks name the chunks perilune/nn.lua and so on.
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


def lua_files(folder):
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".lua"):
                yield os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")


def embed(folder):
    arrays, rows = [], []
    for i, path in enumerate(sorted(lua_files(folder), key=module_name)):
        with open(os.path.join(folder, path), "rb") as f:
            data = f.read()
        arrays.append(byte_array(f"text_{i}", data))
        rows.append(
            f'  {{"{module_name(path)}", "@{path}", (const char *)text_{i}, {len(data)}}},\n'
        )
    table = "const pl_embedded pl_embedded_lua[] = {\n" + "".join(rows) + "  {0, 0, 0, 0}};\n"
    return HEAD + "\n".join(arrays) + "\n" + table


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.write(embed(sys.argv[1]))


if __name__ == "__main__":
    main()
