/*
** zip.c: zip archives, as the specification of PKWARE (APPNOTE) has them.
**
**   for each member    PK\3\4 header, name, extra fields; its bytes, as they are or deflated; PK\7\8 its
**                      checksum and sizes, where the header could not have them yet
**   the directory      for each member PK\1\2: sizes, checksum, where it is; name, extra fields
**   zip64              PK\6\6 record, PK\6\7 where that is: numbers that need more than 32 bits
**   the end            PK\5\6: how many members, where the directory is; a comment
**
** A number of 32 bits that does not suffice is 0xffffffff, and stands in an extra field of the
** member. What the directory states is believed as far as the file's length bears it out.
*/
#include "zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
  LOCAL = 30,   /* bytes of a member's header without its name */
  CENTRAL = 46, /* of its entry in the directory, likewise */
  END = 22,     /* of the end, without its comment */
  LOCATOR = 20, /* of what says where the record of zip64 is */
  RECORD = 56,  /* of that record */
  ZIP64 = 1,    /* the extra field of a member */
  STORED = 0,   /* methods */
  DEFLATED = 8,
  ENCRYPTED = 1, /* flags */
  DESCRIBED = 1 << 3,
  UTF8 = 1 << 11,
  DEFLATE_RATIO = 1032, /* no byte of deflate can become more bytes than this */
  MAX_DIRECTORY = 100000000,
  PIECE = 1 << 16,
};
static const int64_t all32 = 0xffffffff;

typedef struct {
  const char *name;
  unsigned flags, method;
  uint32_t crc;
  int64_t packed, size, offset;
} member;

struct pl_zip {
  char *path;
  FILE *file;
  int64_t directory, directory_size; /* where it begins, and its bytes */
  int64_t n;
  member *members;
  char *names;

  const member *now; /* the one that is read */
  int64_t packed_left, left;
  uint32_t crc;
  bool inflating;
  z_stream stream;
  unsigned char in[PIECE];
};

static uint64_t number(const unsigned char *b, int bytes) {
  uint64_t v = 0;
  for (int i = bytes - 1; i >= 0; i--) v = v << 8 | b[i];
  return v;
}

static bool is_at(const unsigned char *b, const char *signature) {
  return memcmp(b, signature, 4) == 0;
}

static bool damaged(const pl_zip *z, const char *how) {
  return pl_file_fail("%s: damaged zip archive (%s)", z->path, how);
}

static bool read_at(pl_zip *z, int64_t offset, void *out, size_t n) {
  return (fseeko(z->file, offset, SEEK_SET) == 0 && fread(out, 1, n, z->file) == n) ||
         damaged(z, "it is cut off");
}

/*
** The directory
*/

/* A value that stands in the extra field if 32 bits are all ones. */
static bool wide(int64_t *value, const unsigned char **at, const unsigned char *end) {
  if (*value != all32) return true;
  if (end - *at < 8) return false;
  *value = (int64_t)number(*at, 8);
  *at += 8;
  return *value >= 0;
}

/* Takes from the extra fields what the 32-bit ones have no room for. */
static bool read_extra(member *m, const unsigned char *at, size_t n) {
  const unsigned char *end = at + n;
  while (end - at >= 4) {
    const unsigned id = (unsigned)number(at, 2);
    const size_t length = number(at + 2, 2);
    at += 4;
    if ((size_t)(end - at) < length) return false;
    if (id == ZIP64) {
      const unsigned char *next = at;
      return wide(&m->size, &next, at + length) && wide(&m->packed, &next, at + length) &&
             wide(&m->offset, &next, at + length);
    }
    at += length;
  }
  return m->size != all32 && m->packed != all32 && m->offset != all32;
}

/* Can so many bytes be packed in so many, in this place? */
static bool plausible(const pl_zip *z, const member *m) {
  if (m->offset > z->directory - LOCAL || m->packed > z->directory - LOCAL - m->offset)
    return false;
  if (m->method == STORED) return m->size == m->packed;
  return m->method != DEFLATED || m->size / DEFLATE_RATIO <= m->packed;
}

