/* Happy path of a stream: on_begin_headers -> on_header ... -> headers_complete -> on_data_chunk ... ->
 * request_end -> h2_server_respond -> (HEADERS, DATA, trailers are sent) -> on_stream_close ->
 * release_closed. Fails: a head that is refused never becomes a stream here · reset by either side,
 * anywhere -> on_stream_close · a limit of h2_guard strikes, or HTTP/2's rules are broken: GOAWAY, and
 * the connection ends.
 *
 * Streams that nghttp2 has forgotten are told of, and freed, when nghttp2 has returned and what refers
 * to their bytes has been written: release_closed(). */
#include "core/net/h2_server.h"

#include "core/net/h2_memory.h"
#include "core/net/h2_server_internal.h"

#include <errno.h>
#include <stdio.h>

enum {
	/* A stream's window: what a fast sender fills in the time of a long way there and back. */
	STREAM_WINDOW = 1024 * 1024,
	MOST_WINDOW = INT32_MAX,
	SETTINGS_BYTES = 64, /* our SETTINGS frame */
};

/* ---- limits */

void h2_server_strike(struct h2_server *h, enum http_limit l)
{
	h->events->on_limit(h->arg, l);
}

static const char *sentence(enum http_limit l)
{
	switch (l) {
	case HTTP_LIMIT_RESETS:
		return "the client makes too many streams be reset";
	case HTTP_LIMIT_CONTINUATIONS:
		return "the client sends too many CONTINUATION frames";
	case HTTP_LIMIT_SETTINGS:
		return "the client sends too many settings, or does not read the answers";
	case HTTP_LIMIT_PINGS:
		return "the client pings too often";
	default:
		return "the client sends too many frames that carry nothing";
	}
}

void h2_server_strike_down(struct h2_server *h, enum http_limit l)
{
	static const uint8_t pings[] = "too_many_pings"; /* which gRPC's clients know */

	if (h->struck)
		return;
	h->struck = true;
	snprintf(h->s.reason, sizeof h->s.reason, "%s", sentence(l));
	nghttp2_submit_goaway(h->s.session, NGHTTP2_FLAG_NONE,
	                      nghttp2_session_get_last_proc_stream_id(h->s.session),
	                      NGHTTP2_ENHANCE_YOUR_CALM, pings,
	                      l == HTTP_LIMIT_PINGS ? sizeof pings - 1 : 0);
	h2_server_strike(h, l);
}

void h2_server_provoked(struct h2_server *h)
{
	if (!h2_guard_reset(&h->guard))
		h2_server_strike_down(h, HTTP_LIMIT_RESETS);
}

void h2_server_note(struct h2_server *h, int code)
{
	if (code == NGHTTP2_ERR_NOMEM)
		h->no_memory = true;
}

/* What a callback of nghttp2 returns. */
static int proceed(const struct h2_server *h)
{
	return h->struck || h->no_memory ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- credit */

/* Of the connection's window so much is withheld as is unfinished, as far as it reaches. The bytes of
 * requests that are still coming are given back at once, so these never wait for each other. */
static void give_credit(struct h2_server *h)
{
	uint64_t most = h->unfinished < h->limits->window ? h->unfinished : h->limits->window;
	uint64_t n = h->withheld > most ? h->withheld - most : 0;

	h->withheld -= n;
	if (n > 0)
		h2_server_note(h, nghttp2_session_consume_connection(h->s.session, n));
}

void h2_server_set_unfinished(struct h2_server *h, uint64_t bytes)
{
	h->unfinished = bytes;
	give_credit(h);
}

/* ---- what comes */

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *arg)
{
	struct h2_server_stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct h2_server *h = arg;

	h->withheld += len;
	give_credit(h);
	if (!(flags & NGHTTP2_FLAG_END_STREAM))
		h2_server_note(h, nghttp2_session_consume_stream(session, id, len));
	if (s && !s->over)
		h->events->on_data(h->arg, s, slice_of(data, len));
	return proceed(h);
}

static void request_end(struct h2_server *h, struct h2_server_stream *s)
{
	s->request_ended = true;
	if (!s->over)
		h->events->on_end(h->arg, s);
}

