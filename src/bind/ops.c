/*
** ops.c: calling a row of the op table: one C function, the row being its upvalue, reads the
** arguments as the row says: first the inputs, then the attributes by position,
** then a table with attributes by name.
*/
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind.h"

/*
** Attributes
*/

/* Inputs. A number stands for a tensor of rank 0, made inside the scope. */
typedef struct {
  int n;
  pl_tensor **t;
  pl_tensor *few[PL_MAX_IN];
  bool is_number[PL_MAX_IN], whole[PL_MAX_IN]; /* whole: an integer of Lua's */
  double number[PL_MAX_IN];
} inputs;

typedef struct {
  lua_State *L;
  const pl_op *op;
  inputs *in;
  const pl_attr_spec *spec; /* n of them */
  int n;
  pl_attr attr[PL_MAX_ATTR];
  bool given[PL_MAX_ATTR];
} reader;

/* What to say of a tensor, or of a list of them, that came where no input is: head(rnn(x)). */
static const char *second_result(lua_State *L, int i) {
  bool tensors = plb_box_at(L, i) != NULL;
  if (lua_istable(L, i)) {
    lua_rawgeti(L, i, 1);
    tensors = plb_box_at(L, -1) != NULL;
    lua_pop(L, 1);
  }
  return tensors ? "; if it is the second result of a call, parentheses keep the first alone: "
                   "f((g(x)))"
                 : "";
}

static int bad(const reader *r, int k, const char *expected, int i) {
  return luaL_error(r->L, "%s: %s: %s expected, got %s%s", pl_op_name(r->op), r->spec[k].name,
                    expected, plb_shown(r->L, i), second_result(r->L, i));
}

static int64_t integer(const reader *r, int k, int i) {
  int exact = plb_as_number(r->L, i);
  const lua_Integer v = exact ? lua_tointegerx(r->L, i, &exact) : 0;
  if (!exact) bad(r, k, "integer", i);
  return v;
}

/* Lua counts dims and positions from 1, C from 0; negative ones mean the same to both. */
static int64_t from_zero(const reader *r, int k, int64_t v) {
  if (v == 0)
    luaL_error(r->L, "%s: %s: 0 given; they count from 1, -1 is the last", pl_op_name(r->op),
               r->spec[k].name);
  return v < 0 ? v : v - 1;
}

static int64_t choice(const reader *r, int k, int i) {
  const char *at = r->spec[k].text;
  const char *word = lua_type(r->L, i) == LUA_TSTRING ? lua_tostring(r->L, i) : "";
  for (int64_t c = 0; *at; c++) {
    size_t n = strcspn(at, "|");
    if (strlen(word) == n && memcmp(at, word, n) == 0) return c;
    at += n + (at[n] == '|');
  }
  lua_pushfstring(r->L, "one of %s", r->spec[k].text);
  return bad(r, k, lua_tostring(r->L, -1), i);
}

static void no_names(const reader *r, int k, int i) {
  for (lua_pushnil(r->L); lua_next(r->L, i); lua_pop(r->L, 1))
    if (lua_type(r->L, -2) == LUA_TSTRING)
      luaL_error(r->L, "%s: %s: list of integers expected, got a table with the name '%s' in it",
                 pl_op_name(r->op), r->spec[k].name, lua_tostring(r->L, -2));
}

static pl_ints list(const reader *r, int k, int i) {
  pl_ints v = {.n = 1};
  if (plb_as_number(r->L, i)) {
    v.v[0] = integer(r, k, i);
    return v;
  }
  if (!lua_istable(r->L, i)) bad(r, k, "integer or list of integers", i);
  no_names(r, k, i);
  const lua_Unsigned n = lua_rawlen(r->L, i);
  if (n > PL_MAX_RANK)
    luaL_error(r->L, "%s: %s: at most %d integers expected, got %d", pl_op_name(r->op),
               r->spec[k].name, PL_MAX_RANK, (int)n);
  for (v.n = 0; v.n < (int)n; v.n++) {
    lua_rawgeti(r->L, i, v.n + 1);
    v.v[v.n] = integer(r, k, lua_gettop(r->L));
    lua_pop(r->L, 1);
  }
  return v;
}

static pl_attr value(const reader *r, int k, int i) {
  pl_attr a = {0};
  switch (r->spec[k].type) {
    case PL_ATTR_INT: a.i = integer(r, k, i); break;
    case PL_ATTR_DIM:
    case PL_ATTR_INDEX: a.i = from_zero(r, k, integer(r, k, i)); break;
    case PL_ATTR_CHOICE: a.i = choice(r, k, i); break;
    case PL_ATTR_INTS: a.ints = list(r, k, i); break;
    case PL_ATTR_REAL:
      if (!plb_as_number(r->L, i)) bad(r, k, "number", i);
      a.d = lua_tonumber(r->L, i);
      break;
    case PL_ATTR_BOOL:
      if (!lua_isboolean(r->L, i)) bad(r, k, "boolean", i);
      a.i = lua_toboolean(r->L, i);
      break;
    case PL_ATTR_DIMS:
      a.ints = list(r, k, i);
      for (int d = 0; d < a.ints.n; d++) a.ints.v[d] = from_zero(r, k, a.ints.v[d]);
      break;
    case PL_ATTR_PAIR:
      a.ints = list(r, k, i);
      if (a.ints.n == 1) a.ints = pl_list(a.ints.v[0], a.ints.v[0]);
      if (a.ints.n != 2) bad(r, k, "one or two integers", i);
      break;
  }
  return a;
}

