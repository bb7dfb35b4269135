/*
** tensor.c: making tensors, and what can be asked of them.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind.h"

/*
** Creation. Sizes are integers or one table of them; a dtype may follow, by position or by name, and
** stand by name in the table.
*/

/* Whether the argument at i stands where a dtype does: "int32", {dtype = "int32"} or nil. */
static bool is_dtype(lua_State *L, int i) {
  const int type = lua_type(L, i);
  return type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TNIL;
}

/* The dtype that the table at 1 has by name, if there is one. */
static pl_dtype listed_dtype(lua_State *L, pl_dtype fallback) {
  return lua_istable(L, 1) ? plb_named_dtype(L, 1, fallback) : fallback;
}

static pl_ints read_sizes(lua_State *L, const char *what, pl_dtype *dtype, pl_dtype fallback) {
  pl_ints size = {0};
  int i = 1, top = lua_gettop(L);
  if (lua_istable(L, 1)) {
    size = plb_ints(L, i++, what);
  } else {
    for (; i <= top && !is_dtype(L, i); i++) {
      if (size.n == PL_MAX_RANK) luaL_error(L, "%s: at most %d sizes expected", what, PL_MAX_RANK);
      size.v[size.n++] = plb_integer(L, i, what);
    }
  }
  *dtype = plb_dtype(L, i, listed_dtype(L, fallback));
  if (top > i)
    luaL_error(L, "%s: argument %d is %s; integer sizes, then a dtype, expected", what, i,
               plb_shown(L, i));
  return size;
}

static size_t bytes_of(pl_ints size) {
  double n = sizeof(pl_real);
  for (int d = 0; d < size.n; d++) n *= (double)size.v[d];
  return n > 0 && n < 1e15 ? (size_t)n : 0;
}

static int create(lua_State *L, const char *what, bool fill, double value,
                  bool (*random)(pl_tensor *t, double a, double b), double a, double b) {
  pl_dtype dtype;
  pl_ints size = read_sizes(L, what, &dtype, PL_REAL);
  plb_make_room(L, bytes_of(size));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *t = fill ? pl_full(dtype, size, value) : pl_empty(dtype, size);
  if (t && random && !random(t, a, b)) t = NULL;
  plb_fill(L, box, t);
  pl_scope_end();
  return plb_done(L, box);
}

static int new_empty(lua_State *L) { return create(L, "empty", false, 0, NULL, 0, 0); }
static int new_zeros(lua_State *L) { return create(L, "zeros", true, 0, NULL, 0, 0); }
static int new_ones(lua_State *L) { return create(L, "ones", true, 1, NULL, 0, 0); }
static int new_rand(lua_State *L) { return create(L, "rand", false, 0, pl_uniform, 0, 1); }
static int new_randn(lua_State *L) { return create(L, "randn", false, 0, pl_normal, 0, 1); }

static int new_full(lua_State *L) {
  pl_ints size = plb_ints(L, 1, "full");
  double value = plb_number(L, 2);
  pl_dtype dtype = plb_dtype(L, 3, listed_dtype(L, PL_REAL));
  plb_make_room(L, bytes_of(size));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_full(dtype, size, value));
  pl_scope_end();
  return plb_done(L, box);
}

/* Of the sizes of a tensor, and of its dtype unless another is given at i. */
static int like(lua_State *L, int i, double value, bool (*random)(pl_tensor *, double, double),
                double a, double b) {
  const pl_tensor *t = plb_check(L, 1);
  const pl_dtype dtype = plb_dtype(L, i, pl_dtype_of(t));
  const pl_ints size = pl_size(t);
  plb_make_room(L, bytes_of(size));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *y = pl_full(dtype, size, value);
  plb_fill(L, box, y && random && !random(y, a, b) ? NULL : y);
  pl_scope_end();
  return plb_done(L, box);
}

static int new_zeros_like(lua_State *L) { return like(L, 2, 0, NULL, 0, 0); }
static int new_ones_like(lua_State *L) { return like(L, 2, 1, NULL, 0, 0); }
static int new_full_like(lua_State *L) { return like(L, 3, plb_number(L, 2), NULL, 0, 0); }
static int new_rand_like(lua_State *L) { return like(L, 2, 0, pl_uniform, 0, 1); }
static int new_randn_like(lua_State *L) { return like(L, 2, 0, pl_normal, 0, 1); }

