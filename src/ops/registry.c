/*
** registry.c: pl_op_new: checking and copying what an op is, and the list of those that were
** registered, which all threads share.
*/
#include "registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "table.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held to add */
static _Atomic(pl_registered *) first;
static _Atomic(pl_registered *) last;
static atomic_int count;

pl_registered *pl_registered_first(void) {
  return atomic_load_explicit(&first, memory_order_acquire);
}

int pl_op_count(void) { return pl_n_rows + atomic_load_explicit(&count, memory_order_acquire); }

/*
** What the functions of these ops use that needs other ops
*/

/* A tensor that has a history gives it to the call. The call's own is noted in a tensor that nobody
 * else has: an input, or one that is kept elsewhere, is no output itself. */
bool pl_set_output(pl_args *c, int i, pl_tensor *t) {
  if (i < 0 || i >= pl_op_outputs(c->op))
    return pl_op_fail(c, "its C code uses output %d of %d", i, pl_op_outputs(c->op));
  if (t && !t->node)
    t = t->requires_grad ? pl_reshape(t, pl_size(t))
                         : pl_alias(t, pl_size(t), t->stride, t->offset);
  c->out[i] = t;
  return t != NULL;
}

/*
** Checking
*/

/* A spec of another version's size as one of this version's. What a newer one states must be
 * nothing. */
static bool read_spec(const pl_op_spec *given, size_t real, pl_op_spec *spec) {
  const size_t size = given->size;
  const unsigned char *bytes = (const unsigned char *)given;
  *spec = (pl_op_spec){.size = sizeof *spec};
  if (size < offsetof(pl_op_spec, nograd))
    return pl_fail("pl_op_new: size is %zu; sizeof(pl_op_spec), %zu, expected", size, sizeof *spec);
  memcpy(spec, given, PL_MIN(size, sizeof *spec));
  const char *name = spec->name ? spec->name : "pl_op_new";
  for (size_t i = sizeof *spec; i < size; i++)
    if (bytes[i])
      return pl_fail("%s: the program was built for a newer Perilune than %s", name, PL_VERSION);
  if (real != sizeof(pl_real))
    return pl_fail("%s: the program was built for reals of %zu bytes; this Perilune has %zu", name,
                   real, sizeof(pl_real));
  return true;
}

enum { LONGEST_NAME = 60 };

/* "swish" or "mine.swish" */
static bool check_name(const char *name) {
  char part[LONGEST_NAME + 1];
  if (!name) return pl_fail("pl_op_new: name is missing");
  const size_t n = strlen(name);
  const char *dot = strchr(name, '.');
  bool good = n <= LONGEST_NAME;
  if (good && dot) {
    memcpy(part, name, (size_t)(dot - name));
    part[dot - name] = 0;
    good = pl_is_name(part);
  }
  good = good && pl_is_name(dot ? dot + 1 : name);
  return good || pl_fail(
                     "pl_op_new: the name '%.80s': a name in C and Lua expected, or two with a "
                     "dot between them, of at most %d letters",
                     name, LONGEST_NAME);
}

static bool check_functions(const pl_op_spec *s) {
  if (!s->forward && !s->decompose)
    return pl_fail("%s: forward or decompose expected; there is neither", s->name);
  if (!s->forward && (s->shape || s->gradient || s->fused_gradient))
    return pl_fail("%s: there is a shape or a gradient, and no forward", s->name);
  if (s->nograd && (s->gradient || s->fused_gradient))
    return pl_fail("%s: there is a gradient, and nograd says that there is none", s->name);
  if (s->forward && !s->gradient && !s->decompose && !s->nograd)
    return pl_fail("%s: there is a forward; a gradient, decompose or nograd expected too", s->name);
  return true;
}

static bool check_numbers(const pl_op_spec *s, const pl_signature *g) {
  bool optional = false;
  for (int i = 0; i < g->n_in; i++) optional |= g->in[i].optional;
  if (s->outputs < 0 || s->outputs > PL_MAX_OUT)
    return pl_fail("%s: %d outputs; 1 to %d expected", s->name, s->outputs, PL_MAX_OUT);
  if ((int)s->integers < 0 || s->integers > PL_INTEGERS_READ)
    return pl_fail("%s: integers is %d, no pl_integers", s->name, (int)s->integers);
  if (s->unsaved & ~(unsigned)PL_UNSAVED_ALL)
    return pl_fail("%s: unsaved is %u, no pl_unsaved", s->name, s->unsaved);
  if (s->broadcast && (optional || g->variadic))
    return pl_fail("%s: broadcast needs all inputs, by their names", s->name);
  if (g->variadic && s->forward && !s->gradient && !s->nograd)
    return pl_fail("%s: a list of tensors needs a gradient, not decompose beside forward", s->name);
  return true;
}

