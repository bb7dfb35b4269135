/*
** fuzz.c: gives a reader of files bytes that were changed at random, and looks that it ends with a
** tensor or with one message that names the file, keeps nothing, and took no more memory than the
** file bears out. One program for each reader, which is a function of this file; meson.build has the
** list. Built with the sanitizers it finds what reads or writes where it should not.
**
**   fuzz_csv tests/fuzz/corpus/csv 1000000 [SEED]   each seed as it is, then so many changed ones
**   fuzz_csv FILE                                   one file, which failed before
**
** An input that fails is left as fuzz-READER.bin. With libFuzzer (clang -fsanitize=fuzzer
** -DLIBFUZZER) the same functions are its targets.
*/
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/csv.h"
#include "io/io.h"

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

enum { MOST_BYTES = 1 << 16, MAX_SEEDS = 256, SLACK = 1 << 20 };

/* The input, as a file that needs no disk. */
static int memory_file;
static char path[64];
static const unsigned char *input;
static size_t input_size;

static void fail(const char *why) {
  fprintf(stderr, STRING(READER) ": %s; the input is in fuzz-" STRING(READER) ".bin\n", why);
  FILE *f = fopen("fuzz-" STRING(READER) ".bin", "wb");
  if (f) {
    fwrite(input, 1, input_size, f);
    fclose(f);
  }
  abort();
}

/* Whatever fails says of which file. */
static bool failed(void) {
  if (!pl_error()) return false;
  if (!strstr(pl_error(), path)) fail(pl_error());
  pl_error_clear();
  return true;
}

/*
** Readers. `ratio`: bytes of tensors for one of the file
*/

#define READER_OF(name, bytes)   \
  enum { ratio_##name = bytes }; \
  static void name(void)

enum { CONVERTED = 4, UNPACKED = 1032, DEFLATED = UNPACKED * 4, TWO = 2 };

static void use(pl_tensor *t) {
  if (!t == !pl_error()) fail(t ? pl_error() : "neither a tensor nor a message");
  if (t && pl_numel(t)) pl_at(t, pl_numel(t) - 1);
  failed();
}

READER_OF(npy, TWO *CONVERTED) {
  use(pl_npy_read(path, false));
  use(pl_npy_read(path, true));
  use(pl_npy_map(path));
}

static void read_archive(bool convert) {
  pl_archive *a = pl_archive_open(path);
  if (!a && !failed()) fail("neither an archive nor a message");
  for (int i = 0; a && i < pl_archive_count(a); i++) {
    bool unfit;
    pl_archive_name(a, i);
    pl_scope_begin();
    use(pl_archive_tensor(a, i, convert, &unfit));
    pl_scope_end();
  }
  pl_archive_close(a);
}

READER_OF(npz, TWO *DEFLATED) {
  read_archive(false);
  read_archive(true);
}

READER_OF(safetensors, TWO *CONVERTED) {
  read_archive(false);
  read_archive(true);
}

READER_OF(idx, DEFLATED) { use(pl_idx_read(path)); }

#ifndef WITHOUT_PNG
READER_OF(png, DEFLATED) { use(pl_image_read(path, 0, 0, NULL)); }
#endif

#ifndef WITHOUT_JPEG
/* A line of blocks is at least a byte long, three times as many pixels come of it, and upright ones
   are others. */
READER_OF(jpeg, 512 * 3 * 2) {
  use(pl_image_read(path, 0, 0, NULL));
  use(pl_image_read(path, 1, 3, NULL));
}
#endif

/* Reads the rest in pieces of n rows; false on failure. */
static bool read_pieces(pl_csv *c, int64_t n) {
  static pl_tensor *columns[100001];
  int64_t rows = 0, got;
  do {
    pl_scope_begin();
    got = pl_csv_read(c, n, columns);
    pl_scope_end();
    if (got > 0) rows += got;
  } while (got > 0);
  if (got == 0 && rows != pl_csv_rows(c)) fail("a table has other rows than it said");
  return got == 0;
}

static void read_table(bool header, char separator, pl_csv_type type, int64_t piece) {
  static const char *const missing[] = {"", "NA", "nan"};
  const pl_csv_options o = {separator, header, 3, missing};
  pl_csv *c = pl_csv_open(path, &o);
  if (!c && !failed()) fail("neither a table nor a message");
  if (!c) return;
  for (int i = 0; i < pl_csv_columns(c); i++) pl_csv_choose(c, i, type, i == 2);
  if (!pl_csv_survey(c, -1)) {
    if (!failed()) fail("neither rows nor a message");
  } else if (!read_pieces(c, piece)) {
    fail(pl_error()); /* the survey has seen it all */
  }
  pl_csv_close(c);
}

static void read_tables(void) {
  read_table(true, ',', PL_CSV_GUESS, INT64_MAX);
  read_table(false, ',', PL_CSV_CATEGORY, 2);
  read_table(false, ';', PL_CSV_REAL, 3);
  read_table(true, ',', PL_CSV_INT32, 1);
}

READER_OF(csv, 16) { read_tables(); }

READER_OF(csv_gz, 16 * UNPACKED) { read_tables(); }

/*
** One input
*/

#define RATIO_(name) ratio_##name
#define RATIO(name)  RATIO_(name)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n) {
  if (!*path) {
    memory_file = memfd_create("fuzz", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory_file);
  }
  input = data;
  input_size = n;
  if (ftruncate(memory_file, 0) != 0 || pwrite(memory_file, data, n, 0) != (ssize_t)n) abort();
  const pl_memory before = pl_memory_now();
  pl_peak_reset();
  pl_scope_begin();
  READER();
  pl_scope_end();
  const pl_memory after = pl_memory_now();
  pl_stats stats = {.size = sizeof stats};
  pl_stats_now(&stats);
  if (after.tensors != before.tensors || after.live_bytes != before.live_bytes)
    fail("memory is kept");
  if ((double)stats.peak_bytes > (double)n * RATIO(READER) + SLACK)
    fail("too much memory was taken");
  return 0;
}

