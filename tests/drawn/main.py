"""Draws cases and writes them with PyTorch's results, for run.lua to compare:

    python3 tests/drawn/main.py --seed 1 --cases 5000 > cases.txt
    python3 tests/drawn/main.py --seed 1 --case 17          one case

A case depends on the seed and its number alone. The end of the standard error stream says how many
cases of each kind there are.
"""

import argparse
import collections
import sys
import warnings

import torch

import autograd
import elementwise
import indexing
import integers
import large
import layers
import linalg
import losses
import making
import optimisers
import products
import reductions
import refused
import shapes
from draw import Draw

MODULES = [
    making,
    elementwise,
    integers,
    shapes,
    reductions,
    indexing,
    products,
    linalg,
    losses,
    layers,
    optimisers,
    autograd,
    large,
    refused,
]
KINDS = [(m.__name__, f) for m in MODULES for f, weight in m.KINDS for _ in range(weight)]


def drawn(seed, number):
    """The kind of a case, and its line."""
    d = Draw(seed, number)
    module, f = d.choice(KINDS)
    case = f(d)
    case.inputs = d.inputs
    kind = "%s.%s" % (module, f.__name__)
    return kind, case.line(number, kind)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--case", type=int, help="only this one")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    counts = collections.Counter()
    print("-- PyTorch %s, seed %d" % (torch.__version__, options.seed))
    for number in [options.case] if options.case else range(1, options.cases + 1):
        kind, line = drawn(options.seed, number)
        counts[kind.split(".")[0]] += 1
        print(line)
    for kind, count in sorted(counts.items()):
        print("%6d %s" % (count, kind), file=sys.stderr)


main()
