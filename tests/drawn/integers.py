"""int32, uint8 and real tensors beside each other. There is no int64 and no wrapping here: int32
and uint8 count as int32 in arithmetic, and what does not fit is refused."""

import torch

from case import BYTE, INT, REAL, Case, lua
from draw import lua_dim

LEAST, MOST = -(2**31), 2**31 - 1


def wide(t):
    return t if t.is_floating_point() else t.long()


def fitting(t):
    """An int32 result, or what PyTorch's caller would have to do with a larger one."""
    if not t.is_floating_point() and t.numel() and (t.min() < LEAST or t.max() > MOST):
        raise ValueError("the result does not fit int32")
    return t


def operand(d, shape, kind, large=False):
    if kind == REAL:
        return d.tensor(shape, "ties" if d.flag() else "plain", grad=False)
    low, high = (LEAST, MOST) if large and kind == INT else (-9, 9) if kind == INT else (0, 255)
    return d.ints(shape, low, high, kind)


ARITHMETIC = {
    name: getattr(torch, name)
    for name in "add sub mul maximum minimum fmod remainder floor_divide".split()
}


def arithmetic(d):
    name = d.choice(sorted(ARITHMETIC))
    kinds = d.choice(
        [(INT, INT), (INT, BYTE), (BYTE, BYTE), (BYTE, INT), (INT, REAL), (REAL, BYTE)]
    )
    large = kinds == (INT, INT) and d.chance(0.3)
    shape = d.shape(most=3)
    a, b = (operand(d, d.broadcasting(shape), k, large) for k in kinds)
    return Case(
        "return pl.%s(%s, %s)" % (name, a.text, b.text),
        lambda: fitting(ARITHMETIC[name](*promoted(wide(a()), wide(b())))),
        0,
    )


def promoted(a, b):
    if a.is_floating_point() or b.is_floating_point():
        real = torch.get_default_dtype()
        return a.to(real), b.to(real)
    return a, b


OPERATORS = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "//": torch.floor_divide,
    "%": torch.remainder,
}


def with_number(d):
    sign, kind = d.choice(sorted(OPERATORS)), d.choice([INT, BYTE])
    x = operand(d, d.shape(most=3), kind)
    v = d.choice([1, -1, 2, 3, -4, 255, 0.5, -2.0])
    if d.flag():
        return Case(
            "return %s %s %s" % (x.text, sign, lua(v)),
            lambda: fitting(OPERATORS[sign](*promoted(wide(x()), torch.tensor(v)))),
            0,
        )
    return Case(
        "return (%s) %s %s" % (lua(v), sign, x.text),
        lambda: fitting(OPERATORS[sign](*promoted(torch.tensor(v), wide(x())))),
        0,
    )


def real_result(d):
    name = d.choice(["div", "pow", "atan2", "/", "^"])
    shape = d.shape(most=3)
    a, b = (operand(d, d.broadcasting(shape), d.choice([INT, BYTE, REAL])) for _ in range(2))
    f = {"/": torch.div, "^": torch.pow}.get(name) or getattr(torch, name)
    text = (
        "%s %s %s" % (a.text, name, b.text)
        if name in "/^"
        else "pl.%s(%s, %s)" % (name, a.text, b.text)
    )
    real = lambda t: t.to(torch.get_default_dtype())
    return Case("return " + text, lambda: f(real(a()), real(b())), 0)


UNARY = {
    name: getattr(torch, name) for name in "neg square abs relu sign floor ceil round trunc".split()
}
REAL_UNARY = {
    name: getattr(torch, name) for name in "exp sqrt sin tanh sigmoid reciprocal log1p erf".split()
}


def unary(d):
    x = operand(d, d.shape(), d.choice([INT, BYTE]), d.chance(0.2))
    if d.chance(0.3):
        name = d.choice(sorted(REAL_UNARY))
        return Case(
            "return %s:%s()" % (x.text, name),
            lambda: REAL_UNARY[name](x().to(torch.get_default_dtype())),
            0,
        )
    if d.chance(0.2):
        o = d.some(min=lambda: d.integer(-5, 5), max=lambda: d.integer(-5, 5)) or {"max": 3}
        return Case("return %s:clamp(%s)" % (x.text, lua(o)), lambda: wide(x()).clamp(**o), 0)
    name = d.choice(sorted(UNARY))
    return Case("return %s:%s()" % (x.text, name), lambda: fitting(UNARY[name](wide(x()))), 0)


