/*
** test_registry.c: ops that are registered at run time: what is refused, and with which words; calls,
** gradients and failures of those that are not; and that the texts of all rows of the table are read
** at run time as they were when the library was built.
*/
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "autograd/autograd.h"
#include "ops/table.h"

static pl_memory before;

static int set_up(void **state) {
  (void)state;
  before = pl_memory_now();
  pl_scope_begin();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  pl_scope_end();
  assert_null(pl_error());
  assert_int_equal(pl_memory_now().tensors, before.tensors);
  assert_int_equal(pl_memory_now().live_bytes, before.live_bytes);
  return 0;
}

static void check_error(const char *message) {
  assert_non_null(pl_error());
  if (!strstr(pl_error(), message)) fail_msg("'%s', and not '%s'", pl_error(), message);
  pl_error_clear();
}

/*
** The notation
*/

static void check_same(const char *op, const pl_signature *a, const pl_signature *b) {
  char text[1000];
  assert_true(strlen(op) < sizeof text);
  assert_int_equal(a->n_in, b->n_in);
  assert_int_equal(a->n_attr, b->n_attr);
  assert_int_equal(a->variadic, b->variadic);
  for (int i = 0; i < a->n_in; i++) {
    assert_string_equal(a->in[i].name, b->in[i].name);
    assert_int_equal(a->in[i].optional, b->in[i].optional);
  }
  for (int i = 0; i < a->n_attr; i++) {
    const pl_attr_spec *x = &a->attr[i], *y = &b->attr[i];
    assert_string_equal(x->name, y->name);
    assert_string_equal(x->text, y->text);
    assert_int_equal(x->type, y->type);
    assert_int_equal(x->optional, y->optional);
    if (x->type == PL_ATTR_REAL) assert_true(x->fallback.d == y->fallback.d);
    else if (x->type == PL_ATTR_DIMS || x->type == PL_ATTR_INTS || x->type == PL_ATTR_PAIR)
      assert_memory_equal(&x->fallback.ints, &y->fallback.ints, sizeof(pl_ints));
    else assert_int_equal(x->fallback.i, y->fallback.i);
  }
}

static void test_both_readers(void **state) {
  (void)state;
  char room[2000];
  for (int i = 0; i < pl_n_rows; i++) {
    const pl_op *op = pl_rows[i];
    pl_signature s;
    assert_true(strlen(op->inputs) + (op->attrs ? strlen(op->attrs) : 0) + 2 < sizeof room);
    if (!pl_read_signature(op->name, op->inputs, op->attrs ? op->attrs : "", &s, room))
      fail_msg("%s", pl_error());
    check_same(op->name, &s, op->signature);
  }
}

/*
** What is refused
*/

static bool negate(pl_args *c) { return pl_set_output(c, 0, pl_neg(pl_input(c, 0))); }
static bool gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                     pl_tensor **gin) {
  (void)c, (void)needs_grad;
  gin[0] = gout[0];
  return true;
}

static pl_op_spec spec_of(const char *name) {
  return (pl_op_spec){.size = sizeof(pl_op_spec), .name = name, .inputs = "x", .decompose = negate};
}

static void refuse_texts(const char *inputs, const char *attrs, const char *message) {
  pl_op_spec spec = spec_of("test.refused");
  spec.inputs = inputs;
  spec.attrs = attrs;
  const int n = pl_op_count();
  assert_null(pl_op_new(&spec));
  check_error(message);
  assert_null(pl_op_find("test.refused"));
  assert_int_equal(pl_op_count(), n);
}

