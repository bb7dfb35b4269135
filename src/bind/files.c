/*
** files.c: files and folders as Lua functions.
*/
#include "io/io.h"

#include <stdlib.h>

#include "bind.h"

enum { MAX_FILE = 1 << 30 };

/* The block that was read hangs on a guard, for Lua may raise an error when it copies it. */
static int free_block(lua_State *L) {
  void **block = lua_touserdata(L, 1);
  free(*block);
  *block = NULL;
  return 0;
}

static int io_read_file(lua_State *L) {
  size_t n = 0;
  const char *path = plb_path(L, 1);
  void **block = lua_newuserdatauv(L, sizeof *block, 0);
  *block = NULL;
  if (luaL_newmetatable(L, "perilune.block")) {
    lua_pushcfunction(L, free_block);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, free_block);
    lua_setfield(L, -2, "__close");
  }
  lua_setmetatable(L, -2);
  lua_toclose(L, -1);
  *block = pl_file_read(path, MAX_FILE, &n);
  if (!*block) return plb_nil(L);
  lua_pushlstring(L, *block, n);
  return 1;
}

static int io_crc32(lua_State *L) {
  size_t n;
  const char *text = plb_text(L, 1, &n);
  lua_pushinteger(L, pl_crc32((uint32_t)plb_opt_whole(L, 2, 0), text, n));
  return 1;
}

static int io_mkdir(lua_State *L) { return plb_result(L, pl_folder_make(plb_path(L, 1))); }

static int io_lock_folder(lua_State *L) { return plb_result(L, pl_folder_lock(plb_path(L, 1))); }

static int io_write_file(lua_State *L) {
  size_t n;
  const char *path = plb_path(L, 1), *text = plb_text(L, 2, &n);
  return plb_result(L, pl_file_write(path, text, n));
}

/*
** A file of parts, texts and tensors, which are written where they lie
*/

/* Whether the values of a tensor lie in the file as they do in memory: reals are floats there. */
static bool lies_as_written(const pl_tensor *t) {
  return pl_dtype_of(t) != PL_REAL || sizeof(pl_real) == sizeof(float);
}

static bool write_floats(pl_newfile *f, pl_tensor *t) {
  float piece[1024];
  const int64_t n = pl_numel(t), most = sizeof piece / sizeof *piece;
  for (int64_t done = 0, i; done < n; done += i) {
    for (i = 0; i < most && done + i < n; i++) piece[i] = (float)pl_at(t, done + i);
    if (!pl_newfile_write(f, piece, (size_t)i * sizeof *piece)) return false;
  }
  return true;
}

static bool write_values(pl_newfile *f, pl_tensor *t) {
  if (!(t = pl_contiguous(t))) return false;
  if (!lies_as_written(t)) return write_floats(f, t);
  const size_t width = pl_dtype_of(t) == PL_UINT8 ? 1 : 4;
  return pl_newfile_write(f, pl_data(t), (size_t)pl_numel(t) * width);
}

/* The part on top. */
static bool write_part(lua_State *L, pl_newfile *f) {
  size_t n;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
  if (text) return pl_newfile_write(f, text, n);
  pl_scope_begin();
  const bool ok = write_values(f, plb_box_at(L, -1)->tensor);
  pl_scope_end();
  return ok;
}

/* write_parts(path, parts) -> true, or nil and a message. Nothing here may raise while the file is in
 * the making. */
static int io_write_parts(lua_State *L) {
  const char *path = plb_path(L, 1);
  plb_need(L, 2, LUA_TTABLE);
  const lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 1))
    if (lua_rawgeti(L, 2, i) != LUA_TSTRING) plb_note_read(plb_check(L, -1));
  pl_newfile *f = pl_newfile_open(path);
  bool ok = f != NULL;
  for (lua_Integer i = 1; ok && i <= n; i++, lua_pop(L, 1))
    ok = lua_rawgeti(L, 2, i) != LUA_TNIL && pl_check_interrupt() && write_part(L, f);
  if (ok) return plb_result(L, pl_newfile_commit(f));
  pl_newfile_discard(f);
  return plb_nil(L);
}

static int io_append_file(lua_State *L) {
  size_t n;
  int64_t length;
  const char *path = plb_path(L, 1), *text = plb_text(L, 2, &n);
  bool sync = lua_isnoneornil(L, 3) || lua_toboolean(L, 3);
  if (!pl_file_append(path, text, n, sync, &length)) return plb_nil(L);
  lua_pushinteger(L, length);
  return 1;
}

static int io_file_size(lua_State *L) {
  int64_t size;
  if (!pl_file_size(plb_path(L, 1), &size)) return plb_nil(L);
  lua_pushinteger(L, size);
  return 1;
}

static int io_truncate_file(lua_State *L) {
  return plb_result(L, pl_file_truncate(plb_path(L, 1), plb_whole(L, 2)));
}

static const plb_function functions[] = {
    {"read_file", io_read_file, "(path)\nThe bytes of a regular file, or nil and a message."},
    {"crc32", io_crc32,
     "(text, crc=0)\nThe CRC-32 of a text, or of all before it too, whose CRC-32 is given."},
    {"mkdir", io_mkdir,
     "(path)\nMakes a folder and those above it, as far as they are missing; true, or nil and a "
     "message."},
    {"lock_folder", io_lock_folder,
     "(path)\nKeeps other processes from locking a folder, until this one ends; true, or nil and a "
     "message if another one has locked it."},
    {"write_file", io_write_file,
     "(path, text)\nWrites a file, whole or not at all; true, or nil and a message."},
    {"write_parts", io_write_parts,
     "(path, parts)\nWrites a file of several parts, whole or not at all: texts, and tensors, "
     "whose "
     "values are written in row-major order, 4 bytes of a real or int32, 1 of a uint8; true, or "
     "nil "
     "and a message."},
    {"append_file", io_append_file,
     "(path, text, sync=true)\nAdds text to the end of a file; its new length, or nil and a "
     "message. Without sync the text may be lost if the machine stops before a later append "
     "with it, which may be of an empty text."},
    {"file_size", io_file_size, "(path)\nThe length of a file in bytes, or nil and a message."},
    {"truncate_file", io_truncate_file,
     "(path, length)\nCuts a file to a length in bytes; true, or nil and a message."},
    {NULL, NULL, NULL}};

void plb_open_files(lua_State *L) { plb_add(L, "Files", functions, NULL); }
