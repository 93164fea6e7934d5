/* HTTP/1.1 on a connection. Requests are answered one after the other: while one waits for its
 * response, or a response for the peer to take it, at most one read of later requests is kept and
 * the connection is paused. Until then it is read, so that a client that leaves is noticed. So a read
 * is small where requests begin, and grows to what is left of a body. */
#include "core/net/http_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* A body that nobody wants any more is read to its end when so much of it is left at most; otherwise
 * the connection ends. */
enum { WORTH_READING = 64 * 1024 };

/* What is read after a response that ended the connection, until the client has read it: who is
 * reset while it still sends may never see the response. */
enum { THROW_AWAY = 16 * 1024 * 1024 };

enum {
	/* What comes with one read of a body. */
	READ_CHUNKS = 64 * 1024,
	READ_BODY = 1024 * 1024,
	/* What is answered before other connections have their turn. */
	REQUESTS_AT_ONCE = 32,
};

bool http_h1_begin(struct http_connection *c)
{
	c->h1 = h1_new(c->server->config.limits.header_list);
	return c->h1 != NULL;
}

bool http_h1_is_idle(const struct http_connection *c)
{
	return !c->current && !c->source.next && c->pending.len == 0 && h1_is_between(c->h1);
}

/* ---- responses */

static bool has_no_body(const struct http_response *response)
{
	return response->status < 200 || response->status == 204 || response->status == 304;
}

/* Takes the body, without a source; length is what the head says. False when the connection cannot go
 * on. */
static bool send_response(struct http_connection *c, struct http_response *response,
                          uint64_t length, bool is_head, bool keep_alive)
{
	struct buffer head = BUFFER_INIT;
	struct slice pieces[2];
	bool sent = false;

	h1_write_head(c->h1, &head, response->status, response->headers, response->n_headers,
	              length, keep_alive);
	if (head.failed || response->body.failed)
		goto out;
	pieces[0] = buffer_slice(&head);
	pieces[1] = buffer_slice(&response->body);
	sent = http_connection_write(
		c, pieces, is_head || has_no_body(response) || response->body.len == 0 ? 1 : 2);
out:
	buffer_fini(&head);
	buffer_fini(&response->body);
	return sent;
}

static void end_response(struct http_connection *c, bool sent, bool keep_alive)
{
	if (!sent)
		http_connection_close(c);
	else if (!keep_alive)
		http_connection_finish(c, THROW_AWAY);
}

/* ---- a body that is made while it is sent */

/* Takes the piece. What is cut in chunks needs to be told where it ends. */
static bool send_piece(struct http_connection *c, struct buffer *piece, bool last)
{
	struct slice pieces[4];
	char size[24];
	size_t n = 0;
	bool sent = !piece->failed;

	if (piece->len > 0) {
		snprintf(size, sizeof size, "%zx\r\n", piece->len);
		if (c->chunked)
			pieces[n++] = slice_from_string(size);
		pieces[n++] = buffer_slice(piece);
		if (c->chunked)
			pieces[n++] = SLICE_LITERAL("\r\n");
	}
	if (last && c->chunked)
		pieces[n++] = SLICE_LITERAL("0\r\n\r\n");
	if (sent && n > 0)
		sent = http_connection_write(c, pieces, n);
	buffer_fini(piece);
	return sent;
}

/* The transport has taken the last piece; everybody else has a turn before the next. */
static void send_next(struct http_connection *c)
{
	struct buffer piece = BUFFER_INIT;
	int r;

	if (stream_unsent(c->stream) > 0)
		return;
	r = c->source.next(c->source.arg, &piece);
	if (r < 0) {
		buffer_fini(&piece);
		http_connection_close(c);
	} else if (r > 0) {
		if (!send_piece(c, &piece, false))
			http_connection_close(c);
		else if (stream_unsent(c->stream) == 0) /* otherwise it will be told */
			http_server_go_on_later(c->server, c);
	} else {
		http_source_close(&c->source);
		end_response(c, send_piece(c, &piece, true), c->keep_alive);
		http_h1_resume(c);
	}
}

/* HTTP/1.0 knows no chunks: there the end of the connection is that of the body. */
static void begin_source(struct http_connection *c, struct http_response *response, bool keep_alive)
{
	struct buffer head = BUFFER_INIT;
	struct slice piece;
	bool sent;

	c->source = response->source;
	c->chunked = h1_takes_chunks(c->h1);
	c->keep_alive = keep_alive && c->chunked;
	h1_write_head(c->h1, &head, response->status, response->headers, response->n_headers,
	              H1_LENGTH_UNKNOWN, c->keep_alive);
	piece = buffer_slice(&head);
	sent = !head.failed && http_connection_write(c, &piece, 1) &&
	       send_piece(c, &response->body, false);
	buffer_fini(&head);
	buffer_fini(&response->body);
	if (sent)
		http_server_go_on_later(c->server, c);
	else
		http_connection_close(c);
}

/* Whether what is left of the request is little, and known to be. */
static bool is_worth_reading(const struct http_exchange *x)
{
	return x->request.has_length && x->request.length - x->body_bytes <= WORTH_READING &&
	       (!h1_expects_continue(x->connection->h1) || x->request.length == 0);
}

