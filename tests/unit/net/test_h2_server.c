/* A server session and nghttp2's client session, face to face; where the client must misbehave, frames by hand. */
#include "tests/support/failing_memory.h"
#include "tests/unit/net/h2_client_test.h"

#include <errno.h>

static const struct http_header content_type = {SLICE_LITERAL("content-type"),
                                                SLICE_LITERAL("text/plain"), false};
static const struct http_header status_ok = {SLICE_LITERAL("grpc-status"), SLICE_LITERAL("0"),
                                             false};

static void answers_requests_with_bodies(void **state)
{
	static const size_t sizes[] = {0, 1, 300, 16384, 70000};
	struct fixture f;
	struct client c;

	(void)state;
	for (size_t step = 0; step < 20000; step = step * 7 + 1)
		for (size_t i = 0; i < 5; i++) {
			struct call *call;

			fixture_open(&f);
			f.respond = AT_THE_END;
			f.response.headers = &content_type;
			f.response.n_headers = 1;
			f.body_bytes = sizes[i];
			client_open(&c, &f);
			c.step = step;
			call = ask(&c, &(struct asked){.path = "/a/b?c=d",
			                               .authority = "host:1",
			                               .body = sizes[4 - i]});
			talk(&c);
			assert_int_equal(f.failed, 0);
			assert_int_equal(f.n_seen, 1);
			assert_string_equal(f.seen[0].method, "POST");
			assert_string_equal(f.seen[0].path, "/a/b");
			assert_string_equal(f.seen[0].query, "c=d");
			assert_string_equal(f.seen[0].authority, "host:1");
			assert_int_equal(f.seen[0].has_length, sizes[4 - i] == 0);
			assert_int_equal(f.seen[0].body, sizes[4 - i]);
			assert_true(f.seen[0].closed && f.seen[0].answered);
			assert_int_equal(call->status, 200);
			assert_int_equal(call->body, sizes[i]);
			assert_true(call->closed && call->code == 0);
			assert_non_null(strstr(call->fields, "content-type: text/plain\n"));
			assert_non_null(strstr(call->fields, "content-length: "));
			assert_int_equal(h2_server_streams(f.server), 0);
			assert_int_equal(h2_server_stalled(f.server), 0);
			client_fini(&c);
			fixture_close(&f);
		}
}

static struct call *answered_with(struct fixture *f, struct client *c, bool headers, size_t body,
                                  const struct asked *a)
{
	struct call *call;

	fixture_open(f);
	f->respond = AT_THE_END;
	f->response.headers = &content_type;
	f->response.n_headers = headers;
	f->response.trailers = &status_ok;
	f->response.n_trailers = 1;
	f->body_bytes = body;
	client_open(c, f);
	call = ask(c, a);
	talk(c);
	assert_int_equal(f->failed, 0);
	return call;
}

static void sends_trailers(void **state)
{
	static const size_t sizes[] = {0, 7, 300, 100000};
	static const struct asked asked = {.authority = "a", .body = 10};
	struct fixture f;
	struct client c;
	struct call *call;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		call = answered_with(&f, &c, true, sizes[i], &asked);
		assert_string_equal(call->fields,
		                    "content-type: text/plain\n-\ngrpc-status: 0\n-\n");
		assert_int_equal(call->body, sizes[i]);
		assert_true(call->closed && f.n_answered == 1);
		client_fini(&c);
		fixture_close(&f);
	}
	call = answered_with(&f, &c, false, 0, &asked);
	assert_string_equal(call->fields, "grpc-status: 0\n-\n");
	assert_true(call->closed && f.n_answered == 1);
	assert_int_equal(count_frames(&f, HEADERS), 1);
	assert_int_equal(count_frames(&f, DATA), 0);
	client_fini(&c);
	fixture_close(&f);
}

static void sends_no_body_to_head(void **state)
{
	struct fixture f;
	struct client c;
	struct call *call;

	(void)state;
	fixture_open(&f);
	f.respond = AT_THE_END;
	f.body_bytes = 1000;
	client_open(&c, &f);
	call = ask(&c, &(struct asked){.method = "HEAD", .authority = "a"});
	talk(&c);
	assert_string_equal(call->fields, "content-length: 1000\n-\n");
	assert_true(call->closed && call->body == 0);
	client_fini(&c);
	fixture_close(&f);
}

