"""Functions of each element, arithmetic with broadcasting, comparison, operators."""

import math

import torch
import torch.nn.functional as F

from case import Case, lua
from draw import STYLES

# Where the functions are defined: the values that are drawn for them besides the special ones.
DOMAIN = {
    "log": "positive",
    "log2": "positive",
    "log10": "positive",
    "log1p": "positive",
    "sqrt": "positive",
    "rsqrt": "positive",
    "asin": "unit",
    "acos": "unit",
}
UNARY = {
    "softplus": lambda x: F.softplus(x, threshold=40),
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "selu": F.selu,
    "mish": F.mish,
    "hardsigmoid": lambda x: torch.clamp(
        x / 6 + 0.5, 0, 1
    ),  # PyTorch's gradient has 1/6 in single precision
    "hardswish": F.hardswish,
    "logsigmoid": F.logsigmoid,
}
UNARY.update(
    {
        name: getattr(torch, name)
        for name in (
            "neg exp log expm1 log2 log10 log1p sqrt rsqrt square reciprocal abs sin cos tan asin "
            "acos atan sinh cosh erf "
            "sign floor ceil round trunc frac tanh sigmoid isnan isinf isfinite"
        ).split()
    }
)

UNARY["sign"] = lambda x: torch.where(x.isnan(), x.detach(), x.sign())  # PyTorch: 0 of NaN

# How many times a gradient is taken at most: where PyTorch's own second derivative is NaN, or,
# where two formulas meet, another.
ORDERS = {("mish", "offset"): 1, ("elu", "ties"): 1, ("selu", "ties"): 1}

# At NaN and infinities these have other gradients than in PyTorch, as the reference says.
ORDERS.update({(name, "special"): 0 for name in "relu gelu selu hardswish hardtanh elu".split()})


def style_for(d, name):
    return DOMAIN[name] if name in DOMAIN and d.chance(0.7) else d.choice(STYLES)


def unary(d):
    name = d.choice(sorted(UNARY))
    style = style_for(d, name)
    x = d.tensor(d.shape(), style)
    text = "%s:%s()" % (x.text, name) if d.flag() else "pl.%s(%s)" % (name, x.text)
    orders = min(orders_for(style), ORDERS.get((name, style), 2))
    return Case("return " + text, lambda: UNARY[name](x()), orders, exact=True)


def orders_for(style):
    """Where numbers overflow, gradients of gradients are a matter of how the formula is written."""
    return {"special": 1, "huge": 1, "tiny": 1}.get(style, 2)


def with_options(d):
    name, style = d.choice(
        ["clamp", "hardtanh", "elu", "leaky_relu", "nan_to_num", "affine"]
    ), d.choice(STYLES)
    x = d.tensor(d.shape(), style)
    if name == "clamp":
        o = d.some(min=d.number, max=d.number) or {"min": d.number()}
        f = lambda t: torch.clamp(t, **o)
    elif name == "hardtanh":
        o = {"min_val": d.number(-2, 0), "max_val": d.number(0.1, 2)}
        f = lambda t: F.hardtanh(t, **o)
    elif name == "elu":
        o = d.some(alpha=lambda: d.number(0.1, 2))
        f = lambda t: F.elu(t, **o)
    elif name == "leaky_relu":
        o = d.some(slope=d.number)
        f = lambda t: F.leaky_relu(t, o.get("slope", 0.01))
    elif name == "nan_to_num":
        o = d.some(nan=d.number, posinf=d.number, neginf=d.number)
        o = {"posinf": 1e30, "neginf": -1e30, **o}
        f = lambda t: torch.nan_to_num(t, **o)
    else:
        o = d.some(scale=d.number, shift=d.number)
        f = lambda t: t * o.get("scale", 1) + o.get("shift", 0)
    orders = min(orders_for(style), ORDERS.get((name, style), 2))
    return Case("return %s:%s(%s)" % (x.text, name, lua(o) if o else ""), lambda: f(x()), orders)


BINARY = {
    name: getattr(torch, name)
    for name in "add sub mul div pow maximum minimum fmod remainder floor_divide atan2".split()
}
COMPARE = {name: getattr(torch, name) for name in "eq ne lt le gt ge".split()}


