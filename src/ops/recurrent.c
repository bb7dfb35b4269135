/*
** recurrent.c: one layer of an LSTM or a GRU over a whole sequence, time-major. The input
** products of all steps are one matrix product; the recurrent ones are made step by step, each
** thread on its own part of the batch, with weights that are packed once. The gradient walks the
** sequence once, backwards, and leaves the products by the weights for the end, where they are one
** product each. The decomposition is the same cell, step by step, from
** elementary ops; it serves gradients of gradients.
*/
#include <string.h>

#include "ops.h"

enum { X, WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, H0, C0 };

typedef struct {
  int64_t t, b, i, h; /* steps, batch, inputs, units */
  int64_t gates;      /* rows of the weights: 4 h or 3 h */
} sizes;

static sizes sizes_of(const pl_args *c, int factor) {
  const pl_tensor *x = c->in[X];
  int64_t h = c->in[WEIGHT_HH]->size[1];
  return (sizes){x->size[0], x->size[1], x->size[2], h, factor * h};
}

/* Checks everything but c0 and creates y [t,b,h]. */
static bool layer_shape(pl_args *c, int factor) {
  if (!pl_need_real(c, X) || !pl_need_rank(c, X, 3) || !pl_need_rank(c, WEIGHT_HH, 2)) return false;
  sizes s = sizes_of(c, factor);
  if (!s.t || !s.b)
    return pl_op_fail(c, "x is %s: at least one step and one sequence expected",
                      PL_DESCRIBE(c->in[X]));
  return pl_need_size(c, WEIGHT_HH, pl_list(s.gates, s.h), X) &&
         pl_need_size(c, WEIGHT_IH, pl_list(s.gates, s.i), X) &&
         pl_need_size(c, BIAS_IH, pl_list(s.gates), WEIGHT_HH) &&
         pl_need_size(c, BIAS_HH, pl_list(s.gates), WEIGHT_HH) &&
         pl_need_size(c, H0, pl_list(s.b, s.h), X) &&
         pl_out(c, 0, PL_REAL, pl_list(s.t, s.b, s.h)) && pl_out(c, 1, PL_REAL, pl_list(s.b, s.h));
}

/* The initial state, dense: what was given, or zeros. */
static pl_tensor *state(pl_tensor *given, sizes s) {
  return given ? pl_contiguous(given) : pl_full(PL_REAL, pl_list(s.b, s.h), 0);
}

/* gates [t,b,gates] = x W' + bias for all steps. */
static bool input_products(const pl_args *c, sizes s, const pl_real *bias, pl_tensor *gates) {
  pl_tensor *x = pl_contiguous(c->in[X]), *w = pl_contiguous(c->in[WEIGHT_IH]);
  if (!x || !w) return false;
  int64_t rows = s.t * s.b;
  pl_gemm_job j = {.m = rows,
                   .n = s.gates,
                   .k = s.i,
                   .a = pl_reals(x),
                   .b = pl_reals(w),
                   .c = pl_reals(gates),
                   .lda = s.i,
                   .ldb = s.i,
                   .ldc = s.gates,
                   .tb = true};
  const pl_epilogue f = {.bias = bias, .slope = 1};
  if (bias) j.epilogue = &f;
  return pl_gemm(&j);
}

/*
** weight_hh [gates,h], packed to be multiplied by its transpose (as the steps do) or by itself (as
** their gradients do).
*/
static pl_real *packed(const pl_args *c, sizes s, bool transposed) {
  pl_tensor *w = pl_contiguous(c->in[WEIGHT_HH]);
  int64_t k = transposed ? s.h : s.gates, n = transposed ? s.gates : s.h;
  pl_tensor *packed = w ? pl_empty(PL_REAL, pl_list(PL_KERNELS(packed)->size(k, n))) : NULL;
  if (!packed) return NULL;
  PL_KERNELS(packed)->pack(k, n, pl_reals(w), s.h, transposed, pl_reals(packed));
  return pl_reals(packed);
}

/* The batch is cut into parts, one a thread, which need nothing of each other. */
static int parts_of(sizes s) {
  return (int)PL_MIN(pl_threads(0), s.b * s.h * s.gates < 20000 ? 1 : s.b);
}

/* y[steps before t] or the initial state. */
static const pl_real *before(const pl_real *y, const pl_real *initial, sizes s, int64_t t) {
  return t ? y + (t - 1) * s.b * s.h : initial;
}

static bool copy_last(pl_tensor *out, const pl_real *all, sizes s) {
  size_t n = (size_t)(s.b * s.h);
  memcpy(pl_reals(out), all + (s.t - 1) * s.b * s.h, n * sizeof(pl_real));
  return true;
}

