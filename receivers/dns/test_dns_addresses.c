/* What test_dns_addresses.py cannot make: messages that are wrong, and large. */
#include "receivers/dns/dns_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* An answer for a.test with so many answers. */
#define ANSWERS(n) "\0\1\x81\x80\0\1\0" n "\0\0\0\0\1a\4test\0\0\1\0\1"
#define A_OF(name) name "\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
#define SELF "\xc0\x0c"

struct found {
	unsigned count;
	struct address last;
	uint32_t ttl_s;
};

static void on_address(void *arg, const struct address *address, uint32_t ttl_s)
{
	struct found *found = arg;

	found->count++;
	found->last = *address;
	found->ttl_s = ttl_s;
}

static struct found find(const void *message, size_t len)
{
	uint8_t *copy = test_malloc(len ? len : 1);
	struct found found = {0};

	memcpy(copy, message, len);
	dns_answer_addresses(slice_of(copy, len), on_address, &found);
	test_free(copy);
	return found;
}

#define FIND(bytes) find(bytes, sizeof(bytes) - 1)

static void only_an_answer_to_a_question_of_the_internet_is_read(void **state)
{
	char message[] = ANSWERS("\1") A_OF(SELF);
	struct found found = find(message, sizeof message - 1);
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(found.count, 1);
	assert_int_equal(found.ttl_s, 60);
	address_text(&found.last, text);
	assert_string_equal(text, "192.0.2.1");
	message[2] = 1; /* a question */
	assert_int_equal(find(message, sizeof message - 1).count, 0);
	message[2] = (char)0xa8; /* an update, in which this section means something else */
	assert_int_equal(find(message, sizeof message - 1).count, 0);
	message[2] = (char)0x81;
	message[23] = 3; /* a class of its own */
	assert_int_equal(find(message, sizeof message - 1).count, 0);
	message[22] = (char)0x80; /* multicast DNS: the answer may be sent to one */
	message[23] = 1;
	assert_int_equal(find(message, sizeof message - 1).count, 1);
	message[5] = 0; /* no question: the records begin elsewhere */
	assert_int_equal(find(message, sizeof message - 1).count, 0);
	assert_int_equal(find("", 0).count, 0);
}

static void a_message_that_is_cut_is_read_as_far_as_it_goes(void **state)
{
	static const char message[] = ANSWERS("\3") A_OF(SELF) A_OF(SELF) A_OF(SELF);

	for (size_t len = 0; len < sizeof message; len++)
		assert_int_equal(find(message, len).count, len < 24 ? 0 : (len - 24) / 16);
}

static void bodies_that_are_wrong_give_nothing(void **state)
{
	assert_int_equal(FIND(ANSWERS("\2") SELF "\0\1\0\1\0\0\0\x3c\0\3\xc0\0\2" A_OF(SELF)).count,
	                 1);
	/* A CNAME that points to itself and one to the question's own name. */
	assert_int_equal(FIND(ANSWERS("\2") SELF "\0\5\0\1\0\0\0\x3c\0\2\xc0\x24" A_OF(SELF)).count,
	                 1);
	assert_int_equal(FIND(ANSWERS("\2") SELF "\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c" A_OF(SELF)).count,
	                 1);
	/* Hints of an alias, which mean nothing, and hints that are no whole addresses. */
	assert_int_equal(
		FIND(ANSWERS("\1") SELF "\0\x41\0\1\0\0\0\x3c\0\x0b\0\0\0\0\4\0\4\1\2\3\4").count,
		0);
	assert_int_equal(
		FIND(ANSWERS("\1") SELF "\0\x41\0\1\0\0\0\x3c\0\x0a\0\1\0\0\4\0\3\1\2\3").count, 0);
}

/* One record after the other, each CNAME from "n<i>" to "n<i + 1>", the last first; then an address of
 * the last name. */
static size_t chain_make(uint8_t *m, unsigned links)
{
	static const char head[] = "\0\1\x81\x80\0\1\0\0\0\0\0\0\2n!\0\0\1\0\1";
	size_t at = sizeof head - 1;

	memcpy(m, head, at);
	m[7] = (uint8_t)(links + 1);
	for (unsigned i = links; i-- > 0;) {
		static const char record[] = "\2n!\0\0\5\0\1\0\0\0\x3c\0\4\2n!\0";

		memcpy(m + at, record, sizeof record - 1);
		m[at + 2] = (uint8_t)('!' + i);
		m[at + 16] = (uint8_t)('!' + i + 1);
		at += sizeof record - 1;
	}
	memcpy(m + at, A_OF("\2n!\0"), sizeof A_OF("\2n!\0") - 1);
	m[at + 2] = (uint8_t)('!' + links);
	return at + sizeof A_OF("\2n!\0") - 1;
}

static void hints_are_addresses(void **state)
{
	struct found found =
		FIND(ANSWERS("\1") SELF "\0\x41\0\1\0\0\0\x3c\0\x0b\0\1\0\0\4\0\4\1\2\3\4");
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(found.count, 1);
	address_text(&found.last, text);
	assert_string_equal(text, "1.2.3.4");
}

static void chains_are_followed_to_a_bound(void **state)
{
	uint8_t m[2048];

	assert_int_equal(find(m, chain_make(m, 1)).count, 1);
	assert_int_equal(find(m, chain_make(m, 32)).count, 1);
	assert_int_equal(find(m, chain_make(m, 33)).count, 0);
}

/* The longest names, each spelled out. */
static void names_without_compression_are_all_compared(void **state)
{
	enum { NAME = 255, RECORDS = 14 };
	uint8_t m[DNS_MESSAGE_COPIED] = {[2] = 0x81, [5] = 1, [7] = RECORDS}, name[NAME] = {0};
	size_t at = DNS_HEADER_SIZE;

	for (size_t i = 0; i + 1 < NAME; i++)
		name[i] = i % 2 ? 'n' : 1;
	memcpy(m + at, name, NAME);
	memcpy(m + at + NAME, "\0\1\0\1", 4);
	at += NAME + 4;
	for (int i = 0; i < RECORDS; i++) {
		memcpy(m + at, name, NAME);
		memcpy(m + at + NAME, A_OF(""), sizeof A_OF("") - 1);
		at += NAME + sizeof A_OF("") - 1;
	}
	assert_int_equal(find(m, at).count, RECORDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_an_answer_to_a_question_of_the_internet_is_read),
		cmocka_unit_test(a_message_that_is_cut_is_read_as_far_as_it_goes),
		cmocka_unit_test(bodies_that_are_wrong_give_nothing),
		cmocka_unit_test(hints_are_addresses),
		cmocka_unit_test(names_without_compression_are_all_compared),
		cmocka_unit_test(chains_are_followed_to_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
