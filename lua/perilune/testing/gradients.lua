--- The gradients of a sample of an op, against finite differences and each other (internal).
--
-- The sample is made one number: the sum of its real results times fixed weights,
--
--     f(x) = sum of w * op(x)       (f(x + h d) - f(x - h d)) / 2h  =  f'(x) along d, about
--
-- where d is a random direction. The sums of finite differences are made in double precision, so
-- that only what the op itself rounds is in them.
-- @module perilune.testing.gradients

local complain = require("perilune.internal.blame").complain
local pl = require "perilune"
local samples = require "perilune.testing.samples"

local gradients = {}

local double <const> = pl.real == "double"
local STEP <const> = double and 1e-5 or 4e-3
local FIRST <const>, SECOND <const> = double and 2e-7 or 5e-3, double and 1e-6 or 1e-2
local SAME <const> = double and 1e-12 or 2e-5
-- Each a quarter of the one before: a long one may cross a kink.
local STEPS <const> = double and 1 or 3
local DIRECTIONS <const> = 2

-- Raises what is wrong of a sample.
local function differ(what, text, ...)
  complain("check_op: %s: " .. text, what, ...)
end

--
-- A sample as a function of its inputs
--

-- Each call has the same stream of random numbers: the same mask each time.
local function call(row, inputs, attributes)
  local state <const> = pl.random_state()
  pl.manual_seed(7)
  local results <const> = table.pack(samples.call(row, inputs, attributes))
  pl.set_random_state(state)
  return results
end

local function weighted(results, weights)
  local sum
  for i = 1, results.n do
    if weights[i] then
      local part = (results[i] * weights[i]):sum()
      sum = sum and sum + part or part
    end
  end
  return sum
end

local function make_weights(results)
  local weights = {}
  for i = 1, results.n do
    weights[i] = results[i]:dtype() == "real" and pl.randn(results[i]:size())
  end
  return weights
end

local function flat(t)
  return t:reshape(-1):totable()
end

-- The sum of the products of elements, in double precision.
local function dot(a, b)
  local sum, x, y = 0, flat(a), flat(b)
  for i = 1, #x do sum = sum + x[i] * y[i] end
  return sum
end

local function number(results, weights)
  local sum = 0
  for i = 1, results.n do
    if weights[i] then sum = sum + dot(results[i], weights[i]) end
  end
  return sum
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
      if grads[k] then sum = sum + dot(grads[k], direction[i]) end
    end
  end
  return sum
end

--
-- Comparing
--

-- Two gradients of an input, computed in other ways; an absent one is zero.
local function same(what, text, i, a, b)
  if not a and not b then return end
  a, b = a or b * 0, b or a * 0
  local difference, size = (a - b):abs():amax():item(), math.max(1, b:abs():amax():item())
  if not (difference <= SAME * size) then
    differ(what, "%s of input %d differ by %g", text, i, difference)
  end
end

-- The slope of f at 0, by finite differences; the first that is near to a, or else the last.
local function slope(f, a, limit)
  local b
  for k = 0, STEPS - 1 do
    local step = STEP / 4 ^ k
    b = (f(step) - f(-step)) / (2 * step)
    if math.abs(a - b) <= limit * math.max(1, math.abs(a), math.abs(b)) then return b, true end
  end
  return b, false
end

-- Whether draw() gives, for random directions, a function of a step and its slope at 0.
local function close(what, text, limit, draw)
  for _ = 1, DIRECTIONS do
    local f, a = draw()
    local b, near = slope(f, a, limit)
    if not near then
      differ(what, "%s: the gradient gives %.12g, finite differences %.12g", text, a, b)
    end
  end
end

--
-- First order
--