static void answers_before_the_end_of_a_request(void **state)
{
	struct fixture f;
	struct client c;
	struct call *call;

	(void)state;
	fixture_init(&f);
	f.limits.window = 128 * 1024;
	fixture_open_with(&f);
	f.respond = AT_THE_HEAD;
	f.response.status = 413;
	client_open(&c, &f);
	talk(&c);
	for (int i = 0; i < 20; i++) {
		call = ask(&c, &(struct asked){.authority = "a", .body = 100000});
		talk(&c);
		assert_int_equal(f.failed, 0);
		assert_int_equal(call->status, 413);
		assert_true(call->ended && call->closed);
		assert_int_equal(f.seen[i].body, 0);
		assert_true(f.seen[i].closed && f.seen[i].answered && !f.seen[i].ended);
	}
	assert_int_equal(strikes(&f), 0);
	client_fini(&c);
	fixture_close(&f);
}

/* The client asks, the server resets with that code. */
static void is_reset(const struct asked *a, uint32_t code, unsigned struck)
{
	struct fixture f;
	struct client c;
	struct call *call;

	fixture_open(&f);
	client_open(&c, &f);
	call = ask(&c, a);
	talk(&c);
	assert_int_equal(f.failed, 0);
	assert_int_equal(f.n_seen, 0);
	assert_true(call->closed);
	assert_int_equal(call->code, code);
	assert_int_equal(f.struck[HTTP_LIMIT_PROTOCOL], struck);
	client_fini(&c);
	fixture_close(&f);
}

static void judges_heads(void **state)
{
	struct fixture f;
	struct client c;
	struct call *call;

	(void)state;
	is_reset(&(struct asked){.authority = "a", .extra_name = "host", .extra_value = "b"}, 1, 1);
	is_reset(&(struct asked){.authority = "a", .extra_name = "connection", .extra_value = "x"},
	         1, 1);
	is_reset(&(struct asked){.authority = "a", .extra_name = "x", .extra_value = "a\nb"}, 1, 1);
	is_reset(&(struct asked){.authority = "a", .path = "relative"}, 1, 1);
	is_reset(&(struct asked){.authority = NULL}, 1, 1);

	fixture_open(&f);
	client_open(&c, &f);
	ask(&c, &(struct asked){.extra_name = "host", .extra_value = "b"});
	ask(&c, &(struct asked){.authority = "a",
	                        .extra_name = "content-length",
	                        .extra_value = "12",
	                        .body = 12});
	ask(&c, &(struct asked){.method = "OPTIONS", .path = "*", .authority = "a"});
	talk(&c);
	assert_int_equal(f.n_seen, 3);
	assert_string_equal(f.seen[0].authority, "b");
	assert_int_equal(f.seen[0].n_headers, 1);
	assert_true(f.seen[1].has_length);
	assert_int_equal(f.seen[1].length, 12);
	assert_string_equal(f.seen[2].path, "*");
	call = ask(&c, &(struct asked){.authority = "a",
	                               .extra_name = "content-length",
	                               .extra_value = "11",
	                               .body = 12});
	talk(&c);
	assert_true(call->closed && call->code == 1);
	assert_false(f.seen[3].ended);
	client_fini(&c);
	fixture_close(&f);
}

static void refuses_connect(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	struct frame frame = {0};

	(void)state;
	fixture_open(&f);
	put_preface(&b);
	put_text(&b, HEADERS, END_HEADERS, 1,
	         "\x02\x07"
	         "CONNECT"
	         "\x01\x01"
	         "a");
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.n_seen, 0);
	assert_true(find_frame(&f, HEADERS, 0, &frame));
	assert_true(frame.flags & END_STREAM);
	fixture_close(&f);
	buffer_fini(&b);
}

static void both_sides_reset(void **state)
{
	struct fixture f;
	struct client c;
	struct call *call;

	(void)state;
	fixture_open(&f);
	client_open(&c, &f);
	call = ask(&c, &(struct asked){.authority = "a", .body = 10, .held = 5});
	talk(&c);
	h2_server_reset(f.seen[0].stream, NGHTTP2_CANCEL);
	assert_int_equal(respond(&f, &f.seen[0]), 0); /* too late, harmless */
	talk(&c);
	assert_true(call->closed && call->code == NGHTTP2_CANCEL && call->status == 0);
	assert_true(f.seen[0].closed && !f.seen[0].answered);

	call = ask(&c, &(struct asked){.authority = "a", .body = 10, .held = 5});
	talk(&c);
	nghttp2_submit_rst_stream(c.session, 0, call->id, NGHTTP2_CANCEL);
	talk(&c);
	assert_true(f.seen[1].closed && !f.seen[1].answered);
	assert_int_equal(f.failed, 0);
	assert_int_equal(strikes(&f), 0);
	client_fini(&c);
	fixture_close(&f);
}