static void test_texts(void **state) {
  (void)state;
  refuse_texts(NULL, "", "test.refused: it has no inputs");
  refuse_texts("  ", "", "test.refused: it has no inputs");
  refuse_texts("x,y", "", "test.refused: input 'x,y': a name expected");
  refuse_texts("x 2y", "", "input '2y': a name expected");
  refuse_texts("x\ty", "", "a name expected");
  refuse_texts("?", "", "input '?': a name expected");
  refuse_texts("...", "", "input '...': a name expected");
  refuse_texts("x x", "", "two inputs are called 'x'");
  refuse_texts("x? y", "", "input 'y' stands behind one that may be missing");
  refuse_texts("x ys...", "", "a list of tensors is the only input");
  refuse_texts("a b c d e f g h i", "", "more than 8 inputs");
  refuse_texts("x", "k", "attribute 'k': name:type expected");
  refuse_texts("x", "k:", "attribute 'k': there is no type ''");
  refuse_texts("x", ":int", "attribute '': name:type expected");
  refuse_texts("x", "k=1:int", "attribute 'k=1': name:type expected");
  refuse_texts("x", "k:flot=1", "attribute 'k': there is no type 'flot'; int, real, bool, dim");
  refuse_texts("x", "k:int?=1", "there is no type 'int?'");
  refuse_texts("x", "k:int=1.5", "attribute 'k': its default is '1.5'; an integer expected");
  refuse_texts("x", "k:int=", "its default is ''; an integer expected");
  refuse_texts("x", "k:int=99999999999999999999", "an integer expected");
  refuse_texts("x", "k:real=one", "its default is 'one'; a number, inf or -inf expected");
  refuse_texts("x", "k:real=nan", "a number, inf or -inf expected");
  refuse_texts("x", "k:bool=1", "its default is '1'; true or false expected");
  refuse_texts("x", "k:pair=1,2", "its default is '1,2'; an integer expected");
  refuse_texts("x", "k:dims=1", "its default is '1'; none (a list is empty");
  refuse_texts("x", "k:choice(a|b)=b", "its default is 'b'; none");
  refuse_texts("x", "k:choice", "words in brackets are for a choice(a|b), which needs them");
  refuse_texts("x", "k:int(a|b)", "words in brackets are for a choice");
  refuse_texts("x", "k:choice()", "words with bars between them expected");
  refuse_texts("x", "k:choice(a||b)", "words with bars between them expected");
  refuse_texts("x", "k:choice(a|b", "words with bars between them expected");
  refuse_texts("x", "k:choice(a|)", "words with bars between them expected");
  refuse_texts("x", "k:int k:int", "two attributes are called 'k'");
  refuse_texts("x", "x:int", "an input and an attribute are called 'x'");
  refuse_texts("x", "a:int b:int c:int d:int e:int f:int g:int h:int i:int",
               "more than 8 attributes");
}

static void refuse_name(const char *name, const char *message) {
  const pl_op_spec spec = spec_of(name);
  assert_null(pl_op_new(&spec));
  check_error(message);
}

static void test_names(void **state) {
  (void)state;
  refuse_name(NULL, "pl_op_new: name is missing");
  refuse_name("", "the name '': a name in C and Lua expected");
  refuse_name("two words", "the name 'two words'");
  refuse_name("end", "the name 'end'");
  refuse_name("mine.while", "the name 'mine.while'");
  refuse_name("mine.", "the name 'mine.'");
  refuse_name(".op", "the name '.op'");
  refuse_name("a.b.c", "the name 'a.b.c'");
  refuse_name("n\xc3\xa9", "a name in C and Lua expected");
  refuse_name("a2345678901234567890123456789012345678901234567890123456789.b",
              "at most 60 letters");
  refuse_name("exp", "exp: there is an op of that name already");
  const pl_op_spec once = spec_of("test.once");
  assert_non_null(pl_op_new(&once));
  refuse_name("test.once", "test.once: there is an op of that name already");
}

static void refuse(pl_op_spec spec, const char *message) {
  assert_null(pl_op_new(&spec));
  check_error(message);
}

static void test_specs(void **state) {
  (void)state;
  pl_op_spec s = spec_of("test.refused");
  s.size = 0;
  refuse(s, "pl_op_new: size is 0; sizeof(pl_op_spec),");
  s = spec_of("test.refused"), s.decompose = NULL;
  refuse(s, "test.refused: forward or decompose expected");
  s.forward = negate;
  refuse(s, "test.refused: there is a forward; a gradient, decompose or nograd expected too");
  s.gradient = gradient, s.nograd = true;
  refuse(s, "there is a gradient, and nograd says that there is none");
  s = spec_of("test.refused"), s.gradient = gradient;
  refuse(s, "there is a shape or a gradient, and no forward");
  s = spec_of("test.refused"), s.outputs = 5;
  refuse(s, "5 outputs; 1 to 4 expected");
  s = spec_of("test.refused"), s.outputs = -1;
  refuse(s, "-1 outputs");
  s = spec_of("test.refused"), s.integers = (pl_integers)9;
  refuse(s, "integers is 9, no pl_integers");
  s = spec_of("test.refused"), s.unsaved = 4;
  refuse(s, "unsaved is 4, no pl_unsaved");
  s = spec_of("test.refused"), s.inputs = "x y?", s.broadcast = true;
  refuse(s, "broadcast needs all inputs");
  s = spec_of("test.refused"), s.inputs = "xs...", s.forward = negate;
  refuse(s, "a list of tensors needs a gradient");
  assert_null(pl_op_register(&(pl_op_spec){.size = sizeof s, .name = "test.refused"}, 2));
  check_error("test.refused: the program was built for reals of 2 bytes");
}

