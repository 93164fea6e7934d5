/* h2_server_internal: what h2_server.c and h2_server_stream.c share. For no one else. */
#ifndef WEIR_NET_H2_SERVER_INTERNAL_H
#define WEIR_NET_H2_SERVER_INTERNAL_H

#include "core/base/list.h"
#include "core/net/h2_guard.h"
#include "core/net/h2_server.h"
#include "core/net/h2_session.h"
#include "core/net/http_fields.h"

/* What is wrong with the header block that is coming. */
enum head_fault {
	HEAD_FINE,
	HEAD_REFUSED, /* its stream has been reset already */
	HEAD_TOO_LARGE,
	HEAD_MALFORMED,
};

struct h2_server {
	struct h2_session s; /* first: nghttp2's callbacks are given both at one address */
	const struct h2_server_events *events;
	void *arg;
	const struct http_limits *limits;
	struct h2_guard guard;
	struct list streams;
	struct list closed; /* forgotten by nghttp2, not yet told of */
	unsigned n_streams, n_stalled, n_hungry;
	uint64_t unfinished, withheld; /* bytes; see h2_server_set_unfinished() */
	struct http_fields head;       /* that is coming */
	enum head_fault head_fault;
	bool settings_sent, ping_is_out, warning_is_out;
	bool going_away, peer_going_away; /* GOAWAY has been said */
	bool struck;                      /* by a limit that ends the connection */
	bool no_memory;                   /* where it could not be said */
};

struct h2_server_stream {
	struct list link;
	struct h2_server *server;
	int32_t id;
	bool request_ended;
	bool over;      /* answered or reset: no events but the last */
	bool answering; /* counted in n_stalled */
	bool answered;  /* and all of it sent */
	bool reset;     /* by our owner */
	bool closed;    /* for nghttp2 */
	void *data;
	struct http_request request;    /* its fields lie behind the stream */
	struct buffer body;             /* of the response */
	size_t sent;                    /* of the body */
	struct http_body_source source; /* of what follows it */
	bool hungry;                    /* the body has been sent: the source is to be asked */
	nghttp2_nv *trailers;           /* with their bytes behind them */
	size_t n_trailers;
};

/* ---- h2_server.c */

/* Counts a limit; one that ends the connection does so when nghttp2 has returned. */
void h2_server_strike(struct h2_server *h, enum http_limit l);
void h2_server_strike_down(struct h2_server *h, enum http_limit l);

/* nghttp2's answer to being told something: what fails here ends the connection later. */
void h2_server_note(struct h2_server *h, int code);

/* A stream that the peer has made be reset. */
void h2_server_provoked(struct h2_server *h);

/* ---- h2_server_stream.c */

int h2_server_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg);
int h2_server_on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                        size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                        void *arg);
int h2_server_on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                                const uint8_t *name, size_t name_len, const uint8_t *value,
                                size_t value_len, uint8_t flags, void *arg);
void h2_server_headers_complete(struct h2_server *h, const nghttp2_frame *frame);
int h2_server_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                           size_t length, nghttp2_data_source *source, void *arg);
void h2_server_stream_left(struct h2_server_stream *s); /* no longer answering */
/* Asks the sources of all whose body has been sent. */
void h2_server_feed(struct h2_server *h);
void h2_server_stream_free(struct h2_server_stream *s);

#endif
