--- Times training steps: perilune bench/run.lua [--threads N] [--seconds S] [NAME...]
--
-- Prints for each workload: steps and samples (images, words) per second, milliseconds per
-- step, arithmetic per sample by formula, GFLOP/s, and the peak memory of the process so far.
-- The names `gemm` and `memory` measure what the machine can do: a product of matrices of 1024,
-- and a sum over more memory than the caches hold, whose samples are bytes.

local pl = require "perilune"
local core = require "perilune.core"
local workloads = require "workloads"

local usage = "usage: perilune bench/run.lua [--threads N] [--seconds S] [NAME...]\nnames: "
  .. table.concat(workloads.order, ", ")

local seconds, names = 6, {}
local i = 1
while arg[i] do
  if arg[i] == "--help" then
    print(usage)
    return
  elseif arg[i] == "--threads" then
    core.threads(assert(math.tointeger(arg[i + 1]), "--threads needs a number"))
    i = i + 1
  elseif arg[i] == "--seconds" then
    seconds = assert(tonumber(arg[i + 1]), "--seconds needs a number")
    i = i + 1
  elseif workloads[arg[i]] then
    names[#names + 1] = arg[i]
  else
    error(("unknown workload '%s'\n%s"):format(arg[i], usage), 0)
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

-- The arithmetic of a step.
local function flops_of(step)
  pl.profile.start()
  pl.tidy(step)
  return pl.profile.stop().flops
end

print(("perilune %s threads %d %s"):format(core.version, core.threads(), core.isa()))
pl.manual_seed(0)
for _, name in ipairs(names) do
  local step, n = workloads[name]()
  for _ = 1, 3 do pl.tidy(step) end
  local flops = flops_of(step)
  local start, k = core.clock(), 0
  repeat
    pl.tidy(step)
    k = k + 1
  until core.clock() - start >= seconds
  local dt = core.clock() - start
  print(("%-12s %9.2f steps/s %11.0f samples/s  %9.3f ms/step  %8.3f MFLOP/sample "
    .. "%7.1f GFLOP/s  rss %d MiB"):format(name, k / dt, k * n / dt, 1e3 * dt / k, flops / n / 1e6,
    flops * k / dt / 1e9, peak_memory()))
end
