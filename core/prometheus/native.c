#include "core/prometheus/native.h"

#include <stdlib.h>

/* Thresholds that are not given, and what a total begins with. */
#define ZERO_THRESHOLD_DEFAULT 1e-128

/* ---- what the points hold */

/* Counts in a row, from an index on, at a scale that is shift above what is wanted. */
struct row {
	const uint64_t *counts;
	size_t n;
	int64_t offset;
	unsigned shift;
};

static int64_t row_index(const struct row *row, size_t i)
{
	return (row->offset + (int64_t)i) >> row->shift;
}

/* Without the empty ends. */
static struct row row_trim(struct row row)
{
	while (row.n && !row.counts[row.n - 1])
		row.n--;
	while (row.n && !row.counts[0]) {
		row.counts++;
		row.offset++;
		row.n--;
	}
	return row;
}

static unsigned shift_to(int32_t scale, int32_t wanted)
{
	int64_t shift = (int64_t)scale - wanted;
	return shift > 63 ? 63 : shift < 0 ? 0 : (unsigned)shift;
}

static struct row row_of(const Otlp__ExponentialHistogramDataPoint__Buckets *b, int32_t scale,
                         int32_t wanted)
{
	if (!b)
		return (struct row){0};
	return row_trim((struct row){b->bucket_counts, b->n_bucket_counts, b->offset,
	                             shift_to(scale, wanted)});
}

static struct row side_row(const struct native_side *side)
{
	return row_trim((struct row){side->counts, side->n, side->offset, 0});
}

static int32_t schema_of(int32_t scale)
{
	return scale > NATIVE_SCALE_MAX ? NATIVE_SCALE_MAX : scale;
}

/* ---- checking */

size_t native_bounds(const Otlp__HistogramDataPoint *p)
{
	size_t n = p->n_explicit_bounds;
	return n && isinf(p->explicit_bounds[n - 1]) ? n - 1 : n;
}

/* No double lies in a bucket beyond: the exponents go from -1074 to 1023. */
static bool in_range(const struct row *row, int32_t schema)
{
	int64_t limit = schema >= 0 ? INT64_C(1100) << schema : (INT64_C(1100) >> -schema) + 1;

	return !row->n || (row_index(row, 0) >= -limit && row_index(row, row->n - 1) <= limit);
}

static bool add_checked(uint64_t *sum, const uint64_t *counts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(*sum, counts[i], sum) || *sum > INT64_MAX)
			return false;
	return true;
}

enum translate_drop native_check(const Otlp__ExponentialHistogramDataPoint *p)
{
	int32_t schema = schema_of(p->scale);
	struct row positive = row_of(p->positive, p->scale, schema);
	struct row negative = row_of(p->negative, p->scale, schema);
	uint64_t sum = p->zero_count;

	if (p->scale < NATIVE_SCALE_MIN)
		return TRANSLATE_SCALE;
	if (!in_range(&positive, schema) || !in_range(&negative, schema))
		return TRANSLATE_INVALID;
	if (sum > INT64_MAX || !add_checked(&sum, positive.counts, positive.n) ||
	    !add_checked(&sum, negative.counts, negative.n) || sum != p->count)
		return TRANSLATE_INVALID;
	return TRANSLATE_DROPS;
}

enum translate_drop native_check_custom(const Otlp__HistogramDataPoint *p)
{
	uint64_t sum = 0;

	if (!add_checked(&sum, p->bucket_counts, p->n_bucket_counts) || sum != p->count)
		return TRANSLATE_INVALID;
	/* nothing lies above infinity */
	if (native_bounds(p) < p->n_explicit_bounds && p->n_bucket_counts &&
	    p->bucket_counts[p->n_bucket_counts - 1])
		return TRANSLATE_INVALID;
	return TRANSLATE_DROPS;
}

/* ---- spans and deltas */

struct spans {
	struct native_span *spans;
	int64_t *deltas;
	size_t n_spans, n_deltas;
	int64_t next; /* index after the last bucket */
	int64_t previous;
};

static void put(struct spans *s, int64_t count)
{
	s->deltas[s->n_deltas++] = count - s->previous;
	s->previous = count;
	s->spans[s->n_spans - 1].length++;
	s->next++;
}

/* Two empty buckets are shorter than a span. */
enum { GAP_FILLED = 2 };

static void put_bucket(struct spans *s, int64_t index, uint64_t count)
{
	if (!s->n_spans || index - s->next > GAP_FILLED) {
		int64_t offset = s->n_spans ? index - s->next : index;

		s->spans[s->n_spans++].offset = (int32_t)offset;
		s->next = index;
	}
	while (s->next < index)
		put(s, 0);
	put(s, (int64_t)count);
}

