/*
** lapack.h: what is used of LAPACK (Anderson et al. 1999), which OpenBLAS brings. Fortran takes all
** arguments by address, and behind them the length of each text among them.
*/
#ifndef PERILUNE_LAPACK_H
#define PERILUNE_LAPACK_H

#include <cblas.h>
#include <stddef.h>

#include "perilune.h"

#ifdef PL_REAL_IS_DOUBLE
#define LAPACK(name) d##name##_
#define TRSM         cblas_dtrsm
#define SWAP         cblas_dswap
#else
#define LAPACK(name) s##name##_
#define TRSM         cblas_strsm
#define SWAP         cblas_sswap
#endif

/* Cholesky factor */
void LAPACK(potrf)(const char *uplo, const blasint *n, pl_real *a, const blasint *lda,
                   blasint *info, size_t);
/* LU with partial pivoting */
void LAPACK(getrf)(const blasint *m, const blasint *n, pl_real *a, const blasint *lda,
                   blasint *pivots, blasint *info);
/* LQ, and the rows of Q from what it left */
void LAPACK(gelqf)(const blasint *m, const blasint *n, pl_real *a, const blasint *lda, pl_real *tau,
                   pl_real *work, const blasint *lwork, blasint *info);
void LAPACK(orglq)(const blasint *m, const blasint *n, const blasint *k, pl_real *a,
                   const blasint *lda, const pl_real *tau, pl_real *work, const blasint *lwork,
                   blasint *info);
/* eigenvalues, and vectors, of a symmetric matrix */
void LAPACK(syevd)(const char *jobz, const char *uplo, const blasint *n, pl_real *a,
                   const blasint *lda, pl_real *w, pl_real *work, const blasint *lwork,
                   blasint *iwork, const blasint *liwork, blasint *info, size_t, size_t);
/* singular values, and vectors */
void LAPACK(gesdd)(const char *jobz, const blasint *m, const blasint *n, pl_real *a,
                   const blasint *lda, pl_real *s, pl_real *u, const blasint *ldu, pl_real *vt,
                   const blasint *ldvt, pl_real *work, const blasint *lwork, blasint *iwork,
                   blasint *info, size_t);

#endif
