"""Reading and writing by t[key], functions of index tensors, changes in place."""

import torch
import torch.nn.functional as F

from case import Case, lua
from draw import lua_dim


def rows(i):
    return i().long() - 1


#
# t[key]: the Lua text of a key, and the same in PyTorch
#


def one_range(d, n):
    """A range of a dim of n positions: {first, last, step}, and the positions."""
    if d.chance(0.15):
        return "{}", list(range(n))
    step = d.choice([1, 1, 2, 3, -1, -2])
    first, last = sorted((d.integer(1, n), d.integer(1, n)))
    if step < 0:
        first, last = last, first
    positions = list(range(first - 1, last - 1 + (1 if step > 0 else -1), step))
    negative = lambda p: p - n - 1 if d.chance(0.3) else p
    bounds = [negative(first), negative(last)] + ([step] if step != 1 or d.chance(0.2) else [])
    return lua(bounds), positions


def take(positions, at):
    """A view of these positions of a dim, which are evenly spaced."""

    def view(t):
        step = positions[1] - positions[0] if len(positions) > 1 else 1
        first, last = positions[0], positions[-1]
        if step < 0:
            return t.index_select(at, torch.tensor(positions))
        return t.narrow(at, first, last - first + 1)[
            (slice(None),) * at + (slice(None, None, step),)
        ]

    return view


def key(d, shape, backwards=True):
    """Its text, and a list of (dim, positions) or (dim, position), to apply from the last on."""
    if d.chance(0.3):
        i = d.integer(-shape[0], shape[0] - 1)
        return str(lua_dim(i)), [(0, i)]
    entries, parts = [], []
    for at in range(d.integer(1, len(shape))):
        if d.chance(0.35):
            i = d.integer(-shape[at], shape[at] - 1)
            entries.append(str(lua_dim(i)))
            parts.append((at, i))
        else:
            text, positions = one_range(d, shape[at])
            if not backwards and len(positions) > 1 and positions[1] < positions[0]:
                text, positions = "{}", list(range(shape[at]))
            entries.append(text)
            parts.append((at, positions))
    return "{%s}" % ", ".join(entries), parts


def apply(t, parts):
    for at, what in reversed(parts):
        t = t.select(at, what) if isinstance(what, int) else take(what, at)(t)
    return t


def read(d):
    x = d.tensor(d.full_shape(least=1))
    text, parts = key(d, x.shape())
    return Case("return %s[%s]" % (indexable(x), text), lambda: apply(x(), parts))


def indexable(x):
    return x.text


def read_twice(d):
    x = d.tensor(d.full_shape(least=2))
    first, parts = key(d, x.shape())
    x.place(torch.float64, False)
    rest = tuple(apply(x(), parts).shape)
    if not rest:
        return Case("return %s[%s]" % (x.text, first), lambda: apply(x(), parts))
    second, more = key(d, rest)
    return Case(
        "return %s[%s][%s]" % (x.text, first, second), lambda: apply(apply(x(), parts), more)
    )


def read_by_tensor(d):
    x = d.tensor(d.full_shape(least=1))
    if d.flag():
        m = d.mask(x.shape())
        return Case("return %s[%s]" % (x.text, m.text), lambda: x()[m().bool()])
    i = d.index((d.integer(0, 6),), x.shape()[0])
    return Case("return %s[%s]" % (x.text, i.text), lambda: x()[rows(i)])


def written(d):
    """t[key] = v, with views of t seen before and after."""
    x = d.tensor(d.full_shape(least=1), grad=False, layout=False)
    text, parts = key(d, x.shape(), backwards=False)
    x.place(torch.float64, False)
    shape = tuple(apply(x(), parts).shape)
    view = "%s:select(1, 1)" % x.name
    if d.flag():
        v = d.number()
        value, given = lua(v), lambda: v
    else:
        t = d.tensor(d.broadcasting(shape) if shape else (), grad=False)
        value, given = t.text, t

    def f():
        seen = x().select(0, 0)
        target = apply(x(), parts)
        target.copy_(torch.as_tensor(given()))
        return x(), seen

    return Case(
        "local seen = %s\n%s[%s] = %s\nreturn %s, seen" % (view, x.name, text, value, x.name), f, 0
    )


