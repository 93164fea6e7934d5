/* debug_distribution: what a histogram, an exponential histogram or a summary says about its
 * values. Quantiles are estimates: values are taken to lie evenly within their bucket, on a logarithmic
 * scale. */
#ifndef WEIR_EXPORTERS_DEBUG_DISTRIBUTION_H
#define WEIR_EXPORTERS_DEBUG_DISTRIBUTION_H

#include "core/wire/otlp.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

struct distribution {
	uint64_t count;
	double average, p50, p95, max; /* NaN: not known */
};

struct distribution distribution_of_histogram(const Otlp__HistogramDataPoint *p);
struct distribution distribution_of_exponential(const Otlp__ExponentialHistogramDataPoint *p);
struct distribution distribution_of_summary(const Otlp__SummaryDataPoint *p);

#endif
