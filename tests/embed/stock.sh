#!/bin/sh
# `require "perilune"` from a stock Lua interpreter: tests/embed/stock.sh BUILD
set -eu
build=$(cd "$1" && pwd)
got=$(LUA_CPATH="$build/src/host/?.so" lua5.4 -e 'local pl = require "perilune"
  local x = pl.tensor{1, 2, 3}:requires_grad_()
  ;(x * x):sum():backward()
  print(x.grad[3], pl.nn.Linear(2, 3)(pl.ones(1, 2)):size(2))')
[ "$got" = '6.0	3' ] || { echo "stock Lua printed: $got"; exit 1; }
# A finalizer that is older than the module comes last, when the tensors are gone.
got=$(LUA_CPATH="$build/src/host/?.so" lua5.4 -e '
  last = setmetatable({}, {__gc = function() print(pcall(function() return kept + 1 end)); print(pl.ones(2):sum():item()) end})
  pl = require "perilune"
  kept = pl.ones(3)' 2>&1)
case $got in
  'false	'*'was released'*'
2.0') ;;
  *) echo "at its end stock Lua printed: $got"; exit 1 ;;
esac
# Lua loads the module for itself alone; a library of ops finds its functions all the same.
got=$(LUA_CPATH="$build/src/host/?.so" lua5.4 -e 'local pl = require "perilune"
  print(pl.load_ops(arg[1])[1], pl.testing.check_op "mine.squash", pl.mine.squash(pl.ones(1)):item())' \
  /dev/null "$build/tests/libplugin_op.so" 2>&1)
[ "$got" = 'mine.squash	2	0.5' ] || { echo "with an op from a library stock Lua printed: $got"; exit 1; }
echo '3 passed, 0 failed'
