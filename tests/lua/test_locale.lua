--- Numbers in files never depend on the locale. A program of its own sets one with a decimal comma,
--- made for the test.

local lu = require "luaunit"

local T = {}

local SCRIPT <const> = [[
local pl = require "perilune"
local core = require "perilune.core"
local report = require "perilune.experiment.report"
local path <const> = arg[1] .. "/file"
assert(os.setlocale "de_DE.UTF-8")
assert(tostring(0.5) == "0,5")
local values = {0.9, -0.5, 1e300, 2.5e-7, 3}
assert(core.json_encode(values) == "[0.9,-0.5,1e+300,2.5e-07,3]")
assert(core.json_decode("[0.25]")[1] == 0.25)
assert(pl.save(path, {rate = 0.1, values = values, t = pl.full({2}, 0.5)}))
local back = assert(pl.load(path))
assert(back.rate == 0.1 and back.values[2] == -0.5 and back.t[2] == 0.5)
local net = pl.nn.Sequential {pl.nn.Linear(3, 2), pl.nn.LeakyReLU(0.5)}
assert(pl.export_c(path .. ".h", net:eval(), {input = 3, name = "net"}))
local text = pl.read_file(path .. ".h")
assert(text:find "%d%.%d" and text:find "0%.5f" and not text:find "%d,%d")
assert(report.table({{x = 0.25}, {x = {0.5, 1}}}, {"x"}):match "0.25\n.*0.75 ± 0.3536")
print "done"
]]

--- The program that runs this test, and what a command prints.
local function output(command)
  local pipe <close> = io.popen(command)
  return (pipe:read "a":gsub("%s+$", ""))
end

function T.test_decimal_comma()
  local folder = os.tmpname()
  os.remove(folder)
  os.execute(("mkdir '%s'"):format(folder))
  os.execute(("localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' 2> /dev/null"):format(folder))
  local made = os.rename(folder .. "/de_DE.UTF-8", folder .. "/de_DE.UTF-8")
  local file = assert(io.open(folder .. "/script.lua", "w"))
  file:write(SCRIPT):close()
  local program = output "readlink /proc/$PPID/exe"
  local said = made and output(("LOCPATH='%s' '%s' '%s/script.lua' '%s' 2>&1"):format(folder, program,
    folder, folder))
  os.execute(("rm -rf '%s'"):format(folder))
  lu.skipIf(not made, "no locale with a decimal comma could be made")
  lu.assertEquals(said, "done")
end

return T