def pair(d, style, other=None):
    shape = d.shape()
    a, b = d.tensor(d.broadcasting(shape), style), d.tensor(d.broadcasting(shape), other or style)
    return (a, b) if d.flag() else (b, a)


def binary(d):
    name = d.choice(sorted(BINARY))
    style = d.choice(STYLES)
    a, b = pair(d, "positive" if name == "pow" and d.chance(0.5) else style, style)
    orders = orders_for(style)
    if name in ("maximum", "minimum") and style in ("ties", "offset", "special"):
        orders = 0  # of equal values the first has the gradient here, and each a half in PyTorch
    if name == "pow" and style == "ties":
        orders = 1  # a second derivative at base 0 is 0 here, and NaN in PyTorch
    return Case(
        "return pl.%s(%s, %s)" % (name, a.text, b.text),
        lambda: BINARY[name](a(), b()),
        orders,
        exact=True,
    )


def compared(d):
    name = d.choice(sorted(COMPARE))
    a, b = pair(d, d.choice(["ties", "special", "plain"]))
    return Case("return pl.%s(%s, %s)" % (name, a.text, b.text), lambda: COMPARE[name](a(), b()), 0)


OPERATORS = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "/": torch.div,
    "^": torch.pow,
    "%": torch.remainder,
    "//": torch.floor_divide,
}


def operator(d):
    """With a number on one side, or tensors on both."""
    sign = d.choice(sorted(OPERATORS))
    f, style = OPERATORS[sign], d.choice(["plain", "positive", "ties", "special"])
    x = d.tensor(d.shape(), style)
    v = d.choice([d.number(), float(d.integer(-3, 3)), 0.25, 2.0])
    orders = 1 if sign == "^" and (style == "ties" or v == 0) else orders_for(style)
    side = d.choice(["left", "right", "both"])
    if side == "both":
        y = d.tensor(d.broadcasting(x.shape()), style)
        return Case("return %s %s %s" % (x.text, sign, y.text), lambda: f(x(), y()), orders)
    if side == "right":
        return Case("return %s %s %s" % (x.text, sign, lua(v)), lambda: f(x(), v), orders)
    return Case(
        "return (%s) %s %s" % (lua(v), sign, x.text), lambda: f(torch.tensor(v), x()), orders
    )


def three(d):
    name = d.choice(["where", "lerp", "masked_fill"])
    shape = d.shape()
    a, b = d.tensor(d.broadcasting(shape)), d.tensor(d.broadcasting(shape))
    if name == "lerp":
        w = d.tensor(d.broadcasting(shape))
        if math.prod(torch.broadcast_shapes(a.shape(), b.shape())) < math.prod(
            torch.broadcast_shapes(a.shape(), b.shape(), w.shape())
        ):
            a = d.tensor(shape)
        return Case(
            "return pl.lerp(%s, %s, %s)" % (a.text, b.text, w.text),
            lambda: torch.lerp(a(), b(), w()),
        )
    m = d.mask(d.broadcasting(shape))
    if name == "where":
        return Case(
            "return pl.where(%s, %s, %s)" % (m.text, a.text, b.text),
            lambda: torch.where(m().bool(), a(), b()),
        )
    v = d.number()
    x = d.tensor(shape)
    return Case(
        "return %s:masked_fill(%s, %s)" % (x.text, m.text, lua(v)),
        lambda: x().masked_fill(m().bool(), v),
    )


def chain(d):
    """Several functions one after the other, by methods and operators."""
    x = d.tensor(d.shape())
    steps = [
        d.choice(["tanh", "sigmoid", "sin", "softplus", "square", "gelu", "erf"])
        for _ in range(d.integer(2, 4))
    ]
    text, v = x.text, d.number()

    def f():
        t = x()
        for s in steps:
            t = UNARY[s](t) * x() + v
        return t

    for s in steps:
        text = "(%s):%s() * %s + %s" % (text, s, x.text, lua(v))
    return Case("return " + text, f)


KINDS = [
    (unary, 14),
    (with_options, 5),
    (binary, 10),
    (compared, 3),
    (operator, 5),
    (three, 4),
    (chain, 2),
]
