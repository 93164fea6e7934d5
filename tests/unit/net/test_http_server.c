/* HTTP/1.1 with bytes written by hand, and the life of the server. */
#include "tests/support/folder.h"
#include "tests/unit/net/http_server_test.h"

#include <netinet/in.h>
#include <sys/socket.h>

static void answers_requests_and_keeps_the_connection(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /a?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
	net_test_wait_count(f.net, &f.body_bytes, 2);
	client_send(&c, "llo");
	client_wait(&c, "POST /a 5\n");
	assert_int_equal(client_count(&c, "HTTP/1.1 200 OK\r\n"), 1);
	client_send(&c, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	client_wait(&c, "GET /b 0\n");
	client_send(&c, "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	                "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
	client_wait(&c, "POST /c 7\n");
	assert_false(c.ended);
	assert_int_equal(http_server_connections(f.server), 1);
	assert_int_equal(http_server_accepted(f.server), 1);
	expect_strikes(&f, HTTP_LIMIT_PROTOCOL, 0);
	client_close(&c);
	fixture_close(&f);
}

static void gives_exchanges_what_the_request_said(void **state)
{
	struct fixture f;
	struct client c;
	struct slice value;
	const struct http_request *r;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /later?x=y HTTP/1.1\r\nHost: weir:1\r\nX-Name: value\r\n"
	                "Content-Length: 2\r\n\r\nab");
	net_test_wait_count(f.net, &f.n_kept, 1);
	r = http_exchange_request(f.kept[0]);
	assert_true(slice_equal(r->method, SLICE_LITERAL("POST")));
	assert_true(slice_equal(r->path, SLICE_LITERAL("/later")));
	assert_true(slice_equal(r->query, SLICE_LITERAL("x=y")));
	assert_true(slice_equal(r->authority, SLICE_LITERAL("weir:1")));
	assert_true(r->has_length && r->length == 2 && r->version_major == 1);
	assert_true(http_exchange_header(f.kept[0], "x-name", &value));
	assert_true(slice_equal(value, SLICE_LITERAL("value")));
	assert_false(http_exchange_header(f.kept[0], "x-other", &value));
	answer(&f, f.kept[0]);
	client_wait(&c, "POST /later 2\n");
	client_close(&c);
	fixture_close(&f);
}

static void answers_before_the_body_has_come(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	/* little is left: it is skipped, and the connection goes on */
	client_send(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
	client_wait(&c, "POST /now 0\n");
	client_send(&c, "abcdPOST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
	client_wait(&c, "POST /early 2\n");
	client_send(&c, "cdGET /after HTTP/1.1\r\nHost: x\r\n\r\n");
	client_wait(&c, "GET /after 0\n");
	assert_false(c.ended);
	assert_int_equal(f.body_bytes, 2);
	client_close(&c);
	fixture_close(&f);
}

static void ends_the_connection_when_much_of_a_body_is_not_wanted(void **state)
{
	static char part[100000];
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
	for (unsigned i = 0; i < 40; i++) /* it sends all of it before it reads */
		client_send_bytes(&c, part, sizeof part);
	client_wait(&c, "POST /now 0\n");
	net_test_wait(f.net, &c.ended);
	assert_false(c.broken);
	assert_int_equal(client_count(&c, "Connection: close\r\n") +
	                         client_count(&c, "connection: close\r\n"),
	                 1);
	client_close(&c);
	fixture_close(&f);
}

static void tells_to_continue_only_who_is_not_refused(void **state)
{
	struct fixture f;
	struct client c, refused;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
	                "Expect: 100-continue\r\n\r\n");
	client_wait(&c, "HTTP/1.1 100 Continue\r\n\r\n");
	client_send(&c, "abc");
	client_wait(&c, "POST /a 3\n");
	client_connect(&f, &refused);
	client_send(&refused, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
	                      "Expect: 100-continue\r\n\r\n");
	client_wait(&refused, "POST /now 0\n");
	assert_int_equal(client_count(&refused, " 100 "), 0);
	net_test_wait(f.net, &refused.ended);
	client_close(&refused);
	client_close(&c);
	fixture_close(&f);
}

static void answers_pipelined_requests_one_after_the_other(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
	                "HEAD /2 HTTP/1.1\r\nHost: x\r\n\r\n"
	                "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
	                "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
	                "GET /5 HTTP/1.1\r\nHost: x\r\n\r\n");
	net_test_wait_count(f.net, &f.n_kept, 1);
	assert_int_equal(f.requests, 3);
	f.n_kept = 0;
	answer(&f, f.kept[0]);
	assert_int_equal(f.n_kept, 1); /* the next one follows at once */
	assert_int_equal(f.requests, 4);
	f.n_kept = 0;
	answer(&f, f.kept[0]);
	client_wait(&c, "GET /5 0\n");
	assert_int_equal(client_count(&c, "HEAD /2"), 0);
	assert_true(strstr(buffer_string(&c.got), "/later 1") <
	            strstr(buffer_string(&c.got), "/later 2"));
	client_close(&c);
	fixture_close(&f);
}

static void does_not_read_on_while_a_request_waits(void **state)
{
	static char part[65536];
	struct fixture f;
	struct client c;
	unsigned sent = 0;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
	net_test_wait_count(f.net, &f.n_kept, 1);
	client_send(&c, "POST /next HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\n");
	for (; sent < 1024; sent++) {
		client_send_bytes(&c, part, sizeof part);
		loop_run_once(f.net->loop);
		if (tcp_unsent(c.tcp) > 4 * sizeof part)
			break;
	}
	assert_true(sent < 1024); /* the kernel's buffers are full: nobody reads */
	assert_int_equal(f.requests, 1);
	f.n_kept = 0;
	answer(&f, f.kept[0]);
	while (f.body_bytes < (sent - 1) * sizeof part)
		loop_run_once(f.net->loop);
	assert_int_equal(f.requests, 2);
	client_close(&c);
	net_test_wait_count(f.net, &f.gone, 1);
	fixture_close(&f);
}

static void notices_a_client_that_leaves_while_it_waits(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
	net_test_wait_count(f.net, &f.n_kept, 1);
	client_close(&c);
	net_test_wait_count(f.net, &f.gone, 1);
	assert_int_equal(f.n_kept, 0);
	fixture_close(&f);
}

static void notices_a_client_that_leaves_in_the_middle_of_a_body(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\na");
	net_test_wait_count(f.net, &f.body_bytes, 1);
	client_close(&c);
	net_test_wait_count(f.net, &f.gone, 1);
	assert_int_equal(f.ends, 0);
	fixture_close(&f);
}

static void closes_after_a_response_when_either_side_wants_it(void **state)
{
	static const char *const requests[] = {
		"GET /a HTTP/1.0\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\n",
		"GET /a?close HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	for (unsigned i = 0; i < 3; i++) {
		client_connect(&f, &c);
		client_send(&c, requests[i]);
		client_wait(&c, "GET /a 0\n");
		net_test_wait(f.net, &c.ended);
		client_close(&c);
	}
	assert_int_equal(f.requests, 3);
	fixture_close(&f);
}

static void ends_every_connection_without_keep_alive(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.no_keep_alive = true;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	net_test_wait(f.net, &c.ended);
	assert_int_equal(f.requests, 1);
	client_close(&c);
	fixture_close(&f);
}

static void refuses(void **state, const char *request, const char *status, enum http_limit limit)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, request);
	client_wait(&c, status);
	net_test_wait(f.net, &c.ended);
	expect_strikes(&f, limit, 1);
	assert_int_equal(f.requests, f.gone);
	expect_health(&f);
	client_close(&c);
	fixture_close(&f);
}

