/*
** recurrent.c: a step of an LSTM or GRU cell for one row of the batch (Hochreiter and Schmidhuber
** 1997; Cho et al. 2014), once its matrix products are made.
**
**   gates   | i ... | f ... | g ... | o ... |   each n elements, of one row; GRU: | r | z | m |
**
**   LSTM   c' = f c + i g                  h' = o tanh(c')    i, f, o by sigmoid, g by tanh
**   GRU    m = tanh(m + r (W h + b))       h' = m + z (h - m)  r, z by sigmoid
*/
#include "../kernels.h"
#include "../math/scalar.h"

static void lstm(ptrdiff_t n, pl_real *restrict gates, const pl_real *restrict c_before,
                 pl_real *restrict c, pl_real *restrict h) {
  pl_real *restrict i = gates, *restrict f = i + n, *restrict g = f + n, *restrict o = g + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    i[k] = PL_SIGMOID(i[k]);
    f[k] = PL_SIGMOID(f[k]);
    g[k] = PL_TANH(g[k]);
    o[k] = PL_SIGMOID(o[k]);
    c[k] = f[k] * c_before[k] + i[k] * g[k];
    h[k] = o[k] * PL_TANH(c[k]);
  }
}

static void lstm_grad(ptrdiff_t n, const pl_real *restrict gates, const pl_real *restrict c_before,
                      const pl_real *restrict c, const pl_real *restrict gh, pl_real *restrict gc,
                      pl_real *restrict ggates) {
  const pl_real *restrict i = gates, *restrict f = i + n, *restrict g = f + n, *restrict o = g + n;
  pl_real *restrict gi = ggates, *restrict gf = gi + n, *restrict gg = gf + n,
                    *restrict go = gg + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    const pl_real t = PL_TANH(c[k]), d = gc[k] + gh[k] * o[k] * (1 - t * t);
    go[k] = gh[k] * t * o[k] * (1 - o[k]);
    gi[k] = d * g[k] * i[k] * (1 - i[k]);
    gf[k] = d * c_before[k] * f[k] * (1 - f[k]);
    gg[k] = d * i[k] * (1 - g[k] * g[k]);
    gc[k] = d * f[k];
  }
}

static void gru(ptrdiff_t n, pl_real *restrict gates, const pl_real *restrict hidden,
                const pl_real *restrict bias, const pl_real *restrict h_before,
                pl_real *restrict hn, pl_real *restrict h) {
  pl_real *restrict r = gates, *restrict z = r + n, *restrict m = z + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    r[k] = PL_SIGMOID(r[k] + hidden[k] + bias[k]);
    z[k] = PL_SIGMOID(z[k] + hidden[n + k] + bias[n + k]);
    hn[k] = hidden[2 * n + k] + bias[2 * n + k];
    m[k] = PL_TANH(m[k] + r[k] * hn[k]);
    h[k] = m[k] + z[k] * (h_before[k] - m[k]);
  }
}

static void gru_grad(ptrdiff_t n, const pl_real *restrict gates, const pl_real *restrict hn,
                     const pl_real *restrict h_before, pl_real *restrict gh,
                     pl_real *restrict ginput, pl_real *restrict ghidden) {
  const pl_real *restrict r = gates, *restrict z = r + n, *restrict m = z + n;
  for (ptrdiff_t k = 0; k < n; k++) {
    const pl_real gm = gh[k] * (1 - z[k]) * (1 - m[k] * m[k]);
    ginput[k] = ghidden[k] = gm * hn[k] * r[k] * (1 - r[k]);
    ginput[n + k] = ghidden[n + k] = gh[k] * (h_before[k] - m[k]) * z[k] * (1 - z[k]);
    ginput[2 * n + k] = gm;
    ghidden[2 * n + k] = gm * r[k];
    gh[k] *= z[k];
  }
}

const pl_recurrent_kernels PL_ISA_NAME(pl_recurrent_kernels) = {
    .lstm = lstm, .lstm_grad = lstm_grad, .gru = gru, .gru_grad = gru_grad};
