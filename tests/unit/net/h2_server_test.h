/* h2_server_test: a server session whose transport is a buffer, what it has told, and frames made by hand. */
#ifndef WEIR_TESTS_H2_SERVER_TEST_H
#define WEIR_TESTS_H2_SERVER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/clock.h"
#include "core/net/h2_server.h"

enum { MOST_REQUESTS = 1000 };

enum when { NEVER, AT_THE_HEAD, AT_THE_END };

struct seen {
	struct h2_server_stream *stream; /* NULL: closed */
	struct fixture *f;
	char method[16], path[64], query[32], authority[32];
	bool has_length, ended, closed, answered;
	uint64_t length;
	size_t body;
	size_t n_headers;
};

struct fixture {
	struct http_limits limits;
	struct h2_server *server;
	struct buffer out;  /* what the server has written */
	bool blocked;       /* the transport holds bytes and takes no more */
	bool buffers;       /* it is blocked as soon as something has been written */
	bool broken;        /* it fails */
	bool keeps_account; /* of unfinished bytes, as the owner of a connection does */
	uint64_t unfinished;
	enum when respond;
	struct http_response response; /* without body, which is made of body_bytes */
	size_t body_bytes;
	struct seen seen[MOST_REQUESTS];
	unsigned n_seen, n_closed, n_answered, struck[HTTP_LIMIT_COUNT];
	uint64_t now;
	int failed;
	struct error error;
};

static inline void text_of(char *to, size_t size, struct slice s)
{
	snprintf(to, size, "%.*s", SLICE_PRINTF(s));
}

static inline bool on_write(void *arg, const struct slice *pieces, size_t n)
{
	struct fixture *f = arg;

	if (f->broken)
		return false;
	for (size_t i = 0; i < n; i++)
		buffer_append_slice(&f->out, pieces[i]);
	f->blocked |= f->buffers;
	return true;
}

static inline size_t on_unsent(void *arg)
{
	return ((struct fixture *)arg)->blocked ? 1 : 0;
}

static inline void account(struct fixture *f, const struct seen *r, bool finished)
{
	if (!f->keeps_account)
		return;
	f->unfinished = finished ? f->unfinished - r->body : f->unfinished + r->body;
	h2_server_set_unfinished(f->server, f->unfinished);
}

static inline int respond(struct fixture *f, struct seen *r)
{
	struct http_response response = f->response;

	if (f->body_bytes > 0) {
		uint8_t *to = buffer_reserve(&response.body, f->body_bytes);

		for (size_t i = 0; to && i < f->body_bytes; i++)
			to[i] = (uint8_t)(i % 251);
		if (to)
			response.body.len = f->body_bytes;
	}
	if (!r->stream) {
		buffer_fini(&response.body);
		return 0;
	}
	if (r->ended)
		account(f, r, true);
	return h2_server_respond(r->stream, &response, NULL);
}

static inline void respond_or_reset(struct fixture *f, struct seen *r)
{
	if (respond(f, r) < 0)
		h2_server_reset(r->stream, 2);
}

static inline void on_request(void *arg, struct h2_server_stream *s,
                              const struct http_request *request)
{
	struct fixture *f = arg;
	struct seen *r = &f->seen[f->n_seen % MOST_REQUESTS];

	f->n_seen++;
	*r = (struct seen){.stream = s, .f = f};
	text_of(r->method, sizeof r->method, request->method);
	text_of(r->path, sizeof r->path, request->path);
	text_of(r->query, sizeof r->query, request->query);
	text_of(r->authority, sizeof r->authority, request->authority);
	r->has_length = request->has_length;
	r->length = request->length;
	r->n_headers = request->n_headers;
	h2_server_stream_set_data(s, r);
	if (f->respond == AT_THE_HEAD)
		respond_or_reset(f, r);
}

static inline void on_data(void *arg, struct h2_server_stream *s, struct slice bytes)
{
	struct seen *r = h2_server_stream_data(s);

	(void)arg;
	for (size_t i = 0; i < bytes.len; i++)
		assert_true(bytes.data[i] == 'd');
	r->body += bytes.len;
}

static inline void on_end(void *arg, struct h2_server_stream *s)
{
	struct seen *r = h2_server_stream_data(s);
	struct fixture *f = arg;

	assert_false(r->ended);
	r->ended = true;
	account(f, r, false);
	if (f->respond == AT_THE_END)
		respond_or_reset(f, r);
}

static inline void on_closed(void *arg, struct h2_server_stream *s, bool answered)
{
	struct seen *r = h2_server_stream_data(s);
	struct fixture *f = arg;

	assert_false(r->closed);
	r->closed = true;
	r->answered = answered;
	r->stream = NULL;
	f->n_closed++;
	f->n_answered += answered;
}

