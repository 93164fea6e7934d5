#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/wire/grpc.h"

#include <stdio.h>

static void reads_a_message_fed_byte_by_byte(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 1, 0, 0, 0, 0};
	struct grpc_reader r;
	struct slice part;
	char got[8] = "";
	unsigned begun = 0, ended = 0;

	grpc_reader_init(&r, 100);
	for (size_t i = 0; i < sizeof bytes; i++) {
		struct slice in = slice_of(bytes + i, 1);
		enum grpc_event event;

		while ((event = grpc_reader_next(&r, &in, &part)) != GRPC_MORE) {
			assert_true(event == GRPC_BEGIN || event == GRPC_PART || event == GRPC_END);
			begun += event == GRPC_BEGIN;
			ended += event == GRPC_END;
			if (event == GRPC_PART)
				strncat(got, (const char *)part.data, part.len);
			if (event == GRPC_BEGIN && begun == 2)
				assert_true(r.compressed);
		}
	}
	assert_string_equal(got, "abc");
	assert_int_equal(begun, 2);
	assert_int_equal(ended, 2);
	assert_true(grpc_reader_is_between(&r));
}

static void refuses_a_message_larger_than_its_limit_before_reading_it(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 0, 101};
	struct slice in = slice_of(bytes, sizeof bytes), part;
	struct grpc_reader r;

	grpc_reader_init(&r, 100);
	assert_int_equal(grpc_reader_next(&r, &in, &part), GRPC_TOO_LARGE);
	assert_int_equal(r.length, 101);
	assert_int_equal(grpc_reader_next(&r, &in, &part), GRPC_TOO_LARGE);
}

static void refuses_an_unknown_flag(void **state)
{
	static const uint8_t bytes[] = {2, 0, 0, 0, 1, 'x'};
	struct slice in = slice_of(bytes, sizeof bytes), part;
	struct grpc_reader r;

	grpc_reader_init(&r, 0);
	assert_int_equal(grpc_reader_next(&r, &in, &part), GRPC_MALFORMED);
	assert_int_equal(grpc_reader_next(&r, &in, &part), GRPC_MALFORMED);
}

static void writes_what_it_reads(void **state)
{
	uint8_t prefix[GRPC_PREFIX_BYTES];
	struct slice in = slice_of(prefix, sizeof prefix), part;
	struct grpc_reader r;

	grpc_prefix_write(prefix, true, 0x01020304);
	grpc_reader_init(&r, 0);
	assert_int_equal(grpc_reader_next(&r, &in, &part), GRPC_BEGIN);
	assert_true(r.compressed);
	assert_int_equal(r.length, 0x01020304);
	assert_false(grpc_reader_is_between(&r));
}

static void formats_timeouts_with_at_most_eight_digits(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {{0, "1n"},
	             {1, "1n"},
	             {99999999, "99999999n"},
	             {100000000, "100000u"},
	             {100000001, "100001u"},
	             {5000000000, "5000000u"},
	             {UINT64_C(300000000000), "300000m"},
	             {UINT64_MAX, "5124096H"}};
	char text[GRPC_TIMEOUT_TEXT];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		grpc_timeout_format(cases[i].ns, text);
		if (cases[i].ns == UINT64_MAX) /* any unit that fits says it rounded up */
			assert_true(strlen(text) <= 9);
		else
			assert_string_equal(text, cases[i].text);
	}
}

static void decodes_messages_leniently(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"plain", "plain"}, {"a%20b%25", "a b%"}, {"%zz%4", "%zz%4"},      {"%", "%"},
	             {"", ""},           {"%0aline", "?line"}, {"%c3%a9t%C3%A9", "été"}};
	char text[16];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		grpc_message_decode(slice_from_string(cases[i].in), text, sizeof text);
		assert_string_equal(text, cases[i].out);
	}
	grpc_message_decode(slice_from_string("longer than sixteen bytes"), text, sizeof text);
	assert_string_equal(text, "longer than six");
}

static void parses_timeouts_strictly(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"1n", 1},
	            {"0S", 0},
	            {"10S", 10000000000},
	            {"250m", 250000000},
	            {"5u", 5000},
	            {"2M", UINT64_C(120000000000)},
	            {"1H", UINT64_C(3600000000000)},
	            {"99999999n", 99999999},
	            {"99999999H", INT64_MAX}};
	static const char *const bad[] = {"",    "1",   "S",   "10s",  "-1S",       "+1S",
	                                  "1 S", "1SS", "1S ", "0x1S", "100000000n"};
	uint64_t ns;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(grpc_timeout_parse(slice_from_string(good[i].text), &ns));
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(grpc_timeout_parse(slice_from_string(bad[i]), &ns));
}

