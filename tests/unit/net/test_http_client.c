/* The HTTP client against Python's http.server (tests/e2e/judge_http.py), with and without TLS. */
#include "tests/support/folder.h"
#include "tests/support/judge.h"
#include "tests/unit/net/http_caller.h"

#include <sys/socket.h>

static const char script[] = "tests/e2e/judge_http.py";

struct fixture {
	struct judge judge;
	struct http_caller caller;
	struct tls_settings tls;
};

static void prepare(struct fixture *f, void **state, const char *behaviour)
{
	const char *const arguments[] = {"--behaviour", behaviour, NULL};

	judge_start(&f->judge, script, arguments);
	http_caller_prepare(&f->caller, state, "http", "127.0.0.1", judge_port(&f->judge, "port"),
	                    "/v1/traces");
}

static void begin(struct fixture *f, void **state, const char *behaviour)
{
	prepare(f, state, behaviour);
	http_caller_open(&f->caller);
}

static void end(struct fixture *f)
{
	http_caller_close(&f->caller);
	if (f->judge.pid)
		judge_stop(&f->judge);
}

static void sends_pieces_and_reads_the_answer(void **state)
{
	struct slice pieces[] = {SLICE_LITERAL("one "), SLICE_LITERAL(""), SLICE_LITERAL("two")};
	struct http_header headers[] = {
		{SLICE_LITERAL("x-tenant"), SLICE_LITERAL("alpha"), true},
		{SLICE_LITERAL("x-nothing"), SLICE_LITERAL(""), false},
	};
	struct fixture f;

	begin(&f, state, "echo");
	f.caller.request.pieces = pieces;
	f.caller.request.n_pieces = 3;
	f.caller.request.headers = headers;
	f.caller.request.n_headers = 2;
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	assert_string_equal(buffer_string(&f.caller.body), "one two");
	assert_string_equal(f.caller.type, "text/plain");
	assert_non_null(strstr(f.caller.headers, "\"x-tenant\": \"alpha\""));
	assert_non_null(strstr(f.caller.headers, "\"x-nothing\": \"\""));
	assert_non_null(strstr(f.caller.headers, "\"User-Agent\": \"weir/test\""));
	assert_non_null(strstr(f.caller.headers, "\"Content-Length\": \"7\""));
	assert_null(strstr(f.caller.headers, "Expect"));
	end(&f);
}

static void sends_a_large_body_without_asking_first(void **state)
{
	enum { SIZE = 8 << 20 };
	uint8_t *bytes = malloc(SIZE);
	struct slice piece;
	struct fixture f;

	assert_non_null(bytes);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 7 % 251);
	piece = slice_of(bytes, SIZE);
	begin(&f, state, "echo");
	f.caller.request.pieces = &piece;
	f.caller.request.n_pieces = 1;
	f.caller.request.response_limit = SIZE;
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	assert_true(slice_equal(buffer_slice(&f.caller.body), piece));
	assert_null(strstr(f.caller.headers, "Expect"));
	end(&f);
	free(bytes);
}

static void knows_other_methods(void **state)
{
	static const char *const methods[] = {"GET", "PUT", "DELETE", "POST"};
	struct fixture f;

	begin(&f, state, "echo");
	for (size_t i = 0; i < 4; i++) {
		f.caller.request.method = methods[i];
		http_caller_call(&f.caller);
		assert_answered(&f.caller, 200);
	}
	end(&f);
}

static void has_many_requests_at_once_and_keeps_to_its_connections(void **state)
{
	struct fixture f;
	uint64_t begun;

	prepare(&f, state, "slow:0.2");
	f.caller.config.max_connections = 5;
	http_caller_open(&f.caller);
	begun = clock_monotonic_ns();
	for (int i = 0; i < 20; i++)
		http_caller_send(&f.caller, 20 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 20);
	assert_int_equal(f.caller.by_result[HTTP_CLIENT_ANSWERED], 20);
	/* Four rounds of 0.2 s: one after the other would take 4 s, all at once 0.2 s. */
	assert_true(clock_monotonic_ns() - begun < 3 * NS_PER_S);
	assert_true(clock_monotonic_ns() - begun > 7 * NS_PER_S / 10);
	end(&f);
}

/* A request that waits for a connection is late as well. */
static void ends_at_the_deadline(void **state)
{
	struct fixture f;

	prepare(&f, state, "slow:5");
	f.caller.config.max_connections = 1;
	http_caller_open(&f.caller);
	for (int i = 0; i < 3; i++)
		http_caller_send(&f.caller, 300 * NS_PER_MS);
	net_test_wait_count(f.caller.net, &f.caller.done, 3);
	assert_int_equal(f.caller.by_result[HTTP_CLIENT_LATE], 3);
	end(&f);
}

