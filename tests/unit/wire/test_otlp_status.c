#include "core/wire/otlp.h"
#include "core/wire/otlp_status.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_text(const struct buffer *out, const char *expected)
{
	assert_false(out->failed);
	assert_true(slice_equal(buffer_slice(out), slice_from_string(expected)));
}

static void expect_json(const struct otlp_status *status, const char *expected)
{
	struct buffer out = BUFFER_INIT;

	otlp_status_write(OTLP_JSON, status, &out);
	expect_text(&out, expected);
	buffer_fini(&out);
}

static void expect_response(uint64_t rejected, enum signal signal, const char *message,
                            const char *expected)
{
	struct buffer out = BUFFER_INIT;

	otlp_response_write(OTLP_JSON, signal, rejected, message, &out);
	expect_text(&out, expected);
	buffer_fini(&out);
}

static void a_status_in_json(void **state)
{
	expect_json(&(struct otlp_status){.code = GRPC_UNAVAILABLE, .message = "try \"later\""},
	            "{\"code\":14,\"message\":\"try \\\"later\\\"\"}");
	expect_json(&(struct otlp_status){.code = GRPC_INVALID_ARGUMENT}, "{\"code\":3}");
	expect_json(&(struct otlp_status){.code = GRPC_INTERNAL, .message = "\xff"},
	            "{\"code\":13,\"message\":\"\xef\xbf\xbd\"}");
}

#define DETAILS(delay)                                                                             \
	"{\"code\":14,\"message\":\"full\",\"details\":[{\"@type\":\"type.googleapis.com/google."  \
	"rpc.RetryInfo\",\"retryDelay\":\"" delay "\"}]}"

static void the_delay_has_no_three_six_or_nine_digits_behind_the_point(void **state)
{
	static const struct {
		uint64_t ns;
		const char *json;
	} cases[] = {
		{0, DETAILS("0s")},
		{30000000000, DETAILS("30s")},
		{1500000000, DETAILS("1.500s")},
		{1000, DETAILS("0.000001s")},
		{1000000001, DETAILS("1.000000001s")},
		{UINT64_MAX, DETAILS("18446744073.709551615s")},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_json(&(struct otlp_status){.code = GRPC_UNAVAILABLE,
		                                  .message = "full",
		                                  .has_retry_info = true,
		                                  .retry_delay = cases[i].ns},
		            cases[i].json);
}

static void a_status_in_protobuf(void **state)
{
	struct otlp_status status = {.code = GRPC_UNAVAILABLE,
	                             .message = "full",
	                             .has_retry_info = true,
	                             .retry_delay = 1500000000};
	struct buffer out = BUFFER_INIT;
	struct grpc_retry_info info;
	Otlp__RpcStatus *read;

	otlp_status_write(OTLP_PROTOBUF, &status, &out);
	read = otlp__rpc_status__unpack(NULL, out.len, out.data);
	assert_non_null(read);
	assert_int_equal(read->code, 14);
	assert_int_equal(read->message.len, 4);
	assert_memory_equal(read->message.data, "full", 4);
	assert_int_equal(read->n_details, 1);
	otlp__rpc_status__free_unpacked(read, NULL);
	info = grpc_retry_info_decode(buffer_slice(&out));
	assert_true(info.present);
	assert_int_equal(info.delay_ns, 1500000000);

	buffer_clear(&out);
	status.has_retry_info = false;
	otlp_status_write(OTLP_PROTOBUF, &status, &out);
	assert_true(slice_equal(buffer_slice(&out), SLICE_LITERAL("\x08\x0e\x12\x04"
	                                                          "full")));
	buffer_fini(&out);
}

static void full_success_leaves_partial_success_unset(void **state)
{
	struct buffer out = BUFFER_INIT;

	expect_response(0, SIGNAL_TRACES, NULL, "{}");
	expect_response(0, SIGNAL_TRACES, "", "{}");
	otlp_response_write(OTLP_PROTOBUF, SIGNAL_LOGS, 0, NULL, &out);
	assert_int_equal(out.len, 0);
	assert_false(out.failed);
	buffer_fini(&out);
}

static void rejected_items_have_the_signals_name(void **state)
{
	expect_response(5, SIGNAL_TRACES, "too old",
	                "{\"partialSuccess\":{\"rejectedSpans\":\"5\",\"errorMessage\":\"too "
	                "old\"}}");
	expect_response(5, SIGNAL_METRICS, NULL,
	                "{\"partialSuccess\":{\"rejectedDataPoints\":\"5\"}}");
	expect_response(UINT64_MAX, SIGNAL_LOGS, NULL,
	                "{\"partialSuccess\":{\"rejectedLogRecords\":\"9223372036854775807\"}}");
	expect_response(0, SIGNAL_LOGS, "a warning",
	                "{\"partialSuccess\":{\"errorMessage\":\"a warning\"}}");
}

static void reads_what_it_writes(void **state)
{
	for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++)
		for (int s = 0; s < SIGNAL_COUNT; s++) {
			struct buffer out = BUFFER_INIT, message = BUFFER_INIT;
			uint64_t rejected = 1;

			otlp_response_write(encoding, s, 17, "too old", &out);
			assert_true(otlp_response_read(encoding, buffer_slice(&out), &rejected,
			                               &message));
			assert_int_equal(rejected, 17);
			expect_text(&message, "too old");
			buffer_clear(&out);
			buffer_clear(&message);
			otlp_response_write(encoding, s, 0, NULL, &out);
			assert_true(otlp_response_read(encoding, buffer_slice(&out), &rejected,
			                               &message));
			assert_int_equal(rejected, 0);
			assert_int_equal(message.len, 0);
			buffer_clear(&out);
			otlp_status_write(encoding,
			                  &(struct otlp_status){.code = GRPC_UNAVAILABLE,
			                                        .message = "full",
			                                        .has_retry_info = true,
			                                        .retry_delay = 1},
			                  &out);
			assert_true(otlp_status_read(encoding, buffer_slice(&out), &message));
			expect_text(&message, "full");
			buffer_fini(&out);
			buffer_fini(&message);
		}
}

