/*
** entry.c: the module perilune.so, for `require "perilune"` in a stock Lua.
*/
#include <lauxlib.h>

#include "module.h"
#include "perilune.h"

LUAMOD_API PL_API int luaopen_perilune(lua_State *L);

LUAMOD_API int luaopen_perilune(lua_State *L) {
  luaL_checkversion(L);
  pl_modules_install(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perilune"); /* our searcher now goes before the one that is running */
  lua_call(L, 1, 1);
  return 1;
}
