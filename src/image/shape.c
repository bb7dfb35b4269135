/*
** shape.c: pictures cut, enlarged and turned over; pixels stay what they are.
*/
#include "steps.h"

enum { HORIZONTAL, VERTICAL }; /* in the order of the choices of `direction` */

static void swap(float *a, float *b) {
  const float kept = *a;
  *a = *b;
  *b = kept;
}

static void mirror_lines(pl_picture *p) {
  float *line = p->v;
  for (int64_t y = 0; y < (int64_t)p->c * p->h; y++, line += p->w)
    for (int x = 0; x < p->w / 2; x++) swap(&line[x], &line[p->w - 1 - x]);
}

static void mirror_columns(pl_picture *p) {
  for (int k = 0; k < p->c; k++)
    for (int y = 0; y < p->h / 2; y++) {
      float *above = pl_plane(p, k) + (size_t)y * (size_t)p->w,
            *below = pl_plane(p, k) + (size_t)(p->h - 1 - y) * (size_t)p->w;
      for (int x = 0; x < p->w; x++) swap(&above[x], &below[x]);
    }
}

static void mirror(pl_picture *p, double direction) {
  if ((int)direction == VERTICAL) mirror_columns(p);
  else mirror_lines(p);
}

bool pl_step_flip(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  mirror(p, a[0].v[0]);
  return true;
}

bool pl_step_random_flip(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  if ((double)pl_dice_unit(dice) < a[0].v[0]) mirror(p, a[1].v[0]);
  return true;
}
