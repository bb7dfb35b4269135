/*
** resize.h: pictures of another size, for the steps that change it.
*/
#ifndef PERILUNE_RESIZE_H
#define PERILUNE_RESIZE_H

#include "transform.h"

/* In the order of the choices of `mode`. */
typedef enum {
  PL_RESIZE_BILINEAR,
  PL_RESIZE_BICUBIC,
  PL_RESIZE_AREA,
  PL_RESIZE_NEAREST
} pl_resize_mode;
#define PL_RESIZE_MODES "bilinear bicubic area nearest"

typedef struct {
  pl_resize_mode mode;
  bool antialias;
} pl_resize;

/* Of the picture's window, which is the whole then. */
bool pl_picture_resize(pl_picture *p, int64_t h, int64_t w, pl_resize how);

#endif
