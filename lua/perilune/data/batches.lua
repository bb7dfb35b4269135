--- Batches of a set (internal; use `perilune.data`).
-- @module perilune.data.batches

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local cycle = require "perilune.data.cycle"
local entries = require "perilune.data.entries"
local loading = require "perilune.data.loading"
local option = require "perilune.internal.option"
local orders = require "perilune.data.orders"
local parts = require "perilune.data.parts"
local pictures = require "perilune.data.pictures"

local complain, blaming = blame.complain, blame.blaming
local batches = {}

local BATCH_OPTIONS <const> = {
  batch_size = 64, shuffle = true, seed = option.absent, drop_last = false, flip = false, shift = 0,
  mean = 0, std = 1, transform = option.absent, order = option.absent, skip = 0,
  collate = option.absent,
}
for name, mark in next, orders.OPTIONS do BATCH_OPTIONS[name] = mark end
for name, mark in next, loading.OPTIONS do BATCH_OPTIONS[name] = mark end

local CYCLE_OPTIONS <const> = {batch_size = 64, transform = option.absent, collate = option.absent}
for name, mark in next, orders.OPTIONS do CYCLE_OPTIONS[name] = mark end
for _, name in ipairs {"flip", "mean", "shift", "std"} do CYCLE_OPTIONS[name] = option.absent end
for _, name in ipairs {"workers", "ahead"} do CYCLE_OPTIONS[name] = loading.OPTIONS[name] end

-- Options that only pixels have.
local PIXELS <const> = {"flip", "mean", "shift", "std"}

local function count_of(rows, size, drop_last)
  return drop_last and rows // size or (rows + size - 1) // size
end

--- How many batches `data.batches` gives with the same options, without those to skip.
-- @param set the set
-- @param options `batch_size` (64), `drop_last` (false), `order`, `weights` with `num_samples`; how
--   many rows a `sampler` gives is not known before
-- @return a whole number
function batches.batch_count(set, options)
  options = options or {}
  local list = entries.read("batch_count", set)
  if options.sampler ~= nil then
    complain "batch_count: how many rows a sampler gives is not known before it is asked"
  end
  local n = options.order and #options.order or orders.count(list.n, options)
  return count_of(n, check.count("batch_count", "batch_size", options.batch_size or 64),
    options.drop_last)
end

local function something(what, x, ...)
  if x == nil then complain("batches: %s gave nothing; a batch expected", what) end
  return x, ...
end

-- What is of the library itself names the script's line where it fails; a function has lines of
-- its own.
local function own_lines(transform)
  if type(transform) == "function" or transform == nil then return transform end
  if core.is_transform(transform) then return nil end -- loaders do it
  return function(...) return blaming(transform, ...) end
end

local function pixel_set(list)
  local images = entries.are_images(list) and list[1].value
  return check.is_tensor(images) and images:dtype() == "uint8"
end

-- Pictures in files have values too, but the ways to move them are steps of a transform.
local function fits(list, name)
  if pixel_set(list) then return true end
  return (name == "mean" or name == "std") and entries.are_images(list) and
    pictures.are_images(list[1].value)
end

-- Only a transform has a mean for each channel.
local function check_scale(who, o)
  for _, name in ipairs {"mean", "std"} do
    if type(o[name]) == "table" or check.is_tensor(o[name]) then
      complain("%s: %s is a %s; number expected. One for each channel is a step of a transform: "
        .. "image.transform {{\"normalise\", mean = {...}, std = {...}}}", who, name,
        check.type(o[name]))
    end
  end
end

local function check_options(who, list, o, given)
  o.batch_size = check.count(who, "batch_size", o.batch_size)
  check.natural(who, "shift", o.shift or 0)
  for _, name in ipairs(PIXELS) do
    if given and given[name] ~= nil and not fits(list, name) then
      complain("%s: %s is for sets of uint8 images and their labels; transform may do it to others",
        who, name)
    elseif given and given[name] ~= nil and o.collate ~= nil then
      complain("%s: collate gets the pixels as they are, without %s", who, name)
    end
  end
  check_scale(who, o)
  orders.check(who, list.n, o)
  loading.check(who, list, o)
end

-- The rows in the order in which they are used.
local function order_of(list, o)
  if o.order then orders.check_given("batches", o.order) end
  if o.seed ~= nil then check.seed("batches", o.seed) end
  if o.seed ~= nil and (o.order or not o.shuffle) then
    complain("batches: seed says how to shuffle, which %s does not",
      o.order and "order" or "shuffle = false")
  end
  if o.order then return o.order end
  if not o.shuffle then return core.arange(1, list.n, "int32") end
  return parts.seeded(o.seed, orders.draw, "batches", list.n, o, 1)
end

-- A function of rows that gives what `collate` makes of them.
local function collator(list, o)
  local function sample(row)
    local values = {}
    for _, entry in ipairs(list) do values[entry.key] = entries.row(entry.value, row) end
    return values
  end
  return function(rows)
    local samples = {}
    for i, row in ipairs(rows:totable()) do samples[i] = blaming(sample, row) end
    return something("collate", o.collate(samples))
  end
end