static void does_not_follow_redirects(void **state)
{
	struct fixture f;

	begin(&f, state, "redirect");
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 307);
	end(&f);
}

static void reads_retry_after_in_seconds(void **state)
{
	struct fixture f;

	begin(&f, state, "status:503:17");
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 503);
	assert_true(f.caller.has_retry_after);
	assert_int_equal(f.caller.retry_after_ns, 17 * NS_PER_S);
	end(&f);
}

static void reads_retry_after_as_a_date(void **state)
{
	struct fixture f;

	begin(&f, state, "status:429:date+60");
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 429);
	assert_true(f.caller.has_retry_after);
	assert_in_range(f.caller.retry_after_ns, 50 * NS_PER_S, 61 * NS_PER_S);
	end(&f);
}

static void takes_a_retry_after_of_the_past_or_of_nonsense(void **state)
{
	struct fixture f;

	begin(&f, state, "status:429:date+-60");
	http_caller_call(&f.caller);
	assert_true(f.caller.has_retry_after);
	assert_int_equal(f.caller.retry_after_ns, 0);
	end(&f);
	begin(&f, state, "status:429:soon");
	http_caller_call(&f.caller);
	assert_false(f.caller.has_retry_after);
	end(&f);
	begin(&f, state, "status:429:99999999999999999999999");
	http_caller_call(&f.caller);
	assert_true(f.caller.has_retry_after);
	assert_int_equal(f.caller.retry_after_ns, UINT32_MAX * NS_PER_S);
	end(&f);
}

static void stops_at_the_limit_of_an_answer(void **state)
{
	static const char *const ways[] = {"huge:1048577", "bomb", "headers"};

	for (size_t i = 0; i < 3; i++) {
		struct fixture f;

		begin(&f, state, ways[i]);
		http_caller_call(&f.caller);
		assert_int_equal(f.caller.status, 200);
		assert_said(&f.caller, HTTP_CLIENT_UNREADABLE,
		            i == 1 ? "(HTTP status 200) " : "is larger than the limit of ");
		end(&f);
	}
}

static void reads_an_answer_of_just_the_limit(void **state)
{
	struct fixture f;

	begin(&f, state, "huge:1048576");
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	assert_int_equal(f.caller.body.len, 1048576);
	end(&f);
}

static void tells_a_damaged_answer(void **state)
{
	struct fixture f;

	begin(&f, state, "broken");
	http_caller_call(&f.caller);
	assert_said(&f.caller, HTTP_CLIENT_UNREADABLE, "(HTTP status 200) ");
	end(&f);
}

static void an_error_needs_no_body_that_can_be_read(void **state)
{
	struct fixture f;

	begin(&f, state, "broken-error");
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 503);
	assert_int_equal(f.caller.body.len, 0);
	assert_int_equal(f.caller.retry_after_ns, 3 * NS_PER_S);
	end(&f);
}

static void tells_a_lost_connection(void **state)
{
	struct fixture f;

	begin(&f, state, "close");
	http_caller_call(&f.caller);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "connection to 127.0.0.1:");
	assert_said(&f.caller, HTTP_CLIENT_FAILED, " lost: ");
	end(&f);
}

static void tells_that_nobody_listens(void **state)
{
	struct fixture f = {0};

	http_caller_prepare(&f.caller, state, "http", "127.0.0.1", 9, "/");
	http_caller_open(&f.caller);
	http_caller_call(&f.caller);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "cannot connect to 127.0.0.1:9: ");
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "Connection refused");
	end(&f);
}

static void tells_an_unknown_name(void **state)
{
	struct fixture f = {0};

	http_caller_prepare(&f.caller, state, "http", "nowhere.invalid", 4318, "/");
	http_caller_open(&f.caller);
	http_caller_call(&f.caller);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "cannot connect to nowhere.invalid:4318: ");
	end(&f);
}

/* A name look-up cannot be ended; it must not be waited for either. */
static void does_not_wait_for_a_look_up_that_is_given_up(void **state)
{
	struct fixture f = {0};
	uint64_t begun;

	http_caller_prepare(&f.caller, state, "http", "nowhere.invalid", 4318, "/");
	http_caller_open(&f.caller);
	begun = clock_monotonic_ns();
	for (int i = 0; i < 5; i++)
		http_caller_send(&f.caller, NS_PER_MS);
	net_test_wait_count(f.caller.net, &f.caller.done, 5);
	end(&f);
	assert_true(clock_monotonic_ns() - begun < 2 * NS_PER_S);
}

