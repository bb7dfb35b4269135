--- What the host's C functions for networks call (internal).
-- @module perilune.internal.border

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local nn = require "perilune.nn"

local border = {}

--- The network in a file, for evaluation.
-- @param path of a file that `perilune.save(path, net)` wrote
function border.load(path)
  local net = pl.load(path)
  if not nn.is_module(net) then
    complain("%s: there is no network in it; perilune.save(path, net) writes one", path)
  end
  return net:eval()
end

--- A network that a script has.
-- @param value that should be one
-- @param name of the global
function border.check(value, name)
  if not nn.is_module(value) then
    complain("%s: network expected, got %s", name, check.type(value))
  end
  return value:eval()
end

--- What another host needs to have the same network.
-- @param net module
-- @return text, and a list of tensors
function border.describe(net)
  return require("perilune.internal.transfer").describe(net)
end

--- The network of a description.
-- @param text what `describe` gave
-- @param tensors that go with it
function border.rebuild(text, tensors)
  local net = require("perilune.internal.transfer").rebuild(text, tensors):eval()
  collectgarbage() -- the constructors' initial values
  return net
end

return border
