/*
** load.c: load, loadfile, dofile and what require has for files of Lua, which give Lua's parser its
** text in pieces.
**
** A piece may have 32 names that the parser looks for in 200 functions around, each with 200
** variables, which takes 100 us a name.
*/
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "long.h"
#include "work.h"

enum { PIECE = 64, READ_SLOT = 5 };

typedef struct source {
  pl_work work;
  bool looking; /* if this stays, the error is that of the stop */
  void (*refill)(struct source *from);
  const char *text;
  size_t left;
  FILE *file;
  char piece[PIECE]; /* of the file */
} source;

static const char *read_piece(lua_State *L, void *user, size_t *n) {
  source *from = user;
  (void)L;
  from->looking = true;
  pl_work_look(&from->work);
  from->looking = false;
  if (from->left == 0 && from->refill) from->refill(from);
  const char *piece = from->text;
  *n = from->left < PIECE ? from->left : PIECE;
  from->text += *n;
  from->left -= *n;
  return *n ? piece : NULL;
}

/* What was loaded is on top, or nil and the message; the error of a stop is raised. */
static int finish(const source *from, int status, bool env, int env_at) {
  lua_State *L = from->work.L;
  if (status != LUA_OK) {
    if (from->looking) return lua_error(L);
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (env) {
    lua_pushvalue(L, env_at);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

/*
** Text
*/

int pl_long_load_text(lua_State *L, const char *text, const char *name, const char *mode) {
  source from = {.work = pl_work_begin(L), .text = text, .left = strlen(text)};
  return lua_load(L, read_piece, &from, name, mode);
}

/* Asks the function for more; an empty text is the end. Argument 1 is the function, whose last string
 * is kept in READ_SLOT. */
static void call_function(source *from) {
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

/* load(chunk [, chunkname [, mode [, env]]]) */
static int load(lua_State *L) {
  source from = {.work = pl_work_begin(L)};
  from.text = lua_tolstring(L, 1, &from.left);
  from.refill = from.text ? NULL : call_function;
  const char *mode = luaL_optstring(L, 3, "bt");
  const bool env = !lua_isnone(L, 4);
  const char *name = luaL_optstring(L, 2, from.text ? from.text : "=(load)");
  if (from.refill) luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, READ_SLOT);
  return finish(&from, lua_load(L, read_piece, &from, name, mode), env, 4);
}

/*
** Files
*/

static void read_file(source *from) {
  from->text = from->piece;
  from->left = fread(from->piece, 1, PIECE, from->file);
}

/* Skips the mark of UTF-8 and a first line that begins with '#', of which the newline stays so that
 * lines are counted right. */
static void skip_head(FILE *f) {
  static const char mark[] = "\xEF\xBB\xBF";
  int c = getc(f);
  for (const char *m = mark; *m && c == (unsigned char)*m; m++) c = getc(f);
  if (c == '#')
    while (c != EOF && c != '\n') c = getc(f);
  if (c != EOF) ungetc(c, f);
}

static int fail_file(lua_State *L, const char *doing, int error) {
  const char *name = lua_tostring(L, -1) + 1;
  lua_pushfstring(L, "cannot %s %s: %s", doing, name, strerror(error));
  lua_remove(L, -2);
  return LUA_ERRFILE;
}

static int load_file(source *from, const char *path, const char *mode) {
  lua_State *L = from->work.L;
  if (path) lua_pushfstring(L, "@%s", path);
  else lua_pushliteral(L, "=stdin");
  from->file = path ? fopen(path, "r") : stdin;
  if (!from->file) return fail_file(L, "open", errno);
  from->refill = read_file;
  errno = 0;
  skip_head(from->file);
  int status = lua_load(L, read_piece, from, lua_tostring(L, -1), mode);
  const int error = ferror(from->file) ? errno : 0;
  if (path) fclose(from->file);
  if (error && !from->looking) {
    lua_pop(L, 1);
    return fail_file(L, "read", error);
  }
  lua_remove(L, -2); /* the name */
  return status;
}

int pl_long_load_file(lua_State *L, const char *path, const char *mode) {
  source from = {.work = pl_work_begin(L)};
  return load_file(&from, path, mode);
}

/* loadfile([filename [, mode [, env]]]) */
static int loadfile(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL), *mode = luaL_optstring(L, 2, NULL);
  const bool env = !lua_isnone(L, 3);
  source from = {.work = pl_work_begin(L)};
  return finish(&from, load_file(&from, path, mode), env, 3);
}

static int finish_dofile(lua_State *L, int status, lua_KContext unused) {
  (void)status, (void)unused;
  return lua_gettop(L) - 1;
}

/* dofile([filename]) */
static int dofile(lua_State *L) {
  const char *path = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (pl_long_load_file(L, path, NULL) != LUA_OK) return lua_error(L);
  lua_callk(L, 0, LUA_MULTRET, 0, finish_dofile);
  return finish_dofile(L, LUA_OK, 0);
}

/* searcher(name) -> a function and its file, or why there is none; package is the upvalue */
static int search_file(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_getfield(L, lua_upvalueindex(1), "searchpath");
  lua_pushvalue(L, 1);
  if (lua_getfield(L, lua_upvalueindex(1), "path") != LUA_TSTRING)
    return luaL_error(L, "'package.path' must be a string");
  lua_call(L, 2, 2);
  if (lua_isnil(L, 2)) return 1;
  lua_settop(L, 2);
  if (pl_long_load_file(L, lua_tostring(L, 2), NULL) != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name,
                      lua_tostring(L, 2), lua_tostring(L, -1));
  lua_insert(L, 2);
  return 2;
}

void pl_long_load(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"load", load}, {"loadfile", loadfile}, {"dofile", dofile}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}

/* Searchers of others may stand before Lua's own, of which this is the third from the end. */
void pl_long_package(lua_State *L) {
  enum { FROM_END = 2, FEWEST = 4 };
  lua_getfield(L, -1, "searchers");
  const lua_Integer n = luaL_len(L, -1);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, search_file, 1);
  if (n >= FEWEST) lua_seti(L, -2, n - FROM_END);
  else lua_pop(L, 1);
  lua_pop(L, 1);
}
