-- Drawn calls of Lua's own functions. test_long.c runs this file in a stock state and in one with
-- src/host/long: `outcome(seed, k)` is a text of call k and of all that can be seen of it, and must be
-- the same in both.

local random = math.random

local function one_of(list) return list[random(#list)] end

local function maybe(chance) return random() < chance end

-- What is seen of a value: no addresses, and nothing that is under test.
local function shown(v)
  local kind = math.type(v) or type(v)
  if kind == "string" then return #v .. ":" .. v end
  if kind == "float" and v ~= v then return "nan" end
  if kind == "integer" or kind == "float" or kind == "boolean" then return kind .. " " .. tostring(v) end
  if kind == "table" then
    local text = "{"
    for i = -3, 14 do
      local element = rawget(v, i)
      if element ~= nil then text = text .. i .. "=" .. (type(element) == "table" and "table" or shown(element)) .. " " end
    end
    return text .. "}"
  end
  return kind
end

local function all_shown(...)
  local text = ""
  for i = 1, select("#", ...) do text = text .. shown((select(i, ...))) .. " | " end
  return text
end

--
-- Texts and numbers
--

local letters = {"a", "b", "c", "A", "Z", "0", "7", " ", "\n", "\0", "%", "(", ")", ".", "-", "]", "[", "^", "é",
  "\xff", "\r", '"', "\\", "_", "\127", "$"}

local function text(most)
  if maybe(0.02) then return ("a"):rep(random(190, 210)) end
  local s, simple = "", maybe(0.6)
  for _ = 1, random(0, most or 12) do s = s .. letters[random(simple and 3 or #letters)] end
  return s
end

local edges = {0, 1, -1, 2, -2, 3, 1 << 31, -(1 << 31), math.maxinteger, math.mininteger, math.maxinteger - 1, 2.0, 1.5, "2",
  " 3 ", "x", "0x10", 1e100, 0 / 0, 1 / 0}

local function position() return maybe(0.8) and random(-12, 14) or one_of(edges) end

local function some_number()
  local kind = random(6)
  if kind == 1 then return one_of(edges) end
  if kind == 2 then return random(-1000, 1000) end
  if kind == 3 then return random(0) end
  if kind == 4 then return (random() - 0.5) * 10.0 ^ random(-300, 300) end
  if kind == 5 then return random(-20, 20) / 4 end
  return 0.0
end

local named = setmetatable({}, {__name = "A.Name"})
local told = setmetatable({}, {__tostring = function() return "told\0you" end})
local lies = setmetatable({}, {__tostring = function() return {} end})

local function anything()
  local kind = random(9)
  if kind <= 2 then return text() end
  if kind <= 4 then return some_number() end
  return one_of {true, false, {}, told, rawequal, named, lies, coroutine.create(rawequal)}
end

-- The arguments, now and then with one that is missing, wrong or too many.
local function spoiled(...)
  local n, list = select("#", ...), {...}
  if maybe(0.08) then
    list[random(n + 1)] = anything()
    n = n + random(0, 1)
  elseif maybe(0.04) then n = random(0, n) end
  return table.unpack(list, 1, n)
end

--
-- Patterns
--

local function set()
  local s = maybe(0.3) and "[^" or "["
  if maybe(0.1) then s = s .. "]" end
  for _ = 1, random(1, 3) do
    s = s .. one_of {"a", "b", "a-c", "%a", "%D", "0-9", "-", "%]", "%-", "%", "z-a", ".", "^", "\0", "%%-z", "a-%%", "a-", "]-a"}
  end
  return maybe(0.97) and s .. "]" or s
end

local function single()
  local kind = random(10)
  if kind <= 4 then return one_of {"a", "b", "c", "0", " ", "\0"} end
  if kind <= 6 then return "." end
  if kind == 7 then return set() end
  if kind == 8 then return "%" .. one_of {"a", "d", "l", "s", "u", "w", "x", "p", "c", "g", "A", "S", "W", "."} end
  return one_of {"b", "%%", "$", "^", "]", "-", "é"}
end

local function item(depth)
  local kind = random(26)
  if kind <= 14 then return single() .. one_of {"", "", "*", "+", "-", "?"} end
  if kind <= 19 and depth < 3 then
    local s = ""
    for _ = 1, random(0, 2) do s = s .. item(depth + 1) end
    return "(" .. s .. ")"
  end
  if kind == 20 then return "%" .. one_of {"1", "2", "0", "9"} end
  if kind == 21 then return "%b" .. one_of {"()", "ab", "aa", "a", "", "\0a"} end
  if kind == 22 then return "%f" .. one_of {"[%a]", "[^a]", "[%z]", "a", "", "[a"} end
  if kind == 23 then return one_of {"(", ")", "%", "[", "()", "%f", "$"} end
  return single()
end

local function pattern()
  if maybe(0.03) then return (one_of {"a?", "()", "(a)", ".-"}):rep(one_of {30, 32, 33, 198, 199, 200, 201}) end
  local s = maybe(0.15) and "^" or ""
  for _ = 1, random(0, 5) do s = s .. item(0) end
  return maybe(0.12) and s .. "$" or s
end

local function replacement()
  local kind = random(8)
  if kind <= 3 then
    local s = ""
    for _ = 1, random(0, 4) do s = s .. one_of {"x", "%0", "%1", "%2", "%%", "<", "\0", "é", maybe(0.2) and "%" or "y"} end
    return s
  end
  if kind == 4 then return some_number() end
  if kind == 5 then return {a = "x", b = false, c = 7, [""] = "-", [1] = "one", aa = maybe(0.1) and {} or 1.5} end
  if kind == 6 then return setmetatable({}, {__index = function(_, key) return shown(key) end}) end
  local count = 0
  return function(...)
    count = count + 1
    if count == 3 then return nil end
    if maybe(0.02) then return {} end
    if maybe(0.02) then error("in the function") end
    return all_shown(...)
  end
end

--
-- Formats
--

local function format_call()
  local s, list, n = "", {}, 0
  for _ = 1, random(1, 4) do
    s = s .. text(3):gsub("%%", maybe(0.1) and "%%" or "%%%%") .. "%"
    for _ = 1, maybe(0.4) and random(1, 3) or 0 do s = s .. one_of {"-", "+", " ", "#", "0"} end
    if maybe(0.3) then s = s .. random(0, maybe(0.1) and 120 or 30) end
    if maybe(0.3) then s = s .. "." .. (maybe(0.2) and "" or random(0, maybe(0.1) and 120 or 20)) end
    if maybe(0.01) then s = s .. ("0"):rep(random(17, 22)) end
    s = s .. one_of {"d", "i", "u", "c", "x", "X", "o", "a", "A", "e", "E", "f", "g", "G", "s", "q", "p", "%", "s", "q",
      maybe(0.1) and one_of {"y", "F", "", "l", "*", "\0"} or "d"}
    n = n + 1
    local kind = random(8)
    if kind <= 3 then list[n] = some_number()
    elseif kind == 4 then list[n] = text(maybe(0.1) and 150 or 10)
    elseif kind == 5 then list[n] = random(0, 300)
    elseif kind == 6 then list[n] = one_of {true, false, told, lies}
    elseif kind == 7 then list[n] = tostring(random(-9, 9)) end
  end
  return s, table.unpack(list, 1, maybe(0.95) and n or n - 1)
end

--
-- Tables
--

local log

local function note(what, key, value)
  if #log > 1500 then error("enough", 0) end
  log = log .. what .. shown(key) .. (value ~= nil and "=" .. shown(value) or "") .. "; "
end

local thread = coroutine.create(rawequal)

-- A table that tells how it is used, unless quiet; its length may be a lie.
local function watched(inner, length, quiet)
  local tell = quiet and function() end or note
  local events = {
    __index = function(_, key) tell("get ", key) return inner[key] end,
    __newindex = function(_, key, value) tell("set ", key, value) inner[key] = value end,
    __len = function() tell("len ", 0) return length or #inner end,
  }
  if not length and maybe(0.1) then events[one_of {"__index", "__newindex", "__len"}] = nil end
  if maybe(0.05) then events.__eq = function() tell("eq", 0) return maybe(0.5) end end
  if maybe(0.1) then -- what is no table will do
    debug.setmetatable(thread, events)
    return thread
  end
  return setmetatable({}, events)
end

local function list_of(most, element)
  local t = {}
  for i = 1, random(0, most) do t[i] = element() end
  return t
end

local function any_table(element)
  local t = list_of(8, element or function() return maybe(0.5) and random(-9, 9) or text(3) end)
  if maybe(0.7) then return t end
  return watched(t, maybe(0.3) and one_of {0, 3, -5, math.maxinteger, math.maxinteger - 1, math.mininteger, 1.5, "2", "x", 2.0} or nil)
end

local function near_end() return maybe(0.15) and math.maxinteger - random(0, 3) or position() end

-- table.sort: whether it compares the same elements in the same sequence is seen, not when it reads them.
local function sort_call()
  local kind = random(6)
  local mixed = maybe(0.1)
  local t = list_of(kind == 6 and 400 or 12, function()
    if kind == 6 then return random(0) end
    return mixed and anything() or random(1, 9)
  end)
  local order = one_of {
    function(a, b) return a < b end, function(a, b) return a > b end, function() return true end,
    function() return false end, function(a, b) return a <= b end, function() return maybe(0.5) end,
    function(a) return a < 5 end, function() if maybe(0.05) then error("in the order") end return 0 end}
  if kind == 1 or kind == 6 then return t, kind == 6 and maybe(0.5) and function(a, b) return a > b end or nil end
  if kind == 2 then t = watched(t, nil, true) end
  return t, function(a, b) note("less ", a, b) return order(a, b) end
end

--
-- UTF-8, code
--

-- Surrogates and their neighbours, too large, too long, too short, and the largest and least of a length.
local odd_codes = {"\u{80}", "\u{7FF}", "\u{800}", "\u{10000}", "\u{D7FF}", "\u{D800}", "\u{DFFF}", "\u{E000}", "\u{110000}", "\u{7FFFFFFF}", "\u{3FFFFFF}", "\u{4000000}",
  "\u{1FFFFF}", "\u{200000}", "\xff", "\xFE", "\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xE2\x82", "\xF0\x8F\xBF\xBF",
  "\xF8\x87\xBF\xBF\xBF", "\xFC\x83\xBF\xBF\xBF\xBF"}

local function utf8_text()
  local s = ""
  for _ = 1, random(0, 6) do
    s = s .. one_of {"a", "é", "\u{20AC}", "\u{10FFFF}", "\0", maybe(0.3) and one_of(odd_codes) or "z"}
  end
  return s
end

local function walk(s, lax)
  local seen = ""
  for p, c in utf8.codes(s, lax) do seen = seen .. p .. ":" .. c .. " " end
  return seen
end

local function code()
  local s = ""
  for _ = 1, random(1, 4) do
    s = s .. one_of {"return 1 ", "local x = 5 ", "x = ... ", "return x ", "for i = 1, 3 do end ", "\n", "-- comment\n", "'text' ",
      "return 'long" .. ("x"):rep(random(300)) .. "' ", "+ ", "function f() return f end ", "[[", "\0", "#!first\n",
      "\27Lua", "goto x ", "break "}
  end
  return s
end

local function reader(s)
  local at, odd = 1, maybe(0.1)
  return function()
    if odd and maybe(0.1) then return one_of {{}, 5, "", false} end
    if at > #s + 40 then return nil end
    local piece = s:sub(at, at + random(0, 40))
    at = at + #piece
    return piece
  end
end

local function loaded(...)
  local f, message = load(...)
  if not f then return f, message end
  return pcall(f, 7)
end

local function load_call()
  local s = maybe(0.1) and string.dump(load("local a = ... return a, x"), maybe(0.5)) or code()
  if maybe(0.05) then s = s:sub(1, random(#s)) end
  local name = one_of {false, "=name", "@file", "text\nof two lines"} or nil
  return maybe(0.5) and s or reader(s), name, one_of {false, "t", "b", "bt", "x"} or nil,
    table.unpack({one_of {false, {x = 3}, 5}}, 1, random(0, 1))
end

local function dumped(strip) return string.dump(load(code() .. "\nreturn function(...) return ..., x end", "=d") or walk, strip) end

--
-- Packing
--

local function pack_format()
  local s = ""
  for _ = 1, random(1, 5) do
    s = s .. one_of {"b", "B", "h", "H", "i", "I", "l", "L", "j", "J", "T", "f", "d", "n", "z", "s", "x", " ", "<", ">", "=", "!",
      "i3", "I16", "i7", "I" .. random(0, 18), "!" .. random(0, 18), "s1", "s" .. random(0, 17), "c" .. random(0, 9), "X", "Xi4", "Xz", "X!",
      maybe(0.1) and one_of {"c", "y", "c0", "i99999999999", "c70000", "Xs1", "Xi3", "!3i3", "\0"} or "j"}
  end
  return s
end

local function pack_values()
  local list = {}
  for i = 1, random(1, 6) do
    local kind = random(4)
    list[i] = kind == 1 and text(6) or kind == 2 and random(-128, 255) or kind == 3 and some_number() or random(0, 100)
  end
  return table.unpack(list)
end

-- What was packed, cut or spoiled, read again.
local function repacked(form, at, ...)
  local packed = string.pack(form, ...)
  if maybe(0.2) then packed = packed:sub(1, random(0, #packed)) end
  if maybe(0.2) then packed = packed .. text(4) end
  return packed, string.unpack(form, packed, at)
end

--
-- The functions, how often each is drawn, and its arguments
--

local calls = {
  {9, "find", string, function() return text(), pattern(), maybe(0.3) and position() or nil, maybe(0.1) end},
  {7, "match", string, function() return text(), pattern(), maybe(0.3) and position() or nil end},
  {9, "gsub", string, function() return text(), pattern(), replacement(), maybe(0.2) and position() or nil end},
  {5, "walk through gmatch", function(...)
    local seen = ""
    local f = string.gmatch(...)
    for _ = 1, 40 do
      local found = all_shown(f())
      if found == "" then return seen end
      seen = seen .. found
    end
  end, function() return text(), pattern(), maybe(0.3) and position() or nil end},
  {9, "format", string, format_call},
  {1, "rep", string, function() return text(5), random(-2, 9), maybe(0.5) and text(3) or nil end},
  {1, "rep", string, function() return one_of {"x", "xy", ""}, one_of {1 << 62, 1 << 31, math.mininteger, (1 << 31) + 1},
    one_of {"ab", "xyz", text(3) .. "z"} end},
  {2, "byte", string, function() return text(), position(), maybe(0.6) and position() or nil end},
  {1, "upper", string, function() return text(30) end},
  {1, "lower", string, function() return text(30) end},
  {1, "reverse", string, function() return text(30) end},
  {1, "dumped", dumped, function() return maybe(0.5) end},
  {3, "pack", string, function() return pack_format(), pack_values() end},
  {1, "packsize", string, function()
    return (maybe(0.1) and ("c214748360"):rep(random(8, 10)) or "") .. pack_format() .. (maybe(0.1) and ("d"):rep(random(10)) or "")
  end},
  {2, "unpack", string, function() return pack_format(), text(20), maybe(0.3) and position() or nil end},
  {4, "repacked", repacked, function() return pack_format(), maybe(0.2) and position() or nil, pack_values() end},
  {3, "concat", table, function() return any_table(), maybe(0.5) and text(2) or nil, maybe(0.3) and near_end() or nil,
    maybe(0.3) and near_end() or nil end},
  {2, "insert", table, function() return any_table(), near_end(), maybe(0.7) and random(50) or nil end},
  {2, "insert", table, function() return any_table(), random(50) end},
  {3, "remove", table, function() return any_table(), maybe(0.8) and near_end() or nil end},
  {4, "move", table, function() return any_table(), near_end(), maybe(0.8) and random(-2, 9) or near_end(), near_end(),
    maybe(0.4) and any_table() or nil end},
  {3, "unpack", table, function() return any_table(), maybe(0.6) and position() or nil, maybe(0.6) and random(-3, 20) or nil end},
  {5, "sort", table, sort_call},
  {2, "char", utf8, function() return random(0, 0x7FFFFFFF), random(0, 300), maybe(0.1) and some_number() or 65 end},
  {2, "len", utf8, function() return utf8_text(), position(), position(), maybe(0.5) end},
  {2, "len", utf8, function() return utf8_text() end},
  {2, "codepoint", utf8, function() return utf8_text(), position(), position(), maybe(0.5) end},
  {2, "codepoint", utf8, function() return utf8_text(), 1, -1 end},
  {3, "offset", utf8, function() return utf8_text(), position(), maybe(0.6) and position() or nil end},
  {2, "walk", walk, function() return utf8_text(), maybe(0.5) end},
  {1, "a step of codes", function(s, at, lax) return utf8.codes(s, lax)(s, at) end, function() return utf8_text(), position(), maybe(0.5) end},
  {2, "loaded", loaded, load_call},
}

local hat = {} -- each call as often as it is drawn
for _, call in ipairs(calls) do
  for _ = 1, call[1] do hat[#hat + 1] = call end
end

-- As a method, the error says so and counts otherwise.
local function as_method(name) return load("local self = ... return self:" .. name .. "(select(2, ...))", "=method") end

local function bounded(name, s, n, gap)
  if name ~= "rep" or type(s) ~= "string" or math.type(n) ~= "integer" then return true end
  return n < 100 or (#s > 0 or type(gap) == "string" and #gap > 0) and n >= 1 << 31
end

-- No call that would run long with the stock functions.
local function short(name, ...)
  local a = {...}
  if name == "rep" then return bounded(name, ...) end
  if name ~= "move" then return true end
  local first, last = math.tointeger(tonumber(a[2])), math.tointeger(tonumber(a[3]))
  return not first or not last or last < first or math.ult(last - first, 1000) or type(a[1]) ~= "table"
end

return function(seed, k)
  math.randomseed(seed, k)
  log = ""
  debug.setmetatable(thread, nil)
  local call = one_of(hat)
  local library, draw = call[3], call[4]
  local arguments = table.pack(spoiled(draw()))
  local text_of_call = call[2] .. "(" .. all_shown(table.unpack(arguments, 1, arguments.n)) .. ")"
  if not short(call[2], table.unpack(arguments, 1, arguments.n)) then return text_of_call end
  local f = type(library) == "function" and library or library[call[2]]
  if library == string and maybe(0.2) then f = as_method(call[2]) end
  local result = all_shown(pcall(f, table.unpack(arguments, 1, arguments.n)))
  local after = ""
  for i = 1, arguments.n do
    if type(arguments[i]) == "table" then after = after .. shown(arguments[i]) end
  end
  return text_of_call .. "\n  " .. result .. "\n  " .. after .. "\n  " .. log
end
