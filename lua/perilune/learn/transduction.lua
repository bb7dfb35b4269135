--- Transductive support vector machines (internal; use `learn.svm.transduce`).
--
-- The machine is linear in explicit features phi(x) = (cos(p_1.x), ..., sin(p_1.x), ...) / sqrt(r),
-- random frequencies whose inner products approximate the RBF kernel (Rahimi and Recht 2007;
-- orthogonal ones, Yu et al. 2016). For k classes it looks for weights and for labels of the
-- unlabelled examples that together minimise
--
--     sum_c 1/2 |w_c|^2 + C/2 sum_labelled loss_i + U/2 sum_unlabelled (loss_j - 2 G u_jy),
--     loss of an example of class y: max(0, 1 - f_y)^2 + sum_{c /= y} max(0, 1 + f_c)^2
--
-- such that each class gets its part of the unlabelled examples. (Joachims 1999 has one binary
-- problem and the hinge itself; with a problem for each class on its own, an example may be
-- claimed by several classes or none.) The search is deterministic annealing (Sindhwani and
-- Keerthi 2006): an example has shares p_c of the classes instead of a label, an entropy of
-- temperature T is added, and T falls, in turns of two steps that both have one solution:
--
-- - given f, the shares: p_c proportional to exp((g(f_c) + G u_c + price_c) / T), where
--   g(f) = (max(0, 1 + f)^2 - max(0, 1 - f)^2) / 2 is what a share of class c saves, and the
--   prices, found by Sinkhorn's iteration, make the columns add up as demanded;
-- - given the shares, the weights: a convex L2-SVM for each class, by the modified finite Newton
--   method (Keerthi and DeCoste 2005) in double precision from the weights of the turn before.
--
-- Such a search ends in the minimum that is nearest to its start, and with few labels the
-- machine of the labelled examples alone is a bad start. u is a better one: the labels, spread
-- along the graph of nearest neighbours by Poisson learning (Calder et al. 2020; see `svm_spread`),
-- with mean square 1. Clusters that one label lies in get it whole. G falls from turn to turn
-- with T, but stays large enough that the machine does not forget.
-- @module perilune.learn.transduction

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"
local core = require "perilune.core"
local models = require "perilune.learn.model"

local complain, blaming = blame.complain, blame.blaming

local transduction = {}

-- Temperatures and weights of the graph in the first and the last turn; how small the part of
-- the objective that the next Newton step would take off may be before a turn ends, and the last.
local schedule <const> = {
  turns = 5, hot = 1, cold = 0.05, graph_first = 3, graph_last = 1,
  tolerance = 1e-3, last_tolerance = 1e-5,
}

-- The unlabelled examples weigh together what the labelled ones do, or this many if these are
-- fewer.
local LEAST <const> = 500

local KEEP <const> = 0.9999 -- nearly Poisson's equation, and solvable where no label is in reach

local OPTIONS <const> = {
  C = 10, gamma = "scale", features = 1000, unlabelled_cost = option.absent, balance = true,
  neighbours = 10, graph = option.absent, seed = option.absent, on_progress = option.absent,
}

--
-- Arguments
--

local function refuse(format, ...)
  complain("transduce: " .. format, ...)
end

local function positive(name, value)
  if type(value) ~= "number" or not (value > 0 and value < math.huge) then
    refuse("%s: positive number expected, got %s", name, check.shown(value))
  end
end

