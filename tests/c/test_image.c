/*
** test_image.c: pictures and transforms as those call them who load pictures on threads of their own:
** without tensors, and without a context that they had before. What steps compute, the Lua tests ask.
*/
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/resize.h"

static char folder[40];
static pl_memory before;

static int set_up(void **state) {
  (void)state;
  const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(folder, sizeof folder, "%s/perilune-test-XXXXXX", base);
  before = pl_memory_now();
  pl_scope_begin();
  return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  pl_scope_end();
  const pl_memory after = pl_memory_now();
  assert_null(pl_error());
  assert_int_equal(after.tensors, before.tensors);
  assert_int_equal(after.live_bytes, before.live_bytes);
  return rmdir(folder);
}

static void fails(bool ok, const char *text) {
  assert_false(ok);
  assert_non_null(pl_error());
  assert_non_null(strstr(pl_error(), text));
  pl_error_clear();
}

/* A picture whose values all differ. */
static pl_picture ramp(int c, int h, int w) {
  pl_picture p;
  assert_true(pl_picture_new(&p, c, h, w));
  for (int i = 0; i < c * h * w; i++) p.v[i] = (float)i / (float)(c * h * w);
  return p;
}

static void assert_same(const pl_picture *a, const pl_picture *b) {
  assert_int_equal(a->c, b->c);
  assert_int_equal(a->h, b->h);
  assert_int_equal(a->w, b->w);
  assert_memory_equal(a->v, b->v, (size_t)a->c * (size_t)a->h * (size_t)a->w * sizeof(float));
}

/*
** Pictures
*/

static void test_memory(void **state) {
  (void)state;
  uint8_t bytes[2 * 3 * 3], back[sizeof bytes];
  pl_real row[sizeof bytes];
  pl_picture p;
  for (int i = 0; i < (int)sizeof bytes; i++) bytes[i] = (uint8_t)(i * 15);
  const pl_layout pixels = {PL_UINT8, 1, 9, 3};
  assert_true(pl_picture_get(&p, 3, 2, 3, bytes, pixels));
  assert_true(p.v[0] == 0 && p.v[1] == 45.f / 255 && p.v[6] == 15.f / 255);
  pl_picture_put(&p, back, pixels);
  assert_memory_equal(bytes, back, sizeof bytes);
  pl_picture_put(&p, row, pl_layout_row(PL_REAL, 2, 3));
  for (int i = 0; i < (int)sizeof bytes; i++) assert_true(row[i] == (pl_real)p.v[i]);
  pl_picture_free(&p);
  assert_null(p.v);
  pl_picture_free(&p);
}

static void test_values_that_no_byte_has(void **state) {
  (void)state;
  pl_picture p = ramp(1, 1, 4);
  uint8_t bytes[4];
  p.v[0] = -1, p.v[1] = 7, p.v[2] = 0.f / 0.f, p.v[3] = 0.5f;
  pl_picture_put(&p, bytes, pl_layout_row(PL_UINT8, 1, 4));
  assert_memory_equal(bytes, "\0\377\0\200", 4);
  pl_picture_free(&p);
}

static const char *written(const char *name, int h, int w) {
  static char path[80];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  pl_tensor *t = pl_empty(PL_UINT8, pl_list(h, w, 3));
  for (int64_t i = 0; i < pl_numel(t); i++) pl_set_at(t, i, (double)(i % 256));
  return pl_image_write(path, t, 90) ? path : NULL;
}

static void test_channels(void **state) {
  (void)state;
  const char *path = written("a.png", 5, 7);
  assert_non_null(path);
  for (int channels = 0; channels <= 4; channels++) {
    pl_picture p;
    if (channels == 2) continue;
    assert_true(pl_picture_read(&p, path, channels, 0));
    assert_int_equal(p.c, channels ? channels : 3);
    assert_int_equal(p.h, 5);
    assert_int_equal(p.w, 7);
    if (channels == 4) assert_true(p.v[3 * 5 * 7] == 1);
    pl_picture_free(&p);
  }
  remove(path);
}

