/*
** inplace.c: changes in place, as scripts write them. They are no ops: they have no gradient, and
** refuse to change what a graph made. A leaf that requires a gradient may be changed only while
** recording is off.
*/
#include "../ops/ops.h"

static void trace(const char *what, const pl_tensor *x, const pl_tensor *y) {
  pl_tracer *tracer = PL_HERE->tracer;
  if (tracer && tracer->changed) tracer->changed(tracer, what, (pl_tensor *)x, (pl_tensor *)y);
}

bool pl_may_change(const char *what, const pl_tensor *x) {
  trace(what, x, NULL);
  if (!pl_check_writable(what, x)) return false;
  if (pl_overlaps_itself(x)) return pl_fail("%s: %s is expanded", what, PL_DESCRIBE(x));
  if (!x->requires_grad || !pl_grad_enabled()) return true;
  return pl_fail("%s: %s %s; change it inside no_grad, or detach it", what, PL_DESCRIBE(x),
                 x->node ? "is the result of an op" : "requires a gradient");
}

bool pl_may_write(const char *what, const pl_tensor *x, const pl_tensor *y) {
  trace(what, x, y);
  if (!pl_may_change(what, x)) return false;
  if (!y->requires_grad || !pl_grad_enabled()) return true;
  return pl_fail(
      "%s: %s has a history, which what is written into a tensor loses; make a new tensor "
      "with cat, stack or where, or detach it, or write inside no_grad",
      what, PL_DESCRIBE(y));
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

/* Any dtypes and layouts, element by element, in double precision, which is exact for what fits an
 * integer. All must fit before any is written. */
static bool update_each(const char *what, pl_tensor *x, pl_tensor *y, update *f, double scale,
                        double alpha) {
  const int64_t n = pl_numel(x);
  for (int write = x->dtype == PL_REAL; write < 2; write++)
    for (int64_t i = 0; i < n; i++) {
      const double v = f(pl_at(x, i), y ? pl_at(y, i) : 0, scale, alpha);
      if (!write && !pl_check_fits(what, x->dtype, v, i)) return false;
      if (write) pl_set_at(x, i, v);
    }
  return true;
}

/* y as x sees it: expanded to its size, and apart from it in memory. */
static bool match(const char *what, pl_tensor *x, pl_tensor **y) {
  pl_ints size;
  if (!*y) return pl_may_change(what, x);
  if (!pl_may_write(what, x, *y)) return false;
  if (!pl_broadcast(what, x, *y, &size)) return false;
  for (int d = 0; d < size.n; d++)
    if (size.n != x->rank || size.v[d] != x->size[d])
      return pl_fail("%s: %s does not broadcast to %s", what, PL_DESCRIBE(*y), PL_DESCRIBE(x));
  bool was = pl_grad_mode(false);
  *y = pl_expand_to(pl_detach(*y), size);
  if (*y && (*y)->storage == x->storage) {
    pl_tensor *copy = pl_empty((*y)->dtype, size);
    *y = copy && pl_copy(copy, *y) ? copy : NULL;
  }
  pl_grad_mode(was);
  return *y != NULL;
}

static bool plain(const pl_tensor *x, const pl_tensor *y) {
  return x->dtype == PL_REAL && pl_is_contiguous(x) && (!y || y->dtype == PL_REAL);
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
  pl_bump_version(x);
  if (!plain(x, y)) return update_each("add_", x, y, add_up, scale, alpha);
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
  pl_bump_version(x);
  if (!plain(x, y))
    return update_each(divides ? "div_" : "mul_", x, y, divides ? divide : multiply, 1, 1);
  in_place k = {pl_reals(x), pl_reals(y), 1, 1, divides};
  pl_loop l = pl_loop_over(2, (pl_tensor *[]){x, y});
  pl_span span;
  pl_span_begin(&span, divides ? "div_" : "mul_", false);
  pl_loop_run(&l, mul_body, &k);
  end_change(&span, x, y);
  return true;
}