/* Gradients by the weights, biases and inputs from those by the gates' arguments. */
typedef struct {
  pl_tensor *input, *hidden; /* by x W_ih' + b_ih and by h W_hh' + b_hh: [t,b,gates] */
  pl_tensor *h_before;       /* [t,b,h]: the state that each step began with */
} flows;

static bool weight_gradients(const pl_args *c, sizes s, flows f, unsigned needs_grad,
                             pl_tensor **gin) {
  int64_t rows = s.t * s.b;
  pl_tensor *gi = pl_reshape(f.input, pl_list(rows, s.gates));
  pl_tensor *gh = f.hidden == f.input ? gi : pl_reshape(f.hidden, pl_list(rows, s.gates));
  pl_tensor *x = pl_reshape(c->in[X], pl_list(rows, s.i));
  pl_tensor *h = pl_reshape(f.h_before, pl_list(rows, s.h));
  if (needs_grad >> X & 1) gin[X] = pl_reshape(pl_bmm(gi, c->in[WEIGHT_IH]), pl_size(c->in[X]));
  if (needs_grad >> WEIGHT_IH & 1) gin[WEIGHT_IH] = pl_bmm(pl_transpose(gi, 0, 1), x);
  if (needs_grad >> WEIGHT_HH & 1) gin[WEIGHT_HH] = pl_bmm(pl_transpose(gh, 0, 1), h);
  if (needs_grad >> BIAS_IH & 1) gin[BIAS_IH] = pl_sum(gi, pl_list(0), false);
  if (needs_grad >> BIAS_HH & 1) gin[BIAS_HH] = pl_sum(gh, pl_list(0), false);
  return !pl_error();
}

/* The states that the steps began with, as one tensor. */
static pl_tensor *states_before(const pl_args *c, sizes s, pl_tensor *initial) {
  pl_tensor *first = pl_reshape(initial, pl_list(1, s.b, s.h));
  if (s.t == 1) return first;
  return pl_cat(2, (pl_tensor *[]){first, pl_slice(c->out[0], 0, 0, s.t - 1, 1)}, 0);
}

/* The products of all steps, by the inputs and by the states. */
static double layer_flops(const pl_args *c) {
  const pl_tensor *w = c->in[WEIGHT_HH];
  sizes s = sizes_of(c, (int)(w->size[0] / PL_MAX(w->size[1], 1)));
  return 2.0 * (double)(s.t * s.b * s.gates) * (double)(s.i + s.h);
}

/* What flows into y at step t, plus what flows back from the step after it. */
static void add_rows(pl_real *sum, const pl_real *g, int64_t n) {
  if (g) PL_KERNELS(reduce)->accumulate(n, sum, g);
}

/*
** LSTM (Hochreiter and Schmidhuber 1997, with forget gates): gates i, f, g, o as PyTorch has them
**   c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c')
** Kept: the activated gates [t,b,4h] and the cells [t,b,h].
*/

static bool lstm_shape(pl_args *c) {
  if (!layer_shape(c, 4)) return false;
  sizes s = sizes_of(c, 4);
  return pl_need_size(c, C0, pl_list(s.b, s.h), X) && pl_out(c, 2, PL_REAL, pl_list(s.b, s.h));
}

/* The sum of both biases, or NULL. */
static bool joint_bias(const pl_args *c, sizes s, const pl_real **bias) {
  *bias = NULL;
  if (!c->in[BIAS_IH] && !c->in[BIAS_HH]) return true;
  pl_tensor *sum = pl_full(PL_REAL, pl_list(s.gates), 0);
  for (int i = BIAS_IH; i <= BIAS_HH && sum; i++) {
    pl_tensor *b = c->in[i] ? pl_contiguous(c->in[i]) : NULL;
    if (b) PL_KERNELS(reduce)->accumulate(s.gates, pl_reals(sum), pl_reals(b));
  }
  *bias = sum ? pl_reals(sum) : NULL;
  return !pl_error();
}

