/* Random streams against a slow reference that knows every observation, and adds them up; what
 * comes out is checked bucket by bucket for the values that belong there. */
#include "core/data/build.h"
#include "processors/cardinality_limit/test_stream.h"
#include "tests/support/failing_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct component_type processor_cardinality_limit_type;

static const struct component_type *const limiter = &processor_cardinality_limit_type;

enum { OVERFLOWN = SOURCES }; /* the number of the overflow series */

/* ---- the reference */

struct reference {
	enum kind kind;
	bool cumulative, grouped;
	const char *gauge;
	bool own[SOURCES]; /* series that came out */
	struct sample last[SOURCES];
	struct counts
		told[SOURCES];  /* what each source has told, of the batch where not cumulative */
	int64_t level[SOURCES]; /* the same of what may fall */
	uint64_t time[SOURCES]; /* latest */
	uint64_t start[SOURCES + 1]; /* of series that are totals */
	bool overflown;
};

static unsigned own_name(const struct reference *r, unsigned source)
{
	return r->grouped ? source % GROUPS : source;
}

static unsigned series_of(const struct reference *r, unsigned source)
{
	return r->own[own_name(r, source)] ? own_name(r, source) : OVERFLOWN;
}

static void reference_take(struct reference *r, const struct sample *s)
{
	struct sample *last = &r->last[s->source];
	struct counts *told = &r->told[s->source];
	bool stays = r->cumulative || r->kind == GAUGE;
	bool all = !stays || !last->time || last->start != s->start ||
	           count_of(&s->counts) < count_of(&last->counts);

	if (s->time > r->time[s->source])
		r->time[s->source] = s->time;
	if (stays && s->time < last->time)
		return;
	for (size_t v = 0; v < VALUES; v++)
		told->of[v] += s->counts.of[v] - (all ? 0 : last->counts.of[v]);
	r->level[s->source] = s->level + (stays ? 0 : r->level[s->source]);
	*last = *s;
}

static void reference_next_batch(struct reference *r)
{
	if (r->cumulative || r->kind == GAUGE)
		return;
	memset(r->told, 0, sizeof r->told);
	memset(r->level, 0, sizeof r->level);
	memset(r->time, 0, sizeof r->time);
}

/* What the reference has of a series. */
static struct counts counts_of(const struct reference *r, unsigned series)
{
	struct counts c = {{0}};

	for (unsigned i = 0; i < SOURCES; i++)
		for (size_t v = 0; v < VALUES && series_of(r, i) == series; v++)
			c.of[v] += r->told[i].of[v];
	return c;
}

/* ---- what comes out */

static unsigned name_of(const struct reference *r, Otlp__KeyValue *const *attributes, size_t n)
{
	const Otlp__AnyValue *id = attribute_find(attributes, n, "id");
	const Otlp__AnyValue *group = attribute_find(attributes, n, "group");

	if (attribute_find(attributes, n, "otel.metric.overflow")) {
		assert_int_equal(n, 1);
		return OVERFLOWN;
	}
	assert_int_equal(n, r->grouped ? 1 : 2);
	return (unsigned)(r->grouped ? group : id)->int_value;
}

static void check_buckets(const Otlp__HistogramDataPoint *p, const struct counts *c)
{
	double min, max;

	assert_true(p->count == count_of(c));
	assert_true(p->sum == sum_of(c));
	assert_int_equal(p->n_bucket_counts, p->n_explicit_bounds + 1);
	assert_in_range(p->n_explicit_bounds, 3, BOUNDS_MAX); /* 0, 2 and 1000 have all */
	for (size_t b = 0; b < p->n_bucket_counts; b++) {
		double low = b ? p->explicit_bounds[b - 1] : -INFINITY;
		double high = b < p->n_explicit_bounds ? p->explicit_bounds[b] : INFINITY;
		uint64_t there = 0;

		for (size_t v = 0; v < VALUES; v++)
			there += values[v] > low && values[v] <= high ? c->of[v] : 0;
		assert_true(p->bucket_counts[b] == there);
	}
	extremes_of(c, &min, &max);
	assert_true(!p->optional_min_case || (p->min == min && p->max == max));
}

