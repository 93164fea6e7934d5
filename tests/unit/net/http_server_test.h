/* http_server_test: what the tests of http_server share: a server whose answers depend on the path, and a
 * client of raw bytes in the same loop.
 *
 *   /now    answered before the body comes            /early  answered at the first bytes of the body
 *   /later  kept until answer()                       /big    4 MB
 *   others  answered when the request has ended, with the method and the length of the body */
#ifndef WEIR_TESTS_HTTP_SERVER_TEST_H
#define WEIR_TESTS_HTTP_SERVER_TEST_H

#include "tests/unit/net/net_test.h"

#include "core/base/buffer.h"
#include "core/net/http_server.h"
#include "core/net/tcp.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { KEPT_EXCHANGES = 512 };

struct seen { /* of one exchange */
	unsigned body_bytes, ends;
};

struct fixture {
	struct net_test *net;
	struct http_server_config config;
	struct endpoint endpoint;
	struct http_server *server;
	struct log_sink sink;
	struct logger log;
	unsigned requests, ends, gone, responses, body_bytes, bad_requests;
	unsigned open; /* exchanges that are neither answered nor gone */
	struct http_exchange *kept[KEPT_EXCHANGES];
	unsigned n_kept;
	bool drained, closed;
	bool own_bad_requests;
	bool close_on_request; /* the handler closes the server */
};

static inline void on_flag(void *arg)
{
	*(bool *)arg = true;
}

static inline void respond_with(struct fixture *f, struct http_exchange *x, struct buffer body,
                                bool close)
{
	static const struct http_header plain = {SLICE_LITERAL("content-type"),
	                                         SLICE_LITERAL("text/plain"), false};
	struct http_response response = {
		.status = 200, .headers = &plain, .n_headers = 1, .body = body, .close = close};

	f->responses++;
	f->open--;
	free(http_exchange_data(x));
	http_respond(x, &response);
}

static inline void answer(struct fixture *f, struct http_exchange *x)
{
	const struct http_request *request = http_exchange_request(x);
	const struct seen *seen = http_exchange_data(x);
	struct buffer body = BUFFER_INIT;

	if (slice_equal(request->path, SLICE_LITERAL("/big")))
		for (unsigned i = 0; i < 400000; i++)
			buffer_append_string(&body, "0123456789");
	else
		buffer_printf(&body, "%.*s %.*s %u\n", SLICE_PRINTF(request->method),
		              SLICE_PRINTF(request->path), seen->body_bytes);
	respond_with(f, x, body, slice_equal(request->query, SLICE_LITERAL("close")));
}

static inline bool is_path(const struct http_exchange *x, const char *path)
{
	return slice_equal(http_exchange_request(x)->path, slice_from_string(path));
}

static inline void test_on_request(void *arg, struct http_exchange *x)
{
	struct fixture *f = arg;

	f->requests++;
	f->open++;
	http_exchange_set_data(x, calloc(1, sizeof(struct seen)));
	assert_true(strncmp(http_exchange_request(x)->peer, "127.0.0.1:", 10) == 0 ||
	            strncmp(http_exchange_request(x)->peer, "unix:", 5) == 0 ||
	            strncmp(http_exchange_request(x)->peer, "[::1]:", 6) == 0);
	if (f->close_on_request)
		http_server_close(f->server, on_flag, &f->closed);
	else if (is_path(x, "/now"))
		answer(f, x);
}

static inline void test_on_body(void *arg, struct http_exchange *x, struct slice bytes)
{
	struct fixture *f = arg;
	struct seen *seen = http_exchange_data(x);

	assert_true(bytes.len > 0);
	f->body_bytes += (unsigned)bytes.len;
	seen->body_bytes += (unsigned)bytes.len;
	if (is_path(x, "/early"))
		answer(f, x);
}

static inline void test_on_body_end(void *arg, struct http_exchange *x)
{
	struct fixture *f = arg;
	struct seen *seen = http_exchange_data(x);

	f->ends++;
	assert_int_equal(++seen->ends, 1);
	if (!is_path(x, "/later"))
		answer(f, x);
	else if (f->n_kept < KEPT_EXCHANGES)
		f->kept[f->n_kept++] = x;
}

static inline void test_on_gone(void *arg, struct http_exchange *x)
{
	struct fixture *f = arg;

	f->gone++;
	f->open--;
	free(http_exchange_data(x));
	for (unsigned i = 0; i < f->n_kept; i++)
		if (f->kept[i] == x)
			f->kept[i] = f->kept[--f->n_kept];
}

static inline void test_on_bad_request(void *arg, int status, struct http_response *response)
{
	static const struct http_header kind = {SLICE_LITERAL("content-type"),
	                                        SLICE_LITERAL("x/bad"), false};
	struct fixture *f = arg;

	f->bad_requests++;
	response->headers = &kind;
	response->n_headers = 1;
	buffer_printf(&response->body, "bad %d", status);
}

static const struct http_handler test_handler = {.on_request = test_on_request,
                                                 .on_body = test_on_body,
                                                 .on_body_end = test_on_body_end,
                                                 .on_gone = test_on_gone};
