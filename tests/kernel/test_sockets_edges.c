/* The sockets programs where TCP is less usual: sockets that connect to themselves, payload in the
 * SYN, MPTCP, ends that no FIN announced; and walks over many sockets while others come and go. */
#include "core/base/clock.h"
#include "tests/kernel/sockets_world.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct sockets_kernel *open_kernel(size_t ring_bytes)
{
	struct error error = ERROR_INIT;
	struct sockets_kernel *k = NULL;

	if (sockets_kernel_open(NULL, ring_bytes, &k, &error) < 0)
		fail_msg("%s", error.message);
	return k;
}

static int group_setup(void **state)
{
	*state = open_kernel(8 << 20);
	return 0;
}

static int group_teardown(void **state)
{
	sockets_kernel_close(*state);
	return 0;
}

/* ---- walks while others come and go */

/* Opens and closes connections until it is told to stop; some stay open for a while, so that
 * storages disappear anywhere in the kernel's lists. They end with resets, or ports would run out.
 */
struct churn {
	int listener;
	unsigned port;
	atomic_bool stop;
};

static void pair_abort(const struct pair *p)
{
	struct linger none = {.l_onoff = 1};

	setsockopt(p->client, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	close(p->client);
	close(p->server);
}

static void *churn(void *arg)
{
	enum { KEPT = 200 };
	struct churn *c = arg;
	struct pair kept[KEPT] = {0};

	for (unsigned i = 0; !atomic_load(&c->stop); i++) {
		struct pair *p = &kept[i * 7 % KEPT];

		if (p->client_port)
			pair_abort(p);
		*p = world_pair(WORLD_IPV4, c->listener, c->port);
	}
	for (unsigned i = 0; i < KEPT; i++)
		if (kept[i].client_port)
			pair_abort(&kept[i]);
	return NULL;
}

static void finds_each_open_socket_once_while_others_come_and_go(void **state)
{
	enum { PAIRS = 1000, WALKS = 30 };
	struct sockets_kernel *k = open_kernel(65536); /* its ring will be full */
	struct pair *pairs = calloc(PAIRS, sizeof *pairs);
	struct churn c = {0};
	unsigned port, missed = 0, repeated = 0;
	int listener = world_listen(WORLD_IPV4, 64, &port);
	pthread_t thread;

	(void)state;
	assert_non_null(pairs);
	c.listener = world_listen(WORLD_IPV4, 64, &c.port);
	assert_int_equal(pthread_create(&thread, NULL, churn, &c), 0);
	for (unsigned i = 0; i < PAIRS; i++)
		pairs[i] = world_pair(WORLD_IPV4, listener, port);
	for (unsigned i = 0; i < WALKS; i++) {
		struct tallies t = {0};
		unsigned found = 0;

		tallies_walk(&t, k, true);
		for (size_t j = 0; j < t.count; j++) {
			const struct tally *one = &t.all[j];

			if (one->last.local_port != port && one->last.remote_port != port)
				continue;
			found++;
			repeated += one->records - 1;
		}
		missed += 2 * PAIRS - found;
		tallies_fini(&t);
	}
	atomic_store(&c.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (unsigned i = 0; i < PAIRS; i++) {
		close(pairs[i].client);
		close(pairs[i].server);
	}
	close(listener);
	close(c.listener);
	free(pairs);
	sockets_kernel_close(k);
	assert_int_equal(missed, 0);
	assert_int_equal(repeated, 0);
}

/* ---- unusual connections */

static void check_end(struct tallies *t, struct sockets_kernel *k, unsigned local, unsigned remote,
                      uint64_t sent, uint64_t received)
{
	struct tally *one = tallies_wait_end(t, k, local, remote);

	assert_int_equal(one->opened, 1);
	assert_int_equal(one->closed, 1);
	assert_int_equal(one->failed, 0);
	assert_int_equal(one->preexisting, 0);
	assert_int_equal(one->sent, sent);
	assert_int_equal(one->received, received);
	assert_int_equal(one->last.owner.pid, getpid());
}

/* A simultaneous open: SYN_SENT -> SYN_RECV -> ESTABLISHED, one socket for both ends. */
static void counts_a_socket_that_is_connected_to_itself(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = world_socket(WORLD_IPV4, 0);
	unsigned port;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	port = world_port(fd);
	assert_int_equal(world_connect(fd, WORLD_IPV4, port), 0);
	world_move(fd, fd, 12345);
	tallies_walk(&t, k, false);
	world_move(fd, fd, 5);
	close(fd);
	check_end(&t, k, port, port, 12350, 12350);
	tallies_fini(&t);
}

static void counts_what_is_sent_after_one_direction_was_shut(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 8, &port);
	struct pair p = world_pair(WORLD_IPV4, listener, port);
	char byte;

	world_move(p.client, p.server, 1000);
	assert_int_equal(shutdown(p.client, SHUT_WR), 0);
	assert_int_equal(recv(p.server, &byte, 1, 0), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		struct tally *client, *server;

		world_move(p.server, p.client, 70000);
		tallies_walk(&t, k, true);
		client = tallies_find(&t, p.client_port, port);
		server = tallies_find(&t, port, p.client_port);
		assert_int_equal(client->sent, 1000);
		assert_int_equal(client->received, i * 70000);
		assert_int_equal(server->received, 1000);
		assert_true(server->sent <= i * 70000);
	}
	close(p.server);
	close(p.client);
	check_end(&t, k, p.client_port, port, 1000, 210000);
	check_end(&t, k, port, p.client_port, 210000, 1000);
	close(listener);
	tallies_fini(&t);
}

/* A network namespace of this thread's own, until it comes back. */
static int namespace_enter(void)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(home >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	world_loopback_up();
	return home;
}

static void namespace_leave(int home)
{
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

/* Payload in the SYN, from the second connection on: the first fetches the cookie. */
static void counts_payload_of_the_syn(void **state)
{
	static const char payload[500];
	struct sockets_kernel *k = *state;
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct tallies t = {0};
	unsigned port, with_data = 0;
	int home = namespace_enter(), on = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY);
	int listener = world_listen(WORLD_IPV4, 8, &port), queue = 8;

	assert_int_equal(write(on, "3", 1), 1);
	close(on);
	assert_int_equal(setsockopt(listener, SOL_TCP, TCP_FASTOPEN, &queue, sizeof queue), 0);
	address.sin_port = htons((uint16_t)port);
	for (unsigned i = 0; i < 3; i++) {
		int client = world_socket(WORLD_IPV4, 0), server;
		struct tcp_info info = {0};
		socklen_t len = sizeof info;
		unsigned client_port;
		char in[sizeof payload];

		assert_int_equal(sendto(client, payload, sizeof payload, MSG_FASTOPEN,
		                        (struct sockaddr *)&address, sizeof address),
		                 sizeof payload);
		client_port = world_port(client);
		server = accept(listener, NULL, NULL);
		assert_int_equal(recv(server, in, sizeof in, MSG_WAITALL), sizeof in);
		world_move(server, client, 1234);
		getsockopt(client, SOL_TCP, TCP_INFO, &info, &len);
		with_data += !!(info.tcpi_options & TCPI_OPT_SYN_DATA);
		close(server);
		close(client);
		check_end(&t, k, client_port, port, sizeof payload, 1234);
		check_end(&t, k, port, client_port, 1234, sizeof payload);
	}
	assert_true(with_data > 0);
	close(listener);
	namespace_leave(home);
	tallies_fini(&t);
}

/* Each subflow is a connection; the socket above them is none. */
static void counts_the_subflow_of_an_mptcp_connection(void **state)
{
	struct sockets_kernel *k = *state;
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct tallies t = {0};
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), client, server;
	unsigned port, client_port;

	if (listener < 0) {
		print_message("left out: MPTCP: %s\n", strerror(errno));
		return;
	}
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 8), 0);
	port = world_port(listener);
	client = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	assert_int_equal(world_connect(client, WORLD_IPV4, port), 0);
	client_port = world_port(client);
	server = accept(listener, NULL, NULL);
	world_move(client, server, 3000);
	world_move(server, client, 7);
	close(client);
	close(server);
	check_end(&t, k, client_port, port, 3000, 7);
	check_end(&t, k, port, client_port, 7, 3000);
	close(listener);
	tallies_fini(&t);
}

