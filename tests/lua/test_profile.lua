-- Profiles: what is counted, to whom it belongs, and where the rest went.

local lu = require "luaunit"
local pl = require "perilune"
local nn, profile = pl.nn, pl.profile

local T = {}

local function find(list, name)
  for _, row in ipairs(list) do
    if row.name == name then return row end
  end
end

local BYTES <const> = pl.real == "double" and 8 or 4

function T.test_arithmetic_of_products()
  local a = pl.rand(3, 5):requires_grad_(true)
  local b = pl.rand(5, 7):requires_grad_(true)
  profile.start()
  pl.tidy(function() (a:matmul(b)):sum():backward() end)
  pl.tidy(pl.no_grad, function() return a:matmul(b):sum():item() end)
  local report = profile.stop()
  local product = find(report.ops, "matmul")
  lu.assertEquals(product.calls, 2)
  lu.assertEquals(product.flops, 2 * 2 * 3 * 5 * 7)
  lu.assertEquals(product.bytes, 2 * BYTES * (3 * 5 + 5 * 7 + 3 * 7))
  local gradient = find(report.ops, "bmm, gradient")
  lu.assertEquals(gradient.calls, 1)
  lu.assertEquals(gradient.flops, 2 * 2 * 3 * 5 * 7)
  lu.assertNil(find(report.ops, "bmm")) -- it ran inside of matmul
  lu.assertEquals(find(report.ops, "sum").flops, 2)
end

function T.test_fast_gradients_count_for_each_input()
  local x, net = pl.rand(4, 2, 3), nn.LSTM(3, 5)
  local function flops(wants_x)
    x:requires_grad_(wants_x)
    net:zero_grad()
    profile.start()
    pl.tidy(function() net(x):sum():backward() end)
    return find(profile.stop().ops, "lstm, gradient").flops
  end
  local one = 2 * 4 * 2 * 20 * (3 + 5)
  lu.assertEquals(flops(false), one)
  lu.assertEquals(flops(true), 2 * one)
end

function T.test_arithmetic_of_convolutions()
  local x = pl.rand(2, 3, 8, 8):requires_grad_(true)
  local w, v = pl.rand(5, 3, 3, 3):requires_grad_(true), pl.rand(5, 3, 2, 2):requires_grad_(true)
  profile.start()
  pl.tidy(function() pl.conv_transpose2d(pl.conv2d(x, w), v):sum():backward() end)
  local report = profile.stop()
  local down, up = 2 * (2 * 5 * 6 * 6) * (3 * 3 * 3), 2 * (2 * 5 * 6 * 6) * (3 * 2 * 2)
  lu.assertEquals(find(report.ops, "conv2d").flops, down)
  lu.assertEquals(find(report.ops, "conv2d, gradient").flops, 2 * down)
  lu.assertEquals(find(report.ops, "conv_transpose2d").flops, up)
  lu.assertEquals(find(report.ops, "conv_transpose2d, gradient").flops, 2 * up)
end

function T.test_modules_own_their_ops_and_gradients()
  local net = nn.Sequential {nn.Linear(3, 4), nn.Sequential {nn.ReLU(), nn.Linear(4, 2)}}
  profile.start()
  pl.tidy(function() net(pl.rand(5, 3)):square():sum():backward() end)
  local report = profile.stop()
  local inner = find(report.modules, "Sequential.2.2 (Linear)")
  lu.assertEquals(inner.calls, 2) -- the op and its gradient
  lu.assertAlmostEquals(inner.flops, 3 * 2 * 5 * 4 * 2, 2) -- and the sum for the bias
  lu.assertTrue(inner.gradient_seconds > 0 and inner.seconds > inner.gradient_seconds)
  lu.assertNotNil(find(report.modules, "Sequential.1 (Linear)"))
  lu.assertNotNil(find(report.modules, "outside of modules"))
  local text = tostring(report)
  lu.assertStrContains(text, "linear, gradient")
  lu.assertStrContains(text, "Sequential.2.1 (ReLU)")
  lu.assertStrContains(text, "elsewhere")
end

function T.test_parts_add_up()
  profile.start()
  local began = os.clock()
  repeat until os.clock() - began > 0.01
  pl.tidy(function() return pl.rand(100, 100):exp():sum():item() end)
  local report = profile.stop()
  local sum = 0
  for _, op in ipairs(report.ops) do sum = sum + op.seconds end
  lu.assertAlmostEquals(sum, report.in_ops, 1e-12)
  lu.assertAlmostEquals(report.in_ops + report.elsewhere, report.seconds, 1e-12)
  lu.assertTrue(report.elsewhere > 0.009)
end

function T.test_steps_in_place_are_seen()
  local p, g = pl.zeros(10), pl.ones(10)
  profile.start()
  pl.sgd_({p}, {g}, nil, nil, {lr = 1})
  pl.total_norm {g}
  p:add_(g):mul_(2):normal_(0, 1)
  local report = profile.stop()
  for _, name in ipairs {"sgd_", "total_norm", "add_", "mul_", "random"} do
    lu.assertNotNil(find(report.ops, name), name)
  end
end

function T.test_many_rows()
  local nets = {}
  for i = 1, 100 do nets[i] = nn.Linear(1, 1) end
  profile.start()
  pl.tidy(function()
    local x = pl.ones(1, 1)
    for _, net in ipairs(nets) do x = net(x) end
    x:backward()
  end)
  local report = profile.stop()
  lu.assertEquals(find(report.ops, "linear").calls, 100)
  lu.assertEquals(find(report.ops, "linear, gradient").calls, 100)
end

function T.test_errors_leave_it_whole()
  local net = nn.Sequential {nn.Linear(3, 4)}
  profile.start()
  lu.assertErrorMsgContains("inputs", net, pl.zeros(2, 5))
  pl.tidy(net, pl.zeros(2, 3))
  lu.assertErrorMsgContains("cross_entropy", pl.cross_entropy, pl.zeros(1, 2), pl.zeros(3))
  local report = profile.stop()
  lu.assertNotNil(find(report.modules, "Sequential.1 (Linear)"))
end

function T.test_an_error_in_a_module_gives_back_what_follows()
  local net = nn.Sequential {nn.Linear(3, 4)}
  profile.start()
  lu.assertFalse((pcall(net, pl.zeros(2, 5))))
  pl.ones(3):exp()
  local report = profile.stop()
  lu.assertEquals(find(report.modules, "outside of modules").calls, 1)
end

function T.test_a_profile_ends_inside_a_module()
  local report
  local net = nn.module {forward = function(_, x)
    local y = x:exp()
    report = profile.stop()
    return y:sin()
  end}
  profile.start()
  lu.assertAlmostEquals(net(pl.zeros(2))[1], math.sin(1), 1e-6)
  lu.assertNotNil(find(report.ops, "exp"))
  lu.assertNil(find(report.ops, "sin"))
end

function T.test_a_profile_inside_a_profile()
  profile.start()
  pl.ones(3):exp()
  profile.start()
  pl.ones(3):sin()
  pl.ones(3):exp()
  local inner = profile.stop()
  pl.ones(3):cos()
  local outer = profile.stop()
  lu.assertEquals(find(inner.ops, "exp").calls, 1)
  lu.assertEquals(find(inner.ops, "sin").calls, 1)
  lu.assertNil(find(inner.ops, "cos"))
  lu.assertEquals(find(outer.ops, "exp").calls, 2)
  lu.assertEquals(find(outer.ops, "cos").calls, 1)
  profile.start()
  lu.assertEquals(#profile.stop().ops, 0)
  lu.assertErrorMsgContains("no profile was started", profile.stop)
end

return T
