/*
** safetensors.c: named tensors in one file, in the safetensors format.
**
** The file is: the length of the header as a little-endian 64-bit number; the header, a
** JSON object {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]},
** ..., "__metadata__": {"name": "text", ...}}; the data, to which the offsets refer and
** which the tensors cover without gap or overlap. All of it is checked before use.
**
** What is written here has a text "perilune.crc32" too: the CRC-32, in hexadecimal digits, of header
** and data with zeros in the place of these digits.
*/
#include "io.h"

#include "archive.h"
#include "stored.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data are little-endian");

enum { MAX_HEADER = 100000000, PIECE = 1 << 20 };
#define METADATA "__metadata__"
#define CHECKSUM "perilune.crc32"
#define DIGITS   8

/*
** Writing
*/

static bool check_texts(const char *path, int n, const pl_named_text *texts) {
  for (int i = 0; i < n; i++) {
    if (strcmp(texts[i].name, CHECKSUM) == 0)
      return pl_fail("%s: no text may be named " CHECKSUM, path);
    if (!pl_archive_check_text(path, "the name of text", texts[i].name, texts[i].name) ||
        !pl_archive_check_text(path, "text", texts[i].name, texts[i].text))
      return false;
  }
  return true;
}

static bool check_names(const char *path, int n, const pl_named_tensor *t) {
  for (int i = 0; i < n; i++)
    if (strcmp(t[i].name, METADATA) == 0)
      return pl_fail("%s: no tensor may be named " METADATA, path);
  return pl_archive_check_names(path, n, t);
}

static bool describe_texts(cJSON *header, int n, const pl_named_text *texts) {
  cJSON *object = cJSON_AddObjectToObject(header, METADATA);
  for (int i = 0; object && i < n; i++)
    if (!cJSON_AddStringToObject(object, texts[i].name, texts[i].text)) return false;
  return object && cJSON_AddStringToObject(object, CHECKSUM, "00000000");
}

/* What is written, sorted by name. */
typedef struct {
  const char *path;
  int n, n_texts;
  const pl_named_tensor *tensors;
  const pl_named_text *texts;
  const pl_stored_dtype *reals;
  bool convert;
} contents;

static const pl_stored_dtype *type_of(const contents *c, int i) {
  const pl_dtype dtype = pl_dtype_of(c->tensors[i].tensor);
  return dtype == PL_REAL ? c->reals : pl_stored_own(dtype);
}

/* Adds one tensor to the header and moves the offset behind its data. */
static bool describe_tensor(cJSON *header, const contents *c, int i, double *offset) {
  const pl_named_tensor *t = &c->tensors[i];
  const pl_ints size = pl_size(t->tensor);
  const pl_stored_dtype *type = type_of(c, i);
  cJSON *entry = cJSON_AddObjectToObject(header, t->name);
  if (!entry || !cJSON_AddStringToObject(entry, "dtype", type->name)) return false;
  cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
  for (int d = 0; d < size.n; d++)
    if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)size.v[d]))) return false;
  const double end = *offset + (double)pl_numel(t->tensor) * type->width;
  cJSON *offsets = cJSON_CreateDoubleArray((const double[]){*offset, end}, 2);
  *offset = end;
  return shape && cJSON_AddItemToObject(entry, "data_offsets", offsets);
}

/* The header's text, freed with cJSON_free; the message if memory ends. */
static char *make_header(const contents *c) {
  cJSON *header = cJSON_CreateObject();
  bool ok = header && describe_texts(header, c->n_texts, c->texts);
  double offset = 0;
  for (int i = 0; ok && i < c->n; i++) ok = describe_tensor(header, c, i, &offset);
  char *text = ok ? cJSON_PrintUnformatted(header) : NULL;
  cJSON_Delete(header);
  if (!text) pl_fail_as(PL_ERROR_MEMORY, "not enough memory for the header of %d tensors", c->n);
  return text;
}

/* Where the digits of the checksum stand in a header of n bytes; NULL: it has none. */
static char *find_checksum(char *header, size_t n) {
  static const char key[] = "\"" CHECKSUM "\":\"";
  char *at = memmem(header, n, key, sizeof key - 1);
  return at && (size_t)(header + n - at) >= sizeof key - 1 + DIGITS ? at + sizeof key - 1 : NULL;
}

static bool write_bytes(void *to, const void *data, size_t n) {
  return pl_newfile_write(to, data, n);
}

static bool add_bytes(void *to, const void *data, size_t n) {
  uint32_t *crc = to;
  *crc = pl_crc32(*crc, data, n);
  return true;
}

