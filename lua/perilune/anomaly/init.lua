--- Where a NaN or an infinity arises.
-- @module perilune.anomaly

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local module = require "perilune.nn.module"

local anomaly = {}

-- A function that gives the line and the module that run a number, and of a number the text.
local function places()
  local texts, known = {}, {}
  return function(number)
    if number then return texts[number] end
    local line, inner = blame.place() or "", module._innermost() or false
    known[line] = known[line] or {}
    if not known[line][inner] then
      local where = inner and " in " .. module._place() or ""
      texts[#texts + 1] = ("at %s%s"):format(line, where)
      known[line][inner] = #texts
    end
    return known[line][inner]
  end
end

--- Calls f(...) and looks at what each op gives, forward and backward: the first one whose result
-- has a NaN or an infinity is an error, which names the op, the line of the script, the module, and
-- what its inputs were like. An infinity that comes of one in an attribute, or in an input that is
-- no parameter, is none, for masks of attention have them. All is computed as without it, but
-- slowly. What is changed in place, as by optimisers, is seen where it is used.
--
--     pl.detect_anomaly(function()
--       pl.cross_entropy(net(x), y):backward()
--     end)
--     -- detect_anomaly: sqrt gave an infinity in the gradient of x, in the backward pass; it was
--     -- called at net.lua:12 in Net.norm Norm(); x real[8,1] is finite; ...
-- @param f function; a backward pass is followed through the calls of f and of those before
-- @param ... its arguments
-- @return what f gives
function anomaly.detect_anomaly(f, ...)
  if type(f) ~= "function" and not module.is_module(f) then
    blame.complain("detect_anomaly: function expected, got %s", check.type(f))
  end
  return core.anomaly.call(places(), f, ...)
end

return anomaly
