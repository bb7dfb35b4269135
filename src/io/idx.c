/*
** idx.c: reads IDX files, plain or in gzip.
**
** An IDX file is: two zero bytes, the kind of the elements, the number of dimensions,
** each size as a big-endian 32-bit number, the elements in row-major order, big-endian.
** The header is compared with the length of the file before memory is taken, and
** nothing may follow the last element.
*/
#include "source.h"

enum { IDX_UINT8 = 0x08, IDX_INT32 = 0x0c };

typedef struct {
  const char *path;
  pl_source *bytes;
} source;

static size_t take(source *s, void *out, size_t n) { return pl_source_read(s->bytes, out, n); }

/* What is wrong with the packed bytes, or `otherwise`. */
static const char *damage(const source *s, const char *otherwise) {
  const char *how = pl_source_damage(s->bytes);
  return how ? how : otherwise;
}

/* Nothing may be left. */
static bool at_end(source *s) {
  const bool more = pl_source_has_more(s->bytes);
  if (pl_source_damage(s->bytes)) return pl_file_fail("%s: %s", s->path, damage(s, ""));
  return !more || pl_file_fail("%s: more bytes than its IDX header promises", s->path);
}

/* Reads the sizes and the bytes that all elements take, without trusting either. */
static bool read_sizes(source *s, int rank, int64_t width, pl_ints *size, int64_t *bytes) {
  unsigned char raw[4 * PL_MAX_RANK];
  if (take(s, raw, 4 * (size_t)rank) < 4 * (size_t)rank)
    return pl_file_fail("%s: %s", s->path, damage(s, "ends within its IDX header"));
  size->n = rank;
  *bytes = width;
  for (int d = 0; d < rank; d++) {
    const unsigned char *b = raw + 4 * d;
    size->v[d] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    if (size->v[d] == 0) return pl_file_fail("%s: IDX dimension %d has size 0", s->path, d + 1);
    if (__builtin_mul_overflow(*bytes, size->v[d], bytes))
      return pl_file_fail("%s: the sizes in its IDX header are impossibly large", s->path);
  }
  return true;
}

/* Can the file hold so many bytes behind its header? */
static bool plausible(const source *s, int64_t header, int64_t bytes) {
  const int64_t length = pl_source_length(s->bytes), held = length - header;
  const bool packed = pl_source_is_packed(s->bytes);
  if (!packed && bytes != held)
    return pl_file_fail("%s: its IDX header promises %lld bytes of elements, the file has %lld",
                        s->path, (long long)bytes, (long long)held);
  if (packed && bytes / PL_DEFLATE_RATIO > length)
    return pl_file_fail(
        "%s: its IDX header promises %lld bytes, more than %lld compressed bytes can "
        "hold",
        s->path, (long long)bytes, (long long)length);
  return true;
}

static pl_tensor *read_elements(source *s, pl_dtype dtype, pl_ints size, int64_t bytes) {
  pl_tensor *t = pl_empty(dtype, size);
  if (!t) return NULL;
  const size_t got = take(s, pl_data(t), (size_t)bytes);
  if (got < (size_t)bytes)
    return pl_file_fail("%s: %s (%zu of %lld bytes of elements)", s->path, damage(s, "ends early"),
                        got, (long long)bytes),
           NULL;
  if (!at_end(s)) return NULL;
  if (dtype == PL_INT32) {
    uint32_t *v = pl_data(t);
    for (int64_t i = 0; i < bytes / 4; i++) v[i] = __builtin_bswap32(v[i]);
  }
  return t;
}

static bool refuse_other(const source *s) {
  if (pl_source_damage(s->bytes)) return pl_file_fail("%s: %s", s->path, damage(s, ""));
  if (pl_source_is_packed(s->bytes)) return pl_file_fail("%s: not an IDX file in gzip", s->path);
  return pl_file_fail_kind(s->path, "an IDX file");
}

static pl_tensor *read_idx(source *s) {
  unsigned char magic[4];
  if (take(s, magic, 4) < 4 || magic[0] != 0 || magic[1] != 0) return refuse_other(s), NULL;
  if (magic[2] != IDX_UINT8 && magic[2] != IDX_INT32)
    return pl_file_fail("%s: IDX elements of kind 0x%02x; 0x08 (uint8) or 0x0c (int32) expected",
                        s->path, magic[2]),
           NULL;
  const int rank = magic[3];
  if (rank < 1 || rank > PL_MAX_RANK)
    return pl_file_fail("%s: %d IDX dimensions; 1 to %d expected", s->path, rank, PL_MAX_RANK),
           NULL;
  const pl_dtype dtype = magic[2] == IDX_UINT8 ? PL_UINT8 : PL_INT32;
  pl_ints size;
  int64_t bytes = 0;
  if (!read_sizes(s, rank, dtype == PL_UINT8 ? 1 : 4, &size, &bytes)) return NULL;
  if (!plausible(s, 4 + 4 * rank, bytes)) return NULL;
  return read_elements(s, dtype, size, bytes);
}

pl_tensor *pl_idx_read(const char *path) {
  source s = {path, pl_source_open(path)};
  pl_tensor *t = s.bytes ? read_idx(&s) : NULL;
  pl_source_close(s.bytes);
  return t;
}
