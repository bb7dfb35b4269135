/*
** picture.c: pictures from files, and to and from the memory of tensors.
*/
#include <stdlib.h>
#include <string.h>

#include "../base/base.h"
#include "transform.h"

void pl_picture_free(pl_picture *p) {
  free(p->v);
  *p = (pl_picture){0};
}

bool pl_picture_check(const char *who, int64_t h, int64_t w) {
  return (h >= 1 && w >= 1 && h <= PL_MOST_PIXELS / w) ||
         pl_fail("%s: %lld x %lld pixels asked for; 1 to %d expected", who, (long long)h,
                 (long long)w, PL_MOST_PIXELS);
}

/* Pictures are no tensors and stay in no account, but a limit of the context's holds for each. */
static bool within_bound(size_t bytes) {
  if (!pl_here || !pl_here->bound.bytes) return true;
  void *room = pl_scratch(bytes);
  pl_scratch_free(room);
  return room != NULL;
}

bool pl_picture_new(pl_picture *p, int c, int h, int w) {
  const size_t bytes = (size_t)c * (size_t)h * (size_t)w * sizeof(float);
  *p = (pl_picture){0};
  if (!pl_picture_check("image", h, w) || !within_bound(bytes)) return false;
  *p = (pl_picture){c, h, w, {0, 0, h, w}, malloc(bytes)};
  if (p->v) return true;
  *p = (pl_picture){0};
  return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for an image of %d x %d pixels", w, h);
}

pl_layout pl_layout_row(pl_dtype dtype, int h, int w) {
  return (pl_layout){dtype, (int64_t)h * w, w, 1};
}

/*
** Bytes as numbers: 255 is 1, and the way back rounds, so that a byte comes back as it was
*/

static void get_bytes(float *to, int n, const uint8_t *from, int64_t apart) {
  for (int x = 0; x < n; x++) to[x] = (float)from[x * apart] / 255;
}

static void get_reals(float *to, int n, const pl_real *from, int64_t apart) {
  for (int x = 0; x < n; x++) to[x] = (float)from[x * apart];
}

static void put_bytes(const float *from, int n, uint8_t *to, int64_t apart) {
  for (int x = 0; x < n; x++) {
    const float v = from[x];
    to[x * apart] = !(v > 0) ? 0 : v >= 1 ? 255 : (uint8_t)(v * 255 + (float)0.5);
  }
}

static void put_reals(const float *from, int n, pl_real *to, int64_t apart) {
  for (int x = 0; x < n; x++) to[x * apart] = from[x];
}

bool pl_picture_get(pl_picture *p, int c, int h, int w, const void *memory, pl_layout at) {
  if (!pl_picture_new(p, c, h, w)) return false;
  float *to = p->v;
  for (int k = 0; k < c; k++)
    for (int y = 0; y < h; y++, to += w) {
      const int64_t from = k * at.plane + y * at.line;
      if (at.dtype == PL_UINT8) get_bytes(to, w, (const uint8_t *)memory + from, at.pixel);
      else get_reals(to, w, (const pl_real *)memory + from, at.pixel);
    }
  return true;
}

void pl_picture_put(const pl_picture *p, void *memory, pl_layout at) {
  const float *from = p->v;
  for (int k = 0; k < p->c; k++)
    for (int y = 0; y < p->h; y++, from += p->w) {
      const int64_t to = k * at.plane + y * at.line;
      if (at.dtype == PL_UINT8) put_bytes(from, p->w, (uint8_t *)memory + to, at.pixel);
      else put_reals(from, p->w, (pl_real *)memory + to, at.pixel);
    }
}

/*
** From files
*/

/* Red, green, blue, red, ... become planes. */
static bool from_tensor(pl_picture *p, const pl_tensor *t, const pl_window *window) {
  if (!t) return false;
  const pl_ints size = pl_size(t);
  const int h = (int)size.v[0], w = (int)size.v[1], c = size.n == 2 ? 1 : (int)size.v[2];
  if (!pl_picture_get(p, c, h, w, pl_data(t), (pl_layout){PL_UINT8, 1, (int64_t)w * c, c}))
    return false;
  p->window = *window;
  return true;
}

bool pl_picture_decode(pl_picture *p, const char *name, const void *file, size_t n, int channels,
                       int least) {
  *p = (pl_picture){0};
  pl_scope_begin();
  pl_window window;
  const bool ok = from_tensor(p, pl_image_decode(name, file, n, channels, least, &window), &window);
  pl_scope_end();
  return ok;
}

bool pl_picture_read(pl_picture *p, const char *path, int channels, int least) {
  *p = (pl_picture){0};
  pl_scope_begin();
  pl_window window;
  const bool ok = from_tensor(p, pl_image_read(path, channels, least, &window), &window);
  pl_scope_end();
  return ok;
}
