--- Support vector machines on pixels or on what an autoencoder makes of them.

local pl = require "perilune"
local svm = require "perilune.learn.svm"
local progress = pl.progress

local machines = {}

local CHUNK <const> = 1000 -- images that are encoded at a time

--
-- What the machines see
--

--- Images as real numbers from 0 to 1.
-- @param set of images
-- @return real [n, h, w]
function machines.pixels(set)
  local images = set.images
  local x = pl.empty(images:size())
  for first = 1, #images, CHUNK do
    local n = math.min(CHUNK, #images - first + 1)
    pl.tidy(function()
      x:slice(1, first, n):copy_(images:slice(1, first, n):to("real") / 255)
    end)
  end
  return x
end

-- f of some rows at a time, without gradients.
local function in_chunks(x, f)
  local parts = {}
  for first = 1, #x, CHUNK do
    local rows = x:slice(1, first, math.min(CHUNK, #x - first + 1))
    parts[#parts + 1] = pl.tidy(pl.no_grad, f, rows)
  end
  return pl.cat(parts, 1)
end

-- A number by which to divide so that the variances of all columns add up to 1.
local function spread(x)
  return math.sqrt(pl.tidy(function() return x:var(1):sum():item() end))
end

--- Makes the function that gives the machines their inputs: real [n, h, w] -> real [n, d].
-- @param net the autoencoder; nil: the pixels themselves
-- @param view "mean" of the approximate posterior, "hidden", the values of the encoder's last
--   hidden layer, or "both", each scaled to a total variance of 1
-- @param x all training images
-- @return the function
function machines.encoder(net, view, x)
  local function rows(images) return images:reshape(#images, -1) end
  if not net then return rows end
  local function means(images) return (net:encode(rows(images))) end
  local function hidden(images) return net.encoder(rows(images)) end
  if view == "hidden" then return function(images) return in_chunks(images, hidden) end end
  if view == "mean" then return function(images) return in_chunks(images, means) end end
  local a, b = pl.tidy(function()
    return spread(in_chunks(x, means)), spread(in_chunks(x, hidden))
  end)
  return function(images)
    return in_chunks(images, function(some)
      return pl.cat({means(some) / a, hidden(some) / b}, 2)
    end)
  end
end

local function shifted(images, right, down)
  local h, w = images:size(2), images:size(3)
  return images:pad({1, 1, 1, 1}):slice(2, 2 - down, h):slice(3, 2 - right, w)
end

-- Images with copies of them whose labels are the same (virtual examples, Schoelkopf 1996):
-- mirrored ones, and each of all shifted by a pixel in four directions.
local function with_copies(images, copies)
  local list = {images}
  if copies == "mirrored" or copies == "all" then list[2] = images:flip(3) end
  if copies == "shifted" or copies == "all" then
    for i = 1, #list do
      for _, way in ipairs {{1, 0}, {-1, 0}, {0, 1}, {0, -1}} do
        list[#list + 1] = shifted(list[i], way[1], way[2])
      end
    end
  end
  return pl.cat(list, 1), #list
end

--
-- Training
--

-- A bar that counts the turns of a transductive machine.
local function turn_bar(title)
  local bar
  return function(facts)
    bar = bar or progress.new {total = facts.turns, unit = "turns", title = title}
    bar:update(1, {changed = facts.changed})
    if facts.turn == facts.turns then bar:close() end
  end
end

-- The graph of all training images as one of the given rows, which are all of these, some of them
-- more than once: the neighbours of a copy are those of its original.
local function graph_of(graph, rows)
  local place, list = {}, rows:totable()
  for i = #list, 1, -1 do place[list[i]] = i end
  local near = graph.near:index_select(rows, 1):reshape(-1)
  return {
    near = pl.tensor(place, "int32"):index_select(near, 1):reshape(#list, -1),
    distances = graph.distances:index_select(rows, 1),
  }
end

--- Trains a machine.
-- @param images real [n, h, w], all training images
-- @param x what the encoder makes of them
-- @param labels int32 [n] of the images
-- @param draw what `labels.draw` gives
-- @param settings of the method: `transductive`, `C`, `gamma`, `features`, `unlabelled_cost`,
--   `neighbours`, `copies`: "none", "mirrored", "shifted" or "all", of the labelled images
-- @param encoder what `machines.encoder` gives
-- @param graph `svm.neighbours` of all training images, or nil
-- @param seed of the random features
-- @param title of the progress bar
-- @return the machine, or nil and a message if Ctrl-C was pressed
function machines.train(images, x, labels, draw, settings, encoder, graph, seed, title)
  return pl.tidy(function()
    local known, times = with_copies(images:index_select(draw.labelled, 1), settings.copies)
    local of = labels[draw.labelled]
    local classes = of:reshape(1, -1):expand(times, #of):reshape(-1)
    if not settings.transductive then
      return svm.fit(encoder(known), classes, {C = settings.C, gamma = settings.gamma})
    end
    if graph then
      local originals = draw.labelled:reshape(1, -1):expand(times, #of):reshape(-1)
      graph = graph_of(graph, pl.cat({originals, draw.unlabelled}, 1))
    end
    return svm.transduce(encoder(known), classes, x:index_select(draw.unlabelled, 1), {
      C = settings.C, gamma = settings.gamma, features = settings.features,
      unlabelled_cost = settings.unlabelled_cost, neighbours = settings.neighbours, graph = graph,
      balance = true, seed = seed, on_progress = turn_bar(title),
    })
  end)
end

return machines
