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
#include "kernels/deal.h"

typedef struct {
  const char *name;
  const pl_math_kernels *math;
  const pl_panel_kernels *panels;
  const pl_gemm_kernels *gemm;
} set;

static set sets[3];
static int n_sets;

static void find_sets(void) {
  sets[n_sets++] = (set){"generic", &pl_math_kernels_generic, &pl_panel_kernels_generic,
                         &pl_gemm_kernels_generic};
#ifdef PL_HAVE_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    sets[n_sets++] =
        (set){"avx2", &pl_math_kernels_avx2, &pl_panel_kernels_avx2, &pl_gemm_kernels_avx2};
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    sets[n_sets++] =
        (set){"avx512", &pl_math_kernels_avx512, &pl_panel_kernels_avx512, &pl_gemm_kernels_avx512};
#endif
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
#define PL_EXP         exp
#define PL_LOG         log
#define PL_LOG1P       log1p
#define PL_SQRT        sqrt
#define PL_POW         pow
#define PL_SIN         sin
#define PL_COS         cos
#define PL_FLOOR       floor
#define PL_TANH        tanh
#define PL_SIGMOID(x)  (1 / (1 + exp(-(x))))
#define PL_SOFTPLUS(x) (((x) > 0 ? (x) : 0) + log1p(exp(-fabs(x))))

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
#define UNARY(name, forget, attrs, samples, doc, f, df, ops)                 \
  BODY_1(name, f)                                                            \
  static double want_##name##_grad(double g, double x, double p, double q) { \
    const double y = want_##name(x, p, q);                                   \
    (void)x, (void)y;                                                        \
    return (df);                                                             \
  }
#define STEP(name, attrs, samples, doc, f)    BODY_1(name, f)
#define LINEAR(name, samples, doc, f, ga, gb) BODY_2(name, f)
#define BODY_GRAD(name, d)                                                      \
  static double want_##name(double g, double a, double b, double y, double p) { \
    (void)y, (void)a, (void)b, (void)g, (void)p;                                \
    return (d);                                                                 \
  }
#define HALF(name, forget, attrs, samples, doc, f, ga, ga_ops) \
  BODY_2(name, f) BODY_GRAD(name##_a, ga)
#define BINARY(name, forget, attrs, samples, doc, f, ga, gb, ga_ops, gb_ops) \
  BODY_2(name, f) BODY_GRAD(name##_a, ga) BODY_GRAD(name##_b, gb)
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef LINEAR
#undef BINARY
#undef HALF

static const double P = 0.25, Q = 1.5;

typedef double want_1(double x, double p, double q);
typedef double want_2(double a, double b, double p);

static void try_1(set s, const char *name, pl_unary_kernel *f, want_1 *want) {
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
    for (ptrdiff_t step = -1; step <= 2; step++) {
      const pl_real *x = xs + MOST;
      f(lengths[k], out, x, step, (pl_real)P, (pl_real)Q);
      for (ptrdiff_t i = 0; i < lengths[k]; i++)
        check(s.name, name, i, (double)out[i], want((double)x[i * step], P, Q));
    }
}

static void try_2(set s, const char *name, pl_binary_kernel *f, want_2 *want) {
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
    for (size_t j = 0; j < sizeof strides / sizeof *strides; j++) {
      const ptrdiff_t sa = strides[j][0], sb = strides[j][1];
      const pl_real *b = ys + MOST;
      f(lengths[k], out, xs, sa, b, sb, (pl_real)P);
      for (ptrdiff_t i = 0; i < lengths[k]; i++)
        check(s.name, name, i, (double)out[i], want((double)xs[i * sa], (double)b[i * sb], P));
    }
}

static void test_elementwise(void **state) {
  (void)state;
  fill(xs, 1, 0.05, 3); /* pow and log want positive numbers */
  fill(ys, 2, -2, 2);
  for (int i = 0; i < n_sets; i++) {
    set s = sets[i];
#define UNARY(name, ...)  try_1(s, #name, s.math->name, want_##name);
#define STEP(name, ...)   try_1(s, #name, s.math->name, want_##name);
#define LINEAR(name, ...) try_2(s, #name, s.math->name, want_##name);
#define BINARY(name, ...) try_2(s, #name, s.math->name, want_##name);
#define HALF(name, ...)   try_2(s, #name, s.math->name, want_##name);
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef LINEAR
#undef BINARY
#undef HALF
  }
}

typedef double want_grad_1(double g, double x, double p, double q);
typedef double want_grad_2(double g, double a, double b, double y, double p);

static void try_grad_1(set s, const char *name, pl_unary_kernel *f, pl_unary_grad_kernel *df,
                       want_grad_1 *want) {
  pl_real y[MOST];
  f(MOST, y, xs, 1, (pl_real)P, (pl_real)Q);
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    df(lengths[k], out, gs, xs, y, (pl_real)P, (pl_real)Q);
    for (ptrdiff_t i = 0; i < lengths[k]; i++)
      check(s.name, name, i, (double)out[i], want((double)gs[i], (double)xs[i], P, Q));
  }
}

static void try_grad_2(set s, const char *name, pl_binary_kernel *f, want_2 *want,
                       pl_binary_grad_kernel *df, want_grad_2 *want_df) {
  pl_real y[MOST];
  f(MOST, y, xs, 1, ys, 1, (pl_real)P);
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    df(lengths[k], out, gs, xs, ys, y, (pl_real)P);
    for (ptrdiff_t i = 0; i < lengths[k]; i++) {
      double a = (double)xs[i], b = (double)ys[i];
      check(s.name, name, i, (double)out[i], want_df((double)gs[i], a, b, want(a, b, P), P));
    }
  }
}

