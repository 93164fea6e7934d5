/* caller: a gRPC client under test, and what its calls came to. */
#ifndef WEIR_TESTS_NET_CALLER_H
#define WEIR_TESTS_NET_CALLER_H

#include "tests/unit/net/net_test.h"

#include "core/base/buffer.h"
#include "core/net/grpc_client.h"

#include <stdio.h>

static const char trace_path[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

struct caller {
	struct net_test *net;
	struct grpc_client_config config;
	struct grpc_client_header behaviour;
	struct log_sink sink;
	struct logger log;
	struct grpc_client *client;
	unsigned done, by_status[GRPC_STATUS_COUNT];
	enum grpc_status status; /* of the last one */
	bool from_server;
	struct grpc_retry_info retry;
	char text[1024];
	struct buffer message;
	bool closed;
};

/* Settings may be changed between the two. */
static inline void caller_prepare(struct caller *c, void **state, const char *host, uint16_t port)
{
	char text[300];

	memset(c, 0, sizeof *c);
	c->net = *state;
	c->sink = (struct log_sink){.level = LOG_ERROR, .fd = 2};
	c->log = (struct logger){.sink = &c->sink, .subject = "test"};
	snprintf(text, sizeof text, "%s:%u", host, port);
	c->config.endpoint = net_test_endpoint(text);
	c->config.user_agent = "weir-test/1";
}

static inline int caller_headers(void *arg, const struct grpc_client_header **ret, size_t *ret_n,
                                 struct error *error)
{
	struct caller *c = arg;

	(void)error;
	*ret = &c->behaviour;
	*ret_n = 1;
	return 0;
}

static inline void caller_behave(struct caller *c, const char *behaviour)
{
	c->behaviour = (struct grpc_client_header){"x-behaviour", behaviour};
	c->config.headers = caller_headers;
	c->config.headers_arg = c;
}

static inline void caller_open(struct caller *c)
{
	struct error error = ERROR_INIT;

	if (grpc_client_new(c->net->loop, &c->config, &c->log, &c->client, &error) < 0)
		fail_msg("%s", error.message);
}

static inline void caller_on_done(void *arg, const struct grpc_response *r)
{
	struct caller *c = arg;

	c->done++;
	c->by_status[r->status]++;
	c->status = r->status;
	c->from_server = r->from_server;
	c->retry = r->retry;
	snprintf(c->text, sizeof c->text, "%s", r->text ? r->text : "");
	buffer_clear(&c->message);
	buffer_append_slice(&c->message, r->message);
}

static inline void caller_call(struct caller *c, const struct slice *pieces, size_t n,
                               enum coding coding, uint64_t timeout_ns)
{
	struct grpc_request request = {.path = trace_path,
	                               .pieces = pieces,
	                               .n_pieces = n,
	                               .coding = coding,
	                               .deadline_ns =
	                                       timeout_ns ? clock_monotonic_ns() + timeout_ns : 0};

	grpc_client_call(c->client, &request, caller_on_done, c);
}

static inline void caller_on_closed(void *arg)
{
	*(bool *)arg = true;
}

static inline void caller_close(struct caller *c)
{
	grpc_client_close(c->client, caller_on_closed, &c->closed);
	net_test_wait(c->net, &c->closed);
	buffer_fini(&c->message);
}

/* One call without a body, and its end. */
static inline void caller_call_once(struct caller *c)
{
	unsigned before = c->done;

	caller_call(c, NULL, 0, CODING_IDENTITY, 10 * NS_PER_S);
	net_test_wait_count(c->net, &c->done, before + 1);
}

#define assert_text_has(c, part)                                                                   \
	do {                                                                                       \
		if (!strstr((c)->text, part))                                                      \
			fail_msg("\"%s\" is not in \"%s\"", part, (c)->text);                      \
	} while (0)

#endif
