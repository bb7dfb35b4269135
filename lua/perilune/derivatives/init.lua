--- Derivatives of functions of tensors: Jacobians, Hessians, and their products with vectors, as in
-- torch.autograd.functional.
--
--     local function f(w, x) return (x:mv(w)):square():sum() end
--     local h = pl.hessian(function(w) return f(w, x) end, w)     -- [n,n]
--     local y, v = pl.hvp(f, {w, x}, {pl.ones(3), pl.zeros(5, 3)}) -- without the matrix
--
-- The inputs are a tensor, or a list of tensors, which `f` gets side by side. `f` gives one tensor
-- or several. Derivatives have the form of the inputs: a tensor for a tensor, a list for a list.
-- What does not depend on an input has zeros there, but it is an error if nothing of the result
-- does.
-- @module perilune.derivatives

local pl = require "perilune"
local blame = require "perilune.internal.blame"
local check = require "perilune.internal.check"
local option = require "perilune.internal.option"
local words = require "perilune.internal.words"

local complain, blaming = blame.complain, blame.blaming
local derivatives = {}

local OPTIONS <const> = {create_graph = false}

local function describe(t)
  return t:dtype() .. words.shape(t)
end

local function need_real(who, what, value)
  if not pl.is_tensor(value) then
    complain("%s: %s is a %s; real tensor expected", who, what, check.type(value))
  elseif value:dtype() ~= "real" then
    complain("%s: %s is %s; real tensor expected", who, what, describe(value))
  end
end

-- Tensors as a list, and whether they came as one.
local function listed(who, what, given)
  if pl.is_tensor(given) then
    need_real(who, what, given)
    return {given}, false
  elseif type(given) ~= "table" or #given == 0 then
    complain("%s: %s: tensor or list of tensors expected, got %s", who, what,
             type(given) == "table" and "an empty table" or check.type(given))
  end
  for i, value in ipairs(given) do need_real(who, ("%s %d"):format(what, i), value) end
  return given, true
end

-- The same inputs without what came before, unless that is wanted.
local function fresh(list, keep_history)
  local copies = {}
  for i, x in ipairs(list) do
    copies[i] = keep_history and x.requires_grad and x:reshape(x:size())
      or x:detach():requires_grad_()
  end
  return copies
end

