/* sockets_batch: turns series into batches of metrics and records into batches of log records. One
 * group for each resource. A batch is built in memory that it does not keep, where points and
 * records share what they have in common, and is handed on as the bytes that this makes: a third of
 * the size, and whoever opens it has structs of his own. */
#ifndef WEIR_RECEIVERS_SOCKETS_BATCH_H
#define WEIR_RECEIVERS_SOCKETS_BATCH_H

#include "core/data/batch.h"
#include "core/data/build.h"
#include "receivers/sockets/sockets_series.h"

#include <arpa/inet.h>

struct sockets_batch_source {
	const char *host_name;
	const char *version;  /* of weir, for the scope */
	const char *receiver; /* id, for the batch's origin */
	struct budget *budget;
};

/* Points of the series of a part: with cumulative temporality everything that was ever other than
 * 0, with delta what changed since it was sent. *ret is NULL when there is nothing. False: no
 * memory. */
bool sockets_metrics_build(const struct sockets_batch_source *source, struct sockets_table *table,
                           struct series_part part, bool delta, uint64_t now_unix_ns,
                           struct batch **ret);

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

/* NUL-terminated; returns its length. */
size_t sockets_address_text(bool is_ipv6, const uint8_t *address, char text[INET6_ADDRSTRLEN]);

/* What points and log records begin with: transport, address family, and the role where it is
 * known. These are constants, not to be written to. */
bool sockets_common_build(struct arena *a, struct build_list *attributes, bool is_ipv6,
                          uint8_t role);

/* A batch of the bytes of these groups (build_list of ProtobufCMessage). NULL: no memory. */
struct batch *sockets_batch_encode(const struct sockets_batch_source *source, enum signal signal,
                                   const struct build_list *groups);

#endif
