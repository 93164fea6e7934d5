#include "core/wire/otlp_json_value.h"

#include "core/base/base64.h"
#include "core/wire/json_values.h"
#include "core/wire/otlp_fields.h"
#include "core/wire/otlp_json_names.h"

#include <math.h>

const char otlp_json_no_memory[] = "out of memory";

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_hex(struct slice text, uint8_t *to)
{
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);

		if (high < 0 || low < 0)
			return false;
		*to++ = (uint8_t)(high << 4 | low);
	}
	return true;
}

static const char *read_bytes(const char *name, const struct json_token *t, struct arena *arena,
                              ProtobufCBinaryData *ret)
{
	enum otlp_bytes_form form = otlp_bytes_form(name);
	struct slice text = t->text;
	uint8_t *to;

	if (t->kind != JSON_STRING)
		return "must be a string";
	if (form == OTLP_FORM_STRING && !t->escaped) {
		*ret = (ProtobufCBinaryData){.len = text.len, .data = (uint8_t *)text.data};
		return NULL;
	}
	to = arena_alloc(arena, form == OTLP_FORM_HEX && !t->escaped ? text.len / 2 : text.len);
	if (!to)
		return otlp_json_no_memory;
	if (t->escaped)
		text = slice_of(to, json_string_read(text, to));
	*ret = (ProtobufCBinaryData){.len = text.len, .data = to};
	switch (form) {
	case OTLP_FORM_STRING:
		return NULL;
	case OTLP_FORM_HEX:
		ret->len = text.len / 2;
		if (text.len % 2 || !decode_hex(text, to))
			return "must be in hex, two digits a byte";
		return NULL;
	default:
		/* Into where it may be read from: the plain bytes are fewer. */
		if (!base64_decode(text, to, text.len, &ret->len))
			return "must be in base64";
		return NULL;
	}
}

/* The token's text without escapes, which numbers in strings hardly have. */
static bool plain_text(const struct json_token *t, struct arena *scratch, struct slice *ret)
{
	uint8_t *to;

	*ret = t->text;
	if (!t->escaped)
		return true;
	to = arena_alloc(scratch, t->text.len);
	if (!to)
		return false;
	*ret = slice_of(to, json_string_read(t->text, to));
	return true;
}

static const char *read_integer(const struct json_token *t, unsigned bits, bool with_sign,
                                struct arena *scratch, uint64_t *ret)
{
	struct json_number n;
	struct slice text;

	if (t->kind != JSON_NUMBER && t->kind != JSON_STRING)
		return "must be an integer";
	if (!plain_text(t, scratch, &text))
		return otlp_json_no_memory;
	if (!json_number_read(text, &n))
		return "must be an integer, or one in a string";
	switch (json_number_integer(&n, bits, with_sign, ret)) {
	case JSON_FITS:
		return NULL;
	case JSON_NOT_INTEGER:
		return "must be an integer";
	default:
		break;
	}
	if (bits == 64)
		return with_sign ? "does not fit in 64 bits with a sign"
		                 : "does not fit in 64 bits without a sign";
	return with_sign ? "does not fit in 32 bits with a sign"
	                 : "does not fit in 32 bits without a sign";
}

static bool read_named_double(struct slice text, double *ret)
{
	if (slice_equal(text, SLICE_LITERAL("NaN")))
		*ret = (double)NAN;
	else if (slice_equal(text, SLICE_LITERAL("Infinity")))
		*ret = (double)INFINITY;
	else if (slice_equal(text, SLICE_LITERAL("-Infinity")))
		*ret = -(double)INFINITY;
	else
		return false;
	return true;
}

static const char *read_double(const struct json_token *t, struct arena *scratch, double *ret)
{
	struct json_number n;
	struct slice text;
	char *room = NULL;

	if (t->kind != JSON_NUMBER && t->kind != JSON_STRING)
		return "must be a number";
	if (!plain_text(t, scratch, &text))
		return otlp_json_no_memory;
	if (t->kind == JSON_STRING && read_named_double(text, ret))
		return NULL;
	if (!json_number_read(text, &n))
		return "must be a number, or one in a string";
	if (text.len >= JSON_NUMBER_TEXT) {
		room = arena_alloc(scratch, text.len + 1);
		if (!room)
			return otlp_json_no_memory;
	}
	return json_number_double(&n, room, ret) ? NULL : "does not fit in a double";
}

static bool is_signed(ProtobufCType type)
{
	return type != PROTOBUF_C_TYPE_UINT64 && type != PROTOBUF_C_TYPE_FIXED64 &&
	       type != PROTOBUF_C_TYPE_UINT32 && type != PROTOBUF_C_TYPE_FIXED32;
}

const char *otlp_json_value_read(const ProtobufCFieldDescriptor *field, const struct json_token *t,
                                 struct arena *arena, struct arena *scratch, union otlp_value *ret)
{
	const char *reason;
	uint64_t integer;
	double number;

	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return "must be an object";
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(field->name, t, arena, &ret->bytes);
	case PROTOBUF_C_TYPE_BOOL:
		ret->truth = t->truth;
		return t->kind == JSON_BOOL ? NULL : "must be true or false";
	case PROTOBUF_C_TYPE_DOUBLE:
		return read_double(t, scratch, &ret->number);
	case PROTOBUF_C_TYPE_FLOAT:
		reason = read_double(t, scratch, &number);
		if (!reason)
			ret->single = (float)number;
		return reason;
	case PROTOBUF_C_TYPE_ENUM:
		if (t->kind != JSON_NUMBER)
			return "an enum must be an integer, not its name";
		break;
	default:
		break;
	}
	if (otlp_element_sizes[field->type] == 8)
		return read_integer(t, 64, is_signed(field->type), scratch, &ret->wide);
	reason = read_integer(t, 32, is_signed(field->type), scratch, &integer);
	if (!reason)
		ret->narrow = (uint32_t)integer;
	return reason;
}