static bool pour_tensor(pl_give *give, void *to, const contents *c, int i) {
  const pl_stored_layout layout = {.type = type_of(c, i), .size = pl_size(c->tensors[i].tensor)};
  pl_misfit bad;
  pl_tensor *packed = pl_contiguous(c->tensors[i].tensor);
  if (!packed) return false;
  if (pl_stored_write(&layout, packed, c->convert, give, to, &bad)) return true;
  if (!bad.found) return false;
  return pl_fail("%s: tensor '%s' has the value %s at [%s], beyond %s; 'convert' makes it infinite",
                 c->path, c->tensors[i].name, bad.value, bad.place, layout.type->name);
}

/* Gives the header and the data to a file or a checksum, with spaces between that make the data start
 * at a multiple of 8. */
static bool pour(pl_give *give, void *to, const char *header, const contents *c) {
  const size_t length = strlen(header);
  bool ok = give(to, header, length) && give(to, "       ", -length & 7);
  for (int i = 0; ok && i < c->n; i++) {
    pl_scope_begin(); /* one packed copy at a time */
    ok = pour_tensor(give, to, c, i);
    pl_scope_end();
  }
  return ok;
}

static bool seal(char *header, const contents *c) {
  uint32_t crc = 0;
  char digits[DIGITS + 1];
  if (!pour(add_bytes, &crc, header, c)) return false;
  snprintf(digits, sizeof digits, "%08x", (unsigned)crc);
  memcpy(find_checksum(header, strlen(header)), digits, DIGITS);
  return true;
}

static bool save(char *header, const contents *c) {
  const uint64_t length = (strlen(header) + 7) & ~(uint64_t)7;
  if (!seal(header, c)) return false;
  pl_newfile *f = pl_newfile_open(c->path);
  if (!f) return false;
  if (pl_newfile_write(f, &length, sizeof length) && pour(write_bytes, f, header, c))
    return pl_newfile_commit(f);
  pl_newfile_discard(f);
  return false;
}

static bool save_sorted(const contents *c) {
  if (!c->reals || !check_names(c->path, c->n, c->tensors) ||
      !check_texts(c->path, c->n_texts, c->texts))
    return false;
  char *header = make_header(c);
  const bool ok = header && save(header, c);
  cJSON_free(header);
  return ok;
}

bool pl_archive_writes(const char *dtype) { return pl_stored_for_reals(dtype); }

bool pl_archive_save(const char *path, int n, const pl_named_tensor *tensors, int n_texts,
                     const pl_named_text *texts, const pl_archive_reals *reals) {
  pl_named_tensor *t = pl_sorted_by_name(tensors, n, sizeof *t);
  pl_named_text *m = pl_sorted_by_name(texts, n_texts, sizeof *m);
  const contents c = {
      .path = path,
      .n = n,
      .n_texts = n_texts,
      .tensors = t,
      .texts = m,
      .reals = reals && reals->dtype ? pl_stored_for_reals(reals->dtype) : pl_stored_own(PL_REAL),
      .convert = reals && reals->convert,
  };
  const bool ok = t && m && save_sorted(&c);
  free(m);
  free(t);
  return ok;
}

/*
** Reading
*/

typedef struct {
  const char *name, *dtype;    /* in the parsed header */
  const pl_stored_dtype *type; /* NULL: one that cannot be read */
  pl_ints size;
  int64_t begin, end;
} entry;

typedef struct {
  pl_archive archive;
  char *path;
  FILE *file;
  int64_t data;   /* where the data begin */
  int64_t length; /* of the data */
  cJSON *header;
  int n_texts;
  pl_named_text *texts; /* NULL: no metadata */
  int n;
  entry *entries;
  const char *reading; /* the name of the tensor that is read */
} safetensors;

static int by_begin(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

static int by_entry_name(const void *a, const void *b) {
  return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

/* Whole numbers from 0 that a double holds exactly. */
static bool whole_number(const cJSON *item, int64_t *value) {
  if (!cJSON_IsNumber(item)) return false;
  const double v = item->valuedouble;
  if (!(v >= 0 && v <= 9007199254740992.0) || v != floor(v)) return false;
  *value = (int64_t)v;
  return true;
}

static bool read_type(const safetensors *a, entry *e, const cJSON *item) {
  e->dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "dtype"));
  if (!e->dtype) return pl_file_fail("%s: tensor '%s' has no dtype", a->path, e->name);
  e->type = pl_stored_find(e->dtype);
  return true;
}

