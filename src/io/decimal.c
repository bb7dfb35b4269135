/*
** decimal.c: see decimal.h.
*/
#include "decimal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
** Reading
*/

/* A number, taken apart: mantissa 10^exponent, as far as 64 bits have the mantissa. */
typedef struct {
  uint64_t mantissa;
  int exponent;
  bool negative, exact, whole; /* whole: written as an integer */
} decimal;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Digits, from p on; says where they end. */
static const char *take_digits(const char *p, const char *end, decimal *d, int step) {
  for (; p < end && is_digit(*p); p++) {
    if (d->mantissa < 100000000000000000u) {
      d->mantissa = 10 * d->mantissa + (uint64_t)(*p - '0');
      d->exponent += step;
    } else {
      d->exact = false;
    }
  }
  return p;
}

/* e-5 */
static const char *take_exponent(const char *p, const char *end, decimal *d) {
  if (p == end || (*p != 'e' && *p != 'E')) return p;
  const char *from = ++p;
  const bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) from = ++p;
  int e = 0;
  for (; p < end && is_digit(*p); p++) e = e < 10000 ? 10 * e + (*p - '0') : e;
  d->exponent += negative ? -e : e;
  d->whole = false;
  return p > from ? p : NULL;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or behind the point. */
static bool take_apart(const char *p, const char *end, decimal *d) {
  *d = (decimal){.exact = true, .whole = true, .negative = p < end && *p == '-'};
  if (p < end && (*p == '-' || *p == '+')) p++;
  const char *first = p;
  p = take_digits(p, end, d, 0);
  size_t digits = (size_t)(p - first);
  if (p < end && *p == '.') {
    d->whole = false;
    first = ++p;
    p = take_digits(p, end, d, -1);
    digits += (size_t)(p - first);
  }
  if (digits == 0) return false;
  p = take_exponent(p, end, d);
  return p == end;
}

static bool is_infinity(const char *p, size_t n, double *value) {
  *value = n && *p == '-' ? -INFINITY : INFINITY;
  if (n && (*p == '-' || *p == '+')) p++, n--;
  return (n == 3 && strncasecmp(p, "inf", 3) == 0) ||
         (n == 8 && strncasecmp(p, "infinity", 8) == 0);
}

/* Products and quotients of a number of 53 bits and a power that is exact are rounded once (Clinger,
   How to Read Floating Point Numbers Accurately, 1990); others are the C library's. */
static double value_of(const char *text, const decimal *d, locale_t plain) {
  static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (!d->exact || d->mantissa > 1ull << 53 || d->exponent < -22 || d->exponent > 22)
    return strtod_l(text, NULL, plain);
  const double m = (double)d->mantissa;
  const double v = d->exponent < 0 ? m / power[-d->exponent] : m * power[d->exponent];
  return d->negative ? -v : v;
}

pl_decimal_kind pl_decimal_read(const char *text, size_t n, locale_t plain, double *value) {
  decimal d;
  if (!take_apart(text, text + n, &d))
    return is_infinity(text, n, value) ? PL_INFINITE : PL_NO_NUMBER;
  *value = value_of(text, &d, plain);
  return d.whole ? PL_WHOLE : PL_FRACTION;
}

/*
** Writing
*/

void pl_decimal_point(char *text) {
  char *at = text + strspn(text, "-0123456789");
  const char *rest = at + strcspn(at, "0123456789e");
  if (at == rest) return;
  *at = '.';
  memmove(at + 1, rest, strlen(rest) + 1);
}

size_t pl_decimal_print(pl_real v, char text[32]) {
  if (!isfinite(v))
    return (size_t)snprintf(text, 32, "%s", isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
  const int least = sizeof v == 4 ? 6 : 15, most = sizeof v == 4 ? 9 : 17;
  for (int digits = least; digits <= most; digits++) {
    snprintf(text, 32, "%.*g", digits, (double)v);
    if ((pl_real)strtod(text, NULL) == v) break; /* with the locale's sign in both */
  }
  pl_decimal_point(text);
  return strlen(text);
}
