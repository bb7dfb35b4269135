-- Writes the reference page: perilune scripts/reference.lua > docs/reference.md
-- All that it says comes from the table of ops and from the doc comments of the Lua library.
local sorted_keys = require("perilune.internal.words").sorted_keys
local doc = require "perilune.help.doc"
local entries = require "perilune.help.entries"
local groups = require "perilune.help.groups"
local names = require "perilune.help.names"
local sources = require "perilune.sources"

local function say(...)
  io.write(string.format(...), "\n")
end

-- Text of a doc comment: it is Markdown as it is, but for what would start a heading.
local function prose(text)
  if text ~= "" then say("%s\n", (text:gsub("%f[^\n\0]#", "\\#"))) end
end

local function anchor(title)
  return (title:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

--
-- Arguments and results
--

local function param_line(param)
  local extra = param.default and (" (default `%s`)"):format(param.default)
    or param.optional and " (optional)" or ""
  local words = param.text ~= "" and ": " .. param.text or ""
  return ("- `%s`%s%s"):format(param.name, words, extra)
end

local function details(entry)
  for _, param in ipairs(entry.params) do say("%s", param_line(param)) end
  for _, result in ipairs(entry.returns) do say("- returns %s", result.text) end
  if #entry.params + #entry.returns > 0 then say("") end
end

local function thing(entry, name)
  say("#### `%s`\n", entry.signature or doc.signature(entry, name))
  prose(entry.text)
  details(entry)
end

--
-- The engine
--

local function engine_groups()
  local list = {}
  for _, group in ipairs(groups.list(entries.bound_names())) do
    if #group > 0 then list[#list + 1] = group end
  end
  return list
end

local function engine()
  say("## The engine\n")
  prose([[
Names without `tensor:` are functions of `pl`. Those of ops, which take a tensor first, are methods
of tensors too: `pl.sum(x, 1)` and `x:sum(1)` are the same. Arguments after the tensors may be
given by position or, in a table at the end, by name: `x:sum{dim = 1, keepdim = true}`. `name?`
may be left out; `name=value` shows a default.]])
  for _, group in ipairs(engine_groups()) do
    say("### %s\n", group.title)
    for _, name in ipairs(group) do thing(entries.bound(name)) end
  end
end

--
-- The Lua library
--

-- The parts of the library by their public names, in order.
local function parts()
  local list = {}
  for _, entry in ipairs(names.public(true)) do
    local module = names.module(entry.value)
    if module and entry.path ~= "pl" and doc.overview(module) then
      list[#list + 1] = {path = entry.path, module = module, value = entry.value}
    end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  table.insert(list, 1, {path = "pl", module = "perilune", value = require "perilune"})
  return list
end

-- The classes of a part, or its other fields; what the engine has is above.
local function fields(part, classes)
  for _, key in ipairs(sorted_keys(part.value)) do
    local value, path = rawget(part.value, key), part.path .. "." .. key
    local entry = key:byte() ~= 95 and not names.module(value) and entries.of(value, path)
    if entry and not entry.signature and names.is_class(value) == classes then
      thing(entry, path)
    end
  end
end

-- Methods of objects, which may be written in an inner module that is no part itself.
local function methods(part, is_part)
  for _, module in ipairs(sources.modules) do
    local inside = module == part.module or part.path ~= "pl" and not is_part[module]
      and module:sub(1, #part.module + 1) == part.module .. "."
    for _, entry in ipairs(inside and entries.methods(module) or {}) do
      thing(entry, entry.owner .. ":" .. entry.name)
    end
  end
end

local function library()
  say("## The Lua library\n")
  local list, is_part = parts(), {}
  for _, part in ipairs(list) do is_part[part.module] = true end
  for _, part in ipairs(list) do
    say("### %s\n", part.path)
    if part.path ~= "pl" then prose(doc.overview(part.module).text) end
    fields(part, true)
    fields(part, false)
    methods(part, is_part)
  end
end

--
-- The page
--

local function contents()
  say("- [The engine](#the-engine)")
  for _, group in ipairs(engine_groups()) do
    say("  - [%s](#%s)", group.title, anchor(group.title))
  end
  say("- [The Lua library](#the-lua-library)")
  for _, part in ipairs(parts()) do say("  - [%s](#%s)", part.path, anchor(part.path)) end
  say("")
end

say("# Reference\n")
say("<!-- Written by scripts/reference.lua; do not edit. -->\n")
prose(doc.overview("perilune").text)
contents()
engine()
library()
