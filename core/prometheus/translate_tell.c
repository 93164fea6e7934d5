#include "core/base/clock.h"
#include "core/prometheus/translate_internal.h"

#include <stdlib.h>

/* ---- one sample */

/* Counts the point as dropped, the first time. */
static void drop_point(struct translator *t, uint32_t point, enum translate_drop reason)
{
	uint8_t bit = (uint8_t)(1 << point % 8);

	if (point == SAMPLE_OF_NO_POINT || (t->torn[point / 8] & bit))
		return;
	t->torn[point / 8] |= bit;
	t->any_torn = true;
	translator_drop(t, reason, 1);
}

static bool is_torn(const struct translator *t, uint32_t point)
{
	return t->any_torn && point != SAMPLE_OF_NO_POINT && (t->torn[point / 8] & 1 << point % 8);
}

/* What was added up is told with the next sample: nothing is lost with this one. */
static void drop_sample(struct translator *t, const struct series *s, uint32_t point,
                        enum translate_drop reason)
{
	if (!s->state)
		drop_point(t, point, reason);
}

/* The sample's place, or NULL when it is dropped. */
static struct sample *tell(struct translator *t, struct series *s, int64_t ms, uint32_t point)
{
	struct sample *before = s->pending < t->n_samples ? &t->samples[s->pending] : NULL;
	bool late = ms <= s->last_ms;

	if (before && before->series != s)
		before = NULL;
	/* Where late samples are told, the other one may be of another source. */
	if (before && before->ms == ms && !t->options.tell_late) {
		drop_sample(t, s, before->point, TRANSLATE_DUPLICATE);
		*before = (struct sample){.series = s, .ms = ms, .late = late, .point = point};
		return before;
	}
	if (late && !t->options.tell_late) {
		drop_sample(t, s, point, ms == s->last_ms ? TRANSLATE_DUPLICATE : TRANSLATE_LATE);
		return NULL;
	}
	if (before && ms < before->ms && !t->disordered && !t->options.tell_late) {
		if (t->sorted_capacity < t->samples_capacity) {
			free(t->sorted);
			t->sorted = reallocarray(NULL, t->samples_capacity, sizeof *t->sorted);
			t->sorted_capacity = t->sorted ? t->samples_capacity : 0;
		}
		if (!t->sorted) {
			drop_sample(t, s, point, TRANSLATE_NO_MEMORY);
			return NULL;
		}
		t->disordered = true;
	}
	s->pending = (uint32_t)t->n_samples;
	t->samples[t->n_samples] =
		(struct sample){.series = s, .ms = ms, .late = late, .point = point};
	return &t->samples[t->n_samples++];
}

static int64_t start_before(int64_t start_ms, int64_t ms)
{
	return start_ms <= ms ? start_ms : 0;
}

/* Since when what begins with this delta counts. */
static int64_t start_of(const struct point *p)
{
	return p->start_ms ? p->start_ms : (int64_t)(p->time_ns / NS_PER_MS);
}

/* What a counter among the point's series stands at now: with deltas, what they come to. */
static struct sample *tell_count(struct translator *t, const struct point *p, struct series *s,
                                 double value)
{
	int64_t ms = (int64_t)(p->time_ns / NS_PER_MS), start_ms = p->start_ms;
	struct sample *sample;

	if (p->delta) {
		s->state->total += value;
		value = s->state->total;
		start_ms = p->starts ? s->state->start_ms : 0;
	}
	sample = tell(t, s, ms, p->of);
	if (sample) {
		sample->value = value;
		sample->start_ms = start_before(start_ms, ms);
	}
	return sample;
}

void tell_stale(struct translator *t, struct series *s, int64_t ms, uint32_t point)
{
	static const struct native_histogram ended = {.zero_threshold = 0};
	struct native_histogram *histogram;
	struct sample *sample;

	if (s->role == SERIES_NATIVE) {
		histogram = arena_alloc(&t->arena, sizeof *histogram);
		if (!histogram) {
			drop_point(t, point, TRANSLATE_NO_MEMORY);
			return;
		}
		*histogram = ended;
		histogram->sum = stale_nan();
		sample = tell(t, s, ms, point);
		if (sample)
			sample->histogram = histogram;
	} else {
		sample = tell(t, s, ms, point);
		if (sample)
			sample->value = stale_nan();
	}
	if (sample)
		sample->stale = true;
}

