/*
** npy.c: NumPy arrays in files of their own.
**
** A .npy file is: "\x93NUMPY"; two bytes, the version; the length of the header, in 16 bits in version 1
** and 32 in versions 2 and 3; the header, a dictionary as Python writes it,
**
**   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
**
** the values. Header and length of the file are compared before memory is taken.
*/
#include "npy.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "access.h"
#include "base/base.h"
#include "io.h"

enum { MAX_HEADER = 1 << 20, ALIGNMENT = 64 };

/*
** The header
*/

/* What of it is still to be read. */
typedef struct {
  const char *at, *end;
} cursor;

static void skip_blanks(cursor *c) {
  while (c->at < c->end && isspace((unsigned char)*c->at)) c->at++;
}

/* Whether the text comes next, which is passed then. */
static bool passed(cursor *c, const char *text) {
  const size_t n = strlen(text);
  skip_blanks(c);
  if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n) != 0) return false;
  c->at += n;
  return true;
}

/* 'text', without what needs a backslash; cut to the room there is. */
static bool read_string(cursor *c, char *text, size_t room) {
  skip_blanks(c);
  const char quote = c->at < c->end ? *c->at : 0;
  if (quote != '\'' && quote != '"') return false;
  const char *end = memchr(c->at + 1, quote, (size_t)(c->end - c->at) - 1);
  if (!end) return false;
  snprintf(text, room, "%.*s", (int)PL_MIN(end - c->at - 1, 100), c->at + 1);
  c->at = end + 1;
  return true;
}

static bool read_size(cursor *c, int64_t *size) {
  skip_blanks(c);
  if (c->at == c->end || !isdigit((unsigned char)*c->at)) return false;
  for (*size = 0; c->at < c->end && isdigit((unsigned char)*c->at); c->at++)
    if (__builtin_mul_overflow(*size, 10, size) ||
        __builtin_add_overflow(*size, *c->at - '0', size))
      return false;
  if (c->at < c->end && *c->at == 'L') c->at++; /* as Python 2 wrote it */
  return true;
}

/* (), (2,), (2, 3) */
static bool read_shape(cursor *c, pl_ints *size, int *rank) {
  bool comma = true;
  if (!passed(c, "(")) return false;
  for (*rank = 0; !passed(c, ")"); ++*rank) {
    int64_t value;
    if (!comma || !read_size(c, &value)) return false;
    if (*rank < PL_MAX_RANK) size->v[*rank] = value;
    comma = passed(c, ",");
  }
  size->n = PL_MIN(*rank, PL_MAX_RANK);
  return *rank != 1 || comma;
}

/* The values of the three keys; `seen` has a bit for each. */
typedef struct {
  char dtype[24];
  bool structured, columns;
  pl_ints size;
  int rank;
  unsigned seen;
} fields;

/* A list of fields: nothing behind it matters, for it is refused. */
static bool read_dtype(cursor *c, fields *f) {
  f->structured = passed(c, "[");
  if (f->structured) c->at = c->end;
  return f->structured || read_string(c, f->dtype, sizeof f->dtype);
}

static bool read_order(cursor *c, fields *f) {
  f->columns = passed(c, "True");
  return f->columns || passed(c, "False");
}

static bool read_field(cursor *c, fields *f) {
  char key[16];
  if (!read_string(c, key, sizeof key) || !passed(c, ":")) return false;
  const int i = strcmp(key, "descr") == 0           ? 0
                : strcmp(key, "fortran_order") == 0 ? 1
                : strcmp(key, "shape") == 0         ? 2
                                                    : 3;
  if (i == 3 || f->seen >> i & 1) return false;
  f->seen |= 1u << i;
  return i == 0 ? read_dtype(c, f) : i == 1 ? read_order(c, f) : read_shape(c, &f->size, &f->rank);
}

static bool read_fields(cursor *c, fields *f) {
  if (!passed(c, "{")) return false;
  for (bool comma = true; !passed(c, "}"); comma = passed(c, ",")) {
    if (!comma || !read_field(c, f)) return false;
    if (f->structured) return true;
  }
  skip_blanks(c);
  return c->at == c->end && f->seen == 7;
}

/*
** Dtypes
*/

/* What numpy's letters mean, for those that are refused. */
static const char *refused(const fields *f) {
  if (f->structured) return "of a structured dtype";
  switch (f->dtype[1]) {
    case 'O': return "of Python objects, which are pickled: that may run any code and is not read";
    case 'c': return "of complex numbers";
    case 'U':
    case 'S':
    case 'a': return "of texts";
    case 'M':
    case 'm': return "of dates and times";
    case 'V': return "of bytes without a dtype";
    default: return "of a dtype that cannot be read";
  }
}

/* "<f8": order, letter, width. */
static const pl_stored_dtype *find_dtype(const char *text) {
  static const char *const names[][2] = {
      {"f2", "F16"}, {"f4", "F32"}, {"f8", "F64"}, {"i1", "I8"},  {"i2", "I16"}, {"i4", "I32"},
      {"i8", "I64"}, {"u1", "U8"},  {"u2", "U16"}, {"u4", "U32"}, {"u8", "U64"}, {"b1", "BOOL"}};
  if (!*text || !strchr("<>=|", *text)) return NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(text + 1, names[i][0]) == 0) return pl_stored_find(names[i][1]);
  return NULL;
}

