/* The HTTP entrance and the intake behind it, with exchanges that the test plays. */
#include "tests/support/component_stage.h"
#include "tests/support/failing_memory.h"
#include "tests/unit/net/fake_exchange.h"

#include "core/base/clock.h"
#include "core/loop/timer.h"
#include "receivers/otlp/otlp_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

/* Only its option table is asked; the receiver itself would bring the real exchanges. */
static const struct component_type type = {
	.name = "otlp",
	.kind = RECEIVER,
	.config_size = sizeof(struct otlp_receiver_config),
	.options = otlp_receiver_options,
};

struct fixture {
	struct stage stage;
	struct component component;
	struct otlp_http http;
	struct intake *intake;
	bool is_idle, answers_at_once;
	struct batch *batch; /* the latest */
	struct done done;
	int batches;
};

static void destination(void *self, struct batch *b, struct done done)
{
	struct fixture *f = self;

	batch_unref(f->batch);
	f->batch = b;
	f->batches++;
	f->done = done;
	if (f->answers_at_once)
		done_ok(done);
}

static void open_with(struct fixture *f, const char *http)
{
	const struct otlp_receiver_config *config;
	struct consumer next[SIGNAL_COUNT] = {
		[SIGNAL_TRACES] = {destination, f},
		[SIGNAL_LOGS] = {destination, f},
	};
	char yaml[1024];

	snprintf(yaml, sizeof yaml, "{protocols: {http: %s}}", http);
	config = stage_config(&f->stage, &type, yaml);
	component_init(&f->component, &type,
	               &(struct create_args){.id = "otlp/front", .host = &f->stage.host});
	f->intake = intake_new(&f->component, next);
	assert_true(otlp_http_init(&f->http, &config->protocols.http));
	f->http.entrance.intake = f->intake;
	f->http.entrance.max_size = otlp_http_max_size(&config->protocols.http);
	f->http.entrance.include_metadata = config->protocols.http.listen.include_metadata;
}

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	stage_begin(&f->stage);
	f->answers_at_once = true;
	*state = f;
	return 0;
}

static void on_idle(void *arg)
{
	((struct fixture *)arg)->is_idle = true;
}

static int end(void **state)
{
	struct fixture *f = *state;

	intake_wait(f->intake, on_idle, f);
	stage_wait(&f->stage, &f->is_idle);
	otlp_http_fini(&f->http);
	intake_free(f->intake);
	batch_unref(f->batch);
	stage_end(&f->stage);
	free(f);
	return 0;
}

/* ---- exchanges */

static void begin_request(struct fixture *f, struct http_exchange *x, const char *path,
                          const char *content_type)
{
	fake_exchange_init(x, path);
	x->headers[0].value = slice_from_string(content_type);
}

static void head(struct fixture *f, struct http_exchange *x)
{
	otlp_http_handler.on_request(&f->http, x);
}

static void body(struct fixture *f, struct http_exchange *x, struct slice bytes)
{
	if (!x->responses)
		otlp_http_handler.on_body(&f->http, x, bytes);
}

static void finish(struct fixture *f, struct http_exchange *x)
{
	if (!x->responses)
		otlp_http_handler.on_body_end(&f->http, x);
}

static void on_late(void *arg)
{
	*(bool *)arg = true;
}

static void wait_answer(struct fixture *f, struct http_exchange *x)
{
	bool late = false;
	struct timer *patience = timer_new(f->stage.host.loop, on_late, &late);

	timer_start(patience, 20 * NS_PER_S, 0);
	while (!x->responses && !late)
		loop_run_once(f->stage.host.loop);
	timer_free(patience);
	assert_int_equal(x->responses, 1);
}

/* A whole request with a length; waits for the answer. */
static void post(struct fixture *f, struct http_exchange *x, struct slice bytes)
{
	x->request.has_length = true;
	x->request.length = bytes.len;
	head(f, x);
	body(f, x, bytes);
	finish(f, x);
	wait_answer(f, x);
}

static const char *field(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->n_head; i++)
		if (strcmp(x->head[i].name, name) == 0)
			return x->head[i].value;
	return NULL;
}

static void assert_said(struct http_exchange *x, int status, const char *message)
{
	struct buffer said = BUFFER_INIT;
	enum otlp_encoding encoding = strcmp(field(x, "content-type"), "application/json") == 0
	                                      ? OTLP_JSON
	                                      : OTLP_PROTOBUF;

	assert_int_equal(x->status, status);
	assert_true(otlp_status_read(encoding, buffer_slice(&x->body), &said));
	if (!strstr(buffer_string(&said), message))
		fail_msg("\"%s\" is not in \"%s\"", message, buffer_string(&said));
	buffer_fini(&said);
}

