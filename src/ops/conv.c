/*
** conv.c: convolution of images, its two adjoints, and transposed convolution. The first three
** are linear in both inputs, and the gradients of each are the other two, so any order of
** gradient exists:
**
**   y  = conv2d(x, w)             gx = conv2d_input_grad(gy, w), gw = conv2d_weight_grad(gy, x)
**   gx = conv2d_input_grad(g, w)  gg = conv2d(ggx, w),           gw = conv2d_weight_grad(g, ggx)
**   gw = conv2d_weight_grad(g, x) gg = conv2d(x, ggw),           gx = conv2d_input_grad(g, ggw)
**
** conv_transpose2d is conv2d_input_grad with a bias and an activation, in PyTorch's terms; its
** gradients are the same three.
*/
#include "ops.h"

enum { STRIDE, PADDING, DILATION, SIZE, ACTIVATION = SIZE, SLOPE, MAX_POOL };
enum { OUTPUT_PADDING = SIZE, TRANSPOSE_ACTIVATION };
#define CONV_ATTRS "stride:pair=1 padding:pair=0 dilation:pair=1 "

/*
** Shapes
*/

static int64_t out_size(const pl_conv *p, int axis, int64_t in, int64_t window) {
  int64_t room = in + 2 * p->pad[axis] - p->dil[axis] * (window - 1) - 1;
  return room < 0 ? 0 : room / p->stride[axis] + 1;
}

/* The geometry from the sizes of images [n,c,h,w] and weight [k,c,r,s]. */
static bool geometry(const pl_args *c, pl_ints x, pl_ints w, pl_conv *result) {
  pl_conv p = {
      .n = x.v[0], .c = x.v[1], .h = x.v[2], .w = x.v[3], .k = w.v[0], .r = w.v[2], .s = w.v[3]};
  if (!pl_get_pair(c, STRIDE, "stride", 1, p.stride) ||
      !pl_get_pair(c, PADDING, "padding", 0, p.pad) ||
      !pl_get_pair(c, DILATION, "dilation", 1, p.dil))
    return false;
  if (p.r < 1 || p.s < 1)
    return pl_op_fail(c, "the window is %lld x %lld, expected at least 1 x 1", (long long)p.r,
                      (long long)p.s);
  p.oh = out_size(&p, 0, p.h, p.r);
  p.ow = out_size(&p, 1, p.w, p.s);
  *result = p;
  return true;
}

static bool two_images(const pl_args *c) {
  return pl_need_real(c, 0) && pl_need_real(c, 1) && pl_need_rank(c, 0, 4) && pl_need_rank(c, 1, 4);
}

static bool conv2d_geometry(const pl_args *c, pl_conv *p) {
  const pl_tensor *x = c->in[0], *w = c->in[1];
  if (!two_images(c)) return false;
  if (x->size[1] != w->size[1])
    return pl_op_fail(c, "x is %s, weight %s: %lld input channels against %lld", PL_DESCRIBE(x),
                      PL_DESCRIBE(w), (long long)x->size[1], (long long)w->size[1]);
  return geometry(c, pl_size(x), pl_size(w), p);
}

/* The shape functions leave the geometry in the call's scratch. */
_Static_assert(sizeof(pl_conv) <= sizeof((pl_args){0}.scratch), "a geometry fits");

/* The windows of the maxima over the result, over `planes` of it. */
static pl_pool windows(const pl_args *c, const pl_conv *p) {
  int64_t n = c->attr[MAX_POOL].i;
  return (pl_pool){p->n * p->k, p->oh, p->ow, p->oh / n, p->ow / n, {n, n}, {n, n}, {0, 0}};
}

static bool is_pooled(const pl_args *c) { return c->attr[MAX_POOL].i > 1; }

