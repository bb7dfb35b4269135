--- Checks of arguments that the library's modules share (internal).
-- @module perilune.internal.check

local check = {}

--- Whether a value is a tensor.
-- @param value anything
-- @return boolean
function check.is_tensor(value)
  local meta = type(value) == "userdata" and getmetatable(value)
  return type(meta) == "table" and meta.__name == "perilune.tensor"
end

--- The number of edits that turn one word into another: a letter changed, left out or put
-- in, or two neighbours swapped.
-- @param a word
-- @param b word
-- @return integer
function check.distance(a, b)
  local before, row = {}, {} -- the last two rows of the table of distances
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local next_row = {[0] = i}
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(row[j - 1] + (same and 0 or 1), row[j] + 1, next_row[j - 1] + 1)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      next_row[j] = d
    end
    before, row = row, next_row
  end
  return row[#b]
end

--- The known word that a misspelled one was probably meant to be.
-- @param word the word that is not known
-- @param known list of words
-- @return the nearest known word, or nil if none is near
function check.nearest(word, known)
  local best, best_distance = nil, math.max(1, #word // 3) + 1
  for _, candidate in ipairs(known) do
    local d = check.distance(word, candidate)
    if #word > 2 and candidate:sub(1, #word) == word then d = 1 end
    if d < best_distance then best, best_distance = candidate, d end
  end
  return best
end

--- The keys of a table as sorted strings.
-- @param t table
-- @return list of strings
function check.names(t)
  local names = {}
  for key in next, t do names[#names + 1] = tostring(key) end
  table.sort(names)
  return names
end

--- A copy of `defaults`, overridden by the options given. An unknown option raises an
-- error that lists the known ones.
-- @param who the function's name, for messages
-- @param given table of options or nil
-- @param defaults table that has every option; `check.required` and `check.absent` mark
--   those without a default
-- @param[opt=3] level whom the error blames, as in `error`
-- @return table
function check.options(who, given, defaults, level)
  level = level or 3
  if given ~= nil and type(given) ~= "table" then
    error(("%s: options: table expected, got %s"):format(who, type(given)), level)
  end
  local result = {}
  for name, value in next, defaults do
    if value ~= check.required and value ~= check.absent then result[name] = value end
  end
  for _, name in ipairs(check.names(given or {})) do
    if defaults[name] == nil then
      error(("%s: unknown option '%s'; known: %s"):format(
        who, name, table.concat(check.names(defaults), ", ")), level)
    end
    result[name] = given[name]
  end
  for _, name in ipairs(check.names(defaults)) do
    if defaults[name] == check.required and result[name] == nil then
      error(("%s: option '%s' is missing"):format(who, name), level)
    end
  end
  return result
end

check.required = setmetatable({}, {__name = "required option"})
check.absent = setmetatable({}, {__name = "option without a default"})

--- Raises an error unless the value is a positive integer.
-- @param who the function's name
-- @param what the argument's name
-- @param value to check
-- @param[opt=3] level whom the error blames
-- @return the value as an integer
function check.count(who, what, value, level)
  local n = math.type(value) and math.tointeger(value)
  if not n or n < 1 then
    error(("%s: %s: positive integer expected, got %s"):format(who, what, tostring(value)),
          (level or 3))
  end
  return n
end

--- Raises an error unless the value is an integer of at least 0.
-- @param who the function's name
-- @param what the argument's name
-- @param value to check
-- @param[opt=3] level whom the error blames
-- @return the value as an integer
function check.natural(who, what, value, level)
  local n = math.type(value) and math.tointeger(value)
  if not n or n < 0 then
    error(("%s: %s: integer of at least 0 expected, got %s"):format(who, what, tostring(value)),
          level or 3)
  end
  return n
end

--- Raises an error unless the value can be the name of a file.
-- @param who the function's name
-- @param path to check
-- @param[opt=3] level whom the error blames
function check.path(who, path, level)
  if type(path) ~= "string" then
    error(("%s: path expected, got %s"):format(who, type(path)), level or 3)
  elseif path == "" or path:find("\0", 1, true) then
    error(("%s: path expected, got an empty or binary string"):format(who), level or 3)
  end
end

local function pass(level, ok, ...)
  if not ok then error(..., level) end
  return ...
end

--- Calls a function of the engine so that its errors blame the caller of the library.
-- @param level whom errors blame, as in `error`: 2 is the caller of the function that calls this
-- @param f the function
-- @param ... its arguments
-- @return its results
function check.call(level, f, ...)
  return pass(level + 1, pcall(f, ...)) -- a tail call: it is no level of its own
end

--- A shape as text: `[64,10]`.
-- @param tensor
-- @return string
function check.shape(tensor)
  return "[" .. table.concat(tensor:size(), ",") .. "]"
end

--- Cuts a long list of words down for a message.
-- @param words list of strings
-- @param[opt=4] most how many to show
-- @return string
function check.some(words, most)
  most = most or 4
  if #words <= most then return table.concat(words, ", ") end
  return ("%s and %d more"):format(table.concat(words, ", ", 1, most), #words - most)
end

return check
