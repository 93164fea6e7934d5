/* dns_series: adds up look-ups, by process, name, server and how they ended. Pure: no I/O, no clock.
 *
 * A series is one set of attributes of one resource. At the limit of series (or without memory) a
 * look-up is added to the table's one overflow series, which has no attributes but
 * otel.metric.overflow=true. The series of a name that makes room for another (dns_names) end, as those
 * do that expire: what they counted has been delivered, and its look-ups count under "~other" from then
 * on. Whoever adds up increases loses nothing and counts nothing twice. */
#ifndef WEIR_RECEIVERS_DNS_SERIES_H
#define WEIR_RECEIVERS_DNS_SERIES_H

#include "core/observe/aggregate.h"
#include "core/observe/distribution.h"
#include "receivers/dns/dns_exchange.h"
#include "receivers/dns/dns_names.h"

enum { DNS_NO_CODE = 0xffff }; /* there was no answer */

struct dns_key {
	struct resource *resource;   /* NULL: the overflow series */
	struct dns_known_name *name; /* NULL: without */
	const char *error;           /* what dns_exchange_error() says */
	struct address server;
	uint16_t server_port, type, code;
	uint8_t transport, role; /* enum dns_transport, enum socket_role */
};

struct dns_series {
	struct aggregate base;
	struct list of_name; /* key.name->series */
	struct dns_key key;
	struct distribution durations;
	uint64_t retransmissions, misdirected;
};

extern const struct distribution_bounds dns_duration_bounds; /* seconds */

struct dns_table {
	struct aggregates series;
	struct dns_series overflow;
	struct dns_names names;
	double timeout; /* seconds: what an unanswered look-up counts as */
	uint64_t overflowed;
};

struct dns_table_limits {
	size_t max_series, max_names;
	unsigned name_labels;
	uint64_t timeout_ns;
};

/* host_name outlives it. */
void dns_table_init(struct dns_table *t, const char *host_name,
                    const struct dns_table_limits *limits, uint64_t start_unix_ns);
void dns_table_fini(struct dns_table *t);

/* resource NULL (no memory for it): counted in the overflow series. Never fails. */
void dns_table_add(struct dns_table *t, struct resource *resource, const struct dns_exchange *e,
                   uint64_t now_ns);

#endif
