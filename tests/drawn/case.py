"""What a drawn case is: a line of Lua, the same in PyTorch, and the tensors that both are given."""

import math

import numpy as np
import torch

REAL, INT, BYTE = "real", "int32", "uint8"
WIDE = {INT: torch.int64, BYTE: torch.uint8}


class Input:
    """A leaf tensor, under a name in the Lua text, and the views through which it is read."""

    def __init__(self, name, data, kind, grad):
        self.name, self.data, self.kind, self.grad = name, data, kind, grad
        self.text, self.views, self.leaf = name, [], None

    def place(self, dtype, grad):
        """Makes the leaf: reals in this dtype, integers in 64 bits."""
        self.leaf = torch.tensor(self.data, dtype=dtype if self.kind == REAL else WIDE[self.kind])
        if grad and self.grad and self.kind == REAL:
            self.leaf.requires_grad_()

    def see(self, text, view):
        """Reads through one more view: `text` is a format that has the Lua text before it."""
        self.text = text % self.text
        self.views.append(view)

    def __call__(self):
        t = self.leaf
        for view in self.views:
            t = view(t)
        return t

    def shape(self):
        self.place(torch.float64, False)
        return tuple(self().shape)

    def lua(self):
        return '{name="%s", kind="%s", grad=%s, %s}' % (
            self.name,
            self.kind,
            lua(bool(self.grad and self.kind == REAL)),
            numbers(self.data),
        )


#
# Lua text
#


def number(v):
    if isinstance(v, (int, np.integer)):
        return str(v)
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    return repr(float(v))


def lua(v):
    """A value as Lua text; None is nil."""
    if v is None:
        return "nil"
    if isinstance(v, (bool, np.bool_)):
        return "true" if v else "false"
    if isinstance(v, str):
        return '"%s"' % v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    if isinstance(v, dict):
        return "{%s}" % ", ".join("%s = %s" % (k, lua(w)) for k, w in v.items() if w is not None)
    if isinstance(v, (list, tuple)):
        return "{%s}" % ", ".join(map(lua, v))
    if isinstance(v, Input):
        return v.text
    return number(v)


def numbers(t):
    t = np.asarray(t)
    fields = ["size={%s}" % ",".join(map(str, t.shape)), *map(number, t.reshape(-1).tolist())]
    return ", ".join(fields)


#
# Results and their gradients
#


def weights(t):
    """Element i (from 0, in row-major order) is ((37 i + 11) mod 101 - 50) / 64."""
    i = torch.arange(t.numel())
    return (((37 * i + 11) % 101 - 50).to(t.dtype) / 64).reshape(t.shape)


def projected(ts):
    """The sum of all real tensors that have a history, times `weights`; None without such."""
    parts = [
        (t * weights(t)).sum()
        for t in ts
        if t is not None and t.is_floating_point() and t.requires_grad
    ]
    return sum(parts[1:], parts[0]) if parts else None


def as_list(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


class Refused(Exception):
    """PyTorch raises."""


class Case:
    """`text` is Lua which returns what `function()` returns as PyTorch tensors.

    orders: how many times a gradient is taken. exact: elements are compared relative to
    themselves, however small.
    """

    def __init__(self, text, function, orders=2, exact=False):
        self.text, self.function, self.orders, self.exact = text, function, orders, exact
        self.inputs = []

    def run(self, dtype):
        """Results, gradients by each leaf, and those of second order; None where there are none."""
        for x in self.inputs:
            x.place(dtype, self.orders > 0)
        torch.set_default_dtype(dtype)
        try:
            results = [
                t if isinstance(t, torch.Tensor) else torch.tensor(t)
                for t in as_list(self.function())
            ]
            for (
                t
            ) in (
                results
            ):  # PyTorch 2.9 makes some of negative size, and refuses what is done with them
                t.clone()
        except (RuntimeError, IndexError, ValueError, TypeError) as e:
            raise Refused(str(e).strip().split("\n")[0]) from e
        finally:
            torch.set_default_dtype(torch.float64)
        leaves = [x.leaf for x in self.inputs if x.leaf.requires_grad]
        first = self.gradients(results, leaves, self.orders > 1)
        second = self.gradients(first, leaves, False) if first and self.orders > 1 else None
        return results, first, second

    @staticmethod
    def gradients(results, leaves, create_graph):
        total = projected(results)
        if total is None or not leaves:
            return None
        try:
            got = torch.autograd.grad(total, leaves, allow_unused=True, create_graph=create_graph)
        except RuntimeError:  # PyTorch has no such derivative
            return None
        return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, got)]

    def line(self, number_of_case, kind):
        """The case as one line of Lua, a table."""
        fields = [
            "number=%d" % number_of_case,
            'kind="%s"' % kind,
            "code=" + lua(self.text),
            "inputs={%s}" % ", ".join(x.lua() for x in self.inputs),
        ]
        if self.exact:
            fields.append("exact=true")
        try:
            want = self.run(torch.float64)
        except Refused as e:
            return "{%s, refused=%s}" % (", ".join(fields), lua(str(e)))
        try:
            rough = self.run(torch.float32)
        except Refused:
            rough = (None, None, None)
        for name, wanted, single in zip(("results", "first", "second"), want, rough):
            if wanted is not None:
                fields.append("%s={%s}" % (name, ", ".join(expected(wanted, single, self.exact))))
        return "{%s}" % ", ".join(fields)


def expected(wanted, rough, each):
    """Each tensor as text: its numbers, and by how much single precision is off, each element or
    at most."""
    if not rough or len(rough) != len(wanted):
        rough = [None] * len(wanted)
    return [tensor_text(t, r, each) for t, r in zip(wanted, rough)]


def tensor_text(t, rough, each):
    t = t.detach().clone()  # some zeros of PyTorch's have no memory
    if not t.is_floating_point():
        kind = BYTE if t.dtype in (torch.bool, torch.uint8) else INT
        return '{kind="%s", %s}' % (kind, numbers(t.to(torch.int64).numpy()))
    return '{kind="real", %s, slack={%s}}' % (
        numbers(t.numpy()),
        ",".join(slack(t.numpy(), rough, each)),
    )


def slack(want, rough, each):
    """inf where single precision is infinite or NaN and double is not, or the other way."""
    if rough is None or tuple(rough.shape) != want.shape or want.size == 0:
        return []
    rough = rough.detach().double().numpy()
    with np.errstate(all="ignore"):
        off = np.abs(rough - want).reshape(-1)
    off[((rough == want) | (np.isnan(rough) & np.isnan(want))).reshape(-1)] = 0
    finite = np.isfinite(off)
    off[~finite] = math.inf
    if not each and finite.any():
        off[finite] = off[finite].max()
    return ["0" if v == 0 else "inf" if v == math.inf else "%.0e" % v for v in off]