static void test_smaller_jpegs(void **state) {
  (void)state;
  static const int sides[][2] = {{0, 48},  {49, 48}, {48, 48}, {25, 48}, {24, 24},
                                 {13, 24}, {12, 12}, {7, 12},  {6, 6},   {1, 6}};
  const char *path = written("a.jpg", 48, 64);
  if (!path) { /* this library was built without libjpeg */
    fails(false, "libjpeg");
    return;
  }
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
    pl_picture p;
    assert_true(pl_picture_read(&p, path, 0, sides[i][0]));
    assert_int_equal(p.h, sides[i][1]);
    assert_int_equal(p.w, sides[i][1] / 3 * 4);
    pl_picture_free(&p);
  }
  remove(path);
}

/* Of 61 columns, eighths have 7 and 5 parts of 8, that is, eight pixels. */
static void test_what_smaller_jpegs_cover(void **state) {
  (void)state;
  const char *path = written("a.jpg", 45, 61);
  pl_picture p;
  if (!path) { /* this library was built without libjpeg */
    fails(false, "libjpeg");
    return;
  }
  assert_true(pl_picture_read(&p, path, 0, 5));
  assert_int_equal(p.h, 6);
  assert_int_equal(p.w, 8);
  assert_true(p.window.top == 0 && p.window.left == 0);
  assert_true(p.window.h == 45 / 8.0 && p.window.w == 61 / 8.0);
  assert_true(pl_picture_resize(&p, 3, 8, (pl_resize){PL_RESIZE_BILINEAR, true}));
  assert_int_equal(p.h, 3);
  assert_int_equal(p.w, 8);
  assert_true(p.window.h == 3 && p.window.w == 8);
  pl_picture_free(&p);
  remove(path);
}

/* Column x of 12 has the value x + 1/2, that of its middle: so has what is made of a part. */
static void test_resizing_takes_the_window(void **state) {
  (void)state;
  static const int widths[] = {2, 5, 7, 12, 20};
  for (int mode = PL_RESIZE_BILINEAR; mode <= PL_RESIZE_NEAREST; mode++)
    for (int i = 0; i < 5; i++) {
      const int w = widths[i];
      pl_picture p;
      assert_true(pl_picture_new(&p, 1, 1, 12));
      for (int x = 0; x < 12; x++) p.v[x] = (float)x + 0.5f;
      p.window = (pl_window){0, 0.75, 1, 10.5};
      assert_true(pl_picture_resize(&p, 2, w, (pl_resize){(pl_resize_mode)mode, mode < 2}));
      assert_true(p.window.left == 0 && p.window.w == w && p.window.h == 2);
      for (int x = 0; x < w; x++) {
        const double place = 0.75 + 10.5 / w * (mode == PL_RESIZE_NEAREST ? x : x + 0.5),
                     room = mode < 2 && x > 1 && x < w - 2 ? 1e-3 : 1;
        assert_true(p.v[x] > place - room && p.v[x] < place + room);
      }
      pl_picture_free(&p);
    }
}

static void test_interrupted(void **state) {
  (void)state;
  pl_picture p;
  const char *path = written("a.jpg", 48, 64);
  if (!path) {
    fails(false, "libjpeg");
    return;
  }
  pl_interrupt();
  fails(pl_picture_read(&p, path, 0, 0), "interrupted");
  pl_interrupt_clear();
  assert_null(p.v);
  remove(path);
}

static void *interrupt_soon(void *context) {
  usleep(10000);
  pl_context_interrupt(context);
  return NULL;
}

/* Far into a large picture, whose bytes have moved in memory several times. */
static void test_writing_is_interrupted(void **state) {
  (void)state;
  pthread_t thread;
  char path[80];
  snprintf(path, sizeof path, "%s/a.jpg", folder);
  pl_tensor *t = pl_empty(PL_UINT8, pl_list(3000, 3000, 3));
  uint8_t *v = pl_data(t);
  for (int64_t i = 0; i < pl_numel(t); i++) v[i] = (uint8_t)(i * i >> 7);
  assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, pl_context_now()), 0);
  const bool ok = pl_image_write(path, t, 100);
  pthread_join(thread, NULL);
  pl_interrupt_clear();
  pl_error_clear();
  assert_int_equal(access(path, F_OK) == 0, ok);
  remove(path);
}

static void test_files_that_are_none(void **state) {
  (void)state;
  pl_picture p;
  fails(pl_picture_read(&p, "/nowhere.png", 0, 0), "cannot open /nowhere.png");
  assert_null(p.v);
  fails(pl_picture_decode(&p, "a photo", "GIF89a", 6, 0, 0), "a photo: not a PNG or JPEG file");
  assert_null(p.v);
  fails(pl_picture_new(&p, 3, 20000, 20000), "20000 x 20000 pixels asked for");
}

