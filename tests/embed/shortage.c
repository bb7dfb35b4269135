/*
** shortage.c: memory that is refused, each allocation in its turn, while a host is opened, runs, and
** is closed: nothing crashes, nothing is lost, the failure is an error, and the host goes on once
** there is memory again. What Lua asks for, what the engine asks for, and, but for the sanitizers,
** which have their own, what the C library is asked for.
**
** usage: shortage [STEP]   every allocation with 1; a few seconds with the usual 199
*/
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "sanitized.h"

/* Counts down to the allocation that is refused, and then further if all after it are; at rest it is
 * negative. */
typedef struct {
  long left;
  bool all;
} refusal;

static bool refused(refusal *r) {
  if (r->left < 0) return false;
  if (r->left > 0) return r->left--, false;
  if (!r->all) r->left = -1;
  return true;
}

/*
** The C library
*/

static _Thread_local refusal of_library = {.left = -1};
static _Thread_local long blocks;

#if !SANITIZED
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t), __libc_free(void *);

static void *counted(void *block) {
  if (block) blocks++;
  return block;
}

void *malloc(size_t size) { return refused(&of_library) ? NULL : counted(__libc_malloc(size)); }

void *calloc(size_t n, size_t size) {
  return refused(&of_library) ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *block, size_t size) {
  if (!block) return malloc(size);
  if (!size) return free(block), NULL;
  return refused(&of_library) ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t to, size_t size) { /* OpenMP ends the program without memory */
  return counted(__libc_memalign(to, size));
}

void *memalign(size_t to, size_t size) { return aligned_alloc(to, size); }

int posix_memalign(void **block, size_t to, size_t size) {
  *block = aligned_alloc(to, size);
  return 0;
}

void free(void *block) {
  if (block) blocks--;
  __libc_free(block);
}
#endif

/*
** Lua
*/

static refusal of_lua = {.left = -1};
static lua_Alloc usual_alloc;

static void *alloc(void *memory, void *block, size_t old, size_t size) {
  if (size && (!block || size > old) && refused(&of_lua)) return NULL;
  return usual_alloc(memory, block, old, size);
}

static pl_host *open_watched(void) {
  pl_host *h = pl_host_open(NULL);
  if (!h) return NULL;
  void *memory;
  usual_alloc = lua_getallocf(pl_host_lua(h), &memory);
  lua_setallocf(pl_host_lua(h), alloc, memory);
  return h;
}

/*
** The work
*/

static const char work[] =
    "local pl = require 'perilune'\n"
    "pl.threads(1)\n"
    "local w = pl.ones(2, 3):requires_grad_()\n"
    "local square = pl.custom(function(c, x) c.x = x; return x * x end,\n"
    "  function(c, g) return g * 2 * c.x end)\n"
    "pl.tidy(function()\n"
    "  local loss = (square(w) + pl.randn(2, 3)):matmul(w:t()):sum()\n"
    "  loss:backward()\n"
    "  pl.no_grad(function() w:add_(w.grad, -0.1) end)\n"
    "end)\n"
    "local co = coroutine.wrap(function() local t <close> = pl.cat {w, w}; coroutine.yield(t) "
    "end)\n"
    "co()\n"
    "pcall(function() local t <close> = pl.ones(3); return t:matmul(pl.ones(4)) end)\n"
    "assert(tostring(w):find('real', 1, true))\n"
    "return pl.nn.Linear(3, 2)(w):sum():item()";

static bool run(pl_host *h) { return pl_host_run_string(h, work, "=work"); }

/* A failure has a message, and is over when there is memory. */
static bool recovers(pl_host *h, bool ran) {
  if (!ran && !pl_host_error(h)) return printf("a failure without a message\n"), false;
  pl_context *before = pl_context_enter(pl_host_context(h));
  const bool quiet = !pl_error() && pl_grad_enabled(), grad = pl_grad_enabled();
  const char *left = pl_error() ? pl_error() : "no error";
  pl_context_enter(before);
  if (!quiet) return printf("after a failure: %s is left, grad %d\n", left, grad), false;
  if (run(h)) return true;
  return printf("after a failure: %s\n", pl_host_error(h)), false;
}

typedef void (*refuse)(long after, bool all);

static void refuse_library(long after, bool all) { of_library = (refusal){after, all}; }
static void refuse_lua(long after, bool all) { of_lua = (refusal){after, all}; }

static pl_host *refusing;
static void refuse_engine(long after, bool all) {
  (void)all;
  pl_context *before = pl_context_enter(pl_host_context(refusing));
  pl_memory_fail_after(after);
  pl_context_enter(before);
}

/* Runs with the n-th allocation refused, until it is not reached; true if all went well. */
static bool refuse_each(refuse f, int step, bool all) {
  bool ok = true, ran = false;
  for (long n = 0; !ran && ok; n += n < 40 ? 1 : step) {
    pl_host *h = refusing = open_watched();
    f(n, all);
    ran = run(h);
    const bool reached = f == refuse_engine ? !ran
                         : f == refuse_lua  ? of_lua.left < 0 || all
                                            : of_library.left < 0 || all;
    f(-1, false);
    ok = recovers(h, ran);
    pl_host_close(h);
    if (!all && reached) ran = false; /* one allocation may be tried again, or done without */
  }
  return ok && pl_memory_now().tensors == 0 && pl_memory_now().live_bytes == 0 && !pl_error();
}

/* The same for opening and closing. */
static bool refuse_opening(int step, bool all) {
  bool over = false, ok = true;
  for (long n = 0; !over && ok; n += n < 40 ? 1 : step) {
    const long before = blocks;
    refuse_library(n, all);
    pl_host *h = pl_host_open(NULL);
    over = of_library.left > 0;
    refuse_library(-1, false);
    ok = h ? run(h) : pl_error_code() == PL_ERROR_MEMORY;
    pl_error_clear();
    refuse_library(all ? 0 : -1, all);
    pl_host_close(h);
    refuse_library(-1, false);
    if (blocks != before)
      ok = !printf("opening: %ld blocks lost with %ld refused\n", blocks - before, n);
  }
  return ok && pl_memory_now().tensors == 0 && !pl_error();
}

int main(int argc, char **argv) {
  const int step = argc > 1 ? atoi(argv[1]) : 199;
  pl_host *h = pl_host_open(NULL); /* what is made once */
  check(run(h), "with memory");
  pl_host_close(h);
  for (int all = 0; all < 2; all++) {
    check(refuse_each(refuse_lua, step, all), "Lua's allocations");
    check(refuse_each(refuse_library, step, all), "the C library's");
    check(refuse_opening(step, all), "those of opening and closing");
  }
  check(refuse_each(refuse_engine, step, true), "the engine's");
  return count();
}
