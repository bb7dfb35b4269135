--- How far one set of features lies from another, as samples of a generator are judged.
-- @module perilune.learn.frechet

local core = require "perilune.core"
local blaming = require("perilune.internal.blame").blaming

--- The squared Fréchet distance between the normal distributions that have the means and the
-- covariances (divided by n - 1) of the rows of two sets of features:
-- |mean_a - mean_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) (Dowson and Landau 1982; Heusel et al.
-- 2017 for images). Its unit is that of the features, squared. Computed in double precision.
-- @param a features [n, d], real and finite, at least 2 rows
-- @param b features [m, d]
-- @return number
local function frechet(a, b)
  local distance = blaming(core.frechet, a, b)
  return distance
end

return frechet
