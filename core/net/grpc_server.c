/* Happy path: on_request -> on_body ... -> on_body_end -> grpc_server_reply(); the handler is called from
 * the first three. A call ends once: by a reply, by a refusal of its own (refuse), by its deadline, or
 * because the exchange has gone. Its memory goes when no function of this file is at work on it any more. */
#include "core/net/grpc_server.h"

#include "core/base/base64.h"
#include "core/base/clock.h"
#include "core/loop/timer.h"
#include "core/wire/otlp_status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	/* Bytes of a status' text, as it is and percent-encoded: a client takes header lists of 8 KiB
	 * at least, of which the text stands in two fields. */
	TEXT_BYTES = 512,
	TEXT_ENCODED_BYTES = 1024,
	/* Of a google.rpc.Status. What is not UTF-8 in the text grows to three bytes. */
	DETAILS_BYTES = 3 * TEXT_BYTES + 128,
};

struct grpc_server {
	struct loop *loop;
	size_t limit;
	const struct grpc_server_handler *handler;
	void *arg;
	char codings[80]; /* grpc-accept-encoding */
};

struct grpc_server_call {
	struct grpc_server *server;
	struct http_exchange *exchange; /* NULL: answered or gone */
	void *data;
	struct timer *deadline; /* NULL: none */
	struct grpc_reader reader;
	enum coding coding;
	struct rcbuf *message; /* being filled, or full and not yet handed over */
	size_t filled;
	bool has_message; /* it is complete */
	bool ended;
	unsigned users; /* functions of this file at work on it */
};

/* ---- answers */

/* What an answer adds to the reply of a handler. */
struct answer {
	int http_status;
	const char *codings; /* NULL: not said */
};

static const struct http_header content_type = {SLICE_LITERAL("content-type"),
                                                SLICE_LITERAL("application/grpc"), false};

static struct http_header header(const char *name, struct slice value)
{
	return (struct http_header){slice_from_string(name), value, false};
}

static struct slice status_text(enum grpc_status s)
{
	static const char *const numbers[GRPC_STATUS_COUNT] = {"0",  "1",  "2",  "3",  "4",  "5",
	                                                       "6",  "7",  "8",  "9",  "10", "11",
	                                                       "12", "13", "14", "15", "16"};

	return slice_from_string(numbers[(unsigned)s < GRPC_STATUS_COUNT ? s : GRPC_UNKNOWN]);
}

/* The value of grpc-status-details-bin; empty when there is no memory for it. */
static struct slice write_details(const struct grpc_reply *reply,
                                  char ret[BASE64_TEXT(DETAILS_BYTES)])
{
	char text[TEXT_BYTES];
	struct otlp_status status = {reply->status, text, true, reply->retry_delay};
	struct buffer bytes = BUFFER_INIT;
	size_t len = 0;

	snprintf(text, sizeof text, "%s", reply->text ? reply->text : "");
	otlp_status_write(OTLP_PROTOBUF, &status, &bytes);
	if (!bytes.failed && bytes.len <= DETAILS_BYTES)
		len = base64_encode(buffer_slice(&bytes), false, ret);
	buffer_fini(&bytes);
	return slice_of(ret, len);
}

/* Trailers-Only. */
static void respond_status(struct http_exchange *x, const struct answer *answer,
                           const struct grpc_reply *reply)
{
	char text[TEXT_ENCODED_BYTES], details[BASE64_TEXT(DETAILS_BYTES)];
	enum grpc_status status = reply->status;
	struct http_header fields[5] = {content_type};
	struct http_response response = {.status = answer->http_status,
	                                 .trailers = fields,
	                                 .n_trailers = 2};

	if (reply->text && *reply->text) {
		size_t len = grpc_message_encode(slice_from_string(reply->text), text, sizeof text);
		fields[response.n_trailers++] = header("grpc-message", slice_of(text, len));
	}
	if (reply->has_retry_info) {
		struct slice value = write_details(reply, details);
		if (value.len > 0)
			fields[response.n_trailers++] = header("grpc-status-details-bin", value);
		else if (!grpc_status_is_retryable(status, false))
			status = GRPC_UNAVAILABLE; /* what says "again" without details */
	}
	if (answer->codings)
		fields[response.n_trailers++] =
			header("grpc-accept-encoding", slice_from_string(answer->codings));
	fields[1] = header("grpc-status", status_text(status));
	http_respond(x, &response);
}

