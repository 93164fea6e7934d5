/* Happy path of a server's: stream_serve -> handshake -> on_open -> on_data ... -> stream_free. A
 * client's begins with tcp_connect. Fails: the handshake (on_end with what to do about it) · the
 * connection breaks · no memory. */
#include "core/net/stream.h"

#include "core/loop/timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	READ_BYTES = 16 * 1024,
	/* What TLS itself may have to say to a peer that does not read it. Each key update (some 30 bytes,
	 * as often as the peer likes) asks for one back. */
	ANSWERS_UNSENT = 32 * 1024,
};

struct stream {
	struct tcp *tcp;
	struct tls_session *tls; /* NULL: plain */
	struct timer *resume;    /* under TLS: reads what was held back by a pause */
	bool open, closing, ended, paused, server;
	size_t answers; /* bytes that TLS itself has written since everything had been sent */
	const struct tcp_events *events;
	void *arg;
	void (*freed)(void *arg);
	void *freed_arg;
};

static void end(struct stream *s, const struct error *error)
{
	if (s->ended || s->closing)
		return;
	s->ended = true;
	s->events->on_end(s->arg, error);
}

static void end_without_memory(struct stream *s)
{
	struct error error = ERROR_INIT;

	error_no_memory(&error);
	end(s, &error);
}

/* Sends what the TLS session has made. */
static bool flush(struct stream *s)
{
	struct slice out = tls_output(s->tls);
	bool sent = out.len == 0 || tcp_write(s->tcp, &out, 1);

	tls_sent(s->tls);
	return sent;
}

/* Until the handshake is done; false when it is not, or nobody is there any more. */
static bool handshake(struct stream *s)
{
	struct error error = ERROR_INIT;
	int r = tls_handshake(s->tls, &error);

	/* An alert is sent to the peer also when it was we who refused. */
	if (!flush(s) && r >= 0)
		r = error_set(&error, -EPIPE, "connection to %s broke during the TLS handshake",
		              tcp_peer(s->tcp));
	if (r < 0) {
		error.kind = ERROR_RETRYABLE; /* certificates are renewed without us being told */
		end(s, &error);
		return false;
	}
	if (r == 0)
		return false;
	if (!s->open) {
		s->open = true;
		s->events->on_open(s->arg);
	}
	return !s->closing && !s->ended;
}

static void on_tcp_open(void *arg)
{
	struct stream *s = arg;

	if (s->tls) {
		handshake(s);
		return;
	}
	s->open = true;
	s->events->on_open(s->arg);
}

/* Sends what reading has made TLS say. False: it could not, or the peer takes none of it. */
static bool answer(struct stream *s, struct error *error)
{
	size_t len = tls_output(s->tls).len;

	if (!flush(s)) {
		error_no_memory(error);
		return false;
	}
	s->answers = tcp_unsent(s->tcp) ? s->answers + len : 0;
	if (s->answers <= ANSWERS_UNSENT)
		return true;
	error_set_retryable(error, -EPROTO,
	                    "%s asks for one key update of TLS after the other and reads none",
	                    tcp_peer(s->tcp));
	return false;
}

/* Hands on what the session can decrypt, until it is paused or ended. */
static void read_session(struct stream *s)
{
	struct error error = ERROR_INIT;
	uint8_t plain[READ_BYTES];
	int n = 0;

	while (!s->paused && (n = tls_read(s->tls, plain, sizeof plain, &error)) > 0) {
		s->events->on_data(s->arg, slice_of(plain, (size_t)n));
		if (s->closing || s->ended)
			return;
	}
	if (!answer(s, &error))
		end(s, &error);
	else if (s->paused && tls_keep(s->tls) < 0)
		end_without_memory(s);
	else if (n == -EPIPE)
		end(s, NULL);
	else if (n < 0)
		end(s, &error);
}

static void on_tcp_data(void *arg, struct slice bytes)
{
	struct stream *s = arg;

	if (s->ended)
		return;
	if (!s->tls)
		s->events->on_data(s->arg, bytes);
	else if (tls_receive(s->tls, bytes) < 0)
		end_without_memory(s);
	else if (handshake(s))
		read_session(s);
}

/* What the session still holds comes first, then the socket is read again. */
static void on_resume(void *arg)
{
	struct stream *s = arg;

	if (s->paused || s->ended)
		return;
	read_session(s);
	if (!s->closing && !s->ended && !s->paused)
		tcp_pause(s->tcp, false);
}

void stream_pause(struct stream *s, bool paused)
{
	if (s->closing || s->paused == paused)
		return;
	s->paused = paused;
	if (!paused && s->tls && tls_is_readable(s->tls))
		timer_start(s->resume, 0, 0); /* not from within the caller */
	else
		tcp_pause(s->tcp, paused);
}

