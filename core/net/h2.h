/* h2: the client's side of one HTTP/2 connection, on nghttp2. Sans-I/O: the owner brings bytes and
 * takes bytes.
 *
 * Bodies are sent from where they lie, without a copy: pieces are handed to write() in frames, as
 * fast as the peer's windows and the transport take them. Callbacks may start and cancel streams;
 * they must not free the session, whose owner does that when nothing of it is running any more. */
#ifndef WEIR_NET_H2_H
#define WEIR_NET_H2_H

#include "core/base/error.h"
#include "core/net/http_header.h"

#include <stdint.h>

struct h2;
struct h2_stream;

struct h2_events {
	/* Takes all pieces and keeps no reference to them; false: the transport has failed. */
	bool (*write)(void *arg, const struct slice *pieces, size_t n);
	/* Bytes that write() took and that have not left yet; while there are any, no more are
	 * written. */
	size_t (*unsent)(void *arg);
	void (*on_ready)(void *arg); /* the peer's SETTINGS came: it does speak HTTP/2 */
	/* The peer takes no more streams. Those it will not process are closed as H2_REFUSED; when
	 * processed is false, that is all of them. */
	void (*on_goaway)(void *arg, uint32_t code, bool processed, struct slice debug);
};

enum h2_close {
	H2_ENDED,   /* the response is complete */
	H2_REFUSED, /* the peer has not processed the request: it can be sent again at once */
	H2_RESET,   /* the peer, or a broken rule of HTTP/2, ended the stream */
};

struct h2_stream_events {
	void (*on_header)(void *arg, struct slice name, struct slice value); /* ":status" too */
	void (*on_headers_end)(void *arg); /* of one header block */
	void (*on_data)(void *arg, struct slice bytes);
	/* Once, unless cancelled; code is HTTP/2's. Neither stream nor body are used any more. */
	void (*on_closed)(void *arg, enum h2_close how, uint32_t code);
};

/* -ENOMEM. */
int h2_new(const struct h2_events *events, void *arg, struct h2 **ret, struct error *error);
void h2_free(struct h2 *h); /* no callbacks; takes NULL */

/* Takes in bytes and sends what follows from them. Fails for good: -EPROTO, -ENOMEM, -EPIPE
 * (write). */
int h2_receive(struct h2 *h, struct slice bytes, struct error *error);

/* Sends what is waiting, as far as the transport takes it. The same failures. Inside callbacks it
 * does nothing: what is waiting is sent when they return. */
int h2_send(struct h2 *h, struct error *error);

/* How many streams the peer lets us open now. */
unsigned h2_capacity(const struct h2 *h);

/* No stream can be started any more: the peer goes away, or the numbers have run out. */
bool h2_is_exhausted(const struct h2 *h);

/* Starts a request. Headers are copied; the body's array and bytes are the caller's and stay until
 * the stream is closed or cancelled. -ENOMEM. */
int h2_request(struct h2 *h, const struct http_header *headers, size_t n_headers,
               const struct slice *body, size_t n_body, const struct h2_stream_events *events,
               void *arg, struct h2_stream **ret, struct error *error);

/* Tells the peer that the answer is not wanted any more. No event follows. */
void h2_cancel(struct h2_stream *s);

/* Asks the peer for a sign of life: any bytes. */
void h2_ping(struct h2 *h);

/* Nothing can be sent or received any more: the session has ended properly. */
bool h2_is_finished(const struct h2 *h);

/* "ENHANCE_YOUR_CALM" */
const char *h2_code_name(uint32_t code);

#endif
