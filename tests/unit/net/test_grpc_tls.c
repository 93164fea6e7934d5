/* The gRPC client over TLS, with certificates that openssl makes for this run, against grpcio. */
#include "tests/support/folder.h"
#include "tests/support/judge.h"
#include "tests/unit/net/caller.h"

#include <stdlib.h>
#include <sys/stat.h>

struct fixture {
	struct judge judge;
	struct tls_settings tls;
	struct caller caller;
};

/* A judge with that certificate; with client_ca it asks clients for one of that authority's. */
static void begin(struct fixture *f, void **state, const char *host, const char *certificate,
                  const char *client_ca)
{
	char cert[32], key[32];
	const char *arguments[8] = {"--cert", NULL, "--key", NULL};

	snprintf(cert, sizeof cert, "%s.pem", certificate);
	snprintf(key, sizeof key, "%s.key", certificate);
	arguments[1] = folder_at(cert);
	arguments[3] = folder_at(key);
	if (client_ca) {
		arguments[4] = "--client-ca";
		arguments[5] = folder_at(client_ca);
	}
	judge_start(&f->judge, "tests/e2e/judge.py", arguments);
	caller_prepare(&f->caller, state, host, judge_port(&f->judge, "port"));
	f->tls = (struct tls_settings){.ca_file = folder_at("ca.pem")};
	f->caller.config.tls = &f->tls;
}

static void call_once(struct fixture *f)
{
	caller_open(&f->caller);
	caller_call_once(&f->caller);
}

static void end(struct fixture *f)
{
	caller_close(&f->caller);
	judge_stop(&f->judge);
}

static void assert_ok(struct fixture *f)
{
	assert_string_equal(f->caller.text, "");
	assert_int_equal(f->caller.status, GRPC_OK);
}

/* The message has the server's name between the two texts. */
static void assert_not_connected(struct fixture *f, const char *before, const char *after)
{
	char wanted[300];

	snprintf(wanted, sizeof wanted, "%s%s%s", before, f->caller.config.endpoint.text, after);
	assert_int_equal(f->caller.status, GRPC_UNAVAILABLE);
	assert_false(f->caller.from_server);
	assert_text_has(&f->caller, wanted);
}

static void trusts_the_authority_it_is_given(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", NULL);
	call_once(&f);
	assert_ok(&f);
	end(&f);
}

static void sends_much_over_tls(void **state)
{
	enum { EACH = 1000000, PIECES = 20 };
	uint8_t head[] = {15 << 3 | 2, 0, 0, 0, 0}, *bytes = calloc(1, EACH);
	uint32_t len = EACH * PIECES;
	struct slice pieces[PIECES + 1];
	struct fixture f;

	for (int i = 1; i < 5; i++, len >>= 7)
		head[i] = (uint8_t)((len & 0x7f) | (i < 4 ? 0x80 : 0));
	pieces[0] = slice_of(head, sizeof head);
	for (int i = 1; i <= PIECES; i++)
		pieces[i] = slice_of(bytes, EACH);
	begin(&f, state, "localhost", "server", NULL);
	caller_open(&f.caller);
	caller_call(&f.caller, pieces, PIECES + 1, CODING_IDENTITY, 20 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 1);
	assert_ok(&f);
	end(&f);
	free(bytes);
}

static void has_many_calls_in_flight_over_tls(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", NULL);
	caller_behave(&f.caller, "slow:0.1");
	caller_open(&f.caller);
	for (int i = 0; i < 100; i++)
		caller_call(&f.caller, NULL, 0, CODING_IDENTITY, 20 * NS_PER_S);
	net_test_wait_count(f.caller.net, &f.caller.done, 100);
	assert_int_equal(f.caller.by_status[GRPC_OK], 100);
	end(&f);
}

static void accepts_a_certificate_for_the_address(void **state)
{
	struct fixture f;

	begin(&f, state, "127.0.0.1", "address", NULL);
	call_once(&f);
	assert_ok(&f);
	end(&f);
}

static void refuses_an_unknown_authority(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", NULL);
	f.tls.ca_file = NULL; /* the system's authorities */
	call_once(&f);
	assert_not_connected(
		&f, "certificate of ",
		" is not trusted: unable to get local issuer certificate; set tls::ca_file");
	end(&f);
}

static void refuses_another_name(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "other", NULL);
	call_once(&f);
	assert_not_connected(&f, "certificate of ",
	                     " is not for localhost but for other.example; connect by that name or "
	                     "set tls::server_name_override");
	end(&f);
}

static void refuses_a_name_certificate_for_an_address(void **state)
{
	struct fixture f;

	begin(&f, state, "127.0.0.1", "server", NULL);
	call_once(&f);
	assert_not_connected(&f, "certificate of ",
	                     " is not for 127.0.0.1 but for localhost, backend.example");
	end(&f);
}

