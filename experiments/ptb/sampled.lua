--- A softmax over a part of the words, for training: those that follow in the chunk, and a
-- sample of the others. It costs as many products as there are words in that part.
--
-- Each word w is drawn with a probability q(w) of its own, on its own, and its exp(logit) is
-- divided by q(w), so that the sum over the drawn words is in the mean that over all (Horvitz
-- and Thompson 1952). q(w) is proportional to the root of the number of times that w occurs,
-- and 1 for the most frequent words. A use of it: Jean et al. 2015, "On Using Very Large
-- Target Vocabulary for Neural Machine Translation".

local pl = require "perilune"

local sampled = {}

local Sampler = {__name = "sampler"}
Sampler.__index = Sampler

-- The probabilities min(1, c r) whose sum is `expected`: those that are cut to 1 leave the
-- others more, until none is cut any more.
local function probabilities(r, expected)
  local c = expected / r:sum():item()
  for _ = 1, 50 do
    local free = (r * c):lt(1):to "real"
    c = (expected - (#r - free:sum():item())) / (r * free):sum():item()
  end
  return (r * c):clamp(0, 1)
end

--- Makes a sampler.
-- @param tokens int32 [n], the training text
-- @param words number of words of the vocabulary
-- @param expected mean number of words that are drawn, less than `words`
-- @return the sampler
function sampled.new(tokens, words, expected)
  local self = setmetatable({words = words}, Sampler)
  pl.tidy(function()
    local counts = pl.index_add(pl.ones(#tokens), tokens, 1, words)
    self.probability = pl.keep(probabilities((counts + 1):sqrt(), expected))
    self.log_probability = pl.keep(self.probability:log())
  end)
  return self
end

--- Draws the words for one chunk.
-- @param targets int32 [n], the words that follow, which are always among the chosen
-- @return the chosen: `words`, int32 [k]; `targets`, int32 [n], the positions of the targets
--   among them; `shift`, [k], to be subtracted from their logits
function Sampler:draw(targets)
  local follows = pl.index_add(pl.ones(#targets), targets, 1, self.words):gt(0):to "real"
  local mask = (follows + pl.rand(self.words):lt(self.probability):to "real"):gt(0):to "real"
  local words = mask:nonzero()
  return {
    words = words,
    targets = mask:cumsum(1):index_select(targets, 1):to "int32",
    shift = (self.log_probability * follows:eq(0):to "real"):index_select(words, 1),
  }
end

return sampled
