--- Normalisation over groups of channels and by the root of the mean square.
-- @module perilune.nn.norms

local pl = require "perilune"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local shape_of = require("perilune.internal.words").shape
local arguments = require "perilune.nn.arguments"
local module = require "perilune.nn.module"

local class, parameter = module.class, module.parameter
local norms = {}

--- Normalisation of each example [N, channels, ...] over groups of its channels (Wu and He 2018).
-- @param num_groups number of groups
-- @param num_channels number of channels, a multiple of it
-- @param[opt={eps=1e-5, affine=true}] options
norms.GroupNorm = class "GroupNorm"
local GroupNorm = norms.GroupNorm
GroupNorm.normalizes = true

function GroupNorm:init(num_groups, num_channels, options)
  self._groups = check.count("GroupNorm", "number of groups", num_groups)
  self._channels = check.count("GroupNorm", "number of channels", num_channels)
  if self._channels % self._groups ~= 0 then
    complain("GroupNorm: %d channels make no %d groups of equal size", self._channels, self._groups)
  end
  local o = option.read("GroupNorm", options, {eps = 1e-5, affine = true})
  self._eps, self._affine = o.eps, o.affine
  if o.affine then
    self.weight, self.bias = parameter(pl.ones(num_channels)), parameter(pl.zeros(num_channels))
  end
end

function GroupNorm:forward(x)
  local size = x:size()
  if #size < 2 or size[2] ~= self._channels then
    complain("GroupNorm: input [N,%d,...] expected, got %s", self._channels, shape_of(x))
  end
  local group = x:numel() // math.max(size[1] * self._groups, 1)
  local y = pl.layer_norm(x:reshape(size[1] * self._groups, group), nil, nil,
                          {normalized_shape = {group}, eps = self._eps}):reshape(size)
  if not self._affine then return y end
  local of_channels = {1, self._channels}
  for i = 3, #size do of_channels[i] = 1 end
  return y * self.weight:reshape(of_channels) + self.bias:reshape(of_channels)
end

function GroupNorm:extra()
  return ("%d, %d%s"):format(self._groups, self._channels, self._affine and "" or ", affine=false")
end

--- x divided by the root of the mean of its squares over the last dimensions (Zhang and Sennrich
-- 2019).
-- @param normalized_shape the sizes of these dimensions: integer, or list
-- @param[opt={eps=machine epsilon, elementwise_affine=true}] options
norms.RMSNorm = class "RMSNorm"
local RMSNorm = norms.RMSNorm
RMSNorm.normalizes = true

local EPSILON <const> = pl.real == "double" and 2.0 ^ -52 or 2.0 ^ -23

function RMSNorm:init(normalized_shape, options)
  self._sizes = arguments.sizes("RMSNorm", "normalized_shape", normalized_shape)
  local o = option.read("RMSNorm", options, {eps = EPSILON, elementwise_affine = true})
  self._eps, self._dims = o.eps, {}
  for i = 1, #self._sizes do self._dims[i] = -i end
  if o.elementwise_affine then self.weight = parameter(pl.ones(self._sizes)) end
end

function RMSNorm:forward(x)
  for i = 1, #self._sizes do
    if x:dim() < i or x:size(-i) ~= self._sizes[#self._sizes + 1 - i] then
      complain("RMSNorm: last sizes [%s] expected, got %s", table.concat(self._sizes, ","),
               shape_of(x))
    end
  end
  local y = x * ((x * x):mean(self._dims, true) + self._eps):rsqrt()
  return self.weight and y * self.weight or y
end

function RMSNorm:extra()
  local shape = table.concat(self._sizes, ", ")
  if #self._sizes > 1 then shape = "{" .. shape .. "}" end
  return shape .. (self.weight and "" or ", elementwise_affine=false")
end

return norms
