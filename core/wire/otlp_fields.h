/* otlp_fields: what the decoder and the validator share. Internal to core/wire/otlp_*.c. */
#ifndef WEIR_WIRE_OTLP_FIELDS_H
#define WEIR_WIRE_OTLP_FIELDS_H

#include "core/wire/cursor.h"
#include "core/wire/otlp.h"

/* Where and why a message was refused; filled once, on the way out. */
struct otlp_fault {
	int code; /* 0: none */
	const char *reason;
	const ProtobufCMessageDescriptor *type;
	uint32_t number; /* 0: the tag itself is at fault */
	const uint8_t *at;
};

#define OTLP_FAULT_TAG "has a malformed tag"
#define OTLP_FAULT_VALUE "is cut short or malformed"
#define OTLP_FAULT_TYPE "has another wire type than its own"
#define OTLP_FAULT_PACKED "holds a packed list of the wrong length"
#define OTLP_FAULT_DEPTH "is nested too deep"

/* Returns false, for the caller to return. */
bool otlp_fault_set(struct otlp_fault *fault, const char *reason,
                    const ProtobufCMessageDescriptor *type, uint32_t number, const uint8_t *at);

/* The sentence for a fault in bytes that begin at start. Returns its code. */
int otlp_fault_report(const struct otlp_fault *fault, const uint8_t *start, struct error *error);

/* Wire type of one value of each ProtobufCType. */
extern const uint8_t otlp_wire_types[PROTOBUF_C_TYPE_MESSAGE + 1];

/* Bytes that one value of each ProtobufCType takes in a struct. */
extern const uint8_t otlp_element_sizes[PROTOBUF_C_TYPE_MESSAGE + 1];

/* Whether a singular field is written: members of a oneof when chosen, others when not their
 * default.
 */
bool otlp_is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field);

/* The varint that a number of such a type becomes. */
uint64_t otlp_varint_of(ProtobufCType type, const void *member);

static inline const void *otlp_member(const ProtobufCMessage *m, unsigned offset)
{
	return (const char *)m + offset;
}

/* The field of that number, or NULL. Fields are sorted by number, so number n never stands behind
 * index n - 1, and OTLP's numbers have few gaps. */
static inline const ProtobufCFieldDescriptor *otlp_field(const ProtobufCMessageDescriptor *type,
                                                         uint32_t number)
{
	const ProtobufCFieldDescriptor *fields = type->fields;
	uint32_t i = number < type->n_fields ? number : type->n_fields;

	while (i > 0 && fields[i - 1].id > number)
		i--;
	return i > 0 && fields[i - 1].id == number ? &fields[i - 1] : NULL;
}

static inline bool otlp_is_packable(const ProtobufCFieldDescriptor *field)
{
	return otlp_wire_types[field->type] != WIRE_LENGTH;
}

#endif
