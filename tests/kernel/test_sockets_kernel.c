/* The sockets programs on the running kernel, with real connections. Needs the rights that the
 * receiver needs; without them it is skipped and says why. */
#include "bpf/host/program_stats.h"
#include "core/base/clock.h"
#include "tests/kernel/sockets_world.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { RING_BYTES = 8 << 20 };

static struct sockets_kernel *open_kernel(void)
{
	struct error error = ERROR_INIT;
	struct sockets_kernel *k = NULL;

	if (sockets_kernel_open(NULL, RING_BYTES, &k, &error) < 0)
		fail_msg("%s", error.message);
	return k;
}

static int group_setup(void **state)
{
	*state = open_kernel();
	return 0;
}

static int group_teardown(void **state)
{
	sockets_kernel_close(*state);
	return 0;
}

static void assert_nothing_lost(struct sockets_kernel *k)
{
	struct sockets_kernel_stats stats;

	sockets_kernel_stats(k, &stats);
	assert_int_equal(stats.losses[SOCKETS_LOSS_RING_FULL], 0);
	assert_int_equal(stats.losses[SOCKETS_LOSS_RING_BYTES], 0);
	assert_int_equal(stats.losses[SOCKETS_LOSS_NO_STORAGE], 0);
	for (size_t i = 0; i < stats.n_programs; i++)
		assert_int_equal(stats.programs[i].missed, 0);
}

static void assert_owned_by(const struct tally *t, int pid, const char *executable)
{
	assert_int_equal(t->last.owner.pid, pid);
	assert_string_equal(t->last.owner.executable, executable);
	assert_true(t->last.owner.start_time_ns > 0);
	assert_true(t->last.owner.cgroup_id > 0);
}

/* Opened and closed once, and these payloads to the byte. */
static void assert_complete(const struct tally *t, uint64_t sent, uint64_t received)
{
	assert_int_equal(t->opened, 1);
	assert_int_equal(t->closed, 1);
	assert_int_equal(t->failed, 0);
	assert_int_equal(t->preexisting, 0);
	assert_int_equal(t->sent, sent);
	assert_int_equal(t->received, received);
	assert_int_equal(t->last.total_sent_bytes, sent);
	assert_int_equal(t->last.total_received_bytes, received);
}

static void check_payload(struct sockets_kernel *k, enum world_family family, bool server_first,
                          bool walks)
{
	enum { UP = 1000003, DOWN = 70001 };
	struct tallies t = {0};
	struct tally *client, *server;
	char name[SOCKETS_NAME_LEN], byte;
	unsigned port;
	int listener = world_listen(family, 8, &port);
	struct pair p = world_pair(family, listener, port);
	int first = server_first ? p.server : p.client, second = server_first ? p.client : p.server;

	for (int i = 0; i < 4; i++) {
		world_move(p.client, p.server, UP);
		if (walks)
			tallies_walk(&t, k, false);
		world_move(p.server, p.client, DOWN);
	}
	close(first);
	assert_int_equal(recv(second, &byte, 1, 0), 0);
	if (walks)
		tallies_walk(&t, k, false);
	close(second);
	close(listener);

	client = tallies_wait_end(&t, k, p.client_port, port);
	assert_complete(client, 4 * UP, 4 * DOWN);
	assert_int_equal(client->last.role, SOCKETS_ROLE_CLIENT);
	assert_int_equal(client->last.family, family == WORLD_IPV6 ? AF_INET6 : AF_INET);
	assert_int_equal(client->last.error, 0);
	assert_true(client->last.started_ns > 0);
	assert_true(client->last.established_ns > client->last.started_ns);
	assert_true(client->last.at_ns > client->last.established_ns);
	assert_true(client->last.srtt_us > 0 && client->last.min_rtt_us > 0);
	assert_owned_by(client, getpid(), world_executable(name));
	server = tallies_wait_end(&t, k, port, p.client_port);
	assert_complete(server, 4 * DOWN, 4 * UP);
	assert_int_equal(server->last.role, SOCKETS_ROLE_SERVER);
	assert_int_equal(server->last.family, client->last.family);
	assert_memory_equal(server->last.local_address, client->last.remote_address, 16);
	assert_memory_equal(server->last.remote_address, client->last.local_address, 16);
	assert_int_equal(server->last.remote_address[0],
	                 family == WORLD_IPV6 ? 0 : 127); /* mapped is given as IPv4 */
	assert_owned_by(server, getpid(), name);
	assert_int_equal(server->resets_sent + server->resets_received + client->resets_sent +
	                         client->resets_received,
	                 0);
	tallies_fini(&t);
	assert_nothing_lost(k);
}

