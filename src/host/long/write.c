/*
** write.c: print, io.write and the method write of files.
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>

#include "long.h"
#include "work.h"

/* At once; a disk takes a millisecond for it. */
enum { BLOCK = 1 << 18 };

static bool write_text(pl_work *w, FILE *f, const char *text, size_t n) {
  if (n < BLOCK) return pl_work_bytes(w, n), fwrite(text, 1, n, f) == n;
  for (size_t done = 0, block; done < n; done += block) {
    block = n - done < BLOCK ? n - done : BLOCK;
    pl_work_bytes(w, block);
    if (fwrite(text + done, 1, block, f) != block) return false;
  }
  return true;
}

static bool write_number(lua_State *L, FILE *f, int i) {
  const int n = lua_isinteger(L, i)
                    ? fprintf(f, LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, i))
                    : fprintf(f, LUA_NUMBER_FMT, (LUAI_UACNUMBER)lua_tonumber(L, i));
  return n > 0;
}

/* Writes the arguments from `first` on to the file, which is on top, and returns it. */
static int write_all(lua_State *L, int first) {
  FILE *f = ((luaL_Stream *)lua_touserdata(L, -1))->f;
  const int last = lua_gettop(L) - 1;
  pl_work work = pl_work_begin(L);
  bool ok = true;
  for (int i = first; i <= last; i++) {
    if (lua_type(L, i) == LUA_TNUMBER) {
      pl_work_steps(&work, 16);
      ok = write_number(L, f, i) && ok;
    } else {
      size_t n;
      const char *text = luaL_checklstring(L, i, &n);
      ok = ok && write_text(&work, f, text, n);
    }
  }
  return ok ? 1 : luaL_fileresult(L, false, NULL);
}

/* file:write(...) */
static int write_to(lua_State *L) {
  const luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  if (!s->closef) return luaL_error(L, "attempt to use a closed file");
  lua_pushvalue(L, 1);
  return write_all(L, 2);
}

/* write(...); the upvalue is io.output */
static int write_out(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_call(L, 0, 1);
  const luaL_Stream *s = luaL_checkudata(L, -1, LUA_FILEHANDLE);
  if (!s->closef) return luaL_error(L, "default output file is closed");
  return write_all(L, 1);
}

/* print(...) */
static int print(lua_State *L) {
  const int n = lua_gettop(L);
  pl_work work = pl_work_begin(L);
  for (int i = 1; i <= n; i++) {
    size_t length;
    const char *text = luaL_tolstring(L, i, &length);
    if (i > 1) putchar('\t');
    write_text(&work, stdout, text, length);
    lua_pop(L, 1);
  }
  putchar('\n');
  fflush(stdout);
  return 0;
}

void pl_long_write(lua_State *L) {
  lua_getfield(L, -1, "output");
  lua_pushcclosure(L, write_out, 1);
  lua_setfield(L, -2, "write");
  if (luaL_getmetatable(L, LUA_FILEHANDLE) == LUA_TTABLE && lua_getfield(L, -1, "__index")) {
    lua_pushcfunction(L, write_to);
    lua_setfield(L, -2, "write");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* One that was put in its place, as that of a host that is redirected, has upvalues. */
void pl_long_print(lua_State *L) {
  const int library = lua_gettop(L);
  lua_getfield(L, library, "print");
  const bool stock = lua_iscfunction(L, -1) && !lua_getupvalue(L, -1, 1);
  lua_settop(L, library);
  if (!stock) return;
  lua_pushcfunction(L, print);
  lua_setfield(L, library, "print");
}
