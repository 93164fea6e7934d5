/* follow: which attributes have so many values. For each attribute of points, by the name of their
 * metric, and for each of resources there is an estimate of how many values made series in the last
 * one to two times `idle`.
 *
 * A known series brings no new value: only what is fresh is looked at, that is series that are new
 * and, once in a generation, those that are still there. At most FOLLOWED_MAX attributes are
 * followed: beyond it a new one takes the place of one that has few values. The attribute that makes
 * the series is back with its next one, and stays. Without memory an attribute is not followed;
 * nothing else depends on it. */
#include "core/base/clock.h"
#include "core/self/metrics.h"
#include "core/wire/cursor.h"
#include "core/wire/otlp.h"
#include "processors/cardinality_limit/cardinality_limit_internal.h"
#include "processors/cardinality_limit/distinct.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FOLLOWED_MAX = 1024, TOLD = 10, TOLD_IN_LOG = 3 };
enum { NAME_MAX_BYTES = 200 }; /* of what is longer the beginning is told */
enum { COMPARED = 8 };         /* of so many the one with fewest values goes */

struct followed {
	struct distinct values;
	uint16_t attribute; /* where its name begins in names */
	uint16_t size;      /* of names */
	uint64_t metric;    /* the key of its metric_place; 0: an attribute of resources */
	char names[];       /* of the metric, of the attribute */
};

struct followed_place {
	uint64_t key;
	struct followed *followed;
};

/* As it is told. */
struct worst {
	const struct followed *followed;
	double values;
};

void follow_init(struct cardinality *p, uint64_t now_ns)
{
	places_init(&p->follow.places, sizeof(struct followed_place), p->component.host->budget);
	follow_turn(p, now_ns);
}

static void followed_free(struct cardinality *p, struct followed *f)
{
	if (!f)
		return;
	budget_return(p->component.host->budget, sizeof *f + f->size);
	free(f);
}

static void followed_remove(struct cardinality *p, size_t slot)
{
	struct followed_place *place = places_at(&p->follow.places, slot);

	followed_free(p, place->followed);
	places_remove(&p->follow.places, slot);
	memset(p->follow.recent, 0, sizeof p->follow.recent);
}

void follow_fini(struct cardinality *p)
{
	for (size_t i = 0; i < p->follow.places.capacity; i++) {
		struct followed_place *place = places_at(&p->follow.places, i);

		if (place)
			followed_free(p, place->followed);
	}
	places_fini(&p->follow.places);
}

size_t follow_bound(void)
{
	enum { NAMES = 2 * (NAME_MAX_BYTES + 1), ALLOCATED = 16 };

	return places_bound(sizeof(struct followed_place), FOLLOWED_MAX) +
	       FOLLOWED_MAX * (sizeof(struct followed) + NAMES + ALLOCATED);
}

/* ---- generations: they begin with a step of the last values, so that both agree on them */

static bool is_empty(const struct followed_place *place)
{
	return place && !place->followed->values.filled;
}

void follow_turn(struct cardinality *p, uint64_t now_ns)
{
	struct follow *f = &p->follow;
	const uint64_t step_ns = p->config->idle / LAST_STEPS;
	uint64_t generation = now_ns / step_ns / LAST_STEPS;
	unsigned turns = generation - f->generation > 1 ? 2 : 1;

	if (generation == f->generation)
		return;
	f->generation = generation;
	f->since_ms = (uint32_t)((generation * LAST_STEPS * step_ns + NS_PER_MS - 1) / NS_PER_MS);
	f->since_step = (uint8_t)(generation * LAST_STEPS);
	for (size_t i = 0; i < f->places.capacity; i++) {
		struct followed_place *place = places_at(&f->places, i);

		for (unsigned n = 0; place && n < turns; n++)
			distinct_turn(&place->followed->values);
	}
	for (size_t i = 0; i < f->places.capacity; i++)
		while (is_empty(places_at(&f->places, i)))
			followed_remove(p, i);
}

/* ---- what is followed */

static bool make_room(struct cardinality *p)
{
	struct follow *f = &p->follow;
	size_t lowest = SIZE_MAX;
	uint16_t filled = UINT16_MAX;

	if (f->places.count < FOLLOWED_MAX)
		return places_reserve(&f->places, f->places.count + 1);
	for (unsigned n = 0; n < COMPARED;) {
		size_t slot = f->hand++ & (f->places.capacity - 1);
		const struct followed_place *place = places_at(&f->places, slot);

		if (!place)
			continue;
		n++;
		if (place->followed->values.filled < filled) {
			filled = place->followed->values.filled;
			lowest = slot;
		}
	}
	followed_remove(p, lowest);
	return true;
}

static size_t name_put(char *to, struct slice name)
{
	size_t n = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;

	if (n)
		memcpy(to, name.data, n);
	to[n] = 0;
	return n + 1;
}

static struct followed *followed_new(struct cardinality *p, const struct family *family,
                                     struct slice attribute)
{
	char names[2 * (NAME_MAX_BYTES + 1)];
	size_t metric = name_put(names, family ? family->name : (struct slice){0});
	size_t size = metric + name_put(names + metric, attribute);
	struct budget *budget = p->component.host->budget;
	struct followed *f;

