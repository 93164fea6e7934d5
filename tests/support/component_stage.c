#include "tests/support/component_stage.h"

#include "config/walk.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/data/build.h"
#include "core/loop/timer.h"
#include "core/names/names.h"
#include "core/self/health.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_NS (10 * NS_PER_S)

static void on_report(const struct host *host, const struct component *c,
                      enum component_status status, const struct error *error)
{
	struct stage *s = CONTAINER_OF(host, struct stage, host);

	s->status = status;
	snprintf(s->status_message, sizeof s->status_message, "%s", error ? error->message : "");
}

static void stage_destination(void *self, struct batch *b, struct done done)
{
	struct stage *s = self;

	if (s->answer_at_once) {
		s->n_answered++;
		batch_unref(b);
		done_call(done, &s->answer);
		return;
	}
	assert_true(s->n_kept < STAGE_KEPT);
	s->kept[s->n_kept] = b;
	s->dones[s->n_kept++] = done;
}

void stage_begin(struct stage *s)
{
	*s = (struct stage){.log = {.level = LOG_ERROR + 1, .fd = -1}};
	s->host = (struct host){.budget = &s->budget,
	                        .log = &s->log,
	                        .version = "test",
	                        .report = on_report};
	assert_int_equal(loop_new(&s->host.loop, NULL), 0);
	arena_init(&s->arena, NULL);
	s->host.metrics = metrics_new();
	s->host.health = health_new(&s->budget);
	s->host.names = names_new(&s->budget);
	assert_non_null(s->host.metrics);
	assert_non_null(s->host.health);
	assert_non_null(s->host.names);
}

void *stage_config(struct stage *s, const struct component_type *type, const char *yaml)
{
	void *config = arena_alloc(&s->arena, type->config_size);
	struct diagnostics diagnostics;
	struct walk walk = {.arena = &s->arena, .diagnostics = &diagnostics};
	struct buffer text = BUFFER_INIT;
	const struct node *node = NULL;

	assert_non_null(config);
	diagnostics_init(&diagnostics);
	if (yaml_read(slice_from_string(yaml), "test", &s->arena, &diagnostics, &node) < 0 ||
	    walk_config(&walk, type->options, config, node, (struct position){.file = "test"},
	                type->name) < 0) {
		diagnostics_print(&diagnostics, &text);
		fail_msg("%s", buffer_string(&text));
	}
	diagnostics_fini(&diagnostics);
	return config;
}

void stage_expect_refused(struct stage *s, const struct component_type *type, const char *yaml,
                          const char *message)
{
	struct error error = ERROR_INIT;

	assert_int_equal(type->check(stage_config(s, type, yaml), &error), -EINVAL);
	assert_string_equal(error.message, message);
}

void stage_create(struct stage *s, const struct component_type *type, const char *yaml,
                  enum signal signal)
{
	struct create_args args = {
		.id = type->name,
		.config = stage_config(s, type, yaml),
		.host = &s->host,
		.signal = signal,
	};
	struct error error = ERROR_INIT;

	if (type->kind != EXPORTER)
		args.next[signal] = (struct consumer){.fn = stage_destination, .self = s};
	if ((type->check && type->check(args.config, &error) < 0) ||
	    type->create(&args, &s->component, &error) < 0 ||
	    (type->start && type->start(s->component, &error) < 0))
		fail_msg("%s", error.message);
}

static void on_closed(void *arg)
{
	struct stage *s = arg;
	assert_false(s->closed);
	s->closed = true;
}

void stage_shutdown(struct stage *s, uint64_t deadline_ns)
{
	s->component->type->shutdown(s->component, deadline_ns, on_closed, s);
}

void stage_end(struct stage *s)
{
	if (s->component) {
		if (!s->closed)
			stage_shutdown(s, clock_monotonic_ns() + PATIENCE_NS);
		while (s->n_kept)
			stage_answer(s, (struct outcome){.status = OUTCOME_CANCELED});
		stage_wait(s, &s->closed);
		s->component->type->destroy(s->component);
	}
	loop_run(s->host.loop);
	loop_free(s->host.loop);
	metrics_free(s->host.metrics);
	health_free(s->host.health);
	names_free(s->host.names);
	arena_fini(&s->arena);
	assert_int_equal(s->budget.used, 0);
}

static void on_impatience(void *arg)
{
	*(bool *)arg = true;
}

void stage_wait(struct stage *s, const bool *flag)
{
	bool late = false;
	struct timer *patience = timer_new(s->host.loop, on_impatience, &late);

	assert_non_null(patience);
	timer_start(patience, PATIENCE_NS, 0);
	while (!*flag && !late)
		loop_run_once(s->host.loop);
	timer_free(patience);
	if (!*flag)
		fail_msg("waited too long");
}

void stage_answer(struct stage *s, struct outcome outcome)
{
	struct batch *b = s->kept[0];
	struct done done = s->dones[0];

	assert_true(s->n_kept > 0);
	s->n_kept--;
	memmove(s->kept, s->kept + 1, (size_t)s->n_kept * sizeof *s->kept);
	memmove(s->dones, s->dones + 1, (size_t)s->n_kept * sizeof *s->dones);
	batch_unref(b);
	done_call(done, &outcome);
}

