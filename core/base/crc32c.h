/* crc32c: Castagnoli's checksum (RFC 3720, appendix B.4), by the processor's instruction where it has
 * one. */
#ifndef WEIR_BASE_CRC32C_H
#define WEIR_BASE_CRC32C_H

#include "core/base/slice.h"

/* Of the bytes behind those that before is the checksum of; 0 to begin. */
uint32_t crc32c(uint32_t before, struct slice bytes);

#endif
