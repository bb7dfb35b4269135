--- Learning and measuring without gradients.
-- @module perilune.learn

local learn = {
  frechet = require "perilune.learn.frechet",
}

return learn
