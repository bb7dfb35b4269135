"""Draws numbers, shapes, tensors and views, all from one seed and one case number."""

import math

import numpy as np
import torch

from case import BYTE, INT, REAL, Input

SIZES = [1, 2, 3, 4, 5, 7, 8, 11, 13, 16, 17]
SPECIAL = [
    0.0,
    -0.0,
    math.inf,
    -math.inf,
    math.nan,
    1.0,
    -1.0,
    0.5,
    -2.0,
    1e-30,
    -1e-30,
    1e30,
    -1e30,
    88.0,
    -104.0,
    1e-7,
    16777216.0,
]
STYLES = ["plain"] * 6 + ["ties", "special", "huge", "tiny", "offset"]


def single(values):
    """The nearest numbers of single precision: both builds then begin with the same."""
    with np.errstate(all="ignore"):
        return np.asarray(values).astype(np.float32).astype(np.float64)


class Draw:
    def __init__(self, seed, number):
        self.rng = np.random.default_rng([seed, number])
        self.inputs = []

    #
    # Numbers
    #

    def chance(self, p):
        return bool(self.rng.random() < p)

    def choice(self, options):
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low, high):
        """Both included."""
        return int(self.rng.integers(low, high + 1))

    def number(self, low=-2.0, high=2.0):
        return float(round(self.rng.uniform(low, high) * 64) / 64)

    def some(self, **makers):
        """A table of options, each drawn or left out: some(keepdim=d.flag)."""
        return {name: make() for name, make in makers.items() if self.chance(0.6)}

    def flag(self):
        return self.chance(0.5)

    #
    # Shapes; dims count from 0 here
    #

    def size(self):
        if self.chance(0.03):
            return 257
        return 0 if self.chance(0.04) else self.choice(SIZES)

    def shape(self, least=0, most=5, elements=600):
        while True:
            shape = tuple(self.size() for _ in range(self.integer(least, most)))
            if math.prod(shape) <= elements:
                return shape

    def full_shape(self, least=0, most=4, elements=300):
        """Without a 0."""
        while True:
            shape = self.shape(least, most, elements)
            if 0 not in shape:
                return shape

    def dim(self, rank):
        """From -rank to rank - 1."""
        return self.integer(-rank, rank - 1)

    def dims(self, rank):
        """Some different dims, at least one."""
        picked = self.rng.permutation(rank)[: self.integer(1, rank)]
        return [int(p) - (rank if self.chance(0.3) else 0) for p in picked]

    def broadcasting(self, shape):
        """A shape that broadcasts with another: some dims 1, some at the front missing."""
        shape = tuple(1 if self.chance(0.25) else n for n in shape)
        return shape[self.integer(0, len(shape)) :] if self.chance(0.3) else shape

    #
    # Tensors
    #

    def values(self, shape, style):
        n = math.prod(shape)
        plain = self.rng.uniform(-3, 3, n)
        plain += np.where(np.abs(plain) < 0.05, 0.1, 0)
        if style == "positive":
            plain = self.rng.uniform(0.2, 2.5, n)
        elif style == "unit":
            plain = self.rng.uniform(0.05, 0.95, n)
        elif style == "ties":
            plain = self.rng.integers(-2, 3, n).astype(float)
        elif style == "special":
            plain = np.where(self.rng.random(n) < 0.5, self.rng.choice(SPECIAL, n), plain)
        elif style == "odd":
            plain = np.where(self.rng.random(n) < 0.3, self.rng.choice(SPECIAL[:9], n), plain)
        elif style == "huge":
            plain = plain * 1e18
        elif style == "tiny":
            plain = plain * 1e-18
        elif style == "offset":
            plain = np.round(plain * 8) / 8 + 2.0**20
        return single(plain).reshape(shape)

    def add(self, data, kind, grad):
        x = Input("x%d" % (len(self.inputs) + 1), data, kind, grad)
        self.inputs.append(x)
        return x

    def tensor(self, shape, style="plain", grad=True, layout=True):
        """A real tensor of this shape, often a view of one that lies otherwise in memory; with
        layout="distinct" none that repeats elements."""
        x, views = self.laid_out(shape, layout)
        x = self.add(self.values(x, style), REAL, grad)
        for text, view in views:
            x.see(text, view)
        return x

    def index(self, shape, n, layout=True):
        """int32, from 1 to n."""
        x, views = self.laid_out(shape, layout)
        x = self.add(self.rng.integers(1, max(n, 1) + 1, x), INT, False)
        for text, view in views:
            x.see(text, view)
        return x

    def ints(self, shape, low=-9, high=9, kind=INT, layout=True):
        x, views = self.laid_out(shape, layout)
        x = self.add(
            self.rng.integers(max(low, 0) if kind == BYTE else low, high + 1, x), kind, False
        )
        for text, view in views:
            x.see(text, view)
        return x

    def mask(self, shape, layout=True):
        return self.ints(shape, 0, 1, BYTE, layout)

    #
    # Layouts: a shape in memory, and the views that make the wanted one of it
    #

    def laid_out(self, shape, layout):
        views = []
        if layout:
            for _ in range(self.choice([0, 0, 1, 1, 2])):
                shape, view = self.choice(LAYOUTS[:-1] if layout == "distinct" else LAYOUTS)(
                    self, shape
                )
                views[:0] = view
        return shape, views


def lua_dim(d):
    return d + 1 if d >= 0 else d


def lua_dims(ds):
    return [lua_dim(d) for d in ds]


def permuted(d, shape):
    order = [int(i) for i in d.rng.permutation(len(shape))]
    before = [0] * len(shape)
    for i, o in enumerate(order):
        before[o] = shape[i]
    if len(shape) < 2:
        return shape, []
    text = "%%s:permute({%s})" % ", ".join(str(o + 1) for o in order)
    return tuple(before), [(text, lambda t: t.permute(order))]


def strided(d, shape):
    if not shape:
        return shape, []
    at, step, first = d.integer(0, len(shape) - 1), d.choice([1, 2, 3, -1, -2]), d.integer(0, 2)
    n = shape[at]
    span = abs(step) * (n - 1) + 1 if n else 0
    before = shape[:at] + (first + span + d.integer(0, 1),) + shape[at + 1 :]
    begin = first if step > 0 else first + span - 1
    if n == 0:
        return shape, []
    positions = [begin + step * i for i in range(n)]
    text = "%%s:slice(%d, %d, %d, %d)" % (at + 1, begin + 1, n, step)
    return before, [
        (
            text,
            lambda t: (
                t[(slice(None),) * at + (positions,)]
                if step < 0
                else t[(slice(None),) * at + (slice(begin, begin + span, step),)]
            ),
        )
    ]


def selected(d, shape):
    if len(shape) > 4 or 0 in shape:
        return shape, []
    at, n = d.integer(0, len(shape)), d.integer(1, 3)
    i = d.integer(0, n - 1)
    text = "%%s:select(%d, %d)" % (at + 1, i + 1)
    return shape[:at] + (n,) + shape[at:], [(text, lambda t: t.select(at, i))]


def expanded(d, shape):
    if not shape:
        return shape, []
    at = d.integer(0, len(shape) - 1)
    text = "%%s:expand({%s})" % ", ".join(map(str, shape))
    return shape[:at] + (1,) + shape[at + 1 :], [(text, lambda t: t.expand(shape))]


LAYOUTS = [permuted, permuted, strided, strided, selected, expanded]
