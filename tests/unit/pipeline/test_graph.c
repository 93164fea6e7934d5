#include "core/self/health.h"
#include "tests/unit/export/make_batch.h"
#include "tests/unit/pipeline/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct told {
	unsigned calls;
	enum outcome_status status;
};

static void on_done(void *arg, const struct outcome *outcome)
{
	struct told *t = arg;

	t->calls++;
	t->status = outcome->status;
}

static void emit(struct world *w, struct fake *receiver, size_t items, struct told *told)
{
	struct fake_instance *i = receiver->last;
	struct batch *b = make_batch(items, 0, &w->budget);

	*told = (struct told){0};
	b->signal = i->signal;
	consumer_consume(i->next[i->signal], b, (struct done){on_done, told});
}

static void open_and_start(struct world *w)
{
	struct error error = ERROR_INIT;

	world_open(w);
	if (graph_build(w->graph, &error) < 0 || graph_start(w->graph, &error) < 0)
		fail_msg("%s", error.message);
}

static void close_world(struct world *w)
{
	world_stop(w, 5 * NS_PER_S);
	world_wait_stopped(w);
	world_free(w);
}

static void starts_sinks_first_and_stops_sources_first(void **state)
{
	struct world *w = world_new();

	world_add(w, &fake_extension, "ext");
	world_add(w, &fake_extension, "ext/2");
	world_add(w, &fake_receiver, "in");
	world_add(w, &fake_processor, "p1")->closes_late_ns = 5 * NS_PER_MS;
	world_add(w, &fake_processor, "p2");
	world_add(w, &fake_exporter, "out");
	world_extension(w, "ext");
	world_extension(w, "ext/2");
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "p1 p2", "out");
	open_and_start(w);
	assert_string_equal(
		w->journal.text,
		"create ext, create ext/2, create out, create p2, create p1, create in, "
		"start ext, start ext/2, start out, start p2, start p1, start in");
	*w->journal.text = '\0';
	world_stop(w, 5 * NS_PER_S);
	assert_false(w->stopped); /* p1 takes its time, and p2 waits for it */
	assert_string_equal(w->journal.text, "shutdown in, closed in, shutdown p1");
	world_wait_stopped(w);
	assert_string_equal(w->journal.text,
	                    "shutdown in, closed in, shutdown p1, closed p1, shutdown p2, closed "
	                    "p2, shutdown out, closed out, shutdown ext/2, closed ext/2, "
	                    "shutdown ext, closed ext");
	world_free(w);
}

static void instances_are_made_as_the_collector_makes_them(void **state)
{
	struct world *w = world_new();
	struct fake *receiver = world_add(w, &fake_receiver, "in");
	struct fake *shared = world_add(w, &fake_shared_receiver, "shared");
	struct fake *unused = world_add(w, &fake_receiver, "unused");
	struct fake *processor = world_add(w, &fake_processor, "p");
	struct fake *exporter = world_add(w, &fake_exporter, "out");
	struct fake *one = world_add(w, &fake_shared_exporter, "one");

	world_pipeline(w, "traces/a", SIGNAL_TRACES, "in shared", "p", "out one");
	world_pipeline(w, "traces/b", SIGNAL_TRACES, "in shared", "p", "out one");
	world_pipeline(w, "logs", SIGNAL_LOGS, "in shared", "p", "out one");
	open_and_start(w);
	assert_int_equal(receiver->instances, 2); /* one per signal */
	assert_int_equal(shared->instances, 1);   /* one for all */
	assert_int_equal(unused->instances, 0);
	assert_int_equal(processor->instances, 3); /* one per pipeline */
	assert_int_equal(exporter->instances, 2);
	assert_int_equal(one->instances, 1);
	assert_true(consumer_is_set(shared->last->next[SIGNAL_TRACES]));
	assert_true(consumer_is_set(shared->last->next[SIGNAL_LOGS]));
	assert_false(consumer_is_set(shared->last->next[SIGNAL_METRICS]));
	close_world(w);
}

static void components_find_the_extensions_that_were_listed(void **state)
{
	struct world *w = world_new();
	struct fake *extension = world_add(w, &fake_extension, "ext/a");
	struct fake *in = world_add(w, &fake_receiver, "in");
	struct fake *out = world_add(w, &fake_exporter, "out");

	world_extension(w, "ext/a");
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "", "out");
	in->looks_for = "ext/a";
	out->looks_for = "out"; /* no extension */
	open_and_start(w);
	assert_ptr_equal(in->found, &extension->last->component);
	assert_null(out->found);
	close_world(w);
}

