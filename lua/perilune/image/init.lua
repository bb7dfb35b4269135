--- Images: files, transforms and grids.
--
-- An image is a tensor [h, w] (grey), [h, w, 3] (red, green, blue) or [h, w, 4] (with alpha),
-- either uint8 with values from 0 to 255, or real with values from 0 to 1. What changes images
-- takes one, or a batch [n, h, w], [n, h, w, c] or [n, c, h, w], and gives the same layout and
-- dtype:
--
-- - a tensor of three sizes is one image if the last is 3 or 4, else a batch of grey ones: a single
--   image with the channels first is `x:unsqueeze(1)`;
-- - of four sizes real ones have the channels first if the second size is 1, 3 or 4, as networks
--   take them, else last; uint8 ones have them last if the last size is 1, 3 or 4, else first.
--
-- Options are from 0 to 1 for uint8 images too: `fill = 1` is white. Results of uint8 images are
-- rounded; `normalise` makes real ones of them. The random functions draw a number for each image
-- from the common stream, which `manual_seed` sets: an image of a batch has its own chance. No
-- gradient passes through. docs/images.lua shows what each of them does.
--
--     local image = pl.image
--     local photo = assert(image.read "photo.jpg")
--     assert(image.write("small.png", image.resize(photo, 64)))
--     local t = image.transform {{"random_resized_crop", 64}, {"random_flip"}}
--     image.write("grid.png", image.grid(pl.stack {t(photo), t(photo), t(photo), t(photo)}))
-- @module perilune.image

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local core = require "perilune.core"
local mix = require "perilune.image.mix"
local steps = require "perilune.image.steps"
local unknown = require "perilune.internal.unknown"

local complain = blame.complain
local image = {mixup = mix.mixup, cutmix = mix.cutmix}
for name, f in pairs(steps) do image[name] = f end

local MODES <const> = {gray = 1, rgb = 3, rgba = 4}

--- Reads a PNG or JPEG file, told apart by its content.
--
-- Grey files give [h, w], all others [h, w, 3]. Transparency is laid on white, 16 bits a channel
-- are reduced to 8, a photograph is turned as its EXIF data say.
--
--     local photo = assert(pl.image.read "photo.jpg")                -- uint8 [h, w, 3]
--     local grey = assert(pl.image.read("photo.jpg", {mode = "gray"}))  -- uint8 [h, w]
-- @param path the file
-- @param options `mode`: "gray" for [h, w], "rgb" for [h, w, 3], "rgba" for [h, w, 4], whatever the
--   file has
-- @return a uint8 tensor, or nil and a message
function image.read(path, options)
  check.path("read", path)
  local mode = option.read("read", options, {mode = option.absent}).mode
  if mode ~= nil and not MODES[mode] then
    complain("read: mode is %s; 'gray', 'rgb' or 'rgba' expected", check.shown(mode))
  end
  return core.read_image(path, MODES[mode])
end

--- Writes an image as a JPEG file if the name ends so (.jpg, .jpeg), else as a PNG file, whole or
-- not at all.
--
--     assert(pl.image.write("small.jpg", pl.rand(48, 64, 3), {quality = 80}))
-- @param path the file
-- @param t [h, w], [h, w, 3], or [h, w, 4] of PNG files; uint8, or real where values outside [0, 1]
--   are cut
-- @param options `quality` (90) of a JPEG file, from 1 to 100
-- @return true, or nil and a message
function image.write(path, t, options)
  check.path("write", path)
  check.tensor("write", t)
  local quality = option.read("write", options, {quality = 90}).quality
  if not math.type(quality) or not math.tointeger(quality) or quality < 1 or quality > 100 then
    complain("write: quality is %s; 1 to 100 expected", check.shown(quality))
  end
  return core.write_image(path, t, quality)
end

-- Real values in [0, 1] as bytes.
local function bytes(t)
  if t:dtype() == "uint8" then return t end
  return (core.clamp(t:detach():to("real"), 0, 1) * 255 + 0.5):to("uint8")
end

-- [n, h, w] and [n, h, w, 3] stay; the layout of batches, [n, 1 or 3, h, w], is brought to it.
local function channels_last(t)
  check.tensor("grid", t)
  local size = t:size()
  if t:numel() == 0 or t:dtype() == "int32" then
    complain("grid: images are %s[%s]; uint8 or real ones with pixels expected", t:dtype(),
      table.concat(size, ","))
  end
  if #size == 3 or (#size == 4 and size[4] == 3) then return t end
  if #size == 4 and size[2] == 1 then return t:select(2, 1) end
  if #size == 4 and size[2] == 3 then return t:permute(1, 3, 4, 2) end
  complain("grid: images are [%s]; [n,h,w], [n,h,w,3], [n,1,h,w] or [n,3,h,w] expected",
    table.concat(size, ","))
end

--- Lays images out in rows and columns.
--
--     pl.image.grid(pl.rand(8, 3, 32, 32), {columns = 4})  -- uint8 [70, 138, 3]
-- @param images [n, h, w], [n, h, w, 3], [n, 1, h, w] or [n, 3, h, w]; uint8, or real in [0, 1]
-- @param options `columns` (as many as make the grid about square), `padding` between the
--   images and around them, in pixels (2), `background` grey value from 0 to 255 (255)
-- @return one uint8 image
function image.grid(images, options)
  local o = option.read("grid", options,
                          {columns = option.absent, padding = 2, background = 255})
  if o.columns then check.count("grid", "columns", o.columns) end
  check.natural("grid", "padding", o.padding)
  check.natural("grid", "background", o.background)
  local t = bytes(channels_last(images))
  local size = t:size()
  local n, h, w = size[1], size[2], size[3]
  local padding = o.padding
  local columns = math.min(o.columns or math.ceil(math.sqrt(n)), n)
  local rows = (n + columns - 1) // columns
  local whole = {rows * (h + padding) + padding, columns * (w + padding) + padding, size[4]}
  local grid = core.full(whole, o.background, "uint8")
  for i = 1, n do
    local row, column = (i - 1) // columns, (i - 1) % columns
    grid:slice(1, row * (h + padding) + padding + 1, h)
      :slice(2, column * (w + padding) + padding + 1, w):copy_(t:select(1, i))
  end
  return grid
end

return unknown.guard("pl.image", image)
