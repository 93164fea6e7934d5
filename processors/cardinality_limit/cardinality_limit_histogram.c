/* histogram: histograms that become part of another series.
 *
 * Where their bounds differ, those stay that all have: buckets between two of them are added, which
 * is exact. With none in common count and sum stay. */
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Of points, a total or a last value. */
struct buckets {
	size_t n; /* bounds */
	double *bounds;
	uint64_t *counts; /* n + 1 */
};

static struct buckets buckets_of(const Otlp__HistogramDataPoint *p)
{
	return (struct buckets){p->n_explicit_bounds, p->explicit_bounds, p->bucket_counts};
}

static void buckets_drop(Otlp__HistogramDataPoint *p)
{
	p->n_explicit_bounds = p->n_bucket_counts = 0;
}

void histogram_tidy(Otlp__HistogramDataPoint *p)
{
	bool fit = p->n_explicit_bounds && p->n_bucket_counts == p->n_explicit_bounds + 1;

	for (size_t i = 1; fit && i < p->n_explicit_bounds; i++)
		fit = p->explicit_bounds[i - 1] < p->explicit_bounds[i];
	if (!fit)
		buckets_drop(p);
}

/* Leaves the bounds that are in the other one too. */
static size_t narrow(struct buckets b, const double *others, size_t n_others)
{
	size_t n = 0, other = 0, at;

	if (n_others == b.n && (!b.n || memcmp(b.bounds, others, b.n * sizeof *others) == 0))
		return b.n;
	if (!b.n)
		return 0;
	uint64_t open = 0;
	for (at = 0; at < b.n; at++) {
		open += b.counts[at];
		while (other < n_others && others[other] < b.bounds[at])
			other++;
		if (other == n_others || others[other] != b.bounds[at])
			continue;
		b.bounds[n] = b.bounds[at];
		b.counts[n++] = open;
		open = 0;
	}
	b.counts[n] = open + b.counts[b.n];
	return n;
}

static void narrow_point(Otlp__HistogramDataPoint *p, const double *others, size_t n_others)
{
	size_t n = narrow(buckets_of(p), others, n_others);

	p->n_explicit_bounds = n;
	p->n_bucket_counts = n ? n + 1 : 0;
}

void histogram_join(Otlp__HistogramDataPoint *out, Otlp__HistogramDataPoint *p)
{
	narrow_point(out, p->explicit_bounds, p->n_explicit_bounds);
	narrow_point(p, out->explicit_bounds, out->n_explicit_bounds);
	for (size_t i = 0; i < out->n_bucket_counts; i++)
		out->bucket_counts[i] += p->bucket_counts[i];
	out->count += p->count;
	if (out->optional_sum_case && p->optional_sum_case)
		out->sum += p->sum;
	else
		out->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM__NOT_SET;
	if (out->optional_min_case && p->optional_min_case)
		out->min = fmin(out->min, p->min);
	else
		out->optional_min_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN__NOT_SET;
	if (out->optional_max_case && p->optional_max_case)
		out->max = fmax(out->max, p->max);
	else
		out->optional_max_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX__NOT_SET;
}

/* ---- last values */

static size_t last_size(size_t n_counts)
{
	return sizeof(struct last_histogram) + n_counts * sizeof(uint64_t);
}

static size_t extra_places(size_t bytes)
{
	return (bytes + sizeof(struct last_place) - 1) / sizeof(struct last_place);
}

/* Memory beyond a place, counted in places. */
static void *extra_alloc(struct cardinality *p, size_t bytes)
{
	void *made;

	if (!budget_take(p->component.host->budget, bytes))
		return NULL;
	made = calloc(1, bytes);
	if (made)
		p->extra += extra_places(bytes);
	else
		budget_return(p->component.host->budget, bytes);
	return made;
}

static void extra_free(struct cardinality *p, void *made, size_t bytes)
{
	free(made);
	p->extra -= extra_places(bytes);
	budget_return(p->component.host->budget, bytes);
}

void last_free(struct cardinality *p, struct last_place *last)
{
	if (last->kind == LAST_HISTOGRAM)
		extra_free(p, last->histogram, last_size(last->histogram->n));
}

static uint64_t bounds_hash(const struct cardinality *p, const Otlp__HistogramDataPoint *point)
{
	return key_bytes(p, slice_of(point->explicit_bounds,
	                             point->n_explicit_bounds * sizeof(double)));
}

static bool has_fallen(const struct last_histogram *last, const Otlp__HistogramDataPoint *p)
{
	bool fallen = p->count < last->count;

	for (size_t i = 0; i < last->n && !fallen; i++)
		fallen = p->bucket_counts[i] < last->counts[i];
	return fallen;
}

static void nothing_new(Otlp__HistogramDataPoint *p)
{
	p->count = 0;
	p->sum = 0;
	for (size_t i = 0; i < p->n_bucket_counts; i++)
		p->bucket_counts[i] = 0;
}

/* The last value becomes the point's, the point what it has more than the last. */
static void exchange(struct last_histogram *last, Otlp__HistogramDataPoint *p, bool all)
{
	struct last_histogram before = *last;

	last->count = p->count;
	last->sum = p->optional_sum_case ? p->sum : 0;
	if (!all) {
		p->count -= before.count;
		p->sum -= before.sum;
	}
	for (size_t i = 0; i < last->n; i++) {
		uint64_t now = p->bucket_counts[i];

		if (!all)
			p->bucket_counts[i] -= last->counts[i];
		last->counts[i] = now;
	}
}

