/*
** test_io.c: files in and out of the engine. Readers meet files that are cut off, damaged, or
** lie about what they hold; writers meet full disks. Nothing may crash, take memory that a
** file only claims, leave half a file, or fail without a message that names the file.
*/
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "io/csv.h"
#include "io/io.h"

static char folder[40], path[64];
static pl_memory before;

/* In memory if there is such a place: thousands of small files are written. */
static int make_folder(void **state) {
  (void)state;
  const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(folder, sizeof folder, "%s/perilune-test-XXXXXX", base);
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/file", folder);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder);
}

static int set_up(void **state) {
  (void)state;
  before = pl_memory_now();
  pl_scope_begin();
  return 0;
}

/* How many files are in the folder; removes them if asked to. */
static int count_files(bool clear) {
  DIR *dir = opendir(folder);
  int n = 0;
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir));) {
    char name[400];
    if (e->d_name[0] == '.') continue;
    n++;
    snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
    if (clear) remove(name);
  }
  closedir(dir);
  return n;
}

static int tear_down(void **state) {
  (void)state;
  pl_scope_end();
  count_files(true);
  assert_null(pl_error());
  assert_int_equal(pl_memory_now().tensors, before.tensors);
  assert_int_equal(pl_memory_now().live_bytes, before.live_bytes);
  return 0;
}

/* A failure has a message that names the file. */
static void check_refused(const char *want) {
  assert_non_null(pl_error());
  if (!strstr(pl_error(), want) || !strstr(pl_error(), folder))
    fail_msg("the message is: %s", pl_error());
  pl_error_clear();
}

/*
** Bytes
*/

typedef struct {
  size_t n;
  unsigned char v[60000];
} bytes;

static void add(bytes *b, const void *data, size_t n) {
  assert_true(b->n + n <= sizeof b->v);
  memcpy(b->v + b->n, data, n);
  b->n += n;
}

static void add_u32(bytes *b, uint32_t v) {
  add(b, (unsigned char[]){v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255}, 4);
}

static void put_file(const unsigned char *data, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

static void put(const bytes *b) { put_file(b->v, b->n); }

static void get(bytes *b) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  b->n = fread(b->v, 1, sizeof b->v, f);
  fclose(f);
}

static void check_file(const char *want) {
  static bytes b;
  get(&b);
  assert_int_equal(b.n, strlen(want));
  assert_memory_equal(b.v, want, b.n);
}

/* The file as gzip. */
static void compress_bytes(const bytes *in, bytes *out) {
  z_stream z = {0};
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (unsigned char *)in->v;
  z.avail_in = (uInt)in->n;
  z.next_out = out->v;
  z.avail_out = sizeof out->v;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  out->n = sizeof out->v - z.avail_out;
  deflateEnd(&z);
}

static uint64_t random_state = 1;
static uint32_t draw(uint32_t n) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random_state >> 33) % n;
}

/*
** Every way of spoiling a file; the reader may accept what is no worse than before
*/

typedef pl_tensor *reader(const char *file);

static bool try_reading(reader *read) {
  pl_scope_begin();
  bool ok = read(path) != NULL;
  pl_scope_end();
  if (!ok) check_refused(folder);
  assert_null(pl_error());
  return ok;
}

static void cut_off(const bytes *whole, reader *read) {
  for (size_t n = 0; n < whole->n; n++) {
    put_file(whole->v, n);
    if (try_reading(read)) fail_msg("the first %zu of %zu bytes were accepted", n, whole->n);
  }
}

static void add_bytes(const bytes *whole, reader *read) {
  static bytes longer;
  longer = *whole;
  add(&longer, "\0", 1);
  put(&longer);
  assert_false(try_reading(read));
  add(&longer, whole->v, whole->n);
  put(&longer);
  assert_false(try_reading(read));
}

/* How many of the flipped bits went unnoticed. */
static int flip_bits(const bytes *whole, reader *read) {
  static bytes b;
  int accepted = 0;
  b = *whole;
  for (size_t i = 0; i < b.n; i++)
    for (int bit = 0; bit < 8; bit++) {
      b.v[i] ^= (unsigned char)(1 << bit);
      put(&b);
      accepted += try_reading(read);
      b.v[i] ^= (unsigned char)(1 << bit);
    }
  return accepted;
}

/* Bytes replaced, removed and repeated at random places. */
static void scramble(const bytes *whole, reader *read) {
  static bytes b;
  for (int i = 0; i < 1500; i++) {
    b = *whole;
    for (uint32_t k = draw(4) + 1; k > 0; k--) {
      size_t at = draw((uint32_t)b.n), n = draw((uint32_t)(b.n - at)) + 1;
      switch (draw(4)) {
        case 0: b.v[at] = (unsigned char)draw(256); break;
        case 1: b.v[at] = draw(2) ? 255 : 0; break;
        case 2: memset(b.v + at, (int)draw(256), n < 8 ? n : 8); break;
        default: memmove(b.v + at, b.v + at + n, b.n - at - n), b.n -= n;
      }
      if (!b.n) b.n = 1;
    }
    put(&b);
    try_reading(read);
  }
}

static void check_odd_places(reader *read) {
  assert_null(read(folder));
  check_refused("not a regular file");
  assert_null(read("/dev/zero"));
  assert_non_null(strstr(pl_error(), "cannot open /dev/zero: not a regular file"));
  pl_error_clear();
  unlink(path);
  assert_null(read(path));
  check_refused("No such file or directory");
  put_file((const unsigned char *)"", 0);
  assert_false(try_reading(read));
}

