--- What a script that means no good tries in a host with a policy; run by tests/embed/policy.c.
--
-- The host may write below the folder that `box` names, its home, and nothing else. Beside it lies
-- `outside`, with a file `secret` that reads "loot". In the box lie links that were made in advance:
-- to_file, to_folder, to_root, to_proc, up, relative (to the secret, its folder, /, /proc/self, ..,
-- ../outside/secret), a pipe, a socket. Each function below gives what it got, or nil, or raises an
-- error: it has escaped if it gives anything.
--
-- `is_inner(value)` of the test says whether a value is a table of the library itself.

local pl = require "perilune"
local nn = pl.nn

local secret <const>, new <const> = outside .. "/secret", outside .. "/new"
local E = {}

local function text_of(path)
  local file = io.open(path)
  local text = file and file:read "a"
  if file then file:close() end
  return text
end

--
-- Files by their names
--

local READ <const> = {
  absolute = secret, root = "/etc/passwd", environment = "/proc/self/environ",
  memory = "/proc/self/maps", root_of_process = "/proc/self/root/etc/passwd",
  cwd_of_process = "/proc/self/cwd/../secret", descriptor = "/proc/self/fd/0",
  thread = "/proc/thread-self/environ", random = "/dev/urandom", zero = "/dev/zero",
  terminal = "/dev/tty", up = "../outside/secret", up_inside = "folder/../../outside/secret",
  up_absolute = box .. "/../outside/secret", up_and_in_again = "../box/../outside/secret",
  dots = "./../outside/secret", slashes = "..//outside//secret", beside = box .. "side/secret",
  end_of_name = box .. "/..", link_to_file = "to_file", link_to_folder = "to_folder/secret",
  link_to_root = "to_root/etc/passwd", link_to_proc = "to_proc/environ",
  link_up = "up/outside/secret", link_relative = "relative", link_absolute = box .. "/to_file",
  link_in_middle = "folder/./../to_folder/secret", link_chain = "chain/secret", pipe = "pipe",
  socket = "socket", zero_byte = "to_file\0", zero_byte_before = secret .. "\0.txt",
}
for name, path in pairs(READ) do
  E["open " .. name] = function() return text_of(path) end
  E["read_file " .. name] = function() return (pl.read_file(path)) end
end
E["lines"] = function() for line in io.lines(secret) do return line end end
E["lines through a link"] = function() for line in io.lines "to_file" do return line end end
E["input"] = function() return io.input(secret) end
E["input and read"] = function() pcall(io.input, secret) return io.read "a" ~= "" or nil end
E["loadfile"] = function() return loadfile(secret) end
E["loadfile through a link"] = function() return loadfile "to_file" end
E["dofile"] = function() return dofile(outside .. "/code.lua") end
E["file_size"] = function() return (pl.file_size(secret)) end
E["file_exists"] = function() return pl.file_exists(secret) or nil end
E["file_exists of a link"] = function() return pl.file_exists "to_folder/secret" or nil end
E["require beside"] = function() package.path = outside .. "/?.lua" return require "code" end
E["require up"] = function() package.path = "../outside/?.lua" return require "code" end
E["require of a path"] = function() package.path = "?" return require(outside .. "/code.lua") end
E["searchpath"] = function() return (package.searchpath("code", outside .. "/?.lua")) end
E["load of a network"] = function() return (pl.load(outside .. "/net.safetensors")) end
E["png"] = function() return pl.image.read(outside .. "/image.png") end
E["text of a corpus"] = function() return (pl.data.text.read(secret, pl.data.text.vocabulary {}, true)) end
E["idx"] = function() return pl.data.idx(outside .. "/images.idx") end
E["a folder of data"] = function() return (pl.data.find(outside, "secret")) end
E["svm"] = function() return pl.learn.svm.load(outside .. "/svm") end
E["help of a chunk with that name"] = function()
  local text = pl.help.text(load("return function() end", "@" .. secret)())
  return text:find("loot", 1, true) and text
end
E["use of another experiment"] = function() return pl.experiment.use "../outside/code" end

--
-- Readers of formats: what lies outside of the folder, behind links, and what is no regular file. "loot"
-- is a table with one column and no row, so that of a CSV there is something to get.
--

