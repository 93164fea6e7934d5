/* Happy path: grpc_call_new -> grpc_call_start -> on_header... -> on_data... -> on_closed ->
 * done(OK). Fails: the deadline passes, anywhere · the stream is refused (waits again, a few times)
 * · the stream is reset · the answer is not gRPC, too large, or damaged · the connection is lost
 * (grpc_call_fail). */
#include "core/net/grpc_internal.h"

#include "core/base/base64.h"
#include "core/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A server that refuses and refuses is not asked at once for ever. */
enum { REFUSALS = 3, MAX_HEADERS = GRPC_CALL_HEADERS + 12 };

static void on_deadline(void *arg);

struct grpc_call *grpc_call_new(struct grpc_client *c, const struct grpc_request *request,
                                grpc_done done, void *arg)
{
	size_t n = request->n_pieces, bytes = 0;
	struct grpc_call *call = calloc(1, sizeof *call + (n + 1) * sizeof *call->pieces);

	if (!call)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		call->pieces[i + 1] = request->pieces[i];
		bytes += request->pieces[i].len;
	}
	if (bytes > UINT32_MAX)
		goto fail;
	grpc_prefix_write(call->prefix, request->coding != CODING_IDENTITY, (uint32_t)bytes);
	call->pieces[0] = slice_of(call->prefix, sizeof call->prefix);
	call->n_pieces = n + 1;
	call->client = c;
	call->path = request->path;
	call->coding = request->coding;
	call->deadline_ns = request->deadline_ns;
	call->done = done;
	call->arg = arg;
	list_init(&call->link);
	if (call->deadline_ns) {
		uint64_t now = clock_monotonic_ns();

		call->deadline = timer_new(c->loop, on_deadline, call);
		if (!call->deadline)
			goto fail;
		timer_start(call->deadline, call->deadline_ns > now ? call->deadline_ns - now : 0,
		            0);
	}
	return call;

fail:
	free(call);
	return NULL;
}

/* Takes the call out of everything, then calls out, last. */
static void finish(struct grpc_call *call, struct grpc_response *response)
{
	struct grpc_connection *n = call->connection;
	struct buffer message = call->answer.message;
	grpc_done done = call->done;
	void *arg = call->arg;
	char text[GRPC_TEXT_BYTES + 300];

	snprintf(text, sizeof text, "%s", response->text ? response->text : "");
	response->text = text;
	list_remove(&call->link);
	if (call->stream)
		h2_cancel(call->stream);
	timer_free(call->deadline);
	free(call);
	if (n)
		grpc_connection_call_left(n);
	done(arg, response);
	buffer_fini(&message);
}

void grpc_call_fail(struct grpc_call *call, enum grpc_status status, const char *format, ...)
{
	char text[GRPC_TEXT_BYTES + 300];
	struct grpc_response response = {.status = status, .text = text};
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	finish(call, &response);
}

static void on_deadline(void *arg)
{
	struct grpc_call *call = arg;
	struct grpc_client *c = call->client;
	struct grpc_connection *n = call->connection; /* freed in a later round, if at all */
	uint64_t started_ns = call->started_ns;

	if (n) {
		grpc_call_fail(call, GRPC_DEADLINE_EXCEEDED, "%s did not answer in time", c->where);
		grpc_connection_call_expired(n, started_ns);
	} else if (c->last_failure.code) {
		grpc_call_fail(call, GRPC_DEADLINE_EXCEEDED, "not connected in time: %s",
		               c->last_failure.message);
	} else {
		grpc_call_fail(call, GRPC_DEADLINE_EXCEEDED, "no connection to %s in time",
		               c->where);
	}
}

/* ---- the answer */

static void answer_reset(struct grpc_answer *a)
{
	buffer_fini(&a->message);
	*a = (struct grpc_answer){.known_coding = true};
	grpc_reader_init(&a->reader, GRPC_RESPONSE_LIMIT);
}

static bool name_is(struct slice name, const char *text)
{
	return slice_equal(name, slice_from_string(text));
}

static void on_details(struct grpc_answer *a, struct slice value)
{
	uint8_t details[GRPC_DETAILS_BYTES];
	size_t len;

	if (base64_decode(value, details, sizeof details, &len))
		a->retry = grpc_retry_info_decode(slice_of(details, len));
}

