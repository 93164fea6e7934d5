/* Heads of requests as they come, and responses. */
#include "core/net/h2_server_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_RESPONSE_FIELDS = 64, FIELD_OVERHEAD = 32 };

/* ---- heads */

static void begin_request(struct h2_server *h, int32_t id)
{
	if (h->n_streams < h->limits->streams)
		return;
	h->head_fault = HEAD_REFUSED;
	h2_server_note(h, nghttp2_submit_rst_stream(h->s.session, NGHTTP2_FLAG_NONE, id,
	                                            NGHTTP2_REFUSED_STREAM));
	h2_server_strike(h, HTTP_LIMIT_STREAMS);
	h2_server_provoked(h);
}

int h2_server_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_server *h = arg;

	(void)session;
	http_fields_fini(&h->head);
	h->head_fault = HEAD_FINE;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		begin_request(h, frame->hd.stream_id);
	return h->struck ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

int h2_server_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                        size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                        void *arg)
{
	struct h2_server *h = arg;

	(void)session, (void)flags;
	if (h->head_fault != HEAD_FINE)
		return 0;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		http_fields_add(&h->head, slice_of(name, name_len), slice_of(value, value_len));
	else /* trailers are only counted */
		h->head.size += name_len + value_len + FIELD_OVERHEAD;
	if (h->head.size > h->limits->header_list) {
		http_fields_fini(&h->head);
		h->head_fault = HEAD_TOO_LARGE;
	}
	return 0;
}

/* nghttp2 would leave the field out and go on. */
int h2_server_on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                                const uint8_t *name, size_t name_len, const uint8_t *value,
                                size_t value_len, uint8_t flags, void *arg)
{
	struct h2_server *h = arg;

	(void)session, (void)frame, (void)name, (void)name_len, (void)value, (void)value_len;
	(void)flags;
	if (h->head_fault == HEAD_FINE)
		h->head_fault = HEAD_MALFORMED;
	return 0;
}

/* Answers a request that never becomes a stream here. */
static void answer_status(struct h2_server *h, int32_t id, const char *status)
{
	struct http_header header = {SLICE_LITERAL(":status"), slice_from_string(status), false};
	nghttp2_nv field = h2_field(&header);

	h2_server_note(h, nghttp2_submit_response(h->s.session, id, &field, 1, NULL));
}

static void reset_id(struct h2_server *h, int32_t id, uint32_t code)
{
	h2_server_note(h, nghttp2_submit_rst_stream(h->s.session, NGHTTP2_FLAG_NONE, id, code));
}

static bool read_pseudo_field(struct http_request *r, const struct http_header *field)
{
	if (field->name.len == 0 || field->name.data[0] != ':')
		return false;
	if (slice_equal(field->name, SLICE_LITERAL(":method"))) {
		r->method = field->value;
	} else if (slice_equal(field->name, SLICE_LITERAL(":authority"))) {
		r->authority = field->value;
	} else if (slice_equal(field->name, SLICE_LITERAL(":path"))) {
		const uint8_t *mark =
			field->value.len ? memchr(field->value.data, '?', field->value.len) : NULL;

		r->path = field->value;
		if (mark) {
			r->path.len = (size_t)(mark - field->value.data);
			r->query = slice_of(mark + 1, field->value.len - r->path.len - 1);
		}
	}
	return true;
}

static uint64_t read_length(struct slice value) /* nghttp2 has checked it */
{
	uint64_t length = 0;

	for (size_t i = 0; i < value.len; i++)
		length = length * 10 + (value.data[i] - '0');
	return length;
}

/* False: its fields contradict each other. */
static bool read_fields(struct http_request *r, const struct http_header *fields, size_t n,
                        bool ended)
{
	size_t i = 0;

	while (i < n && read_pseudo_field(r, &fields[i]))
		i++;
	r->headers = fields + i;
	r->n_headers = n - i;
	r->version_major = 2;
	for (; i < n; i++) {
		if (slice_equal(fields[i].name, SLICE_LITERAL("content-length"))) {
			r->has_length = true;
			r->length = read_length(fields[i].value);
		} else if (slice_equal(fields[i].name, SLICE_LITERAL("host"))) {
			if (r->authority.len && !slice_equal(r->authority, fields[i].value))
				return false;
			r->authority = fields[i].value;
		}
	}
	if (ended)
		r->has_length = true;
	return true;
}