/* Reads one entry at *at, and its name to `name`; moves both on. */
static bool read_entry(pl_zip *z, member *m, const unsigned char **at, const unsigned char *end,
                       char **name) {
  const unsigned char *b = *at;
  if (end - b < CENTRAL || !is_at(b, "PK\1\2")) return damaged(z, "its directory is cut off");
  const size_t n = number(b + 28, 2), extra = number(b + 30, 2), comment = number(b + 32, 2);
  if ((size_t)(end - b - CENTRAL) < n + extra + comment)
    return damaged(z, "its directory is cut off");
  memcpy(*name, b + CENTRAL, n);
  (*name)[n] = 0;
  *m = (member){.name = *name,
                .flags = (unsigned)number(b + 8, 2),
                .method = (unsigned)number(b + 10, 2),
                .crc = (uint32_t)number(b + 16, 4),
                .packed = (int64_t)number(b + 20, 4),
                .size = (int64_t)number(b + 24, 4),
                .offset = (int64_t)number(b + 42, 4)};
  if (strlen(*name) != n) return damaged(z, "a name has a zero byte");
  if (!read_extra(m, b + CENTRAL + n, extra) || !plausible(z, m))
    return pl_file_fail("%s: damaged zip archive ('%s' has impossible sizes)", z->path, m->name);
  *at += CENTRAL + n + extra + comment;
  *name += n + 1;
  return true;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const member *)a)->name, ((const member *)b)->name);
}

static int by_offset(const void *a, const void *b) {
  const int64_t x = ((const member *)a)->offset, y = ((const member *)b)->offset;
  return x < y ? -1 : x > y;
}

/* Members that overlap could unpack to any size; leaves them by name. */
static bool check_members(pl_zip *z) {
  qsort(z->members, (size_t)z->n, sizeof *z->members, by_offset);
  for (int64_t i = 1; i < z->n; i++)
    if (z->members[i].offset < z->members[i - 1].offset + LOCAL + z->members[i - 1].packed)
      return pl_file_fail("%s: damaged zip archive ('%s' and '%s' overlap)", z->path,
                          z->members[i - 1].name, z->members[i].name);
  qsort(z->members, (size_t)z->n, sizeof *z->members, by_name);
  for (int64_t i = 1; i < z->n; i++)
    if (strcmp(z->members[i].name, z->members[i - 1].name) == 0)
      return pl_file_fail("%s: two members are named '%s'", z->path, z->members[i].name);
  return true;
}

static bool parse_directory(pl_zip *z, const unsigned char *bytes) {
  const unsigned char *at = bytes, *end = bytes + z->directory_size;
  char *name = z->names;
  for (int64_t i = 0; i < z->n; i++)
    if (!pl_check_interrupt() || !read_entry(z, &z->members[i], &at, end, &name)) return false;
  return (at == end || damaged(z, "its directory has more bytes than entries")) && check_members(z);
}

static bool read_directory(pl_zip *z) {
  const size_t n = (size_t)z->directory_size;
  unsigned char *bytes = malloc(n + 1);
  z->members = calloc((size_t)z->n + 1, sizeof *z->members);
  z->names = malloc(n + (size_t)z->n + 1);
  bool ok = bytes && z->members && z->names;
  if (!ok) pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory for its directory", z->path);
  ok = ok && read_at(z, z->directory, bytes, n) && parse_directory(z, bytes);
  free(bytes);
  return ok;
}

/* Takes numbers from the record of zip64, if there is one, before the end at `end`. */
static bool read_zip64(pl_zip *z, int64_t *end) {
  unsigned char b[RECORD];
  if (*end < LOCATOR + RECORD) return true;
  if (!read_at(z, *end - LOCATOR, b, LOCATOR)) return false;
  if (!is_at(b, "PK\6\7")) return true;
  const uint64_t record = number(b + 8, 8);
  if (record > (uint64_t)(*end - LOCATOR - RECORD)) return damaged(z, "its end is nowhere");
  if (!read_at(z, (int64_t)record, b, RECORD)) return false;
  if (!is_at(b, "PK\6\6")) return damaged(z, "its end is nowhere");
  z->n = (int64_t)number(b + 32, 8);
  z->directory_size = (int64_t)number(b + 40, 8);
  z->directory = (int64_t)number(b + 48, 8);
  *end = (int64_t)record;
  return true;
}

