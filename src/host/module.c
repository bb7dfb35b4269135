/*
** module.c: see module.h. Uses Lua's official interface alone and links no Lua, so the
** same object serves a stock interpreter, the program and embedding programs.
*/
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr */
#endif
#include "module.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"
#include "perilune.h"

LUAMOD_API int luaopen_perilune_core(lua_State *L); /* in src/bind */

/*
** Finding the text of a module
*/

#if defined(PL_LUA_DIR) && defined(PL_BUILD_DIR)
/* The source tree's lua folder if this code was loaded from the build folder, else NULL. */
static const char *development_folder(void) {
  static const char here = 0;
  Dl_info info;
  char *path;
  bool inside;
  if (!dladdr(&here, &info) || info.dli_fname == NULL) return NULL;
  path = realpath(info.dli_fname, NULL);
  inside = path != NULL && strncmp(path, PL_BUILD_DIR "/", sizeof PL_BUILD_DIR) == 0;
  free(path);
  return inside ? PL_LUA_DIR : NULL;
}
#else
static const char *development_folder(void) { return NULL; }
#endif

/* Pushes folder/a/b.lua or folder/a/b/init.lua for module a.b, or pushes nothing. */
static bool push_path(lua_State *L, const char *folder, const char *module) {
  static const char *const forms[] = {"%s/%s.lua", "%s/%s/init.lua"};
  const char *name;
  if (folder == NULL || *folder == '\0') return false;
  name = luaL_gsub(L, module, ".", "/");
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const char *path = lua_pushfstring(L, forms[i], folder, name);
    if (access(path, R_OK) == 0) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

static bool push_override(lua_State *L, const char *module) {
  return push_path(L, getenv("PERILUNE_LUA_PATH"), module) ||
         push_path(L, development_folder(), module);
}

static const pl_embedded *find_embedded(const char *module) {
  for (const pl_embedded *e = pl_embedded_lua; e->module != NULL; e++)
    if (strcmp(e->module, module) == 0) return e;
  return NULL;
}

static bool is_ours(const char *module) {
  return strncmp(module, "perilune", 8) == 0 && (module[8] == '.' || module[8] == '\0');
}

/*
** The globals of the library's own files: a copy of the standard ones as they were at the start, so
** that a script may call its variables table, type or next. What a script redefines on purpose
** (print, io, os, require, ...) is looked up in its globals, as long as it is of the type it was.
*/

static const char env_key = 0; /* registry: the table */

static void copy_table(lua_State *L, int from) {
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, from);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

/* Pushes the global, or the copy if it is a library. */
static void push_own(lua_State *L, const char *name) {
  if (lua_getglobal(L, name) != LUA_TTABLE) return;
  copy_table(L, lua_gettop(L));
  lua_remove(L, -2);
}

/* __index(env, name); the upvalue has the globals of the start. */
static int look_outside(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  const int before = lua_rawget(L, lua_upvalueindex(1));
  lua_pushglobaltable(L);
  lua_pushvalue(L, 2);
  const int now = lua_rawget(L, -2);
  if (before != LUA_TNIL && now != before) lua_pushvalue(L, 3);
  return 1;
}

static int refuse_global(lua_State *L) {
  return luaL_error(L, "the library assigns the global '%s'", luaL_tolstring(L, 2, NULL));
}

static void make_env(lua_State *L) {
  static const char *const own[] = {
      "assert", "collectgarbage", "error",    "getmetatable", "ipairs", "load",   "loadfile",
      "next",   "pairs",          "pcall",    "rawequal",     "rawget", "rawlen", "rawset",
      "select", "setmetatable",   "tonumber", "tostring",     "type",   "xpcall", "coroutine",
      "debug",  "math",           "string",   "table",        "utf8"};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    push_own(L, own[i]);
    lua_setfield(L, -2, own[i]);
  }
  lua_newtable(L); /* its metatable */
  lua_pushglobaltable(L);
  copy_table(L, lua_gettop(L));
  lua_remove(L, -2);
  lua_pushcclosure(L, look_outside, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, refuse_global);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
}

