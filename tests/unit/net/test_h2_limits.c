/* Attacks on a server session, with frames made by hand: each limit strikes, is counted, and says so. */
#include "tests/unit/net/h2_server_test.h"

#include <errno.h>

enum { PROTOCOL_ERROR = 1, ENHANCE_YOUR_CALM = 11 };

/* The connection has ended by that limit alone, with a GOAWAY of that code. */
static void assert_struck_down(struct fixture *f, enum http_limit l, uint32_t code)
{
	struct frame goaway = {0};

	assert_int_equal(f->failed, -EPROTO);
	assert_int_equal(f->struck[l], 1);
	assert_true(find_frame(f, GOAWAY, 0, &goaway));
	assert_int_equal(number_at(goaway.payload, 4), code);
}

static void begin(struct fixture *f, struct buffer *b)
{
	fixture_open(f);
	put_preface(b);
}

static void ends_rapid_reset(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	for (uint32_t i = 0; i < 100 && f.failed == 0; i++) {
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST);
		put_number(&b, RST_STREAM, 2 * i + 1, 8);
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_RESETS, ENHANCE_YOUR_CALM);
	assert_int_equal(strikes(&f), 1);
	assert_int_equal(f.n_seen, f.limits.resets + 1);
	assert_int_equal(f.n_closed, f.limits.resets);
	assert_non_null(strstr(f.error.message, "too many streams be reset"));
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_rapid_reset_in_one_piece(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	for (uint32_t i = 0; i < 1000; i++) {
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST);
		put_number(&b, RST_STREAM, 2 * i + 1, 8);
	}
	send_all(&f, &b);
	assert_struck_down(&f, HTTP_LIMIT_RESETS, ENHANCE_YOUR_CALM);
	assert_int_equal(f.n_seen, f.limits.resets + 1);
	fixture_close(&f);
	buffer_fini(&b);
}

static void lets_clients_cancel_at_a_sensible_rate(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	for (uint32_t i = 0; i < 500; i++) {
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST);
		put_number(&b, RST_STREAM, 2 * i + 1, 8);
		assert_int_equal(send_all(&f, &b), 0);
		f.now += NS_PER_S / f.limits.resets_rate;
	}
	assert_int_equal(strikes(&f), 0);
	assert_int_equal(f.n_closed, 500);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_resets_that_are_provoked(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	for (uint32_t i = 0; i < 100 && f.failed == 0; i++) {
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST);
		put_number(&b, WINDOW_UPDATE, 2 * i + 1, 0x7fffffff); /* more than a window holds */
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_RESETS, ENHANCE_YOUR_CALM);
	assert_int_equal(f.struck[HTTP_LIMIT_PROTOCOL], f.limits.resets + 1);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_malformed_requests_without_end(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	for (uint32_t i = 0; i < 100 && f.failed == 0; i++) {
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST "\x40\x01X\x01x");
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_RESETS, ENHANCE_YOUR_CALM);
	assert_int_equal(f.n_seen, 0);
	fixture_close(&f);
	buffer_fini(&b);
}

static void refuses_streams_beyond_the_announced_number(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	struct frame frame = {0};

	(void)state;
	fixture_init(&f);
	f.limits.streams = 3;
	fixture_open_with(&f);
	put_preface(&b);
	put_frame(&b, SETTINGS, ACK, 0, "", 0);
	assert_int_equal(send_all(&f, &b), 0);
	assert_true(find_frame(&f, SETTINGS, 0, &frame));
	assert_int_equal(frame.payload.data[1], 3);
	assert_int_equal(number_at(frame.payload, 2), 3);
	for (uint32_t i = 0; i < 5; i++)
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.n_seen, 3);
	assert_int_equal(f.struck[HTTP_LIMIT_STREAMS], 2);
	assert_true(find_frame(&f, RST_STREAM, 1, &frame));
	assert_int_equal(frame.id, 9);
	assert_int_equal(number_at(frame.payload, 0), 7); /* REFUSED_STREAM */
	/* One leaves, one may come. */
	put_number(&b, RST_STREAM, 3, 8);
	put_text(&b, HEADERS, END_HEADERS, 11, POST);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.n_seen, 4);
	assert_int_equal(h2_server_streams(f.server), 3);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_who_opens_streams_without_end(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	put_frame(&b, SETTINGS, ACK, 0, "", 0);
	send_all(&f, &b);
	f.blocked = true; /* and reads nothing */
	for (uint32_t i = 0; i < 1000 && f.failed == 0; i++) {
		put_text(&b, HEADERS, END_HEADERS, 2 * i + 1, POST);
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_RESETS, ENHANCE_YOUR_CALM);
	assert_int_equal(f.n_seen, f.limits.streams);
	fixture_close(&f);
	buffer_fini(&b);
}

