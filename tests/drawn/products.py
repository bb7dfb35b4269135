"""Products of matrices, einsum, distances, linear layers."""

import math

import torch
import torch.nn.functional as F

from case import Case, lua

NAMED = {
    "mm": ("mk", "kn"),
    "mv": ("mk", "k"),
    "dot": ("k", "k"),
    "outer": ("m", "n"),
    "bmm": ("smk", "skn"),
}


def sizes(d, letters, most=17):
    return {
        c: 257 if d.chance(0.03) else d.integer(1, most) if d.chance(0.95) else 0 for c in letters
    }


def named(d):
    name = d.choice(sorted(NAMED))
    n = sizes(d, "smkn", 9)
    a, b = (d.tensor(tuple(n[c] for c in letters)) for letters in NAMED[name])
    return Case(
        "return pl.%s(%s, %s)" % (name, a.text, b.text), lambda: getattr(torch, name)(a(), b())
    )


def matmul(d):
    n = sizes(d, "mkn", 13)
    batch = d.shape(most=3, elements=12)
    a = d.tensor(d.choice([(n["k"],), d.broadcasting(batch) + (n["m"], n["k"])]))
    b = d.tensor(d.choice([(n["k"],), d.broadcasting(batch) + (n["k"], n["n"])]))
    if d.chance(0.05):
        b = d.tensor((n["k"] + 1, n["n"]))
    return Case("return %s:matmul(%s)" % (a.text, b.text), lambda: torch.matmul(a(), b()))


def addmm(d):
    n = sizes(d, "mkn", 9)
    a, b = d.tensor((n["m"], n["k"])), d.tensor((n["k"], n["n"]))
    x = d.tensor(d.broadcasting((n["m"], n["n"])))
    o = d.some(beta=d.number, alpha=d.number)
    return Case(
        "return pl.addmm(%s, %s, %s%s)" % (x.text, a.text, b.text, ", " + lua(o) if o else ""),
        lambda: torch.addmm(x(), a(), b(), **o),
    )


def large(d):
    """Of sizes at which other kernels are taken."""
    m, k, n = (d.choice([1, 2, 16, 31, 64, 97, 130, 257]) for _ in "mkn")
    a, b = d.tensor((m, k)), d.tensor((k, n))
    return Case(
        "return (%s:matmul(%s)):sum(1)" % (a.text, b.text), lambda: torch.matmul(a(), b()).sum(0), 1
    )


def linear(d):
    k, n = d.integer(1, 17), d.integer(1, 17)
    x, w = d.tensor(d.shape(most=3, elements=40) + (k,)), d.tensor((n, k))
    b = d.tensor((n,)) if d.flag() else None
    act = d.choice(sorted(ACTIVATIONS))
    o = {} if act == "none" else {"activation": act}
    return Case(
        "return pl.linear(%s, %s, %s, %s)" % (x.text, w.text, lua(b), lua(o)),
        lambda: ACTIVATIONS[act](F.linear(x(), w(), None if b is None else b())),
    )


ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "selu": F.selu,
    "hardswish": F.hardswish,
    "mish": F.mish,
}


def distances(d):
    n = sizes(d, "mkn", 7)
    batch = d.shape(most=2, elements=6)
    a = d.tensor(d.broadcasting(batch) + (n["m"], n["k"]))
    b = d.tensor(d.broadcasting(batch) + (n["n"], n["k"]))
    p = d.choice([0.5, 1.0, 1.5, 2.0, 3.0, math.inf])
    exactly = "donot_use_mm_for_euclid_dist"
    # PyTorch has no second derivative of cdist.
    return Case(
        "return pl.cdist(%s, %s, %s)" % (a.text, b.text, lua(p)),
        lambda: torch.cdist(a(), b(), p, compute_mode=exactly),
        1,
    )


def equation(d):
    """One to three operands with shared, repeated and summed letters, `...`, perhaps no output."""
    letters = "abcdef"[: d.integer(1, 5)]
    operands = [
        "".join(d.choice(letters) for _ in range(d.integer(0, 3))) for _ in range(d.integer(1, 3))
    ]
    used = sorted(set("".join(operands)))
    dots = d.chance(0.3)
    if dots:
        at = d.integer(0, len(operands) - 1)
        operands = ["..." + o if k == at or d.flag() else o for k, o in enumerate(operands)]
    text = ",".join(operands)
    if d.chance(0.8):
        out = [used[i] for i in d.rng.permutation(len(used))[: d.integer(0, len(used))]]
        text += "->" + ("..." if dots else "") + "".join(out)
    return operands, text


def einsum(d):
    operands, text = equation(d)
    n = {c: d.integer(1, 5) for c in "abcdef"}
    front = d.full_shape(most=2, elements=6)
    ts = [
        d.tensor(
            (d.broadcasting(front) if o.startswith("...") else ())
            + tuple(n[c] for c in o.lstrip("."))
        )
        for o in operands
    ]
    return Case(
        'return pl.einsum("%s", %s)' % (text, ", ".join(t.text for t in ts)),
        lambda: torch.einsum(text, *[t() for t in ts]),
    )


KINDS = [(named, 5), (matmul, 6), (addmm, 2), (large, 2), (linear, 4), (distances, 2), (einsum, 6)]
