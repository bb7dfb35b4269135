--- Training aids: the usual loop as one function, which one reads and leaves, and what ends it.
--
--     local history = train.fit(net, pl.cross_entropy, opt, {x, y}, {
--       epochs = 20, validation = {test_x, test_y}, metrics = {accuracy = metrics.Accuracy()},
--       callbacks = {function(r) print(r.epoch, r.accuracy) end, train.EarlyStopping()},
--     })
--
-- What `fit` does, written by hand:
--
--     for epoch = 1, 20 do
--       net:train()
--       for bx, by in data.batches({x, y}, {batch_size = 64}) do
--         pl.tidy(function()
--           opt:zero_grad()
--           pl.cross_entropy(net(bx), by):backward()
--           opt:step()
--         end)
--       end
--       net:eval()
--       accuracy:reset()
--       for bx, by in data.batches({test_x, test_y}, {shuffle = false}) do
--         pl.tidy(pl.no_grad, function() accuracy:update(net(bx), by) end)
--       end
--       print(epoch, accuracy:compute())
--     end
--
-- Whatever else a training does, such as clipping, several losses or steps of two networks, is a
-- line in that loop. A run that is to be stopped and resumed is one of `pl.experiment`.
-- @module perilune.train

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local data = require "perilune.data"
local fields = require "perilune.nn.fields"
local option = require "perilune.internal.option"
local progress = require "perilune.progress"
local stopping = require "perilune.train.stopping"
local unknown = require "perilune.internal.unknown"
local sorted_keys = require("perilune.internal.words").sorted_keys

local train = {EarlyStopping = stopping.EarlyStopping, Best = stopping.Best}

-- The batches of a set, or what a function gives, and how many they are, if that is known.
local function batches_of(set, options)
  if type(set) == "function" then return set() end
  return data.batches(set, options)
end

local function count_of(set, options)
  return type(set) ~= "function" and data.batch_count(set, options) or nil
end

-- One pass with steps; the mean loss of the rows.
local function train_once(net, loss, optimizer, set, o, title)
  local sum, n = 0, 0
  local options <const> = {batch_size = o.batch_size}
  local bar <close> = progress.new {total = count_of(set, options), title = title, unit = "batches"}
  net:train()
  for x, y in batches_of(set, options) do
    pl.tidy(function()
      optimizer:zero_grad()
      local l = loss(net(x), y)
      l:backward()
      optimizer:step()
      sum, n = sum + l:item() * x:size(1), n + x:size(1)
    end)
    bar:update(1, {loss = sum / n})
  end
  return sum / n
end

-- One pass without steps: the mean loss of the rows and the metrics go into the record.
local function evaluate(net, loss, set, o, record)
  local sum, n = 0, 0
  for _, metric in next, o.metrics do metric:reset() end
  net:eval()
  for x, y in batches_of(set, {batch_size = o.batch_size, shuffle = false}) do
    pl.tidy(pl.no_grad, function()
      local prediction = net(x)
      sum, n = sum + loss(prediction, y):item() * x:size(1), n + x:size(1)
      for _, metric in next, o.metrics do metric:update(prediction, y) end
    end)
  end
  record.validation_loss = sum / n
  for name, metric in next, o.metrics do record[name] = metric:compute() end
end

local function read_options(options)
  local o = option.read("fit", options, {
    epochs = option.required, batch_size = 64, validation = option.absent, metrics = {},
    callbacks = {}})
  o.epochs = check.count("fit", "epochs", o.epochs)
  o.batch_size = check.count("fit", "batch_size", o.batch_size)
  if next(o.metrics) and not o.validation then
    complain("fit: metrics are those of a validation set, and there is none")
  end
  for _, name in ipairs(sorted_keys(o.metrics)) do
    if type(o.metrics[name]) ~= "table" or not o.metrics[name].update then
      complain("fit: metrics: %s is a %s; an accumulator such as metrics.Accuracy() expected",
               name, check.type(o.metrics[name]))
    end
  end
  return o
end

local function check_parts(net, loss, optimizer)
  if not fields.is_module(net) then
    complain("fit: module expected, got %s", check.type(net))
  elseif type(loss) ~= "function" and not fields.is_module(loss) then
    complain("fit: loss: function or module expected, got %s", check.type(loss))
  elseif not require("perilune.optim.optimizer").is_optimizer(optimizer) then
    complain("fit: optimiser expected, got %s", check.type(optimizer))
  end
end

--- Trains a network: in each epoch one pass through the set in steps, one through the validation
-- set, and the callbacks. The text above shows the loop written by hand.
-- @param net module
-- @param loss function(prediction, target), or a module such as `nn.CrossEntropyLoss()`, which
--   gives the mean of the rows
-- @param optimizer of `pl.optim`
-- @param set {x, y}, as for `data.batches`, or a function that gives batches, such as
--   `function() return data.batches(images, {flip = true}) end`
-- @param options `epochs`; `batch_size` (64); `validation`: a set or function as above; `metrics`:
--   accumulators of `pl.metrics` by name, of the validation set; `callbacks`: a list of functions
--   of the epoch's record and the network, called in their order, of which one that gives true ends
--   the training
-- @return list of records, one for each epoch: `epoch`, `loss`, the mean over the epoch's steps,
--   and with a validation set `validation_loss` and the metrics by name
function train.fit(net, loss, optimizer, set, options)
  check_parts(net, loss, optimizer)
  local o, history = read_options(options), {}
  for epoch = 1, o.epochs do
    local record, stop = {epoch = epoch}, false
    local title = ("epoch %d/%d"):format(epoch, o.epochs)
    record.loss = train_once(net, loss, optimizer, set, o, title)
    if o.validation then evaluate(net, loss, o.validation, o, record) end
    history[epoch] = record
    for _, callback in ipairs(o.callbacks) do stop = callback(record, net) or stop end
    if stop then break end
  end
  return history
end

return unknown.guard("pl.train", train)
