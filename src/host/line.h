/*
** line.h: reads one line from a person: with editing, history and completion through
** libedit on a terminal, plainly elsewhere or in a build without libedit.
*/
#ifndef PERILUNE_LINE_H
#define PERILUNE_LINE_H

/*
** Completes `text`, the line up to the cursor: returns what to insert there and in *list
** what to show below it; both from malloc, or NULL.
*/
typedef char *(*pl_completer)(void *user, const char *text, int width, char **list);

typedef enum { PL_LINE_OK, PL_LINE_END, PL_LINE_INTERRUPTED } pl_line_status;

void pl_line_open(const char *program, pl_completer complete, void *user);
void pl_line_close(void);
/* On PL_LINE_OK, *line comes from malloc and has no newline. Ctrl-C abandons the line. */
pl_line_status pl_line_read(const char *prompt, char **line);
/* Adds an entry, which may have several lines, to the history. */
void pl_line_remember(const char *entry);

#endif
