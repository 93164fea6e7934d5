#include "core/base/clock.h"
#include "core/data/build.h"
#include "tests/support/component_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type receiver_self_type;

static void collect_sheep(void *arg, struct metrics_sink *sink)
{
	metrics_counter(sink, "sheep", "Counted.", NULL, *(double *)arg);
}

static void begin(struct stage *s, const char *yaml, double *sheep)
{
	stage_begin(s);
	assert_non_null(metrics_register(s->host.metrics, collect_sheep, sheep));
	stage_create(s, &receiver_self_type, yaml, SIGNAL_METRICS);
}

static void wait_for_batches(struct stage *s, int n)
{
	uint64_t end = clock_monotonic_ns() + 10 * NS_PER_S;

	while (s->n_kept < n && clock_monotonic_ns() < end)
		loop_run_for(s->host.loop, 10 * NS_PER_MS);
	assert_int_equal(s->n_kept, n);
}

/* The value of that sum in a batch; -1: it is not there. */
static double value_in(const struct batch *b, const char *name)
{
	const Otlp__ScopeMetrics *scope = b->first->metrics->scope_metrics[0];

	for (size_t i = 0; i < scope->n_metrics; i++)
		if (slice_equal(slice_of(scope->metrics[i]->name.data, scope->metrics[i]->name.len),
		                slice_from_string(name)))
			return scope->metrics[i]->sum->data_points[0]->as_double;
	return -1;
}

/* NULL: the resource has no such attribute. */
static const char *resource_of(const struct batch *b, const char *key, char text[256])
{
	const Otlp__Resource *r = b->first->metrics->resource;
	const Otlp__AnyValue *v = attribute_find(r->attributes, r->n_attributes, key);

	if (!v)
		return NULL;
	snprintf(text, 256, "%.*s", (int)v->string_value.len, v->string_value.data);
	return text;
}

static void sends_every_interval_what_is_counted(void **state)
{
	char text[256], host[256] = "";
	struct stage s;
	double sheep = 3;

	gethostname(host, sizeof host - 1);
	begin(&s, "{collection_interval: 100ms}", &sheep);
	wait_for_batches(&s, 1);
	assert_true(value_in(s.kept[0], "sheep") == 3);
	assert_string_equal(s.kept[0]->origin.receiver, "self");
	assert_string_equal(resource_of(s.kept[0], "service.name", text), "weir");
	assert_string_equal(resource_of(s.kept[0], "service.version", text), "test");
	assert_string_equal(resource_of(s.kept[0], "service.instance.id", text), host);
	assert_string_equal(resource_of(s.kept[0], "host.name", text), host);
	sheep = 5;
	stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	wait_for_batches(&s, 1);
	assert_true(value_in(s.kept[0], "sheep") == 5);
	assert_true(value_in(s.kept[0], "weir_receiver_self_collections_skipped") == 0);
	stage_end(&s);
}

static void a_refused_reading_is_left_to_the_next(void **state)
{
	struct stage s;
	double sheep = 3;

	begin(&s, "{collection_interval: 100ms}", &sheep);
	for (int i = 0; i < 3; i++) {
		wait_for_batches(&s, 1);
		assert_true(value_in(s.kept[0], "sheep") == 3 + i);
		sheep++;
		stage_answer(&s, (struct outcome){.status = OUTCOME_RETRY, .message = "not now"});
	}
	stage_end(&s);
}

static void one_reading_at_a_time_waits_for_its_outcome(void **state)
{
	struct stage s;
	double sheep = 3;

	begin(&s, "{collection_interval: 100ms}", &sheep);
	wait_for_batches(&s, 1);
	while (stage_figure(&s, "weir_receiver_self_collections_skipped") < 2)
		loop_run_for(s.host.loop, 10 * NS_PER_MS);
	assert_int_equal(s.n_kept, 1);
	stage_end(&s);
}

static void without_memory_a_reading_is_left_out(void **state)
{
	struct stage s;
	double sheep = 3;

	begin(&s, "{collection_interval: 100ms}", &sheep);
	s.budget.limit = 100;
	while (stage_figure(&s, "weir_receiver_self_collections_skipped") < 2)
		loop_run_for(s.host.loop, 10 * NS_PER_MS);
	assert_int_equal(s.n_kept, 0);
	s.budget.limit = 0;
	wait_for_batches(&s, 1);
	stage_end(&s);
}

static void tells_a_last_time_when_weir_stops(void **state)
{
	struct stage s;
	double sheep = 3;

	begin(&s, "{collection_interval: 1h}", &sheep);
	stage_shutdown(&s, clock_monotonic_ns() + 10 * NS_PER_S);
	assert_int_equal(s.n_kept, 1);
	assert_true(value_in(s.kept[0], "sheep") == 3);
	assert_false(s.closed);
	stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	assert_true(s.closed);
	stage_end(&s);
}

static void the_last_reading_waits_for_the_one_before(void **state)
{
	struct stage s;
	double sheep = 3;

	begin(&s, "{collection_interval: 100ms}", &sheep);
	wait_for_batches(&s, 1);
	sheep = 4;
	stage_shutdown(&s, clock_monotonic_ns() + 10 * NS_PER_S);
	assert_int_equal(s.n_kept, 1);
	stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	assert_int_equal(s.n_kept, 1);
	assert_true(value_in(s.kept[0], "sheep") == 4);
	stage_answer(&s, (struct outcome){.status = OUTCOME_OK});
	assert_true(s.closed);
	stage_end(&s);
}

static void closes_at_the_deadline_without_an_outcome(void **state)
{
	struct stage s;
	struct done done;
	double sheep = 3;

	begin(&s, "{collection_interval: 100ms}", &sheep);
	wait_for_batches(&s, 1);
	stage_shutdown(&s, clock_monotonic_ns() + 50 * NS_PER_MS);
	stage_wait(&s, &s.closed);
	done = s.dones[0];
	batch_unref(s.kept[0]);
	s.n_kept = 0;
	s.component->type->destroy(s.component);
	s.component = NULL;
	done_ok(done); /* comes to nobody */
	stage_end(&s);
}

static void the_resource_says_what_the_user_wants(void **state)
{
	struct stage s;
	double sheep = 3;
	char text[256];

	begin(&s,
	      "{collection_interval: 100ms, resource: {service.instance.id: gw-1, host.name: '', "
	      "deployment.environment.name: prod}}",
	      &sheep);
	wait_for_batches(&s, 1);
	assert_string_equal(resource_of(s.kept[0], "service.name", text), "weir");
	assert_string_equal(resource_of(s.kept[0], "service.instance.id", text), "gw-1");
	assert_string_equal(resource_of(s.kept[0], "deployment.environment.name", text), "prod");
	assert_null(resource_of(s.kept[0], "host.name", text));
	assert_int_equal(s.kept[0]->first->metrics->resource->n_attributes, 4);
	stage_expect_refused(&s, &receiver_self_type, "{resource: {'': x}}",
	                     "resource: an attribute needs a name");
	stage_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_every_interval_what_is_counted),
		cmocka_unit_test(a_refused_reading_is_left_to_the_next),
		cmocka_unit_test(one_reading_at_a_time_waits_for_its_outcome),
		cmocka_unit_test(without_memory_a_reading_is_left_out),
		cmocka_unit_test(tells_a_last_time_when_weir_stops),
		cmocka_unit_test(the_last_reading_waits_for_the_one_before),
		cmocka_unit_test(closes_at_the_deadline_without_an_outcome),
		cmocka_unit_test(the_resource_says_what_the_user_wants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