static void test_elementwise_gradients(void **state) {
  (void)state;
  fill(xs, 3, 0.05, 3);
  fill(ys, 4, 0.5, 2);
  fill(gs, 5, -1, 1);
  for (int i = 0; i < n_sets; i++) {
    set s = sets[i];
#define UNARY(name, ...) \
  try_grad_1(s, #name, s.math->name, s.math->name##_grad, want_##name##_grad);
#define STEP(name, ...)
#define LINEAR(name, ...)
#define HALF(name, ...) \
  try_grad_2(s, #name, s.math->name, want_##name, s.math->name##_grad_a, want_##name##_a);
#define BINARY(name, ...) \
  HALF(name)              \
  try_grad_2(s, #name, s.math->name, want_##name, s.math->name##_grad_b, want_##name##_b);
#include "kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef LINEAR
#undef BINARY
#undef HALF
  }
}

static void test_reductions(void **state) {
  (void)state;
  enum { N = 9001 };
  pl_real *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z);
  for (int i = 0; i < N; i++) x[i] = (pl_real)sin(i), y[i] = (pl_real)cos(i * 0.7);
  for (int s = 0; s < n_sets; s++)
    for (ptrdiff_t n = 1; n <= N; n += n < 70 ? 1 : 1117) {
      const pl_math_kernels *m = sets[s].math;
      double sum = 0, squares = 0, about = 0, dot = 0, exps = 0, most = -INFINITY;
      for (ptrdiff_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        about += pow((double)x[i] - 0.5, 2);
        dot += (double)x[i] * ((double)y[i] - 0.5);
        exps += exp((double)x[i]);
        most = fmax(most, (double)x[i]);
      }
      check(sets[s].name, "sum", n, m->sum(n, x) / (double)n, sum / (double)n);
      check(sets[s].name, "sum_squares", n, m->sum_squares(n, x) / (double)n, squares / (double)n);
      check(sets[s].name, "sum_squares_about", n,
            m->sum_squares_about(n, x, (pl_real)0.5) / (double)n, about / (double)n);
      check(sets[s].name, "dot_about", n, m->dot_about(n, x, y, (pl_real)0.5) / (double)n,
            dot / (double)n);
      check(sets[s].name, "logsumexp", n, (double)m->logsumexp(n, x), log(exps));
      m->log_softmax(n, z, x);
      check(sets[s].name, "log_softmax", n, (double)z[n - 1], (double)x[n - 1] - log(exps));
      m->softmax(n, z, x);
      check(sets[s].name, "softmax", n, (double)z[n / 2], exp((double)x[n / 2]) / exps);
      m->exp_shift(n, z, x, -1, 2, 3);
      check(sets[s].name, "exp_shift", n, (double)z[n - 1], 2 * exp((double)x[n - 1] - 1) + 3);
    }
  free(x), free(y), free(z);
}

/* Rows with infinities and NaN: nothing overflows, and NaN is never lost. */
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
        sets[s].math->normalize(n, out, xs, (pl_real)P, (pl_real)Q, w, b);
        for (ptrdiff_t i = 0; i < n; i++) {
          double want = ((double)xs[i] - P) * Q;
          if (w) want *= (double)w[i];
          if (b) want += (double)b[i];
          check(sets[s].name, "normalize", i, (double)out[i], want);
        }
      }
      memcpy(out, ys, (size_t)n * sizeof *out);
      sets[s].math->accumulate_about(n, out, gs, xs, (pl_real)P, (pl_real)Q);
      for (ptrdiff_t i = 0; i < n; i++)
        check(sets[s].name, "accumulate_about", i, (double)out[i],
              (double)ys[i] + (double)gs[i] * ((double)xs[i] - P) * Q);
    }
}

