/* grpc: the parts of gRPC that are bytes: message frames, statuses, time-outs, details. Sans-I/O.
 *
 * After gRPC's PROTOCOL-HTTP2.md, google/rpc/status.proto and error_details.proto. HTTP/2 itself is
 * nghttp2's. */
#ifndef WEIR_WIRE_GRPC_H
#define WEIR_WIRE_GRPC_H

#include "core/base/slice.h"

enum { GRPC_PREFIX_BYTES = 5 };

enum grpc_status {
	GRPC_OK,
	GRPC_CANCELLED,
	GRPC_UNKNOWN,
	GRPC_INVALID_ARGUMENT,
	GRPC_DEADLINE_EXCEEDED,
	GRPC_NOT_FOUND,
	GRPC_ALREADY_EXISTS,
	GRPC_PERMISSION_DENIED,
	GRPC_RESOURCE_EXHAUSTED,
	GRPC_FAILED_PRECONDITION,
	GRPC_ABORTED,
	GRPC_OUT_OF_RANGE,
	GRPC_UNIMPLEMENTED,
	GRPC_INTERNAL,
	GRPC_UNAVAILABLE,
	GRPC_DATA_LOSS,
	GRPC_UNAUTHENTICATED,
};
enum { GRPC_STATUS_COUNT = 17 };

/* "UNAVAILABLE"; "UNKNOWN" for numbers that are none. */
const char *grpc_status_name(enum grpc_status s);

/* The value of a grpc-status header; what is not a status becomes GRPC_UNKNOWN. */
enum grpc_status grpc_status_parse(struct slice text);

/* What an HTTP status means when there is no grpc-status (http-grpc-status-mapping.md). */
enum grpc_status grpc_status_from_http(unsigned http_status);

/* Whether OTLP allows the same request to be sent again. RESOURCE_EXHAUSTED only with a
 * RetryInfo. */
bool grpc_status_is_retryable(enum grpc_status s, bool has_retry_info);

/* ---- message frames */

void grpc_prefix_write(uint8_t out[GRPC_PREFIX_BYTES], bool compressed, uint32_t length);

/* Reads frames from bytes as they come. The length is known before the message is, so whoever reads
 * can admit or refuse it first. */
struct grpc_reader {
	uint8_t prefix[GRPC_PREFIX_BYTES];
	unsigned have; /* bytes of the prefix */
	size_t limit;  /* a message may be so long; 0: none */
	bool compressed;
	uint32_t length, left; /* of the current message */
	bool inside, broken;
};

enum grpc_event {
	GRPC_MORE,      /* all bytes are used */
	GRPC_BEGIN,     /* .compressed and .length are known */
	GRPC_PART,      /* *part points at the next bytes of the message */
	GRPC_END,       /* the message is complete */
	GRPC_TOO_LARGE, /* .length is above .limit; nothing more is read */
	GRPC_MALFORMED, /* a flag byte that is neither 0 nor 1; nothing more is read */
};

void grpc_reader_init(struct grpc_reader *r, size_t limit);
enum grpc_event grpc_reader_next(struct grpc_reader *r, struct slice *bytes, struct slice *part);

/* Whether the bytes so far end between two messages. */
bool grpc_reader_is_between(const struct grpc_reader *r);

/* ---- header values */

/* At most eight digits and a unit, and a NUL. */
enum { GRPC_TIMEOUT_TEXT = 10 };

/* The grpc-timeout value for ns, rounded up to what eight digits can say; 1n for 0. */
void grpc_timeout_format(uint64_t ns, char ret[GRPC_TIMEOUT_TEXT]);

/* A grpc-timeout value: one to eight digits and a unit. False when it is none. */
bool grpc_timeout_parse(struct slice value, uint64_t *ret_ns);

/* A grpc-message: percent-decoded, NUL-terminated, cut to size. What is not printable becomes '?'
 * and broken escapes stay as they are: it is a stranger's text that goes into logs. */
void grpc_message_decode(struct slice value, char *ret, size_t size);

/* text as a grpc-message: percent-encoded, NUL-terminated, cut between two characters when size
 * (at least 1) is not enough for all of it; what is not UTF-8 becomes U+FFFD. Returns its length. */
size_t grpc_message_encode(struct slice text, char *ret, size_t size);

/* What a decoded grpc-status-details-bin (google.rpc.Status) says about trying again. */
struct grpc_retry_info {
	bool present;
	uint64_t delay_ns; /* INT64_MAX at most */
};
struct grpc_retry_info grpc_retry_info_decode(struct slice status);

#endif
