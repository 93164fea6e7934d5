/* fuzz validate: one byte that chooses the signal, then a request that the validator accepts exactly when
 * protobuf-c's unpack does, but for what core/wire/otlp.h excepts, and whose items it counts as
 * protobuf-c's structs have them. Mutations keep to protobuf's grammar half of the time. */
#include "tests/fuzz/otlp_strict.h"
#include "tests/unit/wire/otlp_random.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static bool on_group(void *arg, struct slice body, size_t items)
{
	size_t *counted = arg;

	counted[0]++;
	counted[1] += items;
	return true;
}

/* Both list their groups first and alike. */
static void check_count(enum signal signal, const ProtobufCMessage *request, const size_t *counted)
{
	const Otlp__ExportTraceServiceRequest *r = (const Otlp__ExportTraceServiceRequest *)request;
	size_t items = 0;

	CHECK(r->n_resource_spans == counted[0]);
	for (size_t i = 0; i < r->n_resource_spans; i++)
		items += otlp_count(signal, &r->resource_spans[i]->base);
	CHECK(items == counted[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t counted[2] = {0};
	struct error error = ERROR_INIT;
	const ProtobufCMessageDescriptor *type;
	enum signal signal;
	struct slice bytes;
	unsigned flags;
	bool accepted;

	if (size == 0)
		return 0;
	signal = data[0] % SIGNAL_COUNT;
	type = otlp_request_descriptor(signal);
	bytes = slice_of(data + 1, size - 1);
	flags = otlp_strict(type, bytes);
	accepted = otlp_validate(signal, bytes, on_group, counted, &error) == 0;
	CHECK(accepted == !error_is_set(&error));
	CHECK(accepted == (otlp_protobuf_c_accepts(type, bytes) && !(flags & STRICT)));
	if (accepted && !(flags & MERGED)) {
		ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, bytes.len, bytes.data);

		CHECK(m);
		check_count(signal, m, counted);
		protobuf_c_message_free_unpacked(m, NULL);
	}
	return 0;
}

/* A group whose body is that of two, so that their resources are to be merged. */
static struct slice two_in_one(struct otlp_random *r, enum signal signal)
{
	struct buffer out = BUFFER_INIT;
	struct slice group[2], copy;
	size_t len = 0;

	for (int i = 0; i < 2; i++) {
		const ProtobufCMessageDescriptor *type = otlp_group_descriptor(signal);
		group[i] = otlp_protobuf_c_pack(r->arena, otlp_random_message(r, type));
		group[i] = otlp_random_scramble(r, type, group[i]);
		len += group[i].len;
	}
	buffer_append_byte(&out, OTLP_REQUEST_GROUPS << 3 | 2);
	for (; len >= 0x80; len >>= 7)
		buffer_append_byte(&out, (uint8_t)(len | 0x80));
	buffer_append_byte(&out, (uint8_t)len);
	buffer_append_slice(&out, group[0]);
	buffer_append_slice(&out, group[1]);
	CHECK(!out.failed && arena_copy(r->arena, buffer_slice(&out), &copy));
	buffer_fini(&out);
	return copy;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct arena arena;
	struct otlp_random r = {.arena = &arena, .state = seed + 1, .depth = 2 + seed % 8};
	enum signal signal = seed % SIGNAL_COUNT;
	struct slice made;

	if (seed % 16 > 1 || max_size < 2)
		return LLVMFuzzerMutate(data, size, max_size);
	arena_init(&arena, NULL);
	r.unknown = otlp_random_u64(&r) & 1;
	if (seed % 16) {
		const ProtobufCMessageDescriptor *type = otlp_request_descriptor(signal);
		made = otlp_protobuf_c_pack(&arena, otlp_random_message(&r, type));
		made = otlp_random_scramble(&r, type, made);
	} else {
		made = two_in_one(&r, signal);
	}
	if (made.len < max_size) {
		data[0] = (uint8_t)signal;
		memcpy(data + 1, made.data, made.len);
		size = made.len + 1;
	}
	arena_fini(&arena);
	return otlp_random_u64(&r) & 1 ? size : LLVMFuzzerMutate(data, size, max_size);
}
