#include "core/base/clock.h"
#include "core/data/build.h"
#include "core/loop/timer.h"
#include "tests/support/component_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct component_type processor_cardinality_limit_type;

static const struct component_type *const limiter = &processor_cardinality_limit_type;

enum { SOURCES = 40, BUCKETS = 3, ROUNDS = 60, SERIES_MANY = 1000000, POINTS_MANY = 10000 };
enum kind { GAUGE, SUM, UPDOWN, HISTOGRAM };

/* A point of one of SOURCES (or of as many as one likes) as the tests write and read it. */
struct sample {
	unsigned source;
	uint64_t start, time;
	int64_t value; /* of histograms: the count; each bucket has a third */
};

static Otlp__KeyValue **attributes_make(struct arena *a, const struct sample *s, bool turned,
                                        size_t *ret_n)
{
	struct build_list list = {0};
	char text[32];

	snprintf(text, sizeof text, "source-%u", s->source);
	assert_true(!turned || build_int(a, &list, "constant", 7));
	assert_true(build_string(a, &list, "id", slice_from_string(text)));
	assert_true(turned || build_int(a, &list, "constant", 7));
	*ret_n = list.count;
	return (Otlp__KeyValue **)list.items;
}

static void *number_make(struct arena *a, const struct sample *s, bool turned)
{
	Otlp__NumberDataPoint *p = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);

	assert_non_null(p);
	p->attributes = attributes_make(a, s, turned, &p->n_attributes);
	p->start_time_unix_nano = s->start;
	p->time_unix_nano = s->time;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = s->value;
	return p;
}

static void *histogram_make(struct arena *a, const struct sample *s)
{
	Otlp__HistogramDataPoint *p =
		BUILD(a, Otlp__HistogramDataPoint, otlp__histogram_data_point);

	assert_non_null(p);
	p->attributes = attributes_make(a, s, false, &p->n_attributes);
	p->start_time_unix_nano = s->start;
	p->time_unix_nano = s->time;
	p->count = (uint64_t)s->value;
	p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = (double)s->value * 2;
	p->n_bucket_counts = BUCKETS;
	p->n_explicit_bounds = BUCKETS - 1;
	p->bucket_counts = arena_alloc_array(a, BUCKETS, sizeof(uint64_t));
	p->explicit_bounds = arena_alloc_array(a, BUCKETS - 1, sizeof(double));
	assert_true(p->bucket_counts && p->explicit_bounds);
	for (size_t i = 0; i < BUCKETS - 1; i++)
		p->explicit_bounds[i] = i + 1 + (s->source % 2 && i == 0 ? 0.5 : 0);
	for (size_t i = 0; i < BUCKETS; i++) /* none falls while the count rises */
		p->bucket_counts[i] = (p->count + i) / BUCKETS;
	return p;
}

static Otlp__Metric *metric_make(struct arena *a, enum kind kind, bool cumulative, void **points,
                                 size_t n)
{
	Otlp__AggregationTemporality temporality =
		cumulative ? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE
			   : OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA;
	Otlp__Metric *m = BUILD(a, Otlp__Metric, otlp__metric);

	assert_non_null(m);
	m->name = build_text("requests");
	switch (kind) {
	case GAUGE:
		m->data_case = OTLP__METRIC__DATA_GAUGE;
		m->gauge = BUILD(a, Otlp__Gauge, otlp__gauge);
		m->gauge->data_points = (Otlp__NumberDataPoint **)points;
		m->gauge->n_data_points = n;
		break;
	case HISTOGRAM:
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		m->histogram = BUILD(a, Otlp__Histogram, otlp__histogram);
		m->histogram->data_points = (Otlp__HistogramDataPoint **)points;
		m->histogram->n_data_points = n;
		m->histogram->aggregation_temporality = temporality;
		break;
	default:
		m->data_case = OTLP__METRIC__DATA_SUM;
		m->sum = BUILD(a, Otlp__Sum, otlp__sum);
		m->sum->data_points = (Otlp__NumberDataPoint **)points;
		m->sum->n_data_points = n;
		m->sum->aggregation_temporality = temporality;
		m->sum->is_monotonic = kind == SUM;
	}
	return m;
}

