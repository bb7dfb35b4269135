--- Parts of a set (internal; use `perilune.data`).
-- @module perilune.data.parts

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"

local complain, blaming = blame.complain, blame.blaming
local parts = {}

--- A random order of 1..n that depends on the seed alone.
-- @param n how many
-- @param seed an integer
-- @return an int32 tensor [n]
function parts.permutation(n, seed)
  n = check.natural("permutation", "n", n)
  check.seed("permutation", seed)
  local state = core.random_state()
  core.manual_seed(seed)
  local order = core.randperm(n)
  core.set_random_state(state)
  return order
end

--- Whether a tensor is an order of 1..n (internal).
-- @param order tensor
-- @param n how many
-- @return boolean
function parts.is_order(order, n)
  if order:dtype() ~= "int32" or order:dim() ~= 1 or #order ~= n then return false end
  local seen = {}
  for _, row in ipairs(order:totable()) do
    if row < 1 or row > n or seen[row] then return false end
    seen[row] = true
  end
  return true
end

--- How many rows a set has: the first size of its tensors.
-- @param set the set
-- @return a whole number
function parts.count(set)
  return entries.read("count", set).n
end

local function rows_of(set, list, rows)
  return entries.map(set, list, function(value) return entries.select(value, rows) end)
end

-- Some neighbouring rows, which share the memory of the set.
local function slice_of(set, list, from, count)
  return entries.map(set, list, function(value) return entries.slice(value, from, count) end)
end

--- Some rows of a set, copied.
-- @param set the set
-- @param rows an int32 tensor or a list of row numbers
-- @return the smaller set
function parts.subset(set, rows)
  local list = entries.read("subset", set)
  if type(rows) == "table" then rows = blaming(core.tensor, rows, "int32") end
  return blaming(rows_of, set, list, rows)
end

--- The first rows of a set; nothing is copied.
-- @param set the set
-- @param n how many
-- @return the smaller set
function parts.take(set, n)
  local list = entries.read("take", set)
  local count = check.natural("take", "n", n)
  if count > list.n then complain("take: %d of %d rows", count, list.n) end
  return slice_of(set, list, 1, count)
end

--- The rows of a set in a random order, copied.
-- @param set the set
-- @param[opt] seed an integer, on which alone the order depends; without it the common stream of
--   random numbers is used
-- @return the set
function parts.shuffle(set, seed)
  local list = entries.read("shuffle", set)
  if seed ~= nil then check.seed("shuffle", seed) end
  return rows_of(set, list, seed and parts.permutation(list.n, seed) or core.randperm(list.n))
end

--
-- Parts with equal shares of the classes
--

--- The rows of each class (internal).
-- @param labels list of integers
-- @param order list of rows
-- @return for each label that occurs, ascending, the list of its rows, as ordered
function parts.by_class(labels, order)
  local rows, known = {}, {}
  for _, row in ipairs(order) do
    local label = labels[row]
    if not rows[label] then
      rows[label] = {}
      known[#known + 1] = label
    end
    table.insert(rows[label], row)
  end
  table.sort(known)
  for i, label in ipairs(known) do known[i] = rows[label] end
  return known
end

--- Deals rows into folds, in turn; the turn goes on from list to list, which evens them out
-- (internal).
-- @param lists of rows
-- @param count how many folds
-- @return the number of each row's fold
function parts.deal(lists, count)
  local fold, turn = {}, 0
  for _, rows in ipairs(lists) do
    for _, row in ipairs(rows) do
      fold[row] = turn % count + 1
      turn = turn + 1
    end
  end
  return fold
end

-- The labels that `stratify` names, as a list.
local function labels_of(who, list, key)
  for _, entry in ipairs(list) do
    if entry.key == key then
      local t = entry.value
      if not check.is_tensor(t) or t:dtype() == "real" or t:dim() ~= 1 then
        complain("%s: stratify: '%s' is %s; labels, int32 or uint8 [n], expected", who, key,
          entries.describe(t))
      end
      return t:totable()
    end
  end
  complain("%s: stratify: the set has no entry '%s'", who, tostring(key))
end

-- The rows in order, in one list, or one for each class.
local function ordered_rows(who, list, o)
  if o.seed ~= nil then check.seed(who, o.seed) end
  local order = o.seed and parts.permutation(list.n, o.seed) or core.arange(1, list.n, "int32")
  if o.stratify == nil then return {order:totable()} end
  return parts.by_class(labels_of(who, list, o.stratify), order:totable())
end

-- The first `count` of all rows, each list giving its share; and the rest.
local function share_out(lists, count, n)
  local first, rest, seen = {}, {}, 0
  for _, rows in ipairs(lists) do
    seen = seen + #rows
    local taken = (2 * seen * count + n) // (2 * n) - #first
    table.move(rows, 1, taken, #first + 1, first)
    table.move(rows, taken + 1, #rows, #rest + 1, rest)
  end
  return first, rest
end

local function picked(set, list, rows)
  return rows_of(set, list, core.tensor(rows, "int32"))
end

--- Cuts a set in two.
--
-- Without options the first rows are the first part, and nothing is copied.
--
--     local train, test = data.split({x, y}, 0.8, {seed = 1, stratify = 2})
-- @param set the set
-- @param first how many rows the first part gets, or the fraction of them
-- @param options `seed`: choose them at random with this seed; `stratify`: the name or position of
--   labels, of each of which the first part gets the same share, as near as numbers allow
-- @return the first part
-- @return the rest
function parts.split(set, first, options)
  local o = option.read("split", options, {seed = option.absent, stratify = option.absent})
  local list = entries.read("split", set)
  local n, count = list.n, first
  if type(first) == "number" and first < 1 then count = math.floor(first * n + 0.5) end
  if math.type(count) ~= "integer" or count < 1 or count >= n then
    complain("split: %s of %d rows; 1 to %d, or a fraction, expected", tostring(first), n, n - 1)
  end
  if o.seed == nil and o.stratify == nil then
    return slice_of(set, list, 1, count), slice_of(set, list, count + 1, n - count)
  end
  local chosen, rest = share_out(ordered_rows("split", list, o), count, n)
  return picked(set, list, chosen), picked(set, list, rest)
end

--- Folds for cross-validation: each row is in the second set once.
--
--     for train, test in data.folds(set, 5, {seed = 1}) do ... end
-- @param set the set
-- @param count how many folds
-- @param options `seed`: deal the rows at random with this seed, else in turn; `stratify`: the name
--   or position of labels, of each of which every fold gets as many, within one
-- @return iterator over the rows of all other folds and those of a fold, ascending, copied
function parts.folds(set, count, options)
  local o = option.read("folds", options, {seed = option.absent, stratify = option.absent})
  local list = entries.read("folds", set)
  count = check.count("folds", "count", count)
  if count < 2 or count > list.n then
    complain("folds: %d folds of %d rows; 2 to %d expected", count, list.n, list.n)
  end
  local fold, i = parts.deal(ordered_rows("folds", list, o), count), 0
  return function()
    i = i + 1
    if i > count then return nil end
    local others, own = {}, {}
    for row, number in ipairs(fold) do
      local into = number == i and own or others
      into[#into + 1] = row
    end
    return picked(set, list, others), picked(set, list, own)
  end
end

return parts
