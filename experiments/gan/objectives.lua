--- What the two networks of a GAN minimise, for each variant: DCGAN (Radford et al. 2016) with
-- the loss of Goodfellow et al. 2014, and WGAN-GP (Gulrajani et al. 2017).
--
-- An objective is a table of two functions: `critic(net, real, fake)` gives the critic's loss
-- and a table of numbers to record, `generator(net, fake)` the generator's loss. Images are real
-- [n, ...], scores [n, 1].

local pl = require "perilune"

local objectives = {}

local LAMBDA <const> = 10    -- weight of the gradient penalty
local EPSILON <const> = 1e-12 -- keeps the square root's derivatives finite at zero

--- The norms of a critic's gradients on random lines between real images and generated ones.
-- @param net the critic
-- @param real images
-- @param fake as many images
-- @param[opt] options for `pl.grad`
-- @return real [n]
function objectives.gradient_norms(net, real, fake, options)
  local one = {#real}
  for i = 2, real:dim() do one[i] = 1 end
  local x = (real + pl.rand(one) * (fake - real)):detach():requires_grad_()
  local gradient = pl.grad(net(x):sum(), {x}, options)[1]
  return (gradient:reshape(#real, -1):square():sum(2) + EPSILON):sqrt()
end

-- The critic's scores are far apart and its gradients have norm 1: Wasserstein distance.
objectives["wgan-gp"] = {
  critic = function(net, real, fake)
    local norms = objectives.gradient_norms(net, real, fake, {create_graph = true})
    local penalty = (norms - 1):square():mean() * LAMBDA
    local loss = net(fake):mean() - net(real):mean() + penalty
    return loss, {penalty = penalty:item(), gradient_norm = norms:mean():item()}
  end,
  generator = function(net, fake)
    return -net(fake):mean()
  end,
}

-- The scores are log odds that an image is real: cross-entropy. The generator's loss is the one
-- that does not saturate, -log D.
objectives.dcgan = {
  critic = function(net, real, fake)
    return pl.softplus(-net(real)):mean() + pl.softplus(net(fake)):mean(), {}
  end,
  generator = function(net, fake)
    return pl.softplus(-net(fake)):mean()
  end,
}

return objectives
