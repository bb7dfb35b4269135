/*
** elementwise.c: rows and builders of the families in elementwise.def.
*/
#include <math.h>
#include <string.h>

#include "activation.h"
#include "ops.h"

/*
** The kernels of a family row: offsets into pl_math_kernels, so a row stays constant. The table
** begins with the kernel of an op without such gradients: 0 stands for none.
*/
typedef struct {
  size_t forward, grad[2];
} family;

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
  map m = {kernel(f->forward),    pl_reals(c->out[0]),  pl_reals(c->in[0]), NULL,
           (pl_real)c->attr[0].d, (pl_real)c->attr[1].d};
  pl_loop l = pl_loop_over(2, (pl_tensor *[]){c->out[0], c->in[0]});
  pl_loop_run(&l, unary_body, &m);
  return true;
}

/* Values that a kernel may read: those of t, or, where the graph forgot them, of g, unused. */
static pl_tensor *readable(pl_tensor *t, pl_tensor *g) { return t->storage ? pl_packed(t) : g; }

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

static bool unary_fast(const pl_args *c, pl_tensor *const *gout, unsigned need, pl_tensor **gin) {
  (void)need;
  const family *f = c->op->data;
  pl_tensor *g = pl_packed(gout[0]);
  pl_tensor *x = g ? readable(c->in[0], g) : NULL, *y = g ? readable(c->out[0], g) : NULL;
  if (!x || !y || !(gin[0] = pl_empty(PL_REAL, pl_size(g)))) return false;
  back_map m = {kernel(f->grad[0]), pl_reals(gin[0]),      pl_reals(g),          pl_reals(x), NULL,
                pl_reals(y),        (pl_real)c->attr[0].d, (pl_real)c->attr[1].d};
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
  map m = {kernel(f->forward), pl_reals(c->out[0]),   pl_reals(c->in[0]),
           pl_reals(c->in[1]), (pl_real)c->attr[0].d, 0};
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

static bool binary_fast(const pl_args *c, pl_tensor *const *gout, unsigned need, pl_tensor **gin) {
  const family *f = c->op->data;
  pl_tensor *g = pl_packed(gout[0]);
  pl_tensor *a = g ? pl_packed(c->in[0]) : NULL, *b = g ? pl_packed(c->in[1]) : NULL;
  pl_tensor *y = g ? readable(c->out[0], g) : NULL;
  if (!a || !b || !y) return false;
  for (int i = 0; i < 2; i++) {
    if (!(need >> i & 1) || !f->grad[i]) continue;
    if (!(gin[i] = pl_empty(PL_REAL, pl_size(g)))) return false;
    back_map m = {kernel(f->grad[i]), pl_reals(gin[i]), pl_reals(g),           pl_reals(a),
                  pl_reals(b),        pl_reals(y),      (pl_real)c->attr[0].d, 0};
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

#define G gout[0]
#define X c->in[0]
#define A c->in[0]
#define B c->in[1]
#define Y c->out[0]
#define P c->attr[0].d
#define Q c->attr[1].d

#define UNARY(name_, forget_, attrs_, samples_, doc_, f, df, ops)                      \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned need,    \
                           pl_tensor **gin) {                                          \
    (void)c, (void)need;                                                               \
    return (gin[0] = (ops)) != NULL;                                                   \
  }                                                                                    \
  static const family name_##_family = {offsetof(pl_math_kernels, name_),              \
                                        {offsetof(pl_math_kernels, name_##_grad), 0}}; \
  static const pl_op op_##name_ = {.name = #name_,                                     \
                                   .inputs = "x",                                      \
                                   .attrs = attrs_,                                    \
                                   .doc = doc_,                                        \
                                   .samples = samples_,                                \
                                   .forget = forget_,                                  \
                                   .shape = unary_shape,                               \
                                   .forward = unary_forward,                           \
                                   .gradient = name_##_rule,                           \
                                   .fast = unary_fast,                                 \
                                   .data = &name_##_family};
#define STEP(name_, attrs_, samples_, doc_, f)                                     \
  static const family name_##_family = {offsetof(pl_math_kernels, name_), {0, 0}}; \
  static const pl_op op_##name_ = {.name = #name_,                                 \
                                   .inputs = "x",                                  \
                                   .attrs = attrs_,                                \
                                   .doc = doc_,                                    \
                                   .samples = samples_,                            \
                                   .nograd = true,                                 \
                                   .shape = unary_shape,                           \
                                   .forward = unary_forward,                       \
                                   .data = &name_##_family};
#define BINARY_RULE(name_, ga_ops, gb_ops)                                          \
  static bool name_##_rule(const pl_args *c, pl_tensor *const *gout, unsigned need, \
                           pl_tensor **gin) {                                       \
    (void)c;                                                                        \
    if (need & 1) gin[0] = (ga_ops);                                                \
    if (need & 2) gin[1] = (gb_ops);                                                \
    return !pl_error();                                                             \
  }
#define LINEAR(name_, samples_, doc_, f, ga_ops, gb_ops)                           \
  BINARY_RULE(name_, ga_ops, gb_ops)                                               \
  static const family name_##_family = {offsetof(pl_math_kernels, name_), {0, 0}}; \
  static const pl_op op_##name_ = {.name = #name_,                                 \
                                   .inputs = "a b",                                \
                                   .doc = doc_,                                    \
                                   .samples = samples_,                            \
                                   .forget = PL_FORGET_ALL,                        \
                                   .prepare = pl_prepare_broadcast,                \
                                   .shape = binary_shape,                          \
                                   .forward = binary_forward,                      \
                                   .gradient = name_##_rule,                       \
                                   .data = &name_##_family};
#define BINARY_ROW(name_, forget_, attrs_, samples_, doc_)          \
  static const pl_op op_##name_ = {.name = #name_,                  \
                                   .inputs = "a b",                 \
                                   .attrs = attrs_,                 \
                                   .doc = doc_,                     \
                                   .samples = samples_,             \
                                   .forget = forget_,               \
                                   .prepare = pl_prepare_broadcast, \
                                   .shape = binary_shape,           \
                                   .forward = binary_forward,       \
                                   .gradient = name_##_rule,        \
                                   .fast = binary_fast,             \
                                   .data = &name_##_family};
#define BINARY(name_, forget_, attrs_, samples_, doc_, f, ga, gb, ga_ops, gb_ops)              \
  BINARY_RULE(name_, ga_ops, gb_ops)                                                           \
  static const family name_##_family = {                                                       \
      offsetof(pl_math_kernels, name_),                                                        \
      {offsetof(pl_math_kernels, name_##_grad_a), offsetof(pl_math_kernels, name_##_grad_b)}}; \
  BINARY_ROW(name_, forget_, attrs_, samples_, doc_)
#define HALF(name_, forget_, attrs_, samples_, doc_, f, ga, ga_ops)                      \
  BINARY_RULE(name_, ga_ops, NULL)                                                       \
  static const family name_##_family = {offsetof(pl_math_kernels, name_),                \
                                        {offsetof(pl_math_kernels, name_##_grad_a), 0}}; \
  BINARY_ROW(name_, forget_, attrs_, samples_, doc_)
#include "../kernels/math/elementwise.def"
#undef UNARY
#undef STEP
#undef LINEAR
#undef BINARY
#undef BINARY_ROW
#undef HALF

const pl_op *const pl_ops_elementwise[] = {
#define UNARY(name, ...)  &op_##name,
#define STEP(name, ...)   &op_##name,
#define LINEAR(name, ...) &op_##name,
#define BINARY(name, ...) &op_##name,
#define HALF(name, ...)   &op_##name,
#include "../kernels/math/elementwise.def"
    NULL};

/* The op of each activation. */
#define ACTIVATION(NAME, name, parameter, kind) [PL_ACT_##NAME] = &op_##name,
const pl_op *const pl_activation_ops[] = {PL_ACTIVATIONS(ACTIVATION)};

/*
** Builders
*/

static pl_tensor *unary(const pl_op *op, pl_tensor *x, double p, double q) {
  return x ? pl_apply(op, 1, &x, (pl_attr[PL_MAX_ATTR]){{.d = p}, {.d = q}}) : NULL;
}

static pl_tensor *binary(const pl_op *op, pl_tensor *a, pl_tensor *b, double p) {
  if (!a || !b) return NULL;
  return pl_apply(op, 2, (pl_tensor *[]){a, b}, (pl_attr[PL_MAX_ATTR]){{.d = p}});
}

#define ONE(name) \
  pl_tensor *pl_##name(pl_tensor *x) { return unary(&op_##name, x, 0, 0); }
#define TWO(name) \
  pl_tensor *pl_##name(pl_tensor *a, pl_tensor *b) { return binary(&op_##name, a, b, 0); }
/* clang-format off */
TWO(add) TWO(sub) TWO(mul) TWO(div) TWO(pow) TWO(maximum) TWO(minimum)
ONE(neg) ONE(exp) ONE(log) ONE(log1p) ONE(sqrt) ONE(square) ONE(reciprocal) ONE(abs) ONE(sin)
ONE(cos) ONE(erf) ONE(gelu) ONE(silu) ONE(tanh) ONE(sigmoid) ONE(softplus) ONE(relu) ONE(sign) ONE(floor)
    /* clang-format on */

    pl_tensor *pl_act_grad(pl_tensor *a, pl_tensor *b, double slope) {
  return binary(&op_act_grad, a, b, slope);
}
pl_tensor *pl_affine(pl_tensor *x, double scale, double shift) {
  return unary(&op_affine, x, scale, shift);
}
pl_tensor *pl_leaky_relu(pl_tensor *x, double slope) { return unary(&op_leaky_relu, x, slope, 0); }
pl_tensor *pl_elu(pl_tensor *x, double alpha) { return unary(&op_elu, x, alpha, 0); }
pl_tensor *pl_clamp(pl_tensor *x, double min, double max) { return unary(&op_clamp, x, min, max); }
pl_tensor *pl_in_range(pl_tensor *x, double min, double max) {
  return unary(&op_in_range, x, min, max);
}
