/* otlp_json: decoded OTLP messages as OTLP/JSON, compact, without a newline.
 *
 * Follows the protobuf JSON mapping with OTLP's exceptions (specification, "JSON Protobuf
 * Encoding"): keys in lowerCamelCase, trace and span ids in hex, enums as integers; 64-bit integers
 * as strings, NaN and the infinities as strings, fields that hold their default left out unless
 * they are the chosen member of a oneof. Unknown fields have no JSON form and are left out. Bytes
 * that are not UTF-8 in a string field become U+FFFD. */
#ifndef WEIR_WIRE_OTLP_JSON_H
#define WEIR_WIRE_OTLP_JSON_H

#include "core/base/buffer.h"
#include "core/base/signal.h"

#include <protobuf-c/protobuf-c.h>

/* Appends the message as one JSON object. Goes as deep as the message, whose depth its decoder
 * bounded. Running out of memory shows in out->failed. */
void otlp_json_append(struct buffer *out, const ProtobufCMessage *message);

/* The key under which the groups of a signal stand in a request: "resourceSpans". */
const char *otlp_json_groups_key(enum signal signal);

#endif