static enum component_status status_of(const struct health *h, const char *pipeline,
                                       const char *kind)
{
	const struct health_pipeline *p = health_find(h, slice_from_string(pipeline));

	assert_non_null(p);
	for (const struct health_seat *s = p->seats; s; s = s->next)
		if (strcmp(s->part->kind, kind) == 0)
			return s->part->status;
	fail_msg("no %s in %s", kind, pipeline);
	return STATUS_STOPPED;
}

static void the_health_of_every_pipeline_is_known(void **state)
{
	struct world *w = world_new();
	struct fake *in = world_add(w, &fake_shared_receiver, "in");
	const struct health *h;
	const struct component *c;

	world_add(w, &fake_processor, "p");
	world_add(w, &fake_connector, "between");
	world_add(w, &fake_exporter, "out")->closes_late_ns = 5 * NS_PER_MS;
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "p", "between");
	world_pipeline(w, "logs", SIGNAL_LOGS, "in between", "", "out");
	open_and_start(w);
	c = &in->last->component;
	h = c->host->health;
	assert_true(h->running);
	assert_int_equal(status_of(h, "traces", "receiver"), STATUS_OK);
	assert_int_equal(status_of(h, "traces", "processor"), STATUS_OK);
	assert_int_equal(status_of(h, "traces", "connector"), STATUS_OK);
	assert_int_equal(status_of(h, "logs", "connector"), STATUS_OK);
	assert_int_equal(status_of(h, "logs", "exporter"), STATUS_OK);
	c->host->report(c->host, c, STATUS_RECOVERABLE_ERROR, NULL);
	assert_int_equal(status_of(h, "traces", "receiver"), STATUS_RECOVERABLE_ERROR);
	assert_int_equal(status_of(h, "logs", "receiver"), STATUS_RECOVERABLE_ERROR);
	world_stop(w, 5 * NS_PER_S);
	assert_int_equal(status_of(h, "traces", "receiver"), STATUS_STOPPED);
	assert_int_equal(status_of(h, "logs", "exporter"), STATUS_STOPPING);
	world_wait_stopped(w);
	world_free(w);
}

static void a_batch_goes_to_every_pipeline_and_exporter_once(void **state)
{
	struct world *w = world_new();
	struct fake *in = world_add(w, &fake_receiver, "in");
	struct fake *writer = world_add(w, &fake_writer, "writer");
	struct fake *a = world_add(w, &fake_exporter, "a");
	struct fake *b = world_add(w, &fake_exporter, "b");
	struct told told;

	world_pipeline(w, "traces/1", SIGNAL_TRACES, "in", "writer", "a b");
	world_pipeline(w, "traces/2", SIGNAL_TRACES, "in", "", "b");
	open_and_start(w);
	b->holds = true;
	emit(w, in, 5, &told);
	assert_int_equal(writer->consumed, 1);
	assert_int_equal(a->consumed, 1);
	assert_int_equal(b->consumed, 2);
	assert_int_equal(told.calls, 0);
	assert_int_equal(world_figure(w, "weir_pipeline_in_flight_items", "pipeline", "traces/1"),
	                 5);
	while (fake_answer(b->last, &(struct outcome){.status = OUTCOME_OK}))
		;
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_OK);
	assert_int_equal(world_figure(w, "weir_pipeline_sent_items", "pipeline", "traces/1"), 5);
	assert_int_equal(world_figure(w, "otelcol_receiver_accepted_spans", "receiver", "in"), 5);
	assert_int_equal(world_figure(w, "otelcol_processor_incoming_items", "processor", "writer"),
	                 5);
	assert_int_equal(world_figure(w, "otelcol_processor_outgoing_items", "processor", "writer"),
	                 5);
	/* Exporters without a queue of their own are counted by the graph, over both pipelines. */
	assert_int_equal(world_figure(w, "otelcol_exporter_sent_spans", "exporter", "b"), 10);
	close_world(w);
}

static void a_refusal_reaches_the_source_and_is_counted_as_refused(void **state)
{
	struct world *w = world_new();
	struct fake *in = world_add(w, &fake_receiver, "in");
	struct fake *out = world_add(w, &fake_exporter, "out");
	struct told told;

	out->answer.status = OUTCOME_RETRY;
	world_pipeline(w, "logs", SIGNAL_LOGS, "in", "", "out");
	open_and_start(w);
	emit(w, in, 3, &told);
	assert_int_equal(told.status, OUTCOME_RETRY);
	assert_int_equal(world_figure(w, "weir_pipeline_refused_items", "pipeline", "logs"), 3);
	assert_int_equal(world_figure(w, "otelcol_receiver_refused_log_records", "receiver", "in"),
	                 3);
	out->answer.status = OUTCOME_PERMANENT;
	emit(w, in, 2, &told);
	assert_int_equal(world_figure(w, "weir_pipeline_dropped_items", "reason",
	                              "permanent_error"),
	                 2);
	close_world(w);
}