static bool conv2d_shape(pl_args *c) {
  pl_conv *p = (pl_conv *)c->scratch;
  if (!conv2d_geometry(c, p) || !pl_need_size(c, 2, pl_list(p->k), 1)) return false;
  if (!pl_check_activation(c, ACTIVATION, is_pooled(c))) return false;
  if (!p->oh || !p->ow)
    return pl_op_fail(c,
                      "x is %s, weight %s: the window does not fit into the image and its padding",
                      PL_DESCRIBE(c->in[0]), PL_DESCRIBE(c->in[1]));
  int64_t n = c->attr[MAX_POOL].i;
  if (n < 1 || n > PL_MIN(p->oh, p->ow))
    return pl_op_fail(c, "max_pool is %lld: from 1 to %lld expected, the result being %lld x %lld",
                      (long long)n, (long long)PL_MIN(p->oh, p->ow), (long long)p->oh,
                      (long long)p->ow);
  return pl_out(c, 0, PL_REAL, pl_list(p->n, p->k, p->oh / n, p->ow / n));
}

/* The size attribute of an adjoint: height and width, or all four; puts a and b before the two. */
static bool adjoint_size(const pl_args *c, int64_t a, int64_t b, pl_ints *size) {
  pl_ints given = c->attr[SIZE].ints;
  bool ok = given.n == 2 || (given.n == 4 && given.v[0] == a && given.v[1] == b);
  if (ok) *size = pl_list(a, b, given.v[given.n - 2], given.v[given.n - 1]);
  if (ok && size->v[2] >= 0 && size->v[3] >= 0) return true;
  char text[PL_TEXT];
  return pl_op_fail(c, "size %s: expected height and width, or %lld,%lld and these",
                    pl_size_text(given, text, sizeof text), (long long)a, (long long)b);
}

/* g must have the size of the convolution's result. */
static bool check_g(const pl_args *c, const pl_conv *p) {
  const pl_tensor *g = c->in[0];
  pl_ints y = pl_list(p->n, p->k, p->oh, p->ow);
  for (int d = 0; d < 4; d++)
    if (g->size[d] != y.v[d]) {
      char text[PL_TEXT];
      return pl_op_fail(c, "g is %s, but the convolution gives [%s]", PL_DESCRIBE(g),
                        pl_size_text(y, text, sizeof text));
    }
  return true;
}

static bool input_grad_geometry(const pl_args *c, pl_conv *p) {
  const pl_tensor *g = c->in[0], *w = c->in[1];
  pl_ints x;
  if (!two_images(c)) return false;
  if (g->size[1] != w->size[0])
    return pl_op_fail(c, "g is %s, weight %s: %lld output channels against %lld", PL_DESCRIBE(g),
                      PL_DESCRIBE(w), (long long)g->size[1], (long long)w->size[0]);
  return adjoint_size(c, g->size[0], w->size[1], &x) && geometry(c, x, pl_size(w), p) &&
         check_g(c, p);
}

static bool weight_grad_geometry(const pl_args *c, pl_conv *p) {
  const pl_tensor *g = c->in[0], *x = c->in[1];
  pl_ints w;
  if (!two_images(c)) return false;
  if (g->size[0] != x->size[0])
    return pl_op_fail(c, "g is %s, x %s: %lld images against %lld", PL_DESCRIBE(g), PL_DESCRIBE(x),
                      (long long)g->size[0], (long long)x->size[0]);
  return adjoint_size(c, g->size[1], x->size[1], &w) && geometry(c, pl_size(x), w, p) &&
         check_g(c, p);
}

static bool input_grad_shape(pl_args *c) {
  pl_conv *p = (pl_conv *)c->scratch;
  return input_grad_geometry(c, p) && pl_out(c, 0, PL_REAL, pl_list(p->n, p->c, p->h, p->w));
}

static bool weight_grad_shape(pl_args *c) {
  pl_conv *p = (pl_conv *)c->scratch;
  return weight_grad_geometry(c, p) && pl_out(c, 0, PL_REAL, pl_list(p->k, p->c, p->r, p->s));
}

