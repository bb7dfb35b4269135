#!/usr/bin/env python3
"""Networks from PyTorch and back: Perilune loads, trains and saves them, and PyTorch takes all they have and
computes the same. Skipped without PyTorch. The last line is `N passed, N failed`.

usage: back.py PERILUNE
"""

import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import torch
except ImportError:
    print("skipped: PyTorch is not there")
    sys.exit(77)

from networks import NETWORKS, read

HERE = Path(__file__).resolve().parent


def check(folder, name):
    make, x = NETWORKS[name]
    net, first = make(), read(HERE / f"{name}.safetensors")
    state = read(f"{folder}/{name}.safetensors")
    net.load_state_dict(state, strict=True)
    if any(first[k].shape != t.shape for k, t in state.items()):
        return "another shape"
    if not any((first[k] != t).any() for k, t in state.items()):
        return "nothing was trained"
    want = read(f"{folder}/{name}-results.safetensors")["results"]
    with torch.no_grad():
        wrong = (net.eval()(x) - want).abs().max() / want.abs().max()
    return None if wrong < 1e-6 else f"results differ by {wrong}"


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], HERE / "back.lua", folder], check=True)
        for name in NETWORKS:
            problem = check(folder, name)
            failed += problem is not None
            if problem:
                print(f"{name}: {problem}")
    print(f"{len(NETWORKS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
