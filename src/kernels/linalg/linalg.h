/*
** linalg.h: factorisations of one dense matrix, in row-major order, on the calling thread; see
** factor.c. Sizes are at most INT32_MAX, and not 0 but for the rooms.
*/
#ifndef PERILUNE_LINALG_H
#define PERILUNE_LINALG_H

#include <cblas.h>

#include "../../base/base.h"

/* Memory that a factorisation works in. */
typedef struct {
  int64_t reals, ints;
} pl_linalg_room;

/* The memory for each; false, without a message, if LAPACK could not count it in 32 bits. */
bool pl_qr_room(int64_t m, int64_t n, pl_linalg_room *room);
bool pl_eigh_room(int64_t n, bool vectors, pl_linalg_room *room);
bool pl_svd_room(int64_t m, int64_t n, char job, pl_linalg_room *room);

/* a [n,n], of which the lower triangle is read, becomes its lower factor; returns the order of the
 * first leading minor that is not positive, or 0. */
int64_t pl_cholesky_in_place(int64_t n, pl_real *a);
/* a [n,n] becomes its factors; returns the position of the first pivot that is 0, from 1, or 0. */
int64_t pl_lu_in_place(int64_t n, pl_real *a, blasint *pivots);
/* The sign that the exchanges of rows give to a determinant. */
int pl_lu_sign(int64_t n, const blasint *pivots);
/* b [n,k] becomes the solution x of a x = b. */
void pl_lu_solve(int64_t n, int64_t k, const pl_real *lu, const blasint *pivots, pl_real *b);
/* b [m,n] becomes x of a x = b, or x a = b if not left. a is triangular, and read transposed if
 * `transposed`; `upper` is said of what is read then. */
typedef struct {
  bool upper, left, unit, transposed;
} pl_triangle;
void pl_triangle_solve(pl_triangle t, int64_t m, int64_t n, const pl_real *a, int64_t lda,
                       pl_real *b);
/* q [m,k] and r [k,n] of a [m,n], where k is the smaller of m and n. */
void pl_qr(int64_t m, int64_t n, const pl_real *a, pl_real *q, pl_real *r, pl_real *work,
           pl_linalg_room room);
/* a [n,n], symmetric, of which the lower triangle is read: eigenvalues w [n] in ascending order, and
 * if `vectors` the rows of a become the eigenvectors; returns 0, or what did not converge. */
int64_t pl_eigh(int64_t n, bool vectors, pl_real *a, pl_real *w, pl_real *work, blasint *ints,
                pl_linalg_room room);
/* a [m,n], which is lost, = u s vh: singular values s [k] in descending order; by job 'S' also u
 * [m,k] and vh [k,n], by 'A' u [m,m] and vh [n,n], by 'N' neither. Returns as pl_eigh. */
int64_t pl_svd(int64_t m, int64_t n, char job, pl_real *a, pl_real *u, pl_real *s, pl_real *vh,
               pl_real *work, blasint *ints, pl_linalg_room room);

#endif
