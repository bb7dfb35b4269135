/*
** table.c: finding ops, those of the table and those that were registered, and calling them by name;
** what the backward pass gets of them.
*/
#include "table.h"

#include <stdlib.h>
#include <string.h>

#include "registry.h"

const pl_op *pl_op_at(int i) {
  if (i < pl_n_rows) return i >= 0 ? pl_rows[i] : NULL;
  const pl_registered *r = pl_registered_first();
  for (; r && i > pl_n_rows; i--) r = pl_registered_next(r);
  return r ? &r->op : NULL;
}

static int compare_name(const void *name, const void *row) {
  return strcmp(name, (*(const pl_op *const *)row)->name);
}

const pl_op *pl_op_find(const char *name) {
  const pl_op *const *row =
      bsearch(name, pl_rows_sorted, (size_t)pl_n_rows, sizeof *pl_rows_sorted, compare_name);
  if (row) return *row;
  const pl_registered *r = pl_registered_first();
  while (r && strcmp(r->op.name, name) != 0) r = pl_registered_next(r);
  return r ? &r->op : NULL;
}

/*
** Calls. A caller may know less of a row than there is: then the rest is absent, or has its
** default.
*/

static void fill_attributes(const pl_signature *s, int n, const pl_attr *given, pl_attr *attr) {
  for (int i = 0; i < s->n_attr; i++) attr[i] = i < n ? given[i] : s->attr[i].fallback;
}

bool pl_call(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attrs,
             pl_tensor **out) {
  const pl_signature *s = op->signature;
  pl_attr attr[PL_MAX_ATTR];
  if (!s->variadic && n_in != s->n_in)
    return pl_fail("%s: got %d inputs, expected %d", op->name, n_in, s->n_in);
  if (attrs) return pl_apply(op, n_in, in, attrs, out);
  fill_attributes(s, 0, NULL, attr);
  return pl_apply(op, n_in, in, attr, out);
}

bool pl_op_call(const char *name, int n_in, pl_tensor *const *in, int n_attr, const pl_attr *attr,
                int n_out, pl_tensor **out) {
  const pl_op *op = pl_op_find(name);
  pl_attr all_attr[PL_MAX_ATTR];
  pl_tensor *all_in[PL_MAX_IN] = {NULL}, *all_out[PL_MAX_OUT] = {NULL};
  for (int i = 0; i < n_out; i++) out[i] = NULL;
  if (!op) return pl_fail("there is no op '%s' in Perilune %s", name, PL_VERSION);
  const pl_signature *s = op->signature;
  if ((!s->variadic && n_in > s->n_in) || n_attr > s->n_attr || n_out > pl_op_outputs(op))
    return pl_fail("%s: the program was built for a newer Perilune than %s", name, PL_VERSION);
  if (!s->variadic) {
    memcpy(all_in, in, (size_t)n_in * sizeof *in);
    in = all_in, n_in = s->n_in;
  }
  fill_attributes(s, n_attr, attr, all_attr);
  if (!pl_apply(op, n_in, in, all_attr, all_out)) return false;
  memcpy(out, all_out, (size_t)n_out * sizeof *out);
  return true;
}

/*
** What the backward pass uses. Whatever records a call links this file, for it has the list of
** rows.
*/

static pl_tensor *copy(pl_tensor *x) { return pl_affine(x, 1, 0); }
static pl_tensor *view(pl_tensor *x) { return pl_reshape(x, pl_size(x)); }

__attribute__((constructor)) static void start(void) {
  static const pl_backward_ops ops = {pl_add, copy, view};
  pl_backward_start(&ops);
}
