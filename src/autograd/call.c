/*
** call.c: calling an op: the interrupt, the checks, the outputs, and, where a gradient
** may be asked for, the node that remembers the call.
*/
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node.h"

bool pl_grad_enabled(void) { return !PL_HERE->recording_off; }

bool pl_grad_mode(bool on) {
  pl_context *c = PL_HERE;
  bool was = !c->recording_off;
  c->recording_off = !on;
  return was;
}

/*
** Nodes. Letting go of the last output of a long chain must not recurse along it, so
** dying nodes queue up and the outermost release works the queue off.
*/

/* With the inputs, the attributes, and the versions of the inputs behind it. */
static size_t node_bytes(size_t n_in, const pl_op *op) {
  return sizeof(pl_node) + n_in * (sizeof(pl_tensor *) + sizeof(unsigned)) +
         (size_t)op->signature->n_attr * sizeof(pl_attr);
}

/* A node takes hold of a tensor, of which it has a reference. */
static pl_tensor *hold(pl_tensor *t) {
  if (t) pl_storage_hold(t->storage, 1);
  return t;
}

static void let_go(pl_tensor **slot) {
  pl_tensor *t = *slot;
  *slot = NULL;
  if (!t) return;
  pl_storage_hold(t->storage, -1);
  pl_release(t);
}

static void release_input(pl_node *node, int i) {
  pl_tensor *t = node->in[i];
  if (t && !t->shared) t->node_refs--;
  let_go(&node->in[i]);
}

void pl_node_free_buffers(pl_node *node) {
  pl_custom_release(node->custom); /* first: it may need the context that counts the tensors */
  node->custom = NULL;
  for (int i = 0; i < node->n_in; i++) release_input(node, i);
  for (int i = 0; i < PL_MAX_OUT; i++) let_go(&node->out[i]);
  for (int i = 0; i < PL_MAX_SAVED; i++) let_go(&node->saved[i]);
  node->freed = true;
}

void pl_node_release(pl_node *node) {
  if (!node || --node->refs) return;
  pl_context *c = PL_HERE;
  node->next = c->dying;
  c->dying = node;
  if (c->draining) return;
  c->draining = true;
  while ((node = c->dying)) {
    c->dying = node->next;
    pl_node_free_buffers(node);
    pl_object_free(node, node_bytes((size_t)node->n_in, node->op));
  }
  c->draining = false;
}

static void drop_history(pl_tensor *t) {
  pl_node_release(t->node);
  t->node = NULL;
}

__attribute__((constructor)) static void start(void) { pl_history_drop = drop_history; }

static bool wants_gradient(const pl_tensor *t) { return t && t->requires_grad; }

/* The input as the node keeps it: itself, or its shape and history if its values are not needed. */
static pl_tensor *kept_input(const pl_op *op, pl_tensor *t) {
  if (!t) return NULL;
  bool leaf = t->requires_grad && !t->node;
  if (!(op->unsaved & PL_UNSAVED_IN) || leaf || t->dtype != PL_REAL) return pl_retain(t);
  pl_tensor *meta = pl_meta(t);
  if (!meta) return NULL;
  meta->requires_grad = t->requires_grad;
  meta->output = t->output;
  if ((meta->node = t->node)) meta->node->refs++;
  return meta;
}

/* Above those of the calls that made the inputs, also if another context made them, which counts for
 * itself (Lamport 1978). */
static uint64_t next_serial(const pl_args *c) {
  uint64_t *serial = &PL_HERE->serial;
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && c->in[i]->node) *serial = PL_MAX(*serial, c->in[i]->node->serial);
  return ++*serial;
}

