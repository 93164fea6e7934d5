#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/l7/dns_stream.h"

/* Three messages of 14, 13 and 12 bytes: at 0, 16 and 31, together 45 bytes. */
static const uint8_t whole[] = "\0\016abcdefghijklmn\0\015ABCDEFGHIJKLM\0\014abcdefghijkl";
enum { WHOLE = sizeof whole - 1, FIRST = -16 }; /* sequence numbers begin anew on the way */

static void push(struct dns_stream *s, size_t begin, size_t end)
{
	dns_stream_push(s, (uint32_t)FIRST + (uint32_t)begin, slice_of(whole + begin, end - begin));
}

static void assert_message(struct dns_stream *s, const char *text, unsigned length)
{
	struct dns_stream_message m;

	assert_true(dns_stream_next(s, &m));
	assert_int_equal(m.length, length);
	assert_true(slice_equal(m.bytes, slice_from_string(text)));
}

static void assert_none(struct dns_stream *s)
{
	struct dns_stream_message m;

	assert_false(dns_stream_next(s, &m));
}

static void takes_messages_apart_wherever_segments_end(void **state)
{
	uint8_t memory[64];
	struct dns_stream_message m;
	struct dns_stream s;

	for (size_t step = 1; step <= WHOLE; step++) {
		size_t taken = 0, at;

		dns_stream_init(&s, memory, sizeof memory, true);
		for (at = 0; at < WHOLE; at += step) {
			push(&s, at, at + step < WHOLE ? at + step : WHOLE);
			while (dns_stream_next(&s, &m)) {
				assert_int_equal(m.bytes.len, m.length);
				assert_memory_equal(m.bytes.data, whole + taken + 2, m.length);
				taken += 2u + m.length;
			}
		}
		assert_int_equal(taken, WHOLE);
		assert_int_equal(s.gaps + s.repeated + s.ignored, 0);
	}
}

static void passes_over_what_comes_again(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, true);
	push(&s, 0, 10);
	assert_none(&s);
	push(&s, 0, 10);
	assert_none(&s);
	push(&s, 5, 16);
	assert_message(&s, "abcdefghijklmn", 14);
	assert_none(&s);
	assert_int_equal(s.repeated, 15);
	assert_int_equal(s.gaps, 0);
}

static void a_gap_within_a_message_costs_only_that_one(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, true);
	push(&s, 0, 6);
	assert_none(&s);
	push(&s, 9, WHOLE);
	assert_message(&s, "abcd", 14);
	assert_message(&s, "ABCDEFGHIJKLM", 13);
	assert_message(&s, "abcdefghijkl", 12);
	assert_none(&s);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.missing, 3);
	assert_int_equal(s.ignored, 0);
}

static void a_gap_to_the_end_of_a_message_costs_only_that_one(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, true);
	push(&s, 0, 6);
	assert_none(&s);
	push(&s, 16, 31);
	assert_message(&s, "abcd", 14);
	assert_message(&s, "ABCDEFGHIJKLM", 13);
	assert_none(&s);
}

static void after_a_longer_gap_waits_for_a_segment_of_whole_messages(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, true);
	push(&s, 0, 6);
	assert_none(&s);
	push(&s, 20, 25);
	assert_message(&s, "abcd", 14);
	assert_none(&s);
	push(&s, 25, 31);
	assert_none(&s);
	push(&s, 31, WHOLE);
	assert_message(&s, "abcdefghijkl", 12);
	assert_none(&s);
	assert_int_equal(s.ignored, 11);
	assert_int_equal(s.missing, 14);
}

/* A stream of zeros would be messages without end. */
static void messages_without_room_for_a_header_begin_nothing(void **state)
{
	static const uint8_t zeros[100], tail[] = "\0\2ab\0\014abcdefghijkl";
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, false);
	dns_stream_push(&s, 7, slice_of(zeros, sizeof zeros));
	assert_none(&s);
	assert_int_equal(s.ignored, sizeof zeros);
	dns_stream_push(&s, 7 + sizeof zeros, slice_of(tail, sizeof tail - 1));
	assert_none(&s);
	(void)state;
}

static void begins_in_the_middle_of_a_connection(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, false);
	push(&s, 3, 16);
	assert_none(&s);
	push(&s, 16, WHOLE);
	assert_message(&s, "ABCDEFGHIJKLM", 13);
	assert_message(&s, "abcdefghijkl", 12);
	assert_none(&s);
	assert_int_equal(s.ignored, 13);
}

