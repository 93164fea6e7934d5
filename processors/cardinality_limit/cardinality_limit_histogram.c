/* histogram: histograms that become part of another series.
 *
 * Where their bounds differ, those stay that all have: buckets between two of them are added, which
 * is exact. With none in common count and sum stay. */
#include "processors/cardinality_limit/cardinality_limit_totals.h"

#include <errno.h>
#include <math.h>

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

/* Whether buckets and bounds fit together; otherwise they are taken away and count and sum stay. */
static void tidy(Otlp__HistogramDataPoint *p)
{
	bool fit = p->n_explicit_bounds && p->n_bucket_counts == p->n_explicit_bounds + 1;

	fit = fit && !isnan(p->explicit_bounds[0]);
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

static void histogram_open(void *message, struct point *ret)
{
	Otlp__HistogramDataPoint *p = message;

	*ret = (struct point){
		.message = p,
		.attributes = &p->attributes,
		.n_attributes = &p->n_attributes,
		.n_exemplars = &p->n_exemplars,
		.start_ns = &p->start_time_unix_nano,
		.time_ns = &p->time_unix_nano,
		.flags = p->flags,
	};
}

static bool histogram_is_valued(const void *message)
{
	const Otlp__HistogramDataPoint *p = message;
	return !p->optional_sum_case || isfinite(p->sum);
}

/* ---- totals */

struct bucket_total {
	size_t held; /* bounds that there is room for */
	size_t n;    /* bounds now */
	uint64_t *counts;
	double bounds[]; /* held of them, then held + 1 counts */
};
_Static_assert(sizeof(double) == sizeof(uint64_t), "bounds and counts lie together");

static size_t total_size(size_t held)
{
	return sizeof(struct bucket_total) + (2 * held + 1) * sizeof(uint64_t);
}

size_t bucket_total_size(const struct bucket_total *total)
{
	return total_size(total->held);
}

/* A total that has no points yet takes the bounds of this one. */
static int total_prepare(struct cardinality *p, struct aggregate *total,
                         const Otlp__HistogramDataPoint *point)
{
	size_t n = point->n_explicit_bounds;
	struct bucket_total *b = total->buckets;
	void *made;
	int r;

	if (total->begun)
		return 0;
	if (!b || b->held < n) {
		r = aggregate_alloc(p, total, total_size(n), &made);
		if (r < 0)
			return r;
		if (b)
			aggregate_release(p, total, b, total_size(b->held));
		total->buckets = b = made;
		b->held = n;
		b->counts = (uint64_t *)(b->bounds + n);
	}
	b->n = n;
	if (n)
		memcpy(b->bounds, point->explicit_bounds, n * sizeof(double));
	return 0;
}

static void total_add(struct aggregate *total, Otlp__HistogramDataPoint *p, bool extremes)
{
	struct bucket_total *b = total->buckets;

	b->n = narrow((struct buckets){b->n, b->bounds, b->counts}, p->explicit_bounds,
	              p->n_explicit_bounds);
	narrow_point(p, b->bounds, b->n);
	for (size_t i = 0; i < p->n_bucket_counts; i++)
		b->counts[i] += p->bucket_counts[i];
	aggregate_add_summed(total, &(struct summed){
					    .count = p->count,
					    .has_sum = p->optional_sum_case,
					    .sum = p->sum,
					    .has_min = extremes && p->optional_min_case,
					    .min = p->min,
					    .has_max = extremes && p->optional_max_case,
					    .max = p->max,
				    });
}

static int histogram_add(struct cardinality *p, struct aggregate *total, void *message)
{
	int r;

	tidy(message);
	r = total_prepare(p, total, message);
	if (r == 0)
		total_add(total, message, true);
	return r;
}

static int histogram_tell(const struct aggregate *total, struct arena *arena, void *message)
{
	const struct bucket_total *b = total->buckets;
	Otlp__HistogramDataPoint *out = message;

	out->n_explicit_bounds = b->n;
	out->n_bucket_counts = b->n ? b->n + 1 : 0;
	if (b->n) {
		out->explicit_bounds = arena_alloc_array(arena, b->n, sizeof(double));
		out->bucket_counts = arena_alloc_array(arena, b->n + 1, sizeof(uint64_t));
		if (!out->explicit_bounds || !out->bucket_counts)
			return -ENOMEM;
		memcpy(out->explicit_bounds, b->bounds, b->n * sizeof(double));
		memcpy(out->bucket_counts, b->counts, (b->n + 1) * sizeof(uint64_t));
	}
	out->count = total->count;
	out->sum = total->has_sum ? amount_real(&total->sum) : 0;
	out->min = total->min;
	out->max = total->max;
	out->optional_sum_case = total->has_sum ? OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM
	                                        : OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM__NOT_SET;
	out->optional_min_case = total->has_min ? OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN
	                                        : OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN__NOT_SET;
	out->optional_max_case = total->has_max ? OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX
	                                        : OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX__NOT_SET;
	return 0;
}

/* ---- last values */

struct last_buckets {
	struct last_object head;
	uint64_t bounds; /* a hash of them */
	uint64_t count;
	double sum;
	uint64_t counts[];
};

static size_t last_size(size_t n_counts)
{
	return sizeof(struct last_buckets) + n_counts * sizeof(uint64_t);
}

static uint64_t bounds_hash(const struct cardinality *p, const Otlp__HistogramDataPoint *point)
{
	return key_bytes(p, slice_of(point->explicit_bounds,
	                             point->n_explicit_bounds * sizeof(double)));
}

/* A source whose bounds have changed has begun anew, as has one of which a bucket fell. */
static bool has_fallen(const struct last_buckets *last, const Otlp__HistogramDataPoint *p,
                       uint64_t bounds)
{
	bool fallen = last->bounds != bounds || last->head.bytes != last_size(p->n_bucket_counts) ||
	              p->count < last->count;

	for (size_t i = 0; !fallen && i < p->n_bucket_counts; i++)
		fallen = p->bucket_counts[i] < last->counts[i];
	return fallen;
}

/* The last value becomes the point's, the point what it has more; but for the sum. */
static void exchange(struct last_buckets *last, Otlp__HistogramDataPoint *p, bool all)
{
	struct last_buckets before = *last;

	last->count = p->count;
	last->sum = p->optional_sum_case ? p->sum : 0;
	p->count -= all ? 0 : before.count;
	for (size_t i = 0; i < p->n_bucket_counts; i++) {
		uint64_t now = p->bucket_counts[i];

		p->bucket_counts[i] -= all ? 0 : last->counts[i];
		last->counts[i] = now;
	}
}

static int histogram_track(struct cardinality *p, struct aggregate *total, uint64_t key,
                           void *message, const struct family *f, uint64_t now_ns)
{
	Otlp__HistogramDataPoint *point = message;
	uint64_t start = point->start_time_unix_nano, time = point->time_unix_nano, bounds;
	struct last_place *last = places_find(&p->lasts, key);
	struct last_buckets *buckets;
	enum news news = NEWS_ALL;
	double sum = 0;
	int r;

	tidy(point);
	bounds = bounds_hash(p, point);
	if (last) {
		buckets = last_object(last, LAST_BUCKETS);
		if (!buckets)
			return -ENOSPC; /* two keys that meet */
		news = last_news(p, last, start, time, has_fallen(buckets, point, bounds));
		last_see(p, last, now_ns);
		sum = buckets->sum;
	}
	r = total_prepare(p, total, point);
	if (r == 0 && news != NEWS_NONE)
		r = last_object_fit(p, key, &last, last_size(point->n_bucket_counts), LAST_BUCKETS);
	if (r < 0 || news == NEWS_NONE)
		return r;
	buckets = last_object(last, LAST_BUCKETS);
	buckets->bounds = bounds;
	exchange(buckets, point, news == NEWS_ALL);
	last_see(p, last, now_ns);
	last_mark(p, last, start, time);
	total_add(total, point, false);
	if (news == NEWS_MORE)
		amount_add_real(&total->sum, -sum);
	return 0;
}

const struct point_kind point_histogram = {
	.open = histogram_open,
	.is_valued = histogram_is_valued,
	.add = histogram_add,
	.track = histogram_track,
	.tell = histogram_tell,
};
