#include "core/base/clock.h"
#include "core/base/utf8.h"
#include "core/data/build.h"
#include "core/data/semconv.h"
#include "core/prometheus/number.h"
#include "core/prometheus/translate_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- labels */

static struct slice resource_string(const Otlp__ResourceMetrics *group, const char *key)
{
	const Otlp__Resource *r = group->resource;
	const Otlp__AnyValue *v = r ? attribute_find(r->attributes, r->n_attributes, key) : NULL;

	if (!v || v->value_case != OTLP__ANY_VALUE__VALUE_STRING_VALUE)
		return (struct slice){0};
	return slice_of_bytes(v->string_value);
}

/* job is service.namespace/service.name, instance service.instance.id. */
static void add_identity(struct translator *t, const Otlp__ResourceMetrics *group)
{
	struct slice ns = resource_string(group, SEMCONV_SERVICE_NAMESPACE);
	struct slice name = resource_string(group, SEMCONV_SERVICE_NAME);

	if (name.len && ns.len) {
		buffer_clear(&t->scratch);
		buffer_append_slice(&t->scratch, ns);
		buffer_append_byte(&t->scratch, '/');
		buffer_append_slice(&t->scratch, name);
		t->labels.failed |= t->scratch.failed;
		name = buffer_slice(&t->scratch);
	}
	labels_fixed(&t->labels, "job", name);
	labels_fixed(&t->labels, "instance", resource_string(group, SEMCONV_SERVICE_INSTANCE_ID));
}

static bool listed(const char *const *list, struct slice key)
{
	for (; list && *list; list++)
		if (strcmp(*list, "*") == 0 || slice_equal(slice_from_string(*list), key))
			return true;
	return false;
}

static void add_resource(struct translator *t, const Otlp__Resource *r)
{
	const struct translator_options *o = &t->options;

	for (size_t i = 0; r && o->resource_included && i < r->n_attributes; i++) {
		struct slice key = slice_of_bytes(r->attributes[i]->key);

		if (listed(o->resource_included, key) && !listed(o->resource_excluded, key))
			labels_attribute(&t->labels, o->strategy, LABEL_OF_RESOURCE,
			                 (struct slice){0}, key, r->attributes[i]->value);
	}
}

static bool is_scope_field(struct slice key)
{
	return slice_equal(key, SLICE_LITERAL("name")) ||
	       slice_equal(key, SLICE_LITERAL("version")) ||
	       slice_equal(key, SLICE_LITERAL("schema_url"));
}

static void add_scope_fields(struct translator *t, const Otlp__ScopeMetrics *sm)
{
	if (sm->scope) {
		labels_fixed(&t->labels, "otel_scope_name", slice_of_bytes(sm->scope->name));
		labels_fixed(&t->labels, "otel_scope_version", slice_of_bytes(sm->scope->version));
	}
	labels_fixed(&t->labels, "otel_scope_schema_url", slice_of_bytes(sm->schema_url));
}

static void add_scope_attributes(struct translator *t, const Otlp__InstrumentationScope *scope)
{
	for (size_t i = 0; scope && i < scope->n_attributes; i++) {
		struct slice key = slice_of_bytes(scope->attributes[i]->key);

		if (!is_scope_field(key))
			labels_attribute(&t->labels, t->options.strategy, LABEL_OF_SCOPE,
			                 SLICE_LITERAL("otel_scope_"), key,
			                 scope->attributes[i]->value);
	}
}

static void add_externals(struct translator *t)
{
	for (size_t i = 0; i < t->options.n_external; i++)
		labels_external(&t->labels, t->options.external[i].name,
		                t->options.external[i].value);
}

/* All labels of a point's series, with something in the place of the name and, where there is one, of
 * le or quantile. False: too many, or no memory. */
static bool point_labels(const struct place *at, Otlp__KeyValue *const *attributes, size_t n,
                         const char *variable)
{
	struct translator *t = at->t;
	struct labels *l = &t->labels;

	labels_begin(l);
	labels_fixed(l, "__name__", SLICE_LITERAL("-"));
	if (variable)
		labels_fixed(l, variable, SLICE_LITERAL("-"));
	add_identity(t, at->group);
	if (!t->options.no_scope_labels)
		add_scope_fields(t, at->scope);
	add_resource(t, at->group->resource);
	if (!t->options.no_scope_labels)
		add_scope_attributes(t, at->scope->scope);
	for (size_t i = 0; i < n; i++)
		labels_attribute(l, t->options.strategy, LABEL_OF_POINT, (struct slice){0},
		                 slice_of_bytes(attributes[i]->key), attributes[i]->value);
	add_externals(t);
	return labels_finish(l);
}