local READERS <const> = {
  csv = function(path) return pl.data.csv(path, {header = false, target = 1}) end,
  csv_rows = function(path) return pl.data.csv_rows(path, {header = false, target = 1}) end,
  csv_open = function(path) return pl.csv_open(path) end,
  npy = function(path) return pl.data.npy(path) end, read_npy = function(path) return pl.read_npy(path) end,
  map_npy = function(path) return pl.map_npy(path) end, read_idx = function(path) return pl.read_idx(path) end,
  load = function(path) return pl.load(path) end, load_tensors = function(path) return pl.load_tensors(path) end,
  read_png = function(path) return pl.read_png(path) end, file_kind = function(path) return pl.file_kind(path) end,
  load_as_text = function(path) return pl.load(path, {convert = true}) end,
  from_bytes = function(path) return pl.from_bytes("uint8", {4}, pl.read_file(path)) end,
  standardise = function(path) return pl.data.statistics(pl.data.csv(path)) end,
}
for reader, read in pairs(READERS) do
  for _, name in ipairs {"absolute", "root", "up", "link_to_file", "link_to_folder", "link_in_middle", "beside",
                         "zero", "random", "memory", "environment", "descriptor", "link_to_proc", "pipe", "socket"} do
    E[reader .. " of " .. name] = function() return (read(READ[name])) end
  end
end
E["csv_rows, a link put in the place of the file"] = function()
  pl.write_file("rows.csv", "a\n1\n2\n")
  local rows = pl.data.csv_rows("rows.csv", {target = "a", chunk_size = 1})
  os.remove "rows.csv"
  os.rename("to_file", "rows.csv")
  local text
  pcall(function() for part in rows do text = text or part end end)
  os.rename("rows.csv", "to_file")
  return text and text_of "rows.csv"
end
E["a table written through a link"] = function() return pl.data.write_csv("to_folder/new", {a = pl.ones(1)}) end
E["arrays written through a link"] = function() return (pl.save_npz("to_folder/new", {a = pl.ones(1)})) end
E["an array written through a link"] = function() return (pl.write_npy("to_folder/new", pl.ones(1))) end
E["tensors written through a link"] = function() return (pl.save_tensors("to_folder/new", {a = pl.ones(1)})) end
E["an image written through a link"] = function() return (pl.write_png("to_folder/new", pl.ones(1, 1))) end
E["a table written outside"] = function() return pl.data.write_csv(new, {a = pl.ones(1)}) end
E["arrays written outside"] = function() return (pl.save(new .. ".npz", {a = pl.ones(1)})) end
E["an array written outside"] = function() return (pl.save(new .. ".npy", pl.ones(1))) end
E["an array written to a pipe"] = function() return (pl.write_npy("pipe", pl.ones(1))) end
E["a mapped array that is written"] = function()
  assert(pl.write_npy("own.npy", pl.zeros(4)))
  local mapped = assert(pl.map_npy "own.npy")
  mapped:add_(1)
  return true
end
E["a mapped array whose file is cut"] = function()
  assert(pl.write_npy("cut.npy", pl.zeros(1 << 16)))
  local mapped = assert(pl.map_npy "cut.npy")
  assert(pl.truncate_file("cut.npy", 0))
  return mapped:sum():item() ~= 0 or nil
end

--
-- Files that lie about how much is in them
--

local function npy(header, values)
  header = header .. (" "):rep(-(11 + #header) % 64) .. "\n"
  return "\x93NUMPY\1\0" .. string.pack("<s2", header) .. (values or "")
end
for name, shape in pairs {large = "(1099511627776,)", overflow = "(4294967296, 4294967296)",
                          negative = "(-1,)", deep = "(" .. ("1,"):rep(40) .. ")", empty = "(0, 9223372036854775807)"} do
  E["an npy of shape " .. name] = function()
    pl.write_file("lie.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': " .. shape .. ", }"))
    local ok, t = pcall(pl.read_npy, "lie.npy")
    local mapped, m = pcall(pl.map_npy, "lie.npy")
    return ok and t and t:numel() > 0 and t or mapped and m and m:numel() > 0 and m or nil
  end
end
E["an npy of objects"] = function()
  pl.write_file("lie.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", ("x"):rep(64)))
  return (pl.read_npy "lie.npy")