static bool is_list_type(pl_attr_type t) {
  return t == PL_ATTR_INTS || t == PL_ATTR_DIMS || t == PL_ATTR_PAIR;
}

/* Whether the argument at i is a table of attributes by name, and not a list for attribute k. */
static bool is_named(const reader *r, int k, int i) {
  if (!lua_istable(r->L, i)) return false;
  bool may_be_empty = k < r->n && is_list_type(r->spec[k].type) && r->spec[k].type != PL_ATTR_PAIR;
  lua_pushnil(r->L);
  if (!lua_next(r->L, i)) return !may_be_empty;
  bool by_name = lua_type(r->L, -2) == LUA_TSTRING;
  lua_pop(r->L, 2);
  return by_name;
}

static int bad_input(lua_State *L, const pl_op *op, int k, const char *got) {
  return luaL_error(L, "%s: %s: tensor expected, got %s", pl_op_name(op),
                    pl_op_signature(op)->in[k].name, got);
}

/* A tensor that may be left out, by its name; whether there is one. */
static bool read_named_input(reader *r, const char *name, int i) {
  const pl_signature *s = pl_op_signature(r->op);
  int k = 0;
  while (k < s->n_in && !(s->in[k].optional && strcmp(s->in[k].name, name) == 0)) k++;
  if (k == s->n_in) return false;
  if (r->in->few[k]) luaL_error(r->L, "%s: %s is given twice", pl_op_name(r->op), name);
  if (!(r->in->few[k] = plb_test(r->L, i))) bad_input(r->L, r->op, k, plb_shown(r->L, i));
  return true;
}

static void read_named(reader *r, int i) {
  for (lua_pushnil(r->L); lua_next(r->L, i); lua_pop(r->L, 1)) {
    const char *name = lua_type(r->L, -2) == LUA_TSTRING ? lua_tostring(r->L, -2) : "?";
    int k = 0;
    if (read_named_input(r, name, lua_gettop(r->L))) continue;
    while (k < r->n && strcmp(r->spec[k].name, name) != 0) k++;
    if (k < r->n && r->given[k]) luaL_error(r->L, "%s: %s is given twice", pl_op_name(r->op), name);
    if (k == r->n)
      luaL_error(r->L, "%s: there is no attribute '%s'; see help(\"%s\")", pl_op_name(r->op), name,
                 pl_op_name(r->op));
    r->attr[k] = value(r, k, lua_gettop(r->L));
    r->given[k] = true;
  }
}

/* x:reshape(2, -1): the integers of a lone list attribute may stand side by side. */
static int read_spread(reader *r, int i, int top) {
  pl_ints v = {0};
  for (; i <= top && plb_as_number(r->L, i); i++) {
    if (v.n == PL_MAX_RANK)
      luaL_error(r->L, "%s: at most %d integers", pl_op_name(r->op), PL_MAX_RANK);
    v.v[v.n++] =
        r->spec[0].type == PL_ATTR_DIMS ? from_zero(r, 0, integer(r, 0, i)) : integer(r, 0, i);
  }
  r->attr[0].ints = v;
  r->given[0] = true;
  return i;
}

static void too_many(const reader *r, int i) {
  luaL_error(r->L, "%s: too many arguments%s", pl_op_name(r->op), second_result(r->L, i));
}

static void begin_attributes(reader *r) {
  r->spec = pl_op_signature(r->op)->attr;
  r->n = pl_op_signature(r->op)->n_attr;
  for (int k = 0; k < r->n; k++) r->attr[k] = r->spec[k].fallback, r->given[k] = false;
}

static void need_attributes(const reader *r) {
  for (int k = 0; k < r->n; k++)
    if (!r->given[k] && !r->spec[k].optional)
      luaL_error(r->L, "%s: %s is missing", pl_op_name(r->op), r->spec[k].name);
}

static void read_attributes(reader *r, int i, int top) {
  bool spread = r->n == 1 && (r->spec[0].type == PL_ATTR_INTS || r->spec[0].type == PL_ATTR_DIMS);
  if (spread && i <= top && plb_as_number(r->L, i)) i = read_spread(r, i, top);
  for (int k = r->n && r->given[0] ? 1 : 0; i <= top; i++, k++) {
    if (is_named(r, k, i)) {
      read_named(r, i);
      if (i < top)
        luaL_error(r->L, "%s: nothing may follow the table of attributes", pl_op_name(r->op));
      break;
    }
    if (lua_isnil(r->L, i)) continue;
    if (k >= r->n) too_many(r, i);
    r->attr[k] = value(r, k, i);
    r->given[k] = true;
  }
  need_attributes(r);
}

