--- Gradients at the edges: zeros of both signs, ties, infinities and NaN in place of the values of
-- each op's samples. The gradient must be the same whether a graph of it is asked for or not, and so
-- must the gradient of the gradient. Layers are left out: their kernels skip what is multiplied by
-- zero, and a transform shares an infinity among its results.

local lu = require "luaunit"
local pl = require "perilune"
local samples = require "perilune.testing.samples"

local T = {}
local nan, inf <const> = 0 / 0, math.huge
local ODD <const> = {nan, 0, -0.0, inf, -inf, 1, -1, 0.5, 2, 3, -3}
local ROUNDS <const> = 24
local limit = pl.real == "double" and 1e-12 or 2e-5

-- t with two in three of its elements replaced, or all of them.
local function spoilt(t, random, all)
  if t:dtype() ~= "real" or t:numel() == 0 then return t end
  local values = t:reshape(-1):totable()
  for i in ipairs(values) do
    if all or random(3) < 3 then values[i] = ODD[random(#ODD)] end
  end
  return pl.tensor(values):reshape(t:size())
end

-- A generator of its own, so that a round is the same in every run.
local function generator(state)
  return function(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return (state >> 16) % n + 1
  end
end

local function leaves(inputs, wanted)
  local copies, targets = {}, {}
  for i, t in ipairs(inputs) do
    copies[i] = t:detach():clone()
    if wanted[i] then targets[#targets + 1] = copies[i]:requires_grad_() end
  end
  return copies, targets
end

local function sum_of(list)
  local sum
  for _, t in ipairs(list) do
    if t and t:dtype() == "real" and t.requires_grad then
      local part = (t * 3):sum()
      sum = sum and sum + part or part
    end
  end
  return sum
end

-- Gradients of first order, or of second, the last of them with a graph or without.
local function gradients(row, inputs, wanted, attributes, order, create_graph)
  local copies, targets = leaves(inputs, wanted)
  pl.manual_seed(7)
  local list = {samples.call(row, copies, attributes)}
  for k = 1, order do
    local sum = sum_of(list)
    if not sum then return {}, targets end
    list = pl.grad(sum, targets, {create_graph = create_graph or k < order})
  end
  return list, targets
end

local function same(a, b)
  return a == b or (a ~= a and b ~= b) or math.abs(a - b) <= limit * math.max(1, math.abs(b))
end

local function compare(what, a, b, inputs)
  local x, y = a:reshape(-1):totable(), b:reshape(-1):totable()
  for i in ipairs(x) do
    if not same(x[i], y[i]) then
      local texts = {}
      for k, t in ipairs(inputs) do texts[k] = table.concat(t:reshape(-1):totable(), " ") end
      lu.fail(("%s: element %d is %g, with a graph %g; of\n%s"):format(what, i, x[i], y[i],
        table.concat(texts, "\n")))
    end
  end
end

-- What an op refuses has no gradient.
local function accepted(row, inputs, attributes)
  return pcall(samples.call, row, inputs, attributes)
end

local function check(row, text, inputs, wanted, attributes)
  if not accepted(row, inputs, attributes) then return end
  for order = 1, 2 do
    local fast, targets = gradients(row, inputs, wanted, attributes, order, false)
    local slow = gradients(row, inputs, wanted, attributes, order, true)
    for k, t in ipairs(targets) do
      local zero = pl.zeros(t:size())
      compare(("%s(%s): order %d, input %d"):format(row.name, text, order, k), fast[k] or zero,
              slow[k] or zero, inputs)
    end
  end
end

local function check_sample(row, text, inputs, wanted, attributes)
  for round = 1, ROUNDS do
    local random, odd = generator(round), {}
    for i, t in ipairs(inputs) do odd[i] = spoilt(t, random, round % 4 == 0) end
    check(row, text, odd, wanted, attributes)
  end
end

-- Layers skip zeros; the factors of a matrix that has none are an error.
local SKIPPED <const> = {Layers = true, ["Linear algebra"] = true}

for _, name in ipairs(pl.ops()) do
  local row = pl.op(name)
  if row.differentiable and not SKIPPED[row.group] then
    T["test_" .. name] = function()
      for text, inputs, wanted, attributes in samples.each(row) do
        pl.tidy(check_sample, row, text, inputs, wanted, attributes)
      end
    end
  end
end

return T
