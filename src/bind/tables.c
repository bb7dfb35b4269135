/*
** tables.c: tables as text (CSV) as Lua functions.
*/
#include "io/csv.h"

#include <string.h>

#include "bind.h"

#define CSV "perilune.csv"

static const char *const types[] = {"skip", "guess", "real", "int32", "category", NULL};

static int csv_close(lua_State *L) {
  pl_csv **c = luaL_checkudata(L, 1, CSV);
  pl_csv_close(*c);
  *c = NULL;
  return 0;
}

static pl_csv *check_table(lua_State *L) {
  pl_csv **c = luaL_checkudata(L, 1, CSV);
  if (!*c) luaL_error(L, "csv: the table was closed");
  return *c;
}

/* A column from 1. */
static int check_column(lua_State *L, const pl_csv *c, int i) {
  const lua_Integer k = plb_whole(L, i);
  plb_arg_check(L, k >= 1 && k <= pl_csv_columns(c), i, "there is no such column");
  return (int)k - 1;
}

static int csv_names(lua_State *L) {
  const pl_csv *c = check_table(L);
  lua_createtable(L, pl_csv_columns(c), 0);
  for (int i = 0; i < pl_csv_columns(c); i++) {
    lua_pushstring(L, pl_csv_name(c, i));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* (column, name) */
static int csv_rename(lua_State *L) {
  pl_csv *c = check_table(L);
  const int i = check_column(L, c, 2);
  return plb_result(L, pl_csv_rename(c, i, plb_text(L, 3, NULL)));
}

static bool add_words(lua_State *L, pl_csv *c, int i, int list) {
  const lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer k = 1; k <= count; k++) {
    size_t n;
    if (lua_rawgeti(L, list, k) != LUA_TSTRING) luaL_error(L, "csv: a word is no string");
    const char *word = lua_tolstring(L, -1, &n); /* which lives in the list */
    lua_pop(L, 1);
    if (!pl_csv_add_word(c, i, word, n)) return false;
  }
  return true;
}

/* (column, type, required, words?, unseen?) */
static int csv_choose(lua_State *L) {
  pl_csv *c = check_table(L);
  const int i = check_column(L, c, 2), type = luaL_checkoption(L, 3, NULL, types);
  pl_csv_choose(c, i, (pl_csv_type)type, lua_toboolean(L, 4));
  if (lua_toboolean(L, 6)) pl_csv_admit_unseen(c, i);
  return plb_result(L, !lua_istable(L, 5) || add_words(L, c, i, 5));
}

/* The first word of a column and its line; nil if numbers and words were not told apart there. */
static int csv_first_word(lua_State *L) {
  const pl_csv *c = check_table(L);
  int64_t line;
  lua_pushstring(L, pl_csv_first_word(c, check_column(L, c, 2), &line));
  lua_pushinteger(L, line);
  return 2;
}

static int csv_survey(lua_State *L) {
  pl_csv *c = check_table(L);
  if (!pl_csv_survey(c, plb_opt_whole(L, 2, -1))) return plb_nil(L);
  lua_pushinteger(L, pl_csv_rows(c));
  return 1;
}

/* The type of a column, how many values are missing, its words if it is a category. */
static int csv_column(lua_State *L) {
  const pl_csv *c = check_table(L);
  const int i = check_column(L, c, 2);
  const bool category = pl_csv_type_of(c, i) == PL_CSV_CATEGORY;
  lua_pushstring(L, types[pl_csv_type_of(c, i)]);
  lua_pushinteger(L, pl_csv_missing(c, i));
  if (category) lua_createtable(L, pl_csv_words(c, i), 0);
  for (int k = 0; category && k < pl_csv_words(c, i); k++) {
    size_t n;
    const char *word = pl_csv_word(c, i, k, &n);
    lua_pushlstring(L, word, n);
    lua_rawseti(L, -2, k + 1);
  }
  return category ? 3 : 2;
}

/* Columns that are read: a box for each, in a table by column. */
typedef struct {
  pl_tensor **box, *t;
} slot;

static slot *push_slots(lua_State *L, const pl_csv *c) {
  const int n = pl_csv_columns(c);
  slot *s = lua_newuserdatauv(L, (size_t)n * sizeof *s, 0);
  lua_newtable(L);
  for (int i = 0; i < n; i++) {
    s[i] = (slot){0};
    if (pl_csv_type_of(c, i) == PL_CSV_SKIP) continue;
    s[i].box = plb_newbox(L);
    lua_rawseti(L, -2, i + 1);
  }
  return s;
}

static int64_t read_slots(lua_State *L, pl_csv *c, int64_t n, slot *s) {
  pl_tensor **columns = lua_newuserdatauv(L, (size_t)pl_csv_columns(c) * sizeof *columns, 0);
  pl_scope_begin();
  const int64_t rows = pl_csv_read(c, n, columns);
  for (int i = 0; i < pl_csv_columns(c); i++)
    if (rows > 0 && s[i].box) plb_fill(L, s[i].box, columns[i]);
  pl_scope_end();
  lua_pop(L, 1);
  return rows;
}

/* (n): the tensors of the next n rows by column, and how many rows they have, 0 at the end. */
static int csv_read(lua_State *L) {
  pl_csv *c = check_table(L);
  const int64_t n = plb_whole(L, 2), most = n < pl_csv_rows(c) ? n : pl_csv_rows(c);
  plb_make_room(L, (size_t)most * (size_t)pl_csv_columns(c) * sizeof(pl_real));
  slot *s = push_slots(L, c);
  const int64_t rows = read_slots(L, c, n, s);
  if (rows < 0) return plb_nil(L);
  lua_pushinteger(L, rows);
  return 2;
}

static void push_methods(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"names", csv_names},   {"rename", csv_rename}, {"choose", csv_choose},
      {"survey", csv_survey}, {"column", csv_column}, {"first_word", csv_first_word},
      {"read", csv_read},     {"close", csv_close},   {NULL, NULL}};
  luaL_newlib(L, methods);
}

