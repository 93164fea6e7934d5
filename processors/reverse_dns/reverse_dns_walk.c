#include "core/data/points.h"
#include "processors/reverse_dns/reverse_dns_internal.h"

struct walk {
	bool (*visit)(void *arg, struct arena *arena, struct attributes attributes);
	void *arg;
	struct arena *arena;
};

#define VISIT(w, message)                                                                          \
	(w)->visit((w)->arg, (w)->arena,                                                           \
	           (struct attributes){&(message)->n_attributes, &(message)->attributes})

static bool span_walk(const struct walk *w, Otlp__Span *span)
{
	for (size_t i = 0; i < span->n_events; i++)
		if (!VISIT(w, span->events[i]))
			return false;
	return VISIT(w, span);
}

static bool point_visit(void *arg, size_t *n, Otlp__KeyValue ***attributes)
{
	const struct walk *w = arg;

	return w->visit(w->arg, w->arena, (struct attributes){n, attributes});
}

static bool spans_walk(const struct walk *w, Otlp__ResourceSpans *group)
{
	for (size_t i = 0; i < group->n_scope_spans; i++)
		for (size_t j = 0; j < group->scope_spans[i]->n_spans; j++)
			if (!span_walk(w, group->scope_spans[i]->spans[j]))
				return false;
	return true;
}

static bool metrics_walk(struct walk *w, Otlp__ResourceMetrics *group)
{
	for (size_t i = 0; i < group->n_scope_metrics; i++)
		for (size_t j = 0; j < group->scope_metrics[i]->n_metrics; j++)
			if (!points_each(group->scope_metrics[i]->metrics[j], point_visit, w))
				return false;
	return true;
}

static bool logs_walk(const struct walk *w, Otlp__ResourceLogs *group)
{
	for (size_t i = 0; i < group->n_scope_logs; i++)
		for (size_t j = 0; j < group->scope_logs[i]->n_log_records; j++)
			if (!VISIT(w, group->scope_logs[i]->log_records[j]))
				return false;
	return true;
}

bool attributes_each(struct batch *b,
                     bool (*visit)(void *arg, struct arena *arena, struct attributes attributes),
                     void *arg)
{
	struct walk w = {.visit = visit, .arg = arg};
	bool goes_on = true;

	for (struct group *g = b->first; g && goes_on; g = g->next) {
		w.arena = g->home ? &g->home->arena : &b->arena;
		goes_on = VISIT(&w, g->resource);
		if (!goes_on)
			break;
		if (b->signal == SIGNAL_TRACES)
			goes_on = spans_walk(&w, g->spans);
		else if (b->signal == SIGNAL_METRICS)
			goes_on = metrics_walk(&w, g->metrics);
		else
			goes_on = logs_walk(&w, g->logs);
	}
	return goes_on;
}
