#include "core/base/budget.h"
#include "core/base/clock.h"
#include "core/self/health.h"
#include "core/self/metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct budget budget;
	struct health *health;
	struct health_part *receiver, *exporter, *other;
	struct health_pipeline *traces, *logs;
};

/* Two pipelines with one receiver; each has an exporter of its own. Everything is OK. */
static void open_fixture(struct fixture *f)
{
	*f = (struct fixture){0};
	f->health = health_new(&f->budget);
	assert_non_null(f->health);
	f->traces = health_add_pipeline(f->health, "traces/edge");
	f->logs = health_add_pipeline(f->health, "logs");
	f->exporter = health_add_part(f->health, "exporter", "otlp");
	f->other = health_add_part(f->health, "exporter", "file");
	f->receiver = health_add_part(f->health, "receiver", "otlp");
	assert_true(health_add_seat(f->health, f->traces, f->exporter));
	assert_true(health_add_seat(f->health, f->traces, f->receiver));
	assert_true(health_add_seat(f->health, f->logs, f->other));
	assert_true(health_add_seat(f->health, f->logs, f->receiver));
}

static void start(struct fixture *f)
{
	health_report(f->exporter, STATUS_OK, NULL);
	health_report(f->other, STATUS_OK, NULL);
	health_report(f->receiver, STATUS_OK, NULL);
	health_run(f->health);
}

static void trouble(struct health_part *part, enum component_status status)
{
	struct error error = ERROR_INIT;

	error_set(&error, -EIO, "it hurts");
	health_report(part, status, &error);
}

static void is_ready_from_the_start_to_the_stop(void **state)
{
	struct fixture f;

	open_fixture(&f);
	assert_true(health_is_live(f.health));
	assert_false(health_is_ready(f.health));
	start(&f);
	assert_true(health_is_ready(f.health));
	health_stop(f.health);
	assert_false(health_is_ready(f.health));
	assert_true(health_is_live(f.health)); /* it drains: nobody should kill it */
	health_free(f.health);
}

static void an_error_concerns_the_pipelines_in_which_it_stands(void **state)
{
	struct health_part sum;
	struct fixture f;

	open_fixture(&f);
	start(&f);
	trouble(f.exporter, STATUS_PERMANENT_ERROR);
	assert_false(health_pipeline_is_ready(f.health, f.traces));
	assert_true(health_pipeline_is_ready(f.health, f.logs));
	assert_false(health_is_ready(f.health));
	sum = health_sum_up(f.traces);
	assert_int_equal(sum.status, STATUS_PERMANENT_ERROR);
	assert_string_equal(sum.message, "it hurts");
	f.health->policy.include_permanent_errors = false;
	assert_true(health_is_ready(f.health));
	health_report(f.exporter, STATUS_OK, NULL);
	assert_int_equal(health_sum_up(f.traces).status, STATUS_OK);
	health_free(f.health);
}

static void a_recoverable_error_counts_when_it_lasts_and_somebody_wants_it(void **state)
{
	struct fixture f;
	uint64_t since;

	open_fixture(&f);
	start(&f);
	trouble(f.exporter, STATUS_RECOVERABLE_ERROR);
	assert_true(health_is_ready(f.health));
	since = f.exporter->since_ns -= 10 * NS_PER_S;
	f.health->policy.recovery_ns = 9 * NS_PER_S;
	assert_true(health_is_ready(f.health));
	f.health->policy.include_recoverable_errors = true;
	assert_false(health_is_ready(f.health));
	trouble(f.exporter, STATUS_RECOVERABLE_ERROR);
	assert_int_equal(f.exporter->since_ns, since); /* the same trouble still */
	f.health->policy.recovery_ns = 60 * NS_PER_S;
	assert_true(health_is_ready(f.health));
	health_free(f.health);
}

static void a_fatal_error_ends_its_life(void **state)
{
	struct fixture f;

	open_fixture(&f);
	start(&f);
	trouble(f.receiver, STATUS_FATAL_ERROR);
	assert_false(health_is_live(f.health));
	assert_false(health_is_ready(f.health));
	health_free(f.health);
}

static void what_is_said_after_the_stop_is_too_late(void **state)
{
	struct fixture f;

	open_fixture(&f);
	start(&f);
	health_report(f.exporter, STATUS_STOPPING, NULL);
	health_report(f.exporter, STATUS_OK, NULL);
	assert_int_equal(f.exporter->status, STATUS_STOPPING);
	health_report(f.exporter, STATUS_STOPPED, NULL);
	trouble(f.exporter, STATUS_RECOVERABLE_ERROR);
	assert_int_equal(f.exporter->status, STATUS_STOPPED);
	assert_int_equal(health_sum_up(f.traces).status, STATUS_STOPPING);
	health_report(f.receiver, STATUS_STOPPED, NULL);
	assert_int_equal(health_sum_up(f.traces).status, STATUS_STOPPED);
	health_free(f.health);
}

static void is_not_ready_at_the_hard_limit_of_memory(void **state)
{
	struct fixture f;

	open_fixture(&f);
	start(&f);
	assert_true(budget_take(&f.budget, 900)); /* no limit yet */
	assert_true(health_is_ready(f.health));
	f.budget.limit = 1000;
	assert_true(health_is_ready(f.health));
	assert_false(budget_take(&f.budget, 200)); /* refused: less than that is free */
	assert_false(health_is_ready(f.health));
	assert_false(health_is_ready(f.health)); /* whoever asks, and how often */
	budget_return(&f.budget, 26);
	assert_true(health_is_ready(f.health));
	assert_true(budget_take(&f.budget, 126));
	assert_false(health_is_ready(f.health));
	budget_return(&f.budget, 500);
	assert_false(budget_take(&f.budget, 900)); /* it was too much, there is room for others */
	assert_true(health_is_ready(f.health));
	health_free(f.health);
}

static void collect(void *arg, struct metrics_sink *sink)
{
	health_collect(arg, sink);
}

static void tells_it_in_figures(void **state)
{
	struct metrics *m = metrics_new();
	struct metrics_collector *c;
	struct fixture f;

	open_fixture(&f);
	c = metrics_register(m, collect, f.health);
	assert_non_null(c);
	start(&f);
	assert_true(metrics_sum(m, "weir_ready", NULL) == 1);
	trouble(f.exporter, STATUS_PERMANENT_ERROR);
	assert_true(metrics_sum(m, "weir_ready", NULL) == 0);
	assert_true(metrics_sum(m, "weir_pipeline_ready",
	                        METRICS_LABELS({"pipeline", "traces/edge"})) == 0);
	assert_true(metrics_sum(m, "weir_pipeline_ready", METRICS_LABELS({"pipeline", "logs"})) ==
	            1);
	metrics_unregister(m, c);
	metrics_free(m);
	health_free(f.health);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_ready_from_the_start_to_the_stop),
		cmocka_unit_test(an_error_concerns_the_pipelines_in_which_it_stands),
		cmocka_unit_test(a_recoverable_error_counts_when_it_lasts_and_somebody_wants_it),
		cmocka_unit_test(a_fatal_error_ends_its_life),
		cmocka_unit_test(what_is_said_after_the_stop_is_too_late),
		cmocka_unit_test(is_not_ready_at_the_hard_limit_of_memory),
		cmocka_unit_test(tells_it_in_figures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
