/*
** archive.c: archives of tensors (safetensors, NumPy's) as Lua functions. What a user can expect to fail (no such file, a
** damaged one) returns nil and a message, here and in the other files that read and write.
*/
#include "io/io.h"

#include <stdlib.h>
#include <string.h>

#include "bind.h"

#define ARCHIVE "perilune.archive"

/* Pushes a copy of the table at i, which keeps its keys and values alive whatever a finalizer does
 * to the table; gives how many there are. */
static int push_copy(lua_State *L, int i) {
  int n = 0;
  plb_need(L, i, LUA_TTABLE);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, i); n++) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  return n;
}

static const char *check_name(lua_State *L, int i, const char *what) {
  size_t n;
  if (lua_type(L, i) != LUA_TSTRING)
    luaL_error(L, "save_tensors: a %s is named by a %s; string expected", what, plb_typename(L, i));
  const char *name = lua_tolstring(L, i, &n);
  if (strlen(name) != n) luaL_error(L, "save_tensors: a %s has a zero byte in its name", what);
  return name;
}

/* Pushes a copy of the table at i and a block for its pairs, whose tensors are not held yet. */
static pl_named_tensor *check_tensors(lua_State *L, int i, int *n) {
  *n = push_copy(L, i);
  const int copy = lua_gettop(L);
  pl_named_tensor *list = lua_newuserdatauv(L, (size_t)(*n + 1) * sizeof *list, 0), *next = list;
  for (lua_pushnil(L); lua_next(L, copy); lua_pop(L, 1), next++) {
    next->name = check_name(L, -2, "tensor");
    if (!plb_test(L, -1))
      luaL_error(L, "save_tensors: '%s' is a %s; tensor expected", next->name, plb_typename(L, -1));
  }
  return list;
}

/* Fills the block in: the copy has its order. */
static void hold_tensors(lua_State *L, int copy, pl_named_tensor *next) {
  for (lua_pushnil(L); lua_next(L, copy); lua_pop(L, 1), next++)
    next->tensor = plb_hold_read(L, -1);
}

static pl_named_text *check_texts(lua_State *L, int i, int *n) {
  *n = 0;
  if (lua_isnoneornil(L, i)) return NULL;
  const int count = push_copy(L, i), copy = lua_gettop(L);
  pl_named_text *list = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *list, 0);
  for (lua_pushnil(L); lua_next(L, copy); lua_pop(L, 1)) {
    const char *name = check_name(L, -2, "text");
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "save_tensors: text '%s' is a %s; string expected", name, plb_typename(L, -1));
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (strlen(text) != length) luaL_error(L, "save_tensors: text '%s' has a zero byte", name);
    list[(*n)++] = (pl_named_text){name, text};
  }
  return list;
}

/* What the options at i say of reals; the dtype's text stays on the stack. */
static pl_archive_reals check_reals(lua_State *L, int i) {
  static const char *const known[] = {"convert", "dtype", NULL};
  plb_check_options(L, i, "save_tensors", known);
  pl_archive_reals reals = {.convert = plb_bool_option(L, i, "convert", false)};
  if (lua_istable(L, i) && lua_getfield(L, i, "dtype") != LUA_TNIL)
    reals.dtype = plb_text(L, lua_gettop(L), &(size_t){0});
  if (reals.dtype && !pl_archive_writes(reals.dtype)) plb_raise(L);
  return reals;
}

static int io_save_tensors(lua_State *L) {
  int n, n_texts;
  const char *path = plb_path(L, 1);
  lua_settop(L, 4);
  pl_named_tensor *tensors = check_tensors(L, 2, &n); /* the copy is at 5 */
  const pl_named_text *texts = check_texts(L, 3, &n_texts);
  const pl_archive_reals reals = check_reals(L, 4);
  pl_scope_begin();
  hold_tensors(L, 5, tensors);
  const bool ok = pl_archive_save(path, n, tensors, n_texts, texts, &reals);
  pl_scope_end();
  return plb_result(L, ok);
}

