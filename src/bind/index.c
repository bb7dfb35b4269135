/*
** index.c: t[key] and t[key] = value. A key is
**   an integer     a row, or the element itself where there is one dim (-1: the last)
**   a table        one entry a dim: an integer, {first, last, step?} or {} for all
**   uint8 tensor   the elements where it is not 0, as a list
**   int32 tensor   the rows that it names
**   a string       a method, or one of the fields grad, requires_grad and is_leaf
** An element is a Lua number; while its history is recorded it is a tensor of rank 0, a copy, which a
** later change of t does not reach.
*/
#include <string.h>

#include "bind.h"

/* The position in a dim of size n that Lua's index i means, from 0. */
static bool position(int64_t i, int64_t n, int64_t *at) {
  *at = i < 0 ? i + n : i - 1;
  if (i != 0 && *at >= 0 && *at < n) return true;
  return pl_fail("index %lld is not within 1 and %lld", (long long)i, (long long)n);
}

static bool entry_integer(lua_State *L, int i, lua_Integer k, int64_t fallback, int64_t *v) {
  int exact = lua_rawgeti(L, i, k) == LUA_TNIL || plb_as_number(L, -1);
  *v = lua_isnil(L, -1) ? fallback : lua_tointegerx(L, -1, &exact);
  lua_pop(L, 1);
  return exact || pl_fail("index: integers expected in a range {first, last, step}");
}

/* The part of dim d that the table at i names: {} or {first, last, step}. */
static pl_tensor *range(lua_State *L, int i, pl_tensor *t, int d) {
  int64_t n = pl_size(t).v[d], first, last, step;
  if (!entry_integer(L, i, 1, 1, &first) || !entry_integer(L, i, 2, n, &last) ||
      !entry_integer(L, i, 3, 1, &step))
    return NULL;
  if (first < 0) first += n + 1;
  if (last < 0) last += n + 1;
  if (!step || first < 1 || last < 0 || last > n || first > n + 1)
    return pl_fail("index: {%lld, %lld, %lld} is not a range of dim %d, which has %lld",
                   (long long)first, (long long)last, (long long)step, d + 1, (long long)n),
           NULL;
  bool some = step > 0 ? first <= last : first >= last;
  return pl_slice(t, d, first - 1, some ? (last - first) / step + 1 : 0, step);
}

/* The view that the table of entries at i names. */
static pl_tensor *by_entries(lua_State *L, int i, pl_tensor *t) {
  int d = 0;
  lua_Integer n = (lua_Integer)lua_rawlen(L, i);
  if (n > pl_rank(t)) return pl_fail("index: %d entries for %d dims", (int)n, pl_rank(t)), NULL;
  for (lua_Integer k = 1; k <= n && t; k++) {
    if (lua_rawgeti(L, i, k) == LUA_TTABLE) {
      t = range(L, lua_gettop(L), t, d++);
    } else {
      int exact = plb_as_number(L, -1);
      int64_t at, v = exact ? lua_tointegerx(L, -1, &exact) : 0;
      if (!exact)
        pl_fail("index: entry %d is a %s; integer or range expected", (int)k, plb_typename(L, -1));
      t = exact && position(v, pl_size(t).v[d], &at) ? pl_select(t, d, at) : NULL;
    }
    lua_pop(L, 1);
  }
  return t;
}

static pl_tensor *by_tensor(pl_tensor *t, pl_tensor *key) {
  if (pl_dtype_of(key) == PL_INT32) return pl_index_select(t, key, 0);
  char text[2][96];
  pl_ints a = pl_size(t), b = pl_size(key);
  if (pl_dtype_of(key) != PL_UINT8 || a.n != b.n ||
      memcmp(a.v, b.v, sizeof(int64_t) * (size_t)a.n) != 0)
    return pl_fail("index: the mask is %s for %s; uint8 of the same size expected",
                   pl_describe(key, text[0], 96), pl_describe(t, text[1], 96)),
           NULL;
  return pl_index_select(pl_reshape(t, pl_list(-1)), pl_nonzero(key), 0);
}

/* Whether the key at 2 is one for elements, and not a name. */
static bool is_element_key(lua_State *L) {
  int type = lua_type(L, 2);
  return type == LUA_TNUMBER || type == LUA_TTABLE || type == LUA_TUSERDATA;
}

