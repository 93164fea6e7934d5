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
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#include <errno.h>
#include <math.h>

struct fold {
	struct cardinality *p;
	struct arena *arena;
	uint64_t now_ns;
	struct family family;
	const struct rule *rule; /* with labels, or NULL */
	const Otlp__Resource *resource;
	bool resource_followed;
};

/* Attributes are a list in every kind of point. */
struct attributes {
	Otlp__KeyValue ***list;
	size_t *n;
};

static void follow_all(struct fold *f, struct attributes a)
{
	const Otlp__Resource *r = f->resource;

	follow_attributes(f->p, &f->family, *a.list, *a.n, f->rule);
	if (r && !f->resource_followed)
		follow_attributes(f->p, NULL, r->attributes, r->n_attributes, NULL);
	f->resource_followed = true;
}

static struct verdict judge(struct fold *f, struct attributes a, uint64_t *ret_source)
{
	struct cardinality *p = f->p;
	uint64_t sum = key_attributes(p, *a.list, *a.n, NULL);
	uint64_t source = key_pair(p, f->family.id, sum), key = source;
	struct verdict v;

	*ret_source = source;
	if (f->rule)
		key = key_pair(p, f->family.id, key_attributes(p, *a.list, *a.n, f->rule));
	if (p->scratch.failed) /* the hashes are worth nothing: the callers see it as well */
		return (struct verdict){0};
	v = limits_judge(p, &f->family, source, key, (uint32_t)(f->now_ns / NS_PER_MS));
	if (v.fresh)
		follow_all(f, a);
	return v;
}

static void drop(struct fold *f)
{
	f->p->dropped[f->family.mergeable ? DROPPED_SERIES : DROPPED_KIND]++;
}

static int overflow_attributes(struct fold *f, struct attributes a)
{
	struct build_list list = {0};

	if (!build_bool(f->arena, &list, "otel.metric.overflow", true))
		return -ENOMEM;
	*a.list = (Otlp__KeyValue **)list.items;
	*a.n = list.count;
	return 0;
}

/* The point becomes that of the series: it gets its attributes. */
static int become(struct fold *f, struct series_place *s, void *point, struct attributes a)
{
	size_t n = 0;

	if (s->overflow) {
		if (overflow_attributes(f, a) < 0)
			return -ENOMEM;
	} else {
		for (size_t i = 0; i < *a.n; i++) {
			const Otlp__KeyValue *kv = (*a.list)[i];

			if (rule_keeps(f->rule, slice_of(kv->key.data, kv->key.len)))
				(*a.list)[n++] = (*a.list)[i];
		}
		*a.n = n;
	}
	s->out = point;
	s->turn = f->p->turn;
	return 0;
}

static bool has_out(const struct fold *f, const struct series_place *s)
{
	return s->out && s->turn == f->p->turn;
}