static void check_side(const Otlp__ExponentialHistogramDataPoint *p, const struct counts *c,
                       bool negative)
{
	const Otlp__ExponentialHistogramDataPoint__Buckets *b =
		negative ? p->negative : p->positive;
	uint64_t all = 0, told = 0;

	for (size_t i = 0; b && i < b->n_bucket_counts; i++) {
		uint64_t there = 0;

		for (size_t v = 0; v < VALUES; v++)
			if (fabs(values[v]) > p->zero_threshold && (values[v] < 0) == negative &&
			    bucket_of(values[v], p->scale) == b->offset + (int64_t)i)
				there += c->of[v];
		assert_true(b->bucket_counts[i] == there);
		told += there;
	}
	for (size_t v = 0; v < VALUES; v++)
		if (fabs(values[v]) > p->zero_threshold && (values[v] < 0) == negative)
			all += c->of[v];
	assert_true(told == all);
}

static void check_exponential(const Otlp__ExponentialHistogramDataPoint *p, const struct counts *c)
{
	uint64_t zero = 0;
	double min, max;

	for (size_t v = 0; v < VALUES; v++)
		zero += fabs(values[v]) <= p->zero_threshold ? c->of[v] : 0;
	assert_true(p->count == count_of(c));
	assert_true(p->sum == sum_of(c));
	assert_true(p->zero_count == zero);
	check_side(p, c, false);
	check_side(p, c, true);
	extremes_of(c, &min, &max);
	assert_true(!p->optional_min_case || (p->min == min && p->max == max));
}

static double gauge_of(const struct reference *r, unsigned series, const struct sample *samples,
                       size_t n)
{
	double sum = 0, min = INFINITY, max = -INFINITY, last = 0;
	uint64_t sources = 0, time = 0;

	for (unsigned i = 0; i < SOURCES; i++) {
		double level = (double)r->level[i] + (i % 3 ? 0 : 0.25);

		if (!r->last[i].time || series_of(r, i) != series)
			continue;
		sum += level;
		min = fmin(min, level);
		max = fmax(max, level);
		sources++;
	}
	for (size_t i = 0; i < n; i++)
		if (series_of(r, samples[i].source) == series && samples[i].time >= time) {
			last = (double)samples[i].level + (samples[i].source % 3 ? 0 : 0.25);
			time = samples[i].time;
		}
	return strcmp(r->gauge, "sum") == 0    ? sum
	       : strcmp(r->gauge, "min") == 0  ? min
	       : strcmp(r->gauge, "max") == 0  ? max
	       : strcmp(r->gauge, "mean") == 0 ? sum / (double)sources
	                                       : last;
}

static void check_number(const struct reference *r, const Otlp__NumberDataPoint *p, unsigned series,
                         const struct sample *samples, size_t n)
{
	bool is_int = p->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	double value = is_int ? (double)p->as_int : p->as_double, levels = 0;
	struct counts c = counts_of(r, series);

	for (unsigned i = 0; i < SOURCES; i++)
		levels += series_of(r, i) == series ? (double)r->level[i] : 0;
	if (r->kind == GAUGE) {
		assert_true(value == gauge_of(r, series, samples, n));
	} else if (r->kind == SUM_REAL) {
		assert_true(!is_int && value == (double)count_of(&c) * 0x1p-30);
	} else {
		assert_true(is_int && value == (r->kind == UPDOWN ? levels : (double)count_of(&c)));
	}
}

/* A point that is made of several. */
static void check_joined(struct reference *r, unsigned series, void *point,
                         const struct sample *samples, size_t n)
{
	struct counts c = counts_of(r, series);
	Otlp__ExponentialHistogramDataPoint *e = point;
	Otlp__HistogramDataPoint *h = point;
	Otlp__NumberDataPoint *p = point;
	uint64_t latest = 0, start, time;

	for (unsigned i = 0; i < SOURCES; i++)
		if (series_of(r, i) == series && r->time[i] > latest)
			latest = r->time[i];
	if (r->kind == BUCKETS) {
		check_buckets(h, &c);
		start = h->start_time_unix_nano;
		time = h->time_unix_nano;
		assert_true(!h->optional_min_case == r->cumulative);
	} else if (r->kind == EXPONENTIAL) {
		check_exponential(e, &c);
		start = e->start_time_unix_nano;
		time = e->time_unix_nano;
		assert_true(!e->optional_min_case == r->cumulative);
	} else {
		check_number(r, p, series, samples, n);
		start = p->start_time_unix_nano;
		time = p->time_unix_nano;
	}
	if (r->kind != GAUGE || strcmp(r->gauge, "last") != 0)
		assert_true(time == latest);
	if (r->cumulative && r->kind != GAUGE)
		assert_true(start <= time && (!r->start[series] || start == r->start[series]));
	r->start[series] = start;
}

