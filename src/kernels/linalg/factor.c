/*
** factor.c: factorisations by LAPACK, which reads matrices by columns; ours lie by rows, so it sees
** each one transposed. Nothing is copied for that, for the factors of one are those of the other:
**
**        ours                as LAPACK sees it
**   a = l l'                 a = u' u, where u = l'              lower is upper
**   a = u' l' p              a' = p' l u                         rows are exchanged last
**   a = q r                  a' = r' q' = l q                    QR is LQ
**   a = u s vh               a' = vh' s u'                       u and vh change places
**
** Matrices of a stack are dealt to the threads by the caller (ops/matrices.c), who sees to it that
** OpenBLAS uses no others: a result never depends on their number.
*/
#include <math.h>
#include <string.h>

#include "lapack.h"
#include "linalg.h"

/* What LAPACK says of the size of its workspace is a real, which may have been rounded down. */
static bool room_of(pl_real asked, int64_t *size) {
  *size = (int64_t)ceil((double)asked * (1 + 0x1p-20));
  return *size <= INT32_MAX;
}

int64_t pl_cholesky_in_place(int64_t n, pl_real *a) {
  const blasint size = (blasint)n;
  blasint info;
  LAPACK(potrf)("U", &size, a, &size, &info, 1);
  if (info) return info;
  for (int64_t i = 0; i < n; i++) {
    if (!(a[i * n + i] > 0)) return i + 1; /* OpenBLAS lets NaN pass */
    memset(a + i * n + i + 1, 0, (size_t)(n - i - 1) * sizeof *a);
  }
  return 0;
}

/*
** LU
*/

int64_t pl_lu_in_place(int64_t n, pl_real *a, blasint *pivots) {
  const blasint size = (blasint)n;
  blasint info;
  LAPACK(getrf)(&size, &size, a, &size, pivots, &info);
  for (int64_t i = 0; i < n; i++) /* OpenBLAS lets very small pivots pass, and says so of others */
    if (a[i * n + i] == 0) return i + 1;
  return 0;
}

int pl_lu_sign(int64_t n, const blasint *pivots) {
  int sign = 1;
  for (int64_t i = 0; i < n; i++)
    if (pivots[i] != i + 1) sign = -sign;
  return sign;
}

void pl_lu_solve(int64_t n, int64_t k, const pl_real *lu, const blasint *pivots, pl_real *b) {
  if (!k) return;
  pl_triangle_solve((pl_triangle){.left = true}, n, k, lu, n, b);
  pl_triangle_solve((pl_triangle){.left = true, .upper = true, .unit = true}, n, k, lu, n, b);
  for (int64_t i = n - 1; i >= 0; i--)
    if (pivots[i] != i + 1) SWAP((blasint)k, b + i * k, 1, b + (pivots[i] - 1) * k, 1);
}

void pl_triangle_solve(pl_triangle t, int64_t m, int64_t n, const pl_real *a, int64_t lda,
                       pl_real *b) {
  TRSM(CblasRowMajor, t.left ? CblasLeft : CblasRight,
       t.upper == t.transposed ? CblasLower : CblasUpper, t.transposed ? CblasTrans : CblasNoTrans,
       t.unit ? CblasUnit : CblasNonUnit, (blasint)m, (blasint)n, 1, a, (blasint)lda, b,
       (blasint)n);
}

/*
** QR. The room has in it the matrix, the lengths of the reflections, and LAPACK's own
*/

bool pl_qr_room(int64_t m, int64_t n, pl_linalg_room *room) {
  const blasint rows = (blasint)n, columns = (blasint)m, k = (blasint)PL_MIN(m, n), query = -1;
  blasint info;
  pl_real asked[2] = {0};
  int64_t size[2];
  *room = (pl_linalg_room){0};
  if (!m || !n) return true;
  LAPACK(gelqf)(&rows, &columns, NULL, &rows, NULL, asked, &query, &info);
  LAPACK(orglq)(&k, &columns, &k, NULL, &k, NULL, asked + 1, &query, &info);
  if (!room_of(asked[0], size) || !room_of(asked[1], size + 1)) return false;
  *room = (pl_linalg_room){.reals = m * n + k + PL_MAX(size[0], size[1])};
  return true;
}

