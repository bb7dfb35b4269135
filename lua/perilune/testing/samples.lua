--- The samples of an op's row, as docs/ops.md explains them, `any[3,4] index4[3] dim=2`, made
-- (internal). Checks of gradients walk them as they are, the benchmark of ops larger.
-- @module perilune.testing.samples

local pl = require "perilune"
local sample = require "perilune.help.sample"

local samples = {}

--
-- Inputs
--

-- Any values as those of a word.
local tamers = {}

function tamers.pos(t) return t:sigmoid() + 0.5 end
function tamers.unit(t) return t:sigmoid() * 0.8 + 0.1 end

function tamers.regular(t)
  local m, n = t:size(-2), t:size(-1)
  return t:tanh() * (0.2 / math.sqrt(math.max(m, n))) + pl.eye(m, n) * pl.arange(1, n)
end

function tamers.spd(t)
  local a = tamers.regular(t)
  return (a + a:transpose(-2, -1)) / 2
end

--- A tensor of any values as the word of a sample wants them.
-- @param word "pos[3,4]"
-- @param t tensor of that size
-- @return tensor, with the history of t
function samples.tame(word, t)
  local tamer = tamers[word:match "^%a+"]
  return tamer and tamer(t) or t
end

-- A tensor, and whether a gradient by it is asked for.
local makers = {}

function makers.any(size) return pl.randn(size), true end
function makers.pos(size) return pl.rand(size) + 0.5, true end
function makers.unit(size) return 0.1 + 0.8 * pl.rand(size), true end
function makers.const(size) return pl.randn(size), false end
function makers.constpos(size) return pl.rand(size) + 0.5, false end
function makers.regular(size) return tamers.regular(pl.randn(size)), true end
function makers.spd(size) return tamers.spd(pl.randn(size)), "symmetric" end
function makers.bool(size) return pl.empty(size, "uint8"):bernoulli_(0.5), false end

local function make_input(input, scale)
  local size = {}
  for d, n in ipairs(input.size) do size[d] = n * scale end
  if input.kind == "index" then
    return (pl.rand(size) * input.top * scale + 1):to "int32", false
  end
  return makers[input.kind](size)
end

local function make_sample(specs, attributes, scale)
  local inputs, wanted = {}, {}
  for i, spec in ipairs(specs) do inputs[i], wanted[i] = make_input(spec, scale) end
  return inputs, wanted, attributes
end

--- The samples of a row, each made when its turn comes: `for text, inputs, wanted, attributes in
-- samples.each(row) do`; wanted[i] says whether a gradient by input i is asked for: true, or
-- "symmetric", if along symmetric directions alone, for half of it is not read.
-- @param row of pl.op
-- @param[opt=1] scale factor of all sizes, and of what an index may be
function samples.each(row, scale)
  local next_sample = sample.each(row)
  return function()
    local text, specs, attributes = next_sample()
    if text then return text, make_sample(specs, attributes, scale or 1) end
  end
end

--- Calls the op of a row.
-- @return its results
function samples.call(row, inputs, attributes)
  local arguments = row.inputs.variadic and {inputs} or {table.unpack(inputs)}
  arguments[#arguments + 1] = attributes
  return row.call(table.unpack(arguments))
end

return samples
