/*
** source.c: see source.h. A file in gzip (RFC 1952) is known by its first two bytes. It may have
** several members, one behind the other, whose contents are one.
*/
#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { PIECE = 1 << 16, MAGIC = 0x1f, GZIP = 15 + 16 };

struct pl_source {
  char *path;
  FILE *file;
  int64_t length;
  bool packed, ended; /* ended: the last member is complete */
  const char *damage;
  z_stream z;
  unsigned char in[PIECE];
};

/* Learns what it is, and begins to unpack. */
static bool begin(pl_source *s) {
  unsigned char head[2] = {0, 0};
  s->packed = fread(head, 1, 2, s->file) == 2 && head[0] == MAGIC && head[1] == 0x8b;
  if (fseek(s->file, 0, SEEK_SET) != 0) return pl_file_fail("%s: it cannot be read twice", s->path);
  if (!s->packed || inflateInit2(&s->z, GZIP) == Z_OK) return true;
  s->packed = false;
  return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to decompress", s->path);
}

pl_source *pl_source_open(const char *path) {
  int64_t length = 0;
  FILE *file = pl_file_open(path, &length);
  if (!file) return NULL;
  pl_source *s = calloc(1, sizeof *s);
  if (!s) {
    fclose(file);
    return pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path), NULL;
  }
  s->file = file;
  s->length = length;
  s->path = strdup(path);
  if (!s->path) pl_fail_as(PL_ERROR_MEMORY, "%s: not enough memory to read it", path);
  else if (begin(s)) return s;
  pl_source_close(s);
  return NULL;
}

void pl_source_close(pl_source *s) {
  if (!s) return;
  if (s->packed) inflateEnd(&s->z);
  fclose(s->file);
  free(s->path);
  free(s);
}

bool pl_source_is_packed(const pl_source *s) { return s->packed; }

int64_t pl_source_length(const pl_source *s) { return s->length; }

const char *pl_source_damage(const pl_source *s) { return s->damage; }

static bool refill(pl_source *s) {
  s->z.next_in = s->in;
  s->z.avail_in = (uInt)fread(s->in, 1, sizeof s->in, s->file);
  return s->z.avail_in > 0;
}

/* What follows a member is the next one, or nothing that belongs to the file. */
static void end_member(pl_source *s) {
  const bool next = (s->z.avail_in > 0 || refill(s)) && *s->z.next_in == MAGIC;
  s->ended = !next || inflateReset(&s->z) != Z_OK;
}

static size_t read_plain(pl_source *s, void *out, size_t n) {
  const size_t got = fread(out, 1, n, s->file);
  if (got < n && ferror(s->file)) s->damage = "cannot be read on";
  return got;
}

/* Unpacks up to n bytes, at most what one call of zlib takes. */
static size_t inflate_some(pl_source *s, unsigned char *out, size_t n) {
  if (s->z.avail_in == 0 && !refill(s)) {
    s->damage = "the compressed data are cut off";
    return 0;
  }
  const size_t room = n < (1u << 30) ? n : 1u << 30;
  s->z.next_out = out;
  s->z.avail_out = (uInt)room;
  const int r = inflate(&s->z, Z_NO_FLUSH);
  if (r == Z_STREAM_END) end_member(s);
  else if (r != Z_OK && r != Z_BUF_ERROR) s->damage = "the compressed data are damaged";
  return room - s->z.avail_out;
}

size_t pl_source_read(pl_source *s, void *out, size_t n) {
  if (!s->packed) return read_plain(s, out, n);
  size_t done = 0;
  while (done < n && !s->ended && !s->damage && pl_check_interrupt())
    done += inflate_some(s, (unsigned char *)out + done, n - done);
  return done;
}

bool pl_source_has_more(pl_source *s) {
  unsigned char extra;
  if (pl_source_read(s, &extra, 1) > 0) return true;
  return s->packed && !s->damage && (s->z.avail_in > 0 || refill(s));
}

bool pl_source_rewind(pl_source *s) {
  s->ended = false;
  s->damage = NULL;
  s->z.avail_in = 0;
  return (fseek(s->file, 0, SEEK_SET) == 0 && (!s->packed || inflateReset(&s->z) == Z_OK)) ||
         pl_file_fail("%s: it cannot be read twice", s->path);
}
