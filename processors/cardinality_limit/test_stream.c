#include "processors/cardinality_limit/test_stream.h"

#include "core/base/clock.h"
#include "core/data/build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

const double values[VALUES] = {
	0,  0x1p-10, 0x3p-10, 0.125, 0.25,   0.375,     1,        1.5,    2,  3,  5,     7.75,
	64, 100,     1000,    65536, 300000, 1048576.0, -0x1p-10, -0.375, -1, -2, -1000, -65536,
};

uint64_t count_of(const struct counts *c)
{
	uint64_t count = 0;

	for (size_t v = 0; v < VALUES; v++)
		count += c->of[v];
	return count;
}

double sum_of(const struct counts *c)
{
	double sum = 0;

	for (size_t v = 0; v < VALUES; v++)
		sum += (double)c->of[v] * values[v];
	return sum;
}

/* ---- points */

static const double bounds_of[][BOUNDS_MAX] = {{0, 1, 2, 10, 1000, 70000},
                                               {0, 1.5, 2, 1000, 70000, 1e6},
                                               {-1, 0, 2, 5, 1000, 1e6}};

int64_t bucket_of(double value, int scale)
{
	return (int64_t)ceil(ldexp(log2(fabs(value)), scale)) - 1;
}

static Otlp__ExponentialHistogramDataPoint__Buckets *
side_make(struct arena *a, const struct sample *s, bool negative)
{
	Otlp__ExponentialHistogramDataPoint__Buckets *b =
		BUILD(a, Otlp__ExponentialHistogramDataPoint__Buckets,
	              otlp__exponential_histogram_data_point__buckets);
	int64_t low = INT64_MAX, high = INT64_MIN;

	assert_non_null(b);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t v = 0; v < VALUES; v++) {
			int64_t at;

			if (!s->counts.of[v] || fabs(values[v]) <= s->zero ||
			    (values[v] < 0) != negative)
				continue;
			at = bucket_of(values[v], s->scale);
			low = at < low ? at : low;
			high = at > high ? at : high;
			if (pass)
				b->bucket_counts[at - low] += s->counts.of[v];
		}
		if (pass || high < low)
			continue;
		low -= rand() % 3; /* nothing is there */
		b->offset = (int32_t)low;
		b->n_bucket_counts = (size_t)(high - low + 1);
		b->bucket_counts = arena_alloc_array(a, b->n_bucket_counts, sizeof(uint64_t));
		assert_non_null(b->bucket_counts);
	}
	return high < low ? NULL : b;
}

void extremes_of(const struct counts *c, double *ret_min, double *ret_max)
{
	*ret_min = INFINITY;
	*ret_max = -INFINITY;
	for (size_t v = 0; v < VALUES; v++)
		if (c->of[v]) {
			*ret_min = fmin(*ret_min, values[v]);
			*ret_max = fmax(*ret_max, values[v]);
		}
}

static Otlp__KeyValue **attributes_make(struct arena *a, unsigned source, size_t *ret_n)
{
	struct build_list list = {0};

	assert_true(build_int(a, &list, "id", source));
	assert_true(build_int(a, &list, "group", source % GROUPS));
	*ret_n = list.count;
	return (Otlp__KeyValue **)list.items;
}

static void *number_make(struct arena *a, enum kind kind, const struct sample *s)
{
	Otlp__NumberDataPoint *p = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);

	assert_non_null(p);
	p->attributes = attributes_make(a, s->source, &p->n_attributes);
	p->start_time_unix_nano = s->start;
	p->time_unix_nano = s->time;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = kind == SUM_INT ? (int64_t)count_of(&s->counts) : s->level;
	if (kind == SUM_REAL || (kind == GAUGE && s->source % 3 == 0)) {
		p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		p->as_double = kind == SUM_REAL ? (double)count_of(&s->counts) * 0x1p-30
		                                : (double)s->level + 0.25;
	}
	return p;
}

