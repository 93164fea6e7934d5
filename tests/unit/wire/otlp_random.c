#include "tests/unit/wire/otlp_random.h"

#include "core/wire/cursor.h"

#include <stdlib.h>

const ProtobufCMessageDescriptor *const otlp_types[] = {
	&otlp__any_value__descriptor,
	&otlp__array_value__descriptor,
	&otlp__key_value_list__descriptor,
	&otlp__key_value__descriptor,
	&otlp__instrumentation_scope__descriptor,
	&otlp__entity_ref__descriptor,
	&otlp__resource__descriptor,
	&otlp__resource_spans__descriptor,
	&otlp__scope_spans__descriptor,
	&otlp__span__descriptor,
	&otlp__span__event__descriptor,
	&otlp__span__link__descriptor,
	&otlp__status__descriptor,
	&otlp__resource_metrics__descriptor,
	&otlp__scope_metrics__descriptor,
	&otlp__metric__descriptor,
	&otlp__gauge__descriptor,
	&otlp__sum__descriptor,
	&otlp__histogram__descriptor,
	&otlp__exponential_histogram__descriptor,
	&otlp__summary__descriptor,
	&otlp__number_data_point__descriptor,
	&otlp__histogram_data_point__descriptor,
	&otlp__exponential_histogram_data_point__descriptor,
	&otlp__exponential_histogram_data_point__buckets__descriptor,
	&otlp__summary_data_point__descriptor,
	&otlp__summary_data_point__value_at_quantile__descriptor,
	&otlp__exemplar__descriptor,
	&otlp__resource_logs__descriptor,
	&otlp__scope_logs__descriptor,
	&otlp__log_record__descriptor,
	&otlp__export_trace_service_request__descriptor,
	&otlp__export_metrics_service_request__descriptor,
	&otlp__export_logs_service_request__descriptor,
	&otlp__export_partial_success__descriptor,
	&otlp__export_service_response__descriptor,
	&otlp__rpc_any__descriptor,
	&otlp__rpc_status__descriptor,
	&otlp__rpc_retry_info__descriptor,
	&otlp__rpc_duration__descriptor,
};
const size_t otlp_types_count = sizeof otlp_types / sizeof *otlp_types;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void *must(void *p)
{
	check(p);
	return p;
}

uint64_t otlp_random_u64(struct otlp_random *r) /* xorshift64* */
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(2685821657736338717);
}

static size_t below(struct otlp_random *r, size_t n)
{
	return (size_t)(otlp_random_u64(r) >> 11) % n;
}

static ProtobufCBinaryData random_bytes(struct otlp_random *r)
{
	size_t len = below(r, 8) ? below(r, 20) : below(r, 400);
	ProtobufCBinaryData bytes = {.len = len, .data = must(arena_alloc(r->arena, len + 1))};

	for (size_t i = 0; i < len; i++)
		bytes.data[i] = (uint8_t)otlp_random_u64(r);
	return bytes;
}

static void random_number(struct otlp_random *r, ProtobufCType type, void *member)
{
	uint64_t value = otlp_random_u64(r) >> below(r, 64);
	double number = (double)value / 16;

	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)member = value & 1;
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)member = number;
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*(uint64_t *)member = value;
		break;
	default:
		*(uint32_t *)member = (uint32_t)value;
		break;
	}
}

static void random_value(struct otlp_random *r, const ProtobufCFieldDescriptor *field, void *member)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)member = random_bytes(r);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		r->depth--;
		*(ProtobufCMessage **)member = otlp_random_message(r, field->descriptor);
		r->depth++;
		break;
	default:
		random_number(r, field->type, member);
		break;
	}
}

static void random_list(struct otlp_random *r, const ProtobufCFieldDescriptor *field,
                        ProtobufCMessage *m)
{
	size_t n = below(r, 4), size;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		size = sizeof(ProtobufCBinaryData);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		size = sizeof(ProtobufCMessage *);
		break;
	default:
		size = 8; /* OTLP has lists of 64-bit numbers only */
		break;
	}
	*(size_t *)((char *)m + field->quantifier_offset) = n;
	if (n == 0)
		return;
	*(void **)((char *)m + field->offset) = must(arena_alloc_array(r->arena, n, size));
	for (size_t i = 0; i < n; i++)
		random_value(r, field, *(char **)((char *)m + field->offset) + i * size);
}

