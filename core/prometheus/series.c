#include "core/prometheus/series_internal.h"

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/prometheus/native.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 64 };

/* ---- families */

struct family_key {
	uint32_t name;
	enum metric_type type;
	bool other; /* looks for one of another type that has series */
};

static bool family_equal(const struct map_node *node, const void *arg)
{
	const struct series_family *f = CONTAINER_OF(node, struct series_family, node);
	const struct family_key *key = arg;

	if (f->name != key->name)
		return false;
	return key->other ? f->type != key->type && f->n_series : f->type == key->type;
}

static uint64_t family_hash(uint32_t name)
{
	return name * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

/* -ENOSPC or -ENOMEM for a symbol that could not be had. */
static int refusal(bool full)
{
	return full ? -ENOSPC : -ENOMEM;
}

static int family_new(struct series_table *t, const struct family_key *key, struct slice help,
                      struct slice unit, struct series_family **ret)
{
	struct series_family *f = calloc(1, sizeof *f);
	bool full = false;

	if (!f)
		return -ENOMEM;
	*f = (struct series_family){.name = key->name, .type = key->type, .refs = 1};
	f->help = symbols_intern(&t->symbols, help, &full);
	f->unit = symbols_intern(&t->symbols, unit, &full);
	if (f->help != SYMBOL_NONE && f->unit != SYMBOL_NONE &&
	    map_insert(&t->families, family_hash(f->name), &f->node)) {
		*ret = f;
		return 0;
	}
	if (f->help != SYMBOL_NONE)
		symbols_unref(&t->symbols, f->help);
	if (f->unit != SYMBOL_NONE)
		symbols_unref(&t->symbols, f->unit);
	free(f);
	return refusal(full);
}

int series_family_get(struct series_table *t, struct slice name, enum metric_type type,
                      struct slice help, struct slice unit, bool one_type,
                      struct series_family **ret)
{
	bool full = false;
	struct family_key key = {.name = symbols_intern(&t->symbols, name, &full), .type = type};
	struct map_node *node;
	int r = 0;

	if (key.name == SYMBOL_NONE)
		return refusal(full);
	if (one_type) {
		key.other = true;
		if (map_find(&t->families, family_hash(key.name), &key)) {
			symbols_unref(&t->symbols, key.name);
			return -EEXIST;
		}
		key.other = false;
	}
	node = map_find(&t->families, family_hash(key.name), &key);
	if (node) {
		*ret = CONTAINER_OF(node, struct series_family, node);
		(*ret)->refs++;
		symbols_unref(&t->symbols, key.name);
	} else if ((r = family_new(t, &key, help, unit, ret)) < 0) {
		symbols_unref(&t->symbols, key.name);
	}
	return r;
}

void series_family_release(struct series_table *t, struct series_family *f)
{
	if (--f->refs)
		return;
	if (f->user && t->on_family_end)
		t->on_family_end(t->arg, f);
	map_remove(&t->families, &f->node);
	symbols_unref(&t->symbols, f->name);
	symbols_unref(&t->symbols, f->help);
	symbols_unref(&t->symbols, f->unit);
	free(f);
}

/* ---- shapes */

struct shape_key {
	const struct series_family *family;
	const uint32_t *names;
	uint32_t n;
};

static bool shape_equal(const struct map_node *node, const void *arg)
{
	const struct series_shape *shape = CONTAINER_OF(node, struct series_shape, node);
	const struct shape_key *key = arg;

	return shape->family == key->family && shape->n_labels == key->n &&
	       memcmp(shape->names, key->names, key->n * sizeof *key->names) == 0;
}

static void symbols_unref_all(struct series_table *t, const uint32_t *ids, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		symbols_unref(&t->symbols, ids[i]);
}

static void shape_release(struct series_table *t, struct series_shape *shape)
{
	if (--shape->refs)
		return;
	map_remove(&t->shapes, &shape->node);
	symbols_unref_all(t, shape->names, shape->n_labels);
	series_family_release(t, shape->family);
	free(shape);
}

/* Takes the references to the names, whatever happens. */
static struct series_shape *shape_get(struct series_table *t, struct series_family *f,
                                      const uint32_t *names, uint32_t n)
{
	struct shape_key key = {f, names, n};
	uint64_t hash = hash_bytes(names, n * sizeof *names) ^ (uintptr_t)f;
	struct map_node *node = map_find(&t->shapes, hash, &key);
	struct series_shape *shape;

	if (node) {
		shape = CONTAINER_OF(node, struct series_shape, node);
		shape->refs++;
		symbols_unref_all(t, names, n);
		return shape;
	}
	shape = malloc(sizeof *shape + n * sizeof *names);
	if (shape && map_insert(&t->shapes, hash, &shape->node)) {
		shape->family = f;
		shape->refs = 1;
		shape->n_labels = n;
		memcpy(shape->names, names, n * sizeof *names);
		f->refs++;
		return shape;
	}
	free(shape);
	symbols_unref_all(t, names, n);
	return NULL;
}

/* ---- series */

bool series_table_init(struct series_table *t, size_t max_series, size_t max_symbol_bytes)
{
	*t = (struct series_table){.mask = FIRST_SLOTS - 1, .limit = max_series};
	map_init(&t->families, family_equal);
	map_init(&t->shapes, shape_equal);
	t->slots = calloc(FIRST_SLOTS, sizeof(struct series *));
	if (t->slots && symbols_init(&t->symbols, max_symbol_bytes))
		return true;
	free(t->slots);
	t->slots = NULL;
	return false;
}

void series_table_fini(struct series_table *t)
{
	for (size_t i = 0; t->slots && i <= t->mask; i++)
		if (t->slots[i]) {
			t->slots[i]->ended = true;
			series_unref(t, t->slots[i]);
		}
	free(t->slots);
	map_fini(&t->families);
	map_fini(&t->shapes);
	symbols_fini(&t->symbols);
}

void series_ref(struct series *s)
{
	s->refs++;
}

void series_unref(struct series_table *t, struct series *s)
{
	if (!s || --s->refs)
		return;
	assert(s->ended);
	series_state_free(s);
	symbols_unref_all(t, s->values, s->shape->n_labels);
	shape_release(t, s->shape);
	free(s);
}

struct slice series_find_label(const struct series_table *t, const struct series *s,
                               const char *name)
{
	struct slice wanted = slice_from_string(name);

	for (uint32_t i = 0; i < s->shape->n_labels; i++)
		if (slice_equal(symbols_text(&t->symbols, s->shape->names[i]), wanted))
			return symbols_text(&t->symbols, s->values[i]);
	return (struct slice){0};
}

static bool labels_equal(const struct series_table *t, const struct series *s,
                         const struct label *labels, size_t n)
{
	if (s->shape->n_labels != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!slice_equal(symbols_text(&t->symbols, s->values[i]), labels[i].value) ||
		    !slice_equal(symbols_text(&t->symbols, s->shape->names[i]), labels[i].name))
			return false;
	return true;
}

/* Of lengths and texts: no two sets of labels give the same bytes. */
static uint64_t labels_hash(const struct label *labels, size_t n)
{
	uint64_t hash = n;

	for (size_t i = 0; i < n; i++) {
		uint64_t parts[3] = {hash, hash_bytes(labels[i].name.data, labels[i].name.len),
		                     hash_bytes(labels[i].value.data, labels[i].value.len)};
		hash = hash_bytes(parts, sizeof parts);
	}
	return hash;
}

static bool grow(struct series_table *t)
{
	size_t mask = t->mask * 2 + 1;
	struct series **slots = calloc(mask + 1, sizeof(struct series *));

	if (!slots)
		return false;
	for (size_t i = 0; i <= t->mask; i++)
		if (t->slots[i]) {
			size_t at = t->slots[i]->hash & mask;

			while (slots[at])
				at = (at + 1) & mask;
			slots[at] = t->slots[i];
		}
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return true;
}

/* Fills ids; on failure none of them is referenced. */
static int intern_all(struct series_table *t, const struct label *labels, uint32_t n, bool names,
                      uint32_t *ids)
{
	bool full = false;

	for (uint32_t i = 0; i < n; i++) {
		ids[i] = symbols_intern(&t->symbols, names ? labels[i].name : labels[i].value,
		                        &full);
		if (ids[i] == SYMBOL_NONE) {
			symbols_unref_all(t, ids, i);
			return refusal(full);
		}
	}
	return 0;
}

static int series_new(struct series_table *t, struct series_family *f, enum series_role role,
                      const struct label *labels, uint32_t n, struct series **ret)
{
	uint32_t names[SERIES_LABELS_LIMIT];
	struct series *s = malloc(offsetof(struct series, values) + n * sizeof *s->values);
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct series){.last_ms = INT64_MIN, .refs = 1, .role = role};
	r = intern_all(t, labels, n, false, s->values);
	if (r < 0)
		goto no_values;
	r = intern_all(t, labels, n, true, names);
	if (r < 0)
		goto no_names;
	s->shape = shape_get(t, f, names, n);
	if (s->shape) {
		*ret = s;
		return 0;
	}
	r = -ENOMEM;
no_names:
	symbols_unref_all(t, s->values, n);
no_values:
	free(s);
	return r;
}

