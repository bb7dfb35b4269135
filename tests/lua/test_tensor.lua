--- Tensors: creation, kinds, views, printing, operators, changes in place.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local nan, inf = 0 / 0, math.huge
local eq = lu.assertEquals

local function list(t) return t:totable() end

--
-- Creation
--

function T.test_zeros_ones_full_empty()
  eq(list(pl.zeros(2, 3)), {{0, 0, 0}, {0, 0, 0}})
  eq(list(pl.ones({2}, "int32")), {1, 1})
  eq(list(pl.full({2, 1}, 7, "uint8")), {{7}, {7}})
  eq(pl.empty(2, 0, 3):size(), {2, 0, 3})
  eq(pl.zeros():size(), {})
  eq(pl.zeros({}):item(), 0)
  eq(pl.full(3, 0.5):totable(), {0.5, 0.5, 0.5})
  eq(math.type(pl.ones(1):item()), "float")
  eq(math.type(pl.ones(1, "int32"):item()), "integer")
end

function T.test_tensor_from_tables()
  local t = pl.tensor {{1, 2, 3}, {4, 5, 6}}
  eq(t:size(), {2, 3})
  eq(list(t), {{1, 2, 3}, {4, 5, 6}})
  eq(pl.tensor(2.5):item(), 2.5)
  eq(pl.tensor(2.5):dim(), 0)
  eq(pl.tensor({}):size(), {0})
  eq(pl.tensor({{}, {}}):size(), {2, 0})
  eq(list(pl.tensor {true, false, 3}), {1, 0, 3})
  eq(pl.tensor({{{{{{{{1}}}}}}}}):dim(), 8)
end

function T.test_kinds()
  eq(pl.zeros(1):dtype(), "real")
  eq(list(pl.tensor {1.9, -1.9, 255.5}:to("int32")), {1, -1, 255})
  eq(list(pl.tensor {-0.9, 1.9, 255.9}:to("uint8")), {0, 1, 255})
  local t = pl.tensor({3, 200}, "uint8")
  eq(list(t:to("int32")), {3, 200})
  eq(list(t:to("real") * 2), {6, 400})
  eq(t:to("real"):dtype(), "real")
  eq(list(pl.tensor({{1, 2}, {3, 4}}):t():to("int32")), {{1, 3}, {2, 4}})
  eq(t:to("uint8") == t, true) -- nothing to do
end

