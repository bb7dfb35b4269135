--- Batches without end: a set passed through again and again, in a new order each
-- time (internal; use `perilune.data.cycle`).
-- @module perilune.data.cycle

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local parts = require "perilune.data.parts"

local cycle = {}

local Cycle = object.class "cycle"
Cycle.__name = "cycle"

--- Makes a cycle.
-- @param batches function(set, options) that iterates over one pass
-- @param rows how many the set has
-- @param set of tensors
-- @param options for `batches`
-- @return the cycle
function cycle.new(batches, rows, set, options)
  return setmetatable({
    pass = 1, place = 0, _batches = batches, _rows = rows, _set = set, _options = options,
    _count = rows // options.batch_size,
  }, Cycle)
end

-- The batches of the current pass that are still to come.
local function open(self)
  local options = {order = self._order, skip = self.place}
  for name, value in next, self._options do options[name] = value end
  return self._batches(self._set, options)
end

--- The next batch. The order of a pass is drawn from the common stream of random numbers
-- when its first batch is asked for.
-- @return as of `data.batches`
function Cycle:next()
  if self.place == self._count then
    self.pass, self.place, self._order, self._next = self.pass + 1, 0, nil, nil
  end
  self._order = self._order or core.keep(core.randperm(self._rows))
  self._next = self._next or open(self)
  self.place = self.place + 1
  return self._next()
end

--- The pass, how many of its batches were given, and its order.
-- @return table
function Cycle:state_dict()
  return {pass = self.pass, place = self.place, order = self._order}
end

--- Takes over what `state_dict` gave, for the same set and options.
-- @param state table
function Cycle:load_state_dict(state)
  if type(state) ~= "table" then
    complain("load_state_dict: what state_dict gave expected, got %s", check.type(state))
  end
  local order, n = state.order, self._rows
  if order ~= nil then check.tensor("load_state_dict: order", order) end
  if order and order:numel() ~= n then
    complain("load_state_dict: the state is one of %d rows, the set has %d", order:numel(), n)
  elseif order and not parts.is_order(order, n) then
    complain("load_state_dict: order is no order of %d rows", n)
  end
  local pass = check.count("load_state_dict", "pass", state.pass)
  local place = check.natural("load_state_dict", "place", state.place)
  if place > self._count then
    complain("load_state_dict: place is %d of %d batches", place, self._count)
  end
  self.pass, self.place, self._next = pass, place, nil
  self._order = order and core.keep(order)
end

return cycle
