/*
** epilogue.h: what a kernel does to a value on its way out, and its derivative on the way back, to
** a gradient before a kernel reads it (a gradient prologue). Convolutions, products, batch norm and
** the loops over rows all do it here.
**
**   epilogue   y = act(value + bias)     act(v)  = v < 0 ? slope v : v
**   prologue   g = act'(y) g             act'(y) = y > 0 ? 1 : slope
**
** A slope of 1 is no activation, 0 ReLU, another leaky ReLU (Maas, Hannun and Ng 2013). Their
** derivative is a matter of the result's sign, so nothing else need be kept and nothing is read or
** written twice. Other activations are a pass of their own after the kernel.
**
** A slope of 0 is a case of its own, for 0 times infinity is NaN.
*/
#ifndef PERILUNE_EPILOGUE_H
#define PERILUNE_EPILOGUE_H

#include "perilune.h"

/* Windows of pooling, over images of h x w; planes = n * c. */
typedef struct {
  int64_t planes, h, w, oh, ow;
  int64_t size[2], stride[2], pad[2];
} pl_pool;

/*
** bias: of the channels or columns, NULL for none. pool: of each of its windows over the result
** the maximum is kept, and in `argmax` where it was, from 1 in its plane (NULL: none; products have
** none).
*/
typedef struct {
  const pl_real *bias;
  pl_real slope;
  const pl_pool *pool;
  int32_t *argmax;
} pl_epilogue;

/* y: the result, NULL where there was no activation; g and y are those after pooling. */
typedef struct {
  const pl_real *g, *y;
  pl_real slope;
  const pl_pool *pool;
  const int32_t *argmax;
} pl_prologue;

/* The rest is for files that are compiled per instruction set. */
#ifdef PL_ISA
#include "simd.h"

INLINE pl_real activate_one(pl_real v, pl_real slope) {
  return slope == 1 || !(v < 0) ? v : slope == 0 ? 0 : v * slope;
}
INLINE vec activate(vec v, pl_real slope) {
  if (slope == 1) return v;
  return select_by(v < 0, slope == 0 ? (vec){0} : v * slope, v);
}

/* act'(y) g, where y is the result or the pre-activation: both have the same sign. */
INLINE pl_real mask_one(pl_real y, pl_real g, pl_real slope) {
  return y > 0 ? g : slope == 0 ? 0 : slope * g;
}
INLINE vec mask(vec y, vec g, pl_real slope) {
  return select_by(y > 0, g, slope == 0 ? (vec){0} : g * slope);
}

/* An array as a kernel reads it: a gradient through its prologue, or with y = NULL anything. */
typedef struct {
  const pl_real *g, *y;
  pl_real slope;
} masked;

INLINE masked unmasked(const pl_real *x) { return (masked){x, NULL, 1}; }
INLINE masked masked_of(const pl_prologue *p) { return (masked){p->g, p->y, p->slope}; }
INLINE masked masked_at(const masked *m, int64_t at) {
  return (masked){m->g + at, m->y ? m->y + at : NULL, m->slope};
}
INLINE vec masked_load(const masked *m, int64_t at) {
  const vec g = load(m->g + at);
  return m->y ? mask(load(m->y + at), g, m->slope) : g;
}
INLINE pl_real masked_one(const masked *m, int64_t at) {
  return m->y ? mask_one(m->y[at], m->g[at], m->slope) : m->g[at];
}

#endif
#endif
