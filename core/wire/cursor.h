/* cursor: reads protobuf's wire format from bytes, field by field. Sans-I/O, allocates nothing.
 *
 * The low half (cursor_varint, cursor_tag, cursor_length) moves one pointer and is what the decoder
 * and the validator of core/wire/otlp.h are made of; the high half (struct cursor) hands out whole
 * fields and is for those who only need to walk a message. Both accept the same bytes:
 * https://protobuf.dev/programming-guides/encoding/, without groups (wire types 3 and 4), which
 * proto3 cannot declare and protobuf-c refuses as well. */
#ifndef WEIR_WIRE_CURSOR_H
#define WEIR_WIRE_CURSOR_H

#include "core/base/slice.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

/* Highest number protobuf allows to a field. */
#define CURSOR_NUMBER_LIMIT ((UINT32_C(1) << 29) - 1)
/* Longest field body; protobuf's own limit. A longer prefix is an attempt to overflow somebody's
 * sums. */
#define CURSOR_LENGTH_LIMIT UINT32_C(0x7fffffff)

const uint8_t *cursor_varint_long(const uint8_t *at, const uint8_t *end, uint64_t *ret);
const uint8_t *cursor_tag_long(const uint8_t *at, const uint8_t *end, uint32_t *ret);
const uint8_t *cursor_length_long(const uint8_t *at, const uint8_t *end, size_t *ret);

/* A varint of at most ten bytes and 64 bits. Returns the byte after it, or NULL when it is cut
 * short or too large. */
static inline const uint8_t *cursor_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
	if (at < end && *at < 0x80) {
		*ret = *at;
		return at + 1;
	}
	return cursor_varint_long(at, end, ret);
}

/* A tag: number << 3 | wire type. NULL also for number 0 and numbers above CURSOR_NUMBER_LIMIT. */
static inline const uint8_t *cursor_tag(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
	if (at < end && *at < 0x80 && *at >= 8) {
		*ret = *at;
		return at + 1;
	}
	return cursor_tag_long(at, end, ret);
}

/* A length prefix and the promise that so many bytes follow. */
static inline const uint8_t *cursor_length(const uint8_t *at, const uint8_t *end, size_t *ret)
{
	if (at < end && *at < 0x80 && *at < end - at) {
		*ret = *at;
		return at + 1;
	}
	return cursor_length_long(at, end, ret);
}

/* Bytes that a varint of that value takes when written shortest: 1 to 10. */
static inline size_t cursor_varint_size(uint64_t value)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
	return (bits * 9 + 64) / 64; /* bits / 7 rounded up, for 1..64 */
}

/* The byte after the value of a field whose tag stands before at, or NULL. */
static inline const uint8_t *cursor_skip(const uint8_t *at, const uint8_t *end, uint32_t tag)
{
	uint64_t value;
	size_t length;

	switch (tag & 7) {
	case WIRE_VARINT:
		return cursor_varint(at, end, &value);
	case WIRE_FIXED64:
		return end - at < 8 ? NULL : at + 8;
	case WIRE_LENGTH:
		at = cursor_length(at, end, &length);
		return at ? at + length : NULL;
	case WIRE_FIXED32:
		return end - at < 4 ? NULL : at + 4;
	default:
		return NULL;
	}
}

struct cursor {
	const uint8_t *at, *end;
	bool error; /* sticks: the bytes are not protobuf, at stands where that was seen */
};

struct cursor_field {
	uint32_t number;
	enum wire_type type;
	struct slice raw;  /* tag included */
	struct slice body; /* of WIRE_LENGTH: what the prefix counts; otherwise the value's bytes */
};

static inline struct cursor cursor_of(struct slice bytes)
{
	/* No sum with NULL, which is how no bytes may come. */
	return (struct cursor){.at = bytes.data,
	                       .end = bytes.len ? bytes.data + bytes.len : bytes.data};
}

/* The next field. False at the end and after an error. */
bool cursor_next(struct cursor *c, struct cursor_field *ret);

#endif