/* One request as it comes over the wire. */
static struct batch *batch_make(struct stage *s, enum kind kind, bool cumulative,
                                const struct sample *samples, size_t n, bool turned)
{
	struct batch *built = batch_new(SIGNAL_METRICS, NULL), *ret;
	struct arena *a = &built->arena;
	Otlp__ResourceMetrics *group = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);
	Otlp__ScopeMetrics *scope = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	struct build_list points = {0}, metrics = {0}, scopes = {0};
	struct error error = ERROR_INIT;
	struct buffer out = BUFFER_INIT;
	struct rcbuf *pin;

	for (size_t i = 0; i < n; i++)
		assert_true(build_list_add(a, &points,
		                           kind == HISTOGRAM
		                                   ? histogram_make(a, &samples[i])
		                                   : number_make(a, &samples[i], turned)));
	assert_true(build_list_add(a, &metrics, metric_make(a, kind, cumulative, points.items, n)));
	scope->metrics = (Otlp__Metric **)metrics.items;
	scope->n_metrics = 1;
	assert_true(build_list_add(a, &scopes, scope));
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

/* ---- the slow reference: what somebody behind reads from series */

struct reading {
	bool known;
	uint64_t start, time;
	int64_t last, last_low; /* of histograms: of the buckets below the bound 2 */
};

struct reader {
	bool cumulative, monotonic;
	struct reading series[SOURCES + 1]; /* the last is the overflow or the merged one */
	int64_t total, total_low;
	unsigned n_series;
};

static void reader_take(struct reader *r, unsigned at, uint64_t start, uint64_t time, int64_t value,
                        int64_t low)
{
	struct reading *s = &r->series[at];
	bool anew = !s->known || (r->monotonic && (start != s->start || value < s->last));

	r->n_series += !s->known;
	if (!r->cumulative) {
		r->total += value;
		r->total_low += low;
	} else if (!s->known || time >= s->time) {
		r->total += value - (anew ? 0 : s->last);
		r->total_low += low - (anew ? 0 : s->last_low);
	} else {
		return;
	}
	*s = (struct reading){true, start, time, value, low};
}

static unsigned series_of(Otlp__KeyValue *const *attributes, size_t n)
{
	const Otlp__AnyValue *id = attribute_find(attributes, n, "id");
	char text[32] = {0};

	if (!id)
		return SOURCES;
	memcpy(text, id->string_value.data, id->string_value.len);
	return (unsigned)atoi(text + strlen("source-"));
}

static void reader_batch(struct reader *r, struct batch *b)
{
	struct error error = ERROR_INIT;

	assert_int_equal(batch_read(b, &error), 0);
	for (struct group *g = b->first; g; g = g->next) {
		Otlp__Metric *m = g->metrics->scope_metrics[0]->metrics[0];

		assert_int_equal(g->metrics->scope_metrics[0]->n_metrics, 1);
		if (m->data_case == OTLP__METRIC__DATA_HISTOGRAM) {
			for (size_t i = 0; i < m->histogram->n_data_points; i++) {
				Otlp__HistogramDataPoint *p = m->histogram->data_points[i];
				uint64_t low = 0;

				for (size_t k = 0;
				     k < p->n_explicit_bounds && p->explicit_bounds[k] <= 2; k++)
					low += p->bucket_counts[k];
				assert_true(p->sum == (double)p->count * 2);
				reader_take(r, series_of(p->attributes, p->n_attributes),
				            p->start_time_unix_nano, p->time_unix_nano,
				            (int64_t)p->count, (int64_t)low);
			}
			continue;
		}
		for (size_t i = 0; i < m->sum->n_data_points; i++) {
			Otlp__NumberDataPoint *p = m->sum->data_points[i];

			reader_take(r, series_of(p->attributes, p->n_attributes),
			            p->start_time_unix_nano, p->time_unix_nano, p->as_int, 0);
		}
	}
}

