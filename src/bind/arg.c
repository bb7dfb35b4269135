/*
** arg.c: reading arguments: numbers, lists, dtypes, options by name.
*/
#include "bind.h"

#include <string.h>

const char *plb_shown(lua_State *L, int i) {
  if (lua_type(L, i) == LUA_TNUMBER) return luaL_tolstring(L, i, NULL);
  if (lua_type(L, i) != LUA_TSTRING) return luaL_typename(L, i);
  return lua_pushfstring(L, "'%s'", lua_tostring(L, i));
}

bool plb_as_number(lua_State *L, int i) {
  const plb_box *box = plb_box_at(L, i);
  if (!box || !box->tensor || pl_rank(box->tensor)) return lua_type(L, i) == LUA_TNUMBER;
  i = lua_absindex(L, i);
  plb_push_value(L, box->tensor, pl_at(box->tensor, 0));
  lua_replace(L, i);
  return true;
}

double plb_number(lua_State *L, int i) {
  plb_as_number(L, i);
  return luaL_checknumber(L, i);
}

double plb_opt_number(lua_State *L, int i, double fallback) {
  return lua_isnoneornil(L, i) ? fallback : plb_number(L, i);
}

void plb_push_value(lua_State *L, const pl_tensor *t, double v) {
  if (pl_dtype_of(t) == PL_REAL) lua_pushnumber(L, v);
  else lua_pushinteger(L, (lua_Integer)v);
}

int64_t plb_integer(lua_State *L, int i, const char *what) {
  int exact = plb_as_number(L, i);
  const lua_Integer v = exact ? lua_tointegerx(L, i, &exact) : 0;
  if (!exact) luaL_error(L, "%s: integer expected, got %s", what, plb_shown(L, i));
  return v;
}

pl_ints plb_ints(lua_State *L, int i, const char *what) {
  pl_ints list = {0};
  if (lua_type(L, i) != LUA_TTABLE) {
    list.v[list.n++] = plb_integer(L, i, what);
    return list;
  }
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > PL_MAX_RANK)
    luaL_error(L, "%s: at most %d integers expected, got %d", what, PL_MAX_RANK, (int)n);
  for (lua_Unsigned k = 1; k <= n; k++) {
    lua_rawgeti(L, i, (lua_Integer)k);
    list.v[list.n++] = plb_integer(L, -1, what);
    lua_pop(L, 1);
  }
  return list;
}

void plb_push_ints(lua_State *L, pl_ints ints) {
  lua_createtable(L, ints.n, 0);
  for (int d = 0; d < ints.n; d++) {
    lua_pushinteger(L, ints.v[d]);
    lua_rawseti(L, -2, d + 1);
  }
}

pl_dtype plb_dtype(lua_State *L, int i, pl_dtype fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";
  for (int k = PL_REAL; k <= PL_UINT8; k++)
    if (strcmp(name, pl_dtype_name((pl_dtype)k)) == 0) return (pl_dtype)k;
  luaL_error(L, "dtype: 'real', 'int32' or 'uint8' expected, got %s", plb_shown(L, i));
  return fallback;
}

double plb_number_option(lua_State *L, int i, const char *who, const char *name, double fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  luaL_checktype(L, i, LUA_TTABLE);
  const int type = lua_getfield(L, i, name);
  if (type != LUA_TNIL && !plb_as_number(L, -1))
    luaL_error(L, "%s: option %s is a %s; number expected", who, name, luaL_typename(L, -1));
  double v = type == LUA_TNIL ? fallback : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

bool plb_bool_option(lua_State *L, int i, const char *name, bool fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  luaL_checktype(L, i, LUA_TTABLE);
  bool v = lua_getfield(L, i, name) == LUA_TNIL ? fallback : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

void plb_check_options(lua_State *L, int i, const char *who, const char *const *known) {
  if (lua_isnil(L, i)) return;
  luaL_checktype(L, i, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "1";
    int k = 0;
    while (known[k] && strcmp(known[k], name) != 0) k++;
    if (!known[k]) luaL_error(L, "%s: unknown option '%s'", who, name);
  }
}

const char *plb_path(lua_State *L, int i) {
  size_t n;
  const char *path = luaL_checklstring(L, i, &n);
  luaL_argcheck(L, n > 0 && strlen(path) == n, i, "path expected, got an empty or binary string");
  return path;
}
