/* Every limit of http_server strikes, is counted, and leaves a healthy client alone. */
#include "tests/unit/net/http_frames.h"

#include "core/base/units.h"
#include "core/net/http_config.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SHORT_NS (250 * NS_PER_MS)

enum { ENHANCE_YOUR_CALM = 11, CANCEL = 8 };

/* ---- connections */

static void closes_the_newest_of_too_many_connections(void **state)
{
	struct fixture f;
	struct client c[4];

	fixture_begin(&f, state);
	f.config.limits.connections = 3;
	fixture_listen(&f);
	for (unsigned i = 0; i < 4; i++)
		client_connect(&f, &c[i]);
	net_test_wait(f.net, &c[3].ended);
	assert_int_equal(c[3].got.len, 0);
	expect_strikes(&f, HTTP_LIMIT_CONNECTIONS, 1);
	assert_int_equal(http_server_connections(f.server), 3);
	client_close(&c[0]);
	while (http_server_connections(f.server) == 3)
		loop_run_once(f.net->loop);
	expect_health(&f);
	for (unsigned i = 1; i < 4; i++)
		client_close(&c[i]);
	fixture_close(&f);
}

/* ---- time for heads */

/* Sends a byte every 50 ms until the connection ends, for which each byte is no reason to wait longer. */
static void drip(struct client *c, const char *byte)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S, next = 0;

	while (!c->ended && clock_monotonic_ns() < end) {
		if (clock_monotonic_ns() > next) {
			struct slice piece = slice_from_string(byte);

			tcp_write(c->tcp, &piece, 1);
			next = clock_monotonic_ns() + 50 * NS_PER_MS;
		}
		loop_run_once(c->f->net->loop);
	}
	assert_true(c->ended);
}

static void ends_a_head_that_comes_too_slowly(void **state)
{
	uint64_t begun = clock_monotonic_ns();
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.header_time = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "GET /a HTTP/1.1\r\nHost: x\r\nX-Slow: ");
	drip(&c, "x");
	assert_true(clock_monotonic_ns() - begun >= SHORT_NS);
	assert_int_equal(client_count(&c, "HTTP/1.1 408 "), 1);
	assert_int_equal(f.requests, 0);
	expect_strikes(&f, HTTP_LIMIT_HEADER_TIME, 1);
	expect_health(&f);
	client_close(&c);
	fixture_close(&f);
}

static void ends_a_second_head_that_comes_too_slowly(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.header_time = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	client_wait(&c, "GET /a 0\n");
	/* longer than the limit without a byte is only idle */
	for (uint64_t end = clock_monotonic_ns() + 2 * SHORT_NS; clock_monotonic_ns() < end;)
		loop_run_once(f.net->loop);
	assert_false(c.ended);
	client_send(&c, "GET");
	net_test_wait(f.net, &c.ended);
	assert_int_equal(client_count(&c, "HTTP/1.1 408 "), 1);
	expect_strikes(&f, HTTP_LIMIT_HEADER_TIME, 1);
	client_close(&c);
	fixture_close(&f);
}

static void ends_who_says_nothing_at_all(void **state)
{
	struct fixture f;
	struct client silent, begun;

	fixture_begin(&f, state);
	f.config.limits.header_time = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &silent);
	client_connect(&f, &begun);
	client_send(&begun, "PRI * HTT");
	net_test_wait(f.net, &silent.ended);
	net_test_wait(f.net, &begun.ended);
	expect_strikes(&f, HTTP_LIMIT_HEADER_TIME, 2);
	client_close(&silent);
	client_close(&begun);
	fixture_close(&f);
}

static void ends_a_head_of_http2_that_comes_too_slowly(void **state)
{
	static const uint8_t head[] = {0x82, 0x86, 0x84};
	struct fixture f;
	struct client open, cut;

	fixture_begin(&f, state);
	f.config.limits.header_time = SHORT_NS;
	fixture_listen(&f);
	client_begin(&f, &open); /* CONTINUATION would follow */
	client_request(&open, 1, "/later", true);
	client_frame(&open, HEADERS, END_STREAM, 3, head, sizeof head);
	client_begin(&f, &cut); /* in the middle of a frame */
	client_request(&cut, 1, "/a", true);
	client_await_answer(&cut, 1, "GET /a 0\n");
	client_send_bytes(&cut, "\0\0\x10\1\5\0\0\0\3\x82", 10);
	assert_int_equal(frame_number(client_await(&open, GOAWAY, 0, 1), 4), ENHANCE_YOUR_CALM);
	assert_int_equal(frame_number(client_await(&cut, GOAWAY, 0, 1), 4), ENHANCE_YOUR_CALM);
	net_test_wait(f.net, &open.ended);
	net_test_wait(f.net, &cut.ended);
	assert_int_equal(f.gone, 1);
	expect_strikes(&f, HTTP_LIMIT_HEADER_TIME, 2);
	expect_health(&f);
	client_close(&open);
	client_close(&cut);
	fixture_close(&f);
}

