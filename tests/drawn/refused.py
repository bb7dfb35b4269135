"""Arguments that often do not fit: what PyTorch refuses must be refused, and nothing else."""

import torch
import torch.nn.functional as F

from case import Case, lua
from draw import lua_dim, lua_dims
from products import equation


def small(d, least=0, most=3):
    return tuple(d.choice([0, 1, 1, 2, 2, 3, 3, 4]) for _ in range(d.integer(least, most)))


def pairs(d):
    name = d.choice(["add", "mul", "maximum", "matmul", "mm", "mv", "dot", "outer", "eq", "cdist"])
    a, b = d.tensor(small(d)), d.tensor(small(d))
    return Case(
        "return pl.%s(%s, %s)" % (name, a.text, b.text), lambda: getattr(torch, name)(a(), b()), 0
    )


def any_dim(d):
    """A dim that may not be there, of a tensor that may be empty."""
    name = d.choice(
        [
            "sum",
            "mean",
            "amax",
            "amin",
            "max",
            "min",
            "prod",
            "median",
            "logsumexp",
            "argmax",
            "cumsum",
            "sort",
            "softmax",
            "unsqueeze",
            "squeeze",
            "unbind",
            "var",
            "std",
            "norm",
            "flip",
        ]
    )
    x, at = d.tensor(small(d, 1)), d.integer(-4, 3)
    text = "%s:%s(%d)" % (x.text, name, lua_dim(at))

    def f():
        if name == "norm":
            return torch.linalg.vector_norm(x(), dim=at)
        result = getattr(x().contiguous(), name)(at) if name != "flip" else x().flip(at)
        if name in ("max", "min", "median"):
            return result[0]
        return result + 1 if name == "argmax" else result

    if name == "unbind":
        return Case("return table.unpack(%s)" % text, f, 0)
    if name == "sort":
        return Case("return (%s)" % text, lambda: f()[0], 0)
    return Case("return (%s)" % text, f, 0)


def whole(d):
    name = d.choice(
        [
            "max",
            "min",
            "amax",
            "amin",
            "argmax",
            "mean",
            "sum",
            "prod",
            "median",
            "var",
            "std",
            "any",
            "all",
        ]
    )
    x = d.tensor(small(d))
    if name == "median" and 0 in x.shape():
        name = "max"

    def f():
        if name in ("any", "all"):
            return getattr(torch, name)(x().bool())
        return getattr(torch, name)(x()) + (1 if name == "argmax" else 0)

    return Case("return %s:%s()" % (x.text, name), f, 0)


def several_dims(d):
    name = d.choice(["sum", "amax", "permute", "flip", "var"])
    x, dims = d.tensor(small(d, 1)), [d.integer(-3, 2) for _ in range(d.integer(1, 3))]
    f = getattr(torch, name)
    return Case("return %s:%s(%s)" % (x.text, name, lua(lua_dims(dims))), lambda: f(x(), dims), 0)


def sizes(d):
    name = d.choice(["reshape", "expand", "tile"])
    x, size = d.tensor(small(d)), [d.choice([-1, 0, 1, 2, 3, 4]) for _ in range(d.integer(0, 3))]
    if name == "tile":
        size = [abs(n) for n in size]  # PyTorch 2.9 takes negative ones for an empty result
    return Case("return %s:%s(%s)" % (x.text, name, lua(size)), lambda: getattr(x(), name)(size), 0)


def positions(d):
    x = d.tensor(small(d, 1))
    at, i, k = d.integer(-3, 2), d.integer(-5, 5), d.integer(-1, 5)
    name = d.choice(["select", "narrow", "topk", "split", "chunk"])
    k = k or 1 if name == "split" else k  # PyTorch splits an empty dim into pieces of 0
    text, f = {
        "select": (
            "%s:select(%d, %d)" % (x.text, lua_dim(at), lua_dim(i)),
            lambda: x().select(at, i),
        ),
        "narrow": (
            "%s:narrow(%d, %d, %d)" % (x.text, lua_dim(at), lua_dim(i), k),
            lambda: x().narrow(at, i, k),
        ),
        "topk": ("(%s:topk(%d, %d))" % (x.text, k, lua_dim(at)), lambda: x().topk(k, at)[0]),
        "split": (
            "table.unpack(%s:split(%d, %d))" % (x.text, k, lua_dim(at)),
            lambda: x().split(k, at),
        ),
        "chunk": (
            "table.unpack(%s:chunk(%d, %d))" % (x.text, k, lua_dim(at)),
            lambda: x().chunk(k, at),
        ),
    }[name]
    return Case("return " + text, f, 0)


def joined(d):
    ts = [
        d.tensor(tuple(n or 1 for n in small(d))) for _ in range(d.integer(1, 3))
    ]  # PyTorch's cat skips empty vectors
    name, at = d.choice(["cat", "stack"]), d.integer(-2, 2)
    return Case(
        "return pl.%s({%s}, %d)" % (name, ", ".join(t.text for t in ts), lua_dim(at)),
        lambda: getattr(torch, name)([t() for t in ts], at),
        0,
    )


