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

static bool hooks(const pl_budget *b) { return b->limits.instructions || b->limits.depth; }

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
  const pid_t process = getpid();
  if (b->has_timer && b->thread == thread && b->process == process) return true;
  pl_budget_close(b);
  b->has_timer = timer_create(CLOCK_MONOTONIC, &event, &b->timer) == 0;
  b->thread = thread;
  b->process = process;
  return b->has_timer;
}

static void set_timer(const pl_budget *b, double seconds) {
  const struct itimerspec t = {.it_value = timespec_of(seconds),
                               .it_interval = timespec_of(seconds > 0 ? AGAIN : 0)};
  if (b->has_timer) timer_settime(b->timer, 0, &t, NULL);
}

void pl_budget_close(pl_budget *b) {
  if (b->has_timer && b->process == getpid()) timer_delete(b->timer);
  b->has_timer = false;
}

void pl_budget_fork(pl_budget *b) {
  const double left = b->deadline - pl_seconds();
  if (b->deadline > 0 && make_timer(b, gettid())) set_timer(b, left > 0 ? left : AGAIN);
}

/*
** Depth. Lua says of a thread only whether it has n calls. So they are counted, which takes as many
** steps, and not before so many have begun since that the limit may be passed; by as much as an
** eighth, so that a script that stays just below it is not slowed down by the counting.
*/

static int64_t depth_of(lua_State *L) {
  lua_Debug ar;
  int low = 0, high = 1; /* the depth is above low, and at most high */
  while (lua_getstack(L, high, &ar)) {
    low = high;
    high *= 2;
  }
  while (low + 1 < high) {
    const int middle = low + (high - low) / 2;
    if (lua_getstack(L, middle, &ar)) low = middle;
    else high = middle;
  }
  return high;
}

static void begin_call(pl_budget *b, lua_State *L) {
  const int64_t most = b->limits.depth;
  if (!most || --b->calls >= 0) return;
  const int64_t left = most - b->below - depth_of(L);
  if (left < 0) pl_stop_limit(b->stop, PL_ERROR_DEPTH);
  b->calls = left > most / 8 ? left : most / 8;
}

int64_t pl_budget_descend(pl_budget *b, lua_State *L, lua_State *co) {
  const int64_t below = b ? b->below : 0;
  if (b && hooks(b) && !lua_gethook(co)) pl_budget_hook(b, co);
  if (b && b->limits.depth) {
    b->below += depth_of(L);
    b->calls = 0;
  }
  return below;
}

void pl_budget_ascend(pl_budget *b, int64_t below) {
  if (b) {
    b->below = below;
    b->calls = 0;
  }
}

/*
** Hooks
*/

static void hook(lua_State *L, lua_Debug *ar) {
  pl_budget *b = pl_stop_budget(plb_state_of(L)->stop);
  if (!b || !hooks(b)) lua_sethook(L, NULL, 0, 0);
  else if (ar->event == LUA_HOOKCALL) begin_call(b, L);
  else if (ar->event == LUA_HOOKCOUNT && (b->instructions -= COUNT_STEP) < 0)
    pl_stop_limit(b->stop, PL_ERROR_INSTRUCTIONS);
}

void pl_budget_hook(const pl_budget *b, lua_State *L) {
  const int count = b && b->limits.instructions ? LUA_MASKCOUNT : 0;
  const int call = b && b->limits.depth ? LUA_MASKCALL : 0;
  lua_sethook(L, count || call ? hook : NULL, count | call, count ? COUNT_STEP : 0);
}

/*
** Runs
*/

bool pl_budget_begin(pl_budget *b, lua_State *L) {
  b->instructions = b->limits.instructions;
  b->output = b->limits.output;
  b->refused = false;
  b->below = b->calls = 0;
  if (hooks(b)) pl_budget_hook(b, L);
  if (!(b->limits.seconds > 0)) return true;
  b->deadline = pl_seconds() + b->limits.seconds;
  if (!make_timer(b, gettid())) return false;
  set_timer(b, b->limits.seconds);
  return true;
}

void pl_budget_end(pl_budget *b, lua_State *L) {
  if (b->limits.seconds > 0) set_timer(b, 0);
  b->deadline = 0;
  if (hooks(b)) lua_sethook(L, NULL, 0, 0);
}

/*
** Bytes. Lua allocates some ten million times a second, so it takes room for some allocations at a time
** and the account of the context has that. Where it is refused, it collects garbage and asks once more.
** After the limit was reached, what ends the run, messages and close handlers, has a little more.
*/

enum { SPARE = 1 << 20, ROOM = 32 << 10 };

static bool take_room(pl_budget *b, int64_t more, int64_t spare) {
  const int64_t missing = more - b->room;
  if (!plb_may_grow(b->state, missing - spare)) return false;
  plb_count_bytes(b->state, missing);
  b->room = more;
  return true;
}

bool pl_budget_allows(pl_budget *b, int64_t more) {
  if (take_room(b, more + ROOM, 0) || take_room(b, more, 0)) return true;
  if (pl_stop_reason(b->stop) && more < SPARE && take_room(b, more, SPARE)) return true;
  if (b->refused) pl_stop_limit(b->stop, PL_ERROR_BYTES);
  b->refused = true;
  return false;
}

void pl_budget_return(pl_budget *b) {
  plb_count_bytes(b->state, ROOM - b->room);
  b->room = ROOM;
}

pl_budget pl_budget_of(const pl_limits *limits, plb_state *state, pl_stop *stop) {
  const bool bound = limits->bytes > 0;
  return (pl_budget){.limits = *limits,
                     .state = state,
                     .stop = stop,
                     .room = bound ? 0 : INT64_MAX / 4,
                     .most_room = bound ? 2 * ROOM : INT64_MAX};
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
  else if (why == PL_ERROR_FILES)
    snprintf(text, n, "the limit of %lld open files was reached", (long long)l->files);
  else if (why == PL_ERROR_DEPTH)
    snprintf(text, n, "the limit of %lld calls within each other was reached", (long long)l->depth);
  else snprintf(text, n, "interrupted!");
}
