--- What a small call costs outside of its kernel: perilune bench/calls.lua [--seconds S]
--
-- Prints nanoseconds a call, the least of many rounds, on one thread. With one element the kernels
-- take next to nothing: what is left is Lua, the binding, the call's checks, memory, and where
-- gradients are recorded the node that remembers it.

local pl = require "perilune"
local core = require "perilune.core"

local seconds = arg[1] == "--seconds" and tonumber(arg[2]) or 1
if arg[1] == "--help" or not seconds then
  print "usage: perilune bench/calls.lua [--seconds S]"
  return
end
core.threads(1)

local CALLS <const> = 2000

local function time(name, f)
  local least, stop = math.huge, core.clock() + seconds
  repeat
    local began = core.clock()
    pl.tidy(function() for _ = 1, CALLS do f() end end)
    least = math.min(least, core.clock() - began)
  until core.clock() > stop
  print(("%-44s %8.0f ns"):format(name, least / CALLS * 1e9))
end

local a, b, w = pl.ones(1), pl.ones(1), pl.ones(1):requires_grad_()
local net = pl.nn.Sequential {pl.nn.Conv2d(1, 1, 1)}
local x, weight, bias = pl.ones(1, 1, 1, 1), net[1].weight, net[1].bias
local add = pl.add

time("an empty function", function() end)
time("pl.add(a, b)", function() add(a, b) end)
time("a + b", function() local _ = a + b end)
time("w + b, recorded", function() local _ = w + b end)
time("a:sum()", function() a:sum() end)
time("a:reshape(1, 1), a view", function() a:reshape(1, 1) end)
time("pl.conv2d(x, weight, bias), recorded", function() pl.conv2d(x, weight, bias) end)
time("Sequential {Conv2d(1, 1, 1)}(x), recorded", function() net(x) end)
time("the same in no_grad", function() pl.no_grad(net, x) end)