static void counts_payload_to_the_byte_over_ipv4(void **state)
{
	check_payload(*state, WORLD_IPV4, false, false);
	check_payload(*state, WORLD_IPV4, true, false);
}

static void counts_payload_to_the_byte_over_ipv6(void **state)
{
	check_payload(*state, WORLD_IPV6, false, false);
	check_payload(*state, WORLD_IPV6, true, false);
}

static void counts_payload_to_the_byte_over_mapped_ipv4(void **state)
{
	check_payload(*state, WORLD_MAPPED, false, false);
	check_payload(*state, WORLD_MAPPED, true, false);
}

static void walks_and_close_together_give_each_byte_once(void **state)
{
	check_payload(*state, WORLD_IPV4, false, true);
	check_payload(*state, WORLD_IPV6, true, true);
}

static void reports_an_open_socket_only_when_it_has_news(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *client;
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 8, &port);
	struct pair p = world_pair(WORLD_IPV4, listener, port);

	world_move(p.client, p.server, 1000);
	tallies_walk(&t, k, false);
	client = tallies_find(&t, p.client_port, port);
	assert_non_null(client);
	assert_int_equal(client->opened, 1);
	assert_int_equal(client->closed, 0);
	assert_int_equal(client->sent, 1000);
	tallies_walk(&t, k, false);
	tallies_walk(&t, k, false);
	client = tallies_find(&t, p.client_port, port);
	assert_int_equal(client->records, 1);
	tallies_walk(&t, k, true);
	client = tallies_find(&t, p.client_port, port);
	assert_int_equal(client->records, 2);
	assert_int_equal(client->opened, 1);
	world_move(p.client, p.server, 500);
	tallies_walk(&t, k, false);
	client = tallies_find(&t, p.client_port, port);
	assert_int_equal(client->records, 3);
	assert_int_equal(client->sent, 1500);
	close(p.client);
	close(p.server);
	close(listener);
	client = tallies_wait_end(&t, k, p.client_port, port);
	assert_complete(client, 1500, 0);
	tallies_fini(&t);
}

static void names_the_error_of_a_refused_connect(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *client;
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 8, &port), fd = world_socket(WORLD_IPV4, 0);

	close(listener);
	assert_int_equal(world_connect(fd, WORLD_IPV4, port), -ECONNREFUSED);
	close(fd);
	client = tallies_wait_end(&t, k, 0, port);
	assert_int_equal(client->failed, 1);
	assert_int_equal(client->opened + client->closed, 0);
	assert_int_equal(client->records, 1);
	assert_int_equal(client->last.error, ECONNREFUSED);
	assert_int_equal(client->last.role, SOCKETS_ROLE_CLIENT);
	assert_int_equal(client->resets_received, 1);
	assert_true(client->last.owner.pid == (uint32_t)getpid());
	tallies_fini(&t);
}

static void counts_a_socket_again_that_is_connected_again(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *client;
	unsigned dead, port;
	int listener = world_listen(WORLD_IPV4, 8, &dead), fd = world_socket(WORLD_IPV4, 0), server;
	unsigned client_port;

	close(listener);
	assert_int_equal(world_connect(fd, WORLD_IPV4, dead), -ECONNREFUSED);
	listener = world_listen(WORLD_IPV4, 8, &port);
	assert_int_equal(world_connect(fd, WORLD_IPV4, port), 0);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	client_port = world_port(fd);
	world_move(fd, server, 77);
	close(fd);
	close(server);
	close(listener);
	client = tallies_wait_end(&t, k, client_port, port);
	assert_int_equal(client->failed,
	                 1); /* one socket, one cookie: the refused connect is in it */
	assert_int_equal(client->opened, 1);
	assert_int_equal(client->closed, 1);
	assert_int_equal(client->sent, 77);
	tallies_fini(&t);
}

