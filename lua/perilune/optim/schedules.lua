--- Learning-rate schedules that are a function of the number of steps. Formulas and defaults are
-- PyTorch's; in them lr is a group's rate before any schedule set it, t the number of calls of
-- `step`.
-- @module perilune.optim.schedules

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local schedule = require "perilune.optim.schedule"

local schedules = {}

local new, need_number = schedule.new, schedule.need_number

--- Multiplies the rate by gamma after every step_size steps: lr gamma^(t // step_size).
--
--     local schedule = optim.StepLR(opt, {step_size = 30})
-- @param opt the optimiser
-- @param options `step_size`; `gamma` (0.1)
-- @return the schedule
function schedules.StepLR(opt, options)
  local o = option.read("StepLR", options, {step_size = option.required, gamma = 0.1})
  local size = check.count("StepLR", "step_size", o.step_size)
  need_number("StepLR", "gamma", o.gamma, 0)
  return new("StepLR", opt, function(t, lr) return lr * o.gamma ^ (t // size) end)
end

--- Multiplies the rate by gamma at each milestone: lr gamma^n, where n of them are at most t.
--
--     local schedule = optim.MultiStepLR(opt, {milestones = {30, 80}})
-- @param opt the optimiser
-- @param options `milestones`, list of numbers of steps; `gamma` (0.1)
-- @return the schedule
function schedules.MultiStepLR(opt, options)
  local who = "MultiStepLR"
  local o = option.read(who, options, {milestones = option.required, gamma = 0.1})
  need_number(who, "gamma", o.gamma, 0)
  if type(o.milestones) ~= "table" then
    complain("%s: milestones: list of integers expected, got %s", who, check.shown(o.milestones))
  end
  local milestones = {}
  for i, at in ipairs(o.milestones) do milestones[i] = check.natural(who, "milestones", at) end
  return new(who, opt, function(t, lr)
    local n = 0
    for _, at in ipairs(milestones) do n = n + (t >= at and 1 or 0) end
    return lr * o.gamma ^ n
  end)
end

--- Multiplies the rate by gamma in every step: lr gamma^t.
--
--     local schedule = optim.ExponentialLR(opt, {gamma = 0.95})
-- @param opt the optimiser
-- @param options `gamma`
-- @return the schedule
function schedules.ExponentialLR(opt, options)
  local o = option.read("ExponentialLR", options, {gamma = option.required})
  need_number("ExponentialLR", "gamma", o.gamma, 0)
  return new("ExponentialLR", opt, function(t, lr) return lr * o.gamma ^ t end)
end

--- A smaller rate during the first steps: lr factor while t < total_iters, then lr.
--
--     local schedule = optim.ConstantLR(opt, {factor = 0.1, total_iters = 100})
-- @param opt the optimiser
-- @param options `factor` (1 / 3), `total_iters` (5)
-- @return the schedule
function schedules.ConstantLR(opt, options)
  local who = "ConstantLR"
  local o = option.read(who, options, {factor = 1 / 3, total_iters = 5})
  need_number(who, "factor", o.factor, 0, 1)
  local last = check.natural(who, "total_iters", o.total_iters)
  return new(who, opt, function(t, lr) return t < last and lr * o.factor or lr end)
end

--- From one factor to another in equal steps: lr (start_factor + (end_factor - start_factor)
-- min(1, t / total_iters)); a warm-up.
--
--     local schedule = optim.LinearLR(opt, {start_factor = 0.01, total_iters = 500})
-- @param opt the optimiser
-- @param options `start_factor` (1 / 3), `end_factor` (1), `total_iters` (5)
-- @return the schedule
function schedules.LinearLR(opt, options)
  local who = "LinearLR"
  local o = option.read(who, options, {start_factor = 1 / 3, end_factor = 1, total_iters = 5})
  need_number(who, "start_factor", o.start_factor, 0, 1)
  need_number(who, "end_factor", o.end_factor, 0, 1)
  local last = check.count(who, "total_iters", o.total_iters)
  return new(who, opt, function(t, lr)
    return lr * (o.start_factor + (o.end_factor - o.start_factor) * math.min(t, last) / last)
  end)
end

--- Down to 0 by a power: lr (1 - min(1, t / total_iters))^power.
--
--     local schedule = optim.PolynomialLR(opt, {total_iters = epochs, power = 0.9})
-- @param opt the optimiser
-- @param options `total_iters` (5), `power` (1)
-- @return the schedule
function schedules.PolynomialLR(opt, options)
  local who = "PolynomialLR"
  local o = option.read(who, options, {total_iters = 5, power = 1})
  local last = check.count(who, "total_iters", o.total_iters)
  need_number(who, "power", o.power, 0)
  return new(who, opt, function(t, lr) return lr * (1 - math.min(t, last) / last) ^ o.power end)
end

-- From one value to another along half a cosine.
local function half_cosine(from, to, part)
  return to + (from - to) * (1 + math.cos(math.pi * part)) / 2
end

--- Half a cosine (Loshchilov and Hutter 2017) from the rate down to eta_min at t = T_max, where it
-- stays: eta_min + (lr - eta_min) (1 + cos(pi (t - warmup) / (T_max - warmup))) / 2, after a linear
-- rise lr (t + 1) / (warmup + 1) during the first `warmup` steps.
--
--     local schedule = optim.CosineAnnealingLR(opt, {T_max = epochs, warmup = 5})
-- @param opt the optimiser
-- @param options `T_max`, the number of steps; `eta_min` (0); `warmup` (0)
-- @return the schedule
function schedules.CosineAnnealingLR(opt, options)
  local who = "CosineAnnealingLR"
  local o = option.read(who, options, {T_max = option.required, eta_min = 0, warmup = 0})
  local last, low, warmup = check.count(who, "T_max", o.T_max), o.eta_min, o.warmup
  need_number(who, "eta_min", low, 0)
  need_number(who, "warmup", warmup, 0)
  if warmup >= last then
    complain("%s: warmup of %g steps in a T_max of %d", who, warmup, last)
  end
  return new(who, opt, function(t, lr)
    if t < warmup then return lr * (t + 1) / (warmup + 1) end
    return half_cosine(lr, low, math.min(1, (t - warmup) / (last - warmup)))
  end)
end

--- Half a cosine again and again (Loshchilov and Hutter 2017, SGDR): eta_min + (lr - eta_min) (1 +
-- cos(pi i / T)) / 2, where T is first T_0 and T_mult times longer after each restart, and i counts
-- the steps from it on.
--
--     local schedule = optim.CosineAnnealingWarmRestarts(opt, {T_0 = 10, T_mult = 2})
-- @param opt the optimiser
-- @param options `T_0`, the steps until the first restart; `T_mult` (1); `eta_min` (0)
-- @return the schedule
function schedules.CosineAnnealingWarmRestarts(opt, options)
  local who = "CosineAnnealingWarmRestarts"
  local o = option.read(who, options, {T_0 = option.required, T_mult = 1, eta_min = 0})
  local first, mult = check.count(who, "T_0", o.T_0), check.count(who, "T_mult", o.T_mult)
  need_number(who, "eta_min", o.eta_min, 0)
  return new(who, opt, function(t, lr)
    local length = first
    while mult > 1 and t >= length do t, length = t - length, length * mult end
    return half_cosine(lr, o.eta_min, t % length / length)
  end)
end

--- Multiplies the rate by a function of t, which is 0 at first: lr f(t).
--
--     local schedule = optim.LambdaLR(opt, function(t) return 1 / (1 + t) end)
-- @param opt the optimiser
-- @param f function(t) that gives a number
-- @return the schedule
function schedules.LambdaLR(opt, f)
  if type(f) ~= "function" then
    complain("LambdaLR: function expected, got %s", check.type(f))
  end
  return new("LambdaLR", opt, function(t, lr)
    local factor = f(t)
    if type(factor) ~= "number" then
      complain("LambdaLR: the function gave a %s for %d; number expected", check.type(factor), t)
    end
    return lr * factor
  end)
end

--
-- Cycles
--

local function straight(from, to, part) return from + (to - from) * part end

local ANNEALING <const> = {cos = half_cosine, linear = straight}

-- The function that an option `anneal_strategy` names.
local function annealing(who, name)
  schedule.need_one_of(who, "anneal_strategy", name, {"cos", "linear"})
  return ANNEALING[name]
end

-- The momenta between which a schedule goes, as lists for the groups; nil if it leaves them alone.
local function momenta(who, opt, o)
  schedule.need_boolean(who, "cycle_momentum", o.cycle_momentum)
  if not o.cycle_momentum then return nil end
  schedule.need_momentum(who, opt)
  return {low = schedule.per_group(who, opt, "base_momentum", o.base_momentum, 0),
          high = schedule.per_group(who, opt, "max_momentum", o.max_momentum, 0)}
end

local function one_cycle_steps(who, o)
  if o.total_steps then return check.count(who, "total_steps", o.total_steps) end
  if not o.epochs or not o.steps_per_epoch then
    complain("%s: total_steps, or epochs and steps_per_epoch, expected", who)
  end
  return check.count(who, "epochs", o.epochs)
    * check.count(who, "steps_per_epoch", o.steps_per_epoch)
end

-- The phases: where each ends, and from which level to which it goes, of "start", "top" and "end".
local function one_cycle_phases(who, o, total)
  need_number(who, "pct_start", o.pct_start, 0, o.three_phase and 0.5 or 1)
  local up = {last = o.pct_start * total - 1, from = "start", to = "top"}
  if not o.three_phase then return {up, {last = total - 1, from = "top", to = "end"}} end
  return {up, {last = 2 * o.pct_start * total - 2, from = "top", to = "start"},
          {last = total - 1, from = "start", to = "end"}}
end

-- The phase of step t and how much of it is over.
local function phase_of(phases, t)
  local first = 0
  for i, phase in ipairs(phases) do
    if t <= phase.last or i == #phases then
      local length = phase.last - first
      return phase, length == 0 and 1 or math.min(1, (t - first) / length)
    end
    first = phase.last
  end
end

local ONE_CYCLE <const> = {
  max_lr = option.required, total_steps = option.absent, epochs = option.absent,
  steps_per_epoch = option.absent, pct_start = 0.3, anneal_strategy = "cos", cycle_momentum = true,
  base_momentum = 0.85, max_momentum = 0.95, div_factor = 25, final_div_factor = 1e4,
  three_phase = false,
}

--- One cycle (Smith and Topin 2018): from max_lr / div_factor up to max_lr in the first pct_start
-- of the steps and down to max_lr / div_factor / final_div_factor in the others, while the
-- momentum, or the first of the betas, goes from max_momentum to base_momentum and back. It is
-- stepped after each batch, and says the rate itself, whatever the optimiser began with.
--
--     local schedule = optim.OneCycleLR(opt, {max_lr = 0.1, epochs = 10, steps_per_epoch = 500})
-- @param opt the optimiser
-- @param options `max_lr`; `total_steps`, or `epochs` and `steps_per_epoch`; `pct_start` (0.3);
--   `anneal_strategy` ("cos", or "linear"); `cycle_momentum` (true); `base_momentum` (0.85);
--   `max_momentum` (0.95); `div_factor` (25); `final_div_factor` (1e4); `three_phase` (false): back
--   to the first rate in as many steps as up, then down. `max_lr` and the momenta may be lists of
--   one for each group
-- @return the schedule
function schedules.OneCycleLR(opt, options)
  local who = "OneCycleLR"
  local o = option.read(who, options, ONE_CYCLE)
  schedule.need_optimizer(who, opt)
  schedule.need_boolean(who, "three_phase", o.three_phase)
  need_number(who, "div_factor", o.div_factor, 1)
  need_number(who, "final_div_factor", o.final_div_factor, 1)
  local tops, total = schedule.per_group(who, opt, "max_lr", o.max_lr, 0), one_cycle_steps(who, o)
  local phases, anneal = one_cycle_phases(who, o, total), annealing(who, o.anneal_strategy)
  local momentum = momenta(who, opt, o)
  return new(who, opt, function(t, _, i)
    if t > total then complain("%s: step %d of %d", who, t, total) end
    local phase, part = phase_of(phases, t)
    local start = tops[i] / o.div_factor
    local levels = {start = start, top = tops[i], ["end"] = start / o.final_div_factor}
    local lr = anneal(levels[phase.from], levels[phase.to], part)
    if not momentum then return lr end
    local function at(level) return level == "top" and momentum.low[i] or momentum.high[i] end
    return lr, anneal(at(phase.from), at(phase.to), part)
  end)
end

-- By what the height of a cycle is multiplied, of its number and the number of steps.
local SCALES <const> = {
  triangular = function() return function() return 1 end end,
  triangular2 = function() return function(cycle) return 1 / 2 ^ (cycle - 1) end end,
  exp_range = function(gamma) return function(_, t) return gamma ^ t end end,
}

local function cyclic_scale(who, o)
  need_number(who, "gamma", o.gamma, 0)
  schedule.need_one_of(who, "scale_mode", o.scale_mode, {"cycle", "iterations"})
  if o.scale_fn == nil then
    schedule.need_one_of(who, "mode", o.mode, {"triangular", "triangular2", "exp_range"})
    return SCALES[o.mode](o.gamma)
  elseif type(o.scale_fn) ~= "function" then
    complain("%s: scale_fn: function expected, got %s", who, check.type(o.scale_fn))
  end
  return function(cycle, t) return o.scale_fn(o.scale_mode == "cycle" and cycle or t) end
end

local CYCLIC <const> = {
  base_lr = option.required, max_lr = option.required, step_size_up = 2000,
  step_size_down = option.absent, mode = "triangular", gamma = 1, scale_fn = option.absent,
  scale_mode = "cycle", cycle_momentum = true, base_momentum = 0.8, max_momentum = 0.9,
}

--- Up and down between two rates (Smith 2015), while the momentum, or the first of the betas, goes
-- down and up. It is stepped after each batch, and says the rate itself, whatever the optimiser
-- began with.
--
--     local schedule = optim.CyclicLR(opt, {base_lr = 1e-3, max_lr = 0.1, step_size_up = 1000})
-- @param opt the optimiser
-- @param options `base_lr`; `max_lr`; `step_size_up` (2000): steps of the rise; `step_size_down`
--   (as many); `mode` ("triangular"; "triangular2" halves the height of each cycle; "exp_range"
--   multiplies it by gamma^t); `gamma` (1); `scale_fn`, in place of the mode: a function of the
--   number of the cycle, or with `scale_mode` "iterations" ("cycle") of t; `cycle_momentum` (true);
--   `base_momentum` (0.8); `max_momentum` (0.9). Rates and momenta may be lists of one for each
--   group
-- @return the schedule
function schedules.CyclicLR(opt, options)
  local who = "CyclicLR"
  local o = option.read(who, options, CYCLIC)
  schedule.need_optimizer(who, opt)
  local low = schedule.per_group(who, opt, "base_lr", o.base_lr, 0)
  local high = schedule.per_group(who, opt, "max_lr", o.max_lr, 0)
  local up = check.count(who, "step_size_up", o.step_size_up)
  local down = o.step_size_down and check.count(who, "step_size_down", o.step_size_down) or up
  local scale, momentum = cyclic_scale(who, o), momenta(who, opt, o)
  return new(who, opt, function(t, _, i)
    local within = t % (up + down)
    local height = within <= up and within / up or (up + down - within) / down
    height = height * scale(1 + t // (up + down), t)
    local lr = low[i] + (high[i] - low[i]) * height
    if not momentum then return lr end
    return lr, momentum.high[i] - (momentum.high[i] - momentum.low[i]) * height
  end)
end

--- From the rate that it finds at its first step to swa_lr, where it stays, while `optim.SWA` takes
-- the mean (Izmailov et al. 2018).
--
--     local schedule = optim.SWALR(opt, {swa_lr = 0.05})
-- @param opt the optimiser
-- @param options `swa_lr`, a number or a list of one for each group; `anneal_epochs` (10): in how
--   many steps; `anneal_strategy` ("cos", or "linear")
-- @return the schedule
function schedules.SWALR(opt, options)
  local who = "SWALR"
  local o = option.read(who, options,
                        {swa_lr = option.required, anneal_epochs = 10, anneal_strategy = "cos"})
  schedule.need_optimizer(who, opt)
  local to = schedule.per_group(who, opt, "swa_lr", o.swa_lr, 0)
  local n = check.natural(who, "anneal_epochs", o.anneal_epochs)
  local anneal = annealing(who, o.anneal_strategy)
  return new(who, opt, function(t, lr, i)
    return anneal(lr, to[i], n == 0 and 1 or math.min(1, t / n))
  end, true)
end

--
-- Several
--

-- The schedules of which another is to be made, all of one optimiser.
local function parts_of(who, opt, list)
  if type(list) ~= "table" or getmetatable(list) or #list == 0 then
    complain("%s: list of schedules expected, got %s", who,
      type(list) == "table" and not getmetatable(list) and "an empty list" or check.type(list))
  end
  for i, part in ipairs(list) do
    if type(part) == "table" and type(part.load_state_dict) == "function"
      and not schedule.is_function(part) then
      complain("%s: schedule %d, %s, is no function of the number of steps; step it by itself", who,
        i, tostring(part.name))
    elseif not schedule.is_function(part) then
      complain("%s: schedule %d is a %s; schedule expected", who, i, check.type(part))
    elseif opt and not rawequal(part.optimizer, opt) then
      complain("%s: schedule %d is of another optimiser", who, i)
    end
  end
  return table.move(list, 1, #list, 1, {})
end

--- One schedule after the other: from milestone i on schedule i + 1, whose t begins at 0 there,
-- from the rate before any schedule set it. Only the whole is stepped.
--
--     local schedule = optim.SequentialLR(opt, {
--       schedulers = {optim.LinearLR(opt, {total_iters = 5}), optim.ExponentialLR(opt, {gamma =
--       0.9})}, milestones = {5},
--     })
-- @param opt the optimiser
-- @param options `schedulers`, a list; `milestones`, a list of one number of steps fewer
-- @return the schedule
function schedules.SequentialLR(opt, options)
  local who = "SequentialLR"
  local o = option.read(who, options, {schedulers = option.required, milestones = option.required})
  schedule.need_optimizer(who, opt)
  local parts, milestones = parts_of(who, opt, o.schedulers), {[0] = 0}
  local given = type(o.milestones) == "table" and "a list of " .. #o.milestones
  if not given or #o.milestones ~= #parts - 1 then
    complain("%s: milestones: list of %d for %d schedulers expected, got %s", who, #parts - 1,
      #parts, given or check.shown(o.milestones))
  end
  for i, at in ipairs(o.milestones) do
    milestones[i] = check.count(who, "milestones", at)
    if milestones[i] <= milestones[i - 1] then
      complain("%s: milestones: growing numbers expected, got %d after %d", who, at,
        milestones[i - 1])
    end
  end
  return schedule.replace(parts, new(who, opt, function(t, lr, i)
    local k = #milestones
    while t < milestones[k] do k = k - 1 end
    return parts[k + 1]._rate(t - milestones[k], lr, i)
  end))
end

--- All schedules together: each begins with the rate that the one before it gives for the same t,
-- so that their factors are multiplied. Only the whole is stepped. `OneCycleLR` and `CyclicLR`,
-- which say the rate themselves, come first.
--
--     local schedule = optim.ChainedScheduler {
--       optim.LinearLR(opt, {total_iters = 5}), optim.ExponentialLR(opt, {gamma = 0.9})}
-- @param schedulers list of schedules of one optimiser
-- @return the schedule
function schedules.ChainedScheduler(schedulers)
  local who = "ChainedScheduler"
  local parts = parts_of(who, nil, schedulers)
  local opt = parts[1].optimizer
  parts_of(who, opt, parts)
  return schedule.replace(parts, new(who, opt, function(t, lr, i)
    local momentum
    for _, part in ipairs(parts) do
      local its
      lr, its = part._rate(t, lr, i)
      momentum = its or momentum
    end
    return lr, momentum
  end))
end

return schedules
