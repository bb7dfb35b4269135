--- Networks from their description (internal; `describe.lua` says what that is). Each module is
-- made by its class with its arguments, then its fields become those of the description. A module
-- that has made the same one inside of itself keeps it, so that what it has noted of it elsewhere
-- holds.
--
-- A description may be damaged, or made to do harm: it names classes, not code, and what is made
-- for it is bounded by the tensors that come with it.
-- @module perilune.store.rebuild

local core = require "perilune.core"
local check = require "perilune.internal.check"
local object = require "perilune.internal.object"
local words = require "perilune.internal.words"
local classes = require "perilune.nn.classes"
local fields = require "perilune.nn.fields"
local describe = require "perilune.store.describe"
local pack = require "perilune.store.pack"

local is_tensor, is_module = check.is_tensor, fields.is_module
local below, sorted_keys = pack.below, fields.sorted_keys
local rebuild = {}

-- What constructors may take beside what is kept: initial values, tables of their own.
local SPARE_BYTES <const>, SPARE_MODULES <const> = 64 << 20, 1000
local DEEPEST <const> = 1000 -- modules inside of modules
local TIMES <const> = 4 -- as many bytes and modules as there are in the end

local BYTES <const> = core.real == "double" and 8 or 4 -- of an element, at most

local roles <const> = {parameter = true, frozen = true, buffer = true}

local Builder = {}
Builder.__index = object.index(Builder)

local function fail(path, ...)
  pack.refuse(describe.name(path), ...)
end

local function is_plain(value)
  return type(value) == "table" and getmetatable(value) == nil
end

--
-- The description as it has to be
--

local function node_of(self, path)
  local node = type(path) == "string" and self.modules[path]
  if not node then error(("module '%s' is missing"):format(check.shown(path)), 0) end
  if type(node) ~= "table" or type(node.class) ~= "string" or type(node.fields) ~= "table"
    or type(node.arguments) ~= "table" or type(next(node.arguments)) == "string" then
    fail(path, "is described without its class, arguments and fields")
  end
  return node
end

local function class_of(path, name)
  local class = classes.find(name)
  if not class then
    fail(path, "is of the class %s, which is not known; run the script that makes it, with "
      .. "nn.class \"%s\", first", name, name)
  end
  return class
end

local function check_shape(path, tensor, before)
  local here, there = words.shape(tensor), words.shape(before)
  if here ~= there then fail(path, "is %s; the arguments of its module make %s", here, there) end
end

local function tensor_of(self, path, name, before)
  local tensor = type(name) == "string" and self.tensors[name]
  if not is_tensor(tensor) then
    error(("tensor '%s' is missing"):format(check.shown(name)), 0)
  elseif self.roles[name] == "buffer" then
    return tensor
  elseif tensor:dtype() ~= "real" then
    fail(path, "is a parameter of dtype %s; real expected", tensor:dtype())
  end
  if is_tensor(before) then check_shape(path, tensor, before) end
  return tensor
end

local function is_own(class)
  return rawequal(rawget(require "perilune.nn", class.class_name), class)
end

local function kind(value)
  if is_tensor(value) then return value:dtype() .. " tensor" end
  return is_module(value) and getmetatable(value).class_name or type(value)
end

-- The library's own layers rely on their fields: each stays what their class has made of it.
local function check_kind(path, value, before)
  if before == nil then return end
  if kind(value) ~= kind(before) then
    fail(path, "is a %s; the arguments of its module make a %s", kind(value), kind(before))
  elseif is_tensor(value) then
    check_shape(path, value, before)
  end
end

--- Raises an error unless a description has its two tables.
-- @param document what was read
function rebuild.check(document)
  if type(document) ~= "table" or type(document.modules) ~= "table"
    or type(document.tensors) ~= "table" then
    error("the description of the network has no modules and tensors", 0)
  end
  for name, role in next, document.tensors do
    if not roles[role] then
      error(("tensor '%s' is a '%s'; parameter, frozen or buffer expected"):format(
        check.shown(name), check.shown(role)), 0)
    end
  end
end

--
-- Making
--

-- What stands for something else.
local function known(self, path, tag, inner, before)
  if tag == "$number" then return pack.number(inner) end
  if tag == "$tensor" then return tensor_of(self, path, inner, before) end
  if tag == "$module" then return self:module(inner, before) end
  if tag == "$class" and type(inner) == "string" then
    return object.shown(class_of(path, inner))
  end
  if tag == "$op" and type(inner) == "string" and rawget(core, inner) and core.op(inner) then
    return core[inner]
  end
  fail(path, "is a '%s' of '%s', which this version does not know", tag, check.shown(inner))
end

local function check_names(packed, path)
  for key in next, packed do
    if type(key) == "string" and key:sub(1, 1) == "$" then
      fail(path, "has the key %s beside others", key)
    end
  end
end

