--- How cost grows: perilune bench/scaling.lua FOLDER [--seconds S] [--most N]
--
-- Times training steps of LeNet-5 over batch sizes, and of a language model of one LSTM layer over
-- batch sizes and hidden sizes; measures peak memory over sequence lengths, each in a process of
-- its own. Prints a table, and leaves scaling.csv and scaling.png in FOLDER. --most leaves out
-- larger batches, hidden sizes and lengths.

local pl = require "perilune"
local core = require "perilune.core"
local nn, optim = pl.nn, pl.optim

local folder = assert(arg[1], "usage: perilune bench/scaling.lua FOLDER [--seconds S] [--most N]")
local given = {}
for i = 2, #arg, 2 do given[arg[i]] = tonumber(arg[i + 1]) end
local seconds, most = given["--seconds"] or 0.5, given["--most"] or math.huge

local function lenet(batch)
  local net = nn.Sequential {
    nn.Conv2d(1, 6, 5, {padding = 2}), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
    nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
    nn.Linear(84, 10),
  }
  local optimizer = optim.Adam(net:parameters(), {lr = 1e-3})
  local x, y = pl.rand(batch, 1, 28, 28), (pl.rand(batch) * 10 + 1):to "int32"
  return function()
    optimizer:zero_grad()
    pl.cross_entropy(net(x), y):backward()
    optimizer:step()
  end, batch
end

local function language_model(batch, hidden, steps)
  local words = 1000
  local net = nn.module {
    embedding = nn.Embedding(words, hidden), rnn = nn.LSTM(hidden, hidden),
    out = nn.Linear(hidden, words),
    forward = function(self, x) return self.out((self.rnn(self.embedding(x)))) end,
  }
  local optimizer = optim.SGD(net:parameters(), {lr = 0.1})
  local x = (pl.rand(steps, batch) * words + 1):clamp(1, words):to "int32"
  return function()
    optimizer:zero_grad()
    pl.cross_entropy(net(x):reshape(-1, words), x:reshape(-1)):backward()
    optimizer:step()
  end, batch * steps
end

-- Microseconds a sample, and GFLOP/s.
local function time(step, n)
  for _ = 1, 2 do pl.tidy(step) end
  pl.profile.start()
  pl.tidy(step)
  local flops = pl.profile.stop().flops
  local began, k = core.clock(), 0
  repeat
    pl.tidy(step)
    k = k + 1
  until core.clock() - began >= seconds
  local each = (core.clock() - began) / k
  return 1e6 * each / n, flops / each / 1e9
end

-- Peak memory in MiB of three steps, in another process.
local function memory(steps)
  local command = ("%q %q --memory %d"):format(arg[-1], arg[0], steps)
  local pipe = assert(io.popen(command))
  local mib = tonumber(pipe:read "l")
  pipe:close()
  return assert(mib, command .. " printed no number")
end

if folder == "--memory" then
  local step = language_model(20, 200, math.tointeger(arg[2]))
  for _ = 1, 3 do pl.tidy(step) end
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmHWM:%s*(%d+)"
    if kb then print(kb / 1024) end
  end
  return
end

local lines = {"series,at,us_per_sample,gflops,mib"}
local function note(series, at, us, rate, mib)
  print(("%-22s %6d  %s"):format(series, at, mib and ("%8.0f MiB"):format(mib)
    or ("%9.2f us/sample %7.1f GFLOP/s"):format(us, rate)))
  lines[#lines + 1] = ("%s,%d,%s,%s,%s"):format(series, at, us or "", rate or "", mib or "")
end

local function series(name, points, make)
  local us, rates = {}, {}
  for i, at in ipairs(points) do
    us[i], rates[i] = time(make(at))
    note(name, at, us[i], rates[i])
  end
  return us, rates
end

pl.manual_seed(1)

local function points(list)
  while #list > 1 and list[#list] > most do list[#list] = nil end
  return list
end

local batches <const> = points {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}
local lm_batches <const> = points {1, 2, 4, 8, 16, 32, 64, 128, 256}
local hidden <const> = points {16, 32, 64, 100, 128, 200, 256, 384, 512, 768}
local lengths <const> = points {10, 20, 50, 100, 200, 500, 1000}
local images = series("LeNet-5, batch", batches, lenet)
local words = series("LSTM, batch", lm_batches,
                     function(b) return language_model(b, 200, 35) end)
local _, rates = series("LSTM, hidden units", hidden,
                        function(h) return language_model(20, h, 35) end)
local mib = {}
for i, steps in ipairs(lengths) do
  mib[i] = memory(steps)
  note("LSTM, steps", steps, nil, nil, mib[i])
end

assert(core.mkdir(folder))
assert(core.write_file(folder .. "/scaling.csv", table.concat(lines, "\n") .. "\n"))
local figure = pl.plot.figure {rows = 2, columns = 2, width = 1000, height = 680}
local function panel(title, x_label, y_label, scales)
  scales.title, scales.x_label, scales.y_label = title, x_label, y_label
  return figure:panel(scales)
end
panel("LeNet-5", "batch", "us per image", {x_scale = "log", y_scale = "log"}):line(batches, images,
  {marker = "circle"})
panel("LSTM, 200 units", "batch", "us per word", {x_scale = "log", y_scale = "log"}):line(
  lm_batches, words, {marker = "circle"})
panel("LSTM, batch 20", "hidden units", "GFLOP/s", {x_scale = "log"}):line(hidden, rates,
  {marker = "circle"})
panel("LSTM, batch 20, 200 units", "steps of a sequence", "peak memory in MiB", {}):line(
  lengths, mib, {marker = "circle"})
figure:save(folder .. "/scaling.png")
