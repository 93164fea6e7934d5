/* attributes: changes the attributes of spans, log records and data points by an ordered list of actions, of all of
 * them or of those that include and exclude choose.
 *
 * Opens every group whole. The attributes of spans are changed, not those of their events and links, as the Collector
 * does.
 *
 * Fails: no memory (RETRY: the sender has the batch still); bytes that cannot be decoded (PERMANENT). A regular
 * expression that takes too many steps counts as no match, and the log says so. */
#include "core/attributes/actions.h"
#include "core/attributes/pattern.h"
#include "core/attributes/match.h"
#include "core/component.h"
#include "core/data/points.h"

#include <errno.h>
#include <stdlib.h>

struct attributes_config {
	struct match_properties include, exclude;
	struct group_list actions;
};

static const struct option attributes_options[] = {
	OPTION_GROUP_LIST(struct attributes_config, actions, struct attribute_action,
                          attribute_action_options, .flags = OPTION_REQUIRED,
                          .doc = "What is done, in this order."),
	OPTION_OPTIONAL(struct attributes_config, include, match_properties_options,
                        .doc = "Only what matches all of this is acted on."),
	OPTION_OPTIONAL(struct attributes_config, exclude, match_properties_options,
                        .doc = "What matches all of this is not; asked after include."),
	OPTION_END,
};

struct attributes {
	struct component component;
	const struct attributes_config *config;
	struct consumer next;
	struct actions *actions;
	struct match *match; /* NULL: everything is acted on */
};

/* What needs no signal: the actions. */
static int attributes_check(const void *config, struct error *error)
{
	const struct attributes_config *c = config;
	struct actions *actions = NULL;
	int r = actions_new(&c->actions, &actions, error);

	actions_free(actions);
	return r;
}

/* ---- data */

#define APPLY(a, arena, item)                                                                      \
	actions_apply((a)->actions, arena, &(item)->n_attributes, &(item)->attributes)

static int act_on_spans(struct attributes *a, struct arena *arena, const Otlp__ResourceSpans *rs)
{
	for (size_t i = 0; i < rs->n_scope_spans; i++) {
		const Otlp__ScopeSpans *ss = rs->scope_spans[i];
		if (a->match && !match_scope(a->match, ss->scope))
			continue;
		for (size_t k = 0; k < ss->n_spans; k++)
			if (!a->match || match_span(a->match, ss->spans[k])) {
				int r = APPLY(a, arena, ss->spans[k]);
				if (r < 0)
					return r;
			}
	}
	return 0;
}

static int act_on_logs(struct attributes *a, struct arena *arena, const Otlp__ResourceLogs *rl)
{
	for (size_t i = 0; i < rl->n_scope_logs; i++) {
		const Otlp__ScopeLogs *sl = rl->scope_logs[i];
		if (a->match && !match_scope(a->match, sl->scope))
			continue;
		for (size_t k = 0; k < sl->n_log_records; k++)
			if (!a->match || match_log(a->match, sl->log_records[k])) {
				int r = APPLY(a, arena, sl->log_records[k]);
				if (r < 0)
					return r;
			}
	}
	return 0;
}

struct edited_points {
	struct attributes *processor;
	struct arena *arena;
	int result;
};

static bool act_on_point(void *arg, size_t *n, Otlp__KeyValue ***attributes)
{
	struct edited_points *e = arg;

	e->result = actions_apply(e->processor->actions, e->arena, n, attributes);
	return e->result == 0;
}

static int act_on_points(struct attributes *a, struct arena *arena, const Otlp__Metric *m)
{
	struct edited_points e = {.processor = a, .arena = arena};

	points_each(m, act_on_point, &e);
	return e.result;
}

static int act_on_metrics(struct attributes *a, struct arena *arena,
                          const Otlp__ResourceMetrics *rm)
{
	for (size_t i = 0; i < rm->n_scope_metrics; i++) {
		const Otlp__ScopeMetrics *sm = rm->scope_metrics[i];
		if (a->match && !match_scope(a->match, sm->scope))
			continue;
		for (size_t k = 0; k < sm->n_metrics; k++)
			if (!a->match || match_metric(a->match, sm->metrics[k])) {
				int r = act_on_points(a, arena, sm->metrics[k]);
				if (r < 0)
					return r;
			}
	}
	return 0;
}

