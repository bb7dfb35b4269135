#!/usr/bin/env python3
"""What may be written of the memory that all threads share, or that lasts as long as a thread.

usage: statics.py BUILD   lists each such variable of src/ that ALLOWED below does not explain

Constant data that needs an address of the shared library at load time is no variable.
"""

import glob
import os
import re
import subprocess
import sys

WRITABLE = re.compile(r"^\.(data|bss|tdata|tbss)(?!\.rel\.ro)|^COMMON$")
RESERVED = re.compile(r"^(__|\.?L|\.Lubsan|DW\.)")  # the compiler's and the sanitizers'

# Object file, as its path below src/ without .c, and variable: why it may be there.
ALLOWED = {
    ("host/line", "editor"): "the program's one prompt",
    ("host/repl", "said"): "the program's one prompt",
    ("host/repl", "armed"): "the program's one host",
    ("host/interrupt", "innermost"): "what the thread executes",
    ("host/interrupt", "stop_signal"): "set by the program before hosts run, atomic",
    ("base/context", "pl_here"): "the context that a thread is in",
    ("base/context", "own"): "set when the library is loaded",
    ("base/context", "pl_scopes_end"): "set when the library is loaded",
    ("autograd/backward", "ops"): "set when the library is loaded",
    ("tensor/tensor", "pl_history_drop"): "set when the library is loaded",
    ("ops/registry", "lock"): "a lock",
    ("ops/registry", "first"): "all hosts have the ops that were registered; only grows, atomic",
    ("ops/registry", "last"): "the same, changed under its lock",
    ("ops/registry", "count"): "the same, atomic",
    ("ops/load", "loading"): "a lock",
    ("ops/load", "libraries"): "changed and read under its lock",
    ("base/threads", "blas_once"): "set once, by pthread_once",
    ("base/threads", "blas_text"): "set once, by pthread_once",
    ("learn/train", "silence_once"): "set once, by pthread_once",
    ("kernels/dispatch", "picked"): "set to the same by any thread, atomic",
    ("kernels/conv/algorithm", "known"): "set to the same by any thread, atomic",
    ("kernels/gemm/algorithm", "known"): "set to the same by any thread, atomic",
}


def sources():
    """Names of object files as Meson makes them: 'src_base_error.c.o' -> 'base/error'."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    names = {}
    for path in glob.glob(os.path.join(root, "src", "**", "*.c"), recursive=True):
        below = os.path.relpath(path, root)
        names[below.replace(os.sep, "_") + ".o"] = os.path.relpath(path, os.path.join(root, "src"))[:-2]
    return names


def variables(build):
    """(file below src/, variable) of each writable static."""
    names, found = sources(), set()
    objects = glob.glob(os.path.join(build, "**", "src_*.c.o"), recursive=True)
    nm = subprocess.run(["nm", "-A", "-f", "sysv", *objects], capture_output=True, text=True, check=True)
    for line in nm.stdout.splitlines():
        fields = [f.strip() for f in line.split("|")]
        if len(fields) != 7 or not WRITABLE.match(fields[6]):
            continue
        path, symbol = fields[0].rsplit(":", 1)
        file = names.get(os.path.basename(path))
        if file and not RESERVED.match(symbol):
            found.add((file, re.sub(r"^.*\.(?=\D)|\.\d+$", "", symbol)))
    return found


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = variables(sys.argv[1])
    wrong = [f"{file}.c: '{v}' may be written, and is shared by all hosts"
             for file, v in found - set(ALLOWED)]
    wrong += [f"scripts/statics.py allows {file}.c: '{v}', which is not there"
              for file, v in set(ALLOWED) - found if os.path.dirname(file) != "host"]
    if wrong:
        sys.exit("\n".join(sorted(wrong)))


if __name__ == "__main__":
    main()