/* A reset of a stream that we know has cost a request; any other carries nothing. */
static void on_peer_reset(struct h2_server *h, const struct h2_server_stream *s)
{
	if (s)
		h2_server_provoked(h);
	else if (!h2_guard_frame(&h->guard))
		h2_server_strike_down(h, HTTP_LIMIT_FRAMES);
}

/* What the ping behind a warning carries: its answer says that the peer has read the warning. */
static const uint8_t behind_warning[8] = "goodbye";

static void on_ping(struct h2_server *h, const nghttp2_ping *ping)
{
	if (!(ping->hd.flags & NGHTTP2_FLAG_ACK)) {
		if (!h2_guard_ping(&h->guard, h->n_streams > 0))
			h2_server_strike_down(h, HTTP_LIMIT_PINGS);
	} else if (memcmp(ping->opaque_data, behind_warning, sizeof behind_warning) == 0) {
		h->warning_is_out = false;
	} else {
		h->ping_is_out = false;
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_server_stream *s;
	struct h2_server *h = arg;

	if (frame->hd.type == NGHTTP2_HEADERS)
		h2_server_headers_complete(h, frame);
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
			request_end(h, s);
		break;
	case NGHTTP2_RST_STREAM:
		on_peer_reset(h, s);
		break;
	case NGHTTP2_PING:
		on_ping(h, &frame->ping);
		break;
	case NGHTTP2_GOAWAY:
		h->peer_going_away = true;
		break;
	default:
		break;
	}
	return proceed(h);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct h2_server_stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct h2_server *h = arg;

	(void)code;
	if (!s)
		return 0;
	nghttp2_session_set_stream_user_data(session, id, NULL);
	h2_server_stream_left(s);
	s->over = s->closed = true;
	h->n_streams--;
	list_remove(&s->link);
	list_push(&h->closed, &s->link);
	return 0;
}

/* ---- what goes */

static void on_sent_end(struct h2_server *h, int32_t id, struct h2_server_stream *s)
{
	if (s) {
		s->answered = true;
		h2_server_stream_left(s);
	}
	if (nghttp2_session_get_stream_remote_close(h->s.session, id) == 0)
		h2_server_note(h, nghttp2_submit_rst_stream(h->s.session, NGHTTP2_FLAG_NONE, id,
		                                            NGHTTP2_NO_ERROR));
}

/* Those that our owner or a limit wanted have been counted where that was said. */
static void on_sent_reset(struct h2_server *h, const struct h2_server_stream *s, uint32_t code)
{
	if (code == NGHTTP2_NO_ERROR || code == NGHTTP2_REFUSED_STREAM || (s && s->reset))
		return;
	h2_server_strike(h, HTTP_LIMIT_PROTOCOL);
	h2_server_provoked(h);
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	int32_t id = frame->hd.stream_id;
	struct h2_server_stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct h2_server *h = arg;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		h2_guard_sent(&h->guard);
		if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			on_sent_end(h, id, s);
		break;
	case NGHTTP2_RST_STREAM:
		on_sent_reset(h, s, frame->rst_stream.error_code);
		break;
	default:
		break;
	}
	return 0;
}

/* A response that could not be made into a frame. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
	int32_t id = frame->hd.stream_id;
	struct h2_server_stream *s = nghttp2_session_get_stream_user_data(session, id);

	(void)code, (void)arg;
	if (frame->hd.type == NGHTTP2_HEADERS && s)
		h2_server_reset(s, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

/* nghttp2 holds the peer to what is announced with an error of the connection. We refuse single streams,
 * so nghttp2 is told a higher number than the peer. */