static void loopback_down(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/* A connection that breaks was none that failed. */
static void keep_alive_that_is_not_answered_closes_with_an_error(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	int home = namespace_enter(), one = 1;
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 8, &port);
	struct pair p = world_pair(WORLD_IPV4, listener, port);

	world_move(p.client, p.server, 100);
	setsockopt(p.client, SOL_TCP, TCP_KEEPIDLE, &one, sizeof one);
	setsockopt(p.client, SOL_TCP, TCP_KEEPINTVL, &one, sizeof one);
	setsockopt(p.client, SOL_TCP, TCP_KEEPCNT, &one, sizeof one);
	setsockopt(p.client, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	loopback_down();
	check_end(&t, k, p.client_port, port, 100, 0);
	assert_int_equal(tallies_find(&t, p.client_port, port)->last.error, ETIMEDOUT);
	world_loopback_up();
	close(p.client);
	close(p.server);
	close(listener);
	namespace_leave(home);
	tallies_fini(&t);
}

/* The record of the close was lost, and a reset follows: not the first record of an open socket. */
static void a_reset_after_a_lost_record_opens_nothing(void **state)
{
	enum { FILL = 400 };
	struct sockets_kernel *k = open_kernel(65536);
	struct sockets_kernel_stats stats;
	struct tallies t = {0};
	unsigned port, opened = 0, closed = 0;
	int listener = world_listen(WORLD_IPV4, 8, &port);

	(void)state;
	for (unsigned i = 0; i < FILL; i++) {
		struct pair p = world_pair(WORLD_IPV4, listener, port);

		/* Closed before it is answered: what comes then is reset. */
		shutdown(p.client, SHUT_RDWR);
		send(p.server, "late", 4, MSG_NOSIGNAL);
		close(p.server);
		close(p.client);
	}
	tallies_drain(&t, k);
	for (size_t i = 0; i < t.count; i++) {
		opened += t.all[i].opened;
		closed += t.all[i].closed;
	}
	sockets_kernel_stats(k, &stats);
	assert_true(stats.losses[SOCKETS_LOSS_RING_FULL] > 0);
	assert_int_equal(opened, closed);
	close(listener);
	sockets_kernel_close(k);
	tallies_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_a_socket_that_is_connected_to_itself),
		cmocka_unit_test(counts_what_is_sent_after_one_direction_was_shut),
		cmocka_unit_test(counts_payload_of_the_syn),
		cmocka_unit_test(counts_the_subflow_of_an_mptcp_connection),
		cmocka_unit_test(keep_alive_that_is_not_answered_closes_with_an_error),
		cmocka_unit_test(a_reset_after_a_lost_record_opens_nothing),
		/* Last: everything that listens has full rings afterwards. */
		cmocka_unit_test(finds_each_open_socket_once_while_others_come_and_go),
	};
	struct error error = ERROR_INIT;
	struct sockets_kernel *k;

	if (sockets_kernel_open(NULL, 65536, &k, &error) < 0) {
		printf("skipped: %s\n", error.message);
		return 77;
	}
	sockets_kernel_close(k);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
