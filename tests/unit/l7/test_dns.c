#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/l7/dns.h"

#include <errno.h>

/* An answer of one question's header: counts of questions, answers, authority, additional. */
#define HEADER(qd, an, ns, ar) "\x12\x34\x81\x80\0" qd "\0" an "\0" ns "\0" ar
#define ROOT_A "\0\0\1\0\1"

/* Walks to the end; returns what dns_next() said last. */
static int walk(struct dns_reader *r, struct slice message)
{
	struct dns_record record;
	int more = dns_open(r, message);

	while (more >= 0 && (more = dns_next(r, &record)) > 0)
		;
	return more;
}

static void reads_a_query_of_dig(void **state)
{
	/* dig +edns www.Example.com AAAA, with a cookie. */
	static const char packet[] =
		"\xd9\x5a\x01\x20\0\1\0\0\0\0\0\1\3www\7Example\3com\0\0\x1c\0\1"
		"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08\x7c\x3b\x11\x22\x33\x44\x55\x66";
	struct slice message = SLICE_LITERAL(packet);
	char text[DNS_NAME_TEXT];
	struct dns_record record;
	struct dns_reader r;

	assert_int_equal(dns_open(&r, message), 0);
	assert_int_equal(r.header.id, 0xd95a);
	assert_false(r.header.response);
	assert_true(r.header.recursion_desired && r.header.authentic_data);
	assert_int_equal(dns_next(&r, &record), 1);
	assert_int_equal(record.section, DNS_QUESTION);
	assert_int_equal(record.type, DNS_AAAA);
	assert_true(slice_equal(dns_name(message, record.name, text),
	                        SLICE_LITERAL("www.Example.com")));
	assert_int_equal(dns_next(&r, &record), 1);
	assert_int_equal(record.type, DNS_OPT);
	assert_int_equal(dns_next(&r, &record), 0);
	assert_true(r.edns.present && r.edns.dnssec_ok);
	assert_int_equal(r.edns.payload_size, 1232);
	assert_int_equal(r.edns.options.len, 12);
	assert_int_equal(r.at, message.len);
}

static void the_response_code_has_the_bits_of_edns(void **state)
{
	struct dns_reader r;
	char spare[DNS_CODE_TEXT];

	assert_int_equal(walk(&r, SLICE_LITERAL(HEADER("\0", "\0", "\0",
	                                               "\1") "\0\0\x29\2\0\1\0\0\0\0\0")),
	                 0);
	assert_int_equal(dns_rcode(&r), 16);
	assert_string_equal(dns_rcode_name(dns_rcode(&r), spare), "BADVERS");
	assert_string_equal(dns_rcode_name(3, spare), "NXDOMAIN");
	assert_string_equal(dns_rcode_name(4095, spare), "RCODE4095");
	assert_string_equal(dns_type_name(28, spare), "AAAA");
	assert_string_equal(dns_type_name(32769, spare), "DLV");
	assert_string_equal(dns_type_name(65535, spare), "TYPE65535");
}

static void a_name_is_copied_without_compression(void **state)
{
	struct slice message =
		SLICE_LITERAL(HEADER("\1", "\1", "\0", "\0") "\7Example\3com\0\0\1\0\1"
	                                                     "\3www\xc0\x0c\0\1\0\1\0\0\0\0\0\0");
	uint8_t wire[DNS_NAME_WIRE];
	char text[DNS_NAME_TEXT];
	struct dns_record record;
	struct dns_reader r;
	size_t len;

	assert_int_equal(dns_open(&r, message), 0);
	assert_int_equal(dns_next(&r, &record), 1);
	assert_int_equal(dns_next(&r, &record), 1);
	len = dns_name_wire(message, record.name, wire);
	assert_true(slice_equal(slice_of(wire, len), SLICE_LITERAL("\3www\7Example\3com\0")));
	assert_true(slice_equal(dns_name(slice_of(wire, len), 0, text),
	                        SLICE_LITERAL("www.Example.com")));
}

static void what_follows_the_message_is_left(void **state)
{
	struct dns_reader r;

	assert_int_equal(walk(&r, SLICE_LITERAL(HEADER("\1", "\0", "\0", "\0") ROOT_A "rest")), 0);
	assert_int_equal(r.at, 17);
}

struct fault_case {
	const char *bytes;
	size_t len;
	enum dns_fault_code code;
	size_t at;
};

#define FAULT(bytes, code, at)                                                                     \
	{                                                                                          \
		bytes, sizeof(bytes) - 1, code, at                                                 \
	}

