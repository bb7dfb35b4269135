"""Losses with their options."""

import torch.nn.functional as F

from case import Case, lua


def reductions(d, *more):
    return d.some(reduction=lambda: d.choice(["mean", "sum", "none", *more]))


def call(name, ts, o):
    return "return pl.%s(%s%s)" % (name, ", ".join(map(lua, ts)), ", " + lua(o) if o else "")


def elementwise(d):
    name = d.choice(["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
    shape = d.full_shape(least=1)
    x, y = d.tensor(shape), d.tensor(shape)
    o = reductions(d)
    if name == "smooth_l1_loss":
        o.update(d.some(beta=lambda: d.number(0, 2)))
    if name == "huber_loss":
        o.update(d.some(delta=lambda: d.number(0.1, 2)))
    return Case(call(name, [x, y], o), lambda: getattr(F, name)(x(), y(), **o))


def binary(d):
    logits = d.flag()
    name = "binary_cross_entropy" + ("_with_logits" if logits else "")
    shape = d.full_shape(least=1)
    x = d.tensor(
        shape,
        (
            d.choice(["plain", "huge", "offset"])
            if logits and d.chance(0.3)
            else "plain" if logits else "unit"
        ),
    )
    y = d.tensor(shape, "unit", grad=False)
    w = d.tensor(d.broadcasting(shape), "positive", grad=False) if d.flag() else None
    p = d.tensor(d.broadcasting(shape), "positive", grad=False) if logits and d.flag() else None
    o = reductions(d)
    given = lambda t: None if t is None else t()
    more = {"weight": w, "pos_weight": p}

    def f():
        tensors = {"pos_weight": given(p)} if logits else {}
        return getattr(F, name)(x(), y(), given(w), **tensors, **o)

    return Case(call(name, [x, y], {**more, **o}), f)


def classes(d):
    """cross_entropy and nll_loss: weights, ignored labels, soft labels, more dims."""
    name = d.choice(["cross_entropy", "cross_entropy", "nll_loss"])
    n, c = d.integer(1, 7), d.integer(1, 9)
    rest = d.full_shape(most=2, elements=12)
    x = d.tensor((n, c) + rest, d.choice(["plain", "plain", "offset"]))
    w = d.tensor((c,), "positive", grad=False) if d.flag() else None
    o = reductions(d)
    if name == "cross_entropy":
        o.update(d.some(label_smoothing=lambda: d.integer(0, 32) / 64))
    given = lambda: None if w is None else w()
    if name == "cross_entropy" and d.chance(0.25):
        y = d.tensor((n, c) + rest, "unit")
        return Case(
            call(name, [x, y], {"weight": w, **o}), lambda: F.cross_entropy(x(), y(), given(), **o)
        )
    y = d.index((n,) + rest, c)
    ignore = d.integer(1, c) if d.chance(0.4) else None
    more = {} if ignore is None else {"ignore_index": ignore - 1}
    return Case(
        call(name, [x, y], {"weight": w, "ignore_index": ignore, **o}),
        lambda: getattr(F, name)(x(), y().long() - 1, given(), **more, **o),
    )


def divergence(d):
    shape = d.full_shape(least=1)
    o = {**reductions(d, "batchmean"), **d.some(log_target=d.flag)}
    x, y = d.tensor(shape), d.tensor(shape, "plain" if o.get("log_target") else "unit")
    return Case(call("kl_div", [x, y], o), lambda: F.kl_div(x(), y(), **o))


def similarity(d):
    shape = d.full_shape(least=1)
    at = d.integer(0, len(shape) - 1)
    x, y = d.tensor(shape), d.tensor(
        tuple(1 if k != at and d.chance(0.2) else n for k, n in enumerate(shape))
    )
    return Case(
        "return pl.cosine_similarity(%s, %s, %d)" % (x.text, y.text, at + 1),
        lambda: F.cosine_similarity(x(), y(), at),
    )


def triplet(d):
    shape = (d.integer(1, 7), d.integer(1, 9))
    ts = [d.tensor(shape) for _ in range(3)]
    o = {**reductions(d), **d.some(margin=lambda: d.number(0.1, 2), swap=d.flag)}
    return Case(
        call("triplet_margin_loss", ts, o), lambda: F.triplet_margin_loss(*[t() for t in ts], **o)
    )


MODULES = {
    "MSELoss": (F.mse_loss, "plain", {}),
    "L1Loss": (F.l1_loss, "plain", {}),
    "SmoothL1Loss": (F.smooth_l1_loss, "plain", {"beta": 0.5}),
    "HuberLoss": (F.huber_loss, "plain", {"delta": 0.5}),
    "BCELoss": (F.binary_cross_entropy, "unit", {}),
    "KLDivLoss": (F.kl_div, "plain", {"log_target": True}),
    "BCEWithLogitsLoss": (F.binary_cross_entropy_with_logits, "plain", {}),
    "CrossEntropyLoss": (F.cross_entropy, "plain", {"label_smoothing": 0.25}),
    "NLLLoss": (F.nll_loss, "plain", {}),
}


def module(d):
    """The same as modules."""
    name = d.choice(sorted(MODULES))
    f, style, more = MODULES[name]
    o = {**reductions(d), **(more if d.flag() else {})}
    if name in ("CrossEntropyLoss", "NLLLoss"):
        n, c = d.integer(1, 7), d.integer(1, 9)
        x, y = d.tensor((n, c)), d.index((n,), c)
        target = lambda: y().long() - 1
    else:
        shape = d.full_shape(least=1)
        x, y = d.tensor(shape, style), d.tensor(shape, "unit", grad=False)
        target = y
    return Case(
        "return nn.%s(%s)(%s, %s)" % (name, lua(o), x.text, y.text), lambda: f(x(), target(), **o)
    )


def extremes(d):
    """Logits far apart, and infinite ones."""
    n, c = d.integer(1, 5), d.integer(2, 7)
    values = d.rng.choice([-1e4, -88.0, 0.0, 1.0, 104.0, 1e4, -float("inf")], (n, c))
    values[:, 0] = 1.0
    x, y = d.add(values, "real", True), d.index((n,), 1)
    return Case(
        "return pl.cross_entropy(%s, %s)" % (x.text, y.text),
        lambda: F.cross_entropy(x(), y().long() - 1),
        1,
    )


KINDS = [
    (elementwise, 5),
    (binary, 5),
    (classes, 8),
    (divergence, 2),
    (similarity, 2),
    (triplet, 2),
    (module, 1),
    (extremes, 1),
]
