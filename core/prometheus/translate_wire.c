#include "core/base/clock.h"
#include "core/prometheus/translate_internal.h"
#include "core/wire/cursor.h"
#include "core/wire/otlp.h"

#include <endian.h>
#include <errno.h>

/* Most points are of series that are known: of them only times and value are wanted, and the
 * attributes as bytes to hash. So a batch that nobody has opened is walked as it came; what is not
 * a plain number of a known series is decoded and goes the way of decoded messages. */

static int malformed(struct error *error)
{
	return error_set(error, -EBADMSG, "not OTLP: a group of metrics is malformed");
}

/* ---- points */

struct wire_point {
	struct slice bytes;
	Otlp__NumberDataPoint plain;          /* without attributes and exemplars */
	const Otlp__NumberDataPoint *decoded; /* or NULL */
	struct stream_id id;
	bool exemplars;
	bool scattered; /* attributes do not stand together */
};

static uint64_t fixed64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

/* A fixed64 or varint field of the point, whose value stands at at. */
static bool point_scalar(Otlp__NumberDataPoint *p, uint32_t tag, const uint8_t *at,
                         const uint8_t *end)
{
	uint64_t bits;

	switch (tag) {
	case 2 << 3 | WIRE_FIXED64:
		p->start_time_unix_nano = fixed64(at);
		break;
	case 3 << 3 | WIRE_FIXED64:
		p->time_unix_nano = fixed64(at);
		break;
	case 4 << 3 | WIRE_FIXED64:
		bits = fixed64(at);
		memcpy(&p->as_double, &bits, sizeof bits);
		p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
		break;
	case 6 << 3 | WIRE_FIXED64:
		p->as_int = (int64_t)fixed64(at);
		p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
		break;
	case 8 << 3 | WIRE_VARINT:
		if (!cursor_varint(at, end, &bits))
			return false;
		p->flags = (uint32_t)bits;
		break;
	default:
		break;
	}
	return true;
}

static bool point_read(struct slice bytes, struct wire_point *ret, struct slice *ret_attributes)
{
	const uint8_t *at = bytes.data, *end = at + bytes.len, *start, *value, *first = NULL,
		      *last = NULL;
	uint32_t tag;

	*ret = (struct wire_point){.bytes = bytes, .plain = OTLP__NUMBER_DATA_POINT__INIT};
	while (at < end) {
		start = at;
		value = cursor_tag(at, end, &tag);
		at = value ? cursor_skip(value, end, tag) : NULL;
		if (!at)
			return false;
		if (tag == (7 << 3 | WIRE_LENGTH)) {
			ret->scattered |= last && last != start;
			first = first ? first : start;
			last = at;
		} else if (tag == (5 << 3 | WIRE_LENGTH)) {
			ret->exemplars = true;
		} else if (!point_scalar(&ret->plain, tag, value, end)) {
			return false;
		}
	}
	*ret_attributes = slice_of(first, first ? (size_t)(last - first) : 0);
	return true;
}

static int point_decode(struct place *at, struct wire_point *p, struct error *error)
{
	ProtobufCMessage *m = NULL;
	int r;

	if (p->decoded)
		return 0;
	r = otlp_decode(&otlp__number_data_point__descriptor, p->bytes, &at->t->arena, &m, error);
	p->decoded = (const Otlp__NumberDataPoint *)m;
	return r;
}

static int point_identify(struct place *at, struct wire_point *p, struct slice attributes,
                          struct error *error)
{
	struct translator *t = at->t;
	int r = 0;

	if (!p->scattered) {
		p->id = identity_wire(at->metric_id, attributes);
	} else {
		r = point_decode(at, p, error);
		if (r < 0)
			return r;
		p->id = identity_point(&t->scratch, at->metric_id, p->decoded->attributes,
		                       p->decoded->n_attributes);
		if (t->scratch.failed)
			return error_no_memory(error);
	}
	streams_prefetch(&t->streams, p->id);
	return r;
}

static int points_look_up(struct place *at, struct wire_point *points, size_t n,
                          struct error *error)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct wire_point *p = &points[i];

		/* exemplars are wanted of counters only */
		if ((p->exemplars && at->type == METRIC_COUNTER) ||
		    !streams_find(&at->t->streams, p->id))
			r = point_decode(at, p, error);
		if (r == 0 && collect_number(at, p->decoded ? p->decoded : &p->plain, p->id) < 0)
			r = error_no_memory(error);
	}
	return r;
}

/* The points of a gauge or a sum. */
static int points_walk(struct place *at, struct slice data, struct error *error)
{
	struct wire_point points[LOOKED_UP_TOGETHER];
	struct cursor c = cursor_of(data);
	struct cursor_field f;
	struct slice attributes;
	size_t n = 0;
	int r = 0;

	while (r == 0 && cursor_next(&c, &f)) {
		struct wire_point *p = &points[n];

		if (f.number != OTLP_METRIC_POINTS)
			continue;
		if (f.type != WIRE_LENGTH || !point_read(f.body, p, &attributes))
			return malformed(error);
		r = point_identify(at, p, attributes, error);
		if (r == 0 && ++n == LOOKED_UP_TOGETHER) {
			r = points_look_up(at, points, n, error);
			n = 0;
		}
	}
	if (r == 0 && c.error)
		r = malformed(error);
	return r ? r : points_look_up(at, points, n, error);
}

/* ---- metrics */

static bool is_point(const struct cursor_field *f)
{
	return f->number == OTLP_METRIC_POINTS;
}

