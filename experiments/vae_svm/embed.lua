--- Points of many dimensions in two: t-SNE (van der Maaten and Hinton 2008).
--
-- With p_ij how near two points are among their neighbours, and q_ij the same of their images
-- under a Student distribution, it moves the images down the gradient of sum p log(p / q),
-- 4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2). All pairs are looked at, so some
-- thousands of points are the most.

local pl = require "perilune"

local embed = {}

local TINY <const> = 1e-12

-- Squared distances of all pairs of rows, real [n, n].
local function distances(x)
  local squares = x:square():sum(2, true)
  return (squares + squares:t() - x:matmul(x:t()) * 2):clamp(0)
end

-- 1 off the diagonal, 0 on it.
local function off_diagonal(n)
  local index = pl.arange(1, n, "int32")
  return index:reshape(-1, 1):ne(index:reshape(1, -1)):to("real")
end

-- Conditional probabilities p_j|i with a width for each row at which their entropy is that of
-- `perplexity` equal neighbours, found by bisection of all rows at once.
local function conditionals(d, mask, perplexity)
  local n, target = #d, math.log(perplexity)
  local low, high = pl.full({n, 1}, -30), pl.full({n, 1}, 30) -- logarithms of 1 / (2 width^2)
  for _ = 1, 40 do
    low, high = pl.tidy(function()
      local middle = (low + high) * 0.5
      local scaled = d * pl.exp(middle)
      local logits = pl.where(mask, -scaled, -1e30)
      local p = logits:softmax(2)
      local entropy = logits:logsumexp(2, true) + (p * scaled):sum(2, true)
      local wide = entropy:gt(target) -- too many neighbours: narrower
      return pl.where(wide, middle, low), pl.where(wide, high, middle)
    end)
  end
  return pl.where(mask, d * -pl.exp((low + high) * 0.5), -1e30):softmax(2)
end

local function step(y, velocity, p, mask, rate, momentum)
  local near = mask / (distances(y) + 1)
  local q = near / near:sum()
  local force = (p - q) * near
  local gradient = (y * force:sum(2, true) - force:matmul(y)) * 4
  local moved = velocity * momentum - gradient * rate
  local next_y = y + moved
  return next_y - next_y:mean(1, true), moved
end

--- Places points in the plane so that neighbours stay neighbours.
-- @param x real [n, d]
-- @param options `perplexity` (30), how many neighbours a point has; `steps` (500); `seed`
-- @return real [n, 2]
function embed.tsne(x, options)
  local o = options or {}
  local steps, n = o.steps or 500, #x
  local perplexity = math.min(o.perplexity or 30, (n - 1) / 3)
  return pl.tidy(pl.no_grad, function()
    pl.manual_seed(o.seed or 1)
    local mask = off_diagonal(n)
    local p = pl.tidy(function()
      local one = conditionals(distances(x), mask:ne(0), perplexity)
      return ((one + one:t()) / (2 * n)):clamp(TINY)
    end)
    local y, velocity = pl.randn(n, 2) * 1e-2, pl.zeros(n, 2)
    local rate = math.max(n / 12, 50)
    for i = 1, steps do
      local early = i <= steps // 4
      y, velocity = pl.tidy(function()
        return step(y, velocity, early and p * 12 or p, mask, rate, early and 0.5 or 0.8)
      end)
    end
    return y
  end)
end

return embed
