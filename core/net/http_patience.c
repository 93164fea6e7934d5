/* One timer for each connection. It is not moved when something happens but looks, when it rings,
 * what is being waited for and since when; only what would be due before its next ring sets it
 * earlier. So a request costs a comparison, and an idle connection nothing. */
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/net/http_internal.h"

/* How long the peer may take to read our last words and to end its side. */
#define LINGER_NS (2 * NS_PER_S)
/* How long it may take to answer the ping behind the warning that this connection ends. */
#define WARNING_NS (1 * NS_PER_S)
/* With something unsent nobody tells when it has gone after our side has ended. */
#define LOOK_AGAIN_NS (1 * NS_PER_S)
/* A timer that rings so late was not alone: the process stood still, or had too much to do, and what
 * peers have sent in time is still to be read. */
#define LATE_NS (1 * NS_PER_S)
#define ONE_ROUND_NS (10 * NS_PER_MS)

void http_patience_arm(struct http_connection *c, uint64_t at)
{
	uint64_t now = loop_now_ns(c->server->loop);

	if (at >= c->armed)
		return;
	c->armed = at;
	timer_start(c->timer, at > now ? at - now : 0, 0);
}

void http_patience_begin(struct http_connection *c)
{
	const struct http_limits *limits = &c->server->config.limits;

	c->armed = UINT64_MAX;
	c->opened = c->received = loop_now_ns(c->server->loop);
	http_patience_arm(c, c->opened + (c->phase == HTTP_HANDSHAKE ? limits->handshake
	                                                             : limits->header_time));
	if (limits->keepalive_time)
		http_patience_arm(c, c->opened + limits->keepalive_time);
	if (limits->age) {
		c->age_at = c->opened + random_jitter(limits->age, 0.1);
		http_patience_arm(c, c->age_at);
	}
}

/* ---- bodies */

/* The time that bodies had to come in: stands still while the window is withheld. */
static uint64_t body_clock(const struct http_connection *c, uint64_t now)
{
	return (c->held_since ? c->held_since : now) - c->held;
}

void http_patience_expect(struct http_exchange *x)
{
	struct http_connection *c = x->connection;
	const struct http_limits *limits = &c->server->config.limits;
	uint64_t now = loop_now_ns(c->server->loop);

	x->since = body_clock(c, now);
	if (limits->body_rate)
		http_patience_arm(c, now + limits->body_grace);
	if (limits->read_time)
		http_patience_arm(c, now + limits->read_time);
}

/* Less than half of the window may not be given back at once, so from there on it is our doing when
 * nothing comes. */
static void note_window(struct http_connection *c)
{
	const struct http_limits *limits = &c->server->config.limits;
	bool withheld = c->unfinished >= limits->window / 2;
	uint64_t now = loop_now_ns(c->server->loop);

	if (withheld && !c->held_since) {
		c->held_since = now;
	} else if (!withheld && c->held_since) {
		c->held += now - c->held_since;
		c->held_since = 0;
		http_patience_arm(c, now + limits->body_grace);
	}
}

void http_patience_hold(struct http_connection *c, uint64_t bytes)
{
	c->unfinished += bytes;
	note_window(c);
}

void http_patience_release(struct http_connection *c, uint64_t bytes)
{
	c->unfinished -= bytes;
	note_window(c);
}

/* ---- what is being waited for */

static void note(uint64_t *since, bool waiting, struct http_connection *c, uint64_t limit)
{
	uint64_t now;

	if (!waiting) {
		*since = 0;
	} else if (*since == 0) {
		now = loop_now_ns(c->server->loop);
		*since = now;
		if (limit)
			http_patience_arm(c, now + limit);
	}
}

void http_patience_note(struct http_connection *c)
{
	const struct http_limits *limits = &c->server->config.limits;
	bool h1_idle = c->phase == HTTP_1 && http_h1_is_idle(c);
	bool unsent = stream_unsent(c->stream) > 0;

	note(&c->unsent_since, unsent, c, limits->write_time);
	note(&c->source_since, c->source.next != NULL, c, limits->write_time);
	note(&c->lingering_since, c->phase == HTTP_LINGERING && !unsent, c, LINGER_NS);
	note(&c->head_since,
	     (c->phase == HTTP_1 && !c->current && !c->source.next && !unsent &&
	      !(h1_idle && c->had_request)) ||
	             (c->phase == HTTP_2 && h2_server_is_in_head(c->h2)),
	     c, limits->header_time);
	note(&c->idle_since,
	     (h1_idle && c->had_request) || (c->phase == HTTP_2 && list_is_empty(&c->exchanges)), c,
	     limits->idle);
	note(&c->warned_since, c->phase == HTTP_2 && h2_server_warning_is_out(c->h2), c,
	     WARNING_NS);
	if (c->phase == HTTP_LINGERING && unsent)
		http_patience_arm(c, loop_now_ns(c->server->loop) + LOOK_AGAIN_NS);
}

/* Whether the limit is reached; otherwise *next is not after the moment at which it will be. */
static bool is_due(uint64_t since, uint64_t limit, uint64_t now, uint64_t *next)
{
	if (since == 0 || limit == 0)
		return false;
	if (since + limit <= now)
		return true;
	if (since + limit < *next)
		*next = since + limit;
	return false;
}

/* ---- one rule after the other; false: the connection is at its end */

