--- What is done to images (internal; use `perilune.image`). Parameters, bounds and defaults stand
-- in one table, in src/image/steps.c, which the functions, transforms and messages read.
-- @module perilune.image.steps

local blame = require "perilune.internal.blame"
local core = require "perilune.core"
local unknown = require "perilune.internal.unknown"

local blaming, complain = blame.blaming, blame.complain
local steps = {}

local function step(name, images, ...)
  return blaming(core.image_step, name, images, ...)
end

--- Makes a value that does several steps, one after the other, to images or to a batch.
--
-- A step is the name of a function of this module and its arguments after the images: by position,
-- and by name. The transform is called with images, and gives what else it is called with as it is,
-- so it is what `transform` of `data.batches` expects. It prints itself.
--
--     local t = pl.image.transform {
--       {"random_resized_crop", 64}, {"random_flip"}, {"jitter", brightness = 0.2},
--       {"normalise", mean = {0.485, 0.456, 0.406}, std = {0.229, 0.224, 0.225}}}
--     local y = t(pl.rand(8, 3, 100, 80))  -- real [8, 3, 64, 64]
--     for x, labels in pl.data.batches(set, {transform = t}) do ... end
-- @param list of steps: `{name, ..., option = value}`
-- @return the transform
function steps.transform(list)
  local known = core.image_steps()
  for _, entry in ipairs(type(list) == "table" and list or {}) do
    local name = type(entry) == "table" and entry[1]
    if type(name) == "string" and not known[name] then
      complain("transform: there is no step '%s'%s", name, unknown.advice("pl.image", name, known))
    end
  end
  return blaming(core.transform, list)
end

--- Gives images another size.
--
--     pl.image.resize(pl.rand(3, 100, 80, 3), 50)  -- [3, 62, 50, 3]
--     pl.image.resize(photo, {480, 640}, {mode = "bicubic"})
-- @param images
-- @param size `{h, w}`, or a number: the size of the shorter side, in proportion
-- @param options `mode`: "bilinear" (the default), "bicubic", "area" (the mean of all pixels that
--   are touched) or "nearest"; `antialias` (true): where images shrink, bilinear and bicubic count
--   all pixels
-- @return the images
function steps.resize(images, size, options) return step("resize", images, size, options) end

--- Cuts a part out.
--
--     pl.image.crop(pl.rand(100, 80, 3), 11, 1, 50, 80)  -- lines 11 to 60
-- @param images
-- @param top its first line, from 1
-- @param left its first column, from 1
-- @param height in pixels
-- @param width in pixels
-- @return the images
function steps.crop(images, top, left, height, width)
  return step("crop", images, top, left, height, width)
end

--- Cuts the middle out.
--
--     pl.image.center_crop(pl.rand(100, 80, 3), 64)  -- [64, 64, 3]
-- @param images which must be that large
-- @param size `{h, w}`, or a number for both
-- @return the images
function steps.center_crop(images, size) return step("center_crop", images, size) end

--- Puts a border around images.
--
--     pl.image.pad(pl.rand(28, 28), 2)                           -- [32, 32], with black
--     pl.image.pad(pl.rand(28, 28), {1, 0, 2, 0}, {mode = "edge"})  -- [28, 31]
-- @param images
-- @param padding pixels: for all sides, or `{left and right, top and bottom}`, or
--   `{left, top, right, bottom}`
-- @param options `mode`: "constant" (the default), "edge" (the outermost pixels again) or "reflect"
--   (mirrored, without the outermost pixels); `fill` (0): what constant borders are, from 0 to 1,
--   one number or one for each channel
-- @return the images
function steps.pad(images, padding, options) return step("pad", images, padding, options) end

--- Mirrors images.
--
--     pl.image.flip(pl.tensor {{1, 2, 3}})  -- {{3, 2, 1}}
-- @param images
-- @param[opt="horizontal"] direction "horizontal": left and right change places; or "vertical"
-- @return the images
function steps.flip(images, direction) return step("flip", images, direction) end

--- Turns images about their middle.
--
--     pl.image.rotate(pl.rand(100, 80, 3), 30)                   -- [100, 80, 3], corners are lost
--     pl.image.rotate(pl.rand(100, 80, 3), 90, {expand = true})  -- [80, 100, 3]
-- @param images
-- @param angle in degrees, counter-clockwise
-- @param options `mode`: "bilinear" (the default) or "nearest"; `expand` (false): make the image as
--   large as all of it needs; `fill` (0): what is beyond the image, from 0 to 1, one number or one
--   for each channel
-- @return the images
function steps.rotate(images, angle, options) return step("rotate", images, angle, options) end

--- Slants, turns, scales and moves images about their middle, in this order.
--
--     pl.image.affine(pl.rand(100, 80, 3), {angle = 10, translate = {5, 0}, scale = 1.2})
-- @param images
-- @param options `angle` (0) in degrees, clockwise; `translate` ({0, 0}): to the right and down, in
--   pixels; `scale` (1); `shear` ({0, 0}): along x and y, in degrees; `mode` and `fill` as of
--   `rotate`
-- @return the images
function steps.affine(images, options) return step("affine", images, options) end

--- Blurs images by a Gaussian. Beyond the border they are mirrored.
--
--     pl.image.blur(pl.rand(100, 80, 3), 5, {sigma = 1.5})
-- @param images
-- @param kernel_size `{h, w}`, or a number for both, odd, at most 255
-- @param options `sigma`: the standard deviation in pixels, `{h, w}` or a number for both; without
--   it 0.3 ((kernel_size - 1) / 2 - 1) + 0.8
-- @return the images
function steps.blur(images, kernel_size, options)
  return step("blur", images, kernel_size, options)
end