/*
** IDX
*/

static bytes idx(unsigned dtype, int rank, const uint32_t *sizes, const void *elements, size_t n) {
  bytes b = {0};
  add(&b, (unsigned char[]){0, 0, (unsigned char)dtype, (unsigned char)rank}, 4);
  for (int d = 0; d < rank; d++) add_u32(&b, sizes[d]);
  add(&b, elements, n);
  return b;
}

static void test_idx(void **state) {
  (void)state;
  static bytes b, gz;
  b = idx(8, 2, (uint32_t[]){2, 3}, "abcdef", 6);
  put(&b);
  pl_tensor *t = pl_idx_read(path);
  assert_int_equal(pl_dtype_of(t), PL_UINT8);
  assert_true(pl_size(t).n == 2 && pl_size(t).v[0] == 2 && pl_size(t).v[1] == 3);
  assert_memory_equal(pl_data(t), "abcdef", 6);
  compress_bytes(&b, &gz);
  put(&gz);
  assert_memory_equal(pl_data(pl_idx_read(path)), "abcdef", 6);
  b = idx(12, 1, (uint32_t[]){2}, "\0\0\1\0\377\377\377\376", 8);
  put(&b);
  t = pl_idx_read(path);
  assert_true(pl_at(t, 0) == 256 && pl_at(t, 1) == -2);
  check_odd_places(pl_idx_read);
}

static void test_spoilt_idx(void **state) {
  (void)state;
  static bytes b, gz;
  b = idx(8, 2, (uint32_t[]){3, 7}, "twenty-one characters", 21);
  compress_bytes(&b, &gz);
  for (int i = 0; i < 2; i++) {
    const bytes *whole = i ? &gz : &b;
    cut_off(whole, pl_idx_read);
    add_bytes(whole, pl_idx_read);
    int accepted = flip_bits(whole, pl_idx_read);
    /* plain: the elements are free; gzip: its flags, time, level and system are */
    assert_true(i ? accepted <= 8 * 8 : accepted == 21 * 8);
    scramble(whole, pl_idx_read);
  }
}

