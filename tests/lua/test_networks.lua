--- Networks saved whole: every layer and the experiments' networks come back, what cannot be described
-- is refused, and files that lie do no harm.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local transfer = require "perilune.internal.transfer"
local classes = require "perilune.nn.classes"

local nn = pl.nn
local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/net.safetensors"

function T.setUp() assert(core.mkdir(folder)) end
function T.tearDown() os.execute("rm -rf '" .. folder .. "'") end

local function round_trip(value)
  assert(pl.save(path, value))
  return assert(pl.load(path))
end

local function expect_nil(text, ...)
  local value, message = ...
  eq(value, nil)
  lu.assertStrContains(message, path .. ": ")
  lu.assertStrContains(message, text)
end

-- The tensors of a network with what each is, the modules with their class and mode.
local function anatomy(net)
  local list = {getmetatable(net).class_name, net.training, tostring(net)}
  for name, t in pairs(net:state_dict()) do list[name] = {t:dtype(), t:size(), t:totable()} end
  for name, p in net:named_parameters() do list["parameter " .. name] = p.requires_grad end
  for name, b in net:named_buffers() do list["buffer " .. name] = b.requires_grad end
  for name, m in net:named_modules() do
    list["module " .. name] = {getmetatable(m).class_name, m.training}
  end
  return list
end

local function flat(value)
  if not pl.is_tensor(value) then
    local list = {}
    for i, inner in ipairs(value) do list[i] = flat(inner) end
    return list
  end
  return {value:size(), value:totable()}
end

local function output(net, ...)
  pl.manual_seed(7)
  return flat {net(...)}
end

-- That a network comes back, and gives for these inputs what it gave.
local function check_same(net, ...)
  local back = round_trip(net)
  eq(anatomy(back), anatomy(net))
  eq(output(back, ...), output(net, ...))
  return back
end

--
-- Every layer
--

local function images() return pl.randn(3, 4, 9, 9) end
local function rows() return pl.randn(5, 4) end
local function sequence() return pl.randn(6, 2, 4) end
local function pair() return pl.rand(5, 4), pl.rand(5, 4) end
local function labelled() return pl.randn(5, 4), pl.tensor({1, 2, 3, 4, 1}, "int32") end