static bool check_dtype(const pl_npy_source *s, const fields *f, pl_npy_header *h, bool *unfit) {
  h->layout.type = f->structured ? NULL : find_dtype(f->dtype);
  *unfit = !h->layout.type;
  if (*unfit)
    return pl_file_fail("%s: %s is %s ('%s')%s", s->path, s->what, refused(f),
                        f->structured ? "[...]" : f->dtype,
                        s->among_others ? "; 'skip' leaves it out" : "");
  h->layout.swapped = f->dtype[0] == '>' && h->layout.type->width > 1;
  return true;
}

/* Are there as many values as the header says? */
static bool check_bytes(const pl_npy_source *s, const fields *f, const pl_npy_header *h) {
  int64_t bytes = h->layout.type->width;
  bool empty = false;
  if (f->rank > PL_MAX_RANK)
    return pl_file_fail("%s: %s has %d dims; at most %d can be read", s->path, s->what, f->rank,
                        PL_MAX_RANK);
  for (int d = 0; d < f->size.n; d++) {
    empty = empty || f->size.v[d] == 0;
    if (__builtin_mul_overflow(bytes, PL_MAX(f->size.v[d], 1), &bytes))
      return pl_file_fail("%s: %s has impossibly large sizes", s->path, s->what);
  }
  if (empty) bytes = 0;
  const int64_t held = s->bytes - h->begin;
  return bytes == held ||
         pl_file_fail("%s: %s needs %lld bytes of values by its header; there are %lld", s->path,
                      s->what, (long long)bytes, (long long)held);
}

static bool parse_header(const pl_npy_source *s, const char *text, size_t n, pl_npy_header *h,
                         bool *unfit) {
  fields f = {0};
  cursor c = {text, text + n};
  if (!read_fields(&c, &f))
    return pl_file_fail("%s: the NumPy header of %s is damaged at byte %lld", s->path, s->what,
                        (long long)(h->begin - (c.end - c.at)) + 1);
  if (!check_dtype(s, &f, h, unfit)) return false;
  h->layout.size = f.size;
  h->layout.columns = f.columns;
  snprintf(h->dtype, sizeof h->dtype, "%.7s", f.dtype);
  return check_bytes(s, &f, h);
}

bool pl_npy_read_header(const pl_npy_source *s, pl_npy_header *h, bool *unfit) {
  unsigned char b[12];
  *unfit = false;
  if (s->bytes < 8) return pl_file_fail("%s: %s is cut off", s->path, s->what);
  if (!s->take(s->from, b, 8)) return false;
  if (memcmp(b, "\x93NUMPY", 6) != 0)
    return pl_file_fail("%s: %s is not in NumPy's format", s->path, s->what);
  const int version = b[6], width = version == 1 ? 2 : 4;
  if (version < 1 || version > 3)
    return pl_file_fail("%s: %s is in version %d of NumPy's format; 1 to 3 can be read", s->path,
                        s->what, version);
  if (s->bytes < 8 + width) return pl_file_fail("%s: %s is cut off", s->path, s->what);
  if (!s->take(s->from, b + 8, (size_t)width)) return false;
  const size_t n =
      b[8] | (size_t)b[9] << 8 | (width == 4 ? (size_t)b[10] << 16 | (size_t)b[11] << 24 : 0);
  h->begin = 8 + width + (int64_t)n;
  if (n > MAX_HEADER || h->begin > s->bytes)
    return pl_file_fail("%s: the NumPy header of %s has %zu bytes; %lld can be", s->path, s->what,
                        n, (long long)PL_MIN(s->bytes - 8 - width, MAX_HEADER));
  char *text = malloc(n + 1);
  if (!text) return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its header", s->path);
  const bool ok = s->take(s->from, text, n) && parse_header(s, text, n, h, unfit);
  free(text);
  return ok;
}

pl_tensor *pl_npy_read_values(const pl_npy_source *s, const pl_npy_header *h, bool convert,
                              bool *unfit) {
  pl_misfit bad;
  pl_tensor *t = pl_stored_read(&h->layout, convert, s->take, s->from, &bad);
  *unfit = !t && bad.found;
  if (*unfit) pl_stored_refuse(s->path, s->what, h->dtype, &h->layout, &bad, s->among_others);
  return t;
}