static void random_unknown(struct otlp_random *r, ProtobufCMessage *m)
{
	static const char *const values[] = {
		[WIRE_VARINT] = "\x96\x01",
		[WIRE_FIXED64] = "abcdefgh",
		[WIRE_LENGTH] = "\x05hello",
		[WIRE_FIXED32] = "wxyz",
	};
	static const unsigned types[] = {WIRE_VARINT, WIRE_FIXED64, WIRE_LENGTH, WIRE_FIXED32};

	m->n_unknown_fields = (unsigned)below(r, 3);
	m->unknown_fields =
		must(arena_alloc_array(r->arena, m->n_unknown_fields, sizeof *m->unknown_fields));
	for (unsigned i = 0; i < m->n_unknown_fields; i++) {
		unsigned type = types[below(r, 4)];
		m->unknown_fields[i] = (ProtobufCMessageUnknownField){
			.tag = 100 + (uint32_t)below(r, 1000000),
			.wire_type = (ProtobufCWireType)type,
			.len = strlen(values[type]),
			.data = (uint8_t *)values[type],
		};
	}
}

ProtobufCMessage *otlp_random_message(struct otlp_random *r, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = must(arena_alloc(r->arena, type->sizeof_message));

	protobuf_c_message_init(type, m);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		uint32_t *chosen = (uint32_t *)((char *)m + field->quantifier_offset);

		if (field->type == PROTOBUF_C_TYPE_MESSAGE && r->depth == 0)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			random_list(r, field, m);
			continue;
		}
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			if (*chosen || below(r, 3))
				continue;
			*chosen = field->id;
		} else if (below(r, 4) == 0) {
			continue;
		}
		random_value(r, field, (char *)m + field->offset);
	}
	if (r->unknown && below(r, 3) == 0)
		random_unknown(r, m);
	return m;
}

struct slice otlp_protobuf_c_pack(struct arena *arena, const ProtobufCMessage *m)
{
	size_t size = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = must(arena_alloc(arena, size + 1));

	check(protobuf_c_message_pack(m, bytes) == size);
	return slice_of(bytes, size);
}

/* ---- scrambling */

static void put_long_varint(struct otlp_random *r, struct buffer *out, uint64_t value, size_t most)
{
	size_t extra = below(r, 3), n = 0;

	for (; value >= 0x80 || (extra > 0 && n + 1 < most); value >>= 7, n++) {
		extra -= value < 0x80;
		buffer_append_byte(out, (uint8_t)(value | 0x80));
	}
	buffer_append_byte(out, (uint8_t)value);
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  uint32_t number)
{
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].id == number)
			return &type->fields[i];
	return NULL;
}

static void scramble_packed(struct otlp_random *r, struct buffer *out,
                            const ProtobufCFieldDescriptor *field, struct slice body)
{
	const uint8_t *at = body.data, *end = at + body.len;

	while (at < end) {
		bool fixed = field->type != PROTOBUF_C_TYPE_UINT64;
		uint64_t value;
		const uint8_t *after = fixed ? at + 8 : cursor_varint(at, end, &value);

		put_long_varint(r, out, field->id << 3 | (fixed ? WIRE_FIXED64 : WIRE_VARINT), 5);
		buffer_append(out, at, (size_t)(after - at));
		at = after;
	}
}

static void scramble_field(struct otlp_random *r, struct buffer *out,
                           const ProtobufCMessageDescriptor *type, const struct cursor_field *f)
{
	const ProtobufCFieldDescriptor *field = find_field(type, f->number);
	struct slice body = f->body;
	uint64_t value;

	if (!field) { /* what is unknown is kept as it is, its tag apart */
		buffer_append_slice(out, f->raw);
		return;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED && below(r, 2)) {
		scramble_packed(r, out, field, body);
		return;
	}
	put_long_varint(r, out, f->number << 3 | f->type, 5);
	if (f->type == WIRE_VARINT) {
		cursor_varint(body.data, body.data + body.len, &value);
		put_long_varint(r, out, value, 10);
		return;
	}
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		body = otlp_random_scramble(r, field->descriptor, body);
	if (f->type == WIRE_LENGTH)
		put_long_varint(r, out, body.len, 5);
	buffer_append_slice(out, body);
}

struct slice otlp_random_scramble(struct otlp_random *r, const ProtobufCMessageDescriptor *type,
                                  struct slice bytes)
{
	struct buffer out = BUFFER_INIT;
	struct slice copy = {0};
	uint32_t passes = (uint32_t)below(r, 4) + 1;

	/* Fields keep their order within a pass and among those of their number. */
	for (uint32_t pass = 0; pass < passes; pass++) {
		struct cursor c = cursor_of(bytes);
		struct cursor_field f;

		while (cursor_next(&c, &f)) {
			uint32_t own = find_field(type, f.number) ? f.number : 0;
			if ((own + 1) % passes == pass)
				scramble_field(r, &out, type, &f);
		}
		check(!c.error);
	}
	check(!out.failed && arena_copy(r->arena, buffer_slice(&out), &copy));
	buffer_fini(&out);
	return copy;
}
