/*
** steps.h: the functions of the table's rows, and what several of them use.
*/
#ifndef PERILUNE_STEPS_H
#define PERILUNE_STEPS_H

#include "transform.h"

#define PL_DIRECTIONS "horizontal vertical"
#define PL_PAD_MODES  "constant edge reflect"
#define PL_WARP_MODES "bilinear nearest"

typedef bool pl_step_check(const char *who, const pl_numbers *a);

/* resize.c */
pl_step_run pl_step_resize;

/* shape.c */
pl_step_run pl_step_flip, pl_step_crop, pl_step_center_crop, pl_step_pad, pl_step_erase;
pl_step_run pl_step_random_flip, pl_step_random_crop, pl_step_random_resized_crop,
    pl_step_random_erase;
pl_step_check pl_check_pad, pl_check_random_crop;

/* warp.c */
pl_step_run pl_step_rotate, pl_step_affine, pl_step_random_rotate, pl_step_random_affine;
pl_step_check pl_check_random_affine;

/* blur.c */
pl_step_run pl_step_blur, pl_step_random_blur;
pl_step_check pl_check_blur;

/* colour.c */
pl_step_run pl_step_to_gray, pl_step_random_gray, pl_step_normalise, pl_step_jitter;
pl_step_check pl_check_gray, pl_check_normalise;

static inline float *pl_line(const pl_picture *p, int k, int y) {
  return pl_plane(p, k) + (size_t)y * (size_t)p->w;
}

/* One number is that of all channels. */
static inline float pl_of_channel(const pl_numbers *a, int k) {
  return (float)a->v[a->n == 1 ? 0 : k];
}
/* False unless there is one, or one for each channel. */
bool pl_check_channels(const char *who, const char *name, const pl_numbers *a, const pl_picture *p);

#endif
