/* The HTTP client when memory fails: one allocation after the other, from the first to the last of two
 * requests' life. */
#include "tests/support/failing_memory.h"
#include "tests/support/judge.h"
#include "tests/unit/net/http_caller.h"

enum { ALLOCATIONS = 500 };

static struct judge judge;

static int start(void **state)
{
	static const char *const arguments[] = {"--behaviour", "echo", NULL};

	(void)state;
	judge_start(&judge, "tests/e2e/judge_http.py", arguments);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	judge_stop(&judge);
	return 0;
}

/* One client's life in which the nth allocation fails. False when there were fewer. */
static bool live(void **state, unsigned long nth)
{
	struct http_header header = {SLICE_LITERAL("x-tenant"), SLICE_LITERAL("alpha"), true};
	struct slice piece = SLICE_LITERAL("body");
	struct error error = ERROR_INIT;
	struct http_caller c;
	bool failed;

	http_caller_prepare(&c, state, "http", "127.0.0.1", judge_port(&judge, "port"), "/");
	c.request.headers = &header;
	c.request.n_headers = 1;
	c.request.pieces = &piece;
	c.request.n_pieces = 1;
	failing_memory_arm(nth);
	if (http_client_new(c.net->loop, &c.config, &c.log, &c.client, &error) == 0) {
		http_caller_call(&c);
		http_caller_call(&c);
		assert_int_equal(c.done, 2);
		http_client_close(c.client, http_caller_on_closed, &c.closed);
		net_test_wait(c.net, &c.closed);
	} else {
		assert_int_equal(error.code, -12);
		assert_int_equal(error.kind, ERROR_RETRYABLE);
	}
	failed = failing_memory_disarm();
	if (!failed)
		assert_int_equal(c.by_result[HTTP_CLIENT_ANSWERED], 2);
	else
		assert_int_equal(c.by_result[HTTP_CLIENT_REFUSED], 0);
	buffer_fini(&c.body);
	return failed;
}

static void survives_every_failed_allocation(void **state)
{
	unsigned long n = 1;

	while (live(state, n) && n < ALLOCATIONS)
		n++;
	assert_true(n > 5 && n < ALLOCATIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {NET_TEST(survives_every_failed_allocation)};

	return cmocka_run_group_tests(tests, start, stop);
}
