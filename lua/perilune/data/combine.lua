--- Sets made of sets: joined, computed, with classes that are equally often (internal; use
-- `perilune.data`).
-- @module perilune.data.combine

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"
local parts = require "perilune.data.parts"
local split = require "perilune.data.split"

local complain, blaming = blame.complain, blame.blaming
local combine = {}

--
-- Joining
--

-- What rows of an entry must have in common: "int32[*,3]".
local function kind_of(value)
  return (entries.describe(value):gsub("%[%d+", "[*", 1))
end

local function keys_of(list)
  local keys = {}
  for i, entry in ipairs(list) do keys[i] = tostring(entry.key) end
  return table.concat(keys, ", ")
end

local function check_fit(who, i, list, first)
  if keys_of(list) ~= keys_of(first) then
    complain("%s: set %d has the entries %s, but set 1 has %s", who, i, keys_of(list),
      keys_of(first))
  end
  for j, entry in ipairs(list) do
    if kind_of(entry.value) ~= kind_of(first[j].value) then
      complain("%s: entry '%s' of set %d is %s, but that of set 1 is %s", who, entry.key, i,
        entries.describe(entry.value), entries.describe(first[j].value))
    end
  end
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in next, a do
    if not same(value, b[key]) then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

-- The values of one entry in all sets as one.
local function joined(who, values)
  local first = values[1]
  if check.is_tensor(first) then return core.cat(values, 1) end
  if not first.concat then complain("%s: %s cannot be joined", who, first:describe()) end
  return first:concat(table.move(values, 2, #values, 1, {}))
end

-- Joins sets whose entries fit; of what describes them it keeps what they agree in.
local function join(who, sets)
  local lists, result = {}, {}
  for i, set in ipairs(sets) do
    lists[i] = entries.read(who, set)
    check_fit(who, i, lists[i], lists[1])
  end
  for key, value in next, sets[1] do
    local agreed = true
    for _, set in ipairs(sets) do agreed = agreed and same(value, set[key]) end
    if agreed then result[key] = value end
  end
  for j, entry in ipairs(lists[1]) do
    local values = {}
    for i, list in ipairs(lists) do values[i] = list[j].value end
    result[entry.key] = blaming(joined, who, values)
  end
  return result
end

--- One set of the rows of several, those of the first set first.
--
-- The sets must have the same entries, with rows of the same dtype and shape, and the same
-- `classes`, if they have any. Of the other fields those stay in which all agree.
-- @param ... the sets
-- @return the set
function combine.concat(...)
  local sets = {...}
  if #sets == 0 then complain "concat: at least one set expected" end
  for i, set in ipairs(sets) do
    entries.read("concat", set)
    if not same(set.classes, sets[1].classes) then
      complain("concat: set %d has other classes than set 1", i)
    end
  end
  return join("concat", sets)
end

--
-- Computing
--

-- What the function makes of some rows, as a set.
local function mapped(f, set, list, rows)
  if list.positional then
    local values = {}
    for _, entry in ipairs(list) do
      local value, lengths = entries.batch(entry.value, rows, {})
      values[#values + 1] = value
      values[#values + 1] = lengths
    end
    return {f(table.unpack(values))}
  end
  local part = {}
  for name, value in next, set do part[name] = value end
  for _, entry in ipairs(list) do
    local value, lengths = entries.batch(entry.value, rows, {})
    part[entry.key] = value
    if lengths then part[entry.key .. "_lengths"] = lengths end
  end
  return f(part)
end

local function check_mapped(part, rows)
  if type(part) ~= "table" or next(part) == nil then
    complain("map: the function gave %s; as many rows as it got expected",
      type(part) == "table" and "nothing" or check.shown(part))
  end
  local n = entries.read("map: what the function gave", part).n
  if n ~= rows then complain("map: the function made %d rows of %d", n, rows) end
  return part
end

--- A set that a function computes of another, some rows at a time: features by a network, larger
-- images, what a source reads.
--
--     local features = data.map({images, labels}, function(x, y) return net(x), y end)
--     local small = data.map(set, function(part)
--       part.images = shrunk(part.images)
--       return part
--     end)
--
-- Of a set by position the function gets the tensors, and gives those of the new one; of a set by
-- name it gets and gives a table, with the fields that describe the set. No gradients are recorded.
-- @param set the set
-- @param f function that gives as many rows as it gets
-- @param options `batch_size` (1000): how many rows at a time
-- @return the new set
function combine.map(set, f, options)
  local list = entries.read("map", set)
  if type(f) ~= "function" and type(f) ~= "table" then
    complain("map: function expected, got %s", check.type(f))
  end
  local o = option.read("map", options, {batch_size = 1000})
  local size, pieces = check.count("map", "batch_size", o.batch_size), {}
  for first = 1, list.n, size do
    local rows = core.arange(first, math.min(first + size - 1, list.n), "int32")
    pieces[#pieces + 1] = core.tidy(core.no_grad, function()
      return check_mapped(mapped(f, set, list, rows), #rows)
    end)
  end
  return join("map", pieces)
end

--
-- Balancing
--

-- Some of a list of rows, drawn without replacement; with more than there are, all of them again
-- and again first.
local function drawn(rows, count)
  local chosen = {}
  for _ = 1, count // #rows do table.move(rows, 1, #rows, #chosen + 1, chosen) end
  for _, i in ipairs(core.randperm(#rows):slice(1, 1, count % #rows):totable()) do
    chosen[#chosen + 1] = rows[i]
  end
  return chosen
end

local function balanced_rows(classes, count)
  local all = {}
  for _, rows in ipairs(classes) do
    local chosen = drawn(rows, count)
    table.move(chosen, 1, #chosen, #all + 1, all)
  end
  table.sort(all)
  return all
end

--- A set in which all classes are equally often, its rows in their old order.
--
-- With `how = "over"` rows of the rarer classes are there several times, each as often as the
-- others of its class, or once more; with `how = "under"` rows of the more frequent ones are left
-- out. `weights` of `data.batches` draw them anew in each pass, and copy nothing.
-- @param set the set
-- @param key the name or position of the labels
-- @param options `how`, "over" (the default) or "under"; `seed`: an integer, on which alone the
--   choice depends, else it comes from the common stream of random numbers
-- @return the set
function combine.balance(set, key, options)
  local o = option.read("balance", options, {how = "over", seed = option.absent})
  local list = entries.read("balance", set)
  if o.how ~= "over" and o.how ~= "under" then
    complain("balance: how: 'over' or 'under' expected, got %s", check.shown(o.how))
  end
  if o.seed ~= nil then check.seed("balance", o.seed) end
  local order = core.arange(1, list.n, "int32"):totable()
  local classes = split.by_class(entries.labels("balance", "key", list, key), order)
  local count = #classes[1]
  for _, rows in ipairs(classes) do
    count = (o.how == "over" and math.max or math.min)(count, #rows)
  end
  return parts.rows(set, list, parts.seeded(o.seed, balanced_rows, classes, count))
end

return combine