static void on_header(void *arg, struct slice name, struct slice value)
{
	static const struct slice grpc = SLICE_LITERAL("application/grpc");
	struct grpc_call *call = arg;
	struct grpc_answer *a = &call->answer;

	if (name_is(name, ":status")) {
		a->http_status = 0;
		for (size_t i = 0; i < value.len && i < 3; i++)
			a->http_status = a->http_status * 10 + (value.data[i] - '0');
	} else if (name_is(name, "content-type")) {
		a->is_grpc = value.len >= grpc.len && memcmp(value.data, grpc.data, grpc.len) == 0;
	} else if (name_is(name, "grpc-status")) {
		a->has_status = true;
		a->status = grpc_status_parse(value);
	} else if (name_is(name, "grpc-message")) {
		grpc_message_decode(value, a->text, sizeof a->text);
	} else if (name_is(name, "grpc-status-details-bin")) {
		on_details(a, value);
	} else if (name_is(name, "grpc-encoding")) {
		a->known_coding = coding_from_grpc_name(value, &a->coding);
	}
}

static void on_headers_end(void *arg)
{
	struct grpc_call *call = arg;

	if (call->connection)
		call->connection->useful = true;
}

static void on_data(void *arg, struct slice bytes)
{
	struct grpc_call *call = arg;
	struct grpc_answer *a = &call->answer;
	struct slice part;

	if (!a->is_grpc)
		return; /* an error page; its status says enough */
	for (;;) {
		switch (grpc_reader_next(&a->reader, &bytes, &part)) {
		case GRPC_MORE:
			return;
		case GRPC_BEGIN:
			if (a->has_message) {
				grpc_call_fail(call, GRPC_INTERNAL, "%s sent more than one message",
				               call->client->where);
				return;
			}
			a->has_message = true;
			a->compressed = a->reader.compressed;
			break;
		case GRPC_PART:
			buffer_append_slice(&a->message, part);
			break;
		case GRPC_END:
			break;
		case GRPC_TOO_LARGE:
			grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED,
			               "the answer of %s is larger than the limit of %d bytes",
			               call->client->where, GRPC_RESPONSE_LIMIT);
			return;
		case GRPC_MALFORMED:
			grpc_call_fail(call, GRPC_INTERNAL, "%s sent a frame that is not gRPC's",
			               call->client->where);
			return;
		}
	}
}

static void finish_failed(struct grpc_call *call)
{
	struct grpc_answer *a = &call->answer;
	char text[GRPC_TEXT_BYTES + 300];
	struct grpc_response response = {.status = a->status,
	                                 .from_server = true,
	                                 .text = text,
	                                 .retry = a->retry};

	snprintf(text, sizeof text, "%s answered %s%s%s", call->client->where,
	         grpc_status_name(a->status), a->text[0] ? ": " : "", a->text);
	finish(call, &response);
}

/* A response that is no gRPC response: a proxy's page, or another kind of server. */
static void finish_foreign(struct grpc_call *call)
{
	struct grpc_answer *a = &call->answer;
	const char *where = call->client->where;

	if (a->http_status != 200)
		grpc_call_fail(call, grpc_status_from_http(a->http_status),
		               "%s answered HTTP status %u without a gRPC status", where,
		               a->http_status);
	else if (!a->is_grpc)
		grpc_call_fail(call, GRPC_UNKNOWN,
		               "%s is not a gRPC server: its answer has another content type",
		               where);
	else /* whatever became of the request, nobody has judged it */
		grpc_call_fail(call, GRPC_UNAVAILABLE, "%s ended the call without a gRPC status",
		               where);
}

static void finish_ok(struct grpc_call *call)
{
	struct grpc_answer *a = &call->answer;
	const char *where = call->client->where;
	struct grpc_response response = {.status = GRPC_OK, .from_server = true};
	struct buffer inflated = BUFFER_INIT;
	struct error error = ERROR_INIT;

	if (!grpc_reader_is_between(&a->reader)) {
		grpc_call_fail(call, GRPC_INTERNAL, "the answer of %s is cut short", where);
		return;
	}
	if (a->message.failed) {
		grpc_call_fail(call, GRPC_UNAVAILABLE, "no memory for the answer of %s", where);
		return;
	}
	if (a->compressed && !a->known_coding) {
		grpc_call_fail(call, GRPC_INTERNAL, "%s compressed its answer in an unknown way",
		               where);
		return;
	}
	if (a->compressed) {
		int r = compress_inflate(a->coding, buffer_slice(&a->message), GRPC_RESPONSE_LIMIT,
		                         &inflated, &error);
		if (r < 0) {
			buffer_fini(&inflated);
			grpc_call_fail(call, r == -E2BIG ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL,
			               "the answer of %s %s", where, error.message);
			return;
		}
		buffer_fini(&a->message);
		a->message = inflated;
	}
	response.message = buffer_slice(&a->message);
	finish(call, &response);
}

