/* What one connection gets before others have their turn, and that nobody is waited for who has gone. */
#include "tests/unit/net/http_frames.h"

#include <errno.h>
#include <unistd.h>

/* As much of many requests as the socket takes at once. */
static size_t send_many(int fd, const char *request, size_t most)
{
	size_t len = strlen(request), sent = 0;

	while (sent < most) {
		ssize_t n = send(fd, request, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

static bool is_alone(void *arg)
{
	const struct fixture *f = arg;

	return http_server_connections(f->server) == 0;
}

static bool has_two_requests(void *arg)
{
	const struct fixture *f = arg;

	return f->requests >= 2;
}

/* Its requests fill what is kept, so it is not read any more; its end shows only when something is written. */
static void notices_who_leaves_with_requests_and_answers_under_way(void **state)
{
	struct fixture f;
	int lazy;

	fixture_open(&f, state);
	lazy = connect_lazily(&f);
	send_many(lazy, "GET /some HTTP/1.1\r\nHost: x\r\n\r\nGET /big HTTP/1.1\r\nHost: x\r\n\r\n",
	          1 << 20);
	wait_for(&f, has_two_requests, &f);
	close(lazy);
	wait_for(&f, is_alone, &f);
	expect_health(&f);
	fixture_close(&f);
}

static void drains_without_who_has_left(void **state)
{
	struct fixture f;
	int lazy;

	fixture_open(&f, state);
	lazy = connect_lazily(&f);
	send_many(lazy, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n", 1 << 20);
	while (f.requests == 0)
		loop_run_once(f.net->loop);
	http_server_drain(f.server, on_flag, &f.drained);
	close(lazy);
	net_test_wait(f.net, &f.drained);
	fixture_close(&f);
}

static void answers_a_few_requests_in_a_turn(void **state)
{
	enum { REQUESTS = 400, TURN = 2 * 32 }; /* of the kept ones, and of those that come */
	struct fixture f;
	struct client c;
	unsigned before = 0;

	fixture_open(&f, state);
	client_connect(&f, &c);
	for (unsigned i = 0; i < REQUESTS; i++)
		client_send(&c, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	while (f.requests < REQUESTS) {
		loop_run_once(f.net->loop);
		assert_true(f.requests - before <= TURN);
		before = f.requests;
	}
	client_wait_times(&c, "GET /x 0\n", REQUESTS);
	client_close(&c);
	fixture_close(&f);
}

/* With HTTP/2 as well, and none of them is lost; those beyond max_concurrent_streams are refused. */
static void answers_a_few_streams_in_a_turn(void **state)
{
	enum { REQUESTS = 400, TURN = 2 * 33 };
	struct fixture f;
	struct client c;
	unsigned before = 0;

	fixture_begin(&f, state);
	f.config.limits.streams = REQUESTS;
	fixture_listen(&f);
	client_begin(&f, &c);
	for (uint32_t i = 0; i < REQUESTS; i++)
		client_request(&c, 1 + 2 * i, "/x", true);
	while (f.requests < REQUESTS) {
		loop_run_once(f.net->loop);
		assert_true(f.requests - before <= TURN);
		before = f.requests;
	}
	client_await_answer(&c, 2 * REQUESTS - 1, "GET /x 0\n");
	client_close(&c);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(notices_who_leaves_with_requests_and_answers_under_way),
		NET_TEST(drains_without_who_has_left),
		NET_TEST(answers_a_few_requests_in_a_turn),
		NET_TEST(answers_a_few_streams_in_a_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
