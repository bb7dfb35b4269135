"""Expected values of the ops, from PyTorch, as a Lua file that test_ops.lua reads:

    python3 tests/oracle.py > tests/lua/oracle.lua

Made with PyTorch 2.9 and NumPy 2.4, in double precision. A case has the inputs, the
attributes, the results, and the gradients by the inputs of the sum of all real results,
element i (from 0, in row-major order) times cos(i). Some have the same of second order: the
gradients by the inputs of the sum of all those gradients times cos(i). Inputs have two
decimals, so their text is exact. Where PyTorch shares a gradient between equal values and Perilune gives it to the
first, the inputs have no equal values. Vectors whose sign the mathematics leave open are given the
one with a positive first element, here and in test_ops.lua.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.RandomState(1)
cases = []


#
# Inputs
#

def real(*size, low=-2.0, high=2.0):
    """Values in [low, high], none within 0.05 of 0, no two of a small tensor alike."""
    steps = int(round((high - low) * 100))
    n = int(np.prod(size))
    grid = np.arange(steps) / 100 + low
    grid = grid[np.abs(grid) > 0.05]
    picked = rng.choice(grid, n, replace=n > len(grid))
    return torch.tensor(np.round(picked, 2).reshape(size))


def positive(*size):
    return real(*size, low=0.2, high=2.5)


def values(table):
    return torch.tensor(table, dtype=torch.float64)


def index(*size, n):
    return torch.tensor(rng.randint(1, n + 1, size), dtype=torch.int32)


def ints(table):
    return torch.tensor(table, dtype=torch.int32)


def bits(*size):
    return torch.tensor(rng.randint(0, 2, size), dtype=torch.uint8)


def rows(t):
    """The positions of an index tensor as PyTorch counts them."""
    return t.long() - 1


#
# Writing
#

KINDS = {torch.float64: None, torch.int32: "int32", torch.uint8: "uint8"}


def number(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    return "-0.0" if v == 0 and math.copysign(1, v) < 0 else "%.11g" % v


def tensor_text(t):
    t = t.detach()
    kind = KINDS[t.dtype]
    fields = ["size={%s}" % ",".join(map(str, t.shape))]
    if kind:
        fields.append('kind="%s"' % kind)
    if t.numel() > 0:
        fields.append(",".join(number(v) for v in t.reshape(-1).tolist()))
    return "{%s}" % ", ".join(fields)


def attribute_text(v):
    if isinstance(v, str):
        return '"%s"' % v
    if isinstance(v, (list, tuple)):
        return "{%s}" % ",".join(map(number, v))
    return number(v)


def optional_text(t):
    return "false" if t is None else tensor_text(t)


def list_text(ts):
    return "{%s}" % ", ".join(optional_text(t) for t in ts)


#
# Cases
#

def outputs_of(result):
    result = list(result) if isinstance(result, (tuple, list)) else [result]
    return [t.to(torch.int32) if t.dtype == torch.int64 else
            t.to(torch.uint8) if t.dtype == torch.bool else t for t in result]


def gradients(outputs, inputs, create_graph=False):
    total = 0
    for y in outputs:
        if y is not None and y.dtype == torch.float64 and y.requires_grad:
            weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
            total = total + (y * weights).sum()
    if not isinstance(total, torch.Tensor):
        return None
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    got = iter(torch.autograd.grad(total, wanted, allow_unused=True, create_graph=create_graph))
    return [next(got) if t is not None and t.requires_grad else None for t in inputs]


def case(op, function, inputs, attrs=None, grad=True, changed=(), second=False, fixed=()):
    """function(*inputs) gives what the op must give; changed: inputs, from 1, changed in place;
    fixed: those that get no gradient."""
    given = [None if t is None else t.clone() for t in inputs]
    work = [None if t is None else t.clone() for t in inputs]
    if grad:
        for i, t in enumerate(work):
            if t is not None and t.dtype == torch.float64 and i + 1 not in (*changed, *fixed):
                t.requires_grad_()
    outputs = outputs_of(function(*work))
    fields = ['op="%s"' % op, "inputs=" + list_text(given)]
    if attrs:
        fields.append("attrs={%s}" % ", ".join(
            "%s=%s" % (k, attribute_text(v)) for k, v in attrs.items()))
    fields.append("expected=" + list_text(outputs))
    grads = gradients(outputs, work, second) if grad else None
    if grads:
        fields.append("grads=" + list_text(grads))
    if second:
        fields.append("second=" + list_text(gradients(grads, work)))
    if changed:
        fields.append("changed={%s}" % ", ".join(
            "[%d]=%s" % (i, tensor_text(work[i - 1])) for i in changed))
    cases.append("{%s}" % ", ".join(fields))


#
# Elementwise
#

BROADCASTS = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 2)), ((2, 1, 2), (3, 1)),
              ((4,), ())]


def binaries():
    for name, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum,
                    "minimum": torch.minimum}.items():
        for a, b in BROADCASTS:
            case(name, f, [real(*a), real(*b)])
    for a, b in BROADCASTS:
        case("div", torch.div, [real(*a), positive(*b)])
        case("pow", torch.pow, [positive(*a), real(*b)])
    case("pow", torch.pow, [real(5), values(2)], grad=False)
    case("pow", torch.pow, [values([-8, -2, 0, 0, 0, 4]), values([1 / 3, 3, 0, 2, -1, 0.5])],
         grad=False)
    case("div", torch.div, [values([1, -1, 0, 2]), values([0, 0, 0, math.inf])], grad=False)
    for name, f in {"maximum": torch.maximum, "minimum": torch.minimum}.items():
        case(name, f, [values([math.nan, 1, 2, math.inf]), values([1, math.nan, 2, -math.inf])],
             grad=False)
    for slope in (0.0, 0.2):
        case("act_grad", lambda a, b, s=slope: torch.where(b > 0, a, s * a) + 0 * b,
             [real(2, 3), real(2, 3)], {"slope": slope})
    for name, f in {"eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt,
                    "ge": torch.ge}.items():
        case(name, f, [values([1, 2, 3, math.nan]), values([2, 2, 2, math.nan])], grad=False)
        case(name, f, [index(2, 3, n=3), index(3, n=3)], grad=False)
        case(name, f, [bits(4), real(4)], grad=False)


def unaries():
    same = {"neg": torch.neg, "exp": torch.exp, "square": torch.square, "abs": torch.abs,
            "sin": torch.sin, "cos": torch.cos, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
            "relu": F.relu}
    for name, f in same.items():
        case(name, f, [real(2, 3)])
        case(name, f, [real()])
        case(name, f, [real(0, 2)])
    case("softplus", lambda x: torch.log1p(torch.exp(x)), [real(2, 3, low=-8, high=8)])
    for name, f in {"log": torch.log, "log1p": torch.log1p, "sqrt": torch.sqrt,
                    "reciprocal": torch.reciprocal}.items():
        case(name, f, [positive(2, 3)])
    for name, f in {"sign": torch.sign, "floor": torch.floor}.items():
        case(name, f, [real(3, 3)], grad=False)
    case("leaky_relu", lambda x: F.leaky_relu(x, 0.01), [real(2, 4)])
    case("leaky_relu", lambda x: F.leaky_relu(x, 0.3), [real(2, 4)], {"slope": 0.3})
    case("affine", lambda x: 3 * x - 0.5, [real(2, 2)], {"scale": 3, "shift": -0.5})
    case("clamp", lambda x: x.clamp(-0.5, 0.75), [real(2, 4)], {"min": -0.5, "max": 0.75})
    case("clamp", lambda x: x.clamp(min=0.25), [real(2, 4)], {"min": 0.25})
    case("clamp", lambda x: x.clamp(max=0.25), [real(2, 4)], {"max": 0.25})
    case("in_range", lambda x: ((x >= -0.5) & (x <= 0.75)).double(), [real(2, 4)],
         {"min": -0.5, "max": 0.75}, grad=False)
    odd = values([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-7, -30, 80, 100])
    for name, f in {"exp": torch.exp, "log": torch.log, "log1p": torch.log1p, "sqrt": torch.sqrt,
                    "reciprocal": torch.reciprocal, "abs": torch.abs, "tanh": torch.tanh,
                    "sigmoid": torch.sigmoid, "relu": F.relu, "floor": torch.floor,
                    "square": torch.square}.items():
        t = odd.clone()
        t[8] = 3
        if name == "exp":
            t[7] = 30
        case(name, f, [t], grad=False)
    case("clamp", lambda x: x.clamp(-1, 1), [odd], {"min": -1, "max": 1}, grad=False)
    case("softplus", lambda x: F.softplus(x, threshold=1000),
         [values([-100, -30, 0, 30, 100, math.inf])],
         grad=False)


def others():
    for c, a, b in [((2, 3), (2, 3), (2, 3)), ((2, 1), (3,), ()), ((), (2, 2), (2, 1))]:
        case("where", lambda c, a, b: torch.where(c.bool(), a, b), [bits(*c), real(*a), real(*b)])
    case("isnan", torch.isnan, [values([1, math.nan, math.inf, 0])], grad=False)
    case("any", lambda x: x.bool().any(), [bits(2, 3)], grad=False)
    case("any", lambda x: x.bool().any(), [values([0, 0])], grad=False)
    case("any", lambda x: x.bool().any(), [values([])], grad=False)
    case("all", lambda x: x.bool().all(), [bits(2, 3)], grad=False)
    case("all", lambda x: x.bool().all(), [values([2, -1, math.nan])], grad=False)
    case("all", lambda x: x.bool().all(), [values([])], grad=False)


#
# Shapes
#

def slices(x, dim, start, length, step):
    at = torch.arange(length) * step + (start if start >= 0 else start + x.shape[dim])
    return x.index_select(dim, at)


def unsliced(x, dim, start, step, size):
    shape = list(x.shape)
    shape[dim] = size
    at = torch.arange(x.shape[dim]) * step + start
    return torch.zeros(shape).index_add(dim, at, x)


def shapes():
    case("reshape", lambda x: x.reshape(2, 6), [real(3, 4)], {"size": [2, 6]})
    case("reshape", lambda x: x.reshape(2, -1, 2), [real(3, 4)], {"size": [2, -1, 2]})
    case("reshape", lambda x: x.reshape(()), [real(1, 1)], {"size": []})
    case("reshape", lambda x: x.reshape(3, 0), [real(0, 2)], {"size": [3, 0]})
    case("expand", lambda x: x.expand(3, 4), [real(3, 1)], {"size": [3, 4]})
    case("expand", lambda x: x.expand(2, 3, 4), [real(4)], {"size": [2, 3, 4]})
    case("expand", lambda x: x.expand(2, -1, 3), [real(2, 1)], {"size": [2, -1, 3]})
    case("expand", lambda x: x.expand(2, 2), [real()], {"size": [2, 2]})
    case("permute", lambda x: x.permute(2, 0, 1), [real(2, 3, 2)], {"dims": [3, 1, 2]})
    case("permute", lambda x: x.permute(-1, 0), [real(2, 3)], {"dims": [-1, 1]})
    case("transpose", lambda x: x.transpose(0, 2), [real(2, 3, 2)], {"dim0": 1, "dim1": 3})
    case("transpose", lambda x: x.transpose(-2, -1), [real(2, 3)], {"dim0": -2, "dim1": -1})
    for dim, start, length, step in [(1, 2, 2, 1), (2, 1, 3, 2), (2, 5, 3, -2), (-1, -1, 5, -1),
                                     (1, 1, 0, 1), (2, 6, 0, 1), (1, 3, 1, 7)]:
        case("slice", lambda x, d=dim, s=start, n=length, k=step:
             slices(x, d - 1 if d > 0 else 1, s - 1 if s > 0 else s, n, k), [real(3, 5)],
             {"dim": dim, "start": start, "length": length, "step": step})
    case("unslice", lambda x: unsliced(x, 1, 1, 2, 7), [real(2, 3)],
         {"dim": 2, "start": 2, "step": 2, "size": 7})
    case("unslice", lambda x: unsliced(x, 0, 3, -1, 4), [real(2, 3)],
         {"dim": 1, "start": 4, "step": -1, "size": 4})
    case("select", lambda x: x.select(1, 2), [real(3, 4)], {"dim": 2, "index": 3})
    case("select", lambda x: x.select(0, -1), [real(3, 4)], {"dim": 1, "index": -1})
    case("select", lambda x: x.select(0, 1), [real(3)], {"dim": 1, "index": 2})
    case("flip", lambda x: x.flip(0), [real(3, 2)], {"dims": [1]})
    case("flip", lambda x: x.flip(0, 1), [real(3, 2)])
    case("flip", lambda x: x.flip(1, 2), [real(2, 2, 3)], {"dims": [-1, 2]})
    case("cat", lambda *x: torch.cat(x), [real(2, 3), real(1, 3)])
    case("cat", lambda *x: torch.cat(x, 1), [real(2, 3), real(2, 0), real(2, 2)], {"dim": 2})
    case("cat", lambda *x: torch.cat(x, -1), [real(3)], {"dim": -1})
    case("stack", lambda *x: torch.stack(x), [real(2, 3), real(2, 3)])
    case("stack", lambda *x: torch.stack(x, 1), [real(2, 3), real(2, 3), real(2, 3)], {"dim": 2})
    case("stack", lambda *x: torch.stack(x, -1), [real(2), real(2)], {"dim": -1})
    case("stack", lambda *x: torch.stack(x), [real(), real()])
    case("pad", lambda x: F.pad(x, (1, 2)), [real(2, 3)], {"pads": [1, 2]})
    case("pad", lambda x: F.pad(x, (0, 1, 2, 0), value=-1), [real(2, 2)],
         {"pads": [0, 1, 2, 0], "value": -1})
    case("pad", lambda x: x * 1, [real(2)], {"pads": [0, 0]})


#
# Reductions
#

def reduced(f, x, dims, keepdim, **more):
    dims = list(range(x.dim())) if not dims else [d - 1 if d > 0 else d for d in dims]
    return f(x, dim=dims, keepdim=keepdim, **more)


REDUCTIONS = [((2, 3, 2), []), ((2, 3, 2), [2]), ((2, 3, 2), [1, 3]), ((3, 4), [-1]), ((5,), [1]),
              ((2, 3, 2), [3, 2])]


def reductions():
    for size, dims in REDUCTIONS:
        for keepdim in (False, True):
            attrs = {**({"dim": dims} if dims else {}), **({"keepdim": True} if keepdim else {})}
            run = lambda f, **more: lambda x: reduced(f, x, dims, keepdim, **more)
            case("sum", run(torch.sum), [real(*size)], attrs)
            if keepdim and len(dims) != 1:
                continue
            case("mean", run(torch.mean), [real(*size)], attrs)
            case("amax", run(torch.amax), [real(*size)], attrs)
            case("amin", run(torch.amin), [real(*size)], attrs)
            case("norm", run(torch.linalg.vector_norm), [real(*size)], attrs)
            case("var", run(torch.var, unbiased=True), [real(*size)], attrs)
    case("var", lambda x: x.var(0, unbiased=False), [real(3, 2)], {"dim": 1, "unbiased": False})
    case("var", lambda x: x.var(unbiased=True), [real(1)], grad=False)
    case("sum", torch.sum, [real()])
    case("mean", torch.mean, [real()])
    case("sum", torch.sum, [real(0)])
    case("sum", lambda x: x.sum(0), [real(0, 3)], {"dim": 1})
    case("sum", lambda x: x.sum(1), [real(2, 0)], {"dim": 2})
    case("mean", torch.mean, [real(0)], grad=False)
    case("mean", torch.mean, [values([1, math.inf, 2])], grad=False)
    case("norm", torch.linalg.vector_norm, [values([3, 4])])
    for size, dim in [((3, 4), 2), ((3, 4), 1), ((2, 3, 2), 2), ((4,), -1)]:
        d = dim - 1 if dim > 0 else dim
        for keepdim in (False, True):
            attrs = {"dim": dim, **({"keepdim": True} if keepdim else {})}
            case("logsumexp", lambda x: x.logsumexp(d, keepdim), [real(*size)], attrs)
            case("max", lambda x: one_based(x.max(d, keepdim)), [real(*size)], attrs)
            case("min", lambda x: one_based(x.min(d, keepdim)), [real(*size)], attrs)
            case("argmax", lambda x: x.argmax(d, keepdim) + 1, [real(*size)], attrs, grad=False)
            case("prod", lambda x: x.prod(d, keepdim), [real(*size)], attrs)
        case("cumsum", lambda x: x.cumsum(d), [real(*size)], {"dim": dim})
        case("softmax", lambda x: x.softmax(d), [real(*size)], {"dim": dim})
        case("log_softmax", lambda x: x.log_softmax(d), [real(*size)], {"dim": dim})
        case("sort", lambda x: one_based(x.sort(d)), [real(*size)], {"dim": dim})
        case("sort", lambda x: one_based(x.sort(d, descending=True)), [real(*size)],
             {"dim": dim, "descending": True})
        case("topk", lambda x: one_based(x.topk(2, d)), [real(*size)], {"k": 2, "dim": dim})
        case("topk", lambda x: one_based(x.topk(3, d, largest=False)), [real(*size)],
             {"k": 3, "dim": dim, "largest": False})
    edges()


def one_based(pair):
    return pair[0], pair[1] + 1


def edges():
    """Infinities, NaN, equal values, zero factors."""
    inf, nan = math.inf, math.nan
    case("logsumexp", lambda x: x.logsumexp(1),
         [values([[-inf, -inf], [-inf, 1], [inf, 1], [1000, 1000], [-1000, -1001], [nan, 1]])],
         {"dim": 2}, grad=False)
    case("log_softmax", lambda x: x.log_softmax(1), [values([[-inf, 1, 2], [1000, 1001, 999]])],
         {"dim": 2}, grad=False)
    case("softmax", lambda x: x.softmax(1),
         [values([[-inf, 1, 2], [1000, 1001, 999], [nan, 1, 2]])],
         {"dim": 2}, grad=False)
    first = {"max": [1, 2, 1, 2], "min": [3, 2, 1, 1]}
    for name, f in {"max": torch.max, "min": torch.min}.items():
        case(name, lambda x: (f(x, 1)[0], ints(first[name])),
             [values([[2, 2, 1], [1, nan, nan], [-inf, -inf, -inf], [0, inf, inf]])], {"dim": 2},
             grad=False)
    case("argmax", lambda x: x.argmax(1) + 1, [values([[1, nan, 3], [5, 4, 3]])], {"dim": 2},
         grad=False)
    case("amax", torch.amax, [values([1, nan, 3])], grad=False)
    case("amin", torch.amin, [values([1, nan, 3])], grad=False)
    case("prod", lambda x: x.prod(1), [values([[2, 0, 3], [0, 4, 0], [1, -2, 3]])], {"dim": 2})
    case("prod", lambda x: x.prod(0), [real(0, 2)], {"dim": 1}, grad=False)
    case("prod", lambda x: x.prod(0), [real(5)], {"dim": 1})
    case("sort", lambda x: one_based(x.sort(stable=True)),
         [values([3, nan, 1, inf, 1, -inf, nan, 3])], grad=False)
    case("sort", lambda x: one_based(x.sort(stable=True, descending=True)),
         [values([3, nan, 1, inf, 1, -inf, 3])], {"descending": True}, grad=False)
    case("cumsum", lambda x: x.cumsum(0), [values([1, nan, 2])], {"dim": 1}, grad=False)
    case("norm", torch.linalg.vector_norm, [values([0, 0])], grad=False)


#
# Indexing
#

def scattered(x, at, dim, size):
    shape = list(x.shape)
    shape[dim] = size
    return torch.zeros(shape).scatter_add(dim, rows(at), x)


def added(x, at, dim, size):
    shape = list(x.shape)
    shape[dim] = size
    return torch.zeros(shape).index_add(dim, rows(at), x)


def indexing():
    for size, at, dim in [((3, 4), (3, 2), 2), ((3, 4), (5, 4), 1), ((2, 3, 2), (2, 4, 2), 2),
                          ((4,), (6,), -1)]:
        d = dim - 1 if dim > 0 else dim
        i = index(*at, n=size[d])
        case("gather", lambda x, i: x.gather(d, rows(i)), [real(*size), i], {"dim": dim})
        case("scatter_add", lambda x, i: scattered(x, i, d, size[d]), [real(*at), i],
             {"dim": dim, "size": size[d]})
    for size, n, dim in [((4, 3), 5, 1), ((2, 3), 2, 2), ((2, 3, 2), 4, -2), ((5,), 3, 1),
                         ((3, 2), 0, 1)]:
        d = dim - 1 if dim > 0 else dim
        i = index(n, n=size[d])
        picked = list(size)
        picked[d] = n
        case("index_select", lambda x, i: x.index_select(d, rows(i)), [real(*size), i],
             {"dim": dim})
        case("index_add", lambda x, i: added(x, i, d, size[d]), [real(*picked), i],
             {"dim": dim, "size": size[d]})
    case("index_select", lambda x, i: x.index_select(0, rows(i)),
         [index(4, 2, n=9), ints([4, 1, 1])],
         {"dim": 1}, grad=False)
    case("index_select", lambda x, i: x.index_select(1, rows(i)), [bits(2, 3), ints([3, 1])],
         {"dim": 2}, grad=False)
    case("embedding", lambda i, w: F.embedding(rows(i), w), [index(2, 3, n=4), real(4, 2)])
    case("embedding", lambda i, w: F.embedding(rows(i), w), [ints([2, 2]), real(3, 2)])
    case("one_hot", lambda i: F.one_hot(rows(i), 4).double(), [index(5, n=4)], {"classes": 4},
         grad=False)
    case("one_hot", lambda i: F.one_hot(rows(i), 3).double(), [index(2, 2, n=3)], {"classes": 3},
         grad=False)
    case("nonzero", lambda x: x.reshape(-1).nonzero().reshape(-1) + 1, [bits(3, 3)], grad=False)
    case("nonzero", lambda x: x.reshape(-1).nonzero().reshape(-1) + 1,
         [values([0, 2, -0.0, math.nan])],
         grad=False)


#
# Layers
#

def products():
    case("bmm", torch.matmul, [real(2, 3), real(3, 4)])
    case("bmm", torch.bmm, [real(2, 2, 3), real(2, 3, 2)])
    for a, b in [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)),
                 ((2, 2, 3), (3, 2)),
                 ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((2, 1, 2, 3), (2, 3, 2)),
                 ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((1, 1), (1, 1)), ((0, 3), (3, 2)),
                   ((2, 0), (0, 3))]:
        case("matmul", torch.matmul, [real(*a), real(*b)])
    acts = [({}, lambda y: y), ({"activation": "relu"}, F.relu),
            ({"activation": "leaky_relu", "slope": 0.2}, lambda y: F.leaky_relu(y, 0.2)),
            ({"activation": "leaky_relu"}, F.leaky_relu)]
    for attrs, act in acts:
        case("linear", lambda x, w, b: act(F.linear(x, w, b)), [real(3, 4), real(2, 4), real(2)],
             attrs)
        case("linear", lambda x, w: act(F.linear(x, w)), [real(2, 2, 3), real(4, 3)], attrs)
    case("linear", F.linear, [real(4), real(2, 4), real(2)])
    case("linear", F.linear, [real(0, 4), real(2, 4), real(2)])


def norms():
    for training in (True, False):
        for size in [(3, 2), (2, 2, 3), (2, 2, 2, 2)]:
            for attrs, act in [({}, lambda y: y), ({"activation": "relu"}, F.relu)]:
                case("batch_norm", lambda x, w, b, m, v: act(F.batch_norm(
                    x, m, v, w, b, training, 0.1, 1e-5)),
                    [real(*size), real(2), real(2), real(2), positive(2)],
                    {"training": training, **attrs}, changed=(4, 5))
    case("batch_norm", lambda x: F.batch_norm(x, None, None, None, None, True, 0.1, 0.01),
         [real(4, 2)],
         {"training": True, "eps": 0.01})
    case("batch_norm", lambda x, w, b, m,
         v: F.leaky_relu(F.batch_norm(x, m, v, w, b, True, 0.3, 1e-5), 0.2),
         [real(4, 2), real(2), real(2), real(2), positive(2)],
         {"training": True, "momentum": 0.3, "activation": "leaky_relu", "slope": 0.2},
           changed=(4, 5))
    case("dropout", lambda x: x * 1, [real(2, 3)], {"p": 0.5, "training": False})
    case("dropout", lambda x: x * 0, [real(2, 3)], {"p": 1})
    case("dropout", lambda x: x * 1, [real(2, 3)], {"p": 0})


def losses():
    for smoothing in (0.0, 0.1, 1.0):
        for n, c in [(3, 4), (1, 2), (2, 1)]:
            case("cross_entropy", lambda x,
                 y: F.cross_entropy(x, rows(y), label_smoothing=smoothing),
                 [real(n, c), index(n, n=c)], {"label_smoothing": smoothing} if smoothing else None)
    case("cross_entropy", lambda x, y: F.cross_entropy(x, rows(y)),
         [values([[1000, 0], [0, 1000]]), ints([1, 1])])
    case("mse_loss", F.mse_loss, [real(2, 3), real(2, 3)])
    case("mse_loss", F.mse_loss, [real(1), real(1)])


def conv_gradients(x, w, g, **options):
    y = F.conv2d(x, w, **options)
    return torch.autograd.grad(y, (x, w), g, create_graph=True)


CONVS = [((2, 1, 4, 4), (2, 1, 3, 3), {}), ((1, 2, 4, 5), (2, 2, 2, 3), {"stride": [2, 1]}),
         ((1, 1, 4, 4), (2, 1, 3, 3), {"padding": [1, 2]}),
         ((1, 1, 6, 5), (1, 1, 2, 2), {"dilation": [3, 2]}),
         ((1, 2, 5, 5), (2, 2, 3, 2), {"stride": [2, 3], "padding": [1, 1], "dilation": [2, 1]}),
         ((2, 2, 2, 2), (3, 2, 1, 1), {})]


def convolutions():
    for size, weight, options in CONVS:
        case("conv2d", lambda x, w, b: F.conv2d(x, w, b, **options),
             [real(*size), real(*weight), real(weight[0])], options)
        y = F.conv2d(real(*size), real(*weight), **options)
        case("conv2d_input_grad", lambda g, w: conv_gradients(
            torch.zeros(size, requires_grad=True), w, g, **options)[0],
            [real(*y.shape), real(*weight)], {**options, "size": size[2:]})
        case("conv2d_weight_grad", lambda g, x: conv_gradients(
            x, torch.zeros(weight, requires_grad=True), g, **options)[1],
            [real(*y.shape), real(*size)], {**options, "size": weight[2:]})
    case("conv2d", lambda x, w: F.conv2d(x, w), [real(1, 1, 3, 3), real(1, 1, 2, 2)])
    case("conv2d", lambda x, w, b: F.relu(F.conv2d(x, w, b, padding=1)),
         [real(1, 1, 3, 3), real(2, 1, 3, 3), real(2)], {"padding": 1, "activation": "relu"})
    case("conv2d", lambda x, w, b: F.leaky_relu(F.conv2d(x, w, b), 0.2),
         [real(1, 1, 3, 3), real(2, 1, 2, 2), real(2)], {"activation": "leaky_relu", "slope": 0.2})


def row_norms():
    for size, shape, options in [((3, 5), [5], {}), ((2, 3, 4), [3, 4], {"eps": 0.01}),
                                 ((2, 3, 2, 2), [3, 2, 2], {}), ((1, 7), [7], {}), ((4,), [4], {})]:
        attrs = {"normalized_shape": shape, **options}
        case("layer_norm", lambda x, w, b: F.layer_norm(x, shape, w, b, **options),
             [real(*size), real(*shape), real(*shape)], attrs, second=True)
        case("layer_norm", lambda x: F.layer_norm(x, shape, **options), [real(*size)], attrs,
             second=True)
        case("layer_norm", lambda x, w: F.layer_norm(x, shape, w, **options),
             [real(*size), real(*shape)], attrs, second=True)
    for size, options in [((2, 3, 2, 2), {}), ((1, 1, 3, 5), {"eps": 0.01}), ((3, 2, 4), {}),
                          ((2, 2, 2, 2, 3), {})]:
        case("instance_norm", lambda x, w, b: F.instance_norm(x, None, None, w, b, **options),
             [real(*size), real(size[1]), real(size[1])], options, second=True)
        case("instance_norm", lambda x: F.instance_norm(x, **options), [real(*size)], options,
             second=True)


TRANSPOSED = [((2, 1, 3, 3), (1, 2, 3, 3), {}),
              ((1, 3, 2, 3), (3, 2, 2, 3), {"stride": [2, 1], "output_padding": [1, 0]}),
              ((1, 2, 3, 3), (2, 1, 5, 5), {"stride": 2, "padding": 2, "output_padding": 1}),
              ((1, 1, 3, 2), (1, 2, 3, 2), {"stride": [3, 2], "padding": [2, 0],
                                            "output_padding": [2, 1], "dilation": [2, 3]}),
              ((2, 2, 2, 2), (2, 3, 1, 1), {}), ((1, 2, 1, 1), (2, 2, 3, 4), {"padding": 1})]


def transposed_convolutions():
    for size, weight, options in TRANSPOSED:
        case("conv_transpose2d", lambda x, w, b: F.conv_transpose2d(x, w, b, **options),
             [real(*size), real(*weight), real(weight[1])], options, second=True)
    case("conv_transpose2d", F.conv_transpose2d, [real(1, 1, 2, 2), real(1, 1, 2, 2)], second=True)
    case("conv_transpose2d", lambda x, w, b: F.relu(F.conv_transpose2d(x, w, b, padding=1)),
         [real(1, 1, 3, 3), real(1, 2, 3, 3), real(2)], {"padding": 1, "activation": "relu"},
         second=True)
    case("conv_transpose2d", lambda x, w, b: F.leaky_relu(F.conv_transpose2d(x, w, b, 2), 0.2),
         [real(1, 2, 2, 2), real(2, 1, 3, 3), real(1)],
         {"stride": 2, "activation": "leaky_relu", "slope": 0.2}, second=True)


POOLS = [((1, 2, 4, 4), 2, {}), ((1, 1, 5, 6), [2, 3], {"stride": [1, 2]}),
         ((1, 1, 4, 4), 3, {"stride": 2, "padding": 1}), ((2, 1, 3, 3), 3, {}),
           ((1, 1, 5, 5), 2, {})]


def pools():
    for size, window, options in POOLS:
        case("max_pool2d", lambda x: F.max_pool2d(x, window, **options), [real(*size)],
             {"size": window, **options})
        case("avg_pool2d", lambda x: F.avg_pool2d(x, window, **options), [real(*size)],
             {"size": window, **options})
        y = F.avg_pool2d(real(*size), window, **options)
        case("avg_pool2d_grad", lambda g: pool_gradient(size, g, window, options), [real(*y.shape)],
             {"size": window, **options, "input": size[2:]})


def pool_gradient(size, g, window, options):
    x = torch.zeros(*g.shape[:2], *size[2:], requires_grad=True)
    return torch.autograd.grad(F.avg_pool2d(x, window, **options), x, g, create_graph=True)[0]


#
# Recurrent layers
#

def recurrent(f, states):
    """A layer of torch's as a function of x, weights, biases and initial states, some missing."""
    def run(x, w_ih, w_hh, *rest):
        h, b = w_hh.shape[1], x.shape[1]
        rest = list(rest) + [None] * (2 + states - len(rest))
        biases = [torch.zeros(w_ih.shape[0]) if t is None else t for t in rest[:2]]
        start = [(torch.zeros(b, h) if t is None else t)[None] for t in rest[2:]]
        start = start if states > 1 else start[0]
        y, *last = f(x, start, [w_ih, w_hh] + biases, True, 1, 0.0, False, False, False)
        return [y] + [t[0] for t in last]
    return run


