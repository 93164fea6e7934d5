#include "tests/unit/net/net_test.h"

#include "core/net/http_pages.h"
#include "core/net/tcp.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

struct client {
	struct tcp *tcp;
	struct buffer got;
	bool open, ended;
};

static void client_open(void *arg)
{
	((struct client *)arg)->open = true;
}
static void client_data(void *arg, struct slice bytes)
{
	buffer_append_slice(&((struct client *)arg)->got, bytes);
}
static void client_end(void *arg, const struct error *error)
{
	((struct client *)arg)->ended = true;
}
static const struct tcp_events client_events = {.on_open = client_open,
                                                .on_data = client_data,
                                                .on_end = client_end};

static void serve(void *arg, const struct page_request *request, struct page_response *response)
{
	unsigned *calls = arg;

	++*calls;
	if (!slice_equal(request->path, SLICE_LITERAL("/metrics"))) {
		response->status = 404;
		return;
	}
	if (slice_equal(request->query, SLICE_LITERAL("big")))
		for (unsigned i = 0; i < 400000; i++)
			buffer_append_string(&response->body, "0123456789");
	else
		buffer_printf(&response->body, "query=%.*s\n", SLICE_PRINTF(request->query));
}

struct fixture {
	struct net_test *net;
	struct http_pages *server;
	unsigned calls;
	bool closed;
};

static void on_server_closed(void *arg)
{
	*(bool *)arg = true;
}

static void fixture_open_at(struct fixture *f, void **state, const char *text)
{
	struct endpoint e = net_test_endpoint(text);

	*f = (struct fixture){.net = *state};
	assert_int_equal(http_pages_new(f->net->loop, &e, serve, &f->calls, &f->server, NULL), 0);
	assert_true(http_pages_port(f->server) > 0);
}

static void fixture_open(struct fixture *f, void **state)
{
	fixture_open_at(f, state, "localhost:0");
}

static void fixture_close(struct fixture *f)
{
	http_pages_close(f->server, on_server_closed, &f->closed);
	net_test_wait(f->net, &f->closed);
}

static void client_connect(struct fixture *f, struct client *c, const char *host)
{
	char text[64];
	struct endpoint e;

	snprintf(text, sizeof text, "%s:%u", host, http_pages_port(f->server));
	e = net_test_endpoint(text);
	*c = (struct client){0};
	assert_int_equal(tcp_connect(f->net->loop, &e, &client_events, c, &c->tcp, NULL), 0);
	net_test_wait(f->net, &c->open);
}

static void client_send(struct client *c, const char *text)
{
	struct slice s = slice_from_string(text);

	assert_true(tcp_write(c->tcp, &s, 1));
}

static void client_close(struct client *c)
{
	tcp_free(c->tcp, NULL, NULL);
	buffer_fini(&c->got);
}

static void wait_for_text(struct fixture *f, struct client *c, const char *text)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (!(c->got.len && strstr(buffer_string(&c->got), text)) && clock_monotonic_ns() < end)
		loop_run_once(f->net->loop);
	assert_true(c->got.len > 0);
	assert_non_null(strstr(buffer_string(&c->got), text));
}

