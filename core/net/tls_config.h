/* tls_config: the `tls` block that users write, for clients and for servers, with the Collector's keys.
 * Every component with a connection takes these tables. */
#ifndef WEIR_NET_TLS_CONFIG_H
#define WEIR_NET_TLS_CONFIG_H

#include "config/option.h"
#include "core/net/tls.h"

struct tls_tpm_config {
	bool enabled; /* refused */
	const char *path, *owner_auth, *auth;
};

struct tls_client_config {
	bool insecure, insecure_skip_verify, include_system_ca_certs_pool;
	const char *ca_file, *ca_pem, *cert_file, *cert_pem, *key_file, *key_pem;
	const char *server_name_override, *min_version, *max_version;
	struct string_list cipher_suites, curve_preferences;
	uint64_t reload_interval;
	struct tls_tpm_config tpm;
};

struct tls_server_config {
	bool enabled; /* an optional block without defaults: on when it is written */
	const char *cert_file, *cert_pem, *key_file, *key_pem;
	const char *client_ca_file; /* turns on mutual TLS */
	bool client_ca_file_reload;
	const char *min_version, *max_version;
	struct string_list cipher_suites, curve_preferences;
	uint64_t reload_interval;
	/* further keys of the Collector that mean nothing here are in the table, ignored with a notice */
	const char *ca_file, *ca_pem;
	bool include_system_ca_certs_pool;
	struct tls_tpm_config tpm;
};

extern const struct option tls_client_options[], tls_server_options[];

/* Rules over several keys, without a look at the files. The sentence begins with "tls: ". A server's
 * block that is not enabled is always good. */
int tls_client_config_check(const struct tls_client_config *c, struct error *error);
int tls_server_config_check(const struct tls_server_config *c, struct error *error);

/* Pointers stay the configuration's. */
struct tls_settings tls_client_settings(const struct tls_client_config *c);
struct tls_settings tls_server_settings(const struct tls_server_config *c);

#endif
