/*
** shape.c: pictures cut, enlarged by a border, turned over and with holes; pixels stay what they are.
*/
#include <math.h>
#include <string.h>

#include "resize.h"
#include "steps.h"

/*
** Turned over
*/

enum { HORIZONTAL, VERTICAL }; /* in the order of PL_DIRECTIONS */

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
      float *above = pl_line(p, k, y), *below = pl_line(p, k, p->h - 1 - y);
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

/*
** Cut
*/

typedef struct {
  int top, left, h, w;
} box;

static bool check_box(const char *who, const pl_picture *p, box b) {
  return (b.top >= 0 && b.left >= 0 && b.h <= p->h - b.top && b.w <= p->w - b.left) ||
         pl_fail("%s: %d x %d pixels from line %d, column %d on are not within an image of %d x %d",
                 who, b.h, b.w, b.top + 1, b.left + 1, p->h, p->w);
}

static bool cut(pl_picture *p, box b) {
  pl_picture q;
  if (b.h == p->h && b.w == p->w) return true;
  if (!pl_picture_new(&q, p->c, b.h, b.w)) return false;
  for (int k = 0; k < p->c; k++)
    for (int y = 0; y < b.h; y++)
      memcpy(pl_line(&q, k, y), pl_line(p, k, b.top + y) + b.left, (size_t)b.w * sizeof(float));
  return pl_picture_replace(p, q);
}

/* One number is that of both directions. */
static box size_of(const pl_numbers *size) {
  return (box){0, 0, (int)size->v[0], (int)size->v[size->n - 1]};
}

static box box_of(const pl_numbers *a) {
  return (box){(int)a[0].v[0] - 1, (int)a[1].v[0] - 1, (int)a[2].v[0], (int)a[3].v[0]};
}

bool pl_step_crop(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  return check_box("crop", p, box_of(a)) && cut(p, box_of(a));
}

static bool check_fits(const char *who, const pl_picture *p, box b) {
  return (b.h <= p->h && b.w <= p->w) ||
         pl_fail("%s: %d x %d pixels of an image of %d x %d; at most all of it expected", who, b.h,
                 b.w, p->h, p->w);
}

bool pl_step_center_crop(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  box b = size_of(&a[0]);
  b.top = (int)rint((p->h - b.h) / 2.0);
  b.left = (int)rint((p->w - b.w) / 2.0);
  return check_fits("center_crop", p, b) && cut(p, b);
}

/*
** Enlarged
*/

enum { CONSTANT, EDGE, REFLECT }; /* in the order of PL_PAD_MODES */

typedef struct {
  int left, top, right, bottom, mode;
  const pl_numbers *fill;
} border;

/* Of one number, of two (left and right, above and below), or of four. */
static border border_of(const pl_numbers *width, double mode, const pl_numbers *fill) {
  const int n = width->n;
  const double *v = width->v;
  return (border){(int)v[0], (int)v[n > 1], (int)v[n > 2 ? 2 : 0], (int)v[n > 2 ? 3 : n > 1],
                  (int)mode, fill};
}

/* Which of n pixels stands at i, which may be beyond them; -1 for none. */
static int source(int i, int n, int mode) {
  if (i >= 0 && i < n) return i;
  if (mode == CONSTANT) return -1;
  if (mode == EDGE) return i < 0 ? 0 : n - 1;
  return i < 0 ? -i : 2 * (n - 1) - i;
}

static void pad_line(const float *from, int n, border b, float fill, float *to) {
  for (int x = -b.left; x < n + b.right; x++) {
    const int at = source(x, n, b.mode);
    *to++ = at < 0 || !from ? fill : from[at];
  }
}

static bool pad(const char *who, pl_picture *p, border b) {
  pl_picture q;
  if (b.mode == REFLECT && (PL_MAX(b.left, b.right) >= p->w || PL_MAX(b.top, b.bottom) >= p->h))
    return pl_fail("%s: an image of %d x %d has not enough pixels to reflect", who, p->h, p->w);
  const int h = p->h + b.top + b.bottom, w = p->w + b.left + b.right;
  if (!pl_picture_check(who, h, w) || !pl_picture_new(&q, p->c, h, w)) return false;
  for (int k = 0; k < p->c; k++)
    for (int y = 0; y < q.h; y++) {
      const int from = source(y - b.top, p->h, b.mode);
      pad_line(from < 0 ? NULL : pl_line(p, k, from), p->w, b, pl_of_channel(b.fill, k),
               pl_line(&q, k, y));
    }
  return pl_picture_replace(p, q);
}

