/*
** test_kernels.c: the kernels of every instruction set that this processor has, against
** the same formulas in double precision (a second expansion of elementwise.def), over odd
** lengths and strides; and the errors of the vector functions that vecmath.h states.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/dispatch.h"
#include "kernels/queue.h"
#include "passive.h"

/* The sets of kernels that this processor runs. */
static const pl_kernels *sets[4];
static int n_sets;

static void find_sets(void) {
  while ((sets[n_sets] = pl_kernels_at(n_sets))) n_sets++;
}

enum { MOST = 211 };
static const ptrdiff_t lengths[] = {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, MOST};
static const ptrdiff_t strides[][2] = {{1, 1}, {1, 0}, {0, 1}, {3, 2}, {2, -1}, {0, 0}};

static pl_real xs[4 * MOST], ys[4 * MOST], gs[4 * MOST], out[4 * MOST];

static void fill(pl_real *t, unsigned seed, double low, double high) {
  for (int i = 0; i < 4 * MOST; i++) {
    seed = seed * 1664525u + 1013904223u;
    t[i] = (pl_real)(low + (high - low) * (seed >> 8) / 16777216.0);
  }
}

static void check(const char *isa, const char *name, ptrdiff_t i, double got, double want) {
  double limit = 16 * (sizeof(pl_real) == 4 ? FLT_EPSILON : DBL_EPSILON);
  if (isnan(got) && isnan(want)) return;
  if (fabs(got - want) <= limit * fmax(1, fabs(want))) return;
  fail_msg("%s %s: element %td is %.9g, expected %.9g", isa, name, i, got, want);
}

/* The rows once more, in double precision. */
#define PL_LIBM(name) name
#include "kernels/math/libm.h"
#define PL_EXP                exp
#define PL_LOG                log
#define PL_LOG1P              log1p
#define PL_TANH               tanh
#define PL_ERF                erf
#define PL_EXPM1              expm1
#define PL_SIN                sin
#define PL_COS                cos
#define PL_POW                pow
#define PL_REMAINDER(a, b)    ((a) - (b)*floor((a) / (b)))
#define PL_FLOOR_DIVIDE(a, b) floor((a) / (b))
#define PL_PHI(x)             (erfc(-(x)*M_SQRT1_2) / 2)
#define PL_SIGMOID(x)         (1 / (1 + exp(-(x))))
#define PL_SOFTPLUS(x)        (((x) > 0 ? (x) : 0) + log1p(exp(-fabs(x))))

#define BODY_1(name, f)                                     \
  static double want_##name(double x, double p, double q) { \
    (void)p, (void)q;                                       \
    return (f);                                             \
  }
#define BODY_2(name, f)                                     \
  static double want_##name(double a, double b, double p) { \
    (void)p;                                                \
    return (f);                                             \
  }
#define UNARY(group, name, unsaved, attrs, samples, doc, onnx, f, df, ops)   \
  BODY_1(name, f)                                                            \
  static double want_##name##_grad(double g, double x, double p, double q) { \
    const double y = want_##name(x, p, q);                                   \
    (void)x, (void)y;                                                        \
    return (df);                                                             \
  }
#define STEP(group, name, attrs, samples, doc, onnx, f)    BODY_1(name, f)
#define STEP_2(group, name, samples, doc, onnx, f)         BODY_2(name, f)
#define LINEAR(group, name, samples, doc, onnx, f, ga, gb) BODY_2(name, f)
#define BODY_GRAD(name, d)                                                      \
  static double want_##name(double g, double a, double b, double y, double p) { \
    (void)y, (void)a, (void)b, (void)g, (void)p;                                \
    return (d);                                                                 \
  }
