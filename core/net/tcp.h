/* tcp: a connection of bytes over TCP or a Unix socket, on the loop; and listening for them.
 *
 * Nothing handed to tcp_write() is kept by reference: what the socket does not take at once is
 * copied, and on_drained says when that has gone. So callers write until tcp_unsent() is not zero
 * and go on when they are told.
 *
 * tcp_free() may be called at any time, also from a callback: no callback follows, and the memory
 * goes when libuv has let go of the socket. */
#ifndef WEIR_NET_TCP_H
#define WEIR_NET_TCP_H

#include "core/base/endpoint.h"
#include "core/base/slice.h"
#include "core/loop/loop.h"

struct tcp;

struct tcp_events {
	void (*on_open)(void *arg);                     /* connected; for tcp_connect() only */
	void (*on_data)(void *arg, struct slice bytes); /* which are gone when it returns */
	void (*on_drained)(void *arg); /* everything unsent has gone; may be NULL */
	/* No connection was made, or it broke (error), or the peer has ended its side (error is
	 * NULL; what is unsent still goes, and on_drained tells). Comes once; nothing but tcp_free()
	 * is left to do. */
	void (*on_end)(void *arg, const struct error *error);
};

/* Resolves the endpoint's name and tries its addresses in order, the next one when one fails or is
 * still silent after 250 ms; the first to answer is taken. Returns 0, or -ENOMEM. Everything else
 * is told through on_end, whose sentence names every address and why it failed. */
int tcp_connect(struct loop *loop, const struct endpoint *endpoint, const struct tcp_events *events,
                void *arg, struct tcp **ret, struct error *error);

struct loop *tcp_loop(const struct tcp *t);

/* Takes over an accepted connection and starts reading; from on_accept only. */
void tcp_serve(struct tcp *t, const struct tcp_events *events, void *arg);

/* Sends the pieces in order, after what is unsent. False when there is no memory to keep the rest, or the connection
 * has ended: then close it, on_end does not follow. When the peer takes no more, the bytes are lost and on_end follows. */
bool tcp_write(struct tcp *t, const struct slice *pieces, size_t n);
size_t tcp_unsent(const struct tcp *t);

/* Ends this side once everything unsent has gone; reading goes on. */
void tcp_finish(struct tcp *t);

/* Nothing is read while it is paused, and an end of the connection not noticed unless something is written. */
void tcp_pause(struct tcp *t, bool paused);

/* So much may come with one on_data from now on; what is more than the loop's buffer, or 0, means all that fits
 * there. */
void tcp_set_read_size(struct tcp *t, size_t bytes);

/* "127.0.0.1:4317", "[::1]:4317", "unix:/path"; "" when not connected. */
const char *tcp_peer(const struct tcp *t);

/* freed(arg), when given, is called once the memory has gone. Takes NULL (then freed is called at
 * once). */
void tcp_free(struct tcp *t, void (*freed)(void *arg), void *arg);

struct tcp_listener;

/* Listens on every address of the endpoint's name; an empty host is all addresses of both families.
 * With port 0 all of them get the same free port. The callback owns the connection it is given.
 * A Unix socket's file gets the permissions that the umask leaves, and is removed in the end; one that
 * a killed process has left behind is replaced. Errors name address and cause. */
int tcp_listen(struct loop *loop, const struct endpoint *endpoint,
               void (*on_accept)(void *arg, struct tcp *t), void *arg, struct tcp_listener **ret,
               struct error *error);

/* 0 for a Unix socket. */
uint16_t tcp_listener_port(const struct tcp_listener *l);

/* Connections that came when the process had no file descriptor left: they were closed at once, with
 * one that is kept in reserve. */
uint64_t tcp_listener_exhausted(const struct tcp_listener *l);

/* Stops listening at once; takes NULL. */
void tcp_listener_free(struct tcp_listener *l);

#endif