def recurrences():
    for name, gates, states in [("lstm", 4, 2), ("gru", 3, 1)]:
        f = recurrent(getattr(torch._VF, name), states)
        for t, b, i, h in [(3, 2, 2, 2), (1, 1, 3, 1)]:
            full = [real(t, b, i), real(gates * h, i), real(gates * h, h), real(gates * h),
                    real(gates * h)] + [real(b, h) for _ in range(states)]
            case(name, f, full)
            case(name, f, full[:3])


def binary_losses():
    bce = F.binary_cross_entropy_with_logits
    for size in [(3, 4), (2, 2, 3), (4,)]:
        x, y = real(*size, low=-8, high=8), real(*size, low=0, high=1)
        for reduction in ("mean", "sum", "none"):
            case("binary_cross_entropy_with_logits", lambda x, y: bce(x, y, reduction=reduction),
                 [x, y], {"reduction": reduction})
        case("binary_cross_entropy_with_logits", lambda x, y: bce(x, y, reduction="none").reshape(
            len(x), -1).sum(1), [x, y], {"reduction": "rows"})
    case("binary_cross_entropy_with_logits", bce, [real(), real(low=0, high=1)])
    case("binary_cross_entropy_with_logits", lambda x, y: bce(x, y, reduction="none"),
         [values([1000, 1000, -1000, -1000, 1000, 0, 30, -30]),
          values([0, 1, 0, 1, 0.25, 0.5, 1, 0])], {"reduction": "none"})


