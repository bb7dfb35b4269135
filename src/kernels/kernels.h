/*
** kernels.h: the table of the hot loops. The files in this folder are compiled once per
** instruction set, each time with PL_ISA set to a suffix (generic, avx2, avx512), and
** each compilation exports one table; src/kernels/dispatch.c picks one at start.
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

/*
** What is done with a convolution's result: a bias is added (NULL: none), the activation is
** taken, slope being that of leaky ReLU, and of each window of `pool`, which covers planes of
** that size (NULL: none), the largest number is kept, and where it was.
*/
typedef struct {
  const pl_real *bias;
  pl_activation act;
  pl_real slope;
  const pl_pool *pool;
  int32_t *at;
} pl_conv_end;

/*
** What flows back through all that: act'(y) * g where y, the result, is not NULL, which is g for
** y > 0, else slope * g; g and y are those after pooling.
*/
typedef struct {
  const pl_real *g, *y;
  pl_real slope;
  const pl_pool *pool;
  const int32_t *at;
} pl_conv_back;

/* A channel of a batch: n runs of `inner` numbers, `step` apart. */
typedef struct {
  int64_t n, inner, step;
} pl_channel;

/*
** What flows back to act(x scale + shift), and x, with which it is summed. An activation multiplies
** what is below zero by slope (1: there is none). The runs of g are g_step apart; where `at` is not
** NULL, they have `winners` numbers, which belong to those places of a run of x, from 1, and y,
** laid out like g, is what the activation made of these places.
*/
typedef struct {
  const pl_real *g, *x, *y;
  const int32_t *at;
  int64_t winners, g_step;
  pl_real scale, shift, slope, mean;
} pl_channel_back;

/* false: no memory, with the error slot set. Convolutions run their own OpenMP threads. */
typedef struct {
  /* y = end(conv(x, w)) */
  bool (*conv_forward)(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_conv_end *end,
                       pl_real *y);
  /*
  ** y = end(back(x, w)), back being the adjoint of conv: x is as large as conv's result (at
  ** least 1 x 1), y as conv's images, and the bias has a number for each of their channels
  */
  bool (*conv_transpose)(const pl_conv *p, const pl_real *x, const pl_real *w,
                         const pl_conv_end *end, pl_real *y);
  /* With g for what flows back: gx = d<g, conv(x, w)>/dx */
  bool (*conv_input_grad)(const pl_conv *p, const pl_conv_back *back, const pl_real *w,
                          pl_real *gx);
  /* gw = d<g, conv(x, w)>/dw; gbias = sum of g over n, oh, ow (may be NULL) */
  bool (*conv_weight_grad)(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                           pl_real *gw, pl_real *gbias);
  /* Both through pooling, from the winners of its windows alone, and whether that is faster. */
  bool (*winners_input_grad)(const pl_conv *p, const pl_conv_back *back, const pl_real *w,
                             pl_real *gx);
  bool (*winners_weight_grad)(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                              pl_real *gw, pl_real *gbias);
  bool (*winners_suit_input)(const pl_conv *p, const pl_pool *pool);
  bool (*winners_suit_weight)(const pl_conv *p, const pl_pool *pool);
  /* All of them with fewer products, where a stride and a window allow it, and if that is faster.
   */
  bool (*minimal_forward)(const pl_conv *p, const pl_real *x, const pl_real *w,
                          const pl_conv_end *end, pl_real *y);
  bool (*minimal_transpose)(const pl_conv *p, const pl_real *x, const pl_real *w,
                            const pl_conv_end *end, pl_real *y);
  bool (*minimal_input_grad)(const pl_conv *p, const pl_conv_back *back, const pl_real *w,
                             pl_real *gx);
  bool (*minimal_weight_grad)(const pl_conv *p, const pl_real *x, const pl_conv_back *back,
                              pl_real *gw, pl_real *gbias);
  bool (*minimal_possible)(const pl_conv *p);
  bool (*minimal_suits)(const pl_conv *p);
  /*
  ** Of so many planes, on the calling thread: y = max over each window, at = position of it in
  ** its plane, from 1 (first wins; NaN wins)
  */
  void (*max_pool)(const pl_pool *p, int64_t planes, const pl_real *x, pl_real *y, int32_t *at);
  /* gx = 0, then gx[plane, at] += g */
  void (*max_pool_grad)(const pl_pool *p, int64_t planes, const pl_real *g, const int32_t *at,
                        pl_real *gx);
  /* y = mean over each window, the padding counted as zeros; and its adjoint */
  void (*avg_pool)(const pl_pool *p, const pl_real *x, pl_real *y);
  void (*avg_pool_grad)(const pl_pool *p, const pl_real *g, pl_real *gx);
  /* Of one channel, on the calling thread: the sum of x, and of (x - about)^2 */
  double (*channel_sum)(pl_channel c, const pl_real *x);
  double (*channel_squares)(pl_channel c, const pl_real *x, pl_real about);
  /* y = act(x scale + shift), whose runs are y_step apart */
  void (*channel_scale)(pl_channel c, const pl_real *x, pl_real scale, pl_real shift, pl_real slope,
                        pl_real *y, int64_t y_step);
  /* with g' for g through the activation: the sum of g', and of g' (x - mean) */
  void (*channel_dots)(pl_channel c, const pl_channel_back *b, double *sum, double *dot);
  /* gx = a g' + b x + d */
  void (*channel_blend)(pl_channel c, const pl_channel_back *b, pl_real by_g, pl_real by_x,
                        pl_real plus, pl_real *gx);
} pl_conv_kernels;

/* What is done with a product at last: the bias of its columns is added (NULL: none), then what is
 * below zero is multiplied by slope (1: it stays). */
typedef struct {
  const pl_real *bias;
  pl_real slope;
} pl_finish;

/*
** c[m,n] = a[m,k] b[k,n] + (accumulate ? c : 0), then finished (NULL: as it is); lda etc. in
** elements; ta: a is stored [k,m], tb: b is stored [n,k]. Of a transposed a the sums of its rows
** over k may be asked for too.
*/
typedef struct {
  int64_t m, n, k;
  const pl_real *a, *b;
  pl_real *c;
  int64_t lda, ldb, ldc;
  bool ta, tb, accumulate;
  const pl_finish *finish;
  pl_real *sums; /* [m], or NULL */
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
