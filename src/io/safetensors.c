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

#include "stored.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data are little-endian");

enum { MAX_HEADER = 100000000, CHUNK = 4096, PIECE = 1 << 20 };
#define METADATA "__metadata__"
#define CHECKSUM "perilune.crc32"
#define DIGITS   8

/*
** Writing
*/

static int by_tensor_name(const void *a, const void *b) {
  return strcmp(((const pl_named_tensor *)a)->name, ((const pl_named_tensor *)b)->name);
}

static int by_text_name(const void *a, const void *b) {
  return strcmp(((const pl_named_text *)a)->name, ((const pl_named_text *)b)->name);
}

static void *sorted_copy(const void *list, int n, size_t width,
                         int (*by)(const void *, const void *)) {
  void *copy = malloc((size_t)n * width + 1);
  if (!copy) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory for %d names", n), NULL;
  if (n > 0) memcpy(copy, list, (size_t)n * width);
  qsort(copy, (size_t)n, width, by);
  return copy;
}

/* What other readers of the format would refuse is not written. */
static bool check_text(const char *path, const char *what, const char *name, const char *text) {
  const int64_t at = pl_utf8_check(text);
  return at < 0 || pl_fail("%s: %s '%s' is not UTF-8 (byte 0x%02X at %lld)", path, what, name,
                           (unsigned char)text[at], (long long)at + 1);
}

static bool check_texts(const char *path, int n, const pl_named_text *texts) {
  for (int i = 0; i < n; i++) {
    if (strcmp(texts[i].name, CHECKSUM) == 0)
      return pl_fail("%s: no text may be named " CHECKSUM, path);
    if (!check_text(path, "the name of text", texts[i].name, texts[i].name) ||
        !check_text(path, "text", texts[i].name, texts[i].text))
      return false;
  }
  return true;
}

static bool check_names(const char *path, int n, const pl_named_tensor *t) {
  for (int i = 0; i < n; i++) {
    if (!t[i].tensor) return pl_fail("%s: tensor '%s' is missing", path, t[i].name);
    if (!check_text(path, "the name of tensor", t[i].name, t[i].name)) return false;
    if (strcmp(t[i].name, METADATA) == 0)
      return pl_fail("%s: no tensor may be named " METADATA, path);
    if (i > 0 && strcmp(t[i].name, t[i - 1].name) == 0)
      return pl_fail("%s: two tensors are named '%s'", path, t[i].name);
  }
  return true;
}

static bool describe_texts(cJSON *header, int n, const pl_named_text *texts) {
  cJSON *object = cJSON_AddObjectToObject(header, METADATA);
  for (int i = 0; object && i < n; i++)
    if (!cJSON_AddStringToObject(object, texts[i].name, texts[i].text)) return false;
  return object && cJSON_AddStringToObject(object, CHECKSUM, "00000000");
}

/* Adds one tensor to the header and moves the offset behind its data. */
static bool describe_tensor(cJSON *header, const pl_named_tensor *t, double *offset) {
  const pl_ints size = pl_size(t->tensor);
  const pl_dtype dtype = pl_dtype_of(t->tensor);
  cJSON *entry = cJSON_AddObjectToObject(header, t->name);
  if (!entry || !cJSON_AddStringToObject(entry, "dtype", pl_stored_name(dtype))) return false;
  cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
  for (int d = 0; d < size.n; d++)
    if (!cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)size.v[d]))) return false;
  const double end = *offset + (double)pl_numel(t->tensor) * (double)pl_dtype_bytes(dtype);
  cJSON *offsets = cJSON_CreateDoubleArray((const double[]){*offset, end}, 2);
  *offset = end;
  return shape && cJSON_AddItemToObject(entry, "data_offsets", offsets);
}

/* The header's text, freed with cJSON_free; the message if memory ends. */
static char *make_header(int n, const pl_named_tensor *t, int n_texts, const pl_named_text *texts) {
  cJSON *header = cJSON_CreateObject();
  bool ok = header && describe_texts(header, n_texts, texts);
  double offset = 0;
  for (int i = 0; ok && i < n; i++) ok = describe_tensor(header, &t[i], &offset);
  char *text = ok ? cJSON_PrintUnformatted(header) : NULL;
  cJSON_Delete(header);
  if (!text) pl_fail_as(PL_ERROR_MEMORY, "not enough memory for the header of %d tensors", n);
  return text;
}

/* Where the digits of the checksum stand in a header of n bytes; NULL: it has none. */
static char *find_checksum(char *header, size_t n) {
  static const char key[] = "\"" CHECKSUM "\":\"";
  char *at = memmem(header, n, key, sizeof key - 1);
  return at && (size_t)(header + n - at) >= sizeof key - 1 + DIGITS ? at + sizeof key - 1 : NULL;
}

/* Takes some bytes of the file: writes them, or adds them to a checksum. */
typedef bool sink(void *to, const void *data, size_t n);