static void a_failed_start_names_the_component_and_takes_everything_down(void **state)
{
	struct world *w = world_new();
	struct error error = ERROR_INIT;

	world_add(w, &fake_receiver, "in")->fail_start = true;
	world_add(w, &fake_processor, "p");
	world_add(w, &fake_exporter, "out");
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "p", "out");
	world_open(w);
	assert_int_equal(graph_build(w->graph, &error), 0);
	assert_true(graph_start(w->graph, &error) < 0);
	assert_string_equal(error.message, "cannot start pipelines: failed to start \"in\" "
	                                   "receiver: this fake does not start");
	*w->journal.text = '\0';
	world_stop(w, NS_PER_S);
	world_wait_stopped(w);
	assert_string_equal(
		w->journal.text,
		"shutdown in, closed in, shutdown p, closed p, shutdown out, closed out");
	world_free(w);
}

static void a_failed_extension_is_told_apart(void **state)
{
	struct world *w = world_new();
	struct error error = ERROR_INIT;

	world_add(w, &fake_extension, "ext")->fail_start = true;
	world_add(w, &fake_receiver, "in");
	world_add(w, &fake_exporter, "out");
	world_extension(w, "ext");
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "", "out");
	world_open(w);
	assert_int_equal(graph_build(w->graph, &error), 0);
	assert_true(graph_start(w->graph, &error) < 0);
	assert_string_equal(error.message, "failed to start extensions: failed to start \"ext\" "
	                                   "extension: this fake does not start");
	close_world(w);
}

static void every_failing_create_takes_down_what_was_made(void **state)
{
	static const struct {
		const char *id, *message;
	} cases[] = {
		{"in", "failed to build pipelines: failed to create \"in\" receiver for data type "
	               "\"traces\": this fake cannot be made"},
		{"p", "failed to build pipelines: failed to create \"p\" processor for data type "
	              "\"traces\": this fake cannot be made"},
		{"out",
	         "failed to build pipelines: failed to create \"out\" exporter for data type "
	         "\"traces\": this fake cannot be made"},
		{"ext", "failed to build extensions: failed to create \"ext\" extension: this fake "
	                "cannot be made"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = world_new();
		struct error error = ERROR_INIT;

		world_add(w, &fake_extension, "ext");
		world_add(w, &fake_receiver, "in");
		world_add(w, &fake_processor, "p");
		world_add(w, &fake_exporter, "out");
		world_extension(w, "ext");
		world_pipeline(w, "traces", SIGNAL_TRACES, "in", "p", "out");
		for (size_t k = 0; k < w->plan.n_components; k++)
			if (strcmp(w->components[k].id, cases[i].id) == 0)
				w->fakes[k].fail_create = true;
		world_open(w);
		assert_true(graph_build(w->graph, &error) < 0);
		assert_string_equal(error.message, cases[i].message);
		close_world(w);
	}
}

static void a_stage_that_does_not_close_holds_up_nobody_beyond_the_deadline(void **state)
{
	struct world *w = world_new();
	struct fake *in = world_add(w, &fake_receiver, "in");

	in->closes_late_ns = 80 * NS_PER_MS;
	world_add(w, &fake_exporter, "out");
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "", "out");
	open_and_start(w);
	*w->journal.text = '\0';
	world_stop(w, 20 * NS_PER_MS);
	assert_string_equal(w->journal.text, "shutdown in");
	world_wait_stopped(w);
	assert_string_equal(w->journal.text, "shutdown in, shutdown out, closed out, closed in");
	world_free(w);
}

static void what_is_in_flight_at_the_stop_is_counted_as_lost(void **state)
{
	struct world *w = world_new();
	struct fake *in = world_add(w, &fake_receiver, "in");
	struct fake *out = world_add(w, &fake_exporter, "out");
	struct told told;

	out->holds = true;
	world_pipeline(w, "traces", SIGNAL_TRACES, "in", "", "out");
	open_and_start(w);
	emit(w, in, 7, &told);
	world_stop(w, NS_PER_S);
	world_wait_stopped(w);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.status, OUTCOME_CANCELED);
	assert_int_equal(world_figure(w, "weir_pipeline_dropped_items", "reason", "shutdown"), 7);
	world_free(w);
}

