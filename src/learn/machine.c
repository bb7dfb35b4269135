/*
** machine.c: maps, decision values and labels. Rows go through in blocks, a block at a time
** on each thread: distances and products are matrix products, so that thousands of support
** vectors cost what their multiplications cost and no more.
*/
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "../base/random.h"
#include "../tensor/tensor.h"
#include "learn.h"

enum { BLOCK = 64 }; /* rows at a time: their features stay in the cache */

/* What all blocks need. */
typedef struct {
  pl_map_kind kind;
  double gamma;
  int64_t d, r, features; /* columns of x, points, columns of the map */
  double *points;         /* [r,d] */
  double *square;         /* [r]: |p|^2 */
} plan;

int64_t pl_map_features(const pl_map *map, int64_t d) {
  if (map->kind == PL_MAP_LINEAR) return d;
  return map->points->size[0] * (map->kind == PL_MAP_FOURIER ? 2 : 1);
}

static void plan_end(plan *p) {
  pl_scratch_free(p->points);
  pl_scratch_free(p->square);
}

static bool plan_begin(plan *p, const pl_tensor *x, const pl_map *map) {
  *p = (plan){.kind = map->kind, .gamma = map->gamma, .d = x->size[1]};
  if (map->kind != PL_MAP_LINEAR) {
    const pl_tensor *points = map->points;
    if (!points || points->dtype != PL_REAL || points->rank != 2 || points->size[1] != p->d)
      return pl_fail("svm: examples are %s; [n,%lld] expected, as for training", PL_DESCRIBE(x),
                     (long long)(points && points->rank == 2 ? points->size[1] : -1));
    p->r = points->size[0];
    p->points = pl_scratch((size_t)(p->r * p->d + 1) * sizeof(double));
    p->square = pl_scratch((size_t)(p->r + 1) * sizeof(double));
    if (!p->points || !p->square) return false;
    pl_values(points, p->points);
    const int threads = pl_blas_begin();
    for (int64_t i = 0; i < p->r; i++)
      p->square[i] = cblas_ddot((blasint)p->d, p->points + i * p->d, 1, p->points + i * p->d, 1);
    pl_blas_end(threads);
  }
  p->features = pl_map_features(map, p->d);
  return true;
}

static void product(bool b_transposed, int64_t m, int64_t n, int64_t k, const double *a,
                    const double *b, int64_t ldb, double beta, double *c, int64_t ldc) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, b_transposed ? CblasTrans : CblasNoTrans, (blasint)m,
              (blasint)n, (blasint)k, 1, a, (blasint)k, b, (blasint)ldb, beta, c, (blasint)ldc);
}

/* Features of m rows of x, from the products with the points that are in y already. */
static void finish_rbf(const plan *p, int64_t m, const double *x, double *y) {
  for (int64_t i = 0; i < m; i++, x += p->d, y += p->r) {
    const double square = cblas_ddot((blasint)p->d, x, 1, x, 1);
    for (int64_t j = 0; j < p->r; j++) {
      const double distance = square + p->square[j] - 2 * y[j];
      y[j] = exp(-p->gamma * PL_MAX(distance, 0));
    }
  }
}

static void finish_fourier(const plan *p, int64_t m, double *y) {
  const double scale = 1 / sqrt((double)p->r);
  for (int64_t i = 0; i < m; i++, y += p->features)
    for (int64_t j = 0; j < p->r; j++) {
      const double angle = y[j];
      y[j] = scale * cos(angle);
      y[p->r + j] = scale * sin(angle);
    }
}

/* y [m,features] from x [m,d] */
static void map_block(const plan *p, int64_t m, const double *x, double *y) {
  if (p->kind == PL_MAP_LINEAR) {
    memcpy(y, x, (size_t)(m * p->d) * sizeof *y);
    return;
  }
  product(true, m, p->r, p->d, x, p->points, p->d, 0, y, p->features);
  if (p->kind == PL_MAP_RBF) finish_rbf(p, m, x, y);
  else finish_fourier(p, m, y);
}

static void read_block(const pl_tensor *x, int64_t from, int64_t m, double *out) {
  const pl_real *in = pl_reals(x) + from * x->size[1];
  for (int64_t i = 0; i < m * x->size[1]; i++) out[i] = in[i];
}

