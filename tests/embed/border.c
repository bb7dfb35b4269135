/*
** border.c: tensors that cross from C to scripts and back, from thread to thread, and from library to
** library. Through the public headers alone.
*/
#include <lua.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#if defined(__has_include)
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#define HAVE_DLPACK 1
#endif
#endif

enum { THREADS = 4 };

/* Whether something failed with a message in which `text` is. */
static void refused(bool failed_call, const char *text, const char *what) {
  const char *message = pl_error();
  check(failed_call && message && strstr(message, text), what);
  if (!message || !strstr(message, text)) printf("  %s\n", message ? message : "no message");
  pl_error_clear();
}

static void refused_by(pl_host *h, bool failed_call, const char *text, const char *what) {
  const char *message = pl_host_error(h);
  check(failed_call && message && strstr(message, text), what);
  if (!message || !strstr(message, text)) printf("  %s\n", message ? message : "no message");
}

static double sum(const pl_tensor *t) {
  double s = 0;
  for (int64_t i = 0; i < pl_numel(t); i++) s += pl_at(t, i);
  return s;
}

/*
** Borrowed memory
*/

static void count_release(void *n) { ++*(int *)n; }

static void test_borrow(void) {
  pl_real memory[12];
  int released = 0;
  for (int i = 0; i < 12; i++) memory[i] = (pl_real)i;
  const int64_t before = pl_memory_now().tensors;
  pl_scope_begin();
  pl_tensor *x = pl_borrow(memory, PL_REAL, pl_list(3, 4), NULL, count_release, &released);
  pl_tensor *view = pl_retain(pl_transpose(x, 0, 1));
  check(pl_data(x) == memory && pl_at(x, 5) == 5, "it is the same memory");
  memory[5] = 50;
  check(pl_at(x, 5) == 50 && pl_at(view, 4) == 50, "and so in views");
  check(pl_fill(x, 2) && memory[11] == 2, "what a tensor is given is in the memory");
  check(sum(pl_matmul(x, view)) == 144, "ops compute with it");
  pl_scope_end();
  check(released == 0, "a view keeps it");
  pl_release(view);
  check(released == 1 && pl_memory_now().tensors == before, "and its end is told once");
}

static void test_strides(void) {
  pl_real memory[6] = {0, 1, 2, 3, 4, 5};
  const int64_t backwards[] = {-1}, column[] = {1, 2}, windows[] = {1, 1}, far[] = {INT64_MAX / 2};
  pl_scope_begin();
  pl_tensor *x = pl_borrow(memory + 5, PL_REAL, pl_list(6), backwards, NULL, NULL);
  check(pl_at(x, 0) == 5 && pl_at(x, 5) == 0 && sum(pl_mul(x, x)) == 55, "strides go backwards");
  x = pl_borrow(memory, PL_REAL, pl_list(2, 3), column, NULL, NULL);
  check(pl_at(x, 1) == 2 && pl_at(x, 3) == 1, "and down columns");
  x = pl_borrow(memory, PL_REAL, pl_list(3, 4), windows, NULL, NULL);
  check(pl_at(x, 4) == 1 && pl_at(x, 11) == 5, "and over each other");
  refused(!pl_add_in_place(x, 1, NULL, 1), "is expanded", "but then nothing is written");
  refused(!pl_borrow(memory, PL_REAL, pl_list(3), far, NULL, NULL), "stride",
          "no stride is beyond all memory");
  refused(!pl_borrow(NULL, PL_REAL, pl_list(3), NULL, NULL, NULL), "no memory",
          "memory must be there");
  check(pl_borrow(NULL, PL_REAL, pl_list(0, 3), NULL, NULL, NULL) && !pl_error(),
        "but for no elements");
  refused(!pl_borrow((char *)memory + 1, PL_REAL, pl_list(1), NULL, NULL, NULL), "address",
          "elements begin at their multiples");
  refused(!pl_borrow(memory, PL_REAL, pl_list(-1), NULL, NULL, NULL), "size of dim 1",
          "sizes are sizes");
  pl_scope_end();
}

