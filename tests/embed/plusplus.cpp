// plusplus.cpp: a C++ program that uses both headers, and their macros.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "perilune_host.h"

static void collect(void *user, int, const char *text, size_t size) {
  static_cast<std::string *>(user)->append(text, size);
}

static double sum_of(pl_tensor *t, pl_ints dim) {
  double value = NAN;
  pl_item(pl_sum(t, dim, false), &value);
  return value;
}

static bool engine() {
  const int64_t height = 2;
  const size_t width = 3;
  pl_tensor *x = pl_full(PL_REAL, pl_list(height, width), 2);
  pl_tensor *rows = pl_sum(x, pl_list(1), false);
  const pl_ints none = pl_list(), most = pl_list(1, 2, 3, 4, 5, 6, 7, 8);
  pl_sgd_step o = pl_sgd_step();
  o.size = sizeof o;
  o.lr = 0.5;
  return sum_of(x, PL_ALL_DIMS) == 12 && sum_of(rows, pl_none) == 12 && none.n == 0 &&
         most.n == PL_MAX_RANK && most.v[7] == 8 && pl_sgd(1, &x, &x, nullptr, nullptr, &o) &&
         sum_of(x, PL_ALL_DIMS) == 6 && !pl_add(x, pl_transpose(x, 0, 1)) &&
         pl_error_code() == PL_ERROR;
}

static bool host() {
  std::string output;
  pl_host_options o = pl_host_options();
  o.size = sizeof o;
  o.write = collect;
  o.user = &output;
  pl_host *h = pl_host_open(&o);
  const bool ran = h && pl_host_run_string(h, "print(#require 'perilune'.ones(3))", "=plus");
  pl_host_close(h);
  return ran && output == "3\n";
}

int main() {
  pl_scope_begin();
  const bool good = engine();
  pl_error_clear();
  pl_scope_end();
  const bool both = host() && good && !std::strcmp(pl_version(), PL_VERSION);
  std::puts(both ? "1 passed, 0 failed" : "0 passed, 1 failed");
  return !both;
}