def compared(d):
    name = d.choice("eq ne lt le gt ge logical_and logical_or logical_xor".split())
    shape = d.shape(most=3)
    a, b = (operand(d, d.broadcasting(shape), d.choice([INT, BYTE, REAL])) for _ in range(2))
    return Case(
        "return pl.%s(%s, %s)" % (name, a.text, b.text),
        lambda: getattr(torch, name)(wide(a()), wide(b())),
        0,
    )


def bits(d):
    name, sign = d.choice([("and", "&"), ("or", "|"), ("xor", "~")])
    shape = d.shape(most=3)
    kind = d.choice([INT, BYTE])
    a, b = (
        operand(d, d.broadcasting(shape), kind) if kind == INT else d.mask(d.broadcasting(shape))
        for _ in range(2)
    )
    f = getattr(torch, "bitwise_" + name)
    text = (
        "%s %s %s" % (a.text, sign, b.text)
        if d.flag()
        else "pl.bitwise_%s(%s, %s)" % (name, a.text, b.text)
    )
    if d.chance(0.2):
        return Case("return ~" + a.text, lambda: ~a() if kind == INT else ~a().bool(), 0)
    return Case("return " + text, lambda: f(a(), b()), 0)


def reduced(d):
    name = d.choice(
        ["sum", "prod", "amax", "amin", "mean", "any", "all", "max", "min", "argmax", "argmin"]
    )
    kind = d.choice([INT, BYTE])
    x = operand(d, d.shape(least=1, most=4), kind, name == "sum" and d.chance(0.3))
    at = d.dim(len(x.shape()))
    dim = lua_dim(at)
    if name == "mean":
        return Case(
            "return %s:mean(%d)" % (x.text, dim),
            lambda: x().to(torch.get_default_dtype()).mean(at),
            0,
        )
    if name == "sum":
        return Case("return %s:sum(%d)" % (x.text, dim), lambda: fitting(wide(x()).sum(at)), 0)
    if name == "prod":
        return Case(
            "return %s:prod(%d)" % (x.text, dim),
            lambda: fitting(x().double().prod(at).clamp(2 * LEAST, 2 * MOST).long()),
            0,
        )
    if name in ("any", "all"):
        return Case("return %s:%s()" % (x.text, name), lambda: getattr(torch, name)(x().bool()), 0)
    if name in ("amax", "amin"):
        return Case(
            "return %s:%s(%d)" % (x.text, name, dim), lambda: getattr(torch, name)(x(), at), 0
        )
    if name in ("argmax", "argmin"):  # of equal values PyTorch gives the position of any
        f = {"argmax": torch.amax, "argmin": torch.amin}[name]
        return Case(
            "return %s:gather(%s:%s(%d, true), %d)" % (x.text, x.text, name, dim, dim),
            lambda: f(x(), at, keepdim=True),
            0,
        )
    return Case(
        "return (%s:%s(%d))" % (x.text, name, dim), lambda: getattr(torch, name)(x(), at)[0], 0
    )


def ordered(d):
    x = operand(d, d.shape(least=1, most=4), d.choice([INT, BYTE]))
    at = d.dim(len(x.shape()))
    name = d.choice(["sort", "argsort", "topk", "cumsum", "cummax", "cummin"])
    dim = lua_dim(at)
    if name in ("sort", "argsort"):
        down = d.flag()
        f = getattr(torch, name)
        run = lambda: f(x(), dim=at, descending=down, stable=True)
        return Case(
            "return %s:%s(%d, %s)" % (x.text, name, dim, lua(down)),
            lambda: (run()[0], run()[1] + 1) if name == "sort" else run() + 1,
            0,
        )
    if name == "topk":
        k = d.integer(0, x.shape()[at])
        return Case("return (%s:topk(%d, %d))" % (x.text, k, dim), lambda: x().topk(k, at)[0], 0)
    if name == "cumsum":
        return Case(
            "return %s:cumsum(%d)" % (x.text, dim), lambda: fitting(wide(x()).cumsum(at)), 0
        )
    return Case(
        "return (%s:%s(%d))" % (x.text, name, dim), lambda: getattr(torch, name)(x(), at)[0], 0
    )


