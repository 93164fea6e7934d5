#include "core/self/drops.h"

#include <assert.h>

static const char *const names[DROP_REASON_COUNT] = {
	[DROP_PERMANENT_ERROR] = "permanent_error",
	[DROP_PARTIAL_REJECTED] = "partial_rejected",
	[DROP_RETRY_EXPIRED] = "retry_expired",
	[DROP_TOO_LARGE] = "too_large",
	[DROP_SHUTDOWN] = "shutdown",
};

const char *drop_reason_name(enum drop_reason reason)
{
	return names[reason];
}

uint64_t drops_total(const struct drops *d)
{
	uint64_t total = 0;

	for (size_t i = 0; i < DROP_REASON_COUNT; i++)
		total += d->items[i];
	return total;
}

void drops_report(const struct drops *d, struct metrics_sink *sink, const char *name,
                  const char *help, const struct metrics_label *labels)
{
	enum { LABELS = 6 };
	struct metrics_label with_reason[LABELS + 2] = {{NULL, NULL}};
	size_t n = 0;

	for (; labels && labels->name; labels++) {
		assert(n < LABELS);
		with_reason[n++] = *labels;
	}
	for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
		with_reason[n] = (struct metrics_label){"reason", names[i]};
		metrics_counter(sink, name, help, with_reason, (double)d->items[i]);
	}
}
