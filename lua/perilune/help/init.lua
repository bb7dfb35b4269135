--- Help in the prompt. `help()`, `help(pl.nn.Linear)`, `help "conv2d"`, `help(net)`.
--
-- Everything that it says comes from the table of ops and from doc comments, those of the
-- user's own files too.
-- @module perilune.help

local core = require "perilune.core"
local itself = require("perilune.internal.object").itself
local unknown = require "perilune.internal.unknown"
local words = require "perilune.internal.words"
local doc = require "perilune.help.doc"
local entries = require "perilune.help.entries"
local groups = require "perilune.help.groups"
local names = require "perilune.help.names"
local page = require "perilune.help.page"
local torch = require "perilune.help.torch"
local perilune = require "perilune"

local help = {}

local function public_name(value)
  return names.by_value(true)[value]
end

--
-- Functions
--

local function param_text(param)
  if param.default then
    return ("%s (default %s)"):format(param.text, param.default):match("^%s*(.*)$")
  end
  return param.text ~= "" and param.text or param.optional and "optional" or ""
end

local function add_results(p, returns)
  if #returns == 1 then return p:words("Result", {returns[1].text}) end
  local rows = {}
  for i, result in ipairs(returns) do rows[i] = {tostring(i), result.text} end
  p:section("Results", rows)
end

local function add_entry(p, entry, path)
  p:heading(entry.signature or doc.signature(entry, path or entry.name))
  p:prose(entry.text)
  local rows = {}
  for i, param in ipairs(entry.params) do rows[i] = {param.name, param_text(param)} end
  p:section("Arguments", rows)
  add_results(p, entry.returns)
  local lines = entry.signature and entries.example(entry.name)
  if not lines then return end
  p:heading "Example"
  p:prose(("\n" .. lines):gsub("\n", "\n    "):sub(2))
end

local function entry_page(entry)
  local p = page.new()
  add_entry(p, entry, entry.kind == "method" and entry.owner .. ":" .. entry.name or nil)
  return p
end

local function place(f)
  local info = debug.getinfo(f, "S")
  return ("%s:%d"):format(info.short_src, info.linedefined)
end

local MANUAL <const> = "https://www.lua.org/manual/5.4/manual.html#pdf-"

-- A function of Lua itself; its manual describes it.
local function lua_page(path)
  local p = page.new()
  p:heading(path)
  p:prose("Part of Lua: " .. MANUAL .. path)
  return p
end

local function function_page(f)
  local p, path = page.new(), public_name(f)
  local entry = entries.of(f, path)
  if not entry and path then return lua_page(path) end
  if not entry then
    p:prose "A function of C without documentation."
    return p
  end
  add_entry(p, entry, path)
  if entry.text == "" then
    p:prose(("%s: no doc comment (lines that begin with --- above it)."):format(place(f)))
  end
  return p
end

--
-- Classes and objects
--

