/*
** print.c: a tensor as text: its description, then its values, rounded, the middle of
** long dimensions left out.
*/
#include "tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EDGE = 3, LONG = 8 }; /* a dimension longer than LONG shows EDGE at each end */

typedef struct {
  char *buf;
  size_t n, at;
  int width;
} printer;

static void put(printer *p, const char *text) {
  size_t len = strlen(text);
  for (size_t i = 0; i < len; i++)
    if (p->at + i + 1 < p->n) p->buf[p->at + i] = text[i];
  p->at += len;
}

static void number_text(const pl_tensor *t, double x, char *out, size_t n) {
  if (isnan(x)) /* some C libraries print its sign */
    snprintf(out, n, "nan");
  else if (t->dtype != PL_REAL) snprintf(out, n, "%.0f", x);
  else snprintf(out, n, "%.5g", x);
}

static bool shown(int64_t i, int64_t n, int64_t edge) {
  return n <= LONG || i < edge || i >= n - edge;
}

static int column_width(const pl_tensor *t) {
  int width = 0;
  int64_t n = pl_numel(t), last = t->size[t->rank - 1];
  char text[40];
  for (int64_t i = 0; i < n && i < 4096; i++)
    if (shown(i % last, last, EDGE)) {
      number_text(t, pl_at(t, i), text, sizeof text);
      width = PL_MAX(width, (int)strlen(text));
    }
  return width;
}

static void print_dim(printer *p, const pl_tensor *t, int d, int64_t first) {
  char text[64], padded[64];
  if (d == t->rank) {
    number_text(t, pl_at(t, first), text, sizeof text);
    snprintf(padded, sizeof padded, "%*s", p->width, text);
    put(p, padded);
    return;
  }
  int64_t below = 1;
  for (int e = d + 1; e < t->rank; e++) below *= t->size[e];
  put(p, "[");
  bool gap = false;
  for (int64_t i = 0; i < t->size[d]; i++) {
    if (!shown(i, t->size[d], EDGE)) {
      gap = true;
      i = t->size[d] - EDGE - 1; /* the last of those that are left out */
      continue;
    }
    if (i && d == t->rank - 1) put(p, gap ? " … " : " ");
    else if (i) {
      put(p, "\n");
      if (gap) snprintf(text, sizeof text, "%*s…\n", d + 1, ""), put(p, text);
      snprintf(text, sizeof text, "%*s", d + 1, "");
      put(p, text);
    }
    gap = false;
    print_dim(p, t, d + 1, first + i * below);
  }
  put(p, "]");
}

size_t pl_print(const pl_tensor *t, char *buf, size_t n) {
  printer p = {buf, n, 0, 0};
  put(&p, PL_DESCRIBE(t));
  if (pl_numel(t) > 0) {
    if (t->rank) p.width = column_width(t);
    put(&p, t->rank > 1 ? "\n" : " ");
    print_dim(&p, t, 0, 0);
  }
  if (n) buf[PL_MIN(p.at, n - 1)] = 0;
  return p.at;
}
