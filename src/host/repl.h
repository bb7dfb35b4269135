/*
** repl.h: the interactive prompt of the program.
*/
#ifndef PERILUNE_REPL_H
#define PERILUNE_REPL_H

#include "perilune_host.h"

/* Reads, runs and prints until the end of the input. Raises no error. */
void pl_repl(pl_host *host);
/* Makes the next Ctrl-C stop the script, and the one after it kill the program. */
void pl_arm_interrupt(pl_host *host);

#endif
