/*
** transform.c: lists of steps. What is asked for is compared with the table once, when a transform is
** made; what runs then has numbers in their places.
*/
#include "transform.h"

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const pl_step_row *row;
  pl_numbers a[PL_STEP_PARAMETERS];
} step;

struct pl_transform {
  atomic_int refs;
  int n;
  step step[];
};

/*
** Words of choices
*/

const char *pl_choice(const char *choices, int i, int *n) {
  const char *word = choices;
  for (; *word; word += strspn(word, " ")) {
    *n = (int)strcspn(word, " ");
    if (i-- == 0) return word;
    word += *n;
  }
  return NULL;
}

static int choice_of(const char *choices, const char *text) {
  const char *word;
  for (int i = 0, n = 0; (word = pl_choice(choices, i, &n)); i++)
    if (strlen(text) == (size_t)n && memcmp(word, text, (size_t)n) == 0) return i;
  return -1;
}

/*
** Making them
*/

static int count_parameters(const pl_step_row *row) {
  int n = 0;
  while (n < PL_STEP_PARAMETERS && row->parameter[n].name) n++;
  return n;
}

const pl_step_row *pl_step_find(const char *name) {
  for (int i = 0; i < pl_step_row_count; i++)
    if (strcmp(pl_step_rows[i].name, name) == 0) return &pl_step_rows[i];
  return NULL;
}

/* The parameter that is named, or the next of those that are not. */
static int place_of(const pl_step_row *row, const pl_argument *a, int *next) {
  const int n = count_parameters(row);
  if (!a->name) {
    if (*next < n) return (*next)++;
    pl_fail("%s: %d arguments; at most %d expected", row->name, *next + 1, n);
    return -1;
  }
  for (int i = 0; i < n; i++)
    if (strcmp(row->parameter[i].name, a->name) == 0) return i;
  pl_fail("%s: unknown option '%s'", row->name, a->name);
  return -1;
}

static bool check_number(const char *who, const pl_parameter *p, double v) {
  if (!(v >= p->low && v <= p->high))
    return pl_fail("%s: %s is %g; %g to %g expected", who, p->name, fabs(v) >= 0 ? v : (double)NAN,
                   p->low, p->high); /* a NaN without a sign */
  return p->kind != PL_WHOLE || v == (double)(int64_t)v ||
         pl_fail("%s: %s is %g; a whole number expected", who, p->name, v);
}

static bool set_choice(const char *who, const pl_parameter *p, const pl_argument *a,
                       pl_numbers *to) {
  const int i = a->text ? choice_of(p->choices, a->text) : -1;
  if (i < 0)
    return pl_fail("%s: %s is %s%s%s; one of %s expected", who, p->name, a->text ? "'" : "",
                   a->text ? a->text : "a number", a->text ? "'" : "", p->choices);
  *to = (pl_numbers){1, {i}};
  return true;
}

static bool fail_count(const char *who, const pl_parameter *p, int n) {
  char most[16] = "";
  if (p->most > p->least) snprintf(most, sizeof most, " to %d", p->most);
  return pl_fail("%s: %s has %d number%s; %d%s expected", who, p->name, n, n == 1 ? "" : "s",
                 p->least, most);
}

static bool set_numbers(const char *who, const pl_parameter *p, const pl_argument *a,
                        pl_numbers *to) {
  const char *what = p->kind == PL_BOOLEAN ? "true or false" : "a number";
  if (a->text) return pl_fail("%s: %s is '%s'; %s expected", who, p->name, a->text, what);
  if (a->boolean != (p->kind == PL_BOOLEAN))
    return pl_fail("%s: %s is %s; %s expected", who, p->name,
                   !a->boolean    ? "a number"
                   : a->v[0] != 0 ? "true"
                                  : "false",
                   what);
  if (a->n < p->least || a->n > p->most) return fail_count(who, p, a->n);
  *to = (pl_numbers){.n = a->n};
  for (int i = 0; i < a->n; i++) {
    if (!check_number(who, p, a->v[i])) return false;
    to->v[i] = a->v[i];
  }
  return p->kind != PL_RANGE || a->n < 2 || a->v[0] <= a->v[1] ||
         pl_fail("%s: %s is {%g, %g}; the smaller number first expected", who, p->name, a->v[0],
                 a->v[1]);
}

