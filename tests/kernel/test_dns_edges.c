/* The dns programs where it gets difficult: TCP, owners, other network namespaces, multicast, address
 * translation, headers with options. On the running kernel; skipped like test_dns_kernel.c. */
#include "core/base/clock.h"
#include "tests/kernel/dns_world.h"
#include "tests/kernel/sockets_world.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct dns_world_options usual = {.ring_bytes = 4 << 20, .max_pending = 4096};

static int group_setup(void **state)
{
	struct error error = ERROR_INIT;
	static struct dns_world w;

	if (dns_world_open(&w, usual, &error) < 0)
		fail_msg("%s", error.message);
	*state = &w;
	return 0;
}

static int group_teardown(void **state)
{
	dns_world_close(*state);
	return 0;
}

/* ---- TCP ---- */

struct connection {
	int listener, client, server;
};

static struct connection connection_open(struct dns_world *w, const char *address)
{
	struct dns_address at = dns_address_of(address, w->port);
	struct connection c;

	dns_world_forget(w);
	c.listener = dns_socket(SOCK_STREAM, &at, NULL);
	assert_int_equal(listen(c.listener, 4), 0);
	c.client = dns_socket(SOCK_STREAM, NULL, &at);
	c.server = accept(c.listener, NULL, NULL);
	assert_true(c.server >= 0);
	return c;
}

static void connection_close(struct connection *c)
{
	close(c->client);
	close(c->server);
	close(c->listener);
}

/* One direction at one end, put together again. */
struct stream {
	uint8_t *bytes;
	size_t length; /* on the wire */
	size_t copied;
	unsigned first, fin, reset, pieces;
	uint32_t next;
};

static void stream_read(const struct seen *seen, enum socket_role role, bool sent, struct stream *s)
{
	memset(s, 0, sizeof *s);
	s->bytes = calloc(1, 1 << 20);
	assert_non_null(s->bytes);
	for (size_t i = 0; i < seen->n_segments; i++) {
		const struct dns_segment *one = seen->segments[i];

		if (one->flow.role != role || !(one->flags & DNS_SEGMENT_SENT) == sent)
			continue;
		if (one->length) {
			if (s->pieces)
				assert_int_equal(one->sequence, s->next);
			s->next = one->sequence + one->length;
			memcpy(s->bytes + s->length, one->bytes, one->copied);
			assert_int_equal(one->owner.pid, getpid());
			s->pieces++;
		}
		s->first += !!(one->flags & DNS_SEGMENT_FIRST);
		if (one->flags & DNS_SEGMENT_FIRST)
			assert_int_equal(s->length, 0);
		s->fin += !!(one->flags & DNS_SEGMENT_FIN);
		s->reset += !!(one->flags & DNS_SEGMENT_RESET);
		s->length += one->length;
		s->copied += one->copied;
	}
}

static void assert_stream(struct dns_world *w, enum socket_role role, bool sent,
                          const uint8_t *bytes, size_t length)
{
	uint64_t deadline = clock_monotonic_ns() + 10 * NS_PER_S;
	struct stream s;

	for (;;) {
		dns_world_drain(w);
		stream_read(&w->seen, role, sent, &s);
		if (s.length >= length || clock_monotonic_ns() > deadline)
			break;
		free(s.bytes);
		poll(NULL, 0, 1);
	}
	assert_int_equal(s.length, length);
	assert_int_equal(s.copied, length);
	assert_memory_equal(s.bytes, bytes, length);
	assert_int_equal(s.first, 1);
	free(s.bytes);
}

static void check_tcp(struct dns_world *w, const char *address)
{
	struct connection c = connection_open(w, address);
	uint8_t up[600], down[300], in[1024];
	size_t length = dns_question(up + 2, 1, "tcp.example", DNS_A);

	up[0] = 0;
	up[1] = (uint8_t)length;
	memcpy(up + 2 + length, up, 2 + length); /* two messages at once */
	memset(down, 7, sizeof down);
	dns_send(c.client, up, 1, NULL); /* the length itself is split */
	dns_receive(c.server, in, sizeof in, NULL);
	dns_send(c.client, up + 1, 2 * length + 3, NULL);
	dns_receive(c.server, in, sizeof in, NULL);
	dns_send(c.server, down, sizeof down, NULL);
	dns_receive(c.client, in, sizeof in, NULL);
	for (int end = 0; end < 2; end++) {
		enum socket_role role = end ? ROLE_SERVER : ROLE_CLIENT;

		assert_stream(w, role, !end, up, 2 * length + 4);
		assert_stream(w, role, end, down, sizeof down);
	}
	connection_close(&c);
}

