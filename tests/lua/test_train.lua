--- Training aids: fit, early stopping, the best weights.

local lu = require "luaunit"
local pl = require "perilune"
local nn, optim, data, metrics, train = pl.nn, pl.optim, pl.data, pl.metrics, pl.train

local T = {}

local quiet
function T.setUp() quiet, pl.progress.quiet = pl.progress.quiet, true end
function T.tearDown() pl.progress.quiet = quiet end

-- Two classes: whether the sum of two numbers is positive.
local function problem()
  pl.manual_seed(4)
  local x = pl.randn(96, 2)
  local y = x:sum({dim = 2}):gt(0):to "int32" + 1
  local net = nn.Linear(2, 2)
  return net, optim.SGD(net:parameters(), {lr = 0.5}), {x, y}, {x:slice(1, 1, 32), y:slice(1, 1, 32)}
end

-- The loop as the documentation shows it.
local function by_hand(net, opt, set, test, epochs)
  local history, accuracy = {}, metrics.Accuracy()
  for epoch = 1, epochs do
    net:train()
    for x, y in data.batches(set, {batch_size = 20}) do
      pl.tidy(function()
        opt:zero_grad()
        pl.cross_entropy(net(x), y):backward()
        opt:step()
      end)
    end
    net:eval()
    accuracy:reset()
    for x, y in data.batches(test, {shuffle = false}) do
      pl.tidy(pl.no_grad, function() accuracy:update(net(x), y) end)
    end
    history[epoch] = accuracy:compute()
  end
  return history
end

function T.test_fit_is_the_loop()
  local net, opt, set, test = problem()
  local want = by_hand(net, opt, set, test, 3)
  local weight = net.weight:detach():clone()
  net, opt, set, test = problem()
  local got = train.fit(net, pl.cross_entropy, opt, set, {
    epochs = 3, batch_size = 20, validation = test, metrics = {accuracy = metrics.Accuracy()}})
  lu.assertEquals(#got, 3)
  for epoch, record in ipairs(got) do
    lu.assertEquals(record.epoch, epoch)
    lu.assertEquals(record.accuracy, want[epoch])
  end
  lu.assertEquals(net.weight:totable(), weight:totable())
  lu.assertTrue(got[3].loss < got[1].loss)
  lu.assertAlmostEquals(got[3].validation_loss,
                        pl.cross_entropy(net(test[1]), test[2]):item(), 1e-6)
end

function T.test_functions_that_give_batches()
  local net, opt, set = problem()
  local passes = 0
  local history = train.fit(net, nn.CrossEntropyLoss(), opt, function()
    passes = passes + 1
    return data.batches(set, {batch_size = 48})
  end, {epochs = 2})
  lu.assertEquals(passes, 2)
  lu.assertNil(history[1].validation_loss)
end

function T.test_callbacks()
  local net, opt, set = problem()
  local seen = {}
  local history = train.fit(net, pl.cross_entropy, opt, set, {epochs = 9, callbacks = {
    function(record, network)
      lu.assertTrue(rawequal(network, net))
      return record.epoch == 2
    end,
    function(record) seen[#seen + 1] = record.epoch end,
  }})
  lu.assertEquals(seen, {1, 2})
  lu.assertEquals(#history, 2)
end

local function stops_at(values, options)
  local stop = train.EarlyStopping(options)
  for i, value in ipairs(values) do
    if stop:update(value) then return i, stop end
  end
end

function T.test_early_stopping()
  local n, stop = stops_at({5, 4, 4, 4.5, 3, 3, 3, 3}, {patience = 3})
  lu.assertEquals(n, 8)
  lu.assertEquals({stop.best, stop.waited}, {3, 3})
  lu.assertEquals(stops_at({5, 4.9, 4.8, 4.7}, {patience = 2, min_delta = 0.5}), 3)
  lu.assertEquals(stops_at({1, 2, 3, 2, 2}, {patience = 1, mode = "max"}), 4)
  lu.assertEquals(stops_at({1, 0 / 0}), 2)
  lu.assertNil((stops_at {3, 2, 1}))
  local other = train.EarlyStopping():load_state_dict(stop:state_dict())
  lu.assertTrue(other:update(3))
end

function T.test_early_stopping_and_best_in_fit()
  local net, opt, set, test = problem()
  local best = train.Best(net, {monitor = "accuracy", mode = "max"})
  local stop = train.EarlyStopping {monitor = "accuracy", mode = "max", patience = 2}
  local weights = {}
  local history = train.fit(net, pl.cross_entropy, opt, set, {
    epochs = 30, validation = test, metrics = {accuracy = metrics.Accuracy()},
    callbacks = {best, stop, function(r) weights[r.epoch] = net.weight:detach():totable() end}})
  lu.assertTrue(#history < 30)
  lu.assertEquals(history[#history - 2].accuracy, best.value)
  lu.assertTrue(rawequal(best:restore(), net))
  lu.assertEquals(net.weight:totable(), weights[#history - 2])
end

function T.test_best_weights()
  local net = nn.Linear(1, 1)
  local best = train.Best(net)
  lu.assertTrue(rawequal(best:restore(), net))
  for i, value in ipairs {3, 1, 2} do
    pl.tidy(function()
      pl.no_grad(net.weight.fill_, net.weight, i)
      lu.assertEquals(best:update(value), i < 3)
    end)
  end
  lu.assertEquals(best:restore().weight:item(), 2)
  local path = os.tmpname()
  pl.save(path, best:state_dict())
  local other = nn.Linear(1, 1)
  local loaded = train.Best(other):load_state_dict(pl.load(path))
  os.remove(path)
  lu.assertEquals(loaded:restore().weight:item(), 2)
  lu.assertFalse(loaded:update(1))
end

function T.test_messages()
  local net, opt, set = problem()
  local function fails(text, ...)
    lu.assertErrorMsgContains(text, ...)
  end
  fails("fit: module expected, got nil", train.fit)
  fails("fit: loss: function or module expected, got nil", train.fit, net)
  fails("fit: optimiser expected, got table", train.fit, net, pl.mse_loss, {})
  fails("fit: option 'epochs' is missing", train.fit, net, pl.mse_loss, opt, set, {})
  fails("fit: epochs: positive integer expected, got 0", train.fit, net, pl.mse_loss, opt, set,
        {epochs = 0})
  fails("fit: unknown option 'epoch'", train.fit, net, pl.mse_loss, opt, set, {epoch = 1})
  fails("fit: metrics are those of a validation set, and there is none", train.fit, net,
        pl.mse_loss, opt, set, {epochs = 1, metrics = {a = metrics.MAE()}})
  fails("fit: metrics: a is a function; an accumulator such as metrics.Accuracy() expected",
        train.fit, net, pl.mse_loss, opt, set,
        {epochs = 1, validation = set, metrics = {a = metrics.mae}})
  fails("EarlyStopping: the record has no accuracy, which is to be watched",
        train.EarlyStopping {monitor = "accuracy"}, {epoch = 1})
  fails("EarlyStopping: mode: min or max expected, got low", train.EarlyStopping, {mode = "low"})
  fails("EarlyStopping: patience: positive integer expected, got 0", train.EarlyStopping,
        {patience = 0})
  fails("Best: min_delta: number of at least 0 expected, got -1", train.Best, net, {min_delta = -1})
  fails("Best: module expected, got nil", train.Best)
  fails("EarlyStopping: number expected, got nil", train.EarlyStopping().update,
        train.EarlyStopping())
end

return T
