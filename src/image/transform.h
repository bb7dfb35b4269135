/*
** transform.h: what a step is, inside of this floor. steps.c has the table of all; each is one
** function of one picture, its parameters and its random numbers.
*/
#ifndef PERILUNE_TRANSFORM_H
#define PERILUNE_TRANSFORM_H

#include "../base/base.h"
#include "../base/random.h"
#include "image.h"

enum { PL_STEP_PARAMETERS = 8, PL_STEP_NUMBERS = 4 };

/* The random numbers of one step for one picture. */
typedef struct {
  uint64_t key, counter;
} pl_dice;
/* At least 0 and less than 1. */
float pl_dice_unit(pl_dice *d);
/* Between two numbers. */
float pl_dice_between(pl_dice *d, double low, double high);
/* One of 0 .. n - 1. */
int pl_dice_int(pl_dice *d, int n);

typedef struct {
  int n; /* how many numbers were given; 0: none, and none is the default */
  double v[PL_STEP_NUMBERS];
} pl_numbers;

typedef bool pl_step_run(const pl_numbers *a, pl_picture *p, pl_dice *dice);

/* A range: where there are two numbers, the smaller first. */
typedef enum { PL_ANY, PL_WHOLE, PL_RANGE, PL_BOOLEAN, PL_CHOICE } pl_number_kind;

typedef struct {
  const char *name;
  pl_number_kind kind;
  int least, most;  /* how many numbers it takes */
  double low, high; /* the bounds of each, which are allowed */
  pl_numbers fallback;
  bool optional;       /* where the fallback has no number */
  const char *choices; /* "bilinear bicubic": a choice is the number of the word, from 0 */
} pl_parameter;

typedef struct {
  const char *name;
  pl_step_run *run;
  bool (*check)(const char *who, const pl_numbers *a); /* what the bounds cannot say, or NULL */
  bool leaves_range;                                   /* of 0 to 1 */
  pl_parameter parameter[PL_STEP_PARAMETERS];          /* up to one without a name */
} pl_step_row;

/* NULL if there is none. */
const pl_step_row *pl_step_find(const char *name);
extern const pl_step_row pl_step_rows[];
extern const int pl_step_row_count;

/* "0.5", "{1, 2}", "\"bicubic\"": as snprintf does it. */
int pl_parameter_text(const pl_parameter *p, const pl_numbers *a, char *text, size_t room);
/* The i-th word of such a list, its length in *n; NULL past the end. */
const char *pl_choice(const char *choices, int i, int *n);

/* Whether a picture may be so large; a message begins with `who`. */
bool pl_picture_check(const char *who, int64_t h, int64_t w);

/* Puts another picture in its place. */
static inline bool pl_picture_replace(pl_picture *p, pl_picture by) {
  pl_picture_free(p);
  *p = by;
  return true;
}

static inline float *pl_plane(const pl_picture *p, int k) {
  return p->v + (size_t)k * (size_t)p->h * (size_t)p->w;
}

#endif