/*
** Changes
*/

#ifndef LIBFUZZER

static uint64_t state;

/* Marsaglia's xorshift64. */
static uint64_t draw(uint64_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return n ? (state >> 11) % n : 0;
}

typedef struct {
  unsigned char *bytes;
  size_t n;
} seed;

static seed seeds[MAX_SEEDS];
static int n_seeds;
static unsigned char work[MOST_BYTES];
static size_t size;

/* Puts n bytes at a place, in front of what is there. */
static void insert(size_t at, const void *bytes, size_t n) {
  if (size + n > MOST_BYTES) return;
  memmove(work + at + n, work + at, size - at);
  memcpy(work + at, bytes, n);
  size += n;
}

static void change_bits(void) {
  if (size) work[draw(size)] ^= (unsigned char)(1 << draw(8));
}

static void change_byte(void) {
  if (size) work[draw(size)] = (unsigned char)draw(256);
}

/* Numbers at which sizes and offsets turn over. */
static void change_number(void) {
  static const int64_t values[] = {
      0,      1,     -1,        127,       128,        255,       256,       0x7fff,    0x8000,
      0xffff, 65536, INT32_MAX, INT32_MIN, 0xffffffff, 1ll << 32, 1ll << 40, INT64_MAX, INT64_MIN};
  const uint64_t v = (uint64_t)values[draw(sizeof values / sizeof *values)] + draw(3) - 1;
  const size_t width = (size_t)1 << draw(4);
  if (size >= width) memcpy(work + draw(size - width + 1), &v, width);
}

static void remove_some(void) {
  if (!size) return;
  const size_t at = draw(size), n = 1 + draw(size - at < 32 ? size - at : 32);
  memmove(work + at, work + at + n, size - at - n);
  size -= n;
}

static void cut(void) { size = draw(size + 1); }

static void repeat(void) {
  if (!size) return;
  unsigned char copy[64];
  const size_t at = draw(size), n = 1 + draw(size - at < sizeof copy ? size - at : sizeof copy);
  memcpy(copy, work + at, n);
  insert(draw(size + 1), copy, n);
}

