/* Integers of records that programs and receivers share: native byte order, the same size on both
 * sides. SPDX: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_EVENTS_TYPES_H
#define WEIR_EVENTS_TYPES_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t event_u8;
typedef uint16_t event_u16;
typedef uint32_t event_u32;
typedef uint64_t event_u64;
#else
typedef __u8 event_u8;
typedef __u16 event_u16;
typedef __u32 event_u32;
typedef __u64 event_u64;
#endif

#endif
