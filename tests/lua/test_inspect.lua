-- How values look at the prompt.
local lu = require "luaunit"
local pl = require "perilune"
local inspect = require "perilune.help.inspect"

local T = {}
local text = inspect.text

function T.test_single_values()
  lu.assertEquals(text(nil), "nil")
  lu.assertEquals(text(true), "true")
  lu.assertEquals(text(3), "3")
  lu.assertEquals(text(3.0), "3.0")
  lu.assertEquals(text(0 / 0), "nan")
  lu.assertEquals(text(-1 / 0), "-inf")
end

function T.test_strings_are_quoted()
  lu.assertEquals(text "a", '"a"')
  lu.assertEquals(text 'say "x"\\', [["say \"x\"\\"]])
  lu.assertEquals(text "a\nb\tc\r", [["a\nb\tc\r"]])
  lu.assertEquals(text "\0\27\127", [["\x00\x1b\x7f"]])
  lu.assertEquals(text "é→", '"é→"')
  lu.assertEquals(text "\255", [["\xff"]])
end

function T.test_strings_read_back_the_same()
  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  local s = table.concat(all)
  lu.assertEquals(load("return " .. text(s))(), s)
end

function T.test_long_strings_are_cut_inside_tables_only()
  local s = ("x"):rep(300)
  lu.assertEquals(#text(s), 302)
  lu.assertEquals(text({s}, 500), '{"' .. ("x"):rep(200) .. '" .. 100 bytes}')
  local inside = text({("é"):rep(300)}, 500)
  lu.assertNotNil(utf8.len(inside))
end

function T.test_small_tables_take_one_line()
  lu.assertEquals(text {}, "{}")
  lu.assertEquals(text {1, 2, 3}, "{1, 2, 3}")
  lu.assertEquals(text {1, 2, x = {y = "z"}}, '{1, 2, x = {y = "z"}}')
  lu.assertEquals(text {{}, {{}}}, "{{}, {{}}}")
end

function T.test_keys_are_sorted_and_written_as_in_lua()
  lu.assertEquals(text {b = 1, a = 2, [10] = 3, [-1] = 4, ["a b"] = 5, ["end"] = 6},
                  '{[-1] = 4, [10] = 3, a = 2, ["a b"] = 5, b = 1, ["end"] = 6}')
  lu.assertEquals(text {[true] = 1, [1.5] = 2, x = 3}, "{[1.5] = 2, x = 3, [true] = 1}")
  lu.assertEquals(text {1, nil, 3}, "{1, [3] = 3}")
end

function T.test_large_tables_are_broken_up()
  local words = {}
  for i = 1, 12 do words[i] = "number" .. i end
  lu.assertEquals(text({words = words, n = 1}, 40), [[
{
  n = 1,
  words = {
    "number1", "number2", "number3",
    "number4", "number5", "number6",
    "number7", "number8", "number9",
    "number10", "number11", "number12"
  }
}]])
end

function T.test_width_is_kept()
  local rows = {}
  for i = 1, 20 do
    rows[i] = {}
    for j = 1, 20 do rows[i][j] = i * j end
  end
  for _, width in ipairs {20, 40, 79} do
    for line in text({rows = rows, name = "table"}, width):gmatch "[^\n]+" do
      lu.assertTrue(#line <= width, ("%d: %s"):format(width, line))
    end
  end
end

function T.test_long_tables_are_cut()
  local list, map = {}, {}
  for i = 1, 1000 do list[i], map["k" .. i] = i, i end
  lu.assertStrContains(text(list), "100, ... 900 more")
  lu.assertStrContains(text(map), "... 900 more")
  local many = {}
  for i = 1, 100 do many[i] = list end
  lu.assertTrue(#text(many) < 20000)
end

function T.test_cycles_and_depth()
  local t = {1}
  t.self = t
  lu.assertEquals(text(t), "{1, self = <cycle>}")
  local shared = {}
  lu.assertEquals(text {shared, shared}, "{{}, {}}")
  local deep = {}
  local inner = deep
  for _ = 1, 10 do
    inner.x = {}
    inner = inner.x
  end
  lu.assertStrContains(text(deep), "{...}")
end

function T.test_functions_have_names()
  lu.assertEquals(text(print), "function: print")
  lu.assertEquals(text(string.format), "function: string.format")
  lu.assertEquals(text(pl.conv2d), "function: pl.conv2d")
  lu.assertEquals(text(pl.nn.class), "function: pl.nn.class")
  lu.assertStrMatches(text(function() end), "function: .*test_inspect%.lua:%d+")
end

function T.test_many_functions_are_only_named()
  lu.assertStrContains(text(math), "-- functions: abs, acos")
  lu.assertStrContains(text(math), "huge = inf")
end

function T.test_parts_of_the_library_inside_tables()
  lu.assertEquals(text {pl.nn.Linear, pl.nn}, "{<pl.nn.Linear>, <pl.nn>}")
  lu.assertStrContains(text(pl), "nn = <pl.nn>")
end

function T.test_tensors_and_modules()
  lu.assertEquals(text(pl.zeros(2, 3)), tostring(pl.zeros(2, 3)))
  lu.assertEquals(text {x = pl.zeros(2, 3)}, "{x = real[2,3]}")
  local net = pl.nn.Linear(2, 3)
  lu.assertEquals(text(net), tostring(net))
  lu.assertStrContains(text {net}, "{Linear(2, 3)")
end

function T.test_objects()
  local point = setmetatable({x = 1}, {__name = "Point"})
  lu.assertEquals(text(point), "Point {x = 1}")
  local odd = setmetatable({}, {__tostring = function() return "one\ntwo" end})
  lu.assertEquals(text(odd), "one\ntwo")
  lu.assertEquals(text {odd}, "{one}")
  local bad = setmetatable({}, {__tostring = function() error "no" end})
  lu.assertEquals(text(bad), "table whose __tostring fails")
  local trap = setmetatable({1}, {__index = error, __pairs = error, __len = error})
  lu.assertEquals(text(trap), "{1}")
  lu.assertEquals(text(setmetatable({1}, {__metatable = "locked"})), "{1}")
end

function T.test_show_prints_each_value()
  local lines, before = {}, print
  print = function(line) lines[#lines + 1] = line end -- luacheck: ignore
  local ok, message = pcall(inspect.show, 1, nil, "a", nil)
  print = before -- luacheck: ignore
  lu.assertTrue(ok, message)
  lu.assertEquals(lines, {"1", "nil", '"a"', "nil"})
end

return T