static bool read_shape(const safetensors *a, entry *e, const cJSON *item) {
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape"), *size;
  if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > PL_MAX_RANK)
    return pl_file_fail("%s: tensor '%s' has no shape of at most %d sizes", a->path, e->name,
                        PL_MAX_RANK);
  cJSON_ArrayForEach(size, shape) {
    if (!whole_number(size, &e->size.v[e->size.n++]))
      return pl_file_fail("%s: tensor '%s' has a size that is no whole number", a->path, e->name);
  }
  return true;
}

static bool read_offsets(const safetensors *a, entry *e, const cJSON *item) {
  const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
  if (cJSON_GetArraySize(offsets) != 2 ||
      !whole_number(cJSON_GetArrayItem(offsets, 0), &e->begin) ||
      !whole_number(cJSON_GetArrayItem(offsets, 1), &e->end) || e->begin > e->end ||
      e->end > a->length)
    return pl_file_fail("%s: tensor '%s' has no data_offsets within the %lld bytes of data",
                        a->path, e->name, (long long)a->length);
  if (!e->type) return true;
  int64_t bytes = e->type->width;
  bool overflow = false;
  for (int d = 0; d < e->size.n; d++)
    overflow = overflow || __builtin_mul_overflow(bytes, e->size.v[d], &bytes);
  if (overflow || bytes != e->end - e->begin)
    return pl_file_fail("%s: tensor '%s' does not have as many bytes as its dtype and shape need",
                        a->path, e->name);
  return true;
}

/* The metadata object holds texts only, each name once. */
static bool read_texts(safetensors *a, const cJSON *object) {
  const cJSON *text;
  if (a->texts) return pl_file_fail("%s: two " METADATA " in the header", a->path);
  if (!cJSON_IsObject(object)) return pl_file_fail("%s: " METADATA " is no object", a->path);
  a->texts = calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof *a->texts);
  if (!a->texts)
    return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its header", a->path);
  cJSON_ArrayForEach(text, object) {
    if (!cJSON_IsString(text))
      return pl_file_fail("%s: '%s' in " METADATA " is no text", a->path, text->string);
    if (strcmp(text->string, CHECKSUM) == 0) continue;
    a->texts[a->n_texts++] = (pl_named_text){text->string, text->valuestring};
  }
  return true;
}

static bool read_entries(safetensors *a) {
  const cJSON *item;
  a->entries = calloc((size_t)cJSON_GetArraySize(a->header) + 1, sizeof *a->entries);
  if (!a->entries)
    return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its header", a->path);
  cJSON_ArrayForEach(item, a->header) {
    if (!pl_check_interrupt()) return false;
    if (strcmp(item->string, METADATA) == 0) {
      if (!read_texts(a, item)) return false;
      continue;
    }
    entry *e = &a->entries[a->n++];
    e->name = item->string;
    if (!read_type(a, e, item) || !read_shape(a, e, item) || !read_offsets(a, e, item))
      return false;
  }
  return true;
}

/* Every byte belongs to exactly one tensor, every name to one tensor; leaves them by name. */
static bool check_entries(safetensors *a) {
  int64_t end = 0;
  qsort(a->entries, (size_t)a->n, sizeof *a->entries, by_begin);
  for (int i = 0; i < a->n; i++) {
    const entry *e = &a->entries[i];
    if (e->begin != end)
      return pl_file_fail("%s: the data of tensor '%s' begin at byte %lld; %lld expected", a->path,
                          e->name, (long long)e->begin, (long long)end);
    end = e->end;
  }
  if (end != a->length)
    return pl_file_fail("%s: has %lld bytes of data; its header describes %lld", a->path,
                        (long long)a->length, (long long)end);
  qsort(a->entries, (size_t)a->n, sizeof *a->entries, by_entry_name);
  for (int i = 1; i < a->n; i++)
    if (strcmp(a->entries[i].name, a->entries[i - 1].name) == 0)
      return pl_file_fail("%s: two tensors are named '%s'", a->path, a->entries[i].name);
  return true;
}

/* Compares the checksum, if there is one; all of the file is read for it. */
static bool check_sum(const safetensors *a, char *header, size_t n) {
  char *digits = find_checksum(header, n), stated[DIGITS + 1] = {0}, found[DIGITS + 1];
  if (!digits) return true;
  memcpy(stated, digits, DIGITS);
  memset(digits, '0', DIGITS);
  uint32_t crc = pl_crc32(0, header, n);
  char *piece = malloc(PIECE);
  if (!piece) return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", a->path);
  for (size_t got = PIECE; got == PIECE && pl_check_interrupt();) {
    got = fread(piece, 1, PIECE, a->file);
    crc = pl_crc32(crc, piece, got);
  }
  free(piece);
  if (pl_error()) return false;
  snprintf(found, sizeof found, "%08x", (unsigned)crc);
  return strcmp(stated, found) == 0 ||
         pl_file_fail("%s: its checksum is %s, that of what it holds %s", a->path, stated, found);
}

