/* The HTTP entrance: what it takes, what it answers, and who may ask from a browser. */
#include "receivers/otlp/test_otlp_http_front.h"
#include "tests/support/failing_memory.h"

#include "core/base/clock.h"
#include "core/loop/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char json[] =
	"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"x\"}},{}]"
	"}]}]}";

/* ---- what is taken */

static void takes_protobuf(void **state)
{
	struct front *f = *state;
	struct http_exchange x;
	struct buffer bytes;

	front_open(f, "{include_metadata: true}");
	bytes = front_spans(f, 3);
	front_request(f, &x, "/v1/traces", "application/x-protobuf; charset=x");
	fake_exchange_add(&x, "x-tenant", "alpha");
	front_post(f, &x, buffer_slice(&bytes));
	assert_int_equal(x.status, 200);
	assert_string_equal(front_field(&x, "content-type"), "application/x-protobuf");
	assert_int_equal(x.body.len, 0); /* partial_success is unset */
	assert_int_equal(f->batch->items, 3);
	assert_int_equal(f->batch->first->depth, DEPTH_WIRE);
	assert_string_equal(f->batch->origin.receiver, "otlp/front");
	assert_string_equal(f->batch->origin.peer, "127.0.0.1:40000");
	assert_int_equal(f->batch->origin.n_metadata, 2);
	assert_string_equal(f->batch->origin.metadata[1].name, "x-tenant");
	assert_string_equal(f->batch->origin.metadata[1].value, "alpha");
	buffer_fini(&bytes);
	fake_exchange_fini(&x);
}

static void takes_json(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "");
	front_request(f, &x, "/v1/logs", "application/json");
	front_post(f, &x, SLICE_LITERAL(json));
	assert_int_equal(x.status, 200);
	assert_string_equal(front_field(&x, "content-type"), "application/json");
	assert_string_equal(buffer_string(&x.body), "{}");
	assert_int_equal(f->batch->items, 2);
	assert_non_null(f->batch->first->pin);
	fake_exchange_fini(&x);
}

static void takes_every_coding(void **state)
{
	static const char *const names[] = {"gzip",    "zstd",    "zlib",
	                                    "deflate", "snappy",  "x-snappy-framed",
	                                    "lz4",     "identity"};
	struct front *f = *state;
	struct buffer plain;

	front_open(f, "");
	plain = front_spans(f, 100);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct slice piece = buffer_slice(&plain);
		struct buffer packed = BUFFER_INIT;
		struct http_exchange x;
		enum coding coding;

		assert_true(coding_from_name(slice_from_string(names[i]), &coding));
		assert_int_equal(compress_pieces(coding, &piece, 1, &packed, NULL), 0);
		front_request(f, &x, "/v1/traces", "application/x-protobuf");
		fake_exchange_add(&x, "content-encoding", names[i]);
		front_post(f, &x, buffer_slice(&packed));
		assert_int_equal(x.status, 200);
		assert_int_equal(f->batch->items, 100);
		assert_int_equal(batch_bytes(f->batch), plain.len);
		fake_exchange_fini(&x);
		buffer_fini(&packed);
	}
	buffer_fini(&plain);
}

static void an_empty_request_is_a_success_without_a_batch(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "");
	front_request(f, &x, "/v1/traces", "application/x-protobuf");
	front_post(f, &x, (struct slice){0});
	assert_int_equal(x.status, 200);
	assert_int_equal(x.body.len, 0);
	fake_exchange_fini(&x);
	front_request(f, &x, "/v1/logs", "application/json");
	front_post(f, &x, SLICE_LITERAL("{}"));
	assert_int_equal(x.status, 200);
	assert_int_equal(f->batches, 0);
	fake_exchange_fini(&x);
}

/* ---- outcomes */

static void answers(struct front *f, struct outcome outcome, int status, const char *message,
                    const char *retry_after)
{
	struct http_exchange x;

	front_request(f, &x, "/v1/logs", "application/json");
	x.request.has_length = true;
	x.request.length = sizeof json - 1;
	front_head(f, &x);
	front_body(f, &x, SLICE_LITERAL(json));
	front_finish(f, &x);
	assert_int_equal(x.responses, 0); /* it waits for the outcome */
	done_call(f->done, &outcome);
	assert_int_equal(x.responses, 1);
	if (status == 200)
		assert_string_equal(buffer_string(&x.body), message);
	else
		front_expect(&x, status, message);
	if (retry_after)
		assert_string_equal(front_field(&x, "retry-after"), retry_after);
	else
		assert_int_equal(front_field(&x, "retry-after") != NULL, status == 503);
	fake_exchange_fini(&x);
}

