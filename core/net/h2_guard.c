#include "core/net/h2_guard.h"

#include "core/base/clock.h"
#include "core/net/h2_session.h"

enum {
	MAGIC_BYTES = 24,
	SETTING_BYTES = 6,
	/* A frame of no more than so many bytes may be padding and nothing else. */
	PADDING_BYTES = 256,
	/* gRPC's policy: who pings too often is told so at the third time. */
	PING_STRIKES = 2,
	/* Window updates that a peer may keep for later, and gets for a frame that we send (one for
	 * the stream, one for the connection, in halves) or that it opens a stream with. */
	MOST_WINDOW_UPDATES = 10000,
	WINDOW_UPDATES_EACH = 4,
};

/* Without streams there is nothing to be kept alive: grpc's servers allow this much. */
#define IDLE_PING_NS (NS_PER_S * 2 * 3600)

/* Longer than any sensible bucket takes to fill; keeps products within 64 bits. */
#define LONGEST_REST_NS (NS_PER_S * 3600)
enum { FASTEST_RATE = 1000000 };

enum frame_type {
	FRAME_DATA,
	FRAME_HEADERS,
	FRAME_PRIORITY,
	FRAME_RST_STREAM,
	FRAME_SETTINGS,
	FRAME_PUSH_PROMISE,
	FRAME_PING,
	FRAME_GOAWAY,
	FRAME_WINDOW_UPDATE,
	FRAME_CONTINUATION,
};

enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

void h2_guard_init(struct h2_guard *g, const struct http_limits *limits)
{
	*g = (struct h2_guard){.limits = limits,
	                       .skip = MAGIC_BYTES,
	                       .window_updates = WINDOW_UPDATES_EACH};
}

static bool take(struct h2_allowance *a, uint64_t burst, uint64_t rate, uint64_t now_ns)
{
	uint64_t rested = now_ns > a->at_ns ? now_ns - a->at_ns : 0;
	uint64_t gained;

	if (rested > LONGEST_REST_NS)
		rested = LONGEST_REST_NS;
	if (rate > FASTEST_RATE)
		rate = FASTEST_RATE;
	gained = rested * rate / NS_PER_S;
	if (gained > 0 || a->used == 0) {
		a->used -= gained < a->used ? gained : a->used;
		a->at_ns = now_ns;
	}
	return ++a->used <= burst;
}

bool h2_guard_reset(struct h2_guard *g)
{
	return take(&g->resets, g->limits->resets, g->limits->resets_rate, g->now_ns);
}

bool h2_guard_frame(struct h2_guard *g)
{
	return take(&g->frames, g->limits->frames, g->limits->frames_rate, g->now_ns);
}

bool h2_guard_ping(struct h2_guard *g, bool has_streams)
{
	uint64_t least = g->limits->ping_min_time;
	bool is_early;

	if (!has_streams && !g->limits->ping_without_stream && least < IDLE_PING_NS)
		least = IDLE_PING_NS;
	is_early = g->has_pinged && g->now_ns - g->pinged_ns < least;
	g->has_pinged = true;
	g->pinged_ns = g->now_ns;
	if (is_early)
		g->ping_strikes++;
	return g->ping_strikes <= PING_STRIKES;
}

bool h2_guard_is_in_head(const struct h2_guard *g)
{
	return g->head_open || (g->head_frame && g->skip > 0);
}

static void earn_window_updates(struct h2_guard *g)
{
	if (g->window_updates < MOST_WINDOW_UPDATES)
		g->window_updates += WINDOW_UPDATES_EACH;
}

void h2_guard_sent(struct h2_guard *g)
{
	/* Clients measure the line with pings while they receive; the next one is not held against
	 * them. */
	g->ping_strikes = 0;
	g->has_pinged = false;
	earn_window_updates(g);
}

static bool take_window_update(struct h2_guard *g)
{
	if (g->window_updates == 0)
		return h2_guard_frame(g);
	g->window_updates--;
	return true;
}

/* False when a limit strikes at this frame. */
static bool check_frame(struct h2_guard *g, size_t len, enum http_limit *ret_limit)
{
	uint8_t type = g->head[3], flags = g->head[4];
	bool ok = true;

	g->head_frame = type == FRAME_HEADERS || type == FRAME_CONTINUATION;
	g->head_open = g->head_frame && !(flags & FLAG_END_HEADERS);
	*ret_limit = HTTP_LIMIT_FRAMES;
	switch (type) {
	case FRAME_DATA:
		if ((len == 0 && !(flags & FLAG_END_STREAM)) ||
		    (len <= PADDING_BYTES && (flags & FLAG_PADDED)))
			ok = h2_guard_frame(g);
		break;
	case FRAME_HEADERS:
		g->continuations = 0;
		earn_window_updates(g);
		break;
	case FRAME_CONTINUATION:
		*ret_limit = HTTP_LIMIT_CONTINUATIONS;
		ok = ++g->continuations <= H2_MAX_CONTINUATIONS;
		break;
	case FRAME_SETTINGS:
		if (len > (size_t)H2_MAX_SETTINGS * SETTING_BYTES) {
			*ret_limit = HTTP_LIMIT_SETTINGS;
			ok = false;
		} else {
			ok = h2_guard_frame(g);
		}
		break;
	case FRAME_WINDOW_UPDATE:
		ok = take_window_update(g);
		break;
	case FRAME_RST_STREAM: /* by what it does */
		break;
	case FRAME_PING:
		if (flags & FLAG_ACK)
			ok = h2_guard_frame(g);
		break;
	default:
		ok = h2_guard_frame(g);
		break;
	}
	return ok;
}

bool h2_guard_read(struct h2_guard *g, struct slice bytes, uint64_t now_ns, size_t *ret_n,
                   enum http_limit *ret_limit)
{
	unsigned heads = 0;
	size_t at = 0;
	bool ok = true;

	g->now_ns = now_ns;
	while (ok && at < bytes.len && heads <= H2_HEADS_AT_ONCE) {
		size_t left = bytes.len - at;
		size_t want = g->skip ? g->skip : sizeof g->head - g->n_head;
		size_t n = left < want ? left : want;

		if (g->skip) {
			g->skip -= n;
			at += n;
			continue;
		}
		memcpy(g->head + g->n_head, bytes.data + at, n);
		g->n_head += (uint8_t)n;
		if (g->n_head == sizeof g->head) {
			g->n_head = 0;
			g->skip = (size_t)g->head[0] << 16 | (size_t)g->head[1] << 8 | g->head[2];
			ok = check_frame(g, g->skip, ret_limit);
			heads += g->head[3] == FRAME_HEADERS;
		}
		at += ok ? n : 0;
	}
	*ret_n = at;
	return ok;
}
