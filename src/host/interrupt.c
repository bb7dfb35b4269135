/*
** interrupt.c: see interrupt.h. A thread of Lua is hooked by the thread that executes it alone, at a
** point where Lua itself calls (an allocation, a change of coroutine) or in a signal handler on it:
** lua_sethook walks the list of calls, which must stand still for that. What others touch is atomic.
*/
#include "interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <lualib.h>

#include "budget.h"

/* Close handlers have so many seconds between the first and the second error, less where a limit was
 * reached; the clock is read once in so many instructions. */
#define GRACE       0.5
#define LIMIT_GRACE 0.02
enum { CLOCK_STEP = 10 };
/* What has reached a limit gets so much more at once, so that a call of C ends that would read a file whole. */
enum { LAST_BYTES = 1 << 20 };

/* What a state does; from RUNNING on by requests and what follows from them. */
enum {
  IDLE,
  RUNNING,
  REQUESTED, /* the thread that runs has not seen it */
  HOOKED,    /* the hook raises */
  RAISED     /* it waits for the end of grace */
};

struct pl_stop {
  pl_context *context;
  pl_stop *around; /* of the state that called C that called this one, or NULL */
  lua_Alloc allocate;
  void *memory;                 /* its argument */
  _Atomic(lua_State *) running; /* the thread of Lua that executes; NULL: none */
  atomic_int phase;
  atomic_int why;      /* a pl_status: why it is stopped */
  pl_budget *budget;   /* NULL: it has no limits */
  atomic_int thread;   /* of the system, that executes it, if there is a signal for it */
  double grace_end;    /* as pl_seconds counts */
  atomic_bool asked;   /* the script was told */
  atomic_bool handled; /* the script wants to be told, not stopped */
};

/* What this thread executes, the innermost; found without a call, for signal handlers. */
static _Thread_local __attribute__((tls_model("initial-exec"))) pl_stop *innermost;
/* By which threads are reached that execute; 0: by none. */
static atomic_int stop_signal;

static pl_stop *stop_of(lua_State *L) {
  plb_state *s = plb_state_of(L);
  if (s->stop) return s->stop;
  s->stop = plb_hang(s, sizeof *s->stop);
  if (!s->stop) luaL_error(L, "not enough memory for a context");
  s->stop->context = s->context;
  return s->stop;
}

/* Raises once, lets close handlers work, and raises at every instruction after that. */
static void stop_hook(lua_State *L, lua_Debug *ar) {
  pl_stop *s = plb_state_of(L)->stop;
  (void)ar;
  if (s->phase < REQUESTED) { /* left over in a coroutine that survived the request */
    pl_budget_hook(s->budget, L);
    return;
  }
  const bool first = s->phase != RAISED, in_grace = !first && pl_seconds() < s->grace_end;
  if (first) s->grace_end = pl_seconds() + (s->why == PL_ERROR_INTERRUPTED ? GRACE : LIMIT_GRACE);
  lua_sethook(L, stop_hook, LUA_MASKCOUNT, first || in_grace ? CLOCK_STEP : 1);
  if (in_grace) return;
  s->phase = RAISED;
  luaL_error(L, "%s", pl_stop_message(s, (char[PL_STOP_MESSAGE]){0}));
}