size_t pl_npy_header_of(const pl_tensor *t, char text[PL_NPY_HEADER]) {
  static const char *const names[] = {sizeof(pl_real) == 8 ? "<f8" : "<f4", "<i4", "|u1"};
  const pl_ints size = pl_size(t);
  char shape[21 * PL_MAX_RANK + 2] = "";
  for (int d = 0; d < size.n; d++) {
    const size_t used = strlen(shape);
    snprintf(shape + used, sizeof shape - used,
             size.n == 1 ? "%lld,"
             : d         ? ", %lld"
                         : "%lld",
             (long long)size.v[d]);
  }
  size_t n = (size_t)snprintf(text + 10, PL_NPY_HEADER - 10,
                              "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                              names[pl_dtype_of(t)], shape);
  const size_t all = (10 + n + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  memset(text + 10 + n, ' ', all - 10 - n - 1);
  text[all - 1] = '\n';
  n = all - 10;
  const char magic[] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(n & 255), (char)(n >> 8)};
  memcpy(text, magic, sizeof magic);
  return all;
}

/*
** Files
*/

/* A file that is open. */
typedef struct {
  pl_npy_source source;
  FILE *file;
} reader;

static bool take_from_file(void *from, void *out, size_t n) {
  const reader *r = from;
  return fread(out, 1, n, r->file) == n ||
         pl_file_fail("%s: ended while it was read", r->source.path);
}

static bool open_array(const char *path, reader *r, pl_npy_header *h, bool *unfit) {
  const pl_file_kind *kind = pl_file_kind_of(path);
  *unfit = false;
  if (!kind) return false;
  if (strcmp(kind->name, "npy") != 0) return pl_file_fail_kind(path, "a NumPy array");
  pl_npy_source *s = &r->source;
  *s = (pl_npy_source){.path = path, .what = "the array", .take = take_from_file, .from = r};
  r->file = pl_file_open(path, &s->bytes);
  if (!r->file) return false;
  if (pl_npy_read_header(s, h, unfit)) return true;
  fclose(r->file);
  return false;
}

pl_tensor *pl_npy_read(const char *path, bool convert) {
  reader r;
  pl_npy_header h;
  bool unfit;
  if (!open_array(path, &r, &h, &unfit)) return NULL;
  pl_tensor *t = pl_npy_read_values(&r.source, &h, convert, &unfit);
  fclose(r.file);
  return t;
}

/* What is mapped, to be ended with the tensor. */
typedef struct {
  void *memory;
  size_t bytes;
  pl_context *holder; /* of the file */
} mapping;

static void unmap(void *user) {
  mapping *m = user;
  munmap(m->memory, m->bytes);
  pl_let_file_go(m->holder);
  free(m);
}

static mapping *map_file(const char *path, FILE *file, int64_t bytes) {
  mapping *m = malloc(sizeof *m);
  if (!m) return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path), NULL;
  m->bytes = (size_t)bytes;
  m->memory = mmap(NULL, m->bytes, PROT_READ, MAP_PRIVATE, fileno(file), 0);
  if (m->memory == MAP_FAILED) {
    free(m);
    return pl_file_fail("%s: the system cannot map its %lld bytes into memory", path,
                        (long long)bytes),
           NULL;
  }
  m->holder = pl_hold_file();
  if (m->holder) return m;
  unmap(m);
  return NULL;
}

/* Row-major, or the first index fastest. */
static pl_ints strides_of(const pl_stored_layout *l) {
  pl_ints strides = {.n = l->size.n};
  int64_t step = 1;
  for (int i = 0; i < l->size.n; i++) {
    const int d = l->columns ? i : l->size.n - 1 - i;
    strides.v[d] = step;
    step *= PL_MAX(l->size.v[d], 1);
  }
  return strides;
}

static bool check_mapped(const char *path, const pl_npy_header *h) {
  const pl_stored_layout *l = &h->layout;
  if (l->type->unpack || l->swapped)
    return pl_file_fail("%s: its dtype '%s' is another one in memory; pl.load reads it", path,
                        h->dtype);
  if (h->begin % l->type->width)
    return pl_file_fail(
        "%s: its values begin at byte %lld, where none of %d bytes may; pl.load reads it", path,
        (long long)h->begin, l->type->width);
  return true;
}

/* Who cuts a file that is mapped ends the process at the next read of it. */
static bool may_map(const char *path) {
  return !pl_access_may_write(path) ||
         pl_file_fail(
             "%s: lies where the script may write, and so may not be mapped; pl.load reads it",
             path);
}

pl_tensor *pl_npy_map(const char *path) {
  reader r;
  pl_npy_header h;
  bool unfit;
  if (!may_map(path)) return NULL;
  if (!open_array(path, &r, &h, &unfit)) return NULL;
  mapping *m = check_mapped(path, &h) ? map_file(path, r.file, r.source.bytes) : NULL;
  fclose(r.file);
  if (!m) return NULL;
  const pl_ints strides = strides_of(&h.layout);
  pl_tensor *t = pl_borrow((char *)m->memory + h.begin, h.layout.type->dtype, h.layout.size,
                           strides.v, unmap, m);
  if (!t) return unmap(m), NULL;
  return pl_share(t);
}

bool pl_npy_write(const char *path, pl_tensor *t) {
  char header[PL_NPY_HEADER];
  t = pl_contiguous(t);
  if (!t) return false;
  pl_newfile *f = pl_newfile_open(path);
  if (!f) return false;
  if (pl_newfile_write(f, header, pl_npy_header_of(t, header)) &&
      pl_newfile_write(f, pl_data(t), (size_t)pl_numel(t) * pl_dtype_bytes(pl_dtype_of(t))))
    return pl_newfile_commit(f);
  pl_newfile_discard(f);
  return false;
}
