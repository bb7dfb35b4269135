/*
** ops.c: ops from C in scripts: registered by the program around a host, or by libraries that scripts
** load, on several threads at the same time. Through the public headers alone.
**
** usage: ops FOLDER   which has the libraries that tests/meson.build makes
*/
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { HOSTS = 4 };

static const char *folder;

static pl_host *open_host(output *o) {
  o->text[0] = 0;
  pl_host *h = pl_host_open(
      &(pl_host_options){.size = sizeof(pl_host_options), .write = collect, .user = o});
  char code[4200];
  snprintf(code, sizeof code, "pl = require 'perilune'; folder = '%s/'", folder);
  if (h && pl_host_run_string(h, code, "=open")) return h;
  printf("no host\n");
  exit(1);
}

static void works(pl_host *h, const char *code, const char *what) {
  const bool ok = pl_host_run_string(h, code, "=ops");
  if (!ok) printf("%s\n", pl_host_error(h));
  check(ok, what);
}

/* The first line of the message. */
static void fails(pl_host *h, const char *code, const char *message) {
  const bool ok = pl_host_run_string(h, code, "=ops");
  const char *got = ok ? "no error" : pl_host_error(h);
  if (!strstr(got, message)) printf("%s: %s\n", code, got);
  check(!ok && strstr(got, message), message);
}

/*
** Ops of the program
*/

static bool twice(pl_args *c) { return pl_set_output(c, 0, pl_affine(pl_input(c, 0), 2, 0)); }

static bool like_input(pl_args *c) {
  return pl_need_real(c, 0) && pl_out(c, 0, PL_REAL, pl_size(pl_input(c, 0)));
}

static atomic_bool running;

static bool endless(pl_args *c) {
  (void)c;
  atomic_store(&running, true);
  while (pl_check_interrupt()) {
  }
  return false;
}

/* 2 x, with a gradient that is wrong. */
static bool wrong_forward(pl_args *c) {
  pl_tensor *y = pl_affine(pl_input(c, 0), 2, 0);
  return y && pl_copy(pl_output(c, 0), y);
}
static bool wrong_gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                           pl_tensor **gin) {
  (void)c, (void)needs_grad;
  return (gin[0] = pl_affine(gout[0], 2.1, 0)) != NULL;
}

static void add(pl_op_spec spec) {
  spec.size = sizeof spec;
  spec.inputs = "x";
  check(pl_op_new(&spec) != NULL, spec.name);
}

static void test_ops_of_the_program(void) {
  output o, later;
  pl_host *h = open_host(&o);
  works(h, "assert(not pcall(function() return pl.twice end))", "there is no such op yet");
  works(h, "pl.help.text(pl.exp)", "help is in use already");
  add((pl_op_spec){.name = "twice", .doc = "2 x", .samples = "any[2,3]", .decompose = twice});
  add((pl_op_spec){.name = "my.twice", .attrs = "k:int=3 end:choice(a|b)", .decompose = twice});
  works(h,
        "local x = pl.tensor({1, 2}):requires_grad_()\n"
        "local y = x:twice()\n"
        "assert(y[2]:item() == 4 and pl.twice(x)[1]:item() == 2)\n"
        "y:sum():backward()\n"
        "assert(x.grad[1] == 2)\n"
        "assert(pl.my.twice(x, 4)[1]:item() == 2)\n"
        "assert(pl.my.twice(x, {k = 4, ['end'] = 'b'})[1]:item() == 2)\n"
        "assert(pl.op('my.twice').attrs[1].default == 3)\n"
        "assert(pl.ops()[#pl.ops()] == 'my.twice')\n"
        "assert(pl.testing.check_op 'twice' == 1)",
        "functions and methods appear with the next run");
  works(h,
        "local text = pl.help.text 'my.twice'\n"
        "assert(text:find('pl.my.twice(x, k=3, end=\"a\"|\"b\")', 1, true), text)\n"
        "assert(pl.help.text(pl.my.twice) == text)\n"
        "text = pl.help.text(pl.twice)\n"
        "assert(text:find('Example', 1, true) and text:find('pl.twice(', 1, true), text)\n"
        "assert(pl.help.text(pl):find('my.twice', 1, true))\n"
        "assert(pl.help.text(pl.my):find('twice', 1, true), pl.help.text(pl.my))\n"
        "local complete = require 'perilune.help.complete'.complete\n"
        "local function insert(line) return (complete(line, 80, function() return {} end)) end\n"
        "x = pl.ones(1)\n"
        "assert(insert 'pl.my.tw' == 'ice', insert 'pl.my.tw')\n"
        "assert(insert 'x:twi' == 'ce' and insert 'pl.twi' == 'ce')\n"
        "assert(insert 'pl.my.' == 'twice', insert 'pl.my.')\n"
        "pl.profile.start()\n"
        "pl.my.twice(x)\n"
        "assert(tostring(pl.profile.stop()):find 'my.twice')",
        "help");
  fails(h, "pl.my.thrice()", "pl.my has no 'thrice'; did you mean 'twice'?");
  fails(h, "pl.twice 'x'", "twice: x: tensor expected, got ");
  fails(h, "pl.my.twice(pl.ones(1), 1.5)", "my.twice: k: integer expected, got 1.5");
  fails(h, "pl.testing.check_op 'my.twice'", "check_op: my.twice has no samples");
  fails(h, "pl.testing.check_op 'antigravity'", "check_op: there is no op 'antigravity'");
  works(
      h,
      "pl.no_grad(function() assert(not pl.twice(pl.ones(1):requires_grad_()).requires_grad) end)\n"
      "local kept = pl.tidy(function() pl.twice(pl.ones(2)); return pl.twice(pl.ones(2)) end)\n"
      "assert(kept[1] == 2)",
      "in no_grad and tidy");
  pl_host *another = open_host(&later);
  works(another, "assert(pl.twice(pl.ones(1))[1] == 2)", "hosts that are opened later have them");
  pl_host_close(another);
  add((pl_op_spec){.name = "wrong",
                   .samples = "any[3]",
                   .shape = like_input,
                   .forward = wrong_forward,
                   .gradient = wrong_gradient});
  fails(h, "pl.testing.check_op 'wrong'",
        "ops:1: check_op: wrong(any[3]): first order: the gradient gives ");
  add((pl_op_spec){.name = "spoilt", .samples = "many[3]", .decompose = twice});
  fails(h, "pl.testing.check_op 'spoilt'",
        "spoilt: its samples have 'many[3]'; a tensor, any[3,4], or name=value expected");
  works(h, "assert(pl.help.text('spoilt'):find('many[3]', 1, true))", "help of the same");
  pl_host_close(h);
}