/* ---- time for bodies */

static void ends_a_body_that_comes_too_slowly(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.body_rate = 1000;
	f.config.limits.body_grace = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
	drip(&c, "xy");
	assert_int_equal(client_count(&c, "HTTP/1.1 408 "), 1);
	assert_int_equal(f.gone, 1);
	expect_strikes(&f, HTTP_LIMIT_BODY_RATE, 1);
	expect_health(&f);
	client_close(&c);
	fixture_close(&f);
}

static void ends_only_the_stream_whose_body_comes_too_slowly(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.body_rate = 1000;
	f.config.limits.body_grace = SHORT_NS;
	fixture_listen(&f);
	client_begin(&f, &c);
	client_request(&c, 1, "/slow", false);
	client_request(&c, 3, "/fast", false);
	client_body(&c, 3, 20000, false); /* of twenty seconds */
	client_body(&c, 1, 3, false);
	assert_int_equal(frame_number(client_await(&c, RST_STREAM, 1, 1), 0), CANCEL);
	assert_int_equal(f.gone, 1);
	client_body(&c, 3, 1, true);
	client_await_answer(&c, 3, "POST /fast 20001\n");
	expect_strikes(&f, HTTP_LIMIT_BODY_RATE, 1);
	client_close(&c);
	fixture_close(&f);
}

static void does_not_blame_the_peer_for_a_window_that_is_withheld(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.body_rate = 1000;
	f.config.limits.body_grace = SHORT_NS;
	f.config.limits.window = 65536;
	fixture_listen(&f);
	client_begin(&f, &c);
	client_request(&c, 1, "/later", false);
	client_body(&c, 1, 40000, true);
	net_test_wait_count(f.net, &f.n_kept, 1);
	client_request(&c, 3, "/a", false);
	client_body(&c, 3, 10, false);
	for (uint64_t end = clock_monotonic_ns() + 3 * SHORT_NS; clock_monotonic_ns() < end;)
		loop_run_once(f.net->loop);
	expect_strikes(&f, HTTP_LIMIT_BODY_RATE, 0);
	answer(&f, f.kept[0]);
	wait_for_strike(&f, HTTP_LIMIT_BODY_RATE, 1); /* now it is the peer's turn */
	client_close(&c);
	fixture_close(&f);
}

static void ends_a_request_that_takes_too_long_altogether(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.read_time = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
	drip(&c, "0123456789");
	assert_int_equal(client_count(&c, "HTTP/1.1 408 "), 1);
	assert_int_equal(f.gone, 1);
	expect_strikes(&f, HTTP_LIMIT_READ_TIME, 1);
	client_close(&c);
	fixture_close(&f);
}

static void does_not_hurry_the_handler(void **state)
{
	struct fixture f;
	struct client one, two;

	fixture_begin(&f, state);
	f.config.limits.header_time = SHORT_NS;
	f.config.limits.body_grace = SHORT_NS;
	f.config.limits.body_rate = 1000000;
	f.config.limits.read_time = SHORT_NS;
	f.config.limits.write_time = SHORT_NS;
	f.config.limits.idle = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &one);
	client_begin(&f, &two);
	client_send(&one, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na");
	client_request(&two, 1, "/later", true);
	net_test_wait_count(f.net, &f.n_kept, 2);
	for (uint64_t end = clock_monotonic_ns() + 3 * SHORT_NS; clock_monotonic_ns() < end;)
		loop_run_once(f.net->loop);
	assert_int_equal(f.gone, 0);
	answer(&f, f.kept[0]);
	answer(&f, f.kept[1]);
	client_wait(&one, "POST /later 1\n");
	client_await_answer(&two, 1, "GET /later 0\n");
	expect_strikes(&f, HTTP_LIMIT_IDLE, 0);
	client_close(&one);
	client_close(&two);
	fixture_close(&f);
}

/* ---- time for responses */

