/* fuzz otlp: one byte that chooses the signal and where to split, then a request.
 *
 * Holds the decoder against the validator and against protobuf-c, decoded against encoded, and a
 * batch against what is left of it after opening and splitting. Where the decoder is meant to
 * differ from protobuf-c (core/wire/otlp.h lists it), a walk of its own over the bytes says so. */
#include "core/data/batch.h"
#include "core/wire/otlp.h"

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

/* ---- what the bytes hold that protobuf-c treats otherwise */

enum {
	STRICT = 1, /* accepted by protobuf-c, refused by otlp_decode() */
	MERGED = 2, /* a message field that comes twice: protobuf-c loses part of the first */
	NEGATIVE_ZERO = 4, /* protobuf-c does not write it */
};

static const ProtobufCFieldDescriptor *find(const ProtobufCMessageDescriptor *type, uint64_t number)
{
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].id == number)
			return &type->fields[i];
	return NULL;
}

/* A varint as protobuf-c reads it: at most most bytes, what is beyond 64 bits falls off. */
static size_t read_varint(const uint8_t *at, const uint8_t *end, size_t most, uint64_t *ret,
                          bool *too_large)
{
	uint64_t value = 0;

	for (size_t i = 0; i < most && at + i < end; i++) {
		if (i == 9 && (at[i] & 0x7f) > 1)
			*too_large = true;
		value |= (uint64_t)(at[i] & 0x7f) << (7 * i);
		if (at[i] < 0x80) {
			*ret = value;
			return i + 1;
		}
	}
	return 0;
}

static unsigned walk_packed(const ProtobufCFieldDescriptor *field, const uint8_t *at,
                            const uint8_t *end)
{
	bool too_large = false;
	uint64_t value;
	size_t n;

	if (field->type != PROTOBUF_C_TYPE_UINT64)
		return 0;
	for (; at < end; at += n) {
		n = read_varint(at, end, 10, &value, &too_large);
		if (n == 0)
			break;
	}
	return too_large ? STRICT : 0;
}

static unsigned walk(const ProtobufCMessageDescriptor *type, const uint8_t *at, const uint8_t *end,
                     unsigned depth)
{
	uint64_t seen = 0, tag, value = 0;
	unsigned flags = depth > OTLP_DEPTH_LIMIT ? STRICT : 0;

	while (at < end) {
		bool too_large = false;
		size_t n = read_varint(at, end, 5, &tag, &too_large);
		const ProtobufCFieldDescriptor *field = find(type, (uint32_t)(tag >> 3));
		bool is_message = field && field->type == PROTOBUF_C_TYPE_MESSAGE;

		if (n == 0)
			return flags;
		at += n;
		if (tag >> 3 == 0 || tag >> 3 >= 1 << 29)
			flags |= STRICT;
		if (field && field->type == PROTOBUF_C_TYPE_BOOL && (tag & 7) != 0)
			flags |= STRICT;
		switch (tag & 7) {
		case 0:
			n = read_varint(at, end, 10, &value, &too_large);
			if (n == 0)
				return flags;
			at += n;
			break;
		case 1:
			if (end - at < 8)
				return flags;
			memcpy(&value, at, 8);
			if (value == UINT64_C(1) << 63)
				flags |= NEGATIVE_ZERO;
			at += 8;
			break;
		case 5:
			if (end - at < 4)
				return flags;
			at += 4;
			break;
		case 2:
			n = read_varint(at, end, 5, &value, &too_large);
			if (n == 0)
				return flags;
			at += n;
			if (value > INT32_MAX)
				flags |= STRICT;
			value = (uint32_t)value;
			if (value > (size_t)(end - at))
				return flags;
			if (is_message)
				flags |= walk(field->descriptor, at, at + value, depth + 1);
			else if (field && field->label == PROTOBUF_C_LABEL_REPEATED &&
			         field->type != PROTOBUF_C_TYPE_BYTES)
				flags |= walk_packed(field, at, at + value);
			at += value;
			break;
		default:
			return flags;
		}
		if (too_large)
			flags |= STRICT;
		if (is_message && field->label != PROTOBUF_C_LABEL_REPEATED) {
			if (seen & UINT64_C(1) << field->id)
				flags |= MERGED;
			seen |= UINT64_C(1) << field->id;
		}
	}
	return flags;
}

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
	unsigned flags = bytes.len ? walk(type, bytes.data, bytes.data + bytes.len, 1) : 0;
	ProtobufCMessage *theirs;

	/* protobuf-c's merging reads before its table of fields when a oneof is not set. */
	if (flags & MERGED)
		return;
	theirs = protobuf_c_message_unpack(type, NULL, bytes.len, bytes.data);
	CHECK(accepted == (theirs && !(flags & STRICT)));
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
