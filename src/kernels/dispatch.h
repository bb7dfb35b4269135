/*
** dispatch.h: the kernels of the instruction set that was picked at start.
*/
#ifndef PERILUNE_DISPATCH_H
#define PERILUNE_DISPATCH_H

#include "math/math.h"

typedef struct {
  const char *name;
  const pl_math_kernels *math;
  const pl_conv_kernels *conv;
  const pl_conv_kernels *few; /* the same for what would not fill wide vectors */
  const pl_panel_kernels *panels;
  const pl_gemm_kernels *gemm;
} pl_kernels;

const pl_kernels *pl_kernels_now(void);
#define PL_MATH   (pl_kernels_now()->math)
#define PL_CONV   (pl_kernels_now()->conv)
#define PL_PANELS (pl_kernels_now()->panels)
#define PL_GEMM   (pl_kernels_now()->gemm)

/* For a result of so many channels, the gradient of weights of so many, or pooling of rows of so
 * many numbers. */
#define PL_CONV_OF(channels) \
  ((channels) <= 64 / (int)sizeof(pl_real) ? pl_kernels_now()->few : PL_CONV)

#endif
