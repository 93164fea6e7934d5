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
		buffer_printf(out, "%lld", (long long)v);
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
		buffer_printf(out, "%d", *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		buffer_printf(out, "%u", *(const uint32_t *)at);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		buffer_printf(out, "\"%lld\"", (long long)*(const int64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		buffer_printf(out, "\"%llu\"", (unsigned long long)*(const uint64_t *)at);
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

static bool is_default(ProtobufCType type, const void *at)
{
	static const uint8_t zero[8];

	switch (type) {
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len == 0;
	case PROTOBUF_C_TYPE_STRING: {
		const char *s = *(const char *const *)at;
		return !s || !*s;
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(const void *const *)at == NULL;
	default: /* by its bits: -0.0 is not the default */
		return memcmp(at, zero, otlp_element_sizes[type]) == 0;
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
	const uint8_t *base = (const uint8_t *)message;
	const void *at = base + field->offset;
	const void *quantifier = base + field->quantifier_offset;
	bool chosen = false;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(const uint32_t *)quantifier != field->id)
			return;
		chosen = true;
	}
	/* A chosen message that is NULL has nothing that could be printed. */
	if (is_default(field->type, at) && (!chosen || field->type == PROTOBUF_C_TYPE_MESSAGE))
		return;
	append_key(out, field->name, first);
	append_value(out, field, at);
}

void otlp_json_append(struct buffer *out, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	bool first = true;

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