/* A request of that many spans. */
static struct buffer spans(struct fixture *f, int items)
{
	struct batch *b = stage_batch(&f->stage, SIGNAL_TRACES, items, 1);
	struct buffer bytes = BUFFER_INIT;

	assert_int_equal(batch_encode(b, &bytes, NULL), 0);
	batch_unref(b);
	return bytes;
}

static const char json[] =
	"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"x\"}},{}]"
	"}]}]}";

/* ---- what is taken */

static void takes_protobuf(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;
	struct buffer bytes;

	open_with(f, "{include_metadata: true}");
	bytes = spans(f, 3);
	begin_request(f, &x, "/v1/traces", "application/x-protobuf; charset=x");
	fake_exchange_add(&x, "x-tenant", "alpha");
	post(f, &x, buffer_slice(&bytes));
	assert_int_equal(x.status, 200);
	assert_string_equal(field(&x, "content-type"), "application/x-protobuf");
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
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "");
	begin_request(f, &x, "/v1/logs", "application/json");
	post(f, &x, SLICE_LITERAL(json));
	assert_int_equal(x.status, 200);
	assert_string_equal(field(&x, "content-type"), "application/json");
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
	struct fixture *f = *state;
	struct buffer plain;

	open_with(f, "");
	plain = spans(f, 100);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct slice piece = buffer_slice(&plain);
		struct buffer packed = BUFFER_INIT;
		struct http_exchange x;
		enum coding coding;

		assert_true(coding_from_name(slice_from_string(names[i]), &coding));
		assert_int_equal(compress_pieces(coding, &piece, 1, &packed, NULL), 0);
		begin_request(f, &x, "/v1/traces", "application/x-protobuf");
		fake_exchange_add(&x, "content-encoding", names[i]);
		post(f, &x, buffer_slice(&packed));
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
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "");
	begin_request(f, &x, "/v1/traces", "application/x-protobuf");
	post(f, &x, (struct slice){0});
	assert_int_equal(x.status, 200);
	assert_int_equal(x.body.len, 0);
	fake_exchange_fini(&x);
	begin_request(f, &x, "/v1/logs", "application/json");
	post(f, &x, SLICE_LITERAL("{}"));
	assert_int_equal(x.status, 200);
	assert_int_equal(f->batches, 0);
	fake_exchange_fini(&x);
}

/* ---- what is refused */

static void refuse(struct fixture *f, const char *path, const char *content_type,
                   const char *coding, struct slice bytes, int status, const char *message)
{
	struct http_exchange x;

	begin_request(f, &x, path, content_type);
	if (coding)
		fake_exchange_add(&x, "content-encoding", coding);
	post(f, &x, bytes);
	assert_said(&x, status, message);
	fake_exchange_fini(&x);
}

static void refuses_what_it_cannot_take(void **state)
{
	struct fixture *f = *state;
	static const struct slice none = {0};
	struct http_exchange x;

	open_with(f, "{compression_algorithms: [\"\", deflate]}");
	refuse(f, "/v1/trace", "application/json", NULL, none, 404, "nothing is at this path");
	refuse(f, "/v1/metrics", "application/json", NULL, none, 404,
	       "no pipeline of this server takes metrics");
	refuse(f, "/v1/traces", "text/plain", NULL, none, 415, "415 unsupported media type");
	refuse(f, "/v1/traces", "application/jsonx", NULL, none, 415, "unsupported media type");
	refuse(f, "/v1/traces", "application/json", "gzip", none, 415,
	       "unsupported Content-Encoding: gzip");
	refuse(f, "/v1/traces", "application/json", "br", none, 415, "Content-Encoding: br");
	refuse(f, "/v1/traces", "application/json", NULL, SLICE_LITERAL("{"), 400, "");
	refuse(f, "/v1/traces", "application/x-protobuf", NULL, SLICE_LITERAL("\x0a\x05x"), 400,
	       "");
	refuse(f, "/v1/traces", "application/x-protobuf", "zlib", SLICE_LITERAL("nonsense"), 400,
	       "not valid deflate");

	begin_request(f, &x, "/v1/traces", "application/json");
	x.request.method = SLICE_LITERAL("PUT");
	post(f, &x, none);
	assert_said(&x, 405, "405 method not allowed");
	assert_string_equal(field(&x, "allow"), "POST");
	fake_exchange_fini(&x);
	assert_int_equal(f->batches, 0);
}

