/*
** train.c: machines for two classes by LIBSVM (Chang and Lin, 2011), one for each pair of
** classes or each class against the rest.
**
** LIBSVM is serial and its svm_train shares nothing between calls but the function that
** prints, which is set once; rand() is called by its cross-validation and probabilities
** alone, which are not used here. So the machines are trained side by side, and what comes
** out depends on nothing but the examples. It takes the kernel as a matrix, computed here by
** matrix products once for all machines, as long as that fits into the memory allowed.
** A machine in training cannot be interrupted; the flag is looked at between machines. Nor does
** LIBSVM report that there is no memory: it crashes. It needs little beside the kernel matrix,
** which is taken here, and checked.
*/
#if __has_include(<libsvm/svm.h>)
#include <libsvm/svm.h>
#else
#include <svm.h>
#endif

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>

#include "../tensor/tensor.h"
#include "learn.h"

typedef struct {
  const pl_svm_options *o;
  int64_t n, d, k, machines;
  const double *x;       /* [n,d] */
  int *class;            /* [n]: position in the list of classes */
  struct svm_node *node; /* the examples or rows of the kernel matrix, as LIBSVM wants them */
  struct svm_node **row; /* [n] */
  bool matrix;
  double *coefficient; /* [n,machines] */
  double *bias;        /* [machines] */
} job;

/*
** The kernel matrix: row i is {0, i}, {1, k(i,1)}, {2, k(i,2)}, ...
*/

enum { BLOCK = 64 };

static void kernel_rows(const job *j, const double *square, int64_t from, int64_t m, double *dots) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)j->n, (blasint)j->d, 1,
              j->x + from * j->d, (blasint)j->d, j->x, (blasint)j->d, 0, dots, (blasint)j->n);
  for (int64_t i = 0; i < m; i++, dots += j->n) {
    struct svm_node *row = j->row[from + i];
    row[0] = (struct svm_node){0, (double)(from + i + 1)};
    for (int64_t c = 0; c < j->n; c++) {
      const double distance = square[from + i] + square[c] - 2 * dots[c];
      const double v =
          j->o->kernel == PL_MAP_RBF ? exp(-j->o->gamma * PL_MAX(distance, 0)) : dots[c];
      row[c + 1] = (struct svm_node){(int)(c + 1), v};
    }
  }
}

static bool fill_matrix(job *j) {
  const int threads = omp_get_max_threads();
  double *scratch = pl_scratch((size_t)((threads * BLOCK + 1) * j->n) * sizeof *scratch);
  j->node = malloc((size_t)(j->n * (j->n + 1)) * sizeof *j->node);
  if (!scratch || !j->node) return pl_scratch_free(scratch), false;
  double *square = scratch + threads * BLOCK * j->n;
  pl_blas_begin();
  for (int64_t i = 0; i < j->n; i++) {
    j->row[i] = j->node + i * (j->n + 1);
    square[i] = cblas_ddot((blasint)j->d, j->x + i * j->d, 1, j->x + i * j->d, 1);
  }
  pl_blas_end(threads);
  const pl_context *here = PL_HERE;
#pragma omp parallel for schedule(static)
  for (int64_t from = 0; from < j->n; from += BLOCK)
    if (!pl_context_interrupted(here))
      kernel_rows(j, square, from, PL_MIN(BLOCK, j->n - from),
                  scratch + omp_get_thread_num() * BLOCK * j->n);
  pl_scratch_free(scratch);
  return pl_check_interrupt();
}

/* The examples without their zeros. */
static bool fill_sparse(job *j) {
  int64_t count = 0;
  for (int64_t i = 0; i < j->n * j->d; i++) count += j->x[i] != 0;
  struct svm_node *at = j->node = malloc((size_t)(count + j->n) * sizeof *at);
  if (!at) return false;
  for (int64_t i = 0; i < j->n; i++) {
    j->row[i] = at;
    for (int64_t c = 0; c < j->d; c++)
      if (j->x[i * j->d + c] != 0) *at++ = (struct svm_node){(int)(c + 1), j->x[i * j->d + c]};
    *at++ = (struct svm_node){-1, 0};
  }
  return true;
}