/* No callback before all has succeeded: then the memory is still the caller's. */
static void test_borrow_without_memory(void) {
  pl_real memory[2] = {1, 2};
  int released = 0, failures = 0;
  for (int n = 0; n < 3; n++) {
    pl_scope_begin();
    pl_memory_fail_after(n);
    failures += !pl_borrow(memory, PL_REAL, pl_list(2), NULL, count_release, &released);
    pl_memory_fail_after(-1);
    pl_error_clear();
    pl_scope_end();
  }
  check(failures == 2 && released == 1, "a failure leaves the memory with the caller");
}

/*
** Shared tensors
*/

static void test_read_only(void) {
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(2, 3), 3), *y = pl_share(x);
  check(pl_is_shared(x) && pl_is_shared(y) && pl_data(x) == pl_data(y), "one memory, shared");
  check(pl_share(y) == y, "what is shared is shared");
  check(sum(pl_add(y, y)) == 36 && pl_is_shared(pl_transpose(y, 0, 1)), "ops read it");
  refused(!pl_fill(x, 1), "read only", "nobody fills it");
  refused(!pl_set_at(y, 0, 1), "read only", "sets an element");
  refused(!pl_copy(pl_transpose(y, 0, 1), pl_transpose(x, 0, 1)), "read only",
          "copies into a view");
  refused(!pl_uniform(y, 0, 1), "read only", "draws into it");
  refused(!pl_add_in_place(x, 1, y, 1), "read only", "adds to it");
  refused(!pl_set_requires_grad(y, true), "read only", "trains it");
  const pl_sgd_step step = {.size = sizeof step, .lr = 1};
  refused(!pl_sgd(1, &x, &y, NULL, NULL, &step), "read only", "steps it");
  pl_tensor *own = pl_clone(y);
  check(pl_fill(own, 1) && !pl_is_shared(own), "but a clone");
  pl_tensor *w = pl_full(PL_REAL, pl_list(2, 3), 2);
  pl_set_requires_grad(w, true);
  check(pl_backward(pl_sum(pl_mul(w, y), PL_ALL_DIMS, false), NULL, false, false) &&
            pl_at(pl_grad_of(w), 0) == 3,
        "gradients flow beside it");
  pl_scope_end();
}

typedef struct {
  pl_tensor *shared;
  double found;
} reader;

/* Views, ops, graphs, retains and releases, in the thread's own context. */
static void *read_many(void *argument) {
  reader *r = argument;
  pl_threads(1);
  for (int i = 0; i < 300; i++) {
    pl_scope_begin();
    pl_tensor *w = pl_full(PL_REAL, pl_list(8, 8), 0.5), *kept = pl_retain(r->shared);
    pl_set_requires_grad(w, true);
    pl_tensor *y = pl_matmul(pl_transpose(kept, 0, 1), w);
    pl_backward(pl_sum(pl_mul(y, kept), PL_ALL_DIMS, false), NULL, i % 2, false);
    r->found += sum(pl_grad_of(w));
    pl_scope_end();
    pl_release(kept);
  }
  pl_release(r->shared);
  return NULL;
}

static void test_threads_read(void) {
  const int64_t before = pl_memory_now().tensors;
  pthread_t thread[THREADS];
  reader r[THREADS];
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(8, 8), 1), *shared = pl_share(x);
  for (int i = 0; i < THREADS; i++) r[i] = (reader){pl_retain(shared), 0};
  pl_scope_end();
  for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, read_many, &r[i]);
  bool equal = true;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(thread[i], NULL);
    equal = equal && r[i].found == 300 * 8 * 64;
  }
  check(equal, "threads read one tensor");
  check(pl_memory_now().tensors == before, "whose end counts where it was made");
}

/*
** Statistics
*/

