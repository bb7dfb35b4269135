/*
** backward.c: the backward pass: reverse-mode differentiation (Linnainmaa 1970; Griewank and
** Walther 2008) over the graph of calls that call.c recorded. The nodes that the outputs depend on
** are collected with a work list and sorted by creation, which is a topological order; from the
** newest to the oldest each gets the gradients of its outputs, calls its row's rule, and adds what
** comes out to the gradients of the nodes before it:
**
**   x -- square --> y -- sum --> z          pending, newest last:  square  sum
**   dx <- 2x dy <-- dy <- ones - dz                                      <- start here
**
** Nothing recurses, so a graph may be as long as memory allows. The few ops that the pass itself
** uses are handed down to it.
*/
#include <stdlib.h>
#include <string.h>

#include "node.h"

static const pl_backward_ops *ops;

void pl_backward_start(const pl_backward_ops *handed) { ops = handed; }

/* One visited node and what has flowed back to its outputs. */
typedef struct {
  pl_node *node;
  pl_tensor *gout[PL_MAX_OUT];
  bool useful; /* a wanted input lies at or behind one of its own */
} pending;

/* A tensor whose gradient is asked for. */
typedef struct {
  pl_tensor *t;
  pl_tensor *grad;
  int64_t uses; /* of a leaf that is reported: by nodes that are still pending */
} wanted_input;

typedef struct {
  pending *v;
  size_t n, room;
  size_t *bucket; /* hash of node pointers: index + 1 into v, 0 is free */
  size_t buckets; /* a power of two */
  wanted_input *wanted;
  size_t n_wanted, wanted_room;
  bool leaves;     /* every leaf that requires a gradient is wanted */
  uint64_t oldest; /* nodes made before it cannot lead to a wanted input */
  bool create_graph, retain_graph;
  pl_tracer *tracer; /* that follows the pass: each node, and not the ops of its rule */
  int n_reported; /* the first wanted inputs are leaves that are reported when they are complete */
  pl_ready *ready;
  void *context;
} pass;

static size_t hash(const void *p, size_t buckets) {
  return (size_t)(((uintptr_t)p >> 4) * 0x9E3779B97F4A7C15u >> 20) & (buckets - 1);
}

static pending *find(const pass *s, const pl_node *node) {
  if (!s->buckets) return NULL;
  for (size_t h = hash(node, s->buckets);; h = (h + 1) & (s->buckets - 1)) {
    if (!s->bucket[h]) return NULL;
    if (s->v[s->bucket[h] - 1].node == node) return &s->v[s->bucket[h] - 1];
  }
}

static void rehash(pass *s) {
  memset(s->bucket, 0, s->buckets * sizeof *s->bucket);
  for (size_t i = 0; i < s->n; i++) {
    size_t h = hash(s->v[i].node, s->buckets);
    while (s->bucket[h]) h = (h + 1) & (s->buckets - 1);
    s->bucket[h] = i + 1;
  }
}

static bool no_memory(void) {
  return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for the gradient's work list");
}

static bool grow(pass *s) {
  size_t room = s->room ? 2 * s->room : 64;
  pending *v = realloc(s->v, room * sizeof *v);
  if (!v) return no_memory();
  s->v = v;
  s->room = room;
  size_t *bucket = realloc(s->bucket, 2 * room * sizeof *bucket);
  if (!bucket) return no_memory();
  s->bucket = bucket;
  s->buckets = 2 * room;
  rehash(s);
  return true;
}

static bool add_pending(pass *s, pl_node *node) {
  if (!node || node->serial < s->oldest || find(s, node)) return true;
  if (s->n == s->room && !grow(s)) return false;
  node->refs++;
  s->v[s->n++] = (pending){.node = node};
  size_t h = hash(node, s->buckets);
  while (s->bucket[h]) h = (h + 1) & (s->buckets - 1);
  s->bucket[h] = s->n;
  return true;
}

static int newest_last(const void *a, const void *b) {
  uint64_t x = ((const pending *)a)->node->serial, y = ((const pending *)b)->node->serial;
  return (x > y) - (x < y);
}

