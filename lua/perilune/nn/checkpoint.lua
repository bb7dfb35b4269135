--- Activation checkpointing (Chen et al. 2016): what a part of a network computes is not kept for
-- the gradient, but computed again.
--
-- The first time the part is computed with a graph, from which its leaves are read, and which is
-- then let go. So that the outer graph has the part as one node with any number of inputs, of which
-- `pl.custom` takes eight, the leaves hang on a string of tokens, tensors without a meaning:
--
--     leaves 1-7 -> token -> token <- leaves 8-14
--                              |
--             inputs --------> part --> outputs
--
-- The part's rule computes it again and gives the gradients of the inputs; those of the leaves it
-- leaves where the rules of the tokens, which come later, find them.
-- @module perilune.nn.checkpoint

local pl = require "perilune"
local core = require "perilune.core"
local complain = require("perilune.internal.blame").complain
local check = require "perilune.internal.check"
local fields = require "perilune.nn.fields"

local leaves_of, recomputing = core.checkpoint.leaves, core.checkpoint.recomputing

local MOST_INPUTS <const>, MOST_OUTPUTS <const>, EACH <const> = 7, 4, 7

local function differentiable(value)
  return pl.is_tensor(value) and value.requires_grad
end

-- The arguments with those that require a gradient cut off, and the list of these.
local function cut(arguments)
  local copies, list = {n = arguments.n}, {}
  for i = 1, arguments.n do
    local x = arguments[i]
    copies[i] = differentiable(x) and x:detach():requires_grad_() or x
    if copies[i] ~= x then list[#list + 1] = copies[i] end
  end
  return copies, list
end

local function tensors_only(...)
  local outputs = {...}
  for i = 1, select("#", ...) do
    if not pl.is_tensor(outputs[i]) then
      complain("checkpoint: result %d of the function is a %s; tensor expected", i,
               check.type(outputs[i]))
    end
  end
  if #outputs == 0 or #outputs > MOST_OUTPUTS then
    complain("checkpoint: the function gave %d results; 1 to %d tensors expected", #outputs,
             MOST_OUTPUTS)
  end
  return outputs
end

-- Computes the part once more, with the random numbers of the first time; running statistics have
-- moved already.
local function again(part, arguments)
  local random, was = pl.random_state(), recomputing(true)
  pl.set_random_state(part.random)
  local _ <close> = setmetatable({}, {__close = function()
    pl.set_random_state(random)
    recomputing(was)
  end})
  return tensors_only(pl.enable_grad(part.f, table.unpack(arguments, 1, arguments.n)))
end

-- Whether the backward pass that runs records a graph of its own.
local function is_recording()
  return (pl.zeros(1):requires_grad_() * 1).requires_grad
end

-- The gradients of the inputs, and then of the leaves; false where there is none.
local function gradients(part, recording, seeds)
  local arguments, inputs = part.arguments, part.inputs
  if not recording then arguments, inputs = cut(arguments) end
  local outputs, given, wanted = {}, {}, {table.unpack(inputs)}
  table.move(part.leaves, 1, #part.leaves, #inputs + 1, wanted)
  for i, y in ipairs(again(part, arguments)) do
    if y.requires_grad and seeds[i] then outputs[#outputs + 1], given[#given + 1] = y, seeds[i] end
  end
  if #outputs == 0 then return end
  return table.unpack(pl.grad(outputs, wanted, {grad_outputs = given, retain_graph = true,
                                                create_graph = recording}))
end

-- The gradients of the inputs and one for the token; those of the leaves stay in `part`.
local function go_back(part, ...)
  local recording, n = is_recording(), #part.inputs
  local run = recording and gradients or function(...) return pl.tidy(gradients, ...) end
  local got = {run(part, recording, {...})}
  part.grads = table.move(got, n + 1, n + #part.leaves, 1, {})
  for i = 1, n do got[i] = got[i] or nil end
  got[n + 1] = pl.zeros(1)
  return table.unpack(got, 1, n + 1)
end

-- The token on which the leaves hang from `first` on, and on it those before; nil without leaves.
local function token_of(part, first, before)
  if first > #part.leaves then return before end
  local last = math.min(first + EACH - 1, #part.leaves)
  local token = pl.custom(
    function() return pl.zeros(1) end,
    function()
      local grads, n = table.move(part.grads, first, last, 1, {}), last - first + 1
      for i = 1, n do grads[i] = grads[i] or nil end
      grads[n + 1] = pl.zeros(1)
      return table.unpack(grads, 1, n + 1)
    end)
  local inputs = table.move(part.leaves, first, last, 1, {})
  inputs[#inputs + 1] = before
  return token_of(part, last + 1, token(table.unpack(inputs)))
end

-- Notes the leaves of the part, which are not its inputs; the outputs without their graph, which
-- ends with tidy.
local function first_time(part)
  local copies, inputs = cut(part.arguments)
  part.random = pl.random_state()
  local outputs = tensors_only(part.f(table.unpack(copies, 1, copies.n)))
  part.leaves = leaves_of(outputs, inputs)
  for i, y in ipairs(outputs) do outputs[i] = y:detach() end
  return table.unpack(outputs)
end

-- The inputs that require a gradient, as they came.
local function inputs_of(arguments)
  local list = {}
  for i = 1, arguments.n do
    if differentiable(arguments[i]) then list[#list + 1] = arguments[i] end
  end
  if #list > MOST_INPUTS then
    complain("checkpoint: %d tensors that require a gradient; at most %d expected", #list,
             MOST_INPUTS)
  end
  return list
end

local checkpoint = {}

--- Calls f(...), and keeps for the gradient the arguments alone: when a backward pass arrives, f is
-- called again. So a network of n such parts needs the memory of one, and n sets of arguments, for
-- one more forward pass.
--
--     function Net:forward(x)
--       for _, block in ipairs(self.blocks) do x = nn.checkpoint(block, x) end
--       return x
--     end
--
-- The second time f meets the same random numbers, so that dropout drops the same, and the running
-- statistics of batch norm stay as they are. Whatever else f changes, it changes twice, and what it
-- makes and does not return is released; its arguments may not be changed before. Gradients
-- are of any order.
-- @param f function or module, which gives 1 to 4 tensors; all parameters that it uses get
--   gradients
-- @param ... its arguments; at most 7 of them tensors that require a gradient
-- @return what f gives
function checkpoint.checkpoint(f, ...)
  if type(f) ~= "function" and not fields.is_module(f) then
    complain("checkpoint: function or module expected, got %s", check.type(f))
  end
  if not is_recording() then return f(...) end
  local part = {f = f, arguments = table.pack(...)}
  part.inputs = inputs_of(part.arguments)
  local outputs = {pl.tidy(first_time, part)}
  local before = {table.unpack(part.inputs)}
  before[#before + 1] = token_of(part, 1)
  if #before == 0 then return table.unpack(outputs) end
  local node = pl.custom(function() return table.unpack(outputs) end,
                         function(_, ...) return go_back(part, ...) end)
  return node(table.unpack(before))
end

return checkpoint
