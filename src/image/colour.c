/*
** colour.c: what is done to the values of pixels, wherever they are.
*/
#include <math.h>

#include "steps.h"

static size_t pixels_of(const pl_picture *p) { return (size_t)p->h * (size_t)p->w; }

static bool is_coloured(const pl_picture *p) { return p->c >= 3; }

/*
** Grey, as ITU-R BT.601 weighs the colours
*/

static float luma(float r, float g, float b) { return 0.2989f * r + 0.587f * g + 0.114f * b; }

static float luma_at(const pl_picture *p, size_t i) {
  if (!is_coloured(p)) return p->v[i];
  return luma(pl_plane(p, 0)[i], pl_plane(p, 1)[i], pl_plane(p, 2)[i]);
}

bool pl_check_gray(const char *who, const pl_numbers *a) {
  return a[0].v[0] != 2 || pl_fail("%s: channels is 2; 1 or 3 expected", who);
}

static bool gray(pl_picture *p, int channels) {
  pl_picture q;
  if (!pl_picture_new(&q, channels, p->h, p->w)) return false;
  for (size_t i = 0; i < pixels_of(p); i++)
    for (int k = 0; k < channels; k++) pl_plane(&q, k)[i] = luma_at(p, i);
  return pl_picture_replace(p, q);
}

bool pl_step_to_gray(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  return gray(p, (int)a[0].v[0]);
}

bool pl_step_random_gray(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  const bool does = (double)pl_dice_unit(dice) < a[0].v[0];
  for (size_t i = 0; does && is_coloured(p) && i < pixels_of(p); i++) {
    const float v = luma_at(p, i);
    for (int k = 0; k < 3; k++) pl_plane(p, k)[i] = v;
  }
  return true;
}

/*
** Standardised
*/

bool pl_check_normalise(const char *who, const pl_numbers *a) {
  for (int i = 0; i < a[1].n; i++)
    if (!(a[1].v[i] > 0))
      return pl_fail("%s: std is %g; a positive number expected", who, a[1].v[i]);
  return true;
}

bool pl_step_normalise(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  if (!pl_check_channels("normalise", "mean", &a[0], p) ||
      !pl_check_channels("normalise", "std", &a[1], p))
    return false;
  for (int k = 0; k < p->c; k++) {
    const float mean = pl_of_channel(&a[0], k), std = pl_of_channel(&a[1], k);
    float *v = pl_plane(p, k);
    for (size_t i = 0; i < pixels_of(p); i++) v[i] = (v[i] - mean) / std;
  }
  return true;
}

/*
** Jitter: brightness, contrast, saturation and hue, in an order that is drawn
*/

static float unit(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

/* How many planes have colours: alpha has none. */
static int colours_of(const pl_picture *p) { return PL_MIN(p->c, 3); }

static void brightness(pl_picture *p, float by) {
  for (size_t i = 0; i < pixels_of(p) * (size_t)colours_of(p); i++) p->v[i] = unit(p->v[i] * by);
}

static void contrast(pl_picture *p, float by) {
  double sum = 0;
  for (size_t i = 0; i < pixels_of(p); i++) sum += (double)luma_at(p, i);
  const float mean = (float)(sum / (double)pixels_of(p));
  for (size_t i = 0; i < pixels_of(p) * (size_t)colours_of(p); i++)
    p->v[i] = unit(p->v[i] * by + mean * (1 - by));
}

static void saturation(pl_picture *p, float by) {
  for (size_t i = 0; is_coloured(p) && i < pixels_of(p); i++) {
    const float grey = luma_at(p, i);
    for (int k = 0; k < 3; k++) pl_plane(p, k)[i] = unit(pl_plane(p, k)[i] * by + grey * (1 - by));
  }
}

/* Of hue, saturation and value, from 0 to 1: Smith, "Color gamut transform pairs", SIGGRAPH 1978. */
static float hue_of(float r, float g, float b, float high, float range) {
  if (range == 0) return 0;
  const float sixth = high == r   ? (g - b) / range
                      : high == g ? 2 + (b - r) / range
                                  : 4 + (r - g) / range;
  return sixth / 6;
}

static void turn_hue(float *r, float *g, float *b, float by) {
  const float high = fmaxf(*r, fmaxf(*g, *b)), range = high - fminf(*r, fminf(*g, *b));
  if (!(range > 0) || isinf(range) || isnan(*r + *g + *b)) return;
  float hue = hue_of(*r, *g, *b, high, range) + by;
  hue -= floorf(hue);
  const int sector = (int)(hue * 6);
  const float part = hue * 6 - (float)sector, low = unit(high - range),
              falls = unit(high - range * part), rises = unit(high - range * (1 - part));
  const float to[6][3] = {{high, rises, low}, {falls, high, low}, {low, high, rises},
                          {low, falls, high}, {rises, low, high}, {high, low, falls}};
  *r = to[sector % 6][0], *g = to[sector % 6][1], *b = to[sector % 6][2];
}

static void hue(pl_picture *p, float by) {
  for (size_t i = 0; is_coloured(p) && i < pixels_of(p); i++)
    turn_hue(&pl_plane(p, 0)[i], &pl_plane(p, 1)[i], &pl_plane(p, 2)[i], by);
}

enum { CHANGES = 4, HUE = 3 };

/* One number x stands for the range 1 - x to 1 + x, which begins at 0 at least, of hue -x to x. */
static float factor(pl_dice *dice, const pl_numbers *a, bool is_hue) {
  const double x = a->v[0], middle = is_hue ? 0 : 1;
  if (a->n == 2) return pl_dice_between(dice, x, a->v[1]);
  return pl_dice_between(dice, is_hue ? -x : PL_MAX(middle - x, 0), middle + x);
}

bool pl_step_jitter(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  static void (*const change[CHANGES])(pl_picture *, float) = {brightness, contrast, saturation,
                                                               hue};
  int order[CHANGES] = {0, 1, 2, 3};
  float by[CHANGES];
  for (int i = CHANGES - 1; i > 0; i--) {
    const int j = pl_dice_int(dice, i + 1), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  for (int i = 0; i < CHANGES; i++) by[i] = a[i].n ? factor(dice, &a[i], i == HUE) : 0;
  for (int i = 0; i < CHANGES; i++)
    if (a[order[i]].n) change[order[i]](p, by[order[i]]);
  return true;
}
