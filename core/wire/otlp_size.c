#include "core/wire/otlp_fields.h"

static size_t with_length(size_t length)
{
	return cursor_varint_size(length) + length;
}

static size_t number_size(ProtobufCType type, const void *member)
{
	switch (otlp_wire_types[type]) {
	case WIRE_FIXED64:
		return 8;
	case WIRE_FIXED32:
		return 4;
	default:
		return cursor_varint_size(otlp_varint_of(type, member));
	}
}

/* Of an attribute whose value is a string, a bool, an integer or a double, which most are. 0: it is
 * none of those. */
static size_t attribute_size(const Otlp__KeyValue *pair)
{
	const Otlp__AnyValue *value = pair->value;
	size_t size;

	if (!value || value->base.n_unknown_fields || pair->base.n_unknown_fields)
		return 0;
	switch (value->value_case) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
		size = 1 + with_length(value->string_value.len);
		break;
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
		size = 2;
		break;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE:
		size = 1 + cursor_varint_size((uint64_t)value->int_value);
		break;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
		size = 9;
		break;
	default:
		return 0;
	}
	return 1 + with_length(size) + (pair->key.len ? 1 + with_length(pair->key.len) : 0);
}

static size_t message_size(const ProtobufCMessage *message)
{
	size_t size = 0;

	if (message->descriptor == &otlp__key_value__descriptor)
		size = attribute_size((const Otlp__KeyValue *)message);
	return size ? size : otlp_size(message);
}

/* Of one value, without its tag. */
static size_t value_size(const ProtobufCFieldDescriptor *field, const void *member)
{
	const ProtobufCMessage *message;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BYTES:
		return with_length(((const ProtobufCBinaryData *)member)->len);
	case PROTOBUF_C_TYPE_MESSAGE:
		message = *(const ProtobufCMessage *const *)member;
		return with_length(message ? message_size(message) : 0);
	default:
		return number_size(field->type, member);
	}
}

static size_t list_size(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
	size_t n = *(const size_t *)otlp_member(m, field->quantifier_offset);
	const char *list = *(const char *const *)otlp_member(m, field->offset);
	size_t tag = cursor_varint_size((uint64_t)field->id << 3), sum = 0;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		sum += value_size(field, list + i * otlp_element_sizes[field->type]);
	return field->flags & PROTOBUF_C_FIELD_FLAG_PACKED ? tag + with_length(sum) : n * tag + sum;
}

size_t otlp_size(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	size_t sum = 0;

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			sum += list_size(message, field);
		else if (otlp_is_set(message, field))
			sum += cursor_varint_size((uint64_t)field->id << 3) +
			       value_size(field, otlp_member(message, field->offset));
	}
	for (unsigned i = 0; i < message->n_unknown_fields; i++)
		sum += cursor_varint_size((uint64_t)message->unknown_fields[i].tag << 3) +
		       message->unknown_fields[i].len;
	return sum;
}
