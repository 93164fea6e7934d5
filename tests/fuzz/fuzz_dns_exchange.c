/* Events in any order: the input is a list of them, each a byte that says which, a few of its fields
 * and the bytes of its message. What is told and counted afterwards has to be of what was given: no
 * question more often than it was asked, no answer more often than it came. */
#include "receivers/dns/dns_exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum { MAX_STREAMS = 3, MAX_OPEN = 4, MAX_OPEN_ALL = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct slice rest;
	struct dns_exchanges *x;
	uint32_t next[4][2]; /* sequence numbers of the connections, as if nothing went wrong */
	uint64_t now_ns;
	struct slice given; /* the message of the event that is being given */
	size_t told;        /* of that event, or sweep */
	size_t told_tcp, told_answered;
	size_t messages; /* over TCP, that the segments can hold at most */
};

static uint8_t byte_take(struct run *run)
{
	uint8_t byte = run->rest.len ? run->rest.data[0] : 0;

	if (run->rest.len)
		run->rest = slice_of(run->rest.data + 1, run->rest.len - 1);
	return byte;
}

/* A copy of its own size, so that a byte too many is seen. */
static uint8_t *bytes_take(struct run *run, size_t len, struct slice *ret)
{
	uint8_t *copy;

	len = len < run->rest.len ? len : run->rest.len;
	copy = malloc(len ? len : 1);
	CHECK(copy);
	if (len)
		memcpy(copy, run->rest.data, len);
	run->rest = slice_of(run->rest.data + len, run->rest.len - len);
	*ret = slice_of(copy, len);
	return copy;
}

static void on_address(void *arg, const struct address *address, uint32_t ttl_s)
{
	size_t *count = arg;

	(*count)++;
	CHECK(address->bytes[0] <= UINT8_MAX && ttl_s <= INT32_MAX);
}

static void on_exchange(void *arg, const struct dns_exchange *e)
{
	struct run *run = arg;
	size_t addresses = 0;

	run->told++;
	CHECK(e->role == ROLE_CLIENT || e->role == ROLE_SERVER);
	CHECK(e->owner->pid == 1);
	CHECK(e->question.len < DNS_NAME_TEXT);
	CHECK(e->question.len > 0 || (e->type == 0 && e->class == 0));
	CHECK(e->answer.len <= e->answer_length || e->transport == DNS_UDP);
	CHECK(e->ending != DNS_TIMEOUT || (e->answered_ns == 0 && e->answer.len == 0));
	CHECK(e->ending == DNS_ANSWERED || dns_exchange_error(e));
	CHECK(dns_exchange_duration_ns(e) <= run->now_ns);
	if (e->transport == DNS_TCP) {
		run->told_tcp++;
		run->told_answered += e->answered_ns != 0;
		CHECK(e->transmissions == 1 && e->first_ns > 0 && e->first_ns <= run->now_ns);
	} else {
		CHECK(run->told == 1);
		CHECK(e->answer.len == 0 || e->answer.data == run->given.data);
	}
	dns_answer_addresses(e->answer, on_address, &addresses);
	CHECK(addresses <= e->answer.len / 4);
}

static struct dns_flow flow_take(struct run *run, uint8_t role)
{
	uint8_t which = byte_take(run);

	return (struct dns_flow){
		.cookie = which % 4,
		.family = which & 4 ? AF_INET : AF_INET6,
		.local_port = which & 8 ? 53 : 40000,
		.remote_port = 53,
		.role = role,
	};
}

static void answer_give(struct run *run, uint8_t what)
{
	struct dns_answer answer = {
		.kind = DNS_EVENT_ANSWER,
		.flags = what >> 4 & 3,
		.transmissions = 1,
		.owner = {.pid = 1},
		.first_ns = run->now_ns,
		.last_ns = run->now_ns,
		.answered_ns = run->now_ns,
	};
	uint8_t *copy;

	answer.flow = flow_take(run, what & 4 ? ROLE_CLIENT : ROLE_SERVER);
	copy = bytes_take(run, byte_take(run) * 2u, &run->given);
	answer.copied = (uint32_t)run->given.len;
	if (what & 64)
		answer.copied = answer.copied / 2; /* a question follows, or what should be one */
	answer.length = answer.copied + (what & 128 ? 7 : 0);
	run->told = 0;
	dns_exchanges_answer(run->x, &answer, run->given);
	CHECK(run->told == 1);
	free(copy);
}

