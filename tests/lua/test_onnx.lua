--- ONNX files: every op and the networks of the experiments, as `pl.onnx.import` runs them (onnxruntime
-- does in tests/onnx); what is refused, and where; names, sizes that are free, damaged files.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local extent = require "perilune.onnx.extent"
local protobuf = require "perilune.onnx.protobuf"

local nn, onnx = pl.nn, pl.onnx
local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end
local path = folder .. "/net.onnx"

function T.setUp() assert(core.mkdir(folder)) end
function T.tearDown() os.execute("rm -rf '" .. folder .. "'") end

local here = arg[0]:match "^(.*)/[^/]*$" or "."
local write_cases = dofile(here .. "/../onnx/cases.lua")

-- Exports, and imports what was written.
local function there_and_back(net, example, options)
  assert(onnx.export(path, net, example, options))
  return assert(onnx.import(path))
end

local function refuses(message, net, example, options)
  fails(message, onnx.export, path, net, example, options)
  eq(pl.file_exists(path), false)
end

--
-- Every op, and networks
--

-- Samples that are refused, by the first words of the reason, and how many of each op there are if not
-- all.
local UNKNOWN <const> = "ONNX has no operator"
local REASONS <const> = {
  bincount = "the size of its result", masked_select = "the size of its result",
  nonzero = "the size of its result", unique = "the size of its result",
  searchsorted = UNKNOWN, histc = UNKNOWN, median = UNKNOWN, cummax = UNKNOWN, cummin = UNKNOWN,
  bitwise_and = "ONNX has bits from opset 18", bitwise_or = "ONNX has bits from opset 18",
  bitwise_xor = "ONNX has bits from opset 18",
  nll_loss = "the labels that count", cross_entropy = "the labels that count",
  index_add = "ONNX adds to single elements", diag = "op 'unslice': it is a part of gradients",
  unslice = "it is a part of gradients", conv2d_input_grad = "it is a part of gradients",
  conv2d_weight_grad = "it is a part of gradients", avg_pool2d_grad = "it is a part of gradients",
  batch_norm = "it is in training mode", dropout = "it drops values at random",
}
local SOME <const> = {batch_norm = 18, dropout = 1, diag = 2}

local function count_samples(name)
  local n = 0
  for _ in pl.op(name).samples:gmatch "[^;]+" do n = n + 1 end
  return n
end

local function check_refusals(refused)
  local counts = {}
  for _, r in ipairs(refused) do
    local why = REASONS[r.op] or r.op:find "^linalg%." and UNKNOWN
    lu.assertTrue(why and r.why:find(why, 1, true) ~= nil, r.op .. " " .. r.sample .. ": " .. r.why)
    counts[r.op] = (counts[r.op] or 0) + 1
  end
  for op, n in pairs(counts) do eq(n, SOME[op] or count_samples(op), op) end
  for op in pairs(REASONS) do lu.assertNotNil(counts[op], op .. " is exported") end
end

local function same(got, expected, where)
  lu.assertTrue(got and got:dtype() == expected:dtype() and got:allclose(expected, 1e-4, 1e-5, true),
                where)
end

local function run_case(file)
  local net = assert(onnx.import(folder .. "/" .. file .. ".onnx"))
  for k = 1, 2 do
    local arrays = pl.load(("%s/%s.%d.npz"):format(folder, file, k))
    if arrays then
      local list = {}
      for i, name in ipairs(net._inputs) do list[i] = arrays["in." .. name] end
      local results = pl.no_grad(function() return table.pack(net(table.unpack(list))) end)
      for i, name in ipairs(net._outputs) do same(results[i], arrays["out." .. name], file) end
    end
  end
end

function T.test_every_op_and_the_networks_of_the_experiments()
  check_refusals(write_cases(folder))
  local n = 0
  local files <close> = assert(io.popen("ls '" .. folder .. "'"))
  for name in files:lines() do
    local file = name:match "^(.*)%.onnx$"
    if file then
      run_case(file)
      n = n + 1
    end
  end
  lu.assertTrue(n > 300, n)
end

--
-- Names
--

