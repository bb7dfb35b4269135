--- The report of compare.sh: perilune bench/report.lua TIMES FOLDER NAME...
--
-- TIMES has lines of name, who (peer, kept, ours, one: ours on one thread), round, samples per
-- second, peak memory in MiB and MFLOP a sample; those of `start` are starts per second. Prints
-- medians over the rounds; if FOLDER is not empty, leaves compare.csv and compare.png there.

local pl = require "perilune"
local core = require "perilune.core"

local times, folder, names = arg[1], arg[2], table.move(arg, 3, #arg, 1, {})

local function read_times(path)
  local rows = {}
  for line in io.lines(path) do
    local name, who, round, rate, memory, cost = line:match(("(%S+) ?"):rep(6))
    round = math.tointeger(round)
    rows[name] = rows[name] or {}
    rows[name][who] = rows[name][who] or {}
    rows[name][who][round] = {
      rate = tonumber(rate), memory = tonumber(memory), cost = tonumber(cost),
    }
  end
  return rows
end

local function median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local half = #sorted // 2
  return #sorted % 2 == 1 and sorted[half + 1] or (sorted[half] + sorted[half + 1]) / 2
end

local function column(records, field)
  local list = {}
  for i, record in ipairs(records) do list[i] = record[field] end
  return list
end

-- The ratio to the faster peer, round by round.
local function ratios(row)
  local list = {}
  for i, ours in ipairs(row.ours) do
    list[i] = ours.rate / math.max(row.peer[i].rate, row.kept[i].rate)
  end
  return list
end

-- What the threads gain over one, round by round.
local function scaling(row)
  local list = {}
  for i, ours in ipairs(row.ours) do list[i] = ours.rate / row.one[i].rate end
  return list
end

local rows = read_times(times)
local limit = rows.gemm.ours[1].cost * median(column(rows.gemm.ours, "rate")) / 1e3 -- GFLOP/s
local function summary(name)
  local row = rows[name]
  local ratio, ours = ratios(row), median(column(row.ours, "rate"))
  return {
    name = name, peer = median(column(row.peer, "rate")), kept = median(column(row.kept, "rate")),
    ours = ours, ratio = median(ratio), low = math.min(table.unpack(ratio)),
    high = math.max(table.unpack(ratio)), cost = row.ours[1].cost,
    share = ours * row.ours[1].cost / 1e3 / limit, memory = row.ours[1].memory,
    peer_memory = row.peer[1].memory, scaling = median(scaling(row)),
  }
end

local list = {}
for i, name in ipairs(names) do list[i] = summary(name) end

print(("matrix products %.0f GFLOP/s, memory %.1f GB/s; samples per second, medians of %d rounds")
  :format(limit, median(column(rows.memory.ours, "rate")) / 1e9, #rows.gemm.ours))
local function start(who) return 1e3 / median(column(rows.start[who], "rate")) end
print(("from the start to the end of a script of one line: Perilune %.0f ms, PyTorch %.0f ms")
  :format(start "ours", start "peer"))
print(("%-11s %9s %9s %9s  %-20s %10s %14s %9s  %s"):format("workload", "PyTorch", "kept mem.",
  "Perilune", "ratio to the faster", "one thread", "MFLOP/sample", "of limit", "peak MiB"))
for _, r in ipairs(list) do
  print(("%-11s %9.0f %9.0f %9.0f  %5.2f [%.2f, %.2f]   x %8.2f %14.2f %8.0f%%  %d against %d"):format(
    r.name, r.peer, r.kept, r.ours, r.ratio, r.low, r.high, r.scaling, r.cost, 100 * r.share,
    r.memory, r.peer_memory))
end

if folder == "" then return end
assert(core.mkdir(folder))
local fields = {"name", "peer", "kept", "ours", "ratio", "low", "high", "scaling", "cost", "share",
                "memory", "peer_memory"}
local lines = {table.concat(fields, ",")}
for i, r in ipairs(list) do
  local values = {}
  for j, field in ipairs(fields) do
    values[j] = type(r[field]) == "number" and ("%.6g"):format(r[field]) or r[field]
  end
  lines[i + 1] = table.concat(values, ",")
end
assert(core.write_file(folder .. "/compare.csv", table.concat(lines, "\n") .. "\n"))

local figure = pl.plot.figure {width = 900, height = 380}
local panel = figure:panel {title = "Samples per second, PyTorch = 1", y_label = "ratio"}
local bars, below, above = {}, {}, {}
for i, r in ipairs(list) do
  bars[i], below[i], above[i] = r.ratio, r.ratio - r.low, r.high - r.ratio
end
panel:bar(names, bars, {error = {below = below, above = above}, annotate = "%.2f"})
panel:hline(1)
figure:save(folder .. "/compare.png")
