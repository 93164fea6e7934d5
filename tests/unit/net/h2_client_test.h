/* h2_client_test: nghttp2's client session, face to face with the server of h2_server_test. */
#ifndef WEIR_TESTS_H2_CLIENT_TEST_H
#define WEIR_TESTS_H2_CLIENT_TEST_H

#include "tests/unit/net/h2_server_test.h"

#include <nghttp2/nghttp2.h>

enum { MOST_CALLS = 64 };

/* What the client has of one response. */
struct call {
	int32_t id;
	size_t body_bytes, sent; /* of the request */
	size_t held;             /* bytes at its end that are not sent before release() */
	int status;
	size_t body;
	char fields[512]; /* "name: value\n", a line "-" between blocks */
	bool ended, closed;
	uint32_t code;
};

struct client {
	struct fixture *f;
	nghttp2_session *session;
	struct call calls[MOST_CALLS];
	unsigned n_calls;
	uint32_t goaway_code;
	int32_t goaway_last;
	unsigned n_goaways;
	size_t step;  /* bytes that the server is brought at once; 0: all */
	size_t taken; /* of the server's bytes */
};

static inline struct call *call_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

static inline int client_header(nghttp2_session *session, const nghttp2_frame *frame,
                                const uint8_t *name, size_t name_len, const uint8_t *value,
                                size_t value_len, uint8_t flags, void *arg)
{
	struct call *c = call_of(session, frame->hd.stream_id);
	size_t used = strlen(c->fields);

	(void)flags, (void)arg;
	if (name_len == 7 && memcmp(name, ":status", 7) == 0)
		c->status = atoi((const char *)value);
	else
		snprintf(c->fields + used, sizeof c->fields - used, "%.*s: %.*s\n", (int)name_len,
		         name, (int)value_len, value);
	return 0;
}

static inline int client_data(nghttp2_session *session, uint8_t flags, int32_t id,
                              const uint8_t *data, size_t len, void *arg)
{
	struct call *c = call_of(session, id);

	(void)flags, (void)arg;
	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], (c->body + i) % 251);
	c->body += len;
	return 0;
}

static inline int client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct client *client = arg;
	struct call *c = call_of(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_GOAWAY) {
		client->n_goaways++;
		client->goaway_code = frame->goaway.error_code;
		client->goaway_last = frame->goaway.last_stream_id;
	}
	if (c && frame->hd.type == NGHTTP2_HEADERS)
		strcat(c->fields, "-\n");
	if (c && frame->hd.type <= NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		c->ended = true;
	return 0;
}

static inline int client_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct call *c = call_of(session, id);

	(void)arg;
	c->closed = true;
	c->code = code;
	return 0;
}

static inline ssize_t client_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                                  uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct call *c = source->ptr;
	size_t left = c->body_bytes - c->held - c->sent;

	(void)session, (void)id, (void)arg;
	if (left == 0 && c->held > 0)
		return NGHTTP2_ERR_DEFERRED;
	if (length >= left) {
		length = left;
		if (c->held == 0)
			*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	memset(buf, 'd', length);
	c->sent += length;
	return (ssize_t)length;
}

static inline void client_open(struct client *c, struct fixture *f)
{
	nghttp2_session_callbacks *callbacks;

	*c = (struct client){.f = f};
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, client_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_close);
	assert_int_equal(nghttp2_session_client_new(&c->session, callbacks, c), 0);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(nghttp2_submit_settings(c->session, 0, NULL, 0), 0);
}

static inline void client_fini(struct client *c)
{
	nghttp2_session_del(c->session);
}

static inline nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

struct asked {
	const char *method, *path, *authority, *extra_name, *extra_value;
	size_t body, held;
};

static inline struct call *ask(struct client *c, const struct asked *a)
{
	struct call *call = &c->calls[c->n_calls++];
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = client_body};
	nghttp2_nv fields[6];
	size_t n = 0;

	call->body_bytes = a->body;
	call->held = a->held;
	fields[n++] = field(":method", a->method ? a->method : "POST");
	fields[n++] = field(":scheme", "http");
	fields[n++] = field(":path", a->path ? a->path : "/");
	if (a->authority)
		fields[n++] = field(":authority", a->authority);
	if (a->extra_name)
		fields[n++] = field(a->extra_name, a->extra_value);
	call->id = nghttp2_submit_request(c->session, NULL, fields, n, a->body ? &provider : NULL,
	                                  call);
	assert_true(call->id > 0);
	return call;
}

/* The rest of a body that was held back. */
static inline void release(struct client *c, struct call *call)
{
	call->held = 0;
	nghttp2_session_resume_data(c->session, call->id);
}

static inline bool to_server(struct client *c)
{
	struct fixture *f = c->f;
	const uint8_t *data;
	ssize_t n;
	bool any = false;

	while (f->failed == 0 && (n = nghttp2_session_mem_send(c->session, &data)) > 0) {
		size_t step = c->step ? c->step : (size_t)n;

		any = true;
		for (size_t at = 0; at < (size_t)n && f->failed == 0; at += step) {
			size_t len = (size_t)n - at < step ? (size_t)n - at : step;
			struct slice rest = slice_of(data + at, len);

			while (rest.len > 0 && f->failed == 0)
				f->failed = h2_server_receive(f->server, &rest, f->now, &f->error);
		}
	}
	return any;
}

static inline bool to_client(struct client *c)
{
	struct fixture *f = c->f;
	size_t len = f->out.len - c->taken;

	if (len == 0 || f->blocked)
		return false;
	assert_int_equal(nghttp2_session_mem_recv(c->session, f->out.data + c->taken, len), len);
	c->taken = f->out.len;
	return true;
}

/* Until both have nothing more to say. */
static inline void talk(struct client *c)
{
	struct fixture *f = c->f;
	bool any = true;

	while (any && f->failed == 0) {
		f->failed = h2_server_send(f->server, &f->error);
		any = to_server(c);
		any |= to_client(c);
	}
}

#endif
