/*
** step.c: see step.h.
*/
#include "step.h"

#include <omp.h>
#include <stdlib.h>

/* Whether t, number i of its list, is a real contiguous tensor of the size of p. */
static bool fits(const char *what, const char *name, int i, const pl_tensor *p,
                 const pl_tensor *t) {
  if (t->dtype == PL_REAL && pl_same_size(p, t) && pl_is_contiguous(t)) return true;
  if (t == p)
    return pl_fail("%s: %s %d is %s; a dense real tensor expected", what, name, i + 1,
                   PL_DESCRIBE(t));
  return pl_fail("%s: %s %d is %s, its parameter %s; a dense real tensor of that size expected",
                 what, name, i + 1, PL_DESCRIBE(t), PL_DESCRIBE(p));
}

static bool missing(const char *what, const char *name, int i, const pl_tensor *t) {
  return !t && (pl_error() || !pl_fail("%s: %s %d is missing", what, name, i + 1));
}

static bool state_fits(const char *what, const pl_step_state *c, int i, const pl_tensor *p) {
  if (!c->list) return true;
  return !missing(what, c->name, i, c->list[i]) && fits(what, c->name, i, p, c->list[i]) &&
         pl_check_writable(what, c->list[i]);
}

static bool fill_param(const char *what, pl_step_param *s, pl_tensor *p, pl_tensor *g,
                       const pl_step_state *a, const pl_step_state *b, int i) {
  if (missing(what, "parameter", i, p) || missing(what, "gradient", i, g) ||
      !(g = pl_contiguous(g)) || !fits(what, "parameter", i, p, p) || !pl_check_writable(what, p) ||
      !fits(what, "gradient", i, p, g) || !state_fits(what, a, i, p) || !state_fits(what, b, i, p))
    return false;
  *s = (pl_step_param){.n = pl_numel(p), .p = pl_reals(p), .g = pl_reals(g)};
  if (a->list) s->a = pl_reals(a->list[i]);
  if (b->list) s->b = pl_reals(b->list[i]);
  return true;
}

/*
** Two tensors that are changed may share memory, or a gradient may share it with another's
** parameter. Then the parameters are stepped one after the other, on one thread.
*/

static int by_address(const void *x, const void *y) {
  const uintptr_t a = *(const uintptr_t *)x, b = *(const uintptr_t *)y;
  return (a > b) - (a < b);
}

/* Whether all is apart; `room` is for 3 n addresses. */
static bool apart(int n, pl_tensor *const *p, pl_tensor *const *g, const pl_step_state *a,
                  const pl_step_state *b, uintptr_t *room) {
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
  int param;
  int64_t at;
} piece;

/*
** The first part of each parameter comes first, then the second, and so on: a thread changes those
** elements whose gradients it is likely to have made. There is one part where parameters take
** turns.
*/
static void cut_pieces(int n, const pl_step_param *params, int parts, piece *pieces) {
  for (int part = 0; part < parts; part++)
    for (int i = 0; i < n; i++) {
      const int64_t count = (params[i].n + PL_STEP_PIECE - 1) / PL_STEP_PIECE;
      for (int64_t k = count * part / parts; k < count * (part + 1) / parts; k++)
        *pieces++ = (piece){i, k * PL_STEP_PIECE};
    }
}

static void run_pieces(int64_t n, const piece *pieces, const pl_step_param *params, bool many,
                       pl_step_piece *f, const void *options) {
#pragma omp parallel for schedule(static) if (many)
  for (int64_t i = 0; i < n; i++) {
    const pl_step_param *s = &params[pieces[i].param];
    f(s, pieces[i].param, pieces[i].at, PL_MIN(PL_STEP_PIECE, s->n - pieces[i].at), options);
  }
}

bool pl_step(const pl_step_rule *k, int n, pl_tensor *const *p, pl_tensor *const *g,
             pl_step_state a, pl_step_state b, const void *options) {
  pl_step_param *params = pl_scratch((size_t)n * (sizeof *params + 3 * sizeof(uintptr_t)) + 1);
  int64_t count = 0, total = 0;
  bool ok = params != NULL;
  for (int i = 0; ok && i < n; i++) {
    if (!(ok = fill_param(k->what, &params[i], p[i], g[i], &a, &b, i))) break;
    count += (params[i].n + PL_STEP_PIECE - 1) / PL_STEP_PIECE;
    total += params[i].n;
  }
  piece *pieces = ok ? pl_scratch((size_t)count * sizeof *pieces + 1) : NULL;
  if (pieces) {
    const bool many = total > 2 * PL_GRAIN && apart(n, p, g, &a, &b, (uintptr_t *)(params + n));
    pl_span span;
    pl_span_begin(&span, k->op, false);
    for (int i = 0; i < n; i++) pl_bump_version(p[i]);
    cut_pieces(n, params, many ? omp_get_max_threads() : 1, pieces);
    run_pieces(count, pieces, params, many, k->f, options);
    pl_span_end(&span, k->flops * (double)total, k->moves * (double)total * sizeof(pl_real));
  }
  pl_scratch_free(pieces);
  pl_scratch_free(params);
  return pieces != NULL;
}
