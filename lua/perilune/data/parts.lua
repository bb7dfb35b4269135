--- Parts of a set (internal; use `perilune.data`).
-- @module perilune.data.parts

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"

local complain, blaming = blame.complain, blame.blaming
local parts = {}

-- Sets the state of random numbers that a variable holds when the variable ends.
local RESTORE <const> = {__close = function(state) core.set_random_state(state) end}

--- Calls a function whose random numbers depend on the seed alone, without effect on those of the
-- caller (internal).
-- @param seed an integer, or nil: the common stream of random numbers
-- @param f the function
-- @param ... its arguments
-- @return its first result
function parts.seeded(seed, f, ...)
  if seed == nil then return (f(...)) end
  local _ <close> = setmetatable(core.random_state(), RESTORE)
  core.manual_seed(seed)
  return (f(...))
end

--- A random order of 1..n that depends on the seed alone.
-- @param n how many
-- @param seed an integer
-- @return an int32 tensor [n]
function parts.permutation(n, seed)
  n = check.natural("permutation", "n", n)
  check.seed("permutation", seed)
  return parts.seeded(seed, core.randperm, n)
end

--- How many rows a set has: the first size of its tensors.
-- @param set the set
-- @return a whole number
function parts.count(set)
  return entries.read("count", set).n
end

--- Some rows of a set, copied (internal).
-- @param set the set
-- @param list what `entries.read` gave for it
-- @param rows int32 tensor, or list of row numbers
-- @return the smaller set
function parts.rows(set, list, rows)
  if type(rows) == "table" then rows = core.tensor(rows, "int32") end
  return entries.map(set, list, function(value) return entries.select(value, rows) end)
end

--- Some neighbouring rows, which share the memory of the set (internal).
-- @param set the set
-- @param list what `entries.read` gave for it
-- @param from the first of them
-- @param count how many
-- @return the smaller set
function parts.slice(set, list, from, count)
  return entries.map(set, list, function(value) return entries.slice(value, from, count) end)
end

--- Some rows of a set, copied.
-- @param set the set
-- @param rows an int32 tensor or a list of row numbers
-- @return the smaller set
function parts.subset(set, rows)
  return blaming(parts.rows, set, entries.read("subset", set), rows)
end

--- The first rows of a set; nothing is copied.
-- @param set the set
-- @param n how many
-- @return the smaller set
function parts.take(set, n)
  local list = entries.read("take", set)
  local count = check.natural("take", "n", n)
  if count > list.n then complain("take: %d of %d rows", count, list.n) end
  return parts.slice(set, list, 1, count)
end

--- The rows of a set in a random order, copied.
-- @param set the set
-- @param[opt] seed an integer, on which alone the order depends; without it the common stream of
--   random numbers is used
-- @return the set
function parts.shuffle(set, seed)
  local list = entries.read("shuffle", set)
  if seed ~= nil then check.seed("shuffle", seed) end
  return parts.rows(set, list, seed and parts.permutation(list.n, seed) or core.randperm(list.n))
end

return parts
