--- Sets of tensors and sources: their rows, parts, and batches with samplers.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local data = pl.data
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains
local state

function T.setUp()
  state = pl.random_state()
end

function T.tearDown()
  pl.set_random_state(state)
end

local function ints(list)
  return pl.tensor(list, "int32")
end

--
-- Sources
--

-- A source of a script: the squares of some numbers, made when they are asked for.
local Squares = {__rows = true}
Squares.__index = Squares

local function squares(numbers)
  return setmetatable({numbers = numbers, made = 0}, Squares)
end

function Squares:__len() return #self.numbers end

function Squares:describe() return ("squares[%d]"):format(#self.numbers) end

function Squares:index_select(rows)
  local chosen = {}
  for i, row in ipairs(rows:totable()) do chosen[i] = self.numbers[row] end
  return squares(chosen)
end

function Squares:batch(rows)
  local values = self:index_select(rows).numbers
  for i, value in ipairs(values) do values[i] = value * value end
  self.made = self.made + #values
  return ints(values)
end

local function counting(n)
  local numbers = {}
  for i = 1, n do numbers[i] = i end
  return {squares(numbers), pl.arange(1, n, "int32")}
end

function T.test_a_source_takes_the_place_of_a_tensor()
  local set = counting(5)
  eq(data.count(set), 5)
  local seen = {}
  for x, y in data.batches(set, {batch_size = 2}) do
    eq(x:totable(), (y * y):totable())
    for _, row in ipairs(y:totable()) do seen[row] = true end
  end
  eq(#seen, 5)
  eq(set[1].made, 5)
end

function T.test_parts_of_a_source_are_sources()
  local set = counting(10)
  local train, test = data.split(set, 0.8, {seed = 1})
  eq({data.count(train), data.count(test)}, {8, 2})
  eq(train[1].numbers, train[2]:totable())
  eq(data.take(set, 3)[1].numbers, {1, 2, 3})
  eq(data.subset(set, {7, 7})[1].numbers, {7, 7})
  for others, own in data.folds(set, 5) do eq({#others[1], #own[1]}, {8, 2}) end
  eq(set[1].made, 0)
end

function T.test_sources_by_name()
  local set = {x = squares {3, 4}, y = ints {1, 2}, classes = {"a", "b"}}
  for batch in data.batches(set, {shuffle = false}) do
    eq(batch.x:totable(), {9, 16})
    eq(batch.y:totable(), {1, 2})
  end
end

function T.test_sources_that_do_not_fit()
  fails("entry '2' of the set is squares[3], but '1' is int32[2]; equal first sizes expected",
    data.batches, {ints {1, 2}, squares {1, 2, 3}})
  fails("batches: set of tensors expected, got squares[1]; {x} is a set with x alone",
    data.batches, squares {1})
  fails("split: stratify: '1' is squares[2]; labels, int32 or uint8 [n], expected",
    data.split, {squares {1, 2}}, 1, {stratify = 1})
end

return T