static struct label *label_find(struct labels *l, const char *name)
{
	struct slice wanted = slice_from_string(name);

	for (size_t i = 0; i < l->n; i++)
		if (slice_equal(l->list[i].name, wanted))
			return &l->list[i];
	return NULL;
}

/* ---- series */

int target_dropped(struct translator *t, int r)
{
	switch (r) {
	case -ENOSPC:
		translator_drop(t, TRANSLATE_SERIES_LIMIT, 1);
		return 0;
	case -EEXIST:
		translator_drop(t, TRANSLATE_CONFLICT, 1);
		return 0;
	case -E2BIG:
		translator_drop(t, TRANSLATE_TOO_LARGE, 1);
		return 0;
	case -EINVAL:
		translator_drop(t, TRANSLATE_NO_NAME, 1);
		return 0;
	default:
		return r;
	}
}

static int family_get(struct place *at)
{
	struct translator *t = at->t;
	const struct translator_options *o = &t->options;
	const Otlp__Metric *m = at->metric;
	/* a sum that may fall is shown as a gauge, but counts things: nothing about it is a ratio */
	bool sum = m->data_case == OTLP__METRIC__DATA_SUM && at->type == METRIC_GAUGE;

	if (at->family)
		return 0;
	buffer_clear(&t->name);
	buffer_clear(&t->unit);
	buffer_clear(&t->scratch);
	name_metric(&t->name, o->strategy, slice_from_string(o->namespace), slice_of_bytes(m->name),
	            slice_of_bytes(m->unit), sum ? METRIC_UNKNOWN : at->type);
	name_unit(&t->unit, o->strategy, slice_of_bytes(m->unit));
	utf8_append(&t->scratch, slice_of_bytes(m->description));
	if (t->name.failed || t->unit.failed || t->scratch.failed)
		return -ENOMEM;
	if (!t->name.len)
		return -EINVAL;
	if (t->name.len + t->scratch.len + t->unit.len > SERIES_LABEL_BYTES_LIMIT)
		return -E2BIG;
	return series_family_get(&t->table, buffer_slice(&t->name), at->type,
	                         buffer_slice(&t->scratch), buffer_slice(&t->unit), o->one_type,
	                         &at->family);
}

/* The series with the labels of point_labels(), the metric's name and suffix. */
static int series_of_labels(struct place *at, enum series_role role, const struct label *labels,
                            size_t n, struct label *name, const char *suffix, struct series **ret,
                            bool *ret_new)
{
	struct translator *t = at->t;
	size_t bare = t->name.len;
	int r;

	buffer_append_string(&t->name, suffix);
	if (t->name.failed)
		return -ENOMEM;
	name->value = buffer_slice(&t->name);
	r = series_get(&t->table, at->family, role, labels, n, t->options.one_type, ret, ret_new);
	t->name.len = bare;
	return r;
}

static void leave(struct translator *t, struct series *s)
{
	series_leave(s);
	if (translator_end_series(t, s))
		series_unref(&t->table, s);
}

/* One series for the point, with nothing added to the name. */
static int series_single(struct place *at, Otlp__KeyValue *const *attributes, size_t n,
                         enum series_role role, struct series **ret)
{
	struct translator *t = at->t;
	bool fresh;
	int r = family_get(at);

	if (r < 0)
		return r;
	if (!point_labels(at, attributes, n, NULL))
		return t->labels.failed ? -ENOMEM : -E2BIG;
	return series_of_labels(at, role, t->labels.list, t->labels.n,
	                        label_find(&t->labels, "__name__"), "", ret, &fresh);
}

/* ---- points */

/* The series' last point of those collected, where that is noted: of deltas and of target_info. */
static struct point *point_of(struct translator *t, const struct series *s)
{
	struct point *p = s->pending < t->n_points ? &t->points[s->pending] : NULL;
	struct stream *stream = p ? target_stream(p->target) : NULL;

