/* histogram: how long things took, in the fixed buckets that weir's own figures use. */
#ifndef WEIR_SELF_HISTOGRAM_H
#define WEIR_SELF_HISTOGRAM_H

#include "core/self/metrics.h"

enum { HISTOGRAM_BOUNDS = 12 };

/* Zeroed is empty. */
struct histogram {
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	double sum; /* seconds */
};

void histogram_add(struct histogram *h, uint64_t duration_ns);

/* As a family in seconds, buckets from 10 us to 30 s. */
void histogram_report(const struct histogram *h, struct metrics_sink *sink, const char *name,
                      const char *help, const struct metrics_label *labels);

#endif
