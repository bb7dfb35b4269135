"""Layers as functions and as modules: convolutions, pooling, norms, recurrent ones."""

import torch
import torch.nn.functional as F

from case import Case, lua
from products import ACTIVATIONS


def pair(d, low, high):
    """An integer for both axes, or one for each."""
    return d.integer(low, high) if d.flag() else [d.integer(low, high), d.integer(low, high)]


def both(p):
    return p if isinstance(p, list) else [p, p]


def geometry(d, **more):
    """Options of a convolution, its window, and an image on which it fits at least once."""
    o = d.some(
        stride=lambda: pair(d, 1, 3),
        padding=lambda: pair(d, 0, 2),
        dilation=lambda: pair(d, 1, 2),
        **more
    )
    window = [d.integer(1, 5), d.integer(1, 5)] if d.flag() else [d.choice([1, 2, 3, 5])] * 2
    least = [
        dl * (k - 1) + 1 - 2 * p
        for dl, k, p in zip(both(o.get("dilation", 1)), window, both(o.get("padding", 0)))
    ]
    image = [max(1, n) + d.integer(0, 7) for n in least]
    return o, window, image


def conv2d(d):
    o, window, image = geometry(d)
    n, c, k = d.integer(1, 3), d.integer(1, 4), d.integer(1, 5)
    if d.chance(0.1):
        c, k = d.choice([16, 17, 32]), d.choice([16, 19, 32])
    x, w = d.tensor((n, c, *image)), d.tensor((k, c, *window))
    b = d.tensor((k,)) if d.flag() else None
    act = d.choice(["none", "none", *sorted(ACTIVATIONS)])
    given = {**o, **({} if act == "none" else {"activation": act})}
    text = "return pl.conv2d(%s, %s, %s, %s)" % (x.text, w.text, lua(b), lua(given))
    if act == "none" and d.flag():
        text = "local m = nn.Conv2d(%d, %d, %s, %s)\nm.weight, m.bias = %s, %s\nreturn m(%s)" % (
            c,
            k,
            lua(window),
            lua(o),
            w.text,
            lua(b),
            x.text,
        )
    return Case(text, lambda: ACTIVATIONS[act](F.conv2d(x(), w(), None if b is None else b(), **o)))


def conv_transpose2d(d):
    o, window, image = geometry(d)
    most = [max(s, 1) - 1 for s in both(o.get("stride", 1))]
    if d.flag():
        o["output_padding"] = [d.integer(0, m) for m in most]
    n, c, k = d.integer(1, 3), d.integer(1, 4), d.integer(1, 4)
    x, w = d.tensor((n, c, *image)), d.tensor((c, k, *window))
    b = d.tensor((k,)) if d.flag() else None
    if d.flag():
        text = "return pl.conv_transpose2d(%s, %s, %s, %s)" % (x.text, w.text, lua(b), lua(o))
    else:
        text = (
            "local m = nn.ConvTranspose2d(%d, %d, %s, %s)\nm.weight, m.bias = %s, %s\nreturn m(%s)"
            % (c, k, lua(window), lua(o), w.text, lua(b), x.text)
        )
    return Case(text, lambda: F.conv_transpose2d(x(), w(), None if b is None else b(), **o))


