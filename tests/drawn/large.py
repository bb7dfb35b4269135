"""Tensors of sizes at which other kernels, vectors and threads are taken. Their elements follow a
formula, and of results and gradients sums of every 97th element are compared."""

import math

import torch
import torch.nn.functional as F

from case import Case, lua

EVERY = 97


def pattern(shape, k):
    """Element i (from 0) is ((k i + 11) mod 1013 - 506) / 256, as in run.lua."""
    i = torch.arange(math.prod(shape))
    return (((k * i + 11) % 1013 - 506).to(torch.get_default_dtype()) / 256).reshape(shape)


def folded(t):
    t = t.reshape(-1)
    return F.pad(t, (0, -t.numel() % EVERY)).reshape(-1, EVERY).sum(0)


def case(shapes, text, f):
    """The result and its gradients by all inputs; text has x1, x2, ..."""
    names = ["x%d" % (k + 1) for k in range(len(shapes))]
    lines = [
        "local %s = pattern(%s, %d):requires_grad_()" % (n, lua(s), 37 + 2 * k)
        for k, (n, s) in enumerate(zip(names, shapes))
    ]
    lines += [
        "local y = " + text,
        "local g = pl.grad((y * pattern(y:size(), 31)):sum(), {%s})" % ", ".join(names),
        "return folded(y:detach()), %s"
        % ", ".join("folded(g[%d])" % (k + 1) for k in range(len(shapes))),
    ]

    def run():
        xs = [pattern(s, 37 + 2 * k).requires_grad_() for k, s in enumerate(shapes)]
        y = f(*xs)
        g = torch.autograd.grad((y * pattern(y.shape, 31)).sum(), xs)
        return [folded(y.detach())] + [folded(t) for t in g]

    return Case("\n".join(lines), run, 0)


UNARY = {
    "exp": torch.exp,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "sin": torch.sin,
    "abs": torch.abs,
    "softplus": lambda x: F.softplus(x, threshold=40),
    "square": torch.square,
    "atan": torch.atan,
    "silu": F.silu,
    "relu": F.relu,
    "erf": torch.erf,
    "expm1": torch.expm1,
    "cos": torch.cos,
    "mish": F.mish,
}


def elementwise(d):
    name = d.choice(sorted(UNARY))
    shape = [d.integer(1, 130), d.integer(100, 600)]
    if d.flag():
        return case([shape[::-1]], "x1:t():%s()" % name, lambda x: UNARY[name](x.t()))
    return case([shape], "x1:%s()" % name, UNARY[name])


def broadcast(d):
    m, n = d.integer(2, 130), d.integer(100, 600)
    a, b = d.choice(
        [([m, n], [m, n]), ([m, n], [n]), ([m, 1], [n]), ([m, n], [m, 1]), ([], [m, n])]
    )
    sign = d.choice(["+", "-", "*"])
    f = {"+": torch.add, "-": torch.sub, "*": torch.mul}[sign]
    return case([a, b], "x1 %s x2" % sign, f)


def reduced(d):
    m, n = d.integer(2, 260), d.integer(100, 500)
    name, dims = d.choice(["sum", "mean", "var", "logsumexp", "norm", "amax"]), d.choice([0, 1])
    f = torch.linalg.vector_norm if name == "norm" else getattr(torch, name)
    if name == "amax":  # the formula has equal values, of which PyTorch shares the gradient
        n = 3
        m = d.integer(2, 300)
    return case([[m, n]], "x1:%s(%d)" % (name, dims + 1), lambda x: f(x, dim=dims))


def along(d):
    m, n = d.integer(2, 130), d.integer(100, 500)
    name, dims = d.choice(["softmax", "log_softmax", "cumsum"]), d.choice([0, 1])
    return case(
        [[m, n]], "x1:%s(%d)" % (name, dims + 1), lambda x: getattr(torch, name)(x, dim=dims)
    )


def products(d):
    m, k, n = d.integer(1, 300), d.integer(1, 300), d.integer(1, 300)
    if d.flag():
        return case(
            [[m, k], [n, k], [n]],
            'pl.linear(x1 / 16, x2, x3, {activation = "tanh"})',
            lambda x, w, b: torch.tanh(F.linear(x / 16, w, b)),
        )
    return case([[k, m], [k, n]], "x1:t():matmul(x2)", lambda a, b: a.t() @ b)


def convolutions(d):
    n, c, k = d.integer(1, 4), d.choice([1, 3, 16, 32, 40]), d.choice([6, 16, 32, 64])
    size, o = d.choice([1, 3, 4, 5]), {"stride": d.choice([1, 2]), "padding": d.choice([0, 1, 2])}
    image = [d.integer(7, 32), d.integer(7, 32)]
    if d.chance(0.3):
        return case(
            [[n, c, *image], [c, k, size, size], [k]],
            "pl.conv_transpose2d(x1, x2 / 8, x3, %s)" % lua({**o, "padding": 0}),
            lambda x, w, b: F.conv_transpose2d(x, w / 8, b, stride=o["stride"]),
        )
    return case(
        [[n, c, *image], [k, c, size, size], [k]],
        "pl.conv2d(x1, x2 / 8, x3, %s)" % lua(o),
        lambda x, w, b: F.conv2d(x, w / 8, b, **o),
    )


def normed(d):
    n, c, h = d.integer(8, 64), d.choice([1, 3, 32, 100]), d.integer(4, 14)
    if d.flag():
        return case(
            [[n, c, h, h], [c], [c]],
            "pl.batch_norm(x1, x2, x3, {training = true})",
            lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        )
    return case(
        [[n, c * h], [c * h], [c * h]],
        "pl.layer_norm(x1, x2, x3, {normalized_shape = {%d}})" % (c * h),
        lambda x, w, b: F.layer_norm(x, [c * h], w, b),
    )


def recurrent(d):
    steps, batch, n, h = d.integer(2, 20), d.integer(1, 20), d.integer(1, 70), d.integer(1, 70)
    shapes = [[steps, batch, n], [4 * h, n], [4 * h, h], [4 * h], [4 * h]]
    zeros = lambda: [torch.zeros(1, batch, h)] * 2
    return case(
        shapes,
        "(pl.lstm(x1, x2 / 8, x3 / 8, x4, x5))",
        lambda x, a, b, p, q: torch.lstm(
            x, zeros(), [a / 8, b / 8, p, q], True, 1, 0.0, False, False, False
        )[0],
    )


def losses(d):
    n, c = d.integer(1, 300), d.integer(2, 600)
    return case(
        [[n, c]],
        'pl.cross_entropy(x1, (pl.arange(1, %d) / %d):ceil():to "int32"):reshape(1)' % (n, n),
        lambda x: F.cross_entropy(x, torch.zeros(n, dtype=torch.int64)).reshape(1),
    )


KINDS = [
    (elementwise, 4),
    (broadcast, 3),
    (reduced, 3),
    (along, 2),
    (products, 3),
    (convolutions, 4),
    (normed, 2),
    (recurrent, 2),
    (losses, 1),
]
