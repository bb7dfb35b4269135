--- What watches a value from epoch to epoch: when to stop, and which weights were the best.
-- @module perilune.train.stopping

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local fields = require "perilune.nn.fields"
local object = require "perilune.internal.object"
local option = require "perilune.internal.option"

local stopping = {}

--
-- Which of two values is better
--

local WATCHED <const> = {monitor = "validation_loss", mode = "min", min_delta = 0}

local function check_watched(who, o)
  if o.mode ~= "min" and o.mode ~= "max" then
    complain("%s: mode: min or max expected, got %s", who, check.shown(o.mode))
  elseif not math.type(o.min_delta) or not (o.min_delta >= 0) then
    complain("%s: min_delta: number of at least 0 expected, got %s", who,
             check.shown(o.min_delta))
  end
  return o
end

-- The first value is better than none; a NaN is not better than anything.
local function is_better(o, value, best)
  if best == nil then return value == value end
  if o.mode == "min" then return value < best - o.min_delta end
  return value > best + o.min_delta
end

local function number_of(who, value)
  value = check.unwrapped(value)
  if not math.type(value) then
    complain("%s: number expected, got %s", who, check.type(value))
  end
  return value
end

-- The value that an object watches in the record of an epoch.
local function watched(who, o, record)
  if type(record) ~= "table" or record[o.monitor] == nil then
    complain("%s: the record has no %s, which is to be watched", who, tostring(o.monitor))
  end
  return record[o.monitor]
end

--
-- Early stopping
--

local EarlyStopping = object.class "stop"
EarlyStopping.__name = "early stopping"

--- Takes the value of another epoch.
--
--     if stop:update(validation_loss) then break end
-- @param value number
-- @return boolean: whether to stop
function EarlyStopping:update(value)
  value = number_of("EarlyStopping", value)
  if is_better(self.options, value, self.best) then
    self.best, self.waited = value, 0
  else
    self.waited = self.waited + 1
  end
  return value ~= value or self.waited >= self.options.patience
end

function EarlyStopping:__call(record)
  return self:update(watched("EarlyStopping", self.options, record))
end

--- The best value and for how long it has been that, as a plain table for `perilune.save`.
-- @return table
function EarlyStopping:state_dict()
  return {best = self.best, waited = self.waited}
end

--- Takes over what `state_dict` gave.
-- @param state table
-- @return the same
function EarlyStopping:load_state_dict(state)
  if type(state) ~= "table" or math.type(state.waited) ~= "integer" then
    complain("load_state_dict of EarlyStopping: what state_dict gave expected")
  end
  self.best, self.waited = state.best, state.waited
  return self
end

--- Says when to stop: after `patience` values in a row none of which is better than the best one
-- before by more than `min_delta`; and at a NaN.
--
--     local stop = train.EarlyStopping {patience = 5}
--     for epoch = 1, 100 do
--       ...
--       if stop:update(validation_loss) then break end
--     end
--
-- Among the callbacks of `fit` it looks at `monitor` in the records itself.
-- @param[opt] options `patience` (3); `min_delta` (0); `mode` ("min"), or "max" if larger is
--   better; `monitor` ("validation_loss")
-- @return object with the fields `best` and `waited`, how many values ago that was
function stopping.EarlyStopping(options)
  local o = option.read("EarlyStopping", options, {
    patience = 3, monitor = WATCHED.monitor, mode = WATCHED.mode, min_delta = WATCHED.min_delta})
  o.patience = check.count("EarlyStopping", "patience", o.patience)
  return setmetatable({options = check_watched("EarlyStopping", o), waited = 0}, EarlyStopping)
end

--
-- The best weights
--

local Best = object.class "best"
Best.__name = "best weights"

--- Takes the value of another epoch, and copies the weights if it is the best.
-- @param value number
-- @return boolean: whether it is
function Best:update(value)
  value = number_of("Best", value)
  if not is_better(self.options, value, self.value) then return false end
  local copies = {}
  for name, t in next, self.net:state_dict() do
    local copy = self.weights and self.weights[name] or pl.keep(t:clone())
    copies[name] = copy:copy_(t)
  end
  self.value, self.weights = value, copies
  return true
end

function Best:__call(record)
  self:update(watched("Best", self.options, record))
end

--- Puts the best weights back into the network; before the first value there is nothing to put
-- back.
-- @return the network
function Best:restore()
  return self.weights and self.net:load_state_dict(self.weights) or self.net
end

--- The best value and the weights, as a plain table for `perilune.save`. The tensors are not
-- copies.
-- @return table
function Best:state_dict()
  return {value = self.value, weights = self.weights}
end

--- Takes over what `state_dict` gave.
-- @param state table
-- @return the same
function Best:load_state_dict(state)
  if type(state) ~= "table" then
    complain("load_state_dict of Best: what state_dict gave expected")
  end
  self.value, self.weights = state.value, state.weights
  return self
end

--- Keeps the weights with which a value was the best.
--
--     local best = train.Best(net, {mode = "max", monitor = "accuracy"})
--     train.fit(net, loss, opt, set, {epochs = 20, validation = test, callbacks = {best}, ...})
--     best:restore()
--
-- By hand: `best:update(accuracy)` after each epoch.
-- @param net module
-- @param[opt] options `mode` ("min"), or "max" if larger is better; `min_delta` (0), by how much;
--   `monitor` ("validation_loss"), what it looks at among the callbacks of `fit`
-- @return object with the fields `value` and `weights`
function stopping.Best(net, options)
  if not fields.is_module(net) then
    complain("Best: module expected, got %s", check.type(net))
  end
  local o = check_watched("Best", option.read("Best", options, WATCHED))
  return setmetatable({net = net, options = o}, Best)
end

return stopping
