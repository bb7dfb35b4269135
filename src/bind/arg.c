/*
** arg.c: reading arguments: numbers, lists, dtypes, options by name.
*/
#include "bind.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/context.h"

/*
** Messages. They name what was called by the name that it has in the module, whatever a script
** calls it.
*/

static const char names_key = 0; /* registry: function -> its name */

void plb_name_function(lua_State *L, const char *name) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) == LUA_TNIL) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
    lua_replace(L, -2);
  }
  lua_pushvalue(L, -2);
  lua_pushstring(L, name);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* The name of the function that runs, "" if it has none, and whether it is a method. */
static const char *called(lua_State *L, bool *is_method) {
  static const char prefix[] = "tensor:";
  lua_Debug ar;
  *is_method = false;
  if (!lua_getstack(L, 0, &ar) || lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key) != LUA_TTABLE)
    return "";
  lua_getinfo(L, "f", &ar);
  lua_rawget(L, -2);
  const char *name = lua_tostring(L, -1); /* which lives in the table */
  lua_pop(L, 2);
  if (!name) return "";
  *is_method = strncmp(name, prefix, sizeof prefix - 1) == 0;
  return *is_method ? name + sizeof prefix - 1 : name;
}

/* Raises the text on top. */
static int raise(lua_State *L, const char *name) {
  luaL_where(L, 1);
  lua_pushfstring(L, *name ? "%s: " : "%s", name);
  lua_rotate(L, -3, 2);
  lua_concat(L, 3);
  return lua_error(L);
}

int plb_error(lua_State *L, const char *format, ...) {
  bool is_method;
  va_list args;
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  return raise(L, called(L, &is_method));
}

/* Whether a word at the start of a message names a part of what was called, of which the script
 * knows nothing: copy of copy_, or index_select of embedding. A backward pass is called without an
 * op, and names the one in which it failed. */
static bool is_inner(const char *word, const char *name) {
  if (!*name || strncmp(name, word, strlen(word)) == 0) return *name;
  const bool is_pass = strncmp(name, "backward", 8) == 0 || strcmp(name, "grad") == 0;
  return is_pass ? strcmp(word, "gradient") == 0 : pl_op_find(word) != NULL;
}

int plb_raise(lua_State *L) {
  bool is_method;
  char text[PLB_MESSAGE], word[64];
  const char *message = plb_take_error(text), *name = called(L, &is_method);
  const size_t n = strcspn(message, ": ");
  if (message[n] == ':' || message[0] == '[') { /* it says whose it is, or where it was raised */
    snprintf(word, sizeof word, "%.*s", (int)n, message);
    if (is_inner(word, name) && message[n + 1] == ' ') message += n + 2;
    else name = "";
  } else if (n == strlen(name) && strncmp(message, name, n) == 0) { /* index 4 is not within ... */
    name = "";
  }
  lua_pushstring(L, message);
  return raise(L, name);
}

int plb_bad_arg(lua_State *L, int i, const char *text) {
  bool is_method;
  const char *name = called(L, &is_method);
  if (is_method && i == 1) lua_pushstring(L, text);
  else lua_pushfstring(L, "argument %d: %s", i - is_method, text);
  return raise(L, name);
}

void plb_arg_check(lua_State *L, bool good, int i, const char *text) {
  if (!good) plb_bad_arg(L, i, text);
}

int plb_expected(lua_State *L, int i, const char *what) {
  bool is_method;
  const char *name = called(L, &is_method), *got = plb_shown(L, i);
  if (is_method && i == 1) return plb_error(L, "methods are called with a colon: t:%s(...)", name);
  lua_pushfstring(L, "%s expected, got %s", what, got);
  return plb_bad_arg(L, i, lua_tostring(L, -1));
}

/*
** Values
*/

void plb_need(lua_State *L, int i, int type) {
  if (lua_type(L, i) != type) plb_expected(L, i, lua_typename(L, type));
}

double plb_number(lua_State *L, int i) {
  if (!plb_as_number(L, i)) plb_expected(L, i, "number");
  return lua_tonumber(L, i);
}

double plb_opt_number(lua_State *L, int i, double fallback) {
  return lua_isnoneornil(L, i) ? fallback : plb_number(L, i);
}

lua_Integer plb_whole(lua_State *L, int i) {
  int exact = plb_as_number(L, i);
  const lua_Integer v = exact ? lua_tointegerx(L, i, &exact) : 0;
  if (!exact) plb_expected(L, i, "integer");
  return v;
}

lua_Integer plb_opt_whole(lua_State *L, int i, lua_Integer fallback) {
  return lua_isnoneornil(L, i) ? fallback : plb_whole(L, i);
}

const char *plb_text(lua_State *L, int i, size_t *n) {
  plb_need(L, i, LUA_TSTRING);
  return lua_tolstring(L, i, n);
}

const char *plb_typename(lua_State *L, int i) {
  return plb_box_at(L, i) ? "tensor" : luaL_typename(L, i);
}