/* The kernel answers no SYN while the queue of a listener is full, so these connects hang. */
static int hanging_connect(int *ret_listener, int *ret_filler, unsigned *ret_port)
{
	int fd;

	*ret_listener = world_listen(WORLD_IPV4, 0, ret_port);
	*ret_filler = world_socket(WORLD_IPV4, 0);
	assert_int_equal(world_connect(*ret_filler, WORLD_IPV4, *ret_port), 0);
	fd = world_socket(WORLD_IPV4, SOCK_NONBLOCK);
	assert_int_equal(world_connect(fd, WORLD_IPV4, *ret_port), -EINPROGRESS);
	return fd;
}

static void a_connect_given_up_by_its_process_has_failed_without_an_error(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *client;
	int listener, filler;
	unsigned port, client_port;
	int fd = hanging_connect(&listener, &filler, &port);

	client_port = world_port(fd);
	assert_int_equal(tallies_walk(&t, k, true) > 0, 1);
	assert_null(tallies_find(&t, client_port, port)); /* not a connection yet */
	close(fd);
	client = tallies_wait_end(&t, k, client_port, port);
	assert_int_equal(client->failed, 1);
	assert_int_equal(client->opened + client->closed, 0);
	assert_int_equal(client->last.error, 0);
	close(filler);
	close(listener);
	tallies_fini(&t);
}

static void names_the_error_of_a_connect_that_timed_out(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *client;
	int listener, filler, fd, timeout_ms = 100;
	unsigned port, client_port;

	fd = hanging_connect(&listener, &filler, &port);
	client_port = world_port(fd);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms,
	                            sizeof timeout_ms),
	                 0);
	client = tallies_wait_end(&t, k, client_port, port);
	assert_int_equal(client->failed, 1);
	assert_int_equal(client->last.error, ETIMEDOUT);
	close(fd);
	close(filler);
	close(listener);
	tallies_fini(&t);
}

static void close_hard(int fd)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	close(fd);
}

static void counts_a_reset_once_on_each_side(void **state)
{
	struct sockets_kernel *k = *state;

	for (int unread = 0; unread < 2; unread++) {
		struct tallies t = {0};
		struct tally *client, *server;
		unsigned port;
		int listener = world_listen(WORLD_IPV4, 8, &port);
		struct pair p = world_pair(WORLD_IPV4, listener, port);

		world_move(p.client, p.server, 300);
		if (unread) {
			assert_int_equal(send(p.server, "x", 1, 0), 1);
			close(p.client); /* with a byte unread: the kernel resets */
		} else {
			close_hard(p.client);
		}
		client = tallies_wait_end(&t, k, p.client_port, port);
		server = tallies_wait_end(&t, k, port, p.client_port);
		close(p.server);
		tallies_drain(&t, k);
		client = tallies_find(&t, p.client_port, port);
		assert_complete(client, 300, unread);
		assert_int_equal(client->resets_sent, 1);
		assert_int_equal(client->resets_received, 0);
		assert_true(client->last.flags & SOCKETS_RESET_SENT);
		assert_complete(server, unread, 300);
		assert_int_equal(server->resets_sent, 0);
		assert_int_equal(server->resets_received, 1);
		assert_true(server->last.flags & SOCKETS_RESET_RECEIVED);
		assert_int_equal(server->last.error, ECONNRESET);
		close(listener);
		tallies_fini(&t);
	}
}

static void names_a_process_that_has_exited(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *client;
	char command[96];
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 8, &port), status, server;
	char byte;
	pid_t pid;

	snprintf(command, sizeof command, "exec 3<>/dev/tcp/127.0.0.1/%u; echo 12345 >&3", port);
	pid = fork();
	if (pid == 0) {
		execl("/bin/bash", "bash", "-c", command, NULL);
		_exit(127);
	}
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	while (recv(server, &byte, 1, 0) > 0)
		;
	close(server);
	client = tallies_wait_end(&t, k, 0, port);
	assert_complete(client, 6, 0);
	assert_owned_by(client, pid, "bash");
	assert_string_equal(client->last.owner.comm, "bash");
	close(listener);
	tallies_fini(&t);
}