ACTIVATIONS = {"relu": F.relu, "leaky_relu": F.leaky_relu, "sigmoid": torch.sigmoid,
               "tanh": torch.tanh, "gelu": F.gelu, "silu": F.silu, "elu": F.elu,
               "selu": F.selu, "hardswish": F.hardswish, "mish": F.mish}


def activations():
    """Elementwise, and as attributes of the ops that apply them to their result."""
    for name in ("gelu", "silu", "elu", "selu", "hardswish", "mish"):
        case(name, ACTIVATIONS[name], [real(2, 3, low=-6, high=6)], second=True)
        case(name, ACTIVATIONS[name], [values([0.0, -0.0, math.inf, math.nan])], grad=False)
    case("elu", lambda x: F.elu(x, 0.5), [real(2, 3)], {"alpha": 0.5}, second=True)
    case("erf", torch.erf, [real(2, 3)], second=True)
    case("erf", torch.erf, [values([0.0, math.inf, -math.inf, math.nan, 9])], grad=False)
    for name, act in ACTIVATIONS.items():
        attrs = {"activation": name}
        case("linear", lambda x, w, b: act(F.linear(x, w, b)), [real(3, 4), real(2, 4), real(2)],
             attrs, second=True)
        case("conv2d", lambda x, w, b: act(F.conv2d(x, w, b)),
             [real(1, 2, 4, 4), real(2, 2, 3, 3), real(2)], attrs, second=True)
        case("conv_transpose2d", lambda x, w, b: act(F.conv_transpose2d(x, w, b)),
             [real(1, 2, 2, 2), real(2, 1, 2, 2), real(1)], attrs, second=True)
        case("batch_norm", lambda x, w, b: act(F.batch_norm(x, None, None, w, b, True)),
             [real(3, 2, 2), real(2), real(2)], {"training": True, **attrs})
    case("conv2d", lambda x, w, b: F.max_pool2d(torch.tanh(F.conv2d(x, w, b)), 2),
         [real(1, 2, 5, 5), real(2, 2, 2, 2), real(2)], {"activation": "tanh", "max_pool": 2},
         second=True)