def written_by_tensor(d):
    x = d.tensor(d.full_shape(least=1), grad=False, layout=False)
    if d.flag():
        m = d.mask(x.shape())
        v = d.number()

        def f():
            x()[m().bool()] = v
            return x()

        return Case("%s[%s] = %s\nreturn %s" % (x.name, m.text, lua(v), x.name), f, 0)
    n = x.shape()[0]
    order = [int(i) for i in d.rng.permutation(n)[: d.integer(0, n)]]
    i = d.add(torch.tensor(order, dtype=torch.int64).numpy() + 1, "int32", False)
    t = d.tensor((len(order),) + x.shape()[1:], grad=False)

    def f():
        x()[rows(i)] = t()
        return x()

    return Case("%s[%s] = %s\nreturn %s" % (x.name, i.name, t.text, x.name), f, 0)


#
# Functions of index tensors
#


def by_index(d):
    name = d.choice(
        [
            "gather",
            "scatter_add",
            "index_select",
            "index_add",
            "take_along_dim",
            "embedding",
            "one_hot",
            "nonzero",
            "masked_select",
        ]
    )
    return INDEXED[name](d)


def gather(d):
    shape = d.full_shape(least=1)
    at = d.integer(0, len(shape) - 1)
    x = d.tensor(shape)
    i = d.index(shape[:at] + (d.integer(0, 6),) + shape[at + 1 :], shape[at])
    return Case(
        "return pl.gather(%s, %s, %d)" % (x.text, i.text, at + 1), lambda: x().gather(at, rows(i))
    )


def scatter_add(d):
    shape = d.full_shape(least=1)
    at, size = d.integer(0, len(shape) - 1), d.integer(1, 6)
    x, i = d.tensor(shape), d.index(shape, size)
    target = shape[:at] + (size,) + shape[at + 1 :]
    return Case(
        "return pl.scatter_add(%s, %s, %d, %d)" % (x.text, i.text, at + 1, size),
        lambda: torch.zeros(target).scatter_add(at, rows(i), x()),
    )


def index_select(d):
    shape = d.full_shape(least=1)
    at = d.dim(len(shape))
    x, i = d.tensor(shape), d.index((d.integer(0, 6),), shape[at])
    return Case(
        "return pl.index_select(%s, %s, %d)" % (x.text, i.text, lua_dim(at)),
        lambda: x().index_select(at, rows(i)),
    )


def index_add(d):
    shape = d.full_shape(least=1)
    at, size = d.integer(0, len(shape) - 1), d.integer(1, 6)
    x, i = d.tensor(shape), d.index((shape[at],), size)
    target = shape[:at] + (size,) + shape[at + 1 :]
    return Case(
        "return pl.index_add(%s, %s, %d, %d)" % (x.text, i.text, at + 1, size),
        lambda: torch.zeros(target).index_add(at, rows(i), x()),
    )


def take_along_dim(d):
    shape = d.full_shape(least=1)
    at = d.integer(0, len(shape) - 1)
    x = d.tensor(tuple(1 if k != at and d.chance(0.3) else n for k, n in enumerate(shape)))
    i = d.index(
        tuple(
            d.integer(1, 5) if k == at else 1 if d.chance(0.3) else n for k, n in enumerate(shape)
        ),
        shape[at],
    )
    return Case(
        "return pl.take_along_dim(%s, %s, %d)" % (x.text, i.text, at + 1),
        lambda: torch.take_along_dim(x(), rows(i), at),
    )


