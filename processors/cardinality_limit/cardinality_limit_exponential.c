/* exponential: exponential histograms that become part of another series. */
#include "core/data/build.h"
#include "processors/cardinality_limit/cardinality_limit_totals.h"
#include "processors/cardinality_limit/exponential.h"

#include <errno.h>
#include <math.h>

static void exponential_open(void *message, struct point *ret)
{
	Otlp__ExponentialHistogramDataPoint *p = message;

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

static bool exponential_is_valued(const void *message)
{
	const Otlp__ExponentialHistogramDataPoint *p = message;
	return !p->optional_sum_case || isfinite(p->sum);
}

/* The point's buckets, where they lie, in bounds. */
static struct exponential buckets_of(Otlp__ExponentialHistogramDataPoint *p)
{
	Otlp__ExponentialHistogramDataPoint__Buckets *const sides[2] = {p->positive, p->negative};
	struct exponential e = {.scale = p->scale,
	                        .zero_threshold = p->zero_threshold,
	                        .zero_count = p->zero_count};

	for (int i = 0; i < 2; i++)
		if (sides[i])
			e.sides[i] = (struct exponential_side){sides[i]->offset,
			                                       sides[i]->n_bucket_counts,
			                                       sides[i]->bucket_counts};
	exponential_tidy(&e);
	return e;
}

static struct summed summed_of(const Otlp__ExponentialHistogramDataPoint *p, bool extremes)
{
	return (struct summed){
		.count = p->count,
		.has_sum = p->optional_sum_case,
		.sum = p->sum,
		.has_min = extremes && p->optional_min_case,
		.min = p->min,
		.has_max = extremes && p->optional_max_case,
		.max = p->max,
	};
}

/* ---- totals */

struct exponential_total {
	size_t room[2]; /* counts of each side */
	struct exponential sum;
	uint64_t counts[];
};

enum { ROOM_STEP = 16 }; /* so that it grows seldom */

static size_t total_size(const size_t room[2])
{
	return sizeof(struct exponential_total) + (room[0] + room[1]) * sizeof(uint64_t);
}

size_t exponential_total_size(const struct exponential_total *total)
{
	return total_size(total->room);
}

/* Room for the buckets of both. */
static int total_prepare(struct cardinality *p, struct aggregate *total,
                         const struct exponential *e)
{
	struct exponential_total *had = total->exponential, *t;
	size_t room[2] = {0};
	bool fits = had;
	void *made;
	int r;

	for (int i = 0; i < 2; i++) {
		room[i] = had ? exponential_union(&had->sum, e, i) : e->sides[i].n;
		fits = fits && room[i] <= had->room[i];
		room[i] = (room[i] + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
		if (had && had->room[i] > room[i])
			room[i] = had->room[i];
	}
	if (fits)
		return 0;
	r = aggregate_alloc(p, total, total_size(room), &made);
	if (r < 0)
		return r;
	t = made;
	t->sum.scale = EXPONENTIAL_FINEST;
	if (had)
		t->sum = had->sum;
	for (int i = 0; i < 2; i++) {
		t->room[i] = room[i];
		t->sum.sides[i].counts = t->counts + (i ? room[0] : 0);
		if (had && had->sum.sides[i].n)
			memcpy(t->sum.sides[i].counts, had->sum.sides[i].counts,
			       had->sum.sides[i].n * sizeof(uint64_t));
	}
	if (had)
		aggregate_release(p, total, had, total_size(had->room));
	total->exponential = t;
	return 0;
}

static int exponential_take(struct cardinality *p, struct aggregate *total, void *message)
{
	struct exponential e = buckets_of(message);
	struct summed summed = summed_of(message, true);
	int r = total_prepare(p, total, &e);

	if (r < 0)
		return r;
	exponential_align(&total->exponential->sum, &e);
	exponential_add(&total->exponential->sum, &e);
	aggregate_add_summed(total, &summed);
	return 0;
}

static int side_tell(const struct exponential_side *s, struct arena *arena,
                     Otlp__ExponentialHistogramDataPoint__Buckets **ret)
{
	Otlp__ExponentialHistogramDataPoint__Buckets *b = NULL;

	if (s->n) {
		b = BUILD(arena, Otlp__ExponentialHistogramDataPoint__Buckets,
		          otlp__exponential_histogram_data_point__buckets);
		if (!b)
			return -ENOMEM;
		b->bucket_counts = arena_alloc_array(arena, s->n, sizeof(uint64_t));
		if (!b->bucket_counts)
			return -ENOMEM;
		memcpy(b->bucket_counts, s->counts, s->n * sizeof(uint64_t));
		b->n_bucket_counts = s->n;
		b->offset = (int32_t)s->low;
	}
	*ret = b;
	return 0;
}

static int exponential_tell(const struct aggregate *total, struct arena *arena, void *message)
{
	const struct exponential *e = &total->exponential->sum;
	Otlp__ExponentialHistogramDataPoint *out = message;

	if (side_tell(&e->sides[0], arena, &out->positive) < 0 ||
	    side_tell(&e->sides[1], arena, &out->negative) < 0)
		return -ENOMEM;
	out->scale = e->scale;
	out->zero_count = e->zero_count;
	out->zero_threshold = e->zero_threshold;
	out->count = total->count;
	out->sum = total->has_sum ? amount_real(&total->sum) : 0;
	out->min = total->min;
	out->max = total->max;
	out->optional_sum_case =
		total->has_sum ? OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM
			       : OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_SUM__NOT_SET;
	out->optional_min_case =
		total->has_min ? OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN
			       : OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MIN__NOT_SET;
	out->optional_max_case =
		total->has_max ? OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX
			       : OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MAX__NOT_SET;
	return 0;
}

/* ---- last values */

struct last_exponential {
	struct last_object head;
	uint64_t count, zero_count;
	double sum, zero_threshold;
	int32_t scale, low[2];
	uint16_t n[2];
	uint64_t counts[];
};
_Static_assert(EXPONENTIAL_BUCKETS <= UINT16_MAX, "n counts buckets");

/* Buckets of a point or a last value, to be worked on. */
struct work {
	struct exponential e;
	uint64_t counts[2 * EXPONENTIAL_BUCKETS];
};

static void last_load(struct work *w, struct last_exponential *last)
{
	struct exponential e = {.scale = last->scale,
	                        .zero_count = last->zero_count,
	                        .zero_threshold = last->zero_threshold};

	for (int i = 0; i < 2; i++)
		e.sides[i] = (struct exponential_side){last->low[i], last->n[i],
		                                       last->counts + (i ? last->n[0] : 0)};
	w->e = exponential_copy(&e, w->counts);
}

static void last_save(struct last_exponential *last, const struct exponential *e,
                      const Otlp__ExponentialHistogramDataPoint *p)
{
	last->count = p->count;
	last->sum = p->optional_sum_case ? p->sum : 0;
	last->scale = e->scale;
	last->zero_count = e->zero_count;
	last->zero_threshold = e->zero_threshold;
	for (int i = 0; i < 2; i++) {
		last->low[i] = (int32_t)e->sides[i].low;
		last->n[i] = (uint16_t)e->sides[i].n;
	}
	exponential_copy(e, last->counts);
}

/* Leaves of now what it has more than before. False: it has less, and nothing has changed. */
static bool subtract(struct work *now, const struct exponential *point, struct work *before)
{
	now->e = exponential_copy(point, now->counts);
	exponential_align(&now->e, &before->e);
	return exponential_subtract(&now->e, &before->e);
}

static int exponential_track(struct cardinality *p, struct aggregate *total, uint64_t key,
                             void *message, const struct family *f, uint64_t now_ns)
{
	Otlp__ExponentialHistogramDataPoint *point = message;
	uint64_t start = point->start_time_unix_nano, time = point->time_unix_nano;
	struct last_place *last = places_find(&p->lasts, key);
	struct exponential e = buckets_of(point), *more = &e;
	struct summed summed = summed_of(point, false);
	struct last_exponential *object = NULL;
	enum news news = NEWS_ALL;
	struct work before, now;
	double sum_before = 0;
	bool fallen;
	int r;

	if (last) {
		object = last_object(last, LAST_EXPONENTIAL);
		if (!object)
			return -ENOSPC; /* two keys that meet */
		last_load(&before, object);
		fallen = point->count < object->count || !subtract(&now, &e, &before);
		news = last_news(p, last, start, time, fallen);
		last_see(p, last, now_ns);
	}
	r = total_prepare(p, total, &e);
	if (news == NEWS_MORE) {
		more = &now.e;
		summed.count -= object->count;
		sum_before = object->sum;
	}
	if (r == 0 && news != NEWS_NONE)
		r = last_object_fit(p, key, &last,
		                    sizeof *object +
		                            (e.sides[0].n + e.sides[1].n) * sizeof(uint64_t),
		                    LAST_EXPONENTIAL);
	if (r < 0 || news == NEWS_NONE)
		return r;
	last_save(last_object(last, LAST_EXPONENTIAL), &e, point);
	last_see(p, last, now_ns);
	last_mark(p, last, start, time);
	exponential_align(&total->exponential->sum, more);
	exponential_add(&total->exponential->sum, more);
	aggregate_add_summed(total, &summed);
	if (news == NEWS_MORE)
		amount_add_real(&total->sum, -sum_before);
	return 0;
}

const struct point_kind point_exponential = {
	.open = exponential_open,
	.is_valued = exponential_is_valued,
	.add = exponential_take,
	.track = exponential_track,
	.tell = exponential_tell,
};
