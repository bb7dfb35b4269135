-- help, the doc comments behind it, and that nothing public is without one.
local lu = require "luaunit"
local pl = require "perilune"
local core = require "perilune.core"
local doc = require "perilune.help.doc"
local entries = require "perilune.help.entries"
local help = require "perilune.help"
local names = require "perilune.help.names"
local sources = require "perilune.sources"

local T = {}

local function has(text, part)
  if not text:find(part, 1, true) then
    error(("%q is not in:\n%s"):format(part, text), 2)
  end
end

--
-- The parser
--

local FILE <const> = [[
--- A module. It has two sentences.
--
-- And a second paragraph.
-- @module some.thing

local M = {}

--- Adds numbers: a + b.
--
--     M.add(1, 2)  -- 3
-- @param a number
-- @param[opt=2] b another
--   number
-- @param[opt] rest what is left
-- @return the sum
-- @return true
function M.add(a, b, rest) end

-- Not a doc comment.
function M.hidden() end

--- Goes on.
function Thing:step(...) end

--- A class.
-- @param[opt={bias=true}] options
M.Layer = module.class "Layer"

--- Local, with a parent.
local Other = class("Other", M.Layer)

--- Numbers.
M.list = {1, 2}

  --- Indented.
  M.field = function(x) end
for _, name in ipairs {"x", "y"} do
  --- Generated.
  M[name] = function(...) end
end

--- Generated too.
for name, value in next, M do
  M[name] = function(...) end
end
]]

local function parsed()
  local by_name = {}
  for _, entry in ipairs(doc.parse(FILE)) do by_name[entry.name] = entry end
  return by_name
end