static bool lstm_forward(pl_args *c) {
  sizes s = sizes_of(c, 4);
  const pl_real *bias;
  pl_tensor *gates = pl_empty(PL_REAL, pl_list(s.t, s.b, s.gates));
  pl_tensor *cells = pl_empty(PL_REAL, pl_list(s.t, s.b, s.h));
  pl_tensor *h0 = state(c->in[H0], s), *c0 = state(c->in[C0], s);
  const pl_real *w = packed(c, s, true);
  if (!pl_save(c, 0, gates) || !pl_save(c, 1, cells) || !h0 || !c0 || !w) return false;
  if (!joint_bias(c, s, &bias) || !input_products(c, s, bias, gates)) return false;
  pl_real *g = pl_reals(gates), *cell = pl_reals(cells), *y = pl_reals(c->out[0]);
  const int parts = parts_of(s);
#pragma omp parallel for schedule(static) num_threads(parts)
  for (int p = 0; p < parts; p++) {
    const int64_t from = s.b * p / parts, n = s.b * (p + 1) / parts - from;
    for (int64_t t = 0; t < s.t; t++) {
      pl_real *gt = g + (t * s.b + from) * s.gates;
      const int64_t at = (t * s.b + from) * s.h;
      PL_KERNELS(packed)->product(n, s.gates, s.h, before(y, pl_reals(h0), s, t) + from * s.h, s.h,
                                  w, true, gt, s.gates);
      for (int64_t r = 0; r < n; r++)
        PL_KERNELS(recurrent)->lstm(s.h, gt + r * s.gates,
                                    before(cell, pl_reals(c0), s, t) + (from + r) * s.h,
                                    cell + at + r * s.h, y + at + r * s.h);
    }
  }
  return copy_last(c->out[1], y, s) && copy_last(c->out[2], cell, s);
}

static bool lstm_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                       pl_tensor **gin) {
  sizes s = sizes_of(c, 4);
  pl_tensor *gates = c->saved[0], *cells = c->saved[1];
  const pl_real *w = packed(c, s, false);
  pl_tensor *h0 = state(c->in[H0], s), *c0 = state(c->in[C0], s);
  pl_tensor *gy = gout[0] ? pl_contiguous(gout[0]) : NULL;
  pl_tensor *gh = gout[1] ? pl_clone(gout[1]) : pl_full(PL_REAL, pl_list(s.b, s.h), 0);
  pl_tensor *gc = gout[2] ? pl_clone(gout[2]) : pl_full(PL_REAL, pl_list(s.b, s.h), 0);
  pl_tensor *gg = pl_empty(PL_REAL, pl_list(s.t, s.b, s.gates));
  if (!w || !h0 || !c0 || !gh || !gc || !gg) return false;
  const pl_real *g = pl_reals(gates), *cell = pl_reals(cells);
  const int parts = parts_of(s);
#pragma omp parallel for schedule(static) num_threads(parts)
  for (int p = 0; p < parts; p++) {
    const int64_t from = s.b * p / parts, n = s.b * (p + 1) / parts - from;
    pl_real *dh = pl_reals(gh) + from * s.h, *dc = pl_reals(gc) + from * s.h;
    for (int64_t t = s.t - 1; t >= 0; t--) {
      const int64_t at = (t * s.b + from) * s.h;
      pl_real *gt = pl_reals(gg) + (t * s.b + from) * s.gates;
      add_rows(dh, gy ? pl_reals(gy) + at : NULL, n * s.h);
      for (int64_t r = 0; r < n; r++)
        PL_KERNELS(recurrent)->lstm_grad(s.h, g + (t * s.b + from + r) * s.gates,
                                         before(cell, pl_reals(c0), s, t) + (from + r) * s.h,
                                         cell + at + r * s.h, dh + r * s.h, dc + r * s.h,
                                         gt + r * s.gates);
      PL_KERNELS(packed)->product(n, s.h, s.gates, gt, s.gates, w, false, dh, s.h);
    }
  }
  if (needs_grad >> H0 & 1) gin[H0] = gh;
  if (needs_grad >> C0 & 1) gin[C0] = gc;
  return weight_gradients(c, s, (flows){gg, gg, states_before(c, s, h0)}, needs_grad, gin);
}

/* Columns k h up to (k + 1) h. */
static pl_tensor *gate(pl_tensor *all, int64_t k, int64_t h) {
  return pl_slice(all, 1, k * h, h, 1);
}

static pl_tensor *step_of(pl_tensor *sequence, int64_t t) { return pl_select(sequence, 0, t); }

