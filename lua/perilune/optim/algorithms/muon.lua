--- Muon.
-- @module perilune.optim.algorithms.muon

local pl = require "perilune"
local checks = require "perilune.optim.checks"
local optimizer = require "perilune.optim.optimizer"

-- The matrix whose singular values are all about 1 and whose singular vectors are those of m: some
-- steps of Newton and Schulz, of a polynomial of odd powers, which acts on the singular values
-- alone.
local function orthogonalized(m, o)
  local a, b, c = table.unpack(o.ns_coefficients)
  local tall = m:size(1) > m:size(2)
  local x = tall and m:t() or m
  x = x / math.max(x:norm():item(), o.eps) -- no singular value is larger than 1
  for _ = 1, o.ns_steps do
    local gram = x:matmul(x:t())
    x = x * a + (gram * b + gram:matmul(gram) * c):matmul(x)
  end
  return tall and x:t() or x
end

-- By what the rate is multiplied for a matrix of n rows and m columns.
local ADJUSTMENTS <const> = {
  original = function(n, m) return math.sqrt(math.max(1, n / m)) end,
  match_rms_adamw = function(n, m) return 0.2 * math.sqrt(math.max(n, m)) end,
  spectral_unclamped = function(n, m) return math.sqrt(n / m) end,
}

local function step_one(p, grad, buffer, o)
  buffer:mul_(o.momentum):add_(grad, 1 - o.momentum)
  local update = o.nesterov and grad * (1 - o.momentum) + buffer * o.momentum or buffer
  local adjust = ADJUSTMENTS[o.adjust_lr_fn or "original"]
  p:mul_(1 - o.lr * o.weight_decay)
  p:add_(orthogonalized(update, o), -o.lr * adjust(p:size(1), p:size(2)))
end

local function step_all(params, grads, states, o)
  local buffers = optimizer.remembered(params, states, "momentum_buffer")
  for i, p in ipairs(params) do pl.tidy(pl.no_grad, step_one, p, grads[i], buffers[i], o) end
  optimizer.remember(states, {momentum_buffer = buffers})
end

--- Muon (Jordan 2024), for the matrices of hidden layers: with the decaying mean of g, b = momentum
-- b + (1 - momentum) g, or with nesterov (1 - momentum) g + momentum b, p = p - lr (weight_decay p
-- + s O), where O is b with all singular values made about 1, and s = sqrt(max(1, rows / columns)).
-- Biases, embeddings, and factors of norms need another optimiser, and a matrix is all it takes:
--
--     local matrices, others = {}, {}
--     for _, p in ipairs(net:parameters()) do
--       local list = p:dim() == 2 and matrices or others
--       list[#list + 1] = p
--     end
--     local muon = optim.Muon(matrices, {lr = 0.02})
--     local adamw = optim.AdamW(others, {lr = 3e-4})
--     -- in the loop
--     muon:step()
--     adamw:step()
-- @param params list of matrices, or of groups `{params = list, lr = ..., ...}`
-- @param options `lr` (1e-3), `weight_decay` (0.1), `momentum` (0.95), `nesterov` (true),
--   `ns_steps` (5): how many steps of Newton and Schulz make O, `ns_coefficients`
--   ({3.4445, -4.775, 2.0315}): of their polynomial a x + b x^3 + c x^5, `eps` (1e-7),
--   `adjust_lr_fn`: s, "original"; "match_rms_adamw" for 0.2 sqrt(max(rows, columns)), with which
--   the rate is AdamW's; or "spectral_unclamped" for sqrt(rows / columns)
-- @return the optimiser
local Muon = optimizer.new {
  name = "Muon",
  options = {
    lr = 1e-3, weight_decay = 0.1, momentum = 0.95, nesterov = true, ns_steps = 5,
    ns_coefficients = {3.4445, -4.7750, 2.0315}, eps = 1e-7, adjust_lr_fn = optimizer.absent,
  },
  rules = {
    ns_steps = checks.count, ns_coefficients = checks.number("three numbers", nil, 3),
    adjust_lr_fn = checks.one_of {"original", "match_rms_adamw", "spectral_unclamped"},
  },
  refuses = function(p)
    return p:dim() ~= 2 and "is no matrix; another optimiser may have it" or nil
  end,
  state = {momentum_buffer = "tensor"},
  step_all = step_all,
}

return {Muon = Muon}
