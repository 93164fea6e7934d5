/* net_test: what the tests of core/net share: a loop that is run until something is so. */
#ifndef WEIR_TESTS_NET_TEST_H
#define WEIR_TESTS_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

#include "core/base/clock.h"
#include "core/base/endpoint.h"
#include "core/loop/loop.h"
#include "core/loop/timer.h"

struct net_test {
	struct loop *loop;
	struct timer *tick; /* wakes the loop, so that deadlines are seen */
};

static inline void net_test_tick(void *arg)
{
	(void)arg;
}

static inline int net_test_setup(void **state)
{
	static struct net_test t;

	if (loop_new(&t.loop, NULL) < 0)
		return -1;
	t.tick = timer_new(t.loop, net_test_tick, NULL);
	if (!t.tick)
		return -1;
	timer_start(t.tick, 10 * NS_PER_MS, 10 * NS_PER_MS);
	*state = &t;
	return 0;
}

static inline void net_test_count(uv_handle_t *handle, void *arg)
{
	(void)handle;
	++*(unsigned *)arg;
}

/* A test that failed, or left something open, would hold loop_run() for ever: the teardown fails instead. */
static inline int net_test_teardown(void **state)
{
	struct net_test *t = *state;
	uint64_t end = clock_monotonic_ns() + 5 * NS_PER_S;
	unsigned handles = 0;

	timer_free(t->tick);
	while (uv_run(loop_uv(t->loop), UV_RUN_NOWAIT) && clock_monotonic_ns() < end)
		usleep(1000);
	uv_walk(loop_uv(t->loop), net_test_count, &handles);
	if (handles > 1) /* the loop's own */
		return -1;
	loop_free(t->loop);
	return 0;
}

/* Runs the loop until *condition, at most 20 s. */
static inline void net_test_wait(struct net_test *t, const bool *condition)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (!*condition && clock_monotonic_ns() < end)
		loop_run_once(t->loop);
	assert_true(*condition);
}

/* Runs the loop until *count is at least wanted. */
static inline void net_test_wait_count(struct net_test *t, const unsigned *count, unsigned wanted)
{
	uint64_t end = clock_monotonic_ns() + 20 * NS_PER_S;

	while (*count < wanted && clock_monotonic_ns() < end)
		loop_run_once(t->loop);
	assert_true(*count >= wanted);
}

static inline struct endpoint net_test_endpoint(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e, NULL), 0);
	return e;
}

#define NET_TEST(f) cmocka_unit_test_setup_teardown(f, net_test_setup, net_test_teardown)

#endif