static bool write_bytes(void *to, const void *data, size_t n) {
  return pl_newfile_write(to, data, n);
}

static bool add_bytes(void *to, const void *data, size_t n) {
  uint32_t *crc = to;
  *crc = pl_crc32(*crc, data, n);
  return true;
}

/* Gives the header and the data to a sink, with spaces between that make the data start at a
 * multiple of 8. */
static bool pour(sink *take, void *to, const char *header, int n, const pl_named_tensor *t) {
  const size_t length = strlen(header);
  bool ok = take(to, header, length) && take(to, "       ", -length & 7);
  for (int i = 0; ok && i < n; i++) {
    pl_scope_begin(); /* one packed copy at a time */
    pl_tensor *packed = pl_contiguous(t[i].tensor);
    ok = packed &&
         take(to, pl_data(packed), (size_t)pl_numel(packed) * pl_dtype_bytes(pl_dtype_of(packed)));
    pl_scope_end();
  }
  return ok;
}

static bool seal(char *header, int n, const pl_named_tensor *t) {
  uint32_t crc = 0;
  char digits[DIGITS + 1];
  if (!pour(add_bytes, &crc, header, n, t)) return false;
  snprintf(digits, sizeof digits, "%08x", (unsigned)crc);
  memcpy(find_checksum(header, strlen(header)), digits, DIGITS);
  return true;
}

static bool save(const char *path, char *header, int n, const pl_named_tensor *t) {
  const uint64_t length = (strlen(header) + 7) & ~(uint64_t)7;
  if (!seal(header, n, t)) return false;
  pl_newfile *f = pl_newfile_open(path);
  if (!f) return false;
  if (pl_newfile_write(f, &length, sizeof length) && pour(write_bytes, f, header, n, t))
    return pl_newfile_commit(f);
  pl_newfile_discard(f);
  return false;
}

bool pl_archive_save(const char *path, int n, const pl_named_tensor *tensors, int n_texts,
                     const pl_named_text *texts) {
  pl_named_tensor *t = sorted_copy(tensors, n, sizeof *t, by_tensor_name);
  pl_named_text *m = sorted_copy(texts, n_texts, sizeof *m, by_text_name);
  const bool good = t && m && check_names(path, n, t) && check_texts(path, n_texts, m);
  char *header = good ? make_header(n, t, n_texts, m) : NULL;
  const bool ok = header && save(path, header, n, t);
  cJSON_free(header);
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

struct pl_archive {
  char *path;
  FILE *file;
  int64_t data;   /* where the data begin */
  int64_t length; /* of the data */
  cJSON *header;
  int n_texts;
  pl_named_text *texts; /* NULL: no metadata */
  int n;
  entry *entries;
};

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

static bool read_type(const pl_archive *a, entry *e, const cJSON *item) {
  e->dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "dtype"));
  if (!e->dtype) return pl_file_fail("%s: tensor '%s' has no dtype", a->path, e->name);
  e->type = pl_stored_find(e->dtype);
  return true;
}