local function check_balance(balance, k)
  if type(balance) == "boolean" then return end
  if type(balance) ~= "table" then
    refuse("balance: true, false or a list of numbers expected, got %s", check.type(balance))
  elseif #balance ~= k then
    refuse("balance: %d numbers for %d classes", #balance, k)
  end
  for _, part in ipairs(balance) do positive("balance", part) end
end

local function check_options(o)
  positive("C", o.C)
  if o.unlabelled_cost ~= nil then positive("unlabelled_cost", o.unlabelled_cost) end
  if o.gamma ~= "scale" then positive("gamma", o.gamma) end
  check.count("transduce", "features", o.features)
  if o.features % 2 ~= 0 then refuse("features: even number expected, got %d", o.features) end
  check.natural("transduce", "neighbours", o.neighbours)
  if o.graph ~= nil and type(o.graph) ~= "table" then
    refuse("graph: what svm.neighbours gives expected, got %s", check.type(o.graph))
  end
  if o.seed ~= nil then check.natural("transduce", "seed", o.seed) end
  if o.on_progress ~= nil and type(o.on_progress) ~= "function" then
    refuse("on_progress: function expected, got %s", check.type(o.on_progress))
  end
end

local function check_unlabelled(x, unlabelled)
  check.tensor("transduce: unlabelled examples", unlabelled)
  if unlabelled:dtype() ~= "real" or unlabelled:dim() ~= 2
    or unlabelled:size(2) ~= x:size(2) then
    refuse("unlabelled examples are %s%s; real [m,%d] expected, as the labelled ones",
      unlabelled:dtype(), words.shape(unlabelled), x:size(2))
  elseif #unlabelled > 0 then
    blaming(core.svm_check, unlabelled, "transduce: unlabelled examples")
  end
end

--
-- The problem
--

-- real [n, k] with a 1 at each row's class.
local function one_hot(labels, classes)
  local place, rows = {}, labels:totable()
  for i, label in ipairs(classes:totable()) do place[label] = i end
  for i, label in ipairs(rows) do rows[i] = place[label] end
  return pl.one_hot(pl.tensor(rows, "int32"), #classes):to("real")
end

-- What share each class is to have of the unlabelled examples, real [k], or nil.
local function demand(balance, known)
  if balance == false then return nil end
  local parts = type(balance) == "table" and pl.tensor(balance) or known:mean(1)
  return parts / parts:sum()
end

local function features_of(all, o)
  local gamma = o.gamma == "scale" and core.svm_gamma(all) or o.gamma
  local key = o.seed or (pl.rand(1) * (1 << 24)):to("int32")[1]
  local points = core.svm_frequencies(o.features // 2, all:size(2), gamma, key)
  return core.svm_features(all, "fourier", points, gamma), points, gamma
end

-- What the loss of an example falls by, up to a constant, with its share of a class.
local function savings(f)
  return ((f + 1):relu():square() - (1 - f):relu():square()) * 0.5
end

-- Geometric from `first` to `last` in `turns` turns.
local function between(first, last, turn, turns)
  return turns == 1 and last or first * (last / first) ^ ((turn - 1) / (turns - 1))
end

-- A turn: shares from decision values f [m,k], weights from shares; the new f.
local function take_turn(p, f, turn)
  local turns = schedule.turns
  local temperature = between(schedule.hot, schedule.cold, turn, turns)
  local score = savings(f)
  if p.spread then
    score = score + p.spread * between(schedule.graph_first, schedule.graph_last, turn, turns)
  end
  local share = core.svm_balance(score, p.demand, p.prices, temperature)
  local values, steps, products, objective = core.svm_newton(p.features,
    pl.cat({p.known, share}, 1), p.costs, p.weights, p.bias,
    turn == turns and schedule.last_tolerance or schedule.tolerance)
  return values:slice(1, p.n + 1, p.m):contiguous(), {
    turn = turn, turns = turns, temperature = temperature, objective = objective, steps = steps,
    products = products,
  }
end

-- Whether to go on, which on_progress may deny.
local function report(p, f, before, facts)
  if pl.interrupted() then return false end
  if not p.on_progress then return true end
  facts.changed = pl.tidy(function()
    return 1 - f:argmax(2):eq(before:argmax(2)):to("real"):mean():item()
  end)
  facts.seconds = core.clock() - p.start
  return p.on_progress(facts) ~= false
end

-- The given graph if it has a row for each example.
local function check_graph(graph, rows)
  local near, distances = graph.near, graph.distances
  if not check.is_tensor(near) or not check.is_tensor(distances) then
    complain("transduce: graph: near and distances, two tensors, expected")
  elseif near:dim() ~= 2 or #near ~= rows or distances:dim() ~= 2 or #distances ~= rows then
    complain("transduce: graph has near %s and distances %s; %d rows expected, the labelled and "
      .. "the unlabelled examples", words.shape(near), words.shape(distances), rows)
  end
  return near, distances
end

-- What the labels say of the unlabelled examples through the graph: real [m,k], mean square 1.
local function spread_labels(all, known, o)
  local n, m = #known, #all - #known
  local near, distances
  if o.graph then near, distances = check_graph(o.graph, n + m)
  else near, distances = core.svm_neighbours(all, math.min(o.neighbours, n + m - 1)) end
  local source = pl.cat({known - known:mean(1), pl.zeros(m, known:size(2))}, 1)
  local u = core.svm_spread(near, distances, source, KEEP):slice(1, n + 1, m)
  u = u - u:mean(1)
  return u / (u:square():mean():sqrt() + 1e-12)
end

-- All that the turns need. What they change is `weights`, `bias` and `prices`.
local function prepare(x, labels, unlabelled, classes, o)
  local n, m, k = #x, #unlabelled, #classes
  local all = pl.cat({x:detach(), unlabelled:detach()}, 1)
  local known = one_hot(labels, classes)
  local cost = o.unlabelled_cost or o.C * math.min(1, math.max(n, LEAST) / math.max(m, 1))
  local p = {
    n = n, m = m, known = known, demand = demand(o.balance, known),
    costs = pl.cat({pl.full({n}, o.C), pl.full({m}, cost)}, 1),
    weights = pl.zeros(o.features, k), bias = pl.zeros(k), prices = pl.zeros(k),
    cost = cost, on_progress = o.on_progress, start = core.clock(),
  }
  if m > 0 and (o.graph or o.neighbours > 0) then p.spread = spread_labels(all, known, o) end
  p.features, p.points, p.gamma = features_of(all, o)
  return p
end

-- The labelled examples alone, then the turns; false if it was stopped.
local function anneal(p)
  core.svm_newton(p.features:slice(1, 1, p.n), p.known, p.costs:slice(1, 1, p.n), p.weights, p.bias,
    schedule.last_tolerance)
  if p.m == 0 then return true end
  local f = core.svm_decide(p.features:slice(1, p.n + 1, p.m), p.weights, p.bias, "linear")
  for turn = 1, schedule.turns do
    local go_on
    f, go_on = pl.tidy(function()
      local new, facts = take_turn(p, f, turn)
      return new, report(p, new, f, facts)
    end)
    if not go_on then return false end
  end
  return true
end

local function solve(x, labels, unlabelled, classes, o)
  local p = pl.tidy(prepare, x, labels, unlabelled, classes, o)
  if not anneal(p) then return nil, "transduce: stopped before the end" end
  return models.new {
    kernel = "fourier", decision = "ovr", gamma = p.gamma, classes = classes, points = p.points,
    weights = p.weights, bias = p.bias,
    options = {C = o.C, unlabelled_cost = p.cost, features = o.features, neighbours = o.neighbours},
  }
end

--- The graph of nearest neighbours, for the option `graph` of transduce: {near, distances}.
-- @param x real [n, d], finite
-- @param k how many neighbours each row has
-- @return table of `near`, int32 [n,k], the rows nearest to each, and `distances`, real [n,k],
--   squared
function transduction.neighbours(x, k)
  local near, distances = blaming(core.svm_neighbours, x, k)
  return {near = near, distances = distances}
end

--- Trains a machine on labelled and unlabelled examples: a transductive SVM with one label for
-- each unlabelled example, classes of given sizes, and an annealed search that starts from labels
-- spread along a graph of neighbours, on random Fourier features of the RBF kernel; the head of
-- `lua/perilune/learn/transduction.lua` has the formulas. It takes 4 (n + m) features bytes.
-- @param x real [n, d], finite
-- @param labels int32 [n] of at least two classes
-- @param unlabelled real [m, d], finite; m may be 0
-- @param[opt] options `C` (10), cost of a labelled example; `unlabelled_cost`, of an unlabelled
--   one (C max(n, 500) / m, at most C); `gamma`, a number or "scale", which is 1 / (d * variance
--   of all examples);
--   `features` (1000), even; `neighbours` (10) of each example in the graph, 0 for none; `graph`,
--   {near, distances} as `neighbours` gives them, of the labelled and then the unlabelled examples,
--   where it is known already: to find it takes longer than all the rest;
--   `balance`: true, the classes are as frequent as among the labels; a list of numbers, one a
--   class, ascending: that frequent; false, no demand; `seed` of the features (drawn from the
--   library's stream); `on_progress`, called after each turn with a table of `turn`, `turns`,
--   `temperature`, `objective`, `changed` (the part of the unlabelled examples whose label
--   changed), `steps`, `products`, `seconds`: if it returns false the search stops
-- @return the model, or nil and a message if it was stopped, by on_progress or, where the
--   script handles interrupts, by Ctrl-C
function transduction.transduce(x, labels, unlabelled, options)
  local o = option.read("transduce", options, OPTIONS)
  check_options(o)
  if not check.is_tensor(x) or not check.is_tensor(labels) then
    complain("transduce: tensors expected for examples and labels")
  end
  local classes = blaming(core.svm_classes, x, labels, "transduce")
  check_balance(o.balance, #classes)
  check_unlabelled(x, unlabelled)
  if #classes < 2 then
    complain("transduce: all %d labels are equal; two classes expected", #x)
  end
  return blaming(pl.tidy, solve, x, labels, unlabelled, classes, o)
end

return transduction
