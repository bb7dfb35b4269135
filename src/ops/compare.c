/*
** compare.c: elementwise comparison and tests of any dtypes, giving uint8; any, all, and where.
*/
#include <math.h>

#include "ops.h"

typedef struct {
  pl_tensor *y, *a, *b;
  int which;
} comparison;

enum { EQ, NE, LT, LE, GT, GE };

static bool holds(int which, double a, double b) {
  switch (which) {
    case EQ: return a == b;
    case NE: return a != b;
    case LT: return a < b;
    case LE: return a <= b;
    case GT: return a > b;
    default: return a >= b;
  }
}

static double value(const pl_tensor *t, int64_t at) {
  return t->dtype == PL_REAL    ? (double)pl_reals(t)[at]
         : t->dtype == PL_INT32 ? pl_int32s(t)[at]
                                : pl_uint8s(t)[at];
}

/* Operands of one type are compared in a loop of their own; others as doubles, which hold both. */
#define COMPARE_LOOP(symbol) \
  for (int64_t i = 0; i < n; i++) y[i] = a[i * sa] symbol b[i * sb]
#define COMPARE_TYPE(name, type)                                                               \
  static void name(int which, int64_t n, uint8_t *y, const type *a, int64_t sa, const type *b, \
                   int64_t sb) {                                                               \
    switch (which) {                                                                           \
      case EQ: COMPARE_LOOP(==); break;                                                        \
      case NE: COMPARE_LOOP(!=); break;                                                        \
      case LT: COMPARE_LOOP(<); break;                                                         \
      case LE: COMPARE_LOOP(<=); break;                                                        \
      case GT: COMPARE_LOOP(>); break;                                                         \
      default: COMPARE_LOOP(>=);                                                               \
    }                                                                                          \
  }
COMPARE_TYPE(compare_reals, pl_real)
COMPARE_TYPE(compare_int32s, int32_t)
COMPARE_TYPE(compare_uint8s, uint8_t)
#undef COMPARE_LOOP
#undef COMPARE_TYPE

static void compare_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  const comparison *c = context;
  const pl_tensor *a = c->a, *b = c->b;
  const int64_t ia = at[1], ib = at[2], sa = step[1], sb = step[2];
  uint8_t *y = pl_uint8s(c->y) + at[0];
  if (a->dtype != b->dtype)
    for (int64_t i = 0; i < n; i++)
      y[i] = holds(c->which, value(a, ia + i * sa), value(b, ib + i * sb));
  else if (a->dtype == PL_REAL)
    compare_reals(c->which, n, y, pl_reals(a) + ia, sa, pl_reals(b) + ib, sb);
  else if (a->dtype == PL_INT32)
    compare_int32s(c->which, n, y, pl_int32s(a) + ia, sa, pl_int32s(b) + ib, sb);
  else compare_uint8s(c->which, n, y, pl_uint8s(a) + ia, sa, pl_uint8s(b) + ib, sb);
}

static bool compare_shape(pl_args *c) { return pl_out(c, 0, PL_UINT8, pl_size(c->in[0])); }

static bool compare_forward(pl_args *c) {
  comparison k = {c->out[0], c->in[0], c->in[1], *(const int *)c->op->data};
  pl_loop l = pl_loop_over(3, (pl_tensor *[]){k.y, k.a, k.b});
  pl_loop_run(&l, compare_body, &k);
  return true;
}