/* Finds the end: the last place that looks like it and whose comment fills the file. */
static int64_t find_end(const unsigned char *tail, int64_t n) {
  for (int64_t at = n - END; at >= 0; at--)
    if (is_at(tail + at, "PK\5\6") && at + END + (int64_t)number(tail + at + 20, 2) == n) return at;
  return -1;
}

static bool read_end(pl_zip *z, int64_t length) {
  const int64_t n = length < END + 0xffff ? length : END + 0xffff;
  unsigned char *tail = malloc((size_t)n + 1);
  if (!tail) return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", z->path);
  int64_t at = -1;
  if (read_at(z, length - n, tail, (size_t)n)) at = find_end(tail, n);
  if (at >= 0) {
    z->n = (int64_t)number(tail + at + 10, 2);
    z->directory_size = (int64_t)number(tail + at + 12, 4);
    z->directory = (int64_t)number(tail + at + 16, 4);
  }
  free(tail);
  if (at < 0) return damaged(z, "it is cut off");
  int64_t end = length - n + at;
  if (!read_zip64(z, &end)) return false;
  if (z->directory < 0 || z->directory_size < 0 || z->directory > end ||
      z->directory_size != end - z->directory || z->directory_size > MAX_DIRECTORY || z->n < 0 ||
      z->n > z->directory_size / CENTRAL)
    return damaged(z, "its directory is nowhere");
  return true;
}

pl_zip *pl_zip_open(const char *path) {
  int64_t length = 0;
  FILE *file = pl_file_open(path, &length);
  if (!file) return NULL;
  pl_zip *z = calloc(1, sizeof *z);
  char *copy = strdup(path);
  if (!z || !copy) {
    pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path);
    fclose(file);
    free(z);
    free(copy);
    return NULL;
  }
  z->file = file;
  z->path = copy;
  if (read_end(z, length) && read_directory(z)) return z;
  pl_zip_close(z);
  return NULL;
}

void pl_zip_close(pl_zip *z) {
  if (!z) return;
  if (z->inflating) inflateEnd(&z->stream);
  fclose(z->file);
  free(z->members);
  free(z->names);
  free(z->path);
  free(z);
}

const char *pl_zip_path(const pl_zip *z) { return z->path; }

int pl_zip_count(const pl_zip *z) { return (int)z->n; }

const char *pl_zip_name(const pl_zip *z, int i) { return z->members[i].name; }

int64_t pl_zip_size(const pl_zip *z, int i) { return z->members[i].size; }

/*
** Members
*/

/* Goes to where the bytes of the member begin. */
static bool find_bytes(pl_zip *z, const member *m) {
  unsigned char b[LOCAL];
  if (!read_at(z, m->offset, b, LOCAL)) return false;
  const int64_t begin = m->offset + LOCAL + (int64_t)(number(b + 26, 2) + number(b + 28, 2));
  if (!is_at(b, "PK\3\4") || number(b + 8, 2) != m->method || begin + m->packed > z->directory)
    return pl_file_fail("%s: damaged zip archive ('%s' is not where it should be)", z->path,
                        m->name);
  return fseeko(z->file, begin, SEEK_SET) == 0 || damaged(z, "it is cut off");
}

bool pl_zip_begin(pl_zip *z, int i, bool *unfit) {
  const member *m = &z->members[i];
  *unfit = m->flags & ENCRYPTED || (m->method != STORED && m->method != DEFLATED);
  if (m->flags & ENCRYPTED) return pl_file_fail("%s: '%s' is encrypted", z->path, m->name);
  if (*unfit)
    return pl_file_fail("%s: '%s' is packed by method %u of zip; 0 and 8 can be read", z->path,
                        m->name, m->method);
  if (!find_bytes(z, m)) return false;
  if (z->inflating) inflateEnd(&z->stream);
  z->stream = (z_stream){0};
  z->inflating = m->method == DEFLATED && inflateInit2(&z->stream, -15) == Z_OK;
  if (m->method == DEFLATED && !z->inflating)
    return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to unpack '%s'", z->path, m->name);
  z->now = m;
  z->left = m->size;
  z->packed_left = m->packed;
  z->crc = 0;
  return true;
}

static bool cut_off(const pl_zip *z) {
  return pl_file_fail("%s: the bytes of '%s' are damaged or cut off", z->path, z->now->name);
}

