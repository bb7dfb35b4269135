/*
** pictures.c: see pictures.h.
*/
#include "pictures.h"

#include <stdlib.h>

#include "resize.h"
#include "steps.h"
#include "tensor/tensor.h"

/* A file is in no account, but a limit of the context's holds for each. */
static size_t most_bytes(void) {
  const int64_t most = 1 << 30, limit = PL_HERE->bound.bytes;
  return (size_t)(limit ? PL_MIN(most, limit) : most);
}

static pl_pictures *new_pictures(void) {
  pl_pictures *p = calloc(1, sizeof *p);
  if (!p) return pl_fail_as(PL_ERROR_MEMORY, "open_pictures: not enough memory"), NULL;
  p->refs = 1;
  return p;
}

pl_pictures *pl_pictures_in_files(pl_names *files, int channels, int h, int w) {
  const bool ok = (channels >= 0 && channels <= 4 && channels != 2) ||
                  pl_fail("open_pictures: channels is %d; 0, 1, 3 or 4 expected", channels);
  pl_pictures *p = ok ? new_pictures() : NULL;
  if (!p) {
    pl_names_free(files);
    return NULL;
  }
  p->files = *files;
  *files = (pl_names){0};
  p->n = p->files.n;
  p->c = channels;
  p->h = h;
  p->w = w;
  return p;
}

pl_pictures *pl_pictures_in_tensor(pl_tensor *images) {
  const int rank = pl_rank(images);
  const pl_ints size = pl_size(images);
  const int64_t c = rank == 4 ? size.v[3] : 1;
  if (pl_dtype_of(images) != PL_UINT8 || rank < 3 || rank > 4 || c < 1 || c > 4 || c == 2)
    return pl_fail("open_pictures: images are %s; uint8 [n,h,w], [n,h,w,3] or [n,h,w,4] expected",
                   PL_DESCRIBE(images)),
           NULL;
  pl_pictures *p = new_pictures();
  if (!p) return NULL;
  p->images = pl_contiguous(images);
  if (!p->images) return pl_pictures_release(p), NULL;
  pl_retain(p->images);
  p->n = size.v[0];
  p->c = (int)c;
  p->h = (int)size.v[1];
  p->w = (int)size.v[2];
  return p;
}

pl_pictures *pl_pictures_retain(pl_pictures *p) {
  p->refs++;
  return p;
}

void pl_pictures_release(pl_pictures *p) {
  if (!p || --p->refs > 0) return;
  pl_names_free(&p->files);
  pl_release(p->images);
  free(p);
}

int64_t pl_pictures_count(const pl_pictures *p) { return p->n; }

const uint8_t *pl_pictures_pixels(const pl_pictures *p, int64_t i) {
  return pl_uint8s(p->images) + i * p->c * p->h * p->w;
}

/* A side of what a JPEG is read with at least: with less than twice the pixels it would be less sharp. */
static int least_side(const pl_pictures *s) {
  return 2 * PL_MIN(PL_MAX(s->h, s->w), PL_MOST_PIXELS);
}

static bool fit(pl_picture *p, int h, int w) {
  const double high = p->window.h, wide = p->window.w;
  if (h == 0 || (p->h == h && p->w == w && high == h && wide == w)) return true;
  const bool tall = high * w >= wide * h;
  const int64_t height = tall ? (int64_t)(high * w / wide) : h,
                width = tall ? w : (int64_t)(wide * h / high);
  return pl_picture_resize(p, height, width, (pl_resize){PL_RESIZE_BILINEAR, true}) &&
         pl_step_center_crop(&(pl_numbers){2, {h, w}}, p, NULL);
}

bool pl_pictures_get(const pl_pictures *s, int64_t i, pl_reader *r, pl_picture *p) {
  size_t n;
  if (s->images)
    return pl_picture_get(p, s->c, s->h, s->w, pl_pictures_pixels(s, i),
                          (pl_layout){PL_UINT8, 1, (int64_t)s->w * s->c, s->c});
  const char *path = s->files.v[i];
  return pl_file_read_into(path, most_bytes(), &r->bytes, &r->room, &n) &&
         pl_picture_decode(p, path, r->bytes, n, s->c, least_side(s)) && fit(p, s->h, s->w);
}

int64_t pl_pictures_unreadable(const pl_pictures *s, int64_t i) {
  pl_reader r = {0};
  bool ok = true, on = true;
  for (; i < s->n && ok && (on = pl_check_interrupt()); i += ok) {
    pl_picture p = {0};
    ok = pl_pictures_get(s, i, &r, &p);
    pl_picture_free(&p);
  }
  free(r.bytes);
  return on && (ok || !pl_interrupted()) ? i : -1;
}
