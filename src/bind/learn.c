/*
** learn.c: the binding of src/learn, from which perilune.learn.svm is made. What the
** functions take is checked for its kind and shape by the engine.
*/
#include "../learn/learn.h"

#include <string.h>

#include "bind.h"

static pl_map_kind check_kernel(lua_State *L, int i) {
  static const char *const names[] = {"linear", "rbf", "fourier", NULL}; /* pl_map_kind */
  const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";
  int k = 0;
  while (names[k] && strcmp(names[k], name) != 0) k++;
  if (!names[k]) plb_expected(L, i, "'linear', 'rbf' or 'fourier'");
  return (pl_map_kind)k;
}

/* The function of the library in whose name messages are written. */
static const char *who_at(lua_State *L, int i) {
  return lua_isnoneornil(L, i) ? "svm" : plb_text(L, i, NULL);
}

/* Tensor i, or NULL if there is none. */
static pl_tensor *opt_tensor(lua_State *L, int i) {
  return lua_isnoneornil(L, i) ? NULL : plb_check(L, i);
}

/* A map from arguments i (kernel), i + 1 (points or nil) and i + 2 (gamma). */
static pl_map check_map(lua_State *L, int i) {
  pl_map map = {check_kernel(L, i), plb_opt_number(L, i + 2, 1), opt_tensor(L, i + 1)};
  plb_arg_check(L, (map.kind == PL_MAP_LINEAR) == !map.points, i + 1,
                map.points ? "a linear kernel has no points" : "points expected");
  return map;
}

/* Holds the points of a map that check_map read from i. */
static void hold_map(lua_State *L, int i, pl_map *map) {
  if (map->points) map->points = plb_hold_read(L, i + 1);
}

/* A call that gives one tensor: box = begin(L); return end(L, box, call(...)), of held tensors. */
static pl_tensor **begin(lua_State *L) {
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  return box;
}

static int end(lua_State *L, pl_tensor **box, pl_tensor *result) {
  plb_fill(L, box, result);
  pl_scope_end();
  return *box ? 1 : plb_raise(L);
}

static pl_tensor *checked_classes(const char *who, pl_tensor *x, pl_tensor *labels) {
  if (!pl_examples_check(who, x) || !pl_labels_check(who, labels, pl_size(x).v[0])) return NULL;
  return pl_labels_list(labels);
}

static int learn_check(lua_State *L) {
  plb_check(L, 1);
  const char *who = who_at(L, 2);
  pl_scope_begin();
  const bool ok = pl_examples_check(who, plb_hold_read(L, 1));
  pl_scope_end();
  return ok ? 0 : plb_raise(L);
}

static int learn_classes(lua_State *L) {
  plb_check(L, 1), plb_check(L, 2);
  const char *who = who_at(L, 3);
  pl_tensor **box = begin(L);
  return end(L, box, checked_classes(who, plb_hold_read(L, 1), plb_hold_read(L, 2)));
}

static int learn_gamma(lua_State *L) {
  double gamma = 0;
  plb_check(L, 1);
  pl_scope_begin();
  pl_tensor *x = plb_hold_read(L, 1);
  const bool ok = pl_examples_check("svm", x) && pl_gamma_scale(x, &gamma);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  lua_pushnumber(L, gamma);
  return 1;
}

static int learn_features(lua_State *L) {
  const pl_ints size = pl_size(plb_check(L, 1));
  pl_map map = check_map(L, 2);
  if (size.n == 2)
    plb_make_room(L, (size_t)(size.v[0] * pl_map_features(&map, size.v[1])) * sizeof(pl_real));
  pl_tensor **box = begin(L), *x = plb_hold_read(L, 1);
  hold_map(L, 2, &map);
  return end(L, box, pl_map_apply(x, &map));
}

