/*
** decimal.h: numbers as decimal text, the same in every locale.
*/
#ifndef PERILUNE_DECIMAL_H
#define PERILUNE_DECIMAL_H

#include <locale.h>

#include "io.h"

typedef enum { PL_NO_NUMBER, PL_WHOLE, PL_FRACTION, PL_INFINITE } pl_decimal_kind;

/* [+-] digits [. digits] [e [+-] digits] with a digit before or behind the point, or inf or infinity.
   `plain` is the locale C. A byte that is no part of a number must follow the n of the text. PL_WHOLE: there
   is neither a point nor an exponent. */
pl_decimal_kind pl_decimal_read(const char *text, size_t n, locale_t plain, double *value);
/* Writes as few digits as give the same bits again; or nan, inf, -inf. Says how many. */
size_t pl_decimal_print(pl_real v, char text[32]);

#endif
