/*
** images.h: what the files of image formats share.
*/
#ifndef PERILUNE_IO_IMAGES_H
#define PERILUNE_IO_IMAGES_H

#include "io.h"

/* False if there are none, or too many. */
bool pl_image_check_size(const char *path, int64_t h, int64_t w);

/* uint8 [h,w] of a grey file, else [h,w,3]; [h,w,4] with alpha. */
pl_tensor *pl_png_decode(const char *path, const void *file, size_t n, bool alpha);
/* uint8 [h,w], of grey files or if grey is wanted, else [h,w,3]; `least` and `window` as of
   pl_image_read. */
pl_tensor *pl_jpeg_decode(const char *path, const void *file, size_t n, bool grey, int least,
                          pl_window *window);
/* uint8, contiguous: [h,w], [h,w,3], and as PNG [h,w,4]. */
bool pl_png_write(const char *path, pl_tensor *image);
bool pl_jpeg_write(const char *path, pl_tensor *image, int quality);

#endif
