-- Progress bars on a drawn terminal and elsewhere, with a clock that the tests turn.

local lu = require "luaunit"
local progress = require "perilune.progress"

local T = {}

local real, was_quiet = {}, progress.quiet
local written, now, waited

-- Puts a device in the place of the real one.
local function on(kind, width)
  written, now, waited = {}, 100, 7
  for name, f in next, progress.device do real[name] = real[name] or f end
  progress.device.write = function(text) written[#written + 1] = text end
  progress.device.is_terminal = function() return kind == "terminal" end
  progress.device.width = function() return width or 80 end
  progress.device.clock = function() return now end
  progress.device.waited = function() return waited end
  progress.quiet = false
end

local function off()
  progress.hide()
  for name, f in next, real do progress.device[name] = f end
  progress.quiet = was_quiet
end

-- A test that runs on such a device.
local function test(name, kind, width, f)
  T["test_" .. name] = function()
    on(kind, width)
    local ok, message = xpcall(f, function(e) return e end)
    off()
    if not ok then error(message, 0) end
  end
end

local function output()
  return table.concat(written)
end

local function bars()
  local list = {}
  for bar in output():gmatch "\r\27%[K([^\r\n]*)" do list[#list + 1] = bar end
  return list
end

test("plain_lines", "file", nil, function()
  local bar = progress.new {total = 200, title = "epoch 1", unit = "images"}
  for _ = 1, 24 do
    now = now + 1
    bar:update(5, {loss = 0.25, accuracy = 3})
  end
  bar:close()
  lu.assertEquals(output(), [[
epoch 1: 50/200 images (25%), 5.0 images/s, 0:30 left, accuracy 3, loss 0.2500
epoch 1: 100/200 images (50%), 5.0 images/s, 0:20 left, accuracy 3, loss 0.2500
epoch 1: 120/200 images (60%), 5.0 images/s, took 0:24, accuracy 3, loss 0.2500
]])
end)

test("short_work_has_one_line", "file", nil, function()
  local bar = progress.new {total = 3}
  for _ = 1, 3 do bar:update() end
  now = now + 0.5
  bar:close()
  bar:close()
  bar:update()
  lu.assertEquals(output(), "3/3 steps (100%), 6.0 steps/s, took 0:01\n")
end)

test("fractions", "file", nil, function()
  local bar = progress.new {total = 2.5}
  bar:update(0.5)
  bar:close()
  lu.assertStrContains(output(), "0.5/2.5 steps (20%)")
end)

test("unknown_total", "file", nil, function()
  local bar = progress.new {unit = "words", title = "reading"}
  now = now + 4000
  bar:update(1000000)
  lu.assertEquals(output(), "reading: 1000000 words, 250 words/s\n")
  bar:close()
  lu.assertStrContains(output(), "took 1:06:40")
end)

test("work_that_was_done_before_has_no_rate", "file", nil, function()
  local bar = progress.new {total = 100, done = 50}
  now = now + 10
  bar:update(10)
  lu.assertEquals(output(), "60/100 steps (60%), 1.0 steps/s, 0:40 left\n")
end)

test("values_may_be_a_function", "file", nil, function()
  local bar, calls = progress.new {total = 100}, 0
  local function values()
    calls = calls + 1
    return {loss = 1 / 3}
  end
  for _ = 1, 30 do
    now = now + 1
    bar:update(1, values)
  end
  lu.assertEquals(calls, 3)
  lu.assertStrContains(output(), "loss 0.3333\n")
end)

test("nothing_done_nothing_said", "file", nil, function()
  progress.new({total = 10}):close()
  lu.assertEquals(output(), "")
end)

test("terminal", "terminal", nil, function()
  local bar = progress.new {total = 80, title = "train"}
  for _ = 1, 40 do
    now = now + 0.25
    bar:update(1)
  end
  local list = bars()
  lu.assertEquals(#list, 40)
  lu.assertEquals(list[1], "train  ▍" .. (" "):rep(29) .. "▏  1%  4.0 steps/s  0:20 left")
  lu.assertEquals(list[40], "train  " .. ("█"):rep(15) .. (" "):rep(15)
    .. "▏ 50%  4.0 steps/s  0:10 left")
  bar:close()
  lu.assertEquals(output():sub(-4), "\r\27[K")
  lu.assertNotStrContains(output(), "\n")
end)

test("terminal_is_drawn_at_most_ten_times_a_second", "terminal", nil, function()
  local bar = progress.new {total = 1000}
  for _ = 1, 1000 do
    now = now + 1 / 512
    bar:update(1)
  end
  lu.assertTrue(#bars() <= 20, #bars())
  lu.assertTrue(#bars() >= 18, #bars())
end)

test("bar_may_stay", "terminal", nil, function()
  local bar = progress.new {total = 2, leave = true, title = "x"}
  now = now + 2
  bar:update(2)
  bar:close()
  local list = bars()
  lu.assertEquals(list[#list], "x  " .. ("█"):rep(30) .. "▏100%  1.0 steps/s  took 0:02")
  lu.assertEquals(output():sub(-1), "\n")
end)

test("narrow_terminal", "terminal", 30, function()
  local bar = progress.new {total = 100, title = "a rather long title"}
  now = now + 1
  bar:update(50, {loss = 1.5})
  for _, line in ipairs(bars()) do lu.assertTrue(utf8.len(line) <= 29, line) end
  lu.assertEquals(bars()[1], "a rather long title   50%  50")
end)

test("hide_makes_room_for_other_output", "terminal", nil, function()
  local bar = progress.new {total = 10}
  progress.hide()
  lu.assertEquals(output(), "")
  bar:update(1)
  progress.hide()
  lu.assertEquals(output():sub(-4), "\r\27[K")
  local n = #bars()
  bar:update(1) -- at the same time, and drawn all the same
  lu.assertEquals(#bars(), n + 1)
end)

test("closes_by_itself", "terminal", nil, function()
  local ok = pcall(function()
    local bar <close> = progress.new {total = 10}
    bar:update(1)
    error "stop"
  end)
  lu.assertFalse(ok)
  lu.assertEquals(output():sub(-4), "\r\27[K")
end)

test("iterate", "file", nil, function()
  local seen, closed = {}, false
  local closing = setmetatable({}, {__close = function() closed = true end})
  local function countdown(state, last)
    now = now + 1
    if last > state then return last - 1, "value" end
  end
  for n, value in progress.iterate({total = 3}, countdown, 0, 3, closing) do
    seen[#seen + 1] = n .. value
  end
  lu.assertEquals(seen, {"2value", "1value", "0value"})
  lu.assertTrue(closed)
  lu.assertEquals(output(), "3/3 steps (100%), 0.75 steps/s, took 0:04\n")
end)

test("iterate_that_is_left", "file", nil, function()
  for i in progress.iterate({total = 3, title = "list"}, ipairs {5, 6, 7}) do
    now = now + 1
    if i == 2 then break end
  end
  lu.assertEquals(output(), "list: 1/3 steps (33%), 0.5 steps/s, took 0:02\n")
end)

test("waiting_for_data", "file", nil, function()
  local bar = progress.new {total = 40, title = "epoch 1"}
  for i = 1, 4 do
    now, waited = now + 10, waited + (i <= 2 and 4.3 or 0)
    bar:update(10, {loss = 0.5})
  end
  lu.assertEquals(output(), [[
epoch 1: 10/40 steps (25%), 1.0 steps/s, 0:30 left, waiting for data 43 %, loss 0.5000
epoch 1: 20/40 steps (50%), 1.0 steps/s, 0:20 left, waiting for data 43 %, loss 0.5000
epoch 1: 30/40 steps (75%), 1.0 steps/s, 0:10 left, waiting for data 29 %, loss 0.5000
epoch 1: 40/40 steps (100%), 1.0 steps/s, 0:00 left, waiting for data 22 %, loss 0.5000
]])
  now = now + 10
  bar:close()
  lu.assertStrContains(output(), "0.8 steps/s, took 0:50, loss 0.5000\n")
end)

test("waiting_for_data_on_a_terminal", "terminal", 90, function()
  local bar = progress.new {total = 40}
  now, waited = now + 10, waited + 9
  bar:update(10)
  lu.assertStrContains(bars()[1], " 25%  1.0 steps/s  0:30 left  waiting for data 90 %")
end)

test("quiet", "terminal", nil, function()
  progress.quiet = true
  local bar = progress.new {total = 3}
  now = now + 100
  bar:update(1)
  bar:close()
  lu.assertEquals(output(), "")
  lu.assertEquals(bar.done, 1)
end)

test("errors", "file", nil, function()
  lu.assertErrorMsgContains("progress.new: unknown option 'totl'; known: done, leave, title, ",
    progress.new, {totl = 3})
  lu.assertErrorMsgContains("progress.new: total: number of at least 0 expected, got x",
    progress.new, {total = "x"})
end)

return T
