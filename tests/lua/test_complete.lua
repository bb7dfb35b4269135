-- What Tab offers at the prompt.
local lu = require "luaunit"
local pl = require "perilune"
local complete = require "perilune.help.complete".complete

local T = {}

-- Globals of the tests; removed afterwards.
local function with(globals, f)
  for name, value in next, globals do _G[name] = value end
  local ok, message = pcall(f)
  for name in next, globals do _G[name] = nil end
  if not ok then error(message, 0) end
end

local function files(prefix)
  local list = {}
  for _, path in ipairs {"data/images.png", "data/images/", "data/labels.csv", "notes"} do
    if path:sub(1, #prefix) == prefix then list[#list + 1] = path end
  end
  return list
end

local function insert(line)
  return (complete(line, 80, files))
end

-- The candidates that would be shown.
local function list(line)
  local inserted, shown = complete(line, 80, files)
  lu.assertNil(inserted)
  local words = {}
  for word in (shown or ""):gmatch "%S+" do words[#words + 1] = word end
  table.sort(words)
  return words
end

local function lists(line, word)
  for _, candidate in ipairs(list(line)) do
    if candidate == word then return true end
  end
  return false
end

function T.test_globals_and_keywords()
  lu.assertEquals(insert "pri", "nt")
  lu.assertEquals(insert "whi", "le")
  lu.assertEquals(insert "x = 1 + setmeta", "table")
  lu.assertEquals(list "e", {"else", "elseif", "end", "error"})
  lu.assertNil(insert "nosuchname")
  lu.assertEquals(list "nosuchname", {})
end

function T.test_names_with_a_dash_below_come_last()
  lu.assertFalse(lists("s", "_G"))
  lu.assertEquals(insert "_V", "ERSION")
end

function T.test_names_in_the_line()
  lu.assertEquals(insert "local velocity = 1; return velo", "city")
  lu.assertEquals(insert "for counter = 1, 3 do print(cou", "nter")
  lu.assertNil(insert "x.velocity = velo")
end

function T.test_fields()
  lu.assertEquals(insert "string.for", "mat")
  lu.assertEquals(list "string.f", {"find", "format"})
  with({t = {alpha = {beta = 1, ["not a name"] = 2, ["end"] = 3}, 7, {gamma = 1}}}, function()
    lu.assertEquals(insert "t.al", "pha")
    lu.assertEquals(insert "t.alpha.", "beta")
    lu.assertEquals(insert "print(t.alpha.", "beta")
    lu.assertEquals(insert "t['alpha'].b", "eta")
    lu.assertEquals(insert "t[2].g", "amma")
    lu.assertEquals(insert "t[2] . g", "amma")
    lu.assertNil(insert "t.nothing.x")
    lu.assertNil(insert "t().al")
    lu.assertNil(insert "u.al")
  end)
end

function T.test_methods_only_after_a_colon()
  with({o = setmetatable({size = 3}, {__index = {run = print, rest = 1}})}, function()
    lu.assertEquals(insert "o:r", "un")
    lu.assertEquals(list "o.r", {"rest", "run"})
    lu.assertNil(insert "o:si")
  end)
  with({s = "text"}, function()
    lu.assertEquals(insert "s:up", "per")
    lu.assertEquals(insert "s.up", "per")
  end)
end

function T.test_parts_of_the_library_are_loaded()
  lu.assertEquals(insert "pl", nil)
  with({pl = pl}, function()
    lu.assertEquals(insert "pl.data.batch_", "count")
    lu.assertEquals(insert "pl.nn.Line", "ar")
    lu.assertTrue(lists("pl.nn.", "Sequential"))
    lu.assertTrue(lists("pl.", "optim"))
  end)
end

function T.test_tensors_and_modules()
  with({x = pl.zeros(2, 2), net = pl.nn.Sequential {pl.nn.Linear(2, 2)}}, function()
    lu.assertEquals(insert "x:resh", "ape")
    lu.assertEquals(insert "x:requires_grad", "_")
    lu.assertTrue(lists("x.", "grad"))
    lu.assertTrue(lists("x:", "add_"))
    lu.assertEquals(insert "net:zero", "_grad")
    lu.assertEquals(insert "net[1].weig", "ht")
    lu.assertEquals(insert "net[1].weight:num", "el")
  end)
end

function T.test_nothing_of_the_users_is_called()
  local function trap() error "called" end
  local o = setmetatable({}, {__index = trap, __call = trap, __pairs = trap, __len = trap})
  with({o = o, p = setmetatable({}, {__index = o})}, function()
    lu.assertNil(insert "o.x")
    lu.assertNil(insert "o.x.y")
    lu.assertNil(insert "p.x:y")
  end)
end

function T.test_cyclic_metatables_end()
  local a = {}
  a.__index = a
  setmetatable(a, a)
  with({a = a}, function()
    lu.assertNil(insert "a.b.c")
    lu.assertNil(insert "a.zz")
  end)
end

function T.test_string_keys()
  with({t = {["two words"] = 1, other = 2}}, function()
    lu.assertEquals(insert "t['tw", "o words']")
    lu.assertEquals(insert 't["o', 'ther"]')
  end)
end

function T.test_files_inside_strings()
  lu.assertEquals(insert "io.open('no", "tes'")
  lu.assertEquals(insert 'f("da', "ta/")
  lu.assertEquals(list 'f("data/', {"images.png", "images/", "labels.csv"})
  lu.assertEquals(insert 'f("data/l', 'abels.csv"')
  lu.assertEquals(insert 'f("data/images/', nil)
  lu.assertEquals(insert "f([[no", "tes]]")
  lu.assertEquals(insert "f('it\\'s') g('no", "tes'")
end

function T.test_arguments_of_require_and_help()
  lu.assertEquals(insert "require 'perilune.nn.seq", "uential'")
  lu.assertEquals(insert 'help("nn.Line', 'ar"')
  lu.assertEquals(insert "help 'resh", "ape'")
end

function T.test_where_nothing_fits()
  lu.assertNil(insert "-- pri")
  lu.assertNil(insert "--[[ pri")
  lu.assertNil(insert "x = 1.")
  lu.assertNil(insert "f(")
  lu.assertEquals(insert "a..pri", "nt")
  lu.assertEquals(insert "--[[ done ]] pri", "nt")
  lu.assertEquals(insert "'-- not a comment' .. pri", "nt")
end

function T.test_blank_lines_are_indented()
  lu.assertEquals(insert "", "  ")
  lu.assertEquals(insert "    ", "  ")
end

function T.test_columns()
  with({t = {}}, function()
    for i = 10, 40 do t["name" .. i] = i end -- luacheck: ignore
    lu.assertEquals(insert "t.", "name")
    local _, shown = complete("t.name", 24, files)
    lu.assertStrMatches(shown, "name10  name21  name32\n.*")
    for line in shown:gmatch "[^\n]+" do lu.assertTrue(#line <= 24) end
    local _, narrow = complete("t.name", 3, files)
    lu.assertStrMatches(narrow, "name10\nname11\n.*")
  end)
end

return T
