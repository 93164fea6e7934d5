/* otlp: from OTLP's bytes to the structs of otlp.proto and back. Sans-I/O.
 *
 * All of it is driven by protobuf-c's descriptors and serves every message of otlp.proto. It
 * accepts what protobuf_c_message_unpack() accepts and writes what protobuf_c_message_pack()
 * writes, except:
 *
 * - refused: more levels than OTLP_DEPTH_LIMIT; field number 0 or above 2^29-1; a varint of more
 *   than 64 bits; a length above 2 GiB - 1; a bool that does not come as a varint;
 * - better: a message field that comes more than once is merged as the specification asks, unknown
 *   fields and members of a oneof included (protobuf-c loses some of what came first); -0.0 is
 *   written, not taken for 0.
 *
 * Groups (wire types 3 and 4) are refused by both: proto3 cannot declare them. A known field with
 * another wire type than its own is refused by both. */
#ifndef WEIR_WIRE_OTLP_H
#define WEIR_WIRE_OTLP_H

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/signal.h"
#include "core/wire/otlp.pb-c.h"

/* Messages inside messages, the outermost being level 1. An AnyValue of arrays within arrays would
 * otherwise exhaust the stack: two bytes of input buy a stack frame. protobuf's own default. */
enum { OTLP_DEPTH_LIMIT = 100 };

/* The field that holds the groups in each Export*ServiceRequest, the resource and the scopes in
 * each group, and the items (spans, metrics, log records) in each scope: the signals are alike. */
enum {
	OTLP_REQUEST_GROUPS = 1,
	OTLP_GROUP_RESOURCE = 1,
	OTLP_GROUP_SCOPES = 2,
	OTLP_SCOPE_ITEMS = 2,
	OTLP_METRIC_POINTS = 1, /* of Gauge, Sum, Histogram, ExponentialHistogram and Summary */
};

/* Export{Trace,Metrics,Logs}ServiceRequest and Resource{Spans,Metrics,Logs}. */
const ProtobufCMessageDescriptor *otlp_request_descriptor(enum signal signal);
const ProtobufCMessageDescriptor *otlp_group_descriptor(enum signal signal);

/* Decodes bytes as a message of that type. Structs come from arena; bytes fields and unknown fields
 * point into bytes, which must live as long. Fails with -EBADMSG (the sentence names message, field
 * and byte), -E2BIG (deeper than OTLP_DEPTH_LIMIT) or -ENOMEM (retryable). */
int otlp_decode(const ProtobufCMessageDescriptor *type, struct slice bytes, struct arena *arena,
                ProtobufCMessage **ret, struct error *error);

/* The same into a message that exists, as if bytes followed what it was decoded from: singular
 * fields are replaced, messages merged, repeated fields appended to. Its lists must be empty or
 * come from otlp_decode*(). After a failure message holds part of it and is good for nothing. */
int otlp_decode_into(ProtobufCMessage *message, struct slice bytes, struct arena *arena,
                     struct error *error);

/* Checks a whole Export*ServiceRequest in one pass without allocating: accepts what otlp_decode()
 * accepts. on_group is called for each group with its body and its number of spans, data points or
 * log records; when it returns false the walk ends with -ENOMEM. Calls made before a failure is
 * seen are not taken back. Otherwise fails with -EBADMSG or -E2BIG as otlp_decode(). */
typedef bool (*otlp_on_group)(void *arg, struct slice body, size_t items);
int otlp_validate(enum signal signal, struct slice request, otlp_on_group on_group, void *arg,
                  struct error *error);

/* Spans, data points or log records of a decoded group. */
size_t otlp_count(enum signal signal, const ProtobufCMessage *group);
/* Of any kind; 0 of a metric without data. */
size_t otlp_metric_points(const Otlp__Metric *metric);

/* A copy that shares nothing with message but the bytes that lie in keep. NULL: no memory. */
void *otlp_copy(const ProtobufCMessage *message, struct slice keep, struct arena *arena);

/* Exact size of the encoded message in bytes. */
size_t otlp_size(const ProtobufCMessage *message);

/* Appends the encoded message to out; false when there is no memory (out->failed is then set). */
bool otlp_encode(const ProtobufCMessage *message, struct buffer *out);

/* The same as a field of that number: tag and length before it. */
bool otlp_encode_field(uint32_t number, const ProtobufCMessage *message, struct buffer *out);

#endif