/*
** A searcher as package.searchers wants it
*/

static int search(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  const pl_embedded *e;
  int status;
  if (!is_ours(module)) return 0;
  if (push_override(L, module)) {
    status = luaL_loadfilex(L, lua_tostring(L, -1), "t");
    lua_insert(L, -2); /* chunk or message, path */
  } else if ((e = find_embedded(module)) != NULL) {
    status = luaL_loadbufferx(L, e->text, e->size, e->chunk, "t");
    lua_pushstring(L, e->chunk + 1);
  } else {
    lua_pushfstring(L, "no Lua file '%s' in Perilune", module);
    return 1;
  }
  if (status == LUA_OK) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
    lua_setupvalue(L, -3, 1); /* _ENV */
    return 2;
  }
  return luaL_error(L, "error loading module '%s' from '%s':\n\t%s", module, lua_tostring(L, -1),
                    lua_tostring(L, -2));
}

static void add_searcher(lua_State *L) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) { /* make room after the preloads */
    lua_geti(L, -1, i);
    lua_seti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search);
  lua_seti(L, -2, 2);
  lua_pop(L, 2);
}

/*
** perilune.sources: the texts, for help() and the reference page.
** modules: list of names; find(module) -> chunk name; read(module) -> text
*/

static int find_source(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  const pl_embedded *e = find_embedded(module);
  if (is_ours(module) && push_override(L, module)) {
    lua_pushfstring(L, "@%s", lua_tostring(L, -1));
    return 1;
  }
  lua_pushstring(L, e != NULL ? e->chunk : NULL); /* NULL pushes nil */
  return 1;
}

/* Pushes the text of a file; raises an error if it cannot be read, while it is not open. */
static int push_file(lua_State *L, const char *path) {
  struct stat st;
  const size_t size = stat(path, &st) == 0 ? (size_t)st.st_size : 0;
  char *text = lua_newuserdatauv(L, size + 1, 0);
  FILE *f = fopen(path, "re");
  const size_t n = f ? fread(text, 1, size, f) : 0;
  if (f) fclose(f);
  if (!f || n < size) return luaL_error(L, "cannot read %s", path);
  lua_pushlstring(L, text, n);
  return 1;
}

/* What a policy lets scripts read is no matter here: the file is one of the library's. */
static int read_source(lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  const pl_embedded *e = find_embedded(module);
  if (is_ours(module) && push_override(L, module)) return push_file(L, lua_tostring(L, -1));
  lua_pushlstring(L, e ? e->text : "", e ? e->size : 0);
  return 1;
}

static int open_sources(lua_State *L) {
  lua_Integer n = 0;
  lua_createtable(L, 0, 3);
  lua_newtable(L); /* modules */
  for (const pl_embedded *e = pl_embedded_lua; e->module != NULL; e++) {
    lua_pushstring(L, e->module);
    lua_seti(L, -2, ++n);
  }
  lua_setfield(L, -2, "modules");
  lua_pushcfunction(L, find_source);
  lua_setfield(L, -2, "find");
  lua_pushcfunction(L, read_source);
  lua_setfield(L, -2, "read");
  return 1;
}

static int open_core(lua_State *L) {
  lua_settop(L, 1); /* the name */
  lua_pushcfunction(L, luaopen_perilune_core);
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  pl_stop_install(L);
  return 1;
}

void pl_modules_install(lua_State *L) {
  static const luaL_Reg preloads[] = {
      {"perilune.core", open_core}, {"perilune.sources", open_sources}, {NULL, NULL}};
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, preloads, 0);
  lua_pop(L, 1);
  make_env(L);
  add_searcher(L);
}

void pl_modules_require(lua_State *L, const char *module) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
  lua_getfield(L, -1, "require");
  lua_remove(L, -2);
  lua_pushstring(L, module);
  lua_call(L, 1, 1);
}
