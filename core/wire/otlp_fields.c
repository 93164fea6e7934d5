#include "core/wire/otlp_fields.h"

#include <errno.h>

const uint8_t otlp_wire_types[PROTOBUF_C_TYPE_MESSAGE + 1] = {
	[PROTOBUF_C_TYPE_INT32] = WIRE_VARINT,     [PROTOBUF_C_TYPE_SINT32] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_SFIXED32] = WIRE_FIXED32, [PROTOBUF_C_TYPE_INT64] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_SINT64] = WIRE_VARINT,    [PROTOBUF_C_TYPE_SFIXED64] = WIRE_FIXED64,
	[PROTOBUF_C_TYPE_UINT32] = WIRE_VARINT,    [PROTOBUF_C_TYPE_FIXED32] = WIRE_FIXED32,
	[PROTOBUF_C_TYPE_UINT64] = WIRE_VARINT,    [PROTOBUF_C_TYPE_FIXED64] = WIRE_FIXED64,
	[PROTOBUF_C_TYPE_FLOAT] = WIRE_FIXED32,    [PROTOBUF_C_TYPE_DOUBLE] = WIRE_FIXED64,
	[PROTOBUF_C_TYPE_BOOL] = WIRE_VARINT,      [PROTOBUF_C_TYPE_ENUM] = WIRE_VARINT,
	[PROTOBUF_C_TYPE_STRING] = WIRE_LENGTH,    [PROTOBUF_C_TYPE_BYTES] = WIRE_LENGTH,
	[PROTOBUF_C_TYPE_MESSAGE] = WIRE_LENGTH,
};

const uint8_t otlp_element_sizes[PROTOBUF_C_TYPE_MESSAGE + 1] = {
	[PROTOBUF_C_TYPE_INT32] = 4,
	[PROTOBUF_C_TYPE_SINT32] = 4,
	[PROTOBUF_C_TYPE_SFIXED32] = 4,
	[PROTOBUF_C_TYPE_INT64] = 8,
	[PROTOBUF_C_TYPE_SINT64] = 8,
	[PROTOBUF_C_TYPE_SFIXED64] = 8,
	[PROTOBUF_C_TYPE_UINT32] = 4,
	[PROTOBUF_C_TYPE_FIXED32] = 4,
	[PROTOBUF_C_TYPE_UINT64] = 8,
	[PROTOBUF_C_TYPE_FIXED64] = 8,
	[PROTOBUF_C_TYPE_FLOAT] = 4,
	[PROTOBUF_C_TYPE_DOUBLE] = 8,
	[PROTOBUF_C_TYPE_BOOL] = sizeof(protobuf_c_boolean),
	[PROTOBUF_C_TYPE_ENUM] = 4,
	[PROTOBUF_C_TYPE_STRING] = sizeof(char *),
	[PROTOBUF_C_TYPE_BYTES] = sizeof(ProtobufCBinaryData),
	[PROTOBUF_C_TYPE_MESSAGE] = sizeof(ProtobufCMessage *),
};

bool otlp_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
	const void *member = otlp_member(m, field->offset);

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(const uint32_t *)otlp_member(m, field->quantifier_offset) != field->id)
			return false;
		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			return true;
	}
	switch (otlp_element_sizes[field->type]) {
	case 4:
		return *(const uint32_t *)member != 0;
	case 8:
		return *(const uint64_t *)member != 0;
	default:
		return ((const ProtobufCBinaryData *)member)->len != 0;
	}
}

uint64_t otlp_varint_of(ProtobufCType type, const void *member)
{
	int32_t narrow;
	int64_t wide;

	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return *(const protobuf_c_boolean *)member != 0;
	case PROTOBUF_C_TYPE_UINT32:
		return *(const uint32_t *)member;
	case PROTOBUF_C_TYPE_SINT32:
		narrow = *(const int32_t *)member;
		return (uint32_t)narrow << 1 ^ (uint32_t)(narrow >> 31);
	case PROTOBUF_C_TYPE_SINT64:
		wide = *(const int64_t *)member;
		return (uint64_t)wide << 1 ^ (uint64_t)(wide >> 63);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t) * (const int32_t *)member;
	default:
		return *(const uint64_t *)member;
	}
}

bool otlp_list_reserve(struct arena *arena, void **list, size_t count, size_t add, size_t size)
{
	size_t *header, capacity;

	if (count) {
		capacity = ((size_t *)*list)[-1];
		if (add <= capacity - count)
			return true;
		capacity = capacity * 2 > count + add ? capacity * 2 : count + add;
	} else {
		capacity = add;
	}
	header = (size_t *)arena_alloc(arena, sizeof *header + capacity * size);
	if (!header)
		return false;
	*header = capacity;
	if (count)
		memcpy(header + 1, *list, count * size);
	*list = header + 1;
	return true;
}

const ProtobufCFieldDescriptor *otlp_field_search(const ProtobufCMessageDescriptor *type,
                                                  uint32_t number)
{
	uint32_t i = number < type->n_fields ? number : type->n_fields;

	while (i > 0 && type->fields[i - 1].id > number)
		i--;
	return i > 0 && type->fields[i - 1].id == number ? &type->fields[i - 1] : NULL;
}

bool otlp_fault_set(struct otlp_fault *fault, const char *reason,
                    const ProtobufCMessageDescriptor *type, uint32_t number, const uint8_t *at)
{
	*fault = (struct otlp_fault){
		.code = -EBADMSG,
		.reason = reason,
		.type = type,
		.number = number,
		.at = at,
	};
	return false;
}

int otlp_fault_report(const struct otlp_fault *fault, const uint8_t *start, struct error *error)
{
	const ProtobufCFieldDescriptor *field;
	size_t at = (size_t)(fault->at - start);

	if (fault->code == -ENOMEM)
		return error_no_memory(error);
	if (fault->code == -E2BIG)
		return error_set(
			error, -E2BIG,
			"not acceptable as OTLP: %s at byte %zu is the %dth level of messages "
			"inside messages, at most %d are allowed",
			fault->type->short_name, at, OTLP_DEPTH_LIMIT + 1, OTLP_DEPTH_LIMIT);
	if (fault->number == 0)
		return error_set(error, fault->code, "not OTLP: a field of %s at byte %zu %s",
		                 fault->type->short_name, at, fault->reason);
	field = otlp_field(fault->type, fault->number);
	if (!field)
		return error_set(error, fault->code,
		                 "not OTLP: unknown field %u of %s at byte %zu %s", fault->number,
		                 fault->type->short_name, at, fault->reason);
	return error_set(error, fault->code, "not OTLP: %s.%s (field %u) at byte %zu %s",
	                 fault->type->short_name, field->name, fault->number, at, fault->reason);
}

const ProtobufCMessageDescriptor *otlp_request_descriptor(enum signal signal)
{
	switch (signal) {
	case SIGNAL_TRACES:
		return &otlp__export_trace_service_request__descriptor;
	case SIGNAL_METRICS:
		return &otlp__export_metrics_service_request__descriptor;
	default:
		return &otlp__export_logs_service_request__descriptor;
	}
}

const ProtobufCMessageDescriptor *otlp_group_descriptor(enum signal signal)
{
	switch (signal) {
	case SIGNAL_TRACES:
		return &otlp__resource_spans__descriptor;
	case SIGNAL_METRICS:
		return &otlp__resource_metrics__descriptor;
	default:
		return &otlp__resource_logs__descriptor;
	}
}
