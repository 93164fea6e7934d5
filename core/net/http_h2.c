/* HTTP/2 on a connection: between the session's streams and exchanges. */
#include "core/net/http_internal.h"

#include <errno.h>
#include <stdlib.h>

/* What is still read after our last frame. */
enum { THROW_AWAY = 256 * 1024 };

/* ---- what the session tells */

static bool on_write(void *arg, const struct slice *pieces, size_t n)
{
	return http_connection_write(arg, pieces, n);
}

static size_t on_unsent(void *arg)
{
	const struct http_connection *c = arg;

	return stream_unsent(c->stream);
}

static void on_request(void *arg, struct h2_server_stream *stream,
                       const struct http_request *request)
{
	struct http_connection *c = arg;
	struct http_server *s = c->server;
	struct http_exchange *x = http_exchange_new(c, request, stream);

	h2_server_stream_set_data(stream, x);
	if (x)
		s->handler->on_request(s->arg, x);
	else
		h2_server_reset(stream, HTTP_H2_REFUSED_STREAM); /* it can be sent again at once */
}

static void on_data(void *arg, struct h2_server_stream *stream, struct slice bytes)
{
	struct http_exchange *x = h2_server_stream_data(stream);

	(void)arg;
	if (x && x->state == EXCHANGE_READING)
		http_exchange_receive(x, bytes);
}

static void tell_unfinished(struct http_connection *c)
{
	h2_server_set_unfinished(c->h2, c->unfinished);
}

static void on_end(void *arg, struct h2_server_stream *stream)
{
	struct http_exchange *x = h2_server_stream_data(stream);

	if (!x || x->state != EXCHANGE_READING)
		return;
	http_exchange_complete(x);
	tell_unfinished(arg);
}

static void on_closed(void *arg, struct h2_server_stream *stream, bool answered)
{
	struct http_exchange *x = h2_server_stream_data(stream);

	(void)answered;
	if (!x)
		return;
	http_exchange_lose(x);
	tell_unfinished(arg);
}

static void on_limit(void *arg, enum http_limit l)
{
	http_connection_strike(arg, l, NULL);
}

static const struct h2_server_events session_events = {.write = on_write,
                                                       .unsent = on_unsent,
                                                       .on_request = on_request,
                                                       .on_data = on_data,
                                                       .on_end = on_end,
                                                       .on_closed = on_closed,
                                                       .on_limit = on_limit};

bool http_h2_begin(struct http_connection *c)
{
	return h2_server_new(&session_events, c, &c->server->config.limits, &c->h2, NULL) == 0;
}

/* The session has failed for good. Its GOAWAY is on its way unless the transport has failed. */
static void give_up(struct http_connection *c, int r, const struct error *error)
{
	if (c->server->log)
		log_debug(c->server->log, "%s: %s", stream_peer(c->stream), error->message);
	if (r == -EPROTO)
		http_connection_finish(c, THROW_AWAY);
	else
		http_connection_close(c);
}

/* Bodies that are made while they are sent: the next piece in the loop's next round. */
static void go_on_later(struct http_connection *c)
{
	if (c->phase == HTTP_2 && !c->doomed && h2_server_is_hungry(c->h2))
		http_server_go_on_later(c->server, c);
}

/* What is left of a turn is kept, and little is read from then on until less comes than a turn takes. */
static void keep(struct http_connection *c, struct slice rest)
{
	if (c->phase != HTTP_2 || c->doomed)
		return;
	stream_set_read_size(c->stream, rest.len > 0 ? HTTP_READ_HEADS : 0);
	stream_pause(c->stream, rest.len > 0);
	buffer_append_slice(&c->pending, rest);
	if (c->pending.failed)
		http_connection_close(c);
	else if (rest.len > 0)
		http_server_go_on_later(c->server, c);
	else
		go_on_later(c);
}

void http_h2_receive(struct http_connection *c, struct slice bytes)
{
	struct buffer kept = c->pending;
	struct error error = ERROR_INIT;
	struct slice rest = bytes;
	int r = -ENOMEM;

	c->pending = (struct buffer)BUFFER_INIT;
	if (kept.len > 0) {
		buffer_append_slice(&kept, bytes);
		rest = buffer_slice(&kept);
	}
	c->feeding = true;
	if (kept.failed)
		error_no_memory(&error);
	else
		r = h2_server_receive(c->h2, &rest, c->received, &error);
	c->feeding = false;
	if (r < 0)
		give_up(c, r, &error);
	else
		keep(c, rest);
	buffer_fini(&kept);
}

void http_h2_resume(struct http_connection *c)
{
	if (c->pending.len > 0)
		http_h2_receive(c, slice_of(NULL, 0));
	else
		http_h2_send(c);
}

void http_h2_send(struct http_connection *c)
{
	struct error error = ERROR_INIT;
	int r = c->phase == HTTP_2 && !c->doomed ? h2_server_send(c->h2, &error) : 0;

	if (r < 0)
		give_up(c, r, &error);
	else
		go_on_later(c);
}

/* ---- what is said to it */

void http_h2_respond(struct http_exchange *x, struct http_response *response)
{
	struct http_connection *c = x->connection;
	struct error error = ERROR_INIT;
	struct h2_server_stream *stream = x->stream;

	x->state = EXCHANGE_ANSWERING;
	x->since = loop_now_ns(c->server->loop);
	http_patience_arm(c, x->since + c->server->config.limits.write_time);
	if (c->phase != HTTP_2 || c->doomed) { /* it goes with its connection */
		http_response_drop(response);
		return;
	}
	if (slice_equal(x->request.method, SLICE_LITERAL("HEAD")))
		buffer_fini(&response->body);
	tell_unfinished(c);
	if (h2_server_respond(stream, response, &error) < 0)
		h2_server_reset(stream, HTTP_H2_INTERNAL_ERROR);
	if (!c->feeding)
		http_server_go_on_later(c->server, c);
}

void http_h2_cancel(struct http_exchange *x)
{
	struct http_connection *c = x->connection;
	struct h2_server_stream *stream = x->stream;

	h2_server_stream_set_data(stream, NULL);
	http_exchange_lose(x);
	if (c->phase != HTTP_2 || c->doomed)
		return;
	h2_server_reset(stream, HTTP_H2_CANCEL);
	tell_unfinished(c);
	http_h2_send(c);
}

void http_h2_drain(struct http_connection *c)
{
	h2_server_goaway(c->h2, HTTP_H2_NO_ERROR, false);
	http_h2_send(c);
}

void http_h2_end(struct http_connection *c, uint32_t code)
{
	h2_server_goaway(c->h2, code, true);
	http_h2_send(c);
	http_connection_finish(c, THROW_AWAY);
}
