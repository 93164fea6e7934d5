#include "core/self/histogram.h"

static const double bounds[HISTOGRAM_BOUNDS] = {0.00001, 0.0001, 0.001, 0.005, 0.025, 0.1,
                                                0.25,    0.5,    1,     5,     10,    30};

void histogram_add(struct histogram *h, uint64_t duration_ns)
{
	double seconds = (double)duration_ns / 1e9;
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && seconds > bounds[i])
		i++;
	h->counts[i]++;
	h->sum += seconds;
}

void histogram_report(const struct histogram *h, struct metrics_sink *sink, const char *name,
                      const char *help, const struct metrics_label *labels)
{
	metrics_histogram(sink, name, help, labels, bounds, HISTOGRAM_BOUNDS, h->counts, h->sum);
}
