--- Gradient clipping.
-- @module perilune.optim.clipping

local pl = require "perilune"
local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local unwrapped = check.unwrapped
local checks = require "perilune.optim.checks"

local clipping = {}

local function gradients(who, params, bound)
  if type(bound) ~= "number" or not (bound > 0) then
    complain("%s: positive number expected as the bound, got %s", who, check.shown(bound))
  end
  checks.list(who, params)
  local list = {}
  for i, p in ipairs(params) do
    if not pl.is_tensor(p) then
      complain("%s: parameter %d is a %s; tensor expected", who, i, check.type(p))
    end
    list[#list + 1] = p.grad
  end
  return list
end

--- Scales all gradients by the same factor if the norm of all of them together is larger
-- than max_norm. A norm that is not finite is given back and changes nothing.
--
--     local norm = optim.clip_grad_norm_(net:parameters(), 5) -- between backward and step
-- @param params list of tensors
-- @param max_norm number
-- @return the norm before
function clipping.clip_grad_norm_(params, max_norm)
  max_norm = unwrapped(max_norm)
  local list = gradients("clip_grad_norm_", params, max_norm)
  if #list == 0 then return 0.0 end
  local norm = core.total_norm(list)
  local factor = max_norm / (norm + 1e-6)
  if factor < 1 and norm < math.huge then
    pl.no_grad(function()
      for _, grad in ipairs(list) do grad:mul_(factor) end
    end)
  end
  return norm
end

--- Cuts every gradient off at -bound and bound.
--
--     optim.clip_grad_value_(net:parameters(), 0.5)
-- @param params list of tensors
-- @param bound number
function clipping.clip_grad_value_(params, bound)
  bound = unwrapped(bound)
  local list = gradients("clip_grad_value_", params, bound)
  pl.no_grad(function()
    for _, grad in ipairs(list) do grad:copy_(grad:clamp(-bound, bound)) end
  end)
end

return clipping