/* Many messages in turn, each larger than its share of the window. */
static void half_sent_messages_never_wait_for_each_other(void **state)
{
	struct fixture f;
	struct client c;

	(void)state;
	fixture_init(&f);
	f.limits.window = 64 * 1024;
	f.keeps_account = true;
	fixture_open_with(&f);
	client_open(&c, &f);
	talk(&c);
	for (int i = 0; i < 50; i++)
		ask(&c, &(struct asked){.authority = "a", .body = 60000, .held = 1});
	talk(&c);
	assert_int_equal(f.n_seen, 50);
	for (int i = 0; i < 50; i++)
		assert_int_equal(f.seen[i].body, 59999);
	for (int i = 0; i < 50; i++)
		release(&c, &c.calls[i]);
	f.respond = AT_THE_END;
	talk(&c);
	assert_int_equal(f.n_answered, 50);
	assert_int_equal(f.unfinished, 0);
	client_fini(&c);
	fixture_close(&f);
}

static size_t body_of_all(const struct fixture *f)
{
	size_t n = 0;

	for (unsigned i = 0; i < f->n_seen; i++)
		n += f->seen[i].body;
	return n;
}

static void stalls_only_while_complete_requests_wait(void **state)
{
	struct fixture f;
	struct client c;
	size_t before;

	(void)state;
	fixture_init(&f);
	f.limits.window = 128 * 1024;
	f.keeps_account = true;
	fixture_open_with(&f);
	client_open(&c, &f);
	talk(&c);
	for (int i = 0; i < 40; i++) {
		ask(&c, &(struct asked){.authority = "a", .body = 20000});
		talk(&c);
	}
	before = body_of_all(&f);
	assert_true(before >= f.limits.window);     /* all of the window was used, */
	assert_true(before <= 2 * f.limits.window); /* and it is a bound */
	for (unsigned i = 0; i < 40; i++) {         /* answers open it again */
		assert_true(i < f.n_seen && f.seen[i].ended);
		assert_int_equal(respond(&f, &f.seen[i]), 0);
		talk(&c);
	}
	assert_int_equal(body_of_all(&f), 40 * 20000);
	assert_int_equal(f.n_answered, 40);
	assert_int_equal(f.unfinished, 0);
	client_fini(&c);
	fixture_close(&f);
}

static void gives_back_what_comes_for_streams_that_are_gone(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	uint32_t credit = 0;
	struct frame frame = {0};

	(void)state;
	fixture_init(&f);
	f.limits.window = 65535;
	f.limits.frames = 1000;
	fixture_open_with(&f);
	put_preface(&b);
	put_text(&b, HEADERS, END_HEADERS, 1, POST);
	put_number(&b, RST_STREAM, 1, 8);
	for (int i = 0; i < 100; i++) {
		put_data(&b, 0, 1, 10000);
		assert_int_equal(send_all(&f, &b), 0);
	}
	for (unsigned i = 0; find_frame(&f, WINDOW_UPDATE, i, &frame); i++) {
		assert_int_equal(frame.id, 0);
		credit += number_at(frame.payload, 0);
	}
	assert_true(credit >= 1000000 - 65535 / 2 - 10000);
	fixture_close(&f);
	buffer_fini(&b);
}

static void waits_for_a_transport_that_is_slow(void **state)
{
	struct fixture f;
	struct client c;
	struct call *call;
	size_t before;

	(void)state;
	fixture_open(&f);
	f.respond = AT_THE_END;
	f.body_bytes = 50000;
	client_open(&c, &f);
	talk(&c);
	before = f.out.len;
	f.blocked = true;
	call = ask(&c, &(struct asked){.authority = "a"});
	talk(&c);
	assert_int_equal(f.out.len, before);
	assert_int_equal(h2_server_stalled(f.server), 1);
	f.blocked = false;
	talk(&c);
	assert_int_equal(h2_server_stalled(f.server), 0);
	assert_true(call->closed && call->body == 50000);
	client_fini(&c);
	fixture_close(&f);
}

static void counts_streams_that_wait_for_a_window(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	fixture_open(&f);
	f.respond = AT_THE_END;
	f.body_bytes = 100000;
	put_preface(&b);
	put_text(&b, HEADERS, END_HEADERS | END_STREAM, 1, POST);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(h2_server_stalled(f.server), 1);
	assert_int_equal(f.n_closed, 0);
	put_number(&b, WINDOW_UPDATE, 0, 100000);
	put_number(&b, WINDOW_UPDATE, 1, 100000);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(h2_server_stalled(f.server), 0);
	assert_true(f.seen[0].closed && f.seen[0].answered);
	fixture_close(&f);
	buffer_fini(&b);
}

