/* Clients that others have written: curl, nghttp and h2load, plain and under TLS. */
#include "tests/support/folder.h"
#include "tests/unit/net/http_server_test.h"

#include <signal.h>
#include <sys/wait.h>

static int make_files(void **state)
{
	static const uint8_t zeros[3000000];
	FILE *large = fopen(folder_at("large"), "w");

	assert_non_null(large);
	assert_int_equal(fwrite(zeros, sizeof zeros, 1, large), 1);
	assert_int_equal(fclose(large), 0);
	return folder_with_certificates(state);
}

/* What a shell command says; $p is the server's port, $d the folder. Ends after 30 s. */
static const char *run(struct fixture *f, const char *command)
{
	static char said[65536];
	uint64_t end = clock_monotonic_ns() + 30 * NS_PER_S;
	FILE *output = tmpfile();
	char text[1024];
	pid_t pid, done = 0;
	int status;

	assert_non_null(output);
	snprintf(text, sizeof text, "p=%u; d=%s; %s", http_server_port(f->server), folder_path(),
	         command);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(output), 1);
		dup2(fileno(output), 2);
		execl("/bin/sh", "sh", "-c", text, NULL);
		_exit(127);
	}
	while (done == 0 && clock_monotonic_ns() < end) {
		loop_run_once(f->net->loop);
		done = waitpid(pid, &status, WNOHANG);
	}
	if (done == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	rewind(output);
	said[fread(said, 1, sizeof said - 1, output)] = '\0';
	fclose(output);
	return said;
}

static void expect(const char *said, const char *text)
{
	if (!strstr(said, text))
		fail_msg("\"%s\" is not in: %s", text, said);
}

struct secure {
	struct fixture f;
	struct tls_settings settings;
};

static void open_secure(struct secure *s, void **state)
{
	fixture_begin(&s->f, state);
	s->settings = (struct tls_settings){.cert_file = folder_at("server.pem"),
	                                    .key_file = folder_at("server.key")};
	assert_int_equal(tls_server_context_new(&s->settings, &s->f.config.tls, NULL), 0);
}

static void close_secure(struct secure *s)
{
	fixture_close(&s->f);
	tls_context_free(s->f.config.tls);
}

#define CURL "curl -s -S -m 20 -w '|%{http_version} %{http_code}' "
#define SECURE CURL "--cacert $d/ca.pem --resolve localhost:$p:127.0.0.1 "

static void serves_curl(void **state)
{
	struct fixture f;

	fixture_open(&f, state);
	expect(run(&f, CURL "http://127.0.0.1:$p/a"), "GET /a 0\n|1.1 200");
	expect(run(&f, CURL "-d hello http://127.0.0.1:$p/a"), "POST /a 5\n|1.1 200");
	expect(run(&f, CURL "-I http://127.0.0.1:$p/a"), "HTTP/1.1 200 OK");
	expect(run(&f, CURL "--data-binary @$d/large http://127.0.0.1:$p/a"),
	       "POST /a 3000000\n|1.1 200");
	expect(run(&f, CURL "-H 'Transfer-Encoding: chunked' --data-binary @$d/large "
	                    "http://127.0.0.1:$p/a"),
	       "POST /a 3000000\n|1.1 200");
	expect(run(&f, CURL "--http2-prior-knowledge http://127.0.0.1:$p/a"), "GET /a 0\n|2 200");
	expect(run(&f,
	           CURL "--http2-prior-knowledge --data-binary @$d/large http://127.0.0.1:$p/a"),
	       "POST /a 3000000\n|2 200");
	expect(run(&f, CURL "--http2-prior-knowledge -I http://127.0.0.1:$p/a"), "HTTP/2 200");
	/* an upgrade from HTTP/1.1 is not offered, and ignored */
	expect(run(&f, CURL "--http2 http://127.0.0.1:$p/a"), "GET /a 0\n|1.1 200");
	expect_strikes(&f, HTTP_LIMIT_PROTOCOL, 0);
	assert_int_equal(f.gone, 0);
	fixture_close(&f);
}

static void gives_an_early_answer(void **state)
{
	struct fixture f;

	fixture_open(&f, state);
	expect(run(&f, CURL "--data-binary @$d/large http://127.0.0.1:$p/now"),
	       "POST /now 0\n|1.1 200");
	expect(run(&f, CURL "-H Expect: --data-binary @$d/large http://127.0.0.1:$p/now"),
	       "POST /now 0\n|1.1 200");
	/* curl 7.88 takes the reset that follows (RFC 9113, 8.1) for an error */
	expect(run(&f, "nghttp -d $d/large http://127.0.0.1:$p/now"), "POST /now 0\n");
	expect(run(&f, CURL "http://127.0.0.1:$p/big | wc -c"), "4000008\n");
	fixture_close(&f);
}