#
# Elementwise, the rest
#

ODD = [0.0, -0.0, math.inf, -math.inf, math.nan, 0.5, -0.5, 1.5, 2.5, -2.5, 1e30]


def more_unaries():
    for name in ("tan", "sinh", "cosh", "atan", "expm1", "logsigmoid"):
        case(name, getattr(torch, name, getattr(F, name, None)), [real(2, 3)], second=True)
    for name in ("log2", "log10", "rsqrt"):
        case(name, getattr(torch, name), [positive(2, 3)], second=True)
    for name in ("asin", "acos"):
        case(name, getattr(torch, name), [real(2, 3, low=-0.95, high=0.95)], second=True)
    for name in ("round", "ceil", "trunc", "frac"):
        case(name, getattr(torch, name), [real(3, 3)], grad=name == "frac")
    case("hardtanh", F.hardtanh, [real(2, 4)], second=True)
    case("hardtanh", lambda x: F.hardtanh(x, -0.5, 2), [values([-0.5, 2, 0, 3])],
         {"min_val": -0.5, "max_val": 2})
    case("hardsigmoid", lambda x: F.relu6(x + 3) / 6, [real(2, 4, low=-6, high=6)])
    case("nan_to_num", lambda x: x.nan_to_num(1, 2, 3), [values(ODD)],
         {"nan": 1, "posinf": 2, "neginf": 3})
    case("nan_to_num", torch.nan_to_num, [values([0, math.nan, -1])])
    for name in ("isnan", "isinf", "isfinite"):
        case(name, getattr(torch, name), [values(ODD)], grad=False)
        case(name, getattr(torch, name), [ints([1, -2])], grad=False)
    for name in ("tan", "atan", "asin", "acos", "expm1", "log2", "log10", "rsqrt", "round",
                 "ceil", "trunc", "hardtanh", "hardsigmoid", "logsigmoid"):
        case(name, getattr(torch, name, getattr(F, name, None)),
             [values(ODD[:-1] if name == "tan" else ODD)], grad=False)


def more_binaries():
    for a, b in BROADCASTS:
        case("atan2", torch.atan2, [real(*a), real(*b)], second=True)
        for name in ("fmod", "remainder"):  # no whole quotient, at which they jump
            case(name, getattr(torch, name), [real(*a), real(*b) + 0.0037])
    signs = [values([0.0, -0.0, 0, 1, -1, 5, -5]), values([0, -1, 2, 0, -0.0, -3, 3])]
    for name in ("atan2", "fmod", "remainder"):
        case(name, getattr(torch, name), signs, grad=False)
    case("lerp", torch.lerp, [real(2, 3), real(2, 3), real(2, 3)], second=True)
    case("lerp", torch.lerp, [real(2, 3), real(3), real(2, 1)])
    case("lerp", torch.lerp, [real(2, 3), real(2, 3), values(0.75)])


