#include "tests/fuzz/otlp_strict.h"

#include <stdlib.h>

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

unsigned otlp_strict(const ProtobufCMessageDescriptor *type, struct slice bytes)
{
	return bytes.len ? walk(type, bytes.data, bytes.data + bytes.len, 1) : 0;
}

/* ---- without merging */

/* A field as far as it can be read; type 7: not at all. */
struct field {
	const ProtobufCFieldDescriptor *field;
	unsigned wire_type;
	struct slice raw, body;
};

static struct field read_field(const ProtobufCMessageDescriptor *type, const uint8_t *at,
                               const uint8_t *end)
{
	struct field f = {.wire_type = 7, .raw = slice_of(at, (size_t)(end - at))};
	const uint8_t *start = at;
	uint64_t tag, value;
	bool too_large;
	size_t n = read_varint(at, end, 5, &tag, &too_large);

	if (n == 0)
		return f;
	at += n;
	switch (tag & 7) {
	case 0:
		n = read_varint(at, end, 10, &value, &too_large);
		break;
	case 1:
		n = end - at >= 8 ? 8 : 0;
		break;
	case 5:
		n = end - at >= 4 ? 4 : 0;
		break;
	case 2:
		n = read_varint(at, end, 5, &value, &too_large);
		if (n && value <= (size_t)(end - at) - n) {
			f.body = slice_of(at + n, value);
			n += value;
		} else {
			n = 0;
		}
		break;
	default:
		n = 0;
		break;
	}
	if (n == 0)
		return f;
	f.field = find(type, (uint32_t)(tag >> 3));
	f.wire_type = tag & 7;
	f.raw = slice_of(start, (size_t)(at + n - start));
	return f;
}

static void put_varint(struct buffer *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		buffer_append_byte(out, (uint8_t)(value | 0x80));
	buffer_append_byte(out, (uint8_t)value);
}

static bool unpacks(const ProtobufCMessageDescriptor *type, const struct buffer *bytes)
{
	static const uint8_t none;
	ProtobufCMessage *m =
		protobuf_c_message_unpack(type, NULL, bytes->len, bytes->len ? bytes->data : &none);

	if (m)
		protobuf_c_message_free_unpacked(m, NULL);
	return m;
}

static bool is_message(const struct field *f)
{
	return f->field && f->wire_type == 2 && f->field->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* Whether another field of that number follows. */
static bool comes_again(const ProtobufCMessageDescriptor *type, const struct field *f,
                        const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		struct field next = read_field(type, at, end);

		if (is_message(&next) && next.field == f->field)
			return true;
		at += next.raw.len;
	}
	return false;
}

/* Appends the message without what would be merged. False when that is refused. */
static bool unmerge(const ProtobufCMessageDescriptor *type, struct slice bytes, struct buffer *out)
{
	const uint8_t *at = bytes.data, *end = at + bytes.len;

	while (at < end) {
		struct field f = read_field(type, at, end);
		struct buffer inner = BUFFER_INIT;
		bool ok = true;

		at += f.raw.len;
		if (!is_message(&f)) {
			buffer_append_slice(out, f.raw);
			continue;
		}
		ok = unmerge(f.field->descriptor, f.body, &inner);
		if (ok && f.field->label != PROTOBUF_C_LABEL_REPEATED &&
		    comes_again(type, &f, at, end)) {
			ok = unpacks(f.field->descriptor, &inner);
		} else if (ok) {
			put_varint(out, (uint64_t)f.field->id << 3 | 2);
			put_varint(out, inner.len);
			buffer_append_slice(out, buffer_slice(&inner));
		}
		buffer_fini(&inner);
		if (!ok)
			return false;
	}
	return true;
}

bool otlp_protobuf_c_accepts(const ProtobufCMessageDescriptor *type, struct slice bytes)
{
	struct buffer out = BUFFER_INIT;
	bool ok = (!bytes.len || unmerge(type, bytes, &out)) && unpacks(type, &out);

	if (out.failed)
		abort();
	buffer_fini(&out);
	return ok;
}
