/*
** guard.c: see guard.h. The functions that stand in for others behave as the manual says of those.
*/
#include "guard.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "../bind/bind.h"
#include "interrupt.h"
#include "long/long.h"

/*
** xpcall
*/

/* The handler is upvalue 1. */
static int handle(lua_State *L) {
  lua_settop(L, 1);
  if (pl_stop_reason(plb_state_of(L)->stop)) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* Below the results are the function, the handler and `true`. */
static int finish(lua_State *L, int status, lua_KContext unused) {
  (void)unused;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
  lua_pushboolean(L, false);
  lua_insert(L, -2);
  return 2;
}

/* Handlers in C, such as debug.traceback, call nothing of the script's. */
static int guarded_xpcall(lua_State *L) {
  const int n = lua_gettop(L) - 2;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!lua_iscfunction(L, 2)) {
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle, 1);
    lua_replace(L, 2);
  }
  lua_pushboolean(L, true);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2); /* below the arguments */
  return finish(L, lua_pcallk(L, n, LUA_MULTRET, 2, 0, finish), 0);
}

void pl_guard_install(lua_State *L) { lua_register(L, "xpcall", guarded_xpcall); }

/*
** Hosts with limits
*/

static int guarded_setmetatable(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
      return luaL_error(L, "setmetatable: __gc: a host with limits has no finalizers; use __close");
  } else {
    luaL_argexpected(L, lua_isnil(L, 2), 2, "nil or table");
  }
  lua_settop(L, 2);
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  lua_setmetatable(L, 1);
  return 1;
}

/* Upvalue 1 is debug.getinfo, which would be one level further from who asks; functions of C that
 * others stand for are not told. */
static int guarded_getinfo(lua_State *L) {
  const int i = lua_isthread(L, 1) ? 2 : 1;
  const bool same = i == 1 || lua_tothread(L, 1) == L;
  if (same && lua_isinteger(L, i) && lua_tointeger(L, i) >= 0) {
    lua_pushinteger(L, lua_tointeger(L, i) + 1);
    lua_replace(L, i);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_setfield(L, -2, "func");
  }
  return 1;
}

/* Parameters of a function, not what is on the stack. */
static int guarded_getlocal(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, 1);
  lua_pushstring(L, lua_getlocal(L, NULL, (int)luaL_checkinteger(L, 2)));
  return 1;
}

static void keep(lua_State *L, const char *name, lua_CFunction guarded) {
  lua_getfield(L, -2, name);
  if (guarded) lua_pushcclosure(L, guarded, 1);
  lua_setfield(L, -2, name);
}

static void keep_looking(lua_State *L) {
  lua_newtable(L); /* what stays */
  keep(L, "traceback", NULL);
  keep(L, "getmetatable", NULL);
  keep(L, "getinfo", guarded_getinfo);
  keep(L, "getlocal", guarded_getlocal);
  for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -1);
    lua_rawget(L, -5);
    lua_rawset(L, -6); /* an assignment to a field that is there may be made while it is walked */
  }
  lua_pop(L, 1);
}

int pl_guard_limited(lua_State *L) {
  static const char done = 0;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &done) != LUA_TNIL) return 0;
  pl_long_install(L);
  if (lua_getglobal(L, LUA_IOLIBNAME) == LUA_TTABLE) plb_count_streams(L);
  lua_register(L, "setmetatable", guarded_setmetatable);
  if (lua_getglobal(L, LUA_DBLIBNAME) == LUA_TTABLE) keep_looking(L);
  lua_pushboolean(L, true);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &done);
  return 0;
}
