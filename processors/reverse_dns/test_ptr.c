/* ptr: which addresses are asked for, how, and what an answer says. */
#include "processors/reverse_dns/reverse_dns_ptr.h"

#include "core/base/buffer.h"
#include "core/l7/dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define QUESTION "1.2.0.192.in-addr.arpa"

static struct address address(const char *text)
{
	struct address a;

	assert_true(address_parse(slice_from_string(text), &a));
	return a;
}

static void asks_for_what_means_the_same_to_a_resolver(void **state)
{
	static const char *const yes[] = {"192.0.2.1", "10.0.0.1",    "172.16.0.1",
	                                  "8.8.8.8",   "2001:db8::1", "fd00::1"};
	static const char *const no[] = {"0.0.0.0",         "127.0.0.1", "127.255.0.9",
	                                 "169.254.169.254", "224.0.0.1", "240.0.0.1",
	                                 "255.255.255.255", "::",        "::1",
	                                 "fe80::1",         "febf::1",   "ff02::1"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		struct address a = address(yes[i]);
		assert_true(ptr_may_be_asked(&a));
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		struct address a = address(no[i]);
		assert_false(ptr_may_be_asked(&a));
	}
}

static void questions_are_addresses_turned_round(void **state)
{
	struct address four = address("192.0.2.1"), six = address("2001:db8::567:89ab");
	char text[PTR_QUESTION_SIZE];

	ptr_question(&four, text);
	assert_string_equal(text, QUESTION);
	ptr_question(&six, text);
	/* The example of RFC 3596 is of another prefix. */
	assert_string_equal(text, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
	                          "ip6.arpa");
}

/* A message under construction. */

static void name_append(struct buffer *b, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		buffer_append_byte(b, (uint8_t)len);
		buffer_append(b, name, len);
		name += len + (name[len] == '.');
	}
	buffer_append_byte(b, 0);
}

static void begin(struct buffer *b, uint8_t answers)
{
	uint8_t header[] = {0x12, 0x34, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0};

	buffer_clear(b);
	buffer_append(b, header, sizeof header);
	name_append(b, QUESTION);
	buffer_append(b, "\0\x0c\0\1", 4);
}

static void record(struct buffer *b, const char *owner, uint8_t type, uint32_t ttl, const char *to)
{
	uint8_t rest[] = {0,
	                  type,
	                  0,
	                  1,
	                  (uint8_t)(ttl >> 24),
	                  (uint8_t)(ttl >> 16),
	                  (uint8_t)(ttl >> 8),
	                  (uint8_t)ttl,
	                  0,
	                  (uint8_t)(*to ? strlen(to) + 2 : 1)};

	name_append(b, owner);
	buffer_append(b, rest, sizeof rest);
	name_append(b, to);
}

static void reads_the_name_and_how_long_it_is_good(void **state)
{
	struct buffer b = BUFFER_INIT;
	struct ptr_answer answer;

	begin(&b, 1);
	record(&b, QUESTION, DNS_PTR, 3600, "DB.Example");
	assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_NAME);
	assert_string_equal(answer.name, "db.example");
	assert_int_equal(answer.ttl_s, 3600);

	/* RFC 2317: through CNAME records, the least TTL counts. */
	begin(&b, 2);
	record(&b, QUESTION, DNS_CNAME, 60, "1.0-25.2.0.192.in-addr.arpa");
	record(&b, "1.0-25.2.0.192.in-addr.arpa", DNS_PTR, 3600, "db.example");
	assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_NAME);
	assert_string_equal(answer.name, "db.example");
	assert_int_equal(answer.ttl_s, 60);
	buffer_fini(&b);
}

static void of_several_names_it_is_always_the_same(void **state)
{
	static const char *const names[] = {"b.example", "a.example", "c.example"};
	struct buffer b = BUFFER_INIT;
	struct ptr_answer answer;

	for (size_t turn = 0; turn < 3; turn++) {
		begin(&b, 3);
		for (size_t i = 0; i < 3; i++)
			record(&b, QUESTION, DNS_PTR, 60, names[(i + turn) % 3]);
		assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_NAME);
		assert_string_equal(answer.name, "a.example");
	}
	buffer_fini(&b);
}