-- Of each class: inputs, and lists of arguments to make modules with.
local cases = {
  Sequential = {rows, {{}}, {{nn.Linear(4, 3), nn.Sequential {nn.Tanh(), nn.Dropout(0.3)}}}},
  Linear = {rows, {4, 7}, {4, 7, {bias = false}}, {pl.tensor(4), 7}},
  Conv2d = {images, {4, 3, 3}, {4, 2, {3, 2}, {stride = 2, padding = {1, 0}, bias = false}},
            {4, 3, 2, {dilation = 2}}},
  ConvTranspose2d = {images, {4, 3, 3},
                     {4, 2, {3, 2}, {stride = 2, padding = 1, output_padding = {1, 0}}}},
  MaxPool2d = {images, {2}, {{3, 2}, {stride = {1, 2}, padding = 1}}},
  AvgPool2d = {images, {2}, {3, {stride = 1, padding = {1, 0}}}},
  BatchNorm1d = {rows, {4}, {4, {eps = 1e-3, momentum = 0.5}}, {4, {affine = false}}},
  BatchNorm2d = {images, {4}, {4, {affine = false}}},
  LayerNorm = {rows, {4}, {{5, 4}, {eps = 0.1}}, {4, {elementwise_affine = false}}},
  InstanceNorm2d = {images, {4}, {4, {affine = true, eps = 0.1}}},
  Conv1d = {sequence, {2, 3, 2}, {2, 4, 3, {stride = 2, padding = 2, dilation = 2, bias = false}}},
  ConvTranspose1d = {sequence, {2, 3, 2},
                     {2, 4, 3, {stride = 2, padding = 1, output_padding = 1, dilation = 2}}},
  MaxPool1d = {sequence, {2}, {3, {stride = 1, padding = 1}}},
  AvgPool1d = {sequence, {2}, {3, {stride = 2, padding = 1}}},
  InstanceNorm1d = {sequence, {2}, {2, {affine = true, eps = 0.1}}},
  GroupNorm = {images, {2, 4}, {1, 4, {affine = false, eps = 0.1}}},
  RMSNorm = {rows, {4}, {{5, 4}, {eps = 0.1}}, {4, {elementwise_affine = false}}},
  AdaptiveAvgPool1d = {sequence, {3}}, AdaptiveAvgPool2d = {images, {1}, {{2, 5}}},
  Upsample = {images, {{scale_factor = 2}}, {{size = {3, 4}, mode = "bilinear"}}},
  PixelShuffle = {images, {2}}, ReflectionPad2d = {images, {1}, {{1, 0, 2, 3}}},
  Dropout = {rows, {}, {0.25}}, Dropout2d = {images, {}, {0.25}}, DropPath = {rows, {}, {0.25}},
  LockedDropout = {sequence, {}, {0.25}},
  Flatten = {images, {}, {3}},
  Unflatten = {rows, {2, {2, 2}}, {-1, {-1, 1}}},
  Identity = {rows, {}},
  Embedding = {function() return pl.tensor({{1, 3}, {5, 2}}, "int32") end, {5, 3},
               {5, 3, {dropout = 0.4}}, {5, 3, {padding_idx = 5}}},
  LSTM = {sequence, {4, 3}, {4, 3, {num_layers = 2, dropout = 0.5, variational = true,
                                    weight_dropout = 0.1, bias = false}}},
  GRU = {sequence, {4, 3}, {4, 3, {num_layers = 3, dropout = 0.5}}},
  LSTMCell = {rows, {4, 3}, {4, 3, {bias = false}}},
  GRUCell = {rows, {4, 3}, {4, 3, {bias = false}}},
  ReLU = {rows, {}}, Tanh = {rows, {}}, Sigmoid = {rows, {}}, Softplus = {rows, {}},
  LeakyReLU = {rows, {}, {0.2}, {-0.5}},
  ELU = {rows, {}, {0.5}}, SELU = {rows, {}}, GELU = {rows, {}}, SiLU = {rows, {}},
  Mish = {rows, {}}, Hardtanh = {rows, {}, {-0.5, 0.75}}, Hardsigmoid = {rows, {}},
  Hardswish = {rows, {}}, LogSigmoid = {rows, {}}, PReLU = {rows, {}, {4, 0.1}},
  GLU = {rows, {}, {2}},
  Softmax = {rows, {}, {1}}, LogSoftmax = {rows, {}, {1}},
  CrossEntropyLoss = {labelled, {}, {{label_smoothing = 0.1, reduction = "sum"}},
                      {{weight = pl.tensor {1, 2, 3, 4}}}},
  NLLLoss = {labelled, {}, {{weight = pl.tensor {1, 2, 3, 4}, ignore_index = 2}}},
  MSELoss = {pair, {}, {{reduction = "none"}}}, L1Loss = {pair, {}, {{reduction = "sum"}}},
  SmoothL1Loss = {pair, {}, {{beta = 0.5}}}, HuberLoss = {pair, {}, {{delta = 2}}},
  KLDivLoss = {pair, {}, {{log_target = true, reduction = "batchmean"}}},
  BCELoss = {pair, {}, {{weight = pl.tensor {1, 2, 3, 4}}}},
  BCEWithLogitsLoss = {pair, {}, {{pos_weight = pl.tensor {1, 2, 3, 4}, reduction = "rows"}}},
  TripletMarginLoss = {function() return pl.randn(5, 4), pl.randn(5, 4), pl.randn(5, 4) end, {},
                       {{margin = 2, swap = true}}},
}

function T.test_every_layer()
  for name, class in next, nn do
    if classes.is_class(class) then
      lu.assertNotNil(cases[name], "arguments and inputs to test " .. name .. " with")
    end
  end
  for name, case in pairs(cases) do
    pl.manual_seed(1)
    local inputs = {case[1]()}
    for i = 2, #case do
      local layer = nn[name](table.unpack(case[i]))
      check_same(layer, table.unpack(inputs))
      eq(anatomy(layer:clone():eval()), anatomy(layer:eval()))
      check_same(layer:requires_grad_(false), table.unpack(inputs))
    end
  end
end

