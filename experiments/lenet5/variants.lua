--- The settings that are compared. Each was chosen on the last 10,000 of the training images
-- with `--validation 10000`, never on the test images; README.md says what was tried.

local function variant(own)
  local settings = {
    lr = 1e-3, batch_size = 32, epochs = 20, weight_decay = 0, dropout = 0, batch_norm = false,
    flip = false, shift = 0,
  }
  for name, value in next, own do settings[name] = value end
  return settings
end

return {
  plain = variant {title = "plain"},
  dropout = variant {title = "dropout", dropout = 0.1},
  ["weight-decay"] = variant {
    title = "weight decay", lr = 2e-3, batch_size = 128, weight_decay = 0.2,
  },
  ["batch-norm"] = variant {title = "batch norm", lr = 2e-3, batch_norm = true},
  best = variant {
    title = "all, with flips and shifts", lr = 4e-3, batch_size = 128, weight_decay = 0.05,
    dropout = 0.03, batch_norm = true, flip = true, shift = 1, epochs = 60,
  },
}
