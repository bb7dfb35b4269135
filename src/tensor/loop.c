/*
** loop.c: going through strided operands of one shape.
*/
#include <omp.h>

#include "tensor.h"

enum { VECTORS = 64 }; /* numbers of which every instruction set makes whole vectors */

/* Dimensions of size 1 go; neighbours that every operand walks as one become one. */
pl_loop pl_loop_of(int rank, const int64_t *size, int n, const int64_t *const *stride) {
  pl_loop l = {0};
  for (int d = 0; d < rank; d++) {
    if (size[d] == 1) continue;
    bool merge = l.rank > 0;
    for (int k = 0; k < n && merge; k++) merge = l.stride[k][l.rank - 1] == stride[k][d] * size[d];
    if (merge) l.size[l.rank - 1] *= size[d];
    if (!merge) l.size[l.rank++] = size[d];
    for (int k = 0; k < n; k++) l.stride[k][l.rank - 1] = stride[k][d];
  }
  if (!l.rank) l.size[l.rank++] = 1;
  return l;
}

/* Where row `row` begins, and which it is in each dimension but the last. */
typedef struct {
  int64_t at[PL_MAX_RANK], offset[3];
} place;

static place place_of(const pl_loop *l, int64_t row) {
  place p = {0};
  for (int d = l->rank - 2; d >= 0; d--) {
    p.at[d] = row % l->size[d];
    row /= l->size[d];
    for (int k = 0; k < 3; k++) p.offset[k] += p.at[d] * l->stride[k][d];
  }
  return p;
}

static void next_row(const pl_loop *l, place *p) {
  for (int d = l->rank - 2; d >= 0; d--) {
    for (int k = 0; k < 3; k++) p->offset[k] += l->stride[k][d];
    if (++p->at[d] < l->size[d]) return;
    for (int k = 0; k < 3; k++) p->offset[k] -= l->size[d] * l->stride[k][d];
    p->at[d] = 0;
  }
}

/* Rows are cut among the threads; the only one where every vector of it stays whole. */
static int64_t cut(int64_t rows, int64_t inner, int64_t i, int64_t parts) {
  if (rows > 1) return rows * i / parts;
  return i == parts ? inner : inner * i / parts / VECTORS * VECTORS;
}

/* What thread `id` of so many goes through. */
static void run_share(const pl_loop *l, int64_t rows, int64_t id, int64_t threads,
                      pl_loop_body *body, void *context) {
  const int last = l->rank - 1;
  const int64_t inner = l->size[last];
  const int64_t stride[3] = {l->stride[0][last], l->stride[1][last], l->stride[2][last]};
  const int64_t end = cut(rows, inner, id + 1, threads);
  int64_t i = cut(rows, inner, id, threads);
  if (rows == 1 && i < end)
    body(context, end - i, (int64_t[]){i * stride[0], i * stride[1], i * stride[2]}, stride);
  if (rows == 1) return;
  place p = place_of(l, i);
  for (; i < end; i++, next_row(l, &p)) body(context, inner, p.offset, stride);
}

/* A region of one thread is none: to enter one costs more than a small loop. */
void pl_loop_run(const pl_loop *l, pl_loop_body *body, void *context) {
  int64_t rows = 1;
  for (int d = 0; d < l->rank - 1; d++) rows *= l->size[d];
  if (!rows || !l->size[l->rank - 1]) return;
  if (rows * l->size[l->rank - 1] <= PL_GRAIN) {
    run_share(l, rows, 0, 1, body, context);
    return;
  }
#pragma omp parallel
  run_share(l, rows, omp_get_thread_num(), omp_get_num_threads(), body, context);
}
