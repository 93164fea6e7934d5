/* The sockets programs where TCP is less usual: sockets that connect to themselves, payload in the
 * SYN, MPTCP, ends that no FIN announced; and walks over many sockets while others come and go. */
#include "core/base/clock.h"
#include "tests/kernel/sockets_world.h"

#include <errno.h>
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
#include <sys/socket.h>
#include <sys/wait.h>
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
	struct sockets_kernel *k = *state;
	struct pair *pairs = calloc(PAIRS, sizeof *pairs);
	struct churn c = {0};
	unsigned port, missed = 0, repeated = 0;
	int listener = world_listen(WORLD_IPV4, 64, &port);
	pthread_t thread;

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
	assert_int_equal(missed, 0);
	assert_int_equal(repeated, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
