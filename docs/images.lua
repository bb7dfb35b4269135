--- What the functions of pl.image do, on one page: perilune docs/images.lua
--
-- Writes images.png beside this file: a drawn picture, then one tile for each function, in the order of
-- the list below.

local pl = require "perilune"
local core = require "perilune.core"
local image = pl.image

local folder = arg[0]:match("^(.*)/") or "."
pl.manual_seed(7)

local WIDE <const>, HIGH <const> = 120, 96

-- A house under the sun, whose sides, colours and corners differ.
local function drawn()
  local c = core.canvas(WIDE, HIGH)
  local function filled(r, g, b)
    c:color(r, g, b)
    c:fill()
  end
  c:rect(0, 0, WIDE, HIGH)
  filled(.62, .82, .96)
  c:circle(98, 20, 11)
  filled(.99, .82, .25)
  c:rect(0, 70, WIDE, HIGH - 70)
  filled(.45, .68, .36)
  c:rect(22, 42, 46, 38)
  filled(.86, .36, .28)
  c:move_to(16, 42)
  c:line_to(45, 16)
  c:line_to(74, 42)
  c:close_path()
  filled(.35, .25, .3)
  c:rect(30, 58, 12, 22)
  filled(.98, .95, .88)
  c:rect(50, 52, 11, 11)
  filled(.3, .45, .7)
  return c:pixels()
end

local photo = drawn()

-- A tile of the sheet: a smaller image lies in its middle, a larger one is cut.
local function tile(t)
  if t:dim() == 2 then t = t:unsqueeze(3):expand(t:size(1), t:size(2), 3) end
  t = t:narrow(3, 1, 3)
  t = image.center_crop(t, {math.min(t:size(1), HIGH), math.min(t:size(2), WIDE)})
  local x, y = WIDE - t:size(2), HIGH - t:size(1)
  return image.pad(t, {x // 2, y // 2, x - x // 2, y - y // 2}, {fill = 1})
end

local batch = pl.stack {photo, image.flip(photo, "vertical")}:to("real") / 255
local labels = pl.tensor({1, 2}, "int32")

-- The first of two images, mixed with the second one.
local function mixed(how)
  local y, own, other
  repeat y, own, other = how(batch, labels, {alpha = 20}) until own[1] ~= other[1]
  return (y[1] * 255 + 0.5):to("uint8")
end

local standard = image.normalise(photo, 0.5, 0.5)

local sheet = {
  photo,
  image.resize(photo, 60), image.resize(image.resize(photo, 24), {HIGH, WIDE}, {mode = "nearest"}),
  image.crop(photo, 11, 11, 72, 66), image.center_crop(photo, 64),
  image.pad(image.resize(photo, 60), 15, {fill = {1, .6, .6}}),
  image.pad(image.resize(photo, 60), 15, {mode = "edge"}),
  image.pad(image.resize(photo, 60), 15, {mode = "reflect"}),
  image.rotate(photo, 25), image.rotate(photo, 90, {expand = true}),
  image.affine(photo, {angle = 10, translate = {10, 0}, scale = 0.8, shear = {20, 0}, fill = 1}),
  image.flip(photo), image.flip(photo, "vertical"), image.to_gray(photo),
  ((standard * 0.5 + 0.5) * 255 + 0.5):to("uint8"),
  image.blur(photo, 9), image.erase(photo, 31, 21, 40, 40, {value = {.2, .2, .2}}),
  image.jitter(photo, {brightness = {1.4, 1.4}}), image.jitter(photo, {contrast = {.4, .4}}),
  image.jitter(photo, {saturation = {0.2, 0.2}}), image.jitter(photo, {hue = {.3, .3}}),
  image.jitter(photo, {brightness = .4, contrast = .4, saturation = .4, hue = .2}),
  image.random_crop(photo, {80, 100}), image.random_resized_crop(photo, {HIGH, WIDE}),
  image.random_resized_crop(photo, {HIGH, WIDE}), image.random_flip(photo, {p = 1}),
  image.random_rotate(photo, 30), image.random_affine(photo, 20, {translate = {.1, .1}, scale = {.7, 1.1}}),
  image.random_blur(photo, 9), image.random_erase(photo, {p = 1, value = .5}),
  image.random_gray(photo, {p = 1}),
  mixed(image.mixup), mixed(image.cutmix),
}

for i, t in ipairs(sheet) do sheet[i] = tile(t) end
assert(image.write(folder .. "/images.png", image.grid(pl.stack(sheet), {columns = 7, padding = 4})))