static void the_work_for_one_answer_is_bounded(void **state)
{
	struct buffer b = BUFFER_INIT;
	struct ptr_answer answer;

	begin(&b, 200);
	for (int i = 0; i < 199; i++)
		record(&b, QUESTION, DNS_PTR, 60, "b.example");
	record(&b, QUESTION, DNS_PTR, 60, "a.example"); /* is not come by any more */
	assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_NAME);
	assert_string_equal(answer.name, "b.example");
	buffer_fini(&b);
}

static void takes_no_name_that_is_none_of_a_host(void **state)
{
	static const char *const names[] = {
		"127.0.0.1", "a b.example", "a\nb.example", "<script>.example", "a\"b", "\xc3\xa4",
		"", /* the root */
		"a\\b",      "x=1,y=2",
	};
	struct buffer b = BUFFER_INIT;
	struct ptr_answer answer;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		begin(&b, 1);
		record(&b, QUESTION, DNS_PTR, 60, names[i]);
		assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_BAD);
		assert_string_equal(answer.name, "");
	}
	buffer_fini(&b);
}

static void what_is_not_about_the_question_does_not_count(void **state)
{
	struct buffer b = BUFFER_INIT;
	struct ptr_answer answer;

	begin(&b, 2);
	record(&b, "2.2.0.192.in-addr.arpa", DNS_PTR, 60, "other.example");
	record(&b, QUESTION, DNS_NS, 60, "ns.example");
	assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_NONE);
	/* An alias of itself ends, too. */
	begin(&b, 3);
	for (int i = 0; i < 3; i++)
		record(&b, QUESTION, DNS_CNAME, 60, QUESTION);
	assert_int_equal(ptr_answer_read(buffer_slice(&b), QUESTION, &answer), PTR_NONE);
	buffer_fini(&b);
}

static void survives_answers_of_any_content(void **state)
{
	struct buffer b = BUFFER_INIT;
	struct ptr_answer answer;

	begin(&b, 2);
	record(&b, QUESTION, DNS_CNAME, 60, "x.example");
	record(&b, "x.example", DNS_PTR, 60, "db.example");
	for (size_t len = 0; len < b.len; len++) {
		uint8_t *exact = malloc(len + 1); /* so that reading beyond it shows */

		assert_non_null(exact);
		memcpy(exact, b.data, len);
		exact = realloc(exact, len ? len : 1);
		assert_int_not_equal(ptr_answer_read(slice_of(exact, len), QUESTION, &answer),
		                     PTR_NAME);
		free(exact);
	}
	srand(1);
	for (int i = 0; i < 100000; i++) {
		struct buffer m = BUFFER_INIT;

		buffer_append(&m, b.data, b.len);
		for (int j = 1 + rand() % 4; j > 0; j--)
			m.data[(size_t)rand() % m.len] = (uint8_t)rand();
		if (ptr_answer_read(buffer_slice(&m), QUESTION, &answer) == PTR_NAME)
			assert_true(strlen(answer.name) > 0 && strlen(answer.name) < 254);
		buffer_fini(&m);
	}
	buffer_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_for_what_means_the_same_to_a_resolver),
		cmocka_unit_test(questions_are_addresses_turned_round),
		cmocka_unit_test(reads_the_name_and_how_long_it_is_good),
		cmocka_unit_test(of_several_names_it_is_always_the_same),
		cmocka_unit_test(the_work_for_one_answer_is_bounded),
		cmocka_unit_test(takes_no_name_that_is_none_of_a_host),
		cmocka_unit_test(what_is_not_about_the_question_does_not_count),
		cmocka_unit_test(survives_answers_of_any_content),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