/* Ones where row and column are alike: every (m + 1)-th element, of the first m rows. */
static int new_eye(lua_State *L) {
  const int64_t n = plb_integer(L, 1, "eye"), columns = lua_type(L, 2) == LUA_TNUMBER;
  const int64_t m = columns ? plb_integer(L, 2, "eye") : n;
  const pl_dtype dtype = plb_dtype(L, columns ? 3 : 2, PL_REAL);
  plb_make_room(L, bytes_of(pl_list(n, m)));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *t = pl_full(dtype, pl_list(n, m), 0);
  for (int64_t i = 0; t && i < (n < m ? n : m); i++) pl_set_at(t, i * (m + 1), 1);
  plb_fill(L, box, t);
  pl_scope_end();
  return plb_done(L, box);
}

/* first, first + step, ... as far as last, like a for loop. */
static int new_arange(lua_State *L) {
  double first = plb_number(L, 1), last = plb_number(L, 2);
  int next = lua_isnil(L, 3) || !is_dtype(L, 3) ? 4 : 3;
  double step = next == 4 ? plb_opt_number(L, 3, 1) : 1;
  pl_dtype dtype = plb_dtype(L, next, PL_REAL);
  plb_arg_check(L, step != 0, 3, "the step is 0");
  double n = (last - first) / step * (1 + 1e-12) + 1;
  plb_arg_check(L, n < 2e9, 2, "too many values");
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_arange(dtype, first, step, n >= 1 ? (int64_t)n : 0));
  pl_scope_end();
  return plb_done(L, box);
}

static int new_linspace(lua_State *L) {
  double first = plb_number(L, 1), last = plb_number(L, 2);
  lua_Integer n = plb_whole(L, 3);
  plb_arg_check(L, n >= 1, 3, "at least 1 value expected");
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_arange(PL_REAL, first, n > 1 ? (last - first) / (double)(n - 1) : 0, n));
  pl_scope_end();
  return plb_done(L, box);
}

/* randint(low, high, sizes..., dtype) */
static int new_randint(lua_State *L) {
  const int64_t low = plb_integer(L, 1, "randint"), high = plb_integer(L, 2, "randint");
  pl_dtype dtype;
  lua_remove(L, 1);
  lua_remove(L, 1);
  const pl_ints size = read_sizes(L, "randint", &dtype, PL_INT32);
  plb_make_room(L, bytes_of(size));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *t = pl_empty(dtype, size);
  plb_fill(L, box, t && pl_randint(t, low, high) ? t : NULL);
  pl_scope_end();
  return plb_done(L, box);
}

static int new_randperm(lua_State *L) {
  lua_Integer n = plb_whole(L, 1);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_randperm(n));
  pl_scope_end();
  return plb_done(L, box);
}

static int new_multinomial(lua_State *L) {
  plb_check(L, 1);
  lua_Integer n = plb_opt_whole(L, 2, 1);
  bool replacement = lua_toboolean(L, 3);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_multinomial(plb_hold_read(L, 1), n, replacement));
  pl_scope_end();
  return plb_done(L, box);
}

/*
** pl.tensor: from nested tables
*/

