#include "receivers/dns/dns_exchange.h"

#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

/* Flags of an answer (QR, RD, RA) and counts; the id is 0x1234. */
#define HEADER(code, qd, an, ns, ar) "\x12\x34\x81" code "\0" qd "\0" an "\0" ns "\0" ar
#define NAME "\3www\7Example\3com\0"
#define QUESTION NAME "\0\1\0\1"
#define ANSWER_A "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"

/* What was told last, with copies of what stands only during the call. */
struct told {
	unsigned count;
	struct dns_exchange e;
	char name[DNS_NAME_TEXT];
	struct process_owner owner;
};

static void on_exchange(void *arg, const struct dns_exchange *e)
{
	struct told *told = arg;

	told->count++;
	told->e = *e;
	told->owner = *e->owner;
	memcpy(told->name, e->question.data ? (const char *)e->question.data : "", e->question.len);
	told->name[e->question.len] = '\0';
}

static struct dns_exchanges *exchanges_new(struct told *told)
{
	static const struct dns_exchanges_limits limits = {.max_streams = 4,
	                                                   .max_open = 4,
	                                                   .max_open_all = 8};
	struct dns_exchanges *x = dns_exchanges_new(&limits, on_exchange, told);

	assert_non_null(x);
	*told = (struct told){.count = 0};
	return x;
}

static const struct dns_flow ipv4 = {
	.cookie = 7,
	.netns = 99,
	.family = AF_INET,
	.local_port = 40000,
	.remote_port = 53,
	.role = ROLE_CLIENT,
	.local_address = {10, 0, 0, 1},
	.remote_address = {10, 0, 0, 2, 0xff}, /* only the first four count */
};

static struct dns_answer answer_event(size_t length)
{
	return (struct dns_answer){
		.kind = DNS_EVENT_ANSWER,
		.transmissions = 1,
		.length = (uint32_t)length,
		.copied = (uint32_t)length,
		.owner = {.pid = 42, .comm = "dig"},
		.flow = ipv4,
		.first_ns = NS_PER_S,
		.last_ns = NS_PER_S,
		.answered_ns = NS_PER_S + NS_PER_MS,
	};
}

/* Gives a message over UDP, in memory of its own size, and returns what it was told as. */
static struct told answer_give(const struct dns_answer *answer, struct slice message)
{
	uint8_t *copy = malloc(message.len ? message.len : 1);
	struct told told;
	struct dns_exchanges *x = exchanges_new(&told);

	assert_non_null(copy);
	memcpy(copy, message.data, message.len);
	dns_exchanges_answer(x, answer, slice_of(copy, message.len));
	assert_int_equal(told.count, 1);
	dns_exchanges_free(x);
	free(copy);
	return told;
}

static struct told message_give(struct slice message)
{
	struct dns_answer answer = answer_event(message.len);

	return answer_give(&answer, message);
}

static void assert_address(const struct address *a, const char *text)
{
	char got[INET6_ADDRSTRLEN];

	address_text(a, got);
	assert_string_equal(got, text);
}

