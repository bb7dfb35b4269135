--- Classes of modules by name, and with what each module was made (internal): what is needed to
-- make it again.
-- @module perilune.nn.classes

local complain = require("perilune.internal.blame").complain

local classes = {}

local named = {} -- name -> the latest class of that name
local of_scripts = setmetatable({}, {__mode = "k"}) -- the classes that scripts have made
local ARGUMENTS <const> = {} -- the key of a module's arguments, which no script has
local of_fields = {} -- functions `init` whose modules are nothing but their fields
local left -- how many modules may still be made; nil: any number

--- Notes a class under its name; of two with the same name the latest counts.
-- @param name string
-- @param class
function classes.add(name, class)
  named[name], of_scripts[class] = class, true
end

--- Forgets the classes that there are: those of the library, which are found in `perilune.nn`.
function classes.begin()
  named = {}
  for class in next, of_scripts do of_scripts[class] = nil end
end

--- Whether a script has made a class.
-- @param class anything
-- @return boolean
function classes.is_of_script(class)
  return of_scripts[class] ~= nil
end

--- The class of a name: the library's own, or else the latest that a script has made.
-- @param name anything
-- @return class, or nil
function classes.find(name)
  local own = type(name) == "string" and rawget(require "perilune.nn", name)
  if classes.is_class(own) then return own end
  return named[name]
end

--- Whether a value is a class whose modules are made by a call of it.
-- @param value anything
-- @return boolean
function classes.is_class(value)
  local meta = type(value) == "table" and rawget(value, "class_name") and getmetatable(value)
  return meta and rawget(meta, "__call") ~= nil or false
end

--- The method of a class or of one above it.
-- @param class
-- @param name
-- @return function, or nil
function classes.method(class, name)
  while type(class) == "table" do
    local value = rawget(class, name)
    if value ~= nil then return type(value) == "function" and value or nil end
    class = rawget(getmetatable(class) or {}, "__index")
  end
end

--
-- Arguments
--

-- A copy of what a script may change later: plain tables; modules and tensors are themselves.
local function copied(value, seen)
  if type(value) ~= "table" or getmetatable(value) then return value end
  if seen[value] then return seen[value] end
  local copy = {}
  seen[value] = copy
  for key, inner in next, value do copy[key] = copied(inner, seen) end
  return copy
end

--- Says that modules with this `init` are made again by `init {}` and their fields alone, as lists
-- of layers are.
-- @param init function
function classes.made_of_fields(init)
  of_fields[init] = {n = 1, {}}
end

--- Whether a module is made again so.
-- @param self module
-- @return boolean
function classes.is_made_of_fields(self)
  return of_fields[self.init] ~= nil
end

--- Notes the arguments that a module is made with.
-- @param self module, before its `init`
-- @param ... the arguments
function classes.note(self, ...)
  if left then
    left = left - 1
    if left < 0 then complain("%s: more modules than the file accounts for", self.class_name) end
  end
  local arguments = of_fields[self.init]
  if not arguments then
    arguments = table.pack(...)
    for i = 1, arguments.n do arguments[i] = copied(arguments[i], {}) end
  end
  self[ARGUMENTS] = arguments
end

--- The arguments that a module was made with.
-- @param self module
-- @return list with `n`, not to be changed; nil for one that its class did not make
function classes.arguments(self)
  return rawget(self, ARGUMENTS)
end

local function restored(before, ...)
  left = before
  return ...
end

--- Calls a function within which only so many modules may be made.
-- @param n integer
-- @param f function, which raises no error
-- @param ... its arguments
-- @return its results
function classes.at_most(n, f, ...)
  local before = left
  left = math.min(n, before or n)
  return restored(before, f(...))
end

return classes
