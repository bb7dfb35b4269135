#!/bin/sh
# What docs/contributing.md says of additions: each is made in a copy of the tree, in as many places
# as it says, and used. tests/cli/test_contributing.sh; the last line is `N passed, N failed`.
set -u
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/check.sh

tree=$work/tree
mkdir "$tree"
cp -r bench examples include lua scripts src meson.build meson_options.txt subprojects tests "$tree"
run() { "$tree/build/perilune" -e "$1"; }

# An elementwise op: one line.
cat >>"$tree/src/kernels/math/elementwise.def" <<'END'
UNARY(ACTIVATIONS, softsign, PL_UNSAVED_OUT, "", "any[3,4]", "x / (1 + |x|)",
      "Div(x, Add(Abs(x), 1))",
      x / (1 + (x < 0 ? -x : x)),
      g / ((1 + (x < 0 ? -x : x)) * (1 + (x < 0 ? -x : x))),
      pl_div(G, pl_square(pl_affine(pl_abs(X), 1, 1))))
END

# An activation of linear and its like: one line.
sed -i 's/^  ROW(MISH, .*/& \\\n  ROW(SOFTSIGN, softsign, 0, MONOTONE)/' "$tree/src/ops/activations.def"

# Another op: its function and its row in one file.
cat >>"$tree/src/ops/reduce.c" <<'END'

static bool sum_squares_decompose(pl_args *c) {
  c->out[0] = pl_sum(pl_square(c->in[0]), c->attr[0].ints, c->attr[1].i);
  return c->out[0] != NULL;
}

PL_OP(sum_squares, .group = PL_GROUP_REDUCTIONS, .inputs = "x",
      .attrs = "dim:dims? keepdim:bool=false", .doc = "the sum of squares over some dims, or all",
      .samples = "any[3,4]; any[2,3] dim=2", .decompose = sum_squares_decompose);
END

# An optimiser: one file.
cat >"$tree/lua/perilune/optim/algorithms/signum.lua" <<'END'
--- Steps by the sign of the gradient.
local optimizer = require "perilune.optim.optimizer"

local SignSGD = optimizer.new {
  name = "SignSGD", options = {lr = 0.01},
  step = function(p, g, _, o) p:add_(g:sign(), -o.lr) end,
}

return {SignSGD = SignSGD}
END

# A data set: one row.
sed -i '0,/^return {/s//return {\
  {name = "ones", title = "Ones", kind = "images", what = "a test", licence = "none", classes = {"one"},\
    urls = {\
      "file:\/\/\/nowhere",\
    },\
    files = {\
      {"00", "train-images-idx3-ubyte.gz"},\
    }},/' "$tree/lua/perilune/data/sets.lua"

check "the copy is set up" meson setup "$tree/build" "$tree" -Dtests=disabled -Dbuildtype=plain
check "and built" ninja -C "$tree/build"
check "the op computes, with gradients of second order" run '
  local x = pl.tensor {-2, 0.5}:requires_grad_()
  local y = pl.softsign(x)
  local g = pl.grad(y:sum(), x, {create_graph = true})[1]
  local h = pl.grad(g:sum(), x)[1]
  assert(math.abs(y:totable()[1] + 2 / 3) < 1e-6 and math.abs(g:totable()[2] - 1 / 2.25) < 1e-6)
  assert(math.abs(h:totable()[2] + 2 / 1.5 ^ 3) < 1e-5)'
check "it has help, a group, and is functional" run '
  assert(pl.op("softsign").group == "Activations" and pl.nn.functional.softsign == pl.softsign)
  pl.help "softsign"'
check "the activation is one of linear and conv2d" run '
  local x, w = pl.randn(3, 4), pl.randn(2, 4)
  local a, b = pl.linear(x, w, nil, {activation = "softsign"}), pl.linear(x, w):softsign()
  assert((a - b):abs():amax():item() < 1e-6)
  pl.conv2d(pl.randn(1, 1, 4, 4), pl.randn(1, 1, 3, 3), nil, {activation = "softsign", max_pool = 2})'
check "the op of a file computes" run 'assert(pl.sum_squares(pl.tensor {3, 4}):item() == 25)'
check "C has both" grep -q "pl_softsign(pl_tensor \*x)" "$tree/build/include/perilune_ops.h"
check "C has both" grep -q "pl_sum_squares(pl_tensor \*x, pl_ints dim, bool keepdim)" \
  "$tree/build/include/perilune_ops.h"
check "the optimiser steps" run '
  local w = pl.nn.parameter(pl.tensor {1, -1})
  local opt = pl.optim.SignSGD({w}, {lr = 0.5})
  ;(w * w):sum():backward()
  opt:step()
  assert(w:detach()[1] == 0.5 and w:detach()[2] == -0.5)'
check "the set is known" run '
  local set, why = pl.data.images {name = "ones", data = "/nowhere"}
  assert(not set and why:find("ones/train-images", 1, true), why)'
check "and fetched by name" sh -c "'$tree/scripts/fetch-data.sh' -d '$work/data' ones 2>&1 |
  grep -q 'could not get ones/train-images-idx3-ubyte.gz'"

# A floor that looks up ends the build.
echo '#include "../ops/ops.h"' >"$tree/src/tensor/up.h"
check "an include that looks up ends the build" sh -c "! ninja -C '$tree/build' >'$work/up' 2>&1 &&
  grep -q 'tensor includes ../ops/ops.h: it may know base' '$work/up'"

count
