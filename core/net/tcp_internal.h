/* tcp_internal: what tcp.c, tcp_connect.c and tcp_listener.c share. For no one else. */
#ifndef WEIR_NET_TCP_INTERNAL_H
#define WEIR_NET_TCP_INTERNAL_H

#include "core/base/buffer.h"
#include "core/net/tcp.h"

#include <uv.h>

/* What to ask getaddrinfo() for: NULL, its word for the loopback addresses, for "localhost" and for no
 * name. They need no look-up (RFC 6761, 6.3), and bare containers have no /etc/hosts that knows them. */
const char *tcp_lookup_name(const char *host);

enum { TCP_ADDRESS_TEXT = 64 };
void tcp_address_format(const struct sockaddr *address, char ret[TCP_ADDRESS_TEXT]);

/* Of a connection that is made, or of a listener, from which the accepted ones inherit. */
void tcp_set_options(int fd);

/* A socket on its way to be a connection's, or already it. One piece of memory, freed when libuv has let
 * go of it. */
struct tcp_socket {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	char *address;
};

/* size bytes that begin with a struct tcp_socket, with a copy of the address behind them; NULL when
 * there is no memory. */
struct tcp_socket *tcp_socket_new(size_t size, const char *address);

/* Closes a socket that is not the connection's; its memory goes by itself. */
void tcp_socket_drop(struct tcp_socket *s);

struct tcp_reader;
struct tcp_connecting;

/* There may be tens of thousands of these: what is needed for connecting only lies apart. */
struct tcp {
	struct loop *loop;
	const struct tcp_events *events;
	void *arg;
	struct tcp_connecting *connecting; /* NULL: connected, or accepted */
	struct tcp_socket *socket;         /* NULL until connected */
	struct tcp_reader *reader;         /* with the socket */

	union {
		uv_write_t write;
		uv_shutdown_t shutdown; /* comes after the last write */
	} request;
	struct buffer waiting, being_written;
	bool ended; /* on_end was told */
	bool mute;  /* a write failed */
	bool deaf;  /* and what still comes is thrown away up to the end */
	bool closing, writing, finish, paused;
	uint8_t reads;      /* since the socket had its turn */
	uint32_t read_size; /* of one read */

	void (*freed)(void *arg);
	void *freed_arg;
};

/* Without a socket yet; NULL when there is no memory. */
struct tcp *tcp_new(struct loop *loop, const struct tcp_events *events, void *arg);

/* Makes an open socket the connection's and starts reading. 0 or a negative errno. */
int tcp_adopt(struct tcp *t, struct tcp_socket *s);

/* Tells the end, once. */
void tcp_end(struct tcp *t, const struct error *error);

/* The last handle of a connection that is being freed has gone. */
void tcp_release(struct tcp *t);

/* Gives up resolving and every attempt. Calls tcp_release() later. */
void tcp_connect_cancel(struct tcp *t);

#endif