/* A name that scripts know already is not taken from them. */
static void test_names_that_are_taken(void) {
  output o;
  pl_host *h = open_host(&o);
  works(h, "pl.own = 7", "a script's own field");
  add((pl_op_spec){.name = "numel", .decompose = twice});
  add((pl_op_spec){.name = "meshgrid", .decompose = twice});
  add((pl_op_spec){.name = "nn", .decompose = twice});
  add((pl_op_spec){.name = "nn.twice", .decompose = twice});
  add((pl_op_spec){.name = "save", .decompose = twice});
  add((pl_op_spec){.name = "own.twice", .decompose = twice});
  add((pl_op_spec){.name = "docs.own", .decompose = twice});
  add((pl_op_spec){.name = "linalg.twice", .decompose = twice});
  works(h,
        "local x = pl.ones(3)\n"
        "assert(x:numel() == 3 and #{pl.meshgrid(x, x)} == 2 and pl.own == 7)\n"
        "assert(pl.nn.Linear(2, 3) and type(pl.save) == 'function' and not pl.docs.own)\n"
        "assert(pl.op('numel').call(x)[1] == 2)\n"
        "assert(pl.linalg.twice(x)[1] == 2 and pl.linalg.inv)",
        "names keep their meaning");
  pl_host_close(h);
}

static pl_host *stopped;
static void *stop(void *unused) {
  while (!atomic_load(&running)) usleep(100);
  pl_host_stop(stopped);
  return unused;
}

static void test_stop(void) {
  output o;
  pthread_t thread;
  add((pl_op_spec){.name = "endless", .nograd = true, .shape = like_input, .forward = endless});
  stopped = open_host(&o);
  works(stopped, "assert(pl.endless)", "an op that does not end");
  for (int i = 0; i < 2; i++) {
    atomic_store(&running, false);
    pthread_create(&thread, NULL, stop, NULL);
    const bool ended = pl_host_run_string(stopped, "pl.endless(pl.ones(1))", "=ops");
    pthread_join(thread, NULL);
    check(!ended && pl_host_interrupted(stopped), "is stopped");
  }
  pl_host_close(stopped);
}

/*
** Libraries
*/

static const char loading[] =
    "local names = pl.load_ops(folder .. 'libplugin_op.so')\n"
    "assert(#names == 1 and names[1] == 'mine.squash')\n"
    "pl.threads(1)\n"
    "pl.manual_seed(3)\n"
    "local x = pl.randn(5, 4):requires_grad_()\n"
    "for _ = 1, 20 do\n"
    "  local g = pl.grad(pl.mine.squash(x, 0.5):sum(), {x}, {create_graph = true})[1]\n"
    "  local gg = pl.grad(g:sum(), {x})[1]\n"
    "  print(string.format('%a %a', g:sum():item(), gg:sum():item()))\n"
    "end\n"
    "assert(pl.testing.check_op 'mine.squash' == 2)\n";

static pthread_barrier_t all_there;

static void *load_and_use(void *result) {
  pl_host *h = open_host(result);
  pthread_barrier_wait(&all_there);
  if (!pl_host_run_string(h, loading, "=loading")) {
    printf("%s\n", pl_host_error(h));
    ((output *)result)->text[0] = 0;
  }
  pl_host_close(h);
  return NULL;
}

