"""Sums, extremes, orders, statistics, softmax."""

import torch

from case import Case, lua
from draw import lua_dim, lua_dims

OVER_DIMS = ["sum", "mean", "amax", "amin", "norm", "var", "std", "var_mean", "nansum", "nanmean"]
ALONG_DIM = ["max", "min", "prod", "median", "logsumexp", "argmax", "argmin"]
SCANS = [
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "sort",
    "argsort",
    "topk",
    "softmax",
    "log_softmax",
]
ONE_BASED = {"max", "min", "median", "cummax", "cummin", "sort", "topk"}
BY_VALUE = {
    "amax",
    "amin",
    "max",
    "min",
    "median",
    "argmax",
    "argmin",
    "cummax",
    "cummin",
    "sort",
    "argsort",
    "topk",
}


def counted(name, result):
    """Positions as Lua has them, from 1."""
    if name in ("argmax", "argmin", "argsort"):
        return result + 1
    if name in ONE_BASED and not isinstance(result, torch.Tensor):
        return result[0], result[1] + 1
    return result


def style_for(d, name):
    """Of equal values PyTorch gives the position of any."""
    if name in BY_VALUE:
        return d.choice(["plain", "plain", "plain", "huge", "tiny"])
    if name in ("prod", "cumprod"):
        return d.choice(["plain", "ties"])
    if name in (
        "var",
        "std",
        "var_mean",
    ):  # beside infinities the gradients differ, and the mean of var_mean
        return d.choice(["plain", "plain", "ties", "offset"])
    return d.choice(["plain"] * 4 + ["ties", "offset", "odd"])


def orders_for(style, name=""):
    if name == "nanmean" and style == "odd":  # of NaN alone
        return 0
    if name == "norm" and style == "ties":  # of zeros
        return 1
    return {"odd": 1, "huge": 1, "tiny": 1}.get(style, 2)


def layout_for(name):
    return "distinct" if name in BY_VALUE else True


def method(x, name, options):
    return "return %s:%s(%s)" % (x.text, name, lua(options) if options else "")


def over_dims(d):
    name = d.choice(OVER_DIMS)
    style = style_for(d, name)
    x = d.tensor(d.shape(), style, layout=layout_for(name))
    rank = len(x.shape())
    dims = d.dims(rank) if rank and d.chance(0.75) else None
    o, keep = {}, d.flag()
    if dims:
        o["dim"] = lua_dims(dims) if len(dims) > 1 or d.flag() else lua_dim(dims[0])
    if keep:
        o["keepdim"] = True
    every = dims if dims else list(range(rank))
    more = {}
    if name in ("var", "std", "var_mean") and d.flag():
        o["unbiased"] = d.flag()
        more = {"unbiased": o["unbiased"]}
    f = torch.linalg.vector_norm if name == "norm" else getattr(torch, name)
    return Case(
        method(x, name, o), lambda: f(x(), dim=every, keepdim=keep, **more), orders_for(style, name)
    )


def along_dim(d):
    name = d.choice(ALONG_DIM)
    style = style_for(d, name)
    x = d.tensor(d.shape(least=1), style, layout=layout_for(name))
    at, keep = d.dim(len(x.shape())), d.flag()
    o = {"dim": lua_dim(at), **({"keepdim": True} if keep else {})}
    f = getattr(torch, name)
    # PyTorch 2.9's median along a dim is wrong of expanded tensors.
    return Case(
        method(x, name, o), lambda: counted(name, f(x().contiguous(), at, keep)), orders_for(style)
    )


def whole(d):
    name = d.choice(
        ["max", "min", "prod", "median", "argmax", "argmin", "any", "all", "sum", "mean"]
    )
    style = style_for(d, name)
    x = d.tensor(d.shape(), style, layout=layout_for(name))
    if name == "median" and 0 in x.shape():
        name = "sum"
    f = getattr(torch, name)
    if name in ("any", "all"):
        return Case(method(x, name, {}), lambda: f(x().bool()), 0)
    return Case(method(x, name, {}), lambda: counted(name, f(x())), orders_for(style))


def scan(d):
    name = d.choice(SCANS)
    style = style_for(d, name)
    x = d.tensor(d.shape(least=1), style, layout=layout_for(name))
    at = d.dim(len(x.shape()))
    o = {"dim": lua_dim(at)}
    f = getattr(torch, name)
    more = {}
    if name in ("sort", "argsort"):
        more = d.some(descending=d.flag)
    elif name == "topk":
        more = {"k": d.integer(0, x.shape()[at]), **d.some(largest=d.flag)}
    run = lambda: counted(name, f(x(), dim=at, **more))
    return Case(method(x, name, {**o, **more}), run, orders_for(style))


def ties(d):
    """Equal values, NaN and infinities, as far as PyTorch promises what it gives."""
    name = d.choice(["sort", "argsort", "amax", "amin", "max", "min", "cummax", "cummin", "topk"])
    x = d.tensor(d.full_shape(least=1), d.choice(["ties", "special"]))
    at = d.dim(len(x.shape()))
    dim = lua_dim(at)
    if name in ("sort", "argsort"):
        down = d.flag()
        f = getattr(torch, name)
        return Case(
            "return %s:%s{dim = %d, descending = %s}" % (x.text, name, dim, lua(down)),
            lambda: counted(name, f(x(), dim=at, descending=down, stable=True)),
            0,
        )
    if name in ("amax", "amin"):
        return Case(
            "return %s:%s(%d)" % (x.text, name, dim), lambda: getattr(torch, name)(x(), at), 0
        )
    more = [d.integer(1, x.shape()[at])] if name == "topk" else []
    return Case(
        "return (%s:%s(%s))" % (x.text, name, ", ".join(map(str, more + [dim]))),
        lambda: getattr(torch, name)(x(), *more, at)[0],
        0,
    )


def statistics(d):
    name = d.choice(["quantile", "histc", "cov", "corrcoef"])
    if name == "quantile":
        x = d.tensor(d.full_shape())
        rank = len(x.shape())
        at = d.dim(rank) if rank and d.chance(0.7) else None
        q = d.choice([0.0, 1.0, 0.5, d.integer(0, 64) / 64])
        o = d.some(
            keepdim=d.flag,
            interpolation=lambda: d.choice(["linear", "lower", "higher", "midpoint", "nearest"]),
        )
        given = {"q": q, "dim": None if at is None else lua_dim(at), **o}
        return Case(method(x, name, given), lambda: torch.quantile(x(), torch.tensor(q), at, **o))
    if name == "histc":
        x = d.tensor(d.shape(), d.choice(["plain", "ties"]))
        o = {
            "bins": d.integer(1, 12),
            **({"min": d.number(-3, 0), "max": d.number(0.1, 3)} if d.flag() else {}),
        }
        return Case(method(x, name, o), lambda: torch.histc(x(), **o), 0)
    x = d.tensor(
        (d.integer(2, 7), d.integer(2, 11)) if d.chance(0.8) else (d.integer(2, 11),), layout=False
    )
    o = d.some(correction=lambda: d.integer(0, 1)) if name == "cov" else {}
    return Case(method(x, name, o), lambda: getattr(torch, name)(x(), **o))


KINDS = [(over_dims, 12), (along_dim, 6), (whole, 4), (scan, 7), (ties, 3), (statistics, 4)]
