#include "core/net/grpc_client.h"

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/net/grpc_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* gRPC's connection back-off (connection-backoff.md). */
#define BACKOFF_BASE_NS NS_PER_S
#define BACKOFF_MAX_NS (120 * NS_PER_S)
#define BACKOFF_FACTOR 1.6
#define BACKOFF_JITTER 0.2

static void maybe_closed(struct grpc_client *c)
{
	void (*closed)(void *arg) = c->closed;
	void *arg = c->closed_arg;

	if (!c->closing || c->open > 0)
		return;
	tls_context_free(c->tls);
	free(c);
	closed(arg);
}

void grpc_client_released(struct grpc_client *c)
{
	c->open--;
	maybe_closed(c);
}

static void back_off(struct grpc_client *c)
{
	uint64_t next = (uint64_t)((double)c->backoff_ns * BACKOFF_FACTOR);

	c->not_before_ns = clock_monotonic_ns() + random_jitter(c->backoff_ns, BACKOFF_JITTER);
	c->backoff_ns = next < BACKOFF_MAX_NS ? next : BACKOFF_MAX_NS;
}

void grpc_client_lost(struct grpc_client *c, const struct grpc_connection *n,
                      const struct error *why)
{
	bool worked =
		n->useful || (n->ready && clock_monotonic_ns() - n->ready_ns >= BACKOFF_BASE_NS);

	if (c->closing)
		return;
	if (worked) { /* at once: most likely the server was restarted */
		c->backoff_ns = BACKOFF_BASE_NS;
		log_info(c->log, "connection to %s lost: %s", c->where, why->message);
		return;
	}
	c->last_failure = *why;
	log_warn(c->log, "cannot connect to %s: %s", c->where, why->message);
	back_off(c);
}

static void connect_now(struct grpc_client *c)
{
	struct error error = ERROR_INIT;

	if (c->tls && tls_context_refresh(c->tls, &error) < 0) {
		log_warn(c->log, "certificates were not loaded again: %s", error.message);
		error_clear(&error);
	}
	if (grpc_connection_new(c, &c->current, &error) < 0) {
		c->last_failure = error;
		back_off(c);
	}
}

/* Starts as many waiting calls as the connection takes. */
static void start_waiting(struct grpc_client *c)
{
	struct grpc_connection *n = c->current;
	struct grpc_call *call;
	struct error error = ERROR_INIT;

	while (c->current == n && grpc_connection_has_room(n) &&
	       (call = LIST_FIRST(&c->waiting, struct grpc_call, link)))
		if (grpc_call_start(call, n, &error) < 0) {
			grpc_call_fail(call, GRPC_UNAVAILABLE, "%s", error.message);
			error_clear(&error);
		}
	if (c->current == n)
		grpc_connection_send(n);
}

/* There is no connection and none may be made yet. */
static void fail_waiting(struct grpc_client *c)
{
	uint64_t now = clock_monotonic_ns();
	struct grpc_call *call;

	if (c->config.wait_for_ready) {
		timer_start(c->retry, c->not_before_ns > now ? c->not_before_ns - now : 0, 0);
		return;
	}
	while ((call = LIST_FIRST(&c->waiting, struct grpc_call, link)))
		grpc_call_fail(call, GRPC_UNAVAILABLE, "not connected to %s: %s", c->where,
		               c->last_failure.message);
}

void grpc_client_dispatch(struct grpc_client *c)
{
	c->again = true; /* for whoever is at it already: a call that ends may bring a new one */
	if (c->dispatching || c->closing)
		return;
	c->dispatching = true;
	c->open++; /* a callback may close the client */
	while (c->again && !c->closing) {
		c->again = false;
		if (list_is_empty(&c->waiting))
			break;
		if (!c->current && clock_monotonic_ns() >= c->not_before_ns)
			connect_now(c);
		if (c->current)
			start_waiting(c);
		else
			fail_waiting(c);
	}
	c->dispatching = false;
	grpc_client_released(c);
}

static void on_retry(void *arg)
{
	grpc_client_dispatch(arg);
}

static void name_server(struct grpc_client *c)
{
	const struct endpoint *e = &c->config.endpoint;

	if (e->scheme == ENDPOINT_UNIX)
		snprintf(c->where, sizeof c->where, "unix:%s", e->host);
	else if (strchr(e->host, ':'))
		snprintf(c->where, sizeof c->where, "[%s]:%u", e->host, e->port);
	else
		snprintf(c->where, sizeof c->where, "%s:%u", e->host, e->port);
	/* Of a socket's path there is no authority; servers expect this. */
	snprintf(c->authority, sizeof c->authority, "%s",
	         c->config.authority          ? c->config.authority
	         : e->scheme == ENDPOINT_UNIX ? "localhost"
	                                      : c->where);
}

int grpc_client_new(struct loop *loop, const struct grpc_client_config *config,
                    const struct logger *log, struct grpc_client **ret, struct error *error)
{
	struct grpc_client *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_no_memory(error);
	c->loop = loop;
	c->config = *config;
	c->log = log;
	c->keepalive_time = config->keepalive_time;
	c->backoff_ns = BACKOFF_BASE_NS;
	list_init(&c->waiting);
	list_init(&c->connections);
	name_server(c);
	if (config->tls && (r = tls_context_new(config->tls, &c->tls, error)) < 0) {
		free(c);
		return r;
	}
	if (config->tls && tls_key_is_exposed(config->tls))
		log_warn(log,
		         "every user of this machine may read tls::key_file %s; take that right "
		         "away (chmod o-r)",
		         config->tls->key_file);
	c->retry = timer_new(loop, on_retry, c);
	if (!c->retry) {
		tls_context_free(c->tls);
		free(c);
		return error_no_memory(error);
	}
	*ret = c;
	return 0;
}

void grpc_client_call(struct grpc_client *c, const struct grpc_request *request, grpc_done done,
                      void *arg)
{
	struct grpc_call *call;

	if (c->closing) {
		done(arg,
		     &(struct grpc_response){.status = GRPC_CANCELLED, .text = "shutting down"});
		return;
	}
	call = grpc_call_new(c, request, done, arg);
	if (!call) {
		done(arg,
		     &(struct grpc_response){.status = GRPC_UNAVAILABLE, .text = "out of memory"});
		return;
	}
	list_push(&c->waiting, &call->link);
	grpc_client_dispatch(c);
}

void grpc_client_close(struct grpc_client *c, void (*closed)(void *arg), void *arg)
{
	struct grpc_connection *n;
	struct grpc_call *call;

	if (!c) {
		closed(arg);
		return;
	}
	c->closing = true;
	c->closed = closed;
	c->closed_arg = arg;
	timer_free(c->retry);
	while ((n = LIST_FIRST(&c->connections, struct grpc_connection, link))) {
		while ((call = LIST_FIRST(&n->calls, struct grpc_call, link)))
			grpc_call_fail(call, GRPC_CANCELLED, "shutting down");
		grpc_connection_close(n);
	}
	while ((call = LIST_FIRST(&c->waiting, struct grpc_call, link)))
		grpc_call_fail(call, GRPC_CANCELLED, "shutting down");
	maybe_closed(c);
}
