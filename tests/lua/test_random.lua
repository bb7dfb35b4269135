--- Random numbers: the stream, the distributions, and what they must not depend on. Known
-- answers of the generator are in tests/c/test_engine.c.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local eq, near, fails = lu.assertEquals, lu.assertAlmostEquals, lu.assertErrorMsgContains

local state
function T.setUp() state = pl.random_state() end
function T.tearDown() pl.set_random_state(state) end

-- Everything that draws from the stream, in one list of numbers.
local function draw()
  local all = {}
  for _, t in ipairs {
    pl.rand(3, 3), pl.randn(7), pl.zeros(5):uniform_(-1, 2), pl.zeros(5):normal_(3, 2),
    pl.zeros(9):bernoulli_(0.3), pl.randperm(9), pl.multinomial(pl.ones(4), 6, true),
    pl.multinomial(pl.ones(6), 3), pl.dropout(pl.ones(9), 0.5), pl.zeros(4, 2):t():uniform_(),
    pl.rand(20000), pl.randn(30001),
  } do
    table.move(t:reshape(-1):totable(), 1, t:numel(), #all + 1, all)
  end
  return all
end

local function same(a, b)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return false end
  end
  return true
end

function T.test_the_same_seed_gives_the_same_numbers()
  pl.manual_seed(7)
  local a = draw()
  pl.manual_seed(7)
  lu.assertTrue(same(a, draw()))
  lu.assertFalse(same(a, draw()))
  pl.manual_seed(8)
  lu.assertFalse(same(a, draw()))
  pl.manual_seed(-1)
  lu.assertFalse(same(a, draw()))
end

function T.test_the_number_of_threads_does_not_matter()
  local before = pl.threads()
  pl.manual_seed(7)
  pl.threads(1)
  local one = draw()
  pl.manual_seed(7)
  pl.threads(2)
  local two = draw()
  pl.threads(before)
  lu.assertTrue(same(one, two))
end

function T.test_the_state_goes_on_where_it_was()
  pl.rand(13)
  local at = pl.random_state()
  local a = draw()
  pl.set_random_state(at)
  lu.assertTrue(same(a, draw()))
  eq(math.type(at.key), "integer")
  eq(math.type(at.counter), "integer")
end

function T.test_known_values() -- they must not change from version to version
  pl.manual_seed(0)
  eq(pl.randperm(8):totable(), {6, 3, 2, 5, 8, 1, 7, 4})
  pl.manual_seed(0)
  local u = pl.rand(4)
  for i, word in ipairs {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8} do -- Salmon et al. 2011
    near(u[i], word / 2 ^ 32, 1e-7)
  end
end

function T.test_layout_does_not_matter()
  pl.manual_seed(3)
  local a = pl.randn(4, 6)
  pl.manual_seed(3)
  local b = pl.zeros(6, 4):t():normal_()
  eq(b:totable(), a:totable())
end

--
-- Distributions: limits are five standard errors or more
--

local function moments(t)
  local mean = t:mean():item()
  return mean, (t - mean):square():mean():item(), ((t - mean) ^ 3):mean():item(),
    ((t - mean) ^ 4):mean():item()
end

function T.test_uniform()
  pl.manual_seed(1)
  local t = pl.rand(100000)
  local mean, var, skew, fourth = moments(t)
  near(mean, 0.5, 0.005)
  near(var, 1 / 12, 0.002)
  near(skew, 0, 0.001)
  near(fourth, 1 / 80, 0.001)
  lu.assertTrue(t:amin():item() >= 0 and t:amax():item() < 1)
  lu.assertTrue(t:amin():item() < 0.001 and t:amax():item() > 0.999)
  local u = pl.zeros(10000):uniform_(5, 7)
  lu.assertTrue(u:amin():item() >= 5 and u:amax():item() < 7)
  near(u:mean():item(), 6, 0.04)
  eq(pl.zeros(3):uniform_(2, 2):totable(), {2, 2, 2})
end

function T.test_randint()
  pl.manual_seed(1)
  local t, counts = pl.randint(1, 4, 8000), {0, 0, 0, 0}
  eq(t:dtype(), "int32")
  for _, v in ipairs(t:totable()) do counts[v] = counts[v] + 1 end
  for _, n in ipairs(counts) do near(n, 2000, 220) end
  eq(pl.randint(-5, -5, {2, 1}):totable(), {{-5}, {-5}})
  eq(pl.randint(0, 255, 2, 3, "uint8"):dtype(), "uint8")
  eq(pl.randint(-2147483648, 2147483647, 0):numel(), 0)
end

function T.test_the_upper_end_is_never_reached()
  local t = pl.zeros(200000):uniform_(16777215, 16777216)
  lu.assertTrue(t:amax():item() < 16777216)
end

function T.test_normal()
  pl.manual_seed(1)
  local mean, var, skew, fourth = moments(pl.randn(100000))
  near(mean, 0, 0.016)
  near(var, 1, 0.025)
  near(skew, 0, 0.08)
  near(fourth, 3, 0.35)
  mean, var = moments(pl.zeros(50001):normal_(-3, 0.5))
  near(mean, -3, 0.012)
  near(var, 0.25, 0.01)
  eq(pl.zeros(3):normal_(2, 0):totable(), {2, 2, 2})
  local t = pl.randn(1000, 2)
  near((t:select(2, 1) * t:select(2, 2)):mean():item(), 0, 0.16) -- neighbours are independent
end

function T.test_bernoulli()
  pl.manual_seed(1)
  for _, p in ipairs {0.1, 0.5, 0.9} do
    near(pl.zeros(40000):bernoulli_(p):mean():item(), p, 0.013)
  end
  eq(pl.zeros(1000):bernoulli_(0):sum():item(), 0)
  eq(pl.zeros(1000):bernoulli_(1):sum():item(), 1000)
  eq(pl.zeros({5}, "uint8"):bernoulli_(1):dtype(), "uint8")
end

function T.test_randperm()
  pl.manual_seed(1)
  for _, n in ipairs {0, 1, 2, 5, 1000} do
    local t = pl.randperm(n)
    eq(t:dtype(), "int32")
    eq(t:size(), {n})
    local values = t:totable()
    table.sort(values)
    for i = 1, n do eq(values[i], i) end
  end
  local first = {0, 0, 0, 0}
  for _ = 1, 2000 do
    local i = pl.randperm(4)[1]
    first[i] = first[i] + 1
  end
  for i = 1, 4 do near(first[i], 500, 110) end
end

function T.test_multinomial()
  pl.manual_seed(1)
  local counts = {0, 0, 0, 0}
  for _, i in ipairs(pl.multinomial(pl.tensor {1, 0, 3, 4}, 8000, true):totable())
    do counts[i] = counts[i] + 1 end
  eq(counts[2], 0)
  near(counts[1], 1000, 160)
  near(counts[3], 3000, 240)
  near(counts[4], 4000, 240)
  local firsts = 0
  for _ = 1, 1000 do
    local drawn = pl.multinomial(pl.tensor {3, 1, 0}, 2):totable()
    eq(drawn[1] + drawn[2], 3) -- each once, the third never
    if drawn[1] == 1 then firsts = firsts + 1 end
  end
  near(firsts, 750, 75)
  eq(pl.multinomial(pl.tensor({0, 5}, "int32")):totable(), {2})
  eq(pl.multinomial(pl.ones(3), 0):size(), {0})
end

--
-- Refused
--

function T.test_refused()
  fails("bernoulli_: probability 1.5 is not within 0 and 1",
        function() pl.zeros(1):bernoulli_(1.5) end)
  fails("nan is not within 0 and 1", function() pl.zeros(1):bernoulli_(0 / 0) end)
  fails("uniform_: [1, 0) is not a range", function() pl.zeros(1):uniform_(1, 0) end)
  fails("uniform_: [0, inf) is not a range", function() pl.zeros(1):uniform_(0, math.huge) end)
  fails("normal_: standard deviation -1 is not 0 or more", function() pl.zeros(1):normal_(0, -1) end)
  fails("randperm: -1 numbers; 0 or more expected", function() pl.randperm(-1) end)
  fails("multinomial: 3 draws from real[3] with 2 positive weights",
        function() pl.multinomial(pl.tensor {1, 0, 1}, 3) end)
  fails("multinomial: weight 2 is -1, expected 0 or more",
        function() pl.multinomial(pl.tensor {1, -1, 1}, 2, true) end)
  fails("multinomial: weight 1 is", function() pl.multinomial(pl.tensor {0 / 0, 1}, 1) end)
  fails("multinomial: the weights real[2] have no sum",
        function() pl.multinomial(pl.zeros(2), 1, true) end)
  fails("set_random_state: a table {key=, counter=} of integers expected",
        function() pl.set_random_state {key = 1} end)
end

return T
