#include "core/wire/otlp_status.h"

#include "core/base/json_string.h"
#include "core/base/utf8.h"
#include "core/wire/otlp.h"
#include "core/wire/otlp_json_decode.h"

#include <errno.h>
#include <inttypes.h>

#define RETRY_INFO_URL "type.googleapis.com/google.rpc.RetryInfo"

enum {
	NS_PER_SECOND = 1000000000,
	/* Leaves 256 bytes to the rest of an answer, which takes less. */
	MESSAGE_LIMIT = OTLP_RESPONSE_LIMIT - 256,
	QUOTES = 2,
	LONGEST_CHARACTER = 6, /* of one byte, as JSON: \u0000 */
};

static struct slice cut(struct slice text, size_t limit)
{
	if (text.len <= limit)
		return text;
	while (limit > 0 && (text.data[limit] & 0xc0) == 0x80)
		limit--;
	return slice_of(text.data, limit);
}

/* The message as UTF-8 that leaves room for the rest of the answer. */
static struct slice clean(const char *message, struct buffer *room)
{
	utf8_append(room, cut(slice_from_string(message ? message : ""), OTLP_RESPONSE_LIMIT));
	return cut(buffer_slice(room), MESSAGE_LIMIT);
}

/* As a JSON string that leaves room for the rest of the answer as well. */
static void append_message(struct buffer *out, struct slice message)
{
	size_t before = out->len;

	json_string_append(out, message);
	if (out->failed || out->len - before <= MESSAGE_LIMIT + QUOTES)
		return;
	out->len = before;
	json_string_append(out, cut(message, MESSAGE_LIMIT / LONGEST_CHARACTER));
}

static ProtobufCBinaryData bytes_of(struct slice s)
{
	return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)s.data};
}

/* ---- google.rpc.Status */

static void write_protobuf(const struct otlp_status *status, struct slice message,
                           struct buffer *out)
{
	Otlp__RpcDuration delay = OTLP__RPC_DURATION__INIT;
	Otlp__RpcRetryInfo info = OTLP__RPC_RETRY_INFO__INIT;
	Otlp__RpcAny any = OTLP__RPC_ANY__INIT, *details[] = {&any};
	Otlp__RpcStatus written = OTLP__RPC_STATUS__INIT;
	struct buffer value = BUFFER_INIT;

	written.code = (int32_t)status->code;
	written.message = bytes_of(message);
	if (status->has_retry_info) {
		delay.seconds = (int64_t)(status->retry_delay / NS_PER_SECOND);
		delay.nanos = (int32_t)(status->retry_delay % NS_PER_SECOND);
		info.retry_delay = &delay;
		otlp_encode(&info.base, &value);
		any.type_url = bytes_of(SLICE_LITERAL(RETRY_INFO_URL));
		any.value = bytes_of(buffer_slice(&value));
		written.details = details;
		written.n_details = 1;
	}
	otlp_encode(&written.base, out);
	out->failed |= value.failed;
	buffer_fini(&value);
}

/* As protobuf's JSON has durations: with no, three, six or nine digits behind the point. */
static void append_duration(struct buffer *out, uint64_t ns)
{
	uint64_t rest = ns % NS_PER_SECOND;
	int digits = rest % 1000000 == 0 ? 3 : rest % 1000 == 0 ? 6 : 9;

	buffer_printf(out, "\"%" PRIu64, ns / NS_PER_SECOND);
	if (rest) {
		for (int i = digits; i < 9; i += 3)
			rest /= 1000;
		buffer_printf(out, ".%0*" PRIu64, digits, rest);
	}
	buffer_append_string(out, "s\"");
}

static void write_json(const struct otlp_status *status, struct slice message, struct buffer *out)
{
	buffer_printf(out, "{\"code\":%d", (int)status->code);
	if (message.len) {
		buffer_append_string(out, ",\"message\":");
		append_message(out, message);
	}
	if (status->has_retry_info) {
		buffer_append_string(out, ",\"details\":[{\"@type\":\"" RETRY_INFO_URL
		                          "\",\"retryDelay\":");
		append_duration(out, status->retry_delay);
		buffer_append_string(out, "}]");
	}
	buffer_append_byte(out, '}');
}

