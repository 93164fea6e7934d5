#include "tests/kernel/sockets_world.h"

#include "core/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void tallies_fini(struct tallies *t)
{
	free(t->all);
	*t = (struct tallies){0};
}

static struct tally *tally_of(struct tallies *t, uint64_t cookie)
{
	size_t *bucket = &t->buckets[cookie % (sizeof t->buckets / sizeof *t->buckets)];

	for (size_t i = *bucket; i; i = t->all[i - 1].next)
		if (t->all[i - 1].cookie == cookie)
			return &t->all[i - 1];
	if (t->count == t->capacity) {
		t->capacity = t->capacity ? 2 * t->capacity : 256;
		t->all = realloc(t->all, t->capacity * sizeof *t->all);
		assert_non_null(t->all);
	}
	t->all[t->count] = (struct tally){.cookie = cookie, .next = *bucket};
	*bucket = ++t->count;
	return &t->all[t->count - 1];
}

static void on_record(void *arg, const struct sockets_record *r)
{
	struct tally *one = tally_of(arg, r->cookie);

	one->records++;
	one->sent += r->sent_bytes;
	one->received += r->received_bytes;
	one->retransmitted += r->retransmitted_segments;
	one->opened += !!(r->flags & SOCKETS_OPENED);
	one->preexisting += !!(r->flags & SOCKETS_PREEXISTING);
	one->closed += !!(r->flags & SOCKETS_CLOSED);
	one->failed += !!(r->flags & SOCKETS_FAILED);
	one->resets_sent += r->resets_sent;
	one->resets_received += r->resets_received;
	if (one->records == 1 || !one->closed || r->flags & SOCKETS_CLOSED)
		one->last = *r;
}

size_t tallies_drain(struct tallies *t, struct sockets_kernel *k)
{
	size_t n, all = 0;

	while ((n = sockets_kernel_drain(k, 1000, on_record, t)) > 0)
		all += n;
	return all;
}

size_t tallies_walk(struct tallies *t, struct sockets_kernel *k, bool everything)
{
	struct buffer records = BUFFER_INIT;
	struct error error = ERROR_INIT;
	size_t n = 0;

	if (sockets_kernel_walk(k, everything, &records, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(records.len % sizeof(struct sockets_record), 0);
	for (size_t at = 0; at < records.len; at += sizeof(struct sockets_record), n++) {
		struct sockets_record r;

		memcpy(&r, records.data + at, sizeof r);
		on_record(t, &r);
	}
	buffer_fini(&records);
	return n;
}

struct tally *tallies_find(struct tallies *t, unsigned local_port, unsigned remote_port)
{
	struct tally *found = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct sockets_record *r = &t->all[i].last;

		if ((local_port && r->local_port != local_port) ||
		    (remote_port && r->remote_port != remote_port))
			continue;
		assert_null(found);
		found = &t->all[i];
	}
	return found;
}

struct tally *tallies_wait_end(struct tallies *t, struct sockets_kernel *k, unsigned local_port,
                               unsigned remote_port)
{
	uint64_t deadline = clock_monotonic_ns() + 10 * NS_PER_S;

	for (;;) {
		struct tally *one;

		tallies_drain(t, k);
		one = tallies_find(t, local_port, remote_port);
		if (one && (one->closed || one->failed))
			return one;
		if (clock_monotonic_ns() > deadline)
			fail_msg("no end of the socket %u -> %u was seen", local_port, remote_port);
		poll(NULL, 0, 1);
	}
}

static socklen_t loopback(enum world_family family, unsigned port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof *ret);
	if (family == WORLD_IPV4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof *v4;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	assert_int_equal(inet_pton(AF_INET6, family == WORLD_MAPPED ? "::ffff:127.0.0.1" : "::1",
	                           &v6->sin6_addr),
	                 1);
	return sizeof *v6;
}

int world_socket(enum world_family family, int flags)
{
	int fd = socket(family == WORLD_IPV4 ? AF_INET : AF_INET6,
	                SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd >= 0);
	return fd;
}

int world_listen(enum world_family family, int backlog, unsigned *ret_port)
{
	struct sockaddr_storage address;
	socklen_t len = loopback(family, 0, &address);
	int fd = world_socket(family, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	*ret_port = world_port(fd);
	return fd;
}

int world_connect(int fd, enum world_family family, unsigned port)
{
	struct sockaddr_storage address;
	socklen_t len = loopback(family, port, &address);

	return connect(fd, (struct sockaddr *)&address, len) < 0 ? -errno : 0;
}

unsigned world_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof address;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
	                                          : ((struct sockaddr_in6 *)&address)->sin6_port);
}

struct pair world_pair(enum world_family family, int listener, unsigned port)
{
	struct pair p = {.client = world_socket(family, 0), .server_port = port};

	assert_int_equal(world_connect(p.client, family, port), 0);
	p.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p.server >= 0);
	p.client_port = world_port(p.client);
	return p;
}

void world_move(int from, int to, size_t n)
{
	static const char out[65536];
	static char in[65536];
	size_t sent = 0, received = 0;

	while (received < n) {
		size_t room = n - sent < sizeof out ? n - sent : sizeof out;
		ssize_t w = room ? send(from, out, room, MSG_DONTWAIT | MSG_NOSIGNAL) : 0, r;

		if (w > 0)
			sent += (size_t)w;
		r = recv(to, in, sizeof in, w > 0 ? MSG_DONTWAIT : 0);
		if (r > 0)
			received += (size_t)r;
		else
			assert_true(r < 0 && errno == EAGAIN);
	}
	assert_int_equal(received, n);
}

const char *world_executable(char name[OWNER_NAME_LEN])
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	const char *base;

	assert_true(n > 0);
	path[n] = '\0';
	base = strrchr(path, '/');
	snprintf(name, OWNER_NAME_LEN, "%.*s", OWNER_NAME_LEN - 1, base ? base + 1 : path);
	return name;
}

void world_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}
