--- Text for language models: corpora, their vocabularies, and streams of batches.
--
-- A corpus is a table: `train`, `valid` and `test`, int32 tensors of token ids with one
-- `<eos>` for each line; `vocabulary`; `name`; and `synthetic`, true for the generated
-- stand-in. A vocabulary is a table: `size`; `words`, the list of words; `index`, their
-- ids by word.
--
--     local text = require "perilune.data.text"
--     local corpus = assert(text.corpus {name = "ptb"})
--     for x, y in text.stream(corpus.train, 20, 35) do
--       ...  -- x, y: int32 [35, 20]; y holds the words that follow those of x
--     end
-- @module perilune.data.text

local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local core = require "perilune.core"
local grammar = require "perilune.data.grammar"

local text = {}

local EOS <const>, UNK <const> = "<eos>", "<unk>"
local titles = {}
for _, row in ipairs(require "perilune.data.sets") do titles[row.name] = row.title end

--
-- Vocabularies
--

--- Makes a vocabulary of a list of words, numbered in its order.
-- @param words list of strings, each once
-- @return the vocabulary
function text.vocabulary(words)
  local vocabulary = {size = #words, words = words, index = {}}
  for i, word in ipairs(words) do
    if vocabulary.index[word] then
      complain("vocabulary: '%s' is there twice, as word %d and %d", word, vocabulary.index[word],
        i)
    end
    vocabulary.index[word] = i
  end
  return vocabulary
end

-- The number of a word, that of <unk> for an unknown one, or nil if there is no <unk>.
local function number_of(vocabulary, word)
  return vocabulary.index[word] or vocabulary.index[UNK]
end

-- The number of a word, which is new in the vocabulary if need be.
local function add(vocabulary, word)
  local id = vocabulary.index[word]
  if not id then
    id = vocabulary.size + 1
    vocabulary.size, vocabulary.words[id], vocabulary.index[word] = id, word, id
  end
  return id
end

local function not_known(word)
  return ("'%s' is not in the vocabulary, which has no %s"):format(word, UNK)
end

--- The ids of the words of a text, parted by spaces; `<eos>` is not added.
-- @param vocabulary as in a corpus
-- @param line string
-- @return int32 tensor [n], or nil and a message if a word is unknown and there is no `<unk>`
function text.encode(vocabulary, line)
  local ids = {}
  for word in line:gmatch "%S+" do
    local id = number_of(vocabulary, word)
    if not id then return nil, not_known(word) end
    ids[#ids + 1] = id
  end
  return core.tensor(ids, "int32")
end

--- The text of token ids: words with spaces between, a line for each `<eos>`.
-- @param vocabulary as in a corpus
-- @param tokens int32 tensor [n] or list of integers
-- @return string
function text.decode(vocabulary, tokens)
  local ids = type(tokens) == "table" and tokens or tokens:totable()
  local parts, start = {}, true
  for i, id in ipairs(ids) do
    local word = vocabulary.words[id]
    if not word then
      complain("decode: token %d is %s; the vocabulary has the words 1 to %d", i, tostring(id),
        vocabulary.size)
    end
    if word == EOS then
      parts[#parts + 1], start = "\n", true
    else
      parts[#parts + 1] = start and word or " " .. word
      start = false
    end
  end
  return table.concat(parts)
end

--
-- Files
--

-- The number of the line in which a position of a text is.
local function line_at(content, position)
  local _, newlines = content:sub(1, position - 1):gsub("\n", "")
  return newlines + 1
end

-- The whole text of a file, with a newline at its end, or nil and a message.
local function read_file(path)
  if path:find "%.gz$" then return nil, path .. ": compressed text; gunzip unpacks it" end
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local content, why = file:read "a"
  file:close()
  if not content then return nil, ("%s: %s"):format(path, why) end
  content = content:gsub("^\u{FEFF}", "")
  local _, bad = utf8.len(content)
  if bad then
    return nil, ("%s:%d: byte 0x%02X is not UTF-8"):format(path, line_at(content, bad),
                                                           content:byte(bad))
  elseif not content:find "%S" then
    return nil, path .. (content == "" and " is empty" or " holds no words")
  end
  return content:sub(-1) == "\n" and content or content .. "\n"
end

-- Reads a file; `find(word)` gives the number of a word, or nil.
local function read_tokens(path, find)
  local content, message = read_file(path)
  if not content then return nil, message end
  local ids, n, line_number = {}, 0, 0
  for line in content:gmatch "([^\n]*)\n" do
    line_number = line_number + 1
    for word in line:gmatch "%S+" do
      local id = find(word)
      if not id then return nil, ("%s:%d: %s"):format(path, line_number, not_known(word)) end
      n = n + 1
      ids[n] = id
    end
    n = n + 1
    ids[n] = find(EOS)
  end
  return core.tensor(ids, "int32")
end

--- Reads a text file whose words are parted by white space; every line ends with `<eos>`.
-- @param path the file, in UTF-8
-- @param vocabulary as in a corpus
-- @param[opt=false] grow whether unknown words are added to the vocabulary; else they become
--   `<unk>` if the vocabulary has it
-- @return int32 tensor of token ids, or nil and a message
function text.read(path, vocabulary, grow)
  if grow then return read_tokens(path, function(word) return add(vocabulary, word) end) end
  if not vocabulary.index[EOS] then return nil, not_known(EOS) end
  return read_tokens(path, function(word) return number_of(vocabulary, word) end)
end

--- A corpus of three files NAME/NAME.train.txt, .valid.txt and .test.txt.
--
-- The vocabulary is that of the training text, in order of first appearance; other words
-- become `<unk>` if it has that.
-- @param options `name` ("ptb"); `data`, the folder to look in (see `data.find`), or
--   "synthetic" for a generated text (see `text.synthetic`)
-- @return the corpus, or nil and a message
function text.corpus(options)
  local o = option.read("corpus", options, {data = option.absent, name = "ptb"})
  if o.data == "synthetic" then return text.synthetic() end
  local find = require("perilune.data").find
  local corpus = {vocabulary = text.vocabulary {}, synthetic = false,
                  name = titles[o.name] or o.name}
  for i, split in ipairs {"train", "valid", "test"} do
    local path, missing = find(o.data, ("%s/%s.%s.txt"):format(o.name, o.name, split))
    if not path then return nil, missing end
    local tokens, message = text.read(path, corpus.vocabulary, i == 1)
    if not tokens then return nil, message end
    corpus[split] = tokens
  end
  return corpus
end

--- A generated stand-in: sentences of a small probabilistic grammar, whose parts of speech
-- follow each other as a Markov chain and choose words by Zipf's law (see
-- perilune.data.grammar). Its field `perplexity` is what a perfect model reaches: exp of
-- the entropy of a word given all words before it.
--
-- Deterministic, and without effect on the random numbers of the caller.
-- @param[opt] options `train` (40000), `valid` and `test` (4000): number of words, which is
--   rounded up to whole sentences; `seed` (1)
-- @return the corpus
function text.synthetic(options)
  local o = option.read("synthetic", options,
                          {train = 40000, valid = 4000, test = 4000, seed = 1})
  local corpus = {
    name = "generated sentences", synthetic = true, perplexity = math.exp(grammar.entropy()),
    vocabulary = text.vocabulary(grammar.words()),
  }
  local state = core.random_state()
  core.manual_seed(o.seed)
  for _, split in ipairs {"train", "valid", "test"} do
    local ids = grammar.sentences(check.count("synthetic", split, o[split]))
    corpus[split] = core.tensor(ids, "int32")
  end
  core.set_random_state(state)
  return corpus
end

--
-- Streams
--

local Stream = object.class "stream"
Stream.__name = "stream"

function Stream:__len()
  return #self._begins
end

--- One chunk of a stream: the words from which to predict, and those to be predicted.
-- @param i number of the chunk, 1 to #stream
-- @return x, int32 [steps, batch]
-- @return y, int32 [steps, batch]
function Stream:chunk(i)
  local from = self._begins[i]
  if not from then
    complain("chunk: %s of a stream of %d chunks", tostring(i), #self)
  end
  local n = (self._begins[i + 1] or self.length + 1) - from
  return self._x:slice(1, from, n), self._y:slice(1, from, n)
end

-- The next chunk, so that a stream is an iterator; it begins anew after the last, and in each loop.
function Stream:__call(_, before)
  local i = before == nil and 1 or self._at + 1
  self._at = i <= #self and i or 0
  if i <= #self then return self:chunk(i) end
end

-- Where the chunks begin.
local function begins(length, steps, lengths)
  local list, at = {}, 1
  while at <= length do
    list[#list + 1] = at
    at = at + (lengths and lengths[#list] or steps)
  end
  return list
end

local function check_lengths(lengths, length)
  local sum = 0
  for _, n in ipairs(lengths) do sum = sum + check.count("stream", "length", n) end
  if sum ~= length then
    complain("stream: the lengths sum up to %d for streams of %d words", sum, length)
  end
end

-- The tokens [n batch] as n rows, each with one token of every stream; of one stream a view.
local function side_by_side(tokens, batch, n)
  return tokens:slice(1, 1, n * batch):reshape(batch, n):t():contiguous()
end

--- A text cut into `batch` streams of the same length, each read in chunks of `steps` words:
-- `for x, y in text.stream(tokens, 20, 35) do`, or `stream:chunk(i)` for i up to #stream.
--
-- Chunks are int32 [steps, batch] and follow each other within each stream, so a state that is
-- carried on fits; the last may be shorter. y holds the words that follow those of x. Every
-- word is predicted once, except the last #tokens % batch words; the first from `first`, by
-- default the last word of the text, which in a corpus is `<eos>`. The field `words` is how
-- many are predicted, `length` how many in each stream.
-- @param tokens int32 tensor [n]
-- @param batch number of streams
-- @param steps words of a chunk
-- @param[opt] options `first`: number of the word from which the first one is predicted;
--   `lengths`: a list of the lengths of all chunks, in place of `steps`
-- @return the stream
function text.stream(tokens, batch, steps, options)
  batch = check.count("stream", "batch", batch)
  steps = check.count("stream", "steps", steps)
  local o = option.read("stream", options, {first = option.absent, lengths = option.absent})
  local length = #tokens // batch
  if length < 1 then
    complain("stream: a batch of %d is larger than the text of %d words", batch, #tokens)
  end
  if o.lengths then check_lengths(o.lengths, length) end
  local first = core.tensor({o.first or tokens[-1]}, "int32")
  local before = core.cat({first, tokens:slice(1, 1, #tokens - 1)}, 1)
  return setmetatable({
    batch = batch, length = length, words = batch * length, _at = 0,
    _begins = begins(length, steps, o.lengths),
    _x = side_by_side(before, batch, length), _y = side_by_side(tokens, batch, length),
  }, Stream)
end

return text
