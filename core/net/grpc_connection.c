/* Happy path: grpc_connection_new -> on_open -> on_ready -> calls -> grpc_connection_close.
 * Fails: no connection, no TLS, no SETTINGS in time (the attempt failed) · GOAWAY (drains: carries
 * its calls to their end, takes no new ones) · the peer ends it, breaks the protocol, does not
 * answer a ping, or is silent while calls expire (lost: every call on it fails as UNAVAILABLE). */
#include "core/net/grpc_internal.h"

#include "core/base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* Where the configuration says nothing. */
#define CONNECT_TIMEOUT_NS (20 * NS_PER_S)
#define SILENCE_LIMIT_NS (20 * NS_PER_S)

enum { CODE_NO_ERROR = 0, CODE_CALM = 11 };

static void on_freed(void *arg)
{
	struct grpc_connection *n = arg;
	struct grpc_client *c = n->client;

	h2_free(n->h2);
	free(n);
	grpc_client_released(c);
}

void grpc_connection_close(struct grpc_connection *n)
{
	if (n->closing)
		return;
	n->closing = true;
	list_remove(&n->link);
	if (n->client->current == n)
		n->client->current = NULL;
	timer_free(n->timer);
	n->timer = NULL;
	stream_free(n->stream, on_freed, n);
}

/* The one way in which a connection ends that was not meant to. */
static void lost(struct grpc_connection *n, const struct error *why)
{
	struct grpc_client *c = n->client;
	struct list calls;
	struct grpc_call *call;

	if (n->closing)
		return;
	grpc_connection_close(n);
	list_init(&calls);
	while ((call = LIST_FIRST(&n->calls, struct grpc_call, link))) {
		list_remove(&call->link);
		list_push(&calls, &call->link);
	}
	grpc_client_lost(c, n, why);
	while ((call = LIST_FIRST(&calls, struct grpc_call, link)))
		grpc_call_fail(call, GRPC_UNAVAILABLE, "connection to %s lost: %s", c->where,
		               why->message);
	grpc_client_dispatch(c);
}

static void lost_by(struct grpc_connection *n, int code, const char *sentence)
{
	struct error error = ERROR_INIT;

	error_set_retryable(&error, code, "%s", sentence);
	lost(n, &error);
}

void grpc_connection_call_left(struct grpc_connection *n)
{
	if (n->draining && list_is_empty(&n->calls))
		grpc_connection_close(n);
	else
		grpc_connection_send(n);
}

void grpc_connection_call_expired(struct grpc_connection *n, uint64_t started_ns)
{
	uint64_t limit = n->client->config.silence_limit;

	if (n->received_ns < started_ns &&
	    clock_monotonic_ns() - n->received_ns >= (limit ? limit : SILENCE_LIMIT_NS))
		lost_by(n, -ETIMEDOUT, "calls end at their deadlines and it is silent");
}

static void drain(struct grpc_connection *n)
{
	n->draining = true;
	if (n->client->current == n)
		n->client->current = NULL;
}

bool grpc_connection_has_room(struct grpc_connection *n)
{
	if (!n->ready || n->draining || n->closing)
		return false;
	if (h2_is_exhausted(n->h2)) {
		drain(n);
		n->client->again = true; /* on another one */
		if (list_is_empty(&n->calls))
			grpc_connection_close(n);
		return false;
	}
	return h2_capacity(n->h2) > 0;
}

void grpc_connection_send(struct grpc_connection *n)
{
	struct error error = ERROR_INIT;

	if (!n->closing && n->h2 && h2_send(n->h2, &error) < 0)
		lost(n, &error);
}

/* ---- keep-alive */

static bool wants_pings(const struct grpc_connection *n)
{
	return n->client->keepalive_time > 0 &&
	       (n->client->config.keepalive_permit_without_stream || !list_is_empty(&n->calls));
}

static void on_keepalive(void *arg)
{
	struct grpc_connection *n = arg;
	struct grpc_client *c = n->client;
	uint64_t now = clock_monotonic_ns(), silent = now - n->received_ns;

	if (n->pinged) {
		lost_by(n, -ETIMEDOUT, "no answer to a keep-alive ping");
		return;
	}
	if (silent < c->keepalive_time) {
		timer_start(n->timer, c->keepalive_time - silent, 0);
	} else if (!wants_pings(n)) {
		timer_start(n->timer, c->keepalive_time, 0);
	} else {
		n->pinged = true;
		timer_start(n->timer, c->config.keepalive_timeout, 0);
		h2_ping(n->h2);
		grpc_connection_send(n);
	}
}

/* How far it came says what to look at. */
static const char *attempt_failure(const struct grpc_connection *n)
{
	if (n->h2)
		return "connected, but the server does not begin to speak HTTP/2";
	if (*stream_peer(n->stream))
		return "connected, but the server does not get on with the TLS handshake; it may "
		       "not speak TLS (tls::insecure: true)";
	return "no answer to the attempt to connect";
}

