-- Optimisers against their formulas in plain Lua numbers, schedules, clipping, and states.

local lu = require "luaunit"
local pl = require "perilune"
local nn, optim = pl.nn, pl.optim

local T = {}

local TOLERANCE = pl.real == "double" and 1e-12 or 2e-6

-- Three parameters' values, and the gradients of five steps.
local START = {0.5, -1.25, 2.0}
local GRADIENTS = {
  {0.1, -0.2, 0.3}, {0.4, 0.05, -0.6}, {-0.3, 0.2, 0.1}, {0.0, -0.7, 0.25}, {1.5, 0.3, -0.1},
}

local function parameter(values)
  return nn.parameter(pl.tensor(values or START))
end

local function assert_close(actual, expected, what)
  if pl.is_tensor(actual) then actual = actual:totable() end
  for i = 1, #expected do
    lu.assertAlmostEquals(actual[i], expected[i], TOLERANCE * math.max(1, math.abs(expected[i])),
                          ("%s, value %d"):format(what, i))
  end
end

-- Compares an optimiser with `update(p, g, state, t)`, which gives the new value of one number.
-- Of its two parameters one has its first gradient a step later.
local function compare(make, update)
  local early = {p = parameter(), expected = {table.unpack(START)}, states = {{}, {}, {}}, t = 0}
  local late = {p = parameter(), expected = {table.unpack(START)}, states = {{}, {}, {}}, t = -1}
  local opt = make {early.p, late.p}
  for step, gradient in ipairs(GRADIENTS) do
    for _, one in ipairs {early, late} do
      one.t = one.t + 1
      one.p.grad = one.t > 0 and pl.tensor(gradient) or nil
    end
    opt:step()
    for _, one in ipairs {early, late} do
      for i = 1, one.t > 0 and 3 or 0 do
        one.expected[i] = update(one.expected[i], gradient[i], one.states[i], one.t)
      end
      assert_close(one.p:totable(), one.expected, "step " .. step)
    end
  end
end

--
-- Formulas
--

function T.test_sgd()
  compare(function(params) return optim.SGD(params, {lr = 0.1}) end,
    function(p, g) return p - 0.1 * g end)
end

function T.test_sgd_with_weight_decay()
  compare(function(params) return optim.SGD(params, {lr = 0.1, weight_decay = 0.2}) end,
    function(p, g) return p - 0.1 * (g + 0.2 * p) end)
end

function T.test_sgd_with_momentum()
  compare(function(params)
    return optim.SGD(params, {lr = 0.1, momentum = 0.9, dampening = 0.3, weight_decay = 0.01})
  end, function(p, g, s, t)
    g = g + 0.01 * p
    s.b = t == 1 and g or 0.9 * s.b + (1 - 0.3) * g
    return p - 0.1 * s.b
  end)
end

function T.test_sgd_with_nesterov()
  compare(function(params)
    return optim.SGD(params, {lr = 0.1, momentum = 0.9, nesterov = true})
  end, function(p, g, s, t)
    s.b = t == 1 and g or 0.9 * s.b + g
    return p - 0.1 * (g + 0.9 * s.b)
  end)
end

local function adam(p, g, s, t, lr, b1, b2, eps)
  s.m = b1 * (s.m or 0) + (1 - b1) * g
  s.v = b2 * (s.v or 0) + (1 - b2) * g ^ 2
  return p - lr * (s.m / (1 - b1 ^ t)) / (math.sqrt(s.v / (1 - b2 ^ t)) + eps)
end

function T.test_adam()
  compare(function(params) return optim.Adam(params) end,
    function(p, g, s, t) return adam(p, g, s, t, 1e-3, 0.9, 0.999, 1e-8) end)
end

function T.test_adam_with_options()
  compare(function(params)
    return optim.Adam(params, {lr = 0.02, betas = {0.5, 0.9}, eps = 1e-3, weight_decay = 0.1})
  end, function(p, g, s, t) return adam(p, g + 0.1 * p, s, t, 0.02, 0.5, 0.9, 1e-3) end)
end