/* What a gauge or sum says besides its points, which are counted. */
static int data_decode(struct place *at, ProtobufCMessage *message, struct slice data,
                       size_t *ret_n, struct error *error)
{
	struct cursor c = cursor_of(data);
	struct cursor_field f;
	int r = 0;

	*ret_n = 0;
	while (r == 0 && cursor_next(&c, &f)) {
		if (is_point(&f))
			++*ret_n;
		else
			r = otlp_decode_into(message, f.raw, &at->t->arena, error);
	}
	return r == 0 && c.error ? malformed(error) : r;
}

/* A metric with one gauge or sum: m is all of it but that. */
static int numbers_collect(struct place *at, Otlp__Metric *m, const struct cursor_field *data,
                           struct error *error)
{
	struct translator *t = at->t;
	Otlp__Gauge gauge = OTLP__GAUGE__INIT;
	Otlp__Sum sum = OTLP__SUM__INIT;
	size_t n;
	int r;

	if (data->number == 5) {
		m->data_case = OTLP__METRIC__DATA_GAUGE;
		m->gauge = &gauge;
		r = data_decode(at, &gauge.base, data->body, &n, error);
	} else {
		m->data_case = OTLP__METRIC__DATA_SUM;
		m->sum = &sum;
		r = data_decode(at, &sum.base, data->body, &n, error);
	}
	if (r < 0)
		return r;
	at->metric = m;
	at->metric_id = identity_metric(&t->scratch, at->scope_id, m);
	if (t->scratch.failed)
		return error_no_memory(error);
	if (n && collect_begin(at, m, n))
		r = points_walk(at, data->body, error);
	if (at->family)
		series_family_release(&t->table, at->family);
	at->family = NULL;
	return r;
}

/* gauge, sum, histogram, exponential_histogram, summary */
static bool is_data(const struct cursor_field *f)
{
	return f->number == 5 || f->number == 7 || (f->number >= 9 && f->number <= 11);
}

static int metric_collect(struct place *at, struct slice bytes, struct error *error)
{
	Otlp__Metric m = OTLP__METRIC__INIT;
	struct cursor c = cursor_of(bytes);
	struct cursor_field f, data = {0};
	unsigned n_data = 0;
	int r = 0;

	while (cursor_next(&c, &f))
		if (is_data(&f)) {
			data = f;
			n_data++;
		}
	if (c.error)
		return malformed(error);
	if (n_data != 1 || data.number > 7 || data.type != WIRE_LENGTH) {
		r = otlp_decode_into(&m.base, bytes, &at->t->arena, error);
		if (r == 0 && collect_metric(at, &m) < 0)
			r = error_no_memory(error);
		return r;
	}
	c = cursor_of(bytes);
	while (r == 0 && cursor_next(&c, &f))
		if (!is_data(&f))
			r = otlp_decode_into(&m.base, f.raw, &at->t->arena, error);
	return r ? r : numbers_collect(at, &m, &data, error);
}

/* ---- scopes and groups */

static int scope_collect(struct place *at, struct slice bytes, struct error *error)
{
	Otlp__ScopeMetrics scope = OTLP__SCOPE_METRICS__INIT;
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	int r = 0;

	while (r == 0 && cursor_next(&c, &f))
		if (f.number != OTLP_SCOPE_ITEMS)
			r = otlp_decode_into(&scope.base, f.raw, &at->t->arena, error);
	if (r < 0 || c.error)
		return r ? r : malformed(error);
	at->scope = &scope;
	at->scope_id = identity_scope(&at->t->scratch, at->resource_id, &scope);
	if (at->t->scratch.failed)
		return error_no_memory(error);
	c = cursor_of(bytes);
	while (r == 0 && cursor_next(&c, &f))
		if (f.number == OTLP_SCOPE_ITEMS)
			r = f.type == WIRE_LENGTH ? metric_collect(at, f.body, error)
			                          : malformed(error);
	return r;
}

static int scopes_collect(struct place *at, struct slice bytes, struct error *error)
{
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	int r = 0;

	while (r == 0 && cursor_next(&c, &f))
		if (f.number == OTLP_GROUP_SCOPES)
			r = f.type == WIRE_LENGTH ? scope_collect(at, f.body, error)
			                          : malformed(error);
	return r == 0 && c.error ? malformed(error) : r;
}

static int resource_decode(struct place *at, struct slice bytes, Otlp__Resource *resource,
                           struct error *error)
{
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	int r = 0;

	while (r == 0 && cursor_next(&c, &f))
		if (f.number == OTLP_GROUP_RESOURCE)
			r = f.type == WIRE_LENGTH ? otlp_decode_into(&resource->base, f.body,
			                                             &at->t->arena, error)
			                          : malformed(error);
	return r == 0 && c.error ? malformed(error) : r;
}

int collect_wire_group(struct translator *t, const struct group *g, struct error *error)
{
	Otlp__ResourceMetrics group = OTLP__RESOURCE_METRICS__INIT;
	Otlp__Resource resource = OTLP__RESOURCE__INIT;
	struct place at = {.t = t, .group = &group};
	int r = 0;

	group.resource = &resource;
	if (g->depth == DEPTH_WIRE)
		r = resource_decode(&at, g->wire, &resource, error);
	else
		group.resource = g->resource;
	if (r < 0)
		return r;
	at.resource_id = identity_resource(&t->scratch, group.resource);
	if (t->scratch.failed)
		return error_no_memory(error);
	if (g->depth == DEPTH_WIRE)
		r = scopes_collect(&at, g->wire, error);
	for (size_t i = 0; g->depth == DEPTH_RESOURCE && i < g->n_rest && r == 0; i++)
		r = scopes_collect(&at, g->rest[i], error);
	if (r == 0 && collect_target_info(&at) < 0)
		r = error_no_memory(error);
	return r;
}
