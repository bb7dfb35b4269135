"""Expected values of optimisers, schedules and averages, from PyTorch, as a Lua file that
test_optimisers.lua and test_schedules.lua read:

    python3 tests/oracle_optim.py > tests/lua/oracle_optim.lua

Made with PyTorch 2.15 in double precision. A case of an optimiser has its options, those of its two
groups, the values of their parameters after some of the steps, whose gradients are given, and the
states after the last; the second parameter has no gradient in the first step. PyTorch's Muon rounds to bfloat16 within its
iteration, which is left out here. It has no Lion: that is Algorithm 2 of Chen et al. 2023. LBFGS
goes down (or up) the losses below. A case of a schedule is a line of Lua and what PyTorch has for it:
the rates of both groups, and the momentum or beta1 of the first, for t = 0, 1, ...
"""
import math

import torch
from torch.optim import lr_scheduler as S
from torch.optim.lbfgs import _strong_wolfe
from torch.optim.swa_utils import (SWALR, AveragedModel, get_ema_multi_avg_fn,
                                   get_swa_multi_avg_fn, update_bn)

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)


#
# Writing
#

def lua(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, str):
        return '"%s"' % v
    if isinstance(v, dict):
        return "{%s}" % ", ".join("%s = %s" % (k, lua(x)) for k, x in v.items())
    if isinstance(v, (list, tuple)):
        return "{%s}" % ", ".join(map(lua, v))
    if isinstance(v, torch.Tensor):
        return lua(v.detach().tolist())
    return "%.11g" % (v + 0)


def decimals(*size):
    """Values with two decimals in [-2, 2], none near 0: their text is exact."""
    t = torch.randint(5, 200, size) / 100
    return t * (torch.randint(0, 2, size) * 2 - 1)


#
# Optimisers
#

STEPS, SHOWN = 8, (1, 2, 8)
SHAPES = {"vectors": [(3,), (2, 2)], "matrices": [(2, 4), (3, 2)]}
START = {k: [decimals(*size) for size in v] for k, v in SHAPES.items()}
GRADIENTS = {k: [[decimals(*size) for size in v] for _ in range(STEPS)] for k, v in SHAPES.items()}


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay,
                                  "maximize": maximize})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = -p.grad if group["maximize"] else p.grad
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                c = (b1 * m + (1 - b1) * g).sign()
                p.sub_(lr * (c + group["weight_decay"] * p))
                m.mul_(b2).add_((1 - b2) * g)


class InDouble:
    """While it lasts, nothing becomes bfloat16."""

    def __enter__(self):
        self.to = to = torch.Tensor.to
        torch.Tensor.to = lambda t, *a, **k: (
            t.clone() if k.get("dtype") == torch.bfloat16 else to(t, *a, **k))

    def __exit__(self, *_):
        torch.Tensor.to = self.to


def run(make, kind, groups, **options):
    params = [p.clone().requires_grad_() for p in START[kind]]
    opt = make([{"params": [p], **g} for p, g in zip(params, groups)], **options)
    seen = []
    for t in range(1, STEPS + 1):
        for p, g in zip(params, GRADIENTS[kind][t - 1]):
            p.grad = g.clone()
        if t == 1:
            params[1].grad = None
        with InDouble():
            opt.step()
        if t in SHOWN:
            seen.append([p.flatten().tolist() for p in params])
    return seen, [remembered(opt.state[p]) for p in params]


def remembered(state):
    """What PyTorch keeps of a parameter, by its names."""
    lists = {k: torch.as_tensor(v).flatten().tolist() for k, v in state.items() if v is not None}
    return dict(sorted(lists.items()))


