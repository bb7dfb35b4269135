"""Expected values of nn.LSTM and nn.GRU, from PyTorch, as a Lua file that test_recurrent.lua
reads:

    python3 tests/oracle_recurrent.py > tests/lua/oracle_recurrent.lua

Made with PyTorch 1.13 in double precision. A case has the parameters, the input, the initial
states, what comes out, and the gradients of the sum of all outputs and last states, element i
(from 0, in row-major order) times cos(i). Inputs have two decimals, so their text is exact.
"""
import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)

# cell, steps, batch, inputs, units, layers, bias
CASES = [("LSTM", 1, 1, 3, 2, 1, True), ("LSTM", 5, 1, 2, 3, 1, True), ("LSTM", 7, 3, 2, 3, 3, True),
         ("LSTM", 3, 2, 3, 2, 2, False),
         ("GRU", 1, 1, 3, 2, 1, True), ("GRU", 5, 1, 2, 3, 1, True), ("GRU", 7, 3, 2, 3, 3, True),
         ("GRU", 3, 2, 3, 2, 2, False)]


def real(*size):
    return ((torch.rand(*size) * 4 - 2) * 100).round() / 100


def tensor_text(t):
    numbers = ",".join("%.11g" % (v + 0.0) for v in t.detach().reshape(-1).tolist())
    return "{size={%s}, %s}" % (",".join(map(str, t.shape)), numbers)


def table_text(pairs):
    return "{%s}" % ", ".join("%s=%s" % ('["%s"]' % k if isinstance(k, str) else "[%d]" % k, tensor_text(t))
                              for k, t in pairs)


def own_name(name):
    """weight_ih_l0 -> layers.1.weight_ih"""
    kind, layer = name.rsplit("_l", 1)
    return "layers.%d.%s" % (int(layer) + 1, kind)


def weighted(t):
    return (t.reshape(-1) * torch.arange(t.numel()).cos()).sum()


def case(cell, steps, batch, n_in, units, layers, bias):
    net = getattr(torch.nn, cell)(n_in, units, layers, bias=bias)
    for p in net.parameters():
        p.data = real(*p.shape) / 2
    x = real(steps, batch, n_in).requires_grad_()
    first = [real(layers, batch, units).requires_grad_() for _ in range(2 if cell == "LSTM" else 1)]
    y, last = net(x, tuple(first) if cell == "LSTM" else first[0])
    last = list(last) if cell == "LSTM" else [last]
    sum(weighted(t) for t in [y] + last).backward()
    named = [(own_name(n), p) for n, p in net.named_parameters()]
    head = 'cell="%s", steps=%d, batch=%d, n_in=%d, units=%d, layers=%d, bias=%s' % (
        cell, steps, batch, n_in, units, layers, str(bias).lower())
    numbered = lambda ts: table_text([(i + 1, t) for i, t in enumerate(ts)])
    return "{%s,\n parameters=%s,\n gradients=%s,\n x=%s, x_gradient=%s,\n first=%s, first_gradients=%s,\n y=%s, last=%s}" % (
        head, table_text(named), table_text([(n, p.grad) for n, p in named]), tensor_text(x),
        tensor_text(x.grad), numbered(first), numbered([t.grad for t in first]), tensor_text(y),
        numbered(last))


print("-- Written by tests/oracle_recurrent.py with PyTorch %s; do not edit." %
      torch.__version__.split("a")[0])
print("return {\n%s\n}" % ",\n".join(case(*c) for c in CASES))