function T.test_parse_finds_all_and_nothing_else()
  local list = {}
  for _, entry in ipairs(doc.parse(FILE)) do list[#list + 1] = entry.kind .. " " .. entry.name end
  lu.assertEquals(list, {
    "module some.thing", "function add", "method step", "class Layer", "class Other",
    "value list", "function field", "function name",
    "function name"})
end

function T.test_parse_text_and_summary()
  local add, module = parsed().add, parsed()["some.thing"]
  lu.assertEquals(module.summary, "A module.")
  lu.assertEquals(module.text, "A module. It has two sentences.\n\nAnd a second paragraph.")
  lu.assertEquals(add.summary, "Adds numbers: a + b.")
  lu.assertEquals(add.text, "Adds numbers: a + b.\n\n    M.add(1, 2)  -- 3")
end

function T.test_parse_tags()
  local add = parsed().add
  lu.assertEquals(add.params[1], {name = "a", text = "number", optional = false})
  lu.assertEquals(add.params[2], {name = "b", text = "another number", optional = true,
                                  default = "2"})
  lu.assertEquals(add.params[3], {name = "rest", text = "what is left", optional = true})
  lu.assertEquals(add.returns, {{text = "the sum"}, {text = "true"}})
  lu.assertEquals(parsed().Layer.params[1].default, "{bias=true}")
end

function T.test_parse_declarations()
  local p = parsed()
  lu.assertEquals(p.add.owner, "M")
  lu.assertEquals(p.step.owner, "Thing")
  lu.assertEquals(p.step.arguments, {"..."})
  lu.assertEquals(p.field.arguments, {"x"})
  lu.assertTrue(p.Other.is_local)
  lu.assertEquals(p.add.line, 17)
  lu.assertEquals(p.name.line, 44)
end

function T.test_signatures()
  local p = parsed()
  lu.assertEquals(doc.signature(p.add), "add(a [, b [, rest]])")
  lu.assertEquals(doc.signature(p.Layer, "nn.Layer"), "nn.Layer([options])")
  lu.assertEquals(doc.signature(p.list), "list")
end

function T.test_parse_of_odd_files()
  lu.assertEquals(doc.parse(""), {})
  lu.assertEquals(doc.parse("---"), {{
    kind = "module", text = "", summary = "", params = {}, returns = {}, line = 2}})
  lu.assertEquals(#doc.parse("x = 1\r\n--- Text.\r\nf = 3\r\n"), 1)
  lu.assertEquals(doc.parse("------ rule\nlocal x = 1"), {})
end

--
-- Pages
--

function T.test_help_of_a_function()
  local text = help.text(pl.data.batches)
  has(text, "pl.data.batches(set")
  has(text, "\nArguments\n  set")
  has(text, "\nResult\n  the iterator")
  lu.assertEquals(help.text "data.batches", text)
  lu.assertEquals(help.text "pl.data.batches", text)
end

function T.test_help_of_an_op()
  local text = help.text(pl.conv2d)
  has(text, "conv2d(")
  has(text, "stride")
  lu.assertEquals(help.text "conv2d", text)
  lu.assertEquals(help.text(pl.zeros(1).conv2d), text)
  has(help.text "sum", "sum(")
end

function T.test_help_of_a_method_of_tensors()
  local text = help.text "tensor:size"
  has(text, "size(")
  lu.assertEquals(help.text "size", text)
  lu.assertEquals(help.text(pl.zeros(1).size), text)
end

function T.test_help_of_classes_and_networks()
  local text = help.text(pl.nn.Linear)
  has(text, "pl.nn.Linear(n_in, n_out [, options])")
  has(text, "number of outputs")
  has(text, "load_state_dict")
  lu.assertEquals(help.text(pl.nn.Linear(2, 3)), text)
  lu.assertEquals(help.text "Linear", text)
  has(help.text(pl.nn.Sequential {}), "one after the other")
  has(help.text(pl.nn.module {forward = print}), "Module")
  has(help.text "Module:train", "training mode")
end

function T.test_help_of_objects()
  local net = pl.nn.Linear(2, 3)
  has(help.text(pl.optim.Adam(net:parameters())), "zero_grad()  ")
  local panel = pl.plot.figure():panel()
  has(help.text(panel), "one pair of axes")
  has(help.text(panel), "\n  line(xs, ys, options)")
  has(help.text "Panel:line", "Panel:line(xs, ys, options)\n\nA line through points.")
  lu.assertEquals(help.text "panel.line", help.text "Panel:line")
  has(help.text(pl.canvas(10, 10)), "Methods\n  circle, clip")
end

function T.test_help_of_parts()
  has(help.text(), "Try this first")
  has(help.text(), "pl.nn")
  local text = help.text(pl.nn)
  has(text, "\nClasses\n")
  has(text, "Linear")
  lu.assertEquals(help.text "nn", text)
  has(help.text(pl), "Shapes\n  reshape, ")
  has(help.text(pl), "pl.data")
  lu.assertEquals(help.text "pl", help.text(pl))
  has(help.text(pl.nn.init), "kaiming_uniform_")
end

function T.test_help_of_tensors()
  local text = help.text "tensor"
  has(text, "\nReductions\n  sum, mean")
  has(text, "\nIn place\n")
  lu.assertNil(text:find "randperm")
  lu.assertEquals(help.text(pl.zeros(2, 3)):match "^[^\n]*", "real[2,3]")
end

local SCRIPT <const> = [[
local class = ...
local M = {}
--- Doubles a number.
-- @param x the number
function M.double(x) return 2 * x end
function M.bare(a, b, ...) end
--- A layer of my own.
-- @param n how many
M.Own = class "Own"
function M.Own:init(n) self.n = n end
--- Says hello.
function M.Own:hello() end
local Plain = {}
Plain.__index = Plain
--- Runs.
function Plain:run() end
M.plain = setmetatable({}, Plain)
return M
]]

local function own_script()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(SCRIPT)
  file:close()
  return assert(loadfile(path))(pl.nn.class), path
end

function T.test_help_of_the_users_own_things()
  local mine, path = own_script()
  has(help.text(mine.double), "double(x)\n\nDoubles a number.")
  has(help.text(mine.bare), "function(a, b, ...)")
  has(help.text(mine.bare), path .. ":6")
  has(help.text(mine.Own(3)), "Own(n)\n\nA layer of my own.")
  has(help.text(mine.Own), "hello()  Says hello.")
  has(help.text(mine.plain), "run()  Runs.")
  os.remove(path)
  has(help.text(mine.double), "no doc comment")
  has(help.text(load "return 1"), "no doc comment")
end

function T.test_help_of_other_things()
  has(help.text(string.format), "pdf-string.format")
  has(help.text "math.floor", "pdf-math.floor")
  has(help.text "print", "pdf-print")
  for _, value in ipairs {3, true, {}, coroutine.create(print), io.stdout} do
    lu.assertIsString(help.text(value))
  end
  lu.assertIsString(help.text(nil))
end

function T.test_help_suggests_names()
  has(help.text "conv", "conv2d")
  has(help.text "Linaer", "Did you mean linear, nn.Linear")
  has(help.text "reshap", "reshape")
  has(help.text "qqqqqq", "Nothing is called 'qqqqqq'. help() shows")
  has(help.text "", "Nothing is called ''")
end

function T.test_every_name_has_a_page()
  for _, name in ipairs(help.names()) do
    local text = help.text(name)
    if text:find("^Nothing is called") then lu.fail(name .. ": " .. text) end
  end
end

function T.test_pages_are_wrapped()
  for _, name in ipairs {"data.batches", "nn", "pl", "nn.Module", "experiment"} do
    for line in help.text(name):gmatch "[^\n]+" do
      if line:sub(1, 4) ~= "    " then lu.assertTrue(utf8.len(line) <= 80, line) end
    end
  end
end

function T.test_help_prints()
  local printed
  local before = print
  print = function(text) printed = text end -- luacheck: ignore
  local ok, message = pcall(help, "conv2d")
  print = before -- luacheck: ignore
  lu.assertTrue(ok, message)
  has(printed, "conv2d(")
  has(tostring(help), "help(x) explains x")
end

--
-- Nothing is without documentation
--

local function check_all(problems)
  table.sort(problems)
  if #problems > 0 then
    error("not documented:\n  " .. table.concat(problems, "\n  "), 2)
  end
end

function T.test_functions_of_c_are_documented()
  local problems = {}
  for name, f in next, core do
    if type(f) == "function" and not core.docs[name] then problems[#problems + 1] = name end
  end
  for name in next, core.methods do
    if not (core.docs[name] or core.docs["tensor:" .. name]) then
      problems[#problems + 1] = "tensor:" .. name
    end
  end
  for key, text in next, core.docs do
    if not text:find("^[%w_.:]+%(.-%)\n%S") then problems[#problems + 1] = key .. ": " .. text end
  end
  check_all(problems)
end

function T.test_functions_of_c_are_in_one_group_each()
  local bound, seen = entries.bound_names(), {}
  for _, group in ipairs(core.groups) do
    for _, name in ipairs(group) do
      lu.assertNil(seen[name], name)
      seen[name] = group.title
    end
  end
  for _, name in ipairs(bound) do lu.assertNotNil(seen[name], name) end
end

-- What the comment of a function or class lacks of its arguments.
local function missing_params(entry, arguments)
  local known, missing = {}, {}
  for _, param in ipairs(entry.params) do known[param.name] = true end
  for _, argument in ipairs(arguments) do
    if not known[argument] and argument ~= "..." then missing[#missing + 1] = argument end
    known[argument] = nil
  end
  for name in next, known do missing[#missing + 1] = "no argument " .. name end
  return missing
end

-- Methods that every class may have and whose meaning is that of nn.Module.
local usual = {init = true, forward = true, extra = true, fused = true}

local function class_arguments(class)
  local init = class.init
  if type(init) ~= "function" then return {} end
  local info, list = debug.getinfo(init, "u"), {}
  for i = 2, info.nparams do list[#list + 1] = debug.getlocal(init, i) end
  return list
end

local function problem_of(public)
  local value, path = public.value, public.path
  if usual[path:match ":([%w_]+)$"] then return nil end
  local entry = entries.of(value, path)
  if not entry or entry.text == "" then return "no doc comment" end
  if entry.signature or entry.kind == "value" or entry.kind == "module" then return nil end
  local arguments = names.is_class(value) and class_arguments(value) or entry.arguments
  local missing = missing_params(entry, arguments)
  return #missing > 0 and table.concat(missing, ", ") or nil
end

function T.test_public_names_are_documented()
  local problems = {}
  for _, public in ipairs(names.public(true)) do
    local counts = type(public.value) == "function" or names.is_class(public.value)
      or names.module(public.value)
    local problem = counts and problem_of(public)
    if problem then problems[#problems + 1] = public.path .. ": " .. problem end
  end
  check_all(problems)
end

function T.test_modules_are_documented()
  local problems = {}
  for _, module in ipairs(sources.modules) do
    local overview = doc.overview(module)
    if not overview or overview.text == "" then problems[#problems + 1] = module end
  end
  check_all(problems)
end

-- Methods are what users get with objects: those that are not for them have an ordinary
-- comment. Other functions of inner files may do with less.
local function problem_in_file(entry, needs_comment, arguments)
  if not entry then return needs_comment and "no doc comment" or nil end
  local known, given = {}, {}
  for argument in arguments:gmatch "[%w_.]+" do known[argument] = true end
  for _, param in ipairs(entry.params) do
    if not known[param.name] then given[#given + 1] = "no argument " .. param.name end
  end
  return #given > 0 and table.concat(given, ", ") or nil
end

local function problems_in_file(module, problems)
  local by_line, line, above = {}, 0, ""
  for _, entry in ipairs(doc.module(module)) do by_line[entry.line] = entry end
  for text in (doc.source(sources.find(module)) .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    local mark, name, arguments = text:match "^function [%w_.]-([.:])([%w_]+)%((.-)%)"
    local counts = name and not usual[name] and name:byte() ~= 95
    local needs_comment = mark == ":" and not above:find "^%-%-"
    local problem = counts and problem_in_file(by_line[line], needs_comment, arguments)
    above = text
    if problem then problems[#problems + 1] = ("%s.%s: %s"):format(module, name, problem) end
  end
end

function T.test_functions_in_the_files_are_documented()
  local problems = {}
  for _, module in ipairs(sources.modules) do problems_in_file(module, problems) end
  check_all(problems)
end

--
-- Examples
--

function T.test_examples()
  lu.assertEquals(entries.example "sqrt", "pl.sqrt(pl.tensor {1, 4, 0.5, 2})  --> {1, 2, 0.7071, 1.414}")
  lu.assertNil(entries.example "zeros")
  has(help.text "narrow", "\nExample\n")
end

-- Every op has one; making it runs the code, and leaves the stream of random numbers alone.
function T.test_each_op_has_an_example()
  pl.manual_seed(5)
  local state = pl.random_state()
  for _, name in ipairs(core.ops()) do has(entries.example(name), "--> ") end
  lu.assertEquals(pl.random_state(), state)
end

return T
