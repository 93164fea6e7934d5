/* Every single allocation of building, starting, running and stopping a graph fails once. */
#include "tests/support/failing_memory.h"
#include "tests/unit/export/make_batch.h"
#include "tests/unit/pipeline/fake.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void on_done(void *arg, const struct outcome *outcome)
{
	(*(unsigned *)arg)++;
}

static void plan_two_pipelines(struct world *w)
{
	world_add(w, &fake_receiver, "in");
	world_add(w, &fake_writer, "writer");
	world_add(w, &fake_exporter, "a");
	world_add(w, &fake_exporter, "b");
	world_pipeline(w, "traces/1", SIGNAL_TRACES, "in", "writer", "a b");
	world_pipeline(w, "traces/2", SIGNAL_TRACES, "in", "", "b");
}

/* True when an allocation failed on the way. */
static bool run_scenario(unsigned nth)
{
	struct world *w = world_new();
	struct batch *batch = make_batch(3, 0, &w->budget);
	struct error error = ERROR_INIT;
	unsigned told = 0;
	bool failed;

	plan_two_pipelines(w);
	failing_memory_arm(nth);
	w->graph = graph_new(&w->plan, &w->host);
	if (w->graph) {
		if (graph_build(w->graph, &error) == 0 && graph_start(w->graph, &error) == 0)
			consumer_consume(w->fakes[0].last->next[SIGNAL_TRACES], TAKE(batch),
			                 (struct done){on_done, &told});
		world_stop(w, NS_PER_S);
	}
	failed = failing_memory_disarm();
	if (w->graph)
		world_wait_stopped(w);
	if (!batch)
		assert_int_equal(told, 1);
	else
		assert_true(failed);
	if (error_is_set(&error))
		assert_int_equal(error.kind, ERROR_RETRYABLE);
	batch_unref(batch);
	world_free(w);
	return failed;
}

static void a_graph_survives_every_failing_allocation(void **state)
{
	unsigned nth = 1;

	while (run_scenario(nth))
		assert_true(++nth < 1000);
	assert_true(nth > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_graph_survives_every_failing_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
