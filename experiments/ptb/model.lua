--- Language models: an embedding, recurrent layers, and a softmax over all words.

local pl = require "perilune"
local nn = pl.nn

local model = {}

local LanguageModel = nn.class "LanguageModel"

-- Dropout of sequences, as a layer.
local function dropout(p, variational)
  return (variational and nn.LockedDropout or nn.Dropout)(p)
end

function LanguageModel:init(words, s)
  self.embedding = nn.Embedding(words, s.units, {dropout = s.word_dropout})
  self.input_dropout = dropout(s.input_dropout or s.dropout, s.variational)
  self.rnn = nn[s.cell](s.units, s.units, {
    num_layers = s.layers, dropout = s.dropout, variational = s.variational,
    weight_dropout = s.weight_dropout,
  })
  self.output_dropout = dropout(s.output_dropout or s.dropout, s.variational)
  self.output = nn.Linear(s.units, words)
  if s.tied then self.output.weight = self.embedding.weight end
  for _, p in ipairs(self:parameters()) do pl.no_grad(nn.init.uniform_, p, -s.init, s.init) end
end

--- Words to logits of the words that follow.
-- @param x int32 [steps, batch]
-- @param[opt] state carried on from the text before
-- @param[opt] part of the words that the softmax is over, as sampled.lua draws them
-- @return logits [steps batch, words], or of the part
-- @return the state after the last step
-- @return the last layer's values [steps, batch, units] as the softmax sees them
-- @return the same before dropout
function LanguageModel:forward(x, state, part)
  local y, last = self.rnn(self.input_dropout(self.embedding(x)), state)
  local seen = self.output_dropout(y)
  return self:logits(seen:reshape(#x * x:size(2), -1), part), last, seen, y
end

-- The last layer, all of it or the rows of a part.
function LanguageModel:logits(values, part)
  local output = self.output
  if not part then return output(values) end
  return pl.linear(values, output.weight:index_select(part.words, 1),
                   output.bias:index_select(part.words, 1) - part.shift)
end

--- Makes a network; see variants.lua for the settings.
-- @param words number of words
-- @param settings `cell`, "LSTM" or "GRU", `units`, `layers`, `init`, the half-width of the
--   uniform distribution of the weights, `tied`, whether the softmax has the embedding's
--   weights, and the kinds of dropout
-- @return module
function model.new(words, settings)
  return LanguageModel(words, settings)
end

--- Makes the network that a saved state belongs to.
-- @param state what `state_dict` gave
-- @return module, or nil and a message
function model.from_state(state)
  local embedding, recurrent = state["embedding.weight"], state["rnn.layers.1.weight_hh"]
  if not embedding or not recurrent then return nil, "this is no language model" end
  local layers = 1
  while state[("rnn.layers.%d.weight_hh"):format(layers + 1)] do layers = layers + 1 end
  local net = model.new(embedding:size(1), {
    cell = recurrent:size(1) == 4 * recurrent:size(2) and "LSTM" or "GRU", layers = layers,
    units = embedding:size(2), tied = state["output.weight"] == nil, init = 0.1, dropout = 0,
  })
  return net:load_state_dict(state):eval()
end

return model