static bool refill(pl_zip *z) {
  const size_t n = z->packed_left < PIECE ? (size_t)z->packed_left : PIECE;
  z->packed_left -= (int64_t)n;
  z->stream.next_in = z->in;
  z->stream.avail_in = (uInt)n;
  return n > 0 && fread(z->in, 1, n, z->file) == n;
}

static bool take_inflated(pl_zip *z, unsigned char *out, size_t n) {
  z->stream.next_out = out;
  z->stream.avail_out = (uInt)n;
  while (z->stream.avail_out > 0) {
    if (z->stream.avail_in == 0 && !refill(z)) return false;
    const int r = inflate(&z->stream, Z_NO_FLUSH);
    if (r != Z_OK) return r == Z_STREAM_END && z->stream.avail_out == 0;
  }
  return true;
}

bool pl_zip_take(void *zip, void *out, size_t n) {
  pl_zip *z = zip;
  if ((int64_t)n > z->left) return cut_off(z);
  for (size_t done = 0; done < n;) {
    const size_t piece = n - done < (1u << 30) ? n - done : 1u << 30;
    unsigned char *to = (unsigned char *)out + done;
    if (!pl_check_interrupt()) return false;
    if (!(z->inflating ? take_inflated(z, to, piece) : fread(to, 1, piece, z->file) == piece))
      return cut_off(z);
    z->crc = pl_crc32(z->crc, to, piece);
    done += piece;
  }
  z->left -= (int64_t)n;
  return true;
}

bool pl_zip_end(pl_zip *z) {
  return (z->left == 0 && z->crc == z->now->crc) ||
         pl_file_fail("%s: the checksum of '%s' is wrong", z->path, z->now->name);
}

/*
** Writing. All members have the extra field of zip64, so that there is one form for all sizes.
*/

/* Bytes that are put together. */
typedef struct {
  unsigned char b[128];
  size_t n;
} block;

static void put(block *k, uint64_t value, int bytes) { /* at most 8 */
  for (int i = 0; i < bytes; i++) k->b[k->n++] = (unsigned char)(value >> 8 * i);
}

static void put_signature(block *k, const char *signature) {
  memcpy(k->b + k->n, signature, 4);
  k->n += 4;
}

enum { LOCAL_EXTRA = 20, CENTRAL_EXTRA = 28, DESCRIPTOR = 24, VERSION = 45 };

/* What header and directory have in common: from the version that can read it to the name's length. */
static void put_member(block *k, const pl_zip_entry *e, int extra) {
  const int midnight = 0, new_year_1980 = 1 << 5 | 1;
  put(k, VERSION, 2);
  put(k, UTF8 | (e->deflated ? DESCRIBED : 0), 2);
  put(k, e->deflated ? DEFLATED : STORED, 2);
  put(k, (uint64_t)midnight, 2);
  put(k, (uint64_t)new_year_1980, 2);
  put(k, e->crc, 4);
  put(k, (uint64_t)all32, 4);
  put(k, (uint64_t)all32, 4);
  put(k, strlen(e->name), 2);
  put(k, (uint64_t)extra, 2);
}

static void put_zip64(block *k, const pl_zip_entry *e, int extra) {
  put(k, ZIP64, 2);
  put(k, (uint64_t)extra - 4, 2);
  put(k, (uint64_t)e->size, 8);
  put(k, (uint64_t)e->packed, 8);
}

int64_t pl_zip_overhead(const pl_zip_entry *e) {
  return LOCAL + (int64_t)strlen(e->name) + LOCAL_EXTRA + (e->deflated ? DESCRIPTOR : 0);
}

bool pl_zip_write_member(pl_newfile *f, pl_zip_entry *e, int64_t offset) {
  block head = {0}, extra = {0};
  e->offset = offset;
  put_signature(&head, "PK\3\4");
  put_member(&head, e, LOCAL_EXTRA);
  put_zip64(&extra, e, LOCAL_EXTRA);
  return pl_newfile_write(f, head.b, head.n) && pl_newfile_write(f, e->name, strlen(e->name)) &&
         pl_newfile_write(f, extra.b, extra.n);
}

struct pl_zip_packer {
  pl_newfile *file;
  pl_zip_entry *entry;
  z_stream stream;
  unsigned char out[PIECE];
};

