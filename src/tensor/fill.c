/*
** fill.c: random values in tensors. Element i takes word i % 4 of block i / 4 (normal
** numbers: one block gives four by Box and Muller), whatever the number of threads.
*/
#include "tensor.h"

#include <math.h>

#include "../base/random.h"

typedef void fill_four(const pl_philox *p, double a, double b, double out[4]);

static double unit(uint32_t word) { return (word + 0.5) * 0x1p-32; } /* in (0, 1) */

static void four_uniform(const pl_philox *p, double low, double high, double out[4]) {
  for (int i = 0; i < 4; i++) out[i] = low + (high - low) * (p->v[i] * 0x1p-32);
}

static void four_normal(const pl_philox *p, double mean, double std, double out[4]) {
  for (int i = 0; i < 4; i += 2) {
    double r = std * sqrt(-2 * log(unit(p->v[i]))), angle = 2 * M_PI * unit(p->v[i + 1]);
    out[i] = mean + r * cos(angle);
    out[i + 1] = mean + r * sin(angle);
  }
}

static void four_bernoulli(const pl_philox *p, double probability, double unused, double out[4]) {
  (void)unused;
  for (int i = 0; i < 4; i++) out[i] = p->v[i] * 0x1p-32 < probability;
}

static void four_mask(const pl_philox *p, double drop, double unused, double out[4]) {
  (void)unused;
  for (int i = 0; i < 4; i++) out[i] = p->v[i] * 0x1p-32 < drop ? 0 : 1 / (1 - drop);
}

static bool fill(pl_tensor *t, fill_four *f, double a, double b) {
  if (!t || pl_error() || !pl_check_writable("random", t)) return false;
  int64_t n = pl_numel(t), blocks = (n + 3) / 4;
  pl_random_state s = pl_random_take(blocks);
  bool direct = t->dtype == PL_REAL && pl_is_contiguous(t);
  pl_real *x = direct ? pl_reals(t) : NULL;
  t->storage->version++;
  pl_span span;
  pl_span_begin(&span, "random", false);
#pragma omp parallel for schedule(static) if (direct && n > PL_GRAIN / 8)
  for (int64_t i = 0; i < blocks; i++) {
    pl_philox p = pl_philox_block(s.key, s.counter + (uint64_t)i);
    double v[4];
    f(&p, a, b, v);
    for (int64_t j = 0; j < 4 && 4 * i + j < n; j++) {
      if (direct) x[4 * i + j] = (pl_real)v[j];
      else pl_set_at(t, 4 * i + j, v[j]);
    }
  }
  /* rounding to float may reach `high`, which is not part of the range */
  if (f == four_uniform && direct && b > a)
    for (int64_t i = 0; i < n; i++)
      if (x[i] >= (pl_real)b) x[i] = (pl_real)a;
  pl_span_end(&span, (double)n, (double)n * sizeof(pl_real));
  return true;
}

static bool need_real(const char *what, const pl_tensor *t) {
  if (!t || t->dtype == PL_REAL) return true;
  return pl_fail("%s: %s cannot hold such numbers; for whole ones there is randint", what,
                 PL_DESCRIBE(t));
}

bool pl_uniform(pl_tensor *t, double low, double high) {
  if (!need_real("uniform", t)) return false;
  if (!(high - low >= 0 && high - low < INFINITY))
    return pl_fail("uniform: [%g, %g) is not a range", low, high);
  return fill(t, four_uniform, low, high);
}

bool pl_normal(pl_tensor *t, double mean, double std) {
  if (!need_real("normal", t)) return false;
  if (!(std >= 0)) return pl_fail("normal: standard deviation %g is not 0 or more", std);
  return fill(t, four_normal, mean, std);
}

bool pl_bernoulli(pl_tensor *t, double p) {
  if (!(p >= 0 && p <= 1)) return pl_fail("bernoulli: probability %g is not within 0 and 1", p);
  return fill(t, four_bernoulli, p, 0);
}

bool pl_dropout_mask(pl_tensor *t, double p) { return fill(t, four_mask, p, 0); }

