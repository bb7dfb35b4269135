/*
** access.c: what a state has whose context may touch some files only: the files of Lua's own
** libraries, found as those of Perilune are.
*/
#include "io/access.h"

#include <lualib.h>
#include <stdio.h>

#include "base/context.h"
#include "bind.h"
#include "io/io.h"

pl_access *plb_confine(const char *const *read, const char *const *write, const char *home,
                       bool clock) {
  pl_context *c = pl_context_now();
  pl_access *a = pl_access_open("pl_host_open", read, write, home);
  c->access = a;
  c->timeless = !clock;
  return a;
}

void plb_release_access(pl_access *a) { pl_access_close(a); }

static int close_stream(lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(s->f) == 0, NULL);
}

/* A file handle as io.open makes them, that is closed yet. */
static luaL_Stream *push_stream(lua_State *L) {
  luaL_Stream *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (luaL_Stream){0};
  luaL_setmetatable(L, LUA_FILEHANDLE);
  return s;
}

/* open(path, mode) -> file, or nil and a message; the mode is one that fopen knows */
static int open_file(lua_State *L) {
  const char *path = plb_path(L, 1), *mode = luaL_checkstring(L, 2);
  luaL_Stream *s = push_stream(L);
  plb_may_hold_file(L);
  s->f = pl_file_stream(path, mode);
  if (!s->f) return plb_nil(L);
  plb_stream_opened(L, s);
  return 1;
}

/* no_input() -> a file that is empty */
static int no_input(lua_State *L) {
  luaL_Stream *s = push_stream(L);
  s->f = fopen("/dev/null", "r");
  if (!s->f) return luaL_fileresult(L, 0, "/dev/null");
  s->closef = close_stream;
  return 1;
}

static int remove_file(lua_State *L) { return plb_result(L, pl_file_remove(plb_path(L, 1))); }

static int rename_file(lua_State *L) {
  const char *from = plb_path(L, 1), *to = plb_path(L, 2);
  return plb_result(L, pl_file_rename(from, to));
}

void plb_push_files(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", open_file},
                                       {"no_input", no_input},
                                       {"remove", remove_file},
                                       {"rename", rename_file},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
}
