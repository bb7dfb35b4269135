--- Modules: what all layers and networks are made of.
--
-- A module is a table with a `forward`. Parameters are found, not registered: every tensor
-- field that requires a gradient, or was a parameter before it was frozen, is a parameter, every
-- other tensor field a buffer, but for results that have a gradient to pass on, which are neither;
-- modules and plain tables inside a module are searched too. The search goes through
-- integer keys in order and then through names in alphabetical order, so it is the same in
-- every run. Fields whose names begin with `_` are private and left out.
-- @module perilune.nn.module

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local object = require "perilune.internal.object"
local option = require "perilune.internal.option"
local unknown = require "perilune.internal.unknown"
local words = require "perilune.internal.words"
local classes = require "perilune.nn.classes"
local fields = require "perilune.nn.fields"
local hooks = require "perilune.nn.hooks"
local state = require "perilune.nn.state"

local complain = blame.complain
local is_tensor = pl.is_tensor
local collect, is_module, is_parameter = fields.collect, fields.is_module, fields.is_parameter
local is_searched, sorted_keys = fields.is_searched, fields.sorted_keys
local module = {}

local function is_buffer(value)
  return is_tensor(value) and not is_parameter(value)
end

local function iterate(list)
  local i = 0
  return function()
    i = i + 1
    if list[i] then return list[i].name, list[i].value end
  end
end

local function values(list)
  local result = {}
  for i, entry in ipairs(list) do result[i] = entry.value end
  return result
end

-- The module's own name if it has a field `name`, else that of its class.
local function name_of(self)
  local own = rawget(self, "name")
  return type(own) == "string" and own or getmetatable(self).class_name or "Module"
end

--
-- Calling. The modules that are running lie on a stack, which is looked at only when an
-- error happens; only the outermost call of a network is protected.
--

local running, depth = setmetatable({}, {__mode = "v"}), 0

-- The path of `child` inside `parent`, or nil.
local function path_of(parent, child)
  for _, entry in ipairs(collect(parent, is_module)) do
    if entry.value == child then return entry.name end
  end
end

-- As it describes itself, which one with a field that it cannot have may be unable to.
local function described(self)
  local able, text = pcall(self.signature, self)
  return able and text or name_of(self)
end

-- Modules that call each other without end are as many as the stack holds.
local MOST_STEPS <const> = 100

