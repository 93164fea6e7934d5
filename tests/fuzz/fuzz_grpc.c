/* What a server may send: HTTP/2 bytes into a client session that has requests in flight, in pieces of a size
 * that the first byte chooses; header values and message frames are read as the gRPC client reads them. */
#include "core/base/base64.h"
#include "core/net/h2.h"
#include "core/wire/grpc.h"

#include <stdlib.h>

enum { REQUESTS = 3, LIMIT = 1 << 20 };

struct call {
	struct h2_stream *stream;
	struct grpc_reader reader;
	unsigned closed;
};

static bool on_write(void *arg, const struct slice *pieces, size_t n)
{
	static volatile uint8_t sink;

	(void)arg;
	for (size_t i = 0; i < n; i++)
		if (pieces[i].len > 0) {
			sink = pieces[i].data[0];
			sink = pieces[i].data[pieces[i].len - 1];
		}
	(void)sink;
	return true;
}

static size_t on_unsent(void *arg)
{
	(void)arg;
	return 0;
}

static void on_ready(void *arg)
{
	(void)arg;
}

static void on_goaway(void *arg, uint32_t code, bool processed, struct slice debug)
{
	(void)arg, (void)processed, (void)debug;
	if (!h2_code_name(code))
		abort();
}

static const struct h2_events session_events = {on_write, on_unsent, on_ready, on_goaway};

static void read_values(struct slice value)
{
	uint8_t binary[256];
	char text[64];
	size_t len;

	grpc_message_decode(value, text, sizeof text);
	grpc_status_parse(value);
	if (base64_decode(value, binary, sizeof binary, &len))
		grpc_retry_info_decode(slice_of(binary, len));
}

static void on_header(void *arg, struct slice name, struct slice value)
{
	(void)arg, (void)name;
	read_values(value);
}

static void on_headers_end(void *arg)
{
	(void)arg;
}

static void read_frames(struct grpc_reader *r, struct slice bytes)
{
	struct slice part = {0};
	enum grpc_event event;

	do {
		event = grpc_reader_next(r, &bytes, &part);
		if (event == GRPC_BEGIN && r->length > LIMIT)
			abort();
	} while (event == GRPC_BEGIN || event == GRPC_PART || event == GRPC_END);
}

static void on_data(void *arg, struct slice bytes)
{
	struct call *c = arg;

	read_frames(&c->reader, bytes);
	if (!grpc_reader_is_between(&c->reader) && c->reader.length % 7 == 6) {
		h2_cancel(c->stream); /* as a deadline does, from a callback */
		c->closed++;
	}
}

static void on_closed(void *arg, enum h2_close how, uint32_t code)
{
	struct call *c = arg;

	(void)how, (void)code;
	if (c->closed++ > 0)
		abort();
}

static const struct h2_stream_events stream_events = {on_header, on_headers_end, on_data,
                                                      on_closed};

static void start_calls(struct h2 *h, struct call *calls)
{
	static const uint8_t bytes[70000];
	static const struct slice body[] = {{bytes, 5}, {bytes, 60000}, {bytes, 0}, {bytes, 10000}};
	const struct h2_header headers[] = {
		{SLICE_LITERAL(":method"), SLICE_LITERAL("POST"), false},
		{SLICE_LITERAL(":scheme"), SLICE_LITERAL("http"), false},
		{SLICE_LITERAL(":path"), SLICE_LITERAL("/a.B/C"), false},
		{SLICE_LITERAL(":authority"), SLICE_LITERAL("a"), false},
		{SLICE_LITERAL("authorization"), SLICE_LITERAL("b"), true},
	};

	for (int i = 0; i < REQUESTS; i++) {
		grpc_reader_init(&calls[i].reader, LIMIT);
		if (h2_request(h, headers, sizeof headers / sizeof *headers, body,
		               sizeof body / sizeof *body, &stream_events, &calls[i],
		               &calls[i].stream, NULL) < 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct call calls[REQUESTS] = {0};
	struct grpc_reader reader;
	struct h2 *h;
	size_t step, at = 1;

	if (size < 2)
		return 0;
	grpc_reader_init(&reader, LIMIT);
	read_frames(&reader, slice_of(data + 1, size - 1));
	read_values(slice_of(data + 1, size - 1));
	grpc_retry_info_decode(slice_of(data + 1, size - 1));

	if (h2_new(&session_events, NULL, &h, NULL) < 0)
		return 0;
	start_calls(h, calls);
	step = data[0] ? data[0] : size;
	if (h2_send(h, NULL) == 0)
		while (at < size) {
			size_t len = size - at < step ? size - at : step;
			if (h2_receive(h, slice_of(data + at, len), NULL) < 0)
				break;
			at += len;
		}
	h2_capacity(h);
	h2_free(h);
	return 0;
}
