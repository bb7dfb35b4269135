/*
** inplace.c: methods whose names end in _ change the tensor and return it, and the
** optimisers' steps. None of them is recorded for gradients.
*/
#include "bind.h"

/* The target: argument 1, if it may be changed. */
static pl_tensor *target(lua_State *L, const char *name) {
  pl_tensor *t = plb_check(L, 1);
  if (!pl_may_change(name, t)) plb_raise(L);
  return t;
}

static int self(lua_State *L, bool ok) {
  if (!ok) return plb_raise(L);
  lua_settop(L, 1);
  return 1;
}

static int tensor_zero(lua_State *L) { return self(L, pl_fill(target(L, "zero_"), 0)); }

static int tensor_fill(lua_State *L) {
  return self(L, pl_fill(target(L, "fill_"), luaL_checknumber(L, 2)));
}

static int tensor_uniform(lua_State *L) {
  pl_tensor *t = target(L, "uniform_");
  return self(L, pl_uniform(t, luaL_optnumber(L, 2, 0), luaL_optnumber(L, 3, 1)));
}

static int tensor_normal(lua_State *L) {
  pl_tensor *t = target(L, "normal_");
  return self(L, pl_normal(t, luaL_optnumber(L, 2, 0), luaL_optnumber(L, 3, 1)));
}

static int tensor_bernoulli(lua_State *L) {
  return self(L, pl_bernoulli(target(L, "bernoulli_"), luaL_optnumber(L, 2, 0.5)));
}

/* Argument 2 as a tensor in the open scope: itself, or a number. */
static pl_tensor *operand(lua_State *L) {
  pl_tensor *t = plb_test(L, 2);
  return t ? t : pl_full(PL_REAL, pl_none, lua_tonumber(L, 2));
}

static void check_operand(lua_State *L) {
  if (lua_type(L, 2) != LUA_TNUMBER && !plb_test(L, 2)) luaL_typeerror(L, 2, "number or tensor");
}

static int tensor_copy(lua_State *L) {
  pl_tensor *t = target(L, "copy_"), *source = plb_check(L, 2);
  pl_scope_begin();
  bool ok = pl_copy(t, source);
  pl_scope_end();
  return self(L, ok);
}

static int add_scaled(lua_State *L, double sign) {
  pl_tensor *t = plb_check(L, 1);
  double alpha = luaL_optnumber(L, 3, 1);
  check_operand(L);
  pl_scope_begin();
  bool ok = pl_add_in_place(t, 1, operand(L), sign * alpha);
  pl_scope_end();
  return self(L, ok);
}

static int tensor_add(lua_State *L) { return add_scaled(L, 1); }
static int tensor_sub(lua_State *L) { return add_scaled(L, -1); }

static int scale(lua_State *L, bool divides) {
  pl_tensor *t = plb_check(L, 1);
  check_operand(L);
  pl_scope_begin();
  bool ok = pl_mul_in_place(t, operand(L), divides);
  pl_scope_end();
  return self(L, ok);
}

static int tensor_mul(lua_State *L) { return scale(L, false); }
static int tensor_div(lua_State *L) { return scale(L, true); }

/*
** Optimiser steps
*/

/*
** The list of tensors at index i; they and it live as long as the call. They are kept by a list of
** our own, for Lua may run before they are used, and change the one given.
*/
static pl_tensor **tensors(lua_State *L, int i, const char *what, int *n) {
  luaL_checktype(L, i, LUA_TTABLE);
  *n = (int)lua_rawlen(L, i);
  lua_createtable(L, *n, 0);
  pl_tensor **list = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *list, 0);
  for (int k = 0; k < *n; k++) {
    lua_rawgeti(L, i, k + 1);
    if (!(list[k] = plb_test(L, -1)))
      luaL_error(L, "%s: element %d of list %d is a %s; tensor expected", what, k + 1, i,
                 luaL_typename(L, -1));
    lua_rawseti(L, -3, k + 1);
  }
  return list;
}

static int uneven(lua_State *L, const char *what, int i, int m, int n) {
  return luaL_error(L, "%s: %d parameters, but %d entries in list %d", what, n, m, i);
}

/* The same of as many tensors as there are parameters. */
static pl_tensor **companions(lua_State *L, int i, const char *what, int n) {
  int m;
  pl_tensor **list = tensors(L, i, what, &m);
  if (m != n) uneven(L, what, i, m, n);
  return list;
}

static pl_tensor **optional(lua_State *L, int i, const char *what, int n) {
  return lua_isnil(L, i) ? NULL : companions(L, i, what, n);
}

static void check_length(lua_State *L, int i, const char *what, int n) {
  luaL_checktype(L, i, LUA_TTABLE);
  if ((int)lua_rawlen(L, i) != n) uneven(L, what, i, (int)lua_rawlen(L, i), n);
}

