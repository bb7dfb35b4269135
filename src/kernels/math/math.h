/*
** math.h: the tables of loops over memory: elementwise families, and reductions.
*/
#ifndef PERILUNE_MATH_KERNELS_H
#define PERILUNE_MATH_KERNELS_H

#include "perilune.h"

/* y[i] = f(x[i * sx]) */
typedef void pl_unary_kernel(ptrdiff_t n, pl_real *y, const pl_real *x, ptrdiff_t sx, pl_real p,
                             pl_real q);
/* gx[i] = derivative * g[i]; all contiguous */
typedef void pl_unary_grad_kernel(ptrdiff_t n, pl_real *gx, const pl_real *g, const pl_real *x,
                                  const pl_real *y, pl_real p, pl_real q);
/* y[i] = f(a[i * sa], b[i * sb]) */
typedef void pl_binary_kernel(ptrdiff_t n, pl_real *y, const pl_real *a, ptrdiff_t sa,
                              const pl_real *b, ptrdiff_t sb, pl_real p);
typedef void pl_binary_grad_kernel(ptrdiff_t n, pl_real *out, const pl_real *g, const pl_real *a,
                                   const pl_real *b, const pl_real *y, pl_real p);

/* y[i] = f(a[i * sa], b[i * sb]), or of a alone; false if some result does not fit */
typedef bool pl_integer_kernel(ptrdiff_t n, int32_t *y, const int32_t *a, ptrdiff_t sa,
                               const int32_t *b, ptrdiff_t sb, int64_t p, int64_t q);

/* elementwise.c: a row's kernels are `name`, name_grad or name_grad_a and name_grad_b, and
 * name_integer where it counts exactly. */
typedef struct {
#define UNARY(group, name, ...) \
  pl_unary_kernel *name;        \
  pl_unary_grad_kernel *name##_grad;
#define STEP(group, name, ...) pl_unary_kernel *name;
#define BINARY(group, name, ...) \
  pl_binary_kernel *name;        \
  pl_binary_grad_kernel *name##_grad_a, *name##_grad_b;
#define HALF(group, name, ...) \
  pl_binary_kernel *name;      \
  pl_binary_grad_kernel *name##_grad_a;
#define LINEAR(group, name, ...) pl_binary_kernel *name;
#define STEP_2                   LINEAR
#define EXACT(f, kind, group, name, ...) \
  kind(group, name, __VA_ARGS__) pl_integer_kernel *name##_integer;
#include "elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef BINARY
#undef HALF
#undef LINEAR
} pl_math_kernels;

/* reduce.c */
typedef struct {
  /* The sum of n elements, and of their squares, in fixed blocks of double precision. */
  double (*sum)(ptrdiff_t n, const pl_real *x);
  double (*sum_squares)(ptrdiff_t n, const pl_real *x);
  /* the sum of (x - about)^2, of x (y - about) */
  double (*sum_squares_about)(ptrdiff_t n, const pl_real *x, pl_real about);
  double (*dot_about)(ptrdiff_t n, const pl_real *x, const pl_real *y, pl_real about);
  /* y[i] += x[i] */
  void (*accumulate)(ptrdiff_t n, pl_real *y, const pl_real *x);
  /* y[i] += x[i] (z[i] - about) scale */
  void (*accumulate_about)(ptrdiff_t n, pl_real *y, const pl_real *x, const pl_real *z,
                           pl_real about, pl_real scale);
} pl_reduce_kernels;

#endif
