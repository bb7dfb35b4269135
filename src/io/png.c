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

/* 16 bits become 8. Transparency is laid on white, unless it is wanted as a channel. */
static pl_tensor *decode(const char *path, png_image *image, bool alpha) {
  const int64_t h = image->height, w = image->width;
  if (!pl_image_check_size(path, h, w)) return NULL;
  const bool colour = alpha || image->format & PNG_FORMAT_FLAG_COLOR;
  image->format = alpha ? PNG_FORMAT_RGBA : colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  pl_tensor *t = pl_empty(PL_UINT8, colour ? pl_list(h, w, alpha ? 4 : 3) : pl_list(h, w));
  const png_color white = {255, 255, 255};
  if (t && !png_image_finish_read(image, &white, pl_data(t), 0, NULL))
    return pl_file_fail("%s: damaged PNG (%s)", path, image->message), NULL;
  return t;
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
