/* The server's side of a gRPC call, on exchanges without a connection. */
#include "tests/unit/net/fake_exchange.h"
#include "tests/unit/net/net_test.h"

#include "core/base/base64.h"
#include "core/net/grpc_server.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 1000 };

static const char path[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/* A server, its handler, and one call. */
struct stage {
	struct net_test *net;
	struct grpc_server *server;
	struct budget budget;
	struct http_exchange x;
	struct grpc_server_call *call;
	unsigned calls, messages, completed, gone;
	const struct grpc_reply *reply_on_call, *reply_on_message; /* NULL: not then */
	bool claims;
	uint32_t length;
	struct buffer message;
	enum coding coding;
};

static void on_call(void *arg, struct grpc_server_call *c)
{
	struct stage *s = arg;

	s->calls++;
	s->call = c;
	grpc_server_call_set_data(c, s);
	if (s->reply_on_call)
		grpc_server_reply(c, s->reply_on_call);
}

static struct rcbuf *on_message(void *arg, struct grpc_server_call *c, uint32_t length)
{
	struct stage *s = arg;

	assert_ptr_equal(grpc_server_call_data(c), s);
	s->messages++;
	s->length = length;
	if (!s->reply_on_message)
		return s->claims ? rcbuf_claim(length, &s->budget) : rcbuf_new(length, &s->budget);
	grpc_server_reply(c, s->reply_on_message);
	return NULL;
}

static void on_complete(void *arg, struct grpc_server_call *c, struct rcbuf *message,
                        enum coding coding)
{
	struct stage *s = arg;

	assert_ptr_equal(c, s->call);
	s->completed++;
	s->coding = coding;
	buffer_append(&s->message, message->data, s->length);
	rcbuf_unref(message);
}

static void on_gone(void *arg, struct grpc_server_call *c)
{
	struct stage *s = arg;

	assert_ptr_equal(grpc_server_call_data(c), s);
	s->gone++;
}

static const struct grpc_server_handler handler = {on_call, on_message, on_complete, on_gone};

static int setup(void **state)
{
	static struct stage s;

	if (net_test_setup(state) < 0)
		return -1;
	s = (struct stage){.net = *state};
	s.server = grpc_server_new(s.net->loop, LIMIT, &handler, &s);
	fake_exchange_init(&s.x, path);
	*state = &s;
	return s.server ? 0 : -1;
}

/* A message that was never handed over must have gone with its call. */
static int teardown(void **state)
{
	struct stage *s = *state;
	int leaked = s->budget.used != 0;

	grpc_server_free(s->server);
	fake_exchange_fini(&s->x);
	buffer_fini(&s->message);
	*state = s->net;
	return net_test_teardown(state) < 0 || leaked ? -1 : 0;
}

static void begin(struct stage *s)
{
	grpc_server_http_handler.on_request(s->server, &s->x);
}

static void feed(struct stage *s, const void *bytes, size_t len)
{
	grpc_server_http_handler.on_body(s->server, &s->x, slice_of(bytes, len));
}

static void end(struct stage *s)
{
	grpc_server_http_handler.on_body_end(s->server, &s->x);
}

static void leave(struct stage *s)
{
	grpc_server_http_handler.on_gone(s->server, &s->x);
}

/* The answer so far is this one, and the handler has been told of the call's end so often. */
static void assert_status(const struct stage *s, enum grpc_status status, const char *text,
                          unsigned gone)
{
	char number[4];

	snprintf(number, sizeof number, "%d", (int)status);
	assert_int_equal(s->x.responses, 1);
	assert_int_equal(s->x.n_head, 0);
	assert_int_equal(s->x.body.len, 0);
	assert_string_equal(fake_exchange_trailer(&s->x, "content-type"), "application/grpc");
	assert_string_equal(fake_exchange_trailer(&s->x, "grpc-status"), number);
	if (!strstr(fake_exchange_trailer(&s->x, "grpc-message"), text))
		fail_msg("\"%s\" is not in \"%s\"", text,
		         fake_exchange_trailer(&s->x, "grpc-message"));
	assert_int_equal(s->gone, gone);
}

static const struct grpc_reply ok = {.status = GRPC_OK, .message = {(const uint8_t *)"fine", 4}};

static void hands_up_a_message_and_answers_it(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
	struct stage *s = *state;

	begin(s);
	assert_true(slice_equal(grpc_server_call_path(s->call), slice_from_string(path)));
	assert_string_equal(grpc_server_call_request(s->call)->peer, "127.0.0.1:40000");
	for (size_t i = 0; i < sizeof body; i++) {
		assert_int_equal(s->messages, i > 4);
		feed(s, body + i, 1);
	}
	assert_int_equal(s->completed, 0);
	end(s);
	assert_int_equal(s->completed, 1);
	assert_true(slice_equal(buffer_slice(&s->message), SLICE_LITERAL("abc")));
	assert_int_equal(s->coding, CODING_IDENTITY);
	assert_int_equal(s->x.responses, 0);
	grpc_server_reply(s->call, &ok);
	assert_int_equal(s->x.responses, 1);
	assert_int_equal(s->x.status, 200);
	assert_string_equal(s->x.head[0].name, "content-type");
	assert_string_equal(s->x.head[0].value, "application/grpc");
	assert_true(slice_equal(buffer_slice(&s->x.body), SLICE_LITERAL("\0\0\0\0\4fine")));
	assert_int_equal(s->x.n_trailers, 1);
	assert_string_equal(fake_exchange_trailer(&s->x, "grpc-status"), "0");
	assert_int_equal(s->gone, 0);
}

static void takes_an_empty_message(void **state)
{
	struct stage *s = *state;

	begin(s);
	feed(s, "\0\0\0\0", 5);
	end(s);
	assert_int_equal(s->completed, 1);
	assert_int_equal(s->message.len, 0);
	grpc_server_reply(s->call, &(struct grpc_reply){.status = GRPC_OK});
	assert_int_equal(s->x.body.len, GRPC_PREFIX_BYTES);
}

static void may_be_answered_in_every_callback(void **state)
{
	static const struct grpc_reply no = {.status = GRPC_UNAUTHENTICATED, .text = "who?"};
	struct stage *s = *state;

	s->reply_on_call = &no;
	begin(s);
	assert_status(s, GRPC_UNAUTHENTICATED, "who?", 0);

	fake_exchange_fini(&s->x);
	fake_exchange_init(&s->x, path);
	s->reply_on_call = NULL;
	s->reply_on_message = &no;
	begin(s);
	feed(s, "\0\0\0\0\3abc", 8);
	assert_status(s, GRPC_UNAUTHENTICATED, "who?", 0);
	assert_int_equal(s->completed, 0);
}

static void tells_the_coding_of_a_compressed_message(void **state)
{
	struct stage *s = *state;

	fake_exchange_add(&s->x, "grpc-encoding", "gzip");
	begin(s);
	feed(s, "\1\0\0\0\1x", 6);
	end(s);
	assert_int_equal(s->coding, CODING_GZIP);
	grpc_server_reply(s->call, &ok);

	fake_exchange_fini(&s->x);
	fake_exchange_init(&s->x, path);
	fake_exchange_add(&s->x, "grpc-encoding", "gzip");
	begin(s);
	feed(s, "\0\0\0\0\1x", 6); /* a client may leave single messages as they are */
	end(s);
	assert_int_equal(s->coding, CODING_IDENTITY);
	grpc_server_reply(s->call, &ok);
}

static void refuses_what_is_no_call(void **state)
{
	static const char *const types[] = {"application/json", "application/grpc-web+proto",
	                                    "application/grpc+json", "application/grp", ""};
	static const char *const wanted[] = {"application/grpc", "application/grpc+proto",
	                                     "Application/gRPC;charset=utf-8",
	                                     "application/grpc+proto;v=1",
	                                     "application/grpc ; a=b"};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		s->x.headers[0].value = slice_from_string(types[i]);
		assert_false(grpc_server_wants(&s->x));
		s->x.responses = 0;
		begin(s);
		assert_int_equal(s->x.status, 415);
		assert_status(s, GRPC_INVALID_ARGUMENT, types[i], 0);
	}
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		s->x.headers[0].value = slice_from_string(wanted[i]);
		assert_true(grpc_server_wants(&s->x));
	}
	s->x.responses = 0;
	s->x.request.method = SLICE_LITERAL("GET");
	begin(s);
	assert_int_equal(s->x.status, 405);
	assert_status(s, GRPC_INTERNAL, "POST, not GET", 0);
	s->x.request.version_major = 1;
	begin(s);
	assert_int_equal(s->x.status, 505);
	s->x.request.n_headers = 0;
	assert_false(grpc_server_wants(&s->x));
	assert_int_equal(s->calls, 0);
}

