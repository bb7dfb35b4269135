--- nn.checkpoint: the same values and gradients for less memory.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T = {}

local function near(a, b, name)
  lu.assertTrue(a:allclose(b), name)
end

local function block(n)
  return nn.Sequential {nn.Linear(n, n), nn.BatchNorm1d(n), nn.Tanh(), nn.Dropout(0.3),
                        nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n)}
end

local function run(call, blocks, x)
  for _, b in ipairs(blocks) do x = call(b, x) end
  return x
end

local function plainly(f, ...) return f(...) end

-- Values, gradients of the input and of all parameters, buffers and random numbers.
local function everything(call, requires_grad)
  pl.manual_seed(5)
  local blocks, results = {block(3), block(3)}, {}
  local x = pl.randn(6, 3):requires_grad_(requires_grad)
  local y = run(call, blocks, x)
  y:square():sum():backward()
  results.y, results.x, results.random = y:detach(), x.grad, pl.rand(1)
  for i, b in ipairs(blocks) do
    for name, p in b:named_parameters() do results[i .. name] = p.grad end
    for name, p in b:named_buffers() do results[i .. name] = p end
  end
  return results
end

function T.test_all_is_the_same()
  for _, requires_grad in ipairs {true, false} do
    local want, got = everything(plainly, requires_grad), everything(nn.checkpoint, requires_grad)
    local n = 0
    for name, value in pairs(want) do
      near(got[name], value, name)
      n = n + 1
    end
    lu.assertEquals(n, (requires_grad and 3 or 2) + 2 * (8 + 2))
  end
end

-- More parameters than one token holds, found though they are upvalues; several arguments, of which
-- one is no tensor; several results, of which one is not used.
function T.test_a_function()
  local weights = {}
  for i = 1, 17 do weights[i] = pl.full({2}, i / 10):requires_grad_() end
  local function f(a, factor, b)
    local sum = a * factor
    for i, w in ipairs(weights) do sum = (sum + w * b):sin() + i end
    return sum, sum:detach():gt(0), a * b
  end
  local function gradients(call)
    local a, b = pl.tensor({0.5, -1}):requires_grad_(), pl.tensor({2, 0.25}):requires_grad_()
    local sum, positive = call(f, a, 3, b)
    lu.assertEquals(positive:dtype(), "uint8")
    return pl.grad(sum:prod(), {a, b, table.unpack(weights)})
  end
  local want, got = gradients(plainly), gradients(nn.checkpoint)
  lu.assertEquals(#got, 19)
  for i = 1, 19 do near(got[i], want[i], i) end
  lu.assertNil(weights[1].grad)
end

function T.test_second_order()
  local w = pl.tensor({0.5, -2, 1}):requires_grad_()
  local function f(x) return (x * w):sin() * x end
  local function second(call)
    local x = pl.tensor({1, 2, 3}):requires_grad_()
    local g = pl.grad(call(f, x):sum(), {x, w}, {create_graph = true})
    return pl.grad((g[1] * g[2]):sum(), {x, w})
  end
  local want, got = second(plainly), second(nn.checkpoint)
  for i = 1, 2 do near(got[i], want[i], i) end
end

function T.test_parts_within_parts()
  local function inner(x) return x:sin() * x end
  local function outer(x) return nn.checkpoint(inner, x):exp() end
  local x = pl.tensor({0.3, -1}):requires_grad_()
  local want = pl.grad(inner(x):exp():sum(), x)[1]
  near(pl.grad(nn.checkpoint(outer, x):sum(), x)[1], want)
end

function T.test_twice_and_frozen()
  local layer, x = nn.Linear(2, 2), pl.ones(1, 2)
  layer.bias:requires_grad_(false)
  local y = nn.checkpoint(layer, x)
  y:sum():backward {retain_graph = true}
  y:sum():backward()
  near(layer.weight.grad, pl.full({2, 2}, 2))
  lu.assertNil(layer.bias.grad)
end

function T.test_without_recording()
  local n = 0
  local function f(x)
    n = n + 1
    return x * 2
  end
  lu.assertFalse(pl.no_grad(nn.checkpoint, f, pl.ones(1):requires_grad_()).requires_grad)
  lu.assertEquals(nn.checkpoint(f, pl.ones(1)).requires_grad, false)
  lu.assertEquals(n, 2)
end

-- Ten parts of ten times the memory of their argument each.
local function peak(call)
  local x = pl.zeros(100, 1000):requires_grad_()
  local function part(y)
    for _ = 1, 10 do y = y:sin() end
    return y
  end
  collectgarbage()
  collectgarbage()
  return pl.tidy(function()
    local before, most = pl.memory().live_bytes, 0
    local watch = pl.custom(function(_, y) return y * 1 end, function(_, grad)
      most = math.max(most, pl.memory().live_bytes - before)
      return grad
    end)
    local y = x
    for _ = 1, 10 do
      y = watch(call(part, y))
      collectgarbage()
      most = math.max(most, pl.memory().live_bytes - before)
    end
    y:sum():backward()
    return most / (x:numel() * (pl.real == "double" and 8 or 4))
  end)
end

function T.test_memory()
  local without, with = peak(plainly), peak(nn.checkpoint)
  lu.assertTrue(without > 100, without)
  lu.assertTrue(with < 35, with)
end

function T.test_in_a_step()
  local net, opt = nn.Sequential {nn.Linear(2, 2)}, nil
  opt = pl.optim.SGD(net:parameters(), {lr = 0.1})
  local before = net[1].weight:detach():clone()
  pl.tidy(function()
    opt:step_backward(nn.checkpoint(net, pl.ones(1, 2)):sum())
  end)
  near(net[1].weight:detach(), before - 0.1)
end

function T.test_messages()
  local x = pl.ones(1):requires_grad_()
  local function fails(text, ...) lu.assertErrorMsgContains(text, nn.checkpoint, ...) end
  fails("checkpoint: function or module expected, got tensor", x)
  fails("checkpoint: result 1 of the function is a number; tensor expected", function() return 1 end,
        x)
  fails("checkpoint: the function gave 0 results; 1 to 4 tensors expected", function() end, x)
  fails("checkpoint: 8 tensors that require a gradient; at most 7 expected", pl.cat, x, x, x, x, x,
        x, x, x)
  fails("mine", function() error "mine" end, x)
  local n = 0
  local y = nn.checkpoint(function(t)
    n = n + 1
    if n > 1 then error "the second time" end
    return t * 2
  end, x)
  lu.assertErrorMsgContains("the second time", y.backward, y)
end

return T
