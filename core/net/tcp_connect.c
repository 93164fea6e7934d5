/* Happy path: resolve -> try_next -> on_connected -> on_open.
 * Fails: the name is unknown · every address refused (all are named in the sentence) · no memory.
 * An address that is silent does not hold up the others: the next one is tried beside it after
 * STAGGER_MS (RFC 8305), and the first to answer wins. */
#include "core/net/tcp_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

enum { STAGGER_MS = 250 };

/* More addresses of one name than this are not tried. */
enum { TCP_ATTEMPTS = 8 };

struct tcp_attempt {
	struct tcp_socket socket; /* first: it may become the connection's */
	uv_connect_t connect;
	struct tcp_connecting *owner; /* NULL: given up, only waits to be closed */
};

struct tcp_connecting {
	struct tcp *tcp; /* NULL: connected */
	uv_timer_t stagger;
	struct endpoint endpoint;
	struct tcp_resolve *resolve;
	struct tcp_attempt *attempts[TCP_ATTEMPTS];
	struct sockaddr_storage addresses[TCP_ATTEMPTS];
	unsigned n_addresses, next_address, running;
	int last_failure;
	struct buffer failures; /* "127.0.0.1:1: connection refused; ..." */
};

/* libuv cannot take a running look-up back, so it outlives the connection that asked. */
struct tcp_resolve {
	uv_getaddrinfo_t uv;
	struct tcp_connecting *owner; /* NULL: nobody waits any more */
};

static void fail(struct tcp_connecting *c, int r, const char *why)
{
	struct error error = ERROR_INIT;

	error_set_retryable(&error, r, "connect to %s: %s", c->endpoint.text, why);
	tcp_end(c->tcp, &error);
}

static void note_failure(struct tcp_connecting *c, const char *address, int r)
{
	c->last_failure = r;
	if (c->failures.len)
		buffer_append_string(&c->failures, "; ");
	buffer_printf(&c->failures, "%s: %s", address, uv_strerror(r));
}

static void forget(struct tcp_connecting *c, struct tcp_attempt *attempt)
{
	for (unsigned i = 0; i < TCP_ATTEMPTS; i++)
		if (c->attempts[i] == attempt)
			c->attempts[i] = NULL;
	c->running--;
}

static void on_closed(uv_handle_t *handle)
{
	struct tcp_connecting *c = handle->data;
	struct tcp *t = c->tcp;

	buffer_fini(&c->failures);
	free(c);
	if (t)
		tcp_release(t);
}

/* Gives up what is still under way. */
static void finish(struct tcp_connecting *c)
{
	if (c->resolve)
		c->resolve->owner = NULL;
	for (unsigned i = 0; i < TCP_ATTEMPTS; i++)
		if (c->attempts[i]) {
			c->attempts[i]->owner = NULL;
			tcp_socket_drop(&c->attempts[i]->socket);
		}
	uv_close((uv_handle_t *)&c->stagger, on_closed);
}

void tcp_connect_cancel(struct tcp *t)
{
	finish(t->connecting);
}

static void try_next(struct tcp_connecting *c);

static void on_connected(uv_connect_t *request, int status)
{
	struct tcp_attempt *attempt = request->data;
	struct tcp_connecting *c = attempt->owner;
	struct tcp *t;
	int fd;

	if (!c) /* given up meanwhile */
		return;
	t = c->tcp;
	forget(c, attempt);
	if (status == 0)
		status = tcp_adopt(t, &attempt->socket);
	if (status < 0) {
		note_failure(c, attempt->socket.address, status);
		tcp_socket_drop(&attempt->socket);
		try_next(c);
		return;
	}
	if (attempt->socket.uv.handle.type == UV_TCP &&
	    uv_fileno(&attempt->socket.uv.handle, &fd) == 0)
		tcp_set_options(fd);
	t->connecting = NULL;
	c->tcp = NULL;
	finish(c);
	t->events->on_open(t->arg);
}

static struct tcp_attempt *attempt_new(struct tcp_connecting *c, const char *address)
{
	struct tcp_attempt *attempt = (void *)tcp_socket_new(sizeof *attempt, address);

	if (!attempt)
		return NULL;
	attempt->owner = c;
	attempt->connect.data = attempt;
	return attempt;
}