	if (!p || (stream ? stream->series[stream->n - 1] : target_series(p->target)) != s)
		return NULL;
	return p;
}

struct point *point_add(struct place *at, stream_target target, uint64_t time_ns, uint64_t start_ns)
{
	struct translator *t = at->t;
	struct stream *stream = target_stream(target);
	struct point *p;

	if (t->n_points == t->points_capacity) {
		size_t capacity = t->points_capacity ? t->points_capacity * 2 : 256;
		struct point *points = reallocarray(t->points, capacity, sizeof *points);

		if (!points)
			return NULL;
		t->points = points;
		t->points_capacity = capacity;
	}
	p = &t->points[t->n_points];
	*p = (struct point){
		.target = target,
		.time_ns = time_ns,
		.start_ms = at->starts ? (int64_t)(start_ns / NS_PER_MS) : 0,
		.order = (uint32_t)t->n_points,
		.of = (uint32_t)(t->pending.points - 1),
		.delta = at->delta,
		.starts = at->starts,
	};
	if (at->delta && stream) {
		/* of all its series the last is shared with whatever other stream shares one */
		struct series *s = stream->series[stream->n - 1];
		const struct point *before = point_of(t, s);

		if (before && before->time_ns > time_ns)
			t->deltas_disordered = true;
		s->pending = (uint32_t)t->n_points;
	}
	t->n_points++;
	t->samples_needed += stream ? stream->n : 1;
	if (time_ns > at->newest_ns)
		at->newest_ns = time_ns;
	return p;
}

/* A target that was made has no slot: it goes again. */
static void target_release(struct translator *t, stream_target target)
{
	struct stream *stream = target_stream(target);

	for (uint32_t i = 0; stream && i < stream->n; i++)
		leave(t, stream->series[i]);
	if (!stream)
		leave(t, target_series(target));
	free(stream);
}

static int slot_add(struct translator *t, struct stream_id id, stream_target target)
{
	struct stream_slot *slot = NULL;
	int r = -ENOSPC;

	if (t->streams.count < t->max_streams) {
		slot = streams_add(&t->streams, id, target);
		r = slot ? 0 : -ENOMEM;
	}
	if (slot)
		slot->seen = t->now;
	else
		target_release(t, target);
	return r;
}

static struct stream *stream_new(uint32_t n)
{
	struct stream *stream = calloc(1, sizeof *stream + n * sizeof(struct series *));

	if (stream)
		stream->n = n;
	return stream;
}

static int states_new(struct stream *stream)
{
	for (uint32_t i = 0; i < stream->n; i++)
		if (!series_state_new(stream->series[i]))
			return -ENOMEM;
	return 0;
}

/* A stream around one series, for deltas and for layouts. The series is the stream's or let go. */
static int stream_around(struct place *at, struct series *s, struct stream **ret)
{
	struct stream *stream = stream_new(1);

	if (!stream) {
		leave(at->t, s);
		return -ENOMEM;
	}
	stream->series[0] = s;
	if (at->delta && states_new(stream) < 0) {
		target_release(at->t, target_of_stream(stream));
		return -ENOMEM;
	}
	*ret = stream;
	return 0;
}

int target_single(struct place *at, struct stream_id id, Otlp__KeyValue *const *attributes,
                  size_t n, enum series_role role, stream_target *ret)
{
	struct translator *t = at->t;
	struct stream_slot *slot;
	struct stream *stream;
	struct series *s;
	stream_target target;
	int r;

	*ret = 0;
	slot = streams_find(&t->streams, id);
	if (slot) {
		slot->seen = t->now;
		t->pending.hits++;
		*ret = slot->target;
		/* what tell() will look at, a whole batch later */
		__builtin_prefetch(target_series(slot->target & ~(stream_target)1), 1);
		return 0;
	}
	r = series_single(at, attributes, n, role, &s);
	if (r < 0)
		return target_dropped(t, r);
	target = target_of_series(s);
	if (at->delta) {
		r = stream_around(at, s, &stream);
		if (r < 0)
			return r;
		target = target_of_stream(stream);
	}
	r = slot_add(t, id, target);
	if (r < 0)
		return target_dropped(t, r);
	*ret = target;
	return 0;
}

