/* Bodies that are made while they are sent. */
#include "tests/unit/net/http_frames.h"

enum { PIECE = 10000, PIECES = 200 };

struct source_test {
	struct fixture f;
	unsigned pieces; /* of a body */
	unsigned asked, closed;
	unsigned turn, asked_in; /* rounds of the loop */
	bool fails;              /* instead of the last piece */
	bool ends_empty;
	unsigned version; /* of HTTP */
};

static int next_piece(void *arg, struct buffer *out)
{
	struct source_test *t = arg;

	assert_int_equal(out->len, 0);
	assert_int_equal(t->closed, 0);
	/* frames that come may ask as well */
	assert_true(t->asked == 0 || t->asked_in != t->turn || t->version == 2);
	t->asked_in = t->turn;
	t->asked++;
	if (t->asked == t->pieces && (t->fails || t->ends_empty))
		return t->fails ? -1 : 0;
	for (unsigned i = 0; i < PIECE / 10; i++)
		buffer_append_string(out, i + 1 == PIECE / 10 ? "012345678\n" : "0123456789");
	return t->asked < t->pieces;
}

static void on_closed_source(void *arg)
{
	((struct source_test *)arg)->closed++;
}

static void on_request(void *arg, struct http_exchange *x)
{
	struct source_test *t = arg;
	struct http_response response = {.status = 200,
	                                 .source = {next_piece, on_closed_source, t}};

	t->asked = t->closed = 0;
	t->version = http_exchange_request(x)->version_major;
	if (is_path(x, "/with"))
		buffer_append_string(&response.body, "before\n");
	http_respond(x, &response);
}

static void open_test(struct source_test *t, void **state)
{
	static const struct http_handler handler = {.on_request = on_request};

	*t = (struct source_test){.pieces = PIECES};
	fixture_begin(&t->f, state);
	assert_int_equal(http_server_new(t->f.net->loop, &t->f.config, &handler, t, NULL,
	                                 &t->f.server, NULL),
	                 0);
}

static void run(struct source_test *t, const unsigned *count, unsigned wanted)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (*count < wanted && clock_monotonic_ns() < end) {
		t->turn++;
		loop_run_once(t->f.net->loop);
	}
	assert_int_equal(*count, wanted);
}

static void await_text(struct source_test *t, struct client *c, const char *text)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (!client_count(c, text) && clock_monotonic_ns() < end) {
		t->turn++;
		loop_run_once(t->f.net->loop);
	}
	assert_int_equal(client_count(c, text), 1);
}

