/* http_server: HTTP/1.1 and HTTP/2 requests with bodies, on one listener, plain or under TLS.
 *
 * What is above sees exchanges: one request and its response, whichever version of HTTP carried
 * them. Happy path of an exchange: on_request (the head) -> on_body ... -> on_body_end ->
 * http_respond(). A response may be given at any moment after on_request began, inside a callback or
 * later; what then still comes of the body is thrown away (HTTP/2: the stream is reset with NO_ERROR;
 * HTTP/1.1: the connection ends after a bounded rest). After http_respond() the exchange is the
 * server's: it may not be touched, and no event of it follows.
 * Fails: the client resets the stream, the connection breaks or runs into a limit -> on_gone, after
 * which the exchange does not exist.
 *
 * Nothing is buffered: bytes of a body are handed up as they come, and belong to the callback.
 *
 * Back-pressure: from on_body_end to http_respond() a request's bytes count as unfinished. The
 * HTTP/2 window of a connection is given back only for what exceeds its unfinished bytes, so a peer
 * can have at most limits.window bytes unfinished, and the requests it is still sending; an HTTP/1.1
 * connection is not read between a request and its response. */
#ifndef WEIR_NET_HTTP_SERVER_H
#define WEIR_NET_HTTP_SERVER_H

#include "core/base/buffer.h"
#include "core/base/endpoint.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/loop/loop.h"
#include "core/net/http_header.h"
#include "core/net/tls.h"

#include <stdint.h>

/* ---- one exchange */

struct http_exchange;

/* Valid until http_respond() or on_gone. */
struct http_request {
	struct slice method, path, query;  /* path without query; not percent-decoded */
	struct slice authority;            /* :authority or Host; empty: none */
	const struct http_header *headers; /* no pseudo-headers */
	size_t n_headers;
	bool has_length;        /* Content-Length came (and is held against the body) */
	uint64_t length;        /* of the body; 0 when it is known to be empty */
	unsigned version_major; /* 1 or 2 */
	const char *peer;       /* "127.0.0.1:40000", "unix:/path" */
};

/* A body that is made while it is sent: a piece when the last one has been taken and everybody else
 * on the loop has had a turn, so that a body of any size costs neither its memory nor a long turn.
 * The functions may not call the server. */
struct http_body_source {
	/* Appends the next piece to out, which is empty; some ten KiB are a good size. 1: more will
	 * follow, 0: that was the last, negative: it cannot go on; the client then sees a response
	 * that breaks off. */
	int (*next)(void *arg, struct buffer *out);
	void (*closed)(void *arg); /* once: all of it was sent, or nobody wants it any more */
	void *arg;
};

struct http_response {
	int status;
	const struct http_header *headers; /* content-length is the server's to write */
	size_t n_headers;
	struct buffer body; /* becomes the server's, also on failure */
	/* What follows body, when next is set: then there is no content-length (HTTP/1.1: chunked;
	 * 1.0: until the connection's end) and no trailers. All of it has limits.write_time. */
	struct http_body_source source;
	const struct http_header
		*trailers; /* HTTP/2 only; with an empty body and no headers they are
	                                       one block with the head (gRPC's Trailers-Only) */
	size_t n_trailers;
	bool close; /* HTTP/1.1: the connection ends after it; HTTP/2: nothing */
};

const struct http_request *http_exchange_request(const struct http_exchange *x);

/* The first field of that name (lower case); false: none. */
bool http_exchange_header(const struct http_exchange *x, const char *name, struct slice *ret);

/* What the owner of the handler remembers about it. */
void http_exchange_set_data(struct http_exchange *x, void *data);
void *http_exchange_data(const struct http_exchange *x);

/* Sends the response. Header bytes are copied. When there is no memory the stream or connection is
 * ended instead. */
void http_respond(struct http_exchange *x, struct http_response *response);

/* For who has to do without the body, or all of a response: closes the source, if there is one; frees
 * the body as well. */
void http_source_close(struct http_body_source *source);
void http_response_drop(struct http_response *response);

struct http_handler {
	void (*on_request)(void *arg, struct http_exchange *x);
	void (*on_body)(void *arg, struct http_exchange *x, struct slice bytes);
	void (*on_body_end)(void *arg, struct http_exchange *x);
	void (*on_gone)(void *arg, struct http_exchange *x); /* before any response was given */
	/* HTTP/1.1: the server itself answers what is not a request, is too long or too slow (400,
	 * 408, 417, 431, 501, 503, 505), and ends the connection. Fills headers (constants)
	 * and body; NULL: a line of plain text. */
	void (*on_bad_request)(void *arg, int status, struct http_response *response);
};

/* ---- limits: every one strikes into a counter */

