/* h2_guard: what a client's frames cost beside the requests that they carry, held against limits. For
 * h2_server*.c only.
 *
 * Frame heads are read ahead of nghttp2, which does not tell of the frames that it ignores. What ends a
 * connection is answered with GOAWAY by the owner. Limits stay the owner's. */
#ifndef WEIR_NET_H2_GUARD_H
#define WEIR_NET_H2_GUARD_H

#include "core/net/http_server.h"

struct h2_allowance { /* a token bucket */
	uint64_t used, at_ns;
};

struct h2_guard {
	const struct http_limits *limits;
	uint64_t now_ns;
	struct h2_allowance resets, frames;
	uint64_t pinged_ns;      /* the last time; 0: never */
	size_t skip;             /* bytes until the next frame's head */
	unsigned window_updates; /* that the peer has earned */
	uint8_t head[9], n_head;
	uint8_t continuations, ping_strikes;
	bool has_pinged;
	bool head_frame, head_open; /* the frame is part of a head; and not its last */
};

void h2_guard_init(struct h2_guard *g, const struct http_limits *limits);

/* Requests (heads of streams, also refused ones) that are read before other connections have their turn. */
enum { H2_HEADS_AT_ONCE = 32 };

/* *ret_n of the bytes may be given to nghttp2: all of them, or less when they hold more than H2_HEADS_AT_ONCE. False:
 * *ret_limit has struck behind them. */
bool h2_guard_read(struct h2_guard *g, struct slice bytes, uint64_t now_ns, size_t *ret_n,
                   enum http_limit *ret_limit);

/* Each is false when the limit has struck: a stream has been reset (HTTP_LIMIT_RESETS), something has
 * come that carries nothing (HTTP_LIMIT_FRAMES), a ping has come (HTTP_LIMIT_PINGS). */
bool h2_guard_reset(struct h2_guard *g);
bool h2_guard_frame(struct h2_guard *g);
bool h2_guard_ping(struct h2_guard *g, bool has_streams);

/* Whether the head of a request, or trailers, have begun and not ended. */
bool h2_guard_is_in_head(const struct h2_guard *g);

/* HEADERS or DATA have been sent, for which a peer may send window updates and a ping. */
void h2_guard_sent(struct h2_guard *g);

#endif
