/*
** samples.h: the samples of rows, read as docs/ops.md explains them. Included after cmocka.h.
*/
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perilune.h"

typedef struct {
  int n;
  pl_tensor *in[16];
  bool wanted[16];
  pl_attr attr[PL_MAX_ATTR];
} sample;

/* "3,4]" as sizes, "1,-2" as integers. */
static pl_ints read_ints(const char *at) {
  pl_ints v = {0};
  for (char *end; *at && *at != ']'; at = *end == ',' ? end + 1 : end) {
    v.v[v.n++] = strtoll(at, &end, 10);
    if (end == at) break;
  }
  return v;
}

/* 1, 2, ... on the diagonal of each matrix, small numbers elsewhere; made symmetric if `spd`. */
static void make_regular(pl_tensor *t, pl_ints size, bool spd) {
  const int64_t m = size.v[size.n - 2], n = size.v[size.n - 1];
  pl_real *x = pl_data(t);
  for (int64_t i = 0; i < pl_numel(t); i++) {
    const int64_t row = i / n % m, column = i % n, across = i + (column - row) * (n - 1);
    x[i] = spd && column < row ? x[across]
                               : x[i] * (pl_real)0.05 + (pl_real)(row == column ? row + 1 : 0);
  }
}

static pl_tensor *make_input(const char *word, bool *wanted) {
  const char *bracket = strchr(word, '[');
  pl_ints size = read_ints(bracket + 1);
  bool index = !strncmp(word, "index", 5), bits = !strncmp(word, "bool", 4);
  pl_tensor *t = pl_empty(index ? PL_INT32 : bits ? PL_UINT8 : PL_REAL, size);
  *wanted = !index && !bits && strncmp(word, "const", 5);
  bool positive = strstr(word, "pos") && strstr(word, "pos") < bracket;
  if (index) pl_randint(t, 1, atoi(word + 5));
  else if (bits) pl_bernoulli(t, 0.5);
  else if (!strncmp(word, "unit", 4)) pl_uniform(t, 0.1, 0.9);
  else if (positive) pl_uniform(t, 0.5, 1.5);
  else pl_normal(t, 0, 1);
  if (!strncmp(word, "regular", 7) || !strncmp(word, "spd", 3)) make_regular(t, size, *word == 's');
  if (*wanted) pl_set_requires_grad(t, true);
  return t;
}

static int64_t choice_of(const char *words, const char *text) {
  int64_t i = 0;
  for (const char *at = words; *at; i++) {
    size_t n = strcspn(at, "|");
    if (strlen(text) == n && !memcmp(at, text, n)) return i;
    at += n + (at[n] == '|');
  }
  fail_msg("%s is none of %s", text, words);
  return 0;
}

static int64_t from_one(int64_t v) { return v > 0 ? v - 1 : v; }

static pl_attr read_attr(const pl_attr_spec *spec, const char *text) {
  pl_attr a = {0};
  switch (spec->type) {
    case PL_ATTR_REAL: a.d = strtod(text, NULL); break;
    case PL_ATTR_BOOL: a.i = !strcmp(text, "true"); break;
    case PL_ATTR_CHOICE: a.i = choice_of(spec->text, text); break;
    case PL_ATTR_INT: a.i = strtoll(text, NULL, 10); break;
    case PL_ATTR_DIM:
    case PL_ATTR_INDEX: a.i = from_one(strtoll(text, NULL, 10)); break;
    default:
      a.ints = read_ints(text);
      if (spec->type == PL_ATTR_PAIR && a.ints.n == 1) a.ints = pl_list(a.ints.v[0], a.ints.v[0]);
      for (int d = 0; spec->type == PL_ATTR_DIMS && d < a.ints.n; d++)
        a.ints.v[d] = from_one(a.ints.v[d]);
  }
  return a;
}

static void read_word(const pl_op *op, sample *s, char *word) {
  const pl_signature *row = pl_op_signature(op);
  char *equal = strchr(word, '=');
  if (!equal) {
    s->in[s->n] = make_input(word, &s->wanted[s->n]);
    s->n++;
    return;
  }
  *equal = 0;
  for (int k = 0; k < row->n_attr; k++)
    if (!strcmp(row->attr[k].name, word)) {
      s->attr[k] = read_attr(&row->attr[k], equal + 1);
      return;
    }
  fail_msg("%s: a sample has an unknown attribute %s", pl_op_name(op), word);
}

/* Makes the inputs of one sample in the open scope. */
static sample read_sample(const pl_op *op, const char *text, size_t n) {
  const pl_signature *row = pl_op_signature(op);
  sample s = {0};
  char copy[400];
  assert_true(n < sizeof copy);
  snprintf(copy, sizeof copy, "%.*s", (int)n, text);
  for (int k = 0; k < row->n_attr; k++) s.attr[k] = row->attr[k].fallback;
  for (char *at, *word = strtok_r(copy, " ", &at); word; word = strtok_r(NULL, " ", &at))
    read_word(op, &s, word);
  if (!row->variadic && s.n < row->n_in) s.n = row->n_in; /* absent optional inputs are NULL */
  return s;
}

static void each_sample(const pl_op *op, void (*visit)(const pl_op *op, const sample *s)) {
  for (const char *at = pl_op_samples(op); *at;) {
    size_t n = strcspn(at, ";");
    pl_scope_begin();
    sample s = read_sample(op, at, n);
    visit(op, &s);
    pl_scope_end();
    at += n + (at[n] == ';');
  }
}

#endif
