/*
** steps.h: the functions of the table's rows.
*/
#ifndef PERILUNE_STEPS_H
#define PERILUNE_STEPS_H

#include "transform.h"

/* resize.c */
pl_step_run pl_step_resize;
/* shape.c */
pl_step_run pl_step_flip, pl_step_random_flip;

#endif
