/*
** anomaly.c: where a NaN or an infinity arises: a tracer that looks at the results of each call and
** of each gradient, and ends the first one that has such a value. An infinity that comes of an
** infinite input or attribute, as in masks of attention, did not arise there.
*/
#include "anomaly.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { HAS_NAN = 1, HAS_INFINITY = 2 };

static unsigned kind_of(double v) { return isnan(v) ? HAS_NAN : isinf(v) ? HAS_INFINITY : 0; }

/* Which such values a tensor has, of one that is a mere shape none. */
static unsigned look_at(const pl_tensor *t) {
  unsigned found = 0;
  if (!t || !t->storage || t->dtype != PL_REAL) return 0;
  const int64_t n = pl_numel(t);
  const pl_real *v = pl_is_contiguous(t) ? pl_data((pl_tensor *)t) : NULL;
  for (int64_t i = 0; i < n; i++) found |= kind_of((double)(v ? v[i] : (pl_real)pl_at(t, i)));
  return found;
}

static bool is_parameter(const pl_tensor *t) { return t && t->requires_grad && !t->node; }

/* An infinite parameter is an anomaly of its own, and explains none. */
static unsigned look_at_all(int n, pl_tensor *const *ts) {
  unsigned found = 0;
  for (int i = 0; i < n; i++)
    if (!is_parameter(ts[i])) found |= look_at(ts[i]);
  return found;
}

static unsigned look_at_attributes(const pl_args *c) {
  unsigned found = 0;
  for (int i = 0; i < c->op->signature->n_attr; i++)
    if (c->op->signature->attr[i].type == PL_ATTR_REAL) found |= kind_of(c->attr[i].d);
  return found;
}

/* What arose: a NaN, wherever it comes from, or an infinity that was not there. */
static unsigned arose(unsigned found, unsigned before) {
  if (found & HAS_NAN) return HAS_NAN;
  return found & ~before & HAS_INFINITY;
}

/*
** Messages
*/

typedef struct {
  char text[400];
  size_t n;
} message;

__attribute__((format(printf, 2, 3))) static void add(message *m, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(m->text + m->n, sizeof m->text - m->n, format, args);
  va_end(args);
  if (n > 0) m->n = PL_MIN(m->n + (size_t)n, sizeof m->text - 1);
}

static const char *name_of(unsigned kind) { return kind & HAS_NAN ? "a NaN" : "an infinity"; }

static void add_state(message *m, const char *what, const pl_tensor *t) {
  const unsigned found = look_at(t);
  add(m, "%s %s %s", what, PL_DESCRIBE(t),
      !t->storage ? "was not kept"
      : found     ? "has "
                  : "is finite");
  if (found) add(m, "%s", name_of(found));
}

static void add_inputs(message *m, const pl_args *c) {
  enum { MOST = 4 };
  for (int i = 0; i < PL_MIN(c->n_in, MOST); i++) {
    if (!c->in[i]) continue;
    add(m, "; ");
    add_state(m, pl_input_name(c->op, i), c->in[i]);
  }
}

/*
** The tracer
*/

static int calling(pl_tracer *t) {
  pl_anomaly *a = (pl_anomaly *)t;
  return a->place ? a->place(a->context) : 0;
}

static void called(pl_tracer *t, const pl_args *c, int n_out, pl_tensor *const *out) {
  (void)t;
  const unsigned before = look_at_all(c->n_in, c->in) | look_at_attributes(c);
  for (int i = 0; i < n_out && !c->op->view; i++) {
    const unsigned kind = arose(look_at(out[i]), before);
    if (!kind) continue;
    message m = {.n = 0};
    add(&m, "%s gave %s in its result %s, in the forward pass", c->op->name, name_of(kind),
        PL_DESCRIBE(out[i]));
    add_inputs(&m, c);
    pl_fail("detect_anomaly: %s", m.text);
    return;
  }
}

static void went_back(pl_tracer *t, const pl_args *c, int place, pl_tensor *const *gout,
                      pl_tensor *const *gin) {
  const pl_anomaly *a = (const pl_anomaly *)t;
  const unsigned before = look_at_all(PL_MAX_OUT, gout);
  for (int i = 0; i < c->n_in; i++) {
    const unsigned kind = arose(look_at(gin[i]), before);
    if (!kind) continue;
    const char *where = a->text && place ? a->text(a->context, place) : NULL;
    message m = {.n = 0};
    add(&m, "%s gave %s in the gradient of %s, in the backward pass", c->op->name, name_of(kind),
        pl_input_name(c->op, i));
    if (where) add(&m, "; it was called %s", where);
    add_inputs(&m, c);
    for (int j = 0; j < PL_MAX_OUT; j++)
      if (gout[j]) add(&m, "; "), add_state(&m, "the gradient of its result", gout[j]);
    pl_fail("detect_anomaly: %s", m.text);
    return;
  }
}

void pl_anomaly_begin(pl_anomaly *a) {
  pl_context *here = PL_HERE;
  a->tracer =
      (pl_tracer){.called = called, .calling = calling, .went_back = went_back, .whole = true};
  a->outer = here->tracer;
  here->tracer = &a->tracer;
}

void pl_anomaly_end(pl_anomaly *a) { PL_HERE->tracer = a->outer; }