static void write_block(pl_tensor *y, int64_t from, int64_t m, const double *in) {
  pl_real *out = pl_reals(y) + from * y->size[1];
  for (int64_t i = 0; i < m * y->size[1]; i++) out[i] = (pl_real)in[i];
}

/* y = map(x), or map(x) w + b with w [features,outputs]. */
static bool run(const plan *p, const pl_tensor *x, const double *w, const double *b, pl_tensor *y) {
  const int64_t n = x->size[0], outputs = y->size[1];
  const int64_t row = p->d + p->features + outputs, blocks = (n + BLOCK - 1) / BLOCK;
  const int threads = omp_get_max_threads();
  double *scratch = pl_scratch((size_t)(threads * BLOCK * row) * sizeof *scratch);
  if (!scratch) return false;
  pl_blas_one_thread();
  const pl_context *here = PL_HERE;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < blocks; i++) {
    if (pl_context_interrupted(here)) continue;
    const int64_t from = i * BLOCK, m = PL_MIN(BLOCK, n - from);
    double *in = scratch + omp_get_thread_num() * BLOCK * row;
    double *features = in + BLOCK * p->d, *out = features + BLOCK * p->features;
    read_block(x, from, m, in);
    map_block(p, m, in, features);
    if (w) {
      for (int64_t j = 0; j < m; j++) memcpy(out + j * outputs, b, (size_t)outputs * sizeof *b);
      product(false, m, outputs, p->features, features, w, outputs, 1, out, outputs);
    }
    write_block(y, from, m, w ? out : features);
  }
  pl_scratch_free(scratch);
  return pl_check_interrupt();
}

pl_tensor *pl_map_apply(pl_tensor *x, const pl_map *map) {
  plan p = {0};
  pl_tensor *y = NULL;
  bool ok = pl_examples_check("svm", x) && (x = pl_contiguous(x)) && plan_begin(&p, x, map) &&
            (y = pl_empty(PL_REAL, pl_list(x->size[0], p.features))) && run(&p, x, NULL, NULL, y);
  plan_end(&p);
  return ok ? y : NULL;
}

static bool check_machine(const plan *p, const pl_tensor *x, const pl_tensor *weights,
                          const pl_tensor *bias) {
  if (weights->dtype != PL_REAL || weights->rank != 2 || bias->dtype != PL_REAL ||
      bias->rank != 1 || bias->size[0] != weights->size[1])
    return pl_fail(
        "svm: weights are %s and bias is %s; real [features,outputs] and real "
        "[outputs] expected",
        PL_DESCRIBE(weights), PL_DESCRIBE(bias));
  if (weights->size[0] != p->features) {
    if (p->kind == PL_MAP_LINEAR)
      return pl_fail("svm: examples are %s; [n,%lld] expected, as for training", PL_DESCRIBE(x),
                     (long long)weights->size[0]);
    return pl_fail("svm: weights are %s for %lld features", PL_DESCRIBE(weights),
                   (long long)p->features);
  }
  return true;
}

pl_tensor *pl_machine_decide(pl_tensor *x, const pl_map *map, pl_tensor *weights, pl_tensor *bias) {
  plan p = {0};
  double *w = NULL;
  pl_tensor *y = NULL;
  bool ok = pl_examples_check("svm", x) && (x = pl_contiguous(x)) && plan_begin(&p, x, map) &&
            check_machine(&p, x, weights, bias);
  if (ok) {
    const int64_t count = pl_numel(weights), outputs = bias->size[0];
    w = pl_scratch((size_t)(count + outputs + 1) * sizeof *w);
    y = pl_empty(PL_REAL, pl_list(x->size[0], outputs));
    if ((ok = w && y)) {
      pl_values(weights, w);
      pl_values(bias, w + count);
      ok = run(&p, x, w, w + count, y);
    }
  }
  pl_scratch_free(w);
  plan_end(&p);
  return ok ? y : NULL;
}

/*
** Labels
*/

static int largest(const pl_real *f, int k) {
  int best = 0;
  for (int i = 1; i < k; i++)
    if (f[i] > f[best]) best = i;
  return best;
}

static int most_votes(const pl_real *f, int k, int *votes) {
  memset(votes, 0, (size_t)k * sizeof *votes);
  int best = 0;
  for (int i = 0; i < k; i++)
    for (int j = i + 1; j < k; j++) votes[*f++ > 0 ? i : j]++;
  for (int i = 1; i < k; i++)
    if (votes[i] > votes[best]) best = i;
  return best;
}