static void takes_another_name_when_told_to(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "other", NULL);
	f.tls.server_name_override = "other.example";
	call_once(&f);
	assert_ok(&f);
	end(&f);
}

static void refuses_an_expired_certificate(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "expired", NULL);
	call_once(&f);
	assert_not_connected(&f, "certificate of ",
	                     " is not valid now: certificate has expired; renew it or check this "
	                     "machine's clock");
	end(&f);
}

static void asks_nothing_when_told_to_skip_verification(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "expired", NULL);
	f.tls.ca_file = NULL;
	f.tls.insecure_skip_verify = true;
	call_once(&f);
	assert_ok(&f);
	end(&f);
}

static void shows_its_own_certificate(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", "ca.pem");
	f.tls.cert_file = folder_at("client.pem");
	f.tls.key_file = folder_at("client.key");
	call_once(&f);
	assert_ok(&f);
	end(&f);
}

static void guesses_why_a_server_closes_without_a_word(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", "ca.pem"); /* this grpcio sends no alert */
	call_once(&f);
	assert_not_connected(
		&f, "not connected to ",
		": the server closed it right after the TLS handshake; it may ask for a "
		"client certificate");
	end(&f);
}

/* A server of Python's ssl; alpn NULL: it knows none. */
static void begin_plain_tls(struct fixture *f, void **state, const char *client_ca,
                            const char *alpn)
{
	const char *const arguments[] = {folder_at("server.pem"), folder_at("server.key"),
	                                 client_ca, alpn, NULL};

	judge_start(&f->judge, "tests/unit/net/tls_server.py", arguments);
	caller_prepare(&f->caller, state, "localhost", judge_port(&f->judge, "port"));
	f->tls = (struct tls_settings){.ca_file = folder_at("ca.pem")};
	f->caller.config.tls = &f->tls;
}

static void says_that_a_client_certificate_is_missing(void **state)
{
	struct fixture f;

	begin_plain_tls(&f, state, folder_at("ca.pem"), "h2");
	call_once(&f);
	assert_not_connected(
		&f, "", " asks for a client certificate; set tls::cert_file and tls::key_file");
	end(&f);
}

static void says_that_its_certificate_is_refused(void **state)
{
	struct fixture f;

	begin_plain_tls(&f, state, folder_at("ca.pem"), "h2");
	f.tls.cert_file = folder_at("stranger.pem");
	f.tls.key_file = folder_at("stranger.key");
	call_once(&f);
	assert_not_connected(
		&f, "",
		" refuses our certificate (tlsv1 alert unknown ca); check tls::cert_file and "
		"tls::key_file");
	end(&f);
}

static void says_that_the_server_does_not_agree_on_http2(void **state)
{
	struct fixture f;

	begin_plain_tls(&f, state, "-", NULL);
	call_once(&f);
	assert_not_connected(&f, "", " speaks TLS but not HTTP/2 (ALPN h2)");
	end(&f);
}

static void says_that_the_server_speaks_no_tls(void **state)
{
	struct fixture f;

	judge_start(&f.judge, "tests/e2e/judge.py", NULL);
	caller_prepare(&f.caller, state, "localhost", judge_port(&f.judge, "port"));
	f.tls = (struct tls_settings){.ca_file = folder_at("ca.pem")};
	f.caller.config.tls = &f.tls;
	call_once(&f);
	assert_not_connected(
		&f, "",
		" does not speak TLS; set tls::insecure: true if it is meant to be plain text");
	end(&f);
}

static void says_that_the_server_wants_tls(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", NULL);
	f.caller.config.tls = NULL;
	call_once(&f);
	assert_int_equal(f.caller.status, GRPC_UNAVAILABLE);
	end(&f);
}

