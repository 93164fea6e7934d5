/* tcp_internal: what tcp.c, tcp_connect.c and tcp_listener.c share. For no one else. */
#ifndef WEIR_NET_TCP_INTERNAL_H
#define WEIR_NET_TCP_INTERNAL_H

#include "core/base/buffer.h"
#include "core/net/tcp.h"

#include <uv.h>

union tcp_handle {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

/* What to ask getaddrinfo() for: NULL, its word for the loopback addresses, for "localhost" and for no
 * name. They need no look-up (RFC 6761, 6.3), and bare containers have no /etc/hosts that knows them. */
const char *tcp_lookup_name(const char *host);

enum { TCP_ADDRESS_TEXT = 64 };
void tcp_address_format(const struct sockaddr *address, char ret[TCP_ADDRESS_TEXT]);

/* A socket on its way to be the connection's, or already it. Freed in its own close callback. */
struct tcp_socket {
	union tcp_handle uv;
	uv_connect_t connect;
	struct tcp *owner; /* NULL: given up, only waits to be closed */
	char address[272];
};

/* More addresses of one name than this are not tried. */
enum { TCP_ATTEMPTS = 8 };

struct tcp_resolve;

struct tcp {
	struct loop *loop;
	const struct tcp_events *events;
	void *arg;
	struct tcp_socket *socket; /* NULL until connected */
	bool ended;                /* on_end was told */
	bool mute;                 /* a write failed */
	bool closing;
	unsigned handles; /* open ones that keep this memory */

	/* while connecting */
	uv_timer_t stagger; /* always open, so that freeing always takes a round of the loop */
	struct endpoint endpoint;
	struct tcp_resolve *resolve;
	struct tcp_socket *attempts[TCP_ATTEMPTS];
	struct sockaddr_storage addresses[TCP_ATTEMPTS];
	unsigned n_addresses, next_address, running;
	int last_failure;
	struct buffer failures; /* "127.0.0.1:1: connection refused; ..." */

	/* while connected */
	uv_write_t write;
	uv_shutdown_t shutdown;
	bool writing, finish;
	struct buffer waiting, being_written;

	void (*freed)(void *arg);
	void *freed_arg;
};

/* Without a socket yet; NULL when there is no memory. */
struct tcp *tcp_new(struct loop *loop, const struct tcp_events *events, void *arg);

/* Makes an open socket the connection's and starts reading. 0 or a negative errno. */
int tcp_adopt(struct tcp *t, struct tcp_socket *s);

/* Tells the end, once. */
void tcp_end(struct tcp *t, const struct error *error);

/* NULL when there is no memory. */
struct tcp_socket *tcp_socket_new(struct tcp *owner);

/* Closes a socket that is not the connection's; its memory goes by itself. */
void tcp_socket_drop(struct tcp_socket *s);

/* Gives up resolving and every attempt. */
void tcp_connect_cancel(struct tcp *t);

#endif