static void answers_a_request_and_keeps_the_connection(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c, "localhost");
	client_send(&c, "GET /metrics?a=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for_text(&f, &c, "query=a=1\n");
	assert_non_null(strstr(buffer_string(&c.got), "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(buffer_string(&c.got), "Content-Length: 10\r\n"));
	client_send(&c, "GET /metrics?b");
	client_send(&c, "=2 HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for_text(&f, &c, "query=b=2\n");
	client_send(&c, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
	                "GET /metrics?c=3 HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for_text(&f, &c, "query=c=3\n");
	assert_non_null(strstr(buffer_string(&c.got), "404 Not Found"));
	assert_int_equal(f.calls, 4);
	assert_false(c.ended);
	client_close(&c);
	fixture_close(&f);
}

static void listens_on_both_families_without_a_host(void **state)
{
	struct fixture f;
	struct client v4, v6;

	if (access("/proc/net/if_inet6", R_OK) != 0)
		skip();
	fixture_open_at(&f, state, ":0");
	client_connect(&f, &v4, "127.0.0.1");
	client_connect(&f, &v6, "[::1]");
	client_close(&v4);
	client_close(&v6);
	fixture_close(&f);
}

static void sends_no_body_to_head(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c, "localhost");
	client_send(&c, "HEAD /metrics HTTP/1.0\r\n\r\n");
	net_test_wait(f.net, &c.ended);
	assert_non_null(strstr(buffer_string(&c.got), "Content-Length: 7\r\n"));
	assert_null(strstr(buffer_string(&c.got), "query="));
	client_close(&c);
	fixture_close(&f);
}

static void sends_a_large_body_whole(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c, "localhost");
	client_send(&c, "GET /metrics?big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	net_test_wait(f.net, &c.ended);
	assert_true(c.got.len > 4000000);
	client_close(&c);
	fixture_close(&f);
}

static void refuses(void **state, const char *request, const char *status)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c, "localhost");
	client_send(&c, request);
	wait_for_text(&f, &c, status);
	assert_int_equal(f.calls, 0);
	client_close(&c);
	fixture_close(&f);
}

static void refuses_what_is_not_http(void **state)
{
	refuses(state, "GET\r\n\r\n", "HTTP/1.1 400 ");
}
static void refuses_other_methods(void **state)
{
	refuses(state, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 ");
	refuses(state, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
	        "HTTP/1.1 405 ");
}
static void refuses_bodies(void **state)
{
	refuses(state, "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
	        "HTTP/1.1 413 ");
}

static void refuses_a_head_longer_than_its_limit(void **state)
{
	char *request = malloc(20000);

	strcpy(request, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ");
	memset(request + strlen(request), 'a', 19000 - strlen(request));
	request[19000] = '\0';
	refuses(state, request, "HTTP/1.1 431 ");
	free(request);
}

static void closes_the_newest_of_too_many_connections(void **state)
{
	struct fixture f;
	struct client clients[65];

	fixture_open(&f, state);
	for (unsigned i = 0; i < 65; i++)
		client_connect(&f, &clients[i], "127.0.0.1");
	net_test_wait(f.net, &clients[64].ended);
	client_send(&clients[63], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for_text(&f, &clients[63], "query=\n");
	for (unsigned i = 0; i < 65; i++)
		client_close(&clients[i]);
	fixture_close(&f);
}

static void answers_pipelined_requests_in_order_and_stops_at_close(void **state)
{
	struct fixture f;
	struct client c;
	const char *one, *two;

	fixture_open(&f, state);
	client_connect(&f, &c, "127.0.0.1");
	client_send(&c, "GET /metrics?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
	                "HEAD /metrics?n=2 HTTP/1.1\r\nHost: x\r\n\r\n"
	                "GET /metrics?n=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	                "GET /metrics?n=4 HTTP/1.1\r\nHost: x\r\n\r\n");
	net_test_wait(f.net, &c.ended);
	one = strstr(buffer_string(&c.got), "query=n=1\n");
	two = strstr(buffer_string(&c.got), "query=n=3\n");
	assert_true(one && two && one < two);
	assert_int_equal(f.calls, 3);
	client_close(&c);
	fixture_close(&f);
}

static void names_the_address_that_is_in_use(void **state)
{
	struct fixture f;
	struct http_pages *second;
	struct error error = ERROR_INIT;
	char text[64], wanted[128];
	struct endpoint e;

	fixture_open(&f, state);
	snprintf(text, sizeof text, "localhost:%u", http_pages_port(f.server));
	snprintf(wanted, sizeof wanted, "listen on %s: address already in use", text);
	e = net_test_endpoint(text);
	assert_true(http_pages_new(f.net->loop, &e, serve, NULL, &second, &error) < 0);
	assert_non_null(strstr(error.message, wanted));
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(answers_a_request_and_keeps_the_connection),
		NET_TEST(listens_on_both_families_without_a_host),
		NET_TEST(sends_no_body_to_head),
		NET_TEST(sends_a_large_body_whole),
		NET_TEST(refuses_what_is_not_http),
		NET_TEST(refuses_other_methods),
		NET_TEST(refuses_bodies),
		NET_TEST(refuses_a_head_longer_than_its_limit),
		NET_TEST(closes_the_newest_of_too_many_connections),
		NET_TEST(answers_pipelined_requests_in_order_and_stops_at_close),
		NET_TEST(names_the_address_that_is_in_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