void stream_set_read_size(struct stream *s, size_t bytes)
{
	tcp_set_read_size(s->tcp, bytes);
}

static void on_tcp_drained(void *arg)
{
	struct stream *s = arg;

	if (s->open && s->events->on_drained)
		s->events->on_drained(s->arg);
}

static void on_tcp_end(void *arg, const struct error *error)
{
	struct stream *s = arg;
	struct error early = ERROR_INIT;

	if (!error && s->tls && !s->open) {
		error_set_retryable(
			&early, -ECONNRESET,
			"%s closed the connection during the TLS handshake; it may not %s",
			tcp_peer(s->tcp),
			s->server ? "trust our certificate or speak TLS"
				  : "speak TLS (tls::insecure: true) or ask for a client "
				    "certificate");
		error = &early;
	}
	end(s, error);
}

static const struct tcp_events stream_tcp_events = {.on_open = on_tcp_open,
                                                    .on_data = on_tcp_data,
                                                    .on_drained = on_tcp_drained,
                                                    .on_end = on_tcp_end};

static void release(struct stream *s)
{
	tls_session_free(s->tls);
	timer_free(s->resume);
	free(s);
}

static void on_tcp_freed(void *arg)
{
	struct stream *s = arg;
	void (*freed)(void *arg) = s->freed;
	void *freed_arg = s->freed_arg;

	release(s);
	if (freed)
		freed(freed_arg);
}

void stream_free(struct stream *s, void (*freed)(void *arg), void *arg)
{
	if (!s) {
		if (freed)
			freed(arg);
		return;
	}
	if (s->tls && s->open && !s->ended && !s->closing) {
		tls_finish(s->tls);
		flush(s);
	}
	s->closing = true;
	s->freed = freed;
	s->freed_arg = arg;
	timer_free(s->resume);
	s->resume = NULL;
	tcp_free(s->tcp, on_tcp_freed, s);
}

static struct stream *stream_new(struct loop *loop, bool tls, const struct tcp_events *events,
                                 void *arg)
{
	struct stream *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->events = events;
	s->arg = arg;
	if (!tls)
		return s;
	s->resume = timer_new(loop, on_resume, s);
	if (s->resume)
		return s;
	free(s);
	return NULL;
}

int stream_connect(struct loop *loop, const struct endpoint *endpoint, struct tls_context *tls,
                   const char *alpn, const struct tcp_events *events, void *arg,
                   struct stream **ret, struct error *error)
{
	struct stream *s = stream_new(loop, tls != NULL, events, arg);
	char where[280];
	int r = 0;

	if (!s)
		return error_no_memory(error);
	snprintf(where, sizeof where, strchr(endpoint->host, ':') ? "[%s]:%u" : "%s:%u",
	         endpoint->host, endpoint->port);
	if (tls)
		r = tls_session_new(tls, endpoint->host, where, alpn, &s->tls, error);
	if (r == 0)
		r = tcp_connect(loop, endpoint, &stream_tcp_events, s, &s->tcp, error);
	if (r < 0) {
		release(s);
		return r;
	}
	*ret = s;
	return 0;
}

int stream_serve(struct tcp *t, struct tls_context *tls, const char *const *alpn,
                 const struct tcp_events *events, void *arg, struct stream **ret,
                 struct error *error)
{
	struct stream *s = stream_new(tcp_loop(t), tls != NULL, events, arg);
	int r = s ? 0 : error_no_memory(error);

	if (r == 0 && tls)
		r = tls_session_accept(tls, tcp_peer(t), alpn, &s->tls, error);
	if (r < 0) {
		if (s)
			release(s);
		tcp_free(t, NULL, NULL);
		return r;
	}
	s->tcp = t;
	s->server = true;
	s->open = !tls;
	tcp_serve(t, &stream_tcp_events, s);
	*ret = s;
	return 0;
}

const char *stream_alpn(const struct stream *s)
{
	return s->tls ? tls_session_alpn(s->tls) : "";
}

bool stream_write(struct stream *s, const struct slice *pieces, size_t n)
{
	if (s->ended || s->closing || !s->open)
		return false;
	if (!s->tls)
		return tcp_write(s->tcp, pieces, n);
	return tls_write(s->tls, pieces, n) == 0 && flush(s);
}

void stream_finish(struct stream *s)
{
	if (s->closing)
		return;
	if (s->tls && s->open) {
		tls_finish(s->tls);
		flush(s);
	}
	tcp_finish(s->tcp);
}

size_t stream_unsent(const struct stream *s)
{
	return tcp_unsent(s->tcp);
}

const char *stream_peer(const struct stream *s)
{
	return tcp_peer(s->tcp);
}