static void on_timer(void *arg)
{
	struct grpc_connection *n = arg;

	if (n->ready)
		on_keepalive(n);
	else
		lost_by(n, -ETIMEDOUT, attempt_failure(n));
}

/* ---- HTTP/2 */

static bool on_write(void *arg, const struct slice *pieces, size_t count)
{
	struct grpc_connection *n = arg;

	return !n->closing && stream_write(n->stream, pieces, count);
}

static size_t on_unsent(void *arg)
{
	struct grpc_connection *n = arg;

	return stream_unsent(n->stream);
}

static void on_ready(void *arg)
{
	struct grpc_connection *n = arg;
	struct grpc_client *c = n->client;

	n->ready = true;
	n->ready_ns = clock_monotonic_ns();
	error_clear(&c->last_failure);
	log_info(c->log, "connected to %s (%s)", c->where, stream_peer(n->stream));
	timer_stop(n->timer);
	if (c->keepalive_time)
		timer_start(n->timer, c->keepalive_time, 0);
	grpc_client_dispatch(c);
}

static void on_goaway(void *arg, uint32_t code, bool processed, struct slice debug)
{
	struct grpc_connection *n = arg;
	struct grpc_client *c = n->client;
	struct error why = ERROR_INIT;

	drain(n);
	if (!processed) { /* a server that only ever says goodbye is not asked again at once */
		error_set_retryable(&why, -ECONNRESET, "the server ends every connection: %s",
		                    h2_code_name(code));
		grpc_client_lost(c, n, &why);
	}
	if (code == CODE_CALM && slice_equal(debug, SLICE_LITERAL("too_many_pings")) &&
	    c->keepalive_time > 0 && c->keepalive_time < UINT64_MAX / 2) {
		c->keepalive_time *= 2;
		log_warn(c->log,
		         "%s complains about too many keep-alive pings: pinging half as often; "
		         "set keepalive::time higher",
		         c->where);
	} else if (code != CODE_NO_ERROR) {
		log_warn(c->log, "%s ends the connection: %s", c->where, h2_code_name(code));
	}
}

static const struct h2_events session_events = {.write = on_write,
                                                .unsent = on_unsent,
                                                .on_ready = on_ready,
                                                .on_goaway = on_goaway};

/* ---- the stream below */

static void on_open(void *arg)
{
	struct grpc_connection *n = arg;
	struct error error = ERROR_INIT;

	if (h2_new(&session_events, n, &n->h2, &error) < 0)
		lost(n, &error);
	else
		grpc_connection_send(n);
}

static void on_data(void *arg, struct slice bytes)
{
	struct grpc_connection *n = arg;
	struct error error = ERROR_INIT;

	if (n->closing)
		return;
	n->received_ns = clock_monotonic_ns();
	if (n->pinged) { /* any byte is an answer */
		n->pinged = false;
		timer_start(n->timer, n->client->keepalive_time, 0);
	}
	if (h2_receive(n->h2, bytes, &error) < 0) {
		if (!n->ready && error.code == -EPROTO)
			lost_by(n, -EPROTO,
			        "the server does not speak HTTP/2 here; if it expects TLS, "
			        "remove tls::insecure or http://");
		else
			lost(n, &error);
		return;
	}
	if (n->closing)
		return;
	if (n->draining && list_is_empty(&n->calls))
		grpc_connection_close(n);
	grpc_client_dispatch(n->client); /* streams have ended, or the current one drains */
}

static void on_drained(void *arg)
{
	grpc_connection_send(arg);
}

static void on_end(void *arg, const struct error *error)
{
	struct grpc_connection *n = arg;

	if (error)
		lost(n, error);
	else if (!n->ready && n->client->tls)
		lost_by(n, -ECONNRESET,
		        "the server closed it right after the TLS handshake; it may ask for a "
		        "client certificate (tls::cert_file and tls::key_file) or refuse the one "
		        "it got");
	else
		lost_by(n, -ECONNRESET, "the server closed it");
}

static const struct tcp_events stream_events = {.on_open = on_open,
                                                .on_data = on_data,
                                                .on_drained = on_drained,
                                                .on_end = on_end};

int grpc_connection_new(struct grpc_client *c, struct grpc_connection **ret, struct error *error)
{
	struct grpc_connection *n = calloc(1, sizeof *n);
	int r;

	if (!n)
		return error_no_memory(error);
	n->client = c;
	list_init(&n->calls);
	n->timer = timer_new(c->loop, on_timer, n);
	if (!n->timer) {
		free(n);
		return error_no_memory(error);
	}
	r = stream_connect(c->loop, &c->config.endpoint, c->tls, "h2", &stream_events, n,
	                   &n->stream, error);
	if (r < 0) {
		timer_free(n->timer);
		free(n);
		return r;
	}
	timer_start(n->timer,
	            c->config.connect_timeout ? c->config.connect_timeout : CONNECT_TIMEOUT_NS, 0);
	list_push(&c->connections, &n->link);
	c->open++;
	*ret = n;
	return 0;
}
