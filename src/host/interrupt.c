/*
** interrupt.c: see interrupt.h. What a signal handler or another thread touches is atomic, and
** changed in an order that is right at every point.
*/
#include "interrupt.h"

#include <stdatomic.h>
#include <time.h>

#include <lualib.h>

#include "bind/bind.h"

/* Close handlers have so many seconds between the first and the second error; the clock is read
 * once in so many instructions. */
#define GRACE 0.5
enum { CLOCK_STEP = 10 };

struct pl_stop {
  pl_context *context;
  pl_stop *around;              /* of the state that called C that called this one, or NULL */
  _Atomic(lua_State *) running; /* the thread that executes; NULL: none */
  atomic_int hooking;           /* requests that are under way */
  atomic_int stopping;          /* 1: the hook raises; 2: it waits for the end of grace */
  double grace_end;             /* as `seconds` counts */
  atomic_bool asked;            /* the script was told */
  atomic_bool handled;          /* the script wants to be told, not stopped */
};

static pl_stop *stop_of(lua_State *L) {
  plb_state *s = plb_state_of(L);
  if (s->stop) return s->stop;
  s->stop = plb_hang(s, sizeof *s->stop);
  if (!s->stop) luaL_error(L, "not enough memory for a context");
  s->stop->context = s->context;
  return s->stop;
}

pl_stop *pl_stop_here(void) { return plb_here() ? plb_here()->stop : NULL; }

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Raises once, lets close handlers work, and raises at every instruction after that. */
static void stop_hook(lua_State *L, lua_Debug *ar) {
  pl_stop *s = plb_state_of(L)->stop;
  (void)ar;
  if (!s->stopping) { /* left over in a coroutine that survived the request */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  const bool first = s->stopping == 1, in_grace = !first && seconds() < s->grace_end;
  if (first) s->grace_end = seconds() + GRACE;
  lua_sethook(L, stop_hook, LUA_MASKCOUNT, first || in_grace ? CLOCK_STEP : 1);
  if (in_grace) return;
  s->stopping = 2;
  luaL_error(L, "interrupted!");
}

static void hook_now(lua_State *L) {
  lua_sethook(L, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void pl_stop_request(pl_stop *s) {
  if (s->handled) {
    s->asked = true;
    return;
  }
  s->hooking++;
  lua_State *L = s->running;
  if (L != NULL) { /* something to stop */
    pl_context_interrupt(s->context);
    s->stopping = 1;
    hook_now(L);
  }
  s->hooking--;
}

void pl_stop_request_here(void) {
  for (pl_stop *s = pl_stop_here(); s; s = s->around) pl_stop_request(s);
}

/* A request may come between the lines: then it hooks L itself. One from another thread may still be
 * hooking the coroutine that ran before, which must not die under its hands. */
static void run_thread(pl_stop *s, lua_State *L) {
  s->running = L;
  while (s->hooking) continue;
  if (L != NULL && s->stopping) hook_now(L);
}

lua_State *pl_stop_enter(pl_stop *s, lua_State *L, pl_stop *around) {
  lua_State *before = s->running;
  if (before == NULL) s->around = around;
  run_thread(s, L);
  return before;
}

bool pl_stop_leave(pl_stop *s, lua_State *L, lua_State *before) {
  bool stopped = s->stopping != 0;
  run_thread(s, before);
  if (before != NULL) return stopped;
  if (stopped) lua_sethook(L, NULL, 0, 0);
  s->stopping = 0;
  s->asked = s->handled = false;
  s->around = NULL;
  pl_interrupt_clear();
  return stopped;
}

/*
** Coroutines. Both wrappers call the original function (upvalue 1) protected, so that
** `running` never names a dead thread.
*/

static int call_thread(lua_State *L, lua_State *co) {
  pl_stop *s = stop_of(L);
  lua_State *before = s->running;
  run_thread(s, co);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
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
  lua_pop(L, 1);
  return stop_of(L);
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
  plb_enter(L);
  stop_of(L)->asked = false;
  pl_interrupt_clear();
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