/* The part of t that the key at 2 names; it is `key` if it is a tensor. */
static pl_tensor *part(lua_State *L, pl_tensor *t, pl_tensor *key) {
  int64_t at, exact_index;
  int exact;
  if (key) return by_tensor(t, key);
  if (lua_istable(L, 2)) return by_entries(L, 2, t);
  exact_index = lua_tointegerx(L, 2, &exact);
  if (!exact) return pl_fail("index: integer expected, got %s", plb_shown(L, 2)), NULL;
  if (!pl_rank(t))
    return pl_fail("index: a tensor without dims has no elements to name; use item()"), NULL;
  return position(exact_index, pl_size(t).v[0], &at) ? pl_select(t, 0, at) : NULL;
}

static bool is_recorded(const pl_tensor *t) { return pl_requires_grad(t) && pl_grad_enabled(); }

/* Elements of a list are numbers at once, without a tensor in between. What follows the last row is
 * nil, as ipairs expects. */
static bool push_element(lua_State *L, const pl_tensor *t) {
  int64_t at;
  if (!pl_rank(t) || !lua_isinteger(L, 2)) return false;
  if (lua_tointeger(L, 2) == pl_size(t).v[0] + 1) return lua_pushnil(L), true;
  if (pl_rank(t) != 1 || is_recorded(t)) return false;
  if (!position(lua_tointeger(L, 2), pl_numel(t), &at)) return false;
  plb_push_value(L, t, pl_at(t, at));
  return true;
}

static int push_field(lua_State *L, pl_tensor *t) {
  const char *name = lua_tostring(L, 2);
  if (name && strcmp(name, "grad") == 0) {
    if (!pl_grad_of(t)) return lua_pushnil(L), 1;
    pl_tensor **box = plb_newbox(L);
    plb_fill(L, box, pl_grad_of(plb_check(L, 1)));
  } else if (name && strcmp(name, "requires_grad") == 0) {
    lua_pushboolean(L, pl_requires_grad(t));
  } else if (name && strcmp(name, "is_leaf") == 0) {
    lua_pushboolean(L, pl_is_leaf(t));
  } else { /* the table of methods says what to write instead */
    lua_pushvalue(L, 2);
    if (lua_gettable(L, lua_upvalueindex(1)) == LUA_TNIL)
      return plb_error(L, "a tensor has no field '%s'", luaL_tolstring(L, 2, NULL));
  }
  return 1;
}

/* A released key is an error now, not inside the scope; one of rank 0 is the number in it. */
static void check_key(lua_State *L) {
  const pl_tensor *key = plb_test(L, 2);
  if (key && pl_dtype_of(key) != PL_UINT8) plb_as_number(L, 2);
}

int plb_index(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_pop(L, 1);
  }
  pl_tensor *t = plb_check(L, 1);
  if (!is_element_key(L)) return push_field(L, t);
  check_key(L);
  if (push_element(L, t)) return 1;
  if (pl_error()) return plb_raise(L);
  plb_make_room(L, 0);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *y = part(L, plb_hold(L, 1), plb_hold_if(L, 2));
  const bool is_element = y && !pl_rank(y);
  plb_fill(L, box, is_element && is_recorded(y) ? pl_affine(y, 1, 0) : y);
  pl_scope_end();
  if (!*box || pl_error()) return plb_raise(L);
  if (is_element && !is_recorded(*box)) plb_push_value(L, *box, pl_at(*box, 0));
  return 1;
}

/*
** Assignment
*/

/* Puts the tensor, or if it is NULL the number at 3, into every element of a view. */
static bool put(lua_State *L, pl_tensor *view, pl_tensor *value) {
  if (!view) return false;
  if (value) return pl_copy(view, value);
  return pl_fill(view, lua_tonumber(L, 3));
}

/* The value as numbers of t's dtype, all of which must fit, in memory of their own. */
static pl_tensor *values_for(const pl_tensor *t, pl_tensor *value) {
  pl_tensor *copy = pl_empty(pl_dtype_of(t), pl_size(value));
  return copy && pl_copy(copy, value) ? copy : NULL;
}