pl_zip_packer *pl_zip_pack_open(pl_newfile *f, pl_zip_entry *e) {
  pl_zip_packer *p = calloc(1, sizeof *p);
  const bool ok = p && deflateInit2(&p->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS,
                                    MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) == Z_OK;
  if (ok) {
    p->file = f;
    p->entry = e;
    return p;
  }
  free(p);
  return pl_fail_as(PL_ERROR_MEMORY, "not enough memory to pack '%s'", e->name), NULL;
}

void pl_zip_pack_close(pl_zip_packer *p) {
  if (!p) return;
  deflateEnd(&p->stream);
  free(p);
}

/* Packs what the stream has, all of it, or with Z_FINISH to the end. */
static bool deflate_all(pl_zip_packer *p, int flush) {
  do {
    p->stream.next_out = p->out;
    p->stream.avail_out = PIECE;
    deflate(&p->stream, flush); /* cannot fail: the stream is in order and there is room */
    const size_t n = PIECE - p->stream.avail_out;
    p->entry->packed += (int64_t)n;
    if (!pl_check_interrupt() || !pl_newfile_write(p->file, p->out, n)) return false;
  } while (p->stream.avail_out == 0);
  return true;
}

bool pl_zip_pack(void *packer, const void *data, size_t n) {
  pl_zip_packer *p = packer;
  p->entry->crc = pl_crc32(p->entry->crc, data, n);
  p->entry->size += (int64_t)n;
  for (size_t done = 0; done < n;) {
    const size_t piece = n - done < PIECE ? n - done : PIECE;
    p->stream.next_in = (unsigned char *)data + done; /* which zlib only reads */
    p->stream.avail_in = (uInt)piece;
    if (!deflate_all(p, Z_NO_FLUSH)) return false;
    done += piece;
  }
  return true;
}

bool pl_zip_pack_end(pl_zip_packer *p) {
  block k = {0};
  if (!deflate_all(p, Z_FINISH)) return false;
  put_signature(&k, "PK\7\10");
  put(&k, p->entry->crc, 4);
  put(&k, (uint64_t)p->entry->packed, 8);
  put(&k, (uint64_t)p->entry->size, 8);
  return pl_newfile_write(p->file, k.b, k.n);
}

static bool write_entry(pl_newfile *f, const pl_zip_entry *e) {
  block head = {0}, extra = {0};
  put_signature(&head, "PK\1\2");
  put(&head, VERSION, 2);
  put_member(&head, e, CENTRAL_EXTRA);
  put(&head, 0, 2 + 2 + 2), put(&head, 0, 4); /* comment, disk, attributes */
  put(&head, (uint64_t)all32, 4);
  put_zip64(&extra, e, CENTRAL_EXTRA);
  put(&extra, (uint64_t)e->offset, 8);
  return pl_newfile_write(f, head.b, head.n) && pl_newfile_write(f, e->name, strlen(e->name)) &&
         pl_newfile_write(f, extra.b, extra.n);
}

bool pl_zip_write_directory(pl_newfile *f, int n, const pl_zip_entry *entries, int64_t offset) {
  int64_t end = offset;
  for (int i = 0; i < n; i++) {
    if (!write_entry(f, &entries[i])) return false;
    end += CENTRAL + (int64_t)strlen(entries[i].name) + CENTRAL_EXTRA;
  }
  block k = {0};
  put_signature(&k, "PK\6\6");
  put(&k, RECORD - 12, 8);
  put(&k, VERSION, 2), put(&k, VERSION, 2);
  put(&k, 0, 4 + 4); /* disks */
  put(&k, (uint64_t)n, 8), put(&k, (uint64_t)n, 8);
  put(&k, (uint64_t)(end - offset), 8), put(&k, (uint64_t)offset, 8);
  put_signature(&k, "PK\6\7");
  put(&k, 0, 4), put(&k, (uint64_t)end, 8), put(&k, 1, 4);
  put_signature(&k, "PK\5\6");
  put(&k, 0, 2 + 2);
  put(&k, 0xffff, 2), put(&k, 0xffff, 2);
  put(&k, (uint64_t)all32, 4), put(&k, (uint64_t)all32, 4);
  put(&k, 0, 2);
  return pl_newfile_write(f, k.b, k.n);
}
