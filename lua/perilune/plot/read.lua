--- Reading what a script passes to a plot: data, options and their errors (internal).
-- @module perilune.plot.read

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local unwrapped = check.unwrapped
local words = require "perilune.internal.words"
local theme = require "perilune.plot.theme"

local read = {}

-- A value as it should appear in a message.
local function shown(value)
  if type(value) == "string" then return ("'%s'"):format(value) end
  return math.type(value) and check.shown(value) or check.type(value)
end

-- "; did you mean 'a'?", or the known words if none is near.
local function advice(word, known)
  local near = words.nearest(word, known)
  if near then return ("; did you mean '%s'?"):format(near) end
  return "; known: " .. table.concat(known, ", ")
end

--- Complains unless a value is one of some words.
function read.word(who, what, value, known)
  for _, word in ipairs(known) do
    if value == word then return value end
  end
  if type(value) ~= "string" then
    complain("%s: %s: one of %s expected, got %s", who, what, table.concat(known, ", "),
      shown(value))
  end
  complain("%s: unknown %s '%s'%s", who, what, value, advice(value, known))
end

--- Complains about an option that is none of the known ones, a table with their names as keys.
function read.unknown_option(who, name, known)
  complain("%s: unknown option '%s'%s", who, name, advice(name, words.sorted_keys(known)))
end

--- Reads a table of options.
-- @param who the function's name, for messages
-- @param given the table, or nil
-- @param known name of each option -> function(who, name, value) that gives the value to use
-- @return a new table
function read.options(who, given, known)
  if given ~= nil and type(given) ~= "table" then
    complain("%s: options: table expected, got %s", who, shown(given))
  end
  local result = {}
  for _, name in ipairs(words.sorted_keys(given or {})) do
    if not known[name] then read.unknown_option(who, name, known) end
    result[name] = known[name](who, name, unwrapped(given[name]))
  end
  return result
end

--
-- Kinds of options
--

local function fail(who, name, expected, value)
  complain("%s: %s: %s expected, got %s", who, name, expected, shown(value))
end

function read.text(who, name, value)
  if math.type(value) then value = tostring(value) end
  if type(value) ~= "string" then fail(who, name, "string", value) end
  if not utf8.len(value) then complain("%s: %s: the text is not valid UTF-8", who, name) end
  return value
end

function read.flag(who, name, value)
  if type(value) ~= "boolean" then fail(who, name, "true or false", value) end
  return value
end

local function is_finite(v)
  return math.type(v) and v == v and v ~= math.huge and v ~= -math.huge
end

function read.number(who, name, value)
  if not is_finite(value) then fail(who, name, "number", value) end
  return value
end

function read.positive(who, name, value)
  if not is_finite(value) or value <= 0 then fail(who, name, "positive number", value) end
  return value
end

--- A number that must not be negative.
function read.length(who, name, value)
  if not is_finite(value) or value < 0 then fail(who, name, "number of at least 0", value) end
  return value
end

function read.fraction(who, name, value)
  if not is_finite(value) or value < 0 or value > 1 then
    fail(who, name, "number from 0 to 1", value)
  end
  return value
end

function read.count(who, name, value)
  local n = math.type(value) and math.tointeger(value)
  if not n or n < 1 then fail(who, name, "positive integer", value) end
  return n
end

--- A checker for one of some words.
function read.one_of(known)
  return function(who, name, value) return read.word(who, name, value, known) end
end

--- The sides of a page or a panel, in points.
function read.side(who, name, value)
  if not is_finite(value) or value <= 0 or value > 14400 then
    fail(who, name, "number of points up to 14400", value)
  end
  return value
end

local function is_rgb(value)
  if #value ~= 3 then return false end
  for i = 1, 3 do
    if not is_finite(value[i]) or value[i] < 0 or value[i] > 1 then return false end
  end
  return true
end

