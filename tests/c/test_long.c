/*
** test_long.c: Lua's own functions that can run long (src/host/long): they do what the stock ones do,
** and stop when they are asked to, without a leak.
**
** usage: test_long long_calls.lua [CALLS [SEED]]   compares CALLS drawn calls, 20,000 as a rule
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "long/long.h"
#include "perilune.h"

static const char *calls_path;
static int calls = 20000, first_seed = 1;

/*
** The same as the stock ones
*/

/* A state with the function of long_calls.lua on its stack. */
static lua_State *open_calls(int anew) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (anew) pl_long_install(L);
  if (luaL_dofile(L, calls_path)) fail_msg("%s", lua_tostring(L, -1));
  return L;
}

/* The text is the test's until the next call. */
static char *outcome(lua_State *L, int k, size_t *n) {
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, first_seed);
  lua_pushinteger(L, k);
  if (lua_pcall(L, 2, 1, 0)) fail_msg("call %d: %s", k, lua_tostring(L, -1));
  return (char *)lua_tolstring(L, -1, n);
}

/* Addresses are not the same; they have twelve digits. */
static void blank_addresses(char *text, size_t n) {
  static const char digits[] = "0123456789abcdef";
  for (char *p = text; (p = memmem(p, n - (size_t)(p - text), "0x", 2)); p += 2)
    if (strspn(p + 2, digits) >= 12) memset(p + 2, '?', 12);
}

static void show(const char *who, const char *text, size_t n) {
  printf("%s: ", who);
  for (size_t i = 0; i < n; i++)
    if (text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~')) putchar(text[i]);
    else printf("\\%03d", (unsigned char)text[i]);
  putchar('\n');
}

static void same_as_stock(void **state) {
  lua_State *stock = open_calls(0), *anew = open_calls(1);
  int different = 0;
  (void)state;
  for (int k = 1; k <= calls; k++) {
    size_t n, m;
    char *expected = outcome(stock, k, &n), *got = outcome(anew, k, &m);
    blank_addresses(expected, n);
    blank_addresses(got, m);
    if (n == m && memcmp(expected, got, n) == 0) continue;
    if (different++ >= 10) continue;
    printf("call %d\n", k);
    show("stock", expected, n);
    show("anew", got, m);
  }
  lua_close(stock);
  lua_close(anew);
  assert_int_equal(different, 0);
}

/*
** Stopping
*/

/* A sanitizer makes some loops 20 times slower. */
enum { WAIT_MS = 20, BOUND_MS = 400, LIMIT_MB = 512 };

/* An allocator that counts, and refuses from LIMIT_MB on. */
static void *counted(void *user, void *p, size_t old, size_t size) {
  size_t *bytes = user;
  if (!p) old = 0;
  if (size > old && *bytes + size - old > (size_t)LIMIT_MB << 20) return NULL;
  if (size == 0) {
    *bytes -= old;
    free(p);
    return NULL;
  }
  void *q = realloc(p, size);
  if (q) *bytes += size - old;
  return q;
}

typedef struct {
  pl_context *context;
  clockid_t clock; /* the processor time of the thread that works */
  double at;
} request;

static double milliseconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void *ask(void *user) {
  request *r = user;
  nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000}, NULL);
  r->at = milliseconds(r->clock);
  pl_context_interrupt(r->context);
  return NULL;
}