-- A module that failed inside of a pcall is still on the stack, and contains none of those above.
local function place_of_error(modules)
  local last, path = modules[#modules], ""
  local outer = last
  for i = #modules - 1, math.max(1, #modules - MOST_STEPS), -1 do
    local step = path_of(modules[i], outer)
    if step then path, outer = "." .. step .. path, modules[i] end
  end
  return outer == last and described(last) or name_of(outer) .. path .. " " .. described(last)
end

--- The module that is running, within others that are too; nil outside of all.
-- @return module
function module.innermost()
  return depth > 0 and running[depth] or nil
end

-- Adds to a message where in the network it happened, and blames the script.
local function locate(message)
  local modules = table.move(running, 1, depth, 1, {})
  depth = 0
  if type(message) ~= "string" or #modules == 0 then return message end
  local found, place = pcall(place_of_error, modules)
  if not found then return message end
  return ("%s (in %s)"):format(blame.moved(message), place)
end

-- The module that runs, or nil, and its place in the network; of perilune.anomaly.
function module._innermost()
  return running[depth]
end

function module._place()
  return place_of_error(table.move(running, 1, depth, 1, {}))
end

-- What a profile does when a module begins, and when it ends.
local begins, ends

--- Has a function called with each module that begins: begin(module, depth, path_of, name_of), and
-- another one, done(result of begin), when it ends; for profiles.
-- @param[opt] begin nil ends it
-- @param[opt] done
function module.watch(begin, done)
  begins, ends = begin, done
  core.chain.watch(begin ~= nil)
end

local function leave(level, began, ...)
  depth = level - 1
  if began and ends then ends(began) end
  return ...
end

local function finish(began, ok, ...)
  if not ok then
    if began and ends then ends(began) end
    error(..., 0)
  end
  return leave(1, began, ...)
end

local function watched(self, level)
  return begins(self, level, function() return path_of(running[level - 1], self) end, name_of)
end

local function call(self, ...)
  local level = depth + 1
  depth, running[level] = level, self
  local began = begins and watched(self, level)
  local forward = hooks.of and hooks.of[self] and hooks.forward or self.forward
  if level == 1 then return finish(began, xpcall(forward, locate, self, ...)) end
  return leave(level, began, forward(self, ...))
end

-- Calls a module within another, as `layer(x, attributes)` does, for its first result; without
-- lists of arguments and results, which are 650 instructions of the processor.
local function run(layer, x, attributes)
  local level = depth + 1
  local y
  if begins or level == 1 or hooks.of then
    if attributes then y = call(layer, x, attributes) else y = call(layer, x) end
    return y
  end
  depth, running[level] = level, layer
  if attributes then y = layer:forward(x, attributes) else y = layer:forward(x) end
  depth = level - 1
  return y
end

--
-- The methods of every module
--

--- The class above all classes of modules: what every layer and network can do.
local Module = object.class("net", is_module)
Module.is_module, Module.training, Module.class_name = true, true, "Module"
Module.__call, Module._run = call, run

--- Computes the result of the module; each kind of module has its own. Call the module,
-- `net(x)`, rather than `net:forward(x)`: then errors say where in the network they arose.
function Module:forward()
  complain("%s has no forward function", name_of(self))
end

--- What stands between the brackets in the module's description.
-- @return string
function Module:extra()
  return ""
end

-- A layer that is one op says so: its `op`, the names of the fields that are the op's `operands`
-- behind x, of those that its attributes are `made_of`, and these.
function Module:_op_attributes()
  return self._attributes
end

--- The module as one would write it: `Linear(400, 120)`.
-- @return string
function Module:signature()
  return ("%s(%s)"):format(name_of(self), self:extra())
end

--- The parameters, as a list of tensors: the argument of an optimiser. Layers come in their order,
-- what has a name in the order of the alphabet, so `bias` before `weight`; `named_parameters` says
-- which is which.
--
--     local net = nn.Sequential {nn.Linear(2, 3), nn.Linear(3, 1)}
--     local b1, w1, b2, w2 = table.unpack(net:parameters())
-- @return list
function Module:parameters()
  return values(collect(self, function(v) return is_tensor(v) and is_parameter(v) end))
end

--- The parameters with their names: `for name, p in net:named_parameters() do ... end`.
-- @return iterator
function Module:named_parameters()
  return iterate(collect(self, function(v) return is_tensor(v) and is_parameter(v) end))
end

--- The tensors that are kept but not trained, such as running means.
-- @return list
function Module:buffers()
  return values(collect(self, is_buffer))
end

--- The buffers with their names.
-- @return iterator
function Module:named_buffers()
  return iterate(collect(self, is_buffer))
end

--- The module and all modules inside it.
-- @return list
function Module:modules()
  local list = values(collect(self, is_module))
  table.insert(list, 1, self)
  return list
end

--- The modules inside with their names, outer ones first.
-- @return iterator
function Module:named_modules()
  return iterate(collect(self, is_module))
end

--- Calls a function with every module inside, and with this one last.
-- @param f function(module)
-- @return the module
function Module:apply(f)
  local list = self:modules()
  for i = 2, #list do f(list[i]) end
  f(self)
  return self
end

--- Sets training mode, in which dropout drops and batch norm uses the batch's statistics.
-- @param[opt=true] on boolean
-- @return the module
function Module:train(on)
  if on == nil then on = true end
  return self:apply(function(m) m.training = on end)
end

--- Sets evaluation mode, the opposite of `train`.
-- @return the module
function Module:eval()
  return self:train(false)
end

--- Forgets the gradients of all parameters.
function Module:zero_grad()
  for _, p in ipairs(self:parameters()) do p.grad = nil end
end

--- Turns the training of all parameters on or off, to freeze a part of a network. They stay
-- parameters, and optimisers leave frozen ones alone.
-- @param[opt=true] on boolean
-- @return the module
function Module:requires_grad_(on)
  if on == nil then on = true end
  for _, p in ipairs(self:parameters()) do
    p:requires_grad_(on)
    fields.mark(p)
  end
  return self
end

--- The number of elements in all parameters.
-- @return integer
function Module:parameter_count()
  local n = 0
  for _, p in ipairs(self:parameters()) do n = n + p:numel() end
  return n
end

--
-- Hooks
--

--- Has a function called after each call of the module: `f(module, inputs, output, ...)`, where
-- `inputs` is the list of the arguments. What it gives, unless that is nil, takes the place of the
-- output. A layer in a Sequential whose work is done together with the next one's is computed by
-- itself while it has hooks, so that it shows its own output.
--
--     local seen = {}
--     local handle = net[1]:register_forward_hook(function(_, _, y) seen[#seen + 1] = y:mean() end)
--     net(x)
--     handle:remove()
--
-- Copies and files of a module have no hooks. The `forward` called directly calls none.
-- @param f function
-- @return handle, whose method `remove` takes the hook away
function Module:register_forward_hook(f)
  return hooks.add("register_forward_hook", self, "forward", f)
end

--- Has a function called before each call of the module: `f(module, inputs)`. What it gives, unless
-- that is nil, takes the place of the arguments.
--
--     net:register_forward_pre_hook(function(_, inputs) return inputs[1] / 255 end)
-- @param f function
-- @return handle, whose method `remove` takes the hook away
function Module:register_forward_pre_hook(f)
  return hooks.add("register_forward_pre_hook", self, "forward_pre", f)
end

--- Has a function called when a backward pass has been through the module:
-- `f(module, grad_input, grad_output)`, with lists of the gradients of the inputs and of the
-- outputs that have one. A list that it gives takes the place of `grad_input`, which is empty if no
-- input requires a gradient.
--
--     net[1]:register_full_backward_hook(function(_, _, grads) print(grads[1]:norm()) end)
-- @param f function
-- @return handle, whose method `remove` takes the hook away
function Module:register_full_backward_hook(f)
  return hooks.add("register_full_backward_hook", self, "backward", f)
end

--
-- State
--

--- All parameters and buffers by name: `{["1.weight"] = tensor, ...}`. The tensors are not
-- copies. `perilune.save("net.safetensors", net:state_dict())` writes them to a file, for a network
-- that a script makes; `perilune.save("net.safetensors", net)` writes how it is made too.
-- @return table
function Module:state_dict()
  local tensors = {}
  for _, entry in ipairs(collect(self, is_tensor)) do
    tensors[entry.name] = entry.value:detach()
  end
  return tensors
end

--- Copies the values of a state into the parameters and buffers. Every name and shape must
-- fit, or an error names those that do not and nothing is changed.
--
--     local names = net:load_state_dict(pl.load "other.safetensors", {strict = false})
--     print(#names.missing, #names.unexpected)
-- @param given what `state_dict` gave, or a loaded file; `nn.from_torch` takes PyTorch's
-- @param[opt] options `strict` (true); if it is false, names may be missing or unexpected, and what
--   has a name in both is copied; its shape must fit
-- @return the module; if `strict` is false, a table of the names `missing` in the state and
--   `unexpected` in it, two lists
function Module:load_state_dict(given, options)
  if type(given) ~= "table" then
    complain("load_state_dict: table of tensors expected, got %s", check.type(given))
  end
  local strict = option.read("load_state_dict", options, {strict = true}).strict
  local own = collect(self, is_tensor)
  local report = state.compare(own, given)
  local names = {missing = report.missing, unexpected = report.unexpected}
  if not strict then report.missing, report.unexpected = {}, {} end
  local problem = state.text(report, words.abbreviate)
  if problem then
    complain("load_state_dict: the state is not one of this %s: %s", name_of(self), problem)
  end
  state.copy(own, given)
  return strict and self or names
end

-- A copy of what a module holds: tensors, modules and plain tables are new, and what occurs twice
-- is one; results with a history are left out.
local function copied(value, seen)
  if seen[value] then return seen[value] end
  if is_tensor(value) then
    local alive, leaf = pcall(function() return value.is_leaf end)
    if not (alive and leaf) then return nil end
    local copy, role = value:detach():clone(), fields.role(value)
    if role ~= "buffer" then fields.mark(copy) end
    seen[value] = copy:requires_grad_(role == "parameter")
  elseif is_searched(value) then
    local copy = {}
    seen[value] = copy
    for key, inner in next, value do copy[key] = copied(inner, seen) end
    setmetatable(copy, getmetatable(value))
  else
    return value
  end
  return seen[value]
end

--- A copy with tensors of its own; what is frozen stays so, tensors and modules that are there
-- twice are one in the copy too, and so is the mode. Functions are the same ones.
-- @return module
function Module:clone()
  return copied(self, {})
end

--
-- Description
--

-- Calls visit(path, p) for the parameters that belong to a module and to none inside it.
local function each_own(t, prefix, seen, visit)
  for _, key in ipairs(sorted_keys(t)) do
    local value = rawget(t, key)
    if is_tensor(value) and is_parameter(value) then
      visit(prefix .. key, value)
    elseif is_searched(value) and not is_module(value) and not seen[value] then
      seen[value] = true
      each_own(value, prefix .. key .. ".", seen, visit)
    end
  end
end

-- "weight [6,1,5,5], bias [6]", and how many elements these have.
local function own_parameters(m)
  local texts, n = {}, 0
  each_own(m, "", {}, function(path, p)
    texts[#texts + 1] = ("%s %s"):format(path, words.shape(p))
    n = n + p:numel()
  end)
  return table.concat(texts, ", "), n
end

local function describe_rows(self)
  local rows = {}
  each_own(self, "", {}, function(path, p)
    rows[#rows + 1] = {path, "parameter", words.shape(p), words.thousands(p:numel())}
  end)
  for path, m in self:named_modules() do
    local texts, n = own_parameters(m)
    rows[#rows + 1] = {path, m:signature(), texts, n > 0 and words.thousands(n) or ""}
  end
  return rows
end

local function describe_table(self)
  local title = ("%s, %s parameters"):format(self:signature(),
                                            words.thousands(self:parameter_count()))
  local lines = words.aligned(describe_rows(self), {false, false, false, true})
  for i, line in ipairs(lines) do lines[i] = "  " .. line end
  return table.concat({title, table.unpack(lines)}, "\n")
end

--- The layers inside with the shapes and the number of their parameters, as a table; of a module
-- with none inside, one line.
-- @return string
function Module:__tostring()
  if #self:modules() > 1 then return describe_table(self) end
  local texts = own_parameters(self)
  return self:signature() .. (texts ~= "" and "  " .. texts or "")
end

-- A field that a module does not have is nil, for modules have fields of their own; but methods of
-- PyTorch and Torch7 are there, and raise an error.
getmetatable(Module).__index = unknown.methods("a module", "module")

--
-- Classes
--

--- Makes a class of modules. Give it an `init`, which fills `self`, and a `forward`:
--
--     local Scale = nn.class "Scale"
--     function Scale:init(n) self.factor = nn.parameter(pl.ones(n)) end
--     function Scale:forward(x) return x * self.factor end
--     local layer = Scale(10)
--
-- `perilune.save` knows a class by its name, of two with one name the latest, and makes a module
-- again with the arguments that it was made with.
-- @param name of the class, for messages and files
-- @param[opt] parent class whose methods are inherited
-- @return the class, a function that makes modules
function module.class(name, parent)
  if type(name) ~= "string" then
    complain("class: name expected, got %s", check.type(name))
  end
  parent = parent or Module
  local class = {
    class_name = name, is_module = true, __call = call, __tostring = Module.__tostring,
  }
  class.__index = object.index(class)
  classes.add(name, class)
  return setmetatable(class, {
    __index = parent,
    __name = "class " .. name,
    __call = function(_, ...)
      local self = setmetatable({}, class)
      classes.note(self, ...)
      if self.init then
        self:init(...)
      elseif (...) ~= nil then
        complain("%s: no arguments expected", name)
      end
      return self
    end,
  })
end

--- Makes a single module from a table with its tensors, its layers and a `forward`:
--
--     local net = nn.module {
--       a = nn.Linear(2, 8), b = nn.Linear(8, 1),
--       forward = function(self, x) return self.b(self.a(x):tanh()) end,
--     }
--
-- @param table_ with the fields, which becomes the module
-- @return the module
function module.module(table_)
  if type(table_) ~= "table" then
    complain("module: table expected, got %s", check.type(table_))
  end
  if type(table_.forward) ~= "function" then
    complain("module: the table needs a function forward(self, ...)")
  end
  return setmetatable(table_, Module)
end

--- Marks a tensor as a parameter, to be trained. It stays one when `requires_grad_(false)` freezes
-- it.
-- @param tensor real
-- @return the same tensor
function module.parameter(tensor)
  if not is_tensor(tensor) or tensor:dtype() ~= "real" then
    complain("parameter: real tensor expected, got %s",
      is_tensor(tensor) and tensor:dtype() or check.type(tensor))
  end
  fields.mark(tensor)
  return tensor:requires_grad_(true)
end

--- Whether a value is a module.
-- @param value anything
-- @return boolean
function module.is_module(value)
  return is_module(value)
end

module.Module = Module
return module