static void test_stats(void) {
  pl_context *mine = pl_context_open(), *outer = pl_context_enter(mine);
  pl_stats s = {.size = sizeof s}, old = {.size = offsetof(pl_stats, graph_bytes)}, none = {0};
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(1000), 1);
  pl_set_requires_grad(x, true);
  pl_tensor *y = pl_exp(x);
  const int64_t one = 1000 * (int64_t)sizeof(pl_real);
  check(pl_stats_now(&s) && s.tensors >= 2 && s.tensor_bytes == 2 * one, "bytes of tensors");
  check(s.graph_bytes >= one && s.graph_bytes <= 2 * one, "and of a graph");
  check(s.op_seconds == 0 && s.lua_bytes == 0, "no profile, no Lua");
  pl_profile_start();
  pl_backward(pl_sum(y, PL_ALL_DIMS, false), NULL, false, false);
  pl_profile_stop();
  check(pl_stats_now(&s) && s.graph_bytes == 0 && s.op_seconds > 0, "which ends");
  pl_scope_end();
  check(pl_stats_now(&s) && s.tensor_bytes == 0 && s.peak_bytes >= 3 * one && s.cached_bytes > 0,
        "the peak stays");
  pl_peak_reset();
  check(pl_stats_now(&s) && s.peak_bytes == 0, "until it is reset");
  check(pl_stats_now(&old) && old.size == offsetof(pl_stats, graph_bytes) && !old.graph_bytes,
        "an older caller gets what it knows");
  refused(!pl_stats_now(&none), "size", "one without a size gets an error");
  pl_context_enter(outer);
  pl_context_close(mine);
}

/*
** Hosts
*/

static pl_host *open_with(const char *code) {
  pl_host *h = pl_host_open(NULL);
  if (!pl_host_run_string(h, code, "=border")) printf("%s\n", pl_host_error(h));
  return h;
}

static void test_stack(void) {
  pl_host *h = open_with("");
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_INT32, pl_list(2), 7);
  check(pl_host_push_tensor(h, x) && pl_host_push_tensor(h, NULL), "pushed");
  check(pl_host_to_tensor(h, -2) == x, "and read back");
  refused_by(h, !pl_host_to_tensor(h, -1), "got nil", "nil is no tensor");
  lua_setglobal(pl_host_lua(h), "nothing");
  lua_setglobal(pl_host_lua(h), "x");
  check(pl_host_run_string(h, "assert(nothing == nil and x:sum():item() == 14); x[1] = 1", "=t") &&
            pl_at(x, 0) == 1,
        "scripts see it, and write into it");
  pl_host_run_string(h, "pl = require 'perilune'; pl.tidy(function() y = pl.ones(2) end)", "=t");
  lua_getglobal(pl_host_lua(h), "y");
  refused_by(h, !pl_host_to_tensor(h, -1), "released", "a released one is none");
  pl_scope_end();
  pl_host_close(h);
}

static void test_calls(void) {
  pl_host *h = open_with(
      "pl = require 'perilune'\n"
      "game = {ai = {move = function(board, n) return board * n, 3, nil end}}\n"
      "function fails(x) return x + pl.ones(5) end\n"
      "function gives(x) return 'text' end\n"
      "function half(x) return x, {} end\n");
  pl_tensor *out[3];
  const int64_t before = pl_memory_now().tensors;
  pl_scope_begin();
  pl_tensor *in[] = {pl_full(PL_REAL, pl_list(2), 2), pl_full(PL_REAL, (pl_ints){0}, 5)};
  check(pl_host_call_tensors(h, "game.ai.move", 2, in, 3, out) && sum(out[0]) == 20 &&
            pl_rank(out[1]) == 0 && pl_at(out[1], 0) == 3 && !out[2],
        "tensors go in and come out");
  refused_by(h, !pl_host_call_tensors(h, "game.ai.stop", 0, NULL, 0, NULL),
             "game.ai.stop: there is no such global", "a function that is not there");
  refused_by(h, !pl_host_call_tensors(h, "game.me.move", 0, NULL, 0, NULL), "'move' is looked for",
             "in a table that is not there");
  refused_by(h, !pl_host_call_tensors(h, "fails", 1, in, 1, out) && !out[0], "add",
             "one that fails");
  refused_by(h, !pl_host_call_tensors(h, "gives", 1, in, 1, out), "result 1 is a string",
             "one that gives no tensor");
  refused_by(h, !pl_host_call_tensors(h, "half", 1, in, 2, out) && !out[0] && !out[1],
             "result 2 is a table", "or one of two");
  pl_fail("something before");
  refused_by(h, !pl_host_call_tensors(h, "half", 1, in, 1, out), "something before",
             "an error of the caller's goes on");
  pl_error_clear();
  pl_scope_end();
  pl_host_close(h);
  check(pl_memory_now().tensors == before, "nothing is left");
}

