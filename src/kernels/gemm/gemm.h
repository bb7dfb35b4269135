/*
** gemm.h: matrix products. algorithm.c picks between the micro-kernel of this folder and OpenBLAS.
*/
#ifndef PERILUNE_GEMM_H
#define PERILUNE_GEMM_H

#include "../epilogue.h"

/*
** c[m,n] = a[m,k] b[k,n] + (accumulate ? c : 0), then the epilogue (NULL: none), whose bias is that
** of the columns; lda etc. in elements; ta: a is stored [k,m], tb: b is stored [n,k]. Of a
** transposed a the sums of its rows over k may be asked for too.
*/
typedef struct {
  int64_t m, n, k;
  const pl_real *a, *b;
  pl_real *c;
  int64_t lda, ldb, ldc;
  bool ta, tb, accumulate;
  const pl_epilogue *epilogue;
  pl_real *sums; /* [m], or NULL */
} pl_gemm_job;

/* On all threads if it is large enough. False: no memory, with the error slot set. */
bool pl_gemm(const pl_gemm_job *job);
/* On this thread only, without epilogue and sums; for use inside a parallel region. */
void pl_gemm_serial(const pl_gemm_job *job);
/* count products, of matrices a_step and b_step apart; those of c are dense. */
void pl_gemm_stack(const pl_gemm_job *job, int64_t count, int64_t a_step, int64_t b_step);

typedef struct {
  /* On `threads` threads. False: no memory, with the error slot set. NULL: there is no kernel. */
  bool (*product)(const pl_gemm_job *job, int threads);
} pl_gemm_kernels;

/* Products with a matrix b [k,n] that is packed once. */
typedef struct {
  /* elements of b when it is packed */
  int64_t (*size)(int64_t k, int64_t n);
  /* packs b, stored as [k,ldb] or, transposed, as [n,ldb]; may run its own threads */
  void (*pack)(int64_t k, int64_t n, const pl_real *b, int64_t ldb, bool transposed,
               pl_real *packed);
  /* c [m,n] = a [m,k] b + (accumulate ? c : 0), on the calling thread */
  void (*product)(int64_t m, int64_t n, int64_t k, const pl_real *a, int64_t lda,
                  const pl_real *packed, bool accumulate, pl_real *c, int64_t ldc);
} pl_packed_kernels;

#endif
