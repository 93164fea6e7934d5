/* Listening, accepted connections, and what both do when the process runs out of descriptors. */
#include "core/net/tcp.h"
#include "tests/support/folder.h"
#include "tests/unit/net/net_test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { CONNECTIONS = 8 };

struct server;

struct connection {
	struct server *server;
	struct tcp *tcp;
	char peer[300];
	size_t received;
	bool ended;
};

struct server {
	struct net_test *net;
	struct tcp_listener *listener;
	struct connection connections[CONNECTIONS];
	unsigned accepted, freed, drained;
	bool pausing;
};

static void on_data(void *arg, struct slice bytes)
{
	((struct connection *)arg)->received += bytes.len;
}

static void on_drained(void *arg)
{
	((struct connection *)arg)->server->drained++;
}

static void on_end(void *arg, const struct error *error)
{
	(void)error;
	((struct connection *)arg)->ended = true;
}

static const struct tcp_events events = {.on_data = on_data,
                                         .on_drained = on_drained,
                                         .on_end = on_end};

static void on_accept(void *arg, struct tcp *t)
{
	struct server *s = arg;
	struct connection *c = &s->connections[s->accepted++];

	assert_true(s->accepted <= CONNECTIONS);
	c->server = s;
	c->tcp = t;
	snprintf(c->peer, sizeof c->peer, "%s", tcp_peer(t));
	tcp_serve(t, &events, c);
	if (s->pausing)
		tcp_pause(t, true);
}

static void begin(struct server *s, void **state, const char *text)
{
	struct endpoint endpoint = net_test_endpoint(text);

	*s = (struct server){.net = *state};
	assert_int_equal(tcp_listen(s->net->loop, &endpoint, on_accept, s, &s->listener, NULL), 0);
}

static void on_freed(void *arg)
{
	((struct server *)arg)->freed++;
}

static void end(struct server *s)
{
	for (unsigned i = 0; i < s->accepted; i++)
		tcp_free(s->connections[i].tcp, on_freed, s);
	tcp_listener_free(s->listener);
	net_test_wait_count(s->net, &s->freed, s->accepted);
}

/* ---- peers: plain sockets of the system */

static void connect_to(const struct server *s, int fd)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons(tcp_listener_port(s->listener)),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
}

static int peer_new(const struct server *s)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	connect_to(s, fd);
	return fd;
}

