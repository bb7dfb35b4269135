--- Doc comments: reads what stands above functions and classes in Lua files, for `help` and
-- for the reference page.
--
-- A doc comment is a block of comment lines that begins with three dashes, right above what
-- it describes. Its text is followed by `@param name text`, `@param[opt] name text` or
-- `@param[opt=default] name text` for each argument, and by `@return text` for each result.
-- The first block of a file describes the module.
-- @module perilune.help.doc

local blame = require "perilune.internal.blame"
local object = require "perilune.internal.object"
local sources = require "perilune.sources"

local doc = {}

--
-- Parsing
--

-- The lines of a block that starts at line i, without dashes, and the line after it.
local function read_block(lines, i)
  local block = {}
  repeat
    block[#block + 1] = lines[i]:match("^%s*%-%-%-? ?(.-)%s*$")
    i = i + 1
  until not lines[i] or not lines[i]:find("^%s*%-%-")
  return block, i
end

local function new_param(rest)
  local option, name, words = rest:match("^(%b[])%s+([%w_.]+)%s*(.*)$")
  if not option then name, words = rest:match("^%s+([%w_.]+)%s*(.*)$") end
  if not name then return nil end
  local default = option and option:match("^%[opt=(.*)%]$")
  return {name = name, text = words, optional = option ~= nil, default = default}
end

local function add_tag(entry, line)
  local tag, rest = line:match("^@(%a+)(.*)$")
  if tag == "param" then
    local param = new_param(rest)
    entry.params[#entry.params + 1] = param
    return param
  elseif tag == "return" then
    local result = {text = rest:match("^%s*(.*)$")}
    entry.returns[#entry.returns + 1] = result
    return result
  elseif tag == "module" then
    entry.module = rest:match("%S+")
  end
end

-- The first sentence.
local function summary_of(text)
  local paragraph = text:match("^(.-)\n%s*\n") or text
  paragraph = paragraph:gsub("%s+", " ")
  return paragraph:match("^(.-[.!])%s+%u") or paragraph
end

local function read_comment(block)
  local entry, text, tag = {params = {}, returns = {}}, {}, nil
  local in_tags = false
  for _, line in ipairs(block) do
    if line:find("^@%a") then
      in_tags, tag = true, add_tag(entry, line)
    elseif not in_tags then
      text[#text + 1] = line
    elseif tag then
      tag.text = (tag.text .. " " .. line:match("^%s*(.*)$")):match("^%s*(.*)$")
    end
  end
  entry.text = table.concat(text, "\n"):match("^%s*\n?(.-)%s*$")
  entry.summary = summary_of(entry.text)
  return entry
end

local function list_of(names)
  local list = {}
  for name in (names or ""):gmatch("[%w_.]+") do list[#list + 1] = name end
  return list
end

-- What an assignment makes: "class", "function" with its arguments, or "value".
local function kind_of(value)
  if value:find("^[%w_.]*class%s*%(?%s*[\"']") then return "class" end
  local arguments = value:match("^function%s*(%b())")
  if arguments then return "function", list_of(arguments) end
  return "value"
end

-- Fills in what the text right below a comment declares; false if it declares nothing.
local function read_declaration(entry, text)
  if text:find("^%s*\n") then return false end
  local loop = text:match("^%s*for [^\n]* do%s*\n") -- that defines functions of one kind
  if loop then
    entry.line, text = entry.line + 1, text:sub(#loop + 1)
  end
  local path, method, arguments = text:match("^%s*function%s+([%w_.]+):([%w_]+)%s*(%b())")
  if path then
    entry.kind, entry.owner, entry.name = "method", path:match("([%w_]+)$"), method
    entry.arguments = list_of(arguments)
    return true
  end
  entry.is_local = text:find("^%s*local%s") and true or nil
  text = text:gsub("^%s*local%s+", "")
  path, arguments = text:match("^%s*function%s+([%w_.]+)%s*(%b())")
  if path then
    entry.kind, entry.arguments = "function", list_of(arguments)
  else
    local value
    path, value = text:match("^%s*([%w_.]+)%s*<?%a*>?%s*=%s*(.*)")
    if not path then path, value = text:match("^%s*[%w_.]+%[([%w_.]+)%]%s*=%s*(.*)") end
    if not path then return false end
    entry.kind, entry.arguments = kind_of(value)
  end
  entry.owner, entry.name = path:match("^(.-)%.?([%w_]+)$")
  return true
end

local function split_lines(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do lines[#lines + 1] = line end
  return lines
end

--- Reads the doc comments of a file.
-- @param text of the file
-- @return list of entries: tables with `kind` ("module", "function", "method", "class" or
--   "value"), `name`, `owner` (what stands before the name), `is_local`, `line`, `summary`,
--   `text`, `params` and `returns` (lists of tables with `text`; of parameters also `name`,
--   `optional` and `default`), and `arguments`, the names in the declaration
function doc.parse(text)
  local lines, entries, i = split_lines(text), {}, 1
  while lines[i] do
    if lines[i]:find("^%s*%-%-%-%f[^%-]") then
      local block, after = read_block(lines, i)
      local entry = read_comment(block)
      entry.line = after
      if read_declaration(entry, table.concat(lines, "\n", after, math.min(after + 4, #lines)))
        and not entry.module then
        entries[#entries + 1] = entry
      elseif entry.module or #entries == 0 then
        entry.kind, entry.name = "module", entry.module
        entries[#entries + 1] = entry
      end
      i = after
    else
      i = i + 1
    end
  end
  return entries
end

--
-- Finding
--

--- The text of a chunk, as `debug.getinfo(f, "S").source` names it.
-- @param chunk "@file.lua"
-- @return string, or nil if there is no such file
function doc.source(chunk)
  local module = blame.module_of(chunk)
  if module then return sources.read(module) end
  local file = chunk:sub(1, 1) == "@" and io.open(chunk:sub(2))
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local library = {} -- chunk -> entries; a user's own files are read again each time

--- The doc comments of a chunk.
-- @param chunk "@file.lua"
-- @return list of entries; empty if there is no such file
function doc.chunk(chunk)
  return library[chunk] or doc.parse(doc.source(chunk) or "")
end

--- The doc comments of one of the library's modules.
-- @param name "perilune.nn.layers"
-- @return list of entries, or nil and a message
function doc.module(name)
  local chunk = sources.find(name)
  if not chunk then return nil, ("no module '%s' in Perilune"):format(tostring(name)) end
  library[chunk] = library[chunk] or doc.chunk(chunk)
  return library[chunk]
end

--- What describes a module as a whole.
-- @param name "perilune.nn"
-- @return entry or nil
function doc.overview(name)
  local first = (doc.module(name) or {})[1]
  return first and first.kind == "module" and first or nil
end

--- The names of a function's arguments.
-- @param f function of Lua
-- @return list of strings, the last "..." if it takes any number
function doc.arguments(f)
  f = object.written(f)
  local info, names = debug.getinfo(f, "u"), {}
  for i = 1, info.nparams do names[i] = debug.getlocal(f, i) end
  if info.isvararg then names[#names + 1] = "..." end
  return names
end

--- The doc comment of a Lua function.
-- @param f function
-- @return entry; without a comment, one that has only `arguments` and `line`; nil for a
--   function of C
function doc.of(f)
  f = object.written(f)
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return nil end
  for _, entry in ipairs(doc.chunk(info.source)) do
    if entry.line == info.linedefined and entry.kind ~= "module" then return entry end
  end
  return {kind = "function", arguments = doc.arguments(f), line = info.linedefined,
          summary = "", text = "", params = {}, returns = {}}
end

--- The documented methods in the file of a function.
-- @param f a function of Lua, for instance the __index of some objects
-- @return list of entries
function doc.methods(f)
  local list = {}
  for _, entry in ipairs(doc.chunk(debug.getinfo(f, "S").source)) do
    if entry.kind == "method" then list[#list + 1] = entry end
  end
  return list
end

-- The chunks in which functions of a class were written.
local function chunks_of(class)
  local chunks = {}
  for _, value in next, class do
    local info = type(value) == "function" and debug.getinfo(object.written(value), "S")
    if info and info.what ~= "C" then chunks[#chunks + 1] = info.source end
  end
  return chunks
end

local function class_in(entries, name)
  for _, entry in ipairs(entries) do
    local fits = entry.kind == "class" or entry.kind == "value"
    if fits and entry.name == name then return entry end
  end
end

--- The doc comment of a class of modules, found by its name in the files of its functions,
-- then in those of the library.
-- @param class what `nn.class` gave
-- @return entry or nil
function doc.class(class)
  local name = rawget(class, "class_name")
  for _, chunk in ipairs(chunks_of(class)) do
    local entry = class_in(doc.chunk(chunk), name)
    if entry then return entry end
  end
  for _, module in ipairs(sources.modules) do
    local entry = class_in(doc.module(module), name)
    if entry then return entry end
  end
end

--- How a documented thing is written: `Linear(n_in, n_out [, options])`.
-- @param entry from `doc.parse`
-- @param[opt] name to use instead of its own
-- @return string
function doc.signature(entry, name)
  name = name or entry.name or "function"
  if entry.kind == "value" or entry.kind == "module" then return name end
  local names, optional = {}, {}
  for i, param in ipairs(entry.params) do
    names[i], optional[param.name] = param.name, param.optional
  end
  if entry.arguments then names = entry.arguments end
  local text, brackets = "", 0
  for i, argument in ipairs(names) do
    local comma = i > 1 and ", " or ""
    if optional[argument] then
      comma, brackets = (i > 1 and " [" or "[") .. comma, brackets + 1
    end
    text = text .. comma .. argument
  end
  text = text .. ("]"):rep(brackets)
  return ("%s(%s)"):format(name, text)
end

return doc
