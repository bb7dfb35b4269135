/*
** matmul.c: matrix products of tensors; kernels/gemm/algorithm.c picks how they are computed.
*/
#include <string.h>

#include "ops.h"

/*
** bmm: the product itself, of matrices or of batches of them
*/

/* A matrix of a stack as BLAS wants it: t itself if rows or columns are dense, else a copy. */
typedef struct {
  pl_tensor *t;
  bool transposed;
  int64_t ld, batch; /* distance of rows, of matrices */
} operand;

static bool dense(const pl_tensor *t, int inner, int outer) {
  return (t->stride[inner] == 1 || t->size[inner] == 1) &&
         (t->stride[outer] >= PL_MAX(t->size[inner], 1) || t->size[outer] == 1);
}

static bool operand_of(pl_tensor *t, operand *o) {
  int r = t->rank;
  *o = (operand){.t = t};
  if (dense(t, r - 1, r - 2)) {
    o->ld = t->size[r - 2] == 1 ? t->size[r - 1] : t->stride[r - 2];
  } else if (dense(t, r - 2, r - 1)) {
    o->transposed = true;
    o->ld = t->size[r - 1] == 1 ? t->size[r - 2] : t->stride[r - 1];
  } else if ((o->t = t = pl_contiguous(t))) {
    o->ld = t->size[r - 1];
  } else {
    return false;
  }
  o->batch = r == 3 ? t->stride[0] : 0;
  return true;
}

static bool bmm_shape(pl_args *c) {
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1)) return false;
  const pl_tensor *a = c->in[0], *b = c->in[1];
  int r = a->rank;
  if ((r != 2 && r != 3) || b->rank != r)
    return pl_op_fail(c, "%s x %s: two matrices, or two stacks of matrices, expected",
                      PL_DESCRIBE(a), PL_DESCRIBE(b));
  if (a->size[r - 1] != b->size[r - 2])
    return pl_op_fail(c, "%s x %s: inner sizes %lld and %lld differ", PL_DESCRIBE(a),
                      PL_DESCRIBE(b), (long long)a->size[r - 1], (long long)b->size[r - 2]);
  if (r == 3 && a->size[0] != b->size[0])
    return pl_op_fail(c, "%s x %s: %lld and %lld matrices", PL_DESCRIBE(a), PL_DESCRIBE(b),
                      (long long)a->size[0], (long long)b->size[0]);
  pl_ints size = pl_size(a);
  size.v[r - 1] = b->size[r - 1];
  return pl_out(c, 0, PL_REAL, size);
}

static bool bmm_forward(pl_args *c) {
  operand a, b;
  if (!operand_of(c->in[0], &a) || !operand_of(c->in[1], &b)) return false;
  pl_tensor *y = c->out[0];
  int r = y->rank;
  pl_gemm_job j = {.m = y->size[r - 2],
                   .n = y->size[r - 1],
                   .k = a.t->size[r - 1],
                   .lda = a.ld,
                   .ldb = b.ld,
                   .ldc = y->size[r - 1],
                   .ta = a.transposed,
                   .tb = b.transposed};
  j.a = pl_reals(a.t);
  j.b = pl_reals(b.t);
  j.c = pl_reals(y);
  if (r == 2 || y->size[0] == 1) return pl_gemm(&j);
  pl_gemm_stack(&j, y->size[0], a.batch, b.batch);
  return true;
}

static bool bmm_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  if (needs_grad & 1) gin[0] = pl_bmm(gout[0], pl_transpose(c->in[1], -2, -1));
  if (needs_grad & 2) gin[1] = pl_bmm(pl_transpose(c->in[0], -2, -1), gout[0]);
  return !pl_error();
}

static double bmm_flops(const pl_args *c) {
  const pl_tensor *a = c->in[0];
  return 2.0 * (double)pl_numel(c->out[0]) * (double)a->size[a->rank - 1];
}

PL_OP(
    bmm, .group = PL_GROUP_PRODUCTS, .inputs = "a b",
    .doc =
        "the matrix product of a [m,k] and b [k,n], or of each pair of stacks [s,m,k] and [s,k,n]",
    .onnx = "MatMul(a, b)", .samples = "any[2,3] any[3,4]; any[3,2,3] any[3,3,2]",
    .shape = bmm_shape, .forward = bmm_forward, .gradient = bmm_rule, .flops = bmm_flops,
    .unsaved = PL_UNSAVED_OUT);

/*
** matmul: any ranks, brought to bmm
*/

/* The sizes before the last two. */
static pl_ints stack_size(const pl_tensor *t) {
  pl_ints s = pl_size(t);
  s.n -= 2;
  return s;
}

static pl_ints join(pl_ints stack, int64_t rows, int64_t columns) {
  stack.v[stack.n++] = rows;
  stack.v[stack.n++] = columns;
  return stack;
}

