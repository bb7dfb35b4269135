--- Schedules: against PyTorch's rates and momenta (tests/oracle_optim.py wrote oracle_optim.lua), and
-- what each has to do, a new one too. And the range test of rates.

local lu = require "luaunit"
local pl = require "perilune"
local oracle = require "oracle_optim"
local nn, optim = pl.nn, pl.optim

local T = {}

-- An optimiser with two groups, as the cases have it, and a schedule of it.
local function make(case)
  local groups = {{params = {nn.parameter(pl.zeros(1))}, lr = 0.5},
                  {params = {nn.parameter(pl.zeros(1))}, lr = 0.25}}
  local opt = optim[case.optimizer](groups, {lr = 1, momentum = case.optimizer == "SGD" and 0.6 or nil})
  local f = assert(load("local optim, opt = ... return " .. case.code))
  return opt, f(optim, opt)
end

local function momentum(group)
  return group.betas and group.betas[1] or group.momentum or -1
end

local function standing(opt)
  return {opt.groups[1].lr, opt.groups[2].lr, momentum(opt.groups[1])}
end

local function step(case, schedule, t)
  schedule:step(case.measured and case.measured[t])
end

function T.test_the_rates_are_pytorchs()
  for _, case in ipairs(oracle.schedules) do
    local opt, schedule = make(case)
    for t = 1, #case.rates[1] do
      for i, value in ipairs(standing(opt)) do
        lu.assertAlmostEquals(value, case.rates[i][t], 1e-9, ("%s, t = %d, %d"):format(case.code, t - 1, i))
      end
      step(case, schedule, t)
    end
  end
end

-- A schedule without a case has no expected values.
function T.test_every_schedule_has_cases()
  local seen = {}
  for _, case in ipairs(oracle.schedules) do seen[case.code:match "^optim%.(%w+)"] = true end
  for _, module in ipairs {"schedules", "plateau"} do
    for name in next, (require("perilune.optim." .. module)) do lu.assertTrue(seen[name], name) end
  end
end

