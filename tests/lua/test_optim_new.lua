--- Optimisers that are written in Lua: the example in the comment of `optim.new`, run as it stands.

local lu = require "luaunit"
local pl = require "perilune"
local doc = require "perilune.help.doc"
local nn, optim = pl.nn, pl.optim

local T = {}

-- The indented lines of the comment of optim.new.
local function example()
  local lines = {}
  for line in (doc.of(optim.new).text .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line:match "^    (.*)$"
  end
  return table.concat(lines, "\n")
end

-- What the example calls `Adamax` and `opt`.
local function run_example(net)
  local env = {pl = pl, optim = optim, net = net}
  local text = ("\n" .. example()):gsub("\nlocal ", "\n")
  assert(load(text, "=example", "t", env))()
  return env.Adamax, env.opt
end

local function network()
  pl.manual_seed(3)
  return nn.Sequential {nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)}
end

local Adamax = run_example(network())

local x = pl.linspace(-1, 1, 32):reshape(8, 4)
pl.keep(x)

local function train(net, opt, steps)
  for _ = 1, steps do
    pl.tidy(function()
      opt:zero_grad()
      net(x):square():mean():backward()
      opt:step()
    end)
  end
end

local function values(net)
  local list = {}
  for i, p in ipairs(net:parameters()) do list[i] = p:detach():clone():totable() end
  return list
end

function T.test_the_example_is_short_and_learns()
  lu.assertTrue(select(2, example():gsub("\n", "")) < 15)
  local net = network()
  local _, opt = run_example(net)
  lu.assertEquals(tostring(opt), "Adamax(4 parameters in 1 groups, lr=0.003)")
  local before = net(x):square():mean():item()
  train(net, opt, 50)
  lu.assertTrue(net(x):square():mean():item() < before)
end

-- Against the formula in Lua's numbers.
function T.test_the_steps_are_those_of_the_paper()
  local p = nn.parameter(pl.tensor {0.5, -1.25})
  local opt = Adamax({p}, {lr = 0.25, betas = {0.5, 0.75}, eps = 0, weight_decay = 0.5})
  local expected, m, u = {0.5, -1.25}, {0, 0}, {0, 0}
  for t, gradient in ipairs {{1, -2}, {-4, 0.75}, {0.25, 8}} do
    p.grad = pl.tensor(gradient)
    opt:step()
    for i, g in ipairs(gradient) do
      g = g + 0.5 * expected[i]
      m[i], u[i] = 0.5 * m[i] + 0.5 * g, math.max(0.75 * u[i], math.abs(g))
      expected[i] = expected[i] - 0.25 / (1 - 0.5 ^ t) * m[i] / u[i]
    end
    for i, value in ipairs(p:totable()) do lu.assertAlmostEquals(value, expected[i], 1e-6) end
  end
end

function T.test_groups_schedules_and_the_rate()
  local net = network()
  local opt = Adamax(optim.groups(net, {weight_decay = 0.5}), {lr = 0.1})
  lu.assertEquals({opt.groups[1].weight_decay, opt.groups[2].weight_decay}, {0.5, 0})
  lu.assertNotIs(opt.groups[1].betas, opt.groups[2].betas)
  local schedule = optim.StepLR(opt, {step_size = 1, gamma = 0.5})
  schedule:step()
  lu.assertEquals(opt.lr, 0.05)
  opt.lr = 0.2
  lu.assertEquals(opt.groups[2].lr, 0.2)
  train(net, opt, 1)
end

function T.test_a_state_goes_through_a_file()
  local path = os.tmpname()
  local net = network()
  local opt = Adamax(net:parameters())
  train(net, opt, 3)
  assert(pl.save(path, {net = net:state_dict(), opt = opt:state_dict()}))
  train(net, opt, 3)
  local other, saved = network(), assert(pl.load(path))
  os.remove(path)
  local again = Adamax(other:parameters(), {lr = 1})
  other:load_state_dict(saved.net)
  again:load_state_dict(saved.opt)
  train(other, again, 3)
  lu.assertEquals(values(other), values(net))
end