static void respond_message(struct http_exchange *x, struct slice message)
{
	const struct http_header trailer = header("grpc-status", status_text(GRPC_OK));
	struct http_response response = {.status = 200,
	                                 .headers = &content_type,
	                                 .n_headers = 1,
	                                 .trailers = &trailer,
	                                 .n_trailers = 1};
	uint8_t *p = buffer_reserve(&response.body, GRPC_PREFIX_BYTES + message.len);

	if (!p) {
		static const struct answer answer = {200, NULL};
		static const struct grpc_reply reply = {
			.status = GRPC_UNAVAILABLE,
			.text = "there was no memory for the answer; the request was taken"};
		respond_status(x, &answer, &reply);
		return;
	}
	grpc_prefix_write(p, false, (uint32_t)message.len);
	response.body.len = GRPC_PREFIX_BYTES;
	buffer_append_slice(&response.body, message);
	http_respond(x, &response);
}

/* ---- the end of a call */

static void enter(struct grpc_server_call *c)
{
	c->users++;
}

static void leave(struct grpc_server_call *c)
{
	if (--c->users || !c->ended)
		return;
	timer_free(c->deadline);
	rcbuf_unref(c->message);
	free(c);
}

/* It answers once. */
static struct http_exchange *take_exchange(struct grpc_server_call *c)
{
	struct http_exchange *x = c->exchange;

	c->exchange = NULL;
	return x;
}

static void tell_gone(struct grpc_server_call *c)
{
	c->ended = true;
	c->server->handler->on_gone(c->server->arg, c);
}

/* Answers in the handler's place, who is told that the call has gone. */
static void refuse(struct grpc_server_call *c, const struct grpc_reply *reply)
{
	static const struct answer answer = {200, NULL};

	tell_gone(c);
	if (c->exchange)
		respond_status(take_exchange(c), &answer, reply);
}

static void refuse_with(struct grpc_server_call *c, enum grpc_status status, const char *format,
                        ...) __attribute__((format(printf, 3, 4)));
static void refuse_with(struct grpc_server_call *c, enum grpc_status status, const char *format,
                        ...)
{
	char text[TEXT_BYTES];
	const struct grpc_reply reply = {.status = status, .text = text};
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	refuse(c, &reply);
}

static void on_deadline(void *arg)
{
	struct grpc_server_call *c = arg;

	enter(c);
	refuse_with(c, GRPC_DEADLINE_EXCEEDED, "the call's time-out has passed");
	leave(c);
}

void grpc_server_reply(struct grpc_server_call *c, const struct grpc_reply *reply)
{
	static const struct answer answer = {200, NULL};

	assert(!c->ended);
	enter(c);
	c->ended = true;
	if (reply->status == GRPC_OK)
		respond_message(take_exchange(c), reply->message);
	else
		respond_status(take_exchange(c), &answer, reply);
	leave(c);
}

static void on_gone(void *arg, struct http_exchange *x)
{
	struct grpc_server_call *c = http_exchange_data(x);

	(void)arg;
	enter(c);
	c->exchange = NULL;
	if (!c->ended)
		tell_gone(c);
	leave(c);
}

/* ---- the head */

static bool has_prefix(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len &&
	       strncasecmp((const char *)text.data, (const char *)prefix.data, prefix.len) == 0;
}

bool grpc_server_wants(const struct http_exchange *x)
{
	static const struct slice grpc = SLICE_LITERAL("application/grpc"),
				  proto = SLICE_LITERAL("+proto");
	struct slice type;

	if (!http_exchange_header(x, "content-type", &type) || !has_prefix(type, grpc))
		return false;
	type = slice_of(type.data + grpc.len, type.len - grpc.len);
	if (has_prefix(type, proto))
		type = slice_of(type.data + proto.len, type.len - proto.len);
	return type.len == 0 || type.data[0] == ';' || type.data[0] == ' ';
}