static void *buckets_make(struct arena *a, const struct sample *s, bool extremes_too)
{
	Otlp__HistogramDataPoint *p =
		BUILD(a, Otlp__HistogramDataPoint, otlp__histogram_data_point);

	assert_non_null(p);
	p->attributes = attributes_make(a, s->source, &p->n_attributes);
	p->start_time_unix_nano = s->start;
	p->time_unix_nano = s->time;
	p->count = count_of(&s->counts);
	p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = sum_of(&s->counts);
	extremes_of(&s->counts, &p->min, &p->max);
	if (extremes_too && p->count) {
		p->optional_min_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN;
		p->optional_max_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX;
	}
	p->n_explicit_bounds = BOUNDS_MAX;
	p->n_bucket_counts = BOUNDS_MAX + 1;
	p->explicit_bounds = arena_alloc_array(a, BOUNDS_MAX, sizeof(double));
	p->bucket_counts = arena_alloc_array(a, BOUNDS_MAX + 1, sizeof(uint64_t));
	assert_true(p->bucket_counts && p->explicit_bounds);
	memcpy(p->explicit_bounds, bounds_of[s->bounds], sizeof bounds_of[0]);
	for (size_t v = 0; v < VALUES; v++) {
		size_t at = 0;

		while (at < BOUNDS_MAX && values[v] > p->explicit_bounds[at])
			at++;
		p->bucket_counts[at] += s->counts.of[v];
	}
	return p;
}

static void *exponential_make(struct arena *a, const struct sample *s, bool extremes_too)
{
	Otlp__ExponentialHistogramDataPoint *p = BUILD(a, Otlp__ExponentialHistogramDataPoint,
	                                               otlp__exponential_histogram_data_point);

	assert_non_null(p);
	p->attributes = attributes_make(a, s->source, &p->n_attributes);
	p->start_time_unix_nano = s->start;
	p->time_unix_nano = s->time;
	p->count = count_of(&s->counts);
	p->optional_sum_case = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = sum_of(&s->counts);
	extremes_of(&s->counts, &p->min, &p->max);
	if (extremes_too && p->count) {
		p->optional_min_case = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MIN_MIN;
		p->optional_max_case = OTLP__EXPONENTIAL_HISTOGRAM_DATA_POINT__OPTIONAL_MAX_MAX;
	}
	p->scale = s->scale;
	p->zero_threshold = s->zero;
	for (size_t v = 0; v < VALUES; v++)
		if (fabs(values[v]) <= s->zero)
			p->zero_count += s->counts.of[v];
	p->positive = side_make(a, s, false);
	p->negative = side_make(a, s, true);
	return p;
}

static void metric_fill(struct arena *a, Otlp__Metric *m, enum kind kind, bool cumulative,
                        struct build_list points)
{
	Otlp__AggregationTemporality temporality =
		cumulative ? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE
			   : OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA;

	m->name = build_text("requests");
	if (kind == BUCKETS) {
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		m->histogram = BUILD(a, Otlp__Histogram, otlp__histogram);
		m->histogram->data_points = (Otlp__HistogramDataPoint **)points.items;
		m->histogram->n_data_points = points.count;
		m->histogram->aggregation_temporality = temporality;
	} else if (kind == EXPONENTIAL) {
		m->data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
		m->exponential_histogram =
			BUILD(a, Otlp__ExponentialHistogram, otlp__exponential_histogram);
		m->exponential_histogram->data_points =
			(Otlp__ExponentialHistogramDataPoint **)points.items;
		m->exponential_histogram->n_data_points = points.count;
		m->exponential_histogram->aggregation_temporality = temporality;
	} else if (kind == GAUGE) {
		m->data_case = OTLP__METRIC__DATA_GAUGE;
		m->gauge = BUILD(a, Otlp__Gauge, otlp__gauge);
		m->gauge->data_points = (Otlp__NumberDataPoint **)points.items;
		m->gauge->n_data_points = points.count;
	} else {
		m->data_case = OTLP__METRIC__DATA_SUM;
		m->sum = BUILD(a, Otlp__Sum, otlp__sum);
		m->sum->data_points = (Otlp__NumberDataPoint **)points.items;
		m->sum->n_data_points = points.count;
		m->sum->aggregation_temporality = temporality;
		m->sum->is_monotonic = kind != UPDOWN;
	}
}