static bool set(step *s, const pl_argument *a, int *next, unsigned *given) {
  const char *who = s->row->name;
  const int i = place_of(s->row, a, next);
  if (i < 0) return false;
  const pl_parameter *p = &s->row->parameter[i];
  if (*given & 1u << i) return pl_fail("%s: %s is given twice", who, p->name);
  if (!a->text && !a->n) return true;
  *given |= 1u << i;
  return (p->kind == PL_CHOICE ? set_choice : set_numbers)(who, p, a, &s->a[i]);
}

static bool make_step(step *s, const pl_step_call *call) {
  s->row = pl_step_find(call->name);
  if (!s->row) return pl_fail("transform: there is no step '%s'", call->name);
  int next = 0;
  unsigned given = 0;
  for (int i = 0; i < call->n; i++)
    if (!set(s, &call->arguments[i], &next, &given)) return false;
  for (int i = 0; i < count_parameters(s->row); i++) {
    const pl_parameter *p = &s->row->parameter[i];
    if (given & 1u << i) continue;
    if (!p->fallback.n && !p->optional) return pl_fail("%s: %s is missing", call->name, p->name);
    s->a[i] = p->fallback;
  }
  return !s->row->check || s->row->check(s->row->name, s->a);
}

pl_transform *pl_transform_new(int n, const pl_step_call *steps) {
  pl_transform *t = calloc(1, sizeof *t + (size_t)n * sizeof *t->step);
  if (!t) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for a transform"), NULL;
  atomic_init(&t->refs, 1);
  t->n = n;
  for (int i = 0; i < n; i++)
    if (!make_step(&t->step[i], &steps[i])) return free(t), NULL;
  return t;
}

pl_transform *pl_transform_retain(pl_transform *t) {
  atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
  return t;
}

void pl_transform_release(pl_transform *t) {
  if (t && atomic_fetch_sub(&t->refs, 1) == 1) free(t);
}

/*
** Telling of them
*/

typedef struct {
  char *text;
  size_t room;
  int n;
} writer;

__attribute__((format(printf, 2, 3))) static void say(writer *w, const char *format, ...) {
  const size_t at = (size_t)w->n;
  va_list args;
  va_start(args, format);
  w->n +=
      vsnprintf(at < w->room ? w->text + at : NULL, at < w->room ? w->room - at : 0, format, args);
  va_end(args);
}

static void say_numbers(writer *w, const pl_parameter *p, const pl_numbers *a) {
  int n = 0;
  const char *word = p->kind == PL_CHOICE ? pl_choice(p->choices, (int)a->v[0], &n) : NULL;
  if (word) say(w, "\"%.*s\"", n, word);
  else if (p->kind == PL_BOOLEAN) say(w, a->v[0] != 0 ? "true" : "false");
  else if (a->n == 1) say(w, "%g", a->v[0]);
  else
    for (int i = 0; i < a->n; i++)
      say(w, "%s%g%s", i ? ", " : "{", a->v[i], i + 1 < a->n ? "" : "}");
}

int pl_parameter_text(const pl_parameter *p, const pl_numbers *a, char *text, size_t room) {
  writer w = {text, room, 0};
  say_numbers(&w, p, a);
  return w.n;
}

static void say_step(writer *w, const step *s) {
  const char *between = "";
  say(w, "%s(", s->row->name);
  for (int i = 0; i < count_parameters(s->row); i++) {
    if (!s->a[i].n) continue;
    say(w, "%s%s = ", between, s->row->parameter[i].name);
    say_numbers(w, &s->row->parameter[i], &s->a[i]);
    between = ", ";
  }
  say(w, ")");
}

int pl_transform_text(const pl_transform *t, char *text, size_t room) {
  writer w = {text, room, 0};
  if (room) *text = '\0';
  for (int i = 0; i < t->n; i++) {
    if (i) say(&w, ", ");
    say_step(&w, &t->step[i]);
  }
  return w.n;
}

bool pl_transform_leaves_range(const pl_transform *t) {
  for (int i = 0; i < t->n; i++)
    if (t->step[i].row->leaves_range) return true;
  return false;
}

/*
** Running them
*/

bool pl_transform_run(const pl_transform *t, pl_picture *p, uint64_t key) {
  for (int i = 0; i < t->n; i++) {
    pl_dice dice = {key, (uint64_t)i << 32};
    if (!t->step[i].row->run(t->step[i].a, p, &dice)) return false;
  }
  return true;
}