end
E["a safetensors header without end"] = function()
  pl.write_file("lie.sft", string.pack("<I8", 1 << 62) .. "{")
  return (pl.load_tensors "lie.sft")
end
E["safetensors that overlap the end"] = function()
  local header = '{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,18446744073709551615]}}'
  pl.write_file("lie.sft", string.pack("<s8", header) .. "1234")
  return (pl.load_tensors "lie.sft")
end
E["from_bytes with too few"] = function() return (pl.from_bytes("real", {1 << 40}, "1234")) end
E["from_bytes of a negative size"] = function() return (pl.from_bytes("real", {-1, -1}, "1234")) end
E["an idx of four thousand million images"] = function()
  pl.write_file("lie.idx", "\0\0\8\3\255\255\255\255\255\255\255\255\255\255\255\255")
  return (pl.read_idx "lie.idx")
end

--
-- Writing; the test looks what there is afterwards
--

local WRITE <const> = {
  absolute = new, up = "../outside/new", link = "to_folder/new", link_to_file = "to_file",
  dangling = "dangling", pipe = "pipe", null = "/dev/null", full = "/dev/full",
  proc = "/proc/self/comm", shared = "/dev/shm/perilune_policy_test", temporary = "/tmp/perilune_policy_test",
}
for name, path in pairs(WRITE) do
  -- A link in the way of a file that is written whole is replaced itself.
  local is_replaced <const> = name == "link_to_file" or name == "dangling"
  E["write " .. name] = function() return io.open(path, "w") end
  E["append " .. name] = function() return io.open(path, "a") end
  E["update " .. name] = function() return io.open(path, "r+") end
  E["append_file " .. name] = function() return (pl.append_file(path, "x")) end
  E["truncate_file " .. name] = function() return (pl.truncate_file(path, 0)) end
  E["output " .. name] = function() return io.output(path) end
  if not is_replaced then
    E["write_file " .. name] = function() return (pl.write_file(path, "x")) end
    E["save " .. name] = function() return (pl.save(path, {1})) end
    E["plot " .. name] = name ~= "pipe" and function()
      return (pl.plot.line({1, 2}):save(path .. ".svg"))
    end or nil
  end
end
E["mkdir"] = function() return (pl.mkdir(outside .. "/folder")) end
E["mkdir up"] = function() return (pl.mkdir "../outside/folder") end
E["mkdir through a link"] = function() return (pl.mkdir "to_folder/folder") end
E["lock_folder"] = function() return (pl.lock_folder(outside)) end
E["remove"] = function() return (os.remove(secret)) end
E["remove up"] = function() return (os.remove "../outside/secret") end
E["remove through a link"] = function() return (os.remove "to_folder/secret") end
E["rename out"] = function() pl.write_file("mine", "x") return (os.rename("mine", new)) end
E["rename in"] = function() return (os.rename(secret, "mine")) end
E["rename through a link"] = function() return (os.rename("to_folder/secret", "mine")) end
E["rename a folder over a link"] = function()
  pl.mkdir "moved"
  os.rename("moved", "to_folder")
  return (pl.write_file("to_folder/new", "x"))
end
E["a link moved and used"] = function()
  os.rename("to_root", "folder/r")
  local text = text_of "folder/r/etc/passwd"
  os.rename("folder/r", "to_root")
  return text
end
E["tmpname"] = function() return os.tmpname() end
E["tmpfile"] = function() return io.tmpfile() end
E["network saved outside"] = function() return (pl.save(new, nn.Linear(2, 2))) end
E["canvas"] = function() return (pl.plot.line({1, 2}):save(outside .. "/new.png")) end
E["pdf"] = function() return (pl.plot.line({1, 2}):save(outside .. "/new.pdf")) end
E["png_write"] = function() return (pl.image.write(outside .. "/new.png", pl.zeros(2, 2))) end

--
-- The process
--

