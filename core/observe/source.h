/* source: puts what a receiver has observed into batches. Groups are built in memory that the batch
 * does not keep, where points and records share what they have in common, and are handed on as the
 * bytes that this makes: a third of the size, and whoever opens the batch has structs of his own. */
#ifndef WEIR_OBSERVE_SOURCE_H
#define WEIR_OBSERVE_SOURCE_H

#include "core/base/list.h"
#include "core/data/batch.h"
#include "core/data/build.h"
#include "core/observe/resource.h"

/* Whom the telemetry is from. */
struct source {
	const char *host_name;
	const char *version;  /* of weir, for the scope */
	const char *scope;    /* "weir/receivers/sockets" */
	const char *receiver; /* id, for the batch's origin */
	struct budget *budget;
};

/* Adds the group of a resource (NULL: the host alone) to groups: metrics is a list of Otlp__Metric.
 * Nothing when it is empty. False: no memory. */
bool source_add_metrics(const struct source *s, struct arena *a, const struct resource *resource,
                        const struct build_list *metrics, struct build_list *groups);

/* A batch of the bytes of these groups. NULL: no memory. */
struct batch *source_encode(const struct source *s, enum signal signal,
                            const struct build_list *groups);

/* Something that is to become a log record; embedded at the front of what is known of it. */
struct observation {
	struct list link;
	struct resource *resource; /* with a reference; NULL: there was no memory for it */
	size_t size;               /* of all that is known of it */
};

/* now_unix_ns: the wall clock; ahead_ns: by how much it is ahead of the monotonic one. NULL: no
 * memory. */
typedef Otlp__LogRecord *(*observation_build)(struct arena *a, const struct observation *o,
                                              uint64_t now_unix_ns, uint64_t ahead_ns);

/* A log record for each of the first n of the list, grouped by resource. NULL: no memory. */
struct batch *source_logs(const struct source *s, const struct list *observations, size_t n,
                          observation_build build);

#endif
