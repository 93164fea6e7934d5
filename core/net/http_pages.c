/* Happy path: on_accept -> on_data -> answer -> (keep-alive) on_data ...
 * Fails: not HTTP, a body, a head that is too long (answered, closed) · a head that is not complete
 * or a response that is not taken in time (closed) · too many connections at once (the newest are
 * closed unanswered: slow readers must not keep the rest of weir from being watched for long). */
#include "core/net/http_pages.h"

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/loop/timer.h"
#include "core/net/h1.h"
#include "core/net/tcp.h"

#include <errno.h>
#include <stdlib.h>

/* Request line and headers together, against a peer that sends headers for ever. */
enum { HEAD_LIMIT = 8 * 1024 };

static const struct page_limits default_limits = {.connections = 64,
                                                  .patience_ns = 30 * NS_PER_S,
                                                  .lingering_ns = 2 * NS_PER_S};

struct connection {
	struct list link;
	struct http_pages *server;
	struct tcp *tcp;
	struct h1 *h1;
	struct timer *patience;
	bool finishing; /* the last response is on its way */
	bool ended;     /* the peer asks nothing more, but may still read */
};

struct http_pages {
	struct loop *loop;
	page_handler handler;
	void *arg;
	struct page_limits limits;
	struct tcp_listener *listener;
	struct list connections;
	unsigned open; /* connections whose memory is not yet free */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static void maybe_closed(struct http_pages *s)
{
	void (*closed)(void *arg) = s->closed;
	void *arg = s->closed_arg;

	if (!s->closing || s->open > 0)
		return;
	free(s);
	closed(arg);
}

static void on_freed(void *arg)
{
	struct connection *c = arg;
	struct http_pages *s = c->server;

	h1_free(c->h1);
	free(c);
	s->open--;
	maybe_closed(s);
}

static void drop(struct connection *c)
{
	if (list_is_empty(&c->link)) /* dropped already */
		return;
	list_remove(&c->link);
	timer_free(c->patience);
	tcp_free(c->tcp, on_freed, c);
}

static void on_impatient(void *arg)
{
	drop(arg);
}

static void wait_for_peer(struct connection *c)
{
	timer_start(c->patience, c->server->limits.patience_ns, 0);
}

static void finish(struct connection *c)
{
	const struct page_limits *limits = &c->server->limits;

	c->finishing = true;
	tcp_finish(c->tcp);
	timer_start(c->patience,
	            tcp_unsent(c->tcp) > 0 ? limits->patience_ns : limits->lingering_ns, 0);
}

/* Sends head and body; false when the connection cannot go on. */
static bool send_response(struct connection *c, struct page_response *response, bool is_head,
                          bool keep_alive)
{
	struct buffer head = BUFFER_INIT;
	struct http_header headers[2];
	size_t n_headers = 0;
	struct slice pieces[2];
	bool sent = false;

	if (response->body.failed) {
		buffer_fini(&response->body);
		response->status = 503;
		response->content_type = "text/plain";
		response->body = (struct buffer)BUFFER_INIT;
	}
	if (response->content_type)
		headers[n_headers++] =
			(struct http_header){SLICE_LITERAL("Content-Type"),
		                             slice_from_string(response->content_type), false};
	if (response->status == 405)
		headers[n_headers++] = (struct http_header){SLICE_LITERAL("Allow"),
		                                            SLICE_LITERAL("GET, HEAD"), false};
	h1_write_head(c->h1, &head, response->status, headers, n_headers, response->body.len,
	              keep_alive);
	if (head.failed)
		goto out;
	pieces[0] = buffer_slice(&head);
	pieces[1] = buffer_slice(&response->body);
	sent = tcp_write(c->tcp, pieces, is_head || response->body.len == 0 ? 1 : 2);
out:
	buffer_fini(&head);
	buffer_fini(&response->body);
	return sent;
}

static bool send_status(struct connection *c, int status, bool is_head, bool keep_alive)
{
	struct page_response response = {.status = status, .content_type = "text/plain"};

	buffer_printf(&response.body, "%d %s\n", status, h1_reason(status));
	return send_response(c, &response, is_head, keep_alive);
}

/* Answers the request that is complete; false when the connection cannot go on. */
static bool answer(struct connection *c, const struct http_request *request, bool keep_alive)
{
	struct page_request asked = {request->method, request->path, request->query};
	struct page_response response = {.status = 200, .content_type = "text/plain"};
	bool is_head = slice_equal(request->method, SLICE_LITERAL("HEAD"));

	if (!is_head && !slice_equal(request->method, SLICE_LITERAL("GET")))
		return send_status(c, 405, false, keep_alive);
	if (!request->has_length || request->length > 0)
		return send_status(c, 413, false, keep_alive);
	c->server->handler(c->server->arg, &asked, &response);
	return send_response(c, &response, is_head, keep_alive);
}

/* The head is all there is of a request; false when the connection cannot go on. */
static bool on_head(struct connection *c)
{
	const struct http_request *request = h1_request(c->h1);
	bool has_body = !request->has_length || request->length > 0;
	/* Responses are not piled up for a peer that asks without reading. */
	bool keep_alive = h1_keep_alive(c->h1) && !has_body && tcp_unsent(c->tcp) == 0;

	if (!answer(c, request, keep_alive))
		return false;
	h1_forget(c->h1);
	if (!keep_alive)
		finish(c);
	else
		wait_for_peer(c);
	return true;
}

static void on_data(void *arg, struct slice bytes)
{
	struct connection *c = arg;
	enum h1_event event = H1_HEAD;
	struct slice part;
	bool ok = true;

	while (ok && !c->finishing && event != H1_MORE) {
		event = h1_next(c->h1, &bytes, &part);
		if (event == H1_HEAD) {
			ok = on_head(c);
		} else if (event == H1_ERROR) {
			ok = send_status(c, h1_error_status(c->h1), false, false);
			if (ok)
				finish(c);
		}
	}
	if (!ok)
		drop(c);
}

static void on_drained(void *arg)
{
	struct connection *c = arg;

	if (c->ended)
		drop(c);
	else
		wait_for_peer(c);
}

static void on_end(void *arg, const struct error *error)
{
	struct connection *c = arg;

	if (error || tcp_unsent(c->tcp) == 0) {
		drop(c);
		return;
	}
	c->ended = true;
	wait_for_peer(c);
}

static const struct tcp_events connection_events = {.on_data = on_data,
                                                    .on_drained = on_drained,
                                                    .on_end = on_end};

static void on_accept(void *arg, struct tcp *tcp)
{
	struct http_pages *s = arg;
	struct connection *c = s->open < s->limits.connections ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		tcp_free(tcp, NULL, NULL);
		return;
	}
	c->server = s;
	c->tcp = tcp;
	c->h1 = h1_new(HEAD_LIMIT);
	c->patience = timer_new(s->loop, on_impatient, c);
	list_push(&s->connections, &c->link);
	s->open++;
	if (!c->h1 || !c->patience) {
		drop(c);
		return;
	}
	tcp_serve(tcp, &connection_events, c);
	wait_for_peer(c);
}

int http_pages_new(struct loop *loop, const struct endpoint *endpoint, page_handler handler,
                   void *arg, struct http_pages **ret, struct error *error)
{
	struct http_pages *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return error_no_memory(error);
	s->loop = loop;
	s->handler = handler;
	s->arg = arg;
	s->limits = default_limits;
	list_init(&s->connections);
	r = tcp_listen(loop, endpoint, on_accept, s, &s->listener, error);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void http_pages_limit(struct http_pages *s, const struct page_limits *limits)
{
	s->limits = *limits;
}

uint16_t http_pages_port(const struct http_pages *s)
{
	return tcp_listener_port(s->listener);
}

void http_pages_close(struct http_pages *s, void (*closed)(void *arg), void *arg)
{
	struct connection *c, *following;

	s->closing = true;
	s->closed = closed;
	s->closed_arg = arg;
	tcp_listener_free(s->listener);
	s->listener = NULL;
	LIST_FOR_EACH_SAFE(c, following, &s->connections, link)
		drop(c);
	maybe_closed(s);
}