#
# Shapes, the rest
#

def arranged():
    case("view", lambda x: x.view(2, -1), [real(3, 4)], {"size": [2, -1]})
    for dim in (1, 2, 3, -1):
        case("unsqueeze", lambda x: x.unsqueeze(dim - 1 if dim > 0 else dim), [real(2, 3)],
             {"dim": dim})
    case("unsqueeze", lambda x: x.unsqueeze(0), [bits(3)], {"dim": 1}, grad=False)
    case("squeeze", lambda x: x.squeeze(), [real(1, 3, 1)])
    case("squeeze", lambda x: x.squeeze(0), [real(1, 3, 1)], {"dim": [1]})
    case("squeeze", lambda x: x.squeeze(1), [real(1, 3)], {"dim": [2]})
    case("squeeze", lambda x: x.squeeze(), [ints([[4]])], grad=False)
    case("narrow", lambda x: x.narrow(1, 1, 3), [real(2, 5)], {"dim": 2, "start": 2, "length": 3})
    case("narrow", lambda x: x.narrow(0, -2, 2), [real(4, 2)],
         {"dim": -2, "start": -2, "length": 2})
    for shifts, dims in [([1], [2]), ([-1, 5], [1, 2]), ([2], []), ([0], [1])]:
        case("roll", lambda x: x.roll(shifts, [d - 1 for d in dims]), [real(3, 4)],
             {"shifts": shifts, "dims": dims})
    case("roll", lambda x: x.roll(2), [index(5, n=9)], {"shifts": [2]}, grad=False)
    for size, dims in [((2, 3), [2, 1]), ((2, 3), [2]), ((2,), [2, 3]), ((2, 1, 2), [0, 1, 2]),
                       ((), [2])]:
        case("tile", lambda x: x.tile(dims), [real(*size)], {"dims": dims})
    case("tile", lambda x: x.tile(2), [bits(3)], {"dims": [2]}, grad=False)
    case("repeat_interleave", lambda x: x.repeat_interleave(2), [real(2, 2)], {"repeats": 2})
    case("repeat_interleave", lambda x: x.repeat_interleave(3, 1), [real(2, 2)],
         {"repeats": 3, "dim": 2})
    case("repeat_interleave", lambda x: x.repeat_interleave(2, 0), [index(2, 2, n=4)],
         {"repeats": 2, "dim": 1}, grad=False)
    for size in [(3, 4), (4, 3), (3,), (1,)]:
        for k in (-2, 0, 1):
            case("diag", lambda x: x.diag(k), [real(*size)], {"diagonal": k})
    case("diag", torch.diag, [index(3, n=5)], grad=False)
    for size in [(3, 4), (2, 3, 2), (0, 2)]:
        for k in (-5, -1, 0, 1, 4):
            case("tril", lambda x: x.tril(k), [real(*size)], {"diagonal": k})
            case("triu", lambda x: x.triu(k), [real(*size)], {"diagonal": k})
    case("triu", lambda x: x.triu(1), [bits(3, 3)], {"diagonal": 1}, grad=False)


#
# Reductions and choices, the rest
#

def more_reductions():
    for size, dims in REDUCTIONS:
        attrs = {"dim": dims} if dims else {}
        run = lambda f, **more: lambda x: reduced(f, x, dims, False, **more)
        case("std", run(torch.std, unbiased=True), [real(*size)], attrs, second=True)
        case("var_mean", run(torch.var_mean, unbiased=True), [real(*size)], attrs)
        case("nansum", run(torch.nansum), [real(*size)], attrs)
        case("nanmean", run(torch.nanmean), [real(*size)], attrs)
    case("std", lambda x: x.std(0, False, True), [real(3, 2)],
         {"dim": [1], "keepdim": True, "unbiased": False})
    gaps = values([[1, math.nan, 3], [math.nan, math.nan, math.nan], [-1, -2, math.inf]])
    case("nansum", lambda x: x.nansum(1), [gaps], {"dim": [2]})
    case("nanmean", lambda x: x.nanmean(1), [gaps], {"dim": [2]}, grad=False)
    for name in ("max", "min", "argmax", "argmin", "prod", "median"):
        f = getattr(torch, name)
        plus = 1 if name[:3] == "arg" else 0
        case(name, lambda x: f(x) + plus, [real(3, 4)], grad=not plus)
        case(name, lambda x: f(x) + plus, [real()], grad=not plus)
        case(name, lambda x: f(x) + plus, [values([2, math.nan, 1])], grad=False)
    for size, dim in [((3, 4), 2), ((3, 4), 1), ((2, 3, 2), 2), ((5,), -1)]:
        d = dim - 1 if dim > 0 else dim
        for keepdim in (False, True):
            attrs = {"dim": dim, **({"keepdim": True} if keepdim else {})}
            case("argmin", lambda x: x.argmin(d, keepdim) + 1, [real(*size)], attrs, grad=False)
            case("median", lambda x: one_based(x.median(d, keepdim)), [real(*size)], attrs)
            for q in (0, 0.3, 0.5, 1):
                case("quantile", lambda x: x.quantile(q, d, keepdim), [real(*size)],
                     {"q": q, **attrs})
        for way in ("linear", "lower", "higher", "midpoint", "nearest"):
            case("quantile", lambda x: x.quantile(0.4, d, interpolation=way), [real(*size)],
                 {"q": 0.4, "dim": dim, "interpolation": way})
        case("cumprod", lambda x: x.cumprod(d), [real(*size)], {"dim": dim}, second=True)
        case("cummax", lambda x: one_based(x.cummax(d)), [real(*size)], {"dim": dim})
        case("cummin", lambda x: one_based(x.cummin(d)), [real(*size)], {"dim": dim})
        case("argsort", lambda x: x.argsort(d) + 1, [real(*size)], {"dim": dim}, grad=False)
    case("argsort", lambda x: x.argsort(descending=True) + 1, [real(6)], {"descending": True},
         grad=False)
    case("quantile", lambda x: x.quantile(0.7), [real(3, 4)], {"q": 0.7})
    case("quantile", lambda x: x.quantile(0.7), [values([1, math.nan, 2])], {"q": 0.7}, grad=False)
    case("median", lambda x: one_based(x.median(1)), [values([[1, math.nan, 2], [3, 1, 2]])],
         {"dim": 2}, grad=False)
    case("cumprod", lambda x: x.cumprod(0), [values([2, 0, 3, 0, 4])], {"dim": 1})
    ties = values([2, 2, 1, 3, math.nan, 5])
    case("cummax", lambda x: one_based(x.cummax(0)), [ties], {"dim": 1}, grad=False)
    case("cummin", lambda x: one_based(x.cummin(0)), [ties], {"dim": 1}, grad=False)
    case("logsumexp", lambda x: x.logsumexp(0), [values([-1e31, -1e31])], {"dim": 1}, grad=False)
    case("logsumexp", lambda x: x.logsumexp(0), [torch.zeros(0, 2)], {"dim": 1})
    case("histc", lambda x: x.histc(4), [real(9)], {"bins": 4}, grad=False)
    case("histc", lambda x: x.histc(5, -1, 1), [values([-1, 1, -1.01, 0.2, 0.19, 2])],
         {"bins": 5, "min": -1, "max": 1}, grad=False)
    case("histc", lambda x: x.histc(3), [values([2, 2])], {"bins": 3}, grad=False)
    case("cov", torch.cov, [real(3, 5)], second=True)
    case("cov", lambda x: x.cov(correction=0), [real(2, 4)], {"correction": 0})
    case("cov", torch.cov, [real(4)])
    case("corrcoef", torch.corrcoef, [real(3, 5)])
    case("corrcoef", torch.corrcoef, [real(4)], grad=False)


def choices():
    for size, mask in [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1))]:
        case("masked_fill", lambda x, m, v: x.masked_fill(m.bool(), v),
             [real(*size), bits(*mask), values(5)])
        case("masked_select", lambda x, m: x.masked_select(m.bool()), [real(*size), bits(*mask)])
    case("masked_select", lambda x, m: x.masked_select(m.bool()), [index(4, n=9), bits(4)],
         grad=False)
    along = lambda d: lambda x, i: torch.take_along_dim(x, rows(i), d)
    case("take_along_dim", along(1), [real(3, 4), index(3, 2, n=4)], {"dim": 2})
    case("take_along_dim", along(0), [real(3, 4), index(2, 1, n=3)], {"dim": 1})
    case("take_along_dim", along(-1), [real(1, 4), index(2, 3, n=4)], {"dim": -1})
    case("take_along_dim", along(None), [real(2, 3), index(2, 2, n=6)])


#
# Products and losses, the rest
#

def more_products():
    case("mm", torch.mm, [real(2, 3), real(3, 4)], second=True)
    case("mv", torch.mv, [real(2, 3), real(3)], second=True)
    case("dot", torch.dot, [real(3), real(3)], second=True)
    case("outer", torch.outer, [real(3), real(2)], second=True)
    case("addmm", torch.addmm, [real(2, 4), real(2, 3), real(3, 4)])
    case("addmm", lambda x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=2),
         [real(4), real(2, 3), real(3, 4)], {"beta": 0.5, "alpha": 2})
    for p in (1, 2, 3, 0.5, math.inf):
        case("cdist", lambda a, b: torch.cdist(a, b, p), [real(3, 4), real(2, 4)], {"p": p})
    case("cdist", torch.cdist, [real(2, 3, 2), real(1, 2, 2)])
    case("cdist", lambda a, b: torch.cdist(a, b, math.inf), [torch.zeros(2, 0), torch.zeros(3, 0)], {"p": math.inf})


