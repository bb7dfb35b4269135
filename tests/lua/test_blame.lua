--- Which line an error of the library names: the script's, however it came to the error.

local lu = require "luaunit"
local pl = require "perilune"
local blame = require "perilune.internal.blame"
local doc = require "perilune.help.doc"
local sources = require "perilune.sources"

local T = {}

-- The message of the error of a chunk, whose lines are those of "script".
local function message_of(text, ...)
  local ok, message = pcall(assert(load(text, "=script")), ...)
  lu.assertFalse(ok, text)
  return message
end

local LINEAR <const> = "Linear: number of inputs: positive integer expected, got -1"

function T.test_however_deep_the_error_lies()
  lu.assertEquals(message_of("local nn = ...\nlocal a = nn.Linear(-1, 2)", pl.nn),
                  "script:2: " .. LINEAR)
  lu.assertEquals(message_of("local nn = ...\nlocal a = nn.Conv2d(1, 2, 0)", pl.nn),
                  "script:2: Conv2d: kernel size: integer of at least 1, or two of them, expected")
  lu.assertEquals(message_of("local o = ...\nlocal a = o.SGD({}, {})", pl.optim),
                  "script:2: SGD: option 'lr' is missing")
end

function T.test_calls_that_leave_no_frame_of_their_own()
  lu.assertEquals(message_of("local nn = ...\nlocal ok, m = pcall(nn.Linear, -1, 2)\nerror(m, 0)",
                             pl.nn), "script:2: " .. LINEAR)
  lu.assertEquals(message_of([[local nn = ...
    local function make() return nn.Linear(-1, 2) end
    local a = make()]], pl.nn), "script:3: " .. LINEAR)
end

function T.test_functions_of_the_script_that_the_library_calls()
  lu.assertEquals(message_of("local pl = ...\npl.tidy(function()\n  pl.nn.Linear(-1, 2)\nend)", pl),
                  "script:3: " .. LINEAR)
end

function T.test_coroutines()
  lu.assertEquals(message_of([[local nn = ...
    coroutine.wrap(function()
      nn.Linear(-1, 2)
    end)()]], pl.nn):gsub("^script:%d+: ", "", 1), "script:3: " .. LINEAR)
  local _, message = coroutine.resume(coroutine.create(pl.nn.init.gain), "x")
  lu.assertStrMatches(message, "gain: .*") -- no line of a script in it
end

function T.test_what_functions_of_c_say()
  lu.assertStrMatches(
    message_of("local data, x = ...\nlocal a = data.subset({x}, {9})", pl.data, pl.ones(1)),
    "script:2: index_select: .*")
  lu.assertStrMatches(message_of("local i, x = ...\ni.normal_(x, 'a')", pl.nn.init, pl.ones(1)),
                      "script:2: normal_: argument 1: number expected, .*")
end

function T.test_errors_that_are_not_the_librarys()
  lu.assertEquals(message_of("local b = ...\nb.blaming(function() error 'mine' end)", blame),
                  "script:2: mine")
  local thing = {}
  lu.assertIs(select(2, pcall(blame.blaming, error, thing)), thing)
  local net = pl.nn.module {forward = function() error("mine", 0) end}
  lu.assertStrMatches(select(2, pcall(net)), "mine %(in .*%)")
end

-- Whose places are looked for in as many calls as the stack holds; without an end to that it took
-- minutes.
function T.test_recursion_without_end()
  local Loop = pl.nn.class "BlameLoop"
  function Loop:forward(x) local y = self.other(x) return y end
  local a, b, began = Loop(), Loop(), os.clock()
  a.other, b.other = b, a
  local _, message = pcall(a, pl.ones(1))
  lu.assertStrMatches(message, ".*test_blame.lua:%d+: stack overflow %(in .*%)")
  lu.assertTrue(#message < 5000 and os.clock() - began < 5)
  local nested = pl.nn.Linear(2, 2)
  for _ = 1, 20000 do nested = pl.nn.Sequential {nested} end
  lu.assertStrMatches(select(2, pcall(nested, pl.ones(3))), "linear: x is .* %(in Sequential%.1.*")
  lu.assertTrue(os.clock() - began < 10)
end

function T.test_files_of_a_script_in_a_folder_with_the_librarys_name()
  for _, chunk in ipairs {"@perilune/mine.lua", "@/home/me/perilune/nn/init.lua", "@perilune.lua"} do
    local f = load("local nn = ...\nlocal a = nn.Linear(-1, 2)", chunk)
    lu.assertEquals(select(2, pcall(f, pl.nn)), chunk:sub(2) .. ":2: " .. LINEAR)
  end
end

function T.test_names_that_a_script_took()
  local taken = {"error", "debug", "xpcall"}
  local kept = {}
  for _, name in ipairs(taken) do kept[name], _G[name] = _G[name], false end
  local ok, message = pcall(load("local nn = ...\nlocal a = nn.Linear(-1, 2)", "=script"), pl.nn)
  for _, name in ipairs(taken) do _G[name] = kept[name] end
  lu.assertEquals({ok, message}, {false, "script:2: " .. LINEAR})
end

function T.test_without_the_debug_library()
  local chunk = sources.find "perilune.internal.blame"
  local env = setmetatable({debug = false}, {__index = _G})
  local without = load(doc.source(chunk), chunk, "t", env)()
  lu.assertEquals(select(2, pcall(without.complain, "%d apples", 3)), "3 apples")
  lu.assertEquals(select(2, pcall(without.blaming, error, "no line", 0)), "no line")
end

return T
