/* capability: what the kernel lets this thread do. */
#ifndef WEIR_BPF_HOST_CAPABILITY_H
#define WEIR_BPF_HOST_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets of capabilities as bit masks, bit n for capability n of linux/capability.h. */
struct capability_sets {
	uint64_t effective, permitted, bounding;
};

/* From /proc/thread-self/status. Returns 0 or a negative errno. */
int capability_read(struct capability_sets *ret);

/* "CAP_BPF", or NULL for a number without a name. */
const char *capability_name(unsigned number);

static inline bool capability_has(uint64_t set, unsigned number)
{
	return set >> number & 1;
}

/* Since 5.8 the kernel takes CAP_SYS_ADMIN for either of these too. */
bool capability_may_load_bpf(uint64_t effective);
bool capability_may_trace(uint64_t effective);

/* Writes "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are", "CAP_BPF is", or "" into text: what tracing
 * programs need and the set lacks; with net_admin, what those of cgroups need. */
const char *capability_missing(uint64_t effective, bool net_admin, char *text, size_t size);

/* Whether this process is in a user namespace of its own: the capabilities it has there count for
 * nothing where eBPF is concerned. */
bool capability_is_in_user_namespace(void);

#endif
