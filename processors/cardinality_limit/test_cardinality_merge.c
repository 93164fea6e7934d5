/* Single cases of points that become one. */
#include "core/base/clock.h"
#include "core/data/build.h"
#include "core/loop/timer.h"
#include "core/wire/otlp.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"
#include "processors/cardinality_limit/test_stream.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct component_type processor_cardinality_limit_type;

static const struct component_type *const limiter = &processor_cardinality_limit_type;

enum { MANY = 3000 };
enum { OVERFLOWN = 1000000, GIANT }; /* sources */

static Otlp__KeyValue **attributes_make(struct arena *a, unsigned source, size_t *ret_n)
{
	static char giant[1 << 20];
	struct build_list list = {0};

	if (source == OVERFLOWN)
		assert_true(build_bool(a, &list, "otel.metric.overflow", true));
	else if (source == GIANT)
		assert_true(build_string(a, &list, "id", slice_of(giant, sizeof giant)));
	else
		assert_true(build_int(a, &list, "id", source));
	*ret_n = list.count;
	return (Otlp__KeyValue **)list.items;
}

struct value {
	unsigned source;
	uint64_t time;
	bool is_real, is_none;
	int64_t whole;
	double real;
	uint64_t start;
};

static Otlp__NumberDataPoint **numbers_make(struct arena *a, const struct value *v, size_t n)
{
	struct build_list points = {0};

	for (size_t i = 0; i < n; i++) {
		Otlp__NumberDataPoint *p = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);

		p->attributes = attributes_make(a, v[i].source, &p->n_attributes);
		p->start_time_unix_nano = v[i].start;
		p->time_unix_nano = v[i].time;
		p->n_exemplars = 1;
		p->exemplars = arena_alloc(a, sizeof *p->exemplars);
		p->exemplars[0] = BUILD(a, Otlp__Exemplar, otlp__exemplar);
		p->value_case = v[i].is_real ? OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE
		                             : OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
		if (v[i].is_real)
			p->as_double = v[i].real;
		else
			p->as_int = v[i].whole;
		if (v[i].is_none)
			p->value_case = OTLP__NUMBER_DATA_POINT__VALUE__NOT_SET;
		assert_true(build_list_add(a, &points, p));
	}
	return (Otlp__NumberDataPoint **)points.items;
}

/* LEVELS may fall */
enum data { GAUGES, DELTAS, COUNTERS, LEVELS, UNSPECIFIED };

/* What one point comes out of these. */
static Otlp__NumberDataPoint *pass(struct stage *s, enum data data, const struct value *v, size_t n)
{
	struct error error = ERROR_INIT;
	struct arena arena;
	Otlp__Metric *m;

	arena_init(&arena, NULL);
	m = BUILD(&arena, Otlp__Metric, otlp__metric);
	m->name = build_text("m");
	if (data == GAUGES) {
		m->data_case = OTLP__METRIC__DATA_GAUGE;
		m->gauge = BUILD(&arena, Otlp__Gauge, otlp__gauge);
		m->gauge->data_points = numbers_make(&arena, v, n);
		m->gauge->n_data_points = n;
	} else {
		m->data_case = OTLP__METRIC__DATA_SUM;
		m->sum = BUILD(&arena, Otlp__Sum, otlp__sum);
		m->sum->data_points = numbers_make(&arena, v, n);
		m->sum->n_data_points = n;
		m->sum->is_monotonic = data == COUNTERS;
		m->sum->aggregation_temporality = data == DELTAS ? 1 : data == UNSPECIFIED ? 0 : 2;
	}
	if (s->n_kept)
		stage_answer(s, (struct outcome){.status = OUTCOME_OK});
	stage_consume(s, wire_batch(s, &arena, m));
	arena_fini(&arena);
	assert_int_equal(s->n_kept, 1);
	assert_int_equal(s->kept[0]->items, 1);
	assert_int_equal(batch_read(s->kept[0], &error), 0);
	m = s->kept[0]->first->metrics->scope_metrics[0]->metrics[0];
	return data == GAUGES ? m->gauge->data_points[0] : m->sum->data_points[0];
}

static void begin(struct stage *s, const char *config)
{
	stage_begin(s);
	stage_create(s, limiter, config, SIGNAL_METRICS);
}

static void expect_int(const Otlp__NumberDataPoint *p, int64_t value)
{
	assert_int_equal(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_INT);
	assert_true(p->as_int == value);
}

