/* otlp_encode: structs to bytes, written backwards.
 *
 * From the last byte of the last field to the first of the first, every length is known when it is
 * written, so no pass over the message to measure it is needed. The bytes grow downwards from the
 * end of a block that doubles; they move to the front once, at the end. Field order, packing and
 * what is left out are protobuf-c's: fields by number, unknown ones last, defaults of proto3 left
 * out, members of a oneof always written. */
#include "core/wire/otlp_fields.h"

#include <stdlib.h>

enum {
	FIRST_ROOM = 512,
	VARINT_LARGEST = 10,
	ATTRIBUTE_REST = 64, /* all of an attribute but key and string: three tags, four varints */
};

/* A block of memory whose bytes from at to end are written. NULL at: an allocation failed. */
struct writer {
	uint8_t *start, *at, *end;
	bool failed;
};

/* At least n bytes below at. */
static bool make_room(struct writer *w, size_t n)
{
	size_t used = (size_t)(w->end - w->at), size = (size_t)(w->end - w->start);
	uint8_t *block;

	if (w->failed)
		return false;
	size = size ? size : FIRST_ROOM;
	while (size - used < n) {
		if (size > SIZE_MAX / 2) {
			w->failed = true;
			return false;
		}
		size *= 2;
	}
	block = malloc(size);
	if (!block) {
		w->failed = true;
		return false;
	}
	if (used)
		memcpy(block + size - used, w->at, used);
	free(w->start);
	*w = (struct writer){.start = block, .at = block + size - used, .end = block + size};
	return true;
}

static inline bool has_room(struct writer *w, size_t n)
{
	return (size_t)(w->at - w->start) >= n || make_room(w, n);
}

/* Writes below at, where there is room, and returns where it begins. */
static inline uint8_t *varint_before(uint8_t *at, uint64_t value)
{
	uint8_t *start;

	if (value < 0x80) {
		*--at = (uint8_t)value;
		return at;
	}
	start = at -= cursor_varint_size(value);
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at = (uint8_t)value;
	return start;
}

static inline uint8_t *bytes_before(uint8_t *at, ProtobufCBinaryData bytes)
{
	if (bytes.len)
		memcpy(at - bytes.len, bytes.data, bytes.len);
	return at - bytes.len;
}

static inline void put_varint(struct writer *w, uint64_t value)
{
	if (has_room(w, VARINT_LARGEST))
		w->at = varint_before(w->at, value);
}

static inline void put_bytes(struct writer *w, const void *data, size_t len)
{
	if (len == 0 || !has_room(w, len))
		return;
	w->at -= len;
	memcpy(w->at, data, len);
}

static inline void put_tag(struct writer *w, uint32_t number, unsigned wire_type)
{
	put_varint(w, (uint64_t)number << 3 | wire_type);
}

static inline size_t written(const struct writer *w)
{
	return (size_t)(w->end - w->at);
}

static void put_number(struct writer *w, ProtobufCType type, const void *member)
{
	switch (otlp_wire_types[type]) {
	case WIRE_FIXED64:
		put_bytes(w, member, 8);
		break;
	case WIRE_FIXED32:
		put_bytes(w, member, 4);
		break;
	default:
		put_varint(w, otlp_varint_of(type, member));
		break;
	}
}

/* An attribute whose value is a string, a bool, an integer or a double, which most are: one look
 * for room, no loop over fields. False: it is none of those, and nothing was written. */
