/*
** matrices.h: what the rows of linear algebra share: checks of stacks of matrices, and a loop over
** them.
*/
#ifndef PERILUNE_MATRICES_H
#define PERILUNE_MATRICES_H

#include "../kernels/linalg/linalg.h"
#include "ops.h"

static inline int64_t pl_rows_of(const pl_tensor *t) { return t->size[t->rank - 2]; }
static inline int64_t pl_columns_of(const pl_tensor *t) { return t->size[t->rank - 1]; }
static inline int64_t pl_smaller(const pl_tensor *t) {
  return PL_MIN(pl_rows_of(t), pl_columns_of(t));
}
/* The size of a stack like that of t, of matrices, of vectors, or of numbers. */
pl_ints pl_stack_of(const pl_tensor *t, int64_t rows, int64_t columns);
pl_ints pl_stack_of_vectors(const pl_tensor *t, int64_t n);
pl_ints pl_stack_of_numbers(const pl_tensor *t);
/* How many matrices there are. */
int64_t pl_matrix_count(const pl_tensor *t);
/* [n,n] */
pl_tensor *pl_identity(int64_t n);
/* Each matrix transposed. */
static inline pl_tensor *pl_mT(pl_tensor *t) { return pl_transpose(t, -2, -1); }

/* False with a message unless input i is real and [...,m,n]; [...,n,n]. */
bool pl_need_matrices(const pl_args *c, int i);
bool pl_need_square(const pl_args *c, int i);
/* False with a message if the matrices of the first input hold NaN or infinity, for which LAPACK's
 * iterations have no answer. */
bool pl_need_finite(const pl_args *c);
/* Expands stacks of matrices a, and of matrices or vectors b, to those of one size. */
bool pl_broadcast_stacks(const pl_args *c, pl_tensor **in);
/* Whether b, the second input, is vectors beside the matrices of the first; once broadcast. */
static inline bool pl_is_vector(const pl_args *c) { return c->in[1]->rank < c->in[0]->rank; }
/* Arithmetic of a call: the row's data, a double, times m n min(m, n) for each matrix. */
double pl_matrix_flops(const pl_args *c);

/* What is done to each matrix of a stack. `one` returns 0, or what is wrong with matrix i. */
typedef struct pl_each {
  int64_t m, n, k;
  char job;
  pl_linalg_room room;     /* memory that each thread gets */
  pl_real *a, *b, *out[3]; /* the first elements of the stacks */
  int64_t (*one)(const struct pl_each *e, int64_t i, pl_real *reals, blasint *ints);
} pl_each;
/* The first matrix that something is wrong with, and what: not 0. */
typedef struct {
  int64_t matrix, what;
} pl_trouble;
/* False with a message if there is no memory. Empty matrices are left alone. */
bool pl_each_matrix(const pl_each *e, int64_t count, pl_trouble *trouble);
/* "op: a (real[2,2]) ..." or "op: matrix 2 of a (real[3,2,2]) ..." */
bool pl_matrix_fail(const pl_args *c, int64_t matrix, const char *format, ...) PL_PRINTF(3, 4);
/* The message for what LAPACK cannot count. */
bool pl_too_large(const pl_args *c);

#endif