static void test_idx_headers_that_lie(void **state) {
  (void)state;
  static bytes b, gz;
  static const struct {
    unsigned dtype;
    int rank;
    uint32_t sizes[8];
    const char *want;
  } cases[] = {
      {8, 1, {5}, "promises 5 bytes of elements, the file has 4"},
      {8, 1, {3}, "promises 3 bytes of elements, the file has 4"},
      {8, 8, {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}, "impossibly large"},
      {8, 2, {1u << 31, 1u << 31}, "promises 4611686018427387904 bytes"},
      {12, 2, {1u << 31, 1u << 31}, "impossibly large"},
      {8, 2, {4, 0}, "IDX dimension 2 has size 0"},
      {9, 1, {4}, "IDX elements of kind 0x09"},
      {8, 0, {0}, "0 IDX dimensions"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    b = idx(cases[i].dtype, cases[i].rank, cases[i].sizes, "abcd", 4);
    put(&b);
    assert_null(pl_idx_read(path));
    check_refused(cases[i].want);
    compress_bytes(&b, &gz);
    put(&gz);
    assert_false(try_reading(pl_idx_read));
  }
}

/* Few bytes that become many: refused before, or without, memory for them. */
static void test_bombs(void **state) {
  (void)state;
  static bytes gz, small;
  bytes *zeros = calloc(1, sizeof *zeros);
  assert_non_null(zeros);
  *zeros = idx(8, 1, (uint32_t[]){1u << 30}, "", 0);
  zeros->n = sizeof zeros->v;
  compress_bytes(zeros, &gz);
  assert_true(gz.n < 300);
  put(&gz);
  assert_null(pl_idx_read(path));
  check_refused("more than");
  small = idx(8, 1, (uint32_t[]){10}, "", 0);
  memcpy(zeros->v, small.v, small.n);
  compress_bytes(zeros, &gz);
  put(&gz);
  assert_null(pl_idx_read(path));
  check_refused("more bytes than its IDX header promises");
  free(zeros);
  assert_true(pl_memory_now().live_bytes - before.live_bytes < 100);
}

static void test_gzip_checksums(void **state) {
  (void)state;
  static bytes b, gz;
  b = idx(8, 1, (uint32_t[]){4}, "abcd", 4);
  compress_bytes(&b, &gz);
  for (size_t from_end = 1; from_end <= 8; from_end++) {
    gz.v[gz.n - from_end] ^= 1;
    put(&gz);
    assert_null(pl_idx_read(path));
    check_refused("the compressed data are damaged");
    gz.v[gz.n - from_end] ^= 1;
  }
}

/*
** PNG
*/

static void add_chunk(bytes *b, const char *name, const void *data, size_t n) {
  size_t start = b->n + 4;
  add_u32(b, (uint32_t)n);
  add(b, name, 4);
  add(b, data, n);
  add_u32(b, (uint32_t)crc32(0, b->v + start, (uInt)(b->n - start)));
}

typedef struct {
  uint32_t w, h;
  unsigned char depth, colour, interlace;
} png_header;

/* rows: each with its filter byte in front; palette: RGB triples, and how opaque each is. */
static bytes png_of(png_header p, const void *palette, size_t n_palette, const void *alpha,
                    size_t n_alpha, const void *rows, size_t n) {
  bytes b = {0}, header = {0};
  unsigned char packed[2000];
  uLongf n_packed = sizeof packed;
  add(&b, "\211PNG\r\n\032\n", 8);
  add_u32(&header, p.w);
  add_u32(&header, p.h);
  add(&header, (unsigned char[]){p.depth, p.colour, 0, 0, p.interlace}, 5);
  add_chunk(&b, "IHDR", header.v, header.n);
  if (n_palette) add_chunk(&b, "PLTE", palette, n_palette);
  if (n_alpha) add_chunk(&b, "tRNS", alpha, n_alpha);
  assert_int_equal(compress(packed, &n_packed, rows, n), Z_OK);
  add_chunk(&b, "IDAT", packed, n_packed);
  add_chunk(&b, "IEND", "", 0);
  return b;
}

static bytes png(png_header p, const void *rows, size_t n) {
  return png_of(p, NULL, 0, NULL, 0, rows, n);
}

enum { GREY, RGB = 2, PALETTE, GREY_ALPHA, RGBA = 6 };

static pl_tensor *read_image(const char *name) { return pl_image_read(name, 0, 0, NULL); }

static void check_png(bytes b, int n, const unsigned char *want, int rank) {
  put(&b);
  pl_tensor *t = read_image(path);
  if (!t) fail_msg("refused: %s", pl_error());
  assert_int_equal(pl_rank(t), rank);
  assert_int_equal(pl_numel(t), n);
  assert_memory_equal(pl_data(t), want, (size_t)n);
}
#define WANT(...) \
  (int)sizeof((unsigned char[]){__VA_ARGS__}), (unsigned char[]) { __VA_ARGS__ }

static void test_kinds_of_png(void **state) {
  (void)state;
  check_png(png((png_header){2, 2, 8, GREY, 0}, "\0\1\2\0\3\4", 6), WANT(1, 2, 3, 4), 2);
  check_png(png((png_header){8, 1, 1, GREY, 0}, "\0\xa5", 2), WANT(255, 0, 255, 0, 0, 255, 0, 255),
            2);
  check_png(png((png_header){2, 1, 4, GREY, 0}, "\0\x3f", 2), WANT(51, 255), 2);
  check_png(png((png_header){1, 1, 8, RGB, 0}, "\0\1\2\3", 4), WANT(1, 2, 3), 3);
  check_png(png((png_header){2, 1, 8, GREY_ALPHA, 0}, "\0\12\377\12\0", 5), WANT(10, 255), 2);
  check_png(png((png_header){2, 1, 8, RGBA, 0}, "\0\1\2\3\377\1\2\3\0", 9),
            WANT(1, 2, 3, 255, 255, 255), 3);
  const png_header p = {4, 1, 2, PALETTE, 0};
  const char *colours = "\1\2\3\4\5\6\7\10\11";
  check_png(png_of(p, colours, 9, NULL, 0, "\0\x18", 2), WANT(1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3),
            3);
  check_png(png_of(p, colours, 9, "\377\0", 2, "\0\x18", 2),
            WANT(1, 2, 3, 255, 255, 255, 7, 8, 9, 1, 2, 3), 3);
  check_png(png((png_header){2, 2, 8, GREY, 1}, "\0\1\0\2\0\3\4", 7), WANT(1, 2, 3, 4),
            2); /* interlaced */
  check_png(png((png_header){1, 1, 16, GREY, 0}, "\0\xff\xff", 3), WANT(255), 2);
  check_png(png((png_header){1, 1, 16, RGB, 0}, "\0\0\0\xff\xff\x80\x80", 7), WANT(0, 255, 128), 3);
}

/* What Pillow makes of them: Image.alpha_composite(white, image.convert("RGBA")). */
static void test_png_on_white(void **state) {
  (void)state;
  check_png(
      png((png_header){4, 1, 8, RGBA, 0}, "\0\0\0\0\200\377\310\0\310\12\24\36\1\12\24\36\376", 17),
      WANT(127, 127, 127, 255, 212, 55, 254, 254, 254, 11, 21, 31), 3);
  check_png(png((png_header){4, 1, 8, GREY_ALPHA, 0}, "\0\0\200\310\310\12\1\12\376", 9),
            WANT(127, 212, 254, 11), 2);
  check_png(png((png_header){1, 1, 16, RGBA, 0}, "\0\377\377\310\310\0\0\310\310", 9),
            WANT(255, 212, 55), 3);
  check_png(png((png_header){2, 1, 16, GREY_ALPHA, 0}, "\0\0\0\200\200\310\310\310\310", 9),
            WANT(127, 212), 2);
  check_png(png_of((png_header){4, 1, 2, PALETTE, 0}, "\0\0\0\377\310\0\12\24\36\7\10\11", 12,
                   "\200\310\1", 3, "\0\x1b", 2),
            WANT(127, 127, 127, 255, 212, 55, 254, 254, 254, 7, 8, 9), 3);
  /* tRNS without a palette: that one colour is transparent */
  check_png(png_of((png_header){2, 1, 8, GREY, 0}, NULL, 0, "\0\5", 2, "\0\5\6", 3), WANT(255, 6),
            2);
  check_png(png_of((png_header){2, 1, 8, RGB, 0}, NULL, 0, "\0\1\0\2\0\3", 6, "\0\1\2\3\4\5\6", 7),
            WANT(255, 255, 255, 4, 5, 6), 3);
}

static void test_png_that_lie(void **state) {
  (void)state;
  static bytes b;
  static const struct {
    png_header p;
    const char *want;
  } cases[] = {
      {{100001, 1000, 8, GREY, 0}, "at most 100000000 pixels expected"},
      {{~0u, ~0u, 8, GREY, 0}, "damaged PNG"},
      {{0, 1, 8, GREY, 0}, "damaged PNG"},
      {{1, 1, 3, GREY, 0}, "damaged PNG"},
      {{1, 1, 8, 5, 0}, "damaged PNG"},
      {{1, 1, 8, GREY, 2}, "damaged PNG"},
      {{1, 1, 8, PALETTE, 0}, "damaged PNG"}, /* without a palette */
      {{10, 10, 8, GREY, 0}, "damaged PNG"},  /* with few pixels */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    b = png(cases[i].p, "\0\1", 2);
    put(&b);
    assert_null(read_image(path));
    check_refused(cases[i].want);
  }
  b = png((png_header){1, 1, 8, GREY, 0}, "\0\1", 2);
  b.n -= 12; /* without its end */
  put(&b);
  assert_null(read_image(path));
  check_refused("the PNG is cut off");
  static const unsigned char no_data[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  b = (bytes){0};
  add(&b, no_data, sizeof no_data);
  add_chunk(&b, "IEND", "", 0);
  put(&b);
  assert_false(try_reading(read_image));
}

static void test_spoilt_png(void **state) {
  (void)state;
  static bytes b;
  b = png((png_header){3, 2, 8, RGB, 0}, "\0\1\2\3\4\5\6\7\10\11\0\1\2\3\4\5\6\7\10\11", 20);
  put(&b);
  assert_true(try_reading(read_image));
  cut_off(&b, read_image);
  add_bytes(&b, read_image);
  assert_int_equal(flip_bits(&b, read_image), 0);
  scramble(&b, read_image);
  check_odd_places(read_image);
}

static void test_png_round_trips(void **state) {
  (void)state;
  pl_random_state was = pl_random_get();
  for (int64_t w = 1; w < 40; w += 3)
    for (int colour = 0; colour < 2; colour++) {
      pl_tensor *t = pl_empty(PL_UINT8, colour ? pl_list(5, w, 3) : pl_list(5, w));
      assert_true(pl_randint(t, 0, 255));
      assert_true(pl_image_write(path, t, 90));
      pl_tensor *back = read_image(path);
      assert_non_null(back);
      assert_int_equal(pl_rank(back), pl_rank(t));
      assert_memory_equal(pl_data(back), pl_data(t), (size_t)pl_numel(t));
    }
  pl_random_set(was);
  assert_int_equal(count_files(false), 1);
}

/*
** Archives
*/

/* Tensor i, which has to be there. */
static pl_tensor *nth(pl_archive *a, int i) {
  bool unfit;
  pl_tensor *t = pl_archive_tensor(a, i, false, &unfit);
  if (!t) fail_msg("tensor %d: %s", i, pl_error());
  assert_false(unfit);
  return t;
}

static pl_tensor *read_archive(const char *file) {
  bool unfit;
  pl_archive *a = pl_archive_open(file);
  pl_tensor *t = a ? pl_empty(PL_REAL, pl_list(1)) : NULL;
  for (int i = 0; t && i < pl_archive_count(a); i++)
    if (!pl_archive_tensor(a, i, false, &unfit)) t = NULL;
  for (int i = 0; a && pl_archive_text(a, i).name; i++) assert_non_null(pl_archive_text(a, i).text);
  pl_archive_close(a);
  return t;
}

static void test_archives(void **state) {
  (void)state;
  pl_tensor *m = pl_transpose(pl_reshape(pl_arange(PL_REAL, 1, 1, 6), pl_list(2, 3)), 0, 1);
  const pl_named_tensor tensors[] = {{"w", m},
                                     {"labels", pl_from(PL_INT32, pl_list(2), (int32_t[]){-1, 9})},
                                     {"a \"name\"\n", pl_full(PL_UINT8, PL_ALL_DIMS, 200)},
                                     {"none", pl_empty(PL_REAL, pl_list(0, 3))}};
  const pl_named_text texts[] = {{"z", "last"}, {"note", "a \"text\" with ä"}};
  assert_true(pl_archive_save(path, 4, tensors, 2, texts, NULL));
  pl_archive *a = pl_archive_open(path);
  assert_int_equal(pl_archive_count(a), 4);
  assert_string_equal(pl_archive_name(a, 0), "a \"name\"\n");
  assert_string_equal(pl_archive_name(a, 3), "w");
  pl_tensor *w = nth(a, 3);
  assert_true(pl_size(w).v[0] == 3 && pl_at(w, 1) == 4 && pl_at(w, 5) == 6);
  assert_true(pl_at(nth(a, 1), 1) == 9 && pl_at(nth(a, 0), 0) == 200);
  assert_int_equal(pl_numel(nth(a, 2)), 0);
  assert_string_equal(pl_archive_text(a, 0).name, "note");
  assert_string_equal(pl_archive_text(a, 1).text, "last");
  assert_null(pl_archive_text(a, 2).name);
  pl_archive_close(a);
  pl_archive_close(NULL);
}

static void test_archives_refused(void **state) {
  (void)state;
  pl_tensor *t = pl_full(PL_REAL, pl_list(1), 1);
  const pl_named_tensor twice[] = {{"a", t}, {"b", t}, {"a", t}}, missing[] = {{"a", NULL}};
  const pl_named_tensor reserved[] = {{"__metadata__", t}};
  assert_false(pl_archive_save(path, 3, twice, 0, NULL, NULL));
  check_refused("two tensors are named 'a'");
  assert_false(pl_archive_save(path, 1, missing, 0, NULL, NULL));
  check_refused("tensor 'a' is missing");
  assert_false(pl_archive_save(path, 1, reserved, 0, NULL, NULL));
  check_refused("no tensor may be named __metadata__");
  assert_int_equal(count_files(false), 0);
  check_odd_places(read_archive);
}

static void test_spoilt_archives(void **state) {
  (void)state;
  static bytes b;
  const pl_named_tensor tensors[] = {{"w", pl_full(PL_REAL, pl_list(2, 2), 1)},
                                     {"b", pl_full(PL_INT32, pl_list(3), 1)}};
  assert_true(pl_archive_save(path, 2, tensors, 1, (pl_named_text[]){{"n", "t"}}, NULL));
  get(&b);
  cut_off(&b, read_archive);
  add_bytes(&b, read_archive);
  int accepted = flip_bits(&b, read_archive);
  /* a checksum that has lost its name is none */
  assert_true(accepted <= (int)strlen("perilune.crc32") * 8);
  scramble(&b, read_archive);
}

/*
** Archives of others
*/

/* An archive with one tensor "t" of `size`: JSON as in the file, of n bytes. */
static bytes foreign(const char *dtype, const char *size, const void *data, size_t n) {
  bytes b = {0};
  char header[200];
  const uint64_t length = (uint64_t)snprintf(
      header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%zu]}}",
      dtype, size, n);
  add(&b, &length, 8);
  add(&b, header, length);
  add(&b, data, n);
  return b;
}