static const struct fault_case faults[] = {
	FAULT("", DNS_FAULT_HEADER_SHORT, 0),
	FAULT("\0\0\0\0\0\0\0\0\0\0\0", DNS_FAULT_HEADER_SHORT, 11),
	FAULT(HEADER("\1", "\0", "\0", "\0"), DNS_FAULT_NAME_SHORT, 12),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\3ww", DNS_FAULT_NAME_SHORT, 12),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\3www", DNS_FAULT_NAME_SHORT, 16),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\1w\xc0", DNS_FAULT_NAME_SHORT, 14),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\0\0\1\0", DNS_FAULT_RECORD_SHORT, 13),
	FAULT(HEADER("\1", "\1", "\0", "\0") ROOT_A ROOT_A "\0\0\0\0\0", DNS_FAULT_RECORD_SHORT,
              18),
	FAULT(HEADER("\1", "\1", "\0", "\0") ROOT_A ROOT_A "\0\0\0\0\0\1", DNS_FAULT_BODY_SHORT,
              26),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\x40w\0\0\1\0\1", DNS_FAULT_LABEL, 12),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\x80\0\0\1\0\1", DNS_FAULT_LABEL, 12),
	/* To itself, forward, into the header, and a loop of two. */
	FAULT(HEADER("\1", "\0", "\0", "\0") "\xc0\x0c\0\1\0\1", DNS_FAULT_POINTER, 12),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\xc0\x0e\0\0\1\0\1", DNS_FAULT_POINTER, 12),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\xc0\x04\0\1\0\1", DNS_FAULT_POINTER, 12),
	FAULT(HEADER("\1", "\0", "\0", "\0") "\1w\xc0\x0c\0\1\0\1", DNS_FAULT_POINTER, 14),
	FAULT(HEADER("\0", "\0", "\0", "\2") "\0\0\x29\2\0\0\0\0\0\0\0\0\0\x29\2\0\0\0\0\0\0\0",
              DNS_FAULT_OPT, 23),
	FAULT(HEADER("\0", "\0", "\0", "\1") "\1w\0\0\x29\2\0\0\0\0\0\0\0", DNS_FAULT_OPT, 12),
};

static void tells_what_is_wrong_and_where(void **state)
{
	struct error e = ERROR_INIT;
	struct dns_record record;
	struct dns_reader r;

	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		const struct fault_case *c = &faults[i];

		assert_int_equal(walk(&r, slice_of(c->bytes, c->len)), -EBADMSG);
		assert_int_equal(r.fault.code, c->code);
		assert_int_equal(r.fault.at, c->at);
		assert_int_equal(dns_next(&r, &record), -EBADMSG);
	}
	assert_int_equal(dns_fault_error(&r.fault, &e), -EBADMSG);
	assert_string_equal(e.message, "byte 12 of the DNS message: an OPT record is the second or "
	                               "does not belong to the root");
}

/* An answer for the root whose body is pointers, each to the one before; the owner of the next answer
 * is the last of them. */
static void pointers_are_followed_to_a_bound(void **state)
{
	for (unsigned jumps = DNS_NAME_JUMPS; jumps <= DNS_NAME_JUMPS + 1; jumps++) {
		uint8_t m[600] = {[7] = 2};
		size_t length_at = DNS_HEADER_SIZE + 9, at = length_at + 2,
		       target = DNS_HEADER_SIZE;
		struct dns_reader r;

		for (unsigned i = 0; i < jumps; i++) {
			if (i == jumps - 1) {
				m[length_at] = (uint8_t)((at - length_at - 2) >> 8);
				m[length_at + 1] = (uint8_t)(at - length_at - 2);
			}
			m[at] = (uint8_t)(0xc0 | target >> 8);
			m[at + 1] = (uint8_t)target;
			target = at;
			at += 2;
		}
		at += 10;
		assert_int_equal(walk(&r, slice_of(m, at)), jumps > DNS_NAME_JUMPS ? -EBADMSG : 0);
		assert_int_equal(r.fault.code,
		                 jumps > DNS_NAME_JUMPS ? DNS_FAULT_JUMPS : DNS_FAULT_NONE);
	}
}

static void names_have_at_most_255_bytes(void **state)
{
	for (unsigned last = 61; last <= 62; last++) {
		uint8_t m[400] = {0, 0, 0, 0, 0, 1};
		char text[DNS_NAME_TEXT];
		size_t at = DNS_HEADER_SIZE;
		struct dns_reader r;

		for (int i = 0; i < 4; i++) {
			m[at] = i < 3 ? 63 : (uint8_t)last;
			at += 1u + m[at];
		}
		at += 5;
		assert_int_equal(walk(&r, slice_of(m, at)), last == 61 ? 0 : -EBADMSG);
		if (last == 61)
			assert_int_equal(dns_name(slice_of(m, at), DNS_HEADER_SIZE, text).len,
			                 1003);
		else
			assert_int_equal(r.fault.code, DNS_FAULT_NAME_LONG);
	}
}