int target_native(struct place *at, Otlp__KeyValue *const *attributes, size_t n, stream_target *ret)
{
	struct stream_id id = identity_point(&at->t->scratch, at->metric_id, attributes, n);

	*ret = 0;
	if (at->t->scratch.failed)
		return -ENOMEM;
	return target_single(at, id, attributes, n, SERIES_NATIVE, ret);
}

/* ---- points of several series */

static double layout_value(const struct layout *l, uint32_t i)
{
	if (l->quantiles)
		return l->quantiles[i]->quantile;
	return i == l->n_values - 1 ? INFINITY : l->values[i];
}

static int stream_fill(struct place *at, const struct layout *layout, struct stream *stream,
                       bool *ret_parts_new)
{
	struct translator *t = at->t;
	struct labels *l = &t->labels;
	struct label *variable, *name, without[SERIES_LABELS_LIMIT];
	uint32_t i, n = (uint32_t)layout->n_values;
	bool fresh = false, whole_new = false, part_new = false;
	size_t k = 0;
	int r = 0;

	if (!point_labels(at, layout->attributes, layout->n_attributes, layout->label))
		return l->failed ? -ENOMEM : -E2BIG;
	variable = label_find(l, layout->label);
	name = label_find(l, "__name__");
	for (i = 0; i < n && r == 0; i++) {
		buffer_clear(&t->number);
		number_append(&t->number, layout_value(layout, i));
		if (t->number.failed)
			r = -ENOMEM;
		variable->value = buffer_slice(&t->number);
		if (r == 0)
			r = series_of_labels(at, layout->role, l->list, l->n, name, layout->suffix,
			                     &stream->series[i], &fresh);
		part_new |= fresh;
	}
	for (size_t j = 0; j < l->n; j++)
		if (&l->list[j] != variable)
			without[k++] = l->list[j];
	name = without;
	while (!slice_equal(name->name, SLICE_LITERAL("__name__")))
		name++;
	for (; i < n + 2 && r == 0; i++) {
		r = series_of_labels(at, i == n ? SERIES_SUM : SERIES_COUNT, without, k, name,
		                     i == n ? "_sum" : "_count", &stream->series[i], &fresh);
		whole_new |= fresh;
	}
	if (r < 0)
		for (i--; i > 0; i--)
			leave(t, stream->series[i - 1]);
	*ret_parts_new = part_new && !whole_new;
	return r;
}

static int stream_of_layout(struct place *at, const struct layout *layout, struct stream **ret)
{
	struct stream *stream;
	bool parts_new = false;
	int r = family_get(at);

	if (r < 0)
		return r;
	stream = stream_new((uint32_t)layout->n_values + 2);
	if (!stream)
		return -ENOMEM;
	r = stream_fill(at, layout, stream, &parts_new);
	if (r < 0) {
		free(stream);
		return r;
	}
	stream->layout = layout->hash;
	/* buckets that were not there, of a histogram that was: its totals no longer fit together */
	stream->reset = parts_new;
	if (at->delta && states_new(stream) < 0) {
		target_release(at->t, target_of_stream(stream));
		return -ENOMEM;
	}
	*ret = stream;
	return 0;
}

/* The new stream takes the slot; the old one waits until the samples are told. */
static void retire(struct translator *t, struct stream_slot *slot, struct stream *stream,
                   uint64_t time_ns)
{
	struct stream *old = target_stream(slot->target);

	stream->last_ns = old->last_ns;
	stream->reset = true;
	old->retired_ms = (int64_t)(time_ns / NS_PER_MS);
	old->next = t->retired;
	t->retired = old;
	for (uint32_t i = 0; i < old->n; i++) {
		series_ref(old->series[i]);
		series_leave(old->series[i]);
	}
	slot->target = target_of_stream(stream);
}

