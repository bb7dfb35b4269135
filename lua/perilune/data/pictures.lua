--- Pictures in files, as an entry of a set: they are read when a batch asks for them (internal; use
-- `data.folder` and `data.pictures`).
-- @module perilune.data.pictures

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local core = require "perilune.core"
local object = require "perilune.internal.object"
local option = require "perilune.internal.option"

local complain, blaming = blame.complain, blame.blaming
local pictures = {}

local Pictures = object.class "images"
Pictures.__name = "pictures"
Pictures.__rows = true -- a source; see perilune.data.entries

--- The options of what is read from files.
pictures.OPTIONS = {size = option.absent, mode = "rgb", transform = option.absent}

local CHANNELS <const> = {rgb = 3, gray = 1}
local MOST_PIXELS <const> = 65535 -- of a side, as for steps of images

--
-- What it consists of
--

-- {height, width}, or nil.
local function size_of(who, size)
  if size == nil then return nil end
  if type(size) ~= "table" then size = {size, size} end
  if #size ~= 2 then
    complain("%s: size: a number of pixels, or {height, width}, expected, got a list of %d", who,
      #size)
  end
  local result = {check.count(who, "size", size[1]), check.count(who, "size", size[2])}
  if math.max(result[1], result[2]) > MOST_PIXELS then
    complain("%s: size is {%d, %d}; at most %d pixels a side expected", who, result[1], result[2],
      MOST_PIXELS)
  end
  return result
end

--- Makes a source of files.
-- @param who the function's name
-- @param files list of paths, which stays as it is
-- @param o `size`, `mode`, `transform`
-- @return the source
function pictures.new(who, files, o)
  local channels, size = CHANNELS[o.mode], size_of(who, o.size)
  if not channels then
    complain("%s: mode '%s'; 'rgb' or 'gray' expected", who, check.shown(o.mode))
  elseif o.transform ~= nil and not core.is_transform(o.transform) then
    complain("%s: transform: pl.image.transform {...} expected, got %s", who,
      check.type(o.transform))
  end
  local kind = {channels = channels, height = size and size[1], width = size and size[2]}
  return setmetatable({
    _files = files, _kind = kind, _transform = o.transform,
    _source = blaming(core.open_pictures, files, kind),
  }, Pictures)
end

-- The numbers of the files that rows are.
local function numbers_of(self, rows)
  if not self._rows then return rows end
  return blame.in_name_of("batches", "index_select", core.index_select, self._rows, rows, 1)
end

--
-- What sets ask of it
--

function Pictures:__len()
  return self._rows and #self._rows or #self._files
end

--- What it is, for messages.
-- @return "pictures[60000,3,28,28]", without sizes that are not known
function Pictures:describe()
  local kind = self._kind
  if not kind.height or self._transform then return ("pictures[%d]"):format(#self) end
  return ("pictures[%d,%d,%d,%d]"):format(#self, kind.channels, kind.height, kind.width)
end

Pictures.__tostring = Pictures.describe

--- Some of the pictures; nothing is read.
-- @param rows int32 tensor, or a list of numbers
-- @return pictures
function Pictures:index_select(rows)
  if type(rows) == "table" then rows = blaming(core.tensor, rows, "int32") end
  local all = self._rows or core.arange(1, #self._files, "int32")
  local part = {_rows = core.keep(blaming(core.index_select, all, rows, 1))}
  for name, value in next, self do
    if name ~= "_rows" then part[name] = value end
  end
  return setmetatable(part, Pictures)
end

--- Reads some of the pictures.
-- @param rows int32 tensor, or a list of numbers; all of them without it
-- @return real tensor [b, channels, h, w] with values from 0 to 1, or what the transform makes
function Pictures:batch(rows)
  if rows == nil then rows = core.arange(1, #self, "int32") end
  if type(rows) == "table" then rows = blaming(core.tensor, rows, "int32") end
  if #rows == 0 then complain("batch: at least one row expected") end
  local options = {batch_size = #rows, batches = 1}
  options.key = self._transform and core.random_key()
  local loader <close> = blame.in_name_of("batch", "batches", pictures.open, self, rows, options)
  return blaming(core.next_batch, loader, 1)
end

local function same_kind(a, b)
  local p, q = a._kind, b._kind
  return p.channels == q.channels and p.height == q.height and p.width == q.width and
    a._transform == b._transform
end

--- These pictures and others behind them.
-- @param others list of pictures of the same size, mode and transform
-- @return pictures
function Pictures:concat(others)
  local files = self:files()
  for _, other in ipairs(others) do
    if not same_kind(self, other) then
      complain("concat: pictures of one size, mode and transform expected")
    end
    table.move(other:files(), 1, #other, #files + 1, files)
  end
  return setmetatable({
    _files = files, _kind = self._kind, _transform = self._transform,
    _source = blaming(core.open_pictures, files, self._kind),
  }, Pictures)
end

--- The file of a picture.
-- @param row its number
-- @return path
function Pictures:file(row)
  row = check.count("file", "row", row)
  if row > #self then complain("file: row %d of %d", row, #self) end
  return self._files[self._rows and self._rows[row] or row]
end

--- The files of the pictures.
-- @return list of paths, one for each row
function Pictures:files()
  local list = {}
  for i = 1, #self do list[i] = self:file(i) end
  return list
end

--
-- Loaders
--

--- Whether a source's transform makes use of random numbers.
-- @param value anything
-- @return boolean
function pictures.has_transform(value)
  return rawequal(getmetatable(value), Pictures) and value._transform ~= nil
end

--- Whether a value can be read by a loader: pictures, or a tensor of uint8 images.
-- @param value tensor or source
-- @return boolean
function pictures.are_images(value)
  if not check.is_tensor(value) then return rawequal(getmetatable(value), Pictures) end
  return value:dtype() == "uint8" and (value:dim() == 3 or value:dim() == 4)
end

--- Opens a loader; what its threads make is the same for any number of them.
-- @param value what `are_images` holds of
-- @param order int32 tensor of rows, the batches' one after the other
-- @param o options of core.open_loader; `transform` is done after the source's own
-- @return the loader, a value to be closed
function pictures.open(value, order, o)
  local options = {transforms = {o.transform}}
  for name, given in next, o do
    if name ~= "transform" then options[name] = given end
  end
  if check.is_tensor(value) then
    local source = blame.in_name_of("batches", "open_pictures", core.open_pictures, value)
    return blaming(core.open_loader, source, order, options)
  end
  if value._transform then table.insert(options.transforms, 1, value._transform) end
  return blaming(core.open_loader, value._source, numbers_of(value, order), options)
end

return pictures