static void test_extremes(void **state) {
  (void)state;
  const pl_real inf = (pl_real)INFINITY, nan = (pl_real)NAN;
  for (int s = 0; s < n_sets; s++) {
    const pl_math_kernels *m = sets[s].math;
    pl_real y[40], big[40], low[40];
    for (int i = 0; i < 40; i++) big[i] = 1000, low[i] = -inf;
    assert_true(fabs((double)m->logsumexp(40, big) - 1000 - log(40)) < 1e-3);
    assert_true(m->logsumexp(40, low) == -inf);
    big[3] = -inf;
    m->softmax(40, y, big);
    assert_true(y[3] == 0 && fabs((double)y[0] - 1.0 / 39) < 1e-6);
    big[39] = nan;
    assert_true(isnan(m->logsumexp(40, big)));
    m->softmax(40, y, big);
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
    pl_real bias[] = {0}, one[] = {-inf};
    m->bias_act(1, 1, one, bias, 0);
    assert_true(one[0] == 0);
  }
}

#ifndef PL_REAL_IS_DOUBLE
static double ulps(float got, double want) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  float rounded = (float)want;
  if (got == rounded) return 0;
  if (isinf(rounded) || isinf(got)) return INFINITY;
  double unit = fabs((double)nextafterf(rounded, INFINITY) - (double)rounded);
  if (fabs(want) < (double)FLT_MIN) unit = (double)FLT_MIN; /* subnormal results may become 0 */
  return fabs((double)got - want) / unit;
}

static void measure(set s, const char *name, pl_unary_kernel *f, want_1 *want, double limit) {
  enum { N = 4096 };
  static float x[N], y[N];
  double worst = 0, at = 0;
  for (uint64_t bits = 0; bits < (uint64_t)1 << 32;) {
    for (int i = 0; i < N; i++, bits += 9973) {
      uint32_t b = (uint32_t)bits;
      memcpy(&x[i], &b, 4);
    }
    f(N, y, x, 1, 0, 0);
    for (int i = 0; i < N; i++) {
      double e = ulps(y[i], want((double)x[i], 0, 0));
      if (e > worst) worst = e, at = (double)x[i];
    }
  }
  print_message("%s %s: %.2f ulp at %.9g\n", s.name, name, worst, at);
  if (!(worst <= limit))
    fail_msg("%s %s: %.2f ulp at %.9g, stated %g", s.name, name, worst, at, limit);
}

static void test_errors_of_functions(void **state) {
  (void)state;
  for (int i = 0; i < n_sets; i++) {
    const pl_math_kernels *m = sets[i].math;
    measure(sets[i], "exp", m->exp, want_exp, 1);
    measure(sets[i], "log", m->log, want_log, 1);
    measure(sets[i], "log1p", m->log1p, want_log1p, 2);
    measure(sets[i], "tanh", m->tanh, want_tanh, 2);
    measure(sets[i], "sigmoid", m->sigmoid, want_sigmoid, 2);
    measure(sets[i], "softplus", m->softplus, want_softplus, 2);
  }
}
#endif

