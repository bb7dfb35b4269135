/*
** steps.c: the table of all steps: names, parameters, bounds, defaults. What Lua calls, what messages
** say and what transforms are made of is read here.
*/
#include "steps.h"

#include "resize.h"

enum { MOST_SIDE = 65535 };

#define ONE(x) \
  {            \
    1, { x }   \
  }
#define TWO(x, y) \
  {               \
    2, { x, y }   \
  }
#define SIZE \
  { "size", PL_WHOLE, 1, 2, 1, MOST_SIDE, {0}, false, NULL }
#define CHOICE(name, words) \
  { name, PL_CHOICE, 1, 1, 0, 0, ONE(0), false, words }
#define YES(name) \
  { name, PL_BOOLEAN, 1, 1, 0, 1, ONE(1), false, NULL }
#define NO(name) \
  { name, PL_BOOLEAN, 1, 1, 0, 1, ONE(0), false, NULL }
#define CHANCE(p) \
  { "p", PL_ANY, 1, 1, 0, 1, ONE(p), false, NULL }
#define DIRECTION CHOICE("direction", "horizontal vertical")

const pl_step_row pl_step_rows[] = {
    {"resize",
     pl_step_resize,
     NULL,
     false,
     {SIZE, CHOICE("mode", PL_RESIZE_MODES), YES("antialias")}},
    {"flip", pl_step_flip, NULL, false, {DIRECTION}},
    {"random_flip", pl_step_random_flip, NULL, false, {CHANCE(0.5), DIRECTION}},
};
const int pl_step_row_count = sizeof pl_step_rows / sizeof *pl_step_rows;
