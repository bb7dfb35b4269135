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

/* The numbers in the list at index i, of which keep_numbers makes those of the next step. */
static double *numbers(lua_State *L, int i, int n) {
  check_length(L, i, n);
  double *list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (int k = 0; k < n; k++) {
    int is_number;
    lua_rawgeti(L, i, k + 1);
    list[k] = lua_tonumberx(L, -1, &is_number);
    if (!is_number)
      plb_error(L, "element %d of list %d is a %s; number expected", k + 1, i, plb_typename(L, -1));
    lua_pop(L, 1);
  }
  return list;
}

static void keep_numbers(lua_State *L, int i, int n, const double *list) {
  for (int k = 0; k < n; k++) {
    lua_pushnumber(L, list[k]);
    lua_rawseti(L, i, k + 1);
  }
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

static bool flag(lua_State *L, int i, const char *name) {
  return plb_bool_option(L, i, name, false);
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
                   flag(L, 5, "nesterov"),
                   flag(L, 5, "maximize")};
  begin_step(L, (const plb_list[]){p, g, buf}, 3);
  return finish_step(L, pl_sgd(p.n, p.t, g.t, buf.t, first, &o));
}

static int step_adam(lua_State *L) {
  lua_settop(L, 7);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list m = companions(L, 3, p.n), v = companions(L, 4, p.n);
  const plb_list largest = optional(L, 7, p.n);
  int64_t *steps = step_numbers(L, 5, p.n);
  pl_adam_step o = {sizeof o,
                    option(L, 6, "adam_", "lr"),
                    option(L, 6, "adam_", "beta1"),
                    option(L, 6, "adam_", "beta2"),
                    option(L, 6, "adam_", "eps"),
                    option(L, 6, "adam_", "weight_decay"),
                    flag(L, 6, "decoupled"),
                    flag(L, 6, "maximize"),
                    largest.t};
  begin_step(L, (const plb_list[]){p, g, m, v, largest}, 5);
  return finish_step(L, pl_adam(p.n, p.t, g.t, m.t, v.t, steps, &o));
}

static int step_rmsprop(lua_State *L) {
  lua_settop(L, 6);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list square = companions(L, 3, p.n), buf = optional(L, 4, p.n);
  const plb_list mean = optional(L, 6, p.n);
  pl_rmsprop_step o = {sizeof o,
                       option(L, 5, "rmsprop_", "lr"),
                       option(L, 5, "rmsprop_", "alpha"),
                       option(L, 5, "rmsprop_", "eps"),
                       option(L, 5, "rmsprop_", "weight_decay"),
                       option(L, 5, "rmsprop_", "momentum"),
                       flag(L, 5, "maximize"),
                       mean.t};
  begin_step(L, (const plb_list[]){p, g, square, buf, mean}, 5);
  return finish_step(L, pl_rmsprop(p.n, p.t, g.t, square.t, buf.t, &o));
}

static int step_adagrad(lua_State *L) {
  lua_settop(L, 5);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n), sum = companions(L, 3, p.n);
  int64_t *steps = step_numbers(L, 4, p.n);
  pl_adagrad_step o = {sizeof o,
                       option(L, 5, "adagrad_", "lr"),
                       option(L, 5, "adagrad_", "lr_decay"),
                       option(L, 5, "adagrad_", "eps"),
                       option(L, 5, "adagrad_", "weight_decay"),
                       flag(L, 5, "maximize")};
  begin_step(L, (const plb_list[]){p, g, sum}, 3);
  return finish_step(L, pl_adagrad(p.n, p.t, g.t, sum.t, steps, &o));
}

static int step_nadam(lua_State *L) {
  lua_settop(L, 7);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list m = companions(L, 3, p.n), v = companions(L, 4, p.n);
  int64_t *steps = step_numbers(L, 5, p.n);
  double *products = numbers(L, 6, p.n);
  pl_nadam_step o = {sizeof o,
                     option(L, 7, "nadam_", "lr"),
                     option(L, 7, "nadam_", "beta1"),
                     option(L, 7, "nadam_", "beta2"),
                     option(L, 7, "nadam_", "eps"),
                     option(L, 7, "nadam_", "weight_decay"),
                     option(L, 7, "nadam_", "momentum_decay"),
                     flag(L, 7, "decoupled"),
                     flag(L, 7, "maximize")};
  begin_step(L, (const plb_list[]){p, g, m, v}, 4);
  bool ok = pl_nadam(p.n, p.t, g.t, m.t, v.t, steps, products, &o);
  keep_numbers(L, 6, p.n, products);
  return finish_step(L, ok);
}