static bool lstm_decompose(pl_args *c) {
  sizes s = sizes_of(c, 4);
  pl_tensor *h = c->in[H0] ? c->in[H0] : pl_full(PL_REAL, pl_list(s.b, s.h), 0);
  pl_tensor *cell = c->in[C0] ? c->in[C0] : pl_full(PL_REAL, pl_list(s.b, s.h), 0);
  pl_tensor *y = NULL;
  for (int64_t t = 0; t < s.t && h && cell; t++) {
    pl_tensor *gates =
        pl_add(pl_linear(step_of(c->in[X], t), c->in[WEIGHT_IH], c->in[BIAS_IH], PL_ACT_NONE, 0),
               pl_linear(h, c->in[WEIGHT_HH], c->in[BIAS_HH], PL_ACT_NONE, 0));
    pl_tensor *in = pl_mul(pl_sigmoid(gate(gates, 0, s.h)), pl_tanh(gate(gates, 2, s.h)));
    cell = pl_add(pl_mul(pl_sigmoid(gate(gates, 1, s.h)), cell), in);
    h = pl_mul(pl_sigmoid(gate(gates, 3, s.h)), pl_tanh(cell));
    pl_tensor *row = pl_reshape(h, pl_list(1, s.b, s.h));
    y = y ? pl_cat(2, (pl_tensor *[]){y, row}, 0) : row;
  }
  c->out[0] = y;
  c->out[1] = h;
  c->out[2] = cell;
  return !pl_error();
}

#define RECURRENT_INPUTS "x weight_ih weight_hh bias_ih? bias_hh? h0?"
PL_OP(
    lstm, .group = PL_GROUP_LAYERS, .inputs = RECURRENT_INPUTS " c0?",
    .doc =
        "one LSTM layer over a sequence x [t,b,i]: the states of all steps [t,b,h], the last state "
        "and the last cell [b,h]. weight_ih [4h,i], weight_hh [4h,h] and the biases [4h] hold the "
        "gates input, forget, cell, output in this order; h0 and c0 [b,h] are zeros if absent",
    .onnx = "lstm(x, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0)",
    .samples =
        "any[3,2,4] any[12,4] any[12,3] any[12] any[12] any[2,3] any[2,3]; any[1,1,2] any[8,2] "
        "any[8,2]",
    .outputs = 3, .shape = lstm_shape, .forward = lstm_forward, .decompose = lstm_decompose,
    .fused_gradient = lstm_fused, .flops = layer_flops);

/*
** GRU (Cho et al. 2014) as PyTorch has it: gates r, z, n
**   n = tanh(x_n + sigmoid(r) h_n),  h' = (1 - sigmoid(z)) n + sigmoid(z) h
** where x_n has b_ih and h_n = h W_n' + b_hh. Kept: the activated gates [t,b,3h] and h_n [t,b,h].
*/

static bool gru_shape(pl_args *c) { return layer_shape(c, 3); }

static bool gru_forward(pl_args *c) {
  sizes s = sizes_of(c, 3);
  pl_tensor *gates = pl_empty(PL_REAL, pl_list(s.t, s.b, s.gates));
  pl_tensor *hn = pl_empty(PL_REAL, pl_list(s.t, s.b, s.h));
  pl_tensor *hidden = pl_empty(PL_REAL, pl_list(s.b, s.gates));
  pl_tensor *h0 = state(c->in[H0], s);
  const pl_real *w = packed(c, s, true);
  pl_tensor *bi = c->in[BIAS_IH] ? pl_contiguous(c->in[BIAS_IH]) : NULL;
  pl_tensor *bh =
      c->in[BIAS_HH] ? pl_contiguous(c->in[BIAS_HH]) : pl_full(PL_REAL, pl_list(s.gates), 0);
  if (!pl_save(c, 0, gates) || !pl_save(c, 1, hn) || !hidden || !h0 || !w || !bh) return false;
  if (!input_products(c, s, bi ? pl_reals(bi) : NULL, gates)) return false;
  pl_real *g = pl_reals(gates), *y = pl_reals(c->out[0]);
  const int parts = parts_of(s);
#pragma omp parallel for schedule(static) num_threads(parts)
  for (int p = 0; p < parts; p++) {
    const int64_t from = s.b * p / parts, n = s.b * (p + 1) / parts - from;
    pl_real *ht = pl_reals(hidden) + from * s.gates;
    for (int64_t t = 0; t < s.t; t++) {
      const int64_t at = (t * s.b + from) * s.h;
      const pl_real *h = before(y, pl_reals(h0), s, t) + from * s.h;
      PL_KERNELS(packed)->product(n, s.gates, s.h, h, s.h, w, false, ht, s.gates);
      for (int64_t r = 0; r < n; r++)
        PL_KERNELS(recurrent)->gru(s.h, g + (t * s.b + from + r) * s.gates, ht + r * s.gates,
                                   pl_reals(bh), h + r * s.h, pl_reals(hn) + at + r * s.h,
                                   y + at + r * s.h);
    }
  }
  return copy_last(c->out[1], y, s);
}

