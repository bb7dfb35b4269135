/*
** files.h: the files that a context's user holds open, of which there may be so many (pl_bound). What
** opens a file and closes it again within one call does not count it.
*/
#ifndef PERILUNE_FILES_H
#define PERILUNE_FILES_H

#include <stdbool.h>

struct pl_context;

/* Whether one more may be held, perhaps once there is less garbage; false with a message. */
bool pl_may_hold_file(void);
/* Counts one, in the context that is returned; NULL, with a message, if there are too many. */
struct pl_context *pl_hold_file(void);
/* Ends that, on any thread, before the context is closed. Accepts NULL. */
void pl_let_file_go(struct pl_context *holder);

#endif