/* The total of a cumulative series that is made of several. It begins with its first point. */
static struct aggregate *total_of(struct fold *f, struct series_place *s, uint64_t start_ns,
                                  uint64_t time_ns)
{
	if (s->total)
		return s->total;
	s->total = aggregate_new(f->p);
	if (s->total)
		s->total->start_ns = start_ns ? start_ns : time_ns;
	return s->total;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

static void count_joined(struct fold *f, const struct series_place *s)
{
	if (s->overflow)
		f->p->folded++;
	else
		f->p->merged++;
}

/* ---- numbers */

static bool is_number(const Otlp__NumberDataPoint *point)
{
	return point->value_case != OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE ||
	       isfinite(point->as_double);
}

static int number_cumulative(struct fold *f, struct series_place *s, uint64_t source,
                             Otlp__NumberDataPoint *point)
{
	struct aggregate *total =
		total_of(f, s, point->start_time_unix_nano, point->time_unix_nano);
	int r;

	if (!total)
		return -ENOMEM;
	r = number_increase(f->p, key_pair(f->p, s->key, source), point, f->family.kind.monotonic,
	                    f->now_ns);
	if (r < 0)
		return r;
	number_total_add(total, point);
	if (point->time_unix_nano > total->time_ns)
		total->time_ns = point->time_unix_nano;
	return 0;
}

static void number_take(struct fold *f, Otlp__NumberDataPoint *out,
                        const Otlp__NumberDataPoint *point)
{
	if (f->family.kind.data == OTLP__METRIC__DATA_SUM) {
		number_join(out, point);
		out->start_time_unix_nano =
			earlier(out->start_time_unix_nano, point->start_time_unix_nano);
	} else if (point->time_unix_nano >= out->time_unix_nano) {
		out->value_case = point->value_case;
		if (point->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE)
			out->as_double = point->as_double;
		else
			out->as_int = point->as_int;
		out->start_time_unix_nano = point->start_time_unix_nano;
	}
	if (point->time_unix_nano > out->time_unix_nano)
		out->time_unix_nano = point->time_unix_nano;
}

/* 1: the point stays, as that of the series; 0: it is taken up; -ENOSPC, -ENOMEM. */
static int number_fold(struct fold *f, struct series_place *s, uint64_t source,
                       Otlp__NumberDataPoint *point)
{
	struct attributes a = {&point->attributes, &point->n_attributes};
	bool stays = !has_out(f, s);
	Otlp__NumberDataPoint *out;
	int r = 0;

	if (f->family.cumulative)
		r = number_cumulative(f, s, source, point);
	else if (!stays)
		number_take(f, s->out, point);
	if (r == 0 && stays)
		r = become(f, s, point, a);
	if (r < 0)
		return r;
	out = s->out;
	if (s->total) {
		number_total_tell(s->total, out);
		out->start_time_unix_nano = s->total->start_ns;
		out->time_unix_nano = s->total->time_ns;
	}
	out->n_exemplars = 0;
	return stays;
}

static int numbers_fold(struct fold *f, Otlp__NumberDataPoint **points, size_t *n)
{
	size_t kept = 0;
	int r;

	for (size_t i = 0; i < *n; i++) {
		Otlp__NumberDataPoint *point = points[i];
		struct attributes a = {&point->attributes, &point->n_attributes};
		uint64_t source;
		struct verdict v = judge(f, a, &source);

		if (f->p->scratch.failed)
			return -ENOMEM;
		if (!v.series) {
			drop(f);
		} else if (!v.joins) {
			points[kept++] = point;
		} else if (!is_number(point) || point->flags & 1) {
			f->p->dropped[DROPPED_VALUE]++;
		} else {
			r = number_fold(f, v.series, source, point);
			if (r == -ENOMEM)
				return r;
			f->p->dropped[DROPPED_TRACKED] += r == -ENOSPC;
			if (r >= 0)
				count_joined(f, v.series);
			if (r == 1)
				points[kept++] = point;
		}
	}
	*n = kept;
	return 0;
}

/* ---- histograms */

static int histogram_cumulative(struct fold *f, struct series_place *s, uint64_t source,
                                Otlp__HistogramDataPoint *point)
{
	struct aggregate *total =
		total_of(f, s, point->start_time_unix_nano, point->time_unix_nano);
	int r;

	if (!total)
		return -ENOMEM;
	r = histogram_total_prepare(f->p, total, point);
	if (r == 0)
		r = histogram_increase(f->p, key_pair(f->p, s->key, source), point, f->now_ns);
	if (r < 0)
		return r;
	histogram_total_add(total, point);
	if (point->time_unix_nano > total->time_ns)
		total->time_ns = point->time_unix_nano;
	return 0;
}

static int histogram_fold(struct fold *f, struct series_place *s, uint64_t source,
                          Otlp__HistogramDataPoint *point)
{
	struct attributes a = {&point->attributes, &point->n_attributes};
	bool stays = !has_out(f, s);
	Otlp__HistogramDataPoint *out = s->out;
	int r = 0;

	histogram_tidy(point);
	if (f->family.cumulative) {
		r = histogram_cumulative(f, s, source, point);
	} else if (!stays) {
		histogram_join(out, point);
		out->start_time_unix_nano =
			earlier(out->start_time_unix_nano, point->start_time_unix_nano);
		if (point->time_unix_nano > out->time_unix_nano)
			out->time_unix_nano = point->time_unix_nano;
	}
	if (r == 0 && stays)
		r = become(f, s, point, a);
	if (r < 0)
		return r;
	out = s->out;
	if (s->total) {
		histogram_total_tell(s->total, out);
		out->start_time_unix_nano = s->total->start_ns;
		out->time_unix_nano = s->total->time_ns;
	}
	out->n_exemplars = 0;
	return stays;
}

static int histograms_fold(struct fold *f, Otlp__HistogramDataPoint **points, size_t *n)
{
	size_t kept = 0;
	int r;

	for (size_t i = 0; i < *n; i++) {
		Otlp__HistogramDataPoint *point = points[i];
		struct attributes a = {&point->attributes, &point->n_attributes};
		uint64_t source;
		struct verdict v = judge(f, a, &source);

		if (f->p->scratch.failed)
			return -ENOMEM;
		if (!v.series) {
			drop(f);
		} else if (!v.joins) {
			points[kept++] = point;
		} else if (point->flags & 1 ||
		           (point->optional_sum_case && !isfinite(point->sum))) {
			f->p->dropped[DROPPED_VALUE]++;
		} else {
			r = histogram_fold(f, v.series, source, point);
			if (r == -ENOMEM)
				return r;
			f->p->dropped[DROPPED_TRACKED] += r == -ENOSPC;
			if (r >= 0)
				count_joined(f, v.series);
			if (r == 1)
				points[kept++] = point;
		}
	}
	*n = kept;
	return 0;
}

/* ---- kinds that are not merged: they go on or are dropped */

static void exponentials_limit(struct fold *f, Otlp__ExponentialHistogramDataPoint **points,
                               size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		struct attributes a = {&points[i]->attributes, &points[i]->n_attributes};

		if (judge(f, a, &(uint64_t){0}).series)
			points[kept++] = points[i];
		else
			drop(f);
	}
	*n = kept;
}

