-- Text: files and their faults, vocabularies, streams, and the generated stand-in.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local data, text = pl.data, pl.data.text

local T = {}

local folder

function T.setUp()
  folder = os.tmpname()
  os.remove(folder)
  assert(core.mkdir(folder))
  assert(core.mkdir(folder .. "/toy"))
end

function T.tearDown()
  os.execute(("rm -rf '%s'"):format(folder))
end

local function path_of(split)
  return ("%s/toy/toy.%s.txt"):format(folder, split)
end

-- Writes the three files of a corpus and reads them.
local function read(train, valid, test)
  for split, content in pairs {train = train, valid = valid or "a\n", test = test or "a\n"} do
    local file <close> = assert(io.open(path_of(split), "wb"))
    assert(file:write(content))
  end
  return text.corpus {data = folder, name = "toy"}
end

local function assert_refused(message, ...)
  local corpus, err = read(...)
  lu.assertNil(corpus)
  lu.assertEquals(err, message)
end

--
-- Files
--

function T.test_corpus()
  local corpus = read(" b a b \n a c\n", "c a\n", "b\n")
  lu.assertEquals(corpus.vocabulary.words, {"b", "a", "<eos>", "c"})
  lu.assertEquals(corpus.vocabulary.index, {b = 1, a = 2, ["<eos>"] = 3, c = 4})
  lu.assertEquals(corpus.vocabulary.size, 4)
  lu.assertEquals(corpus.train:totable(), {1, 2, 1, 3, 2, 4, 3})
  lu.assertEquals(corpus.valid:totable(), {4, 2, 3})
  lu.assertEquals(corpus.test:totable(), {1, 3})
  lu.assertEquals(corpus.train:dtype(), "int32")
  lu.assertEquals({corpus.name, corpus.synthetic}, {"toy", false})
end

function T.test_last_line_without_newline()
  lu.assertEquals(read("a b\nb").train:totable(), {1, 2, 3, 2, 3})
end

function T.test_crlf()
  local corpus = read("a b\r\nb\r\n")
  lu.assertEquals(corpus.train:totable(), {1, 2, 3, 2, 3})
  lu.assertEquals(corpus.vocabulary.words, {"a", "b", "<eos>"})
end

function T.test_tabs_blank_lines_and_byte_order_mark()
  lu.assertEquals(read("\u{FEFF}a\tb\n\n  \na\n").train:totable(), {1, 2, 3, 3, 3, 1, 3})
end

function T.test_words_beyond_ascii()
  local corpus = read("čeština a 日本\n")
  lu.assertEquals(corpus.vocabulary.words, {"čeština", "a", "日本", "<eos>"})
end

function T.test_unknown_words()
  local corpus = read("a <unk>\n", "a z z\n", "y\n")
  lu.assertEquals(corpus.valid:totable(), {1, 2, 2, 3})
  lu.assertEquals(corpus.test:totable(), {2, 3})
  assert_refused(path_of "valid" .. ":2: 'z' is not in the vocabulary, which has no <unk>",
                 "a b\n", "a\nb z\n")
end

function T.test_files_that_are_no_text()
  assert_refused(path_of "train" .. " is empty", "")
  assert_refused(path_of "valid" .. " is empty", "a\n", "")
  assert_refused(path_of "test" .. " holds no words", "a\n", "a\n", "\n \r\n\t\n")
  assert_refused(path_of "train" .. ":2: byte 0xE9 is not UTF-8", "a\ncaf\xE9 b\n")
  assert_refused(path_of "test" .. ":1: byte 0xFF is not UTF-8", "a\n", "a\n", "\xFF\xFE\n")
end

function T.test_missing_files()
  local corpus, message = text.corpus {data = folder, name = "toy"}
  lu.assertNil(corpus)
  lu.assertStrContains(message, "toy/toy.train.txt is not in " .. folder)
  lu.assertNotStrContains(message, "\n")
  read "a\n"
  os.remove(path_of "test")
  corpus, message = text.corpus {data = folder, name = "toy"}
  lu.assertNil(corpus)
  lu.assertStrContains(message, "toy/toy.test.txt is not in " .. folder)
end

function T.test_folder_or_archive_in_place_of_a_file()
  assert(core.mkdir(path_of "train"))
  local corpus, message = text.corpus {data = folder, name = "toy"}
  lu.assertNil(corpus)
  lu.assertStrContains(message, path_of "train")
  lu.assertNotStrContains(message, "\n")
  os.remove(path_of "train")
  assert(io.open(path_of "train" .. ".gz", "wb")):close()
  corpus, message = text.corpus {data = folder, name = "toy"}
  lu.assertNil(corpus)
  lu.assertEquals(message, path_of "train" .. ".gz: compressed text; gunzip unpacks it")
