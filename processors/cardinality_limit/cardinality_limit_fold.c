/* fold: batches of which something must change. Points that go on by themselves stay where they
 * stand; of those that become one series the first becomes its point and takes up the others.
 *
 * What is told twice changes nothing: of a cumulative series only what is new since its last value
 * is added, and nothing else is kept. So a batch that had to be refused half-way, here or behind,
 * may come again. */
#include "core/base/clock.h"
#include "core/data/build.h"
#include "core/loop/loop.h"
#include "core/wire/otlp.h"
#include "processors/cardinality_limit/cardinality_limit_totals.h"

#include <errno.h>

/* What goes on of a series in this batch. */
struct outgoing {
	struct point point;
	const struct point_kind *kind;
	struct aggregate *total; /* NULL: the point is all of it */
	struct outgoing *next;
};

struct fold {
	struct cardinality *p;
	struct arena *arena;
	uint64_t now_ns;
	struct family family;
	const struct rule *rule; /* with labels, or NULL */
	const struct point_kind *kind;
	struct outgoing *out; /* of all metrics */
	const Otlp__Resource *resource;
	bool resource_followed;
};

/* A point of which the hashes are known. */
struct looked_up {
	struct point point;
	uint64_t source, key; /* by all attributes, by those that stay */
};

static void follow_all(struct fold *f, Otlp__KeyValue *const *attributes, size_t n)
{
	const Otlp__Resource *r = f->resource;

	follow_attributes(f->p, &f->family, attributes, n, f->rule);
	if (r && !f->resource_followed)
		follow_attributes(f->p, NULL, r->attributes, r->n_attributes, NULL);
	f->resource_followed = true;
}

/* The hashes of a point. What they will be looked up by is on its way from memory afterwards. */
static void look_up(struct fold *f, void *message, struct looked_up *ret)
{
	struct cardinality *p = f->p;
	Otlp__KeyValue **attributes;
	uint64_t all, kept;
	size_t n;

	f->kind->open(message, &ret->point);
	attributes = *ret->point.attributes;
	n = *ret->point.n_attributes;
	if (f->rule)
		all = key_attributes_ruled(p, attributes, n, f->rule, &kept);
	else
		kept = all = key_attributes(p, attributes, n);
	ret->source = ret->key = key_pair(p, f->family.id, all);
	if (f->rule)
		ret->key = key_pair(p, f->family.id, kept);
	limits_prefetch(p, &f->family, ret->source, ret->key);
}

static struct verdict judge(struct fold *f, const struct looked_up *l)
{
	struct verdict v = limits_judge(f->p, &f->family, l->source, l->key,
	                                (uint32_t)(f->now_ns / NS_PER_MS));
	if (v.fresh)
		follow_all(f, *l->point.attributes, *l->point.n_attributes);
	return v;
}

static int overflow_attributes(struct fold *f, const struct point *point)
{
	struct build_list list = {0};

	if (!build_bool(f->arena, &list, "otel.metric.overflow", true))
		return -ENOMEM;
	*point->attributes = (Otlp__KeyValue **)list.items;
	*point->n_attributes = list.count;
	return 0;
}

/* The point becomes that of the series: it gets its attributes. */
static int become(struct fold *f, struct series_place *s, const struct point *point)
{
	Otlp__KeyValue **attributes = *point->attributes;
	struct outgoing *out = arena_alloc(f->arena, sizeof *out);
	size_t n = 0;

	if (!out || (s->overflow && overflow_attributes(f, point) < 0))
		return -ENOMEM;
	for (size_t i = 0; !s->overflow && i < *point->n_attributes; i++)
		if (rule_keeps(f->rule, slice_of(attributes[i]->key.data, attributes[i]->key.len)))
			attributes[n++] = attributes[i];
	if (!s->overflow)
		*point->n_attributes = n;
	*point->n_exemplars = 0;
	*out = (struct outgoing){*point, f->kind, s->total, f->out};
	f->out = s->out = out;
	s->turn = f->p->turn;
	return 0;
}

/* Where a point begins, whatever it says: not after its time. 0: it does not say. */
static uint64_t start_of(const struct point *point)
{
	return *point->start_ns < *point->time_ns ? *point->start_ns : *point->time_ns;
}