static void bodies_are_checked_by_who_reads_them(void **state)
{
	static const struct {
		uint16_t type;
		const char *body;
		size_t len;
		int expected;
		enum dns_fault_code code;
	} bodies[] = {
#define BODY(type, body, ...) {type, body, sizeof(body) - 1, __VA_ARGS__}
		BODY(DNS_A, "\1\2\3\4", 0),
		BODY(DNS_A, "\1\2\3", -EBADMSG, DNS_FAULT_BODY),
		BODY(DNS_AAAA, "\1\2\3\4", -EBADMSG, DNS_FAULT_BODY),
		BODY(DNS_CNAME, "\1w\0", 0),
		BODY(DNS_CNAME, "\1w\0x", -EBADMSG, DNS_FAULT_BODY),
		BODY(DNS_CNAME, "\1w", -EBADMSG, DNS_FAULT_NAME_SHORT),
		BODY(DNS_SRV, "\0\1\0\2\0\3\1w\0", 0),
		BODY(DNS_SRV, "\0\1\0\2\0\3", -EBADMSG, DNS_FAULT_BODY),
		BODY(DNS_HTTPS, "\0\1\0", 0),
		BODY(DNS_HTTPS, "\0\1\xc0\x0c", -EBADMSG, DNS_FAULT_COMPRESSED),
		BODY(DNS_HTTPS, "\0\1\0\0\1\0\3\2h2", 0),
		BODY(DNS_HTTPS, "\0\1\0\0\1\0\3\3h2", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\1\0\1\0", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\1\0\0", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\3\0\2\1\2\0\3\0\2\1\2", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\4\0\5\1\2\3\4\5", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\4\0\4\1\2\3", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\6\0\0", -EBADMSG, DNS_FAULT_PARAMETER),
		BODY(DNS_HTTPS, "\0\1\0\0\4", -EBADMSG, DNS_FAULT_PARAMETER),
#undef BODY
	};

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		uint8_t m[64] = {[7] = 1, [16] = 1};
		struct dns_fault fault = {0};
		struct dns_record record;
		struct dns_reader r;
		struct slice message = slice_of(m, 23 + bodies[i].len), address;
		struct dns_srv srv;
		struct dns_svcb svcb;
		size_t target;
		int got = -EINVAL;

		m[14] = (uint8_t)bodies[i].type;
		m[22] = (uint8_t)bodies[i].len;
		memcpy(m + 23, bodies[i].body, bodies[i].len);
		assert_int_equal(dns_open(&r, message), 0);
		/* The walk passes over any body. */
		assert_int_equal(dns_next(&r, &record), 1);
		if (got == -EINVAL)
			got = dns_read_address(&record, &address, &fault);
		if (got == -EINVAL)
			got = dns_read_target(message, &record, &target, &fault);
		if (got == -EINVAL)
			got = dns_read_srv(message, &record, &srv, &fault);
		if (got == -EINVAL)
			got = dns_read_svcb(message, &record, &svcb, &fault);
		assert_int_equal(got, bodies[i].expected);
		assert_int_equal(fault.code, bodies[i].code);
		assert_int_equal(dns_next(&r, &record), 0);
	}
}

static void names_compare_without_case(void **state)
{
	char text[] = "WWW.Ex\\046\\195ample";

	assert_true(dns_name_equal(SLICE_LITERAL("www.EXAMPLE"), SLICE_LITERAL("WWW.example")));
	assert_false(dns_name_equal(SLICE_LITERAL("www.example"), SLICE_LITERAL("www.example.")));
	assert_false(dns_name_equal(SLICE_LITERAL("a@b"), SLICE_LITERAL("a`b")));
	dns_name_lower(text, sizeof text - 1);
	assert_string_equal(text, "www.ex\\046\\195ample");
}

static void the_last_labels_are_cut_off(void **state)
{
	static const struct {
		const char *name;
		unsigned labels;
		const char *last;
	} cases[] = {
		{"a.b.example.com", 2, "example.com"},
		{"a.b.example.com", 1, "com"},
		{"a.b.example.com", 4, "a.b.example.com"},
		{"com", 2, "com"},
		{".", 1, "."},
		{"a.b\\.c.com", 2, "b\\.c.com"},
		{"a.b\\\\.c.com", 2, "c.com"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_true(slice_equal(dns_name_last(slice_from_string(cases[i].name),
		                                      cases[i].labels),
		                        slice_from_string(cases[i].last)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_query_of_dig),
		cmocka_unit_test(the_response_code_has_the_bits_of_edns),
		cmocka_unit_test(a_name_is_copied_without_compression),
		cmocka_unit_test(what_follows_the_message_is_left),
		cmocka_unit_test(tells_what_is_wrong_and_where),
		cmocka_unit_test(pointers_are_followed_to_a_bound),
		cmocka_unit_test(names_have_at_most_255_bytes),
		cmocka_unit_test(bodies_are_checked_by_who_reads_them),
		cmocka_unit_test(names_compare_without_case),
		cmocka_unit_test(the_last_labels_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