end

function T.test_read()
  local corpus = read "a b\n"
  local file <close> = assert(io.open(folder .. "/more.txt", "wb"))
  file:write "b a\n"
  file:close()
  lu.assertEquals(text.read(folder .. "/more.txt", corpus.vocabulary):totable(), {2, 1, 3})
  local tokens, message = text.read(folder .. "/none.txt", corpus.vocabulary)
  lu.assertNil(tokens)
  lu.assertStrContains(message, folder .. "/none.txt")
  tokens, message = text.read(folder .. "/more.txt", text.vocabulary {"a", "b"})
  lu.assertNil(tokens)
  lu.assertEquals(message, "'<eos>' is not in the vocabulary, which has no <unk>")
end

function T.test_penn_treebank()
  if not data.find(nil, "ptb/ptb.train.txt") then return end
  local corpus = assert(text.corpus())
  lu.assertEquals({#corpus.train, #corpus.valid, #corpus.test}, {929589, 73760, 82430})
  lu.assertEquals(corpus.vocabulary.size, 10000)
  lu.assertEquals(text.decode(corpus.vocabulary, corpus.valid:slice(1, 1, 16)),
    "consumers may want to move their telephones a little closer to the tv set\n<unk>")
  lu.assertEquals(#text.stream(corpus.train, 20, 35), 1328)
end

--
-- Vocabularies
--

function T.test_encode_and_decode()
  local v = text.vocabulary {"the", "cat", "<eos>", "sat"}
  lu.assertEquals(text.encode(v, " the cat\tsat ")[3], 4)
  lu.assertEquals(text.encode(v, "the cat sat"):totable(), {1, 2, 4})
  lu.assertEquals(text.encode(v, ""):size(), {0})
  local tokens, message = text.encode(v, "the dog")
  lu.assertNil(tokens)
  lu.assertEquals(message, "'dog' is not in the vocabulary, which has no <unk>")
  local with_unk = text.vocabulary {"a", "<unk>"}
  lu.assertEquals(text.encode(with_unk, "a dog"):totable(), {1, 2})
  lu.assertEquals(text.decode(v, {1, 2, 3, 2, 4}), "the cat\ncat sat")
  lu.assertEquals(text.decode(v, pl.tensor({1, 4, 3}, "int32")), "the sat\n")
  lu.assertErrorMsgContains("decode: token 2 is 5; the vocabulary has the words 1 to 4",
                            text.decode, v, {1, 5})
  lu.assertErrorMsgContains("vocabulary: 'a' is there twice, as word 1 and 3",
                            text.vocabulary, {"a", "b", "a"})
end

--
-- Streams
--

local function tokens_up_to(n)
  return pl.arange(1, n):to("int32")
end

local function collect(stream)
  local chunks = {}
  for x, y in stream do chunks[#chunks + 1] = {x:totable(), y:totable()} end
  return chunks
end

function T.test_a_loop_over_a_stream_begins_at_the_beginning()
  local stream = text.stream(pl.arange(1, 41, "int32"), 2, 5)
  stream()
  lu.assertEquals(#collect(stream), #stream)
end

function T.test_one_stream_predicts_every_word_once()
  local stream = text.stream(tokens_up_to(7), 1, 3, {first = 9})
  lu.assertEquals(collect(stream), {
    {{{9}, {1}, {2}}, {{1}, {2}, {3}}}, {{{3}, {4}, {5}}, {{4}, {5}, {6}}}, {{{6}}, {{7}}}})
  lu.assertEquals({#stream, stream.words, stream.length}, {3, 7, 7})
end

function T.test_streams_side_by_side()
  local stream = text.stream(tokens_up_to(11), 2, 2)
  lu.assertEquals(collect(stream), {
    {{{11, 5}, {1, 6}}, {{1, 6}, {2, 7}}}, {{{2, 7}, {3, 8}}, {{3, 8}, {4, 9}}},
    {{{4, 9}}, {{5, 10}}}})
  lu.assertEquals({#stream, stream.words, stream.length}, {3, 10, 5})
  lu.assertEquals(collect(stream), collect(text.stream(tokens_up_to(11), 2, 2))) -- once more
end

function T.test_chunks_by_number()
  local stream = text.stream(tokens_up_to(12), 3, 2)
  local x, y = stream:chunk(2)
  lu.assertEquals({x:totable(), y:totable()}, {{{2, 6, 10}, {3, 7, 11}}, {{3, 7, 11}, {4, 8, 12}}})
  lu.assertTrue(x:is_contiguous())
  lu.assertErrorMsgContains("chunk: 3 of a stream of 2 chunks", stream.chunk, stream, 3)
  lu.assertErrorMsgContains("chunk: 0 of a stream of 2 chunks", stream.chunk, stream, 0)
end

function T.test_one_stream_is_not_copied()
  local tokens = tokens_up_to(6)
  local _, y = text.stream(tokens, 1, 4):chunk(1)
  tokens[2] = 77
  lu.assertEquals(y[2][1], 77)
end

function T.test_chunks_of_given_lengths()
  local stream = text.stream(tokens_up_to(8), 2, 9, {lengths = {1, 3}})
  local chunks = collect(stream)
  lu.assertEquals({#stream, chunks[1][2], chunks[2][2]},
                  {2, {{1, 5}}, {{2, 6}, {3, 7}, {4, 8}}})
  lu.assertErrorMsgContains("stream: the lengths sum up to 5 for streams of 4 words", text.stream,
                            tokens_up_to(8), 2, 9, {lengths = {2, 3}})
end

function T.test_refused_streams()
  local tokens = tokens_up_to(3)
  for _, bad in ipairs {
    {"stream: a batch of 4 is larger than the text of 3 words", 4, 1},
    {"stream: batch: positive integer expected, got 0", 0, 1},
    {"stream: steps: positive integer expected, got 1.5", 1, 1.5},
    {"stream: unknown option 'skip'; known: first, lengths", 1, 1, {skip = 1}},
  } do lu.assertErrorMsgContains(bad[1], text.stream, tokens, table.unpack(bad, 2)) end
end

function T.test_smallest_streams()
  lu.assertEquals(collect(text.stream(tokens_up_to(1), 1, 5)), {{{{1}}, {{1}}}})
  lu.assertEquals(collect(text.stream(tokens_up_to(3), 3, 5)), {{{{3, 1, 2}}, {{1, 2, 3}}}})
end

--
-- The stand-in
--

function T.test_synthetic()
  local corpus = assert(text.corpus {data = "synthetic"})
  lu.assertTrue(corpus.synthetic)
  for split, least in pairs {train = 40000, valid = 4000, test = 4000} do
    local n = #corpus[split]
    lu.assertTrue(n >= least and n < least + 100, split)
    lu.assertEquals(corpus.vocabulary.words[corpus[split][-1]], "<eos>")
    lu.assertTrue(corpus[split]:to("real"):amax():item() <= corpus.vocabulary.size)
  end
  lu.assertEquals(corpus.vocabulary.index["<eos>"], 1)
  lu.assertEquals(#corpus.vocabulary.words, corpus.vocabulary.size)
end

function T.test_synthetic_leaves_the_random_numbers_alone()
  pl.manual_seed(5)
  local expected = pl.rand(3):totable()
  pl.manual_seed(5)
  local a = text.synthetic {train = 500}
  lu.assertEquals(pl.rand(3):totable(), expected)
  local b, c = text.synthetic {train = 500}, text.synthetic {train = 500, seed = 2}
  lu.assertEquals(b.train:totable(), a.train:totable())
  lu.assertNotEquals(c.train:totable(), a.train:totable())
  lu.assertNotEquals(a.valid:totable(), a.test:totable())
end

-- The entropy of a word given the one before it, from counts, with the correction of Miller
-- and Madow for the pairs that are rare.
local function entropy_of_pairs(tokens)
  local pairs_seen, before_seen, last = {}, {}, tokens[#tokens]
  for _, id in ipairs(tokens) do
    local key = last * 1000 + id
    pairs_seen[key] = (pairs_seen[key] or 0) + 1
    before_seen[last] = (before_seen[last] or 0) + 1
    last = id
  end
  local n, entropy, kinds, contexts = #tokens, 0, 0, 0
  for key, count in pairs(pairs_seen) do
    entropy = entropy - count / n * math.log(count / before_seen[key // 1000])
    kinds = kinds + 1
  end
  for _ in pairs(before_seen) do contexts = contexts + 1 end
  return entropy + (kinds - contexts) / (2 * n)
end

function T.test_perplexity_of_the_stand_in()
  local corpus = text.synthetic {train = 300000}
  local counted = math.exp(entropy_of_pairs(corpus.train:totable()))
  lu.assertAlmostEquals(counted / corpus.perplexity, 1, 0.01)
end

return T
