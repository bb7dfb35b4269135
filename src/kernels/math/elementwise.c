/*
** elementwise.c: the loops of the elementwise families, which the compiler vectorises: one for each
** row of elementwise.def, and one for each derivative.
**
**   y[i] = f(x[i step])     steps of 1 have loops of their own, and of 0 where there are two inputs
*/
#include "../kernels.h"
#include "scalar.h"

#define FORWARD_1(name, f)                                                                         \
  static void name(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict in, ptrdiff_t step, \
                   pl_real p, pl_real q) {                                                         \
    (void)p, (void)q;                                                                              \
    if (step == 1) {                                                                               \
      for (ptrdiff_t i = 0; i < n; i++) {                                                          \
        const pl_real x = in[i];                                                                   \
        out[i] = (f);                                                                              \
      }                                                                                            \
    } else {                                                                                       \
      for (ptrdiff_t i = 0; i < n; i++) {                                                          \
        const pl_real x = in[i * step];                                                            \
        out[i] = (f);                                                                              \
      }                                                                                            \
    }                                                                                              \
  }

#define STEP(group, name, attrs, samples, doc, onnx, f) FORWARD_1(k_##name, f)
#define UNARY(group, name, unsaved, attrs, samples, doc, onnx, f, df, ops)                       \
  FORWARD_1(k_##name, f)                                                                         \
  static void k_##name##_grad(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict gs,    \
                              const pl_real *restrict xs, const pl_real *restrict ys, pl_real p, \
                              pl_real q) {                                                       \
    (void)p, (void)q;                                                                            \
    for (ptrdiff_t i = 0; i < n; i++) {                                                          \
      const pl_real g = gs[i], x = xs[i], y = ys[i];                                             \
      (void)x, (void)y;                                                                          \
      out[i] = (df);                                                                             \
    }                                                                                            \
  }

#define LOOP_2(ai, bi, f)                 \
  for (ptrdiff_t i = 0; i < n; i++) {     \
    const pl_real a = as[ai], b = bs[bi]; \
    out[i] = (f);                         \
  }
#define FORWARD_2(name, f)                                                                       \
  static void name(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict as, ptrdiff_t sa, \
                   const pl_real *restrict bs, ptrdiff_t sb, pl_real p) {                        \
    (void)p;                                                                                     \
    if (sa == 1 && sb == 1) {                                                                    \
      LOOP_2(i, i, f)                                                                            \
    } else if (sa == 1 && sb == 0) {                                                             \
      LOOP_2(i, 0, f)                                                                            \
    } else if (sa == 0 && sb == 1) {                                                             \
      LOOP_2(0, i, f)                                                                            \
    } else {                                                                                     \
      LOOP_2(i *sa, i *sb, f)                                                                    \
    }                                                                                            \
  }
#define BACKWARD_2(name, df)                                                       \
  static void name(ptrdiff_t n, pl_real *restrict out, const pl_real *restrict gs, \
                   const pl_real *restrict as, const pl_real *restrict bs,         \
                   const pl_real *restrict ys, pl_real p) {                        \
    (void)p;                                                                       \
    for (ptrdiff_t i = 0; i < n; i++) {                                            \
      const pl_real g = gs[i], a = as[i], b = bs[i], y = ys[i];                    \
      (void)g, (void)a, (void)b, (void)y;                                          \
      out[i] = (df);                                                               \
    }                                                                              \
  }
#define LINEAR(group, name, samples, doc, onnx, f, ga_ops, gb_ops) FORWARD_2(k_##name, f)
#define BINARY(group, name, unsaved, attrs, samples, doc, onnx, f, ga, gb, ga_ops, gb_ops) \
  FORWARD_2(k_##name, f)                                                                   \
  BACKWARD_2(k_##name##_grad_a, ga)                                                        \
  BACKWARD_2(k_##name##_grad_b, gb)
#define HALF(group, name, unsaved, attrs, samples, doc, onnx, f, ga, ga_ops) \
  FORWARD_2(k_##name, f)                                                     \
  BACKWARD_2(k_##name##_grad_a, ga)

/* Whether all results fit is found without a branch, so that the loop is vectorised. */
#define LOOP_INTEGER(ai, bi, f)           \
  for (ptrdiff_t i = 0; i < n; i++) {     \
    const int64_t a = as[ai], b = bs[bi]; \
    const int64_t x = a, wide = (f);      \
    const int32_t narrow = (int32_t)wide; \
    (void)b, (void)x;                     \
    out[i] = narrow;                      \
    lost |= wide ^ narrow;                \
  }
#define EXACT(f, kind, group, name, ...)                                                         \
  static bool k_##name##_integer(ptrdiff_t n, int32_t *restrict out, const int32_t *restrict as, \
                                 ptrdiff_t sa, const int32_t *restrict bs, ptrdiff_t sb,         \
                                 int64_t p, int64_t q) {                                         \
    int64_t lost = 0;                                                                            \
    (void)p, (void)q;                                                                            \
    if (sa == 1 && sb == 1) {                                                                    \
      LOOP_INTEGER(i, i, f)                                                                      \
    } else if (sa == 1 && sb == 0) {                                                             \
      LOOP_INTEGER(i, 0, f)                                                                      \
    } else {                                                                                     \
      LOOP_INTEGER(i *sa, i *sb, f)                                                              \
    }                                                                                            \
    return lost == 0;                                                                            \
  }                                                                                              \
  kind(group, name, __VA_ARGS__)
#define STEP_2(group, name, samples, doc, onnx, f) FORWARD_2(k_##name, f)
#include "elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef BINARY
#undef HALF
#undef LINEAR

const pl_math_kernels PL_ISA_NAME(pl_math_kernels) = {
#define UNARY(group, name, ...) .name = k_##name, .name##_grad = k_##name##_grad,
#define STEP(group, name, ...)  .name = k_##name,
#define BINARY(group, name, ...) \
  .name = k_##name, .name##_grad_a = k_##name##_grad_a, .name##_grad_b = k_##name##_grad_b,
#define HALF(group, name, ...)   .name = k_##name, .name##_grad_a = k_##name##_grad_a,
#define LINEAR(group, name, ...) .name = k_##name,
#define STEP_2                   LINEAR
#define EXACT(f, kind, group, name, ...) \
  kind(group, name, __VA_ARGS__).name##_integer = k_##name##_integer,
#include "elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef BINARY
#undef HALF
#undef LINEAR
};
