#include "tests/unit/export/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void on_tick(void *arg)
{
}

struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct error error = ERROR_INIT;

	assert_non_null(f);
	assert_int_equal(loop_new(&f->loop, &error), 0);
	f->metrics = metrics_new();
	f->host = (struct host){.loop = f->loop, .budget = &f->budget, .metrics = f->metrics};
	f->type = (struct component_type){.name = "fake", .kind = EXPORTER};
	component_init(&f->component, &f->type,
	               &(struct create_args){.id = "fake/one", .host = &f->host});
	f->config =
		(struct exporter_config){.timeout = 5 * NS_PER_S,
	                                 .retry_on_failure = {.enabled = true,
	                                                      .initial_interval = 5 * NS_PER_S,
	                                                      .max_interval = 30 * NS_PER_S,
	                                                      .max_elapsed_time = 300 * NS_PER_S,
	                                                      .multiplier = 1.5},
	                                 .sending_queue = {.enabled = true,
	                                                   .num_consumers = 10,
	                                                   .queue_size = 1000,
	                                                   .sizer = BATCH_REQUESTS,
	                                                   .batch = {.enabled = false,
	                                                             .flush_timeout =
	                                                                     200 * NS_PER_MS,
	                                                             .min_size = 8192,
	                                                             .sizer = BATCH_ITEMS}}};
	list_init(&f->sent);
	f->tick = timer_new(f->loop, on_tick, f);
	timer_start(f->tick, NS_PER_MS, NS_PER_MS);
	return f;
}

void fixture_send(void *self, const struct batch *batch, uint64_t deadline_ns, struct done done)
{
	struct fixture *f = self;
	struct sent *s;

	f->attempts++;
	if (f->at_once) {
		if (f->at_once->status == OUTCOME_OK)
			f->ok_items += batch->items - f->at_once->rejected_items;
		done_call(done, f->at_once);
		return;
	}
	s = calloc(1, sizeof *s);
	assert_non_null(s);
	*s = (struct sent){.done = done,
	                   .batch = batch,
	                   .deadline_ns = deadline_ns,
	                   .at_ns = clock_monotonic_ns(),
	                   .items = batch->items};
	list_push(&f->sent, &s->link);
}

void fixture_open(struct fixture *f)
{
	f->exporter = exporter_new(&f->component, SIGNAL_TRACES, &f->config, fixture_send, f);
	assert_non_null(f->exporter);
}

void fixture_free(struct fixture *f)
{
	exporter_free(f->exporter);
	while (!list_is_empty(&f->sent)) /* late answers, to nobody */
		answer_first(f, &(struct outcome){.status = OUTCOME_RETRY});
	timer_free(f->tick);
	metrics_free(f->metrics);
	loop_free(f->loop);
	assert_int_equal(f->budget.used, 0);
	free(f);
}

static void on_told(void *arg, const struct outcome *outcome)
{
	struct told *t = arg;

	t->calls++;
	t->status = outcome->status;
	t->rejected_items = outcome->rejected_items;
	t->retry_after_ns = outcome->retry_after_ns;
	snprintf(t->message, sizeof t->message, "%s", outcome->message ? outcome->message : "");
}

void give(struct fixture *f, size_t items, unsigned first, struct told *told)
{
	struct batch *b = make_batch(items, first, &f->budget);

	assert_non_null(b);
	*told = (struct told){0};
	exporter_consume(f->exporter, b, (struct done){on_told, told});
}

void answer_first(struct fixture *f, const struct outcome *outcome)
{
	struct sent *s = LIST_FIRST(&f->sent, struct sent, link);
	struct done done = s->done;

	list_remove(&s->link);
	if (outcome->status == OUTCOME_OK)
		f->ok_items += s->items - outcome->rejected_items;
	free(s);
	done_call(done, outcome);
}

static void on_closed(void *arg)
{
	struct fixture *f = arg;

	assert_false(f->closed);
	f->closed = true;
}

void begin_shutdown(struct fixture *f, uint64_t within_ns)
{
	exporter_shutdown(f->exporter, clock_monotonic_ns() + within_ns, on_closed, f);
}

uint64_t figure(struct fixture *f, const char *name)
{
	return (uint64_t)metrics_sum(f->metrics, name, METRICS_LABELS({"exporter", "fake/one"}));
}

uint64_t dropped(struct fixture *f, const char *reason)
{
	return (uint64_t)metrics_sum(f->metrics, "weir_exporter_dropped_items",
	                             METRICS_LABELS({"reason", reason}));
}

void assert_accounts_balance(struct fixture *f)
{
	assert_int_equal(figure(f, "weir_exporter_received_items"),
	                 figure(f, "weir_exporter_refused_items") +
	                         figure(f, "weir_exporter_sent_items") +
	                         figure(f, "weir_exporter_dropped_items") +
	                         figure(f, "weir_exporter_queued_items"));
}
