--- Starting experiments as programs, for the tests of this folder.

local core = require "perilune.core"

local program = {}

-- The program that runs this file.
local function executable()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

--- A new temporary folder; the caller removes it with `program.remove`.
function program.folder()
  local pipe <close> = assert(io.popen("mktemp -d"))
  return pipe:read "l"
end

function program.remove(folder)
  os.execute("rm -rf '" .. folder .. "'")
end

--- Runs a shell command line with @perilune replaced by the program.
-- @param line the command
-- @return its output, stderr included
-- @return its exit status
function program.run(line)
  local command = line:gsub("@perilune", (executable():gsub("%%", "%%%%")))
  local pipe = assert(io.popen("{ " .. command .. " ; } 2>&1; echo \"status $?\""))
  local output = pipe:read "a"
  pipe:close()
  local text, status = output:match "^(.*)status (%d+)\n$"
  return text, math.tointeger(status)
end

--- Starts a command in the background and sends it a signal when a file has at least so many
-- bytes; waits for its end.
-- @param line the command
-- @param signal "INT" or "KILL"
-- @param file to watch
-- @param bytes how long it must be
-- @return output and exit status of the command
function program.stop(line, signal, file, bytes)
  return program.run(([[
    %s & pid=$!
    i=0
    while [ "$(wc -c < '%s' 2>/dev/null || echo 0)" -lt %d ] && [ $i -lt 3000 ]; do sleep 0.01; i=$((i+1)); done
    kill -%s $pid; wait $pid]]):format(line, file, bytes, signal))
end

--- The records of a metrics.jsonl, without what depends on the clock.
function program.metrics(path, clocks)
  local list = {}
  for line in io.lines(path) do
    local record = assert(core.json_decode(line))
    for _, name in ipairs(clocks or {"seconds"}) do record[name] = nil end
    list[#list + 1] = record
  end
  return list
end

--- All bytes of a file.
function program.bytes(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

return program
