/*
** images.c: images in files, whatever their format: which it is, and the channels that are wanted.
*/
#include "images.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const size_t max_file = (size_t)1 << 30;

bool pl_image_check_size(const char *path, int64_t h, int64_t w) {
  return (h >= 1 && w >= 1 && h <= PL_MOST_PIXELS / w) ||
         pl_file_fail("%s: %lld x %lld pixels; at most %d pixels expected", path, (long long)w,
                      (long long)h, PL_MOST_PIXELS);
}

/*
** Reading
*/

/* As ITU-R BT.601 weighs them, in 16 bits behind the point. */
static uint8_t luma(const uint8_t *p) {
  return (uint8_t)((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
}

static void convert(uint8_t *to, int channels, const uint8_t *from, int have, int64_t n) {
  for (int64_t i = 0; i < n; i++, to += channels, from += have) {
    if (channels == 1) {
      to[0] = luma(from);
      continue;
    }
    for (int k = 0; k < 3; k++) to[k] = from[have == 1 ? 0 : k];
    if (channels == 4) to[3] = 255;
  }
}

static pl_tensor *with_channels(pl_tensor *t, int channels) {
  if (!t) return NULL;
  const pl_ints size = pl_size(t);
  const int have = size.n == 2 ? 1 : (int)size.v[2];
  if (!channels || have == channels) return t;
  const int64_t h = size.v[0], w = size.v[1];
  pl_tensor *y = pl_empty(PL_UINT8, channels == 1 ? pl_list(h, w) : pl_list(h, w, channels));
  if (y) convert(pl_data(y), channels, pl_data(t), have, h * w);
  return y;
}

static bool begins(const void *file, size_t n, const char *magic, size_t length) {
  return n >= length && memcmp(file, magic, length) == 0;
}

static pl_window all_of(const pl_tensor *t) {
  const pl_ints size = pl_size(t);
  return (pl_window){0, 0, (double)size.v[0], (double)size.v[1]};
}

pl_tensor *pl_image_decode(const char *name, const void *file, size_t n, int channels, int least,
                           pl_window *window) {
  pl_tensor *t = NULL;
  pl_window unused;
  if (!window) window = &unused;
  if (begins(file, n, "\x89PNG\r\n\x1a\n", 8)) {
    t = pl_png_decode(name, file, n, channels == 4);
    if (t) *window = all_of(t);
  } else if (begins(file, n, "\xff\xd8\xff", 3)) {
    t = pl_jpeg_decode(name, file, n, channels == 1, least, window);
  } else {
    pl_bytes_fail_kind(name, "a PNG or JPEG file", file, n);
  }
  return with_channels(t, channels);
}

pl_tensor *pl_image_read(const char *path, int channels, int least, pl_window *window) {
  size_t n;
  void *file = pl_file_read(path, max_file, &n);
  if (!file) return NULL;
  pl_tensor *t = pl_image_decode(path, file, n, channels, least, window);
  free(file);
  return t;
}

/*
** Writing
*/

/* Real pixels in [0, 1] as bytes; what is outside is cut, NaN is black. */
static pl_tensor *to_bytes(pl_tensor *image) {
  image = pl_contiguous(image);
  if (!image || pl_dtype_of(image) == PL_UINT8) return image;
  pl_tensor *t = pl_empty(PL_UINT8, pl_size(image));
  if (!t) return NULL;
  const pl_real *x = pl_data(image);
  uint8_t *y = pl_data(t);
  for (int64_t i = 0; i < pl_numel(image); i++)
    y[i] = !(x[i] > 0) ? 0 : x[i] >= 1 ? 255 : (uint8_t)(x[i] * 255 + (pl_real)0.5);
  return t;
}

static bool check_image(const char *path, const pl_tensor *image, bool jpeg) {
  const char *format = jpeg ? "JPEG" : "PNG",
             *shapes = jpeg ? "[h,w] or [h,w,3]" : "[h,w], [h,w,3] or [h,w,4]";
  const pl_ints size = pl_size(image);
  const bool shape = size.n == 2 || (size.n == 3 && (size.v[2] == 3 || (size.v[2] == 4 && !jpeg)));
  char text[128];
  if (!shape || pl_dtype_of(image) == PL_INT32)
    return pl_fail("%s: cannot write %s as a %s; uint8 or real %s expected", path,
                   pl_describe(image, text, sizeof text), format, shapes);
  if (size.v[0] < 1 || size.v[1] < 1 || size.v[0] > PL_MOST_PIXELS / size.v[1])
    return pl_fail("%s: cannot write %s as a %s; 1 to %d pixels expected", path,
                   pl_describe(image, text, sizeof text), format, PL_MOST_PIXELS);
  return true;
}

static bool named_jpeg(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

bool pl_image_write(const char *path, pl_tensor *image, int quality) {
  const bool jpeg = named_jpeg(path);
  if (!image || !check_image(path, image, jpeg)) return false;
  if (quality < 1 || quality > 100)
    return pl_fail("%s: quality is %d; 1 to 100 expected", path, quality);
  image = to_bytes(image);
  if (!image) return false;
  return jpeg ? pl_jpeg_write(path, image, quality) : pl_png_write(path, image);
}
