--- The frame of long harnesses; see scripts/regime.sh.
--
-- A regime is a file beside this one that returns a function of a seed: it tries one case, draws it
-- from that seed alone, and returns nothing if all is well, else what is wrong. It may return
-- `nil, true` for a case that says nothing, which is not counted.

local pl = require "perilune"
local core = require "perilune.core"

local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. folder .. "/../lua/?.lua;" .. package.path

local function fail(...)
  io.stderr:write("regime: ", string.format(...), "\n")
  os.exit(2)
end

local function read_options(list)
  local options = {minutes = 5, seed = os.time() % 1000000 * 1000}
  for i = 2, #list, 2 do
    local name = list[i]:match "^%-%-(%a+)$"
    if not options[name or ""] then fail("unknown option '%s'; --minutes or --seed expected", list[i]) end
    local value = tonumber(list[i + 1])
    if not value or value < 0 then fail("%s needs a number, not '%s'", list[i], list[i + 1] or "") end
    options[name] = value
  end
  options.seed = math.tointeger(options.seed) or fail "--seed needs an integer"
  return options
end

local name, options = arg[1], read_options(arg)
local try = require(name)
local started, passed, failed, unclear = pl.clock(), 0, 0, 0

-- One line that is written over on a terminal, and a line every ten seconds elsewhere.
local terminal = core.isatty(1)
local shown = -math.huge
local function show(seed)
  local now = pl.clock()
  if now - shown < (terminal and 0.2 or 10) then return end
  shown = now
  io.write(terminal and "\r" or "", ("%s: seed %d, %d passed, %d failed, %d unclear, %.0f s"):format(
    name, seed, passed, failed, unclear, now - started), terminal and "\27[K" or "\n")
  io.flush()
end

pl.handle_interrupts(true)
local seed = options.seed
repeat
  local message, says_nothing = try(seed)
  if pl.interrupted() then break end
  if message then
    failed = failed + 1
    print(("%s%s\nagain: scripts/regime.sh %s --minutes 0 --seed %d"):format(
      terminal and "\r\27[K" or "", message, name, seed))
  elseif says_nothing then unclear = unclear + 1
  else passed = passed + 1 end
  show(seed)
  seed = seed + 1
until pl.clock() - started >= 60 * options.minutes
if terminal then print() end
print(("%d unclear; seeds %d to %d"):format(unclear, options.seed, seed - 1))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0, true)
