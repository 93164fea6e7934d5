/* sockets_batch: turns series into batches of metrics and records into log records. */
#ifndef WEIR_RECEIVERS_SOCKETS_BATCH_H
#define WEIR_RECEIVERS_SOCKETS_BATCH_H

#include "core/observe/source.h"
#include "receivers/sockets/sockets_series.h"

/* Points of the series of a part: with cumulative temporality everything that was ever other than
 * 0, with delta what changed since it was sent. *ret stays NULL when there is nothing. False: no
 * memory. */
bool sockets_metrics_build(const struct source *source, const struct sockets_table *table,
                           struct aggregate_part part, bool delta, uint64_t now_unix_ns,
                           struct batch **ret);

/* A connection that ended, on its way into a log record. */
struct sockets_log {
	struct observation base;
	struct sockets_record record;
};

/* observation_build, of the base of a struct sockets_log. */
Otlp__LogRecord *sockets_log_build(struct arena *a, const struct observation *o,
                                   uint64_t now_unix_ns, uint64_t ahead_ns);

/* As a record has it: 4 bytes of IPv4, or 16. */
struct address sockets_address(bool is_ipv6, const uint8_t *address);

#endif
