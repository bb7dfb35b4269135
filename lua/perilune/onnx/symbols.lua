--- Which sizes of the inputs are free, and examples of several sizes (internal).
-- @module perilune.onnx.symbols

local pl = require "perilune"
local check = require "perilune.internal.check"
local shape_of = require("perilune.internal.words").shape

-- The dims of each input that have a name: list of {name =, place =, dim =}.
local function same_dim(tensors, dim)
  local list = {}
  for i, t in ipairs(tensors) do
    if t:dim() >= dim then list[#list + 1] = {name = "batch", place = i, dim = dim} end
  end
  return list
end

local function by_name(tensors, names, dynamic, complain)
  local list, places = {}, {}
  for i, name in ipairs(names) do places[name] = i end
  for name, dims in next, dynamic do
    local i = places[name]
    if not i then complain("dynamic: there is no input '%s'", tostring(name)) end
    if type(dims) ~= "table" then
      complain("dynamic: a list of names of the dims of '%s' expected, got %s", name,
               check.type(dims))
    end
    for d, symbol in next, dims do
      if math.type(d) ~= "integer" or d < 1 or d > tensors[i]:dim() then
        complain("dynamic: '%s' is %s; it has no dim %s", name, shape_of(tensors[i]), tostring(d))
      end
      if type(symbol) ~= "string" and symbol ~= false then
        complain("dynamic: dim %d of '%s': a name or false expected, got %s", d, name,
                 check.type(symbol))
      end
      if symbol then list[#list + 1] = {name = symbol, place = i, dim = d} end
    end
  end
  table.sort(list, function(a, b)
    return a.place < b.place or a.place == b.place and a.dim < b.dim
  end)
  return list
end

local function read(tensors, names, dynamic, complain)
  if dynamic == false then return {} end
  if dynamic == true then return same_dim(tensors, 1) end
  if math.type(dynamic) == "integer" and dynamic >= 1 then
    local places = same_dim(tensors, dynamic)
    if #places == 0 then complain("dynamic: no input has a dim %d", dynamic) end
    return places
  end
  if type(dynamic) == "table" and not check.is_tensor(dynamic) then
    return by_name(tensors, names, dynamic, complain)
  end
  complain("dynamic: true, false, a dim or a table expected, got %s", check.shown(dynamic))
end

-- The symbols, each with the first place where it stands.
local function symbols_of(tensors, names, places, complain)
  local list, by_symbol = {}, {}
  for _, p in ipairs(places) do
    local size = tensors[p.place]:size(p.dim)
    local symbol = by_symbol[p.name]
    if not symbol then
      symbol = {name = p.name, size = size, place = p.place, dim = p.dim}
      by_symbol[p.name], list[#list + 1] = symbol, symbol
    elseif symbol.size ~= size then
      complain("dynamic: %s is %d in '%s' and %d in '%s'", p.name, symbol.size,
               names[symbol.place], size, names[p.place])
    end
    if size == 0 then complain("input '%s' is empty", names[p.place]) end
  end
  return list
end

-- A tensor with its positions in a dim repeated, the last one first.
local function repeated(t, dim, times)
  local index, n = {}, t:size(dim)
  for i = 1, n * times do index[i] = n - (i - 1) % n end
  return t:index_select(pl.tensor(index, "int32"), dim)
end

-- The example, to which a network may do what it wants.
local function copied(tensors)
  local list = {}
  for i, t in ipairs(tensors) do list[i] = t:clone() end
  return list
end

-- The example with some symbols so many times as large.
local function scaled(tensors, places, times)
  local list = copied(tensors)
  for _, p in ipairs(places) do
    if times[p.name] then list[p.place] = repeated(list[p.place], p.dim, times[p.name]) end
  end
  return list
end

-- The example with all symbols three times as large, and other numbers in all inputs: what was made
-- of numbers outside of the graph is then another one.
local function last_one(tensors, places, times)
  local list, larger = scaled(tensors, places, times), {}
  for _, p in ipairs(places) do larger[p.place] = true end
  for i, t in ipairs(list) do
    if not larger[i] and t:dim() > 0 and t:numel() > 0 then list[i] = repeated(t, 1, 1) end
  end
  return list
end

--- The sizes that are free, and examples for them.
-- @param tensors the example's
-- @param names of the inputs
-- @param dynamic the option
-- @param complain function(text, ...)
-- @return list of {name =, size =, place =, dim =}
-- @return list of lists of tensors: as they came; for each symbol with its double
-- @return two lists of tensors with three times all symbols: with other numbers in the inputs that
--   are as large as before, and with the same ones, for ops that do not take any numbers
return function(tensors, names, dynamic, complain)
  local places = read(tensors, names, dynamic, complain)
  local symbols = symbols_of(tensors, names, places, complain)
  local examples, all = {copied(tensors)}, {}
  for _, symbol in ipairs(symbols) do
    examples[#examples + 1] = scaled(tensors, places, {[symbol.name] = 2})
    all[symbol.name] = 3
  end
  local last = {last_one(tensors, places, all), scaled(tensors, places, all)}
  return symbols, examples, last
end