E["execute"] = function() return os.execute "true" end
E["popen"] = function() return io.popen "echo loot" end
E["exit"] = function() os.exit(0) return true end
E["exit in a coroutine"] = function() return coroutine.wrap(os.exit)(0) end
E["exit by a finalizer"] = function()
  setmetatable({}, {__gc = function() os.exit(3) end})
  collectgarbage()
end
E["getenv"] = function() return os.getenv "HOME" or os.getenv "PATH" end
E["setlocale"] = function() return os.setlocale "C" end
E["clock"] = function() return os.clock() end
E["time"] = function() return os.time() end
E["date"] = function() return os.date() end
E["date with a format"] = function() return os.date "%c" end
E["pl.clock"] = function() return pl.clock() ~= 0 or nil end
E["times of a profile"] = function()
  pl.profile.start()
  for _ = 1, 10 do pl.ones(100, 100):matmul(pl.ones(100, 100)) end
  return pl.profile.stop().seconds ~= 0 or nil
end
E["a random seed"] = function() return math.randomseed() or true end
E["standard input"] = function() return io.read(1) end
E["standard input by its handle"] = function() return io.stdin:read(1) end
E["lines of standard input"] = function() for line in io.lines() do return line end end
E["dofile of standard input"] = function() dofile() end
E["load_ops"] = function() return pl.load_ops "libm.so.6" end
E["more threads"] = function() return pl.threads(4096) end
E["memory_limit"] = function() return pl.memory_limit(0) end
E["fail_after"] = function() pl.fail_after(1) return true end
E["interrupts that are not heard"] = function() pl.handle_interrupts(true) return pl.handle_interrupts(true) or nil end

--
-- Bytecode and C
--

local BYTECODE <const> = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8"
E["dump"] = function() return string.dump(function() end) end
E["dump of the metatable's string"] = function() return getmetatable("").__index.dump end
E["load of bytecode"] = function() return (load(BYTECODE)) end
E["load of bytecode, mode b"] = function() return (load(BYTECODE, "x", "b")) end
E["load of bytecode, mode bt"] = function() return (load(BYTECODE, "x", "bt")) end
E["load of bytecode in pieces"] = function()
  local i = 0
  return (load(function() i = i + 1 return BYTECODE:sub(i, i) end, "x", "bt"))
end
E["load with a mode that is no text"] = function() return (load("", "x", setmetatable({}, {__tostring = function() return "b" end}))) end
E["loadfile of bytecode"] = function()
  pl.write_file("bytes", BYTECODE)
  return (loadfile "bytes")
end
E["loadfile of bytecode after a comment"] = function()
  pl.write_file("bytes", "#!lua\n" .. BYTECODE)
  return (loadfile("bytes", "b"))
end
E["require of bytecode"] = function()
  pl.write_file("bytes.lua", BYTECODE)
  return require "bytes"
end
E["loadlib"] = function() return package.loadlib("libc.so.6", "system") end
E["loadlib of everything"] = function() return package.loadlib("libm.so.6", "*") end
E["cpath"] = function() package.cpath = "/usr/lib/x86_64-linux-gnu/?.so.6" return require "libm" end
E["loadstring"] = function() return loadstring "return 1" end

--
-- Packages and leftovers
--

for _, name in ipairs {"debug.sethook", "debug.getinfo", "debug.getregistry", "debug.getupvalue",
                       "debug.setupvalue", "debug.getlocal", "debug.setmetatable", "debug.getmetatable",
                       "debug.upvaluejoin", "debug.getuservalue", "debug.debug", "io.popen",
                       "os.execute", "io.tmpfile", "package.loadlib", "package.searchers",
                       "string.dump", "loadstring", "setfenv", "getfenv", "module", "unpack"} do
  local function find(t)
    for part in name:gmatch "[^.]+" do t = t and t[part] end
    return t
  end
  E["global " .. name] = function() return find(_G) end
  E["loaded " .. name] = function() return find(package.loaded) end
  E["required " .. name] = function()
    local library, field = name:match "^(.*)%.(.*)$"
    return library and require(library)[field]
  end