#define HALF(group, name, unsaved, attrs, samples, doc, onnx, f, ga, ga_ops) \
  BODY_2(name, f) BODY_GRAD(name##_a, ga)
#define BINARY(group, name, unsaved, attrs, samples, doc, onnx, f, ga, gb, ga_ops, gb_ops) \
  BODY_2(name, f) BODY_GRAD(name##_a, ga) BODY_GRAD(name##_b, gb)
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef LINEAR
#undef BINARY
#undef HALF

static const double P = 0.25, Q = 1.5;

typedef double want_1(double x, double p, double q);
typedef double want_2(double a, double b, double p);

static void try_1(const pl_kernels *s, const char *name, pl_unary_kernel *f, want_1 *want) {
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
    for (ptrdiff_t step = -1; step <= 2; step++) {
      const pl_real *x = xs + MOST;
      f(lengths[k], out, x, step, (pl_real)P, (pl_real)Q);
      for (ptrdiff_t i = 0; i < lengths[k]; i++)
        check(s->isa, name, i, (double)out[i], want((double)x[i * step], P, Q));
    }
}

static void try_2(const pl_kernels *s, const char *name, pl_binary_kernel *f, want_2 *want) {
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
    for (size_t j = 0; j < sizeof strides / sizeof *strides; j++) {
      const ptrdiff_t sa = strides[j][0], sb = strides[j][1];
      const pl_real *b = ys + MOST;
      f(lengths[k], out, xs, sa, b, sb, (pl_real)P);
      for (ptrdiff_t i = 0; i < lengths[k]; i++)
        check(s->isa, name, i, (double)out[i], want((double)xs[i * sa], (double)b[i * sb], P));
    }
}

static void test_elementwise(void **state) {
  (void)state;
  fill(xs, 1, 0.05, 3); /* pow and log want positive numbers */
  fill(ys, 2, -2, 2);
  for (int i = 0; i < n_sets; i++) {
    const pl_kernels *s = sets[i];
#define UNARY(group, name, ...)  try_1(s, #name, s->math->name, want_##name);
#define STEP(group, name, ...)   try_1(s, #name, s->math->name, want_##name);
#define STEP_2(group, name, ...) try_2(s, #name, s->math->name, want_##name);
#define LINEAR(group, name, ...) try_2(s, #name, s->math->name, want_##name);
#define BINARY(group, name, ...) try_2(s, #name, s->math->name, want_##name);
#define HALF(group, name, ...)   try_2(s, #name, s->math->name, want_##name);
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef LINEAR
#undef BINARY
#undef HALF
  }
}

typedef double want_grad_1(double g, double x, double p, double q);
typedef double want_grad_2(double g, double a, double b, double y, double p);

static void try_grad_1(const pl_kernels *s, const char *name, pl_unary_kernel *f,
                       pl_unary_grad_kernel *df, want_grad_1 *want) {
  pl_real y[MOST];
  f(MOST, y, xs, 1, (pl_real)P, (pl_real)Q);
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    df(lengths[k], out, gs, xs, y, (pl_real)P, (pl_real)Q);
    for (ptrdiff_t i = 0; i < lengths[k]; i++)
      check(s->isa, name, i, (double)out[i], want((double)gs[i], (double)xs[i], P, Q));
  }
}

static void try_grad_2(const pl_kernels *s, const char *name, pl_binary_kernel *f, want_2 *want,
                       pl_binary_grad_kernel *df, want_grad_2 *want_df) {
  pl_real y[MOST];
  f(MOST, y, xs, 1, ys, 1, (pl_real)P);
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    df(lengths[k], out, gs, xs, ys, y, (pl_real)P);
    for (ptrdiff_t i = 0; i < lengths[k]; i++) {
      double a = (double)xs[i], b = (double)ys[i];
      check(s->isa, name, i, (double)out[i], want_df((double)gs[i], a, b, want(a, b, P), P));
    }
  }
}

