/*
** elementwise.c: rows of the families in elementwise.def, some that are composed of them, and the op
** of each activation.
*/
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops.h"

/*
** The kernels of a family row: offsets into pl_math_kernels, so a row stays constant. The table
** begins with the kernel of an op without such gradients: 0 stands for none.
*/
typedef struct {
  size_t forward, integer, grad[2];
} family;

/* An attribute of a family, 0 where the row has none. */
static pl_real parameter(const pl_args *c, int i) {
  return i < c->op->signature->n_attr ? (pl_real)c->attr[i].d : 0;
}

static void *kernel(size_t offset) {
  void *f;
  memcpy(&f, (const char *)PL_KERNELS(math) + offset, sizeof f);
  return f;
}

/*
** Integers: of one input, or of two
*/

typedef struct {
  pl_integer_kernel *f;
  int32_t *y;
  const int32_t *a, *b;
  int64_t p, q;
  bool lost; /* a result did not fit */
} integer_map;

static void integer_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  integer_map *m = context;
  if (!m->f(n, m->y + at[0], m->a + at[1], step[1], m->b + at[2], step[2], m->p, m->q))
    __atomic_store_n(&m->lost, true, __ATOMIC_RELAXED);
}

/* An attribute as an integer; large ones are such that no int32 comes near. */
static bool integer_parameter(const pl_args *c, int i, int64_t *v) {
  const pl_signature *s = c->op->signature;
  *v = 0;
  if (i >= s->n_attr) return true;
  const double d = c->attr[i].d;
  if (isnan(d)) return pl_op_fail(c, "%s is nan beside integers", s->attr[i].name);
  if (!isinf(d) && d != trunc(d))
    return pl_op_fail(c, "%s is %g beside %s; an integer expected, or to(\"real\")",
                      s->attr[i].name, d, PL_DESCRIBE(c->in[0]));
  *v = d >= 0x1p62 ? INT64_MAX : d <= -0x1p62 ? INT64_MIN : (int64_t)d;
  return true;
}

/* The message for the first result that does not fit. */
static bool no_integer(const pl_args *c, const integer_map *m) {
  const pl_tensor *a = c->in[0], *b = c->in[c->n_in - 1];
  int64_t i = 0;
  int32_t x = 0, z = 0, y;
  for (bool fits = true; fits; i++) {
    x = (int32_t)pl_at(a, i), z = (int32_t)pl_at(b, i);
    fits = m->f(1, &y, &x, 1, &z, 1, m->p, m->q);
  }
  if (c->n_in == 1)
    return pl_op_fail(c, "of %d at position %lld does not fit int32; to(\"real\") has room", x,
                      (long long)i);
  if (z == 0)
    return pl_op_fail(c, "%d by 0 at position %lld has no integer result", x, (long long)i);
  return pl_op_fail(c, "of %d and %d at position %lld does not fit int32; to(\"real\") has room", x,
                    z, (long long)i);
}

static bool integer_forward(pl_args *c) {
  const family *f = c->op->data;
  pl_tensor *a = c->in[0], *b = c->in[c->n_in - 1];
  integer_map m = {.y = pl_int32s(c->out[0]), .a = pl_int32s(a), .b = pl_int32s(b)};
  memcpy(&m.f, (const char *)PL_KERNELS(math) + f->integer, sizeof m.f);
  if (!integer_parameter(c, 0, &m.p) || !integer_parameter(c, 1, &m.q)) return false;
  pl_loop l = pl_loop_over(3, (pl_tensor *[]){c->out[0], a, b});
  pl_loop_run(&l, integer_body, &m);
  return !m.lost || no_integer(c, &m);
}

/*
** One input
*/

typedef struct {
  void *f;
  pl_real *y;
  const pl_real *a, *b;
  pl_real p, q;
} map;

static bool unary_shape(pl_args *c) { return pl_out(c, 0, c->in[0]->dtype, pl_size(c->in[0])); }

static void unary_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  map *m = context;
  ((pl_unary_kernel *)m->f)(n, m->y + at[0], m->a + at[1], step[1], m->p, m->q);
}

static bool unary_forward(pl_args *c) {
  const family *f = c->op->data;
  if (c->out[0]->dtype != PL_REAL) return integer_forward(c);
  map m = {kernel(f->forward), pl_reals(c->out[0]), pl_reals(c->in[0]), NULL,
           parameter(c, 0),    parameter(c, 1)};
  pl_loop l = pl_loop_over(2, (pl_tensor *[]){c->out[0], c->in[0]});
  pl_loop_run(&l, unary_body, &m);
  return true;
}