/* gRPC's table says INTERNAL for most of these. But nobody has judged the request: it was a server that died, or a
 * proxy between, so OTLP's rule for a lost connection is followed and the request may be repeated. */
static enum grpc_status status_of_reset(uint32_t code)
{
	enum { CODE_CANCEL = 8, CODE_INADEQUATE_SECURITY = 12 };

	if (code == CODE_CANCEL)
		return GRPC_CANCELLED;
	return code == CODE_INADEQUATE_SECURITY ? GRPC_PERMISSION_DENIED : GRPC_UNAVAILABLE;
}

/* Back to where it waited, before all others: it is the oldest. */
static void wait_again(struct grpc_call *call)
{
	struct grpc_client *c = call->client;
	struct grpc_connection *n = call->connection;

	list_remove(&call->link);
	list_push_front(&c->waiting, &call->link);
	call->connection = NULL;
	answer_reset(&call->answer);
	grpc_connection_call_left(n);
	grpc_client_dispatch(c);
}

static void on_closed(void *arg, enum h2_close how, uint32_t code)
{
	struct grpc_call *call = arg;
	struct grpc_answer *a = &call->answer;

	call->stream = NULL;
	if (how == H2_REFUSED && !a->http_status && ++call->refusals <= REFUSALS)
		wait_again(call);
	else if (how != H2_ENDED && !a->has_status)
		grpc_call_fail(call, status_of_reset(code), "%s reset the call: %s",
		               call->client->where, h2_code_name(code));
	else if (!a->has_status)
		finish_foreign(call);
	else if (a->status != GRPC_OK)
		finish_failed(call);
	else
		finish_ok(call);
}

static const struct h2_stream_events call_events = {.on_header = on_header,
                                                    .on_headers_end = on_headers_end,
                                                    .on_data = on_data,
                                                    .on_closed = on_closed};

/* ---- the request */

static void add_header(struct http_header *headers, size_t *n, const char *name, const char *value)
{
	headers[(*n)++] =
		(struct http_header){slice_from_string(name), slice_from_string(value), false};
}

int grpc_call_start(struct grpc_call *call, struct grpc_connection *n, struct error *error)
{
	struct grpc_client *c = call->client;
	struct http_header headers[MAX_HEADERS];
	const struct grpc_client_header *more = NULL;
	char timeout[GRPC_TIMEOUT_TEXT];
	size_t n_headers = 0, n_more = 0;
	int r;

	if (c->config.headers &&
	    (r = c->config.headers(c->config.headers_arg, &more, &n_more, error)) < 0)
		return r;
	add_header(headers, &n_headers, ":method", "POST");
	add_header(headers, &n_headers, ":scheme", c->tls ? "https" : "http");
	add_header(headers, &n_headers, ":path", call->path);
	add_header(headers, &n_headers, ":authority", c->authority);
	if (call->deadline_ns) {
		uint64_t now = clock_monotonic_ns();

		grpc_timeout_format(call->deadline_ns > now ? call->deadline_ns - now : 0, timeout);
		add_header(headers, &n_headers, "grpc-timeout", timeout);
	}
	add_header(headers, &n_headers, "te", "trailers");
	add_header(headers, &n_headers, "content-type", "application/grpc");
	add_header(headers, &n_headers, "user-agent", c->config.user_agent);
	add_header(headers, &n_headers, "grpc-accept-encoding",
	           "identity,gzip,deflate,zstd,snappy");
	if (call->coding != CODING_IDENTITY)
		add_header(headers, &n_headers, "grpc-encoding", coding_grpc_name(call->coding));
	for (size_t i = 0; i < n_more && n_headers < MAX_HEADERS; i++) {
		add_header(headers, &n_headers, more[i].name, more[i].value);
		headers[n_headers - 1].secret = true;
	}
	answer_reset(&call->answer);
	r = h2_request(n->h2, headers, n_headers, call->pieces, call->n_pieces, &call_events, call,
	               &call->stream, error);
	if (r < 0)
		return r;
	list_remove(&call->link);
	list_push(&n->calls, &call->link);
	call->connection = n;
	call->started_ns = clock_monotonic_ns();
	return 0;
}
