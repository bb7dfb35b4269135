--- Runs the Lua specs: perilune tests/lua/run.lua [-v] [2/4 | test_ops.lua ...], all by default;
-- 2/4 is every fourth, from the second on.
--
-- A spec is a file that returns a table of functions named test_something. After each test
-- as many tensors must live as before it. The last line is `N passed, N failed`.

local lu = require "luaunit"
local pl = require "perilune"

local folder = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = folder .. "/?.lua;" .. package.path

local function all_specs()
  local files, list = {}, assert(io.popen("ls '" .. folder .. "'"))
  for name in list:lines() do
    if name:match("^test_.*%.lua$") then files[#files + 1] = name end
  end
  list:close()
  return files
end

local function live()
  collectgarbage()
  collectgarbage()
  return pl.memory().tensors
end

-- The tests of a file, with the check for tensors that stay alive around each.
local function load_spec(name)
  local spec, before = assert(loadfile(folder .. "/" .. name))(), 0
  local set_up, tear_down = spec.setUp, spec.tearDown
  function spec:setUp()
    if set_up then set_up(self) end
    before = live()
  end
  function spec:tearDown()
    local after = live()
    if tear_down then tear_down(self) end
    lu.assertEquals(after, before, "tensors alive after the test")
  end
  return spec
end

local verbose, names, skipped, first, step = false, {}, 0, 1, 1
for _, word in ipairs(arg) do
  local part, parts = word:match "^(%d+)/(%d+)$"
  if word == "-v" then verbose = true
  elseif part then first, step = math.tointeger(part), math.tointeger(parts)
  else names[#names + 1] = word:match("[^/]+$") end
end
if #names == 0 then
  local all = all_specs()
  for i = first, #all, step do names[#names + 1] = all[i] end
end

local specs = {}
for _, name in ipairs(names) do
  local spec = load_spec(name)
  if spec.skip then
    skipped = skipped + 1
    print(("%s: skipped, %s"):format(name, spec.skip))
  else
    specs[#specs + 1] = {(name:gsub("%.lua$", "")), spec}
  end
end

local runner = lu.LuaUnit.new()
runner:setOutputType(verbose and "tap" or "text")
runner:runSuiteByInstances(specs)
local r = runner.result
local failed = r.failureCount + r.errorCount
print(("%d passed, %d failed"):format(r.successCount, failed))
os.exit(failed == 0 and 0 or 1, true)
