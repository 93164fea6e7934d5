/* otlp: sends batches to an OTLP backend over gRPC.
 *
 * Happy path: consume -> the queue and batches of core/export -> core/export/push -> send -> on_response ->
 * done(OK). Without compression nothing is copied. Fails: the backend is not there, or says that it is
 * busy (RETRY, after RetryInfo's delay when it gives one) · it refuses the data (PERMANENT) · it takes a
 * part (OK, with the rest counted as rejected, and a warning with the backend's words) · no authorization
 * can be had (RETRY). */
#include "core/component.h"
#include "core/export/headers.h"
#include "core/export/push.h"
#include "core/net/grpc_client.h"
#include "core/wire/otlp_status.h"
#include "exporters/otlp/otlp_config.h"

#include <stdio.h>
#include <stdlib.h>

struct otlp_exporter {
	struct component component;
	const struct otlp_config *config;
	struct pusher pusher;
	struct tls_settings tls;
	struct headers headers;
	struct grpc_client_header call_headers[HEADERS_MAX + AUTH_HEADERS_MAX];
	char user_agent[128];
	struct grpc_client *client; /* from start on */
};

static const char *const paths[SIGNAL_COUNT] = {
	[SIGNAL_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	[SIGNAL_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	[SIGNAL_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/* ---- one attempt */

static void on_response(void *arg, const struct grpc_response *r)
{
	struct push *p = arg;
	struct otlp_exporter *e = p->pusher->self;
	struct outcome outcome = {.status = OUTCOME_PERMANENT, .message = r->text};
	struct buffer text = BUFFER_INIT;
	uint64_t rejected = 0;

	if (r->status == GRPC_OK) {
		/* What is no such message is taken as an empty one: the status has said OK. */
		otlp_response_read(OTLP_PROTOBUF, r->message, &rejected, &text);
		push_accepted(p, e->config->endpoint.text, rejected, buffer_slice(&text));
		buffer_fini(&text);
		return;
	}
	if (!e->client) {
		outcome.status = OUTCOME_CANCELED; /* by our own shutdown */
	} else if (grpc_status_is_retryable(r->status, r->retry.present)) {
		outcome.status = OUTCOME_RETRY;
		outcome.retry_after_ns = r->retry.delay_ns;
	}
	push_end(p, &outcome);
}

static void send(void *self, struct push *p)
{
	struct otlp_exporter *e = self;
	struct grpc_request request = {.path = paths[e->pusher.signal],
	                               .pieces = p->pieces,
	                               .n_pieces = p->n_pieces,
	                               .coding = p->coding,
	                               .deadline_ns = p->deadline_ns};

	grpc_client_call(e->client, &request, on_response, p);
}

static int call_headers(void *arg, const struct grpc_client_header **ret, size_t *ret_n,
                        struct error *error)
{
	struct otlp_exporter *e = arg;
	int r = headers_current(&e->headers, ret_n, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < *ret_n; i++)
		e->call_headers[i] = (struct grpc_client_header){e->headers.items[i].name,
		                                                 e->headers.items[i].value};
	*ret = e->call_headers;
	return 0;
}

void otlp_limit_requests(struct component *exporter, size_t bytes)
{
	((struct otlp_exporter *)exporter)->pusher.request_limit = bytes;
}

/* ---- life */

static void otlp_destroy(struct component *component)
{
	struct otlp_exporter *e = (struct otlp_exporter *)component;

	if (!e)
		return;
	pusher_fini(&e->pusher);
	headers_fini(&e->headers);
	free(e);
}

extern const struct component_type exporter_otlp_type;

static void close_client(void *self, void (*closed)(void *arg), void *arg)
{
	struct otlp_exporter *e = self;

	grpc_client_close(TAKE(e->client), closed, arg);
}

static int otlp_create(const struct create_args *args, struct component **ret, struct error *error)
{
	const struct otlp_config *c = args->config;
	struct otlp_exporter *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return error_no_memory(error);
	component_init(&e->component, &exporter_otlp_type, args);
	e->config = c;
	e->tls = tls_client_settings(&c->tls);
	e->pusher = (struct pusher){.owner = &e->component,
	                            .signal = args->signal,
	                            .coding = otlp_config_coding(c),
	                            .request_limit = PUSH_REQUEST_LIMIT,
	                            .self = e,
	                            .send = send,
	                            .close = close_client};
	if (c->user_agent && *c->user_agent)
		snprintf(e->user_agent, sizeof e->user_agent, "%s", c->user_agent);
	else
		headers_user_agent(args->host->version, e->user_agent, sizeof e->user_agent);
	r = headers_init(&e->headers, &c->headers, &c->auth, args->host, error);
	if (r == 0)
		r = pusher_init(&e->pusher, &c->exporter, error);
	if (r < 0) {
		otlp_destroy(&e->component);
		return r;
	}
	*ret = &e->component;
	return 0;
}

static int otlp_examine(struct component *component, struct error *error)
{
	struct otlp_exporter *e = (struct otlp_exporter *)component;

	return otlp_config_is_plain(e->config) ? 0 : tls_context_try(&e->tls, false, error);
}

static int otlp_start(struct component *component, struct error *error)
{
	struct otlp_exporter *e = (struct otlp_exporter *)component;
	const struct otlp_config *c = e->config;
	struct grpc_client_config client = {
		.endpoint = c->endpoint,
		.tls = otlp_config_is_plain(c) ? NULL : &e->tls,
		.authority = c->authority && *c->authority ? c->authority : NULL,
		.user_agent = e->user_agent,
		.headers = call_headers,
		.headers_arg = e,
		.wait_for_ready = c->wait_for_ready,
	};
	int r;

	if (c->keepalive.enabled) {
		client.keepalive_time = c->keepalive.time;
		client.keepalive_timeout = c->keepalive.timeout;
		client.keepalive_permit_without_stream = c->keepalive.permit_without_stream;
	}
	r = grpc_client_new(component->host->loop, &client, &component->log, &e->client, error);
	e->pusher.running = r == 0;
	return r;
}

static void otlp_consume(struct component *component, struct batch *batch, struct done done)
{
	pusher_consume(&((struct otlp_exporter *)component)->pusher, batch, done);
}

static void otlp_shutdown(struct component *component, uint64_t deadline_ns,
                          void (*closed)(void *arg), void *arg)
{
	pusher_shutdown(&((struct otlp_exporter *)component)->pusher, deadline_ns, closed, arg);
}

static const char *const otlp_aliases[] = {"otlp_grpc", NULL};

const struct component_type exporter_otlp_type = {
	.name = "otlp",
	.aliases = otlp_aliases,
	.kind = EXPORTER,
	.signals = SIGNAL_ALL,
	.summary = "Sends to an OTLP backend over gRPC.",
	.stability = "alpha",
	.config_size = sizeof(struct otlp_config),
	.options = otlp_options,
	.check = otlp_check,
	.create = otlp_create,
	.examine = otlp_examine,
	.start = otlp_start,
	.consume = otlp_consume,
	.shutdown = otlp_shutdown,
	.destroy = otlp_destroy,
};