/*
** Of a transposed convolution: that of the convolution whose images are its result. With less
** output_padding than stride, that convolution gives images of x's size again.
*/
static bool transpose_geometry(const pl_args *c, pl_conv *p) {
  const pl_tensor *x = c->in[0], *w = c->in[1];
  int64_t stride[2], pad[2], dil[2], more[2], y[2];
  if (!two_images(c)) return false;
  if (x->size[1] != w->size[0])
    return pl_op_fail(c, "x is %s, weight %s: %lld input channels against %lld", PL_DESCRIBE(x),
                      PL_DESCRIBE(w), (long long)x->size[1], (long long)w->size[0]);
  if (!pl_get_pair(c, STRIDE, "stride", 1, stride) || !pl_get_pair(c, PADDING, "padding", 0, pad) ||
      !pl_get_pair(c, DILATION, "dilation", 1, dil) ||
      !pl_get_pair(c, OUTPUT_PADDING, "output_padding", 0, more))
    return false;
  for (int d = 0; d < 2; d++) {
    if (more[d] >= stride[d])
      return pl_op_fail(c,
                        "output_padding %lld,%lld with stride %lld,%lld: less than the stride "
                        "expected",
                        (long long)more[0], (long long)more[1], (long long)stride[0],
                        (long long)stride[1]);
    if (x->size[d + 2] < 1)
      return pl_op_fail(c, "x is %s, expected images of at least 1 x 1", PL_DESCRIBE(x));
    y[d] =
        (x->size[d + 2] - 1) * stride[d] - 2 * pad[d] + dil[d] * (w->size[d + 2] - 1) + more[d] + 1;
  }
  if (w->size[2] > 0 && w->size[3] > 0 && (y[0] < 1 || y[1] < 1))
    return pl_op_fail(c, "x is %s, weight %s: the padding %lld,%lld leaves a result of %lld x %lld",
                      PL_DESCRIBE(x), PL_DESCRIBE(w), (long long)pad[0], (long long)pad[1],
                      (long long)y[0], (long long)y[1]);
  return geometry(c, pl_list(x->size[0], w->size[1], y[0], y[1]), pl_size(w), p);
}

static bool transpose_shape(pl_args *c) {
  pl_conv *p = (pl_conv *)c->scratch;
  return transpose_geometry(c, p) && pl_need_size(c, 2, pl_list(p->c), 1) &&
         pl_check_activation(c, TRANSPOSE_ACTIVATION, false) &&
         pl_out(c, 0, PL_REAL, pl_list(p->n, p->c, p->h, p->w));
}

/*
** Values
*/

static const pl_real *reals_or_null(const pl_tensor *t) { return t ? pl_reals(t) : NULL; }

static bool conv2d_forward(pl_args *c) {
  const pl_conv *p = (const pl_conv *)c->scratch;
  pl_tensor *x = pl_contiguous(c->in[0]), *w = pl_contiguous(c->in[1]);
  pl_tensor *bias = c->in[2] ? pl_contiguous(c->in[2]) : NULL;
  pl_tensor *y = pl_pre_activation(c, ACTIVATION);
  if (pl_error()) return false;
  pl_epilogue e = {.bias = reals_or_null(bias), .slope = pl_act_epilogue(c, ACTIVATION)};
  const pl_pool pool = windows(c, p);
  if (is_pooled(c)) {
    if (!pl_save(c, 0, pl_empty(PL_INT32, pl_size(c->out[0])))) return false;
    e.pool = &pool;
    e.argmax = pl_int32s(c->saved[0]);
  }
  return pl_conv_forward(p, pl_reals(x), pl_reals(w), &e, pl_reals(y)) &&
         pl_activate(c, ACTIVATION, y);
}

static bool transpose_forward(pl_args *c) {
  pl_tensor *x = pl_contiguous(c->in[0]), *w = pl_contiguous(c->in[1]);
  pl_tensor *bias = c->in[2] ? pl_contiguous(c->in[2]) : NULL;
  pl_tensor *y = pl_pre_activation(c, TRANSPOSE_ACTIVATION);
  if (pl_error()) return false;
  const pl_epilogue e = {.bias = reals_or_null(bias),
                         .slope = pl_act_epilogue(c, TRANSPOSE_ACTIVATION)};
  return pl_conv_transpose((const pl_conv *)c->scratch, pl_reals(x), pl_reals(w), &e,
                           pl_reals(y)) &&
         pl_activate(c, TRANSPOSE_ACTIVATION, y);
}

