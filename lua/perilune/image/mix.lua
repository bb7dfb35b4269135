--- Batches whose images are mixed with one another (internal; use `perilune.image`).
-- @module perilune.image.mix

local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local core = require "perilune.core"
local option = require "perilune.internal.option"

local mix = {}

local OPTIONS <const> = {alpha = 1}

local function uniform() return 1 - core.rand(1):item() end -- above 0

-- Of shape a: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS
-- 26(3), 2000. Those of a shape below 1 come from one above.
local function gamma(a)
  if a < 1 then return gamma(a + 1) * uniform() ^ (1 / a) end
  local d = a - 1 / 3
  local c = 1 / math.sqrt(9 * d)
  while true do
    local x = core.randn(1):item()
    local v = (1 + c * x) ^ 3
    if v > 0 and math.log(uniform()) < x * x / 2 + d - d * v + d * math.log(v) then return d * v end
  end
end

local function beta(a)
  local x, y = gamma(a), gamma(a)
  return x + y > 0 and x / (x + y) or 0.5
end

local function read_alpha(who, options)
  local alpha = option.read(who, options, OPTIONS).alpha
  if not math.type(alpha) or not (alpha > 0 and alpha <= 1000) then
    complain("%s: alpha: a number above 0, at most 1000, expected, got %s", who, check.shown(alpha))
  end
  return alpha
end

local function describe(t)
  return ("%s[%s]"):format(t:dtype(), table.concat(t:size(), ","))
end

local function check_batch(who, x, y)
  check.tensor(who, x)
  check.tensor(who, y)
  if x:dim() < 3 or x:size(1) < 1 then
    complain("%s: images are %s; a batch [n,h,w], [n,h,w,c] or [n,c,h,w] expected", who,
      describe(x))
  end
  if y:size(1) ~= x:size(1) then
    complain("%s: images are %s, labels %s; as many of both expected", who, describe(x),
      describe(y))
  end
end

-- Labels of classes stay, beside those of the other images and the weight; real ones are mixed.
local function finish(x, y, others, weight)
  if y:dtype() == "real" then return x, y * weight + others * (1 - weight) end
  return x, y, others, weight
end

--- Mixes each image of a batch with another one: weight times the one, 1 - weight times the other
-- (Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018).
--
--     local mixed, a, b, weight = pl.image.mixup(x, y, {alpha = 0.2})
--     local z = net(mixed)
--     local loss = weight * pl.cross_entropy(z, a) + (1 - weight) * pl.cross_entropy(z, b)
-- @param x a real batch, in any layout
-- @param y its labels: int32 [n], or real ones [n, ...], such as probabilities of classes
-- @param options `alpha` (1): the weight is drawn from the distribution Beta(alpha, alpha)
-- @return the mixed batch; and of int32 labels y, the labels of the other images, and the weight of
--   the first; of real ones the mixed labels
function mix.mixup(x, y, options)
  local alpha = read_alpha("mixup", options)
  check_batch("mixup", x, y)
  if x:dtype() ~= "real" then
    complain("mixup: images are %s; real ones expected", describe(x))
  end
  local weight, order = beta(alpha), core.randperm(x:size(1))
  local mixed = x * weight + core.index_select(x, order, 1) * (1 - weight)
  return finish(mixed, y, core.index_select(y, order, 1), weight)
end

-- From where on so many of n pixels are within the image, of those around a random one.
local function span(n, length)
  local middle = core.randint(0, n - 1, {1}):item()
  local first = math.max(middle - length // 2, 0)
  local last = math.min(middle + length - length // 2, n)
  return first + 1, last - first
end

-- The dims of lines and columns: channels are first or last, as in the other functions.
local function plane_dims(x)
  local size = x:size()
  local first = size[2] == 1 or size[2] == 3 or size[2] == 4
  local last = size[4] == 1 or size[4] == 3 or size[4] == 4
  if #size == 4 and first and not (last and x:dtype() == "uint8") then return 3, 4 end
  return 2, 3
end

--- Puts a part of another image into each image of a batch, at one place (Yun et al., "CutMix:
-- regularization strategy to train strong classifiers with localizable features", ICCV 2019).
--
--     local mixed, a, b, weight = pl.image.cutmix(x, y)
--     local z = net(mixed)
--     local loss = weight * pl.cross_entropy(z, a) + (1 - weight) * pl.cross_entropy(z, b)
-- @param x a batch [n,h,w], [n,h,w,c] or [n,c,h,w]
-- @param y its labels: int32 [n], or real ones [n, ...], such as probabilities of classes
-- @param options `alpha` (1): the share of the part is drawn from the distribution Beta(alpha,
--   alpha)
-- @return the mixed batch; and of int32 labels y, the labels of the other images, and the weight of
--   the first, which is the share of the pixels that stayed; of real ones the mixed labels
function mix.cutmix(x, y, options)
  local alpha = read_alpha("cutmix", options)
  check_batch("cutmix", x, y)
  local line, column = plane_dims(x)
  local h, w = x:size(line), x:size(column)
  local side, order = math.sqrt(1 - beta(alpha)), core.randperm(x:size(1))
  local top, height = span(h, math.floor(h * side))
  local left, width = span(w, math.floor(w * side))
  local mixed = x:detach():clone()
  if height > 0 and width > 0 then
    local others = core.index_select(x:detach(), order, 1)
    local function part(t) return t:slice(line, top, height):slice(column, left, width) end
    part(mixed):copy_(part(others))
  end
  return finish(mixed, y, core.index_select(y, order, 1), 1 - height * width / (h * w))
end

return mix
