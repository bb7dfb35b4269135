--- Groups of parameters with options of their own.
-- @module perilune.optim.groups

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"

local groups = {}

--- Splits the parameters of a network into those that weight decay is for and those with
-- one dimension, biases and the factors of norms, that get none. Frozen ones are there too, so that
-- they are trained when they are no longer frozen.
--
--     optim.AdamW(optim.groups(net, {weight_decay = 0.1}), {lr = 1e-3})
--
-- Groups are a list that one can write, too; what a group does not say is the optimiser's own. Here
-- the body of a network learns ten times more slowly than its head, which has no momentum:
--
--     local opt = optim.SGD({
--       {params = net.body:parameters(), lr = 0.01},
--       {params = net.head:parameters(), momentum = 0},
--     }, {lr = 0.1, momentum = 0.9})
--     opt.groups[1].lr = 0.02 -- opt.lr = 0.02 sets all
--
-- @param module the network
-- @param[opt] options `weight_decay` of the former; without it, the optimiser's own
-- @return list of groups
function groups.groups(module, options)
  local o = option.read("groups", options, {weight_decay = option.absent})
  if type(module) ~= "table" or type(module.parameters) ~= "function" then
    complain("groups: module expected, got %s", check.type(module))
  end
  local decayed = {params = {}, weight_decay = o.weight_decay}
  local others = {params = {}, weight_decay = 0}
  for _, p in ipairs(module:parameters()) do
    local list = (p:dim() > 1 and decayed or others).params
    list[#list + 1] = p
  end
  local list = {}
  if #decayed.params > 0 then list[1] = decayed end
  if #others.params > 0 then list[#list + 1] = others end
  return list
end

return groups