/* What is tried: code that comes first, and code that never ends, or not for long. `a` is a megabyte. */
static const struct {
  const char *name, *before, *code;
} kinds[] = {
    {"rep", "", "while true do ('x'):rep(1 << 22) end"},
    {"rep of a long text", "", "while true do a:rep(4) end"},
    {"rep with separator", "", "while true do ('x'):rep(1 << 20, ', ') end"},
    {"find by trying all", "", "a:find(('.-'):rep(20) .. 'b')"},
    {"find of a long set", "local p = '[' .. ('b'):rep(1 << 20) .. ']'", "a:find(p)"},
    {"find of plain text", "local p = ('a'):rep(1 << 19) .. 'b'",
     "while true do a:find(p, 1, true) end"},
    {"find of a capture again", "", "a:find('(.+)%1b')"},
    {"find of what balances", "", "a:find('%bab')"},
    {"find of a frontier", "local p = '%f[' .. ('b'):rep(1 << 20) .. ']'", "a:find(p)"},
    {"find with captures", "", "a:find('(a*)(a*)(a*)(a*)b')"},
    {"find with options", "", "a:find(('a?'):rep(100) .. ('a'):rep(100) .. 'b')"},
    {"match", "", "a:match('^(a-)(a-)(a-)(a-)b')"},
    {"match of a long pattern", "local p = a .. 'b*'", "while true do a:match(p) end"},
    {"gmatch", "", "for x in a:gmatch('.-.-.-b') do end"},
    {"gmatch of nothing", "", "while true do for x in a:gmatch('()b') do end end"},
    {"gsub", "", "while true do a:gsub('a', 'b') end"},
    {"gsub by a function", "", "while true do a:gsub('a', rawlen) end"},
    {"gsub by a table", "local t = setmetatable({}, {__index = rawequal})",
     "while true do a:gsub('', t) end"},
    {"gsub by a long text", "local r = ('%0'):rep(1 << 20)",
     "while true do ('a'):gsub('a', r) end"},
    {"format", "local f = ('%%'):rep(1 << 20)", "while true do f:format() end"},
    {"format %q", "", "while true do ('%q'):format(a) end"},
    {"byte", "", "while true do a:byte(1, 900000) end"},
    {"upper", "", "while true do a:upper() end"},
    {"lower", "", "while true do a:lower() end"},
    {"reverse", "", "while true do a:reverse() end"},
    {"dump", "local f = load(('x = 1 '):rep(1 << 16))", "while true do string.dump(f) end"},
    {"pack", "local f = (' '):rep(1 << 20)", "while true do string.pack(f) end"},
    {"pack of padding", "", "while true do string.pack('c' .. (1 << 22), '') end"},
    {"pack of values", "local f = ('b'):rep(100000) local t = {f:byte(1, -1)}",
     "while true do string.pack(f, table.unpack(t)) end"},
    {"unpack", "local f = (' '):rep(1 << 20)", "while true do string.unpack(f, '') end"},
    {"packsize", "local f = ('x'):rep(1 << 20)", "while true do string.packsize(f) end"},
    {"concat", "", "table.concat(setmetatable({}, {__index = rawlen}), '', 1, 1 << 50)"},
    {"concat of nothing", "",
     "table.concat(setmetatable({}, {__index = table.concat}), '', 1, 1 << 50)"},
    {"sort by an order that lies", "local t = {} for i = 1, 100000 do t[i] = i end",
     "while true do table.sort(t, function() return false end) end"},
    {"sort of a huge table", "",
     "table.sort(setmetatable({}, {__index = rawlen, __newindex = rawequal,"
     " __len = function() return (1 << 31) - 2 end}))"},
    {"move", "", "table.move({}, 1, 1 << 50, 2)"},
    {"move downwards", "", "table.move({}, 2, 1 << 50, 1)"},
    {"move by metamethods", "local t = setmetatable({}, {__index = rawlen, __newindex = rawequal})",
     "table.move(t, 1, 1 << 50, 2)"},
    {"insert", "", "table.insert(setmetatable({}, {__len = long}), 1, 1)"},
    {"remove", "", "table.remove(setmetatable({}, {__len = long}), 1)"},
    {"unpack of a table", "", "while true do table.unpack({}, 1, 900000) end"},
    {"pack of a table", "local t = {} for i = 1, 300000 do t[i] = 1 end",
     "while true do table.pack(table.unpack(t)) end"},
    {"utf8.len", "", "while true do utf8.len(a) end"},
    {"utf8.codepoint", "", "while true do utf8.codepoint(a, 1, 900000) end"},
    {"utf8.offset", "", "while true do utf8.offset(a, 1 << 50) end"},
    {"utf8.offset backwards", "", "while true do utf8.offset(a, -(1 << 50)) end"},
    {"utf8.offset without beginning", "local c = ('\x80'):rep(1 << 20)",
     "while true do utf8.offset(c, 0, #c) end"},
    {"utf8.codes", "local c = ('\x80'):rep(1 << 20)",
     "while true do for _ in utf8.codes(c) do end end"},
    {"utf8.char", "local t = {} for i = 1, 300000 do t[i] = 0x20AC end",
     "local function f(...) while true do utf8.char(...) end end f(table.unpack(t))"},
    {"load", "local c = ('x = 1 '):rep(1 << 18)", "while true do load(c) end"},
    {"load of a long string", "local c = 'return \"' .. a .. '\"'", "while true do load(c) end"},
    {"load of blanks", "local function f() return '  ' end", "load(f)"},
    {"load by a C function", "local c = (' '):rep(1 << 25)", "load(c:gmatch('.'))"},
    {"load of names in functions in functions",
     "local t = {} for i = 1, 190 do local v = {} for j = 1, 195 do v[j] = 'v' .. i .. '_' .. j end"
     " t[i] = 'local ' .. table.concat(v, ',') .. ' local function f() ' end"
     " local c = table.concat(t) .. ('x=y '):rep(1 << 20)",
     "while true do load(c) end"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Leaves the function that is stopped on the stack. */
static void prepare(lua_State *L, int kind) {
  luaL_openlibs(L);
  pl_long_install(L);
  lua_pushfstring(
      L, "a = ('a'):rep(1 << 20) function long() return 1 << 50 end %s return function() %s end",
      kinds[kind].before, kinds[kind].code);
  if (luaL_dostring(L, lua_tostring(L, -1)))
    fail_msg("%s: %s", kinds[kind].name, lua_tostring(L, -1));
}

/* How many milliseconds the function on the stack worked on after it was asked to stop. */
static double stop(lua_State *L, pl_context *context, const char *name) {
  pthread_t thread;
  request r = {.context = context};
  assert_int_equal(pthread_getcpuclockid(pthread_self(), &r.clock), 0);
  assert_int_equal(pthread_create(&thread, NULL, ask, &r), 0);
  const int status = lua_pcall(L, 0, 0, 0);
  const double end = milliseconds(r.clock);
  pthread_join(thread, NULL);
  pl_interrupt_clear();
  if (status == LUA_OK) fail_msg("%s ended by itself", name);
  if (!strstr(lua_tostring(L, -1), "interrupted!")) fail_msg("%s: %s", name, lua_tostring(L, -1));
  return end - r.at;
}

static double stop_kind(int kind) {
  size_t bytes = 0;
  pl_context *context = pl_context_open(), *outer = pl_context_enter(context);
  lua_State *L = lua_newstate(counted, &bytes);
  prepare(L, kind);
  const double ms = stop(L, context, kinds[kind].name);
  if (luaL_dostring(L, "assert(('abc'):gsub('b', {b = 'x'}) == 'axc')"))
    fail_msg("%s", lua_tostring(L, -1));
  lua_close(L);
  assert_int_equal(bytes, 0);
  pl_context_enter(outer);
  pl_context_close(context);
  return ms;
}

static void stops(void **state) {
  int worst = 0;
  double ms[KINDS];
  (void)state;
  for (int i = 0; i < KINDS; i++) {
    ms[i] = stop_kind(i);
    if (getenv("LONG_VERBOSE")) printf("%8.3f ms  %s\n", ms[i], kinds[i].name);
    if (ms[i] > ms[worst]) worst = i;
  }
  printf("# %d kinds of long calls; the longest worked on for %.2f ms: %s\n", KINDS, ms[worst],
         kinds[worst].name);
  assert_true(ms[worst] < BOUND_MS);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_stock), cmocka_unit_test(stops)};
  if (argc < 2) return fprintf(stderr, "usage: test_long long_calls.lua [CALLS [SEED]]\n"), 2;
  calls_path = argv[1];
  if (argc > 2) calls = atoi(argv[2]);
  if (argc > 3) first_seed = atoi(argv[3]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
