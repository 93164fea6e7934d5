#include "receivers/dns/dns_exchange.h"

#include "core/base/clock.h"
#include "tests/support/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#define NAME_A "\1a\4test\0"
#define NAME_B "\1b\4test\0"
#define TYPE_A "\0\1\0\1"
#define TYPE_AAAA "\0\x1c\0\1"
#define TYPE_AXFR "\0\xfc\0\1"
/* With the two bytes of the length: 14 and the question, of 12 bytes for both names. */
#define ASK(id, question) "\0\x18\0" id "\1\0\0\1\0\0\0\0\0\0" question
#define REPLY(id, code, question) "\0\x18\0" id "\x81" code "\0\1\0\0\0\0\0\0" question
#define REPLY_BARE(id, code) "\0\x0c\0" id "\x81" code "\0\0\0\0\0\0\0\0"
/* A length of 5000: more than is copied. */
#define REPLY_LONG(id, question) "\x13\x88\0" id "\x81\x80\0\1\0\0\0\0\0\0" question

enum { MAX_STREAMS = 4, MAX_OPEN = 3, MAX_OPEN_ALL = 7, SENT = DNS_SEGMENT_SENT };

struct one {
	struct dns_exchange e;
	char name[64];
	struct process_owner owner;
};

/* A connection, and all that was told. */
struct talk {
	struct dns_exchanges *x;
	struct one told[16];
	unsigned n_told;
	struct dns_flow flow;
	uint32_t next[2]; /* sequence numbers; [1]: sent */
	uint64_t now_ns;  /* one more with every segment */
};

static void on_exchange(void *arg, const struct dns_exchange *e)
{
	struct talk *t = arg;
	struct one *one = &t->told[t->n_told++];

	assert_true(t->n_told <= sizeof t->told / sizeof *t->told);
	*one = (struct one){.e = *e, .owner = *e->owner};
	assert_true(e->question.len < sizeof one->name);
	if (e->question.len)
		memcpy(one->name, e->question.data, e->question.len);
}

static bool talk_begin(struct talk *t, uint8_t role)
{
	const struct dns_exchanges_limits limits = {MAX_STREAMS, MAX_OPEN, MAX_OPEN_ALL};

	*t = (struct talk){
		.flow = {.cookie = 7,
	                 .netns = 99,
	                 .family = AF_INET,
	                 .local_port = role == ROLE_SERVER ? 53 : 40000,
	                 .remote_port = role == ROLE_SERVER ? 40000 : 53,
	                 .role = role,
	                 .local_address = {10, 0, 0, 1},
	                 .remote_address = {10, 0, 0, 2}},
		.next = {0xfffffff0, 1000},
		.now_ns = NS_PER_S,
	};
	t->x = dns_exchanges_new(&limits, on_exchange, t);
	return t->x;
}

static void talk_end(struct talk *t)
{
	dns_exchanges_free(t->x);
}

/* The next bytes of a direction, copied to memory of their own size; some more that were not. */
static void give_part(struct talk *t, unsigned flags, const void *bytes, size_t len, size_t missing)
{
	uint32_t *next = &t->next[!!(flags & SENT)];
	uint8_t *copy = test_malloc(len ? len : 1);
	struct dns_segment s = {
		.kind = DNS_EVENT_SEGMENT,
		.flags = (uint8_t)flags,
		.sequence = *next,
		.length = (uint32_t)(len + missing),
		.copied = (uint32_t)len,
		.owner = {.pid = 42},
		.flow = t->flow,
		.at_ns = ++t->now_ns,
	};

	memcpy(copy, bytes, len);
	*next += s.length;
	dns_exchanges_segment(t->x, &s, slice_of(copy, len));
	test_free(copy);
}

#define GIVE(t, flags, bytes) GIVE_FROM(t, flags, bytes, 0)
#define GIVE_FROM(t, flags, bytes, from)                                                           \
	give_part(t, flags, &(bytes)[from], sizeof(bytes) - 1 - (from), 0)

/* As many as that were told; returns the last. */
static struct one *assert_told(struct talk *t, unsigned n)
{
	assert_int_equal(t->n_told, n);
	return &t->told[n - 1];
}

static struct dns_exchanges_stats stats_of(const struct talk *t)
{
	struct dns_exchanges_stats stats;

