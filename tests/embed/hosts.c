/*
** hosts.c: many hosts in one program: on threads at the same time, within each other, moved from
** thread to thread; and contexts without hosts. What one does, no other sees. Through the public
** headers alone.
*/
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { HOSTS = 4, ROUNDS = 3 };

static pl_host *open_host(output *o) {
  o->text[0] = 0;
  return pl_host_open(
      &(pl_host_options){.size = sizeof(pl_host_options), .write = collect, .user = o});
}

static bool run(pl_host *h, const char *code) {
  const bool ok = pl_host_run_string(h, code, "=hosts");
  if (!ok && strstr(code, "-- must work")) printf("%s\n", pl_host_error(h));
  return ok;
}

/*
** Threads at the same time
*/

static const char training[] =
    "local pl = require 'perilune' -- must work\n"
    "pl.threads(1)\n"
    "pl.manual_seed(7)\n"
    "local nn = pl.nn\n"
    "local net = nn.Sequential {nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),\n"
    "  nn.Linear(36, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 3)}\n"
    "local x, y = pl.randn(24, 1, 8, 8), pl.randint(1, 3, 24)\n"
    "local optimizer = pl.optim.Adam(net:parameters(), {lr = 0.01})\n"
    "for step = 1, 30 do\n"
    "  pl.tidy(function()\n"
    "    optimizer:zero_grad()\n"
    "    local loss = pl.cross_entropy(net(x), y)\n"
    "    loss:backward()\n"
    "    optimizer:step()\n"
    "    if step % 10 == 0 then print(string.format('%a', loss:item())) end\n"
    "  end)\n"
    "end\n"
    "for _, p in ipairs(net:parameters()) do print(string.format('%a', p:detach():sum():item())) "
    "end\n"
    "print(pl.random_state().counter)\n";

/* Opens, trains and closes. */
static void *train(void *result) {
  pl_host *h = open_host(result);
  if (!h || !run(h, training)) strcpy(((output *)result)->text, "failed");
  pl_host_close(h);
  return NULL;
}

static void run_threads(int n, void *(*f)(void *), void *arguments, size_t size) {
  pthread_t thread[HOSTS];
  for (int i = 0; i < n; i++)
    pthread_create(&thread[i], NULL, f, (char *)arguments + (size_t)i * size);
  for (int i = 0; i < n; i++) pthread_join(thread[i], NULL);
}

static void test_same_bits(void) {
  static output alone, together[HOSTS];
  train(&alone);
  check(strlen(alone.text) > 100, "a training run says what it found");
  bool equal = true;
  for (int round = 0; round < ROUNDS; round++) {
    run_threads(HOSTS, train, together, sizeof *together);
    for (int i = 0; i < HOSTS; i++) equal = equal && !strcmp(together[i].text, alone.text);
  }
  check(equal, "four threads train to the bits of one");
}

/* One thread, many hosts, used in turn: one that is in no_grad, one that failed. */
static void test_apart(void) {
  output o[2];
  pl_host *a = open_host(&o[0]), *b = open_host(&o[1]);
  check(run(a,
            "pl = require 'perilune'; pl.manual_seed(1) -- must work\n"
            "pl.set_print {precision = 1}"),
        "a begins");
  check(run(b, "pl = require 'perilune'; pl.manual_seed(1) -- must work"), "b begins");
  check(!run(a,
             "pl.no_grad(function() pl.tidy(function() return pl.ones(2) + pl.ones(3) end) end)") &&
            strstr(pl_host_error(a), "add"),
        "a fails");
  check(!pl_host_error(b) && !pl_error(), "b and the program do not know");
  run(a, "print(pl.rand(1):item()) -- must work");
  run(b,
      "pl.rand(100); pl.manual_seed(1) -- must work\n"
      "print(pl.rand(1):item())");
  check(!strcmp(o[0].text, o[1].text), "each has its stream of random numbers");
  o[0].text[0] = o[1].text[0] = 0;
  run(a, "print(pl.tensor {1.23456}) -- must work");
  run(b, "print(pl.tensor {1.23456}) -- must work");
  check(strstr(o[0].text, "1.2]") && strstr(o[1].text, "1.2346]"), "each has its way to print");
  run(b, "local x = pl.ones(1):requires_grad_(); print((x * x).requires_grad) -- must work");
  check(strstr(o[1].text, "true") != NULL, "each has its gradient mode");
  const int usual = pl_threads(0);
  pl_threads(2);
  run(a, "pl.threads(1) -- must work");
  check(pl_threads(0) == 2, "each has its number of kernel threads");
  run(a, "assert(pl.threads() == 1) -- must work");
  pl_threads(usual);
  pl_host_close(a);
  check(run(b, "pl.ones(1) -- must work"), "b outlives a");
  pl_host_close(b);
  check(pl_memory_now().tensors == 0 && pl_memory_now().live_bytes == 0, "nothing is left");
}

