/*
** png.c: PNG images to and from tensors, through libpng's simplified interface, which
** reports errors as values: no longjmp passes through this program.
**
** That interface stops reading at the last row, so the chunks of the file are walked
** first: what is cut off, or has anything behind its end, is refused.
*/
#include "io.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_PIXELS = 100000000 };
static const size_t max_file = (size_t)1 << 30;

static uint32_t big_endian(const unsigned char *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Chunks are: length, four letters, data, checksum of letters and data; the last is IEND. */
static bool whole(const char *path, const unsigned char *file, size_t n) {
  static const unsigned char signature[8] = {137, 'P', 'N', 'G', 13, 10, 26, 10};
  if (n < 8 || memcmp(file, signature, 8) != 0) return pl_file_fail_kind(path, "a PNG file");
  for (size_t at = 8; n - at >= 12;) {
    const unsigned char *chunk = file + at;
    const size_t length = big_endian(chunk);
    if (length > n - at - 12) break;
    if (crc32(0, chunk + 4, (uInt)length + 4) != big_endian(chunk + 8 + length))
      return pl_file_fail("%s: damaged PNG (wrong checksum at byte %zu)", path, at);
    at += length + 12;
    if (memcmp(chunk + 4, "IEND", 4) == 0)
      return at == n || pl_file_fail("%s: %zu bytes follow the end of the PNG", path, n - at);
  }
  return pl_file_fail("%s: the PNG is cut off", path);
}

static pl_tensor *decode(const char *path, png_image *image) {
  const int64_t h = image->height, w = image->width;
  if (h * w > MAX_PIXELS)
    return pl_file_fail("%s: %lld x %lld pixels; at most %d pixels expected", path, (long long)w,
                        (long long)h, MAX_PIXELS),
           NULL;
  const bool colour = image->format & PNG_FORMAT_FLAG_COLOR;
  image->format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  pl_tensor *t = pl_empty(PL_UINT8, colour ? pl_list(h, w, 3) : pl_list(h, w));
  const png_color white = {255, 255, 255};
  if (t && !png_image_finish_read(image, &white, pl_data(t), 0, NULL))
    return pl_file_fail("%s: damaged PNG (%s)", path, image->message), NULL;
  return t;
}

pl_tensor *pl_png_read(const char *path) {
  size_t n;
  unsigned char *file = pl_file_read(path, max_file, &n);
  if (!file) return NULL;
  pl_tensor *t = NULL;
  if (whole(path, file, n)) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (png_image_begin_read_from_memory(&image, file, n)) t = decode(path, &image);
    else pl_file_fail("%s: damaged PNG (%s)", path, image.message);
    png_image_free(&image);
  }
  free(file);
  return t;
}

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

static bool check_image(const char *path, const pl_tensor *image) {
  const pl_ints size = pl_size(image);
  const bool shape = size.n == 2 || (size.n == 3 && size.v[2] == 3);
  char text[128];
  if (!shape || pl_dtype_of(image) == PL_INT32)
    return pl_fail("%s: cannot write %s as a PNG; uint8 or real [h,w] or [h,w,3] expected", path,
                   pl_describe(image, text, sizeof text));
  if (size.v[0] < 1 || size.v[1] < 1 || size.v[0] > MAX_PIXELS / size.v[1])
    return pl_fail("%s: cannot write %s as a PNG; 1 to %d pixels expected", path,
                   pl_describe(image, text, sizeof text), MAX_PIXELS);
  return true;
}

bool pl_png_write(const char *path, pl_tensor *image) {
  if (!image || !check_image(path, image)) return false;
  const pl_ints size = pl_size(image);
  pl_tensor *bytes = to_bytes(image);
  if (!bytes) return false;
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .height = (png_uint_32)size.v[0],
                   .width = (png_uint_32)size.v[1],
                   .format = size.n == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
  png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(png);
  void *file = malloc(n);
  bool ok = file || pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to write the PNG", path);
  if (ok && !png_image_write_to_memory(&png, file, &n, 0, pl_data(bytes), 0, NULL))
    ok = pl_file_fail("%s: cannot write the PNG (%s)", path, png.message);
  ok = ok && pl_file_write(path, file, n);
  free(file);
  return ok;
}
