--- Whole trainings on the stand-ins: perilune tests/training/run.lua [lenet5.lua ...]
--
-- Each file of this folder returns a table of tests, as the specs of tests/lua do. They start
-- the experiments as a person would, stop them, and go on. Last line: `N passed, N failed`.

local lu = require "luaunit"

local folder = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = folder .. "/?.lua;" .. package.path

local names = {}
for i = 1, #arg do names[i] = arg[i]:match("[^/]+$") end
if #names == 0 then
  local list <close> = assert(io.popen("ls '" .. folder .. "'"))
  for name in list:lines() do
    if name:match("%.lua$") and name ~= "run.lua" and name ~= "program.lua" then
      names[#names + 1] = name
    end
  end
end

local suites = {}
for i, name in ipairs(names) do
  suites[i] = {(name:gsub("%.lua$", "")), assert(loadfile(folder .. "/" .. name))()}
end
local runner = lu.LuaUnit.new()
runner:setOutputType "text"
runner:runSuiteByInstances(suites)
local r = runner.result
local failed = r.failureCount + r.errorCount
print(("%d passed, %d failed"):format(r.successCount, failed))
os.exit(failed == 0 and 0 or 1, true)