/* One operand with its stack expanded and flattened: [s, rows, columns]. */
static pl_tensor *stacked(pl_tensor *t, pl_ints stack) {
  int64_t rows = t->size[t->rank - 2], columns = t->size[t->rank - 1];
  pl_tensor *x = pl_expand_to(t, join(stack, rows, columns));
  return pl_reshape(x, pl_list(pl_count(stack), rows, columns));
}

/* The product of all sizes but the last. */
static int64_t rows_in(const pl_tensor *t) {
  pl_ints s = pl_size(t);
  s.n--;
  return pl_count(s);
}

/* Operands of rank 2 or more. */
static pl_tensor *product(pl_tensor *a, pl_tensor *b) {
  if (!a || !b) return NULL;
  if (a->rank == 2 && b->rank == 2) return pl_bmm(a, b);
  if (b->rank == 2) { /* one product with all rows of all matrices of a */
    pl_tensor *flat = pl_reshape(a, pl_list(rows_in(a), a->size[a->rank - 1]));
    return pl_reshape(pl_bmm(flat, b), join(stack_size(a), a->size[a->rank - 2], b->size[1]));
  }
  pl_ints stack;
  pl_tensor sa = {.dtype = PL_REAL, .rank = a->rank - 2},
            sb = {.dtype = PL_REAL, .rank = b->rank - 2};
  memcpy(sa.size, a->size, sizeof sa.size);
  memcpy(sb.size, b->size, sizeof sb.size);
  if (!pl_broadcast("matmul", &sa, &sb, &stack)) {
    pl_error_clear(); /* it would show the dims of the stacks alone */
    return pl_fail("matmul: %s x %s: the dims before the last two do not broadcast", PL_DESCRIBE(a),
                   PL_DESCRIBE(b)),
           NULL;
  }
  pl_tensor *y = pl_bmm(stacked(a, stack), stacked(b, stack));
  return pl_reshape(y, join(stack, a->size[a->rank - 2], b->size[b->rank - 1]));
}

static bool matmul_decompose(pl_args *c) {
  pl_tensor *a = c->in[0], *b = c->in[1];
  bool row = a->rank == 1, column = b->rank == 1;
  if (!a->rank || !b->rank || !pl_need_real(c, 0) || !pl_need_real(c, 1))
    return pl_op_fail(c, "%s x %s: at least 1 dim each expected", PL_DESCRIBE(a), PL_DESCRIBE(b));
  int64_t k = a->size[a->rank - 1], l = b->size[column ? 0 : b->rank - 2];
  if (k != l)
    return pl_op_fail(c, "%s x %s: inner sizes %lld and %lld differ", PL_DESCRIBE(a),
                      PL_DESCRIBE(b), (long long)k, (long long)l);
  pl_tensor *y =
      product(row ? pl_reshape(a, pl_list(1, k)) : a, column ? pl_reshape(b, pl_list(l, 1)) : b);
  if (!y) return false;
  pl_ints size = pl_size(y);
  if (column) size.n--;
  if (row) size = pl_without(size, size.n - (column ? 1 : 2), false);
  c->out[0] = row || column ? pl_reshape(y, size) : y;
  return true;
}

PL_OP(matmul, .group = PL_GROUP_PRODUCTS, .inputs = "a b",
      .doc =
          "the matrix product of the last two dims; the dims before "
          "broadcast, a missing dim counts as 1",
      .onnx = "MatMul(a, b)",
      .samples =
          "any[2,3] any[3,4]; any[3,2,3] any[3,2]; any[2,1,2,3] "
          "any[3,3,2]; any[3] any[3]; any[2,3] any[3]; any[3] any[3,2]",
      .decompose = matmul_decompose);

/*
** linear: y = act(x W' + bias), the bias and the activation applied while y is in registers
*/

enum { ACTIVATION }; /* among the attributes */

static bool linear_shape(pl_args *c) {
  const pl_tensor *x = c->in[0], *w = c->in[1];
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1) || !pl_need_rank(c, 1, 2)) return false;
  if (!x->rank || x->size[x->rank - 1] != w->size[1])
    return pl_op_fail(c, "x is %s, weight %s: %lld inputs against %lld", PL_DESCRIBE(x),
                      PL_DESCRIBE(w), (long long)(x->rank ? x->size[x->rank - 1] : 1),
                      (long long)w->size[1]);
  if (!pl_need_size(c, 2, pl_list(w->size[0]), 1)) return false;
  if (!pl_check_activation(c, ACTIVATION, false)) return false;
  pl_ints size = pl_size(x);
  size.v[size.n - 1] = w->size[0];
  return pl_out(c, 0, PL_REAL, size);
}

