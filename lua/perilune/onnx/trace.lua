--- What a network does, written down call by call (internal).
-- @module perilune.onnx.trace

local pl = require "perilune"
local core = require "perilune.core"
local blame = require "perilune.internal.blame"
local module = require "perilune.nn.module"

local trace = {}

-- Whether a function is being traced: one within another would be half a graph.
local active = false

--- Raises an error if a trace is under way.
-- @param complain function(text)
function trace.check(complain)
  if active then complain "a network that is being exported exports another one" end
end

local function finish(ok, ...)
  active = false
  if not ok then error(..., 0) end
  return table.pack(...)
end

--- Calls a function and writes down what it does with tensors.
--
-- Each tensor is shown as one box, which is the same in all traces with the same table of boxes,
-- and is there as long as that table.
-- @param boxes table
-- @param f function
-- @param args list of its arguments, with `n`
-- @return list of events: {kind =, tensors =, op =, inputs =, attrs =, dtype =, apart =, module =,
--   line =}; the kind is "op", "copy", "read", or the name of a change in place
-- @return list of results of f, with `n`
function trace.run(boxes, f, args)
  local events = {}
  local function note(kind, tensors, op, inputs, attrs, dtype, apart)
    events[#events + 1] = {
      kind = kind, tensors = tensors, op = op, inputs = inputs, attrs = attrs, dtype = dtype,
      apart = apart, module = module.innermost(), line = blame.place(),
    }
  end
  local function call(...) return f(...) end -- which may be a module
  active = true
  return events, finish(pcall(pl.no_grad, core.trace.call, boxes, note, call,
                              table.unpack(args, 1, args.n)))
end

--- The box by which events show a tensor.
-- @param boxes table
-- @param tensor
-- @return box
function trace.box(boxes, tensor)
  return core.trace.box(boxes, tensor)
end

return trace