	dns_exchanges_stats(t->x, &stats);
	return stats;
}

static void a_question_and_its_answer_are_an_exchange(void **state)
{
	struct talk t;
	struct one *one;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
	assert_int_equal(stats_of(&t).open, 1);
	GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\1", "\x83", NAME_A TYPE_A));
	one = assert_told(&t, 1);
	assert_string_equal(one->name, "a.test");
	assert_int_equal(one->e.type, DNS_A);
	assert_int_equal(one->e.id, 1);
	assert_int_equal(one->e.transport, DNS_TCP);
	assert_int_equal(one->e.role, ROLE_CLIENT);
	assert_int_equal(one->e.server_port, 53);
	assert_int_equal(one->e.client_port, 40000);
	assert_int_equal(one->owner.pid, 42);
	assert_int_equal(one->e.first_ns, NS_PER_S + 1);
	assert_int_equal(one->e.last_ns, NS_PER_S + 1);
	assert_int_equal(one->e.answered_ns, NS_PER_S + 2);
	assert_int_equal(one->e.transmissions, 1);
	assert_string_equal(dns_exchange_error(&one->e), "name_error");
	assert_int_equal(stats_of(&t).open, 0);
	assert_int_equal(stats_of(&t).streams, 1);
	/* Nothing of it is left to be told. */
	dns_exchanges_sweep(t.x, UINT64_MAX);
	GIVE(&t, SENT | DNS_SEGMENT_FIN, "");
	GIVE(&t, DNS_SEGMENT_FIN, "");
	assert_told(&t, 1);
	assert_int_equal(stats_of(&t).streams, 0);
	talk_end(&t);
}

static void answers_come_in_any_order(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_SERVER));
	/* Three in one segment, of which two have one id. */
	GIVE(&t, DNS_SEGMENT_FIRST,
	     ASK("\1", NAME_A TYPE_A) ASK("\1", NAME_A TYPE_AAAA) ASK("\2", NAME_B TYPE_A));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, REPLY("\2", "\x80", NAME_B TYPE_A));
	assert_string_equal(assert_told(&t, 1)->name, "b.test");
	GIVE(&t, SENT, REPLY("\1", "\x80", NAME_A TYPE_AAAA));
	assert_int_equal(assert_told(&t, 2)->e.type, DNS_AAAA);
	/* Case of letters does not matter; the answer's is told. */
	GIVE(&t, SENT, REPLY("\1", "\x80", "\1A\4TesT\0" TYPE_A));
	assert_string_equal(assert_told(&t, 3)->name, "A.TesT");
	assert_int_equal(t.told[2].e.role, ROLE_SERVER);
	assert_int_equal(t.told[2].e.server_port, 53);
	assert_int_equal(dns_exchange_duration_ns(&t.told[2].e), 3);
	assert_int_equal(stats_of(&t).answers_unmatched, 0);
	talk_end(&t);
}

static void an_answer_to_something_else_is_unmatched(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
	GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\2", "\x80", NAME_A TYPE_A)); /* the id */
	GIVE(&t, 0, REPLY("\1", "\x80", NAME_B TYPE_A));                 /* the name */
	GIVE(&t, 0, REPLY("\1", "\x80", NAME_A TYPE_AAAA));              /* the type */
	assert_int_equal(t.n_told, 0);
	assert_int_equal(stats_of(&t).answers_unmatched, 3);
	GIVE(&t, 0, REPLY("\1", "\x80", NAME_A TYPE_A));
	assert_told(&t, 1);
	GIVE(&t, 0, REPLY("\1", "\x80", NAME_A TYPE_A)); /* once more */
	assert_told(&t, 1);
	assert_int_equal(stats_of(&t).answers_unmatched, 4);
	talk_end(&t);
}