/* What becomes of the four values of a dtype. */
static void check_dtype(const char *dtype, int width, const void *data, pl_dtype want,
                        const double *values) {
  bytes b = foreign(dtype, "[2,2]", data, (size_t)width * 4);
  put(&b);
  pl_archive *a = pl_archive_open(path);
  assert_non_null(a);
  pl_tensor *t = nth(a, 0);
  assert_int_equal(pl_dtype_of(t), want);
  for (int i = 0; i < 4; i++)
    if (pl_at(t, i) != values[i] && !(isnan(values[i]) && isnan(pl_at(t, i))))
      fail_msg("%s, value %d is %g, not %g", dtype, i, pl_at(t, i), values[i]);
  pl_archive_close(a);
}

#define CHECK_DTYPE(name, c_type, want, v1, v2, v3, v4)                     \
  check_dtype(name, sizeof(c_type), (const c_type[]){v1, v2, v3, v4}, want, \
              (const double[]){v1, v2, v3, v4})

static void test_archives_of_all_dtypes(void **state) {
  (void)state;
  CHECK_DTYPE("F32", float, PL_REAL, 1.5, -INFINITY, 0, 16777216);
  CHECK_DTYPE("F64", double, PL_REAL, 1.5, -INFINITY, NAN, -0.25);
  CHECK_DTYPE("I8", int8_t, PL_INT32, -128, 127, 0, -1);
  CHECK_DTYPE("I16", int16_t, PL_INT32, -32768, 32767, 0, -1);
  CHECK_DTYPE("I32", int32_t, PL_INT32, INT32_MIN, INT32_MAX, 0, -1);
  CHECK_DTYPE("I64", int64_t, PL_INT32, INT32_MIN, INT32_MAX, 0, -1);
  CHECK_DTYPE("U8", uint8_t, PL_UINT8, 0, 255, 1, 128);
  CHECK_DTYPE("U16", uint16_t, PL_INT32, 0, 65535, 1, 32768);
  CHECK_DTYPE("U32", uint32_t, PL_INT32, 0, INT32_MAX, 1, 65536);
  CHECK_DTYPE("U64", uint64_t, PL_INT32, 0, INT32_MAX, 1, 65536);
  CHECK_DTYPE("BOOL", uint8_t, PL_UINT8, 0, 1, 1, 0);
  const uint16_t halves[] = {0x3c00, 0xc000, 0x7bff, 0x0001},
                 others[] = {0x83ff, 0x0400, 0xfc00, 0x7e00};
  check_dtype("F16", 2, halves, PL_REAL, (const double[]){1, -2, 65504, 0x1p-24});
  check_dtype("F16", 2, others, PL_REAL,
              (const double[]){-1023 * 0x1p-24, 0x1p-14, -INFINITY, NAN});
  const uint16_t brains[] = {0x3f80, 0x4040, 0xff80, 0x7fc0};
  check_dtype("BF16", 2, brains, PL_REAL, (const double[]){1, 3, -INFINITY, NAN});
}

