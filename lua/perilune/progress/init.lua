--- Progress bars for long work: how far it is, how fast, how long it will take.
--
--     local bar <close> = progress.new {total = #images, title = "epoch 1", unit = "images"}
--     for x, y in data.batches(train) do
--       ...
--       bar:update(#y, {loss = loss})
--     end
--
-- On a terminal the bar is one line on stderr, redrawn at most ten times a second and wiped off at
-- the end; elsewhere it is a plain line every ten seconds and one at the end. It says "waiting for
-- data 43 %" if so much of the time went by until `data.batches` had read its pictures: more
-- `workers` may help then. Nothing is ever written to stdout. `progress.quiet = true` or
-- PERILUNE_PROGRESS=off silences it.
-- @module perilune.progress

local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local unknown = require "perilune.internal.unknown"

local progress = {quiet = os.getenv "PERILUNE_PROGRESS" == "off"}

--- Where bars are drawn, as functions that may be replaced: `write(text)`, `is_terminal()`,
-- `width()` in columns, `clock()` in seconds, `waited()`, the seconds that data were waited for.
progress.device = {
  write = function(text) io.stderr:write(text) end,
  is_terminal = function() return core.isatty(2) and os.getenv "TERM" ~= "dumb" end,
  width = core.terminal_width,
  clock = core.clock,
  waited = core.data_seconds,
}

local REDRAW <const>, LINE <const> = 0.1, 10 -- least seconds between two bars, two lines
local WAITING <const> = 0.2 -- the share of the time above which it is worth a word
local WIPE <const> = "\r\27[K"
local BLOCKS <const> = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"}

local drawn -- the bar that stands on the terminal now, or nil

--
-- Texts
--

local function time_text(seconds)
  local s = math.floor(seconds + 0.5)
  if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
  return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end

local function rate_text(rate)
  if rate >= 100 then return ("%.0f"):format(rate) end
  return (rate >= 1 and "%.1f" or "%.2g"):format(rate)
end

local function value_text(value)
  if math.type(value) == "float" then return ("%#.4g"):format(value) end
  return tostring(value)
end

-- The values in alphabetical order: "loss 0.31".
local function value_texts(values)
  local texts = {}
  for _, name in ipairs(words.sorted_keys(values)) do
    texts[#texts + 1] = name .. " " .. value_text(values[name])
  end
  return texts
end

local function count_text(bar)
  if not bar.total then return ("%.14g %s"):format(bar.done, bar.unit) end
  return ("%.14g/%.14g %s"):format(bar.done, bar.total, bar.unit)
end

local function share(bar)
  if not bar.total then return nil end
  return bar.total > 0 and math.min(1, bar.done / bar.total) or 1
end

-- The rate since the beginning and the time left or, of a closed bar, taken.
local function speed_texts(bar, now)
  local seconds, n = now - bar.started, bar.done - bar.first
  if seconds <= 0 or n <= 0 then return {} end
  local texts = {("%s %s/s"):format(rate_text(n / seconds), bar.unit)}
  if bar.closed then
    texts[2] = "took " .. time_text(seconds)
  elseif bar.total and bar.total >= bar.done then
    texts[2] = time_text((bar.total - bar.done) * seconds / n) .. " left"
  end
  return texts
end

-- How much of the time data were waited for, if that is much.
local function waiting_texts(bar, now)
  local seconds = now - bar.started
  local part = seconds > 0 and (progress.device.waited() - bar.waited) / seconds or 0
  return part > WAITING and {("waiting for data %.0f %%"):format(100 * part)} or {}
end

local function append(list, more)
  return table.move(more, 1, #more, #list + 1, list)
end

local function current_values(bar)
  local values = bar.values
  return type(values) == "function" and values() or values or {}
end

local function plain_line(bar, now)
  local part = share(bar)
  local percent = part and (" (%d%%)"):format(math.floor(100 * part)) or ""
  local texts = append({count_text(bar) .. percent}, speed_texts(bar, now))
  append(texts, waiting_texts(bar, now))
  local title = bar.title ~= "" and bar.title .. ": " or ""
  return title .. table.concat(append(texts, value_texts(current_values(bar))), ", ")
end

local function columns(text)
  return utf8.len(text) or #text
end

-- The first columns of a text that has too many.
local function cut(text, width)
  if columns(text) <= width then return text end
  local last = utf8.len(text) and utf8.offset(text, width + 1) or width + 1
  return text:sub(1, last - 1)
end

local function blocks(part, width)
  local eighths = math.floor(part * width * 8)
  local whole, rest = eighths // 8, eighths % 8
  local text = ("█"):rep(whole) .. (BLOCKS[rest] or "")
  return text .. (" "):rep(width - whole - (rest > 0 and 1 or 0))
end

-- The line for a terminal: the bar takes the room that the texts leave, up to 30 columns.
local function bar_line(bar, now, width)
  local part, left = share(bar), bar.title ~= "" and bar.title .. "  " or ""
  local texts = append(part and {} or {count_text(bar)}, speed_texts(bar, now))
  append(texts, waiting_texts(bar, now))
  local text = table.concat(append(texts, value_texts(current_values(bar))), "  ")
  if part then
    local room = math.min(30, width - columns(left) - columns(text) - 7)
    if room >= 4 then left = ("%s%s▏"):format(left, blocks(part, room)) end
    left = ("%s%3d%%  "):format(left, math.floor(100 * part))
  end
  return cut(left .. text, width)
end

--
-- Bars
--

local Bar = object.class "bar"
Bar.__name = "progress bar"

--- Takes the bar off the terminal, so that other output may follow; the next update draws it
-- again. Without a bar on the terminal it does nothing.
function progress.hide()
  if not drawn then return end
  progress.device.write(WIPE)
  drawn.shown_at, drawn = -math.huge, nil
end

local function draw(bar, now)
  bar.shown_at, drawn = now, bar
  progress.device.write(WIPE .. bar_line(bar, now, progress.device.width() - 1))
end

local function show(bar, now)
  if bar.terminal then
    if now - bar.shown_at >= REDRAW then draw(bar, now) end
  elseif now - bar.shown_at >= LINE then
    bar.shown_at = now
    progress.device.write(plain_line(bar, now) .. "\n")
  end
end

--- Counts n more as done.
-- @param[opt=1] n how many
-- @param[opt] values to show, a table by name, or a function that gives one; they stay
--   until others are given
function Bar:update(n, values)
  if self.closed then return end
  self.done = self.done + (n or 1)
  self.values = values or self.values
  if not progress.quiet then show(self, progress.device.clock()) end
end

--- Finishes the bar: wipes it off a terminal, or leaves it there if it was made so, and
-- writes the last line elsewhere. A variable `local bar <close>` does so by itself.
function Bar:close()
  if self.closed then return end
  self.closed = true
  if progress.quiet or self.done == self.first then return progress.hide() end
  local now = progress.device.clock()
  if not self.terminal then
    progress.device.write(plain_line(self, now) .. "\n")
  elseif self.leave then
    draw(self, now)
    progress.device.write("\n")
    drawn = nil
  end
  progress.hide()
end

Bar.__close = Bar.close

--- Makes a progress bar.
-- @param options `total`, how many there are, nil if that is not known; `title` (""); `unit`
--   ("steps"); `done` (0), how many are done already; `leave` (false): the full bar stays on
--   the terminal
-- @return the bar
function progress.new(options)
  local o = option.read("progress.new", options,
    {total = option.absent, title = "", unit = "steps", done = 0, leave = false})
  if o.total ~= nil and not (math.type(o.total) and o.total >= 0) then
    complain("progress.new: total: number of at least 0 expected, got %s", check.shown(o.total))
  end
  local terminal, now = progress.device.is_terminal(), progress.device.clock()
  return setmetatable({
    total = o.total, title = o.title, unit = o.unit, done = o.done, first = o.done,
    leave = o.leave, terminal = terminal, started = now, waited = progress.device.waited(),
    shown_at = terminal and -math.huge or now,
  }, Bar)
end

--- Goes through an iterator and counts one for each round:
-- `for x, y in progress.iterate({total = n}, data.batches(set)) do`.
-- @param options as for `progress.new`
-- @param f what an iterator function gives: the function,
-- @param state its state,
-- @param first the first value,
-- @param closing and what to close at the end
-- @return an iterator
function progress.iterate(options, f, state, first, closing)
  local bar, started = progress.new(options), false
  local function next_round(_, last)
    if started then bar:update() end
    started = true
    return f(state, last)
  end
  local function close_both()
    local _ <close> = closing
    bar:close()
  end
  return next_round, nil, first, setmetatable({}, {__close = close_both})
end

return unknown.guard("pl.progress", progress)
