#include "core/base/clock.h"
#include "core/prometheus/translate_internal.h"

#include <stdlib.h>

/* More than that many characters in an exemplar's labels and Prometheus refuses it (OpenMetrics 1.0):
 * the ids are then what is kept. */
enum { EXEMPLAR_CHARACTERS_LIMIT = 128 };

static struct slice hex(ProtobufCBinaryData id, size_t len, uint8_t *room)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t any = 0;

	if (id.len != len)
		return (struct slice){0};
	for (size_t i = 0; i < len; i++) {
		room[2 * i] = (uint8_t)digits[id.data[i] >> 4];
		room[2 * i + 1] = (uint8_t)digits[id.data[i] & 15];
		any |= id.data[i];
	}
	return any ? slice_of(room, 2 * len) : (struct slice){0};
}

static size_t characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += (s.data[i] & 0xc0) != 0x80;
	return n;
}

static bool labels_of(struct translator *t, const Otlp__Exemplar *e, bool attributes)
{
	uint8_t room[32];

	labels_begin(&t->labels);
	labels_fixed(&t->labels, "trace_id", hex(e->trace_id, 16, room));
	labels_fixed(&t->labels, "span_id", hex(e->span_id, 8, room));
	for (size_t i = 0; attributes && i < e->n_filtered_attributes; i++) {
		const Otlp__KeyValue *kv = e->filtered_attributes[i];

		labels_attribute(&t->labels, t->options.strategy, LABEL_OF_POINT, (struct slice){0},
		                 slice_of(kv->key.data, kv->key.len), kv->value);
	}
	return labels_finish(&t->labels);
}

static bool fits(const struct labels *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += characters(l->list[i].name) + characters(l->list[i].value);
	return n <= EXEMPLAR_CHARACTERS_LIMIT;
}

static bool copy_labels(struct translator *t, struct exemplar *ret)
{
	struct labels *l = &t->labels;
	struct exemplar_label *labels = arena_alloc_array(&t->arena, l->n, sizeof *labels);

	for (size_t i = 0; labels && i < l->n; i++)
		if (!arena_copy(&t->arena, l->list[i].name, &labels[i].name) ||
		    !arena_copy(&t->arena, l->list[i].value, &labels[i].value))
			return false;
	ret->labels = labels;
	ret->n_labels = l->n;
	return labels || !l->n;
}

static bool build(struct translator *t, const Otlp__Exemplar *e, int64_t ms, struct exemplar *ret)
{
	if (!labels_of(t, e, true) && t->labels.failed)
		return false;
	if ((t->labels.full || !fits(&t->labels)) && !labels_of(t, e, false))
		return false;
	ret->value =
		e->value_case == OTLP__EXEMPLAR__VALUE_AS_INT ? (double)e->as_int : e->as_double;
	ret->ms = (int64_t)(e->time_unix_nano / NS_PER_MS);
	if (!ret->ms)
		ret->ms = ms;
	return copy_labels(t, ret);
}

struct placed {
	struct exemplar exemplar;
	uint32_t bucket, order;
};

static int compare(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	if (x->exemplar.ms != y->exemplar.ms)
		return x->exemplar.ms < y->exemplar.ms ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* The first bucket whose upper bound is not below the value. */
static uint32_t bucket_of(double value, const double *bounds, size_t n)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bounds[middle] >= value)
			high = middle;
		else
			low = middle + 1;
	}
	return (uint32_t)low;
}

bool exemplars_build(struct translator *t, Otlp__Exemplar *const *list, size_t n, int64_t ms,
                     const double *bounds, size_t n_bounds, struct point *ret)
{
	struct placed *placed;
	struct exemplar *exemplars;
	uint32_t *buckets;

	if (!n || t->options.no_exemplars)
		return true;
	placed = arena_alloc_array(&t->arena, n, sizeof *placed);
	exemplars = arena_alloc_array(&t->arena, n, sizeof *exemplars);
	buckets = arena_alloc_array(&t->arena, n, sizeof *buckets);
	if (!placed || !exemplars || !buckets)
		return false;
	for (size_t i = 0; i < n; i++) {
		placed[i].order = (uint32_t)i;
		if (!build(t, list[i], ms, &placed[i].exemplar))
			return false;
		if (bounds)
			placed[i].bucket = bucket_of(placed[i].exemplar.value, bounds, n_bounds);
	}
	qsort(placed, n, sizeof *placed, compare);
	for (size_t i = 0; i < n; i++) {
		exemplars[i] = placed[i].exemplar;
		buckets[i] = placed[i].bucket;
	}
	ret->exemplars = exemplars;
	ret->buckets = buckets;
	ret->n_exemplars = (uint32_t)n;
	return true;
}
