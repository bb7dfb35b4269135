/*
** pool.c: pooling of images [n,c,h,w] over windows. The maximum keeps where it was found,
** so its gradient is a scatter_add by position, and that one's a gather; the mean is linear,
** and it and its adjoint are each other's gradients.
*/
#include <omp.h>

#include "ops.h"

enum { SIZE, STRIDE, PADDING, INPUT };
#define POOL_ATTRS "size:pair stride:pair=0 padding:pair=0"
#define POOL_WORDS "; stride 0 stands for the window's size"

/*
** Shapes
*/

static int64_t out_size(const pl_pool *p, int axis, int64_t in) {
  int64_t room = in + 2 * p->pad[axis] - p->size[axis];
  return room < 0 || !in ? 0 : room / p->stride[axis] + 1;
}

/* The geometry over `planes` images of h x w. */
static bool geometry(const pl_args *c, int64_t planes, int64_t h, int64_t w, pl_pool *p) {
  *p = (pl_pool){.planes = planes, .h = h, .w = w};
  if (!pl_get_pair(c, SIZE, "size", 1, p->size) ||
      !pl_get_pair(c, STRIDE, "stride", 0, p->stride) ||
      !pl_get_pair(c, PADDING, "padding", 0, p->pad))
    return false;
  for (int axis = 0; axis < 2; axis++) {
    if (!p->stride[axis]) p->stride[axis] = p->size[axis];
    if (p->pad[axis] >= p->size[axis])
      return pl_op_fail(c,
                        "padding %lld with a window of %lld: some windows would hold padding only",
                        (long long)p->pad[axis], (long long)p->size[axis]);
  }
  p->oh = out_size(p, 0, h);
  p->ow = out_size(p, 1, w);
  return true;
}

static bool pool_geometry(const pl_args *c, pl_pool *p) {
  const pl_tensor *x = c->in[0];
  return pl_need_real(c, 0) && pl_need_rank(c, 0, 4) &&
         geometry(c, x->size[0] * x->size[1], x->size[2], x->size[3], p);
}

static bool pool_shape(pl_args *c) {
  pl_pool p;
  const int64_t *x = c->in[0]->size;
  if (!pool_geometry(c, &p)) return false;
  if (!p.h || !p.w || !p.oh || !p.ow)
    return pl_op_fail(
        c, "x is %s: a window of %lld x %lld does not fit into the image and its padding",
        PL_DESCRIBE(c->in[0]), (long long)p.size[0], (long long)p.size[1]);
  return pl_out(c, 0, PL_REAL, pl_list(x[0], x[1], p.oh, p.ow));
}

/* The planes of a thread, inside a parallel region. */
static int64_t my_planes(const pl_pool *p, int64_t *count) {
  int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
  int64_t first = p->planes * thread / threads;
  *count = p->planes * (thread + 1) / threads - first;
  return first;
}

/*
** max_pool2d
*/

static bool max_forward(pl_args *c) {
  pl_pool p;
  pl_tensor *x = pl_contiguous(c->in[0]);
  if (!x || !pool_geometry(c, &p)) return false;
  if (!pl_save(c, 0, pl_empty(PL_INT32, pl_size(c->out[0])))) return false;
  const pl_real *in = pl_reals(x);
  pl_real *out = pl_reals(c->out[0]);
  int32_t *at = pl_int32s(c->saved[0]);
#pragma omp parallel if (p.planes * p.h * p.w > PL_GRAIN)
  {
    int64_t count, first = my_planes(&p, &count), to = first * p.oh * p.ow;
    pl_kernels_for(p.ow)->pool->max_pool(&p, count, in + first * p.h * p.w, out + to, at + to);
  }
  return true;
}

pl_tensor *pl_unpool(pl_tensor *g, pl_tensor *at, int64_t h, int64_t w) {
  if (!g) return NULL;
  pl_ints flat = pl_list(g->size[0], g->size[1], g->size[2] * g->size[3]);
  pl_tensor *spread = pl_scatter_add(pl_reshape(g, flat), pl_reshape(at, flat), 2, h * w);
  return pl_reshape(spread, pl_list(g->size[0], g->size[1], h, w));
}

static bool max_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = pl_unpool(gout[0], c->saved[0], c->in[0]->size[2], c->in[0]->size[3]);
  return gin[0] != NULL;
}

static bool max_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  (void)needs_grad;
  pl_pool p;
  pl_tensor *g = pl_contiguous(gout[0]);
  if (!g || !pool_geometry(c, &p)) return false;
  if (!(gin[0] = pl_empty(PL_REAL, pl_size(c->in[0])))) return false;
  const pl_real *from = pl_reals(g);
  const int32_t *at = pl_int32s(c->saved[0]);
  pl_real *gx = pl_reals(gin[0]);
