/* sockets_batch: turns series into a batch of metrics and records into a batch of log records. One
 * group for each resource; everything is allocated from the batch's arena. */
#ifndef WEIR_RECEIVERS_SOCKETS_BATCH_H
#define WEIR_RECEIVERS_SOCKETS_BATCH_H

#include "core/data/batch.h"
#include "core/data/build.h"
#include "receivers/sockets/sockets_series.h"

struct sockets_batch_source {
	const char *host_name;
	const char *version;  /* of weir, for the scope */
	const char *receiver; /* id, for the batch's origin */
	struct budget *budget;
};

/* Points of all series that have something to say: with cumulative temporality everything that was
 * ever other than 0, with delta what changed since series_table_sent(). *ret is NULL when there is
 * nothing. False: no memory. */
bool sockets_metrics_build(const struct sockets_batch_source *source, struct series_table *table,
                           bool delta, uint64_t now_unix_ns, struct batch **ret);

/* A connection that ended, on its way into a log record. Holds a reference to its resource. */
struct sockets_log {
	struct series_resource *resource; /* NULL: there was no memory for it */
	struct sockets_record record;
};

/* One log record for each, grouped by resource. NULL: no memory. */
struct batch *sockets_logs_build(const struct sockets_batch_source *source,
                                 const struct sockets_log *logs, size_t n);

/* Shared by both. owner NULL: the host alone. */
Otlp__Resource *sockets_resource_build(struct arena *a, const struct sockets_batch_source *source,
                                       const struct series_owner *owner);
Otlp__InstrumentationScope *sockets_scope_build(struct arena *a,
                                                const struct sockets_batch_source *source);
bool sockets_address_build(struct arena *a, struct build_list *attributes, const char *key,
                           bool is_ipv6, const uint8_t *address);

#endif
