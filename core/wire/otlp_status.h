/* otlp_status: the answers of an OTLP server as bytes: google.rpc.Status with RetryInfo, and
 * Export*ServiceResponse with partial success; protobuf and JSON, both ways. Sans-I/O. */
#ifndef WEIR_WIRE_OTLP_STATUS_H
#define WEIR_WIRE_OTLP_STATUS_H

#include "core/base/buffer.h"
#include "core/base/signal.h"
#include "core/wire/grpc.h"

enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

/* No answer is written longer than this: clients read no more (OTLP specification, "Response size"). */
enum { OTLP_RESPONSE_LIMIT = 4 * 1024 * 1024 };

struct otlp_status {
	enum grpc_status code;
	const char *message; /* UTF-8; what is not becomes U+FFFD; may be NULL */
	bool has_retry_info;
	uint64_t retry_delay; /* ns */
};

/* Appends; out->failed when there is no memory. What makes it longer than OTLP_RESPONSE_LIMIT is cut off
 * the message, between two characters. */
void otlp_status_write(enum otlp_encoding encoding, const struct otlp_status *status,
                       struct buffer *out);

/* An Export*ServiceResponse. Without rejected items and message it is empty ({} in JSON):
 * partial_success must be unset then. message may be NULL; it is cut as that of a status. */
void otlp_response_write(enum otlp_encoding encoding, enum signal signal, uint64_t rejected_items,
                         const char *message, struct buffer *out);

/* The other way, of any signal: *ret_rejected items (0 for what is negative or absent) and the message,
 * which is appended to message. False: not such an answer, or no memory (message->failed); then nothing
 * was given out. */
bool otlp_response_read(enum otlp_encoding encoding, struct slice bytes, uint64_t *ret_rejected,
                        struct buffer *message);

/* The message of a google.rpc.Status, as otlp_response_read(). */
bool otlp_status_read(enum otlp_encoding encoding, struct slice bytes, struct buffer *message);

#endif
