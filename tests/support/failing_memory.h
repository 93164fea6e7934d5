/* failing_memory: allocations that fail on demand, in programs that link weir_failing_memory. Only
 * weir's own calls are counted, not those inside shared libraries. */
#ifndef WEIR_TESTS_FAILING_MEMORY_H
#define WEIR_TESTS_FAILING_MEMORY_H

#include <stdbool.h>

/* From now on the n-th allocation (from 1) fails, and only that one. */
void failing_memory_arm(unsigned long n);

/* Allocations succeed again. True when one has failed since failing_memory_arm(). */
bool failing_memory_disarm(void);

#endif
