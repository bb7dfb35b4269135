--- The ops against values and gradients from PyTorch (tests/oracle.py wrote oracle.lua), each
-- with inputs that lie in memory in several ways; and the choices that PyTorch makes otherwise.

local lu = require "luaunit"
local pl = require "perilune"
local cases = require "oracle"

local T = {}
local nan = 0 / 0
local tolerance = pl.real == "double" and 1e-9 or 1e-5

-- Ops that PyTorch does not have; their tests are elsewhere.
local without_oracle = {}

--
-- Layouts: each makes a dense tensor in which a view holds the values, and gives the view
--

local function reversed_dims(t)
  local dims = {}
  for d = t:dim(), 1, -1 do dims[#dims + 1] = d end
  return #dims > 1 and t:permute(dims) or t
end

local function every_second(t)
  if t:dim() == 0 then return t:reshape(1):expand(1):select(1, 1) end
  return t:slice(-1, 1, t:size(-1) // 2, 2)
end

local function backwards(t)
  return t:dim() > 0 and t:flip() or t
end

local function doubled(size)
  local result = table.move(size, 1, #size, 1, {})
  if #size > 0 then result[#size] = 2 * size[#size] end
  return result
end

local function reversed_list(size)
  local result = {}
  for i = #size, 1, -1 do result[#result + 1] = size[i] end
  return result
end

local layouts = {
  {name = "dense", size = function(s) return s end, view = function(t) return t end},
  {name = "transposed", size = reversed_list, view = reversed_dims},
  {name = "every second", size = doubled, view = every_second},
  {name = "backwards", size = function(s) return s end, view = backwards},
}

local function put(tensor, layout)
  local base = pl.zeros(layout.size(tensor.size), tensor.kind)
  if base:numel() > 0 then
    local values = table.move(tensor, 1, #tensor, 1, {})
    layout.view(base):copy_(pl.tensor(values, tensor.kind):reshape(tensor.size))
  end
  return base
end

--
-- Comparing
--

local function same(got, want, limit)
  if want ~= want then return got ~= got end
  return got == want or math.abs(got - want) <= limit * math.max(1, math.abs(want))
end

local function compare(what, got, want, limit)
  lu.assertEquals(got:size(), want.size, what .. ": size")
  lu.assertEquals(got:dtype(), want.kind or "real", what .. ": kind")
  for i, v in ipairs(got:reshape(-1):totable()) do
    if not same(v, want[i], limit or tolerance) then
      lu.fail(("%s: element %d is %.9g, PyTorch has %.9g"):format(what, i, v, want[i]))
    end
  end
end

-- Element i of each real result times cos(i), as in the oracle.
local function weighted(results)
  local total
  for _, y in ipairs(results) do
    if y:dtype() == "real" then
      local n = y:numel()
      local part = (y:reshape(n) * (n > 0 and pl.arange(0, n - 1) or pl.zeros(0)):cos()):sum()
      total = total and total + part or part
    end
  end
  return total
end

-- The signs that the mathematics leave open, as in the oracle: the first element of each column is
-- positive.
local function sign_of_first(columns) return columns:select(-2, 1):unsqueeze(-2):sign():detach() end

local signed = {}
signed["linalg.eigh"] = function(w, v) return {w, v * sign_of_first(v)} end
signed["linalg.svd"] = function(u, s, vh)
  return {u * sign_of_first(u), s, vh * sign_of_first(u):transpose(-2, -1)}
end

--
-- Running a case
--

local function attributes_by_position(row, attrs)
  local list, n = {}, 0
  for i, spec in ipairs(row.attrs) do
    list[i] = attrs[spec.name]
    if list[i] ~= nil then n = i end
  end
  return list, n
end

local function call(row, inputs, attrs, by_position)
  local arguments, n = {table.unpack(inputs)}, #inputs
  local names = #row.inputs
  if row.inputs.variadic then arguments, n, names = {inputs}, 1, 1 end
  if by_position and attrs and n == names then
    local list, count = attributes_by_position(row, attrs)
    table.move(list, 1, count, n + 1, arguments)
    return {row.call(table.unpack(arguments, 1, n + count))}
  end
  arguments[n + 1] = attrs
  return {row.call(table.unpack(arguments, 1, n + 1))}
end

local function wants_gradient(case, i)
  return case.grads and case.grads[i]
end

-- The bases with the values of a case, and the inputs, which are views of them.
local function place(case, layout)
  local bases, inputs = {}, {}
  for i, tensor in ipairs(case.inputs) do
    bases[i] = put(tensor, layout)
    if wants_gradient(case, i) then bases[i]:requires_grad_() end
    inputs[i] = layout.view(bases[i])
  end
  return bases, inputs
end

-- Of second order, where the case has them. They are larger than what they are made of.
local function compare_second(what, case, layout, got, leaves, places)
  local views = {}
  for k in ipairs(places) do views[#views + 1] = got[k] and layout.view(got[k]) or nil end
  local second = pl.grad(weighted(views), leaves)
  for k, i in ipairs(places) do
    if case.second[i] then
      local g = second[k] or pl.zeros(leaves[k]:size())
      compare(("%s: second gradient of input %d"):format(what, i), layout.view(g), case.second[i],
              20 * tolerance)
    end
  end
end

local function compare_gradients(what, case, layout, bases, results, create_graph)
  local leaves, places = {}, {}
  for i in ipairs(case.inputs) do
    if wants_gradient(case, i) then
      leaves[#leaves + 1] = bases[i]
      places[#places + 1] = i
    end
  end
  if #leaves == 0 then return end
  local got = pl.grad(weighted(results), leaves, {create_graph = create_graph, retain_graph = true})
  for k, i in ipairs(places) do
    local g = got[k] or pl.zeros(leaves[k]:size())
    compare(("%s: gradient of input %d"):format(what, i), layout.view(g), case.grads[i])
  end
  if create_graph and case.second then
    compare_second(what, case, layout, got, leaves, places)
  end
end

local function run(case, layout)
  local row = pl.op(case.op)
  local what = ("%s, %s"):format(case.op, layout.name)
  local bases, inputs = place(case, layout)
  local results = call(row, inputs, case.attrs, layout == layouts[1])
  if signed[case.op] and results[1]:numel() > 0 then
    results = signed[case.op](table.unpack(results))
  end
  lu.assertEquals(#results, #case.expected, what .. ": results")
  for k, want in ipairs(case.expected) do
    compare(("%s: result %d"):format(what, k), results[k], want)
  end
  compare_gradients(what, case, layout, bases, results, false)
  compare_gradients(what .. ", with a graph", case, layout, bases, results, true)
  for i, want in pairs(case.changed or {}) do
    compare(("%s: input %d afterwards"):format(what, i), inputs[i], want)
  end
end

local by_op = {}
for _, case in ipairs(cases) do
  by_op[case.op] = by_op[case.op] or {}
  table.insert(by_op[case.op], case)
end

for op, list in pairs(by_op) do
  T["test_" .. op] = function()
    for _, case in ipairs(list) do
      for _, layout in ipairs(layouts) do
        pl.tidy(run, case, layout)
      end
    end
  end
end

function T.test_every_op_has_cases()
  for _, op in ipairs(pl.ops()) do
    lu.assertTrue(by_op[op] ~= nil or without_oracle[op] or false, op)
  end
end

function T.test_functions_are_methods_too()
  for _, op in ipairs(pl.ops()) do
    local space, name = op:match "^(%w+)%.(.*)$"
    if space then
      lu.assertIsFunction(pl[space][name], op)
      for _, owner in ipairs {pl.methods, pl} do
        lu.assertNil(rawget(owner, name) or rawget(owner, space .. "_" .. name), op)
      end
    elseif not pl.op(op).inputs.variadic then
      lu.assertIsFunction(pl.methods[op], op)
    end
  end
end

--
-- Where the first of equals counts, and other choices of Perilune's own
--

local function gradient_of(f, values)
  local x = pl.tensor(values):requires_grad_()
  return pl.grad(f(x):sum(), x)[1]:totable()
end

function T.test_ties_give_the_gradient_to_the_first()
  lu.assertEquals(gradient_of(function(x) return (x:max(1)) end, {1, 3, 3}), {0, 1, 0})
  lu.assertEquals(gradient_of(function(x) return x:amax() end, {3, 3, 1}), {1, 0, 0})
  lu.assertEquals(gradient_of(function(x) return x:amin() end, {3, 1, 1}), {0, 1, 0})
  local a, b = pl.tensor({2}):requires_grad_(), pl.tensor({2}):requires_grad_()
  local g = pl.grad(pl.maximum(a, b), {a, b})
  lu.assertEquals({g[1]:item(), g[2]:item()}, {1, 0})
end

function T.test_gradients_at_the_kinks()
  lu.assertEquals(gradient_of(pl.relu, {0, -1, 1}), {0, 0, 1})
  lu.assertEquals(gradient_of(pl.abs, {0, -2, 2}), {0, -1, 1})
  lu.assertEquals(gradient_of(function(x) return x:clamp(-1, 1) end, {-1, 1, 2}), {1, 1, 0})
end

function T.test_powers_of_zero()
  for _, create_graph in ipairs {false, true} do
    local a = pl.tensor({0, 0, 0, 2}):requires_grad_()
    local b = pl.tensor({0, 1, 2, 3}):requires_grad_()
    local g = pl.grad((a ^ b):sum(), {a, b}, {create_graph = create_graph})
    lu.assertEquals(g[1]:totable(), {0, 1, 0, 12})
    lu.assertAlmostEquals(g[2]:totable()[4], 8 * math.log(2), 1e-5)
    lu.assertEquals(g[2][{{1, 3}}]:totable(), {0, 0, 0})
  end
end

function T.test_relu_keeps_nan()
  lu.assertEquals(tostring(pl.relu(pl.tensor {nan, -1})), "real[2] [nan   0]")
  lu.assertNotEquals(pl.linear(pl.tensor {{nan}}, pl.ones(1, 1), {activation = "relu"}):item(), 0)
end

function T.test_int32_compares_exactly_with_numbers()
  local t = pl.tensor({16777217, -2147483648}, "int32")
  lu.assertEquals(t:eq(16777217):totable(), {1, 0})
  lu.assertEquals(t:eq(16777216):totable(), {0, 0})
  lu.assertEquals(t:lt(0.5):totable(), {0, 1})
  lu.assertEquals(pl.ge(0, t):totable(), {0, 1})
end

function T.test_dropout_statistics()
  pl.manual_seed(3)
  local x = pl.ones(20000):requires_grad_()
  local y = pl.dropout(x, 0.3)
  local kept = y:gt(0):to("real"):mean():item()
  lu.assertAlmostEquals(kept, 0.7, 0.02)
  lu.assertAlmostEquals(y:amax():item(), 1 / 0.7, 1e-5)
  local g = pl.grad(y:sum(), x)[1]
  lu.assertEquals((g - y:detach()):abs():amax():item(), 0) -- the mask is the same
end

function T.test_large_results_on_all_threads()
  local x = pl.rand(300, 400)
  local total = 0
  for _, row in ipairs(x:totable()) do
    for _, v in ipairs(row) do total = total + v end
  end
  lu.assertAlmostEquals(x:sum():item() / total, 1, 1e-6)
  lu.assertAlmostEquals(x:sum(1):sum():item() / total, 1, 1e-5)
  lu.assertAlmostEquals(x:sum(2):sum():item() / total, 1, 1e-5)
  lu.assertAlmostEquals(x:t():mean():item() * 120000 / total, 1, 1e-5)
  local y = (x * 2 + x:t():contiguous():t() - 1):reshape(-1)
  lu.assertEquals((y - (x * 3 - 1):reshape(-1)):abs():amax():item() < 1e-5, true)
end

-- Results of some ops and their gradients, on so many threads.
local function on_threads(n)
  local before = pl.threads()
  pl.threads(n)
  pl.manual_seed(5)
  local x, w = pl.randn(64, 3, 20, 20):requires_grad_(), pl.randn(4, 3, 3, 3):requires_grad_()
  local y = pl.conv2d(x, w)
  local g = pl.grad((y * y):sum(), {x, w})
  local results = {y, y:sum({3, 4}), y:log_softmax(2), x:mean(), x:sum(1), g[1], g[2]}
  pl.threads(before)
  return results
end

local function same_bits(a, b)
  return a:eq(b):all():item() == 1
end

function T.test_gradients_of_binary_cross_entropy_of_nothing()
  for _, size in ipairs {{0, 4}, {3, 0}} do
    for _, reduction in ipairs {"rows", "sum", "none"} do
      local x = pl.zeros(size):requires_grad_()
      local options = {reduction = reduction}
      pl.binary_cross_entropy_with_logits(x, pl.zeros(size), options):sum():backward()
      lu.assertEquals(x.grad:size(), size)
    end
  end
end

function T.test_instance_norm_of_no_channels()
  local x, w = pl.zeros(2, 0, 32, 32), pl.zeros(0):requires_grad_()
  lu.assertErrorMsgContains("instance_norm: a channel needs more than one value", pl.instance_norm,
    x, w)
end

-- Small and large products take different ways to the same result.
function T.test_relu_of_linear_is_zero_below_zero()
  for _, n in ipairs {2, 40, 128} do
    local x, w = pl.full({n, 64}, 1e30), pl.full({n, 64}, -1e30)
    local y = pl.linear(x, w, pl.zeros(n), {activation = "relu"})
    lu.assertEquals(y:abs():amax():item(), 0)
    local z = pl.linear(pl.ones(n, 64), -pl.ones(n, 64), pl.zeros(n), {activation = "relu"})
    lu.assertEquals((1 / z):amin():item(), math.huge) -- 0, not -0
  end
end

function T.test_same_bits_for_any_number_of_threads()
  local one, two = on_threads(1), on_threads(2)
  for i, t in ipairs(one) do lu.assertTrue(same_bits(t, two[i]), "result " .. i) end
end

return T
