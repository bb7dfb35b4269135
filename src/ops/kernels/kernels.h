/*
** kernels.h: the table of the hot loops. The files in this folder are compiled once per
** instruction set, each time with PL_ISA set to a suffix (generic, avx2, avx512), and
** each compilation exports one table; src/ops/dispatch.c picks one at start.
*/
#ifndef PERILUNE_KERNELS_H
#define PERILUNE_KERNELS_H

#include "perilune.h"

#define PL_PASTE2(a, b) a##b
#define PL_PASTE(a, b)  PL_PASTE2(a, b)
#define PL_ISA_NAME(x)  PL_PASTE(x##_, PL_ISA)

/* A two-dimensional convolution. Arrays are contiguous: x [n,c,h,w], w [k,c,r,s], y [n,k,oh,ow]. */
typedef struct {
  int64_t n, c, h, w; /* input */
  int64_t k, r, s;    /* output channels, window */
  int64_t oh, ow;     /* output: (h + 2 pad - dil (r - 1) - 1) / stride + 1 */
  int64_t stride[2], pad[2], dil[2];
} pl_conv;

/* Windows of pooling, over images of h x w; planes = n * c. */
typedef struct {
  int64_t planes, h, w, oh, ow;
  int64_t size[2], stride[2], pad[2];
} pl_pool;

/* false: no memory, with the error slot set. Each runs its own OpenMP threads. */
typedef struct {
  /* y = act(conv(x, w) + bias); bias may be NULL; slope for leaky ReLU */
  bool (*conv_forward)(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_real *bias,
                       pl_activation act, pl_real slope, pl_real *y);
  /*
  ** y = act(back(x, w) + bias), back being the adjoint of conv: x is as large as conv's result
  ** (at least 1 x 1), y as conv's images, and the bias has a number for each of their channels
  */
  bool (*conv_transpose)(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_real *bias,
                         pl_activation act, pl_real slope, pl_real *y);
  /*
  ** In both gradients g stands for act'(y) * g where y, the result of an activation, is not
  ** NULL: for y > 0 it is g, else slope * g.
  ** gx = d<g, conv(x, w)>/dx
  */
  bool (*conv_input_grad)(const pl_conv *p, const pl_real *g, const pl_real *y, pl_real slope,
                          const pl_real *w, pl_real *gx);
  /* gw = d<g, conv(x, w)>/dw; gbias = sum of g over n, oh, ow (may be NULL) */
  bool (*conv_weight_grad)(const pl_conv *p, const pl_real *x, const pl_real *g, const pl_real *y,
                           pl_real slope, pl_real *gw, pl_real *gbias);
  /* y = max over each window, at = position of it in its plane, from 1 (first wins; NaN wins) */
  void (*max_pool)(const pl_pool *p, const pl_real *x, pl_real *y, int32_t *at);
  /* gx = 0, then gx[plane, at] += g */
  void (*max_pool_grad)(const pl_pool *p, const pl_real *g, const int32_t *at, pl_real *gx);
  /* y = mean over each window, the padding counted as zeros; and its adjoint */
  void (*avg_pool)(const pl_pool *p, const pl_real *x, pl_real *y);
  void (*avg_pool_grad)(const pl_pool *p, const pl_real *g, pl_real *gx);
} pl_conv_kernels;

/* What is done with a product at last: the bias of its columns is added (NULL: none), then what is
 * below zero is multiplied by slope (1: it stays). */
typedef struct {
  const pl_real *bias;
  pl_real slope;
} pl_finish;

/*
** c[m,n] = a[m,k] b[k,n] + (accumulate ? c : 0), then finished (NULL: as it is); lda etc. in
** elements; ta: a is stored [k,m], tb: b is stored [n,k].
*/
typedef struct {
  int64_t m, n, k;
  const pl_real *a, *b;
  pl_real *c;
  int64_t lda, ldb, ldc;
  bool ta, tb, accumulate;
  const pl_finish *finish;
} pl_gemm_job;

typedef struct {
  /* On so many threads. False: no memory, with the error slot set. NULL: there is no kernel. */
  bool (*product)(const pl_gemm_job *job, int threads);
} pl_gemm_kernels;

/* Products with a matrix b [k,n] that is packed once. */
typedef struct {
  /* how many numbers b takes when it is packed */
  int64_t (*size)(int64_t k, int64_t n);
  /* packs b, stored as [k,ldb] or, transposed, as [n,ldb]; may run its own threads */
  void (*pack)(int64_t k, int64_t n, const pl_real *b, int64_t ldb, bool transposed,
               pl_real *panels);
  /* c [m,n] = a [m,k] b + (accumulate ? c : 0), on the calling thread */
  void (*product)(int64_t m, int64_t n, int64_t k, const pl_real *a, int64_t lda,
                  const pl_real *panels, bool accumulate, pl_real *c, int64_t ldc);
} pl_panel_kernels;

extern const pl_gemm_kernels pl_gemm_kernels_generic, pl_gemm_kernels_avx2, pl_gemm_kernels_avx512;
extern const pl_panel_kernels pl_panel_kernels_generic, pl_panel_kernels_avx2,
    pl_panel_kernels_avx512;
extern const pl_conv_kernels pl_conv_kernels_generic, pl_conv_kernels_avx2, pl_conv_kernels_avx512;

#endif
