#include "core/observe/distribution.h"

void distribution_add(struct distribution *d, const struct distribution_bounds *bounds,
                      double value)
{
	size_t low = 0, high = bounds->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (value <= bounds->at[middle])
			high = middle;
		else
			low = middle + 1;
	}
	d->buckets[low]++;
	d->min = d->count && d->min < value ? d->min : value;
	d->max = d->count && d->max > value ? d->max : value;
	d->sum += value;
	d->count++;
}

Otlp__HistogramDataPoint *distribution_build(struct arena *a, const struct distribution *d,
                                             const struct distribution_bounds *bounds)
{
	Otlp__HistogramDataPoint *p =
		BUILD(a, Otlp__HistogramDataPoint, otlp__histogram_data_point);

	if (!p)
		return NULL;
	p->bucket_counts = (uint64_t *)d->buckets; /* only read, as the bounds are */
	p->n_bucket_counts = bounds->n + 1;
	p->explicit_bounds = (double *)bounds->at;
	p->n_explicit_bounds = bounds->n;
	p->count = d->count;
	p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = d->sum;
	p->optional_min_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN;
	p->min = d->min;
	p->optional_max_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX;
	p->max = d->max;
	return p;
}