/* Programs of other versions: one that knows less, one that knows more and says nothing of it. */
static void test_sizes(void **state) {
  (void)state;
  pl_op_spec older = spec_of("test.older");
  older.size = offsetof(pl_op_spec, gradient);
  older.gradient = gradient; /* behind its end */
  const pl_op *op = pl_op_new(&older);
  assert_non_null(op);
  assert_null(op->gradient);
  struct {
    pl_op_spec spec;
    void *more;
  } newer = {spec_of("test.newer"), NULL};
  newer.spec.size = sizeof newer;
  assert_non_null(pl_op_new(&newer.spec));
  newer.spec.name = "test.newest", newer.more = &newer;
  assert_null(pl_op_new(&newer.spec));
  check_error("test.newest: the program was built for a newer Perilune than " PL_VERSION);
}

/*
** Calls
*/

static pl_tensor *row_of(double a, double b) {
  pl_tensor *t = pl_empty(PL_REAL, pl_list(2));
  pl_set_at(t, 0, a), pl_set_at(t, 1, b);
  return t;
}

static pl_tensor *leaf(pl_tensor *t) {
  assert_true(pl_set_requires_grad(t, true));
  return t;
}

static void check_row(const pl_tensor *t, double a, double b) {
  assert_non_null(t);
  assert_int_equal(pl_numel(t), 2);
  assert_true(pl_at(t, 0) == a && pl_at(t, 1) == b);
}

static const pl_op *make(pl_op_spec spec) {
  const pl_op *op = pl_op_new(&spec);
  if (!op) fail_msg("%s", pl_error());
  assert_ptr_equal(pl_op_find(spec.name), op);
  return op;
}

static bool like_input(pl_args *c) {
  return pl_need_real(c, 0) && pl_out(c, 0, PL_REAL, pl_size(pl_input(c, 0)));
}

static bool fill_two(pl_args *c) { return pl_fill(pl_output(c, 0), 2); }

/* Texts are copied: those of the caller may change. */
static void test_copies(void **state) {
  (void)state;
  char name[] = "test.copied", inputs[] = "x y?", attrs[] = "k:choice(a|b) d:dim?", doc[] = "text";
  const pl_op *op = make((pl_op_spec){.size = sizeof(pl_op_spec),
                                      .name = name,
                                      .inputs = inputs,
                                      .attrs = attrs,
                                      .doc = doc,
                                      .decompose = negate});
  memset(name, 'z', 4), memset(inputs, 'z', 4), memset(attrs, 'z', 4), memset(doc, 'z', 4);
  assert_string_equal(pl_op_name(op), "test.copied");
  assert_string_equal(pl_op_doc(op), "text");
  assert_string_equal(pl_op_samples(op), "");
  assert_string_equal(pl_op_group(op), PL_GROUP_REGISTERED);
  const pl_signature *s = pl_op_signature(op);
  assert_string_equal(s->in[1].name, "y");
  assert_string_equal(s->attr[0].text, "a|b");
  assert_int_equal(s->attr[1].fallback.i, PL_NO_DIM);
  int i = pl_n_rows;
  while (pl_op_at(i) != op) i++;
  assert_int_equal(i, pl_op_count() - 1);
  assert_null(pl_op_at(i + 1));
}

