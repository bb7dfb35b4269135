--- Jacobians, Hessians and their products, against PyTorch's (tests/oracle_derivatives.py).

local lu = require "luaunit"
local pl = require "perilune"
local expected = require "oracle_derivatives"

local T = {}

local function inputs()
  return pl.tensor {{1, -0.5, 0.25}, {0.75, 2, -1}}, pl.tensor {0.5, -1, 2},
         pl.tensor {{1, 0, -1}, {0.5, 2, 1}}, pl.tensor {1, -2}, pl.tensor {0.5, 1, -1.5}
end

local function vector(a, x) return a:mv(x):tanh() * x[1] end
local function two(x) return x:exp(), (x * x):sum() end
local function number(a, x) return a:mv(x):square():sum() * x:sin():prod() end

local function only(f)
  local a = inputs()
  return function(x) return f(a, x) end
end

local function plain(value)
  if pl.is_tensor(value) then
    lu.assertFalse(value.requires_grad)
    return value:dim() == 0 and value:item() or value:totable()
  end
  if type(value) ~= "table" then return value end
  local list = {}
  for i, inner in ipairs(value) do list[i] = plain(inner) end
  return list
end

local function near(got, want, name)
  got = plain(got)
  if type(want) == "number" then return lu.assertAlmostEquals(got, want, 2e-5, name) end
  lu.assertEquals(#got, #want, name)
  for i, value in ipairs(want) do near(got[i], value, name) end
end

local function check(name, ...)
  near(select("#", ...) > 1 and {...} or ..., expected[name], name)
end

function T.test_jacobian()
  local a, x = inputs()
  check("jacobian_one", pl.jacobian(only(vector), x))
  check("jacobian_list", pl.jacobian(vector, {a, x}))
  check("jacobian_two", pl.jacobian(two, x))
end

function T.test_hessian()
  local a, x = inputs()
  check("hessian_one", pl.hessian(only(number), x))
  check("hessian_list", pl.hessian(number, {a, x}))
end

function T.test_vjp()
  local a, x, _, v2, v3 = inputs()
  check("vjp_one", pl.vjp(only(vector), x, v2))
  check("vjp_list", pl.vjp(vector, {a, x}, v2))
  check("vjp_number", pl.vjp(only(number), x))
  check("vjp_two", pl.vjp(two, x, {v3, pl.tensor(2)}))
end

function T.test_jvp()
  local a, x, va, _, v3 = inputs()
  check("jvp_one", pl.jvp(only(vector), x, v3))
  check("jvp_list", pl.jvp(vector, {a, x}, {va, v3}))
  check("jvp_two", pl.jvp(two, x, v3))
end

function T.test_hvp()
  local a, x, va, _, v3 = inputs()
  check("hvp_one", pl.hvp(only(number), x, v3))
  check("hvp_list", pl.hvp(number, {a, x}, {va, v3}))
end

function T.test_shapes()
  local x = pl.ones(2, 3)
  lu.assertEquals(pl.jacobian(function(t) return t:sum {dim = 2} end, x):size(), {2, 2, 3})
  lu.assertEquals(pl.jacobian(pl.sum, x):size(), {2, 3})
  lu.assertEquals(pl.hessian(pl.sum, x):totable(), pl.zeros(2, 3, 2, 3):totable())
  local network = pl.nn.Linear(3, 4)
  lu.assertEquals(pl.jacobian(network, pl.ones(3)):totable(), network.weight:detach():totable())
end

function T.test_what_does_not_depend_is_zero()
  local function f(x, y) return (x * 2):sum() + 0 * y:detach():sum() end
  local by_x, by_y = table.unpack(pl.jacobian(f, {pl.ones(2), pl.ones(3)}))
  near(by_x, {2, 2})
  near(by_y, {0, 0, 0})
  near({pl.jvp(f, {pl.ones(2), pl.ones(3)}, {pl.ones(2), pl.ones(3)})}, {4, 4})
end

-- The inputs keep their gradients and their leaves.
function T.test_inputs_stay_as_they_are()
  local x = pl.tensor({1, 2}):requires_grad_()
  pl.no_grad(function() near(pl.hessian(function(t) return (t ^ 3):sum() end, x), {{6, 0}, {0, 12}}) end)
  lu.assertNil(x.grad)
  lu.assertTrue(x.requires_grad)
end

function T.test_create_graph()
  local x = pl.tensor({1, 2}):requires_grad_()
  local j = pl.jacobian(function(t) return t ^ 3 end, x, {create_graph = true})
  j:sum():backward()
  near(x.grad, {6, 12})
  x.grad = nil
  local _, d = pl.jvp(function(t) return t ^ 3 end, x, pl.ones(2), {create_graph = true})
  d:sum():backward()
  near(x.grad, {6, 12})
  x.grad = nil
  local _, h = pl.hvp(function(t) return (t ^ 3):sum() end, x, pl.ones(2), {create_graph = true})
  h:sum():backward()
  near(x.grad, {6, 6})
end

function T.test_messages()
  local x = pl.ones(3)
  local function fails(text, f, ...)
    lu.assertErrorMsgContains(text, f, ...)
  end
  fails("jacobian: function expected, got nil", pl.jacobian, nil, x)
  fails("jacobian: input: tensor or list of tensors expected, got number", pl.jacobian, pl.exp, 1)
  fails("jacobian: input: tensor or list of tensors expected, got an empty table", pl.jacobian,
        pl.exp, {})
  fails("jacobian: input 2 is a number; real tensor expected", pl.jacobian, pl.mul, {x, 2})
  fails("hessian: input is int32[2]; real tensor expected", pl.hessian, pl.sum,
        pl.tensor({1, 2}, "int32"))
  fails("jacobian: what f gave is a number; real tensor expected", pl.jacobian,
        function() return 1 end, x)
  fails("vjp: result 2 of f is uint8[3]; real tensor expected", pl.vjp,
        function(t) return t, t:gt(0) end, x, {x, x})
  fails("jacobian: f gave nothing; a real tensor expected", pl.jacobian, function() end, x)
  fails("jacobian: nothing that f gave depends on its inputs", pl.jacobian,
        function(t) return t:detach() end, x)
  fails("hessian: f gave real[3]; a tensor of one element expected", pl.hessian, pl.exp, x)
  fails("hvp: f gave 2 tensors; a tensor of one element expected", pl.hvp, two, x, x)
  fails("vjp: f gave real[3]; a vector v is needed", pl.vjp, pl.exp, x)
  fails("vjp: v is real[2] for the result real[3]", pl.vjp, pl.exp, x, pl.ones(2))
  fails("jvp: v is real[2] for the input real[3]", pl.jvp, pl.exp, x, pl.ones(2))
  fails("jvp: 2 vectors for 1 inputs", pl.jvp, pl.exp, x, {x, x})
  fails("jvp: v: tensor or list of tensors expected, got nil", pl.jvp, pl.exp, x)
  fails("hvp: unknown option 'graph'", pl.hvp, pl.sum, x, x, {graph = true})
end

return T
