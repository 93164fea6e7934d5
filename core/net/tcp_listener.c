#include "core/net/tcp_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

/* A name with more addresses than this is listened on at the first ones only. */
enum { LISTEN_ADDRESSES = 8, LISTEN_BACKLOG = 512 };

struct tcp_listener {
	union tcp_handle handles[LISTEN_ADDRESSES];
	unsigned n_handles, open;
	struct loop *loop;
	void (*on_accept)(void *arg, struct tcp *t);
	void *arg;
	uint16_t port;
	uint64_t exhausted;
	struct endpoint endpoint;
	bool closing;
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct tcp_listener *l = handle->data;

	if (--l->open == 0 && l->closing)
		free(l);
}

void tcp_listener_free(struct tcp_listener *l)
{
	if (!l)
		return;
	l->closing = true;
	if (l->open == 0) {
		free(l);
		return;
	}
	for (unsigned i = 0; i < l->n_handles; i++)
		if (!uv_is_closing(&l->handles[i].handle))
			uv_close(&l->handles[i].handle, on_handle_closed);
}

uint16_t tcp_listener_port(const struct tcp_listener *l)
{
	return l->port;
}

uint64_t tcp_listener_exhausted(const struct tcp_listener *l)
{
	return l->exhausted;
}

static void ignore_data(void *arg, struct slice bytes)
{
	(void)arg, (void)bytes;
}

static void ignore_end(void *arg, const struct error *error)
{
	(void)arg, (void)error;
}

/* What an accepted connection has until its owner calls tcp_serve(). */
static const struct tcp_events no_events = {.on_data = ignore_data, .on_end = ignore_end};

static void name_peer(struct tcp_socket *s, const struct tcp_listener *l)
{
	struct sockaddr_storage address;
	int len = sizeof address;

	if (s->uv.handle.type != UV_TCP)
		snprintf(s->address, sizeof s->address, "unix:%s", l->endpoint.host);
	else if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&address, &len) == 0)
		tcp_address_format((struct sockaddr *)&address, s->address);
}

/* The waiting connection, reading; NULL when it has gone already or there is no memory. */
static struct tcp *accept_from(struct tcp_listener *l, uv_stream_t *server)
{
	struct tcp *t = tcp_new(l->loop, &no_events, NULL);
	struct tcp_socket *s = t ? tcp_socket_new(t) : NULL;
	int r;

	if (!s) {
		tcp_free(t, NULL, NULL);
		return NULL;
	}
	if (server->type == UV_TCP)
		uv_tcp_init(loop_uv(l->loop), &s->uv.tcp);
	else
		uv_pipe_init(loop_uv(l->loop), &s->uv.pipe, 0);
	r = uv_accept(server, &s->uv.stream);
	if (r == 0)
		name_peer(s, l);
	if (r == 0)
		r = tcp_adopt(t, s);
	if (r < 0) {
		tcp_socket_drop(s);
		tcp_free(t, NULL, NULL);
		return NULL;
	}
	return t;
}

static void on_connection(uv_stream_t *server, int status)
{
	struct tcp_listener *l = server->data;
	struct tcp *t;

	if (status == UV_EMFILE || status == UV_ENFILE)
		l->exhausted++; /* libuv has closed it with a descriptor of its own */
	if (status < 0)
		return;
	t = accept_from(l, server);
	if (t)
		l->on_accept(l->arg, t);
}

/* Takes the next free handle; the caller opens it. */
static union tcp_handle *next_handle(struct tcp_listener *l)
{
	union tcp_handle *h = &l->handles[l->n_handles++];

	l->open++;
	return h;
}

static uint16_t bound_port(const uv_tcp_t *tcp)
{
	struct sockaddr_storage address;
	int len = sizeof address;

	if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len) < 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
	                                           : ((struct sockaddr_in *)&address)->sin_port);
}

