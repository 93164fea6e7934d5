#include "core/net/http_internal.h"

#include <stdlib.h>

struct http_exchange *http_exchange_new(struct http_connection *c,
                                        const struct http_request *request,
                                        struct h2_server_stream *stream)
{
	struct http_exchange *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->connection = c;
	x->stream = stream;
	x->request = *request;
	x->request.peer = stream_peer(c->stream);
	http_patience_expect(x);
	list_push(&c->exchanges, &x->link);
	c->idle_since = c->head_since = 0;
	return x;
}

void http_exchange_receive(struct http_exchange *x, struct slice bytes)
{
	struct http_server *s = x->connection->server;

	x->body_bytes += bytes.len;
	if (s->handler->on_body)
		s->handler->on_body(s->arg, x, bytes);
}

void http_exchange_complete(struct http_exchange *x)
{
	struct http_server *s = x->connection->server;

	x->state = EXCHANGE_WAITING;
	http_patience_hold(x->connection, x->body_bytes);
	if (s->handler->on_body_end)
		s->handler->on_body_end(s->arg, x);
}

/* The handler knows it no longer, or is about to be told. */
static void let_go(struct http_exchange *x)
{
	if (x->state == EXCHANGE_WAITING)
		http_patience_release(x->connection, x->body_bytes);
}

void http_exchange_lose(struct http_exchange *x)
{
	struct http_connection *c = x->connection;
	struct http_server *s = c->server;

	if (c->current == x)
		c->current = NULL;
	list_remove(&x->link);
	let_go(x);
	if (x->state != EXCHANGE_ANSWERING && s->handler->on_gone)
		s->handler->on_gone(s->arg, x);
	free(x);
}

void http_exchange_lose_all(struct http_connection *c)
{
	struct http_exchange *x;

	while ((x = LIST_FIRST(&c->exchanges, struct http_exchange, link)))
		http_exchange_lose(x);
}

void http_source_close(struct http_body_source *source)
{
	struct http_body_source gone = *source;

	*source = (struct http_body_source){0};
	if (gone.closed)
		gone.closed(gone.arg);
}

void http_response_drop(struct http_response *response)
{
	buffer_fini(&response->body);
	http_source_close(&response->source);
}

void http_respond(struct http_exchange *x, struct http_response *response)
{
	struct http_connection *c = x->connection;

	http_connection_enter(c);
	let_go(x);
	if (x->stream)
		http_h2_respond(x, response);
	else
		http_h1_respond(x, response);
	http_connection_leave(c);
}

/* ---- what handlers ask */

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
	return &x->request;
}

bool http_exchange_header(const struct http_exchange *x, const char *name, struct slice *ret)
{
	struct slice wanted = slice_from_string(name);

	for (size_t i = 0; i < x->request.n_headers; i++)
		if (slice_equal(x->request.headers[i].name, wanted)) {
			*ret = x->request.headers[i].value;
			return true;
		}
	return false;
}

void http_exchange_set_data(struct http_exchange *x, void *data)
{
	x->data = data;
}

void *http_exchange_data(const struct http_exchange *x)
{
	return x->data;
}
