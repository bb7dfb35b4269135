--- What is said of a call of a method that an object does not have, `net:paramters()` (internal).
-- Lua's message names the method and not the object, so all methods of the library are looked
-- through.
-- @module perilune.help.slip

local core = require "perilune.core"
local doc = require "perilune.help.doc"
local sources = require "perilune.sources"
local words = require "perilune.internal.words"

local function methods()
  local set = {}
  for name in next, core.methods do set[name] = true end
  for _, module in ipairs(sources.modules) do
    for _, entry in ipairs(doc.module(module) or {}) do
      if entry.kind == "method" and entry.name:byte() ~= 95 then set[entry.name] = true end
    end
  end
  return words.sorted_keys(set)
end

--- The message of Lua with the method that was perhaps meant.
-- @param message string
-- @return string
return function(message)
  local name = message:match "attempt to call a nil value %(method '([%w_]+)'%)"
  local meant = name and words.nearest(name, methods())
  if not meant or meant == name then return message end
  return ("%s; did you mean '%s'?"):format(message, meant)
end