static void test_elementwise_gradients(void **state) {
  (void)state;
  fill(xs, 3, 0.05, 3);
  fill(ys, 4, 0.5, 2);
  fill(gs, 5, -1, 1);
  for (int i = 0; i < n_sets; i++) {
    const pl_kernels *s = sets[i];
#define UNARY(group, name, ...) \
  try_grad_1(s, #name, s->math->name, s->math->name##_grad, want_##name##_grad);
#define STEP(group, name, ...)
#define STEP_2(group, name, ...)
#define LINEAR(group, name, ...)
#define HALF(group, name, ...) \
  try_grad_2(s, #name, s->math->name, want_##name, s->math->name##_grad_a, want_##name##_a);
#define BINARY(group, name, ...) \
  HALF(group, name)              \
  try_grad_2(s, #name, s->math->name, want_##name, s->math->name##_grad_b, want_##name##_b);
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef LINEAR
#undef BINARY
#undef HALF
  }
}

static double logsumexp(const pl_softmax_kernels *rows, ptrdiff_t n, const pl_real *x) {
  pl_real max;
  const double log_sum = rows->log_sum(n, x, &max);
  return log_sum + (double)max;
}

static void test_reductions(void **state) {
  (void)state;
  enum { N = 9001 };
  pl_real *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z);
  for (int i = 0; i < N; i++) x[i] = (pl_real)sin(i), y[i] = (pl_real)cos(i * 0.7);
  for (int s = 0; s < n_sets; s++)
    for (ptrdiff_t n = 1; n <= N; n += n < 70 ? 1 : 1117) {
      const pl_reduce_kernels *m = sets[s]->reduce;
      const pl_softmax_kernels *rows = sets[s]->softmax;
      double sum = 0, squares = 0, about = 0, dot = 0, exps = 0, most = -INFINITY;
      for (ptrdiff_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        about += pow((double)x[i] - 0.5, 2);
        dot += (double)x[i] * ((double)y[i] - 0.5);
        exps += exp((double)x[i]);
        most = fmax(most, (double)x[i]);
      }
      check(sets[s]->isa, "sum", n, m->sum(n, x) / (double)n, sum / (double)n);
      check(sets[s]->isa, "sum_squares", n, m->sum_squares(n, x) / (double)n, squares / (double)n);
      check(sets[s]->isa, "sum_squares_about", n,
            m->sum_squares_about(n, x, (pl_real)0.5) / (double)n, about / (double)n);
      check(sets[s]->isa, "dot_about", n, m->dot_about(n, x, y, (pl_real)0.5) / (double)n,
            dot / (double)n);
      check(sets[s]->isa, "logsumexp", n, logsumexp(rows, n, x), log(exps));
      rows->log_softmax(n, z, x);
      check(sets[s]->isa, "log_softmax", n, (double)z[n - 1], (double)x[n - 1] - log(exps));
      rows->softmax(n, z, x);
      check(sets[s]->isa, "softmax", n, (double)z[n / 2], exp((double)x[n / 2]) / exps);
      rows->exp_shift(n, z, x, -1, 2, 3);
      check(sets[s]->isa, "exp_shift", n, (double)z[n - 1], 2 * exp((double)x[n - 1] - 1) + 3);
    }
  free(x), free(y), free(z);
}

/* Rows of a layer norm, and the gradient of its weight. */
static void test_rows_about(void **state) {
  (void)state;
  fill(xs, 6, -3, 3);
  fill(ys, 7, -2, 2);
  fill(gs, 8, -1, 1);
  for (int s = 0; s < n_sets; s++)
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
      const ptrdiff_t n = lengths[k];
      for (int with = 0; with < 4; with++) {
        const pl_real *w = with & 1 ? ys : NULL, *b = with & 2 ? gs : NULL;
        sets[s]->norm->normalize(n, out, xs, (pl_real)P, (pl_real)Q, w, b);
        for (ptrdiff_t i = 0; i < n; i++) {
          double want = ((double)xs[i] - P) * Q;
          if (w) want *= (double)w[i];
          if (b) want += (double)b[i];
          check(sets[s]->isa, "normalize", i, (double)out[i], want);
        }
      }
      memcpy(out, ys, (size_t)n * sizeof *out);
      sets[s]->reduce->accumulate_about(n, out, gs, xs, (pl_real)P, (pl_real)Q);
      for (ptrdiff_t i = 0; i < n; i++)
        check(sets[s]->isa, "accumulate_about", i, (double)out[i],
              (double)ys[i] + (double)gs[i] * ((double)xs[i] - P) * Q);
    }
}

/* Rows with infinities and NaN: nothing overflows, and NaN is never lost. */
static void test_extremes(void **state) {
  (void)state;
  const pl_real inf = (pl_real)INFINITY, nan = (pl_real)NAN;
  for (int s = 0; s < n_sets; s++) {
    const pl_math_kernels *m = sets[s]->math;
    const pl_softmax_kernels *rows = sets[s]->softmax;
    pl_real y[40], big[40], low[40];
    for (int i = 0; i < 40; i++) big[i] = 1000, low[i] = -inf;
    assert_true(fabs(logsumexp(rows, 40, big) - 1000 - log(40)) < 1e-3);
    assert_true(logsumexp(rows, 40, low) == -inf);
    big[3] = -inf;
    rows->softmax(40, y, big);
    assert_true(y[3] == 0 && fabs((double)y[0] - 1.0 / 39) < 1e-6);
    big[39] = nan;
    assert_true(isnan(logsumexp(rows, 40, big)));
    rows->softmax(40, y, big);
    assert_true(isnan(y[0]) && isnan(y[39]));
    pl_real in[] = {nan, inf, -inf, 0, -0.0f, 1e30f, -1e30f, 200, -200, -1};
    m->exp(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[2] == 0 && y[3] == 1 && y[4] == 1 && y[6] == 0);
    m->log(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && isnan(y[2]) && y[3] == -inf && isnan(y[6]));
    m->log1p(10, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && isnan(y[2]) && y[3] == 0 && y[9] == -inf);
    assert_true(y[4] == 0 && signbit(y[4]));
    m->tanh(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == 1 && y[2] == -1 && y[3] == 0 && y[7] == 1 && y[8] == -1);
    m->sigmoid(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == 1 && y[2] == 0 && y[3] == (pl_real)0.5 && y[6] == 0);
    m->softplus(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[2] == 0 && y[5] == (pl_real)1e30f && y[7] == 200);
    m->relu(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[2] == 0 && y[8] == 0);
    m->erf(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == 1 && y[2] == -1 && y[3] == 0 && signbit(y[4]) && y[6] == -1);
    m->sin(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 0 && !signbit(y[3]));
    assert_true(y[4] == 0 && signbit(y[4]) && y[6] == -y[5] && y[8] == -y[7]);
    m->cos(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && y[3] == 1 && y[4] == 1);
    assert_true(y[6] == y[5] && y[8] == y[7]);
    m->elu(9, y, in, 1, 1, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[2] == -1 && y[3] == 0 && y[6] == -1 && y[7] == 200);
    m->gelu(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[5] == (pl_real)1e30f && y[6] == 0 && y[8] == 0);
    m->silu(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[5] == (pl_real)1e30f && y[6] == 0 && y[7] == 200);
    pl_real bias[] = {0}, one[] = {-inf};
    sets[s]->norm->bias_act(1, 1, one, 1, bias, 0);
    assert_true(one[0] == 0);
    m->leaky_relu(9, y, in, 1, 0, 0);
    assert_true(isnan(y[0]) && y[1] == inf && y[2] == 0 && y[8] == 0);
    pl_real pairs[] = {1, -2, 9, -4, 3, 9}; /* of two, every three; no bias */
    sets[s]->norm->bias_act(2, 2, pairs, 3, NULL, 0);
    assert_true(pairs[0] == 1 && pairs[1] == 0 && pairs[2] == 9);
    assert_true(pairs[3] == 0 && pairs[4] == 3 && pairs[5] == 9);
  }
}

/* Every pair of numbers where a power has a case of its own, as C's pow. */
static void test_special_powers(void **state) {
  (void)state;
  const pl_real inf = INFINITY;
  const pl_real v[] = {
      0,       -0.0f,      1,           -1,           2,        -2,        3,           -3,
      0.5f,    -0.5f,      1.5f,        -1.5f,        1e30f,    -1e30f,    1e-30f,      -1e-30f,
      8388607, 8388609,    -8388609,    16777215,     16777216, -16777218, 3e38f,       1e-45f,
      -1e-45f, 8388607.5f, 0.99999994f, -0.99999994f, inf,      -inf,      (pl_real)NAN};
  enum { N = sizeof v / sizeof *v };
  for (int s = 0; s < n_sets; s++)
    for (int j = 0; j < N; j++) {
      pl_real y[N];
      sets[s]->math->pow(N, y, v, 1, &v[j], 0, 0);
      for (int i = 0; i < N; i++) {
        const pl_real want = (pl_real)pow((double)v[i], (double)v[j]);
        const pl_real near = fabs((double)want) * (sizeof(pl_real) == 4 ? FLT_EPSILON : 0);
        if (isnan(want)
                ? isnan(y[i])
                : (y[i] == want || fabs(y[i] - want) <= near) && !signbit(y[i]) == !signbit(want))
          continue;
        fail_msg("%s pow(%.9g, %.9g): %.9g, expected %.9g", sets[s]->isa, (double)v[i],
                 (double)v[j], (double)y[i], (double)want);
      }
    }
}

/* An element has the same bits alone as among others, wherever it is. */
static void test_positions(void **state) {
  (void)state;
  fill(xs, 6, -100, 100);
  fill(ys, 7, -3, 3);
  for (int s = 0; s < n_sets; s++) {
    const pl_math_kernels *m = sets[s]->math;
    pl_real all[MOST], one;
#define SAME(name, call_all, call_one)                                                            \
  call_all;                                                                                       \
  for (int i = 0; i < MOST; i++) {                                                                \
    call_one;                                                                                     \
    if (memcmp(&all[i], &one, sizeof one) && !(isnan(all[i]) && isnan(one)))                      \
      fail_msg("%s %s: %.9g alone is %.9g, %.9g among others", sets[s]->isa, name, (double)xs[i], \
               (double)one, (double)all[i]);                                                      \
  }
#define UNARY(group, name, ...) \
  SAME(#name, m->name(MOST, all, xs, 1, 1, 0), m->name(1, &one, xs + i, 1, 1, 0))
#define STEP(group, name, ...)
#define STEP_2(group, name, ...)
#define LINEAR(group, name, ...)
#define HALF(group, name, ...)
#define BINARY(group, name, ...) \
  SAME(#name, m->name(MOST, all, xs, 1, ys, 1, 1), m->name(1, &one, xs + i, 1, ys + i, 1, 1))
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef LINEAR
#undef HALF
#undef BINARY
#undef SAME
  }
}

#ifndef PL_REAL_IS_DOUBLE
/* In units of the last place of `scale`. */
static double ulps(float got, double want, double scale) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  float rounded = (float)want, of = (float)scale;
  if (got == rounded) return 0;
  if (isinf(rounded) || isinf(got)) return INFINITY;
  double unit = fabs((double)nextafterf(of, INFINITY) - (double)of);
  if (fabs(scale) < (double)FLT_MIN) unit = (double)FLT_MIN; /* subnormal results may become 0 */
  return fabs((double)got - want) / unit;
}

/* Every 9973rd float, by all sets; `at` says where in the table of a set the kernel is. `of_x`: the
 * limit is in ulp of x, not of the result. */
static void measure(const char *name, size_t at, want_1 *want, double limit, bool of_x) {
  enum { N = 4096 };
  static float x[N], y[N];
  static double expected[N];
  double worst[4] = {0}, worst_at[4] = {0};
  for (uint64_t bits = 0; bits < (uint64_t)1 << 32;) {
    for (int i = 0; i < N; i++, bits += 9973) {
      uint32_t b = (uint32_t)bits;
      memcpy(&x[i], &b, 4);
      expected[i] = want((double)x[i], 1, 0);
    }
    for (int s = 0; s < n_sets; s++) {
      pl_unary_kernel *f;
      memcpy(&f, (const char *)sets[s]->math + at, sizeof f);
      f(N, y, x, 1, 1, 0);
      for (int i = 0; i < N; i++) {
        double e = ulps(y[i], expected[i], of_x ? (double)x[i] : expected[i]);
        if (e > worst[s]) worst[s] = e, worst_at[s] = (double)x[i];
      }
    }
  }
  for (int s = 0; s < n_sets; s++) {
    print_message("%s %s: %.2f ulp at %.9g\n", sets[s]->isa, name, worst[s], worst_at[s]);
    if (!(worst[s] <= limit))
      fail_msg("%s %s: %.2f ulp at %.9g, stated %g", sets[s]->isa, name, worst[s], worst_at[s],
               limit);
  }
}

static void test_errors_of_functions(void **state) {
  (void)state;
#define MEASURE_BY(name, limit, of_x) \
  measure(#name, offsetof(pl_math_kernels, name), want_##name, limit, of_x)
#define MEASURE(name, limit) MEASURE_BY(name, limit, false)
  MEASURE(exp, 1);
  MEASURE(log, 1);
  MEASURE(log1p, 2);
  MEASURE(tanh, 2);
  MEASURE(sigmoid, 2);
  MEASURE(softplus, 2);
  MEASURE(erf, 2);
  MEASURE(elu, 2); /* expm1 */
  MEASURE(sin, 2);
  MEASURE(cos, 2);
  MEASURE_BY(gelu, 2, true);
  MEASURE_BY(silu, 2, true);
#undef MEASURE_BY
#undef MEASURE
}

/* Random x of all sizes to a power that gives 2^-150 to 2^130, and x near 1. */
static void test_errors_of_pow(void **state) {
  (void)state;
  enum { N = 1 << 16 };
  static float x[N], y[N], z[N];
  uint32_t seed = 8;
  for (int i = 0; i < N; i++) {
    seed = seed * 1664525u + 1013904223u;
    const uint32_t bits = i % 2 ? seed >> 1 : 0x3f800000u + (seed >> 12) - (1 << 19);
    memcpy(&x[i], &bits, 4);
    seed = seed * 1664525u + 1013904223u;
    y[i] = (float)(((seed >> 8) / 16777216.0 * 280 - 150) / log2((double)x[i]));
  }
  for (int s = 0; s < n_sets; s++) {
    double worst = 0;
    int at = 0;
    sets[s]->math->pow(N, z, x, 1, y, 1, 0);
    for (int i = 0; i < N; i++) {
      const double want = pow((double)x[i], (double)y[i]), e = ulps(z[i], want, want);
      if (e > worst) worst = e, at = i;
    }
    print_message("%s pow: %.2f ulp\n", sets[s]->isa, worst);
    if (!(worst <= 1))
      fail_msg("%s pow: %.2f ulp at %.9g, %.9g", sets[s]->isa, worst, (double)x[at], (double)y[at]);
  }
}
#endif

/* c + a b of odd sizes, b stored both ways, rows of a and c with a gap between them. */
static void check_product(const pl_kernels *s, int64_t m, int64_t n, int64_t k, bool transposed,
                          bool accumulate) {
  enum { GAP = 3 };
  pl_real a[14 * 43], b[73 * 43], c[14 * 73], packed[128 * 40];
  const int64_t lda = k + GAP, ldc = n + GAP, ldb = (transposed ? k : n) + GAP;
  assert_true(s->packed->size(k, n) <= (int64_t)(sizeof packed / sizeof *packed));
  for (int64_t i = 0; i < m * lda; i++) a[i] = (pl_real)(i * 7 % 11) / 8;
  for (int64_t i = 0; i < (transposed ? n : k) * ldb; i++) b[i] = (pl_real)(i * 5 % 13 - 6) / 8;
  for (int64_t i = 0; i < m * ldc; i++) c[i] = (pl_real)i;
  s->packed->pack(k, n, b, ldb, transposed, packed);
  s->packed->product(m, n, k, a, lda, packed, accumulate, c, ldc);
  for (int64_t i = 0; i < m * ldc; i++) {
    const int64_t row = i / ldc, column = i % ldc;
    double want = column < n && !accumulate ? 0 : (double)i;
    for (int64_t j = 0; column < n && j < k; j++)
      want += (double)a[row * lda + j] *
              (double)(transposed ? b[column * ldb + j] : b[j * ldb + column]);
    check(s->isa, "packed", i, (double)c[i], want);
  }
}

static void test_packed(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1},  {1, 16, 8},   {2, 15, 9}, {5, 17, 31}, {6, 32, 33},
                                     {7, 33, 1}, {13, 70, 40}, {0, 5, 3},  {3, 0, 2},   {3, 20, 0}};
  for (int s = 0; s < n_sets; s++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int ways = 0; ways < 4; ways++)
        check_product(sets[s], sizes[i][0], sizes[i][1], sizes[i][2], ways & 1, ways >> 1);
}

/*
** The product of one size, in double, and its operands for every layout. The elements are multiples
** of 1/8, so sums in double are exact.
*/
typedef struct {
  int64_t m, n, k;
  double *want;  /* [m,n] */
  double *sums;  /* [m] */
  pl_real *bias; /* [n] */
} gemm_case;

static double a_at(int64_t i, int64_t p) { return (double)((i * 7 + p * 3) % 11) / 8; }
static double b_at(int64_t p, int64_t j) { return (double)((p * 5 + j * 2) % 13) / 8 - 0.75; }

static gemm_case gemm_new(const int64_t size[3]) {
  gemm_case c = {size[0], size[1], size[2], NULL, NULL, NULL};
  c.want = calloc((size_t)(c.m * c.n), sizeof *c.want);
  c.sums = calloc((size_t)c.m, sizeof *c.sums);
  c.bias = calloc((size_t)c.n, sizeof *c.bias);
  double *row = malloc((size_t)c.n * sizeof *row);
  for (int64_t j = 0; j < c.n; j++) c.bias[j] = (pl_real)(j % 5) - 2;
  for (int64_t p = 0; p < c.k; p++) {
    for (int64_t j = 0; j < c.n; j++) row[j] = b_at(p, j);
    for (int64_t i = 0; i < c.m; i++) {
      const double a = a_at(i, p);
      double *restrict want = c.want + i * c.n;
      c.sums[i] += a;
      for (int64_t j = 0; j < c.n; j++) want[j] += a * row[j];
    }
  }
  free(row);
  return c;
}

static void gemm_free(gemm_case *c) { free(c->want), free(c->sums), free(c->bias); }

enum { GAP = 3 }; /* between rows */

static pl_real *operand(int64_t rows, int64_t columns, bool transposed,
                        double at(int64_t row, int64_t column)) {
  const int64_t ld = (transposed ? rows : columns) + GAP;
  pl_real *t = calloc((size_t)((transposed ? columns : rows) * ld) + 1, sizeof *t);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      t[transposed ? j * ld + i : i * ld + j] = (pl_real)at(i, j);
  return t;
}

/* What c holds before. */
static void fill_c(const gemm_case *g, pl_real *c) {
  for (int64_t i = 0, n = g->m * (g->n + GAP), v = 0; i < n; i++, v = v == 16 ? 0 : v + 1)
    c[i] = (pl_real)v;
}

static void check_c(const char *isa, const gemm_case *g, const pl_gemm_job *job, const pl_real *c,
                    const pl_real *before) {
  const double limit = 16 * (sizeof(pl_real) == 4 ? FLT_EPSILON : DBL_EPSILON);
  const pl_epilogue *e = job->epilogue;
  for (int64_t i = 0; i < g->m; i++) {
    const pl_real *got = c + i * job->ldc, *was = before + i * job->ldc;
    int64_t wrong = 0;
    for (int64_t j = 0; j < g->n; j++) {
      double want = g->want[i * g->n + j] + (job->accumulate ? (double)was[j] : 0);
      want += e && e->bias ? (double)e->bias[j] : 0;
      want *= e && want < 0 ? (double)e->slope : 1;
      wrong += !(fabs((double)got[j] - want) <= limit * fmax(1, fabs(want)));
    }
    wrong += memcmp(got + g->n, was + g->n, GAP * sizeof *got) != 0;
    if (wrong)
      fail_msg("%s gemm %d x %d x %d: row %d", isa, (int)g->m, (int)g->n, (int)g->k, (int)i);
  }
}

/* Everything that a job can ask for, on one thread and on several: the same bits. */
static void check_gemm(const pl_kernels *s, const gemm_case *g, pl_gemm_job job, pl_real *c,
                       const pl_real *before) {
  const size_t c_size = (size_t)(g->m * job.ldc) * sizeof *c;
  pl_real *again = c + g->m * job.ldc;
  pl_real *sums = calloc((size_t)(2 * g->m), sizeof *sums);
  for (int threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
    job.c = threads == 1 ? c : again;
    job.sums = job.ta ? sums + (threads == 1 ? 0 : g->m) : NULL;
    memcpy(job.c, before, c_size);
    for (int64_t i = 0; job.sums && i < g->m; i++) job.sums[i] = 77;
    assert_true(s->gemm->product(&job, threads));
    if (threads == 1) continue;
    assert_true(!memcmp(c, again, c_size));
    assert_true(!memcmp(sums, sums + g->m, (size_t)g->m * sizeof *sums));
  }
  for (int64_t i = 0; job.ta && i < g->m; i++)
    check(s->isa, "gemm, sums", i, (double)sums[i], g->sums[i]);
  check_c(s->isa, g, &job, c, before);
  free(sums);
}

static void check_gemm_ways(const gemm_case *g) {
  const size_t c_n = (size_t)(g->m * (g->n + GAP));
  pl_real *a[2], *b[2], *before = malloc(c_n * sizeof *before), *c = malloc(2 * c_n * sizeof *c);
  for (int t = 0; t < 2; t++) {
    a[t] = operand(g->m, g->k, t, a_at);
    b[t] = operand(g->k, g->n, t, b_at);
  }
  fill_c(g, before);
  for (int s = 0; s < n_sets; s++)
    for (unsigned ways = 0; sets[s]->gemm->product && ways < 32; ways++) {
      const bool ta = ways & 1, tb = ways >> 1 & 1;
      const pl_epilogue e = {.bias = ways >> 3 & 1 ? g->bias : NULL,
                             .slope = ways >> 4 & 1 ? (pl_real)0.25 : 1};
      check_gemm(sets[s], g,
                 (pl_gemm_job){.m = g->m,
                               .n = g->n,
                               .k = g->k,
                               .a = a[ta],
                               .b = b[tb],
                               .lda = (ta ? g->m : g->k) + GAP,
                               .ldb = (tb ? g->k : g->n) + GAP,
                               .ldc = g->n + GAP,
                               .ta = ta,
                               .tb = tb,
                               .accumulate = ways >> 2 & 1,
                               .epilogue = ways >> 3 ? &e : NULL},
                 c, before);
    }
  free(a[0]), free(a[1]), free(b[0]), free(b[1]), free(before), free(c);
}

static void test_gemm(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1},      {4, 4, 3},      {5, 17, 31},   {6, 16, 8},
                                     {13, 70, 40},   {125, 33, 7},   {250, 9, 20},  {31, 2070, 5},
                                     {1600, 20, 3},  {121, 130, 60}, {9, 21, 1500}, {21, 9, 710},
                                     {137, 2049, 2}, {9, 400, 340},  {5, 150, 1500}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    gemm_case g = gemm_new(sizes[i]);
    check_gemm_ways(&g);
    gemm_free(&g);
  }
}