const char *plb_shown(lua_State *L, int i) {
  if (lua_type(L, i) == LUA_TSTRING) return lua_pushfstring(L, "'%s'", lua_tostring(L, i));
  if (lua_type(L, i) != LUA_TNUMBER) return plb_typename(L, i);
  return lua_tonumber(L, i) == lua_tonumber(L, i) ? luaL_tolstring(L, i, NULL) : "nan";
}

bool plb_as_number(lua_State *L, int i) {
  const plb_box *box = plb_box_at(L, i);
  if (!box || !box->tensor || pl_rank(box->tensor)) return lua_type(L, i) == LUA_TNUMBER;
  i = lua_absindex(L, i);
  plb_push_value(L, box->tensor, pl_at(box->tensor, 0));
  lua_replace(L, i);
  return true;
}

void plb_note_read(const pl_tensor *t) {
  pl_tracer *tracer = PL_HERE->tracer;
  if (tracer && tracer->read) tracer->read(tracer, (pl_tensor *)t);
}

/* Lua prints a NaN with its sign. */
void plb_push_value(lua_State *L, const pl_tensor *t, double v) {
  plb_note_read(t);
  if (pl_dtype_of(t) == PL_REAL) lua_pushnumber(L, isnan(v) ? NAN : v);
  else lua_pushinteger(L, (lua_Integer)v);
}

int64_t plb_integer(lua_State *L, int i, const char *what) {
  int exact = plb_as_number(L, i);
  const lua_Integer v = exact ? lua_tointegerx(L, i, &exact) : 0;
  if (!exact) luaL_error(L, "%s: integer expected, got %s", what, plb_shown(L, i));
  return v;
}

pl_ints plb_ints(lua_State *L, int i, const char *what) {
  pl_ints list = {0};
  if (lua_type(L, i) != LUA_TTABLE) {
    list.v[list.n++] = plb_integer(L, i, what);
    return list;
  }
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > PL_MAX_RANK)
    luaL_error(L, "%s: at most %d integers expected, got %d", what, PL_MAX_RANK, (int)n);
  for (lua_Unsigned k = 1; k <= n; k++) {
    lua_rawgeti(L, i, (lua_Integer)k);
    list.v[list.n++] = plb_integer(L, -1, what);
    lua_pop(L, 1);
  }
  return list;
}

void plb_push_ints(lua_State *L, pl_ints ints) {
  lua_createtable(L, ints.n, 0);
  for (int d = 0; d < ints.n; d++) {
    lua_pushinteger(L, ints.v[d]);
    lua_rawseti(L, -2, d + 1);
  }
}

static pl_dtype dtype_named(lua_State *L, int i) {
  const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";
  for (int k = PL_REAL; k <= PL_UINT8; k++)
    if (strcmp(name, pl_dtype_name((pl_dtype)k)) == 0) return (pl_dtype)k;
  plb_error(L, "dtype: 'real', 'int32' or 'uint8' expected, got %s", plb_shown(L, i));
  return PL_REAL;
}

pl_dtype plb_named_dtype(lua_State *L, int i, pl_dtype fallback) {
  pl_dtype dtype = fallback;
  bool given = false;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TNUMBER) continue;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : plb_typename(L, -2);
    if (strcmp(name, "dtype") != 0 && strcmp(name, "kind") != 0)
      plb_error(L, "unknown option '%s'; known: dtype", name);
    if (given) plb_error(L, "dtype and kind are the same option; one of them expected");
    dtype = dtype_named(L, lua_gettop(L));
    given = true;
  }
  return dtype;
}

pl_dtype plb_dtype(lua_State *L, int i, pl_dtype fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  if (!lua_istable(L, i)) return dtype_named(L, i);
  if (lua_rawlen(L, i)) plb_error(L, "dtype: a name or {dtype = name} expected, got a list");
  return plb_named_dtype(L, i, fallback);
}

double plb_number_option(lua_State *L, int i, const char *who, const char *name, double fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  plb_need(L, i, LUA_TTABLE);
  const int type = lua_getfield(L, i, name);
  if (type != LUA_TNIL && !plb_as_number(L, -1))
    luaL_error(L, "%s: option %s is a %s; number expected", who, name, plb_typename(L, -1));
  double v = type == LUA_TNIL ? fallback : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

bool plb_bool_option(lua_State *L, int i, const char *name, bool fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  plb_need(L, i, LUA_TTABLE);
  bool v = lua_getfield(L, i, name) == LUA_TNIL ? fallback : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

void plb_check_options(lua_State *L, int i, const char *who, const char *const *known) {
  if (lua_isnil(L, i)) return;
  plb_need(L, i, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "1";
    int k = 0;
    while (known[k] && strcmp(known[k], name) != 0) k++;
    if (!known[k]) luaL_error(L, "%s: unknown option '%s'", who, name);
  }
}

const char *plb_path(lua_State *L, int i) {
  size_t n;
  const char *path = plb_text(L, i, &n);
  plb_arg_check(L, n > 0 && strlen(path) == n, i, "path expected, got an empty or binary string");
  plb_enter(L); /* what is done with it is its context's to allow */
  return path;
}
