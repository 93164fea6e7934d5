/* origin: where a batch came from, and what is still true of it when batches are joined. */
#include "core/data/batch_internal.h"

#include <strings.h>

static bool copy_text(struct arena *a, const char *text, const char **ret)
{
	struct slice copy;

	*ret = NULL;
	if (!text)
		return true;
	if (!arena_copy(a, slice_from_string(text), &copy))
		return false;
	*ret = (const char *)copy.data;
	return true;
}

bool batch_set_origin(struct batch *b, const struct batch_origin *origin)
{
	struct batch_origin copy = {0};
	struct batch_metadata *items;

	if (!copy_text(&b->arena, origin->receiver, &copy.receiver) ||
	    !copy_text(&b->arena, origin->peer, &copy.peer) ||
	    !copy_text(&b->arena, origin->identity, &copy.identity))
		return false;
	if (origin->n_metadata > 0) {
		items = arena_alloc_array(&b->arena, origin->n_metadata, sizeof *items);
		if (!items)
			return false;
		for (size_t i = 0; i < origin->n_metadata; i++)
			if (!copy_text(&b->arena, origin->metadata[i].name, &items[i].name) ||
			    !copy_text(&b->arena, origin->metadata[i].value, &items[i].value))
				return false;
		copy.metadata = items;
		copy.n_metadata = origin->n_metadata;
	}
	b->origin = copy;
	return true;
}

/* ---- metadata */

static bool metadata_equal(const struct batch_metadata *a, const struct batch_metadata *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->value, b->value) == 0;
}

/* The next value of that name at *at or behind it, which moves past it; NULL: there is none. */
static const char *next_value(const struct batch_origin *o, const char *name, size_t *at)
{
	while (*at < o->n_metadata) {
		const struct batch_metadata *m = &o->metadata[(*at)++];
		if (strcasecmp(m->name, name) == 0)
			return m->value;
	}
	return NULL;
}

/* Whether both have the same values of that name, in the same order. */
static bool values_equal(const struct batch_origin *a, const struct batch_origin *b,
                         const char *name)
{
	size_t at_a = 0, at_b = 0;
	const char *x, *y;

	do {
		x = next_value(a, name, &at_a);
		y = next_value(b, name, &at_b);
		if (!x != !y || (x && strcmp(x, y) != 0))
			return false;
	} while (x);
	return true;
}

/* How many fields both begin with: all of them, when requests of one sender meet. */
static size_t equal_fields(const struct batch_origin *a, const struct batch_origin *b)
{
	size_t n = 0;

	while (n < a->n_metadata && n < b->n_metadata &&
	       metadata_equal(&a->metadata[n], &b->metadata[n]))
		n++;
	return n;
}

/* Forgets the fields that from does not have alike. Takes memory only for that: the fewer are left, the
 * less often. */
static bool join_metadata(struct arena *arena, struct batch_origin *into,
                          const struct batch_origin *from)
{
	struct batch_metadata *kept = NULL;
	size_t n = 0, at = 0;

	if (into->n_metadata == from->n_metadata && equal_fields(into, from) == from->n_metadata)
		return true;
	for (size_t i = 0; i < into->n_metadata; i++)
		n += values_equal(into, from, into->metadata[i].name);
	if (n == into->n_metadata)
		return true;
	if (n > 0 && !(kept = arena_alloc_array(arena, n, sizeof *kept)))
		return false;
	for (size_t i = 0; at < n; i++)
		if (values_equal(into, from, into->metadata[i].name))
			kept[at++] = into->metadata[i];
	into->metadata = kept;
	into->n_metadata = n;
	return true;
}

static const char *equal_or_null(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0 ? a : NULL;
}

bool batch_join_origin(struct batch *into, const struct batch_origin *from)
{
	struct batch_origin *o = &into->origin;

	if (!into->first)
		return batch_set_origin(into, from);
	if (!join_metadata(&into->arena, o, from))
		return false;
	o->receiver = equal_or_null(o->receiver, from->receiver);
	o->peer = equal_or_null(o->peer, from->peer);
	o->identity = equal_or_null(o->identity, from->identity);
	return true;
}

bool batch_metadata_key(const struct batch *b, const char *const *names, size_t n,
                        struct buffer *out)
{
	for (size_t i = 0; i < n; i++) {
		const char *value;
		uint64_t count = 0;
		size_t at = 0;

		while (next_value(&b->origin, names[i], &at))
			count++;
		buffer_append(out, &count, sizeof count);
		at = 0;
		while ((value = next_value(&b->origin, names[i], &at)))
			buffer_append(out, value, strlen(value) + 1);
	}
	return !out->failed;
}

const char *batch_metadata_repeated(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcasecmp(names[i], names[j]) == 0)
				return names[i];
	return NULL;
}
