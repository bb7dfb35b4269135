--- Stochastic gradient descent.
-- @module perilune.optim.algorithms.sgd

local core = require "perilune.core"
local optimizer = require "perilune.optim.optimizer"

-- A buffer begins with the first gradient, not with zeros.
local function step_all(params, grads, states, o)
  local buffers, first
  if o.momentum ~= 0 then
    buffers, first = optimizer.remembered(params, states, "momentum_buffer"), {}
    for i, state in ipairs(states) do first[i] = state.momentum_buffer == nil end
  end
  core.sgd_(params, grads, buffers, first, {
    lr = o.lr, momentum = o.momentum, dampening = o.dampening, weight_decay = o.weight_decay,
    nesterov = o.nesterov, maximize = o.maximize,
  })
  optimizer.remember(states, {momentum_buffer = buffers})
end

local function check(o)
  if o.nesterov and (o.momentum == 0 or o.dampening ~= 0) then
    return "nesterov needs a momentum and no dampening"
  end
end

--- Stochastic gradient descent: p = p - lr g. With momentum b = momentum b + (1 - dampening) g,
-- where b = g in the first step, takes the place of g; with nesterov g + momentum b does.
--
--     local opt = optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9, nesterov = true})
--
-- Here and in all optimisers `maximize` goes up the gradient: it takes -g for g.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr`; `momentum` (0), `dampening` (0), `weight_decay` (0), `nesterov` (false),
--   `maximize` (false)
-- @return the optimiser
local SGD = optimizer.new {
  name = "SGD",
  options = {
    lr = optimizer.required, momentum = 0, dampening = 0, weight_decay = 0, nesterov = false,
    maximize = false,
  },
  check = check,
  state = {momentum_buffer = "tensor"},
  step_all = step_all,
}

return {SGD = SGD}
