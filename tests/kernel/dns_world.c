#include "tests/kernel/dns_world.h"

#include "core/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Room for one more in an array that grows by 64. */
#define APPEND(array, n)                                                                           \
	((n) % 64 == 0 ? (array) = realloc((array), ((n) + 64) * sizeof *(array)) : (array),       \
	 assert_non_null(array), &(array)[(n)++])

static void *copy_of(const void *head, size_t size, struct slice rest)
{
	uint8_t *copy = malloc(size + rest.len);

	assert_non_null(copy);
	memcpy(copy, head, size);
	memcpy(copy + size, rest.data, rest.len);
	return copy;
}

static void on_answer(void *arg, const struct dns_answer *answer, struct slice message)
{
	struct seen *s = arg;

	if (s->quiet)
		s->n_answers++;
	else
		*APPEND(s->answers, s->n_answers) = copy_of(answer, sizeof *answer, message);
}

static void on_segment(void *arg, const struct dns_segment *segment, struct slice bytes)
{
	struct seen *s = arg;

	if (s->quiet)
		s->n_segments++;
	else
		*APPEND(s->segments, s->n_segments) = copy_of(segment, sizeof *segment, bytes);
}

static void seen_fini(struct seen *s)
{
	for (size_t i = 0; s->answers && i < s->n_answers; i++)
		free(s->answers[i]);
	for (size_t i = 0; s->segments && i < s->n_segments; i++)
		free(s->segments[i]);
	free(s->answers);
	free(s->segments);
	free(s->unanswered);
	memset(s, 0, sizeof *s);
}

static void on_unanswered(void *arg, const struct dns_pending *pending)
{
	struct seen *s = arg;

	if (s->quiet)
		s->n_unanswered++;
	else
		*APPEND(s->unanswered, s->n_unanswered) = *pending;
}

/* A port that is free for UDP and TCP. */
static uint16_t free_port(void)
{
	for (;;) {
		struct dns_address any = dns_address_of("0.0.0.0", 0);
		int udp = dns_socket(SOCK_DGRAM, &any, NULL), tcp;
		unsigned port = dns_socket_port(udp);
		int r;

		any = dns_address_of("0.0.0.0", port);
		tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		r = bind(tcp, (struct sockaddr *)&any.storage, any.len);
		close(tcp);
		close(udp);
		if (r == 0)
			return (uint16_t)port;
	}
}

int dns_world_open(struct dns_world *w, struct dns_world_options options, struct error *error)
{
	struct dns_kernel_handler handler = {on_answer, on_segment, on_unanswered, &w->seen};
	uint16_t port = options.port ? options.port : free_port();
	struct dns_kernel_limits limits = {options.ring_bytes, options.max_pending, &port, 1};
	int r;

	memset(w, 0, sizeof *w);
	w->port = port;
	r = dns_kernel_open(NULL, &limits, &handler, &w->kernel, error);
	return r;
}

void dns_world_close(struct dns_world *w)
{
	dns_kernel_close(w->kernel);
	seen_fini(&w->seen);
}

void dns_world_drain(struct dns_world *w)
{
	while (dns_kernel_drain(w->kernel, 1000) > 0)
		;
}

void dns_world_forget(struct dns_world *w)
{
	dns_world_sweep(w);
	dns_world_drain(w);
	seen_fini(&w->seen);
}

static void wait_for(struct dns_world *w, const size_t *count, size_t n, const char *what)
{
	uint64_t deadline = clock_monotonic_ns() + 10 * NS_PER_S;

	for (;;) {
		dns_world_drain(w);
		if (*count >= n)
			break;
		if (clock_monotonic_ns() > deadline)
			fail_msg("%zu of %zu %s were seen", *count, n, what);
		poll(NULL, 0, 1);
	}
	assert_int_equal(*count, n);
}

void dns_world_wait_answers(struct dns_world *w, size_t n)
{
	wait_for(w, &w->seen.n_answers, n, "answers");
}

void dns_world_wait_segments(struct dns_world *w, size_t n)
{
	wait_for(w, &w->seen.n_segments, n, "segments");
}

