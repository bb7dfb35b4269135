/*
** hostile.c: hosts in programs that mean no good: stopped at any time, nested in whatever can call C,
** closed before what came from them ends, without memory, in a child of a fork. Through the public
** headers alone.
**
** usage: hostile [open N | stops N]   the test, or one part of it with so many rounds
*/
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sanitized.h"

static bool run(pl_host *h, const char *code) {
  const bool ok = pl_host_run_string(h, code, "=hostile");
  if (!ok && strstr(code, "-- must work")) printf("%s\n", pl_host_error(h));
  return ok;
}

static pl_host *open_with(const char *name, lua_CFunction f) {
  pl_host *h = pl_host_open(NULL);
  lua_register(pl_host_lua(h), name, f);
  return h;
}

static double number(pl_host *h, const char *global) {
  lua_State *L = pl_host_lua(h);
  lua_getglobal(L, global);
  const double x = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return x;
}

static bool nothing_left(void) {
  return pl_memory_now().tensors == 0 && pl_memory_now().live_bytes == 0 && !pl_error();
}

/*
** Stops at any time
*/

/* Calls that come and go, coroutines that end, die, are closed, a loop that only computes. */
static const char restless[] =
    "local pl = require 'perilune'\n"
    "local function deep(n) return n > 0 and 1 + deep(n - 1) or 0 end\n"
    "local function f() return pl.ones(3) end\n"
    "while true do\n"
    "  local co = coroutine.create(function()\n"
    "    pcall(f); pcall(error, 'x'); deep(100); pl.tidy(f); coroutine.yield() end)\n"
    "  pcall(coroutine.resume, co); coroutine.close(co)\n"
    "  pcall(coroutine.wrap(function() pcall(deep, 10); f(); error 'dies' end))\n"
    "  for i = 1, 1000 do deep(2) end\n"
    "  nested()\n"
    "end";

static int nested_restless(lua_State *L) {
  (void)L;
  pl_host *h = pl_host_open(NULL);
  run(h, "for i = 1, 10 do coroutine.wrap(function() coroutine.yield() end)() end -- must work");
  pl_host_close(h);
  return 0;
}

typedef struct {
  pl_host *host;
  const char *code;
  atomic_int runs, stopped;
  atomic_bool end;
} victim;

static void *run_until_end(void *argument) {
  victim *v = argument;
  while (!v->end) {
    v->runs++;
    if (!run(v->host, v->code) && pl_host_interrupted(v->host)) v->stopped++;
  }
  return NULL;
}

static void wait_a_little(int microseconds) {
  nanosleep(&(struct timespec){0, 1000 * microseconds}, NULL);
}

/* Asks until it stops: a request between two runs stops nothing. */
static void stop_after(victim *v, int microseconds) {
  const int before = v->stopped;
  wait_a_little(microseconds);
  while (v->stopped == before) {
    pl_host_stop(v->host);
    wait_a_little(20);
  }
}

static void stop_often(const char *code, int rounds, const char *what) {
  victim v = {.host = open_with("nested", nested_restless), .code = code};
  pthread_t thread;
  pthread_create(&thread, NULL, run_until_end, &v);
  for (int i = 0; i < rounds; i++) stop_after(&v, i * 37 % 211);
  v.end = true;
  const int runs = v.runs;
  stop_after(&v, 0);
  pthread_join(thread, NULL);
  check(v.stopped >= rounds && runs <= v.runs, what);
  check(run(v.host, "require('perilune').ones(2):sum() -- must work"), "it goes on");
  pl_host_close(v.host);
}

static void test_stops(int rounds) {
  stop_often(restless, rounds, "a host is stopped at any time");
  check(!pl_host_stop_signal(-1) && pl_host_stop_signal(SIGURG), "a signal for stops");
  if (!THREADS_SANITIZED)
    stop_often("while true do end", rounds, "so is one that only computes, with a signal");
  stop_often(restless, rounds, "and one that does much");
}

/*
** Forks
*/

