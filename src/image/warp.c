/*
** warp.c: pictures turned, moved, stretched and slanted about their middle. Each pixel of the result
** asks where it comes from:
**
**   (x, y) from the middle of the result  ──inverse of the map──►  a place in the picture
**
** and is what lies there: the nearest pixel, or a mean of the four around the place, weighted by how
** near they are (bilinear). Beyond the picture all is `fill`.
*/
#include <math.h>

#include "steps.h"

enum { BILINEAR, NEAREST }; /* in the order of PL_WARP_MODES */

/* x' = xx x + xy y + x0, y' = yx x + yy y + y0 */
typedef struct {
  double xx, xy, x0, yx, yy, y0;
} map;

typedef struct {
  double angle, tx, ty, scale, shear_x, shear_y; /* in degrees, clockwise; pixels */
} motion;

static double radians(double degrees) { return degrees * acos(-1.0) / 180; }

/* The inverse of: slant, turn, scale, move. */
static map inverse(motion m) {
  const double turn = radians(m.angle), sx = radians(m.shear_x), sy = radians(m.shear_y);
  const double a = cos(turn - sy) / cos(sy), b = -a * tan(sx) - sin(turn);
  const double c = sin(turn - sy) / cos(sy), d = -c * tan(sx) + cos(turn);
  map r = {d / m.scale, -b / m.scale, 0, -c / m.scale, a / m.scale, 0};
  r.x0 = -r.xx * m.tx - r.xy * m.ty;
  r.y0 = -r.yx * m.tx - r.yy * m.ty;
  return r;
}

/* A pixel of a plane, or what is beyond. */
static float at(const float *plane, int h, int w, int y, int x, float fill) {
  return y >= 0 && y < h && x >= 0 && x < w ? plane[(size_t)y * (size_t)w + (size_t)x] : fill;
}

static float between(const float *plane, int h, int w, double y, double x, float fill) {
  const int y0 = (int)floor(y), x0 = (int)floor(x);
  const float dy = (float)(y - y0), dx = (float)(x - x0);
  const float above =
      at(plane, h, w, y0, x0, fill) * (1 - dx) + at(plane, h, w, y0, x0 + 1, fill) * dx;
  const float below =
      at(plane, h, w, y0 + 1, x0, fill) * (1 - dx) + at(plane, h, w, y0 + 1, x0 + 1, fill) * dx;
  return above * (1 - dy) + below * dy;
}

/* Whether a place is so near to the picture that a pixel of it counts: no other fits an int. */
static bool is_near(double v, int n) { return v > -1 && v < n; }

static void warp_line(const pl_picture *p, pl_picture *q, int y, map m, int mode,
                      const pl_numbers *fill) {
  const double v = y + 0.5 - q->h / 2.0;
  for (int x = 0; x < q->w; x++) {
    const double u = x + 0.5 - q->w / 2.0;
    const double fx = m.xx * u + m.xy * v + m.x0 + p->w / 2.0 - 0.5,
                 fy = m.yx * u + m.yy * v + m.y0 + p->h / 2.0 - 0.5;
    const bool near = is_near(fx, p->w) && is_near(fy, p->h);
    for (int k = 0; k < p->c; k++) {
      const float beyond = pl_of_channel(fill, k), *plane = pl_plane(p, k);
      pl_line(q, k, y)[x] = !near ? beyond
                            : mode == NEAREST
                                ? at(plane, p->h, p->w, (int)rint(fy), (int)rint(fx), beyond)
                                : between(plane, p->h, p->w, fy, fx, beyond);
    }
  }
}

static bool warp(const char *who, pl_picture *p, int h, int w, motion by, double mode,
                 const pl_numbers *fill) {
  pl_picture q;
  if (!pl_check_channels(who, "fill", fill, p) || !pl_picture_new(&q, p->c, h, w)) return false;
  const map m = inverse(by);
  for (int y = 0; y < h; y++) warp_line(p, &q, y, m, (int)mode, fill);
  return pl_picture_replace(p, q);
}

/* How many pixels the turned picture has one way; one of which a trifle is needed is none. */
static int extent(double along, double across) {
  const double trifle = 1e-4;
  return PL_MAX((int)ceil(fabs(along) + fabs(across) - trifle), 1);
}

static bool turn(const char *who, pl_picture *p, double angle, double mode, bool expand,
                 const pl_numbers *fill) {
  const double c = cos(radians(angle)), s = sin(radians(angle));
  const int h = expand ? extent(p->h * c, p->w * s) : p->h,
            w = expand ? extent(p->w * c, p->h * s) : p->w;
  return warp(who, p, h, w, (motion){.angle = -angle, .scale = 1}, mode, fill);
}

bool pl_step_rotate(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  return turn("rotate", p, a[0].v[0], a[1].v[0], a[2].v[0] != 0, &a[3]);
}

/* One number stands for the range from -x to x. */
static double drawn(pl_dice *dice, const double *v, int n) {
  return (double)(n == 1 ? pl_dice_between(dice, -v[0], v[0]) : pl_dice_between(dice, v[0], v[1]));
}

bool pl_step_random_rotate(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  return turn("random_rotate", p, drawn(dice, a[0].v, a[0].n), a[1].v[0], a[2].v[0] != 0, &a[3]);
}

bool pl_step_affine(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  const motion m = {a[0].v[0], a[1].v[0], a[1].v[1], a[2].v[0], a[3].v[0], a[3].v[1]};
  return warp("affine", p, p->h, p->w, m, a[4].v[0], &a[5]);
}

bool pl_check_random_affine(const char *who, const pl_numbers *a) {
  return a[3].n != 3 || pl_fail("%s: shear has 3 numbers; 1, 2 or 4 expected", who);
}

bool pl_step_random_affine(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  motion m = {.angle = drawn(dice, a[0].v, a[0].n)};
  m.tx = rint((double)pl_dice_between(dice, -a[1].v[0], a[1].v[0]) * p->w);
  m.ty = rint((double)pl_dice_between(dice, -a[1].v[1], a[1].v[1]) * p->h);
  m.scale = (double)pl_dice_between(dice, a[2].v[0], a[2].v[1]);
  m.shear_x = drawn(dice, a[3].v, PL_MIN(a[3].n, 2));
  m.shear_y = a[3].n == 4 ? drawn(dice, a[3].v + 2, 2) : 0;
  return warp("random_affine", p, p->h, p->w, m, a[4].v[0], &a[5]);
}
