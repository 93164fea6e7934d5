#include "core/wire/otlp_json.h"

#include "core/base/base64.h"
#include "core/base/json_string.h"
#include "core/wire/otlp_fields.h"
#include "core/wire/otlp_json_names.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void append_hex(struct buffer *out, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to = len < SIZE_MAX / 4 ? buffer_reserve(out, len * 2 + 2) : NULL;

	if (!to)
		return;
	*to++ = '"';
	for (size_t i = 0; i < len; i++) {
		*to++ = (uint8_t)digits[p[i] >> 4];
		*to++ = (uint8_t)digits[p[i] & 15];
	}
	*to++ = '"';
	out->len += len * 2 + 2;
}

static void append_base64(struct buffer *out, struct slice bytes)
{
	uint8_t *to;

	buffer_append_byte(out, '"');
	to = bytes.len < SIZE_MAX / 4 ? buffer_reserve(out, BASE64_TEXT(bytes.len)) : NULL;
	if (to)
		out->len += base64_encode(bytes, true, (char *)to);
	buffer_append_byte(out, '"');
}

static void append_bytes(struct buffer *out, const char *field, const ProtobufCBinaryData *b)
{
	switch (otlp_bytes_form(field)) {
	case OTLP_FORM_STRING:
		json_string_append(out, slice_of(b->data, b->len));
		break;
	case OTLP_FORM_HEX:
		append_hex(out, b->data, b->len);
		break;
	case OTLP_FORM_BASE64:
		append_base64(out, slice_of(b->data, b->len));
		break;
	}
}

enum { DIGITS = 20 }; /* of UINT64_MAX */

static void append_digits(struct buffer *out, uint64_t value, bool negative, bool quoted)
{
	uint8_t text[DIGITS + 3], *at = text + sizeof text;
	size_t len;

	if (quoted)
		*--at = '"';
	do
		*--at = (uint8_t)('0' + value % 10);
	while (value /= 10);
	if (negative)
		*--at = '-';
	if (quoted)
		*--at = '"';
	len = (size_t)(text + sizeof text - at);
	buffer_append(out, at, len);
}

static void append_signed(struct buffer *out, int64_t value, bool quoted)
{
	append_digits(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, quoted);
}

/* The fewest digits that read back to the same value. */
static void append_double(struct buffer *out, double v)
{
	char text[40];
	/* Below DBL_MIN values have fewer digits; everywhere else 15 always survive. */
	int precision = fabs(v) < DBL_MIN ? 1 : 15;

	if (isnan(v)) {
		buffer_append_string(out, "\"NaN\"");
	} else if (isinf(v)) {
		buffer_append_string(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	} else if (v == 0) {
		buffer_append_string(out, signbit(v) ? "-0.0" : "0");
	} else if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
		append_signed(out, (int64_t)v, false);
	} else {
		do
			snprintf(text, sizeof text, "%.*g", precision, v);
		while (strtod(text, NULL) != v && ++precision <= 17);
		buffer_append_string(out, text);
	}
}

static void append_value(struct buffer *out, const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		append_signed(out, *(const int32_t *)at, false);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		append_digits(out, *(const uint32_t *)at, false, false);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		append_signed(out, *(const int64_t *)at, true);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		append_digits(out, *(const uint64_t *)at, false, true);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		append_double(out, (double)*(const float *)at);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		append_double(out, *(const double *)at);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		buffer_append_string(out, *(const protobuf_c_boolean *)at ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_STRING: {
		struct slice s = slice_from_string(*(const char *const *)at);
		json_string_append(out, s);
		break;
	}
	case PROTOBUF_C_TYPE_BYTES:
		append_bytes(out, field->name, at);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		otlp_json_append(out, *(const ProtobufCMessage *const *)at);
		break;
	}
}

/* With its comma and quotes. */
static void append_key(struct buffer *out, const char *name, bool *first)
{
	uint8_t *to = buffer_reserve(out, strlen(name) + 4), *start = to;

	if (!to)
		return;
	if (!*first)
		*to++ = ',';
	*first = false;
	*to++ = '"';
	to += otlp_json_key_write(name, to);
	*to++ = '"';
	*to++ = ':';
	out->len += (size_t)(to - start);
}

static void append_repeated(struct buffer *out, const ProtobufCMessage *message,
                            const ProtobufCFieldDescriptor *field, bool *first)
{
	const uint8_t *base = (const uint8_t *)message;
	size_t n = *(const size_t *)(base + field->quantifier_offset);
	const uint8_t *items = *(const uint8_t *const *)(base + field->offset);
	size_t size = otlp_element_sizes[field->type];

	if (!n)
		return;
	append_key(out, field->name, first);
	buffer_append_byte(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buffer_append_byte(out, ',');
		append_value(out, field, items + i * size);
	}
	buffer_append_byte(out, ']');
}

static void append_single(struct buffer *out, const ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field, bool *first)
{
	if (!otlp_is_set(message, field))
		return;
	append_key(out, field->name, first);
	append_value(out, field, otlp_member(message, field->offset));
}

#define APPEND(out, literal) buffer_append(out, literal, sizeof(literal) - 1)

/* Most of all telemetry is attributes, and most of these hold a string, an integer or a bool: such a one
 * is written without asking its descriptors. False: it is none. */
static bool append_attribute(struct buffer *out, const Otlp__KeyValue *attribute)
{
	const Otlp__AnyValue *value = attribute->value;

	if (!value || attribute->key.len == 0)
		return false;
	switch (value->value_case) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		break;
	default:
		return false;
	}
	APPEND(out, "{\"key\":");
	json_string_append(out, slice_of(attribute->key.data, attribute->key.len));
	if (value->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE) {
		APPEND(out, ",\"value\":{\"stringValue\":");
		json_string_append(out,
		                   slice_of(value->string_value.data, value->string_value.len));
	} else if (value->value_case == OTLP__ANY_VALUE__VALUE_INT_VALUE) {
		APPEND(out, ",\"value\":{\"intValue\":");
		append_signed(out, value->int_value, true);
	} else if (value->bool_value) {
		APPEND(out, ",\"value\":{\"boolValue\":true");
	} else {
		APPEND(out, ",\"value\":{\"boolValue\":false");
	}
	APPEND(out, "}}");
	return true;
}

void otlp_json_append(struct buffer *out, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	bool first = true;

	if (d == &otlp__key_value__descriptor &&
	    append_attribute(out, (const Otlp__KeyValue *)message))
		return;
	buffer_append_byte(out, '{');
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			append_repeated(out, message, field, &first);
		else
			append_single(out, message, field, &first);
	}
	buffer_append_byte(out, '}');
}

const char *otlp_json_groups_key(enum signal signal)
{
	static const char *const keys[SIGNAL_COUNT] = {"resourceSpans", "resourceMetrics",
	                                               "resourceLogs"};
	return keys[signal];
}
