/*
** loader.c: pictures, and batches of them that threads make ahead (image/loader.h), as userdata.
*/
#include "image/loader.h"

#include <string.h>

#include "bind.h"

#define PICTURES "perilune.pictures"
#define LOADER   "perilune.loader"

/*
** Lists of names, which hang on a userdata, for Lua may raise an error while they are used
*/

#define NAMES "perilune.names"

static int close_owned(lua_State *L) {
  plb_end_owned(lua_touserdata(L, 1));
  return 0;
}

/* The userdata on top, which begins with a plb_owned. Its metatable is nobody's: without it, or with the
   functions of another, there would be no end. */
static void set_closing(lua_State *L, const char *type, void (*end)(plb_owned *),
                        lua_CFunction close) {
  plb_own(L, lua_touserdata(L, -1), end);
  if (luaL_newmetatable(L, type)) {
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
}

typedef struct {
  plb_owned owned;
  pl_names names;
} names_box;

static void end_names(plb_owned *o) { pl_names_free(&((names_box *)o)->names); }

static pl_names *push_names(lua_State *L) {
  names_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (names_box){0};
  set_closing(L, NAMES, end_names, close_owned);
  lua_toclose(L, -1);
  return &box->names;
}

static void push_list(lua_State *L, const pl_names *names) {
  lua_createtable(L, (int)names->n, 0);
  for (int64_t i = 0; i < names->n; i++) {
    lua_pushstring(L, names->v[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static int io_list_folder(lua_State *L) {
  const char *path = plb_path(L, 1);
  plb_enter(L);
  pl_names *files = push_names(L), *folders = push_names(L);
  if (!pl_folder_list(path, folders, files)) return plb_nil(L);
  push_list(L, files);
  push_list(L, folders);
  return 2;
}

static int io_find_files(lua_State *L) {
  const char *path = plb_path(L, 1);
  plb_enter(L);
  pl_names *files = push_names(L);
  if (!pl_folder_find(path, files)) return plb_nil(L);
  push_list(L, files);
  return 1;
}

/*
** Pictures
*/

typedef struct {
  plb_owned owned;
  pl_pictures *pictures; /* NULL: closed */
} pictures_box;

static pl_pictures *check_pictures(lua_State *L, int i) {
  const pictures_box *p = luaL_testudata(L, i, PICTURES);
  if (!p) plb_expected(L, i, "what open_pictures gives");
  plb_arg_check(L, p->pictures != NULL, i, "the pictures were closed");
  return p->pictures;
}

static void end_pictures(plb_owned *o) {
  pictures_box *p = (pictures_box *)o;
  pl_pictures_release(p->pictures);
  p->pictures = NULL;
}

static pl_pictures **push_pictures(lua_State *L) {
  pictures_box *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (pictures_box){0};
  set_closing(L, PICTURES, end_pictures, close_owned);
  return &p->pictures;
}

/* Copies the list at i, whose items are paths. */
static pl_names *push_paths(lua_State *L, int i) {
  const lua_Integer n = (lua_Integer)lua_rawlen(L, i);
  pl_names *names = push_names(L);
  for (lua_Integer k = 1; k <= n; k++) {
    size_t length;
    lua_rawgeti(L, i, k);
    const char *path = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    if (!path || !length || strlen(path) != length)
      plb_error(L, "file %d is a %s; path expected", (int)k,
                path ? "text that is none" : plb_typename(L, -1));
    if (!pl_names_add(names, path)) plb_raise(L);
    lua_pop(L, 1);
  }
  return names;
}

static int whole_option(lua_State *L, int i, const char *who, const char *name, int fallback,
                        int most) {
  const double v = plb_number_option(L, i, who, name, fallback);
  if (!(v >= 0 && v <= most)) luaL_error(L, "%s: %s: 0 to %d expected, got %f", who, name, most, v);
  return (int)v;
}

static int open_pictures(lua_State *L) {
  pl_pictures **p;
  plb_enter(L);
  if (plb_test(L, 1)) {
    p = push_pictures(L);
    pl_scope_begin();
    *p = pl_pictures_in_tensor(plb_hold_read(L, 1));
    pl_scope_end();
  } else {
    plb_need(L, 1, LUA_TTABLE);
    const int channels = whole_option(L, 2, "open_pictures", "channels", 3, 4),
              h = whole_option(L, 2, "open_pictures", "height", 0, PL_MOST_PIXELS),
              w = whole_option(L, 2, "open_pictures", "width", 0, PL_MOST_PIXELS);
    pl_names *names = push_paths(L, 1);
    p = push_pictures(L);
    *p = pl_pictures_in_files(names, channels, h, w);
  }
  return *p ? 1 : plb_raise(L);
}

static int first_unreadable(lua_State *L) {
  const lua_Integer from = plb_whole(L, 2);
  plb_arg_check(L, from >= 1, 2, "a number from 1 expected");
  plb_enter(L);
  pl_pictures *p = pl_pictures_retain(check_pictures(L, 1)); /* a finalizer may close them */
  const int64_t n = pl_pictures_count(p), i = pl_pictures_unreadable(p, from - 1);
  pl_pictures_release(p);
  if (i < 0) return plb_raise(L);
  if (i >= n) return 0;
  char text[PLB_MESSAGE];
  plb_take_error(text);
  lua_pushinteger(L, i + 1);
  lua_pushstring(L, text);
  return 2;
}

/*
** Loaders
*/

static int is_transform(lua_State *L) {
  lua_pushboolean(L, plb_test_transform(L, 1) != NULL);
  return 1;
}

typedef struct {
  plb_owned owned;
  pl_loader *loader; /* NULL: closed */
  bool busy;         /* Lua may run a finalizer meanwhile, which may know it */
} loader_box;

static loader_box *check_loader(lua_State *L, int i) {
  loader_box *l = luaL_testudata(L, i, LOADER);
  if (!l) plb_expected(L, i, "what open_loader gives");
  plb_arg_check(L, !l->busy, i, "the loader is in use");
  return l;
}

static void end_loader(plb_owned *o) {
  loader_box *l = (loader_box *)o;
  pl_loader_close(l->loader);
  l->loader = NULL;
}

static int loader_close(lua_State *L) {
  plb_end_owned(&check_loader(L, 1)->owned);
  return 0;
}

static int count_option(lua_State *L, const char *name, int fallback, int most) {
  return whole_option(L, 3, "batches", name, fallback, most);
}

/* Those that are none are NULL. They stay on the stack: what gave them may have been a function. */
static void read_transforms(lua_State *L, pl_loader_options *o) {
  lua_getfield(L, 3, "transforms");
  const int list = lua_gettop(L);
  plb_need(L, list, LUA_TTABLE);
  for (int i = 0; i < PL_LOADER_TRANSFORMS; i++) {
    lua_rawgeti(L, list, i + 1);
    o->transform[i] = plb_test_transform(L, -1);
  }
}

static pl_loader_options read_options(lua_State *L) {
  pl_loader_options o = {0};
  o.batch_size = count_option(L, "batch_size", 1, INT32_MAX);
  o.batches = count_option(L, "batches", 0, INT32_MAX);
  o.skip = count_option(L, "skip", 0, INT32_MAX);
  o.workers = count_option(L, "workers", 0, PL_LOADER_THREADS);
  o.ahead = count_option(L, "ahead", 2, 1000);
  o.mean = plb_number_option(L, 3, "batches", "mean", 0);
  o.std = plb_number_option(L, 3, "batches", "std", 1);
  lua_getfield(L, 3, "key");
  o.key = (uint64_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return o;
}

static int open_loader(lua_State *L) {
  check_pictures(L, 1);
  plb_check(L, 2);
  plb_need(L, 3, LUA_TTABLE);
  pl_loader_options o = read_options(L);
  read_transforms(L, &o);
  loader_box *l = lua_newuserdatauv(L, sizeof *l, 0);
  *l = (loader_box){0};
  set_closing(L, LOADER, end_loader, loader_close);
  plb_enter(L);
  o.pictures = check_pictures(L, 1); /* last, for finalizers and functions of Lua may close them */
  pl_scope_begin();
  o.rows = plb_hold_read(L, 2);
  l->loader = pl_loader_open(&o);
  pl_scope_end();
  return l->loader ? 1 : plb_raise(L);
}

static int next_batch(lua_State *L) {
  loader_box *l = check_loader(L, 1);
  const lua_Integer i = plb_whole(L, 2);
  plb_arg_check(L, i >= 1, 2, "a number from 1 expected");
  plb_make_room(L, 0);
  pl_tensor **box = plb_newbox(L);
  if (!check_loader(L, 1)->loader) return 0;
  l->busy = true;
  pl_scope_begin();
  plb_fill(L, box, pl_loader_next(l->loader, i - 1));
  pl_scope_end();
  l->busy = false;
  if (pl_error()) return plb_raise(L);
  return *box ? 1 : 0;
}

static int data_seconds(lua_State *L) {
  pl_stats s = {.size = sizeof s};
  plb_enter(L);
  pl_stats_now(&s);
  lua_pushnumber(L, s.data_seconds);
  return 1;
}

static const plb_function functions[] = {
    {"list_folder", io_list_folder,
     "(path)\nThe names of the files in a folder, and those of its folders: two lists, in the "
     "order "
     "of their bytes, without names that begin with a point; or nil and a message."},
    {"find_files", io_find_files,
     "(path)\nThe paths, below a folder, of the files in it and in the folders below, in the order "
     "of their folders' paths, then of their names; without names that begin with a point; or nil "
     "and a message."},
    {"open_pictures", open_pictures,
     "(files, {channels=3, height, width}) or (images)\nPictures that open_loader reads: a list of "
     "paths, "
     "or uint8 [n,h,w], [n,h,w,3], [n,h,w,4]. perilune.data calls it."},
    {"first_unreadable", first_unreadable,
     "(pictures, i)\nThe first picture from number i on that cannot be read, and why, or nothing."},
    {"is_transform", is_transform, "(value)\nWhether it is what image.transform makes."},
    {"open_loader", open_loader,
     "(pictures, rows, options)\nBatches that threads make. perilune.data.batches calls it."},
    {"next_batch", next_batch,
     "(loader, i)\nBatch i of a loader, the next one or one further on, real [b,c,h,w]; nothing at "
     "the end."},
    {"data_seconds", data_seconds,
     "()\nFor how many seconds data.batches has waited for pictures until now."},
    {NULL, NULL, NULL}};

void plb_open_loader(lua_State *L) { plb_add(L, "Files", functions, NULL); }
