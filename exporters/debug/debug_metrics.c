/* The short view of metrics: for each resource the sets of attributes that its points have, and
 * under each set all that is known of it.
 *
 *   curl  path=/usr/bin/curl
 *     transport=tcp network.type=ipv4 role=client server=127.0.0.1:80
 *       connections 0    connections.opened 64    io transmit 4.9 KiB    io receive 12.4 MiB
 *       connect.duration  avg 85.0us  p50 80.0us  p95 120us  max 301us  count 64
 *
 * A point whose attributes are those of another point and one more (io by direction, failures by
 * reason) is shown with that point, the value of the one more behind the metric's name. Numbers
 * stand in columns and distributions in columns of their own, over the whole batch. */
#include "core/base/arena.h"
#include "core/base/map.h"
#include "core/wire/otlp.h"
#include "exporters/debug/debug_distribution.h"
#include "exporters/debug/debug_render.h"
#include "exporters/debug/debug_text.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMNS_MAX = 64, PARTS = 5, INDENT = 4, GAP = 4 };

struct point {
	const Otlp__Metric *metric;
	Otlp__KeyValue **attributes;
	size_t n_attributes;
	const ProtobufCMessage *message; /* of the type that metric->data_case says */
	uint64_t set;                    /* hash of the attributes, in any order */
	size_t row;                      /* of its group, from 1 */
	const Otlp__KeyValue *extra;     /* the one more, or NULL */
};

/* Text in the table's buffer. */
struct part {
	size_t at, len, width;
};

struct cell {
	struct part name, values[PARTS];
	size_t n_values; /* 1: a number; PARTS: a distribution */
	size_t column;   /* of a number, within its row */
};

struct table {
	const struct render *render;
	struct slice prefix;
	struct arena arena;
	struct buffer text;
	struct point *points; /* in the order of rows within each group */
	struct cell *cells;   /* one for each point */
	size_t *ends;         /* of each group's points */
	size_t n_points, room, not_shown;
	size_t number_width[COLUMNS_MAX]; /* name and value */
	size_t distribution_name_width, distribution_width[PARTS];
};

/* ---- points of a group */

/* The first n points of the metric. */
static void list_points(const Otlp__Metric *m, size_t n, struct point *points)
{
#define LIST(data)                                                                                 \
	do {                                                                                       \
		for (size_t i = 0; i < n; i++)                                                     \
			points[i] = (struct point){                                                \
				.metric = m,                                                       \
				.attributes = (data)->data_points[i]->attributes,                  \
				.n_attributes = (data)->data_points[i]->n_attributes,              \
				.message = &(data)->data_points[i]->base,                          \
			};                                                                         \
	} while (0)

	switch (m->data_case) {
	case OTLP__METRIC__DATA_GAUGE:
		LIST(m->gauge);
		break;
	case OTLP__METRIC__DATA_SUM:
		LIST(m->sum);
		break;
	case OTLP__METRIC__DATA_HISTOGRAM:
		LIST(m->histogram);
		break;
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		LIST(m->exponential_histogram);
		break;
	case OTLP__METRIC__DATA_SUMMARY:
		LIST(m->summary);
		break;
	default:
		break;
	}
#undef LIST
}

static size_t count_group(const Otlp__ResourceMetrics *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_scope_metrics; i++)
		for (size_t j = 0; j < g->scope_metrics[i]->n_metrics; j++)
			n += otlp_metric_points(g->scope_metrics[i]->metrics[j]);
	return n;
}

/* At most room points: where there are more, the same share of each metric, so that those which
 * stand together (metrics list their sets of attributes in one order) still do. */
static size_t list_group(const Otlp__ResourceMetrics *g, size_t room, struct point *points)
{
	size_t all = count_group(g), n = 0;

	for (size_t i = 0; i < g->n_scope_metrics; i++)
		for (size_t j = 0; j < g->scope_metrics[i]->n_metrics; j++) {
			const Otlp__Metric *m = g->scope_metrics[i]->metrics[j];
			size_t some = otlp_metric_points(m);

			if (all > room)
				some = some * room / all;
			list_points(m, some, points + n);
			n += some;
		}
	return n;
}

