--- Tables of options (internal).
-- @module perilune.internal.option

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local itself = require("perilune.internal.object").itself
local unwrapped = check.unwrapped
local sorted_keys = require("perilune.internal.words").sorted_keys

local option = {}

--- Marks an option that has to be given, and one without a default.
option.required = setmetatable({}, {__name = "required option"})
option.absent = setmetatable({}, {__name = "option without a default"})

--- A copy of `defaults`, overridden by the options given; a tensor without dims stands for its
-- number. An unknown option raises an
-- error that lists the known ones.
-- @param who the function's name, for messages
-- @param given table of options or nil
-- @param defaults table that has every option; `option.required` and `option.absent` mark
--   those without a default
-- @return table
function option.read(who, given, defaults)
  if given ~= nil and type(given) ~= "table" then
    complain("%s: options: table expected, got %s", who, check.type(given))
  end
  local result = {}
  for name, value in next, defaults do
    local mark = itself(value)
    if not rawequal(mark, option.required) and not rawequal(mark, option.absent) then
      result[name] = value
    end
  end
  for _, name in ipairs(sorted_keys(given or {})) do
    if defaults[name] == nil then
      complain("%s: unknown option '%s'; known: %s", who, name,
               table.concat(sorted_keys(defaults), ", "))
    end
    result[name] = unwrapped(given[name])
  end
  for _, name in ipairs(sorted_keys(defaults)) do
    if rawequal(itself(defaults[name]), option.required) and result[name] == nil then
      complain("%s: option '%s' is missing", who, name)
    end
  end
  return result
end

return option