static int start_attempt(struct tcp_connecting *c, unsigned index)
{
	const struct sockaddr *address = (const struct sockaddr *)&c->addresses[index];
	char text[TCP_ADDRESS_TEXT];
	struct tcp_attempt *attempt;
	int r;

	tcp_address_format(address, text);
	attempt = attempt_new(c, text);
	if (!attempt) {
		note_failure(c, text, -ENOMEM);
		return -ENOMEM;
	}
	uv_tcp_init(c->stagger.loop, &attempt->socket.uv.tcp);
	r = uv_tcp_connect(&attempt->connect, &attempt->socket.uv.tcp, address, on_connected);
	if (r < 0) {
		note_failure(c, text, r);
		tcp_socket_drop(&attempt->socket);
		return r;
	}
	c->attempts[index] = attempt;
	c->running++;
	return 0;
}

static void on_stagger(uv_timer_t *timer)
{
	try_next(timer->data);
}

/* Starts the next address that can be started; ends in failure when none is left or running. */
static void try_next(struct tcp_connecting *c)
{
	const char *why;

	while (c->next_address < c->n_addresses)
		if (start_attempt(c, c->next_address++) == 0) {
			if (c->next_address < c->n_addresses)
				uv_timer_start(&c->stagger, on_stagger, STAGGER_MS, 0);
			return;
		}
	uv_timer_stop(&c->stagger);
	if (c->running > 0)
		return;
	why = buffer_string(&c->failures);
	fail(c, c->last_failure, why ? why : "out of memory");
}

static const char *resolve_failure(int status)
{
	switch (status) {
	case UV_EAI_NONAME:
	case UV_EAI_NODATA:
		return "no such host; check the name and this machine's DNS";
	case UV_EAI_AGAIN:
		return "the name server does not answer";
	default:
		return uv_strerror(status);
	}
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct tcp_resolve *r = request->data;
	struct tcp_connecting *c = r->owner;

	free(r);
	if (!c)
		goto out;
	c->resolve = NULL;
	if (status < 0) {
		fail(c, status, resolve_failure(status));
		goto out;
	}
	for (const struct addrinfo *a = found; a && c->n_addresses < TCP_ATTEMPTS; a = a->ai_next)
		if ((a->ai_family == AF_INET || a->ai_family == AF_INET6) &&
		    a->ai_addrlen <= sizeof c->addresses[0])
			memcpy(&c->addresses[c->n_addresses++], a->ai_addr, a->ai_addrlen);
	if (c->n_addresses == 0)
		fail(c, -EADDRNOTAVAIL, "the name has no IPv4 or IPv6 address");
	else
		try_next(c);
out:
	uv_freeaddrinfo(found);
}

static int start_resolve(struct tcp_connecting *c)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
	const char *host = tcp_lookup_name(c->endpoint.host);
	struct tcp_resolve *r = calloc(1, sizeof *r);
	char port[8];
	int code;

	if (!r)
		return -ENOMEM;
	snprintf(port, sizeof port, "%u", c->endpoint.port);
	r->owner = c;
	r->uv.data = r;
	code = uv_getaddrinfo(c->stagger.loop, &r->uv, on_resolved, host, port, &hints);
	if (code < 0)
		free(r);
	else
		c->resolve = r;
	return code;
}

static int start_path(struct tcp_connecting *c)
{
	char text[sizeof c->endpoint.host + sizeof "unix:"];
	struct tcp_attempt *attempt;

	snprintf(text, sizeof text, "unix:%s", c->endpoint.host);
	attempt = attempt_new(c, text);
	if (!attempt)
		return -ENOMEM;
	uv_pipe_init(c->stagger.loop, &attempt->socket.uv.pipe, 0);
	c->attempts[0] = attempt;
	c->running = 1;
	uv_pipe_connect(&attempt->connect, &attempt->socket.uv.pipe, c->endpoint.host,
	                on_connected);
	return 0;
}

int tcp_connect(struct loop *loop, const struct endpoint *endpoint, const struct tcp_events *events,
                void *arg, struct tcp **ret, struct error *error)
{
	struct tcp *t = tcp_new(loop, events, arg);
	struct tcp_connecting *c = t ? calloc(1, sizeof *c) : NULL;
	int r;

	if (!c) {
		free(t);
		return error_no_memory(error);
	}
	t->connecting = c;
	c->tcp = t;
	c->endpoint = *endpoint;
	uv_timer_init(loop_uv(loop), &c->stagger);
	c->stagger.data = c;
	r = endpoint->scheme == ENDPOINT_UNIX ? start_path(c) : start_resolve(c);
	if (r < 0) {
		tcp_free(t, NULL, NULL);
		return error_set_retryable(error, r, "connect to %s: %s", endpoint->text,
		                           uv_strerror(r));
	}
	*ret = t;
	return 0;
}
