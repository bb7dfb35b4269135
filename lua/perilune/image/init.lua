--- Images: PNG files and grids of tensors.
--
-- An image is a tensor [h, w] (grey) or [h, w, 3] (red, green, blue), either uint8 with
-- values from 0 to 255, or real with values from 0 to 1.
-- @module perilune.image

local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local core = require "perilune.core"
local unknown = require "perilune.internal.unknown"

local complain, blaming = blame.complain, blame.blaming
local image = {}

--- Reads a PNG file.
--
-- Grey files give [h, w], all others [h, w, 3]. Transparency is laid on white, 16 bits a
-- channel are reduced to 8.
-- @param path the file
-- @return a uint8 tensor, or nil and a message
function image.read(path)
  check.path("read", path)
  return core.read_image(path)
end

--- Writes a tensor as a PNG file, whole or not at all.
-- @param path the file
-- @param t [h, w] or [h, w, 3], uint8, or real where values outside [0, 1] are cut
-- @return true, or nil and a message
function image.write(path, t)
  check.path("write", path)
  check.tensor("write", t)
  return core.write_image(path, t)
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

-- Calls a step of the table in src/image/steps.c.
local function step(name, images, ...)
  return blaming(core.image_step, name, images, ...)
end

--- Gives images another size.
-- @param images
-- @param size
-- @param options
-- @return
function image.resize(images, size, options) return step("resize", images, size, options) end

--- Mirrors.
function image.flip(images, direction) return step("flip", images, direction) end

--- Several steps.
function image.transform(steps) return blaming(core.transform, steps) end

return unknown.guard("pl.image", image)