/* ---- one point */

static void tell_histogram(struct translator *t, const struct point *p, struct series *s,
                           const struct native_histogram *h, int64_t start_ms)
{
	int64_t ms = (int64_t)(p->time_ns / NS_PER_MS);
	struct sample *sample;

	if (!h) {
		drop_point(t, p->of, TRANSLATE_NO_MEMORY);
		return;
	}
	sample = tell(t, s, ms, p->of);
	if (!sample)
		return;
	sample->histogram = h;
	sample->start_ms = start_before(start_ms, ms);
	sample->exemplars = p->exemplars;
	sample->n_exemplars = p->n_exemplars;
}

static void tell_native_delta(struct translator *t, const struct point *p, struct series *s)
{
	bool custom = p->kind == POINT_CUSTOM_DELTA;
	const double *bounds = custom ? p->histogram->explicit_bounds : NULL;
	size_t n_bounds = custom ? native_bounds(p->histogram) : 0;

	if (custom) {
		uint64_t layout = identity_layout(bounds, n_bounds, 0);

		if (s->state->native->layout != layout)
			series_state_reset(s, start_of(p));
		s->state->native->layout = layout;
	}
	if (!(custom ? native_add_custom(s, p->histogram) : native_add(s, p->exponential))) {
		drop_point(t, p->of, TRANSLATE_NO_MEMORY);
		return;
	}
	tell_histogram(t, p, s, native_build_total(&t->arena, s, custom, bounds, n_bounds),
	               s->state->start_ms);
}

/* Series in the order of layout_classic(): buckets, the last of them +Inf, then sum and count. */
static void tell_classic(struct translator *t, const struct point *p, struct stream *stream)
{
	const Otlp__HistogramDataPoint *h = p->histogram;
	uint32_t n_buckets = stream->n - 2, exemplar = 0;
	uint64_t count = 0;

	for (uint32_t i = 0; i < n_buckets; i++) {
		bool last = i == n_buckets - 1;
		uint32_t first = exemplar;
		struct sample *sample;

		count += i < h->n_bucket_counts ? h->bucket_counts[i] : 0;
		sample = tell_count(t, p, stream->series[i], (double)(last ? h->count : count));
		while (exemplar < p->n_exemplars && (last || p->buckets[exemplar] <= i))
			exemplar++;
		if (sample && exemplar > first) {
			sample->exemplars = p->exemplars + first;
			sample->n_exemplars = exemplar - first;
		}
	}
	if (h->optional_sum_case)
		tell_count(t, p, stream->series[n_buckets],
		           p->delta ? native_finite(h->sum) : h->sum);
	tell_count(t, p, stream->series[n_buckets + 1], (double)h->count);
}

static void tell_summary(struct translator *t, const struct point *p, struct stream *stream)
{
	const Otlp__SummaryDataPoint *s = p->summary;
	uint32_t n = stream->n - 2;

	for (uint32_t i = 0; i < n; i++) {
		struct sample *sample =
			tell(t, stream->series[i], (int64_t)(p->time_ns / NS_PER_MS), p->of);

		if (sample)
			sample->value = s->quantile_values[i]->value;
	}
	tell_count(t, p, stream->series[n], s->sum);
	tell_count(t, p, stream->series[n + 1], (double)s->count);
}

/* Whether a delta is one that was not added yet. */
static bool delta_begin(struct translator *t, const struct point *p, struct stream *stream)
{
	if (p->time_ns <= stream->last_ns) {
		drop_point(t, p->of,
		           p->time_ns == stream->last_ns ? TRANSLATE_DUPLICATE : TRANSLATE_LATE);
		return false;
	}
	stream->last_ns = p->time_ns;
	for (uint32_t i = 0; i < stream->n; i++) {
		struct series *s = stream->series[i];

		if (stream->reset || !s->state->start_ms)
			series_state_reset(s, start_of(p));
	}
	stream->reset = false;
	return true;
}