-- Through a file, in the middle, to the same bits.
function T.test_states_go_on()
  local path = os.tmpname()
  for _, case in ipairs(oracle.schedules) do
    local last = #case.rates[1] - 1
    for _, middle in ipairs {0, last // 2} do
      local opt, schedule = make(case)
      for t = 1, middle do step(case, schedule, t) end
      assert(pl.save(path, {opt = opt:state_dict(), schedule = schedule:state_dict()}))
      local again, other = make(case)
      local saved = assert(pl.load(path))
      again:load_state_dict(saved.opt)
      other:load_state_dict(saved.schedule)
      for t = middle + 1, last do
        lu.assertEquals(standing(again), standing(opt), case.code)
        step(case, schedule, t)
        step(case, other, t)
      end
      lu.assertEquals(standing(again), standing(opt), case.code)
    end
  end
  os.remove(path)
end

function T.test_one_cycle_ends()
  local opt = optim.SGD({nn.parameter(pl.zeros(1))}, {lr = 1})
  local schedule = optim.OneCycleLR(opt, {max_lr = 1, total_steps = 3})
  for _ = 1, 3 do schedule:step() end
  lu.assertAlmostEquals(opt.lr, 1 / 25 / 1e4, 1e-12)
  lu.assertErrorMsgContains("OneCycleLR: step 4 of 3", schedule.step, schedule)
  lu.assertEquals(schedule.steps, 3)
  for _, share in ipairs {0, 1 / 3, 1} do
    local edge = optim.OneCycleLR(opt, {max_lr = 1, total_steps = 3, pct_start = share})
    for _ = 1, 3 do
      lu.assertTrue(opt.lr >= 0 and opt.lr <= 1, share)
      edge:step()
    end
  end
end

-- What two schedules in turn would set is what neither says.
function T.test_two_schedules_in_turn_are_refused()
  local opt = optim.SGD({nn.parameter(pl.zeros(1))}, {lr = 1})
  local first = optim.LinearLR(opt, {total_iters = 2})
  local second = optim.ExponentialLR(opt, {gamma = 0.5})
  first:step()
  first:step()
  second:step()
  second:step()
  lu.assertEquals(opt.lr, 0.25)
  lu.assertErrorMsgContains("LinearLR: ExponentialLR sets the rates of this optimiser since; "
    .. "ChainedScheduler multiplies schedules, SequentialLR has one follow the other", first.step, first)
  local whole = optim.ChainedScheduler {optim.ExponentialLR(opt, {gamma = 0.5}), optim.LinearLR(opt)}
  local part = optim.StepLR(opt, {step_size = 1})
  local joined = optim.SequentialLR(opt, {schedulers = {whole, part}, milestones = {2}})
  lu.assertErrorMsgContains("StepLR: SequentialLR sets the rates", part.step, part)
  lu.assertErrorMsgContains("ChainedScheduler: SequentialLR sets the rates", whole.step, whole)
  lu.assertAlmostEquals(opt.lr, 1 / 3, 1e-12)
  for _ = 1, 3 do joined:step() end
  lu.assertAlmostEquals(opt.lr, 0.1, 1e-12)
end

-- The rate that it finds is the one of its first step, not the first of the optimiser.
function T.test_swalr_begins_where_the_other_schedule_is()
  local opt = optim.SGD({nn.parameter(pl.zeros(1))}, {lr = 1})
  local main = optim.ExponentialLR(opt, {gamma = 0.5})
  local constant = optim.SWALR(opt, {swa_lr = 0.05, anneal_epochs = 2, anneal_strategy = "linear"})
  lu.assertEquals(opt.lr, 1)
  main:step()
  constant:step()
  lu.assertAlmostEquals(opt.lr, (0.5 + 0.05) / 2, 1e-12)
  constant:step()
  constant:step()
  lu.assertAlmostEquals(opt.lr, 0.05, 1e-12)
end

function T.test_plateau_takes_tensors_and_the_rate_as_it_stands()
  local opt = optim.SGD({nn.parameter(pl.zeros(1))}, {lr = 1})
  local schedule = optim.ReduceLROnPlateau(opt, {patience = 0})
  schedule:step(pl.tensor(2.0))
  opt.lr = 0.5
  schedule:step(pl.tensor {2.0})
  lu.assertAlmostEquals(opt.lr, 0.05, 1e-12)
  schedule:step(0 / 0) -- is no better
  lu.assertAlmostEquals(opt.lr, 0.005, 1e-12)
  lu.assertErrorMsgContains("ReduceLROnPlateau: step: the epoch's loss expected, a number, got nil",
                            schedule.step, schedule)
end

--
-- Bad input
--

-- What each needs, for a call that is right but for one option.
local NEEDED <const> = {
  StepLR = {step_size = 2}, MultiStepLR = {milestones = {2}}, ExponentialLR = {gamma = 0.5},
  CosineAnnealingLR = {T_max = 3}, CosineAnnealingWarmRestarts = {T_0 = 3},
  OneCycleLR = {max_lr = 1, epochs = 2, steps_per_epoch = 2}, CyclicLR = {base_lr = 0.1, max_lr = 1},
  SWALR = {swa_lr = 0.1}, SequentialLR = {schedulers = {}, milestones = {}},
}

local function known_options(f, opt)
  local message = select(2, pcall(f, opt, {no_such_option = 1}))
  local list = {}
  for name in message:match "known: ([^\n]*)":gmatch "[%w_]+" do list[#list + 1] = name end
  return list
end

local function refuses(name, opt, option, bad)
  local options = {}
  for key, value in next, NEEDED[name] or {} do options[key] = value end
  if name == "SequentialLR" then options.schedulers = {optim.ExponentialLR(opt, {gamma = 1})} end
  options[option] = bad
  local ok, message = pcall(optim[name], opt, options)
  lu.assertFalse(ok, name .. " " .. option)
  lu.assertStrContains(message, name .. ": ")
  lu.assertStrContains(message, " expected")
  lu.assertStrContains(message, "test_schedules.lua:")
  lu.assertNil(message:find "\n")
end

function T.test_every_option_is_checked()
  local opt = optim.SGD({nn.parameter(pl.zeros(1))}, {lr = 1})
  for _, module in ipairs {"schedules", "plateau"} do
    for name, f in next, (require("perilune.optim." .. module)) do
      local none = name == "LambdaLR" or name == "ChainedScheduler"
      for _, option in ipairs(none and {} or known_options(f, opt)) do
        for _, bad in ipairs {"bad", -math.huge, {"a"}} do refuses(name, opt, option, bad) end
      end
      lu.assertErrorMsgContains(name .. ": ", f, 3, NEEDED[name])
    end
  end
end

function T.test_messages()
  local opt = optim.SGD({nn.parameter(pl.zeros(1))}, {lr = 1})
  local other = optim.Adagrad {nn.parameter(pl.zeros(1))}
  local function fails(message, f, ...) lu.assertErrorMsgContains(message, f, ...) end
  local one = optim.ExponentialLR(opt, {gamma = 1})
  fails("ChainedScheduler: list of schedules expected, got an empty list", optim.ChainedScheduler, {})
  fails("ChainedScheduler: list of schedules expected, got table", optim.ChainedScheduler, one)
  fails("ChainedScheduler: schedule 2 is a number; schedule expected", optim.ChainedScheduler, {one, 1})
  fails("ChainedScheduler: schedule 2 is of another optimiser", optim.ChainedScheduler,
        {one, optim.ExponentialLR(other, {gamma = 1})})
  fails("SequentialLR: schedule 1, ReduceLROnPlateau, is no function of the number of steps; "
        .. "step it by itself", optim.SequentialLR, opt,
        {schedulers = {optim.ReduceLROnPlateau(opt)}, milestones = {}})
  fails("SequentialLR: milestones: list of 1 for 2 schedulers expected, got a list of 0",
        optim.SequentialLR, opt, {schedulers = {one, one}, milestones = {}})
  fails("SequentialLR: milestones: growing numbers expected, got 2 after 2", optim.SequentialLR, opt,
        {schedulers = {one, one, one}, milestones = {2, 2}})
  fails("OneCycleLR: Adagrad has neither momentum nor betas; cycle_momentum = false cycles the rate "
        .. "alone", optim.OneCycleLR, other, {max_lr = 1, total_steps = 2})
  fails("OneCycleLR: total_steps, or epochs and steps_per_epoch, expected", optim.OneCycleLR, opt,
        {max_lr = 1})
  fails("OneCycleLR: max_lr: number, or list of 1 for as many groups, expected, got a list of 2",
        optim.OneCycleLR, opt, {max_lr = {1, 2}, total_steps = 2})
  fails("LinearLR: start_factor: number in [0, 1] expected, got 2", optim.LinearLR, opt,
        {start_factor = 2})
  fails("ReduceLROnPlateau: factor: number below 1 expected, got 1", optim.ReduceLROnPlateau, opt,
        {factor = 1})
  local plateau = optim.ReduceLROnPlateau(opt)
  local state = plateau:state_dict()
  state.best = "good"
  fails("load_state_dict of ReduceLROnPlateau: best: number expected, got good",
        plateau.load_state_dict, plateau, state)
  fails("load_state_dict of ReduceLROnPlateau: the state is one of ExponentialLR",
        plateau.load_state_dict, plateau, one:state_dict())
end

--
-- The range test
--

local function task()
  pl.manual_seed(4)
  local x = pl.randn(40, 3)
  local y = x:matmul(pl.tensor {{1}, {2}, {-1}})
  local net = nn.Sequential {nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, 1)}
  return net, {x, y}
end

local function train(net, opt, set)
  opt:zero_grad()
  pl.mse_loss(net(set[1]), set[2]):backward()
  opt:step()
end

-- All that a training changes, as text.
local function everything(net, opt)
  local list = {tostring(opt.groups[1].lr), tostring(net.training), tostring(pl.rand(1):item())}
  for _, tensors in ipairs {net:parameters(), net:buffers()} do
    for _, t in ipairs(tensors) do
      list[#list + 1] = table.concat(t:detach():flatten():totable(), " ")
      list[#list + 1] = t.grad and table.concat(t.grad:flatten():totable(), " ") or "none"
    end
  end
  return list
end

function T.test_find_lr_leaves_all_as_it_was()
  local results = {}
  for run = 0, 1 do
    local net, set = task()
    local opt = optim.Adam(optim.groups(net, {weight_decay = 0.1}), {lr = 0.01})
    train(net, opt, set)
    if run == 1 then
      local found, figure = optim.find_lr(net, pl.mse_loss, opt, set,
                                          {min_lr = 1e-4, steps = 30, batches = {batch_size = 8}})
      lu.assertEquals(#found.lr, #found.loss)
      lu.assertTrue(#found.lr > 10 and found.suggested > 1e-4 and found.suggested < 10)
      lu.assertAlmostEquals(found.lr[1], 1e-4, 1e-12)
      lu.assertTrue(figure ~= nil)
    end
    local before = everything(net, opt)
    train(net, opt, set)
    results[run] = {before, everything(net, opt)}
  end
  lu.assertEquals(results[1], results[0])
end

function T.test_find_lr_ends_where_the_loss_diverges_and_keeps_proportions()
  local net, set = task()
  local seen, opt = {}, nil
  opt = optim.SGD({{params = net[1]:parameters()}, {params = net[4]:parameters(), lr = 0.02}}, {lr = 0.1})
  local function loss(output, y)
    seen[#seen + 1] = {opt.groups[1].lr, opt.groups[2].lr}
    return pl.mse_loss(output, y) * (#seen > 5 and 1e3 or 1)
  end
  local found = optim.find_lr(net, loss, opt, set, {steps = 20, batches = {batch_size = 8}})
  lu.assertEquals(#found.lr, 5)
  for _, rates in ipairs(seen) do lu.assertAlmostEquals(rates[2] / rates[1], 0.2, 1e-12) end
  lu.assertEquals({opt.groups[1].lr, opt.groups[2].lr}, {0.1, 0.02})
end

function T.test_find_lr_puts_all_back_after_an_error()
  local net, set = task()
  local opt = optim.SGD(net:parameters(), {lr = 0.1})
  local before = net[1].weight:totable()
  lu.assertErrorMsgContains("find_lr: loss: it gave a number; a tensor of one element expected",
    optim.find_lr, net, function() return 3 end, opt, set, {batches = {batch_size = 8}})
  local calls = 0
  lu.assertErrorMsgContains("stop here", optim.find_lr, net, function(output, y)
    calls = calls + 1
    if calls > 3 then error "stop here" end
    return pl.mse_loss(output, y)
  end, opt, set, {batches = {batch_size = 8}})
  lu.assertEquals(net[1].weight:totable(), before)
  lu.assertEquals(opt.lr, 0.1)
end

function T.test_messages_of_find_lr()
  local net, set = task()
  local opt = optim.SGD(net:parameters(), {lr = 0.1})
  local function fails(message, ...) lu.assertErrorMsgContains(message, optim.find_lr, ...) end
  fails("find_lr: module expected, got nil")
  fails("find_lr: loss: function or module expected, got number", net, 3)
  fails("find_lr: optimiser expected, got nil", net, pl.mse_loss)
  fails("find_lr: LBFGS looks for the length of its steps itself", net, pl.mse_loss,
        optim.LBFGS(net:parameters()), set)
  fails("find_lr: 0 < min_lr < max_lr expected, got 2 and 1", net, pl.mse_loss, opt, set,
        {min_lr = 2, max_lr = 1})
  fails("find_lr: steps: at least 2 expected, got 1", net, pl.mse_loss, opt, set, {steps = 1})
  fails("find_lr: smoothing: number in [0, 1] expected, got 2", net, pl.mse_loss, opt, set,
        {smoothing = 2})
end

return T