static const char network[] =
    "pl = require 'perilune'\n"
    "pl.threads(1)\n"
    "pl.manual_seed(1)\n"
    "local nn = pl.nn\n"
    "net = nn.Sequential {nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5),\n"
    "  nn.Linear(8, 2)}\n"
    "function predict(x) return pl.no_grad(net, x) end\n";

/* Layers that are ops alone need no Lua, and yet what a script changes counts. */
static void test_net_of_ops(void) {
  pl_host *h = open_with(
      "pl = require 'perilune'\n"
      "net = pl.nn.Sequential {pl.nn.Linear(4, 8), pl.nn.Tanh(), pl.nn.Linear(8, 2)}\n"
      "function layers(x) for _, l in ipairs(net) do x = l(x) end return x end\n");
  static const char *const changes[] = {
      "",
      "net[2] = pl.nn.LeakyReLU(0.3)",
      "net[2].slope = 0.6",
      "net[1]:register_forward_hook(function(_, _, y) return y * 3 end)",
      ("hook = net:register_forward_hook(function(_, _, y) return y + 1 end) "
       "plain = layers function layers(x) return plain(x) + 1 end"),
      "hook:remove() layers = plain",
      ("function net:forward(x) return layers(x) * 2 end layers_ = layers "
       "function layers(x) return layers_(x) * 2 end function net:forward(x) return layers(x) "
       "end")};
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(3, 4), 0.25), *y, *z;
  pl_net *net = pl_net_find(h, "net");
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    check(pl_host_run_string(h, changes[i], "=change"), "a network changes");
    for (int k = 0; k < 3; k++)
      check(pl_net_call(net, 1, &x, 1, &y) && pl_host_call_tensors(h, "layers", 1, &x, 1, &z) &&
                pl_allclose(y, z, 1e-5, 1e-6, false),
            changes[i]);
  }
  pl_net_close(net);
  pl_scope_end();
  pl_host_close(h);
}

static void test_net(const char *path) {
  pl_host *h = open_with(network), *empty = open_with("");
  pl_tensor *y = NULL, *z = NULL;
  pl_scope_begin();
  pl_tensor *x = pl_full(PL_REAL, pl_list(3, 4), 0.25);
  pl_net *net = pl_net_find(h, "net");
  check(net && pl_net_call(net, 1, &x, 1, &y) && pl_rank(y) == 2, "a network of a script's");
  check(pl_host_call_tensors(h, "predict", 1, &x, 1, &z) && pl_allclose(y, z, 0, 0, false),
        "evaluates");
  const int64_t made = pl_memory_now().tensors;
  for (int i = 0; i < 100; i++) {
    pl_scope_begin();
    pl_net_call(net, 1, &x, 1, &z);
    pl_scope_end();
  }
  check(pl_memory_now().tensors == made, "and leaves nothing");
  char code[400];
  snprintf(code, sizeof code, "pl.save('%s', net)", path);
  check(pl_host_run_string(h, code, "=save"), "it is saved");
  pl_net *loaded = pl_net_load(empty, path);
  check(loaded && pl_net_call(loaded, 1, &x, 1, &z) && pl_allclose(y, z, 0, 0, false),
        "and loaded without a line of Lua");
  check(pl_net_push(loaded) && lua_istable(pl_host_lua(empty), -1), "scripts get it");
  pl_tensor *wide = pl_full(PL_REAL, pl_list(3, 5), 1);
  refused_by(empty, !pl_net_call(loaded, 1, &wide, 1, &z), "linear", "a wrong shape is named");
  refused_by(empty, !pl_net_find(empty, "net"), "net: there is no such global", "so is a name");
  refused_by(h, !pl_net_find(h, "predict"), "network expected, got function", "and what it is");
  refused_by(h, !pl_net_load(h, "/nowhere.safetensors"), "/nowhere.safetensors", "and a file");
  pl_net_close(loaded);
  pl_net_close(net);
  pl_scope_end();
  pl_host_close(empty);
  pl_host_close(h);
  remove(path);
}