/*
** Machines
*/

static void silent(const char *text) { (void)text; }

static struct svm_parameter parameters(const job *j) {
  const int kernel = j->matrix ? PRECOMPUTED : j->o->kernel == PL_MAP_RBF ? RBF : LINEAR;
  return (struct svm_parameter){.svm_type = C_SVC,
                                .kernel_type = kernel,
                                .gamma = j->o->gamma,
                                .cache_size = 200,
                                .eps = j->o->tolerance,
                                .C = j->o->cost,
                                .shrinking = 1};
}

/* The two classes of a machine; against the rest is -1. */
static void classes_of(const job *j, int64_t machine, int *first, int *second) {
  *first = (int)machine, *second = -1;
  if (!j->o->pairs) return;
  int64_t left = machine, i = 0;
  for (; left >= j->k - 1 - i; i++) left -= j->k - 1 - i;
  *first = (int)i, *second = (int)(i + 1 + left);
}

/* The examples of the first class come first, so that values above 0 are for it. */
static int collect(const job *j, int first, int second, struct svm_node **row, double *y,
                   int *from) {
  int n = 0;
  for (int side = 0; side < 2; side++)
    for (int64_t i = 0; i < j->n; i++) {
      const bool is_first = j->class[i] == first;
      if (side == 0 ? !is_first : is_first || (second >= 0 && j->class[i] != second)) continue;
      row[n] = j->row[i], y[n] = side == 0 ? 1 : -1, from[n] = (int)i;
      n++;
    }
  return n;
}

static void keep(job *j, int64_t machine, const struct svm_model *model, const int *from) {
  const double sign = model->label[0] == 1 ? 1 : -1;
  for (int i = 0; i < model->l; i++)
    j->coefficient[from[model->sv_indices[i] - 1] * j->machines + machine] =
        sign * model->sv_coef[0][i];
  j->bias[machine] = -sign * model->rho[0];
}

static bool train_one(job *j, int64_t machine) {
  struct svm_node **row = malloc((size_t)j->n * sizeof *row);
  double *y = malloc((size_t)j->n * sizeof *y);
  int *from = malloc((size_t)j->n * sizeof *from), first, second;
  bool ok = row && y && from;
  if (ok) {
    classes_of(j, machine, &first, &second);
    const int n = collect(j, first, second, row, y, from);
    const struct svm_problem problem = {n, y, row};
    const struct svm_parameter parameter = parameters(j);
    struct svm_model *model = svm_train(&problem, &parameter);
    if ((ok = model != NULL)) keep(j, machine, model, from);
    svm_free_and_destroy_model(&model);
  }
  free(row);
  free(y);
  free(from);
  return ok;
}

/* LIBSVM's one variable. */
static pthread_once_t silence_once = PTHREAD_ONCE_INIT;
static void silence(void) { svm_set_print_string_function(silent); }

static bool train_all(job *j) {
  bool ok = true;
  const pl_context *here = PL_HERE;
  pthread_once(&silence_once, silence);
#pragma omp parallel for schedule(dynamic) reduction(&& : ok)
  for (int64_t i = 0; i < j->machines; i++)
    if (!pl_context_interrupted(here)) ok = train_one(j, i) && ok;
  if (!ok) return pl_fail_as(PL_ERROR_MEMORY, "svm: not enough memory for training");
  return pl_check_interrupt();
}

/*
** The result
*/

static bool is_support(const job *j, int64_t i) {
  for (int64_t c = 0; c < j->machines; c++)
    if (j->coefficient[i * j->machines + c] != 0) return true;
  return false;
}

static void copy_reals(pl_real *to, const double *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = (pl_real)from[i];
}

