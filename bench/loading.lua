-- Reading a folder of pictures with data.folder and data.batches.
--
-- usage: perilune bench/loading.lua FOLDER WORKERS
--
-- Prints files per second, from the folder to the last batch.

local pl = require "perilune"

local folder, workers = arg[1], math.tointeger(tonumber(arg[2]))
if not workers then
  io.stderr:write "usage: perilune bench/loading.lua FOLDER WORKERS\n"
  os.exit(2)
end

local began, n = pl.clock(), 0
local set = assert(pl.data.folder(folder))
for _, y in pl.data.batches(set, {workers = workers}) do
  n = n + #y
end
print(("%.0f"):format(n / (pl.clock() - began)))