static pl_node *node_new(const pl_args *c, int n_out) {
  const size_t n_in = (size_t)c->n_in, n_attr = (size_t)c->op->signature->n_attr;
  pl_node *node = pl_object_new(node_bytes(n_in, c->op));
  if (!node) return NULL;
  node->refs = 1; /* the builder's, until the outputs hold it */
  node->serial = next_serial(c);
  node->op = c->op;
  node->owner = pl_span_owner();
  node->place = PL_HERE->place;
  node->n_in = c->n_in;
  node->n_out = n_out;
  node->attr = (pl_attr *)(node->in + n_in);
  node->version = (unsigned *)(node->attr + n_attr);
  if (n_attr) memcpy(node->attr, c->attr, n_attr * sizeof *node->attr);
  for (int i = 0; i < c->n_in; i++) {
    pl_tensor *t = node->in[i] = hold(kept_input(c->op, c->in[i]));
    if (!t) continue;
    if (!t->shared) t->node_refs++;
    if (t->storage) node->version[i] = t->storage->version;
  }
  for (int i = 0; i < n_out; i++) {
    pl_tensor *y = c->out[i];
    pl_tensor *kept = !(c->op->unsaved & PL_UNSAVED_OUT)
                          ? pl_retain(pl_alias(y, pl_size(y), y->stride, y->offset))
                          : pl_meta(y);
    node->out[i] = hold(kept);
    node->out_version[i] = y->storage->version;
  }
  for (int i = 0; i < PL_MAX_SAVED; i++) node->saved[i] = hold(pl_retain(c->saved[i]));
  if ((node->custom = c->custom)) c->custom->refs++;
  return node;
}

static bool some_wants_gradient(const pl_args *c) {
  bool wanted = false;
  for (int i = 0; i < c->n_in; i++) wanted |= wants_gradient(c->in[i]);
  return wanted;
}

/* What is not recorded knows what ended the history of its inputs. */
static void note_cut(const pl_args *c, int n_out, bool wanted) {
  const pl_tensor *from = NULL;
  for (int i = 0; i < c->n_in && !wanted && !from; i++)
    if (c->in[i] && c->in[i]->cut) from = c->in[i];
  for (int i = 0; i < n_out && (wanted || from); i++) {
    pl_tensor *y = c->out[i];
    if (!y || y->requires_grad) continue;
    y->cut = wanted ? c->op->name : from->cut;
    y->cut_in_no_grad = wanted ? !pl_grad_enabled() && !c->op->nograd : from->cut_in_no_grad;
  }
}

static bool record(pl_args *c, int n_out) {
  const bool wanted = some_wants_gradient(c);
  if (!wanted || !pl_grad_enabled() || c->op->nograd) return note_cut(c, n_out, wanted), true;
  pl_node *node = node_new(c, n_out);
  if (!node) return false;
  for (int i = 0; i < n_out && !pl_error(); i++) {
    if (c->out[i]->dtype != PL_REAL) {
      c->out[i]->cut = c->op->name;
      continue;
    }
    c->out[i]->node = node;
    c->out[i]->output = i;
    c->out[i]->requires_grad = true;
    node->refs++;
  }
  pl_node_release(node);
  return !pl_error();
}

/*
** Calling
*/

static bool has_place(const pl_args *c, const char *what, int i, int n) {
  return (i >= 0 && i < n) || pl_op_fail(c, "its C code uses %s %d of %d", what, i, n);
}

bool pl_out(pl_args *c, int i, pl_dtype dtype, pl_ints size) {
  if (!has_place(c, "output", i, pl_op_outputs(c->op))) return false;
  c->out[i] = pl_empty(dtype, size);
  return c->out[i] != NULL;
}

bool pl_save(pl_args *c, int i, pl_tensor *t) {
  if (!has_place(c, "saved tensor", i, PL_MAX_SAVED)) return false;
  c->saved[i] = t;
  return t != NULL;
}

int pl_input_count(const pl_args *c) { return c->n_in; }

pl_tensor *pl_input(const pl_args *c, int i) {
  return has_place(c, "input", i, c->n_in) ? c->in[i] : NULL;
}

pl_tensor *pl_output(const pl_args *c, int i) {
  return has_place(c, "output", i, PL_MAX_OUT) ? c->out[i] : NULL;
}

