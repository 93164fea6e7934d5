/* The gRPC server before clients made of grpcio: each test is a scenario of grpc_calls.py. */
#include "tests/unit/net/net_test.h"

#include "core/base/log.h"
#include "core/net/grpc_server.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { LIMIT = 4 << 20 };

extern char **environ;

struct stage {
	struct net_test *net;
	struct log_sink sink;
	struct logger log;
	struct endpoint endpoint;
	struct budget budget;
	struct grpc_server *grpc;
	struct http_server *http;
	unsigned calls, completed, held, gone;
	bool closed;
};

static bool starts_with(struct slice text, const char *start)
{
	return text.len >= strlen(start) && memcmp(text.data, start, strlen(start)) == 0;
}

static struct slice behaviour_of(const struct grpc_server_call *c)
{
	const struct http_request *r = grpc_server_call_request(c);

	for (size_t i = 0; i < r->n_headers; i++)
		if (slice_equal(r->headers[i].name, SLICE_LITERAL("x-behaviour")))
			return r->headers[i].value;
	return (struct slice){0};
}

/* "moment:status". False: it is not that moment's. */
static bool refuse(struct grpc_server_call *c, const char *moment)
{
	struct slice behaviour = behaviour_of(c);
	struct grpc_reply reply = {.text = "no such thing as 100% ünicode\n",
	                           .has_retry_info = strcmp(moment, "retry:") == 0,
	                           .retry_delay = 1500 * NS_PER_MS};
	char number[3] = "";

	if (!starts_with(behaviour, moment))
		return false;
	for (size_t i = strlen(moment), n = 0; i < behaviour.len && n < 2; i++)
		number[n++] = (char)behaviour.data[i];
	reply.status = (enum grpc_status)strtoul(number, NULL, 10);
	grpc_server_reply(c, &reply);
	return true;
}

static void on_call(void *arg, struct grpc_server_call *c)
{
	struct slice path = grpc_server_call_path(c);
	struct stage *s = arg;
	char text[200];

	s->calls++;
	if (!starts_with(path, "/opentelemetry.proto.collector.")) {
		snprintf(text, sizeof text, "unknown method %.*s", SLICE_PRINTF(path));
		grpc_server_reply(c,
		                  &(struct grpc_reply){.status = GRPC_UNIMPLEMENTED, .text = text});
		return;
	}
	refuse(c, "call:");
}

static struct rcbuf *on_message(void *arg, struct grpc_server_call *c, uint32_t length)
{
	struct stage *s = arg;

	if (refuse(c, "message:"))
		return NULL;
	grpc_server_call_set_data(c, (void *)(uintptr_t)length);
	return rcbuf_claim(length, &s->budget);
}

static void echo(struct grpc_server_call *c, struct slice message, enum coding coding)
{
	struct buffer plain = BUFFER_INIT;
	struct grpc_reply reply = {.status = GRPC_OK, .message = message};
	struct error error = ERROR_INIT;

	if (coding != CODING_IDENTITY) {
		if (compress_inflate(coding, message, LIMIT, &plain, &error) < 0)
			fail_msg("%s", error.message);
		reply.message = buffer_slice(&plain);
	}
	grpc_server_reply(c, &reply);
	buffer_fini(&plain);
}

static void on_complete(void *arg, struct grpc_server_call *c, struct rcbuf *message,
                        enum coding coding)
{
	size_t length = (uintptr_t)grpc_server_call_data(c);
	struct slice behaviour = behaviour_of(c);
	struct stage *s = arg;

	s->completed++;
	if (starts_with(behaviour, "hold"))
		s->held++;
	else if (starts_with(behaviour, "compressed") && coding == CODING_IDENTITY)
		grpc_server_reply(c, &(struct grpc_reply){.status = GRPC_INTERNAL});
	else if (!refuse(c, "complete:") && !refuse(c, "retry:"))
		echo(c, slice_of(message->data, length), coding);
	rcbuf_unref(message);
}

static void on_gone(void *arg, struct grpc_server_call *c)
{
	struct stage *s = arg;

	(void)c;
	s->gone++;
}

static const struct grpc_server_handler handler = {on_call, on_message, on_complete, on_gone};

