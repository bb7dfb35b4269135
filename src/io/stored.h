/*
** stored.h: the dtypes of safetensors files, and what becomes of their values here.
**
**   in the file             here
**   F32 F64 F16 BF16        real
**   I32 I16 I8 U16          int32
**   I64 U64 U32             int32, where all values fit
**   U8 BOOL                 uint8
*/
#ifndef PERILUNE_STORED_H
#define PERILUNE_STORED_H

#include "../tensor/tensor.h"

/* Converts n values, or those before the first that does not fit; says how many. */
typedef int64_t pl_unpack(const void *in, void *out, int64_t n);

typedef struct {
  char name[8];
  int width;           /* bytes of a value in a file */
  pl_dtype dtype;      /* what it is here */
  pl_unpack *unpack;   /* NULL: the bytes are those of the dtype here */
  pl_unpack *convert;  /* to real, whatever the values are; NULL: all fit, or none may */
  const char *problem; /* of a value that does not fit, and the way out */
} pl_stored_dtype;

/* The one of that name; NULL if it cannot be read. */
const pl_stored_dtype *pl_stored_find(const char *name);
/* The name under which a dtype of ours is written. */
const char *pl_stored_name(pl_dtype dtype);
/* The value at `in` as text, as snprintf does; for those dtypes that have a `problem`. */
void pl_stored_print(const pl_stored_dtype *type, const void *in, char *text, size_t n);

#endif