void plb_read_attributes(lua_State *L, const pl_op *op, int i, pl_attr *attr) {
  inputs none = {0};
  reader r = {.L = L, .op = op, .in = &none};
  begin_attributes(&r);
  if (!lua_isnil(L, i)) read_named(&r, i);
  need_attributes(&r);
  for (int k = 0; k < r.n; k++) attr[k] = r.attr[k];
}

/*
** Inputs
*/

/* A list of tensors, or tensors side by side; leaves them, and the block they are in, on top. */
static int read_many(lua_State *L, const pl_op *op, inputs *in, int top) {
  int next = 2;
  in->n = 0;
  if (lua_istable(L, 1)) {
    in->n = (int)lua_rawlen(L, 1);
    luaL_checkstack(L, in->n + LUA_MINSTACK, pl_op_name(op));
    for (int k = 1; k <= in->n; k++) lua_rawgeti(L, 1, k);
  } else {
    while (in->n < top && plb_test(L, in->n + 1)) in->n++;
    next = in->n + 1;
    for (int k = 1; k <= in->n; k++) lua_pushvalue(L, k);
  }
  int first = lua_gettop(L) - in->n + 1;
  in->t = lua_newuserdatauv(L, ((size_t)in->n + 1) * sizeof *in->t, 0);
  for (int k = 0; k < in->n; k++)
    if (!(in->t[k] = plb_test(L, first + k)))
      luaL_error(L, "%s: element %d of the list is a %s; tensor expected", pl_op_name(op), k + 1,
                 plb_typename(L, first + k));
  return next;
}

/* Returns the index of the first argument that is no input. The first one of a method is a tensor,
 * and no number in the place of one. */
static int read_inputs(lua_State *L, const pl_op *op, inputs *in, int top) {
  const pl_signature *s = pl_op_signature(op);
  int i = 1;
  in->t = in->few;
  if (s->variadic)
    return luaL_checkstack(L, top + LUA_MINSTACK, pl_op_name(op)), read_many(L, op, in, top);
  for (int k = 0; k < s->n_in; k++) {
    const bool optional = s->in[k].optional;
    in->few[k] = i <= top ? plb_test(L, i) : NULL;
    if (k == 0 && !in->few[0] && lua_toboolean(L, lua_upvalueindex(2)))
      plb_expected(L, 1, "tensor");
    in->is_number[k] = !in->few[k] && !optional && lua_type(L, i) == LUA_TNUMBER;
    in->whole[k] = in->is_number[k] && lua_isinteger(L, i);
    if (in->is_number[k]) in->number[k] = lua_tonumber(L, i);
    if (in->few[k] || in->is_number[k] || (optional && i <= top && lua_isnil(L, i))) i++;
    else if (!optional) bad_input(L, op, k, i <= top ? plb_shown(L, i) : "no value");
  }
  in->n = s->n_in;
  return i;
}

/*
** Calling
*/

/* Lua allocates nothing between the reading of the inputs and this. */
static void hold_inputs(const inputs *in) {
  for (int k = 0; k < in->n; k++) pl_retain(in->t[k]);
}

/* What stands beside a number decides its dtype, so they are made of the tensors that came. */
static void make_numbers(const pl_op *op, inputs *in) {
  pl_tensor *made[PL_MAX_IN] = {NULL};
  if (in->t != in->few) return;
  for (int k = 0; k < in->n; k++)
    if (in->is_number[k])
      made[k] = pl_retain(pl_op_number(op, in->n, in->few, k, in->number[k], in->whole[k]));
  for (int k = 0; k < in->n; k++)
    if (in->is_number[k]) in->few[k] = made[k];
}

static void let_go_inputs(const inputs *in) {
  for (int k = 0; k < in->n; k++) pl_release(in->t[k]);
}

/* The boxes come first, so that nothing can release an input once it was read. */
int plb_call_op(lua_State *L) {
  const pl_op *op = lua_touserdata(L, lua_upvalueindex(1));
  reader r;
  inputs in;
  pl_tensor *out[PL_MAX_OUT], **box[PL_MAX_OUT];
  int top = lua_gettop(L), n_out = pl_op_outputs(op);
  r.L = L, r.op = op, r.in = &in;
  begin_attributes(&r);
  plb_make_room(L, 0);
  for (int k = 0; k < n_out; k++) box[k] = plb_newbox(L);
  read_attributes(&r, read_inputs(L, op, &in, top), top);
  for (int k = 1; k <= n_out && in.t != in.few; k++) lua_pushvalue(L, top + k);
  hold_inputs(&in);
  pl_scope_begin();
  make_numbers(op, &in);
  bool ok = !pl_error() && pl_call(op, in.n, in.t, r.attr, out);
  for (int k = 0; ok && k < n_out; k++) plb_fill(L, box[k], out[k]);
  while (ok && n_out > 1 && !out[n_out - 1]) lua_pop(L, 1), n_out--; /* a call that gives fewer */
  pl_scope_end();
  let_go_inputs(&in);
  return ok ? n_out : plb_raise(L);
}
