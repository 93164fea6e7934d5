/* Records of the sockets programs, shared by bpf/progs/sockets.bpf.c and receivers/sockets.
 * Fixed-width fields in native byte order unless said otherwise. SPDX: GPL-2.0-only OR BSD-2-Clause
 */
#ifndef WEIR_EVENTS_SOCKETS_H
#define WEIR_EVENTS_SOCKETS_H

#include "bpf/events/owner.h"

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
	struct process_owner owner; /* called connect() or listen(), or was found to hold it at the
	                               start */
	event_u64
		cookie;  /* kernel's socket cookie, or another value unique for the socket's life */
	event_u64 at_ns; /* of this record, bpf_ktime_get_ns() */
	event_u64 started_ns;     /* SYN sent, or accepted; 0: before the programs were attached */
	event_u64 established_ns; /* 0: never, or not seen */
	event_u64 sent_bytes;     /* payload that the peer has acknowledged, delta */
	event_u64 received_bytes; /* payload, delta */
	event_u64 total_sent_bytes, total_received_bytes;
	event_u32 retransmitted_segments; /* delta */
	event_u32 total_retransmitted_segments;
	event_u32 srtt_us; /* smoothed; 0: no sample */
	event_u32 min_rtt_us;
	event_u32 netns;  /* inode of the network namespace */
	event_u16 family; /* AF_INET or AF_INET6; v4-mapped addresses are given as AF_INET */
	event_u16 local_port, remote_port;     /* host byte order */
	event_u16 error;                       /* sk_err when it closed: a positive errno, or 0 */
	event_u8 role;                         /* enum socket_role */
	event_u8 flags;                        /* enum sockets_flags */
	event_u8 state;                        /* TCP_ESTABLISHED, ... before this record */
	event_u8 resets_sent, resets_received; /* deltas, capped at 255 */
	event_u8 reserved[7];
	event_u8 local_address[16],
		remote_address[16]; /* network order; IPv4 in the first 4 bytes */
};

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