int series_get(struct series_table *t, struct series_family *f, enum series_role role,
               const struct label *labels, size_t n, bool one_type, struct series **ret,
               bool *ret_new)
{
	uint64_t hash;
	struct series *s;
	size_t at;
	int r;

	if (n > SERIES_LABELS_LIMIT)
		return -E2BIG;
	if (t->count >= t->mask - t->mask / 3 && !grow(t))
		return -ENOMEM;
	hash = labels_hash(labels, n);
	for (at = hash & t->mask; (s = t->slots[at]); at = (at + 1) & t->mask)
		if (s->hash == hash && labels_equal(t, s, labels, n)) {
			if ((s->role == SERIES_NATIVE) != (role == SERIES_NATIVE) ||
			    (one_type && s->shape->family != f))
				return -EEXIST;
			s->streams++;
			*ret = s;
			*ret_new = false;
			return 0;
		}
	if (t->count >= t->limit)
		return -ENOSPC;
	r = series_new(t, f, role, labels, (uint32_t)n, &s);
	if (r < 0)
		return r;
	s->hash = hash;
	s->streams = 1;
	t->slots[at] = s;
	t->count++;
	f->n_series++;
	*ret = s;
	*ret_new = true;
	return 0;
}

bool series_end(struct series_table *t, struct series *s)
{
	size_t at = s->hash & t->mask, next;

	if (s->streams || s->ended)
		return false;
	while (t->slots[at] != s)
		at = (at + 1) & t->mask;
	for (next = (at + 1) & t->mask; t->slots[next]; next = (next + 1) & t->mask)
		if (((next - t->slots[next]->hash) & t->mask) >= ((next - at) & t->mask)) {
			t->slots[at] = t->slots[next];
			at = next;
		}
	t->slots[at] = NULL;
	t->count--;
	s->shape->family->n_series--;
	s->ended = true;
	return true;
}
