/* weir's own figures as OTLP. */
#include "core/data/build.h"
#include "core/data/semconv.h"
#include "core/self/metrics_internal.h"

#define CUMULATIVE OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE

/* What every function that makes a point needs. */
struct reading {
	struct arena *arena;
	uint64_t started_unix_ns, now_unix_ns;
};

/* The names are copied too: those of labels belong to the reading. */
static bool add_attribute(struct arena *a, struct build_list *attributes, struct slice name,
                          struct slice value)
{
	struct slice key;

	return arena_copy(a, name, &key) &&
	       build_string(a, attributes, (const char *)key.data, value);
}

static bool add_attributes(const struct reading *r, struct slice labels, size_t *ret_n,
                           Otlp__KeyValue ***ret)
{
	struct build_list attributes = {0};
	struct slice name, value;

	while (metrics_next_label(&labels, &name, &value))
		if (!add_attribute(r->arena, &attributes, name, value))
			return false;
	*ret_n = attributes.count;
	*ret = (Otlp__KeyValue **)attributes.items;
	return true;
}

static bool add_number(const struct reading *r, struct build_list *points,
                       const struct metrics_point *from, bool counts)
{
	Otlp__NumberDataPoint *p = BUILD(r->arena, Otlp__NumberDataPoint, otlp__number_data_point);

	if (!p || !add_attributes(r, from->labels, &p->n_attributes, &p->attributes))
		return false;
	p->start_time_unix_nano = counts ? r->started_unix_ns : 0;
	p->time_unix_nano = r->now_unix_ns;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
	p->as_double = from->value;
	return build_list_add(r->arena, points, p);
}

static bool add_histogram(const struct reading *r, struct build_list *points,
                          const struct metrics_point *from)
{
	Otlp__HistogramDataPoint *p =
		BUILD(r->arena, Otlp__HistogramDataPoint, otlp__histogram_data_point);

	if (!p || !add_attributes(r, from->labels, &p->n_attributes, &p->attributes))
		return false;
	p->bucket_counts =
		arena_alloc_array(r->arena, from->n_bounds + 1, sizeof *p->bucket_counts);
	p->explicit_bounds =
		arena_alloc_array(r->arena, from->n_bounds + 1, sizeof *p->explicit_bounds);
	if (!p->bucket_counts || !p->explicit_bounds)
		return false;
	memcpy(p->bucket_counts, from->counts, (from->n_bounds + 1) * sizeof *from->counts);
	memcpy(p->explicit_bounds, from->bounds, from->n_bounds * sizeof *from->bounds);
	p->n_bucket_counts = from->n_bounds + 1;
	p->n_explicit_bounds = from->n_bounds;
	for (size_t i = 0; i <= from->n_bounds; i++)
		p->count += from->counts[i];
	p->start_time_unix_nano = r->started_unix_ns;
	p->time_unix_nano = r->now_unix_ns;
	p->optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	p->sum = from->value;
	return build_list_add(r->arena, points, p);
}

static bool set_sum(const struct reading *r, Otlp__Metric *m, const struct build_list *points)
{
	m->sum = BUILD(r->arena, Otlp__Sum, otlp__sum);
	if (!m->sum)
		return false;
	m->data_case = OTLP__METRIC__DATA_SUM;
	m->sum->aggregation_temporality = CUMULATIVE;
	m->sum->is_monotonic = true;
	m->sum->n_data_points = points->count;
	m->sum->data_points = (Otlp__NumberDataPoint **)points->items;
	return true;
}

static bool set_gauge(const struct reading *r, Otlp__Metric *m, const struct build_list *points)
{
	m->gauge = BUILD(r->arena, Otlp__Gauge, otlp__gauge);
	if (!m->gauge)
		return false;
	m->data_case = OTLP__METRIC__DATA_GAUGE;
	m->gauge->n_data_points = points->count;
	m->gauge->data_points = (Otlp__NumberDataPoint **)points->items;
	return true;
}

