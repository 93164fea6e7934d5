#include "core/net/h2.h"

#include "core/base/list.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FRAME_HEAD_BYTES = 9,
	/* What is gathered before it goes to the transport in one call. */
	OUT_BYTES = 128 * 1024,
	OUT_PIECES = 64,
	OUT_COPIES = 8 * 1024,
	SMALL_PIECE = 256, /* cheaper to copy than to describe */
	MAX_HEADERS = 64,
	/* Told to the peer. nghttp2 itself refuses blocks of more than 64 KiB. */
	HEADER_LIST_BYTES = 32 * 1024,
	/* A header block that never ends (CVE-2024-28182). */
	MAX_CONTINUATIONS = 8,
	/* A SETTINGS frame of thousands of entries. */
	MAX_SETTINGS = 32,
	/* PING and SETTINGS that want an answer from us and are never read (CVE-2019-9512, -9515). */
	MAX_UNSENT_ANSWERS = 1000,
};

struct h2_stream {
	struct list link;
	struct h2 *h2;
	int32_t id;
	const struct h2_stream_events *events; /* NULL: closed or cancelled for its owner */
	void *arg;
	const struct slice *body;
	size_t offset; /* offset into the first piece that is left */
	size_t left;   /* bytes of the body */
};

struct h2 {
	nghttp2_session *session;
	const struct h2_events *events;
	void *arg;
	struct list streams;
	unsigned n_streams;
	bool inside; /* nghttp2 is running: it may not be entered again */
	bool ready, going_away, paused, write_failed;
	char reason[128]; /* what nghttp2 said last about the peer's mistakes */

	struct slice out[OUT_PIECES];
	size_t n_out, out_bytes, copied;
	uint8_t copies[OUT_COPIES];
};

/* ---- output */

static bool out_flush(struct h2 *h)
{
	if (h->n_out > 0 && !h->write_failed && !h->events->write(h->arg, h->out, h->n_out))
		h->write_failed = true;
	h->n_out = h->out_bytes = h->copied = 0;
	return !h->write_failed;
}

static void out_copy(struct h2 *h, const uint8_t *data, size_t len)
{
	uint8_t *to;
	struct slice *last;

	if (len > OUT_COPIES - h->copied || h->n_out == OUT_PIECES)
		out_flush(h);
	to = h->copies + h->copied;
	last = h->n_out > 0 ? &h->out[h->n_out - 1] : NULL;
	memcpy(to, data, len);
	h->copied += len;
	h->out_bytes += len;
	if (last && last->data + last->len == to)
		last->len += len;
	else
		h->out[h->n_out++] = slice_of(to, len);
}

static void out_refer(struct h2 *h, const uint8_t *data, size_t len)
{
	if (len <= SMALL_PIECE) {
		out_copy(h, data, len);
		return;
	}
	if (h->n_out == OUT_PIECES)
		out_flush(h);
	h->out[h->n_out++] = slice_of(data, len);
	h->out_bytes += len;
}

/* A frame that nghttp2 has made; its bytes are nghttp2's until it is called again. */
static void out_frame(struct h2 *h, const uint8_t *data, size_t len)
{
	if (len <= OUT_COPIES) {
		out_copy(h, data, len);
		return;
	}
	out_refer(h, data, len);
	out_flush(h);
}

static ssize_t on_body_length(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;

	(void)session, (void)id, (void)buf, (void)arg;
	if (!s->events)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (length >= s->left) {
		length = s->left;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)length;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t length, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	struct h2 *h = arg;

	(void)session, (void)frame; /* frames are not padded */
	if (!s->events)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	out_copy(h, head, FRAME_HEAD_BYTES);
	s->left -= length;
	while (length > 0) {
		size_t room = s->body->len - s->offset;
		size_t take = room < length ? room : length;

		if (take > 0) /* an empty piece may be at no address at all */
			out_refer(h, s->body->data + s->offset, take);
		length -= take;
		s->offset += take;
		if (s->offset == s->body->len) {
			s->body++;
			s->offset = 0;
		}
	}
	if (h->out_bytes < OUT_BYTES)
		return 0;
	if (!out_flush(h))
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	h->paused = h->events->unsent(h->arg) > 0;
	return h->paused ? NGHTTP2_ERR_PAUSE : 0;
}

