/* The HTTP entrance: what it refuses, and what large requests may cost. */
#include "receivers/otlp/test_otlp_http_front.h"
#include "tests/support/failing_memory.h"

#include "core/base/clock.h"
#include "core/loop/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is refused */

static void front_refuse(struct front *f, const char *path, const char *content_type,
                         const char *coding, struct slice bytes, int status, const char *message)
{
	struct http_exchange x;

	front_request(f, &x, path, content_type);
	if (coding)
		fake_exchange_add(&x, "content-encoding", coding);
	front_post(f, &x, bytes);
	front_expect(&x, status, message);
	fake_exchange_fini(&x);
}

static void refuses_what_it_cannot_take(void **state)
{
	struct front *f = *state;
	static const struct slice none = {0};
	struct http_exchange x;

	front_open(f, "{compression_algorithms: [\"\", deflate]}");
	front_refuse(f, "/v1/trace", "application/json", NULL, none, 404,
	             "nothing is at this path");
	front_refuse(f, "/v1/metrics", "application/json", NULL, none, 404,
	             "no pipeline of this server takes metrics");
	front_refuse(f, "/v1/traces", "text/plain", NULL, none, 415, "415 unsupported media type");
	front_refuse(f, "/v1/traces", "application/jsonx", NULL, none, 415,
	             "unsupported media type");
	front_refuse(f, "/v1/traces", "application/json", "gzip", none, 415,
	             "unsupported Content-Encoding: gzip");
	front_refuse(f, "/v1/traces", "application/json", "br", none, 415, "Content-Encoding: br");
	front_refuse(f, "/v1/traces", "application/json", NULL, SLICE_LITERAL("{"), 400, "");
	front_refuse(f, "/v1/traces", "application/x-protobuf", NULL, SLICE_LITERAL("\x0a\x05x"),
	             400, "");
	front_refuse(f, "/v1/traces", "application/x-protobuf", "zlib", SLICE_LITERAL("nonsense"),
	             400, "not valid deflate");

	front_request(f, &x, "/v1/traces", "application/json");
	x.request.method = SLICE_LITERAL("PUT");
	front_post(f, &x, none);
	front_expect(&x, 405, "405 method not allowed");
	assert_string_equal(front_field(&x, "allow"), "POST");
	fake_exchange_fini(&x);
	assert_int_equal(f->batches, 0);
}

static void refuses_by_length_before_a_byte_is_read(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "{max_request_body_size: 1000}");
	front_request(f, &x, "/v1/traces", "application/json");
	x.request.has_length = true;
	x.request.length = 1001;
	front_head(f, &x);
	front_expect(&x, 413, "the limit is 1000");
	assert_null(front_field(&x, "retry-after"));
	assert_int_equal(f->stage.budget.used, 0);
	assert_true(f->stage.budget.peak < 3000); /* the request itself, no body */
	fake_exchange_fini(&x);
}

static void refuses_a_body_without_a_length_at_the_limit(void **state)
{
	struct front *f = *state;
	static uint8_t bytes[1500];
	struct http_exchange x;

	front_open(f, "{max_request_body_size: 20000}");
	front_request(f, &x, "/v1/traces", "application/x-protobuf");
	front_head(f, &x);
	for (int i = 0; i < 13; i++)
		front_body(f, &x, slice_of(bytes, sizeof bytes));
	assert_int_equal(x.responses, 0);
	assert_true(f->stage.budget.used <= 20000 + 3000);
	front_body(f, &x, slice_of(bytes, sizeof bytes));
	front_expect(&x, 413, "the limit is 20000");
	assert_int_equal(f->stage.budget.used, 0);
	fake_exchange_fini(&x);
}

static void a_limit_may_be_smaller_than_the_first_room(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "{max_request_body_size: 3}");
	front_request(f, &x, "/v1/traces", "application/json");
	front_head(f, &x);
	front_body(f, &x, SLICE_LITERAL("{}"));
	front_body(f, &x, SLICE_LITERAL("  "));
	front_expect(&x, 413, "the limit is 3");
	fake_exchange_fini(&x);
}

static void what_is_announced_costs_nothing_until_it_comes(void **state)
{
	struct front *f = *state;
	static uint8_t bytes[1000];
	struct http_exchange x[3];

	front_open(f, "");
	f->stage.budget.limit = 60 * MIB;
	for (int i = 0; i < 3; i++) {
		front_request(f, &x[i], "/v1/traces", "application/x-protobuf");
		x[i].request.has_length = true;
		x[i].request.length = 50 * MIB;
		front_head(f, &x[i]);
		front_body(f, &x[i], slice_of(bytes, sizeof bytes));
		assert_int_equal(x[i].responses, 0);
	}
	assert_true(f->stage.budget.used < 3 * 7000);
	for (int i = 0; i < 3; i++)
		otlp_http_handler.on_gone(&f->http, &x[i]);
	assert_int_equal(f->stage.budget.used, 0);
}