static void expect_real(const Otlp__NumberDataPoint *p, double value)
{
	assert_int_equal(p->value_case, OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE);
	assert_true(p->as_double == value);
}

/* ---- sums */

static void a_sum_is_a_double_only_while_it_is_too_large_for_an_int(void **state)
{
	const struct value most[] = {{1, 1, .whole = INT64_MAX},
	                             {2, 1, .whole = INT64_MAX},
	                             {3, 1, .whole = 3}};
	const struct value back[] = {{1, 2, .whole = INT64_MIN}, {3, 2, .whole = 4}};
	const struct value deltas[] = {{1, 1, .whole = INT64_MAX},
	                               {2, 1, .whole = INT64_MAX},
	                               {3, 1, .whole = -INT64_MAX}};
	static const char *const configs[] = {
		"{max_series_per_metric: 1, metrics: [{name: m, gauge: sum}]}",
		"{metrics: [{name: m, drop: [id], gauge: sum}]}"};

	for (size_t i = 0; i < 2; i++) {
		struct stage s;

		begin(&s, configs[i]);
		expect_real(pass(&s, LEVELS, most, 3), 0x1p64);
		expect_int(pass(&s, LEVELS, back, 2), 3);
		expect_real(pass(&s, COUNTERS, most, 3), 0x1p64);
		expect_real(pass(&s, GAUGES, most, 3), 0x1p64);
		expect_int(pass(&s, GAUGES, back, 2), 3);
		expect_int(pass(&s, DELTAS, deltas, 3), INT64_MAX);
		stage_end(&s);
	}
}

/* What may fall and what may not. */
static void doubles_lose_nothing_on_the_way(void **state)
{
	static struct value v[MANY];

	for (enum data data = COUNTERS; data <= LEVELS; data++) {
		long double exact = 0;
		Otlp__NumberDataPoint *p = NULL;
		struct stage s;

		begin(&s, "{max_series_per_metric: 1}");
		for (uint64_t time = 1; time < 50; time++) {
			exact = 0;
			for (unsigned i = 0; i < MANY; i++) {
				v[i] = (struct value){i, time * NS_PER_S, true,
				                      .real = 0.1 * (double)(time * i)};
				exact += (long double)v[i].real;
			}
			p = pass(&s, data, v, MANY);
		}
		expect_real(p, (double)exact);
		/* One that is so large that nothing else is seen, and goes again. */
		if (data == LEVELS) {
			pass(&s, data, &(struct value){7, 51 * NS_PER_S, true, .real = DBL_MAX}, 1);
			pass(&s, data, &(struct value){8, 51 * NS_PER_S, true, .real = DBL_MAX}, 1);
			v[7].time = v[8].time = 52 * NS_PER_S;
			p = pass(&s, data, v + 7, 2);
			expect_real(p, (double)exact);
		}
		stage_end(&s);
	}
}

static void a_total_reaches_from_its_first_start_to_the_latest_time(void **state)
{
	const struct value v[] = {{1, 20, .whole = 1, .start = 9},
	                          {2, 30, .whole = 2, .start = 4},
	                          {3, 10, .whole = 4, .start = 6}};
	const struct value more = {4, 40, .whole = 8, .start = 1};
	const struct value hasty[] = {{1, 20, .whole = 1, .start = 50},
	                              {2, 30, .whole = 1, .start = 50},
	                              {3, 25, .whole = 1, .start = 60}};
	Otlp__NumberDataPoint *p;
	struct stage s;

	begin(&s, "{max_series_per_metric: 1}");
	p = pass(&s, DELTAS, v, 3);
	expect_int(p, 7);
	assert_true(p->start_time_unix_nano == 4 && p->time_unix_nano == 30);
	assert_int_equal(p->n_exemplars, 0);
	p = pass(&s, COUNTERS, v, 3);
	expect_int(p, 7);
	assert_true(p->start_time_unix_nano == 9 && p->time_unix_nano == 30);
	p = pass(&s, COUNTERS, &more, 1);
	expect_int(p, 15);
	assert_true(p->start_time_unix_nano == 9 && p->time_unix_nano == 40);
	stage_end(&s);
	/* Nor does it begin after its end, whatever its points say. */
	for (enum data data = DELTAS; data <= LEVELS; data++) {
		begin(&s, "{max_series_per_metric: 1}");
		p = pass(&s, data, hasty, 2);
		assert_true(p->start_time_unix_nano == 20 && p->time_unix_nano == 30);
		p = pass(&s, data, hasty + 1, 2);
		assert_true(p->start_time_unix_nano == (data == DELTAS ? 25 : 20));
		stage_end(&s);
	}
}