enum http_limit {
	HTTP_LIMIT_CONNECTIONS, /* the newest is closed unanswered */
	HTTP_LIMIT_DESCRIPTORS, /* the process had none left: accepted and closed at once */
	HTTP_LIMIT_HANDSHAKE,   /* TLS not agreed upon in time, or refused */
	HTTP_LIMIT_HEADER_LIST, /* 431, or the stream is reset */
	HTTP_LIMIT_HEADER_TIME, /* a head that does not end in time */
	HTTP_LIMIT_BODY_RATE,   /* a body that comes slower than allowed: 408, or reset */
	HTTP_LIMIT_READ_TIME,   /* a request that does not end in time: as body_rate */
	HTTP_LIMIT_WRITE_TIME,  /* a response that is not taken: stalled windows, readers asleep */
	HTTP_LIMIT_IDLE,        /* a connection without a request */
	HTTP_LIMIT_KEEPALIVE,   /* a ping that was not answered */
	HTTP_LIMIT_AGE,         /* max_connection_age; no fault of the peer */
	HTTP_LIMIT_STREAMS,     /* a stream beyond the announced number: refused */
	HTTP_LIMIT_RESETS,      /* rapid reset (CVE-2023-44487), made-you-reset (CVE-2025-8671) */
	HTTP_LIMIT_CONTINUATIONS, /* CVE-2024-27316, CVE-2024-28182 */
	HTTP_LIMIT_SETTINGS,      /* entries of one frame, frames not acknowledged */
	HTTP_LIMIT_PINGS,  /* more often than the enforcement policy allows: ENHANCE_YOUR_CALM */
	HTTP_LIMIT_FRAMES, /* frames that carry nothing: PRIORITY, WINDOW_UPDATE, empty DATA, … */
	HTTP_LIMIT_PROTOCOL, /* what is not HTTP */
};
enum { HTTP_LIMIT_COUNT = HTTP_LIMIT_PROTOCOL + 1 };

/* "connections", "header_list", ...: the value of a metric's label. */
const char *http_limit_name(enum http_limit l);

/* 0 means no limit only where it is said. */
struct http_limits {
	uint64_t connections;
	uint64_t header_list; /* bytes of names and values of one request */
	uint64_t streams;     /* at once, of one connection */
	uint64_t window;      /* bytes of one connection: see back-pressure above */
	uint64_t handshake;   /* ns */
	uint64_t header_time; /* ns for a whole head */
	uint64_t body_rate;   /* bytes per second that a body must come with on average, after
	                         body_grace; 0: none */
	uint64_t body_grace;  /* ns */
	uint64_t read_time;   /* ns for a whole request; 0: none */
	uint64_t write_time;  /* ns for a response to be taken */
	uint64_t idle;        /* ns without a request; 0: none */
	uint64_t age,
		age_grace; /* ns; 0: none. After age (±10 %) the peer is told to go elsewhere, after
	                            age_grace more the connection is closed */
	uint64_t keepalive_time, keepalive_timeout; /* ns; HTTP/2 pings from us; time 0: none */
	uint64_t ping_min_time;                     /* ns between two pings of the peer */
	bool ping_without_stream;
	uint64_t resets, resets_rate; /* burst, and per second: resets the peer causes */
	uint64_t frames, frames_rate; /* burst, and per second: frames that carry nothing */
};
extern const struct http_limits http_default_limits;

/* ---- the server */

struct http_server;

/* Pointers stay their owner's; but for endpoint, which is only listened on, they outlive the server, as
 * do handler and log. */
struct http_server_config {
	const struct endpoint *endpoint;
	struct tls_context *tls; /* made with tls_server_context_new(); NULL: plain */
	bool http1, http2;       /* HTTP/2 by ALPN under TLS, by prior knowledge in plain text */
	bool no_keep_alive;      /* HTTP/1.1: one request a connection */
	/* connections: at most what the process's descriptors allow, less a reserve of 256 (or half
	 * of them, when that is less) for everything else. */
	struct http_limits limits;
};

/* Listens at once on every address of the endpoint's name. Errors name address and cause. */
int http_server_new(struct loop *loop, const struct http_server_config *config,
                    const struct http_handler *handler, void *arg, const struct logger *log,
                    struct http_server **ret, struct error *error);

uint16_t http_server_port(const struct http_server *s); /* for endpoints with port 0 */

size_t http_server_connections(const struct http_server *s);                 /* open now */
uint64_t http_server_accepted(const struct http_server *s);                  /* ever */
uint64_t http_server_struck(const struct http_server *s, enum http_limit l); /* how often */

/* Listens no more; connections without a request are closed, the others are told to go away (GOAWAY,
 * Connection: close) and end with their last response. drained(arg) comes once, when none is left;
 * maybe before this returns. */
void http_server_drain(struct http_server *s, void (*drained)(void *arg), void *arg);

/* Closes what is left at once, telling on_gone of each exchange; closed(arg) comes once, after which
 * all is freed; drained does not come any more. Takes NULL, then closed is called at once. */
void http_server_close(struct http_server *s, void (*closed)(void *arg), void *arg);

#endif