end
E["ffi"] = function() return require "ffi" end
E["internal"] = function() return require "perilune.internal.policy" end
E["internal by another name"] = function() return require "perilune.internal" end
E["core"] = function() return require "perilune.core" end
E["sources"] = function() return require "perilune.sources" end
E["a part's part"] = function() return require "perilune.nn.classes" end
E["a path as a part"] = function() return require("perilune./../../outside/code") end
E["core in loaded"] = function() return package.loaded["perilune.core"] end
E["a searcher of one's own"] = function()
  package.searchers = {function() return function() return true end end}
  local ok, result = pcall(require, "anything")
  package.searchers = nil
  return ok and result or nil
end
E["preload of a library"] = function()
  package.preload["perilune.internal.policy"] = function() return true end
  return require "perilune.internal.policy" ~= true or nil
end
E["functions of C under other names"] = function()
  for _, f in pairs {print, pcall, next, type} do
    local meta = getmetatable(f)
    if meta then return meta end
  end
end
E["registry by a thread"] = function() return getmetatable(coroutine.create(print)) end
E["metatable of nil"] = function() return getmetatable(nil) end
E["_ENV of the library by load"] = function()
  local env = {}
  local f = load("return debug and debug.getinfo, io and io.popen", "=perilune/nn/init.lua", "t")
  local a, b = f()
  return a or b or next(env)
end
E["an environment for load"] = function() return load("return os", "x", "t", {})() end
E["_G of _G"] = function() return _G._G._G.debug.getinfo or _G._G.package.loaded._G.io.popen end
E["a new global table"] = function()
  return load("local _ENV = {} return debug or io")()
end
E["a metatable of _G"] = function()
  setmetatable(_G, {__index = function(_, name) return name == "never" and io or nil end})
  local leak = debug.getinfo or io.popen
  setmetatable(_G, nil)
  return leak
end

--
-- Metatables and tables of the library
--

local function changed(t, key)
  local before = t[key]
  local ok = pcall(function() t[key] = function() return "evil" end end)
  return (ok or t[key] ~= before) or nil
end

for path, key in pairs {string = "rep", table = "insert", math = "floor", utf8 = "char",
                        coroutine = "wrap", os = "date", io = "write", pl = "ones",
                        ["pl.nn"] = "Linear", ["pl.nn.Linear"] = "forward", ["pl.nn.Module"] = "train",
                        ["pl.nn.Sequential"] = "init", ["pl.optim"] = "Adam", ["pl.plot"] = "line",
                        ["pl.linalg"] = "inv", ["pl.nn.init"] = "zeros_", ["pl.data"] = "split",
                        ["pl.nn.functional"] = "linear", ["pl.methods"] = "sum", debug = "traceback"} do
  local function owner()
    local t = {pl = pl, string = string, table = table, math = math, utf8 = utf8, debug = debug,
               coroutine = coroutine, os = os, io = io}
    for part in path:gmatch "[^.]+" do t = t[part] end
    return t
  end
  E["write " .. path] = function() return changed(owner(), key) end
  E["a new field of " .. path] = function() owner().evil = 1 return true end
  E["rawset " .. path] = function() return rawset(owner(), key, 1) end
  E["setmetatable " .. path] = function() return setmetatable(owner(), {}) end
  E["getmetatable " .. path] = function() return getmetatable(owner()) or nil end
  E["table.insert into " .. path] = function() table.insert(owner(), 1) return true end
  E["table.move into " .. path] = function() table.move({1}, 1, 1, 1, owner()) return true end
  E["inner " .. path] = function() return is_inner(owner()) or nil end
end

local function objects()
  local net = nn.Sequential {nn.Linear(2, 2), nn.ReLU(), nn.BatchNorm1d(2)}
  return {
    string = "", tensor = pl.ones(2), net = net, layer = net[1],
    optimiser = pl.optim.Adam(net:parameters()), figure = pl.plot.line({1, 2}),
    file = io.stdout, lstm = nn.LSTM(2, 2),
    schedule = pl.optim.StepLR(pl.optim.SGD(net:parameters(), {lr = 0.1}), {step_size = 1}),
  }
end