static bool input_grad_forward(pl_args *c) {
  const pl_conv *p = (const pl_conv *)c->scratch;
  pl_tensor *g = pl_contiguous(c->in[0]), *w = pl_contiguous(c->in[1]);
  return g && w &&
         pl_conv_input_grad(p, &(pl_prologue){.g = pl_reals(g)}, pl_reals(w), pl_reals(c->out[0]));
}

static bool weight_grad_forward(pl_args *c) {
  const pl_conv *p = (const pl_conv *)c->scratch;
  pl_tensor *g = pl_contiguous(c->in[0]), *x = pl_contiguous(c->in[1]);
  return g && x &&
         pl_conv_weight_grad(p, pl_reals(x), &(pl_prologue){.g = pl_reals(g)}, pl_reals(c->out[0]),
                             NULL);
}

/*
** Gradients
*/

static pl_tensor *forward_like(const pl_args *c, pl_tensor *x, pl_tensor *w) {
  return pl_conv2d(x, w, NULL, c->attr[STRIDE].ints, c->attr[PADDING].ints, c->attr[DILATION].ints,
                   PL_ACT_NONE, 0, 1);
}

static pl_tensor *input_grad_like(const pl_args *c, pl_tensor *g, pl_tensor *w,
                                  const pl_tensor *x) {
  return pl_conv2d_input_grad(g, w, c->attr[STRIDE].ints, c->attr[PADDING].ints,
                              c->attr[DILATION].ints, pl_size(x));
}

static pl_tensor *weight_grad_like(const pl_args *c, pl_tensor *g, pl_tensor *x,
                                   const pl_tensor *w) {
  return pl_conv2d_weight_grad(g, x, c->attr[STRIDE].ints, c->attr[PADDING].ints,
                               c->attr[DILATION].ints, pl_size(w));
}

static pl_tensor *bias_grad(pl_tensor *g) { return pl_sum(g, pl_list(0, 2, 3), false); }

/* The activation's sign is that of its result, since slopes are not negative, and also that of
 * the greatest of several. Other activations come after the maximum. */
static bool conv2d_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  pl_tensor *g = pl_activation_grad(c, ACTIVATION, gout[0]);
  pl_conv p;
  if (!conv2d_geometry(c, &p)) return false;
  if (needs_grad & 4) gin[2] = bias_grad(g);
  if (is_pooled(c) && needs_grad & 3) g = pl_unpool(g, c->saved[0], p.oh, p.ow);
  if (needs_grad & 1) gin[0] = input_grad_like(c, g, c->in[1], c->in[0]);
  if (needs_grad & 2) gin[1] = weight_grad_like(c, g, c->in[0], c->in[1]);
  return !pl_error();
}

/* The same without the pass over memory for the activation and the one for the bias. */
static bool conv2d_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin) {
  pl_conv p;
  if (needs_grad == 4) return conv2d_rule(c, gout, needs_grad, gin);
  const bool by_sign = pl_act_by_sign(c, ACTIVATION); /* then the kernels do it */
  pl_tensor *x = pl_contiguous(c->in[0]), *w = pl_contiguous(c->in[1]);
  pl_tensor *g = pl_contiguous(by_sign ? gout[0] : pl_activation_grad(c, ACTIVATION, gout[0]));
  pl_tensor *y = by_sign ? pl_contiguous(c->out[0]) : NULL;
  for (int i = 0; i < c->n_in && !pl_error(); i++)
    if (needs_grad >> i & 1) gin[i] = pl_empty(PL_REAL, pl_size(c->in[i]));
  if (pl_error() || !conv2d_geometry(c, &p)) return false;
  pl_prologue back = {
      .g = pl_reals(g), .y = reals_or_null(y), .slope = pl_act_epilogue(c, ACTIVATION)};
  const pl_pool pool = windows(c, &p);
  if (is_pooled(c)) {
    back.pool = &pool;
    back.argmax = pl_int32s(c->saved[0]);
  }
  if (needs_grad & 1 && !pl_conv_input_grad(&p, &back, pl_reals(w), pl_reals(gin[0]))) return false;
  if (needs_grad & 2)
    return pl_conv_weight_grad(&p, pl_reals(x), &back, pl_reals(gin[1]),
                               needs_grad & 4 ? pl_reals(gin[2]) : NULL);
  if (needs_grad & 4) gin[2] = bias_grad(by_sign ? pl_activation_grad(c, ACTIVATION, g) : g);
  return !pl_error();
}

