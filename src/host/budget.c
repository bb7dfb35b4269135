/*
** budget.c: see budget.h.
*/
#include "budget.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Instructions are counted so many at a time. */
enum { COUNT_STEP = 1000 };

double pl_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/*
** Time. The signal comes once more each 10 ms, in case that it came between two states.
*/

#define AGAIN 0.01

static struct timespec timespec_of(double seconds) {
  const double whole = floor(seconds);
  return (struct timespec){(time_t)whole, (long)(1e9 * (seconds - whole))};
}

static bool make_timer(pl_budget *b, int thread) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = pl_stop_signal()};
  event._sigev_un._tid = thread;
  if (b->has_timer && b->thread == thread) return true;
  pl_budget_close(b);
  b->has_timer = timer_create(CLOCK_MONOTONIC, &event, &b->timer) == 0;
  b->thread = thread;
  return b->has_timer;
}

static void set_timer(const pl_budget *b, double seconds) {
  const struct itimerspec t = {.it_value = timespec_of(seconds),
                               .it_interval = timespec_of(seconds > 0 ? AGAIN : 0)};
  if (b->has_timer) timer_settime(b->timer, 0, &t, NULL);
}

void pl_budget_close(pl_budget *b) {
  if (b->has_timer) timer_delete(b->timer);
  b->has_timer = false;
}

/*
** Instructions
*/

static void count_hook(lua_State *L, lua_Debug *ar) {
  pl_budget *b = pl_stop_budget(plb_state_of(L)->stop);
  (void)ar;
  if (!b || !b->limits.instructions) lua_sethook(L, NULL, 0, 0);
  else if ((b->instructions -= COUNT_STEP) < 0) pl_stop_limit(b->stop, PL_ERROR_INSTRUCTIONS);
}

void pl_budget_hook(const pl_budget *b, lua_State *L) {
  if (b && b->limits.instructions) lua_sethook(L, count_hook, LUA_MASKCOUNT, COUNT_STEP);
  else lua_sethook(L, NULL, 0, 0);
}

/*
** Runs
*/

bool pl_budget_begin(pl_budget *b, lua_State *L) {
  b->instructions = b->limits.instructions;
  b->output = b->limits.output;
  b->refused = false;
  if (b->limits.instructions) pl_budget_hook(b, L);
  if (!(b->limits.seconds > 0)) return true;
  b->deadline = pl_seconds() + b->limits.seconds;
  if (!make_timer(b, gettid())) return false;
  set_timer(b, b->limits.seconds);
  return true;
}

void pl_budget_end(pl_budget *b, lua_State *L) {
  if (b->limits.seconds > 0) set_timer(b, 0);
  b->deadline = 0;
  if (b->limits.instructions) lua_sethook(L, NULL, 0, 0);
}

/*
** Bytes. Where Lua is refused, it collects garbage and asks once more. After the limit was reached,
** what ends the run, messages and close handlers, has a little more.
*/

enum { SPARE = 1 << 20 };

bool pl_budget_allows(pl_budget *b, size_t old, size_t size) {
  const int64_t more = (int64_t)size - (int64_t)old;
  if (size <= old || !b->limits.bytes) return true;
  if (plb_may_grow(b->state, more)) {
    b->refused = false;
    return true;
  }
  if (pl_stop_reason(b->stop) && more < SPARE && plb_may_grow(b->state, more - SPARE)) return true;
  if (b->refused) pl_stop_limit(b->stop, PL_ERROR_BYTES);
  b->refused = true;
  return false;
}

bool pl_budget_writes(pl_budget *b, size_t size) {
  if (!b->limits.output) return true;
  b->output -= (int64_t)size;
  if (b->output >= 0) return true;
  pl_stop_limit(b->stop, PL_ERROR_OUTPUT);
  return false;
}

void pl_budget_message(const pl_budget *b, pl_status why, char *text, size_t n) {
  const pl_limits *l = &b->limits;
  if (why == PL_ERROR_BYTES)
    snprintf(text, n, "the limit of %lld bytes was reached", (long long)l->bytes);
  else if (why == PL_ERROR_DEADLINE) snprintf(text, n, "the limit of %g s was reached", l->seconds);
  else if (why == PL_ERROR_INSTRUCTIONS)
    snprintf(text, n, "the limit of %lld instructions was reached", (long long)l->instructions);
  else if (why == PL_ERROR_OUTPUT)
    snprintf(text, n, "the limit of %lld bytes of output was reached", (long long)l->output);
  else snprintf(text, n, "interrupted!");
}