static const char computing[] =
    "local pl = require 'perilune' -- must work\n"
    "pl.threads(2); pl.manual_seed(1)\n"
    "local a = pl.randn(200, 200)\n"
    "result = a:matmul(a):abs():sum():item() + pl.randn(100000):sum():item()\n"
    "result = result + pl.linalg.solve(a, a):sum():item()\n";

static double compute(void) {
  pl_host *h = pl_host_open(NULL);
  const double result = run(h, computing) ? number(h, "result") : -1;
  pl_host_close(h);
  return result;
}

static bool child_succeeds(pid_t child) {
  int status;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* A child that hangs is ended. */
static pid_t begin_child(void) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) alarm(20);
  return child;
}

/* fork() -> the child's number, or 0 in the child */
static int fork_here(lua_State *L) {
  lua_pushinteger(L, begin_child());
  return 1;
}

static atomic_bool forked_enough;

static void *compute_on(void *unused) {
  while (!forked_enough) compute();
  return unused;
}

/* The child ends by exit or, where it lacks other threads, whose memory it cannot give back, _exit. */
static bool forks_well(int times, double expected, void (*end)(int)) {
  bool well = true;
  for (int i = 0; i < times; i++) {
    const pid_t child = begin_child();
    if (child == 0) end(compute() != expected);
    well = child_succeeds(child) && well && compute() == expected;
  }
  return well;
}

/* A sanitizer's memory may be locked by a thread that is not in the child. */
static void test_fork_beside_threads(double expected) {
  pthread_t thread[2];
  for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, compute_on, NULL);
  check(forks_well(10, expected, _exit), "while other threads compute");
  forked_enough = true;
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

static void test_fork(void) {
  const double expected = compute();
  check(expected != -1 && forks_well(50, expected, exit), "children compute as their parent");
  if (!SANITIZED) test_fork_beside_threads(expected);
  pl_host *h = open_with("fork", fork_here);
  check(run(h, computing) &&
            run(h,
                "local pl = require 'perilune' -- must work\n"
                "child = pl.tidy(function() local x = pl.randn(300, 300); x:matmul(x)\n"
                "  local child = fork(); x:matmul(x); return child end)"),
        "a fork in a script");
  const pid_t child = (pid_t)number(h, "child");
  const bool same = run(h, computing) && number(h, "result") == expected;
  if (child == 0) {
    pl_host_close(h);
    exit(!same);
  }
  check(same && child_succeeds(child), "goes on in both");
  pl_host_close(h);
}

/*
** Within whatever calls C
*/

/* nested([fail]): another host computes, fails in tidy, in no_grad and in a coroutine that it leaves,
 * and is closed; then raises, if it is to. */
static int nested(lua_State *L) {
  pl_host *h = open_with("fork", fork_here);
  bool ok = run(h,
                "pl = require 'perilune'; pl.manual_seed(5); kept = pl.rand(10) -- must work\n"
                "setmetatable({}, {__gc = function() pl.rand(3):sum() end})\n"
                "left = coroutine.wrap(function() pl.ones(2); coroutine.yield() end); left()");
  ok = ok &&
       !run(h, "pl.tidy(function() pl.no_grad(function() pl.ones(2):matmul(pl.ones(3)) end) end)");
  ok = ok && !run(h, "coroutine.wrap(function() pl.tidy(error, 'x') end)()");
  ok = ok && run(h, "assert((pl.ones(1):requires_grad_() * 2).requires_grad) -- must work");
  pl_host_close(h);
  if (lua_toboolean(L, 1)) return luaL_error(L, "after a host within");
  return lua_pushboolean(L, ok), 1;
}

