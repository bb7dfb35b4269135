/*
** softmax.c: rows of a softmax, with the maximum subtracted so that nothing overflows, and binary
** cross-entropy of logits.
**
**   row x   | x0 x1 ... xn |   maximum m,  y = exp(x - m),  sum s
**           softmax = y / s,  log softmax = x - m - log s
*/
#include "../kernels.h"
#include "../math/reduce.h"
#include "../math/scalar.h"

REDUCTION(sum, (ptrdiff_t n, const pl_real *restrict x), x[k])

/* The largest value that is not NaN; NaN comes through the exponential that follows. */
static pl_real row_max(ptrdiff_t n, const pl_real *x) {
  pl_real lane[SUM_LANES];
  ptrdiff_t i = 0;
  for (int j = 0; j < SUM_LANES; j++) lane[j] = -(pl_real)INFINITY;
  for (; i + SUM_LANES <= n; i += SUM_LANES)
    for (int j = 0; j < SUM_LANES; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  pl_real m = lane[0];
  for (int j = 1; j < SUM_LANES; j++) m = lane[j] > m ? lane[j] : m;
  for (; i < n; i++) m = x[i] > m ? x[i] : m;
  return m;
}

/* y = exp(x - max); returns their sum. A row of -inf has max 0 subtracted. */
static double row_exp(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real *max) {
  pl_real m = row_max(n, x);
  if (m == -(pl_real)INFINITY) m = 0;
  for (ptrdiff_t i = 0; i < n; i++) y[i] = PL_EXP(x[i] - m);
  *max = m;
  return sum(n, y);
}

/* exp of what lies SUM_BLOCK by SUM_BLOCK in the cache only, so a long row is read and never
 * written. */
static double log_sum(ptrdiff_t n, const pl_real *restrict x, pl_real *max) {
  pl_real m = row_max(n, x), e[SUM_BLOCK];
  double total = 0;
  if (m == -(pl_real)INFINITY) m = 0;
  for (ptrdiff_t start = 0; start < n; start += SUM_BLOCK) {
    ptrdiff_t k = n - start < SUM_BLOCK ? n - start : SUM_BLOCK;
    for (ptrdiff_t i = 0; i < k; i++) e[i] = PL_EXP(x[start + i] - m);
    total += sum(k, e);
  }
  *max = m;
  return log(total);
}

static void exp_shift(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real shift,
                      pl_real scale, pl_real plus) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = scale * PL_EXP(x[i] + shift) + plus;
}

static pl_real log_softmax(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x) {
  pl_real m;
  pl_real log_sum = (pl_real)log(row_exp(n, y, x, &m));
  for (ptrdiff_t i = 0; i < n; i++) y[i] = x[i] - m - log_sum;
  return m + log_sum;
}

static void softmax(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x) {
  pl_real m;
  pl_real scale = (pl_real)(1 / row_exp(n, y, x, &m));
  for (ptrdiff_t i = 0; i < n; i++) y[i] *= scale;
}

/*
** Binary cross-entropy of a logit
*/

static inline pl_real bce_term(pl_real x, pl_real y) {
  return (x < 0 ? 0 : x) - x * y + PL_SOFTPLUS(x < 0 ? x : -x);
}

REDUCTION(bce_sum, (ptrdiff_t n, const pl_real *restrict x, const pl_real *restrict y),
          bce_term(x[k], y[k]))

static void bce(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict x,
                const pl_real *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) out[i] = bce_term(x[i], y[i]);
}

static void bce_grad(ptrdiff_t n, pl_real *restrict gx, const pl_real *restrict x,
                     const pl_real *restrict y, pl_real g) {
  for (ptrdiff_t i = 0; i < n; i++) gx[i] = g * (PL_SIGMOID(x[i]) - y[i]);
}

const pl_softmax_kernels PL_ISA_NAME(pl_softmax_kernels) = {.log_sum = log_sum,
                                                            .exp_shift = exp_shift,
                                                            .log_softmax = log_softmax,
                                                            .softmax = softmax,
                                                            .bce = bce,
                                                            .bce_sum = bce_sum,
                                                            .bce_grad = bce_grad};