def indexed(d):
    name = d.choice(["gather", "index_select", "embedding", "one_hot"])
    x = d.tensor(small(d, 1))
    at = d.integer(0, len(x.shape()) - 1)
    shape = small(d, 1)
    if name == "gather":  # PyTorch takes an index whose other dims are smaller
        shape = x.shape()[:at] + (d.integer(0, 4),) + x.shape()[at + 1 :]
    i = d.ints(shape, 0, 4)
    rows = lambda: i().long() - 1
    text, f = {
        "gather": (
            "pl.gather(%s, %s, %d)" % (x.text, i.text, at + 1),
            lambda: x().gather(at, rows()),
        ),
        "index_select": (
            "pl.index_select(%s, %s, %d)" % (x.text, i.text, at + 1),
            lambda: x().index_select(at, rows()),
        ),
        "embedding": ("pl.embedding(%s, %s)" % (i.text, x.text), lambda: F.embedding(rows(), x())),
        "one_hot": (
            "pl.one_hot(%s, 3)" % i.text,
            lambda: F.one_hot(rows(), 3).to(torch.get_default_dtype()),
        ),
    }[name]
    return Case("return " + text, f, 0)


def layered(d):
    name = d.choice(["linear", "conv2d", "max_pool2d", "avg_pool2d", "layer_norm", "batch_norm"])
    if name == "linear":
        x, w = d.tensor(small(d, 1)), d.tensor(small(d, 2, 2))
        b = d.tensor((w.shape()[0] + d.choice([0, 0, 2]),))  # PyTorch repeats one of one element
        return Case(
            "return pl.linear(%s, %s, %s)" % (x.text, w.text, b.text),
            lambda: F.linear(x(), w(), b()),
            0,
        )
    if name == "layer_norm":
        x, size = d.tensor(small(d, 1)), small(d, 1, 2)
        return Case(
            "return pl.layer_norm(%s, {normalized_shape = %s})" % (x.text, lua(size)),
            lambda: F.layer_norm(x(), size),
            0,
        )
    if name == "batch_norm":
        x = d.tensor(tuple(max(n, 1) for n in small(d, 2, 4)))
        return Case(
            "return pl.batch_norm(%s, {training = true})" % x.text,
            lambda: F.batch_norm(x(), None, None, training=True),
            0,
        )
    x, o = d.tensor((d.integer(1, 2), d.integer(1, 3), d.integer(1, 5), d.integer(1, 5))), {
        "stride": d.integer(0, 2),
        "padding": d.integer(0, 2),
    }
    if name != "conv2d":
        o["padding"] = d.choice([0, 4])
    if name == "conv2d":
        w = d.tensor((d.integer(1, 2), d.integer(1, 3), d.integer(1, 4), d.integer(1, 4)))
        return Case(
            "return pl.conv2d(%s, %s, %s)" % (x.text, w.text, lua(o)),
            lambda: F.conv2d(x(), w(), **o),
            0,
        )
    k = d.integer(0, 4)
    o["stride"] = max(o["stride"], 1)
    return Case(
        "return pl.%s(%s, %s)" % (name, x.text, lua({"size": k, **o})),
        lambda: getattr(F, name)(x(), k, **o),
        0,
    )


def lossy(d):
    name = d.choice(["mse_loss", "cross_entropy", "nll_loss", "binary_cross_entropy"])
    x = d.tensor(small(d, 1), "unit")
    if name in ("mse_loss", "binary_cross_entropy"):
        y = d.tensor(small(d, 1), "unit")
        if name == "mse_loss" and x.shape() != y.shape():
            y = d.tensor(x.shape())  # PyTorch warns, and broadcasts
        return Case(
            "return pl.%s(%s, %s)" % (name, x.text, y.text), lambda: getattr(F, name)(x(), y()), 0
        )
    if len(x.shape()) < 2:  # one example, which PyTorch takes
        x = d.tensor(small(d, 2), "unit")
    y = d.ints(small(d, 1), 0, 4)
    return Case(
        "return pl.%s(%s, %s)" % (name, x.text, y.text),
        lambda: getattr(F, name)(x(), y().long() - 1),
        0,
    )


def in_place(d):
    x, y = d.tensor(small(d), grad=False, layout=False), d.tensor(small(d), grad=False)
    name = d.choice(["add_", "mul_", "copy_"])
    return Case("x1:%s(%s)\nreturn x1" % (name, y.text), lambda: getattr(x(), name)(y()), 0)


def equations(d):
    operands, text = equation(d)
    ts = [d.tensor(tuple(d.integer(1, 2) for _ in range(d.integer(0, 3)))) for _ in operands]
    return Case(
        'return pl.einsum("%s", %s)' % (text, ", ".join(t.text for t in ts)),
        lambda: torch.einsum(text, *[t() for t in ts]),
        0,
    )


KINDS = [
    (pairs, 5),
    (any_dim, 5),
    (whole, 2),
    (several_dims, 3),
    (sizes, 3),
    (positions, 4),
    (joined, 3),
    (indexed, 3),
    (layered, 4),
    (lossy, 2),
    (in_place, 2),
    (equations, 1),
]