static int act_on_group(struct attributes *a, struct batch *b, const struct group *g)
{
	struct arena *arena = actions_arena(b, g);

	if (a->match && !match_resource(a->match, g->resource))
		return 0;
	switch (b->signal) {
	case SIGNAL_TRACES:
		return act_on_spans(a, arena, g->spans);
	case SIGNAL_METRICS:
		return act_on_metrics(a, arena, g->metrics);
	case SIGNAL_LOGS:
		return act_on_logs(a, arena, g->logs);
	}
	return 0;
}

static int act(struct attributes *a, struct batch **b, struct error *error)
{
	unsigned given_up;
	int r = batch_open(b, DEPTH_FULL, error);

	if (r < 0)
		return r;
	actions_begin(a->actions, &(*b)->origin);
	for (struct group *g = (*b)->first; g && r == 0; g = g->next)
		r = act_on_group(a, *b, g);
	given_up = actions_given_up(a->actions);
	if (a->match) {
		given_up += match_given_up(a->match);
		if (match_failed(a->match) && r == 0)
			r = -ENOMEM;
	}
	pattern_log_given_up(&a->component.log, given_up);
	return r < 0 ? error_no_memory(error) : 0;
}

static void attributes_consume(struct component *component, struct batch *b, struct done done)
{
	struct attributes *a = (struct attributes *)component;
	struct error error = ERROR_INIT;

	if (act(a, &b, &error) == 0) {
		consumer_consume(a->next, b, done);
		return;
	}
	batch_unref(b);
	done_error(done, &error);
}

/* ---- life */

static void attributes_shutdown(struct component *component, uint64_t deadline_ns,
                                void (*closed)(void *arg), void *arg)
{
	closed(arg); /* holds nothing */
}

static void attributes_destroy(struct component *component)
{
	struct attributes *a = (struct attributes *)component;

	if (!a)
		return;
	actions_free(a->actions);
	match_free(a->match);
	free(a);
}

static void tell_ignored(struct attributes *a, const char *side,
                         const struct match_properties *properties, enum signal signal)
{
	const char *ignored = match_ignored(properties, signal);

	if (ignored)
		log_warn(&a->component.log,
		         "%s: %s is not looked at in a pipeline of %s, as in the "
		         "Collector%s",
		         side, ignored, signal_name(signal),
		         signal == SIGNAL_METRICS
		                 ? ": metrics are chosen by metric_names and resources alone"
		                 : "");
}

extern const struct component_type processor_attributes_type;

static int attributes_create(const struct create_args *args, struct component **ret,
                             struct error *error)
{
	struct attributes *a = calloc(1, sizeof *a);
	const struct attributes_config *c = args->config;
	int r;

	if (!a)
		return error_no_memory(error);
	component_init(&a->component, &processor_attributes_type, args);
	a->config = c;
	a->next = args->next[args->signal];
	r = actions_new(&c->actions, &a->actions, error);
	if (r == 0 && (c->include.enabled || c->exclude.enabled))
		r = match_new(&c->include, &c->exclude, args->signal, &a->match, error);
	if (r < 0) {
		attributes_destroy(&a->component);
		return r;
	}
	tell_ignored(a, "include", &c->include, args->signal);
	tell_ignored(a, "exclude", &c->exclude, args->signal);
	*ret = &a->component;
	return 0;
}

const struct component_type processor_attributes_type = {
	.name = "attributes",
	.kind = PROCESSOR,
	.signals = SIGNAL_ALL,
	.caps = CAP_MUTATES,
	.summary = "Changes attributes of spans, log records and data points.",
	.stability = "alpha",
	.config_size = sizeof(struct attributes_config),
	.options = attributes_options,
	.check = attributes_check,
	.create = attributes_create,
	.consume = attributes_consume,
	.shutdown = attributes_shutdown,
	.destroy = attributes_destroy,
};
