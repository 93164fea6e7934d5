#include "core/net/tls_config.h"

#include <errno.h>

/* The keys that both sides have, with one meaning. */
#define VERSION_OPTIONS(type)                                                                      \
	OPTION_STRING(type, min_version, .text = "1.2", .doc = "1.2 or 1.3."),                     \
		OPTION_STRING(type, max_version, .text = "1.3", .doc = "1.2 or 1.3.")

#define CURVE_OPTION(type)                                                                         \
	OPTION_STRING_LIST(type, curve_preferences,                                                \
	                   .doc = "Key exchange groups, best first: X25519, P256, P384, P521.")

static const struct option tpm_options[] = {
	OPTION_BOOL(struct tls_tpm_config, enabled, .text = "false",
                    .doc = "Of the Collector; weir cannot use a key in a TPM and refuses true."),
	OPTION_STRING(struct tls_tpm_config, path, .flags = OPTION_IGNORED,
                      .doc = "Of the Collector; weir cannot use a key in a TPM."),
	OPTION_STRING(struct tls_tpm_config, owner_auth, .flags = OPTION_IGNORED | OPTION_SECRET,
                      .doc = "Of the Collector; weir cannot use a key in a TPM."),
	OPTION_STRING(struct tls_tpm_config, auth, .flags = OPTION_IGNORED | OPTION_SECRET,
                      .doc = "Of the Collector; weir cannot use a key in a TPM."),
	OPTION_END,
};

#define TPM_OPTION(type)                                                                           \
	OPTION_GROUP(type, tpm, tpm_options, .doc = "A key that lies in a TPM: not supported.")

const struct option tls_client_options[] = {
	OPTION_BOOL(struct tls_client_config, insecure, .text = "false",
                    .doc = "No TLS at all. Also chosen by an endpoint that begins with http:// or "
                           "unix:."),
	OPTION_BOOL(struct tls_client_config, insecure_skip_verify, .text = "false",
                    .doc = "TLS without asking whose certificate it is: protects against nobody "
                           "who can answer."),
	OPTION_STRING(struct tls_client_config, server_name_override,
                      .doc = "The name that the server's certificate must be for, instead of the "
                             "endpoint's."),
	OPTION_STRING(struct tls_client_config, ca_file,
                      .doc = "Certificates, in PEM form, that the server's is trusted by; without "
                             "it the system's."),
	OPTION_STRING(struct tls_client_config, ca_pem, .doc = "The same, written here."),
	OPTION_BOOL(struct tls_client_config, include_system_ca_certs_pool, .text = "false",
                    .doc = "Trust the system's authorities beside ca_file."),
	OPTION_STRING(struct tls_client_config, cert_file,
                      .doc = "The certificate to show to the server, with its chain, in PEM form."),
	OPTION_STRING(struct tls_client_config, cert_pem, .doc = "The same, written here."),
	OPTION_STRING(struct tls_client_config, key_file,
                      .doc = "The key of cert_file in PEM form, without a password."),
	OPTION_STRING(struct tls_client_config, key_pem, .flags = OPTION_SECRET,
                      .doc = "The same, written here."),
	VERSION_OPTIONS(struct tls_client_config),
	OPTION_STRING_LIST(struct tls_client_config, cipher_suites,
                           .doc = "Cipher suites that may be used, by their IANA names; without it "
                                  "OpenSSL's choice."),
	CURVE_OPTION(struct tls_client_config),
	OPTION_DURATION(struct tls_client_config, reload_interval, .text = "0s",
                        .doc = "The files are read again before a new connection when they are "
                               "older than this; 0: never."),
	TPM_OPTION(struct tls_client_config),
	OPTION_END,
};