def pool(d):
    kind = d.choice(["max", "avg"])
    window = pair(d, 1, 4)
    o = d.some(
        stride=lambda: pair(d, 1, 3), padding=lambda: [d.integer(0, k // 2) for k in both(window)]
    )
    image = [k + d.integer(0, 7) for k in both(window)]
    x = d.tensor((d.integer(1, 3), d.integer(1, 4), *image), layout=True)
    f = {"max": F.max_pool2d, "avg": F.avg_pool2d}[kind]
    text = "return pl.%s_pool2d(%s, %s)" % (kind, x.text, lua({"size": window, **o}))
    if d.flag():
        text = "return nn.%sPool2d(%s, %s)(%s)" % (kind.capitalize(), lua(window), lua(o), x.text)
    return Case(text, lambda: f(x(), window, **o))


def sequence_of_layers(d):
    """A chain that is computed in fewer passes than it has layers."""
    act, f = d.choice(
        [
            ("ReLU", F.relu),
            ("LeakyReLU", F.leaky_relu),
            ("Tanh", torch.tanh),
            ("Sigmoid", torch.sigmoid),
        ]
    )
    size, p = d.choice([1, 3, 5]), d.choice([1, 2, 3])
    c, k = d.integer(1, 3), d.integer(1, 6)
    x, w, b = (
        d.tensor((d.integer(1, 3), c, d.integer(9, 14), d.integer(9, 14))),
        d.tensor((k, c, size, size)),
        d.tensor((k,)),
    )
    text = (
        "local conv = nn.Conv2d(%d, %d, %d)\nconv.weight, conv.bias = %s, %s\n"
        "return nn.Sequential {conv, nn.%s(), nn.MaxPool2d(%d)}(%s)"
    ) % (c, k, size, w.text, b.text, act, p, x.text)
    return Case(text, lambda: F.max_pool2d(f(F.conv2d(x(), w(), b())), p))


def batch_norm(d):
    c = d.integer(1, 5)
    images = d.flag()
    rest = (d.integer(1, 5), d.integer(1, 5)) if images else d.choice([(), (d.integer(1, 7),)])
    style = d.choice(["plain"] * 3 + ["offset"])
    x = d.tensor((d.integer(2, 7), c) + rest, style)
    affine = d.flag()
    w, b = (d.tensor((c,)), d.tensor((c,))) if affine else (None, None)
    mean, var = d.tensor((c,), grad=False, layout=False), d.tensor(
        (c,), "positive", grad=False, layout=False
    )
    o = d.some(
        eps=lambda: d.choice([1e-5, 1e-3, 0.125]), momentum=lambda: d.choice([0.0, 0.1, 0.5, 1.0])
    )
    training = d.flag()
    # PyTorch 2.9's gradients are wrong of weights that are not contiguous.
    given = lambda t: None if t is None else t().contiguous()

    def f():
        y = F.batch_norm(x(), mean(), var(), given(w), given(b), training=training, **o)
        return y, mean(), var()

    if d.flag():
        text = "return pl.batch_norm(%s, %s, %s, %s, %s, %s), %s, %s" % (
            x.text,
            lua(w),
            lua(b),
            mean.text,
            var.text,
            lua({"training": training, **o}),
            mean.text,
            var.text,
        )
    else:
        text = (
            "local m = nn.BatchNorm%dd(%d, %s):train(%s)\nm.weight, m.bias = %s, %s\n"
            "m.running_mean, m.running_var = %s, %s\nreturn m(%s), m.running_mean, m.running_var"
        ) % (
            2 if images else 1,
            c,
            lua({"affine": affine, **o}),
            lua(training),
            lua(w),
            lua(b),
            mean.text,
            var.text,
            x.text,
        )
    return Case(text, f, 0 if style == "offset" else 2)


def row_norms(d):
    o = d.some(eps=lambda: d.choice([1e-5, 1e-3, 0.125]))
    if d.flag():
        last = d.full_shape(least=1, most=2, elements=60)
        x = d.tensor(d.full_shape(least=1, most=2, elements=12) + last)
        w, b = (d.tensor(last), d.tensor(last)) if d.flag() else (None, None)
        given = lambda t: None if t is None else t()
        text = "return pl.layer_norm(%s, %s, %s, %s)" % (
            x.text,
            lua(w),
            lua(b),
            lua({"normalized_shape": last, **o}),
        )
        if w and d.flag():
            text = "local m = nn.LayerNorm(%s, %s)\nm.weight, m.bias = %s, %s\nreturn m(%s)" % (
                lua(last),
                lua(o),
                w.text,
                b.text,
                x.text,
            )
        return Case(text, lambda: F.layer_norm(x(), last, given(w), given(b), **o))
    c = d.integer(1, 4)
    x = d.tensor((d.integer(1, 4), c, d.integer(2, 5), d.integer(1, 5)))
    w, b = d.tensor((c,)), d.tensor((c,))
    return Case(
        "return pl.instance_norm(%s, %s, %s, %s)" % (x.text, w.text, b.text, lua(o)),
        lambda: F.instance_norm(x(), weight=w(), bias=b(), **o),
    )


#
# Recurrent layers
#


def recurrent(d):
    cell = d.choice(["LSTM", "GRU"])
    gates, layers, bias = {"LSTM": 4, "GRU": 3}[cell], d.integer(1, 3), d.flag()
    steps, batch, n, h = d.integer(1, 5), d.integer(1, 4), d.integer(1, 4), d.integer(1, 4)
    x = d.tensor((steps, batch, n))
    parameters = [
        [d.tensor((gates * h, n if k == 0 else h), "unit"), d.tensor((gates * h, h), "unit")]
        + ([d.tensor((gates * h,)), d.tensor((gates * h,))] if bias else [])
        for k in range(layers)
    ]
    states = (
        [d.tensor((layers, batch, h)) for _ in range(2 if cell == "LSTM" else 1)]
        if d.flag()
        else []
    )
    lines = [
        "local m = nn.%s(%d, %d, {num_layers = %d, bias = %s})" % (cell, n, h, layers, lua(bias))
    ]
    for k, ps in enumerate(parameters):
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"][: len(ps)]
        lines.append("local l%d = m.layers[%d]" % (k + 1, k + 1))
        lines += ["l%d.%s = %s" % (k + 1, name, p.text) for name, p in zip(names, ps)]
    state = lua(states) if cell == "LSTM" else states[0].text if states else "nil"
    lines.append("local y, s = m(%s, %s)" % (x.text, state if states else "nil"))
    lines.append("return y, s[1], s[2]" if cell == "LSTM" else "return y, s")

    def f():
        flat = [p() for ps in parameters for p in ps]
        first = [s() for s in states] or [torch.zeros(layers, batch, h)] * (
            2 if cell == "LSTM" else 1
        )
        if cell == "LSTM":
            return torch.lstm(x(), first, flat, bias, layers, 0.0, False, False, False)
        return torch.gru(x(), first[0], flat, bias, layers, 0.0, False, False, False)

    return Case("\n".join(lines), f)


def cell(d):
    kind = d.choice(["LSTM", "GRU"])
    gates, batch, n, h = (
        {"LSTM": 4, "GRU": 3}[kind],
        d.integer(1, 4),
        d.integer(1, 4),
        d.integer(1, 4),
    )
    x = d.tensor((batch, n))
    ps = [d.tensor(s) for s in ((gates * h, n), (gates * h, h), (gates * h,), (gates * h,))]
    states = [d.tensor((batch, h)) for _ in range(2 if kind == "LSTM" else 1)]
    text = (
        "local m = nn.%sCell(%d, %d)\nm.weight_ih, m.weight_hh, m.bias_ih, m.bias_hh = %s\n"
        "local h, s = m(%s, %s)\n"
        "return %s"
    ) % (
        kind,
        n,
        h,
        ", ".join(p.text for p in ps),
        x.text,
        lua(states) if kind == "LSTM" else states[0].text,
        "h, s[2]" if kind == "LSTM" else "h",
    )

    def f():
        if kind == "LSTM":
            return torch.lstm_cell(x(), [s() for s in states], *[p() for p in ps])
        return torch.gru_cell(x(), states[0](), *[p() for p in ps])

    return Case(text, f)


#
# Layers without parameters, and small ones
#

PLAIN = {
    "ReLU()": F.relu,
    "LeakyReLU(0.25)": lambda x: F.leaky_relu(x, 0.25),
    "Sigmoid()": torch.sigmoid,
    "Tanh()": torch.tanh,
    "Softplus()": lambda x: F.softplus(x, threshold=40),
    "Softmax(-1)": lambda x: x.softmax(-1),
    "LogSoftmax(2)": lambda x: x.log_softmax(1),
    "Flatten()": lambda x: x.flatten(1),
    "Identity()": lambda x: x,
    "Dropout(0.5):eval()": lambda x: x,
    "LockedDropout(0.5):eval()": lambda x: x,
}


def plain(d):
    name = d.choice(sorted(PLAIN))
    x = d.tensor(d.full_shape(least=3, most=3))
    return Case("return nn.%s(%s)" % (name, x.text), lambda: PLAIN[name](x()))


def small(d):
    n, k = d.integer(1, 7), d.integer(1, 7)
    if d.flag():
        w, i = d.tensor((n, k)), d.index(d.full_shape(most=3, elements=30), n)
        return Case(
            "local m = nn.Embedding(%d, %d)\nm.weight = %s\nreturn m(%s)" % (n, k, w.text, i.text),
            lambda: F.embedding(i().long() - 1, w()),
        )
    x, w, b = d.tensor(d.full_shape(most=2, elements=20) + (k,)), d.tensor((n, k)), d.tensor((n,))
    return Case(
        "local m = nn.Linear(%d, %d)\nm.weight, m.bias = %s, %s\nreturn m(%s)"
        % (k, n, w.text, b.text, x.text),
        lambda: F.linear(x(), w(), b()),
    )


KINDS = [
    (conv2d, 8),
    (conv_transpose2d, 4),
    (pool, 4),
    (sequence_of_layers, 2),
    (batch_norm, 4),
    (row_norms, 4),
    (recurrent, 4),
    (cell, 2),
    (plain, 2),
    (small, 2),
]
