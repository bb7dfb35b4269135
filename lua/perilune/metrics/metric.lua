--- What all metrics are: a count of a batch, the sum of two counts, and the result of one
-- (internal; its methods are those of every accumulator).
--
-- A function such as `metrics.accuracy` is the result of the count of one batch, an accumulator
-- such as `metrics.Accuracy` has the sum of the counts of all. Counts are integers of Lua, 64 bits,
-- and sums its floats, which are doubles.
-- @module perilune.metrics.metric

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local object = require "perilune.internal.object"
local option = require "perilune.internal.option"

local complain, blaming = blame.complain, blame.blaming
local metric = {}

local Metric = object.class "metric"
Metric.__name = "metric"

-- The sum of two counts: of numbers, and of the same numbers in lists and tables.
local function sum(a, b)
  if type(a or b) ~= "table" then return (a or 0) + (b or 0) end
  local total = {}
  for _, part in ipairs {a or {}, b or {}} do
    for key in next, part do total[key] = sum(a and a[key], b and b[key]) end
  end
  return total
end

-- The options of a kind, read and checked.
local function read(kind, options)
  local o = option.read(kind.name, options, kind.options or {})
  if kind.check then kind.check(o) end
  return o
end

-- The count of one batch. Nothing of it is recorded, and of its tensors those that are kept stay.
local function count(kind, o, prediction, target)
  return blaming(pl.tidy, pl.no_grad, kind.count, o, prediction, target)
end

local function result(kind, o, total)
  if not total then complain("%s: there is no batch yet", kind.name) end
  return blaming(kind.result, total, o)
end

--- The function of a kind: the metric of one batch.
-- @param kind table: `name`; `options`, their defaults; `count(o, prediction, target)`, a table of
--   numbers; `result(total, o)`; perhaps `add(a, b)`, where the sum of two counts is not that of
--   their numbers; perhaps `check(o)`
-- @return function(prediction, target, options)
function metric.once(kind)
  return function(prediction, target, options)
    local o = read(kind, options)
    return result(kind, o, count(kind, o, prediction, target))
  end
end

--- The accumulators of a kind.
-- @param kind as in `metric.once`
-- @return function(options), which makes one
function metric.over(kind)
  return function(options)
    return setmetatable({_kind = kind, _options = read(kind, options)}, Metric)
  end
end

local function take(self, total)
  self._total = self._total and (self._kind.add or sum)(self._total, total) or total
  return self
end

--- Counts a batch.
-- @param prediction tensor, as for the function of the metric
-- @param target tensor
-- @return the accumulator
function Metric:update(prediction, target)
  return take(self, count(self._kind, self._options, prediction, target))
end

--- The metric of all batches so far.
-- @return what the function of the metric gives; an error before the first batch
function Metric:compute()
  return result(self._kind, self._options, self._total)
end

local function same_options(a, b)
  for _, options in ipairs {a, b} do
    for name in next, options do
      if a[name] ~= b[name] then return false end
    end
  end
  return true
end

--- Adds what another accumulator of the same kind and options has counted: of another part of the
-- data, of another host. The other one stays as it is.
-- @param other accumulator
-- @return the accumulator
function Metric:merge(other)
  if not rawequal(getmetatable(other), Metric) then
    complain("merge: another accumulator expected, got %s", check.type(other))
  elseif other._kind ~= self._kind then
    complain("merge: %s has no sum with %s", self._kind.name, other._kind.name)
  elseif not same_options(self._options, other._options) then
    complain("merge: the two accumulators of %s have other options", self._kind.name)
  end
  return other._total and take(self, other._total) or self
end

--- Forgets all batches.
-- @return the accumulator
function Metric:reset()
  self._total = nil
  return self
end

--- What was counted so far, as a plain table for `perilune.save`. Tensors are not copies.
-- @return table
function Metric:state_dict()
  return {metric = self._kind.name, total = self._total}
end

--- Takes over what `state_dict` gave.
-- @param state table
-- @return the accumulator
function Metric:load_state_dict(state)
  if type(state) ~= "table" or state.metric ~= self._kind.name then
    complain("load_state_dict: the state of %s expected, got %s", self._kind.name,
             type(state) == "table" and check.shown(state.metric) or check.type(state))
  end
  self._total = state.total
  return self
end

function Metric:__tostring()
  return ("%s accumulator, %s"):format(self._kind.name, self._total and "with batches" or "empty")
end

return metric
