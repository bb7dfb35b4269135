--- Completion for the prompt: what can stand where the cursor is.
--
-- It calls nothing of the user's: fields are read raw and through `__index` tables; only
-- tensors and the library's own tables are asked for more.
-- @module perilune.help.complete

local core = require "perilune.core"
local doc = require "perilune.help.doc"
local names = require "perilune.help.names"
local perilune = require "perilune"
local text = require "perilune.help.text"

local complete = {}

--
-- Reading the line. Tokens are {kind, text, first}; the last may be an open string or comment.
--

local closing = {['"'] = '"', ["'"] = "'"}

-- The end of a quoted string that begins at i, or nil if it is open.
local function end_of_quoted(line, i)
  local mark = line:sub(i, i)
  local at = i + 1
  while at <= #line do
    local c = line:sub(at, at)
    if c == mark then return at end
    at = at + (c == "\\" and 2 or 1)
  end
end

-- The end of a long string [[...]] that begins at i, or nil; and whether one begins there.
local function end_of_long(line, i)
  local equals = line:match("^%[(=*)%[", i)
  if not equals then return nil, false end
  local _, stop = line:find("]" .. equals .. "]", i, true)
  return stop, true
end

local function end_of_comment(line, i)
  local stop, long = end_of_long(line, i + 2)
  if long then return stop end
  return line:find("\n", i, true)
end

-- Kind, last position (nil: still open) and where the contents begin.
local function next_token(line, i)
  local c = line:sub(i, i)
  if line:find("^%-%-", i) then return "comment", end_of_comment(line, i) end
  if closing[c] then return "string", end_of_quoted(line, i) end
  local stop, long = end_of_long(line, i)
  if long then return "string", stop end
  local _, last = line:find("^[%a_][%w_]*", i)
  if last then return "name", last end
  _, last = line:find("^%.?%d[%w.]*", i)
  if last then return "number", last end
  _, last = line:find("^%.%.%.?", i)
  if last then return "symbol", last end
  _, last = line:find("^::", i)
  return "symbol", last or i
end

