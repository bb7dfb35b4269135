/*
** matrices.c: stacks of matrices: checks, sizes, and a loop that deals the matrices of a stack to
** the threads. A matrix has the same result whichever thread has it.
*/
#include "matrices.h"

#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>

/* Multiplications below which a second thread costs more than it saves, as in
 * kernels/gemm/algorithm.c. */
enum { PARALLEL_MIN = 100000 };

/*
** Sizes
*/

pl_ints pl_stack_of_numbers(const pl_tensor *t) {
  pl_ints size = pl_size(t);
  size.n -= 2;
  return size;
}

pl_ints pl_stack_of_vectors(const pl_tensor *t, int64_t n) {
  pl_ints size = pl_stack_of_numbers(t);
  size.v[size.n++] = n;
  return size;
}

pl_ints pl_stack_of(const pl_tensor *t, int64_t rows, int64_t columns) {
  pl_ints size = pl_stack_of_vectors(t, rows);
  size.v[size.n++] = columns;
  return size;
}

int64_t pl_matrix_count(const pl_tensor *t) { return pl_count(pl_stack_of_numbers(t)); }

pl_tensor *pl_identity(int64_t n) {
  pl_tensor *y = pl_full(PL_REAL, pl_list(n, n), 0);
  for (int64_t i = 0; y && i < n; i++) pl_reals(y)[i * n + i] = 1;
  return y;
}

double pl_matrix_flops(const pl_args *c) {
  const pl_tensor *a = c->in[0];
  return *(const double *)c->op->data * (double)pl_numel(a) * (double)pl_smaller(a);
}

/*
** Checks
*/

bool pl_need_matrices(const pl_args *c, int i) {
  const pl_tensor *t = c->in[i];
  if (!pl_need_real(c, i)) return false;
  if (t->rank < 2)
    return pl_op_fail(c, "%s is %s, expected a matrix, or a stack of them", pl_input_name(c->op, i),
                      PL_DESCRIBE(t));
  if (pl_rows_of(t) <= INT32_MAX && pl_columns_of(t) <= INT32_MAX) return true;
  return pl_op_fail(c, "%s is %s; LAPACK takes at most %d rows and columns",
                    pl_input_name(c->op, i), PL_DESCRIBE(t), INT32_MAX);
}

bool pl_need_square(const pl_args *c, int i) {
  const pl_tensor *t = c->in[i];
  if (!pl_need_matrices(c, i)) return false;
  if (pl_rows_of(t) == pl_columns_of(t)) return true;
  return pl_op_fail(c, "%s is %s, expected a square matrix, or a stack of them",
                    pl_input_name(c->op, i), PL_DESCRIBE(t));
}

/* "a (real[2,2])", or "matrix 2 of a (real[3,2,2])" with one position a dim of the stack. */
static const char *name_matrix(const pl_args *c, int64_t i, char *text, size_t room) {
  const pl_tensor *t = c->in[0];
  pl_ints at = pl_stack_of_numbers(t);
  char position[PL_TEXT];
  for (int d = at.n - 1; d >= 0; d--) {
    at.v[d] = i % t->size[d] + 1;
    i /= t->size[d];
  }
  pl_size_text(at, position, sizeof position);
  snprintf(text, room, "%s%s%s%s (%s)", at.n ? "matrix " : "", position, at.n ? " of " : "",
           pl_input_name(c->op, 0), PL_DESCRIBE(t));
  return text;
}

#define NAME_MATRIX(c, i) name_matrix(c, i, (char[3 * PL_TEXT]){0}, 3 * PL_TEXT)

bool pl_matrix_fail(const pl_args *c, int64_t matrix, const char *format, ...) {
  char text[200];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return pl_op_fail(c, "%s %s", NAME_MATRIX(c, matrix), text);
}

bool pl_too_large(const pl_args *c) {
  return pl_op_fail(c,
                    "%s is %s; LAPACK counts its workspace in 32 bits, which are too few for that",
                    pl_input_name(c->op, 0), PL_DESCRIBE(c->in[0]));
}

static bool is_finite(int64_t n, const pl_real *x) {
  bool yes = true;
  for (int64_t i = 0; i < n; i++) yes &= isfinite(x[i]) != 0;
  return yes;
}