static void summaries_limit(struct fold *f, Otlp__SummaryDataPoint **points, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		struct attributes a = {&points[i]->attributes, &points[i]->n_attributes};

		if (judge(f, a, &(uint64_t){0}).series)
			points[kept++] = points[i];
		else
			drop(f);
	}
	*n = kept;
}

/* ---- metrics, scopes, groups */

static struct slice text(ProtobufCBinaryData d)
{
	return slice_of(d.data, d.len);
}

static void family_of(struct fold *f, uint64_t scope, const Otlp__Metric *m, unsigned temporality,
                      bool monotonic)
{
	limits_family(f->p, scope, text(m->name), text(m->unit),
	              (struct metric_kind){m->data_case, temporality, monotonic}, &f->family);
	f->rule = NULL;
	if (f->family.mergeable && f->family.metric && rule_has_labels(f->family.metric->rule))
		f->rule = f->family.metric->rule;
}

/* *ret_n: points that are left. */
static int metric_fold(struct fold *f, uint64_t scope, Otlp__Metric *m, size_t *ret_had,
                       size_t *ret_n)
{
	size_t none = 0, *n = &none;
	unsigned temporality = 0;
	bool monotonic = false;
	int r = 0;

	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		n = &m->gauge->n_data_points;
		break;
	case OTLP__METRIC__DATA_SUM:
		n = &m->sum->n_data_points;
		temporality = (unsigned)m->sum->aggregation_temporality;
		monotonic = m->sum->is_monotonic;
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		n = &m->histogram->n_data_points;
		temporality = (unsigned)m->histogram->aggregation_temporality;
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		n = &m->exponential_histogram->n_data_points;
		temporality = (unsigned)m->exponential_histogram->aggregation_temporality;
		break;
	case OTLP__METRIC__DATA_SUMMARY:
		n = &m->summary->n_data_points;
		break;
	default:
		break;
	}
	*ret_had = *n;
	if (*n)
		family_of(f, scope, m, temporality, monotonic);
	if (*n && m->data_case == OTLP__METRIC__DATA_GAUGE)
		r = numbers_fold(f, m->gauge->data_points, n);
	else if (*n && m->data_case == OTLP__METRIC__DATA_SUM)
		r = numbers_fold(f, m->sum->data_points, n);
	else if (*n && m->data_case == OTLP__METRIC__DATA_HISTOGRAM)
		r = histograms_fold(f, m->histogram->data_points, n);
	else if (*n && m->data_case == OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM)
		exponentials_limit(f, m->exponential_histogram->data_points, n);
	else if (*n)
		summaries_limit(f, m->summary->data_points, n);
	*ret_n = *n;
	return r;
}

static int scope_fold(struct fold *f, uint64_t resource, Otlp__ScopeMetrics *sm)
{
	const Otlp__InstrumentationScope *scope = sm->scope;
	size_t kept = 0, had, n;
	uint64_t id;
	int r = 0;

	id = key_scope(f->p, resource, scope ? text(scope->name) : (struct slice){0},
	               scope ? text(scope->version) : (struct slice){0},
	               scope ? key_attributes(f->p, scope->attributes, scope->n_attributes, NULL)
	                     : 0);
	for (size_t i = 0; i < sm->n_metrics && r == 0; i++) {
		r = metric_fold(f, id, sm->metrics[i], &had, &n);
		if (n || !had)
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
		resource ? key_attributes(f->p, resource->attributes, resource->n_attributes, NULL)
			 : 0;
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
	b->items = items;
	return r == -ENOMEM ? error_no_memory(error) : r;
}
