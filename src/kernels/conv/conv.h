/*
** conv.h: two-dimensional convolution, its adjoint and its gradients. Several algorithms compute
** them (direct, Winograd, sparse); algorithm.c picks one for each call.
*/
#ifndef PERILUNE_CONV_H
#define PERILUNE_CONV_H

#include "../epilogue.h"

/* The geometry. Arrays are contiguous: x [n,c,h,w], w [k,c,r,s], y [n,k,oh,ow]. */
typedef struct {
  int64_t n, c, h, w; /* input */
  int64_t k, r, s;    /* output channels, window */
  int64_t oh, ow;     /* output: (h + 2 pad - dil (r - 1) - 1) / stride + 1 */
  int64_t stride[2], pad[2], dil[2];
} pl_conv;

/*
** What an algorithm computes. False: no memory, with the error slot set. All run their own OpenMP
** threads; an element is summed in the same order on any number of them.
*/
typedef struct {
  /* y = epilogue(conv(x, w)) */
  bool (*forward)(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                  pl_real *y);
  /*
  ** y = epilogue(adjoint(x, w)): x is as large as conv's result (at least 1 x 1), y as conv's
  ** images, and the bias has an element for each of their channels
  */
  bool (*transpose)(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                    pl_real *y);
  /* With g = prologue(back): gx = d<g, conv(x, w)>/dx */
  bool (*input_grad)(const pl_conv *p, const pl_prologue *back, const pl_real *w, pl_real *gx);
  /* gw = d<g, conv(x, w)>/dw; gbias = sum of g over n, oh, ow (may be NULL) */
  bool (*weight_grad)(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                      pl_real *gbias);
} pl_conv_kernels;

/* The same by the algorithm that is expected to be the fastest. */
bool pl_conv_forward(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                     pl_real *y);
bool pl_conv_transpose(const pl_conv *p, const pl_real *x, const pl_real *w, const pl_epilogue *e,
                       pl_real *y);
bool pl_conv_input_grad(const pl_conv *p, const pl_prologue *back, const pl_real *w, pl_real *gx);
bool pl_conv_weight_grad(const pl_conv *p, const pl_real *x, const pl_prologue *back, pl_real *gw,
                         pl_real *gbias);

/* Whether an algorithm can compute it, with vectors of `lanes` elements. */
bool pl_conv_winograd_possible(const pl_conv *p, int lanes);
bool pl_conv_sparse_input_possible(const pl_conv *p, const pl_pool *pool, int lanes);
bool pl_conv_sparse_weight_possible(const pl_conv *p, const pl_pool *pool, int lanes);

#endif
