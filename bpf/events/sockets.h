/* Records of the sockets programs, shared by bpf/progs/sockets.bpf.c and receivers/sockets.
 * Fixed-width fields in native byte order unless said otherwise. SPDX: GPL-2.0-only OR BSD-2-Clause
 */
#ifndef WEIR_EVENTS_SOCKETS_H
#define WEIR_EVENTS_SOCKETS_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t __sockets_u8;
typedef uint16_t __sockets_u16;
typedef uint32_t __sockets_u32;
typedef uint64_t __sockets_u64;
#else
typedef __u8 __sockets_u8;
typedef __u16 __sockets_u16;
typedef __u32 __sockets_u32;
typedef __u64 __sockets_u64;
#endif

enum { SOCKETS_NAME_LEN = 32 };

enum sockets_role { SOCKETS_ROLE_UNKNOWN, SOCKETS_ROLE_CLIENT, SOCKETS_ROLE_SERVER };

/* Who owns a socket: the process that called connect() or listen(), or was found to hold it at the
 * start. */
struct sockets_owner {
	__sockets_u32 pid; /* thread group id in the initial pid namespace; 0: not known */
	__sockets_u32 reserved;
	__sockets_u64 start_time_ns; /* of the process, since boot: tells re-used pids apart */
	__sockets_u64 cgroup_id;     /* cgroup v2 id */
	char executable[SOCKETS_NAME_LEN]; /* base name of the exe file, NUL-terminated; "" when not
	                                      known */
	char comm[16];
};

/* A connection's first record says OPENED or PREEXISTING, never both and no other record says so;
 * its last says CLOSED, which may be the first as well. A failed connect is one record that says
 * FAILED and none of these. A record without CLOSED may still follow the last one: it carries
 * at most a reset that was sent for the closed socket. Connected again after that, the same socket
 * begins anew, with the same cookie. */
enum sockets_flags {
	/* Established, and no earlier record of this socket said so: count it as opened. */
	SOCKETS_OPENED = 1,
	/* The last record of this socket. */
	SOCKETS_CLOSED = 2,
	/* Never established. error says why; 0: given up by the process itself, or refused by
	 * connect() at once, such as for want of a free port. What has no route at all fails before
	 * the kernel calls it a connection, and there is no record. */
	SOCKETS_FAILED = 4,
	/* Was established before the programs were attached: not counted as opened. */
	SOCKETS_PREEXISTING = 8,
	SOCKETS_RESET_SENT = 16,
	SOCKETS_RESET_RECEIVED = 32,
};

/* One socket at one moment: written by the walk for every socket with news since its last
 * record, and to the ring once when it closes. Every counter is the delta since the socket's
 * previous record, so adding up all records of a socket gives its totals; totals for the log record
 * are in total_*. */
struct sockets_record {
	struct sockets_owner owner;
	__sockets_u64
		cookie; /* kernel's socket cookie, or another value unique for the socket's life */
	__sockets_u64 at_ns;      /* of this record, bpf_ktime_get_ns() */
	__sockets_u64 started_ns; /* SYN sent, or accepted; 0: before the programs were attached */
	__sockets_u64 established_ns; /* 0: never, or not seen */
	__sockets_u64 sent_bytes;     /* payload that the peer has acknowledged, delta */
	__sockets_u64 received_bytes; /* payload, delta */
	__sockets_u64 total_sent_bytes, total_received_bytes;
	__sockets_u32 retransmitted_segments; /* delta */
	__sockets_u32 total_retransmitted_segments;
	__sockets_u32 srtt_us; /* smoothed; 0: no sample */
	__sockets_u32 min_rtt_us;
	__sockets_u32 netns;  /* inode of the network namespace */
	__sockets_u16 family; /* AF_INET or AF_INET6; v4-mapped addresses are given as AF_INET */
	__sockets_u16 local_port, remote_port; /* host byte order */
	__sockets_u16 error;                   /* sk_err when it closed: a positive errno, or 0 */
	__sockets_u8 role;                     /* enum sockets_role */
	__sockets_u8 flags;                    /* enum sockets_flags */
	__sockets_u8 state;                    /* TCP_ESTABLISHED, ... before this record */
	__sockets_u8 resets_sent, resets_received; /* deltas, capped at 255 */
	__sockets_u8 reserved[7];
	__sockets_u8 local_address[16],
		remote_address[16]; /* network order; IPv4 in the first 4 bytes */
};

_Static_assert(sizeof(struct sockets_owner) == 72, "shared with the kernel side");
_Static_assert(sizeof(struct sockets_record) == 208, "shared with the kernel side");

/* What the programs could not do, one counter each in a per-CPU array. */
enum sockets_loss {
	SOCKETS_LOSS_RING_FULL,   /* a closing socket's record found no room in the ring */
	SOCKETS_LOSS_RING_BYTES,  /* payload bytes (both ways) of those records */
	SOCKETS_LOSS_RING_RESETS, /* resets sent for closed sockets, whose records found no room */
	SOCKETS_LOSS_NO_STORAGE,  /* no memory for a socket's storage: the socket is not followed */
	SOCKETS_LOSS_NO_OWNER,    /* followed, but its process is not known */
	SOCKETS_LOSS_COUNT
};

#endif
