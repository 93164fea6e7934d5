#include "core/net/h2.h"

#include "core/base/list.h"
#include "core/net/h2_session.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MAX_HEADERS = 64,
	/* Told to the peer. nghttp2 itself refuses blocks of more than 64 KiB. */
	HEADER_LIST_BYTES = 32 * 1024,
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
	struct h2_session s; /* first: nghttp2's callbacks are given both at one address */
	const struct h2_events *events;
	void *arg;
	struct list streams;
	unsigned n_streams;
	bool ready, going_away;
};

/* ---- output */

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
	h2_session_data_begin(&h->s, head);
	s->left -= length;
	while (length > 0) {
		size_t room = s->body->len - s->offset;
		size_t take = room < length ? room : length;

		if (take > 0)
			h2_session_data(&h->s, slice_of(s->body->data + s->offset, take));
		length -= take;
		s->offset += take;
		if (s->offset == s->body->len) {
			s->body++;
			s->offset = 0;
		}
	}
	return h2_session_data_end(&h->s);
}

int h2_send(struct h2 *h, struct error *error)
{
	int r;

	if (h->s.inside)
		return 0;
	r = h2_session_send(&h->s, false);
	return r ? h2_session_failed(&h->s, r, error) : 0;
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
	struct h2_stream *s =
		nghttp2_session_get_stream_user_data(h->s.session, frame->hd.stream_id);

	if (s && s->events && frame->hd.type == NGHTTP2_HEADERS)
		s->events->on_headers_end(s->arg);
	if (!s || !s->events || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return;
	/* The peer may answer before it has read the request, which then need not be sent on. */
	if (s->left > 0)
		nghttp2_submit_rst_stream(h->s.session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
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

/* ---- session */

static int make_session(struct h2 *h)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES},
	};
	nghttp2_session_callbacks *c;
	nghttp2_option *limits;
	int r = h2_session_options(&c, &limits);

	if (r != 0)
		return r;
	nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
	r = nghttp2_session_client_new2(&h->s.session, c, h, limits);
	nghttp2_option_del(limits);
	nghttp2_session_callbacks_del(c);
	if (r == 0)
		r = nghttp2_submit_settings(h->s.session, NGHTTP2_FLAG_NONE, settings,
		                            sizeof settings / sizeof *settings);
	return r;
}

int h2_new(const struct h2_events *events, void *arg, struct h2 **ret, struct error *error)
{
	struct h2 *h = calloc(1, sizeof *h);

	if (!h)
		return error_no_memory(error);
	h->s.write = events->write;
	h->s.unsent = events->unsent;
	h->s.arg = arg;
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
	nghttp2_session_del(h->s.session);
	free(h);
}

int h2_receive(struct h2 *h, struct slice bytes, struct error *error)
{
	ssize_t n;
	int r;

	h->s.inside = true;
	n = nghttp2_session_mem_recv(h->s.session, bytes.data, bytes.len);
	h->s.inside = false;
	if (n < 0)
		return h2_session_failed(&h->s, (int)n, error);
	r = h2_send(h, error);
	if (r == 0 && h2_is_finished(h) && (!h->going_away || h->n_streams > 0))
		r = h2_session_failed(&h->s, NGHTTP2_ERR_PROTO, error); /* it was we who gave up */
	return r;
}

bool h2_is_exhausted(const struct h2 *h)
{
	return h->going_away || !nghttp2_session_check_request_allowed(h->s.session);
}

unsigned h2_capacity(const struct h2 *h)
{
	uint32_t most =
		nghttp2_session_get_remote_settings(h->s.session,
	                                            NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (h2_is_exhausted(h))
		return 0;
	return most > h->n_streams ? most - h->n_streams : 0;
}

int h2_request(struct h2 *h, const struct http_header *headers, size_t n_headers,
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
		fields[i] = h2_field(&headers[i]);
	provider.source.ptr = s;
	s->id = nghttp2_submit_request(h->s.session, NULL, fields, n_headers, &provider, s);
	if (s->id < 0) {
		int code = s->id;
		free(s);
		return h2_session_failed(&h->s, code, error);
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
	nghttp2_submit_rst_stream(s->h2->s.session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
}

void h2_ping(struct h2 *h)
{
	nghttp2_submit_ping(h->s.session, NGHTTP2_FLAG_NONE, NULL);
}

bool h2_is_finished(const struct h2 *h)
{
	return h2_session_is_finished(&h->s);
}

const char *h2_code_name(uint32_t code)
{
	return nghttp2_http2_strerror(code);
}