static void begin_stream(struct h2_server *h, int32_t id, bool ended)
{
	struct http_header *fields;
	struct h2_server_stream *s = http_fields_pack(&h->head, sizeof *s, &fields);

	if (!s) {
		reset_id(h, id, NGHTTP2_REFUSED_STREAM);
		return;
	}
	if (!read_fields(&s->request, fields, h->head.n, ended)) {
		reset_id(h, id, NGHTTP2_PROTOCOL_ERROR);
		free(s);
		return;
	}
	if (slice_equal(s->request.method, SLICE_LITERAL("CONNECT"))) {
		answer_status(h, id, "501");
		free(s);
		return;
	}
	http_fields_fini(&h->head);
	s->server = h;
	s->id = id;
	list_push(&h->streams, &s->link);
	h->n_streams++;
	nghttp2_session_set_stream_user_data(h->s.session, id, s);
	h->events->on_request(h->arg, s, &s->request);
}

static void refuse_trailers(struct h2_server *h, int32_t id)
{
	struct h2_server_stream *s = nghttp2_session_get_stream_user_data(h->s.session, id);

	if (s)
		h2_server_reset(s, NGHTTP2_ENHANCE_YOUR_CALM);
}

void h2_server_headers_complete(struct h2_server *h, const nghttp2_frame *frame)
{
	int32_t id = frame->hd.stream_id;
	bool is_request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;

	switch (h->head_fault) {
	case HEAD_REFUSED:
		break;
	case HEAD_TOO_LARGE:
		h2_server_strike(h, HTTP_LIMIT_HEADER_LIST);
		h2_server_provoked(h);
		if (is_request)
			answer_status(h, id, "431");
		else
			refuse_trailers(h, id);
		break;
	case HEAD_MALFORMED:
		reset_id(h, id, NGHTTP2_PROTOCOL_ERROR);
		break;
	case HEAD_FINE:
		if (is_request)
			begin_stream(h, id, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
		break;
	}
	http_fields_fini(&h->head);
}

/* ---- responses */

static void set_hungry(struct h2_server_stream *s, bool hungry)
{
	if (hungry && !s->hungry)
		s->server->n_hungry++;
	else if (!hungry && s->hungry)
		s->server->n_hungry--;
	s->hungry = hungry;
}

void h2_server_stream_left(struct h2_server_stream *s)
{
	if (s->answering)
		s->server->n_stalled--;
	s->answering = false;
	set_hungry(s, false);
}

void h2_server_stream_free(struct h2_server_stream *s)
{
	list_remove(&s->link);
	buffer_fini(&s->body);
	http_source_close(&s->source);
	free(s->trailers);
	free(s);
}

static ssize_t on_body_length(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                              uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_server_stream *s = source->ptr;
	struct h2_server *h = arg;
	size_t left = s->body.len - s->sent;

	(void)buf;
	if (h->struck) /* only the GOAWAY is still sent */
		return NGHTTP2_ERR_PAUSE;
	if (left == 0 && s->source.next) {
		set_hungry(s, true);
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (length < left)
		return (ssize_t)length;
	if (s->source.next)
		return (ssize_t)left;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->n_trailers > 0) {
		int r = nghttp2_submit_trailer(session, id, s->trailers, s->n_trailers);

		if (r != 0)
			return r == NGHTTP2_ERR_NOMEM ? NGHTTP2_ERR_CALLBACK_FAILURE
			                              : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (ssize_t)left;
}

int h2_server_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                           size_t length, nghttp2_data_source *source, void *arg)
{
	struct h2_server_stream *s = source->ptr;
	struct h2_server *h = arg;

	(void)session, (void)frame; /* frames are not padded */
	h2_session_data_begin(&h->s, head);
	h2_session_data(&h->s, slice_of(s->body.data + s->sent, length));
	s->sent += length;
	return h2_session_data_end(&h->s);
}

static bool keep_trailers(struct h2_server_stream *s, const struct http_header *trailers, size_t n)
{
	size_t bytes = 0;
	uint8_t *at;

	for (size_t i = 0; i < n; i++)
		bytes += trailers[i].name.len + trailers[i].value.len;
	s->trailers = malloc(n * sizeof *s->trailers + bytes);
	if (!s->trailers)
		return false;
	at = (uint8_t *)(s->trailers + n);
	for (size_t i = 0; i < n; i++) {
		struct slice name = trailers[i].name, value = trailers[i].value;
		nghttp2_nv field = h2_field(&trailers[i]);

		field.name = at;
		field.value = at + name.len;
		if (name.len > 0)
			memcpy(field.name, name.data, name.len);
		if (value.len > 0)
			memcpy(field.value, value.data, value.len);
		at += name.len + value.len;
		s->trailers[i] = field;
	}
	s->n_trailers = n;
	return true;
}

struct fields {
	size_t n;
	nghttp2_nv all[MAX_RESPONSE_FIELDS];
};

static void add_fields(struct fields *f, const struct http_header *headers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		f->all[f->n++] = h2_field(&headers[i]);
}

static void add_text(struct fields *f, const char *name, const char *value)
{
	struct http_header header = {slice_from_string(name), slice_from_string(value), false};

	add_fields(f, &header, 1);
}

static int submit(struct h2_server_stream *s, const struct http_response *r)
{
	bool has_body = (r->body.len > 0 || r->source.next) &&
	                !slice_equal(s->request.method, SLICE_LITERAL("HEAD"));
	bool trailers_only = r->n_trailers > 0 && r->n_headers == 0 && r->body.len == 0;
	bool has_trailers = r->n_trailers > 0 && !trailers_only;
	nghttp2_data_provider provider = {.source.ptr = s, .read_callback = on_body_length};
	char status[16], length[24];
	struct fields f = {0};

	snprintf(status, sizeof status, "%d", r->status);
	add_text(&f, ":status", status);
	add_fields(&f, r->headers, r->n_headers);
	if (trailers_only)
		add_fields(&f, r->trailers, r->n_trailers);
	if (r->n_trailers == 0 && !r->source.next && r->status >= 200 && r->status != 204 &&
	    r->status != 304) {
		snprintf(length, sizeof length, "%zu", r->body.len);
		add_text(&f, "content-length", length);
	}
	if (has_trailers && !keep_trailers(s, r->trailers, r->n_trailers))
		return NGHTTP2_ERR_NOMEM;
	return nghttp2_submit_response(s->server->s.session, s->id, f.all, f.n,
	                               has_body || has_trailers ? &provider : NULL);
}

int h2_server_respond(struct h2_server_stream *s, const struct http_response *response,
                      struct error *error)
{
	struct http_response given = *response;
	int r = 0;

	if (s->over) {
		http_response_drop(&given);
		return 0;
	}
	if (given.body.failed) {
		http_response_drop(&given);
		return error_no_memory(error);
	}
	if (response->n_headers + response->n_trailers + 2 > MAX_RESPONSE_FIELDS) {
		http_response_drop(&given);
		return error_set(error, -E2BIG, "more than %d fields", MAX_RESPONSE_FIELDS - 2);
	}
	r = submit(s, response);
	if (r != 0) {
		http_response_drop(&given);
		free(s->trailers);
		s->trailers = NULL;
		s->n_trailers = 0;
		return h2_session_failed(&s->server->s, r, error);
	}
	s->body = given.body;
	s->source = given.source;
	if (slice_equal(s->request.method, SLICE_LITERAL("HEAD")))
		http_source_close(&s->source);
	s->over = s->answering = true;
	s->server->n_stalled++;
	return 0;
}

static void feed(struct h2_server_stream *s)
{
	int r;

	set_hungry(s, false);
	buffer_clear(&s->body);
	s->sent = 0;
	r = s->source.next(s->source.arg, &s->body);
	if (r == 0)
		http_source_close(&s->source);
	if (r < 0 || s->body.failed)
		h2_server_reset(s, NGHTTP2_INTERNAL_ERROR);
	else
		h2_server_note(s->server, nghttp2_session_resume_data(s->server->s.session, s->id));
}

void h2_server_feed(struct h2_server *h)
{
	struct h2_server_stream *s;

	LIST_FOR_EACH(s, &h->streams, link) {
		if (s->hungry)
			feed(s);
	}
}

bool h2_server_is_hungry(const struct h2_server *h)
{
	return h->n_hungry > 0 && !h->struck && h->s.unsent(h->s.arg) == 0;
}

void h2_server_reset(struct h2_server_stream *s, uint32_t code)
{
	if (s->closed || s->reset)
		return;
	s->over = s->reset = true;
	h2_server_stream_left(s);
	reset_id(s->server, s->id, code);
}

void h2_server_stream_set_data(struct h2_server_stream *s, void *data)
{
	s->data = data;
}

void *h2_server_stream_data(const struct h2_server_stream *s)
{
	return s->data;
}
