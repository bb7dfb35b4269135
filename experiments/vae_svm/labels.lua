--- Class-balanced draws of labelled images from a training set.

local pl = require "perilune"
local data, experiment = pl.data, pl.experiment

local labels = {}

-- 1,000 labels to choose options with, drawn with a seed of their own; nothing else uses them.
local RESERVED <const>, RESERVED_SEED <const> = 1000, 20140620

-- The rows of each class, in the random order that the seed gives.
local function shuffled_classes(set, seed)
  local classes, of = {}, set.labels:totable()
  for class = 1, #set.classes do classes[class] = {} end
  for _, row in ipairs(data.permutation(#of, seed):totable()) do
    table.insert(classes[of[row]], row)
  end
  return classes
end

-- n rows, as many of each class: the first that are not in `without`, a table by row.
local function balanced(set, n, seed, without)
  local rows, each = {}, n // #set.classes
  for class, list in ipairs(shuffled_classes(set, seed)) do
    local taken = 0
    for _, row in ipairs(list) do
      if taken < each and not without[row] then rows[#rows + 1], taken = row, taken + 1 end
    end
    if taken < each then
      experiment.fail("%d labels are %d of each class, but there are %d of class %s", n, each,
                      taken, set.classes[class])
    end
  end
  return rows
end

local function table_of(rows)
  local result = {}
  for _, row in ipairs(rows) do result[row] = true end
  return result
end

-- All rows but those.
local function others(rows, n)
  local without, list = table_of(rows), {}
  for row = 1, n do
    if not without[row] then list[#list + 1] = row end
  end
  return list
end

local function tensors(lists)
  for name, rows in next, lists do lists[name] = pl.tensor(rows, "int32") end
  return lists
end

--- The 1,000 rows with whose labels options are chosen.
-- @param set of training images
-- @return list of row numbers
function labels.reserved(set)
  return balanced(set, RESERVED, RESERVED_SEED, {})
end

--- A draw: n labelled rows, none of them reserved. Of two draws with one seed the smaller is a
-- part of the larger.
-- @param set of training images
-- @param n number of labels, a multiple of the number of classes
-- @param seed of the draw
-- @return table of int32 tensors: `labelled`, rows whose labels may be used, and `unlabelled`,
--   all others
function labels.draw(set, n, seed)
  local rows = balanced(set, n, seed, table_of(labels.reserved(set)))
  return tensors {labelled = rows, unlabelled = others(rows, #set.labels)}
end

--- A draw to choose options with: n of the reserved rows, and the rest of these to test on.
-- @param set of training images
-- @param n number of labels, less than the reserved ones
-- @param seed of the draw
-- @return table as `draw` gives it, with `test` rows, which are not among the unlabelled
function labels.validation_draw(set, n, seed)
  local reserved = labels.reserved(set)
  local rows = balanced(set, n, seed, table_of(others(reserved, #set.labels)))
  local labelled, test = table_of(rows), {}
  for _, row in ipairs(reserved) do
    if not labelled[row] then test[#test + 1] = row end
  end
  return tensors {labelled = rows, unlabelled = others(reserved, #set.labels), test = test}
end

return labels
