/* distribution: values added up in the buckets of a histogram with explicit bounds. Whoever has one
 * knows its bounds. */
#ifndef WEIR_OBSERVE_DISTRIBUTION_H
#define WEIR_OBSERVE_DISTRIBUTION_H

#include "core/data/build.h"

enum { DISTRIBUTION_BOUNDS_MAX = 16 };

/* Upper bounds, ascending, each included in its bucket. */
struct distribution_bounds {
	size_t n;
	double at[DISTRIBUTION_BOUNDS_MAX];
};

/* Zeroed is empty. */
struct distribution {
	uint64_t count;
	double sum, min, max; /* min and max mean nothing while count is 0 */
	uint64_t buckets[DISTRIBUTION_BOUNDS_MAX + 1]; /* the first bounds->n + 1 are in use */
};

void distribution_add(struct distribution *d, const struct distribution_bounds *bounds,
                      double value);

/* A point without attributes and times, which points at both arguments: encode it while they are
 * there. NULL: no memory. */
Otlp__HistogramDataPoint *distribution_build(struct arena *a, const struct distribution *d,
                                             const struct distribution_bounds *bounds);

#endif
