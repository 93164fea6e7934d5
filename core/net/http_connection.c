/* Happy path: http_connection_new -> (TLS handshake) -> the first bytes or ALPN choose a version ->
 * bytes go to it -> the peer closes, or we finish: our side ends, the peer's end is waited for.
 * Fails: no TLS · a version that is not spoken · the connection breaks · a limit strikes.
 *
 * Callbacks of handlers may come back to a connection, also to close it. So everything that works on
 * one stands between enter and leave, and only leave frees it. */
#include "core/net/http_internal.h"

#include <stdlib.h>

static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, 3.4 */

/* The first byte of a TLS ClientHello's record (RFC 8446, 5.1). */
enum { TLS_HANDSHAKE = 22 };

/* What is read and thrown away after a connection was given up for what it sent. */
enum { THROW_AWAY = 64 * 1024 };

static void on_freed(void *arg)
{
	struct http_connection *c = arg;
	struct http_server *s = c->server;

	h1_free(c->h1);
	h2_server_free(c->h2);
	buffer_fini(&c->pending);
	free(c);
	s->n_allocated--;
	http_server_settle(s);
}

static void destroy(struct http_connection *c)
{
	struct http_server *s = c->server;

	c->busy++; /* what is told now may come back */
	http_source_close(&c->source);
	http_exchange_lose_all(c);
	list_remove(&c->later);
	timer_free(c->timer);
	http_server_settle(s);
	if (c->stream)
		stream_free(c->stream, on_freed, c);
	else
		on_freed(c);
}

void http_connection_enter(struct http_connection *c)
{
	c->busy++;
}

static bool is_done(const struct http_connection *c)
{
	if (!c->draining || !list_is_empty(&c->exchanges) || c->pending.len > 0)
		return false;
	/* Requests that are on their way must not be left unanswered: not every client that repeats
	 * one does so correctly. */
	if (c->phase == HTTP_2)
		return c->warned || !h2_server_warning_is_out(c->h2);
	return c->phase == HTTP_UNKNOWN || (c->phase == HTTP_1 && http_h1_is_idle(c));
}

static void settle(struct http_connection *c)
{
	if (c->phase == HTTP_2 && h2_server_is_finished(c->h2))
		http_connection_finish(c, THROW_AWAY);
	else if (is_done(c) && c->phase == HTTP_2)
		http_h2_end(c, HTTP_H2_NO_ERROR);
	else if (is_done(c))
		http_connection_finish(c, THROW_AWAY);
	if (c->ended && stream_unsent(c->stream) == 0)
		http_connection_close(c);
	if (!c->doomed)
		http_patience_note(c);
}

void http_connection_leave(struct http_connection *c)
{
	if (c->busy == 1 && !c->doomed)
		settle(c);
	if (--c->busy == 0 && c->doomed)
		destroy(c);
}

void http_connection_close(struct http_connection *c)
{
	if (c->doomed)
		return;
	c->doomed = true;
	list_remove(&c->link);
	c->server->n_connections--;
}

void http_connection_finish(struct http_connection *c, size_t to_throw_away)
{
	if (c->phase == HTTP_LINGERING || c->doomed)
		return;
	if (c->phase == HTTP_HANDSHAKE) {
		http_connection_close(c);
		return;
	}
	c->phase = HTTP_LINGERING;
	c->to_throw_away = to_throw_away;
	http_source_close(&c->source);
	http_exchange_lose_all(c);
	if (c->ended)
		return;
	stream_pause(c->stream, false);
	stream_finish(c->stream);
}

void http_connection_drain(struct http_connection *c)
{
	if (c->draining)
		return;
	c->draining = true;
	if (c->phase == HTTP_HANDSHAKE)
		http_connection_close(c);
	else if (c->phase == HTTP_2)
		http_h2_drain(c);
}

void http_connection_strike(struct http_connection *c, enum http_limit l, const char *detail)
{
	uint64_t now = loop_now_ns(c->server->loop);

	if (now - c->told_at > LOG_WINDOW_NS) {
		c->told_at = now;
		c->struck = 0;
	}
	if (c->struck & 1U << l) { /* the lines that are not for this one are left to others */
		c->server->struck[l]++;
		return;
	}
	c->struck |= 1U << l;
	http_server_strike(c->server, l, stream_peer(c->stream), detail);
}

bool http_connection_write(struct http_connection *c, const struct slice *pieces, size_t n)
{
	return !c->ended && !c->doomed && stream_write(c->stream, pieces, n);
}

/* ---- which version */

static void begin_version(struct http_connection *c, enum http_phase version)
{
	c->phase = version;
	c->head_since = version == HTTP_1 ? c->opened : 0;
	if (!(version == HTTP_2 ? http_h2_begin(c) : http_h1_begin(c)))
		http_connection_close(c);
}

static void refuse_tls(struct http_connection *c)
{
	http_connection_strike(c, HTTP_LIMIT_PROTOCOL,
	                       "the peer speaks TLS, and this port has no tls block");
	http_connection_close(c);
}

/* To somebody with HTTP/1.1 where only HTTP/2 is spoken. */
static void refuse_version(struct http_connection *c)
{
	static const char answer[] =
		"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\n"
		"Content-Length: 36\r\nConnection: close\r\n\r\nonly HTTP/2 is spoken on this "
		"port.\n";
	struct slice piece = SLICE_LITERAL(answer);

	http_connection_strike(c, HTTP_LIMIT_PROTOCOL, "only HTTP/2 is spoken on this port");
	if (http_connection_write(c, &piece, 1))
		http_connection_finish(c, THROW_AWAY);
	else
		http_connection_close(c);
}