static int64_t *step_numbers(lua_State *L, int i, const char *what, int n) {
  check_length(L, i, what, n);
  int64_t *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (int k = 0; k < n; k++) {
    int exact;
    lua_rawgeti(L, i, k + 1);
    list[k] = lua_tointegerx(L, -1, &exact);
    if (!exact)
      luaL_error(L, "%s: step %d is a %s; integer expected", what, k + 1, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  return list;
}

static bool *flags(lua_State *L, int i, const char *what, int n) {
  if (lua_isnil(L, i)) return NULL;
  check_length(L, i, what, n);
  bool *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

static double number(lua_State *L, int options, const char *name) {
  return plb_number_option(L, options, name, 0);
}

static int finish_step(lua_State *L, bool ok) {
  pl_scope_end();
  return ok ? 0 : plb_raise(L);
}

static int step_sgd(lua_State *L) {
  int n;
  lua_settop(L, 5);
  pl_tensor **p = tensors(L, 1, "sgd", &n), **g = companions(L, 2, "sgd", n);
  pl_tensor **buf = optional(L, 3, "sgd", n);
  bool *first = flags(L, 4, "sgd", n);
  pl_sgd_step o = {number(L, 5, "lr"), number(L, 5, "momentum"), number(L, 5, "dampening"),
                   number(L, 5, "weight_decay"), plb_bool_option(L, 5, "nesterov", false)};
  pl_scope_begin();
  return finish_step(L, pl_sgd(n, p, g, buf, first, &o));
}

static int step_adam(lua_State *L) {
  int n;
  lua_settop(L, 6);
  pl_tensor **p = tensors(L, 1, "adam", &n), **g = companions(L, 2, "adam", n);
  pl_tensor **m = companions(L, 3, "adam", n), **v = companions(L, 4, "adam", n);
  int64_t *steps = step_numbers(L, 5, "adam", n);
  pl_adam_step o = {number(L, 6, "lr"),           number(L, 6, "beta1"),
                    number(L, 6, "beta2"),        number(L, 6, "eps"),
                    number(L, 6, "weight_decay"), plb_bool_option(L, 6, "decoupled", false)};
  pl_scope_begin();
  return finish_step(L, pl_adam(n, p, g, m, v, steps, &o));
}

static int step_rmsprop(lua_State *L) {
  int n;
  lua_settop(L, 5);
  pl_tensor **p = tensors(L, 1, "rmsprop", &n), **g = companions(L, 2, "rmsprop", n);
  pl_tensor **square = companions(L, 3, "rmsprop", n), **buf = optional(L, 4, "rmsprop", n);
  pl_rmsprop_step o = {number(L, 5, "lr"), number(L, 5, "alpha"), number(L, 5, "eps"),
                       number(L, 5, "weight_decay"), number(L, 5, "momentum")};
  pl_scope_begin();
  return finish_step(L, pl_rmsprop(n, p, g, square, buf, &o));
}

static int total_norm(lua_State *L) {
  int n;
  double norm = 0;
  pl_tensor **list = tensors(L, 1, "total_norm", &n);
  pl_scope_begin();
  bool ok = pl_total_norm(n, list, &norm);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  lua_pushnumber(L, norm);
  return 1;
}

static const plb_function methods[] = {
    {"zero_", tensor_zero, "()\nSets all elements to 0, in place."},
    {"fill_", tensor_fill, "(value)\nSets all elements to a number, in place."},
    {"copy_", tensor_copy,
     "(source)\nCopies values of any kind, which broadcast, into the tensor, in place."},
    {"add_", tensor_add,
     "(x, alpha=1)\nAdds alpha times a number or a tensor, which broadcasts, in place."},
    {"sub_", tensor_sub,
     "(x, alpha=1)\nSubtracts alpha times a number or a tensor, which broadcasts, in place."},
    {"mul_", tensor_mul, "(x)\nMultiplies by a number or a tensor, which broadcasts, in place."},
    {"div_", tensor_div, "(x)\nDivides by a number or a tensor, which broadcasts, in place."},
    {"uniform_", tensor_uniform,
     "(low=0, high=1)\nFills with uniform random numbers in [low, high), in place."},
    {"normal_", tensor_normal, "(mean=0, std=1)\nFills with normal random numbers, in place."},
    {"bernoulli_", tensor_bernoulli,
     "(p=0.5)\nFills with 1 with probability p and else 0, in place."},
    {NULL, NULL, NULL}};

static const plb_function functions[] = {
    {"sgd_", step_sgd,
     "(params, grads, buffers, first, options)\nOne step of SGD of a list of tensors, in place; "
     "the "
     "formulas are PyTorch's. buffers is such a list too, or nil; first, a list of booleans or "
     "nil, "
     "says which of them have no history yet. The options are lr, momentum, dampening, "
     "weight_decay, nesterov. perilune.optim calls it."},
    {"adam_", step_adam,
     "(params, grads, ms, vs, steps, options)\nOne step of Adam (Kingma and Ba 2014), or AdamW "
     "with decoupled=true (Loshchilov and Hutter 2017), of a list of tensors, in place; steps has "
     "the number of each one's step, from 1. The options are lr, beta1, beta2, eps, weight_decay, "
     "decoupled. perilune.optim calls it."},
    {"rmsprop_", step_rmsprop,
     "(params, grads, squares, buffers, options)\nOne step of RMSprop of a list of tensors, in "
     "place; buffers may be nil. The options are lr, alpha, eps, weight_decay, momentum. "
     "perilune.optim calls it."},
    {"total_norm", total_norm,
     "(tensors)\nThe Euclidean norm of all elements of a list of tensors, summed in double "
     "precision."},
    {NULL, NULL, NULL}};

void plb_open_inplace(lua_State *L) { plb_add(L, functions, methods); }
