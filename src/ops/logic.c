/*
** logic.c: truth and bits. logical_and and its like ask of any dtype which elements are not 0;
** bitwise_and and its like, Lua's operators & | ~, work on the bits of integers.
*/
#include "ops.h"

/*
** bitwise_and, bitwise_or, bitwise_xor
*/

enum { AND, OR, XOR };

typedef struct {
  pl_tensor *y, *a, *b;
  int which;
} bits;

#define BIT_LOOP(symbol) \
  for (int64_t i = 0; i < n; i++) y[i] = a[i * sa] symbol b[i * sb]
#define BITS(name, type)                                                                    \
  static void name(int which, int64_t n, type *y, const type *a, int64_t sa, const type *b, \
                   int64_t sb) {                                                            \
    switch (which) {                                                                        \
      case AND: BIT_LOOP(&); break;                                                         \
      case OR: BIT_LOOP(|); break;                                                          \
      default: BIT_LOOP(^);                                                                 \
    }                                                                                       \
  }
BITS(bits_of_int32s, int32_t)
BITS(bits_of_uint8s, uint8_t)
#undef BIT_LOOP
#undef BITS

static void bits_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  const bits *k = context;
  if (k->y->dtype == PL_INT32)
    bits_of_int32s(k->which, n, pl_int32s(k->y) + at[0], pl_int32s(k->a) + at[1], step[1],
                   pl_int32s(k->b) + at[2], step[2]);
  else
    bits_of_uint8s(k->which, n, pl_uint8s(k->y) + at[0], pl_uint8s(k->a) + at[1], step[1],
                   pl_uint8s(k->b) + at[2], step[2]);
}

/* The inputs are of one dtype here. */
static bool bits_shape(pl_args *c) {
  if (c->in[0]->dtype != PL_REAL) return pl_out(c, 0, c->in[0]->dtype, pl_size(c->in[0]));
  return pl_op_fail(c,
                    "real numbers have no bits; expected uint8, as comparisons give it, or int32");
}

static bool bits_forward(pl_args *c) {
  bits k = {c->out[0], c->in[0], c->in[1], *(const int *)c->op->data};
  pl_loop l = pl_loop_over(3, (pl_tensor *[]){k.y, k.a, k.b});
  pl_loop_run(&l, bits_body, &k);
  return true;
}

#define BITWISE(name_, which, onnx_, doc_)                                                      \
  static const int which_##name_ = which;                                                       \
  PL_OP(name_, .group = PL_GROUP_COMPARISON, .inputs = "a b", .doc = doc_,                      \
        .samples = "bool[3,4] bool[3,4]; index9[2,3] index9[3]", .onnx = onnx_, .nograd = true, \
        .integers = PL_INTEGERS_MOVED, .broadcast = pl_broadcast_inputs, .shape = bits_shape,   \
        .forward = bits_forward, .data = &which_##name_);
BITWISE(bitwise_and, AND, "of_masks(And, a, b)",
        "the bits that a and b have both, a & b; of masks where both are 1")
BITWISE(bitwise_or, OR, "of_masks(Or, a, b)",
        "the bits that a or b have, a | b; of masks where one is 1")
BITWISE(bitwise_xor, XOR, "of_masks(Xor, a, b)",
        "the bits that either a or b has, a ~ b; of masks where they differ")
#undef BITWISE

/*
** bitwise_not. uint8 is what masks are made of, whose opposite of 1 is 0 and not 254.
*/

static bool bitwise_not_decompose(pl_args *c) {
  pl_tensor *x = c->in[0], *one = pl_full(x->dtype, PL_ALL_DIMS, 1);
  if (x->dtype == PL_REAL) return bits_shape(c);
  if (x->dtype == PL_INT32)
    return (c->out[0] = pl_bitwise_xor(x, pl_full(PL_INT32, PL_ALL_DIMS, -1))) != NULL;
  for (int64_t i = 0, n = pl_numel(x); i < n && pl_goes_on(i); i++)
    if (pl_at(x, i) > 1)
      return pl_op_fail(c, "%.0f at position %lld is no mask's 0 or 1; expected a mask, or int32",
                        pl_at(x, i), (long long)i + 1);
  return !pl_error() && (c->out[0] = pl_bitwise_xor(x, one)) != NULL;
}

PL_OP(
    bitwise_not, .group = PL_GROUP_COMPARISON, .inputs = "x",
    .doc =
        "~x: of a mask (uint8, each 0 or 1) the opposite, of int32 all bits turned, which is -x - "
        "1",
    .onnx = "kind(x) == 'uint8' and Not(truth(x)) or Sub(Neg(x), 1)",
    .samples = "bool[3,4]; index9[3]", .nograd = true, .integers = PL_INTEGERS_MOVED,
    .decompose = bitwise_not_decompose);

/*
** logical_and, logical_or, logical_xor, logical_not
*/

/* 1 where x is not 0. */
static pl_tensor *truth(pl_tensor *x) { return pl_ne(x, pl_full(x->dtype, PL_ALL_DIMS, 0)); }

static bool logical_and_decompose(pl_args *c) {
  return (c->out[0] = pl_bitwise_and(truth(c->in[0]), truth(c->in[1]))) != NULL;
}

static bool logical_or_decompose(pl_args *c) {
  return (c->out[0] = pl_bitwise_or(truth(c->in[0]), truth(c->in[1]))) != NULL;
}

static bool logical_xor_decompose(pl_args *c) {
  return (c->out[0] = pl_bitwise_xor(truth(c->in[0]), truth(c->in[1]))) != NULL;
}

static bool logical_not_decompose(pl_args *c) {
  pl_tensor *x = c->in[0];
  return (c->out[0] = pl_eq(x, pl_full(x->dtype, PL_ALL_DIMS, 0))) != NULL;
}

#define LOGICAL(name_, inputs_, samples_, doc_)                                                   \
  PL_OP(name_, .group = PL_GROUP_COMPARISON, .inputs = inputs_, .doc = doc_, .samples = samples_, \
        .nograd = true, .integers = PL_INTEGERS_READ, .decompose = name_##_decompose);
#define TWO_SAMPLES "bool[3,4] bool[3,4]; index2[2,3] any[3]"
LOGICAL(logical_and, "a b", TWO_SAMPLES, "1 where neither a nor b is 0, else 0 (uint8)")
LOGICAL(logical_or, "a b", TWO_SAMPLES, "1 where a or b is not 0, else 0 (uint8)")
LOGICAL(logical_xor, "a b", TWO_SAMPLES, "1 where one of a and b is 0 and the other not (uint8)")
LOGICAL(logical_not, "x", "bool[3,4]; any[3]", "1 where x is 0, else 0 (uint8)")
#undef LOGICAL
#undef TWO_SAMPLES
