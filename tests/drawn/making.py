"""Tensors that are made: ranges, constants, likes, conversions."""

import torch

from case import Case, lua


def ranges(d):
    if d.flag():
        first, n = d.number(), d.integer(1, 40)
        last = d.number()
        return Case(
            "return pl.linspace(%s, %s, %d)" % (first, last, n),
            lambda: torch.linspace(first, last, n),
            0,
        )
    first, step, n = d.integer(-9, 9), d.choice([1, 2, -1, 0.5, 0.25, -0.75]), d.integer(1, 30)
    last = first + step * (n - 1)  # which Lua includes
    return Case(
        "return pl.arange(%s, %s, %s)" % (first, last, step),
        lambda: first + step * torch.arange(n).to(torch.get_default_dtype()),
        0,
    )


def constants(d):
    shape, v = d.shape(most=4), d.number()
    n, m = d.integer(0, 7), d.integer(0, 7)
    x = d.tensor(shape)
    options = {
        "pl.zeros(%s)" % lua(shape): lambda: torch.zeros(shape),
        "pl.ones(%s)" % lua(shape): lambda: torch.ones(shape),
        "pl.full(%s, %s)" % (lua(shape), v): lambda: torch.full(shape, v),
        "pl.eye(%d)" % n: lambda: torch.eye(n),
        "pl.eye(%d, %d)" % (n, m): lambda: torch.eye(n, m),
        "pl.zeros_like(%s)" % x.text: lambda: torch.zeros_like(x()),
        "pl.ones_like(%s)" % x.text: lambda: torch.ones_like(x()),
        "pl.full_like(%s, %s)" % (x.text, v): lambda: torch.full_like(x(), v),
        'pl.ones(%s, "int32")' % lua(shape): lambda: torch.ones(shape, dtype=torch.int64),
    }
    text = d.choice(sorted(options))
    return Case("return " + text, options[text], 0)


def converted(d):
    x = d.tensor(d.shape(), grad=False)
    options = {
        'to "int32"': lambda: x().long(),
        'abs():to "uint8"': lambda: x().abs().to(torch.uint8),
        "clone()": lambda: x().clone(),
        "contiguous()": lambda: x().contiguous(),
        "detach()": lambda: x().detach(),
    }
    text = d.choice(sorted(options))
    return Case("return %s:%s" % (x.text, text), options[text], 0)


KINDS = [(ranges, 2), (constants, 3), (converted, 2)]
