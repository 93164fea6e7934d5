/* Streams when memory fails: one allocation after the other, from the first to the last of a connection's
 * life on both sides. */
#include "core/net/stream.h"
#include "tests/support/failing_memory.h"
#include "tests/support/folder.h"
#include "tests/unit/net/net_test.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALLOCATIONS = 500, ANSWER = 3000000 };

/* A question and a long answer, which the client reads in portions. */
struct life {
	struct net_test *net;
	bool tls;
	struct tls_settings server_settings, client_settings;
	struct tls_context *server_tls, *client_tls;
	struct tcp_listener *listener;
	struct stream *server, *client;
	struct timer *resume;
	size_t received;
	unsigned portions, freed, streams;
	bool over, answered;
};

static void on_server_data(void *arg, struct slice bytes)
{
	static const uint8_t answer[ANSWER];
	struct slice piece = slice_of(answer, sizeof answer);
	struct life *l = arg;

	(void)bytes;
	/* Whoever cannot write closes: on_end does not follow. */
	if (!stream_write(l->server, &piece, 1))
		l->over = true;
}

static void on_end(void *arg, const struct error *error)
{
	(void)error;
	((struct life *)arg)->over = true;
}

static void on_open(void *arg)
{
	(void)arg;
}

static const struct tcp_events server_events = {.on_open = on_open,
                                                .on_data = on_server_data,
                                                .on_end = on_end};

static void on_accept(void *arg, struct tcp *t)
{
	static const char *const alpn[] = {"h2", NULL};
	struct life *l = arg;

	if (stream_serve(t, l->server_tls, alpn, &server_events, l, &l->server, NULL) < 0)
		l->over = true;
	else
		l->streams++;
}

static void on_client_open(void *arg)
{
	struct slice question = SLICE_LITERAL("?");
	struct life *l = arg;

	if (!stream_write(l->client, &question, 1))
		l->over = true;
}

static void on_resume(void *arg)
{
	struct life *l = arg;

	stream_pause(l->client, false);
}

static void on_client_data(void *arg, struct slice bytes)
{
	struct life *l = arg;

	l->received += bytes.len;
	l->answered = l->over = l->received == ANSWER;
	if (++l->portions % 7 == 0 && !l->over) {
		stream_pause(l->client, true);
		timer_start(l->resume, 0, 0);
	}
}

static const struct tcp_events client_events = {.on_open = on_client_open,
                                                .on_data = on_client_data,
                                                .on_end = on_end};

static void on_freed(void *arg)
{
	((struct life *)arg)->freed++;
}

static void begin(struct life *l)
{
	struct endpoint endpoint = net_test_endpoint("127.0.0.1:0");

	l->server_settings = (struct tls_settings){.cert_file = folder_at("server.pem"),
	                                           .key_file = folder_at("server.key")};
	l->client_settings = (struct tls_settings){.ca_file = folder_at("ca.pem"),
	                                           .server_name_override = "localhost"};
	l->resume = timer_new(l->net->loop, on_resume, l);
	if (!l->resume ||
	    (l->tls && (tls_server_context_new(&l->server_settings, &l->server_tls, NULL) < 0 ||
	                tls_context_new(&l->client_settings, &l->client_tls, NULL) < 0)) ||
	    tcp_listen(l->net->loop, &endpoint, on_accept, l, &l->listener, NULL) < 0) {
		l->over = true;
		return;
	}
	endpoint.port = tcp_listener_port(l->listener);
	if (stream_connect(l->net->loop, &endpoint, l->client_tls, "h2", &client_events, l,
	                   &l->client, NULL) < 0)
		l->over = true;
	else
		l->streams++;
}

/* False when there were fewer allocations than n. */
static bool live(struct net_test *net, bool tls, unsigned long n)
{
	struct life l = {.net = net, .tls = tls};
	uint64_t end_ns = clock_monotonic_ns() + 20 * NS_PER_S;
	bool failed;

	failing_memory_arm(n);
	begin(&l);
	while (!l.over && clock_monotonic_ns() < end_ns)
		loop_run_once(net->loop);
	failed = failing_memory_disarm();
	assert_true(l.over);
	assert_true(failed || l.answered);
	timer_free(l.resume);
	if (l.server)
		stream_free(l.server, on_freed, &l);
	if (l.client)
		stream_free(l.client, on_freed, &l);
	tcp_listener_free(l.listener);
	tls_context_free(l.server_tls);
	tls_context_free(l.client_tls);
	net_test_wait_count(net, &l.freed, l.streams);
	return failed;
}

static void fails_with_every_allocation(struct net_test *net, bool tls)
{
	unsigned long n = 1;

	while (n < ALLOCATIONS && live(net, tls, n))
		n++;
	assert_true(n > 5 && n < ALLOCATIONS);
	print_message("%lu allocations\n", n - 1);
}

static void every_failing_allocation_ends_a_plain_stream_and_nothing_else(void **state)
{
	fails_with_every_allocation(*state, false);
}

static void every_failing_allocation_ends_a_tls_stream_and_nothing_else(void **state)
{
	fails_with_every_allocation(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(every_failing_allocation_ends_a_plain_stream_and_nothing_else),
		NET_TEST(every_failing_allocation_ends_a_tls_stream_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, folder_with_certificates, NULL);
}