/*
** Hosts within hosts
*/

/* Called by a script: opens a host, works and fails in it, and closes it. */
static int nested(lua_State *L) {
  output o;
  pl_host *inner = open_host(&o);
  bool ok = run(inner,
                "pl = require 'perilune'; kept = pl.ones(5) -- must work\n"
                "pl.manual_seed(99); pl.rand(10)\n"
                "pl.tidy(function() local x = pl.ones(3):requires_grad_()\n"
                "  ;(x * x):sum():backward(); print(x.grad[1]) end)");
  ok = ok && !strcmp(o.text, "2.0\n");
  ok = ok && !run(inner,
                  "pl.tidy(function() pl.no_grad(function()\n"
                  "local t = pl.ones(2); error('inside') end) end)");
  ok = ok && strstr(pl_host_error(inner), "inside");
  ok = ok && run(inner, "assert((pl.ones(1):requires_grad_() * 2).requires_grad) -- must work");
  pl_host_close(inner);
  lua_pushboolean(L, ok);
  return 1;
}

static const char around[] =
    "local pl = require 'perilune' -- must work\n"
    "pl.manual_seed(3)\n"
    "local expected = pl.rand(1):item()\n"
    "pl.manual_seed(3)\n"
    "local w = pl.ones(2):requires_grad_()\n"
    "local before = pl.memory().tensors\n"
    "local out = pl.tidy(function()\n"
    "  local a = w * 3\n"
    "  assert(nested())\n"
    "  pl.no_grad(function() assert(nested()); assert(not (w * 2).requires_grad) end)\n"
    "  local c = coroutine.wrap(function() local b = a * 2; assert(nested()); coroutine.yield(b) "
    "end)\n"
    "  return c()\n"
    "end)\n"
    "assert(pl.memory().tensors >= before + 1 and pl.memory().live_bytes > 0)\n"
    "out:sum():backward()\n"
    "assert(w.grad[1] == 6)\n"
    "local f = pl.custom(function(c, x) assert(nested()); return x * x end,\n"
    "  function(c, g) assert(nested()); return g * 5 end)\n"
    "w.grad = nil\n"
    "f(w):sum():backward()\n"
    "assert(w.grad[2] == 5)\n"
    "assert(pl.rand(1):item() == expected)\n";

static pl_host *open_outer(output *o) {
  pl_host *h = open_host(o);
  lua_register(pl_host_lua(h), "nested", nested);
  return h;
}

static void *run_nested(void *result) {
  pl_host *h = open_outer(result);
  const bool ok = run(h, around);
  pl_host_close(h);
  strcpy(((output *)result)->text, ok && !pl_memory_now().tensors ? "ok" : "failed");
  return NULL;
}

static void test_nested(void) {
  static output o[HOSTS];
  run_nested(o);
  check(!strcmp(o->text, "ok"), "a host within a host");
  run_threads(HOSTS, run_nested, o, sizeof *o);
  bool ok = true;
  for (int i = 0; i < HOSTS; i++) ok = ok && !strcmp(o[i].text, "ok");
  check(ok, "hosts within hosts on four threads");
}

/*
** Interrupts
*/

typedef struct {
  pl_host *host;
  const char *code;
  bool ok, interrupted;
} job;

static atomic_int started;

static int start(lua_State *L) {
  (void)L;
  started++;
  return 0;
}

static void *run_job(void *argument) {
  job *j = argument;
  j->ok = run(j->host, j->code);
  j->interrupted = pl_host_interrupted(j->host);
  return NULL;
}

static void test_interrupts(void) {
  output o[2];
  job j[2] = {{.host = open_host(&o[0]),
               .code = "local pl = require 'perilune'; start()\n"
                       "while true do pcall(function() pl.ones(10):sum() end) end"},
              {.host = open_host(&o[1]),
               .code = "local pl = require 'perilune'; start() -- must work\n"
                       "for i = 1, 3000 do pl.tidy(function() pl.ones(10):sum() end) end"}};
  for (int i = 0; i < 2; i++) lua_register(pl_host_lua(j[i].host), "start", start);
  pthread_t thread[2];
  for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, run_job, &j[i]);
  while (started < 2) continue;
  pl_host_stop(j[0].host);
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
  check(!j[0].ok && j[0].interrupted, "a host is stopped from another thread");
  check(j[1].ok && !j[1].interrupted, "and no other");
  check(run(j[0].host, "require('perilune').ones(1) -- must work"), "it goes on afterwards");
  for (int i = 0; i < 2; i++) pl_host_close(j[i].host);
}

