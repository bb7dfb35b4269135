/*
** steps.c: the table of all steps: names, parameters, bounds, defaults. What Lua calls, what messages
** say and what transforms are made of is read here. Names are torchvision's, where it has the thing.
*/
#include "steps.h"

#include "resize.h"

enum { SIDE = 65535, VALUE = 1000000, DEGREES = 36000 };

/*
** A parameter: its name, kind, how many numbers at least and at most, the bounds of each, and its
** default
*/
#define ONE(x) \
  {            \
    1, { x }   \
  }
#define TWO(x, y) \
  {               \
    2, { x, y }   \
  }
#define NEEDED           {0}, false, NULL
#define OPTIONAL         {0}, true, NULL
#define USUALLY(numbers) numbers, false, NULL
#define CHOICE(name, words) \
  { name, PL_CHOICE, 1, 1, 0, 0, ONE(0), false, words }
#define YES(name) \
  { name, PL_BOOLEAN, 1, 1, 0, 1, USUALLY(ONE(1)) }
#define NO(name) \
  { name, PL_BOOLEAN, 1, 1, 0, 1, USUALLY(ONE(0)) }
#define CHANCE(p) \
  { "p", PL_ANY, 1, 1, 0, 1, USUALLY(ONE(p)) }
#define SIZE \
  { "size", PL_WHOLE, 1, 2, 1, SIDE, NEEDED }
#define PLACE(name) \
  { name, PL_WHOLE, 1, 1, 1, SIDE, NEEDED }
#define BOX PLACE("top"), PLACE("left"), PLACE("height"), PLACE("width")
#define FILL(name) \
  { name, PL_ANY, 1, 4, -VALUE, VALUE, USUALLY(ONE(0)) }
#define BORDER(...) \
  { "padding", PL_WHOLE, 1, 4, 0, SIDE, __VA_ARGS__ }
#define DIRECTION   CHOICE("direction", PL_DIRECTIONS)
#define PAD_MODE    CHOICE("mode", PL_PAD_MODES)
#define WARP_MODE   CHOICE("mode", PL_WARP_MODES)
#define RESIZE_MODE CHOICE("mode", PL_RESIZE_MODES), YES("antialias")
#define SHARE(low, high) \
  { "scale", PL_RANGE, 2, 2, 0, 1, USUALLY(TWO(low, high)) }
#define RATIO(low, high) \
  { "ratio", PL_RANGE, 2, 2, 0.001, 1000, USUALLY(TWO(low, high)) }
#define ANGLE \
  { "angle", PL_ANY, 1, 1, -DEGREES, DEGREES, NEEDED }
#define ANGLES \
  { "degrees", PL_RANGE, 1, 2, -DEGREES, DEGREES, NEEDED }
#define SHEAR(least, most) \
  { "shear", PL_ANY, least, most, -89, 89, USUALLY(TWO(0, 0)) }
#define KERNEL \
  { "kernel_size", PL_WHOLE, 1, 2, 1, 255, NEEDED }
#define FACTOR(name) \
  { name, PL_RANGE, 1, 2, 0, 1000, OPTIONAL }

const pl_step_row pl_step_rows[] = {
    {"resize", pl_step_resize, NULL, false, {SIZE, RESIZE_MODE}},
    {"crop", pl_step_crop, NULL, false, {BOX}},
    {"center_crop", pl_step_center_crop, NULL, false, {SIZE}},
    {"pad", pl_step_pad, pl_check_pad, false, {BORDER(NEEDED), PAD_MODE, FILL("fill")}},
    {"flip", pl_step_flip, NULL, false, {DIRECTION}},
    {"rotate", pl_step_rotate, NULL, false, {ANGLE, WARP_MODE, NO("expand"), FILL("fill")}},
    {"affine",
     pl_step_affine,
     NULL,
     false,
     {{"angle", PL_ANY, 1, 1, -DEGREES, DEGREES, USUALLY(ONE(0))},
      {"translate", PL_ANY, 2, 2, -SIDE, SIDE, USUALLY(TWO(0, 0))},
      {"scale", PL_ANY, 1, 1, 0.001, 1000, USUALLY(ONE(1))},
      SHEAR(2, 2),
      WARP_MODE,
      FILL("fill")}},
    {"blur",
     pl_step_blur,
     pl_check_blur,
     false,
     {KERNEL, {"sigma", PL_ANY, 1, 2, 0.001, 1000, OPTIONAL}}},
    {"erase", pl_step_erase, NULL, false, {BOX, FILL("value")}},
    {"to_gray",
     pl_step_to_gray,
     pl_check_gray,
     false,
     {{"channels", PL_WHOLE, 1, 1, 1, 3, USUALLY(ONE(1))}}},
    {"normalise",
     pl_step_normalise,
     pl_check_normalise,
     true,
     {{"mean", PL_ANY, 1, 4, -VALUE, VALUE, NEEDED}, {"std", PL_ANY, 1, 4, 0, VALUE, NEEDED}}},
    {"jitter",
     pl_step_jitter,
     NULL,
     false,
     {FACTOR("brightness"),
      FACTOR("contrast"),
      FACTOR("saturation"),
      {"hue", PL_RANGE, 1, 2, -0.5, 0.5, OPTIONAL}}},
    {"random_crop",
     pl_step_random_crop,
     pl_check_random_crop,
     false,
     {SIZE, BORDER(USUALLY(ONE(0))), PAD_MODE, FILL("fill")}},
    {"random_resized_crop",
     pl_step_random_resized_crop,
     NULL,
     false,
     {SIZE, SHARE(0.08, 1), RATIO(3 / 4., 4 / 3.), RESIZE_MODE}},
    {"random_flip", pl_step_random_flip, NULL, false, {CHANCE(0.5), DIRECTION}},
    {"random_rotate",
     pl_step_random_rotate,
     NULL,
     false,
     {ANGLES, WARP_MODE, NO("expand"), FILL("fill")}},
    {"random_affine",
     pl_step_random_affine,
     pl_check_random_affine,
     false,
     {ANGLES,
      {"translate", PL_ANY, 2, 2, 0, 1, USUALLY(TWO(0, 0))},
      {"scale", PL_RANGE, 2, 2, 0.001, 1000, USUALLY(TWO(1, 1))},
      SHEAR(1, 4),
      WARP_MODE,
      FILL("fill")}},
    {"random_blur",
     pl_step_random_blur,
     pl_check_blur,
     false,
     {KERNEL, {"sigma", PL_RANGE, 2, 2, 0.001, 1000, USUALLY(TWO(0.1, 2))}}},
    {"random_erase",
     pl_step_random_erase,
     NULL,
     false,
     {CHANCE(0.5), SHARE(0.02, 0.33), RATIO(0.3, 3.3), FILL("value")}},
    {"random_gray", pl_step_random_gray, NULL, false, {CHANCE(0.1)}},
};
const int pl_step_row_count = sizeof pl_step_rows / sizeof *pl_step_rows;

bool pl_check_channels(const char *who, const char *name, const pl_numbers *a,
                       const pl_picture *p) {
  return a->n == 1 || a->n == p->c ||
         pl_fail("%s: %s has %d numbers, but the image %d channel%s", who, name, a->n, p->c,
                 p->c == 1 ? "" : "s");
}
