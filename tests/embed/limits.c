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
  const pl_limits wide = {sizeof wide, 256 << 20, 100, 100000000, 1 << 20};
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

static long pages(void) {
  long all = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld %ld", &all, &resident) != 2) resident = 0;
  if (f) fclose(f);
  return resident;
}

/* One bomb of each kind, again and again, in one host. */
static void test_often(int times) {
  const pl_limits limits[] = {{.size = sizeof *limits, .seconds = 0.001},
                              {.size = sizeof *limits, .bytes = 24 << 20},
                              {.size = sizeof *limits, .instructions = 3000},
                              {.size = sizeof *limits, .output = 100}};
  static const char *const scripts[] = {"while true do pcall(error) end", "pl.ones(1 << 24)",
                                        "while true do end", "while true do print 'x' end"};
  pl_host *h = open_host();
  pl_host_run_string(h, beginning, "=beginning");
  long before = 0;
  bool ok = true;
  for (int i = 0; i < times && ok; i++) {
    for (int k = 0; k < 4 && ok; k++) {
      pl_host_limit(h, &limits[k]);
      ok = !pl_host_run_string(h, scripts[k], "=often") &&
           pl_host_error_code(h) == (pl_status)(k == 0   ? PL_ERROR_DEADLINE
                                                : k == 1 ? PL_ERROR_BYTES
                                                : k == 2 ? PL_ERROR_INSTRUCTIONS
                                                         : PL_ERROR_OUTPUT);
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
    test_bad();
    if (!THREADS_SANITIZED) test_nested();
    test_often(30);
  }
  return count();
}
