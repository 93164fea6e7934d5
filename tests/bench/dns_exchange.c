/* bench dns_exchange: what an exchange costs from the kernel's event to its telling, over UDP and over
 * TCP, beside the parsing alone; what the addresses of an answer cost; and the worst answers that 4096
 * bytes can make. */
#include "receivers/dns/dns_exchange.h"

#include "core/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { ROUNDS = 5, EXCHANGES = 1000000, CONNECTIONS = 100 };

/* www.example.com: two CNAMEs' worth of a content network, four addresses, an OPT record. */
#define QUESTION "\3www\7example\3com\0\0\1\0\1"
static const char answer_bytes[] = "\0\1\x81\x80\0\1\0\6\0\0\0\1" QUESTION
				   "\xc0\x0c\0\5\0\1\0\0\1\x2c\0\x12\3www\3cdn\3net\3one\xc0\x18"
				   "\xc0\x2d\0\5\0\1\0\0\0\x3c\0\7\4edge\xc0\x31"
				   "\xc0\x4b\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
				   "\xc0\x4b\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2"
				   "\xc0\x4b\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\3"
				   "\xc0\x4b\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\4"
				   "\0\0\x29\x04\xd0\0\0\0\0\0\0";
static const char question_bytes[] =
	"\0\1\1\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\0";

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench dns_exchange: failed\n");
		exit(1);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of some rounds of so many calls, in ns per call. */
static double measure(const char *what, size_t calls, void (*run)(void *arg, size_t calls),
                      void *arg)
{
	double ns[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		uint64_t begin = clock_monotonic_ns();

		run(arg, calls);
		ns[i] = (double)(clock_monotonic_ns() - begin) / (double)calls;
	}
	qsort(ns, ROUNDS, sizeof *ns, compare);
	printf("%-52s %8.1f ns\n", what, ns[ROUNDS / 2]);
	return ns[ROUNDS / 2];
}

struct bench {
	struct dns_exchanges *x;
	size_t told, addresses;
	struct slice message;
	uint32_t next[CONNECTIONS][2];
};

static void on_exchange(void *arg, const struct dns_exchange *e)
{
	struct bench *b = arg;

	b->told++;
	must(e->ending == DNS_ANSWERED && e->question.len == 15);
}

static void on_address(void *arg, const struct address *address, uint32_t ttl_s)
{
	struct bench *b = arg;

	b->addresses++;
}

static void parse(void *arg, size_t calls)
{
	struct bench *b = arg;
	struct dns_record record;
	struct dns_reader r;

	for (size_t i = 0; i < calls; i++) {
		must(dns_open(&r, b->message) == 0);
		while (dns_next(&r, &record) > 0)
			;
		must(r.fault.code == DNS_FAULT_NONE);
	}
}

static void addresses_find(void *arg, size_t calls)
{
	struct bench *b = arg;

	for (size_t i = 0; i < calls; i++)
		dns_answer_addresses(b->message, on_address, b);
}

static const struct dns_flow flow = {
	.family = AF_INET,
	.local_port = 40000,
	.remote_port = 53,
	.role = ROLE_CLIENT,
	.local_address = {10, 0, 0, 1},
	.remote_address = {10, 0, 0, 2},
};

static void udp_give(void *arg, size_t calls)
{
	struct bench *b = arg;
	struct dns_answer answer = {
		.kind = DNS_EVENT_ANSWER,
		.transmissions = 1,
		.length = (uint32_t)b->message.len,
		.copied = (uint32_t)b->message.len,
		.flow = flow,
		.first_ns = 1,
		.last_ns = 1,
		.answered_ns = 2,
	};

	for (size_t i = 0; i < calls; i++)
		dns_exchanges_answer(b->x, &answer, b->message);
}

static void segment_give(struct bench *b, size_t connection, unsigned flags, const uint8_t *bytes,
                         size_t len)
{
	uint32_t *next = &b->next[connection][flags & DNS_SEGMENT_SENT];
	struct dns_segment s = {
		.kind = DNS_EVENT_SEGMENT,
		.flags = (uint8_t)flags,
		.sequence = *next,
		.length = (uint32_t)len,
		.copied = (uint32_t)len,
		.flow = flow,
		.at_ns = 1,
	};

	s.flow.cookie = connection;
	*next += s.length;
	dns_exchanges_segment(b->x, &s, slice_of(bytes, len));
}

/* Message and length, for both directions. */
static uint8_t framed[2][512];
static size_t framed_len[2];

static void frame(bool sent, const char *bytes, size_t len)
{
	framed[sent][0] = (uint8_t)(len >> 8);
	framed[sent][1] = (uint8_t)len;
	memcpy(framed[sent] + 2, bytes, len);
	framed_len[sent] = 2 + len;
}

