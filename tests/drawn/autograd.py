"""Programs of several ops, and the ways to ask for gradients."""

import torch
import torch.nn.functional as F

from case import Case, lua

# Each makes a value of the shape of its first operand; in Lua as a format of the operands' names.
STEPS = [
    ("%s + %s", lambda a, b: a + b),
    ("%s - %s", lambda a, b: a - b),
    ("%s * %s", lambda a, b: a * b),
    ("%s / (%s:square() + 1)", lambda a, b: a / (b.square() + 1)),
    ("pl.atan2(%s, %s:square() + 1)", lambda a, b: torch.atan2(a, b.square() + 1)),
    ("%s:tanh() + %s:mean()", lambda a, b: a.tanh() + b.mean()),
    ("%s * %s:sum(-1, true)", lambda a, b: a * b.sum(-1, True)),
    ("%s + %s:softmax(-1)", lambda a, b: a + b.softmax(-1)),
    (
        "%s:matmul(%s:transpose(-1, -2)):sum(-1, true):sigmoid()",
        lambda a, b: (a @ b.transpose(-1, -2)).sum(-1, True).sigmoid(),
    ),
    ("%s:flip(-1) * %s:roll(1)", lambda a, b: a.flip(-1) * b.roll(1)),
    ("%s:cumsum(-1) + %s:logsumexp(-1, true)", lambda a, b: a.cumsum(-1) + b.logsumexp(-1, True)),
    ("pl.where(%s:gt(0), %s, 0.5)", lambda a, b: torch.where(a > 0, b, 0.5)),
    ("pl.lerp(%s, %s, 0.25)", lambda a, b: torch.lerp(a, b, 0.25)),
    (
        "%s:var(-1, true, false) + %s:gelu()",
        lambda a, b: a.var(-1, unbiased=False, keepdim=True) + F.gelu(b),
    ),
    ("pl.cat({%s, %s}, -1):slice(-1, 1, #m, 2)", lambda a, b: torch.cat([a, b], -1)[..., ::2]),
]


def program(d):
    """Three to eight steps, each of any values before."""
    shape = d.full_shape(least=2, most=3, elements=40)
    leaves = [d.tensor(shape) for _ in range(d.integer(1, 3))]
    chosen = []
    for k in range(d.integer(3, 8)):
        i = d.integer(0, len(STEPS) - 1)
        chosen.append((i, d.integer(0, len(leaves) + k - 1), d.integer(0, len(leaves) + k - 1)))
    lines = ["local v%d = %s" % (k + 1, x.text) for k, x in enumerate(leaves)]
    for k, (i, a, b) in enumerate(chosen):
        text = STEPS[i][0].replace("#m", str(shape[-1])) % ("v%d" % (a + 1), "v%d" % (b + 1))
        lines.append("local v%d = (%s):expand(%s)" % (len(leaves) + k + 1, text, lua(shape)))
    last = len(leaves) + len(chosen)

    def f():
        values = [x() for x in leaves]
        for i, a, b in chosen:
            values.append(STEPS[i][1](values[a], values[b]).expand(shape))
        return values[-1]

    return Case("\n".join(lines + ["return v%d" % last]), f)


FUNCTIONS = [
    ("x * x * y", lambda x, y: x * x * y),
    ("(x * y):tanh()", lambda x, y: (x * y).tanh()),
    ("x:exp() * y:sin()", lambda x, y: x.exp() * y.sin()),
    ("(x:square() + 1):log() * y", lambda x, y: (x.square() + 1).log() * y),
    ("x:softmax(1) * y", lambda x, y: x.softmax(0) * y),
    (
        "(x:sigmoid() + y):square():sum():sqrt()",
        lambda x, y: (x.sigmoid() + y).square().sum().sqrt(),
    ),
]


def third_order(d):
    text, g = d.choice(FUNCTIONS)
    n = d.integer(1, 7)
    x, y = d.tensor((n,), layout=False, grad=False), d.tensor((n,), layout=False, grad=False)
    order = d.integer(1, 4)

    def f():
        a, b = x().clone().requires_grad_(), y().clone().requires_grad_()
        t = g(a, b).sum()
        for _ in range(order):
            ga, gb = torch.autograd.grad(t, [a, b], create_graph=True)
            t = (ga * 0.75 - gb * ga).sum()
        return t.detach()

    lines = [
        "local x, y = x1:clone():requires_grad_(), x2:clone():requires_grad_()",
        "local t = (%s):sum()" % text,
        "for _ = 1, %d do" % order,
        "local g = pl.grad(t, {x, y}, {create_graph = true})",
        "t = (g[1] * 0.75 - g[2] * g[1]):sum()",
        "end",
        "return t:detach()",
    ]
    return Case("\n".join(lines), f, 0)


# What is done with t, a function of x and y, in Lua; %s is the function's text.
WAYS = {
    "twice": "t:sum():backward {retain_graph = true}\nt:sum():backward()",
    "given": "t:backward {gradient = x2}",
    "detached": "pl.sum(t * t:detach()):backward()",
    "no_grad": "local u = pl.no_grad(function() return t * 2 end)\npl.sum(t * u):backward()",
    "view": "pl.sum(t:reshape(1, -1) * y:select(1, 1)):backward()",
    "changed": "t:sum():backward()\npl.no_grad(function() x:sub_(x.grad, 0.5) end)\n"
    "pl.sum(%s):backward()",
}


