/* Read top down: attributes, points, metrics, groups. Everything that is built here lives until it is
 * encoded: it may point at the series themselves. */
#include "core/data/semconv.h"
#include "core/observe/network.h"
#include "receivers/dns/dns.h"

/* One reading: what every function that makes a point needs. */
struct reading {
	const struct source *source;
	struct arena *arena;
	struct build_list groups;
	bool delta;
	uint64_t now_unix_ns;
};

/* A series whose points are being made, and the attributes that all of them have. */
struct subject {
	const struct dns_series *series;
	struct build_list attributes;
};

enum { ATTRIBUTES_MAX = 10 };

static bool question_attributes(struct arena *a, struct build_list *l, const struct dns_key *k)
{
	char spare[DNS_CODE_TEXT];

	if (k->name &&
	    !build_string(a, l, SEMCONV_DNS_QUESTION_NAME, slice_of(k->name->text, k->name->len)))
		return false;
	return !k->type || build_string(a, l, SEMCONV_WEIR_DNS_QUESTION_TYPE,
	                                slice_from_string(dns_type_name(k->type, spare)));
}

static bool ending_attributes(struct arena *a, struct build_list *l, const struct dns_key *k)
{
	char spare[DNS_CODE_TEXT];

	if (k->code != DNS_NO_CODE &&
	    !build_string(a, l, SEMCONV_WEIR_DNS_RESPONSE_CODE,
	                  slice_from_string(dns_rcode_name(k->code, spare))))
		return false;
	return !k->error || build_string(a, l, SEMCONV_ERROR_TYPE, slice_from_string(k->error));
}

static bool subject_init(struct arena *a, struct subject *s, const struct dns_series *series)
{
	const struct dns_key *k = &series->key;
	struct build_list *l = &s->attributes;

	s->series = series;
	if (!k->resource)
		return build_bool(a, l, SEMCONV_OTEL_METRIC_OVERFLOW, true);
	l->items = arena_alloc_array(a, ATTRIBUTES_MAX, sizeof *l->items);
	l->capacity = ATTRIBUTES_MAX;
	return l->items && question_attributes(a, l, k) && ending_attributes(a, l, k) &&
	       network_build(a, l, k->transport == DNS_UDP ? NETWORK_UDP : NETWORK_TCP,
	                     !address_is_ipv4(&k->server), k->role) &&
	       network_address_build(a, l, SEMCONV_SERVER_ADDRESS, &k->server) &&
	       build_int(a, l, SEMCONV_SERVER_PORT, k->server_port);
}

static uint64_t start_of(const struct reading *r, const struct dns_series *s)
{
	return r->delta ? s->base.sent_unix_ns : s->base.start_unix_ns;
}

static Otlp__AggregationTemporality temporality(const struct reading *r)
{
	return r->delta ? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA
	                : OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
}

static bool metric_add(const struct reading *r, struct build_list *list, Otlp__Metric *m,
                       const char *name, const char *unit, const char *description)
{
	m->name = build_text(name);
	m->unit = build_text(unit);
	m->description = build_text(description);
	return build_list_add(r->arena, list, m);
}

static bool duration_add(const struct reading *r, struct build_list *points,
                         const struct subject *s)
{
	Otlp__HistogramDataPoint *p =
		distribution_build(r->arena, &s->series->durations, &dns_duration_bounds);

	if (!p)
		return false;
	p->n_attributes = s->attributes.count;
	p->attributes = (Otlp__KeyValue **)s->attributes.items;
	p->start_time_unix_nano = start_of(r, s->series);
	p->time_unix_nano = r->now_unix_ns;
	return build_list_add(r->arena, points, p);
}

static bool durations_build(const struct reading *r, const struct subject *subjects, size_t n,
                            struct build_list *list)
{
	struct build_list points = {0};
	Otlp__Metric *m;

	for (size_t i = 0; i < n; i++)
		if (subjects[i].series->durations.count && !duration_add(r, &points, &subjects[i]))
			return false;
	if (!points.count)
		return true;
	m = BUILD(r->arena, Otlp__Metric, otlp__metric);
	if (!m || !(m->histogram = BUILD(r->arena, Otlp__Histogram, otlp__histogram)))
		return false;
	m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
	m->histogram->aggregation_temporality = temporality(r);
	m->histogram->n_data_points = points.count;
	m->histogram->data_points = (Otlp__HistogramDataPoint **)points.items;
	return metric_add(r, list, m, SEMCONV_DNS_LOOKUP_DURATION, SEMCONV_UNIT_SECONDS,
	                  "From the question to its answer; of one that was not answered the time "
	                  "that was waited for it.");
}