static void test_threads_load_at_once(void) {
  static output o[HOSTS];
  pthread_t thread[HOSTS];
  const int n = pl_op_count();
  pthread_barrier_init(&all_there, NULL, HOSTS);
  for (int i = 0; i < HOSTS; i++) pthread_create(&thread[i], NULL, load_and_use, &o[i]);
  for (int i = 0; i < HOSTS; i++) pthread_join(thread[i], NULL);
  bool equal = strlen(o[0].text) > 100;
  for (int i = 1; i < HOSTS; i++) equal = equal && !strcmp(o[i].text, o[0].text);
  check(equal, "hosts on threads load one library at the same time");
  check(pl_op_count() == n + 1, "its op is there once");
}

static void test_load_in_c(void) {
  char path[4200];
  const pl_op *op[2] = {NULL, NULL};
  const pl_attr half = {.d = 0.5};
  snprintf(path, sizeof path, "%s/libplugin_op.so", folder);
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(2), 1.5), *y = NULL;
  check(pl_load_ops(path, 0, NULL) == 1 && pl_load_ops(path, 2, op) == 1 && op[0] && !op[1],
        "C loads a library");
  check(pl_call(op[0], 1, &x, &half, &y) && pl_at(y, 1) == 0.75, "and calls its op");
  check(pl_op_call("mine.squash", 1, &x, 0, NULL, 1, &y) && fabs(pl_at(y, 0) - 0.6) < 1e-6,
        "by its name too");
  check(pl_load_ops("nowhere.so", 0, NULL) == -1 && strstr(pl_error(), "load_ops: nowhere.so: ") &&
            pl_error_code() == PL_ERROR_FILE,
        "or says why not");
  check(pl_load_ops(path, 0, NULL) == -1, "and does nothing while an error is there");
  pl_error_clear();
  pl_scope_end();
}

static void test_libraries(void) {
  output o;
  pl_host *h = open_host(&o);
  works(h, "assert(pl.mine.squash)", "what others loaded is there");
  works(h, "assert(pl.load_ops(folder .. '../tests/libplugin_op.so')[1] == 'mine.squash')",
        "another path to the same library");
  works(h,
        "local help = pl.help.text 'mine.squash'\n"
        "assert(help:find('pl.mine.squash(x, k=1)', 1, true) and help:find('%-%->'), help)",
        "its help");
  fails(h, "pl.mine.squash(pl.ones(2), 0)",
        "ops:1: mine.squash: k is 0; a number above 0 expected");
  const int n = pl_op_count();
  fails(h, "pl.load_ops(folder .. 'nowhere.so')", "nowhere.so: cannot open shared object file");
  fails(h, "pl.load_ops(folder .. '../build.ninja')", "build.ninja: ");
  fails(h, "pl.load_ops()", "load_ops: argument 1");
  fails(h, "pl.load_ops 'a\\0b'", "load_ops: ");
  fails(h, "pl.load_ops(folder .. 'bad_no_entry.so')",
        "bad_no_entry.so: it has no function pl_ops_open, so it is no library of ops");
  fails(h, "pl.load_ops(folder .. 'bad_fails.so')",
        "bad_fails.so: bad.bad: attribute 'k': there is no type 'flot'");
  fails(h, "pl.load_ops(folder .. 'bad_fails.so')",
        "bad.bad: attribute 'k'"); /* not: it is there */
  fails(h, "pl.load_ops(folder .. 'bad_other_reals.so')", "built for reals of ");
  fails(h, "pl.load_ops(folder .. 'bad_newer.so')", "built for a newer Perilune than ");
  fails(h, "pl.load_ops(folder .. 'bad_silent.so')", "its pl_ops_open gives false, and no reason");
  fails(h, "pl.load_ops(folder .. 'bad_no_op.so')", "its pl_ops_open registers no op");
  fails(h, "pl.load_ops(folder .. 'bad_loads_itself.so')", "its pl_ops_open loads it once more");
  fails(h, "pl.load_ops(folder .. 'bad_unknown.so')", "pl_function_of_tomorrow");
  check(pl_op_count() == n && !pl_op_find("bad.good"), "they register nothing");
  for (int i = 0; i < 2; i++)
    fails(
        h, "pl.load_ops(folder .. 'bad_taken_later.so')",
        "the op 'size' has the name of a method of tensors; pl.op(\"size\").call is its function");
  works(h, "assert(pl.bad.fine(pl.ones(1))[1] == -1 and #pl.ones(3):size() == 1)",
        "its other op is there");
  pl_host_close(h);
}

int main(int argc, char **argv) {
  folder = argc > 1 ? argv[1] : ".";
  test_ops_of_the_program();
  test_names_that_are_taken();
  test_stop();
  test_threads_load_at_once();
  test_load_in_c();
  test_libraries();
  check(pl_memory_now().tensors == 0, "nothing is left");
  return count();
}