static const char everywhere[] =
    "local pl = require 'perilune' -- must work\n"
    "local function same(f)\n"
    "  pl.manual_seed(3); local a = pl.rand(4):sum():item()\n"
    "  collectgarbage()\n"
    "  local before, mode = pl.memory().tensors, (pl.ones(1):requires_grad_() * 1).requires_grad\n"
    "  pl.manual_seed(3); f()\n"
    "  assert(pl.rand(4):sum():item() == a, 'the stream')\n"
    "  collectgarbage(); collectgarbage()\n"
    "  assert(pl.memory().tensors == before, 'the account')\n"
    "  assert(mode == (pl.ones(1):requires_grad_() * 1).requires_grad, 'the mode')\n"
    "end\n"
    "local function all()\n"
    "  same(nested)\n"
    "  same(function() setmetatable({}, {__gc = function() assert(nested()) end}); "
    "collectgarbage() end)\n"
    "  same(function() local c <close> = setmetatable({}, {__close = function() assert(nested()) "
    "end}) end)\n"
    "  same(function() assert(not pcall(nested, true)) end)\n"
    "  same(function() assert(not pcall(pl.tidy, nested, true)) end)\n"
    "  same(function() xpcall(error, function() assert(nested()) end) end)\n"
    "  same(function() table.sort({3, 1, 2}, function(a, b) nested(); return a < b end) end)\n"
    "  same(function() ('ab'):gsub('.', function() nested() end) end)\n"
    "  same(function() local c = coroutine.create(nested); assert(coroutine.resume(c, true) == "
    "false) end)\n"
    "  same(function() local x = pl.ones(2):requires_grad_()\n"
    "    local f = pl.custom(function(c, x) nested(); return x * 2 end, function(c, g) nested(); "
    "return g * 2 end)\n"
    "    pl.enable_grad(function() f(x):sum():backward() end); assert(x.grad[1] == 2) end)\n"
    "  same(function() local x = pl.ones(2):requires_grad_()\n"
    "    local f = pl.custom(function(c, x) return x * 2 end, function(c, g) nested(true) end)\n"
    "    assert(not pcall(function() pl.enable_grad(function() f(x):sum():backward() end) end)) "
    "end)\n"
    "end\n"
    "all(); pl.no_grad(all); pl.tidy(all); coroutine.wrap(function() pl.tidy(pl.no_grad, all) "
    "end)()\n";

/* Raises in the context of another host, to which also an interrupt comes. */
static int raise_elsewhere(lua_State *L) {
  pl_host *other = *(pl_host **)lua_getextraspace(L);
  pl_context_enter(pl_host_context(other));
  pl_host_interrupt();
  return luaL_error(L, "elsewhere");
}

static void test_raised_elsewhere(void) {
  pl_host *h = open_with("raise", raise_elsewhere), *other = pl_host_open(NULL);
  *(pl_host **)lua_getextraspace(pl_host_lua(h)) = other;
  check(!run(h, "raise()") && pl_host_interrupted(h), "an error in the context of another host");
  check(run(h, "require('perilune').ones(1):sum() -- must work"), "ends there, with the interrupt");
  check(run(other, "require('perilune').ones(1):sum() -- must work"), "and nowhere else");
  pl_host_close(other);
  pl_host_close(h);
  check(nothing_left(), "the program's context");
}

static void *nest(void *ok) {
  pl_host *h = open_with("nested", nested);
  *(bool *)ok = run(h, everywhere);
  pl_host_close(h);
  *(bool *)ok = *(bool *)ok && nothing_left();
  return NULL;
}

static void test_nested(void) {
  bool ok[2];
  pthread_t thread;
  pthread_create(&thread, NULL, nest, &ok[0]);
  nest(&ok[1]);
  pthread_join(thread, NULL);
  check(ok[0] && ok[1], "a host within whatever calls C, on two threads");
}

/*
** Tensors that outlive their hosts
*/

enum { CONTEXTS = 5, KEPT = 40 };

/* A generator of its own: each thread repeats its deeds. */
static unsigned draw(unsigned *state, unsigned n) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 16) % n;
}

/* Makes tensors in contexts of hosts, from tensors of others, passes gradients through all of them,
 * and closes hosts whose tensors are still used. */
