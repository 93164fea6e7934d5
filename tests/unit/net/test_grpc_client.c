/* The gRPC client against grpcio (tests/e2e/judge.py) and against a backend that misbehaves below
 * gRPC (tests/e2e/judge_raw.py). */
#include "tests/support/folder.h"
#include "tests/support/judge.h"
#include "tests/unit/net/caller.h"

#include <stdlib.h>

static const char judge_script[] = "tests/e2e/judge.py", raw_script[] = "tests/e2e/judge_raw.py";

struct fixture {
	struct judge judge;
	struct caller caller;
};

static void open_judge(struct fixture *f, void **state, const char *behaviour,
                       const char *const *arguments)
{
	judge_start(&f->judge, judge_script, arguments);
	caller_prepare(&f->caller, state, "127.0.0.1", judge_port(&f->judge, "port"));
	if (behaviour)
		caller_behave(&f->caller, behaviour);
	caller_open(&f->caller);
}

static void close_judge(struct fixture *f)
{
	caller_close(&f->caller);
	judge_stop(&f->judge);
}

static void gets_an_answer(void **state)
{
	struct fixture f;

	open_judge(&f, state, NULL, NULL);
	caller_call_once(&f.caller);
	assert_string_equal(f.caller.text, "");
	assert_int_equal(f.caller.status, GRPC_OK);
	assert_true(f.caller.from_server);
	close_judge(&f);
}

static void has_a_hundred_calls_in_flight(void **state)
{
	struct fixture f;
	uint64_t begin;

	open_judge(&f, state, "slow:0.5", NULL);
	begin = clock_monotonic_ns();
	for (int i = 0; i < 100; i++)
		caller_call(&f.caller, NULL, 0, CODING_IDENTITY, 20 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 100);
	assert_int_equal(f.caller.by_status[GRPC_OK], 100);
	/* One after the other they would take 50 s. */
	assert_true(clock_monotonic_ns() - begin < 10 * NS_PER_S);
	close_judge(&f);
}

static void keeps_to_the_servers_number_of_streams(void **state)
{
	static const char *const arguments[] = {"--max-streams", "3", NULL};
	struct fixture f;

	open_judge(&f, state, "slow:0.02", arguments);
	for (int i = 0; i < 40; i++)
		caller_call(&f.caller, NULL, 0, CODING_IDENTITY, 20 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 40);
	assert_int_equal(f.caller.by_status[GRPC_OK], 40);
	close_judge(&f);
}

static void tells_status_message_and_retry_info(void **state)
{
	struct fixture f;
	char wanted[100];

	open_judge(&f, state, "unavailable:2.5", NULL);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_UNAVAILABLE);
	assert_true(f.caller.from_server);
	assert_true(f.caller.retry.present);
	assert_int_equal(f.caller.retry.delay_ns, 2500000000);
	snprintf(wanted, sizeof wanted, "127.0.0.1:%u answered UNAVAILABLE: busy, come again",
	         judge_port(&f.judge, "port"));
	assert_string_equal(f.caller.text, wanted);
	close_judge(&f);
}

static void tells_unavailable_without_retry_info(void **state)
{
	struct fixture f;

	open_judge(&f, state, "unavailable", NULL);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_UNAVAILABLE);
	assert_false(f.caller.retry.present);
	close_judge(&f);
}

static void decodes_the_servers_message(void **state)
{
	struct fixture f;

	open_judge(&f, state, "invalid", NULL);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_INVALID_ARGUMENT);
	assert_text_has(&f.caller, "INVALID_ARGUMENT: no such thing as 100% ünicode?");
	close_judge(&f);
}

static void hands_over_the_response(void **state)
{
	struct fixture f;

	open_judge(&f, state, "partial:3:three were bad", NULL);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_OK);
	assert_int_equal(f.caller.message.len, 20);
	assert_memory_equal(f.caller.message.data, "\x0a\x12\x08\x03\x12\x0ethree were bad", 20);
	close_judge(&f);
}

