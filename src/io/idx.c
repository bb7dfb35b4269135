/*
** idx.c: reads IDX files, plain or in gzip (told apart by their first two bytes).
**
** An IDX file is: two zero bytes, the kind of the elements, the number of dimensions,
** each size as a big-endian 32-bit number, the elements in row-major order, big-endian.
** The header is compared with the length of the file before memory is taken, and
** nothing may follow the last element.
*/
#include "io.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
  IDX_UINT8 = 0x08,
  IDX_INT32 = 0x0c,
  DEFLATE_RATIO = 1032, /* no byte of deflate can become more bytes than this */
};

typedef struct {
  const char *path;
  FILE *file;
  int64_t length; /* of the file */
  bool gz, ended; /* ended: the gzip stream is complete */
  const char *damage;
  z_stream z;
  unsigned char in[1 << 16];
} source;

static bool source_open(source *s, const char *path) {
  memset(s, 0, sizeof *s);
  s->path = path;
  s->file = pl_file_open(path, &s->length);
  if (!s->file) return false;
  unsigned char head[2] = {0, 0};
  s->gz = fread(head, 1, 2, s->file) == 2 && head[0] == 0x1f && head[1] == 0x8b;
  if (fseek(s->file, 0, SEEK_SET) != 0) pl_file_fail("%s: it cannot be read twice", path);
  else if (!s->gz || inflateInit2(&s->z, 15 + 16) == Z_OK) return true;
  else pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to decompress", path);
  fclose(s->file);
  return false;
}

static void source_close(source *s) {
  if (s->gz) inflateEnd(&s->z);
  fclose(s->file);
}

static bool refill(source *s) {
  s->z.next_in = s->in;
  s->z.avail_in = (uInt)fread(s->in, 1, sizeof s->in, s->file);
  return s->z.avail_in > 0;
}

/* Reads up to n bytes; fewer at the end or at damage, which is then noted. */
static size_t take(source *s, void *out, size_t n) {
  if (!s->gz) return fread(out, 1, n, s->file);
  size_t done = 0;
  while (done < n && !s->ended && !s->damage) {
    if (s->z.avail_in == 0 && !refill(s)) {
      s->damage = "the compressed data are cut off";
      break;
    }
    const size_t left = n - done, room = left < (1u << 30) ? left : 1u << 30;
    s->z.next_out = (unsigned char *)out + done;
    s->z.avail_out = (uInt)room;
    const int r = inflate(&s->z, Z_NO_FLUSH);
    done += room - s->z.avail_out;
    if (r == Z_STREAM_END) s->ended = true;
    else if (r != Z_OK && r != Z_BUF_ERROR) s->damage = "the compressed data are damaged";
  }
  return done;
}

/* Nothing may be left; asking for more also makes zlib check the gzip checksum. */
static bool at_end(source *s) {
  unsigned char extra;
  bool more = take(s, &extra, 1) > 0;
  if (s->damage) return pl_file_fail("%s: %s", s->path, s->damage);
  if (s->gz) more = more || s->z.avail_in > 0 || refill(s);
  return !more || pl_file_fail("%s: more bytes than its IDX header promises", s->path);
}

/* Reads the sizes and the bytes that all elements take, without trusting either. */
static bool read_sizes(source *s, int rank, int64_t width, pl_ints *size, int64_t *bytes) {
  unsigned char raw[4 * PL_MAX_RANK];
  if (take(s, raw, 4 * (size_t)rank) < 4 * (size_t)rank)
    return pl_file_fail("%s: %s", s->path, s->damage ? s->damage : "ends within its IDX header");
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
  const int64_t held = s->length - header;
  if (!s->gz && bytes != held)
    return pl_file_fail("%s: its IDX header promises %lld bytes of elements, the file has %lld",
                        s->path, (long long)bytes, (long long)held);
  if (s->gz && bytes / DEFLATE_RATIO > s->length)
    return pl_file_fail(
        "%s: its IDX header promises %lld bytes, more than %lld compressed bytes can "
        "hold",
        s->path, (long long)bytes, (long long)s->length);
  return true;
}

static pl_tensor *read_elements(source *s, pl_dtype dtype, pl_ints size, int64_t bytes) {
  pl_tensor *t = pl_empty(dtype, size);
  if (!t) return NULL;
  const size_t got = take(s, pl_data(t), (size_t)bytes);
  if (got < (size_t)bytes)
    return pl_file_fail("%s: %s (%zu of %lld bytes of elements)", s->path,
                        s->damage ? s->damage : "ends early", got, (long long)bytes),
           NULL;
  if (!at_end(s)) return NULL;
  if (dtype == PL_INT32) {
    uint32_t *v = pl_data(t);
    for (int64_t i = 0; i < bytes / 4; i++) v[i] = __builtin_bswap32(v[i]);
  }
  return t;
}

static bool refuse_other(const source *s) {
  if (s->damage) return pl_file_fail("%s: %s", s->path, s->damage);
  if (s->gz) return pl_file_fail("%s: not an IDX file in gzip", s->path);
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
  source *s = malloc(sizeof *s);
  if (!s) return pl_fail_as(PL_ERROR_MEMORY, "not enough memory to read %s", path), NULL;
  pl_tensor *t = NULL;
  if (source_open(s, path)) {
    t = read_idx(s);
    source_close(s);
  }
  free(s);
  return t;
}
