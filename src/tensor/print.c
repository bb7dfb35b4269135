/*
** print.c: a tensor as text: its description, then its values in columns, as PyTorch shows them. Of a
** tensor with more elements than the threshold, each long dimension shows its first and last ones.
*/
#include "tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LARGE = 1000000 };          /* from here on a common factor makes columns narrower */
static const double SMALL = 1e-3;  /* and below this */
enum { MOST_INTEGER = 100000000 }; /* larger whole numbers are written with an exponent */

static const pl_print_options usual = {
    .precision = 4, .threshold = 1000, .width = 80, .edge_items = 3};

/* A context where nothing was set has none. */
pl_print_options pl_get_print(void) {
  const pl_print_options *o = &PL_HERE->print;
  return o->edge_items ? *o : usual;
}

void pl_set_print(pl_print_options o) { PL_HERE->print = o; }

typedef enum { FIXED, EXPONENT } style;

typedef struct {
  char *buf;
  size_t n, at;
  const pl_tensor *t;
  pl_print_options options;
  bool summary;     /* long dimensions show their ends alone */
  bool whole;       /* no element has a fraction */
  double high, low; /* the largest and the smallest magnitude, of finite elements other than 0 */
  style style;
  double factor; /* elements are shown divided by it */
  int decimals, width;
  int per_line; /* elements of the last dimension on a line */
} printer;

static void put(printer *p, const char *text) {
  size_t len = strlen(text);
  for (size_t i = 0; i < len; i++)
    if (p->at + i + 1 < p->n) p->buf[p->at + i] = text[i];
  p->at += len;
}

static void put_blanks(printer *p, int n) {
  while (n-- > 0) put(p, " ");
}

static void number_text(const printer *p, double x, char *out, size_t n) {
  if (isnan(x)) snprintf(out, n, "nan"); /* some C libraries print its sign */
  else if (isinf(x)) snprintf(out, n, x < 0 ? "-inf" : "inf");
  else snprintf(out, n, p->style == EXPONENT ? "%.*e" : "%.*f", p->decimals, x / p->factor);
}

/*
** Which elements are shown
*/

/* How many positions of dim d are left out in its middle. */
static int64_t left_out(const printer *p, int d) {
  const int64_t n = p->t->size[d], edges = 2 * (int64_t)p->options.edge_items;
  return p->summary && n > edges ? n - edges : 0;
}

static int64_t below(const pl_tensor *t, int d) {
  int64_t n = 1;
  for (int e = d + 1; e < t->rank; e++) n *= t->size[e];
  return n;
}

/* Calls visit with every element that is shown, of those of dim d on that begin at `first`. */
static void each_shown(printer *p, int d, int64_t first, void (*visit)(printer *, double)) {
  if (d == p->t->rank) {
    visit(p, pl_at(p->t, first));
    return;
  }
  const int64_t step = below(p->t, d), gap = left_out(p, d);
  for (int64_t i = 0; i < p->t->size[d]; i++) {
    if (gap && i == p->options.edge_items) i += gap;
    each_shown(p, d + 1, first + i * step, visit);
  }
}

/*
** How they are written: one number of decimals for all, no larger than it has to be
*/

static void measure(printer *p, double x) {
  if (!isfinite(x)) return;
  if (x != floor(x)) p->whole = false;
  if (x == 0) return;
  p->high = fmax(p->high, fabs(x));
  p->low = fmin(p->low, fabs(x));
}

/* A common factor serves a list of numbers that are all large or all small, none of which it would
 * make a zero. */
static void choose_style(printer *p) {
  const double least = pow(10, -p->options.precision), power = pow(10, floor(log10(p->high)));
  if (p->high == 0 || p->t->dtype != PL_REAL) return;
  if (p->whole && p->high < MOST_INTEGER) return;
  if (p->high < LARGE && p->high >= SMALL && p->low >= least) return;
  const bool is_far = p->high >= LARGE || p->high < SMALL;
  if (is_far && pl_numel(p->t) > 1 && p->low / power >= least) p->factor = power;
  else p->style = EXPONENT;
}

