--- A generator whose weights are an exponential moving average of another one's, which gives
-- better images than the last weights alone (Yazici et al. 2019).
--
-- With batch norm the running statistics of the training belong to other weights than the
-- average, so they are measured anew before images are made.

local pl = require "perilune"
local model = require "model"

local average = {}

local Average = {__name = "average"}
Average.__index = Average

local SETTLING <const> = 1000 -- images from which batch norm gets its statistics

--- Makes a generator that begins as a copy of another one.
-- @param net the generator that is trained
-- @param options of both networks, as for `model.generator`
-- @param decay how much of the average is left after a step; 0: the weights of the last step
-- @return the average, with the field `net`, a module
function average.new(net, options, decay)
  local copy = model.generator {
    width = options.width, batch_norm = options.batch_norm, momentum = 1,
  }
  copy:load_state_dict(net:state_dict()):requires_grad_(false)
  return setmetatable({net = copy, steps = 0, _decay = decay, _from = net}, Average)
end

--- Takes the trained weights into the average, after each step. At first they count more: a
-- beginning of bad weights is soon forgotten.
function Average:update()
  self.steps = self.steps + 1
  local decay = math.min(self._decay, self.steps / (self.steps + 9))
  local to, from = self.net:parameters(), self._from:parameters()
  pl.tidy(function()
    for i, p in ipairs(to) do p:mul_(decay):add_(from[i]:detach(), 1 - decay) end
  end)
end

--- Measures the statistics of batch norm, which are then those of one large batch.
-- @return the generator in evaluation mode
function Average:settle()
  if #self.net:buffers() > 0 then
    pl.tidy(pl.no_grad, self.net:train(), model.noise(SETTLING, 1))
  end
  return self.net:eval()
end

--- The number of steps, for a checkpoint; the network is saved by itself.
-- @return table
function Average:state_dict()
  return {steps = self.steps}
end

--- Takes over what `state_dict` gave.
-- @param state table
function Average:load_state_dict(state)
  self.steps = state.steps
end

return average