def moved(d):
    """What moves elements keeps their kind."""
    kind = d.choice([INT, BYTE])
    x = operand(d, d.full_shape(least=1, most=4), kind)
    at = d.integer(0, len(x.shape()) - 1)
    n = x.shape()[at]
    i = d.index((d.integer(0, 5),), n)
    rows = lambda: i().long() - 1
    options = {
        "index_select(%s, %d)" % (i.text, at + 1): lambda: x().index_select(at, rows()),
        "flip(%d)" % (at + 1): lambda: x().flip(at),
        "roll(1)": lambda: x().roll(1),
        "unsqueeze(1)": lambda: x().unsqueeze(0),
        "flatten()": lambda: x().flatten(),
        "tile({2})": lambda: x().tile([2]),
        "repeat_interleave(2, %d)" % (at + 1): lambda: x().repeat_interleave(2, at),
        "clone()": lambda: x().clone(),
        "reshape({-1})": lambda: x().reshape(-1),
        'to("real")': lambda: x().to(torch.get_default_dtype()),
    }
    text = d.choice(sorted(options))
    return Case("return %s:%s" % (x.text, text), options[text], 0)


def chosen(d):
    kinds = [d.choice([INT, BYTE, REAL]) for _ in range(2)]
    shape = d.full_shape(most=3)
    m = d.mask(d.broadcasting(shape))
    a, b = (operand(d, d.broadcasting(shape), k) for k in kinds)

    def highest(t):
        kind = REAL if REAL in kinds else INT if INT in kinds else BYTE
        return t.to({REAL: torch.get_default_dtype(), INT: torch.int64, BYTE: torch.uint8}[kind])

    if d.flag():
        return Case(
            "return pl.where(%s, %s, %s)" % (m.text, a.text, b.text),
            lambda: torch.where(m().bool(), highest(a()), highest(b())),
            0,
        )
    return Case(
        "return pl.cat {%s:flatten(), %s:flatten()}" % (a.text, b.text),
        lambda: torch.cat([highest(a()).reshape(-1), highest(b()).reshape(-1)]),
        0,
    )


def in_place(d):
    kind = d.choice([INT, BYTE])
    x = d.ints(d.full_shape(least=1, most=3), 0, 200, kind, layout=False)
    name = d.choice(["add_", "sub_", "mul_", "fill_", "copy_"])
    low, high = {INT: (LEAST, MOST), BYTE: (0, 255)}[kind]
    v = d.choice([1, 3, -1, 60, 300])
    y = (
        None
        if d.flag() or name == "fill_"
        else operand(d, d.broadcasting(x.shape()), d.choice([INT, BYTE]))
    )

    def f():
        t, other = x().long(), torch.tensor(v) if y is None else y().long()
        getattr(t, name)(other)
        if (t < low).any() or (t > high).any():
            raise ValueError("does not fit")
        return t.to(x().dtype)

    if y is None and name == "copy_":
        name = "fill_"
    return Case("x1:%s(%s)\nreturn x1" % (name, lua(v) if y is None else y.text), f, 0)


def counted(d):
    name = d.choice(["bincount", "unique", "searchsorted"])
    if name == "bincount":
        x, least = d.index((d.integer(0, 17),), 9), d.choice([0, 12])
        return Case(
            "return %s:bincount(nil, %d)" % (x.text, least),
            lambda: torch.bincount(x().long() - 1, minlength=least),
            0,
        )
    if name == "unique":
        x = operand(d, d.shape(), d.choice([INT, BYTE, REAL]))
        if d.flag():
            return Case("return %s:unique()" % x.text, lambda: torch.unique(x()), 0)
        return Case("return pl.unique(%s, true, true)" % x.text, lambda: unique_all(x()), 0)
    s = d.add(d.rng.integers(-9, 9, d.integer(1, 12)), INT, False)
    s.data.sort()
    x, right = operand(d, d.full_shape(most=3), INT), d.flag()
    return Case(
        "return pl.searchsorted(x1, %s, {right = %s})" % (x.text, lua(right)),
        lambda: torch.searchsorted(s(), x(), right=right) + 1,
        0,
    )


def unique_all(t):
    values, inverse, counts = torch.unique(t, return_inverse=True, return_counts=True)
    return values, inverse + 1, counts


KINDS = [
    (arithmetic, 7),
    (with_number, 3),
    (real_result, 3),
    (unary, 4),
    (compared, 3),
    (bits, 2),
    (reduced, 5),
    (ordered, 4),
    (moved, 3),
    (chosen, 2),
    (in_place, 3),
    (counted, 2),
]