/* The first position whose running sum is above `at`. */
static int64_t find_above(const double *sum, int64_t n, double at) {
  int64_t low = 0, high = n - 1;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (sum[middle] > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/* Running sums of the weights; false with a message that names a bad one. */
static bool sum_weights(const pl_tensor *weights, double *sum) {
  int64_t n = pl_numel(weights);
  double total = 0;
  for (int64_t i = 0; i < n; i++) {
    double w = pl_at(weights, i);
    if (!pl_goes_on(i)) return false;
    if (!(w >= 0 && w < INFINITY))
      return pl_fail("multinomial: weight %lld is %g, expected 0 or more", (long long)i + 1, w);
    sum[i] = total += w;
  }
  return total > 0 || pl_fail("multinomial: the weights %s have no sum", PL_DESCRIBE(weights));
}

pl_tensor *pl_multinomial(pl_tensor *weights, int64_t n, bool replacement) {
  if (!weights || pl_error()) return NULL;
  int64_t classes = pl_numel(weights), positive = 0;
  if (weights->rank != 1)
    return pl_fail("multinomial: weights are %s; one dim expected", PL_DESCRIBE(weights)), NULL;
  for (int64_t i = 0; i < classes && pl_goes_on(i); i++) positive += pl_at(weights, i) > 0;
  if (pl_error()) return NULL;
  if (n < 0 || (!replacement && n > positive))
    return pl_fail("multinomial: %lld draws from %s with %lld positive weights", (long long)n,
                   PL_DESCRIBE(weights), (long long)positive),
           NULL;
  pl_tensor *t = pl_empty(PL_INT32, pl_list(n));
  pl_tensor *left = replacement ? weights : pl_empty(weights->dtype, pl_list(classes));
  double *sum = pl_scratch((size_t)PL_MAX(classes, 1) * sizeof *sum);
  bool ok = t && left && sum && (replacement || pl_copy(left, weights));
  for (int64_t i = 0; i < n && ok; i++) {
    if (!replacement || i == 0) ok = sum_weights(left, sum);
    pl_random_state s = pl_random_take(1);
    pl_philox p = pl_philox_block(s.key, s.counter);
    double u = ((double)((uint64_t)p.v[0] << 32 | p.v[1]) + 0.5) * 0x1p-64;
    int64_t k = find_above(sum, classes, u * sum[classes - 1]);
    pl_int32s(t)[i] = (int32_t)k + 1;
    if (!replacement) pl_set_at(left, k, 0);
  }
  pl_scratch_free(sum);
  return ok ? t : NULL;
}

/* Element i takes half of block i / 2: a 64-bit word times the range, whose upper half hardly
 * prefers a number to another. */
bool pl_randint(pl_tensor *t, int64_t low, int64_t high) {
  if (!t || pl_error()) return false;
  if (low > high)
    return pl_fail("randint: there is no integer from %lld to %lld", (long long)low,
                   (long long)high);
  if (!pl_check_fits("randint", t->dtype, (double)low, -1) ||
      !pl_check_fits("randint", t->dtype, (double)high, -1))
    return false;
  const int64_t n = pl_numel(t);
  const uint64_t range = (uint64_t)(high - low) + 1;
  const pl_random_state s = pl_random_take((n + 1) / 2);
  for (int64_t i = 0; i < n; i++) {
    const pl_philox p = pl_philox_block(s.key, s.counter + (uint64_t)i / 2);
    const uint64_t word = (uint64_t)p.v[i % 2 * 2] << 32 | p.v[i % 2 * 2 + 1];
    pl_set_at(t, i, (double)(low + (int64_t)((unsigned __int128)word * range >> 64)));
  }
  return true;
}

/* Fisher and Yates */
pl_tensor *pl_randperm(int64_t n) {
  if (n < 0) return pl_fail("randperm: %lld numbers; 0 or more expected", (long long)n), NULL;
  pl_tensor *t = pl_arange(PL_INT32, 1, 1, n);
  if (!t) return NULL;
  int32_t *x = pl_int32s(t);
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = pl_random_int(i + 1);
    int32_t swap = x[i];
    x[i] = x[j];
    x[j] = swap;
  }
  return t;
}