/* Many values go through the buffer in pieces. */
static void test_long_tensors_of_others(void **state) {
  (void)state;
  static uint16_t values[20000];
  for (int i = 0; i < 20000; i++) values[i] = (uint16_t)(i * 3);
  bytes *b = malloc(sizeof *b);
  assert_non_null(b);
  *b = foreign("U16", "[20000]", values, sizeof values);
  put(b);
  free(b);
  pl_archive *a = pl_archive_open(path);
  pl_tensor *t = nth(a, 0);
  for (int i = 0; i < 20000; i++) assert_true(pl_at(t, i) == (i * 3) % 65536);
  pl_archive_close(a);
}

/* The first tensor, or the message, which is `want`; it says whether the values were at fault. */
static pl_tensor *first(bool convert, const char *want) {
  bool unfit = false;
  pl_archive *a = pl_archive_open(path);
  pl_tensor *t = a ? pl_archive_tensor(a, 0, convert, &unfit) : NULL;
  pl_archive_close(a);
  if (want) {
    assert_null(t);
    assert_true(unfit);
    check_refused(want);
  } else assert_non_null(t);
  return t;
}

static void test_values_beyond(void **state) {
  (void)state;
  bytes b = foreign("I64", "[2,1,2]", (const int64_t[]){1, 2, 3, -2147483649}, 32);
  put(&b);
  first(false, "tensor 't' has the I64 value -2147483649 at [2,1,2], beyond int32; 'convert'");
  assert_true(pl_at(first(true, NULL), 3) == (double)(pl_real)-2147483649.0);
  b = foreign("U64", "[1]", (const uint64_t[]){UINT64_MAX}, 8);
  put(&b);
  first(false, "the U64 value 18446744073709551615 at [1], beyond int32");
  assert_true(pl_at(first(true, NULL), 0) == 0x1p64);
  b = foreign("U32", "[]", (const uint32_t[]){1u << 31}, 4);
  put(&b);
  first(false, "the U32 value 2147483648 at [], beyond int32");
  assert_int_equal(pl_dtype_of(first(true, NULL)), PL_REAL);
  b = foreign("BOOL", "[3]", "\1\0\7", 3);
  put(&b);
  first(false, "the BOOL value 7 at [3], neither 0 nor 1");
  first(true, "the BOOL value 7 at [3], neither 0 nor 1");
  b = foreign("F8_E4M3", "[3]", "abc", 3);
  put(&b);
  first(true, "tensor 't' is of dtype F8_E4M3, which cannot be read; 'skip' leaves it out");
  if (sizeof(pl_real) == 8) return;
  b = foreign("F64", "[2]", (const double[]){1, -1e300}, 16);
  put(&b);
  first(false, "the F64 value -1e+300 at [2], beyond float");
  assert_true(pl_at(first(true, NULL), 1) == -INFINITY);
}

