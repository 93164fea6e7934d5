/* HTTP/2 with frames made by hand. */
#include "tests/unit/net/http_frames.h"

static void answers_requests_of_one_connection_in_any_order(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_request(&c, 1, "/later", false);
	client_request(&c, 3, "/b", true);
	client_await_answer(&c, 3, "GET /b 0\n");
	client_body(&c, 1, 5, false);
	client_request(&c, 5, "/c", false);
	client_body(&c, 5, 20000, true);
	client_await_answer(&c, 5, "POST /c 20000\n");
	client_body(&c, 1, 2, true);
	net_test_wait_count(f.net, &f.n_kept, 1);
	assert_int_equal(http_exchange_request(f.kept[0])->version_major, 2);
	assert_true(slice_equal(http_exchange_request(f.kept[0])->authority, SLICE_LITERAL("x")));
	answer(&f, f.kept[0]);
	client_await_answer(&c, 1, "POST /later 7\n");
	assert_int_equal(http_server_connections(f.server), 1);
	expect_strikes(&f, HTTP_LIMIT_PROTOCOL, 0);
	client_close(&c);
	fixture_close(&f);
}

static void begins_with_a_preface_in_pieces(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_connect(&f, &c);
	for (const char *at = preface; *at; at++) {
		client_send_bytes(&c, at, 1);
		for (unsigned i = 0; i < 3; i++)
			loop_run_once(f.net->loop);
	}
	client_frame(&c, SETTINGS, 0, 0, NULL, 0);
	client_request(&c, 1, "/a", true);
	client_await_answer(&c, 1, "GET /a 0\n");
	client_close(&c);
	fixture_close(&f);
}

static void answers_before_the_body_has_come(void **state)
{
	struct fixture f;
	struct client c;
	struct frame reset;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_request(&c, 1, "/now", false);
	client_await_answer(&c, 1, "POST /now 0\n");
	reset = client_await(&c, RST_STREAM, 1, 1);
	assert_int_equal(frame_number(reset, 0), 0); /* NO_ERROR */
	client_request(&c, 3, "/early", false);
	client_body(&c, 3, 7, false);
	client_await_answer(&c, 3, "POST /early 7\n");
	client_await(&c, RST_STREAM, 3, 1);
	client_body(&c, 3, 7, true); /* on its way already */
	client_request(&c, 5, "/a", true);
	client_await_answer(&c, 5, "GET /a 0\n");
	assert_int_equal(f.body_bytes, 7);
	assert_int_equal(f.gone, 0);
	client_close(&c);
	fixture_close(&f);
}

static void tells_that_a_stream_was_reset(void **state)
{
	static const uint8_t cancel[4] = {0, 0, 0, 8};
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_request(&c, 1, "/later", true);
	client_request(&c, 3, "/a", false);
	net_test_wait_count(f.net, &f.requests, 2);
	client_frame(&c, RST_STREAM, 0, 1, cancel, 4);
	client_frame(&c, RST_STREAM, 0, 3, cancel, 4);
	net_test_wait_count(f.net, &f.gone, 2);
	assert_int_equal(f.n_kept, 0);
	client_request(&c, 5, "/a", true);
	client_await_answer(&c, 5, "GET /a 0\n");
	client_close(&c);
	fixture_close(&f);
}

static void tells_of_every_request_of_a_lost_connection(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	for (uint32_t i = 0; i < 20; i++)
		client_request(&c, 1 + 2 * i, i % 2 ? "/later" : "/a", i % 2);
	net_test_wait_count(f.net, &f.requests, 20);
	client_close(&c);
	net_test_wait_count(f.net, &f.gone, 20);
	fixture_close(&f);
}

static void sends_no_body_to_head(void **state)
{
	static const uint8_t head[] = {0x02, 4, 'H', 'E', 'A', 'D', 0x86, 0x84, 0x01, 1, 'x'};
	struct fixture f;
	struct client c;
	struct frame answer;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_frame(&c, HEADERS, END_HEADERS | END_STREAM, 1, head, sizeof head);
	answer = client_await(&c, HEADERS, 1, 1);
	if (!(answer.flags & END_STREAM))
		assert_int_equal(client_await(&c, DATA, 1, 1).payload.len, 0);
	client_close(&c);
	fixture_close(&f);
}

/* What is not answered is not given back: the peer comes to the end of its window. */
static void withholds_the_window_for_what_is_not_answered(void **state)
{
	struct fixture f;
	struct client c;
	struct frame frame;
	uint64_t given = 65535, sent = 0;
	size_t at = 0;
	uint32_t id = 1;
	unsigned requests = 0, answered = 0;

	fixture_begin(&f, state);
	f.config.limits.window = 128 * 1024;
	fixture_listen(&f);
	client_begin(&f, &c);
	client_await(&c, SETTINGS, 0, 1);
	while (given - sent >= 10000 && requests < 100) {
		client_request(&c, id, "/later", false);
		client_body(&c, id, 10000, true);
		id += 2;
		sent += 10000;
		requests++;
		net_test_wait_count(f.net, &f.n_kept, requests);
		/* What it gives for that comes before the answer to a later question. */
		client_request(&c, id, "/now", true);
		client_await_answer(&c, id, "GET /now 0\n");
		id += 2;
		while (frame_next(&c, &at, &frame))
			if (frame.type == WINDOW_UPDATE && frame.id == 0)
				given += frame_number(frame, 0);
	}
	assert_true(given - sent < 10000);
	assert_true(sent <= 2 * f.config.limits.window);
	assert_true(f.n_kept > 5);
	while (f.n_kept > 0) {
		answer(&f, f.kept[--f.n_kept]);
		answered++;
	}
	client_await(&c, DATA, id - 4, 1);
	while (frame_next(&c, &at, &frame))
		if (frame.type == WINDOW_UPDATE && frame.id == 0)
			given += frame_number(frame, 0);
	assert_true(given - sent >= f.config.limits.window / 2);
	assert_int_equal(f.responses, answered + requests);
	client_close(&c);
	fixture_close(&f);
}