RATES = [{}, {"lr": 0.02}]
CASES = {
    "SGD": [
        {"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.2}, {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}],
    "Adam": [
        {}, {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True},
        {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True, "weight_decay": 0.1, "maximize": True}],
    "AdamW": [
        {}, {"lr": 0.05, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True},
        {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True}],
    "RMSprop": [
        {}, {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "momentum": 0.8, "weight_decay": 0.05},
        {"centered": True, "alpha": 0.9},
        {"centered": True, "alpha": 0.5, "momentum": 0.5, "maximize": True}],
    "Adagrad": [
        {}, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-3},
        {"initial_accumulator_value": 0.5, "maximize": True}],
    "NAdam": [
        {}, {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
        {"weight_decay": 0.1, "momentum_decay": 0.5, "decoupled_weight_decay": True},
        {"maximize": True, "weight_decay": 0.1}],
    "RAdam": [
        {}, {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        {"betas": (0.9, 0.6)}],
    "ASGD": [
        {}, {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1},
        {"maximize": True}],
    "Lion": [{}, {"lr": 0.01, "betas": (0.5, 0.8), "weight_decay": 0.1, "maximize": True}],
    "Muon": [
        {}, {"lr": 0.05, "momentum": 0.8, "nesterov": False, "weight_decay": 0},
        {"ns_steps": 3, "ns_coefficients": (2, -1.5, 0.5), "eps": 1e-3,
         "adjust_lr_fn": "match_rms_adamw"},
        {"adjust_lr_fn": "spectral_unclamped"}],
}


def optimizer_cases():
    for name, cases in CASES.items():
        kind = "matrices" if name == "Muon" else "vectors"
        make = Lion if name == "Lion" else getattr(torch.optim, name)
        for options in cases:
            groups = RATES[:1] + [{"lr": 0.02, "weight_decay": 0.3}] if options else RATES
            values, states = run(make, kind, groups, **options)
            print("  {name = %s, kind = %s, options = %s, groups = %s,\n   values = %s,\n"
                  "   states = %s}," % (lua(name), lua(kind), lua(options), lua(groups), lua(values),
                                       lua(states)))


#
# LBFGS: losses of a [2] and b [3], in Lua and in PyTorch
#

LOSSES = {
    "bowl": ("((a - 1) ^ 2):sum() + ((b * b + 1):log() * 3):sum() + (a[1] * b[2])",
             lambda a, b: ((a - 1) ** 2).sum() + ((b * b + 1).log() * 3).sum() + a[0] * b[1]),
    "valley": ("((1 - a) ^ 2):sum() + 10 * ((b[{{1, 2}}] - a ^ 2) ^ 2):sum() + (b[3] - 2) ^ 4",
               lambda a, b: ((1 - a) ** 2).sum() + 10 * ((b[:2] - a ** 2) ** 2).sum()
               + (b[2] - 2) ** 4),
}
LBFGS = [
    ("bowl", {"lr": 0.2}, 3), ("bowl", {"lr": 0.5, "history_size": 2, "max_iter": 5}, 3),
    ("bowl", {"line_search_fn": "strong_wolfe", "max_iter": 3}, 2),
    ("valley", {"line_search_fn": "strong_wolfe", "max_iter": 5}, 3),
    ("valley", {"line_search_fn": "strong_wolfe", "max_iter": 5, "max_eval": 4, "lr": 3}, 3),
    ("valley", {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 2,
                "tolerance_grad": 1e-3, "tolerance_change": 1e-5}, 4),
]


def lbfgs_cases():
    for maximize in (False, True):
        for name, options, steps in LBFGS if not maximize else LBFGS[2:4]:
            a, b = torch.tensor([-0.5, 0.7]), torch.tensor([1.5, -0.4, 0.6])
            params = [a.requires_grad_(), b.requires_grad_()]
            options = {**options, **({"maximize": True} if maximize else {})}
            opt, losses = torch.optim.LBFGS(params, **options), []

            def closure():
                opt.zero_grad()
                loss = LOSSES[name][1](a, b) * (-1 if maximize else 1)
                loss.backward()
                return loss

            for _ in range(steps):
                losses.append(opt.step(closure).item())
            state = opt.state[a]
            print("  {loss = %s, options = %s, losses = %s, a = %s, b = %s, evals = %d, iters = %d}," % (
                lua(name), lua(options), lua(losses), lua(a), lua(b), state["func_evals"],
                state["n_iter"]))


#
# The line search: along -t + a t^2 + b sin(w t), from a first step on, with so many to look at
#

def search_cases():
    for k in range(160):
        a, b, w = abs(decimals(3)).tolist()
        a, w = round(a / (1, 10, 100)[k % 3], 5), round(w * (1 + k % 8), 2)
        b = round(min(b, 0.95 / w) if k % 2 else -b * 2 / w, 5)
        first, most = (0.01, 0.2, 1.0, 5.0, 40.0)[k % 5], (25, 25, 3, 1)[k // 5 % 4]

        t, evals = searched(a, b, w, first, most)
        near, again = searched(a * (1 + 1e-11), b, w * (1 + 1e-11), first, most)
        if evals == again and abs(t - near) < 1e-7:  # others hang on rounding
            print("  {%s, evals = %d}," % (", ".join(map(lua, (a, b, w, first, most, t))), evals))


def searched(a, b, w, first, most):
    def at(x, t, d):
        t = torch.as_tensor(t, dtype=torch.float64)
        g = -1 + 2 * a * t + b * w * torch.cos(w * t)
        return (-t + a * t * t + b * torch.sin(w * t)).item(), g.reshape(1)

    d = torch.ones(1)
    f, g = at(None, 0.0, d)
    _, _, t, evals = _strong_wolfe(at, None, first, d, f, g, g.dot(d), max_ls=most)
    return float(t), evals


#
# Schedules
#

CHAIN = ("optim.LinearLR(opt, {start_factor = 0.1, total_iters = 4}), "
         "optim.ExponentialLR(opt, {gamma = 0.9})")
SCHEDULES = [
    ("SGD", "optim.StepLR(opt, {step_size = 3, gamma = 0.5})", lambda o: S.StepLR(o, 3, 0.5)),
    ("SGD", "optim.MultiStepLR(opt, {milestones = {2, 5, 5}})", lambda o: S.MultiStepLR(o, [2, 5, 5])),
    ("SGD", "optim.MultiStepLR(opt, {milestones = {7, 3}, gamma = 0.5})",
     lambda o: S.MultiStepLR(o, [7, 3], 0.5)),
    ("SGD", "optim.ExponentialLR(opt, {gamma = 0.8})", lambda o: S.ExponentialLR(o, 0.8)),
    ("SGD", "optim.ConstantLR(opt)", S.ConstantLR),
    ("SGD", "optim.ConstantLR(opt, {factor = 0.5, total_iters = 2})",
     lambda o: S.ConstantLR(o, 0.5, 2)),
    ("SGD", "optim.LinearLR(opt)", S.LinearLR),
    ("SGD", "optim.LinearLR(opt, {start_factor = 1, end_factor = 0.25, total_iters = 8})",
     lambda o: S.LinearLR(o, 1, 0.25, 8)),
    ("SGD", "optim.PolynomialLR(opt)", S.PolynomialLR),
    ("SGD", "optim.PolynomialLR(opt, {total_iters = 8, power = 2.5})",
     lambda o: S.PolynomialLR(o, 8, 2.5)),
    ("SGD", "optim.CosineAnnealingLR(opt, {T_max = 12, eta_min = 0.01})",
     lambda o: S.CosineAnnealingLR(o, 12, 0.01)),
    ("SGD", "optim.CosineAnnealingWarmRestarts(opt, {T_0 = 4})",
     lambda o: S.CosineAnnealingWarmRestarts(o, 4)),
    ("SGD", "optim.CosineAnnealingWarmRestarts(opt, {T_0 = 2, T_mult = 2, eta_min = 0.01})",
     lambda o: S.CosineAnnealingWarmRestarts(o, 2, 2, 0.01)),
    ("SGD", "optim.LambdaLR(opt, function(t) return 0.5 ^ t end)",
     lambda o: S.LambdaLR(o, lambda t: 0.5 ** t)),
    ("SGD", "optim.OneCycleLR(opt, {max_lr = 1, total_steps = 13})",
     lambda o: S.OneCycleLR(o, 1, 13)),
    ("Adam", "optim.OneCycleLR(opt, {max_lr = {1, 0.5}, epochs = 4, steps_per_epoch = 4, "
     "pct_start = 0.25, anneal_strategy = \"linear\", base_momentum = 0.5, max_momentum = 0.75, "
     "div_factor = 10, final_div_factor = 100})",
     lambda o: S.OneCycleLR(o, [1, 0.5], epochs=4, steps_per_epoch=4, pct_start=0.25,
                            anneal_strategy="linear", base_momentum=0.5, max_momentum=0.75,
                            div_factor=10, final_div_factor=100)),
    ("Adam", "optim.OneCycleLR(opt, {max_lr = 1, total_steps = 13, three_phase = true})",
     lambda o: S.OneCycleLR(o, 1, 13, three_phase=True)),
    ("Adagrad", "optim.OneCycleLR(opt, {max_lr = 1, total_steps = 13, cycle_momentum = false})",
     lambda o: S.OneCycleLR(o, 1, 13, cycle_momentum=False)),
    ("SGD", "optim.CyclicLR(opt, {base_lr = 0.1, max_lr = 1, step_size_up = 3})",
     lambda o: S.CyclicLR(o, 0.1, 1, 3)),
    ("Adam", "optim.CyclicLR(opt, {base_lr = {0.1, 0.2}, max_lr = 1, step_size_up = 3, "
     "step_size_down = 2, mode = \"triangular2\", base_momentum = 0.5})",
     lambda o: S.CyclicLR(o, [0.1, 0.2], 1, 3, 2, mode="triangular2", base_momentum=0.5)),
    ("Adagrad", "optim.CyclicLR(opt, {base_lr = 0.1, max_lr = 1, step_size_up = 2, "
     "mode = \"exp_range\", gamma = 0.9, cycle_momentum = false})",
     lambda o: S.CyclicLR(o, 0.1, 1, 2, mode="exp_range", gamma=0.9, cycle_momentum=False)),
    ("Adam", "optim.CyclicLR(opt, {base_lr = 0.1, max_lr = 1, step_size_up = 2, "
     "scale_fn = function(t) return 1 / (1 + t) end, scale_mode = \"iterations\"})",
     lambda o: S.CyclicLR(o, 0.1, 1, 2, scale_fn=lambda t: 1 / (1 + t), scale_mode="iterations")),
    ("SGD", "optim.SWALR(opt, {swa_lr = 0.05})", lambda o: SWALR(o, 0.05)),
    ("SGD", "optim.SWALR(opt, {swa_lr = {0.05, 0.2}, anneal_epochs = 4, "
     "anneal_strategy = \"linear\"})", lambda o: SWALR(o, [0.05, 0.2], 4, "linear")),
    ("SGD", "optim.SequentialLR(opt, {schedulers = {%s}, milestones = {6}})" % CHAIN,
     lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1, 4), S.ExponentialLR(o, 0.9)], [6])),
    ("SGD", "optim.SequentialLR(opt, {schedulers = {%s, optim.CosineAnnealingLR(opt, "
     "{T_max = 6})}, milestones = {3, 7}})" % CHAIN,
     lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1, 4), S.ExponentialLR(o, 0.9),
                                  S.CosineAnnealingLR(o, 6)], [3, 7])),
    ("SGD", "optim.ChainedScheduler {%s}" % CHAIN,
     lambda o: S.ChainedScheduler([S.LinearLR(o, 0.1, 1, 4), S.ExponentialLR(o, 0.9)])),
    ("SGD", "optim.ChainedScheduler {%s, optim.CosineAnnealingLR(opt, {T_max = 12})}" % CHAIN,
     lambda o: S.ChainedScheduler([S.LinearLR(o, 0.1, 1, 4), S.ExponentialLR(o, 0.9),
                                   S.CosineAnnealingLR(o, 12)])),
]
MEASURED = [5, 4, 4.5, 4, 4, 3.9999, 3.5, 3.6, 3.7, 3.8, 3.9, 4, 3.4999, 3.6, 3.6, 3.6, 3, 2.9]
PLATEAUS = [
    ("{patience = 1}", {"patience": 1}),
    ("{patience = 2, factor = 0.5, cooldown = 2, min_lr = {0.1, 0.01}}",
     {"patience": 2, "factor": 0.5, "cooldown": 2, "min_lr": [0.1, 0.01]}),
    ('{patience = 1, factor = 0.5, threshold = 0.2, threshold_mode = "abs"}',
     {"patience": 1, "factor": 0.5, "threshold": 0.2, "threshold_mode": "abs"}),
    ('{mode = "max", patience = 2, factor = 0.5}', {"mode": "max", "patience": 2, "factor": 0.5}),
    ('{mode = "max", patience = 0, threshold_mode = "abs", eps = 1e-3}',
     {"mode": "max", "patience": 0, "threshold_mode": "abs", "eps": 1e-3}),
]