bool pl_check_pad(const char *who, const pl_numbers *a) {
  return a[0].n != 3 || pl_fail("%s: padding has 3 numbers; 1, 2 or 4 expected", who);
}

bool pl_step_pad(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  return pl_check_channels("pad", "fill", &a[2], p) &&
         pad("pad", p, border_of(&a[0], a[1].v[0], &a[2]));
}

bool pl_check_random_crop(const char *who, const pl_numbers *a) { return pl_check_pad(who, a + 1); }

bool pl_step_random_crop(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  const char *who = "random_crop";
  box b = size_of(&a[0]);
  if (!pl_check_channels(who, "fill", &a[3], p) ||
      !pad(who, p, border_of(&a[1], a[2].v[0], &a[3])) || !check_fits(who, p, b))
    return false;
  b.top = pl_dice_int(dice, p->h - b.h + 1);
  b.left = pl_dice_int(dice, p->w - b.w + 1);
  return cut(p, b);
}

/*
** Parts of a random size and shape: Szegedy et al., "Going deeper with convolutions", CVPR 2015
*/

enum { TRIES = 10 };

/* Whether a part of some share of the pixels, some times as wide as high, fits. */
static bool draw_part(const pl_picture *p, const pl_numbers *scale, const pl_numbers *ratio,
                      pl_dice *dice, box *b) {
  for (int i = 0; i < TRIES; i++) {
    const double area =
                     (double)p->h * p->w * (double)pl_dice_between(dice, scale->v[0], scale->v[1]),
                 aspect = exp((double)pl_dice_between(dice, log(ratio->v[0]), log(ratio->v[1])));
    b->w = (int)rint(sqrt(area * aspect));
    b->h = (int)rint(sqrt(area / aspect));
    if (b->w < 1 || b->h < 1 || b->w > p->w || b->h > p->h) continue;
    b->top = pl_dice_int(dice, p->h - b->h + 1);
    b->left = pl_dice_int(dice, p->w - b->w + 1);
    return true;
  }
  return false;
}

/* The largest part in the middle that is not too wide or too high. */
static box middle_part(const pl_picture *p, const pl_numbers *ratio) {
  const double is = (double)p->w / p->h;
  box b = {0, 0, p->h, p->w};
  if (is < ratio->v[0]) b.h = PL_MAX((int)rint(p->w / ratio->v[0]), 1);
  if (is > ratio->v[1]) b.w = PL_MAX((int)rint(p->h * ratio->v[1]), 1);
  b.top = (p->h - b.h) / 2;
  b.left = (p->w - b.w) / 2;
  return b;
}

bool pl_step_random_resized_crop(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  box part;
  const box size = size_of(&a[0]);
  if (!draw_part(p, &a[1], &a[2], dice, &part)) part = middle_part(p, &a[2]);
  return cut(p, part) && pl_picture_resize(p, size.h, size.w,
                                           (pl_resize){(pl_resize_mode)a[3].v[0], a[4].v[0] != 0});
}

/*
** Holes: Zhong et al., "Random erasing data augmentation", AAAI 2020
*/

static void fill_box(pl_picture *p, box b, const pl_numbers *value) {
  for (int k = 0; k < p->c; k++)
    for (int y = b.top; y < b.top + b.h; y++)
      for (int x = b.left; x < b.left + b.w; x++) pl_line(p, k, y)[x] = pl_of_channel(value, k);
}

bool pl_step_erase(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  if (!pl_check_channels("erase", "value", &a[4], p) || !check_box("erase", p, box_of(a)))
    return false;
  fill_box(p, box_of(a), &a[4]);
  return true;
}

bool pl_step_random_erase(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  box b;
  if (!pl_check_channels("random_erase", "value", &a[3], p)) return false;
  if ((double)pl_dice_unit(dice) < a[0].v[0] && draw_part(p, &a[1], &a[2], dice, &b))
    fill_box(p, b, &a[3]);
  return true;
}