static const struct http_handler test_handler_with_bodies = {.on_request = test_on_request,
                                                             .on_body = test_on_body,
                                                             .on_body_end = test_on_body_end,
                                                             .on_gone = test_on_gone,
                                                             .on_bad_request = test_on_bad_request};

/* Before fixture_listen(): limits and versions can be changed in between. */
static inline void fixture_begin(struct fixture *f, void **state)
{
	*f = (struct fixture){.net = *state};
	f->endpoint = net_test_endpoint("127.0.0.1:0");
	f->sink = (struct log_sink){.level = LOG_ERROR, .fd = 2};
	f->config = (struct http_server_config){.endpoint = &f->endpoint,
	                                        .http1 = true,
	                                        .http2 = true,
	                                        .limits = http_default_limits};
}

static inline void fixture_listen(struct fixture *f)
{
	struct error error = ERROR_INIT;

	f->log = (struct logger){.sink = &f->sink, .subject = "test"};
	if (http_server_new(f->net->loop, &f->config,
	                    f->own_bad_requests ? &test_handler_with_bodies : &test_handler, f,
	                    &f->log, &f->server, &error) < 0)
		fail_msg("%s", error.message);
}

static inline void fixture_open(struct fixture *f, void **state)
{
	fixture_begin(f, state);
	fixture_listen(f);
}

static inline void fixture_close(struct fixture *f)
{
	http_server_close(f->server, on_flag, &f->closed);
	net_test_wait(f->net, &f->closed);
	assert_int_equal(f->open, 0);
	assert_int_equal(f->requests, f->responses + f->gone);
}

static inline void wait_for(struct fixture *f, bool (*is_so)(void *arg), void *arg)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (!is_so(arg) && clock_monotonic_ns() < end)
		loop_run_once(f->net->loop);
	assert_true(is_so(arg));
}

static inline void wait_for_strike(struct fixture *f, enum http_limit l, uint64_t times)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (http_server_struck(f->server, l) < times && clock_monotonic_ns() < end)
		loop_run_once(f->net->loop);
	assert_int_equal(http_server_struck(f->server, l), times);
}

static inline void expect_strikes(struct fixture *f, enum http_limit only, uint64_t times)
{
	for (int l = 0; l < HTTP_LIMIT_COUNT; l++)
		if (http_server_struck(f->server, (enum http_limit)l) !=
		    (l == (int)only ? times : 0))
			fail_msg("%s struck %u times", http_limit_name((enum http_limit)l),
			         (unsigned)http_server_struck(f->server, (enum http_limit)l));
}

/* ---- the client */

struct client {
	struct fixture *f;
	struct tcp *tcp;
	struct buffer got;
	bool open, ended, broken;
};

static inline void client_on_open(void *arg)
{
	((struct client *)arg)->open = true;
}
static inline void client_on_data(void *arg, struct slice bytes)
{
	buffer_append_slice(&((struct client *)arg)->got, bytes);
}
static inline void client_on_end(void *arg, const struct error *error)
{
	struct client *c = arg;

	c->ended = true;
	c->broken = error != NULL;
}
static const struct tcp_events client_events = {.on_open = client_on_open,
                                                .on_data = client_on_data,
                                                .on_end = client_on_end};

static inline void client_connect(struct fixture *f, struct client *c)
{
	struct endpoint e = f->endpoint;

	if (e.scheme != ENDPOINT_UNIX)
		e.port = http_server_port(f->server);
	*c = (struct client){.f = f};
	assert_int_equal(tcp_connect(f->net->loop, &e, &client_events, c, &c->tcp, NULL), 0);
	net_test_wait(f->net, &c->open);
}

static inline void client_send_bytes(struct client *c, const void *data, size_t len)
{
	struct slice s = slice_of(data, len);

	assert_true(tcp_write(c->tcp, &s, 1));
}

static inline void client_send(struct client *c, const char *text)
{
	client_send_bytes(c, text, strlen(text));
}

static inline void client_close(struct client *c)
{
	tcp_free(c->tcp, NULL, NULL);
	buffer_fini(&c->got);
}

static inline unsigned client_count(struct client *c, const char *text)
{
	unsigned n = 0;
	const char *at = c->got.len ? buffer_string(&c->got) : "";

	for (; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* Waits until the text has come so many times. */
static inline void client_wait_times(struct client *c, const char *text, unsigned times)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (client_count(c, text) < times && clock_monotonic_ns() < end)
		loop_run_once(c->f->net->loop);
	if (client_count(c, text) != times)
		fail_msg("wanted %u times %s, got: %s", times, text,
		         c->got.len ? buffer_string(&c->got) : "nothing");
}

static inline void client_wait(struct client *c, const char *text)
{
	client_wait_times(c, text, 1);
}

/* A socket below libuv, with a small window, that is not read. */
static inline int connect_lazily(struct fixture *f)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons(http_server_port(f->server)),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = 4096;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* A healthy client's request, after something bad has been done by another one. */
static inline void expect_health(struct fixture *f)
{
	struct client c;

	client_connect(f, &c);
	client_send(&c, "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	client_wait(&c, "POST /health 3\n");
	assert_false(c.ended);
	client_close(&c);
}

#endif