static void a_listener_keeps_its_owner_when_a_child_accepts(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally *server;
	char name[SOCKETS_NAME_LEN], byte;
	unsigned port, client_port;
	int listener = world_listen(WORLD_IPV4, 8, &port), client, status;
	pid_t pid = fork();

	if (pid == 0) {
		int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		_exit(send(accepted, "abc", 3, 0) == 3 ? 0 : 1);
	}
	client = world_socket(WORLD_IPV4, 0);
	assert_int_equal(world_connect(client, WORLD_IPV4, port), 0);
	client_port = world_port(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	while (recv(client, &byte, 1, 0) > 0)
		;
	close(client);
	server = tallies_wait_end(&t, k, port, client_port);
	assert_complete(server, 3, 0);
	assert_owned_by(server, getpid(), world_executable(name));
	close(listener);
	tallies_fini(&t);
}

static void finds_sockets_that_existed_before(void **state)
{
	struct tallies t = {0};
	struct tally *client, *server;
	char name[SOCKETS_NAME_LEN];
	unsigned port;
	int listener = world_listen(WORLD_IPV6, 8, &port);
	struct pair old = world_pair(WORLD_IPV6, listener, port), fresh;
	struct sockets_kernel *k;

	world_move(old.client, old.server, 5000);
	k = open_kernel();
	fresh = world_pair(WORLD_IPV6, listener, port);
	world_move(old.client, old.server, 100);
	world_move(old.server, old.client, 10);
	world_move(fresh.client, fresh.server, 1);
	world_executable(name);

	tallies_walk(&t, k, false);
	client = tallies_find(&t, old.client_port, port);
	server = tallies_find(&t, port, old.client_port);
	assert_non_null(client);
	assert_non_null(server);
	assert_int_equal(client->preexisting, 1);
	assert_int_equal(client->opened, 0);
	assert_int_equal(client->sent, 100); /* what was before is in the totals only */
	assert_int_equal(client->received, 10);
	assert_int_equal(client->last.total_sent_bytes, 5100);
	assert_int_equal(client->last.role, SOCKETS_ROLE_CLIENT);
	assert_int_equal(client->last.established_ns, 0);
	assert_owned_by(client, getpid(), name);
	assert_int_equal(server->preexisting, 1);
	assert_int_equal(server->received, 100);
	assert_int_equal(server->last.role, SOCKETS_ROLE_SERVER);
	assert_owned_by(server, getpid(), name);
	server = tallies_find(&t, port, fresh.client_port);
	assert_non_null(server); /* accepted from a listener that existed before */
	assert_int_equal(server->opened, 1);
	assert_owned_by(server, getpid(), name);

	close(old.client);
	close(old.server);
	client = tallies_wait_end(&t, k, old.client_port, port);
	assert_int_equal(client->preexisting, 1);
	assert_int_equal(client->closed, 1);
	assert_int_equal(client->sent, 100);
	assert_int_equal(client->received, 10);
	close(fresh.client);
	close(fresh.server);
	close(listener);
	assert_nothing_lost(k);
	sockets_kernel_close(k);
	tallies_fini(&t);
}

static void sees_other_network_namespaces_come_and_go(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct sockets_kernel_stats before, during, after;
	struct tally *client;
	int up[2], go[2], status;
	unsigned ports[2];
	pid_t pid;
	char byte;

	tallies_walk(&t, k, false);
	sockets_kernel_stats(k, &before);
	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		struct pair p;
		int listener;

		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		world_loopback_up();
		listener = world_listen(WORLD_IPV4, 8, &ports[0]);
		p = world_pair(WORLD_IPV4, listener, ports[0]);
		ports[1] = p.client_port;
		world_move(p.client, p.server, 4321);
		if (write(up[1], ports, sizeof ports) != sizeof ports || read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(up[0], ports, sizeof ports), sizeof ports);
	tallies_walk(&t, k, false);
	sockets_kernel_stats(k, &during);
	assert_int_equal(during.namespaces, before.namespaces + 1);
	assert_int_equal(during.namespaces_failed, 0);
	client = tallies_find(&t, ports[1], ports[0]);
	assert_non_null(client);
	assert_int_equal(client->opened, 1);
	assert_int_equal(client->sent, 4321);
	assert_int_equal(client->last.owner.pid, pid);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	client = tallies_wait_end(&t, k, ports[1], ports[0]);
	assert_complete(client, 4321, 0);
	tallies_walk(&t, k, false);
	sockets_kernel_stats(k, &after);
	assert_int_equal(after.namespaces, before.namespaces);
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(go[i]);
	}
	tallies_fini(&t);
}