static void keeps_to_the_versions_it_is_given(void **state)
{
	struct fixture f;

	begin(&f, state, "localhost", "server", NULL);
	f.tls.max_version = "1.2";
	f.tls.cipher_suites = (const char *const[]){"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
	f.tls.n_cipher_suites = 1;
	f.tls.curves = (const char *const[]){"P256"};
	f.tls.n_curves = 1;
	call_once(&f);
	assert_ok(&f);
	end(&f);
}

static void reads_renewed_certificates(void **state)
{
	struct fixture f;
	char command[300], renewed[128];
	uint64_t end_ns;

	snprintf(renewed, sizeof renewed, "%s/renewed.pem", folder_path());
	snprintf(command, sizeof command, "cp %s/stranger_ca.pem %s", folder_path(), renewed);
	assert_int_equal(system(command), 0);
	begin(&f, state, "localhost", "server", NULL);
	f.tls.ca_file = renewed;
	f.tls.reload_interval = 1;
	call_once(&f);
	assert_not_connected(&f, "certificate of ", " is not trusted");
	snprintf(command, sizeof command, "cp %s/ca.pem %s", folder_path(), renewed);
	assert_int_equal(system(command), 0);
	end_ns = clock_monotonic_ns() + 10 * NS_PER_S;
	while (f.caller.status != GRPC_OK && clock_monotonic_ns() < end_ns) {
		loop_run_once(f.caller.net->loop);
		caller_call_once(&f.caller);
	}
	assert_ok(&f);
	end(&f);
}

/* ---- mistakes in the settings */

static void refuses(void **state, const struct tls_settings *settings, const char *before,
                    const char *path, const char *after)
{
	struct tls_context *context;
	struct error error = ERROR_INIT;
	char wanted[300];

	(void)state;
	snprintf(wanted, sizeof wanted, "%s%s%s", before, path, after);
	assert_true(tls_context_new(settings, &context, &error) < 0);
	assert_string_equal(error.message, wanted);
}

static void names_what_is_wrong_with_its_files(void **state)
{
	refuses(state, &(struct tls_settings){.ca_file = "/none"}, "tls::ca_file ", "/none",
	        ": No such file or directory");
	refuses(state, &(struct tls_settings){.ca_file = folder_at("server.key")}, "tls::ca_file ",
	        folder_at("server.key"), ": holds no certificate in PEM form");
	refuses(state, &(struct tls_settings){.ca_pem = "no pem"},
	        "tls::ca_pem: holds no certificate in PEM form", "", "");
	refuses(state,
	        &(struct tls_settings){.cert_file = folder_at("client.pem"),
	                               .key_file = folder_at("server.key")},
	        "tls::key_file ", folder_at("server.key"),
	        ": does not belong to the certificate in tls::cert_file");
	refuses(state,
	        &(struct tls_settings){.cert_file = folder_at("client.pem"),
	                               .key_file = folder_at("ca.pem")},
	        "tls::key_file ", folder_at("ca.pem"),
	        ": holds no private key in PEM form (one with a password cannot be used)");
	refuses(state, &(struct tls_settings){.min_version = "1.1"},
	        "tls: min_version: unsupported TLS version: \"1.1\"; use 1.2 or 1.3", "", "");
	refuses(state, &(struct tls_settings){.min_version = "1.3", .max_version = "1.2"},
	        "tls: min_version 1.3 is above max_version 1.2", "", "");
	refuses(state,
	        &(struct tls_settings){.cipher_suites = (const char *const[]){"RC4"},
	                               .n_cipher_suites = 1},
	        "tls: cipher_suites: invalid TLS cipher suite: \"RC4\"", "", "");
	refuses(state,
	        &(struct tls_settings){.curves = (const char *const[]){"X448"}, .n_curves = 1},
	        "tls: curve_preferences: unknown curve \"X448\"; use X25519, P256, P384 or P521",
	        "", "");
}

static void knows_a_key_that_everybody_may_read(void **state)
{
	const char *key = folder_at("client.key");
	struct tls_settings file = {.key_file = key}, text = {.key_pem = "x"};

	(void)state;
	assert_int_equal(chmod(key, 0604), 0);
	assert_true(tls_key_is_exposed(&file));
	assert_int_equal(chmod(key, 0640), 0);
	assert_false(tls_key_is_exposed(&file));
	assert_false(tls_key_is_exposed(&text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(trusts_the_authority_it_is_given),
		NET_TEST(sends_much_over_tls),
		NET_TEST(has_many_calls_in_flight_over_tls),
		NET_TEST(accepts_a_certificate_for_the_address),
		NET_TEST(refuses_an_unknown_authority),
		NET_TEST(refuses_another_name),
		NET_TEST(refuses_a_name_certificate_for_an_address),
		NET_TEST(takes_another_name_when_told_to),
		NET_TEST(refuses_an_expired_certificate),
		NET_TEST(asks_nothing_when_told_to_skip_verification),
		NET_TEST(shows_its_own_certificate),
		NET_TEST(guesses_why_a_server_closes_without_a_word),
		NET_TEST(says_that_a_client_certificate_is_missing),
		NET_TEST(says_that_its_certificate_is_refused),
		NET_TEST(says_that_the_server_does_not_agree_on_http2),
		NET_TEST(says_that_the_server_speaks_no_tls),
		NET_TEST(says_that_the_server_wants_tls),
		NET_TEST(keeps_to_the_versions_it_is_given),
		NET_TEST(reads_renewed_certificates),
		NET_TEST(names_what_is_wrong_with_its_files),
		NET_TEST(knows_a_key_that_everybody_may_read),
	};
	return cmocka_run_group_tests(tests, folder_with_certificates, NULL);
}
