/* fuzz otlp: one byte that chooses the signal and where to split, then a request.
 *
 * Holds the decoder against the validator and against protobuf-c, decoded against encoded, and a
 * batch against what is left of it after opening and splitting. Where the decoder is meant to
 * differ from protobuf-c (core/wire/otlp.h lists it), tests/fuzz/otlp_strict.h says so. */
#include "core/data/batch.h"
#include "core/wire/otlp.h"
#include "tests/fuzz/otlp_strict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- the codec */

struct counted {
	size_t groups, items;
};

static bool on_group(void *arg, struct slice body, size_t items)
{
	struct counted *counted = arg;

	counted->groups++;
	counted->items += items;
	return true;
}

static void check_encoding(const ProtobufCMessageDescriptor *type, const ProtobufCMessage *m,
                           struct buffer *ret)
{
	struct buffer again = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct arena arena;
	ProtobufCMessage *back;

	arena_init(&arena, NULL);
	CHECK(otlp_encode(m, ret));
	CHECK(otlp_size(m) == ret->len);
	CHECK(otlp_decode(type, buffer_slice(ret), &arena, &back, &error) == 0);
	CHECK(otlp_encode(back, &again));
	CHECK(slice_equal(buffer_slice(ret), buffer_slice(&again)));
	back = otlp_copy(back, (struct slice){0}, &arena);
	buffer_clear(&again);
	CHECK(otlp_encode(back, &again));
	CHECK(slice_equal(buffer_slice(ret), buffer_slice(&again)));
	arena_fini(&arena);
	buffer_fini(&again);
}

static void check_against_protobuf_c(const ProtobufCMessageDescriptor *type, struct slice bytes,
                                     bool accepted, const struct buffer *encoded)
{
	unsigned flags = otlp_strict(type, bytes);
	ProtobufCMessage *theirs;

	CHECK(accepted == (otlp_protobuf_c_accepts(type, bytes) && !(flags & STRICT)));
	if (flags & MERGED)
		return;
	theirs = protobuf_c_message_unpack(type, NULL, bytes.len, bytes.data);
	if (accepted && !(flags & NEGATIVE_ZERO)) {
		uint8_t *packed = malloc(protobuf_c_message_get_packed_size(theirs) + 1);
		size_t size;

		CHECK(packed);
		size = protobuf_c_message_pack(theirs, packed);
		CHECK(slice_equal(slice_of(packed, size), buffer_slice(encoded)));
		free(packed);
	}
	protobuf_c_message_free_unpacked(theirs, NULL);
}

static bool check_codec(enum signal signal, struct slice bytes, struct counted *ret)
{
	const ProtobufCMessageDescriptor *type = otlp_request_descriptor(signal);
	struct error decoded = ERROR_INIT, validated = ERROR_INIT;
	struct buffer encoded = BUFFER_INIT;
	struct arena arena;
	ProtobufCMessage *m = NULL;
	int r;

	arena_init(&arena, NULL);
	r = otlp_decode(type, bytes, &arena, &m, &decoded);
	CHECK(otlp_validate(signal, bytes, on_group, ret, &validated) == r);
	if (strcmp(decoded.message, validated.message) != 0) {
		fprintf(stderr, "decoder: %s\nvalidator: %s\n", decoded.message, validated.message);
		abort();
	}
	if (r == 0) {
		Otlp__ExportTraceServiceRequest *request = (Otlp__ExportTraceServiceRequest *)m;
		size_t items = 0;

		for (size_t i = 0; i < request->n_resource_spans; i++)
			items += otlp_count(signal, &request->resource_spans[i]->base);
		CHECK(ret->groups == request->n_resource_spans);
		CHECK(ret->items == items);
		check_encoding(type, m, &encoded);
	}
	check_against_protobuf_c(type, bytes, r == 0, &encoded);
	buffer_fini(&encoded);
	arena_fini(&arena);
	return r == 0;
}

/* ---- the batch */

static struct batch *receive(enum signal signal, struct slice bytes, struct budget *budget)
{
	struct rcbuf *pin = rcbuf_new(bytes.len, budget);
	struct error error = ERROR_INIT;
	struct batch *b = NULL;

	CHECK(pin);
	if (bytes.len)
		memcpy(pin->data, bytes.data, bytes.len);
	CHECK(batch_from_request(signal, pin, slice_of(pin->data, pin->size), budget, &b, &error) ==
	      0);
	rcbuf_unref(pin);
	return b;
}

static void contents(const struct batch *b, struct buffer *ret)
{
	struct buffer gathered = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct gather g;

	buffer_clear(ret);
	CHECK(batch_encode(b, ret, &error) == 0);
	CHECK(batch_gather(b, &g, &error) == 0);
	for (size_t i = 0; i < g.n_pieces; i++)
		buffer_append_slice(&gathered, g.pieces[i]);
	CHECK(slice_equal(buffer_slice(ret), buffer_slice(&gathered)));
	CHECK(batch_bytes(b) == ret->len && g.bytes == ret->len);
	gather_fini(&g);
	buffer_fini(&gathered);
}

static void check_opening(enum signal signal, struct slice bytes, struct budget *budget)
{
	struct batch *at_once = receive(signal, bytes, budget), *by_steps;
	struct buffer first = BUFFER_INIT, second = BUFFER_INIT;
	struct error error = ERROR_INIT;

	contents(at_once, &first);
	by_steps = receive(signal, buffer_slice(&first), budget);
	CHECK(batch_open(&at_once, DEPTH_FULL, &error) == 0);
	CHECK(batch_open(&by_steps, DEPTH_RESOURCE, &error) == 0);
	contents(by_steps, &second);
	CHECK(batch_open(&by_steps, DEPTH_FULL, &error) == 0);
	contents(by_steps, &second);
	contents(at_once, &first);
	CHECK(slice_equal(buffer_slice(&first), buffer_slice(&second)));
	batch_unref(at_once);
	batch_unref(by_steps);
	buffer_fini(&first);
	buffer_fini(&second);
}

static void check_splitting(enum signal signal, struct slice bytes, struct budget *budget,
                            enum batch_sizer sizer, size_t limit, size_t items)
{
	struct batch *b = receive(signal, bytes, budget);
	struct batch *all = batch_new(signal, budget);
	struct buffer piece = BUFFER_INIT;
	struct error error = ERROR_INIT;

	CHECK(b->items == items && all);
	for (int i = 0; i < 64 && batch_size(b, sizer) > limit; i++) {
		struct batch *head = NULL, *back;

		CHECK(batch_split(&b, sizer, limit, &head, &error) == 0);
		contents(head, &piece);
		back = receive(signal, buffer_slice(&piece), budget);
		CHECK(back->items == head->items);
		CHECK(batch_size(head, sizer) <= limit || head->items <= 1);
		batch_unref(back);
		CHECK(batch_merge(all, head));
	}
	CHECK(batch_merge(all, b));
	CHECK(all->items == items);
	batch_unref(all);
	buffer_fini(&piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct budget budget = {0};
	struct counted counted = {0};
	enum signal signal;
	struct slice bytes;

	if (size == 0)
		return 0;
	signal = data[0] % 3;
	bytes = slice_of(data + 1, size - 1);
	if (check_codec(signal, bytes, &counted)) {
		check_opening(signal, bytes, &budget);
		check_splitting(signal, bytes, &budget, BATCH_ITEMS, 1 + data[0] / 64,
		                counted.items);
		check_splitting(signal, bytes, &budget, BATCH_BYTES, 20 + data[0] / 3u,
		                counted.items);
		CHECK(budget.used == 0);
	}
	return 0;
}