/* Pushes a userdata that keeps the table at `missing` and the block with its texts. */
static pl_csv **new_table(lua_State *L, int missing) {
  pl_csv **c = lua_newuserdatauv(L, sizeof *c, 2);
  *c = NULL;
  if (luaL_newmetatable(L, CSV)) {
    lua_pushcfunction(L, csv_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, csv_close);
    lua_setfield(L, -2, "__close");
    push_methods(L);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  lua_pushvalue(L, missing);
  lua_setiuservalue(L, -2, 1);
  return c;
}

/* The texts of the list at i, in a block that is the second user value of the table on top. */
static const char *const *push_texts(lua_State *L, int i, int *n) {
  *n = (int)lua_rawlen(L, i);
  const char **text = lua_newuserdatauv(L, (size_t)(*n + 1) * sizeof *text, 0);
  for (int k = 0; k < *n; k++) {
    if (lua_rawgeti(L, i, k + 1) != LUA_TSTRING)
      luaL_error(L, "csv: what stands for a missing value is a %s; string expected",
                 plb_typename(L, -1));
    text[k] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_setiuservalue(L, -2, 2);
  return text;
}

static char check_separator(lua_State *L, int i) {
  size_t n;
  const char *text = plb_text(L, i, &n);
  if (n != 1) luaL_error(L, "csv: separator: a string of one byte expected, got '%s'", text);
  return *text;
}

static int io_csv_open(lua_State *L) {
  const char *path = plb_path(L, 1);
  pl_csv_options o = {.separator = check_separator(L, 2), .header = lua_toboolean(L, 3)};
  plb_need(L, 4, LUA_TTABLE);
  lua_settop(L, 4);
  pl_csv **c = new_table(L, 4);
  o.missing = push_texts(L, 4, &o.n_missing);
  *c = pl_csv_open(path, &o);
  return *c ? 1 : plb_nil(L);
}

/*
** Writing
*/

/* The text in a row of a column, which is a list in the table of columns at 2. */
static const char *text_at(void *user, int column, int64_t row, size_t *n) {
  lua_State *L = user;
  lua_rawgeti(L, 2, column + 1);
  lua_rawgeti(L, -1, row + 1);
  const char *text = lua_tolstring(L, -1, n);
  lua_pop(L, 2);
  return text;
}

/* Rows of the column on top: a tensor of one dim, or a list of strings. */
static int64_t check_rows(lua_State *L) {
  const pl_tensor *t = plb_test(L, -1);
  if (t && pl_rank(t) == 1) return pl_numel(t);
  if (!lua_istable(L, -1))
    luaL_error(L, "write_csv: a column is no tensor [n] and no list of strings");
  const lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer k = 1; k <= n; k++, lua_pop(L, 1))
    if (lua_rawgeti(L, -1, k) != LUA_TSTRING)
      luaL_error(L, "write_csv: a list of texts has a %s", plb_typename(L, -1));
  return n;
}

/* Checks columns at 2 and names at 3, a list or nil; gives how many rows there are. */
static int64_t check_columns(lua_State *L, int n, pl_csv_output *columns) {
  int64_t rows = 0;
  for (int i = 0; i < n; i++) {
    columns[i] = (pl_csv_output){0};
    if (lua_istable(L, 3)) {
      if (lua_rawgeti(L, 3, i + 1) != LUA_TSTRING) luaL_error(L, "write_csv: a name is no string");
      columns[i].name = lua_tostring(L, -1);
      lua_pop(L, 1);
    }
    lua_rawgeti(L, 2, i + 1);
    const int64_t m = check_rows(L);
    if (i && m != rows)
      luaL_error(L, "write_csv: a column has %d rows, another %d", (int)m, (int)rows);
    rows = m;
    lua_pop(L, 1);
  }
  return rows;
}

static int io_write_csv(lua_State *L) {
  const char *path = plb_path(L, 1);
  plb_need(L, 2, LUA_TTABLE);
  const char separator = check_separator(L, 4);
  const int n = (int)lua_rawlen(L, 2);
  if (n == 0) luaL_error(L, "write_csv: there are no columns");
  lua_settop(L, 4);
  pl_csv_output *columns = lua_newuserdatauv(L, (size_t)n * sizeof *columns, 0);
  const int64_t rows = check_columns(L, n, columns);
  luaL_checkstack(L, 4, NULL);
  pl_scope_begin();
  for (int i = 0; i < n; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, 2, i + 1);
    if ((columns[i].values = plb_hold_if(L, -1))) plb_note_read(columns[i].values);
  }
  const bool ok = pl_csv_write(path, separator, n, columns, rows, text_at, L);
  pl_scope_end();
  return plb_result(L, ok);
}

static const plb_function functions[] = {
    {"csv_open", io_csv_open,
     "(path, separator, header, missing)\nOpens a table as text, or nil and a message. "
     "perilune.data.csv calls it."},
    {"write_csv", io_write_csv,
     "(path, columns, names, separator)\nWrites a list of columns, each a tensor [n] or a list of "
     "strings, as a table; true, or nil and a message. perilune.data.write_csv calls it."},
    {NULL, NULL, NULL}};

void plb_open_tables(lua_State *L) { plb_add(L, "Files", functions, NULL); }