/* ---- a life of SOURCES sources: restarts, falls, duplicates, late points */

static size_t life_make(struct sample *ret, bool cumulative, bool monotonic)
{
	struct sample now[SOURCES] = {{0}};
	size_t n = 0;

	for (uint64_t round = 1; round <= ROUNDS; round++)
		for (unsigned i = 0; i < SOURCES; i++) {
			struct sample *s = &now[i];
			struct sample before = *s;

			if (rand() % 4 == 0 && round > 1)
				continue;
			if (round == 1 || rand() % 20 == 0) {
				s->start = round * NS_PER_S; /* begun anew */
				s->value = 0;
			} else if (rand() % 30 == 0) {
				s->value = 0; /* the same, but does not say so */
			}
			s->source = i;
			s->time = (round + 1) * NS_PER_S;
			s->value += rand() % 100;
			if (!monotonic)
				s->value -= 60;
			if (!cumulative) {
				s->value = rand() % 100;
				s->start = before.time ? before.time : NS_PER_S;
			}
			ret[n++] = *s;
			if (cumulative && rand() % 10 == 0)
				ret[n++] = *s;
			if (cumulative && before.time && rand() % 10 == 0)
				ret[n++] = before;
		}
	return n;
}

static void totals_stay(const char *config, enum kind kind, bool cumulative, unsigned n_series)
{
	static struct sample samples[3 * SOURCES * ROUNDS];
	size_t n = life_make(samples, cumulative, kind != UPDOWN), at = 0;
	struct reader in = {.cumulative = cumulative, .monotonic = kind != UPDOWN}, out = in;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, limiter, config, SIGNAL_METRICS);
	while (at < n) {
		size_t part = 1 + (size_t)rand() % 200;
		struct batch *b, *again;

		if (part > n - at)
			part = n - at;
		b = batch_make(&s, kind, cumulative, samples + at, part, false);
		again = batch_make(&s, kind, cumulative, samples + at, part, false);
		reader_batch(&in, again);
		batch_unref(again);
		stage_consume(&s, b);
		assert_int_equal(s.n_kept, 1);
		reader_batch(&out, s.kept[0]);
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
		assert_true(out.total == in.total);
		assert_true(out.total_low == in.total_low);
		at += part;
	}
	assert_int_equal(out.n_series, n_series);
	assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 0);
	assert_true(stage_figure(&s, "weir_cardinality_limit_series") == n_series);
	stage_end(&s);
}

