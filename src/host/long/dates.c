/*
** dates.c: os.date, by Lua's own, which gets its format in pieces.
*/
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "long.h"
#include "work.h"

enum { PIECE = 128 };

/* The bytes of what begins at `at`: a conversion, "%Y" or "%EY", which stays whole, or one other. */
static size_t width_of(const char *at, size_t left) {
  const size_t width = *at != '%' ? 1 : left > 1 && strchr("EO", at[1]) ? 3 : 2;
  return width < left ? width : left;
}

static size_t piece_of(const char *at, size_t left) {
  size_t n = 0;
  while (n < left && n < PIECE) n += width_of(at + n, left - n);
  return n;
}

/* Pushes what Lua's own makes of a piece; "!" says that it is of another place. */
static void push_date(lua_State *L, const char *at, size_t n, bool utc) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushstring(L, utc ? "!" : "");
  lua_pushlstring(L, at, n);
  lua_concat(L, 2);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
}

static int call_once(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* date([format [, time]]); upvalues: Lua's own, and its time */
static int date(lua_State *L) {
  size_t left;
  const char *at = luaL_optlstring(L, 1, "%c", &left);
  if (!lua_isnoneornil(L, 2)) luaL_checkinteger(L, 2);
  const bool utc = *at == '!';
  at += utc, left -= utc;
  if (left <= PIECE || strncmp(at, "*t", 2) == 0) return call_once(L);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_call(L, 0, 1);
    lua_replace(L, 2);
  }
  pl_work work = pl_work_begin(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t n; left > 0; at += n, left -= n) {
    n = piece_of(at, left);
    pl_work_steps(&work, n);
    push_date(L, at, n, utc);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  return 1;
}

void pl_long_dates(lua_State *L) {
  lua_getfield(L, -1, "date");
  lua_getfield(L, -2, "time");
  lua_pushcclosure(L, date, 2);
  lua_setfield(L, -2, "date");
}
