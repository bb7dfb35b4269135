/*
** resize.c: pictures of another size. Each direction by itself: an output pixel is a weighted sum of
** neighbouring pixels of its line, then of its column.
**
**   input   |  0  |  1  |  2  |  3  |  4  |  5  |      scale = 6 / 4 = 1.5
**   output  |    0   |    1   |    2   |    3   |      middle of output i: (i + 1/2) scale
**                     \__ support __/
**
** With antialiasing the filter is as wide as `scale` input pixels where the picture shrinks (Heckbert,
** "Fundamentals of texture mapping and image warping", 1989), so that each of them counts. Filters:
** triangle (bilinear); Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans.
** ASSP 29(6), 1981, with a = -1/2 under antialiasing and -3/4 without; area is the mean of all pixels
** that are touched. Borders: weights outside of the picture are left out with antialiasing and go to the
** outermost pixel without. All as PyTorch's interpolate has it.
*/
#include "resize.h"
#include "steps.h"

#include <math.h>
#include <stdlib.h>

/* Output i is the sum of weight[i * width + j] times input first[i] + j, for j below count[i]. */
typedef struct {
  int n, width;
  int *first, *count;
  float *weight;
} taps;

static void free_taps(taps *t) {
  free(t->first);
  free(t->count);
  free(t->weight);
}

static bool new_taps(taps *t, int n, int width) {
  *t = (taps){n, width, malloc((size_t)n * sizeof(int)), malloc((size_t)n * sizeof(int)),
              calloc((size_t)n * (size_t)width, sizeof(float))};
  if (t->first && t->count && t->weight) return true;
  free_taps(t);
  return pl_fail_as(PL_ERROR_MEMORY, "resize: not enough memory for the weights"), false;
}

/* A line or column of n pixels, and which part of it becomes the new one. */
typedef struct {
  int n;
  double begin, length;
} span;

static double triangle(double x) { return x < 1 ? 1 - x : 0; }

static double cubic(double x, double a) {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((x - 5) * x + 8) * x * a - 4 * a : 0;
}

static double filter(pl_resize_mode mode, double x, bool antialias) {
  x = fabs(x);
  return mode == PL_RESIZE_BICUBIC ? cubic(x, antialias ? -0.5 : -0.75) : triangle(x);
}