static void inflates_a_compressed_response(void **state)
{
	static const char *const arguments[] = {"--gzip", NULL};
	struct fixture f;

	open_judge(&f, state, "huge:100000", arguments);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_OK);
	assert_true(f.caller.message.len > 100000);
	close_judge(&f);
}

static void refuses_a_response_above_the_limit(void **state)
{
	struct fixture f;

	open_judge(&f, state, "huge:4194304", NULL);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_RESOURCE_EXHAUSTED);
	assert_false(f.caller.from_server);
	assert_text_has(&f.caller, "larger than the limit of 4194304 bytes");
	close_judge(&f);
}

static void takes_a_response_just_below_the_limit(void **state)
{
	struct fixture f;

	open_judge(&f, state, "huge:4194000", NULL);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_OK);
	assert_true(f.caller.message.len > 4194000);
	close_judge(&f);
}

/* An unknown field of OTLP that holds bytes: anything that is long and valid. */
static size_t long_message(struct slice *pieces, size_t n, uint8_t *head, uint8_t *bytes,
                           size_t each)
{
	size_t len = (n - 1) * each, at = 0;

	head[at++] = 15 << 3 | 2;
	for (; len >= 0x80; len >>= 7)
		head[at++] = (uint8_t)(len | 0x80);
	head[at++] = (uint8_t)len;
	pieces[0] = slice_of(head, at);
	for (size_t i = 1; i < n; i++)
		pieces[i] = slice_of(bytes, each);
	return at + (n - 1) * each;
}

static void sends_many_megabytes_in_many_pieces(void **state)
{
	enum { PIECES = 2000, EACH = 17000 };
	static struct slice pieces[PIECES + 1];
	uint8_t head[8], *bytes = malloc(EACH);
	struct fixture f;

	memset(bytes, 'w', EACH);
	long_message(pieces, PIECES + 1, head, bytes, EACH);
	open_judge(&f, state, NULL, NULL);
	for (int i = 0; i < 3; i++)
		caller_call(&f.caller, pieces, PIECES + 1, CODING_IDENTITY, 20 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 3);
	assert_string_equal(f.caller.text, "");
	assert_int_equal(f.caller.by_status[GRPC_OK], 3);
	close_judge(&f);
	free(bytes);
}

static void sends_a_compressed_request(void **state)
{
	uint8_t head[8], bytes[5000] = {0};
	struct slice pieces[11], packed;
	struct buffer out = BUFFER_INIT;
	struct fixture f;

	long_message(pieces, 11, head, bytes, sizeof bytes);
	assert_int_equal(compress_pieces(CODING_GZIP, pieces, 11, &out, NULL), 0);
	packed = buffer_slice(&out);
	open_judge(&f, state, NULL, NULL);
	caller_call(&f.caller, &packed, 1, CODING_GZIP, 10 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 1);
	assert_string_equal(f.caller.text, "");
	assert_int_equal(f.caller.status, GRPC_OK);
	close_judge(&f);
	buffer_fini(&out);
}

static void ends_a_call_at_its_deadline(void **state)
{
	struct fixture f;
	uint64_t begin;

	open_judge(&f, state, "slow:3", NULL);
	begin = clock_monotonic_ns();
	caller_call(&f.caller, NULL, 0, CODING_IDENTITY, 300 * NS_PER_MS);
	net_test_wait_count(f.caller.net, &f.caller.done, 1);
	assert_int_equal(f.caller.status, GRPC_DEADLINE_EXCEEDED);
	assert_true(clock_monotonic_ns() - begin < 2 * NS_PER_S);
	close_judge(&f);
}

static void cancels_what_is_in_flight_when_closed(void **state)
{
	struct fixture f;

	open_judge(&f, state, "slow:3", NULL);
	for (int i = 0; i < 5; i++)
		caller_call(&f.caller, NULL, 0, CODING_IDENTITY, 0);
	for (int i = 0; i < 20; i++)
		loop_run_once(f.caller.net->loop);
	close_judge(&f);
	assert_int_equal(f.caller.by_status[GRPC_CANCELLED], 5);
}

