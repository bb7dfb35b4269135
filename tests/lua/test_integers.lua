-- Integers: every row with every dtype that its samples may have, what does not fit, and what Lua's
-- numbers and operators make of them.
local lu = require "luaunit"
local pl = require "perilune"
local samples = require "perilune.testing.samples"

local eq = lu.assertEquals
local T = {}

local function ints(t) return pl.tensor(t, "int32") end
local function bytes(t) return pl.tensor(t, "uint8") end
local function list(t) return t:totable() end

local function is(t, dtype, values)
  eq(t:dtype(), dtype)
  eq(list(t), values)
end

local function fails(message, f, ...)
  lu.assertErrorMsgContains(message, f, ...)
end

--
-- The table
--

local DTYPES <const> = {"real", "int32", "uint8"}
local RANK <const> = {real = 1, int32 = 2, uint8 = 3}

-- The dtype that inputs of these have together, by a row's word for integers.
local function joined(row, dtypes)
  local highest = 3
  for _, dtype in ipairs(dtypes) do highest = math.min(highest, RANK[dtype]) end
  if row.integers == "real" then highest = 1 end
  if row.integers == "counted" then highest = math.min(highest, 2) end
  return DTYPES[highest]
end

-- Small whole numbers in the place of a sample's real input: none is 0, for they may be divisors, and
-- each is 1 where the row knows integers as labels only, for they may be probabilities. A matrix to
-- be factored is that with ones on the diagonal.
local function whole(row, t)
  if row.group == "Linear algebra" and t:dim() > 1 then
    return pl.eye(t:size(-2), t:size(-1)):expand(t:size()):clone()
  end
  return row.integers == "refused" and pl.ones_like(t) or (t:detach():abs() * 3 + 1):floor()
end

