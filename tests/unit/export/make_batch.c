#include "tests/unit/export/make_batch.h"

#include "core/base/buffer.h"

#include <stdio.h>
#include <stdlib.h>

static void append_message(struct buffer *out, uint8_t tag, struct slice body)
{
	size_t len = body.len;

	buffer_append_byte(out, tag);
	for (; len >= 0x80; len >>= 7)
		buffer_append_byte(out, (uint8_t)(len | 0x80));
	buffer_append_byte(out, (uint8_t)len);
	buffer_append_slice(out, body);
}

struct batch *make_batch(size_t items, unsigned first, struct budget *budget)
{
	struct buffer spans = BUFFER_INIT, scopes = BUFFER_INIT, request = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct batch *batch = NULL;
	struct rcbuf *pin;

	for (size_t i = 0; i < items; i++) {
		uint8_t body[16] = {0x2a}; /* Span.name */
		int n = snprintf((char *)body + 2, sizeof body - 2, "%u", first + (unsigned)i);
		body[1] = (uint8_t)n;
		append_message(&spans, 0x12, slice_of(body, (size_t)n + 2));
	}
	append_message(&scopes, 0x12, buffer_slice(&spans));
	append_message(&request, 0x0a, buffer_slice(&scopes));
	pin = rcbuf_new(request.len, budget);
	if (pin) {
		memcpy(pin->data, request.data, request.len);
		batch_from_request(SIGNAL_TRACES, pin, slice_of(pin->data, request.len), budget,
		                   &batch, &error);
		rcbuf_unref(pin);
	}
	buffer_fini(&spans);
	buffer_fini(&scopes);
	buffer_fini(&request);
	return batch;
}

bool each_number(const struct batch *b, void (*visit)(void *arg, unsigned number), void *arg)
{
	struct error error = ERROR_INIT;

	if (batch_read((struct batch *)(uintptr_t)b, &error) < 0)
		return false;
	for (const struct group *g = b->first; g; g = g->next)
		for (size_t i = 0; i < g->spans->n_scope_spans; i++)
			for (size_t k = 0; k < g->spans->scope_spans[i]->n_spans; k++) {
				ProtobufCBinaryData name = g->spans->scope_spans[i]->spans[k]->name;
				unsigned number = 0;
				for (size_t c = 0; c < name.len; c++)
					number = number * 10 + (name.data[c] - '0');
				visit(arg, number);
			}
	return true;
}