/* Writes until the kernel takes no more, or limit bytes. */
static size_t fill(int fd, size_t limit)
{
	static char zeros[65536];
	size_t sent = 0;

	while (sent < limit) {
		size_t left = limit - sent;
		ssize_t n = send(fd, zeros, left < sizeof zeros ? left : sizeof zeros,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	return sent;
}

static void net_wait_bytes(struct server *s, const size_t *have, size_t wanted)
{
	uint64_t end_ns = clock_monotonic_ns() + 20 * NS_PER_S;

	while (*have < wanted && clock_monotonic_ns() < end_ns)
		loop_run_once(s->net->loop);
	assert_int_equal(*have, wanted);
}

/* ---- accepted connections */

static void find_tcp(uv_handle_t *handle, void *arg)
{
	int fd;

	if (handle->type == UV_TCP && uv_fileno(handle, &fd) == 0)
		*(int *)arg = fd;
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void notices_peers_that_are_gone_without_a_word(void **state)
{
	struct server s;
	int peer, fd = -1;

	begin(&s, state, "127.0.0.1:0");
	peer = peer_new(&s);
	net_test_wait_count(s.net, &s.accepted, 1);
	uv_walk(loop_uv(s.net->loop), find_tcp, &fd);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
	close(peer);
	end(&s);
}

static void reads_nothing_while_it_is_paused(void **state)
{
	struct server s;
	size_t sent;
	int peer;

	begin(&s, state, "127.0.0.1:0");
	s.pausing = true;
	peer = peer_new(&s);
	net_test_wait_count(s.net, &s.accepted, 1);
	sent = fill(peer, 100000);
	for (unsigned i = 0; i < 5; i++)
		loop_run_once(s.net->loop);
	assert_int_equal(s.connections[0].received, 0);
	tcp_pause(s.connections[0].tcp, false);
	net_wait_bytes(&s, &s.connections[0].received, sent);
	tcp_pause(s.connections[0].tcp, true);
	close(peer);
	for (unsigned i = 0; i < 5; i++)
		loop_run_once(s.net->loop);
	assert_false(s.connections[0].ended);
	tcp_pause(s.connections[0].tcp, false);
	net_test_wait(s.net, &s.connections[0].ended);
	end(&s);
}

/* Whoever always has more to read gets his turn, and then the others theirs. */
static void gives_every_connection_its_turn(void **state)
{
	enum { MUCH = 4 * 1024 * 1024, TURN = 256 * 1024 };
	struct server s;
	size_t sent, before = 0;
	int peer;

	begin(&s, state, "127.0.0.1:0");
	s.pausing = true;
	peer = peer_new(&s);
	net_test_wait_count(s.net, &s.accepted, 1);
	sent = fill(peer, MUCH);
	tcp_pause(s.connections[0].tcp, false);
	while (s.connections[0].received < sent) {
		loop_run_once(s.net->loop);
		assert_true(s.connections[0].received - before <= TURN);
		before = s.connections[0].received;
	}
	close(peer);
	end(&s);
}

/* Who would have to keep what comes too early reads little at once. */
static void reads_as_much_at_once_as_it_is_told_to(void **state)
{
	enum { MUCH = 1000000, SIZE = 10000 };
	struct server s;
	size_t sent, before = 0;
	int peer;

	begin(&s, state, "127.0.0.1:0");
	s.pausing = true;
	peer = peer_new(&s);
	net_test_wait_count(s.net, &s.accepted, 1);
	tcp_set_read_size(s.connections[0].tcp, SIZE);
	sent = fill(peer, MUCH);
	tcp_pause(s.connections[0].tcp, false);
	while (s.connections[0].received < sent) {
		loop_run_once(s.net->loop);
		assert_true(s.connections[0].received - before <= SIZE);
		before = s.connections[0].received;
	}
	close(peer);
	end(&s);
}

static void sends_many_pieces_in_order(void **state)
{
	enum { PIECES = 5000, EACH = 1000 };
	static uint8_t bytes[PIECES * EACH], got[sizeof bytes];
	struct slice pieces[PIECES];
	struct server s;
	size_t have = 0;
	int peer;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	for (size_t i = 0; i < PIECES; i++)
		pieces[i] = slice_of(bytes + i * EACH, EACH);
	begin(&s, state, "127.0.0.1:0");
	peer = peer_new(&s);
	net_test_wait_count(s.net, &s.accepted, 1);
	assert_true(tcp_write(s.connections[0].tcp, pieces, PIECES));
	assert_true(tcp_unsent(s.connections[0].tcp) > 0); /* more than the kernel takes */
	while (have < sizeof bytes) {
		ssize_t n = recv(peer, got + have, sizeof got - have, MSG_DONTWAIT);
		if (n > 0)
			have += (size_t)n;
		else
			loop_run_once(s.net->loop);
	}
	assert_memory_equal(got, bytes, sizeof bytes);
	net_test_wait_count(s.net, &s.drained, 1);
	close(peer);
	end(&s);
}

/* ---- no descriptor left */

/* Takes every descriptor that is left under a limit of 200. */
static unsigned take_all(int taken[200])
{
	unsigned n = 0;
	int fd;

	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		taken[n++] = fd;
	assert_int_equal(errno, EMFILE);
	return n;
}

static void turns_connections_away_when_no_descriptor_is_left(void **state)
{
	enum { PEERS = 5, ROUNDS = 30 };
	struct rlimit limit, low;
	struct server s;
	int peers[PEERS], taken[200], late;
	unsigned n;
	uint64_t began;
	char byte;

	begin(&s, state, "127.0.0.1:0");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = (struct rlimit){200, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (unsigned i = 0; i < PEERS; i++)
		peers[i] = socket(AF_INET, SOCK_STREAM, 0);
	late = socket(AF_INET, SOCK_STREAM, 0);
	n = take_all(taken);
	for (unsigned i = 0; i < PEERS; i++)
		connect_to(&s, peers[i]);
	while (tcp_listener_exhausted(s.listener) < PEERS)
		loop_run_once(s.net->loop);
	for (unsigned i = 0; i < PEERS; i++) {
		assert_int_equal(recv(peers[i], &byte, 1, 0), 0);
		close(peers[i]);
	}
	/* The loop sleeps from one tick of the test to the next. */
	began = clock_monotonic_ns();
	n += take_all(taken + n);
	for (unsigned i = 0; i < ROUNDS; i++)
		loop_run_once(s.net->loop);
	assert_true(clock_monotonic_ns() - began > ROUNDS * 5 * NS_PER_MS);
	while (n > 0)
		close(taken[--n]);
	connect_to(&s, late);
	net_test_wait_count(s.net, &s.accepted, 1);
	assert_int_equal(tcp_listener_exhausted(s.listener), PEERS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(late);
	end(&s);
}

/* ---- Unix sockets */

static struct endpoint endpoint_of(const char *name)
{
	char text[200];

	snprintf(text, sizeof text, "unix://%s", folder_at(name));
	return net_test_endpoint(text);
}

static int socket_at(const char *name, int (*use)(int fd, const struct sockaddr *to, socklen_t len))
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", folder_at(name));
	assert_int_equal(use(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static bool exists(const char *name)
{
	struct stat file;

	return lstat(folder_at(name), &file) == 0;
}

static void listens_on_a_path_and_removes_it(void **state)
{
	char wanted[200];
	struct server s;
	int peer;

	begin(&s, state, endpoint_of("socket").text);
	assert_int_equal(tcp_listener_port(s.listener), 0);
	peer = socket_at("socket", connect);
	net_test_wait_count(s.net, &s.accepted, 1);
	snprintf(wanted, sizeof wanted, "unix:%s", folder_at("socket"));
	assert_string_equal(s.connections[0].peer, wanted);
	fill(peer, 1000);
	net_wait_bytes(&s, &s.connections[0].received, 1000);
	close(peer);
	end(&s);
	assert_false(exists("socket"));
}

static void replaces_a_socket_that_nobody_listens_on(void **state)
{
	struct server s;
	int peer;

	close(socket_at("stale", bind));
	assert_true(exists("stale"));
	begin(&s, state, endpoint_of("stale").text);
	peer = socket_at("stale", connect);
	net_test_wait_count(s.net, &s.accepted, 1);
	close(peer);
	end(&s);
	assert_false(exists("stale"));
}

static void leaves_a_file_that_is_not_its_own(void **state)
{
	struct server s;
	int other;

	begin(&s, state, endpoint_of("taken").text);
	assert_int_equal(unlink(folder_at("taken")), 0);
	other = socket_at("taken", bind);
	end(&s);
	assert_true(exists("taken"));
	close(other);
}

static void refuses(void **state, const char *name, const char *why)
{
	struct net_test *net = *state;
	struct endpoint endpoint = endpoint_of(name);
	struct error error = ERROR_INIT;
	struct tcp_listener *listener;
	char wanted[700];

	snprintf(wanted, sizeof wanted, "listen on %s: %s", endpoint.text, why);
	assert_true(tcp_listen(net->loop, &endpoint, on_accept, NULL, &listener, &error) < 0);
	assert_string_equal(error.message, wanted);
}

static void says_why_a_path_cannot_be_listened_on(void **state)
{
	int other;

	other = socket_at("busy", bind);
	assert_int_equal(listen(other, 1), 0);
	refuses(state, "busy",
	        "address already in use; stop the process that listens there or choose another "
	        "path");
	assert_true(exists("busy"));
	close(other);
	close(creat(folder_at("file"), 0600));
	refuses(state, "file",
	        "address already in use; the file is no socket: remove it or choose another path");
	assert_true(exists("file"));
	refuses(state, "none/socket", "no such file or directory; make the folder of the socket");
}

static void says_that_a_port_is_taken(void **state)
{
	struct error error = ERROR_INIT;
	struct tcp_listener *second;
	struct endpoint endpoint;
	struct server s;
	char text[64], wanted[200];

	begin(&s, state, "127.0.0.1:0");
	snprintf(text, sizeof text, "127.0.0.1:%u", tcp_listener_port(s.listener));
	snprintf(wanted, sizeof wanted,
	         "listen on %s: address already in use; stop what listens there or choose another "
	         "port",
	         text);
	endpoint = net_test_endpoint(text);
	assert_true(tcp_listen(s.net->loop, &endpoint, on_accept, NULL, &second, &error) < 0);
	assert_string_equal(error.message, wanted);
	end(&s);
}

static void listens_on_all_addresses_of_both_families(void **state)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct server s;
	int peer, peer6;

	begin(&s, state, ":0");
	peer = peer_new(&s);
	net_test_wait_count(s.net, &s.accepted, 1);
	assert_int_equal(strncmp(s.connections[0].peer, "[::ffff:127.0.0.1]:", 19), 0);
	to.sin6_port = htons(tcp_listener_port(s.listener));
	peer6 = socket(AF_INET6, SOCK_STREAM, 0);
	if (peer6 >= 0 && connect(peer6, (struct sockaddr *)&to, sizeof to) == 0) {
		net_test_wait_count(s.net, &s.accepted, 2);
		assert_int_equal(strncmp(s.connections[1].peer, "[::1]:", 6), 0);
	}
	close(peer6);
	close(peer);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(notices_peers_that_are_gone_without_a_word),
		NET_TEST(reads_nothing_while_it_is_paused),
		NET_TEST(gives_every_connection_its_turn),
		NET_TEST(reads_as_much_at_once_as_it_is_told_to),
		NET_TEST(sends_many_pieces_in_order),
		NET_TEST(turns_connections_away_when_no_descriptor_is_left),
		NET_TEST(listens_on_a_path_and_removes_it),
		NET_TEST(replaces_a_socket_that_nobody_listens_on),
		NET_TEST(leaves_a_file_that_is_not_its_own),
		NET_TEST(says_why_a_path_cannot_be_listened_on),
		NET_TEST(says_that_a_port_is_taken),
		NET_TEST(listens_on_all_addresses_of_both_families),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