static void refuses_by_length_before_a_byte_is_read(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "{max_request_body_size: 1000}");
	begin_request(f, &x, "/v1/traces", "application/json");
	x.request.has_length = true;
	x.request.length = 1001;
	head(f, &x);
	assert_said(&x, 413, "the limit is 1000");
	assert_null(field(&x, "retry-after"));
	assert_int_equal(f->stage.budget.used, 0);
	assert_true(f->stage.budget.peak < 3000); /* the request itself, no body */
	fake_exchange_fini(&x);
}

static void refuses_a_body_without_a_length_at_the_limit(void **state)
{
	struct fixture *f = *state;
	static uint8_t bytes[1500];
	struct http_exchange x;

	open_with(f, "{max_request_body_size: 20000}");
	begin_request(f, &x, "/v1/traces", "application/x-protobuf");
	head(f, &x);
	for (int i = 0; i < 13; i++)
		body(f, &x, slice_of(bytes, sizeof bytes));
	assert_int_equal(x.responses, 0);
	assert_true(f->stage.budget.used <= 20000 + 3000);
	body(f, &x, slice_of(bytes, sizeof bytes));
	assert_said(&x, 413, "the limit is 20000");
	assert_int_equal(f->stage.budget.used, 0);
	fake_exchange_fini(&x);
}

static void a_limit_may_be_smaller_than_the_first_room(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "{max_request_body_size: 3}");
	begin_request(f, &x, "/v1/traces", "application/json");
	head(f, &x);
	body(f, &x, SLICE_LITERAL("{}"));
	body(f, &x, SLICE_LITERAL("  "));
	assert_said(&x, 413, "the limit is 3");
	fake_exchange_fini(&x);
}

static void what_is_announced_costs_nothing_until_it_comes(void **state)
{
	struct fixture *f = *state;
	static uint8_t bytes[1000];
	struct http_exchange x[3];

	open_with(f, "");
	f->stage.budget.limit = 60 * MIB;
	for (int i = 0; i < 3; i++) {
		begin_request(f, &x[i], "/v1/traces", "application/x-protobuf");
		x[i].request.has_length = true;
		x[i].request.length = 50 * MIB;
		head(f, &x[i]);
		body(f, &x[i], slice_of(bytes, sizeof bytes));
		assert_int_equal(x[i].responses, 0);
	}
	assert_true(f->stage.budget.used < 3 * 7000);
	for (int i = 0; i < 3; i++)
		otlp_http_handler.on_gone(&f->http, &x[i]);
	assert_int_equal(f->stage.budget.used, 0);
}

static void a_head_is_charged_as_long_as_its_request_lives(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;
	char value[3000];

	open_with(f, "");
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	begin_request(f, &x, "/v1/traces", "application/x-protobuf");
	fake_exchange_add(&x, "x-much", value);
	x.request.has_length = true;
	head(f, &x);
	assert_in_range(f->stage.budget.used, 5000, 6000);
	otlp_http_handler.on_gone(&f->http, &x);
	assert_int_equal(f->stage.budget.used, 0);

	f->stage.budget.limit = 4000;
	head(f, &x);
	assert_said(&x, 503, "no memory");
	assert_true(atoi(field(&x, "retry-after")) >= 1);
	fake_exchange_fini(&x);
}

static void says_come_again_when_there_is_no_memory(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;
	struct buffer bytes;

	open_with(f, "");
	bytes = spans(f, 1000);
	f->stage.budget.limit = 12000;
	f->stage.budget.peak = 0;
	begin_request(f, &x, "/v1/traces", "application/json");
	x.request.has_length = true;
	x.request.length = 13000;
	head(f, &x);
	assert_said(&x, 503, "no memory");
	assert_true(atoi(field(&x, "retry-after")) >= 1);
	fake_exchange_fini(&x);

	/* It came without a length, and grew until there was no more. */
	begin_request(f, &x, "/v1/traces", "application/x-protobuf");
	head(f, &x);
	body(f, &x, buffer_slice(&bytes));
	assert_said(&x, 503, "no memory");
	fake_exchange_fini(&x);
	assert_true(f->stage.budget.peak <= 12000);
	buffer_fini(&bytes);
}

/* ---- outcomes */

