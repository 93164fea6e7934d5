#include "core/wire/cursor.h"

const uint8_t *cursor_varint_long(const uint8_t *at, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;

	if (end - at > 1 && at[0] >= 0x80 && at[1] < 0x80) { /* most of what comes here */
		*ret = (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
		return at + 2;
	}
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (at == end)
			return NULL;
		byte = *at++;
		if (shift == 63 && byte > 1)
			return NULL;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = value;
			return at;
		}
	}
	return NULL;
}

const uint8_t *cursor_tag_long(const uint8_t *at, const uint8_t *end, uint32_t *ret)
{
	const uint8_t *start = at;
	uint64_t tag;

	at = cursor_varint_long(at, end, &tag);
	if (!at || at - start > 5 || tag >> 3 == 0 || tag >> 3 > CURSOR_NUMBER_LIMIT)
		return NULL;
	*ret = (uint32_t)tag;
	return at;
}

const uint8_t *cursor_length_long(const uint8_t *at, const uint8_t *end, size_t *ret)
{
	const uint8_t *start = at;
	uint64_t length;

	at = cursor_varint_long(at, end, &length);
	if (!at || at - start > 5 || length > CURSOR_LENGTH_LIMIT || length > (size_t)(end - at))
		return NULL;
	*ret = (size_t)length;
	return at;
}

bool cursor_next(struct cursor *c, struct cursor_field *ret)
{
	const uint8_t *value, *after;
	uint32_t tag;
	size_t length;

	if (c->error || c->at == c->end)
		return false;
	value = cursor_tag(c->at, c->end, &tag);
	after = value ? cursor_skip(value, c->end, tag) : NULL;
	if (!after) {
		c->error = true;
		return false;
	}
	ret->number = tag >> 3;
	ret->type = tag & 7;
	ret->raw = slice_of(c->at, (size_t)(after - c->at));
	if (ret->type == WIRE_LENGTH)
		value = cursor_length(value, c->end, &length);
	ret->body = slice_of(value, (size_t)(after - value));
	c->at = after;
	return true;
}
