/*
** broadcast.c: operands of one shape, and shapes that broadcast to one.
*/
#include <string.h>

#include "ops.h"

pl_loop pl_loop_over(int n, pl_tensor *const *t) {
  const int64_t *stride[3];
  for (int k = 0; k < n; k++) stride[k] = t[k]->stride;
  return pl_loop_of(t[0]->rank, t[0]->size, n, stride);
}

bool pl_broadcast(const char *op, const pl_tensor *a, const pl_tensor *b, pl_ints *size) {
  size->n = PL_MAX(a->rank, b->rank);
  for (int i = 1; i <= size->n; i++) {
    int64_t x = i <= a->rank ? a->size[a->rank - i] : 1;
    int64_t y = i <= b->rank ? b->size[b->rank - i] : 1;
    if (x != y && x != 1 && y != 1)
      return pl_fail("%s: %s and %s do not broadcast: dim %d has %lld against %lld", op,
                     PL_DESCRIBE(a), PL_DESCRIBE(b), size->n - i + 1, (long long)x, (long long)y);
    size->v[size->n - i] = x == 1 ? y : x;
  }
  return true;
}

pl_tensor *pl_expand_to(pl_tensor *x, pl_ints size) {
  if (!x) return NULL;
  pl_ints have = pl_size(x);
  const bool same = have.n == size.n && !memcmp(have.v, size.v, (size_t)size.n * sizeof *size.v);
  return same ? x : pl_expand(x, size);
}

static bool all_same_size(const pl_args *c) {
  for (int i = 1; i < c->n_in; i++)
    if (!pl_same_size(c->in[0], c->in[i])) return false;
  return true;
}

bool pl_broadcast_inputs(const pl_args *c, pl_tensor **in) {
  if (all_same_size(c)) return true;
  pl_ints size = pl_size(in[0]);
  for (int i = 1; i < c->n_in; i++) {
    pl_tensor so_far = {.dtype = in[0]->dtype, .rank = size.n};
    memcpy(so_far.size, size.v, sizeof so_far.size);
    if (!pl_broadcast(c->op->name, i == 1 ? in[0] : &so_far, in[i], &size)) return false;
  }
  for (int i = 0; i < c->n_in; i++)
    if (!(in[i] = pl_expand_to(in[i], size))) return false;
  return true;
}

pl_tensor *pl_zero(void) { return pl_full(PL_REAL, PL_ALL_DIMS, 0); }
pl_tensor *pl_one(void) { return pl_full(PL_REAL, PL_ALL_DIMS, 1); }