static bool transpose_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                           pl_tensor **gin) {
  pl_tensor *g = pl_activation_grad(c, TRANSPOSE_ACTIVATION, gout[0]);
  if (needs_grad & 1) gin[0] = forward_like(c, g, c->in[1]);
  if (needs_grad & 2) gin[1] = weight_grad_like(c, c->in[0], g, c->in[1]);
  if (needs_grad & 4) gin[2] = bias_grad(g);
  return !pl_error();
}

static bool input_grad_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                            pl_tensor **gin) {
  if (needs_grad & 1) gin[0] = forward_like(c, gout[0], c->in[1]);
  if (needs_grad & 2) gin[1] = weight_grad_like(c, c->in[0], gout[0], c->in[1]);
  return !pl_error();
}

static bool weight_grad_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                             pl_tensor **gin) {
  if (needs_grad & 1) gin[0] = forward_like(c, c->in[1], gout[0]);
  if (needs_grad & 2) gin[1] = input_grad_like(c, c->in[0], gout[0], c->in[1]);
  return !pl_error();
}

/*
** Rows
*/

/* Each number of a convolution's result is a sum over one channel's weights. */
static double products(const pl_tensor *result, const pl_tensor *weight) {
  return 2.0 * (double)pl_numel(result) * (double)pl_numel(weight) /
         (double)PL_MAX(weight->size[0], 1);
}
static double conv2d_flops(const pl_args *c) {
  pl_conv p = *(const pl_conv *)c->scratch;
  if (!p.r && !conv2d_geometry(c, &p)) return 0; /* of a gradient, which has no shape function */
  return 2.0 * (double)(p.n * p.oh * p.ow) * (double)pl_numel(c->in[1]);
}
static double transpose_flops(const pl_args *c) { return products(c->in[0], c->in[1]); }
static double weight_grad_flops(const pl_args *c) { return products(c->in[0], c->out[0]); }

#define TWO_IMAGES                               "any[1,2,5,5] any[3,2,3,3] any[3]"
#define CONV_SAMPLE(NAME, name, parameter, kind) "; " TWO_IMAGES " activation=" #name
PL_OP(
    conv2d, .group = PL_GROUP_LAYERS, .inputs = "x weight bias?",
    .attrs = CONV_ATTRS PL_ACTIVATION_CHOICE " slope:real=0.01 max_pool:int=1",
    .doc =
        "activation(x * weight + bias), * being the correlation of images [n,c,h,w] with windows "
        "[k,c,r,s]; the result is [n,k,oh,ow] with oh = (h + 2 padding - dilation (r - 1) - 1) / "
        "stride + 1, rounded down; then, with max_pool above 1, max_pool2d of that with windows of "
        "max_pool x max_pool, in the same pass; many channels and small windows take fewer "
        "multiplications (Winograd 1980; Lavin and Gray 2016), by which the elements of a tile of "
        "4 x 4 "
        "share rounding errors, and an infinity or NaN",
    .onnx =
        "pooled(activated(Conv(x, weight, bias, {strides = stride, pads = around(padding), "
        "dilations = dilation}), activation, slope), max_pool)",
    .samples = TWO_IMAGES
    "; any[1,2,5,5] any[3,2,3,3]; "
    "any[2,2,6,5] any[3,2,3,2] any[3] stride=2,1 padding=1,0; "
    "any[1,1,7,6] any[2,1,2,3] any[2] padding=1 dilation=2,1; " TWO_IMAGES
    " activation=relu; " TWO_IMAGES
    " stride=2 activation=leaky_relu slope=0.2; "
    "any[2,1,6,5] any[3,1,3,2] any[3] max_pool=2; "
    "any[2,2,5,5] any[3,2,5,5] any[3] padding=2 activation=relu max_pool=2; "
    "any[2,2,9,9] any[2,2,3,3] stride=1,2 activation=leaky_relu slope=0.2 max_pool=3; "
    "any[2,2,7,6] any[3,2,4,3] any[3] max_pool=2; "
    "any[2,2,5,5] any[3,2,3,3] any[3] activation=tanh max_pool=2" PL_ACTIVATIONS(CONV_SAMPLE),
    .shape = conv2d_shape, .forward = conv2d_forward, .gradient = conv2d_rule,
    .fused_gradient = conv2d_fused, .flops = conv2d_flops);