static void tcp_give(void *arg, size_t calls)
{
	struct bench *b = arg;

	for (size_t i = 0; i < calls; i++) {
		size_t c = i % CONNECTIONS;

		segment_give(b, c, DNS_SEGMENT_SENT, framed[1], framed_len[1]);
		segment_give(b, c, 0, framed[0], framed_len[0]);
	}
}

/* The answer in two segments. */
static void tcp_parts_give(void *arg, size_t calls)
{
	struct bench *b = arg;

	for (size_t i = 0; i < calls; i++) {
		size_t c = i % CONNECTIONS;

		segment_give(b, c, DNS_SEGMENT_SENT, framed[1], framed_len[1]);
		segment_give(b, c, 0, framed[0], 50);
		segment_give(b, c, 0, framed[0] + 50, framed_len[0] - 50);
	}
}

/* A connection for each exchange. */
static void tcp_short_give(void *arg, size_t calls)
{
	struct bench *b = arg;

	for (size_t i = 0; i < calls; i++) {
		segment_give(b, 0, DNS_SEGMENT_SENT | DNS_SEGMENT_FIRST, framed[1], framed_len[1]);
		segment_give(b, 0, DNS_SEGMENT_FIRST, framed[0], framed_len[0]);
		segment_give(b, 0, DNS_SEGMENT_SENT | DNS_SEGMENT_FIN, NULL, 0);
		segment_give(b, 0, DNS_SEGMENT_FIN, NULL, 0);
	}
}

/* A name of 255 bytes: labels of one letter. */
static size_t long_name_put(uint8_t *to, uint8_t letter)
{
	for (size_t i = 0; i < 127; i++) {
		to[2 * i] = 1;
		to[2 * i + 1] = letter;
	}
	to[254] = 0;
	return 255;
}

/* The question's name is of 255 bytes; then as many records as there is room for whose owners differ
 * from it only at the end of the comparison, if at all: their first label stands in the message, the
 * rest is a pointer to the question's. */
static size_t worst_make(uint8_t *m, uint16_t type)
{
	size_t at = DNS_HEADER_SIZE;
	unsigned count = 0;

	memcpy(m, "\0\1\x81\x80\0\1\0\0\0\0\0\0", at);
	at += long_name_put(m + at, 'a');
	memcpy(m + at, "\0\1\0\1", 4);
	at += 4;
	while (at + 20 <= 4096) {
		const uint8_t record[] = {1,    (uint8_t)('a' + (count + 1) % 26),
		                          0xc0, 14,
		                          0,    (uint8_t)type,
		                          0,    1,
		                          0,    0,
		                          0,    9,
		                          0,    type == 1 ? 4 : 2};

		memcpy(m + at, record, sizeof record);
		at += sizeof record;
		memcpy(m + at, "\xc0\x0c\0\0", 4);
		at += type == 1 ? 4 : 2;
		count++;
	}
	m[6] = (uint8_t)(count >> 8);
	m[7] = (uint8_t)count;
	return at;
}

int main(void)
{
	const struct dns_exchanges_limits limits = {.max_streams = 1024,
	                                            .max_open = 64,
	                                            .max_open_all = 65536};
	struct bench b = {.message = slice_of(answer_bytes, sizeof answer_bytes - 1)};
	static uint8_t worst[4096];
	double alone, cost;

	must((b.x = dns_exchanges_new(&limits, on_exchange, &b)) != NULL);
	frame(false, answer_bytes, sizeof answer_bytes - 1);
	frame(true, question_bytes, sizeof question_bytes - 1);
	printf("an answer of %zu bytes, 8 records\n", b.message.len);
	alone = measure("parsing alone", EXCHANGES, parse, &b);
	cost = measure("an exchange over UDP", EXCHANGES, udp_give, &b);
	printf("%-52s %8.2f\n", "  of parsing alone", cost / alone);
	cost = measure("an exchange over TCP, a segment each way", EXCHANGES, tcp_give, &b);
	printf("%-52s %8.2f\n", "  of parsing alone", cost / alone);
	measure("the same, the answer in two segments", EXCHANGES, tcp_parts_give, &b);
	measure("the same, and a connection for each", EXCHANGES, tcp_short_give, &b);
	must(b.told == 4 * ROUNDS * (size_t)EXCHANGES);
	measure("the addresses of the answer", EXCHANGES, addresses_find, &b);
	must(b.addresses == 4 * ROUNDS * (size_t)EXCHANGES);
	b.message = slice_of(worst, worst_make(worst, DNS_A));
	measure("parsing 4096 bytes of long names", 1000, parse, &b);
	measure("addresses among them", 1000, addresses_find, &b);
	b.message = slice_of(worst, worst_make(worst, DNS_CNAME));
	measure("addresses among 4096 bytes of aliases", 1000, addresses_find, &b);
	dns_exchanges_free(b.x);
	return 0;
}
