--- Layers: values, gradients and saved states beside PyTorch's; what is wrong with their arguments.

local lu = require "luaunit"
local pl = require "perilune"
local cases = require "oracle_layers"
local nn = pl.nn

local T = {}

local TOLERANCE <const> = pl.real == "double" and 1e-9 or 2e-5

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
    {"GLU: dim: integer expected, got 0.5", nn.GLU, 0.5},
    {"GLU: an even size of dim -1 expected, got [2,3] (in GLU(-1))", nn.GLU(), x},
  } do
    lu.assertErrorMsgContains(table.unpack(row))
  end
end

return T