static void totals_stay_whatever_is_folded_and_however_it_is_cut(void **state)
{
	static const struct {
		const char *config;
		unsigned n_series;
	} cases[] = {
		{"{max_series_per_metric: 1}", 1},
		{"{max_series_per_metric: 8}", 8},
		{"{max_series: 16}", 16},
		{"{metrics: [{name: 'r?qu*', drop: [id]}]}", 1},
		{"{metrics: [{name: other, max_series: 1}, {name: '*', keep: [constant]}]}", 1},
		{"{metrics: [{name: 'requ*', keep: [id], max_series: 8}]}", 8},
		{"{}", SOURCES},
	};

	srand(1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (enum kind kind = SUM; kind <= HISTOGRAM; kind++)
			for (int cumulative = 0; cumulative < 2; cumulative++)
				totals_stay(cases[i].config, kind, cumulative, cases[i].n_series);
}

/* ---- single cases */

static void what_is_below_the_limits_goes_on_as_it_came(void **state)
{
	struct sample samples[8] = {{0}};
	struct stage s;
	struct batch *b;
	struct slice wire;

	for (unsigned i = 0; i < 8; i++)
		samples[i] = (struct sample){i, 1, 2, 3};
	stage_begin(&s);
	stage_create(&s, limiter, "{max_series_per_metric: 9}", SIGNAL_METRICS);
	for (int i = 0; i < 2; i++) { /* the second time its attributes stand the other way round */
		b = batch_make(&s, SUM, true, samples, 8, i);
		wire = b->first->wire;
		stage_consume(&s, b);
		assert_ptr_equal(s.kept[0], b);
		assert_int_equal(b->first->depth, DEPTH_WIRE);
		assert_ptr_equal(b->first->wire.data, wire.data);
		assert_true(stage_figure(&s, "weir_cardinality_limit_series") == 8);
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	}
	stage_end(&s);
}

static void the_latest_gauge_is_that_of_the_overflow(void **state)
{
	struct sample samples[3] = {{1, 0, 20, 5}, {2, 0, 30, 6}, {3, 0, 10, 7}};
	Otlp__NumberDataPoint *p;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, limiter, "{max_series_per_metric: 1}", SIGNAL_METRICS);
	stage_consume(&s, batch_make(&s, GAUGE, false, samples, 3, false));
	assert_int_equal(s.kept[0]->items, 1);
	p = s.kept[0]->first->metrics->scope_metrics[0]->metrics[0]->gauge->data_points[0];
	assert_int_equal(p->as_int, 6);
	assert_int_equal(p->time_unix_nano, 30);
	assert_int_equal(p->n_attributes, 1);
	assert_true(attribute_find(p->attributes, 1, "otel.metric.overflow")->bool_value);
	stage_end(&s);
}

static void beyond_max_tracked_points_are_dropped_and_counted(void **state)
{
	struct sample samples[10] = {{0}};
	struct stage s;

	for (unsigned i = 0; i < 10; i++)
		samples[i] = (struct sample){i, 1, 2, 3};
	stage_begin(&s);
	stage_create(&s, limiter, "{max_series_per_metric: 1, max_tracked: 4}", SIGNAL_METRICS);
	for (int i = 0; i < 2; i++) {
		struct result *result =
			stage_consume(&s, batch_make(&s, SUM, true, samples, 10, false));

		assert_int_equal(s.n_kept, 1);
		assert_int_equal(s.kept[0]->items, 1);
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
		assert_int_equal(result->outcome.status, OUTCOME_OK);
	}
	assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 12);
	assert_true(stage_figure(&s, "weir_cardinality_limit_folded_points") == 8);
	assert_true(stage_figure(&s, "weir_cardinality_limit_tracked") == 4);
	stage_end(&s);
}

static void on_late(void *arg)
{
	*(bool *)arg = true;
}

static void idle_series_free_their_places(void **state)
{
	struct sample sample = {1, 1, 2, 3};
	struct timer *timer;
	struct stage s;
	bool late = false;

	stage_begin(&s);
	s.answer_at_once = true;
	stage_create(&s, limiter, "{max_series_per_metric: 2, idle: 100ms}", SIGNAL_METRICS);
	stage_consume(&s, batch_make(&s, SUM, true, &sample, 1, false));
	sample.source = 2;
	stage_consume(&s, batch_make(&s, SUM, true, &sample, 1, false));
	assert_true(stage_figure(&s, "weir_cardinality_limit_overflow_series") == 1);
	assert_true(stage_figure(&s, "weir_cardinality_limit_tracked") == 1);
	timer = timer_new(s.host.loop, on_late, &late);
	assert_non_null(timer);
	timer_start(timer, 300 * NS_PER_MS, 0); /* what is tested is that time has passed */
	stage_wait(&s, &late);
	timer_free(timer);
	stage_consume(&s, batch_make(&s, SUM, true, &sample, 1, false));
	assert_true(stage_figure(&s, "weir_cardinality_limit_overflow_series") == 0);
	assert_true(stage_figure(&s, "weir_cardinality_limit_tracked") == 0);
	assert_true(stage_figure(&s, "weir_cardinality_limit_series") == 1);
	stage_end(&s);
}

