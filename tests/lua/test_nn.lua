--- Modules and layers: shapes, parameters, modes, state, names in errors, initial values.

local lu = require "luaunit"
local pl = require "perilune"
local nn = pl.nn

local T = {}
local eq, near, fails = lu.assertEquals, lu.assertAlmostEquals, lu.assertErrorMsgContains

local state
function T.setUp() state = pl.random_state() end
function T.tearDown() pl.set_random_state(state) end

local function names(iterator)
  local list = {}
  for name in iterator do list[#list + 1] = name end
  return list
end

local function lenet()
  return nn.Sequential {
    nn.Conv2d(1, 6, 5, {padding = 2}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 10),
  }
end

--
-- Layers
--

function T.test_shapes()
  local x = pl.rand(2, 3, 9, 8)
  for _, case in ipairs {
    {nn.Linear(8, 5), {2, 3, 9, 5}}, {nn.Linear(8, 5, {bias = false}), {2, 3, 9, 5}},
    {nn.Conv2d(3, 4, 3), {2, 4, 7, 6}}, {nn.Conv2d(3, 4, {3, 2}, {padding = {1, 0}}), {2, 4, 9, 7}},
    {nn.Conv2d(3, 4, 3, {stride = 2, padding = 1, bias = false}), {2, 4, 5, 4}},
    {nn.Conv2d(3, 4, 3, {dilation = {2, 3}}), {2, 4, 5, 2}},
    {nn.ConvTranspose2d(3, 4, 3), {2, 4, 11, 10}},
    {nn.ConvTranspose2d(3, 4, {3, 2}, {stride = 2, padding = {1, 0}}), {2, 4, 17, 16}},
    {nn.ConvTranspose2d(3, 4, 5, {stride = 2, padding = 2, output_padding = 1, bias = false}),
      {2, 4, 18, 16}},
    {nn.ConvTranspose2d(3, 4, 3, {dilation = {2, 3}}), {2, 4, 13, 14}},
    {nn.MaxPool2d(2), {2, 3, 4, 4}}, {nn.MaxPool2d({3, 2}, {stride = 1}), {2, 3, 7, 7}},
    {nn.AvgPool2d(3, {padding = 1}), {2, 3, 3, 3}}, {nn.BatchNorm2d(3), {2, 3, 9, 8}},
    {nn.LayerNorm(8), {2, 3, 9, 8}}, {nn.LayerNorm({9, 8}), {2, 3, 9, 8}},
    {nn.InstanceNorm2d(3, {affine = true}), {2, 3, 9, 8}},
    {nn.Unflatten(3, {3, -1}), {2, 3, 3, 3, 8}}, {nn.Unflatten(-1, {2, 2, 2}), {2, 3, 9, 2, 2, 2}},
    {nn.Dropout(0.2), {2, 3, 9, 8}}, {nn.Flatten(), {2, 216}}, {nn.Flatten(3), {2, 3, 72}},
    {nn.Flatten(1), {432}}, {nn.Identity(), {2, 3, 9, 8}}, {nn.ReLU(), {2, 3, 9, 8}},
    {nn.LeakyReLU(0.2), {2, 3, 9, 8}}, {nn.Tanh(), {2, 3, 9, 8}}, {nn.Sigmoid(), {2, 3, 9, 8}},
    {nn.Softplus(), {2, 3, 9, 8}}, {nn.Softmax(2), {2, 3, 9, 8}}, {nn.LogSoftmax(), {2, 3, 9, 8}},
  } do
    eq(case[1](x):size(), case[2], tostring(case[1]))
  end
end

function T.test_descriptions()
  for text, layer in pairs {
    ["Linear(2, 3)"] = nn.Linear(2, 3),
      ["Linear(2, 3, bias=false)"] = nn.Linear(2, 3, {bias = false}),
    ["Conv2d(1, 6, 5, padding=2)"] = nn.Conv2d(1, 6, 5, {padding = 2}),
    ["Conv2d(1, 2, {3, 1}, stride={1, 2})"] = nn.Conv2d(1, 2, {3, 1}, {stride = {1, 2}}),
    ["ConvTranspose2d(4, 2, 5, stride=2, padding=2, output_padding=1)"] =
      nn.ConvTranspose2d(4, 2, 5, {stride = 2, padding = 2, output_padding = 1}),
    ["MaxPool2d(2)"] = nn.MaxPool2d(2), ["MaxPool2d(3, stride=2)"] = nn.MaxPool2d(3, {stride = 2}),
    ["LayerNorm(4)"] = nn.LayerNorm(4),
    ["LayerNorm({4, 2}, elementwise_affine=false)"] =
      nn.LayerNorm({4, 2}, {elementwise_affine = false}),
    ["InstanceNorm2d(4)"] = nn.InstanceNorm2d(4),
    ["InstanceNorm2d(4, affine=true)"] = nn.InstanceNorm2d(4, {affine = true}),
    ["Unflatten(2, {4, 2, 2})"] = nn.Unflatten(2, {4, 2, 2}),
    ["BatchNorm2d(4)"] = nn.BatchNorm2d(4), ["Dropout(0.5)"] = nn.Dropout(),
      ["Flatten()"] = nn.Flatten(),
    ["LeakyReLU(0.2)"] = nn.LeakyReLU(0.2), ["Softmax(-1)"] = nn.Softmax(),
    ["BCEWithLogitsLoss()"] = nn.BCEWithLogitsLoss(),
    ["BCEWithLogitsLoss(reduction=sum)"] = nn.BCEWithLogitsLoss {reduction = "sum"},
    ["CrossEntropyLoss(label_smoothing=0.1)"] = nn.CrossEntropyLoss {label_smoothing = 0.1},
  } do
    eq(layer:signature(), text)
  end
  local text = tostring(nn.Sequential {nn.Linear(1000, 2), nn.ReLU()})
  eq(text, "Sequential(), 2,002 parameters\n"
    .. "  1  Linear(1000, 2)  bias [2], weight [2,1000]  2,002\n  2  ReLU()")
end

function T.test_own_parameters_are_printed()
  local Scale = nn.class "Scale"
  function Scale:init(n) self.factor, self.more = nn.parameter(pl.ones(n)), {nn.parameter(pl.ones(2))} end
  eq(tostring(Scale(10)), "Scale()  factor [10], more.1 [2]")
  eq(tostring(nn.Linear(4, 8)), "Linear(4, 8)  bias [8], weight [8,4]")
  eq(tostring(nn.ReLU()), "ReLU()")
  local net = Scale(3)
  net.inner, net.itself = nn.Linear(2, 1), net
  eq(tostring(net), "Scale(), 8 parameters\n  factor  parameter     [3]                     3\n"
    .. "  more.1  parameter     [2]                     2\n"
    .. "  inner   Linear(2, 1)  bias [1], weight [1,2]  3")
end

function T.test_linear_is_a_product()
  local layer, x = nn.Linear(3, 2), pl.rand(4, 3)
  local want = pl.matmul(x, layer.weight:t()) + layer.bias
  near((layer(x) - want):abs():amax():item(), 0, 1e-6)
end

-- How often a network calls an op by itself.
local function calls_of(op, net, x)
  pl.profile.start()
  net(x)
  local calls = 0
  for _, row in ipairs(pl.profile.stop().ops) do
    if row.name == op then calls = calls + row.calls end
  end
  return calls
end

function T.test_sequential_fuses_tanh_and_sigmoid()
  for op, Activation in next, {tanh = nn.Tanh, sigmoid = nn.Sigmoid} do
    pl.manual_seed(1)
    local layers = {nn.Conv2d(1, 3, 3), Activation(), nn.MaxPool2d(2), nn.ConvTranspose2d(3, 2, 2),
      Activation(), nn.BatchNorm2d(2), Activation(), nn.Flatten(), nn.Linear(32, 4), Activation()}
    local net, x = nn.Sequential(layers), pl.randn(5, 1, 8, 8):requires_grad_()
    local function one_by_one(y)
      for _, layer in ipairs(layers) do y = layer(y) end
      return y
    end
    eq({calls_of(op, net, x), calls_of(op, one_by_one, x)}, {0, 4})
    local a, b, inputs = net(x), one_by_one(x), net:parameters()
    near((a - b):abs():amax():item(), 0, 1e-6)
    inputs[#inputs + 1] = x
    local g, h = pl.grad(a:square():sum(), inputs), pl.grad(b:square():sum(), inputs)
    for i = 1, #inputs do near((g[i] - h[i]):abs():amax():item(), 0, 1e-5) end
  end
end

function T.test_sequential_fuses_activations()
  pl.manual_seed(1)
  local plain = {nn.ConvTranspose2d(1, 2, 2), nn.LeakyReLU(0.2), nn.Conv2d(2, 3, 4), nn.ReLU(),
    nn.BatchNorm2d(3), nn.LeakyReLU(0.3), nn.Flatten(), nn.Linear(12, 4),
    nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2), nn.LeakyReLU(0)}
  local net, x = nn.Sequential(plain), pl.randn(5, 1, 4, 4):requires_grad_()
  local function one_by_one()
    local y = x
    for _, layer in ipairs(plain) do y = layer(y) end
    return y
  end
  local a, b = net(x), one_by_one()
  near((a - b):abs():amax():item(), 0, 1e-5)
  local g, h = pl.grad(a:square():sum(), x)[1], pl.grad(b:square():sum(), x)[1]
  near((g - h):abs():amax():item(), 0, 1e-4)
end

-- Pooling is fused where its windows are square and lie side by side.
function T.test_sequential_fuses_pooling()
  pl.manual_seed(2)
  local plain = {nn.Conv2d(1, 4, 5, {padding = 2}), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(4, 5, 3), nn.MaxPool2d(3, {stride = 2}), nn.BatchNorm2d(5), nn.LeakyReLU(0.3),
    nn.MaxPool2d {2, 2}, nn.Conv2d(5, 2, 1), nn.MaxPool2d {1, 2}}
  local net, x = nn.Sequential(plain), pl.randn(3, 1, 28, 30):requires_grad_()
  local function one_by_one()
    local y = x
    for _, layer in ipairs(plain) do y = layer(y) end
    return y
  end
  eq({calls_of("max_pool2d", net, x), calls_of("max_pool2d", one_by_one, x)}, {2, 4})
  net:train()
  local a, b = net(x), one_by_one()
  near((a - b):abs():amax():item(), 0, 1e-5)
  local inputs = net:parameters()
  inputs[#inputs + 1] = x
  local g, h = pl.grad(a:square():sum(), inputs), pl.grad(b:square():sum(), inputs)
  for i = 1, #inputs do near((g[i] - h[i]):abs():amax():item(), 0, 1e-3) end
  net:eval()
  near((net(x) - one_by_one()):abs():amax():item(), 0, 1e-5)
end

-- What a derived class does is not passed over.
function T.test_sequential_leaves_derived_layers_alone()
  local Nothing = nn.class("Nothing", nn.MaxPool2d)
  function Nothing:forward(x) return nn.MaxPool2d.forward(self, x) * 0 end
  local Plain = nn.class("Plain", nn.Conv2d)
  function Plain:forward(x) return pl.conv2d(x, self.weight, self.bias) end
  local x = pl.rand(1, 1, 8, 8)
  eq(nn.Sequential {nn.Conv2d(1, 1, 3), Nothing(2)}(x):abs():sum():item(), 0)
  eq(nn.Sequential {Plain(1, 1, 3), nn.ReLU(), nn.MaxPool2d(2)}(x):size(), {1, 1, 3, 3})
  eq(nn.Sequential {nn.Conv2d(1, 1, 3), nn.LeakyReLU(-0.1)}(x):size(), {1, 1, 6, 6})
  local count
  local Counting = nn.class "Counting"
  function Counting:forward(...)
    count = select("#", ...)
    return (...)
  end
  nn.Sequential {Counting()}(x)
  eq(count, 1)
end

-- What is computed in one pass is settled once; these are the changes that it must notice.
local function chain()
  local layers = {nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.LeakyReLU(0.2), nn.MaxPool2d(2)}
  local net, x = nn.Sequential(layers), pl.rand(2, 1, 6, 6)
  net:eval()
  local function agrees(what)
    local y = x
    for _, layer in ipairs(net) do y = layer(y) end
    near((net(x) - y):abs():amax():item(), 0, 1e-5, what)
  end
  agrees "at first"
  return net, x, agrees
end

-- Layers that are all ops are computed without Lua in between, each as it is at the time.
local function ops_alone()
  local net = nn.Sequential {
    nn.Linear(6, 8), nn.LayerNorm(8), nn.LeakyReLU(0.2), nn.Linear(8, 4), nn.Tanh(), nn.LogSoftmax()}
  local x = pl.randn(3, 6)
  local function agrees(what)
    local y = x
    for _, layer in ipairs(net) do y = layer(y) end
    for _ = 1, 2 do near((net(x) - y):abs():amax():item(), 0, 1e-5, what) end
    assert(net._plan.chain, what)
  end
  agrees "at first"
  return net, x, agrees
end

function T.test_a_chain_notices_what_its_layers_are()
  local net, _, agrees = ops_alone()
  net[3].slope = 0.7
  agrees "another slope"
  net[3].slope = -0.5
  agrees "a slope that no op computes on the way"
  net[1].weight = nn.parameter(pl.randn(8, 6))
  agrees "another weight"
  net[1].bias = nil
  agrees "no bias"
  pl.no_grad(function() net[4].weight:fill_(0.5) end)
  agrees "other values"
  net[6].dim = 1
  agrees "another dim"
  net[#net + 1] = nn.Softplus()
  agrees "one more"
  net[2] = nn.ReLU()
  agrees "another one"
end

function T.test_a_chain_is_left_where_lua_is_asked_for()
  local net, x = ops_alone()
  net[4].forward = function(_, y) return y * 0 end
  near((net(x):exp() - 1 / 8):abs():amax():item(), 0, 1e-6)
  net[4].forward, net[1].weight = nil, "words"
  fails("linear: weight: tensor expected, got 'words' (in Sequential.1 Linear)", net, x)
  net[1].weight = nil
  fails("weight: tensor expected, got nil (in Sequential.1 Linear)", net, x)
  local seen = {}
  local whole = ops_alone()
  require("perilune.nn.module").watch(function(layer) seen[#seen + 1] = layer end, function() end)
  whole(x)
  require("perilune.nn.module").watch(nil)
  eq(#seen, 6)
end

function T.test_a_chain_has_gradients()
  local net, x = ops_alone()
  local function gradients(f)
    net:zero_grad()
    local loss = (f(x) ^ 2):sum()
    loss:backward()
    local list = {}
    for name, p in net:named_parameters() do list[name] = p.grad:clone() end
    return list
  end
  local chained = gradients(net)
  local plain = gradients(function(y)
    for _, layer in ipairs(net) do y = layer(y) end
    return y
  end)
  for name, g in next, plain do near((chained[name] - g):abs():amax():item(), 0, 1e-5, name) end
end

function T.test_links_that_are_none_are_refused()
  local made = require("perilune.core").chain
  fails("", made.new, {1})
  fails("", made.new, {{layer = io.stdout}})
  fails("", made.new, {{layer = {}, op = "no_such_op"}})
  fails("reshape: size is missing", made.new, {{layer = {}, op = "reshape"}})
  fails("perilune.chain expected", made.run, io.stdout, {}, pl.ones(1))
  eq(made.run(made.new {}, {}, 1), nil)
  local spoilt = nn.Sequential {nn.ReLU()}
  spoilt(pl.ones(1))
  spoilt._plan.chain = io.stdout
  fails("", spoilt, pl.ones(1))
end

-- A field may be given by a function, which may change what was looked at before.
function T.test_a_chain_whose_layers_change_while_it_looks()
  local made, instead = require("perilune.core").chain, nil
  local first, second = {other = pl.ones(3)}, {}
  local net = {first, second}
  setmetatable(second, {__index = function()
    if instead ~= nil then net[1] = instead end
    return 5
  end})
  local chain_of_two = made.new {
    {layer = first, op = "add", operands = {"other"}}, {layer = second, fields = {"x"}, op = "neg"},
  }
  eq(made.run(chain_of_two, net, pl.ones(3)):totable(), {-2, -2, -2})
  for _, value in ipairs {false, 5, "layer", print, {{}}, net} do
    instead, net[1] = value, first
    eq(made.run(chain_of_two, net, pl.ones(3)), nil)
  end
end

function T.test_a_plan_notices_other_layers()
  local net, _, agrees = chain()
  net[3] = nn.ReLU()
  agrees "another activation"
  net[1] = nn.Conv2d(1, 3, 1)
  agrees "another head"
  net[4] = nil
  agrees "one less"
  table.insert(net, 2, nn.Tanh())
  agrees "one more in between"
  net[#net + 1] = nn.MaxPool2d(2)
  agrees "one more at the end"
  net[2], net[3] = net[3], net[2]
  agrees "another order"
  for i = #net, 1, -1 do net[i] = nil end
  agrees "none"
end

function T.test_a_plan_notices_what_layers_do()
  local net, x, agrees = chain()
  net[3].slope = 0.7
  agrees "another slope"
  net[3].slope = -0.7
  agrees "a slope that cannot be fused"
  net[3].slope = 0.1
  agrees "and one that can"
  local seen = 0
  net[3].forward = function(self, y)
    seen = seen + 1
    return nn.LeakyReLU.forward(self, y) + 1
  end
  net(x)
  agrees "a hook"
  eq(seen, 3)
  net[3].forward = nil
  agrees "no hook"
  eq(seen, 3)
  net[2].weight = nn.parameter(pl.rand(3))
  agrees "another weight"
end

function T.test_a_plan_notices_the_mode()
  local net, x = chain()
  local before = net[2].running_mean:clone()
  net(x)
  eq(net[2].running_mean:totable(), before:totable())
  net:train()(x)
  lu.assertNotEquals(net[2].running_mean:totable(), before:totable())
  before = net[2].running_mean:clone()
  net[2]:eval()
  net(x)
  eq(net[2].running_mean:totable(), before:totable())
end

function T.test_a_plan_is_made_once()
  local net, x = chain()
  local plan = net._plan
  net(x)
  net:train()(x)
  pl.profile.start()
  net(x)
  pl.profile.stop()
  lu.assertIs(net._plan, plan)
  net[4] = nn.MaxPool2d(3)
  net(x)
  lu.assertNotIs(net._plan, plan)
end

-- A module that stands twice in a list, and one list in two places.
function T.test_a_plan_of_shared_layers()
  local relu, x = nn.ReLU(), pl.randn(3, 2)
  local inner = nn.Sequential {nn.Linear(2, 2), relu}
  local net = nn.Sequential {inner, relu, inner, nn.Linear(2, 2), relu}
  near((net(x) - net[4](inner(inner(x))):relu()):abs():amax():item(), 0, 1e-6)
end

function T.test_batch_norm_modes()
  local layer, x = nn.BatchNorm1d(2, {momentum = 0.5}), pl.tensor {{1, 10}, {3, 30}}
  local y = layer(x)
  near(y:mean():item(), 0, 1e-5)
  for i, v in ipairs {1, 10} do near(layer.running_mean[i], v, 1e-5) end
  for i, v in ipairs {0.5 + 1, 0.5 + 100} do near(layer.running_var[i], v, 1e-4) end
  layer:eval()
  near(layer(x)[{1, 1}]:item(), (1 - 1) / math.sqrt(1.5), 1e-5)
  near(layer(x)[{2, 2}]:item(), 20 / math.sqrt(100.5), 1e-3)
  eq({layer.running_mean[1]}, {1})
  eq(layer(pl.ones(1, 2)):size(), {1, 2}) -- one row is enough now
  eq(#nn.BatchNorm1d(2, {affine = false}):parameters(), 0)
end

function T.test_dropout_modes()
  pl.manual_seed(1)
  local layer, x = nn.Dropout(0.4), pl.ones(5000)
  near(layer(x):eq(0):to("real"):mean():item(), 0.4, 0.04)
  eq(layer:eval()(x) == x, true)
  eq(layer:train()(x) == x, false)
  eq(nn.Dropout(0)(x) == x, true)
end

function T.test_losses()
  local x, y = pl.tensor {{0, 0}, {0, 0}}, pl.tensor({1, 2}, "int32")
  near(nn.CrossEntropyLoss()(x, y):item(), math.log(2), 1e-6)
  near(nn.CrossEntropyLoss({label_smoothing = 0.2})(x, y):item(), math.log(2), 1e-6)
  eq(nn.MSELoss()(x, x + 2):item(), 4)
end

-- What is left out of a loss is left out of its op; tensors are buffers, and move with the module.
function T.test_options_of_losses()
  local x, y = pl.tensor {{0, 1, 2}, {2, 0, 1}}, pl.tensor({1, 3}, "int32")
  local w = pl.tensor {1, 2, 3}
  local loss = nn.CrossEntropyLoss {weight = w, ignore_index = 3, reduction = "sum"}
  near(loss(x, y):item(), pl.cross_entropy(x, y, w, 0, 3, "sum"):item(), 1e-6)
  near(pl.cross_entropy(x, y, {weight = w, ignore_index = 3, reduction = "sum"}):item(),
    -x:log_softmax(2):totable()[1][1], 1e-6)
  eq(loss:signature(), "CrossEntropyLoss(ignore_index=3, reduction=sum)")
  local buffer, kept = loss:named_buffers()()
  eq({buffer, kept == w}, {"weight", true})
  local target = pl.tensor {{1, 0, 0.5}, {0, 1, 0.5}}
  near(nn.BCEWithLogitsLoss {pos_weight = w}(x, target):item(),
    pl.binary_cross_entropy_with_logits(x, target, nil, w):item(), 1e-6)
  fails("cross_entropy: weight is given twice",
    function() pl.cross_entropy(x, y, w, {weight = w}) end)
  fails("cross_entropy: weight: tensor expected, got 1",
    function() pl.cross_entropy(x, y, {weight = 1}) end)
  for name, options in next, {
    NLLLoss = {ignore_index = 2}, L1Loss = {reduction = "sum"}, SmoothL1Loss = {beta = 2},
    HuberLoss = {delta = 2}, KLDivLoss = {log_target = true},
  } do
    local made = nn[name](options)
    eq(made(x, name == "NLLLoss" and y or x * 2):size(), {})
    local key, value = next(options)
    eq(made:signature(), ("%s(%s=%s)"):format(name, key, value))
  end
  near(nn.BCELoss()(target * 0.5, target):item(),
    pl.binary_cross_entropy(target * 0.5, target):item(), 1e-6)
  eq(nn.TripletMarginLoss {margin = 2}(x, x, x):item(), 2)
end

-- The gradient of a probability that is certain, and wrong, is limited as PyTorch's is.
function T.test_certain_probabilities()
  local p = pl.tensor({0, 1, 0, 1}):requires_grad_()
  pl.binary_cross_entropy(p, pl.tensor {1, 0, 0, 1}, {reduction = "sum"}):backward()
  local g = p.grad:totable()
  near(g[1] / 1e12, -1, 1e-5)
  near(g[2] / 1e12, 1, 1e-5)
  eq({g[3], g[4]}, {0, 0})
end

-- What does not count may be anything.
function T.test_ignored_logits_may_be_nan()
  local nan = 0 / 0
  for _, more in ipairs {{}, {weight = pl.ones(2)}, {label_smoothing = 0.1}} do
    for _, create_graph in ipairs {false, true} do
      local x = pl.tensor({{nan, 1}, {0, 0}}):requires_grad_()
      more.ignore_index = 1
      local y = pl.cross_entropy(x, pl.tensor({1, 2}, "int32"), more)
      near(y:item(), math.log(2), 1e-6)
      local g = pl.grad(y, {x}, {create_graph = create_graph})[1]:totable()
      eq(g[1], {0, 0})
      near(g[2][1], more.label_smoothing and 0.45 or 0.5, 1e-6)
    end
  end
end

function T.test_binary_cross_entropy()
  local x, y = pl.tensor {{0, 3}, {-1, 0}}, pl.tensor {{1, 0.5}, {0, 0.25}}
  local rows = nn.BCEWithLogitsLoss {reduction = "rows"}(x, y):totable()
  near(rows[1], math.log(2) + math.log(1 + math.exp(3)) - 1.5, 1e-6)
  near(rows[2], math.log(1 + math.exp(-1)) + math.log(2), 1e-6)
  near(nn.BCEWithLogitsLoss()(x, y):item(), (rows[1] + rows[2]) / 4, 1e-6)
  near(nn.BCEWithLogitsLoss {reduction = "sum"}(x, y):item(), rows[1] + rows[2], 1e-6)
  eq(nn.BCEWithLogitsLoss {reduction = "none"}(x, y):size(), {2, 2})
end

-- Also of one row that is longer than the pieces in which sums are made.
function T.test_binary_cross_entropy_of_huge_logits()
  local x = pl.tensor({1000, -1000, 1000, -1000}):requires_grad_()
  local y = pl.tensor {1, 0, 0, 1}
  local loss = pl.binary_cross_entropy_with_logits(x, y, {reduction = "none"})
  eq(loss:totable(), {0, 0, 1000, 1000})
  loss:sum():backward()
  eq(x.grad:totable(), {0, 0, 1, -1})
  near(pl.binary_cross_entropy_with_logits(pl.tensor(30), pl.tensor(1)):item() * 1e13, 0.93576, 1e-3)
  local long = pl.full({1, 10007}, -1000)
  for _, reduction in ipairs {"sum", "rows"} do
    eq(pl.binary_cross_entropy_with_logits(long, long * 0 + 1, {reduction = reduction})
      :sum():item(), 10007000)
  end
  eq(pl.binary_cross_entropy_with_logits(pl.zeros(0, 3), pl.zeros(0, 3), "rows"):size(), {0})
end

function T.test_gaussian()
  local mean, log_var = pl.tensor {{0, 2}, {-1, 0}}, pl.tensor {{0, 0}, {math.log(4), -1}}
  local kl = nn.gaussian.kl_divergence(mean, log_var):totable()
  near(kl[1][1], 0, 1e-6)
  near(kl[1][2], 2, 1e-6)
  near(kl[2][1], (1 + 4 - math.log(4) - 1) / 2, 1e-6)
  near(kl[2][2], math.exp(-1) / 2, 1e-6)
  pl.manual_seed(1)
  local many = nn.gaussian.rsample(mean:reshape(1, 2, 2):expand(20000, 2, 2):contiguous(),
                                   log_var:reshape(1, 2, 2):expand(20000, 2, 2):contiguous())
  local m, v = many:mean(1), many:var(1)
  lu.assertTrue((m - mean):abs():amax():item() < 0.05)
  lu.assertTrue((v / pl.exp(log_var) - 1):abs():amax():item() < 0.05)
end

-- d/dm E (m + s e)^2 = 2 m, d/d log s^2 E (m + s e)^2 = s^2
function T.test_gradients_flow_through_a_sample()
  pl.manual_seed(2)
  local mean = pl.full({20000}, 1.5):requires_grad_()
  local log_var = pl.full({20000}, math.log(0.49)):requires_grad_()
  nn.gaussian.rsample(mean, log_var):square():sum():backward()
  near(mean.grad:mean():item(), 3, 0.03)
  near(log_var.grad:mean():item(), 0.49, 0.03)
end

--
-- Parameters and modes
--

function T.test_parameters_in_order()
  local net = nn.module {
    b = nn.Linear(1, 1), a = nn.Linear(1, 2, {bias = false}), scale = nn.parameter(pl.ones(1)),
    list = {nn.Linear(1, 1), nn.BatchNorm1d(1)}, _hidden = pl.ones(1):requires_grad_(),
    shift = pl.zeros(1), forward = function() end,
  }
  eq(names(net:named_parameters()),
     {"a.weight", "b.bias", "b.weight", "list.1.bias", "list.1.weight", "list.2.bias",
      "list.2.weight", "scale"})
  eq(names(net:named_buffers()), {"list.2.running_mean", "list.2.running_var", "shift"})
  eq(names(net:named_modules()), {"a", "b", "list.1", "list.2"})
  eq({#net:parameters(), #net:buffers(), #net:modules()}, {8, 3, 5})
  eq(net:parameter_count(), 2 + 2 + 2 + 2 + 1)
end

function T.test_shared_layers_count_once()
  local shared = nn.Linear(2, 2)
  local net = nn.Sequential {shared, nn.Tanh(), shared}
  eq(#net:parameters(), 2)
  eq(names(net:named_parameters()), {"1.bias", "1.weight"})
  local x = pl.ones(1, 2)
  net(x):sum():backward()
  lu.assertNotNil(shared.weight.grad)
end

function T.test_lenet()
  local net = lenet()
  eq(net:parameter_count(), 6 * 25 + 6 + 16 * 150 + 16 + 48000 + 120 + 1210)
  local y = net(pl.rand(3, 1, 28, 28))
  eq(y:size(), {3, 10})
  pl.cross_entropy(y, pl.tensor({1, 5, 10}, "int32")):backward()
  for name, p in net:named_parameters() do
    eq(p.grad:size(), p:size(), name)
    lu.assertTrue(p.grad:abs():sum():item() > 0, name)
  end
  net:zero_grad()
  for _, p in net:named_parameters() do eq(p.grad, nil) end
end

function T.test_train_and_eval_reach_all()
  local net = nn.module {inner = nn.Sequential {nn.Dropout()}, forward = function() end,
    list = {{nn.BatchNorm1d(1)}}}
  net:eval()
  eq({net.training, net.inner.training, net.inner[1].training, net.list[1][1].training},
     {false, false, false, false})
  net:train()
  eq({net.training, net.inner[1].training}, {true, true})
end

function T.test_freezing()
  local net = nn.Sequential {nn.Linear(2, 2), nn.Linear(2, 1)}
  net[1]:requires_grad_(false)
  eq(#net:parameters(), 4) -- they stay parameters
  net(pl.ones(1, 2)):sum():backward()
  eq(net[1].weight.grad, nil)
  lu.assertNotNil(net[2].weight.grad)
  net[1]:requires_grad_()
  eq(net[1].weight.requires_grad, true)
  net[1].bias:requires_grad_(false) -- one alone
  eq(#net:parameters(), 4)
end

function T.test_apply()
  local seen = {}
  nn.Sequential({nn.ReLU(), nn.Tanh()}):apply(function(m) seen[#seen + 1] = m:signature() end)
  eq(seen, {"ReLU()", "Tanh()", "Sequential()"})
end

function T.test_classes()
  local Scale = nn.class "Scale"
  function Scale:init(n) self.factor = nn.parameter(pl.full({n}, 3)) end
  function Scale:forward(x) return x * self.factor end
  local Twice = nn.class("Twice", Scale)
  function Twice:forward(x) return Scale.forward(self, x) * 2 end
  local layer = Twice(2)
  eq(layer(pl.ones(2)):totable(), {6, 6})
  eq({nn.is_module(layer), nn.is_module(Scale), nn.is_module {}, nn.is_module(pl.ones(1))},
     {true, false, false, false})
  eq(layer:signature(), "Twice()")
  eq(#layer:parameters(), 1)
end

--
-- State
--

function T.test_state_dict()
  local a, b = lenet(), lenet()
  local x = pl.rand(2, 1, 28, 28)
  b:load_state_dict(a:state_dict())
  eq(a(x):eq(b(x)):all():item(), 1)
  eq(b[1].weight.requires_grad, true)
  local s = a:state_dict()
  eq(s["1.weight"].requires_grad, false)
  s["1.weight"]:fill_(7) -- not a copy
  eq(a[1].weight[{1, 1, 1, 1}]:item(), 7)
end

function T.test_states_that_do_not_fit()
  local net = nn.Sequential {nn.Linear(2, 3)}
  local before = net[1].weight:totable()
  local function load(change)
    local s = net:state_dict()
    for k, v in pairs(s) do s[k] = v + 1 end
    change(s)
    net:load_state_dict(s)
  end
  fails("load_state_dict: the state is not one of this Sequential: missing 1.bias", load,
        function(s) s["1.bias"] = nil end)
  fails("missing 1.bias; unexpected 2.bias", load, function(s) s["1.bias"], s["2.bias"] = nil,
        s["1.bias"] end)
  fails("other shapes: 1.weight ([3,2] here, [2,3] there)", load,
        function(s) s["1.weight"] = s["1.weight"]:t() end)
  fails("missing 1.bias", load, function(s) s["1.bias"] = 5 end)
  fails("load_state_dict: table of tensors expected, got nil", net.load_state_dict, net)
  eq(net[1].weight:totable(), before)
end

--
-- Errors name the place in the network
--

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  eq(ok, false)
  return message
end

function T.test_errors_name_the_layer()
  local net = nn.Sequential {nn.Linear(4, 3), nn.Sequential {nn.Tanh(), nn.Linear(5, 2)}}
  local message = message_of(function() return net(pl.ones(1, 4)) end)
  lu.assertStrMatches(message, ".*test_nn.lua:%d+: linear: x is real%[1,3%], weight real%[2,5%]: "
    .. "3 inputs against 5 %(in Sequential%.2%.2 Linear%(5, 2%)%)")
  lu.assertStrContains(message_of(net[1], pl.ones(1, 2)), "(in Linear(4, 3))")
  net.name = "Net"
  lu.assertStrContains(message_of(net, pl.ones(1, 4)), "(in Net.2.2 Linear(5, 2))")
  -- a network that failed works afterwards, and so does another
  lu.assertStrContains(message_of(net, pl.ones(1, 4)), "(in Net.2.2 Linear(5, 2))")
  eq(net[1](pl.ones(1, 4)):size(), {1, 3})
end

-- A module that failed where the failure was caught is not where the next one happens.
function T.test_errors_after_one_that_was_caught()
  local net = nn.module {
    flaky = nn.Linear(3, 1), lin = nn.Linear(2, 2), name = "Net",
    forward = function(self, x)
      pcall(self.flaky, x)
      return self.lin(self.lin(x):t())
    end,
  }
  lu.assertStrContains(message_of(net, pl.ones(3, 2)), "(in Net.lin Linear(2, 2))")
end

function T.test_arguments_that_nobody_reads_are_refused()
  fails("MSELoss: reduction: mean, sum or none expected, got rows", function() nn.MSELoss {reduction = "rows"} end)
  fails("BCELoss: weight: tensor expected, got number", function() nn.BCELoss {weight = 2} end)
  fails("Softplus: no arguments expected", function() nn.Softplus(5) end)
  fails("ReLU: no arguments expected", function() nn.ReLU {} end)
  fails("Flatten: one argument expected", function() nn.Flatten(2, 3) end)
  fails("Flatten: from: dimension expected, got 1.5", function() nn.Flatten(1.5) end)
  fails("Dropout: one argument expected, p", function() nn.Dropout(0.3, {}) end)
  fails("Sequential: list of modules expected", function() nn.Sequential({}, {}) end)
end

function T.test_lists_of_layers_have_no_gaps()
  local a, b = nn.Tanh(), nn.Sigmoid()
  fails("Sequential: layer 2 is a nil; module expected", function() nn.Sequential {a, nil, b} end)
  fails("Sequential: layer 'a': a list has no names", function() nn.Sequential {a = a} end)
end

-- What a forward keeps of its results is neither trained nor saved.
function T.test_activations_in_fields()
  local net = nn.module {layer = nn.Linear(2, 2), forward = function(self, x)
    self.features = self.layer(x)
    return self.features:sum()
  end}
  net(pl.ones(1, 2))
  eq(names(net:named_parameters()), {"layer.bias", "layer.weight"})
  eq(#net:buffers(), 0)
  eq(net:state_dict().features, nil)
  pl.tidy(function() net(pl.ones(1, 2)) end)
  fails("the field features holds a tensor that was released", net.state_dict, net)
end

function T.test_errors_that_are_no_texts_pass()
  local net = nn.module {forward = function() error({code = 5}) end}
  eq(message_of(net).code, 5)
  local quiet = nn.module {forward = function() error("my text", 0) end}
  eq(message_of(quiet), "my text (in Module())")
end

function T.test_errors_in_the_users_own_forward()
  local net = nn.module {layer = nn.Linear(2, 1),
                         forward = function(self, x) return self.layer(x) + self.none end}
  lu.assertStrMatches(message_of(net, pl.ones(1, 2)), ".*test_nn.lua:%d+: .*in Module%(%)%)")
  fails("Module has no forward function", nn.Module.forward, setmetatable({}, nn.Module))
end

--
-- Initial values
--

function T.test_initial_values_are_pytorchs()
  pl.manual_seed(1)
  local layer = nn.Linear(400, 300)
  local bound = 1 / 20
  for _, t in ipairs {layer.weight, layer.bias} do
    lu.assertTrue(t:detach():abs():amax():item() <= bound)
  end
  near(layer.weight:detach():square():mean():item(), bound ^ 2 / 3, 2e-5)
  local conv = nn.Conv2d(4, 50, {5, 3})
  lu.assertTrue(conv.weight:detach():abs():amax():item() <= 1 / math.sqrt(60))
  near(conv.weight:detach():square():mean():item(), 1 / 180, 5e-4)
  local back = nn.ConvTranspose2d(50, 4, {5, 3})
  eq(back.weight:size(), {50, 4, 5, 3})
  eq(back.bias:size(), {4})
  lu.assertTrue(back.bias:detach():abs():amax():item() <= 1 / math.sqrt(60))
  near(back.weight:detach():square():mean():item(), 1 / 180, 5e-4)
end

function T.test_dcgan_initialiser()
  pl.manual_seed(1)
  local net = nn.Sequential {
    nn.ConvTranspose2d(20, 30, 5), nn.BatchNorm2d(400), nn.Linear(100, 60), nn.LayerNorm({20, 20}),
    nn.InstanceNorm2d(400, {affine = true}),
  }
  lu.assertIs(nn.init.dcgan_(net), net)
  for i, mean in ipairs {0, 1, 0, 1, 1} do
    local w = net[i].weight:detach()
    near(w:mean():item(), mean, 6 * 0.02 / math.sqrt(w:numel()))
    near((w - mean):square():mean():sqrt():item(), 0.02, 0.003)
    eq(net[i].bias:detach():abs():sum():item(), 0)
  end
  fails("dcgan_: module expected, got number", nn.init.dcgan_, 1)
end

-- Without weight and bias the mean of what comes out is 0, its variance 1, over the right dims.
function T.test_normalisations()
  pl.manual_seed(2)
  local x = pl.randn(3, 4, 5, 6) * 3 + 2
  local function check_standard(y, dims)
    lu.assertTrue(y:mean(dims):abs():amax():item() < 1e-5)
    lu.assertTrue((y:square():mean(dims) - 1):abs():amax():item() < 1e-4)
  end
  check_standard(nn.LayerNorm({5, 6}, {elementwise_affine = false})(x), {3, 4})
  check_standard(nn.LayerNorm({4, 5, 6})(x):detach(), {2, 3, 4})
  check_standard(nn.InstanceNorm2d(4)(x), {3, 4})
  local layer = nn.InstanceNorm2d(4, {affine = true})
  layer.weight:detach():fill_(0)
  layer.bias:detach():fill_(7)
  eq(layer(x):detach():sub(7):abs():amax():item(), 0)
  fails("InstanceNorm2d: images [N,4,height,width] expected, got [3,5,5,6]", nn.InstanceNorm2d(4),
    pl.ones(3, 5, 5, 6))
  fails("LayerNorm: normalized_shape: integer or list of integers expected, got an empty list",
    nn.LayerNorm, {})
  fails("Unflatten: there is no dim 5 in [3,4]", nn.Unflatten(5, {1}), pl.ones(3, 4))
end

function T.test_initialisers()
  pl.manual_seed(1)
  local function spread(t) return t:mean():item(), t:square():mean():item() end
  local w = pl.zeros(300, 200)
  local function variance(want, name, ...)
    local mean, square = spread(nn.init[name](w, ...))
    near(mean, 0, 6 * math.sqrt(want / 60000))
    near(square, want, want * 0.04)
  end
  variance(2 / 200, "kaiming_normal_")
  variance(2 / 200, "kaiming_uniform_")
  variance(2 / 1.25 / 200, "kaiming_normal_", {a = 0.5})
  variance(2 / 500, "xavier_normal_")
  variance(4 * 2 / 500, "xavier_uniform_", 2)
  variance(0.25, "normal_", 0, 0.5)
  eq(spread(nn.init.zeros_(w)), 0)
  eq(spread(nn.init.ones_(w)), 1)
  eq(spread(nn.init.constant_(w, 3)), 3)
  lu.assertTrue(nn.init.uniform_(w, 2, 3):amin():item() >= 2)
  eq(nn.init.gain("tanh"), 5 / 3)
  eq(nn.init.gain("leaky_relu", 1), 1)
end

function T.test_orthogonal()
  pl.manual_seed(1)
  for _, size in ipairs {{3, 5}, {5, 3}, {4, 4}, {2, 3, 2, 1}} do
    local w = nn.init.orthogonal_(pl.zeros(size), 2)
    local m = w:reshape(size[1], -1)
    if m:size(1) > m:size(2) then m = m:t() end
    local product = pl.matmul(m, m:t()) / 4
    local n = m:size(1)
    for i = 1, n do
      for j = 1, n do near(product[{i, j}], i == j and 1 or 0, 1e-5) end
    end
  end
end

function T.test_initialisers_of_parameters()
  local layer = nn.Linear(3, 3)
  for _, name in ipairs {"zeros_", "ones_", "uniform_", "normal_", "kaiming_normal_",
                         "kaiming_uniform_",
                         "xavier_normal_", "xavier_uniform_", "orthogonal_"} do
    eq(nn.init[name](layer.weight) == layer.weight, true, name)
  end
  eq(layer.weight.requires_grad, true)
end

--
-- Learning
--

function T.test_a_network_learns()
  pl.manual_seed(3)
  local net = nn.Sequential {nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)}
  local x = pl.tensor {{0, 0}, {0, 1}, {1, 0}, {1, 1}}
  local y = pl.tensor({1, 2, 2, 1}, "int32")
  for _ = 1, 300 do
    pl.tidy(function()
      net:zero_grad()
      pl.cross_entropy(net(x), y):backward()
      pl.no_grad(function()
        for _, p in ipairs(net:parameters()) do p:sub_(p.grad) end
      end)
    end)
  end
  eq(net(x):argmax(-1):totable(), y:totable())
end

function T.test_names_wider_than_a_line_are_printed()
  local name = ("n"):rep(120)
  local net = nn.Sequential {}
  net[name] = nn.Linear(2, 1)
  lu.assertStrContains(tostring(net), "  " .. name .. "  Linear(2, 1)  bias [1], weight [1,2]  3")
end

return T