const struct option tls_server_options[] = {
	OPTION_STRING(struct tls_server_config, cert_file,
                      .doc = "The certificate to show to clients, with its chain, in PEM form; "
                             "required, as is its key."),
	OPTION_STRING(struct tls_server_config, cert_pem, .doc = "The same, written here."),
	OPTION_STRING(struct tls_server_config, key_file,
                      .doc = "The key of cert_file in PEM form, without a password."),
	OPTION_STRING(struct tls_server_config, key_pem, .flags = OPTION_SECRET,
                      .doc = "The same, written here."),
	OPTION_STRING(struct tls_server_config, client_ca_file,
                      .doc = "Certificates, in PEM form; clients must then show one that is "
                             "trusted by these (mutual TLS)."),
	VERSION_OPTIONS(struct tls_server_config),
	OPTION_STRING_LIST(struct tls_server_config, cipher_suites,
                           .doc = "Cipher suites that may be used, by their IANA names; without it "
                                  "those that HTTP/2 permits: ECDHE with AES-GCM or ChaCha20."),
	CURVE_OPTION(struct tls_server_config),
	OPTION_DURATION(struct tls_server_config, reload_interval, .text = "10s",
                        .doc = "How often new connections look whether the files have changed; "
                               "changed ones are taken over without a restart, bad ones not; "
                               "0: never."),
	OPTION_BOOL(struct tls_server_config, client_ca_file_reload, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector; weir looks at client_ca_file as often as at the "
                           "other files, see reload_interval."),
	OPTION_STRING(struct tls_server_config, ca_file, .flags = OPTION_IGNORED,
                      .doc = "Of the Collector, where servers do not use it either; clients are "
                             "checked by client_ca_file."),
	OPTION_STRING(struct tls_server_config, ca_pem, .flags = OPTION_IGNORED,
                      .doc = "Of the Collector, where servers do not use it either; clients are "
                             "checked by client_ca_file."),
	OPTION_BOOL(struct tls_server_config, include_system_ca_certs_pool, .flags = OPTION_IGNORED,
                    .doc = "Of the Collector, where servers do not use it either."),
	TPM_OPTION(struct tls_server_config),
	OPTION_END,
};

static int check_tpm(const struct tls_tpm_config *c, struct error *error)
{
	if (c->enabled)
		return error_set(error, -ENOTSUP,
		                 "tls: tpm: keys in a TPM are not supported; set key_file");
	return 0;
}

int tls_client_config_check(const struct tls_client_config *c, struct error *error)
{
	struct tls_settings settings = tls_client_settings(c);
	int r = check_tpm(&c->tpm, error);

	return r < 0 ? r : tls_settings_check(&settings, error);
}

int tls_server_config_check(const struct tls_server_config *c, struct error *error)
{
	struct tls_settings settings = tls_server_settings(c);
	int r = c->enabled ? check_tpm(&c->tpm, error) : 0;

	if (!c->enabled || r < 0)
		return r;
	return tls_server_settings_check(&settings, error);
}

struct tls_settings tls_client_settings(const struct tls_client_config *c)
{
	return (struct tls_settings){
		.ca_file = c->ca_file,
		.ca_pem = c->ca_pem,
		.cert_file = c->cert_file,
		.cert_pem = c->cert_pem,
		.key_file = c->key_file,
		.key_pem = c->key_pem,
		.server_name_override = c->server_name_override,
		.min_version = c->min_version,
		.max_version = c->max_version,
		.cipher_suites = c->cipher_suites.items,
		.n_cipher_suites = c->cipher_suites.count,
		.curves = c->curve_preferences.items,
		.n_curves = c->curve_preferences.count,
		.insecure_skip_verify = c->insecure_skip_verify,
		.include_system_ca_certs_pool = c->include_system_ca_certs_pool,
		.reload_interval = c->reload_interval,
	};
}

struct tls_settings tls_server_settings(const struct tls_server_config *c)
{
	return (struct tls_settings){
		.cert_file = c->cert_file,
		.cert_pem = c->cert_pem,
		.key_file = c->key_file,
		.key_pem = c->key_pem,
		.client_ca_file = c->client_ca_file,
		.min_version = c->min_version,
		.max_version = c->max_version,
		.cipher_suites = c->cipher_suites.items,
		.n_cipher_suites = c->cipher_suites.count,
		.curves = c->curve_preferences.items,
		.n_curves = c->curve_preferences.count,
		.reload_interval = c->reload_interval,
	};
}