static bool linear_forward(pl_args *c) {
  pl_tensor *x = pl_contiguous(c->in[0]), *bias = c->in[2] ? pl_contiguous(c->in[2]) : NULL;
  pl_tensor *w = pl_contiguous(c->in[1]);
  pl_tensor *y = pl_pre_activation(c, ACTIVATION);
  if (!x || !w || !y) return false;
  int64_t n = w->size[0], k = w->size[1], rows = n ? pl_numel(c->out[0]) / n : 0;
  pl_gemm_job j = {.m = rows,
                   .n = n,
                   .k = k,
                   .a = pl_reals(x),
                   .b = pl_reals(w),
                   .c = pl_reals(y),
                   .lda = k,
                   .ldb = k,
                   .ldc = n,
                   .tb = true};
  const pl_epilogue e = {.bias = bias ? pl_reals(bias) : NULL,
                         .slope = pl_act_epilogue(c, ACTIVATION)};
  if (bias || e.slope != 1) j.epilogue = &e;
  return !pl_error() && pl_gemm(&j) && pl_activate(c, ACTIVATION, y);
}

static bool linear_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  const pl_tensor *y = c->out[0];
  pl_tensor *x = c->in[0], *w = c->in[1], *g = pl_activation_grad(c, ACTIVATION, gout[0]);
  int64_t n = w->size[0], k = w->size[1];
  pl_tensor *flat = y->rank == 2 ? g : pl_reshape(g, pl_list(rows_in(y), n));
  pl_tensor *rows = x->rank == 2 ? x : pl_reshape(x, pl_list(rows_in(y), k));
  if (needs_grad & 1) gin[0] = pl_reshape(pl_bmm(flat, w), pl_size(x));
  if (needs_grad & 2) gin[1] = pl_bmm(pl_transpose(flat, 0, 1), rows);
  if (needs_grad & 4) gin[2] = pl_sum(flat, pl_list(0), false);
  return !pl_error();
}

/* The gradients of weight and bias in one pass over that of the result. */
static bool weight_and_bias(pl_tensor *g, pl_tensor *x, pl_tensor **gw, pl_tensor **gb) {
  if (!(g = pl_contiguous(g)) || !(x = pl_contiguous(x))) return false;
  int64_t rows = g->size[0], n = g->size[1], k = x->size[1];
  *gw = pl_empty(PL_REAL, pl_list(n, k));
  *gb = pl_empty(PL_REAL, pl_list(n));
  if (!*gw || !*gb) return false;
  return pl_gemm(&(pl_gemm_job){.m = n,
                                .n = k,
                                .k = rows,
                                .a = pl_reals(g),
                                .b = pl_reals(x),
                                .c = pl_reals(*gw),
                                .lda = n,
                                .ldb = k,
                                .ldc = k,
                                .ta = true,
                                .sums = pl_reals(*gb)});
}

static bool linear_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  pl_tensor *y = c->out[0], *x = c->in[0], *g;
  int64_t n = c->in[1]->size[0], k = c->in[1]->size[1];
  if ((needs_grad & 6) != 6 || !n || !k) return linear_rule(c, gout, needs_grad, gin);
  g = pl_activation_grad(c, ACTIVATION, gout[0]);
  g = pl_reshape(g, pl_list(pl_numel(y) / n, n));
  if (needs_grad & 1) gin[0] = pl_reshape(pl_bmm(g, c->in[1]), pl_size(x));
  x = pl_reshape(x, pl_list(pl_numel(x) / k, k));
  return !pl_error() && weight_and_bias(g, x, &gin[1], &gin[2]);
}

static double linear_flops(const pl_args *c) {
  return 2.0 * (double)pl_numel(c->out[0]) * (double)c->in[1]->size[1];
}

#define LINEAR_SAMPLE(NAME, name, parameter, kind) "; any[3,4] any[5,4] any[5] activation=" #name
PL_OP(
    linear, .group = PL_GROUP_LAYERS, .inputs = "x weight bias?",
    .attrs = PL_ACTIVATION_CHOICE " slope:real=0.01",
    .doc =
        "activation(x W' + bias): x [...,k], weight [n,k], bias [n], result [...,n]; slope is that "
        "of "
        "leaky_relu, alpha of elu is 1",
    .onnx = "activated(linear(x, weight, bias), activation, slope)",
    .samples =
        "any[3,4] any[2,4] any[2]; any[2,2,4] any[3,4]; any[3,4] any[5,4] any[5] activation=relu; "
        "any[3,4] any[5,4] any[5] activation=leaky_relu slope=0.2; any[4] any[2,4] "
        "any[2]" PL_ACTIVATIONS(LINEAR_SAMPLE),
    .shape = linear_shape, .forward = linear_forward, .gradient = linear_rule,
    .fused_gradient = linear_fused, .flops = linear_flops);
