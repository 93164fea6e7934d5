/* random: numbers from the kernel's generator; for ids, seeds and jitter, not for keys. */
#ifndef WEIR_BASE_RANDOM_H
#define WEIR_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t random_u64(void);
void random_bytes(void *data, size_t len);

/* value spread evenly over value ± fraction * value; fraction in 0..1. Never negative. */
uint64_t random_jitter(uint64_t value, double fraction);

#endif
