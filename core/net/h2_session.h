/* h2_session: what both sides of an HTTP/2 connection share: how nghttp2's frames are gathered and handed
 * to the transport, and the limits that are put on any peer. For h2.c and h2_server*.c only.
 *
 * Bodies are not copied: their frames are pieces that refer to where they lie, so these bytes stay in
 * place until h2_session_send() returns. What is gathered lives on that function's stack. */
#ifndef WEIR_NET_H2_SESSION_H
#define WEIR_NET_H2_SESSION_H

#include "core/base/error.h"
#include "core/net/http_header.h"

#include <nghttp2/nghttp2.h>

struct h2_gathering;

struct h2_session {
	nghttp2_session *session;
	bool (*write)(void *arg, const struct slice *pieces, size_t n);
	size_t (*unsent)(void *arg);
	void *arg;
	struct h2_gathering *gathering; /* while something is sent */
	bool inside;                    /* nghttp2 is running: it may not be entered again */
	bool paused, write_failed;
	char reason[112]; /* what nghttp2 said last about the peer's mistakes */
};

/* The limits of newer libraries, not left to the one that is installed: CONTINUATION frames of a header
 * block (CVE-2024-28182), entries of a SETTINGS frame, PING and SETTINGS that want an answer from us
 * and are never read (CVE-2019-9512, -9515). */
enum { H2_MAX_CONTINUATIONS = 8, H2_MAX_SETTINGS = 32, H2_MAX_UNSENT_ANSWERS = 1000 };

/* Callbacks and options as both sides want them. 0, or nghttp2's code. */
int h2_session_options(nghttp2_session_callbacks **ret_callbacks, nghttp2_option **ret_options);

/* nghttp2's error_callback2; the session's user data begins with its struct h2_session. */
int h2_session_on_complaint(nghttp2_session *session, int code, const char *text, size_t len,
                            void *arg);

/* Hands nghttp2's frames to the transport while it takes them, and at most one more; with at_all_costs
 * also when it does not. 0, or nghttp2's code. */
int h2_session_send(struct h2_session *h, bool at_all_costs);

/* For a DATA frame without a copy, in nghttp2's send_data callback: head, bytes..., end. What
 * h2_session_data_end() returns is the callback's. */
void h2_session_data_begin(struct h2_session *h, const uint8_t *head);
void h2_session_data(struct h2_session *h, struct slice bytes);
int h2_session_data_end(struct h2_session *h);

/* The error that a code of nghttp2 is, also when the transport was the reason. */
int h2_session_failed(const struct h2_session *h, int code, struct error *error);

bool h2_session_is_finished(const struct h2_session *h);

nghttp2_nv h2_field(const struct http_header *header);

#endif