static void a_head_is_charged_as_long_as_its_request_lives(void **state)
{
	struct front *f = *state;
	struct http_exchange x;
	char value[3000];

	front_open(f, "");
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	front_request(f, &x, "/v1/traces", "application/x-protobuf");
	fake_exchange_add(&x, "x-much", value);
	x.request.has_length = true;
	front_head(f, &x);
	assert_in_range(f->stage.budget.used, 5000, 6000);
	otlp_http_handler.on_gone(&f->http, &x);
	assert_int_equal(f->stage.budget.used, 0);

	f->stage.budget.limit = 4000;
	front_head(f, &x);
	front_expect(&x, 503, "no memory");
	assert_true(atoi(front_field(&x, "retry-after")) >= 1);
	fake_exchange_fini(&x);
}

static void says_come_again_when_there_is_no_memory(void **state)
{
	struct front *f = *state;
	struct http_exchange x;
	struct buffer bytes;

	front_open(f, "");
	bytes = front_spans(f, 1000);
	f->stage.budget.limit = 12000;
	f->stage.budget.peak = 0;
	front_request(f, &x, "/v1/traces", "application/json");
	x.request.has_length = true;
	x.request.length = 13000;
	front_head(f, &x);
	front_expect(&x, 503, "no memory");
	assert_true(atoi(front_field(&x, "retry-after")) >= 1);
	fake_exchange_fini(&x);

	/* It came without a length, and grew until there was no more. */
	front_request(f, &x, "/v1/traces", "application/x-protobuf");
	front_head(f, &x);
	front_body(f, &x, buffer_slice(&bytes));
	front_expect(&x, 503, "no memory");
	fake_exchange_fini(&x);
	assert_true(f->stage.budget.peak <= 12000);
	buffer_fini(&bytes);
}

/* ---- work on the pool */

static void large_requests_of_every_kind_are_taken(void **state)
{
	struct front *f = *state;
	struct buffer text = front_large_json(20000), plain;

	front_open(f, "");
	plain = front_spans(f, 200000);
	f->stage.budget.limit = 40 * MIB;
	for (int kind = 0; kind < 4; kind++) {
		bool is_json = kind < 2, packs = kind % 2;
		struct slice piece = buffer_slice(is_json ? &text : &plain);
		struct buffer packed = BUFFER_INIT;
		struct http_exchange x;

		front_request(f, &x, is_json ? "/v1/logs" : "/v1/traces",
		              is_json ? "application/json" : "application/x-protobuf");
		if (packs) {
			fake_exchange_add(&x, "content-encoding", "gzip");
			compress_pieces(CODING_GZIP, &piece, 1, &packed, NULL);
			piece = buffer_slice(&packed);
		}
		front_post(f, &x, piece);
		assert_int_equal(x.status, 200);
		assert_int_equal(f->batch->items, is_json ? 20000 : 200000);
		assert_ptr_equal(f->batch->arena.budget, &f->stage.budget);
		fake_exchange_fini(&x);
		buffer_fini(&packed);
	}
	buffer_fini(&text);
	buffer_fini(&plain);
}

static void a_bomb_stops_at_the_limit(void **state)
{
	struct front *f = *state;
	static const enum coding codings[] = {CODING_GZIP,          CODING_ZSTD, CODING_SNAPPY,
	                                      CODING_SNAPPY_FRAMED, CODING_LZ4,  CODING_DEFLATE};
	uint8_t *zeros = calloc(1, 16 * MIB);
	struct slice piece = slice_of(zeros, 16 * MIB);

	front_open(f, "{max_request_body_size: 3000000}");
	for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
		struct buffer packed = BUFFER_INIT;

		assert_int_equal(compress_pieces(codings[i], &piece, 1, &packed, NULL), 0);
		f->stage.budget.peak = 0;
		front_refuse(f, "/v1/traces", "application/x-protobuf", coding_name(codings[i]),
		             buffer_slice(&packed), 413, "the limit of 3000000 bytes");
		assert_true(f->stage.budget.peak < 5 * MIB);
		assert_int_equal(f->stage.budget.used, 0);
		buffer_fini(&packed);
	}
	free(zeros);
}

static void what_would_decode_to_too_much_is_refused(void **state)
{
	struct front *f = *state;
	struct buffer text = BUFFER_INIT;

	front_open(f, "");
	buffer_append_string(&text, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}");
	for (int i = 0; i < 100000; i++)
		buffer_append_string(&text, ",{}");
	buffer_append_string(&text, "]}]}]}");
	front_refuse(f, "/v1/traces", "application/json", NULL, buffer_slice(&text), 413,
	             "more than 32 times its bytes");
	assert_true(f->stage.budget.peak < 35 * text.len);
	f->stage.budget.limit = 8 * text.len;
	front_refuse(f, "/v1/traces", "application/json", NULL, buffer_slice(&text), 503,
	             "no memory");
	assert_int_equal(f->stage.budget.used, 0);
	buffer_fini(&text);
}

