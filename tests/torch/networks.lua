--- The networks that PyTorch and Perilune exchange; networks.py has the same.

local pl = require "perilune"
local nn = pl.nn

local networks = {}

-- Some numbers that floats hold exactly.
local function numbers(...)
  local size, t = {...}, {}
  local n = 1
  for _, m in ipairs(size) do n = n * m end
  for i = 1, n do t[i] = ((i - 1) * 5 % 7 - 3) / 4 end
  return pl.tensor(t):reshape(size)
end

networks.lenet = {input = numbers(3, 1, 12, 12)}

function networks.lenet.make()
  return nn.module {
    features = nn.Sequential {
      nn.Conv2d(1, 4, 5, {padding = 2}), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
      nn.Conv2d(4, 8, 3, {bias = false}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    },
    classifier = nn.Sequential {nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10)},
    forward = function(self, x) return self.classifier(self.features(x)) end,
  }
end

-- Words count from 1 here, and from 0 there.
networks.words = {input = pl.tensor({1, 8, 15, 2, 9, 16, 3, 10, 17, 4}, "int32"):reshape(5, 2)}

function networks.words.make()
  return nn.module {
    embedding = nn.Embedding(20, 8), rnn = nn.LSTM(8, 8, {num_layers = 2}), decoder = nn.Linear(8, 20),
    forward = function(self, x)
      local y = self.rnn(self.embedding(x))
      return self.decoder(y)
    end,
  }
end

networks.others = {input = numbers(3, 2, 2, 2)}

function networks.others.make()
  local net = nn.module {
    up = nn.ConvTranspose2d(2, 3, 3, {stride = 2, padding = 1, output_padding = 1}),
    norm = nn.LayerNorm {3, 4}, instance = nn.InstanceNorm2d(3, {affine = true}),
    rnn = nn.GRU(12, 4, {num_layers = 2}), plain = nn.GRU(4, 4, {bias = false}),
    batch = nn.BatchNorm1d(4, {affine = false}),
    cells = {nn.LSTMCell(4, 4), nn.LSTMCell(4, 4)},
    encoder = nn.Linear(4, 4, {bias = false}), decoder = nn.Linear(4, 4),
    forward = function(self, x)
      local y = self.instance(self.up(x))
      y = self.rnn(self.norm(y:transpose(2, 3)):flatten(3))
      y = self.plain(y)
      y = self.batch(y[-1])
      for _, cell in ipairs(self.cells) do y = cell(y) end
      return self.decoder(self.encoder(y):tanh())
    end,
  }
  net.decoder.weight = net.encoder.weight
  return net
end

return networks