static void what_falls_within_17_ms_is_late(void **state)
{
	const struct value v[] = {{1, 10, .whole = 5, .start = 1},
	                          {1, 9, .whole = 3, .start = 1},
	                          {1, NS_PER_S, .whole = 3, .start = 1}};
	struct stage s;

	begin(&s, "{max_series_per_metric: 1}");
	expect_int(pass(&s, COUNTERS, v, 1), 5);
	expect_int(pass(&s, COUNTERS, v + 1, 1), 5);
	expect_int(pass(&s, COUNTERS, v + 2, 1), 8);
	stage_end(&s);
}

/* Readers take a message that comes in two parts for one. */
static void what_a_metric_has_twice_is_limited_too(void **state)
{
	const struct value v[] = {{1, .whole = 1}, {2, .whole = 2}, {3, .whole = 4}};
	ProtobufCMessageUnknownField again = {.tag = 7, .wire_type = 2};
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	Otlp__Sum *sums[2];
	struct arena arena;
	Otlp__Metric *m;
	struct stage s;

	begin(&s, "{max_series_per_metric: 2}");
	arena_init(&arena, NULL);
	m = BUILD(&arena, Otlp__Metric, otlp__metric);
	for (size_t i = 0; i < 2; i++) {
		sums[i] = BUILD(&arena, Otlp__Sum, otlp__sum);
		sums[i]->data_points = numbers_make(&arena, v + i, 1 + i);
		sums[i]->n_data_points = 1 + i;
		sums[i]->aggregation_temporality = 1;
	}
	assert_true(buffer_reserve(&out, 1) != NULL);
	out.len = 1;
	otlp_encode(&sums[0]->base, &out);
	assert_in_range(out.len, 2, 128);
	out.data[0] = (uint8_t)(out.len - 1);
	again.data = out.data;
	again.len = out.len;
	m->base.unknown_fields = &again;
	m->base.n_unknown_fields = 1;
	m->name = build_text("m");
	m->data_case = OTLP__METRIC__DATA_SUM;
	m->sum = sums[1];
	stage_consume(&s, wire_batch(&s, &arena, m));
	arena_fini(&arena);
	buffer_fini(&out);
	assert_int_equal(batch_read(s.kept[0], &error), 0);
	assert_int_equal(s.kept[0]->items, 2);
	stage_end(&s);
}

static void a_point_of_an_overflow_joins_that_of_ours(void **state)
{
	const struct value v[] = {{1, 1, .whole = 1},
	                          {OVERFLOWN, 1, .whole = 2},
	                          {3, 1, .whole = 4}};
	struct stage s;

	for (enum data data = DELTAS; data <= UNSPECIFIED; data++) {
		begin(&s, "{max_series_per_metric: 1}");
		expect_int(pass(&s, data, v, 3), 7);
		expect_int(pass(&s, data, v, 3), 7); /* told twice, or new deltas */
		assert_true(stage_figure(&s, "weir_cardinality_limit_series") == 1);
		stage_end(&s);
		/* Label rules are not for it. */
		begin(&s, "{metrics: [{name: m, keep: [other]}]}");
		assert_int_equal(pass(&s, data, v + 1, 1)->n_attributes, 1);
		assert_int_equal(pass(&s, data, v + 2, 1)->n_attributes, 0);
		assert_true(stage_figure(&s, "weir_cardinality_limit_overflow_series") == 1);
		stage_end(&s);
	}
}

/* ---- gauges */

static void ints_and_doubles_are_compared_exactly(void **state)
{
	const struct value v[] = {{1, 1, .whole = INT64_C(9007199254740993)},
	                          {2, 1, true, .real = 9007199254740992.0},
	                          {3, 1, true, .real = 1e300},
	                          {4, 1, true, .real = -2.5},
	                          {5, 1, .whole = -3}};
	const struct value later[] = {{3, 2, true, .real = 0}, {5, 2, .whole = -2}};
	struct stage s;

	begin(&s, "{metrics: [{name: m, drop: [id], gauge: max}]}");
	expect_real(pass(&s, GAUGES, v, 5), 1e300);
	expect_int(pass(&s, GAUGES, later, 2), INT64_C(9007199254740993));
	stage_end(&s);
	begin(&s, "{metrics: [{name: m, drop: [id], gauge: min}]}");
	expect_int(pass(&s, GAUGES, v, 5), -3);
	expect_real(pass(&s, GAUGES, later, 2), -2.5);
	stage_end(&s);
}