-- The documented methods that a class has itself.
local function own_methods(class)
  local rows = {}
  for _, key in ipairs(words.sorted_keys(class)) do
    local f = rawget(class, key)
    local entry = type(f) == "function" and key:sub(1, 2) ~= "__" and doc.of(f)
    local is_method = entry and (entry.kind == "method" or entry.arguments[1] == "self")
    if is_method and entry.text ~= "" then
      rows[#rows + 1] = {doc.signature(entry), entry.summary}
    end
  end
  return rows
end

-- The documented methods of a class, or those in the file of an __index function.
local function methods_of(index)
  if type(index) ~= "function" then return own_methods(index) end
  local rows = {}
  for i, entry in ipairs(doc.methods(index)) do rows[i] = {doc.signature(entry), entry.summary} end
  return rows
end

local function parent_of(class)
  local meta = debug.getmetatable(class)
  local index = meta and rawget(meta, "__index")
  return type(index) == "table" and not rawequal(index, class) and index or nil
end

-- The names of the methods that the classes above have.
local function add_inherited(p, class)
  class = parent_of(class)
  while class do
    local list = {}
    for i, row in ipairs(own_methods(class)) do list[i] = row[1]:match("^[%w_]+") end
    local name = public_name(class) or rawget(class, "class_name") or "its class"
    p:words("Methods of " .. name, list)
    class = parent_of(class)
  end
end

local function class_page(class)
  local p, path, entry = page.new(), public_name(class), doc.class(class)
  if entry then
    add_entry(p, entry, path)
  else
    p:heading(path or rawget(class, "class_name"))
  end
  p:section("Methods", own_methods(class))
  add_inherited(p, class)
  return p
end

-- A table or userdata with a metatable: what its class says, or its methods.
local function object_page(object)
  local meta = debug.getmetatable(object)
  local index = rawget(meta, "__index")
  if names.is_class(index) then return class_page(index) end
  local p, name = page.new(), rawget(meta, "__name")
  local overview = type(name) == "string" and doc.overview(name)
  local methods = methods_of(index or meta)
  p:heading(type(name) == "string" and name or "An object")
  p:prose(overview and overview.text or "")
  p:section("Methods", methods)
  if #methods == 0 and type(index) == "table" then p:words("Methods", words.sorted_keys(index)) end
  return p
end

--
-- Tensors and parts of the library
--

local TENSOR <const> = [[
A tensor is an array of elements of one dtype, "real", "int32" or "uint8", with up to eight
dimensions. Everything counts from 1, and -1 is the last.

    x = pl.tensor {{1, 2, 3}, {4, 5, 6}}    -- real[2,3]
    x[1]                                    -- the first row
    x[{2, {1, 2}}]                          -- row 2, columns 1 to 2
    x[{{}, 3}] = 0                          -- all rows, column 3
    x * 2 + 1, x:sum(1), pl.sum(x, 1)       -- operators, methods, functions

An element, `x[1][2]`, is a number; while a gradient is recorded for `x` it is a tensor without
dims, which has the gradient too, and `x[1][2]:item()` is the number.

`#x` is the first size, `x.grad` the gradient after `backward`, `x.requires_grad` whether it
has one, `x.is_leaf` whether no op has made it that is recorded. Comparisons of elements are
methods, `a:lt(b)`; `a == b` asks whether both are the same tensor. Functions that make tensors
are listed by help(pl).]]

-- The groups of the engine's functions, with those names that are fields of `owner`.
local function add_groups(p, owner)
  for _, group in ipairs(groups.list(entries.bound_names())) do
    local list = {}
    for _, name in ipairs(group) do
      if entries.find(owner, name) then list[#list + 1] = name end
    end
    p:words(group.title, list)
  end
end

local function tensor_page(tensor)
  local p = page.new()
  p:heading(tensor and tostring(tensor):match("^%S+") or "tensor")
  p:prose(TENSOR)
  add_groups(p, core.methods)
  p:prose 'help "sum" explains one of them.'
  return p
end

local function part_page(module)
  local p, path = page.new(), public_name(module) or names.module(module)
  local overview = doc.overview(names.module(module))
  local rows = {functions = {}, classes = {}, others = {}}
  p:heading(path)
  p:prose(overview and overview.text or "")
  for _, key in ipairs(words.sorted_keys(module)) do
    local value = rawget(module, key)
    local entry = key:byte() ~= 95 and entries.of(value, path .. "." .. key)
    local kind = type(value) == "function" and "functions"
      or names.is_class(value) and "classes" or "others"
    if entry then table.insert(rows[kind], {key, entry.summary}) end
  end
  p:section("Classes", rows.classes)
  p:section("Functions", rows.functions)
  p:section("Fields", rows.others)
  return p
end

local function parts()
  local rows = {}
  names.public(true) -- loads all of them
  for _, key in ipairs(words.sorted_keys(perilune)) do
    local module = names.module(rawget(perilune, key))
    local overview = module and doc.overview(module)
    if overview then rows[#rows + 1] = {"pl." .. key, overview.summary} end
  end
  return rows
end

local function library_page()
  local p = page.new()
  p:heading "pl"
  p:prose(doc.overview("perilune").text)
  p:section("Parts", parts())
  add_groups(p, perilune)
  return p
end

local function guide()
  local p = page.new()
  p:heading "Perilune: tensors, gradients and networks in Lua"
  p:section("Try this first", {
    {"x = pl.randn(5, 4)", "a tensor of random numbers"},
    {"x:mean(1)", "the mean of each column"},
    {"net = pl.nn.Linear(4, 2)", "a layer"},
    {"net(x)", "what it makes of x"},
    {"net(x):sum():backward()", "gradients"},
    {"net.weight.grad", "one of them"},
  })
  p:section("Parts of the library", parts())
  p:section("More", {
    {"help(pl)", "all functions of the engine, in groups"},
    {"help(pl.nn)", "a part of the library"},
    {"help(pl.conv2d)", 'a function; also help "conv2d"'},
    {'help "tensor"', "what tensors can do"},
    {"help(net)", "whatever you have: a network, a tensor, a function of your own"},
  })
  return p
end

--
-- Finding by name
--

-- Names in one form: no `pl.` in front, and points for colons.
local function plain(name)
  return (name:gsub(":", "."):gsub("^perilune%.", ""):gsub("^pl%.", ""))
end

-- The public value of a name: the whole name goes before its last part.
local function find_public(name)
  local list = names.public(true)
  for _, public in ipairs(list) do
    if plain(public.path) == name then return public.value end
  end
  for _, public in ipairs(list) do
    if plain(public.path):sub(-#name - 1) == "." .. name then return public.value end
  end
end

-- The method of an object of the library: by "Panel.line" or, without its owner, by "line".
local function find_method(name)
  for _, entry in ipairs(entries.methods()) do
    local whole = entry.owner .. "." .. entry.name
    if whole:lower() == name:lower() or entry.name == name then return entry end
  end
end

--- The names that can stand in `help "name"`.
-- @return sorted list
function help.names()
  local set = {}
  for _, public in ipairs(names.public(true)) do
    local entry = entries.of(public.value, public.path)
    if entry and entry.text ~= "" then set[plain(public.path)] = true end
  end
  for _, name in ipairs(entries.bound_names()) do set[name] = true end
  for _, entry in ipairs(entries.methods()) do set[entry.owner .. "." .. entry.name] = true end
  return words.sorted_keys(set)
end

-- How far a name is from what was asked for; nil if it is too far.
local function distance(asked, name)
  name = name:lower()
  if name:find(asked, 1, true) then return 0 end
  local last = name:match "[%w_]+$"
  local d = math.min(words.edit_distance(asked, name), words.edit_distance(asked, last))
  return d <= math.max(1, #asked // 3) and d or nil
end

-- The names that were perhaps meant, the nearest first.
local function suggestions(asked)
  local list, distances = {}, {}
  for _, name in ipairs(help.names()) do
    distances[name] = distance(asked:lower(), name)
    if distances[name] then list[#list + 1] = name end
  end
  table.sort(list, function(a, b)
    if distances[a] ~= distances[b] then return distances[a] < distances[b] end
    return #a < #b or #a == #b and a < b
  end)
  return list
end

-- What PyTorch or Torch7 calls so.
local function foreign_page(name)
  for _, section in ipairs(torch.sections) do
    local row = torch.find(section.key, name:match "[%w_]+$" or "")
    if row then
      local p = page.new()
      p:prose(("%s of PyTorch or Torch7: %s."):format(name, row.write and "write " .. row.write
        or "absent, " .. row.why))
      return p
    end
  end
end

local function unknown_page(name)
  local p, list = page.new(), name ~= "" and suggestions(name) or {}
  local also = #list > 0 and ("Did you mean %s?"):format(words.abbreviate(list, 6))
    or "help() shows what there is."
  p:prose(("Nothing is called '%s'. %s"):format(name, also))
  return p
end

local page_of

local function named_page(name)
  local bare = plain(name:match("^%s*(.-)%s*$"))
  if name == "tensor" then return tensor_page() end
  local value = bare ~= "" and find_public(bare)
  if value then return page_of(value) end
  local entry = entries.bound(bare:match("^[tT]ensor%.([%w_]+)$") or bare) or find_method(bare)
  if entry then return entry_page(entry) end
  for _, public in ipairs(names.lua()) do
    if public.path == name then return lua_page(name) end
  end
  return foreign_page(bare) or unknown_page(name)
end

--
-- Any value
--

local function other_page(value)
  local p = page.new()
  local path = type(value) == "table" and public_name(value) or nil
  local entry = path and entries.of(value, path)
  if entry then
    add_entry(p, entry, path)
    return p
  end
  p:heading(path or "A value of type " .. type(value))
  p:prose('help() shows what there is; help(f) explains a function, help(net) a network, '
    .. 'help "name" what has that name.')
  return p
end

function page_of(value)
  value = itself(value)
  local kind = type(value)
  if kind == "string" then return named_page(value) end
  if kind == "function" then return function_page(value) end
  if perilune.is_tensor(value) then return tensor_page(value) end
  if rawequal(value, perilune) then return library_page() end
  if names.module(value) then return part_page(value) end
  if names.is_class(value) then return class_page(value) end
  if (kind == "table" or kind == "userdata") and debug.getmetatable(value) then
    return object_page(value)
  end
  return other_page(value)
end

local function page_for(...)
  return select("#", ...) == 0 and guide() or page_of((...))
end

--- What `help` would print, as plain text.
-- @param ... what to explain: a function, class, network, tensor, part of the library or a
--   name as a string; nothing: a short guide
-- @return string
function help.text(...)
  return page_for(...):render(80)
end

--- Prints an explanation, as wide as the terminal; headings are bold there. `help(x)` is
-- short for it.
-- @param ... what to explain, as in `help.text`
function help.show(...)
  local bold = core.isatty(1) and os.getenv "TERM" ~= "dumb"
  print(page_for(...):render(math.min(core.terminal_width(), 100), bold))
end

return unknown.guard("pl.help", setmetatable(help, {
  __call = function(_, ...) help.show(...) end,
  __tostring = function() return "help() shows what there is; help(x) explains x" end,
}))