static bool collect(pass *s, int n, pl_tensor *const *outputs) {
  for (int i = 0; i < n; i++)
    if (!add_pending(s, outputs[i]->node)) return false;
  for (size_t i = 0; i < s->n; i++) {
    pl_node *node = s->v[i].node;
    for (int j = 0; j < node->n_in; j++)
      if (node->in[j] && !add_pending(s, node->in[j]->node)) return false;
  }
  if (!s->n) return true;
  qsort(s->v, s->n, sizeof *s->v, newest_last);
  rehash(s);
  return true;
}

/*
** Wanted inputs: a leaf is known by its tensor, what an op made by its node and which output it is.
*/

static bool is_wanted(const pl_tensor *t, const pl_tensor *x) {
  return t->node ? t->node == x->node && t->output == x->output : t == x;
}

static wanted_input *find_wanted(const pass *s, const pl_tensor *x) {
  for (size_t i = 0; i < s->n_wanted; i++)
    if (is_wanted(s->wanted[i].t, x)) return &s->wanted[i];
  return NULL;
}

static bool add_wanted(pass *s, pl_tensor *t) {
  if (s->n_wanted == s->wanted_room) {
    size_t room = s->wanted_room ? 2 * s->wanted_room : 32;
    wanted_input *v = realloc(s->wanted, room * sizeof *v);
    if (!v) return no_memory();
    s->wanted = v;
    s->wanted_room = room;
  }
  s->wanted[s->n_wanted++] = (wanted_input){pl_retain(t), NULL, 0};
  return true;
}

static void find_oldest(pass *s) {
  s->oldest = s->n_wanted && !s->leaves ? UINT64_MAX : 0;
  for (size_t i = 0; i < s->n_wanted; i++) {
    uint64_t serial = s->wanted[i].t->node ? s->wanted[i].t->node->serial : 0;
    s->oldest = PL_MIN(s->oldest, serial);
  }
}

static bool leads_to_wanted(const pass *s, const pl_tensor *x) {
  if (!x || !x->requires_grad) return false;
  if (!x->node) return s->leaves || find_wanted(s, x);
  const pending *v = find(s, x->node);
  return (v && v->useful) || (!s->leaves && find_wanted(s, x));
}

/* A node whose buffers are freed no longer knows its inputs: it counts, and is refused when a
 * gradient reaches it. One whose rule is running, and has started this pass, is refused at once. */
static bool mark_useful(pass *s) {
  for (size_t i = 0; i < s->n; i++) {
    pl_node *node = s->v[i].node;
    s->v[i].useful = node->freed && node->serial > s->oldest;
    for (int j = 0; j < node->n_in && !s->v[i].useful; j++)
      s->v[i].useful = leads_to_wanted(s, node->in[j]);
    if (s->v[i].useful && node->busy)
      return pl_fail("%s: its gradient asks for a backward pass through its own result",
                     node->op->name);
  }
  return true;
}

/*
** Flow
*/

static bool accumulate(pl_tensor **sum, pl_tensor *g) {
  pl_scope_begin();
  pl_tensor *total = pl_retain(*sum ? ops->add(*sum, g) : g);
  pl_scope_end();
  if (!total) return false;
  pl_release(*sum);
  *sum = total;
  return true;
}

static bool flow(pass *s, pl_tensor *x, pl_tensor *g) {
  if (!x->node) {
    wanted_input *t = find_wanted(s, x);
    if (!t) {
      if (!s->leaves) return true;
      if (!add_wanted(s, x)) return false;
      t = &s->wanted[s->n_wanted - 1];
    }
    return accumulate(&t->grad, g);
  }
  pending *v = find(s, x->node);
  return !v || accumulate(&v->gout[x->output], g);
}

static bool check_node(const pl_node *node) {
  if (node->freed)
    return pl_fail(
        "%s: the graph was freed by an earlier backward pass; pass retain_graph=true to that one",
        node->op->name);
  for (int i = 0; i < node->n_in; i++) {
    const pl_tensor *in = node->in[i];
    if (!in || !in->storage || in->storage->version == node->version[i]) continue;
    if (in->dtype == PL_REAL && node->op->unsaved & PL_UNSAVED_IN) continue; /* indices are read */
    return pl_fail(
        "%s: input %d, %s, was changed in place since; its gradient needs the old values",
        node->op->name, i + 1, PL_DESCRIBE(in));
  }
  for (int i = 0; i < node->n_out && !(node->op->unsaved & PL_UNSAVED_OUT); i++)
    if (node->out[i]->storage->version != node->out_version[i])
      return pl_fail(
          "%s: its result %s was changed in place since; its gradient needs the old values",
          node->op->name, PL_DESCRIBE(node->out[i]));
  return true;
}