static void on_result(void *arg, const struct outcome *outcome)
{
	struct result *r = arg;

	r->calls++;
	assert_int_equal(r->calls, 1);
	r->told = true;
	r->outcome = *outcome;
	snprintf(r->message, sizeof r->message, "%s", outcome->message ? outcome->message : "");
	r->outcome.message = outcome->message ? r->message : NULL;
}

struct result *stage_consume(struct stage *s, struct batch *b)
{
	struct result *result = arena_alloc(&s->arena, sizeof *result);

	assert_non_null(result);
	s->component->type->consume(s->component, b, (struct done){.fn = on_result, .arg = result});
	return result;
}

static void *item_new(struct arena *a, enum signal signal, int n)
{
	char *name = arena_printf(a, "item %d", n);
	struct slice text = slice_from_string(name);

	assert_non_null(name);
	if (signal == SIGNAL_TRACES) {
		Otlp__Span *span = BUILD(a, Otlp__Span, otlp__span);
		assert_true(span && build_copy(a, text, &span->name));
		return span;
	}
	if (signal == SIGNAL_LOGS) {
		Otlp__LogRecord *record = BUILD(a, Otlp__LogRecord, otlp__log_record);
		Otlp__AnyValue *body = BUILD(a, Otlp__AnyValue, otlp__any_value);
		assert_true(record && body && build_copy(a, text, &body->string_value));
		body->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
		record->body = body;
		return record;
	}
	Otlp__Metric *metric = BUILD(a, Otlp__Metric, otlp__metric);
	Otlp__Gauge *gauge = BUILD(a, Otlp__Gauge, otlp__gauge);
	Otlp__NumberDataPoint *point = BUILD(a, Otlp__NumberDataPoint, otlp__number_data_point);
	struct build_list points = {0};
	assert_true(metric && gauge && point && build_copy(a, text, &metric->name) &&
	            build_list_add(a, &points, point));
	point->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	point->as_int = n;
	gauge->data_points = (Otlp__NumberDataPoint **)points.items;
	gauge->n_data_points = points.count;
	metric->data_case = OTLP__METRIC__DATA_GAUGE;
	metric->gauge = gauge;
	return metric;
}

/* The signals' group and scope messages are alike; so are the structs. */
static ProtobufCMessage *group_new(struct arena *a, enum signal signal,
                                   const struct build_list *items)
{
	struct build_list scopes = {0};

	if (signal == SIGNAL_TRACES) {
		Otlp__ScopeSpans *scope = BUILD(a, Otlp__ScopeSpans, otlp__scope_spans);
		Otlp__ResourceSpans *group = BUILD(a, Otlp__ResourceSpans, otlp__resource_spans);
		assert_true(scope && group && build_list_add(a, &scopes, scope));
		scope->spans = (Otlp__Span **)items->items;
		scope->n_spans = items->count;
		group->scope_spans = (Otlp__ScopeSpans **)scopes.items;
		group->n_scope_spans = 1;
		group->resource = BUILD(a, Otlp__Resource, otlp__resource);
		return &group->base;
	}
	if (signal == SIGNAL_LOGS) {
		Otlp__ScopeLogs *scope = BUILD(a, Otlp__ScopeLogs, otlp__scope_logs);
		Otlp__ResourceLogs *group = BUILD(a, Otlp__ResourceLogs, otlp__resource_logs);
		assert_true(scope && group && build_list_add(a, &scopes, scope));
		scope->log_records = (Otlp__LogRecord **)items->items;
		scope->n_log_records = items->count;
		group->scope_logs = (Otlp__ScopeLogs **)scopes.items;
		group->n_scope_logs = 1;
		group->resource = BUILD(a, Otlp__Resource, otlp__resource);
		return &group->base;
	}
	Otlp__ScopeMetrics *scope = BUILD(a, Otlp__ScopeMetrics, otlp__scope_metrics);
	Otlp__ResourceMetrics *group = BUILD(a, Otlp__ResourceMetrics, otlp__resource_metrics);
	assert_true(scope && group && build_list_add(a, &scopes, scope));
	scope->metrics = (Otlp__Metric **)items->items;
	scope->n_metrics = items->count;
	group->scope_metrics = (Otlp__ScopeMetrics **)scopes.items;
	group->n_scope_metrics = 1;
	group->resource = BUILD(a, Otlp__Resource, otlp__resource);
	return &group->base;
}

struct batch *stage_batch(struct stage *s, enum signal signal, int items, int first)
{
	struct batch *b = batch_new(signal, &s->budget);
	struct build_list list = {0};

	assert_non_null(b);
	for (int i = 0; i < items; i++)
		assert_true(
			build_list_add(&b->arena, &list, item_new(&b->arena, signal, first + i)));
	assert_true(batch_append(b, group_new(&b->arena, signal, &list)));
	assert_int_equal(b->items, items);
	return b;
}

double stage_figure(struct stage *s, const char *name)
{
	return metrics_sum(s->host.metrics, name, NULL);
}

int stage_setup(void **state)
{
	struct stage *s = malloc(sizeof *s);

	assert_non_null(s);
	stage_begin(s);
	*state = s;
	return 0;
}

int stage_teardown(void **state)
{
	stage_end(*state);
	free(*state);
	return 0;
}