static void says_goodbye_in_two_steps(void **state)
{
	struct fixture f;
	struct client c;
	struct call *call;

	(void)state;
	fixture_open(&f);
	client_open(&c, &f);
	call = ask(&c, &(struct asked){.authority = "a"});
	talk(&c);
	h2_server_goaway(f.server, NGHTTP2_NO_ERROR, false);
	talk(&c);
	assert_int_equal(c.n_goaways, 1);
	assert_int_equal(c.goaway_last, INT32_MAX);
	h2_server_goaway(f.server, NGHTTP2_NO_ERROR, true);
	talk(&c);
	assert_int_equal(c.n_goaways, 2);
	assert_int_equal(c.goaway_last, call->id);
	assert_false(h2_server_is_finished(f.server));
	assert_int_equal(respond(&f, &f.seen[0]), 0);
	talk(&c);
	assert_true(call->closed && call->status == 200);
	assert_true(h2_server_is_finished(f.server));
	assert_int_equal(f.failed, 0);
	assert_int_equal(strikes(&f), 0);
	client_fini(&c);
	fixture_close(&f);
}

static void ends_when_the_client_says_goodbye(void **state)
{
	struct fixture f;
	struct client c;

	(void)state;
	fixture_open(&f);
	f.respond = AT_THE_END;
	client_open(&c, &f);
	ask(&c, &(struct asked){.authority = "a"});
	talk(&c);
	nghttp2_submit_goaway(c.session, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
	talk(&c);
	assert_true(h2_server_is_finished(f.server));
	assert_int_equal(f.failed, 0);
	client_fini(&c);
	fixture_close(&f);
}

static void asks_for_a_sign_of_life(void **state)
{
	struct fixture f;
	struct client c;

	(void)state;
	fixture_open(&f);
	client_open(&c, &f);
	talk(&c);
	h2_server_ping(f.server);
	assert_true(h2_server_ping_is_out(f.server));
	talk(&c);
	assert_false(h2_server_ping_is_out(f.server));
	client_fini(&c);
	fixture_close(&f);
}

static void says_when_the_transport_breaks(void **state)
{
	struct fixture f;
	struct client c;

	(void)state;
	fixture_open(&f);
	f.respond = AT_THE_END;
	f.body_bytes = 1000;
	client_open(&c, &f);
	talk(&c);
	f.broken = true;
	ask(&c, &(struct asked){.authority = "a"});
	talk(&c);
	assert_int_equal(f.failed, -EPIPE);
	client_fini(&c);
	fixture_close(&f);
}

/* One conversation with an allocation that fails somewhere; nothing may leak or crash. */
static bool converse(unsigned long n)
{
	struct fixture f;
	struct client c;
	bool failed;

	static const struct h2_server_events events = {.write = on_write,
	                                               .unsent = on_unsent,
	                                               .on_request = on_request,
	                                               .on_data = on_data,
	                                               .on_end = on_end,
	                                               .on_closed = on_closed,
	                                               .on_limit = on_limit};

	fixture_init(&f);
	f.respond = AT_THE_END;
	f.response.headers = &content_type;
	f.response.n_headers = 1;
	f.response.trailers = &status_ok;
	f.response.n_trailers = 1;
	f.body_bytes = 1000;
	f.keeps_account = true;
	client_open(&c, &f);
	buffer_reserve(&f.out, 100000); /* the test's own */
	failing_memory_arm(n);
	if (h2_server_new(&events, &f, &f.limits, &f.server, &f.error) == 0) {
		ask(&c, &(struct asked){.authority = "a", .body = 100000});
		ask(&c, &(struct asked){.authority = "a"});
		talk(&c);
	}
	failed = failing_memory_disarm();
	if (!failed)
		assert_int_equal(f.n_answered, 2);
	client_fini(&c);
	fixture_close(&f);
	return failed;
}

static void survives_every_failing_allocation(void **state)
{
	unsigned long n = 1;

	(void)state;
	while (converse(n))
		n++;
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_requests_with_bodies),
		cmocka_unit_test(sends_trailers),
		cmocka_unit_test(sends_no_body_to_head),
		cmocka_unit_test(answers_before_the_end_of_a_request),
		cmocka_unit_test(judges_heads),
		cmocka_unit_test(refuses_connect),
		cmocka_unit_test(both_sides_reset),
		cmocka_unit_test(half_sent_messages_never_wait_for_each_other),
		cmocka_unit_test(stalls_only_while_complete_requests_wait),
		cmocka_unit_test(gives_back_what_comes_for_streams_that_are_gone),
		cmocka_unit_test(waits_for_a_transport_that_is_slow),
		cmocka_unit_test(counts_streams_that_wait_for_a_window),
		cmocka_unit_test(says_goodbye_in_two_steps),
		cmocka_unit_test(ends_when_the_client_says_goodbye),
		cmocka_unit_test(asks_for_a_sign_of_life),
		cmocka_unit_test(says_when_the_transport_breaks),
		cmocka_unit_test(survives_every_failing_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
