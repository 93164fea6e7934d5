/* otlp_json_decode: OTLP/JSON into the structs of otlp.proto. Sans-I/O.
 *
 * By the rules of the OTLP specification and, where it is silent, of protobuf's JSON: keys in
 * lowerCamelCase, unknown ones ignored whatever they hold; traceId, spanId and parentSpanId in hex of
 * either case, other bytes in base64 of either alphabet, padded or not; enums as integers only; other
 * numbers as numbers or in strings, integers in any form that is one (1500, 1.5e3); NaN, Infinity and
 * -Infinity as strings; null is the same as absent. A key that comes twice counts as its field would on
 * the wire: values are replaced (of a oneof, the last member stands), messages merged, lists continued.
 * A surrogate without its other half becomes U+FFFD. A byte order mark is skipped.
 *
 * One pass, no tree: memory is what the decoded structs take, from arena, and while it lasts the
 * tokenizer's, charged to the same budget; depth and sizes are bounded before they are used. */
#ifndef WEIR_WIRE_OTLP_JSON_DECODE_H
#define WEIR_WIRE_OTLP_JSON_DECODE_H

#include "core/wire/otlp.h"

/* An Export*ServiceRequest of the signal. Strings are copied into arena or point into text, which must
 * live as long. Fails with -EBADMSG (the sentence names path and byte: "resourceSpans[0].scopeSpans[1]
 * .spans[7].kind: ..., at byte 812"), -E2BIG (nested deeper than OTLP_DEPTH_LIMIT) or -ENOMEM
 * (retryable). */
int otlp_json_decode(enum signal signal, struct slice text, struct arena *arena,
                     ProtobufCMessage **ret, struct error *error);

/* The same for any message of otlp.proto. Of RpcStatus the details are ignored, which have a form of
 * their own; ExportPartialSuccess.rejected has the name that any signal gives it. */
int otlp_json_decode_message(const ProtobufCMessageDescriptor *type, struct slice text,
                             struct arena *arena, ProtobufCMessage **ret, struct error *error);

#endif
