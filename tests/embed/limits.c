/*
** limits.c: what a host's scripts may use. Scripts that will not end, each in its way, are ended by the
** limit that they run into, whatever they do about errors, and the host goes on.
**
** usage: limits [TIMES]   with a number: each limit is reached so many times, and memory must stay flat
*/
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "sanitized.h"

static pl_host *open_limited(const pl_limits *limits) {
  const pl_host_options o = {.size = sizeof o, .write = collect, .limits = limits};
  return pl_host_open(&o);
}

static pl_host *open_host(void) { return open_limited(NULL); }

static const pl_limits short_time = {.size = sizeof short_time, .seconds = 0.05};
static const pl_limits little_memory = {
    .size = sizeof little_memory, .bytes = 48 << 20, .seconds = 60};
static const pl_limits few_instructions = {.size = sizeof few_instructions, .instructions = 300000};
static const pl_limits few_files = {.size = sizeof few_files, .files = 8, .seconds = 60};
static const pl_limits little_depth = {.size = sizeof little_depth, .depth = 100, .seconds = 60};
static const pl_limits little_output = {.size = sizeof little_output, .output = 10000};

typedef struct {
  const pl_limits *limits;
  pl_status code;
  const char *script;
} bomb;

/* Each is run with `pl` and a tensor `x` at hand. */
static const bomb bombs[] = {
    {&short_time, PL_ERROR_DEADLINE, "while true do end"},
    {&short_time, PL_ERROR_DEADLINE, "while true do pcall(function() while true do end end) end"},
    {&short_time, PL_ERROR_DEADLINE, "local function f() return f() end f()"},
    {&short_time, PL_ERROR_DEADLINE, "while true do pcall(error) end"},
    {&short_time, PL_ERROR_DEADLINE, "repeat local ok = pcall(string.rep) until ok"},
    {&short_time, PL_ERROR_DEADLINE,
     "local f = coroutine.wrap(function() while true do end end) while true do pcall(f) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "while true do coroutine.wrap(function() coroutine.wrap(function() while true do end end)() "
     "end)() end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local function nest() pcall(coroutine.wrap(nest)) while true do end end nest()"},
    {&short_time, PL_ERROR_DEADLINE,
     "local co = coroutine.create(function() local c <close> = setmetatable({}, {__close =\n"
     "function() while true do end end}) coroutine.yield() end)\n"
     "coroutine.resume(co) coroutine.close(co)"},
    {&short_time, PL_ERROR_DEADLINE,
     "while true do local c <close> = setmetatable({}, {__close = function() while true do end\n"
     "end}) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local function again() local c <close> = setmetatable({}, {__close = again}) while true do\n"
     "end end again()"},
    {&short_time, PL_ERROR_DEADLINE,
     "xpcall(function() while true do end end, function() while true do end end)"},
    {&short_time, PL_ERROR_DEADLINE,
     "while true do xpcall(error, function() while true do end end) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "coroutine.wrap(function() xpcall(coroutine.yield, function() while true do end end)\n"
     "while true do end end)() local t = setmetatable({}, {__index = function(t, k)\n"
     "return t[k + 1] end}) while true do pcall(function() return t[1] end) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "error(setmetatable({}, {__tostring = function() while true do end end}))"},
    {&short_time, PL_ERROR_DEADLINE, "load(function() while true do end end)"},
    {&short_time, PL_ERROR_DEADLINE, "table.sort({3, 2, 1}, function() while true do end end)"},
    {&short_time, PL_ERROR_DEADLINE,
     "('x'):gsub('x', function() while true do pcall(function() while true do end end) end end)"},
    {&short_time, PL_ERROR_DEADLINE, "while true do pcall(string.rep, '', 1 << 50) end"},
    {&short_time, PL_ERROR_DEADLINE, "table.move({}, 1, 1 << 50, 2)"},
    {&short_time, PL_ERROR_DEADLINE,
     "table.concat(setmetatable({}, {__index = function() return '' "
     "end}), '', 1, 1 << 50)"},
    {&short_time, PL_ERROR_DEADLINE,
     "table.insert(setmetatable({}, {__len = function() return 1 << 50 end}), 1, 1)"},
    {&short_time, PL_ERROR_DEADLINE, "(('a'):rep(60000)):find(('.-'):rep(8) .. 'b')"},
    {&short_time, PL_ERROR_DEADLINE, "(('a'):rep(3000)):gsub('(.-)(.-)(.-)(.-)b', 'x')"},
    {&short_time, PL_ERROR_DEADLINE, "load(function() return ' ' end)"},
    {&short_time, PL_ERROR_DEADLINE, "while true do x:matmul(x) end"},
    {&short_time, PL_ERROR_DEADLINE, "while true do pcall(x.matmul, x, x) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "pl.tidy(function() while true do pcall(pl.add, x, x) end end)"},
    {&short_time, PL_ERROR_DEADLINE,
     "while true do pcall(pl.no_grad, pl.tidy, function() while true do end end) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local f = pl.custom(function(c, a) return a * 2 end, function() while true do end end)\n"
     "local w = pl.ones(2):requires_grad_()\n"
     "while true do pcall(function() f(w):sum():backward() end) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local net = pl.nn.module {forward = function(self, a) while true do end end, extra =\n"
     "function() while true do end end} while true do pcall(net, x) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "require('perilune.core').handle_interrupts() while true do\n"
     "require('perilune.core').clear_interrupt() end"},
    {&short_time, PL_ERROR_DEADLINE,
     "debug.sethook = debug.sethook or function() end debug.sethook() while true do end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local r = debug.getinfo(1, 'f').func or coroutine.resume\n"
     "while true do r(coroutine.create(function() while true do end end)) end"},

    {&little_memory, PL_ERROR_BYTES, "local t = {} while true do t[#t + 1] = {} end"},
    {&little_memory, PL_ERROR_BYTES, "local s = 'x' while true do s = s .. s end"},
    {&little_memory, PL_ERROR_BYTES, "while true do pcall(string.rep, 'x', 1 << 26) end"},
    {&little_memory, PL_ERROR_BYTES,
     "local t = {} for i = 1, 1e9 do t[i] = tostring(i) .. ('y'):rep(1000) end"},
    {&little_memory, PL_ERROR_BYTES,
     "local t = {} while true do t[#t + 1] = pl.ones(1000, 100) end"},
    {&little_memory, PL_ERROR_BYTES, "while true do pcall(pl.ones, 100000, 1000) end"},
    {&little_memory, PL_ERROR_BYTES,
     "pl.memory_limit(0) while true do pcall(pl.ones, 1 << 30) end"},
    {&little_memory, PL_ERROR_BYTES,
     "local t = {} while true do t[#t + 1] = pl.ones(1):expand(1) end"},
    {&little_memory, PL_ERROR_BYTES, "x:requires_grad_() while true do x = x + 1 end"},
    {&little_memory, PL_ERROR_BYTES,
     "local t = {} while true do pcall(function() while true do t[#t + 1] = ('z'):rep(#t) end "
     "end)\n"
     "end"},
    {&little_memory, PL_ERROR_BYTES,
     "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end"},
    {&little_memory, PL_ERROR_BYTES, "pl.json_decode('[' .. ('1,'):rep(1000000) .. '1]')"},
    {&little_memory, PL_ERROR_BYTES,
     "local t = {} for i = 1, 600000 do t[i] = i end pl.json_encode(t)"},
    {&short_time, PL_ERROR_DEADLINE,
     "local t = pl.ones(1):expand(1 << 40) while true do\n"
     "pcall(t.allclose, t, t) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local t = pl.ones(1):expand(1 << 40)\n"
     "pcall(pl.all, t) pcall(pl.nonzero, t) while true do end"},
    {&short_time, PL_ERROR_DEADLINE, "os.date(('%Ec'):rep(1 << 24))"},
    {&short_time, PL_ERROR_DEADLINE,
     "local t = {} for i = 1, 9000 do t[i] = 1e300 end while true do\n"
     "string.format(('%99.99f'):rep(9000), table.unpack(t)) end"},
    {&short_time, PL_ERROR_DEADLINE,
     "local s, f = ('x'):rep(1 << 24), io.tmpfile() while true do f:seek('set')\n"
     "f:write(s, s, s, s, s, s, s, s) end"},
    {&little_memory, PL_ERROR_BYTES,
     "while true do pcall(pl.tensor, {0, dtype = 'real'}) "
     "pcall(pl.zeros, 1 << 20, 1 << 10) end"},

    {&few_instructions, PL_ERROR_INSTRUCTIONS, "while true do end"},
    {&few_instructions, PL_ERROR_INSTRUCTIONS,
     "while true do pcall(function() while true do end end) end"},
    {&few_instructions, PL_ERROR_INSTRUCTIONS,
     "while true do pcall(coroutine.wrap(function() for i = 1, 1000 do end end)) end"},
    {&few_instructions, PL_ERROR_INSTRUCTIONS,
     "local f = coroutine.wrap(function() while true do coroutine.yield() end end)\n"
     "while true do f() end"},

    {&little_output, PL_ERROR_OUTPUT, "while true do print('x') end"},
    {&little_output, PL_ERROR_OUTPUT, "while true do pcall(print, 'x') end"},
    {&little_output, PL_ERROR_OUTPUT, "while true do pcall(io.write, ('x'):rep(99)) end"},
    {&little_output, PL_ERROR_OUTPUT, "while true do io.stderr:write('x') end"},
    {&little_output, PL_ERROR_OUTPUT, "io.write(('x'):rep(20000))"},

    {&few_files, PL_ERROR_FILES, "local t = {} while true do t[#t + 1] = io.open '/dev/null' end"},
    {&few_files, PL_ERROR_FILES,
     "local t = {} while true do pcall(function()\n"
     "t[#t + 1] = io.open '/dev/null' end) end"},
    {&few_files, PL_ERROR_FILES, "local t = {} while true do t[#t + 1] = io.lines '/dev/null' end"},
    {&few_files, PL_ERROR_FILES, "local t = {} while true do t[#t + 1] = io.popen 'true' end"},
    {&few_files, PL_ERROR_FILES, "local t = {} while true do t[#t + 1] = io.tmpfile() end"},
    {&few_files, PL_ERROR_FILES,
     "local t = {} while true do io.input '/dev/null' t[#t + 1] = io.input() end"},
    {&few_files, PL_ERROR_FILES,
     "local t = {} while true do io.output '/dev/null' t[#t + 1] = io.output() end"},
    {&few_files, PL_ERROR_FILES,
     "local path = os.tmpname() .. '.npy' pl.save(path, pl.ones(20)) local t = {}\n"
     "while true do t[#t + 1] = pl.data.npy(path, {map = true}) end"},
    {&few_files, PL_ERROR_FILES,
     "local path = os.tmpname() pl.write_file(path, 'a,b\\n1,2\\n3,4\\n') local t = {}\n"
     "while true do local f, s = assert(pl.data.csv_rows(path, {target = 'b'})) f(s) t[#t + 1] = f "
     "end"},

    {&little_depth, PL_ERROR_DEPTH, "local function f() return 1 + f() end f()"},
    {&little_depth, PL_ERROR_DEPTH,
     "local function f() return 1 + f() end while true do pcall(f) end"},
    {&little_depth, PL_ERROR_DEPTH, "local function f() pcall(f) end f() while true do end"},
    {&little_depth, PL_ERROR_DEPTH, "local function f() coroutine.wrap(f)() end f()"},
    {&little_depth, PL_ERROR_DEPTH,
     "local function g() return 1 + g() end local function f(n)\n"
     "if n == 0 then g() end coroutine.wrap(f)(n - 1) end f(20)"},
    {&little_depth, PL_ERROR_DEPTH,
     "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]"},
    {&little_depth, PL_ERROR_DEPTH,
     "local t = setmetatable({}, {}) getmetatable(t).__tostring = function() return tostring(t) "
     "end\ntostring(t)"},
    {&little_depth, PL_ERROR_DEPTH, "local function f() return ('x'):gsub('x', f) end f()"},
    {&little_depth, PL_ERROR_DEPTH,
     "local function f() return 1 + f() end pcall(f, table.unpack({}, 1, 200000)) f()"},
    {&little_depth, PL_ERROR_DEPTH,
     "local M = pl.nn.class 'M' function M:forward(a) local b = self(a) return b end M()(x)"},
    {&little_depth, PL_ERROR_DEPTH, "local function f() return 1 + pl.tidy(f) end f()"},
};

static const char beginning[] =
    "pl = require 'perilune' pl.threads(1) x = pl.ones(30, 30) collectgarbage()";
static const char ordinary[] =
    "local w = pl.ones(3):requires_grad_(); (w * w):sum():backward()\n"
    "assert(w.grad:sum():item() == 6 and select('#', pcall(error)) == 2) print 'x'";

static bool ends(pl_host *h, const bomb *b) {
  const bool ran = pl_host_run_string(h, b->script, "=bomb");
  if (!ran && pl_host_error_code(h) == b->code && !pl_host_interrupted(h)) return true;
  printf("%s\n  ended %s, %d: %s\n", b->script, ran ? "well" : "badly", pl_host_error_code(h),
         ran ? "" : pl_host_error(h));
  return false;
}

static bool is_late(pl_host *h, const char *code) {
  return !pl_host_run_string(h, code, "=t") && pl_host_error_code(h) == PL_ERROR_DEADLINE;
}

static void test_bombs(void) {
  for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
    const pl_limits wide = {.size = sizeof wide, .seconds = 60};
    pl_host *h = open_limited(&wide);
    pl_host_run_string(h, beginning, "=beginning");
    check(pl_host_limit(h, bombs[i].limits), "a limit is set");
    check(ends(h, &bombs[i]), "it is reached");
    lua_pushnil(pl_host_lua(h)); /* what fills a host to the brim has to go first */
    lua_setglobal(pl_host_lua(h), "x");
    lua_gc(pl_host_lua(h), LUA_GCCOLLECT);
    const bool well = pl_host_run_string(h, ordinary, "=ordinary");
    check(well, "and the host goes on");
    if (!well) printf("%s\n%s\n", bombs[i].script, pl_host_error(h));
    pl_host_close(h);
  }
}

/* What does not reach them does not meet them. */
static void test_within(void) {
  const pl_limits wide = {sizeof wide, 256 << 20,  100,         100000000,
                          1 << 20,     .files = 4, .depth = 150};
  pl_host *h = open_host();
  check(pl_host_limit(h, &wide) && pl_host_run_string(h, beginning, "=t") &&
            pl_host_run_string(h, ordinary, "=t"),
        "wide limits");
  for (int i = 0; i < 20; i++) /* each of these alone is within, and leaves garbage */
    check(pl_host_run_string(h, "local y = pl.ones(10 << 20) for i = 1, 1000000 do end", "=t"),
          "are of a run");
  check(
      pl_host_run_string(h,
                         "local a = xpcall(error, function(m) return m .. '!' end, 'x')\n"
                         "local b, c = xpcall(error, function(m) return m .. '!' end, 'x')\n"
                         "assert(not a and c == 'x!')\n"
                         "assert(select(2, xpcall(function(...) return ... end, print, 7)) == 7)\n"
                         "assert(coroutine.wrap(function() return select(2, xpcall(function(n)\n"
                         "  return coroutine.yield() + n end, print, 1)) end)() == nil)",
                         "=t"),
      "xpcall is xpcall");
  check(!pl_host_run_string(h, "setmetatable({}, {__gc = true})", "=t") &&
            strstr(pl_host_error(h), "__close"),
        "there are no finalizers");
  check(pl_host_limit(h, NULL), "limits end");
  pl_host_close(h);
}

/* What a run holds open is closed, and may be opened again; what garbage holds too. */
static void test_files(void) {
  const pl_limits few = {.size = sizeof few, .files = 3};
  pl_host *h = open_limited(&few);
  check(pl_host_run_string(
            h,
            "local path = os.tmpname()\n"
            "local pl = require 'perilune'\n"
            "for i = 1, 20 do local f = io.open(path) end\n"
            "for i = 1, 20 do for _ in io.lines(path) do end end\n"
            "for i = 1, 20 do local f <close> = io.popen 'true' end\n"
            "for i = 1, 20 do assert(io.popen 'true':close()) end\n"
            "for i = 1, 20 do io.input(path) io.close(io.input()) end\n"
            "for i = 1, 20 do assert(pl.save(path, {pl.ones(2)}) and pl.load(path)) end\n"
            "local a, b, c = io.open(path), io.open(path), io.open(path)\n"
            "a:close() b:close() c:close()\n"
            "local ok, message = pcall(io.open, path, 'q')\n"
            "assert(message:find \"bad argument #2 to 'open' %(invalid mode\", message)\n"
            "ok, message = pcall(io.lines, '/nowhere')\n"
            "assert(message:find '/nowhere.*No such file', message)\n"
            "assert(select(3, io.popen 'exit 3':close()) == 3)\n"
            "os.remove(path)",
            "=files"),
        "files that are closed");
  if (pl_host_error_code(h)) printf("%s\n", pl_host_error(h));
  pl_host_close(h);
}

/* What stands in the place of Lua's own does what that does. */
static void test_stand_ins(void) {
  pl_host *h = open_limited(&(pl_limits){.size = sizeof(pl_limits), .seconds = 60});
  check(
      pl_host_run_string(
          h,
          "local path = os.tmpname()\n"
          "local f = io.open(path, 'w')\n"
          "assert(f:write('a', 1, 2.5, -0.0, 1 << 62, 'b') == f and f:close())\n"
          "assert(io.open(path):read 'a' == 'a12.5-04611686018427387904b')\n"
          "assert(not pcall(f.write, f, 'x') and not pcall(io.stdout.write, io.stdout, {}))\n"
          "io.output(path) assert(io.write('x', 1) == io.output()) io.close()\n"
          "local ok, message = pcall(io.write, 'x')\n"
          "assert(message:find 'default output file is closed', message) io.output(io.stdout)\n"
          "local ok, message = io.open(path):write 'x' assert(ok == nil and message)\n"
          "local long = ('%Y.%Ey'):rep(300)\n"
          "assert(os.date('!' .. long, 0) == os.date('!%Y.%Ey', 0):rep(300))\n"
          "assert(os.date(long, 0) == os.date('%Y.%Ey', 0):rep(300))\n"
          "assert(not pcall(os.date, long .. '%Q') and os.date('*t', 0).month)\n"
          "f = io.open(path, 'w') f:write('#!lua\\nreturn ..., _ENV') f:close()\n"
          "assert(select(2, loadfile(path, 't', {1})()) [1] == 1 and dofile(path) == nil)\n"
          "assert(not loadfile(path, 'b') and not loadfile '/nowhere' and not pcall(dofile, '/'))\n"
          "package.path = path:match '^.*/' .. '?' local name = path:match '[^/]*$'\n"
          "local value, where = require(name) assert(value == name and where == path)\n"
          "f = io.open(path, 'w') f:write('x x') f:close() package.loaded[name] = nil\n"
          "ok, message = pcall(require, name)\n"
          "assert(message:find('error loading module .*syntax error'), message)\n"
          "ok, message = pcall(require, 'not there')\n"
          "assert(message:find \"module 'not there' not found:\", message) os.remove(path)",
          "=stand-ins"),
      "functions that stand in for Lua's");
  if (pl_host_error_code(h)) printf("%s\n", pl_host_error(h));
  pl_host_close(h);
}

/* What waits for input waits no longer. */
static void test_waiting(void) {
  int ends[2];
  const int input = dup(0);
  pl_host *h = open_limited(&short_time);
  check(pipe(ends) == 0 && dup2(ends[0], 0) == 0, "an input without end");
  check(is_late(h, "while true do io.read(1) end"), "a deadline while it is read");
  dup2(input, 0);
  close(input), close(ends[0]), close(ends[1]);
  pl_host_close(h);
}

/* Files beside the script are found, and the path does not grow. */
static void test_path(void) {
  char path[] = "/tmp/perilune-XXXXXX", before[1024];
  const int fd = mkstemp(path);
  check(fd >= 0 && write(fd, "path = package.path", 19) == 19, "a script");
  pl_host *h = open_host();
  lua_State *L = pl_host_lua(h);
  for (int i = 0; i < 3; i++) {
    check(pl_host_run_file(h, path), "is run");
    lua_getglobal(L, "path");
    if (i == 0) snprintf(before, sizeof before, "%s", lua_tostring(L, -1));
    check(strncmp(lua_tostring(L, -1), "/tmp/?.lua;", 11) == 0, "what lies beside it is first");
    check(strcmp(lua_tostring(L, -1), before) == 0, "and there once");
    lua_pop(L, 1);
  }
  close(fd);
  unlink(path);
  pl_host_close(h);
}

/* The text itself takes memory and time. */
static void test_parsing(void) {
  enum { BYTES = 40 << 20 };
  const pl_limits little = {.size = sizeof little, .bytes = 8 << 20},
                  fast = {.size = sizeof fast, .seconds = 0.05};
  char *text = malloc(BYTES + 1);
  for (int i = 0; i < BYTES; i += 8) memcpy(text + i, "f{1,2}; ", 8);
  text[BYTES] = 0;
  pl_host *h = open_limited(&little);
  check(!pl_host_run_string(h, text, "=large") && pl_host_error_code(h) == PL_ERROR_BYTES &&
            strstr(pl_host_error(h), "limit of"),
        "a text that is too large for the limit of bytes");
  pl_host_close(h);
  h = open_limited(&fast);
  check(!pl_host_run_string(h, text, "=long") && pl_host_error_code(h) == PL_ERROR_DEADLINE &&
            strstr(pl_host_error(h), "limit of"),
        "one that takes too long to read");
  check(!pl_host_run_string(h, "x x", "=t") && pl_host_error_code(h) == PL_ERROR_SYNTAX,
        "and one that is no Lua");
  check(!pl_host_run_file(h, "/nowhere") && pl_host_error_code(h) == PL_ERROR_FILE,
        "and one that is not there");
  check(!pl_host_run_file(h, "/") && pl_host_error_code(h) == PL_ERROR_FILE, "or a folder");
  check(pl_host_run_string(h, "x = 1", "=t"), "and the host goes on");
  pl_host_close(h);
  free(text);
}

static void test_bad(void) {
  pl_host *h = open_host();
  const pl_limits unsized = {0}, negative = {.size = sizeof negative, .bytes = -1};
  check(!pl_host_limit(h, &unsized) && strstr(pl_host_error(h), "size"), "a size is needed");
  check(!pl_host_limit(h, &negative) && strstr(pl_host_error(h), "negative"), "nothing is below 0");
  pl_host_close(h);
}

/* A host within another ends by the deadline of the outer one. */
static int run_inner(lua_State *L) {
  pl_host *inner = open_host();
  const bool ok = pl_host_run_string(inner,
                                     "while true do pcall(function() while true do end end) "
                                     "end",
                                     "=inner");
  lua_pushboolean(L, !ok && pl_host_interrupted(inner));
  pl_host_close(inner);
  lua_setglobal(L, "interrupted");
  return 0;
}

static void test_nested(void) {
  pl_host *h = open_host();
  pl_host_limit(h, &short_time);
  lua_pushcfunction(pl_host_lua(h), run_inner);
  lua_setglobal(pl_host_lua(h), "run_inner");
  check(!pl_host_run_string(h, "run_inner()", "=t") && pl_host_error_code(h) == PL_ERROR_DEADLINE,
        "time is over for what runs within");
  check(pl_host_run_string(h, "assert(interrupted)", "=t"), "which is told");
  pl_host_close(h);
}

/* A script that goes on in the child of a fork has the time that was left, and a host that was idle its
 * own. */
static int fork_here(lua_State *L) {
  const pid_t child = fork();
  if (child == 0) alarm(20);
  return lua_pushboolean(L, child == 0), 1;
}

static void test_fork(void) {
  const pl_limits enough = {.size = sizeof enough,
                            .seconds = 1}; /* for a fork with all sanitizers */
  const pid_t parent = getpid();
  int status = 1;
  pl_host *h = open_limited(&enough), *idle = open_limited(&short_time);
  check(is_late(idle, "while true do end"), "time is over before the fork");
  lua_register(pl_host_lua(h), "fork_here", fork_here);
  bool late = is_late(h, "if fork_here() then while true do pcall(error) end end");
  if (getpid() != parent) {
    late = late && is_late(idle, "while true do end") && is_late(h, "while true do end");
    _exit(late && is_late(idle, "while true do end") ? 0 : 1);
  }
  check(!late, "the parent goes on");
  wait(&status);
  check(status == 0, "time is over in the child of a fork");
  pl_host_close(idle);
  pl_host_close(h);
}

static long pages(void) {
  long all = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2) resident = 0;
  if (f) fclose(f);
  return resident;
}

/* One bomb of each kind, again and again, in one host. */
static void test_often(int times) {
  const pl_limits limits[] = {
      {.size = sizeof *limits, .seconds = 0.001},     {.size = sizeof *limits, .bytes = 24 << 20},
      {.size = sizeof *limits, .instructions = 3000}, {.size = sizeof *limits, .output = 100},
      {.size = sizeof *limits, .files = 3},           {.size = sizeof *limits, .depth = 50}};
  static const pl_status codes[] = {PL_ERROR_DEADLINE, PL_ERROR_BYTES, PL_ERROR_INSTRUCTIONS,
                                    PL_ERROR_OUTPUT,   PL_ERROR_FILES, PL_ERROR_DEPTH};
  static const char *const scripts[] = {"while true do pcall(error) end",
                                        "pl.ones(1 << 24)",
                                        "while true do end",
                                        "while true do print 'x' end",
                                        "local t = {} while true do t[#t + 1] = io.open '/' end",
                                        "local function f() pcall(f) end f()"};
  enum { N = sizeof limits / sizeof *limits };
  pl_host *h = open_host();
  pl_host_run_string(h, beginning, "=beginning");
  long before = 0;
  bool ok = true;
  for (int i = 0; i < times && ok; i++) {
    for (int k = 0; k < N && ok; k++) {
      pl_host_limit(h, &limits[k]);
      ok = !pl_host_run_string(h, scripts[k], "=often") && pl_host_error_code(h) == codes[k];
    }
    if (i == times / 2) before = pages();
  }
  check(ok, "each limit, often");
  if (!SANITIZED) check(pages() - before < 256, "in flat memory");
  printf("%d times, %ld pages more in the second half\n", times, pages() - before);
  pl_host_close(h);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    test_often(atoi(argv[1]));
  } else {
    test_bombs();
    test_within();
    test_files();
    test_parsing();
    test_stand_ins();
    test_path();
    test_waiting();
    test_bad();
    if (!THREADS_SANITIZED) test_nested();
    if (!THREADS_SANITIZED) test_fork();
    test_often(30);
  }
  return count();
}