-- A packed argument as it was.
local function argument(self, path, packed)
  if type(packed) ~= "table" then return packed end
  packed = pack.items(packed, path)
  local tag, inner = pack.tag(packed)
  if tag == "$nil" then return nil end
  if tag then return known(self, path, tag, inner) end
  local value = {}
  check_names(packed, path)
  for key, item in next, packed do value[key] = argument(self, below(path, key), item) end
  return value
end

-- Whether an argument is the one that was packed. Tensors and modules must be there already.
local function same_argument(self, packed, value)
  if type(packed) ~= "table" then return packed == value end
  packed = pack.items(packed, "")
  local tag, inner = pack.tag(packed)
  if tag == "$nil" then return value == nil end
  if tag == "$tensor" then return rawequal(self.tensors[inner], value) end
  if tag == "$module" then return value ~= nil and rawequal(self.built[inner], value) end
  if tag then return rawequal(known(self, "", tag, inner), value) end
  if not is_plain(value) then return false end
  for key in next, value do
    if packed[key] == nil then return false end
  end
  for key, item in next, packed do
    if not same_argument(self, item, value[key]) then return false end
  end
  return true
end

local function same_arguments(self, packed, list)
  for i = 1, math.max(#packed, list.n) do
    if not same_argument(self, packed[i] == nil and {["$nil"] = true} or packed[i], list[i]) then
      return false
    end
  end
  return true
end

-- A message of the library's own without a script's line: the path says where it is.
local function without_place(message)
  return (tostring(message):gsub("^[^\n:]+:%d+: ", ""))
end

-- Calls the class.
local function make(class, path, arguments, n)
  local ok, result = pcall(function() return class(table.unpack(arguments, 1, n)) end)
  if ok then return result end
  fail(path, "cannot be made with its arguments: %s",
       is_own(class) and without_place(result) or tostring(result))
end

-- Takes out what a table or module has and the description has not.
local function clear(path, t, described, own)
  for _, key in ipairs(sorted_keys(t)) do
    if described[key] == nil then
      if own then fail(path, "has no field %s, which the arguments of its module make", key) end
      rawset(t, key, nil)
    end
  end
end

--- Gives a plain table the items of a packed one.
-- @param path of it
-- @param packed table
-- @param before what is there: the table, if it is a plain one
-- @param own whether it is in a module of the library's own
-- @return table
function Builder:table(path, packed, before, own)
  local value = is_plain(before) and not self.taken[before] and before or {}
  self.taken[value] = true
  check_names(packed, path)
  clear(path, value, packed, own)
  for key, item in next, packed do
    value[key] = self:value(below(path, key), item, value[key], own)
  end
  return value
end

--- The value of a field that was packed, of any kind.
-- @param path of it
-- @param packed value
-- @param before what is there
-- @param own as in `table`
-- @return value
function Builder:unpacked(path, packed, before, own)
  if type(packed) ~= "table" then return packed end
  packed = pack.items(packed, path)
  local tag, inner = pack.tag(packed)
  if tag then return known(self, path, tag, inner, before) end
  return self:table(path, packed, before, own)
end

--- The value of a field that was packed; in a module of the library's own it is of the kind of what
-- is there.
-- @param path of it
-- @param packed value
-- @param[opt] before what is there
-- @param[opt] own as in `table`
-- @return value
function Builder:value(path, packed, before, own)
  local value = self:unpacked(path, packed, before, own)
  if own then check_kind(path, value, before) end
  return value
end

local function check_field(class, path, name, packed)
  local tag = type(packed) == "table" and pack.tag(packed)
  if classes.method(class, name) then
    fail(path, "has a field %s, which hides the method of %s", name, class.class_name)
  elseif name:byte() == 95 and tag ~= "$module" and tag ~= "$tensor" then
    fail(path, "has a private field %s; a tensor or module expected", name)
  elseif name == "training" and type(packed) ~= "boolean" then
    fail(path, "has the mode training = %s; true or false expected", check.shown(packed))
  end
end

-- Has a list of layers check what it has got.
local function check_layers(path, module)
  local layers = {}
  for _, key in ipairs(sorted_keys(module)) do
    if math.type(key) == "integer" then layers[key] = module[key] end
  end
  local ok, message = pcall(module.init, module, layers)
  if not ok then fail(path, "does not fit: %s", without_place(message)) end
end

--- Gives a module the fields of its description, and no others but private ones.
-- @param path of it
-- @param module
-- @param node what is written of it
function Builder:fill(path, module, node)
  local class, by_key = getmetatable(module), {}
  for _, name in ipairs(words.sorted_keys(node.fields)) do
    local packed = node.fields[name]
    if packed == nil then fail(path, "has a list of fields; a table by name expected") end
    check_field(class, path, name, packed)
    by_key[math.tointeger(name) or name] = packed
  end
  local own = is_own(class)
  clear(path, module, by_key, own)
  for _, key in ipairs(sorted_keys(by_key)) do
    rawset(module, key, self:value(below(path, key), by_key[key], rawget(module, key), own))
  end
  if classes.is_made_of_fields(module) then check_layers(path, module) end
  for key, packed in next, by_key do -- second names, once what they name is there
    if type(key) == "string" and key:byte() == 95 then
      rawset(module, key, self:value(below(path, key), packed))
    end
  end
end

--- Whether a module that is there already is the one that is described.
-- @param module anything
-- @param path in the description
-- @return boolean
function Builder:fits(module, path)
  if not is_module(module) or self.taken[module] or self.begun[path] then return false end
  local node, list = node_of(self, path), classes.arguments(module)
  return list ~= nil and rawequal(getmetatable(module), class_of(path, node.class))
    and same_arguments(self, node.arguments, list)
end

--- Takes a module for that of a path.
-- @param path in the description
-- @param module
-- @return the module
function Builder:start(path, module)
  self.begun[path], self.taken[module], self.built[path] = true, true, module
  self:fill(path, module, node_of(self, path))
  return module
end

--- The module of a path.
-- @param path in the description
-- @param[opt] before what stands in the place of the module
-- @return module
function Builder:module(path, before)
  local node = not self.built[path] and node_of(self, path)
  if not node then return self.built[path] end
  if self.depth == DEEPEST then fail(path, "lies inside of more than %d modules", DEEPEST) end
  self.depth = self.depth + 1
  local module = self:new(path, node, before)
  self.depth = self.depth - 1
  return module
end

--- The module that is there already if it is the one, or a new one.
-- @param path in the description
-- @param node what is written of it
-- @param[opt] before what stands in the place of the module
-- @return module
function Builder:new(path, node, before)
  if self:fits(before, path) then return self:start(path, before) end
  if self.begun[path] then fail(path, "is among its own arguments") end
  self.begun[path] = true
  local class, arguments, n = class_of(path, node.class), {}, #node.arguments
  for i = 1, n do
    arguments[i] = argument(self, below(path, "_arguments." .. i), node.arguments[i])
  end
  return self:start(path, make(class, path, arguments, n))
end

--
-- Bounds
--

local function measure(tensors)
  local bytes = 0
  for _, tensor in next, tensors do bytes = bytes + tensor:numel() * BYTES end
  return bytes
end

local function count(t)
  local n = 0
  for _ in next, t do n = n + 1 end
  return n
end

local function finish(random, limit, ok, ...)
  core.memory_limit(limit)
  core.set_random_state(random)
  if not ok then error(..., 0) end
  return ...
end

-- Calls f(...) with bounds that suit so many modules and the tensors; the stream of random numbers
-- goes on as if nothing had been drawn.
local function bounded(modules, tensors, f, ...)
  local random, limit = core.random_state(), core.memory_limit()
  local most = core.memory().live_bytes + SPARE_BYTES + TIMES * measure(tensors)
  core.memory_limit(limit > 0 and math.min(limit, most) or most)
  return finish(random, limit,
                classes.at_most(SPARE_MODULES + TIMES * modules, pcall, f, ...))
end

--- Makes what was packed, with its networks. The tensors themselves become fields; nothing is
-- written into them, and they are not marked as parameters. Raises an error that names the path of
-- what does not fit.
-- @param document the description, as `Description:finish` gives it
-- @param tensors by name
-- @param make_all function(module), where module(path) gives the module of a path
-- @return what make_all gives
function rebuild.with(document, tensors, make_all)
  rebuild.check(document)
  local builder = setmetatable({
    modules = document.modules, roles = document.tensors, tensors = tensors,
    built = {}, -- path -> module
    begun = {}, -- paths of modules that are made or being made
    depth = 0,
    taken = {}, -- modules and tables that have their place
  }, Builder)
  return bounded(count(document.modules), tensors, make_all, function(path)
    return builder:module(path)
  end)
end

--- Marks the parameters.
-- @param document the description
-- @param tensors by name
-- @param trained whether those that were trained shall be trained on
function rebuild.mark(document, tensors, trained)
  for name, role in next, document.tensors do
    local tensor = tensors[name]
    if tensor and role ~= "buffer" then
      fields.mark(tensor)
      if trained and role == "parameter" then tensor:requires_grad_(true) end
    end
  end
end

--
-- Proof
--

local function compare(path, was, is)
  local wanted = function(value) return is_tensor(value) or is_module(value) end
  local before, after = fields.collect(was, wanted), fields.collect(is, wanted)
  for i = 1, math.max(#before, #after) do
    local a, b = before[i], after[i]
    if not (a and b and a.name == b.name) then
      local name = a and a.name or b.name
      fail(below(path, name), "would not be the same once it is loaded")
    elseif is_tensor(a.value) and not rawequal(a.value, b.value)
      or not rawequal(getmetatable(a.value), getmetatable(b.value)) then
      fail(below(path, a.name), "would be another once it is loaded")
    end
  end
end

--- Makes the networks of a description again, as a trial; raises an error if they are not the same.
-- @param description
-- @param document what its `finish` gave
function rebuild.try(description, document)
  rebuild.with(document, description.tensors, function(module)
    for _, entry in ipairs(description.found) do
      compare(entry.path, entry.module, module(entry.path))
    end
  end)
end

return rebuild
