/* What is shown: families in the order in which they came, their metrics likewise, and of each
 * distribution its points in the order in which pages want them. */
#include "core/prometheus/exposition_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* OpenMetrics: names and values of one exemplar. What is above them keeps only the trace. */
enum { EXEMPLAR_CHARACTERS = 128 };
enum { NATIVE_EXEMPLARS = 10 };

/* ---- distributions: equal labels but for __name__, le and quantile */

struct group_key {
	const struct exposition *exposition;
	const struct series *series;
};

static bool is_distribution(const struct series *s)
{
	return s->role != SERIES_VALUE;
}

/* Whether the label tells metrics of a family apart. */
static bool identifies(const struct exposition *e, const struct series *s, uint32_t name)
{
	struct slice text;

	if (name == e->name_symbol)
		return false;
	if (s->role != SERIES_BUCKET && s->role != SERIES_QUANTILE)
		return true;
	text = symbols_text(&e->table->symbols, name);
	return !slice_equal(text, s->role == SERIES_BUCKET ? SLICE_LITERAL("le")
	                                                   : SLICE_LITERAL("quantile"));
}

static uint64_t group_hash(const struct exposition *e, const struct series *s)
{
	uint64_t words[2] = {(uintptr_t)s->shape->family, 0};

	for (uint32_t i = 0; i < s->shape->n_labels; i++) {
		struct series_label label = series_label(s, i);

		if (!identifies(e, s, label.name))
			continue;
		words[1] = (uint64_t)label.name << 32 | label.value;
		words[0] = hash_bytes(words, sizeof words);
	}
	return words[0];
}

/* The next label that identifies, from *at on; false: none. */
static bool next_label(const struct exposition *e, const struct series *s, uint32_t *at,
                       struct series_label *ret)
{
	while (*at < s->shape->n_labels) {
		*ret = series_label(s, (*at)++);
		if (identifies(e, s, ret->name))
			return true;
	}
	return false;
}

static bool group_equal(const struct map_node *node, const void *key)
{
	const struct exposition_metric *m = CONTAINER_OF(node, struct exposition_metric, node);
	const struct group_key *k = key;
	const struct series *a = m->points[0]->series, *b = k->series;
	struct series_label of_a, of_b;
	uint32_t at_a = 0, at_b = 0;
	bool more_a, more_b;

	if (a->shape->family != b->shape->family)
		return false;
	do {
		more_a = next_label(k->exposition, a, &at_a, &of_a);
		more_b = next_label(k->exposition, b, &at_b, &of_b);
		if (more_a != more_b)
			return false;
		if (more_a && (of_a.name != of_b.name || of_a.value != of_b.value))
			return false;
	} while (more_a);
	return true;
}

/* ---- life of families, metrics and points */

static struct exposition_family *family_get(struct exposition *e, struct series_family *family)
{
	struct exposition_family *f = family->user;

	if (f)
		return f;
	f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->family = family;
	f->moment = ++e->moment;
	list_init(&f->metrics);
	list_push(&e->families, &f->link);
	family->user = f;
	return f;
}

static struct exposition_metric *next_metric(const struct exposition_metric *m)
{
	return m->link.next == &m->family->metrics
	               ? NULL
	               : CONTAINER_OF(m->link.next, struct exposition_metric, link);
}

static void family_free(struct exposition *e, struct exposition_family *f)
{
	struct exposition_cursor *c;

	LIST_FOR_EACH(c, &e->cursors, link) {
		if (c->family != f)
			continue;
		c->family = f->link.next == &e->families
		                    ? NULL
		                    : CONTAINER_OF(f->link.next, struct exposition_family, link);
		c->metric =
			c->family ? LIST_FIRST(&c->family->metrics, struct exposition_metric, link)
				  : NULL;
		c->headed = false;
	}
	f->family->user = NULL;
	list_remove(&f->link);
	free(f);
}

static void metric_free(struct exposition *e, struct exposition_metric *m)
{
	struct exposition_cursor *c;

	LIST_FOR_EACH(c, &e->cursors, link) {
		if (c->metric == m)
			c->metric = next_metric(m);
	}
	list_remove(&m->link);
	free(m->points);
	free(m);
}

static struct exposition_metric *metric_new(struct exposition *e, struct exposition_family *f)
{
	struct exposition_metric *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->family = f;
	m->moment = ++e->moment;
	list_push(&f->metrics, &m->link);
	return m;
}

static bool is_before(const struct exposition_point *a, const struct exposition_point *b)
{
	return a->series->role != b->series->role ? a->series->role < b->series->role
	                                          : a->bound < b->bound;
}