/* The outputs with their history, as a differentiable rule needs them. */
static bool attach(pl_node *node, pl_args *c) {
  for (int i = 0; i < node->n_out; i++) {
    pl_tensor *y = node->out[i];
    c->out[i] = pl_alias(y, pl_size(y), y->stride, y->offset);
    if (!c->out[i]) return false;
    if (y->dtype != PL_REAL) continue;
    c->out[i]->node = node;
    c->out[i]->output = i;
    c->out[i]->requires_grad = true;
    node->refs++;
  }
  return true;
}

/* The gradient of an op by way of its composition: build it again on aliases, then go back through
 * that. */
static bool by_composition(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                           pl_tensor **gin, bool create_graph) {
  pl_tensor *in[PL_MAX_IN], *wanted[PL_MAX_IN], *got[PL_MAX_IN];
  pl_tensor *outs[PL_MAX_OUT], *seeds[PL_MAX_OUT];
  int n_wanted = 0, n_outs = 0, n_out = pl_op_outputs(c->op);
  bool was = pl_grad_mode(true);
  for (int i = 0; i < c->n_in; i++) {
    in[i] = needs_grad >> i & 1 ? ops->view(c->in[i]) : c->in[i];
    if (needs_grad >> i & 1) wanted[n_wanted++] = in[i];
  }
  pl_args again = {.op = c->op, .n_in = c->n_in, .in = in, .attr = c->attr};
  memcpy(again.saved, c->saved, sizeof again.saved);
  bool ok = !pl_error() && c->op->decompose(&again);
  pl_grad_mode(was);
  for (int i = 0; ok && i < n_out; i++)
    if (gout[i]) outs[n_outs] = again.out[i], seeds[n_outs++] = gout[i];
  ok = ok && pl_grad(n_outs, outs, seeds, n_wanted, wanted, got, true, create_graph);
  for (int i = 0, k = 0; ok && i < c->n_in; i++)
    if (needs_grad >> i & 1) gin[i] = got[k++];
  return ok;
}

static bool call_rule(const pass *s, pl_args *c, pl_node *node, pl_tensor *const *gout,
                      unsigned needs_grad, pl_tensor **gin) {
  const pl_op *op = node->op;
  if (op->fused_gradient && !s->create_graph) return op->fused_gradient(c, gout, needs_grad, gin);
  if (s->create_graph && !attach(node, c)) return false;
  if (op->gradient) return op->gradient(c, gout, needs_grad, gin);
  return by_composition(c, gout, needs_grad, gin, s->create_graph);
}

/* What a rule written elsewhere computes is followed as if it stood by itself. */
static bool call_traced_rule(const pass *s, pl_args *c, pl_node *node, pl_tensor *const *gout,
                             unsigned needs_grad, pl_tensor **gin) {
  pl_context *here = PL_HERE;
  here->tracer = node->custom ? s->tracer : NULL;
  const bool ok = call_rule(s, c, node, gout, needs_grad, gin);
  here->tracer = NULL;
  if (ok && !pl_error()) s->tracer->went_back(s->tracer, c, node->place, gout, gin);
  return ok;
}

/* A rule with more inputs than needs_grad has bits gives the gradients of all. */
static bool is_needed(const pass *s, const pl_node *node, unsigned needs_grad, int i) {
  return node->n_in > 32 ? leads_to_wanted(s, node->in[i]) : needs_grad >> i & 1;
}

static bool deliver(pass *s, pl_node *node, unsigned needs_grad, pl_tensor **gin) {
  for (int i = 0; i < node->n_in; i++) {
    if (!gin[i] || !is_needed(s, node, needs_grad, i)) continue;
    if (gin[i]->dtype != PL_REAL || !pl_same_size(gin[i], node->in[i]))
      return pl_fail("%s: the gradient of input %d is %s, the input %s", node->op->name, i + 1,
                     PL_DESCRIBE(gin[i]), PL_DESCRIBE(node->in[i]));
    if (!flow(s, node->in[i], gin[i])) return false;
  }
  return true;
}

