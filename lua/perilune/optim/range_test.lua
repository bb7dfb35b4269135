--- The learning-rate range test.
-- @module perilune.optim.range_test

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local optimizer = require "perilune.optim.optimizer"
local schedule = require "perilune.optim.schedule"

local range_test = {}

local OPTIONS <const> = {
  min_lr = 1e-7, max_lr = 10, steps = 100, smoothing = 0.95, diverge = 4, batches = option.absent,
}

local function read_options(who, given)
  local o = option.read(who, given, OPTIONS)
  schedule.need_number(who, "min_lr", o.min_lr, 0)
  schedule.need_number(who, "max_lr", o.max_lr, 0)
  if not (0 < o.min_lr and o.min_lr < o.max_lr) then
    complain("%s: 0 < min_lr < max_lr expected, got %g and %g", who, o.min_lr, o.max_lr)
  end
  o.steps = check.count(who, "steps", o.steps)
  if o.steps < 2 then complain("%s: steps: at least 2 expected, got 1", who) end
  schedule.need_number(who, "smoothing", o.smoothing, 0, 1)
  if o.smoothing == 1 then complain("%s: smoothing: number below 1 expected, got 1", who) end
  schedule.need_number(who, "diverge", o.diverge, 1)
  return o
end

local function check_arguments(who, net, loss, opt)
  if type(net) ~= "table" or type(net.parameters) ~= "function" then
    complain("%s: module expected, got %s", who, check.type(net))
  elseif type(loss) ~= "function" and not (type(loss) == "table" and getmetatable(loss)) then
    complain("%s: loss: function or module expected, got %s", who, check.type(loss))
  end
  schedule.need_optimizer(who, opt)
  if optimizer.evaluates(opt) then
    complain("%s: %s looks for the length of its steps itself", who, opt.name)
  end
end

-- What a training changes, to be put back when the result of this goes out of scope: also after an
-- error.
local function as_before(net, opt)
  local random, tensors, grads, modes = pl.random_state(), {}, {}, {}
  for _, list in ipairs {net:parameters(), net:buffers()} do
    for _, t in ipairs(list) do tensors[t] = t:detach():clone() end
  end
  for _, group in ipairs(opt.groups) do
    for _, p in ipairs(group.params) do
      tensors[p], grads[p] = tensors[p] or p:detach():clone(), p.grad or false
    end
  end
  for _, m in ipairs(net:modules()) do modes[m] = m.training end
  local state = opt:state_dict()
  opt:load_state_dict(state) -- which makes copies: the tensors of `state` stay as they are
  return setmetatable({}, {__close = function()
    pl.no_grad(function()
      for t, value in next, tensors do t:copy_(value) end
    end)
    for p, grad in next, grads do p.grad = grad or nil end
    for m, training in next, modes do m.training = training end
    opt:load_state_dict(state)
    pl.set_random_state(random)
  end})
end

-- A step of training at a rate, of which the groups have shares; the loss before it.
local function train(net, loss, opt, batches, shares, lr)
  for i, group in ipairs(opt.groups) do group.lr = lr * shares[i] end
  local x, y = batches:next()
  opt:zero_grad()
  local value = loss(net(x), y)
  if not check.is_tensor(value) or value:numel() ~= 1 then
    complain("find_lr: loss: it gave a %s; a tensor of one element expected", check.type(value))
  end
  value:backward()
  opt:step()
  return value:item()
end

-- The losses at growing rates, smoothed, until they diverge.
local function sweep(net, loss, opt, batches, o)
  local shares, found, mean = {}, {lr = {}, loss = {}}, 0
  for i, group in ipairs(opt.groups) do
    shares[i] = opt.lr > 0 and group.lr / opt.lr or 1
  end
  local lowest = math.huge
  for i = 1, o.steps do
    local lr = o.min_lr * (o.max_lr / o.min_lr) ^ ((i - 1) / (o.steps - 1))
    mean = o.smoothing * mean
      + (1 - o.smoothing) * pl.tidy(train, net, loss, opt, batches, shares, lr)
    local smoothed = mean / (1 - o.smoothing ^ i) -- the first ones weigh less
    if not (smoothed <= o.diverge * lowest) then break end
    lowest = math.min(lowest, smoothed)
    found.lr[i], found.loss[i] = lr, smoothed
  end
  return found
end

-- The rate at which the loss falls the most from one step to the next; the first steps are noise.
local function steepest(found)
  local best, fall = nil, 0
  for i = math.max(2, #found.loss // 10), #found.loss - 1 do
    local change = found.loss[i + 1] - found.loss[i - 1]
    if change < fall then best, fall = found.lr[i], change end
  end
  return best
end

local function picture(found)
  local fig = pl.plot.figure {}
  local panel = fig:panel {x_scale = "log", x_label = "learning rate", y_label = "loss",
                           title = "Learning-rate range test"}
  panel:line(found.lr, found.loss)
  if found.suggested then
    panel:vline(found.suggested, {label = ("steepest at %.2g"):format(found.suggested)})
  end
  return fig
end

--- The learning-rate range test (Smith 2015): trains for some steps whose rate grows from min_lr to
-- max_lr, and gives the loss at each. A good rate for the training is where the loss falls the
-- most, or a little below the one where it rises. The network, the optimiser and the random numbers
-- are afterwards what they were.
--
--     local found, figure = optim.find_lr(net, pl.cross_entropy, opt, {x, y}, {max_lr = 1})
--     figure:save "rates.png"
--     opt.lr = found.suggested
-- @param net module
-- @param loss function(output, y) that gives a tensor of one element, or a module
-- @param opt the optimiser; its groups keep the proportions of their rates
-- @param set as for `data.batches`, whose batches are an x and a y
-- @param[opt] options `min_lr` (1e-7), `max_lr` (10), `steps` (100); `smoothing` (0.95): of the
--   mean of the losses, the part that is not the last; `diverge` (4): ends when the loss is so many
--   times the lowest; `batches`, options of `data.cycle`: `{batch_size = 64}`
-- @return table: `lr` and `loss`, lists; `suggested`, the rate where the loss falls the most, or
--   nil
-- @return the figure; nil if the first loss is no number
function range_test.find_lr(net, loss, opt, set, options)
  local who = "find_lr"
  local o = read_options(who, options)
  check_arguments(who, net, loss, opt)
  local _ <close> = as_before(net, opt)
  net:train()
  local found = sweep(net, loss, opt, pl.data.cycle(set, o.batches), o)
  found.suggested = steepest(found)
  return found, #found.lr > 0 and picture(found) or nil
end

return range_test