static bool look_at_beginning(struct http_connection *c, uint64_t now, uint64_t *next)
{
	const struct http_limits *limits = &c->server->config.limits;

	if (c->phase == HTTP_HANDSHAKE && is_due(c->opened, limits->handshake, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_HANDSHAKE, NULL);
		http_connection_close(c);
		return false;
	}
	if (c->phase == HTTP_UNKNOWN && is_due(c->opened, limits->header_time, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_HEADER_TIME, NULL);
		http_connection_close(c);
		return false;
	}
	if (is_due(c->head_since, limits->header_time, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_HEADER_TIME, NULL);
		if (c->phase == HTTP_2)
			http_h2_end(c, HTTP_H2_ENHANCE_YOUR_CALM);
		else if (c->skipping)
			http_connection_close(c);
		else
			http_h1_refuse(c, 408);
		return false;
	}
	return true;
}

static bool look_at_end(struct http_connection *c, uint64_t now, uint64_t *next)
{
	const struct http_limits *limits = &c->server->config.limits;

	if (is_due(c->unsent_since, limits->write_time, now, next) ||
	    is_due(c->source_since, limits->write_time, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_WRITE_TIME, NULL);
		http_connection_close(c);
		return false;
	}
	if (is_due(c->lingering_since, LINGER_NS, now, next)) {
		http_connection_close(c);
		return false;
	}
	return c->phase != HTTP_LINGERING;
}

static bool look_at_age(struct http_connection *c, uint64_t now, uint64_t *next)
{
	const struct http_limits *limits = &c->server->config.limits;

	if (!c->draining && is_due(c->age_at, 1, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_AGE, NULL);
		c->aged_since = now;
		http_connection_drain(c);
	}
	if (is_due(c->warned_since, WARNING_NS, now, next))
		c->warned = true;
	if (is_due(c->aged_since, limits->age_grace, now, next)) {
		http_connection_close(c);
		return false;
	}
	if (!c->draining && is_due(c->idle_since, limits->idle, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_IDLE, NULL);
		http_connection_drain(c);
	}
	return true;
}

static bool look_at_ping(struct http_connection *c, uint64_t now, uint64_t *next)
{
	const struct http_limits *limits = &c->server->config.limits;
	uint64_t alive = c->received > c->pinged ? c->received : c->pinged;

	if (!h2_server_ping_is_out(c->h2)) {
		if (is_due(c->received, limits->keepalive_time, now, next)) {
			h2_server_ping(c->h2);
			c->pinged = now;
			http_h2_send(c);
			is_due(now, limits->keepalive_timeout, now, next);
		}
		return true;
	}
	if (is_due(alive, limits->keepalive_timeout, now, next)) {
		http_connection_strike(c, HTTP_LIMIT_KEEPALIVE, NULL);
		http_connection_close(c);
		return false;
	}
	return true;
}

/* Whether a request has broken a limit, and which. */
static bool look_at_request(const struct http_exchange *x, uint64_t now, uint64_t *next,
                            enum http_limit *ret)
{
	const struct http_limits *limits = &x->connection->server->config.limits;
	uint64_t body_now = body_clock(x->connection, now), next_body = UINT64_MAX;
	uint64_t body_time = limits->body_grace + 1;
	bool broken = false;

	if (x->state == EXCHANGE_ANSWERING) {
		*ret = HTTP_LIMIT_WRITE_TIME;
		return is_due(x->since, limits->write_time, now, next);
	}
	if (x->state == EXCHANGE_WAITING || x->connection->held_since)
		return false;
	if (is_due(x->since, limits->read_time, body_now, &next_body)) {
		*ret = HTTP_LIMIT_READ_TIME;
		broken = true;
	} else if (limits->body_rate) {
		*ret = HTTP_LIMIT_BODY_RATE;
		body_time += x->body_bytes / limits->body_rate * NS_PER_S;
		broken = is_due(x->since, body_time, body_now, &next_body);
	}
	if (next_body != UINT64_MAX && now + (next_body - body_now) < *next)
		*next = now + (next_body - body_now);
	return broken;
}

static void look_at_requests(struct http_connection *c, uint64_t now, uint64_t *next)
{
	struct http_exchange *x;
	enum http_limit broken;

again: /* a strike may take others with it */
	LIST_FOR_EACH(x, &c->exchanges, link) {
		if (!look_at_request(x, now, next, &broken))
			continue;
		http_connection_strike(c, broken, NULL);
		if (c->phase == HTTP_1) {
			http_h1_refuse(c, 408);
			return;
		}
		http_h2_cancel(x);
		if (c->doomed || c->phase != HTTP_2)
			return;
		goto again;
	}
}

static void look(struct http_connection *c, uint64_t now, uint64_t *next)
{
	if (!look_at_beginning(c, now, next) || !look_at_end(c, now, next) ||
	    !look_at_age(c, now, next))
		return;
	if (c->phase == HTTP_2 && !look_at_ping(c, now, next))
		return;
	look_at_requests(c, now, next);
}

void http_patience_on_timer(void *arg)
{
	struct http_connection *c = arg;
	uint64_t now = loop_now_ns(c->server->loop), due = c->armed, next = UINT64_MAX;

	http_connection_enter(c);
	c->armed = UINT64_MAX;
	if (now > due + LATE_NS && !c->looked_late) {
		c->looked_late = true;
		next = now + ONE_ROUND_NS;
	} else {
		c->looked_late = false;
		look(c, now, &next);
	}
	if (!c->doomed)
		http_patience_arm(c, next);
	http_connection_leave(c);
}
