-- Writes the page of PyTorch's and Torch7's names: perilune scripts/names.lua > docs/names.md
-- All that it says comes from lua/perilune/help/torch.lua, which the error of an unknown name reads
-- too, and from what the program has.
local core = require "perilune.core"
local pl = require "perilune"
local torch = require "perilune.help.torch"

local function say(...)
  io.write(string.format(...), "\n")
end

-- How a name of the engine is called: as a function, as a method, or as a field.
local function place_of(name)
  local is_function, is_method = rawget(pl, name) ~= nil, rawget(core.methods, name) ~= nil
  if is_function and is_method then return "both" end
  return is_function and "function" or "method"
end

local function present()
  local places = {both = {}, ["function"] = {}, method = {}}
  for name in torch.same:gmatch "[%w_]+" do
    local list = places[place_of(name)]
    list[#list + 1] = ("`%s`"):format(name)
  end
  say("## The same\n")
  say("These have PyTorch's name and meaning, but that everything counts from 1; dims and options")
  say("may be given by name, `x:sum {dim = 1, keepdim = true}`.\n")
  say("Functions and methods, `pl.exp(x)` and `x:exp()`: %s.\n", table.concat(places.both, ", "))
  say("Functions, `pl.cat(list)`: %s.\n", table.concat(places["function"], ", "))
  say("Methods and fields, `x:item()`: %s.\n", table.concat(places.method, ", "))
end

local function names_of(row)
  local list = {}
  for i, name in ipairs(row.names) do list[i] = ("`%s`"):format(name) end
  return table.concat(list, ", ")
end

local function section(key, title)
  local absent = {}
  say("## %s\n", title)
  if torch.present[key] then
    say("The same: %s.\n", (torch.present[key]:gsub("%s+$", ""):gsub("%s+", ", "):gsub("[%w_]+", "`%0`")))
  end
  say("| PyTorch, Torch7 | here |\n|---|---|")
  for _, row in ipairs(torch.rows(key)) do
    if row.write then say("| %s | %s |", names_of(row), row.write:gsub("|", "\\|"))
    else absent[#absent + 1] = row end
  end
  say("")
  if #absent == 0 then return end
  say("| absent | why |\n|---|---|")
  for _, row in ipairs(absent) do say("| %s | %s |", names_of(row), row.why) end
  say("")
end

say("# Names: from PyTorch and Torch7\n")
say("<!-- Written by scripts/names.lua; do not edit. -->\n")
say("A name that is written otherwise here raises an error which says what to write, and so does one")
say("that is absent; `help \"shape\"` says it too. In this page `x` is a tensor, `net` a module,")
say("`opt` an optimiser. Methods of PyTorch that end in `_` and are not listed are absent: write")
say("`x = x:abs()`, or `x:copy_(x:abs())` inside `no_grad`.\n")
present()
for _, entry in ipairs(torch.sections) do section(entry.key, entry.title) end