#define COMPARE(name_, which, onnx_, doc_)                                                      \
  static const int which_##name_ = which;                                                       \
  PL_OP(name_, .group = PL_GROUP_COMPARISON, .inputs = "a b", .doc = doc_,                      \
        .samples = "any[3,4] any[3,4]; any[2,3] any[3]", .onnx = onnx_, .nograd = true,         \
        .integers = PL_INTEGERS_READ, .broadcast = pl_broadcast_inputs, .shape = compare_shape, \
        .forward = compare_forward, .data = &which_##name_);
COMPARE(eq, EQ, "Equal(alike(a, b))", "1 where a equals b, else 0 (uint8)")
COMPARE(ne, NE, "Not(Equal(alike(a, b)))",
        "1 where a differs from b, else 0 (uint8); x:ne(x) finds NaN")
COMPARE(lt, LT, "Less(alike(a, b))", "1 where a < b, else 0 (uint8)")
COMPARE(le, LE, "LessOrEqual(alike(a, b))", "1 where a <= b, else 0 (uint8)")
COMPARE(gt, GT, "Greater(alike(a, b))", "1 where a > b, else 0 (uint8)")
COMPARE(ge, GE, "GreaterOrEqual(alike(a, b))", "1 where a >= b, else 0 (uint8)")
#undef COMPARE

/*
** isnan, isinf, isfinite, any, all
*/

static bool isnan_decompose(pl_args *c) {
  c->out[0] = pl_ne(c->in[0], c->in[0]);
  return c->out[0] != NULL;
}

/* Integers are finite. */
static pl_tensor *magnitude(pl_tensor *x) { return x->dtype == PL_REAL ? pl_abs(x) : x; }
static pl_tensor *infinity(void) { return pl_full(PL_REAL, PL_ALL_DIMS, INFINITY); }

static bool isinf_decompose(pl_args *c) {
  return (c->out[0] = pl_eq(magnitude(c->in[0]), infinity())) != NULL;
}

static bool isfinite_decompose(pl_args *c) {
  return (c->out[0] = pl_lt(magnitude(c->in[0]), infinity())) != NULL;
}

static bool some_shape(pl_args *c) { return pl_out(c, 0, PL_UINT8, PL_ALL_DIMS); }

/* What an op looks for: any for an element that is not 0, all for one that is. */
static const bool looks_for_any = true, looks_for_all = false;

static bool some_forward(pl_args *c) {
  const pl_tensor *x = c->in[0];
  bool any = *(const bool *)c->op->data, found = false;
  int64_t n = pl_numel(x);
  for (int64_t i = 0; i < n && !found && pl_goes_on(i); i++) found = (pl_at(x, i) != 0) == any;
  *pl_uint8s(c->out[0]) = found == any;
  return !pl_error();
}

#define TEST_ROW(name_, doc_, ...)                                                               \
  PL_OP(name_, .group = PL_GROUP_COMPARISON, .inputs = "x", .doc = doc_, .samples = "bool[3,4]", \
        .nograd = true, .integers = PL_INTEGERS_READ, __VA_ARGS__);
TEST_ROW(isnan, "1 where x is NaN, else 0 (uint8)", .decompose = isnan_decompose)
TEST_ROW(isinf, "1 where x is infinite, else 0 (uint8)", .decompose = isinf_decompose)
TEST_ROW(isfinite, "1 where x is neither infinite nor NaN, else 0 (uint8)",
         .decompose = isfinite_decompose)
TEST_ROW(any, "1 if some element is not 0, else 0 (uint8, one element)",
         .onnx = "truth(ReduceMax(Cast(truth(x), {to = 6}), {keepdims = 0}))", .shape = some_shape,
         .forward = some_forward, .data = &looks_for_any)
TEST_ROW(all, "1 if no element is 0, else 0 (uint8, one element)",
         .onnx = "truth(ReduceMin(Cast(truth(x), {to = 6}), {keepdims = 0}))", .shape = some_shape,
         .forward = some_forward, .data = &looks_for_all)
#undef TEST_ROW

/*
** where
*/

static bool where_shape(pl_args *c) {
  if (c->in[0]->dtype == PL_REAL)
    return pl_op_fail(c, "condition is %s, expected uint8, as comparisons give it, or int32",
                      PL_DESCRIBE(c->in[0]));
  return pl_out(c, 0, c->in[1]->dtype, pl_size(c->in[0]));
}

#define CHOOSE(name, type)                                                                         \
  static void name(int64_t n, type *y, const uint8_t *k, const type *a, const type *b) {           \
    _Pragma("omp parallel for schedule(static) if (n > PL_GRAIN)") for (int64_t i = 0; i < n; i++) \
        y[i] = k[i] ? a[i] : b[i];                                                                 \
  }
CHOOSE(choose_reals, pl_real)
CHOOSE(choose_int32s, int32_t)
CHOOSE(choose_uint8s, uint8_t)
#undef CHOOSE

static bool where_forward(pl_args *c) {
  pl_tensor *w = c->in[0], *a = pl_contiguous(c->in[1]), *b = pl_contiguous(c->in[2]);
  if (w->dtype == PL_INT32) w = pl_ne(w, pl_full(PL_INT32, PL_ALL_DIMS, 0));
  if (!(w = pl_contiguous(w)) || !a || !b) return false;
  const uint8_t *k = pl_uint8s(w);
  void *y = pl_data(c->out[0]);
  const int64_t n = pl_numel(c->out[0]);
  switch (a->dtype) {
    case PL_REAL: choose_reals(n, y, k, pl_reals(a), pl_reals(b)); break;
    case PL_INT32: choose_int32s(n, y, k, pl_int32s(a), pl_int32s(b)); break;
    default: choose_uint8s(n, y, k, pl_uint8s(a), pl_uint8s(b));
  }
  return true;
}

static bool where_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                       pl_tensor **gin) {
  if (needs_grad & 2) gin[1] = pl_where(c->in[0], gout[0], pl_zero());
  if (needs_grad & 4) gin[2] = pl_where(c->in[0], pl_zero(), gout[0]);
  return !pl_error();
}

PL_OP(where, .group = PL_GROUP_ARITHMETIC, .inputs = "condition a b",
      .doc = "a where condition (uint8 or int32) is not 0, b elsewhere; all broadcast",
      .onnx = "Where(truth(condition), a, b)",
      .samples = "bool[3,4] any[3,4] any[3,4]; bool[2,3] any[3] any[]",
      .broadcast = pl_broadcast_inputs, .shape = where_shape, .forward = where_forward,
      .gradient = where_rule, .unsaved = PL_UNSAVED_ALL, .integers = PL_INTEGERS_MOVED,
      .apart = 1 << 0);
