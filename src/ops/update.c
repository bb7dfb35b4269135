/*
** update.c: changes in place: optimiser steps, one pass over memory each, and the in-place
** arithmetic of scripts. These are no ops: they have no gradient, and refuse to change what
** a graph made. A leaf that requires a gradient may be changed only while recording is off.
*/
#include <math.h>

#include "ops.h"

/* A real contiguous tensor of the size of p. */
static bool fits(const char *what, const char *name, const pl_tensor *p, const pl_tensor *t) {
  if (t->kind == PL_REAL && pl_same_size(p, t) && pl_is_contiguous(t)) return true;
  if (t == p)
    return pl_fail("%s: %s is %s; a dense real tensor expected", what, name, PL_DESCRIBE(t));
  return pl_fail("%s: %s is %s, the parameter %s; a dense real tensor of that size expected", what,
                 name, PL_DESCRIBE(t), PL_DESCRIBE(p));
}

/* Pieces of a parameter are updated on all threads: `at` is where one begins, LENGTH how long it
 * is. */
enum { PIECE = 8192 };
#define EACH_PIECE(p, at)                                                                  \
  const int64_t n_ = pl_numel(p);                                                          \
  _Pragma("omp parallel for schedule(static) if (n_ > 2 * PL_GRAIN)") for (int64_t at = 0; \
                                                                           at < n_; at += PIECE)
#define LENGTH PL_MIN(PIECE, n_ - at)

bool pl_sgd(pl_tensor *p, pl_tensor *g, pl_tensor *buf, const pl_sgd_step *o) {
  if (!p || !(g = pl_packed(g)) || !fits("sgd", "the parameter", p, p) ||
      !fits("sgd", "the gradient", p, g) || (buf && !fits("sgd", "the buffer", p, buf)))
    return false;
  pl_sgd_options k = {(pl_real)o->lr,           (pl_real)o->momentum, (pl_real)o->dampening,
                      (pl_real)o->weight_decay, o->nesterov,          o->first};
  pl_real *b = buf ? pl_reals(buf) : NULL;
  pl_span span;
  pl_span_begin(&span, "sgd_", false);
  pl_touch(p);
  EACH_PIECE(p, at)
  PL_MATH->sgd(LENGTH, pl_reals(p) + at, pl_reals(g) + at, b ? b + at : NULL, &k);
  pl_span_end(&span, 2 * (double)n_, 3 * (double)n_ * sizeof(pl_real));
  return true;
}

bool pl_adam(pl_tensor *p, pl_tensor *g, pl_tensor *m, pl_tensor *v, const pl_adam_step *o) {
  if (!p || !m || !v || !(g = pl_packed(g)) || !fits("adam", "the parameter", p, p) ||
      !fits("adam", "the gradient", p, g) || !fits("adam", "the first moment", p, m) ||
      !fits("adam", "the second moment", p, v))
    return false;
  if (o->step < 1) return pl_fail("adam: step %lld is not 1 or more", (long long)o->step);
  pl_adam_options k = {(pl_real)o->lr,
                       (pl_real)o->beta1,
                       (pl_real)o->beta2,
                       (pl_real)o->eps,
                       (pl_real)o->weight_decay,
                       (pl_real)(1 - pow(o->beta1, (double)o->step)),
                       (pl_real)(1 - pow(o->beta2, (double)o->step)),
                       o->decoupled};
  pl_span span;
  pl_span_begin(&span, "adam_", false);
  pl_touch(p);
  EACH_PIECE(p, at)
  PL_MATH->adam(LENGTH, pl_reals(p) + at, pl_reals(g) + at, pl_reals(m) + at, pl_reals(v) + at, &k);
  pl_span_end(&span, 12 * (double)n_, 7 * (double)n_ * sizeof(pl_real));
  return true;
}

bool pl_rmsprop(pl_tensor *p, pl_tensor *g, pl_tensor *square, pl_tensor *buf,
                const pl_rmsprop_step *o) {
  if (!p || !square || !(g = pl_packed(g)) || !fits("rmsprop", "the parameter", p, p) ||
      !fits("rmsprop", "the gradient", p, g) || !fits("rmsprop", "the mean square", p, square) ||
      (buf && !fits("rmsprop", "the buffer", p, buf)))
    return false;
  pl_rmsprop_options k = {(pl_real)o->lr, (pl_real)o->alpha, (pl_real)o->eps,
                          (pl_real)o->weight_decay, (pl_real)o->momentum};
  pl_real *b = buf ? pl_reals(buf) : NULL;
  pl_span span;
  pl_span_begin(&span, "rmsprop_", false);
  pl_touch(p);
  EACH_PIECE(p, at)
  PL_MATH->rmsprop(LENGTH, pl_reals(p) + at, pl_reals(g) + at, pl_reals(square) + at,
                   b ? b + at : NULL, &k);
  pl_span_end(&span, 8 * (double)n_, 5 * (double)n_ * sizeof(pl_real));
  return true;
}

bool pl_total_norm(int n, pl_tensor *const *ts, double *norm) {
  double total = 0, elements = 0;
  pl_span span;
  pl_span_begin(&span, "total_norm", false);
  for (int i = 0; i < n && !pl_error(); i++) {
    pl_tensor *t = pl_packed(ts[i]);
    if (t && t->kind != PL_REAL)
      pl_fail("total_norm: tensor %d is %s, expected real", i + 1, PL_DESCRIBE(t));
    if (pl_error()) break;
    total += PL_MATH->sum_squares(pl_numel(t), pl_reals(t));
    elements += (double)pl_numel(t);
  }
  pl_span_end(&span, 2 * elements, elements * sizeof(pl_real));
  *norm = sqrt(total);
  return !pl_error();
}

