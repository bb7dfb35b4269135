--- What the files of a run must hold (internal).
--
-- A schema says what a value has to be: one of the leaves below, or `record`, `list`, `map` and
-- `optional` of others.
-- @module perilune.experiment.schema

local check = require "perilune.internal.check"
local describe = require("perilune.data.entries").describe
local fail = require("perilune.experiment.failure").fail

local schema = {}

local function leaf(expected, fits)
  return {expected = expected, fits = fits}
end

local function is_number(v) return math.type(v) ~= nil and math.abs(v) < math.huge end

--
-- Leaves
--

schema.text = leaf("text", function(v) return type(v) == "string" end)
schema.number = leaf("number", is_number)
schema.integer = leaf("integer", function(v) return math.type(v) == "integer" end)
schema.natural = leaf("integer of at least 0",
  function(v) return math.type(v) == "integer" and v >= 0 end)
schema.count = leaf("integer of at least 1",
  function(v) return math.type(v) == "integer" and v >= 1 end)
schema.duration = leaf("number of at least 0", function(v) return is_number(v) and v >= 0 end)
schema.table = leaf("table", function(v) return type(v) == "table" end)
schema.name = leaf("text or number", function(v) return type(v) == "string" or is_number(v) end)
schema.tensor = leaf("tensor", check.is_tensor)

--- Whatever a value has to be, or nil.
-- @param inner schema
-- @return schema
function schema.optional(inner)
  return {optional = inner}
end

--- A list of values.
-- @param inner schema of each
-- @return schema
function schema.list(inner)
  return {expected = "list", each = inner, list = true}
end

--- A table of values by names.
-- @param inner schema of each
-- @return schema
function schema.map(inner)
  return {expected = "table", each = inner}
end

--- A table with certain fields; it may have others.
-- @param fields schemas by name
-- @return schema
function schema.record(fields)
  return {expected = "table", fields = fields}
end

-- A value in a message.
local function words_of(value)
  if value == nil then return "missing" end
  if check.is_tensor(value) then return "a tensor, " .. describe(value) end
  if type(value) == "table" then return "a table" end
  if type(value) ~= "string" then return tostring(value) end
  return ("'%s'"):format(#value > 40 and value:sub(1, 37) .. "..." or value)
end

local function below(place, key)
  return place == "" and tostring(key) or place .. "." .. key
end

local function has_gaps(list)
  local n = 0
  for key in next, list do
    if math.type(key) ~= "integer" then return true end
    n = n + 1
  end
  return n ~= #list
end

-- The keys of a table in an order that is the same in every run.
local function ordered_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local problem

local function problem_inside(value, wanted, place)
  local fields = wanted.fields
  for _, key in ipairs(ordered_keys(fields or wanted.each and value or {})) do
    local text = problem(value[key], fields and fields[key] or wanted.each, below(place, key))
    if text then return text end
  end
end

--- What is wrong with a value.
-- @param value anything
-- @param wanted schema
-- @param[opt=""] place of the value in the file
-- @return text, or nil
function problem(value, wanted, place)
  if wanted.optional then
    return value ~= nil and problem(value, wanted.optional, place) or nil
  end
  local fits = wanted.fits or schema.table.fits
  if not fits(value) or wanted.list and has_gaps(value) then
    return ("%s is %s; %s expected"):format(place == "" and "it" or place, words_of(value),
      wanted.expected)
  end
  return problem_inside(value, wanted, place)
end

--- Ends the program because a file is not what it was when it was written.
-- @param path of the file
-- @param format of what is wrong with it, as of string.format
-- @param ... what to put in
function schema.damaged(path, format, ...)
  fail("%s is damaged: %s", path, format:format(...))
end

--- Fails, naming the file and the place in it, unless a value is what the schema says.
-- @param path of the file
-- @param value that was read from it
-- @param wanted schema
-- @param[opt=""] place of the value in the file
-- @return the value
function schema.check(path, value, wanted, place)
  local text = problem(value, wanted, place or "")
  if text then schema.damaged(path, "%s", text) end
  return value
end

return schema