static uint64_t value_hash(const Otlp__AnyValue *v)
{
	struct buffer text = BUFFER_INIT;
	uint64_t hash;

	switch (v ? v->value_case : OTLP__ANY_VALUE__VALUE__NOT_SET) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		return hash_bytes(v->string_value.data, v->string_value.len);
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		return hash_bytes(&v->int_value, sizeof v->int_value) + 1;
	default:
		text_value(&text, v, 0);
		hash = hash_bytes(text.data, text.len) + 2;
		buffer_fini(&text);
		return hash;
	}
}

static uint64_t attribute_hash(const Otlp__KeyValue *a)
{
	uint64_t parts[] = {hash_bytes(a->key.data, a->key.len), value_hash(a->value)};

	return hash_bytes(parts, sizeof parts);
}

/* A sum, so that the hash of a set without one attribute is a subtraction. */
static uint64_t set_hash(const struct point *p)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < p->n_attributes; i++)
		hash += attribute_hash(p->attributes[i]);
	return hash;
}

/* ---- which points stand together */

/* A set of attributes: one that points have, or one that is left of several when each gives up one
 * attribute. */
struct set {
	uint64_t hash;
	uint64_t extra_key; /* hash of the key that was given up; 0: nothing was */
	size_t first;       /* point */
	bool real;          /* points have it */
	bool derived;       /* real, and another real set and one attribute more */
	size_t row;         /* 0: no point is shown with it yet */
};

static int compare_sets(const void *a, const void *b)
{
	const struct set *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->real != y->real)
		return y->real - x->real;
	return (x->first > y->first) - (x->first < y->first);
}

