#include "processors/reverse_dns/reverse_dns_internal.h"

struct walk {
	bool (*visit)(void *arg, struct arena *arena, struct attributes attributes);
	void *arg;
	struct arena *arena;
};

#define VISIT(w, message)                                                                          \
	(w)->visit((w)->arg, (w)->arena,                                                           \
	           (struct attributes){&(message)->n_attributes, &(message)->attributes})

/* One type for each kind of point, all with attributes. */
#define VISIT_POINTS(w, data)                                                                      \
	do {                                                                                       \
		for (size_t i_ = 0; i_ < (data)->n_data_points; i_++)                              \
			if (!VISIT(w, (data)->data_points[i_]))                                    \
				return false;                                                      \
	} while (0)

static bool span_walk(const struct walk *w, Otlp__Span *span)
{
	for (size_t i = 0; i < span->n_events; i++)
		if (!VISIT(w, span->events[i]))
			return false;
	return VISIT(w, span);
}

static bool metric_walk(const struct walk *w, Otlp__Metric *m)
{
	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		VISIT_POINTS(w, m->gauge);
		break;
	case OTLP__METRIC__DATA_SUM:
		VISIT_POINTS(w, m->sum);
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		VISIT_POINTS(w, m->histogram);
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		VISIT_POINTS(w, m->exponential_histogram);
		break;
	case OTLP__METRIC__DATA_SUMMARY:
		VISIT_POINTS(w, m->summary);
		break;
	default:
		break;
	}
	return true;
}

static bool spans_walk(const struct walk *w, Otlp__ResourceSpans *group)
{
	for (size_t i = 0; i < group->n_scope_spans; i++)
		for (size_t j = 0; j < group->scope_spans[i]->n_spans; j++)
			if (!span_walk(w, group->scope_spans[i]->spans[j]))
				return false;
	return true;
}

static bool metrics_walk(const struct walk *w, Otlp__ResourceMetrics *group)
{
	for (size_t i = 0; i < group->n_scope_metrics; i++)
		for (size_t j = 0; j < group->scope_metrics[i]->n_metrics; j++)
			if (!metric_walk(w, group->scope_metrics[i]->metrics[j]))
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