local function names_of(net)
  local list = {}
  for name in next, net.weights do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

function T.test_weights_have_their_names()
  local net = nn.module {
    first = nn.Linear(3, 4), norm = nn.BatchNorm1d(4), layers = {nn.Linear(4, 2)},
    forward = function(self, x) return self.layers[1](self.norm(self.first(x))) end,
  }
  local back = there_and_back(net:eval(), pl.zeros(2, 3))
  eq(names_of(back), "first.bias first.weight layers.1.bias layers.1.weight norm.bias "
    .. "norm.running_mean norm.running_var norm.weight")
  eq(#back:parameters(), 6)
  eq(#back:buffers(), 2)
  lu.assertTrue(back.weights["first.weight"]:allclose(net.first.weight, 1e-6)) -- floats in the file
end

function T.test_a_weight_that_is_there_twice()
  local net = nn.module {
    words = nn.Embedding(5, 3),
    forward = function(self, x) return pl.linear(self.words(x), self.words.weight) end,
  }
  local ids = pl.tensor({{1, 5}}, "int32")
  local back = there_and_back(net:eval(), ids)
  eq(names_of(back), "constant words.weight")
  same(back(ids), net(ids))
end

function T.test_names_of_inputs_and_outputs()
  local function net(a, state) return a * 2, {last = state.h + 1, list = {a, a - 1}} end
  local back = there_and_back(net, {pl.ones(2), {h = pl.ones(2)}})
  eq(back._inputs, {"x1", "h"})
  eq(back._outputs, {"y1", "last", "list_1", "list_2"})
  back = there_and_back(net, {pl.ones(2), {h = pl.ones(2)}}, {inputs = {"a", "b"}, outputs = {"c"}})
  eq({back._inputs, back._outputs}, {{"a", "b"}, {"c"}})
end

function T.test_an_example_is_not_changed_nor_are_random_numbers_drawn()
  local x, state = pl.ones(2, 3), pl.random_state()
  refuses("add_ changes a tensor in place", function(y) return y:add_(1) * 2 end, x)
  eq(x:totable(), pl.ones(2, 3):totable())
  eq(pl.random_state(), state)
  eq((x * 2):sum():item(), 12)
end

function T.test_inputs_that_come_back()
  local function net(x) return x, x, x + 0 end
  local y1, y2, y3 = there_and_back(net, pl.ones(2))(pl.tensor {1, 2, 3})
  for _, y in ipairs {y1, y2, y3} do eq(y:totable(), {1, 2, 3}) end
end

function T.test_a_large_and_a_small_integer()
  local m = protobuf.message()
  for _, v in ipairs {0, 127, 128, 300, -1, math.mininteger, math.maxinteger} do m:int(1, v) end
  m:ints(2, {-2, 1 << 40})
  m:floats(3, {0.5, -2})
  local data, ints, list, floats = table.concat(m), {}, {}, {}
  eq(#data, m.bytes)
  protobuf.each(data, {1, #data}, function(field, v)
    if field == 1 then ints[#ints + 1] = v
    elseif field == 2 then protobuf.add_ints(list, data, v)
    else protobuf.add_floats(floats, data, v) end
  end)
  eq(ints, {0, 127, 128, 300, -1, math.mininteger, math.maxinteger})
  eq(list, {-2, 1 << 40})
  eq(floats, {0.5, -2})
end

--
-- Sizes
--

function T.test_formulas_of_sizes()
  local one = {{name = "n", size = 2}}
  local function text(...) return extent.text({...}, one) end
  eq(text(2, 4, 6), "n")
  eq(text(6, 12, 18), "3*n")
  eq(text(4, 16, 36), "n*n")
  eq(text(1, 3, 5), "-1 + 1*n")
  eq(text(1, 2, 3), "unknown")
  eq(text(4, 8, 13), "unknown")
  local two = {{name = "n", size = 1}, {name = "t", size = 3}}
  eq(extent.text({3, 6, 6, 27}, two), "n*t")
  eq(extent.text({4, 5, 7, 12}, two), "0 + 1*n + 1*t")
end

function T.test_sizes_can_be_calculated_with()
  local function net(x)
    local n = x:size(1)
    return pl.zeros(n, 2 * n) + n, x / n, x[{{2, n}}], x:reshape(1, n * 2)
  end
  local back = there_and_back(net, pl.ones(3, 2))
  local x = pl.randn(5, 2)
  local expected = {net(x)}
  for i, y in ipairs {back(x)} do same(y, expected[i], i) end
end

function T.test_a_fixed_size()
  local function net(x) return x:mean(1) * x:size(1), x:var(1) end
  refuses("op 'affine': scale depends on the sizes of the inputs", net, pl.randn(3, 2))
  local x = pl.randn(3, 2)
  local expected = {net(x)}
  for i, y in ipairs {there_and_back(net, x, {dynamic = false})(x)} do same(y, expected[i]) end
end

--
-- What is refused
--

local x = function() return pl.randn(2, 3) end

function T.test_training_mode()
  refuses("training mode; call net:eval() first", nn.Linear(3, 2), x())
  refuses("training mode", nn.Sequential {nn.Linear(3, 2), nn.Dropout()}:eval():train(), x())
  refuses("op 'dropout': it drops values", function(y) return pl.dropout(y, 0.5, true) end, x())
end

function T.test_an_op_is_named_with_module_and_line()
  local Inverse = nn.class "Inverse"
  function Inverse:forward(y) return pl.linalg.inv(y:t():matmul(y) + pl.eye(3)) end
  local net = nn.module {
    features = nn.Sequential {nn.Linear(3, 3), Inverse()},
    forward = function(self, y) return self.features(y) end,
  }
  local _, why = pcall(onnx.export, path, net:eval(), x())
  lu.assertStrMatches(why, ".*test_onnx.lua:%d+: export: net.features.2 %(.*test_onnx.lua:%d+%): "
    .. "op 'linalg.inv': ONNX has no operators of linear algebra")
end

function T.test_values_from_elsewhere()
  local ones = pl.custom(function() return pl.ones(2, 3) end, function(_, g) return g end)
  refuses("op 'custom': it has no ONNX rule", function(y) return ones(y) * y end, x(),
          {dynamic = false})
end

function T.test_what_is_released_within()
  local function net(y)
    local a = pl.tidy(function() return (y * 2):exp():log() end)
    return pl.tidy(function() return a + (y - 1):abs() end)
  end
  local input = x()
  same(there_and_back(net, x())(input), net(input))
end

-- A Sequential that has run computes its layers without Lua.
function T.test_a_network_that_was_in_use()
  local net = nn.Sequential {nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)}:eval()
  for _ = 1, 3 do net(x()) end
  local input = x()
  same(there_and_back(net, x())(input), net(input))
  local calls = 0
  local file <close> = assert(io.open(path, "rb"))
  for name in file:read "a":gmatch "[%w.]+Gemm" do calls = calls + (name:find "^[13].Gemm" and 1 or 0) end
  lu.assertTrue(calls >= 2, calls)
end

function T.test_an_op_without_a_rule()
  local call = pl.op("diag").call
  refuses("op 'unslice'", function(y) return call(y) end, pl.ones(3))
end

function T.test_values_that_are_read()
  local read = "a number of a tensor that depends on the inputs is read"
  refuses(read, function(y) return y:sum():item() > 0 and y or -y end, x())
  refuses(read, function(y) return y * y[1][1] end, x())
  refuses(read, function(y) return y * pl.tensor(y:totable()) end, x())
  refuses(read, function(y) return y:equal(y) and y * 2 or y end, x())
  local weight = pl.tensor {2}
  same(there_and_back(function(y) return y * weight[1] * weight:item() end, x())(pl.ones(1, 3)),
       pl.full({1, 3}, 4))
end

function T.test_changes_in_place()
  local changed = "changes a tensor in place, which a graph cannot; make a new one"
  refuses("index " .. changed, function(y)
    y = y * 2
    y[1] = 5
    return y
  end, x())
  refuses("copy_ " .. changed, function(y) return pl.empty(2, 3):copy_(y) * 2 end, x(),
          {dynamic = false})
  local weight = pl.ones(3)
  refuses("mul_ " .. changed, function(y) return y * weight, weight:mul_(2) end, x())
  local function constant(y)
    local c = pl.zeros(3)
    c[2] = 7
    return y + c
  end
  eq(there_and_back(constant, x())(pl.zeros(1, 3)):totable(), {{0, 7, 0}})
end

function T.test_numbers_that_are_others_each_time()
  local other = "a tensor [2,3] that it uses is another one"
  refuses(other, function(y) return y + pl.randn(2, 3) end, x(), {dynamic = false})
  refuses(other, function(y) return y + pl.randn_like(y) end, x())
  local kept = pl.custom(function(_, y) return y * 1 end, function(_, g) return g end)
  same(there_and_back(function(y) return kept(y) end, x())(pl.ones(1, 3)), pl.ones(1, 3))
end

function T.test_a_network_that_does_something_else()
  refuses("the network does something else with inputs of another size", function(y)
    local sum = 0
    for i = 1, #y do sum = sum + y[i] end
    return sum
  end, x())
  refuses("mul, and not nothing more", function(y) return #y > 2 and y * 2 or y end, x())
  refuses("nothing more, and not mul", function(y) return #y > 2 and y or y * 2 end, x())
  refuses("exp, and not log", function(y) return #y > 5 and y:exp() or y:log() end, x())
  refuses("another number of dims", function(y) return y:squeeze() end, pl.ones(1, 3))
  refuses("is no product or sum", function(y)
    return pl.ones(7 * #y // 5, 3) * y:sum(1)
  end, pl.ones(3, 3))
end

function T.test_arguments()
  local net = nn.Linear(3, 2):eval()
  refuses("network or function expected, got string", "net", x())
  refuses("example: a tensor, or a list of the arguments, expected, got number", net, 5)
  refuses("the example has no tensor", net, {})
  refuses("a list of the arguments expected; it has 'a'", net, {a = x()})
  refuses("'x1' is a boolean", net, {true, x()})
  refuses("input 'x' requires a gradient; detach it", net, x():requires_grad_())
  refuses("'y' is a number; tensors, and tables", function() return 5 end, x())
  refuses("the network gives no tensor", function() end, x())
  refuses("the result 'y' does not depend", function() return pl.ones(2) end, x())
  refuses("inputs: 2 names for 1 tensors", net, x(), {inputs = {"a", "b"}})
  refuses("outputs has a number among it", net, x(), {outputs = {5}})
  refuses("are called 'x'", net, x(), {outputs = {"x"}})
  refuses("a name is empty", net, x(), {outputs = {""}})
  refuses("unknown option 'batch'", net, x(), {batch = 1})
  refuses("method: the name of a method", net, x(), {method = "encode"})
  refuses("dynamic: true, false, a dim or a table expected, got a", net, x(), {dynamic = "a"})
  refuses("dynamic: there is no input 'y'", net, x(), {dynamic = {y = {"batch"}}})
  refuses("'x' is [2,3]; it has no dim 3", net, x(), {dynamic = {x = {[3] = "n"}}})
  refuses("a name or false expected", net, x(), {dynamic = {x = {true}}})
  refuses("batch is 2 in 'x1' and 1 in 'x2'", pl.add, {x(), pl.ones(1, 3)})
  refuses("input 'x' is empty", net, pl.zeros(0, 3))
  fails("export: path expected", onnx.export, nil, net, x())
  refuses("exports another one", function(y)
    onnx.export(path, net, y)
    return y
  end, x())
  refuses("mine", function() error "mine" end, x())
end

function T.test_a_file_that_cannot_be_written()
  local ok, why = onnx.export(folder .. "/none/net.onnx", nn.Linear(3, 2):eval(), x())
  eq(ok, nil)
  lu.assertStrContains(why, "cannot write")
end

--
-- Reading
--

local function bytes_of(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end

local function import_bytes(bytes)
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return onnx.import(path)
end

function T.test_an_imported_network_can_be_trained()
  local net = there_and_back(nn.Sequential {nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)}:eval(), x())
  local optimizer, input = pl.optim.SGD(net:parameters(), {lr = 0.1}), pl.ones(2, 3)
  local before = net(input):square():sum()
  before:backward()
  optimizer:step()
  lu.assertTrue(net(input):square():sum():item() < before:item())
  fails("tensor expected, got number", net, 5)
end

function T.test_files_that_are_none()
  eq(select(2, onnx.import(folder .. "/none.onnx")),
     "cannot open " .. folder .. "/none.onnx: No such file or directory")
  lu.assertStrContains(select(2, import_bytes ""), "it has no graph")
  lu.assertStrContains(select(2, import_bytes "hello, world"), "not an ONNX file that can be read")
  fails("import: path expected", onnx.import, 5)
end

local function with_operator(name)
  assert(onnx.export(path, function(y) return y:tanh() end, x()))
  return (bytes_of(path):gsub("Tanh", name))
end

function T.test_unknown_operators_are_named()
  lu.assertStrContains(select(2, import_bytes(with_operator "Tank")),
                       "it has operators Tank, which cannot be read")
end

-- Files by hand, for graphs that no export writes: fields of one message.
local function varint(n)
  local bytes = ""
  repeat
    bytes = bytes .. string.char(n & 127 | (n >> 7 ~= 0 and 128 or 0))
    n = n >> 7
  until n == 0
  return bytes
end
local function int(field, n) return varint(field << 3) .. varint(n) end
local function text(field, t) return varint(field << 3 | 2) .. varint(#t) .. t end
local function texts(field, list)
  local parts = {}
  for i, t in ipairs(list) do parts[i] = text(field, t) end
  return table.concat(parts)
end
local function node(operator, inputs, outputs, ...)
  return text(1, texts(1, inputs) .. texts(2, outputs) .. text(3, "n") .. text(4, operator)
    .. texts(5, {...}))
end
local function weight(name, dims, kind, bytes)
  local sizes = {}
  for i, n in ipairs(dims) do sizes[i] = int(1, n) end
  return text(5, table.concat(sizes) .. int(2, kind) .. text(8, name) .. text(9, bytes))
end
local function value(field, name) return text(field, text(1, name)) end

local OPSET <const> = text(8, text(1, "") .. int(2, 17))
local function import_graph(graph, opset)
  return import_bytes(int(1, 8) .. text(7, graph) .. (opset or OPSET))
end

-- What is no op and gives tensors, or files, reads the numbers.
function T.test_what_is_no_op_reads_numbers()
  local read = "a number of a tensor that depends on the inputs is read"
  for _, example in ipairs {pl.zeros(2, 4, 4), pl.rand(2, 4, 4)} do
    refuses(read, function(y) return pl.image.resize(y, 2) end, example)
    refuses(read, function(y) return pl.image.transform {{"flip"}}(y) end, example)
    refuses(read, function(y)
      assert(pl.save(folder .. "/y.npy", y))
      return pl.load(folder .. "/y.npy") * 2
    end, example)
    refuses(read, function(y)
      assert(pl.image.write(folder .. "/y.png", y:select(1, 1)))
      return pl.image.read(folder .. "/y.png"):to "real" + y
    end, example)
  end
end

function T.test_examples_and_results_that_contain_themselves()
  local around = {}
  around[1] = around
  refuses("export: 'x2_1' is a table in which it lies itself", function(y) return y end,
    {pl.ones(2), around})
  refuses("export: 'y_2' is a table in which it lies itself", function(y)
    local list = {y * 2}
    list[2] = list
    return list
  end, pl.ones(2))
  refuses("export: dynamic: no input has a dim 5", function(y) return y * 2 end, pl.ones(2, 3),
    {dynamic = 5})
end

function T.test_graphs_that_cannot_be()
  local ends, one = value(11, "x") .. value(12, "y"), ("<f"):pack(1)
  local softmax = {"x"}
  for message, graph in pairs {
    ["it has Relu 'n' with the unknown input 'b', which cannot be read"] =
      node("Relu", {"b"}, {"y"}) .. node("Relu", {"y"}, {"b"}) .. ends,
    ["it has Relu 'n' with the unknown input 'y'"] = node("Relu", {"y"}, {"y"}) .. ends,
    ["it has the unknown output 'y'"] = node("Relu", {"x"}, {"z"}) .. ends,
    ["it has the value 'y' twice"] = node("Neg", {"x"}, {"y"}) .. node("Neg", {"x"}, {"y"}) .. ends,
    ["it has the value 'x' twice"] = node("Relu", {"x"}, {"x"}) .. value(11, "x") .. value(12, "x"),
    ["it has MatMul with 1 inputs instead of 2"] = node("MatMul", {"x", ""}, {"y"}) .. ends,
    ["it has Softmax with axis = hi instead of an integer"] =
      node("Softmax", softmax, {"y"}, text(1, "axis") .. text(4, "hi")) .. ends,
    ["it has Softmax with axis = table instead of an integer"] =
      node("Softmax", softmax, {"y"}, text(1, "axis") .. int(8, 1)) .. ends,
    ["it has Transpose with perm = 1 instead of a list of integers"] =
      node("Transpose", softmax, {"y"}, text(1, "perm") .. int(3, 1)) .. ends,
    ["it has Concat without axis"] = node("Concat", softmax, {"y"}) .. ends,
    ["an impossible size"] = weight("w", {1 << 41}, 1, one) .. ends,
    ["not the bytes of its size"] = weight("w", {1 << 40}, 1, one) .. ends,
    ["read: from_bytes: sizes [0,4611686018427387904] are too large"] =
      weight("w", {0, 1 << 62}, 1, "") .. ends,
  } do
    lu.assertStrContains(select(2, import_graph(graph)), message)
  end
  local relu = node("Relu", {"x"}, {"y"}) .. ends
  eq(import_graph(relu)(-pl.ones(2)):totable(), {0, 0})
  lu.assertStrContains(select(2, import_graph(relu, "")), "it does not say of which opset it is")
  lu.assertStrContains(select(2, import_graph(relu, text(8, text(1, "ai.onnx") .. int(2, 5)))),
    "it is of opset 5; 13 to 21 are read")
end

-- Weights of any name are parameters, and messages name no line of the library.
function T.test_names_and_messages_of_graphs()
  local ends, bytes = value(11, "x") .. value(12, "y"), ("<ffff"):pack(1, 2, 3, 4)
  local net = assert(import_graph(node("MatMul", {"x", "_w"}, {"w_w"}) .. node("Neg", {"w_w"}, {"y"})
    .. weight("_w", {2, 2}, 1, bytes) .. ends))
  eq(#net:parameters(), 1)
  eq(net(pl.ones(1, 2)):totable(), {{-4, -6}})
  fails("MatMul 'n': matmul: ", net, pl.ones(3, 3))
  local zero = weight("s", {1}, 7, ("<i8"):pack(0))
  fails("Slice 'n': a step of 0", assert(import_graph(
    node("Slice", {"x", "s", "s", "s", "s"}, {"y"}) .. zero .. ends)), pl.ones(2))
end

-- Damaged files end with one message each, or are a network that runs or raises.
function T.test_damaged_files()
  assert(onnx.export(path, nn.Sequential {
    nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2),
  }:eval(), pl.ones(1, 1, 8, 8)))
  local bytes, read = bytes_of(path), 0
  pl.manual_seed(1)
  local function random(n) return pl.randint(1, n, 1)[1] end
  for _ = 1, 400 do
    local at = random(#bytes)
    local damaged = bytes:sub(1, at - 1) .. string.char(random(256) - 1) .. bytes:sub(at + 1)
    if random(4) == 1 then damaged = damaged:sub(1, random(#damaged)) end
    local net, why = import_bytes(damaged)
    if net then
      read = read + 1
      pcall(net, pl.ones(1, 1, 8, 8))
    else
      lu.assertStrContains(why, path .. ": ")
    end
  end
  lu.assertTrue(read > 100 and read < 400, read)
end

return T
