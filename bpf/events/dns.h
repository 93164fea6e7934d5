/* Records of the dns programs, shared by bpf/progs/dns.bpf.c and receivers/dns. Fixed-width fields in
 * native byte order unless said otherwise. SPDX: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEIR_EVENTS_DNS_H
#define WEIR_EVENTS_DNS_H

#include "bpf/events/owner.h"

enum {
	DNS_MESSAGE_COPIED = 4096, /* bytes of a message or segment in one event, at most */
	DNS_QUESTION_COPIED = 260, /* a name of 255 bytes, type and class */
};

/* Both ends of an exchange, as its socket sees them. The server is the remote end of a client's, and
 * the local one of a server's. */
struct dns_flow {
	event_u64 cookie;                  /* of the socket */
	event_u32 netns;                   /* inode of the network namespace */
	event_u16 family;                  /* AF_INET or AF_INET6 as on the wire */
	event_u16 local_port, remote_port; /* host byte order */
	event_u8 role;                     /* enum socket_role: never UNKNOWN for UDP */
	event_u8 reserved[5];
	event_u8 local_address[16];  /* network order; IPv4 in the first 4 bytes */
	event_u8 remote_address[16]; /* the same; of a client over UDP: where the question went */
};

enum dns_event_kind { DNS_EVENT_ANSWER = 1, DNS_EVENT_SEGMENT };

/* A question over UDP and its answer, matched by socket, peer, id and question. */
struct dns_answer {
	event_u8 kind; /* DNS_EVENT_ANSWER */
	event_u8 flags;
	event_u16
		transmissions; /* of the question: 1, and one more for each time it was repeated */
	event_u32 length;      /* of the answer on the wire */
	event_u32 copied;      /* bytes of it that follow this head: all, or DNS_MESSAGE_COPIED */
	event_u16 other_port;  /* with DNS_ANSWER_OTHER_ADDRESS: where the answer came from */
	event_u16 question_length; /* with DNS_ANSWER_WITHOUT_QUESTION */
	event_u8 other_address[16];
	struct process_owner owner;
	struct dns_flow flow;
	event_u64 first_ns, last_ns; /* the question, first and last time, bpf_ktime_get_ns() */
	event_u64 answered_ns;
	event_u8 message[];
};

enum dns_answer_flags {
	/* It came from another address than was asked. The question stays open: an answer from the
	 * right one may follow, or it is told as unanswered. */
	DNS_ANSWER_OTHER_ADDRESS = 1,
	/* It repeats no question, and was matched without. Only its header is copied, and
	 * question_length bytes of the question that was asked follow, as in struct dns_pending: what
	 * is handed on as the message is both. */
	DNS_ANSWER_WITHOUT_QUESTION = 2,
};

/* One piece of a TCP connection's payload, in either direction, or its end. */
struct dns_segment {
	event_u8 kind; /* DNS_EVENT_SEGMENT */
	event_u8 flags;
	event_u16 reserved;
	event_u32 sequence; /* of the first byte */
	event_u32 length;   /* payload bytes on the wire that this event stands for */
	event_u32 copied;   /* of these, how many follow this head */
	struct process_owner owner;
	struct dns_flow flow;
	event_u64 at_ns;
	event_u8 bytes[];
};

enum dns_segment_flags {
	DNS_SEGMENT_SENT = 1,  /* by the local end */
	DNS_SEGMENT_FIRST = 2, /* of its direction: the programs saw the connection begin */
	DNS_SEGMENT_FIN = 4,
	DNS_SEGMENT_RESET = 8,
};

/* A question over UDP that waits for its answer: the value of a map of the programs, and what is told
 * when none has come. */
struct dns_pending {
	struct process_owner owner;
	struct dns_flow flow;
	event_u64 first_ns, last_ns;
	event_u16 transmissions;
	event_u16 id;
	event_u16 question_length; /* 0: it could not be read */
	event_u16 reserved;
	event_u8 question[DNS_QUESTION_COPIED]; /* name, type, class as they stood in the message */
	event_u32 reserved_end;
};

/* What the programs could not do, one counter each in a per-CPU array. */
enum dns_loss {
	DNS_LOSS_RING_FULL,    /* an answer found no room in the ring */
	DNS_LOSS_SEGMENT_FULL, /* a segment found none: its messages may be lost */
	DNS_LOSS_PENDING_FULL, /* no room or memory for a question: its answer will have no question */
	DNS_LOSS_NO_QUESTION, /* answers without an open question: late, repeated, forged, or asked
				  before the programs were attached */
	DNS_LOSS_NO_OWNER,    /* the process of a question is not known */
	DNS_LOSS_UNREADABLE,  /* packets on a watched port that are no DNS message or segment */
	DNS_LOSS_COUNT
};

_Static_assert(sizeof(struct dns_flow) == 56, "shared with the kernel side");
_Static_assert(sizeof(struct dns_answer) == 184, "shared with the kernel side");
_Static_assert(sizeof(struct dns_segment) == 152, "shared with the kernel side");
_Static_assert(sizeof(struct dns_pending) == 416, "shared with the kernel side");

#endif