def embedding(d):
    words = d.integer(1, 17)
    w, i = d.tensor((words, d.integer(1, 8))), d.index(d.shape(most=3, elements=60), words)
    return Case("return pl.embedding(%s, %s)" % (i.text, w.text), lambda: F.embedding(rows(i), w()))


def one_hot(d):
    classes = d.integer(1, 9)
    i = d.index(d.full_shape(most=3, elements=60), classes)
    return Case(
        "return pl.one_hot(%s, %d)" % (i.text, classes),
        lambda: F.one_hot(rows(i), classes).to(torch.get_default_dtype()),
        0,
    )


def nonzero(d):
    x = d.tensor(d.shape(), d.choice(["ties", "special"]))
    return Case(
        "return pl.nonzero(%s)" % x.text, lambda: x().reshape(-1).nonzero().reshape(-1) + 1, 0
    )


def masked_select(d):
    shape = d.full_shape()
    x, m = d.tensor(d.broadcasting(shape)), d.mask(d.broadcasting(shape))
    return Case(
        "return pl.masked_select(%s, %s)" % (x.text, m.text), lambda: x().masked_select(m().bool())
    )


INDEXED = {
    f.__name__: f
    for f in (
        gather,
        scatter_add,
        index_select,
        index_add,
        take_along_dim,
        embedding,
        one_hot,
        nonzero,
        masked_select,
    )
}


#
# In place
#


def in_place(d):
    """A chain of changes through views of one tensor."""
    x = d.tensor(d.full_shape(least=1), grad=False, layout=False)
    lines, steps = [], []
    for _ in range(d.integer(1, 6)):
        text, parts = key(d, x.shape(), backwards=False)
        while all(isinstance(p, int) for _, p in parts) and len(parts) == len(x.shape()):
            text, parts = key(d, x.shape(), backwards=False)
        x.place(torch.float64, False)
        line, step = change(d, tuple(apply(x(), parts).shape))
        lines.append("%s[%s]:%s" % (x.name, text, line))
        steps.append((parts, step))

    def f():
        for parts, step in steps:
            step(apply(x(), parts))
        return x()

    return Case("\n".join(lines + ["return " + x.name]), f, 0)


def change(d, shape):
    name = d.choice(["zero_", "fill_", "copy_", "add_", "sub_", "mul_", "div_"])
    if name == "zero_":
        return "zero_()", lambda t: t.zero_()
    if name == "fill_" or name != "copy_" and d.chance(0.3):
        v = d.choice([0.5, -2.0, 3.0, 1.25])
        return "%s(%s)" % (name, lua(v)), lambda t: getattr(t, name)(v)
    y = d.tensor(d.broadcasting(shape), grad=False)
    if name in ("add_", "sub_") and d.flag():
        alpha = d.number()
        return "%s(%s, %s)" % (name, y.text, lua(alpha)), lambda t: getattr(t, name)(
            y(), alpha=alpha
        )
    return "%s(%s)" % (name, y.text), lambda t: getattr(t, name)(y())


def overlapping(d):
    """A tensor changed by a view of itself."""
    n = d.integer(2, 13)
    x = d.tensor((n, n), grad=False, layout=False)
    view, f = d.choice(
        [
            ("x1:t()", lambda t: t.t()),
            ("x1:flip()", lambda t: t.flip(0, 1)),
            ("x1:select(1, 1)", lambda t: t[0]),
            ("x1:select(2, 1)", lambda t: t[:, 0]),
        ]
    )
    name = d.choice(["add_", "mul_", "copy_", "sub_"])

    def run():
        getattr(x(), name)(f(x()).clone())
        return x()

    return Case("x1:%s(%s)\nreturn x1" % (name, view), run, 0)


KINDS = [
    (read, 6),
    (read_twice, 3),
    (read_by_tensor, 4),
    (written, 4),
    (written_by_tensor, 3),
    (by_index, 12),
    (in_place, 5),
    (overlapping, 2),
]
