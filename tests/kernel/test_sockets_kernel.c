/* The sockets programs on the running kernel, with real connections. Needs the rights that the
 * receiver needs; without them it is skipped and says why. */
#include "bpf/host/program_stats.h"
#include "core/base/clock.h"
#include "tests/kernel/sockets_world.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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
	char name[OWNER_NAME_LEN], byte;
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
	assert_int_equal(client->last.role, ROLE_CLIENT);
	assert_int_equal(client->last.family, family == WORLD_IPV6 ? AF_INET6 : AF_INET);
	assert_int_equal(client->last.error, 0);
	assert_true(client->last.started_ns > 0);
	assert_true(client->last.established_ns > client->last.started_ns);
	assert_true(client->last.at_ns > client->last.established_ns);
	assert_true(client->last.srtt_us > 0 && client->last.min_rtt_us > 0);
	assert_owned_by(client, getpid(), world_executable(name));
	server = tallies_wait_end(&t, k, port, p.client_port);
	assert_complete(server, 4 * DOWN, 4 * UP);
	assert_int_equal(server->last.role, ROLE_SERVER);
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
	assert_int_equal(client->last.role, ROLE_CLIENT);
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
	char name[OWNER_NAME_LEN], byte;
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
	char name[OWNER_NAME_LEN];
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
	assert_int_equal(client->last.role, ROLE_CLIENT);
	assert_int_equal(client->last.established_ns, 0);
	assert_owned_by(client, getpid(), name);
	assert_int_equal(server->preexisting, 1);
	assert_int_equal(server->received, 100);
	assert_int_equal(server->last.role, ROLE_SERVER);
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

/* A process in a network namespace of its own, with one connection that has moved OTHER_BYTES. It
 * exits, and the namespace with it, when told to. */
struct other {
	pid_t pid;
	int go;
	unsigned port, client_port;
};
enum { OTHER_BYTES = 4321 };

static void other_main(int up, int go)
{
	unsigned ports[2];
	struct pair p;
	int listener;
	char byte;

	if (unshare(CLONE_NEWNET) < 0)
		_exit(1);
	world_loopback_up();
	listener = world_listen(WORLD_IPV4, 8, &ports[0]);
	p = world_pair(WORLD_IPV4, listener, ports[0]);
	ports[1] = p.client_port;
	world_move(p.client, p.server, OTHER_BYTES);
	if (write(up, ports, sizeof ports) != sizeof ports || read(go, &byte, 1) != 1)
		_exit(1);
	_exit(0);
}

static struct other other_start(void)
{
	struct other o;
	unsigned ports[2];
	int up[2], go[2];

	assert_int_equal(pipe(up), 0);
	assert_int_equal(pipe(go), 0);
	o.pid = fork();
	if (o.pid == 0)
		other_main(up[1], go[0]);
	close(up[1]);
	close(go[0]);
	assert_int_equal(read(up[0], ports, sizeof ports), sizeof ports);
	close(up[0]);
	o.go = go[1];
	o.port = ports[0];
	o.client_port = ports[1];
	return o;
}

static void other_stop(struct other *o)
{
	int status;

	assert_int_equal(write(o->go, "x", 1), 1);
	assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
	assert_int_equal(status, 0);
	close(o->go);
}

/* Ports repeat between namespaces: by owner and role. */
static struct tally *other_find(const struct tallies *t, const struct other *o, unsigned role)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->all[i].last.owner.pid == (uint32_t)o->pid && t->all[i].last.role == role)
			return &t->all[i];
	fail_msg("the connection of process %d was not found", o->pid);
	return NULL;
}

static void follows_connections_of_other_network_namespaces(void **state)
{
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct other o = other_start();
	struct tally *client;

	tallies_walk(&t, k, false);
	client = other_find(&t, &o, ROLE_CLIENT);
	assert_int_equal(client->opened, 1);
	assert_int_equal(client->sent, OTHER_BYTES);
	other_stop(&o);
	client = tallies_wait_end(&t, k, o.client_port, o.port);
	assert_complete(client, OTHER_BYTES, 0);
	tallies_fini(&t);
}

