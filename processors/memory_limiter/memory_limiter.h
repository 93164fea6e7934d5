/* memory_limiter, private: how much memory there is to take percentages of. */
#ifndef WEIR_PROCESSORS_MEMORY_LIMITER_H
#define WEIR_PROCESSORS_MEMORY_LIMITER_H

#include "core/base/error.h"

#include <stdint.h>

/* The bytes this process may use: the smallest limit of its memory cgroups (v1 or v2, ancestors
 * included), or the machine's memory when that is less. root is put before the paths of /proc and
 * /sys: "" outside of tests. Fails with -ENODATA when not even the machine's memory is known. */
int memory_limiter_total(const char *root, uint64_t *ret, struct error *error);

#endif
