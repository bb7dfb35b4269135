--- Times training steps: perilune bench/run.lua [--threads N] [--seconds S] [NAME...]
--
-- Prints for each workload: steps and samples (images, words) per second, milliseconds per
-- step, and the peak memory of the process so far.

local pl = require "perilune"
local core = require "perilune.core"
local workloads = require "workloads"

local seconds, names = 6, {}
local i = 1
while arg[i] do
  if arg[i] == "--threads" then
    core.threads(assert(math.tointeger(arg[i + 1]), "--threads needs a number"))
    i = i + 1
  elseif arg[i] == "--seconds" then
    seconds = assert(tonumber(arg[i + 1]), "--seconds needs a number")
    i = i + 1
  elseif workloads[arg[i]] then
    names[#names + 1] = arg[i]
  else
    error(("unknown workload '%s'; known: %s"):format(arg[i], table.concat(workloads.order, ", ")), 0)
  end
  i = i + 1
end
if #names == 0 then names = workloads.order end

-- In MiB.
local function peak_memory()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmHWM:%s*(%d+)")
    if kb then return kb // 1024 end
  end
end

print(("perilune %s threads %d %s"):format(core.version, core.threads(), core.isa()))
pl.manual_seed(0)
for _, name in ipairs(names) do
  local step, n = workloads[name]()
  for _ = 1, 3 do pl.tidy(step) end
  local start, k = core.clock(), 0
  repeat
    pl.tidy(step)
    k = k + 1
  until core.clock() - start >= seconds
  local dt = core.clock() - start
  print(("%-12s %9.2f steps/s %11.0f samples/s  %9.3f ms/step  rss %d MiB"):format(
    name, k / dt, k * n / dt, 1e3 * dt / k, peak_memory()))
end
