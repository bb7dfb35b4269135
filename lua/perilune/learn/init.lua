--- Learning and measuring without gradients: support vector machines, inductive and
-- transductive, and the distance between sets of features.
-- @module perilune.learn

local learn = {
  frechet = require "perilune.learn.frechet",
  svm = require "perilune.learn.svm",
}

return learn