static void tells_who_asked_what_and_how_long_it_took(void **state)
{
	struct told told = message_give(
		SLICE_LITERAL(HEADER("\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A));

	assert_string_equal(told.name, "www.Example.com");
	assert_int_equal(told.e.type, DNS_A);
	assert_int_equal(told.e.class, DNS_CLASS_IN);
	assert_int_equal(told.e.id, 0x1234);
	assert_int_equal(told.e.ending, DNS_ANSWERED);
	assert_null(dns_exchange_error(&told.e));
	assert_int_equal(dns_exchange_duration_ns(&told.e), NS_PER_MS);
	assert_int_equal(told.e.transmissions, 1);
	assert_int_equal(told.e.transport, DNS_UDP);
	assert_int_equal(told.e.role, ROLE_CLIENT);
	assert_int_equal(told.e.netns, 99);
	assert_int_equal(told.owner.pid, 42);
	assert_address(&told.e.client, "10.0.0.1");
	assert_address(&told.e.server, "10.0.0.2");
	assert_int_equal(told.e.client_port, 40000);
	assert_int_equal(told.e.server_port, 53);
	assert_int_equal(told.e.answer_length, told.e.answer.len);
	assert_false(told.e.other_address);
}

static void the_server_of_a_server_is_the_local_end(void **state)
{
	struct slice message = SLICE_LITERAL(HEADER("\x80", "\1", "\0", "\0", "\0") QUESTION);
	struct dns_answer answer = answer_event(message.len);
	struct told told;

	answer.flow.role = ROLE_SERVER;
	answer.flow.family = AF_INET6;
	answer.flow.local_address[0] = 0x20;
	answer.flow.remote_address[15] = 9;
	answer.flow.local_port = 53;
	answer.flow.remote_port = 40000;
	told = answer_give(&answer, message);
	assert_address(&told.e.server, "2000:1::");
	assert_address(&told.e.client, "a00:2:ff00::9");
	assert_int_equal(told.e.server_port, 53);
	assert_int_equal(told.e.client_port, 40000);
}

static void codes_have_their_error_types(void **state)
{
	static const struct {
		const char *code, *error;
	} cases[] = {
		{"\x80", NULL},         {"\x81", "format_error"},      {"\x82", "server_failure"},
		{"\x83", "name_error"}, {"\x84", "not_implemented"},   {"\x85", "refused"},
		{"\x86", "other"},      {"\x89", "not_authoritative"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char message[] = HEADER("\x80", "\1", "\0", "\0", "\0") QUESTION;
		struct told told;

		message[3] = cases[i].code[0];
		told = message_give(slice_of(message, sizeof message - 1));
		assert_int_equal(told.e.ending, DNS_ANSWERED);
		if (cases[i].error)
			assert_string_equal(dns_exchange_error(&told.e), cases[i].error);
		else
			assert_null(dns_exchange_error(&told.e));
	}
}

static void the_code_has_the_bits_of_edns(void **state)
{
	struct told told = message_give(SLICE_LITERAL(HEADER("\x80", "\1", "\0", "\0", "\1")
	                                                      QUESTION "\0\0\x29\2\0\1\0\0\0\0\0"));

	assert_int_equal(told.e.rcode, 16);
	assert_string_equal(dns_exchange_error(&told.e), "bad_version");
}

static void an_answer_that_did_not_fit_is_truncated(void **state)
{
	/* Cut within the record, as some servers do. */
	struct told told = message_give(
		SLICE_LITERAL("\x12\x34\x83\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x0c\0\1\0\1"));

	assert_int_equal(told.e.ending, DNS_TRUNCATED);
	assert_string_equal(dns_exchange_error(&told.e), "truncated");
	assert_string_equal(told.name, "www.Example.com");
}

static void what_cannot_be_read_is_malformed(void **state)
{
	static const struct slice messages[] = {
		{(const uint8_t *)"", 0},
		{(const uint8_t *)"\x12\x34\x81\x80", 4},
		/* A record less than there should be, and one that ends early. */
		{(const uint8_t *)HEADER("\x80", "\1", "\1", "\0", "\0") QUESTION, 33},
		{(const uint8_t *)HEADER("\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A, 48},
		/* A question, and not an answer. */
		{(const uint8_t *)"\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION, 33},
		/* A question that is none. */
		{(const uint8_t *)HEADER("\x80", "\1", "\0", "\0", "\0") "\x40www", 16},
	};

	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		struct told told = message_give(messages[i]);

		assert_int_equal(told.e.ending, DNS_MALFORMED);
		assert_string_equal(dns_exchange_error(&told.e), "malformed");
		assert_int_equal(told.e.id, messages[i].len ? 0x1234 : 0);
	}
}

static void what_was_not_copied_is_not_malformed(void **state)
{
	struct slice whole =
		SLICE_LITERAL(HEADER("\x83", "\1", "\1", "\0", "\0") QUESTION ANSWER_A);
	struct dns_answer answer = answer_event(whole.len);

	for (size_t copied = DNS_HEADER_SIZE; copied < whole.len; copied++) {
		struct told told;

		answer.copied = (uint32_t)copied;
		told = answer_give(&answer, slice_of(whole.data, copied));
		assert_int_equal(told.e.ending, DNS_ANSWERED);
		assert_string_equal(dns_exchange_error(&told.e), "name_error");
		assert_int_equal(told.e.answer_length, whole.len);
		assert_int_equal(told.e.answer.len, copied);
		assert_string_equal(told.name, copied < 33 ? "" : "www.Example.com");
	}
}

static void an_answer_without_question_is_told_with_the_one_that_was_asked(void **state)
{
	static const char bytes[] = HEADER("\x81", "\0", "\0", "\0", "\0") QUESTION;
	struct dns_answer answer = answer_event(DNS_HEADER_SIZE);
	struct told told;

	answer.flags = DNS_ANSWER_WITHOUT_QUESTION;
	told = answer_give(&answer, slice_of(bytes, sizeof bytes - 1));
	assert_string_equal(told.name, "www.Example.com");
	assert_int_equal(told.e.type, DNS_A);
	assert_string_equal(dns_exchange_error(&told.e), "format_error");
	assert_int_equal(told.e.answer.len, DNS_HEADER_SIZE);
	/* Not handed on, or none. */
	told = answer_give(&answer, slice_of(bytes, DNS_HEADER_SIZE));
	assert_string_equal(told.name, "");
	assert_int_equal(told.e.type, 0);
	told = answer_give(&answer, slice_of(bytes, DNS_HEADER_SIZE + 5));
	assert_string_equal(told.name, "");
}

static void an_answer_from_elsewhere_says_from_where(void **state)
{
	struct slice message =
		SLICE_LITERAL(HEADER("\x80", "\1", "\1", "\0", "\0") QUESTION ANSWER_A);
	struct dns_answer answer = answer_event(message.len);
	struct told told;

	answer.flags = DNS_ANSWER_OTHER_ADDRESS;
	answer.other_address[0] = 192;
	answer.other_port = 5353;
	told = answer_give(&answer, message);
	assert_true(told.e.other_address);
	assert_address(&told.e.other, "192.0.0.0");
	assert_int_equal(told.e.other_port, 5353);
	assert_address(&told.e.server, "10.0.0.2");
	assert_string_equal(dns_exchange_error(&told.e), "other_address");
}

static void a_question_without_answer_is_a_timeout(void **state)
{
	struct dns_pending pending = {
		.owner = {.pid = 42},
		.flow = ipv4,
		.first_ns = 5,
		.last_ns = 8,
		.transmissions = 3,
		.id = 0x1234,
		.question_length = sizeof QUESTION - 1,
	};
	struct told told;
	struct dns_exchanges *x = exchanges_new(&told);

	memcpy(pending.question, QUESTION, sizeof QUESTION - 1);
	dns_exchanges_unanswered(x, &pending);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.e.ending, DNS_TIMEOUT);
	assert_string_equal(dns_exchange_error(&told.e), "timeout");
	assert_string_equal(told.name, "www.Example.com");
	assert_int_equal(told.e.type, DNS_A);
	assert_int_equal(told.e.transmissions, 3);
	assert_int_equal(told.e.first_ns, 5);
	assert_int_equal(told.e.last_ns, 8);
	assert_int_equal(dns_exchange_duration_ns(&told.e), 0);
	assert_int_equal(told.e.id, 0x1234);
	assert_int_equal(told.e.answer.len, 0);
	/* None that can be read: no length, a length out of bounds, a pointer to somewhere. */
	pending.question_length = 0;
	dns_exchanges_unanswered(x, &pending);
	assert_string_equal(told.name, "");
	pending.question_length = UINT16_MAX;
	dns_exchanges_unanswered(x, &pending);
	assert_string_equal(told.name, "");
	pending.question_length = 6;
	memcpy(pending.question, "\xc0\x0c\0\1\0\1", 6);
	dns_exchanges_unanswered(x, &pending);
	assert_string_equal(told.name, "");
	assert_int_equal(told.count, 4);
	dns_exchanges_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_who_asked_what_and_how_long_it_took),
		cmocka_unit_test(the_server_of_a_server_is_the_local_end),
		cmocka_unit_test(codes_have_their_error_types),
		cmocka_unit_test(the_code_has_the_bits_of_edns),
		cmocka_unit_test(an_answer_that_did_not_fit_is_truncated),
		cmocka_unit_test(what_cannot_be_read_is_malformed),
		cmocka_unit_test(what_was_not_copied_is_not_malformed),
		cmocka_unit_test(an_answer_without_question_is_told_with_the_one_that_was_asked),
		cmocka_unit_test(an_answer_from_elsewhere_says_from_where),
		cmocka_unit_test(a_question_without_answer_is_a_timeout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