/* c + a b of odd sizes, b stored both ways, rows of a and c with a gap between them. */
static void check_product(set s, int64_t m, int64_t n, int64_t k, bool transposed,
                          bool accumulate) {
  enum { GAP = 3 };
  pl_real a[14 * 43], b[73 * 43], c[14 * 73], panels[128 * 40];
  const int64_t lda = k + GAP, ldc = n + GAP, ldb = (transposed ? k : n) + GAP;
  assert_true(s.panels->size(k, n) <= (int64_t)(sizeof panels / sizeof *panels));
  for (int64_t i = 0; i < m * lda; i++) a[i] = (pl_real)(i * 7 % 11) / 8;
  for (int64_t i = 0; i < (transposed ? n : k) * ldb; i++) b[i] = (pl_real)(i * 5 % 13 - 6) / 8;
  for (int64_t i = 0; i < m * ldc; i++) c[i] = (pl_real)i;
  s.panels->pack(k, n, b, ldb, transposed, panels);
  s.panels->product(m, n, k, a, lda, panels, accumulate, c, ldc);
  for (int64_t i = 0; i < m * ldc; i++) {
    const int64_t row = i / ldc, column = i % ldc;
    double want = column < n && !accumulate ? 0 : (double)i;
    for (int64_t j = 0; column < n && j < k; j++)
      want += (double)a[row * lda + j] *
              (double)(transposed ? b[column * ldb + j] : b[j * ldb + column]);
    check(s.name, "panels", i, (double)c[i], want);
  }
}

static void test_panels(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1},  {1, 16, 8},   {2, 15, 9}, {5, 17, 31}, {6, 32, 33},
                                     {7, 33, 1}, {13, 70, 40}, {0, 5, 3},  {3, 0, 2},   {3, 20, 0}};
  for (int s = 0; s < n_sets; s++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int ways = 0; ways < 4; ways++)
        check_product(sets[s], sizes[i][0], sizes[i][1], sizes[i][2], ways & 1, ways >> 1);
}

/* Everything that a job can ask for, on one thread and on three. */
static void check_gemm(set s, int64_t m, int64_t n, int64_t k, unsigned ways) {
  enum { GAP = 3 };
  const bool ta = ways & 1, tb = ways >> 1 & 1, bias = ways >> 3 & 1;
  const int64_t lda = (ta ? m : k) + GAP, ldb = (tb ? k : n) + GAP, ldc = n + GAP;
  const size_t a_n = (size_t)((ta ? k : m) * lda), b_n = (size_t)((tb ? n : k) * ldb);
  const size_t c_n = (size_t)(m * ldc);
  pl_real *a = calloc(a_n + 1, sizeof *a), *b = calloc(b_n + 1, sizeof *b);
  pl_real *c = calloc(c_n + 1, sizeof *c), *again = calloc(c_n + 1, sizeof *again);
  pl_real *shift = calloc((size_t)n + 1, sizeof *shift);
  for (size_t i = 0; i < a_n; i++) a[i] = (pl_real)(i * 7 % 11) / 8;
  for (size_t i = 0; i < b_n; i++) b[i] = (pl_real)(i * 5 % 13) / 8 - (pl_real)0.75;
  for (size_t i = 0; i < c_n; i++) c[i] = (pl_real)(i % 17);
  for (int64_t i = 0; i < n; i++) shift[i] = (pl_real)(i % 5) - 2;
  const pl_finish finish = {bias ? shift : NULL, ways >> 4 & 1 ? (pl_real)0.25 : 1};
  pl_real *sums = calloc((size_t)m, sizeof *sums), *sums_again = calloc((size_t)m, sizeof *sums);
  for (int64_t i = 0; i < m; i++) sums[i] = sums_again[i] = 77;
  pl_gemm_job job = {m,
                     n,
                     k,
                     a,
                     b,
                     c,
                     lda,
                     ldb,
                     ldc,
                     ta,
                     tb,
                     ways >> 2 & 1,
                     ways >> 3 ? &finish : NULL,
                     ta ? sums : NULL};
  assert_true(s.gemm->product(&job, 1));
  job.c = again;
  if (ta) job.sums = sums_again;
  for (int threads = 2; threads <= 5; threads += 3) {
    for (size_t i = 0; i < c_n; i++) again[i] = (pl_real)(i % 17);
    assert_true(s.gemm->product(&job, threads));
    assert_memory_equal(c, again, c_n * sizeof *c);
    assert_memory_equal(sums, sums_again, (size_t)m * sizeof *sums);
  }
  for (int64_t i = 0; ta && i < m; i++) {
    double want = 0;
    for (int64_t j = 0; j < k; j++) want += (double)a[j * lda + i];
    check(s.name, "gemm, sums", i, (double)sums[i], want);
  }
  for (int64_t i = 0; i < m * ldc; i++) {
    const int64_t row = i / ldc, column = i % ldc;
    double want = column >= n || job.accumulate ? (double)(i % 17) : 0;
    if (column < n) {
      for (int64_t j = 0; j < k; j++)
        want += (double)a[ta ? j * lda + row : row * lda + j] *
                (double)b[tb ? column * ldb + j : j * ldb + column];
      if (bias) want += (double)shift[column];
      if (want < 0) want *= (double)finish.slope;
    }
    check(s.name, "gemm", i, (double)c[i], want);
  }
  free(a), free(b), free(c), free(again), free(shift), free(sums), free(sums_again);
}

