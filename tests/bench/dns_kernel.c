/* What the dns programs cost: nanoseconds of kernel time for each run, as the kernel's own statistics
 * say, for traffic on ports that are not watched and for DNS; and what a sweep takes.
 *
 *   sudo <build>/tests/bench/bench_dns_kernel
 */
#include "bpf/host/program_stats.h"
#include "core/base/clock.h"
#include "tests/kernel/dns_world.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 7, PACKETS = 20000, PORT = 53531, MAX_PENDING = 65536 };

struct ends {
	int client, server;
	struct dns_address to;
	bool connected;
	size_t answer; /* size; 0: the packets are no DNS */
};

static struct program_stats *find(struct dns_kernel_stats *stats, const char *name)
{
	for (size_t i = 0; i < stats->n_programs; i++)
		if (strcmp(stats->programs[i].name, name) == 0)
			return &stats->programs[i];
	fail_msg("no program %s", name);
	return NULL;
}

static void udp_round(struct dns_world *w, const struct ends *e)
{
	static const uint8_t nothing[100] = {0};
	uint8_t in[4096];

	for (int i = 0; i < PACKETS / 2; i++) {
		if (e->answer) {
			dns_exchange(e->client, e->server, e->connected ? NULL : &e->to,
			             (uint16_t)i, "www.some-name.example.org", DNS_A, e->answer);
			if (i % 64 == 0)
				dns_world_drain(w);
			continue;
		}
		dns_send(e->client, nothing, sizeof nothing, e->connected ? NULL : &e->to);
		dns_receive(e->server, in, sizeof in, NULL);
		dns_send(e->client, nothing, sizeof nothing, e->connected ? NULL : &e->to);
		dns_receive(e->server, in, sizeof in, NULL);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(struct dns_world *w, const char *what, const struct ends *e)
{
	static const char *const names[] = {"dns_sent", "dns_received", "dns_asked4"};
	double ns[3][ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		struct dns_kernel_stats before, after;

		dns_kernel_stats(w->kernel, &before);
		udp_round(w, e);
		dns_kernel_stats(w->kernel, &after);
		for (int i = 0; i < 3; i++) {
			struct program_stats *b = find(&before, names[i]);
			struct program_stats *a = find(&after, names[i]);
			uint64_t runs = a->runs - b->runs;

			ns[i][round] = runs < 1000 ? 0
			                           : (double)(a->run_time_ns - b->run_time_ns) /
			                                     (double)runs;
		}
	}
	printf("%-42s", what);
	for (int i = 0; i < 3; i++) {
		qsort(ns[i], ROUNDS, sizeof *ns[i], compare);
		printf("  %s %4.0f", names[i], ns[i][ROUNDS / 2]);
	}
	printf("  ns a run\n");
	fflush(stdout);
}

static void udp(struct dns_world *w, const char *what, unsigned port, bool connected, size_t answer)
{
	struct dns_address at = dns_address_of("127.0.0.1", port);
	struct dns_address any = dns_address_of("127.0.0.1", 0);
	struct ends e = {.connected = connected, .answer = answer};

	e.server = dns_socket(SOCK_DGRAM, &at, NULL);
	e.client = dns_socket(SOCK_DGRAM, &any, NULL);
	e.to = dns_address_of("127.0.0.1", dns_socket_port(e.server));
	if (connected)
		assert_int_equal(connect(e.client, (struct sockaddr *)&e.to.storage, e.to.len), 0);
	measure(w, what, &e);
	close(e.client);
	close(e.server);
}

static void tcp(struct dns_world *w, const char *what)
{
	struct dns_address any = dns_address_of("127.0.0.1", 0);
	int listener = dns_socket(SOCK_STREAM, &any, NULL);
	struct ends e = {.connected = true};

	assert_int_equal(listen(listener, 1), 0);
	e.to = dns_address_of("127.0.0.1", dns_socket_port(listener));
	e.client = dns_socket(SOCK_STREAM, NULL, &e.to);
	e.server = accept(listener, NULL, NULL);
	assert_true(e.server >= 0);
	measure(w, what, &e);
	close(e.client);
	close(e.server);
	close(listener);
}

/* Asks what nobody answers. */
static void questions_open(struct dns_world *w, size_t n)
{
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int client = dns_socket(SOCK_DGRAM, NULL, &at);
	uint8_t question[512];

	for (size_t i = 0; i < n; i++) {
		size_t length = dns_question(question, (uint16_t)i, "nobody.example", DNS_A);

		/* What comes back is that nobody listens. */
		while (send(client, question, length, 0) < 0)
			;
	}
	close(client);
}

static void sweep(struct dns_world *w, size_t open, bool overdue)
{
	double ms[ROUNDS], calls_ms[ROUNDS] = {0};

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before, call;
		size_t all;
		bool more;

		dns_world_sweep(w);
		questions_open(w, open);
		all = 0;
		before = clock_monotonic_ns();
		do {
			double took;

			call = clock_monotonic_ns();
			all += (size_t)dns_kernel_sweep(w->kernel, overdue ? before : 1, 1024,
			                                &more);
			took = (double)(clock_monotonic_ns() - call) / 1e6;
			calls_ms[round] = took > calls_ms[round] ? took : calls_ms[round];
		} while (more);
		ms[round] = (double)(clock_monotonic_ns() - before) / 1e6;
		assert_true(overdue ? all >= open * 9 / 10 && all <= open : all == 0);
	}
	qsort(ms, ROUNDS, sizeof *ms, compare);
	qsort(calls_ms, ROUNDS, sizeof *calls_ms, compare);
	printf("sweep, %6zu open questions of %d, %s: %.3f ms, the longest call %.3f ms\n", open,
	       MAX_PENDING, overdue ? "all overdue" : "none overdue", ms[ROUNDS / 2],
	       calls_ms[ROUNDS / 2]);
}

static void prints_what_the_programs_cost(void **state)
{
	struct dns_world_options options = {.ring_bytes = 8 << 20,
	                                    .max_pending = MAX_PENDING,
	                                    .port = PORT};
	struct error error = ERROR_INIT;
	struct dns_world w;
	int statistics;

	if (dns_world_open(&w, options, &error) < 0)
		fail_msg("%s", error.message);
	w.seen.quiet = true;
	statistics = program_stats_enable();
	assert_true(statistics >= 0);
	tcp(&w, "TCP, not watched");
	udp(&w, "UDP, connected, not watched", 0, true, 0);
	udp(&w, "UDP, not connected, not watched", 0, false, 0);
	udp(&w, "DNS, connected client, answers of 100 bytes", PORT, true, 100);
	udp(&w, "DNS, not connected, answers of 100 bytes", PORT, false, 100);
	udp(&w, "DNS, not connected, answers of 1200 bytes", PORT, false, 1200);
	close(statistics);
	sweep(&w, 0, true);
	sweep(&w, 1000, false);
	sweep(&w, 1000, true);
	sweep(&w, 50000, false);
	sweep(&w, 50000, true);
	dns_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest all[] = {cmocka_unit_test(prints_what_the_programs_cost)};

	return cmocka_run_group_tests(all, NULL, NULL);
}
