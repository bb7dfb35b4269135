/*
** autograd.h: what an op is, how it is called, and what remembers the call.
**
** An op is a row. Its meaning is given in one of two ways, or in both:
**   decompose   builds the outputs from other ops; gradients of any order follow from that
**   forward     computes the outputs; then `gradient` (written in ops, so it has gradients
**               itself) or `decompose` must be there, or `nograd` set. For some arguments it may
**               build the outputs from other ops, as decompose does; then theirs is the history
** `fused_gradient` is an optional gradient of first order that may work on bare values; it is
** taken when no graph of the gradient is asked for.
**
** A row is written with PL_OP(name, .group = ..., .inputs = ..., ...); with PL_OP_IN(space, name, ...)
** it is called space.name, pl.space.name in Lua and pl_space_name in C. When the library is built,
** scripts/ops.py reads all rows and writes from their texts the C functions, the parsed inputs and
** attributes, and the list of rows; so nothing is parsed, and no row is looked for, on a call. Ops
** that are registered at run time are parsed then (signature.c), and are rows like others;
** perilune_op.h has what the functions of both use.
*/
#ifndef PERILUNE_AUTOGRAD_H
#define PERILUNE_AUTOGRAD_H

#include "../tensor/tensor.h"

/* What a row is for: headings of help and the reference. */
#define PL_GROUP_ARITHMETIC  "Arithmetic of two tensors"
#define PL_GROUP_ELEMENTWISE "Functions of each element"
#define PL_GROUP_COMPARISON  "Comparison"
#define PL_GROUP_SHAPES      "Shapes"
#define PL_GROUP_REDUCTIONS  "Reductions"
#define PL_GROUP_INDEXING    "Indexing"
#define PL_GROUP_PRODUCTS    "Products"
#define PL_GROUP_LINALG      "Linear algebra"
#define PL_GROUP_ACTIVATIONS "Activations"
#define PL_GROUP_LAYERS      "Layers"
#define PL_GROUP_LOSSES      "Losses"
#define PL_GROUP_ADJOINTS    "Adjoints, which gradients are made of"
#define PL_GROUP_REGISTERED  "Ops that were registered" /* and say no other */

/* One call of an op: what a row's functions see. */
struct pl_args {
  const pl_op *op;
  int n_in;
  pl_tensor *const *in; /* absent optional inputs are NULL */
  const pl_attr *attr;
  pl_tensor *out[PL_MAX_OUT];
  pl_tensor *saved[PL_MAX_SAVED]; /* hidden results that forward keeps for the gradient */
  pl_custom *custom;              /* NULL, but for the op of custom.c */
  bool told;                      /* the tracer knows of it */
  bool in_parts;                  /* to be made of other ops, if the row says how */
  int64_t scratch[16];            /* what shape works out for forward and flops; 0 at first */
};

struct pl_op {
  const char *name, *group, *inputs, *attrs, *doc, *samples;
  const pl_signature *signature; /* inputs and attributes, parsed */
  int outputs;                   /* 0 stands for 1 */
  unsigned unsaved;              /* of pl_unsaved */
  bool view; /* shares storage with input 0, and `forward` makes the output itself */
  bool nograd;
  pl_integers integers; /* what becomes of int32 and uint8 */
  unsigned apart;       /* bits of the inputs that are no numbers of the result: masks, positions */
  /* puts tensors of one size in the place of the inputs, before all else */
  bool (*broadcast)(const pl_args *c, pl_tensor **in);
  /* checks the inputs and creates c->out (uninitialised); says why not */
  bool (*shape)(pl_args *c);
  bool (*forward)(pl_args *c);
  bool (*decompose)(pl_args *c);
  /* fills gin[i] for the bits of needs_grad; gout[j] is NULL where nothing flows back */
  bool (*gradient)(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad, pl_tensor **gin);
  bool (*fused_gradient)(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                         pl_tensor **gin);
  /* additions and multiplications of a call, for profiles; what has none takes one a result */
  double (*flops)(const pl_args *c);
  const char *onnx; /* what a call becomes in an ONNX graph, in Lua; see docs/ops.md */
  const void *data; /* a family's kernel; the user's pointer of an op from elsewhere */
};

#ifdef PL_SCAN_ROWS /* scripts/ops.py is reading */
#define PL_OP(name_, ...)           @row name_ @__VA_ARGS__ @end
#define PL_OP_IN(space, name_, ...) @row space.name_ @__VA_ARGS__ @end
#else
#define PL_OP(name_, ...)                         \
  extern const pl_signature pl_signature_##name_; \
  const pl_op pl_row_##name_ = {.name = #name_, .signature = &pl_signature_##name_, __VA_ARGS__}
#define PL_OP_IN(space, name_, ...)                         \
  extern const pl_signature pl_signature_##space##_##name_; \
  const pl_op pl_row_##space##_##name_ = {                  \
      .name = #space "." #name_, .signature = &pl_signature_##space##_##name_, __VA_ARGS__}
#endif

/*
** signature.c: reading inputs and attributes at run time, as scripts/ops.py does when the library is
** built
*/

/* Whether a word can be a name, in C and in Lua. */
bool pl_is_name(const char *word);
/* Reads the texts of the op `name` into s, whose words then stand in `room`: both texts with their
 * ends. False, with a message that names the word that cannot be read. */
bool pl_read_signature(const char *name, const char *inputs, const char *attrs, pl_signature *s,
                       char *room);

/*
** dtype.c: what dtype a call works in
*/

/* That of the inputs' numbers together: real if any is; else int32, or uint8 where a row moves
 * elements that all are. Real where there is none. */
pl_dtype pl_joined(const pl_op *op, int n_in, pl_tensor *const *in);
/* Puts tensors of that dtype in the place of the inputs, where the row says so. */
bool pl_join_inputs(const pl_op *op, int n_in, pl_tensor **in);
/* Whether a row's inputs are to be joined. */
bool pl_joins(const pl_op *op);

/* Calls a row with all its inputs and attributes (NULL: it has none); see perilune_ops.h. */
bool pl_apply(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attr,
              pl_tensor **out);

/* What the backward pass needs of the ops; handed down once, at start, by the floor that has
 * them. */
typedef struct {
  pl_tensor *(*add)(pl_tensor *a, pl_tensor *b);
  pl_tensor *(*copy)(pl_tensor *x); /* the same values, with a history of their own */
  pl_tensor *(*view)(pl_tensor *x); /* the same, on the same memory */
} pl_backward_ops;
void pl_backward_start(const pl_backward_ops *ops);

bool pl_apply_custom(const pl_op *op, int n_in, pl_tensor *const *in, pl_custom *custom,
                     pl_tensor **out);
/* Lets go of one reference. */
void pl_custom_release(pl_custom *custom);

/* Ends the span of a call, or of a gradient by the inputs of `needs_grad`, whose results are
 * gin. */
void pl_span_end_call(pl_span *s, const pl_args *c, bool ok);
void pl_span_end_gradient(pl_span *s, const pl_args *c, bool fused, pl_tensor *const *gout,
                          unsigned needs_grad, pl_tensor *const *gin, bool ok);
const char *pl_input_name(const pl_op *op, int i);

#endif