static int learn_decide(lua_State *L) {
  plb_check(L, 1), plb_check(L, 2), plb_check(L, 3);
  pl_map map = check_map(L, 4);
  pl_tensor **box = begin(L);
  pl_tensor *x = plb_hold_read(L, 1), *weights = plb_hold_read(L, 2), *bias = plb_hold_read(L, 3);
  hold_map(L, 4, &map);
  return end(L, box, pl_machine_decide(x, &map, weights, bias));
}

static int learn_choose(lua_State *L) {
  plb_check(L, 1), plb_check(L, 2);
  const bool pairs = lua_toboolean(L, 3);
  pl_tensor **box = begin(L);
  return end(L, box, pl_machine_choose(plb_hold_read(L, 1), plb_hold_read(L, 2), pairs));
}

static int learn_frequencies(lua_State *L) {
  const lua_Integer r = plb_whole(L, 1), d = plb_whole(L, 2);
  const double gamma = plb_number(L, 3);
  const lua_Integer key = plb_whole(L, 4);
  plb_arg_check(L, r >= 1 && r < PL_MAX_FEATURES, 1, "out of range");
  plb_arg_check(L, d >= 1 && d < INT32_MAX, 2, "out of range");
  plb_arg_check(L, gamma > 0, 3, "a positive number expected");
  pl_tensor **box = begin(L);
  return end(L, box, pl_fourier_points(r, d, gamma, (uint64_t)key));
}

/* weights, bias, how many support vectors, and the support vectors unless linear */
static int learn_train(lua_State *L) {
  plb_check(L, 1), plb_check(L, 2), plb_check(L, 3);
  plb_need(L, 4, LUA_TTABLE);
  lua_getfield(L, 4, "kernel");
  pl_svm_options o = {.kernel = check_kernel(L, -1),
                      .cost = plb_number_option(L, 4, "svm_train", "C", 1),
                      .gamma = plb_number_option(L, 4, "svm_train", "gamma", 1),
                      .tolerance = plb_number_option(L, 4, "svm_train", "tolerance", 1e-3),
                      .pairs = plb_bool_option(L, 4, "pairs", true),
                      .memory = plb_number_option(L, 4, "svm_train", "memory", 1024) * 1048576};
  plb_arg_check(L, o.kernel != PL_MAP_FOURIER, 4, "kernel must be linear or rbf");
  pl_tensor **weights = plb_newbox(L), **bias = plb_newbox(L), **points = plb_newbox(L);
  const int top = lua_gettop(L);
  pl_svm_result r;
  pl_scope_begin();
  pl_tensor *x = plb_hold_read(L, 1), *labels = plb_hold_read(L, 2), *classes = plb_hold_read(L, 3);
  const bool ok = pl_svm_train(x, labels, classes, &o, &r);
  plb_fill(L, weights, ok ? r.weights : NULL);
  plb_fill(L, bias, ok ? r.bias : NULL);
  plb_fill(L, points, ok ? r.points : NULL);
  pl_scope_end();
  if (!ok) return plb_raise(L);
  lua_pushvalue(L, top - 2);
  lua_pushvalue(L, top - 1);
  lua_pushinteger(L, r.support);
  if (!r.points) return 3;
  lua_pushvalue(L, top);
  return 4;
}

/* f, Newton steps, products, objective */
static int learn_newton(lua_State *L) {
  for (int i = 1; i <= 5; i++) plb_check(L, i);
  const double tolerance = plb_opt_number(L, 6, 1e-4);
  pl_tensor **f = plb_newbox(L);
  pl_newton_report report;
  pl_scope_begin();
  pl_tensor *x = plb_hold_read(L, 1), *share = plb_hold_read(L, 2), *cost = plb_hold_read(L, 3);
  pl_tensor *weights = plb_hold_read(L, 4), *bias = plb_hold_read(L, 5);
  plb_fill(L, f, pl_newton(x, share, cost, weights, bias, tolerance, &report));
  pl_scope_end();
  if (!*f) return plb_raise(L);
  lua_pushinteger(L, report.steps);
  lua_pushinteger(L, report.products);
  lua_pushnumber(L, report.objective);
  return 4;
}