static void calls_over_a_unix_socket(void **state)
{
	char address[160];
	const char *const arguments[] = {"--address", address, NULL};
	struct judge judge;
	struct caller c;

	snprintf(address, sizeof address, "unix:%s", folder_at("socket"));
	judge_start(&judge, judge_script, arguments);
	caller_prepare(&c, state, "127.0.0.1", 1);
	c.config.endpoint = net_test_endpoint(address);
	caller_open(&c);
	caller_call_once(&c);
	assert_string_equal(c.text, "");
	assert_int_equal(c.status, GRPC_OK);
	caller_close(&c);
	judge_stop(&judge);
}

/* ---- no server, and servers that come and go */

static uint16_t unused_port(void)
{
	struct judge j;
	uint16_t port;

	judge_start(&j, judge_script, NULL);
	port = judge_port(&j, "port");
	judge_stop(&j);
	return port;
}

static void fails_at_once_where_nobody_listens_and_backs_off(void **state)
{
	struct caller c;
	uint64_t begin;

	caller_prepare(&c, state, "127.0.0.1", unused_port());
	caller_open(&c);
	caller_call_once(&c);
	assert_int_equal(c.status, GRPC_UNAVAILABLE);
	assert_false(c.from_server);
	assert_text_has(&c, "connection refused");
	begin = clock_monotonic_ns();
	for (int i = 0; i < 1000; i++)
		caller_call_once(&c);
	assert_int_equal(c.by_status[GRPC_UNAVAILABLE], 1001);
	assert_true(clock_monotonic_ns() - begin <
	            NS_PER_S / 2); /* none of them tried to connect */
	caller_close(&c);
}

static void names_a_host_that_does_not_exist(void **state)
{
	struct caller c;

	caller_prepare(&c, state, "no-such-host.invalid", 4317);
	caller_open(&c);
	caller_call_once(&c);
	assert_int_equal(c.status, GRPC_UNAVAILABLE);
	assert_text_has(&c, "connect to no-such-host.invalid:4317: ");
	caller_close(&c);
}

static void finds_a_server_that_comes_back(void **state)
{
	struct fixture f;
	char address[32];
	const char *const arguments[] = {"--address", address, NULL};
	uint64_t end;

	open_judge(&f, state, NULL, NULL);
	snprintf(address, sizeof address, "127.0.0.1:%u", judge_port(&f.judge, "port"));
	caller_call_once(&f.caller);
	judge_stop(&f.judge);
	caller_call_once(&f.caller);
	assert_int_equal(f.caller.status, GRPC_UNAVAILABLE);
	judge_start(&f.judge, judge_script, arguments);
	end = clock_monotonic_ns() + 10 * NS_PER_S;
	while (f.caller.status != GRPC_OK && clock_monotonic_ns() < end) {
		caller_call_once(&f.caller);
		loop_run_once(f.caller.net->loop);
	}
	assert_int_equal(f.caller.status, GRPC_OK);
	close_judge(&f);
}