static int io_save_npz(lua_State *L) {
  int n;
  const char *path = plb_path(L, 1);
  lua_settop(L, 3);
  const bool compress = lua_toboolean(L, 3);
  pl_named_tensor *tensors = check_tensors(L, 2, &n); /* the copy is at 4 */
  pl_scope_begin();
  hold_tensors(L, 4, tensors);
  const bool ok = pl_npz_save(path, n, tensors, compress);
  pl_scope_end();
  return plb_result(L, ok);
}

static int archive_gc(lua_State *L) {
  pl_archive **a = luaL_checkudata(L, 1, ARCHIVE);
  pl_archive_close(*a);
  *a = NULL;
  return 0;
}

/* Pushes a userdata which closes the archive when it is collected or goes out of scope. */
static pl_archive **new_archive(lua_State *L) {
  pl_archive **a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = NULL;
  if (luaL_newmetatable(L, ARCHIVE)) {
    lua_pushcfunction(L, archive_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, archive_gc);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  return a;
}

typedef struct {
  bool convert, skip;
} load_options;

/* Puts tensor i into the table at `tensors`, or why it is left out into the one behind it. */
static bool load_tensor(lua_State *L, pl_archive *a, int i, load_options o, int tensors) {
  bool unfit;
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_archive_tensor(a, i, o.convert, &unfit));
  pl_scope_end();
  if (*box) {
    lua_setfield(L, tensors, pl_archive_name(a, i));
    return true;
  }
  if (!unfit || !o.skip) return false;
  lua_pushstring(L, plb_take_error((char[PLB_MESSAGE]){0}));
  lua_setfield(L, tensors + 1, pl_archive_name(a, i));
  lua_pop(L, 1);
  return true;
}

static void push_texts(lua_State *L, const pl_archive *a) {
  lua_newtable(L);
  for (int i = 0; pl_archive_text(a, i).name; i++) {
    const pl_named_text text = pl_archive_text(a, i);
    lua_pushstring(L, text.text);
    lua_setfield(L, -2, text.name);
  }
}

static int io_load_tensors(lua_State *L) {
  static const char *const known[] = {"convert", "skip", NULL};
  const char *path = plb_path(L, 1);
  lua_settop(L, 2);
  plb_check_options(L, 2, "load_tensors", known);
  const load_options o = {plb_bool_option(L, 2, "convert", false),
                          plb_bool_option(L, 2, "skip", false)};
  pl_archive **a = new_archive(L);
  *a = pl_archive_open(path);
  if (!*a) return plb_nil(L);
  const int n = pl_archive_count(*a), tensors = lua_gettop(L) + 1;
  lua_createtable(L, 0, n);
  lua_newtable(L);
  for (int i = 0; i < n; i++)
    if (!load_tensor(L, *a, i, o, tensors)) return plb_nil(L);
  push_texts(L, *a);
  lua_insert(L, -2);
  return 3;
}

static const plb_function functions[] = {
    {"save_tensors", io_save_tensors,
     "(path, tensors, texts?, options?)\nWrites a safetensors archive of named tensors, and of "
     "texts "
     "for its metadata; true, or nil and a message. perilune.save does it for any plain table, and "
     "has "
     "the same options."},
    {"save_npz", io_save_npz,
     "(path, tensors, compress?)\nWrites named tensors as numpy.savez does, or "
     "numpy.savez_compressed; true, or nil and a message. perilune.save calls it."},
    {"load_tensors", io_load_tensors,
     "(path, options?)\nThe named tensors of a safetensors archive or one of NumPy arrays, the "
     "table "
     "of its texts, and the "
     "table of what was left out, or nil and a message. The options are those of perilune.load."},
    {NULL, NULL, NULL}};

void plb_open_archive(lua_State *L) { plb_add(L, "Files", functions, NULL); }