struct batch *wire_batch(struct stage *s, struct arena *a, Otlp__Metric *m)
{
	struct batch *built = batch_new(SIGNAL_METRICS, NULL), *ret;
	Otlp__ResourceMetrics *group = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);
	Otlp__ScopeMetrics *scope = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	struct build_list metrics = {0}, scopes = {0};
	struct error error = ERROR_INIT;
	struct buffer out = BUFFER_INIT;
	struct rcbuf *pin;

	assert_true(build_list_add(a, &metrics, m) && build_list_add(a, &scopes, scope));
	scope->metrics = (Otlp__Metric **)metrics.items;
	scope->n_metrics = 1;
	group->scope_metrics = (Otlp__ScopeMetrics **)scopes.items;
	group->n_scope_metrics = 1;
	assert_true(batch_append(built, &group->base));
	assert_int_equal(batch_encode(built, &out, &error), 0);
	pin = rcbuf_new(out.len, &s->budget);
	assert_non_null(pin);
	memcpy(pin->data, out.data, out.len);
	assert_int_equal(batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size),
	                                    &s->budget, &ret, &error),
	                 0);
	rcbuf_unref(pin);
	buffer_fini(&out);
	batch_unref(built);
	return ret;
}

struct batch *stream_batch(struct stage *s, enum kind kind, bool cumulative,
                           const struct sample *samples, size_t n)
{
	struct build_list points = {0};
	struct arena arena;
	struct batch *ret;
	Otlp__Metric *m;

	arena_init(&arena, NULL);
	m = BUILD(&arena, Otlp__Metric, otlp__metric);
	for (size_t i = 0; i < n; i++) {
		void *point = kind == BUCKETS ? buckets_make(&arena, &samples[i], !cumulative)
		              : kind == EXPONENTIAL
		                      ? exponential_make(&arena, &samples[i], !cumulative)
		                      : number_make(&arena, kind, &samples[i]);

		assert_true(build_list_add(&arena, &points, point));
	}
	metric_fill(&arena, m, kind, cumulative, points);
	ret = wire_batch(s, &arena, m);
	arena_fini(&arena);
	return ret;
}

/* ---- a life: sources restart, fall, are late, tell twice, become coarser */

static void observe(struct sample *s)
{
	for (int i = rand() % 4; i >= 0; i--)
		s->counts.of[(unsigned)rand() % VALUES] += 1 + (unsigned)rand() % 9;
}

static void begin_anew(struct sample *s, uint64_t round)
{
	s->start = round * NS_PER_S;
	s->counts = (struct counts){{0}};
	s->bounds = (unsigned)rand() % 3;
	s->scale = 7 - rand() % 5;
	s->zero = rand() % 2 ? 0 : 0x1p-10;
}

size_t life_make(struct sample *ret, bool cumulative)
{
	struct sample now[SOURCES] = {{0}};
	size_t n = 0;

	for (uint64_t round = 1; round <= ROUNDS; round++)
		for (unsigned i = 0; i < SOURCES; i++) {
			static const double zeros[] = {0.2, 0.25, 0.3, 1.2, 4};
			struct sample *s = &now[i], before = *s;

			if (round > 1 && rand() % 4 == 0)
				continue;
			s->source = i;
			if (round == 1 || rand() % 12 == 0) {
				begin_anew(s, round);
			} else if (rand() % 20 == 0 && count_of(&s->counts) > 40) {
				s->counts = (struct counts){{0}}; /* and does not say so */
			} else if (!cumulative) {
				s->counts = (struct counts){{0}};
				s->start = before.time;
			}
			observe(s);
			if (rand() % 8 == 0)
				s->scale -= rand() % 3;
			if (rand() % 40 == 0)
				s->zero = fmax(s->zero, zeros[rand() % 5]);
			s->time = (round + 1) * NS_PER_S;
			s->level = rand() % 1000 - 500;
			ret[n++] = *s;
			if (cumulative && rand() % 8 == 0)
				ret[n++] = *s;
			if (cumulative && before.time && rand() % 8 == 0)
				ret[n++] = before;
		}
	return n;
}
