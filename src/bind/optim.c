/*
** optim.c: the steps of optimisers, in place.
*/
#include "bind.h"

/* The list of tensors at index i. */
static plb_list tensors(lua_State *L, int i) {
  plb_need(L, i, LUA_TTABLE);
  plb_list list = plb_new_list(L, (int)lua_rawlen(L, i));
  for (int k = 0; k < list.n; k++) {
    lua_rawgeti(L, i, k + 1);
    if (!plb_take(L, list, k))
      plb_error(L, "element %d of list %d is a %s; tensor expected", k + 1, i, plb_typename(L, -1));
    lua_pop(L, 1);
  }
  return list;
}

static int uneven(lua_State *L, int i, int m, int n) {
  return plb_error(L, "%d parameters, but %d entries in list %d", n, m, i);
}

/* The same of as many tensors as there are parameters. */
static plb_list companions(lua_State *L, int i, int n) {
  plb_list list = tensors(L, i);
  if (list.n != n) uneven(L, i, list.n, n);
  return list;
}

static plb_list optional(lua_State *L, int i, int n) {
  return lua_isnil(L, i) ? (plb_list){0} : companions(L, i, n);
}

static void check_length(lua_State *L, int i, int n) {
  plb_need(L, i, LUA_TTABLE);
  if ((int)lua_rawlen(L, i) != n) uneven(L, i, (int)lua_rawlen(L, i), n);
}

static int64_t *step_numbers(lua_State *L, int i, int n) {
  check_length(L, i, n);
  int64_t *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (int k = 0; k < n; k++) {
    int exact;
    lua_rawgeti(L, i, k + 1);
    list[k] = lua_tointegerx(L, -1, &exact);
    if (!exact) plb_error(L, "step %d is a %s; integer expected", k + 1, plb_typename(L, -1));
    lua_pop(L, 1);
  }
  return list;
}

static bool *flags(lua_State *L, int i, int n) {
  if (lua_isnil(L, i)) return NULL;
  check_length(L, i, n);
  bool *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (int k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    list[k] = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return list;
}

static double option(lua_State *L, int i, const char *who, const char *name) {
  return plb_number_option(L, i, who, name, 0);
}

/* Opens the scope of a step, which holds all its lists. */
static void begin_step(lua_State *L, const plb_list *lists, int n) {
  pl_scope_begin();
  for (int i = 0; i < n; i++) plb_hold_list(L, lists[i]);
}

static int finish_step(lua_State *L, bool ok) {
  pl_scope_end();
  return ok ? 0 : plb_raise(L);
}

static int step_sgd(lua_State *L) {
  lua_settop(L, 5);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list buf = optional(L, 3, p.n);
  bool *first = flags(L, 4, p.n);
  pl_sgd_step o = {sizeof o,
                   option(L, 5, "sgd_", "lr"),
                   option(L, 5, "sgd_", "momentum"),
                   option(L, 5, "sgd_", "dampening"),
                   option(L, 5, "sgd_", "weight_decay"),
                   plb_bool_option(L, 5, "nesterov", false)};
  begin_step(L, (const plb_list[]){p, g, buf}, 3);
  return finish_step(L, pl_sgd(p.n, p.t, g.t, buf.t, first, &o));
}

static int step_adam(lua_State *L) {
  lua_settop(L, 6);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list m = companions(L, 3, p.n), v = companions(L, 4, p.n);
  int64_t *steps = step_numbers(L, 5, p.n);
  pl_adam_step o = {sizeof o,
                    option(L, 6, "adam_", "lr"),
                    option(L, 6, "adam_", "beta1"),
                    option(L, 6, "adam_", "beta2"),
                    option(L, 6, "adam_", "eps"),
                    option(L, 6, "adam_", "weight_decay"),
                    plb_bool_option(L, 6, "decoupled", false)};
  begin_step(L, (const plb_list[]){p, g, m, v}, 4);
  return finish_step(L, pl_adam(p.n, p.t, g.t, m.t, v.t, steps, &o));
}

static int step_rmsprop(lua_State *L) {
  lua_settop(L, 5);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list square = companions(L, 3, p.n), buf = optional(L, 4, p.n);
  pl_rmsprop_step o = {sizeof o,
                       option(L, 5, "rmsprop_", "lr"),
                       option(L, 5, "rmsprop_", "alpha"),
                       option(L, 5, "rmsprop_", "eps"),
                       option(L, 5, "rmsprop_", "weight_decay"),
                       option(L, 5, "rmsprop_", "momentum")};
  begin_step(L, (const plb_list[]){p, g, square, buf}, 4);
  return finish_step(L, pl_rmsprop(p.n, p.t, g.t, square.t, buf.t, &o));
}

static int total_norm(lua_State *L) {
  double norm = 0;
  const plb_list list = tensors(L, 1);
  begin_step(L, &list, 1);
  bool ok = pl_total_norm(list.n, list.t, &norm);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  lua_pushnumber(L, norm);
  return 1;
}

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

void plb_open_optim(lua_State *L) { plb_add(L, "Steps of optimisers", functions, NULL); }
