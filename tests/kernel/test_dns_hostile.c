/* The dns programs and what is out of order: calls that fail, packets that somebody has made up. */
#include "core/base/clock.h"
#include "tests/kernel/dns_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <poll.h>
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

/* ---- packets that somebody has made up */

static uint32_t sum_of(uint32_t sum, const void *data, size_t length)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < length; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	return sum;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* From one address and port of 127/8 to 127.0.0.1; the transport header stands at packet + 20. */
static void packet_send(uint8_t *packet, size_t length, uint8_t protocol, uint32_t source)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct iphdr *ip = (struct iphdr *)packet;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*ip = (struct iphdr){.version = 4,
	                     .ihl = 5,
	                     .tot_len = htons((uint16_t)length),
	                     .ttl = 64,
	                     .protocol = protocol,
	                     .saddr = htonl(source),
	                     .daddr = to.sin_addr.s_addr};
	assert_int_equal(sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to), length);
	close(fd);
}

static void spoofed_question(struct dns_world *w, unsigned i)
{
	uint8_t packet[600] = {0};
	struct udphdr *udp = (struct udphdr *)(packet + 20);
	size_t length = dns_question(packet + 28, (uint16_t)i, "flood.example", DNS_A);

	*udp = (struct udphdr){.source = htons((uint16_t)(20000 + i)),
	                       .dest = htons((uint16_t)w->port),
	                       .len = htons((uint16_t)(8 + length))};
	packet_send(packet, 28 + length, IPPROTO_UDP, INADDR_LOOPBACK + 1 + i);
}

static void a_flood_of_questions_leaves_room_for_those_of_this_host(void **state)
{
	struct dns_world *w = *state;
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	struct dns_address far = dns_address_of("127.0.0.9", w->port);
	int flooded = dns_socket(SOCK_DGRAM, &at, NULL),
	    server = dns_socket(SOCK_DGRAM, &far, NULL);
	int client = dns_socket(SOCK_DGRAM, NULL, &far);
	const struct dns_answer *a;

	for (unsigned i = 0; i < 2 * MAX_PENDING; i++)
		spoofed_question(w, i);
	assert_int_equal(dns_world_lost(w, DNS_LOSS_PENDING_FULL),
	                 2 * MAX_PENDING - MAX_PENDING * 3 / 4);
	dns_exchange(client, server, NULL, 1, "honest.example", DNS_A, 0);
	dns_world_wait_answers(w, 1);
	a = w->seen.answers[0];
	assert_int_equal(a->flow.role, ROLE_CLIENT);
	assert_int_equal(a->flags, 0);
	/* And what was swept leaves its room to others. */
	assert_int_equal(dns_world_sweep(w), MAX_PENDING * 3 / 4);
	dns_exchange(client, server, NULL, 2, "both.example", DNS_A, 0);
	dns_world_wait_answers(w, 3);
	close(flooded);
	close(server);
	close(client);
}

static void a_forged_reset_ends_no_connection(void **state)
{
	struct dns_world *w = *state;
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int listener = dns_socket(SOCK_STREAM, &at, NULL), client, server;
	uint8_t packet[40] = {0}, byte;
	struct tcphdr *tcp = (struct tcphdr *)(packet + 20);
	uint32_t addresses[2] = {htonl(INADDR_LOOPBACK), htonl(INADDR_LOOPBACK)};

	assert_int_equal(listen(listener, 1), 0);
	client = dns_socket(SOCK_STREAM, NULL, &at);
	server = accept(listener, NULL, NULL);
	dns_send(client, "a", 1, NULL);
	dns_receive(server, &byte, 1, NULL);
	/* One that does not know the sequence: half of all are within reach of any window. */
	for (uint32_t i = 0; i < 16; i++) {
		*tcp = (struct tcphdr){.source = htons((uint16_t)dns_socket_port(client)),
		                       .dest = htons((uint16_t)w->port),
		                       .seq = htonl(i << 28 | 0x1234567),
		                       .doff = 5,
		                       .rst = 1};
		tcp->check = checksum(
			sum_of(sum_of(IPPROTO_TCP + sizeof *tcp, addresses, 8), tcp, sizeof *tcp));
		packet_send(packet, sizeof packet, IPPROTO_TCP, INADDR_LOOPBACK);
	}
	dns_send(client, "b", 1, NULL);
	dns_receive(server, &byte, 1, NULL);
	assert_int_equal(byte, 'b');
	dns_world_wait_segments(w, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(w->seen.segments[i]->flags & DNS_SEGMENT_RESET, 0);
	close(client);
	close(server);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_refused_question_says_nothing_of_the_next_packet,
	                                        setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_question_says_nothing_of_a_connected_peer,
	                                        setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_flood_of_questions_leaves_room_for_those_of_this_host, setup, teardown),
		cmocka_unit_test_setup_teardown(a_forged_reset_ends_no_connection, setup, teardown),
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
