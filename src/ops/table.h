/*
** table.h: the list of rows, which scripts/ops.py writes.
*/
#ifndef PERILUNE_TABLE_H
#define PERILUNE_TABLE_H

#include "../autograd/autograd.h"

/* In the order of the sources, NULL at the end; and in that of their names. */
extern const pl_op *const pl_rows[], *const pl_rows_sorted[];
extern const int pl_n_rows;

#endif
