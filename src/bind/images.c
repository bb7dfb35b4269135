/*
** images.c: images in files (IDX, PNG, JPEG), and batches of them, as Lua functions.
*/
#include "io/io.h"

#include "bind.h"

static int io_read_idx(lua_State *L) {
  const char *path = plb_path(L, 1);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_idx_read(path));
  pl_scope_end();
  return *box ? 1 : plb_nil(L);
}

static int io_read_image(lua_State *L) {
  const char *path = plb_path(L, 1);
  const int channels = (int)plb_opt_whole(L, 2, 0);
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  plb_fill(L, box, pl_image_read(path, channels, 0, NULL));
  pl_scope_end();
  return *box ? 1 : plb_nil(L);
}

static int io_write_image(lua_State *L) {
  const char *path = plb_path(L, 1);
  const int quality = (int)plb_opt_whole(L, 3, 90);
  plb_check(L, 2);
  pl_scope_begin();
  const bool ok = pl_image_write(path, plb_hold_read(L, 2), quality);
  pl_scope_end();
  return plb_result(L, ok);
}

/* Their names in 0.1, each a function of its own, for messages say what was called. */
static int io_read_png(lua_State *L) { return io_read_image(L); }
static int io_write_png(lua_State *L) { return io_write_image(L); }

/* Bytes of the batch; 0 where the engine will refuse the tensors anyway. */
static size_t batch_bytes(const pl_tensor *images, const pl_tensor *rows) {
  const pl_ints size = pl_size(images);
  if (size.n < 3 || size.v[0] < 1) return 0;
  return (size_t)(pl_numel(images) / size.v[0] * pl_numel(rows)) * sizeof(pl_real);
}

static int io_image_batch(lua_State *L) {
  plb_check(L, 1), plb_check(L, 2);
  if (!lua_isnoneornil(L, 3)) plb_need(L, 3, LUA_TTABLE);
  const double mean = plb_number_option(L, 3, "image_batch", "mean", 0),
               std = plb_number_option(L, 3, "image_batch", "std", 1);
  const double shift = plb_number_option(L, 3, "image_batch", "shift", 0);
  const bool flip = plb_bool_option(L, 3, "flip", false);
  plb_make_room(L, batch_bytes(plb_check(L, 1), plb_check(L, 2)));
  pl_tensor **box = plb_newbox(L);
  pl_scope_begin();
  pl_tensor *images = plb_hold_read(L, 1), *rows = plb_hold_read(L, 2);
  plb_fill(L, box, pl_image_batch(images, rows, mean, std, flip, (int)shift));
  pl_scope_end();
  return *box ? 1 : plb_raise(L);
}

static const plb_function functions[] = {
    {"read_idx", io_read_idx,
     "(path)\nThe tensor in an IDX file, plain or compressed with gzip, or nil and a message."},
    {"read_image", io_read_image,
     "(path, channels?)\nA PNG or JPEG file as a uint8 tensor [h,w] or [h,w,c], or nil and a "
     "message; "
     "perilune.image.read calls it."},
    {"write_image", io_write_image,
     "(path, image, quality?)\nWrites an image as a PNG or JPEG file; true, or nil and a message; "
     "perilune.image.write calls it."},
    {"read_png", io_read_png, "(path)\nThe name of perilune.image.read in 0.1."},
    {"write_png", io_write_png, "(path, image)\nThe name of perilune.image.write in 0.1."},
    {"image_batch", io_image_batch,
     "(images, rows, options?)\nRows of uint8 images [n,h,w] or [n,h,w,3] as a real batch "
     "[b,c,h,w], (pixel / 255 - mean) / std. Options: mean, std, flip, shift. "
     "perilune.data.batches calls it."},
    {NULL, NULL, NULL}};

void plb_open_images(lua_State *L) { plb_add(L, "Files", functions, NULL); }