static void says_which_codings_it_knows(void **state)
{
	struct stage *s = *state;

	fake_exchange_add(&s->x, "grpc-encoding", "br%");
	begin(s);
	assert_status(s, GRPC_UNIMPLEMENTED, "\"br%25\"", 0);
	assert_int_equal(s->x.status, 200);
	assert_non_null(strstr(fake_exchange_trailer(&s->x, "grpc-accept-encoding"),
	                       "identity,gzip,deflate,zstd,snappy"));
	assert_int_equal(s->calls, 0);
}

static void refuses_a_timeout_that_is_none(void **state)
{
	struct stage *s = *state;

	fake_exchange_add(&s->x, "grpc-timeout", "10s");
	begin(s);
	assert_status(s, GRPC_INTERNAL, "malformed grpc-timeout \"10s\"", 0);
	assert_int_equal(s->calls, 0);
}

static void refuses_a_large_message_before_it_is_read(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 3, 0xe9, 'a'};
	struct stage *s = *state;

	begin(s);
	feed(s, body, sizeof body);
	assert_status(s, GRPC_RESOURCE_EXHAUSTED, "larger than max (1001 vs. 1000", 1);
	assert_non_null(
		strstr(fake_exchange_trailer(&s->x, "grpc-message"), "max_recv_msg_size_mib"));
	assert_null(fake_exchange_trailer(&s->x, "grpc-status-details-bin"));
	assert_int_equal(s->messages, 0);
}

