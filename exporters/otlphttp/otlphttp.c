/* otlphttp: sends batches to an OTLP backend over HTTP.
 *
 * Happy path: consume -> the queue and batches of core/export -> core/export/push -> send -> on_response ->
 * done(OK). Protobuf without compression is read from where it lies. Fails: no connection, a lost one, no
 * answer in time, 429, 502, 503, 504 (RETRY, after Retry-After when there is one) · every other status
 * that is not 2xx, an answer above 4 MiB or one that cannot be inflated (PERMANENT) · it takes a part
 * (OK, with the rest counted as rejected, and a warning with the backend's words) · no authorization can
 * be had (RETRY). */
#include "core/component.h"
#include "core/export/headers.h"
#include "core/export/push.h"
#include "core/net/http_client.h"
#include "core/wire/otlp_status.h"
#include "exporters/otlphttp/otlphttp_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct otlphttp_exporter {
	struct component component;
	const struct otlphttp_config *config;
	struct pusher pusher;
	struct tls_settings tls;
	struct headers headers;
	char *url;
	char where[280]; /* its host and port */
	char user_agent[128];
	struct http_client *client; /* from start on */
};

static const char *const content_types[] = {
	[OTLPHTTP_PROTO] = "application/x-protobuf",
	[OTLPHTTP_JSON] = "application/json",
};

/* ---- the answer */

static enum otlp_encoding encoding_of(const struct http_client_response *r)
{
	static const char json[] = "application/json";
	size_t len = sizeof json - 1;

	return r->type.len >= len && strncasecmp((const char *)r->type.data, json, len) == 0
	               ? OTLP_JSON
	               : OTLP_PROTOBUF;
}

/* The specification says 200; servers that answer 202 or 204 mean the same, and the Collector takes them
 * so. What is no such message is taken as an empty one: the status has said that it went well. */
static void on_accepted(struct push *p, const struct http_client_response *r)
{
	struct otlphttp_exporter *e = p->pusher->self;
	struct buffer text = BUFFER_INIT;
	uint64_t rejected = 0;

	if (r->body.len)
		otlp_response_read(encoding_of(r), r->body, &rejected, &text);
	push_accepted(p, e->where, rejected, buffer_slice(&text));
	buffer_fini(&text);
}