static void unanswered_give(struct run *run, uint8_t what)
{
	struct dns_pending pending = {.owner = {.pid = 1}, .transmissions = 2};
	uint8_t *copy;

	pending.flow = flow_take(run, what & 4 ? ROLE_CLIENT : ROLE_SERVER);
	copy = bytes_take(run, byte_take(run), &run->given);
	memcpy(pending.question, run->given.data, run->given.len);
	pending.question_length = (uint16_t)run->given.len;
	if (what & 8)
		pending.question_length = (uint16_t)(what * 257u);
	run->told = 0;
	dns_exchanges_unanswered(run->x, &pending);
	CHECK(run->told == 1);
	free(copy);
}

static void segment_give(struct run *run, uint8_t what)
{
	struct dns_segment s = {.kind = DNS_EVENT_SEGMENT, .owner = {.pid = 1}};
	bool sent = what & 4;
	uint32_t *next;
	size_t missing;
	uint8_t *copy;

	s.flow = flow_take(run, what & 8 ? ROLE_CLIENT : what & 16 ? ROLE_SERVER : ROLE_UNKNOWN);
	s.flags = (uint8_t)((sent ? DNS_SEGMENT_SENT : 0) | (what & 32 ? DNS_SEGMENT_FIRST : 0));
	if (what & 64)
		s.flags |= byte_take(run) % 4 ? DNS_SEGMENT_FIN : DNS_SEGMENT_RESET;
	missing = what & 128 ? byte_take(run) * 4u : 0;
	copy = bytes_take(run, byte_take(run), &run->given);
	next = &run->next[s.flow.cookie][sent];
	/* Gaps and repetitions, both small. */
	s.sequence = *next + (uint32_t)(missing % 5) - 2 * (missing % 3 == 1);
	s.length = (uint32_t)(run->given.len + missing);
	s.copied = (uint32_t)run->given.len;
	s.at_ns = run->now_ns;
	*next = s.sequence + s.length;
	/* The shortest has no bytes but its length, which may have come with others. */
	run->messages += run->given.len / 2 + 2;
	run->told = 0;
	dns_exchanges_segment(run->x, &s, run->given);
	free(copy);
}

static void sweep(struct run *run, uint64_t before_ns)
{
	struct dns_exchanges_stats before, after;

	dns_exchanges_stats(run->x, &before);
	run->told = 0;
	dns_exchanges_sweep(run->x, before_ns);
	dns_exchanges_stats(run->x, &after);
	CHECK(run->told == before.open - after.open);
	dns_exchanges_sweep(run->x, before_ns);
	CHECK(run->told == before.open - after.open);
}

static void all_check(const struct run *run)
{
	struct dns_exchanges_stats stats;

	dns_exchanges_stats(run->x, &stats);
	CHECK(stats.streams <= MAX_STREAMS && stats.open <= stats.streams * MAX_OPEN &&
	      stats.open <= MAX_OPEN_ALL);
	CHECK(run->told_tcp + run->told_answered + stats.open + stats.questions_dropped +
	              stats.answers_unmatched <=
	      run->messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dns_exchanges_limits limits = {MAX_STREAMS, MAX_OPEN, MAX_OPEN_ALL};
	struct run run = {.rest = slice_of(data, size), .now_ns = 1};

	run.x = dns_exchanges_new(&limits, on_exchange, &run);
	CHECK(run.x);
	for (unsigned events = 0; run.rest.len && events < 200; events++, run.now_ns++) {
		uint8_t what = byte_take(&run);

		switch (what % 4) {
		case 0:
			answer_give(&run, what);
			break;
		case 1:
			if (what & 128)
				unanswered_give(&run, what);
			else
				sweep(&run, run.now_ns - what % 8);
			break;
		default:
			segment_give(&run, what);
		}
		all_check(&run);
	}
	sweep(&run, UINT64_MAX);
	all_check(&run);
	dns_exchanges_free(run.x);
	return 0;
}
