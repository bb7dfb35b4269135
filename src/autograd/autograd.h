/*
** autograd.h: what an op is, how it is called, and what remembers the call.
**
** An op is a row. Its meaning is given in one of two ways, or in both:
**   compose   builds the outputs from other ops; gradients of any order follow from that
**   forward   computes the outputs; then `gradient` (written in ops, so it has gradients
**             itself) or `compose` must be there, or `nograd` set
** `fast` is an optional gradient of first order that may work on bare values; it is taken
** when no graph of the gradient is asked for.
*/
#ifndef PERILUNE_AUTOGRAD_H
#define PERILUNE_AUTOGRAD_H

#include "../tensor/tensor.h"

enum { PL_MAX_SAVED = 4 };

/* One call of an op: what a row's functions see. */
typedef struct {
  const pl_op *op;
  int n_in;
  pl_tensor *const *in; /* absent optional inputs are NULL */
  const pl_attr *attr;
  pl_tensor *out[PL_MAX_OUT];
  pl_tensor *saved[PL_MAX_SAVED]; /* hidden results that forward keeps for the gradient */
  pl_custom *custom;              /* NULL, but for the op of custom.c */
  int64_t scratch[16];            /* what shape works out for forward and flops; 0 at first */
} pl_args;

/* Values that the gradient does not look at, so the graph need not keep them. */
typedef enum { PL_FORGET_IN = 1, PL_FORGET_OUT = 2, PL_FORGET_ALL = 3 } pl_forget;

struct pl_op {
  const char *name, *inputs, *attrs, *doc, *samples;
  int outputs;     /* 0 stands for 1 */
  unsigned forget; /* of pl_forget */
  bool view;       /* shares storage with input 0, and `forward` makes the output itself */
  bool nograd;
  /* may put other tensors in the place of the inputs (broadcast them, say), before all else */
  bool (*prepare)(const pl_args *c, pl_tensor **in);
  /* checks the inputs and creates c->out (uninitialised); says why not */
  bool (*shape)(pl_args *c);
  bool (*forward)(pl_args *c);
  bool (*compose)(pl_args *c);
  /* fills gin[i] for the bits of need; gout[j] is NULL where nothing flows back */
  bool (*gradient)(const pl_args *c, pl_tensor *const *gout, unsigned need, pl_tensor **gin);
  bool (*fast)(const pl_args *c, pl_tensor *const *gout, unsigned need, pl_tensor **gin);
  /* additions and multiplications of a call, for profiles; what has none takes one a result */
  double (*flops)(const pl_args *c);
  const void *data; /* a family's kernel */
};

/* The value of a row's attributes when nothing is given. */
void pl_attr_defaults(const pl_op *op, pl_attr *attr);

/* Calls a row from its builder: variadic attributes are filled by the builder. */
pl_tensor *pl_apply(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attr);
bool pl_apply_all(const pl_op *op, int n_in, pl_tensor *const *in, const pl_attr *attr,
                  pl_tensor **out);

bool pl_apply_custom(const pl_op *op, int n_in, pl_tensor *const *in, pl_custom *custom,
                     pl_tensor **out);
/* Lets go of one reference. */
void pl_custom_release(pl_custom *custom);

/* Ends the span of a call, or of a gradient by the inputs of `need`, whose results are gin. */
void pl_span_end_call(pl_span *s, const pl_args *c, bool ok);
void pl_span_end_gradient(pl_span *s, const pl_args *c, bool fast, pl_tensor *const *gout,
                          unsigned need, pl_tensor *const *gin, bool ok);
/* Creates output i of a call, for shape functions. */
bool pl_out(pl_args *c, int i, pl_kind kind, pl_ints size);
/* Keeps hidden tensor i for the gradient. */
bool pl_save(pl_args *c, int i, pl_tensor *t);
bool pl_grad_enabled(void);
/* "op: message", with the row's name in front. */
bool pl_op_fail(const pl_args *c, const char *format, ...) PL_PRINTF(2, 3);
/* False with a message unless input i is real. */
bool pl_need_real(const pl_args *c, int i);
bool pl_need_rank(const pl_args *c, int i, int rank);
const char *pl_input_name(const pl_op *op, int i, char *buf, size_t n);

#endif
