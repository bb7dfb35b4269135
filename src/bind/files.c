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
    {"append_file", io_append_file,
     "(path, text, sync=true)\nAdds text to the end of a file; its new length, or nil and a "
     "message. Without sync the text may be lost if the machine stops before a later append "
     "with it, which may be of an empty text."},
    {"file_size", io_file_size, "(path)\nThe length of a file in bytes, or nil and a message."},
    {"truncate_file", io_truncate_file,
     "(path, length)\nCuts a file to a length in bytes; true, or nil and a message."},
    {NULL, NULL, NULL}};

void plb_open_files(lua_State *L) { plb_add(L, "Files", functions, NULL); }
