-- The bits of a result do not depend on the number of threads.

local lu = require "luaunit"
local pl = require "perilune"
local samples = require "perilune.testing.samples"

local T = {}

-- Equal, or NaN in both.
local function same_bits(a, b)
  local both_nan = a:isnan():to("real") * b:isnan():to("real")
  return a:eq(b):to("real"):maximum(both_nan):all():item() == 1
end

-- The results of an op, and its gradients.
local function run(row, inputs, wanted, attributes, seed)
  pl.manual_seed(seed)
  local leaves, arguments = {}, {}
  for i, t in ipairs(inputs) do
    arguments[i] = wanted[i] and t:detach():clone():requires_grad_() or t:clone()
    if wanted[i] and row.differentiable then leaves[#leaves + 1] = arguments[i] end
  end
  local results = {samples.call(row, arguments, attributes)}
  local list, sum = {}, nil
  for i, y in ipairs(results) do
    list[i] = y:detach()
    if y.requires_grad then
      local part = (y * pl.linspace(-1, 1, y:numel()):reshape(y:size())):sum()
      sum = sum and sum + part or part
    end
  end
  if sum and #leaves > 0 then
    for _, g in ipairs(pl.grad(sum, leaves)) do
      if g then list[#list + 1] = g end
    end
  end
  return list
end

local count

local function check(row, text, inputs, wanted, attributes, scale)
  local was = pl.threads()
  pl.threads(1)
  local ok, one = pcall(run, row, inputs, wanted, attributes, 1)
  lu.assertTrue(ok or scale > 1, not ok and row.name .. ": " .. tostring(one))
  for n = 2, ok and 3 or 0 do
    pl.threads(n)
    for i, t in ipairs(run(row, inputs, wanted, attributes, 1)) do
      lu.assertTrue(same_bits(t, one[i]), ("%s, %s, sizes times %d, result %d: %d threads"):format(
        row.name, text, scale, i, n))
      count = count + 1
    end
  end
  pl.threads(was)
end

-- Small samples are done by one thread anyway; those that cannot grow (a size is also an attribute)
-- are left out when they are multiplied.
local function walk(scale)
  count = 0
  for _, name in ipairs(pl.ops()) do
    local row = pl.op(name)
    pl.manual_seed(7)
    for text, inputs, wanted, attributes in samples.each(row, scale) do
      pl.tidy(check, row, text, inputs, wanted, attributes, scale)
    end
  end
  return count
end

function T.test_every_op() lu.assertTrue(walk(1) > 1400) end
function T.test_every_op_larger() lu.assertTrue(walk(5) > 200) end

-- Products of sizes that OpenBLAS and our own kernels share among themselves.
function T.test_products()
  local was = pl.threads()
  pl.manual_seed(3)
  for _, size in ipairs {{20, 200, 800}, {64, 400, 120}, {3, 500, 700}, {130, 70, 90}, {257, 129, 65}} do
    local m, k, n = table.unpack(size)
    local a, b = pl.randn(m, k), pl.randn(k, n)
    pl.threads(1)
    local one = a:matmul(b)
    for threads = 2, 4 do
      pl.threads(threads)
      lu.assertTrue(same_bits(a:matmul(b), one), ("%d x %d x %d: %d threads"):format(m, k, n, threads))
    end
  end
  pl.threads(was)
end

return T