static void latency_is_from_the_last_byte_to_the_last_byte(void **state)
{
	static const char ask[] = ASK("\1", NAME_A TYPE_A);
	static const char reply[] = REPLY("\1", "\x80", NAME_A TYPE_A);
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	for (size_t i = 0; i < sizeof ask - 1; i++)
		give_part(&t, SENT | (i == 0 ? DNS_SEGMENT_FIRST : 0), ask + i, 1, 0);
	for (size_t i = 0; i < sizeof reply - 1; i++)
		give_part(&t, i == 0 ? DNS_SEGMENT_FIRST : 0, reply + i, 1, 0);
	assert_told(&t, 1);
	assert_int_equal(t.told[0].e.first_ns, NS_PER_S + sizeof ask - 1);
	assert_int_equal(dns_exchange_duration_ns(&t.told[0].e), sizeof reply - 1);
	assert_int_equal(stats_of(&t).stream_gaps, 0);
	talk_end(&t);
}

static void a_connection_is_picked_up_in_the_middle(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, 0, "st of an answer");
	GIVE(&t, SENT, ASK("\1", NAME_A TYPE_A));
	GIVE(&t, 0, REPLY("\7", "\x80", NAME_B TYPE_A)); /* asked before */
	GIVE(&t, 0, REPLY("\1", "\x80", NAME_A TYPE_A));
	assert_told(&t, 1);
	assert_int_equal(stats_of(&t).stream_ignored_bytes, 15);
	assert_int_equal(stats_of(&t).answers_unmatched, 1);
	talk_end(&t);
}

static void what_was_not_copied_does_not_delay_the_answer(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
	give_part(&t, DNS_SEGMENT_FIRST, REPLY_LONG("\1", NAME_A TYPE_A), 26, 5000 - 24);
	assert_told(&t, 1);
	assert_int_equal(t.told[0].e.ending, DNS_ANSWERED);
	assert_int_equal(t.told[0].e.answer_length, 5000);
	assert_int_equal(t.told[0].e.answer.len, 24);
	assert_int_equal(stats_of(&t).stream_missing_bytes, 5000 - 24);
	/* What follows is in step. */
	GIVE(&t, SENT, ASK("\2", NAME_A TYPE_A));
	GIVE(&t, 0, "\0");
	GIVE_FROM(&t, 0, REPLY("\2", "\x80", NAME_A TYPE_A), 1);
	assert_told(&t, 2);
	/* A header that is missing: the question is known no more than that it was one. */
	give_part(&t, SENT, "\0\x18", 2, 24);
	assert_int_equal(stats_of(&t).questions_dropped, 1);
	give_part(&t, 0, "\0\x18\0", 3, 23);
	assert_int_equal(stats_of(&t).answers_unmatched, 1);
	talk_end(&t);
}

static void questions_are_unanswered_when_the_connection_ends(void **state)
{
	struct talk t;

	for (int reset = 0; reset < 2; reset++) {
		assert_true(talk_begin(&t, ROLE_CLIENT));
		GIVE(&t, SENT | DNS_SEGMENT_FIRST | DNS_SEGMENT_FIN,
		     ASK("\1", NAME_A TYPE_A) ASK("\2", NAME_B TYPE_A));
		/* One end has ended it, the other may still answer. */
		GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\2", "\x80", NAME_B TYPE_A));
		assert_told(&t, 1);
		GIVE(&t, reset ? DNS_SEGMENT_RESET : DNS_SEGMENT_FIN, "");
		assert_told(&t, 2);
		assert_string_equal(t.told[1].name, "a.test");
		assert_string_equal(dns_exchange_error(&t.told[1].e), "timeout");
		assert_int_equal(t.told[1].e.answered_ns, 0);
		assert_int_equal(t.told[1].e.id, 1);
		assert_int_equal(stats_of(&t).streams, 0);
		assert_int_equal(stats_of(&t).open, 0);
		/* Its last pieces, once more, begin nothing. */
		GIVE(&t, DNS_SEGMENT_FIN, "");
		GIVE(&t, SENT | DNS_SEGMENT_FIN, ASK("\1", NAME_A TYPE_A));
		GIVE(&t, DNS_SEGMENT_RESET, "");
		assert_int_equal(stats_of(&t).streams, 0);
		assert_told(&t, 2);
		talk_end(&t);
	}
}