function T.test_arange_and_linspace()
  eq(list(pl.arange(1, 4)), {1, 2, 3, 4})
  eq(list(pl.arange(5, 1, -2)), {5, 3, 1})
  eq(#pl.arange(0, 1, 0.1), 11)
  eq(#pl.arange(1, 0), 0)
  eq(pl.arange(1, 3, "int32"):dtype(), "int32")
  eq(list(pl.arange(1, 3, nil, "int32")), {1, 2, 3})
  eq(list(pl.arange(1, 6, 2, "uint8")), {1, 3, 5})
  eq(list(pl.linspace(0, 1, 5)), {0, 0.25, 0.5, 0.75, 1})
  eq(list(pl.linspace(3, 9, 1)), {3})
end

--
-- Queries
--

function T.test_size_dim_numel()
  local t = pl.zeros(2, 3, 4)
  eq({t:dim(), t:numel(), #t}, {3, 24, 2})
  eq({t:size(1), t:size(3), t:size(-1), t:size(-3)}, {2, 4, 4, 2})
  eq(t:stride(), {12, 4, 1})
  eq(pl.zeros(0, 3):numel(), 0)
  eq(#pl.zeros(0, 3), 0)
  eq(pl.zeros():numel(), 1)
end

function T.test_item_and_totable()
  eq(pl.full({1, 1}, 3):item(), 3)
  eq(pl.tensor(4):totable(), 4)
  eq(pl.zeros(2, 0):totable(), {{}, {}})
  eq(list(pl.tensor({{1, 2}, {3, 4}}):t()), {{1, 3}, {2, 4}})
end

function T.test_identity()
  local t = pl.ones(2)
  local u = pl.ones(2)
  eq(t == t, true)
  eq(t == u, false)
  eq(t == 1, false)
  t.grad = u
  eq(t.grad == t.grad, true)
  eq(pl.is_tensor(t), true)
  eq(pl.is_tensor(3), false)
  eq(pl.is_tensor(io.stdout), false)
end

--
-- Printing
--

function T.test_printing()
  eq(tostring(pl.tensor {{1, 20}, {300, 4}}), "real[2,2]\n[[  1  20]\n [300   4]]")
  eq(tostring(pl.tensor(2.5)), "real[] 2.5")
  eq(tostring(pl.zeros(0, 3)), "real[0,3]")
  eq(tostring(pl.tensor({1, 2}, "uint8")), "uint8[2] [1 2]")
  eq(tostring(pl.tensor {nan, inf, -inf, -nan}), "real[4] [ nan  inf -inf  nan]")
  eq(tostring(pl.tensor {nan, 0.25, -inf}), "real[3] [ nan 0.25 -inf]")
  eq(tostring(pl.zeros(1) / 0), "real[1] [nan]")
  eq(tostring(pl.tensor {-0.0, 1}), "real[2] [-0  1]")
  eq(tostring(pl.tensor {{1, 2}, {3, 4}}:t()), "real[2,2]\n[[1 3]\n [2 4]]")
  eq(tostring(pl.ones(2, 2, 1)), "real[2,2,1]\n[[[1]\n  [1]]\n\n [[1]\n  [1]]]")
end

function T.test_printing_in_columns()
  eq(tostring(pl.tensor {1, 2.5, -3}), "real[3] [ 1.0  2.5 -3.0]")
  eq(tostring(pl.tensor(1) / 3), "real[] 0.3333")
  eq(tostring(pl.tensor {123456.5, 1}), "real[2] [123456.5      1.0]")
  eq(tostring(pl.tensor {12345678, 1}), "real[2] [12345678        1]")
  eq(tostring(pl.tensor {1, -20}:to "int32"), "int32[2] [  1 -20]")
end

function T.test_printing_with_a_factor_where_it_helps()
  eq(tostring(pl.tensor {1e-6, 2.5e-6}), "real[2] 1e-06 * [1.0 2.5]")
  eq(tostring(pl.tensor {{1e9, 2e9}}), "real[1,2] 1e+09 *\n[[1 2]]")
  eq(tostring(pl.tensor {1e-9, 1}), "real[2] [1e-09 1e+00]") -- one of them would be 0
  eq(tostring(pl.tensor(1e-9)), "real[] 1e-09")
  eq(tostring(pl.tensor {0.0002, 1}), "real[2] [0.0002 1.0000]")
end

function T.test_printing_shows_gradients()
  local w = pl.ones(2):requires_grad_()
  eq(tostring(w), "real[2] grad [1 1]")
  eq(tostring(w * 2), "real[2] grad [2 2]")
  eq(tostring((w * 2):detach()), "real[2] [2 2]")
end

function T.test_printing_much()
  eq(tostring(pl.arange(1, 20, "int32")),
     "int32[20] [ 1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20]")
  eq(tostring(pl.arange(1, 30)), "real[30]\n[ 1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 "
    .. "19 20 21 22 23 24 25 26\n 27 28 29 30]")
  eq(tostring(pl.ones(1):expand(1 << 40)), "real[1099511627776] [1 1 1 ... 1 1 1]")
  eq(tostring(pl.zeros(1001, 1)),
     "real[1001,1]\n[[0]\n [0]\n [0]\n ...\n [0]\n [0]\n [0]]")
  lu.assertNotStrContains(tostring(pl.zeros(10, 100)), "...")
end

function T.test_set_print()
  local was = pl.set_print {precision = 2, threshold = 5, edge_items = 1, width = 18}
  local ok, text, numbers = pcall(function()
    return tostring(pl.tensor {{1 / 3, 2, 3}, {4, 5, 6}, {7, 8, 9}}), tostring(pl.arange(1, 5))
  end)
  eq(pl.set_print(was), {precision = 2, threshold = 5, edge_items = 1, width = 18})
  eq({ok, text, numbers}, {true, "real[3,3]\n[[0.33 ... 3.00]\n ...\n [7.00 ... 9.00]]",
                           "real[5]\n[1 2 3 4 5]"})
  eq(was, {precision = 4, threshold = 1000, width = 80, edge_items = 3})
end

--
-- Views
--

function T.test_views_share_values()
  local t = pl.zeros(3, 4)
  t:select(1, 2):fill_(1)
  t:slice(2, 4, 2, -2):add_(10)
  t:t()[1][3] = 5
  t:reshape(12)[12] = 7
  t:flatten()[10] = 8
  eq(list(t), {{0, 10, 0, 10}, {1, 11, 1, 11}, {5, 18 - 10, 0, 7}})
  local copy = t:clone()
  copy:zero_()
  eq(t[3][4], 7)
  t:detach():fill_(2)
  eq(t:sum():item(), 24)
end

function T.test_views_keep_the_storage_alive()
  local row
  do
    local t = pl.ones(1000, 10)
    row = t:select(1, 7)
  end
  collectgarbage()
  eq(row:sum():item(), 10)
end

function T.test_views_take_no_memory()
  local t = pl.zeros(100, 100)
  local before = pl.memory().live_bytes
  local views = {t:t(), t:flip(), t[3], t:slice(1, 2, 50), t:reshape(-1), t:expand(5, 100, 100),
    t:permute(2, 1), t:select(2, 1), t:detach(), t[{{1, 10}, {}}]}
  eq(pl.memory().live_bytes, before)
  eq(#views, 10)
end

function T.test_contiguous()
  local t = pl.tensor {{1, 2}, {3, 4}}
  eq(t:is_contiguous(), true)
  eq(t:contiguous() == t, true)
  eq(t:t():is_contiguous(), false)
  eq(t:t():contiguous():stride(), {2, 1})
  eq(list(t:t():contiguous()), {{1, 3}, {2, 4}})
  eq(t:expand(2, 2, 2):is_contiguous(), false)
  eq(t:slice(1, 1, 1):is_contiguous(), true)
  eq(t:t():reshape(4):totable(), {1, 3, 2, 4}) -- copies
end

function T.test_flatten_and_t()
  local t = pl.zeros(2, 3, 4)
  eq(t:flatten():size(), {24})
  eq(t:flatten(2):size(), {2, 12})
  eq(t:flatten(-1):size(), {2, 3, 4})
  eq(pl.zeros():flatten():size(), {1})
  eq(pl.zeros(2, 3):t():size(), {3, 2})
end

--
-- Operators
--

function T.test_operators()
  local t = pl.tensor {1, 2, 4}
  eq(list(t + 1), {2, 3, 5})
  eq(list(1 + t), {2, 3, 5})
  eq(list(t - 1), {0, 1, 3})
  eq(list(1 - t), {0, -1, -3})
  eq(list(2 * t), {2, 4, 8})
  eq(list(t / 2), {0.5, 1, 2})
  eq(list(4 / t), {4, 2, 1})
  eq(list(t ^ 2), {1, 4, 16})
  eq(list(2 ^ t), {2, 4, 16})
  eq(list(-t), {-1, -2, -4})
  eq(list(t + t), {2, 4, 8})
  eq(list(t * pl.tensor {{1}, {10}}), {{1, 2, 4}, {10, 20, 40}})
  eq(list(t), {1, 2, 4})
end

function T.test_functions_methods_names_and_positions()
  local t = pl.tensor {{1, 2}, {3, 4}}
  for _, s in ipairs {pl.sum(t, 1, true), t:sum(1, true), t:sum{dim = 1, keepdim = true},
                      t:sum(1, {keepdim = true}), t:sum({1}, true),
                        pl.sum(t, {dim = {1}, keepdim = true}),
                      t:sum(1, true, nil), t:sum({1}, {keepdim = true})} do
    eq(list(s), {{4, 6}})
  end
  eq(t:sum(nil, true):size(), {1, 1})
  eq(t:sum({}):item(), 10)
  eq(t:reshape(4, 1):size(), t:reshape({4, 1}):size())
  eq(t:reshape{size = {4}}:size(), {4})
  eq(list(t:permute(2, 1)), list(t:permute({2, 1})))
  eq(pl.cat(t, t):size(), {4, 2})
  eq(pl.cat({t, t}, 2):size(), {2, 4})
  eq(pl.cat({t, t}, {dim = 2}):size(), {2, 4})
  eq(list(pl.maximum(t, 2)), {{2, 2}, {3, 4}})
  eq(list(pl.where(t:gt(2), 1, 0)), {{0, 0}, {1, 1}})
  eq(pl.add(1, 2):item(), 3)
end

--
-- In place
--

function T.test_in_place()
  local t = pl.tensor {1, 2, 3}
  eq(t:add_(1) == t, true)
  eq(list(t), {2, 3, 4})
  eq(list(t:add_(pl.tensor {1, 1, 1}, 0.5)), {2.5, 3.5, 4.5})
  eq(list(t:sub_(0.5)), {2, 3, 4})
  eq(list(t:sub_(pl.tensor {1}, 2)), {0, 1, 2})
  eq(list(t:mul_(3)), {0, 3, 6})
  eq(list(t:mul_(pl.tensor {1, 2, 3})), {0, 6, 18})
  eq(list(t:div_(2)), {0, 3, 9})
  eq(list(t:div_(pl.tensor {1, 2, 4})), {0, 1.5, 2.25})
  eq(list(t:fill_(4)), {4, 4, 4})
  eq(list(t:copy_(pl.tensor({7}, "uint8"))), {7, 7, 7})
  eq(list(t:zero_()), {0, 0, 0})
end

function T.test_in_place_on_other_kinds_and_views()
  local t = pl.tensor({1, 2, 250}, "uint8")
  eq(list(t:add_(5)), {6, 7, 255})
  eq(list(t:sub_(pl.tensor({6, 6, 0}, "int32"))), {0, 1, 255})
  eq(list(pl.tensor({3, 4}, "int32"):mul_(-2)), {-6, -8})
  local m = pl.zeros(2, 3)
  m:t():add_(pl.tensor {{1, 2}, {3, 4}, {5, 6}})
  eq(list(m), {{1, 3, 5}, {2, 4, 6}})
  m:slice(2, 3, 3, -1):mul_(pl.tensor {1, 10, 100})
  eq(list(m), {{100, 30, 5}, {200, 40, 6}})
  m:select(2, 1):uniform_(1, 1)
  eq(list(m:select(2, 1)), {1, 1})
end

function T.test_self_aliasing()
  local t = pl.tensor {1, 2, 3, 4}
  eq(list(t:clone():add_(t)), {2, 4, 6, 8})
  local a = t:clone()
  eq(list(a:add_(a)), {2, 4, 6, 8})
  eq(list(a:mul_(a:flip())), {16, 24, 24, 16})
  local b = t:clone()
  b:slice(1, 2, 3):copy_(b:slice(1, 1, 3)) -- overlapping, forwards
  eq(list(b), {1, 1, 2, 3})
  local c = t:clone()
  c:slice(1, 1, 3):copy_(c:slice(1, 2, 3)) -- and backwards
  eq(list(c), {2, 3, 4, 4})
  local d = t:clone()
  d:copy_(d:flip())
  eq(list(d), {4, 3, 2, 1})
  local m = pl.tensor {{1, 2}, {3, 4}}
  m:copy_(m:t())
  eq(list(m), {{1, 3}, {2, 4}})
  m:sub_(m:select(1, 1))
  eq(list(m), {{0, 0}, {1, 1}})
  local s = t:clone()
  s:slice(1, 2, 3):add_(s:slice(1, 1, 3))
  eq(list(s), {1, 3, 5, 7})
end

function T.test_expanded_targets_are_refused()
  local t = pl.zeros(1, 3):expand(2, 3)
  for name, change in pairs {
    add_ = function() t:add_(1) end, mul_ = function() t:mul_(2) end,
      zero_ = function() t:zero_() end,
    fill_ = function() t:fill_(1) end, copy_ = function() t:copy_(pl.ones(2, 3)) end,
    uniform_ = function() t:uniform_() end, normal_ = function() t:normal_() end,
    bernoulli_ = function() t:bernoulli_() end,
  } do
    lu.assertErrorMsgContains(name .. ": real[2,3] is expanded", change)
  end
  lu.assertErrorMsgContains("index: real[2,3] is expanded", function() t[1] = 2 end)
  pl.zeros(1, 3):expand(1, 3):add_(1) -- repeats nothing
end

function T.test_numbers_stay_numbers()
  eq(list(pl.tensor {0.1} + 0), {pl.tensor({0.1}):item()})
  eq(pl.tensor({16777217}, "int32"):item(), 16777217)
  eq(pl.tensor({inf}):item(), inf)
  local z = pl.tensor({nan}):item()
  eq(z ~= z, true)
end

--
-- Large ones, on all threads, against each element
--

function T.test_large_strided_work()
  local a, b = pl.randn(150, 201), pl.randn(201, 150)
  local sum = (a + b:t()):totable()
  local x, y = a:totable(), b:totable()
  for i = 1, 150, 7 do
    for j = 1, 201, 3 do lu.assertAlmostEquals(sum[i][j], x[i][j] + y[j][i], 1e-6) end
  end
  local big = pl.zeros(300, 300)
  big:slice(1, 300, 150, -2):copy_(pl.arange(1, 300))
  eq(big:sum():item(), 150 * 300 * 301 / 2)
  eq(big[1]:sum():item(), 0)
end

-- Many short rows, in four dimensions of which none can be merged.
function T.test_large_strided_copies()
  local x = pl.arange(1, 60 * 7 * 9 * 11):reshape(60, 7, 9, 11)
  local part = x:slice(4, 11, 5, -2):slice(3, 2, 6):slice(2, 1, 3, 3)
  local ints, floats = part:to("int32"), part:contiguous()
  local wide = pl.zeros(60, 3, 7, 6)
  wide:slice(3, 2, 6):slice(4, 1, 5):copy_(part)
  for n = 1, 60, 7 do
    for c = 1, 3 do
      for i = 1, 6 do
        for j = 1, 5 do
          local want = (((n - 1) * 7 + 3 * (c - 1)) * 9 + i) * 11 + 13 - 2 * j
          eq(floats[n][c][i][j], want)
          eq(ints[n][c][i][j], want)
          eq(wide[n][c][i + 1][j], want)
        end
        eq(wide[n][c][i + 1][6], 0)
      end
    end
  end
  eq(wide:sum():item(), part:sum():item())
end

function T.test_like()
  local x = pl.ones({2, 3}, "int32")
  lu.assertEquals(pl.zeros_like(x):totable(), {{0, 0, 0}, {0, 0, 0}})
  lu.assertEquals(pl.ones_like(x, "real"):dtype(), "real")
  lu.assertEquals(pl.full_like(x, 7):totable(), {{7, 7, 7}, {7, 7, 7}})
  lu.assertEquals(pl.rand_like(pl.zeros(4)):size(), {4})
  lu.assertEquals(pl.randn_like(x, "real"):dtype(), "real")
  lu.assertEquals(pl.eye(2, 3, "uint8"):totable(), {{1, 0, 0}, {0, 1, 0}})
  lu.assertEquals(pl.eye(3, 2):totable(), {{1, 0}, {0, 1}, {0, 0}})
  lu.assertEquals(pl.eye(2):totable(), {{1, 0}, {0, 1}})
end

local function tables(tensors)
  for i, t in ipairs(tensors) do tensors[i] = t:totable() end
  return tensors
end

function T.test_pieces()
  local x = pl.tensor({{1, 2, 3}, {4, 5, 6}}, "int32")
  lu.assertEquals(tables(x:unbind()), {{1, 2, 3}, {4, 5, 6}})
  lu.assertEquals(tables(x:unbind(-1)), {{1, 4}, {2, 5}, {3, 6}})
  lu.assertEquals(tables(x:split(2, 2)), {{{1, 2}, {4, 5}}, {{3}, {6}}})
  lu.assertEquals(tables(x:split({1, 0, 2}, 2)), {{{1}, {4}}, {{}, {}}, {{2, 3}, {5, 6}}})
  lu.assertEquals(tables(pl.arange(1, 5):chunk(3)), {{1, 2}, {3, 4}, {5}})
  lu.assertEquals(tables(pl.arange(1, 4):chunk(3)), {{1, 2}, {3, 4}}) -- two, as PyTorch
  lu.assertEquals(#pl.zeros(0, 2):chunk(3), 3)
  lu.assertEquals(#pl.zeros(0, 2):split(3), 1)
  lu.assertEquals(#pl.zeros(0, 2):unbind(), 0)
  local w = pl.ones(4):requires_grad_()
  local a, b = table.unpack(w:chunk(2))
  local y = a * 2 + b * 3
  y:sum():backward()
  lu.assertEquals(w.grad:totable(), {2, 2, 3, 3})
end

function T.test_meshgrid()
  local y, x = pl.meshgrid(pl.arange(1, 2), pl.arange(1, 3))
  lu.assertEquals(y:totable(), {{1, 1, 1}, {2, 2, 2}})
  lu.assertEquals(x:totable(), {{1, 2, 3}, {1, 2, 3}})
end

function T.test_equal_and_allclose()
  local a = pl.tensor {1, inf, 3}
  lu.assertTrue(a:equal(a:clone()))
  lu.assertFalse(a:equal(a:reshape(1, 3)))
  lu.assertFalse(a:equal(pl.tensor({1, 2, 3}, "int32")))
  lu.assertTrue(a:allclose(a * 1.000001))
  lu.assertFalse(a:allclose(a * 1.001))
  lu.assertTrue(a:allclose(a * 1.001, 1e-2))
  lu.assertFalse(a:allclose(-a, 1e9, 1e9))
  local n = pl.tensor {nan}
  lu.assertFalse(n:allclose(n))
  lu.assertFalse(n:equal(n))
  lu.assertTrue(n:allclose(n, 0, 0, true))
end

-- The variance of small deviations from a large number, and a sum of exponentials of numbers that
-- 1e30 does not bound.
-- A channel without spread gives its bias, however far from 0 it lies; its factor is 1 / sqrt(eps).
function T.test_norms_beside_a_large_offset()
  local w, b = pl.tensor {1.2, -0.7}, pl.tensor {-1.25, 0.5}
  for _, size in ipairs {{4, 2}, {3, 2, 5}, {2, 2, 3, 4}} do
    local x = pl.full(size, 2 ^ 20 + 3.5):requires_grad_()
    for _, norm in ipairs {"batch_norm", "instance_norm"} do
      if norm == "batch_norm" or #size > 2 then
        local y = pl[norm](x, w, b, norm == "batch_norm" and {training = true} or {})
        lu.assertEquals(y:transpose(1, 2)[1]:max():item(), -1.25, norm)
        lu.assertEquals(y:transpose(1, 2)[2]:min():item(), 0.5, norm)
      end
    end
  end
end

-- Back from two numbers each, whose places in the result do not depend on them but for eps.
function T.test_gradients_of_norms_beside_a_large_offset()
  local values = pl.tensor {2 ^ 20 - 4, 2 ^ 20 + 4}
  for norm, size in pairs {batch_norm = {2, 1}, instance_norm = {1, 1, 2}} do
    local x = values:reshape(size):requires_grad_()
    local y = pl[norm](x, nil, nil, norm == "batch_norm" and {training = true} or {})
    local g = pl.grad((y * pl.tensor({1, 2}):reshape(size)):sum(), {x})[1]
    lu.assertAlmostEquals(g:abs():max():item(), 0, 1e-6)
  end
end

function T.test_large_offsets()
  local x = pl.tensor {1, 2, 3, 4} + 2 ^ 22
  lu.assertAlmostEquals(x:var():item(), 5 / 3, 1e-6)
  local y = pl.tensor {-1e31, -1e31}
  lu.assertAlmostEquals(y:logsumexp(1):item() / -1e31, 1, 1e-6)
end

function T.test_extremes_of_all_are_one_result()
  local x = pl.tensor {{3, 1}, {2, 5}}
  for _, name in ipairs {"max", "min", "median"} do
    lu.assertEquals(select("#", x[name](x)), 1)
    lu.assertEquals(select("#", x[name](x, 1)), 2)
  end
end

return T
