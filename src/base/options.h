/*
** options.h: structs of options that carry their size, which others fill: see perilune.h.
*/
#ifndef PERILUNE_OPTIONS_H
#define PERILUNE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
** Copies the options that a program gave into a struct of the library's, `known` bytes that begin
** with the size of the program's own; what that does not have is 0. False, with a message that
** names the function and the type, if it has no possible size, or sets what this library does not
** know. So a struct grows only behind its last byte: padding holds anything.
*/
bool pl_read_options(const char *who, const char *type, void *options, size_t known,
                     const void *given);
#define PL_READ_OPTIONS(who, type, options, given) \
  pl_read_options(who, #type, (options), sizeof *(options), (const type *)(given))

#endif