/* What a client sends, and how it is refused. */
static void assert_refused(struct stage *s, const char *bytes, size_t len, bool ends,
                           enum grpc_status status, const char *text)
{
	unsigned gone = s->gone;

	fake_exchange_fini(&s->x);
	fake_exchange_init(&s->x, path);
	begin(s);
	if (len)
		feed(s, bytes, len);
	if (ends)
		end(s);
	assert_status(s, status, text, gone + 1);
	assert_int_equal(s->completed, 0);
}

static void refuses_bodies_that_are_no_unary_call(void **state)
{
	struct stage *s = *state;

	assert_refused(s, NULL, 0, true, GRPC_INTERNAL, "no message");
	assert_refused(s, "\0\0", 2, true, GRPC_INTERNAL, "cut short");
	assert_refused(s, "\0\0\0\0\3ab", 7, true, GRPC_INTERNAL, "cut short");
	assert_refused(s, "\0\0\0\0\0\0", 6, true, GRPC_INTERNAL, "cut short");
	assert_refused(s, "\0\0\0\0\0\0\0\0\0\0", 10, false, GRPC_UNIMPLEMENTED, "more than one");
	assert_refused(s, "\1\0\0\0\1x", 6, false, GRPC_INTERNAL,
	               "compressed flag set with identity");
	assert_refused(s, "\2\0\0\0\1x", 6, false, GRPC_INTERNAL, "neither 0 nor 1");
}

static void ends_a_call_whose_memory_is_refused_half_way(void **state)
{
	struct stage *s = *state;

	s->claims = true;
	s->budget.limit = 100 + sizeof(struct rcbuf);
	begin(s);
	feed(s, "\0\0\0\0\x64", 5);
	feed(s, "0123456789", 10);
	assert_true(budget_take(&s->budget, 85)); /* somebody else's */
	assert_int_equal(s->x.responses, 0);
	feed(s, "0123456789", 10);
	assert_status(s, GRPC_UNAVAILABLE, "no memory left", 1);
	assert_non_null(fake_exchange_trailer(&s->x, "grpc-status-details-bin"));
	budget_return(&s->budget, 85);
}

