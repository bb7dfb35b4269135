--- Gradients: what is recorded, what backward and grad give, and what they refuse. The values
-- of each op's gradient are in test_ops.lua and test_gradients.lua.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local function list(t) return t:totable() end
local function leaf(values) return pl.tensor(values):requires_grad_() end

--
-- Leaves
--

function T.test_requires_grad()
  local x = pl.ones(2)
  eq(x.requires_grad, false)
  eq(x:requires_grad_() == x, true)
  eq(x.requires_grad, true)
  eq((x * 2).requires_grad, true)
  x.requires_grad = false
  eq(x.requires_grad, false)
  eq((x * 2).requires_grad, false)
  eq(x:requires_grad_(true).requires_grad, true)
  eq(x:detach().requires_grad, false)
  eq(x:eq(1).requires_grad, false)
  eq(x:to("int32").requires_grad, false)
end

function T.test_only_real_leaves_may_require_gradients()
  fails("requires_grad_: int32[2] is not real",
        function() pl.ones({2}, "int32"):requires_grad_() end)
  local y = leaf {1} * 2
  fails("requires_grad_: real[1] is the result of an op; detach it first",
        function() y:requires_grad_(false) end)
end

--
-- backward
--

function T.test_backward_adds_to_leaves()
  local x, w, c = leaf {1, 2}, leaf {3, 4}, pl.tensor {5, 6}
  local y = (x * w + c * x):sum()
  eq(x.grad, nil)
  y:backward()
  eq(list(x.grad), {8, 10})
  eq(list(w.grad), {1, 2})
  eq(c.grad, nil)
  eq(y.grad, nil)
  ;(x * w):sum():backward()
  eq(list(x.grad), {11, 14})
  x.grad = nil
  eq(x.grad, nil)
  w.grad:zero_()
  eq(list(w.grad), {0, 0})
end

function T.test_backward_with_a_gradient()
  local x = leaf {1, 2, 3}
  local y = x * x
  y:backward(pl.tensor {1, 10, 100})
  eq(list(x.grad), {2, 40, 600})
  x.grad = nil
  y = x * x
  y:backward{gradient = pl.ones(3), retain_graph = true}
  y:backward{gradient = pl.ones(3)}
  eq(list(x.grad), {4, 8, 12})
  fails("backward: the output is real[3]; only one element needs no seed",
        function() (x * x):backward() end)
  fails("backward: the seed is real[2], the output real[3]",
        function() (x * x):backward(pl.ones(2)) end)
end

function T.test_a_leaf_is_its_own_output()
  local x = leaf {2}
  x:backward()
  eq(list(x.grad), {1})
  eq(list(pl.grad(x, x)[1]), {1})
end

function T.test_gradients_are_not_shared()
  local a, b = leaf {1, 2}, leaf {3, 4}
  local seed = pl.ones(2)
  ;(a + b):backward(seed)
  a.grad:fill_(7)
  eq(list(b.grad), {1, 1})
  eq(list(seed), {1, 1})
end

function T.test_views_of_a_leaf()
  local x = leaf {1, 2, 3, 4}
  local y = x:slice(1, 1, 2):sum() + x:flip():slice(1, 1, 1):sum() * 10 + x:reshape(2, 2)[2]:sum()
  y:backward()
  eq(list(x.grad), {1, 1, 1, 11})
end

function T.test_used_many_times()
  local x = leaf {3}
  local y = x
  for _ = 1, 10 do y = y + x end
  y:backward()
  eq(list(x.grad), {11})
end

--
-- grad
--