static void tells_an_answer_that_comes_before_the_body_was_read(void **state)
{
	static uint8_t zeros[1000];
	struct slice piece = slice_of(zeros, sizeof zeros);
	struct fixture f;

	begin(&f, state, "early");
	f.caller.request.pieces = &piece;
	f.caller.request.n_pieces = 1;
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 413);
	end(&f);
}

/* Calls a server that answers and ends the connection with most of the body unread. The kernel may tell of the
 * reset first, between libcurl's look and its write: a lost connection, for which there is one more attempt. */
static bool is_lost_once(struct http_caller *caller)
{
	bool lost;

	http_caller_call(caller);
	lost = caller->result == HTTP_CLIENT_FAILED;
	if (lost) {
		assert_non_null(strstr(caller->text, " lost: "));
		http_caller_call(caller);
	}
	return lost;
}

/* What the server said before it ended the connection counts. */
static void tells_an_answer_that_comes_while_the_body_is_written(void **state)
{
	static uint8_t zeros[16 << 20];
	struct slice piece = slice_of(zeros, sizeof zeros);
	unsigned lost = 0;
	struct fixture f;

	begin(&f, state, "early");
	f.caller.request.pieces = &piece;
	f.caller.request.n_pieces = 1;
	for (int i = 0; i < 20; i++) {
		lost += is_lost_once(&f.caller);
		assert_answered(&f.caller, 413);
	}
	assert_true(lost <= 2);
	end(&f);
}

/* What is missing of it is only what people read. */
static void takes_an_error_whose_body_is_cut_for_an_answer(void **state)
{
	static uint8_t zeros[1 << 20];
	struct slice piece = slice_of(zeros, sizeof zeros);
	unsigned lost = 0;
	struct fixture f;

	begin(&f, state, "cut");
	f.caller.request.pieces = &piece;
	f.caller.request.n_pieces = 1;
	for (int i = 0; i < 5; i++) {
		lost += is_lost_once(&f.caller);
		assert_answered(&f.caller, 413);
	}
	assert_true(lost <= 2);
	assert_int_equal(f.caller.body.len, 0);
	end(&f);
}

static void refuses_a_header_with_a_line_break(void **state)
{
	struct http_header header = {SLICE_LITERAL("x-token"), SLICE_LITERAL("a\r\nb: c"), true};
	struct fixture f;

	begin(&f, state, "echo");
	f.caller.request.headers = &header;
	f.caller.request.n_headers = 1;
	assert_null(http_caller_send(&f.caller, 0));
	assert_said(&f.caller, HTTP_CLIENT_REFUSED, "the header x-token has a line break");
	assert_int_equal(f.caller.done, 1);
	end(&f);
}

static void uses_a_connection_again_and_one_that_was_closed_no_more(void **state)
{
	static const struct slice piece = SLICE_LITERAL("body");
	unsigned port;
	struct fixture f;

	begin(&f, state, "echo");
	f.caller.request.pieces = &piece;
	f.caller.request.n_pieces = 1;
	port = judge_port(&f.judge, "port");
	http_caller_call(&f.caller);
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	judge_stop(&f.judge);
	{
		char address[32];
		const char *const arguments[] = {"--behaviour", "echo", "--address", address, NULL};

		snprintf(address, sizeof address, "127.0.0.1:%u", port);
		judge_start(&f.judge, script, arguments);
	}
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	assert_string_equal(buffer_string(&f.caller.body), "body");
	end(&f);
}

static void closes_what_has_been_idle(void **state)
{
	struct fixture f;

	prepare(&f, state, "echo");
	f.caller.config.idle_timeout = 50 * NS_PER_MS;
	http_caller_open(&f.caller);
	for (int i = 0; i < 2; i++) {
		uint64_t until;

		http_caller_call(&f.caller);
		assert_answered(&f.caller, 200);
		until = clock_monotonic_ns() + 200 * NS_PER_MS;
		while (clock_monotonic_ns() < until)
			loop_run_once(f.caller.net->loop);
	}
	end(&f);
}

static void cancels_a_request(void **state)
{
	struct http_client_exchange *x;
	struct fixture f;

	begin(&f, state, "slow:5");
	x = http_caller_send(&f.caller, 0);
	assert_non_null(x);
	http_client_cancel(x);
	assert_int_equal(f.caller.done, 1);
	assert_int_equal(f.caller.result, HTTP_CLIENT_CANCELED);
	end(&f);
}

