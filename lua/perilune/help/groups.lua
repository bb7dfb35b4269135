--- The functions and methods of the engine by what they are for, in the order in which `help` and
-- the reference page list them. Which group a name belongs to is said where it is defined: in its
-- row of the op table, or in the table of functions of the binding.
-- @module perilune.help.groups

local core = require "perilune.core"

local groups = {}

--- Sorts names into the groups.
-- @param names list of functions and methods
-- @return list of lists of names with a field `title`
function groups.list(names)
  local known, list = {}, {}
  for _, name in ipairs(names) do known[name] = true end
  for _, row in ipairs(core.groups) do
    local group = {title = row.title}
    for _, name in ipairs(row) do
      if known[name] then group[#group + 1] = name end
      known[name] = nil
    end
    list[#list + 1] = group
  end
  return list
end

return groups
