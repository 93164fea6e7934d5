/* http_frames: HTTP/2 by hand for the clients of http_server_test.h: what libraries would not send, and what came back
 * frame by frame. */
#ifndef WEIR_TESTS_HTTP_FRAMES_H
#define WEIR_TESTS_HTTP_FRAMES_H

#include "tests/unit/net/http_server_test.h"

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

static inline void frame_append(struct buffer *b, unsigned type, unsigned flags, uint32_t id,
                                const void *payload, size_t len)
{
	uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
	                   (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
	                   (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id};

	buffer_append(b, head, sizeof head);
	buffer_append(b, payload, len);
}

static inline void client_frame(struct client *c, unsigned type, unsigned flags, uint32_t id,
                                const void *payload, size_t len)
{
	struct buffer b = BUFFER_INIT;

	frame_append(&b, type, flags, id, payload, len);
	client_send_bytes(c, b.data, b.len);
	buffer_fini(&b);
}

/* GET without a body, POST with one. */
static inline void request_append(struct buffer *b, uint32_t id, const char *path, bool ends)
{
	uint8_t head[100] = {ends ? 0x82 : 0x83, 0x86, 0x01, 1, 'x', 0x04, (uint8_t)strlen(path)};

	memcpy(head + 7, path, strlen(path));
	frame_append(b, HEADERS, END_HEADERS | (ends ? END_STREAM : 0), id, head, 7 + strlen(path));
}

static inline void client_request(struct client *c, uint32_t id, const char *path, bool ends)
{
	struct buffer b = BUFFER_INIT;

	request_append(&b, id, path, ends);
	client_send_bytes(c, b.data, b.len);
	buffer_fini(&b);
}

static inline void client_body(struct client *c, uint32_t id, size_t len, bool ends)
{
	static uint8_t bytes[16384];

	for (; len > sizeof bytes; len -= sizeof bytes)
		client_frame(c, DATA, 0, id, bytes, sizeof bytes);
	client_frame(c, DATA, ends ? END_STREAM : 0, id, bytes, len);
}

static inline void client_begin(struct fixture *f, struct client *c)
{
	client_connect(f, c);
	client_send(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	client_frame(c, SETTINGS, 0, 0, NULL, 0);
}

struct frame {
	unsigned type, flags;
	uint32_t id;
	struct slice payload;
};

/* The next complete frame from *at on. */
static inline bool frame_next(const struct client *c, size_t *at, struct frame *ret)
{
	const uint8_t *p;
	size_t len;

	if (c->got.len - *at < 9)
		return false;
	p = c->got.data + *at;
	len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
	if (c->got.len - *at < 9 + len)
		return false;
	*ret = (struct frame){.type = p[3],
	                      .flags = p[4],
	                      .id = (uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 |
	                            (uint32_t)p[7] << 8 | p[8],
	                      .payload = slice_of(p + 9, len)};
	*at += 9 + len;
	return true;
}

/* The n-th (from 1) frame of that type on that stream. */
static inline bool client_has(const struct client *c, unsigned type, uint32_t id, unsigned n,
                              struct frame *ret)
{
	size_t at = 0;

	while (frame_next(c, &at, ret))
		if (ret->type == type && ret->id == id && --n == 0)
			return true;
	return false;
}

static inline struct frame client_await(struct client *c, unsigned type, uint32_t id, unsigned n)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;
	struct frame frame = {0};

	while (!client_has(c, type, id, n, &frame) && clock_monotonic_ns() < end)
		loop_run_once(c->f->net->loop);
	if (!client_has(c, type, id, n, &frame))
		fail_msg("no frame %u on stream %u", type, (unsigned)id);
	return frame;
}

static inline uint32_t frame_number(struct frame f, size_t at)
{
	const uint8_t *p = f.payload.data + at;

	assert_true(f.payload.len >= at + 4);
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Waits for the DATA that ends a response, which is this text. */
static inline void client_await_answer(struct client *c, uint32_t id, const char *text)
{
	struct frame f = client_await(c, DATA, id, 1);

	assert_true(slice_equal(f.payload, slice_from_string(text)));
	assert_true(f.flags & END_STREAM);
}

#endif
