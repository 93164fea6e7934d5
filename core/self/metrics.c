#include "core/self/metrics.h"

#include "core/base/arena.h"
#include "core/base/list.h"
#include "core/base/map.h"
#include "core/base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct metrics {
	struct list collectors;
};

struct metrics_collector {
	struct list link;
	void (*collect)(void *arg, struct metrics_sink *sink);
	void *arg;
};

enum family_type { COUNTER, GAUGE, HISTOGRAM };
static const char *const type_names[] = {"counter", "gauge", "histogram"};

/* One line of the exposition: the series as it is written, and its value. */
struct row {
	struct map_node node; /* by series */
	struct row *next;     /* in the family, in the order of first mention */
	struct slice series;
	double value;
	bool fallback; /* reported by nobody but those who watch from outside */
	bool wanted;   /* counts for the query */
};

struct family {
	const char *name, *help;
	enum family_type type;
	struct row *first, *last;
};

/* One reading. Rows live in its arena; families stand sorted by name. */
struct metrics_sink {
	struct arena arena;
	struct family *families;
	size_t n_families, capacity;
	struct map rows;
	struct buffer series; /* scratch */
	bool failed;

	const char *wanted; /* a query for metrics_sum(); or NULL */
	const struct metrics_label *wanted_labels;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (m)
		list_init(&m->collectors);
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

static bool row_is(const struct map_node *node, const void *key)
{
	const struct row *row = CONTAINER_OF(node, struct row, node);
	return slice_equal(row->series, *(const struct slice *)key);
}

static void sink_init(struct metrics_sink *sink)
{
	*sink = (struct metrics_sink){0};
	arena_init(&sink->arena, NULL);
	map_init(&sink->rows, row_is);
}

static void sink_fini(struct metrics_sink *sink)
{
	map_fini(&sink->rows);
	free(sink->families);
	buffer_fini(&sink->series);
	arena_fini(&sink->arena);
}

static void collect_all(struct metrics *m, struct metrics_sink *sink)
{
	struct metrics_collector *c;

	LIST_FOR_EACH(c, &m->collectors, link)
		c->collect(c->arg, sink);
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
static struct family *family_get(struct metrics_sink *sink, const char *name, const char *help,
                                 enum family_type type)
{
	bool found;
	size_t at = family_place(sink, name, &found);

	if (found) {
		assert(sink->families[at].type == type); /* one name, two types: a bug */
		return &sink->families[at];
	}
	if (sink->n_families == sink->capacity) {
		size_t capacity = sink->capacity ? sink->capacity * 2 : 64;
		struct family *families = reallocarray(sink->families, capacity, sizeof *families);
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
	sink->families[at] = (struct family){.name = name, .help = help, .type = type};
	return &sink->families[at];
}

/* A label value may hold what a user or a kernel named; one bad byte would cost the whole
 * scrape. */
static void append_escaped(struct buffer *out, const char *text, bool quoted)
{
	for (;;) {
		size_t plain = strcspn(text, quoted ? "\\\n\"" : "\\\n");

		utf8_append(out, (struct slice){(const uint8_t *)text, plain});
		text += plain;
		if (!*text)
			return;
		buffer_append_byte(out, '\\');
		buffer_append_byte(out, *text == '\n' ? 'n' : (uint8_t)*text);
		text++;
	}
}

static void append_number(struct buffer *out, double value)
{
	char text[32];

	if (isnan(value)) {
		buffer_append_string(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buffer_append_string(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	snprintf(text, sizeof text, "%.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof text, "%.17g", value);
	buffer_append_string(out, text);
}

/* name + suffix and the labels, le last, into the scratch buffer. */
static void write_series(struct metrics_sink *sink, const char *name, const char *suffix,
                         const struct metrics_label *labels, const double *le)
{
	struct buffer *out = &sink->series;
	char separator = '{';

	buffer_clear(out);
	buffer_append_string(out, name);
	buffer_append_string(out, suffix);
	for (; labels && labels->name; labels++) {
		if (!labels->value || !*labels->value)
			continue;
		buffer_append_byte(out, (uint8_t)separator);
		separator = ',';
		buffer_append_string(out, labels->name);
		buffer_append_string(out, "=\"");
		append_escaped(out, labels->value, true);
		buffer_append_byte(out, '"');
	}
	if (le) {
		buffer_append_byte(out, (uint8_t)separator);
		separator = ',';
		buffer_append_string(out, "le=\"");
		append_number(out, *le);
		buffer_append_byte(out, '"');
	}
	if (separator == ',')
		buffer_append_byte(out, '}');
}

static struct row *row_get(struct metrics_sink *sink, struct family *family)
{
	struct slice series = buffer_slice(&sink->series);
	uint64_t hash = hash_bytes(series.data, series.len);
	struct map_node *node = map_find(&sink->rows, hash, &series);
	struct row *row;

	if (node)
		return CONTAINER_OF(node, struct row, node);
	row = arena_alloc(&sink->arena, sizeof *row);
	if (!row || !arena_copy(&sink->arena, series, &row->series) ||
	    !map_insert(&sink->rows, hash, &row->node))
		return NULL;
	row->fallback = true;
	if (family->last)
		family->last->next = row;
	else
		family->first = row;
	family->last = row;
	return row;
}

/* NULL: no memory, which the sink remembers. */
static struct row *add_row(struct metrics_sink *sink, struct family *family, const char *suffix,
                           const struct metrics_label *labels, const double *le, double value,
                           bool fallback)
{
	struct row *row = NULL;

	write_series(sink, family->name, suffix, labels, le);
	if (!sink->series.failed)
		row = row_get(sink, family);
	if (!row) {
		sink->failed = true;
		return NULL;
	}
	if (fallback && !row->fallback)
		return row;
	if (!fallback && row->fallback) {
		row->fallback = false;
		row->value = 0;
	}
	row->value += value;
	return row;
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
                      enum family_type type, const struct metrics_label *labels, double value,
                      bool fallback)
{
	struct family *family;
	struct row *row;

	if (sink->wanted && strcmp(name, sink->wanted) != 0)
		return;
	family = family_get(sink, name, help, type);
	row = family ? add_row(sink, family, "", labels, NULL, value, fallback) : NULL;
	if (row && sink->wanted)
		row->wanted = has_labels(labels, sink->wanted_labels);
}

void metrics_counter(struct metrics_sink *sink, const char *name, const char *help,
                     const struct metrics_label *labels, double value)
{
	add_point(sink, name, help, COUNTER, labels, value, false);
}

void metrics_counter_fallback(struct metrics_sink *sink, const char *name, const char *help,
                              const struct metrics_label *labels, double value)
{
	add_point(sink, name, help, COUNTER, labels, value, true);
}

void metrics_gauge(struct metrics_sink *sink, const char *name, const char *help,
                   const struct metrics_label *labels, double value)
{
	add_point(sink, name, help, GAUGE, labels, value, false);
}

void metrics_histogram(struct metrics_sink *sink, const char *name, const char *help,
                       const struct metrics_label *labels, const double *bounds, size_t n_bounds,
                       const uint64_t *counts, double sum)
{
	const double infinity = INFINITY;
	struct family *family;
	uint64_t total = 0;

	if (sink->wanted)
		return;
	family = family_get(sink, name, help, HISTOGRAM);
	if (!family)
		return;
	for (size_t i = 0; i <= n_bounds; i++) {
		total += counts[i];
		add_row(sink, family, "_bucket", labels, i < n_bounds ? &bounds[i] : &infinity,
		        (double)total, false);
	}
	add_row(sink, family, "_sum", labels, NULL, sum, false);
	add_row(sink, family, "_count", labels, NULL, (double)total, false);
}

static void write_family(const struct family *family, struct buffer *out)
{
	if (family->help) {
		buffer_printf(out, "# HELP %s ", family->name);
		append_escaped(out, family->help, false);
		buffer_append_byte(out, '\n');
	}
	buffer_printf(out, "# TYPE %s %s\n", family->name, type_names[family->type]);
	for (const struct row *row = family->first; row; row = row->next) {
		buffer_append_slice(out, row->series);
		buffer_append_byte(out, ' ');
		append_number(out, row->value);
		buffer_append_byte(out, '\n');
	}
}

int metrics_write_text(struct metrics *m, struct buffer *out)
{
	struct metrics_sink sink;
	size_t before = out->len;

	sink_init(&sink);
	collect_all(m, &sink);
	for (size_t i = 0; i < sink.n_families; i++)
		write_family(&sink.families[i], out);
	if (sink.failed || out->failed) { /* half a page would read as counters that vanished */
		out->len = before;
		sink_fini(&sink);
		return -ENOMEM;
	}
	sink_fini(&sink);
	return 0;
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
		for (const struct row *row = sink.families[i].first; row; row = row->next)
			sum += row->wanted ? row->value : 0;
	sink_fini(&sink);
	return sum;
}
