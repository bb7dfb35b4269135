--- Einstein summation: products and sums of tensors, said by letters.
-- @module perilune.einsum

local pl = require "perilune"
local check = require "perilune.internal.check"
local complain = require("perilune.internal.blame").complain

local module = {}

--
-- The equation: each subscript a list of labels, "..." standing for as many as the operand has
--

local function letters(text)
  local list <const> = {}
  for word in text:gsub("%.%.%.", "*"):gmatch "." do
    if not word:find "[%a*]" then complain("einsum: '%s' is not a letter", word) end
    list[#list + 1] = word
  end
  return list
end

local function split_equation(equation)
  local left, right = equation:gsub("%s", ""), nil
  local arrow = left:find("->", 1, true)
  if arrow then left, right = left:sub(1, arrow - 1), letters(left:sub(arrow + 2)) end
  local inputs <const> = {}
  for text in (left .. ","):gmatch "([^,]*)," do inputs[#inputs + 1] = letters(text) end
  return inputs, right
end

local function contains(list, label)
  for _, l in ipairs(list) do
    if l == label then return true end
  end
  return false
end

-- With "*" as n labels "*n" ... "*1", which count from the last, as dims broadcast.
local function spelt_out(list, n)
  local result <const> = {}
  for _, label in ipairs(list) do
    if label ~= "*" then
      result[#result + 1] = label
    else
      for k = n, 1, -1 do result[#result + 1] = "*" .. k end
    end
  end
  return result
end

-- Without an arrow: what "..." stood for, then the letters that occur once, in order.
local function implied(inputs)
  local times <const>, once <const> = {}, {}
  for _, list in ipairs(inputs) do
    for _, label in ipairs(list) do times[label] = (times[label] or 0) + 1 end
  end
  for label, n in next, times do
    if n == 1 and label ~= "*" then once[#once + 1] = label end
  end
  table.sort(once)
  if times["*"] then table.insert(once, 1, "*") end
  return once
end

--
-- Operands: {tensor =, labels =}
--

local function position(labels, label)
  for d, l in ipairs(labels) do
    if l == label then return d end
  end
end

-- In the order of `labels`, which may leave none out.
local function permuted(operand, labels)
  local dims <const> = {}
  for d, label in ipairs(labels) do dims[d] = position(operand.labels, label) end
  return #dims > 1 and operand.tensor:permute(dims) or operand.tensor
end

-- Of two dims of one label the diagonal: brought to the end, every (n + 1)-th element of n * n.
local function without_repeats(operand)
  local seen <const> = {}
  for d, label in ipairs(operand.labels) do
    if seen[label] then
      local t, n = operand.tensor, operand.tensor:size(d)
      if t:size(seen[label]) ~= n then
        complain("einsum: '%s' is %d and %d", label, t:size(seen[label]), n)
      end
      local rest <const>, dims <const>, size <const> = {}, {}, {}
      for k, l in ipairs(operand.labels) do
        if l ~= label or (k ~= d and k ~= seen[label]) then
          rest[#rest + 1], dims[#dims + 1], size[#size + 1] = l, k, t:size(k)
        end
      end
      dims[#dims + 1], dims[#dims + 2], size[#size + 1] = seen[label], d, n * n
      rest[#rest + 1] = label
      t = t:permute(dims):reshape(size):slice(-1, 1, n, n + 1)
      return without_repeats {tensor = t, labels = rest}
    end
    seen[label] = d
  end
  return operand
end

local function read_operand(labels, t, index)
  check.tensor("einsum", t)
  if t:dtype() ~= "real" then
    complain("einsum: operand %d is %s; real tensors expected", index, t:dtype())
  end
  local n = t:dim() - #labels
  if contains(labels, "*") then n = n + 1 else n = n == 0 and 0 or -1 end
  if n < 0 then
    complain("einsum: operand %d has %d dims, its subscripts name %d", index, t:dim(),
             #labels - (contains(labels, "*") and 1 or 0))
  end
  return without_repeats {tensor = t, labels = spelt_out(labels, n)}, n
end

-- The size of each label; a dim of size 1 broadcasts.
local function sizes_of(operands)
  local sizes <const> = {}
  for _, o in ipairs(operands) do
    for d, label in ipairs(o.labels) do
      local n <const>, was <const> = o.tensor:size(d), sizes[label] or 1
      if n ~= was and n ~= 1 and was ~= 1 then
        complain("einsum: '%s' is %d and %d", label, was, n)
      end
      sizes[label] = was == 1 and n or was
    end
  end
  return sizes
end

local function expanded(operand, sizes)
  local size <const> = {}
  for d, label in ipairs(operand.labels) do size[d] = sizes[label] end
  if #size == 0 then return operand end
  return {tensor = operand.tensor:expand(size), labels = operand.labels}
end

local function summed(operand, needed)
  local dims <const>, kept <const> = {}, {}
  for d, label in ipairs(operand.labels) do
    if needed[label] then kept[#kept + 1] = label else dims[#dims + 1] = d end
  end
  if #dims == 0 then return operand end
  return {tensor = operand.tensor:sum(dims), labels = kept}
end

local function set(...)
  local result <const> = {}
  for _, list in ipairs {...} do
    for _, label in ipairs(list) do result[label] = true end
  end
  return result
end

local function joined(...)
  local result <const> = {}
  for _, list in ipairs {...} do table.move(list, 1, #list, #result + 1, result) end
  return result
end

local function count(labels, sizes)
  local n = 1
  for _, label in ipairs(labels) do n = n * sizes[label] end
  return n
end

-- The product of two operands, summed over what both have and nobody needs: as stacks of matrices
-- [batch, rows, inner] and [batch, inner, columns].
local function multiplied(a, b, needed, sizes)
  local in_a <const>, in_b <const> = set(a.labels), set(b.labels)
  a, b = summed(a, set(b.labels, needed)), summed(b, set(a.labels, needed))
  local wanted <const>, batch <const>, inner <const>, rows <const>, columns <const> =
    set(needed), {}, {}, {}, {}
  for _, label in ipairs(a.labels) do
    local list = not in_b[label] and rows or wanted[label] and batch or inner
    list[#list + 1] = label
  end
  for _, label in ipairs(b.labels) do
    if not in_a[label] then columns[#columns + 1] = label end
  end
  local s <const>, m <const> = count(batch, sizes), count(rows, sizes)
  local k <const>, n <const> = count(inner, sizes), count(columns, sizes)
  local x = permuted(a, joined(batch, rows, inner)):reshape(s, m, k)
  local y = permuted(b, joined(batch, inner, columns)):reshape(s, k, n)
  local labels <const>, size <const> = joined(batch, rows, columns), {}
  for d, label in ipairs(labels) do size[d] = sizes[label] end
  return {tensor = pl.bmm(x, y):reshape(size), labels = labels}
end

-- The labels that the operands from index i on, or the result, have.
local function needed_from(operands, i, result)
  local lists <const> = {result}
  for k = i, #operands do lists[#lists + 1] = operands[k].labels end
  return joined(table.unpack(lists))
end

local function check_result(result, sizes)
  for d, label in ipairs(result) do
    if not sizes[label] then complain("einsum: '%s' is in the result, but in no operand", label) end
    if position(result, label) < d then complain("einsum: '%s' is twice in the result", label) end
  end
end

--- Products of tensors, summed over what the result does not name (Einstein's convention). Each
-- operand has a letter for each dim; equal letters are one index, twice in one operand its
-- diagonal; `...` stands for dims that have no letter, which broadcast. Without an arrow the result
-- has the letters that occur once, in alphabetical order.
-- @param equation such as "ij,jk->ik"
-- @param ... tensors, as many as the equation has operands
-- @return tensor
-- @usage pl.einsum("bij,bjk->bik", a, b) -- as bmm
function module.einsum(equation, ...)
  if type(equation) ~= "string" then
    complain("einsum: equation expected, got %s", check.type(equation))
  end
  local inputs, result = split_equation(equation)
  local tensors <const>, operands <const> = {...}, {}
  if #tensors ~= #inputs then
    complain("einsum: %d tensors for %d operands", #tensors, #inputs)
  end
  result = result or implied(inputs)
  local most = 0
  for i, labels in ipairs(inputs) do
    local n
    operands[i], n = read_operand(labels, tensors[i], i)
    most = math.max(most, n)
  end
  result = spelt_out(result, most)
  local sizes <const> = sizes_of(operands)
  check_result(result, sizes)
  for i, o in ipairs(operands) do operands[i] = expanded(o, sizes) end
  local y = operands[1]
  for i = 2, #operands do
    y = multiplied(y, operands[i], needed_from(operands, i + 1, result), sizes)
  end
  y = summed(y, set(result))
  return permuted(y, result)
end

return module