struct head {
	enum coding coding;
	bool has_timeout;
	uint64_t timeout_ns;
};

/* Refuses a call that the handler has not seen. */
static void refuse_head(struct http_exchange *x, const struct answer *answer,
                        enum grpc_status status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static void refuse_head(struct http_exchange *x, const struct answer *answer,
                        enum grpc_status status, const char *format, ...)
{
	char text[TEXT_BYTES];
	const struct grpc_reply reply = {.status = status, .text = text};
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	respond_status(x, answer, &reply);
}

/* The part of a stranger's value that is shown back. */
static int shown(struct slice value)
{
	enum { MOST = 60 };

	return value.len < MOST ? (int)value.len : MOST;
}

/* False: it was refused. */
static bool read_head(const struct grpc_server *g, struct http_exchange *x, struct head *ret)
{
	const struct http_request *request = http_exchange_request(x);
	struct slice value = {0};

	if (request->version_major < 2) {
		struct http_response response = {.status = 505, .close = true};
		http_respond(x, &response);
		return false;
	}
	if (!slice_equal(request->method, SLICE_LITERAL("POST"))) {
		refuse_head(x, &(struct answer){405, NULL}, GRPC_INTERNAL,
		            "the method of a gRPC call is POST, not %.*s", shown(request->method),
		            (const char *)request->method.data);
		return false;
	}
	if (!grpc_server_wants(x)) {
		http_exchange_header(x, "content-type", &value);
		refuse_head(x, &(struct answer){415, NULL}, GRPC_INVALID_ARGUMENT,
		            "invalid gRPC request content-type \"%.*s\"", shown(value),
		            (const char *)value.data);
		return false;
	}
	if (http_exchange_header(x, "grpc-encoding", &value) &&
	    !coding_from_grpc_name(value, &ret->coding)) {
		refuse_head(x, &(struct answer){200, g->codings}, GRPC_UNIMPLEMENTED,
		            "the grpc-encoding \"%.*s\" is not known here, only %s", shown(value),
		            (const char *)value.data, g->codings);
		return false;
	}
	ret->has_timeout = http_exchange_header(x, "grpc-timeout", &value);
	if (ret->has_timeout && !grpc_timeout_parse(value, &ret->timeout_ns)) {
		refuse_head(x, &(struct answer){200, NULL}, GRPC_INTERNAL,
		            "malformed grpc-timeout \"%.*s\": at most eight digits and one of "
		            "H, M, S, m, u, n",
		            shown(value), (const char *)value.data);
		return false;
	}
	return true;
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct grpc_server *g = arg;
	struct head head = {.coding = CODING_IDENTITY};
	struct grpc_server_call *c;

	if (!read_head(g, x, &head))
		return;
	c = calloc(1, sizeof *c);
	if (!c)
		goto fail;
	if (head.has_timeout) {
		c->deadline = timer_new(g->loop, on_deadline, c);
		if (!c->deadline)
			goto fail;
		timer_start(c->deadline, head.timeout_ns, 0);
	}
	c->server = g;
	c->exchange = x;
	c->coding = head.coding;
	grpc_reader_init(&c->reader, g->limit);
	http_exchange_set_data(x, c);
	enter(c);
	g->handler->on_call(g->arg, c);
	leave(c);
	return;

fail:
	free(c);
	refuse_head(x, &(struct answer){200, NULL}, GRPC_UNAVAILABLE,
	            "there was no memory for the call");
}

/* ---- the message */

static void begin_message(struct grpc_server_call *c)
{
	struct grpc_server *g = c->server;
	struct rcbuf *message;

	if (c->has_message) {
		refuse_with(c, GRPC_UNIMPLEMENTED, "more than one message came in a unary call");
		return;
	}
	if (c->reader.compressed && c->coding == CODING_IDENTITY) {
		refuse_with(c, GRPC_INTERNAL,
		            "compressed flag set with identity or empty grpc-encoding");
		return;
	}
	message = g->handler->on_message(g->arg, c, c->reader.length);
	if (c->ended) {
		rcbuf_unref(message);
		return;
	}
	assert(message && message->size >= c->reader.length);
	c->message = message;
}

static void add_part(struct grpc_server_call *c, struct slice part)
{
	static const struct grpc_reply no_room = {
		.status = GRPC_UNAVAILABLE,
		.text = "there is no memory left for the message; try again later",
		.has_retry_info = true,
		.retry_delay = NS_PER_S};

	if (!rcbuf_charge(c->message, c->filled + part.len)) {
		refuse(c, &no_room);
		return;
	}
	memcpy(c->message->data + c->filled, part.data, part.len);
	c->filled += part.len;
}

static void on_body(void *arg, struct http_exchange *x, struct slice bytes)
{
	struct grpc_server_call *c = http_exchange_data(x);
	enum grpc_event event = GRPC_BEGIN;
	struct slice part = {0};

	(void)arg;
	enter(c);
	while (!c->ended && event != GRPC_MORE) {
		event = grpc_reader_next(&c->reader, &bytes, &part);
		if (event == GRPC_BEGIN)
			begin_message(c);
		else if (event == GRPC_PART)
			add_part(c, part);
		else if (event == GRPC_END)
			c->has_message = true;
		else if (event == GRPC_TOO_LARGE)
			refuse_with(c, GRPC_RESOURCE_EXHAUSTED,
			            "received message larger than max (%u vs. %zu bytes): send "
			            "smaller batches, or raise max_recv_msg_size_mib here",
			            c->reader.length, c->server->limit);
		else if (event == GRPC_MALFORMED)
			refuse_with(c, GRPC_INTERNAL,
			            "the flags of a message are %u, neither 0 nor 1",
			            c->reader.prefix[0]);
	}
	leave(c);
}

static void on_body_end(void *arg, struct http_exchange *x)
{
	struct grpc_server_call *c = http_exchange_data(x);
	struct grpc_server *g = c->server;
	struct rcbuf *message = c->message;

	(void)arg;
	enter(c);
	if (!grpc_reader_is_between(&c->reader)) {
		refuse_with(c, GRPC_INTERNAL, "the message was cut short");
	} else if (!c->has_message) {
		refuse_with(c, GRPC_INTERNAL, "no message came in a unary call");
	} else {
		c->message = NULL;
		g->handler->on_complete(g->arg, c, message,
		                        c->reader.compressed ? c->coding : CODING_IDENTITY);
	}
	leave(c);
}

const struct http_handler grpc_server_http_handler = {on_request, on_body, on_body_end, on_gone};

/* ---- the server */

struct grpc_server *grpc_server_new(struct loop *loop, size_t limit,
                                    const struct grpc_server_handler *handler, void *arg)
{
	struct grpc_server *g = calloc(1, sizeof *g);
	size_t len = 0;

	if (!g)
		return NULL;
	*g = (struct grpc_server){.loop = loop, .limit = limit, .handler = handler, .arg = arg};
	for (int i = 0; i < CODING_COUNT; i++) {
		const char *name = coding_grpc_name((enum coding)i);
		int n = snprintf(g->codings + len, sizeof g->codings - len, "%s%s",
		                 len && name ? "," : "", name ? name : "");
		assert(n >= 0 && (size_t)n < sizeof g->codings - len);
		len += (size_t)n;
	}
	return g;
}

void grpc_server_free(struct grpc_server *g)
{
	free(g);
}

struct slice grpc_server_call_path(const struct grpc_server_call *c)
{
	return http_exchange_request(c->exchange)->path;
}

const struct http_request *grpc_server_call_request(const struct grpc_server_call *c)
{
	return http_exchange_request(c->exchange);
}

void grpc_server_call_set_data(struct grpc_server_call *c, void *data)
{
	c->data = data;
}

void *grpc_server_call_data(const struct grpc_server_call *c)
{
	return c->data;
}
