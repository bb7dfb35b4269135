/*
** bad_ops.c: libraries of ops that cannot be loaded, one for each CASE.
*/
#include "perilune.h"

#define NO_ENTRY     1
#define FAILS        2
#define OTHER_REALS  3
#define NEWER        4
#define SILENT       5
#define NO_OP        6
#define LOADS_ITSELF 7
#define TAKEN_LATER  8
#define UNKNOWN      9

static bool decompose(pl_args *c) { return pl_set_output(c, 0, pl_neg(pl_input(c, 0))); }

static pl_op_spec spec_of(const char *name) {
  return (pl_op_spec){.size = sizeof(pl_op_spec),
                      .name = name,
                      .inputs = "x",
                      .samples = "any[2]",
                      .decompose = decompose};
}

#if CASE == NO_ENTRY
bool pl_ops_opened(void);
bool pl_ops_opened(void) { return spec_of("bad.op").size > 0; }
#else
bool pl_ops_open(void) {
  pl_op_spec good = spec_of("bad.good"), bad = spec_of("bad.bad");
  (void)good, (void)bad;
#if CASE == FAILS
  bad.attrs = "k:flot";
  return pl_op_new(&good) && pl_op_new(&bad);
#elif CASE == OTHER_REALS
  return pl_op_register(&good, sizeof(pl_real) == 4 ? 8 : 4) != NULL;
#elif CASE == NEWER
  struct {
    pl_op_spec spec;
    void *more;
  } newer = {good, &bad};
  newer.spec.size = sizeof newer;
  return pl_op_new(&newer.spec) != NULL;
#elif CASE == SILENT
  return pl_op_new(&good) && bad.size == 0;
#elif CASE == NO_OP
  return good.size == bad.size;
#elif CASE == LOADS_ITSELF
  return pl_op_new(&good) && pl_load_ops(SELF, 0, NULL) > 0;
#elif CASE == TAKEN_LATER
  good.name = "size", bad.name = "bad.fine";
  return pl_op_new(&good) && pl_op_new(&bad);
#elif CASE == UNKNOWN
  bool pl_function_of_tomorrow(void);
  return pl_function_of_tomorrow();
#endif
}
#endif
