/* native: exponential histograms as Prometheus' native ones, and totals of deltas. For
 * core/prometheus only.
 *
 * A bucket of OTLP with index i at scale s is (b^i, b^(i+1)], b = 2^(2^-s); Prometheus numbers the
 * same bucket i + 1. Scales above 8 are merged down: 2^(s-8) neighbours become one. */
#ifndef WEIR_PROMETHEUS_NATIVE_H
#define WEIR_PROMETHEUS_NATIVE_H

#include "core/base/arena.h"
#include "core/prometheus/translate.h"
#include "core/wire/otlp.pb-c.h"

#include <math.h>

enum {
	NATIVE_SCALE_MIN = -4,
	NATIVE_SCALE_MAX = 8,
	NATIVE_SCALE_CUSTOM = -53,
	/* Buckets of one sign that a total of deltas has at most: its scale goes down until they are
	 * enough. SDKs send 160. At scale -4 all doubles fit in 140. */
	NATIVE_TOTAL_BUCKETS = 320,
};

struct native_side {
	int64_t offset; /* index of counts[0], as OTLP numbers */
	uint32_t n, capacity;
	uint64_t *counts;
};

/* What deltas have come to so far. */
struct series_state {
	double total; /* of a native histogram: its sum */
	int64_t start_ms;
	/* of native histograms only */
	struct native_total {
		int32_t scale;
		uint64_t layout; /* of custom buckets */
		uint64_t count, zero_count;
		double zero_threshold;
		bool told; /* since it began */
		struct native_side positive, negative;
	} native[];
};

/* False: no memory. Has no effect where there is one. */
bool series_state_new(struct series *s);
void series_state_free(struct series *s);
/* Back to nothing, counted from start_ms. */
void series_state_reset(struct series *s, int64_t start_ms);

/* What a delta adds to a total of sums, which would never get over infinity or no number. */
static inline double native_finite(double sum)
{
	return isfinite(sum) ? sum : 0;
}

/* Whether the point holds together: TRANSLATE_DROPS when it does, otherwise why it is dropped. */
enum translate_drop native_check(const Otlp__ExponentialHistogramDataPoint *p);
enum translate_drop native_check_custom(const Otlp__HistogramDataPoint *p);

/* Bounds without a last one of infinity, which says nothing. */
size_t native_bounds(const Otlp__HistogramDataPoint *p);

/* A histogram in arena; NULL: no memory. Points are checked ones. */
const struct native_histogram *native_build(struct arena *a,
                                            const Otlp__ExponentialHistogramDataPoint *p);
const struct native_histogram *native_build_custom(struct arena *a,
                                                   const Otlp__HistogramDataPoint *p);
/* The series' total; of a custom one with these bounds. */
const struct native_histogram *native_build_total(struct arena *a, const struct series *s,
                                                  bool custom, const double *bounds,
                                                  size_t n_bounds);

/* Adds a checked point to the series' total. False: no memory, nothing was added. */
bool native_add(struct series *s, const Otlp__ExponentialHistogramDataPoint *p);
bool native_add_custom(struct series *s, const Otlp__HistogramDataPoint *p);

#endif