static void a_sweep_tells_the_old_questions_of_all_connections(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
	t.flow.cookie++;
	t.next[1] = 5;
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_B TYPE_A));
	GIVE(&t, SENT, ASK("\2", NAME_A TYPE_AAAA));
	dns_exchanges_sweep(t.x, NS_PER_S + 1);
	assert_int_equal(t.n_told, 0);
	dns_exchanges_sweep(t.x, NS_PER_S + 3);
	assert_told(&t, 2);
	assert_string_equal(t.told[0].name, "a.test");
	assert_string_equal(t.told[1].name, "b.test");
	assert_int_equal(t.told[1].e.ending, DNS_TIMEOUT);
	assert_int_equal(stats_of(&t).open, 1);
	/* Too late. */
	GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\1", "\x80", NAME_B TYPE_A));
	assert_told(&t, 2);
	assert_int_equal(stats_of(&t).answers_unmatched, 1);
	talk_end(&t);
}

/* The end that closes first does not see the other's FIN. */
static void a_connection_that_one_end_has_closed_is_let_go_when_nothing_is_open(void **state)
{
	struct talk t;

	for (unsigned sent = 0; sent <= SENT; sent += SENT) {
		assert_true(talk_begin(&t, ROLE_CLIENT));
		GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
		GIVE(&t, sent | DNS_SEGMENT_FIN, "");
		assert_int_equal(stats_of(&t).streams, 1);
		GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\1", "\x80", NAME_A TYPE_A));
		assert_int_equal(stats_of(&t).streams, 0);
		GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
		GIVE(&t, sent | DNS_SEGMENT_FIN, "");
		dns_exchanges_sweep(t.x, UINT64_MAX);
		assert_told(&t, 2);
		assert_int_equal(stats_of(&t).streams, 0);
		talk_end(&t);
	}
}

static void a_zone_transfer_is_one_exchange(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_AXFR) ASK("\2", NAME_B TYPE_AXFR));
	GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\1", "\x80", NAME_A TYPE_AXFR));
	assert_told(&t, 1);
	/* More of it, with the question and without, and another between. */
	GIVE(&t, 0,
	     REPLY("\1", "\x80", NAME_A TYPE_AXFR) REPLY("\2", "\x80", NAME_B TYPE_AXFR)
	             REPLY_BARE("\2", "\x80") REPLY_BARE("\1", "\x80"));
	assert_told(&t, 2);
	assert_int_equal(stats_of(&t).answers_unmatched, 0);
	/* The id is used again. */
	GIVE(&t, SENT, ASK("\1", NAME_A TYPE_A));
	GIVE(&t, 0, REPLY("\1", "\x80", NAME_A TYPE_A));
	assert_told(&t, 3);
	GIVE(&t, 0, REPLY_BARE("\1", "\x80"));
	assert_int_equal(stats_of(&t).answers_unmatched, 1);
	talk_end(&t);
}

