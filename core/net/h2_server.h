/* h2_server: the server's side of one HTTP/2 connection, on nghttp2. Sans-I/O: the owner brings bytes
 * and takes bytes, and says what time it is.
 *
 * DATA is handed up as it lies in the bytes that were brought; responses are sent from where they
 * lie. Callbacks may respond to and reset streams; they must not free the session. The limits that
 * are HTTP/2's own are kept here (streams, header list, window, resets, CONTINUATION, SETTINGS, pings,
 * frames that carry nothing); those of time are the owner's, who owns the clock. */
#ifndef WEIR_NET_H2_SERVER_H
#define WEIR_NET_H2_SERVER_H

#include "core/net/http_server.h"

struct h2_server;
struct h2_server_stream;

struct h2_server_events {
	/* As in core/net/h2.h. */
	bool (*write)(void *arg, const struct slice *pieces, size_t n);
	size_t (*unsent)(void *arg);
	/* A request's head is complete, its fields checked (RFC 9113, 8.3). The request lives until
	 * the stream is closed. */
	void (*on_request)(void *arg, struct h2_server_stream *s,
	                   const struct http_request *request);
	void (*on_data)(void *arg, struct h2_server_stream *s, struct slice bytes);
	void (*on_end)(void *arg, struct h2_server_stream *s); /* of the request */
	/* The last event of a stream. answered: its whole response has been handed to write(). */
	void (*on_closed)(void *arg, struct h2_server_stream *s, bool answered);
	/* A limit has struck; when it ends the connection, h2_server_receive() says so next. */
	void (*on_limit)(void *arg, enum http_limit l);
};

/* -ENOMEM. The settings go out with the first h2_server_send(). The limits stay the caller's and outlive
 * it. */
int h2_server_new(const struct h2_server_events *events, void *arg,
                  const struct http_limits *limits, struct h2_server **ret, struct error *error);
void h2_server_free(struct h2_server *h); /* no callbacks; takes NULL */

/* Takes in bytes and sends what follows from them. *bytes moves on past what was taken: all of them, or as many as
 * hold the requests of one turn; then call it again with the rest when others have had theirs. Fails for good: -EPROTO, -ENOMEM, -EPIPE (write). A
 * GOAWAY has then been written if the connection could still take one; no event follows, not even
 * on_closed of what was open. */
int h2_server_receive(struct h2_server *h, struct slice *bytes, uint64_t now_ns,
                      struct error *error);

/* Sends what is waiting, as far as the transport takes it. The same failures. Inside callbacks it
 * does nothing: what is waiting is sent when they return. */
int h2_server_send(struct h2_server *h, struct error *error);

void h2_server_stream_set_data(struct h2_server_stream *s, void *data);
void *h2_server_stream_data(const struct h2_server_stream *s);

/* Answers; body and source become the session's (also on failure). What the request still brings is not wanted:
 * when it has not ended, the stream is reset with NO_ERROR after the response. To a stream that is
 * answered or reset already it does nothing. -ENOMEM, -E2BIG (more than 62 fields). */
int h2_server_respond(struct h2_server_stream *s, const struct http_response *response,
                      struct error *error);

/* Whether a response waits for its source (http_server.h), which h2_server_send() asks for one piece, and the
 * transport would take it. */
bool h2_server_is_hungry(const struct h2_server *h);

/* Ends it without a response; on_closed follows. */
void h2_server_reset(struct h2_server_stream *s, uint32_t code);

/* From now on so many bytes of the connection are unfinished: see back-pressure in http_server.h. */
void h2_server_set_unfinished(struct h2_server *h, uint64_t bytes);

void h2_server_ping(struct h2_server *h);
bool h2_server_ping_is_out(const struct h2_server *h); /* and not answered */

/* Tells the peer to open no more streams: at once with final, otherwise first with a warning so that
 * what is on its way is still served (RFC 9113, 6.8). The warning is out until the peer answers the
 * ping behind it: whatever it sent without knowing has come before. */
void h2_server_goaway(struct h2_server *h, uint32_t code, bool final);
bool h2_server_warning_is_out(const struct h2_server *h);

unsigned h2_server_streams(const struct h2_server *h); /* open now */
/* Streams of which a response is waiting for the peer to take it (windows, transport). */
unsigned h2_server_stalled(const struct h2_server *h);

/* The head of a request, or trailers, have begun and not ended. */
bool h2_server_is_in_head(const struct h2_server *h);

/* Nothing can be sent or received any more. */
bool h2_server_is_finished(const struct h2_server *h);

#endif
