--- Training steps that are timed beside PyTorch: the same networks, batches and optimisers as
-- in peer.py. They are not the experiments' networks.
--
-- Each entry makes a function that does one step and returns the loss, and says how many
-- samples (images, words) a step has.

local pl = require "perilune"
local nn, optim = pl.nn, pl.optim

local workloads = {}

local function lenet(options)
  local function norm(make, n) return options.norm and make(n) or nn.Identity() end
  local layers = {
    nn.Conv2d(1, 6, 5, {padding = 2}), norm(nn.BatchNorm2d, 6), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5), norm(nn.BatchNorm2d, 16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(400, 120), norm(nn.BatchNorm1d, 120), nn.ReLU(), nn.Dropout(options.drop or 0),
    nn.Linear(120, 84), nn.ReLU(), nn.Dropout(options.drop or 0), nn.Linear(84, 10),
  }
  local used = {}
  for _, layer in ipairs(layers) do
    if getmetatable(layer) ~= nn.Identity then used[#used + 1] = layer end
  end
  local net = nn.Sequential(used)
  local optimizer = optim.Adam(net:parameters(), {lr = 1e-3})
  local batch = 64
  local x = pl.rand(batch, 1, 28, 28)
  local y = (pl.rand(batch) * 10 + 1):to("int32")
  return function()
    optimizer:zero_grad()
    local loss = pl.cross_entropy(net(x), y)
    loss:backward()
    optimizer:step()
    return loss:item()
  end, batch
end

workloads["lenet"] = function() return lenet {} end
workloads["lenet-bn"] = function() return lenet {norm = true} end
workloads["lenet-drop"] = function() return lenet {drop = 0.5} end

local function ptb(cell, drop)
  local words, n, batch, steps = 10000, 200, 20, 35
  local net = nn.module {
    embedding = nn.Embedding(words, n), drop = nn.Dropout(drop), out = nn.Linear(n, words),
    rnn = nn[cell](n, n, {num_layers = 2, dropout = drop}),
    forward = function(self, x, state)
      local h, last = self.rnn(self.drop(self.embedding(x)), state)
      return self.out(self.drop(h)):reshape(steps * batch, words), last
    end,
  }
  local params = net:parameters()
  local optimizer = optim.SGD(params, {lr = 0.01})
  local function ids() return (pl.rand(steps, batch) * words + 1):clamp(1, words):to("int32") end
  local x, y, state = ids(), ids():reshape(-1), nil
  return function()
    optimizer:zero_grad()
    local logits, last = net(x, state)
    local loss = pl.cross_entropy(logits, y)
    loss:backward()
    optim.clip_grad_norm_(params, 5)
    optimizer:step()
    state = nn.detach(last)
    return loss:item()
  end, batch * steps
end

workloads["lstm"] = function() return ptb("LSTM", 0) end
workloads["lstm-drop"] = function() return ptb("LSTM", 0.25) end
workloads["gru"] = function() return ptb("GRU", 0) end

--- The names in the order in which they are run.
workloads.order = {"lenet", "lenet-bn", "lenet-drop", "lstm", "lstm-drop", "gru"}

return workloads