static int interrupt_here(lua_State *L) {
  (void)L;
  pl_host_interrupt();
  return 0;
}

/* interrupted(): a host within, in which the interrupt comes, is stopped. */
static int interrupt_within(lua_State *L) {
  output o;
  pl_host *inner = open_host(&o);
  lua_register(pl_host_lua(inner), "interrupt", interrupt_here);
  const bool ok = run(inner, "interrupt(); for i = 1, 1e9 do end");
  lua_pushboolean(L, !ok && pl_host_interrupted(inner));
  pl_host_close(inner);
  lua_setglobal(L, "inner_stopped");
  return 0;
}

static void test_interrupt_within(void) {
  output o;
  pl_host *h = open_host(&o);
  lua_State *L = pl_host_lua(h);
  lua_register(L, "within", interrupt_within);
  check(!run(h, "within(); for i = 1, 1e9 do end") && pl_host_interrupted(h),
        "an interrupt of the thread stops the host around");
  lua_getglobal(L, "inner_stopped");
  check(lua_toboolean(L, -1), "and the one within");
  pl_host_close(h);
}

/*
** Moved from thread to thread
*/

static void *run_step(void *argument) {
  job *j = argument;
  j->ok = run(j->host, "step() -- must work");
  return NULL;
}

static void test_moved(void) {
  output o;
  job j = {.host = open_host(&o)};
  check(run(j.host,
            "local pl = require 'perilune' -- must work\n"
            "pl.manual_seed(5); pl.threads(1)\n"
            "local w = pl.ones(3):requires_grad_()\n"
            "function step() pl.tidy(function() (w * pl.rand(3)):sum():backward() end) end"),
        "a host begins");
  bool ok = true;
  for (int i = 0; i < 5; i++) {
    run_threads(1, run_step, &j, sizeof j);
    ok = ok && j.ok;
  }
  check(ok && run(j.host, "step() -- must work"), "other threads use it, one after the other");
  pl_host_close(j.host);
  check(pl_memory_now().tensors == 0, "nothing is left of it");
}

/* A program that uses the state by Lua's interface enters the context for that. */
static void test_entered(void) {
  output o;
  pl_host *h = open_host(&o);
  lua_State *L = pl_host_lua(h);
  run(h, "pl = require 'perilune'; x = pl.ones(3) -- must work");
  pl_context *before = pl_context_enter(pl_host_context(h));
  check(pl_memory_now().tensors == 1, "the context is the host's");
  lua_getglobal(L, "x");
  luaL_tolstring(L, -1, NULL);
  check(strstr(lua_tostring(L, -1), "real[3]") != NULL, "a call of Lua's interface");
  lua_pop(L, 2);
  pl_context_enter(before);
  check(pl_memory_now().tensors == 0, "the program's own context");
  lua_getglobal(L, "x"); /* forgotten to enter */
  luaL_tolstring(L, -1, NULL);
  lua_pop(L, 2);
  pl_host_close(h);
  check(pl_memory_now().tensors == 0 && !pl_error(), "the program is in its own context again");
}

/*
** Without hosts
*/

static pl_tensor *make(int n) {
  pl_scope_begin();
  pl_tensor *t = pl_retain(pl_full(PL_REAL, pl_list(n), 1));
  pl_scope_end();
  return t;
}

enum { HANDED = 2000 };
static void count_end(void *n) { ++*(int *)n; }

static _Atomic(pl_tensor *) handed[HANDED];

/* One thread makes tensors, another ends them, both working on. */
static void *give(void *unused) {
  (void)unused;
  for (int i = 0; i < HANDED; i++) handed[i] = make(i % 100 + 1);
  pl_release(make(3));
  return NULL;
}

static void *take(void *result) {
  for (int i = 0; i < HANDED; i++) {
    pl_tensor *t;
    while (!(t = handed[i])) continue;
    pl_release(t);
    pl_release(make(7));
  }
  *(bool *)result = pl_memory_now().tensors == 0 && pl_memory_now().live_bytes == 0;
  return NULL;
}

static void *make_one(void *t) {
  *(pl_tensor **)t = make(10);
  return NULL;
}

static void test_threads_of_c(void) {
  bool right = false;
  pthread_t a, b;
  pthread_create(&a, NULL, give, NULL);
  pthread_create(&b, NULL, take, &right);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  check(right, "tensors that end on another thread are not in its account");
  pl_tensor *t[HOSTS];
  run_threads(HOSTS, make_one, t, sizeof *t);
  check(pl_at(t[HOSTS - 1], 9) == 1, "a tensor outlives its thread");
  for (int i = 0; i < HOSTS; i++) pl_release(t[i]);
  check(pl_memory_now().tensors == 0 && pl_memory_now().live_bytes == 0, "accounts stay right");
}