static void waits_for_a_server_when_told_to(void **state)
{
	uint16_t port = unused_port();
	char address[32];
	const char *const arguments[] = {"--address", address, NULL};
	struct judge judge;
	struct caller c;
	uint64_t end;

	caller_prepare(&c, state, "127.0.0.1", port);
	c.config.wait_for_ready = true;
	caller_open(&c);
	caller_call(&c, NULL, 0, CODING_IDENTITY, 15 * NS_PER_S);
	end = clock_monotonic_ns() + 300 * NS_PER_MS;
	while (clock_monotonic_ns() < end)
		loop_run_once(c.net->loop);
	assert_int_equal(c.done, 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	judge_start(&judge, judge_script, arguments);
	net_test_wait_count(c.net, &c.done, 1);
	assert_int_equal(c.status, GRPC_OK);
	caller_close(&c);
	judge_stop(&judge);
}

static void moves_to_a_new_connection_when_the_old_one_is_too_old(void **state)
{
	static const char *const arguments[] = {"--goaway-after", "0.3", NULL};
	struct fixture f;
	uint64_t end;

	open_judge(&f, state, "slow:0.05", arguments);
	end = clock_monotonic_ns() + 3 * NS_PER_S / 2;
	while (clock_monotonic_ns() < end)
		caller_call_once(&f.caller);
	assert_true(f.caller.done > 10);
	assert_int_equal(f.caller.by_status[GRPC_OK], f.caller.done);
	close_judge(&f);
}

/* ---- below gRPC */

static struct judge raw;

static int start_raw(void **state)
{
	(void)state;
	judge_start(&raw, raw_script, NULL);
	return 0;
}

static int stop_raw(void **state)
{
	(void)state;
	judge_stop(&raw);
	return 0;
}

static void open_raw(struct caller *c, void **state, const char *way)
{
	caller_prepare(c, state, "127.0.0.1", judge_port(&raw, way));
	caller_open(c);
}

static void ends_in(void **state, const char *way, enum grpc_status status, const char *text)
{
	struct caller c;
	bool waits = status == GRPC_DEADLINE_EXCEEDED;

	open_raw(&c, state, way);
	caller_call(&c, NULL, 0, CODING_IDENTITY, waits ? 500 * NS_PER_MS : 15 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 1);
	if (c.status != status)
		fail_msg("%s: %s (%s)", way, grpc_status_name(c.status), c.text);
	assert_text_has(&c, text);
	caller_close(&c);
}

static void survives_every_misbehaviour(void **state)
{
	ends_in(state, "half_frame", GRPC_UNAVAILABLE, "lost: the server closed it");
	ends_in(state, "close", GRPC_UNAVAILABLE, "not connected to 127.0.0.1:");
	ends_in(state, "silent", GRPC_DEADLINE_EXCEEDED, "no connection to 127.0.0.1:");
	ends_in(state, "deaf", GRPC_DEADLINE_EXCEEDED, "did not answer in time");
	ends_in(state, "http1", GRPC_UNAVAILABLE, "does not speak HTTP/2 here");
	ends_in(state, "garbage", GRPC_UNAVAILABLE, "does not speak HTTP/2 here");
	ends_in(state, "page", GRPC_UNAVAILABLE, "answered HTTP status 503 without a gRPC status");
	ends_in(state, "reset", GRPC_UNAVAILABLE, "reset the call: INTERNAL_ERROR");
	ends_in(state, "no_status", GRPC_UNAVAILABLE, "ended the call without a gRPC status");
	ends_in(state, "cut_message", GRPC_INTERNAL, "is cut short");
	ends_in(state, "bomb", GRPC_RESOURCE_EXHAUSTED,
	        "inflates to more than the limit of 4194304");
	ends_in(state, "goaway_always", GRPC_UNAVAILABLE, "the server ends every connection");
	ends_in(state, "goaway_broken", GRPC_UNAVAILABLE, "lost: HTTP/2: ");
	ends_in(state, "push", GRPC_UNAVAILABLE, "lost: HTTP/2: ");
	ends_in(state, "endless_block", GRPC_UNAVAILABLE, "lost: HTTP/2: ");
	ends_in(state, "early_hints", GRPC_OK, "");
	ends_in(state, "no_streams", GRPC_OK, "");
	ends_in(state, "answer_ok", GRPC_OK, "");
}

static void gives_up_a_peer_that_wants_answers_and_reads_none(void **state)
{
	struct caller c;

	open_raw(&c, state, "settings_flood");
	caller_call_once(&c);
	assert_int_equal(c.status, GRPC_UNAVAILABLE);
	caller_close(&c);
}

static void sends_through_windows_that_shrink(void **state)
{
	enum { BYTES = 100000, PIECES = 201 };
	uint8_t *bytes = malloc(BYTES);
	struct slice pieces[PIECES];
	struct caller c;

	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i % 251);
	for (size_t i = 0; i < PIECES;
	     i++) /* every other one is empty, the first and the last too */
		pieces[i] = i % 2 ? slice_of(bytes + i / 2 * 1000, 1000) : (struct slice){0};
	open_raw(&c, state, "small_windows");
	caller_call(&c, pieces, PIECES, CODING_IDENTITY, 15 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 1);
	assert_string_equal(c.text, "");
	assert_int_equal(c.status, GRPC_OK);
	caller_close(&c);
	free(bytes);
}

