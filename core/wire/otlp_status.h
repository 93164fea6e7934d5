/* otlp_status: the answers of an OTLP server as bytes: google.rpc.Status with RetryInfo, and
 * Export*ServiceResponse with partial success; protobuf and JSON. Sans-I/O. */
#ifndef WEIR_WIRE_OTLP_STATUS_H
#define WEIR_WIRE_OTLP_STATUS_H

#include "core/base/buffer.h"
#include "core/base/signal.h"
#include "core/wire/grpc.h"

enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

struct otlp_status {
	enum grpc_status code;
	const char *message; /* UTF-8; what is not becomes U+FFFD */
	bool has_retry_info;
	uint64_t retry_delay; /* ns */
};

/* Appends; out->failed when there is no memory. */
void otlp_status_write(enum otlp_encoding encoding, const struct otlp_status *status,
                       struct buffer *out);

/* An Export*ServiceResponse. Without rejected items and message it is empty ({} in JSON):
 * partial_success must be unset then. message may be NULL; what makes the response larger than 4 MiB is
 * cut off. */
void otlp_response_write(enum otlp_encoding encoding, enum signal signal, uint64_t rejected_items,
                         const char *message, struct buffer *out);

#endif