static void gives_up_who_does_not_read(void **state)
{
	static const char request[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
	struct fixture f;
	int lazy;

	fixture_begin(&f, state);
	f.config.limits.write_time = SHORT_NS;
	fixture_listen(&f);
	lazy = connect_lazily(&f);
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(send(lazy, request, sizeof request - 1, 0), sizeof request - 1);
	wait_for_strike(&f, HTTP_LIMIT_WRITE_TIME, 1);
	assert_int_equal(f.requests, 1); /* answers are not piled up */
	expect_strikes(&f, HTTP_LIMIT_WRITE_TIME, 1);
	while (http_server_connections(f.server) > 0)
		loop_run_once(f.net->loop);
	expect_health(&f);
	close(lazy);
	fixture_close(&f);
}

static void gives_up_who_does_not_read_what_was_the_last_word(void **state)
{
	static const char request[] = "GET /big HTTP/1.0\r\n\r\n";
	struct fixture f;
	int lazy;

	fixture_begin(&f, state);
	f.config.limits.write_time = SHORT_NS;
	fixture_listen(&f);
	lazy = connect_lazily(&f);
	assert_int_equal(send(lazy, request, sizeof request - 1, 0), sizeof request - 1);
	wait_for_strike(&f, HTTP_LIMIT_WRITE_TIME, 1);
	while (http_server_connections(f.server) > 0)
		loop_run_once(f.net->loop);
	close(lazy);
	fixture_close(&f);
}

static void lets_slow_readers_read_on(void **state)
{
	static char bytes[65536];
	static const char request[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;
	struct fixture f;
	size_t got = 0;
	ssize_t n = -1;
	int fd;

	fixture_open(&f, state);
	fd = connect_lazily(&f);
	assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
	net_test_wait_count(f.net, &f.requests, 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0); /* it asks nothing more, but reads */
	while (n != 0 && clock_monotonic_ns() < end) {
		uv_run(loop_uv(f.net->loop), UV_RUN_NOWAIT);
		n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
		if (n > 0)
			got += (size_t)n;
	}
	assert_true(got > 4000000);
	close(fd);
	fixture_close(&f);
}

static void gives_up_a_stream_whose_window_stays_shut(void **state)
{
	static const uint8_t no_window[6] = {0, 4, 0, 0, 0, 0};
	static const uint8_t some[4] = {0, 0, 1, 0};
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.write_time = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &c);
	client_send(&c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	client_frame(&c, SETTINGS, 0, 0, no_window, 6);
	client_request(&c, 1, "/a", true);
	client_request(&c, 3, "/b", true);
	net_test_wait_count(f.net, &f.responses, 2);
	client_frame(&c, WINDOW_UPDATE, 0, 3, some, 4);
	client_await_answer(&c, 3, "GET /b 0\n");
	assert_int_equal(frame_number(client_await(&c, RST_STREAM, 1, 1), 0), CANCEL);
	expect_strikes(&f, HTTP_LIMIT_WRITE_TIME, 1);
	assert_int_equal(f.gone, 0); /* it was answered */
	client_close(&c);
	fixture_close(&f);
}

/* ---- idle, age, keepalive */

static void closes_idle_connections(void **state)
{
	struct fixture f;
	struct client one, two;

	fixture_begin(&f, state);
	f.config.limits.idle = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &one);
	client_begin(&f, &two);
	for (uint32_t i = 0; i < 3; i++) {
		client_send(&one, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
		client_request(&two, 1 + 2 * i, "/a", true);
		client_wait_times(&one, "GET /a 0\n", i + 1);
		client_await_answer(&two, 1 + 2 * i, "GET /a 0\n");
	}
	net_test_wait(f.net, &one.ended);
	assert_int_equal(frame_number(client_await(&two, GOAWAY, 0, 1), 4), 0);
	net_test_wait(f.net, &two.ended);
	assert_int_equal(f.responses, 6);
	expect_strikes(&f, HTTP_LIMIT_IDLE, 2);
	client_close(&one);
	client_close(&two);
	fixture_close(&f);
}

static void sends_old_connections_away(void **state)
{
	struct fixture f;
	struct client idle, busy, one;

	fixture_begin(&f, state);
	f.config.limits.age = SHORT_NS;
	fixture_listen(&f);
	client_connect(&f, &one);
	client_begin(&f, &idle);
	client_begin(&f, &busy);
	client_request(&busy, 1, "/later", true);
	client_send(&one, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	net_test_wait_count(f.net, &f.n_kept, 2);
	assert_int_equal(frame_number(client_await(&busy, GOAWAY, 0, 1), 0), 0x7fffffff);
	client_await(&idle, GOAWAY, 0, 1);
	net_test_wait(f.net, &idle.ended);
	wait_for_strike(&f, HTTP_LIMIT_AGE, 3);
	assert_false(busy.ended || one.ended);
	answer(&f, f.kept[0]);
	answer(&f, f.kept[1]);
	client_await_answer(&busy, 1, "GET /later 0\n");
	client_wait(&one, "GET /later 0\n");
	net_test_wait(f.net, &busy.ended);
	net_test_wait(f.net, &one.ended);
	expect_strikes(&f, HTTP_LIMIT_AGE, 3);
	client_close(&one);
	client_close(&idle);
	client_close(&busy);
	fixture_close(&f);
}

static void ends_old_connections_after_a_grace(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.age = SHORT_NS;
	f.config.limits.age_grace = SHORT_NS;
	fixture_listen(&f);
	client_begin(&f, &c);
	client_request(&c, 1, "/later", true);
	net_test_wait(f.net, &c.ended);
	assert_int_equal(f.gone, 1);
	expect_strikes(&f, HTTP_LIMIT_AGE, 1);
	client_close(&c);
	fixture_close(&f);
}

static void pings_silent_peers_and_closes_on_those_who_do_not_answer(void **state)
{
	struct fixture f;
	struct client dead, alive;
	struct frame ping;

	fixture_begin(&f, state);
	f.config.limits.keepalive_time = SHORT_NS;
	f.config.limits.keepalive_timeout = SHORT_NS;
	fixture_listen(&f);
	client_begin(&f, &dead);
	client_begin(&f, &alive);
	for (unsigned i = 1; i <= 3; i++) {
		ping = client_await(&alive, PING, 0, i);
		client_frame(&alive, PING, ACK, 0, ping.payload.data, ping.payload.len);
	}
	net_test_wait(f.net, &dead.ended);
	assert_false(alive.ended);
	expect_strikes(&f, HTTP_LIMIT_KEEPALIVE, 1);
	client_close(&dead);
	client_close(&alive);
	fixture_close(&f);
}

/* ---- what HTTP/2 invites to; the rules themselves are h2_server's */

static void ends_rapid_reset(void **state)
{
	static const uint8_t cancel[4] = {0, 0, 0, 8};
	struct fixture f;
	struct client c;
	struct buffer flood = BUFFER_INIT;

	fixture_begin(&f, state);
	f.config.limits.resets = 50;
	f.config.limits.resets_rate = 1;
	fixture_listen(&f);
	client_begin(&f, &c);
	for (uint32_t i = 0; i < 500; i++) {
		request_append(&flood, 1 + 2 * i, "/later", true);
		frame_append(&flood, RST_STREAM, 0, 1 + 2 * i, cancel, 4);
	}
	client_send_bytes(&c, flood.data, flood.len);
	assert_int_equal(frame_number(client_await(&c, GOAWAY, 0, 1), 4), ENHANCE_YOUR_CALM);
	net_test_wait(f.net, &c.ended);
	assert_int_equal(http_server_struck(f.server, HTTP_LIMIT_RESETS), 1);
	assert_true(f.requests <= 60);
	assert_int_equal(f.gone, f.requests);
	expect_health(&f);
	buffer_fini(&flood);
	client_close(&c);
	fixture_close(&f);
}

static void ends_a_flood_of_pings(void **state)
{
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	for (unsigned i = 0; i < 10 && !c.ended; i++)
		client_frame(&c, PING, 0, 0, "12345678", 8);
	assert_int_equal(frame_number(client_await(&c, GOAWAY, 0, 1), 4), ENHANCE_YOUR_CALM);
	net_test_wait(f.net, &c.ended);
	assert_int_equal(http_server_struck(f.server, HTTP_LIMIT_PINGS), 1);
	expect_health(&f);
	client_close(&c);
	fixture_close(&f);
}

static void refuses_streams_beyond_what_it_announced(void **state)
{
	struct fixture f;
	struct client c;

	fixture_begin(&f, state);
	f.config.limits.streams = 3;
	fixture_listen(&f);
	client_begin(&f, &c);
	for (uint32_t i = 0; i < 4; i++)
		client_request(&c, 1 + 2 * i, "/later", true);
	client_await(&c, RST_STREAM, 7, 1);
	assert_int_equal(f.requests, 3);
	expect_strikes(&f, HTTP_LIMIT_STREAMS, 1);
	answer(&f, f.kept[0]);
	client_await_answer(&c, 1, "GET /later 0\n");
	client_request(&c, 9, "/a", true);
	client_await_answer(&c, 9, "GET /a 0\n");
	client_close(&c);
	fixture_close(&f);
}

static unsigned lines_of(int fd)
{
	char text[4096];
	unsigned lines = 0;
	ssize_t n;

	while ((n = read(fd, text, sizeof text)) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return lines;
}

/* Ten lines about one peer would hide all others. */
static void says_once_what_one_peer_does_again_and_again(void **state)
{
	int log[2];
	struct fixture f;
	struct client one, other;

	assert_int_equal(pipe2(log, O_NONBLOCK | O_CLOEXEC), 0);
	fixture_begin(&f, state);
	f.config.limits.streams = 1;
	f.sink = (struct log_sink){.level = LOG_WARN, .fd = log[1]};
	fixture_listen(&f);
	client_begin(&f, &one);
	for (uint32_t i = 0; i < 50; i++)
		client_request(&one, 1 + 2 * i, "/later", true);
	wait_for_strike(&f, HTTP_LIMIT_STREAMS, 49);
	assert_int_equal(lines_of(log[0]), 1);
	client_begin(&f, &other);
	for (uint32_t i = 0; i < 2; i++)
		client_request(&other, 1 + 2 * i, "/later", true);
	wait_for_strike(&f, HTTP_LIMIT_STREAMS, 50);
	assert_int_equal(lines_of(log[0]), 1);
	client_close(&one);
	client_close(&other);
	fixture_close(&f);
	close(log[0]);
	close(log[1]);
}

static void ends_on_what_is_not_http2(void **state)
{
	static const uint8_t junk[40] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct fixture f;
	struct client c;

	fixture_open(&f, state);
	client_begin(&f, &c);
	client_request(&c, 1, "/later", true);
	client_frame(&c, HEADERS, END_HEADERS, 3, junk, sizeof junk);
	client_await(&c, GOAWAY, 0, 1);
	net_test_wait(f.net, &c.ended);
	assert_int_equal(f.gone, f.requests);
	expect_strikes(&f, HTTP_LIMIT_PROTOCOL, 1);
	expect_health(&f);
	client_close(&c);
	fixture_close(&f);
}

/* ---- the option table */

static uint64_t number_of(const struct option *o)
{
	struct slice text = slice_from_string(o->text);
	int64_t ns = 0;
	uint64_t n = 0;

	if (o->kind == KIND_DURATION) {
		assert_int_equal(duration_parse(text, &ns), 0);
		return (uint64_t)ns;
	}
	if (o->kind == KIND_BYTES) {
		assert_int_equal(size_parse(text, &n), 0);
		return n;
	}
	assert_int_equal(o->kind, KIND_UINT);
	return strtoull(o->text, NULL, 10);
}

static void documents_the_defaults_that_it_has(void **state)
{
	const struct option *o = http_limits_options;

	(void)state;
	for (; o->name; o++) {
		uint64_t value;

		memcpy(&value, (const char *)&http_default_limits + o->offset, sizeof value);
		if (number_of(o) != value)
			fail_msg("%s: %s in the table, else %llu", o->name, o->text,
			         (unsigned long long)value);
	}
	assert_true(o - http_limits_options > 10);
}

static void names_every_limit(void **state)
{
	(void)state;
	for (int l = 0; l < HTTP_LIMIT_COUNT; l++)
		assert_non_null(http_limit_name((enum http_limit)l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(closes_the_newest_of_too_many_connections),
		NET_TEST(ends_a_head_that_comes_too_slowly),
		NET_TEST(ends_a_second_head_that_comes_too_slowly),
		NET_TEST(ends_who_says_nothing_at_all),
		NET_TEST(ends_a_head_of_http2_that_comes_too_slowly),
		NET_TEST(ends_a_body_that_comes_too_slowly),
		NET_TEST(ends_only_the_stream_whose_body_comes_too_slowly),
		NET_TEST(does_not_blame_the_peer_for_a_window_that_is_withheld),
		NET_TEST(ends_a_request_that_takes_too_long_altogether),
		NET_TEST(does_not_hurry_the_handler),
		NET_TEST(gives_up_who_does_not_read),
		NET_TEST(gives_up_who_does_not_read_what_was_the_last_word),
		NET_TEST(lets_slow_readers_read_on),
		NET_TEST(gives_up_a_stream_whose_window_stays_shut),
		NET_TEST(closes_idle_connections),
		NET_TEST(sends_old_connections_away),
		NET_TEST(ends_old_connections_after_a_grace),
		NET_TEST(pings_silent_peers_and_closes_on_those_who_do_not_answer),
		NET_TEST(ends_rapid_reset),
		NET_TEST(ends_a_flood_of_pings),
		NET_TEST(refuses_streams_beyond_what_it_announced),
		NET_TEST(says_once_what_one_peer_does_again_and_again),
		NET_TEST(ends_on_what_is_not_http2),
		cmocka_unit_test(documents_the_defaults_that_it_has),
		cmocka_unit_test(names_every_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