def more_losses():
    pair = lambda: [real(3, 4), real(3, 4)]
    for reduction in ("mean", "sum", "none"):
        attrs = {"reduction": reduction}
        for name, options in [("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {}),
                              ("smooth_l1_loss", {"beta": 0.4}), ("smooth_l1_loss", {"beta": 0}),
                              ("huber_loss", {}), ("huber_loss", {"delta": 0.4})]:
            case(name, lambda x, y: getattr(F, name)(x, y, **attrs, **options), pair(),
                 {**attrs, **options})
        p = lambda: real(3, 4, low=0.06, high=0.95)
        case("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, **attrs),
             [p(), p()], attrs)
        case("binary_cross_entropy", lambda x, y, w: F.binary_cross_entropy(x, y, w, **attrs),
             [p(), p().detach(), positive(4)], attrs, grad=False)
        logs = torch.log_softmax(real(3, 4), 1).mul(100).round() / 100
        case("nll_loss", lambda x, y: F.nll_loss(x, rows(y), **attrs), [logs, index(3, n=4)], attrs)
        case("nll_loss", lambda x, y: F.nll_loss(x, rows(y), ignore_index=1, **attrs),
             [logs, ints([1, 2, 4])], {"ignore_index": 2, **attrs})
        w = positive(3)
        case("nll_loss", lambda x, y, w: F.nll_loss(x, rows(y), w.detach(), **attrs),
             [real(2, 3, 4), index(2, 4, n=3), w], attrs, grad=False)
        case("nll_loss", lambda x, y: F.nll_loss(x, rows(y), **attrs),
             [real(2, 3, 2, 2), index(2, 2, 2, n=3)], attrs)
        for swap in (False, True):
            case("triplet_margin_loss", lambda a, p, n: F.triplet_margin_loss(
                a, p, n, 0.7, swap=swap, **attrs), [real(3, 4), real(3, 4), real(3, 4)],
                {"margin": 0.7, "swap": swap, **attrs})
    for reduction in ("mean", "batchmean", "sum", "none"):
        attrs = {"reduction": reduction}
        case("kl_div", lambda x, y: F.kl_div(x, y, **attrs),
             [real(3, 4), real(3, 4, low=0.06, high=0.95)], attrs)
        case("kl_div", lambda x, y: F.kl_div(x, y, log_target=True, **attrs), pair(),
             {"log_target": True, **attrs})
    case("kl_div", lambda x, y: F.kl_div(x, y, reduction="none"),
         [values([-1, -2]), values([0, 1])], {"reduction": "none"}, grad=False)
    case("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, reduction="none"),
         [values([0, 0, 1, 1, 0]), values([0, 1, 0, 1, 0.5])], {"reduction": "none"}, grad=False)
    case("cosine_similarity", F.cosine_similarity, [real(3, 4), real(3, 4)], {"dim": 2})
    case("cosine_similarity", lambda x, y: F.cosine_similarity(x, y, -1), [real(3, 4), real(4)],
         {"dim": -1})
    case("cosine_similarity", F.cosine_similarity, [values([[0, 0]]), values([[1, 2]])], {"dim": 2},
         grad=False)
    case("cross_entropy", lambda x, y: F.cross_entropy(x - 2 ** 20, rows(y)),
         [values([[2 ** 20, 2 ** 20 + 1, 2 ** 20 - 1]]), ints([1])])
    case("cross_entropy", lambda x, y: F.cross_entropy(x, rows(y), label_smoothing=0.1),
         [values([[2 ** 20, 2 ** 20 + 1, 2 ** 20 - 1]]), ints([1])], {"label_smoothing": 0.1})


def class_losses():
    """cross_entropy with all that it takes, of logits with and without trailing dims."""
    def labels(size):
        return index(size[0], *size[2:], n=size[1])

    for size in [(4, 3), (2, 3, 2), (1, 3, 2, 2)]:
        for reduction in ("mean", "sum", "none"):
            for s in (0, 0.1):
                attrs = {"reduction": reduction, **({"label_smoothing": s} if s else {})}
                at = labels(size)
                at.reshape(-1)[:2] = torch.tensor([1, 2])
                ignored = {**attrs, "ignore_index": 2}
                second = size != (1, 3, 2, 2)
                case("cross_entropy", lambda x, y: F.cross_entropy(x, rows(y), **attrs),
                     [real(*size), labels(size)], attrs, second=second)
                case("cross_entropy", lambda x, y: F.cross_entropy(
                    x, rows(y), **{**ignored, "ignore_index": 1}), [real(*size), at], ignored,
                    second=second)
                case("cross_entropy", lambda x, y, w: F.cross_entropy(
                    x, rows(y), w, **{**ignored, "ignore_index": 1}),
                    [real(*size), at, positive(3)], ignored, fixed=(3,), second=second)
                p = real(*size).softmax(1).mul(100).round() / 100
                case("cross_entropy", lambda x, y: F.cross_entropy(x, y, **attrs),
                     [real(*size), p], attrs, second=second)
                case("cross_entropy", lambda x, y, w: F.cross_entropy(x, y, w, **attrs),
                     [real(*size), p, positive(3)], attrs, fixed=(3,), second=second)
    case("cross_entropy", lambda x, y: F.cross_entropy(x, rows(y), ignore_index=0),
         [real(2, 3), ints([1, 1])], {"ignore_index": 1}, grad=False)
    case("cross_entropy", lambda x, y: F.cross_entropy(x, rows(y), ignore_index=0, reduction="sum"),
         [real(2, 3), ints([1, 1])], {"ignore_index": 1, "reduction": "sum"})
    case("cross_entropy", lambda x, y: F.cross_entropy(x, rows(y)),
         [values([[-math.inf, 1, 2], [1, 2, -math.inf]]), ints([2, 1])], second=True)


def more_binary_losses():
    bce = F.binary_cross_entropy_with_logits
    for reduction in ("mean", "sum", "none"):
        attrs = {"reduction": reduction}
        for w in [(3, 4), (4,), (3, 1)]:
            x, y = real(3, 4, low=-8, high=8), real(3, 4, low=0.06, high=0.95)
            case("binary_cross_entropy_with_logits", lambda x, y, w: bce(x, y, w, **attrs),
                 [x, y, positive(*w)], attrs, second=True, fixed=(3,))
            case("binary_cross_entropy_with_logits",
                 lambda x, y, w, p: bce(x, y, w, pos_weight=p, **attrs),
                 [x, y, positive(4), positive(*w)], attrs, second=True, fixed=(3, 4))
    case("binary_cross_entropy_with_logits",
         lambda x, y, w, p: bce(x, y, w, pos_weight=p, reduction="none"),
         [values([1000, 1000, -1000, -1000, 0]), values([0, 1, 0, 1, 0.5]), values([1]),
          values([3])], {"reduction": "none"}, fixed=(3, 4))
    edge = [values([0, 1, 1e-20, 0.5]), values([0, 1, 0, 1])]
    for reduction in ("mean", "sum", "none"):
        case("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, reduction=reduction),
             edge, {"reduction": reduction}, fixed=(2,))
        case("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, reduction=reduction),
             [real(2, 3, low=0.06, high=0.95), real(2, 3, low=0.06, high=0.95)],
             {"reduction": reduction}, second=True)
        case("binary_cross_entropy", lambda x, y: F.binary_cross_entropy(x, y, reduction=reduction),
             [values([0, 1, 0]), values([1, 0, 0.5])], {"reduction": reduction}, grad=False)


def at_the_edges():
    """Values and gradients at zeros, infinities and NaN, where they are PyTorch's."""
    inf, nan = math.inf, math.nan
    odd = values([0.0, -0.0, inf, -inf, 1, -1, 0.5, nan])
    for name in ("abs", "square", "exp", "sigmoid", "tanh", "softplus", "logsigmoid", "log1p",
                 "expm1", "atan", "erf", "reciprocal", "rsqrt", "sqrt", "log", "log2", "log10",
                 "asin", "acos", "cosh", "sinh"):
        case(name, getattr(torch, name, getattr(F, name, None)), [odd])
    case("relu", F.relu, [odd[:-1]])
    case("leaky_relu", F.leaky_relu, [odd])
    for low, high in [(-1, 1), (0, 0.5), (1, -1), (0, inf), (-inf, 0)]:
        case("clamp", lambda x: x.clamp(low, high), [odd], {"min": low, "max": high})
    a = values([0, 0, 0, 0, 0, 2, -2, -2, -8, 1, nan, 1, inf, 0])
    b = values([0, 1, 2, 0.5, -1, 0, 2, 3, 1 / 4, nan, 1, 2, 0.5, -0.0])
    case("pow", torch.pow, [a, b])
    case("maximum", torch.maximum, [values([1, 2, inf, -inf]), values([2, 1, -inf, 3])])
    case("where", lambda c, a, b: torch.where(c.bool(), a, b),
         [torch.tensor([1, 0], dtype=torch.uint8), values([1, nan]), values([inf, 2])])
    for row in [[0, 0, 0], [-0.0, -0.0, 0], [1e-30, 0, 0], [2, 2, 2], [3, 4, 0]]:
        x = values(row)
        case("norm", torch.linalg.vector_norm, [x])
        case("std", torch.std, [x])
        case("var", torch.var, [x])
        case("logsumexp", lambda x: x.logsumexp(0), [x], {"dim": 1})
        case("prod", torch.prod, [x], second=True)
        case("cumprod", lambda x: x.cumprod(0), [x], {"dim": 1})
    for row in [[-inf, 1, 2], [inf, 1, 2], [-inf, inf, 0], [inf, inf, 1], [-inf, -inf, -inf],
                [nan, 1, 2], [1e30, 1e30, 0], [-1e37, -1e37, -1e37]]:
        x = values(row)
        case("logsumexp", lambda x: x.logsumexp(0), [x], {"dim": 1}, grad=abs(row[0]) < 1e30)
        case("softmax", lambda x: x.softmax(0), [x], {"dim": 1})
        case("log_softmax", lambda x: x.log_softmax(0), [x], {"dim": 1})
        case("max", lambda x: one_based(x.max(0)), [x], {"dim": 1})
        case("min", lambda x: one_based(x.min(0)), [x], {"dim": 1})
        case("norm", torch.linalg.vector_norm, [x])
        case("mean", torch.mean, [x])
        case("nansum", torch.nansum, [x])
    for unbiased in (False, True):
        case("var", lambda x: x.var(0, unbiased), [values([5])],
             {"dim": 1, "unbiased": unbiased})
        case("std", lambda x: x.std(0, unbiased), [values([5])],
             {"dim": 1, "unbiased": unbiased})


#
# Linear algebra
#

def regular(*size):
    """Matrices with 1, 2, ... on the diagonal and small numbers elsewhere."""
    return real(*size, low=-0.3, high=0.3) * 0.99 + torch.diag(torch.arange(1.0, max(size) + 1))[:size[-2], :size[-1]]


def symmetric(*size):
    lower = regular(*size).tril()
    return lower + lower.tril(-1).mT


def sign_of_first(columns):
    return torch.sign(columns[..., :1, :]).detach()


def eigh(a):
    w, v = torch.linalg.eigh(a)
    return w, v * sign_of_first(v)


def svd(a):
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    return (u * sign_of_first(u), s, vh * sign_of_first(u).mT) if u.numel() else (u, s, vh)


def solutions():
    la = torch.linalg
    for size in ((3, 3), (2, 2, 2), (2, 1, 3, 3), (1, 1)):
        case("linalg.cholesky", la.cholesky, [symmetric(*size)], second=True)
        case("linalg.inv", la.inv, [regular(*size)], second=True)
        case("linalg.det", la.det, [regular(*size)], second=True)
        case("linalg.slogdet", la.slogdet, [regular(*size)], second=True)
    for size in ((0, 0), (2, 0, 0), (0, 2, 2)):
        for name in ("cholesky", "inv", "det", "slogdet"):
            case("linalg." + name, getattr(la, name), [torch.zeros(size)], grad=False)
    case("linalg.cholesky", lambda a: la.cholesky(a, upper=True), [symmetric(3, 3)],
         {"upper": True}, second=True)
    case("linalg.cholesky", la.cholesky, [values([[4, 7], [2, 3]])])
    case("linalg.inv", la.inv, [values([[0, 1], [2, 0]])])
    case("linalg.det", la.det, [values([[0, 1, 0], [0, 0, 2], [3, 0, 0]])])
    case("linalg.slogdet", la.slogdet, [values([[-1e30, 0], [0, 1e30]])], grad=False)
    for bad in ([[1, 2], [2, 4]], [[1, math.nan], [3, 4]], [[math.inf, 0], [0, 1]]):
        case("linalg.det", la.det, [values(bad)], grad=False)
        case("linalg.slogdet", la.slogdet, [values(bad)], grad=False)
    for a, b in (((3, 3), (3, 2)), ((3, 3), (3,)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (3,)),
                 ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1)), ((2, 1, 2, 2), (3, 2, 2)), ((1, 1), (1, 1)),
                 ((2, 2), (2, 2))):
        case("linalg.solve", la.solve, [regular(*a), real(*b)], second=True)
    for a, b in (((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 3, 3), (0, 3)), ((2, 0, 0), (2, 0, 3))):
        case("linalg.solve", la.solve, [regular(*a), torch.ones(b)], grad=False)
    case("linalg.solve", la.solve, [values([[math.nan, 1], [2, 3]]), real(2)], grad=False)
    for upper in (False, True):
        for left in (False, True):
            for unit in (False, True):
                attrs = {"upper": upper, "left": left, "unitriangular": unit}
                f = lambda a, b: la.solve_triangular(a, b, **attrs)
                case("linalg.solve_triangular", f, [regular(3, 3), real(*((3, 2) if left else (2, 3)))],
                     attrs, second=True)
        attrs = {"upper": upper}
        f = lambda a, b: la.solve_triangular(a, b, **attrs)
        case("linalg.solve_triangular", f, [regular(2, 1, 2, 2), real(3, 2, 2)], attrs)
        case("linalg.solve_triangular", f, [torch.zeros(0, 0), torch.zeros(0, 2)], attrs, grad=False)
        case("linalg.solve_triangular", f, [values([[0, 1], [1, 0]]), values([[1], [2]])], attrs,
             grad=False)