static bool gru_fused(const pl_args *c, pl_tensor *const *gout, unsigned needs_grad,
                      pl_tensor **gin) {
  sizes s = sizes_of(c, 3);
  pl_tensor *h0 = state(c->in[H0], s);
  const pl_real *w = packed(c, s, false);
  pl_tensor *gy = gout[0] ? pl_contiguous(gout[0]) : NULL;
  pl_tensor *gh = gout[1] ? pl_clone(gout[1]) : pl_full(PL_REAL, pl_list(s.b, s.h), 0);
  pl_tensor *gi = pl_empty(PL_REAL, pl_list(s.t, s.b, s.gates));
  pl_tensor *gr = pl_empty(PL_REAL, pl_list(s.t, s.b, s.gates));
  if (!w || !h0 || !gh || !gi || !gr) return false;
  const pl_real *g = pl_reals(c->saved[0]), *hn = pl_reals(c->saved[1]), *y = pl_reals(c->out[0]);
  const int parts = parts_of(s);
#pragma omp parallel for schedule(static) num_threads(parts)
  for (int p = 0; p < parts; p++) {
    const int64_t from = s.b * p / parts, n = s.b * (p + 1) / parts - from;
    pl_real *dh = pl_reals(gh) + from * s.h;
    for (int64_t t = s.t - 1; t >= 0; t--) {
      const int64_t at = (t * s.b + from) * s.h, gate_at = (t * s.b + from) * s.gates;
      add_rows(dh, gy ? pl_reals(gy) + at : NULL, n * s.h);
      for (int64_t r = 0; r < n; r++)
        PL_KERNELS(recurrent)->gru_grad(s.h, g + gate_at + r * s.gates, hn + at + r * s.h,
                                        before(y, pl_reals(h0), s, t) + (from + r) * s.h,
                                        dh + r * s.h, pl_reals(gi) + gate_at + r * s.gates,
                                        pl_reals(gr) + gate_at + r * s.gates);
      PL_KERNELS(packed)->product(n, s.h, s.gates, pl_reals(gr) + gate_at, s.gates, w, true, dh,
                                  s.h);
    }
  }
  if (needs_grad >> H0 & 1) gin[H0] = gh;
  return weight_gradients(c, s, (flows){gi, gr, states_before(c, s, h0)}, needs_grad, gin);
}

static bool gru_decompose(pl_args *c) {
  sizes s = sizes_of(c, 3);
  pl_tensor *h = c->in[H0] ? c->in[H0] : pl_full(PL_REAL, pl_list(s.b, s.h), 0), *y = NULL;
  for (int64_t t = 0; t < s.t && h; t++) {
    pl_tensor *i =
        pl_linear(step_of(c->in[X], t), c->in[WEIGHT_IH], c->in[BIAS_IH], PL_ACT_NONE, 0);
    pl_tensor *k = pl_linear(h, c->in[WEIGHT_HH], c->in[BIAS_HH], PL_ACT_NONE, 0);
    pl_tensor *r = pl_sigmoid(pl_add(gate(i, 0, s.h), gate(k, 0, s.h)));
    pl_tensor *z = pl_sigmoid(pl_add(gate(i, 1, s.h), gate(k, 1, s.h)));
    pl_tensor *n = pl_tanh(pl_add(gate(i, 2, s.h), pl_mul(r, gate(k, 2, s.h))));
    h = pl_add(n, pl_mul(z, pl_sub(h, n)));
    pl_tensor *row = pl_reshape(h, pl_list(1, s.b, s.h));
    y = y ? pl_cat(2, (pl_tensor *[]){y, row}, 0) : row;
  }
  c->out[0] = y;
  c->out[1] = h;
  return !pl_error();
}

PL_OP(
    gru, .group = PL_GROUP_LAYERS, .inputs = RECURRENT_INPUTS,
    .doc =
        "one GRU layer over a sequence x [t,b,i]: the states of all steps [t,b,h] and the last "
        "state [b,h]. "
        "weight_ih [3h,i], weight_hh [3h,h] and the biases [3h] hold the gates reset, update, new "
        "in this "
        "order; h0 [b,h] is zeros if absent",
    .onnx = "gru(x, weight_ih, weight_hh, bias_ih, bias_hh, h0)",
    .samples = "any[3,2,4] any[9,4] any[9,3] any[9] any[9] any[2,3]; any[1,1,2] any[6,2] any[6,2]",
    .outputs = 2, .shape = gru_shape, .forward = gru_forward, .decompose = gru_decompose,
    .fused_gradient = gru_fused, .flops = layer_flops);
