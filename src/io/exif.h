/*
** exif.h: which way up a photograph is.
*/
#ifndef PERILUNE_EXIF_H
#define PERILUNE_EXIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the data of an APP1 marker: 1 to 8, as EXIF counts; 1 (upright) where it does not say. */
int pl_exif_orientation(const unsigned char *data, size_t n);

#endif
