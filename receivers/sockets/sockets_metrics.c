/* Read top down: the table of metrics, attributes, points, metrics, groups. Everything that is built
 * here lives until it is encoded: it may point at the series themselves. */
#include "core/data/semconv.h"
#include "core/observe/network.h"
#include "receivers/sockets/sockets_batch.h"

/* One reading: what every function that makes a point needs. */
struct reading {
	const struct source *source;
	struct arena *arena;
	struct build_list groups;
	bool client_address, delta;
	uint64_t now_unix_ns;
};

/* A series whose points are being made, and the attributes that all of them have. */
struct subject {
	const struct sockets_series *series;
	struct build_list attributes;
};

enum shape { SHAPE_UP_DOWN, SHAPE_COUNTER, SHAPE_HISTOGRAM };

/* A point of a counter: the value and the attribute that only this metric has. */
struct part {
	enum series_counter counter;
	const char *key, *value; /* NULL: none */
};

static const struct metric {
	const char *name, *unit, *description;
	enum shape shape;
	enum series_histogram histogram;
	struct part parts[6];
	size_t n_parts;
} metrics[] = {
	{
		.name = SEMCONV_WEIR_TCP_CONNECTIONS,
		.unit = SEMCONV_UNIT_CONNECTIONS,
		.description = "Connections that are established now.",
		.shape = SHAPE_UP_DOWN,
	},
	{
		.name = SEMCONV_WEIR_TCP_CONNECTIONS_OPENED,
		.unit = SEMCONV_UNIT_CONNECTIONS,
		.description = "Connections that were established.",
		.shape = SHAPE_COUNTER,
		.parts = {{SERIES_OPENED}},
		.n_parts = 1,
	},
	{
		.name = SEMCONV_WEIR_TCP_CONNECTIONS_FAILED,
		.unit = SEMCONV_UNIT_CONNECTIONS,
		.description = "Connections that ended before they were established.",
		.shape = SHAPE_COUNTER,
		.parts = {{SERIES_FAILED_REFUSED, SEMCONV_ERROR_TYPE,
                           SEMCONV_ERROR_TYPE_CONNECTION_REFUSED},
                          {SERIES_FAILED_RESET, SEMCONV_ERROR_TYPE,
                           SEMCONV_ERROR_TYPE_CONNECTION_RESET},
                          {SERIES_FAILED_TIMED_OUT, SEMCONV_ERROR_TYPE,
                           SEMCONV_ERROR_TYPE_TIMED_OUT},
                          {SERIES_FAILED_HOST_UNREACHABLE, SEMCONV_ERROR_TYPE,
                           SEMCONV_ERROR_TYPE_HOST_UNREACHABLE},
                          {SERIES_FAILED_NETWORK_UNREACHABLE, SEMCONV_ERROR_TYPE,
                           SEMCONV_ERROR_TYPE_NETWORK_UNREACHABLE},
                          {SERIES_FAILED_OTHER, SEMCONV_ERROR_TYPE, SEMCONV_ERROR_TYPE_OTHER}},
		.n_parts = 6,
	},
	{
		.name = SEMCONV_WEIR_TCP_IO,
		.unit = SEMCONV_UNIT_BYTES,
		.description = "Payload: sent and acknowledged by the peer, or received.",
		.shape = SHAPE_COUNTER,
		.parts = {{SERIES_SENT_BYTES, SEMCONV_NETWORK_IO_DIRECTION,
                           SEMCONV_NETWORK_IO_DIRECTION_TRANSMIT},
                          {SERIES_RECEIVED_BYTES, SEMCONV_NETWORK_IO_DIRECTION,
                           SEMCONV_NETWORK_IO_DIRECTION_RECEIVE}},
		.n_parts = 2,
	},
	{
		.name = SEMCONV_WEIR_TCP_CONNECT_DURATION,
		.unit = SEMCONV_UNIT_SECONDS,
		.description = "From the first SYN to the established connection, client side.",
		.shape = SHAPE_HISTOGRAM,
		.histogram = SERIES_CONNECT_DURATION,
	},
	{
		.name = SEMCONV_WEIR_TCP_CONNECTION_DURATION,
		.unit = SEMCONV_UNIT_SECONDS,
		.description = "From established to closed, when a connection closes.",
		.shape = SHAPE_HISTOGRAM,
		.histogram = SERIES_CONNECTION_DURATION,
	},
	{
		.name = SEMCONV_WEIR_TCP_RTT,
		.unit = SEMCONV_UNIT_SECONDS,
		.description = "Smoothed round-trip time of each socket that moved data since the "
			       "last reading.",
		.shape = SHAPE_HISTOGRAM,
		.histogram = SERIES_RTT,
	},
	{
		.name = SEMCONV_WEIR_TCP_SEGMENTS_RETRANSMITTED,
		.unit = SEMCONV_UNIT_SEGMENTS,
		.description = "Segments that were sent again.",
		.shape = SHAPE_COUNTER,
		.parts = {{SERIES_RETRANSMITTED_SEGMENTS}},
		.n_parts = 1,
	},
	{
		.name = SEMCONV_WEIR_TCP_RESETS,
		.unit = SEMCONV_UNIT_RESETS,
		.description = "Resets, sent or received.",
		.shape = SHAPE_COUNTER,
		.parts = {{SERIES_RESETS_SENT, SEMCONV_NETWORK_IO_DIRECTION,
                           SEMCONV_NETWORK_IO_DIRECTION_TRANSMIT},
                          {SERIES_RESETS_RECEIVED, SEMCONV_NETWORK_IO_DIRECTION,
                           SEMCONV_NETWORK_IO_DIRECTION_RECEIVE}},
		.n_parts = 2,
	},
};