static void hands_over_every_byte_of_tcp_once(void **state)
{
	check_tcp(*state, "127.0.0.1");
	check_tcp(*state, "::1");
}

static void hands_over_large_segments_in_pieces(void **state)
{
	enum { SIZE = 200000 };
	struct dns_world *w = *state;
	struct connection c = connection_open(w, "127.0.0.1");
	uint8_t *out = malloc(SIZE), *in = malloc(SIZE);
	size_t sent = 0, received = 0;

	assert_non_null(out);
	assert_non_null(in);
	for (size_t i = 0; i < SIZE; i++)
		out[i] = (uint8_t)(i * 2654435761U >> 13);
	while (received < SIZE) {
		ssize_t n = sent < SIZE ? send(c.server, out + sent, SIZE - sent, MSG_DONTWAIT) : 0;

		sent += n > 0 ? (size_t)n : 0;
		n = recv(c.client, in, SIZE, n > 0 ? MSG_DONTWAIT : 0);
		received += n > 0 ? (size_t)n : 0;
	}
	assert_stream(w, ROLE_SERVER, true, out, SIZE);
	assert_stream(w, ROLE_CLIENT, false, out, SIZE);
	free(out);
	free(in);
	connection_close(&c);
}

static size_t ends_seen(const struct seen *seen, unsigned flag)
{
	size_t n = 0;

	for (size_t i = 0; i < seen->n_segments; i++)
		n += !!(seen->segments[i]->flags & flag);
	return n;
}

static void tells_how_a_connection_ended(void **state)
{
	struct dns_world *w = *state;

	for (int hard = 0; hard < 2; hard++) {
		struct connection c = connection_open(w, "127.0.0.1");
		struct linger linger = {.l_onoff = 1, .l_linger = 0};
		uint64_t deadline = clock_monotonic_ns() + 10 * NS_PER_S;
		unsigned flag = hard ? DNS_SEGMENT_RESET : DNS_SEGMENT_FIN;
		char byte;

		dns_send(c.client, "x", 1, NULL);
		dns_receive(c.server, &byte, 1, NULL);
		if (hard)
			assert_int_equal(setsockopt(c.client, SOL_SOCKET, SO_LINGER, &linger,
			                            sizeof linger),
			                 0);
		close(c.client);
		do
			dns_world_drain(w);
		while (ends_seen(&w->seen, flag) < 2 && clock_monotonic_ns() < deadline);
		assert_int_equal(ends_seen(&w->seen, flag), 2); /* at both ends */
		close(c.server);
		close(c.listener);
	}
}

static void a_connection_without_payload_gives_nothing(void **state)
{
	struct dns_world *w = *state;
	struct connection c = connection_open(w, "127.0.0.1");

	connection_close(&c);
	dns_world_drain(w);
	assert_int_equal(w->seen.n_segments, 0);
}

/* ---- owners ---- */

/* Runs a server that answers n questions in a process of its own; bound before, or there. */
static pid_t child_serves(int server, const struct dns_address *at, int n)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		uint8_t message[512];
		struct dns_address from;

		if (server < 0)
			server = dns_socket(SOCK_DGRAM, at, NULL);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (int i = 0; i < n; i++) {
			size_t length = dns_receive(server, message, sizeof message, &from);

			dns_answer_make(message, length, 0);
			dns_send(server, message, length, &from);
		}
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static const struct dns_answer *server_answer(const struct seen *s, size_t skip)
{
	for (size_t i = 0; i < s->n_answers; i++)
		if (s->answers[i]->flow.role == ROLE_SERVER && skip-- == 0)
			return s->answers[i];
	fail_msg("no answer of a server was seen");
	return NULL;
}

static void ask(int client, const char *name)
{
	uint8_t message[512];
	size_t length = dns_question(message, 1, name, DNS_A);

	dns_send(client, message, length, NULL);
	dns_receive(client, message, sizeof message, NULL);
}

