--- Averages of weights, against plain Lua numbers.

local lu = require "luaunit"
local pl = require "perilune"
local oracle = require "oracle_optim"
local nn, optim = pl.nn, pl.optim

local T = {}

local VALUES <const> = {3, -1, 4, 1.5, -9}

-- Gives the parameter one value after the other, and what the average is after each.
local function history(options)
  local p = nn.parameter(pl.zeros(2))
  local average = options and optim.EMA({p}, options) or optim.SWA {p}
  local list = {}
  for i, value in ipairs(VALUES) do
    pl.no_grad(p.fill_, p, value)
    average:update()
    list[i] = average.means[1][2]
  end
  return list, average, p
end

local function near(a, b)
  for i, value in ipairs(b) do lu.assertAlmostEquals(a[i], value, 1e-6) end
end

function T.test_all_steps_alike()
  local list, average = history()
  near(list, {3, 1, 2, 1.875, -0.3})
  lu.assertEquals(average.n, 5)
end

function T.test_decay()
  local expected = {3}
  for i = 2, 5 do expected[i] = expected[i - 1] * 0.75 + VALUES[i] * 0.25 end
  near(history {decay = 0.75}, expected)
  near(history {decay = 0}, VALUES)
end

function T.test_warmup()
  local expected = {3}
  for i = 2, 5 do
    local decay = math.min(0.15, (i - 1) / (i + 8))
    expected[i] = expected[i - 1] * decay + VALUES[i] * (1 - decay)
  end
  near(history {decay = 0.15, warmup = true}, expected)
end

function T.test_swap()
  local _, average, p = history()
  average:swap()
  near(p:totable(), {-0.3, -0.3})
  near(average.means[1]:totable(), {-9, -9})
  average:swap()
  near(p:totable(), {-9, -9})
  local none = optim.SWA {p}
  none:swap()
  near(p:totable(), {-9, -9})
end

function T.test_means_of_another_network()
  local net, copy = nn.Linear(2, 1), nn.Linear(2, 1)
  local average = optim.EMA(net:parameters(), {decay = 0.5, means = copy:parameters()})
  average:update()
  lu.assertEquals(copy.weight:totable(), net.weight:totable())
  lu.assertEquals(average:state_dict(), {n = 1})
  lu.assertEquals(optim.SWA(net:parameters(), {means = copy:parameters()})
    :load_state_dict({n = 4}).n, 4)
end

function T.test_a_state_goes_through_a_file()
  local path = os.tmpname()
  local _, average, p = history()
  assert(pl.save(path, {a = average:state_dict(), none = optim.SWA({p}):state_dict()}))
  local saved = assert(pl.load(path))
  os.remove(path)
  local again = optim.SWA {p}
  again:load_state_dict(saved.a)
  again:update()
  average:update()
  lu.assertEquals(again.means[1]:totable(), average.means[1]:totable())
  lu.assertEquals(again:load_state_dict(saved.none).n, 0)
end

function T.test_the_means_outlive_a_tidy()
  local p = nn.parameter(pl.ones(2))
  local average = optim.SWA {p}
  pl.tidy(average.update, average)
  pl.tidy(average.load_state_dict, average, average:state_dict())
  near(average.means[1]:totable(), {1, 1})
end

-- Against PyTorch's AveragedModel, of a layer with a weight and a buffer.
function T.test_the_averages_are_pytorchs()
  for _, case in ipairs(oracle.averages) do
    local net = nn.BatchNorm1d(3)
    local average = optim[case.name](net, case.options)
    for i, v in ipairs(case.values) do
      pl.no_grad(function()
        net.weight:copy_(pl.tensor(v))
        net.running_mean:copy_(pl.tensor(v) * 2)
      end)
      average:update()
      near(average.module.weight:totable(), case.seen[i][1])
      near(average.module.running_mean:totable(), case.seen[i][2])
    end
  end
end

function T.test_the_copy_of_a_module()
  local net = nn.Sequential {nn.Linear(2, 2), nn.BatchNorm1d(2)}
  local x = pl.tensor {{1, 2}, {-1, 0.5}, {0, 3}}
  local ema = optim.EMA(net, {decay = 0.5})
  local weight = net[1].weight:detach():clone()
  ema:update()
  pl.no_grad(function() net[1].weight:mul_(3) end)
  net(x):sum():backward()
  ema:update()
  near(ema.module[1].weight:flatten():totable(), (weight * 2):flatten():totable())
  near(ema.module[2].running_mean:totable(), net[2].running_mean:totable())
  lu.assertEquals({ema.module.training, net.training, ema.module[1].weight.requires_grad},
                  {false, true, false})
  local expected, before = ema.module(x):flatten():totable(), net[1].weight:flatten():totable()
  ema:swap()
  net:eval()
  near(net(x):flatten():totable(), expected)
  ema:swap()
  near(net[1].weight:flatten():totable(), before)
