#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/utf8.h"
#include "core/self/metrics_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
	struct list collectors;
	uint64_t started_unix_ns;
};

struct metrics_collector {
	struct list link;
	void (*collect)(void *arg, struct metrics_sink *sink);
	void *arg;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	list_init(&m->collectors);
	m->started_unix_ns = clock_realtime_ns();
	return m;
}

void metrics_free(struct metrics *m)
{
	struct metrics_collector *c, *next;

	if (!m)
		return;
	LIST_FOR_EACH_SAFE(c, next, &m->collectors, link)
		metrics_unregister(m, c);
	free(m);
}

struct metrics_collector *metrics_register(struct metrics *m,
                                           void (*collect)(void *arg, struct metrics_sink *sink),
                                           void *arg)
{
	struct metrics_collector *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->collect = collect;
	c->arg = arg;
	list_push(&m->collectors, &c->link);
	return c;
}

void metrics_unregister(struct metrics *m, struct metrics_collector *c)
{
	if (!c)
		return;
	list_remove(&c->link);
	free(c);
}

uint64_t metrics_started_unix_ns(const struct metrics *m)
{
	return m->started_unix_ns;
}

static bool point_is(const struct map_node *node, const void *key)
{
	const struct metrics_point *p = CONTAINER_OF(node, struct metrics_point, node);

	return slice_equal(p->key, *(const struct slice *)key);
}

static void sink_init(struct metrics_sink *sink)
{
	*sink = (struct metrics_sink){0};
	arena_init(&sink->arena, NULL);
	map_init(&sink->points, point_is);
}

void metrics_sink_fini(struct metrics_sink *sink)
{
	map_fini(&sink->points);
	free(sink->families);
	buffer_fini(&sink->key);
	arena_fini(&sink->arena);
}

static void collect_all(struct metrics *m, struct metrics_sink *sink)
{
	struct metrics_collector *c;

	LIST_FOR_EACH(c, &m->collectors, link)
		c->collect(c->arg, sink);
}

void metrics_read(struct metrics *m, struct metrics_sink *sink)
{
	sink_init(sink);
	collect_all(m, sink);
}

