/* encode: a batch as the bytes of its request. What nobody opened is sent from where it was
 * received; only headers and what was decoded to be written is made anew. */
#include "core/data/batch_internal.h"

#include "core/wire/cursor.h"
#include "core/wire/otlp.h"

#include <errno.h>
#include <stdlib.h>

enum { HEADER_LARGEST = 11 };

/* Tag and length of a group's field. Returns how many bytes. */
static size_t put_header(uint8_t *to, size_t body)
{
	size_t n = 0;

	to[n++] = OTLP_REQUEST_GROUPS << 3 | WIRE_LENGTH;
	for (; body >= 0x80; body >>= 7)
		to[n++] = (uint8_t)(body | 0x80);
	to[n++] = (uint8_t)body;
	return n;
}

size_t group_field_size(size_t body)
{
	return 1 + cursor_varint_size(body) + body;
}

const Otlp__Resource *group_sent_resource(const struct group *g)
{
	bool empty = g->resource_absent && otlp_size(&g->resource->base) == 0;

	return empty ? NULL : g->resource;
}

const ProtobufCMessage *group_sent_message(const struct group *g, Otlp__ResourceSpans *shell)
{
	*shell = *g->spans;
	shell->resource = (Otlp__Resource *)group_sent_resource(g);
	return &shell->base;
}

static size_t rest_size(const struct group *g)
{
	size_t sum = 0;

	for (size_t i = 0; i < g->n_rest; i++)
		sum += g->rest[i].len;
	return sum;
}

size_t group_body_size(const struct group *g)
{
	const Otlp__Resource *resource;
	Otlp__ResourceSpans shell;

	if (g->depth == DEPTH_WIRE || g->wire.data)
		return g->wire.len;
	if (g->depth == DEPTH_FULL)
		return otlp_size(group_sent_message(g, &shell));
	resource = group_sent_resource(g);
	return rest_size(g) + (resource ? group_field_size(otlp_size(&resource->base)) : 0);
}

size_t batch_bytes(const struct batch *b)
{
	size_t sum = 0;

	for (const struct group *g = b->first; g; g = g->next)
		sum += group_field_size(group_body_size(g));
	return sum;
}

size_t batch_size(const struct batch *b, enum batch_sizer sizer)
{
	switch (sizer) {
	case BATCH_ITEMS:
		return b->items;
	case BATCH_BYTES:
		return batch_bytes(b);
	default:
		return 1;
	}
}

bool group_encode(const struct group *g, struct buffer *out)
{
	const Otlp__Resource *resource;
	Otlp__ResourceSpans shell;

	if (g->depth == DEPTH_WIRE || g->wire.data) {
		buffer_append_slice(out, g->wire);
		return !out->failed;
	}
	if (g->depth == DEPTH_FULL)
		return otlp_encode(group_sent_message(g, &shell), out);
	resource = group_sent_resource(g);
	if (resource)
		otlp_encode_field(OTLP_GROUP_RESOURCE, &resource->base, out);
	for (size_t i = 0; i < g->n_rest; i++)
		buffer_append_slice(out, g->rest[i]);
	return !out->failed;
}

int batch_encode(const struct batch *b, struct buffer *out, struct error *error)
{
	for (const struct group *g = b->first; g; g = g->next) {
		Otlp__ResourceSpans shell;
		uint8_t header[HEADER_LARGEST];

		if (g->depth == DEPTH_FULL && !g->wire.data) {
			otlp_encode_field(OTLP_REQUEST_GROUPS, group_sent_message(g, &shell), out);
			continue;
		}
		buffer_append(out, header, put_header(header, group_body_size(g)));
		group_encode(g, out);
	}
	return out->failed ? error_no_memory(error) : 0;
}

/* ---- gather */

/* A piece behind the others; one that continues the last becomes part of it. data NULL: the next
 * len bytes of own, which may still move. */
static void add_piece(struct gather *g, struct slice piece)
{
	struct slice *last = g->n_pieces ? &g->pieces[g->n_pieces - 1] : NULL;

	if (piece.len == 0)
		return;
	g->bytes += piece.len;
	if (last && (piece.data ? last->data && last->data + last->len == piece.data : !last->data))
		last->len += piece.len;
	else
		g->pieces[g->n_pieces++] = piece;
}

/* The group as it came, with the header that stands before it where it is the shortest one. */
static void gather_wire(struct gather *gather, const struct group *g)
{
	uint8_t header[HEADER_LARGEST];
	size_t n = put_header(header, g->wire.len);

	if (g->pin && (size_t)(g->wire.data - g->pin->data) >= n &&
	    memcmp(g->wire.data - n, header, n) == 0) {
		add_piece(gather, slice_of(g->wire.data - n, g->wire.len + n));
		return;
	}
	buffer_append(&gather->own, header, n);
	add_piece(gather, (struct slice){.len = n});
	add_piece(gather, g->wire);
}

static void gather_opened(struct gather *gather, const struct group *g)
{
	const Otlp__Resource *resource;
	Otlp__ResourceSpans shell;
	uint8_t header[HEADER_LARGEST];
	size_t before = gather->own.len;

	if (g->depth == DEPTH_FULL) {
		otlp_encode_field(OTLP_REQUEST_GROUPS, group_sent_message(g, &shell), &gather->own);
		add_piece(gather, (struct slice){.len = gather->own.len - before});
		return;
	}
	resource = group_sent_resource(g);
	buffer_append(&gather->own, header, put_header(header, group_body_size(g)));
	if (resource)
		otlp_encode_field(OTLP_GROUP_RESOURCE, &resource->base, &gather->own);
	add_piece(gather, (struct slice){.len = gather->own.len - before});
	for (size_t i = 0; i < g->n_rest; i++)
		add_piece(gather, g->rest[i]);
}

int batch_gather(const struct batch *b, struct gather *ret, struct error *error)
{
	struct gather gather = {.own = BUFFER_INIT};
	size_t most = 0, at = 0;

	for (const struct group *g = b->first; g; g = g->next)
		most += 2 + g->n_rest;
	gather.pieces = calloc(most ? most : 1, sizeof *gather.pieces);
	if (!gather.pieces)
		return error_no_memory(error);
	for (const struct group *g = b->first; g; g = g->next) {
		if (g->depth == DEPTH_WIRE || g->wire.data)
			gather_wire(&gather, g);
		else
			gather_opened(&gather, g);
	}
	if (gather.own.failed) {
		gather_fini(&gather);
		return error_no_memory(error);
	}
	for (size_t i = 0; i < gather.n_pieces; i++) {
		struct slice *piece = &gather.pieces[i];
		if (!piece->data) {
			piece->data = gather.own.data + at;
			at += piece->len;
		}
	}
	*ret = gather;
	return 0;
}

void gather_fini(struct gather *g)
{
	free(g->pieces);
	buffer_fini(&g->own);
	*g = (struct gather){.own = BUFFER_INIT};
}
