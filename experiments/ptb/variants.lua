--- The settings that are compared, chosen on the validation text with `--validation-only`,
-- never on the test text; README.md says what was tried.

-- What a variant does not say itself: the small model of Zaremba et al. 2014.
local COMMON <const> = {
  cell = "LSTM", units = 200, layers = 2, init = 0.1,
  batch_size = 20, steps = 35,
  lr = 1.0,            -- for the loss summed over the steps of a chunk
  flat = 4, decay = 2, -- so many epochs with it; from then on it is divided in each epoch
  clip = 5,            -- the largest norm of the gradient
  epochs = 13,
  dropout = 0,         -- between the layers, before the first and after the last one
  word_dropout = 0, weight_dropout = 0, weight_decay = 0,
  activity = 0, slowness = 0, -- penalties of the last layer's values, and of their change
  average = 0,         -- average the weights after so many epochs without a better validation
  sampled = 2500,      -- words in the softmax of a training step, in the mean; 0: all
  train_every = 5,     -- epochs between two looks at the whole training text
  tied = false, variational = false, vary = false,
}

local function variant(own)
  local settings = {}
  for name, value in next, COMMON do settings[name] = value end
  for name, value in next, own do settings[name] = value end
  return settings
end

return {
  lstm = variant {title = "LSTM", flat = 5, decay = 2, epochs = 10, weight_decay = 2e-4},
  ["lstm-dropout"] = variant {
    title = "LSTM with dropout", dropout = 0.3, weight_decay = 5e-5, flat = 19, decay = 1.3,
    epochs = 32,
  },
  ["lstm-variational"] = variant {
    title = "LSTM with variational dropout", dropout = 0.3, variational = true,
    weight_dropout = 0.1, word_dropout = 0.05, weight_decay = 5e-5, flat = 16, decay = 1.18,
    epochs = 40,
  },
  -- In chunks of 35 words a few long memories make most of the gradient of a GRU.
  gru = variant {
    title = "GRU", cell = "GRU", lr = 0.4, steps = 20, flat = 4, decay = 2, epochs = 9,
    weight_decay = 3e-4,
  },
  ["gru-dropout"] = variant {
    title = "GRU with dropout", cell = "GRU", lr = 0.4, steps = 20, dropout = 0.3,
    weight_decay = 1e-4, flat = 19, decay = 1.3, epochs = 32,
  },
  -- Tied weights (Inan et al. 2017, Press and Wolf 2017) and what Merity et al. 2017 do for
  -- large models: dropout of recurrent weights and of words, penalties on the activity, chunks
  -- of varying length.
  best = variant {
    title = "LSTM, the best of 200 units", tied = true, variational = true, vary = true,
    dropout = 0.2, output_dropout = 0.3, weight_dropout = 0.15, word_dropout = 0.05,
    weight_decay = 5e-5, activity = 1, slowness = 0.5, flat = 30, decay = 1.14, epochs = 66,
  },
}