static bool read_shape(const pl_archive *a, entry *e, const cJSON *item) {
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

static bool read_offsets(const pl_archive *a, entry *e, const cJSON *item) {
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
static bool read_texts(pl_archive *a, const cJSON *object) {
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

static bool read_entries(pl_archive *a) {
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
static bool check_entries(pl_archive *a) {
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
static bool check_sum(const pl_archive *a, char *header, size_t n) {
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

static bool parse_header(pl_archive *a, const char *text, size_t n) {
  const char *end = NULL;
  a->header = cJSON_ParseWithLengthOpts(text, n, &end, false);
  while (a->header && end < text + n && *end == ' ') end++;
  if (!cJSON_IsObject(a->header) || end != text + n)
    return pl_file_fail("%s: its header is not a JSON object", a->path);
  return read_entries(a) && check_entries(a);
}

/* What a file of another kind begins with. */
static const struct {
  const char *magic, *what;
} others[] = {
    {"\x93NUMPY", "a NumPy array"},
    {"PK\3\4", "a zip archive, as torch.save and numpy.savez write it"},
    {"\x80\2", "a Python pickle"},
    {"\x89HDF", "an HDF5 file"},
    {"\x89PNG", "a PNG image"},
    {"GGUF", "a GGUF file"},
    {"\x1f\x8b", "a gzip file"},
    {"{", "JSON text"},
};

/* The first 8 bytes are no length of a header: they may say what the file is. */
static bool refuse_other(const pl_archive *a, uint64_t n, int64_t file_length) {
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (memcmp(&n, others[i].magic, strlen(others[i].magic)) == 0)
      return pl_file_fail("%s: not a safetensors file, but %s", a->path, others[i].what);
  return pl_file_fail("%s: not a whole safetensors file (a header of %llu bytes in a file of %lld)",
                      a->path, (unsigned long long)n, (long long)file_length);
}

static bool read_header(pl_archive *a, int64_t file_length) {
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

pl_archive *pl_archive_open(const char *path) {
  int64_t length = 0;
  FILE *file = pl_file_open(path, &length);
  if (!file) return NULL;
  pl_archive *a = calloc(1, sizeof *a);
  char *name = strdup(path);
  if (!a || !name) {
    pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path);
    fclose(file);
    free(a);
    free(name);
    return NULL;
  }
  a->file = file;
  a->path = name;
  if (read_header(a, length)) return a;
  pl_archive_close(a);
  return NULL;
}

void pl_archive_close(pl_archive *a) {
  if (!a) return;
  fclose(a->file);
  cJSON_Delete(a->header);
  free(a->texts);
  free(a->entries);
  free(a->path);
  free(a);
}

int pl_archive_count(const pl_archive *a) { return a->n; }

const char *pl_archive_name(const pl_archive *a, int i) { return a->entries[i].name; }

pl_named_text pl_archive_text(const pl_archive *a, int i) {
  return i < a->n_texts ? a->texts[i] : (pl_named_text){NULL, NULL};
}

/* Reads what lies in the file as it does in memory. */
static bool read_plain(const pl_archive *a, pl_tensor *t) {
  char *out = pl_data(t);
  size_t bytes = (size_t)pl_numel(t) * pl_dtype_bytes(pl_dtype_of(t));
  while (bytes > 0 && pl_check_interrupt()) {
    const size_t n = bytes < PIECE ? bytes : PIECE;
    if (fread(out, 1, n, a->file) != n) break;
    out += n;
    bytes -= n;
  }
  return bytes == 0;
}

/* A value that does not fit: its place in row-major order, from 0, and what it is. */
typedef struct {
  int64_t at; /* -1: there is none */
  char text[32];
} misfit;

static bool read_unpacked(const pl_archive *a, const entry *e, pl_unpack *unpack, pl_tensor *t,
                          misfit *bad) {
  uint64_t in[CHUNK];
  char *out = pl_data(t);
  const int64_t all = pl_numel(t);
  for (int64_t done = 0; done < all; done += CHUNK) {
    const int64_t n = PL_MIN(CHUNK, all - done);
    if (!pl_check_interrupt() || fread(in, (size_t)e->type->width, (size_t)n, a->file) != (size_t)n)
      return false;
    const int64_t good = unpack(in, out, n);
    if (good < n) {
      bad->at = done + good;
      pl_stored_print(e->type, (char *)in + good * e->type->width, bad->text, sizeof bad->text);
      return false;
    }
    out += (size_t)n * pl_dtype_bytes(pl_dtype_of(t));
  }
  return true;
}

/* NULL without a message if it was a value, which is in *bad then. */
static pl_tensor *read_as(const pl_archive *a, const entry *e, pl_dtype dtype, pl_unpack *unpack,
                          misfit *bad) {
  pl_tensor *t = pl_empty(dtype, e->size);
  bad->at = -1;
  if (!t) return NULL;
  const bool ok = fseeko(a->file, a->data + e->begin, SEEK_SET) == 0 &&
                  (unpack ? read_unpacked(a, e, unpack, t, bad) : read_plain(a, t));
  if (!ok && bad->at < 0) pl_file_fail("%s: ended while tensor '%s' was read", a->path, e->name);
  return ok ? t : NULL;
}

/* "2,1": the indices of an element, from 1. */
static void print_place(pl_ints size, int64_t at, char *text, size_t n) {
  int64_t index[PL_MAX_RANK];
  for (int d = size.n - 1; d >= 0; d--) {
    index[d] = at % size.v[d] + 1;
    at /= size.v[d];
  }
  text[0] = 0;
  for (int d = 0; d < size.n; d++) {
    const size_t used = strlen(text);
    snprintf(text + used, n - used, "%s%lld", d ? "," : "", (long long)index[d]);
  }
}

pl_tensor *pl_archive_tensor(pl_archive *a, int i, bool convert, bool *unfit) {
  const entry *e = &a->entries[i];
  *unfit = !e->type;
  if (!e->type)
    return pl_file_fail(
               "%s: tensor '%s' is of dtype %s, which cannot be read; 'skip' leaves it out",
               a->path, e->name, e->dtype),
           NULL;
  misfit bad;
  pl_tensor *t = read_as(a, e, e->type->dtype, e->type->unpack, &bad);
  if (bad.at >= 0 && convert && e->type->convert)
    t = read_as(a, e, PL_REAL, e->type->convert, &bad);
  if (bad.at < 0) return t;
  char place[21 * PL_MAX_RANK];
  print_place(e->size, bad.at, place, sizeof place);
  *unfit = true;
  return pl_file_fail("%s: tensor '%s' has the %s value %s at [%s], %s", a->path, e->name, e->dtype,
                      bad.text, place, e->type->problem),
         NULL;
}
