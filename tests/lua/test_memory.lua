--- Memory: its counts, and what happens when an allocation fails. Each task is repeated with
-- the first, the second, ... allocation failing, until it succeeds: every failure must be an
-- error, and leave as many tensors and bytes as before.

local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"

local T = {}
local eq = lu.assertEquals

local function collected()
  collectgarbage()
  collectgarbage()
  local m = pl.memory()
  return m.tensors, m.live_bytes
end

-- Runs the task until it succeeds. clean() undoes what a task that failed may leave.
local function exhaust(task, clean)
  clean = clean or function() end
  task() -- whatever is made once and kept
  clean()
  local tensors, bytes = collected()
  for n = 0, 5000 do
    core.fail_after(n)
    local ok, message = pcall(task)
    core.fail_after(-1)
    clean()
    if ok then
      lu.assertTrue(n > 0, "no allocation at all")
      return n
    end
    lu.assertStrContains(tostring(message), "not enough memory")
    local now, now_bytes = collected()
    if now ~= tensors or now_bytes ~= bytes then
      error(("after failure %d: %d tensors and %d bytes, not %d and %d; the message was: %s")
        :format(n, now, now_bytes, tensors, bytes, message))
    end
  end
  error "did not succeed"
end

--
-- Counts
--

function T.test_counts()
  local tensors, bytes = collected()
  local width = pl.real == "double" and 8 or 4
  local t = pl.zeros(100, 10)
  local u = t:t()
  local v = pl.zeros({10}, "uint8")
  eq(pl.memory().tensors, tensors + 3)
  eq(pl.memory().live_bytes, bytes + 1000 * width + 10)
  t, u, v = nil, nil, nil
  eq({collected()}, {tensors, bytes})
end

function T.test_the_collector_runs_by_itself()
  for _ = 1, 2000 do pl.zeros(500, 500) end -- the limit forgets what earlier tests needed
  collected()
  local most = 0
  for _ = 1, 300 do
    local _ = pl.zeros(500, 500)
    most = math.max(most, pl.memory().live_bytes)
  end
  lu.assertTrue(most < 140e6, most)
end

-- What its graph holds of the state is given back when nobody can say which thread made it.
function T.test_a_function_of_a_dead_coroutine()
  local double = pl.custom(function(_, x) return x * 2 end, function(_, g) return g * 2 end)
  local y
  coroutine.resume(coroutine.create(function() y = double(pl.ones(3):requires_grad_()) end))
  collectgarbage()
  collectgarbage()
  eq(y:totable(), {2, 2, 2})
  y = nil
  collectgarbage()
end

function T.test_too_much()
  for _, make in ipairs {
    function() return pl.empty(1 << 45, 4) end,
    function() return pl.zeros(1, 1):expand(1 << 28, 1 << 30):contiguous() end,
    function() return pl.randperm(1 << 50) end,
  } do
    local ok, message = pcall(make)
    eq(ok, false)
    lu.assertStrContains(message, "not enough memory for")
  end
  lu.assertErrorMsgContains("sizes [4611686018427387904,4] are too large", pl.empty, 1 << 62, 4)
  lu.assertErrorMsgContains("too large",
                            function() return pl.zeros(1, 1):expand(1 << 31,
                                                                    1 << 31):contiguous() end)
end

--
-- Failing tasks
--

function T.test_creation()
  exhaust(function()
    local _ = {pl.zeros(3), pl.tensor {{1, 2}, {3, 4}}, pl.arange(1, 5), pl.rand(2), pl.randn(2, 3),
      pl.randperm(4), pl.multinomial(pl.ones(3), 2), pl.full({2}, 1, "uint8"), pl.linspace(0, 1, 3)}
  end)
end

function T.test_operators_and_methods()
  local x, m = pl.rand(3, 4), pl.ones({3, 4}, "uint8")
  exhaust(function()
    local y = (x + 1) * x:t():contiguous():t() - x:flip() / 2
    local _ = {y:clone():to("int32"), y:detach(), y:flatten(), -y, 2 ^ y}
    return m:to("real"):sum():item()
  end)
end

