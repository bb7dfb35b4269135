/*
** interface.c: what a program can rely on when its library is another one than it was compiled
** against: options carry their size, failures have a code, the library says what it is. Through the
** public headers alone.
*/
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

/* Whether the slot has this message, of this kind, which is taken out. */
static bool told(pl_status code, const char *message) {
  const bool good = pl_error() && strstr(pl_error(), message) && pl_error_code() == code;
  if (!good) printf("%d: %s; expected %d: %s\n", (int)pl_error_code(), pl_error(), code, message);
  pl_error_clear();
  return good && !pl_error() && pl_error_code() == PL_OK;
}

static void test_version(void) {
  check(!strcmp(pl_version(), PL_VERSION), "the version of header and library");
  check(pl_real_size() == sizeof(pl_real), "their reals");
}

/*
** Options
*/

/* As an older header had it, and as a newer one may. */
typedef struct {
  size_t size;
  double lr, momentum;
} older_sgd_step;
typedef struct {
  pl_sgd_step today;
  double warmup;
} newer_sgd_step;
typedef struct {
  size_t size;
  int argc;
  const char *const *argv;
} older_host_options;

/* A step of w = 1 with gradient 1, by the options at o. */
static bool step(pl_tensor *w, const void *o) {
  pl_tensor *g = pl_full(PL_REAL, pl_list(1), 1);
  pl_fill(w, 1);
  return pl_sgd(1, &w, &g, NULL, NULL, o);
}

static void test_options(void) {
  pl_scope_begin();
  pl_tensor *w = pl_full(PL_REAL, pl_list(1), 1);
  const older_sgd_step older = {sizeof older, 0.5, 0};
  check(step(w, &older) && pl_at(w, 0) == 0.5, "options of an older program");
  newer_sgd_step newer = {{.size = sizeof newer, .lr = 0.5}, 0};
  check(step(w, &newer) && pl_at(w, 0) == 0.5, "of a newer one that sets nothing new");
  newer.warmup = 1;
  check(!step(w, &newer) && told(PL_ERROR, "sgd: its pl_sgd_step sets what version"),
        "what the library does not know is refused");
  pl_sgd_step o = {.lr = 0.5};
  static const size_t impossible[] = {0, 1, sizeof o + 1, (size_t)-8};
  for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
    o.size = impossible[i];
    check(!step(w, &o) && told(PL_ERROR, "sgd: the size in its pl_sgd_step is"), "its size");
    check(pl_at(w, 0) == 1, "nothing has changed");
  }
  check(!step(w, NULL) && told(PL_ERROR, "sgd: no pl_sgd_step"), "no options");
  const int64_t at = 1;
  check(!pl_adam(1, &w, &w, &w, &w, &at, &(pl_adam_step){.lr = 1}) &&
            told(PL_ERROR, "the size in its pl_adam_step is 0; sizeof(pl_adam_step) expected"),
        "Adam's");
  check(!pl_rmsprop(1, &w, &w, &w, NULL, &(pl_rmsprop_step){.lr = 1}) &&
            told(PL_ERROR, "the size in its pl_rmsprop_step is 0"),
        "RMSprop's");
  double one = 1, mu = 1;
  check(!pl_adagrad(1, &w, &w, &w, &at, &(pl_adagrad_step){.lr = 1}) &&
            told(PL_ERROR, "the size in its pl_adagrad_step is 0"),
        "Adagrad's");
  check(!pl_nadam(1, &w, &w, &w, &w, &at, &one, &(pl_nadam_step){.lr = 1}) && one == 1 &&
            told(PL_ERROR, "the size in its pl_nadam_step is 0"),
        "NAdam's");
  check(!pl_radam(1, &w, &w, &w, &w, &at, &(pl_radam_step){.lr = 1}) &&
            told(PL_ERROR, "the size in its pl_radam_step is 0"),
        "RAdam's");
  check(!pl_asgd(1, &w, &w, &w, &at, &one, &mu, &(pl_asgd_step){.lr = 1}) && one == 1 && mu == 1 &&
            told(PL_ERROR, "the size in its pl_asgd_step is 0"),
        "ASGD's");
  check(!pl_lion(1, &w, &w, &w, &(pl_lion_step){.lr = 1}) &&
            told(PL_ERROR, "the size in its pl_lion_step is 0"),
        "Lion's");
  const pl_sgd_step up = {.size = sizeof up, .lr = 0.5, .maximize = true};
  check(step(w, &up) && pl_at(w, 0) == 1.5, "up the gradient");
  pl_scope_end();
}

static void test_host_options(void) {
  static const char *const words[] = {"program", "word"};
  check(!pl_host_open(&(pl_host_options){.argc = 1}) &&
            told(PL_ERROR, "pl_host_open: the size in its pl_host_options is 0"),
        "a host without a size");
  const older_host_options older = {sizeof older, 2, words};
  pl_host *h = pl_host_open((const void *)&older);
  check(h && pl_host_run_string(h, "assert(arg[1] == 'word')", "=older"), "of an older program");
  pl_host_close(h);
  h = pl_host_open(NULL);
  check(h && pl_host_run_string(h, "assert(not arg)", "=none"), "none");
  pl_host_close(h);
}