def go_back(way, g, a, b, given):
    t = g(a, b)
    if way == "twice":
        t.sum().backward(retain_graph=True)
        t.sum().backward()
    elif way == "given":
        t.backward(given)
    elif way == "detached":
        (t * t.detach()).sum().backward()
    elif way == "no_grad":
        (t * (t.detach() * 2)).sum().backward()
    elif way == "view":
        (t.reshape(1, -1) * b[0]).sum().backward()
    else:
        t.sum().backward()
        with torch.no_grad():
            a.sub_(a.grad, alpha=0.5)
        g(a, b).sum().backward()


def asked(d):
    """backward that adds up, gradients from given ones, detach, no_grad, a leaf changed between."""
    text, g = d.choice(FUNCTIONS[:-1])
    n, way = d.integer(1, 7), d.choice(sorted(WAYS))
    x, y = d.tensor((n,), layout=False, grad=False), d.tensor((n,), layout=False, grad=False)
    body = WAYS[way] % text if way == "changed" else WAYS[way]
    lines = [
        "local x, y = x1:clone():requires_grad_(), x2:clone():requires_grad_()",
        "local t = " + text,
        body,
        "return x.grad, y.grad, x:detach()",
    ]

    def f():
        a, b = x().clone().requires_grad_(), y().clone().requires_grad_()
        go_back(way, g, a, b, y())
        return a.grad, b.grad, a.detach()

    return Case("\n".join(lines), f, 0)


def custom(d):
    """A function with a rule of its own, whose gradients have gradients."""
    x = d.tensor(d.full_shape())
    lines = [
        "local f = pl.custom(function(c, t) c.t = t; return t:tanh() end,",
        "function(c, g) return g * (1 - c.t:tanh():square()) end)",
        "return f(%s) * %s" % (x.text, x.text),
    ]
    return Case("\n".join(lines), lambda: torch.tanh(x()) * x())


def adjoint(d):
    """The ops that gradients are made of."""
    name = d.choice(
        ["conv2d_input_grad", "conv2d_weight_grad", "act_grad", "in_range", "unslice", "dropout"]
    )
    if name.startswith("conv"):
        return convolution_adjoint(d, name)
    x = d.tensor(d.full_shape(least=1))
    if name == "act_grad":
        y, s = d.tensor(x.shape()), d.number()
        return Case(
            "return pl.act_grad(%s, %s, {slope = %s})" % (x.text, y.text, s),
            lambda: torch.where(y() > 0, x(), s * x()),
        )
    if name == "in_range":
        low, high = d.number(-2, 0), d.number(0, 2)
        return Case(
            "return pl.in_range(%s, %s, %s)" % (x.text, low, high),
            lambda: ((x() >= low) & (x() <= high)).to(torch.get_default_dtype()),
            0,
        )
    if name == "dropout":
        o = d.choice([{"p": 0.5, "training": False}, {"p": 0.0}])
        return Case("return pl.dropout(%s, %s)" % (x.text, lua(o)), lambda: x() * 1)
    at, step = d.integer(0, len(x.shape()) - 1), d.integer(1, 3)
    n = x.shape()[at]
    first = d.integer(0, 3)
    size = first + step * (n - 1) + 1 + d.integer(0, 3)
    target = x.shape()[:at] + (size,) + x.shape()[at + 1 :]
    return Case(
        "return pl.unslice(%s, %d, %d, %d, %d)" % (x.text, at + 1, first + 1, step, size),
        lambda: torch.zeros(target).index_add(at, first + step * torch.arange(n), x()),
    )


def convolution_adjoint(d, name):
    o = {"stride": d.integer(1, 2), "padding": d.integer(0, 1), "dilation": d.integer(1, 2)}
    n, c, k, window, image = (
        d.integer(1, 2),
        d.integer(1, 3),
        d.integer(1, 3),
        [d.integer(1, 3)] * 2,
        [7, 8],
    )
    out = [
        (i + 2 * o["padding"] - o["dilation"] * (w - 1) - 1) // o["stride"] + 1
        for i, w in zip(image, window)
    ]
    g = d.tensor((n, k, *out))
    if name == "conv2d_input_grad":
        w = d.tensor((k, c, *window))
        return Case(
            "return pl.%s(%s, %s, %s)" % (name, g.text, w.text, lua({**o, "size": image})),
            lambda: torch.nn.grad.conv2d_input((n, c, *image), w(), g(), **o),
        )
    x = d.tensor((n, c, *image))
    return Case(
        "return pl.%s(%s, %s, %s)" % (name, g.text, x.text, lua({**o, "size": window})),
        lambda: torch.nn.grad.conv2d_weight(x(), (k, c, *window), g(), **o),
    )


def kinds_mixed(d):
    """Integers and masks beside tensors that have a gradient."""
    shape = d.full_shape(most=3)
    x, i, m = d.tensor(shape), d.ints(d.broadcasting(shape)), d.mask(d.broadcasting(shape))
    text = d.choice(
        ["x * i + m", "(x - i) * m", "pl.where(m, x, i) * x", "i / (x:square() + 1)", "x * m:sum()"]
    )
    real = lambda t: t().to(torch.get_default_dtype())
    f = {
        "x * i + m": lambda: x() * real(i) + real(m),
        "(x - i) * m": lambda: (x() - real(i)) * real(m),
        "pl.where(m, x, i) * x": lambda: torch.where(m().bool(), x(), real(i)) * x(),
        "i / (x:square() + 1)": lambda: real(i) / (x().square() + 1),
        "x * m:sum()": lambda: x() * real(m).sum(),
    }[text]
    return Case("local x, i, m = %s, %s, %s\nreturn %s" % (x.text, i.text, m.text, text), f)


KINDS = [(program, 8), (third_order, 3), (asked, 4), (custom, 1), (adjoint, 3), (kinds_mixed, 2)]
