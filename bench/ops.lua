--- A table of all ops: perilune bench/ops.lua [--seconds S] [--csv FILE] [OP...]
--
-- Walks the op table. Each op runs on the first sample of its row with all sizes multiplied by a
-- power of two, until it takes milliseconds or four million numbers (some samples cannot grow);
-- printed are microseconds of the op and of its gradient, and their arithmetic and memory traffic
-- by formula per second. Views cost nothing but their call.

local pl = require "perilune"
local core = require "perilune.core"
local samples = require "perilune.testing.samples"

local MOST <const> = 4 * 1024 * 1024
local SLOW <const> = 0.003

local seconds, csv, names, i = 0.1, nil, {}, 1
while arg[i] do
  if arg[i] == "--help" then
    print("usage: perilune bench/ops.lua [--seconds S] [--csv FILE] [OP...]")
    return
  elseif arg[i] == "--seconds" then
    seconds, i = assert(tonumber(arg[i + 1]), "--seconds needs a number"), i + 1
  elseif arg[i] == "--csv" then
    csv, i = assert(arg[i + 1], "--csv needs a file"), i + 1
  elseif pl.op(arg[i]) then
    names[#names + 1] = arg[i]
  else
    error(("unknown op '%s'; pl.ops() lists them"):format(arg[i]), 0)
  end
  i = i + 1
end
if #names == 0 then names = pl.ops() end

-- The first sample at a scale: text, a function that calls the op, the inputs. Fails where the
-- op refuses the sizes or they are too many.
local function sample(row, scale)
  local text, inputs, wanted, attributes = samples.each(row, scale)()
  local total = 0
  for k, t in ipairs(inputs) do
    total = total + t:numel()
    if wanted[k] and row.differentiable then inputs[k] = t:requires_grad_() end
  end
  assert(total <= MOST, "too large")
  local function call() return samples.call(row, inputs, attributes) end
  local result = call()
  assert(not pl.is_tensor(result) or result:numel() <= MOST, "too large")
  return {text = text, inputs = inputs, call = call}
end

-- The elements of all inputs of the first sample at a scale, without making them.
local function elements(row, scale)
  local total = 0
  for sizes in row.samples:match "[^;]+":gmatch "%[([%d,]*)%]" do
    local n = 1
    for d in sizes:gmatch "%d+" do n = n * tonumber(d) * scale end
    total = total + n
  end
  return total
end

-- Twice as large as long as the op allows it, the elements are few, and a call takes no longer
-- than some milliseconds.
local function largest(row)
  local best, scale
  for power = 0, 20 do
    if power > 0 and elements(row, 1 << power) > MOST then break end
    local ok, found = pcall(sample, row, 1 << power)
    if not ok then break end
    best, scale = found, 1 << power
    local began = core.clock()
    pl.tidy(pl.no_grad, found.call)
    if core.clock() - began > SLOW then break end
  end
  return assert(best, row.name .. ": its sample does not run"), scale
end

local function repeat_for(f)
  pl.tidy(f)
  pl.profile.start()
  local began = core.clock()
  repeat pl.tidy(f) until core.clock() - began >= seconds
  return pl.profile.stop().ops
end

local function find(ops, name)
  for _, op in ipairs(ops) do
    if op.name == name then return op end
  end
end

local function sum_of(...)
  local sum
  for _, y in ipairs {...} do
    if y.requires_grad then sum = sum and sum + y:sum() or y:sum() end
  end
  return sum
end

local lines = {"op,scale,us,gflops,gbs,gradient_us,gradient_gflops,gradient_gbs"}
local function cells(op)
  if not op then return "", "", "" end
  local s = op.seconds / op.calls
  return ("%.2f"):format(1e6 * s), ("%.1f"):format(op.flops / op.seconds / 1e9),
         ("%.1f"):format(op.bytes / op.seconds / 1e9)
end

print(("%-34s %10s %8s %7s %12s %8s %7s  %s"):format("op", "us", "GFLOP/s", "GB/s", "gradient us",
  "GFLOP/s", "GB/s", "sample, sizes times"))
pl.manual_seed(1)
for _, name in ipairs(names) do
  local row = pl.op(name)
  local found, scale = largest(row)
  local forward = find(repeat_for(function() pl.no_grad(found.call) end), name)
  local gradient
  if row.differentiable then
    gradient = find(repeat_for(function()
      local sum = sum_of(found.call())
      local x, other = table.unpack(found.inputs)
      if sum then pl.grad(sum, x.requires_grad and x or other) end
    end), name .. ", gradient")
  end
  local a, b, c = cells(forward)
  local d, e, f = cells(gradient)
  print(("%-34s %10s %8s %7s %12s %8s %7s  %s, %d"):format(name, a, b, c, d, e, f, found.text,
    scale))
  lines[#lines + 1] = table.concat({name, scale, a, b, c, d, e, f}, ",")
end
if csv then assert(core.write_file(csv, table.concat(lines, "\n") .. "\n")) end