static void reads_what_others_write(void **state)
{
	static const struct {
		enum otlp_encoding encoding;
		struct slice bytes;
		uint64_t rejected;
		const char *message; /* NULL: refused */
	} cases[] = {
		{OTLP_JSON, SLICE_LITERAL("{\"partialSuccess\":{}}"), 0, ""},
		{OTLP_JSON, SLICE_LITERAL("{\"partialSuccess\":null,\"x\":[1]}"), 0, ""},
		{OTLP_JSON, SLICE_LITERAL("{\"partialSuccess\":{\"rejectedProfiles\":3}}"), 3, ""},
		{OTLP_JSON, SLICE_LITERAL("{\"partialSuccess\":{\"rejectedSpans\":-3}}"), 0, ""},
		{OTLP_JSON, SLICE_LITERAL("{\"partialSuccess\":{\"rejected\":3}}"), 0, ""},
		{OTLP_JSON, SLICE_LITERAL("OK"), 9, NULL},
		{OTLP_JSON, SLICE_LITERAL(""), 9, NULL},
		{OTLP_PROTOBUF, SLICE_LITERAL(""), 0, ""},
		{OTLP_PROTOBUF, SLICE_LITERAL("\x0a\x02\x08\x03"), 3, ""},
		{OTLP_PROTOBUF, SLICE_LITERAL("\x0a\x03\x12\x01\xff"), 0, "\xef\xbf\xbd"},
		{OTLP_PROTOBUF, SLICE_LITERAL("\x0a\x02\x08"), 9, NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer message = BUFFER_INIT;
		uint64_t rejected = 9;

		assert_int_equal(otlp_response_read(cases[i].encoding, cases[i].bytes, &rejected,
		                                    &message),
		                 cases[i].message != NULL);
		assert_int_equal(rejected, cases[i].rejected);
		expect_text(&message, cases[i].message ? cases[i].message : "");
		buffer_fini(&message);
	}
}

static void expect_cut(enum otlp_encoding encoding, const char *text, size_t character)
{
	struct otlp_status status = {.code = GRPC_UNAVAILABLE,
	                             .message = text,
	                             .has_retry_info = true,
	                             .retry_delay = UINT64_MAX};
	struct buffer out = BUFFER_INIT, message = BUFFER_INIT;
	uint64_t rejected;

	otlp_response_write(encoding, SIGNAL_METRICS, INT64_MAX, text, &out);
	assert_in_range(out.len, OTLP_RESPONSE_LIMIT - 300, OTLP_RESPONSE_LIMIT);
	assert_true(otlp_response_read(encoding, buffer_slice(&out), &rejected, &message));
	assert_int_equal(rejected, INT64_MAX);
	assert_int_equal(message.len % character, 0);
	assert_int_equal(memcmp(message.data, text, message.len), 0);
	buffer_clear(&out);
	otlp_status_write(encoding, &status, &out);
	assert_in_range(out.len, OTLP_RESPONSE_LIMIT - 300, OTLP_RESPONSE_LIMIT);
	buffer_fini(&out);
	buffer_fini(&message);
}

static void no_answer_is_longer_than_4_mib(void **state)
{
	static const struct {
		const char *character;
		size_t times;
		bool json_only; /* where it is longer */
	} cases[] = {{"a", 4200000, false}, {"\xe2\x82\xac", 1500000, false}, {"\1", 700000, true}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer text = BUFFER_INIT;

		for (size_t n = 0; n < cases[i].times; n++)
			buffer_append_string(&text, cases[i].character);
		expect_cut(OTLP_JSON, buffer_string(&text), strlen(cases[i].character));
		if (!cases[i].json_only)
			expect_cut(OTLP_PROTOBUF, buffer_string(&text), strlen(cases[i].character));
		buffer_fini(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_in_json),
		cmocka_unit_test(the_delay_has_no_three_six_or_nine_digits_behind_the_point),
		cmocka_unit_test(a_status_in_protobuf),
		cmocka_unit_test(full_success_leaves_partial_success_unset),
		cmocka_unit_test(rejected_items_have_the_signals_name),
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(reads_what_others_write),
		cmocka_unit_test(no_answer_is_longer_than_4_mib),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