/* Host and network of a thread; all networks are one. */
typedef struct {
  pl_host *host;
  pl_net *net;
  double found;
} worker;

static void *answer(void *argument) {
  worker *w = argument;
  pl_tensor *y;
  for (int i = 0; i < 200; i++) {
    pl_scope_begin();
    pl_tensor *x = pl_full(PL_REAL, pl_list(3, 4), i % 7);
    if (pl_net_call(w->net, 1, &x, 1, &y)) w->found += sum(y);
    pl_scope_end();
  }
  pl_net_close(w->net);
  pl_host_close(w->host);
  return NULL;
}

static void test_share_net(void) {
  pl_host *h = open_with(network);
  pl_net *net = pl_net_find(h, "net");
  pthread_t thread[THREADS];
  worker w[THREADS], alone = {h, net, 0};
  const int64_t before = pl_memory_now().live_bytes;
  for (int i = 0; i < THREADS; i++) {
    w[i] = (worker){.host = open_with("require('perilune').threads(1)")};
    w[i].net = pl_net_share(net, w[i].host);
    if (!w[i].net) printf("%s\n", pl_host_error(w[i].host));
    pl_stats s = {.size = sizeof s};
    check(pl_host_stats(w[i].host, &s) && s.tensor_bytes < 100 && s.lua_bytes > 10000,
          "the weights are not the host's");
  }
  for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, answer, &w[i]);
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  check(!pl_host_run_string(h, "net[1].weight:fill_(0)", "=t") &&
            strstr(pl_host_error(h), "read only"),
        "a shared network is trained no more");
  answer(&alone);
  for (int i = 0; i < THREADS; i++)
    check(w[i].found == alone.found && w[i].found != 0, "all answer alike");
  check(pl_memory_now().live_bytes == before, "and nothing is left");
}

/* Memory that C lends to a host is told when the host's last tensor on it is gone. */
static void test_lend(void) {
  pl_real frame[4] = {1, 2, 3, 4};
  int released = 0;
  pl_host *h = open_with("function see(x) last = x:sum() end");
  pl_scope_begin();
  pl_tensor *x = pl_borrow(frame, PL_REAL, pl_list(4), NULL, count_release, &released);
  check(pl_host_call_tensors(h, "see", 1, &x, 0, NULL), "a frame is seen");
  pl_scope_end();
  check(pl_host_run_string(h, "collectgarbage() assert(last:item() == 10)", "=t") && released == 1,
        "and let go by the collector");
  pl_host_close(h);
}

/*
** DLPack
*/

#ifdef HAVE_DLPACK

static void test_dlpack_gives(void) {
  const int64_t before = pl_memory_now().tensors;
  pl_scope_begin();
  pl_tensor *x = pl_from(PL_INT32, pl_list(2, 3), (int32_t[]){1, 2, 3, 4, 5, 6});
  DLManagedTensor *m = pl_to_dlpack(pl_transpose(x, 0, 1));
  pl_scope_end();
  const DLTensor *t = &m->dl_tensor;
  check(t->ndim == 2 && t->shape[0] == 3 && t->strides[0] == 1 && t->strides[1] == 3 &&
            t->dtype.code == kDLInt && t->dtype.bits == 32 && t->dtype.lanes == 1 &&
            t->device.device_type == kDLCPU && t->byte_offset == 0 &&
            ((int32_t *)t->data)[t->strides[1]] == 4,
        "a view is given as it lies");
  m->deleter(m);
  check(pl_memory_now().tensors == before, "and taken back");
}

static void delete_given(DLManagedTensor *m) { ++*(int *)m->manager_ctx; }

