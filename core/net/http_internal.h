/* http_internal: what the files of http_server share. For no one else.
 *
 * http_server.c     the listener, what is counted, drain and close
 * http_connection.c one connection: its bytes, its life, its end
 * http_patience.c   its time limits
 * http_exchange.c   requests and responses, whichever version carries them
 * http_h1.c, http_h2.c  the two versions */
#ifndef WEIR_NET_HTTP_INTERNAL_H
#define WEIR_NET_HTTP_INTERNAL_H

#include "core/base/list.h"
#include "core/loop/timer.h"
#include "core/net/h1.h"
#include "core/net/h2_server.h"
#include "core/net/http_server.h"
#include "core/net/stream.h"

#include <uv.h>

enum http_exchange_state {
	EXCHANGE_READING,   /* the request has not ended */
	EXCHANGE_WAITING,   /* it has; its bytes are unfinished */
	EXCHANGE_ANSWERING, /* HTTP/2: the response is on its way, the handler has forgotten it */
};

struct http_exchange {
	struct list link; /* of its connection */
	struct http_connection *connection;
	struct h2_server_stream *stream; /* NULL: HTTP/1.1 */
	struct http_request request;
	void *data;
	enum http_exchange_state state;
	uint64_t body_bytes; /* so far */
	uint64_t since;      /* READING: on the connection's body clock; ANSWERING: on the loop's */
};

enum http_phase {
	HTTP_HANDSHAKE, /* TLS is not agreed upon */
	HTTP_UNKNOWN,   /* plain, and what came does not tell which version it is */
	HTTP_1,
	HTTP_2,
	HTTP_LINGERING, /* our side has ended: what still comes is thrown away until the peer has
	                   read our last words and ends its own */
};

/* What is read at once where heads of requests are expected, and more of them would have to be kept. */
enum { HTTP_READ_HEADS = 16 * 1024 };

struct http_connection {
	struct list link;  /* of the server */
	struct list later; /* of the server: responses wait to be sent together, or requests for
	                      their turn */
	struct http_server *server;
	struct stream *stream;
	struct timer *timer;
	struct h1 *h1; /* one of both, once it is known which */
	struct h2_server *h2;
	enum http_phase phase;
	unsigned busy; /* functions of this module that are at work on it: it is not freed then */
	bool doomed;   /* freed when nothing is at work on it */
	bool draining; /* ends when no request is left */
	bool warned;   /* HTTP/2: it had its time to answer the ping behind the warning */
	bool ended;    /* the peer has ended its side, or the connection is broken */
	struct list exchanges;
	uint64_t unfinished;   /* bytes of requests that wait for their response */
	struct buffer pending; /* read and not yet taken: it is not this connection's turn, or, with
	                          HTTP/1.1, the current request is not answered */

	/* HTTP/1.1 */
	struct http_exchange *current; /* being read or waited for */
	bool had_request;
	bool skipping; /* the rest of a body whose request has been answered */
	bool feeding;  /* bytes are being taken; what follows from them is sent when they are */
	struct http_body_source source; /* of the response that is being sent; next NULL: none */
	bool chunked, keep_alive;       /* how its body is cut, and whether another may follow */

	/* moments, 0: not so now; http_patience.c */
	uint64_t opened, received; /* received: the last bytes */
	uint64_t armed;            /* when the timer looks next */
	uint64_t head_since; /* a head is being waited for, or the rest of a body that is skipped */
	uint64_t idle_since; /* no request */
	uint64_t unsent_since; /* the transport takes nothing */
	uint64_t source_since; /* a body is made while it is sent */
	uint64_t warned_since; /* HTTP/2: it may not know yet that it is to go elsewhere */
	uint64_t lingering_since, age_at, aged_since, pinged;
	uint64_t held_since,
		held; /* how long the window was withheld, so that bodies could not come */
	bool looked_late;
	uint32_t struck; /* kinds of strikes that were said since told_at */
	uint64_t told_at;
	uint8_t magic;        /* UNKNOWN: bytes of HTTP/2's preface that have come */
	size_t to_throw_away; /* LINGERING: what is still read */
};