static void encodes_messages_so_that_they_decode_to_the_same(void **state)
{
	char encoded[200], decoded[64];
	const char *text = "50% of \"été\", ~ 日本";
	size_t len = grpc_message_encode(slice_from_string(text), encoded, sizeof encoded);

	assert_int_equal(len, strlen(encoded));
	assert_string_equal(encoded, "50%25 of \"%C3%A9t%C3%A9\", ~ %E6%97%A5%E6%9C%AC");
	grpc_message_decode(slice_from_string(encoded), decoded, sizeof decoded);
	assert_string_equal(decoded, text);
	grpc_message_encode(SLICE_LITERAL("a\n\x7f\xff."), encoded, sizeof encoded);
	assert_string_equal(encoded, "a%0A%7F%EF%BF%BD.");
}

static void cuts_messages_between_characters(void **state)
{
	char encoded[24];

	for (size_t size = 1; size <= sizeof encoded; size++) {
		size_t len = grpc_message_encode(SLICE_LITERAL("aé日b"), encoded, size);

		assert_true(len < size && strlen(encoded) == len);
		assert_true(len == 0 || len == 1 || len == 7 || len == 16 || len == 17);
	}
	assert_string_equal(encoded, "a%C3%A9%E6%97%A5b");
}

static void parses_statuses(void **state)
{
	assert_int_equal(grpc_status_parse(SLICE_LITERAL("0")), GRPC_OK);
	assert_int_equal(grpc_status_parse(SLICE_LITERAL("14")), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_status_parse(SLICE_LITERAL("17")), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse(SLICE_LITERAL("-1")), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse(SLICE_LITERAL("")), GRPC_UNKNOWN);
	assert_string_equal(grpc_status_name(GRPC_DATA_LOSS), "DATA_LOSS");
	assert_string_equal(grpc_status_name((enum grpc_status)99), "UNKNOWN");
	assert_int_equal(grpc_status_from_http(503), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_status_from_http(404), GRPC_UNIMPLEMENTED);
	assert_int_equal(grpc_status_from_http(418), GRPC_UNKNOWN);
}

static void knows_what_may_be_sent_again(void **state)
{
	static const bool retryable[GRPC_STATUS_COUNT] = {
		[GRPC_CANCELLED] = true,   [GRPC_DEADLINE_EXCEEDED] = true,
		[GRPC_ABORTED] = true,     [GRPC_OUT_OF_RANGE] = true,
		[GRPC_UNAVAILABLE] = true, [GRPC_DATA_LOSS] = true,
	};

	for (int s = 0; s < GRPC_STATUS_COUNT; s++)
		assert_int_equal(grpc_status_is_retryable((enum grpc_status)s, false),
		                 retryable[s]);
	assert_true(grpc_status_is_retryable(GRPC_RESOURCE_EXHAUSTED, true));
	assert_false(grpc_status_is_retryable(GRPC_INVALID_ARGUMENT, true));
}

static void finds_the_retry_info(void **state)
{
	/* Status{code: 14, message: "busy", details: [Any{RetryInfo{retry_delay: 2.5s}}]} */
	static const char bytes[] = "\x08\x0e\x12\x04"
				    "busy"
				    "\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo"
				    "\x12\x0a\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01";
	struct slice status = SLICE_LITERAL(bytes);
	struct grpc_retry_info info = grpc_retry_info_decode(status);

	assert_true(info.present);
	assert_int_equal(info.delay_ns, 2500000000);
	for (size_t cut = 0; cut < status.len; cut++)
		assert_false(grpc_retry_info_decode(slice_of(status.data, cut)).present);
}

static void cuts_a_delay_of_ages_to_what_can_be_added_up(void **state)
{
	/* RetryInfo{retry_delay: 2^63 - 1 s} */
	static const char bytes[] = "\x1a\x38\x0a\x28type.googleapis.com/google.rpc.RetryInfo"
				    "\x12\x0c\x0a\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
	struct slice status = SLICE_LITERAL(bytes);
	struct grpc_retry_info info = grpc_retry_info_decode(status);

	assert_true(info.present);
	assert_true(info.delay_ns == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_message_fed_byte_by_byte),
		cmocka_unit_test(refuses_a_message_larger_than_its_limit_before_reading_it),
		cmocka_unit_test(refuses_an_unknown_flag),
		cmocka_unit_test(writes_what_it_reads),
		cmocka_unit_test(formats_timeouts_with_at_most_eight_digits),
		cmocka_unit_test(decodes_messages_leniently),
		cmocka_unit_test(parses_statuses),
		cmocka_unit_test(knows_what_may_be_sent_again),
		cmocka_unit_test(parses_timeouts_strictly),
		cmocka_unit_test(encodes_messages_so_that_they_decode_to_the_same),
		cmocka_unit_test(cuts_messages_between_characters),
		cmocka_unit_test(finds_the_retry_info),
		cmocka_unit_test(cuts_a_delay_of_ages_to_what_can_be_added_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