/* 0a 00 is a group without anything in it, and costs as much as any. */
static void more_groups_than_anybody_sends_are_refused(void **state)
{
	static const size_t sizes[] = {256 * 1024,
	                               3 * MIB}; /* begun on the loop, and on the pool */
	struct front *f = *state;

	front_open(f, "");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint8_t *bytes = calloc(1, sizes[i]);
		struct slice all = slice_of(bytes, sizes[i]), packed_slice;
		struct buffer packed = BUFFER_INIT;

		for (size_t at = 0; at < sizes[i]; at += 2)
			bytes[at] = 0x0a;
		f->stage.budget.peak = 0;
		front_refuse(f, "/v1/traces", "application/x-protobuf", NULL, all, 413,
		             "more than 4 times its bytes");
		assert_true(f->stage.budget.peak < 6 * all.len);
		assert_int_equal(compress_pieces(CODING_GZIP, &all, 1, &packed, NULL), 0);
		packed_slice = buffer_slice(&packed);
		front_refuse(f, "/v1/traces", "application/x-protobuf", "gzip", packed_slice, 413,
		             "more than 4 times its bytes");
		assert_true(f->stage.budget.peak < 6 * all.len);
		assert_int_equal(f->stage.budget.used, 0);
		buffer_fini(&packed);
		free(bytes);
	}
}

/* A few hundred bytes that take milliseconds to check. */
static void empty_messages_do_not_take_the_loop(void **state)
{
	/* 65536 empty ScopeSpans in a ResourceSpans */
	static uint8_t bytes[4 + 2 * 65536] = {0x0a, 0x80, 0x80, 0x08};
	struct slice all = slice_of(bytes, sizeof bytes);
	struct buffer packed = BUFFER_INIT;
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "");
	for (size_t at = 4; at < sizeof bytes; at += 2)
		bytes[at] = 0x12;
	assert_int_equal(compress_pieces(CODING_GZIP, &all, 1, &packed, NULL), 0);
	front_request(f, &x, "/v1/traces", "application/x-protobuf");
	fake_exchange_add(&x, "content-encoding", "gzip");
	front_head(f, &x);
	front_body(f, &x, buffer_slice(&packed));
	front_finish(f, &x);
	assert_int_equal(x.responses, 0); /* it is on the pool */
	front_wait(f, &x);
	assert_int_equal(x.status, 200);
	fake_exchange_fini(&x);
	buffer_fini(&packed);
}

/* More than may inflate at once, some of which go away. */
static void many_large_bodies_take_turns(void **state)
{
	enum { MANY = 20 };
	struct front *f = *state;
	struct buffer plain, packed = BUFFER_INIT;
	struct http_exchange x[MANY];
	struct slice piece;

	front_open(f, "");
	plain = front_spans(f, 60000);
	piece = buffer_slice(&plain);
	assert_int_equal(compress_pieces(CODING_GZIP, &piece, 1, &packed, NULL), 0);
	assert_true(packed.len > 65536);
	for (int i = 0; i < MANY; i++) {
		front_request(f, &x[i], "/v1/traces", "application/x-protobuf");
		fake_exchange_add(&x[i], "content-encoding", "gzip");
		front_head(f, &x[i]);
		front_body(f, &x[i], buffer_slice(&packed));
		front_finish(f, &x[i]);
	}
	for (int i = 0; i < MANY; i += 3)
		otlp_http_handler.on_gone(&f->http, &x[i]);
	for (int i = 0; i < MANY; i++) {
		if (i % 3 == 0)
			continue;
		front_wait(f, &x[i]);
		assert_int_equal(x[i].status, 200);
		fake_exchange_fini(&x[i]);
	}
	buffer_fini(&plain);
	buffer_fini(&packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT_TEST(refuses_what_it_cannot_take),
		FRONT_TEST(refuses_by_length_before_a_byte_is_read),
		FRONT_TEST(refuses_a_body_without_a_length_at_the_limit),
		FRONT_TEST(a_limit_may_be_smaller_than_the_first_room),
		FRONT_TEST(what_is_announced_costs_nothing_until_it_comes),
		FRONT_TEST(a_head_is_charged_as_long_as_its_request_lives),
		FRONT_TEST(says_come_again_when_there_is_no_memory),
		FRONT_TEST(large_requests_of_every_kind_are_taken),
		FRONT_TEST(a_bomb_stops_at_the_limit),
		FRONT_TEST(what_would_decode_to_too_much_is_refused),
		FRONT_TEST(more_groups_than_anybody_sends_are_refused),
		FRONT_TEST(empty_messages_do_not_take_the_loop),
		FRONT_TEST(many_large_bodies_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