static void test_spoilt_archives_of_others(void **state) {
  (void)state;
  static bytes b;
  const char *const names[] = {"F32", "F64", "F16", "BF16", "I64", "I32",  "I16",
                               "I8",  "U64", "U32", "U16",  "U8",  "BOOL", "F8_E5M2"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const int bits = atoi(names[i] + strcspn(names[i], "0123456789"));
    const size_t n = (size_t)(bits ? bits / 8 : 1) * 3;
    b = foreign(names[i], "[3]", (const unsigned char[24]){0}, n);
    cut_off(&b, read_archive);
    add_bytes(&b, read_archive);
    const int accepted = flip_bits(&b, read_archive);
    assert_true(accepted < (int)(n + (b.n - n) / 3) * 8);
    scramble(&b, read_archive);
  }
}

static void test_files_of_other_kinds(void **state) {
  (void)state;
  const char *const cases[][2] = {
      {"\x93NUMPY\1\0v\0{'descr'", "not a safetensors file, but a NumPy array"},
      {"PK\3\4\24\1\1\1\1\1", "but a zip archive"},
      {"\x80\2}q\1(X\6", "but a Python pickle"},
      {"{\"metadata\": {}}", "but JSON text"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put_file((const unsigned char *)cases[i][0], strlen(cases[i][0]) + 1);
    assert_null(pl_archive_open(path));
    check_refused(cases[i][1]);
  }
}

/*
** Files
*/

static void test_write_and_append(void **state) {
  (void)state;
  int64_t n = 0;
  assert_true(pl_file_write(path, "old", 3));
  assert_true(pl_file_write(path, "new text", 8));
  check_file("new text");
  assert_true(pl_file_append(path, "!", 1, true, &n) && n == 9);
  assert_true(pl_file_size(path, &n) && n == 9);
  assert_true(pl_file_truncate(path, 3));
  check_file("new");
  assert_true(pl_file_truncate(path, 0));
  check_file("");
  assert_false(pl_file_truncate(path, 1));
  check_refused("to 1 bytes: it has 0");
  unlink(path);
  assert_true(pl_file_append(path, "x", 1, false, &n) && n == 1);
  assert_int_equal(count_files(false), 1);
}

static void test_mode_of_new_files(void **state) {
  (void)state;
  struct stat st;
  mode_t was = umask(027);
  assert_true(pl_file_write(path, "x", 1));
  umask(was);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_read_limit(void **state) {
  (void)state;
  size_t n = 0;
  assert_true(pl_file_write(path, "12345", 5));
  char *data = pl_file_read(path, 5, &n);
  assert_int_equal(n, 5);
  assert_memory_equal(data, "12345", 5);
  free(data);
  assert_null(pl_file_read(path, 4, &n));
  check_refused("has 5 bytes, at most 4 were expected");
}

static void test_temporary_names_in_use(void **state) {
  (void)state;
  char name[128];
  snprintf(name, sizeof name, "%s.%ld.tmp", path, (long)getpid());
  FILE *f = fopen(name, "wb");
  fputs("another's", f);
  fclose(f);
  assert_true(pl_file_write(path, "mine", 4));
  check_file("mine");
  assert_int_equal(count_files(false), 2);
  assert_int_equal(access(name, F_OK), 0);
}

static void test_discarded_files(void **state) {
  (void)state;
  assert_true(pl_file_write(path, "old", 3));
  pl_newfile *f = pl_newfile_open(path);
  assert_true(pl_newfile_write(f, "new", 3));
  assert_int_equal(count_files(false), 2);
  pl_newfile_discard(f);
  pl_newfile_discard(NULL);
  assert_int_equal(count_files(false), 1);
  check_file("old");
}

static void test_places_that_cannot_be_written(void **state) {
  (void)state;
  char name[128];
  int64_t n;
  snprintf(name, sizeof name, "%s/none/file", folder);
  assert_false(pl_file_write(name, "x", 1));
  check_refused("No such file or directory");
  assert_false(pl_file_append(name, "x", 1, true, &n));
  check_refused("No such file or directory");
  assert_false(pl_file_write(folder, "x", 1));
  check_refused("cannot write");
  assert_false(pl_file_write("/dev/full", "x", 1));
  assert_non_null(strstr(pl_error(), "cannot write /dev/full: No space left on device"));
  pl_error_clear();
  assert_true(pl_file_write("/dev/null", "x", 1));
  assert_int_equal(count_files(false), 0);
}

static void limit_files(rlim_t bytes_) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes_;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No file may grow beyond 100 bytes: the disk is full in the middle of a write. */
static void test_full_disk(void **state) {
  (void)state;
  static char much[5000];
  int64_t n;
  memset(much, 'x', sizeof much);
  pl_tensor *t = pl_full(PL_REAL, pl_list(1000), 1), *image = pl_empty(PL_UINT8, pl_list(50, 50));
  pl_randint(image, 0, 255);
  assert_true(pl_file_write(path, "old text", 8));
  signal(SIGXFSZ, SIG_IGN);
  limit_files(100);
  bool written = pl_file_write(path, much, sizeof much);
  pl_error_clear();
  bool appended = pl_file_append(path, much, sizeof much, true, &n);
  pl_error_clear();
  bool saved = pl_archive_save(path, 1, (pl_named_tensor[]){{"t", t}}, 0, NULL, NULL);
  pl_error_clear();
  bool arrays = pl_npy_write(path, t);
  pl_error_clear();
  arrays = pl_npz_save(path, 1, (pl_named_tensor[]){{"t", t}}, false) || arrays;
  pl_error_clear();
  pl_normal(t, 0, 1); /* which cannot be packed into 100 bytes */
  arrays = pl_npz_save(path, 1, (pl_named_tensor[]){{"t", t}}, true) || arrays;
  pl_error_clear();
  bool listed = pl_csv_write(path, ',', 1, &(pl_csv_output){"t", t}, 1000, NULL, NULL);
  pl_error_clear();
  bool drawn = pl_image_write(path, image, 90);
  limit_files(RLIM_INFINITY);
  assert_false(written || appended || saved || arrays || listed || drawn);
  check_refused("File too large");
  check_file("old text");
  assert_int_equal(count_files(false), 1);
}

static void test_folders(void **state) {
  (void)state;
  char name[128];
  struct stat st;
  snprintf(name, sizeof name, "%s/a/b//c/", folder);
  assert_true(pl_folder_make(name));
  assert_true(pl_folder_make(name));
  assert_true(stat(name, &st) == 0 && S_ISDIR(st.st_mode));
  assert_true(pl_file_write(path, "x", 1));
  assert_false(pl_folder_make(path));
  check_refused("Not a directory");
  const char *const made[] = {"a/b/c", "a/b", "a"};
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "%s/%s", folder, made[i]);
    assert_int_equal(rmdir(name), 0);
  }
}