struct http_server {
	struct loop *loop;
	struct http_server_config config;
	const struct http_handler *handler;
	void *arg;
	const struct logger *log;
	struct tcp_listener *listener;
	uint64_t max_connections;
	struct list connections, later;
	size_t n_connections, n_allocated; /* listed; whose memory is not yet free */
	uint64_t accepted, struck[HTTP_LIMIT_COUNT];
	uint64_t exhausted; /* the listener's count, as far as it is in struck */
	struct log_site sites[HTTP_LIMIT_COUNT];
	uv_idle_t turn; /* runs once before the loop waits again; costs no system call */
	bool turn_is_open, draining, closing;
	void (*drained)(void *arg);
	void *drained_arg;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- http_server.c */

/* Counts it and says so; detail may be NULL. */
void http_server_strike(struct http_server *s, enum http_limit l, const char *peer,
                        const char *detail);
/* A connection has left the list, or its memory is free. */
void http_server_settle(struct http_server *s);
/* The connection's waiting frames are sent once before the loop waits; with HTTP/1.1 it goes on with what it has
 * kept, after all others that can be read have had their turn. */
void http_server_go_on_later(struct http_server *s, struct http_connection *c);

/* ---- http_connection.c */

/* Takes the connection over, also when there is no memory. */
void http_connection_new(struct http_server *s, struct tcp *tcp);

/* Around everything that works on a connection; after leave it may be gone. */
void http_connection_enter(struct http_connection *c);
void http_connection_leave(struct http_connection *c);

bool http_connection_write(struct http_connection *c, const struct slice *pieces, size_t n);
/* Ends it as soon as nothing is at work on it. */
void http_connection_close(struct http_connection *c);
/* Ends our side once everything unsent has gone, and then waits a little for the peer's end. */
void http_connection_finish(struct http_connection *c, size_t to_throw_away);
/* No new requests; the end comes with the last response. */
void http_connection_drain(struct http_connection *c);
void http_connection_strike(struct http_connection *c, enum http_limit l, const char *detail);

/* ---- http_patience.c */

void http_patience_begin(struct http_connection *c);
/* The timer looks at that moment or earlier. */
void http_patience_arm(struct http_connection *c, uint64_t at);
/* After anything has happened: notes what is now being waited for. */
void http_patience_note(struct http_connection *c);
void http_patience_on_timer(void *arg);
/* A request has begun. */
void http_patience_expect(struct http_exchange *x);
/* Adds to or takes from what is unfinished. */
void http_patience_hold(struct http_connection *c, uint64_t bytes);
void http_patience_release(struct http_connection *c, uint64_t bytes);

/* ---- http_exchange.c */

/* NULL: no memory. The request's bytes stay the stream's or h1's. */
struct http_exchange *http_exchange_new(struct http_connection *c,
                                        const struct http_request *request,
                                        struct h2_server_stream *stream);
void http_exchange_receive(struct http_exchange *x, struct slice bytes);
void http_exchange_complete(struct http_exchange *x);
/* It will not be answered any more: tells the handler, if it does not know, and frees it. */
void http_exchange_lose(struct http_exchange *x);
void http_exchange_lose_all(struct http_connection *c);

/* ---- the versions */

bool http_h1_begin(struct http_connection *c); /* false: no memory */
void http_h1_receive(struct http_connection *c, struct slice bytes);
/* Goes on: with the next piece of a body that is made while it is sent, or else with what was kept. */
void http_h1_resume(struct http_connection *c);
bool http_h1_is_idle(const struct http_connection *c);
/* Writes it, frees x. */
void http_h1_respond(struct http_exchange *x, struct http_response *response);
/* The answer to what is no request, or took too long; the connection ends. */
void http_h1_refuse(struct http_connection *c, int status);

/* RFC 9113, 7 */
enum {
	HTTP_H2_NO_ERROR = 0,
	HTTP_H2_INTERNAL_ERROR = 2,
	HTTP_H2_REFUSED_STREAM = 7,
	HTTP_H2_CANCEL = 8,
	HTTP_H2_ENHANCE_YOUR_CALM = 11,
};
bool http_h2_begin(struct http_connection *c);
void http_h2_receive(struct http_connection *c, struct slice bytes);
void http_h2_send(struct http_connection *c);
void http_h2_resume(struct http_connection *c); /* goes on with what was kept, and sends */
void http_h2_respond(struct http_exchange *x, struct http_response *response);
/* Ends a stream that is too slow. */
void http_h2_cancel(struct http_exchange *x);
void http_h2_drain(struct http_connection *c);
/* Says that nothing more is taken, with the last words that the protocol has for it. */
void http_h2_end(struct http_connection *c, uint32_t code);

#endif