function read.color(who, name, value)
  if type(value) == "table" then
    if is_rgb(value) then return {value[1], value[2], value[3]} end
    complain("%s: %s: three numbers from 0 to 1 expected", who, name)
  elseif math.type(value) and math.tointeger(value) then
    return math.tointeger(value)
  elseif type(value) ~= "string" then
    fail(who, name, "name, '#rrggbb', palette number or {r, g, b}", value)
  end
  if theme.rgb(value) then return value end
  if value:sub(1, 1) == "#" then
    complain("%s: unknown %s '%s'; six hexadecimal digits expected after #", who, name, value)
  end
  complain("%s: unknown %s '%s'%s", who, name, value, advice(value, words.sorted_keys(theme.names)))
end

--- One colour, or a list with one for each of several things.
function read.colors(who, name, value)
  if type(value) ~= "table" or is_rgb(value) then return read.color(who, name, value) end
  local list = {}
  for i = 1, #value do list[i] = read.color(who, ("%s[%d]"):format(name, i), value[i]) end
  return {list = list}
end

--- Two limits, {low, high}, of which either may be missing.
function read.limits(who, name, value)
  if type(value) ~= "table" then fail(who, name, "{low, high}", value) end
  for i = 1, 2 do
    local what = ("%s[%d]"):format(name, i)
    if value[i] ~= nil and math.abs(read.number(who, what, value[i])) > 1e300 then
      complain("%s: %s: number up to 1e300 expected, got %s", who, what, check.shown(value[i]))
    end
  end
  if value[1] ~= nil and value[1] == value[2] then
    complain("%s: %s: both limits are %s", who, name, tostring(value[1]))
  end
  return {value[1], value[2]}
end

--- A format for string.format, or a function from a number to a string.
function read.format(who, name, value)
  if type(value) == "function" then return value end
  if type(value) ~= "string" then fail(who, name, "format such as '%.1f'", value) end
  if not pcall(string.format, value, 1) then
    complain("%s: %s: '%s' cannot format a number", who, name, value)
  end
  return value
end

--- Writes a number with a format or a function, with a true minus sign.
function read.formatted(format, value)
  if type(format) == "function" then return tostring(format(value)) end
  local ok, text = pcall(string.format, format, value)
  if not ok then -- "%d" of 2.5
    local whole = math.tointeger(math.floor(value + 0.5))
    text = whole and format:format(whole) or ("%.3g"):format(value)
  end
  return (text:gsub("^%-", "−"))
end

--
-- Data
--

local is_tensor <const> = check.is_tensor

read.is_tensor = is_tensor

--- Whether a value holds data: a tensor or a list, not a table of options.
function read.is_data(value)
  if type(value) ~= "table" then return is_tensor(value) end
  return #value > 0 or next(value) == nil
end

-- Numbers of this size have no place on an axis whose limits differ by even more, and differences
-- of large integers no place among the integers.
local function tame(value)
  if value > -2^53 and value < 2^53 then return value end
  return (value > 1e300 and math.huge) or (value < -1e300 and -math.huge) or value + 0.0
end

--- A list of numbers from a list or a tensor of one dimension; a copy.
function read.list(who, what, value)
  if is_tensor(value) then
    if value:dim() ~= 1 then
      complain("%s: %s: a tensor of one dimension expected, got %s", who, what,
        words.shape(value))
    end
    value = value:totable()
  elseif type(value) ~= "table" then
    fail(who, what, "list or tensor", value)
  end
  local list = {}
  for i = 1, #value do
    local v = unwrapped(value[i])
    if not math.type(v) then
      complain("%s: %s[%d]: number expected, got %s", who, what, i, shown(v))
    end
    list[i] = tame(v)
  end
  return list
end

--- A list of numbers of which none is NaN or infinite.
function read.places(who, what, value)
  local list = read.list(who, what, value)
  for i, place in ipairs(list) do read.number(who, ("%s[%d]"):format(what, i), place) end
  return list