static bool step(pass *s, pending *v) {
  pl_node *node = v->node;
  bool any = false;
  for (int i = 0; i < node->n_out; i++) any |= v->gout[i] != NULL;
  if (!any || !v->useful) return true;
  if ((!s->ready && !pl_check_interrupt()) || !check_node(node)) return false;
  unsigned needs_grad = 0;
  for (int i = 0; i < node->n_in && i < 32; i++)
    if (leads_to_wanted(s, node->in[i])) needs_grad |= 1u << i;
  pl_tensor *few[PL_MAX_IN] = {0}, **gin = few;
  if (node->n_in > PL_MAX_IN && !(gin = calloc((size_t)node->n_in, sizeof *gin)))
    return no_memory();
  if (node->n_in > 32) needs_grad = ~0u;
  pl_args c = {.op = node->op,
               .n_in = node->n_in,
               .in = node->in,
               .attr = node->attr,
               .custom = node->custom};
  memcpy(c.out, node->out, sizeof c.out);
  memcpy(c.saved, node->saved, sizeof c.saved);
  pl_scope_begin();
  pl_span span;
  const int owner = pl_profile_owner(node->owner);
  node->busy = true;
  pl_span_begin(&span, node->op->name, true);
  bool ok = (s->tracer ? call_traced_rule : call_rule)(s, &c, node, v->gout, needs_grad, gin);
  ok = ok && !pl_error();
  if (!ok && !pl_error()) pl_op_fail(&c, "the C code of its gradient failed and gives no reason");
  pl_span_end_gradient(&span, &c, node->op->fused_gradient && !s->create_graph, v->gout, needs_grad,
                       gin, ok);
  ok = ok && deliver(s, node, needs_grad, gin);
  node->busy = false;
  pl_profile_owner(owner);
  pl_scope_end();
  if (gin != few) free(gin);
  return ok;
}

static void release_gouts(const pass *s, pending *v) {
  for (int i = 0; i < v->node->n_out; i++) {
    pl_tensor probe = {.node = v->node, .output = i};
    wanted_input *t = s->leaves ? NULL : find_wanted(s, &probe);
    if (t && v->gout[i] && !t->grad) t->grad = pl_retain(v->gout[i]);
    pl_release(v->gout[i]);
    v->gout[i] = NULL;
  }
}

/*
** Leaves that are reported
*/

/* How often a node may read a leaf's values: through inputs in the same memory; a function written
 * elsewhere may have kept them. */
static int64_t uses_of(const pending *v, const wanted_input *t) {
  if (!v->useful) return 0;
  int64_t n = v->node->custom != NULL;
  for (int i = 0; i < v->node->n_in; i++)
    n += v->node->in[i] && v->node->in[i]->storage == t->t->storage;
  return n;
}

static void count_uses(const pass *s) {
  for (size_t i = 0; i < s->n; i++)
    for (int j = 0; j < s->n_reported; j++) s->wanted[j].uses += uses_of(&s->v[i], &s->wanted[j]);
}

/* A gradient that nobody else can see, so that changing it in place is safe. */
static pl_tensor *own_copy(pl_tensor *g) {
  if (g->refs == 1 && g->storage->refs == 1 && !g->storage->constant && pl_is_contiguous(g))
    return g;
  pl_tensor *copy = pl_empty(g->dtype, pl_size(g));
  return copy && pl_copy(copy, g) ? copy : NULL;
}

static bool add_to_grad(wanted_input *x, bool create_graph) {
  pl_tensor *g = x->grad, *old = x->t->grad;
  if (old) g = ops->add(old, g);
  else g = create_graph ? ops->copy(g) : own_copy(g);
  if (!g) return false;
  pl_set_grad(x->t, g);
  return true;
}

/* Reports the leaves that no node reads any more but the one that was just done. */
static bool report(pass *s, const pending *v, int *which) {
  int m = 0;
  bool ok = true;
  for (int i = 0; v->useful && i < s->n_reported; i++) {
    wanted_input *t = &s->wanted[i];
    const int64_t uses = uses_of(v, t);
    t->uses -= uses;
    if (uses && !t->uses && t->grad) which[m++] = i;
  }
  if (!m) return true;
  pl_scope_begin();
  for (int i = 0; ok && i < m; i++) {
    wanted_input *t = &s->wanted[which[i]];
    ok = add_to_grad(t, false);
    pl_release(t->grad);
    t->grad = NULL;
  }
  ok = ok && s->ready(s->context, m, which) && !pl_error();
  pl_scope_end();
  return ok;
}

