--- The orders in which the rows of a set are used (internal; `perilune.data.batches` says what the
-- options are).
-- @module perilune.data.orders

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"

local complain = blame.complain
local orders = {}

--- The options that say how an order is drawn.
orders.OPTIONS = {
  sampler = option.absent, weights = option.absent, num_samples = option.absent,
}

local function is_rows(t)
  return check.is_tensor(t) and t:dtype() == "int32" and t:dim() == 1
end

local function check_weights(who, weights, n)
  if type(weights) == "table" then
    weights = blame.in_name_of(who .. ": weights", "tensor", core.tensor, weights, "real")
  end
  if not check.is_tensor(weights) or weights:dtype() ~= "real" or weights:dim() ~= 1
    or #weights ~= n then
    complain("%s: weights: real tensor [%d] expected, got %s", who, n,
      check.is_tensor(weights) and entries.describe(weights) or type(weights))
  end
  return weights
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- Checks the options that say how an order is drawn.
-- @param who the function's name
-- @param n how many rows the set has
-- @param o options, of which the weights become a tensor
function orders.check(who, n, o)
  if o.sampler ~= nil and o.weights ~= nil then
    complain("%s: sampler and weights exclude each other", who)
  elseif o.num_samples ~= nil and o.weights == nil then
    complain("%s: num_samples says how many rows weights draw; there are no weights", who)
  end
  for _, name in ipairs {"sampler", "weights"} do
    if o[name] ~= nil and (o.order ~= nil or o.shuffle == false) then
      complain("%s: %s and %s exclude each other: both say which rows come", who,
        o.order and "order" or "shuffle = false", name)
    end
  end
  if o.sampler ~= nil and not is_callable(o.sampler) then
    complain("%s: sampler: function expected, got %s", who, check.type(o.sampler))
  end
  if o.weights ~= nil then o.weights = check_weights(who, o.weights, n) end
  if o.num_samples ~= nil then check.count(who, "num_samples", o.num_samples) end
end

local function check_range(who, order, n, what)
  if #order == 0 then complain("%s: %s gave no rows", who, what) end
  local least, most = order:amin():item(), order:amax():item()
  if least < 1 or most > n then
    complain("%s: %s gave row %d of %d", who, what, least < 1 and least or most, n)
  end
  return order
end

local function collected(iterator)
  local list = {}
  for row in iterator do list[#list + 1] = row end
  return list
end

-- What a sampler gives as a tensor of rows.
local function sampled(who, n, o, pass)
  local rows = o.sampler(n, o.batch_size, pass)
  if type(rows) == "function" then rows = collected(rows) end
  if type(rows) == "table" then
    rows = blame.in_name_of(who .. ": sampler", "tensor", core.tensor, rows, "int32")
  end
  if not is_rows(rows) then
    complain("%s: sampler gave %s; a list or int32 tensor [n] of rows, or an iterator over them, "
      .. "expected", who, check.is_tensor(rows) and entries.describe(rows) or type(rows))
  end
  return check_range(who, rows, n, "sampler")
end

--- Draws the order of a pass from the common stream of random numbers.
-- @param who the function's name
-- @param n how many rows the set has
-- @param o options: `sampler` or `weights` and `num_samples`, and `batch_size`
-- @param pass its number, from 1
-- @return int32 tensor of rows
function orders.draw(who, n, o, pass)
  if o.sampler ~= nil then return sampled(who, n, o, pass) end
  if o.weights == nil then return core.randperm(n) end
  return blame.in_name_of(who .. ": weights", "multinomial", core.multinomial, o.weights,
    o.num_samples or n, true)
end

--- How many rows the next pass has, as far as that is known before it is drawn.
-- @param n how many rows the set has
-- @param o options
-- @return a whole number
function orders.count(n, o)
  return o.weights ~= nil and o.num_samples or n
end

local function has_each_once(rows)
  local seen = {}
  for _, row in ipairs(rows) do
    if seen[row] then return false end
    seen[row] = true
  end
  return true
end

--- Whether a tensor can be the order of a pass.
-- @param order tensor
-- @param n how many rows the set has
-- @param o options: without `sampler` and `weights` each row comes once
-- @return boolean
function orders.fits(order, n, o)
  if not is_rows(order) or #order == 0 then return false end
  if order:amin():item() < 1 or order:amax():item() > n then return false end
  if o.sampler ~= nil then return true end
  if o.weights ~= nil then return #order == orders.count(n, o) end
  return #order == n and has_each_once(order:totable())
end

--- The same options for a pass whose order is known.
-- @param o options
-- @param order int32 tensor
-- @param skip how many batches not to make
-- @return table
function orders.fixed(o, order, skip)
  local result = {}
  for name, value in next, o do
    if not orders.OPTIONS[name] then result[name] = value end
  end
  result.order, result.skip = order, skip
  return result
end

--- Checks an order that is given.
-- @param who the function's name
-- @param order anything
function orders.check_given(who, order)
  if not is_rows(order) then
    complain("%s: order: int32 tensor [n] expected, got %s", who,
      check.is_tensor(order) and entries.describe(order) or type(order))
  end
end

return orders