/* Each item is taken once, by whoever, also where there are fewer items than threads, or none. */
static void test_queue(void **state) {
  (void)state;
  enum { THREADS = 4, ITEMS = 1000 };
  static const int64_t counts[] = {0, 1, 3, 4, 5, ITEMS};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    pl_range ranges[THREADS];
    int taken[ITEMS] = {0};
    pl_queue_fill(ranges, THREADS, counts[i]);
#pragma omp parallel num_threads(THREADS)
    for (int64_t item; (item = pl_queue_take(ranges, THREADS, omp_get_thread_num())) >= 0;)
#pragma omp atomic
      taken[item]++;
    for (int64_t k = 0; k < ITEMS; k++) assert_int_equal(taken[k], k < counts[i]);
  }
}

/* A thread that comes alone does its own items, in order, and then those of all others. */
static void test_queue_of_one(void **state) {
  (void)state;
  pl_range ranges[3];
  pl_queue_fill(ranges, 3, 7); /* 0 1, 2 3, 4 5 6 */
  static const int64_t order[] = {2, 3, 4, 5, 6, 0, 1, -1, -1};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++)
    assert_int_equal(pl_queue_take(ranges, 3, 1), order[i]);
}

int main(int argc, char **argv) {
  (void)argc;
  wait_passively(argv);
  find_sets();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_packed),
      cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_queue),
      cmocka_unit_test(test_queue_of_one),
      cmocka_unit_test(test_elementwise),
      cmocka_unit_test(test_elementwise_gradients),
      cmocka_unit_test(test_reductions),
      cmocka_unit_test(test_extremes),
      cmocka_unit_test(test_rows_about),
      cmocka_unit_test(test_special_powers),
      cmocka_unit_test(test_positions),
#ifndef PL_REAL_IS_DOUBLE
      cmocka_unit_test(test_errors_of_functions),
      cmocka_unit_test(test_errors_of_pow),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
