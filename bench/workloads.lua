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

-- `within`: each parameter is changed while the gradients of the others still flow.
local function vae(within)
  local batch, latent, hidden = 100, 50, 600
  local function hidden_layers(n)
    return nn.Linear(n, hidden), nn.Softplus(), nn.Linear(hidden, hidden), nn.Softplus()
  end
  local net = nn.module {
    encoder = nn.Sequential {hidden_layers(784)}, mean = nn.Linear(hidden, latent),
    log_var = nn.Linear(hidden, latent), decoder = nn.Sequential {hidden_layers(latent)},
    output = nn.Linear(hidden, 784),
    forward = function(self, x)
      local h = self.encoder(x)
      local mean, log_var = self.mean(h), self.log_var(h)
      return self.output(self.decoder(nn.gaussian.rsample(mean, log_var))), mean, log_var
    end,
  }
  local optimizer = optim.Adam(net:parameters(), {lr = 3e-4})
  local x = pl.rand(batch, 784)
  return function()
    local logits, mean, log_var = net(x)
    local loss = (pl.binary_cross_entropy_with_logits(logits, x, {reduction = "sum"})
      + nn.gaussian.kl_divergence(mean, log_var):sum()) / batch
    if within then
      optimizer:step_backward(loss)
    else
      optimizer:zero_grad()
      loss:backward()
      optimizer:step()
    end
    return loss:item()
  end, batch
end

workloads["vae"] = function() return vae(false) end
workloads["vae-within"] = function() return vae(true) end

-- The first transposed convolution gives the 7 x 7 of 8 x 8 that peer.py keeps, as in the experiment.
local function generator(d)
  local first, up = {stride = 2, padding = 2}, {stride = 2, padding = 2, output_padding = 1}
  local body = nn.Sequential {nn.ConvTranspose2d(2 * d, d, 5, up), nn.ReLU(),
                              nn.ConvTranspose2d(d, 1, 5, up), nn.Sigmoid()}
  return nn.module {
    linear = nn.Sequential {nn.Linear(128, 16 * 4 * d), nn.ReLU()},
    conv1 = nn.Sequential {nn.ConvTranspose2d(4 * d, 2 * d, 5, first), nn.ReLU()}, body = body,
    forward = function(self, z)
      return self.body(self.conv1(self.linear(z):reshape(-1, 4 * d, 4, 4)))
    end,
  }
end

local function critic(d)
  local down = {stride = 2, padding = 2}
  return nn.Sequential {
    nn.Conv2d(1, d, 5, down), nn.LeakyReLU(0.2), nn.Conv2d(d, 2 * d, 5, down), nn.LeakyReLU(0.2),
    nn.Conv2d(2 * d, 4 * d, 5, down), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16 * 4 * d, 1),
  }
end

-- A step of the critic with gradient penalty: five of these go to one step of the generator.
workloads["wgan-gp"] = function()
  local batch, G, D = 50, generator(64), critic(64)
  local optimizer = optim.Adam(D:parameters(), {lr = 1e-4, betas = {0.5, 0.9}})
  local real = pl.rand(batch, 1, 28, 28)
  return function()
    local fake = pl.no_grad(G, pl.randn(batch, 128))
    local a = pl.rand(batch, 1, 1, 1)
    local mix = (a * real + (1 - a) * fake):requires_grad_()
    local g = pl.grad(D(mix):sum(), {mix}, {create_graph = true})[1]
    local penalty = ((g:flatten(2):norm(2) - 1) ^ 2):mean()
    local loss = D(fake):mean() - D(real):mean() + 10 * penalty
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
    return loss:item()
  end, batch
end

-- A step of the discriminator and one of the generator, for which, as in the experiment, only the
-- generator's gradients are asked for; peer.py has those of the discriminator computed too.
workloads["dcgan"] = function()
  local batch, G, D = 50, generator(64), critic(64)
  local optimizer_g = optim.Adam(G:parameters(), {lr = 2e-4, betas = {0.5, 0.999}})
  local optimizer_d = optim.Adam(D:parameters(), {lr = 2e-4, betas = {0.5, 0.999}})
  local real = pl.rand(batch, 1, 28, 28)
  local one, zero, bce = pl.ones(batch, 1), pl.zeros(batch, 1), pl.binary_cross_entropy_with_logits
  local params = G:parameters()
  return function()
    local fake = G(pl.randn(batch, 128))
    optimizer_d:zero_grad()
    local loss_d = bce(D(real), one) + bce(D(fake:detach()), zero)
    loss_d:backward()
    optimizer_d:step()
    local loss_g = bce(D(fake), one)
    for i, gradient in ipairs(pl.grad(loss_g, params)) do params[i].grad = gradient end
    optimizer_g:step()
    return loss_g:item()
  end, batch
end

-- What the machine can do.
workloads["gemm"] = function()
  local a, b = pl.rand(1024, 1024), pl.rand(1024, 1024)
  return function() return a:matmul(b):size(1) end, 1
end

workloads["memory"] = function()
  local n = 16 * 1024 * 1024
  local x, y = pl.zeros(n), pl.ones(n)
  return function() return x:add_(y):size(1) end, 3 * n * (pl.real == "double" and 8 or 4)
end

--- The names in the order in which they are run.
workloads.order = {"lenet", "lenet-bn", "lenet-drop", "lstm", "lstm-drop", "gru", "vae", "wgan-gp",
                   "dcgan"}

return workloads
