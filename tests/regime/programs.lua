--- Random programs of 2 to 20 rows of the op table, made into a number; their first and second
-- derivatives against finite differences.
--
-- A step calls a row with one of its samples (docs/ops.md), where some inputs are values of earlier
-- steps, brought to the sample's shape. A difference quotient that depends on its step has a kink or
-- a rounding error in it and says nothing; then smaller steps are tried.

local pl = require "perilune"
local samples = require "perilune.testing.samples"

assert(pl.real == "double", "the regime of programs needs the build in double precision")

local MOST_ROWS <const> = 20
local LARGEST <const> = 4         -- larger values are scaled down, so that nothing overflows; not
                                  -- to 1, which would meet the kinks at the integers of sign
local STEPS <const> = {1e-4, 1e-5, 1e-6}
local AGREE <const> = 1e-6        -- of two quotients, relative to the derivative's scale
local LIMIT <const> = 1e-5        -- of the derivative and a quotient

-- Rows that need distinct eigenvalues or finite numbers, which values of other rows may not be.
local left_out <const> = {}
for word in ("eigh eigvalsh svd svdvals pinv lstsq"):gmatch "%a+" do left_out["linalg." .. word] = true end

local rows = {}
for _, name in ipairs(pl.ops()) do
  if pl.op(name).differentiable and not left_out[name] then rows[#rows + 1] = pl.op(name) end
end

--
-- Drawing a program
--

local function pick(list) return list[math.random(#list)] end

-- One sample of a row: its text, inputs, wanted, attributes, and the words of its inputs.
local function draw_sample(row)
  local all = {}
  pl.manual_seed(math.random(1 << 40))
  for text, inputs, wanted, attributes in samples.each(row) do
    local words = {}
    for word in text:gmatch "%S+" do
      if not word:find "=" then words[#words + 1] = word end
    end
    all[#all + 1] = {text = text, inputs = inputs, wanted = wanted, attributes = attributes,
                     words = words}
  end
  return pick(all)
end

-- A value in the place of a sample's input: same elements as far as they go, over and over.
local function fit(value, like)
  local size, n = like:size(), like:numel()
  if table.concat(value:size(), ",") ~= table.concat(size, ",") then
    local copies, flat = {}, value:reshape(-1)
    for i = 1, math.ceil(n / flat:numel()) do copies[i] = flat end
    value = pl.cat(copies, 1):slice(1, 1, n):reshape(size)
  end
  return value
end

-- A sample, each of whose inputs is a leaf (wanted), or an earlier value (`from`), or constant.
local function draw_step(values)
  local row = pick(rows)
  local step = draw_sample(row)
  step.row, step.from, step.scale = row, {}, {}
  for i = 1, #step.inputs do
    if step.wanted[i] and #values > 0 and math.random() < 0.8 then
      step.from[i] = math.random(math.max(1, #values - 5), #values)
    end
  end
  return step
end

-- Appends the step's real results to the values; false if it has none or they are of no use.
local function run_step(step, leaves, values)
  local inputs = {}
  for i, input in ipairs(step.inputs) do
    inputs[i] = samples.tame(step.words[i], step.from[i] and fit(values[step.from[i]], input)
      or leaves[input] or input:clone())
  end
  pl.manual_seed(7) -- the same mask each time
  local results = table.pack(samples.call(step.row, inputs, step.attributes))
  local some = false
  for i = 1, results.n do
    local y = results[i]
    if y:dtype() == "real" and y:numel() > 0 then
      if not step.scale[i] then
        local largest = y:abs():amax():item()
        if not (largest < 1e6) then return false end
        step.scale[i] = largest > LARGEST and (0.5 + math.random()) / largest or 1
      end
      values[#values + 1] = step.scale[i] == 1 and y or y * step.scale[i]
      some = true
    end
  end
  return some
end

local function draw_program()
  local steps, values, count = {}, {}, math.random(2, MOST_ROWS)
  while #steps < count do
    local step, n = draw_step(values), #values
    if run_step(step, {}, values) then
      step.first, step.last = n + 1, #values
      steps[#steps + 1] = step
    else
      for i = #values, n + 1, -1 do values[i] = nil end
    end
  end
  local weights = {}
  pl.manual_seed(math.random(1 << 40))
  for i, v in ipairs(values) do weights[i] = pl.randn(v:size()) end
  return steps, weights
end

local function describe(steps)
  local lines = {}
  for _, step in ipairs(steps) do
    local inputs = {}
    for i, word in ipairs(step.words) do
      inputs[i] = step.from[i] and ("v%d as %s"):format(step.from[i], word) or word
    end
    local rest = step.text:match "%s(%S*=.*)$" or ""
    lines[#lines + 1] = ("  v%d = %s(%s) %s"):format(step.first, step.row.name,
      table.concat(inputs, ", "), rest)
  end
  return table.concat(lines, "\n")
end

--
-- A program as a function of its leaves
--

-- The inputs that a gradient is asked for, in the order of the program.
local function leaves_of(steps)
  local list = {}
  for _, step in ipairs(steps) do
    for i, input in ipairs(step.inputs) do
      if step.wanted[i] and not step.from[i] then list[#list + 1] = input end
    end
  end
  return list
end

-- The sum of all values times their weights, with leaf k moved by step times direction[k]; and
-- the leaves there.
local function evaluate(steps, weights, list, direction, step)
  local leaves, targets, values = {}, {}, {}
  for k, leaf in ipairs(list) do
    targets[k] = (leaf + direction[k] * step):requires_grad_()
    leaves[leaf] = targets[k]
  end
  for _, one in ipairs(steps) do run_step(one, leaves, values) end
  local sum = pl.zeros()
  for i, v in ipairs(values) do sum = sum + (v * weights[i]):sum() end
  return sum, targets
end

local function draw_direction(list)
  local direction, square = {}, 0
  for k, leaf in ipairs(list) do
    direction[k] = pl.randn(leaf:size())
    square = square + direction[k]:square():sum():item()
  end
  for k, d in ipairs(direction) do direction[k] = d / math.sqrt(square) end
  return direction
end

local function inner(grads, direction)
  local sum = pl.zeros()
  for k, d in ipairs(direction) do
    if grads[k] then sum = sum + (grads[k] * d):sum() end
  end
  return sum
end

local function gradient(sum, targets, options)
  return sum.requires_grad and pl.grad(sum, targets, options) or {}
end

-- What is wrong with the derivative of f at 0, or nil; and whether nothing can be said.
local function compare(what, derivative, f)
  for _, h in ipairs(STEPS) do
    local coarse, fine = (f(h) - f(-h)) / (2 * h), (f(h / 2) - f(-h / 2)) / h
    local scale = math.max(1, math.abs(derivative), math.abs(fine))
    if math.abs(coarse - fine) <= AGREE * scale then
      if math.abs(derivative - fine) <= LIMIT * scale then return end
      return ("%s order: %.12g, by differences %.12g"):format(what, derivative, fine)
    end
  end
  return nil, true
end

local function check(steps, weights)
  local list = leaves_of(steps)
  local u, d = draw_direction(list), draw_direction(list)
  local function along_u(step)
    local sum, targets = evaluate(steps, weights, list, d, step)
    return inner(gradient(sum, targets, {create_graph = true}), u), targets
  end

  local sum, targets = evaluate(steps, weights, list, d, 0)
  local derivative = inner(gradient(sum, targets), u):item()
  local first, again = along_u(0)
  if math.abs(derivative - first:item()) > 1e-9 * math.max(1, math.abs(derivative)) then
    return ("first order: %.12g, with a graph %.12g"):format(derivative, first:item())
  end
  local wrong, unclear = compare("first", derivative, function(step)
    return evaluate(steps, weights, list, u, step):item()
  end)
  if wrong or unclear then return wrong, unclear end
  return compare("second", inner(gradient(first, again), d):item(), function(step)
    return along_u(step):item()
  end)
end

-- The shortest program that begins as this one does and is wrong too.
local function shortest(steps, weights)
  for n = 1, #steps do
    local start = table.move(steps, 1, n, 1, {})
    local wrong = check(start, weights)
    if wrong then return start, wrong end
  end
end

return function(seed)
  math.randomseed(seed)
  local steps, weights = draw_program()
  return pl.tidy(function()
    local wrong, unclear = check(steps, weights)
    if not wrong then return nil, unclear end
    local start, message = shortest(steps, weights)
    return (message or wrong) .. "\n" .. describe(start or steps)
  end)
end