static void cancels_all_requests_when_it_is_closed(void **state)
{
	struct fixture f;

	begin(&f, state, "slow:5");
	for (int i = 0; i < 7; i++)
		http_caller_send(&f.caller, 0);
	loop_run_once(f.caller.net->loop);
	end(&f);
	assert_int_equal(f.caller.by_result[HTTP_CLIENT_CANCELED], 7);
}

static void on_done_close(void *arg, const struct http_client_response *r)
{
	struct fixture *f = arg;

	http_caller_on_done(&f->caller, r);
	if (f->caller.done == 1)
		http_client_close(f->caller.client, http_caller_on_closed, &f->caller.closed);
}

static void may_be_closed_by_an_answer(void **state)
{
	struct fixture f;

	begin(&f, state, "echo");
	for (int i = 0; i < 3; i++)
		http_client_send(f.caller.client, &f.caller.request, on_done_close, &f);
	net_test_wait(f.caller.net, &f.caller.closed);
	assert_int_equal(f.caller.done, 3);
	buffer_fini(&f.caller.body);
	judge_stop(&f.judge);
}

/* ---- TLS */

static void begin_tls(struct fixture *f, void **state, const char *host, const char *certificate,
                      const char *client_ca)
{
	char cert[32], key[32];
	const char *arguments[10] = {"--behaviour", "echo", "--cert", NULL, "--key", NULL};

	snprintf(cert, sizeof cert, "%s.pem", certificate);
	snprintf(key, sizeof key, "%s.key", certificate);
	arguments[3] = folder_at(cert);
	arguments[5] = folder_at(key);
	if (client_ca) {
		arguments[6] = "--client-ca";
		arguments[7] = folder_at(client_ca);
	}
	judge_start(&f->judge, script, arguments);
	http_caller_prepare(&f->caller, state, "https", host, judge_port(&f->judge, "port"), "/");
	f->tls = (struct tls_settings){.ca_file = folder_at("ca.pem")};
	f->caller.config.tls = &f->tls;
}

static void call_and_end(struct fixture *f)
{
	http_caller_open(&f->caller);
	http_caller_call(&f->caller);
	end(f);
}

static void trusts_its_own_authority(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "server", NULL);
	call_and_end(&f);
	assert_answered(&f.caller, 200);
}

static void trusts_a_certificate_for_an_address(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "127.0.0.1", "address", NULL);
	call_and_end(&f);
	assert_answered(&f.caller, 200);
}

static void refuses_a_strangers_certificate(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "server", NULL);
	f.tls.ca_file = NULL; /* the system's */
	call_and_end(&f);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "certificate of localhost:");
	assert_said(&f.caller, HTTP_CLIENT_FAILED, " is not trusted: ");
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "; set tls::ca_file");
}

static void refuses_another_name(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "other", NULL);
	call_and_end(&f);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, " is not for that name: ");
}

static void refuses_what_has_expired(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "expired", NULL);
	call_and_end(&f);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, "renew it or check this machine's clock");
}

static void checks_nothing_when_told_so(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "expired", NULL);
	f.tls = (struct tls_settings){.insecure_skip_verify = true};
	call_and_end(&f);
	assert_answered(&f.caller, 200);
}

static void asks_for_another_name_when_told_so(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "other", NULL);
	f.tls.server_name_override = "other.example";
	call_and_end(&f);
	assert_answered(&f.caller, 200);
	assert_non_null(strstr(f.caller.headers, "\"Host\": \"localhost:"));
}

static void shows_its_certificate(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "server", "ca.pem");
	f.tls.cert_file = folder_at("client.pem");
	f.tls.key_file = folder_at("client.key");
	call_and_end(&f);
	assert_answered(&f.caller, 200);
}

static void fails_without_a_certificate_that_is_asked_for(void **state)
{
	struct fixture f;

	begin_tls(&f, state, "localhost", "server", "ca.pem");
	call_and_end(&f);
	assert_int_equal(f.caller.result, HTTP_CLIENT_FAILED);
}

static void keeps_to_versions_ciphers_and_curves(void **state)
{
	static const char *const suites[] = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
	static const char *const curves[] = {"P256", "X25519"};
	struct fixture f;

	begin_tls(&f, state, "localhost", "server", NULL);
	f.tls.max_version = "1.2";
	f.tls.cipher_suites = suites;
	f.tls.n_cipher_suites = 1;
	f.tls.curves = curves;
	f.tls.n_curves = 2;
	call_and_end(&f);
	assert_answered(&f.caller, 200);
}

