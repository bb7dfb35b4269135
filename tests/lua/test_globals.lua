--- What a script does with the names of Lua's own functions is its own affair: the library has them
--- as they were at the start.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}

local NAMES <const> = {
  "assert", "coroutine", "debug", "error", "getmetatable", "io", "ipairs", "load", "math", "next",
  "os", "pairs", "pcall", "print", "rawget", "require", "select", "setmetatable", "string", "table",
  "tonumber", "tostring", "type", "utf8"}

--- Calls f(...) while all of them are numbers.
local function with_names_taken(f, ...)
  local globals, outside, list, call = _G, {}, NAMES, pcall
  for i, name in ipairs(list) do outside[name], globals[name] = globals[name], i end
  local ok, result = call(f, ...)
  for name, value in outside.pairs(outside) do globals[name] = value end
  assert(ok, result)
  return result
end

function T.test_training()
  local x = pl.ones(4, 2)
  local loss = with_names_taken(function()
    local net = pl.nn.Sequential {pl.nn.Linear(2, 3), pl.nn.ReLU(), pl.nn.Linear(3, 1)}
    local opt = pl.optim.Adam(net:parameters(), {lr = 0.1})
    for _ = 1, 3 do
      pl.tidy(function()
        opt:zero_grad()
        net(x):sum():backward()
        opt:step()
      end)
    end
    return net(x):sum():item()
  end)
  lu.assertEquals(math.type(loss), "float")
end

function T.test_files_plots_and_texts()
  local inspect = require "perilune.help.inspect"
  local path = os.tmpname()
  local text = with_names_taken(function()
    pl.save(path, {rate = 0.5, list = {1, 2}})
    pl.plot.line({1, 2, 3}, {title = "x"}):save(path .. ".png")
    return inspect.text(pl.load(path), 80)
  end)
  lu.assertStrContains(text, "rate = 0.5")
  os.remove(path)
  os.remove(path .. ".png")
end

function T.test_errors_name_what_was_wrong()
  lu.assertErrorMsgContains("Linear", with_names_taken, pl.nn.Linear, "two")
end

--- What is redefined on purpose is used.
function T.test_print_may_be_redefined()
  local before, printed = print, {}
  print = function(text) printed[#printed + 1] = text end -- luacheck: ignore
  pl.help "tidy"
  print = before -- luacheck: ignore
  lu.assertStrContains(printed[1], "tidy")
end

return T