static struct set *find_set(struct set *sets, size_t n, uint64_t hash)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (sets[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && sets[low].hash == hash ? &sets[low] : NULL;
}

/* One of each hash: the real one, or the first of several that gave up different keys. */
static size_t unique_sets(struct set *sets, size_t n)
{
	size_t kept = 0, end;

	qsort(sets, n, sizeof *sets, compare_sets);
	for (size_t i = 0; i < n; i = end) {
		bool differ = false;

		for (end = i + 1; end < n && sets[end].hash == sets[i].hash; end++)
			differ |= sets[end].extra_key != sets[i].extra_key;
		if (sets[i].real || differ)
			sets[kept++] = sets[i];
	}
	return kept;
}

/* The set that is left when the point gives up one attribute: one that others have if possible. A
 * set without any attribute takes in nobody. */
static struct set *find_base(struct set *sets, size_t n, const struct point *p,
                             const Otlp__KeyValue **ret_extra)
{
	struct set *best = NULL;

	for (size_t i = p->n_attributes; p->n_attributes > 1 && i-- > 0;) {
		struct set *s = find_set(sets, n, p->set - attribute_hash(p->attributes[i]));

		if (!s || s->derived || (best && !s->real))
			continue;
		best = s;
		*ret_extra = p->attributes[i];
		if (s->real)
			break;
	}
	return best;
}

static bool has_real_base(struct set *sets, size_t n, const struct point *p)
{
	for (size_t i = 0; p->n_attributes > 1 && i < p->n_attributes; i++) {
		struct set *s = find_set(sets, n, p->set - attribute_hash(p->attributes[i]));

		if (s && s->real)
			return true;
	}
	return false;
}

static size_t list_sets(struct set *sets, struct point *points, size_t n)
{
	size_t n_sets = 0;

	for (size_t i = 0; i < n; i++) {
		struct point *p = &points[i];

		p->set = set_hash(p);
		sets[n_sets++] = (struct set){.hash = p->set, .first = i, .real = true};
		for (size_t k = 0; p->n_attributes > 1 && k < p->n_attributes; k++)
			sets[n_sets++] = (struct set){
				.hash = p->set - attribute_hash(p->attributes[k]),
				.extra_key = hash_bytes(p->attributes[k]->key.data,
			                                p->attributes[k]->key.len),
				.first = i,
			};
	}
	return unique_sets(sets, n_sets);
}

/* Gives each point its row. */
static bool group_rows(struct table *t, struct point *points, size_t n)
{
	size_t n_sets = n, rows = 0;
	struct set *sets;

	for (size_t i = 0; i < n; i++)
		n_sets += points[i].n_attributes;
	sets = arena_alloc_array(&t->arena, n_sets, sizeof *sets);
	if (!sets)
		return false;
	n_sets = list_sets(sets, points, n);
	for (size_t i = 0; i < n_sets; i++)
		sets[i].derived =
			sets[i].real && has_real_base(sets, n_sets, &points[sets[i].first]);
	for (size_t i = 0; i < n; i++) {
		struct set *shown = find_base(sets, n_sets, &points[i], &points[i].extra);

		if (!shown)
			shown = find_set(sets, n_sets, points[i].set);
		if (!shown->row)
			shown->row = ++rows;
		points[i].row = shown->row;
	}
	return true;
}

/* ---- cells */

static struct part part_end(struct table *t, size_t at)
{
	struct part p = {.at = at, .len = t->text.len - at};

	if (!t->text.failed)
		p.width = text_width(slice_of(t->text.data + at, p.len));
	return p;
}

static struct part put_quantity(struct table *t, const char *label, double value, struct slice unit)
{
	size_t at = t->text.len;

	buffer_append_string(&t->text, label);
	if (isnan(value))
		buffer_append_byte(&t->text, '-');
	else
		text_quantity(&t->text, value, unit);
	return part_end(t, at);
}

static struct part put_name(struct table *t, const struct point *p)
{
	struct slice name = text_slice(p->metric->name);
	size_t at = t->text.len;

	if (name.len > t->prefix.len) {
		name.data += t->prefix.len;
		name.len -= t->prefix.len;
	}
	text_escaped(&t->text, name, TEXT_SHORT);
	if (p->extra) {
		buffer_append_byte(&t->text, ' ');
		text_value(&t->text, p->extra->value, TEXT_SHORT);
	}
	return part_end(t, at);
}

static double number(const Otlp__NumberDataPoint *p)
{
	switch (p->value_case) {
	case OTLP__NUMBER_DATA_POINT__VALUE_AS_INT:
		return (double)p->as_int;
	case OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE:
		return p->as_double;
	default:
		return NAN;
	}
}

static struct distribution distribution(const struct point *p)
{
	switch (p->metric->data_case) {
	case OTLP__METRIC__DATA_HISTOGRAM:
		return distribution_of_histogram((const Otlp__HistogramDataPoint *)p->message);
	case OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM:
		return distribution_of_exponential(
			(const Otlp__ExponentialHistogramDataPoint *)p->message);
	default:
		return distribution_of_summary((const Otlp__SummaryDataPoint *)p->message);
	}
}

static void make_cell(struct table *t, const struct point *p, struct cell *c)
{
	struct slice unit = text_slice(p->metric->unit);
	struct distribution d;

	c->name = put_name(t, p);
	if (p->metric->data_case == OTLP__METRIC__DATA_GAUGE ||
	    p->metric->data_case == OTLP__METRIC__DATA_SUM) {
		c->n_values = 1;
		c->values[0] =
			put_quantity(t, "", number((const Otlp__NumberDataPoint *)p->message),
		                     unit);
		return;
	}
	d = distribution(p);
	c->n_values = PARTS;
	c->values[0] = put_quantity(t, "avg ", d.average, unit);
	c->values[1] = put_quantity(t, "p50 ", d.p50, unit);
	c->values[2] = put_quantity(t, "p95 ", d.p95, unit);
	c->values[3] = put_quantity(t, "max ", d.max, unit);
	c->values[4] = put_quantity(t, "count ", (double)d.count, (struct slice){0});
}

static void widen(size_t *width, size_t to)
{
	if (to > *width)
		*width = to;
}

static void measure(struct table *t, const struct cell *c)
{
	if (c->n_values == 1) {
		size_t k = c->column < COLUMNS_MAX ? c->column : COLUMNS_MAX - 1;

		widen(&t->number_width[k], c->name.width + 1 + c->values[0].width);
		return;
	}
	widen(&t->distribution_name_width, c->name.width);
	for (size_t i = 0; i < PARTS; i++)
		widen(&t->distribution_width[i], c->values[i].width);
}

static void make_cells(struct table *t, size_t from, size_t to)
{
	size_t column = 0;

	for (size_t i = from; i < to; i++) {
		if (i > from && t->points[i].row != t->points[i - 1].row)
			column = 0;
		make_cell(t, &t->points[i], &t->cells[i]);
		if (t->cells[i].n_values == 1)
			t->cells[i].column = column++;
		measure(t, &t->cells[i]);
	}
}

/* ---- writing */

static struct slice part_text(const struct table *t, struct part p)
{
	return slice_of(t->text.data + p.at, p.len);
}

static void write_numbers(const struct table *t, const struct cell *cells, size_t n)
{
	struct buffer *out = t->render->out;
	size_t at = 0, end = 0; /* columns of the terminal: of the cell, of the text so far */

	for (size_t i = 0; i < n; i++) {
		const struct cell *c = &cells[i];
		size_t width;

		if (c->n_values != 1)
			continue;
		width = t->number_width[c->column < COLUMNS_MAX ? c->column : COLUMNS_MAX - 1];
		if (end && at + width > t->render->width) {
			buffer_append_byte(out, '\n');
			at = end = 0;
		}
		if (!end)
			at = INDENT;
		text_spaces(out, at - end);
		buffer_append_slice(out, part_text(t, c->name));
		buffer_append_byte(out, ' ');
		buffer_append_slice(out, part_text(t, c->values[0]));
		end = at + c->name.width + 1 + c->values[0].width;
		at += width + GAP;
	}
	if (end)
		buffer_append_byte(out, '\n');
}

static void write_distributions(const struct table *t, const struct cell *cells, size_t n)
{
	struct buffer *out = t->render->out;

	for (size_t i = 0; i < n; i++) {
		if (cells[i].n_values == 1)
			continue;
		text_spaces(out, INDENT);
		text_left(out, part_text(t, cells[i].name), t->distribution_name_width);
		for (size_t k = 0; k < PARTS; k++) {
			buffer_append_string(out, "  ");
			text_left(out, part_text(t, cells[i].values[k]),
			          k + 1 < PARTS ? t->distribution_width[k] : 0);
		}
		buffer_append_byte(out, '\n');
	}
}

static void write_label(struct table *t, const struct point *p)
{
	struct buffer *out = t->render->out;
	Otlp__KeyValue **kept = arena_alloc_array(&t->arena, p->n_attributes + 1, sizeof *kept);
	size_t n = 0;

	if (!kept) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < p->n_attributes; i++)
		if (p->attributes[i] != p->extra)
			kept[n++] = p->attributes[i];
	text_spaces(out, 2);
	if (n)
		text_attributes(out, kept, n, (struct slice){0});
	else
		buffer_append_string(out, "(no attributes)");
	buffer_append_byte(out, '\n');
}