static void sends_zstd_that_others_can_read(void **state)
{
	uint8_t head[8], bytes[5000] = {0};
	struct slice pieces[11], packed;
	struct buffer out = BUFFER_INIT;
	struct caller c;

	long_message(pieces, 11, head, bytes, sizeof bytes);
	assert_int_equal(compress_pieces(CODING_ZSTD, pieces, 11, &out, NULL), 0);
	packed = buffer_slice(&out);
	open_raw(&c, state, "zstd");
	caller_call(&c, &packed, 1, CODING_ZSTD, 10 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 1);
	assert_string_equal(c.text, "");
	assert_int_equal(c.status, GRPC_OK);
	caller_close(&c);
	buffer_fini(&out);
}

static void repeats_a_refused_call(void **state)
{
	struct caller c;

	open_raw(&c, state, "refuse_first");
	caller_call_once(&c);
	assert_string_equal(c.text, "");
	assert_int_equal(c.status, GRPC_OK);
	caller_close(&c);
}

static void repeats_what_a_goaway_left_out_and_waits_for_the_rest(void **state)
{
	struct caller c;

	open_raw(&c, state, "goaway");
	for (int i = 0; i < 5; i++)
		caller_call(&c, NULL, 0, CODING_IDENTITY, 10 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 5);
	assert_string_equal(c.text, "");
	/* Each connection processes one; a call is repeated up to three times. */
	assert_int_equal(c.by_status[GRPC_OK], 4);
	caller_close(&c);
}

static void stops_sending_when_the_answer_comes_first(void **state)
{
	enum { PIECES = 1000, EACH = 10000 };
	static struct slice pieces[PIECES + 1];
	uint8_t head[8], *bytes = calloc(1, EACH);
	struct caller c;

	long_message(pieces, PIECES + 1, head, bytes, EACH);
	open_raw(&c, state, "trailers_only");
	caller_call(&c, pieces, PIECES + 1, CODING_IDENTITY, 10 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 1);
	assert_int_equal(c.status, GRPC_INVALID_ARGUMENT);
	assert_text_has(&c, "INVALID_ARGUMENT: not today");
	caller_call(&c, pieces, PIECES + 1, CODING_IDENTITY, 10 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 2);
	assert_int_equal(c.by_status[GRPC_INVALID_ARGUMENT], 2);
	caller_close(&c);
	free(bytes);
}

static void gives_up_a_peer_that_answers_no_pings(void **state)
{
	struct caller c;

	caller_prepare(&c, state, "127.0.0.1", judge_port(&raw, "deaf"));
	c.config.keepalive_time = 100 * NS_PER_MS;
	c.config.keepalive_timeout = 100 * NS_PER_MS;
	caller_open(&c);
	caller_call_once(&c);
	assert_int_equal(c.status, GRPC_UNAVAILABLE);
	assert_text_has(&c, "no answer to a keep-alive ping");
	caller_close(&c);
}

static void says_how_far_a_silent_server_came(void **state)
{
	static const struct tls_settings tls = {.insecure_skip_verify = true};
	struct caller c;

	for (int with_tls = 0; with_tls < 2; with_tls++) {
		caller_prepare(&c, state, "127.0.0.1", judge_port(&raw, "silent"));
		c.config.connect_timeout = 200 * NS_PER_MS;
		c.config.tls = with_tls ? &tls : NULL;
		caller_open(&c);
		caller_call_once(&c);
		assert_int_equal(c.status, GRPC_UNAVAILABLE);
		assert_text_has(&c, with_tls ? "does not get on with the TLS handshake"
		                             : "does not begin to speak HTTP/2");
		caller_close(&c);
	}
}

