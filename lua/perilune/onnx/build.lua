--- From what several runs of a network did to one graph (internal).
-- @module perilune.onnx.build

local pl = require "perilune"
local extent = require "perilune.onnx.extent"
local graph = require "perilune.onnx.graph"
local rules = require "perilune.onnx.rules"
local shape_of = require("perilune.internal.words").shape

-- Where a run has no more events.
local NOTHING <const> = {kind = "nothing more"}

-- Elements of several lists with the same index.
local function column(lists, i)
  local result = {}
  for t, list in ipairs(lists) do result[t] = list[i] end
  return result
end

local function fields(events, name)
  local result = {}
  for t, event in ipairs(events) do result[t] = event[name] end
  return result
end

-- Where something happened: "net.features.3 (models.lua:12)".
local function place(self, event)
  local path = self.paths[event.module]
  local where = path and (path == "" and "net" or "net." .. path)
  if where and event.line then return ("%s (%s): "):format(where, event.line) end
  return (where or event.line) and (where or event.line) .. ": " or ""
end

-- Raises an error about the event that is being looked at.
local function refuse(self, text, ...)
  local event = self.event
  local what = event and event.op and ("op '%s': "):format(event.op) or ""
  self.complain("%s%s%s", event and place(self, event) or "", what, text:format(...))
end

--
-- Values
--

local function sizes_of(boxes)
  local sizes = {}
  for t, box in ipairs(boxes) do sizes[t] = box:size() end
  return sizes
end

-- The common size of a tensor in all runs; nil if the numbers of dims differ.
local function size_of(boxes)
  local sizes, result = sizes_of(boxes), {}
  for _, size in ipairs(sizes) do
    if #size ~= #sizes[1] then return nil end
  end
  for d = 1, #sizes[1] do result[d] = extent.of(column(sizes, d)) end
  return result
end

local function all_same(boxes)
  for t = 2, #boxes do
    local a, b = boxes[1], boxes[t]
    if not rawequal(a, b) and not a:equal(b) and not a:allclose(b, 0, 0, true) then return false end
  end
  return true
end

-- A tensor that was one number everywhere: the number.
local function one_number(boxes)
  local number
  for _, box in ipairs(boxes) do
    if box:numel() == 0 then return nil end
    local v = box:reshape(-1):select(1, 1):item()
    if number and v ~= number or box:ne(v):any():item() == 1 then return nil end
    number = v
  end
  return number
end

-- Such a tensor, of a size that depends on the inputs.
local function filled(self, boxes, size)
  local number = one_number(boxes)
  if not number then return nil end
  number = self.graph:number(number, boxes[1]:dtype())
  return self.graph:node("Expand", {number, self.graph:int64(size)})
end

-- A number without dims that is a size of the inputs, or made of some: x / x:size(1).
local function size_as_number(self, boxes, size)
  local list = {}
  for t, box in ipairs(boxes) do list[t] = #size == 0 and math.tointeger(box:item()) or nil end
  if #list < #boxes or not extent.formula(list, self.graph.symbols) then return nil end
  return self.graph:cast(self.graph:int64(extent.of(list)), boxes[1]:dtype())
end

-- A tensor that comes from outside of ops: a parameter, a buffer, or a constant of the script's.
local function constant(self, boxes)
  local name = self.names[boxes[1]] or "constant"
  if all_same(boxes) then return self.graph:constant(boxes[1], name) end
  local size = size_of(boxes)
  local v = size and (size_as_number(self, boxes, size) or filled(self, boxes, size))
  if v then
    v.size = size
    return v
  end
  refuse(self, "a tensor %s that it uses is another one with other inputs or in another run, and "
    .. "is no result of an op; it may be random, or made of numbers that were read",
    shape_of(boxes[1]))
end

-- The value that is this tensor, or nil.
local function known(self, boxes)
  local v = self.values[1][boxes[1]]
  for t = 2, #boxes do
    if self.values[t][boxes[t]] ~= v then
      refuse(self, "it gets other tensors with inputs of other sizes")
    end
  end
  return v
end

local function remember(self, boxes, v)
  for t, box in ipairs(boxes) do self.values[t][box] = v end
end

local function value_of(self, boxes)
  if not boxes[1] then return false end
  local v = known(self, boxes)
  if not v then
    v = constant(self, boxes)
    remember(self, boxes, v)
  end
  return v
end

--
-- Events
--

-- An attribute of all runs: equal, or an extent, or a list of these.
local function attribute(self, name, list)
  local first = list[1]
  if type(first) == "table" then
    local result = {}
    for _, other in ipairs(list) do
      if #other ~= #first then refuse(self, "%s depends on the sizes of the inputs", name) end
    end
    for i = 1, #first do result[i] = extent.of(column(list, i)) end
    return result
  end
  if math.type(first) == "integer" then return extent.of(list) end
  for _, other in ipairs(list) do
    if other ~= first and (first == first or other == other) then
      refuse(self, "%s depends on the sizes of the inputs", name)
    end
  end
  return first
end

local function attributes(self, events)
  local result, lists = {}, fields(events, "attrs")
  for name in next, lists[1] do
    result[name] = attribute(self, name, fields(lists, name))
  end
  return result
end