static void the_messages_tell_the_role_that_is_not_known(void **state)
{
	struct talk t;

	for (unsigned sent = 0; sent <= SENT; sent += SENT) {
		assert_true(talk_begin(&t, ROLE_UNKNOWN));
		GIVE(&t, sent | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
		GIVE(&t, (sent ^ SENT) | DNS_SEGMENT_FIRST, REPLY("\1", "\x80", NAME_A TYPE_A));
		assert_told(&t, 1);
		assert_int_equal(t.told[0].e.role, sent ? ROLE_CLIENT : ROLE_SERVER);
		assert_int_equal(t.told[0].e.client_port, sent ? 40000 : 53);
		talk_end(&t);
		/* Also when the answer is seen first. */
		assert_true(talk_begin(&t, ROLE_UNKNOWN));
		GIVE(&t, sent ^ SENT, REPLY("\1", "\x80", NAME_A TYPE_A));
		GIVE(&t, sent, ASK("\1", NAME_A TYPE_A));
		GIVE(&t, sent ^ SENT, REPLY("\1", "\x80", NAME_A TYPE_A));
		assert_told(&t, 1);
		talk_end(&t);
	}
}

static void a_question_that_cannot_be_read_is_malformed_unless_it_is_answered(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	/* Its name never ends. */
	GIVE(&t, SENT | DNS_SEGMENT_FIRST,
	     ASK("\1", "\x0bnnnnnnnnnnn") ASK("\2", "\x0bnnnnnnnnnnn"));
	GIVE(&t, DNS_SEGMENT_FIRST, REPLY_BARE("\1", "\x81"));
	assert_told(&t, 1);
	assert_string_equal(dns_exchange_error(&t.told[0].e), "format_error");
	assert_string_equal(t.told[0].name, "");
	/* Not even a header; an answer where a question belongs. */
	GIVE(&t, SENT, "\0\4\0\3\1\0");
	assert_told(&t, 2);
	assert_string_equal(dns_exchange_error(&t.told[1].e), "malformed");
	assert_int_equal(t.told[1].e.id, 3);
	GIVE(&t, SENT, REPLY("\4", "\x80", NAME_A TYPE_A));
	assert_string_equal(dns_exchange_error(&assert_told(&t, 3)->e), "malformed");
	GIVE(&t, DNS_SEGMENT_RESET, "");
	assert_told(&t, 4);
	assert_int_equal(t.told[3].e.id, 2);
	assert_string_equal(dns_exchange_error(&t.told[3].e), "malformed");
	talk_end(&t);
}

static void an_answer_that_cannot_be_read_has_the_name_that_was_asked(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST,
	     ASK("\1", NAME_A TYPE_A) ASK("\2", NAME_B TYPE_A) ASK("\3", NAME_B TYPE_AAAA));
	GIVE(&t, DNS_SEGMENT_FIRST, REPLY("\1", "\x80", "\x0bnnnnnnnnnnn"));
	GIVE(&t, 0, "\0\2\0\2");
	GIVE(&t, 0, "\0\1\0");
	GIVE(&t, 0, ASK("\3", NAME_B TYPE_AAAA)); /* back to whom it came from */
	assert_told(&t, 3);
	assert_int_equal(t.told[0].e.ending, DNS_MALFORMED);
	assert_string_equal(t.told[0].name, "a.test");
	assert_int_equal(t.told[1].e.ending, DNS_MALFORMED);
	assert_string_equal(t.told[1].name, "b.test");
	assert_int_equal(t.told[2].e.ending, DNS_MALFORMED);
	assert_int_equal(t.told[2].e.type, DNS_AAAA);
	assert_int_equal(stats_of(&t).answers_unmatched, 1);
	talk_end(&t);
}

static void messages_that_keep_a_session_are_no_questions(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, "\0\x0c\0\0\x30\0\0\0\0\0\0\0\0\0");
	GIVE(&t, DNS_SEGMENT_FIRST, "\0\x0c\0\0\x30\0\0\0\0\0\0\0\0\0");
	assert_int_equal(stats_of(&t).open, 0);
	dns_exchanges_sweep(t.x, UINT64_MAX);
	assert_int_equal(t.n_told, 0);
	talk_end(&t);
}

static void questions_and_connections_have_bounds(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	for (int i = 0; i <= MAX_OPEN; i++)
		GIVE(&t, SENT | (i ? 0 : DNS_SEGMENT_FIRST), ASK("\1", NAME_A TYPE_A));
	assert_int_equal(stats_of(&t).open, MAX_OPEN);
	assert_int_equal(stats_of(&t).questions_dropped, 1);
	for (int i = 0; i < MAX_STREAMS; i++) {
		t.flow.cookie++;
		GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
		if (i == 0) { /* which keeps the second from being the longest silent one */
			t.flow.cookie--;
			GIVE(&t, SENT, "\0");
			t.flow.cookie++;
		}
	}
	/* The second one, with one question. */
	assert_int_equal(stats_of(&t).streams, MAX_STREAMS);
	assert_int_equal(stats_of(&t).streams_evicted, 1);
	assert_int_equal(stats_of(&t).questions_dropped, 2);
	assert_int_equal(stats_of(&t).open, MAX_OPEN + MAX_STREAMS - 1);
	assert_int_equal(t.n_told, 0);
	talk_end(&t);
}

static void questions_of_all_connections_have_a_bound(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	for (int i = 0; i < MAX_STREAMS * 2; i++, t.flow.cookie += i % 2 == 0) {
		GIVE(&t, SENT | (i % 2 ? 0 : DNS_SEGMENT_FIRST), ASK("\1", NAME_A TYPE_A));
	}
	assert_int_equal(stats_of(&t).streams, MAX_STREAMS);
	assert_int_equal(stats_of(&t).open, MAX_OPEN_ALL);
	assert_int_equal(stats_of(&t).questions_dropped, MAX_STREAMS * 2 - MAX_OPEN_ALL);
	talk_end(&t);
}

