#include "tests/unit/pipeline/fake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void note(struct fake_instance *i, const char *what)
{
	struct journal *j = i->fake->journal;
	size_t len = strlen(j->text);

	snprintf(j->text + len, sizeof j->text - len, "%s%s %s", len ? ", " : "", what,
	         i->component.id);
}

static int create(const struct create_args *args, const struct component_type *type,
                  struct component **ret, struct error *error)
{
	struct fake *fake = (struct fake *)(uintptr_t)args->config;
	struct fake_instance *i;

	if (fake->fail_create)
		return error_set(error, -EIO, "this fake cannot be made");
	i = calloc(1, sizeof *i);
	if (!i)
		return error_no_memory(error);
	component_init(&i->component, type, args);
	i->fake = fake;
	i->signal = args->signal;
	memcpy(i->next, args->next, sizeof i->next);
	list_init(&i->held);
	if (fake->looks_for)
		fake->found = args->host->extension(args->host, fake->looks_for);
	fake->instances++;
	fake->last = i;
	note(i, "create");
	*ret = &i->component;
	return 0;
}

static int start(struct component *c, struct error *error)
{
	struct fake_instance *i = (struct fake_instance *)c;

	note(i, "start");
	if (i->fake->fail_start)
		return error_set(error, -EIO, "this fake does not start");
	i->started = true;
	return 0;
}

static void consume(struct component *c, struct batch *batch, struct done done)
{
	struct fake_instance *i = (struct fake_instance *)c;
	struct held *h;

	assert_false(i->closed);
	i->fake->consumed++;
	if (i->fake->holds) {
		h = calloc(1, sizeof *h);
		if (!h) {
			batch_unref(batch);
			done_retry(done, 0, "out of memory");
			return;
		}
		h->batch = batch;
		h->done = done;
		list_push(&i->held, &h->link);
		return;
	}
	batch_unref(batch);
	done_call(done, &i->fake->answer);
}

static void pass(struct component *c, struct batch *batch, struct done done)
{
	struct fake_instance *i = (struct fake_instance *)c;

	i->fake->consumed++;
	consumer_consume(i->next[batch->signal], batch, done);
}

/* To every signal it was given a next for; the batches it makes are metrics or what came in. */
static void forward(struct component *c, struct batch *batch, struct done done)
{
	struct fake_instance *i = (struct fake_instance *)c;

	i->fake->consumed++;
	for (int s = 0; s < SIGNAL_COUNT; s++)
		if (consumer_is_set(i->next[s])) {
			consumer_consume(i->next[s], batch, done);
			return;
		}
	batch_unref(batch);
	done_ok(done);
}

static void close_now(void *arg)
{
	struct fake_instance *i = arg;

	while (fake_answer(i, &(struct outcome){.status = OUTCOME_CANCELED}))
		;
	i->closed = true;
	note(i, "closed");
	i->on_closed(i->on_closed_arg);
}

static void shut(struct component *c, uint64_t deadline_ns, void (*closed)(void *arg), void *arg)
{
	struct fake_instance *i = (struct fake_instance *)c;

	assert_false(i->shut);
	i->shut = true;
	i->on_closed = closed;
	i->on_closed_arg = arg;
	note(i, "shutdown");
	if (i->fake->closes_late_ns) {
		i->late = timer_new(c->host->loop, close_now, i);
		timer_start(i->late, i->fake->closes_late_ns, 0);
		return;
	}
	close_now(i);
}

static void destroy(struct component *c)
{
	struct fake_instance *i = (struct fake_instance *)c;

	if (!c)
		return;
	assert_true(i->shut);
	while (fake_answer(i, &(struct outcome){.status = OUTCOME_CANCELED}))
		;
	timer_free(i->late);
	note(i, "destroy");
	free(i);
}

bool fake_answer(struct fake_instance *i, const struct outcome *outcome)
{
	struct held *h = LIST_FIRST(&i->held, struct held, link);
	struct done done;

	if (!h)
		return false;
	done = h->done;
	list_remove(&h->link);
	batch_unref(h->batch);
	free(h);
	done_call(done, outcome);
	return true;
}

#define FAKE_TYPE(variable, kind_, caps_, consume_)                                                \
	static int variable##_create(const struct create_args *args, struct component **ret,       \
	                             struct error *error)                                          \
	{                                                                                          \
		return create(args, &variable, ret, error);                                        \
	}                                                                                          \
	const struct component_type variable = {.name = #variable,                                 \
	                                        .kind = kind_,                                     \
	                                        .signals = SIGNAL_ALL,                             \
	                                        .caps = caps_,                                     \
	                                        .summary = "a fake",                               \
	                                        .stability = "development",                        \
	                                        .config_size = sizeof(struct fake),                \
	                                        .create = variable##_create,                       \
	                                        .start = start,                                    \
	                                        .consume = consume_,                               \
	                                        .shutdown = shut,                                  \
	                                        .destroy = destroy}

