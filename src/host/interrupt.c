/*
** interrupt.c: see interrupt.h. The state is global, as the engine is; what the signal
** handler touches is volatile and changed in an order that is right at every point.
*/
#include "interrupt.h"

#include <signal.h>
#include <time.h>

#include <lualib.h>

#include "bind/bind.h"

/* Close handlers have so many seconds between the first and the second error; the clock is read
 * once in so many instructions. */
#define GRACE 0.5
enum { CLOCK_STEP = 10 };

static lua_State *volatile running;    /* the thread that executes; NULL: none */
static volatile sig_atomic_t stopping; /* 1: the hook raises; 2: it waits for the end of grace */
static double grace_end;               /* as `seconds` counts */
static volatile sig_atomic_t asked;    /* the script was told */
static volatile sig_atomic_t handled;  /* the script wants to be told, not stopped */

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Raises once, lets close handlers work, and raises at every instruction after that. */
static void stop_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  if (!stopping) { /* left over in a coroutine that survived the request */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  const bool first = stopping == 1, in_grace = !first && seconds() < grace_end;
  if (first) grace_end = seconds() + GRACE;
  lua_sethook(L, stop_hook, LUA_MASKCOUNT, first || in_grace ? CLOCK_STEP : 1);
  if (in_grace) return;
  stopping = 2;
  luaL_error(L, "interrupted!");
}

static void hook_now(lua_State *L) {
  lua_sethook(L, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void pl_stop_request(void) {
  lua_State *L = running;
  if (handled) {
    asked = 1;
    return;
  }
  if (L == NULL) return; /* nothing to stop */
  pl_interrupt();
  stopping = 1;
  hook_now(L);
}

/* A request may come between the two lines: then the handler hooks L itself. */
static void run_thread(lua_State *L) {
  running = L;
  if (L != NULL && stopping) hook_now(L);
}

lua_State *pl_stop_enter(lua_State *L) {
  lua_State *before = running;
  run_thread(L);
  return before;
}

bool pl_stop_leave(lua_State *L, lua_State *before) {
  bool stopped = stopping != 0;
  run_thread(before);
  if (before != NULL) return stopped;
  if (stopped) lua_sethook(L, NULL, 0, 0);
  stopping = asked = handled = 0;
  pl_interrupt_clear();
  return stopped;
}

/*
** Coroutines. Both wrappers call the original function (upvalue 1) protected, so that
** `running` never names a dead thread.
*/

static int call_thread(lua_State *L, lua_State *co) {
  lua_State *before = pl_stop_enter(co);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  run_thread(before);
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

void pl_stop_watch(lua_State *L) {
  lua_getglobal(L, LUA_COLIBNAME);
  replace(L, "resume", watched_resume);
  replace(L, "wrap", watched_wrap);
  lua_pop(L, 1);
}

/*
** What scripts see
*/

/* handle_interrupts([on=true]) -> what it was */
static int handle_interrupts(lua_State *L) {
  const bool on = lua_isnoneornil(L, 1) || lua_toboolean(L, 1);
  lua_pushboolean(L, handled);
  handled = on;
  return 1;
}

static int interrupted(lua_State *L) {
  lua_pushboolean(L, asked || pl_interrupted());
  return 1;
}

static int clear_interrupt(lua_State *L) {
  (void)L;
  asked = 0;
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
