/*
** long.c: see long.h.
*/
#include "long.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>

#include "perilune.h"
#include "work.h"

void pl_work_look(pl_work *w) {
  if (pl_interrupted()) luaL_error(w->L, "interrupted!");
  w->left = PL_WORK_STEPS;
}

/* The table of a library is the global variable that programs know it by; it may not be there. */
static void install(lua_State *L, const char *library, void (*const *add)(lua_State *)) {
  const bool there = lua_getglobal(L, library) == LUA_TTABLE;
  for (; there && *add; add++) (*add)(L);
  lua_pop(L, 1);
}

void pl_long_install(lua_State *L) {
  typedef void (*const adder)(lua_State *);
  install(L, LUA_STRLIBNAME,
          (adder[]){pl_long_strings, pl_long_format, pl_long_search, pl_long_pack, NULL});
  install(L, LUA_TABLIBNAME, (adder[]){pl_long_tables, pl_long_sort, NULL});
  install(L, LUA_UTF8LIBNAME, (adder[]){pl_long_utf8, NULL});
  install(L, LUA_OSLIBNAME, (adder[]){pl_long_dates, NULL});
  install(L, LUA_IOLIBNAME, (adder[]){pl_long_write, NULL});
  install(L, LUA_GNAME, (adder[]){pl_long_load, pl_long_print, NULL});
  install(L, LUA_LOADLIBNAME, (adder[]){pl_long_package, NULL});
}
