--- Loads PyTorch's networks, trains them a little, and writes them by PyTorch's names, and what they give.
-- perilune back.lua FOLDER

local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. package.path
local pl = require "perilune"
local networks = require "networks"

for name, row in pairs(networks) do
  local net = row.make()
  pl.nn.from_torch(net, assert(pl.load(here .. name .. ".safetensors")))
  local opt = pl.optim.SGD(net:train():parameters(), {lr = 0.01})
  for _ = 1, 3 do
    opt:zero_grad()
    net(row.input):square():mean():backward()
    opt:step()
  end
  local path = ("%s/%s"):format(arg[1], name)
  assert(pl.save(path .. ".safetensors", pl.nn.to_torch(net)))
  assert(pl.save(path .. "-results.safetensors", {results = net:eval()(row.input)}))
end
