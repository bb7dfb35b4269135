--- Averages of weights, against plain Lua numbers.

local lu = require "luaunit"
local pl = require "perilune"
local nn, optim = pl.nn, pl.optim

local T = {}

local VALUES <const> = {3, -1, 4, 1.5, -9}

-- Gives the parameter one value after the other, and what the average is after each.
local function history(options)
  local p = nn.parameter(pl.zeros(2))
  local average, list = optim.average({p}, options), {}
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
  local none = optim.average {p}
  none:swap()
  near(p:totable(), {-9, -9})
end

function T.test_means_of_another_network()
  local net, copy = nn.Linear(2, 1), nn.Linear(2, 1)
  local average = optim.average(net:parameters(), {decay = 0.5, means = copy:parameters()})
  average:update()
  lu.assertEquals(copy.weight:totable(), net.weight:totable())
  lu.assertEquals(average:state_dict(), {n = 1})
  lu.assertEquals(optim.average(net:parameters(), {means = copy:parameters()})
    :load_state_dict({n = 4}).n, 4)
end

function T.test_a_state_goes_through_a_file()
  local path = os.tmpname()
  local _, average, p = history()
  assert(pl.save(path, {a = average:state_dict(), none = optim.average({p}):state_dict()}))
  local saved = assert(pl.load(path))
  os.remove(path)
  local again = optim.average {p}
  again:load_state_dict(saved.a)
  again:update()
  average:update()
  lu.assertEquals(again.means[1]:totable(), average.means[1]:totable())
  lu.assertEquals(again:load_state_dict(saved.none).n, 0)
end

function T.test_the_means_outlive_a_tidy()
  local p = nn.parameter(pl.ones(2))
  local average = optim.average {p}
  pl.tidy(average.update, average)
  pl.tidy(average.load_state_dict, average, average:state_dict())
  near(average.means[1]:totable(), {1, 1})
end

function T.test_messages()
  local p = nn.parameter(pl.ones(2))
  local function fails(message, ...) lu.assertErrorMsgContains(message, optim.average, ...) end
  fails("average: list of tensors expected, got nil")
  fails("average: parameter 1: tensor expected, got number", {1})
  fails("average: decay: number in [0, 1) expected, got 1", {p}, {decay = 1})
  fails("average: unknown option 'rate'; known: decay, means, warmup", {p}, {rate = 1})
  fails("average: 0 means for 1 parameters", {p}, {means = {}})
  fails("average: mean 1 is [3] for a parameter of [2]", {p}, {means = {pl.ones(3)}})
  fails("average: mean 1 is int32, expected real", {p}, {means = {pl.ones({2}, "int32")}})
  local average = optim.average {p}
  lu.assertErrorMsgContains("load_state_dict of an average: what state_dict gave expected",
                            average.load_state_dict, average, {})
  lu.assertErrorMsgContains("load_state_dict of an average: no means for 1 parameters",
                            average.load_state_dict, average, {n = 1})
  lu.assertErrorMsgContains("load_state_dict of an average: what state_dict gave expected",
                            average.load_state_dict, average, {n = -1})
end

return T
