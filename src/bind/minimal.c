/*
** minimal.c: what a build with -Dminimal=true has in the place of io/png.c, canvas/, learn/train.c
** and bind/canvas.c, and of the libraries that these are made of: functions that say so.
*/
#include "../io/images.h"
#include "../learn/learn.h"
#include "bind.h"

static bool without(const char *what, const char *library) {
  return pl_fail_as(PL_ERROR_UNSUPPORTED, "%s: this library was built without %s (-Dminimal=true)",
                    what, library);
}

pl_tensor *pl_png_decode(const char *path, const void *file, size_t n, bool alpha) {
  (void)file, (void)n, (void)alpha;
  return without(path, "libpng"), NULL;
}

bool pl_png_write(const char *path, pl_tensor *image) {
  (void)image;
  return without(path, "libpng");
}

bool pl_svm_train(pl_tensor *x, pl_tensor *labels, pl_tensor *classes, const pl_svm_options *o,
                  pl_svm_result *result) {
  (void)x, (void)labels, (void)classes, (void)o;
  *result = (pl_svm_result){0};
  return without("svm", "LIBSVM");
}

static int no_canvas(lua_State *L) {
  without("plot", "Cairo");
  return plb_raise(L);
}

void plb_open_canvas(lua_State *L) {
  static const plb_function functions[] = {
      {"canvas", no_canvas, "(width, height)\nThis library was built without it."},
      {NULL, NULL, NULL}};
  plb_add(L, "Drawing", functions, NULL);
}