bool pl_need_finite(const pl_args *c) {
  pl_tensor *t = pl_contiguous(c->in[0]);
  if (!t) return false;
  const int64_t one = pl_rows_of(t) * pl_columns_of(t);
  for (int64_t k = 0; one && k < pl_matrix_count(t); k++)
    if (!is_finite(one, pl_reals(t) + k * one))
      return pl_matrix_fail(c, k, "holds NaN or infinity; expected finite numbers");
  return true;
}

/*
** Broadcasting
*/

/* b is vectors if it is one, or as many as there are matrices. */
static bool are_vectors(const pl_tensor *a, const pl_tensor *b) {
  if (b->rank == 1) return true;
  bool same = b->rank == a->rank - 1;
  for (int d = 0; same && d < b->rank; d++) same = b->size[d] == a->size[d];
  return same;
}

/* The first dims of t, the last n left out. */
static pl_tensor without_last(const pl_tensor *t, int n) {
  pl_tensor s = {.dtype = PL_REAL, .rank = t->rank - n};
  for (int d = 0; d < s.rank; d++) s.size[d] = t->size[d];
  return s;
}

static pl_ints with_last(pl_ints stack, const pl_tensor *t, int n) {
  for (int d = t->rank - n; d < t->rank; d++) stack.v[stack.n++] = t->size[d];
  return stack;
}

bool pl_broadcast_stacks(const pl_args *c, pl_tensor **in) {
  const pl_tensor *a = in[0], *b = in[1];
  if (!pl_need_matrices(c, 0) || !pl_need_real(c, 1)) return false;
  if (b->rank < 1)
    return pl_op_fail(c, "%s is %s, expected a vector, a matrix, or a stack of them",
                      pl_input_name(c->op, 1), PL_DESCRIBE(b));
  const int last = are_vectors(a, b) ? 1 : 2;
  const pl_tensor stack_a = without_last(a, 2), stack_b = without_last(b, last);
  pl_ints stack;
  if (!pl_broadcast(c->op->name, &stack_a, &stack_b, &stack)) {
    pl_error_clear(); /* it would show the dims of the stacks alone */
    return pl_op_fail(c, "the stacks of a (%s) and b (%s) do not broadcast", PL_DESCRIBE(a),
                      PL_DESCRIBE(b));
  }
  in[0] = pl_expand_to(in[0], with_last(stack, a, 2));
  in[1] = pl_expand_to(in[1], with_last(stack, b, last));
  return in[0] && in[1];
}

/*
** Each matrix
*/

typedef struct {
  const pl_each *e;
  char *memory; /* a piece for each thread */
  size_t piece;
  pl_trouble trouble;
} loop;

static size_t bytes_of_room(const pl_each *e) {
  const size_t bytes =
      (size_t)e->room.reals * sizeof(pl_real) + (size_t)e->room.ints * sizeof(blasint);
  return (bytes + 63) & ~(size_t)63;
}

static void do_one(loop *s, int64_t i, int thread) {
  pl_real *reals = (pl_real *)(s->memory + (size_t)thread * s->piece);
  const int64_t what = s->e->one(s->e, i, reals, (blasint *)(reals + s->e->room.reals));
  if (!what) return;
#pragma omp critical(pl_each_matrix)
  if (!s->trouble.what || i < s->trouble.matrix) s->trouble = (pl_trouble){i, what};
}

static void do_all(loop *s, int64_t count, int threads) {
  if (threads > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < count; i++) do_one(s, i, omp_get_thread_num());
  } else {
    const int usual = pl_blas_begin();
    for (int64_t i = 0; i < count; i++) do_one(s, i, 0);
    pl_blas_end(usual);
  }
}

bool pl_each_matrix(const pl_each *e, int64_t count, pl_trouble *trouble) {
  *trouble = (pl_trouble){0};
  if (!count || !e->m || !e->n) return true;
  pl_blas_one_thread();
  const double work = (double)count * (double)e->m * (double)e->n * (double)PL_MIN(e->m, e->n);
  const bool alone = work < PARALLEL_MIN || omp_in_parallel();
  const int threads = alone ? 1 : (int)PL_MIN(omp_get_max_threads(), count);
  loop s = {.e = e, .piece = bytes_of_room(e)};
  const size_t all = s.piece * (size_t)threads;
  if (all && !(s.memory = pl_scratch(all))) return false;
  do_all(&s, count, threads);
  pl_scratch_free(s.memory);
  *trouble = s.trouble;
  return true;
}