static void answers_with_the_outcome(void **state)
{
	struct front *f = *state;

	front_open(f, "");
	f->answers_at_once = false;
	answers(f, (struct outcome){.status = OUTCOME_OK}, 200, "{}", NULL);
	answers(f, (struct outcome){.status = OUTCOME_OK, .rejected_items = 1, .message = "bad"},
	        200, "{\"partialSuccess\":{\"rejectedLogRecords\":\"1\",\"errorMessage\":\"bad\"}}",
	        NULL);
	answers(f, (struct outcome){.status = OUTCOME_OK, .rejected_items = 2}, 200,
	        "{\"partialSuccess\":{\"rejectedLogRecords\":\"2\",\"errorMessage\":\"2 "
	        "log_records "
	        "were rejected for good by the destination\"}}",
	        NULL);
	answers(f,
	        (struct outcome){.status = OUTCOME_RETRY,
	                         .retry_after_ns = 2 * NS_PER_S + 1,
	                         .message = "queue is full"},
	        503, "queue is full", "3");
	answers(f, (struct outcome){.status = OUTCOME_RETRY, .retry_after_ns = NS_PER_MS}, 503, "",
	        "1");
	answers(f, (struct outcome){.status = OUTCOME_RETRY}, 503, "", NULL);
	answers(f, (struct outcome){.status = OUTCOME_PERMANENT, .message = "never"}, 500, "never",
	        NULL);
	answers(f, (struct outcome){.status = OUTCOME_CANCELED}, 503, "shutting down", NULL);
}

static void asks_for_longer_delays_under_pressure(void **state)
{
	struct front *f = *state;
	struct http_exchange x;
	int first = 0, last = 0;

	front_open(f, "");
	f->stage.budget.limit = 1;
	for (int i = 0; i < 300; i++) {
		front_request(f, &x, "/v1/traces", "application/json");
		front_post(f, &x, SLICE_LITERAL("{}"));
		last = atoi(front_field(&x, "retry-after"));
		first = first ? first : last;
		fake_exchange_fini(&x);
	}
	assert_in_range(first, 1, 2);
	assert_in_range(last, 8, 12);
}

/* ---- clients that go, and allocations that fail */

static void a_client_may_go_at_any_moment(void **state)
{
	struct front *f = *state;
	struct http_exchange x;
	struct buffer text = front_large_json(20000);

	front_open(f, "");
	f->answers_at_once = false;
	for (int moment = 0; moment < 4; moment++) {
		front_request(f, &x, "/v1/logs", "application/json");
		front_head(f, &x);
		if (moment == 1)
			front_body(f, &x, SLICE_LITERAL("{"));
		if (moment == 2) { /* while it is decoded on the pool */
			front_body(f, &x, buffer_slice(&text));
			front_finish(f, &x);
		}
		if (moment == 3) {
			front_body(f, &x, SLICE_LITERAL(json));
			front_finish(f, &x);
			assert_int_equal(f->batches, 1);
		}
		otlp_http_handler.on_gone(&f->http, &x);
		assert_int_equal(x.responses, 0);
	}
	assert_int_equal(f->http.entrance.gone, 4);
	done_ok(f->done); /* finds nobody */
	buffer_fini(&text);
}

static void an_outcome_may_come_after_the_intake_has_gone(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "");
	f->answers_at_once = false;
	front_request(f, &x, "/v1/logs", "application/json");
	front_head(f, &x);
	front_body(f, &x, SLICE_LITERAL(json));
	front_finish(f, &x);
	otlp_http_handler.on_gone(&f->http, &x);
	intake_free(f->intake);
	done_ok(f->done);
	f->intake = intake_new(&f->component, (struct consumer[SIGNAL_COUNT]){{0}});
}

