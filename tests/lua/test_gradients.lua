--- The gradients of every op, first and second order, by walking the op table with
-- `pl.testing.check_op`: against finite differences, whose limits are tight in the double build; and
-- what no sample shows.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local double = pl.real == "double"

for _, name in ipairs(pl.ops()) do
  local row = pl.op(name)
  T["test_" .. name] = function()
    lu.assertTrue(#row.doc > 0, name .. " has no doc line")
    lu.assertTrue(pl.testing.check_op(name) > 0)
  end
end

-- Rows of zeros have no slope in a norm, of any order, and leave those of other rows alone.
function T.test_norm_of_nothing()
  local x = pl.tensor {{0, 0}, {3, 4}}:requires_grad_()
  local g = pl.grad(x:norm(2):sum(), {x}, {create_graph = true})[1]
  lu.assertAlmostEquals(g:totable(), {{0, 0}, {0.6, 0.8}}, 1e-6)
  local second = pl.grad((g * pl.tensor {{1, 2}, {1, 2}}):sum(), {x})[1]
  lu.assertAlmostEquals(second:totable(), {{0, 0}, {-0.064, 0.048}}, 1e-6)
end

-- Where the squares of a and b are no numbers, there is no direction: 0, and not NaN.
function T.test_atan2_near_the_origin()
  for _, tiny in ipairs {0, 1e-30, 1e-300} do
    local a, b = pl.tensor {-tiny}:requires_grad_(), pl.tensor {0}:requires_grad_()
    for _, g in ipairs(pl.grad(pl.atan2(a, b):sum(), {a, b}, {create_graph = true})) do
      lu.assertEquals(g:isfinite():totable(), {1})
    end
  end
end

function T.test_third_order()
  if not double then return end
  local x = pl.tensor({0.3, -0.7, 1.1}):requires_grad_()
  local y = (x * x * x * x):sum()
  for _, factor in ipairs {4, 12, 24} do
    y = pl.grad(y, x, {create_graph = true})[1]
    local power = factor == 4 and x ^ 3 or factor == 12 and x ^ 2 or x
    lu.assertTrue((y - power * factor):abs():amax():item() < 1e-12)
    y = y:sum()
  end
end

-- 0 to the power 0 is 1, and so are all derivatives of a power at 0 finite.
function T.test_powers_of_nothing()
  local x = pl.zeros(3):requires_grad_()
  local y, e = nil, pl.tensor {0, 1, 2}
  local wanted = {{1, 1, 0}, {0, 1, 0}, {0, 0, 2}, {0, 0, 0}, {0, 0, 0}}
  y = x ^ e
  for order = 2, 5 do
    y = pl.grad(y:sum(), {x}, {create_graph = true})[1]
    lu.assertEquals(y:totable(), wanted[order])
  end
end

-- Where the slope of an activation is 0 an infinite gradient has no effect, fused or not.
function T.test_infinite_gradients_end_at_dead_units()
  pl.manual_seed(1)
  local x = pl.randn(2, 3, 4, 4)
  local make = {
    linear = function(a) return pl.linear(x:flatten(2), pl.full({2, 48}, -0.01), nil, a) end,
    conv = function(a) return pl.conv2d(x, pl.ones(2, 3, 3, 3), nil, a) end,
    norm = function(a) return pl.batch_norm(x, pl.ones(3), pl.zeros(3), nil, nil,
      {training = true, activation = a.activation}) end,
  }
  for name, f in next, make do
    for _, create in ipairs {false, true} do
      x = x:detach():requires_grad_()
      local fused = pl.grad(f({activation = "relu"}):sqrt():sum(), {x}, {create_graph = create})[1]
      local apart = pl.grad(pl.relu(f {}):sqrt():sum(), {x}, {create_graph = create})[1]
      lu.assertEquals(fused:isnan():any():item(), 0, name)
      lu.assertTrue((fused - apart):abs():amax():item() <= 1e-4 * apart:abs():amax():item() + 1e-4, name)
    end
  end
end

-- Outside of training an image's gradient is its own affair.
function T.test_batch_norm_keeps_a_bad_number_to_itself()
  for _, size in ipairs {{2, 3}, {2, 3, 2, 2}} do
    local x = pl.zeros(size)
    x:flatten()[4] = 1 / 0
    x:requires_grad_()
    local y = pl.batch_norm(x, nil, nil, pl.zeros(3), pl.ones(3))
    lu.assertEquals(pl.grad(y:sum(), {x})[1]:isnan():any():item(), 0)
  end
end

-- The gradient is that of the statistics which were used, wherever they have gone since.
function T.test_batch_norm_after_its_statistics_moved()
  pl.manual_seed(1)
  local x, mean, var = pl.randn(4, 3, 2, 2):requires_grad_(), pl.zeros(3), pl.ones(3)
  local y = pl.batch_norm(x, nil, nil, mean, var):sum()
  pl.batch_norm(pl.randn(4, 3, 2, 2) * 5, nil, nil, mean, var, {training = true, momentum = 1})
  local fast = pl.grad(y, {x}, {retain_graph = true})[1]
  local slow = pl.grad(y, {x}, {create_graph = true})[1]
  lu.assertTrue((fast - slow):abs():amax():item() < 1e-6)
end

function T.test_products_of_empty_matrices()
  lu.assertEquals(pl.zeros(2, 3, 0):matmul(pl.zeros(0, 4)):size(), {2, 3, 4})
  for _, sizes in ipairs {{{2, 3, 0}, {4, 0}}, {{2, 3, 4}, {0, 4}}, {{0}, {4, 0}}} do
    local x, w = pl.zeros(sizes[1]):requires_grad_(), pl.zeros(sizes[2]):requires_grad_()
    pl.linear(x, w):sum():backward()
    lu.assertEquals({x.grad:size(), w.grad:size()}, sizes)
  end
end

return T
