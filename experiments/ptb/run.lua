--- Language models of the Penn Treebank: LSTM and GRU, without and with dropout.
--
-- perilune experiments/ptb/run.lua --help

local pl = require "perilune"
local data, experiment, nn, optim = pl.data, pl.experiment, pl.nn, pl.optim
local figures = require "figures"
local model = require "model"
local sampled = require "sampled"
local variants = require "variants"
local text = data.text

local NAMES <const> = {"lstm", "lstm-dropout", "gru", "gru-dropout", "lstm-variational", "best"}
local CHUNK <const> = 700 -- words of a chunk when a text is evaluated: as many as in training
local TRAIN_STREAMS <const> = 20 -- in which the long training text is evaluated

local function number(name, help, low, high)
  return {name, type = "number", of = "variant", help = help, min = low, max = high}
end
local function integer(name, help, low)
  return {name, type = "integer", of = "variant", help = help, min = low or 1}
end
local function either(name, help)
  return {name, type = "boolean", of = "variant", help = help}
end

-- These go before what variants.lua says.
local OF_VARIANTS <const> = {
  {"epochs", quick = 2, of = "variant", help = "passes over the training text"},
  number("lr", "first learning rate, for the loss summed over steps", 1e-6),
  number("flat", "epochs with the first learning rate", 0),
  number("decay", "divisor of the learning rate in each later epoch", 1),
  number("clip", "largest norm of the gradient", 1e-6),
  number("dropout", "probability on the connections that are not recurrent", 0, 0.99),
  number("input-dropout", "the same before the first layer alone", 0, 0.99),
  number("output-dropout", "the same after the last layer alone", 0, 0.99),
  number("word-dropout", "probability that a word is left out of the embedding", 0, 0.99),
  number("weight-dropout", "probability on the recurrent weights", 0, 0.99),
  number("weight-decay", "L2", 0),
  number("activity", "factor of the penalty of the last layer's squares", 0),
  number("slowness", "factor of the penalty of their change from step to step", 0),
  number("init", "weights begin uniform in plus or minus this", 0),
  integer("units", "units of a layer"),
  integer("layers", "layers"),
  integer("batch-size", "streams read side by side"),
  integer("steps", "words of a chunk through which gradients go back"),
  integer("average", "epochs without a better validation before weights are averaged; 0: never",
          0),
  integer("train-every", "epochs between two evaluations of the training text"),
  integer("sampled", "words in the softmax of a training step, in the mean; 0: all", 0),
  either("tied", "one matrix for the embedding and the softmax"),
  either("variational", "the same dropout at all steps of a chunk"),
  either("vary", "chunks of random lengths"),
}

local OWN <const> = {
  {"variant", default = "all", many = true, choices = NAMES, help = "settings to train"},
  {"tokens", type = "integer", quick = 10000, min = 100, value = "N",
   help = "use only the first N words of the training text and a tenth of that of the others"},
  {"validation-only", type = "flag",
   help = "leave the test text and the training perplexity out, to choose options"},
  {"sample", value = "TEXT", free = true, help = "continue a text, and stop"},
  {"from", value = "FILE", free = true,
   help = "the network for --sample: VARIANT-SEED.safetensors in the folder of a run"},
  {"words", type = "integer", default = 100, min = 1, free = true, help = "length of the sample"},
  {"temperature", type = "number", default = 0.8, min = 0, free = true,
   help = "of the sample: 1 as the network has learned, 0 always the likeliest word"},
}

