--- The Fréchet distance, against closed forms.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local frechet = pl.learn.frechet
local double = pl.real == "double"

local state
function T.setUp()
  state = pl.random_state()
  pl.manual_seed(1)
end
function T.tearDown() pl.set_random_state(state) end

-- Inputs are rounded to real, the distance is computed in double.
local function near(got, want, what)
  local limit = (double and 1e-11 or 2e-6) * math.max(1, want)
  lu.assertTrue(math.abs(got - want) <= limit, ("%s: %.12g, expected %.12g"):format(what, got, want))
end

-- Rows s[j] and -s[j] along axis j alone: mean 0, variance 2 s[j]^2 / (2d - 1), no covariance.
local function axes(s)
  local rows = {}
  for j, v in ipairs(s) do
    for _, sign in ipairs {1, -1} do
      local row = {}
      for k = 1, #s do row[k] = k == j and sign * v or 0 end
      rows[#rows + 1] = row
    end
  end
  return pl.tensor(rows)
end

function T.test_same_and_shifted()
  for _, d in ipairs {1, 5, 40} do
    local a = pl.randn(1000, d)
    near(frechet(a, a), 0, "the same")
    near(frechet(a, a:index_select(pl.randperm(1000), 1)), 0, "other order of rows")
    near(frechet(a, a + 3), 9 * d, "shifted")
  end
end

function T.test_diagonal_covariances()
  local s, t = {1, 2, 0.5, 3}, {2, 2, 4, 0.25}
  local want, factor = 0, 2 / 7
  for j = 1, 4 do want = want + factor * (s[j] - t[j]) ^ 2 end
  near(frechet(axes(s), axes(t)), want, "diagonal")
  local shift = pl.tensor {1, -2, 0.5, 0}
  near(frechet(axes(s) + shift, axes(t)), want + 5.25, "diagonal and shifted")
end

function T.test_scaled()
  local a = pl.randn(300, 6)
  local centred = a - a:mean(1)
  local trace = centred:square():sum():item() / 299
  near(frechet(centred, centred * 3), 4 * trace, "three times as wide")
end

-- The root of a 2 x 2 matrix M has trace sqrt(tr M + 2 sqrt(det M)).
local function two_by_two(x)
  local c = (x - x:mean(1)):totable()
  local xx, xy, yy = 0, 0, 0
  for _, r in ipairs(c) do xx, xy, yy = xx + r[1] * r[1], xy + r[1] * r[2], yy + r[2] * r[2] end
  local n = #c - 1
  return xx / n, xy / n, yy / n
end

function T.test_two_features()
  local mix = pl.tensor {{1, 0.7}, {-0.3, 2}}
  local a, b = pl.randn(50, 2):matmul(mix), pl.randn(70, 2) + 1
  local p, q, r = two_by_two(a)
  local u, v, w = two_by_two(b)
  local product = p * u + 2 * q * v + r * w
  local root = math.sqrt(product + 2 * math.sqrt((p * r - q * q) * (u * w - v * v)))
  local means = (a:mean(1) - b:mean(1)):square():sum():item()
  near(frechet(a, b), means + p + r + u + w - 2 * root, "two features")
  near(frechet(b, a), frechet(a, b), "the other way round")
end

-- Fewer rows than features, constant features, and directions that only one set has.
function T.test_rank_deficient()
  local line, other = {}, {}
  for i = 1, 4 do
    local t = {-3, -1, 1, 3}
    line[i] = {t[i], 2 * t[i], 0, 0, 0, 7}
    other[i] = {0, 0, t[i], 0, t[i], 7}
  end
  local a, b = pl.tensor(line), pl.tensor(other)
  near(frechet(a, b), 20 / 3 * (5 + 2), "orthogonal lines")
  near(frechet(a, a * pl.tensor {2, 2, 1, 1, 1, 1}), 20 / 3 * 5, "the same line")
  near(frechet(a, pl.tensor {line[1], line[1]}), 20 / 3 * 5 + 9 * 5, "a point")
end

function T.test_views()
  local a, b = pl.randn(30, 4), pl.randn(50, 4)
  local turned = a:t():contiguous():t()
  near(frechet(turned, b), frechet(a, b), "transposed in memory")
  near(frechet(a:slice(1, 1, 15, 2), b), frechet(a:slice(1, 1, 15, 2):contiguous(), b), "strided")
end

function T.test_errors()
  local a, b = pl.randn(5, 3), pl.randn(4, 3)
  local function fails(message, ...)
    local ok, got = pcall(frechet, ...)
    lu.assertFalse(ok)
    lu.assertStrContains(got, message)
  end
  fails("frechet: a is real[1,3], expected at least 2 rows", pl.ones(1, 3), a)
  fails("frechet: a is real[5,3], b real[4,2]: 3 features against 2", a, pl.ones(4, 2))
  fails("frechet: a is real[3], expected real[rows,features]", pl.ones(3), a)
  fails("frechet: b is int32[4,3], expected real[rows,features]", a, pl.ones({4, 3}, "int32"))
  fails("frechet: b is real[4,0], expected 1 to 20000 features", a, pl.zeros(4, 0))
  b[3] = pl.tensor {1, 0 / 0, 2}
  fails("frechet: b is real[4,3]: row 3 has NaN in column 2", a, b)
  b[3] = pl.tensor {1, 2, -math.huge}
  fails("frechet: b is real[4,3]: row 3 has -inf in column 3", a, b)
  local _, message = pcall(function() local d = frechet(a, b) return d end)
  lu.assertStrContains(message, "test_frechet.lua:")
end

return T