-- What f gives for the inputs: a list.
local function evaluate(who, f, xs)
  if type(f) ~= "function" and not (type(f) == "table" and getmetatable(f)) then
    complain("%s: function expected, got %s", who, check.type(f))
  end
  local ys, some = {pl.enable_grad(f, table.unpack(xs))}, false
  if #ys == 0 then complain("%s: f gave nothing; a real tensor expected", who) end
  for i, y in ipairs(ys) do
    need_real(who, #ys == 1 and "what f gave" or ("result %d of f"):format(i), y)
    some = some or y.requires_grad
  end
  if not some then complain("%s: nothing that f gave depends on its inputs", who) end
  return ys
end

local function evaluate_number(who, f, xs)
  local ys = evaluate(who, f, xs)
  if #ys > 1 or ys[1]:numel() ~= 1 then
    complain("%s: f gave %s; a tensor of one element expected", who,
             #ys > 1 and #ys .. " tensors" or describe(ys[1]))
  end
  return ys[1]
end

local function check_vectors(who, vs, xs, of)
  if #vs ~= #xs then complain("%s: %d vectors for %d %ss", who, #vs, #xs, of) end
  for i, v in ipairs(vs) do
    if words.shape(v) ~= words.shape(xs[i]) then
      complain("%s: v is %s for the %s %s", who, describe(v), of, describe(xs[i]))
    end
  end
end

-- The gradients of the ys times the vs by the xs; zeros where there is no path.
local function gradients(ys, xs, vs, create_graph)
  local outputs, seeds, grads = {}, {}, {}
  for i, y in ipairs(ys) do
    if y and y.requires_grad then outputs[#outputs + 1], seeds[#seeds + 1] = y, vs[i] end
  end
  if #outputs > 0 then
    grads = pl.grad(outputs, xs,
                    {grad_outputs = seeds, retain_graph = true, create_graph = create_graph})
  end
  for i, x in ipairs(xs) do grads[i] = grads[i] or pl.zeros(x:size()) end
  return grads
end

-- As it was given: one tensor, or the list.
local function formed(list, many)
  return many and list or list[1]
end

-- Results without a history, unless they are to have one.
local function finished(list, o)
  for i, t in ipairs(list) do list[i] = o.create_graph and t or t:detach() end
  return list
end

-- The derivatives of all elements of y by the xs: for each x a tensor [size of y, size of x].
local function rows_of(y, xs, create_graph)
  local n, rows, result = y:numel(), {}, {}
  for k = 1, n do
    local seed = pl.one_hot(pl.tensor({k}, "int32"), n):reshape(y:size())
    rows[k] = gradients({y}, xs, {seed}, create_graph)
  end
  for i, x in ipairs(xs) do
    local column, size = {}, y:size()
    for k = 1, n do column[k] = rows[k][i] end
    table.move(x:size(), 1, x:dim(), #size + 1, size)
    result[i] = (n > 0 and pl.stack(column, 1) or pl.zeros(0)):reshape(size)
  end
  return result
end

local function jacobian(f, inputs, options)
  local o = option.read("jacobian", options, OPTIONS)
  local list, many = listed("jacobian", "input", inputs)
  local xs = fresh(list, o.create_graph)
  local ys, result = evaluate("jacobian", f, xs), {}
  for i, y in ipairs(ys) do
    result[i] = formed(finished(rows_of(y, xs, o.create_graph), o), many)
  end
  return table.unpack(result)
end

local function vjp(f, inputs, v, options)
  local o = option.read("vjp", options, OPTIONS)
  local list, many = listed("vjp", "input", inputs)
  local xs = fresh(list, o.create_graph)
  local ys = evaluate("vjp", f, xs)
  local vs = v ~= nil and listed("vjp", "v", v) or {pl.ones(ys[1]:size())}
  if v == nil and (#ys > 1 or ys[1]:numel() ~= 1) then
    complain("vjp: f gave %s; a vector v is needed", describe(ys[1]))
  end
  check_vectors("vjp", vs, ys, "result")
  local grads = finished(gradients(ys, xs, vs, o.create_graph), o)
  return formed(finished(ys, o), #ys > 1), formed(grads, many)
end

-- The gradient of u J by the inputs is linear in u; its gradient by u, times v, is J v.
local function jvp(f, inputs, v, options)
  local o = option.read("jvp", options, OPTIONS)
  local list = listed("jvp", "input", inputs)
  local vs = listed("jvp", "v", v)
  check_vectors("jvp", vs, list, "input")
  local xs = fresh(list, o.create_graph)
  local ys, us = evaluate("jvp", f, xs), {}
  for i, y in ipairs(ys) do us[i] = pl.zeros(y:size()):requires_grad_() end
  local products = gradients(gradients(ys, xs, us, true), us, vs, o.create_graph)
  return formed(finished(ys, o), #ys > 1), formed(finished(products, o), #ys > 1)
end

local function hessian(f, inputs, options)
  local o = option.read("hessian", options, OPTIONS)
  local list, many = listed("hessian", "input", inputs)
  local xs = fresh(list, o.create_graph)
  local y, result = evaluate_number("hessian", f, xs), {}
  for i, grad in ipairs(gradients({y}, xs, {pl.ones(y:size())}, true)) do
    result[i] = formed(finished(rows_of(grad, xs, o.create_graph), o), many)
  end
  return formed(result, many)
end

local function hvp(f, inputs, v, options)
  local o = option.read("hvp", options, OPTIONS)
  local list, many = listed("hvp", "input", inputs)
  local vs = listed("hvp", "v", v)
  check_vectors("hvp", vs, list, "input")
  local xs = fresh(list, o.create_graph)
  local y = evaluate_number("hvp", f, xs)
  local grads = gradients({y}, xs, {pl.ones(y:size())}, true)
  local products = finished(gradients(grads, xs, vs, o.create_graph), o)
  return finished({y}, o)[1], formed(products, many)
end

--- The Jacobian: the derivative of each element of f's result by each element of its inputs.
--
--     pl.jacobian(pl.exp, pl.tensor {0, 1})                        -- {{1, 0}, {0, 2.72}}
--     local a, b = table.unpack(pl.jacobian(pl.mv, {matrix, x}))   -- by both
-- @param f function of tensors, which gives one tensor or several
-- @param inputs tensor, or list of tensors
-- @param[opt] options `create_graph` (false): whether the result has gradients itself
-- @return real [size of the result, size of the input], or a list of one for each input; as many
--   as f gives results
function derivatives.jacobian(f, inputs, options)
  return blaming(jacobian, f, inputs, options)
end

--- The Hessian: the second derivatives of a number.
--
--     pl.hessian(function(x) return (x ^ 3):sum() end, pl.tensor {1, 2})  -- {{6, 0}, {0, 12}}
-- @param f function of tensors, which gives a tensor of one element
-- @param inputs tensor, or list of tensors
-- @param[opt] options `create_graph` (false): whether the result has gradients itself
-- @return real [size of the input, size of the input]; of a list of inputs, the list of lists h,
--   where h[i][j] has the sizes of the inputs i and j
function derivatives.hessian(f, inputs, options)
  return blaming(hessian, f, inputs, options)
end

--- v times the Jacobian, by one backward pass.
--
--     local y, g = pl.vjp(pl.sin, x, pl.ones(x:size()))  -- g is x:cos()
-- @param f function of tensors, which gives one tensor or several
-- @param inputs tensor, or list of tensors
-- @param[opt] v tensor in the shape of the result, or list of one for each; 1 of a result of one
--   element
-- @param[opt] options `create_graph` (false): whether the results have gradients themselves
-- @return what f gives, a list if these are several
-- @return the product, in the shape of the inputs
function derivatives.vjp(f, inputs, v, options)
  return blaming(vjp, f, inputs, v, options)
end

--- The Jacobian times v, how the result changes where the inputs go along v: by two backward
-- passes, of which the second goes through the first.
--
--     local y, d = pl.jvp(pl.sin, x, pl.ones(x:size()))  -- d is x:cos()
-- @param f function of tensors, which gives one tensor or several
-- @param inputs tensor, or list of tensors
-- @param v tensor in the shape of the input, or list of one for each
-- @param[opt] options `create_graph` (false): whether the results have gradients themselves
-- @return what f gives, a list if these are several
-- @return the product, in the shape of the result, a list if these are several
function derivatives.jvp(f, inputs, v, options)
  return blaming(jvp, f, inputs, v, options)
end

--- The Hessian times v, without the matrix: the gradient of the gradient times v.
--
--     local y, h = pl.hvp(function(x) return (x ^ 3):sum() end, x, v)  -- h is 6 * x * v
-- @param f function of tensors, which gives a tensor of one element
-- @param inputs tensor, or list of tensors
-- @param v tensor in the shape of the input, or list of one for each
-- @param[opt] options `create_graph` (false): whether the results have gradients themselves
-- @return what f gives
-- @return the product, in the shape of the inputs
function derivatives.hvp(f, inputs, v, options)
  return blaming(hvp, f, inputs, v, options)
end

return derivatives
