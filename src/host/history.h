/*
** history.h: the lines typed in earlier sessions, kept in
** ${XDG_STATE_HOME:-~/.local/state}/perilune/history.
**
** One entry a line, with \n and \\ for newlines and backslashes inside it. Entries are
** appended as they are typed, so a killed session loses nothing and two at once mix
** well. Every failure is silent: a prompt without a history still works.
*/
#ifndef PERILUNE_HISTORY_H
#define PERILUNE_HISTORY_H

/* Gives the newest entries to `add`, oldest first; shortens a file that became long. */
void pl_history_load(void (*add)(const char *entry));
void pl_history_append(const char *entry);

#endif