static void test_dlpack_takes(void) {
  uint8_t bytes[8] = {9, 9, 1, 0, 1, 0, 0, 1};
  int64_t shape[] = {2, 3};
  int deleted = 0;
  DLManagedTensor m = {.dl_tensor = {.data = bytes,
                                     .device = {kDLCPU, 0},
                                     .ndim = 2,
                                     .dtype = {6, 8, 1}, /* bool, since 0.6 */
                                     .shape = shape,
                                     .byte_offset = 2},
                       .manager_ctx = &deleted,
                       .deleter = delete_given};
  pl_scope_begin();
  pl_tensor *x = pl_from_dlpack(&m);
  check(x && pl_dtype_of(x) == PL_UINT8 && sum(x) == 3 && pl_data(x) == bytes + 2,
        "bools are taken");
  check(deleted == 0, "and held");
  pl_scope_end();
  check(deleted == 1, "and given back");
  m.dl_tensor.dtype = (DLDataType){kDLFloat, 16, 1};
  refused(!pl_from_dlpack(&m), "float16", "other elements are named");
  m.dl_tensor.dtype = (DLDataType){kDLUInt, 8, 4};
  refused(!pl_from_dlpack(&m), "4 x uint8", "and vectors");
  m.dl_tensor.dtype.lanes = 1;
  m.dl_tensor.device.device_type = kDLCUDA;
  refused(!pl_from_dlpack(&m), "device 2", "and other devices");
  m.dl_tensor.device.device_type = kDLCPU;
  m.dl_tensor.ndim = 9;
  refused(!pl_from_dlpack(&m), "9 dimensions", "and ranks");
  check(deleted == 1, "what is refused stays the caller's");
}

#endif

/* Each way through both structs. */
static void test_dlpack_round(void) {
  const int64_t before = pl_memory_now().tensors;
  pl_scope_begin();
  pl_tensor *x = pl_arange(PL_REAL, 0, 1, 6), *s = pl_share(pl_arange(PL_REAL, 0, 1, 6));
  pl_tensor *y = pl_from_dlpack(pl_to_dlpack(x));
  check(y && pl_data(y) == pl_data(x) && pl_fill(y, 4) && sum(x) == 24, "one memory");
  y = pl_from_dlpack_versioned(pl_to_dlpack_versioned(s));
  refused(!pl_fill(y, 1), "read only", "what is read only stays so");
  refused(!pl_to_dlpack(s), "read only", "and is not given where that cannot be said");
  pl_set_requires_grad(x, true);
  refused(!pl_to_dlpack(x), "requires a gradient", "a gradient is not lost");
  pl_scope_end();
  check(pl_memory_now().tensors == before, "all ends");
}

static void *end_given(void *t) {
  pl_release(t);
  return NULL;
}

/* The last reference to what was given, and so the deleter, on another thread, beside this one. */
static void test_dlpack_elsewhere(void) {
  const int64_t before = pl_memory_now().tensors;
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    pl_scope_begin();
    pl_tensor *x = pl_arange(PL_REAL, 0, 1, 100);
    pl_tensor *y = pl_retain(pl_from_dlpack(pl_to_dlpack(x)));
    pl_scope_end();
    pl_scope_begin();
    x = pl_arange(PL_REAL, 0, 1, 100);
    pthread_create(&thread, NULL, end_given, y);
    for (int k = 0; k < 20; k++) pl_reshape(x, pl_list(10, 10));
    pl_scope_end();
    pthread_join(thread, NULL);
  }
  check(pl_memory_now().tensors == before, "a deleter comes on any thread");
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "border_net.safetensors";
  test_borrow();
  test_strides();
  test_borrow_without_memory();
  test_read_only();
  test_threads_read();
  test_stats();
  test_stack();
  test_calls();
  test_net_of_ops();
  test_net(path);
  test_share_net();
  test_lend();
#ifdef HAVE_DLPACK
  test_dlpack_gives();
  test_dlpack_takes();
#endif
  test_dlpack_round();
  test_dlpack_elsewhere();
  return count();
}