/* 8 inputs of one size, 8 attributes, 4 outputs of which one is left out, user data. */
static bool many(pl_args *c) {
  assert_int_equal(pl_input_count(c), 8);
  double sum = 0;
  for (int i = 0; i < 8; i++) {
    const pl_tensor *t = pl_input(c, i);
    assert_int_equal(pl_numel(t), 2);
    sum += (double)pl_attribute(c, i)->i * pl_at(t, 1);
  }
  for (int j = 0; j < 3; j++)
    if (!pl_out(c, j, PL_REAL, PL_ALL_DIMS) || !pl_fill(pl_output(c, j), sum + j)) return false;
  return *(int *)pl_user(c) == 7;
}

static void test_most(void **state) {
  (void)state;
  static int seven = 7;
  const pl_op *op =
      make((pl_op_spec){.size = sizeof(pl_op_spec),
                        .name = "test.most",
                        .inputs = "a b c d e f g h",
                        .outputs = 4,
                        .attrs = "i:int=1 j:int=2 k:int=3 l:int=4 m:int=5 n:int=6 o:int=7 p:int=8",
                        .broadcast = true,
                        .forward = many,
                        .nograd = true,
                        .user = &seven});
  pl_tensor *in[8], *out[4];
  for (int i = 0; i < 8; i++) in[i] = i == 3 ? row_of(5, 1) : pl_full(PL_REAL, PL_ALL_DIMS, 1);
  assert_true(pl_call(op, 8, in, NULL, out));
  assert_true(pl_at(out[0], 0) == 36 && pl_at(out[2], 0) == 38);
  assert_null(out[3]);
  assert_true(pl_op_call("test.most", 8, in, 0, NULL, 1, out));
  assert_true(pl_at(out[0], 0) == 36);
  assert_false(pl_call(op, 7, in, NULL, out));
  check_error("test.most: got 7 inputs, expected 8");
  in[2] = NULL;
  assert_false(pl_call(op, 8, in, NULL, out));
  check_error("test.most: c is missing");
}

/* A list: the sum of all, whatever their number. */
static bool sum_of_list(pl_args *c) {
  if (!pl_input_count(c)) return pl_op_fail(c, "nothing to add");
  if (!pl_out(c, 0, PL_REAL, pl_size(pl_input(c, 0)))) return false;
  bool ok = pl_fill(pl_output(c, 0), 0);
  for (int i = 0; ok && i < pl_input_count(c); i++)
    for (int64_t k = 0; k < pl_numel(pl_output(c, 0)); k++)
      pl_set_at(pl_output(c, 0), k, pl_at(pl_output(c, 0), k) + pl_at(pl_input(c, i), k));
  return ok;
}

static bool to_all(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad, pl_tensor **gin) {
  (void)needs_grad;
  for (int i = 0; i < pl_input_count(c); i++) gin[i] = gout[0];
  return true;
}

static void test_lists(void **state) {
  (void)state;
  const pl_op *op = make((pl_op_spec){.size = sizeof(pl_op_spec),
                                      .name = "test.list",
                                      .inputs = "xs...",
                                      .forward = sum_of_list,
                                      .gradient = to_all});
  enum { N = 40 };
  pl_tensor *in[N], *grads[N], *y, *seed = row_of(2, 3);
  for (int i = 0; i < N; i++) in[i] = leaf(row_of(i, 1));
  assert_true(pl_call(op, N, in, NULL, &y));
  check_row(y, N * (N - 1) / 2, N);
  assert_true(pl_grad(1, &y, &seed, N, in, grads, false, false));
  for (int i = 0; i < N; i++) check_row(grads[i], 2, 3);
  assert_false(pl_call(op, 0, in, NULL, &y));
  check_error("test.list: nothing to add");
}

/* x * |x|, whose gradient 2 |x| g is written in ops. */
static bool signed_square(pl_args *c) {
  pl_tensor *x = pl_contiguous(pl_input(c, 0));
  for (int64_t i = 0; i < pl_numel(x); i++)
    pl_set_at(pl_output(c, 0), i, pl_at(x, i) * (pl_at(x, i) < 0 ? -pl_at(x, i) : pl_at(x, i)));
  return true;
}

static bool signed_square_gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                                   pl_tensor **gin) {
  if (needs_grad & 1) gin[0] = pl_mul(pl_affine(pl_abs(pl_input(c, 0)), 2, 0), gout[0]);
  return !pl_error();
}

