/* http_caller: what the tests of the HTTP client share: a client, its requests, and what came of them. */
#ifndef WEIR_TESTS_HTTP_CALLER_H
#define WEIR_TESTS_HTTP_CALLER_H

#include "core/base/buffer.h"
#include "core/net/http_client.h"
#include "tests/unit/net/net_test.h"

#include <stdio.h>
#include <stdlib.h>

struct http_caller {
	struct net_test *net;
	struct log_sink sink;
	struct logger log;
	struct http_client_config config;
	struct http_client *client;
	struct http_client_request request; /* template; may be changed before a call */
	char url[300];
	unsigned done, by_result[HTTP_CLIENT_CANCELED + 1];
	bool closed;
	/* of the last answer */
	enum http_client_result result;
	unsigned status;
	char text[600], type[64], headers[8192];
	bool has_retry_after;
	uint64_t retry_after_ns;
	struct buffer body;
};

static inline void http_caller_prepare(struct http_caller *c, void **state, const char *scheme,
                                       const char *host, unsigned port, const char *path)
{
	*c = (struct http_caller){.net = *state, .sink = {.level = LOG_ERROR + 1, .fd = 2}};
	c->log = (struct logger){&c->sink, "test"};
	c->config.user_agent = "weir/test";
	c->config.http2 = true;
	snprintf(c->url, sizeof c->url, "%s://%s:%u%s", scheme, host, port, path);
	c->request = (struct http_client_request){.method = "POST",
	                                          .url = c->url,
	                                          .response_limit = 1 << 20};
}

static inline void http_caller_open(struct http_caller *c)
{
	struct error error = ERROR_INIT;

	if (http_client_new(c->net->loop, &c->config, &c->log, &c->client, &error) < 0)
		fail_msg("%s", error.message);
}

static inline void http_caller_on_done(void *arg, const struct http_client_response *r)
{
	struct http_caller *c = arg;
	struct slice headers = {0};

	c->done++;
	c->by_result[r->result]++;
	c->result = r->result;
	c->status = r->status;
	c->has_retry_after = r->has_retry_after;
	c->retry_after_ns = r->retry_after_ns;
	snprintf(c->text, sizeof c->text, "%s", r->text ? r->text : "");
	snprintf(c->type, sizeof c->type, "%.*s", SLICE_PRINTF(r->type));
	if (http_client_header(r, "x-headers", &headers))
		snprintf(c->headers, sizeof c->headers, "%.*s", SLICE_PRINTF(headers));
	buffer_clear(&c->body);
	buffer_append_slice(&c->body, r->body);
}

static inline struct http_client_exchange *http_caller_send(struct http_caller *c,
                                                            uint64_t timeout_ns)
{
	c->request.deadline_ns = timeout_ns ? clock_monotonic_ns() + timeout_ns : 0;
	return http_client_send(c->client, &c->request, http_caller_on_done, c);
}

/* Sends and waits for what comes of it. */
static inline void http_caller_call(struct http_caller *c)
{
	unsigned before = c->done;

	http_caller_send(c, 20 * NS_PER_S);
	net_test_wait_count(c->net, &c->done, before + 1);
}

static inline void http_caller_on_closed(void *arg)
{
	*(bool *)arg = true;
}

static inline void http_caller_close(struct http_caller *c)
{
	http_client_close(c->client, http_caller_on_closed, &c->closed);
	net_test_wait(c->net, &c->closed);
	buffer_fini(&c->body);
}

static inline void assert_answered(const struct http_caller *c, unsigned status)
{
	if (c->result != HTTP_CLIENT_ANSWERED || c->status != status)
		fail_msg("result %d, status %u, %s", c->result, c->status, c->text);
}

static inline void assert_said(const struct http_caller *c, enum http_client_result result,
                               const char *text)
{
	if (c->result != result || !strstr(c->text, text))
		fail_msg("result %d, \"%s\"", c->result, c->text);
}

#endif
