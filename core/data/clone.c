#include "core/data/batch_internal.h"

#include "core/wire/otlp.h"

void *message_copy(struct arena *a, const ProtobufCMessage *m, const struct rcbuf *pin)
{
	return otlp_copy(m, pin ? slice_of(pin->data, pin->size) : (struct slice){0}, a);
}

static bool clone_group(struct batch *b, struct group *to, const struct group *from)
{
	to->items = from->items;
	to->pin = from->pin ? rcbuf_ref(from->pin) : NULL;
	if (from->depth == DEPTH_WIRE ||
	    from->wire.data) { /* opened to read at most: the bytes say it all */
		to->wire = from->wire;
		return true;
	}
	to->depth = from->depth;
	to->resource_absent = from->resource_absent;
	if (from->depth == DEPTH_RESOURCE) {
		to->n_rest = from->n_rest;
		to->rest = arena_alloc_array(&b->arena, from->n_rest, sizeof *to->rest);
		if (to->rest && from->n_rest)
			memcpy(to->rest, from->rest, from->n_rest * sizeof *to->rest);
		to->resource = message_copy(&b->arena, &from->resource->base, from->pin);
		return to->rest && to->resource;
	}
	to->message = message_copy(&b->arena, from->message, from->pin);
	if (!to->message)
		return false;
	to->resource = to->spans->resource;
	return true;
}

struct batch *batch_clone(struct batch *b)
{
	struct batch *clone = batch_new_like(b);

	if (!clone)
		return NULL;
	for (const struct group *g = b->first; g; g = g->next) {
		struct group *to = batch_add_group(clone);
		if (!to || !clone_group(clone, to, g)) {
			batch_unref(clone);
			return NULL;
		}
	}
	clone->items = b->items;
	return clone;
}