/* Values that a kernel may read: those of t, or, where the graph did not keep them, of g,
 * unused. */
static pl_tensor *readable(pl_tensor *t, pl_tensor *g) { return t->storage ? pl_contiguous(t) : g; }

typedef struct {
  void *f;
  pl_real *out;
  const pl_real *g, *a, *b, *y;
  pl_real p, q;
} back_map;

static void unary_back_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  back_map *m = context;
  (void)step;
  ((pl_unary_grad_kernel *)m->f)(n, m->out + at[0], m->g + at[0], m->a + at[0], m->y + at[0], m->p,
                                 m->q);
}

static bool unary_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  (void)needs_grad;
  const family *f = c->op->data;
  pl_tensor *g = pl_contiguous(gout[0]);
  pl_tensor *x = g ? readable(c->in[0], g) : NULL, *y = g ? readable(c->out[0], g) : NULL;
  if (!x || !y || !(gin[0] = pl_empty(PL_REAL, pl_size(g)))) return false;
  back_map m = {kernel(f->grad[0]), pl_reals(gin[0]), pl_reals(g),    pl_reals(x), NULL,
                pl_reals(y),        parameter(c, 0),  parameter(c, 1)};
  pl_loop l = pl_loop_over(1, gin);
  pl_loop_run(&l, unary_back_body, &m);
  return true;
}

/*
** Two inputs
*/

static bool binary_shape(pl_args *c) { return pl_out(c, 0, c->in[0]->dtype, pl_size(c->in[0])); }

static void binary_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  map *m = context;
  ((pl_binary_kernel *)m->f)(n, m->y + at[0], m->a + at[1], step[1], m->b + at[2], step[2], m->p);
}

static bool binary_forward(pl_args *c) {
  const family *f = c->op->data;
  if (c->out[0]->dtype != PL_REAL) return integer_forward(c);
  map m = {kernel(f->forward), pl_reals(c->out[0]), pl_reals(c->in[0]),
           pl_reals(c->in[1]), parameter(c, 0),     0};
  pl_loop l = pl_loop_over(3, (pl_tensor *[]){c->out[0], c->in[0], c->in[1]});
  pl_loop_run(&l, binary_body, &m);
  return true;
}

static void binary_back_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  back_map *m = context;
  (void)step;
  ((pl_binary_grad_kernel *)m->f)(n, m->out + at[0], m->g + at[0], m->a + at[0], m->b + at[0],
                                  m->y + at[0], m->p);
}

static bool binary_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  const family *f = c->op->data;
  pl_tensor *g = pl_contiguous(gout[0]);
  pl_tensor *a = g ? pl_contiguous(c->in[0]) : NULL, *b = g ? pl_contiguous(c->in[1]) : NULL;
  pl_tensor *y = g ? readable(c->out[0], g) : NULL;
  if (!a || !b || !y) return false;
  for (int i = 0; i < 2; i++) {
    if (!(needs_grad >> i & 1) || !f->grad[i]) continue;
    if (!(gin[i] = pl_empty(PL_REAL, pl_size(g)))) return false;
    back_map m = {kernel(f->grad[i]), pl_reals(gin[i]), pl_reals(g),     pl_reals(a),
                  pl_reals(b),        pl_reals(y),      parameter(c, 0), 0};
    pl_loop l = pl_loop_over(1, &gin[i]);
    pl_loop_run(&l, binary_back_body, &m);
  }
  return true;
}

/*
** Rows
*/

/* 1 where a and b are both zero. */
static pl_tensor *both_zero(pl_tensor *a, pl_tensor *b) {
  return pl_eq(pl_add(pl_abs(a), pl_abs(b)), pl_zero());
}

/* 1 where a is zero and b is not negative. */
static pl_tensor *power_of_zero(pl_tensor *a, pl_tensor *b) {
  return pl_eq(pl_add(pl_abs(a), pl_relu(pl_neg(b))), pl_zero());
}

/* a / (a^2 + b^2), and 0 where the sum is no more than that. */
static pl_tensor *share_of_squares(pl_tensor *a, pl_tensor *b) {
  pl_tensor *sum = pl_add(pl_square(a), pl_square(b)), *none = pl_eq(sum, pl_zero());
  return pl_where(none, pl_zero(), pl_div(a, pl_where(none, pl_one(), sum)));
}

