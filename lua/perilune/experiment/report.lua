--- Results as text: mean and spread, and aligned tables (internal; use
-- `perilune.experiment.mean_spread` and `perilune.experiment.table`).
-- @module perilune.experiment.report

local complain = require("perilune.internal.blame").complain
local option = require "perilune.internal.option"

local report = {}

--- The mean and the sample standard deviation of a list of numbers.
-- @param list of at least one number
-- @return the mean
-- @return the spread; nil for a single number
function report.mean_spread(list)
  local n, sum, squares = #list, 0.0, 0.0
  if n == 0 then complain("mean_spread: the list is empty") end
  for _, value in ipairs(list) do sum = sum + value end
  local mean = sum / n
  for _, value in ipairs(list) do squares = squares + (value - mean) ^ 2 end
  return mean, n > 1 and math.sqrt(squares / (n - 1)) or nil
end

-- A column as a table; it may be given as its name alone.
local function column_of(given)
  if type(given) == "string" then given = {given} end
  local named = {}
  for name, value in next, given do named[name == 1 and "name" or name] = value end
  local column = option.read("table", named, {
    name = option.required, title = option.absent, format = "%.4g"})
  column.title = column.title or column.name
  return column
end

-- With a point, whatever the locale says.
local function number(value, format)
  local sign = ("%.1f"):format(0.5):match "^0(.+)5$"
  return (format:format(value):gsub("%" .. sign, "."))
end

local function cell(value, format)
  if type(value) == "number" then return number(value, format) end
  if type(value) ~= "table" then return value == nil and "-" or tostring(value) end
  if #value == 0 then return "-" end
  local mean, spread = report.mean_spread(value)
  if not spread then return number(mean, format) end
  return ("%s ± %s"):format(number(mean, format), number(spread, format))
end

local function is_text(value)
  return type(value) == "string"
end

-- The cells of a column below its title, all of the same width.
local function column_cells(rows, column)
  local cells, width, text = {column.title}, utf8.len(column.title), false
  for i, row in ipairs(rows) do
    local value = row[column.name]
    cells[i + 1], text = cell(value, column.format), text or is_text(value)
    width = math.max(width, utf8.len(cells[i + 1]))
  end
  for i, content in ipairs(cells) do
    local space = (" "):rep(width - utf8.len(content))
    cells[i] = text and content .. space or space .. content
  end
  return cells, width
end

--- A table as text, texts on the left and numbers on the right of their columns.
-- @param rows list of tables; a value that is a list of numbers is shown as mean ± spread
-- @param columns list of names, or of `{name, title = ..., format = "%.2f"}`
-- @return string
function report.table(rows, columns)
  local lines = {}
  for c, given in ipairs(columns) do
    local cells, width = column_cells(rows, column_of(given))
    table.insert(cells, 2, ("-"):rep(width))
    for i, content in ipairs(cells) do
      lines[i] = c == 1 and content or lines[i] .. "  " .. content
    end
  end
  for i, line in ipairs(lines) do lines[i] = line:gsub("%s+$", "") end
  return table.concat(lines, "\n") .. "\n"
end

return report