static void answers(struct fixture *f, struct outcome outcome, int status, const char *message,
                    const char *retry_after)
{
	struct http_exchange x;

	begin_request(f, &x, "/v1/logs", "application/json");
	x.request.has_length = true;
	x.request.length = sizeof json - 1;
	head(f, &x);
	body(f, &x, SLICE_LITERAL(json));
	finish(f, &x);
	assert_int_equal(x.responses, 0); /* it waits for the outcome */
	done_call(f->done, &outcome);
	assert_int_equal(x.responses, 1);
	if (status == 200)
		assert_string_equal(buffer_string(&x.body), message);
	else
		assert_said(&x, status, message);
	if (retry_after)
		assert_string_equal(field(&x, "retry-after"), retry_after);
	else
		assert_int_equal(field(&x, "retry-after") != NULL, status == 503);
	fake_exchange_fini(&x);
}

static void answers_with_the_outcome(void **state)
{
	struct fixture *f = *state;

	open_with(f, "");
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
	struct fixture *f = *state;
	struct http_exchange x;
	int first = 0, last = 0;

	open_with(f, "");
	f->stage.budget.limit = 1;
	for (int i = 0; i < 300; i++) {
		begin_request(f, &x, "/v1/traces", "application/json");
		post(f, &x, SLICE_LITERAL("{}"));
		last = atoi(field(&x, "retry-after"));
		first = first ? first : last;
		fake_exchange_fini(&x);
	}
	assert_in_range(first, 1, 2);
	assert_in_range(last, 8, 12);
}

/* ---- work on the pool */

static struct buffer large_json(int records)
{
	struct buffer text = BUFFER_INIT;

	buffer_append_string(&text,
	                     "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{"
	                     "\"stringValue\":\"0\"}}");
	for (int i = 1; i < records; i++)
		buffer_printf(&text, ",{\"body\":{\"stringValue\":\"%d\"}}", i);
	buffer_append_string(&text, "]}]}]}");
	return text;
}

static void large_requests_of_every_kind_are_taken(void **state)
{
	struct fixture *f = *state;
	struct buffer text = large_json(20000), plain;

	open_with(f, "");
	plain = spans(f, 200000);
	f->stage.budget.limit = 40 * MIB;
	for (int kind = 0; kind < 4; kind++) {
		bool is_json = kind < 2, packs = kind % 2;
		struct slice piece = buffer_slice(is_json ? &text : &plain);
		struct buffer packed = BUFFER_INIT;
		struct http_exchange x;

		begin_request(f, &x, is_json ? "/v1/logs" : "/v1/traces",
		              is_json ? "application/json" : "application/x-protobuf");
		if (packs) {
			fake_exchange_add(&x, "content-encoding", "gzip");
			compress_pieces(CODING_GZIP, &piece, 1, &packed, NULL);
			piece = buffer_slice(&packed);
		}
		post(f, &x, piece);
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
	struct fixture *f = *state;
	static const enum coding codings[] = {CODING_GZIP,          CODING_ZSTD, CODING_SNAPPY,
	                                      CODING_SNAPPY_FRAMED, CODING_LZ4,  CODING_DEFLATE};
	uint8_t *zeros = calloc(1, 16 * MIB);
	struct slice piece = slice_of(zeros, 16 * MIB);

	open_with(f, "{max_request_body_size: 3000000}");
	for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
		struct buffer packed = BUFFER_INIT;

		assert_int_equal(compress_pieces(codings[i], &piece, 1, &packed, NULL), 0);
		f->stage.budget.peak = 0;
		refuse(f, "/v1/traces", "application/x-protobuf", coding_name(codings[i]),
		       buffer_slice(&packed), 413, "the limit of 3000000 bytes");
		assert_true(f->stage.budget.peak < 5 * MIB);
		assert_int_equal(f->stage.budget.used, 0);
		buffer_fini(&packed);
	}
	free(zeros);
}

static void what_would_decode_to_too_much_is_refused(void **state)
{
	struct fixture *f = *state;
	struct buffer text = BUFFER_INIT;

	open_with(f, "");
	buffer_append_string(&text, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}");
	for (int i = 0; i < 100000; i++)
		buffer_append_string(&text, ",{}");
	buffer_append_string(&text, "]}]}]}");
	refuse(f, "/v1/traces", "application/json", NULL, buffer_slice(&text), 413,
	       "more than 32 times its bytes");
	assert_true(f->stage.budget.peak < 35 * text.len);
	f->stage.budget.limit = 8 * text.len;
	refuse(f, "/v1/traces", "application/json", NULL, buffer_slice(&text), 503, "no memory");
	assert_int_equal(f->stage.budget.used, 0);
	buffer_fini(&text);
}

