"""Ten steps of each optimiser, with drawn options, schedules and clipping."""

import torch

from case import Case, lua

OPTIONS = {
    "SGD": lambda d: {
        "lr": d.number(0.05, 0.5),
        **d.some(momentum=lambda: d.number(0.1, 0.9)),
        **d.some(weight_decay=lambda: d.number(0.02, 0.2)),
    },
    "Adam": lambda d: adam(d),
    "AdamW": lambda d: adam(d),
    "RMSprop": lambda d: d.some(
        lr=lambda: d.number(0.02, 0.2),
        alpha=lambda: d.number(0.5, 0.98),
        eps=lambda: d.choice([1e-8, 1e-3]),
        weight_decay=lambda: d.number(0.02, 0.2),
        momentum=lambda: d.number(0.1, 0.9),
    ),
    "Adagrad": lambda d: d.some(
        lr=lambda: d.number(0.02, 0.2),
        lr_decay=lambda: d.number(0.01, 0.2),
        initial_accumulator_value=lambda: d.number(0.1, 1),
        weight_decay=lambda: d.number(0.02, 0.2),
    ),
    "NAdam": lambda d: {
        **moments(d),
        **d.some(momentum_decay=lambda: d.number(0.01, 0.5), decoupled_weight_decay=d.flag),
    },
    "RAdam": lambda d: {**moments(d), **d.some(decoupled_weight_decay=d.flag)},
    "ASGD": lambda d: d.some(
        lr=lambda: d.number(0.02, 0.2),
        lambd=lambda: d.number(0.01, 0.5),
        alpha=lambda: d.number(0.5, 1),
        t0=lambda: d.integer(0, 5),
        weight_decay=lambda: d.number(0.02, 0.2),
    ),
}


def moments(d):
    return d.some(
        lr=lambda: d.number(0.02, 0.2),
        betas=lambda: [d.number(0.5, 0.9), d.number(0.8, 0.99)],
        eps=lambda: d.choice([1e-8, 1e-3]),
        weight_decay=lambda: d.number(0.02, 0.2),
    )


def adam(d):
    return {**moments(d), **d.some(amsgrad=d.flag)}


def options_of(d, name):
    o = OPTIONS[name](d)
    if d.chance(0.1):
        o["maximize"] = True
    if name == "SGD" and o.get("momentum"):
        o.update(d.some(nesterov=d.flag))
        if not o.get("nesterov"):
            o.update(d.some(dampening=lambda: d.number(0.1, 0.5)))
    return o


# The loss, whose gradient changes from step to step, in Lua and in PyTorch.
LOSS_TEXT = "(p * p * p * 0.1 + (p - t):square()):sum()"


def loss(p, t):
    return (p * p * p * 0.1 + (p - t).square()).sum()


def steps(d):
    name = d.choice(sorted(OPTIONS))
    o = options_of(d, name)
    shape = d.full_shape(least=1, most=3, elements=40)
    x, t = d.tensor(shape, "unit", layout=False, grad=False), d.tensor(shape, grad=False)
    clip = d.number(0.1, 3) if d.chance(0.3) else None
    gamma, every = d.choice([0.5, 0.9]), d.integer(1, 4)
    schedule = d.chance(0.3)
    within = clip is None and d.chance(0.3)
    lines = [
        "local p, t = x1:clone():requires_grad_(), %s" % t.text,
        "local opt = optim.%s({p}, %s)" % (name, lua(o)),
    ]
    if schedule:
        lines.append(
            "local schedule = optim.StepLR(opt, {step_size = %d, gamma = %s})" % (every, gamma)
        )
    lines.append("for _ = 1, 10 do")
    if within:
        lines.append("opt:step_backward(%s)" % LOSS_TEXT)
    else:
        lines += ["opt:zero_grad()", "(%s):backward()" % LOSS_TEXT]
        if clip is not None:
            lines.append("optim.clip_grad_norm_({p}, %s)" % clip)
        lines.append("opt:step()")
    if schedule:
        lines.append("schedule:step()")
    lines += ["end", "return p:detach()"]

    def f():
        p = x().clone().requires_grad_()
        opt = getattr(torch.optim, name)([p], **o)
        rates = torch.optim.lr_scheduler.StepLR(opt, every, gamma)
        for _ in range(10):
            opt.zero_grad()
            loss(p, t()).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_([p], clip)
            opt.step()
            if schedule:
                rates.step()
        return p.detach()

    return Case("\n".join(line if not line.startswith("(") else ";" + line for line in lines), f, 0)


def schedule(d):
    """The rates of a cosine."""
    n, low = d.integer(1, 9), d.number(0, 0.05)
    rate = d.number(0.1, 1)
    lines = [
        "local p = pl.zeros(1):requires_grad_()",
        "local opt = optim.SGD({p}, {lr = %s})" % rate,
        "local s = optim.CosineAnnealingLR(opt, {T_max = %d, eta_min = %s})" % (n, low),
        "local rates = {}",
        "for i = 1, %d do rates[i] = opt.groups[1].lr; s:step() end" % n,
        "return pl.tensor(rates)",
    ]

    def f():
        opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
        s, rates = torch.optim.lr_scheduler.CosineAnnealingLR(opt, n, low), []
        for _ in range(n):
            rates.append(opt.param_groups[0]["lr"])
            opt.step()
            s.step()
        return torch.tensor(rates)

    return Case("\n".join(lines), f, 0)


KINDS = [(steps, 10), (schedule, 1)]