end

--- A list of n numbers; a single number stands for n equal ones.
function read.list_or_number(who, what, value, n)
  if not math.type(value) then return read.list(who, what, value) end
  local list = {}
  for i = 1, n do list[i] = value end
  return list
end

local function is_sided(value)
  return type(value) == "table" and (value.below ~= nil or value.above ~= nil)
end

--- How far error bars reach, as `error` says: a number or one for each value, or a table of two
-- such, `below` and `above`.
-- @return list of distances below
-- @return list of distances above
function read.errors(who, value, ys)
  local below, above = value, value
  if is_sided(value) then below, above = value.below, value.above end
  below = read.list_or_number(who, is_sided(value) and "error.below" or "error", below, #ys)
  above = read.list_or_number(who, is_sided(value) and "error.above" or "error", above, #ys)
  return below, above
end

--- A list of strings.
function read.texts(who, what, value)
  if type(value) ~= "table" then fail(who, what, "list of strings", value) end
  local list = {}
  for i = 1, #value do list[i] = read.text(who, ("%s[%d]"):format(what, i), value[i]) end
  return list
end

--- Complains unless lists are equally long.
-- @param who the function's name
-- @param ... names and lists by turns
function read.same_length(who, ...)
  local first, list = ...
  for i = 3, select("#", ...), 2 do
    local name, other = select(i, ...)
    if other and #other ~= #list then
      complain("%s: %s has %d values, %s %d", who, first, #list, name, #other)
    end
  end
end

--- A list of equally long lists of numbers from nested lists or a tensor of two dimensions.
function read.matrix(who, what, value)
  if is_tensor(value) then
    if value:dim() ~= 2 then
      complain("%s: %s: a tensor of two dimensions expected, got %s", who, what,
        words.shape(value))
    end
    value = value:totable()
  elseif type(value) ~= "table" then
    fail(who, what, "list of lists or tensor", value)
  end
  local rows = {}
  for i = 1, #value do
    rows[i] = read.list(who, ("%s[%d]"):format(what, i), value[i])
    if #rows[i] ~= #rows[1] then
      complain("%s: row 1 has %d values, row %d %d", who, #rows[1], i, #rows[i])
    end
  end
  return rows
end

-- Height and width of an image, or nil if it is none.
local function image_size(image)
  local s = image:size()
  if #s == 2 or (#s == 3 and s[3] == 3) then return s[1], s[2] end
  if #s == 3 and (s[1] == 1 or s[1] == 3) then return s[2], s[3] end
end

local function split_batch(who, batch)
  local s = batch:size()
  local fits = #s == 3 or (#s == 4 and (s[2] == 1 or s[2] == 3 or s[4] == 3))
  if #s == 2 then return {batch} end
  if not fits then
    complain("%s: [h,w], [n,h,w], [n,h,w,3], [n,1,h,w] or [n,3,h,w] expected, got %s", who,
      words.shape(batch))
  end
  local list = {}
  for i = 1, s[1] do list[i] = batch:select(1, i) end
  return list
end

--- A list of images from a list of tensors or a batch in one tensor.
-- @return the list
-- @return list of width divided by height of each
function read.images(who, value)
  local list = {}
  if is_tensor(value) then
    list = split_batch(who, value)
  elseif type(value) == "table" then
    list = table.move(value, 1, #value, 1, {})
  else
    fail(who, "images", "list of tensors or tensor", value)
  end
  local ratios = {}
  for i, image in ipairs(list) do
    if not is_tensor(image) then fail(who, ("image %d"):format(i), "tensor", image) end
    local h, w = image_size(image)
    if not h or h < 1 or w < 1 then
      complain("%s: image %d: [h,w], [h,w,3], [1,h,w] or [3,h,w] expected, got %s", who, i,
        words.shape(image))
    end
    ratios[i] = w / h
  end
  return list, ratios
end

return read