static void every_failing_allocation_is_a_503(void **state)
{
	struct front *f = *state;
	struct buffer plain, packed = BUFFER_INIT, text = front_large_json(10000);
	struct slice piece;

	front_open(f, "{include_metadata: true}");
	plain = front_spans(f, 60000);
	piece = buffer_slice(&plain);
	assert_int_equal(compress_pieces(CODING_ZSTD, &piece, 1, &packed, NULL), 0);
	for (int kind = 0; kind < 3; kind++) {
		bool failed = true;
		for (unsigned long n = 1; failed; n++) {
			struct http_exchange x;

			front_request(f, &x, kind ? "/v1/logs" : "/v1/traces",
			              kind ? "application/json" : "application/x-protobuf");
			if (kind == 0)
				fake_exchange_add(&x, "content-encoding", "zstd");
			failing_memory_arm(n);
			front_head(f, &x);
			front_body(f, &x,
			           kind == 0   ? buffer_slice(&packed)
			           : kind == 1 ? buffer_slice(&text)
			                       : SLICE_LITERAL(json));
			front_finish(f, &x);
			while (!x.responses)
				loop_run_once(f->stage.host.loop);
			failed = failing_memory_disarm();
			assert_int_equal(x.responses, 1);
			if (x.status != 200 && x.status != 503)
				fail_msg("allocation %lu: %d", n, x.status);
			assert_true(x.status == 200 || failed);
			batch_unref(TAKE(f->batch));
			if (f->stage.budget.used)
				fail_msg("allocation %lu of kind %d: %zu bytes are left", n, kind,
				         f->stage.budget.used);
			fake_exchange_fini(&x);
			assert_true(n < 1000);
		}
	}
	buffer_fini(&plain);
	buffer_fini(&packed);
	buffer_fini(&text);
}

/* ---- CORS */

static void matches_origins_with_stars(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool is;
	} cases[] = {
		{"*", "https://a", true},
		{"https://a", "https://a", true},
		{"https://a", "HTTPS://A", true},
		{"https://a", "https://ab", false},
		{"https://*.a.com", "https://x.y.a.com", true},
		{"https://*.a.com", "https://a.com", false},
		{"https://*.a.com", "https://x.a.com.evil", false},
		{"http://*:*", "http://h:1", true},
		{"", "", true},
		{"", "x", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-b-b-d", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (cors_match(cases[i].pattern, slice_from_string(cases[i].text)) != cases[i].is)
			fail_msg("%s: %s", cases[i].pattern, cases[i].text);
}

static void preflight(struct front *f, struct http_exchange *x, const char *origin,
                      const char *headers)
{
	front_request(f, x, "/v1/traces", "");
	x->request.method = SLICE_LITERAL("OPTIONS");
	fake_exchange_add(x, "origin", origin);
	fake_exchange_add(x, "access-control-request-method", "POST");
	fake_exchange_add(x, "access-control-request-headers", headers);
	front_head(f, x);
	assert_int_equal(x->responses, 1);
}

static void answers_preflights(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f,
	           "{cors: {allowed_origins: [\"*\"], allowed_headers: [x-tenant], max_age: 60}}");
	preflight(f, &x, "https://page", "content-type, X-Tenant");
	assert_int_equal(x.status, 204);
	assert_string_equal(front_field(&x, "access-control-allow-origin"), "*");
	assert_string_equal(front_field(&x, "access-control-allow-methods"), "POST");
	assert_string_equal(front_field(&x, "access-control-allow-headers"),
	                    "content-type, X-Tenant");
	assert_string_equal(front_field(&x, "access-control-max-age"), "60");
	assert_non_null(strstr(front_field(&x, "vary"), "Origin"));
	fake_exchange_fini(&x);

	preflight(f, &x, "https://page", "x-other");
	assert_int_equal(x.status, 204);
	assert_null(front_field(&x, "access-control-allow-origin"));
	fake_exchange_fini(&x);

	front_request(f, &x, "/v1/traces", "application/json");
	fake_exchange_add(&x, "origin", "https://page");
	front_post(f, &x, SLICE_LITERAL("{"));
	front_expect(&x, 400, "");
	assert_string_equal(front_field(&x, "access-control-allow-origin"), "*");
	assert_string_equal(front_field(&x, "vary"), "Origin");
	fake_exchange_fini(&x);
}

static void without_cors_a_preflight_is_any_method(void **state)
{
	struct front *f = *state;
	struct http_exchange x;

	front_open(f, "{response_headers: {X-Served-By: weir}}");
	preflight(f, &x, "https://page", "content-type");
	front_expect(&x, 405, "405");
	assert_null(front_field(&x, "vary"));
	assert_string_equal(front_field(&x, "x-served-by"), "weir");
	fake_exchange_fini(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRONT_TEST(takes_protobuf),
		FRONT_TEST(takes_json),
		FRONT_TEST(takes_every_coding),
		FRONT_TEST(an_empty_request_is_a_success_without_a_batch),
		FRONT_TEST(answers_with_the_outcome),
		FRONT_TEST(asks_for_longer_delays_under_pressure),
		FRONT_TEST(a_client_may_go_at_any_moment),
		FRONT_TEST(an_outcome_may_come_after_the_intake_has_gone),
		FRONT_TEST(every_failing_allocation_is_a_503),
		cmocka_unit_test(matches_origins_with_stars),
		FRONT_TEST(answers_preflights),
		FRONT_TEST(without_cors_a_preflight_is_any_method),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