/* The first bytes of a plain connection: HTTP/2's preface, or not. */
static void tell_version(struct http_connection *c, struct slice bytes)
{
	const struct http_server_config *config = &c->server->config;
	size_t n = 0;
	struct slice begun;

	if (c->magic == 0 && bytes.data[0] == TLS_HANDSHAKE) {
		refuse_tls(c);
		return;
	}
	while (config->http2 && n < bytes.len && c->magic + n < sizeof magic - 1 &&
	       bytes.data[n] == (uint8_t)magic[c->magic + n])
		n++;
	begun = slice_of(magic, c->magic); /* what came before is known by heart */
	if (config->http2 && c->magic + n == sizeof magic - 1) {
		begin_version(c, HTTP_2);
		if (!c->doomed && begun.len > 0)
			http_h2_receive(c, begun);
		if (!c->doomed && c->phase == HTTP_2)
			http_h2_receive(c, bytes);
	} else if (config->http2 && n == bytes.len) {
		c->magic = (uint8_t)(c->magic + n);
	} else if (config->http1) {
		begin_version(c, HTTP_1);
		if (!c->doomed && begun.len > 0)
			http_h1_receive(c, begun);
		if (!c->doomed && c->phase == HTTP_1)
			http_h1_receive(c, bytes);
	} else {
		refuse_version(c);
	}
}

/* ---- what the stream tells */

static void on_open(void *arg)
{
	struct http_connection *c = arg;
	const struct http_server_config *config = &c->server->config;
	bool is_h2 = strcmp(stream_alpn(c->stream), "h2") == 0;

	http_connection_enter(c);
	c->opened = loop_now_ns(c->server->loop);
	begin_version(c, is_h2 || !config->http1 ? HTTP_2 : HTTP_1);
	http_connection_leave(c);
}

static void throw_away(struct http_connection *c, struct slice bytes)
{
	if (bytes.len > c->to_throw_away)
		http_connection_close(c);
	else
		c->to_throw_away -= bytes.len;
}

static void on_data(void *arg, struct slice bytes)
{
	struct http_connection *c = arg;

	http_connection_enter(c);
	c->received = loop_now_ns(c->server->loop);
	if (c->phase == HTTP_UNKNOWN)
		tell_version(c, bytes);
	else if (c->phase == HTTP_1)
		http_h1_receive(c, bytes);
	else if (c->phase == HTTP_2)
		http_h2_receive(c, bytes);
	else
		throw_away(c, bytes);
	http_connection_leave(c);
}

static void on_drained(void *arg)
{
	struct http_connection *c = arg;

	http_connection_enter(c);
	c->unsent_since = 0;
	if (c->phase == HTTP_2)
		http_h2_send(c);
	else if (c->phase == HTTP_1)
		http_h1_resume(c);
	http_connection_leave(c);
}

/* The peer may have ended only its own side and still read; but then it gets only what is on its way
 * already. As with other servers an end is how a client says that it does not wait any longer. */
static void on_end(void *arg, const struct error *error)
{
	struct http_connection *c = arg;

	http_connection_enter(c);
	if (error && c->phase == HTTP_HANDSHAKE)
		http_connection_strike(c, HTTP_LIMIT_HANDSHAKE, error->message);
	c->ended = true;
	if (error)
		http_connection_close(c);
	else
		http_connection_finish(c, 0);
	http_connection_leave(c);
}

static const struct tcp_events stream_events = {.on_open = on_open,
                                                .on_data = on_data,
                                                .on_drained = on_drained,
                                                .on_end = on_end};

/* ---- its beginning */

static void refresh_certificates(struct http_server *s)
{
	struct error error = ERROR_INIT;
	int r = tls_context_refresh(s->config.tls, &error);

	if (!s->log)
		return;
	if (r < 0)
		log_error(s->log,
		          "The certificate files have changed and cannot be used, the old ones "
		          "stay in "
		          "use: %s",
		          error.message);
	else if (r > 0)
		log_info(s->log, "The certificate files have changed and are in use.");
}

static int serve(struct http_connection *c, struct tcp *tcp)
{
	static const char *const h1_only[] = {"http/1.1", NULL}, *const h2_only[] = {"h2", NULL},
				 *const both[] = {"h2", "http/1.1", NULL};
	const struct http_server_config *config = &c->server->config;
	const char *const *alpn = !config->http2 ? h1_only : config->http1 ? both : h2_only;

	if (config->tls)
		refresh_certificates(c->server);
	return stream_serve(tcp, config->tls, alpn, &stream_events, c, &c->stream, NULL);
}

void http_connection_new(struct http_server *s, struct tcp *tcp)
{
	struct http_connection *c = calloc(1, sizeof *c);
	struct timer *timer = c ? timer_new(s->loop, http_patience_on_timer, c) : NULL;

	if (!timer) {
		free(c);
		tcp_free(tcp, NULL, NULL);
		return;
	}
	c->server = s;
	c->timer = timer;
	c->phase = s->config.tls ? HTTP_HANDSHAKE : HTTP_UNKNOWN;
	list_init(&c->exchanges);
	list_init(&c->later);
	list_push(&s->connections, &c->link);
	s->n_connections++;
	s->n_allocated++;
	http_connection_enter(c);
	http_patience_begin(c);
	if (serve(c, tcp) < 0)
		http_connection_close(c);
	else
		stream_set_read_size(c->stream, HTTP_READ_HEADS);
	http_connection_leave(c);
}