static void amend_settings(struct h2_server *h, uint8_t *frame, size_t len)
{
	uint32_t n = (uint32_t)h->limits->streams;

	for (uint8_t *at = frame + 9; at + 6 <= frame + len; at += 6)
		if (at[0] == 0 && at[1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
			for (int i = 0; i < 4; i++)
				at[2 + i] = (uint8_t)(n >> (24 - 8 * i));
}

static int send_settings(struct h2_server *h)
{
	uint8_t frame[SETTINGS_BYTES];
	struct slice piece = {.data = frame};
	const uint8_t *data;
	ssize_t n = nghttp2_session_mem_send(h->s.session, &data);

	if (n < 0)
		return (int)n;
	piece.len = (size_t)n < sizeof frame ? (size_t)n : sizeof frame;
	memcpy(frame, data, piece.len);
	amend_settings(h, frame, piece.len);
	h->settings_sent = true;
	h->s.write_failed = !h->events->write(h->arg, &piece, 1);
	return h->s.write_failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* True when there were any; more may wait to be sent then. */
static bool release_closed(struct h2_server *h)
{
	struct h2_server_stream *s;
	bool any = false;

	while ((s = LIST_FIRST(&h->closed, struct h2_server_stream, link))) {
		any = true;
		list_remove(&s->link);
		h->s.inside = true;
		h->events->on_closed(h->arg, s, s->answered && !h->s.write_failed);
		h->s.inside = false;
		h2_server_stream_free(s);
	}
	return any;
}

/* Gives up: says why, as far as the connection takes it. */
static int failed(struct h2_server *h, int code, struct error *error)
{
	if (h->struck && !h->s.write_failed) {
		code = NGHTTP2_ERR_PROTO;
		h2_session_send(&h->s, true);
	} else if (h->no_memory) {
		code = NGHTTP2_ERR_NOMEM;
	}
	return h2_session_failed(&h->s, code, error);
}

/* nghttp2 has said GOAWAY by itself. */
static bool has_been_ended(const struct h2_server *h)
{
	return h2_session_is_finished(&h->s) &&
	       (h->n_streams > 0 || !(h->going_away || h->peer_going_away));
}

int h2_server_send(struct h2_server *h, struct error *error)
{
	bool again = true;
	int r = 0;

	if (h->s.inside)
		return 0;
	if (!h->settings_sent)
		r = send_settings(h);
	if (h2_server_is_hungry(h))
		h2_server_feed(h);
	while (r == 0 && again) {
		r = h2_session_send(&h->s, false);
		again = release_closed(h) && !h->struck;
	}
	if (r != 0 || proceed(h) != 0)
		return failed(h, r, error);
	if (has_been_ended(h)) {
		h2_server_strike(h, HTTP_LIMIT_PROTOCOL);
		return failed(h, NGHTTP2_ERR_PROTO, error);
	}
	return 0;
}

/* nghttp2 cannot read on. */
static int receive_failed(struct h2_server *h, int code, struct error *error)
{
	if (code == NGHTTP2_ERR_FLOODED)
		h2_server_strike_down(h, HTTP_LIMIT_SETTINGS);
	else if (code == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
		h2_server_strike_down(h, HTTP_LIMIT_CONTINUATIONS);
	else if (code != NGHTTP2_ERR_NOMEM && proceed(h) == 0)
		h2_server_strike(h, HTTP_LIMIT_PROTOCOL);
	return failed(h, code, error);
}

int h2_server_receive(struct h2_server *h, struct slice *bytes, uint64_t now_ns,
                      struct error *error)
{
	enum http_limit limit;
	size_t n;
	bool ok = h2_guard_read(&h->guard, *bytes, now_ns, &n, &limit);
	ssize_t r;

	if (h->struck)
		return failed(h, NGHTTP2_ERR_PROTO, error);
	h->s.inside = true;
	r = nghttp2_session_mem_recv(h->s.session, bytes->data, n);
	h->s.inside = false;
	release_closed(h);
	if (r < 0)
		return receive_failed(h, (int)r, error);
	if (!ok)
		h2_server_strike_down(h, limit);
	bytes->data += n;
	bytes->len -= n;
	return h2_server_send(h, error);
}

/* ---- session */

static int submit_settings(struct h2_server *h)
{
	const struct http_limits *l = h->limits;
	uint64_t window = l->window < MOST_WINDOW ? l->window : MOST_WINDOW;
	uint64_t list = l->header_list < UINT32_MAX ? l->header_list : UINT32_MAX;
	uint64_t streams = l->streams + l->resets + 1;
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
	         streams < INT32_MAX ? (uint32_t)streams : INT32_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
	         (uint32_t)(window < STREAM_WINDOW ? window : STREAM_WINDOW)},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)list},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	int r = nghttp2_submit_settings(h->s.session, NGHTTP2_FLAG_NONE, settings,
	                                sizeof settings / sizeof *settings);

	if (r == 0)
		r = nghttp2_session_set_local_window_size(h->s.session, NGHTTP2_FLAG_NONE, 0,
		                                          (int32_t)window);
	return r;
}

static void set_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, h2_server_on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, h2_server_on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(c, h2_server_on_invalid_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(c, h2_server_on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
}

static void set_options(nghttp2_option *o)
{
	nghttp2_option_set_no_auto_window_update(o, 1);
	/* h2_guard does it, by our limits and on the clock that we are given. */
	nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
	/* Responses are small: what a table would save is less than what it takes. */
	nghttp2_option_set_max_deflate_dynamic_table_size(o, 0);
}

static int make_session(struct h2_server *h)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	int r = h2_session_options(&callbacks, &options);

	if (r != 0)
		return r;
	set_callbacks(callbacks);
	set_options(options);
	r = nghttp2_session_server_new3(&h->s.session, callbacks, h, options, h2_memory_mem(h));
	nghttp2_option_del(options);
	nghttp2_session_callbacks_del(callbacks);
	return r == 0 ? submit_settings(h) : r;
}

int h2_server_new(const struct h2_server_events *events, void *arg,
                  const struct http_limits *limits, struct h2_server **ret, struct error *error)
{
	struct h2_server *h = h2_memory_new(sizeof *h);

	if (!h)
		return error_no_memory(error);
	h->s.write = events->write;
	h->s.unsent = events->unsent;
	h->s.arg = h->arg = arg;
	h->events = events;
	h->limits = limits;
	h2_guard_init(&h->guard, limits);
	list_init(&h->streams);
	list_init(&h->closed);
	if (make_session(h) != 0) {
		h2_server_free(h);
		return error_no_memory(error);
	}
	*ret = h;
	return 0;
}

void h2_server_free(struct h2_server *h)
{
	struct h2_server_stream *s, *following;

	if (!h)
		return;
	LIST_FOR_EACH_SAFE(s, following, &h->streams, link)
		h2_server_stream_free(s);
	LIST_FOR_EACH_SAFE(s, following, &h->closed, link)
		h2_server_stream_free(s);
	if (!h2_memory_has_failed(h))
		nghttp2_session_del(h->s.session);
	http_fields_fini(&h->head);
	h2_memory_free(h);
}

void h2_server_ping(struct h2_server *h)
{
	h->ping_is_out = true;
	h2_server_note(h, nghttp2_submit_ping(h->s.session, NGHTTP2_FLAG_NONE, NULL));
}

bool h2_server_ping_is_out(const struct h2_server *h)
{
	return h->ping_is_out;
}

void h2_server_goaway(struct h2_server *h, uint32_t code, bool final)
{
	nghttp2_session *session = h->s.session;

	if (!final) {
		h->warning_is_out = true;
		h2_server_note(h, nghttp2_submit_shutdown_notice(session));
		h2_server_note(h, nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, behind_warning));
		return;
	}
	h->going_away = true;
	h2_server_note(h, nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
	                                        nghttp2_session_get_last_proc_stream_id(session),
	                                        code, NULL, 0));
}

bool h2_server_warning_is_out(const struct h2_server *h)
{
	return h->warning_is_out;
}

unsigned h2_server_streams(const struct h2_server *h)
{
	return h->n_streams;
}

unsigned h2_server_stalled(const struct h2_server *h)
{
	return h->n_stalled;
}

bool h2_server_is_in_head(const struct h2_server *h)
{
	return h2_guard_is_in_head(&h->guard);
}

bool h2_server_is_finished(const struct h2_server *h)
{
	return h2_session_is_finished(&h->s);
}