def two_rates(name):
    params = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.5, 0.25)]
    more = {"momentum": 0.6} if name == "SGD" else {}
    return getattr(torch.optim, name)(params, **more)


def momentum(opt):
    group = opt.param_groups[0]
    return group["betas"][0] if "betas" in group else group.get("momentum", -1)


def rates(opt, steps):
    list = []
    for step in steps:
        list.append([g["lr"] for g in opt.param_groups] + [momentum(opt)])
        opt.step()
        step()
    return [[row[i] for row in list] for i in range(3)]


def schedule_cases():
    for name, code, make in SCHEDULES:
        opt = two_rates(name)
        schedule = make(opt)
        print("  {optimizer = %s, code = %s,\n   rates = %s}," % (
            lua(name), "[[%s]]" % code, lua(rates(opt, [schedule.step] * 13))))
    for code, options in PLATEAUS:
        opt = two_rates("SGD")
        schedule = S.ReduceLROnPlateau(opt, **options)
        steps = [lambda v=v: schedule.step(v) for v in MEASURED]
        print("  {optimizer = \"SGD\", code = %s, measured = %s,\n   rates = %s}," % (
            "[[optim.ReduceLROnPlateau(opt, %s)]]" % code, lua(MEASURED), lua(rates(opt, steps))))