void pl_qr(int64_t m, int64_t n, const pl_real *a, pl_real *q, pl_real *r, pl_real *work,
           pl_linalg_room room) {
  const int64_t smaller = PL_MIN(m, n);
  const blasint rows = (blasint)n, columns = (blasint)m, k = (blasint)smaller,
                left = (blasint)(room.reals - m * n - smaller);
  pl_real *lq = work, *tau = work + m * n, *rest = tau + smaller;
  blasint info;
  memcpy(lq, a, (size_t)(m * n) * sizeof *a);
  LAPACK(gelqf)(&rows, &columns, lq, &rows, tau, rest, &left, &info);
  for (int64_t i = 0; i < smaller; i++)
    for (int64_t j = 0; j < n; j++) r[i * n + j] = j < i ? 0 : lq[i * n + j];
  for (int64_t i = 0; i < m; i++) memcpy(q + i * smaller, lq + i * n, (size_t)smaller * sizeof *q);
  LAPACK(orglq)(&k, &columns, &k, q, &k, tau, rest, &left, &info);
}

/*
** Eigenvalues and singular values
*/

bool pl_eigh_room(int64_t n, bool vectors, pl_linalg_room *room) {
  const blasint size = (blasint)n, query = -1;
  blasint info, ints = 0;
  pl_real asked = 0;
  *room = (pl_linalg_room){0};
  if (!n) return true;
  if (vectors && 2 * n * n + 6 * n + 1 > INT32_MAX) return false;
  LAPACK(syevd)
  (vectors ? "V" : "N", "U", &size, NULL, &size, NULL, &asked, &query, &ints, &query, &info, 1, 1);
  room->ints = ints;
  return room_of(asked, &room->reals);
}

int64_t pl_eigh(int64_t n, bool vectors, pl_real *a, pl_real *w, pl_real *work, blasint *ints,
                pl_linalg_room room) {
  const blasint size = (blasint)n, reals = (blasint)room.reals, integers = (blasint)room.ints;
  blasint info;
  LAPACK(syevd)
  (vectors ? "V" : "N", "U", &size, a, &size, w, work, &reals, ints, &integers, &info, 1, 1);
  return info;
}

bool pl_svd_room(int64_t m, int64_t n, char job, pl_linalg_room *room) {
  const int64_t less = PL_MIN(m, n), more = PL_MAX(m, n);
  const blasint rows = (blasint)n, columns = (blasint)m, query = -1;
  blasint info, ints;
  pl_real asked = 0;
  *room = (pl_linalg_room){0};
  if (!less) return true;
  if (job != 'N' && 5 * less * less + 10 * less + more > INT32_MAX) return false;
  LAPACK(gesdd)
  (&job, &rows, &columns, NULL, &rows, NULL, NULL, &rows, NULL, &columns, &asked, &query, &ints,
   &info, 1);
  room->ints = 8 * less;
  return room_of(asked, &room->reals) && room->ints <= INT32_MAX;
}

int64_t pl_svd(int64_t m, int64_t n, char job, pl_real *a, pl_real *u, pl_real *s, pl_real *vh,
               pl_real *work, blasint *ints, pl_linalg_room room) {
  const blasint rows = (blasint)n, columns = (blasint)m, reals = (blasint)room.reals,
                ldu = (blasint)(job == 'A' ? m : PL_MIN(m, n));
  blasint info;
  LAPACK(gesdd)
  (&job, &rows, &columns, a, &rows, s, vh, &rows, u, &ldu, work, &reals, ints, &info, 1);
  return info;
}
