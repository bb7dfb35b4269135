/*
** libm.h: the functions of the C library that elementwise.def calls. Who includes it says first, by
** PL_LIBM(name), in which precision: the kernels in that of a real, their test in double.
*/
#ifndef PERILUNE_LIBM_H
#define PERILUNE_LIBM_H

#define PL_SQRT  PL_LIBM(sqrt)
#define PL_FLOOR PL_LIBM(floor)
#define PL_CEIL  PL_LIBM(ceil)
#define PL_RINT  PL_LIBM(rint)
#define PL_TRUNC PL_LIBM(trunc)
#define PL_FMOD  PL_LIBM(fmod)
#define PL_TAN   PL_LIBM(tan)
#define PL_ASIN  PL_LIBM(asin)
#define PL_ACOS  PL_LIBM(acos)
#define PL_ATAN  PL_LIBM(atan)
#define PL_ATAN2 PL_LIBM(atan2)
#define PL_SINH  PL_LIBM(sinh)
#define PL_COSH  PL_LIBM(cosh)
#define PL_LOG2  PL_LIBM(log2)
#define PL_LOG10 PL_LIBM(log10)

#endif