for name in pairs(objects()) do
  local function metatable() return getmetatable(objects()[name]) or {} end
  E["metatable of a " .. name] = function() metatable().__index = {} return metatable().__index == nil end
  E["metatable of a " .. name .. " by rawset"] = function() rawset(metatable(), "__tostring", print) return metatable().__tostring == print or nil end
  E["__index of a " .. name] = function()
    local index = metatable().__index
    if type(index) ~= "table" then return nil end
    index.evil = print
    return true
  end
  E["a " .. name .. ".__index"] = function()
    local index = objects()[name].__index
    if type(index) ~= "table" then return nil end
    index.evil = print
    return true
  end
  E["inner metatable of a " .. name] = function()
    return (is_inner(metatable()) or is_inner(metatable().__index)) or nil
  end
  E["fields of a " .. name .. "'s metatable"] = function()
    for _, value in pairs(metatable()) do
      if is_inner(value) then return value end
    end
  end
end
E["methods of a string"] = function()
  string.upper = function() return "evil" end
  return ("x"):upper() == "evil" or nil
end
E["a string's methods by its metatable"] = function()
  getmetatable("").__index.upper = function() return "evil" end
  return ("x"):upper() == "evil" or nil
end
E["an __index for strings"] = function() getmetatable("").__index = function() return print end return true end
E["setmetatable of a string"] = function() return setmetatable("", {}) end
E["a field of a tensor's class"] = function() pl.ones(1).methods.sum = print return true end
E["the class of a network"] = function()
  local net = nn.Linear(2, 2)
  getmetatable(net).forward = function() return "evil" end
  return nn.Linear(2, 2):forward(pl.ones(1, 2)) == "evil" or nil
end
E["__newindex of a class"] = function() return nn.Module.__newindex(string, "rep", print) or true end
E["train of a class"] = function() nn.Module.train(nn.Linear) return true end
E["apply of a class"] = function() nn.Module.apply(nn.Linear, function(m) m.evil = 1 end) return true end
E["a part made a module"] = function() return nn.module(nn.Linear) end
E["a view made a class's parent"] = function()
  local class = nn.class("Mine", nn.Linear)
  class.forward = function() return "mine" end
  return nn.Linear(2, 2):forward(pl.ones(1, 2)) == "mine" or nil
end
E["a class under the name of the library's"] = function()
  local class = nn.class "Linear"
  class.forward = function() return "mine" end
  pl.save("own", nn.Sequential {nn.Linear(2, 2)})
  return pl.load("own")(pl.ones(1, 2)) == "mine" or nil
end
E["setmetatable with a part"] = function()
  local t = setmetatable({}, string)
  return is_inner(getmetatable(t)) or nil
end
E["__metatable of one's own"] = function()
  return getmetatable(setmetatable({}, {__metatable = string})).evil
end
E["parts through pairs"] = function()
  for _, t in ipairs {pl, nn, string, pl.optim, pl.groups, pl.docs, _G, package.loaded} do
    for _, value in pairs(t) do
      if is_inner(value) then return value end
    end
  end
end
E["parts through next"] = function()
  local _, value = next(string)
  return value and is_inner(value) or nil
