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
	DNS_MALFORMED, /* the answer is no message that can be read; or the question over TCP is none,
			  and got no answer */
};

struct dns_exchange {
	const struct process_owner *owner; /* of the local end */
	enum dns_transport transport;
	enum socket_role role;
	uint32_t netns;
	struct address server, client;
	uint16_t server_port, client_port;
	uint64_t first_ns, last_ns; /* asked, first and last time; CLOCK_MONOTONIC */
	uint64_t answered_ns;       /* 0: it was not */
	unsigned transmissions;     /* of the question */

	/* The answer came from another address than was asked: told beside the exchange itself, which
	 * goes on and is told as well. */
	bool other_address;
	struct address other; /* which; nothing otherwise */
	uint16_t other_port;

	enum dns_ending ending;
	/* As dns_name() writes it; "", with type and class 0, when there is none that can be read. */
	struct slice question;
	uint16_t type, class;
	unsigned rcode; /* of DNS_ANSWERED and DNS_TRUNCATED */
	uint16_t id;
	struct slice answer;  /* as much of the message as was copied; nothing: not answered */
	size_t answer_length; /* on the wire */
};

/* From the question to the answer; of a question that was repeated, from the first time. 0 when it
 * was not answered. */
uint64_t dns_exchange_duration_ns(const struct dns_exchange *e);

/* error.type, one of those of look-ups in core/data/semconv.h: "timeout", "truncated", "malformed",
 * "other_address", "server_failure", "name_error", ..., "other". NULL: all is well, with records or
 * without. */
const char *dns_exchange_error(const struct dns_exchange *e);

struct dns_exchanges;

/* Memory: about 0.5 KB for each connection, 4 KB more for each direction while a message in it is
 * spread over segments, and at most 0.4 KB for each open question. */
struct dns_exchanges_limits {
	size_t max_streams; /* TCP connections that are followed at once; beyond, the longest silent one
			       is let go, and counted */
	size_t max_open;     /* questions of one connection that wait for their answers */
	size_t max_open_all; /* of all connections */
};

/* on_exchange: everything it is given is valid during the call, in which no event may be given. NULL:
 * no memory. */
struct dns_exchanges *
dns_exchanges_new(const struct dns_exchanges_limits *limits,
                  void (*on_exchange)(void *arg, const struct dns_exchange *e), void *arg);
void dns_exchanges_free(struct dns_exchanges *x); /* takes NULL */

/* Events, as struct dns_kernel_handler gets them. None fails: what finds no memory is counted. */
void dns_exchanges_answer(struct dns_exchanges *x, const struct dns_answer *answer,
                          struct slice message);
void dns_exchanges_unanswered(struct dns_exchanges *x, const struct dns_pending *pending);
void dns_exchanges_segment(struct dns_exchanges *x, const struct dns_segment *segment,
                           struct slice bytes);

/* Tells the questions over TCP that were asked before before_ns as unanswered. An answer that is given
 * after that is unmatched: drain the ring first. */
void dns_exchanges_sweep(struct dns_exchanges *x, uint64_t before_ns);

/* All of TCP. */
struct dns_exchanges_stats {
	size_t streams, open; /* connections followed and questions waiting, now */
	uint64_t streams_evicted;
	uint64_t stream_gaps, stream_missing_bytes, stream_ignored_bytes;
	/* More open ones than max_open or max_open_all, no memory, their connection let go, their
	 * header missing, or no questions: the first of a segment is told. */
	uint64_t questions_dropped;
	/* Late, repeated, their header missing, or to questions that were not seen. */
	uint64_t answers_unmatched;
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
