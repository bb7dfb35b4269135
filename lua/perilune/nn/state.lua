--- States: tables of tensors by name, compared with what a module has (internal; use
-- `load_state_dict` and `nn.from_torch`).
-- @module perilune.nn.state

local pl = require "perilune"
local words = require "perilune.internal.words"

local state = {}

-- Why a tensor cannot get the values of another one, or nil. Integers become real exactly.
local function difference(own, there)
  local here, its = own:dtype(), there:dtype()
  if words.shape(own) ~= words.shape(there) then
    return ("%s here, %s there"):format(words.shape(own), words.shape(there))
  elseif here ~= its and here ~= "real" then
    return ("%s here, %s there"):format(here, its)
  end
end

--- Compares a state with the tensors of a module. A tensor that has several names needs one of
-- them; all that the state has must have the same values.
-- @param own list of {name = , value = tensor}
-- @param given table of tensors by name
-- @return table of lists: `missing` and `unexpected` names, and `mismatched`, names with the reason
function state.compare(own, given)
  local report = {missing = {}, unexpected = {}, mismatched = {}}
  local known, first = {}, {}
  local function mismatch(name, why)
    report.mismatched[#report.mismatched + 1] = ("%s (%s)"):format(name, why)
  end
  for _, entry in ipairs(own) do
    local name, value, there = entry.name, entry.value, given[entry.name]
    known[name] = true
    local why = pl.is_tensor(there) and difference(value, there)
    if why then
      mismatch(name, why)
    elseif pl.is_tensor(there) and first[value] and not given[first[value]]:equal(there) then
      mismatch(name, ("one tensor with %s here, other values there"):format(first[value]))
    end
    if pl.is_tensor(there) then first[value] = first[value] or name end
  end
  for _, entry in ipairs(own) do
    if not first[entry.value] then report.missing[#report.missing + 1] = entry.name end
  end
  for _, name in ipairs(words.sorted_keys(given)) do
    if not known[name] then report.unexpected[#report.unexpected + 1] = name end
  end
  return report
end

local function all(list)
  return table.concat(list, ", ")
end

--- What does not fit, as a text for a message.
-- @param report of `compare`
-- @param[opt] join function(list) that makes a text of names; all of them are named by default
-- @return string, or nil if all fits
function state.text(report, join)
  join = join or all
  local parts = {}
  for _, part in ipairs {{"missing ", report.missing}, {"unexpected ", report.unexpected},
                         {"other shapes: ", report.mismatched}} do
    if #part[2] > 0 then parts[#parts + 1] = part[1] .. join(part[2]) end
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

--- Copies what fits: the values of tensors of the same name and shape.
-- @param own list of {name = , value = tensor}
-- @param given table of tensors by name
function state.copy(own, given)
  pl.no_grad(function()
    for _, entry in ipairs(own) do
      local there = given[entry.name]
      if pl.is_tensor(there) and not difference(entry.value, there) then
        entry.value:copy_(there)
      end
    end
  end)
end

return state