static int session_failed(struct h2 *h, int code, struct error *error)
{
	if (h->write_failed)
		return error_set_retryable(error, -EPIPE, "the connection broke");
	if (code == NGHTTP2_ERR_NOMEM)
		return error_no_memory(error);
	return error_set_retryable(error, -EPROTO, "HTTP/2: %s",
	                           h->reason[0] ? h->reason : nghttp2_strerror(code));
}

int h2_send(struct h2 *h, struct error *error)
{
	const uint8_t *data;
	ssize_t n = 0;

	if (h->inside)
		return 0;
	h->inside = true;
	while (!h->write_failed && h->events->unsent(h->arg) == 0) {
		h->paused = false;
		n = nghttp2_session_mem_send(h->session, &data);
		if (n > 0)
			out_frame(h, data, (size_t)n);
		else if (n < 0 || !h->paused)
			break;
	}
	out_flush(h);
	h->inside = false;
	return n < 0 || h->write_failed ? session_failed(h, (int)n, error) : 0;
}

/* ---- streams */

static void stream_free(struct h2_stream *s)
{
	list_remove(&s->link);
	s->h2->n_streams--;
	free(s);
}

/* Tells the end; from here on the stream is only waiting for nghttp2 to forget it. */
static void stream_end(struct h2_stream *s, enum h2_close how, uint32_t code)
{
	const struct h2_stream_events *events = s->events;

	s->events = NULL;
	s->body = NULL;
	if (events)
		events->on_closed(s->arg, how, code);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags, (void)arg;
	if (s && s->events)
		s->events->on_header(s->arg, slice_of(name, name_len), slice_of(value, value_len));
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

	(void)flags, (void)arg;
	if (s && s->events)
		s->events->on_data(s->arg, slice_of(data, len));
	return 0;
}

static void on_stream_frame(struct h2 *h, const nghttp2_frame *frame)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(h->session, frame->hd.stream_id);

	if (s && s->events && frame->hd.type == NGHTTP2_HEADERS)
		s->events->on_headers_end(s->arg);
	if (!s || !s->events || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return;
	/* The peer may answer before it has read the request, which then need not be sent on. */
	if (s->left > 0)
		nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
	stream_end(s, H2_ENDED, NGHTTP2_NO_ERROR);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2 *h = arg;

	(void)session;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		on_stream_frame(h, frame);
		break;
	case NGHTTP2_SETTINGS:
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK) && !h->ready) {
			h->ready = true;
			h->events->on_ready(h->arg);
		}
		break;
	case NGHTTP2_GOAWAY:
		h->going_away = true;
		h->events->on_goaway(h->arg, frame->goaway.error_code,
		                     frame->goaway.last_stream_id > 0,
		                     slice_of(frame->goaway.opaque_data,
		                              frame->goaway.opaque_data_len));
		break;
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

	(void)arg;
	if (!s)
		return 0;
	stream_end(s, code == NGHTTP2_REFUSED_STREAM ? H2_REFUSED : H2_RESET, code);
	nghttp2_session_set_stream_user_data(session, id, NULL);
	stream_free(s);
	return 0;
}

/* A request that could not be sent, because the peer has said meanwhile that it takes no more. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
	struct h2 *h = arg;
	struct h2_stream *s;

	(void)session, (void)code;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	LIST_FOR_EACH(s, &h->streams, link)
		if (s->id == frame->hd.stream_id) {
			stream_end(s, H2_REFUSED, NGHTTP2_REFUSED_STREAM);
			break;
		}
	return 0;
}

static int on_complaint(nghttp2_session *session, int code, const char *text, size_t len, void *arg)
{
	struct h2 *h = arg;

	(void)session, (void)code;
	snprintf(h->reason, sizeof h->reason, "%.*s", len < 1000 ? (int)len : 1000, text);
	return 0;
}

/* ---- session */

/* The defaults of newer libraries, not left to the one that is installed. */
static int make_limits(nghttp2_option **ret)
{
	int r = nghttp2_option_new(ret);

	if (r != 0)
		return r;
	nghttp2_option_set_max_continuations(*ret, MAX_CONTINUATIONS);
	nghttp2_option_set_max_settings(*ret, MAX_SETTINGS);
	nghttp2_option_set_max_outbound_ack(*ret, MAX_UNSENT_ANSWERS);
	return 0;
}