-- A function of rows and their batch's number that gives the batch: values in order, or a table by
-- name.
local function picker(list, o, loaders)
  if o.collate ~= nil then return collator(list, o) end
  local pixels = pixel_set(list)
  local function pick(i, rows, number)
    if loaders[i] then return core.next_batch(loaders[i], number) end
    if i == 1 and pixels then return core.image_batch(list[1].value, rows, o) end
    return entries.batch(list[i].value, rows, o)
  end
  if list.positional or entries.are_images(list) then
    return function(rows, number)
      local batch = {}
      for i = 1, #list do
        local value, lengths = blaming(pick, i, rows, number)
        batch[#batch + 1] = value
        batch[#batch + 1] = lengths
      end
      return table.unpack(batch)
    end
  end
  return function(rows, number)
    local batch = {}
    for i, entry in ipairs(list) do
      local value, lengths = blaming(pick, i, rows, number)
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
--
-- Rows need not all be used once. `weights` draw them with replacement, rare classes oftener;
-- a `sampler` is a function of the number of rows, `batch_size` and the pass, which gives the rows
-- of the pass: a list, an int32 tensor, or an iterator over them. `data.bucket` makes one. A run
-- that goes on meets the same rows if nothing but the pass and the common stream of random numbers
-- decides.
--
--     local weights = pl.tensor({1, 9}):index_select(set.labels, 1)   -- by class
--     for x, y in data.batches(set, {weights = weights, num_samples = 1000}) do ... end
--     local function odd(n) return pl.arange(1, n, 2, "int32") end
--     for x, y in data.batches(set, {sampler = odd}) do ... end
--
-- A `collate` function makes the batch itself, of a list of samples: tables with the keys of the
-- set that hold a row each, a number of a tensor [n].
--
-- Pictures of `data.folder` are read while the batch before is used, by as many threads as
-- `workers` says; so are uint8 images if there is an `image.transform` for them. Each picture has
-- random numbers of its own, and the batches are the same for any number of threads. An error that
-- names a file is one of its batch, and the iterator goes on after it.
--
--     local flipped = pl.image.transform {{"random_flip"}}
--     for x, y in data.batches(set, {workers = 2, transform = flipped}) do ... end
-- @param set the set
-- @param options `batch_size` (64); `shuffle` (true); `seed`: on which alone the order depends;
--   `drop_last` (false): leave out a last batch that is not full; `transform`: a function of what a
--   batch gives, whose results take its place, or an `image.transform`, done to each picture;
--   `order`: an int32 tensor of rows to use in this order; `skip` (0): how many batches not to
--   make; `weights`: a real tensor [n] or list, how often rows are drawn relative to each other,
--   and `num_samples`, how many of them (as many as there are); `sampler`; `collate`; `workers`
--   (0): threads that read pictures and transform them, and `ahead` (2): how many batches before
--   they are used; `key`: an integer on which alone the random numbers of an image.transform
--   depend; of uint8 images `mean` (0) and `std` (1) of the pixels, `flip` (false): mirror half of
--   the images, `shift` (0): move images by at most that many pixels each way
-- @return the iterator; with pictures, also two nils and a value that ends the threads when a loop
--   ends
function batches.batches(set, options)
  local list = entries.read("batches", set)
  local o = option.read("batches", options, BATCH_OPTIONS)
  check_options("batches", list, o, options)
  o.skip = check.natural("batches", "skip", o.skip)
  local order = order_of(list, o)
  if not o.order then core.keep(order) end -- the iterator may outlive a tidy around this call
  local size, batch, n = o.batch_size, o.skip, #order
  local count = count_of(n, size, o.drop_last)
  local loaders, closing = loading.open(list, o, order, count)
  local pick = picker(list, o, loaders)
  local change = own_lines(o.transform)
  return function()
    if batch >= count then return nil end
    local first = batch * size + 1
    batch = batch + 1
    local rows = order:slice(1, first, math.min(size, n - first + 1))
    if change then return something("transform", change(pick(rows, batch))) end
    return pick(rows, batch)
  end, nil, nil, closing
end

--- Batches without end, for trainings that do not count in epochs: `local x, y = c:next()`.
--
-- Each pass through the set has a new order, and leaves out a last batch that is not full. With
-- `weights` or a `sampler` it has the rows that these draw; a sampler gets the number of the pass.
-- `c.pass` counts the passes from 1, `c.place` the batches of the pass that were given. With
-- `state_dict` and `load_state_dict` it is a part of a job, and goes on where it was.
-- @param set the set
-- @param options as for `batches`: `batch_size` (64), `transform`, `collate`, `sampler`, `weights`,
--   `num_samples`, `workers`, `ahead`, and of uint8 images `mean`, `std`, `flip`, `shift`
-- @return the cycle
function batches.cycle(set, options)
  local list = entries.read("cycle", set)
  local o = option.read("cycle", options, CYCLE_OPTIONS)
  check.count("cycle", "batch_size", o.batch_size)
  check_options("cycle", list, o, o)
  o.drop_last = true
  return cycle.new(batches.batches, list.n, set, o, loading.has_key(list, o))
end

return batches
