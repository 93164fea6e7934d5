/* sockets_series: adds up what sockets did, by process and by peer. Pure: no I/O, no BPF, no clock.
 *
 * A series is one set of attributes of one resource: role, address family, the server's address and
 * port, and when wanted the client's address. It holds every metric of that set; the directions of
 * weir.tcp.io and the error types of weir.tcp.connections.failed are not series of their own, so
 * max_series bounds memory and sets of attributes, and the points per set are bounded by the list
 * of metrics.
 *
 * At the limit (or without memory) a record is added to the table's one overflow series, which has
 * no attributes but otel.metric.overflow=true, so that totals stay exact. A socket whose opening
 * went there is remembered until it closes: the number of open connections of every series stays
 * exact as well. */
#ifndef WEIR_RECEIVERS_SOCKETS_SERIES_H
#define WEIR_RECEIVERS_SOCKETS_SERIES_H

#include "bpf/events/sockets.h"
#include "core/observe/distribution.h"
#include "core/observe/aggregate.h"

#include <stdbool.h>
#include <stdint.h>

enum series_counter {
	SERIES_OPENED,
	SERIES_SENT_BYTES,
	SERIES_RECEIVED_BYTES,
	SERIES_RETRANSMITTED_SEGMENTS,
	SERIES_RESETS_SENT,
	SERIES_RESETS_RECEIVED,
	SERIES_FAILED_REFUSED,
	SERIES_FAILED_RESET,
	SERIES_FAILED_TIMED_OUT,
	SERIES_FAILED_HOST_UNREACHABLE,
	SERIES_FAILED_NETWORK_UNREACHABLE,
	SERIES_FAILED_OTHER,
	SERIES_COUNTER_COUNT
};

enum series_histogram {
	SERIES_CONNECT_DURATION,
	SERIES_CONNECTION_DURATION,
	SERIES_RTT,
	SERIES_HISTOGRAM_COUNT
};

extern const struct distribution_bounds sockets_bounds[SERIES_HISTOGRAM_COUNT];

/* Which of the failed counters an errno is counted under. */
enum series_counter sockets_failure(int error);
/* error.type of that counter: "connection_refused", ... */
const char *sockets_failure_name(enum series_counter c);

struct series_key {
	struct resource *resource;  /* NULL: the overflow series */
	uint8_t server_address[16]; /* of clients */
	uint8_t client_address[16]; /* of servers, when wanted */
	uint16_t server_port;       /* 0: not known, when the role is not */
	uint8_t role;               /* enum socket_role */
	uint8_t is_ipv6;
	uint8_t reserved[4];
};

struct sockets_series {
	struct aggregate base; /* open: connections that are established now */
	struct series_key key;
	bool had_open; /* base.open was other than 0 at some time */
	uint64_t counters[SERIES_COUNTER_COUNT];
	struct distribution *histograms[SERIES_HISTOGRAM_COUNT]; /* NULL until there is a value */
};

struct sockets_table {
	struct aggregates series;
	struct map strays;
	bool client_address;
	struct sockets_series overflow; /* totals of what found no place */
	struct distribution overflow_histograms[SERIES_HISTOGRAM_COUNT];
	uint64_t overflowed; /* records that went to the overflow series */
};

/* What a record does to the number of open connections: 1, 0 or -1. */
int sockets_opening(const struct sockets_record *record);

/* host_name outlives it. */
void sockets_table_init(struct sockets_table *t, const char *host_name, size_t max_series,
                        bool client_address, uint64_t start_unix_ns);
void sockets_table_fini(struct sockets_table *t);

/* Adds one record. resource NULL (no memory for it): counted in the overflow series. Never
 * fails. */
void sockets_table_add(struct sockets_table *t, struct resource *resource,
                       const struct sockets_record *record, uint64_t now_ns);

/* A recount sets the numbers of open connections right after closing records were lost: clear them,
 * add every open socket that one full walk found, and go on. seen() is given records that were
 * added with sockets_table_add() before. */
void sockets_table_recount(struct sockets_table *t);
void sockets_table_recount_seen(struct sockets_table *t, struct resource *resource,
                                const struct sockets_record *record);

#endif
