/* dns_streams: DNS over TCP, as segments of many connections: puts the messages of each direction
 * together and matches answers with questions. Part of dns_exchange, whose limits, counters and rules
 * are its own. */
#ifndef WEIR_RECEIVERS_DNS_STREAMS_H
#define WEIR_RECEIVERS_DNS_STREAMS_H

#include "core/base/list.h"
#include "core/base/map.h"
#include "receivers/dns/dns_exchange.h"

struct dns_streams {
	struct dns_exchanges_limits limits;
	void (*on_exchange)(void *arg, const struct dns_exchange *e);
	void *arg;
	struct map connections; /* by socket */
	struct list by_use;     /* longest silent first */
	struct list by_age;     /* open questions of all connections, longest waiting first */
	struct dns_exchanges_stats stats;
};

void dns_streams_init(struct dns_streams *t, const struct dns_exchanges_limits *limits,
                      void (*on_exchange)(void *arg, const struct dns_exchange *e), void *arg);
void dns_streams_fini(struct dns_streams *t); /* tells nothing any more */

void dns_streams_segment(struct dns_streams *t, const struct dns_segment *segment,
                         struct slice bytes);
void dns_streams_sweep(struct dns_streams *t, uint64_t before_ns);

#endif