static void finds_what_existed_in_many_network_namespaces(void **state)
{
	enum {
		OTHERS = 12
	}; /* more than the start takes time for: the first walk finds the rest */
	struct other others[OTHERS];
	struct sockets_kernel_stats stats;
	struct tallies t = {0};
	struct sockets_kernel *k;

	for (int i = 0; i < OTHERS; i++)
		others[i] = other_start();
	k = open_kernel();
	tallies_walk(&t, k, false);
	sockets_kernel_stats(k, &stats);
	assert_true(stats.namespaces >= OTHERS + 1);
	for (int i = 0; i < OTHERS; i++) {
		struct tally *client = other_find(&t, &others[i], ROLE_CLIENT);
		struct tally *server = other_find(&t, &others[i], ROLE_SERVER);

		assert_int_equal(client->preexisting, 1);
		assert_int_equal(client->opened, 0);
		assert_int_equal(client->last.total_sent_bytes, OTHER_BYTES);
		assert_int_equal(server->preexisting, 1);
		assert_int_equal(server->last.total_received_bytes, OTHER_BYTES);
		assert_int_not_equal(server->last.netns, 0);
		assert_int_equal(server->last.netns, client->last.netns);
	}
	for (int i = 0; i < OTHERS; i++)
		other_stop(&others[i]);
	sockets_kernel_close(k);
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

enum { SHORT_UP = 100, SHORT_DOWN = 1000 };

static void short_connections(int listener, unsigned port, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct pair p = world_pair(WORLD_IPV4, listener, port);

		world_move(p.client, p.server, SHORT_UP);
		world_move(p.server, p.client, SHORT_DOWN);
		close(p.server);
		close(p.client);
	}
}

/* Everything that is known of the connections to one port. */
static struct tally sum_of(const struct tallies *t, unsigned port)
{
	struct tally sum = {0};

	for (size_t i = 0; i < t->count; i++) {
		const struct tally *one = &t->all[i];

		if (one->last.local_port != port && one->last.remote_port != port)
			continue;
		sum.opened += one->opened;
		sum.closed += one->closed;
		sum.sent += one->sent;
		sum.received += one->received;
	}
	return sum;
}

static void loses_none_of_5000_short_connections(void **state)
{
	enum { CONNECTIONS = 5000 };
	struct sockets_kernel *k = *state;
	struct tallies t = {0};
	struct tally sum = {0};
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 64, &port), statistics = program_stats_enable();
	uint64_t deadline, before = run_time(k);

	for (int i = 0; i < CONNECTIONS; i += 100) {
		short_connections(listener, port, 100);
		tallies_drain(&t, k);
	}
	if (statistics >= 0)
		print_message("kernel time of one end of a connection: %.0f ns\n",
		              (double)(run_time(k) - before) / (2 * CONNECTIONS));
	deadline = clock_monotonic_ns() + 10 * NS_PER_S;
	while (sum.closed < 2 * CONNECTIONS && clock_monotonic_ns() < deadline) {
		tallies_drain(&t, k);
		sum = sum_of(&t, port);
	}
	assert_int_equal(sum.opened, 2 * CONNECTIONS);
	assert_int_equal(sum.closed, 2 * CONNECTIONS);
	assert_int_equal(sum.sent, CONNECTIONS * (SHORT_UP + SHORT_DOWN));
	assert_int_equal(sum.received, CONNECTIONS * (SHORT_UP + SHORT_DOWN));
	assert_nothing_lost(k);
	if (statistics >= 0)
		close(statistics);
	close(listener);
	tallies_fini(&t);
}

struct background {
	int listener;
	unsigned port, connections;
	atomic_bool done;
};

static void *connect_in_background(void *arg)
{
	struct background *b = arg;

	short_connections(b->listener, b->port, b->connections);
	atomic_store(&b->done, true);
	return NULL;
}