static void a_batch_that_was_refused_for_memory_counts_once(void **state)
{
	static struct sample samples[100];
	struct reader out = {.cumulative = true, .monotonic = true};
	size_t refused = 0;
	struct stage s;

	for (unsigned i = 0; i < 100; i++)
		samples[i] = (struct sample){i % SOURCES, 1, 2 * NS_PER_S, i % SOURCES};
	for (enum kind kind = SUM; kind <= HISTOGRAM; kind++) {
		stage_begin(&s);
		stage_create(&s, limiter, "{max_series_per_metric: 5}", SIGNAL_METRICS);
		for (size_t room = 0; !s.n_kept; room += 64) {
			struct batch *b = batch_make(&s, kind, true, samples, 100, false);
			struct result *result;

			s.budget.limit = s.budget.used + room;
			result = stage_consume(&s, b);
			s.budget.limit = 0;
			refused += !s.n_kept;
			assert_true(s.n_kept || result->outcome.status == OUTCOME_RETRY);
		}
		out = (struct reader){.cumulative = true, .monotonic = true};
		reader_batch(&out, s.kept[0]);
		assert_true(out.total == SOURCES * (SOURCES - 1) / 2);
		assert_int_equal(out.n_series, 5);
		stage_end(&s);
	}
	assert_true(refused > 10);
}

static void a_million_series_become_no_more_than_the_limit(void **state)
{
	static struct sample samples[POINTS_MANY];
	size_t peak = 0;

	for (int cumulative = 0; cumulative < 2; cumulative++) {
		int64_t total = 0, read = 0;
		struct stage s;

		stage_begin(&s);
		stage_create(&s, limiter, "{}", SIGNAL_METRICS);
		for (unsigned first = 0; first < SERIES_MANY; first += POINTS_MANY) {
			const Otlp__Sum *sum;

			for (unsigned i = 0; i < POINTS_MANY; i++) {
				samples[i] = (struct sample){first + i, 1, 2 * NS_PER_S, i % 10};
				total += i % 10;
			}
			stage_consume(&s,
			              batch_make(&s, SUM, cumulative, samples, POINTS_MANY, false));
			assert_true(s.kept[0]->items <= 2000);
			sum = s.kept[0]->first->metrics->scope_metrics[0]->metrics[0]->sum;
			for (size_t i = 0; i < sum->n_data_points; i++) {
				const Otlp__NumberDataPoint *p = sum->data_points[i];
				bool overflow =
					series_of(p->attributes, p->n_attributes) == SOURCES &&
					p->n_attributes == 1;

				/* the ordinary ones came with the first batch only */
				if (cumulative && overflow && first)
					read = read - peak + (size_t)p->as_int;
				else
					read += p->as_int;
				if (overflow)
					peak = (size_t)p->as_int;
			}
			stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
			assert_true(read == total);
		}
		assert_true(stage_figure(&s, "weir_cardinality_limit_series") == 2000);
		assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 0);
		stage_end(&s);
	}
}

static void refuses_a_rule_that_says_both(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_expect_refused(&s, limiter, "{metrics: [{name: a}, {name: b, keep: [x], drop: [y]}]}",
	                     "metrics[1]: 'keep' and 'drop' exclude each other");
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_below_the_limits_goes_on_as_it_came),
		cmocka_unit_test(the_latest_gauge_is_that_of_the_overflow),
		cmocka_unit_test(beyond_max_tracked_points_are_dropped_and_counted),
		cmocka_unit_test(idle_series_free_their_places),
		cmocka_unit_test(totals_stay_whatever_is_folded_and_however_it_is_cut),
		cmocka_unit_test(a_batch_that_was_refused_for_memory_counts_once),
		cmocka_unit_test(a_million_series_become_no_more_than_the_limit),
		cmocka_unit_test(refuses_a_rule_that_says_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
