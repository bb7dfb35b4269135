--- The tensors of a set (internal).
--
-- A set is a table of tensors with equal first size, by position, `{x, y}`, or by name,
-- `{inputs = x, targets = y}`; what stands beside them, such as `classes`, describes it.
-- @module perilune.data.entries

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"

local entries = {}

--- A tensor in a message: uint8[60000,28,28].
-- @param t tensor
-- @return string
function entries.describe(t)
  return ("%s[%s]"):format(t:dtype(), table.concat(t:size(), ","))
end

-- The keys of the tensors, by position or by name.
local function keys_of(who, set)
  local positions, names = {}, {}
  for key, value in next, set do
    if math.type(key) == "integer" then
      if not check.is_tensor(value) then
        complain("%s: entry %d of the set is a %s; tensor expected", who, key, check.type(value))
      end
      positions[#positions + 1] = key
    elseif check.is_tensor(value) then
      names[#names + 1] = key
    end
  end
  if #positions > 0 and #names > 0 then
    complain("%s: the set has tensors by position and by name, '%s'; one way expected", who,
      tostring(names[1]))
  end
  table.sort(positions)
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(positions) do
    if key ~= i then complain("%s: the set has an entry %d, but none %d", who, key, i) end
  end
  return #positions > 0 and positions or names, #positions > 0
end

local function need_rows(who, list)
  local first = list[1]
  for _, entry in ipairs(list) do
    if entry.tensor:dim() == 0 then
      complain("%s: entry '%s' of the set is %s, which has no rows", who, entry.key,
        entries.describe(entry.tensor))
    elseif #entry.tensor ~= #first.tensor then
      complain("%s: entry '%s' of the set is %s, but '%s' is %s; equal first sizes expected", who,
        entry.key, entries.describe(entry.tensor), first.key, entries.describe(first.tensor))
    end
  end
end

--- The entries of a set, or a complaint about what keeps it from being one.
-- @param who the function's name
-- @param set anything
-- @return list of {key = , tensor = }, in order of position or name, with the fields `n`, how many
--   rows each has, and `positional`
function entries.read(who, set)
  if check.is_tensor(set) then
    complain("%s: set of tensors expected, got a tensor; {x} is a set with x alone", who)
  elseif type(set) ~= "table" or getmetatable(set) ~= nil then
    complain("%s: set of tensors expected, got %s", who,
      type(set) == "table" and "an object" or type(set))
  end
  local keys, positional = keys_of(who, set)
  if #keys == 0 then complain("%s: set of tensors expected, got a table without any", who) end
  local list = {positional = positional}
  for i, key in ipairs(keys) do list[i] = {key = key, tensor = set[key]} end
  need_rows(who, list)
  list.n = #list[1].tensor
  return list
end

--- Whether it is a set of images with labels and nothing else, whose batches are x and y.
-- @param list what `read` gave
-- @return boolean
function entries.are_images(list)
  return #list == 2 and list[1].key == "images" and list[2].key == "labels"
end

--- The same set with other tensors.
-- @param set the set
-- @param list what `read` gave for it
-- @param f function of a tensor that gives the one in its place
-- @return a new set
function entries.map(set, list, f)
  local part = {}
  for name, value in next, set do part[name] = value end
  for _, entry in ipairs(list) do part[entry.key] = f(entry.tensor) end
  return part
end

return entries
