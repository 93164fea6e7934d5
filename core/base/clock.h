/* clock: nanoseconds. Monotonic for intervals and deadlines (the clock of bpf_ktime_get_ns()), real
 * for timestamps. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void); /* since 1970-01-01 UTC */

/* The wall time of a moment that was read from the monotonic clock, by the offset between both
 * clocks now. */
uint64_t clock_monotonic_to_realtime(uint64_t monotonic_ns);

#endif