/* The client has read the warning that is followed by a ping. */
static void heard(struct client *c)
{
	struct frame ping = client_await(c, PING, 0, 1);

	client_frame(c, PING, ACK, 0, ping.payload.data, ping.payload.len);
}

static void drains_with_a_warning_first(void **state)
{
	struct fixture f;
	struct client c, idle;
	struct frame goaway;

	fixture_open(&f, state);
	client_begin(&f, &idle);
	client_request(&idle, 1, "/a", true);
	client_await_answer(&idle, 1, "GET /a 0\n");
	client_begin(&f, &c);
	client_request(&c, 1, "/later", true);
	net_test_wait_count(f.net, &f.n_kept, 1);
	http_server_drain(f.server, on_flag, &f.drained);
	goaway = client_await(&c, GOAWAY, 0, 1);
	assert_int_equal(frame_number(goaway, 0), 0x7fffffff);
	assert_int_equal(frame_number(goaway, 4), 0);
	client_request(&c, 3, "/b", true); /* was on its way */
	client_await_answer(&c, 3, "GET /b 0\n");
	goaway = client_await(&idle, GOAWAY, 0, 1);
	assert_int_equal(frame_number(goaway, 0), 0x7fffffff);
	client_request(&idle, 3, "/b", true); /* the same without a request under way */
	client_await_answer(&idle, 3, "GET /b 0\n");
	assert_false(idle.ended);
	heard(&idle);
	goaway = client_await(&idle, GOAWAY, 0, 2);
	assert_int_equal(frame_number(goaway, 0), 3);
	net_test_wait(f.net, &idle.ended);
	assert_false(f.drained || c.ended);
	heard(&c);
	answer(&f, f.kept[0]);
	client_await_answer(&c, 1, "GET /later 0\n");
	goaway = client_await(&c, GOAWAY, 0, 2);
	assert_int_equal(frame_number(goaway, 0), 3);
	net_test_wait(f.net, &c.ended);
	client_close(&c);
	client_close(&idle);
	net_test_wait(f.net, &f.drained);
	fixture_close(&f);
}

static void does_not_wait_for_who_hears_nothing(void **state)
{
	struct fixture f;
	struct client deaf;

	fixture_open(&f, state);
	client_begin(&f, &deaf);
	client_request(&deaf, 1, "/a", true);
	client_await_answer(&deaf, 1, "GET /a 0\n");
	http_server_drain(f.server, on_flag, &f.drained);
	client_await(&deaf, GOAWAY, 0, 2);
	net_test_wait(f.net, &deaf.ended);
	client_close(&deaf);
	net_test_wait(f.net, &f.drained);
	fixture_close(&f);
}

static void closes_with_requests_under_way(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_request(&c, 1, "/later", true);
	client_request(&c, 3, "/a", false);
	net_test_wait_count(f.net, &f.requests, 2);
	fixture_close(&f);
	assert_int_equal(f.gone, 2);
	client_close(&c);
}

static void can_be_closed_by_its_handler(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	f.close_on_request = true;
	client_begin(&f, &c);
	client_request(&c, 1, "/a", false);
	net_test_wait(f.net, &f.closed);
	assert_int_equal(f.gone, 1);
	client_close(&c);
}

static void sends_large_responses_as_the_windows_open(void **state)
{
	static const uint8_t more[4] = {0, 0x40, 0, 0};
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_request(&c, 1, "/big", true);
	while (c.got.len < 65535)
		loop_run_once(f.net->loop);
	client_frame(&c, WINDOW_UPDATE, 0, 0, more, 4);
	client_frame(&c, WINDOW_UPDATE, 0, 1, more, 4);
	while (c.got.len < 4000000)
		loop_run_once(f.net->loop);
	client_request(&c, 3, "/a", true);
	client_await_answer(&c, 3, "GET /a 0\n");
	client_close(&c);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(answers_requests_of_one_connection_in_any_order),
		NET_TEST(begins_with_a_preface_in_pieces),
		NET_TEST(answers_before_the_body_has_come),
		NET_TEST(tells_that_a_stream_was_reset),
		NET_TEST(tells_of_every_request_of_a_lost_connection),
		NET_TEST(sends_no_body_to_head),
		NET_TEST(withholds_the_window_for_what_is_not_answered),
		NET_TEST(drains_with_a_warning_first),
		NET_TEST(does_not_wait_for_who_hears_nothing),
		NET_TEST(closes_with_requests_under_way),
		NET_TEST(can_be_closed_by_its_handler),
		NET_TEST(sends_large_responses_as_the_windows_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
