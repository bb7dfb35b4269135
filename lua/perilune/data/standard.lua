--- Standardising by statistics of the training part (internal; use `perilune.data`).
-- @module perilune.data.standard

local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"

local complain = require("perilune.internal.blame").complain
local standard = {}

local function check_features(who, x)
  check.tensor(who, x)
  if x:dim() == 0 then
    complain("%s: %s; [n] or [n, ...] expected", who, entries.describe(x))
  end
end

-- The column that a mask marks first, from 1.
local function first(mask)
  return mask:flatten():to("real"):argmax():item()
end

--- The mean and the standard deviation of each column, without what is missing (NaN).
--
--     local s = data.statistics(train[1])
--     local x = data.standardise(test[1], s)
--     pl.save("model.safetensors", {net = net, statistics = s})
--
-- The deviation is that of the values given, the sum of squares divided by n; of a column whose
-- values are all the same it is 1.
-- @param x tensor [n, ...] of any dtype; it is an error if a column has no values, or infinite ones
-- @return table: `mean` and `std`, real tensors [...]
function standard.statistics(x)
  check_features("statistics", x)
  x = x:detach():to "real"
  local gone = core.isnan(x)
  local count = (1 - gone):sum(1):to "real"
  local function mean(values) return core.where(gone, 0, values):sum(1) / count end
  local mu = mean(x)
  local std = mean((x - mu):pow(2)):sqrt()
  local wrong = 1 - core.isfinite(std)
  if wrong:sum():item() > 0 then
    complain("statistics: column %d of %s has no values, or infinite ones", first(wrong),
      entries.describe(x))
  end
  return {mean = mu, std = core.where(std:eq(0), 1, std)}
end

local function check_statistics(who, x, s)
  check_features(who, x)
  if type(s) ~= "table" or not check.is_tensor(s.mean) or not check.is_tensor(s.std) then
    complain("%s: what data.statistics gave expected, got %s", who, check.shown(s))
  end
  local size, own = x:size(), s.mean:size()
  table.remove(size, 1)
  if table.concat(size, ",") ~= table.concat(own, ",") then
    complain("%s: %s, but the statistics are those of [n%s]", who, entries.describe(x),
      #own > 0 and "," .. table.concat(own, ",") or "")
  end
end

--- The values less the mean, divided by the standard deviation, column by column. What is missing
-- stays so: `nan_to_num(0)` behind it puts the mean there.
-- @param x tensor [n, ...]
-- @param s what `data.statistics` gave
-- @return real tensor [n, ...]
function standard.standardise(x, s)
  check_statistics("standardise", x, s)
  return (x:to "real" - s.mean) / s.std
end

--- The reverse of `data.standardise`, for predictions of standardised targets.
-- @param x tensor [n, ...]
-- @param s what `data.statistics` gave
-- @return real tensor [n, ...]
function standard.unstandardise(x, s)
  check_statistics("unstandardise", x, s)
  return x:to "real" * s.std + s.mean
end

return standard