static bool flow_back(pass *s, int n, pl_tensor *const *outputs, pl_tensor *const *seeds) {
  int *which = s->ready ? pl_scratch((size_t)s->n_reported * sizeof *which) : NULL;
  bool ok = !s->ready || which;
  for (int i = 0; ok && i < n; i++) ok = flow(s, outputs[i], seeds[i]);
  if (ok && s->ready) count_uses(s);
  for (size_t i = s->n; ok && i-- > 0;) {
    ok = step(s, &s->v[i]);
    release_gouts(s, &s->v[i]);
    ok = ok && (!s->ready || report(s, &s->v[i], which));
    if (ok && !s->retain_graph && s->v[i].useful) pl_node_free_buffers(s->v[i].node);
  }
  pl_scratch_free(which);
  return ok;
}

static void pass_free(pass *s) {
  for (size_t i = 0; i < s->n; i++) {
    for (int j = 0; j < PL_MAX_OUT; j++) pl_release(s->v[i].gout[j]);
    pl_node_release(s->v[i].node);
  }
  for (size_t i = 0; i < s->n_wanted; i++) {
    pl_release(s->wanted[i].t);
    pl_release(s->wanted[i].grad);
  }
  free(s->v);
  free(s->bucket);
  free(s->wanted);
}

static bool no_history(const pl_tensor *output) {
  const char *by = output->cut ? output->cut : "";
  return pl_fail(
      "gradient: the output %s does not depend on a tensor that requires a gradient%s%s%s",
      PL_DESCRIBE(output), output->cut ? ": its history ended at " : "", by,
      output->cut && output->cut_in_no_grad ? ", inside no_grad" : "");
}

/* The seeds: those given, or ones for outputs of one element. */
static bool make_seed(pl_tensor *output, pl_tensor *given, pl_tensor **seed) {
  if (!output) return pl_fail("gradient: an output is missing");
  if (output->dtype != PL_REAL || !output->requires_grad) return no_history(output);
  if (given && (given->dtype != PL_REAL || !pl_same_size(given, output)))
    return pl_fail("gradient: the seed is %s, the output %s", PL_DESCRIBE(given),
                   PL_DESCRIBE(output));
  if (!given && pl_numel(output) != 1)
    return pl_fail("gradient: the output is %s; only one element needs no seed",
                   PL_DESCRIBE(output));
  *seed = given ? given : pl_full(PL_REAL, pl_size(output), 1);
  return *seed != NULL;
}

static bool run_seeded(pass *s, int n, pl_tensor *const *outputs, pl_tensor *const *seeds) {
  pl_context *here = PL_HERE;
  bool was = pl_grad_mode(s->create_graph);
  pl_tracer *tracer = here->tracer;
  if (tracer && tracer->went_back) {
    s->tracer = tracer;
    here->tracer = NULL;
  }
  find_oldest(s);
  bool ok = collect(s, n, outputs);
  ok = ok && mark_useful(s) && flow_back(s, n, outputs, seeds);
  pl_grad_mode(was);
  here->tracer = tracer;
  return ok && !pl_error();
}

static bool run_pass(pass *s, int n, pl_tensor *const *outputs, pl_tensor *const *given) {
  pl_tensor *few[PL_MAX_IN], **seeds = n > PL_MAX_IN ? malloc((size_t)n * sizeof *seeds) : few;
  bool ok = seeds || no_memory();
  for (int i = 0; ok && i < n; i++) ok = make_seed(outputs[i], given ? given[i] : NULL, &seeds[i]);
  ok = ok && run_seeded(s, n, outputs, seeds);
  if (seeds != few) free(seeds);
  return ok;
}

