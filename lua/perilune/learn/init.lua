--- Learning and measuring without gradients: support vector machines, inductive and
-- transductive, and the distance between sets of features.
-- @module perilune.learn

local unknown = require "perilune.internal.unknown"

local learn = {
  frechet = require "perilune.learn.frechet",
  svm = unknown.guard("pl.learn.svm", require "perilune.learn.svm"),
}

return unknown.guard("pl.learn", learn)
