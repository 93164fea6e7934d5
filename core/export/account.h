/* account: what became of every item an exporter was given.
 *
 * At any moment received = refused + sent + dropped by reason + queued, in items. Refused items
 * went back to their sender with a retryable outcome. */
#ifndef WEIR_EXPORT_ACCOUNT_H
#define WEIR_EXPORT_ACCOUNT_H

#include "core/base/signal.h"
#include "core/self/drops.h"
#include "core/self/histogram.h"

struct account {
	uint64_t received, refused, sent, queued;
	struct drops dropped;
	uint64_t send_failed, enqueue_failed; /* the Collector's: of the above, where it failed */
	uint64_t attempts, retries;           /* requests */
	struct histogram duration;            /* of attempts */
};

struct account_gauges {
	const char *exporter;
	enum signal signal;
	bool has_queue;
	uint64_t queue_size, queue_capacity; /* in the queue's sizer */
	uint64_t in_flight, blocked;         /* requests */
};

void account_report(const struct account *a, const struct account_gauges *g,
                    struct metrics_sink *sink);

#endif
