/* scan: batches that nobody has opened are walked as they came. Most are of series that are known
 * and go on untouched, at the cost of a hash a point. */
#include "core/base/clock.h"
#include "core/loop/loop.h"
#include "core/wire/cursor.h"
#include "core/wire/otlp.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"

#include <errno.h>

enum { RESOURCE_ATTRIBUTES = 1 }; /* field of Resource */

struct scan {
	struct cardinality *p;
	const struct group *group;
	uint32_t now_ms;
	bool touched;
	bool resource_followed; /* that of the group */
};

struct looked_up {
	uint64_t key;
	struct slice point;
};

static int malformed(struct error *error)
{
	return error_set(error, -EBADMSG, "not OTLP: a group of metrics is malformed");
}

static uint32_t attributes_field(unsigned data)
{
	switch (data) {
	case OTLP__METRIC__DATA_HISTOGRAM:
		return 9;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		return 1;
	default:
		return 7;
	}
}

static bool is_data(uint32_t number)
{
	return number == 5 || number == 7 || (number >= 9 && number <= 11);
}

static struct metric_kind kind_of(const struct cursor_field *data)
{
	struct cursor c = cursor_of(data->body);
	struct metric_kind kind = {.data = data->number};
	struct cursor_field f;
	uint64_t value;

	while (cursor_next(&c, &f)) {
		if (f.type != WIRE_VARINT ||
		    !cursor_varint(f.body.data, f.body.data + f.body.len, &value))
			continue;
		if (f.number == 2)
			kind.temporality = (unsigned)value;
		else if (f.number == 3)
			kind.monotonic = value;
	}
	return kind;
}

static void follow_resource(struct scan *s)
{
	const struct group *g = s->group;
	struct cursor c = cursor_of(g->wire);
	struct cursor_field f;

	s->resource_followed = true;
	if (!g->wire.data)
		follow_attributes(s->p, NULL, g->resource->attributes, g->resource->n_attributes,
		                  NULL);
	while (cursor_next(&c, &f))
		if (f.number == OTLP_GROUP_RESOURCE && f.type == WIRE_LENGTH)
			follow_wire(s->p, NULL, f.body, RESOURCE_ATTRIBUTES);
}

static void judge_all(struct scan *s, const struct family *f, const struct looked_up *l, size_t n)
{
	for (size_t i = 0; i < n && !s->touched; i++) {
		struct verdict v = limits_judge(s->p, f, l[i].key, l[i].key, s->now_ms);

		s->touched = !v.series || v.joins;
		if (!v.fresh || s->touched)
			continue;
		follow_wire(s->p, f, l[i].point, attributes_field(f->kind.data));
		if (!s->resource_followed)
			follow_resource(s);
	}
}

static int scan_points(struct scan *s, const struct family *f, const struct cursor_field *data,
                       struct error *error)
{
	uint32_t field = attributes_field(data->number);
	struct cursor c = cursor_of(data->body);
	struct looked_up l[LOOKED_UP_TOGETHER];
	struct cursor_field point;
	size_t n = 0;

	while (!s->touched && cursor_next(&c, &point)) {
		if (point.number != OTLP_METRIC_POINTS || point.type != WIRE_LENGTH)
			continue;
		l[n].point = point.body;
		l[n].key = key_pair(s->p, f->id, key_wire(s->p, point.body, field));
		places_prefetch(&s->p->series, l[n].key);
		if (++n == LOOKED_UP_TOGETHER) {
			judge_all(s, f, l, n);
			n = 0;
		}
	}
	if (c.error)
		return malformed(error);
	judge_all(s, f, l, n);
	return 0;
}

static bool has_points(struct slice data)
{
	struct cursor c = cursor_of(data);
	struct cursor_field f;

	while (cursor_next(&c, &f))
		if (f.number == OTLP_METRIC_POINTS && f.type == WIRE_LENGTH)
			return true;
	return false;
}

