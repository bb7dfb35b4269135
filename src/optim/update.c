/*
** update.c: changes in place: optimiser steps, one pass over the parameters of a group, and the
** arithmetic of scripts. These are no ops: they have no gradient, and refuse to change what
** a graph made. A leaf that requires a gradient may be changed only while recording is off.
*/
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "../ops/ops.h"

/* Whether t, number i of its list, is a real contiguous tensor of the size of p. */
static bool fits(const char *what, const char *name, int i, const pl_tensor *p,
                 const pl_tensor *t) {
  if (t->kind == PL_REAL && pl_same_size(p, t) && pl_is_contiguous(t)) return true;
  if (t == p)
    return pl_fail("%s: %s %d is %s; a dense real tensor expected", what, name, i + 1,
                   PL_DESCRIBE(t));
  return pl_fail("%s: %s %d is %s, its parameter %s; a dense real tensor of that size expected",
                 what, name, i + 1, PL_DESCRIBE(t), PL_DESCRIBE(p));
}

/*
** Steps of optimisers. All parameters are checked, then changed in one pass: they are cut into
** pieces of PIECE numbers, which the threads share.
*/

enum { PIECE = 8192 };

/* A parameter, its gradient, and what the optimiser remembers of it (NULL: nothing). */
typedef struct {
  int64_t n;
  pl_real *p, *a, *b;
  const pl_real *g;
} slot;

/* What an optimiser does with `n` numbers of slot `i` from `at` on. */
typedef void step_piece(const slot *s, int i, int64_t at, int64_t n, const void *options);

/* A list of tensors that belong to the parameters, with a name for messages. */
typedef struct {
  const char *name;
  pl_tensor *const *list; /* NULL: there are none */
} companions;

static bool missing(const char *what, const char *name, int i, const pl_tensor *t) {
  return !t && (pl_error() || !pl_fail("%s: %s %d is missing", what, name, i + 1));
}

static bool companion_fits(const char *what, const companions *c, int i, const pl_tensor *p) {
  if (!c->list) return true;
  return !missing(what, c->name, i, c->list[i]) && fits(what, c->name, i, p, c->list[i]);
}

static bool fill_slot(const char *what, slot *s, pl_tensor *p, pl_tensor *g, const companions *a,
                      const companions *b, int i) {
  if (missing(what, "parameter", i, p) || missing(what, "gradient", i, g) || !(g = pl_packed(g)) ||
      !fits(what, "parameter", i, p, p) || !fits(what, "gradient", i, p, g) ||
      !companion_fits(what, a, i, p) || !companion_fits(what, b, i, p))
    return false;
  *s = (slot){.n = pl_numel(p), .p = pl_reals(p), .g = pl_reals(g)};
  if (a->list) s->a = pl_reals(a->list[i]);
  if (b->list) s->b = pl_reals(b->list[i]);
  return true;
}

/*
** Tensors that are changed may lie in the same memory, or a gradient in that of another's
** parameter. Then the parameters have to take turns.
*/

static int by_address(const void *x, const void *y) {
  const uintptr_t a = *(const uintptr_t *)x, b = *(const uintptr_t *)y;
  return (a > b) - (a < b);
}

/* Whether all is apart; `room` is for 3 n addresses. */
static bool apart(int n, pl_tensor *const *p, pl_tensor *const *g, const companions *a,
                  const companions *b, uintptr_t *room) {
  size_t count = 0;
  for (int i = 0; i < n; i++) {
    room[count++] = (uintptr_t)p[i]->storage;
    if (a->list) room[count++] = (uintptr_t)a->list[i]->storage;
    if (b->list) room[count++] = (uintptr_t)b->list[i]->storage;
  }
  qsort(room, count, sizeof *room, by_address);
  for (size_t i = 1; i < count; i++)
    if (room[i] == room[i - 1]) return false;
  for (int i = 0; i < n; i++) {
    const uintptr_t own = (uintptr_t)g[i]->storage;
    if (bsearch(&own, room, count, sizeof *room, by_address)) return false;
  }
  return true;
}

typedef struct {
  int slot;
  int64_t at;
} piece;

/*
** The first part of each parameter comes first, then the second, of so many: a thread changes those
** numbers whose gradients it is likely to have made. There is one part where parameters take turns.
*/
static void cut_pieces(int n, const slot *slots, int parts, piece *pieces) {
  for (int part = 0; part < parts; part++)
    for (int i = 0; i < n; i++) {
      const int64_t count = (slots[i].n + PIECE - 1) / PIECE;
      for (int64_t k = count * part / parts; k < count * (part + 1) / parts; k++)
        *pieces++ = (piece){i, k * PIECE};
    }
}

static void run_pieces(int64_t n, const piece *pieces, const slot *slots, bool many, step_piece *f,
                       const void *options) {
#pragma omp parallel for schedule(static) if (many)
  for (int64_t i = 0; i < n; i++) {
    const slot *s = &slots[pieces[i].slot];
    f(s, pieces[i].slot, pieces[i].at, PL_MIN(PIECE, s->n - pieces[i].at), options);
  }
}

