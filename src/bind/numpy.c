/*
** numpy.c: NumPy arrays and plain bytes as Lua functions, and what kind a file is of.
*/
#include "io/io.h"

#include "bind.h"

static int io_file_kind(lua_State *L) {
  const pl_file_kind *kind = pl_file_kind_of(plb_path(L, 1));
  if (!kind) return plb_nil(L);
  lua_pushstring(L, kind->name);
  return 1;
}

static int io_read_npy(lua_State *L) {
  const char *path = plb_path(L, 1);
  const bool convert = lua_toboolean(L, 2);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_npy_read(path, convert));
  pl_scope_end();
  return *box ? 1 : plb_nil(L);
}

static int io_map_npy(lua_State *L) {
  const char *path = plb_path(L, 1);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_npy_map(path));
  pl_scope_end();
  return *box ? 1 : plb_nil(L);
}

static int io_write_npy(lua_State *L) {
  const char *path = plb_path(L, 1);
  plb_check(L, 2);
  pl_scope_begin();
  const bool ok = pl_npy_write(path, plb_hold_read(L, 2));
  pl_scope_end();
  return plb_result(L, ok);
}

static int from_bytes(lua_State *L) {
  static const char *const known[] = {"convert", NULL};
  size_t n;
  pl_ints size = {.n = -1};
  const char *bytes = plb_text(L, 1, &n),
             *dtype = lua_isnoneornil(L, 2) ? "real" : plb_text(L, 2, &(size_t){0});
  lua_settop(L, 4);
  if (!lua_isnil(L, 3)) size = plb_ints(L, 3, "from_bytes");
  plb_check_options(L, 4, "from_bytes", known);
  const bool convert = plb_bool_option(L, 4, "convert", false);
  plb_make_room(L, 4 * n);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_from_bytes(dtype, size, bytes, n, convert));
  pl_scope_end();
  return plb_done(L, box);
}

static int to_bytes(lua_State *L) {
  plb_check(L, 1);
  pl_tensor **box = plb_newbox(L); /* holds what is copied while Lua makes the string */
  pl_scope_begin();
  plb_fill(L, box, pl_contiguous(plb_hold_read(L, 1)));
  pl_scope_end();
  if (!*box) return plb_raise(L);
  const pl_dtype dtype = pl_dtype_of(*box);
  const size_t width = dtype == PL_REAL ? sizeof(pl_real) : dtype == PL_INT32 ? 4 : 1;
  lua_pushlstring(L, pl_data(*box), (size_t)pl_numel(*box) * width);
  plb_let_go(L, box);
  return 1;
}

static const plb_function functions[] = {
    {"file_kind", io_file_kind,
     "(path)\nWhat a file is by its first bytes: \"npy\", \"npz\", \"safetensors\", \"png\", "
     "\"text\", "
     "..., \"\" if that is not known; or nil and a message."},
    {"read_npy", io_read_npy,
     "(path, convert=false)\nThe tensor in a .npy file of NumPy's, or nil and a message. "
     "perilune.load "
     "calls it."},
    {"map_npy", io_map_npy,
     "(path)\nThe same, in the file's own memory; perilune.data.npy calls it."},
    {"write_npy", io_write_npy,
     "(path, tensor)\nWrites a .npy file of NumPy's; true, or nil and a message. perilune.save "
     "calls it."},
    {"from_bytes", from_bytes,
     "(bytes, dtype=\"real\", sizes?, options?)\nThe tensor of the values that lie in a string, in "
     "row-major order, the low byte of each first; without sizes a vector of all. The dtype is one "
     "of "
     "ours, or one of safetensors: F64, F32, F16, BF16 become real, I8, I16, I32, I64, U16, U32, "
     "U64 "
     "int32, U8, BOOL uint8. It is an error if a value does not fit, unless the option convert is "
     "true, as "
     "of perilune.load."},
    {"to_bytes", to_bytes,
     "(tensor)\nThe bytes of its values in row-major order: 4 or 8 of a real as the build has it, "
     "4 of "
     "an int32, 1 of a uint8."},
    {NULL, NULL, NULL}};

void plb_open_numpy(lua_State *L) { plb_add(L, "Files", functions, NULL); }
