--- Parts of a set to train on and to test on (internal; use `perilune.data`).
--
-- Rows are dealt as lists: of all rows, or of those of each class, so that all parts get the same
-- shares of them. Rows of one group stay together.
-- @module perilune.data.split

local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"
local parts = require "perilune.data.parts"

local complain = require("perilune.internal.blame").complain
local split = {}

local OPTIONS <const> = {seed = option.absent, stratify = option.absent, group = option.absent}

--
-- Rows
--

--- The rows of each class (internal).
-- @param labels list of integers
-- @param order list of rows
-- @return for each label that occurs, ascending, the list of its rows, as ordered
function split.by_class(labels, order)
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
function split.deal(lists, count)
  local fold, turn = {}, 0
  for _, rows in ipairs(lists) do
    for _, row in ipairs(rows) do
      fold[row] = turn % count + 1
      turn = turn + 1
    end
  end
  return fold
end

-- The numbers from 1 to n, in a random order if there is a seed.
local function order_of(n, seed)
  return (seed and parts.permutation(n, seed) or core.arange(1, n, "int32")):totable()
end

-- The rows in order, in one list, or one for each class.
local function ordered_rows(who, list, o)
  local order = order_of(list.n, o.seed)
  if o.stratify == nil then return {order} end
  return split.by_class(entries.labels(who, "stratify", list, o.stratify), order)
end

