--- Networks for other programs: ONNX files, which onnxruntime, browsers, phones and most frameworks
-- run (https://onnx.ai).
--
--     net:eval()
--     pl.onnx.export("net.onnx", net, pl.zeros(1, 1, 28, 28))
--
-- The network is run on the example, and what it does is written down: the file has the ops, in the
-- words of ONNX, not the Lua around them. A loop is unrolled, and of an `if` there is the branch
-- that was taken. What would be wrong for other inputs is refused, with the module and the line:
-- numbers that are read from a tensor which depends on the inputs (`item()`, `t[i]`, `totable()`),
-- changes in place, random numbers, and ops that ONNX has no operator for (docs/reference.md says
-- of each op what it becomes).
--
-- Parameters and buffers have their names in `state_dict`; those of recurrent layers have their
-- gates in ONNX's order. Numbers are floats of four bytes. Token ids and labels count from 1, as in
-- Lua.
-- @module perilune.onnx

local blame = require "perilune.internal.blame"
local build = require "perilune.onnx.build"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local fields = require "perilune.nn.fields"
local model = require "perilune.onnx.model"
local option = require "perilune.internal.option"
local structure = require "perilune.onnx.structure"
local symbols_of = require "perilune.onnx.symbols"
local trace = require "perilune.onnx.trace"
local unknown = require "perilune.internal.unknown"

local onnx = {}

-- Protocol Buffers end there, and so do the readers of all programs.
local MOST_BYTES <const> = 2 ^ 31 - 1

local function complain(text, ...)
  blame.complain("export: " .. text, ...)
end

-- Refuses a network that would drop values or move running means.
local function check_mode(net)
  for _, m in ipairs(fields.is_module(net) and net:modules() or {}) do
    if m.training then complain("the network is in training mode; call net:eval() first") end
  end
end

-- Where modules are in the network, and the names of its tensors by their boxes.
local function names_in(net, boxes)
  local paths, tensors = {}, {}
  if not fields.is_module(net) then return paths, tensors end
  paths[net] = ""
  for name, m in net:named_modules() do paths[m] = name end
  for _, list in ipairs {net.named_parameters, net.named_buffers} do
    for name, t in list(net) do tensors[trace.box(boxes, t)] = name end
  end
  return paths, tensors
end

-- What is run: the network, or a method of it.
local function callee(net, method)
  if method == nil then return net end
  if type(method) ~= "string" or not fields.is_module(net) or type(net[method]) ~= "function" then
    complain("method: the name of a method of the network expected, got %s", check.shown(method))
  end
  return function(...) return net[method](net, ...) end
end

-- One run of the network: what it did, and its inputs and outputs as lists of boxes.
local function run(net, boxes, example, tensors)
  local args = structure.rebuild(example, tensors)
  local inputs = {}
  for i, t in ipairs(tensors) do inputs[i] = trace.box(boxes, t) end
  local events, results = trace.run(boxes, net, args)
  local outputs = structure.flatten(results, "y", complain)
  for i, t in ipairs(outputs.tensors) do outputs[i] = trace.box(boxes, t) end
  return {events = events, length = #events, inputs = inputs, outputs = outputs}
end

-- The names that are given, of all tensors, or of the first ones.
local function check_names(what, names, given, may_be_fewer)
  if given == nil then return names end
  check.list("export", what, given, {string = true})
  if #given > #names or #given < (may_be_fewer and 1 or #names) then
    complain("%s: %d names for %d tensors", what, #given, #names)
  end
  return given
end

local function check_distinct(inputs, outputs)
  local seen = {}
  for _, list in ipairs {inputs, outputs} do
    for _, name in ipairs(list) do
      if name == "" then complain("a name is empty") end
      if seen[name] then complain("two inputs or outputs are called '%s'", name) end
      seen[name] = true
    end
  end
end

local function check_example(example)
  for i, t in ipairs(example.tensors) do
    if t.requires_grad then
      complain("input '%s' requires a gradient; detach it", example.names[i])
    end
  end
  if #example.tensors == 0 then complain("the example has no tensor") end
end

local function metadata_of(net)
  return {perilune = fields.is_module(net) and net:signature() or "function"}
end

-- Errors of the graph blame the script, and neither a rule nor a network that it knows itself.
local function complaining()
  local place = blame.place()
  return function(text, ...)
    error((place and place .. ": " or "") .. "export: " .. text:format(...), 0)
  end
end

local function make_graph(net, example, o)
  local boxes = {}
  local paths, tensors = names_in(net, boxes)
  local inputs = check_names("inputs", example.names, o.inputs)
  local symbols, examples, last = symbols_of(example.tensors, inputs, o.dynamic, complain)
  local call, runs = callee(net, o.method), {}
  for t, list in ipairs(examples) do runs[t] = run(call, boxes, example, list) end
  local ok, last_run = pcall(run, call, boxes, example, last[1])
  runs[#runs + 1] = ok and last_run or run(call, boxes, example, last[2])
  local outputs = check_names("outputs", runs[1].outputs.names, o.outputs, true)
  check_distinct(inputs, outputs)
  return build(runs, symbols, {
    inputs = inputs, outputs = outputs, paths = paths, tensors = tensors,
  }, complaining())
end

--- Writes a network as an ONNX file (opset 17). The network must be in evaluation mode.
--
-- It is run on the example three times, with its rows once, twice and thrice, so that the file
-- takes any number of them; what cannot be said for any number is refused. A network that has its
-- batch in another dim, as recurrent ones, says so:
--
--     pl.onnx.export("lm.onnx", lm, {ids, {h, c}}, {
--       inputs = {"ids", "h", "c"}, outputs = {"y", "h_out", "c_out"},
--       dynamic = {ids = {"steps", "batch"}, h = {false, "batch"}, c = {false, "batch"}},
--     })
--
-- In Python it is then `onnxruntime.InferenceSession("net.onnx").run(None, {"x": x})`.
-- @param path file name; the file is written whole or not at all
-- @param net module, or a function of tensors
-- @param example tensor, or a list of the arguments: tensors, and tables of tensors
-- @param[opt={dynamic=true}] options `inputs`, `outputs`: lists of names for the tensors, in order,
--   without which an input is `x`, or `x1`, `x2`, ..., and an output `y`; in tables by name these
--   too; results without a name are left out. `method`: the name of a method to call instead.
--   `dynamic`: which sizes are free: true: dim 1 of each input, called "batch"; a number: that dim;
--   false: none; or of each input by name the list of its dims, each a name or false
-- @return true, or nil and a message if the file cannot be written
-- @usage pl.onnx.export("net.onnx", pl.nn.Linear(4, 2):eval(), pl.zeros(1, 4))
function onnx.export(path, net, example, options)
  check.path("export", path)
  if not fields.is_module(net) and type(net) ~= "function" then
    complain("network or function expected, got %s", check.type(net))
  end
  local o = option.read("export", options, {
    dynamic = true, inputs = option.absent, outputs = option.absent, method = option.absent,
  })
  trace.check(complain)
  check_mode(net)
  example = structure.example(example, complain)
  check_example(example)
  local parts = model.encode(make_graph(net, example, o), "net", metadata_of(net))
  if parts.bytes > MOST_BYTES then
    complain("the file would have %.1f GB; ONNX files have at most 2", parts.bytes / 1e9)
  end
  return core.write_parts(path, table.move(parts, 1, #parts, 1, {}))
end

--- Reads an ONNX file as a network: of opset 13 to 21, with the operators that `export` writes,
-- whose weights are in the file itself.
--
-- The network takes the tensors of the graph's inputs, in order, and gives its outputs. Its weights
-- are parameters, `weights.NAME`, and can be trained further; batch norm keeps its running
-- statistics. Bools are uint8 here, and int64 is int32.
-- @param path file name
-- @return module, or nil and a message that names what cannot be read
-- @usage local net = assert(pl.onnx.import "net.onnx")
function onnx.import(path)
  return require "perilune.onnx.import"(path)
end

return unknown.guard("pl.onnx", onnx)
