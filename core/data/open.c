/* open: decoding groups as deep as somebody needs. Every group is decoded before the first is
 * changed, so that a failure leaves the batch as it was. */
#include "core/data/batch_internal.h"

#include "core/data/build.h"
#include "core/wire/cursor.h"
#include "core/wire/otlp.h"

#include <errno.h>

/* What a group becomes. */
struct opened {
	struct group *group;
	enum depth depth;
	Otlp__Resource *resource;
	bool resource_absent;
	struct slice *rest;
	size_t n_rest;
	ProtobufCMessage *message;
};

static bool is_resource(const struct cursor_field *f)
{
	return f->number == OTLP_GROUP_RESOURCE && f->type == WIRE_LENGTH;
}

/* The resource decoded; the fields between and around it as slices, neighbours in one. */
static int open_resource(struct opened *o, struct arena *a, struct error *error)
{
	struct cursor c = cursor_of(o->group->wire);
	struct cursor_field f;
	bool in_rest = false;
	size_t n = 0;
	int r;

	o->resource = BUILD(a, Otlp__Resource, otlp__resource);
	if (!o->resource)
		return error_no_memory(error);
	o->resource_absent = true;
	while (cursor_next(&c, &f)) {
		n += !is_resource(&f) && !in_rest;
		in_rest = !is_resource(&f);
	}
	o->rest = arena_alloc_array(a, n, sizeof *o->rest);
	if (!o->rest)
		return error_no_memory(error);
	c = cursor_of(o->group->wire);
	in_rest = false;
	while (cursor_next(&c, &f)) {
		if (is_resource(&f)) {
			r = otlp_decode_into(&o->resource->base, f.body, a, error);
			if (r < 0)
				return r;
			o->resource_absent = false;
		} else if (in_rest) {
			o->rest[o->n_rest - 1].len += f.raw.len;
		} else {
			o->rest[o->n_rest++] = f.raw;
		}
		in_rest = !is_resource(&f);
	}
	if (c.error)
		return error_set(error, -EBADMSG, "not OTLP: a group at byte %zu is malformed",
		                 (size_t)(c.at - o->group->wire.data));
	return 0;
}

static int open_message(struct opened *o, enum signal signal, struct arena *a, struct error *error)
{
	const ProtobufCMessageDescriptor *type = otlp_group_descriptor(signal);
	struct group *g = o->group;
	Otlp__ResourceSpans *shell;
	int r;

	o->message = build_message(a, type);
	if (!o->message)
		return error_no_memory(error);
	shell = (Otlp__ResourceSpans *)o->message;
	if (g->depth == DEPTH_WIRE) {
		r = otlp_decode_into(o->message, g->wire, a, error);
		if (r < 0)
			return r;
		o->resource = shell->resource;
		o->resource_absent = !shell->resource;
		if (!o->resource)
			o->resource = BUILD(a, Otlp__Resource, otlp__resource);
	} else {
		for (size_t i = 0; i < g->n_rest; i++) {
			r = otlp_decode_into(o->message, g->rest[i], a, error);
			if (r < 0)
				return r;
		}
		o->resource = g->resource;
		o->resource_absent = g->resource_absent;
		if (g->home) /* from here on the whole group lives in this batch's arena */
			o->resource = message_copy(a, &g->resource->base, g->pin);
	}
	shell->resource = o->resource;
	return o->resource ? 0 : error_no_memory(error);
}

static void commit(struct opened *o)
{
	struct group *g = o->group;

	if (g->home) {
		struct rcbuf *pin = TAKE(g->pin);
		group_release(g);
		g->pin = pin;
	}
	g->depth = o->depth;
	g->resource = o->resource;
	g->resource_absent = o->resource_absent;
	g->rest = o->rest;
	g->n_rest = o->n_rest;
	g->message = o->message;
}

static int open_groups(struct batch *b, enum depth d, struct error *error)
{
	struct arena
		arena; /* becomes the batch's; what is given up must not stay charged with it */
	struct opened *opened;
	size_t n = 0;
	int r = 0;

	for (struct group *g = b->first; g; g = g->next)
		n += g->depth < d;
	if (n == 0)
		return 0;
	arena_init(&arena, b->arena.budget);
	opened = arena_alloc_array(&arena, n, sizeof *opened);
	n = 0;
	if (!opened)
		return error_no_memory(error);
	for (struct group *g = b->first; g && r == 0; g = g->next) {
		if (g->depth >= d)
			continue;
		opened[n].group = g;
		opened[n].depth = d;
		r = d == DEPTH_RESOURCE ? open_resource(&opened[n], &arena, error)
		                        : open_message(&opened[n], b->signal, &arena, error);
		n++;
	}
	if (r < 0) {
		arena_fini(&arena);
		return r;
	}
	arena_join(&b->arena, &arena);
	for (size_t i = 0; i < n; i++)
		commit(&opened[i]);
	return 0;
}

int batch_open(struct batch **b, enum depth d, struct error *error)
{
	struct batch *own = *b;
	int r;

	if (own->refs > 1) {
		own = batch_clone(own);
		if (!own)
			return error_no_memory(error);
	}
	r = open_groups(own, d, error);
	if (r < 0) {
		if (own != *b)
			batch_unref(own);
		return r;
	}
	for (struct group *g = own->first; g; g = g->next)
		if (g->depth != DEPTH_WIRE)
			g->wire = (struct slice){0};
	if (own != *b) {
		batch_unref(*b);
		*b = own;
	}
	return 0;
}

int batch_read(struct batch *b, struct error *error)
{
	return open_groups(b, DEPTH_FULL, error);
}
