--- Optimisers and averages: against PyTorch's values (tests/oracle_optim.py wrote oracle_optim.lua),
-- and what each has to do, a new one too: to leave frozen parameters alone, to go on from its state to
-- the same bits, to refuse options that are none.

local lu = require "luaunit"
local pl = require "perilune"
local line_search = require "perilune.optim.line_search"
local oracle = require "oracle_optim"
local help = require "perilune.help"
local sources = require "perilune.sources"
local nn, optim = pl.nn, pl.optim

local T = {}

local DOUBLE <const> = pl.real == "double"
local TOLERANCE <const> = DOUBLE and 1e-9 or 1e-5

local function close(actual, expected, what, tolerance)
  if pl.is_tensor(actual) then actual = actual:flatten():totable() end
  for i, value in ipairs(expected) do
    lu.assertAlmostEquals(actual[i], value, (tolerance or TOLERANCE) * math.max(1, math.abs(value)),
                          ("%s, value %d"):format(what, i))
  end
end

-- The names of all optimisers that the library has: a file of algorithms/ has one or two.
local function names()
  local list = {}
  for _, module in ipairs(sources.modules) do
    if module:find "^perilune%.optim%.algorithms%." then
      for name in next, (require(module)) do list[#list + 1] = name end
    end
  end
  table.sort(list)
  return list
end

--
-- The cases
--

local function start(kind)
  local list = {}
  for i, values in ipairs(oracle.start[kind]) do list[i] = nn.parameter(pl.tensor(values)) end
  return list
end

local function make(case)
  local params, groups = start(case.kind), {}
  for i, options in ipairs(case.groups) do
    groups[i] = {params = {params[i]}}
    for name, value in next, options do groups[i][name] = value end
  end
  return optim[case.name](groups, case.options), params
end

local function give_gradients(params, kind, t)
  for i, p in ipairs(params) do
    p.grad = not (t == 1 and i == 2) and pl.tensor(oracle.gradients[kind][t][i]) or nil
  end
end

local function title(case)
  local words = {}
  for name, value in next, case.options do words[#words + 1] = name .. "=" .. tostring(value) end
  table.sort(words)
  return ("%s {%s}"):format(case.name, table.concat(words, ", "))
end

-- Goes on with steps of a case.
local function go(case, opt, params, first, last)
  for t = first, last do
    give_gradients(params, case.kind, t)
    pl.tidy(opt.step, opt)
  end
end

function T.test_the_values_are_pytorchs()
  for _, case in ipairs(oracle.optimizers) do
    local opt, params = make(case)
    local done = 0
    for k, t in ipairs(oracle.shown) do
      go(case, opt, params, done + 1, t)
      for i, p in ipairs(params) do
        close(p:detach(), case.values[k][i], ("%s, step %d, parameter %d"):format(title(case), t, i))
      end
      done = t
    end
    for i, state in ipairs(case.states) do
      for name, expected in next, state do
        local value = opt.state[i][name]
        if name == "step" then value = value or expected[1] end -- which not all count
        close(pl.is_tensor(value) and value or {value}, expected, title(case) .. ", " .. name)
      end
    end
  end
end

-- An optimiser without a case has no expected values.
function T.test_every_optimiser_has_cases()
  local seen = {LBFGS = #oracle.lbfgs > 0}
  for _, case in ipairs(oracle.optimizers) do seen[case.name] = true end
  for _, name in ipairs(names()) do lu.assertTrue(seen[name], name) end
end

--
-- LBFGS
--

local function lbfgs(case)
  local a, b = nn.parameter(pl.tensor {-0.5, 0.7}), nn.parameter(pl.tensor {1.5, -0.4, 0.6})
  local text = "local a, b = ... return " .. oracle.losses[case.loss]
  local opt, loss = optim.LBFGS({a, b}, case.options), assert(load(text))
  local function closure()
    opt:zero_grad()
    local value = loss(a, b) * (case.options.maximize and -1 or 1)
    value:backward()
    return value
  end
  return opt, a, b, closure
end

function T.test_lbfgs_has_pytorchs_values()
  for k, case in ipairs(oracle.lbfgs) do
    local what = ("case %d, %s"):format(k, case.loss)
    local opt, a, b, closure = lbfgs(case)
    local tolerance = DOUBLE and 1e-8 or 2e-3
    for i, expected in ipairs(case.losses) do
      close({opt:step(closure):item()}, {expected}, what .. ", loss " .. i, tolerance)
    end
    close(a:detach(), case.a, what .. ", a", tolerance)
    close(b:detach(), case.b, what .. ", b", tolerance)
    if DOUBLE then
      lu.assertEquals({opt.state[1].func_evals, opt.state[1].n_iter}, {case.evals, case.iters}, what)
    end
  end
end

-- In Lua's numbers, along lines with waves.
function T.test_the_line_search_is_pytorchs()
  for k, case in ipairs(oracle.searches) do
    local a, b, w, first, most, expected = table.unpack(case)
    local evals = 0
    local function at(t)
      evals = evals + 1
      return {t = t, f = -t + a * t * t + b * math.sin(w * t),
              slope = -1 + 2 * a * t + b * w * math.cos(w * t)}
    end
    local origin = at(0)
    local t = line_search.strong_wolfe(origin, at, first, 1, most).t
    lu.assertAlmostEquals(t, expected, 1e-6 * math.max(1, expected), "search " .. k)
    lu.assertEquals(evals - 1, case.evals, "search " .. k)
  end
end

function T.test_lbfgs_leaves_frozen_parameters_alone_and_begins_anew()
  local opt, a, b, closure = lbfgs(oracle.lbfgs[3])
  b:requires_grad_(false)
  opt:step(closure)
  close(b:detach(), {1.5, -0.4, 0.6}, "frozen", 1e-7)
  lu.assertEquals(opt.state[1].d:numel(), 2)
  b:requires_grad_()
  opt:step(closure)
  lu.assertEquals(opt.state[1].d:numel(), 5)
  for _, p in ipairs {a, b} do p:requires_grad_(false) end
  lu.assertEquals(opt:step(function() return 3 end), 3)
end

function T.test_lbfgs_does_not_hide_a_nan()
  local p = nn.parameter(pl.ones(2))
  local opt = optim.LBFGS({p}, {max_iter = 2})
  opt:step(function()
    p.grad = pl.tensor {0 / 0, 1}
    return 1
  end)
  lu.assertTrue(p:detach():isnan():sum():item() > 0)
end

function T.test_lbfgs_goes_on_from_its_state_to_the_same_bits()
  local path = os.tmpname()
  for _, case in ipairs(oracle.lbfgs) do
    local opt, a, b, closure = lbfgs(case)
    pl.tidy(opt.step, opt, closure)
    assert(pl.save(path, {opt = opt:state_dict(), a = a:detach(), b = b:detach()}))
    pl.tidy(opt.step, opt, closure)
    local saved, again, c, d, other = assert(pl.load(path)), lbfgs(case)
    pl.no_grad(function()
      c:copy_(saved.a)
      d:copy_(saved.b)
    end)
    again:load_state_dict(saved.opt)
    pl.tidy(again.step, again, other)
    lu.assertEquals({c:totable(), d:totable()}, {a:totable(), b:totable()})
  end
  os.remove(path)
end

function T.test_messages_of_lbfgs()
  local p, q = nn.parameter(pl.ones(2)), nn.parameter(pl.ones(2))
  local function fails(message, f, ...) lu.assertErrorMsgContains(message, f, ...) end
  local opt = optim.LBFGS {p}
  fails("LBFGS: step: function expected that returns the loss, got nil", opt.step, opt)
  fails("LBFGS: step: the function gave a nil; the loss expected", opt.step, opt, function() end)
  fails("step_backward: LBFGS evaluates the loss itself", opt.step_backward, opt, p:sum())
  fails("LBFGS: one group of parameters expected, got 2", optim.LBFGS, {{params = {p}}, {params = {q}}})
  fails("LBFGS: line_search_fn: one of strong_wolfe expected, got weak", optim.LBFGS, {p},
        {line_search_fn = "weak"})
  fails("LBFGS: max_iter: positive integer expected, got 0.5", optim.LBFGS, {p}, {max_iter = 0.5})
  opt:step(function()
    opt:zero_grad()
    local loss = p:square():sum()
    loss:backward()
    return loss
  end)
  local state = opt:state_dict()
  state.state[1].old_dirs = 3
  fails("old_dirs of parameter 1 is a number; list of real tensors with one dimension expected",
        opt.load_state_dict, opt, state)
end

--
-- What every optimiser has to do
--

-- One of each kind, with a parameter that it takes.
local function each(f)
  for _, name in ipairs(names()) do
    if name ~= "LBFGS" then
      local size = name == "Muon" and {2, 3} or {6}
      local function parameter() return nn.parameter(pl.linspace(-1, 1, 6):reshape(size)) end
      f(name, parameter, function(list, options)
        local all = {lr = 0.1}
        for key, value in next, options or {} do all[key] = value end
        return optim[name](list, all)
      end, size)
    end
  end
end

function T.test_states_go_on_to_the_same_bits()
  local path = os.tmpname()
  for _, case in ipairs(oracle.optimizers) do
    local opt, params = make(case)
    go(case, opt, params, 1, 4)
    local values = {}
    for i, p in ipairs(params) do values[i] = p:detach():clone() end
    assert(pl.save(path, {opt = opt:state_dict(), values = values}))
    go(case, opt, params, 5, 8)
    local again, others = make(case)
    local saved = assert(pl.load(path))
    pl.no_grad(function()
      for i, p in ipairs(others) do p:copy_(saved.values[i]) end
    end)
    again:load_state_dict(saved.opt)
    go(case, again, others, 5, 8)
    for i, p in ipairs(params) do lu.assertEquals(others[i]:totable(), p:totable(), title(case)) end
  end
  os.remove(path)
end

function T.test_frozen_parameters_are_left_alone()
  each(function(name, parameter, new, size)
    local p, frozen = parameter(), parameter()
    local opt = new {p, frozen}
    frozen:requires_grad_(false)
    p.grad, frozen.grad = pl.ones(size), pl.ones(size)
    opt:step()
    lu.assertEquals(frozen:totable(), parameter():totable(), name)
    lu.assertNotEquals(p:totable(), parameter():totable(), name)
    lu.assertEquals(opt.state[2], {}, name)
    frozen:requires_grad_()
    frozen.grad = pl.ones(size)
    opt:step()
    lu.assertNotEquals(frozen:totable(), parameter():totable(), name)
  end)
end

-- The same bits as with the negative gradient.
function T.test_maximize()
  local count = 0
  each(function(name, parameter, new, size)
    local p, q = parameter(), parameter()
    local up = select(2, pcall(new, {p}, {maximize = true}))
    if type(up) == "string" then return lu.assertStrContains(up, "unknown option 'maximize'") end
    local down = new {q}
    for t = 1, 3 do
      local grad = pl.linspace(-t, t, 6):reshape(size)
      p.grad, q.grad = grad, -grad
      up:step()
      down:step()
    end
    lu.assertEquals(p:totable(), q:totable(), name)
    count = count + 1
  end)
  lu.assertTrue(count >= 9)
end

-- Long parameters are cut into pieces, which others may not notice.
function T.test_long_parameters()
  each(function(name, _, new)
    local sizes = name == "Muon" and {{3, 4}, {100, 7}} or {{1}, {20000}, {8193}, {50000}}
    local together, grads = {}, {}
    for i, size in ipairs(sizes) do
      together[i] = nn.parameter(pl.linspace(-1, 2, pl.ones(size):numel()):reshape(size))
      grads[i] = pl.linspace(3, -1, together[i]:numel()):reshape(size)
    end
    local function step(list, first)
      local opt = new(list)
      for _ = 1, 2 do
        for i, p in ipairs(list) do p.grad = grads[first + i - 1] end
        opt:step()
      end
    end
    local alone = {}
    for i, p in ipairs(together) do
      alone[i] = nn.parameter(p:detach():clone())
      step({alone[i]}, i)
    end
    step(together, 1)
    for i, p in ipairs(together) do lu.assertEquals((p - alone[i]):abs():sum():item(), 0, name) end
  end)
end

function T.test_a_nan_is_not_hidden()
  each(function(name, parameter, new, size)
    local p = parameter()
    local opt = new {p}
    p.grad = pl.full(size, 0 / 0)
    opt:step()
    lu.assertEquals(p:detach():isnan():sum():item(), 6, name)
  end)
end

function T.test_a_step_with_a_closure_and_within_the_backward_pass()
  each(function(name, parameter, new)
    local list, opts = {}, {}
    for i = 1, 3 do
      list[i] = parameter()
      opts[i] = new {list[i]}
    end
    local function loss(i) return (list[i] * list[i] * 0.5):sum() end
    for _ = 1, 3 do
      opts[1]:zero_grad()
      loss(1):backward()
      opts[1]:step()
      local value = opts[2]:step(function()
        opts[2]:zero_grad()
        local value = loss(2)
        value:backward()
        return value
      end)
      lu.assertTrue(value.requires_grad)
      opts[3]:step_backward(loss(3))
    end
    for i = 2, 3 do lu.assertEquals(list[i]:totable(), list[1]:totable(), name) end
  end)
end

-- Several backward passes, each loss divided by their number, are one of the mean.
function T.test_gradients_add_up()
  local x, y = pl.linspace(-1, 1, 24):reshape(8, 3), pl.linspace(2, -1, 8):reshape(8, 1)
  local function trained(parts)
    pl.manual_seed(1)
    local net = nn.Linear(3, 1)
    local opt = optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})
    for _ = 1, 3 do
      opt:zero_grad()
      for a, b in pl.data.batches({x, y}, {batch_size = 8 // parts, shuffle = false}) do
        pl.tidy(function() (pl.mse_loss(net(a), b) / parts):backward() end)
      end
      opt:step()
    end
    return net.weight:flatten():totable()
  end
  close(trained(4), trained(1), "weight", DOUBLE and 1e-12 or 1e-6)
end

-- The options of an optimiser are those that the error of an unknown one lists.
local function known_options(f)
  local message = select(2, pcall(f, {no_such_option = 1}))
  local list = {}
  for name in message:match "known: ([^\n]*)":gmatch "[%w_]+" do list[#list + 1] = name end
  return list
end

local BAD <const> = {"bad", -1e308 * 10, {}, {"a"}, print}

function T.test_every_option_is_checked()
  for _, name in ipairs(names()) do
    local p = nn.parameter(pl.ones(2, 2))
    local function new(options)
      options.lr = options.lr or 0.1
      return optim[name]({p}, options)
    end
    local options = known_options(new)
    lu.assertTrue(#options > 1, name)
    for _, option in ipairs(options) do
      for _, bad in ipairs(BAD) do
        local ok, message = pcall(new, {[option] = bad})
        lu.assertFalse(ok, name .. " " .. option)
        lu.assertStrContains(message, ("%s: %s: "):format(name, option))
        lu.assertStrContains(message, " expected, got ")
        lu.assertStrContains(message, "test_optimisers.lua:")
        lu.assertNil(message:find "\n")
      end
    end
  end
end

function T.test_messages()
  local p = nn.parameter(pl.ones(2))
  local function fails(message, f, ...) lu.assertErrorMsgContains(message, f, ...) end
  fails("Muon: parameter 1, [2], is no matrix; another optimiser may have it", optim.Muon, {p})
  fails("SGD: nesterov: true or false expected, got 1", optim.SGD, {p},
        {lr = 1, momentum = 0.5, nesterov = 1})
  fails("Adagrad: lr_decay: number of at least 0 expected, got -1", optim.Adagrad, {p}, {lr_decay = -1})
  local matrix = nn.parameter(pl.ones(2, 2))
  fails("Muon: ns_coefficients: three numbers expected, got nil", optim.Muon, {matrix},
        {ns_coefficients = {1, 2}})
  fails("Muon: ns_steps: positive integer expected, got 0", optim.Muon, {matrix}, {ns_steps = 0})
  fails("Muon: adjust_lr_fn: one of original, match_rms_adamw, spectral_unclamped expected, got x",
        optim.Muon, {matrix}, {adjust_lr_fn = "x"})
  local opt = optim.SGD({p}, {lr = 1})
  fails("SGD: step: function expected that returns the loss, got number", opt.step, opt, 1)
  fails("new: state: a is 'matrix'; one of integer, number, numbers, tensor, vector, vectors expected",
        optim.new, {name = "A", options = {lr = 1}, step = print, state = {a = "matrix"}})
end

-- The indented lines of a function's help.
local function example_of(name)
  local lines = {}
  local text = help.text("optim." .. name):gsub("\n%a+\n  .*", "")
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local code = line:match "^    (.*)$"
    if code and not code:find "^%s*%.%.%.$" then lines[#lines + 1] = code end
  end
  return table.concat(lines, "\n")
end

-- Every function of pl.optim has an example, and it runs.
function T.test_the_examples_run()
  local net = nn.Sequential {nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)}
  net.body, net.head = net[1], net[3]
  local x, y = pl.randn(70, 3), pl.rand(70, 2)
  local set = {x, y}
  local function no_op() return 1 end
  for name, f in next, optim do
    local code = type(f) == "function" and example_of(name) or "return"
    lu.assertNotEquals(code, "", name)
    local opt = optim.SGD(net:parameters(), {lr = 0.01, momentum = 0.5})
    local env = setmetatable({
      pl = pl, nn = nn, optim = optim, data = pl.data, net = net, x = x, y = y, set = set, opt = opt,
      epochs = 30, validation_loss = 1, train = no_op, accuracy = no_op, params = net:parameters(),
      schedule = {step = no_op}, swa = optim.SWA(net),
    }, {__index = _G})
    local run = assert(load((code:gsub("figure:save", "assert(figure).save_ = ")), "=" .. name, "t", env))
    run()
  end
end

-- Options without a default can be those of a group.
function T.test_groups_have_all_options()
  local p, q = nn.parameter(pl.ones(2, 2)), nn.parameter(pl.ones(2, 2))
  local opt = optim.Muon {{params = {p}, adjust_lr_fn = "match_rms_adamw"}, {params = {q}, lr = 0.5}}
  lu.assertEquals(opt.groups[1].adjust_lr_fn, "match_rms_adamw")
  lu.assertNil(opt.groups[2].adjust_lr_fn)
  lu.assertEquals({opt.groups[1].lr, opt.groups[2].lr}, {1e-3, 0.5})
end

return T
