/*
** algorithm.c: which algorithm computes a matrix product. All decisions and their constants are
** here.
**
**   few multiplications, or within a parallel region   OpenBLAS, on the calling thread
**   many, and not too flat                             blocked.c, on all threads
**   between these, or narrow vectors                   OpenBLAS, each thread a slice of the result
**   many by one matrix                                 packed.c (called for by name)
**   a stack of products                                OpenBLAS, each thread some of them
**
** For the sizes of small networks a slice a thread is faster than letting OpenBLAS split one call.
** PERILUNE_GEMM=blas or blocked forces one of them where both are possible, for measurements and
** tests. `perilune bench/fit.lua` measures the constants on the processor at hand; those here were
** measured on two cores of a Zen 4 and of a Sapphire Rapids.
*/
#include <cblas.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../../base/base.h"
#include "../dispatch.h"

#ifdef PL_REAL_IS_DOUBLE
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

enum {
  /* Multiply-adds below which a second thread costs more than it saves. */
  PARALLEL_MIN = 100000,
  /* Multiply-adds below which packing the operands costs more than the own micro-kernel saves. */
  BLOCKED_MIN = 1000000,
  /* Rows or columns of the result below which it does, whatever the size. */
  FLAT_MAX = 4,
  /* Rows or columns of a slice, at least: the widest micro-kernel of OpenBLAS. */
  SLICE_MIN = 16,
  /* Elements of a piece of the result that gets its epilogue at a time. */
  EPILOGUE_PIECE = 4096
};

void pl_gemm_serial(const pl_gemm_job *j) {
  if (!j->m || !j->n) return;
  const int threads = pl_blas_begin();
  GEMM(CblasRowMajor, j->ta ? CblasTrans : CblasNoTrans, j->tb ? CblasTrans : CblasNoTrans,
       (blasint)j->m, (blasint)j->n, (blasint)j->k, 1, j->a, (blasint)PL_MAX(j->lda, 1), j->b,
       (blasint)PL_MAX(j->ldb, 1), j->accumulate, j->c, (blasint)PL_MAX(j->ldc, 1));
  pl_blas_end(threads);
}

/* Rows `from` up to `to` of the result. */
static pl_gemm_job rows_of(const pl_gemm_job *j, int64_t from, int64_t to) {
  pl_gemm_job s = *j;
  s.m = to - from;
  s.a += from * (j->ta ? 1 : j->lda);
  s.c += from * j->ldc;
  return s;
}

static pl_gemm_job columns_of(const pl_gemm_job *j, int64_t from, int64_t to) {
  pl_gemm_job s = *j;
  s.n = to - from;
  s.b += from * (j->tb ? j->ldb : 1);
  s.c += from;
  return s;
}

/* Slices begin at multiples of SLICE_MIN. */
static int64_t slice_start(int64_t n, int i, int slices) {
  return i == slices ? n : n * i / slices & ~(int64_t)(SLICE_MIN - 1);
}

static void blas_by_slices(const pl_gemm_job *j, int slices) {
  const bool rows = j->m >= j->n;
  const int64_t longest = rows ? j->m : j->n;
  pl_blas_one_thread();
#pragma omp parallel for schedule(static) num_threads(slices)
  for (int i = 0; i < slices; i++) {
    int64_t from = slice_start(longest, i, slices), to = slice_start(longest, i + 1, slices);
    pl_gemm_job slice = rows ? rows_of(j, from, to) : columns_of(j, from, to);
    pl_gemm_serial(&slice);
  }
}

/* The epilogue as a pass of its own, behind OpenBLAS; so are the sums below. */
static void apply_epilogue(const pl_gemm_job *j) {
  const int64_t piece = PL_MAX(1, EPILOGUE_PIECE / PL_MAX(j->n, 1));
  if (!j->epilogue) return;
#pragma omp parallel for schedule(static) if (j->m * j->n > PL_GRAIN)
  for (int64_t r = 0; r < j->m; r += piece) {
    const int64_t rows = PL_MIN(piece, j->m - r);
    PL_KERNELS(norm)->bias_act(rows, j->n, j->c + r * j->ldc, j->ldc, j->epilogue->bias,
                               j->epilogue->slope);
  }
}

static void sum_rows(const pl_gemm_job *j) {
  if (!j->sums) return;
  memset(j->sums, 0, (size_t)j->m * sizeof *j->sums);
  for (int64_t i = 0; i < j->k; i++)
    PL_KERNELS(reduce)->accumulate(j->m, j->sums, j->a + i * j->lda);
}

typedef enum { UNREAD, AUTOMATIC, BLOCKED, BLAS } wish;

/* What PERILUNE_GEMM says; whichever threads come first, each reads the same. */
static wish wished(void) {
  static atomic_int known = UNREAD;
  wish w = (wish)atomic_load_explicit(&known, memory_order_relaxed);
  if (w != UNREAD) return w;
  const char *text = getenv("PERILUNE_GEMM");
  w = text && !strcmp(text, "blocked") ? BLOCKED : text && !strcmp(text, "blas") ? BLAS : AUTOMATIC;
  atomic_store_explicit(&known, (int)w, memory_order_relaxed);
  return w;
}

/* Whether the own micro-kernel is worth packing the operands. */
static bool blocked_suits(const pl_gemm_job *j, int64_t work) {
  const wish forced = wished();
  if (!PL_KERNELS(gemm)->product || forced == BLAS) return false;
  return forced == BLOCKED || (work >= BLOCKED_MIN && PL_MIN(j->m, j->n) >= FLAT_MAX);
}

bool pl_gemm(const pl_gemm_job *j) {
  pl_blas_one_thread();
  const int64_t work = j->m * j->n * j->k;
  const int slices = (int)PL_MIN(omp_get_max_threads(), PL_MAX(j->m, j->n) / SLICE_MIN);
  const bool alone = work < PARALLEL_MIN || omp_in_parallel();
  if (!alone && blocked_suits(j, work)) return PL_KERNELS(gemm)->product(j, PL_MAX(slices, 1));
  if (alone || slices < 2) pl_gemm_serial(j);
  else blas_by_slices(j, slices);
  apply_epilogue(j);
  sum_rows(j);
  return true;
}

/*
** One product alone must not come this way: even a region of one thread is a region, and OpenMP
** starts new threads each time for one that is nested in it.
*/
void pl_gemm_stack(const pl_gemm_job *j, int64_t count, int64_t a_step, int64_t b_step) {
  pl_blas_one_thread();
#pragma omp parallel for schedule(static) if (count * j->m * j->n * j->k > PARALLEL_MIN)
  for (int64_t i = 0; i < count; i++) {
    pl_gemm_job one = *j;
    one.a += i * a_step;
    one.b += i * b_step;
    one.c += i * j->m * j->n;
    pl_gemm_serial(&one);
  }
}
