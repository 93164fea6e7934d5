/* The tls blocks that users write. */
#include "core/net/tls_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct string_list list_of(const char **item)
{
	return (struct string_list){.items = item, .count = 1};
}

static void client_refuses(const struct tls_client_config *c, const char *message)
{
	struct error error = ERROR_INIT;

	assert_true(tls_client_config_check(c, &error) < 0);
	assert_string_equal(error.message, message);
}

static void server_refuses(const struct tls_server_config *c, const char *message)
{
	struct error error = ERROR_INIT;

	assert_true(tls_server_config_check(c, &error) < 0);
	assert_string_equal(error.message, message);
}

static void clients_need_nothing(void **state)
{
	(void)state;
	assert_int_equal(tls_client_config_check(&(struct tls_client_config){0}, NULL), 0);
	assert_int_equal(tls_client_config_check(&(struct tls_client_config){.ca_file = "",
	                                                                     .ca_pem = "x",
	                                                                     .cert_file = ""},
	                                         NULL),
	                 0);
}

static void clients_are_refused_what_contradicts_itself(void **state)
{
	const char *suite = "TLS_RSA_WITH_RC4_128_SHA1", *curve = "P192";

	(void)state;
	client_refuses(&(struct tls_client_config){.ca_file = "a", .ca_pem = "b"},
	               "tls: provide either a CA file or the PEM-encoded string, but not both: "
	               "ca_file, ca_pem");
	client_refuses(&(struct tls_client_config){.key_file = "a", .key_pem = "b"},
	               "tls: provide either a key file or the PEM-encoded string, but not both: "
	               "key_file, key_pem");
	client_refuses(&(struct tls_client_config){.key_pem = "a"},
	               "tls: TLS configuration must include both certificate and key: cert_file "
	               "missing");
	client_refuses(&(struct tls_client_config){.max_version = "1.0"},
	               "tls: max_version: unsupported TLS version: \"1.0\"; use 1.2 or 1.3");
	client_refuses(&(struct tls_client_config){.cipher_suites = list_of(&suite)},
	               "tls: cipher_suites: invalid TLS cipher suite: "
	               "\"TLS_RSA_WITH_RC4_128_SHA1\"");
	client_refuses(&(struct tls_client_config){.curve_preferences = list_of(&curve)},
	               "tls: curve_preferences: unknown curve \"P192\"; use X25519, P256, P384 or "
	               "P521");
	client_refuses(&(struct tls_client_config){.tpm.enabled = true},
	               "tls: tpm: keys in a TPM are not supported; set key_file");
}

static void servers_need_a_certificate_and_its_key(void **state)
{
	struct tls_server_config c = {.enabled = true};

	(void)state;
	server_refuses(&c, "tls: TLS configuration must include both certificate and key: "
	                   "cert_file and key_file missing");
	c.cert_pem = "a";
	server_refuses(&c, "tls: TLS configuration must include both certificate and key: "
	                   "key_file missing");
	c.key_file = "b";
	assert_int_equal(tls_server_config_check(&c, NULL), 0);
	c.tpm.enabled = true;
	server_refuses(&c, "tls: tpm: keys in a TPM are not supported; set key_file");
	c.enabled = false;
	assert_int_equal(tls_server_config_check(&c, NULL), 0);
}

/* What is written for one key must not reach another. */
static void settings_are_what_was_written(void **state)
{
	const char *suite = "suite", *curve = "curve";
	struct tls_client_config c = {.insecure_skip_verify = true,
	                              .include_system_ca_certs_pool = true,
	                              .ca_file = "ca_file",
	                              .ca_pem = "ca_pem",
	                              .cert_file = "cert_file",
	                              .cert_pem = "cert_pem",
	                              .key_file = "key_file",
	                              .key_pem = "key_pem",
	                              .server_name_override = "name",
	                              .min_version = "min",
	                              .max_version = "max",
	                              .cipher_suites = list_of(&suite),
	                              .curve_preferences = list_of(&curve),
	                              .reload_interval = 7};
	struct tls_server_config server = {.client_ca_file = "client_ca_file",
	                                   .cert_file = "cert_file",
	                                   .reload_interval = 8};
	struct tls_settings s = tls_client_settings(&c);

	(void)state;
	assert_string_equal(s.ca_file, "ca_file");
	assert_string_equal(s.ca_pem, "ca_pem");
	assert_string_equal(s.cert_file, "cert_file");
	assert_string_equal(s.cert_pem, "cert_pem");
	assert_string_equal(s.key_file, "key_file");
	assert_string_equal(s.key_pem, "key_pem");
	assert_string_equal(s.server_name_override, "name");
	assert_string_equal(s.min_version, "min");
	assert_string_equal(s.max_version, "max");
	assert_string_equal(s.cipher_suites[0], "suite");
	assert_string_equal(s.curves[0], "curve");
	assert_int_equal(s.n_cipher_suites, 1);
	assert_int_equal(s.n_curves, 1);
	assert_true(s.insecure_skip_verify && s.include_system_ca_certs_pool);
	assert_int_equal(s.reload_interval, 7);
	assert_null(s.client_ca_file);
	s = tls_server_settings(&server);
	assert_string_equal(s.client_ca_file, "client_ca_file");
	assert_string_equal(s.cert_file, "cert_file");
	assert_int_equal(s.reload_interval, 8);
	assert_null(s.ca_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_need_nothing),
		cmocka_unit_test(clients_are_refused_what_contradicts_itself),
		cmocka_unit_test(servers_need_a_certificate_and_its_key),
		cmocka_unit_test(settings_are_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
