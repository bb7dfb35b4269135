/*
** no_jpeg.c: what stands for jpeg.c where libjpeg was not there, or not wanted.
*/
#include "images.h"

static bool without(const char *path) {
  return pl_fail_as(PL_ERROR_UNSUPPORTED, "%s: this library was built without libjpeg", path);
}

pl_tensor *pl_jpeg_decode(const char *path, const void *file, size_t n, bool grey, int least,
                          pl_window *window) {
  (void)file, (void)n, (void)grey, (void)least, (void)window;
  return without(path), NULL;
}

bool pl_jpeg_write(const char *path, pl_tensor *image, int quality) {
  (void)image, (void)quality;
  return without(path);
}
