/* otlp_json_decode: OTLP/JSON into the structs of otlp.proto. Sans-I/O.
 *
 * By the rules of the OTLP specification: keys in lowerCamelCase, unknown ones ignored whatever they
 * hold; traceId, spanId and parentSpanId in hex of either case, other bytes in base64; enums as
 * integers only; 64-bit integers as decimal strings or numbers; NaN, Infinity and -Infinity as strings;
 * null is the same as absent. One pass, no tree: memory is what the decoded structs take, from arena,
 * and depth and sizes are bounded before they are used. */
#ifndef WEIR_WIRE_OTLP_JSON_DECODE_H
#define WEIR_WIRE_OTLP_JSON_DECODE_H

#include "core/wire/otlp.h"

/* An Export*ServiceRequest of the signal. Strings are copied into arena or point into text, which must
 * live as long. Fails with -EBADMSG (the sentence names path and byte: "resourceSpans[0].scopeSpans[1]
 * .spans[7].kind: ..., at byte 812"), -E2BIG (nested deeper than OTLP_DEPTH_LIMIT) or -ENOMEM
 * (retryable). */
int otlp_json_decode(enum signal signal, struct slice text, struct arena *arena,
                     ProtobufCMessage **ret, struct error *error);

#endif
