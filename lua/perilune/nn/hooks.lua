--- Hooks: functions that are called when a module is (internal; use `register_forward_hook` of
-- modules).
--
-- They stand beside the modules, not in them: a module that is copied or saved has none. While no
-- module has any there is no table of them, so that a call asks for nothing else.
-- @module perilune.nn.hooks

local pl = require "perilune"
local check = require "perilune.internal.check"
local chain = require("perilune.core").chain
local complain = require("perilune.internal.blame").complain
local object = require "perilune.internal.object"

local hooks = {}

--- Of each module with hooks lists of functions, in the order in which they were registered:
-- `forward_pre`, `forward`, `backward`. A list is not changed, but replaced. Nil if no module has
-- hooks.
hooks.of = nil

--- How often hooks came and went: what was planned before may have been planned for others.
hooks.changes = 0

local function changed()
  hooks.changes = hooks.changes + 1
  chain.forget()
end

local function without(list, entry)
  local rest = {}
  for _, other in ipairs(list) do
    if other ~= entry then rest[#rest + 1] = other end
  end
  return #rest > 0 and rest or nil
end

local Handle = object.class "handle"
Handle.__name = "handle of a hook"

--- Takes the hook away; once more does nothing.
function Handle:remove()
  local lists = hooks.of and hooks.of[self.module]
  if not lists or not lists[self.kind] then return end
  lists[self.kind] = without(lists[self.kind], self.entry)
  if not next(lists) then hooks.of[self.module] = nil end
  if not next(hooks.of) then hooks.of = nil end
  changed()
end

--- Adds a hook.
-- @param who the method's name
-- @param module
-- @param kind "forward_pre", "forward" or "backward"
-- @param f function
-- @return handle, with the method `remove`
function hooks.add(who, module, kind, f)
  if type(f) ~= "function" then complain("%s: function expected, got %s", who, check.type(f)) end
  hooks.of = hooks.of or setmetatable({}, {__mode = "k"})
  local lists = hooks.of[module] or {}
  local list, entry = {table.unpack(lists[kind] or {})}, {f = f}
  list[#list + 1] = entry
  hooks.of[module], lists[kind] = lists, list
  changed()
  return setmetatable({module = module, kind = kind, entry = entry}, Handle)
end

--
-- Calling a module that has some
--

-- What a hook gave takes the place of what there was; nothing leaves it.
local function replaced(values, ...)
  if (...) == nil then return values end
  return table.pack(...)
end

local function unpacked(values)
  return table.unpack(values, 1, values.n)
end

-- The tensors among values that require a gradient, and where they are.
local function differentiable(values)
  local list, places = {}, {}
  for i = 1, values.n do
    if pl.is_tensor(values[i]) and values[i].requires_grad then
      list[#list + 1], places[#places + 1] = values[i], i
    end
  end
  return list, places
end

-- The values with tensors that are the same, but whose gradients pass through f(list).
local function watched(values, f)
  local list, places = differentiable(values)
  if #list == 0 then return values, false end
  local same = pl.custom(function(_, ...) return ... end,
                         function(_, ...) return table.unpack(f {...}, 1, #list) end)
  local copies, result = {same(table.unpack(list))}, {unpacked(values)}
  result.n = values.n
  for k, i in ipairs(places) do result[i] = copies[k] end
  return result, true
end

local function call_backward(list, module, grad_input, grad_output)
  for _, entry in ipairs(list) do
    grad_input = entry.f(module, grad_input, grad_output) or grad_input
  end
  return grad_input
end

-- The function of the inputs and outputs of a call, whose gradients go to the hooks: those of the
-- outputs come first, and are kept until those of the inputs do; or there are none of the inputs.
local function watch_gradients(list, module, inputs, forward)
  local grad_output
  local watched_inputs, some = watched(inputs, function(grad_input)
    return call_backward(list, module, grad_input, grad_output)
  end)
  local outputs = table.pack(forward(module, unpacked(watched_inputs)))
  return (watched(outputs, function(grads)
    grad_output = grads
    if not some then call_backward(list, module, {}, grads) end
    return grads
  end))
end

--- Calls the `forward` of a module, with its hooks around it.
-- @param module
-- @param ... arguments
-- @return results
function hooks.forward(module, ...)
  local lists, inputs = hooks.of[module], table.pack(...)
  for _, entry in ipairs(lists.forward_pre or {}) do
    inputs = replaced(inputs, entry.f(module, inputs))
  end
  local outputs = lists.backward
    and watch_gradients(lists.backward, module, inputs, module.forward)
    or table.pack(module:forward(unpacked(inputs)))
  for _, entry in ipairs(lists.forward or {}) do
    outputs = replaced(outputs, entry.f(module, inputs, unpacked(outputs)))
  end
  return unpacked(outputs)
end

return hooks