static void test_gradients(void **state) {
  (void)state;
  const pl_op *op = make((pl_op_spec){.size = sizeof(pl_op_spec),
                                      .name = "test.signed_square",
                                      .inputs = "x",
                                      .integers = PL_INTEGERS_REAL,
                                      .unsaved = PL_UNSAVED_OUT,
                                      .shape = like_input,
                                      .forward = signed_square,
                                      .gradient = signed_square_gradient});
  pl_tensor *x = leaf(row_of(3, -4)), *y, *seed = row_of(1, 1), *g, *gg;
  assert_true(pl_call(op, 1, &x, NULL, &y));
  check_row(y, 9, -16);
  assert_true(pl_grad(1, &y, &seed, 1, &x, &g, true, true));
  check_row(g, 6, 8);
  assert_true(pl_grad(1, &g, &seed, 1, &x, &gg, false, false));
  check_row(gg, 2, -2);
  const bool was = pl_grad_mode(false);
  assert_true(pl_call(op, 1, &x, NULL, &y));
  pl_grad_mode(was);
  assert_false(pl_requires_grad(y));
  pl_tensor *ints = pl_arange(PL_INT32, 1, 1, 2);
  assert_true(pl_call(op, 1, &ints, NULL, &y));
  assert_int_equal(pl_dtype_of(y), PL_REAL);
  check_row(y, 1, 4);
}

static bool no_gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                        pl_tensor **gin) {
  (void)c, (void)gout, (void)needs_grad, (void)gin;
  return true;
}
static bool silent_gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                            pl_tensor **gin) {
  (void)c, (void)gout, (void)needs_grad, (void)gin;
  return false;
}
static bool long_gradient(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                          pl_tensor **gin) {
  (void)c, (void)gout, (void)needs_grad;
  gin[0] = pl_full(PL_REAL, pl_list(3), 1);
  return true;
}

static pl_op_spec two_of(const char *name,
                         bool (*g)(const pl_args *, pl_tensor *const *, unsigned, pl_tensor **)) {
  return (pl_op_spec){.size = sizeof(pl_op_spec),
                      .name = name,
                      .inputs = "x",
                      .shape = like_input,
                      .forward = fill_two,
                      .gradient = g};
}

static void test_gradients_that_fail(void **state) {
  (void)state;
  pl_tensor *x = leaf(row_of(1, 2)), *y, *seed = row_of(1, 1), *g;
  assert_true(pl_call(make(two_of("test.no_gradient", no_gradient)), 1, &x, NULL, &y));
  assert_true(pl_grad(1, &y, &seed, 1, &x, &g, false, false));
  assert_null(g); /* zero */
  assert_true(pl_call(make(two_of("test.silent_gradient", silent_gradient)), 1, &x, NULL, &y));
  assert_false(pl_grad(1, &y, &seed, 1, &x, &g, false, false));
  check_error("test.silent_gradient: the C code of its gradient failed and gives no reason");
  assert_true(pl_call(make(two_of("test.long_gradient", long_gradient)), 1, &x, NULL, &y));
  assert_false(pl_grad(1, &y, &seed, 1, &x, &g, false, false));
  check_error("test.long_gradient: the gradient of input 1 is real[3], the input real[2]");
  pl_op_spec spec = two_of("test.unsaved", signed_square_gradient);
  spec.unsaved = PL_UNSAVED_ALL;
  pl_tensor *z = pl_neg(x);
  assert_true(pl_call(make(spec), 1, &z, NULL, &y));
  assert_false(pl_grad(1, &y, &seed, 1, &x, &g, false, false));
  check_error("abs: x has no values: a gradient reads them that says it does not (unsaved)");
}

/*
** Failures
*/

static bool silent(pl_args *c) { return (void)c, false; }
static bool nothing(pl_args *c) { return (void)c, true; }
static bool failing(pl_args *c) { return pl_op_fail(c, "%d is bad luck", 13); }
static bool second_only(pl_args *c) { return pl_out(c, 1, PL_REAL, PL_ALL_DIMS); }
static bool third(pl_args *c) { return pl_out(c, 2, PL_REAL, PL_ALL_DIMS); }
static bool beyond(pl_args *c) {
  return pl_attribute(c, 0)->i || pl_input(c, 1) || pl_save(c, 4, pl_input(c, 0));
}
static bool stopped(pl_args *c) {
  pl_interrupt();
  for (int64_t i = 0; i < 1000000000; i++)
    if (!pl_check_interrupt()) return false;
  return fill_two(c);
}

