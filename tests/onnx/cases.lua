--- Networks and ops as ONNX files: perilune tests/onnx/cases.lua FOLDER writes NAME.onnx, and beside it
-- NAME.1.npz, ... with inputs and what Perilune gives for them. check.py runs them in onnxruntime,
-- tests/lua/test_onnx.lua in what `pl.onnx.import` makes of them.

local pl = require "perilune"
local samples = require "perilune.testing.samples"

local nn = pl.nn
local folder

local experiments = debug.getinfo(1, "S").source:match "^@(.*/)" .. "../../experiments/"

-- The networks of an experiment.
local function experiment(name)
  return dofile(experiments .. name .. "/model.lua")
end

-- Values for running means and variances, which are 0 and 1 in a new network.
local function settled(net)
  pl.no_grad(function()
    for name, t in net:named_buffers() do
      if name:find "running_mean" then t:normal_(0, 0.5) end
      if name:find "running_var" then t:uniform_(0.5, 2) end
    end
  end)
  return net:eval()
end

local function write(name, k, inputs, outputs)
  local arrays = {}
  for key, t in pairs(inputs) do arrays["in." .. key] = t end
  for key, t in pairs(outputs) do arrays["out." .. key] = t end
  assert(pl.save(("%s/%s.%d.npz"):format(folder, name, k), arrays))
end

-- Exports a network and writes what it gives for batches of 1 and 7; make(n) makes inputs in order.
local function network(name, net, make, options)
  options = options or {}
  pl.manual_seed(2)
  local names, outputs = options.inputs or {"x"}, options.outputs or {"y"}
  local call = options.call or function(list) return {net(table.unpack(list))} end
  local example = options.example and options.example(make(options.from or 2)) or make(options.from or 2)
  assert(pl.onnx.export(("%s/%s.onnx"):format(folder, name), net, example, {
    inputs = names, outputs = outputs, dynamic = options.dynamic, method = options.method,
  }))
  for k, n in ipairs {1, 7} do
    local list, given, got = make(n), {}, {}
    for i, key in ipairs(names) do given[key] = list[i] end
    local results = pl.no_grad(call, list)
    for i, key in ipairs(outputs) do got[key] = results[i]:detach():clone() end
    write(name, k, given, got)
  end
end

local function images(n) return {pl.randn(n, 1, 28, 28)} end

-- The networks of the experiments.
local function experiments_of_the_project()
  local lenet = experiment "lenet5"
  network("lenet5", settled(lenet.lenet5 {}), images, {from = 1})
  network("lenet5-batch-norm", settled(lenet.lenet5 {batch_norm = true, dropout = 0.5}), images)

  local gan = experiment "gan"
  network("generator", settled(gan.generator {width = 16, batch_norm = true}),
          function(n) return {pl.randn(n, 128)} end)
  network("critic", settled(gan.critic {width = 16}), images)
  network("discriminator", settled(gan.critic {width = 16, batch_norm = true}), images)

  local vae = experiment("vae_svm").new {pixels = 784, hidden = {60, 50}, latent = 10}:eval()
  network("vae-encoder", vae, function(n) return {pl.rand(n, 784)} end, {
    method = "encode", outputs = {"mean", "log_var"},
    call = function(list) return {vae:encode(list[1])} end,
  })
  network("vae-decoder", vae, function(n) return {pl.randn(n, 10)} end, {
    method = "decode", call = function(list) return {vae:decode(list[1])} end,
  })

  for _, cell in ipairs {"LSTM", "GRU"} do
    local lm = experiment("ptb").new(50, {cell = cell, units = 12, layers = 2, init = 0.5,
                                             dropout = 0.3, tied = cell == "GRU"}):eval()
    local lstm = cell == "LSTM"
    local function state(list) return lstm and {list[2], list[3]} or list[2] end
    network("ptb-" .. cell, lm, function(n)
      return {pl.randint(1, 50, n + 2, n), pl.randn(2, n, 12), lstm and pl.randn(2, n, 12) or nil}
    end, {
      inputs = lstm and {"ids", "h", "c"} or {"ids", "h"},
      outputs = lstm and {"logits", "h_out", "c_out"} or {"logits", "h_out"},
      example = function(list) return {list[1], state(list)} end,
      call = function(list)
        local logits, last = lm(list[1], state(list))
        return lstm and {logits, last[1], last[2]} or {logits, last}
      end,
      dynamic = {ids = {"steps", "batch"}, h = {false, "batch"}, c = lstm and {false, "batch"} or nil},
    })
  end
