/*
** row.c: what can be asked of a row.
*/
#include "autograd.h"

const char *pl_op_name(const pl_op *op) { return op->name; }
const char *pl_op_group(const pl_op *op) { return op->group; }
const char *pl_op_doc(const pl_op *op) { return op->doc; }
const char *pl_op_samples(const pl_op *op) { return op->samples; }
const pl_signature *pl_op_signature(const pl_op *op) { return op->signature; }
pl_integers pl_op_integers(const pl_op *op) { return op->integers; }
const char *pl_op_onnx(const pl_op *op) { return op->onnx; }
bool pl_op_differentiable(const pl_op *op) { return !op->nograd; }
int pl_op_outputs(const pl_op *op) { return op->outputs ? op->outputs : 1; }
