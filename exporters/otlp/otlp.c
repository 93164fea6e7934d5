/* otlp: sends batches to an OTLP backend over gRPC.
 *
 * Happy path: consume -> the queue and batches of core/export -> send -> (compressed) -> call -> on_response ->
 * done(OK). The request is gathered from where its bytes lie; without compression nothing is copied.
 * Fails: the backend is not there, or says that it is busy (RETRY, after RetryInfo's delay when it gives one) · it
 * refuses the data (PERMANENT) · it takes a part (OK, with the rest counted as rejected, and a warning with the
 * backend's words) · a batch above OTLP_REQUEST_LIMIT (sent in parts, one after the other; a single item above it is
 * PERMANENT). */
#include "core/base/clock.h"
#include "core/component.h"
#include "core/export/exporter.h"
#include "core/loop/work.h"
#include "core/net/grpc_client.h"
#include "core/wire/compress.h"
#include "core/wire/cursor.h"
#include "exporters/otlp/otlp_config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Compressing more than this at once would hold up the loop for a millisecond and more. */
enum { COMPRESS_ON_POOL = 256 * 1024 };

struct otlp_exporter {
	struct component component;
	const struct otlp_config *config;
	enum signal signal;
	struct exporter *exporter;
	struct tls_settings tls;
	struct grpc_client_header *headers; /* names in lower case */
	char user_agent[128];
	size_t request_limit;       /* bytes */
	struct grpc_client *client; /* from start on */
	unsigned pushes;            /* under way */
	bool exporter_closed, client_closed;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One attempt. */
struct push {
	struct otlp_exporter *owner;
	struct gather gather; /* points into the batch, which stays until done */
	size_t items;
	uint64_t deadline_ns;
	struct done done;
	struct buffer compressed;
	struct slice compressed_piece;
	int result; /* of compressing */
};

static const char *const paths[SIGNAL_COUNT] = {
	[SIGNAL_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	[SIGNAL_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	[SIGNAL_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/* ---- one attempt */

static void maybe_closed(struct otlp_exporter *e);

static void push_free(struct push *p)
{
	gather_fini(&p->gather);
	buffer_fini(&p->compressed);
	free(p);
}

static void push_end(struct push *p, const struct outcome *outcome)
{
	struct otlp_exporter *e = p->owner;
	struct done done = p->done;

	push_free(p);
	done_call(done, outcome);
	e->pushes--;
	maybe_closed(e);
}

static void push_retry(struct push *p, const char *message)
{
	push_end(p, &(struct outcome){.status = OUTCOME_RETRY, .message = message});
}

/* The rejected items and the message of an Export*ServiceResponse, whose shape is the same for all signals:
 * partial_success = 1 { rejected = 1, error_message = 2 }. */
static uint64_t read_partial_success(struct slice response, struct slice *ret_message)
{
	struct cursor c = cursor_of(response);
	struct cursor_field partial, f;
	uint64_t rejected = 0;

	while (cursor_next(&c, &partial)) {
		struct cursor inner;

		if (partial.number != 1 || partial.type != WIRE_LENGTH)
			continue;
		inner = cursor_of(partial.body);
		while (cursor_next(&inner, &f)) {
			uint64_t value;

			if (f.number == 1 && f.type == WIRE_VARINT &&
			    cursor_varint(f.body.data, f.body.data + f.body.len, &value))
				rejected = value <= INT64_MAX ? value : 0;
			else if (f.number == 2 && f.type == WIRE_LENGTH)
				*ret_message = f.body;
		}
	}
	return rejected;
}

/* A stranger's text as one printable line. */
static void printable(struct slice text, char *ret, size_t size)
{
	size_t len = text.len < size - 1 ? text.len : size - 1;

	for (size_t i = 0; i < len; i++)
		ret[i] = text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : (char)text.data[i];
	ret[len] = '\0';
}

static void on_accepted(struct push *p, const struct grpc_response *r)
{
	struct slice message = {0};
	struct outcome outcome = {.status = OUTCOME_OK};
	uint64_t rejected = read_partial_success(r->message, &message);
	const struct logger *log = &p->owner->component.log;
	char text[256];

	printable(message, text, sizeof text);
	if (rejected > p->items)
		rejected = p->items;
	if (rejected > 0)
		log_warn(log, "%s rejected %" PRIu64 " of %zu %s for good: %s",
		         p->owner->config->endpoint.text, rejected, p->items,
		         signal_item_name(p->owner->signal), *text ? text : "no reason given");
	else if (*text)
		log_warn(log, "%s accepted with a warning: %s", p->owner->config->endpoint.text,
		         text);
	outcome.rejected_items = rejected;
	push_end(p, &outcome);
}

static void on_response(void *arg, const struct grpc_response *r)
{
	struct push *p = arg;
	struct outcome outcome = {.status = OUTCOME_PERMANENT, .message = r->text};

	if (r->status == GRPC_OK) {
		on_accepted(p, r);
		return;
	}
	if (!p->owner->client) {
		outcome.status = OUTCOME_CANCELED; /* by our own shutdown */
	} else if (grpc_status_is_retryable(r->status, r->retry.present)) {
		outcome.status = OUTCOME_RETRY;
		outcome.retry_after_ns = r->retry.delay_ns;
	}
	push_end(p, &outcome);
}

static void push_call(struct push *p, const struct slice *pieces, size_t n, enum coding coding)
{
	struct otlp_exporter *e = p->owner;
	struct grpc_request request = {.path = paths[e->signal],
	                               .pieces = pieces,
	                               .n_pieces = n,
	                               .coding = coding,
	                               .deadline_ns = p->deadline_ns};

	grpc_client_call(e->client, &request, on_response, p);
}

static void compress(void *arg)
{
	struct push *p = arg;

	p->result = compress_pieces(otlp_config_coding(p->owner->config), p->gather.pieces,
	                            p->gather.n_pieces, &p->compressed, NULL);
}

static void on_compressed(void *arg)
{
	struct push *p = arg;

	if (!p->owner->client)
		push_end(p,
		         &(struct outcome){.status = OUTCOME_CANCELED, .message = "shutting down"});
	else if (p->result < 0)
		push_retry(p, "no memory to compress the request");
	else {
		p->compressed_piece = buffer_slice(&p->compressed);
		push_call(p, &p->compressed_piece, 1, otlp_config_coding(p->owner->config));
	}
}

static void too_large(struct push *p)
{
	char text[200];

	snprintf(text, sizeof text,
	         "a single item makes a request of %zu bytes, more than the limit of %zu",
	         p->gather.bytes, p->owner->request_limit);
	push_end(p, &(struct outcome){.status = OUTCOME_PERMANENT, .message = text});
}

static void parts_start(struct otlp_exporter *e, const struct batch *batch, uint64_t deadline_ns,
                        struct done done);

/* Sends what was found to be too large for one request as several. */
static void divide(struct push *p, const struct batch *batch)
{
	struct otlp_exporter *e = p->owner;
	uint64_t deadline_ns = p->deadline_ns;
	struct done done = p->done;

	push_free(p);
	parts_start(e, batch, deadline_ns, done);
	e->pushes--;
	maybe_closed(e);
}

static void push_start(struct otlp_exporter *e, const struct batch *batch, uint64_t deadline_ns,
                       struct done done)
{
	enum coding coding = otlp_config_coding(e->config);
	struct push *p = e->client ? calloc(1, sizeof *p) : NULL;

	if (!p) {
		done_retry(done, 0, e->client ? "out of memory" : "the exporter is not running");
		return;
	}
	*p = (struct push){.owner = e,
	                   .items = batch->items,
	                   .deadline_ns = deadline_ns,
	                   .done = done};
	e->pushes++;
	if (batch_gather(batch, &p->gather, NULL) < 0) {
		push_retry(p, "no memory to encode the request");
	} else if (p->gather.bytes > e->request_limit && batch->items > 1) {
		divide(p, batch);
	} else if (p->gather.bytes > e->request_limit) {
		too_large(p);
	} else if (coding == CODING_IDENTITY) {
		push_call(p, p->gather.pieces, p->gather.n_pieces, coding);
	} else if (p->gather.bytes <= COMPRESS_ON_POOL) {
		compress(p);
		on_compressed(p);
	} else if (work_submit(e->component.host->loop, compress, on_compressed, p) < 0) {
		push_retry(p, "no memory to compress the request");
	}
}

/* ---- a batch that is too large for one request */

struct parts {
	struct otlp_exporter *owner;
	struct batch *part, *rest; /* on its way; still to be sent, or NULL */
	uint64_t deadline_ns;
	struct done done;
	size_t items, refused; /* of all; of parts that were refused for good */
	uint64_t rejected;
	char message[256]; /* of the first part that was refused */
};

static void parts_end(struct parts *p, struct outcome outcome)
{
	struct done done = p->done;
	char text[sizeof p->message];

	memcpy(text, p->message, sizeof text);
	if (!outcome.message && *text)
		outcome.message = text;
	batch_unref(p->rest);
	free(p);
	done_call(done, &outcome);
}

static void parts_next(struct parts *p);

/* What was refused for good does not keep the rest from being sent. A part that can only be repeated takes the whole
 * batch with it: those before it arrive twice, which OTLP allows. */
static void on_part_done(void *arg, const struct outcome *outcome)
{
	struct parts *p = arg;
	size_t items = p->part->items;

	batch_unref(TAKE(p->part));
	if (outcome->status == OUTCOME_RETRY || outcome->status == OUTCOME_CANCELED) {
		parts_end(p, *outcome);
		return;
	}
	if (outcome->status == OUTCOME_OK) {
		p->rejected += outcome->rejected_items;
	} else {
		if (p->refused == 0 && outcome->message)
			snprintf(p->message, sizeof p->message, "%s", outcome->message);
		p->refused += items;
	}
	parts_next(p);
}

static void parts_next(struct parts *p)
{
	const struct logger *log = &p->owner->component.log;
	struct error error = ERROR_INIT;

	if (!p->rest || p->rest->items == 0) {
		if (p->refused == p->items) {
			parts_end(p, (struct outcome){.status = OUTCOME_PERMANENT});
			return;
		}
		if (p->refused > 0)
			log_warn(log, "%zu of %zu %s of a divided batch are dropped: %s",
			         p->refused, p->items, signal_item_name(p->owner->signal),
			         p->message);
		parts_end(p, (struct outcome){.status = OUTCOME_OK,
		                              .rejected_items = p->rejected + p->refused});
		return;
	}
	if (batch_bytes(p->rest) <= p->owner->request_limit)
		p->part = TAKE(p->rest);
	else if (batch_split(&p->rest, BATCH_BYTES, p->owner->request_limit, &p->part, &error) <
	         0) {
		parts_end(p, (struct outcome){.status = OUTCOME_RETRY, .message = error.message});
		return;
	}
	push_start(p->owner, p->part, p->deadline_ns, (struct done){on_part_done, p});
}

static void parts_start(struct otlp_exporter *e, const struct batch *batch, uint64_t deadline_ns,
                        struct done done)
{
	struct parts *p = calloc(1, sizeof *p);

	if (!p) {
		done_retry(done, 0, "out of memory");
		return;
	}
	*p = (struct parts){.owner = e,
	                    .deadline_ns = deadline_ns,
	                    .done = done,
	                    .items = batch->items};
	p->rest = batch_clone((struct batch *)batch); /* which leaves it as it is */
	if (!p->rest)
		parts_end(p, (struct outcome){.status = OUTCOME_RETRY,
		                              .message = "no memory to divide the batch"});
	else
		parts_next(p);
}

static void otlp_send(void *self, const struct batch *batch, uint64_t deadline_ns, struct done done)
{
	push_start(self, batch, deadline_ns, done);
}

void otlp_limit_requests(struct component *exporter, size_t bytes)
{
	((struct otlp_exporter *)exporter)->request_limit = bytes;
}

/* ---- life */

static void otlp_destroy(struct component *component)
{
	struct otlp_exporter *e = (struct otlp_exporter *)component;

	if (!e)
		return;
	exporter_free(e->exporter);
	for (size_t i = 0; e->headers && i < e->config->headers.count; i++)
		free((char *)e->headers[i].name);
	free(e->headers);
	free(e);
}

static int copy_headers(struct otlp_exporter *e)
{
	const struct string_map *map = &e->config->headers;

	e->headers = calloc(map->count + 1, sizeof *e->headers);
	if (!e->headers)
		return -ENOMEM;
	for (size_t i = 0; i < map->count; i++) {
		char *name = strdup(map->items[i].key);

		if (!name)
			return -ENOMEM;
		for (char *at = name; *at; at++)
			*at = (char)tolower((unsigned char)*at);
		e->headers[i] =
			(struct grpc_client_header){name,
		                                    map->items[i].value ? map->items[i].value : ""};
	}
	return 0;
}

static void name_agent(struct otlp_exporter *e, const char *version)
{
#if defined(__x86_64__)
	static const char machine[] = "amd64";
#elif defined(__aarch64__)
	static const char machine[] = "arm64";
#else
	static const char machine[] = "other";
#endif
	if (e->config->user_agent && *e->config->user_agent)
		snprintf(e->user_agent, sizeof e->user_agent, "%s", e->config->user_agent);
	else
		snprintf(e->user_agent, sizeof e->user_agent, "weir/%s (linux/%s)", version,
		         machine);
}

extern const struct component_type exporter_otlp_type;

static int otlp_create(const struct create_args *args, struct component **ret, struct error *error)
{
	struct otlp_exporter *e = calloc(1, sizeof *e);

	if (!e)
		return error_no_memory(error);
	component_init(&e->component, &exporter_otlp_type, args);
	e->config = args->config;
	e->signal = args->signal;
	e->tls = tls_client_settings(&e->config->tls);
	e->request_limit = OTLP_REQUEST_LIMIT;
	name_agent(e, args->host->version);
	e->exporter = exporter_new(&e->component, e->signal, &e->config->exporter, otlp_send, e);
	if (!e->exporter || copy_headers(e) < 0) {
		otlp_destroy(&e->component);
		return error_no_memory(error);
	}
	*ret = &e->component;
	return 0;
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
		.headers = e->headers,
		.n_headers = c->headers.count,
		.wait_for_ready = c->wait_for_ready,
	};

	if (c->keepalive.enabled) {
		client.keepalive_time = c->keepalive.time;
		client.keepalive_timeout = c->keepalive.timeout;
		client.keepalive_permit_without_stream = c->keepalive.permit_without_stream;
	}
	return grpc_client_new(component->host->loop, &client, &component->log, &e->client, error);
}

static void otlp_consume(struct component *component, struct batch *batch, struct done done)
{
	struct otlp_exporter *e = (struct otlp_exporter *)component;

	exporter_consume(e->exporter, batch, done);
}

static void maybe_closed(struct otlp_exporter *e)
{
	void (*closed)(void *arg) = e->closed;

	if (!closed || !e->exporter_closed || !e->client_closed || e->pushes > 0)
		return;
	e->closed = NULL;
	closed(e->closed_arg);
}

static void on_client_closed(void *arg)
{
	struct otlp_exporter *e = arg;

	e->client_closed = true;
	maybe_closed(e);
}

/* Attempts may still be out when the deadline has passed; closing the client ends them. */
static void on_exporter_closed(void *arg)
{
	struct otlp_exporter *e = arg;

	e->exporter_closed = true;
	grpc_client_close(TAKE(e->client), on_client_closed, e);
}

static void otlp_shutdown(struct component *component, uint64_t deadline_ns,
                          void (*closed)(void *arg), void *arg)
{
	struct otlp_exporter *e = (struct otlp_exporter *)component;

	e->closed = closed;
	e->closed_arg = arg;
	exporter_shutdown(e->exporter, deadline_ns, on_exporter_closed, e);
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
	.start = otlp_start,
	.consume = otlp_consume,
	.shutdown = otlp_shutdown,
	.destroy = otlp_destroy,
};
