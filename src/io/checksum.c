/*
** checksum.c: CRC-32, by which a file shows that it has its bytes still.
*/
#include "io.h"

#include <zlib.h>

uint32_t pl_crc32(uint32_t crc, const void *data, size_t n) {
  return (uint32_t)crc32_z(crc, data, n);
}
