#include "core/base/clock.h"
#include "core/data/build.h"
#include "core/prometheus/translate_internal.h"
#include "core/wire/otlp.h"

#include <errno.h>
#include <math.h>

/* A classic histogram of more buckets, or a summary of more quantiles, is an attempt to fill the
 * table with one point. */
enum { SERIES_OF_POINT_LIMIT = 2048 };

/* ---- the kinds of points */

static bool is_stale(uint32_t flags)
{
	return flags & OTLP__DATA_POINT_FLAGS__DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK;
}

/* Points without a time cannot be told: there is no sample without one. */
static bool has_time(struct translator *t, uint64_t time_ns)
{
	t->pending.points++;
	if (time_ns >= NS_PER_MS)
		return true;
	translator_drop(t, TRANSLATE_INVALID, 1);
	return false;
}

int collect_number(struct place *at, const Otlp__NumberDataPoint *n, struct stream_id id)
{
	struct translator *t = at->t;
	double value = n->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT ? (double)n->as_int
	                                                                      : n->as_double;
	stream_target target;
	struct point *p;
	int r;

	if (!has_time(t, n->time_unix_nano))
		return 0;
	/* a total would never get over it */
	if (at->delta && !is_stale(n->flags) &&
	    (!isfinite(value) || (value < 0 && at->type == METRIC_COUNTER))) {
		translator_drop(t, TRANSLATE_INVALID, 1);
		return 0;
	}
	r = target_single(at, id, n->attributes, n->n_attributes, SERIES_VALUE, &target);
	if (!target)
		return r;
	p = point_add(at, target, n->time_unix_nano, n->start_time_unix_nano);
	if (!p)
		return -ENOMEM;
	p->kind = is_stale(n->flags) ? POINT_STALE : POINT_VALUE;
	p->value = value;
	if (at->type == METRIC_COUNTER && n->n_exemplars && !is_stale(n->flags) &&
	    !exemplars_build(t, n->exemplars, n->n_exemplars,
	                     (int64_t)(n->time_unix_nano / NS_PER_MS), NULL, 0, p))
		return -ENOMEM;
	return 0;
}

static int collect_numbers(struct place *at, Otlp__NumberDataPoint *const *points, size_t n)
{
	struct translator *t = at->t;
	struct stream_id ids[LOOKED_UP_TOGETHER];
	int r = 0;

	for (size_t first = 0, end; first < n && r == 0; first = end) {
		end = n - first < LOOKED_UP_TOGETHER ? n : first + LOOKED_UP_TOGETHER;
		for (size_t i = first; i < end; i++) {
			struct stream_id *id = &ids[i - first];

			*id = identity_point(&t->scratch, at->metric_id, points[i]->attributes,
			                     points[i]->n_attributes);
			if (t->scratch.failed)
				return -ENOMEM;
			streams_prefetch(&t->streams, *id);
		}
		for (size_t i = first; i < end && r == 0; i++)
			r = collect_number(at, points[i], ids[i - first]);
	}
	return r;
}

static bool bounds_rise(const double *bounds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isnan(bounds[i]) || bounds[i] == -INFINITY || (i && bounds[i] <= bounds[i - 1]))
			return false;
	return true;
}

/* Bounds and counts fit together. A last bound of infinity is allowed and says nothing. */
static bool histogram_valid(const Otlp__HistogramDataPoint *h)
{
	if (h->n_bucket_counts == 0)
		return h->n_explicit_bounds == 0;
	return h->n_bucket_counts == h->n_explicit_bounds + 1 &&
	       h->n_explicit_bounds < SERIES_OF_POINT_LIMIT &&
	       bounds_rise(h->explicit_bounds, h->n_explicit_bounds);
}

static int collect_classic(struct place *at, const Otlp__HistogramDataPoint *h)
{
	struct translator *t = at->t;
	size_t n_bounds = native_bounds(h);
	struct layout layout = {
		.attributes = h->attributes,
		.n_attributes = h->n_attributes,
		.label = "le",
		.role = SERIES_BUCKET,
		.suffix = "_bucket",
		.values = h->explicit_bounds,
		.n_values = n_bounds + 1,
		.hash = identity_layout(h->explicit_bounds, n_bounds, 1),
	};
	stream_target target;
	struct point *p;
	int r = target_multiple(at, &layout, is_stale(h->flags), h->time_unix_nano, &target);

	if (!target)
		return r;
	p = point_add(at, target, h->time_unix_nano, h->start_time_unix_nano);
	if (!p)
		return -ENOMEM;
	p->kind = is_stale(h->flags) ? POINT_STALE : POINT_CLASSIC;
	p->histogram = h;
	if (!is_stale(h->flags) && !exemplars_build(t, h->exemplars, h->n_exemplars,
	                                            (int64_t)(h->time_unix_nano / NS_PER_MS),
	                                            h->explicit_bounds, n_bounds, p))
		return -ENOMEM;
	return 0;
}