end

local function others()
  network("without-states", nn.LSTM(3, 4):eval(), function(n) return {pl.randn(5, n, 3)} end,
          {dynamic = 2})
  network("layers", settled(nn.Sequential {
    nn.Unflatten(2, {3, 8, 8}), nn.Conv2d(3, 4, 3, {stride = {2, 1}, padding = {1, 0}, dilation = 2}),
    nn.InstanceNorm2d(4, {affine = true}), nn.AvgPool2d(2, {stride = 1, padding = 1}), nn.Tanh(),
    nn.Flatten(), nn.Linear(80, 6, {bias = false}), nn.LayerNorm(6), nn.Sigmoid(),
  }), function(n) return {pl.randn(n, 192)} end)

  -- What is no op, and masks of comparisons.
  local halves = pl.custom(function(_, x) return x / 2 end, function(_, g) return g / 2 end)
  network("conversions", function(x, ids)
    local mask = x:gt(0) & x:lt(1) | ~x:ge(-1)
    local scale = pl.tensor {1, 2, 4}
    local whole = (x * 10):to "int32"
    local y = halves(x:detach():clone():t():contiguous():t()) * scale[2]
    return y:masked_fill(mask, -1), mask, whole % 3 + ids // 2, whole:to "real" / 2, mask + mask,
           pl.where(mask, ids, whole), mask:sum(2)
  end, function(n) return {pl.randn(n, 3), pl.randint(-5, 5, n, 3)} end, {
    inputs = {"x", "ids"}, outputs = {"y", "mask", "whole", "halves", "two", "some", "count"},
  })

  -- Shapes that follow the batch.
  network("shapes", function(x)
    local n = x:size(1)
    local y = pl.cat({x:reshape(n * 2, 3), pl.zeros(n * 2, 1)}, 2):reshape(n, 8)
    local z = y[{{1, n}, {2, -1, 3}}] + x:narrow(2, 1, 1):expand(n, 3)
    return z:transpose(1, 2):flip(1):t():unsqueeze(2):mean(2), pl.cat({x, x}, 1), x:sum(1), x[n]
  end, function(n) return {pl.randn(n, 6)} end, {outputs = {"y", "twice", "sum", "last"}})
end

-- A sample anew, with other numbers.
local function other_inputs(row, k)
  local next_sample = samples.each(row)
  local list
  for _ = 1, k do _, list = next_sample() end
  for i, t in ipairs(list) do list[i] = t:detach() end
  return list
end

local function numbered(prefix, n)
  local list = {}
  for i = 1, n do list[i] = prefix .. i end
  return list
end

-- Sample k of a row, which ran on other numbers when it was exported.
local function sample(row, k, inputs, attributes)
  local function call(...) return samples.call(row, {...}, attributes) end
  for i, t in ipairs(inputs) do inputs[i] = t:detach() end
  local results = pl.no_grad(function() return table.pack(call(table.unpack(inputs))) end)
  local file, names = ("op-%s-%d"):format(row.name, k), numbered("x", #inputs)
  assert(pl.onnx.export(("%s/%s.onnx"):format(folder, file), call, inputs, {
    inputs = names, outputs = numbered("y", results.n), dynamic = false,
  }))
  local given, expected = {}, {}
  inputs = other_inputs(row, k)
  for i, name in ipairs(names) do given[name] = inputs[i] end
  results = pl.no_grad(function() return table.pack(call(table.unpack(inputs))) end)
  for i = 1, results.n do expected["y" .. i] = results[i]:detach():clone() end
  write(file, 1, given, expected)
end

-- Every sample of every op; those that are refused, with the message.
local function ops()
  local refused = {}
  for _, name in ipairs(pl.ops()) do
    local row, k = pl.op(name), 0
    pl.manual_seed(3)
    for text, inputs, _, attributes in samples.each(row) do
      k = k + 1
      local ok, why = pcall(sample, row, k, inputs, attributes)
      if not ok then refused[#refused + 1] = {op = name, sample = text, why = why} end
    end
  end
  return refused
end

--- Writes all files.
-- @param where folder
-- @return list of the samples that are refused, each {op =, sample =, why =}
local function all(where)
  folder = where
  experiments_of_the_project()
  others()
  return ops()
end

if arg and arg[0]:find "cases%.lua$" then all(assert(arg[1], "a folder expected")) end
return all