struct address sockets_address(bool is_ipv6, const uint8_t *address)
{
	struct address a = {0};

	address_from_bytes(slice_of(address, is_ipv6 ? 16 : 4), &a);
	return a;
}

static bool address_build(struct arena *a, struct build_list *l, const char *key, bool is_ipv6,
                          const uint8_t *bytes)
{
	struct address address = sockets_address(is_ipv6, bytes);

	return network_address_build(a, l, key, &address);
}

static bool key_attributes(struct arena *a, struct build_list *l, const struct series_key *k)
{
	if (!k->resource)
		return build_bool(a, l, SEMCONV_OTEL_METRIC_OVERFLOW, true);
	if (!network_build(a, l, NETWORK_TCP, k->is_ipv6, k->role))
		return false;
	switch (k->role) {
	case ROLE_CLIENT:
		return address_build(a, l, SEMCONV_SERVER_ADDRESS, k->is_ipv6, k->server_address) &&
		       build_int(a, l, SEMCONV_SERVER_PORT, k->server_port);
	case ROLE_SERVER:
		return build_int(a, l, SEMCONV_SERVER_PORT, k->server_port);
	default:
		return true;
	}
}

static bool subject_init(const struct reading *r, struct subject *s,
                         const struct sockets_series *series)
{
	const struct series_key *k = &series->key;

	s->series = series;
	if (!key_attributes(r->arena, &s->attributes, k))
		return false;
	return !k->resource || !r->client_address || k->role != ROLE_SERVER ||
	       address_build(r->arena, &s->attributes, SEMCONV_CLIENT_ADDRESS, k->is_ipv6,
	                     k->client_address);
}

static bool attributes_of(const struct reading *r, const struct subject *s, const struct part *part,
                          size_t *ret_n, Otlp__KeyValue ***ret)
{
	const struct build_list *shared = &s->attributes;
	struct build_list own = {.count = shared->count, .capacity = shared->count + 1};

	*ret_n = shared->count;
	*ret = (Otlp__KeyValue **)shared->items;
	if (!part || !part->key)
		return true;
	own.items = arena_alloc_array(r->arena, own.capacity, sizeof *own.items);
	if (!own.items)
		return false;
	memcpy(own.items, shared->items, shared->count * sizeof *own.items);
	if (!build_string(r->arena, &own, part->key, slice_from_string(part->value)))
		return false;
	*ret_n = own.count;
	*ret = (Otlp__KeyValue **)own.items;
	return true;
}

/* UpDownCounters are cumulative with either temporality, as in OpenTelemetry's preference
 * "delta". */
static uint64_t start_of(const struct reading *r, const struct sockets_series *s, enum shape shape)
{
	return r->delta && shape != SHAPE_UP_DOWN ? s->base.sent_unix_ns : s->base.start_unix_ns;
}

static bool number_add(const struct reading *r, struct build_list *points, const struct subject *s,
                       enum shape shape, const struct part *part, int64_t value)
{
	Otlp__NumberDataPoint *p = BUILD(r->arena, Otlp__NumberDataPoint, otlp__number_data_point);

	if (!p || !attributes_of(r, s, part, &p->n_attributes, &p->attributes))
		return false;
	p->start_time_unix_nano = start_of(r, s->series, shape);
	p->time_unix_nano = r->now_unix_ns;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = value;
	return build_list_add(r->arena, points, p);
}

static bool counter_add(const struct reading *r, struct build_list *points, const struct subject *s,
                        const struct metric *m)
{
	static const struct part whole = {0};
	uint64_t total = 0;

	for (size_t i = 0; i < m->n_parts; i++) {
		uint64_t value = s->series->counters[m->parts[i].counter];

		total += value;
		if (s->series->key.resource && value &&
		    !number_add(r, points, s, m->shape, &m->parts[i], (int64_t)value))
			return false;
	}
	/* the overflow series is one series for each metric: its parts are added up */
	if (!s->series->key.resource && total)
		return number_add(r, points, s, m->shape, &whole, (int64_t)total);
	return true;
}