/*
** Batches of images
*/

static void test_batches(void **state) {
  (void)state;
  pl_tensor *images = pl_from(PL_UINT8, pl_list(2, 1, 3), (uint8_t[]){0, 51, 255, 10, 20, 30});
  pl_tensor *rows = pl_from(PL_INT32, pl_list(3), (int32_t[]){1, 2, 1});
  pl_random_state was = pl_random_get();
  pl_tensor *b = pl_image_batch(images, rows, 0.5, 0.5, false, 0);
  assert_true(pl_rank(b) == 4 && pl_size(b).v[0] == 3 && pl_size(b).v[1] == 1 &&
              pl_size(b).v[3] == 3);
  assert_true(pl_at(b, 0) == -1 && pl_at(b, 2) == 1 && pl_at(b, 8) == 1);
  assert_int_equal(pl_random_get().counter, was.counter);
  assert_non_null(pl_image_batch(images, rows, 0, 1, true, 1000));
  assert_int_equal(pl_random_get().counter, was.counter + 3);
  pl_random_set(was);
  assert_int_equal(pl_numel(pl_image_batch(images, pl_empty(PL_INT32, pl_list(0)), 0, 1, true, 0)),
                   0);
}

static void test_batches_refused(void **state) {
  (void)state;
  pl_tensor *images = pl_full(PL_UINT8, pl_list(2, 3, 3), 7);
  pl_tensor *rows = pl_from(PL_INT32, pl_list(2), (int32_t[]){1, 2});
  static const struct {
    double std;
    int shift;
    const char *want;
  } cases[] = {{0, 0, "std is 0"},
               {-1, 0, "std is -1"},
               {NAN, 0, "a positive number expected"},
               {1, -1, "shift is -1"},
               {1, 1001, "shift is 1001; 0 to 1000 expected"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_null(pl_image_batch(images, rows, 0, cases[i].std, false, cases[i].shift));
    if (!strstr(pl_error(), cases[i].want)) fail_msg("the message is: %s", pl_error());
    pl_error_clear();
  }
  assert_null(
      pl_image_batch(images, pl_from(PL_INT32, pl_list(1), (int32_t[]){3}), 0, 1, false, 0));
  assert_string_equal(pl_error(), "image_batch: row 1 is 3; 1 to 2 expected");
  pl_error_clear();
  assert_null(pl_image_batch(pl_full(PL_REAL, pl_list(2, 3, 3), 0), rows, 0, 1, false, 0));
  assert_non_null(strstr(pl_error(), "images are real[2,3,3]"));
  pl_error_clear();
  assert_null(pl_image_batch(images, pl_full(PL_REAL, pl_list(2), 1), 0, 1, false, 0));
  assert_non_null(strstr(pl_error(), "rows are real[2]"));
  pl_error_clear();
  assert_null(pl_image_batch(NULL, rows, 0, 1, false, 0));
}

/*
** Tables and arrays
*/

static const pl_csv_options comma = {',', true, 0, NULL};

static pl_csv *open_numbers(int rows) {
  static bytes b;
  b.n = 0;
  add(&b, "x,y\n", 4);
  for (int i = 0; i < rows; i++) add(&b, "1,2.5\n", 6);
  put(&b);
  pl_csv *c = pl_csv_open(path, &comma);
  for (int i = 0; c && i < 2; i++) pl_csv_choose(c, i, PL_CSV_GUESS, false);
  return c;
}

static void test_tables_in_pieces(void **state) {
  (void)state;
  pl_tensor *columns[2];
  pl_csv *c = open_numbers(5);
  assert_true(pl_csv_survey(c, -1));
  assert_int_equal(pl_csv_rows(c), 5);
  assert_int_equal(pl_csv_type_of(c, 0), PL_CSV_INT32);
  assert_int_equal(pl_csv_read(c, 3, columns), 3);
  assert_int_equal(pl_dtype_of(columns[1]), PL_REAL);
  assert_true(pl_at(columns[1], 2) == 2.5);
  assert_int_equal(pl_csv_read(c, 3, columns), 2);
  assert_int_equal(pl_csv_read(c, 3, columns), 0);
  pl_csv_close(c);
}

/* Nobody waits for the end of a file when a stop was asked for. */
static void test_reading_is_interrupted(void **state) {
  (void)state;
  bool unfit;
  pl_tensor *t = pl_full(PL_REAL, pl_list(10), 1);
  pl_csv *c = open_numbers(9);
  assert_true(pl_npz_save(path, 1, (pl_named_tensor[]){{"t", t}}, false));
  pl_archive *a = pl_archive_open(path);
  pl_interrupt();
  assert_false(pl_csv_survey(c, -1));
  assert_string_equal(pl_error(), "interrupted");
  pl_error_clear();
  assert_null(pl_archive_tensor(a, 0, false, &unfit));
  assert_false(unfit);
  pl_error_clear();
  assert_false(pl_csv_write(path, ',', 1, &(pl_csv_output){"t", t}, 10, NULL, NULL));
  assert_true(strstr(pl_error(), "interrupted"));
  pl_error_clear();
  const pl_named_tensor named = {"t", t};
  assert_false(pl_npz_save(path, 1, &named, true));
  assert_string_equal(pl_error(), "interrupted");
  pl_error_clear();
  assert_false(pl_archive_save(path, 1, &named, 0, NULL, &(pl_archive_reals){.dtype = "F16"}));
  assert_string_equal(pl_error(), "interrupted");
  pl_error_clear();
  assert_int_equal(count_files(false), 1);
  pl_interrupt_clear();
  assert_non_null(pl_archive_tensor(a, 0, false, &unfit));
  pl_archive_close(a);
  pl_csv_close(c);
}

static void test_tables_without_memory(void **state) {
  (void)state;
  pl_tensor *columns[2];
  pl_csv *c = open_numbers(9);
  assert_true(pl_csv_survey(c, -1));
  for (int n = 0; n < 2; n++) {
    pl_memory_fail_after(n);
    assert_true(pl_csv_read(c, 9, columns) < 0);
    pl_memory_fail_after(-1);
    assert_int_equal(pl_error_code(), PL_ERROR_MEMORY);
    pl_error_clear();
  }
  pl_csv_close(c);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(idx),
      TEST(spoilt_idx),
      TEST(idx_headers_that_lie),
      TEST(bombs),
      TEST(gzip_checksums),
      TEST(kinds_of_png),
      TEST(png_on_white),
      TEST(png_that_lie),
      TEST(spoilt_png),
      TEST(png_round_trips),
      TEST(archives),
      TEST(archives_refused),
      TEST(spoilt_archives),
      TEST(archives_of_all_dtypes),
      TEST(long_tensors_of_others),
      TEST(values_beyond),
      TEST(spoilt_archives_of_others),
      TEST(files_of_other_kinds),
      TEST(write_and_append),
      TEST(mode_of_new_files),
      TEST(read_limit),
      TEST(temporary_names_in_use),
      TEST(discarded_files),
      TEST(places_that_cannot_be_written),
      TEST(full_disk),
      TEST(folders),
      TEST(batches),
      TEST(batches_refused),
      TEST(tables_in_pieces),
      TEST(reading_is_interrupted),
      TEST(tables_without_memory),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
