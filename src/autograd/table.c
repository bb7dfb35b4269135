/*
** table.c: what can be asked of a row: its attributes, parsed from their text once, and
** calling it by name. The rows themselves are in src/ops.
**
** An attribute spec is words of "name:type", then nothing (required), "?" (optional) or
** "=default". Types: int real bool dim index dims ints pair choice(a|b|c).
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd.h"

extern const pl_op *const *const pl_op_lists[];

enum { MAX_OPS = 256 };

typedef struct {
  const pl_op *op;
  int n;
  pl_attr_spec spec[PL_MAX_ATTR];
} parsed_op;

static parsed_op table[MAX_OPS];
static int n_ops;

static pl_attr_type type_of(const char *word, size_t n) {
  static const char *const names[] = {"int",  "real", "bool", "dim",   "index",
                                      "dims", "ints", "pair", "choice"};
  for (int i = 0; i < 9; i++)
    if (strlen(names[i]) == n && !memcmp(names[i], word, n)) return (pl_attr_type)i;
  abort(); /* a row with a misspelt type cannot get past the first start */
}

static void parse_default(pl_attr_spec *spec, const char *text) {
  char *end = NULL;
  switch (spec->type) {
    case PL_ATTR_REAL: spec->fallback.d = strtod(text, NULL); break;
    case PL_ATTR_BOOL: spec->fallback.i = !strcmp(text, "true"); break;
    case PL_ATTR_CHOICE: spec->fallback.i = 0; break; /* the first word */
    case PL_ATTR_DIMS:
    case PL_ATTR_INTS: spec->fallback.ints = pl_none; break;
    case PL_ATTR_PAIR:
      spec->fallback.ints = pl_list(0, 0);
      spec->fallback.ints.v[0] = spec->fallback.ints.v[1] = strtoll(text, &end, 10);
      break;
    default: spec->fallback.i = strtoll(text, &end, 10);
  }
}

static const char *parse_spec(pl_attr_spec *spec, const char *at) {
  size_t name = strcspn(at, ":"), word = strcspn(at, " ");
  snprintf(spec->name, sizeof spec->name, "%.*s", (int)name, at);
  const char *type = at + name + 1;
  spec->type = type_of(type, strcspn(type, " ?=("));
  const char *paren = memchr(type, '(', word - name - 1);
  const char *equal = memchr(type, '=', word - name - 1);
  if (paren)
    snprintf(spec->text, sizeof spec->text, "%.*s", (int)strcspn(paren + 1, ")"), paren + 1);
  else if (equal)
    snprintf(spec->text, sizeof spec->text, "%.*s", (int)strcspn(equal, " ") - 1, equal + 1);
  spec->optional = equal || paren || at[word - 1] == '?';
  parse_default(spec, equal ? equal + 1 : "0");
  at += word;
  return *at ? at + 1 : at;
}

static void parse_table(void) {
  for (const pl_op *const *const *list = pl_op_lists; *list; list++)
    for (const pl_op *const *op = *list; *op; op++) {
      if (n_ops == MAX_OPS) abort();
      parsed_op *p = &table[n_ops++];
      p->op = *op;
      for (const char *at = (*op)->attrs ? (*op)->attrs : ""; *at; p->n++)
        at = parse_spec(&p->spec[p->n], at);
    }
}

static int ops(void) {
  if (!n_ops) parse_table();
  return n_ops;
}

const pl_op *pl_op_at(int i) { return i >= 0 && i < ops() ? table[i].op : NULL; }

const pl_op *pl_op_find(const char *name) {
  for (int i = 0; i < ops(); i++)
    if (!strcmp(table[i].op->name, name)) return table[i].op;
  return NULL;
}

int pl_op_attrs(const pl_op *op, const pl_attr_spec **specs) {
  for (int i = 0; i < ops(); i++)
    if (table[i].op == op) {
      *specs = table[i].spec;
      return table[i].n;
    }
  return 0;
}

const char *pl_op_name(const pl_op *op) { return op->name; }
const char *pl_op_doc(const pl_op *op) { return op->doc; }
const char *pl_op_inputs(const pl_op *op) { return op->inputs; }
const char *pl_op_samples(const pl_op *op) { return op->samples; }
bool pl_op_differentiable(const pl_op *op) { return !op->nograd; }
int pl_op_outputs(const pl_op *op) { return op->outputs ? op->outputs : 1; }

void pl_attr_defaults(const pl_op *op, pl_attr *attr) {
  const pl_attr_spec *specs;
  int n = pl_op_attrs(op, &specs);
  for (int i = 0; i < n; i++) attr[i] = specs[i].fallback;
}

bool pl_call(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attrs,
             pl_tensor **out) {
  pl_attr defaults[PL_MAX_ATTR] = {0};
  if (!attrs) pl_attr_defaults(op, defaults);
  return pl_apply_all(op, n_in, in, attrs ? attrs : defaults, out);
}
