/*
** load.c: load, which gives Lua's parser its text in pieces.
**
** A piece may have 32 names that the parser looks for in 200 functions around, each with 200
** variables, which takes 100 us a name.
*/
#include <lauxlib.h>
#include <stdbool.h>

#include "long.h"
#include "work.h"

enum { PIECE = 64, READ_SLOT = 5 };

typedef struct {
  pl_work work;
  bool looking;     /* if this stays, the error is that of the stop */
  bool by_function; /* argument 1, whose last string is kept in READ_SLOT */
  const char *text;
  size_t left;
} source;

/* Asks the function for more; an empty text is the end. */
static void refill(source *from) {
  lua_State *L = from->work.L;
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
  lua_replace(L, READ_SLOT);
  from->text = lua_tolstring(L, READ_SLOT, &from->left);
}

static const char *read_piece(lua_State *L, void *user, size_t *n) {
  source *from = user;
  (void)L;
  from->looking = true;
  pl_work_look(&from->work);
  from->looking = false;
  if (from->left == 0 && from->by_function) refill(from);
  const char *piece = from->text;
  *n = from->left < PIECE ? from->left : PIECE;
  from->text += *n;
  from->left -= *n;
  return *n ? piece : NULL;
}

/* load(chunk [, chunkname [, mode [, env]]]) */
static int load(lua_State *L) {
  source from = {.work = pl_work_begin(L)};
  from.text = lua_tolstring(L, 1, &from.left);
  from.by_function = !from.text;
  const char *mode = luaL_optstring(L, 3, "bt");
  const bool env = !lua_isnone(L, 4);
  const char *name = luaL_optstring(L, 2, from.text ? from.text : "=(load)");
  if (from.by_function) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, READ_SLOT);
  if (lua_load(L, read_piece, &from, name, mode) != LUA_OK) {
    if (from.looking) return lua_error(L);
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (env) {
    lua_pushvalue(L, 4);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

void pl_long_load(lua_State *L) {
  static const luaL_Reg functions[] = {{"load", load}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
