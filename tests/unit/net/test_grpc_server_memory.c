/* The gRPC server when memory fails: every call is answered once, whichever allocation it is. */
#include "tests/support/failing_memory.h"
#include "tests/unit/net/fake_exchange.h"
#include "tests/unit/net/net_test.h"

#include "core/net/grpc_server.h"

#include <stdlib.h>

struct stage {
	struct budget budget;
	struct grpc_reply reply;
	unsigned ended;
};

static void on_call(void *arg, struct grpc_server_call *c)
{
	(void)arg, (void)c;
}

static struct rcbuf *on_message(void *arg, struct grpc_server_call *c, uint32_t length)
{
	struct stage *s = arg;
	struct rcbuf *message = rcbuf_new(length, &s->budget);

	if (!message) {
		s->ended++;
		grpc_server_reply(c, &(struct grpc_reply){.status = GRPC_UNAVAILABLE});
	}
	return message;
}

static void on_complete(void *arg, struct grpc_server_call *c, struct rcbuf *message,
                        enum coding coding)
{
	struct stage *s = arg;

	(void)coding;
	rcbuf_unref(message);
	s->ended++;
	grpc_server_reply(c, &s->reply);
}

static void on_gone(void *arg, struct grpc_server_call *c)
{
	struct stage *s = arg;

	(void)c;
	s->ended++;
}

static const struct grpc_server_handler handler = {on_call, on_message, on_complete, on_gone};

/* A call's life in which the nth allocation fails. False when there were fewer. */
static bool live(struct net_test *net, unsigned long nth, const struct grpc_reply *reply)
{
	const struct http_handler *http = &grpc_server_http_handler;
	struct stage s = {.reply = *reply};
	struct grpc_server *g;
	struct http_exchange x;
	const char *status;
	bool failed;

	fake_exchange_init(&x, "/a.B/C");
	fake_exchange_add(&x, "grpc-timeout", "10S");
	failing_memory_arm(nth);
	g = grpc_server_new(net->loop, 1000, &handler, &s);
	if (g)
		http->on_request(g, &x);
	if (g && !x.responses)
		http->on_body(g, &x, SLICE_LITERAL("\0\0\0\0\3abc"));
	if (g && !x.responses)
		http->on_body_end(g, &x);
	failed = failing_memory_disarm();
	if (g) {
		assert_int_equal(x.responses, 1);
		status = fake_exchange_trailer(&x, "grpc-status");
		assert_true(s.ended <= 1);
		if (failed) /* whatever it was, the client may try again */
			assert_true(grpc_status_is_retryable(
				(enum grpc_status)atoi(status),
				fake_exchange_trailer(&x, "grpc-status-details-bin")));
		else
			assert_int_equal(atoi(status), reply->status);
	}
	assert_int_equal(s.budget.used, 0);
	fake_exchange_fini(&x);
	grpc_server_free(g);
	return failed;
}

static void every_failing_allocation_is_answered_as_what_may_pass(void **state)
{
	static const struct grpc_reply replies[] = {
		{.status = GRPC_OK, .message = {(const uint8_t *)"fine", 4}},
		{.status = GRPC_RESOURCE_EXHAUSTED, .text = "later", .has_retry_info = true}};

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		unsigned long n = 1;

		while (n < 100 && live(*state, n, &replies[i]))
			n++;
		assert_true(n > 4 && n < 100);
		print_message("%lu allocations\n", n - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(every_failing_allocation_is_answered_as_what_may_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