def factors():
    la = torch.linalg
    for size in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3), (1, 1)):
        case("linalg.qr", la.qr, [regular(*size)], second=True)
        case("linalg.svd", svd, [regular(*size)], second=True)
        case("linalg.svdvals", la.svdvals, [regular(*size)], second=True)
        case("linalg.pinv", la.pinv, [regular(*size)], second=True)
        case("linalg.matrix_rank", la.matrix_rank, [regular(*size)], grad=False)
    for size in ((3, 3), (2, 2, 2), (1, 1)):
        case("linalg.eigh", eigh, [symmetric(*size)], second=True)
        case("linalg.eigvalsh", la.eigvalsh, [symmetric(*size)], second=True)
    case("linalg.eigh", eigh, [regular(3, 3)])
    case("linalg.eigvalsh", la.eigvalsh, [values([[2, 0], [0, 2]])])
    case("linalg.svdvals", la.svdvals, [values([[0, 2], [-2, 0], [0, 0]])])
    case("linalg.svd", lambda a: la.svd(a), [torch.zeros(0, 2)], {"full_matrices": True}, grad=False)
    for size in ((3, 0), (0, 3), (0, 2, 3), (2, 0, 0)):
        case("linalg.qr", la.qr, [torch.zeros(size)], grad=False)
        case("linalg.svd", svd, [torch.zeros(size)], grad=False)
        case("linalg.svdvals", la.svdvals, [torch.zeros(size)], grad=False)
        case("linalg.pinv", la.pinv, [torch.zeros(size)], grad=False)
        case("linalg.matrix_rank", la.matrix_rank, [torch.zeros(size)], grad=False)
    for size in ((0, 0), (0, 2, 2), (2, 0, 0)):
        case("linalg.eigh", eigh, [torch.zeros(size)], grad=False)
        case("linalg.eigvalsh", la.eigvalsh, [torch.zeros(size)], grad=False)
    deficient = values([[1, 2, 3], [2, 4, 6], [1, 0, 1]])
    for attrs in ({}, {"rtol": 0.5}, {"atol": 2.5}, {"atol": 0.5, "rtol": 0.1}):
        for a in (deficient, regular(3, 3)):
            case("linalg.pinv", lambda a: la.pinv(a, **attrs), [a], attrs, grad=False)
            case("linalg.matrix_rank", lambda a: la.matrix_rank(a, **attrs), [a], attrs, grad=False)
    for a, b in (((3, 3), (3, 2)), ((4, 2), (4,)), ((2, 4), (2, 3)), ((2, 3, 2), (2, 3)),
                 ((2, 3, 2), (2, 3, 1)), ((1, 1), (1, 1))):
        case("linalg.lstsq", lambda a, b: la.lstsq(a, b).solution, [regular(*a), real(*b)],
             second=True)
    for rcond in (None, 0.5):
        case("linalg.lstsq", lambda a, b: la.lstsq(a, b, rcond, driver="gelsd").solution,
             [deficient, real(3, 2)], rcond and {"rcond": rcond}, grad=False)


#
# Integers: uint8 is taken as int32, but where elements are moved
#

def whole(*size):
    return torch.tensor(rng.randint(-9, 10, size), dtype=torch.int32)


def small(*size):
    return torch.tensor(rng.randint(0, 10, size), dtype=torch.uint8)


def order(*size):
    return torch.tensor(rng.permutation(int(np.prod(size))).reshape(size) - 3, dtype=torch.int32)


def up(t):
    return t.int() if t.dtype == torch.uint8 else t