FAKE_TYPE(fake_receiver, RECEIVER, 0, NULL);
FAKE_TYPE(fake_shared_receiver, RECEIVER, CAP_SHARED, NULL);
FAKE_TYPE(fake_processor, PROCESSOR, 0, pass);
FAKE_TYPE(fake_writer, PROCESSOR, CAP_MUTATES, pass);
FAKE_TYPE(fake_exporter, EXPORTER, 0, consume);
FAKE_TYPE(fake_shared_exporter, EXPORTER, CAP_SHARED, consume);
FAKE_TYPE(fake_connector, CONNECTOR, 0, forward);
FAKE_TYPE(fake_extension, EXTENSION, 0, NULL);

static void on_tick(void *arg)
{
}

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof *w);
	struct error error = ERROR_INIT;

	assert_non_null(w);
	assert_int_equal(loop_new(&w->loop, &error), 0);
	w->host = (struct host){.loop = w->loop, .budget = &w->budget, .metrics = metrics_new()};
	w->tick = timer_new(w->loop, on_tick, w);
	timer_start(w->tick, 10 * NS_PER_MS, 10 * NS_PER_MS);
	w->plan.components = w->components;
	w->plan.pipelines = w->pipelines;
	w->plan.extensions = w->extensions;
	return w;
}

void world_free(struct world *w)
{
	graph_free(w->graph);
	metrics_free(w->host.metrics);
	timer_free(w->tick);
	loop_free(w->loop);
	assert_int_equal(w->budget.used, 0);
	free(w);
}

struct fake *world_add(struct world *w, const struct component_type *type, const char *id)
{
	size_t n = w->plan.n_components++;

	assert_true(n < FAKES_MAX);
	w->fakes[n].journal = &w->journal;
	w->components[n] = (struct plan_component){.type = type,
	                                           .id = id,
	                                           .config = &w->fakes[n],
	                                           .used = true};
	return &w->fakes[n];
}

static struct plan_component *find(struct world *w, const char *id, size_t len)
{
	for (size_t i = 0; i < w->plan.n_components; i++)
		if (strlen(w->components[i].id) == len &&
		    strncmp(w->components[i].id, id, len) == 0)
			return &w->components[i];
	fail_msg("no fake %s", id);
	return NULL;
}

void world_extension(struct world *w, const char *id)
{
	w->extensions[w->plan.n_extensions++] = find(w, id, strlen(id));
}

static size_t fill(struct world *w, const char *ids, struct plan_component **list)
{
	size_t n = 0;

	while (*ids) {
		size_t len = strcspn(ids, " ");
		assert_true(n < LIST_MAX);
		list[n++] = find(w, ids, len);
		ids += len + (ids[len] == ' ');
	}
	return n;
}

void world_pipeline(struct world *w, const char *id, enum signal signal, const char *receivers,
                    const char *processors, const char *exporters)
{
	size_t n = w->plan.n_pipelines++;
	struct plan_pipeline *p = &w->pipelines[n];

	assert_true(n < PIPELINES_MAX);
	p->id = id;
	p->signal = signal;
	p->receivers = w->lists[n][0];
	p->processors = w->lists[n][1];
	p->exporters = w->lists[n][2];
	p->n_receivers = fill(w, receivers, p->receivers);
	p->n_processors = fill(w, processors, p->processors);
	p->n_exporters = fill(w, exporters, p->exporters);
}

void world_open(struct world *w)
{
	w->graph = graph_new(&w->plan, &w->host);
	assert_non_null(w->graph);
}

static void on_stopped(void *arg)
{
	struct world *w = arg;

	assert_false(w->stopped);
	w->stopped = true;
}

void world_stop(struct world *w, uint64_t within_ns)
{
	graph_stop(w->graph, clock_monotonic_ns() + within_ns, on_stopped, w);
}

void world_wait_stopped(struct world *w)
{
	uint64_t until = clock_monotonic_ns() + 10 * NS_PER_S;

	while (!w->stopped) {
		assert_true(clock_monotonic_ns() < until);
		loop_run_once(w->loop);
	}
}

uint64_t world_figure(struct world *w, const char *name, const char *label, const char *value)
{
	return (uint64_t)metrics_sum(w->host.metrics, name, METRICS_LABELS({label, value}));
}
