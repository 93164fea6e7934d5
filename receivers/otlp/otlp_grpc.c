#include "receivers/otlp/otlp_grpc.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const paths[SIGNAL_COUNT] = {
	[SIGNAL_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	[SIGNAL_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	[SIGNAL_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

static bool find_signal(struct slice path, enum signal *ret)
{
	for (int s = 0; s < SIGNAL_COUNT; s++)
		if (slice_equal(path, slice_from_string(paths[s]))) {
			*ret = (enum signal)s;
			return true;
		}
	return false;
}

/* Before there is a request. */
static void refuse(struct entrance *e, struct grpc_server_call *c, enum grpc_status status,
                   const char *text)
{
	struct grpc_reply reply = {.status = status, .text = text};

	if (status == GRPC_UNAVAILABLE) {
		reply.has_retry_info = true;
		reply.retry_delay = intake_retry_delay(e->intake);
	}
	e->answered[status]++;
	grpc_server_reply(c, &reply);
}

static void on_call(void *arg, struct grpc_server_call *c)
{
	struct entrance *e = arg;
	const struct http_request *head = grpc_server_call_request(c);
	struct error error = ERROR_INIT;
	char *identity = NULL;
	enum signal signal;
	char text[256];

	if (intake_authenticate(e, head, &identity, &error) < 0) {
		refuse(e, c,
		       error.kind == ERROR_RETRYABLE ? GRPC_UNAVAILABLE : GRPC_UNAUTHENTICATED,
		       error.message);
		return;
	}
	if (!find_signal(head->path, &signal)) {
		free(identity);
		snprintf(text, sizeof text,
		         "unknown method %.*s: OTLP has Export of TraceService, MetricsService and "
		         "LogsService",
		         head->path.len < 100 ? (int)head->path.len : 100,
		         (const char *)head->path.data);
		refuse(e, c, GRPC_UNIMPLEMENTED, text);
		return;
	}
	if (!intake_takes(e->intake, signal)) {
		free(identity);
		snprintf(text, sizeof text, "no pipeline of this server takes %s",
		         signal_name(signal));
		refuse(e, c, GRPC_UNIMPLEMENTED, text);
		return;
	}
	grpc_server_call_set_data(c, intake_request_new(e, c, signal, identity));
	if (!grpc_server_call_data(c))
		refuse(e, c, GRPC_UNAVAILABLE, "no memory to take this request now");
}

static struct rcbuf *on_message(void *arg, struct grpc_server_call *c, uint32_t length)
{
	struct intake_request *r = grpc_server_call_data(c);

	return intake_request_expect(r, true, length) ? TAKE(r->body) : NULL;
}

/* gRPC's C core, which Python's and other clients stand on, forgets the compressed flag when it sends
 * a call again (grpc/grpc#37742). The head still tells the coding, and 1f 8b begins no protobuf. */
static bool has_lost_its_flag(const struct http_request *head, const struct rcbuf *message)
{
	if (message->size < 2 || message->data[0] != 0x1f || message->data[1] != 0x8b)
		return false;
	for (size_t i = 0; i < head->n_headers; i++)
		if (slice_equal(head->headers[i].name, SLICE_LITERAL("grpc-encoding")))
			return slice_equal(head->headers[i].value, SLICE_LITERAL("gzip"));
	return false;
}

static void on_complete(void *arg, struct grpc_server_call *c, struct rcbuf *message,
                        enum coding coding)
{
	struct intake_request *r = grpc_server_call_data(c);

	r->body = message;
	r->received = message->size; /* intake_request_expect() made it of the message's length */
	r->coding = coding;
	if (coding == CODING_IDENTITY && has_lost_its_flag(grpc_server_call_request(c), message))
		r->coding = CODING_GZIP;
	intake_request_submit(r);
}

static void on_gone(void *arg, struct grpc_server_call *c)
{
	intake_request_abandon(grpc_server_call_data(c));
}

const struct grpc_server_handler otlp_grpc_handler = {on_call, on_message, on_complete, on_gone};

static void answer_request(struct intake_request *r, const struct verdict *v)
{
	struct grpc_reply reply = {.status = v->status,
	                           .text = v->message,
	                           .has_retry_info = v->retry,
	                           .retry_delay = v->retry_delay};
	struct buffer message = BUFFER_INIT;

	r->entrance->answered[v->status]++;
	if (v->status == GRPC_OK)
		otlp_response_write(OTLP_PROTOBUF, r->signal, v->rejected_items, v->message,
		                    &message);
	/* What was taken is not to be sent again: it is told without its warning. */
	if (!message.failed)
		reply.message = buffer_slice(&message);
	grpc_server_reply(r->exchange, &reply);
	buffer_fini(&message);
}

static const struct http_request *head_of(const struct intake_request *r)
{
	return grpc_server_call_request(r->exchange);
}

void otlp_grpc_init(struct entrance *e)
{
	*e = (struct entrance){.transport = "grpc", .answer = answer_request, .head = head_of};
	for (int s = 0; s < GRPC_STATUS_COUNT; s++)
		e->codes[s] = grpc_status_name((enum grpc_status)s);
}