static int collect_custom(struct place *at, const Otlp__HistogramDataPoint *h)
{
	struct translator *t = at->t;
	enum translate_drop wrong = native_check_custom(h);
	stream_target target;
	struct point *p;
	int r;

	if (wrong != TRANSLATE_DROPS && !is_stale(h->flags)) {
		translator_drop(t, wrong, 1);
		return 0;
	}
	r = target_native(at, h->attributes, h->n_attributes, &target);
	if (!target)
		return r;
	p = point_add(at, target, h->time_unix_nano, h->start_time_unix_nano);
	if (!p)
		return -ENOMEM;
	p->kind = POINT_STALE;
	if (is_stale(h->flags))
		return 0;
	p->kind = POINT_NATIVE;
	if (at->delta) {
		p->kind = POINT_CUSTOM_DELTA;
		p->histogram = h;
	} else if (!(p->native = native_build_custom(&t->arena, h))) {
		return -ENOMEM;
	}
	return exemplars_build(t, h->exemplars, h->n_exemplars,
	                       (int64_t)(h->time_unix_nano / NS_PER_MS), NULL, 0, p)
	               ? 0
	               : -ENOMEM;
}

static int collect_histogram(struct place *at, const Otlp__HistogramDataPoint *h)
{
	struct translator *t = at->t;

	if (!has_time(t, h->time_unix_nano))
		return 0;
	if (!is_stale(h->flags) && !histogram_valid(h)) {
		translator_drop(t, TRANSLATE_INVALID, 1);
		return 0;
	}
	/* without buckets there is nothing native about it */
	return t->options.custom_buckets ? collect_custom(at, h) : collect_classic(at, h);
}

static int collect_exponential(struct place *at, const Otlp__ExponentialHistogramDataPoint *e)
{
	struct translator *t = at->t;
	enum translate_drop wrong = native_check(e);
	stream_target target;
	struct point *p;
	int r;

	if (!has_time(t, e->time_unix_nano))
		return 0;
	if (wrong != TRANSLATE_DROPS && !is_stale(e->flags)) {
		translator_drop(t, wrong, 1);
		return 0;
	}
	r = target_native(at, e->attributes, e->n_attributes, &target);
	if (!target)
		return r;
	p = point_add(at, target, e->time_unix_nano, e->start_time_unix_nano);
	if (!p)
		return -ENOMEM;
	p->kind = POINT_STALE;
	if (is_stale(e->flags))
		return 0;
	p->kind = POINT_NATIVE;
	if (at->delta) {
		p->kind = POINT_EXPONENTIAL_DELTA;
		p->exponential = e;
	} else if (!(p->native = native_build(&t->arena, e))) {
		return -ENOMEM;
	}
	return exemplars_build(t, e->exemplars, e->n_exemplars,
	                       (int64_t)(e->time_unix_nano / NS_PER_MS), NULL, 0, p)
	               ? 0
	               : -ENOMEM;
}

static bool quantiles_valid(const Otlp__SummaryDataPoint *s)
{
	if (s->n_quantile_values > SERIES_OF_POINT_LIMIT)
		return false;
	for (size_t i = 0; i < s->n_quantile_values; i++) {
		double q = s->quantile_values[i]->quantile;

		if (!(q >= 0 && q <= 1) || (i && q <= s->quantile_values[i - 1]->quantile))
			return false;
	}
	return true;
}

static uint64_t quantiles_hash(const Otlp__SummaryDataPoint *s)
{
	uint64_t hash = s->n_quantile_values;

	for (size_t i = 0; i < s->n_quantile_values; i++)
		hash = identity_layout(&s->quantile_values[i]->quantile, 1, hash * 31);
	return hash;
}