void otlp_status_write(enum otlp_encoding encoding, const struct otlp_status *status,
                       struct buffer *out)
{
	struct buffer room = BUFFER_INIT;
	struct slice message = clean(status->message, &room);

	if (encoding == OTLP_JSON)
		write_json(status, message, out);
	else
		write_protobuf(status, message, out);
	out->failed |= room.failed;
	buffer_fini(&room);
}

/* ---- Export*ServiceResponse */

static void write_response_protobuf(uint64_t rejected, struct slice message, struct buffer *out)
{
	Otlp__ExportPartialSuccess partial = OTLP__EXPORT_PARTIAL_SUCCESS__INIT;
	Otlp__ExportServiceResponse response = OTLP__EXPORT_SERVICE_RESPONSE__INIT;

	partial.rejected = (int64_t)rejected;
	partial.error_message = bytes_of(message);
	if (rejected || message.len)
		response.partial_success = &partial;
	otlp_encode(&response.base, out);
}

static void write_response_json(enum signal signal, uint64_t rejected, struct slice message,
                                struct buffer *out)
{
	static const char *const keys[SIGNAL_COUNT] = {"rejectedSpans", "rejectedDataPoints",
	                                               "rejectedLogRecords"};

	buffer_append_byte(out, '{');
	if (rejected || message.len)
		buffer_append_string(out, "\"partialSuccess\":{");
	if (rejected)
		buffer_printf(out, "\"%s\":\"%" PRIu64 "\"", keys[signal], rejected);
	if (rejected && message.len)
		buffer_append_byte(out, ',');
	if (message.len) {
		buffer_append_string(out, "\"errorMessage\":");
		append_message(out, message);
	}
	buffer_append_string(out, rejected || message.len ? "}}" : "}");
}

void otlp_response_write(enum otlp_encoding encoding, enum signal signal, uint64_t rejected_items,
                         const char *message, struct buffer *out)
{
	uint64_t rejected = rejected_items <= INT64_MAX ? rejected_items : INT64_MAX;
	struct buffer room = BUFFER_INIT;
	struct slice text = clean(message, &room);

	if (encoding == OTLP_JSON)
		write_response_json(signal, rejected, text, out);
	else
		write_response_protobuf(rejected, text, out);
	out->failed |= room.failed;
	buffer_fini(&room);
}

/* ---- reading */

static int read_message(enum otlp_encoding encoding, const ProtobufCMessageDescriptor *type,
                        struct slice bytes, struct arena *arena, ProtobufCMessage **ret)
{
	if (encoding == OTLP_JSON)
		return otlp_json_decode_message(type, bytes, arena, ret, NULL);
	return otlp_decode(type, bytes, arena, ret, NULL);
}

/* Appends a message that was read. False when there is no memory. */
static bool append_read(struct buffer *message, const ProtobufCBinaryData *text)
{
	utf8_append(message, slice_of(text->data, text->len));
	return !message->failed;
}

bool otlp_response_read(enum otlp_encoding encoding, struct slice bytes, uint64_t *ret_rejected,
                        struct buffer *message)
{
	const Otlp__ExportPartialSuccess *partial = NULL;
	ProtobufCMessage *response;
	struct arena arena;
	int64_t rejected = 0;
	bool ok;
	int r;

	arena_init(&arena, NULL);
	r = read_message(encoding, &otlp__export_service_response__descriptor, bytes, &arena,
	                 &response);
	ok = r == 0;
	message->failed |= r == -ENOMEM;
	if (ok)
		partial = ((Otlp__ExportServiceResponse *)response)->partial_success;
	if (partial) {
		rejected = partial->rejected;
		ok = append_read(message, &partial->error_message);
	}
	if (ok)
		*ret_rejected = rejected > 0 ? (uint64_t)rejected : 0;
	arena_fini(&arena);
	return ok;
}

bool otlp_status_read(enum otlp_encoding encoding, struct slice bytes, struct buffer *message)
{
	ProtobufCMessage *status;
	struct arena arena;
	bool ok;
	int r;

	arena_init(&arena, NULL);
	r = read_message(encoding, &otlp__rpc_status__descriptor, bytes, &arena, &status);
	message->failed |= r == -ENOMEM;
	ok = r == 0 && append_read(message, &((Otlp__RpcStatus *)status)->message);
	arena_fini(&arena);
	return ok;
}