static int inside(int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* The filter is stretched, and what is within the picture of it has the sum 1. */
static void wide_tap(taps *t, int i, double middle, double stretch, double radius, int in,
                     pl_resize_mode mode) {
  const int first = PL_MAX((int)(middle - radius + 0.5), 0),
            end = PL_MIN((int)(middle + radius + 0.5), in);
  float *w = t->weight + (size_t)i * (size_t)t->width;
  double sum = 0;
  t->first[i] = first;
  t->count[i] = PL_MIN(end - first, t->width);
  for (int j = 0; j < t->count[i]; j++)
    sum += (w[j] = (float)filter(mode, (first + j - middle + 0.5) / stretch, true));
  for (int j = 0; j < t->count[i] && sum != 0; j++) w[j] = (float)(w[j] / sum);
}

/* The filter as it is; weights beyond the border go to the pixel there. */
static void narrow_tap(taps *t, int i, double middle, int support, int in, pl_resize_mode mode) {
  double at = middle - 0.5;
  if (mode == PL_RESIZE_BILINEAR && at < 0) at = 0;
  const int begin = (int)floor(at) - support + 1, first = inside(begin, in),
            last = inside(begin + 2 * support - 1, in);
  float *w = t->weight + (size_t)i * (size_t)t->width;
  t->first[i] = first;
  t->count[i] = last - first + 1;
  for (int j = 0; j < 2 * support; j++)
    w[inside(begin + j, in) - first] += (float)filter(mode, begin + j - at, false);
}

static void area_tap(taps *t, int i, span in, int out) {
  const int first = (int)(in.begin + i * in.length / out),
            end = PL_MIN((int)ceil(in.begin + (i + 1) * in.length / out), in.n);
  t->first[i] = first;
  t->count[i] = end - first;
  for (int j = 0; j < end - first; j++)
    t->weight[(size_t)i * (size_t)t->width + (size_t)j] = 1 / (float)(end - first);
}

static int nearest(int i, span in, int out) {
  return inside((int)((float)in.begin + (float)i * ((float)in.length / (float)out)), in.n);
}

static bool make_taps(taps *t, span in, int out, pl_resize how) {
  const double scale = in.length / out, stretch = how.antialias && scale > 1 ? scale : 1;
  const int support = how.mode == PL_RESIZE_BICUBIC ? 2 : 1;
  const double radius = support * stretch;
  if (!new_taps(t, out, (int)ceil(PL_MAX(radius, scale)) * 2 + 1)) return false;
  for (int i = 0; i < out; i++) {
    const double middle = in.begin + (i + 0.5) * scale;
    if (how.mode == PL_RESIZE_NEAREST) {
      t->first[i] = nearest(i, in, out);
      t->count[i] = 1;
      t->weight[(size_t)i * (size_t)t->width] = 1;
    } else if (how.mode == PL_RESIZE_AREA) {
      area_tap(t, i, in, out);
    } else if (how.antialias) {
      wide_tap(t, i, middle, stretch, radius, in.n, how.mode);
    } else {
      narrow_tap(t, i, middle, support, in.n, how.mode);
    }
  }
  return true;
}

/* Lines of `from` to lines of `to`, of t->n pixels. */
static void along_lines(const taps *t, const float *from, int in, int64_t lines, float *to) {
  for (int64_t y = 0; y < lines; y++, from += in)
    for (int i = 0; i < t->n; i++) {
      const float *w = t->weight + (size_t)i * (size_t)t->width, *x = from + t->first[i];
      float sum = 0;
      for (int j = 0; j < t->count[i]; j++) sum += w[j] * x[j];
      *to++ = sum;
    }
}

/* The lines of a plane of width w are summed. */
static void along_columns(const taps *t, const float *from, int w, float *to) {
  for (int i = 0; i < t->n; i++, to += w) {
    const float *weight = t->weight + (size_t)i * (size_t)t->width;
    for (int x = 0; x < w; x++) to[x] = 0;
    for (int j = 0; j < t->count[i]; j++) {
      const float *line = from + (size_t)(t->first[i] + j) * (size_t)w;
      for (int x = 0; x < w; x++) to[x] += weight[j] * line[x];
    }
  }
}

static bool widths(pl_picture *p, int w, pl_resize how) {
  const span in = {p->w, p->window.left, p->window.w};
  taps t;
  pl_picture q;
  if (w == p->w && w == in.length) return true;
  if (!make_taps(&t, in, w, how)) return false;
  const bool ok = pl_picture_new(&q, p->c, p->h, w);
  if (ok) along_lines(&t, p->v, p->w, (int64_t)p->c * p->h, q.v);
  q.window.top = p->window.top, q.window.h = p->window.h;
  free_taps(&t);
  return ok && pl_picture_replace(p, q);
}

static bool heights(pl_picture *p, int h, pl_resize how) {
  const span in = {p->h, p->window.top, p->window.h};
  taps t;
  pl_picture q;
  if (h == p->h && h == in.length) return true;
  if (!make_taps(&t, in, h, how)) return false;
  const bool ok = pl_picture_new(&q, p->c, h, p->w);
  for (int k = 0; ok && k < p->c; k++) along_columns(&t, pl_plane(p, k), p->w, pl_plane(&q, k));
  q.window.left = p->window.left, q.window.w = p->window.w;
  free_taps(&t);
  return ok && pl_picture_replace(p, q);
}

bool pl_picture_resize(pl_picture *p, int64_t h, int64_t w, pl_resize how) {
  if (!pl_picture_check("resize", h, w)) return false;
  if (h < p->h) return heights(p, (int)h, how) && widths(p, (int)w, how); /* the fewest lines */
  return widths(p, (int)w, how) && heights(p, (int)h, how);
}

bool pl_step_resize(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  int64_t h = (int64_t)a[0].v[0], w = (int64_t)a[0].v[1];
  if (a[0].n == 1) { /* of the shorter side */
    const double side = a[0].v[0], shorter = PL_MIN(p->window.h, p->window.w);
    h = (int64_t)(side * p->window.h / shorter);
    w = (int64_t)(side * p->window.w / shorter);
  }
  return pl_picture_resize(p, h, w, (pl_resize){(pl_resize_mode)a[1].v[0], a[2].v[0] != 0});
}
