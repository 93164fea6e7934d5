/* The gRPC client when memory fails: one allocation after the other, from the first to the last of a call's life. */
#include "tests/support/failing_memory.h"
#include "tests/support/folder.h"
#include "tests/support/judge.h"
#include "tests/unit/net/caller.h"

#include <stdlib.h>

enum { ALLOCATIONS = 500 };

static struct judge judge;
static struct tls_settings tls;

static int start(void **state)
{
	const char *arguments[] = {"--cert", folder_at("server.pem"), "--key",
	                           folder_at("server.key"), NULL};

	if (folder_with_certificates(state) != 0)
		return -1;
	judge_start(&judge, "tests/e2e/judge.py", arguments);
	tls = (struct tls_settings){.ca_file = folder_at("ca.pem")};
	return 0;
}

static int stop(void **state)
{
	(void)state;
	judge_stop(&judge);
	return 0;
}

/* One client's life in which the nth allocation fails. False when there were fewer. */
static bool live(void **state, long nth)
{
	struct caller c;
	struct error error = ERROR_INIT;
	struct slice piece = SLICE_LITERAL("");
	bool failed;

	caller_prepare(&c, state, "localhost", judge_port(&judge, "port"));
	c.config.tls = &tls;
	caller_behave(&c, "partial:1:a text that is kept");
	failing_memory_arm((unsigned long)nth);
	if (grpc_client_new(c.net->loop, &c.config, &c.log, &c.client, &error) == 0) {
		caller_call(&c, &piece, 1, CODING_IDENTITY, 5 * NS_PER_S);
		net_test_wait_count(c.net, &c.done, 1);
		grpc_client_close(c.client, caller_on_closed, &c.closed);
		net_test_wait(c.net, &c.closed);
	}
	failed = failing_memory_disarm();
	if (!failed)
		assert_int_equal(c.status, GRPC_OK);
	else if (c.done)
		assert_true(c.status == GRPC_UNAVAILABLE || c.status == GRPC_OK);
	else
		assert_int_equal(error.code, -ENOMEM);
	buffer_fini(&c.message);
	return failed;
}

static void every_failing_allocation_ends_the_call_and_nothing_else(void **state)
{
	long n = 1;

	while (n < ALLOCATIONS && live(state, n))
		n++;
	assert_true(n > 10 && n < ALLOCATIONS);
	print_message("%ld allocations\n", n - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(every_failing_allocation_ends_the_call_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
