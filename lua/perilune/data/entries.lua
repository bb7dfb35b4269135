--- The entries of a set (internal).
--
-- A set is a table of entries with equally many rows, by position, `{x, y}`, or by name,
-- `{inputs = x, targets = y}`; what stands beside them, such as `classes`, describes it. An entry
-- is a tensor, whose rows lie along its first dim, or a source: an object that has rows and makes
-- tensors of some of them when a batch asks for them. A source's metatable has `__rows = true`, and
--
--     #source                     how many rows
--     source:index_select(rows)   a source of these rows (int32 [n]) alone; nothing is read
--     source:batch(rows, o)       what a batch of these rows has: a tensor, whose first size is how
--                                 many they are, and of some sources a second one, the lengths of
--                                 the rows, which is `KEY_lengths` in a batch by name; `o` are the
--                                 options of `data.batches`
--     source:concat(others)       a source of its rows and those of a list of others; not needed
--     source:describe()           what it is, for messages: "files[1000]"
-- @module perilune.data.entries

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local core = require "perilune.core"

local entries = {}

--- Whether a value is a source.
-- @param value anything
-- @return boolean
function entries.is_source(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__rows") == true
end

local function has_rows(value)
  return check.is_tensor(value) or entries.is_source(value)
end

--- A tensor or a source in a message: uint8[60000,28,28].
-- @param value tensor or source
-- @return string
function entries.describe(value)
  if not check.is_tensor(value) then return value:describe() end
  return ("%s[%s]"):format(value:dtype(), table.concat(value:size(), ","))
end

--- Some rows of an entry.
-- @param value tensor or source
-- @param rows int32 tensor
-- @return the same kind of value
function entries.select(value, rows)
  if check.is_tensor(value) then return core.index_select(value, rows, 1) end
  return value:index_select(rows)
end

--- Some neighbouring rows of an entry; those of a tensor share its memory.
-- @param value tensor or source
-- @param first row
-- @param count how many
-- @return the same kind of value
function entries.slice(value, first, count)
  if check.is_tensor(value) then return value:slice(1, first, count) end
  return value:index_select(core.arange(first, first + count - 1, "int32"))
end

--- One row of an entry, copied.
-- @param value tensor or source
-- @param row its number
-- @return a number of a tensor [n], else a tensor
function entries.row(value, row)
  return (entries.batch(value, core.tensor({row}, "int32"), {}))[1]
end

--- What a batch has of an entry.
-- @param value tensor or source
-- @param rows int32 tensor
-- @param o options of `data.batches`
-- @return a tensor of these rows
-- @return their lengths, or nil
function entries.batch(value, rows, o)
  if check.is_tensor(value) then return core.index_select(value, rows, 1) end
  return value:batch(rows, o)
end

-- The keys of the entries, by position or by name.
local function keys_of(who, set)
  local positions, names = {}, {}
  for key, value in next, set do
    if math.type(key) == "integer" then
      if not has_rows(value) then
        complain("%s: entry %d of the set is a %s; tensor expected", who, key, check.type(value))
      end
      positions[#positions + 1] = key
    elseif has_rows(value) then
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
    if check.is_tensor(entry.value) and entry.value:dim() == 0 then
      complain("%s: entry '%s' of the set is %s, which has no rows", who, entry.key,
        entries.describe(entry.value))
    elseif #entry.value ~= #first.value then
      complain("%s: entry '%s' of the set is %s, but '%s' is %s; equal first sizes expected", who,
        entry.key, entries.describe(entry.value), first.key, entries.describe(first.value))
    end
  end
end

--- The entries of a set, or a complaint about what keeps it from being one.
-- @param who the function's name
-- @param set anything
-- @return list of {key = , value = }, in order of position or name, with the fields `n`, how many
--   rows each has, and `positional`
function entries.read(who, set)
  if check.is_tensor(set) then
    complain("%s: set of tensors expected, got a tensor; {x} is a set with x alone", who)
  elseif entries.is_source(set) then
    complain("%s: set of tensors expected, got %s; {x} is a set with x alone", who,
      entries.describe(set))
  elseif type(set) ~= "table" or getmetatable(set) ~= nil then
    complain("%s: set of tensors expected, got %s", who,
      type(set) == "table" and "an object" or type(set))
  end
  local keys, positional = keys_of(who, set)
  if #keys == 0 then complain("%s: set of tensors expected, got a table without any", who) end
  local list = {positional = positional}
  for i, key in ipairs(keys) do list[i] = {key = key, value = set[key]} end
  need_rows(who, list)
  list.n = #list[1].value
  return list
end

--- The labels that an option names.
-- @param who the function's name
-- @param what the option's name
-- @param list what `read` gave
-- @param key of the entry
-- @return list of integers, one for each row
function entries.labels(who, what, list, key)
  for _, entry in ipairs(list) do
    local t = entry.value
    if entry.key == key then
      if check.is_tensor(t) and t:dtype() ~= "real" and t:dim() == 1 then return t:totable() end
      complain("%s: %s: '%s' is %s; labels, int32 or uint8 [n], expected", who, what, key,
        entries.describe(t))
    end
  end
  complain("%s: %s: the set has no entry '%s'", who, what, tostring(key))
end

--- Whether it is a set of images with labels and nothing else, whose batches are x and y.
-- @param list what `read` gave
-- @return boolean
function entries.are_images(list)
  return #list == 2 and list[1].key == "images" and list[2].key == "labels"
end

--- The same set with other entries.
-- @param set the set
-- @param list what `read` gave for it
-- @param f function of a tensor or source that gives the one in its place
-- @return a new set
function entries.map(set, list, f)
  local part = {}
  for name, value in next, set do part[name] = value end
  for _, entry in ipairs(list) do part[entry.key] = f(entry.value) end
  return part
end

return entries