	if (!budget_take(budget, sizeof *f + size))
		return NULL;
	f = calloc(1, sizeof *f + size);
	if (!f) {
		budget_return(budget, sizeof *f + size);
		return NULL;
	}
	f->attribute = (uint16_t)metric;
	f->size = (uint16_t)size;
	f->metric = family ? family->metric->key : 0;
	memcpy(f->names, names, size);
	return f;
}

static struct followed *followed_find(struct cardinality *p, const struct family *family,
                                      struct slice attribute)
{
	uint64_t key = key_pair(p, family ? family->metric->key : 0, key_bytes(p, attribute));
	struct followed_place *place = places_find(&p->follow.places, key);
	struct followed *made;

	if (place)
		return place->followed;
	made = followed_new(p, family, attribute);
	if (!made || !make_room(p)) {
		followed_free(p, made);
		return NULL;
	}
	place = places_add(&p->follow.places, key);
	return place->followed = made;
}

static bool is_of(const struct followed *f, const struct family *family, struct slice attribute)
{
	return f && f->metric == (family ? family->metric->key : 0) &&
	       slice_equal(attribute,
	                   slice_of(f->names + f->attribute, f->size - f->attribute - 1u));
}

/* at: which attribute of its list it is. Most lists of a metric have the same attributes in the same
 * order. */
static void follow(struct cardinality *p, const struct family *family, size_t at,
                   struct slice attribute, uint64_t value)
{
	struct followed **recent = &p->follow.recent[at % FOLLOW_RECENT];
	struct followed *f = *recent;

	if (!is_of(f, family, attribute))
		f = followed_find(p, family, attribute);
	if (!f)
		return;
	distinct_add(&f->values, value);
	*recent = f;
}

void follow_wire(struct cardinality *p, const struct family *family, struct slice message,
                 uint32_t field)
{
	struct cursor c = cursor_of(message);
	struct cursor_field attribute, part;
	size_t at = 0;

	while (cursor_next(&c, &attribute)) {
		struct cursor inner = cursor_of(attribute.body);
		struct slice name = {0};

		if (attribute.number != field || attribute.type != WIRE_LENGTH)
			continue;
		while (cursor_next(&inner, &part))
			if (part.number == 1 && part.type == WIRE_LENGTH)
				name = part.body;
		follow(p, family, at++, name, key_bytes(p, attribute.body));
	}
}

void follow_attributes(struct cardinality *p, const struct family *family,
                       Otlp__KeyValue *const *attributes, size_t n, const struct rule *rule)
{
	for (size_t i = 0; i < n; i++) {
		struct slice name = slice_of(attributes[i]->key.data, attributes[i]->key.len);

		if (!rule || rule_keeps(rule, name))
			follow(p, family, i, name, key_attribute(p, attributes[i]));
	}
}

/* ---- what is told */

static bool is_worse(const struct worst *a, const struct worst *b)
{
	int order;

	if (a->values != b->values)
		return a->values > b->values;
	order = strcmp(a->followed->names, b->followed->names); /* the same ones every time */
	if (order == 0)
		order = strcmp(a->followed->names + a->followed->attribute,
		               b->followed->names + b->followed->attribute);
	return order < 0;
}

/* Those with most values, the worst first, of that metric and of resources; 0: of all metrics. What
 * has only one value is no culprit. */
static size_t worst_of(const struct cardinality *p, uint64_t metric, struct worst *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < p->follow.places.capacity; i++) {
		const struct followed_place *place = places_at(&p->follow.places, i);
		struct worst w;
		size_t at;

		if (!place || place->followed->values.filled < 2)
			continue;
		if (metric && place->followed->metric && place->followed->metric != metric)
			continue;
		w = (struct worst){place->followed,
		                   round(distinct_estimate(&place->followed->values))};
		if (n == max && !is_worse(&w, &ret[n - 1]))
			continue;
		n += n < max;
		for (at = n - 1; at && is_worse(&w, &ret[at - 1]); at--)
			ret[at] = ret[at - 1];
		ret[at] = w;
	}
	return n;
}

void follow_collect(const struct cardinality *p, struct metrics_sink *sink)
{
	struct worst worst[TOLD];
	size_t n = worst_of(p, 0, worst, TOLD);

	for (size_t i = 0; i < n; i++) {
		const struct followed *f = worst[i].followed;

		metrics_gauge(sink, "weir_cardinality_limit_attribute_values",
		              "Distinct values, estimated, of the ten attributes with most of "
		              "them; without a metric it is an attribute of resources.",
		              METRICS_LABELS({"processor", p->component.id}, {"metric", f->names},
		                             {"attribute", f->names + f->attribute}),
		              worst[i].values);
	}
}

void follow_describe(const struct cardinality *p, const struct metric_place *metric, char *ret,
                     size_t size)
{
	struct worst worst[TOLD_IN_LOG];
	size_t n = worst_of(p, metric ? metric->key : 0, worst, TOLD_IN_LOG), at = 0;

	*ret = 0;
	for (size_t i = 0; i < n && at < size; i++) {
		const struct followed *f = worst[i].followed;
		const char *whose = f->metric ? f->names : "resources";
		int r = snprintf(ret + at, size - at, "%s%s%s%s (about %.0f)",
		                 i ? ", " : "; attributes with most values: ",
		                 f->names + f->attribute, f->metric && metric ? "" : " of ",
		                 f->metric && metric ? "" : whose, worst[i].values);

		at += r > 0 ? (size_t)r : 0;
	}
}
