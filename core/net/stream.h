/* stream: a connection, plain or under TLS, so that what is above need not know which.
 *
 * The events are those of core/net/tcp.h; on_open comes when TLS is agreed upon as well. As there,
 * nothing handed to stream_write() is kept by reference, and stream_free() may be called at any
 * time. */
#ifndef WEIR_NET_STREAM_H
#define WEIR_NET_STREAM_H

#include "core/net/tcp.h"
#include "core/net/tls.h"

struct stream;

/* tls NULL: plain. -ENOMEM; everything else is told through on_end. */
int stream_connect(struct loop *loop, const struct endpoint *endpoint, struct tls_context *tls,
                   const char *alpn, const struct tcp_events *events, void *arg,
                   struct stream **ret, struct error *error);

/* Takes over an accepted connection (also on failure), in place of tcp_serve(). A plain stream is open
 * at once; under TLS on_open comes when it is agreed upon. alpn as for tls_session_accept(). -ENOMEM. */
int stream_serve(struct tcp *t, struct tls_context *tls, const char *const *alpn,
                 const struct tcp_events *events, void *arg, struct stream **ret,
                 struct error *error);

/* What was agreed upon: "h2"; "" without TLS. */
const char *stream_alpn(const struct stream *s);

/* Nothing is read while it is paused. */
void stream_pause(struct stream *s, bool paused);

/* As tcp_set_read_size(). */
void stream_set_read_size(struct stream *s, size_t bytes);

/* As tcp_finish(). */
void stream_finish(struct stream *s);

/* False when the stream cannot go on: then free it, on_end does not follow. */
bool stream_write(struct stream *s, const struct slice *pieces, size_t n);
size_t stream_unsent(const struct stream *s);
const char *stream_peer(const struct stream *s);

void stream_free(struct stream *s, void (*freed)(void *arg), void *arg);

#endif