static void serves_curl_under_tls(void **state)
{
	struct secure s;

	open_secure(&s, state);
	fixture_listen(&s.f);
	expect(run(&s.f, SECURE "https://localhost:$p/a"), "GET /a 0\n|2 200");
	expect(run(&s.f, SECURE "--http1.1 -d hello https://localhost:$p/a"),
	       "POST /a 5\n|1.1 200");
	expect(run(&s.f, SECURE "--no-alpn -d hello https://localhost:$p/a"),
	       "POST /a 5\n|1.1 200");
	expect(run(&s.f, SECURE "--data-binary @$d/large https://localhost:$p/a"),
	       "POST /a 3000000\n|2 200");
	expect(run(&s.f, SECURE "--http1.1 --data-binary @$d/large https://localhost:$p/a"),
	       "POST /a 3000000\n|1.1 200");
	expect(run(&s.f, SECURE "--http1.1 -H Expect: --data-binary @$d/large "
	                        "https://localhost:$p/now"),
	       "POST /now 0\n|1.1 200");
	expect(run(&s.f, SECURE "https://localhost:$p/big | wc -c"), "4000006\n");
	expect_strikes(&s.f, HTTP_LIMIT_HANDSHAKE, 0);
	close_secure(&s);
}

static void counts_who_does_not_come_to_terms_about_tls(void **state)
{
	struct secure s;
	struct client silent;

	open_secure(&s, state);
	s.f.config.limits.handshake = 250 * NS_PER_MS;
	fixture_listen(&s.f);
	expect(run(&s.f, CURL "http://127.0.0.1:$p/a"), "curl: ");
	expect_strikes(&s.f, HTTP_LIMIT_HANDSHAKE, 1);
	client_connect(&s.f, &silent);
	net_test_wait(s.f.net, &silent.ended);
	expect_strikes(&s.f, HTTP_LIMIT_HANDSHAKE, 2);
	expect(run(&s.f, SECURE "https://localhost:$p/a"), "GET /a 0\n|2 200");
	client_close(&silent);
	close_secure(&s);
}

static void speaks_only_the_versions_it_is_told_to(void **state)
{
	struct secure s;

	open_secure(&s, state);
	s.f.config.http2 = false;
	fixture_listen(&s.f);
	expect(run(&s.f, SECURE "https://localhost:$p/a"), "GET /a 0\n|1.1 200");
	close_secure(&s);
	open_secure(&s, state);
	s.f.config.http1 = false;
	fixture_listen(&s.f);
	expect(run(&s.f, SECURE "https://localhost:$p/a"), "GET /a 0\n|2 200");
	expect(run(&s.f, SECURE "--http1.1 https://localhost:$p/a"), "curl: ");
	close_secure(&s);
}

static void serves_nghttp_and_h2load(void **state)
{
	struct secure s;

	fixture_open(&s.f, state);
	expect(run(&s.f, "nghttp -v -d $d/large http://127.0.0.1:$p/a"), "POST /a 3000000\n");
	expect(run(&s.f, "h2load -n 2000 -c 10 -m 20 http://127.0.0.1:$p/a"), "2000 2xx, 0 3xx");
	expect(run(&s.f, "h2load --h1 -n 2000 -c 10 -m 5 http://127.0.0.1:$p/a"),
	       "2000 2xx, 0 3xx");
	expect(run(&s.f, "h2load -n 300 -c 5 -m 20 -d $d/large http://127.0.0.1:$p/a"),
	       "300 2xx, 0 3xx");
	expect_strikes(&s.f, HTTP_LIMIT_PROTOCOL, 0);
	fixture_close(&s.f);
	open_secure(&s, state);
	fixture_listen(&s.f);
	expect(run(&s.f, "h2load -n 1000 -c 10 -m 20 https://127.0.0.1:$p/a"), "1000 2xx, 0 3xx");
	close_secure(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(serves_curl),
		NET_TEST(gives_an_early_answer),
		NET_TEST(serves_curl_under_tls),
		NET_TEST(counts_who_does_not_come_to_terms_about_tls),
		NET_TEST(speaks_only_the_versions_it_is_told_to),
		NET_TEST(serves_nghttp_and_h2load),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_files, NULL);
}
