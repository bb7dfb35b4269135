/*
** png.c: PNG images to and from tensors, through libpng's simplified interface, which
** reports errors as values: no longjmp passes through this program.
**
** That interface stops reading at the last row, so the chunks of the file are walked
** first: what is cut off, or has anything behind its end, is refused.
*/
#include "images.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint32_t big_endian(const unsigned char *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Chunks are: length, four letters, data, checksum of letters and data; the last is IEND. */
static bool whole(const char *path, const unsigned char *file, size_t n) {
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

static pl_ints size_of(const png_image *image, int channels) {
  const int64_t h = image->height, w = image->width;
  return channels == 1 ? pl_list(h, w) : pl_list(h, w, channels);
}

/* 16 bits become 8. The last of two or four channels is alpha. */
static pl_tensor *read_pixels(const char *path, png_image *image, int channels) {
  static const png_uint_32 format[] = {0, PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB,
                                       PNG_FORMAT_RGBA};
  pl_tensor *t = pl_empty(PL_UINT8, size_of(image, channels));
  image->format = format[channels];
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  if (t && !png_image_finish_read(image, NULL, pl_data(t), 0, NULL))
    return pl_file_fail("%s: damaged PNG (%s)", path, image->message), NULL;
  return t;
}

/* Mixes stored values, not amounts of light, as most programs and browsers do. libpng would mix light. */
static pl_tensor *on_white(const png_image *image, pl_tensor *t, int channels) {
  pl_tensor *y = t ? pl_empty(PL_UINT8, size_of(image, channels)) : NULL;
  if (!y) return NULL;
  const uint8_t *from = pl_data(t), *end = from + pl_numel(t);
  for (uint8_t *to = pl_data(y); from < end; from += channels + 1)
    for (int k = 0, alpha = from[channels]; k < channels; k++)
      *to++ = (uint8_t)((from[k] * alpha + 255 * (255 - alpha) + 127) / 255);
  return y;
}

static pl_tensor *decode(const char *path, png_image *image, bool alpha) {
  if (!pl_image_check_size(path, image->height, image->width)) return NULL;
  const int channels = image->format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
  if (alpha) return read_pixels(path, image, 4);
  if (!(image->format & PNG_FORMAT_FLAG_ALPHA)) return read_pixels(path, image, channels);
  return on_white(image, read_pixels(path, image, channels + 1), channels);
}

pl_tensor *pl_png_decode(const char *path, const void *file, size_t n, bool alpha) {
  pl_tensor *t = NULL;
  if (!whole(path, file, n)) return NULL;
  png_image image = {.version = PNG_IMAGE_VERSION};
  if (png_image_begin_read_from_memory(&image, file, n)) t = decode(path, &image, alpha);
  else pl_file_fail("%s: damaged PNG (%s)", path, image.message);
  png_image_free(&image);
  return t;
}

bool pl_png_write(const char *path, pl_tensor *image) {
  const pl_ints size = pl_size(image);
  const png_uint_32 format[] = {PNG_FORMAT_GRAY, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .height = (png_uint_32)size.v[0],
                   .width = (png_uint_32)size.v[1],
                   .format = format[size.n == 2 ? 0 : size.v[2] - 2]};
  png_alloc_size_t n = PNG_IMAGE_PNG_SIZE_MAX(png);
  void *file = malloc(n);
  bool ok = file || pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to write the PNG", path);
  if (ok && !png_image_write_to_memory(&png, file, &n, 0, pl_data(image), 0, NULL))
    ok = pl_file_fail("%s: cannot write the PNG (%s)", path, png.message);
  ok = ok && pl_file_write(path, file, n);
  free(file);
  return ok;
}