static int step_radam(lua_State *L) {
  lua_settop(L, 6);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n);
  const plb_list m = companions(L, 3, p.n), v = companions(L, 4, p.n);
  int64_t *steps = step_numbers(L, 5, p.n);
  pl_radam_step o = {sizeof o,
                     option(L, 6, "radam_", "lr"),
                     option(L, 6, "radam_", "beta1"),
                     option(L, 6, "radam_", "beta2"),
                     option(L, 6, "radam_", "eps"),
                     option(L, 6, "radam_", "weight_decay"),
                     flag(L, 6, "decoupled"),
                     flag(L, 6, "maximize")};
  begin_step(L, (const plb_list[]){p, g, m, v}, 4);
  return finish_step(L, pl_radam(p.n, p.t, g.t, m.t, v.t, steps, &o));
}

static int step_asgd(lua_State *L) {
  lua_settop(L, 7);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n), mean = companions(L, 3, p.n);
  int64_t *steps = step_numbers(L, 4, p.n);
  double *eta = numbers(L, 5, p.n), *mu = numbers(L, 6, p.n);
  pl_asgd_step o = {sizeof o,
                    option(L, 7, "asgd_", "lr"),
                    option(L, 7, "asgd_", "lambd"),
                    option(L, 7, "asgd_", "alpha"),
                    option(L, 7, "asgd_", "t0"),
                    option(L, 7, "asgd_", "weight_decay"),
                    flag(L, 7, "maximize")};
  begin_step(L, (const plb_list[]){p, g, mean}, 3);
  bool ok = pl_asgd(p.n, p.t, g.t, mean.t, steps, eta, mu, &o);
  keep_numbers(L, 5, p.n, eta);
  keep_numbers(L, 6, p.n, mu);
  return finish_step(L, ok);
}

static int step_lion(lua_State *L) {
  lua_settop(L, 4);
  const plb_list p = tensors(L, 1), g = companions(L, 2, p.n), m = companions(L, 3, p.n);
  pl_lion_step o = {sizeof o,
                    option(L, 4, "lion_", "lr"),
                    option(L, 4, "lion_", "beta1"),
                    option(L, 4, "lion_", "beta2"),
                    option(L, 4, "lion_", "weight_decay"),
                    flag(L, 4, "maximize")};
  begin_step(L, (const plb_list[]){p, g, m}, 3);
  return finish_step(L, pl_lion(p.n, p.t, g.t, m.t, &o));
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
     "the formulas are PyTorch's. buffers is such a list too, or nil; first, a list of booleans or "
     "nil, says which of them have no history yet. The options are lr, momentum, dampening, "
     "weight_decay, nesterov, maximize. perilune.optim calls it."},
    {"adam_", step_adam,
     "(params, grads, ms, vs, steps, options, largest)\nOne step of Adam (Kingma and Ba 2014), or "
     "AdamW with decoupled=true (Loshchilov and Hutter 2017), of a list of tensors, in place; "
     "steps "
     "has the number of each one's step, from 1; largest, the largest vs, makes it AMSGrad and may "
     "be nil. The options are lr, beta1, beta2, eps, weight_decay, decoupled, maximize. "
     "perilune.optim calls it."},
    {"rmsprop_", step_rmsprop,
     "(params, grads, squares, buffers, options, means)\nOne step of RMSprop of a list of tensors, "
     "in place; buffers may be nil, and so may means, which make it centred. The options are lr, "
     "alpha, eps, weight_decay, momentum, maximize. perilune.optim calls it."},
    {"adagrad_", step_adagrad,
     "(params, grads, sums, steps, options)\nOne step of Adagrad (Duchi et al. 2011) of a list of "
     "tensors, in place; steps as for adam_. The options are lr, lr_decay, eps, weight_decay, "
     "maximize. perilune.optim calls it."},
    {"nadam_", step_nadam,
     "(params, grads, ms, vs, steps, products, options)\nOne step of NAdam (Dozat 2016) of a list "
     "of tensors, in place; steps as for adam_. products has the products of the momenta so far, 1 "
     "at first, and is changed. The options are those of adam_ and momentum_decay. perilune.optim "
     "calls it."},
    {"radam_", step_radam,
     "(params, grads, ms, vs, steps, options)\nOne step of RAdam (Liu et al. 2019) of a list of "
     "tensors, in place; steps and options as for adam_. perilune.optim calls it."},
    {"asgd_", step_asgd,
     "(params, grads, means, steps, etas, mus, options)\nOne step of averaged SGD (Polyak and "
     "Juditsky 1992) of a list of tensors, in place; steps as for adam_. etas and mus, lists of "
     "numbers, lr and 1 at first, are changed. The options are lr, lambd, alpha, t0, weight_decay, "
     "maximize. perilune.optim calls it."},
    {"lion_", step_lion,
     "(params, grads, ms, options)\nOne step of Lion (Chen et al. 2023) of a list of tensors, in "
     "place. The options are lr, beta1, beta2, weight_decay, maximize. perilune.optim calls it."},
    {"total_norm", total_norm,
     "(tensors)\nThe Euclidean norm of all elements of a list of tensors, summed in double "
     "precision."},
    {NULL, NULL, NULL}};

void plb_open_optim(lua_State *L) { plb_add(L, "Steps of optimisers", functions, NULL); }
