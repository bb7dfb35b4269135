--- Values as text, for the prompt: tables are laid out, strings quoted, tensors described.
--
-- It looks into tables without calling anything of theirs but `__tostring`. Keys are in
-- order; what is deep, long or met before on the way in is left out and marked.
-- @module perilune.help.inspect

local core = require "perilune.core"
local object = require "perilune.internal.object"
local names = require "perilune.help.names"
local text = require "perilune.help.text"

local inspect = {}

local DEPTH <const> = 6 -- tables inside tables
local ITEMS <const> = 100 -- shown of one table
local ALL <const> = 1000 -- shown of all tables together
local STRING <const> = 200 -- bytes shown of a string inside a table
local FUNCTIONS <const> = 3 -- more of them in one table are only named

--
-- Single values
--

local escapes = {["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\"}

local function escape(c)
  return escapes[c] or ("\\x%02x"):format(c:byte())
end

local function quote(s)
  local odd = utf8.len(s) and '[%c"\\\127]' or '[%c"\\\127-\255]'
  return '"' .. s:gsub(odd, escape) .. '"'
end

local function cut(s)
  if #s <= STRING then return quote(s) end
  local stop = utf8.len(s) and utf8.offset(s, 0, STRING + 1) - 1 or STRING
  return ("%s .. %d bytes"):format(quote(s:sub(1, stop)), #s - stop)
end

local function number(n)
  if n ~= n then return "nan" end
  return tostring(n)
end

-- The name of a function or table of the library or of Lua.
local function public_name(value, state)
  state.names = state.names or names.by_value()
  return state.names[value]
end

local function function_name(f, state)
  local name = public_name(f, state)
  if name then return "function: " .. name end
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return tostring(f) end
  return ("function: %s:%d"):format(info.short_src, info.linedefined)
end

-- What __tostring says; inside a table only its first line.
local function described(value, depth)
  local ok, s = pcall(tostring, value)
  if not ok then s = ("%s whose __tostring fails"):format(type(value)) end
  return depth > 1 and s:match("^[^\n]*") or s
end

local function metafield(value, name)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, name) or nil
end

local function scalar(value, state, depth)
  local kind = type(value)
  if kind == "string" then return depth > 1 and cut(value) or quote(value) end
  if kind == "number" then return number(value) end
  if kind == "function" then return function_name(value, state) end
  return described(value, depth)
end

--
-- Tables. A node is a value on its way to text: `flat` is its text on one line; a table has
-- `items` too, each a node with the text of its key. Without `flat` it must be broken up.
--

local function key_order(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then
    if kind_a == "number" or kind_b == "number" then return kind_a == "number" end
    return kind_a > kind_b -- strings go before the others
  end
  if kind_a == "number" or kind_a == "string" then return a < b end
  return tostring(a) < tostring(b)
end

-- The length of the part 1..n, and the other keys in order.
local function keys_of(t)
  local n, others = 0, {}
  while rawget(t, n + 1) ~= nil do n = n + 1 end
  for key in next, t do
    if math.type(key) ~= "integer" or key < 1 or key > n then others[#others + 1] = key end
  end
  table.sort(others, key_order)
  return n, others
end

local function key_text(key, state)
  if type(key) == "string" and names.is_name(key) then return key .. " = " end
  return ("[%s] = "):format(scalar(key, state, 2))
end

local node_of

-- Adds an item while there is room; false if there is none.
local function add_item(node, key, value, state, depth)
  if #node.items >= ITEMS or state.left <= 0 then return false end
  state.left = state.left - 1
  local item = node_of(value, state, depth + 1)
  item.key = key
  node.items[#node.items + 1] = item
  return true
end

-- Takes the functions out of a list of keys if there are many; returns their names.
local function take_functions(t, keys)
  local rest, functions = {}, {}
  for _, key in ipairs(keys) do
    local is_function = type(key) == "string" and type(rawget(t, key)) == "function"
    table.insert(is_function and functions or rest, key)
  end
  if #functions > FUNCTIONS then return rest, functions end
  return keys, {}
end

local function fill_table(node, t, state, depth)
  local n, others = keys_of(t)
  others, node.functions = take_functions(t, others)
  local shown = 0
  for i = 1, n do
    if not add_item(node, "", rawget(t, i), state, depth) then break end
    shown = shown + 1
  end
  for _, key in ipairs(others) do
    if not add_item(node, key_text(key, state), rawget(t, key), state, depth) then break end
    shown = shown + 1
  end
  local missing = n + #others - shown
  if missing > 0 then
    node.items[#node.items + 1] = {key = "", flat = ("... %d more"):format(missing)}
  end
end

local function flatten(node)
  if #node.functions > 0 then return nil end
  local parts = {}
  for i, item in ipairs(node.items) do
    if not item.flat then return nil end
    parts[i] = item.key .. item.flat
  end
  return node.open .. table.concat(parts, ", ") .. "}"
end

local function table_node(t, state, depth)
  if state.inside[t] then return {flat = "<cycle>"} end
  local public = depth > 1 and public_name(t, state)
  if public then return {flat = ("<%s>"):format(public)} end
  local name = metafield(t, "__name")
  local node = {open = (type(name) == "string" and name .. " " or "") .. "{", items = {}}
  if depth > DEPTH and next(t) ~= nil then return {flat = node.open .. "...}"} end
  state.inside[t] = true
  fill_table(node, t, state, depth)
  state.inside[t] = nil
  node.flat = flatten(node)
  return node
end

function node_of(value, state, depth)
  value = object.itself(value)
  if type(value) == "table" and not metafield(value, "__tostring") then
    return table_node(value, state, depth)
  end
  return {flat = scalar(value, state, depth)}
end

--
-- Layout
--

local break_up

-- Writes an item from a column on: on one line if it fits.
local function lay_out(item, column, width)
  local s = item.flat
  if s and (not item.items or column + text.width(item.key .. s) < width) then
    return item.key .. s
  end
  return item.key .. break_up(item, column, width)
end

-- Puts items without keys side by side, others on lines of their own.
local function fill_lines(items, column, width)
  local lines, line = {}, nil
  for i, item in ipairs(items) do
    local s = lay_out(item, column, width) .. (i < #items and "," or "")
    local beside = line and item.key == "" and not s:find("\n")
    if beside and column + text.width(line) + 1 + text.width(s) <= width then
      line = line .. " " .. s
    else
      lines[#lines + 1] = line
      line = s
    end
    if item.key ~= "" or s:find("\n") then
      lines[#lines + 1] = line
      line = nil
    end
  end
  lines[#lines + 1] = line
  return lines
end

function break_up(node, column, width)
  local margin = (" "):rep(column + 2)
  local lines = fill_lines(node.items, column + 2, width)
  if #node.functions > 0 then
    local words = "functions: " .. table.concat(node.functions, ", ")
    for _, line in ipairs(text.wrap(words, width - column - 5)) do
      lines[#lines + 1] = "-- " .. line
    end
  end
  return ("%s\n%s%s\n%s}"):format(
    node.open, margin, table.concat(lines, "\n" .. margin), (" "):rep(column))
end

--- A value as text, as one would write it in Lua where that is possible.
-- @param value anything
-- @param[opt=80] width columns to keep within
-- @return string, of several lines for large tables
function inspect.text(value, width)
  local state = {inside = {}, left = ALL}
  local node = node_of(value, state, 1)
  node.key = ""
  return lay_out(node, 0, width or 80)
end

--- Prints values as the prompt does, each on lines of its own.
-- @param ... anything
function inspect.show(...)
  local width = core.terminal_width()
  for i = 1, select("#", ...) do
    print(inspect.text((select(i, ...)), width))
  end
end

return inspect