static void ends_a_call_when_its_time_has_passed(void **state)
{
	struct stage *s = *state;

	fake_exchange_add(&s->x, "grpc-timeout", "20m");
	begin(s);
	feed(s, "\0\0\0\0\3ab", 7);
	net_test_wait_count(s->net, &s->x.responses, 1);
	assert_status(s, GRPC_DEADLINE_EXCEEDED, "time-out", 1);
}

static void a_timeout_of_nothing_has_passed_at_once(void **state)
{
	struct stage *s = *state;

	fake_exchange_add(&s->x, "grpc-timeout", "0n");
	begin(s);
	net_test_wait_count(s->net, &s->x.responses, 1);
	assert_status(s, GRPC_DEADLINE_EXCEEDED, "time-out", 1);
}

static void tells_when_the_client_has_gone(void **state)
{
	struct stage *s = *state;

	fake_exchange_add(&s->x, "grpc-timeout", "10S");
	begin(s);
	feed(s, "\0\0\0\0\3ab", 7);
	leave(s);
	assert_int_equal(s->gone, 1);
	assert_int_equal(s->x.responses, 0);
}

static void encodes_what_a_text_says(void **state)
{
	const struct grpc_reply reply = {.status = GRPC_INVALID_ARGUMENT, .text = "100%\nétat"};
	struct stage *s = *state;

	begin(s);
	grpc_server_reply(s->call, &reply);
	assert_status(s, GRPC_INVALID_ARGUMENT, "100%25%0A%C3%A9tat", 0);
	assert_null(fake_exchange_trailer(&s->x, "grpc-status-details-bin"));
}

static void bounds_the_text_of_a_status(void **state)
{
	static char text[100001];
	struct stage *s = *state;

	for (int c = 'x'; c >= 0; c = c == 'x' ? '\n' : c == '\n' ? 0xff : -1) {
		memset(text, c, sizeof text - 1);
		fake_exchange_fini(&s->x);
		fake_exchange_init(&s->x, path);
		begin(s);
		grpc_server_reply(s->call, &(struct grpc_reply){.status = GRPC_UNAVAILABLE,
		                                                .text = text,
		                                                .has_retry_info = true});
		assert_status(s, GRPC_UNAVAILABLE, c == 'x' ? "xxx" : "%", 0);
		assert_true(strlen(fake_exchange_trailer(&s->x, "grpc-message")) < 1024);
		assert_non_null(fake_exchange_trailer(&s->x, "grpc-status-details-bin"));
	}
}

static void says_when_to_try_again(void **state)
{
	const struct grpc_reply reply = {.status = GRPC_RESOURCE_EXHAUSTED,
	                                 .text = "later",
	                                 .has_retry_info = true,
	                                 .retry_delay = 2500 * NS_PER_MS};
	struct stage *s = *state;
	struct grpc_retry_info info;
	const char *value;
	uint8_t bytes[1000];
	size_t len;

	begin(s);
	grpc_server_reply(s->call, &reply);
	assert_status(s, GRPC_RESOURCE_EXHAUSTED, "later", 0);
	value = fake_exchange_trailer(&s->x, "grpc-status-details-bin");
	assert_null(strchr(value, '='));
	assert_true(base64_decode(slice_from_string(value), bytes, sizeof bytes, &len));
	info = grpc_retry_info_decode(slice_of(bytes, len));
	assert_true(info.present);
	assert_int_equal(info.delay_ns, reply.retry_delay);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hands_up_a_message_and_answers_it),
		TEST(takes_an_empty_message),
		TEST(may_be_answered_in_every_callback),
		TEST(tells_the_coding_of_a_compressed_message),
		TEST(refuses_what_is_no_call),
		TEST(says_which_codings_it_knows),
		TEST(refuses_a_timeout_that_is_none),
		TEST(refuses_a_large_message_before_it_is_read),
		TEST(refuses_bodies_that_are_no_unary_call),
		TEST(ends_a_call_whose_memory_is_refused_half_way),
		TEST(ends_a_call_when_its_time_has_passed),
		TEST(a_timeout_of_nothing_has_passed_at_once),
		TEST(tells_when_the_client_has_gone),
		TEST(encodes_what_a_text_says),
		TEST(bounds_the_text_of_a_status),
		TEST(says_when_to_try_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