static bool metric_add(struct exposition_metric *m, struct exposition_point *p)
{
	uint32_t capacity = m->capacity ? 2 * m->capacity : p->series->role == SERIES_VALUE ? 1 : 8;
	struct exposition_point **points;
	uint32_t at = m->n;

	if (m->n == m->capacity) {
		points = realloc(m->points, capacity * sizeof(*points));
		if (!points)
			return false;
		m->points = points;
		m->capacity = capacity;
	}
	while (at > 0 && is_before(p, m->points[at - 1]))
		at--;
	memmove(m->points + at + 1, m->points + at, (m->n - at) * sizeof *m->points);
	m->points[at] = p;
	m->n++;
	p->metric = m;
	return true;
}

/* The one that the series belongs to, made if need be. */
static struct exposition_metric *metric_get(struct exposition *e, struct series *s)
{
	struct exposition_family *f = family_get(e, s->shape->family);
	struct group_key key = {e, s};
	struct map_node *node;

	if (!f)
		return NULL;
	if (!is_distribution(s))
		return metric_new(e, f);
	node = map_find(&e->groups, group_hash(e, s), &key);
	return node ? CONTAINER_OF(node, struct exposition_metric, node) : metric_new(e, f);
}

static double read_bound(const struct exposition *e, const struct series *s)
{
	const char *label = s->role == SERIES_BUCKET ? "le" : "quantile";
	struct slice text;
	char copy[64];

	if (s->role != SERIES_BUCKET && s->role != SERIES_QUANTILE)
		return 0;
	text = series_find_label(e->table, s, label);
	if (text.len == 0 || text.len >= sizeof copy)
		return INFINITY;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	return strtod(copy, NULL);
}

static enum exposition_result point_new(struct exposition *e, struct series *s,
                                        struct exposition_point **ret)
{
	struct exposition_metric *m = metric_get(e, s);
	struct exposition_point *p = NULL;

	if (m && m->n >= EXPOSITION_POINTS)
		m->too_large = true;
	if (m && m->too_large)
		return EXPOSITION_TOO_LARGE;
	p = m ? calloc(1, sizeof *p) : NULL;
	if (!p)
		goto fail;
	p->series = s;
	p->bound = read_bound(e, s);
	if (!metric_add(m, p))
		goto fail;
	if (is_distribution(s) && !m->grouped) {
		m->grouped = map_insert(&e->groups, group_hash(e, s), &m->node);
		if (!m->grouped) {
			m->n = 0;
			goto fail;
		}
	}
	s->user = p;
	e->n_points++;
	*ret = p;
	return EXPOSITION_TOLD;
fail:
	free(p);
	if (m && m->n == 0)
		metric_free(e, m);
	return EXPOSITION_NO_MEMORY;
}

static void point_clear(struct exposition *e, struct exposition_point *p)
{
	if (p->series->role == SERIES_NATIVE)
		exposition_free_natives(e, p);
	else
		exposition_free_sources(e, p);
	free(p->exemplars);
	p->exemplars = NULL;
	p->present = false;
}

/* The group is found by its first point, so it leaves the table when the last one goes. */
static void point_free(struct exposition *e, struct exposition_point *p)
{
	struct exposition_metric *m = p->metric;
	uint32_t at = 0;

	while (m->points[at] != p)
		at++;
	if (m->n == 1 && m->grouped)
		map_remove(&e->groups, &m->node);
	m->n--;
	memmove(m->points + at, m->points + at + 1, (m->n - at) * sizeof *m->points);
	point_clear(e, p);
	p->series->user = NULL;
	free(p);
	e->n_points--;
	if (m->n == 0)
		metric_free(e, m);
}

void exposition_on_series_end(void *arg, struct series *s)
{
	if (s->user)
		point_free(arg, s->user);
}

void exposition_on_family_end(void *arg, struct series_family *family)
{
	if (family->user)
		family_free(arg, family->user);
}

/* ---- exemplars */

static size_t exemplar_characters(const struct exemplar *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n_labels; i++)
		n += x->labels[i].name.len + x->labels[i].value.len; /* bytes: rather too strict */
	return n;
}

static bool is_kept(const struct exemplar_label *label, bool all)
{
	bool is_trace = slice_equal(label->name, SLICE_LITERAL("trace_id")) ||
	                slice_equal(label->name, SLICE_LITERAL("span_id"));

	return all || (is_trace && label->value.len <= EXEMPLAR_CHARACTERS / 4);
}

static struct slice copy_text(uint8_t **at, struct slice text)
{
	struct slice copy = slice_of(*at, text.len);

	if (text.len > 0)
		memcpy(*at, text.data, text.len);
	*at += text.len;
	return copy;
}