static void write_row(struct table *t, size_t from, size_t to)
{
	write_label(t, &t->points[from]);
	write_numbers(t, t->cells + from, to - from);
	write_distributions(t, t->cells + from, to - from);
}

static void write_group(struct table *t, const Otlp__Resource *resource, size_t from, size_t to)
{
	render_resource(t->render, resource);
	while (from < to) {
		size_t end = from + 1;

		while (end < to && t->points[end].row == t->points[from].row)
			end++;
		write_row(t, from, end);
		from = end;
	}
}

/* Rows in the order of their first points, and in each row the points in theirs. */
static bool sort_rows(struct table *t, struct point *points, size_t n)
{
	size_t *starts = arena_alloc_array(&t->arena, n + 2, sizeof *starts);
	struct point *sorted = arena_alloc_array(&t->arena, n, sizeof *sorted);

	if (!starts || !sorted)
		return false;
	for (size_t i = 0; i < n; i++)
		starts[points[i].row + 1]++;
	for (size_t i = 0; i <= n; i++)
		starts[i + 1] += starts[i];
	for (size_t i = 0; i < n; i++)
		sorted[starts[points[i].row]++] = points[i];
	memcpy(points, sorted, n * sizeof *points);
	return true;
}

/* The points that are shown of a group, put in order. */
static bool fill_group(struct table *t, const Otlp__ResourceMetrics *g, size_t at, size_t *ret_n)
{
	size_t n = list_group(g, t->room - at, t->points + at);

	if (n && (!group_rows(t, t->points + at, n) || !sort_rows(t, t->points + at, n)))
		return false;
	make_cells(t, at, at + n);
	*ret_n = n;
	return true;
}

