--- A small probabilistic grammar: a stand-in for real text of which the entropy is known.
--
-- Parts of speech follow each other as a Markov chain that begins with `<eos>`. Each has
-- words of its own, of which the k-th is chosen with a probability proportional to 1/k
-- (Zipf's law). A word belongs to one part only, so the words before tell which part it is,
-- and the entropy of the next word is that of its part plus that of the word within it.
-- @module perilune.data.grammar

local core = require "perilune.core"

local grammar = {}

local EOS <const> = "<eos>"

local PARTS <const> = {
  {name = "end", words = EOS,
   next = {determiner = 0.5, pronoun = 0.3, noun = 0.1, adverb = 0.1}},
  {name = "determiner", words = "the a this every some no", next = {noun = 0.7, adjective = 0.3}},
  {name = "adjective", next = {noun = 0.8, adjective = 0.2}, words = [[
    new small large old good strong young early foreign private open recent major local final
    quiet]]},
  {name = "noun", next = {verb = 0.45, preposition = 0.25, ["end"] = 0.25, conjunction = 0.05},
   words = [[company market year price share stock bank bond house trade business plan report
    group president week rate sale money court office river ship garden moon
    teacher letter bridge]]},
  {name = "verb", words = [[is said sold has made bought found saw wanted took gave held built
    called moved kept wrote sent lost opened]],
   next = {determiner = 0.45, preposition = 0.2, adverb = 0.1, pronoun = 0.1, ["end"] = 0.15}},
  {name = "adverb", words = "now often never today slowly soon again almost quickly alone",
   next = {verb = 0.5, adjective = 0.2, ["end"] = 0.3}},
  {name = "preposition", words = "of in to for on with from at by under",
   next = {determiner = 0.7, noun = 0.3}},
  {name = "pronoun", words = "it he she they we nobody",
   next = {verb = 0.8, adverb = 0.1, ["end"] = 0.1}},
  {name = "conjunction", words = "and but because", next = {determiner = 0.5, pronoun = 0.5}},
}

--
-- Tables of the grammar
--

-- Probabilities as a list that rises to 1, and their entropy in nats.
local function distribution(weights)
  local total, sum, entropy, steps = 0, 0, 0, {}
  for _, weight in ipairs(weights) do total = total + weight end
  for i, weight in ipairs(weights) do
    sum = sum + weight / total
    steps[i] = sum
    if weight > 0 then entropy = entropy - weight / total * math.log(weight / total) end
  end
  steps[#steps] = 1
  return {steps = steps, entropy = entropy}
end

-- For each part the distribution of its words and of the part that follows.
local function build()
  local parts, words = {}, {}
  for i, given in ipairs(PARTS) do
    local follow, zipf, first = {}, {}, #words
    for j, other in ipairs(PARTS) do follow[j] = given.next[other.name] or 0 end
    for word in given.words:gmatch "%S+" do
      words[#words + 1], zipf[#zipf + 1] = word, 1 / (#zipf + 1)
    end
    parts[i] = {first = first, follow = follow, next = distribution(follow),
                word = distribution(zipf)}
  end
  return parts, words
end

local parts, all_words = build()

--- The words, `<eos>` first.
-- @return list of strings
function grammar.words()
  return table.move(all_words, 1, #all_words, 1, {})
end

-- How often each part occurs in the long run.
local function shares()
  local share = {1}
  for i = 2, #parts do share[i] = 0 end
  for _ = 1, 500 do
    local after = {}
    for j = 1, #parts do
      after[j] = 0
      for i, part in ipairs(parts) do after[j] = after[j] + share[i] * part.follow[j] end
    end
    share = after
  end
  return share
end

--- The entropy of a word given all words before it, in nats.
-- @return number
function grammar.entropy()
  local entropy = 0
  for i, share in ipairs(shares()) do
    entropy = entropy + share * (parts[i].next.entropy + parts[i].word.entropy)
  end
  return entropy
end

--
-- Sentences
--

local function choose(d, u)
  local i = 1
  while u >= d.steps[i] and i < #d.steps do i = i + 1 end
  return i
end

-- Numbers in [0, 1) from the common stream, one a call.
local function uniform()
  local list, at = {}, 0
  return function()
    if at == #list then list, at = core.tidy(function() return core.rand(4096):totable() end), 0 end
    at = at + 1
    return list[at]
  end
end

--- Generates sentences, each ended by `<eos>`, from the common stream of random numbers.
-- @param n least number of words, `<eos>` included
-- @return list of token ids
function grammar.sentences(n)
  local ids, part, random = {}, 1, uniform()
  repeat
    part = choose(parts[part].next, random())
    ids[#ids + 1] = parts[part].first + choose(parts[part].word, random())
  until #ids >= n and part == 1
  return ids
end

return grammar
