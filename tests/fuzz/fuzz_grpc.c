/* What a server may send: HTTP/2 bytes into a client session that has requests in flight, in pieces of a size
 * that the first byte chooses; header values and message frames are read as the gRPC client reads them. And
 * what a client may send: the same bytes as the body of a call, in the same pieces. */
#include "core/base/base64.h"
#include "core/net/grpc_server.h"
#include "core/net/h2.h"
#include "tests/unit/net/fake_exchange.h"

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
	uint64_t ns;
	size_t len;

	grpc_message_decode(value, text, sizeof text);
	if (grpc_message_encode(value, text, sizeof text) >= sizeof text)
		abort();
	if (grpc_timeout_parse(value, &ns) && ns > INT64_MAX)
		abort();
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
	const struct http_header headers[] = {
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

/* ---- a client's side */

struct service {
	struct budget budget;
	uint32_t length;
	unsigned ended;
};

static void on_call(void *arg, struct grpc_server_call *c)
{
	(void)arg, (void)c;
}

static struct rcbuf *on_message(void *arg, struct grpc_server_call *c, uint32_t length)
{
	struct service *s = arg;
	struct rcbuf *message = rcbuf_claim(length, &s->budget);

	if (length > LIMIT)
		abort();
	s->length = length;
	if (!message) {
		s->ended++;
		grpc_server_reply(c, &(struct grpc_reply){.status = GRPC_UNAVAILABLE});
	}
	return message;
}

static void on_complete(void *arg, struct grpc_server_call *c, struct rcbuf *message,
                        enum coding coding)
{
	struct service *s = arg;
	struct grpc_reply reply = {.status = GRPC_OK,
	                           .message = slice_of(message->data, s->length)};

	if (message->charged != s->length || (unsigned)coding >= CODING_COUNT)
		abort();
	s->ended++;
	grpc_server_reply(c, &reply);
	rcbuf_unref(message);
}

static void on_gone(void *arg, struct grpc_server_call *c)
{
	struct service *s = arg;

	(void)c;
	s->ended++;
}

static const struct grpc_server_handler service_handler = {on_call, on_message, on_complete,
                                                           on_gone};

static void serve(const uint8_t *data, size_t size, size_t step)
{
	const struct http_handler *http = &grpc_server_http_handler;
	struct service service = {.budget = {.limit = LIMIT / 2}};
	struct grpc_server *g = grpc_server_new(NULL, LIMIT, &service_handler, &service);
	struct http_exchange x;

	if (!g)
		return;
	fake_exchange_init(&x, "/a.B/C");
	if (step & 1)
		fake_exchange_add(&x, "grpc-encoding", "gzip");
	http->on_request(g, &x);
	for (size_t at = 0, len; at < size && !x.responses; at += len) {
		len = size - at < step ? size - at : step;
		http->on_body(g, &x, slice_of(data + at, len));
	}
	if (!x.responses && step & 2)
		http->on_gone(g, &x);
	else if (!x.responses)
		http->on_body_end(g, &x);
	if (service.ended != 1 || x.responses > 1 || service.budget.used != 0)
		abort();
	fake_exchange_fini(&x);
	grpc_server_free(g);
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
	serve(data + 1, size - 1, data[0] ? data[0] : size);

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