pl_tensor *pl_saved(const pl_args *c, int i) {
  return has_place(c, "saved tensor", i, PL_MAX_SAVED) ? c->saved[i] : NULL;
}

const pl_attr *pl_attribute(const pl_args *c, int i) {
  static const pl_attr none;
  return has_place(c, "attribute", i, c->op->signature->n_attr) ? &c->attr[i] : &none;
}

void *pl_user(const pl_args *c) { return (void *)c->op->data; }

/*
** Running
*/

/* A missing required input is a caller's mistake, or the NULL of an expression that failed; one that
 * is a mere shape was not kept for the gradient that asks for its values. */
static bool check_inputs(const pl_args *c) {
  const pl_signature *s = c->op->signature;
  for (int i = 0; i < c->n_in; i++) {
    if (!c->in[i] && !(i < s->n_in && s->in[i].optional))
      return pl_op_fail(c, "%s is missing", pl_input_name(c->op, i));
    if (c->in[i] && !c->in[i]->storage)
      return pl_op_fail(c,
                        "%s has no values: a gradient reads them that says it does not (unsaved)",
                        pl_input_name(c->op, i));
  }
  return true;
}

/* A call may leave the last outputs NULL. */
static int made(const pl_args *c, int n_out) {
  while (n_out > 1 && !c->out[n_out - 1]) n_out--;
  return n_out;
}

/* Whether forward called other ops instead of computing values: their history is that of the call. */
static bool is_composed(const pl_args *c) { return c->out[0]->node && !c->op->view; }

/* Inputs of one size in `out`, if the row wants that; else c's. */
static bool broadcast(pl_args *c, pl_tensor **out) {
  if (!c->op->broadcast) return true;
  memcpy(out, c->in, (size_t)c->n_in * sizeof *out);
  return c->op->broadcast(c, out);
}

/* Inputs that are all real are of one dtype as they come. */
static bool has_integers(const pl_args *c) {
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && c->in[i]->dtype != PL_REAL) return true;
  return false;
}

/* Brings the inputs to one dtype and size. What does not broadcast is told of the tensors that came;
 * what is converted is not repeated before. */
static bool prepare(pl_args *c, pl_tensor **joined, pl_tensor **expanded) {
  if (!broadcast(c, expanded)) return false;
  if (pl_joins(c->op) && has_integers(c)) {
    const size_t bytes = (size_t)c->n_in * sizeof *joined;
    memcpy(joined, c->in, bytes);
    if (!pl_join_inputs(c->op, c->n_in, joined)) return false;
    const bool converted = memcmp(joined, c->in, bytes) != 0;
    c->in = joined;
    if (converted && !broadcast(c, expanded)) return false;
  }
  if (c->op->broadcast) c->in = expanded;
  return true;
}

/* Whether all outputs are there, but for the last ones. */
static bool check_outputs(const pl_args *c, int n_out) {
  n_out = made(c, n_out);
  for (int i = 0; i < n_out; i++)
    if (!c->out[i]) return pl_error() ? false : pl_op_fail(c, "its C code makes no output %d", i);
  return true;
}

static bool run(pl_args *c, int n_out) {
  const pl_op *op = c->op;
  pl_tensor *joined[PL_MAX_IN], *expanded[PL_MAX_IN];
  if (!check_inputs(c) || !prepare(c, joined, expanded)) return false;
  if (op->shape && !op->shape(c)) return false;
  if (!op->forward || c->in_parts) {
    if (!op->decompose(c) || !check_outputs(c, n_out)) return false;
    note_cut(c, n_out, some_wants_gradient(c));
    return true;
  }
  if (!op->forward(c) || !check_outputs(c, n_out)) return false;
  return is_composed(c) || record(c, made(c, n_out));
}

static bool traced(pl_args *c, int n_out, pl_tensor **out);

