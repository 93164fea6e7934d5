/* Which attributes are named as those that have so many values. */
#include "core/base/clock.h"
#include "core/base/map.h"
#include "core/loop/timer.h"
#include "processors/cardinality_limit/distinct.h"
#include "tests/support/component_stage.h"
#include "tests/support/json_batch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

extern const struct component_type processor_cardinality_limit_type;

static const struct component_type *const limiter = &processor_cardinality_limit_type;

enum { SERIES = 1000, ROUTES = 7, DELTA = 1, CUMULATIVE = 2 };
/* Five times the standard error; of a few values some may share registers. */
#define NEAR 0.33
enum { SHARED = 3 };

/* ---- the sketch */

static void counts_values_within_its_error(void **state)
{
	static const unsigned many[] = {1, 2, 10, 100, 600, 1000, 10000, 1000000};

	for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
		struct distinct d = {0};
		double estimate;

		for (unsigned again = 0; again < 2; again++)
			for (uint64_t v = 0; v < many[i]; v++) {
				uint64_t value[] = {v, i};
				distinct_add(&d, hash_bytes(value, sizeof value));
			}
		estimate = distinct_estimate(&d);
		assert_true(fabs(estimate - many[i]) <= NEAR * many[i] + SHARED);
	}
}

static void forgets_values_after_two_turns(void **state)
{
	struct distinct d = {0};

	for (uint64_t v = 0; v < 100; v++)
		distinct_add(&d, hash_bytes(&v, sizeof v));
	distinct_turn(&d);
	assert_true(fabs(distinct_estimate(&d) - 100) < 100 * NEAR);
	for (uint64_t v = 50; v < 60; v++)
		distinct_add(&d, hash_bytes(&v, sizeof v));
	assert_true(fabs(distinct_estimate(&d) - 100) < 100 * NEAR);
	distinct_turn(&d);
	assert_true(fabs(distinct_estimate(&d) - 10) <= SHARED + 1);
	distinct_turn(&d);
	assert_int_equal(d.filled, 0);
	assert_true(distinct_estimate(&d) == 0);
	/* Many are told otherwise than few. */
	for (uint64_t v = 0; v < 10000; v++)
		distinct_add(&d, hash_bytes(&v, sizeof v));
	distinct_turn(&d);
	for (uint64_t v = 5000; v < 15000; v++)
		distinct_add(&d, hash_bytes(&v, sizeof v));
	assert_true(fabs(distinct_estimate(&d) - 15000) < 15000 * NEAR);
	distinct_turn(&d);
	assert_true(fabs(distinct_estimate(&d) - 10000) < 10000 * NEAR);
}

/* ---- batches */

static void attribute(struct buffer *out, bool first, const char *key, const char *value,
                      unsigned n)
{
	buffer_printf(out, "%s{\"key\": \"%s\", \"value\": {\"stringValue\": \"%s%u\"}}",
	              first ? "" : ", ", key, value, n);
}

/* Points of sources that differ by "id", in groups by "route"; of one pod. */
static struct batch *points(struct stage *s, const char *metric, unsigned temporality,
                            unsigned from, unsigned n, unsigned pod)
{
	struct buffer out = BUFFER_INIT;
	struct batch *b;

	buffer_append_string(&out, "{\"resourceMetrics\": [{\"resource\": {\"attributes\": [");
	attribute(&out, true, "pod", "pod-", pod);
	buffer_printf(&out,
	              "]}, \"scopeMetrics\": [{\"metrics\": [{\"name\": \"%s\", \"sum\": "
	              "{\"aggregationTemporality\": %u, \"isMonotonic\": true, \"dataPoints\": [",
	              metric, temporality);
	for (unsigned i = from; i < from + n; i++) {
		buffer_append_string(&out,
		                     i == from ? "{\"attributes\": [" : ", {\"attributes\": [");
		attribute(&out, true, "id", "source-", i);
		attribute(&out, false, "route", "/", i % ROUTES);
		attribute(&out, false, "constant", "", 1);
		buffer_append_string(&out, "], \"asInt\": \"5\", \"startTimeUnixNano\": \"1\", "
		                           "\"timeUnixNano\": \"2\"}");
	}
	buffer_append_string(&out, "]}}]}]}]}");
	b = json_batch(SIGNAL_METRICS, buffer_string(&out), &s->budget);
	buffer_fini(&out);
	return b;
}

static void begin(struct stage *s, const char *config)
{
	stage_begin(s);
	s->answer_at_once = true;
	stage_create(s, limiter, config, SIGNAL_METRICS);
}

