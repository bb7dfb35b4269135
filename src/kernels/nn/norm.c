/*
** norm.c: rows of a layer or instance normalisation (Ba, Kiros and Hinton 2016), and the epilogue
** as a pass of its own, for products that OpenBLAS has made.
**
**   row x   | x0 x1 ... xn |   y = (x - mean) / deviation, then w y + b, element by element
*/
#include "../kernels.h"

static void scale_shift(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real about,
                        pl_real scale, pl_real shift) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale + shift;
}

/* `slope` is a constant where this is expanded for ReLU. */
INLINE void bias_act_by(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict bias,
                        pl_real slope) {
  if (bias)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = activate_one(y[i] + bias[i], slope);
  else
    for (ptrdiff_t i = 0; i < n; i++) y[i] = activate_one(y[i], slope);
}

static void bias_act(ptrdiff_t rows, ptrdiff_t n, pl_real *restrict y, ptrdiff_t ld,
                     const pl_real *restrict bias, pl_real slope) {
  for (ptrdiff_t r = 0; r < rows; r++, y += ld)
    if (slope == 0) bias_act_by(n, y, bias, 0);
    else if (slope == 1) bias_act_by(n, y, bias, 1);
    else bias_act_by(n, y, bias, slope);
}

static void normalize(ptrdiff_t n, pl_real *restrict y, const pl_real *restrict x, pl_real about,
                      pl_real scale, const pl_real *restrict w, const pl_real *restrict b) {
  if (w && b)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale * w[i] + b[i];
  else if (w)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale * w[i];
  else if (b)
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale + b[i];
  else
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (x[i] - about) * scale;
}

static void blend(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict x,
                  const pl_real *restrict y, pl_real about, pl_real a, pl_real b, pl_real c) {
  for (ptrdiff_t i = 0; i < n; i++) out[i] = a * x[i] + b * (y[i] - about) + c;
}

const pl_norm_kernels PL_ISA_NAME(pl_norm_kernels) = {
    .scale_shift = scale_shift, .normalize = normalize, .bias_act = bias_act, .blend = blend};
