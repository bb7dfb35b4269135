--- The settings that are compared. Each was chosen on the last 10,000 of the training images
-- with `--validation 10000`, never on the test images; README.md says what was tried.

return {
  plain = {title = "plain", lr = 1e-3, batch_size = 32},
  dropout = {title = "dropout", lr = 1e-3, batch_size = 32, dropout = 0.1},
  ["weight-decay"] = {title = "weight decay", lr = 2e-3, batch_size = 128, weight_decay = 0.2},
  ["batch-norm"] = {title = "batch norm", lr = 2e-3, batch_size = 32, batch_norm = true},
  best = {
    title = "all, with flips and shifts", lr = 4e-3, batch_size = 128, weight_decay = 0.05,
    dropout = 0.03, batch_norm = true, flip = true, shift = 1, epochs = 60,
  },
}