static bool set_histogram(const struct reading *r, Otlp__Metric *m, const struct build_list *points)
{
	m->histogram = BUILD(r->arena, Otlp__Histogram, otlp__histogram);
	if (!m->histogram)
		return false;
	m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
	m->histogram->aggregation_temporality = CUMULATIVE;
	m->histogram->n_data_points = points->count;
	m->histogram->data_points = (Otlp__HistogramDataPoint **)points->items;
	return true;
}

static bool add_metric(const struct reading *r, struct build_list *metrics,
                       const struct metrics_family *family)
{
	Otlp__Metric *m = BUILD(r->arena, Otlp__Metric, otlp__metric);
	struct build_list points = {0};

	if (!m)
		return false;
	m->name = build_text(family->name);
	m->description = build_text(family->help ? family->help : "");
	for (const struct metrics_point *p = family->first; p; p = p->next)
		if (!(family->type == METRICS_HISTOGRAM
		              ? add_histogram(r, &points, p)
		              : add_number(r, &points, p, family->type == METRICS_COUNTER)))
			return false;
	if (!(family->type == METRICS_COUNTER ? set_sum(r, m, &points)
	      : family->type == METRICS_GAUGE ? set_gauge(r, m, &points)
	                                      : set_histogram(r, m, &points)))
		return false;
	return build_list_add(r->arena, metrics, m);
}

static Otlp__Resource *build_resource(struct arena *a, const struct metrics_label *attributes)
{
	Otlp__Resource *resource = BUILD(a, Otlp__Resource, otlp__resource);
	struct build_list list = {0};

	if (!resource)
		return NULL;
	for (; attributes && attributes->name; attributes++)
		if (!add_attribute(a, &list, slice_from_string(attributes->name),
		                   slice_from_string(attributes->value)))
			return NULL;
	resource->n_attributes = list.count;
	resource->attributes = (Otlp__KeyValue **)list.items;
	return resource;
}

static Otlp__InstrumentationScope *build_scope(struct arena *a, const char *version)
{
	Otlp__InstrumentationScope *scope =
		BUILD(a, Otlp__InstrumentationScope, otlp__instrumentation_scope);

	if (!scope || !build_copy(a, slice_from_string(version), &scope->version))
		return NULL;
	scope->name = build_text("weir/self");
	return scope;
}

static bool fill(const struct reading *r, const struct metrics_sink *sink,
                 const struct metrics_label *resource, const char *version, struct batch *b)
{
	Otlp__ResourceMetrics *group =
		BUILD(r->arena, Otlp__ResourceMetrics, otlp__resource_metrics);
	Otlp__ScopeMetrics **scopes = arena_alloc(r->arena, sizeof *scopes);
	struct build_list metrics = {0};

	for (size_t i = 0; i < sink->n_families; i++)
		if (!add_metric(r, &metrics, &sink->families[i]))
			return false;
	if (!group || !scopes)
		return false;
	*scopes = BUILD(r->arena, Otlp__ScopeMetrics, otlp__scope_metrics);
	group->resource = build_resource(r->arena, resource);
	if (!*scopes || !group->resource)
		return false;
	(*scopes)->scope = build_scope(r->arena, version);
	(*scopes)->n_metrics = metrics.count;
	(*scopes)->metrics = (Otlp__Metric **)metrics.items;
	group->schema_url = build_text(SEMCONV_SCHEMA_URL);
	group->n_scope_metrics = 1;
	group->scope_metrics = scopes;
	return (*scopes)->scope && batch_append(b, &group->base);
}

struct batch *metrics_batch(struct metrics *m, const struct metrics_label *resource,
                            const char *version, uint64_t now_unix_ns, struct budget *budget)
{
	uint64_t started = metrics_started_unix_ns(m);
	struct batch *b = batch_new(SIGNAL_METRICS, budget);
	struct reading r = {.now_unix_ns = now_unix_ns,
	                    .started_unix_ns = started < now_unix_ns ? started : now_unix_ns};
	struct metrics_sink sink;
	bool built;

	if (!b)
		return NULL;
	r.arena = &b->arena;
	metrics_read(m, &sink);
	built = !sink.failed && fill(&r, &sink, resource, version, b);
	metrics_sink_fini(&sink);
	if (!built) {
		batch_unref(b);
		return NULL;
	}
	return b;
}