/* A part of another seed. */
static void splice(void) {
  const seed *s = &seeds[draw((uint64_t)n_seeds)];
  if (!s->n) return;
  const size_t at = draw(s->n), n = 1 + draw(s->n - at < 64 ? s->n - at : 64);
  insert(draw(size + 1), s->bytes + at, n);
}

/* What the formats are made of. */
static void insert_word(void) {
  static const char *const words[] = {"\"",
                                      "\"\"",
                                      ",",
                                      ";",
                                      "\r\n",
                                      "\n",
                                      "\r",
                                      "1e999",
                                      "-",
                                      "nan",
                                      "inf",
                                      "99999999999",
                                      "0.1",
                                      "\xef\xbb\xbf",
                                      "'descr': '|O'",
                                      "'<f8'",
                                      "'>i2'",
                                      "True",
                                      "False",
                                      "(1,)",
                                      "(0, 3)",
                                      "(99999999999,)",
                                      "}",
                                      "{",
                                      "'",
                                      "[",
                                      "PK\1\2",
                                      "PK\3\4",
                                      "PK\5\6",
                                      "PK\6\6",
                                      "PK\6\7",
                                      "\x93NUMPY\2",
                                      "\"F16\"",
                                      "\"BOOL\"",
                                      "\"I64\"",
                                      "[0,8]",
                                      "\"shape\":[2]",
                                      "IDAT",
                                      "IEND"};
  const char *word = words[draw(sizeof words / sizeof *words)];
  insert(draw(size + 1), word, strlen(word));
}

static void change(void) {
  static void (*const ways[])(void) = {change_bits, change_byte,  change_number, remove_some,
                                       cut,         repeat,       splice,        insert_word,
                                       change_bits, change_number};
  const seed *s = &seeds[draw((uint64_t)n_seeds)];
  memcpy(work, s->bytes, s->n);
  size = s->n;
  for (uint64_t times = 1 + draw(4); times > 0; times--) ways[draw(sizeof ways / sizeof *ways)]();
}

static bool read_seed(const char *name) {
  int64_t n;
  FILE *f = n_seeds < MAX_SEEDS ? pl_file_open(name, &n) : NULL;
  if (!f || n > MOST_BYTES / 2) return f ? fclose(f), false : false;
  seed s = {malloc((size_t)n + 1), (size_t)n};
  const bool ok = s.bytes && fread(s.bytes, 1, s.n, f) == s.n;
  fclose(f);
  if (ok) seeds[n_seeds++] = s;
  else free(s.bytes);
  return ok;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

/* The files of a folder, by name, or one file. */
static bool read_seeds(const char *place) {
  struct dirent **entry;
  const int n = scandir(place, &entry, NULL, by_name);
  if (n < 0) return read_seed(place);
  bool ok = true;
  for (int i = 0; i < n; i++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%s", place, entry[i]->d_name);
    if (entry[i]->d_name[0] != '.') ok = read_seed(name) && ok;
    free(entry[i]);
  }
  free(entry);
  return ok && n_seeds > 0;
}

int main(int argc, char **argv) {
  if (argc < 2 || !read_seeds(argv[1])) {
    fprintf(stderr, "usage: %s FOLDER|FILE [COUNT [SEED]]\n%s\n", argv[0],
            pl_error() ? pl_error() : "");
    return 2;
  }
  const int64_t count = argc > 2 ? atoll(argv[2]) : 0;
  state = 88172645463325252u + (argc > 3 ? strtoull(argv[3], NULL, 10) : 1) * 2654435761u;
  for (int i = 0; i < n_seeds; i++) LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].n);
  for (int64_t i = 0; i < count; i++) {
    change();
    LLVMFuzzerTestOneInput(work, size);
    if ((i + 1) % 1000000 == 0)
      fprintf(stderr, STRING(READER) ": %lld of %lld\n", (long long)i + 1, (long long)count);
  }
  printf(STRING(READER) ": %d seeds, %lld changed\n1 passed, 0 failed\n", n_seeds,
         (long long)count);
  for (int i = 0; i < n_seeds; i++) free(seeds[i].bytes);
  return 0;
}

#endif