/* Puts the number, or the list of numbers, at 3 where the mask is not 0. */
static bool put_masked(lua_State *L, pl_tensor *t, pl_tensor *mask, pl_tensor *value) {
  pl_tensor *where = pl_nonzero(mask);
  if (!where || !by_tensor(t, mask) || (value && !(value = values_for(t, value)))) return false;
  int64_t n = pl_numel(where);
  if (value && pl_numel(value) != n)
    return pl_fail("index: %lld values for %lld places", (long long)pl_numel(value), (long long)n);
  for (int64_t i = 0; i < n; i++)
    pl_set_at(t, (int64_t)pl_at(where, i) - 1, value ? pl_at(value, i) : lua_tonumber(L, 3));
  return true;
}

static bool put_rows(lua_State *L, pl_tensor *t, pl_tensor *rows, pl_tensor *value) {
  int64_t n = pl_numel(rows), at;
  bool each = value && pl_rank(value) == pl_rank(t) && pl_size(value).v[0] == n;
  for (int64_t i = 0; i < n; i++)
    if (!position((int64_t)pl_at(rows, i), pl_size(t).v[0], &at)) return false;
  if (value && !(value = values_for(t, value))) return false; /* it may be a view of t */
  for (int64_t i = 0; i < n; i++) {
    position((int64_t)pl_at(rows, i), pl_size(t).v[0], &at);
    pl_tensor *row = pl_select(t, 0, at);
    if (!row || !(each ? pl_copy(row, pl_select(value, 0, i)) : put(L, row, value))) return false;
  }
  return true;
}

static bool assign(lua_State *L, pl_tensor *t) {
  pl_tensor *key = plb_hold_if(L, 2), *value = plb_hold_if(L, 3);
  if (!value && !pl_check_fits("index", pl_dtype_of(t), lua_tonumber(L, 3), -1)) return false;
  if (key && pl_dtype_of(key) == PL_UINT8) return put_masked(L, t, key, value);
  if (key && pl_dtype_of(key) == PL_INT32 && pl_rank(t)) return put_rows(L, t, key, value);
  return put(L, part(L, t, key), value);
}

/* nil, or a tensor that fits t as its gradient. */
static int set_grad(lua_State *L, pl_tensor *t) {
  char text[2][96];
  pl_tensor *g = plb_test(L, 3);
  if (!g && !lua_isnil(L, 3))
    return luaL_error(L, "grad: tensor or nil expected, got %s", plb_typename(L, 3));
  pl_ints a = pl_size(t), b = g ? pl_size(g) : a;
  if (g == t) return luaL_error(L, "grad: a tensor cannot be its own gradient");
  if (g && (pl_dtype_of(g) != pl_dtype_of(t) || a.n != b.n ||
            memcmp(a.v, b.v, sizeof(int64_t) * (size_t)a.n) != 0))
    return luaL_error(L, "grad: %s does not fit %s", pl_describe(g, text[0], 96),
                      pl_describe(t, text[1], 96));
  pl_set_grad(t, g);
  return 0;
}

static int set_field(lua_State *L, pl_tensor *t) {
  const char *name = lua_tostring(L, 2);
  if (name && strcmp(name, "grad") == 0) return set_grad(L, t);
  if (name && strcmp(name, "requires_grad") == 0)
    return pl_set_requires_grad(t, lua_toboolean(L, 3)) ? 0 : plb_raise(L);
  return luaL_error(L, "a tensor has no field '%s'; grad and requires_grad can be set",
                    luaL_tolstring(L, 2, NULL));
}

int plb_newindex(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  if (!is_element_key(L)) return set_field(L, t);
  check_key(L);
  if (!plb_test(L, 3) && lua_type(L, 3) != LUA_TNUMBER)
    return luaL_error(L, "index: number or tensor expected on the right, got %s",
                      plb_typename(L, 3));
  pl_scope_begin();
  t = plb_hold(L, 1);
  pl_tensor *value = plb_hold_if(L, 3);
  bool ok = value ? pl_may_write("index", t, value) : pl_may_change("index", t);
  bool was = pl_grad_mode(false);
  ok = ok && assign(L, t);
  pl_grad_mode(was);
  pl_scope_end();
  return ok && !pl_error() ? 0 : plb_raise(L);
}