/* The decimals of a number that are not zeros at its end. */
static void count_decimals(printer *p, double x) {
  char text[400];
  printer full = *p;
  full.decimals = p->options.precision;
  if (!isfinite(x)) return;
  number_text(&full, x, text, sizeof text);
  const size_t end = strcspn(text, "e");
  size_t zeros = 0;
  while (zeros < (size_t)p->options.precision && text[end - 1 - zeros] == '0') zeros++;
  p->decimals = PL_MAX(p->decimals, p->options.precision - (int)zeros);
}

static void count_width(printer *p, double x) {
  char text[400];
  number_text(p, x, text, sizeof text);
  p->width = PL_MAX(p->width, (int)strlen(text));
}

static void choose_columns(printer *p) {
  each_shown(p, 0, 0, measure);
  choose_style(p);
  if (p->t->dtype == PL_REAL && !(p->whole && p->style == FIXED && p->factor == 1))
    each_shown(p, 0, 0, count_decimals);
  if (p->t->rank) each_shown(p, 0, 0, count_width);
  p->per_line = PL_MAX(1, (p->options.width - p->t->rank) / (p->width + 1));
}

/*
** Writing
*/

static void print_number(printer *p, double x) {
  char text[400];
  number_text(p, x, text, sizeof text);
  put_blanks(p, p->width - (int)strlen(text));
  put(p, text);
}

static void print_row(printer *p, int64_t first) {
  const int d = p->t->rank - 1;
  const int64_t gap = left_out(p, d);
  int on_line = 0;
  for (int64_t i = 0; i < p->t->size[d]; i++) {
    if (on_line == p->per_line) put(p, "\n"), put_blanks(p, d + 1), on_line = 0;
    else if (i) put(p, " ");
    if (gap && i == p->options.edge_items) put(p, "... "), i += gap;
    print_number(p, pl_at(p->t, first + i));
    on_line++;
  }
}

/* From the end of one part of dim d to the next: a line, and an empty one between matrices. */
static void new_line(printer *p, int d) {
  for (int e = d + 1; e < p->t->rank; e++) put(p, "\n");
  put_blanks(p, d + 1);
}

static void print_dim(printer *p, int d, int64_t first) {
  const int64_t step = below(p->t, d), gap = left_out(p, d);
  put(p, "[");
  if (d == p->t->rank - 1) print_row(p, first);
  for (int64_t i = 0; d < p->t->rank - 1 && i < p->t->size[d]; i++) {
    if (i) new_line(p, d);
    if (gap && i == p->options.edge_items) put(p, "..."), new_line(p, d), i += gap;
    print_dim(p, d + 1, first + i * step);
  }
  put(p, "]");
}

/* What stands between the description and the values. */
static void print_head(printer *p) {
  char text[32];
  const int64_t row = p->t->rank ? p->t->size[0] - left_out(p, 0) : 1;
  const int64_t length = (int64_t)p->at + row * (p->width + 1) + 2;
  if (p->factor != 1) snprintf(text, sizeof text, " %.0e *", p->factor), put(p, text);
  put(p, p->t->rank > 1 || (p->t->rank == 1 && length > p->options.width) ? "\n" : " ");
}

size_t pl_print(const pl_tensor *t, char *buf, size_t n) {
  printer p = {.buf = buf,
               .n = n,
               .t = t,
               .options = pl_get_print(),
               .whole = true,
               .low = INFINITY,
               .factor = 1};
  put(&p, PL_DESCRIBE(t));
  if (t->requires_grad) put(&p, " grad");
  if (pl_numel(t) > 0) {
    p.summary = pl_numel(t) > p.options.threshold;
    choose_columns(&p);
    print_head(&p);
    if (t->rank) print_dim(&p, 0, 0);
    else print_number(&p, pl_at(t, 0));
  }
  if (n) buf[PL_MIN(p.at, n - 1)] = 0;
  return p.at;
}