struct points {
	void **items;
	size_t n;
};

static struct points points_of(enum kind kind, const struct batch *b)
{
	const Otlp__Metric *m = b->first->metrics->scope_metrics[0]->metrics[0];

	assert_ptr_equal(b->first, b->last);
	if (kind == BUCKETS)
		return (struct points){(void **)m->histogram->data_points,
		                       m->histogram->n_data_points};
	if (kind == EXPONENTIAL)
		return (struct points){(void **)m->exponential_histogram->data_points,
		                       m->exponential_histogram->n_data_points};
	if (kind == GAUGE)
		return (struct points){(void **)m->gauge->data_points, m->gauge->n_data_points};
	return (struct points){(void **)m->sum->data_points, m->sum->n_data_points};
}

static unsigned name_of_point(const struct reference *r, void *point)
{
	Otlp__ExponentialHistogramDataPoint *e = point;
	Otlp__HistogramDataPoint *h = point;
	Otlp__NumberDataPoint *p = point;

	if (r->kind == BUCKETS)
		return name_of(r, h->attributes, h->n_attributes);
	if (r->kind == EXPONENTIAL)
		return name_of(r, e->attributes, e->n_attributes);
	return name_of(r, p->attributes, p->n_attributes);
}

/* Of each total there is one point, and it is right; all others went on as they came. */
static void check_batch(struct reference *r, struct batch *b, const struct sample *samples,
                        size_t n)
{
	size_t seen[SOURCES + 1] = {0}, expected[SOURCES + 1] = {0};
	struct error error = ERROR_INIT;
	struct points points;

	assert_int_equal(batch_read(b, &error), 0);
	points = points_of(r->kind, b);
	assert_int_equal(b->items, points.n);
	for (size_t i = 0; i < points.n; i++) {
		unsigned series = name_of_point(r, points.items[i]);

		seen[series]++;
		*(series == OVERFLOWN ? &r->overflown : &r->own[series]) = true;
	}
	for (size_t i = 0; i < n; i++)
		expected[series_of(r, samples[i].source)]++;
	for (unsigned series = 0; series <= SOURCES; series++) {
		bool joined = r->grouped || series == OVERFLOWN;
		assert_int_equal(seen[series], joined ? expected[series] > 0 : expected[series]);
	}
	for (size_t i = 0; i < points.n; i++) {
		unsigned series = name_of_point(r, points.items[i]);

		if (r->grouped || series == OVERFLOWN)
			check_joined(r, series, points.items[i], samples, n);
	}
}

/* ---- the stream goes through */

struct limit {
	const char *before, *rule; /* the gauge is told between */
	size_t most;               /* series out */
};

static const struct limit limits[] = {
	{"", "", SOURCES},
	{"max_series_per_metric: 10, ", "", 10},
	{"max_series: 5, ", "", 5},
	{"max_series_per_metric: 1, ", "", 1},
	{"", ", keep: [group]", GROUPS},
	{"", ", keep: [group], max_series: 3", 3},
	{"max_series: 1, ", ", keep: [group]", 1},
};
enum { LIMITS = sizeof limits / sizeof *limits };

struct scene {
	const struct limit *limit;
	enum kind kind;
	bool cumulative;
	const char *gauge;
	size_t part_max;
	bool memory_fails;
	bool refused; /* behind, so it comes twice */
};

static void on_refused(void *arg, const struct outcome *outcome)
{
	*(enum outcome_status *)arg = outcome->status;
}

/* Every allocation fails once, each time the batch comes again. */
static void consume_failing(struct stage *s, const struct scene *scene,
                            const struct sample *samples, size_t n)
{
	size_t kept = (size_t)s->n_kept;

	for (unsigned long nth = 1; (size_t)s->n_kept == kept; nth++) {
		struct batch *b = stream_batch(s, scene->kind, scene->cumulative, samples, n);
		enum outcome_status status = OUTCOME_OK;

		failing_memory_arm(nth);
		limiter->consume(s->component, b, (struct done){on_refused, &status});
		failing_memory_disarm();
		assert_true((size_t)s->n_kept > kept || status == OUTCOME_RETRY);
		assert_true(nth < 2000);
	}
}

static void play(const struct scene *scene, const struct sample *samples, size_t n,
                 struct reference *r)
{
	char config[256];
	struct stage s;

