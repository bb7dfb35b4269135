/*
** anomaly.c: pl.detect_anomaly: calls of ops are followed, and Lua says where each is made.
*/
#include "autograd/anomaly.h"

#include <stdio.h>

#include "bind.h"

typedef struct {
  pl_anomaly anomaly;
  plb_state *state;
  char text[200]; /* of the last place that was asked for */
} search;

/*
** Places: registry[search] = a function of Lua. place() gives the number of the place that runs,
** place(number) its text.
*/

typedef struct {
  search *s;
  int place;
} question;

static int ask(lua_State *L) {
  question *q = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, q->s);
  if (q->place) lua_pushinteger(L, q->place);
  lua_call(L, q->place ? 1 : 0, 1);
  if (q->place) snprintf(q->s->text, sizeof q->s->text, "%s", luaL_checkstring(L, -1));
  else q->place = (int)luaL_checkinteger(L, -1);
  return 0;
}

/* False if Lua had no memory, or another context is entered. */
static bool answered(question *q) {
  const plb_state *s = q->s->state;
  lua_State *L = s == plb_here() ? s->last_used : NULL;
  if (!L || !lua_checkstack(L, 8)) return false;
  lua_pushcfunction(L, ask);
  lua_pushlightuserdata(L, q);
  const bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  plb_enter(L);
  if (!ok) lua_pop(L, 1);
  return ok;
}

static int place(void *context) {
  question q = {context, 0};
  return answered(&q) ? q.place : 0;
}

static const char *text(void *context, int number) {
  question q = {context, number};
  return answered(&q) ? q.s->text : NULL;
}

/* call(place, f, ...) -> what f(...) gives */
static int anomaly_call(lua_State *L) {
  plb_need(L, 1, LUA_TFUNCTION);
  search s = {.anomaly = {.place = place, .text = text}, .state = plb_enter(L)};
  s.anomaly.context = &s;
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &s);
  pl_anomaly_begin(&s.anomaly);
  const int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  plb_enter(L);
  pl_anomaly_end(&s.anomaly);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &s);
  return status == LUA_OK ? lua_gettop(L) - 1 : lua_error(L);
}

void plb_open_anomaly(lua_State *L) {
  static const luaL_Reg functions[] = {{"call", anomaly_call}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, 1, "anomaly");
}