static int learn_balance(lua_State *L) {
  plb_check(L, 1), opt_tensor(L, 2), plb_check(L, 3);
  const double temperature = plb_number(L, 4);
  pl_tensor **box = begin(L);
  pl_tensor *score = plb_hold_read(L, 1), *total = plb_hold_if(L, 2), *prices = plb_hold_read(L, 3);
  return end(L, box, pl_balance(score, total, prices, temperature));
}

static int learn_neighbours(lua_State *L) {
  pl_tensor *neighbours = NULL, *distances = NULL;
  plb_check(L, 1);
  const lua_Integer k = plb_whole(L, 2);
  pl_tensor **first = plb_newbox(L), **second = plb_newbox(L);
  pl_scope_begin();
  const bool ok = pl_neighbours(plb_hold_read(L, 1), k, &neighbours, &distances);
  plb_fill(L, first, ok ? neighbours : NULL);
  plb_fill(L, second, ok ? distances : NULL);
  pl_scope_end();
  return ok ? 2 : plb_raise(L);
}

static int learn_spread(lua_State *L) {
  plb_check(L, 1), plb_check(L, 2), plb_check(L, 3);
  const double keep = plb_number(L, 4);
  pl_tensor **box = begin(L);
  pl_tensor *neighbours = plb_hold_read(L, 1), *distances = plb_hold_read(L, 2),
            *source = plb_hold_read(L, 3);
  return end(L, box, pl_spread(neighbours, distances, source, keep));
}

static const plb_function functions[] = {
    {"svm_check", learn_check,
     "(x, who=\"svm\")\nRaises an error unless x is real [n,d], not empty, and finite."},
    {"svm_classes", learn_classes,
     "(x, labels, who=\"svm\")\nChecks examples real [n,d] and labels int32 [n]; gives the labels "
     "that occur, ascending."},
    {"svm_gamma", learn_gamma,
     "(x)\n1 / (columns of x * variance of all its values), scikit-learn's gamma = \"scale\"."},
    {"svm_train", learn_train,
     "(x, labels, classes, {kernel=, C=, gamma=, pairs=true, tolerance=1e-3, memory=1024})\n"
     "Trains by LIBSVM, a machine for each pair of classes or each class: weights, bias, how many "
     "support vectors, and these, but for the linear kernel. perilune.learn.svm.fit calls it."},
    {"svm_features", learn_features,
     "(x, kernel, points?, gamma?)\nThe features of examples under the map of a machine."},
    {"svm_frequencies", learn_frequencies,
     "(r, d, gamma, key)\nreal [r,d]: frequencies whose 2 r cosines and sines approximate the RBF "
     "kernel."},
    {"svm_decide", learn_decide,
     "(x, weights, bias, kernel, points?, gamma?)\nDecision values of machines, a column each."},
    {"svm_choose", learn_choose,
     "(decisions, classes, pairs=false)\nLabels from decision values: the largest, or by votes of "
     "pairs."},
    {"svm_newton", learn_newton,
     "(features, shares, costs, weights, bias, tolerance=1e-4)\nMinimises linear L2-SVMs, one for "
     "each column of shares, by Newton steps from the weights and bias given, which it changes: "
     "decision values, steps, products with the Hessian, objective."},
    {"svm_balance", learn_balance,
     "(score, total?, prices, temperature)\nShares of classes in each row that add up, over the "
     "rows, to given parts; changes the prices."},
    {"svm_neighbours", learn_neighbours,
     "(x, k)\nint32 [n,k], the k nearest other rows of each row of x [n,d], nearest first, and "
     "real [n,k], their squared distances."},
    {"svm_spread", learn_spread,
     "(neighbours, distances, source, keep)\nThe u with (D - keep W) u = source, W the weights of "
     "a graph of neighbours, D the sums of its rows: what spreads from the sources."},
    {NULL, NULL, NULL}};

void plb_open_learn(lua_State *L) { plb_add(L, "Support vector machines", functions, NULL); }