static int make_session(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES},
	};
	nghttp2_session_callbacks *c;
	nghttp2_option *limits;
	int r = nghttp2_session_callbacks_new(&c);

	if (r != 0)
		return r;
	r = make_limits(&limits);
	if (r != 0) {
		nghttp2_session_callbacks_del(c);
		return r;
	}
	nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
	nghttp2_session_callbacks_set_error_callback2(c, on_complaint);
	r = nghttp2_session_client_new2(&h->session, c, h, limits);
	nghttp2_option_del(limits);
	nghttp2_session_callbacks_del(c);
	if (r == 0)
		r = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
		                            sizeof settings / sizeof *settings);
	return r;
}

int h2_new(const struct h2_events *events, void *arg, struct h2 **ret, struct error *error)
{
	struct h2 *h = calloc(1, sizeof *h);

	if (!h)
		return error_no_memory(error);
	h->events = events;
	h->arg = arg;
	list_init(&h->streams);
	if (make_session(h) != 0) {
		h2_free(h);
		return error_no_memory(error);
	}
	*ret = h;
	return 0;
}

void h2_free(struct h2 *h)
{
	struct h2_stream *s, *following;

	if (!h)
		return;
	LIST_FOR_EACH_SAFE(s, following, &h->streams, link) {
		s->events = NULL;
		stream_free(s);
	}
	nghttp2_session_del(h->session);
	free(h);
}

int h2_receive(struct h2 *h, struct slice bytes, struct error *error)
{
	ssize_t n;
	int r;

	h->inside = true;
	n = nghttp2_session_mem_recv(h->session, bytes.data, bytes.len);
	h->inside = false;
	if (n < 0)
		return session_failed(h, (int)n, error);
	r = h2_send(h, error);
	if (r == 0 && h2_is_finished(h) && (!h->going_away || h->n_streams > 0))
		r = session_failed(h, NGHTTP2_ERR_PROTO, error); /* it was we who gave up */
	return r;
}

bool h2_is_exhausted(const struct h2 *h)
{
	return h->going_away || !nghttp2_session_check_request_allowed(h->session);
}

unsigned h2_capacity(const struct h2 *h)
{
	uint32_t most =
		nghttp2_session_get_remote_settings(h->session,
	                                            NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (h2_is_exhausted(h))
		return 0;
	return most > h->n_streams ? most - h->n_streams : 0;
}

int h2_request(struct h2 *h, const struct h2_header *headers, size_t n_headers,
               const struct slice *body, size_t n_body, const struct h2_stream_events *events,
               void *arg, struct h2_stream **ret, struct error *error)
{
	nghttp2_nv fields[MAX_HEADERS];
	nghttp2_data_provider provider = {.read_callback = on_body_length};
	struct h2_stream *s;

	if (n_headers > MAX_HEADERS)
		return error_set(error, -E2BIG, "more than %d headers", MAX_HEADERS);
	s = calloc(1, sizeof *s);
	if (!s)
		return error_no_memory(error);
	*s = (struct h2_stream){.h2 = h, .events = events, .arg = arg, .body = body};
	for (size_t i = 0; i < n_body; i++)
		s->left += body[i].len;
	for (size_t i = 0; i < n_headers; i++)
		fields[i] = (nghttp2_nv){
			.name = (uint8_t *)headers[i].name.data,
			.namelen = headers[i].name.len,
			.value = (uint8_t *)headers[i].value.data,
			.valuelen = headers[i].value.len,
			.flags =
				headers[i].secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
		};
	provider.source.ptr = s;
	s->id = nghttp2_submit_request(h->session, NULL, fields, n_headers, &provider, s);
	if (s->id < 0) {
		int code = s->id;
		free(s);
		return session_failed(h, code, error);
	}
	list_push(&h->streams, &s->link);
	h->n_streams++;
	*ret = s;
	return 0;
}

void h2_cancel(struct h2_stream *s)
{
	s->events = NULL;
	s->body = NULL;
	nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
}

void h2_ping(struct h2 *h)
{
	nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
}

bool h2_is_finished(const struct h2 *h)
{
	return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

const char *h2_code_name(uint32_t code)
{
	return nghttp2_http2_strerror(code);
}
