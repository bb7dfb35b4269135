--- What of a set's batches is made by loaders, in threads if there are some (internal; use
-- `perilune.data`).
-- @module perilune.data.loading

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local entries = require "perilune.data.entries"
local option = require "perilune.internal.option"
local pictures = require "perilune.data.pictures"

local complain, blaming = blame.complain, blame.blaming
local loading = {}

--- The options of `data.batches` that are about loading.
loading.OPTIONS = {workers = 0, ahead = 2, key = option.absent}

local MOST_WORKERS <const> = 64

-- Moving pixels takes random numbers batch by batch, which threads cannot do ahead.
local function moves_pixels(o)
  return o.flip or (o.shift or 0) ~= 0
end

-- Whether an entry is read by a loader: files always, images in memory if there is something to do
-- for threads.
local function is_loaded(list, entry, o)
  if not pictures.are_images(entry.value) then return false end
  if not check.is_tensor(entry.value) or core.is_transform(o.transform) then return true end
  return o.workers > 0 and entry.key == "images" and entries.are_images(list) and
    not moves_pixels(o)
end

--- Raises an error if the options do not fit each other, or the set.
-- @param who the function's name
-- @param list what `entries.read` gave
-- @param o options of `data.batches`
function loading.check(who, list, o)
  o.workers = check.natural(who, "workers", o.workers or 0)
  o.ahead = check.count(who, "ahead", o.ahead or loading.OPTIONS.ahead)
  if o.workers > MOST_WORKERS then
    complain("%s: workers is %d; at most %d expected", who, o.workers, MOST_WORKERS)
  elseif o.key ~= nil and math.type(o.key) ~= "integer" then
    complain("%s: key: integer expected, got %s", who, check.shown(o.key))
  end
  if not core.is_transform(o.transform) then return end
  local found = moves_pixels(o) and "images" or nil
  if found then
    complain("%s: flip and shift are steps of the transform, such as {\"random_flip\"}", who)
  end
  for _, entry in ipairs(list) do found = found or is_loaded(list, entry, o) end
  if not found then
    complain("%s: transform: an image.transform is for pictures and uint8 images [n,h,w] or "
      .. "[n,h,w,3], of which the set has none", who)
  end
end

--- Whether the random numbers of a pass depend on a key.
-- @param list what `entries.read` gave
-- @param o options of `data.batches`
-- @return boolean
function loading.has_key(list, o)
  if core.is_transform(o.transform) then return true end
  for _, entry in ipairs(list) do
    if pictures.has_transform(entry.value) then return true end
  end
  return false
end

local function close_all(loaders)
  for _, loader in next, loaders do
    local _ <close> = loader
  end
end

--- Opens the loaders of a pass.
-- @param list what `entries.read` gave
-- @param o options of `data.batches`
-- @param order int32 tensor of the rows of the pass
-- @param count how many batches it has
-- @return table from the number of an entry to its loader
-- @return a value that closes them, or nil if there are none
function loading.open(list, o, order, count)
  local loaders, options = {}, {
    batch_size = o.batch_size, batches = count, skip = o.skip, workers = o.workers,
    ahead = o.ahead, mean = o.mean, std = o.std, key = o.key,
    transform = core.is_transform(o.transform) and o.transform or nil}
  if options.key == nil and loading.has_key(list, o) then options.key = core.random_key() end
  for i, entry in ipairs(list) do
    if is_loaded(list, entry, o) then
      loaders[i] = pictures.open(entry.value, order, options)
    end
  end
  if next(loaders) == nil then return loaders end
  return loaders, setmetatable({}, {__close = function() close_all(loaders) end})
end

--- A batch of a loader.
-- @param loader of `open`
-- @param number of the batch, from 1
-- @return real tensor [b, channels, h, w]
function loading.batch(loader, number)
  return blaming(core.next_batch, loader, number)
end

return loading
