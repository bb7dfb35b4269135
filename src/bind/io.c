/*
** io.c: files, JSON, image batches, the terminal and the clock as Lua functions. What a
** user can expect to fail (no such file, a damaged one) returns nil and a message.
*/
#include "io/io.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "bind.h"
#include "json.h"

#define ARCHIVE "perilune.archive"

static const char *check_path(lua_State *L, int i) {
  size_t n;
  const char *path = luaL_checklstring(L, i, &n);
  luaL_argcheck(L, n > 0 && strlen(path) == n, i, "path expected, got an empty or binary string");
  return path;
}

/* true, or nil and the message. */
static int result(lua_State *L, bool ok) {
  if (!ok) return plb_nil(L);
  lua_pushboolean(L, true);
  return 1;
}

static int read_tensor(lua_State *L, pl_tensor *(*read)(const char *)) {
  const char *path = check_path(L, 1);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, read(path));
  pl_scope_end();
  return *box ? 1 : plb_nil(L);
}

static int io_read_idx(lua_State *L) { return read_tensor(L, pl_idx_read); }

static int io_read_png(lua_State *L) { return read_tensor(L, pl_png_read); }

static int io_write_png(lua_State *L) {
  const char *path = check_path(L, 1);
  pl_tensor *image = plb_check(L, 2);
  pl_scope_begin();
  const bool ok = pl_png_write(path, image);
  pl_scope_end();
  return result(L, ok);
}

/*
** Archives
*/

static int count_pairs(lua_State *L, int i) {
  int n = 0;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) n++;
  return n;
}

static const char *check_name(lua_State *L, int i, const char *what) {
  size_t n;
  if (lua_type(L, i) != LUA_TSTRING)
    luaL_error(L, "save_tensors: a %s is named by a %s; string expected", what,
               luaL_typename(L, i));
  const char *name = lua_tolstring(L, i, &n);
  if (strlen(name) != n) luaL_error(L, "save_tensors: a %s has a zero byte in its name", what);
  return name;
}

/* Pushes a block with the pairs of the table at i, whose keys and values stay alive in it. */
static pl_named_tensor *check_tensors(lua_State *L, int i, int *n) {
  luaL_checktype(L, i, LUA_TTABLE);
  pl_named_tensor *list = lua_newuserdatauv(L, (size_t)(count_pairs(L, i) + 1) * sizeof *list, 0);
  *n = 0;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = check_name(L, -2, "tensor");
    pl_tensor *t = plb_test(L, -1);
    if (!t)
      luaL_error(L, "save_tensors: '%s' is a %s; tensor expected", name, luaL_typename(L, -1));
    list[(*n)++] = (pl_named_tensor){name, t};
  }
  return list;
}

static pl_named_text *check_texts(lua_State *L, int i, int *n) {
  *n = 0;
  if (lua_isnoneornil(L, i)) return NULL;
  luaL_checktype(L, i, LUA_TTABLE);
  pl_named_text *list = lua_newuserdatauv(L, (size_t)(count_pairs(L, i) + 1) * sizeof *list, 0);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = check_name(L, -2, "text");
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "save_tensors: text '%s' is a %s; string expected", name, luaL_typename(L, -1));
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (strlen(text) != length) luaL_error(L, "save_tensors: text '%s' has a zero byte", name);
    list[(*n)++] = (pl_named_text){name, text};
  }
  return list;
}

static int io_save_tensors(lua_State *L) {
  int n, n_texts;
  const char *path = check_path(L, 1);
  lua_settop(L, 3);
  const pl_named_tensor *tensors = check_tensors(L, 2, &n);
  const pl_named_text *texts = check_texts(L, 3, &n_texts);
  pl_scope_begin();
  const bool ok = pl_archive_save(path, n, tensors, n_texts, texts);
  pl_scope_end();
  return result(L, ok);
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

static bool push_tensor(lua_State *L, pl_archive *a, int i) {
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_archive_tensor(a, i));
  pl_scope_end();
  return *box != NULL;
}

static int io_load_tensors(lua_State *L) {
  const char *path = check_path(L, 1);
  pl_archive **a = new_archive(L);
  *a = pl_archive_open(path);
  if (!*a) return plb_nil(L);
  const int n = pl_archive_count(*a);
  lua_createtable(L, 0, n);
  for (int i = 0; i < n; i++) {
    if (!push_tensor(L, *a, i)) return plb_nil(L);
    lua_setfield(L, -2, pl_archive_name(*a, i));
  }
  lua_newtable(L);
  for (int i = 0; pl_archive_text(*a, i).name; i++) {
    const pl_named_text text = pl_archive_text(*a, i);
    lua_pushstring(L, text.text);
    lua_setfield(L, -2, text.name);
  }
  return 2;
}

/*
** Files
*/

static int io_mkdir(lua_State *L) { return result(L, pl_folder_make(check_path(L, 1))); }

static int io_lock_folder(lua_State *L) { return result(L, pl_folder_lock(check_path(L, 1))); }

static int io_write_file(lua_State *L) {
  size_t n;
  const char *path = check_path(L, 1), *text = luaL_checklstring(L, 2, &n);
  return result(L, pl_file_write(path, text, n));
}

static int io_append_file(lua_State *L) {
  size_t n;
  int64_t length;
  const char *path = check_path(L, 1), *text = luaL_checklstring(L, 2, &n);
  bool sync = lua_isnoneornil(L, 3) || lua_toboolean(L, 3);
  if (!pl_file_append(path, text, n, sync, &length)) return plb_nil(L);
  lua_pushinteger(L, length);
  return 1;
}