static void a_mean_is_of_each_series_latest_value(void **state)
{
	const struct value v[] = {{1, 1 * NS_PER_S, .whole = 1},
	                          {2, 3 * NS_PER_S, .whole = 2},
	                          {1, 2 * NS_PER_S, .whole = 4},
	                          {2, 1 * NS_PER_S, .whole = 100}};
	struct stage s;

	begin(&s, "{metrics: [{name: m, drop: [id], gauge: mean}]}");
	expect_real(pass(&s, GAUGES, v, 4), 3);
	assert_true(stage_figure(&s, "weir_cardinality_limit_merged_points") == 4);
	stage_end(&s);
}

static void the_latest_gauge_is_that_of_its_time(void **state)
{
	const struct value v[] = {{1, 5, .whole = 1}, {2, 9, .whole = 2}, {1, 7, .whole = 4}};
	Otlp__NumberDataPoint *p;
	struct stage s;

	begin(&s, "{metrics: [{name: m, drop: [id]}]}");
	p = pass(&s, GAUGES, v, 3);
	expect_int(p, 2);
	assert_int_equal(p->time_unix_nano, 9);
	assert_true(stage_figure(&s, "weir_cardinality_limit_tracked") == 0);
	stage_end(&s);
}

static void on_late(void *arg)
{
	*(bool *)arg = true;
}

static void pause_for(struct stage *s, uint64_t ns)
{
	bool late = false;
	struct timer *timer = timer_new(s->host.loop, on_late, &late);

	assert_non_null(timer);
	timer_start(timer, ns, 0); /* what is tested is that time has passed */
	stage_wait(s, &late);
	timer_free(timer);
}

static void an_idle_source_leaves_the_sum(void **state)
{
	static const uint64_t pauses[] = {300, 1650 /* seen: the circle came round */};
	const struct value v[] = {{1, 1, .whole = 1}, {2, 1, .whole = 2}, {3, 1, .whole = 4}};
	struct stage s;

	for (size_t i = 0; i < 2; i++) {
		begin(&s, "{idle: 100ms, metrics: [{name: m, drop: [id], gauge: sum}]}");
		expect_int(pass(&s, GAUGES, v, 3), 7);
		expect_int(pass(&s, LEVELS, v, 3), 7);
		pause_for(&s, pauses[i] * NS_PER_MS);
		expect_int(pass(&s, GAUGES, &(struct value){2, 2, .whole = 16}, 1), 16);
		expect_int(pass(&s, LEVELS, &(struct value){2, 2, .whole = 16}, 1), 16);
		stage_end(&s);
	}
}

/* Otherwise it would count twice: in the overflow's total and by itself. */
static void what_was_folded_stays_so_until_it_is_idle(void **state)
{
	static const char *const configs[] = {
		"{idle: 1s, max_series_per_metric: 2}",
		"{idle: 1s, max_series_per_metric: 2, metrics: [{name: m, keep: [id]}]}"};

	for (size_t i = 0; i < 2; i++) {
		Otlp__NumberDataPoint *p;
		struct value v = {1, 1, .whole = 1};
		struct stage s;

		begin(&s, configs[i]);
		pass(&s, COUNTERS, &v, 1);
		v.source = 2;
		do {
			v.time += NS_PER_S;
			v.whole++;
			p = pass(&s, COUNTERS, &v, 1);
			assert_non_null(attribute_find(p->attributes, p->n_attributes,
			                               "otel.metric.overflow"));
			expect_int(p, v.whole);
			pause_for(&s, 50 * NS_PER_MS);
		} while (stage_figure(&s, "weir_cardinality_limit_series") > 1);
		v.time += NS_PER_S;
		p = pass(&s, COUNTERS, &v, 1);
		assert_non_null(attribute_find(p->attributes, 1, "otel.metric.overflow"));
		expect_int(p, v.whole);
		v.source = 3; /* the place is free indeed */
		p = pass(&s, COUNTERS, &v, 1);
		assert_non_null(attribute_find(p->attributes, 1, "id"));
		stage_end(&s);
	}
}