function T.test_grad_of_several()
  local x, w, unused = leaf {1, 2}, leaf {3, 4}, leaf {5}
  local a, b = (x * w):sum(), x:sum()
  local g = pl.grad({a, b}, {x, w, unused})
  eq(list(g[1]), {4, 5})
  eq(list(g[2]), {1, 2})
  eq(g[3], false)
  eq(#g, 3)
  eq({x.grad, w.grad}, {})
end

function T.test_grad_outputs()
  local x = leaf {1, 2}
  local a, b = x * 2, x:sum()
  local g = pl.grad({a, b}, {x}, {grad_outputs = {pl.tensor {1, 10}, false}})
  eq(list(g[1]), {3, 21})
  fails("grad: 1 grad_outputs for 2 outputs",
        function() pl.grad({a, b}, x, {grad_outputs = {pl.ones(2)}}) end)
end

function T.test_grad_by_results_of_ops()
  local x = leaf {1, 2}
  local h = x * x
  local y = (h * h):sum()
  local g = pl.grad(y, {h, x, y}, {retain_graph = true})
  eq(list(g[1]), {2, 8})
  eq(list(g[2]), {4, 32})
  eq(g[3]:item(), 1)
  eq(list(pl.grad(y, h)[1]), {2, 8})
end

function T.test_grad_of_an_expanded_or_repeated_input()
  local x = leaf {2}
  eq(list(pl.grad(x:expand(5):sum(), {x, x})[2]), {5})
end

function T.test_max_gives_gradient_to_values_alone()
  local x = leaf {1, 5, 3}
  local value, at = x:max(1)
  eq(at.requires_grad, false)
  eq(list(pl.grad(value, x)[1]), {0, 1, 0})
  fails("backward: the output int32[] does not depend on", function() at:backward() end)
end

--
-- Sweeping twice
--

function T.test_second_pass_is_refused()
  local x = leaf {1, 2}
  local y = (x * x):sum()
  y:backward()
  fails("sum: the graph was freed by an earlier backward pass; pass retain_graph=true to that one",
        function() y:backward() end)
  eq(list(x.grad), {2, 4})
end

function T.test_second_pass_of_a_shared_part_is_refused()
  local x, w = leaf {1, 2}, leaf {1, 1}
  local h = x * x
  h:sum():backward()
  fails("mul: the graph was freed", function() h:sum():backward() end)
  fails("mul: the graph was freed", function() pl.grad((h * w):sum(), x) end)
  eq(list(pl.grad((h * w):sum(), h)[1]), {1, 1}) -- the part that is left
  eq(list(x.grad), {2, 4})
end

function T.test_retain_graph()
  local x = leaf {1, 2}
  local y = (x * x):sum()
  for i = 1, 3 do
    y:backward{retain_graph = i < 3}
    eq(list(x.grad), {2 * i, 4 * i})
  end
  fails("was freed", function() y:backward() end)
end

function T.test_a_leaf_has_no_graph_to_lose()
  local x = leaf {1}
  x:backward()
  x:backward()
  eq(list(x.grad), {2})
end

--
-- Higher orders
--

function T.test_create_graph()
  local x = leaf {2, 3}
  local y = (x ^ 3):sum()
  local g = pl.grad(y, x, {create_graph = true})[1]
  eq(list(g), {12, 27})
  local h = pl.grad(g:sum(), x, {create_graph = true})[1]
  eq(list(h), {12, 18})
  eq(list(pl.grad(h:sum(), x)[1]), {6, 6})
end

function T.test_backward_through_a_gradient()
  local x, w = leaf {1, 2}, leaf {3, 4}
  local g = pl.grad((x * x * w):sum(), x, {create_graph = true})[1] -- 2 x w
  ;(g * g):sum():backward()
  eq(list(w.grad), {8 * 3, 8 * 4 * 4})
  eq(list(x.grad), {8 * 9, 8 * 2 * 16})
end

function T.test_backward_with_create_graph_gives_a_differentiable_grad()
  local x = leaf {3}
  ;(x ^ 3):sum():backward{create_graph = true}
  local g = x.grad
  eq(g.requires_grad, true)
  x.grad = nil -- else x would own its own graph
  eq(list(pl.grad(g:sum(), x)[1]), {18})
end

function T.test_gradient_penalty()
  pl.manual_seed(1)
  local w = pl.randn(3, 2):requires_grad_()
  local x = pl.randn(4, 3):requires_grad_()
  local function penalty()
    local g = pl.grad(pl.tanh(pl.matmul(x, w)):sum(), x, {create_graph = true})[1]
    return (((g * g):sum(2) + 1e-3):sqrt() - 1):square():mean()
  end
  local g = pl.grad(penalty(), w)[1]
  local e = pl.real == "double" and 1e-6 or 1e-2
  for i = 1, 3 do
    local was = w[i][1]
    pl.no_grad(function() w[{i, 1}] = was + e end)
    local high = penalty():item()
    pl.no_grad(function() w[{i, 1}] = was - e end)
    local low = penalty():item()
    pl.no_grad(function() w[{i, 1}] = was end)
    lu.assertAlmostEquals(g[i][1], (high - low) / (2 * e), 2e-3)
  end
end

--
-- Modes
--

function T.test_no_grad_and_enable_grad()
  local x = leaf {1}
  local a, b, c = pl.no_grad(function(t, n)
    local inner = pl.enable_grad(function() return t * 2 end)
    return t * n, inner, "text"
  end, x, 3)
  eq({a.requires_grad, b.requires_grad, c}, {false, true, "text"})
  eq((x * 2).requires_grad, true)
  eq(select("#", pl.no_grad(function() end)), 0)
  eq(select("#", pl.no_grad(function() return nil, nil end)), 2)
end

function T.test_modes_end_with_errors()
  local x = leaf {1}
  local ok, message = pcall(pl.no_grad, function() error({code = 7}) end)
  eq({ok, message.code}, {false, 7})
  eq((x * 2).requires_grad, true)
  pcall(pl.no_grad, function()
    pcall(pl.enable_grad, function() error "inside" end)
    eq((x * 2).requires_grad, false)
    error "outside"
  end)
  eq((x * 2).requires_grad, true)
end

function T.test_modes_and_coroutines()
  local x = leaf {1}
  local co = coroutine.create(function() pl.no_grad(coroutine.yield) end)
  local ok, message = coroutine.resume(co)
  eq(ok, false)
  lu.assertStrContains(message, "attempt to yield across a C-call boundary")
  eq((x * 2).requires_grad, true)
  local inside = pl.no_grad(function()
    return coroutine.wrap(function() return (x * 2).requires_grad end)()
  end)
  eq(inside, false)
end

function T.test_detach_shares_values_but_not_history()
  local x = leaf {1, 2}
  local d = (x * 2):detach()
  eq(d.requires_grad, false)
  local y = (x * d):sum()
  eq(list(pl.grad(y, x)[1]), {2, 4})
  local alias = x:detach()
  alias:fill_(9)
  eq(list(x), {9, 9})
end

function T.test_clone_and_contiguous_pass_gradients()
  local x = leaf {{1, 2}, {3, 4}}
  eq(list(pl.grad((x:clone() * x:t():contiguous()):sum(), x)[1]), {{2, 6}, {4, 8}})
end

--
-- Changes in place
--

function T.test_a_change_of_a_saved_input_is_refused()
  local x = leaf {1, 2, 3}
  local y = (x * x):sum()
  pl.no_grad(function() x:add_(1) end)
  fails("mul: input 1, real[3], was changed in place since; its gradient needs the old values",
        function() y:backward() end)
  eq(x.grad, nil)
end

function T.test_a_change_of_a_saved_result_is_refused()
  local x = leaf {1, 2, 3}
  local y = x:exp()
  local z = y:sum()
  pl.no_grad(function() y:mul_(2) end)
  fails("exp: its result real[3] was changed in place since", function() z:backward() end)
end

function T.test_a_change_through_a_view_is_refused()
  local x = leaf {1, 2, 3}
  local y = (x * x):sum()
  x:detach():slice(1, 2, 1):fill_(0)
  fails("mul: input 1", function() y:backward() end)
end

function T.test_every_change_in_place_counts()
  local changes = {
    add_ = function(t) t:add_(1) end, sub_ = function(t) t:sub_(1) end,
      mul_ = function(t) t:mul_(2) end,
    div_ = function(t) t:div_(2) end, zero_ = function(t) t:zero_() end,
      fill_ = function(t) t:fill_(1) end,
    copy_ = function(t) t:copy_(pl.ones(3)) end, uniform_ = function(t) t:uniform_() end,
    normal_ = function(t) t:normal_() end, bernoulli_ = function(t) t:bernoulli_() end,
    index = function(t) t[1] = 5 end,
    sgd_ = function(t) pl.sgd_({t}, {pl.ones(3)}, nil, nil, {lr = 1}) end,
    adam_ = function(t)
      pl.adam_({t}, {pl.ones(3)}, {pl.zeros(3)}, {pl.zeros(3)}, {1}, {lr = 1})
    end,
    rmsprop_ = function(t) pl.rmsprop_({t}, {pl.ones(3)}, {pl.zeros(3)}, nil, {lr = 1}) end,
  }
  for name, change in pairs(changes) do
    local x = leaf {1, 2, 3}
    local y = (x * x):sum()
    pl.no_grad(change, x)
    fails("was changed in place", function() y:backward() end)
    lu.assertNotNil(name)
  end
end

function T.test_a_change_that_no_gradient_needs()
  local x = leaf {1, 2, 3}
  local h = x + 1
  local y = (-h + h:reshape(3, 1):sum(2) * 2 + h:slice(1, 1, 3)):sum()
  pl.no_grad(function() h:zero_() end)
  y:backward()
  eq(list(x.grad), {2, 2, 2})
end

function T.test_leaves_change_only_without_recording()
  local x = leaf {1}
  fails("add_: real[1] requires a gradient; change it inside no_grad, or detach it",
        function() x:add_(1) end)
  fails("copy_: real[1] requires a gradient", function() x:copy_(pl.ones(1)) end)
  local y = x * 2
  fails("fill_: real[1] is the result of an op", function() y:fill_(1) end)
  pl.no_grad(function() x:add_(1) end)
  eq(list(x), {2})
  eq(x.requires_grad, true)
end

--
-- Depth and memory
--

function T.test_long_chains()
  local x = leaf {1}
  local y = x
  for _ = 1, 20000 do y = y * 1 end
  y:backward()
  eq(list(x.grad), {1})
  local z = x
  for _ = 1, 20000 do z = z + 1 end
  z = nil -- a long graph that was never gone through
  collectgarbage()
end

function T.test_buffers_go_with_the_pass()
  local x = pl.ones(1000, 100):requires_grad_()
  collectgarbage()
  collectgarbage()
  local before = pl.memory().live_bytes
  local y = pl.tidy(function()
    local h = x
    for _ = 1, 5 do h = (h * h):exp():log() end
    return h:sum()
  end)
  lu.assertTrue(pl.memory().live_bytes > before + 5 * 400000)
  y:backward()
  x.grad = nil
  collectgarbage()
  lu.assertTrue(pl.memory().live_bytes < before + 100)
  eq(y:item() > 0, true)
end

--- A gradient with a history leads back to its leaf; the two do not keep each other.
function T.test_gradients_with_a_history_go_with_their_leaves()
  local function once()
    local x, w = leaf {1, 2}, leaf {3, 4}
    local y = (x * w * w):sum()
    y:backward {create_graph = true}
    y:backward {create_graph = true}
    return y, x.grad
  end
  collectgarbage()
  local before = pl.memory().tensors
  for _ = 1, 5 do once() end
  for _ = 1, 5 do pl.tidy(function() once() end) end
  local y = once()
  collectgarbage()
  y:backward {create_graph = true} -- the leaves have no names any more
  y = nil
  local g = select(2, once())
  collectgarbage()
  eq(list(pl.grad(g:sum(), g)[1]), {1, 1})
  g = nil
  collectgarbage()
  eq(pl.memory().tensors, before)
end

function T.test_grad_of_many_outputs()
  local outputs, inputs, seeds = {}, {}, {}
  for i = 1, 100 do
    inputs[i] = leaf {i, 1}
    outputs[i] = inputs[i] * inputs[i]
    seeds[i] = pl.full({2}, i)
  end
  local g = pl.grad(outputs, inputs, {grad_outputs = seeds})
  eq(#g, 100)
  for i = 1, 100 do eq(list(g[i]), {2 * i * i, 2 * i}) end
end

function T.test_stack_of_many()
  local parts = {}
  for i = 1, 200 do
    parts[i] = pl.full({2}, i)
    if i % 3 == 0 then parts[i]:requires_grad_() end
  end
  local y = pl.stack(parts, 2)
  eq(y:size(), {2, 200})
  eq(y[{1, 150}]:item(), 150)
  ;(y * y):sum():backward()
  for i = 1, 200 do
    if i % 3 == 0 then eq(list(parts[i].grad), {2 * i, 2 * i}) else eq(parts[i].grad, nil) end
  end
end

function T.test_cat_of_many()
  local parts, want = {}, {}
  for i = 1, 100 do
    parts[i] = pl.full({1}, i)
    if i % 3 == 0 then parts[i]:requires_grad_() end
    want[i] = i
  end
  local y = pl.cat(parts)
  eq(list(y), want)
  ;(y * y):sum():backward()
  for i = 1, 100 do
    if i % 3 == 0 then eq(parts[i].grad:item(), 2 * i) else eq(parts[i].grad, nil) end
  end
end

function T.test_grad_field()
  local x = leaf {1, 2}
  x.grad = pl.tensor {3, 4}
  eq(list(x.grad), {3, 4})
  ;(x * 2):sum():backward()
  eq(list(x.grad), {5, 6})
  fails("grad: real[3] does not fit real[2]", function() x.grad = pl.ones(3) end)
  fails("grad: int32[2] does not fit real[2]", function() x.grad = pl.ones({2}, "int32") end)
  fails("grad: a tensor cannot be its own gradient", function() x.grad = x end)
end

function T.test_a_nan_is_passed_on()
  local x = leaf {-1}
  x:log():sum():backward()
  eq(x.grad:item(), -1)
  local y = (x:sqrt() * 0):sum()
  eq(y:item() ~= y:item(), true)
end

--
-- What a backward pass refuses, and what it leaves
--

function T.test_seeds_are_real()
  local x = pl.zeros(4):requires_grad_()
  local ones = pl.ones({4}, "uint8")
  fails("backward: the seed is uint8[4], the output real[4]", function() x:exp():backward(ones) end)
  local wrong = pl.custom(function(_, a) return a * 2 end, function() return ones end)
  fails("custom: the gradient of input 1 is uint8[4], the input real[4]",
        function() wrong(x):sum():backward() end)
end

function T.test_indices_that_were_changed_since()
  local w, c = pl.randn(4, 2):requires_grad_(), pl.ones({4, 2}, "uint8")
  local i = pl.tensor({1, 2}, "int32")
  local y, z = pl.embedding(i, w), pl.where(c, w, pl.zeros(4, 2))
  i:fill_(3)
  c:fill_(0)
  for _, result in ipairs {y, z} do
    fails("was changed in place since", function() result:sum():backward() end)
  end
end

-- Also with a graph of the gradients each leaf has a gradient of its own.
function T.test_gradients_are_not_shared()
  local a, b, c = leaf {1, 1}, leaf {1, 1}, leaf {1, 1}
  ;((a + b):square():sum() + c:sum()):backward {create_graph = true}
  pl.no_grad(function() a.grad:mul_(2) c.grad:mul_(2) end)
  eq({list(a.grad), list(b.grad), list(c.grad)}, {{8, 8}, {4, 4}, {2, 2}})
  a.grad, b.grad, c.grad = nil, nil, nil -- their graphs hold the leaves
end

return T