def counted_binaries():
    names = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum,
             "minimum": torch.minimum, "floor_divide": torch.floor_divide,
             "remainder": torch.remainder, "fmod": torch.fmod, "div": torch.div, "eq": torch.eq,
             "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge}
    divides = ("floor_divide", "remainder", "fmod", "div")
    for name, f in names.items():
        for (a, b), left, right in zip(BROADCASTS * 2, (whole, whole, small, small),
                                       (whole, small, whole, small)):
            x, y = left(*a), right(*b)
            if name in divides:
                y = torch.where(y == 0, torch.tensor(7, dtype=y.dtype), y)
            case(name, lambda x, y: f(up(x), up(y)), [x, y])
        y = real(4) + 0.0037
        case(name, f, [whole(3, 4), y], grad=name != "floor_divide")
        case(name, f, [y, whole(3, 1) * 2 + 1], grad=name != "floor_divide")
    for name, f in (("bitwise_and", torch.bitwise_and), ("bitwise_or", torch.bitwise_or),
                    ("bitwise_xor", torch.bitwise_xor)):
        for left, right in ((whole, whole), (whole, small), (small, small), (bits, bits)):
            case(name, f, [left(3, 4), right(4)])
    for name in ("logical_and", "logical_or", "logical_xor"):
        for left, right in ((bits, bits), (whole, small), (bits, real)):
            case(name, getattr(torch, name), [left(3, 4), right(4)])
    big = ints([2147483647, -2147483648, 16777217, -16777217])
    for name in ("eq", "lt", "ge"):
        case(name, names[name], [big, ints([2147483646, -2147483647, 16777216, -16777217])])
    for name in ("floor_divide", "remainder"):
        odd = [values([7.5, -7.5, 7.5, -7.5, 0.25, -0.25, 0]), values([2, 2, -2, -2, 4, 4, -3])]
        case(name, names[name], odd, grad=False)
    for a, b in BROADCASTS:
        case("floor_divide", torch.floor_divide, [real(*a), real(*b)], grad=False)
    case("floor_divide", torch.floor_divide, [values([1, -1, 0, 1]), values([0, 0, 0, 0.1])],
         grad=False)
    inf = math.inf
    case("floor_divide", torch.floor_divide, [values([1, -1, 1, -1]), values([inf, inf, -inf, -inf])],
         grad=False)
    case("remainder", torch.remainder, [values([1, -1, 1, -3]), values([0.1, 0.1, -0.1, inf])])


def counted_unaries():
    for x in (whole(3, 4), small(5)):
        for name in ("neg", "abs", "square", "sign", "floor", "ceil", "round", "trunc", "relu"):
            case(name, lambda x: getattr(torch, name)(up(x)), [x])
        for name in ("exp", "sin", "tanh", "sigmoid", "reciprocal", "isnan", "isinf", "isfinite",
                     "logical_not"):
            case(name, getattr(torch, name), [x + 10 if name == "reciprocal" else x])
        for low, high in ((-2, 5), (0, math.inf)):
            case("clamp", lambda x: up(x).clamp(low, high if high < 9 else None), [x],
                 {"min": low, "max": high})
        case("nan_to_num", torch.nan_to_num, [x])
    case("bitwise_not", torch.bitwise_not, [whole(3, 4)])
    case("bitwise_not", lambda x: 1 - x, [bits(3, 4)])
    case("logical_not", torch.logical_not, [values([0, -0.0, 2, math.nan])], grad=False)


def counted_reductions():
    for x in (whole(3, 4), small(3, 4)):
        for attrs, options in (({}, {}), ({"dim": 1}, {"dim": 0}), ({"dim": 2, "keepdim": True},
                                                                    {"dim": 1, "keepdim": True})):
            case("sum", lambda x: x.sum(**options), [x], attrs)
            case("prod", lambda x: up(x[:, :2]).prod(**options), [x[:, :2]], attrs)
            case("mean", lambda x: x.double().mean(**options), [x], attrs)
            case("amax", lambda x: x.amax(**options), [x], attrs)
            case("amin", lambda x: x.amin(**options), [x], attrs)
            case("var", lambda x: x.double().var(**options), [x], attrs)
        case("cumsum", lambda x: x.cumsum(1), [x], {"dim": 2})
        case("cumprod", lambda x: up(x).cumprod(0), [x], {"dim": 1})
        case("any", lambda x: x.bool().any(), [x])
        case("all", lambda x: x.bool().all(), [x])
        case("nonzero", lambda x: x.reshape(-1).nonzero().reshape(-1) + 1, [x])
    case("sum", lambda x: x.sum(dim=(0, 2)), [whole(2, 3, 4)], {"dim": (1, 3)})
    case("sum", lambda x: x.sum(), [ints([2147483647, 2147483647, -2147483647])])
    case("mean", lambda x: x.double().mean(), [ints([2147483647, 2147483647, 2147483644])])
    one = lambda t: (t[0], t[1] + 1)
    for x in (order(3, 4), order(3, 4).add(3).to(torch.uint8)):
        for name in ("max", "min", "median", "cummax", "cummin"):
            case(name, lambda x: one(getattr(x, name)(1)), [x], {"dim": 2})
        for name in ("max", "min", "median"):
            case(name, lambda x: getattr(x, name)(), [x])
        for name in ("argmax", "argmin"):
            case(name, lambda x: getattr(x, name)(0) + 1, [x], {"dim": 1})
        case("argsort", lambda x: x.argsort(1, True) + 1, [x], {"dim": 2, "descending": True})
        case("topk", lambda x: one(x.topk(2, 1)), [x], {"k": 2, "dim": 2})
    for x in (whole(3, 4), small(3, 4)):
        for down in (False, True):
            case("sort", lambda x: one(x.sort(dim=1, descending=down, stable=True)), [x],
                 {"dim": 2, "descending": down})
    case("sort", lambda x: one(x.sort(stable=True)), [ints([16777217, 16777216, 16777218])])


def counted_choices():
    for x, y in ((whole(3, 4), whole(3, 4)), (small(3, 4), small(3, 4)), (small(3, 4), whole(3, 4))):
        case("where", lambda c, a, b: torch.where(c != 0, a, b), [bits(3, 4), x, y])
        case("where", lambda c, a, b: torch.where(c != 0, a, b), [whole(3, 1), x, y])
        case("cat", lambda *ts: torch.cat(ts, 1), [x, y], {"dim": 2})
        case("stack", lambda *ts: torch.stack(ts), [x, y])
        case("masked_select", lambda x, m: x[m != 0], [x, bits(3, 4)])
        case("gather", lambda x, i: x.gather(1, rows(i)), [x, index(3, 2, n=4)], {"dim": 2})
        case("take_along_dim", lambda x, i: torch.take_along_dim(x, rows(i), 0),
             [x, index(1, 4, n=3)], {"dim": 1})
        case("scatter_add", lambda x, i: torch.zeros(3, 5, dtype=torch.int32).scatter_add(
            1, rows(i), up(x)), [x, index(3, 4, n=5)], {"dim": 2, "size": 5})
        case("index_add", lambda x, i: torch.zeros(5, 4, dtype=torch.int32).index_add(
            0, rows(i), up(x)), [x, index(3, n=5)], {"dim": 1, "size": 5})
        case("index_select", lambda x, i: x[rows(i)], [x, index(5, n=3)], {"dim": 1})
        case("tril", torch.tril, [x])
        case("triu", torch.triu, [x])
        case("diag", torch.diag, [x])
        case("pad", lambda x: F.pad(x, (1, 2), value=3), [x], {"pads": (1, 2), "value": 3})
        case("flip", lambda x: x.flip(1), [x], {"dims": (2,)})
        case("roll", lambda x: x.roll(1, 1), [x], {"shifts": (1,), "dims": (2,)})
        case("tile", lambda x: x.tile(2, 1), [x], {"dims": (2, 1)})
        case("repeat_interleave", lambda x: x.repeat_interleave(2, 1), [x],
             {"repeats": 2, "dim": 2})
    case("where", lambda c, a, b: torch.where(c != 0, a, b), [bits(3, 4), whole(4), real(3, 4)])
    case("cat", lambda *ts: torch.cat(ts), [whole(2), real(2), small(2)])
    case("outer", torch.outer, [whole(3), small(2).int()])


def counts():
    for n in (0, 6):
        case("bincount", lambda x: torch.bincount(rows(x), minlength=n), [index(7, n=4)],
             {"minlength": n})
        case("bincount", lambda x, w: torch.bincount(rows(x), w.detach(), n), [index(5, n=4), real(5)],
             {"minlength": n}, grad=False)
    case("bincount", lambda x: torch.bincount(rows(x)), [index(6, n=3).to(torch.uint8)])
    for x in (whole(3, 4), small(12), values([[2.5, 1], [2.5, -3]])):
        case("unique", torch.unique, [x], grad=False)
        for inverse, count in ((True, False), (False, True), (True, True)):
            def found(x):
                result = list(torch.unique(x, return_inverse=inverse, return_counts=count))
                return [t + 1 if inverse and k == 1 else t for k, t in enumerate(result)]
            case("unique", found, [x], {"return_inverse": inverse, "return_counts": count},
                 grad=False)
    case("unique", torch.unique, [values([math.nan, 1, math.nan, 1])], grad=False)
    for right in (False, True):
        attrs = {"right": right}
        search = lambda s, x: torch.searchsorted(s, x, right=right) + 1
        case("searchsorted", search, [ints([1, 3, 3, 8]), whole(2, 3)], attrs)
        case("searchsorted", search, [values([-1, 0.5, 0.5, 1]), values([0.5, -9, 9, math.nan])],
             attrs, grad=False)
        case("searchsorted", search, [values([[1, 2, 3], [0, 0, 4]]), values([[2, 9], [0, 4]])],
             attrs, grad=False)


for group in (binaries, unaries, others, shapes, reductions, indexing, products, norms, losses,
              convolutions, pools, recurrences, transposed_convolutions, row_norms,
              binary_losses, activations, more_unaries, more_binaries,
              arranged, more_reductions, choices,
              more_products, more_losses, class_losses, more_binary_losses, at_the_edges,
              solutions, factors,
              counted_binaries, counted_unaries, counted_reductions, counted_choices, counts):
    group()

version = torch.__version__.split("a")[0].split("+")[0]
print("-- Written by tests/oracle.py with PyTorch %s; do not edit." % version)
print("local nan, inf = 0 / 0, math.huge")
print("return {")
for text in cases:
    print(text + ",")
print("}")