/* The sizes that the first elements of a nested table have. */
static pl_ints nested_size(lua_State *L, int i) {
  pl_ints size = {0};
  luaL_checkstack(L, PL_MAX_RANK + 4, "tensor");
  lua_pushvalue(L, i);
  while (lua_istable(L, -1)) {
    if (size.n == PL_MAX_RANK) luaL_error(L, "tensor: nested deeper than %d tables", PL_MAX_RANK);
    size.v[size.n++] = (int64_t)lua_rawlen(L, -1);
    if (!lua_rawlen(L, -1)) break;
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
  return size;
}

/*
** Elements of a table that have a history: the table at `list` has them and, after each, its
** place. They are put among the other elements by ops, so that the tensor has their history.
*/

static void note_recorded(lua_State *L, int list, int64_t at) {
  const pl_tensor *v = plb_test(L, -1);
  if (!v || pl_rank(v) || !pl_requires_grad(v) || !pl_grad_enabled()) return;
  lua_pushvalue(L, -1);
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  lua_pushinteger(L, at + 1);
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

static pl_tensor *join_recorded(lua_State *L, pl_tensor *t, int list, plb_list held) {
  pl_tensor *places = pl_empty(PL_INT32, pl_list(held.n));
  pl_tensor *there = pl_full(PL_UINT8, pl_list(pl_numel(t)), 0);
  for (int k = 0; places && there && k < held.n; k++) {
    lua_rawgeti(L, list, 2 * k + 2);
    const int64_t place = lua_tointeger(L, -1);
    lua_pop(L, 1);
    pl_set_at(places, k, (double)place);
    pl_set_at(there, place - 1, 1);
  }
  pl_tensor *spread = pl_index_add(pl_stack(held.n, held.t, 0), places, 0, pl_numel(t));
  return pl_reshape(pl_where(there, spread, pl_reshape(t, pl_list(-1))), pl_size(t));
}

static int with_history(lua_State *L, pl_tensor **box, int list) {
  const plb_list held = plb_new_list(L, (int)lua_rawlen(L, list) / 2);
  for (int k = 0; k < held.n; k++) {
    lua_rawgeti(L, list, 2 * k + 1);
    plb_take(L, held, k);
    lua_pop(L, 1);
  }
  pl_tensor **result = plb_newbox(L);
  pl_scope_begin();
  plb_hold_list(L, held);
  plb_fill(L, result, join_recorded(L, *box, list, held));
  pl_scope_end();
  return plb_done(L, result);
}

/* Reads the value on top as element *at of t. */
static void read_element(lua_State *L, pl_tensor *t, int list, int64_t *at) {
  double v = lua_toboolean(L, -1);
  note_recorded(L, list, *at);
  if (plb_as_number(L, -1)) v = lua_tonumber(L, -1);
  else if (!lua_isboolean(L, -1))
    luaL_error(L, "tensor: element %d is a %s; number expected", (int)*at + 1, plb_typename(L, -1));
  if (!pl_check_fits("tensor", pl_dtype_of(t), v, *at)) plb_raise(L);
  pl_set_at(t, (*at)++, v);
}

/* Copies the table on top of the stack from dimension d on into t, element *at and following. */
static void read_nested(lua_State *L, pl_tensor *t, int list, const pl_ints *size, int d,
                        int64_t *at) {
  if (d == size->n) {
    read_element(L, t, list, at);
    return;
  }
  if (!lua_istable(L, -1))
    luaL_error(L, "tensor: a table of %d elements expected in dim %d, got %s", (int)size->v[d],
               d + 1, plb_typename(L, -1));
  if ((int64_t)lua_rawlen(L, -1) != size->v[d])
    luaL_error(L, "tensor: a table of %d elements expected in dim %d, got one of %d",
               (int)size->v[d], d + 1, (int)lua_rawlen(L, -1));
  for (lua_Integer k = 1; k <= size->v[d]; k++) {
    lua_rawgeti(L, -1, k);
    read_nested(L, t, list, size, d + 1, at);
    lua_pop(L, 1);
  }
}

static int new_tensor(lua_State *L) {
  if (plb_test(L, 1)) return plb_bad_arg(L, 1, "table or number expected, got tensor; use clone()");
  if (!lua_istable(L, 1) && lua_type(L, 1) != LUA_TNUMBER)
    return plb_expected(L, 1, "table or number");
  pl_dtype dtype = plb_dtype(L, 2, listed_dtype(L, PL_REAL));
  pl_ints size = nested_size(L, 1);
  plb_make_room(L, bytes_of(size));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_empty(dtype, size));
  pl_scope_end();
  if (!*box) return plb_raise(L);
  int64_t at = 0;
  luaL_checkstack(L, size.n + 8, "tensor");
  lua_newtable(L);
  const int list = lua_gettop(L);
  lua_pushvalue(L, 1);
  read_nested(L, *box, list, &size, 0, &at);
  if (dtype == PL_REAL && lua_rawlen(L, list)) return with_history(L, box, list);
  lua_settop(L, list - 1);
  return 1;
}

/*
** Queries
*/

/* A dimension counted from 1, as C counts it. */
static int dim_of(lua_State *L, const char *what, int i, int rank) {
  lua_Integer d = plb_whole(L, i), from0 = d < 0 ? d + rank : d - 1;
  if (from0 < 0 || from0 >= rank)
    luaL_error(L, "%s: there is no dim %d in a tensor of %d dims", what, (int)d, rank);
  return (int)from0;
}

static int tensor_size(lua_State *L) {
  pl_ints size = pl_size(plb_check(L, 1));
  if (lua_isnoneornil(L, 2)) plb_push_ints(L, size);
  else lua_pushinteger(L, size.v[dim_of(L, "size", 2, size.n)]);
  return 1;
}

static int tensor_stride(lua_State *L) {
  plb_push_ints(L, pl_strides(plb_check(L, 1)));
  return 1;
}

static int tensor_dim(lua_State *L) {
  lua_pushinteger(L, pl_rank(plb_check(L, 1)));
  return 1;
}

static int tensor_numel(lua_State *L) {
  lua_pushinteger(L, pl_numel(plb_check(L, 1)));
  return 1;
}

static int tensor_dtype(lua_State *L) {
  lua_pushstring(L, pl_dtype_name(pl_dtype_of(plb_check(L, 1))));
  return 1;
}

static int tensor_kind(lua_State *L) { return tensor_dtype(L); }

static int tensor_is_contiguous(lua_State *L) {
  lua_pushboolean(L, pl_is_contiguous(plb_check(L, 1)));
  return 1;
}

static int tensor_length(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  if (!pl_rank(t)) return luaL_error(L, "a tensor without dims has no length");
  lua_pushinteger(L, pl_size(t).v[0]);
  return 1;
}

static int tensor_item(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  double v;
  if (!pl_item(t, &v)) return plb_raise(L);
  plb_push_value(L, t, v);
  return 1;
}

/* Pushes dimension d and those below it as nested tables. */
static void push_nested(lua_State *L, const pl_tensor *t, pl_ints size, int d, int64_t *at) {
  if (d == size.n) {
    plb_push_value(L, t, pl_at(t, (*at)++));
    return;
  }
  lua_createtable(L, (int)size.v[d], 0);
  for (lua_Integer k = 1; k <= size.v[d]; k++) {
    push_nested(L, t, size, d + 1, at);
    lua_rawseti(L, -2, k);
  }
}

static int tensor_totable(lua_State *L) {
  int64_t at = 0;
  pl_tensor **t = plb_anchor(L, 1);
  luaL_checkstack(L, PL_MAX_RANK + 4, "totable");
  push_nested(L, *t, pl_size(*t), 0, &at);
  plb_let_go(L, t);
  return 1;
}

static int tensor_tostring(lua_State *L) {
  const plb_box *box = plb_box_at(L, 1);
  if (!box) return plb_expected(L, 1, "tensor");
  if (!box->tensor) return lua_pushliteral(L, "tensor (released)"), 1;
  luaL_Buffer b;
  pl_tensor **t = plb_anchor(L, 1);
  size_t n = pl_print(*t, NULL, 0);
  char *text = luaL_buffinitsize(L, &b, n + 1);
  pl_print(*t, text, n + 1);
  luaL_pushresultsize(&b, n);
  plb_let_go(L, t);
  return 1;
}

static int tensor_equal(lua_State *L) {
  const plb_box *a = plb_box_at(L, 1), *b = plb_box_at(L, 2);
  lua_pushboolean(L, a && b && a->tensor && a->tensor == b->tensor);
  return 1;
}

static int no_order(lua_State *L) {
  return luaL_error(
      L, "tensors have no order; a:lt(b), a:le(b), a:gt(b) and a:ge(b) compare elements");
}

/*
** Other tensors
*/

typedef pl_tensor *maker(pl_tensor *t);

static int made_by(lua_State *L, maker *f) {
  plb_make_room(L, (size_t)pl_numel(plb_check(L, 1)) * sizeof(pl_real));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, f(plb_hold(L, 1)));
  pl_scope_end();
  return plb_done(L, box);
}