static void keeps_the_beginning_of_what_is_longer_than_its_memory(void **state)
{
	uint8_t memory[4];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, true);
	push(&s, 0, 8);
	assert_none(&s);
	push(&s, 8, 31);
	assert_message(&s, "abcd", 14);
	assert_message(&s, "ABCDEFGHIJKLM", 13);
	assert_none(&s);
}

static void what_was_not_copied_ends_the_message_at_once(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, memory, sizeof memory, true);
	push(&s, 0, 10);
	assert_none(&s);
	dns_stream_pass(&s, (uint32_t)FIRST + 10, 6);
	assert_message(&s, "abcdefgh", 14);
	assert_none(&s);
	push(&s, 16, WHOLE);
	assert_message(&s, "ABCDEFGHIJKLM", 13);
	assert_message(&s, "abcdefghijkl", 12);
	assert_none(&s);
	dns_stream_pass(&s, (uint32_t)FIRST + 16, 20); /* repeated */
	assert_none(&s);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.missing, 6);
}

/* Memory lent as it is wanted serves as well as memory for good, wherever segments end, and none is
 * wanted for a message within one segment. */
static void memory_is_wanted_only_by_messages_that_span_segments(void **state)
{
	struct dns_stream_message m;
	struct dns_stream s;

	for (size_t step = 1; step <= WHOLE; step++) {
		size_t taken = 0, lent = 0;
		uint8_t memory[64];

		dns_stream_init(&s, NULL, 0, true);
		for (size_t at = 0; at < WHOLE; at += step) {
			push(&s, at, at + step < WHOLE ? at + step : WHOLE);
			for (;;) {
				if (dns_stream_wants(&s)) {
					dns_stream_lend(&s, memory, sizeof memory);
					lent++;
				}
				if (!dns_stream_next(&s, &m))
					break;
				assert_int_equal(m.bytes.len, m.length);
				assert_memory_equal(m.bytes.data, whole + taken + 2, m.length);
				taken += 2u + m.length;
			}
			dns_stream_reclaim(&s);
		}
		assert_int_equal(taken, WHOLE);
		assert_null(s.memory);
		assert_true(lent <= 3);
		assert_true(step < WHOLE || lent == 0);
	}
	/* The length alone in the first segment. */
	dns_stream_init(&s, NULL, 0, true);
	push(&s, 0, 2);
	assert_none(&s);
	push(&s, 2, 16);
	assert_false(dns_stream_wants(&s));
	assert_message(&s, "abcdefghijklmn", 14);
}

static void a_message_that_found_no_memory_is_known_by_its_length(void **state)
{
	uint8_t memory[64];
	struct dns_stream s;

	dns_stream_init(&s, NULL, 0, true);
	push(&s, 0, 10);
	assert_true(dns_stream_wants(&s));
	assert_none(&s);
	push(&s, 10, 20);
	assert_false(dns_stream_wants(&s)); /* its beginning is gone */
	assert_message(&s, "", 14);
	assert_true(dns_stream_wants(&s));
	dns_stream_lend(&s, memory, sizeof memory);
	assert_none(&s);
	assert_null(dns_stream_reclaim(&s)); /* a message stands in it */
	push(&s, 20, WHOLE);
	assert_message(&s, "ABCDEFGHIJKLM", 13);
	assert_message(&s, "abcdefghijkl", 12);
	assert_none(&s);
	assert_ptr_equal(dns_stream_reclaim(&s), memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_messages_apart_wherever_segments_end),
		cmocka_unit_test(passes_over_what_comes_again),
		cmocka_unit_test(a_gap_within_a_message_costs_only_that_one),
		cmocka_unit_test(a_gap_to_the_end_of_a_message_costs_only_that_one),
		cmocka_unit_test(after_a_longer_gap_waits_for_a_segment_of_whole_messages),
		cmocka_unit_test(messages_without_room_for_a_header_begin_nothing),
		cmocka_unit_test(begins_in_the_middle_of_a_connection),
		cmocka_unit_test(keeps_the_beginning_of_what_is_longer_than_its_memory),
		cmocka_unit_test(what_was_not_copied_ends_the_message_at_once),
		cmocka_unit_test(memory_is_wanted_only_by_messages_that_span_segments),
		cmocka_unit_test(a_message_that_found_no_memory_is_known_by_its_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