static bool spans_build(struct arena *a, struct row row, struct spans *ret)
{
	if (!row.n)
		return true;
	ret->spans = arena_alloc_array(a, row.n, sizeof *ret->spans);
	ret->deltas = arena_alloc_array(a, row.n, sizeof *ret->deltas);
	if (!ret->spans || !ret->deltas)
		return false;
	for (size_t i = 0; i < row.n;) {
		int64_t index = row_index(&row, i);
		uint64_t count = 0;

		for (; i < row.n && row_index(&row, i) == index; i++)
			count += row.counts[i];
		if (count)
			put_bucket(ret, index + 1, count);
	}
	return true;
}

static const struct native_histogram *build(struct arena *a, const struct native_histogram *plain,
                                            struct row positive, struct row negative)
{
	struct native_histogram *h = arena_alloc(a, sizeof *h);
	struct spans p = {0}, n = {0};

	if (!h || !spans_build(a, positive, &p) || !spans_build(a, negative, &n))
		return NULL;
	*h = *plain;
	h->positive_spans = p.spans;
	h->n_positive_spans = p.n_spans;
	h->positive_deltas = p.deltas;
	h->n_positive_deltas = p.n_deltas;
	h->negative_spans = n.spans;
	h->n_negative_spans = n.n_spans;
	h->negative_deltas = n.deltas;
	h->n_negative_deltas = n.n_deltas;
	return h;
}

static double threshold_of(const Otlp__ExponentialHistogramDataPoint *p)
{
	return p->zero_threshold > 0 && isfinite(p->zero_threshold) ? p->zero_threshold
	                                                            : ZERO_THRESHOLD_DEFAULT;
}

static double sum_of(const Otlp__ExponentialHistogramDataPoint *p)
{
	return p->optional_sum_case ? p->sum : 0;
}

const struct native_histogram *native_build(struct arena *a,
                                            const Otlp__ExponentialHistogramDataPoint *p)
{
	int32_t schema = schema_of(p->scale);
	struct native_histogram plain = {
		.count = p->count,
		.zero_count = p->zero_count,
		.sum = sum_of(p),
		.zero_threshold = threshold_of(p),
		.schema = schema,
	};

	return build(a, &plain, row_of(p->positive, p->scale, schema),
	             row_of(p->negative, p->scale, schema));
}

/* Custom buckets are numbered from 0: what build() adds to OTLP's index is taken off first. */
static struct row custom_row(const Otlp__HistogramDataPoint *p)
{
	return row_trim((struct row){p->bucket_counts, p->n_bucket_counts, -1, 0});
}

/* The samples outlive the batch. NULL: no memory, or none to copy. */
static const double *bounds_copy(struct arena *a, const double *bounds, size_t n)
{
	double *copy = n ? arena_alloc_array(a, n, sizeof *copy) : NULL;

	if (copy)
		memcpy(copy, bounds, n * sizeof *copy);
	return copy;
}

const struct native_histogram *native_build_custom(struct arena *a,
                                                   const Otlp__HistogramDataPoint *p)
{
	size_t n_bounds = native_bounds(p);
	struct native_histogram plain = {
		.count = p->count,
		.sum = p->optional_sum_case ? p->sum : 0,
		.schema = NATIVE_SCALE_CUSTOM,
		.custom_values = bounds_copy(a, p->explicit_bounds, n_bounds),
		.n_custom_values = n_bounds,
	};

	if (n_bounds && !plain.custom_values)
		return NULL;
	return build(a, &plain, custom_row(p), (struct row){0});
}

const struct native_histogram *native_build_total(struct arena *a, const struct series *s,
                                                  bool custom, const double *bounds,
                                                  size_t n_bounds)
{
	struct native_total *total = s->state->native;
	struct native_histogram plain = {
		.count = total->count,
		.zero_count = total->zero_count,
		.sum = s->state->total,
		.reset = !total->told,
		.zero_threshold = custom ? 0 : total->zero_threshold,
		.schema = custom ? NATIVE_SCALE_CUSTOM : total->scale,
		.custom_values = bounds_copy(a, bounds, n_bounds),
		.n_custom_values = n_bounds,
	};

	if (n_bounds && !plain.custom_values)
		return NULL;
	total->told = true;
	return build(a, &plain, side_row(&total->positive), side_row(&total->negative));
}

/* ---- totals */

bool series_state_new(struct series *s)
{
	size_t size = sizeof *s->state;

	if (s->state)
		return true;
	if (s->role == SERIES_NATIVE)
		size += sizeof *s->state->native;
	s->state = calloc(1, size);
	if (!s->state)
		return false;
	series_state_reset(s, 0);
	return true;
}