static void counts_a_stream_as_gone_when_its_answer_is_out(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	uint32_t id = 1;

	(void)state;
	fixture_init(&f);
	f.limits.streams = 1;
	f.respond = AT_THE_END;
	fixture_open_with(&f);
	put_preface(&b);
	assert_int_equal(send_all(&f, &b), 0);
	for (; id < 100; id += 2) {
		put_text(&b, HEADERS, END_HEADERS | END_STREAM, id, POST);
		assert_int_equal(send_all(&f, &b), 0);
	}
	assert_int_equal(strikes(&f), 0);
	assert_int_equal(f.n_answered, 50);
	fixture_close(&f);
	buffer_fini(&b);
}

/* The transport has room for some answers of many: their streams do not count any more. */
static void counts_what_is_out_and_no_more(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	uint32_t id = 1;
	unsigned answers;

	(void)state;
	fixture_init(&f);
	f.limits.streams = 390;
	f.response.trailers = &(struct http_header){.name = SLICE_LITERAL("a-long-name-of-a-field"),
	                                            .value = SLICE_LITERAL("and-its-value")};
	f.response.n_trailers = 1;
	fixture_open_with(&f);
	put_preface(&b);
	assert_int_equal(send_all(&f, &b), 0);
	f.respond = AT_THE_END;
	f.buffers = true;
	for (; id < 2 * f.limits.streams; id += 2)
		put_text(&b, HEADERS, END_HEADERS | END_STREAM, id, POST);
	assert_int_equal(send_all(&f, &b), 0);
	answers = count_frames(&f, HEADERS);
	assert_true(answers > 10 && answers < f.limits.streams);
	f.respond = NEVER;
	for (unsigned i = 0; i < answers; i++, id += 2)
		put_text(&b, HEADERS, END_HEADERS | END_STREAM, id, POST);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(strikes(&f), 0);
	put_text(&b, HEADERS, END_HEADERS | END_STREAM, id, POST);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.struck[HTTP_LIMIT_STREAMS], 1);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_a_header_block_without_end(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	put_text(&b, HEADERS, 0, 1, POST);
	for (int i = 0; i < 8; i++)
		put_text(&b, CONTINUATION, 0, 1, "");
	assert_int_equal(send_all(&f, &b), 0);
	put_text(&b, CONTINUATION, 0, 1, "");
	send_all(&f, &b);
	assert_struck_down(&f, HTTP_LIMIT_CONTINUATIONS, ENHANCE_YOUR_CALM);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_settings_of_many_entries(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	uint8_t entries[33 * 6] = {0};

	(void)state;
	begin(&f, &b);
	put_frame(&b, SETTINGS, 0, 0, entries, sizeof entries);
	send_all(&f, &b);
	assert_struck_down(&f, HTTP_LIMIT_SETTINGS, ENHANCE_YOUR_CALM);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_answers_that_are_never_read(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	fixture_init(&f);
	f.limits.ping_min_time = 0;
	f.limits.ping_without_stream = true;
	fixture_open_with(&f);
	put_preface(&b);
	send_all(&f, &b);
	f.blocked = true;
	for (int i = 0; i < 2000 && f.failed == 0; i++) {
		put_text(&b, PING, 0, 0, "12345678");
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_SETTINGS, ENHANCE_YOUR_CALM);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_pings_that_come_too_often(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	struct frame goaway = {0};

	(void)state;
	begin(&f, &b);
	put_text(&b, HEADERS, END_HEADERS, 1, POST);
	for (int i = 0; i < 3; i++)
		put_text(&b, PING, 0, 0, "12345678");
	assert_int_equal(send_all(&f, &b), 0);
	f.now += f.limits.ping_min_time;
	put_text(&b, PING, 0, 0, "12345678");
	assert_int_equal(send_all(&f, &b), 0);
	put_text(&b, PING, 0, 0, "12345678");
	send_all(&f, &b);
	assert_struck_down(&f, HTTP_LIMIT_PINGS, ENHANCE_YOUR_CALM);
	assert_true(find_frame(&f, GOAWAY, 0, &goaway));
	assert_int_equal(goaway.payload.len, 8 + strlen("too_many_pings"));
	assert_memory_equal(goaway.payload.data + 8, "too_many_pings", strlen("too_many_pings"));
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_pings_without_streams_unless_permitted(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	for (int i = 0; i < 4 && f.failed == 0; i++) {
		f.now += 3600 * NS_PER_S;
		put_text(&b, PING, 0, 0, "12345678");
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_PINGS, ENHANCE_YOUR_CALM);
	fixture_close(&f);

	fixture_init(&f);
	f.limits.ping_without_stream = true;
	fixture_open_with(&f);
	put_preface(&b);
	for (int i = 0; i < 20; i++) {
		f.now += f.limits.ping_min_time;
		put_text(&b, PING, 0, 0, "12345678");
		assert_int_equal(send_all(&f, &b), 0);
	}
	fixture_close(&f);
	buffer_fini(&b);
}

static void lets_clients_ping_while_they_receive(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	f.respond = AT_THE_END;
	for (uint32_t i = 0; i < 300; i++) {
		put_text(&b, HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, POST);
		assert_int_equal(send_all(&f, &b), 0);
		put_text(&b, PING, 0, 0, "12345678");
		put_number(&b, WINDOW_UPDATE, 0, 1);
		put_number(&b, WINDOW_UPDATE, 0, 1);
		assert_int_equal(send_all(&f, &b), 0);
	}
	assert_int_equal(strikes(&f), 0);
	assert_int_equal(f.n_answered, 300);
	fixture_close(&f);
	buffer_fini(&b);
}

/* Sends the same frame again and again. */
static void flood(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t len)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	unsigned n = 0;

	begin(&f, &b);
	put_text(&b, HEADERS, END_HEADERS, 1, POST);
	assert_int_equal(send_all(&f, &b), 0);
	for (; n < 1000 && f.failed == 0; n++) {
		put_frame(&b, type, flags, id, payload, len);
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_FRAMES, ENHANCE_YOUR_CALM);
	assert_int_equal(strikes(&f), 1);
	assert_true(n >= f.limits.frames && n < f.limits.frames + 20);
	fixture_close(&f);
	/* As fast as they are allowed it goes on. */
	begin(&f, &b);
	put_text(&b, HEADERS, END_HEADERS, 1, POST);
	for (n = 0; n < 1000; n++) {
		f.now += NS_PER_S / f.limits.frames_rate;
		put_frame(&b, type, flags, id, payload, len);
		assert_int_equal(send_all(&f, &b), 0);
	}
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_floods_of_frames_that_carry_nothing(void **state)
{
	(void)state;
	flood(DATA, 0, 1, "", 0);
	flood(DATA, PADDED, 1, "\x03\0\0\0", 4);
	flood(PRIORITY, 0, 1, "\0\0\0\0\x10", 5);
	flood(PRIORITY, 0, 99, "\0\0\0\0\x10", 5);
	flood(SETTINGS, 0, 0, "", 0);
	flood(WINDOW_UPDATE, 0, 0, "\0\0\0\x01", 4);
	flood(WINDOW_UPDATE, 0, 1, "\0\0\0\x01", 4);
	flood(PING, ACK, 0, "12345678", 8);
	flood(0x10, 0, 0, "\0\0\0\x01u=1", 7); /* PRIORITY_UPDATE */
	flood(0xfa, 0, 0, "whatever", 8);
	flood(0xfa, 0, 1, "", 0);
}

static void ends_resets_of_streams_that_are_gone(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	f.respond = AT_THE_END;
	put_text(&b, HEADERS, END_HEADERS | END_STREAM, 1, POST);
	assert_int_equal(send_all(&f, &b), 0);
	for (unsigned n = 0; n < 1000 && f.failed == 0; n++) {
		put_number(&b, RST_STREAM, 1, 8);
		send_all(&f, &b);
	}
	assert_struck_down(&f, HTTP_LIMIT_FRAMES, ENHANCE_YOUR_CALM);
	fixture_close(&f);
	buffer_fini(&b);
}

/* A literal field without indexing: name "x", a value of len bytes (less than 16,000). */
static void put_long_field(struct buffer *b, size_t len)
{
	const uint8_t head[] = {0x00,
	                        1,
	                        'x',
	                        0x7f,
	                        (uint8_t)(0x80 | ((len - 127) & 0x7f)),
	                        (uint8_t)((len - 127) >> 7)};

	buffer_append(b, head, sizeof head);
	memset(buffer_reserve(b, len), 'v', len);
	b->len += len;
}

static void refuses_a_header_list_beyond_its_limit(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT, head = BUFFER_INIT;
	struct frame frame = {0};

	(void)state;
	begin(&f, &b);
	buffer_append_string(&head, POST);
	put_long_field(&head, 7900);
	put_frame(&b, HEADERS, END_HEADERS, 1, head.data, head.len);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.n_seen, 1);
	put_long_field(&head, 200);
	put_frame(&b, HEADERS, END_HEADERS, 3, head.data, head.len);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.n_seen, 1);
	assert_int_equal(f.struck[HTTP_LIMIT_HEADER_LIST], 1);
	assert_int_equal(strikes(&f), 1);
	assert_true(find_frame(&f, HEADERS, 0, &frame));
	assert_int_equal(frame.id, 3);
	assert_true(frame.flags & END_STREAM);
	assert_true(find_frame(&f, RST_STREAM, 0, &frame));
	assert_int_equal(number_at(frame.payload, 0), 0);
	fixture_close(&f);
	buffer_fini(&head);
	buffer_fini(&b);
}

/* A field of 4,000 bytes goes into the compression table, and is then named in one byte each time. */
static void refuses_a_small_block_that_unpacks_into_a_large_list(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT, head = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	buffer_append_string(&head, POST);
	put_long_field(&head, 4000);
	head.data[strlen(POST)] = 0x40;
	put_frame(&b, HEADERS, END_HEADERS, 1, head.data, head.len);
	buffer_clear(&head);
	buffer_append_string(&head, POST);
	for (int i = 0; i < 10000; i++)
		buffer_append_byte(&head, 0x80 | 62);
	put_frame(&b, HEADERS, END_HEADERS, 3, head.data, head.len);
	assert_int_equal(send_all(&f, &b), 0);
	assert_int_equal(f.n_seen, 1);
	assert_int_equal(f.struck[HTTP_LIMIT_HEADER_LIST], 1);
	fixture_close(&f);
	buffer_fini(&head);
	buffer_fini(&b);
}

static void resets_for_trailers_beyond_the_limit(void **state)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT, head = BUFFER_INIT;

	(void)state;
	begin(&f, &b);
	put_text(&b, HEADERS, END_HEADERS, 1, POST);
	put_text(&b, HEADERS, END_HEADERS, 3, POST);
	put_long_field(&head, 4000);
	put_frame(&b, HEADERS, END_HEADERS | END_STREAM, 1, head.data, head.len);
	put_long_field(&head, 6000);
	put_frame(&b, HEADERS, END_HEADERS | END_STREAM, 3, head.data, head.len);
	assert_int_equal(send_all(&f, &b), 0);
	assert_true(f.seen[0].ended && !f.seen[0].closed);
	assert_true(!f.seen[1].ended && f.seen[1].closed && !f.seen[1].answered);
	assert_int_equal(f.struck[HTTP_LIMIT_HEADER_LIST], 1);
	assert_int_equal(strikes(&f), 1);
	fixture_close(&f);
	buffer_fini(&head);
	buffer_fini(&b);
}

static void ends_what_is_not_http2(void **state)
{
	static const char *const starts[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01"};
	struct fixture f;
	struct buffer b = BUFFER_INIT;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		fixture_open(&f);
		buffer_append_string(&b, starts[i]);
		assert_int_equal(send_all(&f, &b), -EPROTO);
		assert_int_equal(f.struck[HTTP_LIMIT_PROTOCOL], 1);
		assert_int_equal(strikes(&f), 1);
		fixture_close(&f);
	}
	buffer_fini(&b);
}

static void breaks_rule(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t len)
{
	struct fixture f;
	struct buffer b = BUFFER_INIT;
	struct frame goaway = {0};

	begin(&f, &b);
	put_text(&b, HEADERS, END_HEADERS, 1, POST);
	put_frame(&b, type, flags, id, payload, len);
	assert_int_equal(send_all(&f, &b), -EPROTO);
	assert_int_equal(f.struck[HTTP_LIMIT_PROTOCOL], 1);
	assert_int_equal(strikes(&f), 1);
	assert_true(find_frame(&f, GOAWAY, 0, &goaway));
	assert_true(number_at(goaway.payload, 4) != 0);
	fixture_close(&f);
	buffer_fini(&b);
}

static void ends_with_a_goaway_when_rules_are_broken(void **state)
{
	(void)state;
	breaks_rule(HEADERS, END_HEADERS, 0, POST, strlen(POST));
	breaks_rule(HEADERS, END_HEADERS, 2, POST, strlen(POST));
	breaks_rule(HEADERS, END_HEADERS, 3, "\xff\xff\xff\xff\xff\xff", 6);
	breaks_rule(DATA, 0, 0, "d", 1);
	breaks_rule(DATA, 0, 5, "d", 1);
	breaks_rule(WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4);
	breaks_rule(SETTINGS, 0, 0, "\0\x04\xff\xff\xff\xff", 6);
	breaks_rule(SETTINGS, 0, 0, "12345", 5);
	breaks_rule(CONTINUATION, END_HEADERS, 1, "", 0);
	breaks_rule(RST_STREAM, 0, 7, "\0\0\0\x08", 4);
	breaks_rule(PUSH, END_HEADERS, 1, "\0\0\0\x02" POST, 4 + strlen(POST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_rapid_reset),
		cmocka_unit_test(ends_rapid_reset_in_one_piece),
		cmocka_unit_test(lets_clients_cancel_at_a_sensible_rate),
		cmocka_unit_test(ends_resets_that_are_provoked),
		cmocka_unit_test(ends_malformed_requests_without_end),
		cmocka_unit_test(refuses_streams_beyond_the_announced_number),
		cmocka_unit_test(ends_who_opens_streams_without_end),
		cmocka_unit_test(counts_a_stream_as_gone_when_its_answer_is_out),
		cmocka_unit_test(counts_what_is_out_and_no_more),
		cmocka_unit_test(ends_a_header_block_without_end),
		cmocka_unit_test(ends_settings_of_many_entries),
		cmocka_unit_test(ends_answers_that_are_never_read),
		cmocka_unit_test(ends_pings_that_come_too_often),
		cmocka_unit_test(ends_pings_without_streams_unless_permitted),
		cmocka_unit_test(lets_clients_ping_while_they_receive),
		cmocka_unit_test(ends_floods_of_frames_that_carry_nothing),
		cmocka_unit_test(ends_resets_of_streams_that_are_gone),
		cmocka_unit_test(refuses_a_header_list_beyond_its_limit),
		cmocka_unit_test(refuses_a_small_block_that_unpacks_into_a_large_list),
		cmocka_unit_test(resets_for_trailers_beyond_the_limit),
		cmocka_unit_test(ends_what_is_not_http2),
		cmocka_unit_test(ends_with_a_goaway_when_rules_are_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