static bool apply(pl_args *c, int n_out, pl_tensor **out) {
  if (__builtin_expect(PL_HERE->tracer != NULL, 0) && !c->told) return traced(c, n_out, out);
  for (int i = 0; i < n_out; i++) out[i] = NULL;
  if (pl_error() || !pl_check_interrupt()) return false;
  pl_tensor *const *in = c->in;
  pl_span span;
  pl_span_begin(&span, c->op->name, false);
  pl_scope_begin();
  bool ok = run(c, n_out);
  if (!ok && !pl_error()) pl_op_fail(c, "its C code failed and gives no reason");
  c->in = in; /* not what was converted or broadcast */
  pl_span_end_call(&span, c, ok);
  for (int i = 0; ok && i < n_out; i++) pl_retain(out[i] = c->out[i]);
  pl_scope_end();
  for (int i = 0; ok && i < n_out; i++)
    if (out[i] && !pl_scope_own(out[i])) ok = false;
  return ok && !pl_error();
}

/* A row that an ONNX graph has a rule for is one call to the tracer; of another one the tracer sees
 * the ops that it is made of, if it wants that, and then the call itself. */
static bool traced(pl_args *c, int n_out, pl_tensor **out) {
  pl_context *here = PL_HERE;
  pl_tracer *tracer = here->tracer;
  c->told = true;
  here->tracer = NULL;
  if (tracer->calling) here->place = tracer->calling(tracer);
  if (!c->op->onnx && !tracer->whole) {
    here->tracer = tracer;
    c->in_parts = c->op->decompose != NULL;
  }
  const bool ok = apply(c, n_out, out);
  here->place = 0;
  here->tracer = tracer;
  for (int i = 0; ok && tracer->copied && c->custom && i < n_out; i++)
    tracer->copied(tracer, c->custom->values[i], out[i]);
  if (ok) tracer->called(tracer, c, n_out, out);
  return ok && !pl_error();
}

bool pl_apply(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attr,
              pl_tensor **out) {
  pl_args c = {.op = op, .n_in = n_in, .in = in, .attr = attr};
  return apply(&c, pl_op_outputs(op), out);
}

bool pl_apply_custom(const pl_op *op, int n_in, pl_tensor *const *in, pl_custom *custom,
                     pl_tensor **out) {
  pl_args c = {.op = op, .n_in = n_in, .in = in, .custom = custom};
  int n_out = 0;
  while (n_out < PL_MAX_OUT && custom->values[n_out]) n_out++;
  return apply(&c, n_out, out);
}

/*
** Messages
*/

bool pl_op_fail(const pl_args *c, const char *format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return pl_fail("%s: %s", c->op->name, text);
}

const char *pl_input_name(const pl_op *op, int i) {
  const pl_signature *s = op->signature;
  return s->in[PL_MIN(i, s->n_in - 1)].name;
}

bool pl_need_real(const pl_args *c, int i) {
  if (!c->in[i] || c->in[i]->dtype == PL_REAL) return true;
  return pl_op_fail(c, "%s is %s, expected a real tensor; convert it with to(\"real\")",
                    pl_input_name(c->op, i), PL_DESCRIBE(c->in[i]));
}

bool pl_need_rank(const pl_args *c, int i, int rank) {
  if (!c->in[i] || c->in[i]->rank == rank) return true;
  return pl_op_fail(c, "%s is %s, expected %d dims", pl_input_name(c->op, i), PL_DESCRIBE(c->in[i]),
                    rank);
}

bool pl_need_size(const pl_args *c, int i, pl_ints size, int of) {
  const pl_tensor *t = c->in[i];
  char text[PL_TEXT];
  if (!t || (t->dtype == PL_REAL && t->rank == size.n &&
             !memcmp(t->size, size.v, (size_t)size.n * sizeof *size.v)))
    return true;
  return pl_op_fail(c, "%s is %s, expected real[%s] for %s %s", pl_input_name(c->op, i),
                    PL_DESCRIBE(t), pl_size_text(size, text, sizeof text), pl_input_name(c->op, of),
                    PL_DESCRIBE(c->in[of]));
}
