/*
** frechet.c: the Fréchet distance, in double precision whatever real is.
**
** Covariances are kept as triangular factors, S = R'R, from QR decompositions of the centred rows:
** then tr (S_a S_b)^(1/2) is the sum of the singular values of R_a R_b', and no root is taken of
** an eigenvalue that is rounding error, as would happen where features are constant or fewer rows
** than features are given.
*/
#include "frechet.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "../base/base.h"
#include "../base/memory.h"
#include "../tensor/tensor.h"

/* LAPACK: matrices by columns, arguments by address, lengths of strings at the end. */
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
             const int *lwork, int *info);
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork,
             int *iwork, int *info, size_t job_length);

enum { MOST_FEATURES = 20000 };

/*
** Checks
*/

static bool check_set(const char *name, const pl_tensor *x) {
  if (x->dtype != PL_REAL || x->rank != 2)
    return pl_fail("frechet: %s is %s, expected real[rows,features]", name, PL_DESCRIBE(x));
  if (x->size[0] < 2)
    return pl_fail("frechet: %s is %s, expected at least 2 rows", name, PL_DESCRIBE(x));
  if (x->size[1] < 1 || x->size[1] > MOST_FEATURES)
    return pl_fail("frechet: %s is %s, expected 1 to %d features", name, PL_DESCRIBE(x),
                   MOST_FEATURES);
  return true;
}

static bool check_values(const char *name, const pl_tensor *x) {
  int64_t d = x->size[1];
  for (int64_t i = 0; i < x->size[0] * d; i++) {
    double v = (double)pl_reals(x)[i];
    if (!isfinite(v))
      return pl_fail("frechet: %s is %s: row %lld has %s in column %lld", name, PL_DESCRIBE(x),
                     (long long)i / d + 1,
                     isnan(v) ? "NaN"
                     : v > 0  ? "inf"
                              : "-inf",
                     (long long)i % d + 1);
  }
  return true;
}

/*
** Means and factors
*/

static void column_means(const pl_tensor *x, double *mean) {
  int64_t n = x->size[0], d = x->size[1];
  memset(mean, 0, (size_t)d * sizeof *mean);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < d; j++) mean[j] += (double)pl_reals(x)[i * d + j];
  for (int64_t j = 0; j < d; j++) mean[j] /= (double)n;
}

/*
** The factor [d,d] of the covariance. The rows come in blocks below the factor of those before;
** the decomposition of both is the factor of all.
*/
static bool covariance_factor(const pl_tensor *x, const double *mean, double *factor) {
  int64_t n = x->size[0], d = x->size[1], block = PL_MIN(n, 4 * d + 256);
  const int cols = (int)d, lda = (int)(d + block), lwork = 64 * cols;
  double *a = pl_scratch((size_t)((d + block) * d + d + lwork) * sizeof *a);
  if (!a) return false;
  double *tau = a + (d + block) * d, *work = tau + d, scale = 1 / sqrt((double)(n - 1));
  int info = 0;
  memset(a, 0, (size_t)((d + block) * d) * sizeof *a);
  for (int64_t first = 0; first < n; first += block) {
    int64_t m = PL_MIN(block, n - first);
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < d; j++)
        a[j * lda + d + i] = ((double)pl_reals(x)[(first + i) * d + j] - mean[j]) * scale;
    const int rows = (int)(d + m);
    dgeqrf_(&rows, &cols, a, &lda, tau, work, &lwork, &info);
    for (int64_t j = 0; j < d; j++) /* what is below the diagonal is how the factor was found */
      memset(a + j * lda + j + 1, 0, (size_t)(rows - j - 1) * sizeof *a);
  }
  for (int64_t j = 0; j < d; j++) memcpy(factor + j * d, a + j * lda, (size_t)d * sizeof *factor);
  pl_scratch_free(a);
  return true;
}

/*
** The distance
*/

static double sum_squares(int64_t n, const double *x) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
  return sum;
}

/* The sum of the singular values of a matrix [d,d], which is lost. */
static bool sum_singular_values(int d, double *a, double *sum) {
  int info = 0, lwork = -1;
  double size = 0, *values = NULL, unused = 0;
  int *iwork = pl_scratch((size_t)d * 8 * sizeof *iwork);
  if (!iwork) return false;
  dgesdd_("N", &d, &d, a, &d, &unused, &unused, &d, &unused, &d, &size, &lwork, iwork, &info, 1);
  lwork = (int)size;
  bool ok = (values = pl_scratch((size_t)(d + lwork) * sizeof *values)) != NULL;
  if (ok)
    dgesdd_("N", &d, &d, a, &d, values, &unused, &d, &unused, &d, values + d, &lwork, iwork, &info,
            1);
  if (ok && info != 0)
    ok = pl_fail("frechet: the singular values of the covariances' factors did not converge");
  *sum = 0;
  for (int i = 0; ok && i < d; i++) *sum += values[i];
  pl_scratch_free(values);
  pl_scratch_free(iwork);
  return ok;
}

static bool distance_between(const pl_tensor *a, const pl_tensor *b, double *memory,
                             double *distance) {
  const int d = (int)a->size[1];
  const int64_t square = (int64_t)d * d;
  double *ra = memory, *rb = ra + square, *product = rb + square, *ma = product + square;
  double *mb = ma + d, shared;
  column_means(a, ma);
  column_means(b, mb);
  if (!covariance_factor(a, ma, ra) || !covariance_factor(b, mb, rb)) return false;
  cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, d, d, d, 1, ra, d, rb, d, 0, product, d);
  if (!sum_singular_values(d, product, &shared)) return false;
  for (int j = 0; j < d; j++) ma[j] -= mb[j];
  *distance = sum_squares(d, ma) + sum_squares(square, ra) + sum_squares(square, rb) - 2 * shared;
  if (*distance < 0) *distance = 0; /* rounding: it is a sum of squares */
  return true;
}

bool pl_frechet(pl_tensor *a, pl_tensor *b, double *distance) {
  if (!a || !b || !check_set("a", a) || !check_set("b", b)) return false;
  if (a->size[1] != b->size[1])
    return pl_fail("frechet: a is %s, b %s: %lld features against %lld", PL_DESCRIBE(a),
                   PL_DESCRIBE(b), (long long)a->size[1], (long long)b->size[1]);
  pl_tensor *x = pl_contiguous(a), *y = pl_contiguous(b);
  if (!x || !y || !check_values("a", x) || !check_values("b", y)) return false;
  int64_t d = a->size[1];
  double *memory = pl_scratch((size_t)(3 * d * d + 2 * d) * sizeof *memory);
  const int threads = pl_blas_begin();
  bool ok = memory && distance_between(x, y, memory, distance);
  pl_blas_end(threads);
  pl_scratch_free(memory);
  return ok;
}
