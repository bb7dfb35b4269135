--- Writing tables as text (internal; use `perilune.data`).
-- @module perilune.data.csv_write

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"

local complain = blame.complain
local csv_write = {}

--- Raises an error unless the value can part fields: it is no part of numbers, words or quotes.
-- @param who the function's name
-- @param separator to check
function csv_write.check_separator(who, separator)
  if type(separator) ~= "string" or not separator:find "^[^%w\"+%-.\r\n\0\128-\255]$" then
    complain("%s: separator: ',', ';' or another single character expected, got '%s'", who,
      check.shown(separator))
  end
end

-- A Lua value as text.
local function text_of(value, name)
  if type(value) == "string" then return value end
  if type(value) == "boolean" then return tostring(value) end
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if type(value) ~= "number" then
    complain("write_csv: column '%s' has a %s in it", name, check.type(value))
  end
  if value ~= value then return "nan" end
  if value == math.huge or value == -math.huge then return value > 0 and "inf" or "-inf" end
  return core.json_encode(value)
end

-- Adds a column of the caller's: one of ours, or, of a tensor [n,k], k.
local function add_columns(list, column, name)
  if check.is_tensor(column) then
    if column:dim() == 1 then
      list[#list + 1] = column
    elseif column:dim() == 2 then
      for k = 1, column:size(2) do list[#list + 1] = column:select(2, k) end
    else
      complain("write_csv: column '%s' is a tensor of %d dims; [n] or [n,k] expected", name,
        column:dim())
    end
  elseif type(column) == "table" then
    local texts = {}
    for i, value in ipairs(column) do texts[i] = text_of(check.unwrapped(value), name) end
    list[#list + 1] = texts
  else
    complain("write_csv: column '%s' is a %s; tensor or list expected", name, check.type(column))
  end
end

local function check_equal(list, names)
  for i, column in ipairs(list) do
    if #column ~= #list[1] then
      complain("write_csv: column '%s' has %d rows, '%s' has %d", names and names[i] or i, #column,
        names and names[1] or 1, #list[1])
    end
  end
end

-- Columns in order, and their names.
local function ordered(columns, names)
  if check.is_tensor(columns) then columns = {columns} end
  if type(columns) ~= "table" then
    complain("write_csv: columns: tensor or table expected, got %s", check.shown(columns))
  end
  if columns[1] == nil then
    names = names or words.sorted_keys(columns)
    local list = {}
    for i, name in ipairs(names) do
      if columns[name] == nil then
        complain("write_csv: there is no column '%s'", tostring(name))
      end
      list[i] = columns[name]
    end
    columns = list
  end
  return columns, names
end

--- Writes a table as text, whole or not at all.
--
--     data.write_csv("predictions.csv", {ids, net(x)}, {"id", "price"})
--
-- A column is a tensor [n], or a list of numbers, strings and booleans; a tensor [n, k] is k
-- columns. Numbers have as many digits as give the same bits when they are read again. Texts are
-- quoted where they must be.
-- @param path file name
-- @param columns list of columns, or a table of them by name, or a tensor
-- @param[opt] names list of names, which makes the first row; of columns by name their order, else
--   they are sorted; without names there is no such row
-- @param options `separator` (",")
-- @return true, or nil and a message
function csv_write.write(path, columns, names, options)
  check.path("write_csv", path)
  local o = option.read("write_csv", options, {separator = ","})
  csv_write.check_separator("write_csv", o.separator)
  if names ~= nil then check.list("write_csv", "names", names, {string = true}) end
  columns, names = ordered(columns, names)
  local list = {}
  for i, column in ipairs(columns) do
    add_columns(list, column, names and names[i] or tostring(i))
  end
  if #list == 0 then complain("write_csv: there are no columns") end
  if names and #names ~= #list then
    complain("write_csv: %d names of %d columns", #names, #list)
  end
  check_equal(list, names)
  return core.write_csv(path, list, names, o.separator)
end

return csv_write
