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

static bool fill_param(const char *what, pl_step_param *s, const pl_step_lists *l, int i) {
  pl_tensor *p = l->p[i], *g = l->g[i];
  if (missing(what, "parameter", i, p) || missing(what, "gradient", i, g) ||
      !(g = pl_contiguous(g)) || !fits(what, "parameter", i, p, p) || !pl_check_writable(what, p) ||
      !fits(what, "gradient", i, p, g))
    return false;
  *s = (pl_step_param){.n = pl_numel(p), .p = pl_reals(p), .g = pl_reals(g)};
  for (int k = 0; k < PL_STEP_STATES; k++) {
    if (!state_fits(what, &l->state[k], i, p)) return false;
    if (l->state[k].list) s->state[k] = pl_reals(l->state[k].list[i]);
  }
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

/* Whether all is apart; `room` is for CHANGED n addresses. */
enum { CHANGED = 1 + PL_STEP_STATES };
static bool apart(const pl_step_lists *l, uintptr_t *room) {
  size_t count = 0;
  for (int i = 0; i < l->n; i++) {
    room[count++] = (uintptr_t)l->p[i]->storage;
    for (int k = 0; k < PL_STEP_STATES; k++)
      if (l->state[k].list) room[count++] = (uintptr_t)l->state[k].list[i]->storage;
  }
  qsort(room, count, sizeof *room, by_address);
  for (size_t i = 1; i < count; i++)
    if (room[i] == room[i - 1]) return false;
  for (int i = 0; i < l->n; i++) {
    const uintptr_t own = (uintptr_t)l->g[i]->storage;
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

/* A step up the gradient is one down its negative, which is made a piece at a time: in the cache. */
static void step_up(pl_step_piece *f, pl_step_param *s, int i, const void *options) {
  pl_real minus[PL_STEP_PIECE];
  for (int64_t k = 0; k < s->n; k++) minus[k] = -s->g[k];
  s->g = minus;
  f(s, i, options);
}

static pl_step_param part_of(const pl_step_param *s, int64_t at) {
  pl_step_param part = {PL_MIN(PL_STEP_PIECE, s->n - at), s->p + at, {NULL}, s->g + at};
  for (int k = 0; k < PL_STEP_STATES; k++)
    if (s->state[k]) part.state[k] = s->state[k] + at;
  return part;
}

typedef struct {
  const pl_step_rule *rule;
  const pl_step_param *params;
  const void *options;
  bool many, maximize;
} work;

static void run_pieces(int64_t n, const piece *pieces, const work *w) {
#pragma omp parallel for schedule(static) if (w->many)
  for (int64_t i = 0; i < n; i++) {
    pl_step_param part = part_of(&w->params[pieces[i].param], pieces[i].at);
    if (w->maximize) step_up(w->rule->f, &part, pieces[i].param, w->options);
    else w->rule->f(&part, pieces[i].param, w->options);
  }
}

bool pl_step(const pl_step_rule *rule, const pl_step_lists *l, const void *options) {
  const int n = l->n;
  pl_step_param *params =
      pl_scratch((size_t)n * (sizeof *params + CHANGED * sizeof(uintptr_t)) + 1);
  int64_t count = 0, total = 0;
  bool ok = params != NULL;
  for (int i = 0; ok && i < n; i++) {
    if (!(ok = fill_param(rule->what, &params[i], l, i))) break;
    count += (params[i].n + PL_STEP_PIECE - 1) / PL_STEP_PIECE;
    total += params[i].n;
  }
  piece *pieces = ok ? pl_scratch((size_t)count * sizeof *pieces + 1) : NULL;
  if (pieces) {
    const bool many = total > 2 * PL_GRAIN && apart(l, (uintptr_t *)(params + n));
    pl_span span;
    pl_span_begin(&span, rule->op, false);
    for (int i = 0; i < n; i++) pl_bump_version(l->p[i]);
    cut_pieces(n, params, many ? omp_get_max_threads() : 1, pieces);
    run_pieces(count, pieces, &(work){rule, params, options, many, l->maximize});
    pl_span_end(&span, rule->flops * (double)total, rule->moves * (double)total * sizeof(pl_real));
  }
  pl_scratch_free(pieces);
  pl_scratch_free(params);
  return pieces != NULL;
}

bool pl_check_steps(const char *what, int n, const int64_t *steps) {
  for (int i = 0; i < n; i++)
    if (steps[i] < 1) return pl_fail("%s: step %lld is not 1 or more", what, (long long)steps[i]);
  return true;
}
