--- Batches without end: a set passed through again and again, in a new order each
-- time (internal; use `perilune.data.cycle`).
-- @module perilune.data.cycle

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local orders = require "perilune.data.orders"

local cycle = {}

local Cycle = object.class "cycle"
Cycle.__name = "cycle"

-- How many full batches an order of so many rows has.
local function full(self, rows)
  local count = rows // self._options.batch_size
  if count == 0 then
    complain("cycle: batch_size is %d, but %s %d rows", self._options.batch_size,
      self._options.sampler and "the sampler gave" or self._options.num_samples
        and "num_samples is" or "the set has", rows)
  end
  return count
end

--- Makes a cycle.
-- @param batches function(set, options) that iterates over one pass
-- @param rows how many the set has
-- @param set of tensors
-- @param options for `batches`
-- @param has_key whether random numbers of a pass depend on a key
-- @return the cycle
function cycle.new(batches, rows, set, options, has_key)
  local self = setmetatable({
    _has_key = has_key,
    pass = 1, place = 0, _batches = batches, _rows = rows, _set = set, _options = options,
  }, Cycle)
  if options.sampler == nil then full(self, orders.count(rows, options)) end
  return self
end

-- Draws the order of the pass, and the key of a transform's random numbers, if it has none.
local function draw(self)
  if self._order then return end
  local order = orders.draw("cycle", self._rows, self._options, self.pass)
  self._count = full(self, #order)
  self._order = core.keep(order)
  self._key = self._has_key and core.random_key() or nil
end

-- The batches of the current pass that are still to come.
local function open(self)
  local options = orders.fixed(self._options, self._order, self.place)
  options.key = self._key
  return self._batches(self._set, options)
end

--- The next batch. The order of a pass is drawn from the common stream of random numbers
-- when its first batch is asked for.
-- @return as of `data.batches`
function Cycle:next()
  if self._order and self.place == self._count then
    self.pass, self.place = self.pass + 1, 0
    self._order, self._key, self._next = nil, nil, nil
  end
  draw(self)
  self._next = self._next or open(self)
  self.place = self.place + 1
  return self._next()
end

--- The pass, how many of its batches were given, its order, and the key of its random numbers.
-- @return table
function Cycle:state_dict()
  return {pass = self.pass, place = self.place, order = self._order, key = self._key}
end

--- Takes over what `state_dict` gave, for the same set and options.
-- @param state table
function Cycle:load_state_dict(state)
  if type(state) ~= "table" then
    complain("load_state_dict: what state_dict gave expected, got %s", check.type(state))
  end
  local order, n, o = state.order, self._rows, self._options
  if order ~= nil then check.tensor("load_state_dict: order", order) end
  if order and not (o.sampler or o.weights) and order:numel() ~= n then
    complain("load_state_dict: the state is one of %d rows, the set has %d", order:numel(), n)
  elseif order and not orders.fits(order, n, o) then
    complain("load_state_dict: order is no order of %d rows", n)
  end
  local pass = check.count("load_state_dict", "pass", state.pass)
  local place = check.natural("load_state_dict", "place", state.place)
  local count = order and full(self, #order) or 0
  if place > count then
    complain("load_state_dict: place is %d of %d batches", place, count)
  end
  if state.key ~= nil and math.type(state.key) ~= "integer" then
    complain("load_state_dict: key is a %s; integer expected", check.type(state.key))
  end
  self.pass, self.place, self._next, self._count = pass, place, nil, count
  self._key = state.key
  self._order = order and core.keep(order)
end

return cycle
