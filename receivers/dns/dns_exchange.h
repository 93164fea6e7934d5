/* dns_exchange: from the events of the kernel half to exchanges: one question, and the answer that it
 * got or did not get. Reads the messages, puts those over TCP together and matches them by id and
 * question. Pure: no I/O, no BPF, no clock. */
#ifndef WEIR_RECEIVERS_DNS_EXCHANGE_H
#define WEIR_RECEIVERS_DNS_EXCHANGE_H

#include "bpf/events/dns.h"
#include "core/base/address.h"
#include "core/l7/dns.h"

enum dns_transport { DNS_UDP, DNS_TCP };

/* How it ended, beside the answer's code. */
enum dns_ending {
	DNS_ANSWERED,  /* rcode says how */
	DNS_TIMEOUT,   /* no answer within the timeout, or before the connection ended */
	DNS_TRUNCATED, /* the answer says that it did not fit (TC); a client asks again over TCP */
	DNS_MALFORMED, /* the answer, or over TCP the question, is no message that can be read */
};

struct dns_exchange {
	const struct process_owner *owner; /* of the local end */
	enum dns_transport transport;
	enum socket_role role;
	uint32_t netns;
	struct address server, client;
	uint16_t server_port, client_port;
	uint64_t first_ns, last_ns; /* asked, first and last time; CLOCK_MONOTONIC */
	uint64_t answered_ns;       /* 0: DNS_TIMEOUT */
	unsigned transmissions;     /* of the question */
	bool other_address;         /* the answer came from another address than was asked */

	enum dns_ending ending;
	struct slice question; /* as dns_name() writes it; "" when it could not be read */
	uint16_t type, class;
	unsigned rcode; /* of DNS_ANSWERED and DNS_TRUNCATED */
	uint16_t id;
	struct slice
		answer; /* the message, or as much of it as was copied; nothing of DNS_TIMEOUT */
	size_t answer_length; /* on the wire */
};

/* From the question to the answer; of a question that was repeated, from the first time. 0 of
 * DNS_TIMEOUT. */
uint64_t dns_exchange_duration_ns(const struct dns_exchange *e);

/* "timeout", "truncated", "malformed", "server_failure", "name_error", "refused", "format_error",
 * "not_implemented", ...; NULL: all is well. */
const char *dns_exchange_error(const struct dns_exchange *e);

struct dns_exchanges;

struct dns_exchanges_limits {
	size_t max_streams; /* TCP connections that are followed at once; beyond, the longest silent one
			       is let go, and counted */
	size_t max_open; /* questions of one connection that wait for their answers */
	uint64_t timeout_ns;
};

/* on_exchange: everything it is given is valid during the call. NULL: no memory. */
struct dns_exchanges *
dns_exchanges_new(const struct dns_exchanges_limits *limits,
                  void (*on_exchange)(void *arg, const struct dns_exchange *e), void *arg);
void dns_exchanges_free(struct dns_exchanges *x); /* takes NULL */

/* Events, as struct dns_kernel_handler gets them. */
void dns_exchanges_answer(struct dns_exchanges *x, const struct dns_answer *answer,
                          struct slice message);
void dns_exchanges_unanswered(struct dns_exchanges *x, const struct dns_pending *pending);
void dns_exchanges_segment(struct dns_exchanges *x, const struct dns_segment *segment,
                           struct slice bytes);

/* Tells the questions over TCP that were asked before before_ns as unanswered. */
void dns_exchanges_sweep(struct dns_exchanges *x, uint64_t before_ns);

struct dns_exchanges_stats {
	size_t streams;
	uint64_t streams_evicted;
	uint64_t stream_gaps, stream_missing_bytes, stream_ignored_bytes;
	uint64_t questions_dropped; /* over TCP: more open ones than max_open, or no memory */
	uint64_t answers_unmatched; /* over TCP */
};
void dns_exchanges_stats(const struct dns_exchanges *x, struct dns_exchanges_stats *ret);

/* The addresses that an answer gives for the name that was asked, through its CNAMEs (also DNAME, and
 * the hints of HTTPS and SVCB): on_address with each address and the least time to live on the way to
 * it. Records that do not lead there from the question are left out. */
void dns_answer_addresses(struct slice answer,
                          void (*on_address)(void *arg, const struct address *address,
                                             uint32_t ttl_s),
                          void *arg);

#endif