/* 0a 00 is a group without anything in it, and costs as much as any. */
static void more_groups_than_anybody_sends_are_refused(void **state)
{
	static const size_t sizes[] = {256 * 1024,
	                               3 * MIB}; /* begun on the loop, and on the pool */
	struct fixture *f = *state;

	open_with(f, "");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint8_t *bytes = calloc(1, sizes[i]);
		struct slice all = slice_of(bytes, sizes[i]), packed_slice;
		struct buffer packed = BUFFER_INIT;

		for (size_t at = 0; at < sizes[i]; at += 2)
			bytes[at] = 0x0a;
		f->stage.budget.peak = 0;
		refuse(f, "/v1/traces", "application/x-protobuf", NULL, all, 413,
		       "more than 4 times its bytes");
		assert_true(f->stage.budget.peak < 6 * all.len);
		assert_int_equal(compress_pieces(CODING_GZIP, &all, 1, &packed, NULL), 0);
		packed_slice = buffer_slice(&packed);
		refuse(f, "/v1/traces", "application/x-protobuf", "gzip", packed_slice, 413,
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
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "");
	for (size_t at = 4; at < sizeof bytes; at += 2)
		bytes[at] = 0x12;
	assert_int_equal(compress_pieces(CODING_GZIP, &all, 1, &packed, NULL), 0);
	begin_request(f, &x, "/v1/traces", "application/x-protobuf");
	fake_exchange_add(&x, "content-encoding", "gzip");
	head(f, &x);
	body(f, &x, buffer_slice(&packed));
	finish(f, &x);
	assert_int_equal(x.responses, 0); /* it is on the pool */
	wait_answer(f, &x);
	assert_int_equal(x.status, 200);
	fake_exchange_fini(&x);
	buffer_fini(&packed);
}

/* More than may inflate at once, some of which go away. */
static void many_large_bodies_take_turns(void **state)
{
	enum { MANY = 20 };
	struct fixture *f = *state;
	struct buffer plain, packed = BUFFER_INIT;
	struct http_exchange x[MANY];
	struct slice piece;

	open_with(f, "");
	plain = spans(f, 60000);
	piece = buffer_slice(&plain);
	assert_int_equal(compress_pieces(CODING_GZIP, &piece, 1, &packed, NULL), 0);
	assert_true(packed.len > 65536);
	for (int i = 0; i < MANY; i++) {
		begin_request(f, &x[i], "/v1/traces", "application/x-protobuf");
		fake_exchange_add(&x[i], "content-encoding", "gzip");
		head(f, &x[i]);
		body(f, &x[i], buffer_slice(&packed));
		finish(f, &x[i]);
	}
	for (int i = 0; i < MANY; i += 3)
		otlp_http_handler.on_gone(&f->http, &x[i]);
	for (int i = 0; i < MANY; i++) {
		if (i % 3 == 0)
			continue;
		wait_answer(f, &x[i]);
		assert_int_equal(x[i].status, 200);
		fake_exchange_fini(&x[i]);
	}
	buffer_fini(&plain);
	buffer_fini(&packed);
}

/* ---- clients that go, and allocations that fail */