--- Fills a part with one value.
--
--     pl.image.erase(pl.rand(100, 80, 3), 11, 21, 30, 30, {value = 0.5})
-- @param images
-- @param top the first line of the part, from 1
-- @param left its first column, from 1
-- @param height in pixels
-- @param width in pixels
-- @param options `value` (0), from 0 to 1, one number or one for each channel
-- @return the images
function steps.erase(images, top, left, height, width, options)
  return step("erase", images, top, left, height, width, options)
end

--- Makes images grey, 0.2989 red + 0.587 green + 0.114 blue; alpha is left out.
--
--     pl.image.to_gray(pl.rand(100, 80, 3))     -- [100, 80]
--     pl.image.to_gray(pl.rand(8, 3, 32, 32))   -- [8, 1, 32, 32]
-- @param images
-- @param[opt=1] channels 1, or 3 for three that are the same
-- @return the images
function steps.to_gray(images, channels) return step("to_gray", images, channels) end

--- Standardises pixels: (value - mean) / std. Of uint8 images the value is from 0 to 1 too, and the
-- result is real.
--
--     pl.image.normalise(pl.rand(8, 3, 32, 32), {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225})
-- @param images
-- @param mean one number or one for each channel
-- @param std the same, positive
-- @return the images, real
function steps.normalise(images, mean, std) return step("normalise", images, mean, std) end

--- Changes brightness, contrast, saturation and hue by random factors, in a random order. Grey
-- images have no saturation and no hue. Each image of a batch has its own factors.
--
--     pl.image.jitter(pl.rand(8, 3, 32, 32), {brightness = 0.2, saturation = {0.5, 1.5}})
-- @param images
-- @param options `brightness`, `contrast`, `saturation`: a number x stands for a factor between
--   1 - x, or 0, and 1 + x, a list for its bounds; `hue`: x at most 0.5 stands for a shift between
--   -x and x, where 1 is once around all colours. What is not given does not change
-- @return the images
function steps.jitter(images, options) return step("jitter", images, options) end

--- Cuts a random part out, perhaps after putting a border around. Each image of a batch has its
-- own.
--
--     pl.image.random_crop(pl.rand(8, 3, 32, 32), 32, {padding = 4})
-- @param images
-- @param size `{h, w}`, or a number for both
-- @param options `padding` (0), `mode`, `fill`: the border before, as of `pad`
-- @return the images
function steps.random_crop(images, size, options)
  return step("random_crop", images, size, options)
end

--- Cuts a part of random size and shape out and gives it the size that is asked for: the usual
-- augmentation of photographs (Szegedy et al., "Going deeper with convolutions", CVPR 2015).
--
--     pl.image.random_resized_crop(pl.rand(8, 3, 100, 80), 64)  -- [8, 3, 64, 64]
-- @param images
-- @param size `{h, w}`, or a number for both
-- @param options `scale` ({0.08, 1}): between which shares of the pixels; `ratio` ({3/4, 4/3}):
--   between which widths by heights; `mode`, `antialias` as of `resize`
-- @return the images
function steps.random_resized_crop(images, size, options)
  return step("random_resized_crop", images, size, options)
end

--- Mirrors some images, which chance says.
--
--     pl.image.random_flip(pl.rand(8, 3, 32, 32))
-- @param images
-- @param options `p` (0.5): how probably; `direction` as of `flip`
-- @return the images
function steps.random_flip(images, options) return step("random_flip", images, options) end

--- Turns each image by a random angle.
--
--     pl.image.random_rotate(pl.rand(8, 3, 32, 32), 15)
-- @param images
-- @param degrees the largest angle either way, or `{from, to}`, counter-clockwise
-- @param options as of `rotate`
-- @return the images
function steps.random_rotate(images, degrees, options)
  return step("random_rotate", images, degrees, options)
end

--- Slants, turns, scales and moves each image at random.
--
--     pl.image.random_affine(pl.rand(8, 3, 32, 32), 10, {translate = {0.1, 0}, scale = {0.9, 1.1}})
-- @param images
-- @param degrees the largest angle either way, or `{from, to}`, clockwise
-- @param options `translate` ({0, 0}): at most which share of width and height; `scale` ({1, 1}):
--   between which factors; `shear`: the largest angle along x either way (0), or `{from, to}`, or
--   `{from, to, from, to}` with those along y; `mode`, `fill` as of `rotate`
-- @return the images
function steps.random_affine(images, degrees, options)
  return step("random_affine", images, degrees, options)
end

--- Blurs each image by a Gaussian of random width.
--
--     pl.image.random_blur(pl.rand(8, 3, 32, 32), 5, {sigma = {0.1, 1}})
-- @param images
-- @param kernel_size as of `blur`
-- @param options `sigma` ({0.1, 2}): between which standard deviations, in pixels
-- @return the images
function steps.random_blur(images, kernel_size, options)
  return step("random_blur", images, kernel_size, options)
end

--- Fills a random part of some images with one value (Zhong et al., "Random erasing data
-- augmentation", AAAI 2020).
--
--     pl.image.random_erase(pl.rand(8, 3, 32, 32), {p = 0.25})
-- @param images
-- @param options `p` (0.5): how probably; `scale` ({0.02, 0.33}): between which shares of the
--   pixels; `ratio` ({0.3, 3.3}): between which widths by heights; `value` (0) as of `erase`
-- @return the images
function steps.random_erase(images, options) return step("random_erase", images, options) end

--- Makes some images grey, which chance says; they keep their channels.
--
--     pl.image.random_gray(pl.rand(8, 3, 32, 32), {p = 0.2})
-- @param images
-- @param options `p` (0.1): how probably
-- @return the images
function steps.random_gray(images, options) return step("random_gray", images, options) end

return steps