-- Whichever other inputs have gradients, those of one are the same.
local function check_some(s, all)
  local order = {}
  for i = 1, #s.inputs do
    if s.wanted[i] then order[#order + 1] = i end
  end
  for bits = 1, (1 << #order) - 2 do
    local some = {}
    for k, i in ipairs(order) do some[i] = bits >> (k - 1) & 1 == 1 end
    local copies, targets = leaves(s.inputs, some)
    local sum = weighted(call(s.row, copies, s.attributes), s.weights)
    local grads, n = sum.requires_grad and pl.grad(sum, targets) or {}, 0
    for k, i in ipairs(order) do
      if some[i] then
        n = n + 1
        same(s.what, "the gradients, alone and with others,", i, grads[n], all[k])
      end
    end
  end
end

local function grads_of(s, options)
  local copies, targets = leaves(s.inputs, s.wanted)
  return pl.grad(weighted(call(s.row, copies, s.attributes), s.weights), targets, options)
end

local function check_first(s)
  local fast, slow = grads_of(s), grads_of(s, {create_graph = true})
  for k = 1, math.max(#fast, #slow) do
    same(s.what, "fused_gradient and gradient", k, fast[k], slow[k])
  end
  check_some(s, fast)
  close(s.what, "first order", FIRST, function()
    local d = directions(s.inputs, s.wanted)
    local function f(step)
      return number(call(s.row, moved(s.inputs, s.wanted, d, step), s.attributes), s.weights)
    end
    return f, inner(fast, d, s.wanted)
  end)
end

--
-- Second order: the gradient as a function of the inputs and the weights, along a direction u
--

-- The inputs and the weights in one list, which are wanted, and where each weight belongs.
local function with_weights(s)
  local all, wanted, order = {}, {}, {}
  for i, t in ipairs(s.inputs) do all[i], wanted[i] = t, s.wanted[i] end
  for i, w in ipairs(s.weights) do
    if w then
      order[#order + 1], all[#all + 1] = i, w
      wanted[#all] = true
    end
  end
  return all, wanted, order
end

local function targets_of(list, wanted, n)
  local targets = {}
  for i = 1, n do
    if wanted[i] then targets[#targets + 1] = list[i] end
  end
  return targets
end

-- The gradients by the inputs, at a list of inputs and weights.
local function gradients_at(s, list, order)
  local weights = {}
  for i = 1, #s.weights do weights[i] = false end
  for k, i in ipairs(order) do weights[i] = list[#s.inputs + k] end
  local inputs = table.move(list, 1, #s.inputs, 1, {})
  local sum = weighted(call(s.row, inputs, s.attributes), weights)
  return pl.grad(sum, targets_of(list, s.wanted, #s.inputs), {create_graph = true})
end

local function along(s, grads, u)
  local sum, k = pl.zeros(), 0
  for i = 1, #s.inputs do
    if s.wanted[i] then
      k = k + 1
      if grads[k] then sum = sum + (grads[k] * u[i]):sum() end
    end
  end
  return sum
end

local function check_second(s)
  local all, wanted, order = with_weights(s)
  close(s.what, "second order", SECOND, function()
    local u, d = directions(s.inputs, s.wanted), directions(all, wanted)
    local copies = leaves(all, wanted)
    local sum, analytic = along(s, gradients_at(s, copies, order), u), 0
    if sum.requires_grad then
      analytic = inner(pl.grad(sum, targets_of(copies, wanted, #all)), d, wanted)
    end
    local function f(step)
      return inner(gradients_at(s, leaves(moved(all, wanted, d, step), wanted), order), u, s.wanted)
    end
    return f, analytic
  end)
end

local function has_true(list)
  for _, v in ipairs(list) do
    if v then return true end
  end
  return false
end

--- Checks one sample, as `samples.each` gives them; raises what is wrong.
-- @param row of pl.op
-- @param text of the sample
-- @param inputs list of tensors
-- @param wanted which have gradients
-- @param attributes table
function gradients.check(row, text, inputs, wanted, attributes)
  local what = ("%s(%s)"):format(row.name, text)
  local results = call(row, inputs, attributes)
  for i = 1, results.n do
    if results[i]:dtype() == "real" and results[i]:isnan():any():item() ~= 0 then
      differ(what, "result %d has a NaN", i)
    end
  end
  if not row.differentiable or not has_true(wanted) then return end
  local s = {row = row, what = what, inputs = inputs, wanted = wanted, attributes = attributes,
             weights = make_weights(results)}
  check_first(s)
  check_second(s)
end

return gradients