function T.test_a_network_that_was_trained()
  local net = nn.Sequential {
    nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2),
  }
  local x, y = pl.randn(8, 1, 8, 8), pl.randint(1, 2, {8})
  local optimizer = pl.optim.Adam(net:parameters())
  for _ = 1, 3 do
    optimizer:zero_grad()
    pl.cross_entropy(net(x), y):backward()
    optimizer:step()
  end
  local back = check_same(net:eval(), x)
  pl.cross_entropy(back:train()(x), y):backward() -- it can be trained on
  lu.assertNotNil(back[1].weight.grad)
  local keys = {}
  for name in pairs((core.load_tensors(path))) do keys[#keys + 1] = name end
  table.sort(keys)
  eq(keys, {"1.bias", "1.weight", "2.bias", "2.running_mean", "2.running_var", "2.weight", "6.bias",
            "6.weight"})
end

function T.test_networks_beside_other_things()
  local encoder = nn.Linear(2, 3)
  local net = nn.Sequential {encoder, nn.Linear(3, 1)}
  local back = round_trip {net = net, parts = {encoder, "text"}, epoch = 3, w = encoder.weight}
  eq({back.epoch, back.parts[2]}, {3, "text"})
  eq(rawequal(back.parts[1], back.net[1]), true)
  eq(anatomy(back.net), anatomy(net))
  eq({back.w.requires_grad, rawequal(back.w, back.net[1].weight)}, {false, false})
  eq(round_trip({net, 5})[1][2].weight:totable(), net[2].weight:totable())
end

function T.test_plain_tables_are_written_as_they_were()
  assert(pl.save(path, {b = pl.ones(1), a = {x = 1 / 0, list = {1, "t", {}}}}))
  local _, texts = core.load_tensors(path)
  eq(texts, {perilune = '{"a":{"list":[1,"t",{}],"x":{"$number":"inf"}},"b":{"$tensor":"b"}}'})
end

--
-- Frozen parts, modes, what is there twice
--

function T.test_frozen_parameters_and_modes()
  local net = nn.Sequential {nn.Linear(2, 2):requires_grad_(false), nn.Dropout(0.5), nn.Linear(2, 1)}
  net[2]:eval()
  local back = check_same(net, pl.ones(3, 2))
  eq({back[1].weight.requires_grad, back[3].weight.requires_grad}, {false, true})
  eq(#back:parameters(), 4)
  eq({back.training, back[2].training}, {true, false})
  back:requires_grad_(true)
  eq(back[1].weight.requires_grad, true)
end

function T.test_tied_weights_and_layers_stay_one()
  local Tied = nn.class "Tied"
  function Tied:init(words, n)
    self.embedding, self.decoder = nn.Embedding(words, n), nn.Linear(n, words)
    self.decoder.weight = self.embedding.weight
    self.again = {self.decoder, self.embedding}
    self.me = self
  end
  function Tied:forward(x) return self.decoder(self.embedding(x)) end
  local net = Tied(6, 3)
  for _, other in ipairs {check_same(net, pl.tensor({1, 5}, "int32")), net:clone()} do
    eq(rawequal(other.decoder.weight, other.embedding.weight), true)
    eq(rawequal(other.again[1], other.decoder), true)
    eq(rawequal(other.me, other), true)
    eq(rawequal(other.decoder.weight, net.decoder.weight), false)
  end
  local shared = nn.Linear(2, 2)
  local back = round_trip(nn.Sequential {shared, nn.Tanh(), shared})
  eq(rawequal(back[1], back[3]), true)
end

function T.test_loading_draws_no_numbers()
  assert(pl.save(path, nn.Sequential {nn.Linear(3, 3), nn.LSTM(2, 2)}))
  pl.manual_seed(3)
  local expected = pl.randn(4):totable()
  pl.manual_seed(3)
  local net = assert(pl.load(path))
  assert(pl.save(path, net:clone()))
  eq(pl.randn(4):totable(), expected)
  eq(pl.memory_limit(), 0)
end

--
-- Classes of one's own
--

function T.test_classes_of_ones_own()
  local Block = nn.class "Block"
  function Block:init(n, activation, inner, ...)
    self.linear, self.activation, self.inner, self.more = nn.Linear(n, n), activation, inner, select("#", ...)
    self._mask = pl.arange(1, n)
  end
  function Block:forward(x)
    return self.activation(self.linear(x) * self._mask) + (self.inner and self.inner(x) or 0)
  end
  local Plain = nn.class("Plain", Block)
  function Plain:init() Block.init(self, 2, pl.relu) end
  local net = nn.Sequential {
    Block(2, pl.tanh), Block(2, nn.Sigmoid(), Block(2, pl.gelu, nil, "x", false)), Plain(),
  }
  net.note, net[1].size = "text", {1, 2.5, {odd = 1 / 0}}
  local back = check_same(net, pl.randn(4, 2))
  eq({back.note, back[1].size}, {"text", {1, 2.5, {odd = 1 / 0}}})
  eq(back[2].inner.more, 2)
end

function T.test_arguments_are_those_of_the_call()
  local Kind = nn.class "Kind"
  function Kind:init(settings)
    self.layer, self._scale = settings.layer(settings[1], 3), settings.scale
    settings.scale = 0
  end
  function Kind:forward(x) return self.layer(x) * self._scale end
  local settings = {2, layer = nn.Linear, scale = 5}
  local net = Kind(settings)
  settings[1] = 8
  net.lists = {{1, [3] = 2}, {nn.Tanh(), "x", name = pl.ones(2)}, [-1] = {}, [7] = net.layer}
  local back = check_same(net, pl.randn(4, 2))
  eq({back.lists[1], back.lists[2][2]}, {{1, [3] = 2}, "x"})
  eq(rawequal(back.lists[7], back.layer), true)
end

-- A module keeps what its init has noted of its parts in private tables and functions.
function T.test_private_fields_are_those_of_init()
  local Pairs = nn.class "Pairs"
  function Pairs:init(n)
    self.a, self.b, self.list = nn.Linear(n, n), nn.Linear(n, n), {nn.Linear(n, n)}
    self._order, self._first, self._w = {self.b, self.a, self.list[1]}, self.a, self.a.weight
    self._f = function(x) return self.b(x) end
  end
  function Pairs:forward(x)
    for _, layer in ipairs(self._order) do x = layer(x) end
    return self._first(x):matmul(self._w) + self._f(x)
  end
  local net = Pairs(3)
  check_same(net, pl.randn(2, 3))
  net.b = net.a:clone()
  net._order[1], net.list[1], net._f = net.b, net.a, function(x) return net.b(x) end
  local back = round_trip(net)
  eq(anatomy(back), anatomy(net))
  eq({rawequal(back.list[1], back.a), rawequal(back.a, back.b)}, {true, false})
end

function T.test_what_was_changed_after_construction()
  local net = nn.Sequential {nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)}
  net[3] = nn.Sequential {nn.Linear(3, 5), nn.Tanh()}
  net[4], net[2] = nn.Linear(5, 1, {bias = false}), nn.LeakyReLU(0.3)
  net[1].weight = nn.parameter(pl.ones(3, 2))
  net.more = pl.ones(2)
  check_same(net, pl.randn(4, 2))
  net[4], net[3], net.more = nil, nil, nil
  check_same(net, pl.randn(4, 2))
end

function T.test_activations_are_left_out()
  local net = nn.Sequential {nn.Linear(2, 2)}
  net.last = net(pl.ones(1, 2))
  eq(round_trip(net).last, nil)
  eq(net:clone().last, nil)
end

function T.test_results_of_an_experiment_on_networks()
  local here = arg[0]:match("^(.*/)") .. "../../experiments/"
  local function model(name) return assert(loadfile(here .. name .. "/model.lua"))() end
  for _, options in ipairs {{}, {dropout = 0.2, batch_norm = true}} do
    check_same(model("lenet5").lenet5(options):eval(), pl.randn(2, 1, 28, 28))
  end
  local gan = model "gan"
  for _, options in ipairs {{width = 4}, {width = 4, batch_norm = true}} do
    check_same(gan.generator(options), pl.randn(2, gan.NOISE))
    check_same(gan.critic(options), pl.randn(2, 1, 28, 28))
  end
  check_same(model("vae_svm").new {pixels = 9, hidden = {5, 4}, latent = 2, noise = 0.1},
             pl.rand(3, 9))
  for _, own in ipairs {{cell = "LSTM", tied = true, variational = true}, {cell = "GRU"}} do
    local settings = {units = 4, layers = 2, init = 0.1, dropout = 0.2, word_dropout = 0.1,
                      weight_dropout = 0.1}
    for name, value in pairs(own) do settings[name] = value end
    check_same(model("ptb").new(7, settings), pl.tensor({{1, 2}, {3, 7}}, "int32"))
  end
end

--
-- What is refused
--

function T.test_what_cannot_be_saved()
  local Own = nn.class "Own"
  function Own:init(...) self._arguments = {...} end
  local function own(...) return nn.Sequential {Own(...)} end
  local function changed(key, value)
    local layer = nn.Linear(2, 2)
    layer[key] = value
    return nn.Sequential {layer}
  end
  local loop, y = {}, pl.ones(1):requires_grad_() * 2
  loop[1] = loop
  for text, net in pairs {
    ["save: 1._arguments.2 is a function, which a file cannot hold"] = own(1, function() end),
    ["save: 1._arguments.1.f is a function"] = own {f = print},
    ["save: 1._arguments.1 is an object"] = own(setmetatable({}, {})),
    ["save: 1._arguments.1.1 occurs inside itself"] = own(loop),
    ["save: 1._arguments.1 has the key 1.5; keys 1..n or strings expected"] = own {1, [1.5] = 2},
    ["save: 1._arguments.1 has the key $x; names that begin with $"] = own {1, ["$x"] = 2},
    ["save: 1.act is a function, which a file cannot hold; with a name that begins with _ it is left to"
      .. " init"] = changed("act", function() end),
    ["save: 1 has a field forward, which hides the method of Linear"] = changed("forward", print),
    ["save: 1.deep.2 is a thread"] = changed("deep", {1, coroutine.create(print)}),
    ["save: 1.y.1 is a result with a gradient to pass on"] = changed("y", {y}),
    ["save: 1 has a field whose name is the string \"1\""] = changed("1", 5),
    ["save: 1.weight is [3,2]; the arguments of its module make [2,2]"] =
      changed("weight", nn.parameter(pl.ones(3, 2))),
    ["save: 1 has no field bias, which the arguments of its module make"] = changed("bias", nil),
    ["save: 1.bias is a int32 tensor; the arguments of its module make a real tensor"] =
      changed("bias", pl.ones({2}, "int32")),
    ["save: 1.bias is a ReLU; the arguments of its module make a real tensor"] =
      changed("bias", nn.ReLU()),
    ["save: the network is made by nn.module from functions"] =
      nn.module {forward = function(_, x) return x end},
    ["save: 1 is of a class of your own with the name Linear of the library's"] =
      nn.Sequential {nn.class "Linear"()},
  } do
    fails(text, pl.save, path, net)
  end
  fails("save: net.1.f is a function", pl.save, path, {net = nn.Sequential {changed("f", print)[1]}})
  local old = nn.class "Own"()
  nn.class "Own"
  fails("save: the network is of the class Own, which is not the latest one", pl.save, path, old)
  fails("save: x.weight names two tensors", pl.save, path,
        {x = nn.Linear(1, 1), ["x.weight"] = pl.ones(1)})
  fails("save: x is an object; plain table expected", pl.save, path, {x = setmetatable({}, {})})
  eq(io.open(path), nil)
end

function T.test_a_class_that_would_make_another_network()
  local made, Random = 0, nn.class "Random"
  function Random:init()
    made = made + 1
    self.layer = nn.Linear(2, 2)
    if made > 1 then error("only once") end
  end
  local net = Random()
  fails("save: the network cannot be made with its arguments: ", pl.save, path, net)
  fails("only once", pl.save, path, net)
end

function T.test_a_class_that_is_not_known()
  local Gone = nn.class "Gone"
  function Gone:init() self.layer = nn.Linear(1, 1) end
  assert(pl.save(path, {net = Gone()}))
  local find = classes.find
  function classes.find(name) return name ~= "Gone" and find(name) or nil end
  local value, message = pl.load(path)
  classes.find = find
  expect_nil("net is of the class Gone, which is not known; run the script that makes it, with "
    .. "nn.class \"Gone\", first", value, message)
end

--
-- Files that lie
--

local function write(modules, roles, packed, tensors)
  assert(core.save_tensors(path, tensors or {w = pl.ones(2, 2)}, {
    perilune = packed or '{"$module":""}',
    ["perilune.networks"] = ('{"modules":%s,"tensors":%s}'):format(modules, roles or '{"w":"parameter"}'),
  }))
end

local function module(class, arguments, fields)
  return ('{"class":"%s","arguments":%s,"fields":%s}'):format(class, arguments, fields or "{}")
end

local function root(...) return '{"":' .. module(...) .. "}" end

function T.test_descriptions_that_lie()
  for _, case in ipairs {
    {root("__index", "[]"), "the network is of the class __index, which is not known"},
    {root("Module", "[]"), "the class Module, which is not known"},
    {root("class", "[]"), "the class class, which is not known"},
    {root("Cell", "[2,2]"), "the class Cell, which is not known"},
    {root("BatchNorm", "[2]"), "the class BatchNorm, which is not known"},
    {root("functional", "[]"), "the class functional, which is not known"},
    {root("Linear", "[]"), "the network cannot be made with its arguments: Linear: number of inputs"},
    {root("Linear", '["a",{}]'), "Linear: number of inputs: positive integer expected, got a"},
    {root("Linear", '[2,2,{"bais":true}]'), "Linear: unknown option 'bais'"},
    {root("Linear", '[2,2,[[[[1]]]]]'), "Linear: unknown option '1'"},
    {root("Linear", '{"x":2}'), "without its class, arguments and fields"},
    {root("Linear", "[1000000000,1000000000]"), "the network cannot be made with its arguments"},
    {root("Linear", "[100000,100000]"), "beyond the limit"},
    {root("Linear", "[9007199254740992,9007199254740992]"), "the network cannot be made"},
    {root("BatchNorm1d", "[1000000000]"), "beyond the limit"},
    {root("LSTM", '[1,1,{"num_layers":1000000000}]'), "more modules than the file accounts for"},
    {root("Sequential", '[{"1":5}]'), "Sequential: layer '1': a list has no names"},
    {root("Sequential", '[[{"$module":""}]]'), "the network is among its own arguments"},
    {root("Sequential", '[[{"$module":"x"}]]'), "module 'x' is missing"},
    {root("Sequential", '[[{"$module":5}]]'), "module '5' is missing"},
    {root("Sequential", '[[{"$module":{}}]]'), "module 'table' is missing"},
    {root("Sequential", '[[{"$tensor":"w"}]]'), "Sequential: layer 1 is a tensor"},
    {root("Sequential", '[[{"$tensor":"v"}]]'), "tensor 'v' is missing"},
    {root("Sequential", '[[{"$op":"write_file"}]]'), "_arguments.1.1 is a '$op' of 'write_file', which"},
    {root("Sequential", '[[{"$op":"__index"}]]'), "is a '$op' of '__index'"},
    {root("Sequential", '[[{"$class":"io"}]]'), "is of the class io, which is not known"},
    {root("Sequential", '[[{"$entries":5}]]'), "is a '$entries' of '5'"},
    {root("Sequential", '[{"$entries":[[1]]}]'), "_arguments.1 has an entry that is no pair"},
    {root("Sequential", '[{"$entries":[[[],2]]}]'), "_arguments.1 has an entry that is no pair"},
    {root("Sequential", '[{"$entries":[5]}]'), "_arguments.1 has an entry that is no pair"},
    {root("Sequential", '[[{"$what":1}]]'), "is a '$what' of '1', which this version does not know"},
    {root("Sequential", '[[{"$number":"x"}]]'), "'x' is no number"},
    {root("ReLU", "[]", '{"forward":5}'), "has a field forward, which hides the method of ReLU"},
    {root("ReLU", "[]", '{"parameters":{}}'), "has a field parameters, which hides the method"},
    {root("ReLU", "[]", '{"training":"no"}'), "has the mode training = no; true or false expected"},
    {root("ReLU", "[]", '{"_plan":{"a":1}}'), "has a private field _plan; a tensor or module expected"},
    {root("ReLU", "[]", "[1,2]"), "has a list of fields; a table by name expected"},
    {root("ReLU", "[]", '{"a":{"$module":"b"}}'), "module 'b' is missing"},
    {root("LSTM", "[2,3]", '{"dropout":0,"layers":[],"variational":false,"weight_dropout":0}'),
      "layers has no field 1, which the arguments of its module make"},
    {root("LSTM", "[2,3]", '{"layers":5}'), "has no field dropout, which"},
    {root("Sequential", "[{}]", '{"1":5}'), "does not fit: Sequential: layer 1 is a number; module"},
    {root("Sequential", "[{}]", '{"0":5}'), "does not fit: Sequential: layer '0': a list has no names"},
    {root("Unflatten", '[2,[{},1]]'), "Unflatten: sizes: integers expected, got table"},
    {root("Dropout", "[]", '{"p":"x"}'), "p is a string; the arguments of its module make a number"},
    {root("ReLU", "[]", '{"a":{"$tensor":"w","b":1}}'), "a has the key $tensor beside others"},
    {root("Linear", '[2,3,{"bias":false}]', '{"weight":{"$tensor":"w"}}'),
      "weight is [2,2]; the arguments of its module make [3,2]"},
    {'{"":5}', "the network is described without its class, arguments and fields"},
    {'{"":{"class":5,"arguments":[],"fields":{}}}', "described without its class"},
    {"[]", "module '' is missing"},
    {"5", "the description of the network has no modules and tensors"},
    {"{}", "the description of the network has no modules", "5"},
    {root("ReLU", "[]"), "tensor 'w' is a 'x'; parameter, frozen or buffer expected", '{"w":"x"}'},
    {root("ReLU", "[]"), "tensor 'w' is a 'table'", '{"w":{}}'},
    {root("ReLU", "[]"), "module 'y' is missing", "{}", '{"a":[{"$module":"y"}]}'},
    {root("ReLU", "[]"), "not JSON at byte", "{"},
  } do
    write(case[1], case[3], case[4])
    local before = pl.memory().live_bytes
    expect_nil(case[2], pl.load(path))
    eq(pl.memory_limit(), 0)
    lu.assertTrue(pl.memory().live_bytes - before < 100e6)
  end
  write(root("Linear", '[2,2,{"bias":false}]', '{"weight":{"$tensor":"w"}}'), nil, nil, {w = pl.ones({2, 2}, "int32")})
  expect_nil("weight is a parameter of dtype int32; real expected", pl.load(path))
end

function T.test_depth_and_cycles()
  local list, n = {}, 2000
  for i = 1, n do
    list[i] = ('"%d":%s'):format(i, module("Identity", "[]", ('{"next":{"$module":"%d"}}'):format(i % n + 1)))
  end
  write("{" .. table.concat(list, ",") .. "}", "{}", '{"$module":"1"}', {})
  expect_nil("lies inside of more than 1000 modules", pl.load(path))
  write(root("Sequential", ("["):rep(5000) .. ("]"):rep(5000)))
  expect_nil("not JSON at byte", pl.load(path))
  write('{"":' .. module("Sequential", '[[{"$module":"a"}]]') .. ',"a":'
    .. module("Sequential", '[[{"$module":""}]]') .. "}")
  expect_nil("the network is among its own arguments", pl.load(path))
end

--
-- From host to host
--

function T.test_describe_and_rebuild()
  local net = nn.Sequential {nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1):requires_grad_(false)}
  local text, tensors = transfer.describe(net:eval())
  eq(#tensors, 8)
  local shared = {}
  for i, t in ipairs(tensors) do shared[i] = t:detach() end
  local back = transfer.rebuild(text, shared)
  local x = pl.randn(5, 2)
  eq(back(x):totable(), net(x):totable())
  eq(rawequal(back[1].bias, shared[1]), true)
  eq({#back:parameters(), #back:buffers(), back.training}, {6, 2, false})
  for _, p in ipairs(back:parameters()) do eq(p.requires_grad, false) end
  eq(net[1].weight.requires_grad, true)
  fails("rebuild: 8 tensors expected, got 1", transfer.rebuild, text, {shared[1]})
  fails("rebuild: json_decode: not JSON", transfer.rebuild, "{", {})
  fails("rebuild: module '' is missing", transfer.rebuild, '{"modules":{},"tensors":{}}', {})
  fails("describe: module expected, got table", transfer.describe, {})
  fails("describe: f is a function", transfer.describe, (function()
    net.f = print
    return net
  end)())
end

--
-- clone
--

function T.test_clone()
  local net = nn.Sequential {nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2):requires_grad_(false)}
  local copy = net:eval():clone()
  eq(anatomy(copy), anatomy(net))
  local before = net[1].weight:totable()
  pl.no_grad(function() copy[1].weight:zero_() end)
  eq(net[1].weight:totable(), before)
  local scale = nn.module {
    s = nn.parameter(pl.ones(2)), forward = function(self, x) return x * self.s end,
  }
  eq(scale:clone()(pl.ones(2)):totable(), {1, 1})
  check_same(copy:clone(), pl.randn(3, 2))
end

return T