bool pl_grad(int n_out, pl_tensor *const *outputs, pl_tensor *const *seeds, int n_in,
             pl_tensor *const *inputs, pl_tensor **grads, bool retain_graph, bool create_graph) {
  if (pl_error()) return false;
  pass s = {.create_graph = create_graph, .retain_graph = retain_graph || create_graph};
  bool ok = true;
  for (int i = 0; i < n_in; i++) {
    grads[i] = NULL;
    if (!inputs[i]) ok = pl_fail("grad: input %d is missing", i + 1);
    else if (!inputs[i]->requires_grad)
      ok =
          pl_fail("grad: input %d, %s, does not require a gradient", i + 1, PL_DESCRIBE(inputs[i]));
    ok = ok && (find_wanted(&s, inputs[i]) || add_wanted(&s, inputs[i]));
  }
  pl_scope_begin();
  ok = ok && run_pass(&s, n_out, outputs, seeds);
  pl_scope_end();
  for (int i = 0; ok && i < n_in; i++) {
    wanted_input *t = find_wanted(&s, inputs[i]);
    if (t->grad && !(grads[i] = pl_scope_own(pl_retain(t->grad)))) ok = false;
  }
  pass_free(&s);
  return ok;
}

/* Gives all leaves their gradients, and ends the pass. */
static bool backward(pass *s, pl_tensor *output, pl_tensor *seed) {
  pl_scope_begin();
  bool ok = run_pass(s, 1, &output, &seed);
  bool was = pl_grad_mode(s->create_graph);
  for (size_t i = 0; ok && i < s->n_wanted; i++)
    ok = !s->wanted[i].grad || add_to_grad(&s->wanted[i], s->create_graph);
  pl_grad_mode(was);
  pl_scope_end();
  pass_free(s);
  return ok;
}

bool pl_backward(pl_tensor *output, pl_tensor *seed, bool retain_graph, bool create_graph) {
  if (pl_error()) return false;
  pass s = {
      .leaves = true, .create_graph = create_graph, .retain_graph = retain_graph || create_graph};
  return backward(&s, output, seed);
}

bool pl_backward_each(pl_tensor *output, pl_tensor *seed, int n, pl_tensor *const *leaves,
                      pl_ready *ready, void *context) {
  if (pl_error()) return false;
  pass s = {.leaves = true, .n_reported = n, .ready = ready, .context = context};
  for (int i = 0; i < n && !pl_error(); i++)
    if (!leaves[i]) pl_fail("backward: leaf %d is missing", i + 1);
    else if (find_wanted(&s, leaves[i])) pl_fail("backward: leaf %d is there twice", i + 1);
    else add_wanted(&s, leaves[i]);
  if (!pl_error()) return backward(&s, output, seed);
  pass_free(&s);
  return false;
}

/*
** Leaves
*/

static bool want_leaf(pass *s, pl_tensor *t) {
  if (!t || t->node || !t->requires_grad || find_wanted(s, t)) return true;
  return add_wanted(s, t);
}

int pl_leaves(int n, pl_tensor *const *outputs, int room, pl_tensor **leaves) {
  pass s = {.leaves = true};
  bool ok = collect(&s, n, outputs);
  for (int i = 0; ok && i < n; i++) ok = want_leaf(&s, outputs[i]);
  for (size_t i = s.n; ok && i-- > 0;)
    for (int j = 0; ok && j < s.v[i].node->n_in; j++) ok = want_leaf(&s, s.v[i].node->in[j]);
  const int found = ok ? (int)s.n_wanted : -1;
  for (int i = 0; i < PL_MIN(found, room); i++) leaves[i] = s.wanted[i].t;
  pass_free(&s);
  return found;
}

bool pl_requires_grad(const pl_tensor *t) { return t->requires_grad; }

bool pl_is_leaf(const pl_tensor *t) { return !t->node; }

bool pl_set_requires_grad(pl_tensor *t, bool on) {
  if (!t) return false;
  if (t->node)
    return pl_fail("requires_grad: %s is the result of an op; detach it first", PL_DESCRIBE(t));
  if (on && t->dtype != PL_REAL) return pl_fail("requires_grad: %s is not real", PL_DESCRIBE(t));
  if (on && !pl_check_writable("requires_grad", t)) return false;
  if (t->shared) return true;
  t->requires_grad = on;
  return true;
}

pl_tensor *pl_grad_of(const pl_tensor *t) { return t->grad; }

void pl_set_grad(pl_tensor *t, pl_tensor *grad) {
  if (t->shared) {
    if (grad) pl_check_writable("grad", t);
    return;
  }
  pl_retain(grad);
  pl_release(t->grad);
  t->grad = grad;
}