static void refuses_what_is_not_http(void **state)
{
	refuses(state, "GET\r\n\r\n", "HTTP/1.1 400 ", HTTP_LIMIT_PROTOCOL);
	refuses(state, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	        "HTTP/1.1 400 ", HTTP_LIMIT_PROTOCOL);
	refuses(state,
	        "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	        "HTTP/1.1 400 ", HTTP_LIMIT_PROTOCOL);
}

static void refuses_a_list_of_headers_that_is_too_long(void **state)
{
	char *request = malloc(50000);

	strcpy(request, "GET /a HTTP/1.1\r\nHost: x\r\nX: ");
	memset(request + strlen(request), 'a', 40000);
	strcpy(request + 40000, "\r\n\r\n");
	refuses(state, request, "HTTP/1.1 431 ", HTTP_LIMIT_HEADER_LIST);
	free(request);
}

static void closes_on_tls_where_there_is_none(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send_bytes(&c, "\x16\x03\x01\x02\x00\x01", 6);
	net_test_wait(f.net, &c.ended);
	assert_int_equal(c.got.len, 0);
	expect_strikes(&f, HTTP_LIMIT_PROTOCOL, 1);
	client_close(&c);
	fixture_close(&f);
}

static void tells_who_speaks_http1_that_it_is_not_spoken(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.http1 = false;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "P");
	client_send(&c, "OST / HTTP/1.1\r\nHost: x\r\n\r\n");
	client_wait(&c, "HTTP/1.1 505 HTTP Version Not Supported\r\n");
	net_test_wait(f.net, &c.ended);
	expect_strikes(&f, HTTP_LIMIT_PROTOCOL, 1);
	client_close(&c);
	fixture_close(&f);
}

static void tells_the_version_by_the_first_bytes_however_they_come(void **state)
{
	static const char request[] = "PRI * HTTP/1.1\r\nHost: x\r\n\r\n";
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	for (const char *at = request; *at && !c.ended; at++) { /* HTTP/2's preface, almost */
		client_send_bytes(&c, at, 1);
		for (unsigned i = 0; i < 3; i++)
			loop_run_once(f.net->loop);
	}
	client_wait(&c, "HTTP/1.1 "); /* as HTTP/1.1, whatever is thought of that method */
	client_close(&c);
	fixture_close(&f);
}

