/* Who owns a socket, as the programs see it and the receivers are told. SPDX: GPL-2.0-only OR
 * BSD-2-Clause */
#ifndef WEIR_EVENTS_OWNER_H
#define WEIR_EVENTS_OWNER_H

#include "bpf/events/types.h"

enum { OWNER_NAME_LEN = 32 };

struct process_owner {
	event_u32 pid; /* thread group id in the initial pid namespace; 0: not known */
	event_u32 reserved;
	event_u64 start_time_ns;         /* of the process, since boot: tells re-used pids apart */
	event_u64 cgroup_id;             /* cgroup v2 id */
	char executable[OWNER_NAME_LEN]; /* base name of the exe file, NUL-terminated; "" when not
	                                    known */
	char comm[16];
};

enum socket_role { ROLE_UNKNOWN, ROLE_CLIENT, ROLE_SERVER };

_Static_assert(sizeof(struct process_owner) == 72, "shared with the kernel side");

#endif
