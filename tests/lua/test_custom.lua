--- Functions whose gradient is written in Lua.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}

local function make_cube()
  return pl.custom(function(context, x)
    context.x = x
    return x * x * x
  end, function(context, g)
    return g * context.x * context.x * 3
  end)
end

function T.test_gradients_of_any_order()
  local cube = make_cube()
  local x = pl.tensor({2, -1}):requires_grad_()
  local y = cube(x)
  lu.assertEquals(y:totable(), {8, -1})
  local first = pl.grad(y:sum(), x, {create_graph = true})[1]
  lu.assertEquals(first:totable(), {12, 3})
  local second = pl.grad(first:sum(), x, {create_graph = true})[1]
  lu.assertEquals(second:totable(), {12, -6})
  lu.assertEquals(pl.grad(second:sum(), x)[1]:totable(), {6, 6})
end

function T.test_several_inputs_and_results()
  local f = pl.custom(function(_, a, b, factor) return a * b, a * factor end,
                      function(_, g, h) return g * 10 + h * 100, nil end)
  local a, b = pl.ones(2):requires_grad_(), pl.full({2}, 3):requires_grad_()
  local product, scaled = f(a, b, 7)
  lu.assertEquals({product:totable(), scaled:totable()}, {{3, 3}, {7, 7}})
  pl.add(product:sum(), scaled:sum()):backward()
  lu.assertEquals(a.grad:totable(), {110, 110})
  lu.assertNil(b.grad)
  a.grad = nil
end

function T.test_absent_gradients_are_nil()
  local seen
  local f = pl.custom(function(_, x) return x * 1, x * 2 end, function(_, g, h)
    seen = {g ~= nil, h ~= nil}
    return g
  end)
  local x = pl.ones(1):requires_grad_()
  local first = f(x)
  first:sum():backward()
  lu.assertEquals(seen, {true, false})
end

function T.test_no_history_without_need()
  local y = make_cube()(pl.ones(2))
  lu.assertFalse(y.requires_grad)
end

-- A backward pass in a rule: through another graph it is legal, through the rule's own result it
-- would free what the rule stands on.

local function doubled(within)
  return pl.custom(function(_, x) return x * 2 end, function(_, g)
    pl.enable_grad(within)
    return g * 2
  end)
end

function T.test_rule_may_go_back_through_another_graph()
  local w = pl.full({2}, 3):requires_grad_()
  local x = pl.ones(2):requires_grad_()
  local shared = x * 5
  doubled(function() (w * w):sum():backward() end)(shared):sum():backward()
  lu.assertEquals({x.grad:totable(), w.grad:totable()}, {{10, 10}, {6, 6}})
end

local OWN = "custom: its gradient asks for a backward pass through its own result"

function T.test_rule_may_not_go_back_through_its_own_result()
  local ways = {
    function(z) z:sum():backward() end,
    function(z) z:sum():backward {retain_graph = true} end,
    function(z, x) pl.grad(z:sum(), x) end,
    function(z, x) pl.grad(z:sum() + x:sum(), x, {create_graph = true}) end,
    function(z) doubled(function() z:sum():backward() end)(z):sum():backward() end}
  for i, way in ipairs(ways) do
    local x, z = pl.ones(2):requires_grad_(), nil
    local message
    z = doubled(function()
      message = select(2, pcall(way, z, x))
      collectgarbage()
    end)(x)
    z:sum():backward()
    lu.assertStrContains(message, OWN, false, "way " .. i)
    lu.assertEquals(x.grad:totable(), {2, 2})
    x.grad = nil
  end
end

-- The pass around it finds the nodes before the rule freed, and says so.
function T.test_rule_that_frees_what_lies_before_it()
  local x = pl.ones(2):requires_grad_()
  local before = x * x
  local z = doubled(function() before:sum():backward() end)(before)
  lu.assertErrorMsgContains("mul: the graph was freed by an earlier backward pass", z.backward, z:sum())
end

function T.test_errors()
  local x = pl.ones(2):requires_grad_()
  local broken = pl.custom(function(_, t) return t * 1 end, function() error("in the rule", 0) end)
  lu.assertErrorMsgContains("in the rule", function() broken(x):sum():backward() end)
  local wrong = pl.custom(function(_, t) return t * 1 end, function() return 3 end)
  lu.assertErrorMsgContains("custom: gradient 1 is a number; tensor or nil expected",
                            function() wrong(x):sum():backward() end)
  local shape = pl.custom(function(_, t) return t * 1 end, function() return pl.ones(3) end)
  lu.assertErrorMsgContains("custom: the gradient of input 1 is real[3], the input real[2]",
                            function() shape(x):sum():backward() end)
  lu.assertErrorMsgContains("custom: forward gave 0 values", function()
    pl.custom(function() end, function() end)(x)
  end)
  lu.assertErrorMsgContains("custom: the first argument is a number; tensor expected", make_cube(), 3)
end

function T.test_inside_tidy()
  local cube = make_cube()
  local x = pl.ones(3):requires_grad_()
  for _ = 1, 3 do
    pl.tidy(function() cube(x * 2):sum():backward() end)
  end
  lu.assertEquals(x.grad:totable(), {72, 72, 72})
end

function T.test_many_arguments()
  local f = pl.custom(function(_, x, ...) return x * select("#", ...) end, function(_, g) return g end)
  local numbers = {}
  for i = 1, 1000 do numbers[i] = i end
  lu.assertEquals(f(pl.ones(2), table.unpack(numbers)):totable(), {1000, 1000})
  local tensors = {}
  for i = 1, 9 do tensors[i] = pl.ones(1) end
  lu.assertErrorMsgContains("custom: more than 8 tensors", f, table.unpack(tensors))
end

function T.test_a_rule_with_a_coroutine()
  local id = pl.custom(function(_, x) return x * 1 end, function(_, g) return g end)
  local stop = pl.custom(function(_, x) return x * 1 end, function()
    coroutine.wrap(function() local _ = pl.ones(1) end)()
    collectgarbage()
    collectgarbage()
    local junk = {}
    for i = 1, 2000 do junk[i] = string.rep("x", 150 + i % 120) .. i end
    lu.assertEquals(#junk, 2000)
    return nil
  end)
  local x = pl.ones(3):requires_grad_()
  for _ = 1, 5 do (id(x) + stop(x)):sum():backward() end
  lu.assertEquals(x.grad:totable(), {5, 5, 5})
end

return T