static bool count_add(const struct reading *r, struct build_list *points, const struct subject *s,
                      uint64_t value)
{
	Otlp__NumberDataPoint *p = BUILD(r->arena, Otlp__NumberDataPoint, otlp__number_data_point);

	if (!p)
		return false;
	p->n_attributes = s->attributes.count;
	p->attributes = (Otlp__KeyValue **)s->attributes.items;
	p->start_time_unix_nano = start_of(r, s->series);
	p->time_unix_nano = r->now_unix_ns;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = (int64_t)value;
	return build_list_add(r->arena, points, p);
}

/* A counter that stands at that offset of a series. */
static bool counts_build(const struct reading *r, const struct subject *subjects, size_t n,
                         size_t offset, const char *name, const char *unit, const char *description,
                         struct build_list *list)
{
	struct build_list points = {0};
	Otlp__Metric *m;

	for (size_t i = 0; i < n; i++) {
		uint64_t value = *(const uint64_t *)((const char *)subjects[i].series + offset);

		if (value && !count_add(r, &points, &subjects[i], value))
			return false;
	}
	if (!points.count)
		return true;
	m = BUILD(r->arena, Otlp__Metric, otlp__metric);
	if (!m || !(m->sum = BUILD(r->arena, Otlp__Sum, otlp__sum)))
		return false;
	m->data_case = OTLP__METRIC__DATA_SUM;
	m->sum->aggregation_temporality = temporality(r);
	m->sum->is_monotonic = true;
	m->sum->n_data_points = points.count;
	m->sum->data_points = (Otlp__NumberDataPoint **)points.items;
	return metric_add(r, list, m, name, unit, description);
}

static bool group_add(struct reading *r, const struct resource *resource,
                      const struct subject *subjects, size_t n)
{
	struct build_list list = {0};

	return durations_build(r, subjects, n, &list) &&
	       counts_build(r, subjects, n, offsetof(struct dns_series, retransmissions),
	                    SEMCONV_WEIR_DNS_RETRANSMISSIONS, SEMCONV_UNIT_QUESTIONS,
	                    "Questions that were sent again.", &list) &&
	       counts_build(r, subjects, n, offsetof(struct dns_series, misdirected),
	                    SEMCONV_WEIR_DNS_ANSWERS_MISDIRECTED, SEMCONV_UNIT_ANSWERS,
	                    "Answers that came from another address than was asked.", &list) &&
	       source_add_metrics(r->source, r->arena, resource, &list, &r->groups);
}

static bool on_resource(void *arg, struct resource *resource, size_t n)
{
	struct reading *r = arg;
	struct subject *subjects = arena_alloc_array(r->arena, n, sizeof *subjects);
	const struct aggregate *s;
	size_t telling = 0;

	if (!subjects)
		return false;
	LIST_FOR_EACH(s, &resource->series, of_resource) {
		if (n-- == 0)
			break;
		if (!aggregate_is_silent(s, r->delta) &&
		    !subject_init(r->arena, &subjects[telling++],
		                  CONTAINER_OF(s, struct dns_series, base)))
			return false;
	}
	return group_add(r, resource, subjects, telling);
}

static bool overflow_add(struct reading *r, const struct dns_table *t)
{
	struct subject overflow = {0};

	return !t->overflowed || aggregate_is_silent(&t->overflow.base, r->delta) ||
	       (subject_init(r->arena, &overflow, &t->overflow) &&
	        group_add(r, NULL, &overflow, 1));
}

bool dns_metrics_build(void *arg, struct aggregate_part part, uint64_t now_unix_ns,
                       struct batch **ret)
{
	struct dns *d = arg;
	struct arena arena;
	struct reading r = {
		.source = &d->source,
		.arena = &arena,
		.delta = d->content.delta,
		.now_unix_ns = now_unix_ns,
	};
	struct batch *b = NULL;
	bool built;

	arena_init(&arena, d->source.budget);
	built = aggregates_part_each(&d->table.series, part, on_resource, &r) &&
	        (!part.overflow || overflow_add(&r, &d->table));
	if (built && r.groups.count) {
		b = source_encode(&d->source, SIGNAL_METRICS, &r.groups);
		built = b != NULL;
	}
	arena_fini(&arena);
	if (built)
		*ret = b;
	return built;
}
