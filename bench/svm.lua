--- Times support vector machines: perilune bench/svm.lua [--labels N] [--rows N] [--unlabelled N]
--     [--features N] [--data DIR]
--
-- fit and predict beside LIBSVM's own tools (svm-train and svm-predict of Debian's
-- libsvm-tools, one thread; their seconds include reading the text file), on the same N
-- labelled images and test images, and then transduce with N other images, or all, unlabelled, on
-- 50 random projections of the pixels. --data synthetic does without Fashion-MNIST.

local pl = require "perilune"
local core = require "perilune.core"
local svm = pl.learn.svm

local options = {labels = 3000, rows = 10000, unlabelled = math.huge, features = 1000}
for i = 1, #arg, 2 do
  local name = arg[i]:match("^%-%-(%w+)$")
  if not name or not arg[i + 1] then error("svm.lua: --NAME VALUE expected, got " .. arg[i], 0) end
  options[name] = tonumber(arg[i + 1]) or arg[i + 1]
end

pl.manual_seed(1)

local function load_set(split)
  local set = assert(pl.data.fashion_mnist {split = split, data = options.data})
  return set.images:to("real"):reshape(#set.images, -1) / 255, set.labels
end

local function seconds(f, ...)
  local start = core.clock()
  local result = f(...)
  return core.clock() - start, result
end

-- One text file of examples for the tools.
local function write_examples(path, x, labels)
  local file <close> = assert(io.open(path, "w"))
  for i = 1, #x do
    file:write(labels[i])
    for j, v in ipairs(x[i]:totable()) do
      if v ~= 0 then file:write((" %d:%.8g"):format(j, v)) end
    end
    file:write("\n")
  end
end

local function run(format, ...)
  assert(os.execute(format:format(...)))
end

local function of_libsvm(x, labels, test_x, test_labels, gamma)
  if not os.execute "command -v svm-train >/dev/null 2>&1" then
    print "libsvm-tools are not installed: no comparison"
    return
  end
  local folder = os.tmpname()
  os.remove(folder)
  assert(core.mkdir(folder))
  write_examples(folder .. "/train", x, labels)
  write_examples(folder .. "/test", test_x, test_labels)
  local fit = seconds(run, "svm-train -q -m 1024 -c 10 -g %.17g %s/train %s/model", gamma, folder,
    folder)
  local predict = seconds(run, "svm-predict -q %s/test %s/model %s/out", folder, folder, folder)
  local right, i = 0, 0
  for line in io.lines(folder .. "/out") do
    i = i + 1
    if tonumber(line) == test_labels[i] then right = right + 1 end
  end
  os.execute("rm -rf '" .. folder .. "'")
  return fit, predict, right / i
end

local function inductive(x, labels, test_x, test_labels)
  local fit, model = seconds(svm.fit, x, labels, {C = 10})
  local predict, score = seconds(model.score, model, test_x, test_labels)
  local line <const> = "%-10s fit %8.2f s   predict %8.2f s   accuracy %.4f"
  print(("%d examples of %d values, %d to predict, %d support vectors, %d threads"):format(
    #x, x:size(2), #test_x, model.support, core.threads()))
  print(line:format("Perilune", fit, predict, score))
  local their_fit, their_predict, their_score = of_libsvm(x, labels, test_x, test_labels,
    model.gamma)
  if not their_fit then return end
  print(line:format("LIBSVM", their_fit, their_predict, their_score))
  print(("ratio      fit %8.2f     predict %8.2f"):format(their_fit / fit, their_predict / predict))
end

local function transductive(x, labels, unlabelled)
  local took = seconds(svm.transduce, x, labels, unlabelled, {
    features = options.features, seed = 1, on_progress = function(facts)
      print(("  turn %d of %d after %.1f s, %d Newton steps, %d products, %.2f %% changed"):format(
        facts.turn, facts.turns, facts.seconds, facts.steps, facts.products, 100 * facts.changed))
    end})
  print(("transduce  %d labelled and %d unlabelled examples, %d features: %.1f s"):format(#x,
    #unlabelled, options.features, took))
end

local x, labels = load_set "train"
local test_x, test_labels = load_set "test"
local n = math.min(options.labels, #x // 2)
local rows = math.min(options.rows, #test_x)
inductive(x:slice(1, 1, n):contiguous(), labels:slice(1, 1, n):contiguous(),
  test_x:slice(1, 1, rows):contiguous(), test_labels:slice(1, 1, rows):contiguous())
local z = x:matmul(pl.randn(x:size(2), 50) / 28)
transductive(z:slice(1, 1, n):contiguous(), labels:slice(1, 1, n):contiguous(),
  z:slice(1, n + 1, math.min(options.unlabelled, #z - n)):contiguous())
