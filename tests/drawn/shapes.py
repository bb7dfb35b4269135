"""Functions that arrange elements, and views of views."""

import math

import torch
import torch.nn.functional as F

from case import Case, lua
from draw import lua_dim, lua_dims


def method(x, name, *arguments):
    return "return %s:%s(%s)" % (x.text, name, ", ".join(map(lua, arguments)))


def resized(d):
    x = d.tensor(d.shape())
    n = math.prod(x.shape())
    size, left = [], n
    while left > 1 and len(size) < 4 and d.chance(0.8):
        k = d.choice([k for k in range(1, left + 1) if left % k == 0])
        size.append(k)
        left //= k
    if left != 1:
        size.append(left)
    d.rng.shuffle(size)
    size = [int(k) for k in size]
    if size and n and d.chance(0.3):
        size[d.integer(0, len(size) - 1)] = -1
    if d.chance(0.05):
        size.append(2)
    name = d.choice(["reshape", "view"])
    return Case(method(x, name, size), lambda: x().reshape(size))


def one_dim(d):
    """A function of a tensor and a dim."""
    x = d.tensor(d.shape(least=1))
    rank = len(x.shape())
    name = d.choice(["unsqueeze", "squeeze", "select", "unbind", "chunk", "split", "narrow"])
    at = d.dim(rank)
    n = x.shape()[at]
    if name == "unsqueeze":
        if rank == 5:
            return Case(method(x, "squeeze"), lambda: x().squeeze())
        at = d.dim(rank + 1)
        return Case(method(x, name, lua_dim(at)), lambda: x().unsqueeze(at))
    if name == "squeeze":
        return Case(method(x, name, lua_dim(at)), lambda: x().squeeze(at))
    if name == "select":
        i = d.integer(-n - (1 if d.chance(0.1) else 0), max(n - 1, 0))
        return Case(method(x, name, lua_dim(at), lua_dim(i)), lambda: x().select(at, i))
    if name == "narrow":
        first = d.integer(0, n)
        length = d.integer(0, n - first)
        return Case(
            method(x, name, lua_dim(at), first + 1, length), lambda: x().narrow(at, first, length)
        )
    if name == "unbind":
        return Case(
            "return table.unpack(%s:unbind(%d))" % (x.text, lua_dim(at)), lambda: x().unbind(at)
        )
    k = d.integer(1, 6)
    return Case(
        "return table.unpack(%s:%s(%d, %d))" % (x.text, name, k, lua_dim(at)),
        lambda: getattr(x(), name)(k, at),
    )


def split_sizes(d):
    x = d.tensor(d.full_shape(least=1))
    at = d.dim(len(x.shape()))
    left, sizes = x.shape()[at], []
    while left:
        sizes.append(d.integer(0, left))
        left -= sizes[-1]
    return Case(
        "return table.unpack(%s:split(%s, %d))" % (x.text, lua(sizes), lua_dim(at)),
        lambda: x().split(sizes, at),
    )


def turned(d):
    x = d.tensor(d.shape(least=1))
    rank = len(x.shape())
    name = d.choice(["permute", "transpose", "flip", "roll", "flatten", "t"])
    if name == "permute":
        order = [int(i) - (rank if d.chance(0.2) else 0) for i in d.rng.permutation(rank)]
        return Case(method(x, name, lua_dims(order)), lambda: x().permute(order))
    if name == "transpose":
        a, b = d.dim(rank), d.dim(rank)
        return Case(method(x, name, lua_dim(a), lua_dim(b)), lambda: x().transpose(a, b))
    if name == "flip":
        dims = d.dims(rank)
        return Case(method(x, name, lua_dims(dims)), lambda: x().flip(dims))
    if name == "roll":
        dims = d.dims(rank)
        shifts = [d.integer(-20, 20) for _ in dims]
        if d.chance(0.3):
            return Case(method(x, name, shifts[0]), lambda: x().roll(shifts[0]))
        return Case(method(x, name, shifts, lua_dims(dims)), lambda: x().roll(shifts, dims))
    if name == "flatten":
        at = d.integer(0, rank - 1)
        return Case(method(x, name, at + 1), lambda: x().flatten(at))
    m = d.tensor(d.choice([(3, 5), (1, 7), (0, 2), (257, 2)]))
    return Case(method(m, "t"), lambda: m().t())