#pragma omp parallel if (p.planes * p.h * p.w > PL_GRAIN)
  {
    int64_t count, first = my_planes(&p, &count), to = first * p.oh * p.ow;
    pl_kernels_for(p.ow)->pool->max_pool_grad(&p, count, from + to, at + to,
                                              gx + first * p.h * p.w);
  }
  return true;
}

PL_OP(
    max_pool2d, .group = PL_GROUP_LAYERS, .inputs = "x", .attrs = POOL_ATTRS,
    .doc = "the largest value of each window of images [n,c,h,w]; NaN counts as largest" POOL_WORDS,
    .onnx =
        "MaxPool(x, {kernel_shape = size, strides = stride_of(stride, size), pads = "
        "around(padding)})",
    .samples = "any[1,2,4,4] size=2; any[2,1,5,6] size=3,2 stride=2,1 padding=1,0",
    .unsaved = PL_UNSAVED_ALL, .shape = pool_shape, .forward = max_forward, .gradient = max_rule,
    .fused_gradient = max_fused);

/*
** avg_pool2d and its adjoint
*/

static bool avg_forward(pl_args *c) {
  pl_pool p;
  pl_tensor *x = pl_contiguous(c->in[0]);
  if (!x || !pool_geometry(c, &p)) return false;
  PL_KERNELS(pool)->avg_pool(&p, pl_reals(x), pl_reals(c->out[0]));
  return true;
}

static bool back_geometry(const pl_args *c, pl_pool *p) {
  const pl_tensor *g = c->in[0];
  const pl_ints *in = &c->attr[INPUT].ints;
  if (!pl_need_real(c, 0) || !pl_need_rank(c, 0, 4)) return false;
  if (in->n != 2 || in->v[0] < 0 || in->v[1] < 0)
    return pl_op_fail(c, "input: expected the images' height and width");
  if (!geometry(c, g->size[0] * g->size[1], in->v[0], in->v[1], p)) return false;
  if (g->size[2] == p->oh && g->size[3] == p->ow) return true;
  return pl_op_fail(c, "g is %s, but pooling gives %lld x %lld", PL_DESCRIBE(g), (long long)p->oh,
                    (long long)p->ow);
}

static bool back_shape(pl_args *c) {
  pl_pool p;
  const int64_t *g = c->in[0]->size;
  return back_geometry(c, &p) && pl_out(c, 0, PL_REAL, pl_list(g[0], g[1], p.h, p.w));
}

static bool back_forward(pl_args *c) {
  pl_pool p;
  pl_tensor *g = pl_contiguous(c->in[0]);
  if (!g || !back_geometry(c, &p)) return false;
  PL_KERNELS(pool)->avg_pool_grad(&p, pl_reals(g), pl_reals(c->out[0]));
  return true;
}

static bool back_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  (void)needs_grad;
  gin[0] = pl_avg_pool2d(gout[0], c->attr[SIZE].ints, c->attr[STRIDE].ints, c->attr[PADDING].ints);
  return gin[0] != NULL;
}

PL_OP(avg_pool2d_grad, .group = PL_GROUP_ADJOINTS, .inputs = "g", .attrs = POOL_ATTRS " input:ints",
      .doc = "the gradient of avg_pool2d for its images, of the given height and width",
      .onnx = "refuse 'it is a part of gradients'",
      .samples =
          "any[1,2,2,2] size=2 input=4,4; any[1,2,3,6] size=3,2 stride=2,1 padding=1 input=5,5",
      .unsaved = PL_UNSAVED_ALL, .shape = back_shape, .forward = back_forward,
      .gradient = back_rule);

static bool avg_rule(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)needs_grad;
  const pl_tensor *x = c->in[0];
  gin[0] = pl_avg_pool2d_grad(gout[0], c->attr[SIZE].ints, c->attr[STRIDE].ints,
                              c->attr[PADDING].ints, pl_list(x->size[2], x->size[3]));
  return gin[0] != NULL;
}

PL_OP(avg_pool2d, .group = PL_GROUP_LAYERS, .inputs = "x", .attrs = POOL_ATTRS,
      .doc = "the mean of each window of images [n,c,h,w], padding counted as zeros" POOL_WORDS,
      .onnx =
          "AveragePool(x, {kernel_shape = size, strides = stride_of(stride, size), pads = "
          "around(padding), count_include_pad = 1})",
      .samples = "any[1,2,4,4] size=2; any[1,2,5,5] size=3,2 stride=2,1 padding=1",
      .unsaved = PL_UNSAVED_ALL, .shape = pool_shape, .forward = avg_forward, .gradient = avg_rule);