static bool put_attribute(struct writer *w, const Otlp__KeyValue *pair)
{
	const Otlp__AnyValue *value = pair->value;
	uint8_t *at, *end;

	if (!value || value->base.n_unknown_fields || pair->base.n_unknown_fields)
		return false;
	switch (value->value_case) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		if (!has_room(w, ATTRIBUTE_REST + pair->key.len + value->string_value.len))
			return true;
		end = w->at;
		at = bytes_before(end, value->string_value);
		at = varint_before(at, value->string_value.len);
		*--at = OTLP__ANY_VALUE__VALUE_STRING_VALUE << 3 | WIRE_LENGTH;
		break;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		if (!has_room(w, ATTRIBUTE_REST + pair->key.len))
			return true;
		end = w->at;
		at = varint_before(end, value->value_case == OTLP__ANY_VALUE__VALUE_INT_VALUE
		                                ? (uint64_t)value->int_value
		                                : value->bool_value != 0);
		*--at = (uint8_t)(value->value_case << 3 | WIRE_VARINT);
		break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		if (!has_room(w, ATTRIBUTE_REST + pair->key.len))
			return true;
		end = w->at;
		at = end - 8;
		memcpy(at, &value->double_value, 8);
		*--at = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE << 3 | WIRE_FIXED64;
		break;
	default:
		return false;
	}
	at = varint_before(at, (size_t)(end - at));
	*--at = 2 << 3 | WIRE_LENGTH;
	if (pair->key.len) {
		at = bytes_before(at, pair->key);
		at = varint_before(at, pair->key.len);
		*--at = 1 << 3 | WIRE_LENGTH;
	}
	w->at = at;
	return true;
}

static void put_message(struct writer *w, const ProtobufCMessage *m);

/* One value with its tag. */
static void put_value(struct writer *w, const ProtobufCFieldDescriptor *field, const void *member)
{
	const ProtobufCBinaryData *bytes = member;
	const ProtobufCMessage *message;
	size_t before = written(w);

	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(w, bytes->data, bytes->len);
		put_varint(w, bytes->len);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		message = *(const ProtobufCMessage *const *)member;
		if (message && !(field->descriptor == &otlp__key_value__descriptor &&
		                 put_attribute(w, (const Otlp__KeyValue *)message)))
			put_message(w, message);
		put_varint(w, written(w) - before);
		break;
	default:
		put_number(w, field->type, member);
		break;
	}
	put_tag(w, field->id, otlp_wire_types[field->type]);
}

static void put_list(struct writer *w, const ProtobufCMessage *m,
                     const ProtobufCFieldDescriptor *field)
{
	size_t n = *(const size_t *)otlp_member(m, field->quantifier_offset);
	const char *list = *(const char *const *)otlp_member(m, field->offset);
	size_t size = otlp_element_sizes[field->type], before = written(w);

	if (n == 0)
		return;
	if (!(field->flags & PROTOBUF_C_FIELD_FLAG_PACKED)) {
		while (n-- > 0)
			put_value(w, field, list + n * size);
		return;
	}
	if (otlp_wire_types[field->type] == WIRE_VARINT) {
		while (n-- > 0)
			put_number(w, field->type, list + n * size);
	} else {
		put_bytes(w, list, n * size);
	}
	put_varint(w, written(w) - before);
	put_tag(w, field->id, WIRE_LENGTH);
}

static void put_message(struct writer *w, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;

	for (unsigned i = m->n_unknown_fields; i-- > 0;) {
		const ProtobufCMessageUnknownField *unknown = &m->unknown_fields[i];
		put_bytes(w, unknown->data, unknown->len);
		put_tag(w, unknown->tag, unknown->wire_type);
	}
	for (unsigned i = type->n_fields; i-- > 0;) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			put_list(w, m, field);
		else if (otlp_is_set(m, field))
			put_value(w, field, otlp_member(m, field->offset));
	}
}

static bool finish(struct writer *w, struct buffer *out)
{
	if (w->failed)
		out->failed = true;
	else
		buffer_append(out, w->at, written(w));
	free(w->start);
	return !out->failed;
}

bool otlp_encode(const ProtobufCMessage *message, struct buffer *out)
{
	struct writer w = {0};

	put_message(&w, message);
	return finish(&w, out);
}

bool otlp_encode_field(uint32_t number, const ProtobufCMessage *message, struct buffer *out)
{
	struct writer w = {0};

	put_message(&w, message);
	put_varint(&w, written(&w));
	put_tag(&w, number, WIRE_LENGTH);
	return finish(&w, out);
}