size_t dns_world_sweep(struct dns_world *w)
{
	uint64_t now = clock_monotonic_ns() + 1;
	size_t all = 0;
	bool more;
	int n;

	do {
		n = dns_kernel_sweep(w->kernel, now, 1000, &more);
		assert_true(n >= 0);
		all += (size_t)n;
	} while (n > 0 || more);
	return all;
}

uint64_t dns_world_lost(struct dns_world *w, enum dns_loss why)
{
	struct dns_kernel_stats stats;

	dns_kernel_stats(w->kernel, &stats);
	return stats.losses[why];
}

struct dns_address dns_address_of(const char *text, unsigned port)
{
	struct dns_address a = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		a.len = sizeof *v4;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		a.len = sizeof *v6;
	}
	return a;
}

unsigned dns_address_port(const struct dns_address *a)
{
	return ntohs(a->storage.ss_family == AF_INET
	                     ? ((const struct sockaddr_in *)&a->storage)->sin_port
	                     : ((const struct sockaddr_in6 *)&a->storage)->sin6_port);
}

int dns_socket(int type, const struct dns_address *local, const struct dns_address *peer)
{
	const struct dns_address *one = local ? local : peer;
	int fd = socket(one ? one->storage.ss_family : AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	if (local)
		assert_int_equal(bind(fd, (const struct sockaddr *)&local->storage, local->len), 0);
	if (peer)
		assert_int_equal(connect(fd, (const struct sockaddr *)&peer->storage, peer->len),
		                 0);
	return fd;
}

unsigned dns_socket_port(int fd)
{
	struct dns_address a = {.len = sizeof a.storage};

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a.storage, &a.len), 0);
	return dns_address_port(&a);
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

size_t dns_question(uint8_t message[512], uint16_t id, const char *name, uint16_t type)
{
	size_t at = 12;

	memset(message, 0, 512);
	put16(message, id);
	message[2] = 1; /* recursion desired */
	message[5] = 1;
	while (*name) {
		size_t label = strcspn(name, ".");

		assert_true(label > 0 && label < 64 && at + label < 400);
		message[at] = (uint8_t)label;
		memcpy(message + at + 1, name, label);
		at += label + 1;
		name += label + (name[label] == '.');
	}
	put16(message + at + 1, type);
	put16(message + at + 3, 1);
	return at + 5;
}

void dns_answer_make(uint8_t *message, size_t length, size_t size)
{
	message[2] |= 0x80;
	if (size <= length)
		return;
	assert_true(size >= length + 11);
	memset(message + length, 0, size - length);
	message[11] = 1;
	put16(message + length + 1, 41);
	put16(message + length + 9, size - length - 11);
}

void dns_send(int fd, const void *message, size_t length, const struct dns_address *to)
{
	ssize_t n = sendto(fd, message, length, MSG_NOSIGNAL,
	                   to ? (const struct sockaddr *)&to->storage : NULL, to ? to->len : 0);

	if (n < 0)
		fail_msg("sendto: %s", strerror(errno));
	assert_int_equal(n, length);
}

size_t dns_receive(int fd, void *message, size_t size, struct dns_address *ret_from)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	struct dns_address from = {.len = sizeof from.storage};
	ssize_t n;

	assert_int_equal(poll(&readable, 1, 10000), 1);
	n = recvfrom(fd, message, size, 0, (struct sockaddr *)&from.storage, &from.len);
	assert_true(n >= 0);
	if (ret_from)
		*ret_from = from;
	return (size_t)n;
}

void dns_exchange(int client, int server, const struct dns_address *to, uint16_t id,
                  const char *name, uint16_t type, size_t size)
{
	static uint8_t message[65536];
	uint8_t question[512];
	struct dns_address from;
	size_t length = dns_question(question, id, name, type);

	dns_send(client, question, length, to);
	assert_int_equal(dns_receive(server, message, sizeof message, &from), length);
	dns_answer_make(message, length, size);
	dns_send(server, message, size > length ? size : length, &from);
	assert_int_equal(dns_receive(client, message, sizeof message, NULL),
	                 size > length ? size : length);
}
