--- The optimisers. In the formulas g is the gradient, p the parameter; without further
-- word, weight_decay adds weight_decay * p to g.
-- @module perilune.optim.algorithms

local pl = require "perilune"
local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local option = require "perilune.internal.option"
local optimizer = require "perilune.optim.optimizer"

local algorithms = {}

-- What the states remember under a name, or zeros.
local function remembered(params, states, name)
  local list = {}
  for i, p in ipairs(params) do list[i] = states[i][name] or pl.keep(pl.zeros(p:size())) end
  return list
end

-- To be called after the step, which may fail.
local function remember(states, name, list)
  for i, state in ipairs(states) do state[name] = list[i] end
end

-- A buffer begins with the first gradient, not with zeros.
local function sgd(params, grads, states, group)
  local buffers, first
  if group.momentum ~= 0 then
    buffers, first = remembered(params, states, "momentum_buffer"), {}
    for i, state in ipairs(states) do first[i] = state.momentum_buffer == nil end
  end
  core.sgd_(params, grads, buffers, first, {
    lr = group.lr, momentum = group.momentum, dampening = group.dampening,
    weight_decay = group.weight_decay, nesterov = group.nesterov,
  })
  if buffers then remember(states, "momentum_buffer", buffers) end
end

--- Stochastic gradient descent: p = p - lr g. With momentum b = momentum b + (1 - dampening) g,
-- where b = g in the first step, takes the place of g; with nesterov g + momentum b does.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr`; `momentum` (0), `dampening` (0), `weight_decay` (0), `nesterov` (false)
-- @return the optimiser
function algorithms.SGD(params, options)
  return optimizer.new("SGD", params, options, {
    lr = option.required, momentum = 0, dampening = 0, weight_decay = 0, nesterov = false,
  }, sgd)
end

local function adam_step(decoupled)
  return function(params, grads, states, group)
    local ms = remembered(params, states, "exp_avg")
    local vs, steps = remembered(params, states, "exp_avg_sq"), {}
    for i, state in ipairs(states) do steps[i] = (state.step or 0) + 1 end
    core.adam_(params, grads, ms, vs, steps, {
      lr = group.lr, beta1 = group.betas[1], beta2 = group.betas[2], eps = group.eps,
      weight_decay = group.weight_decay, decoupled = decoupled,
    })
    remember(states, "exp_avg", ms)
    remember(states, "exp_avg_sq", vs)
    remember(states, "step", steps)
  end
end

local adam, adamw = adam_step(false), adam_step(true)

--- Adam (Kingma and Ba 2015): with m and v the decaying means of g and g^2, divided by
-- 1 - beta^step, p = p - lr m / (sqrt(v) + eps).
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0)
-- @return the optimiser
function algorithms.Adam(params, options)
  return optimizer.new("Adam", params, options,
    {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0}, adam)
end

--- Adam with decoupled weight decay (Loshchilov and Hutter 2019): weight_decay does not
-- enter g; before each step p = p - lr weight_decay p.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `betas` ({0.9, 0.999}), `eps` (1e-8), `weight_decay` (0.01)
-- @return the optimiser
function algorithms.AdamW(params, options)
  return optimizer.new("AdamW", params, options,
    {lr = 1e-3, betas = {0.9, 0.999}, eps = 1e-8, weight_decay = 0.01}, adamw)
end

local function rmsprop(params, grads, states, group)
  local squares = remembered(params, states, "square_avg")
  local buffers = group.momentum ~= 0 and remembered(params, states, "momentum_buffer") or nil
  core.rmsprop_(params, grads, squares, buffers, {
    lr = group.lr, alpha = group.alpha, eps = group.eps, weight_decay = group.weight_decay,
    momentum = group.momentum,
  })
  remember(states, "square_avg", squares)
  if buffers then remember(states, "momentum_buffer", buffers) end
end

--- RMSprop (Hinton 2012): with s = alpha s + (1 - alpha) g^2, p = p - lr g / (sqrt(s) + eps).
-- With momentum b = momentum b + g / (sqrt(s) + eps), and p = p - lr b.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (0.01), `alpha` (0.99), `eps` (1e-8), `weight_decay` (0), `momentum` (0)
-- @return the optimiser
function algorithms.RMSprop(params, options)
  return optimizer.new("RMSprop", params, options,
    {lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0}, rmsprop)
end

--- Splits the parameters of a network into those that weight decay is for and those with
-- one dimension, biases and the factors of norms, that get none. Frozen ones are left out.
--
--     optim.AdamW(optim.groups(net, {weight_decay = 0.1}), {lr = 1e-3})
--
-- @param module the network
-- @param[opt] options `weight_decay` of the former; without it, the optimiser's own
-- @return list of groups
function algorithms.groups(module, options)
  local o = option.read("groups", options, {weight_decay = option.absent})
  if type(module) ~= "table" or type(module.parameters) ~= "function" then
    complain("groups: module expected, got %s", type(module))
  end
  local decayed = {params = {}, weight_decay = o.weight_decay}
  local others = {params = {}, weight_decay = 0}
  for _, p in ipairs(module:parameters()) do
    local list = (p:dim() > 1 and decayed or others).params
    if p.requires_grad then list[#list + 1] = p end
  end
  local groups = {}
  if #decayed.params > 0 then groups[1] = decayed end
  if #others.params > 0 then groups[#groups + 1] = others end
  return groups
end

return algorithms
