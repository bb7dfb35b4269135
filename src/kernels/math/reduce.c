/*
** reduce.c: sums over memory, in the order that reduce.h explains, and sums into memory.
*/
#include "reduce.h"

#include "../kernels.h"

REDUCTION(sum, (ptrdiff_t n, const pl_real *restrict x), x[k])
REDUCTION(sum_squares, (ptrdiff_t n, const pl_real *restrict x), x[k] * x[k])
REDUCTION(sum_squares_about, (ptrdiff_t n, const pl_real *restrict x, pl_real about),
          (x[k] - about) * (x[k] - about))
REDUCTION(dot_about,
          (ptrdiff_t n, const pl_real *restrict x, const pl_real *restrict y, pl_real about),
          x[k] * (y[k] - about))

static void accumulate(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i];
}

static void accumulate_about(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x,
                             const pl_real *restrict z, pl_real about, pl_real scale) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i] * ((z[i] - about) * scale);
}

const pl_reduce_kernels PL_ISA_NAME(pl_reduce_kernels) = {.sum = sum,
                                                          .sum_squares = sum_squares,
                                                          .sum_squares_about = sum_squares_about,
                                                          .dot_about = dot_about,
                                                          .accumulate = accumulate,
                                                          .accumulate_about = accumulate_about};