/* Values come, change and go; what stands is what is alive. */
static void many_gauges_come_and_go(void **state)
{
	static struct value v[MANY];
	static int64_t level[MANY];
	struct stage s;

	srand(5);
	begin(&s, "{max_series_per_metric: 1, metrics: [{name: m, gauge: min}]}");
	for (uint64_t round = 1; round < 30; round++) {
		size_t n = 1 + (size_t)rand() % (round * 100);
		int64_t least = INT64_MAX;

		for (size_t i = 0; i < n; i++) {
			unsigned source = (unsigned)rand() % MANY;

			level[source] = 1 + rand() % 1000000;
			v[i] = (struct value){source, round * NS_PER_S, .whole = level[source]};
		}
		for (size_t i = 0; i < MANY; i++)
			if (level[i] && level[i] < least)
				least = level[i];
		expect_int(pass(&s, GAUGES, v, n), least);
	}
	assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 0);
	stage_end(&s);
}

/* ---- bounds */

static void what_is_tracked_stays_within_max_tracked_and_its_memory(void **state)
{
	static const char config[] =
		"{max_series_per_metric: 3, max_tracked: 500, metrics: [{name: '*', gauge: max}]}";
	static struct sample samples[MANY];
	const double in = MANY;

	srand(6);
	for (unsigned i = 0; i < MANY; i++) {
		samples[i] = (struct sample){i, 1, 2, .scale = 5};
		for (size_t v = 0; v < VALUES; v++)
			samples[i].counts.of[v] = (uint64_t)rand() % 2;
	}
	for (enum kind kind = SUM_INT; kind < KINDS; kind++) {
		const struct cardinality_config *c;
		struct stage s;
		size_t used;

		begin(&s, config);
		used = s.budget.used;
		for (size_t at = 0; at < MANY; at += 100) {
			stage_consume(&s, stream_batch(&s, kind, true, samples + at, 100));
			if (s.n_kept) /* something is left of it */
				stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
		}
		c = ((struct cardinality *)s.component)->config;
		assert_true(s.budget.used - used <= limits_bound(c));
		assert_in_range(stage_figure(&s, "weir_cardinality_limit_tracked"), 400, 500);
		/* Each point is told of. */
		assert_true(stage_figure(&s, "weir_cardinality_limit_folded_points") +
		                    stage_figure(&s, "weir_cardinality_limit_dropped_points") + 2 ==
		            in);
		assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") > 0);
		stage_end(&s);
	}
}

static void a_giant_attribute_takes_nothing_for_long(void **state)
{
	struct stage s;

	begin(&s, "{max_series_per_metric: 1}");
	expect_int(pass(&s, DELTAS, &(struct value){GIANT, 1, .whole = 1}, 1), 1);
	assert_in_range(((struct cardinality *)s.component)->scratch.capacity, 0, 1 << 16);
	stage_end(&s);
}

static struct buffer encoded(struct batch *b)
{
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;

	assert_int_equal(batch_encode(b, &out, &error), 0);
	return out;
}

static void a_shared_batch_is_not_written_to(void **state)
{
	static struct sample samples[SOURCES];
	struct error error = ERROR_INIT;

	for (unsigned i = 0; i < SOURCES; i++)
		samples[i] = (struct sample){i,
		                             1,
		                             2,
		                             .counts = {{i, 1, 2, 3, 4, 5, 6}},
		                             .bounds = i % 3,
		                             .scale = (int)(i % 7),
		                             .level = i};
	for (enum kind kind = SUM_INT; kind < KINDS; kind++)
		for (int turn = 0; turn < 4; turn++) {
			struct buffer before, after;
			struct batch *b;
			struct stage s;

			begin(&s, "{metrics: [{name: '*', keep: [group], gauge: max}]}");
			b = stream_batch(&s, kind, turn % 2, samples, SOURCES);
			if (turn / 2) /* opened before */
				assert_int_equal(batch_open(&b, DEPTH_FULL, &error), 0);
			before = encoded(b);
			stage_consume(&s, batch_ref(b));
			assert_int_equal(s.kept[0]->items, GROUPS);
			after = encoded(b);
			assert_int_equal(before.len, after.len);
			assert_memory_equal(before.data, after.data, after.len);
			buffer_fini(&before);
			buffer_fini(&after);
			batch_unref(b);
			stage_end(&s);
		}
}