-- Which inputs of a sample are numbers, and not masks or positions.
local function real_inputs(inputs)
  local places = {}
  for i, t in ipairs(inputs) do
    if t:dtype() == "real" then places[#places + 1] = i end
  end
  return places
end

local function results_of(row, inputs, attributes)
  local results = table.pack(pcall(samples.call, row, inputs, attributes))
  return table.remove(results, 1), results
end

local function same_values(what, got, want)
  for k = 1, #want do
    lu.assertTrue(got[k]:to("real"):allclose(want[k]:to("real"), 1e-5, 1e-6, true),
      ("%s, result %d: %s and %s"):format(what, k, got[k], want[k]))
  end
end

-- One combination: the values are those of real tensors, the dtype of the first result is the row's.
local function check_combination(row, text, inputs, places, dtypes, attributes)
  local what = ("%s(%s) of %s"):format(row.name, text, table.concat(dtypes, ", "))
  local reals, mixed = {}, {}
  for i, t in ipairs(inputs) do reals[i], mixed[i] = t, t end
  for k, place in ipairs(places) do
    reals[place] = whole(row, inputs[place])
    mixed[place] = reals[place]:to(dtypes[k])
  end
  pl.manual_seed(1)
  local ok, want = results_of(row, reals, attributes)
  lu.assertTrue(ok, what)
  pl.manual_seed(1)
  local ran, got = results_of(row, mixed, attributes)
  if not ran then
    lu.assertStrContains(got[1], row.name .. ": ", what)
    lu.assertTrue(row.integers == "refused" or got[1]:find "an integer expected" ~= nil
      or got[1]:find "does not fit" ~= nil, what .. ": " .. tostring(got[1]))
    return
  end
  same_values(what, got, want)
  local fixed = row.integers == "refused" or row.integers == "read" or #places == 0
  eq(got[1]:dtype(), fixed and want[1]:dtype() or joined(row, dtypes), what)
end

-- Calls f with every list of n dtypes.
local function each_combination(n, f)
  for code = 0, 3 ^ n - 1 do
    local dtypes = {}
    for k = 1, n do dtypes[k] = DTYPES[math.tointeger(code // 3 ^ (k - 1) % 3) + 1] end
    f(dtypes)
  end
end

local MOST <const> = 3 -- inputs of which all combinations are tried; of more, all alike

local function check_row(row)
  for text, inputs, _, attributes in samples.each(row) do
    local places = real_inputs(inputs)
    local function try(dtypes)
      pl.tidy(check_combination, row, text, inputs, places, dtypes, attributes)
    end
    if #places <= MOST then each_combination(#places, try)
    else each_combination(1, function(one)
      local dtypes = {}
      for k = 1, #places do dtypes[k] = one[1] end
      try(dtypes)
    end) end
  end
end

-- What floats may give in another order, or changes its inputs, or has results of chance.
local left_out <const> = {batch_norm = true, dropout = true}

for _, name in ipairs(pl.ops()) do
  if not left_out[name] then
    T["test_dtypes_of_" .. name] = function()
      pl.manual_seed(1)
      check_row(pl.op(name))
    end
  end
end

--
-- Numbers beside tensors
--

function T.test_numbers()
  local a, b = ints {1, 2, 3}, bytes {3, 2, 1}
  is(a + 1, "int32", {2, 3, 4})
  is(1 - b, "int32", {-2, -1, 0})
  is(a + 1.0, "real", {2, 3, 4})
  is(a / 2, "real", {0.5, 1, 1.5})
  is(2 ^ a, "real", {2, 4, 8})
  is(pl.where(b:gt(1), b, 0), "uint8", {3, 2, 0})
  is(pl.where(b:gt(1), b, 300), "int32", {3, 2, 300})
  is(pl.where(b:gt(1), a, 0.5), "real", {1, 2, 0.5})
  is(pl.where(b:gt(1), 1, 0), "real", {1, 1, 0})
  is(b:masked_fill(b:eq(2), 7), "uint8", {3, 7, 1})
  is(pl.add(1, 2):reshape(1), "real", {3})
  fails("add: 2147483648 does not fit int32", function() return a + 2147483648 end)
end

function T.test_comparisons_are_exact()
  local t = ints {16777217, 16777216, -2147483648, 2147483647}
  is(t:eq(16777216.0), "uint8", {0, 1, 0, 0})
  is(t:eq(pl.tensor {16777216}), "uint8", {0, 1, 0, 0})
  is(t:gt(16777216), "uint8", {1, 0, 0, 1})
  is(t:eq(2147483648), "uint8", {0, 0, 0, 0})
  is(t:lt(2147483648), "uint8", {1, 1, 1, 1})
  is(t:gt(-2147483649), "uint8", {1, 1, 1, 1})
  is(t:lt(1e300), "uint8", {1, 1, 1, 1})
  is(t:ne(0 / 0), "uint8", {1, 1, 1, 1})
  is(ints {1, 2, 3}:lt(2.0000000001), "uint8", {1, 1, 0})
  is(ints {1, 2, 3}:ge(1.9999999999), "uint8", {0, 1, 1})
  is(ints {-1, -2}:le(-1.0000000001), "uint8", {0, 1})
  if pl.real == "float" then
    fails("a real tensor cannot hold 16777216.5; compare with an integer",
      function() return t:lt(16777216.5) end)
  end
end

function T.test_operators()
  local a, mask = ints {-7, 7, 6}, bytes {1, 0, 1}
  is(a // 2, "int32", {-4, 3, 3})
  is(a % 3, "int32", {2, 1, 0})
  is(-7 // ints {2, -2}, "int32", {-4, 3})
  is(7 % pl.tensor {2, -2}, "real", {1, -1})
  is(pl.tensor {5.5, -5.5} // 2, "real", {2, -3})
  is(~mask, "uint8", {0, 1, 0})
  is(~a, "int32", {6, -8, -7})
  is(mask & bytes {1, 1, 0}, "uint8", {1, 0, 0})
  is(mask | bytes {0, 0, 1}, "uint8", {1, 0, 1})
  is(mask ~ bytes {1, 1, 0}, "uint8", {0, 1, 1})
  is(a & 6, "int32", {0, 6, 6} and {-7 & 6, 6, 6})
  is(1 | mask, "uint8", {1, 1, 1})
  is(mask & 256, "int32", {0, 0, 0})
  fails("bitwise_not: 2 at position 2 is no mask's 0 or 1", function() return ~bytes {1, 2} end)
  fails("real numbers have no bits", function() return mask & 0.5 end)
  fails("real numbers have no bits", function() return ~pl.tensor {1} end)
end

-- Floor division and remainder belong together, as Lua's do.
function T.test_quotients_and_rests()
  for a = -9, 9 do
    for b = -4, 4 do
      if b ~= 0 then
        local x, y = ints {a}, ints {b}
        eq((x // y)[1], a // b)
        eq((x % y)[1], a % b)
        eq((pl.tensor {a} // b)[1], a // b)
        eq((pl.tensor {a} % b)[1], a % b)
      end
    end
  end
  is(ints {-2147483648} % -1, "int32", {0})
  fails("floor_divide: of -2147483648 and -1", function() return ints {-2147483648} // -1 end)
end

--
-- What does not fit
--

function T.test_large_results()
  local most, least = ints {2147483647}, ints {-2147483648}
  is(most + 0, "int32", {2147483647})
  is(most + least, "int32", {-1})
  is(least * 1, "int32", {-2147483648})
  is(ints {65536} * -32768, "int32", {-2147483648})
  is(ints {46341, 0} * ints {46340, 5}, "int32", {2147441940, 0})
  for _, f in ipairs {
    function() return most + 1 end, function() return least - 1 end, function() return -least end,
    function() return least:abs() end, function() return most * 2 end,
    function() return least * least end, function() return ints {46341}:square() end,
  } do
    fails("does not fit int32", f)
  end
end

function T.test_bounds()
  is(ints {-5, 5}:clamp(-2, 2.0), "int32", {-2, 2})
  is(ints {-5, 5}:clamp(), "int32", {-5, 5})
  is(ints {-5, 5}:clamp {max = 1 << 40}, "int32", {-5, 5})
  fails("clamp: of -5 at position 1 does not fit", function() return ints {-5, 5}:clamp(1 << 40) end)
  fails("min is nan", function() return ints {1}:clamp(0 / 0) end)
end

-- On all threads, and where operands repeat, the first that does not fit is named.
function T.test_the_position()
  local t = pl.zeros({300, 1000}, "int32")
  t[{200, 7}], t[{299, 3}] = 2147483647, 2147483647
  fails("add: of 2147483647 and 1 at position 199007 does not fit", function() return t + 1 end)
  fails("add: of 2147483647 and 1 at position 899 does not fit",
    function() return t:t() + pl.ones({300}, "int32") end)
end

function T.test_sums()
  is(ints {16777217, 0}:sum():reshape(1), "int32", {16777217})
  is(bytes {255, 255}:sum():reshape(1), "int32", {510})
  is(ints {{2147483647, 1}, {-5, -1}}:sum():reshape(1), "int32", {2147483642})
  is(ints {{{2147483647}, {2147483647}}, {{-2147483647}, {0}}}:sum {dim = {1, 2}}, "int32",
    {2147483647})
  fails('sum: 2147483648 does not fit int32; to("real")', function() return ints {2147483647, 1}:sum() end)
  eq(ints {2147483647, 2147483647}:mean():item(), pl.real == "double" and 2147483647 or 2147483648.0)
  is(ints {2147483647, 1, 0}:prod():reshape(1), "int32", {2147483647 * 0})
  is(ints {65536, 65536, 0}:prod():reshape(1), "int32", {0})
  is(ints {0, 65536, 65536}:cumprod(1), "int32", {0, 0, 0})
  fails("prod: product 2 does not fit", function() return ints {{1, 65536}, {1, 65536}}:prod(1) end)
  fails("scatter_add: 2147483648 at position 2 does not fit",
    function() return ints {2147483647, 1}:scatter_add(ints {2, 2}, 1, 2) end)
  is(ints {2147483647, 1, -1}:index_add(ints {2, 2, 2}, 1, 2), "int32", {0, 2147483647})
end

function T.test_order_is_exact()
  is(ints {16777217, 16777216, 16777218}:sort(), "int32", {16777216, 16777217, 16777218})
  is(ints {-2147483648, 5}:min(1):reshape(1), "int32", {-2147483648})
  eq(ints {16777216, 16777217}:argmax():item(), 2)
  is(bytes {200, 100}:topk(1), "uint8", {200})
end

function T.test_literals()
  for _, case in ipairs {
    {{300}, "uint8"}, {{-1}, "uint8"}, {{1.5}, "int32"}, {{0 / 0}, "int32"}, {{2 ^ 40}, "int32"},
    {{1, {2}}, "int32"}, {{1 / 0}, "uint8"},
  } do
    lu.assertError(pl.tensor, table.unpack(case))
  end
  fails("tensor: 300 at position 2 does not fit uint8, whole numbers from 0 to 255",
    pl.tensor, {1, 300}, "uint8")
  is(bytes {1.0, true, 255}, "uint8", {1, 1, 255})
  fails("full: 0.5 does not fit int32", pl.full, {2}, 0.5, "int32")
  fails("arange: 1.5 at position 2 does not fit int32", pl.arange, 1, 2, 0.5, "int32")
  fails("arange: 256 at position 2 does not fit uint8", pl.arange, 255, 256, "uint8")
  fails("int32[3] cannot hold such numbers; for whole ones there is randint",
    pl.rand, 3, "int32")
end

function T.test_conversions()
  is(pl.tensor {1.9, -1.9, -0.9}:to("int32"), "int32", {1, -1, 0})
  is(pl.tensor {255.9, -0.9}:to("uint8"), "uint8", {255, 0})
  for _, case in ipairs {{256, "uint8"}, {-1, "uint8"}, {0 / 0, "int32"}, {2 ^ 31, "int32"},
                         {1 / 0, "int32"}} do
    fails("to: ", function() return pl.tensor {0, case[1]}:to(case[2]) end)
  end
  fails("to: 300 at position 3 does not fit uint8",
    function() return ints {{1, 2}, {300, 4}}:to("uint8") end)
  is(ints {{1, 300}, {3, 4}}:slice(2, 1, 1):to("uint8"), "uint8", {{1}, {3}})
end

-- A change that does not fit leaves the tensor as it was.
function T.test_in_place()
  is(ints {16777217}:add_(2), "int32", {16777219})
  is(ints {6, 8}:div_(2), "int32", {3, 4})
  is(bytes {200}:add_(ints {55}), "uint8", {255})
  is(ints {1, 2}:sub_(ints {3, 4}, 2), "int32", {-5, -6})
  for _, case in ipairs {
    {"add_", 0.5}, {"add_", 300}, {"sub_", 2}, {"mul_", 200}, {"div_", 2}, {"div_", 0},
    {"fill_", 256}, {"fill_", -1}, {"mul_", 1.5}, {"copy_", pl.tensor {1, 0.5}},
    {"add_", pl.tensor {0, 0.5}}, {"add_", 1 << 40},
  } do
    local t = bytes {1, 2}
    fails("does not fit", t[case[1]], t, case[2])
    is(t, "uint8", {1, 2})
  end
end

function T.test_assignment()
  local t = bytes {1, 2, 3}
  for _, value in ipairs {300, -1, 1.5, 0 / 0} do
    fails("index: ", function() t[1] = value end)
    fails("index: ", function() t[bytes {0, 1, 1}] = value end)
    fails("index: ", function() t[ints {1, 2}] = value end)
  end
  fails("does not fit uint8", function() t[ints {1, 2}] = pl.tensor {9, 300} end)
  fails("does not fit uint8", function() t[bytes {1, 1, 0}] = pl.tensor {9, 300} end)
  is(t, "uint8", {1, 2, 3})
  t[bytes {1, 1, 0}] = pl.tensor {9, 30}
  is(t, "uint8", {9, 30, 3})
end

--
-- Gradients
--

function T.test_gradients()
  local x, n = pl.tensor {1, 2, 3}:requires_grad_(), ints {2, 3, 4}
  eq(list(pl.grad((x * n):sum(), {x})[1]), {2, 3, 4})
  eq(list(pl.grad((n / x):sum(), {x})[1]), {-2, -0.75, pl.tensor(-4 / 9):item()})
  eq(list(pl.grad((n ^ 2 * x):sum(), {x})[1]), {4, 9, 16})
  eq(list(pl.grad(pl.cat({n, x}):sum(), {x})[1]), {1, 1, 1})
  eq(list(pl.grad(pl.where(n:gt(2), x, n):sum(), {x})[1]), {0, 1, 1})
  eq(list(pl.grad((n % x):sum(), {x})[1]), {-2, -1, -1})
  eq((n * 2).requires_grad, false)
  local second = pl.grad(pl.grad((x * x * n):sum(), {x}, {create_graph = true})[1]:sum(), {x})[1]
  eq(list(second), {4, 6, 8})
end

--
-- Counting and searching
--

function T.test_counts()
  is(pl.bincount(ints {1, 3, 3, 1, 4}), "int32", {2, 0, 2, 1})
  is(pl.bincount(bytes {2}, {minlength = 3}), "int32", {0, 1, 0})
  fails("index 0 at position 1", pl.bincount, ints {0, 1})
  local w = pl.tensor {0.5, 1, 2}:requires_grad_()
  eq(list(pl.grad((pl.bincount(ints {1, 3, 3}, w) * pl.tensor {1, 2, 3}):sum(), {w})[1]), {1, 3, 3})
  local values, where, counts = ints {{3, 1}, {3, 2}}:unique(true, true)
  is(values, "int32", {1, 2, 3})
  is(where, "int32", {{3, 1}, {3, 2}})
  is(counts, "int32", {1, 1, 2})
  eq(select("#", ints {1, 1}:unique()), 1)
  is(pl.zeros({0}, "uint8"):unique(), "uint8", {})
end

function T.test_search()
  is(pl.searchsorted(ints {1, 3, 5}, ints {0, 1, 2, 6}), "int32", {1, 1, 2, 4})
  is(pl.searchsorted(ints {1, 3, 5}, ints {1, 5}, true), "int32", {2, 4})
  fails("sorted is not in order: 2 stands before 1 at position 2", pl.searchsorted, ints {2, 1}, 1)
  is(pl.searchsorted(ints {16777216, 16777217}, ints {16777217}), "int32", {2})
  is(pl.searchsorted(pl.zeros(0), pl.tensor {1, 2}), "int32", {1, 1})
end

function T.test_masks_of_conditions()
  local x = pl.tensor {-1, 2, 5}
  is(x:gt(0) & x:lt(3), "uint8", {0, 1, 0})
  is(~x:gt(0), "uint8", {1, 0, 0})
  is(pl.logical_and(x, ints {0, 1, 2}), "uint8", {0, 1, 1})
  is(pl.logical_not(pl.tensor {0, 0.5, -0.0}), "uint8", {1, 0, 1})
  is(x[~x:gt(0)], "real", {-1})
end

return T