static pl_tensor *number(double v) { return pl_full(PL_REAL, PL_ALL_DIMS, v); }

/* t + x sigmoid(x) (1 - t^2), where t = tanh(softplus(x)) */
static pl_tensor *mish_slope(pl_tensor *x, pl_tensor *t) {
  pl_tensor *rest = pl_affine(pl_square(t), -1, 1);
  return pl_add(t, pl_mul(pl_mul(x, pl_sigmoid(x)), rest));
}

#define G gout[0]
#define X c->in[0]
#define A c->in[0]
#define B c->in[1]
#define Y c->out[0]
#define P c->attr[0].d
#define Q c->attr[1].d

/* What a row of elementwise.def is made of: whether it counts integers, and where its kernel for them
 * is, come first. */
#define FAMILY(name_, integer_, grad_a, grad_b) \
  static const family name_##_family = {        \
      offsetof(pl_math_kernels, name_), integer_, {grad_a, grad_b}};
#define KERNEL(name_)         offsetof(pl_math_kernels, name_)
#define FAMILY_OP(name_, ...) PL_OP(name_, .data = &name_##_family, __VA_ARGS__)
#define UNARY_ROW(integers_, integer_, group_, name_, unsaved_, attrs_, samples_, doc_, onnx_, f, \
                  df, ops)                                                                        \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,         \
                           pl_tensor **gin) {                                                     \
    (void)c, (void)needs_grad;                                                                    \
    return (gin[0] = (ops)) != NULL;                                                              \
  }                                                                                               \
  FAMILY(name_, integer_, KERNEL(name_##_grad), 0)                                                \
  FAMILY_OP(name_, .group = PL_GROUP_##group_, .inputs = "x", .attrs = attrs_, .doc = doc_,       \
            .samples = samples_, .onnx = onnx_, .integers = integers_, .unsaved = unsaved_,       \
            .shape = unary_shape, .forward = unary_forward, .gradient = name_##_rule,             \
            .fused_gradient = unary_fused);
#define STEP_ROW(integers_, integer_, group_, name_, attrs_, samples_, doc_, onnx_, f)      \
  FAMILY(name_, integer_, 0, 0)                                                             \
  FAMILY_OP(name_, .group = PL_GROUP_##group_, .inputs = "x", .attrs = attrs_, .doc = doc_, \
            .samples = samples_, .onnx = onnx_, .integers = integers_, .nograd = true,      \
            .shape = unary_shape, .forward = unary_forward);
#define BINARY_RULE(name_, ga_ops, gb_ops)                                                \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad, \
                           pl_tensor **gin) {                                             \
    (void)c;                                                                              \
    if (needs_grad & 1) gin[0] = (ga_ops);                                                \
    if (needs_grad & 2) gin[1] = (gb_ops);                                                \
    return !pl_error();                                                                   \
  }
#define BINARY_OP(integers_, group_, name_, ...)                                                \
  FAMILY_OP(name_, .group = PL_GROUP_##group_, .inputs = "a b", .integers = integers_,          \
            .broadcast = pl_broadcast_inputs, .shape = binary_shape, .forward = binary_forward, \
            __VA_ARGS__);
#define STEP_2_ROW(integers_, integer_, group_, name_, samples_, doc_, onnx_, f)       \
  FAMILY(name_, integer_, 0, 0)                                                        \
  BINARY_OP(integers_, group_, name_, .doc = doc_, .samples = samples_, .onnx = onnx_, \
            .nograd = true)
#define LINEAR_ROW(integers_, integer_, group_, name_, samples_, doc_, onnx_, f, ga_ops, gb_ops) \
  BINARY_RULE(name_, ga_ops, gb_ops)                                                             \
  FAMILY(name_, integer_, 0, 0)                                                                  \
  BINARY_OP(integers_, group_, name_, .doc = doc_, .samples = samples_, .onnx = onnx_,           \
            .unsaved = PL_UNSAVED_ALL, .gradient = name_##_rule)
#define BINARY_ROW(integers_, integer_, group_, name_, unsaved_, attrs_, samples_, doc_, onnx_, f, \
                   ga, gb, ga_ops, gb_ops)                                                         \
  BINARY_RULE(name_, ga_ops, gb_ops)                                                               \
  FAMILY(name_, integer_, KERNEL(name_##_grad_a), KERNEL(name_##_grad_b))                          \
  BINARY_OP(integers_, group_, name_, .attrs = attrs_, .doc = doc_, .samples = samples_,           \
            .onnx = onnx_, .unsaved = unsaved_, .gradient = name_##_rule,                          \
            .fused_gradient = binary_fused)
#define HALF_ROW(integers_, integer_, group_, name_, unsaved_, attrs_, samples_, doc_, onnx_, f, \
                 ga, ga_ops)                                                                     \
  BINARY_RULE(name_, ga_ops, NULL)                                                               \
  FAMILY(name_, integer_, KERNEL(name_##_grad_a), 0)                                             \
  BINARY_OP(integers_, group_, name_, .attrs = attrs_, .doc = doc_, .samples = samples_,         \
            .onnx = onnx_, .unsaved = unsaved_, .gradient = name_##_rule,                        \
            .fused_gradient = binary_fused)
#define EXACT(f, kind, group, name, ...) \
  kind##_ROW(PL_INTEGERS_COUNTED, KERNEL(name##_integer), group, name, __VA_ARGS__)
#define UNARY(...)  UNARY_ROW(PL_INTEGERS_REAL, 0, __VA_ARGS__)
#define STEP(...)   STEP_ROW(PL_INTEGERS_REAL, 0, __VA_ARGS__)
#define STEP_2(...) STEP_2_ROW(PL_INTEGERS_REAL, 0, __VA_ARGS__)
#define LINEAR(...) LINEAR_ROW(PL_INTEGERS_REAL, 0, __VA_ARGS__)
#define BINARY(...) BINARY_ROW(PL_INTEGERS_REAL, 0, __VA_ARGS__)
#define HALF(...)   HALF_ROW(PL_INTEGERS_REAL, 0, __VA_ARGS__)
#include "../kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef STEP_2
#undef LINEAR
#undef BINARY
#undef HALF

/*
** Compositions
*/

static bool frac_decompose(pl_args *c) { return (c->out[0] = pl_sub(X, pl_trunc(X))) != NULL; }

static bool lerp_decompose(pl_args *c) {
  return (c->out[0] = pl_add(A, pl_mul(c->in[2], pl_sub(B, A)))) != NULL;
}

/* An infinity among the attributes stands for the largest number. */
static double bounded(double v) {
  const double largest = sizeof(pl_real) == sizeof(float) ? (double)FLT_MAX : DBL_MAX;
  return PL_MAX(-largest, PL_MIN(v, largest));
}

static bool nan_to_num_decompose(pl_args *c) {
  if (X->dtype != PL_REAL) return (c->out[0] = X) != NULL;
  pl_tensor *y = pl_where(pl_isnan(X), number(P), X);
  y = pl_where(pl_eq(X, number(INFINITY)), number(bounded(Q)), y);
  c->out[0] = pl_where(pl_eq(X, number(-INFINITY)), number(bounded(c->attr[2].d)), y);
  return c->out[0] != NULL;
}

PL_OP(frac, .group = PL_GROUP_ELEMENTWISE, .inputs = "x",
      .doc = "x - trunc(x): what comes after the point", .samples = "any[3,4]",
      .integers = PL_INTEGERS_REAL, .decompose = frac_decompose);
PL_OP(lerp, .group = PL_GROUP_ARITHMETIC, .inputs = "start end weight",
      .doc = "start + weight (end - start); all broadcast",
      .samples = "any[3,4] any[3,4] any[]; any[2,3] any[3] any[2,1]", .integers = PL_INTEGERS_REAL,
      .decompose = lerp_decompose);
PL_OP(nan_to_num, .group = PL_GROUP_ELEMENTWISE, .inputs = "x",
      .attrs = "nan:real=0 posinf:real=inf neginf:real=-inf",
      .doc =
          "x with other numbers for NaN and the infinities; without posinf and neginf these become "
          "the largest numbers that there are",
      .samples = "any[3,4]", .integers = PL_INTEGERS_MOVED, .decompose = nan_to_num_decompose);

/* The op of each activation. */
#define ACTIVATION(NAME, name, parameter, kind) [PL_ACT_##NAME] = &pl_row_##name,
const pl_op *const pl_activation_ops[] = {PL_ACTIVATIONS(ACTIVATION)};