/* Whatever offsets, scales and thresholds: no total is lost, and the total stays small. */
static void hostile_exponential_histograms_keep_their_totals(void **state)
{
	static const int32_t ends[] = {INT32_MIN, -5000, 0, 77, INT32_MAX};
	static const double zeros[] = {0, 1, NAN, INFINITY, -1, 1e300};
	uint64_t count = 0, told = 0;
	struct stage s;

	srand(7);
	begin(&s, "{max_series_per_metric: 1}");
	for (int i = 0; i < 300; i++) {
		Otlp__ExponentialHistogramDataPoint *p;
		struct build_list points = {0};
		struct error error = ERROR_INIT;
		struct arena arena;
		Otlp__Metric *m;

		arena_init(&arena, NULL);
		m = BUILD(&arena, Otlp__Metric, otlp__metric);
		p = BUILD(&arena, Otlp__ExponentialHistogramDataPoint,
		          otlp__exponential_histogram_data_point);
		m->name = build_text("m");
		m->data_case = OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM;
		m->exponential_histogram =
			BUILD(&arena, Otlp__ExponentialHistogram, otlp__exponential_histogram);
		m->exponential_histogram->aggregation_temporality = 2;
		p->attributes = attributes_make(&arena, (unsigned)i, &p->n_attributes);
		p->time_unix_nano = 1;
		p->scale = i % 3 ? rand() % 40 - 20 : ends[rand() % 5];
		p->zero_threshold = zeros[rand() % 6];
		p->zero_count = p->count = (uint64_t)rand() % 9;
		p->positive = BUILD(&arena, Otlp__ExponentialHistogramDataPoint__Buckets,
		                    otlp__exponential_histogram_data_point__buckets);
		p->positive->offset = ends[rand() % 5];
		p->positive->n_bucket_counts = (size_t)rand() % 3000;
		p->positive->bucket_counts =
			arena_alloc_array(&arena, p->positive->n_bucket_counts + 1,
		                          sizeof(uint64_t));
		for (size_t k = 0; k < p->positive->n_bucket_counts; k++)
			p->count += p->positive->bucket_counts[k] = (uint64_t)rand() % 100;
		count += p->count;
		assert_true(build_list_add(&arena, &points, p));
		m->exponential_histogram->data_points =
			(Otlp__ExponentialHistogramDataPoint **)points.items;
		m->exponential_histogram->n_data_points = 1;
		stage_consume(&s, wire_batch(&s, &arena, m));
		arena_fini(&arena);
		assert_int_equal(batch_read(s.kept[0], &error), 0);
		m = s.kept[0]->first->metrics->scope_metrics[0]->metrics[0];
		p = m->exponential_histogram->data_points[0];
		assert_true(p->count == count);
		told = p->zero_count;
		assert_true(!p->positive || p->positive->n_bucket_counts <= 160);
		for (size_t k = 0; p->positive && k < p->positive->n_bucket_counts; k++)
			told += p->positive->bucket_counts[k];
		assert_true(told == count);
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	}
	stage_end(&s);
}

/* What the option's text says of places. */
static void places_are_about_as_many_as_the_documentation_says(void **state)
{
	enum { SERIES = 1000 };
	static struct sample samples[SERIES];
	static const struct {
		enum kind kind;
		double least, most; /* each */
	} cases[] = {
		{SUM_INT, 1, 1},
		{BUCKETS, 7. / 3 + 1, 7. / 3 + 3.1},
		{EXPONENTIAL, 38. / 3 + 2, 38. / 3 + 4.1}, /* 21 above zero, 17 below */
		{GAUGE, 1.5, 3.5},
		{UPDOWN, 1.5, 3.5},
	};

	for (unsigned i = 0; i < SERIES; i++) {
		samples[i] = (struct sample){i, 1, 2, .scale = 0};
		for (size_t v = 0; v < VALUES; v++)
			samples[i].counts.of[v] = values[v] == 0x1p-10 || values[v] == 1000 ||
			                          values[v] == -1 || values[v] == -65536;
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double places;
		struct stage s;

		begin(&s, "{max_series: 1, metrics: [{name: '*', gauge: sum}]}");
		stage_consume(&s, stream_batch(&s, cases[i].kind, true, samples, SERIES));
		places = stage_figure(&s, "weir_cardinality_limit_tracked") / SERIES;
		assert_true(places >= cases[i].least && places <= cases[i].most);
		stage_end(&s);
	}
}