static void check_failure(const char *name, bool (*shape)(pl_args *), bool (*forward)(pl_args *),
                          const char *message) {
  pl_tensor *x = row_of(1, 2), *out[2] = {x, x};
  const pl_op *op = make((pl_op_spec){.size = sizeof(pl_op_spec),
                                      .name = name,
                                      .inputs = "x",
                                      .outputs = 2,
                                      .nograd = true,
                                      .shape = shape,
                                      .forward = forward});
  assert_false(pl_call(op, 1, &x, NULL, out));
  check_error(message);
  assert_true(!out[0] && !out[1]);
}

static void test_failures(void **state) {
  (void)state;
  check_failure("test.fails_1", silent, fill_two,
                "test.fails_1: its C code failed and gives no reason");
  check_failure("test.fails_2", failing, fill_two, "test.fails_2: 13 is bad luck");
  check_failure("test.fails_3", like_input, failing, "test.fails_3: 13 is bad luck");
  check_failure("test.fails_4", NULL, nothing, "test.fails_4: its C code makes no output 0");
  check_failure("test.fails_5", NULL, second_only, "test.fails_5: its C code makes no output 0");
  check_failure("test.fails_6", NULL, third, "test.fails_6: its C code uses output 2 of 2");
  check_failure("test.fails_7", NULL, beyond, "test.fails_7: its C code uses attribute 0 of 0");
  check_failure("test.fails_8", like_input, stopped, "interrupted");
  pl_interrupt_clear();
}

/* An input, or a tensor that C keeps, as the output: neither gets a history that is not its own. */
static pl_tensor *kept;
static bool give_input(pl_args *c) { return pl_set_output(c, 0, pl_input(c, 0)); }
static bool give_kept(pl_args *c) { return pl_set_output(c, 0, kept); }

static void test_outputs_that_were_there(void **state) {
  (void)state;
  pl_op_spec spec = two_of("test.give_input", gradient);
  spec.shape = NULL, spec.forward = give_input;
  pl_tensor *x = leaf(row_of(1, 2)), *y, *seed = row_of(3, 4), *g;
  assert_true(pl_call(make(spec), 1, &x, NULL, &y));
  assert_true(pl_is_leaf(x) && !pl_is_leaf(y));
  assert_true(pl_grad(1, &y, &seed, 1, &x, &g, false, false));
  check_row(g, 3, 4);
  spec.name = "test.give_kept", spec.forward = give_kept;
  kept = row_of(7, 8);
  assert_true(pl_call(make(spec), 1, &x, NULL, &y));
  assert_true(pl_is_leaf(kept) && !pl_requires_grad(kept) && pl_requires_grad(y));
  check_row(y, 7, 8);
}

/*
** Threads
*/

enum { THREADS = 4, EACH = 50 };

static void *add_many(void *which) {
  for (int i = 0; i < EACH; i++) {
    char name[40];
    snprintf(name, sizeof name, "threads.op_%d_%d", *(int *)which, i);
    const pl_op_spec spec = spec_of(name);
    const pl_op *op = pl_op_new(&spec);
    if (!op || pl_op_find(name) != op) return NULL;
    const pl_op_spec shared = spec_of("threads.shared");
    if (!pl_op_new(&shared)) pl_error_clear();
  }
  return which;
}

static void test_threads(void **state) {
  (void)state;
  pthread_t thread[THREADS];
  int which[THREADS];
  const int n = pl_op_count();
  for (int i = 0; i < THREADS; i++)
    which[i] = i, pthread_create(&thread[i], NULL, add_many, &which[i]);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(thread[i], &result);
    assert_ptr_equal(result, &which[i]);
  }
  assert_int_equal(pl_op_count(), n + THREADS * EACH + 1);
  for (int i = n; i < pl_op_count(); i++)
    assert_ptr_equal(pl_op_find(pl_op_name(pl_op_at(i))), pl_op_at(i));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(both_readers), TEST(texts),
      TEST(names),        TEST(specs),
      TEST(sizes),        TEST(copies),
      TEST(most),         TEST(lists),
      TEST(gradients),    TEST(gradients_that_fail),
      TEST(failures),     TEST(outputs_that_were_there),
      TEST(threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