/* Copies keep the history of gradients, except of those dtypes that have none. */
static pl_tensor *cloned(pl_tensor *t) {
  return pl_requires_grad(t) ? pl_affine(t, 1, 0) : pl_clone(t);
}

static pl_tensor *contiguous(pl_tensor *t) { return pl_is_contiguous(t) ? t : cloned(t); }

static int tensor_detach(lua_State *L) { return made_by(L, pl_detach); }
static int tensor_clone(lua_State *L) { return made_by(L, cloned); }
static int tensor_contiguous(lua_State *L) { return made_by(L, contiguous); }

static int tensor_to(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  if (lua_isnoneornil(L, 2))
    return plb_error(L, "dtype: 'real', 'int32' or 'uint8' expected, got %s", plb_shown(L, 2));
  pl_dtype dtype = plb_dtype(L, 2, PL_REAL);
  plb_make_room(L, (size_t)pl_numel(t) * sizeof(pl_real));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_to(plb_hold(L, 1), dtype));
  pl_scope_end();
  return plb_done(L, box);
}

static int tensor_t(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  if (pl_rank(t) != 2) return luaL_error(L, "t: a matrix expected, got %d dims", pl_rank(t));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_transpose(plb_hold(L, 1), 0, 1));
  pl_scope_end();
  return plb_done(L, box);
}