/*
** Copying
*/

static size_t bytes_of(const char *text) { return text ? strlen(text) + 1 : 1; }

static const char *copy_text(char **room, const char *text) {
  char *copy = *room;
  *room = stpcpy(copy, text ? text : "") + 1;
  return copy;
}

static pl_registered *copy_spec(const pl_op_spec *s) {
  const size_t parsed = bytes_of(s->inputs) + bytes_of(s->attrs);
  pl_registered *r =
      calloc(1, sizeof *r + 2 * parsed + bytes_of(s->name) + bytes_of(s->group) + bytes_of(s->doc) +
                    bytes_of(s->samples) + bytes_of(s->onnx) + sizeof PL_GROUP_REGISTERED);
  if (!r) return pl_fail("%s: not enough memory", s->name), NULL;
  char *room = r->text + parsed;
  r->op = (pl_op){.name = copy_text(&room, s->name),
                  .group = copy_text(&room, s->group ? s->group : PL_GROUP_REGISTERED),
                  .inputs = copy_text(&room, s->inputs),
                  .attrs = copy_text(&room, s->attrs),
                  .doc = copy_text(&room, s->doc),
                  .samples = copy_text(&room, s->samples),
                  .signature = &r->signature,
                  .outputs = s->outputs,
                  .unsaved = s->unsaved,
                  .nograd = s->nograd,
                  .integers = s->integers,
                  .apart = s->apart,
                  .broadcast = s->broadcast ? pl_broadcast_inputs : NULL,
                  .shape = s->shape,
                  .forward = s->forward,
                  .decompose = s->decompose,
                  .gradient = s->gradient,
                  .fused_gradient = s->fused_gradient,
                  .flops = s->flops,
                  .onnx = s->onnx ? copy_text(&room, s->onnx) : NULL,
                  .data = s->user};
  return r;
}

static pl_registered *make(const pl_op_spec *given, size_t real) {
  pl_op_spec spec;
  if (!read_spec(given, real, &spec) || !check_name(spec.name) || !check_functions(&spec))
    return NULL;
  pl_registered *r = copy_spec(&spec);
  if (!r) return NULL;
  if (pl_read_signature(r->op.name, r->op.inputs, r->op.attrs, &r->signature, r->text) &&
      check_numbers(&spec, &r->signature))
    return r;
  free(r);
  return NULL;
}

/*
** Adding
*/

static bool is_free(const char *name) {
  return !pl_op_find(name) || pl_fail("%s: there is an op of that name already", name);
}

/* While the lock is held. */
static void append(pl_registered *from, pl_registered *to, int n) {
  pl_registered *end = atomic_load(&last);
  atomic_store_explicit(end ? &end->next : &first, from, memory_order_release);
  atomic_store(&last, to);
  atomic_fetch_add_explicit(&count, n, memory_order_release);
}

bool pl_register_all(pl_waiting *w) {
  bool ok = true;
  pthread_mutex_lock(&lock);
  for (const pl_registered *r = w->first; r && ok; r = pl_registered_next(r))
    ok = is_free(r->op.name);
  if (ok && w->n) append(w->first, w->last, w->n);
  pthread_mutex_unlock(&lock);
  return ok;
}

void pl_waiting_free(pl_waiting *w) {
  for (pl_registered *r = w->first, *next; r; r = next) next = pl_registered_next(r), free(r);
  *w = (pl_waiting){0};
}

static bool wait(pl_waiting *w, pl_registered *r) {
  for (const pl_registered *other = w->first; other; other = pl_registered_next(other))
    if (!strcmp(other->op.name, r->op.name))
      return pl_fail("%s: there is an op of that name already", r->op.name);
  if (w->last) atomic_store(&w->last->next, r);
  else w->first = r;
  w->last = r;
  w->n++;
  return true;
}

const pl_op *pl_op_register(const pl_op_spec *spec, size_t real) {
  if (pl_error()) return NULL;
  pl_registered *r = make(spec, real);
  if (!r) return NULL;
  pl_waiting *opening = PL_HERE->opening;
  pl_waiting alone = {r, r, 1};
  if (opening ? is_free(r->op.name) && wait(opening, r) : pl_register_all(&alone)) return &r->op;
  free(r);
  return NULL;
}