function T.test_adamw()
  compare(function(params) return optim.AdamW(params, {lr = 0.02, weight_decay = 0.1}) end,
    function(p, g, s, t) return adam(p - 0.02 * 0.1 * p, g, s, t, 0.02, 0.9, 0.999, 1e-8) end)
  compare(function(params) return optim.AdamW(params) end,
    function(p, g, s, t) return adam(p - 1e-3 * 0.01 * p, g, s, t, 1e-3, 0.9, 0.999, 1e-8) end)
end

function T.test_rmsprop()
  compare(function(params) return optim.RMSprop(params) end, function(p, g, s)
    s.v = 0.99 * (s.v or 0) + 0.01 * g ^ 2
    return p - 0.01 * g / (math.sqrt(s.v) + 1e-8)
  end)
end

function T.test_rmsprop_with_momentum()
  compare(function(params)
    return optim.RMSprop(params, {lr = 0.02, alpha = 0.9, eps = 1e-4, momentum = 0.8,
                                  weight_decay = 0.05})
  end, function(p, g, s)
    g = g + 0.05 * p
    s.v = 0.9 * (s.v or 0) + 0.1 * g ^ 2
    s.b = 0.8 * (s.b or 0) + g / (math.sqrt(s.v) + 1e-4)
    return p - 0.02 * s.b
  end)
end

--
-- Parameters and groups
--

-- Long parameters are cut into pieces, which other parameters may not notice.
function T.test_parameters_of_all_lengths()
  for _, make in ipairs {optim.Adam, optim.SGD, optim.RMSprop} do
    local together, alone = {}, {}
    for i, n in ipairs {1, 20000, 8192, 3, 8193, 50000} do
      local x = pl.randn(n)
      together[i], alone[i] = nn.parameter(x:clone()), nn.parameter(x:clone())
      together[i].grad = pl.randn(n)
      alone[i].grad = together[i].grad
      make({alone[i]}, {lr = 0.1}):step()
    end
    make(together, {lr = 0.1}):step()
    for i, p in ipairs(together) do lu.assertEquals((p - alone[i]):abs():sum():item(), 0) end
  end
end

-- What lies in the same memory is stepped one after the other.
function T.test_parameters_that_share_memory()
  local x, y, n = pl.zeros(50000), pl.ones(50000), 50000
  pl.sgd_({x, x}, {y, y}, nil, nil, {lr = 1})
  lu.assertEquals(x:sum():item(), -2 * n)
  x:zero_()
  pl.sgd_({x, y}, {y, x}, nil, nil, {lr = 1}) -- x = -1, then y = 1 + 1
  lu.assertEquals({x:sum():item(), y:sum():item()}, {-n, 2 * n})
  local p, q = pl.zeros(8192), pl.ones(3 * 8192) -- the gradient of p lies in q
  pl.sgd_({p, q}, {q[{{1, 8192}}], pl.ones(3 * 8192)}, nil, nil, {lr = 0.25})
  lu.assertEquals({p:mean():item(), q:mean():item()}, {-0.25, 0.75})
end

function T.test_parameter_without_gradient_stays()
  local p, q = parameter(), parameter()
  local opt = optim.Adam {p, q}
  p.grad = pl.ones(3)
  opt:step()
  lu.assertEquals(q:totable(), parameter():totable())
  lu.assertNotEquals(p:totable(), q:totable())
  lu.assertEquals(opt.state[1].step, 1)
  lu.assertEquals(opt.state[2], {})
end

function T.test_zero_grad()
  local p = parameter()
  local opt = optim.SGD({p}, {lr = 1})
  p.grad = pl.ones(3)
  opt:zero_grad()
  lu.assertNil(p.grad)
  opt:step()
  assert_close(p:totable(), START, "value")
end

function T.test_groups_have_options_of_their_own()
  local p, q = parameter(), parameter()
  local opt = optim.SGD({{params = {p}, lr = 0.5}, {params = {q}, weight_decay = 1}}, {lr = 0.1})
  p.grad, q.grad = pl.ones(3), pl.ones(3)
  opt:step()
  assert_close(p:totable(), {0, -1.75, 1.5}, "first group")
  assert_close(q:totable(), {0.35, -1.225, 1.7}, "second group")
  lu.assertEquals(opt.lr, 0.5)
  opt.lr = 0.25
  lu.assertEquals({opt.groups[1].lr, opt.groups[2].lr}, {0.25, 0.25})