static bool parse_header(safetensors *a, const char *text, size_t n) {
  const char *end = NULL;
  a->header = cJSON_ParseWithLengthOpts(text, n, &end, false);
  while (a->header && end < text + n && *end == ' ') end++;
  if (!cJSON_IsObject(a->header) || end != text + n)
    return pl_file_fail("%s: its header is not a JSON object", a->path);
  return read_entries(a) && check_entries(a);
}

/* The first 8 bytes are no length of a header: they may say what the file is. */
static bool refuse_other(const safetensors *a, uint64_t n, int64_t file_length) {
  const int next = fgetc(a->file);
  const pl_file_kind *kind = pl_file_kind_of(a->path);
  if (kind && (kind->what || (next != '{' && next != EOF)))
    return pl_file_fail_kind(a->path, "a safetensors file");
  return pl_file_fail("%s: not a whole safetensors file (a header of %llu bytes in a file of %lld)",
                      a->path, (unsigned long long)n, (long long)file_length);
}

static bool read_header(safetensors *a, int64_t file_length) {
  uint64_t n = 0;
  if (fread(&n, 8, 1, a->file) != 1)
    return pl_file_fail("%s: not a safetensors file (shorter than 8 bytes)", a->path);
  if (n > MAX_HEADER || (int64_t)n > file_length - 8) return refuse_other(a, n, file_length);
  char *text = malloc(n + 1);
  if (!text) return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its header", a->path);
  a->data = 8 + (int64_t)n;
  a->length = file_length - a->data;
  const bool ok = fread(text, 1, n, a->file) == n
                      ? parse_header(a, text, n) && check_sum(a, text, n)
                      : pl_file_fail("%s: ended while it was read", a->path);
  free(text);
  return ok;
}

static void close_file(pl_archive *archive) {
  safetensors *a = (safetensors *)archive;
  fclose(a->file);
  cJSON_Delete(a->header);
  free(a->texts);
  free(a->entries);
  free(a->path);
  free(a);
}

static int count(const pl_archive *a) { return ((const safetensors *)a)->n; }

static const char *name_of(const pl_archive *a, int i) {
  return ((const safetensors *)a)->entries[i].name;
}

static pl_named_text text_of(const pl_archive *archive, int i) {
  const safetensors *a = (const safetensors *)archive;
  return i < a->n_texts ? a->texts[i] : (pl_named_text){NULL, NULL};
}

static bool take(void *from, void *out, size_t n) {
  const safetensors *a = from;
  return fread(out, 1, n, a->file) == n ||
         pl_file_fail("%s: ended while tensor '%s' was read", a->path, a->reading);
}

static pl_tensor *tensor(pl_archive *archive, int i, bool convert, bool *unfit) {
  safetensors *a = (safetensors *)archive;
  const entry *e = &a->entries[i];
  const pl_stored_layout layout = {.type = e->type, .size = e->size};
  pl_misfit bad;
  *unfit = !e->type;
  if (!e->type)
    return pl_file_fail(
               "%s: tensor '%s' is of dtype %s, which cannot be read; 'skip' leaves it out",
               a->path, e->name, e->dtype),
           NULL;
  a->reading = e->name;
  if (fseeko(a->file, a->data + e->begin, SEEK_SET) != 0)
    return pl_file_fail("%s: ended while tensor '%s' was read", a->path, e->name), NULL;
  pl_tensor *t = pl_stored_read(&layout, convert, take, a, &bad);
  *unfit = !t && bad.found;
  if (*unfit) {
    char what[PL_ARCHIVE_NAME];
    snprintf(what, sizeof what, "tensor '%s'", e->name);
    pl_stored_refuse(a->path, what, e->dtype, &layout, &bad, true);
  }
  return t;
}

pl_archive *pl_safetensors_open(const char *path) {
  static const pl_archive_format format = {close_file, count, name_of, tensor, text_of};
  int64_t length = 0;
  FILE *file = pl_file_open(path, &length);
  if (!file) return NULL;
  safetensors *a = calloc(1, sizeof *a);
  char *name = strdup(path);
  if (!a || !name) {
    pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path);
    fclose(file);
    free(a);
    free(name);
    return NULL;
  }
  a->archive.format = &format;
  a->file = file;
  a->path = name;
  if (read_header(a, length)) return &a->archive;
  close_file(&a->archive);
  return NULL;
}