	snprintf(config, sizeof config, "{%smetrics: [{name: '*', gauge: %s%s}]}",
	         scene->limit->before, scene->gauge, scene->limit->rule);
	*r = (struct reference){.kind = scene->kind,
	                        .cumulative = scene->cumulative,
	                        .gauge = scene->gauge,
	                        .grouped = *scene->limit->rule};
	stage_begin(&s);
	stage_create(&s, limiter, config, SIGNAL_METRICS);
	for (size_t at = 0, part; at < n; at += part) {
		part = 1 + (size_t)rand() % scene->part_max;
		part = part < n - at ? part : n - at;
		if (scene->memory_fails)
			consume_failing(&s, scene, samples + at, part);
		else
			stage_consume(&s, stream_batch(&s, scene->kind, scene->cumulative,
			                               samples + at, part));
		assert_int_equal(s.n_kept, 1);
		if (scene->refused) {
			stage_answer(&s, (struct outcome){.status = OUTCOME_RETRY});
			stage_consume(&s, stream_batch(&s, scene->kind, scene->cumulative,
			                               samples + at, part));
			assert_int_equal(s.n_kept, 1);
		}
		reference_next_batch(r);
		for (size_t i = at; i < at + part; i++)
			reference_take(r, &samples[i]);
		check_batch(r, s.kept[0], samples + at, part);
		stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	}
	assert_true(stage_figure(&s, "weir_cardinality_limit_dropped_points") == 0);
	stage_end(&s);
}

static void stream_is_right(enum kind kind, bool cumulative, const char *gauge, size_t limit)
{
	static const size_t cuts[] = {1, 40, SAMPLES};
	static struct sample samples[SAMPLES];
	static struct reference first, r;
	size_t n = life_make(samples, cumulative), n_series;

	for (size_t cut = 0; cut < sizeof cuts / sizeof *cuts; cut++) {
		play(&(struct scene){&limits[limit], kind, cumulative, gauge, cuts[cut]}, samples,
		     n, &r);
		if (!cut)
			first = r;
		assert_memory_equal(r.own, first.own, sizeof r.own);
		if (cumulative)
			assert_memory_equal(r.start, first.start, sizeof r.start);
	}
	n_series = r.overflown;
	for (size_t i = 0; i < SOURCES; i++)
		n_series += r.own[i];
	assert_true(n_series <= limits[limit].most);
}

static void every_kind_is_right_under_every_limit_however_it_is_cut(void **state)
{
	srand(1);
	for (size_t limit = 0; limit < LIMITS; limit++)
		for (enum kind kind = SUM_INT; kind < GAUGE; kind++)
			for (int cumulative = 0; cumulative < 2; cumulative++)
				stream_is_right(kind, cumulative, "last", limit);
}

static void gauges_are_what_was_chosen_under_every_limit_however_it_is_cut(void **state)
{
	static const char *const choices[] = {"last", "sum", "min", "max", "mean"};

	srand(2);
	for (size_t limit = 0; limit < LIMITS; limit++)
		for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
			stream_is_right(GAUGE, true, choices[i], limit);
}

static void allocations_that_fail_change_nothing(void **state)
{
	static struct sample samples[SAMPLES];
	static struct reference r;

	srand(3);
	for (size_t limit = 1; limit < LIMITS; limit += 3)
		for (enum kind kind = SUM_INT; kind < KINDS; kind++)
			for (int cumulative = 0; cumulative < 2; cumulative++) {
				struct scene scene = {&limits[limit], kind, cumulative,
				                      "mean",         150,  true};

				assert_true(life_make(samples, cumulative) > 150);
				play(&scene, samples, 150, &r);
			}
}

static void what_was_refused_behind_counts_once_when_it_comes_again(void **state)
{
	static struct sample samples[SAMPLES];
	static struct reference r;

	srand(4);
	for (size_t limit = 1; limit < LIMITS; limit++)
		for (enum kind kind = SUM_INT; kind < KINDS; kind++)
			for (int cumulative = 0; cumulative < 2; cumulative++) {
				struct scene scene = {&limits[limit], kind, cumulative,
				                      "mean",         40,   .refused = true};

				play(&scene, samples, life_make(samples, cumulative), &r);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_right_under_every_limit_however_it_is_cut),
		cmocka_unit_test(gauges_are_what_was_chosen_under_every_limit_however_it_is_cut),
		cmocka_unit_test(allocations_that_fail_change_nothing),
		cmocka_unit_test(what_was_refused_behind_counts_once_when_it_comes_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
