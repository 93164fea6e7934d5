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
#include "core/base/list.h"
#include "core/base/map.h"

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

enum { SERIES_BOUNDS = 16 };
/* Upper bounds in seconds, included in their bucket. */
extern const double series_bounds[SERIES_HISTOGRAM_COUNT][SERIES_BOUNDS];

struct distribution {
	uint64_t count;
	double sum, min, max; /* seconds; min and max mean nothing while count is 0 */
	uint64_t buckets[SERIES_BOUNDS + 1];
};

/* Which of the failed counters an errno is counted under. */
enum series_counter series_failure(int error);
/* error.type of that counter: "connection_refused", ... */
const char *series_failure_name(enum series_counter c);

/* What tells processes apart in the output. Strings are "" where nothing is known. */
struct series_owner {
	const char *executable, *path, *container_id;
	uint32_t pid; /* 0 unless a resource is wanted for each process */
	uint64_t start_time_ns;
};

/* A resource: shared by its series and by log records that wait to be sent. */
struct series_resource {
	struct map_node node;
	struct list link;   /* in the table's resources */
	struct list series; /* series.of_resource */
	struct sockets_table *table;
	unsigned refs;
	uint32_t collection;       /* the last that is through with it */
	struct series_owner owner; /* its own copies */
	void *scratch;             /* for whoever builds a batch; NULL otherwise */
};

struct series_key {
	struct series_resource *resource; /* NULL: the overflow series */
	uint8_t server_address[16];       /* of clients */
	uint8_t client_address[16];       /* of servers, when wanted */
	uint16_t server_port;             /* 0: not known, when the role is not */
	uint8_t role;                     /* enum socket_role */
	uint8_t is_ipv6;
	uint8_t reserved[4];
};

struct series {
	struct map_node node;
	struct list of_resource, by_touch;
	struct series_key key;
	uint64_t start_unix_ns; /* since when it counts */
	uint64_t sent_unix_ns;  /* moment of the last collection it was in, or of the start */
	uint32_t collection;    /* that one */
	uint64_t touched_ns;    /* monotonic */
	int64_t open;           /* connections that are established now */
	bool had_open;          /* open was other than 0 at some time */
	bool unsent;            /* changed since it was sent */
	uint64_t counters[SERIES_COUNTER_COUNT];
	struct distribution *histograms[SERIES_HISTOGRAM_COUNT]; /* NULL until there is a value */
};

struct sockets_table {
	struct map series, resources, strays;
	struct list by_resource; /* series_resource.link, in the order of collection */
	uint32_t collection;     /* the one that is going on, or the last */
	struct list by_touch;    /* series.by_touch, longest untouched first */
	size_t max_series;
	bool client_address;
	uint64_t since_unix_ns; /* the last collection: start of series made now */
	uint64_t part_unix_ns;  /* and of those made after the one that is going on */
	struct series overflow; /* totals of what found no place */
	struct distribution overflow_histograms[SERIES_HISTOGRAM_COUNT];
	uint64_t overflowed; /* records that went to the overflow series */
};

/* What a record does to the number of open connections: 1, 0 or -1. */
int series_opening(const struct sockets_record *record);

void sockets_table_init(struct sockets_table *t, size_t max_series, bool client_address,
                        uint64_t start_unix_ns);
void sockets_table_begin(struct sockets_table *t, uint64_t start_unix_ns); /* before any record */
void sockets_table_fini(struct sockets_table *t);

/* The resource of that owner, with a reference for the caller. NULL: no memory. */
struct series_resource *series_resource_get(struct sockets_table *t,
                                            const struct series_owner *owner);
struct series_resource *series_resource_ref(struct series_resource *r);
void series_resource_unref(struct series_resource *r); /* takes NULL */

/* Adds one record. resource NULL (no memory for it): counted in the overflow series. Never
 * fails. */
void sockets_table_add(struct sockets_table *t, struct series_resource *resource,
                       const struct sockets_record *record, uint64_t now_ns);

/* Drops series that no record has touched for ttl_ns, unless connections are open or something was
 * not sent yet. One that comes back counts from 0 with a new start time. */
void sockets_table_expire(struct sockets_table *t, uint64_t now_ns, uint64_t ttl_ns);

/* A collection hands out every series once, part by part, so that no part is too large. Records may
 * be added between parts. One that is given up is simply followed by the next, which begins with
 * what the last one left out. */
struct series_part {
	size_t series; /* so many, from the front */
	bool overflow; /* and that one; it is in the last part */
};
void sockets_table_collect(struct sockets_table *t);

/* The next part: at most limit series that have something to say, among at most 16 times as many. */
struct series_part sockets_table_next(struct sockets_table *t, bool delta, size_t limit);

/* Calls back for each resource with its first n series of the part (struct series.of_resource).
 * False as soon as on_resource() is. */
bool series_part_each(struct sockets_table *t, struct series_part part,
                      bool (*on_resource)(void *arg, struct series_resource *r, size_t n),
                      void *arg);

/* The part was put in a batch, as of that moment. With delta its counters and histograms begin
 * again. */
void sockets_table_sent(struct sockets_table *t, struct series_part part, bool delta,
                        uint64_t now_unix_ns);

/* With delta a series is sent when something changed or connections are open. */
bool series_is_silent(const struct series *s, bool delta);

/* A recount sets the numbers of open connections right after closing records were lost: clear them,
 * add every open socket that one full walk found, and go on. seen() is given records that were
 * added with sockets_table_add() before. */
void sockets_table_recount(struct sockets_table *t);
void sockets_table_recount_seen(struct sockets_table *t, struct series_resource *resource,
                                const struct sockets_record *record);

#endif