/* The family of that name, or where it belongs. */
static size_t family_place(const struct metrics_sink *sink, const char *name, bool *ret_found)
{
	size_t low = 0, high = sink->n_families;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(sink->families[middle].name, name);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Valid until the next family is asked for. NULL: no memory. */
static struct metrics_family *family_get(struct metrics_sink *sink, const char *name,
                                         const char *help, enum metrics_type type)
{
	bool found;
	size_t at = family_place(sink, name, &found);

	if (found) {
		assert(sink->families[at].type == type); /* one name, two types: a bug */
		return &sink->families[at];
	}
	if (sink->n_families == sink->capacity) {
		size_t capacity = sink->capacity ? sink->capacity * 2 : 64;
		struct metrics_family *families =
			reallocarray(sink->families, capacity, sizeof *families);
		if (!families) {
			sink->failed = true;
			return NULL;
		}
		sink->families = families;
		sink->capacity = capacity;
	}
	memmove(&sink->families[at + 1], &sink->families[at],
	        (sink->n_families - at) * sizeof *sink->families);
	sink->n_families++;
	sink->families[at] = (struct metrics_family){.name = name, .help = help, .type = type};
	return &sink->families[at];
}

/* Into the scratch buffer. A label's value may hold what a user or a kernel named; one bad byte
 * would cost the whole reading. */
static void write_key(struct metrics_sink *sink, const char *name,
                      const struct metrics_label *labels)
{
	struct buffer *out = &sink->key;

	buffer_clear(out);
	buffer_append_string(out, name);
	buffer_append_byte(out, 0);
	for (; labels && labels->name; labels++) {
		if (!labels->value || !*labels->value)
			continue;
		buffer_append_string(out, labels->name);
		buffer_append_byte(out, 0);
		utf8_append(out, slice_from_string(labels->value));
		buffer_append_byte(out, 0);
	}
}

bool metrics_next_label(struct slice *labels, struct slice *ret_name, struct slice *ret_value)
{
	size_t taken;

	if (!labels->len)
		return false;
	*ret_name = slice_from_string((const char *)labels->data);
	*ret_value = slice_from_string((const char *)labels->data + ret_name->len + 1);
	taken = ret_name->len + 1 + ret_value->len + 1;
	*labels = slice_of(labels->data + taken, labels->len - taken);
	return true;
}

static struct metrics_point *point_new(struct metrics_sink *sink, struct metrics_family *family,
                                       struct slice key, uint64_t hash)
{
	struct metrics_point *p = arena_alloc(&sink->arena, sizeof *p);
	size_t name = strlen(family->name) + 1;

	if (!p || !arena_copy(&sink->arena, key, &p->key) ||
	    !map_insert(&sink->points, hash, &p->node))
		return NULL;
	p->labels = slice_of(p->key.data + name, p->key.len - name);
	p->fallback = true;
	if (family->last)
		family->last->next = p;
	else
		family->first = p;
	family->last = p;
	return p;
}

/* The point to add to. NULL: somebody who knows better has reported it, or there is no memory, which
 * the sink remembers. */
static struct metrics_point *point_get(struct metrics_sink *sink, struct metrics_family *family,
                                       const struct metrics_label *labels, bool fallback)
{
	struct metrics_point *p = NULL;
	struct map_node *node;
	struct slice key;
	uint64_t hash;

	write_key(sink, family->name, labels);
	if (!sink->key.failed) {
		key = buffer_slice(&sink->key);
		hash = hash_bytes(key.data, key.len);
		node = map_find(&sink->points, hash, &key);
		p = node ? CONTAINER_OF(node, struct metrics_point, node)
		         : point_new(sink, family, key, hash);
	}
	if (!p) {
		sink->failed = true;
		return NULL;
	}
	if (fallback && !p->fallback)
		return NULL;
	if (!fallback && p->fallback) {
		p->fallback = false;
		p->value = 0;
	}
	return p;
}

static bool has_labels(const struct metrics_label *labels, const struct metrics_label *wanted)
{
	for (; wanted && wanted->name; wanted++) {
		const struct metrics_label *l = labels;
		while (l && l->name && strcmp(l->name, wanted->name) != 0)
			l++;
		if (!l || !l->name || !l->value || strcmp(l->value, wanted->value) != 0)
			return false;
	}
	return true;
}

static void add_point(struct metrics_sink *sink, const char *name, const char *help,
                      enum metrics_type type, const struct metrics_label *labels, double value,
                      bool fallback)
{
	struct metrics_family *family;
	struct metrics_point *p;

	if (sink->wanted && strcmp(name, sink->wanted) != 0)
		return;
	family = family_get(sink, name, help, type);
	p = family ? point_get(sink, family, labels, fallback) : NULL;
	if (!p)
		return;
	p->value += value;
	p->wanted = sink->wanted && has_labels(labels, sink->wanted_labels);
}

void metrics_counter(struct metrics_sink *sink, const char *name, const char *help,
                     const struct metrics_label *labels, double value)
{
	add_point(sink, name, help, METRICS_COUNTER, labels, value, false);
}

void metrics_counter_fallback(struct metrics_sink *sink, const char *name, const char *help,
                              const struct metrics_label *labels, double value)
{
	add_point(sink, name, help, METRICS_COUNTER, labels, value, true);
}

void metrics_gauge(struct metrics_sink *sink, const char *name, const char *help,
                   const struct metrics_label *labels, double value)
{
	add_point(sink, name, help, METRICS_GAUGE, labels, value, false);
}

static bool histogram_begin(struct metrics_sink *sink, struct metrics_point *p,
                            const double *bounds, size_t n_bounds)
{
	double *copy = arena_alloc_array(&sink->arena, n_bounds + 1, sizeof *copy);

	p->counts = arena_alloc_array(&sink->arena, n_bounds + 1, sizeof *p->counts);
	if (!copy || !p->counts)
		return false;
	memcpy(copy, bounds, n_bounds * sizeof *copy);
	p->bounds = copy;
	p->n_bounds = n_bounds;
	return true;
}

void metrics_histogram(struct metrics_sink *sink, const char *name, const char *help,
                       const struct metrics_label *labels, const double *bounds, size_t n_bounds,
                       const uint64_t *counts, double sum)
{
	struct metrics_family *family;
	struct metrics_point *p;

	if (sink->wanted)
		return;
	family = family_get(sink, name, help, METRICS_HISTOGRAM);
	p = family ? point_get(sink, family, labels, false) : NULL;
	if (!p)
		return;
	if (!p->counts && !histogram_begin(sink, p, bounds, n_bounds)) {
		sink->failed = true;
		return;
	}
	assert(p->n_bounds == n_bounds); /* one name, two sets of bounds: a bug */
	for (size_t i = 0; i <= n_bounds; i++)
		p->counts[i] += counts[i];
	p->value += sum;
}

double metrics_sum(struct metrics *m, const char *name, const struct metrics_label *labels)
{
	struct metrics_sink sink;
	double sum = 0;

	sink_init(&sink);
	sink.wanted = name;
	sink.wanted_labels = labels;
	collect_all(m, &sink);
	for (size_t i = 0; i < sink.n_families; i++)
		for (const struct metrics_point *p = sink.families[i].first; p; p = p->next)
			sum += p->wanted ? p->value : 0;
	metrics_sink_fini(&sink);
	return sum;
}