/* metric: NULL: of whatever. */
static double values(struct stage *s, const char *metric, const char *key)
{
	const char *name = "weir_cardinality_limit_attribute_values";

	if (!metric)
		return metrics_sum(s->host.metrics, name, METRICS_LABELS({"attribute", key}));
	return metrics_sum(s->host.metrics, name,
	                   METRICS_LABELS({"metric", metric}, {"attribute", key}));
}

static void expect_near(double estimate, double values)
{
	if (fabs(estimate - values) > NEAR * values + SHARED)
		fail_msg("%.0f is not about %.0f", estimate, values);
}

/* ---- the component */

static void names_the_attribute_that_makes_the_series(void **state)
{
	static const char *const configs[] = {"{}", "{max_series_per_metric: 10}",
	                                      "{max_series: 1}"};

	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
		for (unsigned temporality = DELTA; temporality <= CUMULATIVE; temporality++) {
			struct stage s;

			begin(&s, configs[i]);
			for (unsigned round = 0; round < 2; round++) {
				for (unsigned from = 0; from < SERIES; from += 100)
					stage_consume(&s, points(&s, "requests", temporality, from,
					                         100, from / 100));
				stage_consume(&s, points(&s, "other", temporality, 0, 50, 0));
			}
			expect_near(values(&s, "requests", "id"), SERIES);
			expect_near(values(&s, "requests", "route"), ROUTES);
			expect_near(values(&s, NULL, "pod"), SERIES / 100);
			/* Of one value there is nothing to say. */
			assert_true(values(&s, NULL, "constant") == 0);
			if (i < 2) /* otherwise it finds no place, not even for its name */
				expect_near(values(&s, "other", "id"), 50);
			stage_end(&s);
		}
}

static void what_a_label_rule_takes_off_makes_no_series(void **state)
{
	struct stage s;

	begin(&s, "{metrics: [{name: requests, drop: [id]}]}");
	stage_consume(&s, points(&s, "requests", CUMULATIVE, 0, 100, 0));
	stage_consume(&s, points(&s, "other", CUMULATIVE, 0, 100, 0));
	assert_true(values(&s, "requests", "id") == 0);
	expect_near(values(&s, "requests", "route"), ROUTES);
	expect_near(values(&s, "other", "id"), 100);
	stage_end(&s);
}

static void tells_ten_of_more_than_it_can_follow(void **state)
{
	enum { METRICS = 1500 };
	struct stage s;
	char name[32];
	size_t held;

	begin(&s, "{max_series: 100000}");
	for (unsigned i = 0; i < METRICS; i++) {
		snprintf(name, sizeof name, "metric-%u", i);
		stage_consume(&s, points(&s, name, DELTA, 0, 2 + i % 3, 0));
		stage_consume(&s, points(&s, "requests", DELTA, i * 2, 2, 0));
	}
	expect_near(values(&s, "requests", "id"), 2 * METRICS);
	held = s.budget.used;
	for (unsigned i = 0; i < METRICS; i++) {
		snprintf(name, sizeof name, "metric-%u", i);
		stage_consume(&s, points(&s, name, DELTA, 10, 2, 0));
	}
	expect_near(values(&s, "requests", "id"), 2 * METRICS);
	/* The names differ by a digit. */
	assert_true(s.budget.used <= held + METRICS * 2 * 8 + (64 << 10));
	stage_end(&s);
}

static void on_time(void *arg)
{
	*(bool *)arg = true;
}

static void let_pass(struct stage *s, unsigned ms) /* what is tested is that time has passed */
{
	bool late = false;
	struct timer *timer = timer_new(s->host.loop, on_time, &late);

	assert_non_null(timer);
	timer_start(timer, ms * NS_PER_MS, 0);
	stage_wait(s, &late);
	timer_free(timer);
}

static void forgets_what_went_and_keeps_what_stays(void **state)
{
	/* Passed, and folded. */
	static const char *const configs[] = {"{idle: 200ms}",
	                                      "{idle: 200ms, max_series_per_metric: 20}"};

	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		struct stage s;

		begin(&s, configs[i]);
		stage_consume(&s, points(&s, "gone", CUMULATIVE, 0, 100, 0));
		for (unsigned round = 0; round < 25; round++) { /* five times idle */
			stage_consume(&s, points(&s, "stays", CUMULATIVE, 0, 100, 0));
			let_pass(&s, 40);
			expect_near(values(&s, "stays", "id"), 100);
		}
		assert_true(values(&s, "gone", "id") == 0);
		stage_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_values_within_its_error),
		cmocka_unit_test(forgets_values_after_two_turns),
		cmocka_unit_test(names_the_attribute_that_makes_the_series),
		cmocka_unit_test(what_a_label_rule_takes_off_makes_no_series),
		cmocka_unit_test(tells_ten_of_more_than_it_can_follow),
		cmocka_unit_test(forgets_what_went_and_keeps_what_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