end

-- Whoever holds the copy has the means that were loaded.
function T.test_the_state_of_a_module_goes_through_a_file()
  local path = os.tmpname()
  local net = nn.Sequential {nn.Linear(2, 2), nn.BatchNorm1d(2)}
  local ema = optim.EMA(net, {decay = 0.75, use_buffers = true})
  local function go(average)
    pl.no_grad(function()
      net[1].weight:fill_(average.n + 1)
      net[2].running_mean:fill_(average.n - 3)
    end)
    average:update()
  end
  for _ = 1, 3 do go(ema) end
  assert(pl.save(path, {ema = ema:state_dict()}))
  local other = optim.EMA(net, {decay = 0.75, use_buffers = true})
  local module = other.module
  other:load_state_dict(assert(pl.load(path)).ema)
  os.remove(path)
  for _, average in ipairs {ema, other} do go(average) end
  lu.assertIs(other.module, module)
  lu.assertEquals(module[1].weight:totable(), ema.module[1].weight:totable())
  lu.assertEquals(module[2].running_mean:totable(), ema.module[2].running_mean:totable())
end

function T.test_the_statistics_are_those_of_all_batches()
  local case = oracle.statistics
  local net = nn.Sequential {nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU()}
  pl.no_grad(function()
    net[1].weight:copy_(pl.tensor(case.weight))
    net[1].bias:copy_(pl.tensor(case.bias))
  end)
  net[3]:eval()
  local i = 0
  optim.update_bn(function()
    i = i + 1
    return case.batches[i] and pl.tensor(case.batches[i])
  end, net)
  near(net[2].running_mean:totable(), case.mean)
  near(net[2].running_var:totable(), case.var)
  lu.assertEquals({net.training, net[3].training}, {true, false})
  optim.update_bn(function() error "not asked for" end, nn.Linear(1, 1))
end

function T.test_messages()
  local p = nn.parameter(pl.ones(2))
  local function fails(message, ...) lu.assertErrorMsgContains(message, optim.EMA, ...) end
  fails("EMA: list of tensors expected, got nil")
  fails("EMA: parameter 1: tensor expected, got number", {1})
  fails("EMA: decay: number in [0, 1) expected, got 1", {p}, {decay = 1})
  fails("EMA: warmup: true or false expected, got 5", {p}, {warmup = 5})
  fails("EMA: unknown option 'rate'; known: decay, means, use_buffers, warmup", {p}, {rate = 1})
  fails("EMA: 0 means for 1 parameters", {p}, {means = {}})
  fails("EMA: mean 1 is [3] for a parameter of [2]", {p}, {means = {pl.ones(3)}})
  fails("EMA: mean 1 is int32, expected real", {p}, {means = {pl.ones({2}, "int32")}})
  fails("EMA: means: of a list of parameters; a module has a copy of itself", nn.Linear(1, 1),
        {means = {}})
  lu.assertErrorMsgContains("SWA: unknown option 'decay'; known: means, use_buffers", optim.SWA, {p},
                            {decay = 0.5})
  lu.assertErrorMsgContains("update_bn: module expected, got nil", optim.update_bn, next)
  local net = nn.BatchNorm1d(2)
  lu.assertErrorMsgContains("update_bn: iterator over batches expected, got table", optim.update_bn,
                            {}, net)
  lu.assertErrorMsgContains("update_bn: there is no batch", optim.update_bn, function() end, net)
  lu.assertErrorMsgContains("update_bn: batch 1 begins with a table; the input, a tensor, expected",
                            optim.update_bn, function() return {} end, net)
  local of_module = optim.SWA(net)
  lu.assertErrorMsgContains("load_state_dict of an average: no means for 2 parameters",
                            of_module.load_state_dict, of_module, {n = 1})
  local average = optim.SWA {p}
  lu.assertErrorMsgContains("load_state_dict of an average: what state_dict gave expected",
                            average.load_state_dict, average, {})
  lu.assertErrorMsgContains("load_state_dict of an average: no means for 1 parameters",
                            average.load_state_dict, average, {n = 1})
  lu.assertErrorMsgContains("load_state_dict of an average: what state_dict gave expected",
                            average.load_state_dict, average, {n = -1})
end

return T