static void connectors_join_pipelines(void **state)
{
	struct world *w = world_new();
	struct fake *in = world_add(w, &fake_receiver, "in");
	struct fake *join = world_add(w, &fake_connector, "join");
	struct fake *out = world_add(w, &fake_exporter, "out");
	struct told told;

	world_pipeline(w, "traces/front", SIGNAL_TRACES, "in", "", "join");
	world_pipeline(w, "traces/back", SIGNAL_TRACES, "join", "", "out");
	open_and_start(w);
	assert_int_equal(join->instances, 1);
	emit(w, in, 2, &told);
	assert_int_equal(told.status, OUTCOME_OK);
	assert_int_equal(out->consumed, 1);
	*w->journal.text = '\0';
	world_stop(w, NS_PER_S);
	world_wait_stopped(w);
	assert_string_equal(w->journal.text, "shutdown in, closed in, shutdown join, closed join, "
	                                     "shutdown out, closed out");
	world_free(w);
}

static void a_circle_of_connectors_is_refused(void **state)
{
	struct world *w = world_new();
	struct error error = ERROR_INIT;

	world_add(w, &fake_receiver, "in");
	world_add(w, &fake_connector, "a");
	world_add(w, &fake_connector, "b");
	world_pipeline(w, "traces/1", SIGNAL_TRACES, "in b", "", "a");
	world_pipeline(w, "traces/2", SIGNAL_TRACES, "a", "", "b");
	world_open(w);
	assert_true(graph_build(w->graph, &error) < 0);
	assert_non_null(
		strstr(error.message, "cycle detected: connector \"b\" (traces to traces)"));
	close_world(w);
}

static void assert_balance(struct world *w, const char *pipeline)
{
	assert_int_equal(world_figure(w, "weir_pipeline_received_items", "pipeline", pipeline),
	                 world_figure(w, "weir_pipeline_refused_items", "pipeline", pipeline) +
	                         world_figure(w, "weir_pipeline_sent_items", "pipeline", pipeline) +
	                         world_figure(w, "weir_pipeline_dropped_items", "pipeline",
	                                      pipeline) +
	                         world_figure(w, "weir_pipeline_in_flight_items", "pipeline",
	                                      pipeline));
}

static unsigned below(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) % n;
}

/* A receiver for two pipelines, one with a writer and two exporters; every exporter answers at once
 * or later, in any way. The books balance after every step. */
static void the_books_balance_whatever_happens(void **state)
{
	enum { GIVEN = 200, SEEDS = 40 };
	static struct told told[GIVEN];

	for (unsigned s = 1; s <= SEEDS; s++) {
		struct world *w = world_new();
		struct fake *in = world_add(w, &fake_receiver, "in");
		struct fake *outs[2];
		unsigned seed = s, n = 0;

		world_add(w, &fake_writer, "p");
		outs[0] = world_add(w, &fake_exporter, "a");
		outs[1] = world_add(w, &fake_exporter, "b");
		world_pipeline(w, "traces/1", SIGNAL_TRACES, "in", "p", "a b");
		world_pipeline(w, "traces/2", SIGNAL_TRACES, "in", "", "b");
		open_and_start(w);
		while (n < GIVEN) {
			struct fake *out = outs[below(&seed, 2)];
			struct outcome o = {.status = (enum outcome_status)below(&seed, 4),
			                    .rejected_items = below(&seed, 3)};

			out->holds = below(&seed, 3) != 0;
			out->answer = o;
			if (below(&seed, 2))
				fake_answer(out->last, &o);
			else
				emit(w, in, below(&seed, 9), &told[n++]);
			assert_balance(w, "traces/1");
			assert_balance(w, "traces/2");
		}
		world_stop(w, NS_PER_S);
		world_wait_stopped(w);
		for (n = 0; n < GIVEN; n++)
			assert_int_equal(told[n].calls, 1);
		assert_balance(w, "traces/1");
		assert_int_equal(world_figure(w, "weir_pipeline_in_flight_items", "pipeline",
		                              "traces/1"),
		                 0);
		world_free(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_sinks_first_and_stops_sources_first),
		cmocka_unit_test(instances_are_made_as_the_collector_makes_them),
		cmocka_unit_test(components_find_the_extensions_that_were_listed),
		cmocka_unit_test(the_health_of_every_pipeline_is_known),
		cmocka_unit_test(a_batch_goes_to_every_pipeline_and_exporter_once),
		cmocka_unit_test(a_refusal_reaches_the_source_and_is_counted_as_refused),
		cmocka_unit_test(a_failed_start_names_the_component_and_takes_everything_down),
		cmocka_unit_test(a_failed_extension_is_told_apart),
		cmocka_unit_test(every_failing_create_takes_down_what_was_made),
		cmocka_unit_test(a_stage_that_does_not_close_holds_up_nobody_beyond_the_deadline),
		cmocka_unit_test(what_is_in_flight_at_the_stop_is_counted_as_lost),
		cmocka_unit_test(connectors_join_pipelines),
		cmocka_unit_test(a_circle_of_connectors_is_refused),
		cmocka_unit_test(the_books_balance_whatever_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