void http_h1_respond(struct http_exchange *x, struct http_response *response)
{
	struct http_connection *c = x->connection;
	bool is_head = slice_equal(x->request.method, SLICE_LITERAL("HEAD"));
	bool keep_alive = h1_keep_alive(c->h1) && !c->server->config.no_keep_alive &&
	                  !response->close && !c->draining &&
	                  (x->state == EXCHANGE_WAITING || is_worth_reading(x));

	uint64_t length = response->source.next ? H1_LENGTH_UNKNOWN : response->body.len;

	if (is_head || has_no_body(response))
		http_source_close(&response->source);
	c->current = NULL;
	list_remove(&x->link);
	c->skipping = x->state == EXCHANGE_READING;
	if (response->source.next)
		begin_source(c, response, keep_alive);
	else
		end_response(c, send_response(c, response, length, is_head, keep_alive),
		             keep_alive);
	h1_forget(c->h1);
	free(x);
	if (!c->source.next)
		http_h1_resume(c);
}

void http_h1_refuse(struct http_connection *c, int status)
{
	struct http_server *s = c->server;
	struct http_response response = {.status = status};
	static const struct http_header plain = {SLICE_LITERAL("content-type"),
	                                         SLICE_LITERAL("text/plain"), false};

	if (c->current)
		http_exchange_lose(c->current);
	if (c->doomed)
		return;
	if (s->handler->on_bad_request) {
		s->handler->on_bad_request(s->arg, status, &response);
	} else {
		response.headers = &plain;
		response.n_headers = 1;
		buffer_printf(&response.body, "%d %s\n", status, h1_reason(status));
	}
	if (send_response(c, &response, response.body.len, false, false))
		http_connection_finish(c, THROW_AWAY);
	else
		http_connection_close(c);
}

/* ---- requests */

static void on_head(struct http_connection *c)
{
	struct http_server *s = c->server;
	struct http_exchange *x = http_exchange_new(c, h1_request(c->h1), NULL);
	struct buffer go_on = BUFFER_INIT;
	struct slice piece;

	if (!x) {
		http_connection_close(c);
		return;
	}
	c->current = x;
	c->had_request = true;
	s->handler->on_request(s->arg, x);
	if (!c->current || !h1_expects_continue(c->h1))
		return;
	h1_write_continue(&go_on);
	piece = buffer_slice(&go_on);
	if (go_on.failed || !http_connection_write(c, &piece, 1))
		http_connection_close(c);
	buffer_fini(&go_on);
}

static void on_error(struct http_connection *c)
{
	int status = h1_error_status(c->h1);

	if (status == 431)
		http_connection_strike(c, HTTP_LIMIT_HEADER_LIST, NULL);
	else if (status != 503)
		http_connection_strike(c, HTTP_LIMIT_PROTOCOL, NULL);
	http_h1_refuse(c, status);
}

/* Whether bytes can be taken now: they belong to a request that is being read, or to the next one
 * and nothing of the last one is left to do. */
static bool can_take(const struct http_connection *c)
{
	if (c->phase != HTTP_1 || c->doomed)
		return false;
	return c->current ? c->current->state == EXCHANGE_READING
	                  : !c->source.next && stream_unsent(c->stream) == 0;
}

static void take(struct http_connection *c, struct slice *bytes)
{
	unsigned requests = 0;
	struct slice part;

	while (can_take(c)) {
		if (requests == REQUESTS_AT_ONCE && !c->current && bytes->len > 0) {
			http_server_go_on_later(c->server, c);
			return;
		}
		switch (h1_next(c->h1, bytes, &part)) {
		case H1_MORE:
			return;
		case H1_HEAD:
			requests++;
			on_head(c);
			break;
		case H1_BODY:
			if (c->current) /* it may have been answered already */
				http_exchange_receive(c->current, part);
			break;
		case H1_END:
			c->skipping = false;
			if (c->current)
				http_exchange_complete(c->current);
			break;
		case H1_ERROR:
			on_error(c);
			break;
		}
	}
}

static size_t read_size(const struct http_connection *c)
{
	const struct http_exchange *x = c->current;
	uint64_t left;

	if (!x || x->state != EXCHANGE_READING)
		return HTTP_READ_HEADS;
	if (!x->request.has_length)
		return READ_CHUNKS;
	left = x->request.length - x->body_bytes;
	return left < READ_BODY ? (size_t)left + HTTP_READ_HEADS : READ_BODY;
}

/* Takes what can be taken and keeps the rest. */
static void feed(struct http_connection *c, struct slice bytes)
{
	struct buffer kept = c->pending;
	struct slice rest = bytes;

	c->feeding = true;
	c->pending = (struct buffer)BUFFER_INIT;
	if (kept.len > 0) {
		buffer_append_slice(&kept, bytes);
		rest = buffer_slice(&kept);
	}
	if (kept.failed)
		http_connection_close(c);
	else
		take(c, &rest);
	c->feeding = false;
	if (c->phase == HTTP_1 && !c->doomed) {
		buffer_append_slice(&c->pending, rest);
		stream_set_read_size(c->stream, read_size(c));
		if (c->pending.failed)
			http_connection_close(c);
		else
			stream_pause(c->stream, c->pending.len > 0);
	}
	buffer_fini(&kept);
}

void http_h1_receive(struct http_connection *c, struct slice bytes)
{
	feed(c, bytes);
}

void http_h1_resume(struct http_connection *c)
{
	if (c->source.next && c->phase == HTTP_1 && !c->doomed)
		send_next(c);
	else if (!c->feeding)
		feed(c, slice_of(NULL, 0));
}
