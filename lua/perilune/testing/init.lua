--- Checks of what one has written: of the gradients of ops, by their samples.
--
--     pl.load_ops "./libmine.so"
--     pl.testing.check_op "mine.squash"   -- raises where a gradient is wrong
-- @module perilune.testing

local complain = require("perilune.internal.blame").complain
local gradients = require "perilune.testing.gradients"
local pl = require "perilune"
local samples = require "perilune.testing.samples"
local unknown = require "perilune.internal.unknown"

local testing = {}

--- Checks an op, be it of the library or registered at run time, by the samples of its row: no
-- result is NaN; its gradients of first and second order, in random directions, are those of finite
-- differences; and `fused_gradient`, and the gradients by some inputs alone, are those of
-- `gradient`. With reals of single precision finite differences have three digits, in a build with
-- `-Dreal=double` seven. Random numbers come from streams of its own.
-- @param name of the op
-- @return how many samples there are; raises what is not as it should be
function testing.check_op(name)
  local row = type(name) == "string" and pl.op(name)
  if not row then complain("check_op: there is no op '%s'", tostring(name)) end
  local before <const>, n = pl.random_state(), 0
  local _ <close> = setmetatable({}, {__close = function() pl.set_random_state(before) end})
  pl.manual_seed(1)
  for text, inputs, wanted, attributes in samples.each(row) do
    pl.tidy(gradients.check, row, text, inputs, wanted, attributes)
    n = n + 1
  end
  if n == 0 then complain("check_op: %s has no samples", name) end
  return n
end

return unknown.guard("pl.testing", testing)