static void lets_the_handler_write_the_body_of_a_refusal(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.own_bad_requests = true;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "GET\r\n\r\n");
	client_wait(&c, "bad 400");
	assert_int_equal(client_count(&c, "x/bad"), 1);
	assert_int_equal(f.bad_requests, 1);
	net_test_wait(f.net, &c.ended);
	client_close(&c);
	fixture_close(&f);
}

static void sends_large_responses_whole_and_then_the_next(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
	while (c.got.len < 4000000)
		loop_run_once(f.net->loop);
	client_wait(&c, "GET /b 0\n");
	client_close(&c);
	fixture_close(&f);
}

static void listens_on_unix_sockets(void **state)
{
	char text[160];
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	snprintf(text, sizeof text, "unix://%s", folder_at("socket"));
	f.endpoint = net_test_endpoint(text);
	fixture_listen(&f);
	assert_int_equal(http_server_port(f.server), 0);
	client_connect(&f, &c);
	client_send(&c, "GET /u HTTP/1.1\r\nHost: x\r\n\r\n");
	client_wait(&c, "GET /u 0\n");
	client_close(&c);
	fixture_close(&f);
}

/* ---- the end */

static void drains(void **state)
{
	struct fixture f;
	struct client idle, waiting, late;

	fixture_open(&f, state);
	client_connect(&f, &idle);
	client_send(&idle, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	client_wait(&idle, "GET /a 0\n");
	client_connect(&f, &late);
	client_connect(&f, &waiting);
	client_send(&waiting, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
	net_test_wait_count(f.net, &f.n_kept, 1);
	http_server_drain(f.server, on_flag, &f.drained);
	net_test_wait(f.net, &idle.ended);
	net_test_wait(f.net, &late.ended);
	assert_false(waiting.ended || f.drained);
	answer(&f, f.kept[0]);
	client_wait(&waiting, "POST /later 1\n");
	assert_int_equal(client_count(&waiting, "Connection: close\r\n") +
	                         client_count(&waiting, "connection: close\r\n"),
	                 1);
	net_test_wait(f.net, &waiting.ended);
	client_close(&idle);
	client_close(&late);
	client_close(&waiting);
	net_test_wait(f.net, &f.drained);
	assert_int_equal(http_server_connections(f.server), 0);
	fixture_close(&f);
}

static void drains_at_once_when_there_is_nobody(void **state)
{
	struct fixture f;

	fixture_open(&f, state);
	http_server_drain(f.server, on_flag, &f.drained);
	assert_true(f.drained);
	fixture_close(&f);
}

static void closes_with_requests_under_way(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	client_send(&c, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
	net_test_wait_count(f.net, &f.n_kept, 1);
	http_server_drain(f.server, on_flag, &f.drained);
	fixture_close(&f);
	assert_int_equal(f.gone, 1);
	assert_false(f.drained);
	net_test_wait(f.net, &c.ended);
	client_close(&c);
}

static void can_be_closed_by_its_handler(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	f.close_on_request = true;
	client_connect(&f, &c);
	client_send(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
	net_test_wait(f.net, &f.closed);
	assert_int_equal(f.gone, 1);
	client_close(&c);
}

static void close_takes_nothing(void **state)
{
	bool closed = false;

	http_server_close(NULL, on_flag, &closed);
	assert_true(closed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(answers_requests_and_keeps_the_connection),
		NET_TEST(gives_exchanges_what_the_request_said),
		NET_TEST(answers_before_the_body_has_come),
		NET_TEST(ends_the_connection_when_much_of_a_body_is_not_wanted),
		NET_TEST(tells_to_continue_only_who_is_not_refused),
		NET_TEST(answers_pipelined_requests_one_after_the_other),
		NET_TEST(does_not_read_on_while_a_request_waits),
		NET_TEST(notices_a_client_that_leaves_while_it_waits),
		NET_TEST(notices_a_client_that_leaves_in_the_middle_of_a_body),
		NET_TEST(closes_after_a_response_when_either_side_wants_it),
		NET_TEST(ends_every_connection_without_keep_alive),
		NET_TEST(refuses_what_is_not_http),
		NET_TEST(refuses_a_list_of_headers_that_is_too_long),
		NET_TEST(closes_on_tls_where_there_is_none),
		NET_TEST(tells_who_speaks_http1_that_it_is_not_spoken),
		NET_TEST(tells_the_version_by_the_first_bytes_however_they_come),
		NET_TEST(lets_the_handler_write_the_body_of_a_refusal),
		NET_TEST(sends_large_responses_whole_and_then_the_next),
		NET_TEST(listens_on_unix_sockets),
		NET_TEST(drains),
		NET_TEST(drains_at_once_when_there_is_nobody),
		NET_TEST(closes_with_requests_under_way),
		NET_TEST(can_be_closed_by_its_handler),
		NET_TEST(close_takes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