/* ---- histograms */

static void histograms_without_a_common_bound_keep_count_and_sum(void **state)
{
	static double bounds[][2] = {{1, 2}, {3, 4}, {NAN}, {NAN}};
	static uint64_t counts[] = {1, 2, 3};
	struct error error = ERROR_INIT;
	struct stage s;

	for (int turn = 0; turn < 4; turn++) {
		bool cumulative = turn % 2, no_numbers = turn / 2;
		Otlp__HistogramDataPoint *p;
		struct build_list points = {0};
		struct arena arena;
		Otlp__Metric *m;

		begin(&s, "{metrics: [{name: m, drop: [id]}]}");
		arena_init(&arena, NULL);
		for (unsigned i = 0; i < 2; i++) {
			p = BUILD(&arena, Otlp__HistogramDataPoint, otlp__histogram_data_point);
			p->attributes = attributes_make(&arena, i, &p->n_attributes);
			p->count = 6;
			p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
			p->sum = 0.5;
			p->n_explicit_bounds = no_numbers ? 1 : 2;
			p->explicit_bounds = bounds[no_numbers ? 2 + i : i];
			p->n_bucket_counts = p->n_explicit_bounds + 1;
			p->bucket_counts = counts;
			assert_true(build_list_add(&arena, &points, p));
		}
		m = BUILD(&arena, Otlp__Metric, otlp__metric);
		m->name = build_text("m");
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		m->histogram = BUILD(&arena, Otlp__Histogram, otlp__histogram);
		m->histogram->aggregation_temporality = cumulative ? 2 : 1;
		m->histogram->data_points = (Otlp__HistogramDataPoint **)points.items;
		m->histogram->n_data_points = 2;
		stage_consume(&s, wire_batch(&s, &arena, m));
		arena_fini(&arena);
		assert_int_equal(batch_read(s.kept[0], &error), 0);
		m = s.kept[0]->first->metrics->scope_metrics[0]->metrics[0];
		assert_int_equal(m->histogram->n_data_points, 1);
		p = m->histogram->data_points[0];
		assert_true(p->count == 12 && p->sum == 1);
		assert_true(!p->n_explicit_bounds && !p->n_bucket_counts);
		stage_end(&s);
	}
}

static void a_bucket_that_fell_is_a_new_beginning(void **state)
{
	static double bounds[] = {1};
	static uint64_t counts[][2] = {{5, 0}, {2, 6}};
	Otlp__HistogramDataPoint *p = NULL;
	struct error error = ERROR_INIT;
	struct stage s;

	begin(&s, "{max_series_per_metric: 1}");
	for (unsigned i = 0; i < 2; i++) {
		struct build_list points = {0};
		struct arena arena;
		Otlp__Metric *m;

		if (i)
			stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
		arena_init(&arena, NULL);
		p = BUILD(&arena, Otlp__HistogramDataPoint, otlp__histogram_data_point);
		p->attributes = attributes_make(&arena, 1, &p->n_attributes);
		p->time_unix_nano = (1 + i) * NS_PER_S;
		p->count = counts[i][0] + counts[i][1];
		p->n_explicit_bounds = 1;
		p->explicit_bounds = bounds;
		p->n_bucket_counts = 2;
		p->bucket_counts = counts[i];
		assert_true(build_list_add(&arena, &points, p));
		m = BUILD(&arena, Otlp__Metric, otlp__metric);
		m->name = build_text("m");
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		m->histogram = BUILD(&arena, Otlp__Histogram, otlp__histogram);
		m->histogram->aggregation_temporality = 2;
		m->histogram->data_points = (Otlp__HistogramDataPoint **)points.items;
		m->histogram->n_data_points = 1;
		stage_consume(&s, wire_batch(&s, &arena, m));
		arena_fini(&arena);
		assert_int_equal(batch_read(s.kept[0], &error), 0);
		m = s.kept[0]->first->metrics->scope_metrics[0]->metrics[0];
		p = m->histogram->data_points[0];
	}
	assert_true(p->count == 13 && p->bucket_counts[0] == 7 && p->bucket_counts[1] == 6);
	stage_end(&s);
}