pl_tensor *pl_machine_choose(pl_tensor *decisions, pl_tensor *classes, bool pairs) {
  if (classes->dtype != PL_INT32 || classes->rank != 1 || classes->size[0] < 1)
    return pl_fail("svm: classes are %s; int32 [k] expected", PL_DESCRIBE(classes)), NULL;
  const int64_t k = classes->size[0], columns = pairs ? k * (k - 1) / 2 : k;
  if (decisions->dtype != PL_REAL || decisions->rank != 2 || decisions->size[1] != columns)
    return pl_fail("svm: decision values are %s; real [n,%lld] expected", PL_DESCRIBE(decisions),
                   (long long)columns),
           NULL;
  decisions = pl_contiguous(decisions);
  classes = pl_contiguous(classes);
  pl_tensor *labels = decisions ? pl_empty(PL_INT32, pl_list(decisions->size[0])) : NULL;
  int *votes = pl_scratch((size_t)k * sizeof *votes);
  if (!classes || !labels || !votes) return pl_scratch_free(votes), NULL;
  for (int64_t i = 0; i < decisions->size[0]; i++) {
    const pl_real *f = pl_reals(decisions) + i * columns;
    const int best = pairs ? most_votes(f, (int)k, votes) : largest(f, (int)k);
    pl_int32s(labels)[i] = pl_int32s(classes)[best];
  }
  pl_scratch_free(votes);
  return labels;
}

/*
** Random Fourier features: Rahimi and Recht, "Random features for large-scale kernel
** machines", NIPS 2007, with cos and sin of each frequency; orthogonal as in Yu et al.,
** "Orthogonal random features", NIPS 2016, which lowers the error for the same number.
*/

/* Two normal numbers by Box and Muller. */
static void two_normals(uint64_t key, uint64_t counter, double out[2]) {
  const pl_philox p = pl_philox_block(key, counter);
  const double u = ((double)p.v[0] + 0.5) / 4294967296.0, v = (double)p.v[1] / 4294967296.0;
  const double radius = sqrt(-2 * log(u)), angle = 2 * M_PI * v;
  out[0] = radius * cos(angle);
  out[1] = radius * sin(angle);
}

static void fill_normal(double *out, int64_t n, uint64_t key, uint64_t counter) {
  for (int64_t i = 0; i < n; i += 2) {
    double two[2];
    two_normals(key, counter + (uint64_t)i / 2, two);
    out[i] = two[0];
    if (i + 1 < n) out[i + 1] = two[1];
  }
}

/* Gram-Schmidt, twice, which keeps each row's own length. */
static void make_orthogonal(double *rows, int64_t n, int64_t d) {
  for (int64_t i = 0; i < n; i++) {
    double *row = rows + i * d;
    const double length = cblas_dnrm2((blasint)d, row, 1);
    for (int twice = 0; twice < 2; twice++)
      for (int64_t j = 0; j < i; j++) {
        const double *other = rows + j * d;
        const double square = cblas_ddot((blasint)d, other, 1, other, 1);
        if (square > 0)
          cblas_daxpy((blasint)d, -cblas_ddot((blasint)d, row, 1, other, 1) / square, other, 1, row,
                      1);
      }
    const double left = cblas_dnrm2((blasint)d, row, 1);
    if (left > 0) cblas_dscal((blasint)d, length / left, row, 1);
  }
}

pl_tensor *pl_fourier_points(int64_t r, int64_t d, double gamma, uint64_t key) {
  pl_tensor *points = pl_empty(PL_REAL, pl_list(r, d));
  double *rows = pl_scratch((size_t)(r * d + 1) * sizeof *rows);
  if (!points || !rows) return pl_scratch_free(rows), NULL;
  fill_normal(rows, r * d, key, 0);
  const int threads = pl_blas_begin();
  for (int64_t i = 0; i < r; i += d) make_orthogonal(rows + i * d, PL_MIN(d, r - i), d);
  pl_blas_end(threads);
  for (int64_t i = 0; i < r * d; i++) pl_reals(points)[i] = (pl_real)(sqrt(2 * gamma) * rows[i]);
  pl_scratch_free(rows);
  return points;
}
