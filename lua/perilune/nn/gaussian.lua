--- Normal distributions with independent dimensions, given by their mean and the logarithm of
-- their variance: what variational autoencoders need (Kingma and Welling 2014).
-- @module perilune.nn.gaussian

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"

local gaussian = {}

-- Complains unless these are two real tensors of one shape.
local function check_pair(who, mean, log_var)
  for i, t in ipairs {mean or false, log_var or false} do
    if not check.is_tensor(t) or t:dtype() ~= "real" then
      complain("%s: %s: real tensor expected, got %s", who, i == 1 and "mean" or "log_var",
        check.is_tensor(t) and t:dtype() .. " tensor" or check.type(t or nil))
    end
  end
  local a, b = table.concat(mean:size(), ","), table.concat(log_var:size(), ",")
  if a ~= b then
    complain("%s: mean is real[%s], log_var real[%s]; expected one shape", who, a, b)
  end
end

--- A sample, through which gradients flow to the mean and the variance: mean + std * noise.
-- @param mean real tensor
-- @param log_var real tensor of the same shape
-- @return real tensor of the same shape
function gaussian.rsample(mean, log_var)
  check_pair("rsample", mean, log_var)
  return mean + pl.exp(log_var * 0.5) * pl.randn(mean:size())
end

--- The Kullback-Leibler divergence from the standard normal distribution, for each dimension:
-- (mean^2 + var - log var - 1) / 2, in nats.
-- @param mean real tensor
-- @param log_var real tensor of the same shape
-- @return real tensor of the same shape; its sum over the last dimension is the divergence of
--   the whole distribution
function gaussian.kl_divergence(mean, log_var)
  check_pair("kl_divergence", mean, log_var)
  return (pl.square(mean) + pl.exp(log_var) - log_var - 1) * 0.5
end

return gaussian