static int tensor_flatten(lua_State *L) {
  pl_tensor *t = plb_check(L, 1);
  pl_ints size = pl_size(t);
  int from = size.n && !lua_isnoneornil(L, 2) ? dim_of(L, "flatten", 2, size.n) : 0;
  int64_t last = 1;
  for (int d = from; d < size.n; d++) last *= size.v[d];
  size.n = from + 1;
  size.v[from] = last;
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_reshape(plb_hold(L, 1), size));
  pl_scope_end();
  return plb_done(L, box);
}

/*
** Pieces: lists of tensors that share the memory of one
*/

/* The dim of argument i, or the first. */
static int piece_dim(lua_State *L, const char *what, int i) {
  const int rank = pl_rank(plb_check(L, 1));
  if (!rank) return luaL_error(L, "%s: a tensor without dims has no pieces", what);
  return lua_isnoneornil(L, i) ? 0 : dim_of(L, what, i, rank);
}

/* Adds n positions of the tensor at 1 to the list on top, or one without its dim where n is -1. */
static void add_piece(lua_State *L, int dim, int64_t start, int64_t n) {
  pl_tensor *t = plb_check(L, 1), **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, n < 0 ? pl_select(t, dim, start) : pl_slice(t, dim, start, n, 1));
  pl_scope_end();
  plb_done(L, box);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static int tensor_unbind(lua_State *L) {
  const int dim = piece_dim(L, "unbind", 2);
  const int64_t n = pl_size(plb_check(L, 1)).v[dim];
  lua_newtable(L);
  for (int64_t i = 0; i < n; i++) add_piece(L, dim, i, -1);
  return 1;
}

/* Pieces of `size`, the last of what is left; of nothing, so many empty ones. */
static int equal_pieces(lua_State *L, int dim, int64_t size, int64_t empty) {
  const int64_t n = pl_size(plb_check(L, 1)).v[dim];
  lua_newtable(L);
  for (int64_t i = 0; i < n; i += size) add_piece(L, dim, i, n - i < size ? n - i : size);
  for (int64_t i = 0; n == 0 && i < empty; i++) add_piece(L, dim, 0, 0);
  return 1;
}

static int tensor_chunk(lua_State *L) {
  const int dim = piece_dim(L, "chunk", 3);
  const int64_t n = pl_size(plb_check(L, 1)).v[dim], chunks = plb_integer(L, 2, "chunk");
  if (chunks < 1) return luaL_error(L, "chunk: at least 1 chunk expected, got %d", (int)chunks);
  return equal_pieces(L, dim, n > chunks ? (n + chunks - 1) / chunks : 1, chunks);
}