def repeated(d):
    name = d.choice(["expand", "tile", "repeat_interleave"])
    if name == "expand":
        x = d.tensor(tuple(1 if d.chance(0.5) else n for n in d.shape(most=3, elements=60)))
        size = [d.integer(1, 4) if n == 1 else d.choice([n, -1]) for n in x.shape()]
        size = [d.integer(1, 3) for _ in range(d.integer(0, 2))] + size
        return Case(method(x, name, size), lambda: x().expand(size))
    x = d.tensor(d.shape(most=3, elements=60))
    rank = len(x.shape())
    if name == "tile":
        times = [d.integer(0, 3) for _ in range(d.integer(1, 4))]
        return Case(method(x, name, times), lambda: x().tile(times))
    k, at = d.integer(0, 3), d.dim(rank) if rank and d.flag() else None
    return Case(
        method(x, name, k, *([] if at is None else [lua_dim(at)])),
        lambda: x().repeat_interleave(k, at),
    )


def joined(d):
    shape = d.shape(least=1, most=4, elements=120)
    n = d.integer(1, 4)
    if d.flag():
        at = d.dim(len(shape) + 1)
        ts = [d.tensor(shape) for _ in range(n)]
        name, f = "stack", torch.stack
    else:
        at = d.dim(len(shape))
        k = at % len(shape)
        least = 0 if len(shape) > 1 else 1  # PyTorch's cat skips empty vectors
        ts = [d.tensor(shape[:k] + (d.integer(least, 5),) + shape[k + 1 :]) for _ in range(n)]
        name, f = "cat", torch.cat
    if d.chance(0.1):
        ts.append(d.tensor(d.full_shape(least=1, most=4, elements=60)))
    return Case(
        "return pl.%s({%s}, %d)" % (name, ", ".join(t.text for t in ts), lua_dim(at)),
        lambda: f([t() for t in ts], at),
    )


def triangles(d):
    name = d.choice(["diag", "tril", "triu"])
    k = d.integer(-6, 6)
    if name == "diag":
        x = d.tensor(d.choice([d.full_shape(1, 1, 20), d.full_shape(2, 2), (3, 4)]))
        return Case(method(x, name, k), lambda: torch.diag(x(), k))
    x = d.tensor(d.shape(least=2))
    return Case(method(x, name, k), lambda: getattr(torch, name)(x(), k))


def padded(d):
    x = d.tensor(d.full_shape(least=1, most=4, elements=100))
    dims = d.integer(1, len(x.shape()))
    pads = [d.integer(0, 3) for _ in range(2 * dims)]
    v = d.choice([0.0, d.number()])
    return Case(
        "return pl.pad(%s, {pads = %s, value = %s})" % (x.text, lua(pads), lua(v)),
        lambda: F.pad(x(), pads, value=v),
    )


def views_of_views(d):
    """A tensor seen through up to six views, some of one another."""
    x = d.tensor(d.full_shape(least=1, most=4, elements=200))
    text, views = x.text, []
    t = torch.zeros(x.shape())
    for _ in range(d.integer(2, 6)):
        rank = t.dim()
        step = d.choice(["transpose", "narrow", "unsqueeze", "squeeze", "flip", "step", "select"])
        if step == "unsqueeze" and rank < 5:
            at = d.dim(rank + 1)
            more, f = ":unsqueeze(%d)" % lua_dim(at), lambda t, at=at: t.unsqueeze(at)
        elif step == "squeeze":
            more, f = ":squeeze()", lambda t: t.squeeze()
        elif not rank:
            continue
        else:
            more, f = view_of(d, t, step)
        text, t = text + more, f(t)
        views.append(f)

    def seen():
        t = x()
        for f in views:
            t = f(t)
        return t

    return Case("return " + text, seen)


def view_of(d, t, step):
    at = d.integer(0, t.dim() - 1)
    n = t.shape[at]
    if step == "transpose":
        b = d.integer(0, t.dim() - 1)
        return ":transpose(%d, %d)" % (at + 1, b + 1), lambda t: t.transpose(at, b)
    if step == "narrow":
        first = d.integer(0, max(n - 1, 0))
        k = d.integer(1, n - first)
        return ":narrow(%d, %d, %d)" % (at + 1, first + 1, k), lambda t: t.narrow(at, first, k)
    if step == "step":
        k = d.integer(1, 3)
        many = (n + k - 1) // k
        return (
            ":slice(%d, 1, %d, %d)" % (at + 1, many, k),
            lambda t: t[(slice(None),) * at + (slice(None, None, k),)],
        )
    if step == "select":
        i = d.integer(-n, n - 1)
        return ":select(%d, %d)" % (at + 1, lua_dim(i)), lambda t: t.select(at, i)
    return ":flip(%d)" % (at + 1), lambda t: t.flip(at)


KINDS = [
    (resized, 4),
    (one_dim, 7),
    (split_sizes, 2),
    (turned, 6),
    (repeated, 4),
    (joined, 5),
    (triangles, 3),
    (padded, 3),
    (views_of_views, 4),
]