static int track(struct fold *f, struct series_place *s, uint64_t source, const struct point *point)
{
	int r;

	if (!s->total)
		s->total = aggregate_new(f->p, NULL);
	if (!s->total)
		return -ENOMEM;
	r = f->kind->track(f->p, s->total, key_pair(f->p, s->key, source), point->message,
	                   &f->family, f->now_ns);
	/* It begins with the first point that it takes up. */
	if (r == 0 && !s->total->time_ns && f->kind != &point_gauge)
		s->total->start_ns = *point->start_ns ? start_of(point) : *point->time_ns;
	if (r == 0 && *point->time_ns > s->total->time_ns)
		s->total->time_ns = *point->time_ns;
	return r;
}

static int add(struct fold *f, struct aggregate *total, const struct point *point)
{
	uint64_t start = start_of(point);
	int r = f->kind->add(f->p, total, point->message);

	if (r < 0 || f->kind == &point_gauge) /* that one has its own way with times */
		return r;
	if (start && (!total->start_ns || start < total->start_ns))
		total->start_ns = start;
	if (*point->time_ns > total->time_ns)
		total->time_ns = *point->time_ns;
	return 0;
}

/* The second point of a series in this batch makes a total of it, for as long as the batch. */
static int join(struct fold *f, struct outgoing *out, const struct point *point)
{
	int r = 0;

	if (!out->total) {
		out->total = aggregate_new(f->p, f->arena);
		r = out->total ? add(f, out->total, &out->point) : -ENOMEM;
	}
	return r == 0 ? add(f, out->total, point) : r;
}

/* 1: the point stays, as that of the series; 0: it is taken up; -ENOSPC, -ENOMEM. */
static int point_fold(struct fold *f, struct series_place *s, uint64_t source,
                      const struct point *point)
{
	bool stays = !s->out || s->turn != f->p->turn;
	int r = 0;

	if (f->family.tracked)
		r = track(f, s, source, point);
	else if (!stays)
		r = join(f, s->out, point);
	if (r == 0 && stays)
		r = become(f, s, point);
	if (r < 0)
		return r;
	if (s->overflow)
		f->p->folded++;
	else
		f->p->merged++;
	return stays;
}

/* 1: the point stays; 0: it does not. */
static int one_fold(struct fold *f, const struct looked_up *l)
{
	uint64_t *dropped = f->p->dropped;
	struct verdict v = judge(f, l);
	int r;

	if (!v.series) {
		dropped[f->family.mergeable ? DROPPED_SERIES : DROPPED_KIND]++;
		return 0;
	}
	if (!v.joins)
		return 1;
	if (l->point.flags & OTLP__DATA_POINT_FLAGS__DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK ||
	    !f->kind->is_valued(l->point.message)) {
		dropped[DROPPED_VALUE]++;
		return 0;
	}
	r = point_fold(f, v.series, l->source, &l->point);
	if (r != -ENOSPC)
		return r;
	dropped[DROPPED_TRACKED]++;
	return 0;
}

static int points_fold(struct fold *f, void **points, size_t *n)
{
	struct looked_up l[LOOKED_UP_TOGETHER];
	size_t kept = 0, together;
	int r;

	for (size_t at = 0; at < *n; at += together) {
		together = *n - at < LOOKED_UP_TOGETHER ? *n - at : LOOKED_UP_TOGETHER;
		for (size_t i = 0; i < together; i++)
			look_up(f, points[at + i], &l[i]);
		if (f->p->scratch.failed) /* the hashes are worth nothing */
			return -ENOMEM;
		for (size_t i = 0; i < together; i++) {
			r = one_fold(f, &l[i]);
			if (r < 0)
				return r;
			if (r)
				points[kept++] = l[i].point.message;
		}
	}
	*n = kept;
	return 0;
}

static int totals_tell(struct fold *f)
{
	int r = 0;

	for (struct outgoing *out = f->out; out && r == 0; out = out->next) {
		if (!out->total)
			continue;
		r = out->kind->tell(out->total, f->arena, out->point.message);
		*out->point.start_ns = out->total->start_ns;
		*out->point.time_ns = out->total->time_ns;
	}
	return r;
}

static void summary_open(void *message, struct point *ret)
{
	Otlp__SummaryDataPoint *p = message;
	*ret = (struct point){.message = p,
	                      .attributes = &p->attributes,
	                      .n_attributes = &p->n_attributes};
}