static int split_by_sizes(lua_State *L, int dim) {
  const int64_t n = pl_size(plb_check(L, 1)).v[dim];
  int64_t at = 0;
  lua_newtable(L);
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 2); i++) {
    lua_rawgeti(L, 2, i);
    const int64_t size = plb_integer(L, -1, "split");
    lua_pop(L, 1);
    if (size < 0 || size > n - at)
      return luaL_error(L, "split: size %d is %d, but %d of %d are left", (int)i, (int)size,
                        (int)(n - at), (int)n);
    add_piece(L, dim, at, size);
    at += size;
  }
  if (at != n) return luaL_error(L, "split: the sizes add up to %d, not %d", (int)at, (int)n);
  return 1;
}

static int tensor_split(lua_State *L) {
  const int dim = piece_dim(L, "split", 3);
  if (lua_istable(L, 2)) return split_by_sizes(L, dim);
  const int64_t size = plb_integer(L, 2, "split");
  if (size < 1) return luaL_error(L, "split: a size of at least 1 expected, got %d", (int)size);
  return equal_pieces(L, dim, size, 1);
}

/*
** Comparing as a whole
*/

static int push_close(lua_State *L, bool close) {
  if (!close && pl_error()) return plb_raise(L);
  lua_pushboolean(L, close);
  return 1;
}

static int tensor_equals(lua_State *L) {
  const pl_tensor *a = plb_check(L, 1), *b = plb_check(L, 2);
  plb_note_read(a), plb_note_read(b);
  return push_close(L, pl_dtype_of(a) == pl_dtype_of(b) && pl_allclose(a, b, 0, 0, false));
}

static int tensor_allclose(lua_State *L) {
  const pl_tensor *a = plb_check(L, 1), *b = plb_check(L, 2);
  plb_note_read(a), plb_note_read(b);
  const double rtol = plb_opt_number(L, 3, 1e-5), atol = plb_opt_number(L, 4, 1e-8);
  return push_close(L, pl_allclose(a, b, rtol, atol, lua_toboolean(L, 5)));
}

/*
** Rows
*/

static const plb_function functions[] = {
    {"empty", new_empty,
     "(sizes..., dtype=\"real\")\nA tensor whose values are not set. The sizes may be one table."},
    {"zeros", new_zeros,
     "(sizes..., dtype=\"real\")\nA tensor of zeros. The sizes may be one table."},
    {"ones", new_ones, "(sizes..., dtype=\"real\")\nA tensor of ones. The sizes may be one table."},
    {"rand", new_rand, "(sizes..., dtype=\"real\")\nUniform random numbers in [0, 1)."},
    {"randn", new_randn,
     "(sizes..., dtype=\"real\")\nNormal random numbers of mean 0 and standard deviation 1."},
    {"full", new_full, "({sizes}, value, dtype=\"real\")\nA tensor of one value."},
    {"zeros_like", new_zeros_like,
     "(x, dtype?)\nZeros in the shape of x, and of its dtype unless another is given."},
    {"ones_like", new_ones_like,
     "(x, dtype?)\nOnes in the shape of x, and of its dtype unless another is given."},
    {"full_like", new_full_like, "(x, value, dtype?)\nOne value in the shape and dtype of x."},
    {"rand_like", new_rand_like,
     "(x, dtype?)\nUniform random numbers in [0, 1), in the shape and dtype of x."},
    {"randn_like", new_randn_like,
     "(x, dtype?)\nNormal random numbers of mean 0 and standard deviation 1, in the shape and "
     "dtype of x."},
    {"eye", new_eye,
     "(n, m=n, dtype=\"real\")\nThe matrix [n,m] of ones on the diagonal and zeros elsewhere."},
    {"tensor", new_tensor,
     "(table, dtype=\"real\")\nA tensor from nested tables, or from one number: pl.tensor{{1, 2}, "
     "{3, 4}}. Tensors without dims stand for their elements, and keep their history."},
    {"arange", new_arange,
     "(first, last, step=1, dtype=\"real\")\nfirst, first + step, ... as far as last, which is "
     "included as in a for loop."},
    {"linspace", new_linspace, "(first, last, n)\nn evenly spaced values, both ends included."},
    {"randint", new_randint,
     "(low, high, sizes..., dtype=\"int32\")\nUniform random integers from low to high, both "
     "among them, as math.random gives them. The sizes may be one table."},
    {"randperm", new_randperm, "(n)\nint32 [n]: 1..n in random order."},
    {"multinomial", new_multinomial,
     "(weights, n=1, replacement=false)\nint32 [n]: positions, from 1, drawn with probabilities "
     "proportional to the weights [k]."},
    {NULL, NULL, NULL}};

