--- Indexing: t[key] and t[key] = value, with integers, tables, masks and row numbers.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local eq = lu.assertEquals

local function list(t) return t:totable() end
local function ints(values) return pl.tensor(values, "int32") end

local function matrix()
  return pl.tensor {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}}
end

--
-- Reading
--

function T.test_integers()
  local v = pl.tensor {10, 20, 30}
  eq({v[1], v[3], v[-1], v[-3]}, {10, 30, 30, 10})
  eq(v[2.0], 20)
  eq(math.type(v[1]), "float")
  eq(math.type(ints({5})[1]), "integer")
  local m = matrix()
  eq(list(m[2]), {5, 6, 7, 8})
  eq(m[-1][-1], 12)
  eq(m[2][3], 7)
  eq(#m[1], 4)
end

function T.test_tables()
  local m = matrix()
  eq(m[{2, 3}], 7)
  eq(m[{-1, -1}], 12)
  eq(list(m[{2}]), {5, 6, 7, 8})
  eq(list(m[{{}, 2}]), {2, 6, 10})
  eq(list(m[{{2, 3}}]), {{5, 6, 7, 8}, {9, 10, 11, 12}})
  eq(list(m[{1, {2, 3}}]), {2, 3})
  eq(list(m[{{1, 3, 2}, {1, 4, 3}}]), {{1, 4}, {9, 12}})
  eq(list(m[{{2}, 1}]), {5, 9})
  eq(list(m[{{-2, -1}, -1}]), {8, 12})
  eq(list(m[{{}, {}}]), list(m))
  eq(list(m[{}]), list(m))
  eq(list(m[{{3, 1, -1}, 1}]), {9, 5, 1})
  eq(list(m[{{-1, 1, -2}, 1}]), {9, 1})
  eq(list(m[{1, {4, 2, -1}}]), {4, 3, 2})
  eq(m[{{2, 1}}]:size(), {0, 4})
  eq(m[{{4, 3}}]:size(), {0, 4})
  eq(m[{{1, 3, -1}}]:size(), {0, 4})
  eq(pl.zeros(0, 2)[{{}}]:size(), {0, 2})
end

function T.test_ranges_against_loops()
  local v = pl.arange(1, 6)
  for first = -6, 6 do
    for last = -6, 6 do
      for step = -3, 3 do
        if first ~= 0 and last ~= 0 and step ~= 0 then
          local want, a, b = {}, first < 0 and first + 7 or first, last < 0 and last + 7 or last
          for i = a, b, step do want[#want + 1] = i end
          eq(list(v[{{first, last, step}}]), want)
        end
      end
    end
  end
end

function T.test_row_numbers()
  local m = matrix()
  eq(list(m[ints {3, 1, 1}]), {{9, 10, 11, 12}, {1, 2, 3, 4}, {1, 2, 3, 4}})
  eq(list(pl.tensor({7, 8, 9})[ints {3}]), {9})
  eq(m[ints {}]:size(), {0, 4})
  eq(list(ints({4, 5, 6})[ints {2, 2}]), {5, 5})
  eq(list(m:t()[ints {4}]), {{4, 8, 12}})
end

function T.test_masks()
  local m = matrix()
  eq(list(m[m:gt(9)]), {10, 11, 12})
  eq(m[m:gt(99)]:size(), {0})
  eq(list(m:t()[m:t():le(2)]), {1, 2})
  eq(list(pl.tensor(5)[pl.tensor(1, "uint8")]), {5})
  eq(list(ints({1, 2, 3})[ints({1, 2, 3}):ne(2)]), {1, 3})
end

function T.test_views_or_copies()
  local m = matrix()
  m[1]:zero_()
  m[{{2, 3}, 4}]:fill_(-1)
  eq(list(m), {{0, 0, 0, 0}, {5, 6, 7, -1}, {9, 10, 11, -1}})
  m[ints {1}]:fill_(3)
  m[m:lt(0)]:fill_(3)
  eq(m[1][1] + m[2][4], -1) -- those were copies
end

function T.test_gradients_flow()
  local m = matrix():requires_grad_()
  local total = m[2]:sum() + 2 * m[{{1, 2}, 1}]:sum() + 10 * m[ints {3,
                                                                     3}]:sum() + m[m:gt(11)]:sum()
  eq(list(pl.grad(total, m)[1]), {{2, 0, 0, 0}, {3, 1, 1, 1}, {20, 20, 20, 21}})
end

-- The sum of squares, element by element, has the gradient 2 w; written with w[i] and m[i][j].
function T.test_gradients_flow_through_elements()
  local w, m = pl.tensor({1, 2, 3}):requires_grad_(), matrix():requires_grad_()
  local loss = 0
  for _, v in ipairs(w) do loss = loss + v * v end
  for i = 1, 3 do loss = loss + m[i][i] * m[{i, -1}] end
  loss:backward()
  eq(list(w.grad), {2, 4, 6})
  eq(list(m.grad), {{4, 0, 0, 1}, {0, 8, 0, 6}, {0, 0, 12, 11}})
end

function T.test_elements_within_functions_and_of_higher_order()
  local w = pl.tensor({1, 2}):requires_grad_()
  local loss = pl.tidy(function() return w[1] * w[1] * w[2] end)
  local g = pl.grad(loss, w, {create_graph = true})[1]
  eq(g:detach():totable(), {4, 1})
  eq(pl.grad(g[1], w)[1]:totable(), {4, 2}) -- of 2 w1 w2
  eq(pl.no_grad(function() return math.type(w[1]) end), "float")
  eq(math.type(w:detach()[1]), "float")
  eq(math.type(w:gt(1)[1]), "integer")
end

-- An element keeps its value when the tensor changes.
function T.test_finite_differences()
  local w = pl.tensor({1, 2, 3}):requires_grad_()
  local function f() return w:square():sum():item() end
  for i = 1, 3 do
    local was = w[i]
    pl.no_grad(function()
      w[i] = was + 0.5
      local up = f()
      w[i] = was - 0.5
      eq(up - f(), 2.0 * i)
      w[i] = was
    end)
  end
  eq(list(w), {1, 2, 3})
  local row, before = matrix():requires_grad_(), nil
  before = row[1][1]
  pl.no_grad(function() row[1][1] = 100 end)
  eq(before:item(), 1)
end

function T.test_elements_stand_for_numbers()
  local w = pl.tensor({2, 3}):requires_grad_()
  eq(pl.zeros(2):clamp(w[1], w[2]):totable(), {2, 2})
  eq(pl.full({2}, w[2]):totable(), {3, 3})
  eq(pl.linspace(w[1], w[2], w[2]):totable(), {2, 2.5, 3})
  eq(pl.zeros(w[1], w[2]):size(), {2, 3})
  eq(pl.arange(1, 6):reshape(w[1], w[2]):size(), {2, 3})
  eq(pl.arange(1, 6)[{{w[1], w[2]}}]:totable(), {2, 3})
  eq(pl.arange(1, 6)[w[2]], 3)
  eq(pl.tensor({5, 9, 7})[pl.tensor({5, 9, 7}):argmax()], 9)
  eq(pl.nn.Dropout(w[1] / 4).p, 0.5)
  eq(pl.nn.Linear(w[1], w[2]).weight:size(), {3, 2})
  eq(pl.no_grad(function() return pl.zeros(2):fill_(w[2]) end):totable(), {3, 3})
end

-- A table of numbers and elements becomes a tensor with the elements' history.
function T.test_tensors_of_elements()
  local w = pl.tensor({2, 3}):requires_grad_()
  local t = pl.tensor {{w[1] * w[1], 5}, {-0.0, w[2]}}
  eq(t:detach():totable(), {{4, 5}, {-0.0, 3}})
  eq(1 / t:detach()[2][1], -math.huge)
  ;(t * t):sum():backward()
  eq(list(w.grad), {32, 6})
  eq(pl.tensor({w[1], 7}, "int32"):totable(), {2, 7})
  eq(pl.no_grad(function() return pl.tensor {w[1]} end).requires_grad, false)
end

function T.test_one_beyond_the_last_is_nil()
  lu.assertNil(pl.tensor({1, 2})[3])
  lu.assertNil(matrix()[4])
  lu.assertNil(pl.zeros(0)[1])
  local sum = 0
  for i, row in ipairs(matrix()) do sum = sum + i * row[1] end
  eq(sum, 1 + 2 * 5 + 3 * 9)
end

-- What has a history is not written where it would lose it.
function T.test_histories_are_not_written_away()
  local w, t = pl.tensor({2, 3}):requires_grad_(), pl.zeros(2)
  local lost = "has a history, which what is written into a tensor loses"
  for name, write in pairs {
    index = function(v) t[1] = v[1] end,
    range = function(v) t[{{1, 2}}] = v end,
    mask = function(v) t[pl.tensor({1, 0}, "uint8")] = v[1] end,
    rows = function(v) t[ints {1}] = v[1] end,
    copy_ = function(v) t:copy_(v) end,
    fill_ = function(v) t:fill_(v[1]) end,
    add_ = function(v) t:add_(v) end,
    sub_ = function(v) t:sub_(v) end,
    mul_ = function(v) t:mul_(v) end,
    div_ = function(v) t:div_(v) end,
  } do
    lu.assertErrorMsgContains(lost, write, w)
    lu.assertErrorMsgContains(lost, write, w * 2)
    lu.assertErrorMsgContains(lost, pl.tidy, function() write(w) end)
    eq(list(t), {0, 0}, name)
    write(w:detach())
    pl.no_grad(write, w)
    pl.no_grad(function() t:fill_(0) end)
  end
end

function T.test_what_ended_a_history_is_named()
  local w = pl.tensor({2, 3}):requires_grad_()
  for name, f in pairs {
    argmax = function() return (w * 2):argmax():to("real") end,
    gt = function() return w:gt(1):to("real"):sum() end,
    ["mul, inside no_grad"] = function() return pl.no_grad(function() return w * 2 end):sum() * 3 end,
    detach = function() return w:detach():sum() end,
    to = function() return (w * 2):to("int32"):to("real"):sum() end,
  } do
    lu.assertErrorMsgContains("its history ended at " .. name, function() f():backward() end)
  end
  lu.assertErrorMsgMatches(".*requires a gradient$", function() pl.ones(1):sum():backward() end)
end

--
-- Writing
--

function T.test_set_integers()
  local v, m = pl.zeros(3), matrix()
  v[1], v[-1] = 5, 7
  eq(list(v), {5, 0, 7})
  m[2] = 0
  m[3] = pl.tensor {1, 2, 3, 4}
  m[1][2] = 20
  eq(list(m), {{1, 20, 3, 4}, {0, 0, 0, 0}, {1, 2, 3, 4}})
  m[1] = pl.tensor {9}
  eq(list(m[1]), {9, 9, 9, 9})
end

function T.test_set_tables()
  local m = matrix()
  m[{2, 3}] = 70
  m[{{}, 1}] = pl.tensor {-1, -2, -3}
  m[{{1, 2}, {3, 4}}] = pl.tensor {{0}, {1}}
  m[{3, {4, 2, -1}}] = pl.tensor {1, 2, 3}
  eq(list(m), {{-1, 2, 0, 0}, {-2, 6, 1, 1}, {-3, 3, 2, 1}})
  m[{}] = 4
  eq(m:sum():item(), 48)
  m[{{2, 1}}] = 9
  eq(m:sum():item(), 48)
end

function T.test_set_masks()
  local m = matrix()
  m[m:gt(10)] = 0
  eq(list(m[3]), {9, 10, 0, 0})
  m[m:eq(0)] = pl.tensor {-5, -6}
  eq(list(m[3]), {9, 10, -5, -6})
  m[m:gt(100)] = 3
  eq(list(m[1]), {1, 2, 3, 4})
end

function T.test_set_rows()
  local m = matrix()
  m[ints {3, 1}] = 0
  eq(list(m), {{0, 0, 0, 0}, {5, 6, 7, 8}, {0, 0, 0, 0}})
  m[ints {1, 3}] = pl.tensor {{1, 1, 1, 1}, {3, 3, 3, 3}}
  eq(list(m[3]), {3, 3, 3, 3})
  m[ints {1, 2}] = pl.tensor {1, 2, 3, 4} -- the same row for each
  eq(list(m[2]), {1, 2, 3, 4})
  local v = pl.zeros(4)
  v[ints {4, 2}] = pl.tensor {40, 20}
  eq(list(v), {0, 20, 0, 40})
end

function T.test_set_from_itself()
  local v = pl.tensor {1, 2, 3}
  v[ints {3, 1, 2}] = v
  eq(list(v), {2, 3, 1})
  v[v:gt(1)] = v:slice(1, 2, 2)
  eq(list(v), {3, 1, 1})
  local m = matrix()
  m[ints {1, 2, 3}] = m:flip(1)
  eq(list(m:select(2, 1)), {9, 5, 1})
  m[{{1, 2}}] = m[{{2, 3}}]
  eq(list(m:select(2, 1)), {5, 1, 1})
end

function T.test_set_is_all_or_nothing()
  local v = pl.tensor {1, 2, 3}
  lu.assertErrorMsgContains("index 4 is not within 1 and 3", function() v[ints {1, 4}] = 9 end)
  eq(list(v), {1, 2, 3})
end

function T.test_set_other_kinds()
  local v = pl.zeros({3}, "uint8")
  v[1] = 200
  v[{{3}}] = pl.tensor {5}
  eq(list(v), {200, 0, 5})
  for _, value in ipairs {300, -1, 2.7, 0 / 0, pl.tensor(2.7)} do
    lu.assertErrorMsgContains("does not fit uint8", function() v[1] = value end)
  end
  eq(list(v), {200, 0, 5})
end

function T.test_set_counts_as_a_change()
  local x = pl.tensor({1, 2, 3}):requires_grad_()
  local y = x * x
  lu.assertErrorMsgContains("requires a gradient", function() x[1] = 0 end)
  lu.assertErrorMsgContains("is the result of an op", function() y[1] = 0 end)
  for _, key in ipairs {1, {{1}}, ints {1}, pl.tensor({1, 0, 0}, "uint8")} do
    local z = (x * x):sum()
    pl.no_grad(function() x[key] = 5 end)
    lu.assertErrorMsgContains("mul: input 1, real[3], was changed in place since",
                              function() z:backward() end)
  end
end

function T.test_rows_of_itself()
  local t = pl.tensor {{1, 2}, {3, 4}}
  t[pl.tensor({2, 1}, "int32")] = t:select(2, 1)
  lu.assertEquals(t:totable(), {{1, 3}, {1, 3}})
end

return T
