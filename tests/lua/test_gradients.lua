--- The gradients of every op, first and second order, by walking the op table.
--
-- For each sample of a row, in random directions: the gradient against finite differences;
-- the one-pass gradient against the one written in ops, and against that of some inputs alone; the
-- gradient of the gradient, by the inputs and by what flows back, against finite differences. The
-- limits are those of the double build; in the float build only first-order gradients are compared.

local lu = require "luaunit"
local pl = require "perilune"
local samples = require "samples"

local T = {}
local double = pl.real == "double"

--
-- A sample as a function of its inputs: the sum of its real results times fixed weights
--

local function call(row, inputs, attributes)
  pl.manual_seed(7) -- the same mask each time
  return table.pack(samples.call(row, inputs, attributes))
end

local function weighted(results, weights)
  local sum
  for i = 1, results.n do
    if results[i]:dtype() == "real" then
      local part = (results[i] * weights[i]):sum()
      sum = sum and sum + part or part
    end
  end
  return sum
end

local function make_weights(results)
  local weights = {}
  for i = 1, results.n do
    if results[i]:dtype() == "real" then weights[i] = pl.randn(results[i]:size()) end
  end
  return weights
end

local function leaves(list, wanted)
  local copies, targets = {}, {}
  for i, t in ipairs(list) do
    copies[i] = t:detach():clone()
    if wanted[i] then targets[#targets + 1] = copies[i]:requires_grad_() end
  end
  return copies, targets
end

-- list[i] + step * direction[i] where wanted.
local function moved(list, wanted, direction, step)
  local result = {}
  for i, t in ipairs(list) do result[i] = wanted[i] and t + direction[i] * step or t:clone() end
  return result
end

local function directions(list, wanted)
  local d = {}
  for i, t in ipairs(list) do
    d[i] = wanted[i] and pl.randn(t:size()) or false
    if wanted[i] == "symmetric" then d[i] = (d[i] + d[i]:transpose(-2, -1)) / 2 end
  end
  return d
end

local function inner(grads, direction, wanted)
  local sum, k = 0, 0
  for i = 1, #direction do
    if wanted[i] then
      k = k + 1
      if grads[k] then sum = sum + (grads[k] * direction[i]):sum():item() end
    end
  end
  return sum
end

local function close(a, b, limit, what)
  local scale = math.max(1, math.abs(a), math.abs(b))
  lu.assertTrue(math.abs(a - b) <= limit * scale, ("%s: %.12g and %.12g"):format(what, a, b))
end

-- Two gradients of an input, computed in other ways; an absent one is zero.
local function same(what, i, a, b)
  if not a and not b then return end
  a, b = a or b * 0, b or a * 0
  local difference, size = (a - b):abs():amax():item(), math.max(1, b:abs():amax():item())
  lu.assertTrue(difference <= (double and 1e-12 or 2e-5) * size,
    ("%s of input %d differ by %g"):format(what, i, difference))
end

-- Whichever other inputs have gradients, those of one are the same.
local function check_some(row, what, inputs, wanted, attributes, weights, all)
  local order = {}
  for i = 1, #inputs do
    if wanted[i] then order[#order + 1] = i end
  end
  for bits = 1, (1 << #order) - 2 do
    local some = {}
    for k, i in ipairs(order) do some[i] = bits >> (k - 1) & 1 == 1 end
    local copies, targets = leaves(inputs, some)
    local sum = weighted(call(row, copies, attributes), weights)
    local grads, n = sum.requires_grad and pl.grad(sum, targets) or {}, 0
    for k, i in ipairs(order) do
      if some[i] then
        n = n + 1
        same(what .. ": the gradients, alone and with others,", i, grads[n], all[k])
      end
    end
  end
end

local STEP <const> = 1e-5

local function check_first(row, what, inputs, wanted, attributes, weights)
  local copies, targets = leaves(inputs, wanted)
  local fast = pl.grad(weighted(call(row, copies, attributes), weights), targets)
  local again, targets_again = leaves(inputs, wanted)
  local slow = pl.grad(weighted(call(row, again, attributes), weights), targets_again,
                       {create_graph = true})
  for k = 1, #targets do same(what .. ": the two first-order gradients", k, fast[k], slow[k]) end
  check_some(row, what, inputs, wanted, attributes, weights, fast)
  if not double then return end
  local d = directions(inputs, wanted)
  local function f(step)
    return weighted(call(row, moved(inputs, wanted, d, step), attributes), weights):item()
  end
  close(inner(fast, d, wanted), (f(STEP) - f(-STEP)) / (2 * STEP), 2e-7, what .. ": first order")
end

-- The gradient as a function of the inputs and the weights, summed along a direction u.
local function check_second(row, what, inputs, wanted, attributes, weights)
  local u = directions(inputs, wanted)
  local all, all_wanted, order = {}, {}, {}
  for i, t in ipairs(inputs) do all[i], all_wanted[i] = t, wanted[i] end
  for i, w in pairs(weights) do order[#order + 1] = i; all[#all + 1] = w end
  for i = #inputs + 1, #all do all_wanted[i] = true end
  local function gradient_along(list, targets)
    local ins, ws = {}, {}
    for i = 1, #inputs do ins[i] = list[i] end
    for k, i in ipairs(order) do ws[i] = list[#inputs + k] end
    local grads = pl.grad(weighted(call(row, ins, attributes), ws), targets, {create_graph = true})
    local sum, k = pl.zeros(), 0
    for i = 1, #inputs do
      if wanted[i] then
        k = k + 1
        if grads[k] then sum = sum + (grads[k] * u[i]):sum() end
      end
    end
    return sum
  end
  local function at(step, d)
    local copies = leaves(moved(all, all_wanted, d, step), all_wanted)
    local targets = {}
    for i = 1, #inputs do
      if wanted[i] then targets[#targets + 1] = copies[i] end
    end
    return gradient_along(copies, targets), copies
  end
  local d = directions(all, all_wanted)
  local zero = {}
  for i = 1, #d do zero[i] = d[i] and d[i] * 0 end
  local sum, copies = at(0, zero)
  local analytic = 0
  if sum.requires_grad then
    local targets = {}
    for i, c in ipairs(copies) do
      if all_wanted[i] then targets[#targets + 1] = c end
    end
    analytic = inner(pl.grad(sum, targets), d, all_wanted)
  end
  local numeric = (at(STEP, d):item() - at(-STEP, d):item()) / (2 * STEP)
  close(analytic, numeric, 1e-6, what .. ": second order")
end

local function has_true(list)
  for _, v in ipairs(list) do
    if v then return true end
  end
  return false
end

local function check_sample(row, text, inputs, wanted, attributes)
  local what = ("%s(%s)"):format(row.name, text)
  local results = call(row, inputs, attributes)
  for i = 1, results.n do
    if results[i]:dtype() == "real" then
      lu.assertTrue(results[i]:isnan():any():item() == 0, what .. ": the sample gives NaN")
    end
  end
  if not row.differentiable or not has_true(wanted) then return end
  local weights = make_weights(results)
  check_first(row, what, inputs, wanted, attributes, weights)
  if double then check_second(row, what, inputs, wanted, attributes, weights) end
end

local function check_row(row)
  for text, inputs, wanted, attributes in samples.each(row) do
    check_sample(row, text, inputs, wanted, attributes)
  end
end

for _, name in ipairs(pl.ops()) do
  local row = pl.op(name)
  T["test_" .. name] = function()
    lu.assertTrue(#row.doc > 0, name .. " has no doc line")
    lu.assertTrue(row.samples ~= nil and #row.samples > 0, name .. " has no samples")
    pl.manual_seed(1)
    check_row(row)
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
