/*
** images.c: transforms of tensors of images, all of them at a time.
*/
#include "../tensor/tensor.h"
#include "transform.h"

#include <stdio.h>
#include <string.h>

/* How the images lie in a tensor. */
typedef struct {
  int64_t n;
  int c, h, w;
  bool batch, first; /* there is a dimension of images; channels come first */
  bool coloured;     /* there is a dimension of channels */
} shape;

static bool are_channels(int64_t n) { return n == 1 || n == 3 || n == 4; }

/* Of four sizes real images have their channels first if they can, uint8 ones last. */
static bool channels_first(pl_ints size, pl_dtype dtype) {
  const bool first = are_channels(size.v[1]), last = are_channels(size.v[3]);
  return dtype == PL_UINT8 ? first && !last : first;
}

static bool shape_of(const pl_tensor *t, shape *s) {
  const pl_ints size = pl_size(t);
  int64_t c = 1, h = 0, w = 0;
  *s = (shape){.n = 1};
  if (size.n == 2) {
    h = size.v[0], w = size.v[1];
  } else if (size.n == 3 && (size.v[2] == 3 || size.v[2] == 4)) {
    h = size.v[0], w = size.v[1], c = size.v[2], s->coloured = true;
  } else if (size.n == 3) {
    s->n = size.v[0], h = size.v[1], w = size.v[2], s->batch = true;
  } else if (size.n == 4) {
    s->batch = s->coloured = true;
    s->first = channels_first(size, pl_dtype_of(t));
    s->n = size.v[0], c = size.v[s->first ? 1 : 3];
    h = size.v[s->first ? 2 : 1], w = size.v[s->first ? 3 : 2];
  }
  s->c = (int)c, s->h = (int)h, s->w = (int)w;
  return h >= 1 && w >= 1 && h <= 65535 && w <= 65535 && are_channels(c) &&
         pl_dtype_of(t) != PL_INT32;
}

static pl_layout layout_of(const shape *s, pl_dtype dtype) {
  if (s->first || !s->coloured) return pl_layout_row(dtype, s->h, s->w);
  return (pl_layout){dtype, 1, (int64_t)s->w * s->c, s->c};
}

static pl_ints size_of(const shape *s) {
  pl_ints size = {0};
  if (s->batch) size.v[size.n++] = s->n;
  if (s->coloured && s->first) size.v[size.n++] = s->c;
  size.v[size.n++] = s->h;
  size.v[size.n++] = s->w;
  if (s->coloured && !s->first) size.v[size.n++] = s->c;
  return size;
}

/*
** All of them
*/

typedef struct {
  const pl_transform *t;
  pl_random_state random; /* image i has the key of block i from here */
  const char *in;
  char *out;
  shape from, to;
  pl_layout read, write;
  int64_t in_bytes, out_bytes; /* of an image */
  bool failed;
  pl_status status;
  char message[512];
} job;

static uint64_t key_of(const job *j, int64_t i) {
  const pl_philox p = pl_philox_block(j->random.key, j->random.counter + (uint64_t)i);
  return (uint64_t)p.v[0] << 32 | p.v[1];
}

static bool transformed(const job *j, int64_t i, pl_picture *p) {
  const shape *s = &j->from;
  return pl_picture_get(p, s->c, s->h, s->w, j->in + i * j->in_bytes, j->read) &&
         pl_transform_run(j->t, p, key_of(j, i));
}

static bool place(const job *j, int64_t i, const pl_picture *p) {
  if (p->c != j->to.c || p->h != j->to.h || p->w != j->to.w)
    return pl_fail(
        "transform: image %lld comes out with %d x %d pixels, image 1 with %d x %d; those "
        "of a tensor must be of one size",
        (long long)i + 1, p->w, p->h, j->to.w, j->to.h);
  pl_picture_put(p, j->out + i * j->out_bytes, j->write);
  return true;
}

/* The message stands in the slot of the thread that failed; that of the caller is to have it. */
static void note_failure(job *j) {
#pragma omp critical(pl_images_failure)
  if (!j->failed) {
#pragma omp atomic write
    j->failed = true;
    j->status = pl_error_code();
    snprintf(j->message, sizeof j->message, "%s", pl_error());
  }
  pl_error_clear();
}

static bool run_rest(job *j) {
  const pl_context *c = PL_HERE;
  const int64_t work = (j->from.n - 1) * (j->in_bytes + j->out_bytes);
#pragma omp parallel for schedule(dynamic) if (work > PL_GRAIN)
  for (int64_t i = 1; i < j->from.n; i++) {
    bool stop;
#pragma omp atomic read
    stop = j->failed;
    pl_picture p = {0};
    if (stop || pl_context_interrupted(c)) continue;
    if (!transformed(j, i, &p) || !place(j, i, &p)) note_failure(j);
    pl_picture_free(&p);
  }
  if (j->failed) return pl_fail_as(j->status, "%s", j->message);
  return pl_check_interrupt();
}

static pl_tensor *make_output(job *j, const pl_picture *p, pl_dtype dtype) {
  j->to = j->from;
  j->to.c = p->c, j->to.h = p->h, j->to.w = p->w;
  if (p->c != j->from.c) j->to.coloured = j->to.first || p->c > 1;
  pl_tensor *y = pl_empty(dtype, size_of(&j->to));
  if (!y) return NULL;
  j->out = pl_data(y);
  j->write = layout_of(&j->to, dtype);
  j->out_bytes = (int64_t)p->c * p->h * p->w * (int64_t)pl_dtype_bytes(dtype);
  return y;
}

static pl_tensor *run(job *j, pl_dtype dtype) {
  pl_picture p = {0};
  pl_tensor *y = NULL;
  if (transformed(j, 0, &p)) y = make_output(j, &p, dtype);
  const bool ok = y && place(j, 0, &p);
  pl_picture_free(&p);
  return ok && run_rest(j) ? y : NULL;
}

pl_tensor *pl_transform_images(const pl_transform *t, pl_tensor *images) {
  job j = {.t = t};
  char text[PL_TEXT];
  if (!images) return NULL;
  if (!shape_of(images, &j.from) || j.from.n < 1)
    return pl_fail(
               "transform: images are %s; uint8 or real [h,w], [h,w,3], [n,h,w], [n,h,w,3], or "
               "[n,c,h,w] with pixels expected",
               pl_describe(images, text, sizeof text)),
           NULL;
  pl_tensor *x = pl_contiguous(images);
  if (!x) return NULL;
  const pl_dtype dtype = pl_dtype_of(x);
  j.random = pl_random_take(j.from.n);
  j.in = pl_data(x);
  j.read = layout_of(&j.from, dtype);
  j.in_bytes = (int64_t)j.from.c * j.from.h * j.from.w * (int64_t)pl_dtype_bytes(dtype);
  return pl_cut_of(run(&j, pl_transform_leaves_range(t) ? PL_REAL : dtype), images, "transform");
}