static void the_server_is_who_bound_or_who_answers(void **state)
{
	struct dns_world *w = *state;
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int server, client, status;
	uint8_t message[512];
	size_t length = dns_question(message, 2, "owner.example", DNS_A);
	pid_t child;

	/* Bound by another process, which has answered nothing: */
	dns_world_forget(w);
	child = child_serves(-1, &at, 1);
	client = dns_socket(SOCK_DGRAM, NULL, &at);
	ask(client, "bound.example");
	dns_world_wait_answers(w, 2);
	assert_int_equal(server_answer(&w->seen, 0)->owner.pid, child);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(client);

	/* Bound here, and answered by one process after the other: */
	dns_world_forget(w);
	server = dns_socket(SOCK_DGRAM, &at, NULL);
	client = dns_socket(SOCK_DGRAM, NULL, &at);
	dns_send(client, message, length, NULL);
	assert_int_equal(dns_world_sweep(w), 2);
	assert_int_equal(w->seen.unanswered[0].owner.pid, getpid());
	assert_int_equal(w->seen.unanswered[1].owner.pid, getpid());
	dns_receive(server, message, sizeof message, NULL);
	for (size_t i = 0; i < 2; i++) {
		child = child_serves(server, NULL, 1);
		ask(client, "worker.example");
		dns_world_wait_answers(w, 2 * (i + 1));
		assert_int_equal(server_answer(&w->seen, i)->owner.pid, child);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	close(server);
	close(client);
}

static void a_server_from_before_is_known_by_its_first_answer(void **state)
{
	struct dns_world_options options = usual;
	struct dns_address any = dns_address_of("127.0.0.1", 0), at;
	int server = dns_socket(SOCK_DGRAM, &any, NULL), client;
	struct error error = ERROR_INIT;
	struct dns_world w;

	options.port = (uint16_t)dns_socket_port(server);
	at = dns_address_of("127.0.0.1", options.port);
	client = dns_socket(SOCK_DGRAM, NULL, &at);
	if (dns_world_open(&w, options, &error) < 0)
		fail_msg("%s", error.message);
	for (uint16_t i = 0; i < 2; i++)
		dns_exchange(client, server, NULL, i, "before.example", DNS_A, 0);
	dns_world_wait_answers(&w, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(w.seen.answers[i]->owner.pid, getpid());
	assert_int_equal(dns_world_lost(&w, DNS_LOSS_NO_OWNER), 0);
	close(client);
	close(server);
	dns_world_close(&w);
}

static void a_connection_from_before_is_owned_and_has_no_beginning(void **state)
{
	struct dns_world_options options = usual;
	struct dns_address any = dns_address_of("127.0.0.1", 0), at;
	struct connection c = {.listener = dns_socket(SOCK_STREAM, &any, NULL)};
	struct error error = ERROR_INIT;
	struct dns_world w;
	char byte;

	options.port = (uint16_t)dns_socket_port(c.listener);
	at = dns_address_of("127.0.0.1", options.port);
	assert_int_equal(listen(c.listener, 4), 0);
	c.client = dns_socket(SOCK_STREAM, NULL, &at);
	c.server = accept(c.listener, NULL, NULL);
	dns_send(c.client, "a", 1, NULL);
	dns_receive(c.server, &byte, 1, NULL);
	if (dns_world_open(&w, options, &error) < 0)
		fail_msg("%s", error.message);
	dns_send(c.client, "b", 1, NULL);
	dns_receive(c.server, &byte, 1, NULL);
	dns_send(c.server, "c", 1, NULL);
	dns_receive(c.client, &byte, 1, NULL);
	dns_world_wait_segments(&w, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct dns_segment *s = w.seen.segments[i];

		/* Of the server's direction the first byte is seen, of the client's the second. */
		assert_int_equal(!!(s->flags & DNS_SEGMENT_FIRST), s->bytes[0] == 'c');
		if (s->flags & DNS_SEGMENT_SENT)
			assert_int_equal(s->owner.pid, getpid());
	}
	connection_close(&c);
	dns_world_close(&w);
}

/* ---- other networks ---- */

struct elsewhere {
	struct dns_world *w;
	void (*run)(struct dns_world *w);
};

static void *run_elsewhere(void *arg)
{
	struct elsewhere *e = arg;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	world_loopback_up();
	e->run(e->w);
	return NULL;
}

/* In a network namespace of its own. */
static void elsewhere(struct dns_world *w, void (*run)(struct dns_world *w))
{
	struct elsewhere e = {w, run};
	pthread_t thread;

	dns_world_forget(w);
	assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, &e), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void exchange_here(struct dns_world *w)
{
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int server = dns_socket(SOCK_DGRAM, &at, NULL), client = dns_socket(SOCK_DGRAM, NULL, &at);
	struct stat s;

	dns_exchange(client, server, NULL, 1, "elsewhere.example", DNS_A, 0);
	dns_world_wait_answers(w, 2);
	assert_int_equal(stat("/proc/thread-self/ns/net", &s), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(w->seen.answers[i]->flow.netns, s.st_ino);
		assert_int_equal(w->seen.answers[i]->owner.pid, getpid());
	}
	close(client);
	close(server);
}

static void sees_other_network_namespaces(void **state)
{
	elsewhere(*state, exchange_here);
}

static void multicast_here(struct dns_world *w)
{
	struct dns_address any = dns_address_of("0.0.0.0", w->port);
	struct dns_address group = dns_address_of("239.1.2.3", w->port), here = any;
	int server = dns_socket(SOCK_DGRAM, &any, NULL), client;
	struct ip_mreq request = {.imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
	uint8_t message[512];
	struct dns_address from;
	size_t length;

	here = dns_address_of("127.0.0.1", 0);
	client = dns_socket(SOCK_DGRAM, &here, NULL);
	request.imr_multiaddr = ((struct sockaddr_in *)&group.storage)->sin_addr;
	assert_int_equal(setsockopt(server, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request,
	                            sizeof request),
	                 0);
	assert_int_equal(setsockopt(client, IPPROTO_IP, IP_MULTICAST_IF, &request.imr_interface,
	                            sizeof request.imr_interface),
	                 0);
	length = dns_question(message, 1, "group.example", DNS_A);
	dns_send(client, message, length, &group);
	dns_receive(server, message, sizeof message, &from);
	dns_answer_make(message, length, 0);
	dns_send(server, message, length, &from);
	dns_receive(client, message, sizeof message, NULL);
	dns_world_wait_answers(w, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct dns_answer *a = w->seen.answers[i];

		assert_int_equal(a->flags, 0);
		assert_int_equal(a->transmissions, 1);
		if (a->flow.role == ROLE_CLIENT)
			assert_int_equal(a->flow.remote_address[0], 239);
	}
	assert_int_equal(dns_world_sweep(w), 0);
	close(client);
	close(server);
}

static void anyone_may_answer_what_was_asked_by_multicast(void **state)
{
	elsewhere(*state, multicast_here);
}

/* Payload in the first packet, once the client has a cookie of the server. */
static void fast_open_here(struct dns_world *w)
{
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int listener = dns_socket(SOCK_STREAM, &at, NULL), on = 8;
	uint64_t unreadable = dns_world_lost(w, DNS_LOSS_UNREADABLE);

	assert_int_equal(system("echo 3 > /proc/sys/net/ipv4/tcp_fastopen"), 0);
	assert_int_equal(setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof on), 0);
	assert_int_equal(listen(listener, 4), 0);
	for (int round = 0; round < 2; round++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;
		const struct dns_segment *first = NULL;
		char in[5];

		dns_world_forget(w);
		assert_int_equal(sendto(client, "hello", 5, MSG_FASTOPEN,
		                        (struct sockaddr *)&at.storage, at.len),
		                 5);
		server = accept(listener, NULL, NULL);
		assert_int_equal(dns_receive(server, in, sizeof in, NULL), 5);
		dns_world_drain(w);
		for (size_t i = 0; i < w->seen.n_segments; i++)
			if (w->seen.segments[i]->flags & DNS_SEGMENT_SENT)
				first = w->seen.segments[i];
		assert_non_null(first);
		assert_int_equal(first->flow.role, ROLE_CLIENT);
		assert_int_equal(first->flags & DNS_SEGMENT_FIRST, DNS_SEGMENT_FIRST);
		assert_memory_equal(first->bytes, "hello", 5);
		/* The other end has no connection yet: both times, for the first client sends what
		 * it has with the end of the handshake. */
		assert_int_equal(w->seen.n_segments, 1);
		unreadable++;
		assert_int_equal(dns_world_lost(w, DNS_LOSS_UNREADABLE), unreadable);
		close(client);
		close(server);
	}
	close(listener);
}

static void payload_with_the_handshake_is_the_clients_first_and_counted_at_the_server(void **state)
{
	elsewhere(*state, fast_open_here);
}

static void mdns_here(struct dns_world *w)
{
	struct dns_address a = dns_address_of("127.0.0.1", 5353),
			   b = dns_address_of("127.0.0.2", 5353);
	int one = dns_socket(SOCK_DGRAM, &a, NULL), two = dns_socket(SOCK_DGRAM, &b, NULL);

	dns_exchange(one, two, &b, 0, "printer.local", DNS_A, 0);
	dns_world_drain(w);
	assert_int_equal(w->seen.n_answers, 0);
	assert_int_equal(dns_world_sweep(w), 0);
	assert_int_equal(dns_world_lost(w, DNS_LOSS_UNREADABLE), 0);
	close(one);
	close(two);
}

static void multicast_dns_proper_is_not_followed(void **state)
{
	struct dns_world_options options = usual;
	struct error error = ERROR_INIT;
	struct dns_world w;

	options.port = 5353;
	if (dns_world_open(&w, options, &error) < 0)
		fail_msg("%s", error.message);
	elsewhere(&w, mdns_here);
	dns_world_close(&w);
}

/* As Kubernetes and Docker do it: the program sends to an address and port that nobody has. */
static void translated_here(struct dns_world *w)
{
	struct dns_address at = dns_address_of("127.0.0.1", 0), any = at, service;
	int server = dns_socket(SOCK_DGRAM, &at, NULL), client;
	char rules[256];

	snprintf(rules, sizeof rules,
	         "nft 'add table ip t; add chain ip t out { type nat hook output priority -100; }; "
	         "add rule ip t out ip daddr 10.96.0.10 udp dport %u dnat to 127.0.0.1:%u'",
	         w->port, dns_socket_port(server));
	if (system("ip addr add 10.96.0.1/24 dev lo") != 0 || system(rules) != 0) {
		print_message("skipped: this kernel or host cannot translate addresses\n");
		close(server);
		return;
	}
	service = dns_address_of("10.96.0.10", w->port);
	for (int connected = 0; connected < 2; connected++) {
		const struct dns_answer *a;

		dns_world_forget(w);
		client = dns_socket(SOCK_DGRAM, connected ? NULL : &any,
		                    connected ? &service : NULL);
		dns_exchange(client, server, connected ? NULL : &service, 1, "translated.example",
		             DNS_A, 0);
		dns_world_wait_answers(w, 1); /* the server's own port is not watched */
		a = w->seen.answers[0];
		assert_int_equal(a->flags, 0);
		assert_int_equal(a->flow.role, ROLE_CLIENT);
		assert_int_equal(a->flow.remote_address[0], 10);
		assert_int_equal(a->flow.remote_address[3], 10);
		assert_int_equal(a->flow.remote_port, w->port);
		assert_int_equal(dns_world_sweep(w), 0);
		close(client);
	}
	close(server);
}

static void address_translation_changes_nothing(void **state)
{
	elsewhere(*state, translated_here);
}

/* ---- headers ---- */

static void options_in_headers_are_passed_over(void **state)
{
	static const uint8_t ipv4[8] = {1, 1, 1, 1, 1, 1, 1, 0};
	static const uint8_t ipv6[8] = {0, 0, 1, 4}; /* padding */
	struct dns_world *w = *state;

	/* Not connected, the server's port stands behind them in the packet only. */
	for (int variant = 0; variant < 4; variant++) {
		bool v6 = variant & 1, connected = variant & 2;
		struct dns_address at = dns_address_of(v6 ? "::1" : "127.0.0.1", w->port);
		struct dns_address any = dns_address_of(v6 ? "::1" : "127.0.0.1", 0);
		int server = dns_socket(SOCK_DGRAM, &at, NULL), r;
		int client = dns_socket(SOCK_DGRAM, &any, connected ? &at : NULL);

		r = v6 ? setsockopt(client, IPPROTO_IPV6, IPV6_DSTOPTS, ipv6, sizeof ipv6) +
		                    setsockopt(client, IPPROTO_IPV6, IPV6_HOPOPTS, ipv6,
		                               sizeof ipv6)
		       : setsockopt(client, IPPROTO_IP, IP_OPTIONS, ipv4, sizeof ipv4);
		assert_int_equal(r, 0);
		dns_world_forget(w);
		dns_exchange(client, server, connected ? NULL : &at, 1, "options.example", DNS_A,
		             0);
		dns_world_wait_answers(w, 2);
		close(client);
		close(server);
	}
}

static void ipv4_of_an_ipv6_socket_is_told_as_ipv4(void **state)
{
	struct dns_world *w = *state;
	struct dns_address any = dns_address_of("::", w->port), free = dns_address_of("::", 0);
	struct dns_address at = dns_address_of("::ffff:127.0.0.1", w->port);
	int server = dns_socket(SOCK_DGRAM, &any, NULL);

	for (int connected = 0; connected < 2; connected++) {
		int client = dns_socket(SOCK_DGRAM, &free, connected ? &at : NULL);

		dns_world_forget(w);
		dns_exchange(client, server, connected ? NULL : &at, 1, "mapped.example", DNS_A, 0);
		dns_world_wait_answers(w, 2);
		for (size_t i = 0; i < 2; i++) {
			const struct dns_flow *f = &w->seen.answers[i]->flow;

			assert_int_equal(f->family, AF_INET);
			assert_memory_equal(f->local_address, "\x7f\0\0\1\0\0\0", 8);
			assert_memory_equal(f->remote_address, "\x7f\0\0\1\0\0\0", 8);
		}
		assert_int_equal(dns_world_sweep(w), 0);
		close(client);
	}
	close(server);
}

static void large_answers_come_in_fragments_and_are_whole(void **state)
{
	struct dns_world *w = *state;
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int server = dns_socket(SOCK_DGRAM, &at, NULL), client = dns_socket(SOCK_DGRAM, NULL, &at);
	int discover = IP_PMTUDISC_DONT;

	assert_int_equal(setsockopt(server, IPPROTO_IP, IP_MTU_DISCOVER, &discover,
	                            sizeof discover),
	                 0);
	dns_world_forget(w);
	dns_exchange(client, server, NULL, 1, "fragments.example", DNS_A, 65000);
	dns_world_wait_answers(w, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(w->seen.answers[i]->length, 65000);
		assert_int_equal(w->seen.answers[i]->copied, DNS_MESSAGE_COPIED);
	}
	close(client);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_over_every_byte_of_tcp_once),
		cmocka_unit_test(hands_over_large_segments_in_pieces),
		cmocka_unit_test(tells_how_a_connection_ended),
		cmocka_unit_test(a_connection_without_payload_gives_nothing),
		cmocka_unit_test(the_server_is_who_bound_or_who_answers),
		cmocka_unit_test(a_server_from_before_is_known_by_its_first_answer),
		cmocka_unit_test(a_connection_from_before_is_owned_and_has_no_beginning),
		cmocka_unit_test(sees_other_network_namespaces),
		cmocka_unit_test(anyone_may_answer_what_was_asked_by_multicast),
		cmocka_unit_test(
			payload_with_the_handshake_is_the_clients_first_and_counted_at_the_server),
		cmocka_unit_test(multicast_dns_proper_is_not_followed),
		cmocka_unit_test(address_translation_changes_nothing),
		cmocka_unit_test(options_in_headers_are_passed_over),
		cmocka_unit_test(ipv4_of_an_ipv6_socket_is_told_as_ipv4),
		cmocka_unit_test(large_answers_come_in_fragments_and_are_whole),
	};
	struct error error = ERROR_INIT;
	struct dns_world w;

	if (dns_world_open(&w, usual, &error) < 0) {
		printf("skipped: %s\n", error.message);
		return 77;
	}
	dns_world_close(&w);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