static uint64_t run_time(struct sockets_kernel *k)
{
	struct sockets_kernel_stats stats;
	uint64_t ns = 0;

	sockets_kernel_stats(k, &stats);
	for (size_t i = 0; i < stats.n_programs; i++)
		ns += stats.programs[i].run_time_ns;
	return ns;
}

static void loses_none_of_5000_short_connections(void **state)
{
	enum { CONNECTIONS = 5000 };
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	uint64_t before, sent = 0, received = 0, opened = 0, closed = 0;
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 64, &port), statistics = program_stats_enable();
	uint64_t deadline = clock_monotonic_ns() + 20 * NS_PER_S;

	before = run_time(k);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct pair p = world_pair(WORLD_IPV4, listener, port);

		world_move(p.client, p.server, 100);
		world_move(p.server, p.client, 1000);
		close(p.server);
		close(p.client);
		if (i % 500 == 0)
			tallies_walk(&t, k, false);
	}
	if (statistics >= 0)
		print_message("kernel time of one end of a connection: %.0f ns\n",
		              (double)(run_time(k) - before) / (2 * CONNECTIONS));
	while (closed < 2 * CONNECTIONS && clock_monotonic_ns() < deadline) {
		tallies_drain(&t, k);
		sent = received = opened = closed = 0;
		for (size_t i = 0; i < t.count; i++) {
			if (t.all[i].last.local_port != port && t.all[i].last.remote_port != port)
				continue;
			opened += t.all[i].opened;
			closed += t.all[i].closed;
			sent += t.all[i].sent;
			received += t.all[i].received;
		}
	}
	assert_int_equal(opened, 2 * CONNECTIONS);
	assert_int_equal(closed, 2 * CONNECTIONS);
	assert_int_equal(sent, CONNECTIONS * 1100);
	assert_int_equal(received, CONNECTIONS * 1100);
	assert_nothing_lost(k);
	if (statistics >= 0)
		close(statistics);
	close(listener);
	tallies_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_payload_to_the_byte_over_ipv4),
		cmocka_unit_test(counts_payload_to_the_byte_over_ipv6),
		cmocka_unit_test(counts_payload_to_the_byte_over_mapped_ipv4),
		cmocka_unit_test(walks_and_close_together_give_each_byte_once),
		cmocka_unit_test(reports_an_open_socket_only_when_it_has_news),
		cmocka_unit_test(names_the_error_of_a_refused_connect),
		cmocka_unit_test(counts_a_socket_again_that_is_connected_again),
		cmocka_unit_test(a_connect_given_up_by_its_process_has_failed_without_an_error),
		cmocka_unit_test(names_the_error_of_a_connect_that_timed_out),
		cmocka_unit_test(counts_a_reset_once_on_each_side),
		cmocka_unit_test(names_a_process_that_has_exited),
		cmocka_unit_test(a_listener_keeps_its_owner_when_a_child_accepts),
		cmocka_unit_test(finds_sockets_that_existed_before),
		cmocka_unit_test(sees_other_network_namespaces_come_and_go),
		cmocka_unit_test(loses_none_of_5000_short_connections),
	};
	struct error error = ERROR_INIT;
	struct sockets_kernel *k;

	if (sockets_kernel_open(NULL, RING_BYTES, &k, &error) < 0) {
		printf("skipped: %s\n", error.message);
		return 77;
	}
	sockets_kernel_close(k);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