/* ---- what cannot be merged */

static struct batch *summaries(struct stage *s, unsigned n)
{
	struct build_list points = {0};
	struct batch *ret;
	struct arena arena;
	Otlp__Metric *m;

	arena_init(&arena, NULL);
	m = BUILD(&arena, Otlp__Metric, otlp__metric);
	m->name = build_text("m");
	m->data_case = OTLP__METRIC__DATA_SUMMARY;
	m->summary = BUILD(&arena, Otlp__Summary, otlp__summary);
	for (unsigned i = 0; i < n; i++) {
		Otlp__SummaryDataPoint *p =
			BUILD(&arena, Otlp__SummaryDataPoint, otlp__summary_data_point);

		p->attributes = attributes_make(&arena, i, &p->n_attributes);
		assert_true(build_list_add(&arena, &points, p));
	}
	m->summary->data_points = (Otlp__SummaryDataPoint **)points.items;
	m->summary->n_data_points = n;
	ret = wire_batch(s, &arena, m);
	arena_fini(&arena);
	return ret;
}

static void label_rules_leave_summaries_alone(void **state)
{
	struct error error = ERROR_INIT;
	Otlp__Summary *summary;
	struct stage s;

	begin(&s, "{max_series_per_metric: 5, metrics: [{name: m, drop: [id]}]}");
	for (int round = 0; round < 2; round++) {
		stage_consume(&s, summaries(&s, 10));
		assert_int_equal(batch_read(s.kept[0], &error), 0);
		assert_int_equal(s.kept[0]->items, 4); /* one place is the overflow's */
		summary = s.kept[0]->first->metrics->scope_metrics[0]->metrics[0]->summary;
		for (size_t i = 0; i < summary->n_data_points; i++) {
			Otlp__SummaryDataPoint *p = summary->data_points[i];

			assert_int_equal(p->n_attributes, 1);
			assert_int_equal(p->attributes[0]->value->int_value, i);
		}
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	}
	assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 12);
	assert_true(stage_figure(&s, "weir_cardinality_limit_overflow_series") == 0);
	stage_end(&s);
}

static void what_is_no_value_is_dropped_and_counted(void **state)
{
	const struct value v[] = {{1, 1, true, .real = NAN},
	                          {2, 1, .whole = 1},
	                          {3, 1, true, .real = INFINITY},
	                          {2, 2, .is_none = true},
	                          {2, 3, .whole = 1}};
	struct stage s;

	begin(&s, "{metrics: [{name: m, drop: [id], gauge: sum}]}");
	expect_int(pass(&s, GAUGES, v, 5), 1);
	expect_int(pass(&s, COUNTERS, v, 5), 1);
	assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 6);
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sum_is_a_double_only_while_it_is_too_large_for_an_int),
		cmocka_unit_test(a_total_reaches_from_its_first_start_to_the_latest_time),
		cmocka_unit_test(what_falls_within_17_ms_is_late),
		cmocka_unit_test(what_a_metric_has_twice_is_limited_too),
		cmocka_unit_test(a_point_of_an_overflow_joins_that_of_ours),
		cmocka_unit_test(a_bucket_that_fell_is_a_new_beginning),
		cmocka_unit_test(doubles_lose_nothing_on_the_way),
		cmocka_unit_test(ints_and_doubles_are_compared_exactly),
		cmocka_unit_test(a_mean_is_of_each_series_latest_value),
		cmocka_unit_test(the_latest_gauge_is_that_of_its_time),
		cmocka_unit_test(an_idle_source_leaves_the_sum),
		cmocka_unit_test(what_was_folded_stays_so_until_it_is_idle),
		cmocka_unit_test(many_gauges_come_and_go),
		cmocka_unit_test(a_shared_batch_is_not_written_to),
		cmocka_unit_test(what_is_tracked_stays_within_max_tracked_and_its_memory),
		cmocka_unit_test(a_giant_attribute_takes_nothing_for_long),
		cmocka_unit_test(hostile_exponential_histograms_keep_their_totals),
		cmocka_unit_test(places_are_about_as_many_as_the_documentation_says),
		cmocka_unit_test(histograms_without_a_common_bound_keep_count_and_sum),
		cmocka_unit_test(label_rules_leave_summaries_alone),
		cmocka_unit_test(what_is_no_value_is_dropped_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
