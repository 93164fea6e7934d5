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

/* libuv cannot take a running look-up back, so it outlives the connection that asked. */
struct tcp_resolve {
	uv_getaddrinfo_t uv;
	struct tcp *owner; /* NULL: nobody waits any more */
};

static void fail(struct tcp *t, int r, const char *why)
{
	struct error error = ERROR_INIT;

	error_set_retryable(&error, r, "connect to %s: %s", t->endpoint.text, why);
	tcp_end(t, &error);
}

static void note_failure(struct tcp *t, const char *address, int r)
{
	t->last_failure = r;
	if (t->failures.len)
		buffer_append_string(&t->failures, "; ");
	buffer_printf(&t->failures, "%s: %s", address, uv_strerror(r));
}

static void forget(struct tcp *t, struct tcp_socket *s)
{
	for (unsigned i = 0; i < TCP_ATTEMPTS; i++)
		if (t->attempts[i] == s)
			t->attempts[i] = NULL;
	t->running--;
}

void tcp_connect_cancel(struct tcp *t)
{
	uv_timer_stop(&t->stagger);
	if (t->resolve)
		t->resolve->owner = NULL;
	t->resolve = NULL;
	for (unsigned i = 0; i < TCP_ATTEMPTS; i++)
		if (t->attempts[i]) {
			tcp_socket_drop(t->attempts[i]);
			t->attempts[i] = NULL;
		}
	t->running = 0;
}

static void try_next(struct tcp *t);

static void on_connected(uv_connect_t *request, int status)
{
	struct tcp_socket *s = request->data;
	struct tcp *t = s->owner;

	if (!t) /* given up meanwhile */
		return;
	forget(t, s);
	if (status == 0)
		status = tcp_adopt(t, s);
	if (status == 0) {
		tcp_connect_cancel(t);
		t->events->on_open(t->arg);
		return;
	}
	note_failure(t, s->address, status);
	tcp_socket_drop(s);
	try_next(t);
}

static int start_attempt(struct tcp *t, unsigned index)
{
	const struct sockaddr *address = (const struct sockaddr *)&t->addresses[index];
	struct tcp_socket *s = tcp_socket_new(t);
	char text[TCP_ADDRESS_TEXT];
	int r;

	tcp_address_format(address, text);
	if (!s) {
		note_failure(t, text, -ENOMEM);
		return -ENOMEM;
	}
	snprintf(s->address, sizeof s->address, "%s", text);
	uv_tcp_init(loop_uv(t->loop), &s->uv.tcp);
	s->connect.data = s;
	r = uv_tcp_connect(&s->connect, &s->uv.tcp, address, on_connected);
	if (r < 0) {
		note_failure(t, text, r);
		tcp_socket_drop(s);
		return r;
	}
	t->attempts[index] = s;
	t->running++;
	return 0;
}

static void on_stagger(uv_timer_t *timer)
{
	try_next(timer->data);
}

/* Starts the next address that can be started; ends in failure when none is left or running. */
static void try_next(struct tcp *t)
{
	while (t->next_address < t->n_addresses)
		if (start_attempt(t, t->next_address++) == 0) {
			if (t->next_address < t->n_addresses)
				uv_timer_start(&t->stagger, on_stagger, STAGGER_MS, 0);
			return;
		}
	uv_timer_stop(&t->stagger);
	if (t->running == 0) {
		const char *why = buffer_string(&t->failures);
		fail(t, t->last_failure, why ? why : "out of memory");
	}
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
	struct tcp *t = r->owner;

	free(r);
	if (!t)
		goto out;
	t->resolve = NULL;
	if (status < 0) {
		fail(t, status, resolve_failure(status));
		goto out;
	}
	for (const struct addrinfo *a = found; a && t->n_addresses < TCP_ATTEMPTS; a = a->ai_next)
		if ((a->ai_family == AF_INET || a->ai_family == AF_INET6) &&
		    a->ai_addrlen <= sizeof t->addresses[0])
			memcpy(&t->addresses[t->n_addresses++], a->ai_addr, a->ai_addrlen);
	if (t->n_addresses == 0)
		fail(t, -EADDRNOTAVAIL, "the name has no IPv4 or IPv6 address");
	else
		try_next(t);
out:
	uv_freeaddrinfo(found);
}

static int start_resolve(struct tcp *t)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
	const char *host = tcp_lookup_name(t->endpoint.host);
	struct tcp_resolve *r = calloc(1, sizeof *r);
	char port[8];
	int code;

	if (!r)
		return -ENOMEM;
	snprintf(port, sizeof port, "%u", t->endpoint.port);
	r->owner = t;
	r->uv.data = r;
	code = uv_getaddrinfo(loop_uv(t->loop), &r->uv, on_resolved, host, port, &hints);
	if (code < 0)
		free(r);
	else
		t->resolve = r;
	return code;
}

static int start_path(struct tcp *t)
{
	struct tcp_socket *s = tcp_socket_new(t);

	if (!s)
		return -ENOMEM;
	snprintf(s->address, sizeof s->address, "unix:%s", t->endpoint.host);
	uv_pipe_init(loop_uv(t->loop), &s->uv.pipe, 0);
	s->connect.data = s;
	t->attempts[0] = s;
	t->running = 1;
	uv_pipe_connect(&s->connect, &s->uv.pipe, t->endpoint.host, on_connected);
	return 0;
}

int tcp_connect(struct loop *loop, const struct endpoint *endpoint, const struct tcp_events *events,
                void *arg, struct tcp **ret, struct error *error)
{
	struct tcp *t = tcp_new(loop, events, arg);
	int r;

	if (!t)
		return error_no_memory(error);
	t->endpoint = *endpoint;
	r = endpoint->scheme == ENDPOINT_UNIX ? start_path(t) : start_resolve(t);
	if (r < 0) {
		tcp_free(t, NULL, NULL);
		return error_set_retryable(error, r, "connect to %s: %s", endpoint->text,
		                           uv_strerror(r));
	}
	*ret = t;
	return 0;
}