-- The lists of rows of the groups, in the order of their first rows, or in a random one.
local function ordered_groups(who, list, o)
  local groups, of, ordered = {}, {}, {}
  for row, label in ipairs(entries.labels(who, "group", list, o.group)) do
    if not of[label] then
      of[label] = {}
      groups[#groups + 1] = of[label]
    end
    table.insert(of[label], row)
  end
  for i, place in ipairs(order_of(#groups, o.seed)) do ordered[i] = groups[place] end
  return ordered
end

local function read_options(who, given)
  local o = option.read(who, given, OPTIONS)
  if o.seed ~= nil then check.seed(who, o.seed) end
  return o
end

--
-- How many rows, or groups, each part gets
--

local function two_counts(first, n, what)
  local count = first
  if type(first) == "number" and first < 1 then count = math.floor(first * n + 0.5) end
  if math.type(count) ~= "integer" or count < 1 or count >= n then
    complain("split: %s of %d %s; 1 to %d, or a fraction, expected", tostring(first), n, what,
      n - 1)
  end
  return {count, n - count}
end

-- Numbers of rows from shares whose sum is 1: what is cut off after each is rounded.
local function from_fractions(shares, n)
  local counts, sum, taken = {}, 0, 0
  for i, share in ipairs(shares) do
    sum = sum + share
    local upto = i == #shares and n or math.floor(sum * n + 0.5)
    counts[i], taken = upto - taken, upto
  end
  return counts
end

local function sum_of(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return sum
end

local function many_counts(shares, n, what)
  check.list("split", "shares", shares, {integer = true, float = true})
  local sum, counts, text = sum_of(shares), shares, table.concat(shares, ", ")
  if #shares > 1 and math.abs(sum - 1) < 1e-6 then counts = from_fractions(shares, n) end
  if #shares < 2 or sum_of(counts) ~= n then
    complain("split: shares %s of %d %s; fractions whose sum is 1, or numbers whose sum is %d, "
      .. "expected", text, n, what, n)
  end
  local whole = {}
  for i, count in ipairs(counts) do
    whole[i] = math.tointeger(count)
    if not whole[i] or whole[i] < 1 then
      complain("split: shares %s of %d %s: part %d would have %s", text, n, what, i, count)
    end
  end
  return whole
end

local function counts_of(shares, n, what)
  if type(shares) == "table" then return many_counts(shares, n, what) end
  return two_counts(shares, n, what)
end

--
-- Splits
--

-- The first `count` of all n rows, each list giving its share; and lists of the rest.
local function take_share(lists, count, n)
  local taken, rest, seen = {}, {}, 0
  for i, rows in ipairs(lists) do
    seen = seen + #rows
    local own = (2 * seen * count + n) // (2 * n) - #taken
    table.move(rows, 1, own, #taken + 1, taken)
    rest[i] = table.move(rows, own + 1, #rows, 1, {})
  end
  return taken, rest
end

-- The rows of each part.
local function share_out(lists, counts, n)
  local chosen = {}
  for i, count in ipairs(counts) do
    chosen[i], lists = take_share(lists, count, n)
    n = n - count
  end
  return chosen
end

-- The rows of each part, where `counts` are those of groups; ascending.
local function share_out_groups(groups, counts)
  local chosen, at = {}, 0
  for i, count in ipairs(counts) do
    chosen[i] = {}
    for g = at + 1, at + count do
      table.move(groups[g], 1, #groups[g], #chosen[i] + 1, chosen[i])
    end
    table.sort(chosen[i])
    at = at + count
  end
  return chosen
end

-- The parts from the rows of each.
local function picked(set, list, chosen)
  local result = {}
  for i, rows in ipairs(chosen) do result[i] = parts.rows(set, list, rows) end
  return table.unpack(result)
end

local function slices(set, list, counts)
  local result, at = {}, 1
  for i, count in ipairs(counts) do
    result[i] = parts.slice(set, list, at, count)
    at = at + count
  end
  return table.unpack(result)
end

--- Cuts a set in two, or in as many parts as there are shares.
--
-- Without options the first rows are the first part, and nothing is copied.
--
--     local train, test = data.split({x, y}, 0.8, {seed = 1, stratify = 2})
--     local train, held_out, test = data.split(set, {0.8, 0.1, 0.1}, {seed = 1})
--     local train, test = data.split(scans, 0.8, {seed = 1, group = "patient"})
--
-- With `group` no group is in two parts, and shares and numbers count groups, not rows, as
-- scikit-learn's GroupShuffleSplit does; the rows of a part are in their old order.
-- @param set the set
-- @param first how many rows the first part gets, or the fraction of them; or a list for all parts,
--   of fractions whose sum is 1, or of numbers whose sum is that of the rows
-- @param options `seed`: choose them at random with this seed; `stratify`: the name or position of
--   labels, of each of which all parts get the same share, as near as numbers allow; `group`: the
--   name or position of labels of groups that stay together. `stratify` and `group` exclude each
--   other; each fold of `data.folds` with both is such a split
-- @return the first part
-- @return the rest, or the other parts
function split.split(set, first, options)
  local o, list = read_options("split", options), entries.read("split", set)
  if o.group ~= nil then
    if o.stratify ~= nil then
      complain "split: stratify and group exclude each other; data.folds takes both"
    end
    local groups = ordered_groups("split", list, o)
    return picked(set, list, share_out_groups(groups, counts_of(first, #groups, "groups")))
  end
  local counts = counts_of(first, list.n, "rows")
  if o.seed == nil and o.stratify == nil then return slices(set, list, counts) end
  return picked(set, list, share_out(ordered_rows("split", list, o), counts, list.n))
end

--
-- Folds of groups: the algorithm of scikit-learn's StratifiedGroupKFold. Groups, the most uneven
-- ones first, go where the shares of the classes differ least between the folds then. With one
-- class for all rows it is GroupKFold: the largest group first, to the smallest fold.
--

-- How many rows of each class a group has, and how uneven that is.
local function class_counts(rows, labels, classes)
  local counts, square = {rows = rows}, 0
  for c = 1, classes do counts[c] = 0 end
  for _, row in ipairs(rows) do counts[labels[row]] = counts[labels[row]] + 1 end
  for c = 1, classes do square = square + counts[c] ^ 2 end
  counts.spread = square * classes - (#rows) ^ 2
  return counts
end

-- The groups' counts, the most uneven and largest ones first, else as they were.
local function sorted_groups(groups, labels, classes)
  local list = {}
  for i, rows in ipairs(groups) do
    list[i] = class_counts(rows, labels, classes)
    list[i].place = i
  end
  table.sort(list, function(a, b)
    if a.spread ~= b.spread then return a.spread > b.spread end
    if #a.rows ~= #b.rows then return #a.rows > #b.rows end
    return a.place < b.place
  end)
  return list
end

-- The sum over the classes of the standard deviation between folds of the shares of a class that
-- the folds have, if fold i gets a group.
local function unevenness(folds, i, group, totals)
  local sum = 0
  for c, total in ipairs(totals) do
    local mean, square = 0, 0
    for j, fold in ipairs(folds) do
      local share = (fold[c] + (i == j and group[c] or 0)) / total
      mean, square = mean + share / #folds, square + share * share / #folds
    end
    sum = sum + math.sqrt(math.max(square - mean * mean, 0))
  end
  return sum
end

local function best_fold(folds, group, totals)
  local best, least
  for i, fold in ipairs(folds) do
    local value = unevenness(folds, i, group, totals)
    if not best or value < least - 1e-9 or value < least + 1e-9 and fold.n < folds[best].n then
      best, least = i, value
    end
  end
  return best
end

-- Labels as numbers of classes from 1, and how many rows each class has; all rows are of one class
-- if no labels are named.
local function numbered_labels(list, o)
  local order, labels, totals = order_of(list.n), {}, {}
  local classes = {order}
  if o.stratify ~= nil then
    classes = split.by_class(entries.labels("folds", "stratify", list, o.stratify), order)
  end
  for c, rows in ipairs(classes) do
    totals[c] = #rows
    for _, row in ipairs(rows) do labels[row] = c end
  end
  return labels, totals
end

-- The number of each row's fold.
local function deal_groups(list, groups, count, o)
  local labels, totals = numbered_labels(list, o)
  local folds, fold_of = {}, {}
  for i = 1, count do
    folds[i] = {n = 0}
    for c = 1, #totals do folds[i][c] = 0 end
  end
  for _, group in ipairs(sorted_groups(groups, labels, #totals)) do
    local best = best_fold(folds, group, totals)
    local fold = folds[best]
    for c = 1, #totals do fold[c] = fold[c] + group[c] end
    fold.n = fold.n + #group.rows
    for _, row in ipairs(group.rows) do fold_of[row] = best end
  end
  return fold_of
end

--
-- Folds
--

local function check_folds(count, n, what)
  if count < 2 or count > n then
    complain("folds: %d folds of %d %s; 2 to %d expected", count, n, what, n)
  end
end

-- The number of each row's fold.
local function fold_numbers(list, count, o)
  if o.group == nil then
    check_folds(count, list.n, "rows")
    return split.deal(ordered_rows("folds", list, o), count)
  end
  local groups = ordered_groups("folds", list, o)
  check_folds(count, #groups, "groups")
  return deal_groups(list, groups, count, o)
end

--- Folds for cross-validation: each row is in the second set once.
--
--     for train, test in data.folds(set, 5, {seed = 1}) do ... end
--
-- With `group` no group is in two folds. The folds then get as many rows each as the groups allow,
-- and with `stratify` the same shares of the classes (scikit-learn's GroupKFold and
-- StratifiedGroupKFold); the seed decides between groups that are alike.
-- @param set the set
-- @param count how many folds
-- @param options `seed`: deal the rows at random with this seed, else in turn; `stratify`: the name
--   or position of labels, of each of which every fold gets as many, within one; `group`: the name
--   or position of labels of groups that stay together
-- @return iterator over the rows of all other folds and those of a fold, ascending, copied
function split.folds(set, count, options)
  local o, list = read_options("folds", options), entries.read("folds", set)
  count = check.count("folds", "count", count)
  local fold, i = fold_numbers(list, count, o), 0
  return function()
    i = i + 1
    if i > count then return nil end
    local others, own = {}, {}
    for row, number in ipairs(fold) do
      local into = number == i and own or others
      into[#into + 1] = row
    end
    return picked(set, list, {others, own})
  end
end

return split