static int collect_summary(struct place *at, const Otlp__SummaryDataPoint *s)
{
	struct translator *t = at->t;
	static Otlp__SummaryDataPoint__ValueAtQuantile *const none[1];
	struct layout layout = {
		.attributes = s->attributes,
		.n_attributes = s->n_attributes,
		.label = "quantile",
		.role = SERIES_QUANTILE,
		.suffix = "",
		.quantiles = s->n_quantile_values ? s->quantile_values : none,
		.n_values = s->n_quantile_values,
	};
	stream_target target;
	struct point *p;
	int r;

	if (!has_time(t, s->time_unix_nano))
		return 0;
	if (!is_stale(s->flags) && !quantiles_valid(s)) {
		translator_drop(t, TRANSLATE_INVALID, 1);
		return 0;
	}
	layout.hash = quantiles_hash(s);
	r = target_multiple(at, &layout, is_stale(s->flags), s->time_unix_nano, &target);
	if (!target)
		return r;
	p = point_add(at, target, s->time_unix_nano, s->start_time_unix_nano);
	if (!p)
		return -ENOMEM;
	p->kind = is_stale(s->flags) ? POINT_STALE : POINT_SUMMARY;
	p->summary = s;
	return 0;
}

/* ---- metrics */

/* What prometheus.type in the metric's metadata makes of a gauge. */
static enum metric_type gauge_type(const Otlp__Metric *m)
{
	const Otlp__AnyValue *v = attribute_find(m->metadata, m->n_metadata, "prometheus.type");
	struct slice type = {0};

	if (v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE)
		type = slice_of_bytes(v->string_value);
	if (slice_equal(type, SLICE_LITERAL("unknown")))
		return METRIC_UNKNOWN;
	if (slice_equal(type, SLICE_LITERAL("info")))
		return METRIC_INFO;
	if (slice_equal(type, SLICE_LITERAL("stateset")))
		return METRIC_STATESET;
	return METRIC_GAUGE;
}

bool collect_begin(struct place *at, const Otlp__Metric *m, size_t n)
{
	Otlp__AggregationTemporality temporality =
		OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;

	at->starts = true;
	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		at->type = gauge_type(m);
		at->starts = false;
		break;
	case OTLP__METRIC__DATA_SUM:
		at->type = m->sum->is_monotonic ? METRIC_COUNTER : gauge_type(m);
		at->starts = m->sum->is_monotonic;
		temporality = m->sum->aggregation_temporality;
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		at->type = METRIC_HISTOGRAM;
		temporality = m->histogram->aggregation_temporality;
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		at->type = METRIC_HISTOGRAM;
		temporality = m->exponential_histogram->aggregation_temporality;
		break;
	default:
		at->type = METRIC_SUMMARY;
	}
	at->delta = temporality == OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA;
	if (at->delta ||
	    temporality == OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE)
		return true;
	at->t->pending.points += n;
	translator_drop(at->t, TRANSLATE_TEMPORALITY, n);
	return false;
}

static int collect_points(struct place *at, const Otlp__Metric *m, size_t n)
{
	int r = 0;

	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		return collect_numbers(at, m->gauge->data_points, n);
	case OTLP__METRIC__DATA_SUM:
		return collect_numbers(at, m->sum->data_points, n);
	case OTLP__METRIC__DATA_HISTOGRAM:
		for (size_t i = 0; r == 0 && i < n; i++)
			r = collect_histogram(at, m->histogram->data_points[i]);
		return r;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		for (size_t i = 0; r == 0 && i < n; i++)
			r = collect_exponential(at, m->exponential_histogram->data_points[i]);
		return r;
	case OTLP__METRIC__DATA_SUMMARY:
		for (size_t i = 0; r == 0 && i < n; i++)
			r = collect_summary(at, m->summary->data_points[i]);
		return r;
	default:
		return 0;
	}
}

int collect_metric(struct place *at, const Otlp__Metric *m)
{
	struct translator *t = at->t;
	size_t n;
	int r = 0;

	at->metric = m;
	at->metric_id = identity_metric(&t->scratch, at->scope_id, m);
	if (t->scratch.failed)
		return -ENOMEM;
	n = otlp_metric_points(m);
	if (n && collect_begin(at, m, n))
		r = collect_points(at, m, n);
	if (at->family)
		series_family_release(&t->table, at->family);
	at->family = NULL;
	return r;
}

/* ---- groups */

int collect_group(struct translator *t, const Otlp__ResourceMetrics *group)
{
	struct place at = {.t = t, .group = group};

	at.resource_id = identity_resource(&t->scratch, group->resource);
	if (t->scratch.failed)
		return -ENOMEM;
	for (size_t i = 0; i < group->n_scope_metrics; i++) {
		at.scope = group->scope_metrics[i];
		at.scope_id = identity_scope(&t->scratch, at.resource_id, at.scope);
		if (t->scratch.failed)
			return -ENOMEM;
		for (size_t j = 0; j < at.scope->n_metrics; j++) {
			int r = collect_metric(&at, at.scope->metrics[j]);

			if (r < 0)
				return r;
		}
	}
	return collect_target_info(&at);
}