static void hook_now(lua_State *L) {
  lua_sethook(L, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

/* The thread that executes the state has seen the request. Async-signal-safe. */
static void see_request(pl_stop *s) {
  lua_State *L = s->running;
  int requested = REQUESTED;
  if (!L || !atomic_compare_exchange_strong(&s->phase, &requested, HOOKED)) return;
  pl_context_interrupt(s->context);
  hook_now(L);
}

static bool is_executed_here(const pl_stop *s) {
  const pl_stop *i = innermost;
  while (i && i != s) i = i->around;
  return i != NULL;
}

/* A thread that has ended since gets no signal, and another one finds nothing to do. */
static void reach(pl_stop *s) {
  if (is_executed_here(s)) see_request(s);
  else if (stop_signal) tgkill(getpid(), s->thread, stop_signal);
}

static void request(pl_stop *s, pl_status why) {
  int running = RUNNING, none = PL_OK;
  if (s->phase != RUNNING) return; /* nothing to stop */
  atomic_compare_exchange_strong(&s->why, &none, (int)why);
  pl_context_interrupt(s->context);
  if (atomic_compare_exchange_strong(&s->phase, &running, REQUESTED)) reach(s);
}

void pl_stop_request(pl_stop *s) {
  if (s->handled) {
    s->asked = true;
    return;
  }
  request(s, PL_ERROR_INTERRUPTED);
}

void pl_stop_limit(pl_stop *s, pl_status why) { request(s, why); }

pl_status pl_stop_reason(const pl_stop *s) { return (pl_status)s->why; }

const char *pl_stop_message(const pl_stop *s, char text[PL_STOP_MESSAGE]) {
  const pl_budget none = {0};
  pl_budget_message(s->budget ? s->budget : &none, pl_stop_reason(s), text, PL_STOP_MESSAGE);
  return text;
}

pl_budget *pl_stop_budget(const pl_stop *s) { return s->budget; }

void pl_stop_set_budget(pl_stop *s, pl_budget *b) { s->budget = b; }

void pl_stop_request_here(void) {
  for (pl_stop *s = innermost; s; s = s->around) pl_stop_request(s);
}

/* Time that is over for one is over for all within it. */
static void look_at_the_clock(void) {
  pl_stop *late = NULL;
  for (pl_stop *s = innermost; s; s = s->around)
    if (s->budget && s->budget->deadline > 0 && pl_seconds() >= s->budget->deadline) late = s;
  if (!late) return;
  for (pl_stop *s = innermost; s != late; s = s->around) request(s, PL_ERROR_INTERRUPTED);
  request(late, PL_ERROR_DEADLINE);
}

static void on_signal(int number) {
  const int error = errno;
  (void)number;
  look_at_the_clock();
  for (pl_stop *s = innermost; s; s = s->around) see_request(s);
  errno = error;
}

int pl_stop_signal(void) { return stop_signal; }

/* Without SA_RESTART: what waits in a call of the system, for input, does not go on waiting. */
bool pl_stop_by(int number) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  if (sigaction(number, &action, NULL) != 0) return false;
  stop_signal = number;
  return true;
}

/* In the child of a fork the thread that goes on has another number, and no timer. */
static void after_fork(void) {
  for (pl_stop *s = innermost; s; s = s->around) {
    if (stop_signal) s->thread = gettid();
    if (s->budget) pl_budget_fork(s->budget);
  }
}

__attribute__((constructor)) static void start(void) { pthread_atfork(NULL, NULL, after_fork); }

/* A request may come between the lines: then it hooks L itself. */
static void run_thread(pl_stop *s, lua_State *L) {
  s->running = L;
  if (s->phase == REQUESTED) see_request(s);
  else if (L != NULL && s->phase > REQUESTED) hook_now(L);
}

lua_State *pl_stop_enter(pl_stop *s, lua_State *L) {
  lua_State *before = s->running;
  if (before == NULL) {
    s->around = innermost;
    innermost = s;
    if (stop_signal) s->thread = gettid();
    pl_interrupt_clear(); /* of a request that came too late for the run before */
    s->why = PL_OK;
    s->phase = RUNNING;
    if (s->budget && !pl_budget_begin(s->budget, L)) request(s, PL_ERROR_DEADLINE);
  }
  run_thread(s, L);
  return before;
}

pl_status pl_stop_leave(pl_stop *s, lua_State *L, lua_State *before) {
  if (before != NULL) {
    run_thread(s, before);
    return s->phase > RUNNING ? pl_stop_reason(s) : PL_OK;
  }
  if (s->budget) pl_budget_end(s->budget, L);
  innermost = s->around;
  s->running = NULL;
  const bool was_stopped = atomic_exchange(&s->phase, IDLE) > RUNNING;
  const pl_status stopped = was_stopped ? pl_stop_reason(s) : PL_OK;
  if (was_stopped) lua_sethook(L, NULL, 0, 0);
  s->asked = s->handled = false;
  pl_interrupt_clear();
  return stopped;
}

/* Lua calls it often, and only from the thread that executes. */
static void *allocate(void *stop, void *block, size_t old, size_t size) {
  pl_stop *s = stop;
  if (atomic_load_explicit(&s->phase, memory_order_relaxed) == REQUESTED) see_request(s);
  if (!s->budget) return s->allocate(s->memory, block, old, size);
  pl_budget *b = s->budget;
  const int64_t more =
      (int64_t)size - (block ? (int64_t)old : 0); /* of a new one `old` is no size */
  if (more > b->room && !pl_budget_allows(b, more)) return NULL;
  if (more > LAST_BYTES && s->why > PL_ERROR_INTERRUPTED) return NULL;
  void *result = s->allocate(s->memory, block, old, size);
  if (!result && size) return NULL;
  if (more > 0) b->refused = false;
  if ((b->room -= more) > b->most_room) pl_budget_return(b);
  return result;
}

/*
** Coroutines. Both wrappers call the original function (upvalue 1) protected, so that
** `running` never names a dead thread.
*/

static int call_thread(lua_State *L, lua_State *co) {
  pl_stop *s = stop_of(L);
  lua_State *before = s->running;
  const int64_t below = pl_budget_descend(s->budget, L, co);
  run_thread(s, co);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  pl_budget_ascend(s->budget, below);
  run_thread(s, before);
  return status;
}

static int watched_resume(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (call_thread(L, co) != LUA_OK) return lua_error(L);
  return lua_gettop(L);
}

static int watched_generator(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (call_thread(L, co) == LUA_OK) return lua_gettop(L);
  if (lua_type(L, -1) == LUA_TSTRING) { /* say where it was called, as Lua does */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int watched_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_getupvalue(L, -1, 1); /* the thread */
  lua_pushcclosure(L, watched_generator, 2);
  return 1;
}

static void replace(lua_State *L, const char *name, lua_CFunction watched) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, watched, 1);
  lua_setfield(L, -2, name);
}