static const plb_function methods[] = {
    {"size", tensor_size, "(dim?)\nThe list of sizes, or the size of one dim."},
    {"stride", tensor_stride, "()\nThe list of strides, in elements."},
    {"dim", tensor_dim, "()\nHow many dims the tensor has."},
    {"numel", tensor_numel, "()\nHow many elements it has."},
    {"dtype", tensor_dtype, "()\n\"real\", \"int32\" or \"uint8\"."},
    {"kind", tensor_kind, "()\nThe name of dtype() in version 0.1."},
    {"is_contiguous", tensor_is_contiguous,
     "()\nWhether the elements lie in row-major order without gaps."},
    {"item", tensor_item, "()\nThe number in a tensor of one element."},
    {"totable", tensor_totable, "()\nThe values as nested tables."},
    {"to", tensor_to,
     "(dtype)\nThe values in another dtype, rounded towards zero; what is then out of its range, "
     "and "
     "NaN, is an error. Has no gradient."},
    {"detach", tensor_detach,
     "()\nThe same values without their history: no gradient flows through."},
    {"clone", tensor_clone, "()\nA copy; gradients flow through it."},
    {"contiguous", tensor_contiguous,
     "()\nThe tensor itself if it is contiguous, else a copy that is."},
    {NULL, NULL, NULL}};

static const plb_function shapes[] = {
    {"t", tensor_t, "()\nThe transposed matrix, without copying."},
    {"flatten", tensor_flatten, "(from=1)\nAll dims from one on joined into one."},
    {"unbind", tensor_unbind,
     "(dim=1)\nThe list of what stands at each position of a dim, which goes away; without "
     "copying."},
    {"chunk", tensor_chunk,
     "(chunks, dim=1)\nThe list of at most so many pieces of one size along a dim, the last of "
     "what is left, or of just so many of an empty dim; without copying."},
    {"split", tensor_split,
     "(size, dim=1)\nThe list of pieces of this size along a dim, the last of what is left; or, "
     "given a list of sizes, of these; without copying."},
    {NULL, NULL, NULL}};

static const plb_function comparisons[] = {
    {"equal", tensor_equals,
     "(b)\nWhether two tensors have one shape, one dtype and the same elements: true or false."},
    {"allclose", tensor_allclose,
     "(b, rtol=1e-5, atol=1e-8, equal_nan=false)\nWhether two tensors have one shape, and |a - b| "
     "<= atol + rtol |b| everywhere: true or false."},
    {NULL, NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", tensor_tostring},
                                       {"__len", tensor_length},
                                       {"__eq", tensor_equal},
                                       {"__lt", no_order},
                                       {"__le", no_order},
                                       {NULL, NULL}};

static void set_indexers(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, plb_index, 1);
  plb_name_function(L, "tensor:index");
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, plb_newindex, 1);
  plb_name_function(L, "tensor:index");
  lua_setfield(L, -2, "__newindex");
}

void plb_open_tensor(lua_State *L) {
  luaL_getmetatable(L, PLB_TENSOR);
  luaL_setfuncs(L, metamethods, 0);
  set_indexers(L);
  lua_pop(L, 1);
  plb_add(L, "Making tensors", functions, NULL);
  plb_add(L, "Asking and converting", NULL, methods);
  plb_add(L, "Shapes", NULL, shapes);
  plb_add(L, "Comparison", NULL, comparisons);
}