static int setup(void **state)
{
	static struct stage s;
	struct http_server_config config = {.http2 = true, .limits = http_default_limits};
	struct error error = ERROR_INIT;

	if (net_test_setup(state) < 0)
		return -1;
	s = (struct stage){.net = *state, .sink = {.level = LOG_ERROR, .fd = 2}};
	s.log = (struct logger){.sink = &s.sink, .subject = "test"};
	s.endpoint = net_test_endpoint("127.0.0.1:0");
	config.endpoint = &s.endpoint;
	config.limits.ping_min_time = 50 * NS_PER_MS;
	config.limits.ping_without_stream = true;
	s.grpc = grpc_server_new(s.net->loop, LIMIT, &handler, &s);
	if (!s.grpc || http_server_new(s.net->loop, &config, &grpc_server_http_handler, s.grpc,
	                               &s.log, &s.http, &error) < 0)
		return -1;
	*state = &s;
	return 0;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static int teardown(void **state)
{
	struct stage *s = *state;

	http_server_close(s->http, on_closed, &s->closed);
	net_test_wait(s->net, &s->closed);
	grpc_server_free(s->grpc);
	*state = s->net;
	return net_test_teardown(state) < 0 || s->budget.used != 0 ? -1 : 0;
}

/* Runs the clients until they have ended. */
static void play(struct stage *s, const char *scenario)
{
	uint64_t end = clock_monotonic_ns() + 60 * NS_PER_S;
	char port[8];
	char *argv[] = {(char *)"/usr/bin/python3", (char *)"tests/unit/net/grpc_calls.py", port,
	                (char *)scenario, NULL};
	int status = 0;
	pid_t pid, ended = 0;

	snprintf(port, sizeof port, "%u", http_server_port(s->http));
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	while (ended == 0 && clock_monotonic_ns() < end) {
		loop_run_once(s->net->loop);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (ended == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		fail_msg("%s did not end", scenario);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void messages_come_and_go_whole(void **state)
{
	play(*state, "echo");
}

static void large_metadata_is_no_matter(void **state)
{
	play(*state, "large_metadata");
}

static void every_status_reaches_the_client_with_its_text(void **state)
{
	struct stage *s = *state;

	play(s, "statuses");
	assert_int_equal(s->gone, 0);
	assert_int_equal(http_server_accepted(s->http), 1);
}

static void the_client_learns_when_to_try_again(void **state)
{
	play(*state, "retry_info");
}

static void a_call_ends_with_its_time_out(void **state)
{
	struct stage *s = *state;

	play(s, "deadline");
	assert_int_equal(s->held, 1);
	assert_int_equal(s->gone, 1);
	assert_int_equal(http_server_accepted(s->http), 1);
}

static void a_call_may_be_cancelled(void **state)
{
	struct stage *s = *state;

	play(s, "cancel");
	net_test_wait_count(s->net, &s->gone, 2);
	assert_int_equal(s->gone, 2);
	assert_int_equal(http_server_accepted(s->http), 1);
}

static void messages_may_be_compressed(void **state)
{
	play(*state, "compression");
}

static void a_method_that_is_none_is_for_the_handler_to_refuse(void **state)
{
	play(*state, "unimplemented");
}

static void a_message_that_is_too_large_leaves_the_connection_alone(void **state)
{
	struct stage *s = *state;

	play(s, "too_large");
	assert_int_equal(s->gone, 2);
	assert_int_equal(s->completed, 3);
	assert_int_equal(http_server_accepted(s->http), 2);
}

static void keep_alive_pings_are_answered(void **state)
{
	struct stage *s = *state;

	play(s, "keepalive");
	assert_int_equal(http_server_struck(s->http, HTTP_LIMIT_PINGS), 0);
	assert_int_equal(http_server_accepted(s->http), 1);
}

static void many_calls_go_on_at_once(void **state)
{
	struct stage *s = *state;

	play(s, "many");
	assert_int_equal(s->completed, 300);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_come_and_go_whole),
		TEST(large_metadata_is_no_matter),
		TEST(every_status_reaches_the_client_with_its_text),
		TEST(the_client_learns_when_to_try_again),
		TEST(a_call_ends_with_its_time_out),
		TEST(a_call_may_be_cancelled),
		TEST(messages_may_be_compressed),
		TEST(a_method_that_is_none_is_for_the_handler_to_refuse),
		TEST(a_message_that_is_too_large_leaves_the_connection_alone),
		TEST(keep_alive_pings_are_answered),
		TEST(many_calls_go_on_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