static int scan_metric(struct scan *s, uint64_t scope, struct slice bytes, struct error *error)
{
	struct cursor c = cursor_of(bytes);
	struct cursor_field f, data = {0};
	struct slice name = {0}, unit = {0};
	struct family family;

	while (cursor_next(&c, &f)) {
		if (f.type != WIRE_LENGTH)
			continue;
		if (f.number == 1)
			name = f.body;
		else if (f.number == 3)
			unit = f.body;
		else if (is_data(f.number)) {
			s->touched |= data.number != 0; /* twice: decoding merges them */
			data = f;
		}
	}
	if (c.error)
		return malformed(error);
	if (s->touched || !has_points(data.body))
		return 0;
	limits_family(s->p, scope, name, unit, kind_of(&data), &family);
	if (family.metric && family.mergeable && rule_has_labels(family.metric->rule)) {
		s->touched = true;
		return 0;
	}
	return scan_points(s, &family, &data, error);
}

static uint64_t scope_of(const struct cardinality *p, uint64_t resource, struct slice bytes)
{
	struct cursor c = cursor_of(bytes);
	struct slice name = {0}, version = {0};
	struct cursor_field f;
	uint64_t attributes = 0;

	while (cursor_next(&c, &f)) {
		struct cursor inner = cursor_of(f.body);
		struct cursor_field g;

		if (f.number != 1 || f.type != WIRE_LENGTH)
			continue;
		while (cursor_next(&inner, &g))
			if (g.number == 1 && g.type == WIRE_LENGTH)
				name = g.body;
			else if (g.number == 2 && g.type == WIRE_LENGTH)
				version = g.body;
		attributes += key_wire(p, f.body, 3);
	}
	return key_scope(p, resource, name, version, attributes);
}

static int scan_scopes(struct scan *s, uint64_t resource, struct slice bytes, struct error *error)
{
	struct cursor c = cursor_of(bytes), inner;
	struct cursor_field f, g;
	int r = 0;

	while (r == 0 && !s->touched && cursor_next(&c, &f)) {
		uint64_t scope;

		if (f.number != OTLP_GROUP_SCOPES || f.type != WIRE_LENGTH)
			continue;
		scope = scope_of(s->p, resource, f.body);
		inner = cursor_of(f.body);
		while (r == 0 && !s->touched && cursor_next(&inner, &g))
			if (g.number == OTLP_SCOPE_ITEMS && g.type == WIRE_LENGTH)
				r = scan_metric(s, scope, g.body, error);
		if (r == 0 && inner.error)
			r = malformed(error);
	}
	return r == 0 && c.error ? malformed(error) : r;
}

static uint64_t resource_of(const struct cardinality *p, struct slice group)
{
	struct cursor c = cursor_of(group);
	struct cursor_field f;
	uint64_t sum = 0;

	while (cursor_next(&c, &f))
		if (f.number == OTLP_GROUP_RESOURCE && f.type == WIRE_LENGTH)
			sum += key_wire(p, f.body, RESOURCE_ATTRIBUTES);
	return sum;
}

static int scan_group(struct scan *s, const struct group *g, struct error *error)
{
	uint64_t resource;
	int r = 0;

	s->group = g;
	s->resource_followed = false;
	if (g->wire.data)
		return scan_scopes(s, resource_of(s->p, g->wire), g->wire, error);
	if (g->depth == DEPTH_WIRE) /* no bytes */
		return 0;
	s->touched = g->depth == DEPTH_FULL;
	resource = key_attributes(s->p, g->resource->attributes, g->resource->n_attributes);
	for (size_t i = 0; r == 0 && !s->touched && i < g->n_rest; i++)
		r = scan_scopes(s, resource, g->rest[i], error);
	return r;
}

int scan_batch(struct cardinality *p, const struct batch *b, bool *ret_untouched,
               struct error *error)
{
	struct scan s = {.p = p,
	                 .now_ms = (uint32_t)(loop_now_ns(p->component.host->loop) / NS_PER_MS)};
	int r = 0;

	buffer_clear(&p->scratch);
	for (const struct group *g = b->first; g && r == 0 && !s.touched; g = g->next)
		r = scan_group(&s, g, error);
	if (r == 0 && p->scratch.failed)
		r = error_no_memory(error);
	if (r == 0)
		*ret_untouched = !s.touched;
	return r;
}