/* w = sum of coefficient times example */
static bool linear_result(const job *j, pl_svm_result *r) {
  double *w = pl_scratch((size_t)(j->d * j->machines + 1) * sizeof *w);
  r->weights = pl_empty(PL_REAL, pl_list(j->d, j->machines));
  if (!w || !r->weights) return pl_scratch_free(w), false;
  const int threads = pl_blas_begin();
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)j->d, (blasint)j->machines,
              (blasint)j->n, 1, j->x, (blasint)j->d, j->coefficient, (blasint)j->machines, 0, w,
              (blasint)j->machines);
  pl_blas_end(threads);
  copy_reals(pl_reals(r->weights), w, j->d * j->machines);
  pl_scratch_free(w);
  return true;
}

static bool rbf_result(const job *j, pl_svm_result *r) {
  r->points = pl_empty(PL_REAL, pl_list(r->support, j->d));
  r->weights = pl_empty(PL_REAL, pl_list(r->support, j->machines));
  if (!r->points || !r->weights) return false;
  pl_real *point = pl_reals(r->points), *weight = pl_reals(r->weights);
  for (int64_t i = 0; i < j->n; i++)
    if (is_support(j, i)) {
      copy_reals(point, j->x + i * j->d, j->d);
      copy_reals(weight, j->coefficient + i * j->machines, j->machines);
      point += j->d, weight += j->machines;
    }
  return true;
}

static bool finish(const job *j, pl_svm_result *r) {
  for (int64_t i = 0; i < j->n; i++) r->support += is_support(j, i);
  r->bias = pl_empty(PL_REAL, pl_list(j->machines));
  if (!r->bias) return false;
  copy_reals(pl_reals(r->bias), j->bias, j->machines);
  return j->o->kernel == PL_MAP_RBF ? rbf_result(j, r) : linear_result(j, r);
}

/* The place of each label in the ascending list. */
static void find_classes(const pl_tensor *labels, const pl_tensor *classes, int *class) {
  for (int64_t i = 0; i < pl_numel(labels); i++) {
    int low = 0, high = (int)pl_numel(classes) - 1;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (pl_at(classes, middle) < pl_at(labels, i)) low = middle + 1;
      else high = middle;
    }
    class[i] = low;
  }
}

static bool job_begin(job *j, const pl_tensor *x, const pl_tensor *labels,
                      const pl_tensor *classes) {
  double *values = pl_scratch((size_t)(j->n * j->d) * sizeof *values);
  j->x = values;
  j->class = calloc((size_t)j->n, sizeof *j->class);
  j->row = calloc((size_t)j->n, sizeof *j->row);
  j->coefficient = calloc((size_t)(j->n * j->machines), sizeof *j->coefficient);
  j->bias = calloc((size_t)j->machines, sizeof *j->bias);
  if (!values || !j->class || !j->row || !j->coefficient || !j->bias) return false;
  pl_values(x, values);
  find_classes(labels, classes, j->class);
  return j->matrix ? fill_matrix(j) : fill_sparse(j);
}

static void job_end(job *j) {
  pl_scratch_free((double *)j->x);
  free(j->class);
  free(j->row);
  free(j->node);
  free(j->coefficient);
  free(j->bias);
}

bool pl_svm_train(pl_tensor *x, pl_tensor *labels, pl_tensor *classes, const pl_svm_options *o,
                  pl_svm_result *result) {
  *result = (pl_svm_result){0};
  const int64_t k = pl_numel(classes);
  if (!pl_examples_check("svm", x) || !pl_labels_check("svm", labels, x->size[0])) return false;
  if (k < 2)
    return pl_fail("svm: all %lld labels are equal; two classes expected", (long long)x->size[0]);
  if (x->size[0] > INT32_MAX / 2) return pl_fail("svm: too many examples");
  job j = {.o = o, .n = x->size[0], .d = x->size[1], .k = k};
  j.machines = o->pairs ? k * (k - 1) / 2 : k;
  j.matrix = (double)j.n * (double)(j.n + 1) * sizeof(struct svm_node) <= o->memory;
  bool ok = job_begin(&j, x, labels, classes);
  if (!ok) pl_fail_as(PL_ERROR_MEMORY, "svm: not enough memory for %lld examples", (long long)j.n);
  ok = ok && train_all(&j) && finish(&j, result);
  job_end(&j);
  return ok;
}