static void tell_point(struct translator *t, const struct point *p)
{
	struct stream *stream = target_stream(p->target);
	struct series *s = stream ? stream->series[0] : target_series(p->target);
	struct sample *sample;

	if (p->kind == POINT_STALE) {
		int64_t ms = (int64_t)(p->time_ns / NS_PER_MS);

		if (!stream)
			tell_stale(t, s, ms, p->of);
		for (uint32_t i = 0; stream && i < stream->n; i++)
			tell_stale(t, stream->series[i], ms, p->of);
		return;
	}
	if (p->delta && !delta_begin(t, p, stream))
		return;
	switch ((enum point_kind)p->kind) {
	case POINT_VALUE:
		sample = tell_count(t, p, s, p->value);
		if (sample) {
			sample->exemplars = p->exemplars;
			sample->n_exemplars = p->n_exemplars;
		}
		break;
	case POINT_NATIVE:
		tell_histogram(t, p, s, p->native, p->start_ms);
		break;
	case POINT_EXPONENTIAL_DELTA:
	case POINT_CUSTOM_DELTA:
		tell_native_delta(t, p, s);
		break;
	case POINT_CLASSIC:
		tell_classic(t, p, stream);
		break;
	case POINT_SUMMARY:
		tell_summary(t, p, stream);
		break;
	case POINT_TARGET_INFO:
		sample = tell(t, s, (int64_t)(p->time_ns / NS_PER_MS), p->of);
		if (sample)
			sample->value = 1;
		break;
	case POINT_STALE:
		break;
	}
}

/* ---- all of them */

static int compare_points(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

bool tell_points(struct translator *t)
{
	size_t torn = t->pending.points / 8 + 1;

	if (t->torn_capacity < torn) {
		free(t->torn);
		t->torn = malloc(torn);
		t->torn_capacity = t->torn ? torn : 0;
	}
	if (!t->torn)
		return false;
	memset(t->torn, 0, torn);
	if (t->deltas_disordered)
		qsort(t->points, t->n_points, sizeof *t->points, compare_points);
	for (size_t i = 0; i < t->n_points; i++)
		tell_point(t, &t->points[i]);
	return true;
}

/* A merge sort, bottom up: samples of one time stay in the order in which they came. */
static void sort_samples(struct translator *t)
{
	struct sample *from = t->samples, *to = t->sorted;
	size_t n = t->n_samples;

	for (size_t width = 1; width < n; width *= 2) {
		for (size_t start = 0; start < n; start += 2 * width) {
			size_t middle = start + width < n ? start + width : n;
			size_t end = start + 2 * width < n ? start + 2 * width : n;
			size_t a = start, b = middle;

			for (size_t i = start; i < end; i++)
				to[i] = a < middle && (b == end || from[a].ms <= from[b].ms)
				                ? from[a++]
				                : from[b++];
		}
		struct sample *other = from;
		from = to;
		to = other;
	}
	if (from != t->samples)
		memcpy(t->samples, from, n * sizeof *from);
}

/* Of samples of one series and time, which are in the order in which they came, the last stays. */
static void drop_duplicates(struct translator *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_samples; i++) {
		struct sample sample = t->samples[i];
		struct series *s = sample.series;

		if (s->pending < n && t->samples[s->pending].series == s &&
		    t->samples[s->pending].ms == sample.ms) {
			drop_sample(t, s, t->samples[s->pending].point, TRANSLATE_DUPLICATE);
			t->samples[s->pending] = sample;
			continue;
		}
		s->pending = (uint32_t)n;
		t->samples[n++] = sample;
	}
	t->n_samples = n;
}

void tell_commit(struct translator *t)
{
	if (t->disordered) {
		sort_samples(t);
		drop_duplicates(t);
	}
	for (size_t i = 0; i < t->n_samples; i++) {
		struct sample *sample = &t->samples[i];

		if (is_torn(t, sample->point))
			sample->point = SAMPLE_OF_NO_POINT;
		if (sample->ms > sample->series->last_ms) {
			sample->series->last_ms = sample->ms;
			sample->series->stale = sample->stale;
		}
	}
}
