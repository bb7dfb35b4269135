--- Lua may run a finalizer whenever it allocates, and a finalizer may release any tensor, even an
--- argument of the call that allocates. The call then has the right result, or says what happened.

local lu = require "luaunit"
local core = require "perilune.core"
local pl = require "perilune"

local T = {}

local function release(t) getmetatable(t).__close(t) end

--- Calls f(tensors) until a finalizer that releases them has run within; gives what pcall gave.
local function released_within(make, f)
  collectgarbage("incremental", 100, 100, 8) -- short steps, so that finalizers run in many of them
  local tensors, inside, hit
  local hostile = {__gc = function()
    hit = hit or inside
    for _, t in ipairs(inside and tensors or {}) do release(t) end
  end}
  for i = 1, 200000 do
    tensors = make()
    local _ <const> = ("."):rep(i % 97) -- so that no step always falls on the same place
    setmetatable({}, hostile)
    inside, hit = true, false
    local ok, result = pcall(f, tensors)
    inside = false
    if hit then return ok, result end
  end
  error "no finalizer ran within the call"
end

--- Several times, for there are several places where Lua allocates.
local function check(f, expected, make)
  make = make or function() return {pl.full({3}, 2), pl.full({3}, 5)} end
  for _ = 1, 4 do
    local ok, result = released_within(make, f)
    if ok then lu.assertEquals(result, expected)
    else lu.assertStrContains(tostring(result), "released") end
  end
end

function T.tearDown() collectgarbage("incremental", 200, 100, 13) end

function T.test_ops()
  check(function(t) return pl.add(t[1], t[2]):totable() end, {7, 7, 7})
  check(function(t) return pl.stack(t):totable() end, {{2, 2, 2}, {5, 5, 5}})
  check(function(t) return (t[1] * 2):totable() end, {4, 4, 4})
end

function T.test_making_and_asking()
  check(function(t) return t[1]:to("int32"):totable() end, {2, 2, 2})
  check(function(t) return t[1]:clone():totable() end, {2, 2, 2})
  check(function(t) return t[1]:totable() end, {2, 2, 2})
  check(function(t)
    local text = tostring(t[2])
    return text ~= "tensor (released)" and text or error(text)
  end, tostring(pl.full({3}, 5)))
end

function T.test_index()
  check(function(t) return t[1][{{2, 3}}]:totable() end, {2, 2})
  check(function(t) return t[1][t[2]]:totable() end, {2, 2},
        function() return {pl.full({3}, 2), pl.tensor({1, 0, 1}, "uint8")} end)
end

local function leaf_and_loss()
  local leaf = pl.full({3}, 2):requires_grad_()
  return {leaf, (leaf * leaf):sum()}
end

function T.test_gradients()
  check(function(t) return pl.grad(t[2], t[1])[1]:totable() end, {4, 4, 4}, leaf_and_loss)
  check(function(t)
    pl.grad({t[2]}, {t[1]}, {grad_outputs = {pl.tensor(1)}})
    return true
  end, true, leaf_and_loss)
end

function T.test_steps()
  local options = {lr = 1, momentum = 0, dampening = 0, weight_decay = 0}
  check(function(t)
    core.sgd_({t[1]}, {t[2]}, nil, nil, options)
    return t[1]:totable()
  end, {-3, -3, -3})
  check(function(t) return core.total_norm(t) end, math.sqrt(3 * 4 + 3 * 25))
end

function T.test_files()
  local path = os.tmpname()
  check(function(t)
    core.save_tensors(path, {a = t[1], b = t[2]}, {c = "text"})
    return core.load_tensors(path).b:totable()
  end, {5, 5, 5})
  os.remove(path)
end

function T.test_functions_of_ones_own()
  local double = pl.custom(function(_, x) return x * 2 end, function(_, g) return g * 2 end)
  check(function(t) return double(t[1]):totable() end, {4, 4, 4})
end

--- Where memory is short the engine collects garbage; by then the coroutine that called it last,
--- in a finalizer, may be garbage itself.
function T.test_shortage_after_a_coroutine_ended()
  collectgarbage("incremental", 100, 1000, 8)
  local huge = pl.ones(1):expand {2 ^ 45 // 1 | 0}
  local function use_the_engine() return pl.ones(1):sum():item() end
  for i = 1, 300 do
    local _ <const> = ("."):rep(i % 97)
    setmetatable({}, {__gc = function() coroutine.wrap(use_the_engine)() end})
    lu.assertErrorMsgContains("not enough memory", pl.exp, huge)
  end
end

return T