static void test_gemm(void **state) {
  (void)state;
  static const int64_t sizes[][3] = {{1, 1, 1},       {4, 4, 3},      {5, 17, 31},   {6, 16, 8},
                                     {13, 70, 40},    {125, 33, 7},   {250, 9, 20},  {31, 2070, 5},
                                     {1600, 20, 3},   {121, 130, 60}, {9, 21, 1500}, {21, 9, 710},
                                     {1537, 2049, 2}, {9, 400, 340},  {5, 150, 1500}};
  for (int s = 0; s < n_sets; s++)
    for (size_t i = 0; sets[s].gemm->product && i < sizeof sizes / sizeof *sizes; i++)
      for (unsigned ways = 0; ways < 32; ways++)
        check_gemm(sets[s], sizes[i][0], sizes[i][1], sizes[i][2], ways);
}

/* Each piece is taken once, by whoever, also where there are fewer pieces than threads, or none. */
static void test_deal(void **state) {
  (void)state;
  enum { THREADS = 4, PIECES = 1000 };
  static const int64_t counts[] = {0, 1, 3, 4, 5, PIECES};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    pl_hand hands[THREADS];
    int taken[PIECES] = {0};
    pl_deal(hands, THREADS, counts[i]);
#pragma omp parallel num_threads(THREADS)
    for (int64_t piece; (piece = pl_take(hands, THREADS, omp_get_thread_num())) >= 0;)
#pragma omp atomic
      taken[piece]++;
    for (int64_t k = 0; k < PIECES; k++) assert_int_equal(taken[k], k < counts[i]);
  }
}

/* A thread that comes alone does its own pieces, in order, and then those of all others. */
static void test_deal_to_one(void **state) {
  (void)state;
  pl_hand hands[3];
  pl_deal(hands, 3, 7); /* 0 1, 2 3, 4 5 6 */
  static const int64_t order[] = {2, 3, 4, 5, 6, 0, 1, -1, -1};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++)
    assert_int_equal(pl_take(hands, 3, 1), order[i]);
}

int main(void) {
  find_sets();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_panels),
      cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_deal),
      cmocka_unit_test(test_deal_to_one),
      cmocka_unit_test(test_elementwise),
      cmocka_unit_test(test_elementwise_gradients),
      cmocka_unit_test(test_reductions),
      cmocka_unit_test(test_extremes),
      cmocka_unit_test(test_rows_about),
#ifndef PL_REAL_IS_DOUBLE
      cmocka_unit_test(test_errors_of_functions),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