#define TWO_SOURCES                                   "any[1,3,3,3] any[3,2,3,3] any[2]"
#define TRANSPOSE_SAMPLE(NAME, name, parameter, kind) "; " TWO_SOURCES " activation=" #name
PL_OP(
    conv_transpose2d, .group = PL_GROUP_LAYERS, .inputs = "x weight bias?",
    .attrs = CONV_ATTRS "output_padding:pair=0 " PL_ACTIVATION_CHOICE " slope:real=0.01",
    .doc =
        "activation(x * weight + bias), * being the adjoint of conv2d with the same weight: each "
        "number of images [n,c,h,w] is spread over a window, [c,k,r,s]; the result is [n,k,oh,ow] "
        "with oh = (h - 1) stride - 2 padding + dilation (r - 1) + output_padding + 1; "
        "output_padding must be less than stride",
    .onnx =
        "activated(ConvTranspose(x, weight, bias, {strides = stride, pads = around(padding), "
        "dilations = dilation, output_padding = output_padding}), activation, slope)",
    .samples = TWO_SOURCES
    "; any[1,3,3,3] any[3,2,3,3]; "
    "any[2,3,3,2] any[3,2,3,2] any[2] stride=3,2 padding=1,0 output_padding=2,1; "
    "any[1,2,3,2] any[2,1,2,3] any[1] padding=1 dilation=2,1; " TWO_SOURCES
    " activation=relu; " TWO_SOURCES
    " stride=2 padding=1 output_padding=1 activation=leaky_relu slope=0.2" PL_ACTIVATIONS(
        TRANSPOSE_SAMPLE),
    .shape = transpose_shape, .forward = transpose_forward, .gradient = transpose_rule,
    .flops = transpose_flops);

PL_OP(
    conv2d_input_grad, .group = PL_GROUP_ADJOINTS, .inputs = "g weight",
    .attrs = CONV_ATTRS "size:ints",
    .doc =
        "the gradient of conv2d for its images, of the given height and width, where g is that of "
        "its result; conv_transpose2d is the same with a bias and an activation",
    .onnx = "refuse 'it is a part of gradients'",
    .samples =
        "any[1,3,3,3] any[3,2,3,3] size=5,5; any[2,3,2,4] any[3,2,3,2] stride=3,1 padding=1,0 "
        "size=2,2,5,5; any[1,2,3,4] any[2,1,2,2] stride=2 dilation=1,2 size=7,9",
    .unsaved = PL_UNSAVED_OUT, .shape = input_grad_shape, .forward = input_grad_forward,
    .gradient = input_grad_rule, .flops = transpose_flops);

PL_OP(
    conv2d_weight_grad, .group = PL_GROUP_ADJOINTS, .inputs = "g x",
    .attrs = CONV_ATTRS "size:ints",
    .doc =
        "the gradient of conv2d for its windows, of the given height and width, where g is that of "
        "its result",
    .onnx = "refuse 'it is a part of gradients'",
    .samples =
        "any[1,3,3,3] any[1,2,5,5] size=3,3; any[2,3,2,4] any[2,2,5,5] stride=3,1 padding=1,0 "
        "size=3,2,3,2; any[1,2,3,4] any[1,1,6,9] stride=2 dilation=1,2 size=2,2",
    .unsaved = PL_UNSAVED_OUT, .shape = weight_grad_shape, .forward = weight_grad_forward,
    .gradient = weight_grad_rule, .flops = weight_grad_flops);
