--- pl.detect_anomaly: where a NaN or an infinity arises.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T, BIG = {}, pl.real == "double" and 1e200 or 1e30 -- whose square is none

-- The message of the anomaly in f(...).
local function found(f, ...)
  local ok, message = pcall(pl.detect_anomaly, f, ...)
  lu.assertFalse(ok)
  lu.assertNotStrContains(message, "stack traceback")
  return message
end

local function matches(message, ...)
  for _, text in ipairs {...} do lu.assertStrContains(message, text) end
end

local function layer(f)
  return nn.module {forward = function(_, x) return f(x) end}
end

function T.test_forward()
  lu.assertStrMatches(found(function() return pl.tensor({1, 0}):log() end),
    ".*test_anomaly.lua:26: detect_anomaly: log gave an infinity in its result real%[2%], "
    .. "in the forward pass; x real%[2%] is finite")
  matches(found(function() return pl.zeros(2) / pl.zeros(2) end),
          "div gave a NaN in its result", "a real[2] is finite; b real[2] is finite")
end

function T.test_what_came_in()
  local x = pl.tensor {1, 0 / 0}
  matches(found(pl.exp, x), "exp gave a NaN in its result real[2]", "x real[2] has a NaN")
  matches(found(pl.sub, pl.tensor {math.huge}, pl.tensor {math.huge}), "sub gave a NaN",
          "a real[1] has an infinity")
end

function T.test_a_composed_op_is_one()
  matches(found(pl.mse_loss, pl.tensor {BIG}, pl.tensor {-BIG}), "mse_loss gave an infinity")
end

function T.test_the_module()
  local net = nn.Sequential {nn.Linear(2, 2), layer(pl.log)}
  pl.no_grad(net[1].weight.fill_, net[1].weight, -1)
  net(pl.ones(1, 2))
  matches(found(net, pl.ones(1, 2)), "log gave a NaN", "(in Sequential.2 Module())")
end

-- Layers that are computed without Lua between them are looked at one by one.
function T.test_a_chain()
  local net = nn.Sequential {nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1)}
  net(pl.ones(1, 1))
  pl.no_grad(net[3].weight.fill_, net[3].weight, math.huge)
  matches(found(net, pl.ones(1, 1)), "linear gave an infinity", "weight real[1,1] has an infinity",
          "(in Sequential.3 Linear(1, 1))")
end

function T.test_backward()
  local x = pl.tensor({0, 1}):requires_grad_()
  local message = found(function()
    local y = x:sqrt()
    y:sum():backward()
  end)
  matches(message, "test_anomaly.lua:64: detect_anomaly: sqrt gave an infinity in the gradient of x",
          "in the backward pass; it was called at", "test_anomaly.lua:63", "x real[2]",
          "the gradient of its result real[2] is finite")
  lu.assertNil(x.grad)
end

function T.test_backward_in_a_network()
  local net = nn.Sequential {nn.Linear(2, 2), layer(function(x) return (x - x):sqrt() end),
                             nn.Linear(2, 1)}
  local message = found(function() net(pl.ones(1, 2)):sum():backward() end)
  matches(message, "sqrt gave", "in the backward pass", "in Sequential.2 Module()")
end

-- The history of calls from before has no places, but the op is known.
function T.test_calls_from_before()
  local x = pl.tensor({0}):requires_grad_()
  local y = x:sqrt()
  local message = found(function() return pl.grad(y, x) end)
  matches(message, "sqrt gave an infinity in the gradient of x")
  lu.assertNotStrContains(message, "it was called")
end

function T.test_gradients_written_in_lua()
  local half = pl.custom(function(_, x) return x / 2 end,
                         function(_, grad) return grad / pl.zeros(1) end)
  local x = pl.ones(1):requires_grad_()
  matches(found(function() half(x):backward() end), "div gave an infinity in its result")
  local bad = pl.custom(function(_, v) return v / 2 end, function() return pl.tensor {0 / 0} end)
  matches(found(function() bad(x):backward() end), "custom gave a NaN in the gradient of xs")
end

function T.test_second_order()
  local x = pl.tensor({0}):requires_grad_()
  local message = found(function()
    local g = pl.grad(x ^ 1.5, x, {create_graph = true})[1]
    return pl.grad(g, x)
  end)
  matches(message, "in the backward pass")
end

-- Masks of attention.
function T.test_infinities_that_are_meant()
  local scores, mask = pl.ones(1, 3):requires_grad_(), pl.tensor({{1, 0, 0}}, "uint8")
  local y = pl.detect_anomaly(function()
    local p = scores:masked_fill(mask, -math.huge):softmax(2)
    local q = (scores + pl.tensor {{-math.huge, 0, 0}}):softmax(2)
    p:square():sum():backward()
    return q
  end)
  lu.assertEquals(y:totable(), {{0, 0.5, 0.5}})
end

function T.test_results_and_errors_pass()
  local y, n = pl.detect_anomaly(function(a, b) return a + b, 3 end, pl.ones(2), 1)
  lu.assertEquals(y:totable(), {2, 2})
  lu.assertEquals(n, 3)
  lu.assertErrorMsgEquals("mine", pl.detect_anomaly, function() error("mine", 0) end)
  lu.assertErrorMsgContains("detect_anomaly: function expected, got tensor", pl.detect_anomaly,
                            pl.ones(1))
  lu.assertErrorMsgContains("detect_anomaly: function expected, got nil", pl.detect_anomaly)
end

-- Afterwards nothing is looked at, and the same bits come out of a network.
function T.test_it_ends()
  pcall(pl.detect_anomaly, pl.log, pl.zeros(1))
  lu.assertEquals(pl.log(pl.zeros(1)):item(), -math.huge)
  local net, x = nn.Sequential {nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1)}, pl.randn(4, 3)
  net(x):sum():backward()
  local y, grad = net(x):totable(), net[1].weight.grad:totable()
  net:zero_grad()
  pl.detect_anomaly(function() net(x):sum():backward() end)
  lu.assertEquals(net[1].weight.grad:totable(), grad)
  lu.assertEquals(pl.detect_anomaly(net, x):totable(), y)
end

function T.test_one_within_another()
  matches(found(function()
    pcall(pl.detect_anomaly, pl.log, pl.zeros(1))
    return pl.log(pl.zeros(1))
  end), "log gave")
end

return T