static void copy_exemplar(struct exemplar *to, const struct exemplar *from,
                          struct exemplar_label **labels, uint8_t **bytes)
{
	bool all = exemplar_characters(from) <= EXEMPLAR_CHARACTERS;

	*to = (struct exemplar){.value = from->value, .ms = from->ms, .labels = *labels};
	for (size_t i = 0; i < from->n_labels; i++) {
		if (!is_kept(&from->labels[i], all))
			continue;
		(*labels)->name = copy_text(bytes, from->labels[i].name);
		(*labels)->value = copy_text(bytes, from->labels[i].value);
		(*labels)++;
		to->n_labels++;
	}
}

/* The newest replace what was there; when there is no memory for them, it stays. */
static void keep_exemplars(struct exposition_point *p, const struct sample *s)
{
	size_t n = p->series->role == SERIES_NATIVE ? NATIVE_EXEMPLARS : 1;
	size_t labels = 0, bytes = 0;
	struct exposition_exemplars *x;
	const struct exemplar *from;
	struct exemplar_label *label_at;
	uint8_t *byte_at;

	if (s->n_exemplars == 0)
		return;
	if (n > s->n_exemplars)
		n = s->n_exemplars;
	from = s->exemplars + (s->n_exemplars - n);
	for (size_t i = 0; i < n; i++) {
		size_t characters = exemplar_characters(&from[i]);

		labels += characters <= EXEMPLAR_CHARACTERS ? from[i].n_labels : 2;
		bytes += characters < EXEMPLAR_CHARACTERS ? characters : EXEMPLAR_CHARACTERS;
	}
	x = malloc(sizeof *x + n * sizeof *x->all + labels * sizeof *label_at + bytes);
	if (!x)
		return;
	x->n = n;
	label_at = (struct exemplar_label *)(x->all + n);
	byte_at = (uint8_t *)(label_at + labels);
	for (size_t i = 0; i < n; i++)
		copy_exemplar(&x->all[i], &from[i], &label_at, &byte_at);
	free(p->exemplars);
	p->exemplars = x;
}

/* ---- samples */

static bool adds_up(const struct series *s)
{
	enum metric_type type = s->shape->family->type;

	return s->role != SERIES_QUANTILE &&
	       (type == METRIC_COUNTER || type == METRIC_HISTOGRAM || type == METRIC_SUMMARY);
}

static enum exposition_result replace(struct exposition_point *p, const struct sample *s)
{
	if (p->present && s->ms < p->ms) /* target_info is told with every point, and is always 1 */
		return p->series->shape->family->type == METRIC_INFO ? EXPOSITION_TOLD
		                                                     : EXPOSITION_LATE;
	p->value = s->value;
	p->ms = s->ms;
	p->start_ms = s->start_ms;
	p->present = true;
	return EXPOSITION_TOLD;
}

enum exposition_result exposition_tell(struct exposition *e, const struct sample *s)
{
	struct exposition_point *p = s->series->user;
	enum exposition_result r;

	if (s->stale) {
		if (p && (!adds_up(s->series) || s->series->role == SERIES_NATIVE ||
		          !exposition_end_source(p, s)))
			point_clear(e, p);
		return EXPOSITION_TOLD;
	}
	if (s->series->ended) /* later in the same translation */
		return EXPOSITION_TOLD;
	if (!p && (r = point_new(e, s->series, &p)) != EXPOSITION_TOLD)
		return r;
	if (s->series->role == SERIES_NATIVE)
		r = exposition_add_native(e, p, s);
	else if (adds_up(s->series))
		r = exposition_add_source(e, p, s);
	else
		r = replace(p, s);
	if (r == EXPOSITION_TOLD)
		keep_exemplars(p, s);
	return r;
}

/* ---- life */

int exposition_init(struct exposition *e, struct series_table *table, struct error *error)
{
	bool full;

	*e = (struct exposition){.table = table, .max_sources = table->limit};
	list_init(&e->families);
	list_init(&e->cursors);
	map_init(&e->groups, group_equal);
	e->name_symbol = symbols_intern(&table->symbols, SLICE_LITERAL("__name__"), &full);
	if (e->name_symbol == SYMBOL_NONE)
		return error_no_memory(error);
	return 0;
}

void exposition_fini(struct exposition *e)
{
	struct exposition_family *f;
	struct exposition_metric *m;

	if (!e->table)
		return;
	while ((f = LIST_FIRST(&e->families, struct exposition_family, link))) {
		while ((m = LIST_FIRST(&f->metrics, struct exposition_metric, link)))
			point_free(e, m->points[m->n - 1]);
		family_free(e, f);
	}
	map_fini(&e->groups);
	if (e->name_symbol != SYMBOL_NONE)
		symbols_unref(&e->table->symbols, e->name_symbol);
	e->table = NULL;
}
