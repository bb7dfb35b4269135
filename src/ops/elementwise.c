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
  size_t forward, grad[2];
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
** One input
*/

typedef struct {
  void *f;
  pl_real *y;
  const pl_real *a, *b;
  pl_real p, q;
} map;

static bool unary_shape(pl_args *c) {
  return pl_need_real(c, 0) && pl_out(c, 0, PL_REAL, pl_size(c->in[0]));
}

static void unary_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  map *m = context;
  ((pl_unary_kernel *)m->f)(n, m->y + at[0], m->a + at[1], step[1], m->p, m->q);
}

static bool unary_forward(pl_args *c) {
  const family *f = c->op->data;
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

static bool binary_shape(pl_args *c) {
  return pl_need_real(c, 0) && pl_need_real(c, 1) && pl_out(c, 0, PL_REAL, pl_size(c->in[0]));
}

static void binary_body(void *context, int64_t n, const int64_t *at, const int64_t *step) {
  map *m = context;
  ((pl_binary_kernel *)m->f)(n, m->y + at[0], m->a + at[1], step[1], m->b + at[2], step[2], m->p);
}

static bool binary_forward(pl_args *c) {
  const family *f = c->op->data;
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

#define FAMILY_OP(name_, ...) PL_OP(name_, .data = &name_##_family, __VA_ARGS__)
#define UNARY(group_, name_, unsaved_, attrs_, samples_, doc_, f, df, ops)                  \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,   \
                           pl_tensor **gin) {                                               \
    (void)c, (void)needs_grad;                                                              \
    return (gin[0] = (ops)) != NULL;                                                        \
  }                                                                                         \
  static const family name_##_family = {offsetof(pl_math_kernels, name_),                   \
                                        {offsetof(pl_math_kernels, name_##_grad), 0}};      \
  FAMILY_OP(name_, .group = PL_GROUP_##group_, .inputs = "x", .attrs = attrs_, .doc = doc_, \
            .samples = samples_, .unsaved = unsaved_, .shape = unary_shape,                 \
            .forward = unary_forward, .gradient = name_##_rule, .fused_gradient = unary_fused);
#define STEP(group_, name_, attrs_, samples_, doc_, f)                                      \
  static const family name_##_family = {offsetof(pl_math_kernels, name_), {0, 0}};          \
  FAMILY_OP(name_, .group = PL_GROUP_##group_, .inputs = "x", .attrs = attrs_, .doc = doc_, \
            .samples = samples_, .nograd = true, .shape = unary_shape, .forward = unary_forward);
#define BINARY_RULE(name_, ga_ops, gb_ops)                                                \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad, \
                           pl_tensor **gin) {                                             \
    (void)c;                                                                              \
    if (needs_grad & 1) gin[0] = (ga_ops);                                                \
    if (needs_grad & 2) gin[1] = (gb_ops);                                                \
    return !pl_error();                                                                   \
  }
#define BINARY_OP(group_, name_, ...)                                                             \
  FAMILY_OP(name_, .group = PL_GROUP_##group_, .inputs = "a b", .broadcast = pl_broadcast_inputs, \
            .shape = binary_shape, .forward = binary_forward, .gradient = name_##_rule,           \
            __VA_ARGS__);
#define LINEAR(group_, name_, samples_, doc_, f, ga_ops, gb_ops)                   \
  BINARY_RULE(name_, ga_ops, gb_ops)                                               \
  static const family name_##_family = {offsetof(pl_math_kernels, name_), {0, 0}}; \
  BINARY_OP(group_, name_, .doc = doc_, .samples = samples_, .unsaved = PL_UNSAVED_ALL)
#define BINARY(group_, name_, unsaved_, attrs_, samples_, doc_, f, ga, gb, ga_ops, gb_ops)         \
  BINARY_RULE(name_, ga_ops, gb_ops)                                                               \
  static const family name_##_family = {                                                           \
      offsetof(pl_math_kernels, name_),                                                            \
      {offsetof(pl_math_kernels, name_##_grad_a), offsetof(pl_math_kernels, name_##_grad_b)}};     \
  BINARY_OP(group_, name_, .attrs = attrs_, .doc = doc_, .samples = samples_, .unsaved = unsaved_, \
            .fused_gradient = binary_fused)
#define HALF(group_, name_, unsaved_, attrs_, samples_, doc_, f, ga, ga_ops)                       \
  BINARY_RULE(name_, ga_ops, NULL)                                                                 \
  static const family name_##_family = {offsetof(pl_math_kernels, name_),                          \
                                        {offsetof(pl_math_kernels, name_##_grad_a), 0}};           \
  BINARY_OP(group_, name_, .attrs = attrs_, .doc = doc_, .samples = samples_, .unsaved = unsaved_, \
            .fused_gradient = binary_fused)
#include "../kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef LINEAR
#undef BINARY
#undef HALF

/*
** Compositions
*/

static bool frac_decompose(pl_args *c) {
  if (!pl_need_real(c, 0)) return false;
  return (c->out[0] = pl_sub(X, pl_trunc(X))) != NULL;
}

static bool lerp_decompose(pl_args *c) {
  if (!pl_need_real(c, 0) || !pl_need_real(c, 1) || !pl_need_real(c, 2)) return false;
  return (c->out[0] = pl_add(A, pl_mul(c->in[2], pl_sub(B, A)))) != NULL;
}

/* An infinity among the attributes stands for the largest number. */
static double bounded(double v) {
  const double largest = sizeof(pl_real) == sizeof(float) ? (double)FLT_MAX : DBL_MAX;
  return PL_MAX(-largest, PL_MIN(v, largest));
}

static bool nan_to_num_decompose(pl_args *c) {
  if (!pl_need_real(c, 0)) return false;
  pl_tensor *y = pl_where(pl_isnan(X), number(P), X);
  y = pl_where(pl_eq(X, number(INFINITY)), number(bounded(Q)), y);
  c->out[0] = pl_where(pl_eq(X, number(-INFINITY)), number(bounded(c->attr[2].d)), y);
  return c->out[0] != NULL;
}

PL_OP(frac, .group = PL_GROUP_ELEMENTWISE, .inputs = "x",
      .doc = "x - trunc(x): what comes after the point", .samples = "any[3,4]",
      .decompose = frac_decompose);
PL_OP(lerp, .group = PL_GROUP_ARITHMETIC, .inputs = "start end weight",
      .doc = "start + weight (end - start); all broadcast",
      .samples = "any[3,4] any[3,4] any[]; any[2,3] any[3] any[2,1]", .decompose = lerp_decompose);
PL_OP(nan_to_num, .group = PL_GROUP_ELEMENTWISE, .inputs = "x",
      .attrs = "nan:real=0 posinf:real=inf neginf:real=-inf",
      .doc =
          "x with other numbers for NaN and the infinities; without posinf and neginf these become "
          "the largest numbers that there are",
      .samples = "any[3,4]", .decompose = nan_to_num_decompose);

/* The op of each activation. */
#define ACTIVATION(NAME, name, parameter, kind) [PL_ACT_##NAME] = &pl_row_##name,
const pl_op *const pl_activation_ops[] = {PL_ACTIVATIONS(ACTIVATION)};
