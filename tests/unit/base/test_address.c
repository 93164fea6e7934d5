/* address: texts and bytes of both families. */
#include "core/base/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct address parsed(const char *text)
{
	struct address a;

	assert_true(address_parse(slice_from_string(text), &a));
	return a;
}

static void expect_text(const struct address *a, const char *wanted)
{
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(address_text(a, text), strlen(wanted));
	assert_string_equal(text, wanted);
}

static void reads_what_is_an_address(void **state)
{
	static const struct {
		const char *text, *again;
		bool ipv4;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"0.0.0.0", "0.0.0.0", true},
		{"255.255.255.255", "255.255.255.255", true},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"::FFFF:c000:201", "192.0.2.1", true},
		{"::", "::", false},
		{"2001:DB8:0:0::1", "2001:db8::1", false},
		{"fe80::1%eth0", "fe80::1", false},
		{"1111:2222:3333:4444:5555:6666:7777:8888",
	         "1111:2222:3333:4444:5555:6666:7777:8888", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address a = parsed(cases[i].text);

		expect_text(&a, cases[i].again);
		assert_int_equal(address_is_ipv4(&a), cases[i].ipv4);
	}
}

static void takes_nothing_else_for_one(void **state)
{
	static const char *const cases[] = {
		"",
		"192.0.2",
		"192.0.2.256",
		"192.0.2.1 ",
		" 192.0.2.1",
		"192.0.2.1%eth0",
		"192.0.2.1:80",
		"[::1]",
		"::1::",
		"%eth0",
		"db.example",
		"2001:db8::/32",
		"12345::",
		"1:2:3:4:5:6:7:8:9",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
	};
	struct address a;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_false(address_parse(slice_from_string(cases[i]), &a));
	assert_false(address_parse(slice_of(NULL, 0), &a));
	assert_false(address_parse(slice_of("192.0.2.1\0", 10), &a));
	/* Not NUL-terminated: nothing beyond the length is looked at. */
	assert_true(address_parse(slice_of("192.0.2.12", 9), &a));
	expect_text(&a, "192.0.2.1");
}

/* Texts of digits and dots, mostly close to being addresses. */
static void takes_what_inet_pton_takes(void **state)
{
	static const char alphabet[] = "0001122255.....9";
	unsigned taken = 0;

	srand(1);
	for (int i = 0; i < 2000000; i++) {
		char text[17];
		size_t len = 7 + (size_t)rand() % 9;
		struct address a;
		uint8_t wanted[4];
		bool is_one;

		for (size_t j = 0; j < len; j++)
			text[j] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
		text[len] = '\0';
		is_one = inet_pton(AF_INET, text, wanted) == 1;
		assert_int_equal(address_parse(slice_of(text, len), &a), is_one);
		if (is_one)
			assert_memory_equal(a.bytes + 12, wanted, sizeof wanted);
		taken += is_one;
	}
	assert_true(taken > 1000);
}

static void bytes_of_the_wire_are_the_same_as_texts(void **state)
{
	struct address wanted = parsed("192.0.2.1"), a;
	uint8_t ipv4[] = {192, 0, 2, 1};

	assert_true(address_from_bytes(slice_of(ipv4, sizeof ipv4), &a));
	assert_memory_equal(&a, &wanted, sizeof a);
	wanted = parsed("2001:db8::1");
	assert_true(address_from_bytes(slice_of(wanted.bytes, sizeof wanted.bytes), &a));
	assert_memory_equal(&a, &wanted, sizeof a);
	for (size_t len = 0; len < 20; len++)
		if (len != 4 && len != 16)
			assert_false(address_from_bytes(slice_of(wanted.bytes, len), &a));
}

static void texts_are_those_of_inet_ntop(void **state)
{
	char wanted[INET6_ADDRSTRLEN];
	struct address a;

	srand(1);
	for (int i = 0; i < 100000; i++) {
		uint8_t ipv4[4];

		for (size_t j = 0; j < sizeof ipv4; j++)
			ipv4[j] = (uint8_t)rand();
		assert_true(address_from_bytes(slice_of(ipv4, sizeof ipv4), &a));
		assert_non_null(inet_ntop(AF_INET, ipv4, wanted, sizeof wanted));
		expect_text(&a, wanted);
		for (size_t j = 0; j < sizeof a.bytes; j++)
			a.bytes[j] = rand() % 3 ? 0 : (uint8_t)rand();
		if (address_is_ipv4(&a))
			continue;
		assert_non_null(inet_ntop(AF_INET6, a.bytes, wanted, sizeof wanted));
		expect_text(&a, wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_an_address),
		cmocka_unit_test(takes_nothing_else_for_one),
		cmocka_unit_test(takes_what_inet_pton_takes),
		cmocka_unit_test(bytes_of_the_wire_are_the_same_as_texts),
		cmocka_unit_test(texts_are_those_of_inet_ntop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