/* Calls of another context, which counted further, come before those of this one. */
static void test_history_across(void) {
  pl_context *other = pl_context_open(), *before = pl_context_enter(other);
  pl_scope_begin();
  pl_tensor *x = pl_retain(pl_full(PL_REAL, pl_list(1), 3)), *y = x;
  pl_set_requires_grad(x, true);
  for (int i = 0; i < 50; i++) y = pl_add(y, x); /* 51 x */
  pl_retain(y);
  pl_scope_end();
  check(!pl_fail("of the other context") && pl_error(), "an error there");
  pl_context_enter(before);
  check(!pl_error(), "is none here");
  pl_scope_begin();
  pl_tensor *z = pl_mul(pl_mul(y, y), x);
  check(z && pl_backward(pl_sum(z, PL_ALL_DIMS, false), NULL, false, false), "a backward pass");
  check(pl_grad_of(x) && pl_at(pl_grad_of(x), 0) == 3.0 * 51 * 51 * 9, "through both contexts");
  pl_scope_end();
  pl_context_close(other);
  pl_release(y);
  pl_release(x);
  check(pl_memory_now().tensors == 0, "nothing is left");
}

/* Results whose gradient is a function of a script end on another thread, while their host works on. */
static void *release_all(void *results) {
  for (int i = 0; i < HANDED; i++) pl_release(((pl_tensor **)results)[i]);
  return NULL;
}

static int registry_size(pl_host *h) { return (int)lua_rawlen(pl_host_lua(h), LUA_REGISTRYINDEX); }

static void test_rules_across(void) {
  static pl_tensor *results[HANDED];
  output o;
  pl_host *h = open_host(&o);
  check(run(h,
            "local pl = require 'perilune'\n"
            "local f = pl.custom(function(c, x) return x * x end, function(c, g) return g end)\n"
            "function make() return f(pl.ones(3):requires_grad_()) end\n"
            "function work() for i = 1, 300 do make() end collectgarbage() end -- must work"),
        "a function with a gradient");
  int size = 0;
  for (int k = 0; k < 6; k++) {
    pl_scope_begin();
    for (int i = 0; i < HANDED; i++)
      if (pl_host_call_tensors(h, "make", 0, NULL, 1, &results[i])) pl_retain(results[i]);
    pl_scope_end();
    check(run(h, "collectgarbage() -- must work"), "the host has none of them");
    pthread_t thread;
    pthread_create(&thread, NULL, release_all, results);
    check(run(h, "work() -- must work"), "it works on");
    pthread_join(thread, NULL);
    check(run(h, "work() -- must work"), "and lets go");
    if (k == 0) size = registry_size(h);
  }
  check(registry_size(h) < size + 2 * HANDED, "of all that they needed");
  pl_host_call_tensors(h, "make", 0, NULL, 1, results);
  pl_host_close(h); /* the scope around has a result yet */
}

/* Tensors for which no scope was open end with their context, or their thread. */
static void *make_without_scope(void *ended) {
  static pl_real memory[3];
  pl_borrow(memory, PL_REAL, pl_list(3), NULL, count_end, ended);
  pl_full(PL_REAL, pl_list(1000), 1);
  return NULL;
}

static void test_without_scope(void) {
  int ended = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, make_without_scope, &ended);
  pthread_join(thread, NULL);
  check(ended == 1, "tensors without a scope end with their thread");
  pl_context *c = pl_context_open(), *outer = pl_context_enter(c);
  make_without_scope(&ended);
  pl_scope_begin();
  make_without_scope(&ended);
  pl_context_enter(outer);
  check(ended == 1, "and no earlier than their context");
  pl_context_close(c);
  check(ended == 3, "but with it");
}

static void test_open_and_close(void) {
  bool ok = true;
  for (int i = 0; i < 30; i++) {
    output o;
    pl_host *h = open_host(&o);
    ok = ok && run(h, "kept = require('perilune').ones(1000) -- must work");
    pl_host_close(h);
  }
  check(ok && pl_memory_now().live_bytes == 0, "hosts come and go");
}

int main(void) {
  test_same_bits();
  test_apart();
  test_nested();
  test_interrupts();
  test_interrupt_within();
  test_moved();
  test_entered();
  test_threads_of_c();
  test_history_across();
  test_rules_across();
  test_without_scope();
  test_open_and_close();
  return count();
}