local options = experiment.options(arg, {
  name = "ptb",
  summary = "Trains language models of two recurrent layers on the Penn Treebank text.",
  options = table.move(OF_VARIANTS, 1, #OF_VARIANTS, #OWN + 1, OWN),
  notes = "A run leaves behind: metrics.jsonl, the plots as PNG and SVG, the trained networks as\n"
    .. "VARIANT-SEED.safetensors with vocabulary.txt, and table.txt. train_perplexity is that of\n"
    .. "the training text in evaluation mode, learning_perplexity the mean as it learns,\n"
    .. "with the words that the softmax of a step is over.",
})

-- A variant's settings, with what the command line gives in their place. A dropout that is
-- given is for all connections, except those with one of their own.
local function settings_of(name)
  local settings = experiment.settings(options, variants[name])
  if options.dropout then
    settings.input_dropout, settings.output_dropout = options.input_dropout, options.output_dropout
  end
  return settings
end

--
-- Data
--

local function shorten(tokens, n)
  return tokens:slice(1, 1, math.min(n, #tokens)):clone()
end

local function load_corpus()
  local corpus = experiment.must(text.corpus {data = options.data})
  if options.tokens then
    corpus.train = shorten(corpus.train, options.tokens)
    corpus.valid = shorten(corpus.valid, options.tokens // 10)
    corpus.test = shorten(corpus.test, options.tokens // 10)
  end
  corpus.eos = corpus.vocabulary.index["<eos>"]
  for _, name in ipairs(options.variant) do
    local batch = settings_of(name).batch_size
    if batch > #corpus.train then
      experiment.fail("a batch of %d is larger than the text of %d words", batch, #corpus.train)
    end
  end
  return corpus
end

-- The lengths of chunks as Merity et al. 2017 draw them: about `steps`, now and then half.
local function random_lengths(total, steps)
  local lengths, sum = {}, 0
  while sum < total do
    local mean = pl.rand(1):item() < 0.95 and steps or steps / 2
    local n = math.max(5, math.floor(mean + 5 * pl.randn(1):item() + 0.5))
    lengths[#lengths + 1] = math.min(n, total - sum)
    sum = sum + lengths[#lengths]
  end
  return lengths
end

--
-- Evaluation
--

-- The perplexity of a text in evaluation mode. It is read as one stream from <eos> on, the
-- training text as several side by side, which leaves out fewer words than there are streams.
local function perplexity(job, net, corpus, split)
  local streams = split == "train" and math.min(TRAIN_STREAMS, #corpus.train) or 1
  local stream = text.stream(corpus[split], streams, CHUNK // streams, {first = corpus.eos})
  local sum, state = 0, nil
  net:eval()
  for x, y in stream do
    state = pl.tidy(pl.no_grad, function()
      local logits, last = net(x, state)
      sum = sum + pl.cross_entropy(logits, y:reshape(-1)):item() * x:numel()
      return last
    end)
  end
  net:train()
  return job.run:check_finite(split .. "_perplexity", math.exp(sum / stream.words),
    {variant = job.variant, seed = job.seed, epoch = job.epoch})
end

-- The perplexities at the end of an epoch, with averaged weights if there are any.
local function evaluate(job, net, mean, settings, corpus)
  local record = {}
  mean:swap()
  record.valid_perplexity = perplexity(job, net, corpus, "valid")
  if not options.validation_only then
    record.test_perplexity = perplexity(job, net, corpus, "test")
    local epoch = job.epoch
    if epoch == 1 or epoch == settings.epochs or epoch % settings.train_every == 0 then
      record.train_perplexity = perplexity(job, net, corpus, "train")
    end
  end
  mean:swap()
  return record
end

--
-- Training
--

-- The loss of a chunk, summed over steps and averaged over the batch, with its penalties.
local function objective(nll, seen, y, settings)
  local loss, steps = nll, #y
  if settings.activity > 0 then loss = loss + seen:square():mean() * settings.activity end
  if settings.slowness > 0 and steps > 1 then
    local change = y:slice(1, 2, steps - 1) - y:slice(1, 1, steps - 1)
    loss = loss + change:square():mean() * settings.slowness
  end
  return loss * steps
end

-- One step of training; gives the state after the chunk.
local function learn(job, net, optimizer, sampler, settings, x, y)
  optimizer:zero_grad()
  local targets = y:reshape(-1)
  local part = sampler and sampler:draw(targets)
  local logits, state, seen, values = net(x, job.state.carried, part)
  local nll = pl.cross_entropy(logits, part and part.targets or targets)
  job:add("loss", nll:item(), y:numel())
  objective(nll, seen, values, settings):backward()
  job:add("gradient_norm", optim.clip_grad_norm_(optimizer.groups[1].params, settings.clip))
  optimizer:step()
  return nn.detach(state)
end

-- The carried state, and what else of the epoch a checkpoint has to hold, is in job.state.
local function begin_epoch(job, settings, corpus)
  local state = job.state
  state.carried, state.lengths, state.training_seconds, state.words = nil, nil, 0, 0
  if settings.vary then
    state.lengths = random_lengths(#corpus.train // settings.batch_size, settings.steps)
  end
end

local function train_epoch(job, net, optimizer, sampler, mean, settings, corpus)
  if job.step == 0 then begin_epoch(job, settings, corpus) end
  local state = job.state
  local stream = text.stream(corpus.train, settings.batch_size, settings.steps,
                             {first = corpus.eos, lengths = state.lengths})
  local began = pl.clock()
  for i in job:steps(#stream, {unit = "words", size = settings.batch_size * settings.steps}) do
    local x, y = stream:chunk(i)
    state.carried = pl.tidy(learn, job, net, optimizer, sampler, settings, x, y)
    if mean.n > 0 then mean:update() end
    local now = pl.clock()
    state.words = state.words + x:numel()
    state.training_seconds, began = state.training_seconds + now - began, now
  end
end

-- Begins to average the weights when the validation perplexity is no better than it was some
-- epochs ago (non-monotonically triggered, Merity et al. 2017).
local function watch(job, mean, settings, perplexity_now)
  local best = job.state.best or {}
  local n = #best
  if settings.average > 0 and mean.n == 0 and n > settings.average
     and perplexity_now > best[n - settings.average] then
    mean:update()
  end
  best[n + 1] = math.min(perplexity_now, best[n] or math.huge)
  job.state.best = best
end

local function report(job, record, settings, optimizer, mean)
  local state = job.state
  record.learning_perplexity = math.exp(job:mean "loss")
  record.gradient_norm = job:mean "gradient_norm"
  record.lr, record.keep_prob = optimizer.lr, 1 - settings.dropout
  record.averaged_steps = mean.n > 0 and mean.n or nil
  record.words_per_second = math.floor(state.words / math.max(state.training_seconds, 1e-9) + 0.5)
  job:report(record)
end

local function train(job, corpus)
  local settings = settings_of(job.variant)
  local net = model.new(corpus.vocabulary.size, settings)
  local params = net:parameters()
  local optimizer = optim.SGD(params, {lr = settings.lr, weight_decay = settings.weight_decay})
  local schedule = optim.LambdaLR(optimizer, function(t)
    return settings.decay ^ -math.max(0, t + 1 - settings.flat)
  end)
  local mean = optim.SWA(params)
  local words = corpus.vocabulary.size
  local sampler = settings.sampled > 0 and settings.sampled < words
    and sampled.new(corpus.train, words, settings.sampled)
  local parts = {model = net, optimizer = optimizer, schedule = schedule, average = mean}
  for _ in job:epochs(settings.epochs, parts) do
    train_epoch(job, net, optimizer, sampler, mean, settings, corpus)
    local record = evaluate(job, net, mean, settings, corpus)
    report(job, record, settings, optimizer, mean)
    watch(job, mean, settings, record.valid_perplexity)
    schedule:step()
  end
  mean:swap() -- the averaged weights are those to keep
end

--
-- Samples
--

local function read_vocabulary(path)
  local words = {}
  for word in experiment.must(pl.read_file(path)):gmatch "[^\n]+" do words[#words + 1] = word end
  return text.vocabulary(words)
end

-- The next word, chosen by its probability; never <unk>.
local function choose(logits, unk)
  logits = logits[-1]
  if unk then logits[unk] = -math.huge end
  if options.temperature == 0 then return logits:argmax(-1):item() end
  return pl.multinomial((logits / options.temperature):softmax(), 1)[1]
end

-- The given words and those with which the network continues them.
local function continue(net, vocabulary, ids)
  local x = pl.cat({pl.tensor({vocabulary.index["<eos>"]}, "int32"), ids}, 1)
  local list, state = ids:totable(), nil
  for _ = 1, options.words do
    local logits
    logits, state = net(x:reshape(-1, 1), state)
    list[#list + 1] = choose(logits, vocabulary.index["<unk>"])
    x = pl.tensor({list[#list]}, "int32")
  end
  return list
end

local function sample()
  local from = options.from
  if not from then experiment.fail "--sample needs --from VARIANT-SEED.safetensors" end
  local saved = experiment.must(pl.load(from))
  local net, message = model.from_state(saved.model or {})
  if not net then experiment.fail("%s: %s", from, message) end
  local vocabulary = read_vocabulary((from:match "^(.*/)" or "") .. "vocabulary.txt")
  if vocabulary.size ~= net.embedding.weight:size(1) then
    experiment.fail("%s has %d words, vocabulary.txt beside it %d", from,
                    net.embedding.weight:size(1), vocabulary.size)
  end
  local ids = experiment.must(text.encode(vocabulary, options.sample))
  pl.manual_seed(options.seed[1])
  print(text.decode(vocabulary, pl.no_grad(continue, net, vocabulary, ids)))
end

--
-- The whole
--

-- The closing table: the last perplexities, and what they were reached with.
local function print_table(run)
  local fields = {"valid_perplexity", "test_perplexity", "train_perplexity", "keep_prob", "epoch",
                  "words_per_second", "seconds"}
  local rows = run:summary(fields)
  for _, row in ipairs(rows) do
    row.lr = run:records({variant = row.variant, epoch = 1})[1].lr
  end
  run:table(rows, {
    "variant", {"valid_perplexity", title = "validation", format = "%.2f"},
    {"test_perplexity", title = "test", format = "%.2f"},
    {"train_perplexity", title = "train", format = "%.2f"},
    {"lr", title = "learning rate", format = "%g"},
    {"keep_prob", title = "keep prob.", format = "%.2f"},
    {"epoch", title = "epochs", format = "%d"},
    {"words_per_second", title = "words/s", format = "%.0f"}, {"seconds", format = "%.0f"},
  })
end

local function main()
  if options.sample then return sample() end
  local corpus = load_corpus()
  local run = experiment.open(options)
  run:write("vocabulary.txt", table.concat(corpus.vocabulary.words, "\n") .. "\n")
  print(("%s: %d, %d and %d words, vocabulary of %d"):format(corpus.name, #corpus.train,
    #corpus.valid, #corpus.test, corpus.vocabulary.size))
  if corpus.perplexity then
    print(("A perfect model has the perplexity %.2f."):format(corpus.perplexity))
  end
  for job in run:jobs(options) do train(job, corpus) end
  figures.curves(run, NAMES, settings_of, corpus)
  print_table(run)
end

main()