/* Each of its messages is empty. */
static void a_segment_of_zeros_is_one_malformed_question(void **state)
{
	static const uint8_t zeros[1400];
	struct talk t;

	assert_true(talk_begin(&t, ROLE_SERVER));
	give_part(&t, DNS_SEGMENT_FIRST, zeros, sizeof zeros, 0);
	assert_string_equal(dns_exchange_error(&assert_told(&t, 1)->e), "malformed");
	assert_int_equal(stats_of(&t).questions_dropped, sizeof zeros / 2 - 1);
	give_part(&t, 0, zeros, sizeof zeros, 0);
	assert_told(&t, 2);
	talk_end(&t);
}

static void connections_of_one_socket_are_told_apart(void **state)
{
	struct talk t;

	assert_true(talk_begin(&t, ROLE_CLIENT));
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
	t.flow.local_port++;
	t.next[1] = 77;
	GIVE(&t, SENT | DNS_SEGMENT_FIRST, ASK("\1", NAME_A TYPE_A));
	assert_int_equal(stats_of(&t).streams, 2);
	assert_int_equal(stats_of(&t).open, 2);
	talk_end(&t);
}

/* A question in two pieces, an answer in two, and one more question. Without memory fewer exchanges
 * are told, and each that is missing was counted. */
static void without_memory_it_counts_what_it_misses(void **state)
{
	bool failed = true;
	struct talk t;

	for (unsigned long n = 1; failed; n++) {
		failing_memory_arm(n);
		if (!talk_begin(&t, ROLE_CLIENT)) {
			assert_true(failing_memory_disarm());
			continue;
		}
		GIVE(&t, SENT | DNS_SEGMENT_FIRST, "\0\x18\0\1\1\0");
		GIVE_FROM(&t, SENT, ASK("\1", NAME_A TYPE_A), 6);
		GIVE(&t, DNS_SEGMENT_FIRST, "\0\x18\0\1\x81\x80");
		GIVE_FROM(&t, 0, REPLY("\1", "\x80", NAME_A TYPE_A), 6);
		GIVE(&t, SENT, ASK("\2", NAME_A TYPE_A));
		GIVE(&t, 0, REPLY("\2", "\x80", NAME_A TYPE_A));
		failed = failing_memory_disarm();
		dns_exchanges_sweep(t.x, UINT64_MAX);
		assert_true(failed || t.n_told == 2);
		assert_true(t.n_told == 2 || stats_of(&t).questions_dropped > 0 ||
		            stats_of(&t).answers_unmatched > 0 ||
		            stats_of(&t).stream_ignored_bytes > 0);
		talk_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_and_its_answer_are_an_exchange),
		cmocka_unit_test(answers_come_in_any_order),
		cmocka_unit_test(an_answer_to_something_else_is_unmatched),
		cmocka_unit_test(latency_is_from_the_last_byte_to_the_last_byte),
		cmocka_unit_test(a_connection_is_picked_up_in_the_middle),
		cmocka_unit_test(what_was_not_copied_does_not_delay_the_answer),
		cmocka_unit_test(questions_are_unanswered_when_the_connection_ends),
		cmocka_unit_test(a_sweep_tells_the_old_questions_of_all_connections),
		cmocka_unit_test(
			a_connection_that_one_end_has_closed_is_let_go_when_nothing_is_open),
		cmocka_unit_test(a_zone_transfer_is_one_exchange),
		cmocka_unit_test(the_messages_tell_the_role_that_is_not_known),
		cmocka_unit_test(a_question_that_cannot_be_read_is_malformed_unless_it_is_answered),
		cmocka_unit_test(an_answer_that_cannot_be_read_has_the_name_that_was_asked),
		cmocka_unit_test(messages_that_keep_a_session_are_no_questions),
		cmocka_unit_test(questions_and_connections_have_bounds),
		cmocka_unit_test(questions_of_all_connections_have_a_bound),
		cmocka_unit_test(a_segment_of_zeros_is_one_malformed_question),
		cmocka_unit_test(connections_of_one_socket_are_told_apart),
		cmocka_unit_test(without_memory_it_counts_what_it_misses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
