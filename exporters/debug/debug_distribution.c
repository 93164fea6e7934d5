#include "exporters/debug/debug_distribution.h"

#include <math.h>
#include <stddef.h>

/* Buckets go by in rising order; the quantiles fall out on the way. */
struct walk {
	double ranks[2], found[2];
	uint64_t before;
	double min, max; /* of the values, NaN when not said */
	double highest;  /* upper end of the last bucket with values */
};

static struct walk walk_begin(uint64_t count, double min, double max)
{
	return (struct walk){
		.ranks = {0.5 * (double)count, 0.95 * (double)count},
		.found = {NAN, NAN},
		.min = min,
		.max = max,
		.highest = NAN,
	};
}

/* Bounds grow by factors and most measured things are skewed, so the middle of a bucket is its
 * geometric one; the arithmetic one where zero or a sign is in the way. */
static double between(double low, double high, double part)
{
	return low > 0 && high > 0 ? low * pow(high / low, part) : low + (high - low) * part;
}

static void walk_bucket(struct walk *w, double low, double high, uint64_t count)
{
	if (!count)
		return;
	if (!isnan(w->min) && !(low >= w->min))
		low = w->min;
	if (!isnan(w->max) && !(high <= w->max))
		high = w->max;
	if (!isfinite(low))
		low = high;
	if (!isfinite(high))
		high = low;
	for (size_t i = 0; i < 2; i++) {
		double into = w->ranks[i] - (double)w->before;

		if (isnan(w->found[i]) && into <= (double)count)
			w->found[i] = between(low, high, into < 0 ? 0 : into / (double)count);
	}
	w->before += count;
	w->highest = high;
}

static struct distribution finish(const struct walk *w, uint64_t count, bool has_sum, double sum)
{
	return (struct distribution){
		.count = count,
		.average = has_sum && count ? sum / (double)count : NAN,
		.p50 = w->found[0],
		.p95 = w->found[1],
		.max = isnan(w->max) ? w->highest : w->max,
	};
}

struct distribution distribution_of_histogram(const Otlp__HistogramDataPoint *p)
{
	bool has_min = p->optional_min_case == OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN;
	bool has_max = p->optional_max_case == OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX;
	struct walk w = walk_begin(p->count, has_min ? p->min : NAN, has_max ? p->max : NAN);
	size_t n = p->n_explicit_bounds;

	for (size_t i = 0; n && p->n_bucket_counts == n + 1 && i <= n; i++) {
		double low =
			i ? p->explicit_bounds[i - 1] : (p->explicit_bounds[0] > 0 ? 0 : -INFINITY);

		walk_bucket(&w, low, i < n ? p->explicit_bounds[i] : INFINITY, p->bucket_counts[i]);
	}
	return finish(&w, p->count,
	              p->optional_sum_case == OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM, p->sum);
}

/* Upper end of the bucket with that index. */
static double upper(const Otlp__ExponentialHistogramDataPoint *p, int64_t index)
{
	int scale = p->scale < -32 ? -32 : p->scale > 64 ? 64 : p->scale;

	return exp2(ldexp((double)(index + 1), -scale));
}

struct distribution distribution_of_exponential(const Otlp__ExponentialHistogramDataPoint *p)
{
	bool has_min =
		p->optional_min_case == OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN;
	bool has_max =
		p->optional_max_case == OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX;
	struct walk w = walk_begin(p->count, has_min ? p->min : NAN, has_max ? p->max : NAN);
	const Otlp__ExponentialHistogramDataPoint__Buckets *b = p->negative;

	for (size_t i = b ? b->n_bucket_counts : 0; i-- > 0;) {
		int64_t index = (int64_t)b->offset + (int64_t)i;

		walk_bucket(&w, -upper(p, index), -upper(p, index - 1), b->bucket_counts[i]);
	}
	walk_bucket(&w, 0, 0, p->zero_count);
	b = p->positive;
	for (size_t i = 0; b && i < b->n_bucket_counts; i++) {
		int64_t index = (int64_t)b->offset + (int64_t)i;

		walk_bucket(&w, upper(p, index - 1), upper(p, index), b->bucket_counts[i]);
	}
	return finish(&w, p->count,
	              p->optional_sum_case ==
	                      OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM,
	              p->sum);
}

struct distribution distribution_of_summary(const Otlp__SummaryDataPoint *p)
{
	struct distribution d = {
		.count = p->count,
		.average = p->count ? p->sum / (double)p->count : NAN,
		.p50 = NAN,
		.p95 = NAN,
		.max = NAN,
	};

	for (size_t i = 0; i < p->n_quantile_values; i++) {
		double q = p->quantile_values[i]->quantile, v = p->quantile_values[i]->value;

		if (q == 0.5)
			d.p50 = v;
		else if (q == 0.95)
			d.p95 = v;
		else if (q == 1)
			d.max = v;
	}
	return d;
}