int target_multiple(struct place *at, const struct layout *layout, bool known_only,
                    uint64_t time_ns, stream_target *ret)
{
	struct translator *t = at->t;
	struct stream_id id = identity_point(&t->scratch, at->metric_id, layout->attributes,
	                                     layout->n_attributes);
	struct stream_slot *slot;
	struct stream *stream;
	int r;

	*ret = 0;
	if (t->scratch.failed)
		return -ENOMEM;
	slot = streams_find(&t->streams, id);
	if (slot) {
		slot->seen = t->now;
		stream = target_stream(slot->target);
		if (known_only || stream->layout == layout->hash) {
			t->pending.hits++;
			*ret = slot->target;
			return 0;
		}
	} else if (known_only) {
		return 0;
	}
	r = stream_of_layout(at, layout, &stream);
	if (r < 0)
		return target_dropped(t, r);
	if (slot)
		retire(t, slot, stream, time_ns);
	else if ((r = slot_add(t, id, target_of_stream(stream))) < 0)
		return target_dropped(t, r);
	*ret = target_of_stream(stream);
	return 0;
}

/* ---- target_info */

static bool is_identity(struct slice key)
{
	return slice_equal(key, SLICE_LITERAL(SEMCONV_SERVICE_NAME)) ||
	       slice_equal(key, SLICE_LITERAL(SEMCONV_SERVICE_NAMESPACE)) ||
	       slice_equal(key, SLICE_LITERAL(SEMCONV_SERVICE_INSTANCE_ID));
}

static int target_info_series(struct place *at, struct series **ret)
{
	struct translator *t = at->t;
	const Otlp__Resource *resource = at->group->resource;
	bool fresh;
	int r = series_family_get(&t->table, SLICE_LITERAL("target_info"), METRIC_INFO,
	                          SLICE_LITERAL("Target metadata"), (struct slice){0},
	                          t->options.one_type, &at->family);

	if (r < 0)
		return r;
	labels_begin(&t->labels);
	labels_fixed(&t->labels, "__name__", SLICE_LITERAL("target_info"));
	add_identity(t, at->group);
	for (size_t i = 0; i < resource->n_attributes; i++) {
		struct slice key = slice_of_bytes(resource->attributes[i]->key);

		if (!is_identity(key))
			labels_attribute(&t->labels, t->options.strategy, LABEL_OF_RESOURCE,
			                 (struct slice){0}, key, resource->attributes[i]->value);
	}
	add_externals(t);
	if (labels_finish(&t->labels))
		r = series_get(&t->table, at->family, SERIES_VALUE, t->labels.list, t->labels.n,
		               t->options.one_type, ret, &fresh);
	else
		r = t->labels.failed ? -ENOMEM : -E2BIG;
	series_family_release(&t->table, at->family);
	at->family = NULL;
	return r;
}

/* Something besides the identity, which must be there: job or instance. */
static bool has_target_info(const Otlp__ResourceMetrics *group)
{
	const Otlp__Resource *r = group->resource;

	if (!resource_string(group, SEMCONV_SERVICE_NAME).len &&
	    !resource_string(group, SEMCONV_SERVICE_INSTANCE_ID).len)
		return false;
	for (size_t i = 0; i < r->n_attributes; i++)
		if (!is_identity(slice_of_bytes(r->attributes[i]->key)))
			return true;
	return false;
}

int collect_target_info(struct place *at)
{
	struct translator *t = at->t;
	struct stream_id id = identity_target(at->resource_id);
	struct stream_slot *slot;
	stream_target target;
	struct series *s;
	struct point *p;
	int r;

	if (t->options.no_target_info || !at->newest_ns || !has_target_info(at->group))
		return 0;
	at->delta = at->starts = false;
	slot = streams_find(&t->streams, id);
	if (slot) {
		slot->seen = t->now;
		target = slot->target;
	} else {
		r = target_info_series(at, &s);
		if (r < 0)
			return r == -ENOMEM ? r : 0; /* left out; it is no point */
		target = target_of_series(s);
		r = slot_add(t, id, target);
		if (r < 0)
			return r == -ENOMEM ? r : 0; /* left out; it is no point */
	}
	/* several groups of a batch may be of one resource */
	s = target_series(target);
	p = point_of(t, s);
	if (p && p->kind == POINT_TARGET_INFO) {
		if (at->newest_ns > p->time_ns)
			p->time_ns = at->newest_ns;
		return 0;
	}
	p = point_add(at, target, at->newest_ns, 0);
	if (!p)
		return -ENOMEM;
	p->kind = POINT_TARGET_INFO;
	p->of = SAMPLE_OF_NO_POINT;
	s->pending = (uint32_t)(t->n_points - 1);
	return 0;
}