static void pings_less_often_when_the_server_complains(void **state)
{
	struct caller c;

	caller_prepare(&c, state, "127.0.0.1", judge_port(&raw, "too_many_pings"));
	c.config.keepalive_time = 100 * NS_PER_MS;  /* then 200 ms, then 400 ms, which will do */
	c.config.keepalive_timeout = 10 * NS_PER_S; /* no part of the interval */
	c.config.wait_for_ready = true;
	caller_open(&c);
	caller_call(&c, NULL, 0, CODING_IDENTITY, 18 * NS_PER_S);
	net_test_wait_count(c.net, &c.done, 1);
	assert_string_equal(c.text, "");
	assert_int_equal(c.status, GRPC_OK);
	caller_close(&c);
}

static void leaves_a_connection_on_which_calls_only_expire(void **state)
{
	uint64_t end = clock_monotonic_ns() + 15 * NS_PER_S;
	struct caller c;

	caller_prepare(&c, state, "127.0.0.1", judge_port(&raw, "deaf_first"));
	c.config.silence_limit = 300 * NS_PER_MS;
	caller_open(&c);
	for (unsigned n = 0; c.by_status[GRPC_OK] == 0 && clock_monotonic_ns() < end; n++) {
		caller_call(&c, NULL, 0, CODING_IDENTITY, 200 * NS_PER_MS);
		net_test_wait_count(c.net, &c.done, n + 1);
	}
	assert_int_equal(c.by_status[GRPC_OK], 1);
	assert_true(c.by_status[GRPC_DEADLINE_EXCEEDED] >= 2); /* one alone is not enough */
	caller_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(gets_an_answer),
		NET_TEST(has_a_hundred_calls_in_flight),
		NET_TEST(keeps_to_the_servers_number_of_streams),
		NET_TEST(tells_status_message_and_retry_info),
		NET_TEST(tells_unavailable_without_retry_info),
		NET_TEST(decodes_the_servers_message),
		NET_TEST(hands_over_the_response),
		NET_TEST(inflates_a_compressed_response),
		NET_TEST(refuses_a_response_above_the_limit),
		NET_TEST(takes_a_response_just_below_the_limit),
		NET_TEST(sends_many_megabytes_in_many_pieces),
		NET_TEST(sends_a_compressed_request),
		NET_TEST(ends_a_call_at_its_deadline),
		NET_TEST(cancels_what_is_in_flight_when_closed),
		NET_TEST(calls_over_a_unix_socket),
		NET_TEST(fails_at_once_where_nobody_listens_and_backs_off),
		NET_TEST(names_a_host_that_does_not_exist),
		NET_TEST(finds_a_server_that_comes_back),
		NET_TEST(waits_for_a_server_when_told_to),
		NET_TEST(moves_to_a_new_connection_when_the_old_one_is_too_old),
		NET_TEST(survives_every_misbehaviour),
		NET_TEST(gives_up_a_peer_that_wants_answers_and_reads_none),
		NET_TEST(sends_through_windows_that_shrink),
		NET_TEST(sends_zstd_that_others_can_read),
		NET_TEST(repeats_a_refused_call),
		NET_TEST(repeats_what_a_goaway_left_out_and_waits_for_the_rest),
		NET_TEST(stops_sending_when_the_answer_comes_first),
		NET_TEST(gives_up_a_peer_that_answers_no_pings),
		NET_TEST(says_how_far_a_silent_server_came),
		NET_TEST(pings_less_often_when_the_server_complains),
		NET_TEST(leaves_a_connection_on_which_calls_only_expire),
	};
	return cmocka_run_group_tests(tests, start_raw, stop_raw);
}
