/* drops: items lost, by reason. The list is closed: whoever loses an item says which of these it
 * was, and a new way to lose one is a new row here. Items that were refused are not lost: their
 * sender still has them. */
#ifndef WEIR_SELF_DROPS_H
#define WEIR_SELF_DROPS_H

#include "core/self/metrics.h"

enum drop_reason {
	DROP_PERMANENT_ERROR,  /* the destination, or a stage, will never take them */
	DROP_PARTIAL_REJECTED, /* the destination took the batch but not these */
	DROP_RETRY_EXPIRED,    /* retry_on_failure.max_elapsed_time is over */
	DROP_TOO_LARGE,        /* one item, or one batch, above a configured size */
	DROP_SHUTDOWN,         /* not delivered when weir had to stop */
};
enum { DROP_REASON_COUNT = DROP_SHUTDOWN + 1 };

/* "permanent_error", ... */
const char *drop_reason_name(enum drop_reason reason);

/* Items by reason; zeroed is none. */
struct drops {
	uint64_t items[DROP_REASON_COUNT];
};

uint64_t drops_total(const struct drops *d);

/* One counter per reason, label `reason` added to labels (at most 6). Reasons without items are
 * reported too: a counter that appears late is one whose first step no alert sees. */
void drops_report(const struct drops *d, struct metrics_sink *sink, const char *name,
                  const char *help, const struct metrics_label *labels);

#endif