/* Goes on or is dropped. */
const struct point_kind point_summary = {.open = summary_open};

/* ---- metrics, scopes, groups */

static struct slice text(ProtobufCBinaryData d)
{
	return slice_of(d.data, d.len);
}

/* The points of a metric. */
struct points {
	void **items;
	size_t *n;
	const struct point_kind *kind;
	unsigned temporality;
	bool monotonic;
};

static struct points points_of(const Otlp__Metric *m)
{
	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		return (struct points){(void **)m->gauge->data_points, &m->gauge->n_data_points,
		                       &point_gauge};
	case OTLP__METRIC__DATA_SUM:
		return (struct points){(void **)m->sum->data_points, &m->sum->n_data_points,
		                       &point_sum, (unsigned)m->sum->aggregation_temporality,
		                       m->sum->is_monotonic};
	case OTLP__METRIC__DATA_HISTOGRAM:
		return (struct points){(void **)m->histogram->data_points,
		                       &m->histogram->n_data_points, &point_histogram,
		                       (unsigned)m->histogram->aggregation_temporality};
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		return (struct points){(void **)m->exponential_histogram->data_points,
		                       &m->exponential_histogram->n_data_points, &point_exponential,
		                       (unsigned)m->exponential_histogram->aggregation_temporality};
	case OTLP__METRIC__DATA_SUMMARY:
		return (struct points){(void **)m->summary->data_points, &m->summary->n_data_points,
		                       &point_summary};
	default:
		return (struct points){0};
	}
}

/* ret_empty: it had points, and none is left. */
static int metric_fold(struct fold *f, uint64_t scope, Otlp__Metric *m, bool *ret_empty)
{
	struct points points = points_of(m);
	int r;

	*ret_empty = false;
	if (!points.kind || !*points.n)
		return 0;
	limits_family(f->p, scope, text(m->name), text(m->unit),
	              (struct metric_kind){m->data_case, points.temporality, points.monotonic},
	              &f->family);
	f->rule = NULL;
	if (f->family.mergeable && f->family.metric && rule_has_labels(f->family.metric->rule))
		f->rule = f->family.metric->rule;
	f->kind = points.kind;
	r = points_fold(f, points.items, points.n);
	*ret_empty = !*points.n;
	return r;
}

static int scope_fold(struct fold *f, uint64_t resource, Otlp__ScopeMetrics *sm)
{
	const Otlp__InstrumentationScope *scope = sm->scope;
	size_t kept = 0;
	uint64_t id;
	bool empty;
	int r = 0;

	id = key_scope(f->p, resource, scope ? text(scope->name) : (struct slice){0},
	               scope ? text(scope->version) : (struct slice){0},
	               scope ? key_attributes(f->p, scope->attributes, scope->n_attributes) : 0);
	for (size_t i = 0; i < sm->n_metrics && r == 0; i++) {
		r = metric_fold(f, id, sm->metrics[i], &empty);
		if (!empty)
			sm->metrics[kept++] = sm->metrics[i];
	}
	if (r == 0)
		sm->n_metrics = kept;
	return r;
}

static int group_fold(struct fold *f, Otlp__ResourceMetrics *group)
{
	const Otlp__Resource *resource = group->resource;
	uint64_t id =
		resource ? key_attributes(f->p, resource->attributes, resource->n_attributes) : 0;
	int r = 0;

	f->resource = resource;
	f->resource_followed = false;
	for (size_t i = 0; i < group->n_scope_metrics && r == 0; i++)
		r = scope_fold(f, id, group->scope_metrics[i]);
	return r == 0 && f->p->scratch.failed ? -ENOMEM : r;
}

int fold_batch(struct cardinality *p, struct batch *b, struct error *error)
{
	struct fold f = {.p = p,
	                 .arena = &b->arena,
	                 .now_ns = loop_now_ns(p->component.host->loop)};
	size_t items = 0;
	int r = 0;

	buffer_clear(&p->scratch);
	p->turn = (p->turn + 1) & INT32_MAX;
	for (struct group *g = b->first; g && r == 0; g = g->next) {
		r = group_fold(&f, g->metrics);
		g->items = otlp_count(SIGNAL_METRICS, g->message);
		items += g->items;
	}
	if (r == 0)
		r = totals_tell(&f);
	b->items = items;
	return r == -ENOMEM ? error_no_memory(error) : r;
}
