--- Constants of src/kernels/conv/algorithm.c, algorithm.h, dispatch.c and gemm/algorithm.c,
-- measured on this processor and printed beside those in use: perilune bench/fit.lua [--seconds S]
--
-- Each time is the best of S seconds (0.1 by default), on one thread unless it says otherwise; run it
-- on a quiet machine. Algorithms are forced by PERILUNE_CONV, PERILUNE_GEMM and PERILUNE_ISA, which a
-- program reads at start, so every series runs in a process of its own.

local pl = require "perilune"
local core = require "perilune.core"

local usage = "usage: perilune bench/fit.lua [--seconds S]"
local seconds, series = 0.1, nil
local i = 1
while arg[i] do
  if arg[i] == "--seconds" then
    seconds, i = assert(tonumber(arg[i + 1]), usage), i + 1
  elseif arg[i] == "--series" then -- what a process of our own is to measure
    series, i = arg[i + 1], i + 1
  else
    print(usage)
    return
  end
  i = i + 1
end

--
-- Times
--

local function best_time(f)
  local best, began = math.huge, core.clock()
  repeat
    local start = core.clock()
    pl.tidy(f)
    best = math.min(best, core.clock() - start)
  until core.clock() - began >= seconds
  return best
end

-- A convolution of n images: c channels of size x size to k, windows of r x r.
local function conv_time(s)
  local x, w = pl.randn(s.n, s.c, s.size, s.size), pl.randn(s.k, s.c, s.r, s.r)
  return best_time(function() pl.conv2d(x, w, nil, {padding = s.r // 2}) end)
end

-- Its gradients behind a pooling, by input and by weight.
local function pooled_time(s)
  local x, w = pl.randn(s.n, s.c, s.size, s.size), pl.randn(s.k, s.c, s.r, s.r)
  local wanted = s.wanted == "input" and x or w
  wanted:requires_grad_()
  local y = pl.conv2d(x, w, nil, {padding = s.r // 2, max_pool = 2, activation = "relu"})
  local g = pl.randn(y:size())
  return best_time(function() pl.grad(y, wanted, {grad_outputs = g, retain_graph = true}) end)
end

local function product_time(s)
  local a, b = pl.randn(s.m, s.k), pl.randn(s.k, s.n)
  return best_time(function() pl.matmul(a, b) end)
end

--
-- Series
--

local lanes <const> = ({generic = 4, avx2 = 8, avx512 = 16})[pl.isa()]
local all = {block = {}, winograd = {}, pooled = {}, products = {}, flat = {}, narrow = {}}
for _, c in ipairs {2, 4, 8, 16, 32, 64} do -- rows too short for vectors, too few images for lanes
  table.insert(all.block, {n = 2, c = c, size = lanes - 1, k = 64, r = 3})
end
for _, n in ipairs {1, 4, 16} do
  for _, c in ipairs {32, 64, 128} do
    for _, size in ipairs {8, 16} do
      table.insert(all.winograd, {n = n, c = c, size = size, k = 64, r = 3})
    end
  end
end
for _, wanted in ipairs {"input", "weight"} do
  for _, r in ipairs {3, 4, 5, 7} do
    table.insert(all.pooled, {n = 32, c = 6, size = 14, k = 16, r = r, wanted = wanted})
  end
end
for _, s in ipairs {48, 64, 80, 96, 128, 160, 192, 256} do
  table.insert(all.products, {m = s, n = s, k = s})
end
for m = 1, 12 do table.insert(all.flat, {m = m, n = 1024, k = 1024}) end
for k = 17, 32, 3 do table.insert(all.narrow, {n = 32, c = 8, size = 12, k = k, r = 3}) end

local timer <const> = {block = conv_time, winograd = conv_time, narrow = conv_time,
                       pooled = pooled_time, products = product_time, flat = product_time}

if series then
  for _, s in ipairs(all[series]) do print(("%.9g"):format(timer[series](s))) end
  return
end

-- The times of a series under some environment.
local function times(name, environment)
  local command = ("%s %q %q --series %s --seconds %g"):format(environment, arg[-1], arg[0], name,
    seconds)
  local list, pipe = {}, assert(io.popen(command))
  for line in pipe:lines() do list[#list + 1] = assert(tonumber(line), line) end
  assert(pipe:close() and #list == #all[name], command .. " failed")
  return list
end

--
-- Fits
--

-- Coefficients with the least squares of relative errors: rows of terms, and what they sum to.
local function fit(rows, sums)
  local n, m = #rows[1], {}
  for a = 1, n do
    m[a] = {}
    for b = 1, n + 1 do
      local sum = 0
      for r, row in ipairs(rows) do sum = sum + row[a] * (row[b] or sums[r]) / sums[r] ^ 2 end
      m[a][b] = sum
    end
  end
  for a = 1, n do -- Gauss and Jordan; the matrix is positive definite
    for b = 1, n do
      local factor = b ~= a and m[b][a] / m[a][a] or 0
      for c = 1, n + 1 do m[b][c] = m[b][c] - factor * m[a][c] end
    end
  end
  local result = {}
  for a = 1, n do result[a] = m[a][n + 1] / m[a][a] end
  return result
end

-- Where the second becomes faster than the first, and stays so; x by position.
local function crossing(first, second, x)
  local at
  for k = #first, 1, -1 do
    if second[k] > first[k] then break end
    at = x(k)
  end
  return at
end

local function show(name, used, measured, what)
  print(("%-26s %10s %12s   %s"):format(name, used, measured and ("%.3g"):format(measured) or "-",
    what))
end

local one <const> = "OMP_NUM_THREADS=1 "

local function round_up(n, to) return (n + to - 1) // to * to end
-- Taps that lie within the image, over all outputs along an axis, with a window of 3 and padding 1.
local function terms(size) return 3 * size - 2 end

-- The value of a constant in a file of src/kernels.
local function in_use(file, name)
  local path = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/../src/kernels/" .. file
  local source = assert(io.open(path))
  local value = source:read "a":match(name .. "%s*=%s*(%d+)")
  source:close()
  return assert(tonumber(value), name)
end

print(("%s, %s\n"):format(pl.isa(), pl.real))
show("constant", "in use", nil, "measured: what it means")

local direct = times("block", one .. "PERILUNE_CONV=direct")
local rows = {}
for k, s in ipairs(all.block) do
  local outputs = s.n * s.k * s.size ^ 2
  rows[k] = {s.n * terms(s.size) ^ 2 * s.c * s.k, outputs, 1}
end
local block = fit(rows, direct)
show("BLOCK_COST", in_use("conv/algorithm.c", "BLOCK_COST"), block[2] / block[1], "multiply-adds that moving an element into a block costs")

rows = {}
for k, s in ipairs(all.winograd) do
  local tiles, c, out = (s.size // 4) ^ 2, round_up(s.c, 2 * lanes), round_up(s.k, 2 * lanes)
  rows[k] = {36 * c * out * s.n * tiles, 36 * c * out, s.n * tiles * 36 * (c + out), 1}
end
local plain = times("winograd", one .. "PERILUNE_CONV=direct")
local fewer = times("winograd", one .. "PERILUNE_CONV=winograd")
local chosen = times("winograd", one)
local winograd = fit(rows, fewer)
show("PL_WINOGRAD_WEIGHT_COST", in_use("conv/algorithm.h", "PL_WINOGRAD_WEIGHT_COST"), winograd[2] / winograd[1], "multiply-adds a weight's transform costs")
show("PL_WINOGRAD_IMAGE_COST", in_use("conv/algorithm.h", "PL_WINOGRAD_IMAGE_COST"), winograd[3] / winograd[1], "the same of an element of an image")

local products = {one = times("products", one .. "PERILUNE_GEMM=blas"),
                  blas = times("products", "PERILUNE_GEMM=blas"),
                  blocked = times("products", "PERILUNE_GEMM=blocked")}
local threads <const> = pl.threads()
local function work(k) return all.products[k].m ^ 3 end
-- the time that threads cost beside their share of the work, as work of one thread
local cost = products.blas[1] - products.one[1] / threads
show("PARALLEL_MIN", in_use("gemm/algorithm.c", "PARALLEL_MIN"), math.max(0, cost) / (1 - 1 / threads) * work(1) / products.one[1],
  "multiply-adds from which on a second thread pays")
show("BLOCKED_MIN", in_use("gemm/algorithm.c", "BLOCKED_MIN"), crossing(products.blas, products.blocked, work),
  "multiply-adds from which on packing pays")
show("FLAT_MAX", in_use("gemm/algorithm.c", "FLAT_MAX"), crossing(times("flat", "PERILUNE_GEMM=blas"), times("flat", "PERILUNE_GEMM=blocked"),
  function(k) return k end), "rows from which on packing pays")

print "\nGradients behind max pooling 2 x 2, microseconds: which window pays (sparse_*_suits)"
local dense = times("pooled", one .. "PERILUNE_CONV=direct")
local sparse = times("pooled", one .. "PERILUNE_CONV=sparse")
local usual = times("pooled", one)
for k, s in ipairs(all.pooled) do
  print(("  %-6s %d x %d   direct %7.0f   sparse %7.0f   as chosen %7.0f"):format(s.wanted, s.r, s.r,
    dense[k] * 1e6, sparse[k] * 1e6, usual[k] * 1e6))
end

print "\nConvolutions 3 x 3, microseconds: whether the cheaper one is chosen"
for k, s in ipairs(all.winograd) do
  print(("  %2d x %3d x %2d x %2d   direct %7.0f   Winograd %7.0f   as chosen %7.0f"):format(s.n, s.c,
    s.size, s.size, plain[k] * 1e6, fewer[k] * 1e6, chosen[k] * 1e6))
end

if pl.isa() == "avx512" then
  print "\nOutput channels beyond NARROW_BYTES, microseconds: whether narrow vectors were faster"
  local narrow, wide = times("narrow", one .. "PERILUNE_ISA=avx2"), times("narrow", one)
  for k, s in ipairs(all.narrow) do
    print(("  %2d   avx2 %6.0f   avx512 %6.0f"):format(s.k, narrow[k] * 1e6, wide[k] * 1e6))
  end
end
