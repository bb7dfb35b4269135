--- The running mean of a network's weights (Polyak and Juditsky 1992), for averaged SGD.

local pl = require "perilune"

local average = {}

local Average = {__name = "average"}
Average.__index = Average

--- Makes a mean that has not begun.
-- @param params list of tensors
-- @return the average
function average.new(params)
  return setmetatable({params = params, means = {}, n = 0}, Average)
end

--- Whether `start` was called.
-- @return boolean
function Average:running()
  return self.n > 0
end

--- Begins with the weights as they are.
function Average:start()
  self.n = 1
  for i, p in ipairs(self.params) do self.means[i] = pl.keep(p:detach():clone()) end
end

--- Takes the weights into the mean, after each step; before `start` it does nothing.
function Average:update()
  if self.n == 0 then return end
  self.n = self.n + 1
  for i, p in ipairs(self.params) do
    self.means[i]:mul_(1 - 1 / self.n):add_(p:detach(), 1 / self.n)
  end
end

--- Exchanges the weights with their means, if there are any.
function Average:swap()
  for i, mean in ipairs(self.means) do
    pl.tidy(function()
      local p = self.params[i]:detach()
      local copy = p:clone()
      p:copy_(mean)
      mean:copy_(copy)
    end)
  end
end

--- The means and their number, for a checkpoint.
-- @return table
function Average:state_dict()
  return {n = self.n, means = self.means}
end

--- Takes over what `state_dict` gave.
-- @param state table
function Average:load_state_dict(state)
  self.n, self.means = state.n, {}
  for i, mean in ipairs(state.means) do self.means[i] = pl.keep(mean) end
end

return average
