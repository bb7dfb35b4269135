--- Batches of a set (internal; use `perilune.data`).
-- @module perilune.data.batches

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local cycle = require "perilune.data.cycle"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"
local parts = require "perilune.data.parts"

local complain, blaming = blame.complain, blame.blaming
local batches = {}

local BATCH_OPTIONS <const> = {
  batch_size = 64, shuffle = true, seed = option.absent, drop_last = false, flip = false, shift = 0,
  mean = 0, std = 1, transform = option.absent, order = option.absent, skip = 0,
}

-- Options that only pixels have.
local PIXELS <const> = {"flip", "mean", "shift", "std"}

--- How many batches `data.batches` gives with the same options, without those to skip.
-- @param set the set
-- @param options `batch_size` (64), `drop_last` (false), `order`
-- @return a whole number
function batches.batch_count(set, options)
  options = options or {}
  local list = entries.read("batch_count", set)
  local n = options.order and #options.order or list.n
  local size = check.count("batch_count", "batch_size", options.batch_size or 64)
  return options.drop_last and n // size or (n + size - 1) // size
end

local function transformed(x, ...)
  if x == nil then complain("batches: transform gave nothing; a batch expected") end
  return x, ...
end

local function pixel_set(list)
  local images = entries.are_images(list) and list[1].value
  return check.is_tensor(images) and images:dtype() == "uint8"
end

local function check_options(who, list, o, given)
  o.batch_size = check.count(who, "batch_size", o.batch_size)
  check.natural(who, "shift", o.shift or 0)
  for _, name in ipairs(PIXELS) do
    if given and given[name] ~= nil and not pixel_set(list) then
      complain("%s: %s is for sets of uint8 images and their labels; transform may do it to others",
        who, name)
    end
  end
end

local function check_order(order)
  if not check.is_tensor(order) or order:dtype() ~= "int32" or order:dim() ~= 1 then
    complain("batches: order: int32 tensor [n] expected, got %s",
      check.is_tensor(order) and entries.describe(order) or type(order))
  end
end

-- The rows in the order in which they are used.
local function order_of(list, o)
  if o.order then check_order(o.order) end
  if o.seed ~= nil then check.seed("batches", o.seed) end
  if o.seed ~= nil and (o.order or not o.shuffle) then
    complain("batches: seed says how to shuffle, which %s does not",
      o.order and "order" or "shuffle = false")
  end
  if o.order then return o.order end
  if o.seed ~= nil then return parts.permutation(list.n, o.seed) end
  return o.shuffle and core.randperm(list.n) or core.arange(1, list.n, "int32")
end

-- A function of rows that gives their batch: values in order, or a table by name.
local function picker(list, o)
  local pixels = pixel_set(list)
  local function pick(i, rows)
    if i == 1 and pixels then return core.image_batch(list[1].value, rows, o) end
    return entries.batch(list[i].value, rows, o)
  end
  if list.positional or entries.are_images(list) then
    return function(rows)
      local batch = {}
      for i = 1, #list do
        local value, lengths = blaming(pick, i, rows)
        batch[#batch + 1] = value
        batch[#batch + 1] = lengths
      end
      return table.unpack(batch)
    end
  end
  return function(rows)
    local batch = {}
    for i, entry in ipairs(list) do
      local value, lengths = blaming(pick, i, rows)
      batch[entry.key] = value
      if lengths then batch[entry.key .. "_lengths"] = lengths end
    end
    return batch
  end
end

--- Goes once through a set in batches: `for x, y in data.batches({x, y}, {...}) do`.
--
-- The tensors of a set by position come in their order, those of a set by name in a table:
-- `for batch in data.batches {words = w, tags = t} do ... batch.words ... end`. They are of the
-- dtypes of the set and have as many rows as the batch. A set with `images` and `labels` and no
-- other tensors gives x and y, where x of uint8 images is a real tensor [b, channels, h, w],
-- (pixel / 255 - mean) / std. The order and the augmentation come from the common stream of
-- random numbers, so a run that restores `random_state` meets the same batches.
-- @param set the set
-- @param options `batch_size` (64); `shuffle` (true); `seed`: on which alone the order depends;
--   `drop_last` (false): leave out a last batch that is not full; `transform`: a function of what
--   a batch gives, whose results take its place; `order`: an int32 tensor of rows to use in this
--   order; `skip` (0): how many batches not to make; of uint8 images `mean` (0) and `std` (1) of
--   the pixels, `flip` (false): mirror half of the images, `shift` (0): move images by at most
--   that many pixels each way
-- @return the iterator
function batches.batches(set, options)
  local list = entries.read("batches", set)
  local o = option.read("batches", options, BATCH_OPTIONS)
  check_options("batches", list, o, options)
  o.skip = check.natural("batches", "skip", o.skip)
  local order = order_of(list, o)
  local size, batch, n, count = o.batch_size, o.skip, #order, batches.batch_count(set, o)
  local pick = picker(list, o)
  return function()
    if batch >= count then return nil end
    local first = batch * size + 1
    batch = batch + 1
    local rows = order:slice(1, first, math.min(size, n - first + 1))
    if o.transform then return transformed(o.transform(pick(rows))) end
    return pick(rows)
  end
end

--- Batches without end, for trainings that do not count in epochs: `local x, y = c:next()`.
--
-- Each pass through the set has a new order, and leaves out a last batch that is not full.
-- `c.pass` counts the passes from 1, `c.place` the batches of the pass that were given. With
-- `state_dict` and `load_state_dict` it is a part of a job, and goes on where it was.
-- @param set the set
-- @param options as for `batches`: `batch_size` (64), `transform`, and of uint8 images `mean`,
--   `std`, `flip`, `shift`
-- @return the cycle
function batches.cycle(set, options)
  local list = entries.read("cycle", set)
  local o = option.read("cycle", options, {
    batch_size = 64, flip = option.absent, shift = option.absent, mean = option.absent,
    std = option.absent, transform = option.absent})
  check.count("cycle", "batch_size", o.batch_size)
  check_options("cycle", list, o, o)
  o.drop_last = true
  if o.batch_size > list.n then
    complain("cycle: batch_size is %d, but the set has %d rows", o.batch_size, list.n)
  end
  return cycle.new(batches.batches, list.n, set, o)
end

return batches
