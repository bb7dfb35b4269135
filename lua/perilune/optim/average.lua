--- Averages of weights over the steps of a training.
-- @module perilune.optim.average

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local checks = require "perilune.optim.checks"

local average = {}

local Average = object.class "average"
Average.__name = "average"

local function need_decay(decay)
  if type(decay) ~= "number" or not (decay >= 0 and decay < 1) then
    complain("EMA: decay: number in [0, 1) expected, got %s", check.shown(decay))
  end
end

local function need_boolean(who, name, value)
  if type(value) ~= "boolean" then
    complain("%s: %s: true or false expected, got %s", who, name, check.shown(value))
  end
end

-- What there is to be of tensors: as many, of the same dtypes and sizes. `what` is "mean" or
-- "buffer".
local function need_same(who, what, tensors, others)
  if type(others) ~= "table" or #others ~= #tensors then
    complain("%s: %s %ss for %d parameters", who, type(others) == "table" and #others or "no", what,
      #tensors)
  end
  for i, p in ipairs(tensors) do
    check.tensor(("%s: %s %d"):format(who, what, i), others[i])
    if others[i]:dtype() ~= p:dtype() then
      complain("%s: %s %d is %s, expected %s", who, what, i, others[i]:dtype(), p:dtype())
    end
    if words.shape(others[i]) ~= words.shape(p) then
      complain("%s: %s %d is %s for a parameter of %s", who, what, i, words.shape(others[i]),
        words.shape(p))
    end
  end
end

local function is_module(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "is_module") ~= nil
end

local function kept(list)
  for _, t in ipairs(list) do pl.keep(t) end
  return list
end

-- The average of a module: a copy of it, whose parameters and buffers are the means.
local function of_module(net)
  local copy = net:clone():requires_grad_(false):eval()
  return {params = net:parameters(), means = kept(copy:parameters()), module = copy,
          _buffers = net:buffers(), _buffer_means = kept(copy:buffers())}
end

local function of_list(who, params, means)
  checks.list(who, params)
  for i, p in ipairs(params) do check.tensor(("%s: parameter %d"):format(who, i), p) end
  if means then need_same(who, "mean", params, means) end
  return {params = params, means = means or {}, _borrowed = means ~= nil, _buffers = {},
          _buffer_means = {}}
end

-- parts(n) gives the parts of the average so far and of the n-th step, from the second on.
local function new(who, net, o, parts)
  need_boolean(who, "use_buffers", o.use_buffers)
  if o.means and is_module(net) then
    complain("%s: means: of a list of parameters; a module has a copy of itself", who)
  end
  local self = is_module(net) and of_module(net) or of_list(who, net, o.means)
  self.name, self.n, self._parts, self._average_buffers = who, 0, parts, o.use_buffers
  return setmetatable(self, Average)
end

--- Makes an exponential moving average of weights (Polyak and Juditsky 1992; Tarvainen and Valpola
-- 2017), which often does better than the weights after the last step. The average of the first
-- step is the weights themselves; in a later one it is decay times what it was, and 1 - decay times
-- the weights.
--
--     local ema = optim.EMA(net, {decay = 0.999})
--     ...
--       opt:step()
--       ema:update() -- after each step
--     ...
--     local test = accuracy(ema.module)
--
-- `ema.module` is a copy of the network, in evaluation mode, which has the means. Its buffers are
-- those of the network at the last update, or their averages. Of a list of parameters there is no
-- module: `ema:swap()` exchanges the parameters with their means, and exchanges them back.
-- @param net module, or list of tensors
-- @param[opt] options `decay` (0.999); `warmup` (false), true for a decay of at most k / (k + 9) in
--   the k-th step after the first, so that the beginning is soon forgotten; `use_buffers` (false):
--   average the buffers too; `means`, tensors that hold the average of a list, such as the
--   parameters of a second network, which then has to be saved by itself
-- @return the average, with the fields `n`, how many steps it is of, `means`, and `module`
function average.EMA(net, options)
  local o = option.read("EMA", options, {decay = 0.999, warmup = false, use_buffers = false,
                                         means = option.absent})
  need_decay(o.decay)
  need_boolean("EMA", "warmup", o.warmup)
  return new("EMA", net, o, function(n)
    local decay = o.warmup and math.min(o.decay, (n - 1) / (n + 8)) or o.decay
    return decay, 1 - decay
  end)
end

--- Makes the mean of weights over steps or epochs (Izmailov et al. 2018, stochastic weight
-- averaging), all of which count alike. It is updated at the end of epochs, when the rate is small
-- or constant, see `SWALR`; as its weights have seen no data, batch norm needs statistics
-- afterwards:
--
--     local swa, constant = optim.SWA(net), optim.SWALR(opt, {swa_lr = 0.05})
--     for epoch = 1, 100 do
--       train(net, opt)
--       if epoch <= 75 then
--         schedule:step()
--       else
--         swa:update()
--         constant:step()
--       end
--     end
--     optim.update_bn(data.batches(set), swa.module)
--     local test = accuracy(swa.module)
-- @param net module, or list of tensors
-- @param[opt] options `use_buffers` (false), `means`: as for `EMA`
-- @return the average, as `EMA` gives it
function average.SWA(net, options)
  local o = option.read("SWA", options, {use_buffers = false, means = option.absent})
  return new("SWA", net, o, function(n) return 1 - 1 / n, 1 / n end)
end

-- The first step is the average of itself.
local function begin(self)
  for i, p in ipairs(self.params) do
    if self.means[i] then
      self.means[i]:copy_(p:detach())
    else
      self.means[i] = pl.keep(p:detach():clone())
    end
  end
end

-- Counts of batches and the like are no averages.
local function follow_buffers(self, old, part)
  for i, buffer in ipairs(self._buffers) do
    local mean = self._buffer_means[i]
    if old and self._average_buffers and buffer:dtype() == "real" then
      mean:mul_(old):add_(buffer, part)
    else
      mean:copy_(buffer)
    end
  end
end

--- Takes the weights into the average: after each step, or from the step on from which the average
-- is wanted.
function Average:update()
  self.n = self.n + 1
  pl.tidy(pl.no_grad, function()
    if self.n == 1 then
      begin(self)
      return follow_buffers(self)
    end
    local old, part = self._parts(self.n)
    for i, p in ipairs(self.params) do self.means[i]:mul_(old):add_(p:detach(), part) end
    follow_buffers(self, old, part)
  end)
end

local function exchange(a, b)
  for i, t in ipairs(a) do
    local copy = t:detach():clone()
    t:copy_(b[i])
    b[i]:copy_(copy)
  end
end

--- Exchanges the parameters, and the buffers of a module, with their means. Before the first
-- `update` there is nothing to exchange.
function Average:swap()
  if self.n == 0 then return end
  pl.tidy(pl.no_grad, function()
    exchange(self.params, self.means)
    exchange(self._buffers, self._buffer_means)
  end)
end

--- The number of steps and, unless they are somebody else's, the means, as a plain table for
-- `perilune.save`. The tensors are not copies.
-- @return table
function Average:state_dict()
  return {n = self.n, means = not self._borrowed and self.means or nil,
          buffers = self.module and self._buffer_means or nil}
end

-- Into the tensors of a module, which somebody may hold; else copies.
local function take_means(self, state)
  if self.module then
    pl.no_grad(function()
      for i, mean in ipairs(self.means) do mean:copy_(state.means[i]) end
      for i, buffer in ipairs(self._buffer_means) do buffer:copy_(state.buffers[i]) end
    end)
  elseif not self._borrowed then
    self.means = {}
    for i, mean in ipairs(state.means or {}) do self.means[i] = pl.keep(mean:clone()) end
  end
end

--- Takes over what `state_dict` gave.
-- @param state table
-- @return the average
function Average:load_state_dict(state)
  local who = "load_state_dict of an average"
  if type(state) ~= "table" or math.type(state.n) ~= "integer" or state.n < 0 then
    complain("%s: what state_dict gave expected", who)
  end
  if self.module or not self._borrowed and state.n > 0 then
    need_same(who, "mean", self.params, state.means)
  end
  if self.module then need_same(who, "buffer", self._buffers, state.buffers) end
  take_means(self, state)
  self.n = state.n
  return self
end

--
-- Batch norm
--

-- The layers that have running statistics, and how much of them a batch is.
local function norms_of(net)
  local list = {}
  for _, m in ipairs(net:modules()) do
    local momentum = type(m._attributes) == "table" and m._attributes.momentum
    if check.is_tensor(m.running_mean) and check.is_tensor(m.running_var) then
      if not (type(momentum) == "number" and momentum > 0) then
        complain("update_bn: %s has momentum %s; a positive number expected", tostring(m),
          check.shown(momentum))
      end
      list[#list + 1] = {mean = m.running_mean, var = m.running_var, momentum = momentum,
                         means = pl.zeros_like(m.running_mean), vars = pl.zeros_like(m.running_var)}
    end
  end
  return list
end

-- The statistics of one batch alone are what it adds to zeros, without the momentum.
local function take_batch(net, norms, x, n)
  for _, norm in ipairs(norms) do
    norm.mean:zero_()
    norm.var:zero_()
  end
  net(x)
  for _, norm in ipairs(norms) do
    norm.means:mul_(1 - 1 / n):add_(norm.mean, 1 / n / norm.momentum)
    norm.vars:mul_(1 - 1 / n):add_(norm.var, 1 / n / norm.momentum)
  end
end

local function measure(net, norms, batches)
  local n = 0
  for x in batches do
    n = n + 1
    if not check.is_tensor(x) then
      complain("update_bn: batch %d begins with a %s; the input, a tensor, expected", n,
        check.type(x))
    end
    pl.tidy(take_batch, net, norms, x, n)
  end
  if n == 0 then complain("update_bn: there is no batch") end
  for _, norm in ipairs(norms) do
    norm.mean:copy_(norm.means)
    norm.var:copy_(norm.vars)
  end
end

--- Gives the batch norms of a network the statistics of data: their means over all batches. What
-- `SWA` averages has never seen any. Modes are afterwards what they were.
--
--     optim.update_bn(data.batches(set, {batch_size = 256}), swa.module)
-- @param batches iterator, whose first value is the input of the network
-- @param net module
function average.update_bn(batches, net)
  if not is_module(net) then complain("update_bn: module expected, got %s", check.type(net)) end
  if type(batches) ~= "function" then
    complain("update_bn: iterator over batches expected, got %s", check.type(batches))
  end
  local norms, modes = norms_of(net), {}
  if #norms == 0 then return end
  for _, m in ipairs(net:modules()) do modes[m] = m.training end
  local _ <close> = setmetatable({}, {__close = function()
    for m, training in next, modes do m.training = training end
  end})
  net:train()
  pl.no_grad(measure, net, norms, batches)
end

return average