static void sends_pieces_as_chunks_one_in_a_turn(void **state)
{
	struct source_test t;
	struct client c;

	open_test(&t, state);
	client_connect(&t.f, &c);
	for (unsigned i = 0; i < 2; i++) { /* the connection goes on */
		t.ends_empty = i == 1;
		buffer_clear(&c.got);
		client_send(&c, i ? "GET /with HTTP/1.1\r\nHost: x\r\n\r\n"
		                  : "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		await_text(&t, &c, "\r\n0\r\n\r\n");
		assert_int_equal(t.asked, PIECES);
		assert_int_equal(t.closed, 1);
		assert_int_equal(client_count(&c, "Transfer-Encoding: chunked\r\n"), 1);
		assert_int_equal(client_count(&c, "ontent-"), 0);
		assert_int_equal(client_count(&c, "\r\n2710\r\n0123456789"), PIECES - i);
		assert_int_equal(client_count(&c, "\r\n\r\n7\r\nbefore\n\r\n2710\r\n"), i);
	}
	client_send(&c, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
	buffer_clear(&c.got);
	await_text(&t, &c, "\r\n\r\n");
	assert_int_equal(t.asked, 0);
	assert_int_equal(t.closed, 1);
	assert_false(c.ended);
	client_close(&c);
	fixture_close(&t.f);
}

static void answers_the_next_request_after_it(void **state)
{
	struct source_test t;
	struct client c;

	open_test(&t, state);
	t.pieces = 3;
	client_connect(&t.f, &c);
	client_send(&c, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
	                "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	while (!c.ended) {
		t.turn++;
		loop_run_once(t.f.net->loop);
	}
	assert_int_equal(client_count(&c, "HTTP/1.1 200"), 3);
	assert_int_equal(client_count(&c, "\r\n0\r\n\r\n"), 3);
	assert_false(c.broken);
	client_close(&c);
	fixture_close(&t.f);
}

static void ends_it_for_old_clients_with_the_connection(void **state)
{
	struct source_test t;
	struct client c;

	open_test(&t, state);
	t.pieces = 5;
	client_connect(&t.f, &c);
	client_send(&c, "GET /with HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	while (!c.ended) {
		t.turn++;
		loop_run_once(t.f.net->loop);
	}
	assert_int_equal(client_count(&c, "ransfer-"), 0);
	assert_int_equal(client_count(&c, "012345678\n"), 5);
	assert_int_equal(client_count(&c, "\r\n\r\nbefore\n0123456789"), 1);
	assert_int_equal(t.closed, 1);
	client_close(&c);
	fixture_close(&t.f);
}

static void breaks_off_what_cannot_go_on(void **state)
{
	struct source_test t;
	struct client c;

	open_test(&t, state);
	t.pieces = 5;
	t.fails = true;
	client_connect(&t.f, &c);
	client_send(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!c.ended) {
		t.turn++;
		loop_run_once(t.f.net->loop);
	}
	assert_int_equal(client_count(&c, "\r\n0\r\n\r\n"), 0);
	assert_int_equal(t.closed, 1);
	client_close(&c);
	client_begin(&t.f, &c);
	client_request(&c, 1, "/", true);
	run(&t, &t.closed, 1);
	client_await(&c, RST_STREAM, 1, 1);
	client_close(&c);
	fixture_close(&t.f);
}

static void closes_the_source_of_who_leaves(void **state)
{
	struct source_test t;
	struct client c;

	open_test(&t, state);
	t.pieces = 1000000;
	client_connect(&t.f, &c);
	client_send(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	run(&t, &t.asked, 10);
	client_close(&c);
	run(&t, &t.closed, 1);
	fixture_close(&t.f);
}

static void closes_the_source_when_the_server_closes(void **state)
{
	struct source_test t;
	struct client c;

	for (unsigned h2 = 0; h2 < 2; h2++) {
		open_test(&t, state);
		t.pieces = 1000000;
		if (h2) {
			client_begin(&t.f, &c);
			client_request(&c, 1, "/", true);
		} else {
			client_connect(&t.f, &c);
			client_send(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		}
		run(&t, &t.asked, 5);
		fixture_close(&t.f);
		assert_int_equal(t.closed, 1);
		client_close(&c);
	}
}

static void gives_up_who_reads_too_slowly(void **state)
{
	struct source_test t;
	char some[1000];
	int fd;

	open_test(&t, state);
	http_server_close(t.f.server, on_flag, &t.f.closed);
	net_test_wait(t.f.net, &t.f.closed);
	t.f.closed = false;
	t.f.config.limits.write_time = 300 * NS_PER_MS;
	assert_int_equal(http_server_new(t.f.net->loop, &t.f.config,
	                                 &(const struct http_handler){.on_request = on_request}, &t,
	                                 NULL, &t.f.server, NULL),
	                 0);
	t.pieces = 1000000;
	fd = connect_lazily(&t.f);
	assert_int_equal(write(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27), 27);
	while (t.closed == 0 || t.asked == 0) { /* it reads, but never all of it */
		t.turn++;
		loop_run_once(t.f.net->loop);
		(void)!recv(fd, some, sizeof some, MSG_DONTWAIT);
	}
	assert_int_equal(http_server_struck(t.f.server, HTTP_LIMIT_WRITE_TIME), 1);
	close(fd);
	fixture_close(&t.f);
}

/* The peer gives 65535 bytes of window at first; the rest is given when they have come. */
static void sends_pieces_over_http2_as_the_window_allows(void **state)
{
	struct source_test t;
	struct client c;
	struct frame frame;
	const uint8_t more[4] = {0, 0x7f, 0, 0};
	size_t at = 0, bytes = 0;
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;
	bool ended = false;

	open_test(&t, state);
	client_begin(&t.f, &c);
	client_request(&c, 1, "/", true);
	while (!ended && clock_monotonic_ns() < end) {
		while (frame_next(&c, &at, &frame)) {
			if (frame.type != DATA)
				continue;
			bytes += frame.payload.len;
			ended = frame.flags & END_STREAM;
		}
		if (bytes == 65535) {
			assert_true(t.asked <= 7);
			client_frame(&c, WINDOW_UPDATE, 0, 0, more, 4);
			client_frame(&c, WINDOW_UPDATE, 0, 1, more, 4);
		}
		t.turn++;
		loop_run_once(t.f.net->loop);
	}
	assert_true(ended);
	assert_int_equal(bytes, PIECE * PIECES);
	assert_int_equal(t.asked, PIECES);
	assert_int_equal(t.closed, 1);
	t.asked = 0;
	client_close(&c);
	fixture_close(&t.f);
}

static void closes_the_source_of_a_stream_that_is_reset(void **state)
{
	struct source_test t;
	struct client c;
	const uint8_t cancel[4] = {0, 0, 0, 8};

	open_test(&t, state);
	client_begin(&t.f, &c);
	client_request(&c, 1, "/", true);
	run(&t, &t.asked, 5);
	client_frame(&c, RST_STREAM, 0, 1, cancel, 4);
	run(&t, &t.closed, 1);
	client_close(&c);
	fixture_close(&t.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(sends_pieces_as_chunks_one_in_a_turn),
		NET_TEST(answers_the_next_request_after_it),
		NET_TEST(ends_it_for_old_clients_with_the_connection),
		NET_TEST(breaks_off_what_cannot_go_on),
		NET_TEST(closes_the_source_of_who_leaves),
		NET_TEST(closes_the_source_when_the_server_closes),
		NET_TEST(gives_up_who_reads_too_slowly),
		NET_TEST(sends_pieces_over_http2_as_the_window_allows),
		NET_TEST(closes_the_source_of_a_stream_that_is_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