static inline void on_limit(void *arg, enum http_limit l)
{
	((struct fixture *)arg)->struck[l]++;
}

static inline void fixture_open_with(struct fixture *f)
{
	static const struct h2_server_events events = {.write = on_write,
	                                               .unsent = on_unsent,
	                                               .on_request = on_request,
	                                               .on_data = on_data,
	                                               .on_end = on_end,
	                                               .on_closed = on_closed,
	                                               .on_limit = on_limit};

	assert_int_equal(h2_server_new(&events, f, &f->limits, &f->server, NULL), 0);
}

static inline void fixture_init(struct fixture *f)
{
	*f = (struct fixture){
		.limits = {.header_list = 8 * 1024,
	                   .streams = 100,
	                   .window = 1024 * 1024,
	                   .ping_min_time = 60 * NS_PER_S,
	                   .resets = 20,
	                   .resets_rate = 10,
	                   .frames = 50,
	                   .frames_rate = 10},
		.response = {.status = 200},
		.now = 1000 * NS_PER_S,
	};
}

static inline void fixture_open(struct fixture *f)
{
	fixture_init(f);
	fixture_open_with(f);
}

static inline void fixture_close(struct fixture *f)
{
	h2_server_free(f->server);
	buffer_fini(&f->out);
}

static inline unsigned strikes(const struct fixture *f)
{
	unsigned n = 0;

	for (int i = 0; i < HTTP_LIMIT_COUNT; i++)
		n += f->struck[i];
	return n;
}

/* ---- frames by hand */

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* POST http://a/ by the static table. */
#define POST                                                                                       \
	"\x83\x86\x84\x01\x01"                                                                     \
	"a"
#define GET                                                                                        \
	"\x82\x86\x84\x01\x01"                                                                     \
	"a"

static inline void put_frame(struct buffer *b, uint8_t type, uint8_t flags, uint32_t id,
                             const void *payload, size_t len)
{
	uint8_t head[9] = {
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,       type,       flags,
		(uint8_t)(id >> 24),  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

	buffer_append(b, head, sizeof head);
	buffer_append(b, payload, len);
}

static inline void put_text(struct buffer *b, uint8_t type, uint8_t flags, uint32_t id,
                            const char *payload)
{
	put_frame(b, type, flags, id, payload, strlen(payload));
}

static inline void put_number(struct buffer *b, uint8_t type, uint32_t id, uint32_t n)
{
	uint8_t payload[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
	                      (uint8_t)n};

	put_frame(b, type, 0, id, payload, sizeof payload);
}

static inline void put_data(struct buffer *b, uint8_t flags, uint32_t id, size_t len)
{
	uint8_t *payload = malloc(len + 1);

	assert_non_null(payload);
	memset(payload, 'd', len);
	put_frame(b, DATA, flags, id, payload, len);
	free(payload);
}

static inline void put_preface(struct buffer *b)
{
	buffer_append_string(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	put_frame(b, SETTINGS, 0, 0, "", 0);
}

/* Hands over what has been put; the result of the server's. */
static inline int send_all(struct fixture *f, struct buffer *b)
{
	struct slice rest = buffer_slice(b);
	int r;

	error_clear(&f->error);
	do
		r = h2_server_receive(f->server, &rest, f->now, &f->error);
	while (r == 0 && rest.len > 0);
	buffer_clear(b);
	f->failed = r;
	return r;
}

struct frame {
	uint8_t type, flags;
	uint32_t id;
	struct slice payload;
};

/* The n-th frame of that type that the server has written, from 0. */
static inline bool find_frame(const struct fixture *f, uint8_t type, unsigned n, struct frame *ret)
{
	const uint8_t *p = f->out.data, *end = p + f->out.len;

	while (end - p >= 9) {
		size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
		uint32_t id =
			(uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];

		assert_true((size_t)(end - p) >= 9 + len);
		if (p[3] == type && n-- == 0) {
			*ret = (struct frame){p[3], p[4], id, slice_of(p + 9, len)};
			return true;
		}
		p += 9 + len;
	}
	return false;
}

static inline unsigned count_frames(const struct fixture *f, uint8_t type)
{
	struct frame frame;
	unsigned n = 0;

	while (find_frame(f, type, n, &frame))
		n++;
	return n;
}

static inline uint32_t number_at(struct slice s, size_t at)
{
	assert_true(s.len >= at + 4);
	return (uint32_t)s.data[at] << 24 | (uint32_t)s.data[at + 1] << 16 |
	       (uint32_t)s.data[at + 2] << 8 | s.data[at + 3];
}

#endif
