--- Layers: values, gradients and saved states beside PyTorch's; what is wrong with their arguments.

local lu = require "luaunit"
local pl = require "perilune"
local cases = require "oracle_layers"
local nn = pl.nn

local T = {}

-- PyTorch has a sixth as a float in the gradient of Hardsigmoid.
local TOLERANCE <const> = pl.real == "double" and 1e-8 or 2e-5

local function tensor(t)
  return pl.tensor({table.unpack(t)}):reshape(t.size)
end

local function near(actual, expected, what)
  lu.assertEquals(actual:size(), expected.size, what)
  local wrong = (actual - tensor(expected)):abs():max():item()
  lu.assertTrue(wrong < TOLERANCE, ("%s: differs by %g"):format(what, wrong))
end

local function made(case)
  local layer = assert(load("local nn = ... return " .. case.make))(nn)
  local state = {}
  for name, t in next, case.state do state[name] = tensor(t) end
  return layer:load_state_dict(state)
end

-- Alone, and within a Sequential, which may compute it another way.
local function check(case, layer, f)
  local x = tensor(case.x):requires_grad_()
  layer:zero_grad()
  local y = f(x)
  near(y, case.y, case.make)
  local loss = y:reshape(-1) * pl.arange(0, y:numel() - 1):cos()
  loss:sum():backward()
  near(x.grad, case.gx, case.make .. ": gradient of x")
  for name, p in layer:named_parameters() do
    near(p.grad, case.grads[name], case.make .. ": gradient of " .. name)
  end
end

function T.test_values()
  for _, case in ipairs(cases) do
    local layer = made(case)
    check(case, layer, layer)
    local chain = nn.Sequential {layer, nn.Identity()}
    check(case, layer, chain)
    local fused = nn.Sequential {layer}
    fused(tensor(case.x))
    check(case, layer, fused)
  end
end

function T.test_saved()
  local path = os.tmpname()
  for _, case in ipairs(cases) do
    local layer = made(case)
    assert(pl.save(path, layer))
    local loaded = assert(pl.load(path))
    lu.assertEquals(tostring(loaded), tostring(layer))
    check(case, loaded, loaded)
  end
  os.remove(path)
end

-- Whether all values are 0, or all what they were by 1 / (1 - p).
local function is_whole(y, x, p)
  local zero, scaled = y:eq(0):all():item(), (y - x / (1 - p)):abs():max():item() < 1e-5
  return zero == 1 or scaled, zero == 1
end

local function drops(layer, x, parts)
  pl.manual_seed(3)
  local y, dropped = layer(x), 0
  local a, b = parts(y), parts(x)
  for i = 1, #a do
    local whole, zero = is_whole(a[i], b[i], 0.25)
    lu.assertTrue(whole, tostring(layer))
    dropped = dropped + (zero and 1 or 0)
  end
  lu.assertTrue(dropped > 0.15 * #a and dropped < 0.35 * #a, tostring(dropped))
  lu.assertTrue(layer:eval()(x):equal(x))
end

function T.test_parts_that_are_dropped()
  local function channels(t) return t:reshape(200, 6):unbind() end
  drops(nn.Dropout2d(0.25), pl.rand(20, 10, 2, 3) + 1, channels)
  drops(nn.DropPath(0.25), pl.rand(200, 2, 2) + 1, function(t) return t:unbind() end)
end

-- Which place is taken is a matter of whole numbers.
function T.test_nearest_places()
  for n = 1, 100, 9 do
    for n_out = 1, 130, 3 do
      local x, expected = pl.arange(0, n - 1):reshape(1, 1, n), {}
      for i = 0, n_out - 1 do expected[i + 1] = i * n // n_out end
      local y = nn.interpolate(x, {size = n_out})
      lu.assertTrue(y:reshape(-1):equal(pl.tensor(expected)), n .. " to " .. n_out)
    end
  end
end

function T.test_the_vector_of_padding()
  local words = nn.Embedding(4, 2, {padding_idx = 2})
  lu.assertEquals(words.weight[2]:totable(), {0, 0})
  local index = pl.tensor({{1, 2}, {4, 2}}, "int32")
  words(index):sum():backward()
  lu.assertEquals(words.weight.grad:totable(), {{1, 1}, {0, 0}, {0, 0}, {1, 1}})
  pl.no_grad(words.weight.fill_, words.weight, 3)
  lu.assertEquals(words(index):sum():item(), 24)
end

function T.test_bad_arguments()
  local x = pl.ones(2, 3)
  for _, row in ipairs {
    {"ELU: alpha: number expected, got string", nn.ELU, "a"},
    {"ELU: too many arguments", nn.ELU, 1, 2},
    {"Hardtanh: max_val: number expected, got table", nn.Hardtanh, 1, {}},
    {"GELU: no arguments expected", nn.GELU, 1},
    {"PReLU: num_parameters: ", nn.PReLU, 0},
    {"PReLU: init: number expected, got string", nn.PReLU, 1, "a"},
    {"PReLU: two arguments expected", nn.PReLU, 1, 1, 1},
    {"PReLU: 4 channels in dim 2 expected, got [2,3] (in PReLU(4))", nn.PReLU(4), x},
    {"Dropout2d: images [N,channels,height,width] expected, got [2,3] (in Dropout2d(0.5))",
     nn.Dropout2d(), x},
    {"DropPath: p: number in [0, 1) expected, got 1", nn.DropPath, 1},
    {"Conv1d: input [N,channels,length] expected, got [2,3]", nn.Conv1d(3, 1, 1), x},
    {"Conv1d: kernel size: integer of at least 1 expected, got table", nn.Conv1d, 3, 1, {}},
    {"GroupNorm: 4 channels make no 3 groups of equal size", nn.GroupNorm, 3, 4},
    {"GroupNorm: input [N,4,...] expected, got [2,3]", nn.GroupNorm(2, 4), x},
    {"RMSNorm: last sizes [2] expected, got [2,3]", nn.RMSNorm(2), x},
    {"PixelShuffle: a multiple of 4 channels expected, got [1,3,2,2]", nn.PixelShuffle(2),
     pl.ones(1, 3, 2, 2)},
    {"ReflectionPad2d: padding 3 and 3 of dim 3 of [1,1,2,2]: less than its size",
     nn.ReflectionPad2d(3), pl.ones(1, 1, 2, 2)},
    {"Upsample: either size or scale_factor expected", nn.Upsample, {}},
    {"Upsample: mode: nearest, linear or bilinear expected, got cubic", nn.Upsample,
     {size = 2, mode = "cubic"}},
    {"interpolate: input [N,channels,length] (linear) or", nn.interpolate, x, {size = 2}},
    {"interpolate: size: a positive number, or 1 of them", nn.interpolate, pl.ones(1, 1, 2),
     {size = {1, 2}}},
    {"Embedding: padding_idx: 1 to 3 expected, got 4", nn.Embedding, 3, 2, {padding_idx = 4}},
    {"GLU: dim: integer expected, got 0.5", nn.GLU, 0.5},
    {"GLU: an even size of dim -1 expected, got [2,3] (in GLU(-1))", nn.GLU(), x},
  } do
    lu.assertErrorMsgContains(table.unpack(row))
  end
end

return T