/*
** Codes
*/

static void test_codes(void) {
  pl_scope_begin();
  pl_tensor *a = pl_full(PL_REAL, pl_list(2), 1), *b = pl_full(PL_REAL, pl_list(3), 1);
  check(pl_error_code() == PL_OK, "none");
  check(!pl_add(a, b) && told(PL_ERROR, "add: "), "sizes that do not fit");
  pl_memory_fail_after(0);
  check(!pl_add(a, a) && told(PL_ERROR_MEMORY, "not enough memory"), "memory");
  pl_memory_fail_after(-1);
  pl_interrupt();
  check(!pl_add(a, a) && told(PL_ERROR_INTERRUPTED, "interrupted"), "an interrupt");
  pl_interrupt_clear();
  check(!pl_fail_as(PL_ERROR_FILE, "no %s", "file") && !pl_fail("later"), "one's own");
  check(told(PL_ERROR_FILE, "no file"), "the first stays");
  check(!pl_fail_as(PL_OK, "nothing") && told(PL_ERROR, "nothing"), "a failure is one");
  pl_scope_end();
}

/* Whether the code fails in this way, by itself and within other functions. */
static bool ends_in(pl_host *h, pl_status code, const char *script) {
  const bool good = !pl_host_run_string(h, script, "=codes") && pl_host_error_code(h) == code;
  if (!good)
    printf("%d expected, not %d: %s\n", code, (int)pl_host_error_code(h), pl_host_error(h));
  return good;
}

static int stop_itself(lua_State *L) {
  (void)L;
  pl_host_interrupt();
  return 0;
}

static int huge(lua_State *L) {
  lua_newuserdatauv(L, (size_t)1 << 46, 0);
  return 1;
}

static const char by_gradient[] =
    "local f = pl.custom(function(c, x) return x * 1 end,\n"
    "  function(c, g) assert(pl.load '/nowhere/at/all'); return g end)\n"
    "f(pl.ones(1):requires_grad_()):sum():backward()";

static void test_host_codes(void) {
  pl_host *h = pl_host_open(NULL);
  check(pl_host_error_code(h) == PL_OK, "no run");
  check(pl_host_run_string(h, "pl = require 'perilune'", "=codes"), "a run");
  check(ends_in(h, PL_ERROR_SYNTAX, "x ="), "no Lua");
  check(ends_in(h, PL_ERROR_SCRIPT, "error('no')"), "an error of the script");
  check(ends_in(h, PL_ERROR_SCRIPT, "error {}"), "one that is no text");
  check(ends_in(h, PL_ERROR_SCRIPT, "pl.ones(2) :view(3)"), "a call that fails");
  check(ends_in(h, PL_ERROR_SCRIPT, "return pl.ones(2) + pl.ones(3)"), "an op that fails");
  check(ends_in(h, PL_ERROR_FILE, "assert(pl.load '/nowhere/at/all')"), "a file");
  check(ends_in(h, PL_ERROR_FILE, by_gradient), "one within a gradient");
  check(ends_in(h, PL_ERROR_FILE,
                "local t, why = pl.load '/nowhere/at/all'\n"
                "error('cannot begin: ' .. why)"),
        "an error that passes on what it met");
  check(ends_in(h, PL_ERROR_SCRIPT, "pl.load '/nowhere/at/all' error('another')"),
        "another than what was met before");
  check(ends_in(h, PL_ERROR_MEMORY, "return pl.ones(1 << 30, 1 << 14)"), "memory for a tensor");
  lua_register(pl_host_lua(h), "huge", huge);
  check(ends_in(h, PL_ERROR_MEMORY, "huge()"), "memory for Lua");
  check(ends_in(h, PL_ERROR_MEMORY, "coroutine.wrap(huge)()"), "within a coroutine");
  lua_register(pl_host_lua(h), "stop", stop_itself);
  check(ends_in(h, PL_ERROR_INTERRUPTED, "stop() for i = 1, 1e9 do end"), "an interrupt");
  check(ends_in(h, PL_ERROR_SCRIPT, "error('interrupted')"), "which a later run has no part in");
  check(ends_in(h, PL_ERROR_INTERRUPTED,
                "stop(); while true do pcall(function() return pl.ones(9):sum() end) end"),
        "that pcall catches");
  check(!pl_host_run_file(h, "/nowhere/at/all") && pl_host_error_code(h) == PL_ERROR_FILE,
        "a file that is not there");
  check(pl_host_run_string(h, "pl.ones(1)", "=codes") && pl_host_error_code(h) == PL_OK,
        "a run that goes well");
  check(pl_error_code() == PL_OK, "the program's own slot is clear");
  const bool draws = pl_host_run_string(h, "pl.plot.figure():pixels()", "=codes");
  check(pl_host_error_code(h) == (draws ? PL_OK : PL_ERROR_UNSUPPORTED), "a minimal build");
  pl_host_close(h);
}

int main(void) {
  test_version();
  test_options();
  test_host_options();
  test_codes();
  test_host_codes();
  return count();
}
