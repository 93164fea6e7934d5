/* The dns programs and what is out of order: calls that fail. */
#include "core/base/clock.h"
#include "tests/kernel/dns_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_PENDING = 64 };

static const struct dns_world_options usual = {.ring_bytes = 1 << 20, .max_pending = MAX_PENDING};

static int setup(void **state)
{
	struct error error = ERROR_INIT;
	static struct dns_world w;

	if (dns_world_open(&w, usual, &error) < 0)
		fail_msg("%s", error.message);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	dns_world_close(*state);
	return 0;
}

/* ---- calls that fail */

/* To a broadcast address, which only SO_BROADCAST allows: it is refused after the programs have run. */
static void send_and_fail(struct dns_world *w, int fd)
{
	struct dns_address broadcast = dns_address_of("127.255.255.255", w->port);
	uint8_t message[512];
	size_t length = dns_question(message, 1, "refused.example", DNS_A);

	assert_int_equal(sendto(fd, message, length, 0, (struct sockaddr *)&broadcast.storage,
	                        broadcast.len),
	                 -1);
	assert_int_equal(errno, EACCES);
}

static void a_refused_question_says_nothing_of_the_next_packet(void **state)
{
	struct dns_world *w = *state;
	struct dns_address any = dns_address_of("127.0.0.1", 0), to;
	int client = dns_socket(SOCK_DGRAM, &any, NULL), other = dns_socket(SOCK_DGRAM, &any, NULL);
	uint8_t message[512];
	size_t length = dns_question(message, 1, "elsewhere.example", DNS_A);

	send_and_fail(w, client);
	to = dns_address_of("127.0.0.1", dns_socket_port(other));
	dns_send(client, message, length, &to); /* to a port that is not watched */
	dns_receive(other, message, sizeof message, NULL);
	assert_int_equal(dns_world_sweep(w), 0);
	close(client);
	close(other);
}

static void a_refused_question_says_nothing_of_a_connected_peer(void **state)
{
	struct dns_world *w = *state;
	struct dns_address any = dns_address_of("127.0.0.1", 0);
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int client = dns_socket(SOCK_DGRAM, &any, NULL), server = dns_socket(SOCK_DGRAM, &at, NULL);

	send_and_fail(w, client);
	assert_int_equal(connect(client, (struct sockaddr *)&at.storage, at.len), 0);
	dns_exchange(client, server, NULL, 2, "connected.example", DNS_A, 0);
	dns_world_wait_answers(w, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(w->seen.answers[i]->flags, 0);
		assert_memory_equal(w->seen.answers[i]->flow.remote_address, "\x7f\0\0\1", 4);
	}
	assert_int_equal(dns_world_sweep(w), 0);
	close(client);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_refused_question_says_nothing_of_the_next_packet,
	                                        setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_question_says_nothing_of_a_connected_peer,
	                                        setup, teardown),
	};
	struct error error = ERROR_INIT;
	struct dns_world w;

	if (dns_world_open(&w, usual, &error) < 0) {
		printf("skipped: %s\n", error.message);
		return 77;
	}
	dns_world_close(&w);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
