/* otlp_json_value: a number, string or boolean of JSON as the value of a field of otlp.proto. Internal to
 * core/wire/otlp_json*.c. */
#ifndef WEIR_WIRE_OTLP_JSON_VALUE_H
#define WEIR_WIRE_OTLP_JSON_VALUE_H

#include "core/wire/otlp.h"

/* A value that is neither object nor list. */
struct json_token {
	enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING } kind;
	bool truth, escaped;
	struct slice text; /* of a number; of a string: between its quotes */
};

/* One element of any type. */
union otlp_value {
	protobuf_c_boolean truth;
	uint32_t narrow;
	uint64_t wide;
	float single;
	double number;
	ProtobufCBinaryData bytes;
	ProtobufCMessage *message;
};

/* What otlp_json_value_read() returns when there is no memory. */
extern const char otlp_json_no_memory[];

/* Reads a token that is not null. Returns NULL, or why it cannot be the field's value: the rest of a
 * sentence about the field, "must be a string". Bytes that are not those of the text come from arena;
 * scratch is for what is needed only meanwhile. */
const char *otlp_json_value_read(const ProtobufCFieldDescriptor *field, const struct json_token *t,
                                 struct arena *arena, struct arena *scratch, union otlp_value *ret);

#endif