void series_state_free(struct series *s)
{
	if (s->state && s->role == SERIES_NATIVE) {
		free(s->state->native->positive.counts);
		free(s->state->native->negative.counts);
	}
	free(s->state);
	s->state = NULL;
}

void series_state_reset(struct series *s, int64_t start_ms)
{
	struct native_total *total = s->state->native;

	s->state->total = 0;
	s->state->start_ms = start_ms;
	if (s->role != SERIES_NATIVE)
		return;
	total->scale = NATIVE_SCALE_MAX;
	total->count = total->zero_count = 0;
	total->zero_threshold = ZERO_THRESHOLD_DEFAULT;
	total->positive.n = total->negative.n = 0;
	total->told = false;
}

static void side_merge_down(struct native_side *side, unsigned shift)
{
	int64_t offset = side->offset >> shift;
	uint32_t n = 0;

	for (uint32_t i = 0; i < side->n; i++) {
		uint32_t at = (uint32_t)(((side->offset + i) >> shift) - offset);
		uint64_t count = side->counts[i];

		if (at >= n) {
			side->counts[at] = 0;
			n = at + 1;
		}
		side->counts[at] += count;
	}
	side->offset = offset;
	side->n = n;
}

struct range {
	int64_t low, high; /* high < low: empty */
};

static struct range range_of(struct row row, unsigned more)
{
	if (!row.n)
		return (struct range){0, -1};
	return (struct range){row_index(&row, 0) >> more, row_index(&row, row.n - 1) >> more};
}

static struct range range_join(struct range a, struct range b)
{
	if (a.high < a.low)
		return b;
	if (b.high < b.low)
		return a;
	return (struct range){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

/* Whether both fit in a total's buckets after so many more halvings. */
static bool fits(const struct native_side *side, struct row row, unsigned more)
{
	struct range r = range_join(range_of(side_row(side), more), range_of(row, more));
	return r.high - r.low < NATIVE_TOTAL_BUCKETS;
}

/* Room for the row, whose scale is the side's. False: no memory, nothing changed. */
static bool side_cover(struct native_side *side, struct row row)
{
	struct row own = side_row(side);
	struct range r = range_join(range_of(own, 0), range_of(row, 0));
	uint32_t n = (uint32_t)(r.high - r.low + 1);
	uint64_t *counts;

	if (!row.n || (side->n && r.low >= side->offset && r.high < side->offset + side->n))
		return true;
	counts = calloc(n, sizeof *counts);
	if (!counts)
		return false;
	if (own.n)
		memcpy(counts + (own.offset - r.low), own.counts, own.n * sizeof *counts);
	free(side->counts);
	*side = (struct native_side){r.low, n, n, counts};
	return true;
}

static void side_add(struct native_side *side, struct row row)
{
	for (size_t i = 0; i < row.n; i++)
		side->counts[row_index(&row, i) - side->offset] += row.counts[i];
}

bool native_add(struct series *s, const Otlp__ExponentialHistogramDataPoint *p)
{
	struct native_total *total = s->state->native;
	int32_t scale = p->scale < total->scale ? p->scale : total->scale;
	unsigned down = shift_to(total->scale, scale), more = 0;
	struct row positive, negative;
	double threshold = threshold_of(p);

	if (total->count + p->count > INT64_MAX)
		series_state_reset(s, s->state->start_ms);
	side_merge_down(&total->positive, down);
	side_merge_down(&total->negative, down);
	positive = row_of(p->positive, p->scale, scale);
	negative = row_of(p->negative, p->scale, scale);
	while (scale - (int32_t)more > NATIVE_SCALE_MIN &&
	       (!fits(&total->positive, positive, more) || !fits(&total->negative, negative, more)))
		more++;
	side_merge_down(&total->positive, more);
	side_merge_down(&total->negative, more);
	total->scale = scale - (int32_t)more;
	positive.shift = negative.shift = shift_to(p->scale, total->scale);
	if (!side_cover(&total->positive, positive) || !side_cover(&total->negative, negative))
		return false;
	side_add(&total->positive, positive);
	side_add(&total->negative, negative);
	if (threshold > total->zero_threshold)
		total->zero_threshold = threshold;
	total->zero_count += p->zero_count;
	total->count += p->count;
	s->state->total += native_finite(sum_of(p));
	return true;
}

bool native_add_custom(struct series *s, const Otlp__HistogramDataPoint *p)
{
	struct native_total *total = s->state->native;
	struct row row = custom_row(p);

	if (total->count + p->count > INT64_MAX)
		series_state_reset(s, s->state->start_ms);
	if (!side_cover(&total->positive, row))
		return false;
	side_add(&total->positive, row);
	total->count += p->count;
	s->state->total += p->optional_sum_case ? native_finite(p->sum) : 0;
	return true;
}
