/*
** streams.c: files of Lua's library io that are counted among those that a state may hold open. The
** functions that open one are Lua's own; how it is closed is written here, for that ends its count.
*/
#include <errno.h>
#include <lualib.h>
#include <stdio.h>

#include "bind.h"

static int close_file(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  plb_let_file_go(L);
  return luaL_fileresult(L, fclose(s->f) == 0, NULL);
}

static int close_pipe(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  plb_let_file_go(L);
  errno = 0;
  return luaL_execresult(L, pclose(s->f));
}

void plb_stream_opened(lua_State *L, luaL_Stream *s) {
  plb_hold_file(L);
  s->closef = close_file;
}

typedef struct {
  const char *name;
  lua_CFunction close;
  int result;  /* which one is the file */
  bool always; /* it opens one; else it does if its first argument is a name */
} opener;

static const opener openers[] = {
    {"open", close_file, 1, false},   {"popen", close_pipe, 1, false},
    {"tmpfile", close_file, 1, true}, {"lines", close_file, 4, false},
    {"input", close_file, 1, false},  {"output", close_file, 1, false}};

/* The error on top as if Lua's function had been called by the script itself. */
static int raise_as(lua_State *L, const opener *o) {
  if (lua_type(L, -1) != LUA_TSTRING) return lua_error(L);
  const char *message = lua_tostring(L, -1), *name = lua_pushfstring(L, "'%s'", o->name);
  luaL_where(L, 1);
  luaL_gsub(L, message, "'?'", name);
  lua_concat(L, 2);
  return lua_error(L);
}

/* Upvalues: Lua's function, and its row. */
static int open_counted(lua_State *L) {
  const opener *o = lua_touserdata(L, lua_upvalueindex(2));
  const bool opens = o->always || lua_isstring(L, 1);
  if (opens) plb_may_hold_file(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0) != LUA_OK) return raise_as(L, o);
  luaL_Stream *s = opens ? luaL_testudata(L, o->result, LUA_FILEHANDLE) : NULL;
  if (s && s->closef) {
    plb_hold_file(L);
    s->closef = o->close;
  }
  return lua_gettop(L);
}

void plb_count_streams(lua_State *L) {
  for (size_t i = 0; i < sizeof openers / sizeof *openers; i++) {
    lua_getfield(L, -1, openers[i].name);
    lua_pushlightuserdata(L, (void *)&openers[i]);
    lua_pushcclosure(L, open_counted, 2);
    lua_setfield(L, -2, openers[i].name);
  }
}