static bool fill(struct table *t, const struct batch *b)
{
	size_t all = 0, i = 0, n;

	for (const struct group *g = b->first; g; g = g->next)
		all += count_group(g->metrics);
	t->room = all < RENDER_ITEMS ? all : RENDER_ITEMS;
	t->points = arena_alloc_array(&t->arena, t->room, sizeof *t->points);
	t->cells = arena_alloc_array(&t->arena, t->room, sizeof *t->cells);
	t->ends = arena_alloc_array(&t->arena, b->n_groups, sizeof *t->ends);
	if (!t->points || !t->cells || !t->ends)
		return false;
	for (const struct group *g = b->first; g; g = g->next) {
		if (!fill_group(t, g->metrics, t->n_points, &n))
			return false;
		t->ends[i++] = t->n_points += n;
	}
	t->not_shown = all - t->n_points;
	return !t->text.failed;
}

void render_metrics(const struct render *r, const struct batch *b)
{
	struct table t = {.render = r, .prefix = render_common_prefix(b)};
	size_t from = 0, i = 0;

	arena_init(&t.arena, NULL);
	if (!fill(&t, b))
		r->out->failed = true;
	for (const struct group *g = b->first; g && !r->out->failed; g = g->next, i++) {
		/* one that is empty is shown, one for which there was no room is not */
		if (t.ends[i] > from || !t.not_shown || !count_group(g->metrics))
			write_group(&t, g->metrics->resource, from, t.ends[i]);
		from = t.ends[i];
	}
	render_not_shown(r, t.not_shown, SIGNAL_METRICS);
	buffer_fini(&t.text);
	arena_fini(&t.arena);
}

/* ---- names */

static struct slice shared_start(struct slice a, struct slice b)
{
	size_t n = 0;

	while (n < a.len && n < b.len && a.data[n] == b.data[n])
		n++;
	return slice_of(a.data, n);
}

struct slice render_common_prefix(const struct batch *b)
{
	struct slice shared = {0};
	size_t names = 0;

	for (const struct group *g = b->first; g; g = g->next)
		for (size_t i = 0; i < g->metrics->n_scope_metrics; i++)
			for (size_t j = 0; j < g->metrics->scope_metrics[i]->n_metrics; j++) {
				struct slice name =
					text_slice(g->metrics->scope_metrics[i]->metrics[j]->name);

				if (!names++)
					shared = name;
				else if (shared.len < name.len || !slice_equal(shared, name))
					shared = shared_start(shared, name);
			}
	while (shared.len && shared.data[shared.len - 1] != '.')
		shared.len--;
	return names > 1 ? shared : (struct slice){0};
}