static void a_client_may_go_at_any_moment(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;
	struct buffer text = large_json(20000);

	open_with(f, "");
	f->answers_at_once = false;
	for (int moment = 0; moment < 4; moment++) {
		begin_request(f, &x, "/v1/logs", "application/json");
		head(f, &x);
		if (moment == 1)
			body(f, &x, SLICE_LITERAL("{"));
		if (moment == 2) { /* while it is decoded on the pool */
			body(f, &x, buffer_slice(&text));
			finish(f, &x);
		}
		if (moment == 3) {
			body(f, &x, SLICE_LITERAL(json));
			finish(f, &x);
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
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "");
	f->answers_at_once = false;
	begin_request(f, &x, "/v1/logs", "application/json");
	head(f, &x);
	body(f, &x, SLICE_LITERAL(json));
	finish(f, &x);
	otlp_http_handler.on_gone(&f->http, &x);
	intake_free(f->intake);
	done_ok(f->done);
	f->intake = intake_new(&f->component, (struct consumer[SIGNAL_COUNT]){{0}});
}

static void every_failing_allocation_is_a_503(void **state)
{
	struct fixture *f = *state;
	struct buffer plain, packed = BUFFER_INIT, text = large_json(10000);
	struct slice piece;

	open_with(f, "{include_metadata: true}");
	plain = spans(f, 60000);
	piece = buffer_slice(&plain);
	assert_int_equal(compress_pieces(CODING_ZSTD, &piece, 1, &packed, NULL), 0);
	for (int kind = 0; kind < 3; kind++) {
		bool failed = true;
		for (unsigned long n = 1; failed; n++) {
			struct http_exchange x;

			begin_request(f, &x, kind ? "/v1/logs" : "/v1/traces",
			              kind ? "application/json" : "application/x-protobuf");
			if (kind == 0)
				fake_exchange_add(&x, "content-encoding", "zstd");
			failing_memory_arm(n);
			head(f, &x);
			body(f, &x,
			     kind == 0   ? buffer_slice(&packed)
			     : kind == 1 ? buffer_slice(&text)
			                 : SLICE_LITERAL(json));
			finish(f, &x);
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

static void preflight(struct fixture *f, struct http_exchange *x, const char *origin,
                      const char *headers)
{
	begin_request(f, x, "/v1/traces", "");
	x->request.method = SLICE_LITERAL("OPTIONS");
	fake_exchange_add(x, "origin", origin);
	fake_exchange_add(x, "access-control-request-method", "POST");
	fake_exchange_add(x, "access-control-request-headers", headers);
	head(f, x);
	assert_int_equal(x->responses, 1);
}

static void answers_preflights(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f,
	          "{cors: {allowed_origins: [\"*\"], allowed_headers: [x-tenant], max_age: 60}}");
	preflight(f, &x, "https://page", "content-type, X-Tenant");
	assert_int_equal(x.status, 204);
	assert_string_equal(field(&x, "access-control-allow-origin"), "*");
	assert_string_equal(field(&x, "access-control-allow-methods"), "POST");
	assert_string_equal(field(&x, "access-control-allow-headers"), "content-type, X-Tenant");
	assert_string_equal(field(&x, "access-control-max-age"), "60");
	assert_non_null(strstr(field(&x, "vary"), "Origin"));
	fake_exchange_fini(&x);

	preflight(f, &x, "https://page", "x-other");
	assert_int_equal(x.status, 204);
	assert_null(field(&x, "access-control-allow-origin"));
	fake_exchange_fini(&x);

	begin_request(f, &x, "/v1/traces", "application/json");
	fake_exchange_add(&x, "origin", "https://page");
	post(f, &x, SLICE_LITERAL("{"));
	assert_said(&x, 400, "");
	assert_string_equal(field(&x, "access-control-allow-origin"), "*");
	assert_string_equal(field(&x, "vary"), "Origin");
	fake_exchange_fini(&x);
}

static void without_cors_a_preflight_is_any_method(void **state)
{
	struct fixture *f = *state;
	struct http_exchange x;

	open_with(f, "{response_headers: {X-Served-By: weir}}");
	preflight(f, &x, "https://page", "content-type");
	assert_said(&x, 405, "405");
	assert_null(field(&x, "vary"));
	assert_string_equal(field(&x, "x-served-by"), "weir");
	fake_exchange_fini(&x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_protobuf),
		TEST(takes_json),
		TEST(takes_every_coding),
		TEST(an_empty_request_is_a_success_without_a_batch),
		TEST(refuses_what_it_cannot_take),
		TEST(refuses_by_length_before_a_byte_is_read),
		TEST(refuses_a_body_without_a_length_at_the_limit),
		TEST(a_limit_may_be_smaller_than_the_first_room),
		TEST(what_is_announced_costs_nothing_until_it_comes),
		TEST(a_head_is_charged_as_long_as_its_request_lives),
		TEST(says_come_again_when_there_is_no_memory),
		TEST(answers_with_the_outcome),
		TEST(asks_for_longer_delays_under_pressure),
		TEST(large_requests_of_every_kind_are_taken),
		TEST(a_bomb_stops_at_the_limit),
		TEST(what_would_decode_to_too_much_is_refused),
		TEST(more_groups_than_anybody_sends_are_refused),
		TEST(empty_messages_do_not_take_the_loop),
		TEST(many_large_bodies_take_turns),
		TEST(a_client_may_go_at_any_moment),
		TEST(an_outcome_may_come_after_the_intake_has_gone),
		TEST(every_failing_allocation_is_a_503),
		cmocka_unit_test(matches_origins_with_stars),
		TEST(answers_preflights),
		TEST(without_cors_a_preflight_is_any_method),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
