/*
** batch.c: gathers rows of a set of images into one normalised batch, with mirroring
** and shifting on the way. One pass over the pixels.
*/
#include "io.h"

#include <stdlib.h>

#include "../base/profile.h"

/* How one image is read: source pixel = (y + dy, mirrored or plain x + dx). */
typedef struct {
  int dy, dx;
  bool mirror;
} view;

typedef struct {
  int h, w, c;
  pl_real value[256]; /* of each pixel value, normalised */
} plan;

/* One number a row, whatever is asked for, so that a batch takes a known share of the stream. */
static view random_view(bool flip, int shift) {
  const int side = 2 * shift + 1;
  int64_t r = pl_random_int((int64_t)side * side * (flip ? 2 : 1));
  view v;
  v.dy = (int)(r % side) - shift;
  r /= side;
  v.dx = (int)(r % side) - shift;
  v.mirror = r / side;
  return v;
}

/* One line of one channel; `in` is NULL for a line that was shifted in. */
static void copy_line(const plan *p, view v, const uint8_t *in, pl_real *out) {
  int first = v.dx < 0 ? -v.dx : 0, last = v.dx > 0 ? p->w - v.dx : p->w;
  if (!in || first >= last) first = last = p->w;
  for (int x = 0; x < first; x++) out[x] = p->value[0];
  const int start = v.mirror ? p->w - 1 - v.dx : v.dx, step = v.mirror ? -p->c : p->c;
  for (int x = first; x < last; x++) out[x] = p->value[in[start * p->c + x * step]];
  for (int x = last; x < p->w; x++) out[x] = p->value[0];
}

static void copy_image(const plan *p, view v, const uint8_t *in, pl_real *out) {
  for (int k = 0; k < p->c; k++)
    for (int y = 0; y < p->h; y++, out += p->w) {
      const int from = y + v.dy;
      const bool inside = from >= 0 && from < p->h;
      copy_line(p, v, inside ? in + (int64_t)from * p->w * p->c + k : NULL, out);
    }
}

static bool check_rows(const int32_t *row, int64_t b, int64_t n) {
  for (int64_t i = 0; i < b; i++)
    if (row[i] < 1 || row[i] > n)
      return pl_fail("image_batch: row %lld is %d; 1 to %lld expected", (long long)i + 1, row[i],
                     (long long)n);
  return true;
}

static bool check(pl_tensor *images, pl_tensor *rows, double std, int shift) {
  char text[128];
  const int rank = pl_rank(images);
  if (pl_dtype_of(images) != PL_UINT8 || rank < 3 || rank > 4)
    return pl_fail("image_batch: images are %s; uint8 [n,h,w] or [n,h,w,c] expected",
                   pl_describe(images, text, sizeof text));
  if (pl_dtype_of(rows) != PL_INT32 || pl_rank(rows) != 1)
    return pl_fail("image_batch: rows are %s; int32 [b] expected",
                   pl_describe(rows, text, sizeof text));
  if (!(std > 0)) return pl_fail("image_batch: std is %g; a positive number expected", std);
  if (shift < 0 || shift > 1000)
    return pl_fail("image_batch: shift is %d; 0 to 1000 expected", shift);
  return true;
}

pl_tensor *pl_image_batch(pl_tensor *images, pl_tensor *rows, double mean, double std, bool flip,
                          int shift) {
  if (!images || !rows || !check(images, rows, std, shift)) return NULL;
  images = pl_contiguous(images);
  rows = pl_contiguous(rows);
  if (!images || !rows) return NULL;
  const pl_ints size = pl_size(images);
  const int64_t b = pl_numel(rows);
  const int32_t *row = pl_data(rows);
  if (!check_rows(row, b, size.v[0])) return NULL;

  plan p = {.h = (int)size.v[1], .w = (int)size.v[2], .c = size.n == 4 ? (int)size.v[3] : 1};
  for (int i = 0; i < 256; i++) p.value[i] = (pl_real)((i / 255.0 - mean) / std);
  pl_tensor *batch = pl_empty(PL_REAL, pl_list(b, p.c, p.h, p.w));
  view *views = calloc((size_t)b + 1, sizeof *views);
  if (!batch || !views) {
    pl_fail_as(PL_ERROR_MEMORY, "image_batch: not enough memory for %lld images", (long long)b);
    free(views);
    return NULL;
  }
  if (flip || shift)
    for (int64_t i = 0; i < b; i++) views[i] = random_view(flip, shift);

  pl_span span;
  pl_span_begin(&span, "image_batch", false);
  const uint8_t *in = pl_data(images);
  pl_real *out = pl_data(batch);
  const int64_t pixels = (int64_t)p.h * p.w * p.c;
#pragma omp parallel for schedule(static) if (b * pixels > 20000)
  for (int64_t i = 0; i < b; i++)
    copy_image(&p, views[i], in + (row[i] - 1) * pixels, out + i * pixels);
  pl_span_end(&span, 0, (double)(b * pixels) * (1 + sizeof(pl_real)));
  free(views);
  return batch;
}