static void walks_that_race_with_closes_give_each_byte_once(void **state)
{
	struct sockets_kernel *k = *state;
	struct background b = {.connections = 1000};
	struct tallies t = {0};
	struct tally sum;
	pthread_t thread;
	uint64_t deadline;

	b.listener = world_listen(WORLD_IPV4, 64, &b.port);
	assert_int_equal(pthread_create(&thread, NULL, connect_in_background, &b), 0);
	while (!atomic_load(&b.done))
		tallies_walk(&t, k, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	deadline = clock_monotonic_ns() + 10 * NS_PER_S;
	do {
		tallies_drain(&t, k);
		sum = sum_of(&t, b.port);
	} while (sum.closed < 2 * b.connections && clock_monotonic_ns() < deadline);
	assert_int_equal(sum.opened, 2 * b.connections);
	assert_int_equal(sum.closed, 2 * b.connections);
	assert_int_equal(sum.sent, b.connections * (SHORT_UP + SHORT_DOWN));
	assert_int_equal(sum.received, b.connections * (SHORT_UP + SHORT_DOWN));
	close(b.listener);
	tallies_fini(&t);
}

static void connections_made_during_the_start_are_whole_and_owned(void **state)
{
	struct background b = {.connections = 3000};
	struct tallies t = {0};
	struct sockets_kernel *k;
	pthread_t thread;

	b.listener = world_listen(WORLD_IPV4, 64, &b.port);
	assert_int_equal(pthread_create(&thread, NULL, connect_in_background, &b), 0);
	k = open_kernel();
	assert_int_equal(pthread_join(thread, NULL), 0);
	tallies_walk(&t, k, true);
	tallies_drain(&t, k);
	for (size_t i = 0; i < t.count; i++) {
		const struct tally *one = &t.all[i];

		if (one->last.local_port != b.port && one->last.remote_port != b.port)
			continue;
		assert_int_equal(one->opened + one->preexisting, 1);
		assert_int_equal(one->closed, 1);
		if (one->last.local_port != b.port)
			continue;
		assert_int_equal(one->last.role, ROLE_SERVER);
		assert_int_equal(one->last.owner.pid, getpid());
	}
	close(b.listener);
	sockets_kernel_close(k);
	tallies_fini(&t);
}

/* Lost units that cannot be ours: other connections of this host that closed meanwhile. */
static uint64_t others_lost(unsigned connections)
{
	enum { SMALL_RING = 65536 };
	struct sockets_kernel_stats stats;
	struct sockets_kernel *k;
	struct error error = ERROR_INIT;
	struct tallies t = {0};
	struct tally sum;
	struct pollfd readable;
	unsigned port;
	int listener = world_listen(WORLD_IPV4, 64, &port);
	uint64_t ends, bytes;

	if (sockets_kernel_open(NULL, SMALL_RING, &k, &error) < 0)
		fail_msg("%s", error.message);
	readable = (struct pollfd){.fd = sockets_kernel_fd(k), .events = POLLIN};
	tallies_drain(&t, k);
	short_connections(listener, port, 10);
	assert_int_equal(poll(&readable, 1, 0), 0); /* below the watermark nobody is woken */
	short_connections(listener, port, connections - 10);
	assert_int_equal(poll(&readable, 1, 1000), 1);
	sockets_kernel_stats(k, &stats);
	assert_int_equal(stats.ring_bytes, SMALL_RING);
	assert_true(stats.ring_used_bytes > SMALL_RING - 512);
	assert_true(stats.losses[SOCKETS_LOSS_RING_FULL] > 0);

	tallies_drain(&t, k);
	sum = sum_of(&t, port);
	sockets_kernel_stats(k, &stats);
	ends = sum.closed + stats.losses[SOCKETS_LOSS_RING_FULL];
	bytes = sum.sent + sum.received + stats.losses[SOCKETS_LOSS_RING_BYTES];
	assert_true(ends >= 2 * connections);
	assert_true(bytes >= 2 * connections * (SHORT_UP + SHORT_DOWN));
	sockets_kernel_close(k);
	close(listener);
	tallies_fini(&t);
	return ends - 2 * connections + bytes - 2 * connections * (SHORT_UP + SHORT_DOWN);
}

static void counts_to_the_unit_what_does_not_fit_into_the_ring(void **state)
{
	for (int attempt = 0; attempt < 10; attempt++)
		if (others_lost(1000) == 0)
			return;
	fail_msg("more was counted as lost than there was");
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
		cmocka_unit_test(follows_connections_of_other_network_namespaces),
		cmocka_unit_test(finds_what_existed_in_many_network_namespaces),
		cmocka_unit_test(loses_none_of_5000_short_connections),
		cmocka_unit_test(walks_that_race_with_closes_give_each_byte_once),
		cmocka_unit_test(connections_made_during_the_start_are_whole_and_owned),
		cmocka_unit_test(counts_to_the_unit_what_does_not_fit_into_the_ring),
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
