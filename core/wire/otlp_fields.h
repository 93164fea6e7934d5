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
#define OTLP_FAULT_PACKED "holds a malformed packed list"
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

const ProtobufCFieldDescriptor *otlp_field_search(const ProtobufCMessageDescriptor *type,
                                                  uint32_t number);

/* The field of that number, or NULL. Fields are sorted by number and OTLP's numbers have few gaps:
 * number n stands at index n - 1, or a little before it. */
static inline const ProtobufCFieldDescriptor *otlp_field(const ProtobufCMessageDescriptor *type,
                                                         uint32_t number)
{
	if (number - 1 < type->n_fields && type->fields[number - 1].id == number)
		return &type->fields[number - 1];
	return otlp_field_search(type, number);
}

/* Structs come zeroed from the arena, and zero is every default of proto3, so a new message is its
 * descriptor pointer and nothing else. NULL: no memory. */
static inline ProtobufCMessage *otlp_message_new(struct arena *arena,
                                                 const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = (ProtobufCMessage *)arena_alloc(arena, type->sizeof_message);

	if (m)
		m->descriptor = type;
	return m;
}

/* Makes room for add more elements behind count of them, at least doubling what is there. The capacity
 * of a list stands in the word before its first element: without it, a message that comes a million
 * times with one element each would copy its list a million times. False: no memory. */
bool otlp_list_reserve(struct arena *arena, void **list, size_t count, size_t add, size_t size);

/* Most of all telemetry is attributes of one shape: a key, then a value that is a string, a bool,
 * an integer or a double, every length in one byte. */
struct otlp_attribute {
	struct slice key;
	Otlp__AnyValue__ValueCase kind;
	struct slice string;
	uint64_t number; /* int, bool, or the bits of a double */
};

/* Whether the bytes are one. False says nothing about their validity: the general way decides. */
static inline bool otlp_attribute_read(const uint8_t *at, size_t length, struct otlp_attribute *ret)
{
	const uint8_t *end = at + length, *value;

	if (length < 6 || at[0] != (1 << 3 | WIRE_LENGTH) || at[1] >= 0x80 ||
	    (size_t)at[1] + 6 > length)
		return false;
	ret->key = slice_of(at + 2, at[1]);
	value = at + 2 + at[1];
	if (value[0] != (2 << 3 | WIRE_LENGTH) || value[1] >= 0x80 || value[1] != end - value - 2)
		return false;
	value += 2;
	ret->kind = (Otlp__AnyValue__ValueCase)(value[0] >> 3);
	switch (value[0]) {
	case OTLP__ANY_VALUE__VALUE_STRING_VALUE << 3 | WIRE_LENGTH:
		ret->string = slice_of(value + 2, value[1]);
		return value[1] == end - value - 2;
	case OTLP__ANY_VALUE__VALUE_INT_VALUE << 3 | WIRE_VARINT:
	case OTLP__ANY_VALUE__VALUE_BOOL_VALUE << 3 | WIRE_VARINT:
		return cursor_varint(value + 1, end, &ret->number) == end;
	case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE << 3 | WIRE_FIXED64:
		if (end - value != 9)
			return false;
		memcpy(&ret->number, value + 1, 8);
		return true;
	default:
		return false;
	}
}

static inline bool otlp_is_packable(const ProtobufCFieldDescriptor *field)
{
	return field->type < PROTOBUF_C_TYPE_STRING; /* numbers come first in the enum */
}

#endif