-- The inputs, in the dtype in which the op works.
local function inputs_of(self, events)
  local lists, result = fields(events, "inputs"), {}
  for i = 1, #lists[1] do
    local v = value_of(self, column(lists, i))
    local apart = events[1].apart >> (i - 1) & 1 == 1
    if v and events[1].dtype and not apart then v = self.graph:cast(v, events[1].dtype) end
    result[i] = v
  end
  return result
end

-- Notes that the values of a rule are the results.
local function take_results(self, events, results)
  local lists = fields(events, "tensors")
  for i = 1, #lists[1] do
    local boxes = column(lists, i)
    if boxes[1] then
      local v = self.graph:cast(results[i], boxes[1]:dtype())
      v.size = v.size or size_of(boxes)
      remember(self, boxes, v)
    end
  end
end

local function sizes_of_results(self, events)
  local lists, out = fields(events, "tensors"), {}
  for i = 1, #lists[1] do
    out[i] = lists[1][i] and (size_of(column(lists, i))
      or refuse(self, "its result has another number of dims with inputs of other sizes"))
  end
  return out
end

-- Without a rule it is made of ops that were seen before, or cannot be exported.
local function check_parts(self, events)
  local lists = fields(events, "tensors")
  for i = 1, #lists[1] do
    if lists[1][i] and not known(self, column(lists, i)) then
      refuse(self, "it has no ONNX rule")
    end
  end
end

local function add_op(self, events)
  local name = events[1].op
  local row = pl.op(name)
  if not row or not row.onnx then return check_parts(self, events) end
  self.graph.scope = self.paths[events[1].module] or ""
  local out = sizes_of_results(self, events)
  take_results(self, events, {
    rules.apply(self.graph, name, inputs_of(self, events), attributes(self, events), out),
  })
end

local function add_copy(self, events)
  local lists = fields(events, "tensors")
  local from, to = column(lists, 1), column(lists, 2)
  if not known(self, from) and all_same(from) then return end
  local v = self.graph:cast(value_of(self, from), to[1]:dtype())
  remember(self, to, v)
end

-- Whether a tensor is one that the inputs decide.
local function is_result(self, box)
  local v = box and self.values[1][box]
  return v and not v.tensor
end

local function check_read(self, events)
  if is_result(self, events[1].tensors[1]) then
    refuse(self, "a number of a tensor that depends on the inputs is read, and would be the same "
      .. "for all inputs in the graph")
  end
end

local function check_change(self, events)
  local target, source = table.unpack(events[1].tensors)
  if self.values[1][target] or is_result(self, source) then
    refuse(self, "%s changes a tensor in place, which a graph cannot; make a new one",
           events[1].kind)
  end
end

local function add(self, events)
  local kind = events[1].kind
  self.event = events[1]
  if kind == "op" then add_op(self, events)
  elseif kind == "copy" then add_copy(self, events)
  elseif kind == "read" then check_read(self, events)
  else check_change(self, events) end
end

-- Raises an error unless all runs did the same.
local function check_same(self, events)
  local first = events[1]
  for _, event in ipairs(events) do
    if event.kind ~= first.kind or event.op ~= first.op then
      self.event = nil
      refuse(self, "%sthe network does something else with inputs of another size: %s, and not %s",
             place(self, first == NOTHING and event or first), event.op or event.kind,
             first.op or first.kind)
    end
  end
end

local function add_inputs(self, runs, names)
  local inputs = fields(runs, "inputs")
  for i, name in ipairs(names) do
    local boxes = column(inputs, i)
    remember(self, boxes, self.graph:input(name, boxes[1]:dtype(), size_of(boxes)))
  end
end

local function add_events(self, runs)
  local all, length = fields(runs, "events"), 0
  for _, run in ipairs(runs) do length = math.max(length, run.length) end
  for k = 1, length do
    local events = {}
    for t = 1, #runs do events[t] = all[t][k] or NOTHING end
    check_same(self, events)
    add(self, events)
  end
  self.event, self.graph.scope = nil, ""
end

local function add_outputs(self, runs, names)
  local outputs = fields(runs, "outputs")
  for i, name in ipairs(names) do
    local v = known(self, column(outputs, i))
    if not v or v.tensor then
      refuse(self, "the result '%s' does not depend on the example", name)
    end
    self.graph.outputs[i] = v
  end
  self.graph:finish(names)
end

--- Makes a graph of what several runs did.
-- @param runs list of {events =, length =, inputs = list of boxes, outputs = list of boxes}
-- @param symbols list of {name =, size =, place = number of the input, dim =}
-- @param names {inputs =, outputs = lists of names, paths = of modules, tensors = of boxes}
-- @param complain function(text, ...) that raises an error
-- @return the graph
return function(runs, symbols, names, complain)
  local self = {paths = names.paths, names = names.tensors, complain = complain, values = {}}
  self.graph = graph.new(symbols, function(...) refuse(self, ...) end)
  for t = 1, #runs do self.values[t] = {} end
  add_inputs(self, runs, names.inputs)
  for _, symbol in ipairs(symbols) do symbol.input = self.graph.inputs[symbol.place] end
  add_events(self, runs)
  add_outputs(self, runs, names.outputs)
  return self.graph
end