function T.test_a_step_within_the_backward_pass()
  local a, b = network(), network()
  local opt_a, opt_b = Adamax(a:parameters()), Adamax(b:parameters())
  train(a, opt_a, 3)
  for _ = 1, 3 do pl.tidy(function() opt_b:step_backward(b(x):square():mean()) end) end
  lu.assertEquals(values(b), values(a))
end

function T.test_what_it_remembers_may_have_any_shape()
  local Rows = optim.new {
    name = "Rows", options = {lr = 1},
    step = function(p, grad, state, o)
      state.rows, state.n = grad:sum(-1), (state.n or 0) + 1
      p:add_(grad, -o.lr)
    end,
  }
  local p = nn.parameter(pl.ones(2, 3))
  local opt = Rows({p})
  p.grad = pl.ones(2, 3)
  pl.tidy(opt.step, opt)
  local again = Rows({p}):load_state_dict(opt:state_dict())
  lu.assertEquals(again.state[1].rows:totable(), {3, 3})
  lu.assertEquals(again.state[1].n, 1)
end

function T.test_nothing_is_recorded_and_nothing_stays()
  local net = network()
  local opt = Adamax(net:parameters())
  train(net, opt, 1)
  local before = pl.memory().tensors
  train(net, opt, 3)
  lu.assertEquals(pl.memory().tensors, before)
  for _, p in ipairs(net:parameters()) do lu.assertTrue(p.is_leaf) end
end

function T.test_an_error_in_a_step_is_the_scripts()
  local Bad = optim.new {name = "Bad", options = {lr = 1}, step = function() error "stop" end}
  local p = nn.parameter(pl.ones(1))
  local opt = Bad {p}
  p.grad = pl.ones(1)
  lu.assertStrMatches(select(2, pcall(opt.step, opt)), "[^\n]*test_optim_new.lua:%d+: stop")
end

function T.test_a_table_among_the_options_is_copied_whole()
  local seen
  local Tabled = optim.new {
    name = "Tabled", options = {lr = 1, extra = {2, name = "a"}},
    step = function(_, _, _, o) seen = o.extra end,
  }
  local given, p = {3, name = "b"}, nn.parameter(pl.ones(1))
  local opt = Tabled({p}, {extra = given})
  given.name = "c"
  p.grad = pl.ones(1)
  opt:step()
  lu.assertEquals(seen, {3, name = "b"})
  opt:load_state_dict(opt:state_dict())
  opt:step()
  lu.assertEquals(seen, {3, name = "b"})
end

function T.test_messages()
  local p = nn.parameter(pl.ones(1))
  local function fails(message, f, ...) lu.assertErrorMsgContains(message, f, ...) end
  fails("new: option 'name' is missing", optim.new, {})
  fails("new: name: string expected, got number", optim.new, {name = 1, options = {}})
  fails("new: options: lr is missing", optim.new, {name = "A", options = {}})
  fails("new: step: function expected, got nil", optim.new, {name = "A", options = {lr = 1}})
  fails("new: step_all: function expected, got number", optim.new,
        {name = "A", options = {lr = 1}, step_all = 1})
  fails("new: step or step_all expected, got both", optim.new,
        {name = "A", options = {lr = 1}, step = print, step_all = print})
  fails("new: check: function expected, got number", optim.new,
        {name = "A", options = {lr = 1}, step = print, check = 1})
  fails("Adamax: unknown option 'b'; known: betas, eps, lr, weight_decay", Adamax, {p}, {b = 1})
  fails("Adamax: betas: two numbers in [0, 1) expected, got 2", Adamax, {p}, {betas = {0.9, 2}})
  fails("Adamax: parameter 1 is a number; tensor expected", Adamax, {1})
  local A = optim.new {
    name = "A", options = {lr = optim.required, gamma = 1}, step = print,
    check = function(o) if o.gamma == 2 then return "gamma is 2" end end,
  }
  fails("A: option 'lr' is missing", A, {p})
  fails("A: gamma: number expected, got x", A, {p}, {lr = 1, gamma = "x"})
  fails("A: gamma is 2", A, {p}, {lr = 1, gamma = 2})
  fails("load_state_dict of A: the state is one of Adamax", function()
    A({p}, {lr = 1}):load_state_dict(Adamax({p}):state_dict())
  end)
end

return T