function T.test_indexing()
  local x, rows = pl.rand(4, 3), pl.tensor({1, 3}, "int32")
  exhaust(function()
    local _ = {x[1], x[{1, 2}], x[{{}, {1, 2}}], x[rows], x[x:gt(0.5)]}
    local y = x:clone()
    y[2] = 0
    y[{{1, 2}, 3}] = pl.tensor {1, 2}
    y[rows] = x[rows]
    y[y:gt(0.5)] = 1
    y[y:eq(1)] = pl.zeros(y:eq(1):to("real"):sum():item() // 1 | 0)
  end)
end

function T.test_in_place()
  local x, y = pl.rand(3, 4), pl.rand(3, 1)
  exhaust(function()
    x:add_(y):mul_(y):div_(2):sub_(x:flip()):copy_(y):uniform_()
    x:t():copy_(x:reshape(4, 3))
  end)
end

function T.test_cat_sort_and_others()
  local x = pl.rand(3, 4)
  exhaust(function()
    local _ = {pl.cat({x, x, x:flip()}, 1), pl.stack({x, x}, 3), x:sort(1), x:topk(2), x:cumsum(2),
      x:softmax(1), x:logsumexp(2), x:var(1), x:prod(2), x:pad({1, 1}), x:argmax(), x:norm()}
  end)
end

local function small_net()
  pl.manual_seed(1)
  return pl.nn.Sequential {
    pl.nn.Linear(3, 4), pl.nn.ReLU(), pl.nn.BatchNorm1d(4), pl.nn.Dropout(0.5), pl.nn.Linear(4, 2),
  }
end

function T.test_forward_and_backward()
  local net, x, y = small_net(), pl.rand(5, 3), pl.tensor({1, 2, 1, 1, 2}, "int32")
  exhaust(function()
    pl.cross_entropy(net(x), y, {label_smoothing = 0.1}):backward()
  end, function() net:zero_grad() end)
end

function T.test_backward_in_tidy()
  local net, x, y = small_net(), pl.rand(5, 3), pl.tensor({1, 2, 1, 1, 2}, "int32")
  exhaust(function()
    pl.tidy(function() pl.cross_entropy(net(x), y):backward() end)
  end, function() net:zero_grad() end)
end

function T.test_gradients_add_up()
  local w = pl.rand(3):requires_grad_()
  exhaust(function()
    local product = w * w
    product:sum():backward()
    w:exp():sum():backward()
  end, function() w.grad = nil end)
end

function T.test_a_convolution()
  local x, w = pl.rand(2, 1, 6, 6):requires_grad_(), pl.rand(2, 1, 3, 3):requires_grad_()
  exhaust(function()
    local y = pl.max_pool2d(pl.conv2d(x, w, {padding = 1, activation = "relu"}), 2)
    pl.grad(pl.avg_pool2d(y, 3):sum(), {x, w})
  end)
end

function T.test_transposed_convolution_and_norms()
  local x, w = pl.rand(2, 2, 3, 3):requires_grad_(), pl.rand(2, 1, 3, 3):requires_grad_()
  local scale, shift = pl.rand(6, 6):requires_grad_(), pl.rand(1):requires_grad_()
  exhaust(function()
    local y = pl.conv_transpose2d(x, w, shift, {stride = 2, padding = 1, output_padding = 1})
    y = pl.layer_norm(pl.relu(y), scale, scale, {normalized_shape = {6, 6}})
    y = pl.instance_norm(y, shift, shift)
    pl.grad(y:square():sum(), {x, w, scale, shift})
  end)
end

function T.test_frechet()
  local a, b = pl.rand(3, 4):t(), pl.rand(5, 3)
  exhaust(function() pl.learn.frechet(a, b) end)
end

function T.test_a_double_gradient()
  local x, w = pl.rand(2, 3):requires_grad_(), pl.rand(3, 2):requires_grad_()
  exhaust(function()
    local g = pl.grad(pl.matmul(x, w):tanh():sum(), x, {create_graph = true})[1]
    pl.grad((g:norm({2}) - 1):square():mean(), w)
  end)
end

function T.test_composed_double_gradients()
  local x, labels = pl.rand(3, 4):requires_grad_(), pl.tensor({1, 2, 4}, "int32")
  local bias = pl.rand(4):requires_grad_()
  exhaust(function()
    local y = pl.batch_norm(x, nil, bias, nil, nil, {training = true, activation = "relu"})
    local g = pl.grad(pl.cross_entropy(y, labels), {x}, {create_graph = true})[1]
    pl.grad(g:square():sum(), {x, bias})
  end)
end

function T.test_optimiser_steps()
  local p, g, m, v = pl.rand(4), pl.rand(2, 2):t():flip(), pl.zeros(4), pl.zeros(4)
  g = g:reshape(4):flip()
  exhaust(function()
    pl.sgd_({p}, {g}, {m}, {true}, {lr = 0.1, momentum = 0.9})
    pl.adam_({p}, {g}, {m}, {v}, {1}, {lr = 0.1, beta1 = 0.9, beta2 = 0.99, eps = 1e-8})
    pl.rmsprop_({p}, {g}, {v}, nil, {lr = 0.1, alpha = 0.9})
    pl.total_norm {p, g}
  end)
end

--
-- Files: a failure is nil and a message
--

-- In memory if there is such a place: many small files are written.
local folder = os.tmpname()
os.remove(folder)
if core.file_size "/dev/shm" then folder = folder:gsub("^.*/", "/dev/shm/") end

local function must(value, message)
  if not value then error(message, 0) end
  return value
end

function T.setUp() assert(core.mkdir(folder)) end
function T.tearDown() os.execute("rm -r '" .. folder .. "'") end

function T.test_saving_and_loading()
  local path = folder .. "/a.safetensors"
  local t = {a = pl.rand(3, 4):t(), b = {pl.ones({2}, "int32"), 5}}
  exhaust(function()
    must(pl.save(path, t))
    eq(must(pl.load(path)).b[2], 5)
  end)
  local files = io.popen("ls '" .. folder .. "'"):read "a"
  eq(files, "a.safetensors\n")
end

function T.test_images()
  local path = folder .. "/a.png"
  local image = pl.rand(4, 5):t()
  exhaust(function()
    must(pl.image.write(path, image))
    eq(must(pl.image.read(path)):size(), {5, 4})
    pl.image.grid(image:reshape(5, 2, 2))
  end)
end

function T.test_batches()
  local set = pl.data.synthetic {n = 20}
  exhaust(function()
    for x, y in pl.data.batches(set, {batch_size = 8, flip = true, shift = 2}) do
      eq(#x, #y)
    end
    pl.data.subset(set, {1, 2})
    pl.data.split(set, 0.5, {seed = 1})
  end)
end

-- A request that nobody can meet leaves the limit where it was.
function T.test_refused_requests_do_not_raise_the_limit()
  pcall(pl.zeros, 100000, 100000, 1000)
  local most = 0
  for _ = 1, 300 do
    local _ = pl.empty(1024, 1024)
    most = math.max(most, pl.memory().live_bytes)
  end
  lu.assertTrue(most < 512 << 20)
end

function T.test_a_limit_of_live_bytes()
  eq(pl.memory_limit(pl.memory().live_bytes + (1 << 20)), 0)
  local ok, message = pcall(pl.ones, 1 << 20)
  for _ = 1, 50 do pl.ones(1 << 16) end -- garbage does not count
  lu.assertTrue(pl.memory_limit(0) >= 1 << 20)
  eq(ok, false)
  lu.assertStrContains(message, "bytes more are beyond the limit of")
  eq(pl.ones(1 << 20):numel(), 1 << 20)
  lu.assertErrorMsgContains("memory_limit: argument 1: a number of bytes of at least 0 expected",
                            pl.memory_limit, -1)
end

-- What has a finalizer outlives the cycle that finds it, so Lua's own threshold would rise for ever.
function T.test_small_tensors_do_not_pile_up()
  collectgarbage()
  local x, before, most = pl.ones(1), collectgarbage("count"), 0
  for i = 1, 400000 do
    local _ = x + 1
    if i % 1000 == 0 then most = math.max(most, collectgarbage("count")) end
  end
  lu.assertTrue(most < before + 6000)
end

return T
