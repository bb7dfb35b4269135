/*
** files.c: files and folders as Lua functions.
*/
#include "io/io.h"

#include "bind.h"

static int io_mkdir(lua_State *L) { return plb_result(L, pl_folder_make(plb_path(L, 1))); }

static int io_lock_folder(lua_State *L) { return plb_result(L, pl_folder_lock(plb_path(L, 1))); }

static int io_write_file(lua_State *L) {
  size_t n;
  const char *path = plb_path(L, 1), *text = luaL_checklstring(L, 2, &n);
  return plb_result(L, pl_file_write(path, text, n));
}

static int io_append_file(lua_State *L) {
  size_t n;
  int64_t length;
  const char *path = plb_path(L, 1), *text = luaL_checklstring(L, 2, &n);
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
  return plb_result(L, pl_file_truncate(plb_path(L, 1), luaL_checkinteger(L, 2)));
}

static const plb_function functions[] = {
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
