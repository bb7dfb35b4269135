--- The optimisers. In the formulas g is the gradient, p the parameter; without further
-- word, weight_decay adds weight_decay * p to g.
-- @module perilune.optim.algorithms

local pl = require "perilune"
local core = require "perilune.core"
local check = require "perilune.check"
local optimizer = require "perilune.optim.optimizer"

local algorithms = {}

local function zeros_like(p)
  return pl.keep(pl.zeros(p:size()))
end

-- New buffers are put into the state after the step, which may fail.
local function sgd(p, grad, state, group)
  local buffer = state.momentum_buffer
  local first = buffer == nil
  if group.momentum ~= 0 then buffer = buffer or zeros_like(p) end
  core.sgd_(p, grad, buffer, {
    lr = group.lr, momentum = group.momentum, dampening = group.dampening,
    weight_decay = group.weight_decay, nesterov = group.nesterov, first = first,
  })
  state.momentum_buffer = buffer
end

--- Stochastic gradient descent: p = p - lr g. With momentum b = momentum b + (1 - dampening) g,
-- where b = g in the first step, takes the place of g; with nesterov g + momentum b does.
-- @param params list of tensors, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr`; `momentum` (0), `dampening` (0), `weight_decay` (0), `nesterov` (false)
-- @return the optimiser
function algorithms.SGD(params, options)
  return optimizer.new("SGD", params, options, {
    lr = check.required, momentum = 0, dampening = 0, weight_decay = 0, nesterov = false,
  }, sgd)
end

local function adam_step(decoupled)
  return function(p, grad, state, group)
    local m, v = state.exp_avg or zeros_like(p), state.exp_avg_sq or zeros_like(p)
    local step = (state.step or 0) + 1
    core.adam_(p, grad, m, v, {
      lr = group.lr, beta1 = group.betas[1], beta2 = group.betas[2], eps = group.eps,
      weight_decay = group.weight_decay, decoupled = decoupled, step = step,
    })
    state.exp_avg, state.exp_avg_sq, state.step = m, v, step
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

local function rmsprop(p, grad, state, group)
  local square, buffer = state.square_avg or zeros_like(p), state.momentum_buffer
  if group.momentum ~= 0 then buffer = buffer or zeros_like(p) end
  core.rmsprop_(p, grad, square, buffer, {
    lr = group.lr, alpha = group.alpha, eps = group.eps, weight_decay = group.weight_decay,
    momentum = group.momentum,
  })
  state.square_avg, state.momentum_buffer = square, buffer
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
  local o = check.options("groups", options, {weight_decay = check.absent})
  if type(module) ~= "table" or type(module.parameters) ~= "function" then
    error(("groups: module expected, got %s"):format(type(module)), 2)
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