static void mix(pl_host **h, pl_tensor **kept, unsigned *state) {
  pl_host **one = &h[draw(state, CONTEXTS)];
  pl_tensor **to = &kept[draw(state, KEPT)], *a = kept[draw(state, KEPT)],
            *b = kept[draw(state, KEPT)];
  const unsigned deed = draw(state, 8);
  if (!*one) *one = pl_host_open(NULL);
  if (deed == 0) {
    pl_host_close(*one);
    *one = NULL;
    return;
  }
  pl_context *before = pl_context_enter(pl_host_context(*one));
  pl_scope_begin();
  pl_tensor *t = deed < 3 || !a || !b ? pl_full(PL_REAL, pl_list(100), 0.5) : pl_mul(pl_tanh(a), b);
  if (deed < 3) pl_set_requires_grad(t, true);
  if (deed == 7 && pl_requires_grad(t))
    pl_backward(pl_sum(t, PL_ALL_DIMS, false), NULL, draw(state, 2), draw(state, 2));
  pl_error_clear(); /* of a graph that was freed */
  pl_release(*to);
  *to = pl_retain(t);
  pl_scope_end();
  pl_context_enter(before);
}

typedef struct {
  pl_host *host[CONTEXTS];
  pl_tensor *kept[KEPT];
  unsigned state;
} mixture;

static void *mix_on(void *argument) {
  mixture *m = argument;
  for (int i = 0; i < 400; i++) mix(m->host, m->kept, &m->state);
  return NULL;
}

static void *end_all(void *argument) {
  mixture *m = argument;
  for (int i = 0; i < KEPT; i++) {
    if (i % 8 == 4) pl_host_close(m->host[i / 8]); /* between the ends of tensors */
    pl_release(m->kept[i]);
  }
  return NULL;
}

static void run_both(void *(*f)(void *), mixture m[2]) {
  pthread_t thread[2];
  for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, f, &m[i]);
  for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

static void test_outlived(void) {
  static mixture m[2] = {{.state = 1}, {.state = 2}};
  for (int i = 0; i < 3; i++) run_both(mix_on, m); /* each time other threads */
  pl_host *given = m[0].host[0];
  m[0].host[0] = m[1].host[0];
  m[1].host[0] = given;
  run_both(mix_on, m); /* with a host whose tensors the other one has */
  run_both(end_all, m);
  check(nothing_left(), "tensors outlive their hosts and threads");
}

/*
** Numbers of threads
*/

static const char threads_of[] =
    "local pl = require 'perilune' -- must work\n"
    "pl.threads(THREADS); pl.manual_seed(1)\n"
    "local a, b, x = pl.randn(3, 30000), pl.randn(30000, 3), pl.randn(150, 60)\n"
    "result = a:matmul(b):sum():item() + pl.linalg.solve(x:t():matmul(x), x:t()):sum():item()\n"
    "for i = 1, 10 do result = result + require('perilune.learn').frechet(x, x + i) end\n";

typedef struct {
  int threads;
  double result;
} counted;

static void *run_counted(void *argument) {
  counted *c = argument;
  pl_host *h = pl_host_open(NULL);
  lua_pushinteger(pl_host_lua(h), c->threads);
  lua_setglobal(pl_host_lua(h), "THREADS");
  c->result = run(h, threads_of) ? number(h, "result") : -1;
  pl_host_close(h);
  return NULL;
}

/* OpenBLAS shares memory of its own between threads and has one number of threads for all. */
static void test_numbers_of_threads(void) {
  counted c[] = {{.threads = 1}, {.threads = 2}, {.threads = 3}, {.threads = 4}};
  pthread_t thread[4];
  run_counted(&c[0]);
  const double alone = c[0].result;
  for (int i = 0; i < 4; i++) pthread_create(&thread[i], NULL, run_counted, &c[i]);
  bool equal = alone != -1;
  for (int i = 0; i < 4; i++) {
    pthread_join(thread[i], NULL);
    equal = equal && c[i].result == alone;
  }
  check(equal, "hosts with 1 to 4 kernel threads have the same bits");
}

