/*
** blur.c: Gaussian blur, each direction by itself; beyond the border the picture is mirrored.
*/
#include <math.h>

#include "steps.h"

enum { MOST = 255 }; /* pixels of a kernel */

typedef struct {
  int half;
  float weight[MOST];
} kernel;

static kernel kernel_of(int size, double sigma) {
  kernel k = {.half = size / 2};
  double sum = 0, w[MOST];
  for (int i = 0; i < size; i++) {
    const double x = (i - k.half) / sigma;
    sum += w[i] = exp(-x * x / 2);
  }
  for (int i = 0; i < size; i++) k.weight[i] = (float)(w[i] / sum);
  return k;
}

static int mirrored(int i, int n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

static void along_line(const kernel *k, const float *from, int n, float *to) {
  for (int x = 0; x < n; x++) {
    float sum = 0;
    for (int j = -k->half; j <= k->half; j++)
      sum += k->weight[j + k->half] * from[mirrored(x + j, n)];
    to[x] = sum;
  }
}

static void along_columns(const kernel *k, const pl_picture *p, int c, pl_picture *q) {
  for (int y = 0; y < p->h; y++) {
    float *to = pl_line(q, c, y);
    for (int x = 0; x < p->w; x++) to[x] = 0;
    for (int j = -k->half; j <= k->half; j++) {
      const float *from = pl_line(p, c, mirrored(y + j, p->h)), weight = k->weight[j + k->half];
      for (int x = 0; x < p->w; x++) to[x] += weight * from[x];
    }
  }
}

static bool blur(const char *who, pl_picture *p, const pl_numbers *size, double sigma_y,
                 double sigma_x) {
  pl_picture q;
  const kernel down = kernel_of((int)size->v[0], sigma_y),
               right = kernel_of((int)size->v[size->n - 1], sigma_x);
  if (down.half >= p->h || right.half >= p->w)
    return pl_fail("%s: the kernel is too large for an image of %d x %d", who, p->h, p->w);
  if (!pl_picture_new(&q, p->c, p->h, p->w)) return false;
  for (int k = 0; k < p->c; k++) along_columns(&down, p, k, &q);
  for (int k = 0; k < p->c; k++)
    for (int y = 0; y < p->h; y++) along_line(&right, pl_line(&q, k, y), p->w, pl_line(p, k, y));
  pl_picture_free(&q);
  return true;
}

bool pl_check_blur(const char *who, const pl_numbers *a) {
  for (int i = 0; i < a[0].n; i++)
    if ((int)a[0].v[i] % 2 == 0)
      return pl_fail("%s: kernel_size is %g; an odd number expected", who, a[0].v[i]);
  return true;
}

/* As wide as OpenCV makes it for a kernel. */
static double usual_sigma(double size) { return 0.3 * ((size - 1) / 2 - 1) + 0.8; }

bool pl_step_blur(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  (void)dice;
  const pl_numbers *size = &a[0], *sigma = &a[1];
  if (sigma->n) return blur("blur", p, size, sigma->v[0], sigma->v[sigma->n - 1]);
  return blur("blur", p, size, usual_sigma(size->v[0]), usual_sigma(size->v[size->n - 1]));
}

bool pl_step_random_blur(const pl_numbers *a, pl_picture *p, pl_dice *dice) {
  const double sigma = (double)pl_dice_between(dice, a[1].v[0], a[1].v[1]);
  return blur("random_blur", p, &a[0], sigma, sigma);
}
