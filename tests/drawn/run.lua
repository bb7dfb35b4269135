--- Compares drawn cases with PyTorch's results, as docs/contributing.md says:
--
--     python3 tests/drawn/main.py --seed 1 --cases 5000 > cases.txt
--     build-double/perilune tests/drawn/run.lua cases.txt [number of a case]
--
-- A line for each difference, and last `N passed, N failed`. With a number, that case is shown too.
--
-- A line of the file is a case: Lua in which x1, x2, ... are its inputs, and what PyTorch has for
-- its results and their gradients of first and second order. `slack` is by how much PyTorch's
-- single precision is off, element by element: a measure of how far rounding errors reach.

local pl = require "perilune"

local double <const> = pl.real == "double"
local relative <const> = double and 1e-9 or 5e-5
local absolute <const> = double and 1e-12 or 3e-5
local of_slack <const> = double and 1e-5 or 50

--
-- Comparing; a difference is an error with a table
--

local function differ(text, ...) error({text = text:format(...)}) end

-- The magnitude that rounding errors are measured by where elements are sums: of the largest.
local function scale_of(list)
  local most = 1
  for _, v in ipairs(list) do
    if math.abs(v) < math.huge then most = math.max(most, math.abs(v)) end
  end
  return most
end

local function close(got, want, slack, least)
  if want ~= want then return got ~= got end
  if got == want then return true end
  if slack == math.huge then
    if not double then return true end
    slack = 0
  end
  local limit = relative * math.abs(want) + of_slack * slack + least
  return math.abs(got - want) <= limit and math.abs(want) < math.huge
end

local function same_size(a, b)
  if #a ~= #b then return false end
  for i, n in ipairs(a) do
    if n ~= b[i] then return false end
  end
  return true
end

local function shape(size) return "[" .. table.concat(size, ",") .. "]" end

local function tensor_of(value)
  if type(value) ~= "number" then return value end
  return pl.tensor(value, math.type(value) == "integer" and "int32" or "real")
end

local function compare(what, got, want, exact)
  got = tensor_of(got)
  if not pl.is_tensor(got) then differ("%s is %s, tensor expected", what, type(got)) end
  if not same_size(got:size(), want.size) then
    differ("%s is %s for %s", what, shape(got:size()), shape(want.size))
  end
  if got:dtype() ~= want.kind then differ("%s is %s for %s", what, got:dtype(), want.kind) end
  local values, slack = got:detach():reshape(-1):totable(), want.slack or {}
  local least <const> = exact and 0 or absolute * scale_of(want)
  for i, v in ipairs(values) do
    if not close(v, want[i], slack[i] or 0, least) then
      differ("%s: element %d is %.17g for %.17g", what, i, v, want[i])
    end
  end
end

local function compare_lists(what, got, want, exact)
  if #got ~= #want then differ("%d %ss for %d", #got, what, #want) end
  for i, t in ipairs(want) do compare(what .. " " .. i, got[i], t, exact) end
end

--
-- Gradients of a sum in which each element has a weight, as in case.py
--

local function weights(t)
  local n = t:numel()
  local list = {}
  for i = 0, n - 1 do list[i + 1] = ((37 * i + 11) % 101 - 50) / 64 end
  return (n > 0 and pl.tensor(list) or pl.zeros(0)):reshape(t:size())
end

local function projected(results)
  local total
  for _, t in ipairs(results) do
    if pl.is_tensor(t) and t:dtype() == "real" then
      local part = (t * weights(t)):sum()
      total = total and total + part or part
    end
  end
  return total
end

-- Zeros where nothing depends on a leaf, as PyTorch is asked for in case.py.
local function gradients(results, leaves, create_graph)
  local total = projected(results)
  local done, got = pcall(pl.grad, total, leaves,
    {create_graph = create_graph, retain_graph = true})
  if not done then
    if not tostring(got):find "does not depend on" then error(got, 0) end
    got = {}
  end
  for i, leaf in ipairs(leaves) do got[i] = got[i] or pl.zeros(leaf:size()) end
  return got
end

local function compare_gradients(case, results, leaves)
  if not case.first then return end
  compare_lists("gradient", gradients(results, leaves, false), case.first)
  local first = gradients(results, leaves, true)
  compare_lists("gradient with a graph", first, case.first)
  if not case.second then return end
  compare_lists("second gradient", gradients(first, leaves, false), case.second)
end

--
-- What large.py has in Lua: tensors by a formula, and sums of every 97th element
--

local EVERY <const> = 97

local function pattern(size, k)
  local n, list = 1, {}
  for _, m in ipairs(size) do n = n * m end
  for i = 0, n - 1 do list[i + 1] = ((k * i + 11) % 1013 - 506) / 256 end
  return (n > 0 and pl.tensor(list) or pl.zeros(0)):reshape(size)
end

local function folded(t)
  t = t:reshape(-1)
  return pl.pad(t, {0, -t:numel() % EVERY}):reshape(-1, EVERY):sum(1)
end

--
-- Running
--

local function place(case)
  local leaves <const> = {}
  local names <const> = setmetatable({pl = pl, nn = pl.nn, optim = pl.optim, inf = math.huge,
                                      pattern = pattern, folded = folded}, {__index = _G})
  for i, input in ipairs(case.inputs) do
    local values <const> = table.move(input, 1, #input, 1, {})
    local t = (#input > 0 and pl.tensor(values, input.kind) or pl.zeros(0, input.kind))
      :reshape(input.size)
    if input.grad then leaves[#leaves + 1] = t:requires_grad_() end
    names["x" .. i] = t
  end
  return names, leaves
end

local function check(case)
  local names, leaves = place(case)
  local f = assert(load(case.code, "=case", "t", names))
  local results = table.pack(pcall(f))
  if not results[1] then
    if case.refused then return end
    differ("raises: %s", results[2])
  end
  if case.refused then differ("gives a result, PyTorch raises: %s", case.refused) end
  table.remove(results, 1)
  compare_lists("result", results, case.results, case.exact)
  compare_gradients(case, results, leaves)
end

local function failure(case)
  local done, why = pcall(pl.tidy, check, case)
  if done then return end
  return type(why) == "table" and why.text or "raises: " .. tostring(why)
end

local function main(path, number)
  local passed, failed, head = 0, 0, nil
  for line in assert(io.lines(path)) do
    if line:sub(1, 2) == "--" then
      head = line
    elseif not number or line:find("{number=" .. number .. ",", 1, true) then
      if number then print(head, line) end
      local case = assert(load("local nan, inf = 0/0, math.huge return " .. line, "=case"))()
      local why = failure(case)
      if why then
        failed = failed + 1
        print(("case %d, %s: %s -- %s"):format(case.number, case.kind, why:gsub("\n.*", ""),
          case.code:gsub("\n", " ")))
      else
        passed = passed + 1
      end
    end
  end
  print(("%d passed, %d failed"):format(passed, failed))
  return failed == 0
end

os.exit(main(arg[1], arg[2]), true)
