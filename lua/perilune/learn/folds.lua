--- Parts of a set of labelled examples for cross-validation (internal).
-- @module perilune.learn.folds

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local parts = require "perilune.data.parts"
local split = require "perilune.data.split"

local folds = {}

-- The rows of each label, in a random order: a list for each label that occurs, ascending.
local function shuffled_rows(labels)
  return split.by_class(labels:totable(), pl.randperm(#labels):totable())
end

--- Parts rows into folds that have as equal numbers of each class as possible.
-- @param labels int32 [n]
-- @param count how many folds; fewer if there are fewer examples
-- @param seed of the random order, or nil for the library's stream
-- @return list of {train = int32, test = int32}: the rows of a fold and of the others,
--   ascending; folds of which one part would be empty or have one class only are left out
function folds.stratified(labels, count, seed)
  local fold = split.deal(parts.seeded(seed, shuffled_rows, labels), count)
  local list = {}
  for i = 1, count do
    local train, test, seen, classes = {}, {}, {}, 0
    for row = 1, #fold do
      local into = fold[row] == i and test or train
      into[#into + 1] = row
      if into == train and not seen[labels[row]] then
        seen[labels[row]], classes = true, classes + 1
      end
    end
    if #test > 0 and classes > 1 then
      list[#list + 1] = {train = pl.tensor(train, "int32"), test = pl.tensor(test, "int32")}
    end
  end
  if #list == 0 then
    complain("search: %d examples cannot be parted into folds with two classes", #labels)
  end
  return list
end

return folds