/*
** Transforms
*/

static const double eight = 8, half = 0.5;

static pl_transform *usual(void) {
  const pl_argument size = {NULL, 1, &eight, NULL, false}, area = {"mode", 0, NULL, "area", false},
                    brightness = {"brightness", 1, &half, NULL, false};
  const pl_argument crop[] = {size, area};
  const pl_step_call steps[] = {
      {"random_resized_crop", 2, crop}, {"random_flip", 0, NULL}, {"jitter", 1, &brightness}};
  return pl_transform_new(3, steps);
}

static void test_text(void **state) {
  (void)state;
  char text[300], little[8];
  pl_transform *t = usual();
  const int n = pl_transform_text(t, text, sizeof text);
  assert_string_equal(text,
                      "random_resized_crop(size = 8, scale = {0.08, 1}, ratio = {0.75, 1.33333}, "
                      "mode = \"area\", antialias = true), random_flip(p = 0.5, direction = "
                      "\"horizontal\"), jitter(brightness = 0.5)");
  assert_int_equal(n, strlen(text));
  assert_int_equal(pl_transform_text(t, little, sizeof little), n);
  assert_string_equal(little, "random_");
  assert_false(pl_transform_leaves_range(t));
  pl_transform_release(pl_transform_retain(t));
  pl_transform_release(t);
  pl_transform_release(NULL);
}

static void test_refused(void **state) {
  (void)state;
  const pl_argument wrong = {"sise", 1, &eight, NULL, false};
  const pl_step_call steps[] = {{"flip", 0, NULL}, {"resize", 1, &wrong}};
  fails(pl_transform_new(2, steps), "resize: unknown option 'sise'");
  fails(pl_transform_new(1, &(pl_step_call){"turn", 0, NULL}), "there is no step 'turn'");
}

enum { THREADS = 4, PICTURES = 20 };

typedef struct {
  const pl_transform *t;
  pl_picture out[PICTURES];
  bool failed;
} worker;

static void *work(void *user) {
  worker *w = user;
  for (int i = 0; i < PICTURES; i++) {
    w->out[i] = ramp(3, 20, 30);
    if (!pl_transform_run(w->t, &w->out[i], (uint64_t)i)) return NULL;
  }
  pl_picture small = ramp(1, 4, 4);
  const double nine = 9;
  const pl_argument size = {NULL, 1, &nine, NULL, false};
  pl_transform *crop = pl_transform_new(1, &(pl_step_call){"center_crop", 1, &size});
  w->failed = crop && !pl_transform_run(crop, &small, 0) && pl_error() &&
              strstr(pl_error(), "center_crop: 9 x 9 pixels of an image of 4 x 4");
  pl_transform_release(crop);
  pl_picture_free(&small);
  return NULL;
}

/* The key decides, on any thread; and what fails there is no failure here. */
static void test_threads(void **state) {
  (void)state;
  pl_transform *t = usual();
  worker here = {.t = t}, there[THREADS];
  pthread_t thread[THREADS];
  for (int i = 0; i < THREADS; i++) {
    there[i] = (worker){.t = t};
    assert_int_equal(pthread_create(&thread[i], NULL, work, &there[i]), 0);
  }
  for (int i = 0; i < PICTURES; i++) {
    here.out[i] = ramp(3, 20, 30);
    assert_true(pl_transform_run(t, &here.out[i], (uint64_t)i));
  }
  assert_memory_not_equal(here.out[0].v, here.out[1].v, 3 * 8 * 8 * sizeof(float));
  for (int i = 0; i < THREADS; i++) {
    pthread_join(thread[i], NULL);
    assert_true(there[i].failed);
    for (int k = 0; k < PICTURES; k++) assert_same(&here.out[k], &there[i].out[k]);
    for (int k = 0; k < PICTURES; k++) pl_picture_free(&there[i].out[k]);
  }
  for (int k = 0; k < PICTURES; k++) pl_picture_free(&here.out[k]);
  pl_transform_release(t);
  assert_null(pl_error());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_values_that_no_byte_has, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_channels, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_smaller_jpegs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_what_smaller_jpegs_cover, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_resizing_takes_the_window, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_interrupted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_writing_is_interrupted, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_files_that_are_none, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