static void names_a_file_that_is_missing(void **state)
{
	struct fixture f = {0};
	struct error error = ERROR_INIT;

	http_caller_prepare(&f.caller, state, "https", "localhost", 9, "/");
	f.tls.ca_file = "/no/such/file.pem";
	f.caller.config.tls = &f.tls;
	assert_true(http_client_new(f.caller.net->loop, &f.caller.config, &f.caller.log,
	                            &f.caller.client, &error) < 0);
	assert_non_null(strstr(error.message, "tls::ca_file /no/such/file.pem: "));
}

static void takes_up_new_files_and_keeps_old_ones_when_they_are_bad(void **state)
{
	char command[300];
	struct fixture f;

	snprintf(command, sizeof command, "cp %s %s", folder_at("ca.pem"), folder_at("mine.pem"));
	assert_int_equal(system(command), 0);
	begin_tls(&f, state, "localhost", "server", NULL);
	f.tls.ca_file = folder_at("mine.pem");
	f.tls.reload_interval = 1;
	f.caller.config.idle_timeout = 1; /* a new connection every time */
	http_caller_open(&f.caller);
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	snprintf(command, sizeof command, "echo garbage > %s", folder_at("mine.pem"));
	assert_int_equal(system(command), 0);
	http_caller_call(&f.caller);
	assert_answered(&f.caller, 200);
	snprintf(command, sizeof command, "cp %s %s", folder_at("stranger_ca.pem"),
	         folder_at("mine.pem"));
	assert_int_equal(system(command), 0);
	do { /* the connection of before is used once more, if it is still there */
		loop_run_once(f.caller.net->loop);
		http_caller_call(&f.caller);
	} while (f.caller.result == HTTP_CLIENT_ANSWERED && f.caller.done < 20);
	assert_said(&f.caller, HTTP_CLIENT_FAILED, " is not trusted: ");
	end(&f);
}

static void checks_urls(void **state)
{
	static const char *const good[] = {"http://a", "https://a.b:1/c?d=e", "http://[::1]:4318/x",
	                                   "HTTP://a"};
	static const char *const bad[] = {"",        "a",         "a:4318",         "grpc://a",
	                                  "http://", "http:///x", "http://a:99999", "http://a b"};
	struct error error = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (http_client_url_check("endpoint", good[i], &error) < 0)
			fail_msg("%s: %s", good[i], error.message);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error e = ERROR_INIT;

		if (http_client_url_check("endpoint", bad[i], &e) != -22)
			fail_msg("%s is taken", bad[i]);
		assert_non_null(strstr(e.message, "endpoint must be a valid URL"));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, net_test_setup, net_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends_pieces_and_reads_the_answer),
		TEST(sends_a_large_body_without_asking_first),
		TEST(knows_other_methods),
		TEST(has_many_requests_at_once_and_keeps_to_its_connections),
		TEST(ends_at_the_deadline),
		TEST(does_not_follow_redirects),
		TEST(reads_retry_after_in_seconds),
		TEST(reads_retry_after_as_a_date),
		TEST(takes_a_retry_after_of_the_past_or_of_nonsense),
		TEST(stops_at_the_limit_of_an_answer),
		TEST(reads_an_answer_of_just_the_limit),
		TEST(tells_a_damaged_answer),
		TEST(an_error_needs_no_body_that_can_be_read),
		TEST(tells_a_lost_connection),
		TEST(tells_that_nobody_listens),
		TEST(tells_an_unknown_name),
		TEST(does_not_wait_for_a_look_up_that_is_given_up),
		TEST(tells_an_answer_that_comes_before_the_body_was_read),
		TEST(tells_an_answer_that_comes_while_the_body_is_written),
		TEST(takes_an_error_whose_body_is_cut_for_an_answer),
		TEST(refuses_a_header_with_a_line_break),
		TEST(uses_a_connection_again_and_one_that_was_closed_no_more),
		TEST(closes_what_has_been_idle),
		TEST(cancels_a_request),
		TEST(cancels_all_requests_when_it_is_closed),
		TEST(may_be_closed_by_an_answer),
		TEST(trusts_its_own_authority),
		TEST(trusts_a_certificate_for_an_address),
		TEST(refuses_a_strangers_certificate),
		TEST(refuses_another_name),
		TEST(refuses_what_has_expired),
		TEST(checks_nothing_when_told_so),
		TEST(asks_for_another_name_when_told_so),
		TEST(shows_its_certificate),
		TEST(fails_without_a_certificate_that_is_asked_for),
		TEST(keeps_to_versions_ciphers_and_curves),
		TEST(names_a_file_that_is_missing),
		TEST(takes_up_new_files_and_keeps_old_ones_when_they_are_bad),
		TEST(checks_urls),
	};
	return cmocka_run_group_tests(tests, folder_with_certificates, NULL);
}