end
E["everything that can be reached"] = function()
  local paths, list = {}, {}
  local function add(value, from, key)
    if (type(value) == "table" or type(value) == "userdata") and not paths[value] then
      paths[value] = (paths[from] or "") .. "." .. tostring(key)
      list[#list + 1] = value
    end
  end
  add(_G, nil, "_G")
  add(package.loaded, nil, "loaded")
  for name, object in pairs(objects()) do add(object, nil, name) end
  while #list > 0 do
    local value = table.remove(list)
    if is_inner(value) then return paths[value] end
    add(getmetatable(value) or nil, value, "metatable")
    if type(value) == "table" then
      for key, inner in pairs(value) do add(key, value, "key") add(inner, value, key) end
    end
    for _, key in ipairs {"__index", "__metatable", "grad", "groups", "state"} do
      local ok, inner = pcall(function() return value[key] end)
      if ok then add(inner, value, key) end
    end
  end
end

--
-- Functions of the script that the library calls
--

E["arguments of what the library calls"] = function()
  local loot, now
  local function look(...)
    for i = 1, select("#", ...) do
      if is_inner((select(i, ...))) then loot = now end
    end
  end
  local spy = setmetatable({}, {__index = function(...) look(...) end, __len = function(...) look(...) return 1 end,
    __call = function(...) look(...) end, __pairs = function(...) look(...) return next, {} end,
    __tostring = function(...) look(...) return "spy" end, __newindex = look,
    __eq = function(...) look(...) return true end, __concat = function(...) look(...) return "" end,
    __name = "spy"})
  for name, f in pairs(pl) do
    now = name
    if type(f) == "function" then
      pcall(f, spy)
      pcall(f, spy, spy)
      pcall(f, look)
      pcall(f, pl.ones(2), spy)
    end
  end
  for _, part in ipairs {nn, pl.optim, pl.plot, pl.data, pl.learn, pl.image, pl.linalg, pl.help} do
    for name, f in pairs(part) do
      now = name
      pcall(f, spy)
      pcall(f, spy, spy)
      pcall(f, look, look)
    end
  end
  return loot
end
E["a class that a file names"] = function()
  local Holder = nn.class "Holder"
  local got
  function Holder:init(class) got = class self.layer = class(2, 2) end
  assert(pl.save("class", nn.Sequential {Holder(nn.Linear)}))
  got = nil
  assert(pl.load "class")
  return is_inner(got) or got ~= nn.Linear or nil
end
E["comparisons with what the library has"] = function()
  local loot
  local function look(a, b)
    if is_inner(a) or is_inner(b) then loot = true end
    return false
  end
  local compared <const> = setmetatable({class_name = "Linear"}, {__eq = look, __call = look})
  local by_metatable <const> = setmetatable({}, setmetatable({is_module = true, class_name = "Linear"},
    {__eq = look, __call = look}))
  for _, value in ipairs {compared, by_metatable} do
    pcall(pl.help.text, value)
    pcall(pl.save, "compared", {value})
    pcall(pl.save, "compared", value)
    pcall(pl.optim.new, {name = value, options = {lr = value}, step = look})
    pcall(pl.optim.StepLR, value, {step_size = value})
    pcall(pl.optim.Adam, {nn.parameter(pl.ones(1))}, {lr = value})
    pcall(getmetatable(objects().optimiser).__index, value, "step")
    pcall(objects().optimiser.step, value)
    pcall(nn.Module.parameters, value)
    pcall(objects().figure.save, value, "x.png")
  end
  return loot
end
E["results of what the library has"] = function()
  for _, part in ipairs {pl, nn, pl.optim, pl.plot, pl.data, pl.learn, pl.image, pl.linalg} do
    for name, f in pairs(part) do
      local ok, result = pcall(f, nn)
      if ok and is_inner(result) then return name end
      ok, result = pcall(f, nn.Linear, nn.Linear)
      if ok and is_inner(result) then return name end
      ok, result = pcall(f)
      if ok and is_inner(result) then return name end
    end
  end
end
E["error objects"] = function()
  for _, f in ipairs {pl.ones, nn.Linear, pl.load, pl.save, require, pl.optim.Adam} do
    local _, e = pcall(f, {}, {})
    if type(e) == "table" and (is_inner(e) or is_inner(getmetatable(e))) then return e end
  end
end
E["a message handler"] = function()
  local got
  xpcall(nn.Linear, function(e) got = e return e end, "x")
  return is_inner(got) or nil
end
E["tostring with a metatable of one's own"] = function()
  local got
  tostring(setmetatable({}, {__tostring = function(self) got = getmetatable(self) return "" end}))
  return is_inner(got) or nil
end
E["names that the library uses"] = function()
  local stolen
  local real <const> = {require = require, print = print, pcall = pcall, rawset = rawset, load = load,
                        setmetatable = setmetatable}
  for name in next, real do
    _G[name] = function(...)
      for _, value in ipairs {...} do
        if is_inner(value) then stolen = value end
      end
      return ...
    end
  end
  real.pcall(function() return pl.einsum("ij,jk->ik", pl.ones(2, 2), pl.ones(2, 2)), pl.nosuch end)
  real.pcall(pl.nn.Sequential, 1)
  for name, f in next, real do _G[name] = f end
  return stolen
end

return E