static bool is_retryable(unsigned status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

static void on_refused(struct push *p, const struct http_client_response *r)
{
	struct otlphttp_exporter *e = p->pusher->self;
	struct buffer message = BUFFER_INIT;
	char line[200], text[600];
	struct outcome outcome = {.status = OUTCOME_PERMANENT, .message = text};

	if (r->body.len)
		otlp_status_read(encoding_of(r), r->body, &message);
	push_printable(buffer_slice(&message), line, sizeof line);
	buffer_fini(&message);
	snprintf(text, sizeof text, "%s answered HTTP status %u%s%s", e->where, r->status,
	         *line ? ": " : "", line);
	if (is_retryable(r->status)) {
		outcome.status = OUTCOME_RETRY;
		outcome.retry_after_ns = r->retry_after_ns;
	}
	push_end(p, &outcome);
}

static void on_response(void *arg, const struct http_client_response *r)
{
	struct push *p = arg;
	struct outcome outcome = {.message = r->text};

	switch (r->result) {
	case HTTP_CLIENT_ANSWERED:
		if (r->status / 100 == 2)
			on_accepted(p, r);
		else
			on_refused(p, r);
		return;
	case HTTP_CLIENT_FAILED:
	case HTTP_CLIENT_LATE:
		outcome.status = OUTCOME_RETRY;
		break;
	case HTTP_CLIENT_UNREADABLE:
	case HTTP_CLIENT_REFUSED:
		outcome.status = OUTCOME_PERMANENT;
		break;
	case HTTP_CLIENT_CANCELED:
		outcome.status = OUTCOME_CANCELED;
		outcome.message = "shutting down";
		break;
	}
	push_end(p, &outcome);
}

/* ---- the request */

static struct http_header header(const char *name, const char *value, bool secret)
{
	return (struct http_header){slice_from_string(name), slice_from_string(value), secret};
}

static void send(void *self, struct push *p)
{
	struct otlphttp_exporter *e = self;
	struct http_header headers[HEADERS_MAX + AUTH_HEADERS_MAX + 2];
	struct http_client_request request = {
		.method = "POST",
		.url = e->url,
		.headers = headers,
		.pieces = p->pieces,
		.n_pieces = p->n_pieces,
		.deadline_ns = p->deadline_ns,
		.response_limit = OTLP_RESPONSE_LIMIT,
	};
	struct error error = ERROR_INIT;
	size_t n = 0, n_more;

	if (headers_current(&e->headers, &n_more, &error) < 0) {
		push_retry(p, error.message);
		return;
	}
	headers[n++] = header("content-type", content_types[e->config->encoding], false);
	if (p->coding != CODING_IDENTITY)
		headers[n++] = header("content-encoding", coding_name(p->coding), false);
	for (size_t i = 0; i < n_more; i++)
		headers[n++] = header(e->headers.items[i].name, e->headers.items[i].value, true);
	request.n_headers = n;
	http_client_send(e->client, &request, on_response, p);
}

void otlphttp_limit_requests(struct component *exporter, size_t bytes)
{
	((struct otlphttp_exporter *)exporter)->pusher.request_limit = bytes;
}

/* ---- life */

static void otlphttp_destroy(struct component *component)
{
	struct otlphttp_exporter *e = (struct otlphttp_exporter *)component;

	if (!e)
		return;
	pusher_fini(&e->pusher);
	headers_fini(&e->headers);
	free(e->url);
	free(e);
}

extern const struct component_type exporter_otlphttp_type;

static void close_client(void *self, void (*closed)(void *arg), void *arg)
{
	struct otlphttp_exporter *e = self;

	http_client_close(TAKE(e->client), closed, arg);
}

static int otlphttp_create(const struct create_args *args, struct component **ret,
                           struct error *error)
{
	const struct otlphttp_config *c = args->config;
	struct otlphttp_exporter *e = calloc(1, sizeof *e);
	int r;

	if (!e)
		return error_no_memory(error);
	component_init(&e->component, &exporter_otlphttp_type, args);
	e->config = c;
	e->tls = tls_client_settings(&c->tls);
	e->pusher = (struct pusher){
		.owner = &e->component,
		.signal = args->signal,
		.encoding = c->encoding == OTLPHTTP_JSON ? PUSH_JSON : PUSH_PROTOBUF,
		.coding = otlphttp_config_coding(c),
		.level = c->compression_params.level > 0 ? (int)c->compression_params.level : 0,
		.request_limit = PUSH_REQUEST_LIMIT,
		.self = e,
		.send = send,
		.close = close_client,
	};
	headers_user_agent(args->host->version, e->user_agent, sizeof e->user_agent);
	r = otlphttp_config_url(c, args->signal, &e->url, error);
	if (r == 0)
		r = headers_init(&e->headers, &c->headers, &c->auth, args->host, error);
	if (r == 0) {
		http_client_where(e->url, e->where, sizeof e->where);
		r = pusher_init(&e->pusher, &c->exporter, error);
	}
	if (r < 0) {
		otlphttp_destroy(&e->component);
		return r;
	}
	*ret = &e->component;
	return 0;
}

static bool is_under_tls(const struct otlphttp_exporter *e)
{
	return strncasecmp(e->url, "https:", 6) == 0;
}

static int otlphttp_examine(struct component *component, struct error *error)
{
	struct otlphttp_exporter *e = (struct otlphttp_exporter *)component;

	return is_under_tls(e) ? tls_context_try(&e->tls, false, error) : 0;
}

static int otlphttp_start(struct component *component, struct error *error)
{
	struct otlphttp_exporter *e = (struct otlphttp_exporter *)component;
	const struct otlphttp_config *c = e->config;
	struct http_client_config client = {
		.tls = is_under_tls(e) ? &e->tls : NULL,
		.proxy_url = c->proxy_url,
		.user_agent = e->user_agent,
		.http2 = c->force_attempt_http2,
		.max_connections = c->max_conns_per_host,
		.max_idle_connections = c->max_idle_conns,
		.idle_timeout = c->idle_conn_timeout,
	};
	int r = http_client_new(component->host->loop, &client, &component->log, &e->client, error);

	e->pusher.running = r == 0;
	return r;
}

static void otlphttp_consume(struct component *component, struct batch *batch, struct done done)
{
	pusher_consume(&((struct otlphttp_exporter *)component)->pusher, batch, done);
}

static void otlphttp_shutdown(struct component *component, uint64_t deadline_ns,
                              void (*closed)(void *arg), void *arg)
{
	pusher_shutdown(&((struct otlphttp_exporter *)component)->pusher, deadline_ns, closed, arg);
}

static const char *const otlphttp_aliases[] = {"otlp_http", NULL};

const struct component_type exporter_otlphttp_type = {
	.name = "otlphttp",
	.aliases = otlphttp_aliases,
	.kind = EXPORTER,
	.signals = SIGNAL_ALL,
	.summary = "Sends to an OTLP backend over HTTP.",
	.stability = "alpha",
	.config_size = sizeof(struct otlphttp_config),
	.options = otlphttp_options,
	.check = otlphttp_check,
	.create = otlphttp_create,
	.examine = otlphttp_examine,
	.start = otlphttp_start,
	.consume = otlphttp_consume,
	.shutdown = otlphttp_shutdown,
	.destroy = otlphttp_destroy,
};
