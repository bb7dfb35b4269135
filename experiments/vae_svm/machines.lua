--- Support vector machines on pixels or on what an autoencoder makes of them.

local pl = require "perilune"
local svm = require "perilune.learn.svm"
local data, progress = pl.data, pl.progress

local machines = {}

--- Images as rows of pixels from 0 to 1.
-- @param set of images
-- @return real [n, pixels]
function machines.pixels(set)
  local n = #set.labels
  local x = pl.empty(n, set.images:numel() // n)
  local first = 1
  for batch in data.batches(set, {batch_size = 1000, shuffle = false}) do
    pl.tidy(function() x:slice(1, first, #batch):copy_(batch:reshape(#batch, -1)) end)
    first = first + #batch
  end
  return x
end

--- The means of the approximate posterior.
-- @param net the autoencoder
-- @param set of images
-- @return real [n, latent]
function machines.codes(net, set)
  local parts = {}
  for x in data.batches(set, {batch_size = 1000, shuffle = false}) do
    parts[#parts + 1] = pl.tidy(pl.no_grad, function()
      return (net:encode(x:reshape(#x, -1)))
    end)
  end
  return pl.cat(parts, 1)
end

-- A bar that counts the turns of a transductive machine.
local function turn_bar(title)
  local bar
  return function(facts)
    bar = bar or progress.new {total = facts.turns, unit = "turns", title = title}
    bar:update(1, {changed = facts.changed})
    if facts.turn == facts.turns then bar:close() end
  end
end

--- Trains a machine.
-- @param x real [n, d], all training images
-- @param labels int32 [n] of these
-- @param draw what `labels.draw` gives
-- @param settings of the method: `transductive`, `C`, `gamma`, `features`, `unlabelled_cost`
-- @param seed of the random features
-- @param title of the progress bar
-- @return the machine, or nil and a message if Ctrl-C was pressed
function machines.train(x, labels, draw, settings, seed, title)
  return pl.tidy(function()
    local known = x:index_select(draw.labelled, 1)
    local classes = labels:index_select(draw.labelled, 1)
    if not settings.transductive then
      return svm.fit(known, classes, {C = settings.C, gamma = settings.gamma})
    end
    return svm.transduce(known, classes, x:index_select(draw.unlabelled, 1), {
      C = settings.C, gamma = settings.gamma, features = settings.features,
      unlabelled_cost = settings.unlabelled_cost, balance = true, seed = seed,
      on_progress = turn_bar(title),
    })
  end)
end

return machines