local function tokens_of(line)
  local tokens, i = {}, 1
  while true do
    i = line:find("%S", i)
    if not i then return tokens end
    local kind, stop = next_token(line, i)
    if kind ~= "comment" or not stop then
      tokens[#tokens + 1] = {kind = kind, text = line:sub(i, stop or #line), first = i, last = stop}
    end
    if not stop then return tokens end
    i = stop + 1
  end
end

-- The value of a string token without escapes, or of a number token.
local function literal(token)
  if token.kind == "number" then return tonumber(token.text) end
  if token.kind == "string" then return token.text:match("^[\"'](.*)[\"']$") end
end

--
-- Reading values with care
--

-- Whether an object's fields may be asked for, because its __index is the library's own.
local function is_ours(value)
  return rawequal(value, perilune) or names.module(value) ~= nil or perilune.is_tensor(value)
end

local function metaindex(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__index") or nil
end

-- Calls visit(key, true) with the methods that are documented beside an __index function.
local function visit_documented(index, visit)
  for _, entry in ipairs(type(index) == "function" and doc.methods(index) or {}) do
    visit(entry.name, true)
  end
end

-- A field, without calling a function that is not ours.
local function field(value, key)
  for _ = 1, 20 do
    if is_ours(value) then
      local ok, result = pcall(function() return value[key] end)
      return ok and result or nil
    end
    local own = type(value) == "table" and rawget(value, key)
    if own then return own end
    value = metaindex(value)
    if type(value) ~= "table" then return nil end
  end
end

local function add_keys(t, visit)
  for key in next, t do
    if type(key) == "string" then visit(key) end
  end
end

local function add_tensor_keys(visit)
  for name in next, core.methods do visit(name, true) end
  visit "grad"
  visit "requires_grad"
  visit "is_leaf"
end

-- Calls visit(key, is_method) with every string that can be a field of the value; is_method
-- is nil where that is not known yet.
local function each_key(value, visit)
  if perilune.is_tensor(value) then return add_tensor_keys(visit) end
  for _ = 1, 20 do
    if rawequal(value, perilune) then pairs(value) end -- loads every part
    if type(value) == "table" then add_keys(value, visit) end
    value = metaindex(value)
    if type(value) ~= "table" then return visit_documented(value, visit) end
  end
end

--
-- What stands before the cursor
--

-- The keys that lead to the expression which ends at token i: {"net", 1, "weight"}; nil if
-- it is more than names and constant indices.
local function chain_to(tokens, i)
  local keys = {}
  while tokens[i] do
    local token, before = tokens[i], tokens[i - 1] or {}
    if token.kind == "name" and names.is_name(token.text) then
      table.insert(keys, 1, token.text)
      if before.text == ":" then return nil end
      if before.text ~= "." then return keys end
      i = i - 2
    elseif token.text == "]" and (tokens[i - 2] or {}).text == "[" then
      local key = literal(before)
      if key == nil then return nil end
      table.insert(keys, 1, key)
      i = i - 3
    else
      return nil
    end
  end
end

local function value_of(keys)
  local value = _G
  for _, key in ipairs(keys or {}) do
    value = field(value, key)
    if value == nil then return nil end
  end
  return keys and value
end

-- Names that the line itself declares or uses: perhaps local variables.
local function names_in(tokens, visit)
  for i = 1, #tokens - 1 do
    local before = tokens[i - 1] and tokens[i - 1].text
    if tokens[i].kind == "name" and before ~= "." and before ~= ":" then visit(tokens[i].text) end
  end
end

-- A list of candidates that begin with a prefix, without doubles.
local function new_list(prefix)
  local list, seen = {}, {}
  local function visit(word)
    local hidden = word:byte() == 95 and prefix:byte() ~= 95 -- names that begin with _
    if not seen[word] and not hidden and word:sub(1, #prefix) == prefix then
      seen[word] = true
      list[#list + 1] = word
    end
  end
  return list, visit
end

--
-- Completing
--

local function free_names(tokens, prefix)
  local list, visit = new_list(prefix)
  for _, word in ipairs(names.keywords) do visit(word) end
  names_in(tokens, visit)
  each_key(_G, visit)
  return list
end

local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

local function fields(tokens, i, prefix)
  local value = value_of(chain_to(tokens, i - 1))
  local list, visit = new_list(prefix)
  if value == nil then return list end
  local only_methods = tokens[i].text == ":"
  each_key(value, function(key, is_method)
    local usable = not only_methods or is_method or is_callable(field(value, key))
    if usable and names.is_name(key) then visit(key) end
  end)
  return list
end

local function complete_name(tokens, ends_in_name)
  local prefix = ends_in_name and tokens[#tokens].text or ""
  local i = ends_in_name and #tokens - 1 or #tokens
  local before = tokens[i] and tokens[i].text
  if before == "." or before == ":" then return fields(tokens, i, prefix), prefix, "" end
  if not ends_in_name then return {}, "", "" end
  return free_names(tokens, prefix), prefix, ""
end

-- Words that the strings after some functions are made of.
local arguments <const> = {
  help = function() return require("perilune.help").names() end,
  require = function() return require("perilune.sources").modules end,
}

local function string_words(tokens, files)
  local open, i = tokens[#tokens], #tokens - 1
  local prefix = open.text:match("^[\"'](.*)$") or open.text:match("^%[=*%[(.*)$")
  local list, visit = new_list(prefix)
  local before = tokens[i] and tokens[i].text
  local mark = closing[open.text:sub(1, 1)] or "]" .. open.text:match("^%[(=*)") .. "]"
  if before == "[" then
    local value = value_of(chain_to(tokens, i - 1))
    if value ~= nil then each_key(value, visit) end
    return list, prefix, mark .. "]"
  end
  local called = arguments[before == "(" and i > 1 and tokens[i - 1].text or before]
  for _, word in ipairs(called and called() or files(prefix)) do visit(word) end
  return list, prefix, mark
end

local function candidates(line, files)
  local tokens = tokens_of(line)
  local last = tokens[#tokens]
  if not last then return {}, "", "" end
  if not last.last then
    if last.kind == "comment" then return {}, "", "" end
    return string_words(tokens, files)
  end
  return complete_name(tokens, last.kind == "name" and last.last == #line)
end

local function common_prefix(list)
  local prefix = list[1]
  for _, word in ipairs(list) do
    while word:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
  end
  while #prefix > 0 and not utf8.len(prefix) and utf8.len(list[1]) do prefix = prefix:sub(1, -2) end
  return prefix
end

-- Of paths only the last part is shown.
local function shown(list)
  local words = {}
  for i, word in ipairs(list) do words[i] = word:match("([^/]+/?)$") or word end
  return words
end

--- Completes a line.
-- @param line what stands before the cursor
-- @param width columns of the terminal
-- @param files function(prefix) -> list of paths that begin with it, folders with "/" at
--   their end
-- @return the text to insert, or nil
-- @return the candidates in columns, to be shown, or nil
function complete.complete(line, width, files)
  if line:find("^%s*$") then return "  " end
  local list, prefix, after = candidates(line, files)
  table.sort(list)
  if #list == 0 then return nil end
  if #list == 1 then
    local rest = (list[1] .. (list[1]:sub(-1) == "/" and "" or after)):sub(#prefix + 1)
    return rest ~= "" and rest or nil
  end
  local common = common_prefix(list)
  if #common > #prefix then return common:sub(#prefix + 1) end
  return nil, text.columns(shown(list), width)
end

return complete