/*
** Training
*/

static const char lenet[] =
    "local pl = require 'perilune' -- must work\n"
    "pl.threads(THREADS); pl.manual_seed(7)\n"
    "local nn = pl.nn\n"
    "local net = nn.Sequential {nn.Conv2d(1, 6, 5, {padding = 2}), nn.BatchNorm2d(6), nn.ReLU(),\n"
    "  nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),\n"
    "  nn.Linear(400, 120), nn.Dropout(0.2), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), "
    "nn.Linear(84, 10)}\n"
    "local x, y = pl.rand(64, 1, 28, 28), pl.randint(1, 10, 64)\n"
    "local optimizer = pl.optim.Adam(net:parameters(), {lr = 0.001})\n"
    "result = 0\n"
    "for step = 1, 6 do pl.tidy(function()\n"
    "  optimizer:zero_grad()\n"
    "  local loss = pl.cross_entropy(net(x), y)\n"
    "  loss:backward(); optimizer:step()\n"
    "  result = result + loss:item()\n"
    "end) end\n"
    "for _, p in ipairs(net:parameters()) do result = result + p:detach():sum():item() end\n"
    "result = result + pl.random_state().counter\n";

static void *train(void *argument) {
  counted *c = argument;
  pl_host *h = pl_host_open(NULL);
  lua_pushinteger(pl_host_lua(h), c->threads);
  lua_setglobal(pl_host_lua(h), "THREADS");
  c->result = run(h, lenet) ? number(h, "result") : -1;
  pl_host_close(h);
  return NULL;
}

static void test_training(void) {
  counted alone = {.threads = 1};
  train(&alone);
  bool equal = alone.result != -1;
  for (int threads = 1; threads <= 2; threads++) {
    counted c[4];
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) {
      c[i] = (counted){.threads = threads};
      pthread_create(&thread[i], NULL, train, &c[i]);
    }
    for (int i = 0; i < 4; i++) {
      pthread_join(thread[i], NULL);
      equal = equal && c[i].result == alone.result;
    }
  }
  check(equal, "four threads train four LeNets to the bits of one");
}

/*
** Coming and going
*/

/* Pages of memory that the process has. */
static long resident(void) {
  long all = 0, here = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f && fscanf(f, "%ld %ld", &all, &here) != 2) here = 0;
  if (f) fclose(f);
  return here;
}

static bool come_and_go(int times) {
  bool ok = true;
  for (int i = 0; i < times && ok; i++) {
    pl_host *h = pl_host_open(NULL);
    ok =
        h &&
        run(h,
            "local pl = require 'perilune'; local x = pl.ones(1000):requires_grad_() -- must work\n"
            "pl.tidy(function() (x * x):sum():backward() end)\n"
            "kept = x.grad; pcall(error)");
    pl_host_close(h);
  }
  return ok;
}

static void test_open(int times) {
  bool ok = come_and_go(times / 2);
  const long before = resident();
  ok = come_and_go(times - times / 2) && ok;
  const long grown = resident() - before;
  check(ok && nothing_left(), "hosts come and go");
  check(SANITIZED || grown < 256, "and leave no memory behind");
  if (times > 1000)
    printf("%d hosts; %ld pages before the second half, %ld more after it\n", times, before, grown);
}

int main(int argc, char **argv) {
  const int rounds = argc == 3 ? atoi(argv[2]) : 0;
  if (argc == 3 && !strcmp(argv[1], "open")) test_open(rounds);
  else if (argc == 3 && !strcmp(argv[1], "stops")) test_stops(rounds);
  else if (argc != 1) return fputs("usage: hostile [open N | stops N]\n", stderr), 2;
  else {
    test_fork();
    test_nested();
    test_raised_elsewhere();
    test_outlived();
    test_stops(8);
    test_numbers_of_threads();
    test_training();
    test_open(200);
  }
  return count();
}
