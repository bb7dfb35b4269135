--- Networks as a description that JSON can hold, and their tensors by name (internal). Of each
-- module it has the class, the arguments that it was made with, and the fields as they are now:
--
--     {"modules": {
--        "": {"class": "Sequential", "arguments": [{}],
--             "fields": {"1": {"$module": "1"}, "2": {"$module": "2"}}},
--        "1": {"class": "Linear", "arguments": [2, 8], "fields": {
--             "weight": {"$tensor": "1.weight"}, "bias": {"$tensor": "1.bias"}}},
--        "2": {"class": "ReLU", "arguments": [], "fields": {}}},
--      "tensors": {"1.bias": "parameter", "1.weight": "parameter"}}
--
-- Modules and tensors are named by the path at which the search finds them first, as in
-- `state_dict`; what is there twice is described once. `rebuild.lua` is the way back.
-- @module perilune.store.describe

local core = require "perilune.core"
local check = require "perilune.internal.check"
local object = require "perilune.internal.object"
local words = require "perilune.internal.words"
local classes = require "perilune.nn.classes"
local fields = require "perilune.nn.fields"
local pack = require "perilune.store.pack"

local is_tensor, is_module = check.is_tensor, fields.is_module
local describe = {}

local Description = {}
Description.__index = object.index(Description)

--- Begins a description.
-- @param tensors table of the file's tensors by name, to which those of the networks are added
-- @return description
function describe.new(tensors)
  local self = setmetatable({
    tensors = tensors,
    modules = {}, -- path -> what is written of the module
    found = {}, -- list of {module =, path =}, outer ones first
    roles = {}, -- name -> what the tensor is
    references = {}, -- module or tensor -> what stands for it
  }, Description)
  local function other(...) return self:pack(...) end
  self.as_argument = {keys = pack.all_keys, other = other, entries = true}
  self.as_field = {keys = fields.sorted_keys, other = other, entries = true}
  return self
end

--- What a path is called in messages.
-- @param path of a module
-- @return string
function describe.name(path)
  return path == "" and "the network" or path
end

local function refuse(path, ...)
  pack.refuse(describe.name(path), ...)
end

local op_names -- function -> name of the op

-- The name of a function that is an op of the library.
local function op_name(f)
  if not op_names then
    op_names = {}
    for _, name in ipairs(words.sorted_keys(core)) do
      local value = core[name]
      if core.op(name) and not op_names[value] then op_names[value] = name end
    end
  end
  return op_names[f]
end

--- Adds a tensor.
-- @param tensor
-- @param path of it
function Description:tensor(tensor, path)
  if fields.is_activation(path, tensor) then
    refuse(path, "is a result with a gradient to pass on, in a table; give it a name that begins "
      .. "with _, or detach it")
  end
  if self.tensors[path] then refuse(path, "names two tensors") end
  self.tensors[path], self.roles[path] = tensor, fields.role(tensor)
  self.references[tensor] = {["$tensor"] = path}
end

--- Packs what only a network holds: modules, their tensors, ops, classes.
-- @param value anything but a number, a string, a boolean or a plain table
-- @param path of it
-- @return table
function Description:pack(value, path)
  if is_module(value) or is_tensor(value) then
    if not self.references[value] then
      local add = is_tensor(value) and self.tensor or self.module
      add(self, value, path)
    end
    return self.references[value]
  elseif type(value) == "function" and op_name(value) then
    return {["$op"] = op_name(value)}
  elseif classes.is_class(value)
    and rawequal(classes.find(value.class_name), object.itself(value)) then
    return {["$class"] = value.class_name}
  end
  pack.unknown(value, path)
end

local function check_class(class, name, path)
  if not classes.is_class(class) then
    refuse(path, "is made by nn.module from functions, which a file cannot hold; make a class of "
      .. "it with nn.class")
  elseif rawequal(classes.find(name), class) then
    return
  elseif rawget(require "perilune.nn", name) then
    refuse(path, "is of a class of your own with the name %s of the library's; give the class "
      .. "another", name)
  end
  refuse(path, "is of the class %s, which is not the latest one of this name", name)
end

-- The key of a field as the description has it.
local function field_name(class, key, path)
  if type(key) == "string" and math.tointeger(key) then
    refuse(path, "has a field whose name is the string \"%s\"; a name or the number expected", key)
  elseif classes.method(class, key) then
    refuse(path, "has a field %s, which hides the method of %s", key, class.class_name)
  end
  return tostring(key)
end

--- Packs the value of a field.
-- @param value anything
-- @param path of it
-- @return table, number, string or boolean
function Description:field(value, path)
  if type(value) == "function" and not op_name(value) then
    refuse(path, "is a function, which a file cannot hold; with a name that begins with _ it is "
      .. "left to init")
  end
  return pack.value(value, path, self.as_field, {})
end

--- Adds a module and all inside it; their arguments follow when all that is in fields has its name.
-- @param m module
-- @param path of it
function Description:module(m, path)
  if self.modules[path] then refuse(path, "names two modules") end
  local class, packed = getmetatable(m), {}
  check_class(class, class.class_name, path)
  if not classes.arguments(m) then refuse(path, "was not made by a call of its class") end
  self.references[m] = {["$module"] = path}
  self.modules[path] = {class = class.class_name, fields = packed}
  self.found[#self.found + 1] = {module = m, path = path}
  for _, key in ipairs(fields.sorted_keys(m)) do
    local value, here = rawget(m, key), pack.below(path, key)
    if not (is_tensor(value) and fields.is_activation(here, value)) then
      packed[field_name(class, key, path)] = self:field(value, here)
    end
  end
end

--- Adds the arguments of a module.
-- @param m module
-- @param path of it
function Description:add_arguments(m, path)
  local arguments, list = classes.arguments(m), {}
  for i = 1, arguments.n do
    list[i] = arguments[i] == nil and {["$nil"] = true}
      or pack.value(arguments[i], pack.below(path, "_arguments." .. i), self.as_argument, {})
  end
  self.modules[path].arguments = list
end

--- Adds those private fields that are second names of what is described; others are left to init.
-- @param m module
-- @param path of it
function Description:add_private(m, path)
  for key, value in next, m do
    local reference = type(key) == "string" and key:byte() == 95 and self.references[value]
    if reference then self.modules[path].fields[key] = reference end
  end
end

--- Ends a description.
-- @return what is to be written, or nil if there is no module
function Description:finish()
  local i = 0
  while self.found[i + 1] do -- arguments may be modules that are found only there
    i = i + 1
    self:add_arguments(self.found[i].module, self.found[i].path)
  end
  for _, entry in ipairs(self.found) do self:add_private(entry.module, entry.path) end
  return i > 0 and {modules = self.modules, tensors = self.roles} or nil
end

return describe
