/*
** dlpack.c: tensors as DLPack's structs, and back. Layouts and codes are those of DLPack 1.0, which
** are fixed; tests/embed/border.c compares them with dlpack.h where that is installed.
*/
#include <stdlib.h>
#include <string.h>

#include "tensor.h"

enum { CPU = 1 };                                /* DLDeviceType */
enum { INT = 0, UINT = 1, FLOAT = 2, BOOL = 6 }; /* DLDataTypeCode */
enum { MAJOR = 1, MINOR = 0, READ_ONLY = 1 };

typedef struct {
  int32_t type, number;
} device;

typedef struct {
  uint8_t code, bits;
  uint16_t lanes;
} element;

typedef struct {
  void *data;
  device device;
  int32_t rank;
  element element;
  int64_t *size, *stride;
  uint64_t byte_offset;
} array;

typedef struct DLManagedTensor {
  array array;
  void *context;
  void (*deleter)(struct DLManagedTensor *self);
} managed;

typedef struct DLManagedTensorVersioned {
  uint32_t major, minor;
  void *context;
  void (*deleter)(struct DLManagedTensorVersioned *self);
  uint64_t flags;
  array array;
} versioned;

/*
** Giving. What is handed out has a tensor of its own on the same memory, which any thread may
** release.
*/

typedef struct {
  union {
    managed plain;
    versioned versioned;
  };
  pl_tensor *tensor;
} given;

static element element_of(pl_dtype dtype) {
  static const uint8_t code[] = {FLOAT, INT, UINT};
  return (element){code[dtype], (uint8_t)(8 * pl_dtype_bytes(dtype)), 1};
}

/* False with the reason in the error slot. */
static bool may_give(const pl_tensor *t) {
  return t && !pl_error() &&
         (!t->requires_grad ||
          pl_fail("to_dlpack: %s requires a gradient, which would be lost; detach it",
                  PL_DESCRIBE(t)));
}

/* Fills `out`, a part of what is given. */
static given *give(pl_tensor *t, size_t out) {
  given *g = calloc(1, sizeof *g);
  if (!g) return pl_fail("not enough memory for %zu bytes", sizeof *g), NULL;
  g->tensor = pl_retain(pl_open_to_threads(t));
  if (!g->tensor) return free(g), NULL;
  *(array *)((char *)g + out) = (array){.data = pl_data(t),
                                        .device = {CPU, 0},
                                        .rank = t->rank,
                                        .element = element_of(t->dtype),
                                        .size = g->tensor->size,
                                        .stride = g->tensor->stride};
  return g;
}

static void take_back(given *g) {
  pl_release(g->tensor);
  free(g);
}

static void delete_plain(managed *m) { take_back((given *)m); }
static void delete_versioned(versioned *m) { take_back((given *)m); }

managed *pl_to_dlpack(pl_tensor *t) {
  if (!may_give(t)) return NULL;
  if (!pl_check_writable("to_dlpack", t)) return NULL;
  given *g = give(t, offsetof(given, plain.array));
  if (!g) return NULL;
  g->plain.context = g;
  g->plain.deleter = delete_plain;
  return &g->plain;
}

versioned *pl_to_dlpack_versioned(pl_tensor *t) {
  given *g = may_give(t) ? give(t, offsetof(given, versioned.array)) : NULL;
  if (!g) return NULL;
  g->versioned.major = MAJOR;
  g->versioned.minor = MINOR;
  g->versioned.context = g;
  g->versioned.deleter = delete_versioned;
  if (pl_is_shared(t)) g->versioned.flags = READ_ONLY;
  return &g->versioned;
}

/*
** Taking
*/

static bool same(element a, element b) {
  return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

/* What is none of our dtypes is refused by its name: "float16". */
static bool dtype_of(element e, pl_dtype *dtype) {
  static const char *const names[] = {"int",    "uint",    "float", "handle",
                                      "bfloat", "complex", "bool"};
  for (*dtype = PL_REAL; *dtype <= PL_UINT8; ++*dtype)
    if (same(e, element_of(*dtype))) return true;
  *dtype = PL_UINT8;
  return same(e, (element){BOOL, 8, 1}) ||
         pl_fail("from_dlpack: elements are %d x %s%d; float%d, int32, uint8 or bool expected",
                 e.lanes, e.code < sizeof names / sizeof *names ? names[e.code] : "unknown", e.bits,
                 8 * (int)sizeof(pl_real));
}

static pl_tensor *take(const array *a, void (*release)(void *m), void *m) {
  pl_ints size = {.n = a->rank};
  pl_dtype dtype;
  if (pl_error() || !dtype_of(a->element, &dtype)) return NULL;
  if (a->device.type != CPU)
    return pl_fail("from_dlpack: memory of device %d; that of the CPU (1) expected",
                   (int)a->device.type),
           NULL;
  if (a->rank < 0 || a->rank > PL_MAX_RANK)
    return pl_fail("from_dlpack: %d dimensions; at most %d expected", (int)a->rank, PL_MAX_RANK),
           NULL;
  if (a->rank) memcpy(size.v, a->size, (size_t)a->rank * sizeof *size.v);
  char *data = a->data ? (char *)a->data + a->byte_offset : NULL;
  return pl_borrow(data, dtype, size, a->stride, release, m);
}

static void release_plain(void *m) {
  if (((managed *)m)->deleter) ((managed *)m)->deleter(m);
}

static void release_versioned(void *m) {
  if (((versioned *)m)->deleter) ((versioned *)m)->deleter(m);
}

pl_tensor *pl_from_dlpack(managed *m) { return m ? take(&m->array, release_plain, m) : NULL; }

pl_tensor *pl_from_dlpack_versioned(versioned *m) {
  if (!m) return NULL;
  if (m->major != MAJOR)
    return pl_fail("from_dlpack: DLPack %u.%u; 1.x expected", (unsigned)m->major,
                   (unsigned)m->minor),
           NULL;
  pl_tensor *t = take(&m->array, release_versioned, m);
  if (t && m->flags & READ_ONLY) t->storage->constant = true;
  return t;
}