/*
** Arithmetic in place
*/

bool pl_may_change(const char *what, const pl_tensor *x) {
  if (pl_overlaps_itself(x)) return pl_fail("%s: %s is expanded", what, PL_DESCRIBE(x));
  if (!x->requires_grad || !pl_grad_enabled()) return true;
  return pl_fail("%s: %s %s; change it inside no_grad, or detach it", what, PL_DESCRIBE(x),
                 x->node ? "is the result of an op" : "requires a gradient");
}

typedef double update(double x, double y, double scale, double alpha);

static double add_up(double x, double y, double scale, double alpha) {
  return scale * x + alpha * y;
}
static double multiply(double x, double y, double scale, double alpha) {
  (void)scale, (void)alpha;
  return x * y;
}
static double divide(double x, double y, double scale, double alpha) {
  (void)scale, (void)alpha;
  return x / y;
}

/* Any kinds and layouts, element by element. */
static bool update_each(pl_tensor *x, pl_tensor *y, update *f, double scale, double alpha) {
  int64_t n = pl_numel(x);
  for (int64_t i = 0; i < n; i++)
    pl_set_at(x, i, f(pl_at(x, i), y ? pl_at(y, i) : 0, scale, alpha));
  return true;
}

/* y as x sees it: expanded to its size, and apart from it in memory. */
static bool match(const char *what, pl_tensor *x, pl_tensor **y) {
  pl_ints size;
  if (!pl_may_change(what, x)) return false;
  if (!*y) return true;
  if (!pl_broadcast(what, x, *y, &size)) return false;
  for (int d = 0; d < size.n; d++)
    if (size.n != x->rank || size.v[d] != x->size[d])
      return pl_fail("%s: %s does not broadcast to %s", what, PL_DESCRIBE(*y), PL_DESCRIBE(x));
  bool was = pl_grad_mode(false);
  *y = pl_expand(pl_detach(*y), size);
  if (*y && (*y)->storage == x->storage) {
    pl_tensor *copy = pl_empty((*y)->kind, size);
    *y = copy && pl_copy(copy, *y) ? copy : NULL;
  }
  pl_grad_mode(was);
  return *y != NULL;
}

static bool plain(const pl_tensor *x, const pl_tensor *y) {
  return x->kind == PL_REAL && pl_is_contiguous(x) && (!y || y->kind == PL_REAL);
}

typedef struct {
  pl_real *x;
  const pl_real *y;
  pl_real scale, alpha;
  bool divide;
} in_place;

static void add_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  const in_place *k = context;
  pl_real *x = k->x + at[0];
  const pl_real *y = k->y + at[1];
  if (step[1] == 0) {
    const pl_real v = k->alpha * *y;
    for (int64_t i = 0; i < n; i++) x[i] = k->scale * x[i] + v;
  } else {
    for (int64_t i = 0; i < n; i++) x[i] = k->scale * x[i] + k->alpha * y[i * step[1]];
  }
}

static void mul_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  const in_place *k = context;
  pl_real *x = k->x + at[0];
  const pl_real *y = k->y + at[1], v = *y;
  if (step[1] == 0 && k->divide)
    for (int64_t i = 0; i < n; i++) x[i] /= v;
  else if (step[1] == 0)
    for (int64_t i = 0; i < n; i++) x[i] *= v;
  else if (k->divide)
    for (int64_t i = 0; i < n; i++) x[i] /= y[i * step[1]];
  else
    for (int64_t i = 0; i < n; i++) x[i] *= y[i * step[1]];
}

static void scale_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  const in_place *k = context;
  (void)step;
  for (int64_t i = 0; i < n; i++) k->x[at[0] + i] *= k->scale;
}

static void end_change(pl_span *s, const pl_tensor *x, const pl_tensor *y) {
  const double n = (double)pl_numel(x);
  pl_span_end(s, n, (y ? 3 : 2) * n * sizeof(pl_real));
}

bool pl_add_in_place(pl_tensor *x, double scale, pl_tensor *y, double alpha) {
  if (!x || pl_error() || !match("add_", x, &y)) return false;
  pl_touch(x);
  if (!plain(x, y)) return update_each(x, y, add_up, scale, alpha);
  in_place k = {pl_reals(x), y ? pl_reals(y) : NULL, (pl_real)scale, (pl_real)alpha, false};
  pl_loop l = pl_loop_over(y ? 2 : 1, (pl_tensor *[]){x, y});
  pl_span span;
  pl_span_begin(&span, y ? "add_" : "mul_", false);
  pl_loop_run(&l, y ? add_body : scale_body, &k);
  end_change(&span, x, y);
  return true;
}

bool pl_mul_in_place(pl_tensor *x, pl_tensor *y, bool divides) {
  if (!x || !y || pl_error() || !match(divides ? "div_" : "mul_", x, &y)) return false;
  pl_touch(x);
  if (!plain(x, y)) return update_each(x, y, divides ? divide : multiply, 1, 1);
  in_place k = {pl_reals(x), pl_reals(y), 1, 1, divides};
  pl_loop l = pl_loop_over(2, (pl_tensor *[]){x, y});
  pl_span span;
  pl_span_begin(&span, divides ? "div_" : "mul_", false);
  pl_loop_run(&l, mul_body, &k);
  end_change(&span, x, y);
  return true;
}
