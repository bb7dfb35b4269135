--- Modules of other experiments (internal).
-- @module perilune.experiment.use

local complain = require("perilune.internal.blame").complain

local loaded = {} -- path -> what the file gave

local run

-- A `require` that looks into a folder first.
local function require_in(folder)
  return function(name)
    local path = package.searchpath(name, folder .. "?.lua")
    if path then return run(path) end
    return require(name)
  end
end

function run(path)
  if loaded[path] == nil then
    local env = setmetatable({require = require_in(path:match "^.*/" or "")}, {__index = _G})
    local result = assert(loadfile(path, "t", env))(path)
    loaded[path] = result == nil or result
  end
  return loaded[path]
end

-- The path of Lua's files with the folders above those in it: "runs/mine/?.lua" becomes
-- "runs/?.lua". Of "./?.lua" there is none by name.
local function folders_above(path)
  return (path:gsub("[^;]+;?", function(template)
    local above, folder, rest = template:match "^(.-)([^/]+)/(%?.*)$"
    return folder and not folder:find "^%.%.?$" and above .. rest or ""
  end))
end

-- A link is followed before "..", which a host with a policy does not allow at all.
local function find(name)
  return package.searchpath("../" .. name, package.path, "")
      or package.searchpath(name, folders_above(package.path), "")
end

--- See `perilune.experiment.use`.
-- @param name "lenet5/judge"
-- @return what the module gives
return function(name)
  local path = type(name) == "string" and find(name)
  if not path then
    complain("use: there is no %s.lua beside the folder of the script", tostring(name))
  end
  return run(path)
end