static int listen_on(struct tcp_listener *l, const struct sockaddr *address, unsigned v6_flags)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} copy;
	union tcp_handle *h = next_handle(l);
	int r;

	if (address->sa_family == AF_INET6) {
		copy.v6 = *(const struct sockaddr_in6 *)address;
		copy.v6.sin6_port = htons(l->port);
	} else {
		copy.v4 = *(const struct sockaddr_in *)address;
		copy.v4.sin_port = htons(l->port);
	}
	uv_tcp_init(loop_uv(l->loop), &h->tcp); /* without a family it only fills the struct */
	h->tcp.data = l;
	r = uv_tcp_bind(&h->tcp, &copy.any, address->sa_family == AF_INET6 ? v6_flags : 0);
	if (r == 0)
		r = uv_listen(&h->stream, LISTEN_BACKLOG, on_connection);
	if (r < 0) {
		uv_close(&h->handle, on_handle_closed);
		return r;
	}
	if (l->port == 0)
		l->port = bound_port(&h->tcp);
	return 0;
}

/* The host does not have this family or address: no reason to fail while another one of the name
 * works. */
static bool is_absent(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

static int listen_error(struct error *error, const struct endpoint *endpoint, int r)
{
	if (r == -EADDRINUSE)
		return error_set(error, r,
		                 "listen on %s: address already in use; stop what listens there or "
		                 "choose another port",
		                 endpoint->text);
	if (r == -EACCES)
		return error_set(error, r,
		                 "listen on %s: permission denied; ports below 1024 need "
		                 "CAP_NET_BIND_SERVICE",
		                 endpoint->text);
	return error_set(error, r, "listen on %s: %s", endpoint->text, uv_strerror(r));
}

static int listen_on_any(struct tcp_listener *l, const struct endpoint *endpoint,
                         struct error *error)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int r = listen_on(l, (const struct sockaddr *)&v6, 0);

	if (is_absent(r))
		r = listen_on(l, (const struct sockaddr *)&v4, 0);
	return r < 0 ? listen_error(error, endpoint, r) : 0;
}

static int listen_on_name(struct tcp_listener *l, const struct endpoint *endpoint,
                          struct error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	uv_getaddrinfo_t request;
	unsigned listening = 0;
	int absent = 0;
	int r = uv_getaddrinfo(loop_uv(l->loop), &request, NULL, tcp_lookup_name(endpoint->host),
	                       "0", &hints);

	if (r < 0)
		return error_set(error, r, "listen on %s: %s", endpoint->text, uv_strerror(r));
	for (const struct addrinfo *a = request.addrinfo; a && listening < LISTEN_ADDRESSES;
	     a = a->ai_next) {
		r = listen_on(l, a->ai_addr, UV_TCP_IPV6ONLY);
		if (r == 0)
			listening++;
		else if (is_absent(r))
			absent = r;
		else
			break;
		if (l->n_handles == LISTEN_ADDRESSES)
			break;
	}
	uv_freeaddrinfo(request.addrinfo);
	if (r < 0 && !is_absent(r))
		return listen_error(error, endpoint, r);
	return listening ? 0 : listen_error(error, endpoint, absent ? absent : -EADDRNOTAVAIL);
}

static int listen_on_path(struct tcp_listener *l, const struct endpoint *endpoint,
                          struct error *error)
{
	union tcp_handle *h = next_handle(l);
	int r;

	uv_pipe_init(loop_uv(l->loop), &h->pipe, 0);
	h->pipe.data = l;
	r = uv_pipe_bind(&h->pipe, endpoint->host);
	if (r == 0)
		r = uv_listen(&h->stream, LISTEN_BACKLOG, on_connection);
	return r < 0 ? listen_error(error, endpoint, r) : 0;
}

int tcp_listen(struct loop *loop, const struct endpoint *endpoint,
               void (*on_accept)(void *arg, struct tcp *t), void *arg, struct tcp_listener **ret,
               struct error *error)
{
	struct tcp_listener *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return error_no_memory(error);
	l->loop = loop;
	l->on_accept = on_accept;
	l->arg = arg;
	l->endpoint = *endpoint;
	l->port = endpoint->port;
	if (endpoint->scheme == ENDPOINT_UNIX)
		r = listen_on_path(l, endpoint, error);
	else if (endpoint->host[0] == '\0')
		r = listen_on_any(l, endpoint, error);
	else
		r = listen_on_name(l, endpoint, error);
	if (r < 0) {
		tcp_listener_free(l);
		return r;
	}
	*ret = l;
	return 0;
}