pl_stop *pl_stop_watch(lua_State *L) {
  lua_getglobal(L, LUA_COLIBNAME);
  replace(L, "resume", watched_resume);
  replace(L, "wrap", watched_wrap);
  replace(L, "close", watched_resume); /* its close handlers */
  lua_pop(L, 1);
  pl_stop *s = stop_of(L);
  s->allocate = lua_getallocf(L, &s->memory);
  lua_setallocf(L, allocate, s);
  return s;
}

/*
** What scripts see
*/

/* handle_interrupts([on=true]) -> what it was */
static int handle_interrupts(lua_State *L) {
  pl_stop *s = stop_of(L);
  const bool on = lua_isnoneornil(L, 1) || lua_toboolean(L, 1);
  lua_pushboolean(L, s->handled);
  s->handled = on;
  return 1;
}

static int interrupted(lua_State *L) {
  plb_enter(L);
  lua_pushboolean(L, stop_of(L)->asked || pl_interrupted());
  return 1;
}

static int clear_interrupt(lua_State *L) {
  pl_stop *s = stop_of(L);
  plb_enter(L);
  s->asked = false;
  if (s->phase <= RUNNING) pl_interrupt_clear();
  return 0;
}

static const plb_function functions[] = {
    {"handle_interrupts", handle_interrupts,
     "(on=true)\nWhether Ctrl-C only tells the script, which asks interrupted() and ends by "
     "itself, "
     "instead of stopping it; returns what held before."},
    {"interrupted", interrupted, "()\nWhether Ctrl-C was pressed."},
    {"clear_interrupt", clear_interrupt, "()\nForgets that Ctrl-C was pressed."},
    {NULL, NULL, NULL}};

void pl_stop_install(lua_State *L) {
  lua_newtable(L); /* no methods */
  lua_getfield(L, 1, "docs");
  lua_getfield(L, 1, "groups");
  plb_add(L, "The program and the computer", functions, NULL);
  lua_settop(L, 1);
}