/* The kind of an optimiser: its name in messages and profiles, its arithmetic, and what it costs
 * for a number: operations, and reads and writes. */
typedef struct {
  const char *what, *op;
  step_piece *f;
  double flops, moves;
} kind;

static bool step(const kind *k, int n, pl_tensor *const *p, pl_tensor *const *g, companions a,
                 companions b, const void *options) {
  slot *slots = pl_scratch((size_t)n * (sizeof *slots + 3 * sizeof(uintptr_t)) + 1);
  int64_t count = 0, total = 0;
  bool ok = slots != NULL;
  for (int i = 0; ok && i < n; i++) {
    if (!(ok = fill_slot(k->what, &slots[i], p[i], g[i], &a, &b, i))) break;
    count += (slots[i].n + PIECE - 1) / PIECE;
    total += slots[i].n;
  }
  piece *pieces = ok ? pl_scratch((size_t)count * sizeof *pieces + 1) : NULL;
  if (pieces) {
    const bool many = total > 2 * PL_GRAIN && apart(n, p, g, &a, &b, (uintptr_t *)(slots + n));
    pl_span span;
    pl_span_begin(&span, k->op, false);
    for (int i = 0; i < n; i++) pl_touch(p[i]);
    cut_pieces(n, slots, many ? omp_get_max_threads() : 1, pieces);
    run_pieces(count, pieces, slots, many, k->f, options);
    pl_span_end(&span, k->flops * (double)total, k->moves * (double)total * sizeof(pl_real));
  }
  pl_scratch_free(pieces);
  pl_scratch_free(slots);
  return pieces != NULL;
}

typedef struct {
  const pl_sgd_step *given;
  const bool *first;
} sgd_options;

static void sgd_piece(const slot *s, int i, int64_t at, int64_t n, const void *options) {
  const sgd_options *c = options;
  const pl_sgd_step *o = c->given;
  const pl_sgd_options k = {(pl_real)o->lr,        (pl_real)o->momentum,
                            (pl_real)o->dampening, (pl_real)o->weight_decay,
                            o->nesterov,           c->first && c->first[i]};
  PL_KERNELS(optim)->sgd(n, s->p + at, s->g + at, s->a ? s->a + at : NULL, &k);
}

bool pl_sgd(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *buf,
            const bool *first, const pl_sgd_step *o) {
  static const kind sgd = {"sgd", "sgd_", sgd_piece, 2, 3};
  const sgd_options k = {o, first};
  return step(&sgd, n, p, g, (companions){"buffer", buf}, (companions){NULL, NULL}, &k);
}

typedef struct {
  const pl_adam_step *given;
  const int64_t *steps;
} adam_options;

static void adam_piece(const slot *s, int i, int64_t at, int64_t n, const void *options) {
  const adam_options *c = options;
  const pl_adam_step *o = c->given;
  const double t = (double)c->steps[i];
  const pl_adam_options k = {(pl_real)o->lr,
                             (pl_real)o->beta1,
                             (pl_real)o->beta2,
                             (pl_real)o->eps,
                             (pl_real)o->weight_decay,
                             (pl_real)(1 - pow(o->beta1, t)),
                             (pl_real)(1 - pow(o->beta2, t)),
                             o->decoupled};
  PL_KERNELS(optim)->adam(n, s->p + at, s->g + at, s->a + at, s->b + at, &k);
}

bool pl_adam(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *m,
             pl_tensor *const *v, const int64_t *steps, const pl_adam_step *o) {
  static const kind adam = {"adam", "adam_", adam_piece, 12, 7};
  const adam_options k = {o, steps};
  for (int i = 0; i < n; i++)
    if (steps[i] < 1) return pl_fail("adam: step %lld is not 1 or more", (long long)steps[i]);
  return step(&adam, n, p, g, (companions){"first moment", m}, (companions){"second moment", v},
              &k);
}

static void rmsprop_piece(const slot *s, int i, int64_t at, int64_t n, const void *options) {
  (void)i;
  PL_KERNELS(optim)->rmsprop(n, s->p + at, s->g + at, s->a + at, s->b ? s->b + at : NULL, options);
}

bool pl_rmsprop(int n, pl_tensor *const *p, pl_tensor *const *g, pl_tensor *const *square,
                pl_tensor *const *buf, const pl_rmsprop_step *o) {
  static const kind rmsprop = {"rmsprop", "rmsprop_", rmsprop_piece, 8, 5};
  const pl_rmsprop_options k = {(pl_real)o->lr, (pl_real)o->alpha, (pl_real)o->eps,
                                (pl_real)o->weight_decay, (pl_real)o->momentum};
  return step(&rmsprop, n, p, g, (companions){"mean square", square}, (companions){"buffer", buf},
              &k);
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
    total += PL_KERNELS(reduce)->sum_squares(pl_numel(t), pl_reals(t));
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