static int io_file_size(lua_State *L) {
  int64_t size;
  if (!pl_file_size(check_path(L, 1), &size)) return plb_nil(L);
  lua_pushinteger(L, size);
  return 1;
}

static int io_truncate_file(lua_State *L) {
  return result(L, pl_file_truncate(check_path(L, 1), luaL_checkinteger(L, 2)));
}

/*
** Image batches
*/

static double number_option(lua_State *L, int i, const char *name, double fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  const int type = lua_getfield(L, i, name);
  if (type != LUA_TNIL && type != LUA_TNUMBER)
    luaL_error(L, "image_batch: option %s is a %s; number expected", name, luaL_typename(L, -1));
  const double v = type == LUA_TNIL ? fallback : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

static bool bool_option(lua_State *L, int i, const char *name) {
  if (lua_isnoneornil(L, i)) return false;
  lua_getfield(L, i, name);
  const bool v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

/* Bytes of the batch; 0 where the engine will refuse the tensors anyway. */
static size_t batch_bytes(const pl_tensor *images, const pl_tensor *rows) {
  const pl_ints size = pl_size(images);
  if (size.n < 3 || size.v[0] < 1) return 0;
  return (size_t)(pl_numel(images) / size.v[0] * pl_numel(rows)) * sizeof(pl_real);
}

static int io_image_batch(lua_State *L) {
  pl_tensor *images = plb_check(L, 1), *rows = plb_check(L, 2);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  const double mean = number_option(L, 3, "mean", 0), std = number_option(L, 3, "std", 1);
  const double shift = number_option(L, 3, "shift", 0);
  const bool flip = bool_option(L, 3, "flip");
  plb_make_room(L, batch_bytes(images, rows));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_image_batch(images, rows, mean, std, flip, (int)shift));
  pl_scope_end();
  return *box ? 1 : plb_raise(L);
}

/*
** The terminal and the clock
*/

static int io_isatty(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

/* Of the terminal on stderr or stdout, else $COLUMNS, else 80. */
static int io_terminal_width(lua_State *L) {
  struct winsize size = {0};
  int width = 0;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    width = size.ws_col;
  const char *columns = getenv("COLUMNS");
  if (width == 0 && columns) width = atoi(columns);
  lua_pushinteger(L, width > 0 ? width : 80);
  return 1;
}

static int io_clock(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + 1e-9 * (lua_Number)now.tv_nsec);
  return 1;
}

static const plb_function functions[] = {
    {"save_tensors", io_save_tensors,
     "(path, tensors, texts?)\nWrites a safetensors archive of named tensors, and of texts for its "
     "metadata; true, or nil and a message. perilune.save does it for any plain table."},
    {"load_tensors", io_load_tensors,
     "(path)\nThe named tensors of a safetensors archive and the table of its texts, or nil and a "
     "message."},
    {"json_encode", plb_json_encode,
     "(value, {nan=\"null\"}?)\nA plain value as JSON text. Infinities and NaN, which JSON does "
     "not have, raise an error; with the option they become null."},
    {"json_decode", plb_json_decode, "(text)\nThe value of a JSON text, or nil and a message."},
    {"read_idx", io_read_idx,
     "(path)\nThe tensor in an IDX file, plain or compressed with gzip, or nil and a message."},
    {"read_png", io_read_png,
     "(path)\nA PNG file as a uint8 tensor [h,w] or [h,w,3], or nil and a message."},
    {"write_png", io_write_png,
     "(path, image)\nWrites [h,w] or [h,w,3], uint8 or real in [0, 1], as a PNG file; true, or nil "
     "and a message."},
    {"mkdir", io_mkdir,
     "(path)\nMakes a folder and those above it, as far as they are missing; true, or nil and a "
     "message."},
    {"lock_folder", io_lock_folder,
     "(path)\nKeeps other processes from locking a folder, until this one ends; true, or nil and a "
     "message if another one has locked it."},
    {"write_file", io_write_file,
     "(path, text)\nWrites a file, whole or not at all; true, or nil and a message."},
    {"append_file", io_append_file,
     "(path, text, sync=true)\nAdds text to the end of a file; its new length, or nil and a "
     "message. Without sync the text may be lost if the machine stops before a later append "
     "with it, which may be of an empty text."},
    {"file_size", io_file_size, "(path)\nThe length of a file in bytes, or nil and a message."},
    {"truncate_file", io_truncate_file,
     "(path, length)\nCuts a file to a length in bytes; true, or nil and a message."},
    {"image_batch", io_image_batch,
     "(images, rows, options?)\nRows of uint8 images [n,h,w] or [n,h,w,3] as a real batch "
     "[b,c,h,w], (pixel / 255 - mean) / std. Options: mean, std, flip, shift. "
     "perilune.data.batches calls it."},
    {"isatty", io_isatty, "(fd)\nWhether a file descriptor, 1 for output, is a terminal."},
    {"terminal_width", io_terminal_width, "()\nThe columns of the terminal; 80 if there is none."},
    {"clock", io_clock, "()\nSeconds from some fixed moment on, for measuring durations."},
    {NULL, NULL, NULL}};

void plb_open_io(lua_State *L) { plb_add(L, functions, NULL); }
