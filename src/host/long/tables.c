/*
** tables.c: table.concat, insert, move, pack, remove and unpack.
*/
#include "tables.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>

#include "long.h"
#include "work.h"

/*
** Arguments
*/

/* Whether the metatable on top has the metamethod, if it is asked for. */
static bool has(lua_State *L, bool asked, const char *event) {
  if (!asked) return true;
  lua_pushstring(L, event);
  const bool is = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 1);
  return is;
}

void pl_check_table(lua_State *L, int arg, int uses) {
  if (lua_type(L, arg) == LUA_TTABLE) return;
  if (!lua_getmetatable(L, arg) || !has(L, uses & PL_READS, "__index") ||
      !has(L, uses & PL_WRITES, "__newindex") || !has(L, uses & PL_MEASURES, "__len"))
    luaL_checktype(L, arg, LUA_TTABLE);
  lua_pop(L, 1);
}

lua_Integer pl_check_length(lua_State *L, int arg, int uses) {
  pl_check_table(L, arg, uses | PL_MEASURES);
  return luaL_len(L, arg);
}

/*
** Moving elements
*/

/* The table at `target` gets element i of the one at `source` as element j. */
static void move_one(pl_work *w, int source, lua_Integer i, int target, lua_Integer j) {
  pl_work_step(w);
  lua_geti(w->L, source, i);
  lua_seti(w->L, target, j);
}

static int insert(lua_State *L) {
  pl_work work = pl_work_begin(L);
  const lua_Integer free = /* behind the last, which wraps as Lua's integers do */
      (lua_Integer)((lua_Unsigned)pl_check_length(L, 1, PL_READS | PL_WRITES) + 1);
  const int n = lua_gettop(L);
  if (n != 2 && n != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
  const lua_Integer position = n == 2 ? free : luaL_checkinteger(L, 2);
  if (n == 3)
    luaL_argcheck(L, (lua_Unsigned)position - 1 < (lua_Unsigned)free, 2, "position out of bounds");
  for (lua_Integer i = free; i > position; i--) move_one(&work, 1, i - 1, 1, i);
  lua_seti(L, 1, position);
  return 0;
}

static int remove_(lua_State *L) {
  pl_work work = pl_work_begin(L);
  const lua_Integer length = pl_check_length(L, 1, PL_READS | PL_WRITES);
  lua_Integer i = luaL_optinteger(L, 2, length);
  if (i != length) /* the stock one blames argument 1 too */
    luaL_argcheck(L, (lua_Unsigned)i - 1 <= (lua_Unsigned)length, 1, "position out of bounds");
  lua_geti(L, 1, i);
  for (; i < length; i++) move_one(&work, 1, i + 1, 1, i);
  lua_pushnil(L);
  lua_seti(L, 1, i);
  return 1;
}

/* Whether elements from first to last may be moved from the lowest on: none is overwritten before it
 * was read. */
static bool upwards(lua_State *L, lua_Integer first, lua_Integer last, lua_Integer to, int target) {
  return to > last || to <= first || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
}

static int move(lua_State *L) {
  pl_work work = pl_work_begin(L);
  const lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3),
                    to = luaL_checkinteger(L, 4);
  const int target = lua_isnoneornil(L, 5) ? 1 : 5;
  pl_check_table(L, 1, PL_READS);
  pl_check_table(L, target, PL_WRITES);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    const lua_Integer n = last - first + 1;
    luaL_argcheck(L, to <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
    const bool up = upwards(L, first, last, to, target);
    for (lua_Integer k = 0; k < n; k++) {
      const lua_Integer i = up ? k : n - 1 - k;
      move_one(&work, 1, first + i, target, to + i);
    }
  }
  lua_pushvalue(L, target);
  return 1;
}

/*
** Reading elements
*/

static void add_element(pl_work *w, luaL_Buffer *b, lua_Integer i) {
  pl_work_step(w);
  lua_geti(w->L, 1, i);
  if (!lua_isstring(w->L, -1))
    luaL_error(w->L, "invalid value (%s) at index %I in table for 'concat'",
               luaL_typename(w->L, -1), (LUAI_UACINT)i);
  luaL_addvalue(b);
}

static int concat(lua_State *L) {
  size_t n;
  pl_work work = pl_work_begin(L);
  const lua_Integer length = pl_check_length(L, 1, PL_READS);
  const char *between = luaL_optlstring(L, 2, "", &n);
  const lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, length);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (lua_Integer i = first; i < last; i++) {
    add_element(&work, &b, i);
    pl_work_bytes(&work, n);
    luaL_addlstring(&b, between, n);
  }
  if (first <= last) add_element(&work, &b, last);
  luaL_pushresult(&b);
  return 1;
}

static int pack(lua_State *L) {
  pl_work work = pl_work_begin(L);
  const int n = lua_gettop(L);
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  for (int i = n; i > 0; i--) { /* the last argument is on top */
    pl_work_step(&work);
    lua_seti(L, 1, i);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, 1, "n");
  return 1;
}

static int unpack(lua_State *L) {
  pl_work work = pl_work_begin(L);
  const lua_Integer first = luaL_optinteger(L, 2, 1);
  const lua_Integer last = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
  if (first > last) return 0;
  const lua_Unsigned n = (lua_Unsigned)last - (lua_Unsigned)first; /* one less */
  if (n >= INT_MAX || !lua_checkstack(L, (int)n + 1))
    return luaL_error(L, "too many results to unpack");
  for (lua_Unsigned k = 0; k <= n; k++) {
    pl_work_step(&work);
    lua_geti(L, 1, (lua_Integer)((lua_Unsigned)first + k));
  }
  return (int)n + 1;
}

void pl_long_tables(lua_State *L) {
  static const luaL_Reg functions[] = {{"concat", concat}, {"insert", insert},  {"move", move},
                                       {"pack", pack},     {"remove", remove_}, {"unpack", unpack},
                                       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
