--- How scripts load text in a host with a policy (internal): load, loadfile, dofile, require.
-- @module perilune.internal.policy.chunks

local core = require "perilune.core"
local files = require "perilune.internal.policy.files"
local views = require "perilune.internal.policy.views"

local load_any, rawget, require_own = load, rawget, require
local text = files.text
local chunks = {}

--- As Lua's load, for text alone.
function chunks.load(chunk, name, mode, ...)
  if mode ~= nil and not text("load", 3, mode):find("t", 1, true) then
    return nil, ("attempt to load a text chunk (mode is '%s')"):format(mode)
  end
  return load_any(chunk, name, "t", ...)
end

-- The text of a file without its first line if that is for the shell, and its name.
local function text_of(path, io)
  if path == nil then return io.read "a", "=stdin" end
  local bytes <const>, message <const> = core.read_file(text("loadfile", 1, path))
  if not bytes then return nil, message end
  return bytes:gsub("^#[^\n]*", "", 1), "@" .. path
end

local function file_loader(io)
  return function(path, mode, ...)
    local chunk <const>, name <const> = text_of(path, io)
    if not chunk then return nil, name end
    return chunks.load(chunk, name, mode, ...)
  end
end

--
-- require
--

local function is_library(name)
  return name == "perilune" or name:find "^perilune%." ~= nil
end

-- perilune, its parts, and parts of these under the names that they have there; not what they are
-- made of.
local function is_public(name)
  if name == "perilune.core" or name == "perilune.sources" or name == "perilune.internal" then
    return false
  end
  if name == "perilune" or name:find "^perilune%.%a+$" then return true end
  local owner <const>, field <const> = name:match "^(perilune%.%a+)%.(%a+)$"
  local part <const> = owner and is_public(owner) and require_own(owner)
  return type(part) == "table" and rawget(part, field) == require_own(name)
end

-- package.searchpath
local function search_path(name, path, separator, replacement)
  separator, replacement = separator or ".", replacement or "/"
  if separator ~= "" then
    name = name:gsub(separator:gsub("%W", "%%%0"), (replacement:gsub("%%", "%%%%")))
  end
  local tried = {}
  for template in path:gmatch "[^;]+" do
    local file <const> = template:gsub("?", (name:gsub("%%", "%%%%")))
    if file ~= "" and core.file_size(file) then return file end
    tried[#tried + 1] = "no file '" .. file .. "'"
  end
  return nil, table.concat(tried, "\n\t")
end

local function new_package()
  return {
    config = package.config, cpath = "", loaded = {}, path = "./?.lua;./?/init.lua", preload = {},
    searchpath = function(name, path, ...)
      return search_path(text("searchpath", 1, name), text("searchpath", 2, path), ...)
    end,
  }
end

-- The function that makes a module of the script's, and what it is called with.
local function loader_of(given, load_file, name)
  if given.preload[name] then return given.preload[name], ":preload:" end
  local path <const>, tried <const> = search_path(name, text("require", 1, given.path))
  if not path then
    error(("module '%s' not found:\n\tno field package.preload['%s']\n\t%s"):format(
      name, name, tried), 3)
  end
  local f <const>, message <const> = load_file(path)
  if not f then
    error(("error loading module '%s' from file '%s':\n\t%s"):format(name, path, message), 3)
  end
  return f, path
end

local function requirer(given, load_file, prepare)
  local loaded <const> = given.loaded
  return function(name)
    if loaded[text("require", 1, name)] then return loaded[name] end
    if is_library(name) then
      if not is_public(name) then error(("module '%s' is the library's own"):format(name), 2) end
      prepare()
      loaded[name] = views.shown(require_own(name))
      return loaded[name]
    end
    local f <const>, path <const> = loader_of(given, load_file, name)
    local value <const> = f(name, path)
    if value ~= nil then loaded[name] = value
    elseif loaded[name] == nil then loaded[name] = true end
    return loaded[name], path
  end
end

--- What scripts have in the place of Lua's functions.
-- @param io the table of the library
-- @param prepare function, called before the library is given to a script
-- @return table of globals by name
function chunks.for_scripts(io, prepare)
  local load_file <const>, given <const> = file_loader(io), new_package()
  local function do_file(path)
    local f <const>, message <const> = load_file(path)
    if not f then error(message, 0) end
    return f()
  end
  return {load = chunks.load, loadfile = load_file, dofile = do_file, package = given,
          require = requirer(given, load_file, prepare)}
end

--- What the library has: its own modules are those that it loads, all others the script's.
-- @param scripts what `for_scripts` gave
-- @return table of globals by name
function chunks.for_library(scripts)
  return {
    load = chunks.load, loadfile = scripts.loadfile,
    package = setmetatable({loaded = package.loaded}, {__index = scripts.package}),
    require = function(name)
      return (is_library(name) and require_own or scripts.require)(name)
    end,
  }
end

return chunks