#
# Averages
#

def average_cases():
    values = [decimals(3) for _ in range(5)]
    for name, options, make in (
            ("SWA", {}, get_swa_multi_avg_fn()), ("EMA", {}, get_ema_multi_avg_fn()),
            ("EMA", {"decay": 0.75}, get_ema_multi_avg_fn(0.75)),
            ("EMA", {"decay": 0.75, "use_buffers": True}, get_ema_multi_avg_fn(0.75)),
            ("SWA", {"use_buffers": True}, get_swa_multi_avg_fn())):
        net, seen = torch.nn.BatchNorm1d(3), []
        net.num_batches_tracked = None  # an integer, of which PyTorch has no mean
        model = AveragedModel(net, multi_avg_fn=make, use_buffers=options.get("use_buffers", False))
        for v in values:
            with torch.no_grad():
                net.weight.copy_(v)
                net.running_mean.copy_(v * 2)
            model.update_parameters(net)
            seen.append([model.module.weight.tolist(), model.module.running_mean.tolist()])
        print("  {name = %s, options = %s, values = %s,\n   seen = %s}," % (
            lua(name), lua(options), lua(values), lua(seen)))


def statistics_case():
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.ReLU())
    batches = [decimals(n, 2) for n in (4, 4, 3)]
    with torch.no_grad():
        net[0].weight.copy_(decimals(3, 2))
        net[0].bias.copy_(decimals(3))
    update_bn(batches, net)
    print("{batches = %s, weight = %s, bias = %s,\n  mean = %s, var = %s}," % (
        lua(batches), lua(net[0].weight), lua(net[0].bias), lua(net[1].running_mean),
        lua(net[1].running_var)))


def table(name, write):
    print("%s = {" % name)
    write()
    print("},")


print("-- Written by tests/oracle_optim.py with PyTorch %s; do not edit." %
      torch.__version__.split("+")[0])
print("return {")
print("start = %s," % lua(START))
print("gradients = %s," % lua(GRADIENTS))
print("shown = %s," % lua(SHOWN))
table("optimizers", optimizer_cases)
print("losses = {%s}," % ", ".join('%s = [[%s]]' % (k, v[0]) for k, v in LOSSES.items()))
table("lbfgs", lbfgs_cases)
table("searches", search_cases)
table("schedules", schedule_cases)
table("averages", average_cases)
print("statistics =")
statistics_case()
print("}")