static bool histogram_add(const struct reading *r, struct build_list *points,
                          const struct subject *s, enum series_histogram which)
{
	const struct distribution *h = s->series->histograms[which];
	Otlp__HistogramDataPoint *p;

	if (!h || !h->count)
		return true;
	p = distribution_build(r->arena, h, &sockets_bounds[which]);
	if (!p || !attributes_of(r, s, NULL, &p->n_attributes, &p->attributes))
		return false;
	p->start_time_unix_nano = start_of(r, s->series, SHAPE_HISTOGRAM);
	p->time_unix_nano = r->now_unix_ns;
	return build_list_add(r->arena, points, p);
}

static bool point_add(const struct reading *r, struct build_list *points, const struct subject *s,
                      const struct metric *m)
{
	switch (m->shape) {
	case SHAPE_UP_DOWN:
		return !s->series->had_open ||
		       number_add(r, points, s, m->shape, NULL, s->series->base.open);
	case SHAPE_COUNTER:
		return counter_add(r, points, s, m);
	default:
		return histogram_add(r, points, s, m->histogram);
	}
}

static Otlp__AggregationTemporality temporality(const struct reading *r, enum shape shape)
{
	return r->delta && shape != SHAPE_UP_DOWN
	               ? OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA
	               : OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_CUMULATIVE;
}

static Otlp__Metric *metric_build(const struct reading *r, const struct metric *m,
                                  struct build_list *points)
{
	Otlp__Metric *out = BUILD(r->arena, Otlp__Metric, otlp__metric);

	if (!out)
		return NULL;
	out->name = build_text(m->name);
	out->unit = build_text(m->unit);
	out->description = build_text(m->description);
	if (m->shape == SHAPE_HISTOGRAM) {
		Otlp__Histogram *h = BUILD(r->arena, Otlp__Histogram, otlp__histogram);
		if (!h)
			return NULL;
		h->aggregation_temporality = temporality(r, m->shape);
		h->n_data_points = points->count;
		h->data_points = (Otlp__HistogramDataPoint **)points->items;
		out->data_case = OTLP__METRIC__DATA_HISTOGRAM;
		out->histogram = h;
	} else {
		Otlp__Sum *s = BUILD(r->arena, Otlp__Sum, otlp__sum);
		if (!s)
			return NULL;
		s->aggregation_temporality = temporality(r, m->shape);
		s->is_monotonic = m->shape == SHAPE_COUNTER;
		s->n_data_points = points->count;
		s->data_points = (Otlp__NumberDataPoint **)points->items;
		out->data_case = OTLP__METRIC__DATA_SUM;
		out->sum = s;
	}
	return out;
}

/* The metrics of these series, without those that have no points. */
static bool metrics_build(const struct reading *r, const struct subject *subjects, size_t n,
                          struct build_list *ret)
{
	for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
		struct build_list points = {0};
		Otlp__Metric *m;

		for (size_t k = 0; k < n; k++)
			if (!point_add(r, &points, &subjects[k], &metrics[i]))
				return false;
		if (!points.count)
			continue;
		m = metric_build(r, &metrics[i], &points);
		if (!m || !build_list_add(r->arena, ret, m))
			return false;
	}
	return true;
}

static bool group_add(struct reading *r, const struct resource *resource,
                      const struct subject *subjects, size_t n)
{
	struct build_list list = {0};

	return metrics_build(r, subjects, n, &list) &&
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
		    !subject_init(r, &subjects[telling++],
		                  CONTAINER_OF(s, struct sockets_series, base)))
			return false;
	}
	return group_add(r, resource, subjects, telling);
}

static bool overflow_add(struct reading *r, const struct sockets_table *table)
{
	struct subject overflow = {0};

	return !table->overflowed || aggregate_is_silent(&table->overflow.base, r->delta) ||
	       (subject_init(r, &overflow, &table->overflow) && group_add(r, NULL, &overflow, 1));
}

bool sockets_metrics_build(const struct source *source, const struct sockets_table *table,
                           struct aggregate_part part, bool delta, uint64_t now_unix_ns,
                           struct batch **ret)
{
	struct arena arena;
	struct reading r = {
		.source = source,
		.arena = &arena,
		.client_address = table->client_address,
		.delta = delta,
		.now_unix_ns = now_unix_ns,
	};
	struct batch *b = NULL;
	bool built;

	arena_init(&arena, source->budget);
	built = aggregates_part_each(&table->series, part, on_resource, &r) &&
	        (!part.overflow || overflow_add(&r, table));
	if (built && r.groups.count) {
		b = source_encode(source, SIGNAL_METRICS, &r.groups);
		built = b != NULL;
	}
	arena_fini(&arena);
	if (built)
		*ret = b;
	return built;
}