static int last_make(struct cardinality *p, uint64_t key, const Otlp__HistogramDataPoint *point,
                     struct last_place **ret)
{
	size_t bytes = last_size(point->n_bucket_counts);
	struct last_histogram *h;

	if (!lasts_admit(p, 1, bytes))
		return -ENOSPC;
	h = extra_alloc(p, bytes);
	if (!h)
		return -ENOMEM;
	h->n = point->n_bucket_counts;
	h->bounds = bounds_hash(p, point);
	*ret = places_add(&p->lasts, key);
	(*ret)->kind = LAST_HISTOGRAM;
	(*ret)->histogram = h;
	return 0;
}

/* A source whose bounds have changed has begun anew. */
static int last_resize(struct cardinality *p, struct last_place *last,
                       const Otlp__HistogramDataPoint *point)
{
	size_t bytes = last_size(point->n_bucket_counts);
	struct last_histogram *h;

	if (!lasts_admit(p, 0, bytes))
		return -ENOSPC;
	h = extra_alloc(p, bytes);
	if (!h)
		return -ENOMEM;
	last_free(p, last);
	h->n = point->n_bucket_counts;
	h->bounds = bounds_hash(p, point);
	last->histogram = h;
	return 0;
}

int histogram_increase(struct cardinality *p, uint64_t key, Otlp__HistogramDataPoint *point,
                       uint64_t now_ns)
{
	struct last_place *last = places_find(&p->lasts, key);
	uint32_t time = (uint32_t)(point->time_unix_nano >> LAST_TIME_SHIFT);
	uint32_t start = last_start(p, point->start_time_unix_nano);
	bool anew = !last, other_bounds;
	int32_t later;
	int r;

	if (!last) {
		r = last_make(p, key, point, &last);
		if (r < 0)
			return r;
	} else {
		other_bounds = last->histogram->n != point->n_bucket_counts ||
		               last->histogram->bounds != bounds_hash(p, point);
		later = (int32_t)(time - last->time);
		anew = start != last->start || other_bounds || has_fallen(last->histogram, point);
		if (later < 0 || (later == 0 && anew && start == last->start)) {
			last_see(p, last, now_ns);
			nothing_new(point);
			return 0;
		}
		r = other_bounds ? last_resize(p, last, point) : 0;
		if (r < 0)
			return r;
	}
	last_see(p, last, now_ns);
	last->time = time;
	last->start = start & LAST_START_MASK;
	exchange(last->histogram, point, anew);
	return 0;
}

/* ---- totals */

static size_t total_size(size_t n_bounds)
{
	return (2 * n_bounds + 1) * sizeof(uint64_t);
}

void aggregate_free(struct cardinality *p, struct aggregate *total)
{
	if (!total)
		return;
	if (total->bounds)
		extra_free(p, total->bounds, total_size(total->held));
	budget_return(p->component.host->budget, sizeof *total);
	free(total);
}

int histogram_total_prepare(struct cardinality *p, struct aggregate *total,
                            const Otlp__HistogramDataPoint *point)
{
	size_t n = point->n_explicit_bounds, bytes = total_size(n);
	_Static_assert(sizeof(double) == sizeof(uint64_t), "bounds and counts lie together");

	if (total->bounds || total->told)
		return 0;
	if (!lasts_admit(p, 0, bytes))
		return -ENOSPC;
	total->bounds = extra_alloc(p, bytes);
	if (!total->bounds)
		return -ENOMEM;
	total->held = total->n_bounds = n;
	total->counts = (uint64_t *)(total->bounds + n);
	if (n)
		memcpy(total->bounds, point->explicit_bounds, n * sizeof(double));
	total->has_sum = true;
	total->told = true;
	return 0;
}

void histogram_total_add(struct aggregate *total, Otlp__HistogramDataPoint *p)
{
	struct buckets own = {total->n_bounds, total->bounds, total->counts};

	total->n_bounds = narrow(own, p->explicit_bounds, p->n_explicit_bounds);
	narrow_point(p, total->bounds, total->n_bounds);
	for (size_t i = 0; i < p->n_bucket_counts; i++)
		total->counts[i] += p->bucket_counts[i];
	total->count += p->count;
	total->has_sum &= p->optional_sum_case != 0;
	total->real += p->optional_sum_case ? p->sum : 0;
}

void histogram_total_tell(const struct aggregate *total, Otlp__HistogramDataPoint *out)
{
	/* Bounds of the total are some of those of each point that came since. */
	narrow_point(out, total->bounds, total->n_bounds);
	for (size_t i = 0; i < out->n_bucket_counts; i++)
		out->bucket_counts[i] = total->counts[i];
	out->count = total->count;
	out->optional_sum_case = total->has_sum ? OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM
	                                        : OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM__NOT_SET;
	out->sum = total->has_sum ? total->real : 0;
	out->optional_min_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN__NOT_SET;
	out->optional_max_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX__NOT_SET;
}