end

function T.test_groups_of_a_module()
  local net = nn.Sequential {nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)}
  local groups = optim.groups(net, {weight_decay = 0.1})
  lu.assertEquals({#groups[1].params, groups[1].weight_decay}, {2, 0.1})
  lu.assertEquals({#groups[2].params, groups[2].weight_decay}, {4, 0})
  lu.assertEquals(optim.AdamW(optim.groups(net)).groups[1].weight_decay, 0.01)
  net[1]:requires_grad_(false)
  lu.assertEquals(#optim.groups(net)[1].params, 2)
end

--
-- Frozen parameters
--

local function weights(net)
  local list = {}
  for i, p in ipairs(net:parameters()) do list[i] = p:totable() end
  return list
end

-- A network whose first layer is frozen, after two steps of an optimiser of all parameters.
local function half_frozen(make, step)
  pl.manual_seed(1)
  local net = nn.Sequential {nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)}
  net[1]:requires_grad_(false)
  local opt, before = make(net:parameters()), weights(net)
  for _ = 1, 2 do step(opt, net(pl.ones(1, 2)):sum()) end
  local after = weights(net)
  for i = 1, 2 do lu.assertEquals(after[i], before[i]) end
  for i = 3, 4 do lu.assertNotEquals(after[i], before[i]) end
  return net, opt, step
end

local function step_apart(opt, loss)
  opt:zero_grad()
  loss:backward()
  opt:step()
end

local function step_within(opt, loss)
  opt:step_backward(loss)
end

local function make_adam(params) return optim.Adam(params, {lr = 0.1, weight_decay = 0.1}) end

local function each_half_frozen(f)
  for _, step in ipairs {step_apart, step_within} do
    for _, make in ipairs {
      make_adam, function(params) return optim.SGD(params, {lr = 0.1, momentum = 0.9}) end,
      optim.RMSprop, optim.AdamW,
    } do f(half_frozen(make, step)) end
  end
end

-- From then on they are trained, beginning with their first step.
function T.test_frozen_parameters_are_left_alone_until_they_are_not()
  each_half_frozen(function(net, opt, step)
    for i = 1, 2 do lu.assertEquals(opt.state[i], {}) end
    local before = weights(net)
    net[1]:requires_grad_()
    step(opt, net(pl.ones(1, 2)):sum())
    for i, now in ipairs(weights(net)) do lu.assertNotEquals(now, before[i]) end
    if opt.name == "Adam" then
      lu.assertEquals({opt.state[1].step, opt.state[3].step}, {1, 3})
    end
  end)
end

-- Nor do they follow a gradient from before they were frozen.
function T.test_a_frozen_parameter_with_a_gradient_stays()
  local p = parameter()
  local opt = optim.SGD({p}, {lr = 1})
  p.grad = pl.ones(3)
  p:requires_grad_(false)
  opt:step()
  assert_close(p, START, "frozen")
end

-- A state with frozen parameters goes through a file, into an optimiser of the same parameters.
function T.test_state_with_frozen_parameters()
  local path = os.tmpname()
  local net, opt, step = half_frozen(make_adam, step_apart)
  assert(pl.save(path, {net = net:state_dict(), opt = opt:state_dict()}))
  local other, other_opt = half_frozen(make_adam, step_apart)
  local saved = assert(pl.load(path))
  os.remove(path)
  other:load_state_dict(saved.net)
  other_opt:load_state_dict(saved.opt)
  for _, one in ipairs {{net, opt}, {other, other_opt}} do
    one[1][1]:requires_grad_()
    for _ = 1, 2 do step(one[2], one[1](pl.ones(1, 2)):sum()) end
  end
  lu.assertEquals(weights(other), weights(net))
end

function T.test_buffers_outlive_tidy()
  local p = parameter()
  local opt = optim.Adam {p}
  for _ = 1, 3 do
    pl.tidy(function()
      opt:zero_grad()
      ;(p * p):sum():backward()
      opt:step()
    end)
  end
  lu.assertEquals(opt.state[1].step, 3)
  lu.assertEquals(#opt.state[1].exp_avg:totable(), 3)
end

function T.test_nan_is_not_hidden()
  local p = parameter()
  local opt = optim.Adam {p}
  p.grad = pl.tensor {0 / 0, 1, 1}
  opt:step()
  local value = p:totable()[1]
  lu.assertTrue(value ~= value)
end

function T.test_description()
  lu.assertEquals(tostring(optim.Adam {parameter()}), "Adam(1 parameters in 1 groups, lr=0.001)")
end

--
-- Errors
--

-- Each has to fail with a text, and the error has to blame this file.
local function assert_fails(cases)
  for _, case in ipairs(cases) do
    local ok, message = pcall(case[2])
    lu.assertFalse(ok, case[1])
    lu.assertStrContains(message, case[1])
    lu.assertStrContains(message, "test_optim.lua:")
  end
end

function T.test_errors_of_parameters()
  local p, net = parameter(), nn.Linear(2, 2)
  assert_fails {
    {"Adam: the list of parameters is empty", function() local _ = optim.Adam {} end},
    {"Adam: list of tensors or groups expected, got nil", function() local _ = optim.Adam() end},
    {"Adam: list of tensors expected, got a module; pass its :parameters()",
     function() local _ = optim.Adam(net) end},
    {"Adam: parameter 2 is a number; tensor expected", function() local _ = optim.Adam {p, 1} end},
    {"Adam: parameter 1, [2,3], is int32, which has no gradient; to('real') makes a copy that can",
     function() local _ = optim.Adam {pl.zeros({2, 3}, "int32")} end},
    {"Adam: parameter 1, [3,2], is not dense; contiguous() makes a copy that is",
     function() local _ = optim.Adam {pl.zeros(2, 3):t():requires_grad_()} end},
    {"Adam: parameter 2 is there twice", function() local _ = optim.Adam {p, p} end},
    {"Adam: parameter 1 of group 2 is there twice",
     function() local _ = optim.Adam {{params = {p}}, {params = {p}}} end},
    {"Adam: entry 2 is no group", function() local _ = optim.Adam {{params = {p}}, p} end},
    {"Adam: group 1: the list of parameters is empty",
     function() local _ = optim.Adam {{params = {}}} end},
    {"groups: module expected, got nil", function() optim.groups() end},
  }
end

function T.test_errors_of_options()
  local p = parameter()
  local function sgd(options) return function() local _ = optim.SGD({p}, options) end end
  local function adam_of(options) return function() local _ = optim.Adam({p}, options) end end
  assert_fails {
    {"SGD: option 'lr' is missing", sgd()},
    {"SGD: lr: positive number expected, got 0", sgd {lr = 0}},
    {"SGD: lr: positive number expected, got -1", sgd {lr = -1}},
    {"SGD: lr: positive number expected, got big", sgd {lr = "big"}},
    {"SGD: lr: positive number expected, got inf", sgd {lr = math.huge}},
    {"SGD: unknown option 'rate'; known: dampening, lr", sgd {rate = 1}},
    {"SGD: nesterov needs a momentum and no dampening", sgd {lr = 1, nesterov = true}},
    {"SGD: weight_decay: number of at least 0 expected", sgd {lr = 1, weight_decay = -1}},
    {"Adam: betas: two numbers in [0, 1) expected, got 1", adam_of {betas = {0.9, 1}}},
    {"Adam: betas: two numbers in [0, 1) expected, got nil", adam_of {betas = {0.9}}},
    {"Adam: betas: two numbers in [0, 1) expected, got 0.9", adam_of {betas = 0.9}},
    {"Adam: unknown option 'rate'",
     function() local _ = optim.Adam {{params = {p}, rate = 1}} end},
    {"Adam: lr: positive number expected, got 0",
     function() local _ = optim.Adam {{params = {p}, lr = 0}} end},
    {"Adam: lr: number of at least 0 expected, got nil",
     function() optim.Adam({p}).lr = nil end},
  }
end

--
-- States
--

-- A small network that was trained for some steps, with dropout in it.
local function learner(make)
  pl.manual_seed(1)
  local net = nn.Sequential {nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2)}
  return net, make(optim.groups(net))
end

local function train(net, opt, schedule, steps)
  for _ = 1, steps do
    pl.tidy(function()
      opt:zero_grad()
      net(pl.randn(5, 4)):square():mean():backward()
      opt:step()
      schedule:step()
    end)
  end
end

local function bits(net)
  local list = {}
  for name, p in net:named_parameters() do
    for _, v in ipairs(p:flatten(1):totable()) do list[#list + 1] = ("%s %a"):format(name, v) end
  end
  return list
end

local makers = {
  sgd = function(params) return optim.SGD(params, {lr = 0.1, momentum = 0.9}) end,
  adam = function(params) return optim.Adam(params, {betas = {0.5, 0.9}}) end,
  adamw = function(params) return optim.AdamW(params) end,
  rmsprop = function(params) return optim.RMSprop(params, {momentum = 0.5}) end,
}

local function assert_goes_on(make)
  local file = os.tmpname()
  local net, opt = learner(make)
  local schedule = optim.CosineAnnealingLR(opt, {T_max = 10, warmup = 2})
  train(net, opt, schedule, 4)
  assert(pl.save(file, {net = net:state_dict(), opt = opt:state_dict(),
                        schedule = schedule:state_dict(), random = pl.random_state()}))
  train(net, opt, schedule, 4)

  local other_net, other_opt = learner(make)
  local other_schedule = optim.CosineAnnealingLR(other_opt, {T_max = 10, warmup = 2})
  local saved = assert(pl.load(file))
  other_net:load_state_dict(saved.net)
  other_opt:load_state_dict(saved.opt)
  other_schedule:load_state_dict(saved.schedule)
  pl.set_random_state(saved.random)
  train(other_net, other_opt, other_schedule, 4)
  os.remove(file)
  lu.assertEquals(bits(other_net), bits(net))
  lu.assertEquals(other_opt.lr, opt.lr)
end

function T.test_state_goes_on_to_the_same_bits()
  for _, name in ipairs {"sgd", "adam", "adamw", "rmsprop"} do assert_goes_on(makers[name]) end
end

function T.test_loaded_state_is_a_copy()
  local p, q = parameter(), parameter()
  local a, b = optim.Adam {p}, optim.Adam {q}
  p.grad, q.grad = pl.ones(3), pl.ones(3)
  a:step()
  b:load_state_dict(a:state_dict())
  local before = a.state[1].exp_avg:totable()
  b:step()
  lu.assertEquals(a.state[1].exp_avg:totable(), before)
  lu.assertEquals({a.state[1].step, b.state[1].step}, {1, 2})
end

function T.test_state_must_fit()
  local p, q, m = parameter(), parameter {1, 2}, nn.parameter(pl.zeros(2, 2))
  local adam_state = optim.Adam({p}):state_dict()
  assert_fails {
    {"load_state_dict of SGD: the state is one of Adam",
     function() optim.SGD({p}, {lr = 1}):load_state_dict(adam_state) end},
    {"load_state_dict of Adam: parameter 1 of group 1 is [2] here, [3] there",
     function() optim.Adam({q}):load_state_dict(adam_state) end},
    {"load_state_dict of Adam: group 1 has 2 parameters here, 1 there",
     function() optim.Adam({p, m}):load_state_dict(adam_state) end},
    {"load_state_dict of Adam: 2 groups here, 1 there", function()
      optim.Adam({{params = {p}}, {params = {q}}}):load_state_dict(adam_state)
    end},
    {"load_state_dict of Adam: what state_dict gave expected",
     function() optim.Adam({p}):load_state_dict {} end},
  }
  p.grad = pl.ones(3)
  local opt = optim.Adam {p}
  opt:step()
  local damaged = opt:state_dict()
  damaged.state[1].exp_avg = pl.zeros(4)
  assert_fails {{"exp_avg of parameter 1 is [4] for a parameter of [3]",
                 function() opt:load_state_dict(damaged) end}}
  lu.assertEquals(opt.state[1].exp_avg:size(), {3})
end

--
-- Clipping
--

--
-- Steps within the backward pass
--

-- A network whose middle layer is used twice, with two groups, after five steps.
local function after_steps(make, each)
  pl.manual_seed(7)
  local middle, unused = nn.Linear(6, 6), nn.Linear(2, 2)
  local net = nn.Sequential {nn.Linear(4, 6), nn.ReLU(), middle, nn.Tanh(), middle, nn.Linear(6, 3)}
  local groups = optim.groups(net, {weight_decay = 0.1})
  groups[3] = {params = unused:parameters()}
  local opt = make(groups)
  for _ = 1, 5 do
    local x, y = pl.randn(8, 4), pl.randn(8, 3)
    pl.tidy(function()
      opt:zero_grad()
      local loss = (net(x) - y):square():mean()
      if each then
        opt:step_backward(loss)
      else
        loss:backward()
        opt:step()
      end
    end)
  end
  return net:parameters(), opt
end

function T.test_step_backward_gives_the_same_bits()
  for _, make in ipairs {
    function(groups) return optim.SGD(groups, {lr = 0.1, momentum = 0.9}) end, optim.Adam,
    optim.AdamW, optim.RMSprop,
  } do
    local want, one = after_steps(make, false)
    local got, other = after_steps(make, true)
    for i, p in ipairs(got) do
      lu.assertEquals((p - want[i]):abs():amax():item(), 0)
      lu.assertNil(p.grad)
    end
    for k, state in ipairs(one.state) do lu.assertEquals(other.state[k].step, state.step) end
  end
end

function T.test_step_backward_adds_to_an_earlier_gradient()
  local p, q = parameter(), parameter()
  local opt = optim.SGD({p}, {lr = 1})
  p.grad = pl.tensor {1, 1, 1}
  opt:step_backward((p * q):sum() + p:sum())
  assert_close(p, {0.5 - 2.5, -1.25 - 0.75, 2 - 4}, "p")
  assert_close(q.grad, START, "gradient of a leaf that is no parameter")
  lu.assertNil(p.grad)
end

-- What reads a parameter's values without being a use of the parameter itself.
function T.test_step_backward_waits_for_all_readers()
  local peek = pl.custom(function(context, a, w)
    context.w = w:detach()
    return a * context.w
  end, function(context, g) return g * context.w end)
  local losses = {
    function(w, v) return ((v * w:detach()) * w):sum() end,
    function(w, v)
      local view = pl.no_grad(function() return w:reshape(3) end)
      return ((v * view) * w):sum()
    end,
    function(w, v) return (peek(v, w:detach()) * w):sum() end,
    function(w, v) return (w:reshape(1, 3) * v):sum() + (w * w):sum() end,
  }
  for i, loss in ipairs(losses) do
    local results = {}
    for each = 0, 1 do
      local w, v = parameter {2, 3, 4}, parameter {5, 6, 7}
      local opt = optim.SGD({w, v}, {lr = 0.1})
      if each == 1 then
        opt:step_backward(loss(w, v))
      else
        loss(w, v):backward()
        opt:step()
      end
      results[each] = {w:totable(), v:totable()}
    end
    lu.assertEquals(results[1], results[0], "loss " .. i)
  end
end

function T.test_step_backward_of_other_parameters()
  local w, v, frozen = parameter(), parameter(), parameter()
  local opt = optim.SGD({w, v, frozen}, {lr = 1})
  frozen:requires_grad_(false)
  v.grad = pl.tensor {1, 2, 3} -- of an earlier loss
  opt:step_backward((w * frozen):sum())
  assert_close(w, {0, 0, 0}, "w")
  assert_close(v, {0.5 - 1, -1.25 - 2, 2 - 3}, "v")
  assert_close(frozen, START, "frozen")
  lu.assertNil(v.grad)
  local one = nn.parameter(pl.tensor(3.0))
  optim.SGD({one}, {lr = 0.5}):step_backward(one)
  lu.assertAlmostEquals(one:item(), 2.5, TOLERANCE)
end

function T.test_step_backward_keeps_few_gradients()
  local list, sum = {}, nil
  for i = 1, 20 do
    list[i] = nn.parameter(pl.ones(1000))
    sum = sum and sum + list[i]:sum() or list[i]:sum()
  end
  local opt, most = optim.SGD(list, {lr = 1}), 0
  local update, before = opt._step_all, pl.memory().live_bytes
  opt._step_all = function(...)
    most = math.max(most, pl.memory().live_bytes - before)
    update(...)
  end
  opt:step_backward(sum)
  lu.assertTrue(most < 6 * 1000 * 8, most)
end

function T.test_errors_of_step_backward()
  local p = parameter()
  local opt = optim.SGD({p}, {lr = 1})
  lu.assertErrorMsgContains("the output is real[3]", opt.step_backward, opt, p * 2)
  local loss = p:sum()
  opt:step_backward(loss)
  lu.assertErrorMsgContains("the graph was freed", opt.step_backward, opt, loss)
  opt._step_all = function() error("stop here", 0) end
  lu.assertErrorMsgContains("stop here", opt.step_backward, opt, p:sum())
  lu.assertNil(p.grad)
  local square, early = p:square(), optim.SGD({p}, {lr = 1})
  early:step_backward(p:sum()) -- changes what the gradient of square needs
  lu.assertErrorMsgContains("was changed in place since", early.step_backward, early, square:sum())
end

local function with_gradients(...)
  local list = {}
  for i, gradient in ipairs {...} do
    list[i] = parameter(gradient)
    list[i].grad = pl.tensor(gradient)
  end
  return list
end

function T.test_clip_grad_norm()
  local params = with_gradients({3, 0}, {0, 4})
  params[3] = parameter() -- has no gradient
  lu.assertAlmostEquals(optim.clip_grad_norm_(params, 1), 5, 1e-6)
  local factor = 1 / (5 + 1e-6)
  assert_close(params[1].grad:totable(), {3 * factor, 0}, "first")
  assert_close(params[2].grad:totable(), {0, 4 * factor}, "second")
  lu.assertNil(params[3].grad)
end

function T.test_small_norm_is_not_clipped()
  local params = with_gradients({3, 0}, {0, 4})
  lu.assertAlmostEquals(optim.clip_grad_norm_(params, 6), 5, 1e-6)
  lu.assertEquals(params[2].grad:totable(), {0, 4})
  lu.assertEquals(optim.clip_grad_norm_({parameter()}, 1), 0)
end

function T.test_norm_that_is_not_finite()
  for _, bad in ipairs {math.huge, 0 / 0} do
    local params = with_gradients {1, bad}
    local norm = optim.clip_grad_norm_(params, 1)
    lu.assertTrue(norm ~= norm or norm == math.huge)
    lu.assertEquals(params[1].grad:totable()[1], 1)
  end
end

function T.test_clip_grad_value()
  local params = with_gradients({3, -0.25}, {-7, 0.5})
  optim.clip_grad_value_(params, 0.5)
  lu.assertEquals(params[1].grad:totable(), {0.5, -0.25})
  lu.assertEquals(params[2].grad:totable(), {-0.5, 0.5})
end

function T.test_errors_of_clipping()
  assert_fails {
    {"clip_grad_norm_: positive number expected as the bound, got 0",
     function() optim.clip_grad_norm_({parameter()}, 0) end},
    {"clip_grad_norm_: list of tensors expected, got nil",
     function() optim.clip_grad_norm_(nil, 1) end},
    {"clip_grad_value_: parameter 1 is a number; tensor expected",
     function() optim.clip_grad_value_({1}, 1) end},
  }
end

--
-- Schedules
--

local function two_rates()
  return optim.SGD({{params = {parameter()}}, {params = {parameter()}, lr = 0.5}}, {lr = 2})
end

-- Compares the rates of both groups with a function of t and the rate at the beginning.
local function assert_rates(make, rate, steps)
  local opt = two_rates()
  local schedule = make(opt)
  for t = 0, steps do
    lu.assertAlmostEquals(opt.groups[1].lr, rate(t, 2), 1e-14, "t = " .. t)
    lu.assertAlmostEquals(opt.groups[2].lr, rate(t, 0.5), 1e-14, "t = " .. t)
    schedule:step()
  end
end

function T.test_step_lr()
  assert_rates(function(opt) return optim.StepLR(opt, {step_size = 3, gamma = 0.5}) end,
    function(t, lr) return lr * 0.5 ^ (t // 3) end, 10)
  assert_rates(function(opt) return optim.StepLR(opt, {step_size = 1}) end,
    function(t, lr) return lr * 0.1 ^ t end, 3)
end

function T.test_cosine_annealing_lr()
  assert_rates(function(opt) return optim.CosineAnnealingLR(opt, {T_max = 8, eta_min = 0.1}) end,
    function(t, lr)
      if t > 8 then return 0.1 end
      return 0.1 + (lr - 0.1) * (1 + math.cos(math.pi * t / 8)) / 2
    end, 12)
end

function T.test_cosine_with_warmup()
  local seen = {}
  assert_rates(function(opt) return optim.CosineAnnealingLR(opt, {T_max = 10, warmup = 4}) end,
    function(t, lr)
      local value = t < 4 and lr * (t + 1) / 5
        or lr * (1 + math.cos(math.pi * math.min(1, (t - 4) / 6))) / 2
      if lr == 2 then seen[#seen + 1] = value end
      return value
    end, 10)
  lu.assertEquals({seen[1], seen[5], seen[11]}, {0.4, 2, 0})
end

function T.test_lambda_lr()
  local function zaremba(t) return 0.5 ^ math.max(0, t - 3) end
  assert_rates(function(opt) return optim.LambdaLR(opt, zaremba) end,
    function(t, lr) return lr * zaremba(t) end, 8)
end

-- The rate is a part of the optimiser's state: what set it last, a script or another schedule, counts.
function T.test_a_restored_schedule_leaves_the_rate_alone()
  local opt = optim.SGD({parameter()}, {lr = 1})
  local schedule = optim.StepLR(opt, {step_size = 1, gamma = 0.5})
  schedule:step()
  opt.lr = 0.01
  local states = {opt:state_dict(), schedule:state_dict()}
  local again = optim.SGD({parameter()}, {lr = 1})
  local other = optim.StepLR(again, {step_size = 1, gamma = 0.5})
  again:load_state_dict(states[1])
  other:load_state_dict(states[2])
  lu.assertEquals(again.lr, 0.01)
  other:step()
  lu.assertEquals(again.lr, 0.25)
end

function T.test_schedules_of_one_optimiser_begin_with_the_same_rate()
  local opt = optim.SGD({parameter()}, {lr = 1})
  local _ = optim.LambdaLR(opt, function(t) return (t + 1) / 6 end)
  local main = optim.StepLR(opt, {step_size = 1, gamma = 0.5})
  main:step()
  lu.assertEquals(opt.lr, 0.5)
end

function T.test_results_are_not_trained()
  local w = nn.parameter(pl.ones(2, 3)) * 0.01
  lu.assertErrorMsgContains("SGD: parameter 1, [2,3], is the result of an op and would not be trained",
    optim.SGD, {w}, {lr = 1})
end

function T.test_clipping_refuses_modules()
  for _, name in ipairs {"clip_grad_norm_", "clip_grad_value_"} do
    local net = nn.module {layer = nn.Linear(2, 2), forward = function() end}
    lu.assertErrorMsgContains(name .. ": list of tensors expected, got a module; pass its :parameters()",
      optim[name], net, 1)
  end
end

function T.test_errors_of_schedules()
  local opt = two_rates()
  assert_fails {
    {"StepLR: optimiser expected, got nil",
     function() local _ = optim.StepLR(nil, {step_size = 1}) end},
    {"StepLR: option 'step_size' is missing", function() local _ = optim.StepLR(opt) end},
    {"StepLR: step_size: positive integer expected, got 0.5",
     function() local _ = optim.StepLR(opt, {step_size = 0.5}) end},
    {"StepLR: gamma: number of at least 0 expected, got x",
     function() local _ = optim.StepLR(opt, {step_size = 1, gamma = "x"}) end},
    {"CosineAnnealingLR: warmup of 9 steps in a T_max of 9",
     function() local _ = optim.CosineAnnealingLR(opt, {T_max = 9, warmup = 9}) end},
    {"LambdaLR: function expected, got number", function() local _ = optim.LambdaLR(opt, 1) end},
    {"load_state_dict of StepLR: the state is one of LambdaLR", function()
      local state = optim.LambdaLR(opt, function() return 1 end):state_dict()
      optim.StepLR(opt, {step_size = 1}):load_state_dict(state)
    end},
  }
  lu.assertErrorMsgContains("LambdaLR: the function gave a nil for 0; number expected",
                            optim.LambdaLR, opt, function() end)
end

return T
